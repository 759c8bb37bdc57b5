#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fully static programs, on glibc and on musl.
. "$TRACT_SRC/test/harness/preload.sh"

static_tests()
{
	if ! echo 'int main(void) { return 0; }' | $CC -x c -static -o "$dir/probe" - 2> /dev/null; then
		skip 'a static program' 'no static libc'
		return
	fi
	build static -static "$TRACT_BUILD/lib/libtract.a" -pthread
	check 'a static program with malloc_trim and mallinfo2' "$dir/static"
}

# The library once more, by musl's compiler and out of the tree: the same whatever the build is.
musl_tests()
{
	if ! command -v musl-gcc > /dev/null; then
		skip 'musl' 'no musl-gcc'
		return
	fi
	mkdir "$dir/musl" && cd "$dir/musl" || exit 1
	if ! { "$TRACT_SRC/configure" CC=musl-gcc CFLAGS='-O1 -g' && make -j2; } > log 2>&1; then
		tail -n 20 log | sed 's/^/# /'
		verdict 'not ok' 'musl builds the library'
		return
	fi
	verdict ok 'musl builds the library'
	if musl-gcc -O1 -g -fno-builtin -static -o static "$TRACT_SRC/test/api/programs/static.c" \
	    lib/libtract.a && musl-gcc -O1 -g -fno-builtin -o shared \
	    "$TRACT_SRC/test/api/programs/static.c" -Llib -ltract -Wl,-rpath,"$dir/musl/lib"; then
		check 'a static program on musl' ./static
		check 'a shared program on musl' ./shared
	else
		verdict 'not ok' 'programs link on musl'
	fi
}

static_tests
! is_plain_build || musl_tests
finish
