/* SPDX-License-Identifier: MIT */
/*
 * The table of all control nodes (nodes.def) against the library: every name, its type,
 * what may be done with it, and the error of everything else.
 */
#include <tract/tract.h>

#include "api/nodes.h"
#include "harness/test.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MIB_MAX 12

/* ORDER NODE-TYPE: nodes.h */
static const size_t sizes[] = { 0, sizeof(bool), sizeof(unsigned), sizeof(uint32_t),
	sizeof(uint32_t), sizeof(uint64_t), sizeof(int64_t), sizeof(size_t),
	sizeof(ssize_t), sizeof(char *), sizeof(void *), sizeof(char *),
	2 * sizeof(uint64_t), 3 * sizeof(uint64_t), 6 * sizeof(size_t),
	3 * sizeof(size_t) };

static const struct node {
	const char *path;
	enum node_type type;
	enum node_access access;
	enum node_presence presence;
} nodes[] = {
#define NODE(path, type, access, presence) { path, type, access, presence },
#define MUTEX(path) \
	NODE(path ".num_ops", U64, R, ALWAYS) \
	NODE(path ".num_wait", U64, R, ALWAYS) \
	NODE(path ".num_spin_acq", U64, R, ALWAYS) \
	NODE(path ".num_owner_switch", U64, R, ALWAYS) \
	NODE(path ".total_wait_time", U64, R, ALWAYS) \
	NODE(path ".max_wait_time", U64, R, ALWAYS) \
	NODE(path ".max_num_thds", U32, R, ALWAYS)
#include "api/nodes.def"
};

static unsigned n_checks, n_failed;
static const char *checked; /* the node's name, for failures */

#define IS(a, b) \
	do { \
		const uintmax_t is_a = (uintmax_t)(a), is_b = (uintmax_t)(b); \
		n_checks++; \
		if (is_a != is_b) { \
			if (n_failed++ < TEST_MESSAGES) \
				printf("# %s\n", checked); \
			CHECK_EQ(is_a, is_b); \
		} \
	} while (0)

/* ---- Names. ---- */

/* The path with `first' and `second' for its indices. */
static void
fill_in(char *name, size_t size, const char *path, const char *first, const char *second)
{
	size_t n = 0;

	for (const char *p = path; *p != '\0'; p++) {
		if (*p == '<') {
			n += (size_t)snprintf(name + n, size - n, "%s",
			    p[1] == 'i' ? first : second);
			p = strchr(p, '>');
		} else {
			name[n++] = *p;
		}
	}
	name[n] = '\0';
}

static bool
has(const char *flag)
{
	bool value = false;
	size_t length = sizeof value;

	CHECK_EQ(t_mallctl(flag, &value, &length, NULL, 0), 0);
	return value;
}

static bool
is_statistic(const char *path)
{
	return strncmp(path, "stats.", 6) == 0
	    || strncmp(path, "approximate_stats.", 18) == 0;
}

static bool
is_present(const struct node *node, const char *name)
{
	if (is_statistic(node->path) && !has("config.stats"))
		return false;
	switch (node->presence) {
	case ALWAYS: return true;
	case SOURCE: return t_mallctl(name, NULL, NULL, NULL, 0) == 0;
	case BACKGROUND: return t_mallctl("background_thread", NULL, NULL, NULL, 0) == 0;
	case PROF: return has("config.prof");
	case FILL: return has("config.fill");
	case UTRACE: return has("config.utrace");
	case XMALLOC: return has("config.xmalloc");
	case UAF: return t_mallctl("opt.lg_san_uaf_align", NULL, NULL, NULL, 0) == 0;
	}
	return false;
}

static bool
ends_in(const char *path, const char *end)
{
	const size_t length = strlen(path), n = strlen(end);

	return length >= n && strcmp(path + length - n, end) == 0;
}

/* ---- Paths of numbers. ---- */

static size_t
mib_of(const char *name, size_t *mib)
{
	size_t length = MIB_MAX;

	IS(t_mallctlnametomib(name, mib, &length), 0);
	return length;
}

static int
get(const size_t *mib, size_t n, void *old, size_t *length)
{
	return t_mallctlbymib(mib, n, old, length, NULL, 0);
}

