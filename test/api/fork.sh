#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Children of a process on tract work, whatever its other threads, fork handlers and signals did.
. "$TRACT_SRC/test/harness/preload.sh"

build fork
check 'fork among threads that allocate and print' preloaded "$dir/fork" threads 40
check 'fork with fork handlers that allocate' preloaded "$dir/fork" handlers 40
check 'fork from several threads' preloaded "$dir/fork" many 45
check 'fork from a signal handler that interrupts malloc' preloaded "$dir/fork" signals 300
finish
