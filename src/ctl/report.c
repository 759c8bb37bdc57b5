/* SPDX-License-Identifier: MIT */
#include "ctl/report.h"

#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/snapshot.h"

/* ---- What is asked for. ---- */

struct parts {
	bool general, merged, destroyed, each_arena, bins, large, mutexes, extents;
};

static void
read_options(const char *options, struct parts *parts, enum emit_form *form)
{
	*form = EMIT_TEXT;
	*parts = (struct parts){ true, true, true, true, true, true, true, true };
	for (const char *p = options == NULL ? "" : options; *p != '\0'; p++) {
		switch (*p) {
		case 'J': *form = EMIT_JSON; break;
		case 'g': parts->general = false; break;
		case 'm': parts->merged = false; break;
		case 'd': parts->destroyed = false; break;
		case 'a': parts->each_arena = false; break;
		case 'b': parts->bins = false; break;
		case 'l': parts->large = false; break;
		case 'x': parts->mutexes = false; break;
		case 'e': parts->extents = false; break;
		default: break;
		}
	}
}

/* ---- Copies of pieces of the snapshot. ---- */

/* `size' bytes at `offset' of an arena's record. False: there is none. */
static bool
copy_record(size_t index, size_t offset, void *to, size_t size)
{
	if (snapshot_enter() != 0)
		return false;
	const struct arena_record *r = snapshot_arena(index);
	if (r != NULL)
		memcpy(to, (const char *)r + offset, size);
	snapshot_leave();
	return r != NULL;
}

#define COPY(index, member, to) \
	copy_record((index), offsetof(struct arena_record, member), (to), sizeof *(to))

#define ROWS(list) \
	{ \
		.rows = list##_stats_rows, .n_rows = n_##list##_stats, \
		.stride = sizeof(struct stat_row) \
	}

/* ---- Constants: config, opt, arenas. ---- */

static void
emit_group_values(struct emitter *e, const char *path)
{
	const struct ctl_group *group = ctl_group(path);
	const unsigned index[CTL_INDICES] = { 0 };
	enum field_type type;
	union ctl_value value;

	for (unsigned i = 0; i < tree_row_count(group); i++) {
		if (ctl_row_is_value(group, i)
		    && ctl_row_read(group, i, index, &value, &type) == 0)
			emit_value(e, tree_row_field(group, i)->name, type, &value);
	}
}

/* Objects of a group with an index, in an array. */
static void
emit_group_array(struct emitter *e, const char *key, const char *path, unsigned n)
{
	const struct ctl_group *group = ctl_group(path);
	enum field_type type;
	union ctl_value value;

	emit_array(e, key);
	for (unsigned i = 0; i < n; i++) {
		const unsigned index[CTL_INDICES] = { i };
		emit_object(e, NULL, NULL);
		for (unsigned row = 0; row < tree_row_count(group); row++) {
			if (ctl_row_read(group, row, index, &value, &type) == 0)
				emit_value(e, tree_row_field(group, row)->name, type,
				    &value);
		}
		emit_object_end(e, NULL);
	}
	emit_array_end(e);
}

static void
report_general(struct emitter *e)
{
	static const char config[] = "Build-time settings",
			  run_time[] = "Run-time options", sources[] = "malloc_conf",
			  arenas[] = "Arenas and size classes";
	const unsigned index[CTL_INDICES] = { 0 };
	enum field_type type;
	union ctl_value value;

	if (ctl_row_read(ctl_group(""), 0, index, &value, &type) == 0)
		emit_value(e, e->form == EMIT_JSON ? "version" : "Version", type, &value);
	emit_object(e, "config", config);
	emit_group_values(e, "config");
	emit_object_end(e, config);
	emit_object(e, "opt", run_time);
	emit_group_values(e, "opt");
	emit_object(e, "malloc_conf", sources);
	emit_group_values(e, "opt.malloc_conf");
	emit_object_end(e, sources);
	emit_object_end(e, run_time);
	emit_object(e, "arenas", arenas);
	emit_group_values(e, "arenas");
	if (e->form == EMIT_JSON) {
		emit_group_array(e, "bin", "arenas.bin.<bin>", SC_NBINS);
		emit_group_array(e, "lextent", "arenas.lextent.<large>", SC_NLARGE);
	}
	emit_object_end(e, arenas);
}

/* ---- The process. ---- */

