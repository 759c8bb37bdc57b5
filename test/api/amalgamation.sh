#!/bin/sh
# SPDX-License-Identifier: MIT
#
# amalgamation -- tract as one tract.c and one tract.h compiles alone, without a warning; copies with
# different prefixes live in one process beside libc's malloc, and without a prefix it replaces that.
#
# TRACT_SRC is the source folder; CC and CXX are the compilers.  The files are the same whatever
# TRACT_BUILD was configured for, so only the plain build runs this; it has clang make one of them.
set -u
if grep -qE '^#define CONFIG_(PREFIXED|DEBUG) 1' "${TRACT_BUILD:-.}/src/tract_config.h" 2> /dev/null ||
    [ "${CC#*clang}" != "${CC:-}" ]; then
	echo '# tested by the plain build'
	exit 77
fi
src=$(cd "${TRACT_SRC:-.}" && pwd)
cc=${CC:-cc}
cxx=${CXX:-c++}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
status=0
# The test runner has one of its own.
unset TRACT_PREFIX MALLOC_CONF

# check NAME COMMAND...: run it, and show what it says where it fails.
check()
{
	name=$1
	shift
	if "$@" > log 2>&1; then
		echo "ok - amalgamation: $name"
	else
		echo "not ok - amalgamation: $name"
		head -n 12 log | sed 's/^/# /'
		status=1
	fi
}

# have COMMAND...: can it compile?
have()
{
	echo '#include <stdlib.h>
	int main(void) { return 0; }' | "$@" -x c -o probe - 2> /dev/null
}

strict='-std=gnu11 -Wall -Wextra -Werror'
other=$cc
have clang && other=clang
programs=$src/test/api/programs

check 'is written' "$src/scripts/amalgamate" .
check "a copy by $cc -O2" $cc $strict -O2 -g1 -DTRACT_PREFIX=foo_ -c -o foo.o tract.c
check "another by $other -O0" $other $strict -O0 -g1 -DTRACT_PREFIX=bar_ -c -o bar.o tract.c

# Two copies and libc's malloc in one process; it is run by the command given.
two_copies()
{
	for copy in foo bar; do
		$cc $strict -O1 -I. -DCOPY=$copy -DTRACT_PREFIX=${copy}_ -c -o table-$copy.o \
		    "$programs/amalgamation.c" || return 1
	done
	$cc $strict -O1 -pthread $static -o two "$programs/amalgamation.c" table-foo.o table-bar.o \
	    foo.o bar.o &&
	    FOO_MALLOC_CONF=narenas:3 BAR_MALLOC_CONF=narenas:5 MALLOC_CONF=narenas:7 "$@" ./two
}
static=''
check 'two copies and libc: options, objects, threads, fork' two_copies env

# Nothing but the prefix's names is defined for other files.
only_prefixed()
{
	nm -g --defined-only "$1.o" > names && grep -q " $1_malloc\$" names &&
	    ! awk '{ print $NF }' names | grep -v "^$1_"
}
if command -v nm > /dev/null; then
	check "every global name of $cc has the prefix" only_prefixed foo
	check "every global name of $other has the prefix" only_prefixed bar
else
	echo 'ok - amalgamation: global names # SKIP no nm'
fi

# It replaces malloc, in C and C++, shared and static.
check 'without a prefix' $cc $strict -O1 -g1 -c -o plain.o tract.c
replaces()
{
	$cc -O1 -fno-builtin -pthread "$@" -o replaced "$programs/static.c" plain.o && ./replaced
}
check 'it is the malloc of a program' replaces
if have $cc -static; then
	check 'it is the malloc of a static program' replaces -static
else
	echo 'ok - amalgamation: a static program # SKIP no static libc'
fi
operators()
{
	$cxx -std=c++17 -O2 -Wno-sized-deallocation -DREPLACED "$src/test/api/cxx/operators.cc" \
	    plain.o -o operators && ./operators operators
}
if command -v $cxx > /dev/null; then
	check 'it has the operators of C++' operators
	for define in TRACT_PREFIX=foo_ NO_PREFIX; do
		echo '#include "tract.h"' > header.cc
		check "tract.h in C++, $define" $cxx -Wall -Wextra -Wpedantic -Werror -D$define -I. \
		    -fsyntax-only header.cc
	done
else
	echo 'ok - amalgamation: C++ # SKIP no C++ compiler'
fi

check 'as a library, with assertions and the other quantum' $cc $strict -O1 -fPIC -fvisibility=hidden \
    -shared -DTRACT_PREFIX=foo_ -DTRACT_DEBUG=1 -DTRACT_LG_QUANTUM=3 -DTRACT_TLS_IE=0 \
    -DTRACT_MALLOC_CONF='"narenas:2"' -o libfoo.so tract.c -pthread

if have musl-gcc; then
	check 'by musl' musl-gcc $strict -O1 -c -o plain.o tract.c
	cc=musl-gcc
	check 'it is the malloc of a program on musl' replaces -static
else
	echo 'ok - amalgamation: musl # SKIP no musl-gcc'
fi

# Another processor, and pages of 16 KiB in tract's map.
cc=aarch64-linux-gnu-gcc static=-static
if have $cc -static && command -v qemu-aarch64-static > /dev/null; then
	check 'a copy for arm64' $cc $strict -O2 -DTRACT_PREFIX=foo_ -c -o foo.o tract.c
	check 'another for arm64' $cc $strict -O0 -DTRACT_PREFIX=bar_ -c -o bar.o tract.c
	check 'two copies on arm64' two_copies qemu-aarch64-static
else
	echo 'ok - amalgamation: arm64 # SKIP no cross compiler or no emulator'
fi
exit $status
