#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds as other projects make them of the jemalloc that they carry: their switches, their targets,
# and the files where they look for them.  Each in a folder of its own, out of the tree.
. "$TRACT_SRC/test/harness/preload.sh"

plain_build_only

programs=$TRACT_SRC/test/api/programs
flags='-std=gnu11 -Wall -Wextra -Werror'
system=$(uname -m)-unknown-linux-gnu
unset MAKEFLAGS MAKELEVEL MFLAGS

# configured NAME SWITCH...: a build folder of that name, entered.  What is probed once is known.
configured()
{
	mkdir -p "$dir/$1" && cd "$dir/$1" || return 1
	shift
	"$TRACT_SRC/configure" CC="$CC" CFLAGS=-O0 --cache-file="$dir/cache" --host="$system" \
	    --build="$system" "$@" > configure.out 2>&1 || {
		cat configure.out
		return 1
	}
}

exported()
{
	nm -g --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort
}

# ---------------------------------------------------------------- Rust: tikv-jemalloc-sys

rust()
{
	configured rust --with-version=5.3.0-1-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c --disable-cxx \
	    --enable-doc=no --enable-shared=no --with-jemalloc-prefix=_rjem_ \
	    --with-private-namespace=_rjem_ --with-lg-page=16 --with-lg-vaddr=48 --with-lg-hugepage=21 \
	    --with-malloc-conf=narenas:3 --enable-prof --prefix="$dir/rust/out" &&
	    make -s -j2 && make -s install_lib_static install_include || return 1
	grep 'enable-prof: profiling is not in this version' configure.out || return 1
	[ ! -e lib/libtract.so.1 ] && [ ! -e out/lib/libjemalloc.so ] || return 1
	exported out/lib/libjemalloc_pic.a > names
	! grep -v '^_rjem_' names || return 1
	$CC $flags -DJEMALLOC_NO_RENAME -DP=_rjem_ -Iout/include -o compat "$programs/compat.c" \
	    out/lib/libjemalloc_pic.a -pthread && ./compat || return 1
	cat > conf.c <<-'END'
		#include <jemalloc/jemalloc.h>
		#include <stdio.h>
		int main(void)
		{
			unsigned n = 0;
			size_t length = sizeof n;
			_rjem_mallctl("opt.narenas", &n, &length, NULL, 0);
			printf("%u %s\n", n, JEMALLOC_VERSION_GID);
			return 0;
		}
	END
	$CC -Iout/include -o conf conf.c out/lib/libjemalloc.a -pthread &&
	    [ "$(./conf)" = '3 54eaed1d8b56b1aa528be3bdd1877e59c56fa90c' ] &&
	    [ "$(_RJEM_MALLOC_CONF=narenas:5 MALLOC_CONF=narenas:6 ./conf | cut -d' ' -f1)" = 5 ]
}
check 'Rust: _rjem_, install_lib_static install_include' rust

# ---------------------------------------------------------------- Redis

