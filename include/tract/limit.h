/* SPDX-License-Identifier: MIT */
/*
 * What a program is told when it comes to a limit of its memory: the control node limit.callback.
 *
 * Limits are options and control nodes: limit_soft, limit_hard; limit.soft, limit.hard (see
 * tract_mallctl(3)).
 */
#ifndef TRACT_LIMIT_H
#define TRACT_LIMIT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRACT_LIMIT_SOFT 1 /* exceeded, and purging did not help */
#define TRACT_LIMIT_HARD 2 /* an allocation is going to fail */

struct limit_event_s {
	int limit;     /* which: one of the above */
	size_t used;   /* bytes in use */
	size_t most;   /* the limit */
	size_t wanted; /* bytes more that are needed now */
};
typedef struct limit_event_s limit_event_t;

/*
 * Called within malloc, or whatever function of tract allocates, with `data' as it was written to
 * the node.  May allocate and free; other threads go on meanwhile, and may be calling it, too.
 * Must not take a lock that any thread holds while it allocates, and must return.
 */
typedef void(limit_callback_fn)(void *data, const limit_event_t *event);

/* The value of limit.callback; `call' NULL: nothing is called. */
struct limit_callback_s {
	limit_callback_fn *call;
	void *data;
};
typedef struct limit_callback_s limit_callback_t;

#ifdef __cplusplus
}
#endif

#endif
