/* SPDX-License-Identifier: MIT */
/*
 * Exceptions pass through the functions of this file (bad_alloc itself, and what a
 * new_handler throws), so it is compiled with -fexceptions; nothing here needs undoing on
 * their way.
 *
 * C cannot catch.  The one place that has to, a nothrow form whose new_handler throws,
 * lets the C++ library's own nothrow form do it: that one calls the throwing form, ours,
 * within try and catch.  Where it cannot be found (a static program), the exception goes
 * on to the caller, who does not expect it: std::terminate.
 */
#define _GNU_SOURCE
#include "api/cxx.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "api/alloc.h"
#include "api/alloc_inl.h"
#include "api/boot.h"
#include "api/free_inl.h"
#include "base/bits.h"
#include "base/fmt.h"
#include "config/options.h"
#include "os/os.h"

#define ALIAS(body) __attribute__((alias(body)))

typedef void new_handler(void);

/* Of libstdc++ and libc++ alike: std::get_new_handler, std::__throw_bad_alloc. */
new_handler *std_get_new_handler(void) __asm__("_ZSt15get_new_handlerv") WEAK;
void std_throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") WEAK;
/* Not in a static program, unless something else links it. */
extern void *dlsym(void *handle, const char *name) WEAK;

static new_handler *
current_handler(void)
{
	return std_get_new_handler != NULL ? std_get_new_handler() : NULL;
}

_Noreturn COLD static void
throw_bad_alloc(size_t size)
{
	char line[128];
	struct fmt f;

	if (std_throw_bad_alloc != NULL)
		std_throw_bad_alloc();
	fmt_init(&f, line, sizeof(line));
	fmt_print(&f, "<tract>: operator new: no memory for %zu bytes\n", size);
	boot_message(line);
	os_abort();
}

/* The options by which no failure returns to the program. */
COLD static void
refuse(size_t size)
{
	char line[128];
	struct fmt f;

	if (opt.experimental_infallible_new) {
		fmt_init(&f, line, sizeof(line));
		fmt_print(&f,
		    "<tract>: Allocation of size %zu failed; experimental_infallible_new "
		    "is true\n",
		    size);
		boot_message(line);
		os_abort();
	}
	(void)alloc_failed("operator new");
}

static void *
try_again(size_t size, size_t alignment)
{
	if (alignment == 1)
		return alloc_malloc(size);
	return alloc_aligned(alignment, size, ZERO_NO);
}

void *
cxx_new_failed(size_t size, size_t alignment, enum cxx_throw throws)
{
	new_handler *handler;

	if (opt.experimental_infallible_new)
		refuse(size);
	while ((handler = current_handler()) != NULL) {
		handler();
		void *p = try_again(size, alignment);
		if (p != NULL)
			return p;
	}
	refuse(size);
	if (throws == CXX_THROWS)
		throw_bad_alloc(size);
	return NULL;
}

/*
 * ---- The forms that allocate and free.
 * -----------------------------------------------------
 */

/*
 * A body has a name of its own, so that the nothrow form can tell whether the program has
 * another.
 */
static void *
new_here(size_t size)
{
	void *p = alloc_inline(size, alloc_refill, alloc_large);
	return LIKELY(p != NULL) ? p : cxx_new_failed(size, 1, CXX_THROWS);
}

static void *
new_aligned_here(size_t size, size_t alignment)
{
	if (UNLIKELY(!is_pow2(alignment)))
		throw_bad_alloc(size);
	void *p = alloc_aligned(alignment, size, ZERO_NO);
	return LIKELY(p != NULL) ? p : cxx_new_failed(size, alignment, CXX_THROWS);
}

void *cxx_new(size_t size) ALIAS("new_here");
void *cxx_new_aligned(size_t size, size_t alignment) ALIAS("new_aligned_here");

void
cxx_delete(void *p)
{
	free_inline(p);
}

void
cxx_delete_aligned(void *p, size_t alignment UNUSED)
{
	free_inline(p);
}

/*
 * ---- The nothrow forms: NULL instead of an exception.
 * ---------------------------------------
 */

/*
 * The C++ library's form of this name, which stands after ours; NULL where there is none.
 */
