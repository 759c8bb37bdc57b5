/* SPDX-License-Identifier: MIT */
/*
 * Every system call goes through one of the sys_ functions, which consult os_inject and leave errno
 * as they found it.
 *
 * Where the kernel does not overcommit, only writable private memory is charged: address space is
 * mapped PROT_NONE and charged by the mprotect that commits it.  A later mprotect would not take
 * the charge back, so decommitting maps fresh address space over the range.
 */
#define _GNU_SOURCE /* mremap */
#include "os/pages.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/attr.h"
#include "base/checked.h"
#include "os/inject.h"
#include "os/os.h"
#include "os/syscall.h"

/* Kernel constants that older headers lack; kernels that do not know them are coped with below. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef MADV_FREE
#define MADV_FREE 8
#endif

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define READ_WRITE (PROT_READ | PROT_WRITE)

#define PAGE_MIN ((size_t)1 << CONFIG_LG_PAGE)

size_t os_kernel_page_size = 4096;
size_t os_page_size = PAGE_MIN;
bool os_overcommits = true;
_Atomic(enum os_thp) os_thp_mode = OS_THP_UNKNOWN;
bool os_has_lazy_free;

int (*os_inject)(const char *what);

/* NULL on failure. */
static void *
sys_map(void *at, size_t size, int protection, int flags)
{
	if (inject_errno("map") != 0)
		return NULL;
	int saved_errno = errno;
	flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *addr = mmap(at, size, protection, flags, -1, 0);
	/* `[anon:tract]' in /proc/PID/maps, of kernels that can. */
	if (CONFIG_PAGEID && addr != MAP_FAILED)
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr, size, "tract");
	errno = saved_errno;
	return addr == MAP_FAILED ? NULL : addr;
}

static bool
sys_unmap(void *addr, size_t size)
{
	if (inject_errno("unmap") != 0)
		return false;
	int saved_errno = errno;
	int result = munmap(addr, size);
	errno = saved_errno;
	return result == 0;
}

static bool
sys_protect(void *addr, size_t size, int protection)
{
	if (inject_errno("protect") != 0)
		return false;
	int saved_errno = errno;
	int result = mprotect(addr, size, protection);
	errno = saved_errno;
	return result == 0;
}

static bool
sys_advise(void *addr, size_t size, int advice)
{
	const int injected = inject_errno("advise");
	if (injected != 0)
		return injected == INJECT_IGNORED;
	int saved_errno = errno;
	int result = madvise(addr, size, advice);
	errno = saved_errno;
	return result == 0;
}

/* Move page tables; `to' NULL lets the kernel choose.  NULL on failure. */
static void *
sys_move(void *to, void *from, size_t size, int flags)
{
	if (inject_errno("move") != 0)
		return NULL;
	int saved_errno = errno;
	void *addr = mremap(from, size, size, MREMAP_MAYMOVE | flags, to);
	errno = saved_errno;
	return addr == MAP_FAILED ? NULL : addr;
}

static bool
read_overcommits(void)
{
	char text[8];
	os_read_line("/proc/sys/vm/overcommit_memory", text, sizeof(text));
	return text[0] != '2';
}

