/* SPDX-License-Identifier: MIT */
/*
 * glibc -- what glibc's <malloc.h> has on top of malloc, with tract's figures.
 *
 * A program that calls one of these must not find the C library's, which would report on
 * a heap that nobody uses (and, linked statically, would bring a second malloc).
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "api/boot.h"
#include "api/names.h"
#include "arena/arena.h"
#include "base/fmt.h"
#include "ctl/report.h"
#include "ctl/snapshot.h"
#include "ctl/trim.h"

EXPORT int
API(malloc_trim)(size_t pad)
{
	(void)pad;
	return boot() && ctl_trim();
}

/*
 * Nothing here has glibc's knobs, so known ones are accepted.  M_MMAP_THRESHOLD has a
 * limit that programs test.
 */
EXPORT int
API(mallopt)(int param, int value)
{
	/* From <malloc.h> of glibc: M_MXFAST 1 .. M_PERTURB -6, M_ARENA_TEST -7,
	 * M_ARENA_MAX -8. */
	enum {
		MXFAST = 1,
		KEEP = 4,
		ARENA_MAX = -8,
		MXFAST_MAX = 80 * sizeof(size_t) / 4
	};

	if (param == MXFAST)
		return value >= 0 && value <= MXFAST_MAX;
	return (param > MXFAST && param <= KEEP) || (param < 0 && param >= ARENA_MAX);
}
LIBC_NAME(__libc_mallopt, mallopt);

/* ---- mallinfo ---- */

#if HAVE_STRUCT_MALLINFO || HAVE_STRUCT_MALLINFO2

struct totals {
	size_t mapped, in_use, unused, purgeable, n_extents, extent_bytes;
};

/* Large classes that are cut from slabs are no extents of their own. */
static void
count_extents(const struct arena_record *all, struct totals *t)
{
	const unsigned n_slab_classes = SC_NOWNED - SC_NBINS;

	t->extent_bytes = all->large.allocated;
	for (unsigned i = 0; i < SC_NLARGE; i++) {
		const size_t n = all->lextents[i].curlextents;
		if (i >= n_slab_classes)
			t->n_extents += n;
		else
			t->extent_bytes -= n * size_class_size(SC_NBINS + i);
	}
}

static void
read_totals(struct totals *t)
{
	*t = (struct totals){ 0 };
	if (!boot() || snapshot_refresh() != 0 || snapshot_enter() != 0)
		return;
	const struct total_figures *total = snapshot_total();
	const struct arena_record *all = snapshot_arena(CTL_ARENAS_ALL);
	/* Blocks that wait in a thread's lists count as in use. */
	t->mapped = total->mapped;
	t->in_use = total->allocated;
	t->unused = total->mapped - total->allocated;
	t->purgeable = total->mapped - total->active;
	count_extents(all, t);
	snapshot_leave();
}

#endif

#if HAVE_STRUCT_MALLINFO2
EXPORT struct mallinfo2
API(mallinfo2)(void)
{
	struct totals t;

	read_totals(&t);
	return (struct mallinfo2){
		.arena = t.mapped,
		.hblks = t.n_extents,
		.hblkhd = t.extent_bytes,
		.uordblks = t.in_use,
		.fordblks = t.unused,
		.keepcost = t.purgeable,
	};
}
#endif

#if HAVE_STRUCT_MALLINFO
/* Its counts are ints and wrap, as the manual says. */
EXPORT struct mallinfo
API(mallinfo)(void)
{
	struct totals t;

	read_totals(&t);
	return (struct mallinfo){
		.arena = (int)t.mapped,
		.hblks = (int)t.n_extents,
		.hblkhd = (int)t.extent_bytes,
		.uordblks = (int)t.in_use,
		.fordblks = (int)t.unused,
		.keepcost = (int)t.purgeable,
	};
}
#endif

/* ---- malloc_stats and malloc_info ---- */

/* What one arena, or all, says; a copy, since stdio may call hooks' owners back. */
struct figures {
	struct arena_figures arena;
	struct classes_figures small, large;
};

static bool
read_figures(size_t index, struct figures *f)
{
	if (snapshot_enter() != 0)
		return false;
	const struct arena_record *r = snapshot_arena(index);
	if (r != NULL)
		*f = (struct figures){ r->arena, r->small, r->large };
	snapshot_leave();
	return r != NULL;
}

static void
say_figures(const char *title, const struct figures *f)
{
	char text[256];
	struct fmt line;

	fmt_init(&line, text, sizeof text);
	fmt_print(&line, "%s\nsystem bytes     = %10zu\nin use bytes     = %10zu\n",
	    title, f->arena.mapped, f->small.allocated + f->large.allocated);
	boot_message(text);
}

/* In glibc's form: parsers of it exist. */
EXPORT void
API(malloc_stats)(void)
{
	struct figures f;
	char title[32];
	struct fmt line;

	if (!boot() || snapshot_refresh() != 0)
		return;
	for (unsigned i = 0; i < arenas_total(); i++) {
		fmt_init(&line, title, sizeof title);
		fmt_print(&line, "Arena %u:", i);
		if (read_figures(i, &f))
			say_figures(title, &f);
	}
	if (read_figures(CTL_ARENAS_ALL, &f))
		say_figures("Total (incl. mmap):", &f);
}

static void
write_heap(FILE *stream, const struct figures *f)
{
	const size_t in_use = f->small.allocated + f->large.allocated;

	fprintf(stream, "<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n",
	    f->arena.tcache_bytes);
	fprintf(stream, "<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n",
	    f->arena.mapped - in_use);
	fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n", f->arena.mapped);
	fprintf(stream, "<system type=\"max\" size=\"%zu\"/>\n", f->arena.mapped);
	fprintf(stream, "<aspace type=\"total\" size=\"%zu\"/>\n",
	    f->arena.mapped + f->arena.retained);
	fprintf(stream, "<aspace type=\"mprotect\" size=\"%zu\"/>\n", f->arena.mapped);
}

EXPORT int
API(malloc_info)(int options, FILE *stream)
{
	struct figures f;

	if (options != 0) {
		errno = EINVAL;
		return -1;
	}
	if (!boot() || snapshot_refresh() != 0) {
		errno = ENOMEM;
		return -1;
	}
	fputs("<malloc version=\"1\">\n", stream);
	for (unsigned i = 0; i < arenas_total(); i++) {
		if (!read_figures(i, &f))
			continue;
		fprintf(stream, "<heap nr=\"%u\">\n<sizes>\n</sizes>\n", i);
		write_heap(stream, &f);
		fputs("</heap>\n", stream);
	}
	if (read_figures(CTL_ARENAS_ALL, &f))
		write_heap(stream, &f);
	fputs("</malloc>\n", stream);
	return ferror(stream) ? -1 : 0;
}
