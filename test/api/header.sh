#!/bin/sh
# SPDX-License-Identifier: MIT
#
# header -- <tract/tract.h> compiles in every language version that it promises, before and after
# libc's headers, with a public prefix and without, and warns of nothing.
#
# TRACT_SRC and TRACT_BUILD are the source and the build folder; CC and CXX the compilers.
set -u
src=${TRACT_SRC:-.}
build=${TRACT_BUILD:-.}
cc=${CC:-cc}
cxx=${CXX:-c++}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/plain/tract" "$tmp/prefixed/tract"
status=0

# The same header as configure writes it, with either kind of prefix.
for kind in plain prefixed; do
	[ $kind = plain ] && prefix='' prefixed=0 || prefix=my_ prefixed=1
	sed -e "s/@PUBLIC_PREFIX@/$prefix/g" -e "s/@CONFIG_PREFIXED@/$prefixed/" \
	    -e 's/@VERSION@/1.2.3/' -e 's/@VERSION_[A-Z]*@/1/' \
	    "$src/include/tract/tract.h.in" > "$tmp/$kind/tract/tract.h"
	if grep -n '@[A-Z_]*@' "$tmp/$kind/tract/tract.h"; then
		echo "not ok - header: a place that configure does not fill"
		status=1
	fi
done

cat > "$tmp/use.h" <<'EOF'
static void *
use(const char *name)
{
	size_t n = sizeof(n);
	P(mallctl)(name, &n, &n, NULL, 0);
	void *p = P(mallocx)(64, MALLOCX_ALIGN(64) | MALLOCX_TCACHE_NONE | MALLOCX_ARENA(4094));
	p = P(rallocx)(p, 100, MALLOCX_ZERO);
	P(sdallocx)(p, P(nallocx)(100, 0), 0);
	P(free_sized)(P(malloc)(10), 10);
	P(cfree)(P(pvalloc)(1));
	P(free_aligned_sized)(P(memalign)(64, 100), 64, 100);
	return P(reallocarray)(P(memalign)(64, 1), 3, 4);
}
EOF

# try NAME KIND COMPILER FLAGS...: the header alone, and around libc's headers.
try()
{
	name=$1 kind=$2
	shift 2
	[ $kind = plain ] && paste=n || paste=my_##n
	for order in '' before after; do
		{
			[ "$order" = after ] && printf '#include <%s>\n' stdlib.h malloc.h
			echo '#include <tract/tract.h>'
			[ "$order" = before ] && printf '#include <%s>\n' stdlib.h malloc.h
			printf '#define P(n) %s\n' "$paste"
			echo '#include "use.h"'
			echo 'extern void *(*keep)(const char *);'
			echo 'void *(*keep)(const char *) = use;'
		} > "$tmp/try.c"
		if ! "$@" -Wall -Wextra -Wpedantic -Wredundant-decls -Wno-long-long -Werror \
		    -Wno-unused-result -I "$tmp/$kind" -I "$src/include" -fsyntax-only \
		    "$tmp/try.c" 2> "$tmp/err"; then
			echo "not ok - header: $name $kind $order"
			sed 's/^/# /' "$tmp/err"
			status=1
			return
		fi
	done
	echo "ok - header: $name, $kind"
}

for kind in plain prefixed; do
	for std in gnu99 gnu11 gnu2x; do
		try "$std" $kind $cc -x c -std=$std
	done
	if command -v $cxx > /dev/null; then
		for std in gnu++98 gnu++11 gnu++17 gnu++20; do
			try "$std" $kind $cxx -x c++ -std=$std
		done
	fi
	if command -v musl-gcc > /dev/null; then
		try musl $kind musl-gcc -x c -std=gnu11
	fi
done
exit $status
