/* SPDX-License-Identifier: MIT */
/*
 * event -- an auto-reset event: a signal is remembered until one waiter takes it.
 *
 * Signals that meet no waiter add up to one.  The memory must outlive every signaller.
 */
#ifndef TRACT_SYNC_EVENT_H
#define TRACT_SYNC_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "os/os.h"

struct event {
	_Atomic(uint32_t) signalled; /* a futex; 0 or 1 */
};

static inline void
event_signal(struct event *e)
{
	if (exchange_release(&e->signalled, 1) == 0) /* pairs with event_wait */
		os_futex_wake(&e->signalled, 1);
}

/* True when a signal was taken, false after timeout_ns (UINT64_MAX: wait for ever). */
static inline bool
event_wait(struct event *e, uint64_t timeout_ns)
{
	uint64_t start = os_clock_ns();
	for (;;) {
		if (exchange_acquire(&e->signalled, 0) == 1) /* pairs with event_signal */
			return true;
		uint64_t waited = os_clock_ns() - start;
		if (waited >= timeout_ns)
			return false;
		uint64_t left =
		    timeout_ns == UINT64_MAX ? UINT64_MAX : timeout_ns - waited;
		os_futex_wait(&e->signalled, 0, left);
	}
}

#endif
