/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON (RFC 8259) as it comes: bytes are pushed in pieces of any size, and what they mean is told by
 * events. No tree, no memory but this struct, no recursion; values of any size and depth. Numbers are never
 * converted. What can be understood is: \u0000, surrogates without their other half, a byte order mark, control
 * characters in strings, a comma too many, NaN: all but \u0000 make it `odd`, for who has to be strict. Whether
 * bytes are UTF-8 is not looked at.
 *
 *     rco__json_begin(&walk, on_event, user);
 *     while (more) rco__json_feed(&walk, bytes, size);
 *     switch (rco__json_end(&walk)) ...
 */
#ifndef RCO_BASE_JSON_WALK_H
#define RCO_BASE_JSON_WALK_H

#include <stddef.h>
#include <stdint.h>

enum { RCO__JSON_LEVELS = 64 }; /* of objects and arrays that are told apart; what is deeper comes as raw bytes */

typedef enum rco__json_type {
	RCO__JSON_OBJECT,     /* { */
	RCO__JSON_OBJECT_END, /* } */
	RCO__JSON_ARRAY,
	RCO__JSON_ARRAY_END,
	RCO__JSON_KEY,    /* name of a member; in pieces */
	RCO__JSON_STRING, /* in pieces */
	RCO__JSON_NUMBER, /* in pieces, as it is written */
	RCO__JSON_WORD,   /* true, false, null, and words that JSON does not have; in pieces */
	RCO__JSON_RAW,    /* the bytes of what was skipped, up to and with its last; in pieces */
	RCO__JSON_GARBAGE /* no JSON from here on: all further bytes; in pieces */
} rco__json_type;

/*
 * A piece belongs to the same value as those before it, back to one that is `first`; `last` may come with an empty
 * piece. All `raw` of a value, one behind the other, are its bytes as they came, a string's with its quotes. What
 * is pointed to is valid during the event.
 */
typedef struct rco__json_event {
	rco__json_type type;
	unsigned depth; /* objects and arrays around it: 0 for a value that is in none, also for its end */
	int first, last;
	const char *text; /* of strings and keys: decoded to UTF-8, may hold NUL; of the others: as raw */
	size_t size;
	const char *raw;
	size_t raw_size;
} rco__json_event;

/* What a handler answers. */
enum {
	RCO__JSON_GO = 0,
	/* For OBJECT and ARRAY: what is in it comes as RAW, in which brackets are counted and nothing else is
	 * looked at; there is no _END. For the last piece of KEY: the member's value does, whatever it is. */
	RCO__JSON_SKIP = 1
};

typedef int (*rco__json_handler)(void *user, const rco__json_event *event);

/* How the text ended. Values that follow each other (as in a stream of lines) are all told. */
typedef enum rco__json_ending {
	RCO__JSON_EMPTY,  /* nothing but white space */
	RCO__JSON_WHOLE,  /* one or more values, the last one complete */
	RCO__JSON_CUT,    /* ends inside a value */
	RCO__JSON_BROKEN, /* no JSON: there was GARBAGE */
} rco__json_ending;

enum {
	RCO__ODD = 1,     /* it is not JSON by the letter */
	RCO__ODD_HALF = 2 /* it is, with an escape for half a pair of surrogates (RFC 8259, section 8.2) */
};

/* Nothing in it is for others, except `odd` and `values`. */
typedef struct rco__json_walk {
	rco__json_handler on;
	void *user;
	uint64_t values;    /* complete ones that are in no other */
	uint64_t is_object; /* of each level, a bit */
	uint64_t skipped;   /* brackets open in what is skipped */
	unsigned depth;
	int odd; /* bits; not 0: something was there that RFC 8259 does not allow, or of which it warns */
	int state, type;
	int skip_next;       /* the value of the member that comes */
	int begun, opened;   /* a piece of it was told; its first quote was read */
	int quoted, escaped; /* in what is skipped */
	int bom;             /* bytes of a byte order mark that were read */
	int comma;           /* one was read, and nothing behind it */
	int number;          /* place in the grammar of numbers */
	size_t word_size;
	char word[8];
	size_t held_size;
	char held[12]; /* an escape that is not complete yet, or two that may belong together */
} rco__json_walk;

void rco__json_begin(rco__json_walk *walk, rco__json_handler on, void *user);
void rco__json_feed(rco__json_walk *walk, const void *bytes, size_t size);
/* The text is over: a number that stood alone is told now. */
rco__json_ending rco__json_end(rco__json_walk *walk);

/* During the last event of a NUMBER: it is one by the grammar of RFC 8259. */
int rco__json_is_number(const rco__json_walk *walk);

#endif
