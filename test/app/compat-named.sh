#!/bin/sh
# SPDX-License-Identifier: MIT
# BIND: a zone served by several threads, reloaded and transferred.  It makes an arena for each kind
# of memory (arenas.create, mallocx with flags, arena.<i>.destroy).
LIMIT=240
. "$(dirname "$0")/lib.sh"
need_compat named
need dig
need rndc
need python3

server=
cleanup_extra() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null; }
port=$(free_port)
control=$(free_port)
hosts=3000

zone() {
	cat <<-END
	\$TTL 300
	@ IN SOA ns hostmaster $1 3600 600 86400 300
	@ IN NS ns
	@ IN MX 10 host1
	@ IN TXT "serial $1"
	ns IN A 127.0.0.1
	\$GENERATE 1-$hosts host\$ A 10.1.0.0
	\$GENERATE 1-$hosts host\$ TXT text-of-host-\$
	END
}
zone 1 >example.zone
zone 1 | sed '/GENERATE/d; /MX/d' >dynamic.zone
cat >key.conf <<'END'
key "control" { algorithm hmac-sha256; secret "dGhlIHNlY3JldCBvZiBhIHRlc3Q="; };
END
cat >named.conf <<END
include "$tmp/key.conf";
controls { inet 127.0.0.1 port $control allow { 127.0.0.1; } keys { "control"; }; };
options {
	directory "$tmp";
	listen-on port $port { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file "$tmp/named.pid";
	session-keyfile "$tmp/session.key";
	statistics-file "$tmp/named.stats";
	managed-keys-directory "$tmp";
	recursion no;
	dnssec-validation no;
	allow-transfer { 127.0.0.1; };
};
zone "example.test" { type primary; file "example.zone"; };
zone "dynamic.test" { type primary; file "dynamic.zone"; allow-update { 127.0.0.1; }; };
END
cat >rndc.conf <<END
include "$tmp/key.conf";
options { default-server 127.0.0.1; default-port $control; default-key "control"; };
END
ask() { compat dig +time=5 +tries=5 -p "$port" @127.0.0.1 "$@"; }
control() { compat rndc -c rndc.conf "$@"; }
serial_is() { [ "$(ask +short example.test SOA | cut -d' ' -f3)" = "$1" ]; }

# By another name, which no profile of the machine's confines to /etc/bind.
cp "$(command -v named)" server
compat named-checkconf named.conf >check.out 2>&1 || not_ok checkconf 'refused' check.out
start_compat ./server -g -n 4 -c named.conf >server.log 2>&1
if ! wait_for control status; then
	not_ok start 'rndc gets no answer' server.log
	finish
fi
runs_on_compat loaded $server

# Each host, by many clients at once, over UDP and TCP.  dig's remarks about a question that it had to
# ask again are no answers: on two busy processors datagrams are late with the system's own library
# too (in 5 of 60 runs; with tract serving in 6, with tract asking in 2).
seq -f 'host%.0f.example.test TXT' $hosts >questions
split -n l/4 questions part.
for part in part.*; do
	case $part in *a) transport=+tcp ;; *) transport=+notcp ;; esac
	ask +short $transport -f "$part" >"answer.$part" 2>&1 &
	clients="${clients:-} $!"
done
wait $clients
grep -hv '^;;' answer.* | sort -u >answers
seq -f '"text-of-host-%.0f"' $hosts | sort >expected
if cmp -s answers expected; then
	ok answers
else
	diff answers expected >diff.out
	not_ok answers 'not what the zone says' diff.out
fi

# The whole zone, twice.
for i in 1 2; do ask example.test AXFR | grep -c "^host.*10\.1\.0\.0$"; done >axfr.out 2>&1
if [ "$(tr '\n' ' ' <axfr.out)" = "$hosts $hosts " ]; then
	ok transfer
else
	not_ok transfer 'incomplete' axfr.out
fi

zone 2 >example.zone
if control reload >reload.out 2>&1 && wait_for serial_is 2 &&
    [ "$(ask +short example.test TXT)" = '"serial 2"' ]; then
	ok reload
else
	not_ok reload 'the new zone is not served' server.log
fi

# A record added while it runs.
if command -v nsupdate >/dev/null; then
	cat >update.in <<-END
	server 127.0.0.1 $port
	zone dynamic.test
	update add new.dynamic.test 60 A 10.9.9.9
	send
	END
	if compat nsupdate update.in >update.out 2>&1 &&
	    [ "$(ask +short new.dynamic.test)" = 10.9.9.9 ]; then
		ok update
	else
		not_ok update 'refused' update.out
	fi
else
	skip update 'no nsupdate'
fi

if control stats >stats.out 2>&1 && wait_for grep -q '^--- Statistics Dump ---' named.stats &&
    [ "$(awk '/QUERY$/ { print $1; exit }' named.stats)" -ge $hosts ]; then
	ok stats
else
	not_ok stats 'no statistics' stats.out
fi
if control flush >flush.out 2>&1 && control status | grep -q 'server is up'; then
	ok flush
else
	not_ok flush 'refused' flush.out
fi
control stop >stop.out 2>&1
wait $server
status=$?
server=
if [ $status -eq 0 ] && ! grep -q '<tract>\|assertion failure' server.log; then
	ok stop
else
	not_ok stop "status $status" server.log
fi
finish
