/* SPDX-License-Identifier: MIT */
/*
 * Real kills: a process records calls, and writes down in a mapped file what it was told; SIGKILL ends it; another
 * process takes up what is left, and a third says whether that is as promised.
 */
#ifndef TESTS_CRASH_KILL_H
#define TESTS_CRASH_KILL_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <recoptout.h>
#include <recoptout/storage.h>

enum {
	K_PLACES = 4, /* calls at a time */
	K_CALLS = 48, /* one after the other in a place, at most */
	K_LEGS = 2,
	K_LIVES = 3, /* processes one after the other on the same folder, each killed */
	K_FRAME_MAX = 640,
	K_MAGIC = 8 /* bytes that every frame begins with */
};

/* What becomes of a call. */
typedef enum k_kind {
	K_KEPT,         /* hung up, and kept */
	K_LEFT_OPEN,    /* never hung up, and kept */
	K_OBJECTS,      /* opted out, waited for */
	K_NONBLOCK,     /* opted out, not waited for */
	K_OTHER_THREAD, /* opted out while it is pushed */
	K_LATE,         /* opted out in the window after hang-up */
	K_LATE_NONBLOCK,
	K_EARLY, /* opted out before it is known */
	K_KINDS
} k_kind;

typedef enum k_opt {
	K_OPT_NOT,
	K_OPT_ASKED,   /* inside the request */
	K_OPT_STOPPED, /* it returned, and a later event tells that it is durable */
	K_OPT_DURABLE, /* durable, as its return or the event said */
	K_OPT_REFUSED  /* the window had passed */
} k_opt;

typedef enum k_script {
	K_DRIVEN,  /* a thread, a clock of its own: the same system calls each time */
	K_THREADS, /* a few calls with workers, and their end */
	K_HEAVY    /* as much as it can, until it is killed */
} k_script;

typedef struct k_note {
	_Atomic uint32_t begun; /* the session was started */
	_Atomic uint32_t kind, opt, ended;
	_Atomic uint64_t accepted[K_LEGS]; /* frames whose push had returned RCO_OK */
	_Atomic uint32_t id_known;
	char receipt_id[RCO_ID_TEXT + 1];
} k_note;

/* The mapped file. */
typedef struct k_notes {
	uint64_t seed;
	uint32_t script, lives;
	char rings[128];         /* "": `rings` below the root */
	_Atomic uint32_t opened; /* engines */
	_Atomic uint32_t recovered, stored;
	k_note calls[K_LIVES][K_PLACES][K_CALLS];
} k_notes;

typedef struct k_call {
	uint32_t life, place, number;
} k_call;

typedef struct k_world {
	char root[128], state[160], out[160], rings[160];
	k_notes *notes;
	rco_engine_config cfg;
	rco_clock clock;
	_Atomic int64_t wall_us, mono_us;
	rco_engine *engine;
} k_world;

/* kill_world.c */
__attribute__((noreturn, format(printf, 1, 2))) void k_die(const char *format, ...);
uint64_t k_mix(uint64_t x);
/* A folder below `under`; with its rings in it if that is a tmpfs. */
void k_world_make(k_world *w, const char *under, k_script script, uint64_t seed);
/* One that is there. */
void k_world_attach(k_world *w, const char *root);
void k_world_open(k_world *w, k_script script);
void k_world_close(k_world *w);
void k_world_detach(k_world *w);
void k_world_remove(k_world *w);
/* All of it as it is now, rings included, to a folder that does not exist. */
void k_world_copy(const k_world *w, const char *to);
k_note *k_note_of(k_world *w, k_call call);
uint32_t k_format(k_call call);
size_t k_frame(k_call call, uint32_t leg, uint64_t n, uint8_t out[K_FRAME_MAX]);
/* What the gaps between them follow from, see t_gap_frames(); 0: the leg has none. */
uint64_t k_gaps(k_call call, uint32_t leg);
/* Whose frame begins there? 0 if none. */
int k_owner(const uint8_t *at, size_t size, k_call *call, uint32_t *leg);
void k_call_id(k_call call, char *out, size_t size);
extern const uint8_t k_magic[K_MAGIC];

/* kill_load.c: to be killed. K_DRIVEN and K_THREADS come to an end by themselves. */
void k_load(k_world *w, uint32_t life);

/* kill_judge.c */
typedef struct k_verdict {
	uint64_t calls, kept, erased, frames, faults;
	char fault[240]; /* the first */
} k_verdict;

/* In a process that is forked for it. */
void k_recover(const char *root, k_verdict *verdict);

/* kill_round.c */
pid_t k_spawn_load(const char *root, uint32_t life);
/* Copy what is left, let another process recover and judge. On faults the copy stays, and is told with `how`. */
int k_judge(k_world *w, const char *how, k_verdict *verdict);
/* So many lives of a heavy load, each killed within `within_us` of its beginning. Returns the number of faults. */
int k_random_round(const char *under, uint64_t seed, uint32_t within_us, uint32_t *kills, k_verdict *verdict);

#endif
