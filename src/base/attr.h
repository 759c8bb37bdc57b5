/* SPDX-License-Identifier: MIT */
/*
 * attr -- what the compiler is told beyond C11.  The only place that names compiler extensions.
 */
#ifndef TRACT_BASE_ATTR_H
#define TRACT_BASE_ATTR_H

#include "tract_config.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HOT __attribute__((hot, aligned(64)))
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define UNUSED __attribute__((unused))
#define ALIGNED(n) __attribute__((aligned(n)))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define EXPORT __attribute__((visibility(CONFIG_VISIBILITY)))
#define WEAK __attribute__((weak))
/* Another name of a function; gcc compares its attributes. */
#if defined __clang__
#define ALIAS_OF(name) __attribute__((alias(#name)))
#else
#define ALIAS_OF(name) __attribute__((alias(#name), copy(name)))
#endif
/* Reads what others write meanwhile, on purpose. */
#define NO_TSAN __attribute__((no_sanitize_thread))

/* Thread-local storage at a fixed offset: no call to find it. */
#if CONFIG_TLS_IE
#define TLS_MODEL __attribute__((tls_model("initial-exec")))
#else
#define TLS_MODEL
#endif

#define CACHE_LINE 64

/* Keeps the compiler from looking into how x came about: it would turn a sum inside out, and need
 * more instructions for an address than the processor does. */
#define AS_IT_IS(x) __asm__("" : "+r"(x))

/* A big table: the linker sorts by name, so those come behind all small variables, which
 * then lie side by side. */
#define BULKY ALIGNED(CACHE_LINE) __attribute__((section(".bss.zz.bulky")))
/* A table of which every process reads the beginning: before those variables, on that page. */
#define BULKY_BESIDE ALIGNED(CACHE_LINE) __attribute__((section(".bss.aa.beside")))
/* Tables that every process writes as it starts, and behind them one whose beginning it writes: on
 * the page where those variables are then. */
#define EARLY_TABLE ALIGNED(CACHE_LINE) __attribute__((section(".bss.zz.boot")))
#define BULKY_BEHIND_EARLY \
	ALIGNED(CACHE_LINE) __attribute__((section(".bss.zz.boot.bulky")))
/* A constant table that no process needs to start: behind all others, so that the small ones
 * share pages with the code, and the kernel reads them in with it. */
#define LATE_TABLE __attribute__((section(".rodata.zz.late")))
/* Used by every process from its first call on: in .data, whose page is private already. */
#define EARLY __attribute__((section(".data.early")))

/* ThreadSanitizer build: races that are right by other means are written as atomics. */
#if defined __SANITIZE_THREAD__
#define BUILT_FOR_TSAN 1
#elif defined __has_feature
#define BUILT_FOR_TSAN __has_feature(thread_sanitizer)
#else
#define BUILT_FOR_TSAN 0
#endif

#endif
