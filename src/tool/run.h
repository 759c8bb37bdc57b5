/* SPDX-License-Identifier: MIT */
/*
 * run -- `tract run': execute a command with the library preloaded.
 *
 * Without --summary and --report the command replaces this process.  With one of them this
 * process stays as the parent: it passes on the signals that ask a program to end, and
 * leaves with the command's status.
 */
#ifndef TRACT_TOOL_RUN_H
#define TRACT_TOOL_RUN_H

#define RUN_USAGE \
	"tract run [-o KEY:VALUE]... [--summary] [--report[=FORM]] [--] COMMAND " \
	"[ARGUMENT]..."

/* argv[0] is "run".  Returns the exit status (tool.h), or does not return. */
int run_main(int argc, char **argv);

#endif