static void
report_total(struct emitter *e, const struct parts *parts)
{
	const struct emit_rows rows = ROWS(total), mutex_rows = ROWS(mutex);
	struct total_figures t = { 0 };
	struct mutex_figures m = { 0 };

	if (snapshot_enter() == 0) {
		t = *snapshot_total();
		m = *snapshot_ctl_mutex();
		snapshot_leave();
	}
	emit_text(e, "Allocated: %zu, active: %zu, metadata: %zu, ", t.allocated,
	    t.active, t.metadata);
	emit_text(e, "resident: %zu, mapped: %zu, retained: %zu\n", t.resident, t.mapped,
	    t.retained);
	emit_text(e, "Metadata: extent records %zu, address map %zu\n", t.metadata_edata,
	    t.metadata_rtree);
	emit_text(e, "Count of realloc(non-null-ptr, 0) calls: %zu\n", t.zero_reallocs);
	if (parts->mutexes) {
		emit_text(e, "%18s", "");
		emit_headings(e, &mutex_rows);
		emit_text(e, "\n%-18s", "ctl");
		emit_columns(e, &mutex_rows, &m);
		emit_text(e, "\n");
	}
	if (e->form == EMIT_TEXT)
		return;
	emit_object(e, "stats", NULL);
	emit_fields(e, &rows, &t);
	if (parts->mutexes) {
		emit_object(e, "mutexes", NULL);
		emit_object(e, "ctl", NULL);
		emit_fields(e, &mutex_rows, &m);
		emit_object_end(e, NULL);
		emit_object_end(e, NULL);
	}
	emit_object_end(e, NULL);
}

/* ---- An arena: tables of text. ---- */

static void
text_mutexes(struct emitter *e, size_t index)
{
	const struct emit_rows rows = ROWS(mutex);
	struct mutex_figures m[ARENA_MUTEXES];

	if (!COPY(index, mutexes, &m))
		return;
	emit_text(e, "%-18s", "mutexes:");
	emit_headings(e, &rows);
	emit_text(e, "\n");
	for (unsigned i = 0; i < ARENA_MUTEXES; i++) {
		emit_text(e, "  %-16s", arena_mutex_names[i]);
		emit_columns(e, &rows, &m[i]);
		emit_text(e, "\n");
	}
}

static void
text_bins(struct emitter *e, size_t index, const struct parts *parts)
{
	const struct emit_rows rows = ROWS(bin), mutex_rows = ROWS(mutex);
	struct bin_figures bin;

	emit_text(e, "%-6s%12s%5s", "bins:", "size", "ind");
	emit_headings(e, &rows);
	if (parts->mutexes)
		emit_headings(e, &mutex_rows);
	emit_text(e, "\n");
	for (unsigned i = 0; i < SC_NBINS; i++) {
		if (!COPY(index, bins[i], &bin) || bin.nmalloc == 0)
			continue;
		emit_text(e, "%18zu%5u", size_class_size(i), i);
		emit_columns(e, &rows, &bin);
		if (parts->mutexes)
			emit_columns(e, &mutex_rows, &bin.mutex);
		emit_text(e, "\n");
	}
}

static void
text_large(struct emitter *e, size_t index)
{
	const struct emit_rows rows = ROWS(lextent);
	struct lextent_figures l;

	emit_text(e, "%-6s%12s%5s", "large:", "size", "ind");
	emit_headings(e, &rows);
	emit_text(e, "\n");
	for (unsigned i = 0; i < SC_NLARGE; i++) {
		if (!COPY(index, lextents[i], &l) || l.nmalloc == 0)
			continue;
		emit_text(e, "%18zu%5u", size_class_size(SC_NBINS + i), SC_NBINS + i);
		emit_columns(e, &rows, &l);
		emit_text(e, "\n");
	}
}

static void
text_extents(struct emitter *e, size_t index)
{
	const struct emit_rows rows = ROWS(extent);
	struct extent_figures x;

	emit_text(e, "%-6s%10s%5s", "extents:", "size", "ind");
	emit_headings(e, &rows);
	emit_text(e, "\n");
	for (unsigned i = 0; i < page_class_count(); i++) {
		if (!COPY(index, extents[i], &x)
		    || x.ndirty + x.nmuzzy + x.nretained == 0)
			continue;
		emit_text(e, "%18zu%5u", page_class_size(i), i);
		emit_columns(e, &rows, &x);
		emit_text(e, "\n");
	}
}

static void
text_classes(struct emitter *e, const struct classes_figures *small,
    const struct classes_figures *large)
{
	const struct emit_rows rows = ROWS(classes);

	emit_text(e, "%8s", "");
	emit_headings(e, &rows);
	emit_text(e, "\n%-8s", "small:");
	emit_columns(e, &rows, small);
	emit_text(e, "\n%-8s", "large:");
	emit_columns(e, &rows, large);
	emit_text(e, "\n");
}

/* ---- An arena: JSON. ---- */

static void
json_classes(struct emitter *e, const char *key, const struct classes_figures *c)
{
	const struct emit_rows rows = ROWS(classes);

	emit_object(e, key, NULL);
	emit_fields(e, &rows, c);
	emit_object_end(e, NULL);
}

static void
json_mutexes(struct emitter *e, size_t index)
{
	const struct emit_rows rows = ROWS(mutex);
	struct mutex_figures m[ARENA_MUTEXES];

	if (!COPY(index, mutexes, &m))
		return;
	emit_object(e, "mutexes", NULL);
	for (unsigned i = 0; i < ARENA_MUTEXES; i++) {
		emit_object(e, arena_mutex_names[i], NULL);
		emit_fields(e, &rows, &m[i]);
		emit_object_end(e, NULL);
	}
	emit_object_end(e, NULL);
}

