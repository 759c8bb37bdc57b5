#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Background workers of an idle process wake up as often as there is work, and not once more.
#
#	WAKE_UPS_IDLE_S=60 WAKE_UPS_DECAY_MS=10000    look for longer
. "$TRACT_SRC/test/harness/preload.sh"

build wake_ups

counted()
{
	MALLOC_CONF=background_thread:true,$1 LD_PRELOAD=$library timeout -s KILL 200 \
	    "$dir/wake_ups" "$2" "$3" $4
}

check 'without work never' counted narenas:4,max_background_threads:4 idle "${WAKE_UPS_IDLE_S:-5}"
check 'while pages decay, as often as the curve needs' \
    counted narenas:1 decay "${WAKE_UPS_DECAY_MS:-2000}" 64
finish
