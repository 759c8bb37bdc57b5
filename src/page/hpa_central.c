/* SPDX-License-Identifier: MIT */
#include "page/hpa_central.h"

#include "base/bits.h"
#include "config/options.h"
#include "meta/rtree.h"
#include "os/os.h"
#include "sync/fork.h"

/* ---- the kernel ------------------------------------------------------------------------------ */

/* After an eden was refused, so long none is asked for. */
#define IN_VAIN_NS ((uint64_t)100 * 1000 * 1000)

/* process_madvise needs two calls more, for a descriptor. */
#define MANY 4

static void *
map(size_t size)
{
	enum os_commit commit = OS_COMMITTED;

	return os_pages_map(NULL, size, OS_HUGEPAGE, &commit);
}

static unsigned
purge_many(const struct iovec *ranges, unsigned n)
{
	const unsigned most = (unsigned)opt.process_madvise_max_batch;
	unsigned n_done = 0, batch, got;

	do {
		batch = n - n_done < most ? n - n_done : most;
		if (batch < MANY)
			break;
		got = os_pages_purge_many(ranges + n_done, batch);
		n_done += got;
	} while (got == batch);
	return n_done;
}

static unsigned
purge(const struct iovec *ranges, unsigned n)
{
	unsigned n_done = purge_many(ranges, n);

	while (n_done < n
	    && os_pages_purge_forced(ranges[n_done].iov_base, ranges[n_done].iov_len))
		n_done++;
	return n_done;
}

static uint64_t
back(void *addr)
{
	const uint64_t start = os_clock_thread_ns();

	*(volatile char *)addr = 0;
	return os_clock_thread_ns() - start;
}

const struct hpa_system hpa_system_real = {
	.back = back,
	.map = map,
	.unmap = os_pages_unmap,
	.purge = purge,
	.hugify = os_pages_huge,
	.collapse = os_pages_collapse,
	.dehugify = os_pages_nohuge,
	.now_ns = os_clock_coarse_ns,
};

/* ---- address space --------------------------------------------------------------------------- */

struct hpa_central hpa_central = {
	.lock = MUTEX_INITIALIZER(HPA_CENTRAL),
	.system = &hpa_system_real,
	.small_max = HPA_SMALL_MAX,
};

void
hpa_central_init(struct hpa_central *central, const struct hpa_system *system)
{
	*central = (struct hpa_central){ .system = system, .small_max = HPA_SMALL_MAX };
	mutex_init(&central->lock, RANK_HPA_CENTRAL);
}

uintptr_t
hpa_central_take(struct hpa_central *central)
{
	uintptr_t addr = 0;

	mutex_lock(&central->lock);
	if (central->n_kept != 0) {
		addr = central->kept[--central->n_kept];
	} else if (central->next != central->end) {
		addr = central->next;
		central->next += OS_HUGEPAGE;
	}
	mutex_unlock(&central->lock);
	return addr;
}

static bool
keep(struct hpa_central *central, uintptr_t addr)
{
	mutex_lock(&central->lock);
	const bool has_place = central->n_kept < HPA_KEPT;
	if (has_place)
		central->kept[central->n_kept++] = addr;
	mutex_unlock(&central->lock);
	return has_place;
}

void
hpa_central_drop(struct hpa_central *central, uintptr_t addr)
{
	if (central->system->unmap((void *)addr, OS_HUGEPAGE))
		fetch_sub_relaxed(&central->mapped, OS_HUGEPAGE);
}

void
hpa_central_give(struct hpa_central *central, uintptr_t addr)
{
	const struct iovec all = { (void *)addr, OS_HUGEPAGE };

	if (central->system->purge(&all, 1) != 1 || !keep(central, addr))
		hpa_central_drop(central, addr);
}

static bool
has_room(struct hpa_central *central)
{
	mutex_lock(&central->lock);
	const bool has = central->next != central->end || central->n_kept != 0;
	mutex_unlock(&central->lock);
	return has;
}

/* A quarter of what there is. */
static size_t
eden_size(const struct hpa_central *central)
{
	const size_t n = load_relaxed(&central->mapped) / OS_HUGEPAGE / 4;

	return min_size(max_size(n, HPA_EDEN_FIRST), HPA_EDEN_PAGESLABS) * OS_HUGEPAGE;
}

/* As large as can be had; *size: how large. */
static char *
map_eden(struct hpa_central *central, size_t *size)
{
	const struct hpa_system *system = central->system;
	char *addr = NULL;

	*size = eden_size(central);
	while (*size >= OS_HUGEPAGE && (addr = system->map(*size)) == NULL)
		*size = align_down(*size / 2, OS_HUGEPAGE);
	if (addr == NULL)
		return NULL;
	if (!rtree_cover((uintptr_t)addr, (uintptr_t)addr + *size)) {
		(void)system->unmap(addr, *size);
		return NULL;
	}
	/* Without it an eden serves as well, but for how soon its pages are huge, or small. */
	const enum hpa_advice advice = load_relaxed(&central->advice);
	if (advice == HPA_HUGE)
		(void)system->hugify(addr, *size);
	if (advice == HPA_SMALL)
		(void)system->dehugify(addr, *size);
	return addr;
}

bool
hpa_central_refill(struct hpa_central *central)
{
	size_t size;

	if (has_room(central))
		return true;
	const uint64_t now = central->system->now_ns();
	/* Relaxed: hints. */
	if (now < load_relaxed(&central->map_due_ns))
		return false;
	char *addr = map_eden(central, &size);
	if (addr == NULL) {
		store_relaxed(&central->map_due_ns, now + IN_VAIN_NS);
		return has_room(central);
	}
	mutex_lock(&central->lock);
	/* Two threads may have mapped one each. */
	const bool is_first = central->next == central->end;
	if (is_first) {
		central->next = (uintptr_t)addr;
		central->end = central->next + size;
	}
	mutex_unlock(&central->lock);
	if (is_first)
		fetch_add_relaxed(&central->mapped, size);
	else
		(void)central->system->unmap(addr, size);
	return true;
}

/* ---- what is at hand ------------------------------------------------------------------------- */

void
hpa_central_backed(struct hpa_central *central, uint64_t ns)
{
	const bool is_slow = ns > OS_HUGEPAGE;
	/* Relaxed: hints; of two at once one is forgotten. */
	const unsigned run = load_relaxed(&central->small_run);

	store_relaxed(&central->small_run,
	    is_slow ? (unsigned)min_size(max_size(2 * run, 1), HPA_SMALL_RUN) : run / 2);
	if (is_slow)
		store_relaxed(&central->n_begin_small, load_relaxed(&central->small_run));
}

bool
hpa_central_begins_small(struct hpa_central *central)
{
	const unsigned n = load_relaxed(&central->n_begin_small);

	if (n != 0)
		store_relaxed(&central->n_begin_small, n - 1);
	return n != 0;
}

/* ---- fork ------------------------------------------------------------------------------------ */

void
hpa_central_fork_prepare(struct hpa_central *central)
{
	(void)mutex_fork_prepare(&central->lock);
}

void
hpa_central_fork_parent(struct hpa_central *central)
{
	mutex_fork_parent(&central->lock);
}

void
hpa_central_fork_child(struct hpa_central *central)
{
	if (mutex_fork_child(&central->lock))
		return;
	central->next = central->end = 0;
	central->n_kept = 0;
}
