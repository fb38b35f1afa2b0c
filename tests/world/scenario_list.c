/* SPDX-License-Identifier: MIT */
/* The small scenarios that have names, and those that seeds make. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

#define BEGIN(call, hold, format)                                                                                 \
	{W_DO_CREATE, call, hold}, {W_DO_LEG, call, format},                                                      \
	{                                                                                                         \
		W_DO_START, call, 0                                                                               \
	}

static const w_scenario named[] = {
	{"kept",
         {.seed = 1},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 14},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"object",
         {.seed = 2},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 14},
          {W_DO_OBJECT, 0, 0},
          {W_DO_PUSH, 0, 2},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"object, not waiting",
         {.seed = 3},
         {{W_DO_OPEN, 0, 0},
          BEGIN(1, 0, 1),
          {W_DO_PUSH, 1, 12},
          {W_DO_OBJECT_NB, 1, 0},
          {W_DO_PUSH, 1, 2},
          {W_DO_PASS, 0, 100},
          {W_DO_HANG_UP, 1, 0},
          {W_DO_SETTLE, 0, 0}}},
	{"object in the window",
         {.seed = 4},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 30},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_PASS, 0, 4000},
          {W_DO_OBJECT_ID, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"object in the window, not waiting",
         {.seed = 5},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 30},
          {W_DO_FORGET, 0, 0},
          {W_DO_PASS, 0, 2000},
          {W_DO_OBJECT_ID_NB, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"object before birth",
         {.seed = 6},
         {{W_DO_OPEN, 0, 0},
          {W_DO_OBJECT_ID, 0, 0},
          {W_DO_OBJECT_ID_NB, 1, 0},
          {W_DO_PASS, 0, 1500},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 3},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"one kept, one not",
         {.seed = 7},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          BEGIN(1, 0, 0),
          {W_DO_PUSH, 0, 10},
          {W_DO_PUSH, 1, 10},
          {W_DO_OBJECT, 1, 0},
          {W_DO_PUSH, 0, 6},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_HANG_UP, 1, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"held and lifted",
         {.seed = 8},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 1, 0),
          {W_DO_PUSH, 0, 12},
          {W_DO_OBJECT, 0, 0},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_LIFT, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"artifacts, early and late",
         {.seed = 9},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_ARTIFACT, 0, 0},
          {W_DO_PUSH, 0, 6},
          {W_DO_OBJECT, 0, 0},
          {W_DO_PASS, 0, 500},
          {W_DO_ARTIFACT, 0, 0},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"paused, restarted",
         {.seed = 10},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 1),
          {W_DO_PUSH, 0, 6},
          {W_DO_PAUSE, 0, 0},
          {W_DO_PUSH, 0, 2},
          {W_DO_RESUME, 0, 0},
          {W_DO_PUSH, 0, 4},
          {W_DO_CLOSE, 0, 0},
          {W_DO_OPEN, 0, 0},
          {W_DO_PASS, 0, 500},
          {W_DO_OBJECT_ID, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"directory, stereo, kept",
         {.seed = 11, .flags = W_DIRECTORY | W_STEREO},
         {{W_DO_OPEN, 0, 0},
          {W_DO_CREATE, 0, 0},
          {W_DO_LEG, 0, 0},
          {W_DO_LEG, 0, 0},
          {W_DO_START, 0, 0},
          {W_DO_PUSH, 0, 14},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"directory, object during the upload",
         {.seed = 12, .flags = W_DIRECTORY},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_ARTIFACT, 0, 0},
          {W_DO_PUSH, 0, 14},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_PASS, 0, 1000},
          {W_DO_OBJECT, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"packed, kept, own buffer",
         {.seed = 13, .flags = W_ZST | W_BUFFER},
         {{W_DO_OPEN, 0, 0},
          {W_DO_CREATE, 1, 0},
          {W_DO_LEG, 1, 0},
          {W_DO_LEG, 1, 1},
          {W_DO_START, 1, 0},
          {W_DO_PUSH, 1, 14},
          {W_DO_HANG_UP, 1, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"object, own buffer",
         {.seed = 14, .flags = W_BUFFER},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 14},
          {W_DO_OBJECT, 0, 0},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"kept, commits late, store that loses",
         {.seed = 15, .flags = W_LOSES, .manners = {.slow = 40, .late = 45}, .late_opt_out_ms = 1000},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 14},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
	{"object after a kill, store that loses",
         {.seed = 16, .flags = W_LOSES, .manners = {.slow = 100}, .late_opt_out_ms = 1000},
         {{W_DO_OPEN, 0, 0},
          BEGIN(0, 0, 0),
          {W_DO_PUSH, 0, 14},
          {W_DO_HANG_UP, 0, 0},
          {W_DO_PASS, 0, 5000},
          {W_DO_KILL, 0, 0},
          {W_DO_OPEN, 0, 0},
          {W_DO_OBJECT_ID, 0, 0},
          {W_DO_SETTLE, 0, 0},
          {W_DO_CLOSE, 0, 0}}},
};

const w_scenario *w_scenario_named(size_t index)
{
	return index < sizeof named / sizeof named[0] ? &named[index] : NULL;
}

/* ---- from a seed ---- */

