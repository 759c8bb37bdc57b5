# SPDX-License-Identifier: MIT
#
# What the scripts of this folder share; each sources it in its second line of code:
#
#	LIMIT=60	# seconds the whole script may take; set it before
#	. "$(dirname "$0")/lib.sh"
#
# TRACT_LIB is the library to preload; TRACT_COMPAT the folder of libjemalloc.so.2, as `make
# install-jemalloc-compat' makes it, for programs that link that name.  A script prints
# `ok NAME', `not ok NAME' or `skip NAME reason' per check and exits 1 if one failed.  It
# works in $tmp, which is the current folder and is removed at the end.
set -u
: "${TRACT_LIB:?names the library to preload}"

# Every script runs itself again under timeout(1), which takes the whole process group with it.
# The mark is the process id, so that one inherited from elsewhere does not count.
if [ "${APP_LIMITED:-}" != $$ ]; then
	command -v timeout >/dev/null || { echo "not ok $0: no timeout(1)"; exit 1; }
	here=$(cd "$(dirname "$0")" && pwd)
	tract_lib=$(cd "$(dirname "$TRACT_LIB")" && pwd)/$(basename "$TRACT_LIB")
	TRACT_LIB=$tract_lib \
	    timeout -k 5 "$LIMIT" sh -c 'APP_LIMITED=$$; export APP_LIMITED; exec sh "$@"' \
	    sh "$here/$(basename "$0")"
	status=$?
	if [ $status -eq 124 ] || [ $status -eq 137 ]; then
		echo "not ok $(basename "$0" .sh): still running after $LIMIT s"
		status=1
	fi
	exit $status
fi

LC_ALL=C
TZ=UTC
export LC_ALL TZ
PATH=$PATH:/usr/sbin:/sbin
export PATH
unset LD_PRELOAD LD_LIBRARY_PATH APP_LIMITED
app=$(basename "$0" .sh)
failed=0
tmp=$(mktemp -d) || exit 1
cleanup_extra() { :; }  # A script that starts a server redefines it.
cleanup() {
	cleanup_extra
	cd /
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
cd "$tmp" || exit 1
mkdir home
HOME=$tmp/home
export HOME

ok() { echo "ok $app/$1"; }
skip() { echo "skip $app/$1 $2"; }
# not_ok NAME WHAT [FILE]: FILE's last lines follow, indented.
not_ok() {
	failed=1
	echo "not ok $app/$1: $2"
	[ $# -lt 3 ] || tail -n 20 "$3" 2>/dev/null | sed 's/^/	/'
}
finish() { exit $failed; }

# need PROGRAM: the whole script is skipped where it is missing.
need() {
	command -v "$1" >/dev/null || { skip all "no $1"; exit 0; }
}

# preloaded COMMAND...: run it on the library.
preloaded() { env LD_PRELOAD="$TRACT_LIB" "$@"; }

# need_compat PROGRAM: one that links libjemalloc.so.2, for compat.
need_compat() {
	need "$1"
	[ -f "${TRACT_COMPAT:-}/libjemalloc.so.2" ] ||
		{ skip all 'TRACT_COMPAT names no folder with libjemalloc.so.2'; exit 0; }
	grep -qF '<tract>' "$TRACT_COMPAT/libjemalloc.so.2" ||
		{ not_ok all "$TRACT_COMPAT has another libjemalloc.so.2"; exit 1; }
	ldd "$(command -v "$1")" 2>/dev/null | grep -q 'libjemalloc\.so\.2' ||
		{ skip all "$1 does not link libjemalloc.so.2 here"; exit 0; }
}

# compat COMMAND...: run it with tract under that name.
compat() { env LD_LIBRARY_PATH="$TRACT_COMPAT" "$@"; }

# start_compat COMMAND...: the same in the background; its process is $server.
start_compat() {
	env LD_LIBRARY_PATH="$TRACT_COMPAT" "$@" &
	server=$!
}

# runs_on_compat NAME PID: the process has loaded tract, and no other allocator beside it.
runs_on_compat() {
	grep -oE '/[^ ]*lib(jemalloc|tcmalloc|mimalloc)[^ /]*$' "/proc/$2/maps" |
	    sort -u >loaded.out
	if [ "$(cat loaded.out)" = "$(readlink -f "$TRACT_COMPAT/libjemalloc.so.2")" ]; then
		ok "$1"
	else
		not_ok "$1" "process $2 has other libraries than tract" loaded.out
	fi
}

# wait_for COMMAND...: until it succeeds, up to a minute.
wait_for() {
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

# A port of the loopback interface that nobody has, and none that the system gives to a client before
# the server that is to have it comes.
free_port() {
	python3 -c 'import random, socket
for port in random.sample(range(20000, 32000), 100):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break'
}

# A library that the loader cannot load is only a warning to it, and everything would pass.
if ! preloaded cat /proc/self/maps | grep -qF "$(readlink -f "$TRACT_LIB")"; then
	not_ok preload "$TRACT_LIB is not loaded"
	exit 1
fi

# check NAME COMMAND...: on the library it ends with 0, and no line of the allocator's appears.
check() {
	name=$1
	shift
	preloaded "$@" >check.out 2>&1 </dev/null
	status=$?
	if [ $status -ne 0 ]; then
		not_ok "$name" "status $status" check.out
	elif grep -q '^<tract>' check.out; then
		not_ok "$name" 'the allocator complained' check.out
	else
		ok "$name"
	fi
}

# compare NAME COMMAND...: the same status (0) and the same output as on libc, stderr included.
# Standard input is $input if that is set.
compare() {
	name=$1
	shift
	"$@" >libc.out 2>libc.err <"${input:-/dev/null}"
	libc_status=$?
	preloaded "$@" >tract.out 2>tract.err <"${input:-/dev/null}"
	status=$?
	if [ $libc_status -ne 0 ]; then
		not_ok "$name" "status $libc_status on libc already" libc.err
	elif [ $status -ne 0 ]; then
		not_ok "$name" "status $status" tract.err
	elif ! cmp -s libc.out tract.out; then
		diff libc.out tract.out >diff.out
		not_ok "$name" 'the output differs from libc' diff.out
	elif ! cmp -s libc.err tract.err; then
		diff libc.err tract.err >diff.out
		not_ok "$name" 'stderr differs from libc' diff.out
	else
		ok "$name"
	fi
}
