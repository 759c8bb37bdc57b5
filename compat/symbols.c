/* SPDX-License-Identifier: MIT */
/*
 * symbols -- what the library called libjemalloc.so.2 exports beyond tract's own interface.
 *
 * Debian's build of jemalloc exports two variables of its test suite.  No header declares them and
 * no program is known to use them; they are here so that no symbol of that library is missing, and
 * nothing reads them.
 */
#include "base/attr.h"

extern EXPORT void (*je_test_hooks_arena_new_hook)(void);
extern EXPORT void (*je_test_hooks_libc_hook)(void);

void (*je_test_hooks_arena_new_hook)(void);
void (*je_test_hooks_libc_hook)(void);
