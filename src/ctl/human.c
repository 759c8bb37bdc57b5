/* SPDX-License-Identifier: MIT */
#include "ctl/human.h"

#include <unistd.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/snapshot.h"
#include "os/pages.h"

/* ---- Numbers for people. ---- */

/* Bytes as MiB, with two digits behind the point. */
#define MIB_FORMAT "%zu.%02zu MiB"
#define MIB_ARGUMENTS(bytes) (bytes) >> 20, hundredths_of_mib(bytes)

static size_t
hundredths_of_mib(size_t bytes)
{
	return ((bytes & (((size_t)1 << 20) - 1)) * 100) >> 20;
}

static void
print_part(struct emitter *e, const char *label, int64_t bytes, size_t total)
{
	const size_t size = (size_t)(bytes < 0 ? -bytes : bytes);
	const uint64_t per_mille =
	    total == 0 ? 0 : ((uint64_t)size * 1000 + total / 2) / total;
	char mib[32], share[16];
	struct fmt f;

	fmt_init(&f, mib, sizeof mib);
	fmt_print(&f, "%s" MIB_FORMAT, bytes < 0 ? "-" : "", MIB_ARGUMENTS(size));
	fmt_init(&f, share, sizeof share);
	fmt_print(&f, "%llu.%llu %%", (unsigned long long)per_mille / 10,
	    (unsigned long long)per_mille % 10);
	emit_text(e, "  %-42s%14s%9s%16lld\n", label, mib, share, (long long)bytes);
}

static void
print_decay(struct emitter *e, const char *name, ssize_t ms)
{
	if (ms < 0)
		emit_text(e, "%s never (-1)", name);
	else if (ms == 0)
		emit_text(e, "%s at once (0)", name);
	else
		emit_text(e, "%s within %zd ms", name, ms);
}

/* ---- Resident memory. ---- */

/* Text, not pointers: nothing to relocate. */
static const char part_labels[RESIDENT_PARTS][40] = {
	[RESIDENT_LIVE] = "live objects",
	[RESIDENT_ROUNDING] = "rounding: ends of slabs",
	[RESIDENT_OWNED_FREE] = "free in slabs that threads own",
	[RESIDENT_SHARED_FREE] = "free in shared slabs",
	[RESIDENT_LARGE_KEPT] = "large objects that threads keep",
	[RESIDENT_DIRTY] = "dirty: free pages not yet given back",
	[RESIDENT_MUZZY] = "muzzy: the system may take them",
	[RESIDENT_RETAINED] = "retained, but resident",
	[RESIDENT_METADATA] = "metadata",
};

void
human_print_waterfall(struct emitter *e, const struct resident *r)
{
	int64_t sum = r->other;

	for (unsigned i = 0; i < RESIDENT_PARTS; i++) {
		print_part(e, part_labels[i], (int64_t)r->part[i], r->total);
		sum += (int64_t)r->part[i];
	}
	print_part(e, "other: code, stacks, other mappings", r->other, r->total);
	print_part(e, "= resident", sum, r->total);
}

/* ---- The classes with most bytes. ---- */

#define TOP_CLASSES 5

struct class_line {
	size_t size, count, bytes;
};

/* Into the list, sorted by bytes, if it belongs there. */
static void
add_line(struct class_line top[TOP_CLASSES], size_t size, size_t count)
{
	struct class_line line = { size, count, size * count };

	for (unsigned i = 0; i < TOP_CLASSES; i++) {
		if (line.bytes <= top[i].bytes)
			continue;
		const struct class_line next = top[i];
		top[i] = line;
		line = next;
	}
}

static void
print_classes(struct emitter *e)
{
	struct class_line top[TOP_CLASSES] = { { 0, 0, 0 } };

	if (snapshot_enter() != 0)
		return;
	const struct arena_record *all = snapshot_arena(CTL_ARENAS_ALL);
	for (unsigned i = 0; i < SC_NBINS; i++)
		add_line(top, size_class_size(i), all->bins[i].curregs);
	for (unsigned i = 0; i < SC_NLARGE; i++)
		add_line(top, size_class_size(SC_NBINS + i),
		    all->lextents[i].curlextents);
	snapshot_leave();
	emit_text(e, "Classes with the most bytes:%12s%12s\n", "objects", "bytes");
	for (unsigned i = 0; i < TOP_CLASSES && top[i].bytes != 0; i++) {
		/* Larger objects are of whole pages, up to the size of the class. */
		const bool is_bound = top[i].size > SC_OWNED_MAX;
		emit_text(e, "  %s%-12zu%24zu%12zu%s\n", is_bound ? "up to " : "      ",
		    top[i].size, top[i].count, top[i].bytes, is_bound ? " at most" : "");
	}
}

/* ---- What to try. ---- */

#define HINTS 2

struct hint {
	size_t weight; /* bytes that it may be about */
	const char *text;
};

