#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The clauses of dropin.c (its head has the table) that need programs of their own: preloaded, linked,
# static, forked, loaded late.
. "$TRACT_SRC/test/harness/preload.sh"

rpath=-Wl,-rpath,$(dirname "$library")
archive=$TRACT_BUILD/lib/libtract.a

# prints TITLE EXPECTED COMMAND...: one test: the command prints exactly that on stdout.
prints()
{
	title=$1 expected=$2
	shift 2
	got=$("$@" 2> "$dir/errors")
	if [ "$got" = "$expected" ]; then
		verdict ok "$title"
	else
		printf '%s\n' "got: $got" "expected: $expected" | sed 's/^/# /'
		sed 's/^/# /' "$dir/errors"
		verdict 'not ok' "$title"
	fi
}

# ---------------------------------------------------------------- 8

# The linker exports the variable of a program on its own only if it sees who wants it, or is told to.
build conf -rdynamic
prints 'clause 8: the program is stronger than what is built in' 7 preloaded "$dir/conf"
prints 'clause 8: the environment is stronger than the program' 5 \
    env MALLOC_CONF=narenas:5 LD_PRELOAD="$library" "$dir/conf"

complains()
{
	MALLOC_CONF=$1 LD_PRELOAD=$library "$dir/conf" 2>&1 | grep -F "$2"
}
check 'clause 8: an unknown key is told' complains 'no_such_key:1' \
    '<tract>: Invalid conf pair: no_such_key:1'
check 'clause 8: a bad value is told' complains 'narenas:many' '<tract>: Invalid conf value: narenas:many'
survives()
{
	MALLOC_CONF='lg_dirty_mult:3,purge:decay,lg_chunk:22,redzone:true,narenas:4' \
	    LD_PRELOAD=$library "$dir/conf" > "$dir/out" 2> "$dir/err"
	cat "$dir/err"
	[ "$(cat "$dir/out")" = 4 ] && ! grep Invalid "$dir/err"
}
check 'clause 8: keys of former versions are no errors' survives
dies 'clause 8: abort_conf ends the program' 'Invalid conf pair: no_such_key:1' \
    env MALLOC_CONF=no_such_key:1,abort_conf:true LD_PRELOAD="$library" "$dir/conf"

# ---------------------------------------------------------------- 11 to 14

build threads
check 'clause 11: free after the last destructor of a thread' preloaded "$dir/threads" late 500

tls_bytes()
{
	bytes=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
	echo "TLS: $((bytes)) bytes"
	[ "$((bytes))" -le 64 ]
}
title='clause 12: thread-local storage that fits into what is left for late libraries'
# Debug builds note there which locks a thread holds.
if grep -q '^#define CONFIG_DEBUG 0' "$TRACT_BUILD/src/tract_config.h"; then
	check "$title" tls_bytes
else
	skip "$title" 'a debug build'
fi
build dlopen -ldl
check 'clause 12: loaded late, and unloaded' "$dir/dlopen" "$library"

build plugin -ldl
$CC -std=gnu11 -shared -fPIC -fno-builtin -DPLUGIN -o "$dir/libplugin.so" \
    "$TRACT_SRC/test/api/programs/plugin.c" || exit 1
check 'clause 13: objects of a library that is bound to libc are freed and resized' \
    preloaded "$dir/plugin" "$dir/libplugin.so"

build fork
check 'clause 14: fork among threads' preloaded timeout 60 "$dir/fork" threads 10
check 'clause 14: fork with fork handlers that allocate' preloaded timeout 60 "$dir/fork" handlers 10

# ---------------------------------------------------------------- 15

for kind in -pie -no-pie; do
	pic=$([ $kind = -pie ] && echo -fPIE || echo -fno-pie)
	build conf -fPIE $kind -rdynamic
	prints "clause 15: malloc_conf of a program, $kind, preloaded" 7 preloaded "$dir/conf"
	build conf $pic $kind "$library" $rpath
	prints "clause 15: malloc_conf of a program, $kind, linked" 7 "$dir/conf"
	build conf $pic $kind "$archive"
	prints "clause 15: malloc_conf of a program, $kind, with the archive" 7 "$dir/conf"
done
for kind in -static -static-pie; do
	if echo 'int main(void) { return 0; }' |
	    $CC -x c $kind -o "$dir/none" - 2> /dev/null && "$dir/none"; then
		build conf -fPIE $kind "$archive"
		prints "clause 15: malloc_conf of a program, $kind" 7 "$dir/conf"
	else
		skip "clause 15: malloc_conf of a program, $kind" 'none can be linked here'
	fi
