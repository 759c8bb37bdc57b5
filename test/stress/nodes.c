/* SPDX-License-Identifier: MIT */
/*
 * Every node that can be written, written by eight threads at random while they allocate:
 * values are right or wrong, indices are of arenas that all use, of one's own manual ones,
 * and of none.  reset, destroy and hooks only on arenas of one's own, as their contracts
 * say.  Under ThreadSanitizer for a minute, else for three seconds, and each a hundred writes.
 */
#include <pthread.h>
#include <tract/tract.h>

#include "base/attr.h"
#include "harness/test.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define THREADS 8
#define SECONDS (BUILT_FOR_TSAN ? 60 : 3)
#define LEAST_WRITES 100
#define OBJECTS 256
#define OWN_ARENAS 3
#define OWN_OBJECTS 64

struct own_arena {
	unsigned index;
	bool exists;
	void *objects[OWN_OBJECTS];
};

struct self {
	uint64_t random;
	void *objects[OBJECTS];
	struct own_arena own[OWN_ARENAS];
	unsigned tcache;
	bool has_tcache;
	uint64_t n_writes;
};

static size_t
below(struct self *self, size_t n)
{
	return test_random_below(&self->random, n);
}

static bool
chance(struct self *self, unsigned one_in)
{
	return below(self, one_in) == 0;
}

/* ---- Writing. ---- */

static int
run(const char *name)
{
	return t_mallctl(name, NULL, NULL, NULL, 0);
}

/* Sometimes the old value is read as well. */
static int
write_value(struct self *self, const char *name, const void *value, size_t size)
{
	char old[32];
	size_t length = size;

	if (chance(self, 2))
		return t_mallctl(name, NULL, NULL, (void *)value, size);
	return t_mallctl(name, old, &length, (void *)value, size);
}

#define WRITE(self, name, value) write_value(self, name, &(value), sizeof(value))

static unsigned n_automatic; /* Arenas that were there at the start. */

/* An automatic arena, all of them, or one that may be. */
static const char *
any_arena(struct self *self, const char *leaf)
{
	static _Thread_local char name[64];
	const unsigned others[] = { MALLCTL_ARENAS_ALL, MALLCTL_ARENAS_DESTROYED, 4000 };
	const unsigned index = chance(self, 4) ? others[below(self, COUNT(others))]
					       : (unsigned)below(self, n_automatic);

	snprintf(name, sizeof name, "arena.%u.%s", index, leaf);
	return name;
}

static const char *
node_of(const struct own_arena *own, const char *leaf)
{
	static _Thread_local char name[64];

	snprintf(name, sizeof name, "arena.%u.%s", own->index, leaf);
	return name;
}

static struct own_arena *
own_arena(struct self *self)
{
	struct own_arena *own = &self->own[below(self, OWN_ARENAS)];

	if (!own->exists) {
		extent_hooks_t *hooks = NULL;
		arena_config_t config = { NULL, chance(self, 2) };
		size_t length = sizeof own->index;
		const int rc = chance(self, 2)
		    ? t_mallctl("arenas.create", &own->index, &length, &hooks,
			sizeof hooks)
		    : t_mallctl("experimental.arenas_create_ext", &own->index, &length,
			&config, sizeof config);
		CHECK_EQ(rc, 0);
		own->exists = rc == 0;
		memset(own->objects, 0, sizeof own->objects);
	}
	return own;
}

static void
use(struct self *self, struct own_arena *own)
{
	for (unsigned i = 0; own->exists && i < 20; i++) {
		void **p = &own->objects[below(self, OWN_OBJECTS)];
		if (*p != NULL)
			t_dallocx(*p, MALLOCX_TCACHE_NONE);
		*p = t_mallocx(1 + below(self, (size_t)16 << below(self, 14)),
		    MALLOCX_ARENA(own->index) | MALLOCX_TCACHE_NONE);
	}
}

/* ---- The nodes. ---- */

static void
epoch(struct self *self)
{
	const uint64_t any = 1;
	CHECK_EQ(WRITE(self, "epoch", any), 0);
}

