/* SPDX-License-Identifier: MIT */
#include "page/limit.h"

#include "base/bits.h"

/* Far below the soft limit is this part of it. */
#define LG_SOFT_SLACK 4

struct share {
	_Atomic(size_t) credit ALIGNED(CACHE_LINE); /* charged, and not used */
};

_Atomic(unsigned) limit_pressure;
bool (*_Atomic limit_on_soft)(size_t bytes);

static struct share shares[LIMIT_SHARES] BULKY;
static _Atomic(size_t) charged;
static _Atomic(size_t) limits[LIMIT_KINDS]; /* 0: none */
static _Atomic(uint64_t) n_refused;

bool
limit_pressure_set(enum limit_pressure why)
{
	return (fetch_or_acq_rel(&limit_pressure, (unsigned)why) & (unsigned)why) == 0;
}

void
limit_pressure_clear(enum limit_pressure why)
{
	(void)fetch_and_acq_rel(&limit_pressure, ~(unsigned)why);
}

static struct share *
share_of(unsigned arena_index)
{
	return &shares[arena_index % LIMIT_SHARES];
}

/* SIZE_MAX: there is none. */
static size_t
ceiling(enum limit_kind kind)
{
	const size_t limit = load_relaxed(&limits[kind]);

	return limit == 0 ? SIZE_MAX : limit;
}

static bool
is_over_soft(void)
{
	return UNLIKELY((load_relaxed(&limit_pressure) & LIMIT_OVER_SOFT) != 0);
}

/* What charging must stay below; when the soft limit is exceeded already, the hard one alone. */
static size_t
first_ceiling(void)
{
	const size_t hard = ceiling(LIMIT_HARD);

	return is_over_soft() ? hard : min_size(hard, ceiling(LIMIT_SOFT));
}

/* What a share may keep: all of them together a quarter of the room that is left, and nothing that
 * would hide when use is below the soft limit again. */
static size_t
batch_below(size_t most)
{
	if (is_over_soft())
		return 0;
	if (LIKELY(most == SIZE_MAX))
		return LIMIT_BATCH;
	const size_t now = load_relaxed(&charged);
	return min_size(LIMIT_BATCH, (most > now ? most - now : 0) / 4 / LIMIT_SHARES);
}

/* False: less than that is there. */
static bool
take(_Atomic(size_t) *counter, size_t bytes)
{
	size_t old = load_relaxed(counter);

	do
		if (old < bytes)
			return false;
	while (!cas_strong_relaxed(counter, &old, old - bytes));
	return true;
}

/* False: `most' is in the way. */
static bool
charge_process(size_t bytes, size_t most)
{
	size_t old = load_relaxed(&charged);

	do
		if (bytes > most || old > most - bytes)
			return false;
	while (!cas_strong_relaxed(&charged, &old, old + bytes));
	return true;
}

/* Does use fall so far below the soft limit that exceeding it anew is news? */
static bool
is_far_below_soft(size_t now)
{
	const size_t soft = ceiling(LIMIT_SOFT);

	return now <= soft - (soft >> LG_SOFT_SLACK);
}

static void
discharge_process(size_t bytes)
{
	const size_t now = fetch_sub_relaxed(&charged, bytes) - bytes;

	if (is_over_soft() && is_far_below_soft(now))
		limit_pressure_clear(LIMIT_OVER_SOFT);
}

static void
call_in_shares(void)
{
	/* Nothing yet: no page is touched, but one, which is written before it is read. */
	if (load_relaxed(&charged) == 0) {
		fetch_add_relaxed(&shares[0].credit, 0);
		return;
	}
	for (unsigned i = 0; i < LIMIT_SHARES; i++) {
		if (load_relaxed(&shares[i].credit) == 0)
			continue;
		discharge_process(exchange_acq_rel(&shares[i].credit, 0));
	}
}

bool
limit_exceeds(enum limit_kind kind, size_t bytes)
{
	const size_t most = ceiling(kind);

	return bytes > most || load_relaxed(&charged) > most - bytes;
}

/* One thread acts for all, until use is far below. */
static void
exceed_soft(size_t bytes)
{
	/* Acquire: pairs with who installs it. */
	bool (*const on_soft)(size_t) = load_acquire(&limit_on_soft);

	if (!limit_pressure_set(LIMIT_OVER_SOFT))
		return;
	/* Who cannot act leaves it to the next. */
	if (on_soft != NULL && !on_soft(bytes))
		limit_pressure_clear(LIMIT_OVER_SOFT);
}

enum manner { QUIETLY, ALOUD };

static NOINLINE bool
charge_near_limits(size_t bytes, enum manner manner)
{
	call_in_shares();
	if (manner == ALOUD && limit_exceeds(LIMIT_SOFT, bytes)) {
		exceed_soft(bytes);
		call_in_shares();
	}
	/* Once more: shares may have come in. */
	if (charge_process(bytes, ceiling(LIMIT_HARD)))
		return true;
	fetch_add_relaxed(&n_refused, 1);
	return false;
}

static bool
charge(unsigned arena_index, size_t bytes, enum manner manner)
{
	struct share *share = share_of(arena_index);

	if (take(&share->credit, bytes))
		return true;
	const size_t most = first_ceiling();
	const size_t batch = batch_below(most);
	if (UNLIKELY(bytes > SIZE_MAX - batch || !charge_process(bytes + batch, most)))
		return charge_near_limits(bytes, manner);
	if (batch != 0)
		fetch_add_relaxed(&share->credit, batch);
	return true;
}

bool
limit_charge(unsigned arena_index, size_t bytes)
{
	return charge(arena_index, bytes, ALOUD);
}

bool
limit_charge_quietly(unsigned arena_index, size_t bytes)
{
	return charge(arena_index, bytes, QUIETLY);
}

void
limit_discharge(unsigned arena_index, size_t bytes)
{
	struct share *share = share_of(arena_index);
	const size_t credit = fetch_add_relaxed(&share->credit, bytes) + bytes;
	const size_t batch = batch_below(first_ceiling());

	if (credit > 2 * batch && take(&share->credit, credit - batch))
		discharge_process(credit - batch);
}

size_t
limit_used(void)
{
	size_t in_shares = 0;

	for (unsigned i = 0; i < LIMIT_SHARES; i++)
		in_shares += load_relaxed(&shares[i].credit);
	const size_t all = load_relaxed(&charged);
	return all > in_shares ? all - in_shares : 0;
}

size_t
limit_get(enum limit_kind kind)
{
	return load_relaxed(&limits[kind]);
}

void
limit_set(enum limit_kind kind, size_t bytes)
{
	store_relaxed(&limits[kind], bytes);
	call_in_shares();
	if (kind == LIMIT_HARD)
		return;
	limit_pressure_clear(LIMIT_OVER_SOFT);
	if (limit_exceeds(LIMIT_SOFT, 0))
		exceed_soft(0);
}

uint64_t
limit_refusals(void)
{
	return load_relaxed(&n_refused);
}

void
limit_fork_child(size_t used)
{
	for (unsigned i = 0; i < LIMIT_SHARES; i++)
		store_relaxed(&shares[i].credit, 0);
	store_relaxed(&charged, used);
	limit_pressure_clear(LIMIT_GROUP_HIGH);
}
