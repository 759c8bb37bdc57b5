#!/bin/sh
# SPDX-License-Identifier: MIT
#
# cxx -- the C++ operators in real programs: preloaded, linked, and static; with the library's
# operators, and with a program that replaces the two plain ones only.
#
# TRACT_SRC and TRACT_BUILD are the source and the build folder; CXX the compiler.
set -u
[ -z "${TRACT_PREFIX:-}" ] || { echo "# a prefixed library leaves C++ alone"; exit 77; }
cxx=${CXX:-c++}
command -v "$cxx" > /dev/null || { echo "# no C++ compiler"; exit 77; }
source=${TRACT_SRC:-.}/test/api/cxx/operators.cc
build=$(cd "${TRACT_BUILD:-.}" && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0

# check NAME COMMAND...: run it, and show what it says where it fails.
check()
{
	name=$1
	shift
	if "$@" > "$tmp/log" 2>&1; then
		echo "ok - cxx: $name"
	else
		echo "not ok - cxx: $name"
		sed 's/^/# /' "$tmp/log"
		status=1
	fi
}

for kind in plain REPLACED; do
	compile="$cxx -std=c++17 -O2 -Wno-sized-deallocation -D$kind $source"
	check "$kind compiles" $compile -o "$tmp/dynamic"
	check "$kind preloaded" env LD_PRELOAD="$build/lib/libtract.so.1" "$tmp/dynamic" libtract
	check "$kind compiles static" $compile -static -o "$tmp/static" "$build/lib/libtract.a"
	check "$kind static" "$tmp/static"
	check "$kind links the shared library" $compile -o "$tmp/linked" \
	    "$build/lib/libtract.so.1" -Wl,-rpath,"$build/lib"
	check "$kind linked" "$tmp/linked" libtract
done
exit $status