/* Seldom: threads come and go. */
static void
background_thread(struct self *self)
{
	const bool on = chance(self, 2);
	if (chance(self, 10))
		CHECK_EQ(WRITE(self, "background_thread", on), 0);
}

static void
max_background_threads(struct self *self)
{
	const size_t max = 1 + below(self, 4);
	if (chance(self, 10))
		CHECK_EQ(WRITE(self, "max_background_threads", max), 0);
}

static void
thread_arena(struct self *self)
{
	const unsigned index = (unsigned)below(self, n_automatic);

	/* What lies in an own arena goes with it: nothing stays there. */
	if (chance(self, 3)) {
		CHECK_EQ(WRITE(self, "thread.arena", own_arena(self)->index), 0);
		t_free(t_malloc(below(self, 100000)));
	}
	CHECK_EQ(WRITE(self, "thread.arena", index), 0);
}

static void
tcache_enabled(struct self *self)
{
	const bool enable = !chance(self, 3);
	CHECK_EQ(WRITE(self, "thread.tcache.enabled", enable), 0);
}

static void
tcache_max(struct self *self)
{
	const size_t max = below(self, (size_t)1 << below(self, 18));
	CHECK_EQ(WRITE(self, "thread.tcache.max", max), 0);
}

static void
tcache_flush(struct self *self)
{
	(void)self;
	(void)run("thread.tcache.flush");
}

static void
ncached_max(struct self *self)
{
	static const char *const texts[] = { "8-64:0", "16-512:100|1024-4096:0",
		"8-32768:40", "nonsense" };
	const char *text = texts[below(self, COUNT(texts))];
	const size_t size = 64;
	size_t slots, length = sizeof slots;

	(void)t_mallctl("thread.tcache.ncached_max.write", NULL, NULL, (void *)&text,
	    sizeof text);
	(void)t_mallctl("thread.tcache.ncached_max.read_sizeclass", &slots, &length,
	    (void *)&size, sizeof size);
}

static void
peak_reset(struct self *self)
{
	(void)self;
	CHECK_EQ(run("thread.peak.reset"), 0);
}

static void
idle(struct self *self)
{
	(void)self;
	CHECK_EQ(run("thread.idle"), 0);
}

static void
explicit_cache(struct self *self)
{
	if (!self->has_tcache) {
		size_t length = sizeof self->tcache;
		self->has_tcache =
		    t_mallctl("tcache.create", &self->tcache, &length, NULL, 0) == 0;
		return;
	}
	t_dallocx(t_mallocx(1 + below(self, 5000), MALLOCX_TCACHE(self->tcache)),
	    MALLOCX_TCACHE(self->tcache));
	const bool destroys = chance(self, 3);
	CHECK_EQ(t_mallctl(destroys ? "tcache.destroy" : "tcache.flush", NULL, NULL,
		     &self->tcache, sizeof self->tcache),
	    0);
	self->has_tcache = !destroys;
}

static void
arena_decay(struct self *self)
{
	(void)run(any_arena(self, chance(self, 2) ? "decay" : "purge"));
}

static void
arena_reset(struct self *self)
{
	struct own_arena *own = own_arena(self);

	use(self, own);
	CHECK_EQ(run(node_of(own, "reset")), 0);
	memset(own->objects, 0, sizeof own->objects);
	CHECK(run("arena.0.reset") == EFAULT);
}

static void
arena_destroy(struct self *self)
{
	struct own_arena *own = own_arena(self);
	const unsigned some = (unsigned)below(self, n_automatic);

	use(self, own);
	CHECK_EQ(WRITE(self, "thread.arena", own->index), 0);
	CHECK_EQ(run(node_of(own, "destroy")), EFAULT);
	CHECK_EQ(WRITE(self, "thread.arena", some), 0);
	CHECK_EQ(run(node_of(own, "destroy")), 0);
	own->exists = false;
	CHECK(run("arena.0.destroy") == EFAULT);
}

static void
arena_dss(struct self *self)
{
	static const char *const words[] = { "disabled", "primary", "secondary",
		"other" };
	const char *word = words[below(self, COUNT(words))];
	(void)WRITE(self, any_arena(self, "dss"), word);
}

