# SPDX-License-Identifier: MIT
#
# preload.sh -- for the scripts of test/api: build a program of test/api/programs and run it on tract.
#
# Sourced; TRACT_SRC, TRACT_BUILD, TRACT_LIB, TRACT_PREFIX and CC come from test/harness/run.
#
#	build NAME [FLAG...]         programs/NAME.c to $dir/NAME
#	preloaded COMMAND ARG...     run it with tract as its malloc
#	check TITLE COMMAND ARG...   one test: the command must succeed
#	dies TITLE TEXT COMMAND...   one test: killed by SIGABRT, TEXT in the first line of its stderr
#	skip TITLE WHY               one test that cannot run here
#	finish                       exit with the verdict
#	is_plain_build               is it a release build by the usual compiler?
#	plain_build_only             the script exits, skipped, if not: what it tests is the same in all

CC=${CC:-cc}
library=${TRACT_LIB:-$TRACT_BUILD/lib/libtract.so.1}
dir=$(mktemp -d "${TMPDIR:-/tmp}/tract-api.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
failed=0
ulimit -c 0

if [ -n "$TRACT_PREFIX" ]; then
	echo "a library with a public prefix is nobody's malloc"
	exit 77
fi

is_plain_build()
{
	grep -q '^#define CONFIG_DEBUG 0' "$TRACT_BUILD/src/tract_config.h" && [ "${CC#*clang}" = "$CC" ]
}

plain_build_only()
{
	is_plain_build && return
	echo 'the same in every flavour: release runs it'
	exit 77
}

build()
{
	name=$1
	shift
	$CC -std=gnu11 -O1 -g -Wall -Wextra -fno-builtin -pthread -o "$dir/$name" \
	    "$TRACT_SRC/test/api/programs/$name.c" "$@" || exit 1
}

preloaded()
{
	LD_PRELOAD="$library" "$@"
}

verdict()
{
	n=$((n + 1))
	echo "$1 $n - $2"
	[ "$1" = ok ] || failed=1
}

check()
{
	title=$1
	shift
	"$@" > "$dir/output" 2>&1
	status=$?
	sed 's/^/# /' "$dir/output"
	if [ $status -eq 0 ]; then
		verdict ok "$title"
	else
		echo "# exit status $status"
		verdict 'not ok' "$title"
	fi
}

dies()
{
	title=$1 text=$2
	shift 2
	"$@" > "$dir/output" 2>&1
	status=$?
	sed 's/^/# /' "$dir/output"
	if [ $status -eq 134 ] && head -n 1 "$dir/output" | grep -qF -e "$text"; then
		verdict ok "$title"
	else
		echo "# exit status $status, expected in the first line: $text"
		verdict 'not ok' "$title"
	fi
}

skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

finish()
{
	echo "1..$n"
	exit $failed
}
