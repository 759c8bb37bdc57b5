/* SPDX-License-Identifier: MIT */
#include "os/guard.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/attr.h"
#include "os/inject.h"
#include "os/os.h"
#include "os/pages.h"
#include "os/syscall.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

/* Where /proc does not say; the kernel's own default. */
#define MAPPINGS_MAX ((size_t)65530)
/* Of the mappings that a process may have, a half for guards, at two each. */
#define MAPPINGS_A_GUARD 4

_Atomic(enum os_guards) os_guards;

/* 0, or the errno. */
static int
mark(void *addr, size_t size, int advice)
{
	const int injected = inject_errno("guard");
	const int saved = errno;

	if (injected != 0)
		return injected == INJECT_IGNORED ? 0 : injected;
	const int rc = madvise(addr, size, advice) == 0 ? 0 : errno;
	errno = saved;
	return rc;
}

/* The kernel reads the set before it finds that there is no such change to make. */
static bool
is_readable(const void *addr)
{
	const int saved = errno;
	const bool is = syscall(SYS_rt_sigprocmask, -1, addr, NULL, (size_t)8) == 0
	    || errno != EFAULT;

	errno = saved;
	return is;
}

static bool
protect(void *addr, size_t size)
{
	/* First, for a page that nobody can touch stays in memory; but it is no matter. */
	(void)os_pages_purge_forced(addr, size);
	return os_pages_protect(addr, size);
}

/* What was found here, unless another thread has found otherwise meanwhile. */
static bool
decide(enum os_guards way)
{
	enum os_guards unknown = OS_GUARDS_UNKNOWN;

	return cas_strong_relaxed(&os_guards, &unknown, way) || unknown == way;
}

/* EINVAL is said of unknown advice, and of memory that is locked. */
static COLD bool
guard_first(void *addr, size_t size)
{
	const int rc = mark(addr, size, MADV_GUARD_INSTALL);

	if (rc == 0 && !is_readable(addr)) {
		if (decide(OS_GUARDS_MARKERS))
			return true;
		(void)mark(addr, size, MADV_GUARD_REMOVE);
		return os_guard(addr, size);
	}
	if ((rc != 0 && rc != EINVAL) || !protect(addr, size))
		return false;
	if (decide(OS_GUARDS_PROTECTION))
		return true;
	(void)os_pages_unprotect(addr, size);
	return os_guard(addr, size);
}

bool
os_guard(void *addr, size_t size)
{
	switch (load_relaxed(&os_guards)) {
	case OS_GUARDS_MARKERS: return mark(addr, size, MADV_GUARD_INSTALL) == 0;
	case OS_GUARDS_PROTECTION: return protect(addr, size);
	default: return guard_first(addr, size);
	}
}

bool
os_unguard(void *addr, size_t size)
{
	switch (load_relaxed(&os_guards)) {
	case OS_GUARDS_MARKERS: return mark(addr, size, MADV_GUARD_REMOVE) == 0;
	case OS_GUARDS_PROTECTION: return os_pages_unprotect(addr, size);
	default: return true; /* none was ever put up */
	}
}

static COLD size_t
read_mappings_max(void)
{
	char text[24];
	size_t n = 0;

	os_read_file("/proc/sys/vm/max_map_count", text, sizeof text);
	for (const char *p = text; *p >= '0' && *p <= '9' && n < SIZE_MAX / 100; p++)
		n = n * 10 + (size_t)(*p - '0');
	return n == 0 ? MAPPINGS_MAX : n;
}

size_t
os_guards_max(void)
{
	static _Atomic(size_t) max; /* Relaxed: all find the same. */

	if (load_relaxed(&os_guards) != OS_GUARDS_PROTECTION)
		return SIZE_MAX;
	if (load_relaxed(&max) == 0)
		store_relaxed(&max, read_mappings_max() / MAPPINGS_A_GUARD);
	return load_relaxed(&max);
}
