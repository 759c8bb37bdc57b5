/* SPDX-License-Identifier: MIT */
/*
 * control -- the control interface (mallctl) and the statistics report, as the rest of
 * the API uses them.
 */
#ifndef TRACT_API_CONTROL_H
#define TRACT_API_CONTROL_H

/* malloc_stats_print to malloc_message or stderr. */
void control_print(const char *options);

#endif
