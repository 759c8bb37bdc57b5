/* SPDX-License-Identifier: MIT */
/*
 * How a pointer is known to be the C library's: by the header that glibc keeps in the two words
 * before a block, in a place where only glibc's blocks can be.
 *
 *	heap      between the start of the brk heap and its end, which tract never uses
 *	mapping   a block with a mapping of its own: two words behind the start of a page, the
 *	          header says so, and no extent of tract covers it
 *
 * Blocks of glibc's further arenas cannot be told from other memory and are reported like any
 * pointer that is nobody's.
 */
#define _GNU_SOURCE
#include "api/foreign.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "api/alloc.h"
#include "base/atomic.h"
#include "base/bits.h"
#include "extent/emap.h"
#include "os/os.h"
#include "os/pages.h"
#include "os/syscall.h"
#include "sync/once.h"

#define HEADER_BYTES (2 * sizeof(size_t))
#define BLOCK_MIN (2 * HEADER_BYTES)
/* How far below a pointer the start of a large extent that covers it is looked for. */
#define LARGEST_SOUGHT ((uintptr_t)1 << 30)
/* Low bits of the size in a header. */
#define FLAG_MAPPED ((size_t)2)
#define FLAGS ((size_t)7)
/* Which field of /proc/self/stat is the start of the heap, counted behind the command's name. */
#define STAT_START_BRK 44

/* Absent in static programs, and where dlsym is no function of its own library. */
extern void *dlsym(void *handle, const char *name) WEAK;

static struct once once = ONCE_INITIALIZER;
/* Set once under `once'. */
static uintptr_t heap_start; /* 0: unknown */
static void (*libc_free)(void *);
static size_t (*libc_usable_size)(void *);

static uintptr_t
read_heap_start(void)
{
	char text[1024];
	const size_t length = os_read_file("/proc/self/stat", text, sizeof text);
	const char *p = text + length;
	unsigned field = 0;
	uintptr_t value = 0;

	/* The name is the second field, in parentheses, and may contain anything. */
	while (p != text && *p != ')')
		p--;
	for (; *p != '\0' && field < STAT_START_BRK + 1; p++) {
		if (*p == ' ')
			field++;
		else if (field == STAT_START_BRK + 1)
			break;
	}
	for (; *p >= '0' && *p <= '9'; p++)
		value = value * 10 + (uintptr_t)(*p - '0');
	return value;
}

static void
look_up(void)
{
	void *symbol;

	heap_start = read_heap_start();
	if (!CONFIG_LIBDL || CONFIG_PREFIXED || dlsym == NULL)
		return;
	/* Names of glibc alone; the next ones in the search order, so not ours. */
	if ((symbol = dlsym(RTLD_NEXT, "__libc_free")) == NULL)
		return;
	libc_free = (void (*)(void *))symbol;
	symbol = dlsym(RTLD_NEXT, "malloc_usable_size");
	libc_usable_size = (size_t(*)(void *))symbol;
}

/* The header before p, without a fault where there is no memory. */
static bool
read_header(const void *p, size_t header[2])
{
	const struct iovec here = { header, HEADER_BYTES };
	const struct iovec there = { (char *)(uintptr_t)p - HEADER_BYTES, HEADER_BYTES };

	/* Words, not ints: what an int leaves of its place on the stack the kernel reads too. */
	return syscall(SYS_process_vm_readv, getpid(), &here, 1UL, &there, 1UL, 0UL)
	    == (long)HEADER_BYTES;
}

static bool
is_in_heap(uintptr_t p, size_t size, uintptr_t heap_end)
{
	return heap_start != 0 && p >= heap_start + HEADER_BYTES && p < heap_end
	    && size <= heap_end - (p - HEADER_BYTES);
}

/* Does an extent of ours cover the address?  Large ones have no word for their interior. */
static bool
is_ours(uintptr_t address)
{
	const uintptr_t reach = LARGEST_SOUGHT;
	const uintptr_t end = address > reach ? address - reach : 0;

	for (uintptr_t a = address; a > end; a -= GRANULE) {
		const struct edata *e = emap_lookup_any((const void *)a);
		if (e != NULL)
			return edata_end(e) > address;
	}
	return false;
}

static bool
is_libc_block(const void *block)
{
	const uintptr_t p = (uintptr_t)block;
	size_t header[2];

	if (!is_aligned(p, HEADER_BYTES) || !read_header(block, header))
		return false;
	const size_t size = header[1] & ~FLAGS, flags = header[1] & FLAGS;
	if (size < BLOCK_MIN || !is_aligned(size, HEADER_BYTES))
		return false;
	if ((flags & ~(size_t)1) == 0)
		return is_in_heap(p, size, (uintptr_t)syscall(SYS_brk, 0UL));
	return flags == FLAG_MAPPED && header[0] == 0
	    && p % os_kernel_page_size == HEADER_BYTES
	    && is_aligned(size, os_kernel_page_size) && size < PTRDIFF_MAX && !is_ours(p);
}

bool
foreign_free(void *p)
{
	if (!once_run(&once, look_up) || libc_free == NULL || !is_libc_block(p))
		return false;
	libc_free(p);
	return true;
}

size_t
foreign_usable_size(const void *p)
{
	if (!once_run(&once, look_up) || libc_usable_size == NULL || !is_libc_block(p))
		return 0;
	return libc_usable_size((void *)(uintptr_t)p);
}

void *
foreign_realloc(void *p, size_t size)
{
	const size_t old = foreign_usable_size(p);
	void *new = alloc_malloc(size);

	if (new == NULL)
		return NULL;
	memcpy(new, p, min_size(old, size));
	(void)foreign_free(p);
	return new;
}

void
foreign_fork_child(void)
{
	once_reset_in_child(&once);
}
