#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every option of MALLOC_CONF, in a program that knows nothing of tract: its value when nothing is
# said, a good value and what opt.<name> says then, a bad value and the message, abort_conf; then the
# sources.  test/unit/config has all the values.
. "$TRACT_SRC/test/harness/preload.sh"

build option_value -ldl

# Does the kernel give huge pages to who asks for them, and more memory than it has?
gives_huge=false
grep -q '\[madvise\]\|\[always\]' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null &&
    ! grep -q 2 /proc/sys/vm/overcommit_memory && gives_huge=true

# NAME TYPE DEFAULT GOOD READ BAD [MESSAGE]: TYPE is that of opt.NAME, - where there is no such
# node.  DEFAULT and READ are as the program prints them; DEFAULT is * where it depends on build or machine, and
# begins with ? where a build may have no such feature; READ is = where it is GOOD itself.  An option
# whose feature is not in this version says so instead, and keeps its default.
table()
{
	cat <<-END
abort bool false true = maybe
abort_conf bool false true = 1
confirm_conf bool false true = yes
cache_oblivious bool false true = 1
trust_madvise bool false true = 1
experimental_hpa_start_huge_if_thp_always bool true false = 0
experimental_hpa_enforce_hugify bool false true = 1
hpa bool $gives_huge false = 1
hpa_slab_max_alloc size_t 65536 32k 32768 64KB
hpa_hugification_threshold size_t 1992294 1m 1048576 -1
hpa_hugify_delay_ms u64 10000 3s 3000 3m
hpa_start_huge_from size_t 50331648 1g 1073741824 x
hpa_hugify_sync bool false true = 1
hpa_min_purge_interval_ms u64 0 250ms 250 -1
experimental_hpa_max_purge_nhp ssize_t -1 7 = -2 Out-of-range
hpa_purge_threshold size_t 4096 65536 = 1.5
hpa_min_purge_delay_ms u64 0 5000000000 = x
hpa_hugify_style text "lazy" eager "eager" eage
hpa_dirty_mult u32 16384 0.5 32768 half
hpa_sec_nshards size_t 2 4 = -4
hpa_sec_max_alloc size_t 32768 16k 16384 k
hpa_sec_max_bytes size_t 262144 1m 1048576 1mb
huge_arena_pac_thp bool false true = 1
metadata_thp text "disabled" auto "auto" aut
retain bool true false = 0
dss text * primary "primary" first
narenas unsigned * 3 = 0 Out-of-range
percpu_arena text "disabled" percpu "percpu" per
oversize_threshold size_t 0 4m 4194304 9223372036854775807 Out-of-range
mutex_max_spin i64 600 -1 = -2 Out-of-range
background_thread bool false true = 1
max_background_threads size_t 4 2 = two
background_thread_auto bool true false = 1
limit_soft size_t 0 1g 1073741824 -1
limit_hard size_t 0 64g 68719476736 1gb
dirty_decay_ms ssize_t 1000 5000000s 5000000000 -2 Out-of-range
muzzy_decay_ms ssize_t 0 -1 = 0.5
stats_print bool false false = 1
stats_print_opts text "" JgJ? "Jg" -
stats_interval i64 -1 1g 1073741824 -2 Out-of-range
stats_interval_opts text "" Jax "Jax" -
junk text ?"false" alloc "alloc" all
zero bool ?false true = 1
utrace bool ?false true = 1
xmalloc bool ?false true = 1
experimental_infallible_new bool ?false true = 1
experimental_tcache_gc bool true false = 0
tcache bool true false = 0
tcache_max size_t 32768 4k 4096 -1
tcache_nslots_small_min unsigned 20 10 = 10k
tcache_nslots_small_max unsigned 200 5000 2048 -1
tcache_nslots_large unsigned 8 0 1 x
lg_tcache_nslots_mul ssize_t 1 -16 = 17 Out-of-range
tcache_gc_incr_bytes size_t 65536 1 1024 -1
tcache_gc_delay_bytes size_t 0 1m 1048576 99999999999999999999 Out-of-range
lg_tcache_flush_small_div unsigned 1 17 16 x
lg_tcache_flush_large_div unsigned 1 4 = x
thp text "default" always "always" alway
lg_extent_max_active_fit size_t 64 3 = 65 Out-of-range
prof bool ENOENT true = 1
prof_prefix text ENOENT abc "abc" -
prof_active bool ENOENT false = 0
prof_thread_active_init bool ENOENT false = 0
prof_bt_max unsigned ENOENT 64 = -1
lg_prof_sample size_t ENOENT 12 = x
lg_prof_interval ssize_t ENOENT 30 = 64 Out-of-range
prof_gdump bool ENOENT true = 1
prof_final bool ENOENT true = 1
prof_leak bool ENOENT true = 1
prof_leak_error bool ENOENT false = 1
prof_accum bool ENOENT true = 1
prof_pid_namespace bool ENOENT true = 1
prof_recent_alloc_max ssize_t ENOENT 10 = -2 Out-of-range
prof_stats bool ENOENT true = 1
prof_sys_thread_name bool ENOENT true = 1
prof_time_resolution text ENOENT high "high" hig
lg_san_uaf_align ssize_t ENOENT 12 = 64 Out-of-range
zero_realloc text "free" alloc "alloc" all
debug_double_free_max_scan unsigned 0 9 $scan x
disable_large_size_classes bool true false = 0
process_madvise_max_batch size_t 0 64 = -1
bin_shards - - 1-160:16|129-512:8 - 1-160:65 list
calloc_madvise_threshold - - 16m - 9223372036854775807 Out-of-range
hpa_hugification_threshold_ratio - - 0.5 - 1.5 Out-of-range
hpa_purge_threshold_ratio - - 0.25 - x
lg_tcache_max - - 12 - x
log - - arena - -
narenas_ratio - - 0.5 - 0 Out-of-range
prof_log - - true - 1
prof_unbias - - false - 1
san_guard_large - - 1 - -1
san_guard_small - - 1 - -1
slab_sizes - - 1-128:4|200-500:8 - 1-128:x list
tcache_ncached_max - - 8-128:100 - 8:100 list
END
}

