/* SPDX-License-Identifier: MIT */
#include "config/size_class.h"

#include "base/bits.h"
#include "base/checked.h"
#include "config/options.h"

/*
 * Numbering.  Below the quantum there is the class of 8 bytes alone (none where the
 * quantum is 8); then the quantum's multiples up to 4 quanta; then, for each power of two
 * P from 4 quanta on, the four classes 5/4 P, 6/4 P, 7/4 P, 8/4 P.
 */
#define LG_QUADS (CONFIG_LG_QUANTUM + 2) /* lg of the power of two below them */
#define N_TINY (CONFIG_LG_QUANTUM - 3)
#define N_LINEAR (N_TINY + 4)

#define QUAD(lg) \
	(size_t)5 << ((lg)-2), (size_t)6 << ((lg)-2), (size_t)7 << ((lg)-2), \
	    (size_t)8 << ((lg)-2)
#define QUADS_8(lg) \
	QUAD(lg), QUAD((lg) + 1), QUAD((lg) + 2), QUAD((lg) + 3), QUAD((lg) + 4), \
	    QUAD((lg) + 5), QUAD((lg) + 6), QUAD((lg) + 7)

/*
 * The class after the last, 2^63, is not one: no object may be larger than PTRDIFF_MAX.
 */
const size_t size_class_sizes[SC_NSIZES] = {
#if CONFIG_LG_QUANTUM == 3
	8,
	16,
	24,
	32,
	QUAD(5),
#else
	8,
	16,
	32,
	48,
	64,
#endif
	QUADS_8(6),
	QUADS_8(14),
	QUADS_8(22),
	QUADS_8(30),
	QUADS_8(38),
	QUADS_8(46),
	QUADS_8(54),
	(size_t)5 << 60,
	(size_t)6 << 60,
	(size_t)7 << 60,
};

#define TIMES_2(n) (n), (n)
#define TIMES_4(n) TIMES_2(n), TIMES_2(n)
#define TIMES_8(n) TIMES_4(n), TIMES_4(n)
#define TIMES_16(n) TIMES_8(n), TIMES_8(n)
#define FOUR(times, n) times(n), times((n) + 1), times((n) + 2), times((n) + 3)

/* One entry for 0 bytes, then one for each 8 bytes. */
const uint8_t size_class_lookup[SC_LOOKUP_COUNT] = {
	0,
#if CONFIG_LG_QUANTUM == 3
	0,
	1,
	2,
	3,
	4,
	5,
	6,
	7,
#define CLASS_80 8
#else
	0,
	1,
	TIMES_2(2),
	TIMES_2(3),
	TIMES_2(4),
#define CLASS_80 5
#endif
	FOUR(TIMES_2, CLASS_80),
	FOUR(TIMES_4, CLASS_80 + 4),
	FOUR(TIMES_8, CLASS_80 + 8),
	FOUR(TIMES_16, CLASS_80 + 12),
};

struct slab_geometry slab_geometry[SC_NOWNED] EARLY_TABLE;
static_assert(SC_NOWNED <= 64, "a bit for each class");
uint64_t slab_alike[SC_NOWNED] EARLY_TABLE;

/* The allocator's page.  Set once at boot. */
static size_t page = 4096;

/*
 * Bounds of a slab.  16 KiB: with less, small objects would visit the arena too often;
 * with more, one survivor would pin more than needed.  256 KiB: up to 266238 bytes
 * multiplying by the reciprocal is exact.
 */
#define SLAB_MIN ((uint32_t)16 << 10)
#define SLAB_MAX ((uint32_t)256 << 10)
/* At most 1/32 of a slab lies idle behind its last region, where any size allows that. */
#define LG_TAIL_DIVISOR 5

static uint32_t
regions_wanted(uint32_t reg_size)
{
	if (reg_size <= 512)
		return 32;
	return reg_size <= 2048 ? 16 : 8;
}

/*
 * The smallest slab with enough regions and little tail; where no size has so little
 * (20480 bytes on pages of 64 KiB), the smallest with enough regions: larger ones are no
 * better.
 */
static uint32_t
slab_size_for(uint32_t reg_size, uint32_t page_size)
{
	size_t enough = max_size(SLAB_MIN, regions_wanted(reg_size) * reg_size);
	uint32_t first = (uint32_t)align_up(enough, page_size);

	for (uint32_t size = first; size <= SLAB_MAX; size += page_size)
		if (size % reg_size <= size >> LG_TAIL_DIVISOR)
			return size;
	return first;
}

