/* SPDX-License-Identifier: MIT */
/* Whether a world keeps the promises P1 to P8 and P12 to P14. */
#ifndef TESTS_WORLD_VERDICT_H
#define TESTS_WORLD_VERDICT_H

#include "world.h"

typedef struct w_verdict {
	uint64_t kept, erased; /* calls */
	uint64_t frames;       /* of kept calls, found bit-exact */
	uint64_t faults;
	char fault[400]; /* the first, "" without one */
} w_verdict;

/*
 * Open an engine in an image (it must have none), let time pass until nothing is left to do, and judge; the engine
 * is closed again. Returns 1 if all promises hold. The world's log goes on meanwhile, so that recovery can be
 * crashed in its turn.
 */
int w_judge(w_world *image, w_verdict *verdict);
/* The same for a world whose engine is open, or which has come to rest: after a fault, when no crash came. */
int w_judge_living(w_world *world, w_verdict *verdict);

#endif
