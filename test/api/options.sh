#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Options of the environment, each in a program that knows nothing of them.
. "$TRACT_SRC/test/harness/preload.sh"

build options

# with OPTIONS MODE: the program's mode under these options.
with()
{
	MALLOC_CONF=$1 preloaded "$dir/options" "$2"
}

check 'zero:true clears what is new' with zero:true zeroed
check 'junk:true fills what is new' with junk:true junked
check 'junk:true fills what is freed' with junk:true poisoned
check 'junk:alloc fills what is new' with junk:alloc junked
check 'junk:free fills what is freed' with junk:free poisoned
check 'zero beats junk' with zero:true,junk:true zeroed
check 'zero_realloc:alloc makes realloc(p, 0) shrink' with zero_realloc:alloc shrinks
check 'zero_realloc:free makes realloc(p, 0) free' with zero_realloc:free frees
check 'realloc(p, 0) frees if nothing is said' with '' frees
dies 'zero_realloc:abort makes realloc(p, 0) die' 'realloc(p, 0)' with zero_realloc:abort frees

for option in tcache:false tcache_max:0 tcache_max:1000 narenas:1 narenas:64 retain:false \
    dirty_decay_ms:0 dirty_decay_ms:-1 muzzy_decay_ms:0 muzzy_decay_ms:100 \
    dirty_decay_ms:0,muzzy_decay_ms:0,retain:false oversize_threshold:65536 \
    lg_extent_max_active_fit:0 lg_extent_max_active_fit:64 mutex_max_spin:0 mutex_max_spin:-1 \
    disable_large_size_classes:false slab_sizes:1-14336:1 \
    slab_sizes:1-14336:512 'slab_sizes:16-64:3|1024-4096:9' narenas_ratio:0.01 junk:true,tcache:false zero:true,retain:false \
    dss:primary dss:disabled dss:primary,retain:false thp:always thp:never metadata_thp:always \
    metadata_thp:auto cache_oblivious:true cache_oblivious:true,zero:true trust_madvise:true \
    process_madvise_max_batch:128,dirty_decay_ms:0 calloc_madvise_threshold:0 \
    tcache_nslots_large:1 tcache_gc_incr_bytes:1024,experimental_tcache_gc:false \
    tcache_gc_delay_bytes:1m xmalloc:true experimental_infallible_new:true; do
	check "a program works with $option" with $option works
done

check 'an option that is none is told, and the program works' \
    with abort_conf:false,no_such_option:1 works
dies 'abort_conf:true makes it die' no_such_option with abort_conf:true,no_such_option:1 works
finish
