#!/bin/sh
# SPDX-License-Identifier: MIT
# About 500 MB of rows and indexes pushed through a database.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need sqlite3

cat >churn.sql <<'END'
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -40000;
PRAGMA temp_store = MEMORY;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, weight REAL, body BLOB);
CREATE TABLE link (a INTEGER, b INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
	INSERT INTO item SELECT i, printf('name %d %x', i * 7919 % 100003, i), i * 0.37,
	    printf('%.*c', 100 + i * 31 % 1500, 'x') FROM n;
CREATE INDEX item_name ON item (name);
CREATE INDEX item_weight ON item (weight, name);
INSERT INTO link SELECT id, id * 104729 % 120000 + 1, name || ' to it' FROM item;
CREATE INDEX link_b ON link (b);
SELECT count(*), sum(length(body)), min(name), max(name) FROM item;
UPDATE item SET body = body || body WHERE id % 4 = 0;
DELETE FROM item WHERE id % 7 = 3;
UPDATE item SET name = upper(name) WHERE id % 5 = 1;
SELECT count(*), sum(length(body)), min(name), max(name) FROM item;
SELECT i.name, count(*), group_concat(l.note, ';') FROM link l JOIN item i ON i.id = l.b
	GROUP BY i.name ORDER BY count(*) DESC, i.name LIMIT 200;
CREATE TABLE copy AS SELECT name, group_concat(id) AS ids, sum(length(body)) AS size
	FROM item GROUP BY substr(name, 1, 8);
SELECT count(*), sum(length(ids)), sum(size) FROM copy;
SELECT json_group_array(json_object('id', id, 'name', name, 'weight', weight))
	FROM (SELECT * FROM item ORDER BY weight DESC LIMIT 5000);
WITH RECURSIVE walk(id, depth) AS (VALUES (1, 0) UNION SELECT l.b, depth + 1 FROM walk, link l
	WHERE l.a = walk.id AND depth < 3000) SELECT count(*), sum(id) FROM walk;
VACUUM;
DROP TABLE copy;
PRAGMA integrity_check;
SELECT hex(substr(body, 1, 4)), count(*) FROM item GROUP BY 1;
END
for place in memory file; do
	input=churn.sql
	rm -f churn.db
	[ $place = memory ] && database=:memory: || database=churn.db
	# The file is made anew for each of the two runs.
	compare churn_in_$place sh -c 'rm -f churn.db; exec sqlite3 "$1"' sh $database
done
input=
if [ "$(wc -c <tract.out)" -lt 100000 ]; then
	not_ok size 'the script printed too little' tract.out
else
	ok size
fi
compare dump_read_back sh -c 'sqlite3 churn.db .dump | sqlite3 :memory: \
    "SELECT 1" "PRAGMA integrity_check" && sqlite3 churn.db .dump | cksum'
finish