static void *
next_operator(const char *label)
{
	if (!CONFIG_LIBDL || CONFIG_PREFIXED || dlsym == NULL)
		return NULL;
	void *next = dlsym(RTLD_NEXT, label);
	/*
	 * dlsym looks at its return address, which a jump would not leave in this
	 * library.
	 */
	__asm__ volatile("" : "+r"(next));
	return next;
}

/* The program's own operator new, or ours with a new_handler: either may throw. */
static COLD void *
new_nothrow_slow(size_t size, const void *tag)
{
	void *(*next)(size_t, const void *);

	*(void **)&next = next_operator("_ZnwmRKSt9nothrow_t");
	if (next != NULL)
		return next(size, tag);
	if (cxx_new == new_here)
		return cxx_new_failed(size, 1, CXX_NOTHROW);
	return cxx_new(size);
}

static COLD void *
new_aligned_nothrow_slow(size_t size, size_t alignment, const void *tag)
{
	void *(*next)(size_t, size_t, const void *);

	*(void **)&next = next_operator("_ZnwmSt11align_val_tRKSt9nothrow_t");
	if (next != NULL)
		return next(size, alignment, tag);
	if (cxx_new_aligned == new_aligned_here)
		return cxx_new_failed(size, alignment, CXX_NOTHROW);
	return cxx_new_aligned(size, alignment);
}

void *
cxx_new_nothrow(size_t size, const void *tag)
{
	if (LIKELY(cxx_new == new_here)) {
		void *p = alloc_malloc(size);
		if (LIKELY(p != NULL))
			return p;
		if (current_handler() == NULL)
			return refuse(size), NULL;
	}
	return new_nothrow_slow(size, tag);
}

void *
cxx_new_aligned_nothrow(size_t size, size_t alignment, const void *tag)
{
	if (UNLIKELY(!is_pow2(alignment)))
		return NULL;
	if (LIKELY(cxx_new_aligned == new_aligned_here)) {
		void *p = alloc_aligned(alignment, size, ZERO_NO);
		if (LIKELY(p != NULL))
			return p;
		if (current_handler() == NULL)
			return refuse(size), NULL;
	}
	return new_aligned_nothrow_slow(size, alignment, tag);
}

/*
 * ---- The forms that are, by default, another form.
 * ------------------------------------------
 */

void *
cxx_new_array(size_t size)
{
	return cxx_new(size);
}

void *
cxx_new_array_nothrow(size_t size, const void *tag)
{
	return cxx_new_nothrow(size, tag);
}

void *
cxx_new_array_aligned(size_t size, size_t alignment)
{
	return cxx_new_aligned(size, alignment);
}

void *
cxx_new_array_aligned_nothrow(size_t size, size_t alignment, const void *tag)
{
	return cxx_new_aligned_nothrow(size, alignment, tag);
}

void
cxx_delete_array(void *p)
{
	cxx_delete(p);
}

void
cxx_delete_sized(void *p, size_t size UNUSED)
{
	cxx_delete(p);
}

void
cxx_delete_array_sized(void *p, size_t size UNUSED)
{
	cxx_delete_array(p);
}

void
cxx_delete_nothrow(void *p, const void *tag UNUSED)
{
	cxx_delete(p);
}

void
cxx_delete_array_nothrow(void *p, const void *tag UNUSED)
{
	cxx_delete_array(p);
}

void
cxx_delete_array_aligned(void *p, size_t alignment)
{
	cxx_delete_aligned(p, alignment);
}

void
cxx_delete_sized_aligned(void *p, size_t size UNUSED, size_t alignment)
{
	cxx_delete_aligned(p, alignment);
}

void
cxx_delete_array_sized_aligned(void *p, size_t size UNUSED, size_t alignment)
{
	cxx_delete_array_aligned(p, alignment);
}

void
cxx_delete_aligned_nothrow(void *p, size_t alignment, const void *tag UNUSED)
{
	cxx_delete_aligned(p, alignment);
}

void
cxx_delete_array_aligned_nothrow(void *p, size_t alignment, const void *tag UNUSED)
{
	cxx_delete_array_aligned(p, alignment);
}
