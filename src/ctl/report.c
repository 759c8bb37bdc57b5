/* SPDX-License-Identifier: MIT */
#include "ctl/report.h"

#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/human.h"
#include "ctl/prometheus.h"
#include "ctl/snapshot.h"
#include "ctl/walk.h"
#include "os/pages.h"

/* ---- What is asked for. ---- */

enum report_form { FORM_TEXT, FORM_JSON, FORM_HUMAN, FORM_PROMETHEUS };

struct request {
	enum report_form form;
	bool general, merged, destroyed, each_arena;
	/* Parts of an arena that are left out: words of paths, for struct walk. */
	const char *skipped[WALK_SKIPPED];
	unsigned n_skipped;
};

static const struct {
	char letter, word[12];
} skips[] = {
	{ 'b', "bins" },
	{ 'l', "lextents" },
	{ 'x', "mutexes" },
	{ 'x', "mutex" },
	{ 'e', "extents" },
	{ 'h', "hpa_*" },
};

/* The words, the one that every walk of "stats" skips, and the end. */
static_assert(COUNT_OF(skips) + 2 <= WALK_SKIPPED, "all may be left out at once");

static struct request
read_options(const char *options)
{
	struct request r = { .form = FORM_TEXT };

	if (options == NULL)
		options = "";
	for (const char *p = options; *p != '\0'; p++) {
		if (*p == 'J')
			r.form = FORM_JSON;
		else if (*p == 'H')
			r.form = FORM_HUMAN;
		else if (*p == 'P')
			r.form = FORM_PROMETHEUS;
	}
	r.general = strchr(options, 'g') == NULL;
	r.merged = strchr(options, 'm') == NULL;
	r.destroyed = strchr(options, 'd') == NULL;
	r.each_arena = strchr(options, 'a') == NULL;
	for (unsigned i = 0; i < COUNT_OF(skips); i++)
		if (strchr(options, skips[i].letter) != NULL)
			r.skipped[r.n_skipped++] = skips[i].word;
	return r;
}

static struct walk
new_walk(struct emitter *e, const struct request *r)
{
	struct walk w = { .e = e };

	memcpy(w.skipped, r->skipped, sizeof r->skipped);
	return w;
}

/* ---- Constants and settings. ---- */

static void
report_system(struct emitter *e)
{
	static const char modes[][16] = {
		[OS_THP_ALWAYS] = "always",
		[OS_THP_MADVISE] = "madvise",
		[OS_THP_NEVER] = "never",
		[OS_THP_UNSUPPORTED] = "not supported",
	};
	static const char title[] = "System";
	const char *mode = modes[os_thp()];

	emit_object(e, "system", title);
	emit_value(e, e->form == EMIT_JSON ? "thp_mode" : "system.thp_mode", FIELD_STRING,
	    &mode);
	emit_object_end(e, title);
}

static void
text_version(struct emitter *e)
{
	const struct ctl_group *root = ctl_group("");
	const unsigned none[CTL_INDICES] = { 0 };
	enum field_type type;
	union ctl_value value;

	for (unsigned i = 0; i < tree_row_count(root); i++)
		if (strcmp(tree_row_field(root, i)->name, "version") == 0
		    && ctl_row_read(root, i, none, &value, &type) == 0)
			emit_text(e, "Version: \"%s\"\n", value.string);
}

static void
report_general(struct emitter *e)
{
	static const struct {
		char path[8], title[32];
	} sections[] = {
		{ "config", "Build-time settings" },
		{ "opt", "Run-time options" },
		{ "prof", "Profiling" },
		{ "arenas", "Arenas and size classes" },
	};
	struct walk w = { .e = e, .has_full_names = true };

	if (e->form == EMIT_TEXT)
		w.skipped[0] = "version"; /* it has a line that readers look for */
	text_version(e);
	walk_below(&w, "");
	for (unsigned i = 0; i < COUNT_OF(sections); i++) {
		if (!walk_has(&w, sections[i].path))
			continue;
		emit_object(e, sections[i].path, sections[i].title);
		walk_below(&w, sections[i].path);
		emit_object_end(e, sections[i].title);
	}
	report_system(e);
}