static uint16_t
grown_most(uint32_t slab_size, unsigned nregs)
{
	unsigned n = 1;

	while (2 * n * slab_size <= SLAB_GROWN_MAX && 2 * n * nregs <= SLAB_MAXREGS)
		n *= 2;
	return (uint16_t)n;
}

static void
set_geometry(unsigned szind, uint32_t slab_size)
{
	const uint32_t reg_size = (uint32_t)size_class_sizes[szind];
	const size_t nregs = min_size(slab_size / reg_size, SLAB_MAXREGS);
	const uint64_t rounded = ((uint64_t)1 << 32) + reg_size - 1;

	slab_geometry[szind] = (struct slab_geometry){
		.slab_size = slab_size,
		.reg_size = reg_size,
		.nregs = (uint16_t)nregs,
		.grown = grown_most(slab_size, (unsigned)nregs),
		.reciprocal = (uint32_t)(rounded / reg_size),
	};
}

/* Slabs of a size that somebody asked for stay so. */
static void
set_asked(unsigned szind, uint32_t slab_size)
{
	set_geometry(szind, slab_size);
	slab_geometry[szind].grown = 1;
}

static void
find_alike(void)
{
	uint8_t first[SC_NOWNED];

	for (unsigned i = 0; i < SC_NOWNED; i++) {
		slab_alike[i] = 0;
		first[i] = 0;
		while (slab_geometry[first[i]].slab_size != slab_geometry[i].slab_size)
			first[i]++;
		slab_alike[first[i]] |= (uint64_t)1 << i;
	}
	for (unsigned i = 0; i < SC_NOWNED; i++)
		slab_alike[i] = slab_alike[first[i]];
}

void
size_class_boot(size_t page_size)
{
	assert(is_pow2(page_size) && page_size >= 4096 && page_size <= SLAB_MAX);
	page = page_size;

	for (unsigned i = 0; i < SC_NOWNED; i++)
		set_geometry(i,
		    slab_size_for((uint32_t)size_class_sizes[i], (uint32_t)page_size));
	find_alike();
}

void
size_class_set_slabs(const uint16_t *npages)
{
	for (unsigned i = 0; i < SC_NBINS; i++) {
		const size_t reg_size = size_class_sizes[i];
		const size_t least = align_up(reg_size, page),
			     most = min_size(SLAB_MAX,
				 align_up(SLAB_MAXREGS * reg_size, page));
		if (npages[i] != OPTION_LIST_UNSET)
			set_asked(i,
			    (uint32_t)max_size(least, min_size(npages[i] * page, most)));
	}
	find_alike();
}

unsigned
size_class_of(size_t size)
{
	assert(size <= SC_LARGE_MAX);
	if (size <= 8)
		return 0;

	size_t below = size - 1;
	if (below < (size_t)1 << LG_QUADS)
		return N_TINY + (unsigned)(below >> CONFIG_LG_QUANTUM);

	unsigned lg = lg_floor(below);
	unsigned quarter = (unsigned)(below >> (lg - 2)) & 3;
	return N_LINEAR + (lg - LG_QUADS) * 4 + quarter;
}

unsigned
size_class_floor(size_t size)
{
	assert(size >= 8);
	if (size >= SC_LARGE_MAX)
		return SC_NSIZES - 1;
	unsigned szind = size_class_of(size);
	return size_class_sizes[szind] == size ? szind : szind - 1;
}

size_t
size_usable(size_t size)
{
	if (size <= SC_OWNED_MAX)
		return size_class_sizes[size_class_of(size)];
	if (size > SC_LARGE_MAX)
		return SIZE_TOO_LARGE;
	if (!opt.disable_large_size_classes)
		size = size_class_sizes[size_class_of(size)];
	return checked_align_up(size, page);
}

/*
 * Rounding the request up to the alignment suffices: in a group of four classes a
 * multiple of the alignment either is a class itself, or is rounded up by steps that are
 * multiples of it.
 */
size_t
size_usable_aligned(size_t size, size_t alignment)
{
	assert(is_pow2(alignment));
	if (alignment <= page)
		return size_usable(checked_align_up(max_size(size, 1), alignment));
	if (alignment > SC_LARGE_MAX)
		return SIZE_TOO_LARGE;

	size_t usable = size_usable(max_size(size, SC_LARGE_MIN));
	return usable == SIZE_TOO_LARGE ? usable : checked_align_up(usable, page);
}
