/* SPDX-License-Identifier: MIT */
/*
 * limit -- with little address space: allocation ends in NULL and ENOMEM, and works again after.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FEW ((size_t)4 << 20)

/* As many objects of a size as there are, each touched; freed again. Their bytes. */
static size_t
exhaust(size_t size)
{
	void **first = NULL;
	size_t total = 0;

	for (;;) {
		errno = 0;
		void **p = malloc(size);
		if (p == NULL)
			break;
		memset(p, 1, size);
		*p = first;
		first = p;
		total += size;
		if (total > ((size_t)1 << 30)) {
			fprintf(stderr, "no limit\n");
			_exit(2);
		}
	}
	if (errno != ENOMEM)
		_exit(3);
	errno = 0;
	if (calloc(1, (size_t)1 << 30) != NULL || errno != ENOMEM)
		_exit(4);
	while (first != NULL) {
		void **next = *first;
		free(first);
		first = next;
	}
	return total;
}

int
main(void)
{
	for (int round = 0; round < 3; round++) {
		for (size_t size = 16; size < FEW; size *= 7) {
			const size_t total = exhaust(size);
			if (total < FEW) {
				fprintf(stderr, "only %zu bytes in objects of %zu\n",
				    total, size);
				return 1;
			}
		}
	}
	return 0;
}
