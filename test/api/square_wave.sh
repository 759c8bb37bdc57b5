#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a process holds after a peak, when it is idle: with a background worker soon what is live, and
# without a call of its own; without a worker, at its next slow calls.  RSS may be a tenth above what
# is live, and 4 MiB.
#
#	SQUARE_WAVE_DECAY_MS=N    the decay time, instead of half a second
. "$TRACT_SRC/test/harness/preload.sh"

decay=${SQUARE_WAVE_DECAY_MS:-500}
build square_wave

wave()
{
	MALLOC_CONF=dirty_decay_ms:$decay,$2 LD_PRELOAD=$library timeout -s KILL 100 \
	    "$dir/square_wave" "$1" 32 128 "$decay" "$3"
}

# An option that this library does not have would test nothing.
knows()
{
	[ -z "$(MALLOC_CONF=$1 LD_PRELOAD=$library env true 2>&1)" ]
}

check 'a worker gives back what an idle process freed' wave settles background_thread:true,hpa:false 2
check 'so does one that the first thread brought' wave settles background_thread_auto:true,hpa:false 1
check 'lazily, too' wave settles "background_thread:true,hpa:false,muzzy_decay_ms:$((decay / 2))" 1
check 'without a worker, the next slow calls do' wave waits background_thread_auto:false,hpa:false 2
title='with huge pages, by a worker'
if knows hpa:true; then
	huge=background_thread:true,hpa:true,hpa_min_purge_interval_ms:100
	check "$title" wave settles $huge 1
	check 'with all of it from them, too' wave settles $huge,hpa_start_huge_from:0 1
else
	skip "$title" 'this library has none'
	skip 'with all of it from them, too' 'this library has none'
fi
finish
