/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/inject.h"
#include "os/os.h"

/* Enough for what runs there, hooks of the user included. */
#define STACK_SIZE ((size_t)256 << 10)

/* Stacks hold the static TLS of all libraries, too: 256 KiB may be too small for them. */
static int
create_with_stack(pthread_t *thread, size_t stack_size, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) != 0)
		return ENOMEM;
	int rc = 0;
	if (stack_size != 0)
		rc = pthread_attr_setstacksize(&attr, stack_size);
	if (rc == 0)
		rc = pthread_create(thread, &attr, run, arg);
	(void)pthread_attr_destroy(&attr);
	return rc;
}

bool
os_thread_create(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	const int saved_errno = errno;

	if (inject_errno("thread") != 0)
		return false;
	/* The new thread inherits the mask. */
	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	int rc = create_with_stack(thread, STACK_SIZE, run, arg);
	if (rc == EINVAL)
		rc = create_with_stack(thread, 0, run, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved_errno;
	return rc == 0;
}

void
os_thread_join(pthread_t thread)
{
	int before;

	/* Callers hold locks that a cancelled thread would take with it. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	(void)pthread_join(thread, NULL);
	(void)pthread_setcancelstate(before, NULL);
}

bool
os_thread_is_first(void)
{
	return syscall(SYS_gettid) == getpid();
}

/* proc(5): the process's state is that of its first thread, behind a name in parentheses that may
 * hold any character. */
bool
os_thread_first_has_ended(void)
{
	char text[128];

	if (os_thread_is_first())
		return false;
	os_read_file("/proc/self/stat", text, sizeof text);
	const char *end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X');
}

/* proc(5): a directory's links are itself, its parent's entry, and its directories: no need to read
 * it. */
unsigned
os_thread_count(void)
{
	struct stat status;
	const int saved_errno = errno;
	const int rc = stat("/proc/self/task", &status);

	errno = saved_errno;
	return rc == 0 && status.st_nlink > 2 ? (unsigned)status.st_nlink - 2 : 0;
}

void
os_thread_set_name(const char *name)
{
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
}
