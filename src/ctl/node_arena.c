/* SPDX-License-Identifier: MIT */
/*
 * node_arena -- arena.<i>.*: what can be done to one arena, or to all.
 *
 * The arena is pinned meanwhile (pin.h), and no lock is held: hooks may run.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "ctl/pin.h"
#include "ctl/snapshot.h"
#include "ctl/trim.h"
#include "extent/dss.h"
#include "os/pages.h"

static int
initialized(struct ctl_call *call)
{
	if (ctl_means_all(call->index[0])) {
		call->value.flag = true;
		return 0;
	}
	if (call->index[0] == CTL_ARENAS_DESTROYED) {
		call->value.flag = snapshot_has_destroyed();
		return 0;
	}
	struct arena *arena = arena_pin(call->index[0]);
	call->value.flag = arena != NULL;
	if (arena != NULL)
		arena_unpin(arena);
	return 0;
}

/* ---- Giving memory back. ---- */

static void
decay_one(struct arena *arena)
{
	arena_decay(arena, PURGE_BY_CURVE);
}

/* An arena that does not exist has nothing to give back. */
static int
do_to(unsigned index, void (*work)(struct arena *arena))
{
	if (ctl_means_all(index)) {
		arenas_for_each(work);
		return 0;
	}
	struct arena *arena = arena_pin(index);
	if (arena != NULL) {
		work(arena);
		arena_unpin(arena);
	}
	return 0;
}

static int
decay(struct ctl_call *call)
{
	return do_to(call->index[0], decay_one);
}

static int
purge(struct ctl_call *call)
{
	return do_to(call->index[0], trim_arena);
}

/* ---- Reset and destroy, of manual arenas. ---- */

static int
reset(struct ctl_call *call)
{
	struct arena *arena = arena_pin(call->index[0]);

	if (arena == NULL)
		return EFAULT;
	const bool is_manual = arena->is_manual;
	if (is_manual)
		arena_reset(arena);
	arena_unpin(arena);
	return is_manual ? 0 : EFAULT;
}

static bool
may_destroy(unsigned index)
{
	struct arena *arena = arena_pin(index);

	if (arena == NULL)
		return false;
	/* Relaxed: whoever binds a thread meanwhile has lost the arena anyway. */
	const bool may = arena->is_manual && load_relaxed(&arena->n_threads) == 0;
	arena_unpin(arena);
	return may;
}

static int
destroy(struct ctl_call *call)
{
	const unsigned index = call->index[0];

	if (!may_destroy(index) || !arena_doom(index))
		return EFAULT;
	struct arena *arena = arena_get(index);
	/* A new arena of that index must not be taken for the doomed one. */
	arenas_reserve(index);
	arena_reset(arena);
	snapshot_retire(arena);
	arena_destroy(arena);
	arena_doom_done(index);
	arenas_release(index);
	return 0;
}

/* ---- Settings. A decay row's offset is its kind. ---- */

static int
decay_ms(struct ctl_call *call)
{
	const enum decay_kind kind = (enum decay_kind)ctl_call_offset(call);
	struct arena *arena = arena_pin(call->index[0]);
	ssize_t new;
	bool done = true;

	if (arena == NULL)
		return EFAULT;
	call->value.ssize = pac_decay_ms(&arena->pac, kind);
	if (call->new != NULL) {
		memcpy(&new, call->new, sizeof new);
		done = arena_set_decay_ms(arena, kind, new);
	}
	arena_unpin(arena);
	return done ? 0 : EFAULT;
}

/* ORDER CHOICES: the words of the option. False: it is none of them. */
static bool
dss_of_word(const char *word, enum dss *preference)
{
	const struct option *option = &option_table[OPTION_dss];
	const char *known;

	for (int i = 0; (known = option_word(option, i)) != NULL; i++) {
		if (word != NULL && strcmp(word, known) == 0) {
			*preference = (enum dss)i;
			return true;
		}
	}
	return false;
}

static const char *
word_of_dss(enum dss preference)
{
	return option_word(&option_table[OPTION_dss], (int)preference);
}

/* All arenas: those that are made later. */
static int
dss(struct ctl_call *call)
{
	const unsigned index = call->index[0];
	const bool is_default = ctl_means_all(index);
	enum dss new = DSS_DISABLED;
	const char *word;

	if (call->new != NULL) {
		memcpy(&word, call->new, sizeof word);
		if (!dss_of_word(word, &new))
			return EINVAL;
	}
	if (is_default) {
		const enum dss old = dss_default();
		call->value.string = word_of_dss(old);
		return call->new == NULL || new == old || dss_set_default(new) ? 0
									       : EFAULT;
	}
	struct arena *arena = arena_pin(index);
	if (arena == NULL)
		return EFAULT;
	const enum dss old = dss_preference(index);
	call->value.string = word_of_dss(old);
	const bool done =
	    call->new == NULL || new == old || dss_set_preference(index, new);
	arena_unpin(arena);
	return done ? 0 : EFAULT;
}

static int
oversize_threshold(struct ctl_call *call)
{
	struct arena *arena = arena_pin(call->index[0]);
	size_t new;

	if (arena == NULL)
		return EFAULT;
	call->value.size = pac_oversize_threshold(&arena->pac);
	if (call->new != NULL) {
		memcpy(&new, call->new, sizeof new);
		pac_set_oversize_threshold(&arena->pac, new);
	}
	arena_unpin(arena);
	return 0;
}

