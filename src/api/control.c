/* SPDX-License-Identifier: MIT */
/*
 * control -- mallctl and malloc_stats_print under their public names.
 */
#include "api/control.h"

#include <errno.h>

#include "api/boot.h"
#include "api/names.h"
#include "ctl/ctl.h"
#include "ctl/report.h"

/* False: the allocator cannot come up for want of memory. */
static bool
enter(void)
{
	if (!boot())
		return false;
	/* Relaxed: always the same value. */
	store_relaxed(&ctl_allocx, API(mallocx));
	return true;
}

EXPORT int
API(mallctl)(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
	if (!enter())
		return EAGAIN;
	return ctl_by_name(name, &(struct ctl_exchange){ oldp, oldlenp, newp, newlen });
}

EXPORT int
API(mallctlnametomib)(const char *name, size_t *mibp, size_t *miblenp)
{
	if (!enter())
		return EAGAIN;
	return ctl_name_to_mib(name, mibp, miblenp);
}

EXPORT int
API(mallctlbymib)(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
    void *newp, size_t newlen)
{
	if (!enter())
		return EAGAIN;
	return ctl_by_mib(mib, miblen,
	    &(struct ctl_exchange){ oldp, oldlenp, newp, newlen });
}

static void
write_message(void *opaque, const char *text)
{
	if (API(malloc_message) != NULL)
		API(malloc_message)(opaque, text);
	else
		boot_message(text);
}

void
control_print(const char *options)
{
	report_print(write_message, NULL, options);
}

EXPORT void
API(malloc_stats_print)(void (*write)(void *, const char *), void *opaque,
    const char *options)
{
	if (enter())
		report_print(write != NULL ? write : write_message, opaque, options);
}
