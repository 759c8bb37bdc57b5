/* SPDX-License-Identifier: MIT */
#include "api/interval.h"

#include "api/control.h"
#include "base/bits.h"
#include "config/options.h"
#include "thread/count.h"

/* A thread tells what it has allocated so many times an interval, or after so many bytes. */
#define PARTS 64
#define PART_MAX ((uint64_t)64 << 10)

static _Atomic(uint64_t) sum;     /* Relaxed; of all threads, as far as told. */
static _Atomic(bool) is_printing; /* Acquire by who prints; others go on. */

static uint64_t
interval(void)
{
	return opt.stats_interval == 0 ? 1 : (uint64_t)opt.stats_interval;
}

static void
print(void)
{
	if (exchange_acquire(&is_printing, true))
		return;
	control_print(opt.stats_interval_opts);
	store_release(&is_printing, false);
}

static void
on_bytes(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
	struct thread *thread = thread_self;

	(void)is_alloc, (void)deallocated;
	const uint64_t more = allocated - thread->told;
	thread->told = allocated;
	const uint64_t before = fetch_add_relaxed(&sum, more);
	if ((before + more) / interval() != before / interval())
		print();
}

void
interval_boot(void)
{
	if (opt.stats_interval < 0)
		return;
	const uint64_t part = min_size(max_size(interval() / PARTS, 1), PART_MAX);
	/* The slots are all free at boot. */
	(void)count_hook_add(&(struct count_hook){
	    .call = on_bytes, .interval = part, .is_alloc_only = true });
}

void
interval_fork_child(void)
{
	store_relaxed(&is_printing, false); /* one thread in the child */
}
