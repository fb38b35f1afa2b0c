/* SPDX-License-Identifier: MIT */
/* The tool's name, as models, gateways and platforms write it. */
#ifndef RCO_AGENT_NAMES_H
#define RCO_AGENT_NAMES_H

#include <stddef.h>

/* A called tool's name is ours. */
int rco__name_is_ours(const char *name, size_t size);

/* Where our name begins in a text, at or behind `from`, and where it ends; `size` if it is not there. */
size_t rco__name_find(const char *text, size_t size, size_t from, size_t *end);

#endif
