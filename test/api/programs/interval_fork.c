/* SPDX-License-Identifier: MIT */
/*
 * interval_fork -- a child made while another thread prints prints, too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void message_fn(void *, const char *);

static atomic_bool is_printing, may_go_on;
static atomic_int n_lines;

static void
message(void *opaque, const char *text)
{
	(void)opaque, (void)text;
	n_lines++;
	is_printing = 1;
	while (!may_go_on)
		usleep(1000);
}

static void *
allocate(void *unused)
{
	for (unsigned i = 0; i < 8000; i++) {
		void *volatile p = malloc(4000);
		if (p == NULL)
			abort();
		free(p);
	}
	return unused;
}

int
main(void)
{
	message_fn **place = dlsym(RTLD_DEFAULT, "malloc_message");
	pthread_t thread;
	int status;

	if (place == NULL)
		return 2;
	*place = message;
	if (pthread_create(&thread, NULL, allocate, NULL) != 0)
		return 2;
	while (!is_printing)
		usleep(1000);
	n_lines = 0;
	const pid_t child = fork();
	may_go_on = 1;
	if (child == 0) {
		(void)allocate(NULL);
		_exit(n_lines == 0);
	}
	pthread_join(thread, NULL);
	return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}
