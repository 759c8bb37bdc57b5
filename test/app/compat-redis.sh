#!/bin/sh
# SPDX-License-Identifier: MIT
# Redis as Debian builds it, for libjemalloc.so.2: what it asks of that library beyond malloc.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need_compat redis-server
need redis-benchmark
need redis-cli

socket=$tmp/socket
server=
cleanup_extra() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null; }
cli() { redis-cli -s "$socket" "$@"; }
# A number from `info memory'.
info() { cli info memory | tr -d '\r' | sed -n "s/^$1://p"; }

start_compat redis-server --port 0 --unixsocket "$socket" --dir "$tmp" --save '' --daemonize no \
    --dbfilename dump.rdb --appendonly no >server.log 2>&1
if ! wait_for cli ping; then
	not_ok start 'the server does not answer' server.log
	finish
fi
runs_on_compat loaded $server

# The load generator links the library, too.
if compat redis-benchmark -s "$socket" -q -P 16 -n 60000 -c 20 -r 60000 -d 200 \
    -t set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100 >bench.out 2>&1 &&
    ! grep -qi error bench.out; then
	ok benchmark
else
	not_ok benchmark 'the load failed' bench.out
fi

# The figures that Redis reads from the library must agree with its own, and with each other.
fill='for i = 1, 100000 do redis.call("set", "fill:" .. i, string.rep("x", 300)) end'
cli eval "$fill" 0 >fill.out
# It asks the library ten times a second, or when it comes to it.
figures_agree() {
	cli info memory >info.out
	used=$(info used_memory)
	allocated=$(info allocator_allocated)
	active=$(info allocator_active)
	resident=$(info allocator_resident)
	[ "$used" -gt 30000000 ] && [ "$allocated" -ge $((used * 9 / 10)) ] &&
	    [ "$allocated" -le $((used * 12 / 10)) ] && [ "$active" -ge "$allocated" ] &&
	    [ "$active" -le $((used * 15 / 10)) ] && [ "$resident" -ge "$active" ]
}
if wait_for figures_agree; then
	ok info_memory
else
	not_ok info_memory "used $used, allocated $allocated, active $active, resident $resident" info.out
fi
cli memory stats >stats.out 2>&1
if grep -q '^allocator-fragmentation.ratio' stats.out && grep -q '^allocator.resident' stats.out &&
    ! grep -qi '^nan\|^-nan\|^inf' stats.out; then
	ok memory_stats
else
	not_ok memory_stats 'not what it prints on jemalloc' stats.out
fi
cli memory malloc-stats >malloc-stats.out 2>&1
if grep -q '^___ Begin .* statistics ___' malloc-stats.out &&
    grep -q '^Allocated: [0-9]' malloc-stats.out && grep -q '^arenas\[0\]:' malloc-stats.out && grep -q '^ *bins:' malloc-stats.out; then
	ok memory_malloc_stats
else
	not_ok memory_malloc_stats 'not the statistics' malloc-stats.out
fi

# What was freed goes back to the system at once, by arena.<narenas>.purge.
cli flushall >/dev/null
before=$(awk '/^VmRSS/ { print $2 }' /proc/$server/status)
answer=$(cli memory purge)
after=$(awk '/^VmRSS/ { print $2 }' /proc/$server/status)
if [ "$answer" = OK ] && [ "$after" -le $((before + 1024)) ] && [ "$after" -lt 30000 ]; then
	ok memory_purge
else
	not_ok memory_purge "said $answer, resident $before KiB before, $after KiB after"
fi

# Redis does not look whether the switch was thrown: the threads tell.
workers() { cat /proc/$server/task/*/comm 2>/dev/null | grep -c '^tract_bg'; }
stopped() { [ "$(workers)" -eq 0 ]; }
started() { [ "$(workers)" -gt 0 ]; }
{
	cli config set jemalloc-bg-thread no
	wait_for stopped && echo stopped
	cli config set jemalloc-bg-thread yes
	wait_for started && echo started
} >bg.out 2>&1
if [ "$(tr '\n' ' ' <bg.out)" = 'OK stopped OK started ' ]; then
	ok background_thread
else
	workers >>bg.out
	not_ok background_thread 'the switch' bg.out
fi

# Debian's jemalloc lacks the hint, so Redis is built without: it says so, or it works.
cli config set activedefrag yes >defrag.out 2>&1
if grep -q '^OK' defrag.out; then
	cli config set activedefrag no >>defrag.out 2>&1
	ok activedefrag
elif grep -q 'cannot be enabled' defrag.out; then
	ok activedefrag
else
	not_ok activedefrag 'neither refused nor done' defrag.out
fi

# Saving from a child while others write.
cli eval 'for i = 1, 30000 do redis.call("set", "known:" .. i, "v" .. i) end' 0 >/dev/null
compat redis-benchmark -s "$socket" -q -P 16 -n 50000 -c 5 -r 20000 -d 100 -t set >bench2.out 2>&1 &
load=$!
cli bgsave >bgsave.out 2>&1
saved() { cli info persistence | grep -q '^rdb_bgsave_in_progress:0'; }
wait_for saved
wait $load
if cli info persistence | grep -q '^rdb_last_bgsave_status:ok' && [ -s dump.rdb ] &&
    compat redis-check-rdb dump.rdb >rdb.out 2>&1; then
	ok bgsave
else
	not_ok bgsave 'no good dump' server.log
fi
cli shutdown nosave >/dev/null 2>&1
wait $server
status=$?
server=
if [ $status -eq 0 ] && ! grep -q '<tract>\|<jemalloc>' server.log; then
	ok shutdown
else
	not_ok shutdown "status $status" server.log
fi
finish
