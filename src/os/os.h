/* SPDX-License-Identifier: MIT */
/*
 * os -- clock, processors, entropy, environment, output, thread identity, futex.
 *
 * Nothing here allocates, uses stdio, or takes a lock; errno is left as found.
 */
#ifndef TRACT_OS_OS_H
#define TRACT_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nanoseconds since some fixed point; never goes back. */
uint64_t os_clock_ns(void);
/* The same scale, cheaper, as coarse as the scheduler tick (1-10 ms). */
uint64_t os_clock_coarse_ns(void);
/* Nanoseconds that the calling thread has had a processor. */
uint64_t os_clock_thread_ns(void);

/* Processors this process may run on now: affinity mask and cgroup quota (v1, v2); >= 1. */
unsigned os_cpu_count(void);
/* One past the highest number of those in the affinity mask. */
unsigned os_cpu_end(void);
/* The processor that runs the caller, or -1. */
int os_cpu_current(void);
/* Bytes of memory that the machine has; 0: it does not tell. */
size_t os_memory_size(void);
void os_cpu_relax(void);
void os_yield(void);

/* A random number; falls back to clock and addresses where the kernel gives none. */
uint64_t os_entropy(void);

/* Value of an environment variable, NULL when absent or when the process is setuid (AT_SECURE).
 * Works before main and after the program changed environ. */
const char *os_getenv(const char *name);
/* Target of a symbolic link, NUL-terminated and cut to size; false, and the buffer
 * untouched, when it is none. */
bool os_readlink(const char *path, char *buffer, size_t size);
/* First bytes of a file, NUL-terminated; returns the length, 0 on any error. */
size_t os_read_file(const char *path, char *buffer, size_t size);
/* The same of a file of one line: no look at what comes behind it. */
size_t os_read_line(const char *path, char *buffer, size_t size);

void os_write_stderr(const char *text, size_t length);
_Noreturn void os_abort(void);

/* Small number that tells live threads apart; the kernel's thread id. */
int os_thread_id(void);

/* futex on a 32-bit word: sleep while *word == value, at most timeout_ns (UINT64_MAX: no limit);
 * false on time-out. Spurious returns are allowed. */
bool os_futex_wait(void *word, uint32_t value, uint64_t timeout_ns);
void os_futex_wake(void *word, int count);

#endif
