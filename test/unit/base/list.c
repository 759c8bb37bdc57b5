/* SPDX-License-Identifier: MIT */
#include "base/list.h"

#include "harness/test.h"

struct item {
	int value;
	struct list link;
};

static struct list head;
static struct item items[8];

static void
fill(struct list *l, int first, int end)
{
	list_init(l);
	for (int i = first; i < end; i++) {
		items[i].value = i;
		list_push_back(l, &items[i].link);
	}
}

/* The values in order as a decimal number: 1, 2, 3 is 123. */
static int
digits(const struct list *l)
{
	int number = 0, backward = 0, scale = 1;
	LIST_FOR_EACH (n, l)
		number = number * 10 + LIST_ENTRY(n, struct item, link)->value;
	for (const struct list *n = l->prev; n != l; n = n->prev, scale *= 10)
		backward += scale * LIST_ENTRY(n, struct item, link)->value;
	CHECK_EQ(number, backward);
	return number;
}

TEST(empty_list_has_neither_first_nor_last)
{
	list_init(&head);
	CHECK(list_is_empty(&head));
	CHECK(list_first(&head) == NULL);
	CHECK(list_last(&head) == NULL);
	CHECK(list_pop_front(&head) == NULL);
}

TEST(pushes_keep_their_ends)
{
	fill(&head, 2, 5);
	items[1].value = 1;
	list_push_front(&head, &items[1].link);
	CHECK_EQ(digits(&head), 1234);
	CHECK(list_first(&head) == &items[1].link);
	CHECK(list_last(&head) == &items[4].link);
}

TEST(remove_takes_any_place)
{
	fill(&head, 1, 6);
	list_remove(&items[3].link);
	CHECK_EQ(digits(&head), 1245);
	list_remove(&items[1].link);
	list_remove(&items[5].link);
	CHECK_EQ(digits(&head), 24);
	CHECK(list_pop_front(&head) == &items[2].link);
	CHECK(list_pop_front(&head) == &items[4].link);
	CHECK(list_is_empty(&head));
}

TEST(splice_appends_in_order_and_empties_the_source)
{
	struct list source;
	fill(&head, 1, 3);
	fill(&source, 3, 6);
	list_splice_back(&head, &source);
	CHECK_EQ(digits(&head), 12345);
	CHECK(list_is_empty(&source));
	list_splice_back(&head, &source);
	CHECK_EQ(digits(&head), 12345);
	list_splice_back(&source, &head);
	CHECK_EQ(digits(&source), 12345);
	CHECK(list_is_empty(&head));
}

static void
remove_twice(void)
{
	fill(&head, 1, 3);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
}

TEST(removing_twice_is_asserted)
{
	if (!CONFIG_DEBUG)
		SKIP("asserts are for debug builds");
	test_dies(remove_twice, "failed assertion");
}
