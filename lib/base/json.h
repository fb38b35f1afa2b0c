/* SPDX-License-Identifier: MIT */
#ifndef RCO_BASE_JSON_H
#define RCO_BASE_JSON_H

#include <jansson.h>

/*
 * A value as text: compact, ASCII, whatever its type. To be freed with free(). NULL for a NULL value, and if
 * memory does not suffice. Instead of json_dumps(), of which jansson 2.14 loses single characters when it cannot
 * make its buffer longer, and says nothing.
 */
char *rco__json_text(const json_t *value);

#endif
