/* SPDX-License-Identifier: MIT */
/* Three calls in a spool in memory, each in a segment of its own, and one in all of them, so that when it is
 * erased there is something to compact. And a key provider that any process can be. */
#ifndef TESTS_FUZZ_CALLS_H
#define TESTS_FUZZ_CALLS_H

#include "fuzz.h"
#include "mem.h"

#include "../../lib/storage/spool_internal.h"

enum {
	CALLS = 3,
	CALLS_FILLER = 3,
	CALLS_FILLERS = 3,
	CALLS_PIECE = 96,
	CALLS_PIECES = 3,
	CALLS_HELD = CALLS_PIECE * CALLS_PIECES
};

typedef struct calls {
	mem *disk;
	int64_t now_us;
	rco_spool *spool;
} calls;

/* What was found of a recording. */
typedef struct calls_found {
	int there, has_meta;
	uint64_t bytes, damaged;
	uint8_t meta[RCO_META_MAX];
	size_t meta_size;
} calls_found;

#define CALLS_SLOTS "/spool/slots.rcok"

/* The disk with all three, made once; numbers are from 0. */
const mem *calls_disk(void);
void calls_id(uint8_t id[16], unsigned n);
/* The key that call n was given, also the filler. */
const uint8_t *calls_key(unsigned n);
void calls_segment_path(unsigned n, char path[MEM_PATH]);
int calls_open(calls *c);
void calls_close(calls *c);
int calls_begin(calls *c, unsigned n);
int calls_append(calls *c, unsigned n, uint64_t place, size_t size);
/* What scan says of call n; *hash gets all that it says. */
void calls_find(calls *c, unsigned n, calls_found *found, uint64_t *hash);
/* Bytes that can be read from the beginning of leg 0; *rc why no more. Hashed. */
uint64_t calls_read(calls *c, unsigned n, int *rc, uint64_t *hash);
/* Its first bytes are there and are what was appended. */
void calls_holds(calls *c, unsigned n);
/* All that maintenance can do is done, and that has an end. */
void calls_maintain(calls *c);
int calls_erase(calls *c, unsigned n);
/* A new call can be recorded, read back and erased. */
void calls_usable(calls *c);

#endif
