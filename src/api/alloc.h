/* SPDX-License-Identifier: MIT */
/*
 * alloc -- the bodies of the allocation functions, below their public names.
 *
 * Functions that return a pointer return NULL when memory lacks or the size cannot be served; only
 * those that say so set errno.
 */
#ifndef TRACT_API_ALLOC_H
#define TRACT_API_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct edata;
struct explicit_tcache;

enum alloc_zero { ZERO_NO, ZERO_YES };

/* Tables of the hit path; called once by boot. */
void alloc_boot(void);

/* malloc and calloc without their public names; set errno. */
void *alloc_malloc(size_t size);
void *alloc_zeroed(size_t size);
/* alignment: a power of two, any size. Sets errno to ENOMEM on failure. */
void *alloc_aligned(size_t alignment, size_t size, enum alloc_zero zero);
/* free; keeps errno. */
void alloc_free(void *p);
/* realloc of a live object, new size not 0, both not NULL; errno ENOMEM on failure. */
void *alloc_resize(void *p, size_t size);

/* What mallocx's flags say. */
struct alloc_request {
	size_t size;
	size_t alignment; /* 0: none asked */
	enum alloc_zero zero;
	bool no_tcache;
	struct arena *arena;            /* NULL: the thread's */
	struct explicit_tcache *tcache; /* NULL: the thread's own */
};

void *alloc_requested(const struct alloc_request *request);
void free_requested(void *p, const struct alloc_request *request);

/* What the options zero and junk say of new bytes that were, or were not, asked to be zero. */
void alloc_fill(void *p, size_t bytes, enum alloc_zero zero);

/* Usable bytes of a live object; reports and aborts on a pointer that is none. */
size_t alloc_usable_size(const void *p, const struct edata *e);
/* The record of a live object at p; reports misuse (`what') and returns NULL otherwise. */
struct edata *alloc_find(const char *what, const void *p);

/* Move to new memory the way realloc does. */
void *alloc_move(void *p, struct edata *e, const struct alloc_request *request);
/* In place to between size and size + extra; returns the usable size afterwards. */
size_t alloc_resize_in_place(void *p, struct edata *e, size_t size, size_t extra,
    enum alloc_zero zero);

#endif