static void
json_bins(struct emitter *e, size_t index, const struct parts *parts)
{
	const struct emit_rows rows = ROWS(bin), mutex_rows = ROWS(mutex);
	struct bin_figures bin;

	emit_array(e, "bins");
	for (unsigned i = 0; i < SC_NBINS && COPY(index, bins[i], &bin); i++) {
		emit_object(e, NULL, NULL);
		emit_fields(e, &rows, &bin);
		if (parts->mutexes) {
			emit_object(e, "mutex", NULL);
			emit_fields(e, &mutex_rows, &bin.mutex);
			emit_object_end(e, NULL);
		}
		emit_object_end(e, NULL);
	}
	emit_array_end(e);
}

static void
json_large(struct emitter *e, size_t index)
{
	const struct emit_rows rows = ROWS(lextent);
	struct lextent_figures l;

	emit_array(e, "lextents");
	for (unsigned i = 0; i < SC_NLARGE && COPY(index, lextents[i], &l); i++) {
		emit_object(e, NULL, NULL);
		emit_fields(e, &rows, &l);
		emit_object_end(e, NULL);
	}
	emit_array_end(e);
}

static void
json_extents(struct emitter *e, size_t index)
{
	const struct emit_rows rows = ROWS(extent);
	struct extent_figures x;

	emit_array(e, "extents");
	for (unsigned i = 0; i < page_class_count() && COPY(index, extents[i], &x); i++) {
		emit_object(e, NULL, NULL);
		emit_fields(e, &rows, &x);
		emit_object_end(e, NULL);
	}
	emit_array_end(e);
}

/* ---- An arena. ---- */

static void
arena_tables(struct emitter *e, size_t index, const struct parts *parts)
{
	const bool is_json = e->form == EMIT_JSON;

	if (parts->mutexes)
		(is_json ? json_mutexes : text_mutexes)(e, index);
	if (parts->bins)
		(is_json ? json_bins : text_bins)(e, index, parts);
	if (parts->large)
		(is_json ? json_large : text_large)(e, index);
	if (parts->extents)
		(is_json ? json_extents : text_extents)(e, index);
}

static void
report_arena(struct emitter *e, size_t index, const char *key, const char *title,
    const struct parts *parts)
{
	const struct emit_rows rows = ROWS(arena);
	struct arena_figures a;
	struct classes_figures small, large;

	if (!COPY(index, arena, &a) || !COPY(index, small, &small)
	    || !COPY(index, large, &large))
		return;
	emit_object(e, key, title);
	emit_fields(e, &rows, &a);
	if (e->form == EMIT_JSON) {
		json_classes(e, "small", &small);
		json_classes(e, "large", &large);
		arena_tables(e, index, parts);
		emit_object_end(e, title);
		return;
	}
	emit_object_end(e, title);
	text_classes(e, &small, &large);
	arena_tables(e, index, parts);
}

static void
report_arenas(struct emitter *e, const struct parts *parts)
{
	char key[16], title[32];
	struct fmt f;

	emit_object(e, "stats.arenas", NULL);
	if (parts->merged)
		report_arena(e, CTL_ARENAS_ALL, "merged", "Merged arenas stats:", parts);
	if (parts->destroyed)
		report_arena(e, CTL_ARENAS_DESTROYED, "destroyed",
		    "Destroyed arenas stats:", parts);
	for (unsigned i = 0; parts->each_arena && i < arenas_total(); i++) {
		fmt_init(&f, key, sizeof key);
		fmt_u64(&f, i);
		fmt_init(&f, title, sizeof title);
		fmt_print(&f, "arenas[%u]:", i);
		report_arena(e, i, key, title, parts);
	}
	emit_object_end(e, NULL);
}

/* ---- The whole. ---- */

void
report_print(emit_write *write, void *opaque, const char *options)
{
	struct emitter e;
	struct parts parts;
	enum emit_form form;

	read_options(options, &parts, &form);
	(void)snapshot_refresh();
	emit_init(&e, form, write, opaque);
	emit_object(&e, NULL, NULL);
	emit_object(&e, "jemalloc", NULL);
	emit_text(&e, "___ Begin tract statistics ___\n");
	if (parts.general)
		report_general(&e);
	report_total(&e, &parts);
	if (parts.merged || parts.destroyed || parts.each_arena)
		report_arenas(&e, &parts);
	emit_text(&e, "--- End tract statistics ---\n");
	emit_object_end(&e, NULL);
	emit_object_end(&e, NULL);
	emit_flush(&e);
}

void
report_held(struct total_figures *held)
{
	*held = (struct total_figures){ 0 };
	if (snapshot_refresh() != 0 || snapshot_enter() != 0)
		return;
	*held = *snapshot_total();
	snapshot_leave();
}