redis()
{
	configured redis --disable-cxx --with-version=5.3.0-0-g0 --with-lg-quantum=3 \
	    --disable-cache-oblivious --with-jemalloc-prefix=je_ --enable-redis-compat &&
	    make -s lib/libjemalloc.a || return 1
	cat > user.c <<-'END'
		#include <jemalloc/jemalloc.h>
		#include <assert.h>
		#include <string.h>
		#if (JEMALLOC_VERSION_MAJOR == 2 && JEMALLOC_VERSION_MINOR >= 1) || JEMALLOC_VERSION_MAJOR > 2
		#define zmalloc_size(p) je_malloc_usable_size(p)
		#else
		#error "Newer version of jemalloc required"
		#endif
		#ifndef JEMALLOC_FRAG_HINT
		#error "no hint"
		#endif
		#ifndef JEMALLOC_ALLOC_WITH_USIZE
		#error "no usable sizes"
		#endif
		/* As its own files declare them. */
		extern int je_get_defrag_hint(void *ptr);
		int main(void)
		{
			size_t usize = 0, length = sizeof(size_t), value;
			unsigned n = 0;
			size_t n_length = sizeof n;
			void *p = je_malloc_with_usize(20, &usize);
			assert(usize == 24 && zmalloc_size(p) == 24); /* A quantum of 8. */
			je_free_with_usize(p, &usize);
			p = je_mallocx(100, MALLOCX_TCACHE_NONE);
			assert(je_get_defrag_hint(p) == 0);
			je_dallocx(p, MALLOCX_TCACHE_NONE);
			assert(je_mallctl("arenas.nbins", &n, &n_length, NULL, 0) == 0 && n == 39);
			assert(je_mallctl("arenas.quantum", &value, &length, NULL, 0) == 0 && value == 8);
			assert(strcmp(JEMALLOC_VERSION, "5.3.0-0-g0") == 0);
			return 0;
		}
	END
	$CC $flags -Iinclude -o user user.c lib/libjemalloc.a -pthread && ./user || return 1
	$CC $flags -Iinclude -o compat "$programs/compat.c" lib/libjemalloc.a -pthread && ./compat &&
	    $CC $flags -DJEMALLOC_MANGLE -Iinclude -o compat "$programs/compat.c" lib/libjemalloc.a \
	    -pthread && ./compat
}
check 'Redis: je_, lib/libjemalloc.a, hint and usable sizes' redis

# ---------------------------------------------------------------- several copies

copies()
{
	cd "$dir" && $CC $flags -DFIRST=_rjem_ -DSECOND=je_ -o copies "$programs/prefixed.c" \
	    rust/out/lib/libjemalloc_pic.a redis/lib/libjemalloc.a -pthread && ./copies &&
	    preloaded ./copies
}
check 'two prefixed copies beside the process'\''s malloc, and beside tract' copies

# ---------------------------------------------------------------- names

mangled()
{
	configured mangled --with-mangling=malloc:get,free:put,mallctl:steer --with-public-prefix=p_ \
	    --with-install-suffix=-odd --enable-experimental-smallocx --disable-static --disable-doc \
	    --prefix="$dir/mangled/out" && make -s -j2 install install_include install_lib || return 1
	(cd out && find . -type f -o -type l) | sort > files
	cat files
	[ "$(tr '\n' ' ' < files)" = "./bin/tract ./include/jemalloc/jemalloc-odd.h \
./include/tract/extent_hooks.h ./include/tract/limit.h ./include/tract/tract-odd.h \
./lib/cmake/tract-odd/tract-oddConfig.cmake ./lib/cmake/tract-odd/tract-oddConfigVersion.cmake \
./lib/libjemalloc-odd.so ./lib/libjemalloc-odd.so.2 ./lib/libtract-odd.so ./lib/libtract-odd.so.1 \
./lib/pkgconfig/jemalloc-odd.pc ./lib/pkgconfig/tract-odd.pc " ] || return 1
	cat > user.c <<-'END'
		#include <tract/tract-odd.h>
		#include <jemalloc/jemalloc-odd.h>
		int main(void)
		{
			size_t length = sizeof(char *);
			const char *version;
			void *p = get(10);
			put(p);
			je_free(je_malloc(5));
			p_dallocx(p_mallocx(1, 0), 0);
			smallocx_return_t s = je_smallocx_0(100, 0);
			je_dallocx(s.ptr, 0);
			return s.size != 112 || steer("version", &version, &length, NULL, 0);
		}
	END
	$CC $flags -Iout/include -o user user.c -Lout/lib -ltract-odd -Wl,-rpath,"$PWD/out/lib" &&
	    ./user && nm -D --defined-only out/lib/libtract-odd.so.1 | grep -w get &&
	    ! nm -D --defined-only out/lib/libtract-odd.so.1 | grep -wE 'p_malloc|malloc|p_free'
}
check 'other link names and file names' mangled

