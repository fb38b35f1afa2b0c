/* SPDX-License-Identifier: MIT */
/* What happens in a world: calls, requests, hang-ups, time. From a seed, or from a list of acts. */
#ifndef TESTS_WORLD_SCENARIO_H
#define TESTS_WORLD_SCENARIO_H

#include "world.h"

/* Acts. `call` is 0 to W_CALLS - 1; n as said. */
typedef enum w_act_kind {
	W_DO_NOTHING_MORE = 0,
	W_DO_OPEN,   /* the engine */
	W_DO_CLOSE,  /* orderly */
	W_DO_CREATE, /* a session; n: 1 with a legal hold */
	W_DO_LEG,    /* n: 0 PCMU, 1 linear */
	W_DO_START,
	W_DO_PUSH, /* n frames on each leg, 20 ms each */
	W_DO_PASS, /* n milliseconds */
	W_DO_PAUSE,
	W_DO_RESUME,
	W_DO_HANG_UP,
	W_DO_FORGET,    /* free the handle */
	W_DO_OBJECT,    /* opt out, and wait for durable */
	W_DO_OBJECT_NB, /* opt out, and do not wait */
	W_DO_OBJECT_ID, /* by call id, which need not be known */
	W_DO_OBJECT_ID_NB,
	W_DO_ARTIFACT, /* the host's recorder made a copy, and registers it */
	W_DO_LIFT,     /* the legal hold */
	W_DO_KILL,     /* the process, where it stands */
	W_DO_SETTLE    /* until nothing is left to do */
} w_act_kind;

typedef struct w_act {
	uint8_t kind, call;
	uint16_t n;
} w_act;

enum { W_ACTS_MAX = 96 };

typedef struct w_scenario {
	char name[48];
	w_setup setup;
	w_act acts[W_ACTS_MAX];
} w_scenario;

/* The scenario of a seed. The same seed gives the same scenario, and byte for byte the same log. */
void w_scenario_make(w_scenario *scenario, uint64_t seed);
/* Small ones by name, which together come by every path: NULL beyond the last. */
const w_scenario *w_scenario_named(size_t index);

/* A new world, and all of it played in it. What went against a promise on the way is in the world's complaint. */
w_world *w_scenario_play(const w_scenario *scenario);
/* The same in a world that is there. */
void w_scenario_play_in(w_world *world, const w_scenario *scenario);
/* As text, for a failed test; free() it. */
char *w_scenario_text(const w_scenario *scenario);

#endif