values()
{
	MALLOC_CONF=$1 preloaded "$dir/option_value" "$2" "$3" > "$dir/value" 2> "$dir/said"
}

is_debug=$(MALLOC_CONF= preloaded "$dir/option_value" bool abort)
scan=0
[ "$is_debug" = 'abort true' ] && scan=9
n_options=0 n_values=0 n_lacking=0

# wrong WHAT: the output of the last run, and the failure.
wrong()
{
	echo "# $key: $1"
	sed 's/^/#   /' "$dir/value" "$dir/said"
	is_good=false
}

try_default()
{
	values '' "$type" "$key"
	read -r _ default_read < "$dir/value"
	case $default in
	\*) ;;
	\?*)
		[ "$default_read" = ENOENT ] || [ "$default_read" = "${default#?}" ] ||
		    wrong "neither ${default#?} nor ENOENT if nothing is said" ;;
	"$default_read") ;;
	*) [ "$is_debug" = 'abort true' ] || wrong "not $default if nothing is said" ;;
	esac
	[ ! -s "$dir/said" ] || wrong 'a line if nothing is said'
}

try_good()
{
	n_values=$((n_values + 1))
	[ "$read" = '=' ] && read=$good
	[ "$default_read" = ENOENT ] && read=ENOENT
	values "abort_conf:false,$key:$good" "$type" "$key"
	if [ "$(cat "$dir/said")" = "<tract>: Not supported in this version: $key:$good" ]; then
		n_lacking=$((n_lacking + 1))
		read=$default_read
	elif [ -s "$dir/said" ] && [ "$key" != confirm_conf ]; then
		wrong "$good is not taken"
	fi
	[ "$(cat "$dir/value")" = "$key $read" ] || wrong "$good is not read back as $read"
}

try_bad()
{
	[ "$bad" = - ] && return
	n_values=$((n_values + 1))
	case $message in
	Out-of-range) message='Out-of-range conf value' ;;
	list) message="Invalid settings for $key" ;;
	*) message='Invalid conf value' ;;
	esac
	values "abort_conf:false,$key:$bad" "$type" "$key"
	[ "$(cat "$dir/said")" = "<tract>: $message: $key:$bad" ] || wrong "$bad is not told"
	[ "$key" = abort_conf ] || [ "$(cat "$dir/value")" = "$key $default_read" ] ||
	    wrong "$bad is taken"
	values "abort_conf:true,$key:$bad" "$type" "$key"
	[ $? -eq 134 ] || wrong "$bad is not fatal under abort_conf"
}

table > "$dir/table"
sed -n 's/^OPTION_[A-Z0-9_]*(\([a-z0-9_]*\),.*/\1/p' "$TRACT_SRC/src/config/options.def" |
    sort > "$dir/names"
cut -d ' ' -f 1 "$dir/table" | sort > "$dir/names_here"
check 'every option has a line here' diff "$dir/names" "$dir/names_here"
while read -r key type default good read bad message; do
	n_options=$((n_options + 1))
	is_good=true
	if [ "$type" = - ]; then
		type=bool default=ENOENT
	fi
	try_default
	try_good
	try_bad
	$is_good && verdict ok "$key" || verdict 'not ok' "$key"
