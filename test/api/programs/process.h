/* SPDX-License-Identifier: MIT */
/*
 * process -- what programs here ask of the system about themselves; it allocates nothing, but for
 * count_workers.
 */
#ifndef TEST_API_PROGRAMS_PROCESS_H
#define TEST_API_PROGRAMS_PROCESS_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PROCESS_UNUSED __attribute__((unused))

static PROCESS_UNUSED void
sleep_ms(long ms)
{
	const struct timespec time = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000 * 1000 };

	nanosleep(&time, NULL);
}

static PROCESS_UNUSED void
read_file(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY);
	ssize_t n = 0, got;

	while (fd >= 0 && (got = read(fd, text + n, size - 1 - (size_t)n)) > 0)
		n += got;
	text[n] = '\0';
	close(fd);
}

static PROCESS_UNUSED size_t
resident_kib(void)
{
	char text[200], *end;

	read_file("/proc/self/statm", text, sizeof text);
	(void)strtoul(text, &end, 10);
	return strtoul(end, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* Background workers, as the system knows them. */
static PROCESS_UNUSED unsigned
count_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
		read_file(path, name, sizeof name);
		n += strcmp(name, "tract_bg\n") == 0;
	}
	closedir(dir);
	return n;
}

#endif
