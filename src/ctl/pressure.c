/* SPDX-License-Identifier: MIT */
#include "ctl/pressure.h"

#include <errno.h>
#include <stdbool.h>

#include "os/cgroup.h"
#include "os/os.h"
#include "page/limit.h"

const char *pressure_root = "";

/* Relaxed: workers that look at the same time see the same. */
static _Atomic(uint64_t) looks_again_ns;
static _Atomic(bool) is_limited; /* a group has a memory.high */
static _Atomic(uint64_t) n_high;

void
pressure_look(void)
{
	const uint64_t now = os_clock_coarse_ns();
	const int saved_errno = errno;

	if (now < load_relaxed(&looks_again_ns))
		return;
	const enum cgroup_memory memory = cgroup_memory_under(pressure_root);
	errno = saved_errno;
	store_relaxed(&looks_again_ns,
	    memory == CGROUP_UNLIMITED ? now + PRESSURE_AGAIN_NS : 0);
	store_relaxed(&is_limited, memory != CGROUP_UNLIMITED);
	if (memory != CGROUP_NEAR)
		limit_pressure_clear(LIMIT_GROUP_HIGH);
	else if (limit_pressure_set(LIMIT_GROUP_HIGH))
		fetch_add_relaxed(&n_high, 1);
}

uint64_t
pressure_sleep(uint64_t due_ns, size_t n_pages)
{
	const bool has_work = due_ns != UINT64_MAX || n_pages != 0;

	return has_work && due_ns > PRESSURE_LOOK_NS && load_relaxed(&is_limited)
	    ? PRESSURE_LOOK_NS
	    : due_ns;
}

void
pressure_forget(void)
{
	limit_pressure_clear(LIMIT_GROUP_HIGH);
	store_relaxed(&looks_again_ns, 0);
}

uint64_t
pressure_count(void)
{
	return load_relaxed(&n_high);
}
