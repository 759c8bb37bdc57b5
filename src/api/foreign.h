/* SPDX-License-Identifier: MIT */
/*
 * foreign -- pointers of the C library's own malloc that reach us.
 *
 * They come from libraries bound to it by RTLD_DEEPBIND, or from before we were loaded by dlopen.
 * They are handed to the C library's free or realloc when it is certain that they are its own.
 */
#ifndef TRACT_API_FOREIGN_H
#define TRACT_API_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

/* True: it was the C library's, and is freed. */
bool foreign_free(void *p);
/* Usable bytes, 0 when it is nobody's. */
size_t foreign_usable_size(const void *p);

/* realloc of what has a usable size above 0: moves it to us; NULL and ENOMEM: it is untouched. */
void *foreign_realloc(void *p, size_t size);

/* In a fork child. */
void foreign_fork_child(void);

#endif