/* ---- The process. ---- */

/* The lines that readers of text look for. */
static void
text_headlines(struct emitter *e)
{
	static const char names[][12] = { "allocated", "active", "metadata", "resident",
		"mapped", "retained" };
	const struct ctl_group *group = ctl_group("stats");
	const unsigned none[CTL_INDICES] = { 0 };
	struct ctl_copy copy;
	const void *total = ctl_group_object(group, none, &copy);

	for (unsigned i = 0; total != NULL && i < COUNT_OF(names); i++) {
		const struct field *field = tree_row_named(group, names[i]);
		const size_t *value = field_at_const(field, total);
		emit_text(e, "%s%s: %zu", i == 0 ? "" : ", ",
		    i == 0 ? "Allocated" : names[i], *value);
	}
	emit_text(e, "\n");
}

static void
report_total(struct emitter *e, const struct request *r)
{
	static const char title[] = "Process:";
	struct walk w = new_walk(e, r);

	w.skipped[r->n_skipped] = "arenas";
	text_headlines(e);
	emit_object(e, "stats", title);
	walk_below(&w, "stats");
	emit_object_end(e, title);
}

/* ---- Arenas. ---- */

/* Does the snapshot have it? */
static bool
is_seen(unsigned index)
{
	if (snapshot_enter() != 0)
		return false;
	const bool is = snapshot_arena(index) != NULL;
	snapshot_leave();
	return is;
}

static void
report_arena(struct emitter *e, unsigned index, const char *key, const char *title,
    const struct request *r)
{
	struct walk w = new_walk(e, r);

	if (!is_seen(index))
		return;
	w.index[w.n_indices++] = index;
	emit_object(e, key, title);
	walk_below(&w, "stats.arenas.<seen>");
	emit_object_end(e, title);
}

static void
report_arenas(struct emitter *e, const struct request *r)
{
	char key[16], title[32];
	struct fmt f;

	emit_object(e, "stats.arenas", NULL);
	if (r->merged)
		report_arena(e, CTL_ARENAS_ALL, "merged", "Merged arenas stats:", r);
	if (r->destroyed)
		report_arena(e, CTL_ARENAS_DESTROYED, "destroyed",
		    "Destroyed arenas stats:", r);
	for (unsigned i = 0; r->each_arena && i < arenas_total(); i++) {
		fmt_init(&f, key, sizeof key);
		fmt_u64(&f, i);
		fmt_init(&f, title, sizeof title);
		fmt_print(&f, "arenas[%u]:", i);
		report_arena(e, i, key, title, r);
	}
	emit_object_end(e, NULL);
}

/* ---- The whole. ---- */

static void
report_all(struct emitter *e, const struct request *r)
{
	emit_object(e, NULL, NULL);
	emit_object(e, "jemalloc", NULL);
	emit_text(e, "___ Begin tract statistics ___\n");
	if (r->general)
		report_general(e);
	report_total(e, r);
	if (r->merged || r->destroyed || r->each_arena)
		report_arenas(e, r);
	emit_text(e, "--- End tract statistics ---\n");
	emit_object_end(e, NULL);
	emit_object_end(e, NULL);
}

static void
report_prometheus(struct emitter *e, const struct request *r)
{
	const struct walk w = new_walk(e, r);

	prometheus_print(&w, (struct prometheus_parts){ r->each_arena, r->destroyed });
}

void
report_print(emit_write *write, void *opaque, const char *options)
{
	const struct request r = read_options(options);
	struct emitter e;

	(void)snapshot_refresh();
	emit_init(&e, r.form == FORM_JSON ? EMIT_JSON : EMIT_TEXT, write, opaque);
	switch (r.form) {
	case FORM_TEXT:
	case FORM_JSON: report_all(&e, &r); break;
	case FORM_HUMAN: human_print(&e); break;
	case FORM_PROMETHEUS: report_prometheus(&e, &r); break;
	}
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
