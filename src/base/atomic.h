/* SPDX-License-Identifier: MIT */
/*
 * atomic -- C11 atomics with the order in the name.  Objects are declared `_Atomic(type)'.
 *
 * Relaxed needs a reason beside the call; anything stronger names its partner.
 * `owner_add' is for a counter with a single writer and many readers: no locked instruction.
 */
#ifndef TRACT_BASE_ATOMIC_H
#define TRACT_BASE_ATOMIC_H

#include <stdatomic.h>

#define load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define load_seq(p) atomic_load_explicit((p), memory_order_seq_cst)
#define store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define store_seq(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define exchange_seq(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define exchange_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define exchange_release(p, v) atomic_exchange_explicit((p), (v), memory_order_release)
#define exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define fetch_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define fetch_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define fetch_or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define fetch_and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
/* On failure *expected holds what was there (relaxed). */
#define cas_weak_acquire(p, expected, v) \
	atomic_compare_exchange_weak_explicit((p), (expected), (v), \
	    memory_order_acquire, memory_order_relaxed)
#define cas_weak_release(p, expected, v) \
	atomic_compare_exchange_weak_explicit((p), (expected), (v), \
	    memory_order_release, memory_order_relaxed)
#define cas_weak_seq(p, expected, v) \
	atomic_compare_exchange_weak_explicit((p), (expected), (v), \
	    memory_order_seq_cst, memory_order_relaxed)
#define cas_strong_seq(p, expected, v) \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), \
	    memory_order_seq_cst, memory_order_relaxed)
#define cas_strong_acquire(p, expected, v) \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), \
	    memory_order_acquire, memory_order_relaxed)
#define cas_strong_acq_rel(p, expected, v) \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), \
	    memory_order_acq_rel, memory_order_acquire)
#define cas_strong_relaxed(p, expected, v) \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), \
	    memory_order_relaxed, memory_order_relaxed)

/* Single writer. */
#define owner_add(p, v) store_relaxed((p), load_relaxed(p) + (v))
#define owner_sub(p, v) store_relaxed((p), load_relaxed(p) - (v))

#endif
