/* SPDX-License-Identifier: MIT */
/*
 * compat -- a program written against jemalloc's interface, in each of the header's modes:
 *	by default and with -DJEMALLOC_NO_DEMANGLE it writes je_x,
 *	with -DJEMALLOC_MANGLE plain x,
 *	with -DJEMALLOC_NO_RENAME and -DP=prefix the names as they are.
 * It succeeds if the functions that it calls are those of one library, and that is tract.
 */
#ifdef MM_MALLOC_FIRST
#include <mm_malloc.h>
#endif
#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#ifdef JEMALLOC_MANGLE
#define X(name) name
#elif defined JEMALLOC_NO_RENAME
#ifdef je_mallocx
#error "je_ is the program's own under JEMALLOC_NO_RENAME"
#endif
#define X(name) PASTE(P, name)
#else
#define X(name) je_##name
#endif

/* Every macro that a program may use where it declares functions of its own. */
JEMALLOC_EXPORT JEMALLOC_ALLOCATOR JEMALLOC_RESTRICT_RETURN void JEMALLOC_NOTHROW *
own_malloc(size_t size) JEMALLOC_ATTR(noinline) JEMALLOC_ALLOC_SIZE(1);
static void *own_calloc(size_t, size_t) JEMALLOC_ALLOC_SIZE2(1, 2) JEMALLOC_NOINLINE;
static void complain(const char *format, ...) JEMALLOC_FORMAT_PRINTF(1, 2) JEMALLOC_COLD;
const char *own_format(const char *format) JEMALLOC_FORMAT_ARG(1);
size_t own_usable_size(JEMALLOC_USABLE_SIZE_CONST void *p) JEMALLOC_SYS_NOTHROW;
void not_to_be_called(void) JEMALLOC_WARN_ON_USAGE("not this one");
static char own_area[64] JEMALLOC_ALIGNED(64) JEMALLOC_SECTION(".data.own");

/* Names within control names are numbers, which programs paste. */
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

#if JEMALLOC_VERSION_MAJOR < 5
#error "a version that nobody asks for"
#endif
#if MALLCTL_ARENAS_ALL != 4096 || MALLCTL_ARENAS_DESTROYED != 4097 || MALLOCX_ZERO != 0x40
#error "numbers that are compiled into programs"
#endif

static int failures;

static void
complain(const char *format, ...)
{
	failures++;
	puts(format);
}

void JEMALLOC_NOTHROW *
own_malloc(size_t size)
{
	return X(mallocx)(size, MALLOCX_ALIGN(64) | MALLOCX_ZERO);
}

static void *
own_calloc(size_t n, size_t size)
{
	return X(calloc)(n, size);
}

static void
check_version(void)
{
	const char *version = NULL;
	size_t length = sizeof version;
	int major, minor, bugfix, nrev, n = 0;
	char id[64];

	if (sscanf(JEMALLOC_VERSION, "%d.%d.%d-%d-g%63[0-9a-f]%n", &major, &minor,
		&bugfix, &nrev, id, &n)
		!= 5
	    || JEMALLOC_VERSION[n] != '\0')
		complain("JEMALLOC_VERSION is not M.m.b-nrev-gID");
	if (major != JEMALLOC_VERSION_MAJOR || minor != JEMALLOC_VERSION_MINOR
	    || bugfix != JEMALLOC_VERSION_BUGFIX || nrev != JEMALLOC_VERSION_NREV
	    || strcmp(id, JEMALLOC_VERSION_GID) != 0
	    || strcmp(id, TEXT(JEMALLOC_VERSION_GID_IDENT)) != 0)
		complain("the parts of JEMALLOC_VERSION differ from it");
	if (X(mallctl)("version", &version, &length, NULL, 0) != 0)
		complain("no version");
	else if (strncmp(version, JEMALLOC_VERSION " tract-",
		     strlen(JEMALLOC_VERSION " tract-"))
	    != 0)
		complain("the library is of another version, or not tract");
}

static void
check_use(void)
{
	uint64_t *allocated = NULL;
	size_t length = sizeof allocated;

	if (X(mallctl)("thread.allocatedp", (void *)&allocated, &length, NULL, 0) != 0)
		complain("no thread.allocatedp");
	const uint64_t before = *allocated;
	char *p = (char *)own_malloc(100);
	if (*allocated != before + X(sallocx)(p, 0))
		complain("mallocx is not of the library that counts");
	if ((uintptr_t)p % 64 != 0 || p[99] != 0)
		complain("mallocx and its flags");
	p = (char *)X(rallocx)(p, 1000, MALLOCX_TCACHE_NONE);
	if (X(xallocx)(p, 1000, 0, 0) != X(nallocx)(1000, 0))
		complain("xallocx");
	X(sdallocx)(p, 1000, 0);
	void *q = NULL;
	if (X(posix_memalign)(&q, 256, 100) != 0 || X(malloc_usable_size)(q) != 256)
		complain("posix_memalign");
	q = X(realloc)(q, 20);
	X(free)(q);
	X(free)(own_calloc(3, 4));
	X(free)(X(memalign)(64, 64));
	X(free)(X(valloc)(1));
	X(free)(X(aligned_alloc)(32, 32));
	X(dallocx)(X(malloc)(1), 0);
	if (*allocated == before)
		complain("malloc is not of the library that counts");
}

static void
check_control(void)
{
	size_t mib[8], length = 8;
	extent_hooks_t *hooks = NULL;
	size_t hooks_length = sizeof hooks;
	extent_alloc_t *alloc;

	if (X(mallctl)("arena." TEXT(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0)
	    != 0)
		complain("purge of all arenas");
	if (X(mallctlnametomib)("arena.0.purge", mib, &length) != 0 || length != 3)
		complain("mallctlnametomib");
	mib[1] = MALLCTL_ARENAS_ALL;
	if (X(mallctlbymib)(mib, length, NULL, NULL, NULL, 0) != 0)
		complain("mallctlbymib");
	if (X(mallctl)("arena.0.extent_hooks", (void *)&hooks, &hooks_length, NULL, 0)
	    != 0)
		complain("hooks");
	alloc = hooks->alloc;
	if (alloc == NULL || EXTENT_ALLOC_FLAG_PINNED != 1)
		complain("no hook");
}

static size_t printed;

static void
print(void *opaque, const char *text)
{
	(void)opaque;
	printed += strlen(text);
}

int
main(void)
{
	own_area[0] = 'x';
	check_version();
	check_use();
	check_control();
	X(malloc_message) = print;
	X(malloc_stats_print)(NULL, NULL, "a");
	if (printed == 0)
		complain("nothing was printed");
	return failures != 0;
}
