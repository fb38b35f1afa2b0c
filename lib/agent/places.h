/* SPDX-License-Identifier: MIT */
/*
 * Where platforms put calls. The table is text (platforms.c); here is what it is made into for reading: a tree of
 * the members that matter, in which a message is followed as it comes.
 */
#ifndef RCO_AGENT_PLACES_H
#define RCO_AGENT_PLACES_H

#include <recoptout/agent.h>

#include <stddef.h>
#include <stdint.h>

/* Beside the dialects: what a message can be instead of one with calls. */
enum {
	RCO__PLACE_HISTORY = 1000, /* in a list: it is a conversation so far, and no message of now */
	RCO__PLACE_ELSE = 1001 /* something that is certainly no call: an error, an event. With RCO__PLACE_NAMED:
	                          at an address of this tool alone; with RCO__PLACE_WIDE: everywhere else */
};

/* Flags of a row. */
enum {
	RCO__PLACE_ALONE = 1u << 0,   /* not as one of several in a list */
	RCO__PLACE_NAMED = 1u << 1,   /* only for who names the dialect */
	RCO__PLACE_EVENT = 1u << 2,   /* one of several events that may bring the same call */
	RCO__PLACE_OLD = 1u << 3,     /* the shape that came before, with an answer of its own */
	RCO__PLACE_AGAIN = 1u << 4,   /* a list that may repeat the calls of the dialect's other lists */
	RCO__PLACE_WIDE = 1u << 5,    /* not at an address of this tool alone */
	RCO__PLACE_BEGUN = 1u << 6,   /* the first piece of a call, in the text of several events */
	RCO__PLACE_ENVELOPE = 1u << 7 /* the platform's envelope is around it, and may name the call */
};

/*
 * Paths are names of members with a blank between; "[]" is each element of a list, "a|b" either member. They begin
 * at the place, or with '/' at the whole message. They are written in snake_case; in a message a member's name in
 * camelCase is the same one, as SDKs rename what platforms send.
 *
 * where: the object that is a call
 * name, id: paths in it, with ';' between, the better first. '@': a text that may mention our name; '%': what the
 *   model wrote
 * when: conditions with ',' between, all of which hold:
 *   path=a|b   it is one of these, "*x": it ends in x ("a=x;b=y": one of them is so)
 *                                        ?path=a|b   the same, if it is there at all
 *   !path=a|b  it is none of these       !path       it is not there
 *   +path      it is there ("+a;b": one of them is)
 *   ~path      it is there, and be it null
 */
typedef struct rco__place {
	uint32_t dialect; /* RCO_DIALECT_AUTO: of a platform that has none, answered plainly */
	uint32_t flags;
	const char *where, *name, *id, *when;
} rco__place;

enum { RCO__PLACES_MAX = 256, RCO__CONDITIONS_MAX = 8 };

typedef enum rco__role {
	RCO__ROLE_PLACE,
	RCO__ROLE_NAME,
	RCO__ROLE_SPOKEN,  /* a text that may mention it */
	RCO__ROLE_WRITTEN, /* a text that may be a call */
	RCO__ROLE_ID,
	RCO__ROLE_INDEX,   /* pieces with the same one are of the same call */
	RCO__ROLE_EQUAL,   /* condition `index` is met by one of `values` */
	RCO__ROLE_MAYBE,   /* the same; by another value it is broken */
	RCO__ROLE_PRESENT, /* it is met by anything but null */
	RCO__ROLE_NAMED,   /* it is met by anything */
	RCO__ROLE_ABSENT,  /* it is broken by anything but null */
	RCO__ROLE_NOT,     /* it is broken by one of `values` */
	/* for these, `row` is a dialect */
	RCO__ROLE_CALL_ID, /* of the platform's envelope */
	RCO__ROLE_KIND,    /* says what kind of message it is: a value that no row asks for is something else */
	RCO__ROLE_SILENT,  /* false: nobody waits for an answer */
	RCO__ROLE_REASON   /* the parameter of our tool, which no event and no error has at its top */
} rco__role;

#define RCO__ROLE_BIT(role) (1u << (role)) /* of rco__node.roles */

/* A member that says something of the whole message, whatever row it may be of. */
typedef struct rco__place_member {
	uint32_t dialect;
	rco__role role;
	const char *path;
} rco__place_member;

extern const rco__place rco__platforms[];
extern const size_t rco__platforms_rows;
extern const rco__place_member rco__platform_members[];
extern const size_t rco__platform_members_count;

/* What a member is good for; a list. */
typedef struct rco__use {
	uint16_t row;
	uint8_t role, index;
	int16_t next;       /* -1: the last */
	const char *values; /* "a|b" up to ';', ',' or the end */
} rco__use;

typedef struct rco__node {
	const char *key; /* "[]" for the elements of a list */
	size_t key_size;
	int16_t child, sibling, uses; /* -1: none */
	uint32_t roles;               /* a bit for each that is among its uses */
} rco__node;

typedef struct rco__places {
	size_t rows, n_nodes, n_uses; /* node 0: the message */
	const rco__place *row;
	uint32_t required[RCO__PLACES_MAX]; /* conditions that have to be met */
	uint32_t inner[RCO__PLACES_MAX];    /* those about members of the place, which each place has of its own */
	uint8_t in_list[RCO__PLACES_MAX];
	rco__node node[1536];
	rco__use use[4096];
} rco__places;

const rco__places *rco__places_get(void);
/* By its name in snake_case or camelCase; -1: none. */
int16_t rco__places_child(const rco__places *p, int16_t node, const char *key, size_t size);
/* `text` is one of a use's values. */
int rco__places_value_is(const rco__use *use, const char *text, size_t size);

#endif