static void
arena_oversize(struct self *self)
{
	const size_t size = below(self, (size_t)1 << 24);
	(void)WRITE(self, any_arena(self, "oversize_threshold"), size);
}

static void
arena_decay_ms(struct self *self)
{
	const ssize_t ms = (ssize_t)below(self, 100) - 2;
	(void)WRITE(self,
	    any_arena(self, chance(self, 2) ? "dirty_decay_ms" : "muzzy_decay_ms"), ms);
}

static extent_hooks_t *default_hooks;
static extent_hooks_t same_hooks[2];

static void
arena_hooks(struct self *self)
{
	struct own_arena *own = own_arena(self);
	extent_hooks_t *hooks =
	    chance(self, 3) ? default_hooks : &same_hooks[below(self, COUNT(same_hooks))];

	CHECK_EQ(WRITE(self, node_of(own, "extent_hooks"), hooks), 0);
	use(self, own);
}

static void
arena_grow_limit(struct self *self)
{
	const size_t limit = below(self, (size_t)1 << below(self, 40));
	(void)WRITE(self, any_arena(self, "retain_grow_limit"), limit);
}

static void
arena_name(struct self *self)
{
	char buffer[32], *at = buffer;
	const char *names[] = { "a", "b b b b",
		"a name that is longer than thirty-one chars" };
	const char *name = names[below(self, COUNT(names))];
	size_t length = sizeof at;

	(void)t_mallctl(any_arena(self, "name"), chance(self, 2) ? &at : NULL, &length,
	    chance(self, 2) ? (void *)&name : NULL, sizeof name);
}

static void
arenas_decay_ms(struct self *self)
{
	const ssize_t ms = (ssize_t)below(self, 2000);
	CHECK_EQ(WRITE(self,
		     chance(self, 2) ? "arenas.dirty_decay_ms" : "arenas.muzzy_decay_ms",
		     ms),
	    0);
}

static void
lookup(struct self *self)
{
	void *p = t_malloc(1 + below(self, 100000));
	unsigned index;
	size_t length = sizeof index;

	CHECK_EQ(t_mallctl("arenas.lookup", &index, &length, &p, sizeof p), 0);
	t_free(p);
}

static void
mutexes_reset(struct self *self)
{
	(void)self;
	(void)run("stats.mutexes.reset"); /* not in every build */
}

static void
on_misuse(const char *line)
{
	printf("# %s", line);
	abort();
}

static void
safety_check_abort(struct self *self)
{
	void (*hook)(const char *) = chance(self, 2) ? on_misuse : NULL;
	CHECK_EQ(t_mallctl("experimental.hooks.safety_check_abort", NULL, NULL, &hook,
		     sizeof hook),
	    0);
}

static _Atomic(uint64_t) n_events;

static void
on_bytes(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
	(void)is_alloc, (void)allocated, (void)deallocated;
	atomic_fetch_add_explicit(&n_events, 1, memory_order_relaxed);
}

/* From now on every call of every thread counts: not at once. */
static void
thread_event(struct self *self)
{
	const struct {
		void (*call)(bool, uint64_t, uint64_t);
		uint64_t interval;
		bool is_alloc_only;
	} hook = { on_bytes, 1 + below(self, 100000), chance(self, 2) };

	if (chance(self, 100))
		(void)t_mallctl("experimental.hooks.thread_event", NULL, NULL,
		    (void *)&hook, sizeof hook);
}

static void
utilization(struct self *self)
{
	void *p[2] = { self->objects[below(self, OBJECTS)], self };
	size_t use[6], length = sizeof use;

	CHECK_EQ(t_mallctl("experimental.utilization.batch_query", use, &length, p,
		     sizeof p),
	    0);
	length = sizeof use;
	CHECK_EQ(t_mallctl("experimental.utilization.query", use, &length, p,
		     sizeof p[0]),
	    0);
}

