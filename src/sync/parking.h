/* SPDX-License-Identifier: MIT */
/*
 * parking -- where threads sleep for locks that have no room for a queue.
 *
 * A hash of addresses to buckets; a bucket is a spin lock and a queue of waiter records, which lie
 * on the waiters' stacks.  Each waiter sleeps on a futex word in its own record, so a wake-up goes
 * to one thread and the lock itself needs no more than a byte.
 *
 * No lost wake-up: parking_wait looks at the byte, and parking_wake_one changes it, with the bucket
 * locked.  Either the waiter sees the change and does not sleep, or it is queued when the waker
 * looks.
 * Locking: a bucket's spin lock is held for a few instructions and nothing is taken below it.
 */
#ifndef TRACT_SYNC_PARKING_H
#define TRACT_SYNC_PARKING_H

#include <stdbool.h>
#include <stdint.h>

/* Sleep on `word' until woken, unless it no longer holds `expected'.  True when it slept. */
bool parking_wait(_Atomic(uint8_t) *word, uint8_t expected);

/*
 * Store `others' in *word (release) when more than one thread sleeps on it, `nobody' otherwise, and
 * wake the one that has slept longest.  *word is not touched after that.
 */
void parking_wake_one(_Atomic(uint8_t) *word, uint8_t others, uint8_t nobody);

/* In a fork child: nobody sleeps here. */
void parking_reset_in_child(void);

#endif
