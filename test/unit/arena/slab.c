/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include "api/boot.h"
#include "arena/slab.h"

#define CLASS 10 /* any small class */

static char memory[1 << 20] __attribute__((aligned(4096)));
static uint64_t bitmap[(SLAB_MAXREGS + 63) / 64];
static struct tcache *const some_owner = (struct tcache *)64;

static struct edata
new_slab(unsigned szind, struct tcache *owner)
{
	struct edata e = { .owner = owner,
		.addr = (uintptr_t)memory,
		.szind = (uint8_t)szind,
		.use = USE_SLAB,
		.size = slab_geometry[szind].slab_size,
		.nregs = slab_geometry[szind].nregs,
		.bitmap = bitmap };

	memset(bitmap, 0, sizeof bitmap);
	if (owner == NULL)
		slab_bitmap_fill(&e);
	return e;
}

TEST(index_and_region_are_inverse_in_every_class)
{
	REQUIRE(boot());
	for (unsigned szind = 0; szind < SC_NOWNED; szind++) {
		const struct edata e = new_slab(szind, NULL);
		for (unsigned i = 0; i < e.nregs; i++) {
			const char *p = slab_region(&e, i);
			CHECK_EQ(slab_index(&e, p), i);
			CHECK_EQ(slab_index(&e, p + slab_region_size(&e) - 1), i);
			CHECK(slab_is_region(&e, p));
			CHECK(!slab_is_region(&e, p + 1));
		}
		CHECK(!slab_is_region(&e, slab_region(&e, e.nregs)));
		CHECK((char *)slab_region(&e, e.nregs) <= memory + e.size);
	}
}

TEST(a_shared_slab_gives_each_region_once_lowest_first)
{
	struct edata e = new_slab(CLASS, NULL);
	void *chain = NULL;

	CHECK_EQ(slab_take(&e, 1, &chain), 1);
	CHECK(chain == slab_region(&e, 0));
	CHECK_EQ(slab_take(&e, SLAB_MAXREGS, &chain), e.nregs - 1u);
	slab_check(&e);
	CHECK_EQ(e.need, e.nregs);
	for (unsigned i = e.nregs; i-- > 0; chain = *(void **)chain)
		CHECK(chain == slab_region(&e, i));
	CHECK(chain == NULL);
	CHECK_EQ(slab_take(&e, 1, &chain), 0);
}

TEST(a_region_returned_twice_is_noticed)
{
	struct edata e = new_slab(CLASS, NULL);
	void *chain = NULL;

	(void)slab_take(&e, 5, &chain);
	CHECK(slab_return(&e, 3));
	CHECK(!slab_return(&e, 3));
	CHECK(!slab_return(&e, 5));
	slab_check(&e);
	CHECK_EQ(e.need, 4);
	chain = NULL;
	CHECK_EQ(slab_take(&e, 1, &chain), 1);
	CHECK(chain == slab_region(&e, 3));
}

TEST(an_owned_slab_that_is_shared_keeps_what_is_live)
{
	struct edata e = new_slab(CLASS, some_owner);

	/* Ten carved; 2, 7 free again. */
	e.carved = 10;
	e.need = 8;
	e.slab_state = SLAB_PARTIAL;
	e.free = slab_region(&e, 7);
	*(void **)slab_region(&e, 7) = slab_region(&e, 2);
	*(void **)slab_region(&e, 2) = NULL;
	slab_check(&e);
	slab_share(&e, 8);
	slab_check(&e);
	CHECK(load_relaxed(&e.owner) == NULL);
	for (unsigned i = 0; i < e.nregs; i++)
		CHECK_EQ(slab_return(&e, i), i < 10 && i != 2 && i != 7);
	CHECK_EQ(e.need, 0);
}

static void
check_a_lost_region(void)
{
	struct edata e = new_slab(CLASS, some_owner);

	e.carved = 10;
	e.need = 9;
	e.slab_state = SLAB_CURRENT;
	slab_check(&e);
}

static void
check_a_wrong_count(void)
{
	struct edata e = new_slab(CLASS, NULL);

	e.need = 1;
	slab_check(&e);
}

TEST(the_check_finds_lost_regions_and_wrong_counts)
{
	if (!CONFIG_DEBUG)
		SKIP("only debug builds check");
	test_dies(check_a_lost_region, "failed assertion");
	test_dies(check_a_wrong_count, "failed assertion");
}

TEST(older_mappings_come_first_then_lower_addresses)
{
	struct edata old = { .sn = 1, .addr = 9 << 20 },
		     young = { .sn = 2, .addr = 1 << 20 };
	struct edata higher = { .sn = 2, .addr = 2 << 20 };

	CHECK(slab_order(&old.node, &young.node) && !slab_order(&young.node, &old.node));
	CHECK(slab_order(&young.node, &higher.node)
	    && !slab_order(&higher.node, &young.node));
}
