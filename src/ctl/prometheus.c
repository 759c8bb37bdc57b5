/* SPDX-License-Identifier: MIT */
#include "ctl/prometheus.h"

#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/snapshot.h"
#include "os/pages.h"

/* ---- Families: groups whose rows are the same metrics. ---- */

#define ARENA "stats.arenas.<seen>"

/* Text, not pointers: nothing to relocate. A * stands for one word; the first that fits
 * counts. */
static const struct family {
	char path[52];
	char prefix[20];
	char label[8];  /* of the word at the * */
	char about[32]; /* what HELP begins with */
} families[] = {
	{ "stats", "", "", "Process" },
	{ "stats.background_thread", "background_thread_", "", "Background threads" },
	{ "stats.mutexes.*", "mutex_", "mutex", "A lock of the process" },
	{ ARENA, "arena_", "", "Arena" },
	{ ARENA ".mutexes.*", "arena_mutex_", "mutex", "A lock of an arena" },
	{ ARENA ".bins.<bin>", "bin_", "", "Small class" },
	{ ARENA ".bins.<bin>.mutex", "bin_mutex_", "", "The lock of a small class" },
	{ ARENA ".lextents.<large>", "large_", "", "Large class" },
	{ ARENA ".extents.<pages>", "extents_", "", "Free extents of a page class" },
	{ ARENA ".hpa_shard", "hpa_", "", "Huge page allocator" },
	{ ARENA ".hpa_shard.alloc.<batch>", "hpa_alloc_", "", "Its batches" },
	{ ARENA ".hpa_shard.nonfull_slabs.<slabs>", "hpa_nonfull_slabs_", "",
	    "Its partly used page slabs" },
	{ ARENA ".hpa_shard.*", "hpa_slabs_", "slabs", "Its page slabs" },
	{ ARENA ".*", "arena_objects_", "size", "Objects of an arena" },
};

/* Does the path fit?  *word: where the * stands in it. */
static bool
fits(const char *pattern, const char *path, const char **word)
{
	*word = NULL;
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '*') {
			if (*path++ != *pattern)
				return false;
			continue;
		}
		*word = path;
		path += strcspn(path, ".");
		if (path == *word)
			return false;
	}
	return *path == '\0';
}

static const struct family *
family_of(const struct ctl_group *group, const char **word)
{
	if (tree_row_count(group) == 0 || group->acts != NULL)
		return NULL;
	for (unsigned i = 0; i < COUNT_OF(families); i++)
		if (fits(families[i].path, group->path, word))
			return &families[i];
	return NULL;
}

const char *
prometheus_prefix(const struct ctl_group *group)
{
	const char *word;
	const struct family *family = family_of(group, &word);

	return family == NULL ? NULL : family->prefix;
}

/* ---- Names. ---- */

