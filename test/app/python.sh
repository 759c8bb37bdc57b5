#!/bin/sh
# SPDX-License-Identifier: MIT
# CPython's own tests; PYTHONMALLOC=malloc makes every object a malloc.
LIMIT=480
. "$(dirname "$0")/lib.sh"

python=/usr/bin/python3  # Debian's: the tests must be of the same build.
need $python
PYTHONMALLOC=malloc
PYTHONDONTWRITEBYTECODE=1
PYTHONHASHSEED=0
export PYTHONMALLOC PYTHONDONTWRITEBYTECODE PYTHONHASHSEED

cat >work.py <<'END'
import collections, hashlib, random
r = random.Random(42)
words = ["%x" % r.getrandbits(r.randrange(8, 400)) for _ in range(60000)]
table = collections.defaultdict(list)
for w in words:
    table[w[:2]].append(w)
for _ in range(30):
    for k in list(table)[::3]:
        del table[k]
    for w in r.sample(words, 8000):
        table[w[:2]].append(w * r.randrange(1, 4))
h = hashlib.sha256()
for k in sorted(table):
    h.update(repr(sorted(table[k])).encode())
print(len(table), h.hexdigest())
END
compare work $python work.py

if ! $python -c 'import test.test_dict' 2>/dev/null; then
	skip tests 'no test package (libpython3-testsuite)'
	finish
fi
for name in list dict set json threading multiprocessing_fork gc; do
	check "test_$name" $python -m test --timeout 120 --tempdir "$tmp" "test_$name"
done
finish
