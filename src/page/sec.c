/* SPDX-License-Identifier: MIT */
#include "page/sec.h"

#include "base/bits.h"
#include "base/hash.h"
#include "config/options.h"
#include "extent/emap.h"
#include "os/os.h"
#include "os/pages.h"
#include "os/thread.h"
#include "page/hpa.h"
#include "page/limit.h"
#include "sync/fork.h"

static_assert(SEC_REFILL_MAX <= HPA_BATCH_MAX, "the HPA counts batches by their size");
static_assert(sizeof(struct sec_bin) % CACHE_LINE == 0, "bins share no line");

static inline struct sec *
sec_of(struct pai *pai)
{
	return CONTAINER_OF(pai, struct sec, pai);
}

/* The bins of a size are one row apart, a row a shard. */
static inline struct sec_bin *
bin_of(const struct sec *sec, size_t shard, size_t size)
{
	return &sec->bins[shard * sec->n_classes + size / os_page_size - 1];
}

static size_t
n_bins(const struct sec *sec)
{
	return sec->options.n_shards * sec->n_classes;
}

static inline bool
has_bins(const struct sec *sec, size_t size)
{
	return size / os_page_size <= sec->n_classes;
}

static bool
is_cached(const struct sec *sec, const struct page_request *request)
{
	return has_bins(sec, request->size) && request->alignment <= os_page_size
	    && !request->zero && !request->guarded;
}

unsigned
sec_home(const struct sec *sec)
{
	/* The upper half of a hash, scaled. */
	return (unsigned)((hash_u64(os_thread_pointer()) >> 32) * sec->options.n_shards
	    >> 32);
}

/* ---- what a cached extent is ---------------------------------------------------------------- */

/* An active extent of the caller's becomes nobody's. */
static void
retire(struct edata *e)
{
	assert(load_relaxed(&e->owner) == NULL && load_relaxed(&e->remote) == 0);
	if (use_has_regions((enum extent_use)e->use))
		emap_deregister_interior(e);
	e->use = USE_NONE;
	e->zeroed = false;
	emap_set_state(e, EXTENT_MERGING);
}

/* ... and what was asked for again.  It is so short that its edges made every leaf it has words
 * in: this cannot fail. */
static void
revive(struct edata *e, const struct page_request *request)
{
	e->use = (uint8_t)request->use;
	e->szind = request->szind;
	e->cached = false;
	e->is_fresh = false;
	e->is_unbacked = false;
	emap_set_state(e, EXTENT_ACTIVE);
	if (use_has_regions(request->use))
		emap_register_interior(e);
}

/* ---- bins ----------------------------------------------------------------------------------- */

static void
push_locked(struct sec_bin *bin, struct edata *e)
{
	list_push_front(&bin->extents, &e->link);
	bin->stats.bytes += e->size;
}

static struct edata *
pop_locked(struct sec_bin *bin)
{
	struct list *l = list_pop_front(&bin->extents);

	if (l == NULL)
		return NULL;
	struct edata *e = LIST_ENTRY(l, struct edata, link);
	bin->stats.bytes -= e->size;
	bin->idle = min_size(bin->idle, bin->stats.bytes);
	return e;
}

/* The cold end goes to the end of `extents', until so many bytes are left. */
static void
shed_locked(struct sec_bin *bin, size_t bytes, struct list *extents)
{
	assert(mutex_is_held(&bin->lock));
	while (bin->stats.bytes > bytes) {
		struct list *l = list_last(&bin->extents);
		list_remove(l);
		bin->stats.bytes -= LIST_ENTRY(l, struct edata, link)->size;
		list_push_back(extents, l);
	}
	bin->idle = min_size(bin->idle, bin->stats.bytes);
}

/* A bin that has become too full sheds.  True: it had. */
static bool
relieve_locked(const struct sec *sec, struct sec_bin *bin, struct list *extents)
{
	const size_t max = sec->options.max_bytes;

	if (bin->stats.bytes <= max)
		return false;
	shed_locked(bin, max - max / 4, extents);
	return true;
}

static void
give_back(struct sec *sec, struct list *extents, bool *deferred)
{
	if (!list_is_empty(extents))
		sec->behind->dalloc_batch(sec->behind, extents, deferred);
}

/* ---- time ----------------------------------------------------------------------------------- */

static uint64_t
trim_interval_ns(uint64_t decay_ms)
{
	return min_size(decay_ms, UINT64_MAX / 1000000) * 1000000 / 4;
}

