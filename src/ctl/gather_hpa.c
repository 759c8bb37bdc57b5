/* SPDX-License-Identifier: MIT */
#include "ctl/gather_hpa.h"

#include "ctl/gather.h"
#include "os/pages.h"
#include "page/hpa.h"
#include "page/sec.h"

static_assert(HPA_LISTS == PSSET_CLASSES, "a row for each class of free runs");
static_assert(HPA_BATCHES == HPA_BATCH_MAX + 1, "a row for each size of a batch");

static struct hpa_slabs_figures
slabs_of(const struct psset_sums sums[PSSET_KINDS])
{
	return (struct hpa_slabs_figures){
		.npageslabs_nonhuge = sums[PSSET_NOT_HUGE].n_pageslabs,
		.npageslabs_huge = sums[PSSET_HUGE].n_pageslabs,
		.nactive_nonhuge = sums[PSSET_NOT_HUGE].n_active,
		.nactive_huge = sums[PSSET_HUGE].n_active,
		.ndirty_nonhuge = sums[PSSET_NOT_HUGE].n_dirty,
		.ndirty_huge = sums[PSSET_HUGE].n_dirty,
	};
}

static void
gather_set_locked(const struct psset *set, struct hpa_figures *f)
{
	f->shard.npageslabs = psset_pageslabs(set);
	f->shard.nactive = psset_active(set);
	f->shard.ndirty = psset_dirty(set);
	f->slabs = slabs_of(set->all);
	f->full = slabs_of(set->full);
	f->empty = slabs_of(set->none);
	for (unsigned i = 0; i < HPA_LISTS; i++)
		f->nonfull[i] = slabs_of(set->partly[i]);
}

static void
gather_events_locked(const struct hpa_stats *s, struct hpa_figures *f)
{
	f->shard.npurge_passes = s->n_purge_passes;
	f->shard.npurges = s->n_purges;
	f->shard.nhugifies = s->n_hugifies;
	f->shard.nhugify_failures = s->n_hugify_failures;
	f->shard.ndehugifies = s->n_dehugifies;
	for (unsigned i = 0; i < HPA_BATCHES; i++)
		f->alloc[i] = (struct hpa_alloc_figures){
			.min_extents = s->alloc[i].min_extents,
			.max_extents = s->alloc[i].max_extents,
			.extents = s->alloc[i].extents,
			.ps = s->alloc[i].ps,
			.pages_per_ps = s->alloc[i].pages_per_ps,
			.extents_per_ps = s->alloc[i].extents_per_ps,
			.total_elapsed_ns_per_ps = s->alloc[i].total_elapsed_ns_per_ps,
		};
}

/* Returns its bytes. */
static size_t
gather_sec(struct sec *sec, struct arena_figures *a)
{
	struct sec_stats s = { 0 };

	sec_gather(sec, &s);
	a->hpa_sec_bytes = s.bytes;
	a->hpa_sec_hits = s.n_hits;
	a->hpa_sec_misses = s.n_misses;
	a->hpa_sec_dalloc_noflush = s.n_dalloc_noflush;
	a->hpa_sec_dalloc_flush = s.n_dalloc_flush;
	a->hpa_sec_overfills = s.n_overfills;
	return s.bytes;
}

size_t
gather_hpa_unused(struct hpa_central *central)
{
	mutex_lock(&central->lock);
	const size_t bytes = central->end - central->next + central->n_kept * OS_HUGEPAGE;
	mutex_unlock(&central->lock);
	return bytes;
}

size_t
gather_hpa(struct hpa *hpa, struct sec *sec, struct arena_record *r)
{
	struct hpa_figures *f = &r->hpa;
	struct arena_figures *a = &r->arena;

	/* The cache first: what comes into it meanwhile counts as active. */
	size_t cached = gather_sec(sec, a) / os_page_size;
	mutex_lock(&hpa->lock);
	gather_set_locked(&hpa->set, f);
	gather_events_locked(&hpa->stats, f);
	mutex_unlock(&hpa->lock);
	if (cached > f->shard.nactive)
		cached = f->shard.nactive;
	const size_t touched = f->shard.nactive + f->shard.ndirty,
		     all = f->shard.npageslabs * hpdata_pages(),
		     huge = f->slabs.npageslabs_huge * hpdata_pages();
	a->pactive += f->shard.nactive - cached;
	a->pdirty += f->shard.ndirty + cached;
	a->mapped += touched * os_page_size;
	a->retained += (all - touched) * os_page_size;
	return (huge - f->slabs.nactive_huge - f->slabs.ndirty_huge) * os_page_size;
}

static void
add_mutex(struct mutex *m, void *sum)
{
	struct mutex_figures one;

	gather_mutex(m, &one);
	mutex_figures_merge(sum, &one);
}

void
gather_sec_mutex(struct sec *sec, struct mutex_figures *sum)
{
	*sum = (struct mutex_figures){ 0 };
	sec_for_each_lock(sec, add_mutex, sum);
}

static void
reset_mutex(struct mutex *m, void *context)
{
	(void)context;
	mutex_lock(m);
	gather_reset_mutex_locked(m);
	mutex_unlock(m);
}

void
gather_reset_sec_mutex(struct sec *sec)
{
	sec_for_each_lock(sec, reset_mutex, NULL);
}