/* Which part is worth a hint, and the hint. */
static struct hint
hint_of(const struct human_facts *f, enum resident_part part)
{
	const char *text = NULL;

	switch (part) {
	case RESIDENT_OWNED_FREE:
		text = "mallctl thread.idle in threads that wait, or tcache_max:1024, so "
		       "that threads own fewer half-empty slabs";
		break;
	case RESIDENT_SHARED_FREE:
		text = f->n_arenas > 1
		    ? "narenas:1 or 2, so that fewer arenas share the same objects"
		    : "an arena of its own (arenas.create) for objects that live long, "
		      "apart from those that come and go";
		break;
	case RESIDENT_LARGE_KEPT:
		text = "mallctl thread.tcache.flush or thread.idle in threads that wait";
		break;
	case RESIDENT_DIRTY:
		text = f->all.dirty_decay_ms < 0
		    ? "dirty_decay_ms:1000 instead of -1, which gives nothing back"
		    : "a lower dirty_decay_ms, or mallctl arena.4096.purge at quiet "
		      "times";
		break;
	case RESIDENT_MUZZY:
		text = "muzzy_decay_ms:0, so that such pages do not count as resident";
		break;
	case RESIDENT_RETAINED:
		text =
		    "mallctl arena.4096.purge; retain:false returns address space, too";
		break;
	case RESIDENT_METADATA:
		text = "fewer arenas (narenas), and fewer, larger objects";
		break;
	case RESIDENT_LIVE:
	case RESIDENT_ROUNDING:
	case RESIDENT_PARTS: break;
	}
	return (struct hint){ text == NULL ? 0 : f->resident.part[part], text };
}

/* The heaviest hints that are about a tenth of resident memory each. */
void
human_print_hints(struct emitter *e, const struct human_facts *f)
{
	const struct resident *r = &f->resident;
	struct hint best[HINTS] = { { 0, NULL } };

	for (unsigned i = 0; i < RESIDENT_PARTS; i++) {
		struct hint hint = hint_of(f, (enum resident_part)i);
		for (unsigned k = 0; k < HINTS && hint.weight >= r->total / 10; k++) {
			const struct hint other = best[k];
			if (hint.weight <= other.weight)
				continue;
			best[k] = hint;
			hint = other;
		}
	}
	for (unsigned k = 0; k < HINTS && best[k].text != NULL; k++)
		emit_text(e, "Try %s.\n", best[k].text);
	if (best[0].text == NULL && r->other > (int64_t)(r->total / 2))
		emit_text(e, "Most is not the allocator's: /proc/%d/smaps says whose.\n",
		    (int)getpid());
	else if (best[0].text == NULL)
		emit_text(e, "Nothing stands out.\n");
}

/* ---- The whole. ---- */

static void
print_settings(struct emitter *e, const struct human_facts *f)
{
	const struct arena_figures *a = &f->all;

	emit_text(e, "Arenas: %u, with %u threads.\n", f->n_arenas, a->nthreads);
	emit_text(e, "Free pages go back, ");
	print_decay(e, "dirty ones", a->dirty_decay_ms);
	print_decay(e, ", muzzy ones", a->muzzy_decay_ms);
	const uint64_t n_rounds = a->dirty_npurge + a->muzzy_npurge;
	const size_t purged = (size_t)(a->dirty_purged + a->muzzy_purged) * os_page_size;
	emit_text(e, "; so far %llu rounds gave back " MIB_FORMAT ".\n",
	    (unsigned long long)n_rounds, MIB_ARGUMENTS(purged));
	emit_text(e,
	    "Of address space, " MIB_FORMAT " is mapped and " MIB_FORMAT
	    " more is retained.\n",
	    MIB_ARGUMENTS(f->total.mapped), MIB_ARGUMENTS(f->total.retained));
}

/* False: there is no snapshot. */
static bool
learn(struct human_facts *f)
{
	resident_find(&f->resident);
	f->n_arenas = 0;
	if (snapshot_enter() != 0)
		return false;
	f->total = *snapshot_total();
	f->all = snapshot_arena(CTL_ARENAS_ALL)->arena;
	for (unsigned i = 0; i < arenas_total(); i++)
		f->n_arenas += snapshot_arena(i) != NULL;
	snapshot_leave();
	return true;
}

void
human_print(struct emitter *e)
{
	struct human_facts f;

	emit_text(e, "___ Begin tract summary ___\n");
	if (learn(&f)) {
		if (f.resident.total != 0)
			emit_text(e,
			    "Process %d has " MIB_FORMAT " of resident memory:\n",
			    (int)getpid(), MIB_ARGUMENTS(f.resident.total));
		else
			emit_text(e, "Memory of process %d (its sum is not known):\n",
			    (int)getpid());
		human_print_waterfall(e, &f.resident);
		print_classes(e);
		print_settings(e, &f);
		human_print_hints(e, &f);
	}
	emit_text(e, "--- End tract summary ---\n");
}