/* Bins that were all empty have something now. */
static NOINLINE void
expect_trim(struct sec *sec, bool *deferred)
{
	/* Relaxed: set at any time. */
	const ssize_t ms = load_relaxed(&sec->decay_ms);
	const uint64_t now = os_clock_coarse_ns();

	if (ms < 0)
		return;
	const uint64_t interval = trim_interval_ns((uint64_t)ms);
	store_relaxed(&sec->trim_ns,
	    now < UINT64_MAX - interval ? now + interval : UINT64_MAX - 1);
	*deferred = true;
}

uint64_t
sec_wake_ns(const struct sec *sec)
{
	/* Relaxed: set at any time; a hint. */
	const uint64_t due = load_relaxed(&sec->trim_ns);
	const ssize_t ms = load_relaxed(&sec->decay_ms);
	const uint64_t patience = ms <= 0 ? 0 : trim_interval_ns((uint64_t)ms) / 2;

	return due < UINT64_MAX - patience ? due + patience : due;
}

/* After something was put into a bin.  Relaxed: who has made it DEFERRED_NEVER looks into the bins
 * afterwards, with their locks. */
static inline void
note_filled(struct sec *sec, bool *deferred)
{
	if (UNLIKELY(load_relaxed(&sec->trim_ns) == DEFERRED_NEVER))
		expect_trim(sec, deferred);
}

/* ---- the interface -------------------------------------------------------------------------- */

/* The n-th shard that the calling thread tries for a size. */
static struct sec_bin *
nth_bin(const struct sec *sec, unsigned home, unsigned n, size_t size)
{
	const size_t shard = home + (size_t)n;

	return bin_of(sec,
	    shard < sec->options.n_shards ? shard : shard - sec->options.n_shards, size);
}

/* A cached extent of that size; NULL: a miss, counted in the home bin. */
static struct edata *
take(struct sec *sec, unsigned home, size_t size)
{
	struct edata *e;

	for (unsigned n = 0; n < sec->options.n_shards; n++) {
		struct sec_bin *bin = nth_bin(sec, home, n, size);
		if (!mutex_trylock(&bin->lock))
			continue;
		e = pop_locked(bin);
		if (e != NULL)
			bin->stats.n_hits++;
		mutex_unlock(&bin->lock);
		if (e != NULL)
			return e;
	}
	struct sec_bin *bin = bin_of(sec, home, size);
	mutex_lock(&bin->lock);
	/* It may have been another's a moment ago. */
	e = pop_locked(bin);
	if (e != NULL)
		bin->stats.n_hits++;
	else
		bin->stats.n_misses++;
	mutex_unlock(&bin->lock);
	return e;
}

/* Extents of one size for the home bin. */
static void
fill(struct sec *sec, unsigned home, struct list *extents, bool *deferred)
{
	struct list too_many, *l;

	if (list_is_empty(extents))
		return;
	LIST_FOR_EACH (i, extents)
		retire(LIST_ENTRY(i, struct edata, link));
	list_init(&too_many);
	const size_t size = LIST_ENTRY(list_first(extents), struct edata, link)->size;
	struct sec_bin *bin = bin_of(sec, home, size);
	mutex_lock(&bin->lock);
	while ((l = list_pop_front(extents)) != NULL)
		push_locked(bin, LIST_ENTRY(l, struct edata, link));
	if (relieve_locked(sec, bin, &too_many))
		bin->stats.n_overfills++;
	mutex_unlock(&bin->lock);
	note_filled(sec, deferred);
	give_back(sec, &too_many, deferred);
}

/* So many that they are a quarter of a bin. */
static unsigned
refill_count(const struct sec *sec, size_t size)
{
	const size_t n = min_size(sec->options.max_bytes / size / 4, SEC_REFILL_MAX);

	return (unsigned)max_size(n, SEC_REFILL_MIN);
}

static struct edata *
sec_alloc(struct pai *self, const struct page_request *request, bool *deferred)
{
	struct sec *sec = sec_of(self);

	if (!is_cached(sec, request))
		return sec->behind->alloc(sec->behind, request, deferred);
	const unsigned home = sec_home(sec);
	struct edata *e = take(sec, home, request->size);
	if (e != NULL) {
		revive(e, request);
		return e;
	}
	struct list extents;
	list_init(&extents);
	const unsigned got = sec->behind->alloc_batch(sec->behind, request,
	    refill_count(sec, request->size), &extents, deferred);
	if (got == 0)
		return NULL;
	e = LIST_ENTRY(list_pop_front(&extents), struct edata, link);
	fill(sec, home, &extents, deferred);
	return e;
}

static unsigned
sec_alloc_batch(struct pai *self, const struct page_request *request, unsigned n,
    struct list *extents, bool *deferred)
{
	struct pai *behind = sec_of(self)->behind;

	return behind->alloc_batch(behind, request, n, extents, deferred);
}

static bool
sec_expand(struct pai *self, struct edata *e, size_t new_size, bool zero, bool *deferred)
{
	struct pai *behind = sec_of(self)->behind;

	return behind->expand(behind, e, new_size, zero, deferred);
}

