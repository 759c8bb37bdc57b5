/* SPDX-License-Identifier: MIT */
/*
 * remote -- regions freed by a thread that does not own their slab.
 *
 * A slab's remote word is its chain and the chain's length, address << 16 | count, pushed to by
 * compare-and-swap and taken whole by exchange.  Who turns it from 0 announces the slab to its
 * owner; nobody else does until the owner has taken the chain, so announced_next is free then.
 *
 * The chain is of messages, the last one first.  Each one's first region says, in its second word,
 * where the message ends: so the owner finds the end of the chain without reading all of it.
 *
 * Order: a sender's push releases the links it wrote, the taker's exchange acquires them.  The
 * announcement releases announced_next, the drain acquires it.  The drain reads announced_next
 * before it empties the remote word, and releases that: after it the slab may be announced anew,
 * by a sender that has acquired the empty word.
 *
 * Ownership may end while a message travels (a tcache's slabs go to the shared bins when it stays
 * pooled): whoever takes the chain then finds no owner and frees into the bin.  The slab itself
 * stays, since regions in messages count as live.  Sharing clears the owner, then drains;
 * announcing pushes, then looks at the owner again, all four sequentially consistent: one of the
 * two sees the other, and nothing waits in the inbox of a tcache that nobody has.
 */
#include "arena/misuse.h"
#include "base/bits.h"
#include "cache/tcache.h"
#include "os/os.h"

#define CHAIN_COUNT_BITS 16

static_assert(RTREE_VADDR_BITS + CHAIN_COUNT_BITS <= 64, "address and count in a word");
static_assert(SLAB_MAXREGS < 1 << CHAIN_COUNT_BITS, "the count fits");

static inline void *
chain_head(uint64_t word)
{
	return (void *)(uintptr_t)(word >> CHAIN_COUNT_BITS);
}

static inline unsigned
chain_count(uint64_t word)
{
	return word & (((uint64_t)1 << CHAIN_COUNT_BITS) - 1);
}

unsigned
tcache_posted(const struct edata *e)
{
	/* Relaxed: a figure. */
	return chain_count(load_relaxed(&e->remote));
}

/* Take the chain of a slab that has lost its owner to the shared bins. */
static void
return_to_bin(struct edata *e)
{
	void *chain = chain_head(exchange_acq_rel(&e->remote, 0));
	void *twice = chain == NULL ? NULL : bin_free_chain(arena_of(e), e, chain);

	if (twice != NULL)
		misuse_report("double free", twice, e);
}

static void announce(struct edata *e);

/* Announce all that lies in an inbox once more. */
static void
announce_again(struct tcache *tc)
{
	struct edata *e = exchange_seq(&tc->inbox, NULL);

	while (e != NULL) {
		struct edata *next = load_relaxed(&e->announced_next);
		announce(e);
		e = next;
	}
}

/* Where the owner may share its slabs, within a few cycles; in hostile builds it has more of them.
 * Not each time: where others are at work, a yield may be their time slice. */
#define YIELD_EVERY 32

static void
yield_now_and_then(void)
{
	static _Atomic(unsigned) n;

	/* Relaxed: any thread's may be the one. */
	if (fetch_add_relaxed(&n, 1) % YIELD_EVERY == 0)
		os_yield();
}

static void
announce(struct edata *e)
{
	/* Acquire: pairs with the store in slab_share. */
	struct tcache *owner = load_acquire(&e->owner);

	if (owner == NULL) {
		return_to_bin(e);
		return;
	}
	if (CONFIG_HOSTILE)
		yield_now_and_then();
	struct edata *first = load_relaxed(&owner->inbox);
	do
		store_relaxed(&e->announced_next, first);
	while (!cas_weak_seq(&owner->inbox, &first, e));
	/* It has shared its slabs meanwhile and may not look again for long. */
	if (UNLIKELY(load_seq(&e->owner) != owner))
		announce_again(owner);
}