done
symbolic()
{
	$CC -std=gnu11 -shared -fPIC -Wl,-Bsymbolic -Dmain=conf_main -o "$dir/libconf.so" \
	    "$TRACT_SRC/test/api/programs/conf.c" "$archive" &&
	    echo 'int conf_main(void); int main(void) { return conf_main(); }' > "$dir/main.c" &&
	    $CC -o "$dir/main" "$dir/main.c" -L"$dir" -lconf -Wl,-rpath,"$dir" && "$dir/main"
}
prints 'clause 15: malloc_conf of a library that has the archive, -Bsymbolic' 7 symbolic

# ---------------------------------------------------------------- 17, 18

needed()
{
	readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}
prints 'clause 17: no C++ library is needed' libc.so.6 needed
all_operators()
{
	nm -D --defined-only "$library" | awk '{ print $3 }' | grep -cE '^_Z(n|d)[wal]'
}
prints 'clause 17: twenty operators of C++' 20 all_operators
new_handlers()
{
	cat > "$dir/new.cc" <<-'END'
		#include <cstdio>
		#include <cstdlib>
		#include <new>
		static int calls;
		static void give_up()
		{
			if (++calls == 3)
				std::set_new_handler(nullptr);
		}
		int main()
		{
			volatile std::size_t huge = (std::size_t)-1 / 4;
			std::set_new_handler(give_up);
			try {
				::operator delete(::operator new(huge));
				return 1;
			} catch (const std::bad_alloc &) {
			}
			if (calls != 3 || ::operator new(huge, std::nothrow) != nullptr)
				return 2;
			int *p = new int[100];
			::operator delete[](p, 100 * sizeof(int));
			struct alignas(256) wide { char c[256]; };
			wide *w = new wide;
			const bool aligned = (std::size_t)w % 256 == 0;
			delete w;
			return aligned ? 0 : 3;
		}
	END
	$1 -std=c++17 -fsized-deallocation -o "$dir/new" "$dir/new.cc" && preloaded "$dir/new"
}
if command -v "${CXX:-c++}" > /dev/null; then
	check 'clause 17: new_handler, bad_alloc, nothrow, sized, aligned' new_handlers "${CXX:-c++}"
else
	skip 'clause 17: new_handler, bad_alloc, nothrow, sized, aligned' 'no C++ compiler'
fi

build mixed
check 'mallocx and free on the same objects' preloaded "$dir/mixed"
valgrind_title='clause 18: valgrind leaves a malloc alone that it is not told of'
if $CC --version | grep -q clang; then
	skip "$valgrind_title" 'valgrind does not read the debug information of clang'
elif command -v valgrind > /dev/null; then
	# By its soname it is told, and sees blocks, but knows of no mallocx: programs that mix run without.
	build mixed "$library" $rpath
	check "$valgrind_title" valgrind -q --error-exitcode=9 --undef-value-errors=no \
	    --soname-synonyms=somalloc=nouserintercepts "$dir/mixed"
	build conf "$library" $rpath
	check 'clause 18: told of it by its soname, valgrind watches its objects' \
	    valgrind -q --error-exitcode=9 '--soname-synonyms=somalloc=*tract*' "$dir/conf"
else
	skip "$valgrind_title" 'no valgrind'
fi

# ---------------------------------------------------------------- 20

# Of the glibc manual, Replacing malloc: all of these, and none of those.
missing_functions()
{
	nm -D --defined-only "$library" | awk '{ print $3 }' > "$dir/defined"
	for name in malloc free calloc realloc aligned_alloc malloc_usable_size memalign posix_memalign \
	    pvalloc valloc; do
		grep -qx $name "$dir/defined" || echo $name
	done
}
prints 'clause 20: what a replacement must have' '' missing_functions
forbidden_calls()
{
	nm -D --undefined-only "$library" | awk '{ print $2 }' | sed 's/@.*//' |
	    grep -xE 'fopen|fdopen|opendir|dlopen|printf|sprintf|snprintf|vsnprintf|getenv|sysconf|strdup|malloc|setlocale|syslog|pthread_create|pthread_getattr_np'
}
prints 'clause 20: nothing is called that may allocate' '' forbidden_calls
check 'clause 20: a thread-specific value beyond those that libc has room for' \
    preloaded "$dir/threads" keys 100

finish
