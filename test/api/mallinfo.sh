#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The functions of <malloc.h> tell a preloaded program true numbers.
. "$TRACT_SRC/test/harness/preload.sh"

if ! echo '#include <malloc.h>
int main(void) { return mallinfo2().arena != 0; }' |
    $CC -x c -o "$dir/probe" - 2> /dev/null; then
	echo 'the C library has no mallinfo2'
	exit 77
fi
build mallinfo -Wno-deprecated-declarations
# With the decay off, what is freed stays.
MALLOC_CONF=dirty_decay_ms:-1 check 'mallinfo2 counts every byte in use' preloaded "$dir/mallinfo" info
check 'malloc_info says what mallinfo2 says' preloaded "$dir/mallinfo" xml
check 'malloc_stats says what mallinfo2 says' preloaded "$dir/mallinfo" stats
check 'malloc_trim gives memory back, once' preloaded "$dir/mallinfo" trim
finish
