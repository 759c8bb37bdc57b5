/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mincore */
#include "os/resident.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "os/os.h"
#include "os/pages.h"

/* mincore writes 0 or 1. */
#define UNSEEN 0x80

/* The number behind `key' in a file of lines; 0: none. */
static size_t
number_after(const char *text, const char *key)
{
	size_t number = 0;
	const char *p = strstr(text, key);

	if (p == NULL)
		return 0;
	for (p += strlen(key); *p == ' '; p++)
		;
	for (; *p >= '0' && *p <= '9'; p++)
		number = number * 10 + (size_t)(*p - '0');
	return number;
}

/* The kernel walks page tables for the first file; its counters, which the second shows,
 * lag behind by some pages a processor. */
size_t
os_process_resident(void)
{
	char text[512];

	if (os_read_file("/proc/self/smaps_rollup", text, sizeof text) != 0) {
		const size_t kib = number_after(text, "\nRss:");
		if (kib != 0)
			return kib << 10;
	}
	if (os_read_file("/proc/self/statm", text, sizeof text) == 0)
		return 0;
	return number_after(text, " ") * os_kernel_page_size;
}

/*
 * Learn about a window that begins at `addr'.  Where it reaches beyond what is mapped
 * mincore fails with ENOMEM, but has told of all pages before.  Where it is forbidden,
 * as a sandbox may, every page is taken to be resident.
 */
static void
look(struct os_resident *window, uintptr_t addr)
{
	const size_t size = OS_RESIDENT_PAGES * os_kernel_page_size;
	const int saved_errno = errno;
	size_t n = 0;

	memset(window->is_resident, UNSEEN, sizeof window->is_resident);
	if (mincore((void *)addr, size, window->is_resident) != 0 && errno != ENOMEM)
		memset(window->is_resident, 1, sizeof window->is_resident);
	while (n < OS_RESIDENT_PAGES && window->is_resident[n] != UNSEEN)
		n++;
	if (n == 0)
		window->is_resident[n++] = 0;
	window->first = addr;
	window->end = addr + n * os_kernel_page_size;
	errno = saved_errno;
}

size_t
os_resident_bytes(struct os_resident *window, uintptr_t addr, size_t size)
{
	const uintptr_t end = addr + size;
	size_t n = 0;

	while (addr < end) {
		if (addr < window->first || addr >= window->end)
			look(window, addr);
		const size_t until = window->end < end ? window->end : end;
		for (; addr < until; addr += os_kernel_page_size)
			n += window->is_resident[(addr - window->first)
				 / os_kernel_page_size]
			    & 1;
	}
	return n * os_kernel_page_size;
}
