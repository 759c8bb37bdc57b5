/* SPDX-License-Identifier: MIT */
/*
 * The same where the kernel has no markers: guards are pages without access.
 */
#define GUARDS_BY_PROTECTION
#include "guards.c"
