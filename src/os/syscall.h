/* SPDX-License-Identifier: MIT */
/*
 * syscall -- the kernel without libc's wrappers.
 *
 * libc's open, read and write are cancellation points, and other preloaded libraries wrap them with
 * code that allocates; malloc must not run either.  Only errno is shared: callers keep it.
 */
#ifndef TRACT_OS_SYSCALL_H
#define TRACT_OS_SYSCALL_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline int
sys_open_read(const char *path)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

static inline ssize_t
sys_read(int fd, void *buffer, size_t size)
{
	return (ssize_t)syscall(SYS_read, fd, buffer, size);
}

static inline ssize_t
sys_write(int fd, const void *buffer, size_t size)
{
	return (ssize_t)syscall(SYS_write, fd, buffer, size);
}

static inline void
sys_close(int fd)
{
	syscall(SYS_close, fd);
}

#endif
