/* SPDX-License-Identifier: MIT */
/*
 * Fail the n-th: a scenario is played while one thing fails, or up to four; then all works again, time passes, and
 * the promises are judged: of the process that lived through it, and of two that come after a crash: killed, and
 * with the power cut and nothing unsynced arrived, both at the moment when an opt-out has first been called
 * durable (or at the end).
 */
#ifndef TESTS_FAULT_NTH_H
#define TESTS_FAULT_NTH_H

#include "../world/scenario.h"
#include "../world/verdict.h"

#include <stdio.h>

/* The system calls of a program that defines them itself: see calls.h. NULL: it does not. */
typedef struct n_calls {
	void (*arm)(int which, uint64_t nth); /* from now on, from 1; 0: none */
	int (*struck)(int which);
	uint64_t (*count)(void); /* since the last arm() */
} n_calls;

typedef struct n_kind {
	const char *name; /* "disk-torn" */
	int target, mode;
} n_kind;

/* All kinds; NULL beyond the last. */
const n_kind *n_kind_at(size_t index);
/* By name, -1 if there is none. */
int n_kind_named(const char *name);
/* Does the scenario ever call what this kind makes fail? */
int n_kind_concerns(const n_kind *kind, const w_scenario *scenario, const n_calls *calls);

typedef struct n_strike {
	int kind;     /* -1: none */
	uint64_t nth; /* from 1 */
} n_strike;

/* What fails in one try: the first `kind` below 0 ends the list. */
typedef struct n_strikes {
	n_strike at[W_FAULTS];
} n_strikes;

#define N_NO_STRIKE                                                                                               \
	{                                                                                                         \
		-1, 0                                                                                             \
	}

typedef struct n_outcome {
	int struck[W_FAULTS];
	int all_struck;
	int reached; /* there was an n-th call of the first kind */
	int failed;
	char text[500]; /* what is wrong */
} n_outcome;

/* How many there are. */
int n_count(const n_strikes *strikes);
/* If none strikes nothing is judged. With `story` a failure's story goes there. */
void n_try(const w_scenario *scenario, const n_strikes *strikes, const n_calls *calls, FILE *story,
           n_outcome *out);

typedef struct n_counts {
	uint64_t n;      /* calls there were: the last that could fail */
	uint64_t struck; /* of them: those that the failure concerned */
	uint64_t failed;
} n_counts;

/* Every n of one kind, until it no longer strikes: of these each `of`-th, from `part`. Failures go to `out`. */
n_counts n_all(const w_scenario *scenario, int kind, const n_calls *calls, uint64_t part, uint64_t of, FILE *out);
/* As it is told, and replayed with. */
void n_tell(FILE *out, const w_scenario *scenario, const n_strikes *strikes, const n_outcome *outcome);

#endif
