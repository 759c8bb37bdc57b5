/* SPDX-License-Identifier: MIT */
/*
 * elf_check -- can the dynamic loader preload our library into this program?
 *
 * The loader does not complain when it cannot: a static program has no loader, a program
 * that gains privileges ignores LD_PRELOAD, another architecture's loader prints a
 * warning and goes on.  So the questions are asked here, of the file, before anything
 * runs.
 */
#ifndef TRACT_TOOL_ELF_CHECK_H
#define TRACT_TOOL_ELF_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True if `program' (a path) is expected to take `library' (a path) when it is executed.
 * A script is judged by its interpreter.  A file that is neither ELF nor a script is
 * judged by /bin/sh, which runs such files.  Else false, and `why' holds one sentence
 * that names the file at fault.
 */
bool elf_check_can_preload(const char *program, const char *library, char *why,
    size_t why_size);

#endif