static void
batch_alloc(struct self *self)
{
	void *objects[32];
	const struct {
		void **objects;
		size_t count, size;
		int flags;
	} batch = { objects, below(self, COUNT(objects)), 1 + below(self, 3000), 0 };
	size_t n = 0, length = sizeof n;

	CHECK_EQ(t_mallctl("experimental.batch_alloc", &n, &length, (void *)&batch,
		     sizeof batch),
	    0);
	for (size_t i = 0; i < n; i++)
		t_free(objects[i]);
}

/* ORDER WRITABLE: by the paths of nodes.def; NULL where the feature may lack. */
static const struct {
	const char *path;
	void (*write)(struct self *self);
} writers[] = {
	{ "epoch", epoch },
	{ "background_thread", background_thread },
	{ "max_background_threads", max_background_threads },
	{ "thread.arena", thread_arena },
	{ "thread.tcache.enabled", tcache_enabled },
	{ "thread.tcache.max", tcache_max },
	{ "thread.tcache.flush", tcache_flush },
	{ "thread.tcache.ncached_max.read_sizeclass", ncached_max },
	{ "thread.tcache.ncached_max.write", ncached_max },
	{ "thread.peak.reset", peak_reset },
	{ "thread.prof.name", NULL },
	{ "thread.prof.active", NULL },
	{ "thread.idle", idle },
	{ "tcache.create", explicit_cache },
	{ "tcache.flush", explicit_cache },
	{ "tcache.destroy", explicit_cache },
	{ "arena.<i>.decay", arena_decay },
	{ "arena.<i>.purge", arena_decay },
	{ "arena.<i>.reset", arena_reset },
	{ "arena.<i>.destroy", arena_destroy },
	{ "arena.<i>.dss", arena_dss },
	{ "arena.<i>.oversize_threshold", arena_oversize },
	{ "arena.<i>.dirty_decay_ms", arena_decay_ms },
	{ "arena.<i>.muzzy_decay_ms", arena_decay_ms },
	{ "arena.<i>.extent_hooks", arena_hooks },
	{ "arena.<i>.retain_grow_limit", arena_grow_limit },
	{ "arena.<i>.name", arena_name },
	{ "arenas.dirty_decay_ms", arenas_decay_ms },
	{ "arenas.muzzy_decay_ms", arenas_decay_ms },
	{ "arenas.create", arena_destroy },
	{ "arenas.lookup", lookup },
	{ "prof.thread_active_init", NULL },
	{ "prof.active", NULL },
	{ "prof.dump", NULL },
	{ "prof.gdump", NULL },
	{ "prof.prefix", NULL },
	{ "prof.reset", NULL },
	{ "prof.log_start", NULL },
	{ "prof.log_stop", NULL },
	{ "stats.mutexes.reset", mutexes_reset },
	{ "experimental.hooks.prof_backtrace", NULL },
	{ "experimental.hooks.prof_dump", NULL },
	{ "experimental.hooks.prof_sample", NULL },
	{ "experimental.hooks.prof_sample_free", NULL },
	{ "experimental.hooks.safety_check_abort", safety_check_abort },
	{ "experimental.hooks.thread_event", thread_event },
	{ "experimental.utilization.query", utilization },
	{ "experimental.utilization.batch_query", utilization },
	{ "experimental.arenas_create_ext", arena_destroy },
	{ "experimental.prof_recent.alloc_max", NULL },
	{ "experimental.prof_recent.alloc_dump", NULL },
	{ "experimental.batch_alloc", batch_alloc },
};

enum access { R, W, RW, COMMAND, QUERY, MAKE };

static const struct {
	const char *path;
	enum access access;
} nodes[] = {
#define NODE(path, type, access, presence) { path, access },
#define MUTEX(path) NODE(path ".num_ops", U64, R, ALWAYS)
#include "api/nodes.def"
};

