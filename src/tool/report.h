/* SPDX-License-Identifier: MIT */
/*
 * report -- what `tract run --report' says after the command has ended: statistics of the
 * allocator, in one of the forms of malloc_stats_print.
 *
 * The library finds TRACT_REPORT=<descriptor>:<process>:<letters> in its environment; as
 * that process exits, and no other, it prints a report with these letters into the
 * descriptor, a memory file (ORDER TRACT-REPORT: api/exit.c).  So the report survives a
 * command that closes stderr as it exits, and does not mix with its output.  A process
 * that was killed or left by _exit writes nothing.
 */
#ifndef TRACT_TOOL_REPORT_H
#define TRACT_TOOL_REPORT_H

#include <sys/types.h>

#define REPORT_VARIABLE "TRACT_REPORT"
#define REPORT_FILE_NAME "tract-report"
#define REPORT_FORMS "human, text, json or prometheus"

/* Letters for the form of that name; NULL: there is no such. */
const char *report_letters(const char *form);

/* Make the memory file; -1 if that fails. */
int report_open(void);

/* Name it in the environment of this process, which is about to become the command. */
void report_announce(int fd, const char *letters);

/* Copy to stderr what has been written. */
void report_print_file(int fd);

#endif
