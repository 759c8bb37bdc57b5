/* SPDX-License-Identifier: MIT */
/*
 * size_class -- the one table of object sizes, and the geometry of slabs.  ORDER
 * SIZE-CLASSES.
 *
 * Classes are jemalloc's, because programs hard-code them: 8; quantum-spaced to 4 quanta;
 * then four per doubling.  The first SC_NBINS are small (slabs, in an arena's bins); of
 * the large ones, those up to SC_OWNED_MAX also live in slabs that a thread owns.
 *
 *	szind:  0 .. SC_NBINS-1         small       8 .. 14336
 *	        SC_NBINS .. SC_NOWNED-1 large, yet cut from owned slabs   16384 .. 32768
 *	        SC_NOWNED .. SC_NSIZES-1 large, an extent of their own    40960 ..
 *
 * The usable size of an object with an extent of its own is its page multiple (see
 * opt.disable_large_size_classes); its szind is then only the statistics bucket.
 *
 * Sizes and the lookup table are constants; size_class_boot computes the slabs' geometry
 * (pure arithmetic from the page size) into a table that is read-only afterwards.
 */
#ifndef TRACT_CONFIG_SIZE_CLASS_H
#define TRACT_CONFIG_SIZE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tract_config.h"

#define QUANTUM ((size_t)1 << CONFIG_LG_QUANTUM) /* 8 or 16 */

#if CONFIG_LG_QUANTUM == 3
#define SC_NBINS 39
#else
#define SC_NBINS 36
#endif
#define SC_NLARGE 196
#define SC_NSIZES (SC_NBINS + SC_NLARGE)
#define SC_NOWNED (SC_NBINS + 5) /* + 16384 20480 24576 28672 32768 */
#define SC_SMALL_MAX ((size_t)14336)
#define SC_OWNED_MAX ((size_t)32768)
#define SC_LARGE_MIN ((size_t)16384)
#define SC_LARGE_MAX ((size_t)7 << 60)

/* Requests up to this size find their class in size_class_lookup. */
#define SC_LOOKUP_MAX ((size_t)1024)
#define SC_LOOKUP_COUNT (SC_LOOKUP_MAX / 8 + 1)
/*
 * Class of a request of n bytes, n <= SC_LOOKUP_MAX: size_class_lookup[(n + 7) >> 3].
 * A request of 0 bytes is one of 1 byte.
 */
extern const uint8_t size_class_lookup[SC_LOOKUP_COUNT];

struct slab_geometry {
	uint32_t slab_size;  /* bytes, a multiple of the page */
	uint32_t reg_size;   /* bytes of one region = the class's size */
	uint16_t nregs;      /* regions in a slab, 1 .. SLAB_MAXREGS */
	uint16_t grown;      /* slabs that one is at most worth, a power of two */
	uint32_t reciprocal; /* ceil(2^32 / reg_size): offset to index, >> 32 */
};

#define SLAB_MAXREGS 2048

/*
 * A slab may be worth several of its class: as many times as large, with as many times the
 * regions, and counted as so many.  What follows from the number of regions alone follows
 * from its own.
 */
#define SLAB_GROWN_MAX ((uint32_t)128 << 10)

/* Frees that bring a full owned slab of so many regions back into service. */
static inline unsigned
slab_wake(unsigned nregs)
{
	return nregs < 32 ? 1 : nregs < 128 ? nregs / 16 : 8;
}

/* Index by szind, SC_NOWNED entries: geometry of the slabs of that class. */
extern struct slab_geometry slab_geometry[SC_NOWNED];
/* The classes with slabs of the same size, its own too: a bit each. */
extern uint64_t slab_alike[SC_NOWNED];
/* Index by szind: bytes. */
extern const size_t size_class_sizes[SC_NSIZES];

/*
 * Fill slab_geometry for the allocator's page (a power of two, 4 KiB to 256 KiB).  Slabs
 * are page-aligned, so a region is aligned to the largest power of two that divides its
 * size, up to the page.
 */
void size_class_boot(size_t page_size);

/*
 * Other slabs for the small classes: npages[szind] pages each, brought to between one and
 * SLAB_MAXREGS regions and 256 KiB; OPTION_LIST_UNSET leaves a class as it is.  After
 * size_class_boot and before the first slab (opt.slab_sizes).
 */
void size_class_set_slabs(const uint16_t *npages);

static inline size_t
size_class_size(unsigned szind)
{
	return size_class_sizes[szind];
}

/*
 * The smallest class that holds `size' bytes, 0 <= size <= SC_LARGE_MAX, by arithmetic.
 */
unsigned size_class_of(size_t size);

/*
 * The largest class that is <= size; size >= 8.  Where an extent of that size is filed.
 */
unsigned size_class_floor(size_t size);

/*
 * Usable size of a request: class size up to SC_OWNED_MAX, else the page multiple (or the
 * class size where large classes are on).  SIZE_TOO_LARGE when the request cannot be
 * served.
 */
size_t size_usable(size_t size);

/*
 * The size to ask for so that an object of at least `size' bytes lies aligned to
 * `alignment' (a power of two).  Up to the page: the smallest class that is a multiple of
 * it, or above SC_OWNED_MAX the page multiple.  Beyond the page: a page multiple of at
 * least SC_LARGE_MIN, which must be served as an extent of its own, whatever its size.
 * SIZE_TOO_LARGE when it cannot be served.
 */
size_t size_usable_aligned(size_t size, size_t alignment);

#endif
