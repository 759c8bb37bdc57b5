#!/bin/sh
# SPDX-License-Identifier: MIT
#
# scripts/bench-compare: its arithmetic on known figures, and a run of next to no work, from the CSV
# files to the plot.
. "$TRACT_SRC/test/harness/preload.sh"
plain_build_only

command -v python3 > /dev/null || { echo 'no python3'; exit 77; }
scripts=$TRACT_SRC/scripts

bench_compare()
{
	(cd "$dir" && CC=$CC python3 "$scripts/bench-compare" --seed 1 --lib "tract=$library" \
	    --libs '^tract' "$@")
}

known()
{
	python3 "$TRACT_SRC/test/api/bench_compare.py" "$scripts" "$@"
}

tiny()
{
	bench_compare --only '^(bursts|peak-mixed|start-true)$' --threads 1,2 --scale 0.002 --rounds 2 \
	    --idle 0.1 --idle-rounds 1 --csv runs.csv --summary summary.csv --svg plot.svg \
	    > "$dir/table" && grep -q '^geometric mean' "$dir/table"
}

same_again()
{
	bench_compare --report runs.csv --summary again.csv > "$dir/again" &&
	    cmp "$dir/summary.csv" "$dir/again.csv"
}

# A library that cannot be loaded is told, not measured.
broken()
{
	echo 'no library' > "$dir/broken.so"
	! bench_compare --only '^bursts$' --threads 1 --scale 0.001 --rounds 1 --idle 0 \
	    --libs '^broken' --lib "broken=$dir/broken.so" > "$dir/broken" 2>&1 &&
	    grep -q 'FAILED: broken bursts' "$dir/broken"
}

check 'intervals, means and marks are right on known figures' known arithmetic
check 'a run of next to no work makes tables' tiny
check 'its files have every run, column and measure' known columns "$dir/runs.csv" "$dir/summary.csv"
check 'its plot has a dot for each job and library' known plot "$dir/plot.svg"
check 'its CSV file says the same again' same_again
check 'what cannot be preloaded is told' broken
finish
