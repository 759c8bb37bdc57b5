/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sched_getcpu */
#include "os/os.h"

#include <errno.h>
#include <sched.h>
#include <sys/sysinfo.h>

#include "base/bits.h"
#include "os/cgroup.h"
#include "os/syscall.h"

/* The kernel's masks are at most 8192 bits today; a longer one makes the call fail. */
#define MAX_CPUS 8192

#define WORD_BITS (8 * sizeof(unsigned long))

/* Words of the affinity mask. */
static size_t
read_affinity(unsigned long mask[MAX_CPUS / WORD_BITS])
{
	long size = syscall(SYS_sched_getaffinity, 0, MAX_CPUS / 8, mask);

	return size > 0 ? (size_t)size / sizeof(mask[0]) : 0;
}

static unsigned
affinity_count(void)
{
	unsigned long mask[MAX_CPUS / WORD_BITS];
	const size_t n_words = read_affinity(mask);
	unsigned count = 0;
	for (size_t i = 0; i < n_words; i++)
		count += count_set(mask[i]);
	return count == 0 ? 1 : count;
}

unsigned
os_cpu_end(void)
{
	unsigned long mask[MAX_CPUS / WORD_BITS];
	int saved_errno = errno;
	size_t n_words = read_affinity(mask);
	errno = saved_errno;
	while (n_words != 0 && mask[n_words - 1] == 0)
		n_words--;
	return n_words == 0
	    ? 1
	    : (unsigned)((n_words - 1) * WORD_BITS) + lg_floor(mask[n_words - 1]) + 1;
}

/* Reading the group's files takes longer than all else of a start, and for so few processors a
 * quota changes little. */
#define QUOTA_CPUS 8

unsigned
os_cpu_count(void)
{
	int saved_errno = errno;
	unsigned count = affinity_count();
	unsigned quota = count < QUOTA_CPUS ? 0 : cgroup_cpu_quota();
	errno = saved_errno;
	return quota != 0 && quota < count ? quota : count;
}

int
os_cpu_current(void)
{
	int saved_errno = errno;
	int cpu = sched_getcpu();
	errno = saved_errno;
	return cpu;
}

void
os_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("pause" ::: "memory");
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory"); /* `yield' takes no time on most cores */
#else
	__asm__ volatile("" ::: "memory");
#endif
}

void
os_yield(void)
{
	syscall(SYS_sched_yield); /* always succeeds */
}

int
os_thread_id(void)
{
	return (int)syscall(SYS_gettid); /* always succeeds */
}

size_t
os_memory_size(void)
{
	const int saved_errno = errno;
	struct sysinfo info;
	const size_t size =
	    sysinfo(&info) == 0 ? (size_t)info.totalram * info.mem_unit : 0;

	errno = saved_errno;
	return size;
}
