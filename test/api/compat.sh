#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What `make install' and `make install-jemalloc-compat' put down: a program that looks for jemalloc
# finds all it needs, in every way in which programs look, and nothing of it stays behind.
. "$TRACT_SRC/test/harness/preload.sh"

root=$dir/root
compat=$root/lib/tract/compat
version=$(sed -n 's/^#define JEMALLOC_VERSION "\(.*\)"/\1/p' "$TRACT_BUILD/include/jemalloc/jemalloc.h")
source=$TRACT_SRC/test/api/programs/compat.c
warnings='-Wall -Wextra -Werror'

# Of the build folder, as a user calls it: not a part of the make that runs this test.
make_there()
{
	(unset MAKEFLAGS MAKELEVEL MFLAGS && cd "$TRACT_BUILD" && make -s "$@" > "$dir/make.log" 2>&1) ||
	    { cat "$dir/make.log"; return 1; }
}

# same TITLE EXPECTED COMMAND...: one test: the command prints exactly that.
same()
{
	title=$1 expected=$2
	shift 2
	got=$("$@" 2>&1)
	if [ "$got" = "$expected" ]; then
		verdict ok "$title"
	else
		printf '%s\n' "got: $got" "expected: $expected" | sed 's/^/# /'
		verdict 'not ok' "$title"
	fi
}

installed()
{
	(cd "$1" && find . ! -type d | sort)
}

# ---------------------------------------------------------------- the files

check 'it is installed' make_there install install-jemalloc-compat prefix="$root"
same 'the directory of its own has what jemalloc installs' './bin/jemalloc-config
./bin/jemalloc.sh
./include/jemalloc/jemalloc.h
./lib/libjemalloc.a
./lib/libjemalloc.so
./lib/libjemalloc.so.2
./lib/libjemalloc_pic.a
./lib/pkgconfig/jemalloc.pc
./share/man/man3/jemalloc.3' installed "$compat"

nothing_outside()
{
	! find "$root" -path "$compat" -prune -o -name '*jemalloc*' ! -name 'tract_jemalloc*' -print | grep .
}
check 'nothing with that name lies beside it' nothing_outside

dynamic()
{
	readelf -d "$compat/lib/libjemalloc.so.2" | sed -n "s/.*($1).*\[\(.*\)\]/\1/p"
}
same 'the soname is libjemalloc.so.2' libjemalloc.so.2 dynamic SONAME
same 'libc is all it needs' libc.so.6 dynamic NEEDED

static_tls()
{
	readelf -d "$compat/lib/libjemalloc.so.2" | grep -w STATIC_TLS
}
grep -q 'CONFIG_TLS_IE 1' "$TRACT_BUILD/src/tract_config.h" &&
    check 'its thread-local storage is static' static_tls

# ---------------------------------------------------------------- its interface

names()
{
	nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort
}

missing()
{
	names "$1" > "$dir/theirs" && names "$compat/lib/libjemalloc.so.2" > "$dir/ours"
	! comm -23 "$dir/theirs" "$dir/ours" | grep .
}

