/* SPDX-License-Identifier: MIT */
/*
 * os/resident -- which pages are in memory, and how many of this process are.
 *
 * Nothing here allocates; errno is left as found.
 */
#ifndef TRACT_OS_RESIDENT_H
#define TRACT_OS_RESIDENT_H

#include <stddef.h>
#include <stdint.h>

/* Resident bytes of this process; 0 where the kernel does not say. */
size_t os_process_resident(void);

/* Pages looked at with one system call. */
#define OS_RESIDENT_PAGES ((size_t)4096)

/* A piece of address space, and what is resident in it. All zero to begin with. */
struct os_resident {
	uintptr_t first, end;
	unsigned char is_resident[OS_RESIDENT_PAGES]; /* bit 0, of each page */
};

/*
 * Resident bytes of [addr, addr + size), multiples of the kernel's page; what is not mapped
 * is not resident; all of it where the kernel does not say.  `window' is what was learned
 * by earlier calls: ask in the order of addresses.
 */
size_t os_resident_bytes(struct os_resident *window, uintptr_t addr, size_t size);

#endif
