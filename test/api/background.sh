#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Background workers of a real process: when they start, what they give back, and that neither exit,
# fork nor a late load hangs on them.
. "$TRACT_SRC/test/harness/preload.sh"

with()
{
	MALLOC_CONF=$1
	shift
	MALLOC_CONF=$MALLOC_CONF LD_PRELOAD=$library timeout -s KILL 60 "$@"
}

ends_at_once()
{
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		with background_thread:true true || return 1
		with background_thread_auto:true "$dir/background" alone fork > "$dir/out" || return 1
	done
}

loaded_late()
{
	MALLOC_CONF=background_thread:true,max_background_threads:1 timeout 60 \
	    "$dir/background" dlopen "$library" 1
}

# Two threads are all that the process may have.
limited()
{
	MALLOC_CONF=$auto LD_PRELOAD=$library:$dir/two_threads.so timeout -s KILL 60 \
	    "$dir/background" workers "$1" 0
}

build background
build background_fork -ldl
$CC -std=gnu11 -shared -fPIC -o "$dir/two_threads.so" "$TRACT_SRC/test/api/programs/two_threads.c" \
    -ldl || exit 1
auto=background_thread_auto:true
off=background_thread_auto:false
check 'none where none is wanted' with $off "$dir/background" workers 3 0
check 'no thread of ours without one of its own' with $auto "$dir/background" workers 0 0
check 'one with the first thread it makes' with $auto "$dir/background" workers 3 1
check 'whichever way it makes it' with $auto "$dir/background" workers c11 1
check 'none that takes the last thread the program may have' limited 1
check 'whichever way it would' limited c11
check 'few where a process makes threads and forks' with $auto "$dir/background" storm
check 'a process with one thread forks without it' with $auto "$dir/background" alone fork
check 'a process with one thread is alone to the system' \
    with $auto "$dir/background" alone unshare
check 'a process ends with its last thread' with $auto "$dir/background" orphan
check 'the same with background_thread:true' \
    with background_thread:true,max_background_threads:1 "$dir/background" orphan
check 'and no worker starts then that would keep it' with $off "$dir/background" orphan-asks
check 'not even where one had been' with $auto "$dir/background" orphan-asks
check 'a child forked from a thread, too' with $auto "$dir/background" orphan-child
check 'before main with background_thread:true' \
    with background_thread:true,max_background_threads:1 "$dir/background" workers 0 1
check 'an idle process gives back what it freed' with $auto "$dir/background" idle
check 'a child has them again' \
    with background_thread:true,max_background_threads:1 "$dir/background" child 1
check 'a child without threads has none' with $auto "$dir/background" child 0
check 'a child made while the first worker is, too' with $auto "$dir/background_fork"
check 'twenty processes end while they run' ends_at_once
check 'a library that is loaded late' loaded_late
finish