theirs=$(ls /usr/lib/*/libjemalloc.so.2 2> /dev/null | head -n 1)
if [ -n "$theirs" ]; then
	check "no symbol of Debian's library is missing" missing "$theirs"
else
	skip "no symbol of Debian's library is missing" 'no libjemalloc2'
fi

# abidiff's status is a set: 4 is a change of any kind, 8 an incompatible one, 1 and 2 errors.
abidiff_says_compatible()
{
	abidiff "$theirs" "$compat/lib/libjemalloc.so.2" > "$dir/abi"
	[ $? -le 4 ] && grep summary "$dir/abi" && ! grep -E 'summary: [1-9][0-9]* Removed' "$dir/abi"
}
if [ -n "$theirs" ] && command -v abidiff > /dev/null; then
	check 'abidiff names no removed function or variable' abidiff_says_compatible
else
	skip 'abidiff names no removed function or variable' 'no abidiff or no libjemalloc2'
fi

# ---------------------------------------------------------------- ways to find it

# found_by TITLE FLAGS...: the program, compiled and linked with these flags, runs on it.
found_by()
{
	title=$1
	shift
	try()
	{
		$CC -std=gnu11 $warnings -o "$dir/found" "$source" "$@" && "$dir/found"
	}
	check "$title" try "$@"
}

rpath=-Wl,-rpath,$compat/lib
if command -v pkg-config > /dev/null; then
	export PKG_CONFIG_PATH="$compat/lib/pkgconfig:$root/lib/pkgconfig"
	found_by 'by pkg-config' $(pkg-config --cflags --libs jemalloc) $rpath
	found_by 'by pkg-config, static' -static $(pkg-config --static --cflags --libs jemalloc)
	same 'pkg-config knows its version' "$version" pkg-config --modversion jemalloc
	same 'pkg-config knows its prefix' '' pkg-config --variable=jemalloc_prefix jemalloc
	same 'pkg-config knows its suffix' '' pkg-config --variable=install_suffix jemalloc
	cat > "$dir/own.c" <<-'END'
		#include <tract/tract.h>
		int main(void) { return mallocx(1, 0) == NULL; }
	END
	own()
	{
		$CC -o "$dir/own" "$dir/own.c" $(pkg-config --cflags --libs tract) \
		    -Wl,-rpath,"$root/lib" && "$dir/own"
	}
	check 'tract itself by pkg-config' own
else
	skip 'by pkg-config' 'no pkg-config'
fi

config=$compat/bin/jemalloc-config
found_by 'by jemalloc-config' -I"$($config --includedir)" -L"$($config --libdir)" $rpath -ljemalloc \
    $($config --libs)
same 'jemalloc-config knows its version' "$version" "$config" --version
same 'jemalloc-config knows the commit' "${version##*g}" "$config" --revision
same 'jemalloc-config knows the places' "$compat
$compat/bin
$compat/share
$compat/include
$compat/lib
$compat/share/man" "$config" --prefix --bindir --datadir --includedir --libdir --mandir

every_option()
{
	"$config" --config --cc --cflags --cppflags --cxxflags --ldflags --libs --help &&
	    ! "$config" --no-such-option && ! "$config"
}
check 'jemalloc-config knows every option, and what is none' every_option

found_by 'the archive' -I"$compat/include" "$compat/lib/libjemalloc.a" -pthread
found_by 'the archive, all of it static' -I"$compat/include" -static "$compat/lib/libjemalloc.a" \
    -pthread

in_a_library()
{
	$CC -std=gnu11 -shared -fPIC -Dmain=compat_main -I"$compat/include" -o "$dir/libuser.so" \
	    "$source" "$compat/lib/libjemalloc_pic.a" &&
	    echo 'int compat_main(void); int main(void) { return compat_main(); }' > "$dir/main.c" &&
	    $CC -o "$dir/main" "$dir/main.c" -L"$dir" -luser -Wl,-rpath,"$dir" && "$dir/main"
}
check 'the archive in a shared library' in_a_library

# A program linked with one library runs on the other.
if [ -n "$theirs" ]; then
	ours_for_theirs()
	{
		$CC -std=gnu11 -I"$compat/include" -o "$dir/swapped" "$source" "$theirs" &&
		    LD_LIBRARY_PATH="$compat/lib" "$dir/swapped"
	}
	check "a program linked with Debian's library, through LD_LIBRARY_PATH" ours_for_theirs
fi

build probe
check 'without it, nobody takes it to be in use' "$dir/probe" not
check 'probes of folly and RocksDB, by jemalloc.sh' "$compat/bin/jemalloc.sh" "$dir/probe"
check 'probes of folly and RocksDB, preloaded' preloaded "$dir/probe"
build probe -L"$compat/lib" $rpath -ljemalloc
check 'probes of folly and RocksDB, linked' "$dir/probe"
build probe "$compat/lib/libjemalloc.a"
check 'probes of folly and RocksDB, linked statically' "$dir/probe"

# ---------------------------------------------------------------- the header

# mode TITLE COMPILER FLAGS...: the program compiles without a warning and runs.
mode()
{
	title=$1
	shift
	try()
	{
		"$@" $warnings -I"$compat/include" -o "$dir/mode" "$source" -L"$compat/lib" $rpath \
		    -ljemalloc && "$dir/mode"
	}
	check "$title" try "$@"
}

header_modes()
{
	for mode in '' -DJEMALLOC_MANGLE -DJEMALLOC_NO_DEMANGLE '-DJEMALLOC_NO_RENAME -DP='; do
		for cc in gcc clang; do
			command -v $cc > /dev/null || continue
			mode "$cc${mode:+, $mode}" $cc -std=gnu11 $mode
			mode "$cc, strict${mode:+, $mode}" $cc -std=c99 -pedantic -D_GNU_SOURCE $mode
		done
		for cxx in g++ clang++; do
			command -v $cxx > /dev/null || continue
			for std in gnu++98 gnu++20; do
				mode "$cxx $std${mode:+, $mode}" $cxx -x c++ -std=$std $mode
				mode "$cxx $std after mm_malloc.h${mode:+, $mode}" $cxx -x c++ -std=$std \
				    -DMM_MALLOC_FIRST $mode
			done
		done
	done
}

# Weak declarations as RocksDB has them, after the header; both headers in one file.
weak_declarations()
{
	cat > "$dir/weak.cc" <<-'END'
		#include <mm_malloc.h>
		#include <jemalloc/jemalloc.h>
		#include <tract/tract.h>
		#include <jemalloc/jemalloc.h>
		#define WEAK __attribute__((__weak__))
		extern "C" JEMALLOC_EXPORT JEMALLOC_ALLOCATOR JEMALLOC_RESTRICT_RETURN void JEMALLOC_NOTHROW *
		mallocx(size_t, int) JEMALLOC_ATTR(malloc) JEMALLOC_ALLOC_SIZE(1) WEAK;
		extern "C" JEMALLOC_EXPORT JEMALLOC_ALLOCATOR JEMALLOC_RESTRICT_RETURN void JEMALLOC_NOTHROW *
		rallocx(void *, size_t, int) JEMALLOC_ALLOC_SIZE(2) WEAK;
		extern "C" JEMALLOC_EXPORT size_t JEMALLOC_NOTHROW xallocx(void *, size_t, size_t, int) WEAK;
		extern "C" JEMALLOC_EXPORT size_t JEMALLOC_NOTHROW sallocx(const void *, int)
		    JEMALLOC_ATTR(pure) WEAK;
		extern "C" JEMALLOC_EXPORT void JEMALLOC_NOTHROW dallocx(void *, int) WEAK;
		extern "C" JEMALLOC_EXPORT void JEMALLOC_NOTHROW sdallocx(void *, size_t, int) WEAK;
		extern "C" JEMALLOC_EXPORT size_t JEMALLOC_NOTHROW nallocx(size_t, int)
		    JEMALLOC_ATTR(pure) WEAK;
		extern "C" JEMALLOC_EXPORT int JEMALLOC_NOTHROW mallctl(const char *, void *, size_t *,
		    void *, size_t) WEAK;
		extern "C" JEMALLOC_EXPORT int JEMALLOC_NOTHROW mallctlnametomib(const char *, size_t *,
		    size_t *) WEAK;
		extern "C" JEMALLOC_EXPORT int JEMALLOC_NOTHROW mallctlbymib(const size_t *, size_t, void *,
		    size_t *, void *, size_t) WEAK;
		extern "C" JEMALLOC_EXPORT void JEMALLOC_NOTHROW malloc_stats_print(
		    void (*)(void *, const char *), void *, const char *) WEAK;
		extern "C" JEMALLOC_EXPORT size_t JEMALLOC_NOTHROW malloc_usable_size(
		    JEMALLOC_USABLE_SIZE_CONST void *) JEMALLOC_CXX_THROW WEAK;
		int main()
		{
			extent_hooks_t hooks = extent_hooks_t();
			extent_alloc_t *alloc = hooks.alloc;
			return alloc != NULL || &mallocx == NULL || &malloc_usable_size == NULL;
		}
	END
	for cxx in g++ clang++; do
		command -v $cxx > /dev/null || continue
		for std in gnu++98 gnu++17; do
			$cxx -std=$std $warnings -Wno-address -Wno-tautological-pointer-compare \
			    -I"$compat/include" -I"$root/include" -o "$dir/weak" "$dir/weak.cc" &&
			    "$compat/bin/jemalloc.sh" "$dir/weak" || return 1
		done
	done
}
# The header is the same whoever made the library.
if is_plain_build; then
	header_modes
	check 'weak declarations agree with both headers' weak_declarations
fi

# ---------------------------------------------------------------- CMake

cmake_project()
{
	mkdir -p "$dir/cmake" && cat > "$dir/cmake/CMakeLists.txt" <<-'END'
		cmake_minimum_required(VERSION 3.5)
		project(user C)
		find_package(tract 0.1 REQUIRED CONFIG)
		find_package(tract 99.0 QUIET CONFIG)
		if(tract_FOUND)
		  message(FATAL_ERROR "99.0 is there?")
		endif()
		find_package(tract REQUIRED CONFIG)
		add_executable(shared own.c)
		target_link_libraries(shared tract::tract)
		add_executable(static own.c)
		target_link_libraries(static tract::tract_static)
	END
	cp "$dir/own.c" "$dir/cmake" && (unset MAKEFLAGS MAKELEVEL &&
	    cmake -S "$dir/cmake" -B "$dir/cmake/build" -DCMAKE_PREFIX_PATH="$1" &&
	    cmake --build "$dir/cmake/build") && "$dir/cmake/build/shared" &&
	    "$dir/cmake/build/static" && ldd "$dir/cmake/build/shared" | grep "$1" &&
	    ! ldd "$dir/cmake/build/static" | grep libtract
}
if ! is_plain_build; then
	skip 'CMake finds tract' 'the same in every flavour: release runs it'
elif command -v cmake > /dev/null && [ -f "$dir/own.c" ]; then
	check 'CMake finds tract' cmake_project "$root"
	mv "$root" "$dir/elsewhere"
	rm -rf "$dir/cmake"
	check 'CMake finds tract where it was moved to' cmake_project "$dir/elsewhere"
	mv "$dir/elsewhere" "$root"
else
	skip 'CMake finds tract' 'no cmake'
fi

# ---------------------------------------------------------------- gone again

all_gone()
{
	make_there uninstall prefix="$root" && ! find "$root" ! -type d | grep . && [ ! -d "$compat" ]
}
check 'uninstalled, nothing is left' all_gone

staged()
{
	make_there install-jemalloc-compat prefix=/opt/x DESTDIR="$dir/stage" &&
	    grep -q '^libdir=/opt/x/lib/tract/compat/lib$' \
		"$dir/stage/opt/x/lib/tract/compat/lib/pkgconfig/jemalloc.pc" &&
	    make_there install_bin install_include install_lib install_doc prefix="$dir/direct" &&
	    [ -f "$dir/direct/lib/libjemalloc_pic.a" ] && [ -f "$dir/direct/include/jemalloc/jemalloc.h" ] &&
	    [ -f "$dir/direct/lib/pkgconfig/jemalloc.pc" ] && [ -x "$dir/direct/bin/jemalloc-config" ] &&
	    make_there uninstall_jemalloc prefix="$dir/direct" &&
	    ! find "$dir/direct" ! -type d | grep .
}
check 'DESTDIR is honoured; install_x puts into the prefix itself' staged

finish
