/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include <errno.h>

#include "base/assert.h"
#include "os/syscall.h"

bool
os_readlink(const char *path, char *buffer, size_t size)
{
	assert(size > 0);
	int saved_errno = errno;
	long length = syscall(SYS_readlinkat, AT_FDCWD, path, buffer, size - 1);
	errno = saved_errno;
	if (length < 0)
		return false;
	buffer[length] = '\0';
	return true;
}

enum stop { AT_END, AT_LINE };

/* Until the file ends, or behind a line's end if `stop' says so: that spares a system call. */
static COLD size_t
read_until(const char *path, char *buffer, size_t size, enum stop stop)
{
	assert(size > 0);
	int saved_errno = errno;
	size_t length = 0;
	int fd = sys_open_read(path);
	while (fd >= 0 && length < size - 1) {
		ssize_t got = sys_read(fd, buffer + length, size - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			length = 0;
		if (got <= 0)
			break;
		length += (size_t)got;
		if (stop == AT_LINE && buffer[length - 1] == '\n')
			break;
	}
	if (fd >= 0)
		sys_close(fd);
	buffer[length] = '\0';
	errno = saved_errno;
	return length;
}

size_t
os_read_file(const char *path, char *buffer, size_t size)
{
	return read_until(path, buffer, size, AT_END);
}

size_t
os_read_line(const char *path, char *buffer, size_t size)
{
	return read_until(path, buffer, size, AT_LINE);
}