/* Each part of a name has a path of numbers, the beginning of the whole, and is no leaf. */
static void
check_parts(const char *name, const size_t *mib, size_t n)
{
	char part[128];
	size_t part_mib[MIB_MAX], depth = 0, length;

	for (const char *dot = name; (dot = strchr(dot, '.')) != NULL; dot++) {
		depth++;
		snprintf(part, sizeof part, "%.*s", (int)(dot - name), name);
		IS(length = mib_of(part, part_mib), depth);
		IS(memcmp(part_mib, mib, depth * sizeof *mib), 0);
		IS(get(mib, depth, NULL, NULL), ENOENT);
		IS(t_mallctl(part, NULL, NULL, NULL, 0), ENOENT);
	}
	IS(n, depth + 1);
	length = depth;
	IS(t_mallctlnametomib(name, part_mib, &length), EINVAL);
}

static void
check_name(const char *name)
{
	char other[136];
	static const char *const forms[] = { "%sx", "%s.x", "%s.", "x%s", ".%s", "%s.0" };

	for (unsigned i = 0; i < COUNT(forms); i++) {
		size_t mib[MIB_MAX], length = MIB_MAX;
		snprintf(other, sizeof other, forms[i], name);
		IS(t_mallctl(other, NULL, NULL, NULL, 0), ENOENT);
		IS(t_mallctlnametomib(other, mib, &length), ENOENT);
	}
}

/* An index out of range is no node, by name and by numbers. */
static void
check_indices(const char *path)
{
	static const char *const far[] = { "4098", "123456", "4294967296", "x", "" };
	char name[128];
	size_t mib[MIB_MAX], length, at = 0;

	fill_in(name, sizeof name, path, "0", "0");
	length = mib_of(name, mib);
	for (const char *p = path; *p != '\0'; p++) {
		at += *p == '.';
		if (*p != '<')
			continue;
		for (unsigned i = 0; i < COUNT(far); i++) {
			fill_in(name, sizeof name, path, p[1] == 'i' ? far[i] : "0",
			    p[1] == 'j' ? far[i] : "0");
			IS(t_mallctl(name, NULL, NULL, NULL, 0), ENOENT);
			mib[at] = strtoul(far[i], NULL, 10);
			if (mib[at] != 0)
				IS(get(mib, length, NULL, NULL), ENOENT);
		}
		mib[at] = SIZE_MAX;
		IS(get(mib, length, NULL, NULL), ENOENT);
		mib[at] = 0;
	}
}

/* ---- What may be done. ---- */

static void
check_read(const char *name, const size_t *mib, size_t n, size_t size)
{
	unsigned char exact[64], again[64], wide[64], narrow[64];
	size_t length = size;

	IS(t_mallctl(name, exact, &length, NULL, 0), 0);
	IS(length, size);
	IS(get(mib, n, again, &length), 0);
	IS(memcmp(exact, again, size), 0);
	memset(wide, 0xee, sizeof wide);
	length = size + 1;
	IS(t_mallctl(name, wide, &length, NULL, 0), EINVAL);
	IS(length, size);
	IS(memcmp(exact, wide, size), 0);
	IS(wide[size], 0xee);
	memset(narrow, 0xee, sizeof narrow);
	length = size - 1;
	IS(get(mib, n, narrow, &length), EINVAL);
	IS(length, size - 1);
	IS(memcmp(exact, narrow, size - 1), 0);
	IS(narrow[size - 1], 0xee);
	length = size;
	IS(t_mallctl(name, NULL, &length, NULL, 0), 0);
	IS(t_mallctl(name, NULL, NULL, NULL, 0), 0);
}

static void
check_no_write(const char *name, const size_t *mib, size_t n, size_t size)
{
	unsigned char bytes[64] = { 0 };

	IS(t_mallctl(name, NULL, NULL, bytes, size), EPERM);
	IS(t_mallctl(name, NULL, NULL, NULL, size), EPERM);
	IS(t_mallctlbymib(mib, n, NULL, NULL, bytes, size), EPERM);
}

static void
check_no_read(const char *name, const size_t *mib, size_t n)
{
	unsigned char bytes[64];
	size_t length = sizeof bytes;

	IS(t_mallctl(name, bytes, &length, NULL, 0), EPERM);
	IS(t_mallctl(name, NULL, &length, NULL, 0), EPERM);
	IS(t_mallctl(name, bytes, NULL, NULL, 0), EPERM);
	IS(get(mib, n, bytes, &length), EPERM);
}

