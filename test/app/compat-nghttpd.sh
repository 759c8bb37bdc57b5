#!/bin/sh
# SPDX-License-Identifier: MIT
# nghttp2's server and clients: HTTP/2 with many streams at once.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need_compat nghttpd
need nghttp
need h2load
need python3

server=
cleanup_extra() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null; }
port=$(free_port)
mkdir www
seq 200000 >www/big
seq 300 >www/small
: >www/empty

start_compat nghttpd --no-tls -n 4 -d "$tmp/www" "$port" >server.log 2>&1
url=http://127.0.0.1:$port
if ! wait_for sh -c "nghttp -n --stat $url/small | grep -q ' 200 '"; then
	not_ok start 'it does not answer' server.log
	finish
fi
runs_on_compat loaded $server

for file in big small empty; do
	if compat nghttp "$url/$file" >body 2>client.log && cmp -s body "www/$file"; then
		ok $file
	else
		not_ok $file 'other bytes' client.log
	fi
done
if command -v curl >/dev/null; then
	if curl -fsS --http2-prior-knowledge -o body "$url/big" >client.log 2>&1 &&
	    cmp -s body www/big; then
		ok curl
	else
		not_ok curl 'other bytes' client.log
	fi
fi

# The load generator links the library, too.
if compat h2load -n 20000 -c 20 -m 20 -t 2 "$url/small" >load.out 2>&1 &&
    grep -q '20000 succeeded, 0 failed, 0 errored' load.out &&
    grep -q 'status codes: 20000 2xx' load.out; then
	ok load
else
	not_ok load 'requests failed' load.out
fi
if compat h2load -n 200 -c 10 -m 10 "$url/big" >load.out 2>&1 &&
    grep -q '200 succeeded, 0 failed, 0 errored' load.out; then
	ok load_big
else
	not_ok load_big 'requests failed' load.out
fi
if kill -0 "$server" 2>/dev/null && ! grep -q '<tract>' server.log; then
	ok alive
else
	not_ok alive 'it is gone, or the allocator complained' server.log
fi
finish
