/* SPDX-License-Identifier: MIT */
/* Reading a small JSON object that is in memory: each value comes with its path, and there is no tree. */
#ifndef RCO_BASE_JSON_LEAVES_H
#define RCO_BASE_JSON_LEAVES_H

#include "json_walk.h"

enum { RCO__LEAF_TEXT = 256, RCO__LEAF_PATH = 96 };

typedef struct rco__json_leaf {
	const char *path;    /* "/legs/#/bytes": names of members, and # for what is in a list */
	rco__json_type type; /* OBJECT, ARRAY, STRING, NUMBER or WORD */
	const char *text; /* of the last three: what it says, with a NUL; at most RCO__LEAF_TEXT - 1 bytes of it */
	size_t size;      /* of all of it */
} rco__json_leaf;

typedef void (*rco__json_leaf_fn)(void *user, const rco__json_leaf *leaf);

/*
 * Tells `fn` each value, and judges the whole: 1 if it is one JSON object by the letter of RFC 8259, without NUL
 * in its strings, at most RCO__JSON_LEVELS deep, with numbers of at most 18 characters and no exponent. What is
 * told of another text is not to be believed. A name with a slash is told with another character in its place.
 */
int rco__json_leaves(const char *text, size_t size, rco__json_leaf_fn fn, void *user);

/* The number that it is, if it is a whole one that is not negative; else 0. */
uint64_t rco__json_leaf_count(const rco__json_leaf *leaf);
int rco__json_leaf_is(const rco__json_leaf *leaf, rco__json_type type, const char *text);

#endif