/* A wrong length of what is written; whatever is read is not enough to write. */
static void
check_new_length(const char *name, const size_t *mib, size_t n, size_t size)
{
	unsigned char bytes[64] = { 0 };

	IS(t_mallctl(name, NULL, NULL, bytes, size + 1), EINVAL);
	IS(t_mallctl(name, NULL, NULL, bytes, size - 1), EINVAL);
	IS(t_mallctlbymib(mib, n, NULL, NULL, bytes, 0), EINVAL);
}

/* Its own value is taken, and stays; the old one is told. */
static void
check_rewrite(const struct node *node, const char *name, size_t size)
{
	unsigned char value[64], old[64];
	size_t length = size;

	IS(t_mallctl(name, value, &length, NULL, 0), 0);
	IS(t_mallctl(name, old, &length, value, size), 0);
	IS(length, size);
	if (strcmp(node->path, "epoch") == 0)
		return;
	IS(memcmp(value, old, size), 0);
	IS(t_mallctl(name, old, &length, NULL, 0), 0);
	IS(memcmp(value, old, size), 0);
}

static void
check_command(const struct node *node, const char *name, const size_t *mib, size_t n)
{
	unsigned char bytes[8] = { 0 };
	/* Automatic arenas stay. */
	const bool refuses =
	    ends_in(node->path, ".reset") || ends_in(node->path, ".destroy");

	check_no_read(name, mib, n);
	check_no_write(name, mib, n, sizeof bytes);
	if (strncmp(node->path, "arena.", 6) != 0)
		IS(t_mallctl(name, NULL, NULL, NULL, 0), 0);
	else
		IS(t_mallctl(name, NULL, NULL, NULL, 0), refuses ? EFAULT : 0);
}

/* What makes something must be read, with the right length. */
static void
check_make(const char *name, size_t size)
{
	unsigned char bytes[64];
	size_t length = size + 1;

	IS(t_mallctl(name, NULL, NULL, NULL, 0), EINVAL);
	IS(t_mallctl(name, bytes, &length, NULL, 0), EINVAL);
	IS(length, 0);
	length = size - 1;
	IS(t_mallctl(name, bytes, &length, NULL, 0), EINVAL);
}

static void
check_query(const char *name, size_t size)
{
	unsigned char bytes[64] = { 0 };
	size_t length = size;

	IS(t_mallctl(name, bytes, &length, NULL, 0), EINVAL);
	length = size;
	IS(t_mallctl(name, bytes, &length, bytes, 7), EINVAL);
}

static void
check_absent(const struct node *node, const char *name, const size_t *mib, size_t n)
{
	/* Even where nothing is there to read, nothing can be written. */
	const int write_error = node->presence == SOURCE ? EPERM : ENOENT;
	unsigned char bytes[64] = { 0 };
	size_t length = sizeof bytes;

	IS(t_mallctl(name, NULL, NULL, NULL, 0), ENOENT);
	IS(t_mallctl(name, bytes, &length, NULL, 0), ENOENT);
	IS(t_mallctl(name, NULL, NULL, bytes, sizeof(size_t)), write_error);
	IS(get(mib, n, bytes, &length), ENOENT);
}

static void
check_access(const struct node *node, const char *name, const size_t *mib, size_t n)
{
	const size_t size = sizes[node->type];

	switch (node->access) {
	case R:
		check_read(name, mib, n, size);
		check_no_write(name, mib, n, size);
		return;
	case W:
		check_no_read(name, mib, n);
		check_new_length(name, mib, n, size);
		return;
	case RW:
		if (node->type == NAME) /* Its buffer is the caller's. */
			return;
		check_read(name, mib, n, size);
		check_new_length(name, mib, n, size);
		check_rewrite(node, name, size);
		return;
	case COMMAND: check_command(node, name, mib, n); return;
	case QUERY: check_query(name, size); return;
	case MAKE: check_make(name, size); return;
	}
}

static void
check_node(const struct node *node)
{
	char name[128];
	size_t mib[MIB_MAX];

	checked = node->path;
	fill_in(name, sizeof name, node->path, "0", "0");
	const size_t n = mib_of(name, mib);
	check_parts(name, mib, n);
	check_name(name);
	check_indices(node->path);
	if (is_present(node, name))
		check_access(node, name, mib, n);
	else
		check_absent(node, name, mib, n);
}