/* An automatic arena that does not exist yet is made, to have these hooks. */
static int
extent_hooks(struct ctl_call *call)
{
	const unsigned index = call->index[0];
	extent_hooks_t *new = NULL;

	if (call->new != NULL)
		memcpy(&new, call->new, sizeof new);
	if (new != NULL &&new->alloc == NULL)
		return EINVAL;
	if (index < arenas_automatic() && arena_automatic(index) == NULL)
		return EAGAIN;
	struct arena *arena = arena_pin(index);
	if (arena == NULL)
		return EFAULT;
	call->value.pointer = ehooks_get(&arena->ehooks);
	if (call->new != NULL)
		ehooks_set(&arena->ehooks, new == NULL ? &ehooks_default : new);
	arena_unpin(arena);
	return 0;
}

static int
retain_grow_limit(struct ctl_call *call)
{
	size_t new = 0;

	if (!opt.retain)
		return ENOENT;
	if (call->new != NULL) {
		memcpy(&new, call->new, sizeof new);
		if (new < os_page_size)
			return EFAULT;
		new = page_class_size(page_class_floor(min_size(new, SC_LARGE_MAX)));
	}
	struct arena *arena = arena_pin(call->index[0]);
	if (arena == NULL)
		return EFAULT;
	/* Relaxed: a limit for later steps. */
	call->value.size = load_relaxed(&arena->pac.grow_limit);
	if (call->new != NULL)
		store_relaxed(&arena->pac.grow_limit, new);
	arena_unpin(arena);
	return 0;
}

/* ---- The name: read into a buffer of ARENA_NAME_SIZE bytes at **oldp. ---- */

static void
copy_name(char *to, const char *from)
{
	size_t length = strnlen(from, ARENA_NAME_SIZE - 1);

	memcpy(to, from, length);
	to[length] = '\0';
}

/* *pointer: what the caller's bytes say, NULL where there are none. False: not a
 * pointer's. */
static bool
take_pointer(const void *bytes, size_t length, void **pointer)
{
	*pointer = NULL;
	if (bytes == NULL)
		return true;
	if (length != sizeof *pointer)
		return false;
	memcpy(pointer, bytes, sizeof *pointer);
	return *pointer != NULL;
}

static int
name(struct ctl_call *call)
{
	void *to, *from;

	if (call->old != NULL && call->old_length == NULL)
		return EINVAL;
	if (!take_pointer(call->old, call->old != NULL ? *call->old_length : 0, &to)
	    || !take_pointer(call->new, call->new_length, &from))
		return EINVAL;
	struct arena *arena = arena_pin(call->index[0]);
	if (arena == NULL)
		return EINVAL;
	mutex_lock(&ctl_lock);
	if (to != NULL)
		copy_name(to, arena->name);
	if (from != NULL)
		copy_name(arena->name, from);
	mutex_unlock(&ctl_lock);
	arena_unpin(arena);
	return 0;
}

#define ARENA_ROWS(ROW) \
	ROW(initialized, BOOL, CTL_READ, 0, initialized, 0, \
	    "Is there such an arena? Automatic ones are made when a thread first needs " \
	    "them.") \
	ROW(decay, BOOL, 0, 0, decay, 0, \
	    "Give back the free pages that the decay settings say are due.") \
	ROW(purge, BOOL, 0, 0, purge, 0, \
	    "Give back all free pages now, and what ended threads left.") \
	ROW(reset, BOOL, 0, 0, reset, 0, "Free all objects of a manual arena at once.") \
	ROW(destroy, BOOL, 0, 0, destroy, 0, \
	    "Reset a manual arena, give all its memory back, free its index.") \
	ROW(dss, STRING, CTL_READ | CTL_WRITE, 0, dss, 0, \
	    "When it uses sbrk: disabled, primary (before mmap) or secondary (after " \
	    "it); of " \
	    "all arenas: what later ones begin with.") \
	ROW(oversize_threshold, SIZE, CTL_READ | CTL_WRITE, 0, oversize_threshold, 0, \
	    "Bytes from which an extent is purged as soon as it is freed, and an " \
	    "object of an " \
	    "automatic arena goes to the arena for such, if there is one; below 16 " \
	    "KiB: off.") \
	ROW(dirty_decay_ms, SSIZE, CTL_READ | CTL_WRITE, 0, decay_ms, DECAY_DIRTY, \
	    "Milliseconds in which free dirty pages are given back; -1 never, 0 at " \
	    "once.") \
	ROW(muzzy_decay_ms, SSIZE, CTL_READ | CTL_WRITE, 0, decay_ms, DECAY_MUZZY, \
	    "Milliseconds in which lazily purged pages are given back; -1 never, 0 at " \
	    "once.") \
	ROW(extent_hooks, POINTER, CTL_READ | CTL_WRITE, 0, extent_hooks, 0, \
	    "The functions that supply its pages.") \
	ROW(retain_grow_limit, SIZE, CTL_READ | CTL_WRITE, 0, retain_grow_limit, 0, \
	    "Largest mapping it makes at once, in bytes.") \
	ROW(name, POINTER, CTL_READ | CTL_WRITE | CTL_OWN_LENGTHS, 0, name, 0, \
	    "Its name, of up to 31 characters; read into a buffer of 32 bytes whose " \
	    "address is in *oldp.")

CTL_ROWS(arena, ARENA_ROWS);
