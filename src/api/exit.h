/* SPDX-License-Identifier: MIT */
/*
 * exit -- what is said when the process ends: statistics (opt.stats_print), a line for
 * `tract run --summary' on the descriptor that TRACT_SUMMARY_FD names, and a report for
 * `tract run --report' on that of TRACT_REPORT.
 */
#ifndef TRACT_API_EXIT_H
#define TRACT_API_EXIT_H

/* Registers the handler if there is anything to say; may allocate. */
void exit_boot(void);

#endif
