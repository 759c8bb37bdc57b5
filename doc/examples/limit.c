/* SPDX-License-Identifier: MIT */
/*
 * limit -- a program with a cache that lives within a limit of memory.
 *
 * At the soft limit tract gives back all free pages, and when that does not help tells the program,
 * which drops the older half of its cache.  At the hard limit an allocation fails with ENOMEM, after
 * the program has been asked once more; it goes on without.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tract/tract.h>

#define MIB ((size_t)1 << 20)
#define ENTRIES 64

/* One thread uses it; a callback in another thread would need a lock, and could not wait for it. */
static struct cache {
	void *entries[ENTRIES]; /* oldest first */
	unsigned n;
	unsigned n_soft, n_hard;
} cache;

static void
drop_half(struct cache *c)
{
	const unsigned n = (c->n + 1) / 2;

	for (unsigned i = 0; i < n; i++)
		free(c->entries[i]);
	memmove(c->entries, c->entries + n, (c->n - n) * sizeof c->entries[0]);
	c->n -= n;
}

/* In the middle of malloc: free and even malloc may be called. */
static void
at_limit(void *data, const limit_event_t *event)
{
	struct cache *c = data;

	if (event->limit == TRACT_LIMIT_SOFT)
		c->n_soft++;
	else
		c->n_hard++;
	drop_half(c);
}

static void
set(const char *node, void *value, size_t size)
{
	if (mallctl(node, NULL, NULL, value, size) != 0)
		perror(node);
}

int
main(void)
{
	limit_callback_t callback = { at_limit, &cache };
	size_t soft, hard, used, length = sizeof used;

	if (mallctl("limit.used", &used, &length, NULL, 0) != 0)
		return 1;
	soft = used + 16 * MIB;
	hard = used + 24 * MIB;
	set("limit.callback", &callback, sizeof callback);
	set("limit.soft", &soft, sizeof soft);
	set("limit.hard", &hard, sizeof hard);

	/* Far more than fits, an entry at a time. */
	for (unsigned i = 0; i < 200; i++) {
		void *entry = malloc(MIB);
		if (entry == NULL)
			return 1;
		memset(entry, 1, MIB);
		if (cache.n == ENTRIES)
			drop_half(&cache);
		cache.entries[cache.n++] = entry;
	}
	printf("told %u times at the soft limit\n", cache.n_soft);
	/* More than there is at all. */
	errno = 0;
	void *volatile too_much = malloc(32 * MIB); /* or a compiler may leave it out */
	const int why = errno;
	printf("malloc of 32 MiB: %s\n", too_much == NULL ? strerror(why) : "done");
	if (cache.n_soft == 0 || too_much != NULL || why != ENOMEM)
		return 1;
	mallctl("limit.used", &used, &length, NULL, 0);
	if (used > hard)
		return 1;
	while (cache.n != 0)
		drop_half(&cache);
	printf("limit: ok\n");
	return 0;
}
