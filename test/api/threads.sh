#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Threads that end leave nothing behind: resident memory grows by at most a MiB.
. "$TRACT_SRC/test/harness/preload.sh"

build threads
check '8000 threads with destructors that allocate' preloaded "$dir/threads" destructors 8000
check '100000 short threads' preloaded "$dir/threads" short 100000
check 'frees after the last destructor' preloaded "$dir/threads" late 4000
check 'no thread key is left' preloaded "$dir/threads" keys 1000
finish