done < "$dir/table"
echo "# $n_options options, $n_values values; features not in this version: $n_lacking"

# ---------------------------------------------------------------- sources

# What the options are, in a program that has some of its own.
build option_value -DSOURCES "$library" -Wl,-rpath,"$(dirname "$library")" -ldl
says()
{
	expected=$1
	shift
	"$@" unsigned narenas size_t tcache_max ssize_t dirty_decay_ms > "$dir/value" || return
	cat "$dir/value"
	[ "$(tr '\n' ' ' < "$dir/value")" = "$expected " ]
}

check "the program's variables are read, malloc_conf_2_conf_harder last" \
    says 'narenas 2 tcache_max 1024 dirty_decay_ms 5000' "$dir/option_value"
check 'the environment is stronger than malloc_conf' \
    says 'narenas 3 tcache_max 1024 dirty_decay_ms 5000' \
    env MALLOC_CONF=narenas:3,dirty_decay_ms:7s "$dir/option_value"

# A file system for /etc of its own.
in_etc()
{
	target=$1
	shift
	unshare -rm sh -c 'mount -t tmpfs none /etc && ln -s "$0" /etc/malloc.conf && exec "$@"' \
	    "$target" "$@"
}
link_title='the symbolic link is stronger than malloc_conf, the environment stronger still'
if in_etc x:1 true 2> /dev/null; then
	check "$link_title" says 'narenas 4 tcache_max 2048 dirty_decay_ms 5000' \
	    in_etc narenas:9,tcache_max:2048,dirty_decay_ms:8s \
	    env MALLOC_CONF=narenas:4 "$dir/option_value"
	check 'what the link says is told' grep -q 'Invalid conf pair: no_such:1' <<-END
	$(in_etc no_such:1 "$dir/option_value" 2>&1)
	END
else
	skip "$link_title" 'no name space for a mount'
fi

# The text of each source, in the order of their strength.
source_texts()
{
	"$dir/option_value" text malloc_conf.global_var text malloc_conf.symlink \
	    text malloc_conf.env_var text malloc_conf.global_var_2_conf_harder > "$dir/value" || return
	cat "$dir/value"
	diff - "$dir/value" <<-END
	malloc_conf.global_var "narenas:2,lg_tcache_max:10,dirty_decay_ms:2s"
	malloc_conf.symlink ENOENT
	malloc_conf.env_var $1
	malloc_conf.global_var_2_conf_harder "dirty_decay_ms:5s"
	END
}
export MALLOC_CONF=narenas:3
check 'opt.malloc_conf tells the sources that are there' source_texts '"narenas:3"'
unset MALLOC_CONF
check 'opt.malloc_conf knows no source that is not there' source_texts ENOENT

confirms()
{
	MALLOC_CONF=zero:true,confirm_conf:true "$dir/option_value" > "$dir/output2" 2>&1
	cat "$dir/output2"
	for line in '#1 (string specified via --with-malloc-conf): ""' \
	    '#2 (string pointed to by the global variable malloc_conf): "narenas:2,' \
	    '#3 (target of the symbolic link /etc/malloc.conf): ""' \
	    '#4 (value of the environment variable MALLOC_CONF): "zero:true,confirm_conf:true"' \
	    '#5 (string pointed to by the global variable malloc_conf_2_conf_harder): "dirty_' \
	    'Set conf value: narenas:2' 'Set conf value: lg_tcache_max:10' \
	    'Set conf value: zero:true' 'Set conf value: dirty_decay_ms:5s'; do
		grep -qF "$line" "$dir/output2" || return
	done
}
check 'confirm_conf tells every source and every pair' confirms

# ---------------------------------------------------------------- a privileged program

secure_title='a privileged program does not look at the environment'
if [ "$(id -u)" != 0 ]; then
	skip "$secure_title" 'needs root'
elif ! chmod 755 "$dir" || ! build option_value -DSOURCES -static "$TRACT_BUILD/lib/libtract.a"; then
	skip "$secure_title" 'no static libc'
else
	chown 65534 "$dir/option_value" && chmod 4755 "$dir/option_value"
	MALLOC_CONF=narenas:3 "$dir/option_value" secure > /dev/null
	if [ $? -eq 77 ]; then
		skip "$secure_title" 'no privileges for programs here'
	else
		check "$secure_title" says 'narenas 2 tcache_max 1024 dirty_decay_ms 5000' \
		    env MALLOC_CONF=narenas:3 "$dir/option_value" secure
	fi
fi
finish
