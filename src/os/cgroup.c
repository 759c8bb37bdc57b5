/* SPDX-License-Identifier: MIT */
/*
 * /proc/self/cgroup has one line a hierarchy: "number:controllers:/path".  Version 2 is number 0
 * with no controllers.  Inside a container the path may be the host's, or /, while the container's
 * own group is mounted at the top; walking up to the top finds the limit in both cases.
 */
#include "os/cgroup.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/fmt.h"
#include "os/os.h"

#define MAX_PATH 512
#define PROC_SELF_CGROUP_SIZE 4096

/* A decimal number at *p, which moves behind it; false when there is none ("max", "-1"). */
static bool
parse_number(const char **p, uint64_t *value)
{
	const char *start = *p;
	for (*value = 0; **p >= '0' && **p <= '9'; ++*p)
		*value = *value * 10 + (uint64_t)(**p - '0');
	return *p != start;
}

/* ceil(quota / period), at least 1; 0 for "no limit". */
static unsigned
processors(uint64_t quota, uint64_t period)
{
	if (period == 0)
		return 0;
	uint64_t n = quota / period + (quota % period != 0);
	return n == 0 ? 1 : n > UINT32_MAX ? 0 : (unsigned)n;
}

static bool
read_number(const char *directory, const char *file, uint64_t *value)
{
	char path[MAX_PATH], text[64];
	struct fmt f;
	fmt_init(&f, path, sizeof(path));
	fmt_print(&f, "%s/%s", directory, file);
	const char *p = text;
	return os_read_file(path, text, sizeof(text)) != 0 && parse_number(&p, value);
}

/* cpu.max: "quota period" or "max period". */
static unsigned
quota_v2(const char *directory)
{
	char path[MAX_PATH], text[64];
	struct fmt f;
	uint64_t quota, period;
	fmt_init(&f, path, sizeof(path));
	fmt_print(&f, "%s/cpu.max", directory);
	if (os_read_file(path, text, sizeof(text)) == 0)
		return 0;
	const char *p = text;
	if (!parse_number(&p, &quota) || *p++ != ' ' || !parse_number(&p, &period))
		return 0;
	return processors(quota, period);
}

static unsigned
quota_v1(const char *directory)
{
	uint64_t quota, period;
	if (!read_number(directory, "cpu.cfs_quota_us", &quota)
	    || !read_number(directory, "cpu.cfs_period_us", &period))
		return 0;
	return processors(quota, period);
}

static unsigned
min_limit(unsigned a, unsigned b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* The least limit of top/path and the groups above it, up to and with `top'. */
static unsigned
quota_upward(const char *top, const char *path, size_t path_length,
    unsigned (*quota_of)(const char *directory))
{
	char directory[MAX_PATH];
	struct fmt f;
	fmt_init(&f, directory, sizeof(directory));
	fmt_text(&f, top);
	size_t top_length = f.length;
	fmt_bytes(&f, path, path_length);
	unsigned limit = 0;
	for (;;) {
		limit = min_limit(limit, quota_of(directory));
		char *slash = strrchr(directory + top_length, '/');
		if (slash == NULL)
			return limit;
		*slash = '\0';
	}
}

/* Is "cpu" in this comma-separated list? */
static bool
has_cpu_controller(const char *list, size_t length)
{
	const char *end = list + length;
	while (list < end) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		const char *item_end = comma == NULL ? end : comma;
		if (item_end - list == 3 && memcmp(list, "cpu", 3) == 0)
			return true;
		list = item_end + 1;
	}
	return false;
}

/* The limit that one line, [line, end), leads to. */
static unsigned
quota_of_line(const char *root, const char *line, const char *end)
{
	char top[MAX_PATH];
	struct fmt f;
	const char *controllers = memchr(line, ':', (size_t)(end - line));
	if (controllers == NULL)
		return 0;
	controllers++;
	const char *path = memchr(controllers, ':', (size_t)(end - controllers));
	if (path == NULL)
		return 0;
	size_t controllers_length = (size_t)(path - controllers);
	path++;
	fmt_init(&f, top, sizeof(top));
	if (controllers_length == 0) {
		fmt_print(&f, "%s/sys/fs/cgroup", root);
		return quota_upward(top, path, (size_t)(end - path), quota_v2);
	}
	if (!has_cpu_controller(controllers, controllers_length))
		return 0;
	fmt_print(&f, "%s/sys/fs/cgroup/cpu", root);
	return quota_upward(top, path, (size_t)(end - path), quota_v1);
}

unsigned
cgroup_cpu_quota_under(const char *root)
{
	char path[MAX_PATH], lines[PROC_SELF_CGROUP_SIZE];
	struct fmt f;
	fmt_init(&f, path, sizeof(path));
	fmt_print(&f, "%s/proc/self/cgroup", root);
	unsigned limit = 0;
	os_read_file(path, lines, sizeof(lines));
	const char *newline;
	for (const char *line = lines; (newline = strchr(line, '\n')) != NULL;
	     line = newline + 1)
		limit = min_limit(limit, quota_of_line(root, line, newline));
	return limit;
}

unsigned
cgroup_cpu_quota(void)
{
	return cgroup_cpu_quota_under("");
}
