/* SPDX-License-Identifier: MIT */
/*
 * option_value -- what the text of a value means for an option, and putting it into `opt'.
 *
 * Reading changes nothing: a value that is not taken, for whatever reason, leaves the
 * option as it was.
 */
#ifndef TRACT_CONFIG_OPTION_VALUE_H
#define TRACT_CONFIG_OPTION_VALUE_H

#include "config/conf_text.h"
#include "config/options.h"

enum reading { READ_OK, READ_REDUCED, READ_INVALID, READ_OUT_OF_RANGE };

struct option_value {
	bool is_default;  /* the word: as if nothing had been said */
	uintmax_t number; /* negative ones in two's complement */
	struct text text;
	uint16_t list[OPTION_LIST_MAX];
};

enum reading option_read(const struct option *option, struct text text,
    struct option_value *value);

/* Is that the value which the option has when nothing is said? */
bool option_value_is_initial(const struct option *option,
    const struct option_value *value);

/* Of an alias: what it sets is changed. */
void option_store(const struct option *option, const struct option_value *value);

#endif
