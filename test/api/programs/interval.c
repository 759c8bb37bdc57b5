/* SPDX-License-Identifier: MIT */
/*
 * interval MIB -- allocates and frees so many MiB, in small and large objects, half of them in a
 * thread of its own.
 */
#include <pthread.h>
#include <stdlib.h>

static size_t share;

static void *
allocate(void *arg)
{
	for (size_t done = 0; done < share;) {
		const size_t size = done % 7 == 0 ? 100000 : 200;
		void *volatile p = malloc(size);
		if (p == NULL)
			abort();
		free(p);
		done += size;
	}
	return arg;
}

int
main(int argc, char **argv)
{
	pthread_t thread;

	share = (size_t)atoi(argc > 1 ? argv[1] : "16") * 1048576 / 2;
	/* One after the other: while one prints, the other would not wait to print. */
	(void)allocate(NULL);
	if (pthread_create(&thread, NULL, allocate, NULL) != 0)
		return 1;
	return pthread_join(thread, NULL);
}