# make install of a build that was told to install the directory of its own, too.
both()
{
	configured both --enable-jemalloc-compat --disable-static --disable-doc --prefix="$dir/both/out" &&
	    make -s -j2 install && [ -f out/lib/libtract.so.1 ] &&
	    [ -f out/lib/tract/compat/lib/libjemalloc.so.2 ] &&
	    [ ! -e out/lib/tract/compat/lib/libjemalloc.a ] && [ ! -e out/share ] &&
	    make -s uninstall && ! find out ! -type d | grep .
}
check '--enable-jemalloc-compat installs both' both

hidden()
{
	configured hidden --without-export --disable-shared && make -s -j2 lib/libtract_pic.a || return 1
	echo 'void *malloc(unsigned long); void *user(void) { return malloc(1); }' > user.c
	$CC -fno-builtin -shared -fPIC -o libuser.so user.c lib/libtract_pic.a -pthread || return 1
	nm -D --defined-only libuser.so
	[ "$(nm -D --defined-only libuser.so | awk '{ print $3 }')" = user ] &&
	    nm libuser.so | grep ' t malloc$'
}
check 'a library carries it and exports none of it' hidden

no_operators()
{
	! exported "$dir/redis/lib/libjemalloc.a" | grep -E '_Zn|_Zd'
}
check 'without operators of C++' no_operators

# ---------------------------------------------------------------- switches

known()
{
	configured known --with-xslroot=/x --with-cxx-stdlib=libstdc++ --with-rpath=/x --enable-autogen=no \
	    --with-static-libunwind=/x --enable-prof-libunwind --disable-prof-libgcc --disable-prof-gcc \
	    --enable-prof-frameptr --enable-utrace --enable-experimental-sdt --enable-log \
	    --enable-readlinkat --enable-uaf-detection --with-lg-slab-maxregs=9 --disable-libdl \
	    --disable-syscall --enable-lazy-lock --with-experimental-sys-process-madvise=440 \
	    --disable-zone-allocator --disable-initial-exec-tls --enable-pageid --disable-dss \
	    --disable-fill --disable-stats --enable-xmalloc --enable-force-getenv \
	    --enable-opt-safety-checks --enable-opt-size-checks --disable-user-config ||
	    return 1
	! grep unrecognized configure.out || return 1
	grep WARNING configure.out
	[ "$(grep -c WARNING configure.out)" -eq 15 ]
}
check 'every switch of jemalloc is known' known

switched()
{
	configured switched --disable-stats --disable-fill --enable-xmalloc --disable-user-config \
	    --with-malloc-conf=narenas:3 --enable-pageid --with-lg-hugepage=22 \
	    --enable-opt-safety-checks --disable-libdl && make -s -j2 lib/libtract.a && cd "$dir" &&
	    build switches -I"$dir/switched/include" -I"$TRACT_SRC/include" \
	    "$dir/switched/lib/libtract.a" && MALLOC_CONF=narenas:5 "$dir/switches"
}
check 'switches of features do what they say' switched
dies 'every double free is found' 'double free' "$dir/switches" double
dies 'sizes of sized frees are checked' 'size' "$dir/switches" size
(cd "$dir/switched" && configured switched --enable-xmalloc --with-malloc-conf=xmalloc:true &&
    make -s -j2 lib/libtract.a) > "$dir/log" 2>&1 || cat "$dir/log"
build switches -I"$dir/switched/include" -I"$TRACT_SRC/include" "$dir/switched/lib/libtract.a"
dies 'xmalloc' 'memory' "$dir/switches" memory

wrong()
{
	for switch in --with-public-prefix=1a --with-lg-page=11 --with-lg-quantum=5 --with-version=5 \
	    --with-lg-hugepage=4 --with-lg-vaddr=9 --with-mangling=no_such:x --with-mangling=malloc \
	    --with-mangling=malloc:a-b --with-install-suffix=a/b; do
		if configured wrong $switch; then
			echo "$switch was taken"
			return 1
		fi
		grep "error: .*${switch#*=}" configure.out || grep -- "error: ${switch%%=*}" configure.out ||
		    return 1
	done
}
check 'a wrong value is told by its name' wrong

finish
