/* SPDX-License-Identifier: MIT */
/*
 * tract_config_alone -- tract_config.h without configure: what the amalgamation has in its place.
 *
 * What configure is told, the compiler is told here (-DTRACT_PREFIX=foo_ and so on, all optional,
 * see the head of tract.h); what configure finds out, this file knows of the systems it can meet:
 * Linux with glibc or musl.  ORDER CONFIG: every macro of tract_config.h.in that is not a plain
 * switch, TRACT_SWITCH in configure.ac; else scripts/amalgamate refuses.
 */
#ifndef TRACT_CONFIG_H
#define TRACT_CONFIG_H

#include <features.h>
#include <sys/mman.h>
#include <time.h>

#define TRACT_PASTE_(prefix, name) prefix##name
#define TRACT_PASTE(prefix, name) TRACT_PASTE_(prefix, name)
#define TRACT_STRING_(text) #text
#define TRACT_STRING(text) TRACT_STRING_(text)

#ifdef TRACT_PREFIX
#define API(name) TRACT_PASTE(TRACT_PREFIX, name)
#define CONFIG_PUBLIC_PREFIX TRACT_STRING(TRACT_PREFIX)
#define CONFIG_PREFIXED 1
#else
#define API(name) name
#define CONFIG_PUBLIC_PREFIX ""
#define CONFIG_PREFIXED 0
#endif
#define SMALLOCX API(smallocx_0)
#define CONFIG_VISIBILITY "default"
#ifdef TRACT_MALLOC_CONF
#define CONFIG_MALLOC_CONF TRACT_MALLOC_CONF
#else
#define CONFIG_MALLOC_CONF ""
#endif
#define CONFIG_CONF_ENV \
	CONFIG_PUBLIC_PREFIX "MALLOC_CONF" /* conf_env_name has capitals */
#define CONFIG_CONF_LINK "/etc/" CONFIG_PUBLIC_PREFIX "malloc.conf"

#ifdef TRACT_HOSTILE
#define CONFIG_HOSTILE TRACT_HOSTILE
#else
#define CONFIG_HOSTILE 0
#endif
#ifdef TRACT_DEBUG
#define CONFIG_DEBUG TRACT_DEBUG
#else
#define CONFIG_DEBUG CONFIG_HOSTILE
#endif

#if defined(TRACT_LG_PAGE)
#define CONFIG_LG_PAGE TRACT_LG_PAGE
#elif defined(__aarch64__) || defined(__powerpc64__) || defined(__loongarch__)
#define CONFIG_LG_PAGE 14
#else
#define CONFIG_LG_PAGE 12
#endif

#ifdef TRACT_LG_HUGEPAGE
#define CONFIG_LG_HUGEPAGE TRACT_LG_HUGEPAGE
#else
#define CONFIG_LG_HUGEPAGE 21
#endif

#if defined(TRACT_LG_VADDR)
#define CONFIG_LG_VADDR TRACT_LG_VADDR
#elif defined(__x86_64__)
#define CONFIG_LG_VADDR 47
#else
#define CONFIG_LG_VADDR 48
#endif

#ifdef TRACT_LG_QUANTUM
#define CONFIG_LG_QUANTUM TRACT_LG_QUANTUM
#else
#define CONFIG_LG_QUANTUM 4
#endif

/* musl's dlopen refuses a library with the faster model; glibc has room for its few bytes. */
#if defined(TRACT_TLS_IE)
#define CONFIG_TLS_IE TRACT_TLS_IE
#elif defined(__GLIBC__)
#define CONFIG_TLS_IE 1
#else
#define CONFIG_TLS_IE 0
#endif

/* ---- what the system has ---- */

#if defined(__GLIBC__)
#define HAVE_GLIBC 1
#define HAVE_STRUCT_MALLINFO 1
#else
#define HAVE_GLIBC 0
#define HAVE_STRUCT_MALLINFO 0
#endif
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
#define HAVE_STRUCT_MALLINFO2 1
#else
#define HAVE_STRUCT_MALLINFO2 0
#endif
#define HAVE_SECURE_GETENV 1
#define HAVE_GETAUXVAL 1
#define HAVE_GETCPU 1
#define HAVE_MREMAP 1
#ifdef MADV_FREE
#define HAVE_MADV_FREE 1
#else
#define HAVE_MADV_FREE 0
#endif
#ifdef CLOCK_MONOTONIC_COARSE
#define HAVE_CLOCK_COARSE 1
#else
#define HAVE_CLOCK_COARSE 0
#endif

#endif
