/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include "base/attr.h"
#include "tract_config.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

extern char **environ;

/* Before libc's constructors have run environ may be NULL; what lies beyond this size is not seen
 * then.  Its pages are touched only in that case. */
static char early_environment[64 << 10] BULKY;

static bool
is_privileged(void)
{
	int saved_errno = errno;
	bool result = getauxval(AT_SECURE) != 0;
	errno = saved_errno;
	return result;
}

/* The value when `entry' is NAME=value for this name, or NULL. */
static const char *
value_if_named(const char *entry, const char *name, size_t name_length)
{
	if (strncmp(entry, name, name_length) != 0 || entry[name_length] != '=')
		return NULL;
	return entry + name_length + 1;
}

/*
 * One thread runs that early.  Later calls write the same bytes again, so values stay valid.
 */
static const char *
getenv_early(const char *name, size_t name_length)
{
	size_t length = os_read_file("/proc/self/environ", early_environment,
	    sizeof(early_environment));
	const char *end = early_environment + length;
	for (const char *entry = early_environment; entry < end;
	     entry += strlen(entry) + 1) {
		const char *value = value_if_named(entry, name, name_length);
		if (value != NULL)
			return value;
	}
	return NULL;
}

const char *
os_getenv(const char *name)
{
	if (!CONFIG_FORCE_GETENV && is_privileged())
		return NULL;
	size_t name_length = strlen(name);
	if (environ == NULL)
		return getenv_early(name, name_length);
	for (char **entry = environ; *entry != NULL; entry++) {
		const char *value = value_if_named(*entry, name, name_length);
		if (value != NULL)
			return value;
	}
	return NULL;
}
