/* SPDX-License-Identifier: MIT */
/*
 * Tries the interleavings of a few threads, all of them. The threads are coroutines of one real thread; the code
 * under test is compiled with shim.h, by which every atomic operation, every lock and every eight bytes of audio
 * is a point where another thread may go on. What happened is played again from the beginning with one decision
 * changed, depth first, until no decision is left.
 *
 * Orders that differ only in steps that do not touch the same place end the same; with sleep sets (Godefroid) one
 * of each such class is tried, with `all` every single order. A property must then be one of single places (see
 * race_watch()) or of the end: not of two places at some moment in between.
 *
 * Two memories:
 *
 * - in order: an operation is there for all at once.
 * - weak: a store waits in its thread's buffer. Stores to one place leave it in order; others in any order, but a
 *   release only behind all that came before it. A read-modify-write with release, and unlocking, wait until the
 *   buffer is empty, a sequentially consistent load until no such store is in it. A load may see any value that is
 *   not older than what the thread knows of, whether it saw it or acquired it from who did; a sequentially
 *   consistent load none older than the last such store. So stores are delayed and reordered, and loads come
 * early, as on Arm and further. Not modelled: stores that overtake earlier loads, compare-and-swaps that fail
 * though the value is the expected one, or that fail because of a value that is no longer there.
 */
#ifndef TESTS_RACE_SCHED_H
#define TESTS_RACE_SCHED_H

#include <stddef.h>
#include <stdint.h>

enum { RACE_THREADS = 3, RACE_PLACES = 48 };

typedef struct race_program {
	const char *name;
	uint32_t threads;
	void (*reset)(void); /* the world as it is at the beginning; places are watched and made known here */
	void (*run[RACE_THREADS])(void);
	void (*judge)(void); /* at the end: race_fail() if something is wrong */
	int orders;          /* whether `all` of them may be tried: the program's own measure */
} race_program;

/* A breakage of one function, made by what the shim does in there. */
enum {
	RACE_BLIND = 1, /* a compare-and-swap stores, whatever is there */
	RACE_ADD,       /* a compare-and-swap adds, whatever is there */
	RACE_MASKED,    /* a compare-and-swap compares the lowest bit only */
	RACE_SAME,      /* a compare-and-swap succeeds, and leaves what is there */
	RACE_SPLIT,     /* a read-modify-write is a load and a store */
	RACE_SKIP,      /* a store or a wipe is left out; a load reads 0 */
	RACE_RELAXED    /* any operation, and it orders nothing */
};

typedef struct race_mutant {
	const char *function;
	int how;
} race_mutant;

typedef struct race_options {
	int weak, all;
	const race_mutant *mutant; /* NULL: the code as it is */
} race_options;

typedef struct race_result {
	uint64_t runs;     /* played to the end and judged */
	uint64_t cut;      /* given up under way, for they belong to a class that was tried */
	uint64_t steps;    /* of those that were judged */
	char failure[160]; /* of the first run that failed, which ends it all; "" if none did */
	char order[512];   /* in which: the thread of each step, small letters for stores that leave its buffer */
} race_result;

void race_explore(const race_program *program, const race_options *options, race_result *result);

/* ---- for reset, run and judge ---- */

void race_fail(const char *why);
/* Eight-byte cells of a ring's audio beginning at byte `from` of it, `cells` of them: each a place. Nothing else
 * of the audio is ever written by the program. */
void race_audio(uint8_t *audio, size_t capacity, size_t from, size_t cells);
/* Called for each change of the place, in its order. */
void race_watch(volatile void *place, void (*changed)(uint64_t before, uint64_t after));
/* Never changed by any thread: no point. */
void race_constant(const volatile void *place);
/* Of no interest to other threads, or only counted there: no point. */
void race_private(const volatile void *place);

/* ---- for the shim ---- */

uint64_t race_load(const volatile void *p, size_t size, int order, const char *function);
void race_store(volatile void *p, size_t size, uint64_t value, int order, const char *function);
int race_swap(volatile void *p, size_t size, void *expected, uint64_t desired, int order, const char *function);
uint64_t race_or(volatile void *p, size_t size, uint64_t value, int order, const char *function);
uint64_t race_and(volatile void *p, size_t size, uint64_t value, int order, const char *function);
uint64_t race_add(volatile void *p, size_t size, uint64_t value, int order, const char *function);
uint64_t race_exchange(volatile void *p, size_t size, uint64_t value, int order, const char *function);
void race_copy(void *to, const void *from, size_t size, const char *function);
void race_wipe(void *p, size_t size, const char *function);
int race_lock(void *mutex);
int race_unlock(void *mutex);

#endif