/* The file names all modes, the one in force in brackets; a process may be told to do without. */
static enum os_thp
read_thp_mode(void)
{
	char text[64];
	os_read_line("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	if (text[0] != '\0' && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1)
		return OS_THP_NEVER;
	if (strstr(text, "[always]") != NULL)
		return OS_THP_ALWAYS;
	if (strstr(text, "[madvise]") != NULL)
		return OS_THP_MADVISE;
	if (strstr(text, "[never]") != NULL)
		return OS_THP_NEVER;
	return OS_THP_UNSUPPORTED;
}

enum os_thp
os_thp(void)
{
	/* Relaxed: whoever reads it twice finds the same. */
	enum os_thp mode = load_relaxed(&os_thp_mode);

	if (mode != OS_THP_UNKNOWN)
		return mode;
	int saved_errno = errno;
	mode = read_thp_mode();
	errno = saved_errno;
	store_relaxed(&os_thp_mode, mode);
	return mode;
}

/* Advice on no pages: a kernel that does not know MADV_FREE says EINVAL. */
static bool
probe_lazy_free(void)
{
	int saved_errno = errno;
	int result = madvise(NULL, 0, MADV_FREE);
	errno = saved_errno;
	return result == 0;
}

COLD void
os_pages_boot(void)
{
	size_t page_size = getauxval(AT_PAGESZ);
	if (page_size != 0)
		os_kernel_page_size = page_size;
	os_page_size = max_size(os_kernel_page_size, PAGE_MIN);
	os_overcommits = read_overcommits();
	os_has_lazy_free = probe_lazy_free();
}

/* For asserts, so release builds do not call it. */
static UNUSED bool
is_page_range(const void *addr, size_t size)
{
	return is_aligned((uintptr_t)addr | size, os_page_size) && size != 0;
}

/*
 * ---- Ranges that could not be unmapped: a process with as many mappings as it may have cannot
 * split one.  They wait in a slot until a later mapping tries again.  A slot holds 0, or TAKEN
 * while a thread works on it, or the address; `size' belongs to the thread that took it.
 */

#define LEFTOVERS 32
#define TAKEN ((uintptr_t)1)

static struct leftover {
	_Atomic(uintptr_t) addr;
	size_t size;
} leftovers[LEFTOVERS] BULKY;
static _Atomic(unsigned) n_leftovers; /* Relaxed; a hint. */

/* NULL, for the callers' return. */
static void *
give_back(void *addr, size_t size)
{
	if (sys_unmap(addr, size))
		return NULL;
	for (unsigned i = 0; i < LEFTOVERS; i++) {
		uintptr_t empty = 0;
		if (!cas_strong_acq_rel(&leftovers[i].addr, &empty, TAKEN))
			continue;
		leftovers[i].size = size;
		fetch_add_relaxed(&n_leftovers, 1);
		/* Release: pairs with the exchange of who takes it. */
		store_release(&leftovers[i].addr, (uintptr_t)addr);
		break;
	}
	return NULL;
}

static COLD void
retry_leftovers(void)
{
	for (unsigned i = 0; i < LEFTOVERS; i++) {
		uintptr_t addr = load_relaxed(&leftovers[i].addr);
		if (addr <= TAKEN
		    || !cas_strong_acq_rel(&leftovers[i].addr, &addr, TAKEN))
			continue;
		if (sys_unmap((void *)addr, leftovers[i].size)) {
			fetch_sub_relaxed(&n_leftovers, 1);
			addr = 0;
		}
		store_release(&leftovers[i].addr, addr);
	}
}

static void *
map_at(void *at, size_t size, int protection)
{
	void *addr = sys_map(at, size, protection, MAP_FIXED_NOREPLACE);
	if (addr == at || addr == NULL)
		return addr;
	/* A kernel before 4.17 took `at' as a hint. */
	give_back(addr, size);
	return NULL;
}

/* Map more than asked and cut both ends off. */
static void *
map_and_trim(size_t size, size_t alignment, int protection)
{
	size_t total = checked_add(size, alignment - os_kernel_page_size);
	if (total == SIZE_TOO_LARGE)
		return NULL;
	char *start = sys_map(NULL, total, protection, 0);
	if (start == NULL)
		return NULL;
	char *addr = (char *)align_up((uintptr_t)start, alignment);
	size_t head = (size_t)(addr - start);
	size_t tail = total - head - size;
	/* Too many mappings to split one: give back the whole, which needs no split. */
	if (head != 0 && !sys_unmap(start, head))
		return give_back(start, total);
	if (tail != 0 && !sys_unmap(addr + size, tail))
		return give_back(addr, size + tail);
	return addr;
}

static void *
map_aligned(size_t size, size_t alignment, int protection)
{
	char *addr = sys_map(NULL, size, protection, 0);
	if (addr == NULL || is_aligned((uintptr_t)addr, alignment))
		return addr;
	/* The kernel fills address space downward: just below there is usually room. */
	char *below = (char *)align_down((uintptr_t)addr, alignment);
	if (!sys_unmap(addr, size))
		return give_back(addr, size);
	addr = sys_map(below, size, protection, 0);
	if (addr == NULL || is_aligned((uintptr_t)addr, alignment))
		return addr;
	if (!sys_unmap(addr, size))
		return give_back(addr, size);
	return map_and_trim(size, alignment, protection);
}

void *
os_pages_map(void *at, size_t size, size_t alignment, enum os_commit *commit)
{
	assert(is_page_range(at, size));
	assert(is_pow2(alignment) && alignment >= os_page_size);
	assert(is_aligned((uintptr_t)at, alignment));
	if (os_overcommits)
		*commit = OS_COMMITTED;
	int protection = *commit == OS_COMMITTED ? READ_WRITE : PROT_NONE;
	if (UNLIKELY(load_relaxed(&n_leftovers) != 0)) {
		retry_leftovers();
		/* What is mapped now could be lost, were it not to be unmapped either. */
		if (load_relaxed(&n_leftovers) > LEFTOVERS / 2)
			return NULL;
	}
	if (at != NULL)
		return map_at(at, size, protection);
	return map_aligned(size, alignment, protection);
}

bool
os_pages_unmap(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return sys_unmap(addr, size);
}

bool
os_pages_commit(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return !os_overcommits && sys_protect(addr, size, READ_WRITE);
}

bool
os_pages_decommit(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return !os_overcommits && sys_map(addr, size, PROT_NONE, MAP_FIXED) != NULL;
}

bool
os_pages_purge_lazy(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return os_has_lazy_free && sys_advise(addr, size, MADV_FREE);
}

bool
os_pages_purge_forced(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return sys_advise(addr, size, MADV_DONTNEED);
}

/* Ranges that so many bytes, from the first on, cover whole. */
static unsigned
count_whole(const struct iovec *ranges, unsigned n, ssize_t bytes)
{
	unsigned i = 0;

	for (; i < n && bytes > 0 && (size_t)bytes >= ranges[i].iov_len; i++)
		bytes -= (ssize_t)ranges[i].iov_len;
	return i;
}

unsigned
os_pages_purge_many(const struct iovec *ranges, unsigned n)
{
	const int injected = inject_errno("advise");
	ssize_t bytes = -1;

	assert(n <= OS_PURGE_MANY);
	if (injected != 0)
		return injected == INJECT_IGNORED ? n : 0;
	int saved_errno = errno;
	/* A descriptor for the moment: one that is kept would be the program's to close, and a
	 * forked child's parent. */
	const int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (process >= 0) {
		bytes = syscall(SYS_process_madvise, process, ranges, (size_t)n,
		    MADV_DONTNEED, 0u);
		sys_close(process);
	}
	errno = saved_errno;
	return count_whole(ranges, n, bytes);
}

COLD bool
os_pages_can_purge_many(void)
{
	void *page = sys_map(NULL, os_page_size, READ_WRITE, 0);
	const struct iovec range = { page, os_page_size };

	if (page == NULL)
		return false;
	const bool can = os_pages_purge_many(&range, 1) == 1;
	(void)give_back(page, os_page_size);
	return can;
}

bool
os_pages_huge(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return sys_advise(addr, size, MADV_HUGEPAGE);
}

bool
os_pages_collapse(void *addr, size_t size)
{
	assert(is_aligned((uintptr_t)addr | size, OS_HUGEPAGE) && size != 0);
	return sys_advise(addr, size, MADV_COLLAPSE);
}

/* Advice on no pages, as for MADV_FREE. */
COLD bool
os_pages_can_collapse(void)
{
	return sys_advise(NULL, 0, MADV_COLLAPSE);
}

bool
os_pages_nohuge(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return sys_advise(addr, size, MADV_NOHUGEPAGE);
}

bool
os_pages_protect(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return sys_protect(addr, size, PROT_NONE);
}

bool
os_pages_unprotect(void *addr, size_t size)
{
	assert(is_page_range(addr, size));
	return sys_protect(addr, size, READ_WRITE);
}

/* musl's sbrk refuses every increment. */
#ifdef __GLIBC__
const bool os_has_sbrk = true;
#else
const bool os_has_sbrk = false;
#endif

void *
os_sbrk(intptr_t increment)
{
	/* Another way to get memory, so a test that lets maps fail means this one, too. */
	if (inject_errno("map") != 0)
		return NULL;
	int saved_errno = errno;
	void *old = sbrk(increment);
	errno = saved_errno;
	return old == (void *)-1 ? NULL : old;
}

/*
 * In two steps.  A single call that names the target would unmap it before it finds that the source
 * cannot be moved (a range of several kernel mappings), and leave a hole.  Moving out to a free
 * place either works or changes nothing; what arrives there is one mapping, which can be moved on.
 */
bool
os_pages_move(void *to, void *from, size_t size)
{
	assert(is_page_range(to, size));
	assert(is_page_range(from, size));
	/* The kernel would unlock what stays behind.  It refuses this advice to locked memory. */
	if (!sys_advise(from, os_page_size, MADV_COLD))
		return false;
	void *between = sys_move(NULL, from, size, MREMAP_DONTUNMAP);
	if (between == NULL)
		return false;
	if (sys_move(to, between, size, MREMAP_FIXED) == NULL) {
		memcpy(to, between, size);
		(void)give_back(between, size);
	}
	return true;
}
