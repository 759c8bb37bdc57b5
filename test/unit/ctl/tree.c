/* SPDX-License-Identifier: MIT */
#include "ctl/tree.h"

#include "base/bits.h"
#include "config/size_class.h"
#include "ctl/ctl.h"
#include "harness/test.h"
#include "api/boot.h"

/* ---- A small tree of our own. ---- */

static bool
below_three(size_t index)
{
	return index < 3;
}

static const struct ctl_index_kind kinds[] = { { "<i>", below_three },
	{ "<j>", below_three } };

static const struct field ab[] = { { "a", FIELD_SIZE, 0, "" },
	{ "b", FIELD_SIZE, 8, "" } };
static const struct field twins[] = { { "a", FIELD_SIZE, 0, "" },
	{ "a", FIELD_SIZE, 8, "" } };
static const unsigned two = 2;

#define GROUP(path_, rows_) \
	{ \
		.path = (path_), .rows = (rows_), .n_rows = &two, \
		.stride = sizeof(struct field) \
	}
#define MAX_GROUPS 8

static struct ctl_path paths[MAX_GROUPS];

static struct ctl_tree
make_tree(const struct ctl_group *groups, unsigned n_groups)
{
	struct ctl_tree tree = {
		.groups = groups,
		.n_groups = n_groups,
		.kinds = kinds,
		.n_kinds = COUNT_OF(kinds),
		.paths = paths,
	};
	tree_boot(&tree);
	return tree;
}

static bool
is_sound(const struct ctl_group *groups, unsigned n_groups)
{
	const struct ctl_tree tree = make_tree(groups, n_groups);
	const char *why;
	return tree_is_sound(&tree, &why);
}

#define IS_SOUND(...) \
	({ \
		const struct ctl_group groups_[] = { __VA_ARGS__ }; \
		is_sound(groups_, COUNT_OF(groups_)); \
	})

TEST(a_good_table_is_sound)
{
	CHECK(IS_SOUND(GROUP("", ab)));
	CHECK(IS_SOUND(GROUP("", ab), GROUP("x", ab), GROUP("x.y", ab),
	    GROUP("z.<i>", ab), GROUP("z.<i>.w.<j>", ab)));
}

TEST(each_broken_rule_is_found)
{
	CHECK(!IS_SOUND(GROUP("", twins)));
	/* A child before its parent, and the same path twice. */
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("x.y", ab), GROUP("x", ab)));
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("x", ab), GROUP("x", ab)));
	/* An index below a group with leaves: its number would be taken for a leaf. */
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("x", ab), GROUP("x.<i>", ab)));
	/* A leaf and a group of the same name. */
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("a", ab)));
	/* An index beside a word, and indices of two kinds. */
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("x.<i>", ab), GROUP("x.y", ab)));
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("x.<i>.k", ab), GROUP("x.<j>.l", ab)));
	/* A kind that nobody declared; more indices than a call can hold. */
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("x.<k>", ab)));
	CHECK(!IS_SOUND(GROUP("", ab), GROUP("x.<i>.<i>.<i>", ab)));
}

TEST(numbers_are_first_groups_indices_and_rows)
{
	static const struct ctl_group groups[] = { GROUP("", ab), GROUP("x", ab),
		GROUP("z.<i>", ab), GROUP("z.<i>.w.<j>", ab) };
	const struct ctl_tree tree = make_tree(groups, COUNT_OF(groups));
	size_t mib[8], length = 8;

	REQUIRE(tree_find(&tree, "z.2.w.1.b", mib, &length) == 0);
	CHECK_EQ(length, 5);
	CHECK_EQ(mib[0], 2);
	CHECK_EQ(mib[1], 2);
	CHECK_EQ(mib[2], 3);
	CHECK_EQ(mib[3], 1);
	CHECK_EQ(mib[4], COUNT_OF(groups) + 1);
	length = 8;
	REQUIRE(tree_find(&tree, "b", mib, &length) == 0);
	CHECK_EQ(length, 1);
	CHECK_EQ(mib[0], COUNT_OF(groups) + 1);
}

/* ---- The tree of all nodes. ---- */

