/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include <errno.h>
#include <time.h>

#include "os/syscall.h"

/* From <linux/futex.h>, which musl installations often lack. */
#define FUTEX_WAIT_PRIVATE (0 | 128)
#define FUTEX_WAKE_PRIVATE (1 | 128)

#define NS_PER_S UINT64_C(1000000000)

bool
os_futex_wait(void *word, uint32_t value, uint64_t timeout_ns)
{
	int saved_errno = errno;
	struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ns / NS_PER_S),
		.tv_nsec = (long)(timeout_ns % NS_PER_S),
	};
	struct timespec *limit = timeout_ns == UINT64_MAX ? NULL : &timeout;
	/* The time-out is relative and on the monotonic clock. */
	long result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, limit, NULL, 0);
	bool timed_out = result != 0 && errno == ETIMEDOUT;
	errno = saved_errno;
	return !timed_out;
}

void
os_futex_wake(void *word, int count)
{
	int saved_errno = errno;
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
	errno = saved_errno;
}
