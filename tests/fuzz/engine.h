/* SPDX-License-Identifier: MIT */
/* An engine over a disk in memory, and what it leaves when its process is killed: a call to be kept, one that was
 * opted out and is not yet erased, and an opt-out for a call that is not yet known, "unborn". */
#ifndef TESTS_FUZZ_ENGINE_H
#define TESTS_FUZZ_ENGINE_H

#include "fuzz.h"
#include "mem.h"

#include "../../lib/session/state.h"

enum {
	ENGINE_FRAME = 160,
	ENGINE_FRAMES = 20,
	ENGINE_AUDIO = ENGINE_FRAME * ENGINE_FRAMES,
	ENGINE_KEPT = 1,
	ENGINE_GONE = 2
};

typedef struct world {
	mem *m;
	int64_t now_us;
	rco_engine *engine;
	unsigned told; /* events that say that something was damaged, lost or set aside */
} world;

/* The ids of what engine_left() has: recordings, and the receipt of the one that is gone. */
extern uint8_t engine_kept_id[16], engine_gone_id[16], engine_gone_receipt[16];

/* The disk after the kill. uploading: the kept call has ended, and its files are on their way. */
const mem *engine_left(int uploading);
/* A good while after that. */
void engine_world(world *w, int uploading);
int engine_open(world *w);
void engine_close(world *w);
void engine_settle(world *w);
void engine_advance(world *w, int64_t ms);
/* So that a run is short: zeros at the end of ledger files are cut off, and their headers say so. */
void engine_shorten_ledgers(mem *m);
/* Finished files in which a piece of a call's audio stands: `size` bytes, from its beginning. */
size_t engine_stored(const world *w, unsigned call, size_t size);
/* Is any piece of the opted-out call's audio in a finished or unfinished file? */
int engine_gone_is_out(const world *w);
/* Every call record is JSON. */
void engine_check_records(const world *w);

#endif
