/* SPDX-License-Identifier: MIT */
/*
 * cxx -- the C++ operators new and delete, defined from C by their mangled names.
 *
 * They are weak, so that a program that is linked statically may define its own, and
 * exported only where tract is the process's malloc; with a public prefix their link
 * names have it too.
 *
 * What a program replaces must be what it gets: by the standard, a program may define
 * operator new(size_t) and operator delete(void *) alone, and all other forms then call
 * those.  So the array, sized and aligned-array forms here jump to the plain or aligned
 * form by its public symbol, one instruction through the GOT; only the plain and aligned
 * forms allocate and free.
 *
 * Nothing of libstdc++ is needed: its functions are weak references, NULL in a C program.
 */
#ifndef TRACT_API_CXX_H
#define TRACT_API_CXX_H

#include <stddef.h>

#include "base/attr.h"
#include "tract_config.h"

#if CONFIG_PREFIXED
#define OPERATOR(label) __asm__(CONFIG_PUBLIC_PREFIX label) WEAK
#else
#define OPERATOR(label) __asm__(label) WEAK EXPORT
#endif

/* `tag' is a reference to std::nothrow; alignments are powers of two. */
void *cxx_new(size_t size) OPERATOR("_Znwm");
void *cxx_new_array(size_t size) OPERATOR("_Znam");
void *cxx_new_nothrow(size_t size, const void *tag) OPERATOR("_ZnwmRKSt9nothrow_t");
void *cxx_new_array_nothrow(size_t size, const void *tag) OPERATOR("_ZnamRKSt9nothrow_t");
void *cxx_new_aligned(size_t size, size_t alignment) OPERATOR("_ZnwmSt11align_val_t");
void *cxx_new_array_aligned(size_t size, size_t alignment)
    OPERATOR("_ZnamSt11align_val_t");
void *cxx_new_aligned_nothrow(size_t size, size_t alignment, const void *tag)
    OPERATOR("_ZnwmSt11align_val_tRKSt9nothrow_t");
void *cxx_new_array_aligned_nothrow(size_t size, size_t alignment, const void *tag)
    OPERATOR("_ZnamSt11align_val_tRKSt9nothrow_t");

void cxx_delete(void *p) OPERATOR("_ZdlPv");
void cxx_delete_array(void *p) OPERATOR("_ZdaPv");
void cxx_delete_sized(void *p, size_t size) OPERATOR("_ZdlPvm");
void cxx_delete_array_sized(void *p, size_t size) OPERATOR("_ZdaPvm");
void cxx_delete_nothrow(void *p, const void *tag) OPERATOR("_ZdlPvRKSt9nothrow_t");
void cxx_delete_array_nothrow(void *p, const void *tag) OPERATOR("_ZdaPvRKSt9nothrow_t");
void cxx_delete_aligned(void *p, size_t alignment) OPERATOR("_ZdlPvSt11align_val_t");
void cxx_delete_array_aligned(void *p, size_t alignment)
    OPERATOR("_ZdaPvSt11align_val_t");
void cxx_delete_sized_aligned(void *p, size_t size, size_t alignment)
    OPERATOR("_ZdlPvmSt11align_val_t");
void cxx_delete_array_sized_aligned(void *p, size_t size, size_t alignment)
    OPERATOR("_ZdaPvmSt11align_val_t");
void cxx_delete_aligned_nothrow(void *p, size_t alignment, const void *tag)
    OPERATOR("_ZdlPvSt11align_val_tRKSt9nothrow_t");
void cxx_delete_array_aligned_nothrow(void *p, size_t alignment, const void *tag)
    OPERATOR("_ZdaPvSt11align_val_tRKSt9nothrow_t");

enum cxx_throw { CXX_THROWS, CXX_NOTHROW };

/*
 * What a new does when memory lacks: call the new_handler and try again, as long as there
 * is one; then throw std::bad_alloc, or return NULL for CXX_NOTHROW.  An exception of the
 * handler passes through.  alignment: a power of two, 1 where none was asked for.  Where
 * bad_alloc cannot be thrown (no C++ library in the process), one line and abort.
 */
COLD void *cxx_new_failed(size_t size, size_t alignment, enum cxx_throw throws);

#endif
