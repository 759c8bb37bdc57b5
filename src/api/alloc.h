/* SPDX-License-Identifier: MIT */
/*
 * alloc -- the bodies of the allocation functions, below their public names.
 *
 * Functions that return a pointer return NULL when memory lacks or the size cannot be served, and
 * leave errno alone: alloc_failed is for the function with the public name.
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

/* malloc without its public name. */
void *alloc_malloc(size_t size);
/* alignment: a power of two, any size. */
void *alloc_aligned(size_t alignment, size_t size, enum alloc_zero zero);
/* free; keeps errno. */
void alloc_free(void *p);
/* realloc of a live object, new size not 0, both not NULL; calls alloc_failed itself. */
void *alloc_resize(void *p, size_t size);
/*
 * The public function of that name finds no memory, or a size that cannot be served: sets errno to
 * ENOMEM; with opt.xmalloc says so in a line and aborts.  NULL, for its return.
 */
void *alloc_failed(const char *function);

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