static bool
sec_shrink(struct pai *self, struct edata *e, size_t new_size, bool *deferred)
{
	struct pai *behind = sec_of(self)->behind;

	return behind->shrink(behind, e, new_size, deferred);
}

/* The bin of a size where the caller need not wait, or else its own; locked. */
static struct sec_bin *
lock_any(const struct sec *sec, size_t size)
{
	const unsigned home = sec_home(sec);

	for (unsigned n = 0; n < sec->options.n_shards; n++) {
		struct sec_bin *bin = nth_bin(sec, home, n, size);
		if (mutex_trylock(&bin->lock))
			return bin;
	}
	struct sec_bin *bin = bin_of(sec, home, size);
	mutex_lock(&bin->lock);
	return bin;
}

static void
sec_dalloc(struct pai *self, struct edata *e, bool *deferred)
{
	struct sec *sec = sec_of(self);
	struct list too_many;

	/* Relaxed: set at any time. */
	if (!has_bins(sec, e->size) || UNLIKELY(load_relaxed(&sec->decay_ms) == 0)) {
		sec->behind->dalloc(sec->behind, e, deferred);
		return;
	}
	retire(e);
	list_init(&too_many);
	struct sec_bin *bin = lock_any(sec, e->size);
	push_locked(bin, e);
	if (relieve_locked(sec, bin, &too_many))
		bin->stats.n_dalloc_flush++;
	else
		bin->stats.n_dalloc_noflush++;
	mutex_unlock(&bin->lock);
	note_filled(sec, deferred);
	give_back(sec, &too_many, deferred);
}

static void
sec_dalloc_batch(struct pai *self, struct list *extents, bool *deferred)
{
	struct pai *behind = sec_of(self)->behind;

	behind->dalloc_batch(behind, extents, deferred);
}

static uint64_t
sec_time_until_deferred_work(struct pai *self)
{
	struct sec *sec = sec_of(self);
	const uint64_t wake = sec_wake_ns(sec);
	const uint64_t behind = sec->behind->time_until_deferred_work(sec->behind);

	if (wake == DEFERRED_NEVER)
		return behind;
	const uint64_t now = os_clock_coarse_ns();
	const uint64_t ns = wake > now && !limit_is_pressed() ? wake - now : 0;
	return ns < behind ? ns : behind;
}

/* Each bin gives back what it has not needed since the last time.  Two threads at once trim twice:
 * the second finds little. */
static void
trim(struct sec *sec, bool *deferred)
{
	bool is_empty = true;

	/* Relaxed: set at any time. */
	if (load_relaxed(&sec->decay_ms) == 0)
		sec_flush(sec, deferred);
	/* Relaxed: see note_filled. */
	store_relaxed(&sec->trim_ns, DEFERRED_NEVER);
	for (size_t i = 0; i < n_bins(sec); i++) {
		struct sec_bin *bin = &sec->bins[i];
		struct list extents;
		list_init(&extents);
		mutex_lock(&bin->lock);
		shed_locked(bin, bin->stats.bytes - bin->idle, &extents);
		bin->idle = bin->stats.bytes;
		is_empty = is_empty && bin->stats.bytes == 0;
		mutex_unlock(&bin->lock);
		give_back(sec, &extents, deferred);
	}
	if (!is_empty)
		note_filled(sec, deferred);
}

static void
sec_work(struct pai *self, enum purge_extent how)
{
	struct sec *sec = sec_of(self);
	bool deferred = false; /* the work is done right now */

	if (how == PURGE_EVERYTHING || limit_is_pressed())
		sec_flush(sec, &deferred);
	else if (load_relaxed(&sec->trim_ns)
	    <= os_clock_coarse_ns()) /* relaxed: a hint */
		trim(sec, &deferred);
	sec->behind->work(sec->behind, how);
}

/* ---- all bins ------------------------------------------------------------------------------- */

void
sec_options_of_process(struct sec_options *options)
{
	*options = (struct sec_options){
		.n_shards = min_size(opt.hpa_sec_nshards, SEC_SHARDS_MAX),
		.max_alloc = opt.hpa_sec_max_alloc,
		.max_bytes =
		    CONFIG_HOSTILE ? 2 * opt.hpa_sec_max_alloc : opt.hpa_sec_max_bytes,
	};
}