static bool
ends_in(const char *name, const char *end)
{
	const size_t length = strlen(name), end_length = strlen(end);
	return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* A row's name without the signs of what it counts: npurge, pactive, num_ops, _ms. */
static void
put_stem(struct fmt *f, const struct stat_row *row)
{
	static const struct {
		char name[32], stem[24];
	} irregular[] = {
		{ "total_wait_time", "wait" },
		{ "max_wait_time", "longest_wait" },
		{ "max_num_thds", "most_waiting" },
		{ "total_elapsed_ns_per_ps", "elapsed_per_ps" },
		{ "nonfull_slabs", "nonfull_slabs" },
	};
	const char *name = row->field.name;
	size_t length = strlen(name);

	for (unsigned i = 0; i < COUNT_OF(irregular); i++) {
		if (strcmp(irregular[i].name, name) == 0) {
			fmt_text(f, irregular[i].stem);
			return;
		}
	}
	if (ends_in(name, "_bytes"))
		length -= strlen("_bytes");
	if (row->unit == STAT_MS)
		length -= strlen("_ms");
	if (strncmp(name, "num_", 4) == 0) {
		name += 4;
		length -= 4;
	} else if (name[0] == 'n' || (name[0] == 'p' && row->unit == STAT_PAGES)) {
		name++;
		length--;
	}
	fmt_bytes(f, name, length);
}

void
prometheus_name(char name[PROMETHEUS_NAME_SIZE], const char *prefix,
    const struct stat_row *row)
{
	struct fmt f;

	fmt_init(&f, name, PROMETHEUS_NAME_SIZE);
	fmt_print(&f, "tract_%s", prefix);
	put_stem(&f, row);
	if (row->unit == STAT_BYTES || row->unit == STAT_PAGES)
		fmt_text(&f, "_bytes");
	if (row->unit == STAT_NS || row->unit == STAT_MS)
		fmt_text(&f, "_seconds");
	if (row->is_counter)
		fmt_text(&f, "_total");
}

/* The doc of a row with its unit as it is told here. */
static void
put_help(struct emitter *e, const struct stat_row *row)
{
	static const struct {
		uint8_t unit; /* enum stat_unit */
		char word[16], instead[8];
	} words[] = {
		{ STAT_PAGES, "Pages", "Bytes" },
		{ STAT_PAGES, "pages", "bytes" },
		{ STAT_NS, "Nanoseconds", "Seconds" },
		{ STAT_NS, "nanoseconds", "seconds" },
		{ STAT_MS, "Milliseconds", "Seconds" },
	};
	const char *p = row->field.doc;

	for (unsigned i = 0; i < COUNT_OF(words); i++) {
		const char *found = strstr(p, words[i].word);
		if (words[i].unit != row->unit || found == NULL)
			continue;
		emit_text(e, "%.*s%s", (int)(found - p), p, words[i].instead);
		p = found + strlen(words[i].word);
		break;
	}
	emit_text(e, "%s\n", p);
}

static void
put_head(struct emitter *e, const struct family *family, const char *name,
    const struct stat_row *row)
{
	emit_text(e, "# HELP %s %s: ", name, family->about);
	put_help(e, row);
	emit_text(e, "# TYPE %s %s\n", name, row->is_counter ? "counter" : "gauge");
}

/* ---- Samples. ---- */

static void
put_value(struct emitter *e, const struct stat_row *row, uint64_t value)
{
	switch (row->unit) {
	case STAT_PAGES:
		emit_text(e, " %llu\n", (unsigned long long)value * os_page_size);
		return;
	case STAT_NS:
		emit_text(e, " %llu.%09llu\n", (unsigned long long)value / 1000000000,
		    (unsigned long long)value % 1000000000);
		return;
	case STAT_MS:
		if ((int64_t)value < 0)
			emit_text(e, " +Inf\n");
		else
			emit_text(e, " %llu.%03llu\n", (unsigned long long)value / 1000,
			    (unsigned long long)value % 1000);
		return;
	default: emit_text(e, " %llu\n", (unsigned long long)value); return;
	}
}

/* Where a walk through the samples of a metric stands. */
struct sample {
	const struct walk *w;
	struct prometheus_parts parts;
	const struct family *family;
	unsigned row;
	const struct ctl_group *group;
	const char *word; /* for the family's label */
	unsigned index[CTL_INDICES];
	const struct ctl_index_kind
	    *kind; /* of the last index but an arena's; NULL: none */
	char name[PROMETHEUS_NAME_SIZE];
	bool has_head;
};

static const struct stat_row *
row_of(const struct sample *s)
{
	return tree_row(s->group, s->row);
}

static void
put_labels(const struct sample *s)
{
	struct emitter *e = s->w->e;
	const char *separator = "{";

	if (strncmp(s->group->path, ARENA, strlen(ARENA)) == 0) {
		if (s->index[0] == CTL_ARENAS_ALL)
			emit_text(e, "{arena=\"all\"");
		else if (s->index[0] == CTL_ARENAS_DESTROYED)
			emit_text(e, "{arena=\"destroyed\"");
		else
			emit_text(e, "{arena=\"%u\"", s->index[0]);
		separator = ",";
	}
	if (s->word != NULL) {
		emit_text(e, "%s%s=\"%.*s\"", separator, s->family->label,
		    (int)strcspn(s->word, "."), s->word);
		separator = ",";
	}
	if (s->kind != NULL) {
		const size_t size = walk_index_size(s->kind, s->index[1]);
		if (size != 0)
			emit_text(e, "%sclass=\"%zu\"", separator, size);
		else
			emit_text(e, "%s%.*s=\"%u\"", separator,
			    (int)strlen(s->kind->name) - 2, s->kind->name + 1,
			    s->index[1]);
		separator = ",";
	}
	if (*separator == ',')
		emit_text(e, "}");
}

/* One object of the group: a sample, unless it is zero throughout. */
static void
put_sample(struct sample *s)
{
	struct ctl_copy copy;
	const void *object = ctl_group_object(s->group, s->index, &copy);

	if (object == NULL || walk_is_zero(s->group, object))
		return;
	if (!s->has_head)
		put_head(s->w->e, s->family, s->name, row_of(s));
	s->has_head = true;
	emit_text(s->w->e, "%s", s->name);
	put_labels(s);
	put_value(s->w->e, row_of(s), field_number(&row_of(s)->field, object));
}

static void
put_classes(struct sample *s)
{
	if (s->kind == NULL) {
		put_sample(s);
		return;
	}
	for (s->index[1] = 0; s->kind->is_valid(s->index[1]); s->index[1]++)
		put_sample(s);
}

static void
put_arenas(struct sample *s)
{
	if (strncmp(s->group->path, ARENA, strlen(ARENA)) != 0) {
		put_sample(s);
		return;
	}
	if (s->parts.destroyed && s->parts.each_arena) {
		s->index[0] = CTL_ARENAS_DESTROYED;
		put_classes(s);
	}
	if (!s->parts.each_arena) {
		s->index[0] = CTL_ARENAS_ALL;
		put_classes(s);
		return;
	}
	for (unsigned i = 0; i < arenas_total(); i++) {
		s->index[0] = i;
		put_classes(s);
	}
}

/* The kind of a group's second index; NULL: it has none. */
static const struct ctl_index_kind *
second_index(unsigned g)
{
	const struct ctl_path *path = &ctl_tree()->paths[g];
	unsigned n = 0;

	for (unsigned d = 0; d < path->depth; d++)
		if (path->kind[d] != 0 && ++n == 2)
			return &ctl_tree()->kinds[path->kind[d] - 1];
	return NULL;
}

/* All samples of one metric: those of every group of the family. */
static void
put_metric(struct sample *s)
{
	const char *word;

	s->has_head = false;
	for (unsigned g = 0; g < ctl_tree()->n_groups; g++) {
		const struct ctl_group *group = &ctl_tree()->groups[g];
		if (family_of(group, &word) != s->family || walk_skips_path(s->w, group)
		    || walk_skips(s->w, tree_row_field(group, s->row)->name))
			continue;
		s->group = group;
		s->word = word;
		s->kind = second_index(g);
		if (row_of(s)->unit == STAT_TEXT)
			return;
		prometheus_name(s->name, s->family->prefix, row_of(s));
		put_arenas(s);
	}
}

/* Rows of the groups of a family; 0: there is no such group. */
static unsigned
rows_of_family(const struct family *family)
{
	const char *word;

	for (unsigned g = 0; g < ctl_tree()->n_groups; g++)
		if (family_of(&ctl_tree()->groups[g], &word) == family)
			return tree_row_count(&ctl_tree()->groups[g]);
	return 0;
}

/* ---- What memory is used for. ---- */

static void
put_states(struct emitter *e)
{
	if (snapshot_enter() != 0)
		return;
	const struct total_figures t = *snapshot_total();
	const struct arena_figures a = snapshot_arena(CTL_ARENAS_ALL)->arena;
	snapshot_leave();
	const struct {
		char state[12];
		size_t bytes;
	} states[] = {
		{ "live", t.allocated - a.large_kept },
		{ "slack", a.slab_rounding },
		{ "slab_free", a.owned_free + a.shared_free },
		{ "cache", a.large_kept },
		{ "dirty", a.pdirty * os_page_size },
		{ "muzzy", a.pmuzzy * os_page_size },
		{ "meta", t.metadata },
		{ "retained", t.retained },
	};

	emit_text(e,
	    "# HELP tract_bytes Bytes of address space by what they are used "
	    "for; active ones are live, slack, slab_free and cache.\n");
	emit_text(e, "# TYPE tract_bytes gauge\n");
	for (unsigned i = 0; i < COUNT_OF(states); i++)
		emit_text(e, "tract_bytes{state=\"%s\"} %zu\n", states[i].state,
		    states[i].bytes);
}

/* ---- The whole. ---- */

void
prometheus_print(const struct walk *w, struct prometheus_parts parts)
{
	emit_text(w->e,
	    "# HELP tract_build_info Always 1; the version is in the label.\n");
	emit_text(w->e, "# TYPE tract_build_info gauge\n");
	emit_text(w->e, "tract_build_info{version=\"%s\"} 1\n", TRACT_VERSION);
	put_states(w->e);
	for (unsigned i = 0; i < COUNT_OF(families); i++) {
		struct sample s = { .w = w, .parts = parts, .family = &families[i] };
		const unsigned n = rows_of_family(s.family);
		for (s.row = 0; s.row < n; s.row++)
			put_metric(&s);
	}
}
