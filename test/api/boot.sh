#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The first call of all: messages about options may allocate.
. "$TRACT_SRC/test/harness/preload.sh"

# Linked, so that the program's malloc_conf and malloc_message are the library's.
build boot "$library"
check 'malloc_message may allocate' preloaded timeout 20 "$dir/boot"
finish