TEST(the_table_of_all_nodes_is_sound)
{
	const char *why = NULL;

	(void)boot();
	CHECK(tree_is_sound(ctl_tree(), &why));
	if (why != NULL)
		printf("# group \"%s\"\n", why);
}

/* A group's path with 0 for every index, then a row's name. */
static void
name_of(char *name, size_t size, const struct ctl_group *group, const char *row)
{
	size_t n = 0;

	for (const char *p = group->path; *p != '\0'; p++) {
		if (*p == '<') {
			name[n++] = '0';
			p = strchr(p, '>');
		} else {
			name[n++] = *p;
		}
	}
	snprintf(name + n, size - n, "%s%s", n == 0 ? "" : ".", row);
}

TEST(every_leaf_is_found_by_name_and_by_numbers)
{
	(void)boot();
	const struct ctl_tree *tree = ctl_tree();
	char name[128];
	unsigned n_leaves = 0;

	for (unsigned g = 0; g < tree->n_groups; g++) {
		const struct ctl_group *group = &tree->groups[g];
		for (unsigned row = 0; row < tree_row_count(group); row++, n_leaves++) {
			size_t mib[CTL_DEPTH + 1], length = COUNT_OF(mib);
			struct ctl_node node = { .group = NULL };
			name_of(name, sizeof name, group,
			    tree_row_field(group, row)->name);
			REQUIRE(tree_find(tree, name, mib, &length) == 0);
			REQUIRE(tree_resolve(tree, mib, length, &node) == 0);
			CHECK(node.group == group);
			CHECK(node.row == tree_row(group, row));
			/* What is above it is no leaf. */
			if (length > 1)
				CHECK_EQ(tree_resolve(tree, mib, length - 1, &node),
				    ENOENT);
			length--;
			CHECK_EQ(tree_find(tree, name, mib, &length), EINVAL);
		}
	}
	CHECK(n_leaves > 200);
}

TEST(wrong_names_are_not_found)
{
	static const char *const names[] = { "", ".", "versio", "versions", "version.",
		".version", "version.x", "arena.x.purge", "arena.0x1.purge",
		"arena.-1.purge", "arena..purge", "arena.0.", "arena.0.purge.",
		"arena.0.purgee", "arena.9999.purge", "arena.4098.purge",
		"arena.18446744073709551616.purge", "arenas.bin.36.size1",
		"arenas.bin.1000.size", "stats.arenas.0.bins.0.mutex.num_opss",
		"a.b.c.d.e.f.g.h.i.j.k.l.m" };
	size_t mib[CTL_DEPTH + 1];

	(void)boot();
	for (unsigned i = 0; i < COUNT_OF(names); i++) {
		size_t length = COUNT_OF(mib);
		CHECK_EQ(tree_find(ctl_tree(), names[i], mib, &length), ENOENT);
	}
}

/* Whatever numbers come, only those that a name has lead to a node. */
TEST(random_numbers_are_refused_or_exact)
{
	(void)boot();
	const struct ctl_tree *tree = ctl_tree();
	uint64_t state = test_seed();
	unsigned n_found = 0;

	for (unsigned i = 0; i < 300000; i++) {
		size_t mib[CTL_DEPTH + 1];
		struct ctl_node node = { .group = NULL };
		const size_t length = test_random_below(&state, CTL_DEPTH + 2);
		for (size_t d = 0; d < COUNT_OF(mib); d++) {
			mib[d] = test_random_below(&state, tree->n_groups + 30);
			if (test_random_below(&state, 64) == 0)
				mib[d] = test_random(&state);
		}
		if (tree_resolve(tree, mib, length, &node) != 0)
			continue;
		n_found++;
		const size_t g = (size_t)(node.group - tree->groups);
		CHECK(g < tree->n_groups);
		CHECK_EQ(tree->paths[g].depth + 1u, length);
		for (unsigned d = 0; d + 1 < length; d++)
			if (tree->paths[g].kind[d] == 0)
				CHECK_EQ(mib[d], tree->paths[g].number[d]);
	}
	CHECK(n_found != 0);
}