void
sec_init(struct sec *sec, struct base *base, struct pai *behind,
    const struct sec_options *options, ssize_t decay_ms)
{
	sec->pai = (struct pai){
		.alloc = sec_alloc,
		.alloc_batch = sec_alloc_batch,
		.expand = sec_expand,
		.shrink = sec_shrink,
		.dalloc = sec_dalloc,
		.dalloc_batch = sec_dalloc_batch,
		.time_until_deferred_work = sec_time_until_deferred_work,
		.work = sec_work,
	};
	sec->behind = behind;
	sec->options = *options;
	sec->n_classes =
	    options->n_shards == 0 ? 0 : (unsigned)(options->max_alloc / os_page_size);
	sec->bins = NULL;
	/* Relaxed: nobody else has it yet. */
	store_relaxed(&sec->decay_ms, decay_ms);
	store_relaxed(&sec->trim_ns, DEFERRED_NEVER);
	if (n_bins(sec) == 0)
		return;
	sec->bins = base_alloc(base, n_bins(sec) * sizeof *sec->bins, CACHE_LINE);
	if (sec->bins == NULL)
		sec->n_classes = 0;
	for (size_t i = 0; i < n_bins(sec); i++) {
		mutex_init(&sec->bins[i].lock, RANK_HPA_SEC);
		list_init(&sec->bins[i].extents);
	}
}

void
sec_set_decay_ms(struct sec *sec, ssize_t ms)
{
	/* Relaxed: what a thread puts in meanwhile by the old time is trimmed by the new one. */
	store_relaxed(&sec->decay_ms, ms);
	store_relaxed(&sec->trim_ns, ms < 0 ? DEFERRED_NEVER : 0);
}

void
sec_flush(struct sec *sec, bool *deferred)
{
	for (size_t i = 0; i < n_bins(sec); i++) {
		struct sec_bin *bin = &sec->bins[i];
		struct list extents;
		list_init(&extents);
		mutex_lock(&bin->lock);
		shed_locked(bin, 0, &extents);
		mutex_unlock(&bin->lock);
		give_back(sec, &extents, deferred);
	}
}

void
sec_gather(struct sec *sec, struct sec_stats *sum)
{
	for (size_t i = 0; i < n_bins(sec); i++) {
		struct sec_bin *bin = &sec->bins[i];
		mutex_lock(&bin->lock);
		const struct sec_stats s = bin->stats;
		mutex_unlock(&bin->lock);
		sum->bytes += s.bytes;
		sum->n_hits += s.n_hits;
		sum->n_misses += s.n_misses;
		sum->n_dalloc_noflush += s.n_dalloc_noflush;
		sum->n_dalloc_flush += s.n_dalloc_flush;
		sum->n_overfills += s.n_overfills;
	}
}

void
sec_for_each_lock(struct sec *sec, void (*visit)(struct mutex *lock, void *context),
    void *context)
{
	for (size_t i = 0; i < n_bins(sec); i++)
		visit(&sec->bins[i].lock, context);
}

static void
check_cached(const struct edata *e, size_t size)
{
	assert(e->size == size && e->state == EXTENT_MERGING && e->use == USE_NONE);
	assert(load_relaxed(&e->owner) == NULL && load_relaxed(&e->remote) == 0);
	assert(emap_lookup_any(edata_base(e)) == e);
	assert(emap_lookup_any((void *)(edata_end(e) - 1)) == e);
	assert(emap_lookup(edata_base(e)) == NULL);
	for (uintptr_t a = e->addr + GRANULE; a + GRANULE < edata_end(e); a += GRANULE)
		assert(emap_lookup_any((void *)a) == NULL);
	(void)size;
}

void
sec_check(struct sec *sec)
{
	for (size_t i = 0; i < n_bins(sec); i++) {
		struct sec_bin *bin = &sec->bins[i];
		const size_t size = (i % sec->n_classes + 1) * os_page_size;
		size_t bytes = 0;
		mutex_lock(&bin->lock);
		LIST_FOR_EACH (l, &bin->extents) {
			check_cached(LIST_ENTRY(l, struct edata, link), size);
			bytes += size;
		}
		assert(bytes == bin->stats.bytes && bytes <= sec->options.max_bytes);
		assert(bin->idle <= bytes);
		mutex_unlock(&bin->lock);
	}
}

/* ---- fork ----------------------------------------------------------------------------------- */

void
sec_fork_prepare(struct sec *sec)
{
	for (size_t i = 0; i < n_bins(sec); i++)
		(void)mutex_fork_prepare(&sec->bins[i].lock);
}

void
sec_fork_parent(struct sec *sec)
{
	for (size_t i = 0; i < n_bins(sec); i++)
		mutex_fork_parent(&sec->bins[i].lock);
}

void
sec_fork_child(struct sec *sec)
{
	for (size_t i = 0; i < n_bins(sec); i++) {
		struct sec_bin *bin = &sec->bins[i];
		if (mutex_fork_child(&bin->lock))
			continue;
		list_init(&bin->extents);
		bin->stats.bytes = bin->idle = 0;
	}
}
