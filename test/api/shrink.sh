#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a process holds when it has freed most of a peak, and what idle threads cost.
. "$TRACT_SRC/test/harness/preload.sh"

build shrink

shrink()
{
	MALLOC_CONF=$1 LD_PRELOAD=$library timeout -s KILL 60 "$dir/shrink" "$2" "$3" "$4" $5 $6
}

check 'a process that frees nine in ten of many small objects gives back free pages among them' \
    shrink '' scattered 640 65
check 'one that has fewer does at its next slow calls' \
    shrink dirty_decay_ms:100 slowly 64 65 1000
check 'a process with a worker that freed a peak holds what is live and 8 MiB' \
    shrink dirty_decay_ms:500,background_thread:true mixed 512 16 24 1500
title='an idle thread with some objects costs little more than they'
if grep -q 'CONFIG_HOSTILE 1' "$TRACT_BUILD/src/tract_config.h"; then
	skip "$title" 'hostile tables make threads own more'
	skip 'with a worker, too' 'hostile tables make threads own more'
else
	check "$title" shrink '' threads 100 35
	check 'with a worker, too' shrink background_thread:true threads 100 35
fi
finish
