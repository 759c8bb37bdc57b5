#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library can be loaded late, and again; objects of the C library's malloc go back to it.
. "$TRACT_SRC/test/harness/preload.sh"

# The library's thread-local storage: the surplus that libc keeps for dlopen is shared by all.
tls_size()
{
	size=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
	echo "$((size)) bytes"
	[ "$((size))" -le 64 ]
}

build dlopen -ldl
build foreign -ldl
check 'dlopen and dlclose a hundred times, with threads' "$dir/dlopen" "$library"
if command -v readelf > /dev/null &&
    grep -q '^#define CONFIG_DEBUG 0' "$TRACT_BUILD/src/tract_config.h"; then
	check 'at most 64 bytes of thread-local storage' tls_size
fi
check 'small objects of libc are freed and resized' preloaded "$dir/foreign" heap
check 'large objects of libc are freed and resized' preloaded "$dir/foreign" mapped
dies 'what only looks like one of libc is not' 'not from here' preloaded "$dir/foreign" stack
finish
