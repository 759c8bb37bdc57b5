/* SPDX-License-Identifier: MIT */
#include "sync/mpsc.h"

#include <pthread.h>

#include "base/bits.h"
#include "harness/test.h"

#define N_PRODUCERS 4
#define PER_PRODUCER 20000

struct message {
	struct mpsc_node node;
	unsigned producer, number;
};

static struct mpsc queue;
static struct message messages[N_PRODUCERS][PER_PRODUCER];

TEST(drain_returns_the_newest_first)
{
	struct message m[5];
	mpsc_init(&queue);
	CHECK(mpsc_is_empty(&queue));
	CHECK(mpsc_drain(&queue) == NULL);
	mpsc_push(&queue, &m[0].node);
	store_relaxed(&m[1].node.next, &m[2].node);
	store_relaxed(&m[2].node.next, &m[3].node);
	mpsc_push_chain(&queue, &m[1].node, &m[3].node);
	mpsc_push(&queue, &m[4].node);
	CHECK(!mpsc_is_empty(&queue));
	struct mpsc_node *n = mpsc_drain(&queue);
	CHECK(mpsc_is_empty(&queue));
	static const unsigned order[] = { 4, 1, 2, 3, 0 };
	for (unsigned i = 0; i < COUNT_OF(order); i++) {
		CHECK(n == &m[order[i]].node);
		n = mpsc_next(n);
	}
	CHECK(n == NULL);
}

/* Push in chains of 1 to 32, each from the newest to the oldest. */
static void *
produce(void *argument)
{
	struct message *mine = argument;
	uint64_t random = (uintptr_t)argument;
	for (unsigned next = 0; next < PER_PRODUCER;) {
		unsigned left = PER_PRODUCER - next;
		unsigned count =
		    1 + (unsigned)test_random_below(&random, left < 32 ? left : 32);
		for (unsigned i = next; i < next + count; i++) {
			mine[i].producer =
			    (unsigned)((mine - messages[0]) / PER_PRODUCER);
			mine[i].number = i;
			if (i > next)
				store_relaxed(&mine[i].node.next, &mine[i - 1].node);
		}
		mpsc_push_chain(&queue, &mine[next + count - 1].node, &mine[next].node);
		next += count;
	}
	return NULL;
}

/* Check one drained chain: seen from its end, each producer's numbers go on where they stopped. */
static unsigned
consume(struct mpsc_node *chain, unsigned seen[N_PRODUCERS])
{
	unsigned count = 0, in_chain[N_PRODUCERS] = { 0 };
	for (struct mpsc_node *n = chain; n != NULL; n = mpsc_next(n), count++)
		in_chain[CONTAINER_OF(n, struct message, node)->producer]++;
	for (unsigned i = 0; i < N_PRODUCERS; i++)
		seen[i] += in_chain[i];
	unsigned expected[N_PRODUCERS];
	memcpy(expected, seen, sizeof(expected));
	for (struct mpsc_node *n = chain; n != NULL; n = mpsc_next(n)) {
		const struct message *m = CONTAINER_OF(n, struct message, node);
		CHECK_EQ(m->number, --expected[m->producer]);
	}
	return count;
}

TEST(nothing_is_lost_or_reordered_among_many_producers)
{
	pthread_t threads[N_PRODUCERS];
	unsigned seen[N_PRODUCERS] = { 0 }, total = 0;
	mpsc_init(&queue);
	for (unsigned i = 0; i < N_PRODUCERS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, produce, messages[i]) == 0);
	while (total < N_PRODUCERS * PER_PRODUCER)
		total += consume(mpsc_drain(&queue), seen);
	for (unsigned i = 0; i < N_PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < N_PRODUCERS; i++)
		CHECK_EQ(seen[i], PER_PRODUCER);
	CHECK(mpsc_is_empty(&queue));
}
