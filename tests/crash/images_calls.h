/* SPDX-License-Identifier: MIT */
/*
 * Calls on a disk that is crashed: an engine with the built-in spool, keys and directory on a disk in memory,
 * rings in shared memory, one thread, a clock and randomness of its own. Everything follows from a seed.
 *
 * With an even seed the store is a disk of its own, as a server's is: no crash takes anything from it. With an odd
 * one it is a folder beside the state, and loses what was not synced.
 */
#ifndef TESTS_CRASH_IMAGES_CALLS_H
#define TESTS_CRASH_IMAGES_CALLS_H

#include "images.h"

#include <recoptout.h>

enum { IMAGES_CALLS = 3, IMAGES_LEGS = 2, IMAGES_FRAME = 160, IMAGES_FLUSH_MS = 200, IMAGES_WINDOW_MS = 600 };

/* Entries of the log that are not the disk's: the store changed, the library said something. */
enum { IMAGES_STORE = W_FOREIGN + 1, IMAGES_SAID = W_FOREIGN + 2 };

/* What is owed to a call at some moment. Of facts only more comes, never less. */
typedef struct images_duty {
	int created;  /* frames were accepted, or could have been */
	int asked;    /* an opt-out was begun: it may hold from here on */
	int latched;  /* the request returned while the call had rings: it holds after a kill, by the STOP in them
	               */
	int durable;  /* and was reported as durable: it holds */
	int verified; /* and its erasure as verified: a later process need not know of it any more */
	int over;     /* the host ended the call, or gave it back */
	int stored;   /* reported as stored */
	int recorded; /* its call record was reported as stored */
	uint8_t recording_id[16];
	struct {
		uint32_t accepted; /* frames: never more is stored */
		uint32_t kept;     /* survive a kill */
		uint32_t sure;     /* survive a power cut */
	} leg[IMAGES_LEGS];
} images_duty;

/* All that is beside the disk, when an entry was about to be put into its log. */
typedef struct images_mark {
	size_t store; /* position of the store's log */
	size_t rings; /* position of the log of the rings' copy */
	int64_t wall_us, mono_us;
	images_duty duty[IMAGES_CALLS];
} images_mark;

/* A line of the story that is not the disk's. */
typedef struct images_line {
	size_t position;
	char text[88];
} images_line;

struct images_run {
	uint64_t seed;
	w_disk *disk;
	w_disk *store; /* NULL: the store is on the disk */
	w_disk *rings; /* a copy of the shared memory, as a disk: only what changed is kept of each moment */
	int rings_fd;
	images_mark *marks; /* of each position */
	size_t n_marks, cap_marks;
	images_duty duty[IMAGES_CALLS]; /* now */
	int64_t wall_us, mono_us;
	rco_clock clock;
	rco_engine *engine;
	struct rco_directory *directory;
	char *broken;              /* the first thing that went wrong while it played */
	struct images_line *lines; /* what was done and said, with its place in the log */
	size_t n_lines, cap_lines;
};

/* Seeds that stand for a script: an opt-out, and then the call that it is for. */
#define IMAGES_EARLY (UINT64_C(1) << 40 | 3)

/* The subjects: these calls, and the world of tests/world. */
extern const images_subject images_calls, images_world;

/* Once in a program, which says W_CHANCE_UUID (see tests/world/chance.h), before anything is played. */
void images_begin(void);

/* Noise that belongs to one leg of one call. */
uint64_t images_noise(uint64_t seed, int call, int leg);
/* What its frames' gaps follow from, see t_gap_frames(); 0: it has none. */
uint64_t images_gaps(uint64_t seed, int call, int leg);
const char *images_call_id(int call);
/* The state of a run, from outside its log. */
const images_mark *images_mark_at(const images_run *run, size_t position);
void images_broken(images_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Start and end an engine on the run's disks; 0 or a code. */
int images_engine_open(images_run *run);
void images_engine_close(images_run *run);
/* Let `ms` pass, and everything be done that is due. */
void images_advance(images_run *run, int64_t ms);
/* After recovery: is everything as it has to be? Otherwise run->broken. */
void images_judge(images_run *run, const images_duty duty[IMAGES_CALLS]);

#endif
