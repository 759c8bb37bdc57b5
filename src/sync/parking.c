/* SPDX-License-Identifier: MIT */
#include "sync/parking.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/attr.h"
#include "base/bits.h"
#include "base/hash.h"
#include "os/os.h"

/* Two in the hostile build, so that locks share a bucket all the time. */
#define N_BUCKETS (CONFIG_HOSTILE ? 2 : 64)
static_assert(N_BUCKETS > 0 && (N_BUCKETS & (N_BUCKETS - 1)) == 0, "the hash is masked");

/* With the holder of a spin lock preempted, spinning only delays it. */
#define SPINS_BEFORE_YIELD 64

enum waiter_state { WAITER_ASLEEP, WAITER_WOKEN };

/* Lives on the stack of the sleeping thread, from parking_wait's entry to its return. */
struct waiter {
	struct waiter *next;     /* Guarded by the bucket. */
	_Atomic(uint8_t) *word;  /* Set once. */
	_Atomic(uint32_t) state; /* a futex; enum waiter_state */
};

struct bucket {
	_Atomic(uint8_t) is_locked;
	struct waiter *first; /* Guarded by is_locked; oldest first. */
	struct waiter *
	    *last; /* Where the next one is linked; NULL before the first use. */
} ALIGNED(CACHE_LINE);

static struct bucket buckets[N_BUCKETS] BULKY;

static void
bucket_lock(struct bucket *b)
{
	unsigned spins = 0;
	/* Acquire pairs with bucket_unlock. */
	while (exchange_acquire(&b->is_locked, 1) != 0) {
		/* Relaxed: only tells when to try again. */
		while (load_relaxed(&b->is_locked) != 0) {
			if (++spins % SPINS_BEFORE_YIELD == 0)
				os_yield();
			else
				os_cpu_relax();
		}
	}
	if (b->last == NULL)
		b->last = &b->first;
}

static void
bucket_unlock(struct bucket *b)
{
	store_release(&b->is_locked, 0); /* pairs with bucket_lock */
}

static struct bucket *
bucket_of(const void *word)
{
	return &buckets[hash_pointer(word) & (N_BUCKETS - 1)];
}

static void
enqueue(struct bucket *b, struct waiter *w)
{
	w->next = NULL;
	*b->last = w;
	b->last = &w->next;
}

/* Take the oldest waiter for `word' out of the queue; *more tells whether there is another. */
static struct waiter *
dequeue(struct bucket *b, const _Atomic(uint8_t) *word, bool *more)
{
	struct waiter **link = &b->first;
	while (*link != NULL && (*link)->word != word)
		link = &(*link)->next;
	*more = false;
	struct waiter *found = *link;
	if (found == NULL)
		return NULL;
	*link = found->next;
	if (found->next == NULL)
		b->last = link;
	for (struct waiter *w = *link; w != NULL && !*more; w = w->next)
		*more = w->word == word;
	return found;
}

bool
parking_wait(_Atomic(uint8_t) *word, uint8_t expected)
{
	struct bucket *b = bucket_of(word);
	struct waiter self = { .word = word, .state = WAITER_ASLEEP };

	bucket_lock(b);
	/* Relaxed: wakers change the word with the bucket locked. */
	if (load_relaxed(word) != expected) {
		bucket_unlock(b);
		return false;
	}
	enqueue(b, &self);
	bucket_unlock(b);

	/* Acquire pairs with parking_wake_one: it has let go of `self'. */
	while (load_acquire(&self.state) == WAITER_ASLEEP)
		os_futex_wait(&self.state, WAITER_ASLEEP, UINT64_MAX);
	return true;
}

void
parking_wake_one(_Atomic(uint8_t) *word, uint8_t others, uint8_t nobody)
{
	struct bucket *b = bucket_of(word);
	bool more;

	bucket_lock(b);
	struct waiter *w = dequeue(b, word, &more);
	/* Release pairs with the acquire of whoever takes the lock next. */
	store_release(word, more ? others : nobody);
	bucket_unlock(b);
	if (w == NULL)
		return;
	/*
	 * With this store the waiter may return and its stack be used for other things.
	 * The wake-up then goes to an address where nobody waits, or where a futex of
	 * somebody else gets one that every futex user must expect.
	 */
	store_release(&w->state, WAITER_WOKEN); /* pairs with parking_wait */
	os_futex_wake(&w->state, 1);
}

void
parking_reset_in_child(void)
{
	for (size_t i = 0; i < COUNT_OF(buckets); i++) {
		buckets[i].first = NULL;
		buckets[i].last = NULL;
		store_relaxed(&buckets[i].is_locked, 0); /* one thread in the child */
	}
}
