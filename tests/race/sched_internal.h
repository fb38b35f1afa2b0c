/* SPDX-License-Identifier: MIT */
/* Between the decisions, the coroutines and the memory of sched.h. */
#ifndef TESTS_RACE_SCHED_INTERNAL_H
#define TESTS_RACE_SCHED_INTERNAL_H

#include "sched.h"

enum { RACE_OP_LOAD = 0, RACE_OP_STORE, RACE_OP_LOCK };

/* What a thread does next. */
typedef struct race_op {
	uint32_t kind;
	uint32_t place;
	uint32_t needs; /* of the thread's buffer: */
} race_op;

enum { /* there is in it */
       RACE_NEEDS_NOTHING = 0,
       RACE_NEEDS_PLACE,   /* no store to the place */
       RACE_NEEDS_ORDERED, /* no sequentially consistent store */
       RACE_NEEDS_EMPTY
};

typedef struct race_fiber {
	race_op op;
	uint32_t done;
} race_fiber;

/* ---- sched.c ---- */
uint32_t race_pick(void);
uint32_t race_choose(uint32_t n); /* one of n ways to go on: 0 .. n-1 */

/* ---- sched_fibers.c ---- */
typedef struct race_fibers_state {
	race_fiber fiber[RACE_THREADS];
	uint32_t current; /* RACE_THREADS: no thread, what is done is no point */
} race_fibers_state;

extern race_fibers_state race_fibers;

void race_fibers_make(const race_program *program);
void race_fibers_run(uint32_t threads); /* a run from beginning to end */
void race_fibers_drop(uint32_t threads);
/* The current thread is about to do that; returns when it is to do it. */
void race_point(race_op op);

/* ---- sched_memory.c ---- */
void race_memory_begin(const race_options *options);
void race_memory_forget(void); /* what happened; a run begins */
void race_memory_end(void);
int race_op_ready(uint32_t thread);
int race_flush_ready(uint32_t thread, uint32_t place);
void race_flush(uint32_t thread, uint32_t place);

#endif
