/* SPDX-License-Identifier: MIT */
/*
 * os/pages -- address space and the memory behind it.
 *
 * Every function leaves errno as it found it.  Sizes and addresses are multiples of os_page_size
 * unless stated.  `bool' results: true means it happened.  A failed unmap, purge or protect leaves
 * the range as it was: the caller keeps it.  What os_pages_map itself cannot unmap again waits here
 * until it can.
 * No locks.  Tests may make the k-th call fail through os_inject (test builds of the object only).
 */
#ifndef TRACT_OS_PAGES_H
#define TRACT_OS_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tract_config.h"

enum os_commit { OS_RESERVED, OS_COMMITTED };
enum os_thp {
	OS_THP_ALWAYS,
	OS_THP_MADVISE,
	OS_THP_NEVER,
	OS_THP_UNSUPPORTED,
	OS_THP_UNKNOWN, /* not read yet */
};

/* Set once by os_pages_boot, before the first mapping. */
extern size_t os_kernel_page_size; /* >= 4096 */
/* The allocator's page: the larger of the kernel's and the granule of the address map. */
extern size_t os_page_size;
extern bool
    os_overcommits; /* false when vm.overcommit_memory is 2: reserve, then commit */
extern bool os_has_lazy_free; /* MADV_FREE works */

/* Of /sys/kernel/mm/transparent_hugepage/enabled; read when somebody asks first. Relaxed. */
extern _Atomic(enum os_thp) os_thp_mode;
enum os_thp os_thp(void);

#define OS_HUGEPAGE ((size_t)1 << CONFIG_LG_HUGEPAGE)

void os_pages_boot(void);

/*
 * New zeroed private memory, aligned to `alignment' (a power of two >= os_page_size).
 * With `at' not NULL: exactly there, never replacing a mapping, or NULL.
 * *commit on entry: what is wanted; on return what was got (OS_COMMITTED always where the
 * kernel overcommits).  NULL when the kernel refuses.
 */
void *os_pages_map(void *at, size_t size, size_t alignment, enum os_commit *commit);

bool os_pages_unmap(void *addr, size_t size);
bool os_pages_commit(void *addr, size_t size);     /* false where os_overcommits */
bool os_pages_decommit(void *addr, size_t size);   /* false where os_overcommits */
bool os_pages_purge_lazy(void *addr, size_t size); /* MADV_FREE: contents may vanish */
bool os_pages_purge_forced(void *addr,
    size_t size); /* MADV_DONTNEED: reads as zero afterwards */
/*
 * The forced purge of n ranges, at most OS_PURGE_MANY, by one call of process_madvise: how many of
 * them, from the first on, are purged.  0 where the kernel has no such call, or not for one's own
 * process.
 */
#define OS_PURGE_MANY 128
unsigned os_pages_purge_many(const struct iovec *ranges, unsigned n);
/* Does it work here?  Found out by trying. */
bool os_pages_can_purge_many(void);
bool os_pages_huge(void *addr, size_t size); /* MADV_HUGEPAGE */
/* MADV_COLLAPSE: onto huge pages now, by copying. Multiples of OS_HUGEPAGE. */
bool os_pages_collapse(void *addr, size_t size);
/* Does the kernel know it? Found out by trying. */
bool os_pages_can_collapse(void);
bool os_pages_nohuge(void *addr, size_t size);    /* MADV_NOHUGEPAGE */
bool os_pages_protect(void *addr, size_t size);   /* no access */
bool os_pages_unprotect(void *addr, size_t size); /* read and write again */
/*
 * Move the contents of [from, from+size) onto the mapped range at `to' by page tables; the source
 * range stays mapped and reads as zero.  False (nothing moved) where the kernel cannot,
 * or where the memory is locked.
 */
bool os_pages_move(void *to, void *from, size_t size);

/*
 * libc's sbrk: the break before it moved by `increment' bytes, NULL where it did not.  Not thread
 * safe, and others of the process may call it, too.
 */
void *os_sbrk(intptr_t increment);
extern const bool os_has_sbrk; /* Does it ever move the break? */

#endif
