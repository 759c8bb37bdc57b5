#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Little address space: programs start, and are told when it is used up.
. "$TRACT_SRC/test/harness/preload.sh"

limited()
{
	(ulimit -v "$1" && shift && preloaded "$@")
}

build limit
check 'ENOMEM with 64 MiB of address space' limited 65536 "$dir/limit"
check 'ENOMEM with 256 MiB of address space' limited 262144 "$dir/limit"
check 'ls with 64 MiB of address space' limited 65536 ls /
finish
