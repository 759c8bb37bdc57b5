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
	return os_read_line(path, text, sizeof(text)) != 0 && parse_number(&p, value);
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
	if (os_read_line(path, text, sizeof(text)) == 0)
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

typedef unsigned merge_fn(unsigned a, unsigned b);

/* What merges from top/path and the groups above it, up to and with `top'; 0 is where that begins.
 */
static unsigned
look_upward(const char *top, const char *path, size_t path_length,
    unsigned (*look)(const char *directory), merge_fn *merge)
{
	char directory[MAX_PATH];
	struct fmt f;
	fmt_init(&f, directory, sizeof(directory));
	fmt_text(&f, top);
	size_t top_length = f.length;
	/* The path / is the top itself. */
	if (path_length > 1)
		fmt_bytes(&f, path, path_length);
	unsigned merged = 0;
	for (;;) {
		merged = merge(merged, look(directory));
		char *slash = strrchr(directory + top_length, '/');
		if (slash == NULL)
			return merged;
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

/* What one line, [line, end), leads to. */
typedef unsigned line_fn(const char *root, const char *line, const char *end);

/* Where the path of a line begins, and its controllers; NULL: it is no such line. */
static const char *
split_line(const char *line, const char *end, const char **controllers, size_t *length)
{
	*controllers = memchr(line, ':', (size_t)(end - line));
	if (*controllers == NULL)
		return NULL;
	++*controllers;
	const char *path = memchr(*controllers, ':', (size_t)(end - *controllers));
	if (path == NULL)
		return NULL;
	*length = (size_t)(path - *controllers);
	return path + 1;
}

static unsigned
quota_of_line(const char *root, const char *line, const char *end)
{
	char top[MAX_PATH];
	struct fmt f;
	const char *controllers;
	size_t length;
	const char *path = split_line(line, end, &controllers, &length);
	if (path == NULL)
		return 0;
	fmt_init(&f, top, sizeof(top));
	if (length == 0) {
		fmt_print(&f, "%s/sys/fs/cgroup", root);
		return look_upward(top, path, (size_t)(end - path), quota_v2, min_limit);
	}
	if (!has_cpu_controller(controllers, length))
		return 0;
	fmt_print(&f, "%s/sys/fs/cgroup/cpu", root);
	return look_upward(top, path, (size_t)(end - path), quota_v1, min_limit);
}

static unsigned
merge_lines(const char *root, line_fn *of_line, merge_fn *merge)
{
	char path[MAX_PATH], lines[PROC_SELF_CGROUP_SIZE];
	struct fmt f;
	fmt_init(&f, path, sizeof(path));
	fmt_print(&f, "%s/proc/self/cgroup", root);
	unsigned merged = 0;
	os_read_file(path, lines, sizeof(lines));
	const char *newline;
	for (const char *line = lines; (newline = strchr(line, '\n')) != NULL;
	     line = newline + 1)
		merged = merge(merged, of_line(root, line, newline));
	return merged;
}

unsigned
cgroup_cpu_quota_under(const char *root)
{
	return merge_lines(root, quota_of_line, min_limit);
}

/* ---- memory ---- */

/* Bytes of cached files not used lately; 0: not known. */
static uint64_t
inactive_files(const char *directory)
{
	char path[MAX_PATH], text[4096];
	struct fmt f;
	uint64_t bytes = 0;
	fmt_init(&f, path, sizeof(path));
	fmt_print(&f, "%s/memory.stat", directory);
	os_read_file(path, text, sizeof(text));
	const char *p = strstr(text, "\ninactive_file ");
	if (p == NULL)
		return 0;
	p = strchr(p, ' ') + 1;
	(void)parse_number(&p, &bytes);
	return bytes;
}

/* enum cgroup_memory. */
static unsigned
memory_v2(const char *directory)
{
	uint64_t high, used;
	if (!read_number(directory, "memory.high", &high)
	    || !read_number(directory, "memory.current", &used))
		return CGROUP_UNLIMITED;
	const uint64_t near = high - high / 16;
	/* The second look is the dearer one. */
	if (used < near)
		return CGROUP_BELOW;
	const uint64_t files = inactive_files(directory);
	return used >= files && used - files >= near ? CGROUP_NEAR : CGROUP_BELOW;
}

static unsigned
worse(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

static unsigned
memory_of_line(const char *root, const char *line, const char *end)
{
	char top[MAX_PATH];
	struct fmt f;
	const char *controllers;
	size_t length;
	const char *path = split_line(line, end, &controllers, &length);
	if (path == NULL || length != 0)
		return CGROUP_UNLIMITED;
	fmt_init(&f, top, sizeof(top));
	fmt_print(&f, "%s/sys/fs/cgroup", root);
	return look_upward(top, path, (size_t)(end - path), memory_v2, worse);
}

enum cgroup_memory
cgroup_memory_under(const char *root)
{
	return (enum cgroup_memory)merge_lines(root, memory_of_line, worse);
}

enum cgroup_memory
cgroup_memory(void)
{
	return cgroup_memory_under("");
}

unsigned
cgroup_cpu_quota(void)
{
	return cgroup_cpu_quota_under("");
}