/* Where a message's first region says which one is its last; NULL: it has one word. */
static void **
tail_word(const struct edata *e, void *head)
{
	return slab_region_size(e) < 2 * sizeof(void *) ? NULL : (void **)head + 1;
}

static void
post(struct edata *e, void *head, void *tail, unsigned count)
{
	uint64_t old = load_relaxed(&e->remote), new;
	void **const word = tail_word(e, head);

	if (LIKELY(word != NULL))
		*word = tail;
	do {
		*(void **)tail = chain_head(old);
		new = (uint64_t)(uintptr_t)head << CHAIN_COUNT_BITS
		    | (chain_count(old) + count);
	} while (!cas_strong_acq_rel(&e->remote, &old, new));
	if (old == 0)
		announce(e);
}

static void
post_message(struct tcache *tc, struct tcache_message *m)
{
	struct edata *e = m->slab;

	/* Empty first: posting may lead back here. */
	m->slab = NULL;
	owner_add(&tc->classes[e->szind].n_flushes, (uint64_t)1);
	post(e, m->head, m->tail, m->count - m->left);
}

static unsigned
message_limit(const struct edata *e)
{
	const size_t size = slab_region_size(e);

	return size <= TCACHE_MESSAGE_BYTES / TCACHE_MESSAGE_COUNT
	    ? TCACHE_MESSAGE_COUNT
	    : (unsigned)(TCACHE_MESSAGE_BYTES / size) + 1;
}

NOINLINE void
tcache_message_full(struct tcache *tc, struct tcache_message *m)
{
	post_message(tc, m);
	tcache_tick(tc);
}

void
tcache_free_remote(struct tcache *tc, struct edata *e, void *p)
{
	if (UNLIKELY(tc == NULL)) {
		post(e, p, p, 1);
		return;
	}
	struct tcache_message *m = tcache_message_of(tc, e);
	if (m->slab == e) {
		*(void **)p = m->head;
		m->head = p;
		m->left--;
	} else {
		if (m->slab != NULL)
			post_message(tc, m);
		const unsigned limit = message_limit(e);
		*m = (struct tcache_message){
			.slab = e, .head = p, .tail = p, .count = limit, .left = limit - 1
		};
	}
	if (m->left == 0)
		tcache_message_full(tc, m);
}

void
tcache_post_all(struct tcache *tc)
{
	for (unsigned i = 0; i < TCACHE_MESSAGES; i++)
		if (tc->messages[i].slab != NULL)
			post_message(tc, &tc->messages[i]);
}

/* `count' regions at once; may meet events on the way. */
static void
count_down(struct tcache *tc, struct edata *e, unsigned count)
{
	while (count != 0) {
		const unsigned n = count < e->need ? count : e->need;
		count -= n;
		e->need -= n;
		if (e->need == 0)
			tcache_slab_settle(tc, e);
	}
}

/* From message to message: what is between lies in a sender's cache, and is dear to walk. */
static void *
chain_tail(const struct edata *e, void *head)
{
	for (void *next = head;; next = *(void **)head) {
		if (next == NULL)
			return head;
		void **const word = tail_word(e, next);
		head = LIKELY(word != NULL) ? *word : next;
		assert(slab_is_region(e, head));
	}
}

static void
take_chain(struct tcache *tc, struct edata *e, uint64_t word)
{
	void *head = chain_head(word);

	if (e->free != NULL) {
		*(void **)chain_tail(e, head) = e->free;
	}
	e->free = head;
	count_down(tc, e, chain_count(word));
}

bool
tcache_drain(struct tcache *tc)
{
	struct edata *e = exchange_seq(&tc->inbox, NULL);
	const bool had_mail = e != NULL;

	while (e != NULL) {
		struct edata *next = load_relaxed(&e->announced_next);
		if (LIKELY(load_relaxed(&e->owner) == tc))
			take_chain(tc, e, exchange_acq_rel(&e->remote, 0));
		else
			return_to_bin(e);
		e = next;
	}
	return had_mail;
}
