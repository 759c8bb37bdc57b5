#!/bin/sh
# SPDX-License-Identifier: MIT
# MariaDB on the preloaded library: it asks mallctl which allocator it has, and says so.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need mariadbd
need mariadb-install-db
need mariadb

server=
cleanup_extra() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null; }
socket=$tmp/socket
user=$(id -un)
sql() { mariadb --no-defaults --socket="$socket" -u root -N -B "$@"; }

if ! mariadb-install-db --no-defaults --user="$user" --datadir="$tmp/data" --skip-test-db \
    --auth-root-authentication-method=normal --innodb-log-file-size=8M >install.log 2>&1; then
	not_ok install 'no data folder, on libc' install.log
	finish
fi
env LD_PRELOAD="$TRACT_LIB" mariadbd --no-defaults --user="$user" --datadir="$tmp/data" \
    --socket="$socket" --skip-networking --pid-file="$tmp/pid" --tmpdir="$tmp" \
    --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0 \
    >server.log 2>&1 &
server=$!
if ! wait_for sql -e 'select 1'; then
	not_ok start 'the server does not answer' server.log
	finish
fi
library=$(sql -e 'select @@version_malloc_library')
case $library in
*jemalloc*tract-*) ok version_malloc_library ;;
*) not_ok version_malloc_library "it says: $library" ;;
esac

cat >work.sql <<'END'
create table item (id int primary key, name varchar(200), body blob, key (name)) engine=innodb;
insert into item select seq, concat('name ', seq * 7919 % 100003, repeat('x', seq % 90)),
    repeat(char(65 + seq % 26), seq % 3000) from seq_1_to_20000;
select count(*), sum(length(body)), min(name), max(name) from item;
select substr(name, 1, 8) as n, group_concat(id order by id separator ' ') from item
    group by n order by n limit 50;
select count(*) from item a join item b on b.name = a.name join item c on c.id = b.id + 1;
update item set body = concat(body, body) where id % 5 = 0;
delete from item where id % 7 = 3;
select md5(group_concat(id, md5(body) order by id)) from item where id < 3000;
create temporary table t engine=memory as select id, name from item where id % 3 = 0;
select count(*), max(length(name)) from t;
select json_arrayagg(id) from item where id < 500;
check table item;
END
sql -e 'create database work'
if sql work <work.sql >work.out 2>&1 && grep -q '^20000' work.out &&
    tail -n 1 work.out | grep -q 'OK$'; then
	ok statements
else
	not_ok statements 'failed' work.out
fi
# Many connections, each a thread of the server.
clients=
for i in $(seq 16); do
	for j in $(seq 30); do
		echo "select count(*), max(name) from item where id between $((i * j)) and $((i * j + 900));"
	done >"client.$i"
	sql work <"client.$i" >"answer.$i" 2>&1 &
	clients="$clients $!"
done
wait $clients
lines=$(cat answer.* | wc -l)
if [ "$lines" -eq 480 ] && ! grep -q ERROR answer.*; then
	ok connections
else
	not_ok connections "$lines answers of 480" answer.1
fi
sql -e shutdown >/dev/null 2>&1
wait $server
status=$?
server=
if [ $status -eq 0 ] && ! grep -q '<tract>' server.log; then
	ok shutdown
else
	not_ok shutdown "status $status" server.log
fi
finish
