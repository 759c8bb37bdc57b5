/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include <time.h>

/* clock_gettime cannot fail for these clocks, and leaves errno alone. */
static uint64_t
read_clock(clockid_t clock)
{
	struct timespec now = { 0, 0 };
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t
os_clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t
os_clock_coarse_ns(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}

uint64_t
os_clock_thread_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}