typedef struct maker {
	w_scenario *s;
	w_random random;
	size_t n;
	uint8_t created[W_CALLS], ended[W_CALLS];
	uint32_t calls;
} maker;

static void act(maker *m, int kind, uint32_t call, uint32_t n)
{
	if (m->n < W_ACTS_MAX - 4) /* room for the end */
		m->s->acts[m->n++] = (w_act){(uint8_t)kind, (uint8_t)call, (uint16_t)n};
}

static void make_call(maker *m, uint32_t call)
{
	act(m, W_DO_CREATE, call, w_likely(&m->random, 12) ? 1 : 0);
	act(m, W_DO_LEG, call, w_below(&m->random, 2));
	if (w_likely(&m->random, 50))
		act(m, W_DO_LEG, call, w_below(&m->random, 2));
	if (w_likely(&m->random, 8)) /* before the start */
		act(m, w_likely(&m->random, 50) ? W_DO_OBJECT : W_DO_OBJECT_NB, call, 0);
	act(m, W_DO_START, call, 0);
	m->created[call] = 1;
}

static void ask(maker *m, uint32_t call)
{
	static const int kinds[] = {W_DO_OBJECT, W_DO_OBJECT, W_DO_OBJECT_NB, W_DO_OBJECT_ID, W_DO_OBJECT_ID_NB};

	act(m, kinds[w_below(&m->random, 5)], call, 0);
	if (w_likely(&m->random, 20)) /* again: the same receipt */
		act(m, kinds[w_below(&m->random, 5)], call, 0);
}

static void do_something(maker *m)
{
	uint32_t call = w_below(&m->random, m->calls), dice = w_below(&m->random, 100);

	if (!m->created[call]) {
		if (dice < 8)
			act(m, dice < 4 ? W_DO_OBJECT_ID : W_DO_OBJECT_ID_NB, call, 0);
		else
			make_call(m, call);
	} else if (m->ended[call]) {
		if (dice < 25)
			ask(m, call);
		else if (dice < 35)
			act(m, W_DO_ARTIFACT, call, 0);
		else if (dice < 45)
			act(m, W_DO_LIFT, call, 0);
		else
			act(m, W_DO_PASS, call, 20 + w_below(&m->random, 6000));
	} else if (dice < 50) {
		act(m, W_DO_PUSH, call, 1 + w_below(&m->random, 16));
	} else if (dice < 56) {
		act(m, W_DO_PAUSE, call, 0);
		act(m, W_DO_PUSH, call, 1);
		if (w_likely(&m->random, 80))
			act(m, W_DO_RESUME, call, 0);
	} else if (dice < 66) {
		ask(m, call);
	} else if (dice < 71) {
		act(m, W_DO_ARTIFACT, call, 0);
	} else if (dice < 78) {
		act(m, W_DO_PASS, call, 20 + w_below(&m->random, 800));
	} else {
		act(m, dice < 94 ? W_DO_HANG_UP : W_DO_FORGET, call, 0);
		m->ended[call] = 1;
	}
}

static w_manners make_manners(maker *m)
{
	w_manners manners = {0, 0, 0, 0, 0};

	switch (w_below(&m->random, 4)) {
	case 0: /* prompt */
		break;
	case 1:
		manners.slow = 60;
		break;
	case 2:
		manners = (w_manners){20, 8, 8, 8, 4};
		break;
	default:
		manners = (w_manners){30, 10, 5, 5, 15};
		break;
	}
	return manners;
}

void w_scenario_make(w_scenario *s, uint64_t seed)
{
	maker m = {.s = s, .random = {w_mix(seed)}};
	uint32_t i, acts;

	memset(s, 0, sizeof *s);
	(void)snprintf(s->name, sizeof s->name, "seed %llu", (unsigned long long)seed);
	s->setup.seed = seed;
	s->setup.manners = make_manners(&m);
	if (w_likely(&m.random, 20))
		s->setup.flags |= W_DIRECTORY;
	if (w_likely(&m.random, 20))
		s->setup.flags |= W_STEREO;
	if (w_likely(&m.random, 25))
		s->setup.flags |= W_ZST;
	if (w_likely(&m.random, 15))
		s->setup.flags |= W_BUFFER;
	if (w_mix(seed ^ W_LOSES) % 2 == 0) /* a draw of its own: the others stay as they were */
		s->setup.flags |= W_LOSES;
	if (w_likely(&m.random, 30))
		s->setup.late_opt_out_ms = w_likely(&m.random, 50) ? 1000 : RCO_NONE_MS;
	m.calls = 1 + w_below(&m.random, W_CALLS);
	acts = 8 * m.calls + w_below(&m.random, 10);
	act(&m, W_DO_OPEN, 0, 0);
	for (i = 0; i < acts; i++) {
		do_something(&m);
		if (w_likely(&m.random, 4)) {
			act(&m, w_likely(&m.random, 50) ? W_DO_CLOSE : W_DO_KILL, 0, 0);
			act(&m, W_DO_OPEN, 0, 0);
			memcpy(m.ended, m.created, sizeof m.ended);
		}
	}
	if (w_likely(&m.random, 80))
		s->acts[m.n++] = (w_act){W_DO_SETTLE, 0, 0};
	if (w_likely(&m.random, 70))
		s->acts[m.n++] = (w_act){W_DO_CLOSE, 0, 0};
}