TEST(every_writable_node_has_a_writer)
{
	unsigned n_writable = 0;

	for (unsigned i = 0; i < COUNT(nodes); i++) {
		unsigned k = 0;
		if (nodes[i].access == R)
			continue;
		n_writable++;
		while (k < COUNT(writers) && strcmp(writers[k].path, nodes[i].path) != 0)
			k++;
		if (k == COUNT(writers))
			printf("# %s\n", nodes[i].path);
		CHECK(k < COUNT(writers));
		if (k < COUNT(writers) && writers[k].write == NULL)
			CHECK_EQ(run(nodes[i].path), ENOENT);
	}
	CHECK_EQ(n_writable, COUNT(writers));
}

/* ---- Reading meanwhile. ---- */

static void
read_any(struct self *self)
{
	char name[128];
	unsigned char value[64];
	size_t n = 0, length = sizeof value, i;

	do
		i = below(self, COUNT(nodes));
	while (nodes[i].access != R);
	for (const char *p = nodes[i].path; *p != '\0'; p++) {
		if (*p != '<')
			name[n++] = *p;
		else if (n = n + (size_t)sprintf(name + n, "%zu", below(self, 3)), true)
			p = strchr(p, '>');
	}
	name[n] = '\0';
	(void)t_mallctl(name, value, &length, NULL, 0);
}

static void
allocate(struct self *self)
{
	for (unsigned i = 0; i < 50; i++) {
		void **p = &self->objects[below(self, OBJECTS)];
		t_free(*p);
		*p = t_malloc(below(self, (size_t)16 << below(self, 13)));
	}
}

static struct timespec end;

static bool
is_over(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end.tv_sec
	    || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}

static void *
write_all(void *arg)
{
	struct self *self = arg;

	/* A thread may have had little of the time. */
	while (!is_over() || self->n_writes <= LEAST_WRITES) {
		const size_t k = below(self, COUNT(writers));
		if (writers[k].write != NULL) {
			writers[k].write(self);
			self->n_writes++;
		}
		read_any(self);
		allocate(self);
	}
	/* Leave nothing: no object, no arena, no cache. */
	const bool on = true;
	const unsigned arena = 0;
	CHECK_EQ(WRITE(self, "thread.arena", arena), 0);
	CHECK_EQ(WRITE(self, "thread.tcache.enabled", on), 0);
	for (unsigned i = 0; i < OBJECTS; i++)
		t_free(self->objects[i]);
	for (unsigned i = 0; i < OWN_ARENAS; i++)
		if (self->own[i].exists)
			CHECK_EQ(run(node_of(&self->own[i], "destroy")), 0);
	if (self->has_tcache)
		CHECK_EQ(t_mallctl("tcache.destroy", NULL, NULL, &self->tcache,
			     sizeof self->tcache),
		    0);
	return NULL;
}

TEST(all_nodes_can_be_written_at_the_same_time)
{
	static struct self selves[THREADS];
	pthread_t threads[THREADS];
	const uint64_t seed = test_seed();
	uint64_t n_writes = 0;

	size_t length = sizeof n_automatic;
	REQUIRE(t_mallctl("arenas.narenas", &n_automatic, &length, NULL, 0) == 0);
	length = sizeof default_hooks;
	REQUIRE(t_mallctl("arena.0.extent_hooks", &default_hooks, &length, NULL, 0) == 0);
	same_hooks[0] = same_hooks[1] = *default_hooks;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SECONDS;
	for (unsigned i = 0; i < THREADS; i++) {
		selves[i].random = seed + i;
		REQUIRE(pthread_create(&threads[i], NULL, write_all, &selves[i]) == 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		CHECK(selves[i].n_writes > LEAST_WRITES);
		n_writes += selves[i].n_writes;
	}
	printf("# %" PRIu64 " writes, %" PRIu64 " events\n", n_writes, n_events);
	/* All arenas that were made are gone again. */
	unsigned narenas = 0;
	CHECK_EQ(t_mallctl("arenas.narenas", &narenas, &(size_t){ sizeof narenas }, NULL,
		     0),
	    0);
	for (unsigned i = n_automatic; i < narenas; i++) {
		char name[64];
		bool is = true;
		snprintf(name, sizeof name, "arena.%u.initialized", i);
		CHECK_EQ(t_mallctl(name, &is, &(size_t){ sizeof is }, NULL, 0), 0);
		CHECK(!is);
	}
}
