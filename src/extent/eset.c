/* SPDX-License-Identifier: MIT */
#include "extent/eset.h"

#include "base/bits.h"
#include "extent/emap.h"
#include "meta/rtree.h"
#include "os/pages.h"

/* Extents of one class differ in size: how many of the class below the fitting one are
 * looked at. */
#define SAME_CLASS_LOOKS 32

static bool
is_older(const struct heap_node *a, const struct heap_node *b)
{
	return edata_is_older(CONTAINER_OF(a, struct edata, node),
	    CONTAINER_OF(b, struct edata, node));
}

unsigned
eset_class_floor(size_t size)
{
	const size_t n = size >> LG_GRANULE;

	assert(n != 0);
	if (n < 4)
		return (unsigned)n - 1;
	const unsigned lg = lg_floor(n);
	return 3 + (lg - 2) * 4 + (unsigned)(n >> (lg - 2) & 3);
}

size_t
eset_class_size(unsigned class)
{
	if (class < 3)
		return (size_t)(class + 1) << LG_GRANULE;
	class -= 3;
	return (size_t)(4 + class % 4) << (class / 4) << LG_GRANULE;
}

unsigned
eset_class_ceil(size_t size)
{
	const unsigned class = eset_class_floor(size);

	return eset_class_size(class) < size ? class + 1 : class;
}

void
eset_init(struct eset *eset)
{
	list_init(&eset->lru);
}

void
eset_init_exact(struct eset *eset)
{
	eset_init(eset);
	eset->is_exact = true;
}

/* The heap of a size. */
static unsigned
class_in(const struct eset *eset, size_t size)
{
	if (!eset->is_exact)
		return eset_class_floor(size);
	return (unsigned)min_size(size >> LG_GRANULE, ESET_CLASSES) - 1;
}

void
eset_insert(struct eset *eset, struct edata *e)
{
	const unsigned class = class_in(eset, e->size);

	heap_insert(&eset->heaps[class], &e->node, is_older);
	bitmap_set(eset->nonempty, class);
	list_push_back(&eset->lru, &e->link);
	owner_add(&eset->npages, e->size >> LG_GRANULE);
}

void
eset_remove(struct eset *eset, struct edata *e)
{
	const unsigned class = class_in(eset, e->size);

	heap_remove(&eset->heaps[class], &e->node, is_older);
	if (heap_is_empty(&eset->heaps[class]))
		bitmap_clear(eset->nonempty, class);
	list_remove(&e->link);
	owner_sub(&eset->npages, e->size >> LG_GRANULE);
}

static struct edata *
root_of(const struct eset *eset, unsigned class)
{
	struct heap_node *node = heap_min(&eset->heaps[class]);

	return node == NULL ? NULL : CONTAINER_OF(node, struct edata, node);
}

/* Does it hold `size' bytes at `alignment'? */
static bool
holds(const struct edata *e, size_t size, size_t alignment)
{
	const size_t lead = align_up(e->addr, alignment) - e->addr;

	return e->size >= lead && e->size - lead >= size;
}

/*
 * In the class just below: the best of the first few nodes, children before siblings.
 */
static struct edata *
fit_below(const struct eset *eset, unsigned class, size_t size, size_t alignment)
{
	const struct heap_node *stack[SAME_CLASS_LOOKS];
	unsigned depth = 0, looks = 0;
	struct edata *best = NULL;

	if (heap_min(&eset->heaps[class]) == NULL)
		return NULL;
	stack[depth++] = heap_min(&eset->heaps[class]);
	while (depth != 0 && looks++ < SAME_CLASS_LOOKS) {
		const struct heap_node *node = stack[--depth];
		struct edata *e = CONTAINER_OF(node, struct edata, node);
		if (holds(e, size, alignment)
		    && (best == NULL || edata_is_older(e, best)))
			best = e;
		if (node->next != NULL && depth < SAME_CLASS_LOOKS)
			stack[depth++] = node->next;
		if (node->child != NULL && depth < SAME_CLASS_LOOKS)
			stack[depth++] = node->child;
	}
	return best;
}

struct edata *
eset_fit(struct eset *eset, size_t size, size_t alignment, size_t largest)
{
	const unsigned first = eset_class_ceil(size);
	struct edata *e = NULL;

	if (load_relaxed(&eset->npages) << LG_GRANULE < size)
		return NULL;
	if (first > eset_class_floor(size))
		e = fit_below(eset, first - 1, size, alignment);
	for (size_t class = bitmap_first_set_from(eset->nonempty, ESET_CLASSES, first);
	     e == NULL && class < ESET_CLASSES
	     && eset_class_size((unsigned)class) <= largest;
	     class = bitmap_first_set_from(eset->nonempty, ESET_CLASSES, class + 1)) {
		struct edata *root = root_of(eset, (unsigned)class);
		if (holds(root, size, alignment))
			e = root;
	}
	return e;
}

struct edata *
eset_largest(const struct eset *eset)
{
	for (unsigned i = BITMAP_WORDS(ESET_CLASSES); i-- > 0;)
		if (eset->nonempty[i] != 0)
			return root_of(eset,
			    i * BITMAP_WORD_BITS + lg_floor(eset->nonempty[i]));
	return NULL;
}

struct edata *
eset_exact(const struct eset *eset, size_t size)
{
	const struct heap *heap = &eset->heaps[class_in(eset, size)];

	assert(eset->is_exact);
	/* The first is it, but among the large ones of all sizes. */
	for (const struct heap_node *node = heap_min(heap); node != NULL;
	     node = heap_next(node)) {
		struct edata *e = CONTAINER_OF(node, struct edata, node);
		if (e->size == size)
			return e;
	}
	return NULL;
}

struct edata *
eset_followed(const struct eset *eset, size_t size, enum extent_state behind)
{
	if (load_relaxed(&eset->npages) << LG_GRANULE < size / 2)
		return NULL;
	const unsigned least = eset_class_ceil(max_size(size / 2, GRANULE));
	for (unsigned end = eset_class_floor(size) + 1; end > least; end--) {
		struct edata *e = root_of(eset, end - 1);
		if (e != NULL && e->size < size && emap_is_followed(e, behind))
			return e;
	}
	return NULL;
}

struct edata *
eset_oldest(struct eset *eset)
{
	struct list *l = list_first(&eset->lru);

	return l == NULL ? NULL : LIST_ENTRY(l, struct edata, link);
}

void
eset_check(const struct eset *eset)
{
	size_t npages = 0;

	LIST_FOR_EACH (l, &eset->lru)
		npages += LIST_ENTRY(l, struct edata, link)->size >> LG_GRANULE;
	for (unsigned class = 0; class < ESET_CLASSES; class ++) {
		const bool is_ordered = heap_check(&eset->heaps[class], is_older);
		assert(is_ordered);
		assert(heap_is_empty(&eset->heaps[class])
		    == !bitmap_get(eset->nonempty, class));
		for (const struct heap_node *n = heap_min(&eset->heaps[class]); n != NULL;
		     n = heap_next(n))
			assert(class_in(eset, CONTAINER_OF(n, struct edata, node)->size)
			    == class);
		(void)is_ordered;
	}
	assert(npages == load_relaxed(&eset->npages));
}
