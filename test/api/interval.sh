#!/bin/sh
# SPDX-License-Identifier: MIT
#
# stats_interval prints about every so many bytes, whoever allocates them; stats_print_opts and
# stats_interval_opts say what.
. "$TRACT_SRC/test/harness/preload.sh"

build interval
build interval_fork -ldl

# reports OPTIONS MIB: statistics printed while a program allocates so much.
reports()
{
	MALLOC_CONF=$1 preloaded "$dir/interval" "$2" 2>&1 | grep -c "${3:-Begin.*statistics}"
}

# between LOW HIGH FIGURE
between()
{
	echo "$3 reports"
	[ "$3" -ge "$1" ] && [ "$3" -le "$2" ]
}

check 'without the option nothing is printed' between 0 0 "$(reports '' 16)"
check 'every MiB' between 13 17 "$(reports stats_interval:1m,stats_interval_opts:gmdablxeh 16)"
check 'every 4 MiB' between 3 4 "$(reports stats_interval:4m,stats_interval_opts:gmdablxeh 16)"
check 'a long interval prints nothing' between 0 0 "$(reports stats_interval:1g 16)"
check 'with its own letters' between 3 4 \
    "$(reports stats_interval:4m,stats_interval_opts:J 16 '"jemalloc"')"
check 'at exit with those of stats_print_opts' between 1 1 \
    "$(reports stats_print:true,stats_print_opts:J 16 '"jemalloc"')"
check 'which are not those of the interval' between 0 0 \
    "$(reports stats_print:true,stats_interval_opts:J 16 '"jemalloc"')"

child()
{
	MALLOC_CONF=stats_interval:1m preloaded timeout 60 "$dir/interval_fork"
}

check 'a child made while a thread prints prints, too' child
finish
