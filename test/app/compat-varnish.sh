#!/bin/sh
# SPDX-License-Identifier: MIT
# Varnish: serves from a back end, and then from its cache, whose objects are malloc's.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need_compat varnishd
need varnishadm
need varnishstat
need curl
need python3
need gcc

server= backend=
cleanup_extra() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	[ -z "$backend" ] || kill -9 "$backend" 2>/dev/null
	[ -z "$server" ] || { wait_for not_running "$server"; kill -9 "$server" 2>/dev/null; }
}
not_running() { ! kill -0 "$1" 2>/dev/null; }
port=$(free_port)
back=$(free_port)
files=400

# Sizes from nothing to a megabyte.
mkdir www
python3 - $files <<'END'
import random, sys
random.seed(7)
for i in range(int(sys.argv[1])):
    size = random.choice((0, 40, 700, 5000, 30000, 200000, 1000000 if i % 10 == 0 else 100))
    with open("www/f%d" % i, "wb") as f:
        f.write(random.randbytes(size))
END
python3 -m http.server -d www -b 127.0.0.1 "$back" >backend.log 2>&1 &
backend=$!
if ! wait_for curl -fs "http://127.0.0.1:$back/f1"; then
	not_ok backend 'does not answer' backend.log
	finish
fi

start_compat varnishd -j none -F -n "$tmp/varnish" -a "127.0.0.1:$port" -b "127.0.0.1:$back" \
    -s malloc,64m -t 600 -p thread_pool_min=10 >server.log 2>&1
if ! wait_for curl -fs "http://127.0.0.1:$port/f0"; then
	not_ok start 'it does not answer' server.log
	finish
fi
runs_on_compat loaded $server
child=$(cat /proc/$server/task/*/children | awk '{ print $1; exit }')
runs_on_compat loaded_in_child "$child"

fetch() {
	mkdir "$1"
	curl -fsSZ --parallel-max 20 -o "$1/f#1" "http://127.0.0.1:$port/f[0-$((files - 1))]"
}
for round in first second third; do
	if fetch $round >$round.out 2>&1 && diff -r www $round >>$round.out 2>&1; then
		ok $round
	else
		not_ok $round 'other bytes than the back end has' $round.out
	fi
done
curl -fs -o body -D hit.headers "http://127.0.0.1:$port/f3"
if grep -qiE '^X-Varnish: [0-9]+ [0-9]+' hit.headers && grep -qi '^Age: ' hit.headers &&
    cmp -s body www/f3; then
	ok hit
else
	not_ok hit 'not from the cache' hit.headers
fi
hits=$(compat varnishstat -n "$tmp/varnish" -1 -f MAIN.cache_hit | awk '{ print $2 }')
asked=$(grep -c '"GET ' backend.log)
if [ "${hits:-0}" -ge $files ] && [ "$asked" -le $((2 * files)) ]; then
	ok cached
else
	not_ok cached "$hits hits; the back end was asked $asked times"
fi

# What is banned is freed and fetched anew.
if compat varnishadm -n "$tmp/varnish" ban 'req.url ~ .' >ban.out 2>&1 &&
    fetch fourth >>ban.out 2>&1 && diff -r www fourth >>ban.out 2>&1; then
	ok ban
else
	not_ok ban 'after a ban' ban.out
fi
kill "$server"
wait "$server"
server=
if grep -q '<tract>\|[Pp]anic\|Assert error' server.log; then
	not_ok stop 'the log' server.log
else
	ok stop
fi
finish
