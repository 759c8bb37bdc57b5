/* SPDX-License-Identifier: MIT */
#include "arena/misuse.h"

#include "arena/slab.h"
#include "base/atomic.h"
#include "base/fmt.h"
#include "os/os.h"

void (*_Atomic misuse_abort)(const char *line);

static void
finish(struct fmt *f)
{
	fmt_text(f, "\n");
	os_write_stderr(f->buffer, f->length);
	/* Relaxed: code, which is there. */
	void (*const instead)(const char *) = load_relaxed(&misuse_abort);
	if (instead != NULL)
		instead(f->buffer);
	else
		os_abort();
}

static void
describe(struct fmt *f, const void *p, const struct edata *e)
{
	if (e == NULL)
		return;
	if (e->use == USE_SLAB) {
		fmt_print(f, " [class %zu, region %u of slab %p", slab_region_size(e),
		    slab_index(e, p), edata_base(e));
		if (slab_region(e, slab_index(e, p)) != p)
			fmt_print(f, ", object starts at %p",
			    slab_region(e, slab_index(e, p)));
	} else if (e->use == USE_MIXED) {
		fmt_print(f, " [first objects of a thread, slab %p", edata_base(e));
	} else {
		fmt_print(f, " [extent %p of %zu bytes", edata_base(e), e->size);
	}
	fmt_print(f, ", arena %u]", edata_arena(e));
}

void
misuse_report(const char *what, const void *p, const struct edata *e)
{
	char buffer[512];
	struct fmt f;

	fmt_init(&f, buffer, sizeof buffer - 1);
	fmt_print(&f, "<tract>: %s: %p", what, p);
	describe(&f, p, e);
	finish(&f);
}

void
misuse_report_size(const void *p, const struct edata *e, size_t given, size_t usable)
{
	char buffer[512];
	struct fmt f;

	fmt_init(&f, buffer, sizeof buffer - 1);
	fmt_print(&f, "<tract>: size mismatch: %p freed as %zu bytes, allocated with %zu",
	    p, given, usable);
	describe(&f, p, e);
	finish(&f);
}
