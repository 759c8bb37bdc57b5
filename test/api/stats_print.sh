#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The forms of malloc_stats_print as others read them: JSON by python, with every key that the JSON
# of Debian's jemalloc has, of the same kind; the Prometheus form by a strict reader (and Debian's
# prometheus_client, where it is); and what a process prints at exit.
set -u
unset LD_PRELOAD MALLOC_CONF TRACT_SUMMARY_FD 2>/dev/null

library=${TRACT_LIB:?}
here=${TRACT_SRC:?}/test/api
cc=${CC:-cc}
if [ -n "${TRACT_PREFIX:-}" ]; then
	echo "skip stats_print: the library does not replace malloc"
	exit 0
fi
# Debian's own python3 sees Debian's packages.
python=python3
/usr/bin/python3 -c 'import prometheus_client' 2> /dev/null && python=/usr/bin/python3
if ! command -v $python > /dev/null; then
	echo "skip stats_print: no python3"
	exit 0
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0
check() { # NAME COMMAND...
	name=$1
	shift
	if "$@" > "$tmp/said" 2>&1; then
		echo "ok $name"
		grep '^#' "$tmp/said"
	else
		echo "not ok $name"
		sed 's/^/# /' "$tmp/said" | tail -n 20
		failed=1
	fi
}

cat > "$tmp/p.c" << 'END'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void malloc_stats_print(void (*write)(void *, const char *), void *opaque, const char *options);
static void put(void *opaque, const char *text)
{
	if (write(*(int *)opaque, text, strlen(text)) < 0)
		abort();
}
/* Uses memory, then prints its statistics: OPTIONS FILE, any number of them. */
int main(int argc, char **argv)
{
	static void *volatile kept[2000];
	for (int i = 0; i < 2000; i++) {
		kept[i] = malloc(37 * i);
		free(malloc(91 * i));
	}
	for (int i = 0; i < 2000; i += 2)
		free(kept[i]);
	for (int i = 1; i + 1 < argc; i += 2) {
		int fd = open(argv[i + 1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0)
			return 1;
		malloc_stats_print(put, &fd, argv[i]);
		close(fd);
	}
	return 0;
}
END
"$cc" -o "$tmp/p" "$tmp/p.c" "$library" -Wl,-rpath,"$(dirname "$library")" || exit 1
"$tmp/p" J "$tmp/json" P "$tmp/metrics" Pa "$tmp/metrics.all" Pblxeh "$tmp/metrics.few" \
    H "$tmp/summary" Jx "$tmp/1" Jgmdabl "$tmp/2" gmdablxehJ "$tmp/3" || exit 1

for file in json 1 2 3; do
	check "JSON $file is JSON to python" $python -c '
import json, sys
def once(pairs):
    keys = [k for k, _ in pairs]
    assert len(set(keys)) == len(keys), keys
    return dict(pairs)
report = json.load(open(sys.argv[1]), object_pairs_hook=once)
assert list(report) == ["jemalloc"], list(report)
' "$tmp/$file"
done

jemalloc=$(ldconfig -p 2> /dev/null | sed -n 's/.*libjemalloc\.so\.2.*=> //p' | head -n 1)
if [ -r "${jemalloc:-/nowhere}" ]; then
	"$cc" -o "$tmp/j" "$tmp/p.c" "$jemalloc" && "$tmp/j" J "$tmp/theirs"
	check "every key of jemalloc's JSON is there, of the same kind" \
	    $python "$here/json_keys.py" "$tmp/theirs" "$tmp/json"
else
	echo "skip keys of jemalloc's JSON: no libjemalloc.so.2"
fi

check "the Prometheus form is right, and agrees with JSON" \
    $python "$here/prometheus.py" "$tmp/metrics" "$tmp/json"
check "with all arenas together" $python "$here/prometheus.py" "$tmp/metrics.all"
check "and they are under one label" grep -q 'arena_active_bytes{arena="all"}' "$tmp/metrics.all"
check "with parts left out" $python "$here/prometheus.py" "$tmp/metrics.few"
check "which are" test -z "$(grep -E '^tract_(bin|large|mutex|extents|hpa)' "$tmp/metrics.few")"
n=0
for wrong in 's/^# TYPE tract_allocated_bytes gauge$//' 's/_total counter/_total gauge/' \
    's/^\(tract_active_bytes.*\)/\1\n\1/' 's/tract_resident_bytes/tract_resident_pages/' \
    's/^\(tract_active_bytes\) .*/\1 x/'; do
	n=$((n + 1))
	sed "$wrong" "$tmp/metrics" > "$tmp/wrong"
	check "the reader refuses the wrong form $n" sh -c "! $python '$here/prometheus.py' '$tmp/wrong'"
done

check "the summary begins" grep -q '^___ Begin tract summary ___$' "$tmp/summary"
check "and adds up" awk '
	/live objects|rounding|free in|keep|dirty: |muzzy: |retained, but|metadata|other: / { sum += $NF; n++ }
	/= resident/ { total = $NF }
	END { exit !(n == 10 && sum == total && total > 0) }' "$tmp/summary"

at_exit() { MALLOC_CONF=stats_print:true,stats_print_opts:$1 "$tmp/p" 2> "$tmp/exit"; }
at_exit J
check "stats_print_opts:J prints JSON at exit" $python -m json.tool "$tmp/exit" "$tmp/pretty"
at_exit P
check "stats_print_opts:P metrics" $python "$here/prometheus.py" "$tmp/exit"
at_exit H
check "stats_print_opts:H a summary" grep -q '^___ Begin tract summary ___$' "$tmp/exit"
at_exit gmdablxe
check "and other letters leave parts out" test "$(wc -l < "$tmp/exit")" -lt 60
check "but not all" grep -q '^Allocated: [0-9]*, active: ' "$tmp/exit"
exit $failed
