/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include "base/bits.h"
#include "harness/test.h"

#define N_ITEMS 64

struct item {
	struct heap_node node;
	unsigned key;
	bool is_in;
};

static struct item items[N_ITEMS];

static const struct item *
item_of(const struct heap_node *n)
{
	return CONTAINER_OF(n, struct item, node);
}

/* Equal keys are common; the address makes no difference to the order. */
static bool
less(const struct heap_node *a, const struct heap_node *b)
{
	return item_of(a)->key < item_of(b)->key;
}

static unsigned
model_min(void)
{
	unsigned min = UINT32_MAX;
	for (unsigned i = 0; i < N_ITEMS; i++)
		if (items[i].is_in && items[i].key < min)
			min = items[i].key;
	return min;
}

static void
check_against_model(const struct heap *h)
{
	CHECK(heap_check(h, less));
	unsigned min = model_min();
	CHECK_EQ(heap_is_empty(h), min == UINT32_MAX);
	if (!heap_is_empty(h))
		CHECK_EQ(item_of(heap_min(h))->key, min);
}

TEST(heap_agrees_with_a_model_after_every_operation)
{
	uint64_t random = test_seed();
	struct heap h;
	heap_init(&h);
	memset(items, 0, sizeof(items));
	for (unsigned step = 0; step < 40000; step++) {
		struct item *item = &items[test_random_below(&random, N_ITEMS)];
		/* Phases that fill and phases that drain. */
		bool is_filling = (step / 200) % 2 == 0;
		if (!item->is_in && (is_filling || test_random_below(&random, 4) == 0)) {
			item->key = (unsigned)test_random_below(&random, 40);
			item->is_in = true;
			heap_insert(&h, &item->node, less);
		} else if (item->is_in && test_random_below(&random, 2) == 0) {
			item->is_in = false;
			heap_remove(&h, &item->node, less);
		} else if (!is_filling && !heap_is_empty(&h)) {
			unsigned min = model_min();
			struct heap_node *n = heap_pop(&h, less);
			CHECK_EQ(item_of(n)->key, min);
			CONTAINER_OF(n, struct item, node)->is_in = false;
		}
		check_against_model(&h);
	}
}

TEST(pops_come_in_order)
{
	static struct item many[5000];
	uint64_t random = test_seed();
	struct heap h;
	heap_init(&h);
	for (unsigned i = 0; i < COUNT_OF(many); i++) {
		many[i].key = (unsigned)test_random(&random) % 1000;
		heap_insert(&h, &many[i].node, less);
	}
	CHECK(heap_check(&h, less));
	unsigned last = 0, count = 0;
	for (struct heap_node *n; (n = heap_pop(&h, less)) != NULL; count++) {
		CHECK(item_of(n)->key >= last);
		last = item_of(n)->key;
	}
	CHECK_EQ(count, COUNT_OF(many));
}

TEST(heap_check_sees_a_child_below_its_parent)
{
	struct heap h;
	heap_init(&h);
	for (unsigned i = 0; i < 8; i++) {
		items[i].key = i;
		heap_insert(&h, &items[i].node, less);
	}
	CHECK(heap_check(&h, less));
	items[0].key = 5;
	CHECK(!heap_check(&h, less));
	items[0].key = 0;
	items[0].node.child->prev = &items[1].node;
	CHECK(!heap_check(&h, less));
}