TEST(every_node_has_its_name_type_access_and_errors)
{
	unsigned n_checked = 0;
	uint64_t any = 0;

	CHECK_EQ(t_mallctl("epoch", NULL, NULL, &any, sizeof any), 0);
	for (unsigned i = 0; i < COUNT(nodes); i++, n_checked++)
		check_node(&nodes[i]);
	CHECK_EQ(n_checked, 455);
	printf("# %u nodes, %u checks\n", n_checked, n_checks);
}

/* ---- Arenas that are no arena. ---- */

static int
of_arena(const struct node *node, size_t index, void *old, size_t *length)
{
	char name[128];
	size_t mib[MIB_MAX];

	fill_in(name, sizeof name, node->path, "0", "0");
	const size_t n = mib_of(name, mib);
	mib[strncmp(node->path, "stats.", 6) == 0 ? 2 : 1] = index;
	return get(mib, n, old, length);
}

static unsigned
narenas(void)
{
	unsigned n = 0;

	CHECK_EQ(t_mallctl("arenas.narenas", &n, &(size_t){ sizeof n }, NULL, 0), 0);
	return n;
}

TEST(one_past_the_last_arena_is_all_of_them_in_statistics)
{
	uint64_t any = 0;

	if (!has("config.stats"))
		SKIP("this build has no statistics");
	CHECK_EQ(t_mallctl("epoch", NULL, NULL, &any, sizeof any), 0);
	for (unsigned i = 0; i < COUNT(nodes); i++) {
		const struct node *node = &nodes[i];
		uint64_t all = 0, past = 1, gone = 0;
		size_t length = sizes[node->type];
		checked = node->path;
		if (strncmp(node->path, "stats.arenas.", 13) != 0)
			continue;
		IS(of_arena(node, MALLCTL_ARENAS_ALL, &all, &length), 0);
		past = 0;
		IS(of_arena(node, narenas(), &past, &length), 0);
		IS(all, past);
		IS(of_arena(node, narenas() + 1, &past, &length), ENOENT);
		IS(of_arena(node, MALLCTL_ARENAS_DESTROYED, &gone, &length), ENOENT);
	}
	unsigned index = 0;
	CHECK_EQ(t_mallctl("arenas.create", &index, &(size_t){ sizeof index }, NULL, 0),
	    0);
	char name[64];
	snprintf(name, sizeof name, "arena.%u.destroy", index);
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
	for (unsigned i = 0; i < COUNT(nodes); i++) {
		uint64_t gone;
		size_t length = sizes[nodes[i].type];
		checked = nodes[i].path;
		if (strncmp(nodes[i].path, "stats.arenas.", 13) == 0)
			IS(of_arena(&nodes[i], MALLCTL_ARENAS_DESTROYED, &gone, &length),
			    0);
	}
}

/* What a node of arena.<i> answers where i stands for all, destroyed, or no arenas. */
TEST(arena_nodes_take_the_indices_that_make_sense)
{
	static const struct {
		const char *leaf;
		int all, destroyed;
	} expected[] = {
		{ "initialized", 0, 0 },
		{ "decay", 0, 0 },
		{ "purge", 0, 0 },
		{ "reset", EFAULT, EFAULT },
		{ "destroy", EFAULT, EFAULT },
		{ "dss", 0, EFAULT },
		{ "oversize_threshold", EFAULT, EFAULT },
		{ "dirty_decay_ms", EFAULT, EFAULT },
		{ "muzzy_decay_ms", EFAULT, EFAULT },
		{ "extent_hooks", EFAULT, EFAULT },
		{ "retain_grow_limit", EFAULT, EFAULT },
	};
	char name[64];

	for (unsigned i = 0; i < COUNT(expected); i++) {
		checked = expected[i].leaf;
		snprintf(name, sizeof name, "arena.4096.%s", expected[i].leaf);
		IS(t_mallctl(name, NULL, NULL, NULL, 0), expected[i].all);
		snprintf(name, sizeof name, "arena.%u.%s", narenas(), expected[i].leaf);
		IS(t_mallctl(name, NULL, NULL, NULL, 0), expected[i].all);
		snprintf(name, sizeof name, "arena.4097.%s", expected[i].leaf);
		IS(t_mallctl(name, NULL, NULL, NULL, 0), expected[i].destroyed);
		snprintf(name, sizeof name, "arena.%u.%s", narenas() + 1,
		    expected[i].leaf);
		IS(t_mallctl(name, NULL, NULL, NULL, 0), ENOENT);
	}
}
