/* SPDX-License-Identifier: MIT */
/*
 * thread -- who runs here, in one instruction.
 */
#ifndef TRACT_OS_THREAD_H
#define TRACT_OS_THREAD_H

#include <errno.h>
#include <stdint.h>

/* Tells live threads apart without a system call; a fork child's thread keeps its value. */
static inline uintptr_t
os_thread_pointer(void)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	uintptr_t self;
	__asm__("mov %%fs:0, %0" : "=r"(self));
	return self;
#elif defined(__aarch64__)
	uintptr_t self;
	__asm__("mrs %0, tpidr_el0" : "=r"(self));
	return self;
#else
	return (uintptr_t)&errno;
#endif
}

#endif
