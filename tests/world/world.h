/* SPDX-License-Identifier: MIT */
/*
 * A world for an engine: disk, store, key service, shared memory, clock, chance and memory, all from one seed, in
 * one thread. Everything that happens in it has a place in the log of its disk, and from each position of the log
 * the world can be built that a process would find that was started after a crash there.
 */
#ifndef TESTS_WORLD_WORLD_H
#define TESTS_WORLD_WORLD_H

#include "chance.h"
#include "disk.h"
#include "keys.h"
#include "store.h"

#include <recoptout.h>
#include <recoptout/storage.h>

enum { W_CALLS = 4, W_LEGS = 2, W_ARTIFACTS = 2, W_FRAMES = 1000, W_FRAME_MAX = 320 };

/* Kinds of entries in the disk's log that are not the disk's. */
enum { W_LOG_STORE = W_FOREIGN, W_LOG_KEYS, W_LOG_NOTE };

/* ---- what was promised ---- */

typedef enum w_opt {
	W_OPT_NOT = 0,
	W_OPT_ASKED,   /* inside the request */
	W_OPT_STOPPED, /* it returned, not yet durable */
	W_OPT_DURABLE, /* as its return, its receipt or an event said */
	W_OPT_REFUSED  /* not available, or the window had passed */
} w_opt;

typedef struct w_leg_note {
	uint32_t format;        /* 0: no such leg */
	uint32_t accepted;      /* frames whose push had returned RCO_OK */
	uint32_t accepted_most; /* of an image: those that may have been */
	uint32_t durable;       /* frames that a power cut may not take */
} w_leg_note;

typedef struct w_call_note {
	uint32_t known; /* the session was made */
	uint32_t started;
	uint32_t ended;
	uint32_t opt;         /* w_opt */
	uint32_t before;      /* the request came before the call was known */
	uint32_t after;       /* it came after hang-up */
	uint32_t forgettable; /* it was not durable when a process ended */
	uint32_t hold;        /* legal hold when it was asked for */
	uint32_t lifted;      /* 1: being lifted; 2: lifted */
	uint32_t stored;      /* told by an event */
	uint32_t recorded;    /* its call record was stored, told by an event */
	uint32_t status;      /* the highest that an event or a receipt said: ERASED, VERIFIED */
	uint32_t artifacts;   /* registered */
	uint8_t recording_id[16];
	char receipt_id[RCO_ID_TEXT + 1];
	int64_t ended_us; /* monotonic */
	w_leg_note leg[W_LEGS];
} w_call_note;

typedef struct w_notes {
	w_call_note call[W_CALLS];
	int64_t wall_us, mono_us; /* when it was noted */
	int64_t opened_us;        /* when the engine was created */
	uint32_t power;           /* of an image: a power cut is part of its past */
	uint32_t faults;          /* something was made to fail: times are no promise */
} w_notes;

/* ---- the world ---- */

enum {
	W_DIRECTORY = 1u << 0, /* files go to the built-in directory, on the disk, instead of the store */
	W_STEREO = 1u << 1,
	W_ZST = 1u << 2,
	W_BUFFER = 1u << 3, /* the spool is reached through a table that can be made to fail */
	W_LOSES = 1u << 4   /* the store loses a file whose upload is aborted beside its commit */
};

typedef struct w_setup {
	uint64_t seed;
	uint32_t flags;
	w_manners manners;
	uint32_t late_opt_out_ms; /* 0: 10 seconds */
} w_setup;

typedef struct w_world w_world;

w_world *w_world_new(const w_setup *setup);
void w_world_free(w_world *world);

/* Open and close the engine in it. RCO_OK or what rco_engine_create() said. */
int w_open(w_world *world);
void w_close(w_world *world);

/* The process is killed where it stands. */
void w_kill(w_world *world);

/* From now on things are made to fail: that time passes is no longer a promise that audio is flushed. */
void w_expect_faults(w_world *world);

/* Do all that is due at this moment, in engine and store. */
void w_run(w_world *world);
/* Let time pass, a step at a time. */
void w_pass(w_world *world, int64_t ms);
/*
 * Let time pass until there is nothing more to do, at most W_PATIENCE_S of the world's own. 0 if it does not come
 * to rest.
 */
enum { W_PATIENCE_S = 7200 };
int w_settle(w_world *world);

/* ---- crashes ---- */

typedef struct w_moment {
	size_t position;        /* entries of the log that have happened */
	int crash;              /* W_CRASH_KILL or W_CRASH_POWER */
	const uint64_t *choice; /* a power cut's: see w_disk_image() */
	size_t choice_bits;
	uint64_t late;    /* which requests on their way to the store land afterwards: see w_store_image() */
	int rings_before; /* a kill's: the rings as they were before the last entry, and not as after it */
} w_moment;

/* Entries of the log so far. */
size_t w_position(const w_world *world);
/* What a process would find that was started a second after a crash at that moment. It has a log of its own, which
 * begins there, and does not need the old world. */
w_world *w_world_image(w_world *world, const w_moment *moment);
/* An image becomes a world like any other: calls are recorded in it, and promised. */
void w_world_go_on(w_world *image);
/* Of all that a process would find; with_notes: and of what was promised by then. */
uint64_t w_world_hash(w_world *world, int with_notes);
/* Requests on their way at a position: bits of `late` that matter. */
size_t w_in_flight(const w_world *world, size_t position);
/* What was promised at a position. */
const w_notes *w_notes_at(const w_world *world, size_t position);

/* ---- the parts ---- */

w_disk *w_world_disk(w_world *world);
w_store *w_world_store(w_world *world);
w_keys *w_world_keys(w_world *world);
rco_engine *w_world_engine(w_world *world);

/* Not zero while the world itself makes system calls: those are not the library's. */
extern int w_own_calls;

/* ---- audio ---- */

/* Bytes of a frame of this format, 20 ms. */
size_t w_frame_size(uint32_t format);
/* A frame that says whose it is. `leg` of a host's copy: W_LEGS and on. */
void w_frame(uint32_t call, uint32_t leg, uint32_t number, uint32_t format, uint8_t *out);
/* What the gaps between a leg's frames follow from, see t_gap_frames(); 0: it has none. */
uint64_t w_gaps(uint32_t call, uint32_t leg);
/* Call fn for each frame that begins somewhere in there. */
void w_frames_each(const uint8_t *data, size_t size, void (*fn)(uint32_t call, uint32_t leg, void *user_data),
                   void *user_data);
/* Number of a call id that a scenario gave, W_CALLS if it is not one. */
uint32_t w_call_number(const char *call_id);

/* ---- what goes against a promise ---- */

/* The first stays. */
void w_complain(w_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *w_complaint(const w_world *world);

/* ---- the buffer of W_BUFFER: the n-th slot fails, in the ways of w_store_fault() ---- */

void w_buffer_fault(w_world *world, int which, uint64_t nth, int fault);
int w_buffer_struck(const w_world *world, int which);
uint64_t w_buffer_calls(const w_world *world);

/* ---- memory: the n-th allocation fails ---- */

void w_alloc_fault(w_world *world, int which, uint64_t nth);
int w_alloc_struck(const w_world *world, int which);
uint64_t w_alloc_calls(const w_world *world);

/* Text of all that happened from one position to another, for a failed test; free() it. */
char *w_world_story(w_world *world, size_t from, size_t to);

#endif
