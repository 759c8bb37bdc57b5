#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a process says when it ends: statistics with stats_print, one line on TRACT_SUMMARY_FD; and
# that its JSON report is JSON to a parser that is not ours.
set -u
unset LD_PRELOAD MALLOC_CONF TRACT_SUMMARY_FD 2>/dev/null

library=${TRACT_LIB:?}
cc=${CC:-cc}
if [ -n "${TRACT_PREFIX:-}" ]; then
	echo "skip exit: the library does not replace malloc"
	exit 0
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0
check() { # NAME COMMAND...
	name=$1
	shift
	if "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
		failed=1
	fi
}

cat > "$tmp/p.c" << 'END'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
void malloc_stats_print(void (*write)(void *, const char *), void *opaque, const char *options);
static void put(void *opaque, const char *text) { fputs(text, opaque); }
int main(int argc, char **argv)
{
	char *volatile p = malloc(1 << 20);
	if (argc > 1 && strcmp(argv[1], "json") == 0)
		malloc_stats_print(put, stdout, "J");
	/* The descriptor of the summary now leads to a file of ours. */
	if (argc > 1 && strcmp(argv[1], "reuse") == 0)
		dup2(open(argv[2], O_WRONLY | O_CREAT, 0600), atoi(getenv("TRACT_SUMMARY_FD")));
	if (argc > 1 && strcmp(argv[1], "fork") == 0 && fork() == 0)
		exit(0);
	if (argc > 1 && strcmp(argv[1], "fork") == 0)
		wait(NULL);
	return p == NULL;
}
END
"$cc" -o "$tmp/p" "$tmp/p.c" "$library" -Wl,-rpath,"$(dirname "$library")" || exit 1

MALLOC_CONF=stats_print:true "$tmp/p" > "$tmp/out" 2> "$tmp/err"
check "stats_print prints at exit, on stderr" grep -q '^___ Begin tract statistics ___$' "$tmp/err"
check "and to its end" grep -q '^--- End tract statistics ---$' "$tmp/err"
check "and nothing elsewhere" test ! -s "$tmp/out"
"$tmp/p" > "$tmp/out" 2> "$tmp/err"
check "without it nothing is said" test ! -s "$tmp/err" -a ! -s "$tmp/out"

if command -v python3 > /dev/null; then
	"$tmp/p" json > "$tmp/json"
	check "the report is JSON to python" python3 -m json.tool "$tmp/json" "$tmp/pretty"
	check "with one root" python3 -c "
import json, sys
r = json.load(open(sys.argv[1]))
s = r['jemalloc']['stats']
sys.exit(not (list(r) == ['jemalloc'] and 1 << 20 <= s['allocated'] <= s['active']))
" "$tmp/json"
	cat > "$tmp/summary.py" << 'END'
import os, re, subprocess, sys
program, mode, other = sys.argv[1:4]
fd = os.memfd_create(sys.argv[4], 0)
os.set_inheritable(fd, True)
subprocess.run([program, mode, other], check=True, pass_fds=[fd],
    env={**os.environ, 'TRACT_SUMMARY_FD': str(fd)})
os.lseek(fd, 0, 0)
lines = os.read(fd, 1 << 16).decode().splitlines()
row = r'pid=\d+ allocated=(\d+) active=\d+ resident=\d+ retained=\d+$'
good = [l for l in lines if re.match(row, l) and int(re.match(row, l).group(1)) >= 1 << 20]
print(len(lines), len(good))
END
	summary() { # MODE FILE-NAME EXPECTED
		test "$(python3 "$tmp/summary.py" "$tmp/p" "$1" "$tmp/other" "$2")" = "$3"
	}
	check "a summary line is written" summary none tract-summary "1 1"
	check "a child writes its own" summary fork tract-summary "2 2"
	check "not to a file of another name" summary none another "0 0"
	check "not to a file that the program opened" summary reuse tract-summary "0 0"
	check "which stays empty" test ! -s "$tmp/other"
fi
TRACT_SUMMARY_FD=2x "$tmp/p" 2> "$tmp/err"
check "a number that is none is ignored" test ! -s "$tmp/err"
exit $failed
