/* SPDX-License-Identifier: MIT */
/*
 * What the columns of nodes.def may say.
 */
#ifndef TEST_API_NODES_H
#define TEST_API_NODES_H

/* A value of each type, and of what the nodes with lengths of their own exchange.  ORDER NODE-TYPE:
 * sizes in conformance.c. */
enum node_type {
	NONE,
	BOOL,
	UNSIGNED,
	U32,
	FXP,
	U64,
	I64,
	SIZE,
	SSIZE,
	STRING,
	POINTER,
	NAME,
	PAIR,
	EVENT,
	USE,
	USES,
};

enum node_access { R, W, RW, COMMAND, QUERY, MAKE };
enum node_presence { ALWAYS, SOURCE, BACKGROUND, PROF, FILL, UTRACE, XMALLOC, UAF };

#endif
