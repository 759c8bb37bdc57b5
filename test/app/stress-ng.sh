#!/bin/sh
# SPDX-License-Identifier: MIT
# stress-ng checks what it wrote into its blocks (--verify), and its own exit status says so.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need stress-ng

stress() {
	name=$1
	shift
	# All of them together below LIMIT, however slow the machine is.
	check "$name" stress-ng --temp-path "$tmp" --verify --no-rand-seed --timeout 18 "$@"
}
stress malloc --malloc 2 --malloc-ops 300000
stress malloc_touch --malloc 2 --malloc-ops 100000 --malloc-touch
stress malloc_max --malloc 2 --malloc-ops 200000 --malloc-max 100000 --malloc-bytes 1m
stress malloc_small --malloc 2 --malloc-ops 1000000 --malloc-max 20000 --malloc-bytes 1k
stress malloc_thresh_low --malloc 2 --malloc-ops 100000 --malloc-thresh 4k
stress malloc_thresh_high --malloc 2 --malloc-ops 100000 --malloc-thresh 64m
stress malloc_threads --malloc 2 --malloc-ops 200000 --malloc-pthreads 4
stress malloc_zerofree --malloc 2 --malloc-ops 50000 --malloc-zerofree
stress pthread --pthread 2 --pthread-ops 2000
stress fork --fork 2 --fork-ops 1000
stress tree --tree 1 --tree-ops 20
finish
