/* SPDX-License-Identifier: MIT */
#include "api/boot.h"

#include <string.h>

#include "api/alloc.h"
#include "api/exit.h"
#include "api/fork.h"
#include "api/interval.h"
#include "api/names.h"
#include "arena/arena.h"
#include "arena/place.h"
#include "config/options.h"
#include "config/size_class.h"
#include "ctl/background.h"
#include "ctl/relief.h"
#include "os/os.h"
#include "os/pages.h"
#include "os/thread.h"
#include "sync/fork.h"
#include "sync/mutex.h"
#include "thread/thread.h"

_Atomic(bool) boot_done EARLY;

WEAK const char *API(malloc_conf);
WEAK const char *API(malloc_conf_2_conf_harder);
void (*API(malloc_message))(void *opaque, const char *text);

static struct mutex boot_lock EARLY = MUTEX_INITIALIZER(INIT);
static _Atomic(uintptr_t) booting
    EARLY; /* os_thread_pointer of the thread in boot_core. */

void
boot_message(const char *line)
{
	if (API(malloc_message) != NULL)
		API(malloc_message)(NULL, line);
	else
		os_write_stderr(line, strlen(line));
}

/* Lines about the options, each with its NUL, until malloc works: malloc_message may allocate. */
static char lines[4096] BULKY;
static size_t lines_length;

static void
say_lines(void)
{
	const size_t end = lines_length;

	lines_length = 0;
	for (size_t i = 0; i < end; i += strlen(lines + i) + 1)
		boot_message(lines + i);
}

static void
keep_line(const char *line)
{
	const size_t size = strlen(line) + 1;

	/* The process may end before malloc works. */
	if (opt.abort_conf || opt.abort || size > sizeof lines - lines_length) {
		say_lines();
		boot_message(line);
		return;
	}
	memcpy(lines + lines_length, line, size);
	lines_length += size;
}

static void
read_options(void)
{
	static char link[4096] BULKY;
	struct conf_sources sources = { { NULL } };

	sources.text[CONF_BUILT_IN] = CONFIG_MALLOC_CONF;
	if (CONFIG_USER_CONFIG) {
		sources.text[CONF_GLOBAL] = API(malloc_conf);
		if (os_readlink(CONFIG_CONF_LINK, link, sizeof link))
			sources.text[CONF_SYMLINK] = link;
		sources.text[CONF_ENVIRONMENT] = os_getenv(conf_env_name());
		sources.text[CONF_HARDER] = API(malloc_conf_2_conf_harder);
	}
	options_boot(&sources, keep_line);
	ehooks_notice = boot_message;
	/* Who names a time means it: no bound by amount then. */
	store_relaxed(&pac_default_bounded, !option_was_set(OPTION_dirty_decay_ms));
	store_relaxed(&pac_default_ms[DECAY_DIRTY], opt.dirty_decay_ms);
	store_relaxed(&pac_default_ms[DECAY_MUZZY], opt.muzzy_decay_ms);
}

static unsigned
automatic_arenas(void)
{
	if (opt.narenas != 0)
		return opt.narenas;
	const uint64_t n = (uint64_t)os_cpu_count() * opt.narenas_ratio / RATIO_ONE;

	return n == 0 ? 1 : (unsigned)(n < NARENAS_MAX ? n : NARENAS_MAX);
}

/* What the allocator needs to work. Calls nothing of libc that may allocate. */
static bool
boot_core(void)
{
	static bool has_options EARLY;

	if (!has_options) {
		os_pages_boot();
		size_class_boot(os_page_size);
		alloc_boot();
		read_options();
		if (opt.slab_sizes != NULL)
			size_class_set_slabs(opt.slab_sizes);
		store_relaxed(&mutex_max_spin, opt.mutex_max_spin);
		has_options = true;
	}
	tcache_shape_boot();
	/* Who reads the option wants to know how many there are. */
	opt.narenas = automatic_arenas();
	place_boot(&opt.narenas, keep_line);
	return arenas_boot(opt.narenas);
}

/* What may allocate: malloc works by now. */
static void
boot_rest(void)
{
	unsigned modes = 0;

	say_lines();
	relief_boot();
	tcache_trim_boot();
	if (opt.zero || opt.junk != JUNK_FALSE)
		modes |= MODE_FILLING;
	if (!opt.tcache)
		modes |= MODE_NO_TCACHE;
	threads_boot(modes);
	fork_boot();
	exit_boot();
	interval_boot();
}

COLD bool
boot_slow(void)
{
	bool first = false;

	/* Relaxed: a thread finds its own value only where it stored it. */
	if (load_relaxed(&booting) == os_thread_pointer())
		return false;
	mutex_lock(&boot_lock);
	if (!load_relaxed(&boot_done)) {
		store_relaxed(&booting, os_thread_pointer());
		first = boot_core();
		store_relaxed(&booting, 0);
		store_release(&boot_done, first); /* pairs with boot */
	}
	mutex_unlock(&boot_lock);
	if (first)
		boot_rest();
	return load_acquire(&boot_done);
}

void
boot_fork_prepare(void)
{
	(void)mutex_fork_prepare(&boot_lock);
}

void
boot_fork_parent(void)
{
	mutex_fork_parent(&boot_lock);
}

void
boot_fork_child(void)
{
	(void)mutex_fork_child(&boot_lock);
}

/* Programs that never allocate before main still get their options checked. */
__attribute__((constructor)) static void
boot_at_load(void)
{
	if (boot())
		background_boot();
}
