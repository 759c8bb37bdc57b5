#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The programs of doc/examples compile without a warning, run on the library that they are linked
# with, and see what they say.
. "$TRACT_SRC/test/harness/preload.sh"

examples=$TRACT_SRC/doc/examples

# example NAME: compiled, run, and its last line as promised.
example()
{
	$CC -std=gnu11 -O1 -g -Wall -Wextra -Werror -I"$TRACT_BUILD/include" \
	    -I"$TRACT_SRC/include" -o "$dir/$1" "$examples/$1.c" "$library" \
	    -Wl,-rpath,"$(dirname "$library")" -pthread &&
	    "$dir/$1" > "$dir/$1.out" && cat "$dir/$1.out" &&
	    [ "$(tail -n 1 "$dir/$1.out")" = "$1: ok" ]
}

all_listed()
{
	for source in "$examples"/*.c; do
		grep -q "($(basename "$source"))" "$examples/README.md" || {
			echo "$source is not in the README"
			return 1
		}
	done
}

for source in "$examples"/*.c; do
	name=$(basename "$source" .c)
	check "$name" example "$name"
done
check 'the README lists every example' all_listed
finish
