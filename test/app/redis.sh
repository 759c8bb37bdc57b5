#!/bin/sh
# SPDX-License-Identifier: MIT
# A server under load on a local socket only; a BGSAVE (fork) while it writes; the dump checked.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need redis-server
need redis-benchmark
need redis-cli

socket=$tmp/socket
server=
cleanup_extra() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null; }
cli() { redis-cli -s "$socket" "$@"; }

start_server() {
	env LD_PRELOAD="$TRACT_LIB" redis-server --port 0 --unixsocket "$socket" --dir "$tmp" --save '' \
	    --dbfilename dump.rdb --daemonize no --appendonly no "$@" >server.log 2>&1 &
	server=$!
	for _ in $(seq 600); do
		cli ping 2>/dev/null | grep -q PONG && return 0
		kill -0 $server 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}
stop_server() {
	cli shutdown nosave >/dev/null 2>&1
	wait "$server"
	stopped=$?
	server=
}
saved() { cli info persistence | grep -q '^rdb_bgsave_in_progress:0'; }
wait_for_save() {
	wait_for saved
	cli info persistence | grep -q '^rdb_last_bgsave_status:ok'
}

if ! start_server --io-threads 2; then
	not_ok start 'the server does not answer' server.log
	finish
fi
ok start

# The benchmark itself runs on libc: it is the server that is under test.
if redis-benchmark -s "$socket" -q -P 16 -n 200000 -c 20 -r 100000 -d 100 \
    -t set,get,incr,lpush,rpop,sadd,hset,spop,zadd,lrange_100,mset >bench.out 2>&1 &&
    ! grep -qi error bench.out; then
	ok benchmark
else
	not_ok benchmark 'the load failed' bench.out
fi

# Known data beside it, of every kind, and saves while more is written.
fill='for i = 1, 20000 do
	redis.call("set", "known:" .. i, string.rep("v" .. i, i % 50 + 1))
	redis.call("hset", "h" .. i % 100, i, "field" .. i)
	redis.call("zadd", "z", i * 7919 % 10007, "m" .. i)
	redis.call("rpush", "l" .. i % 10, i)
end return redis.call("dbsize")'
cli eval "$fill" 0 >fill.out
(redis-benchmark -s "$socket" -q -P 16 -n 100000 -c 10 -r 50000 -d 300 -t set,lpush \
    >bench2.out 2>&1) &
load=$!
if cli bgsave | grep -q 'Background saving started' && wait_for_save; then
	ok bgsave
else
	not_ok bgsave 'failed' server.log
fi
wait $load
if cli bgsave | grep -q started && wait_for_save; then
	ok bgsave_again
else
	not_ok bgsave_again 'failed' server.log
fi
if cli config set activedefrag yes 2>&1 | grep -q OK; then
	cli config set activedefrag no >/dev/null
fi
cli memory doctor >/dev/null
cli debug digest >digest.before 2>&1
cli dbsize >>digest.before
cli eval 'return {redis.call("get", "known:777"), redis.call("zrange", "z", 0, 20),
    redis.call("lrange", "l3", 0, 20), redis.call("hget", "h5", "105")}' 0 >>digest.before
stop_server
if [ "$stopped" -eq 0 ]; then ok shutdown; else not_ok shutdown "status $stopped" server.log; fi

if command -v redis-check-rdb >/dev/null; then
	if redis-check-rdb dump.rdb >rdb.out 2>&1 && grep -q 'RDB looks OK' rdb.out; then
		ok dump_is_whole
	else
		not_ok dump_is_whole 'redis-check-rdb' rdb.out
	fi
else
	skip dump_is_whole 'no redis-check-rdb'
fi
if start_server; then
	cli debug digest >digest.after 2>&1
	cli dbsize >>digest.after
	cli eval 'return {redis.call("get", "known:777"), redis.call("zrange", "z", 0, 20),
	    redis.call("lrange", "l3", 0, 20), redis.call("hget", "h5", "105")}' 0 >>digest.after
	if cmp -s digest.before digest.after && grep -q field105 digest.after; then
		ok dump_read_back
	else
		diff digest.before digest.after >diff.out
		not_ok dump_read_back 'differs from what was saved' diff.out
	fi
	cli flushall async >/dev/null
	stop_server
	if [ "$stopped" -eq 0 ]; then ok flush; else not_ok flush "status $stopped" server.log; fi
else
	not_ok dump_read_back 'the server does not start' server.log
fi
finish
