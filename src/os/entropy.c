/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include <errno.h>

#include "base/hash.h"
#include "os/syscall.h"

#ifndef GRND_NONBLOCK
#define GRND_NONBLOCK 1
#endif

uint64_t
os_entropy(void)
{
	int saved_errno = errno;
	uint64_t value;
	long got = syscall(SYS_getrandom, &value, sizeof(value), GRND_NONBLOCK);
	errno = saved_errno;
	if (got == (long)sizeof(value))
		return value;
	/* Early in boot, or a sandbox: differs between runs (stack address) and calls (clock). */
	return hash_u64(os_clock_ns() ^ hash_pointer(&value));
}
