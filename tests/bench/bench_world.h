/* SPDX-License-Identifier: MIT */
/*
 * An engine for measuring: a folder, storage, a count of what it syncs and of
 * the events it tells. Whatever goes wrong ends the group (b_die), so that
 * nothing here has a result to check.
 */
#ifndef RCO_TESTS_BENCH_WORLD_H
#define RCO_TESTS_BENCH_WORLD_H

#include "../../lib/base/fs.h"

#include <pthread.h>
#include <stdatomic.h>

#include <recoptout.h>
#include <recoptout/storage.h>

enum {
	B_WORLD_DRIVEN = 1u << 0,  /* host-driven: b_world_settle() does the work; otherwise worker threads */
	B_WORLD_CLOCK = 1u << 1,   /* the engine's time stands still, but for b_world_advance() */
	B_WORLD_DISK = 1u << 2,    /* finished files go to the folder `out`; otherwise to memory */
	B_WORLD_NO_SPOOL = 1u << 3 /* the buffer, too, is memory; otherwise the spool */
};

enum { B_WORLD_EVENTS = 32, B_FRAME = 160 /* bytes of 20 ms of G.711 */ };

typedef struct b_world {
	uint32_t flags;
	char root[512], state[576], out[576];
	rco_engine_config cfg; /* change what you like before b_world_open() */
	rco_engine *engine;
	rco_memory *memory;
	rco__fs fs;
	_Atomic uint64_t syncs; /* fdatasync and fsync of folders, by ledger, spool, keys, directory */
	_Atomic int64_t now_us; /* the standing clock */
	rco_clock clock;
	pthread_mutex_t lock;
	pthread_cond_t told;
	uint64_t events[B_WORLD_EVENTS]; /* by type; lock */
} b_world;

/* Opt-out enabled, no window, no sweep, rings in b_memory_dir() for two legs of `calls` calls. `dir`: b_disk() or
 * b_memory_dir(). */
void b_world_init(b_world *world, const char *dir, uint32_t flags, uint32_t calls);
void b_world_open(b_world *world);
/* Frees the engine; the folders stay and can be opened again. */
void b_world_close(b_world *world);
/* Closes it, and removes the folders. */
void b_world_end(b_world *world);

/* Host-driven: until every call that has ended or was opted out is done with. */
void b_world_settle(b_world *world);
void b_world_advance(b_world *world, int64_t ms);
uint64_t b_world_events(b_world *world, uint32_t type);
/* With workers: until `count` events of the type came since b_world_open(). Dies after a minute. */
void b_world_wait(b_world *world, uint32_t type, uint64_t count);

/* A started call with `legs` legs of G.711 mu-law, named "leg0", "leg1" ... */
rco_session *b_world_call(b_world *world, const char *call_id, uint32_t legs);
/* Ends it and gives the handle back. */
void b_world_hang_up(rco_session *call);
/* One frame to each leg, cut from `sound` at `at` (round and round). */
void b_world_push(rco_session *call, uint32_t legs, const uint8_t *sound, size_t size, uint64_t at);

/* `seconds` of real speech as G.711 mu-law bytes; free them. */
uint8_t *b_world_speech(double seconds, size_t *size);

/* Remove a folder with all that is in it. */
void b_remove_tree(const char *path);
void b_check(int rc, const char *what); /* dies with what the library said, if rc is negative */

/* ---- a file beside it, for bare fdatasyncs ---- */

/* A file of `slots` slots of 512 bytes in dir, preallocated, written through and synced. */
int b_slots_open(const char *dir, uint32_t slots);
/* Overwrite one and fdatasync; ns. */
double b_slots_sync(int fd, uint32_t slot);

#endif
