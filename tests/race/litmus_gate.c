/* SPDX-License-Identifier: MIT */
/*
 * Litmus tests of gate and entry word on real threads, of the shipped headers and nothing else, so that it can be
 * built for another machine and run there, or under qemu:
 *
 *   litmus_gate [MILLIONS]      rounds of each test, 1 if not told
 *
 * Two threads go over the same row of rings, each doing its part on one ring after the other; what both saw of
 * each ring is compared behind that. A line for each test tells how often each outcome came; exit code 1 if one
 * came that must not.
 */
#include "../../lib/media/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW = 4096, TOGETHER = 2, FRAME = 16, WORDS = 4, OUTCOMES = 4 };

struct round {
	rco__ring ring;
	_Alignas(64) uint64_t data[WORDS];
	struct {
		_Alignas(64) _Atomic uint64_t word;
	} plain[2]; /* of the control */
	_Alignas(64) uint64_t saw[2];
	uint64_t also[2];
	uint64_t wrong;
};

struct litmus {
	const char *name;
	const char *outcomes[OUTCOMES]; /* by what the first (1) and the second (2) thread saw */
	void (*part[2])(struct round *r);
	/* 0 .. 3, or -1: must not be */
	int (*judge)(const struct round *r);
};

static struct round row[ROW];

/* Generation 0 of ring 0. */
static const rco__ring_ref REF = 1;

/* ---- store buffering: the thread that gets in sees the stop, or is seen inside ---- */

static void get_in(struct round *r)
{
	r->also[0] = (uint64_t)rco__ring_enter(&r->ring, REF);
	r->saw[0] = (rco__gate_load(&r->ring.gate) & RCO__GATE_STOP) != 0;
}

static void stop_and_look(struct round *r)
{
	rco__gate_stop(&r->ring.gate);
	r->saw[1] = (uint64_t)rco__ring_busy(&r->ring);
}

static int one_sees_the_other(const struct round *r)
{
	return r->also[0] && (r->saw[0] || r->saw[1]) ? (int)(r->saw[0] + 2 * r->saw[1]) : -1;
}

/* ---- stop against commit: one word ---- */

static void commit(struct round *r)
{
	uint64_t seen = 0;

	r->saw[0] = (uint64_t)rco__gate_commit(&r->ring.gate, &seen, FRAME);
	r->also[0] = seen;
}

static void stop_and_read(struct round *r)
{
	rco__gate_stop(&r->ring.gate);
	r->saw[1] = rco__gate_index(&r->ring.gate) != 0;
}

static int nothing_after_the_stop(const struct round *r)
{
	uint64_t end = atomic_load(&((struct round *)(uintptr_t)r)->ring.gate);

	if (end != (RCO__GATE_STOP | (r->saw[0] ? FRAME : 0)) || r->saw[0] != r->saw[1])
		return -1;
	if (!r->saw[0] && r->also[0] != RCO__GATE_STOP)
		return -1;
	return (int)(r->saw[0] + 2 * r->saw[1]);
}

/* ---- a stop is never lost by an unshut ---- */

static void shut_and_unshut(struct round *r)
{
	rco__gate_shut(&r->ring.gate);
	rco__gate_unshut(&r->ring.gate);
	r->saw[0] = (rco__gate_load(&r->ring.gate) & RCO__GATE_STOP) != 0;
}

static void stop(struct round *r)
{
	rco__gate_stop(&r->ring.gate);
	r->saw[1] = (rco__gate_load(&r->ring.gate) & RCO__GATE_SHUT) != 0;
}

static int stopped(const struct round *r)
{
	return atomic_load(&((struct round *)(uintptr_t)r)->ring.gate) == RCO__GATE_STOP
	               ? (int)(r->saw[0] + 2 * r->saw[1])
	               : -1;
}

/* ---- in, or locked out ---- */

static void only_get_in(struct round *r)
{
	r->saw[0] = (uint64_t)rco__ring_enter(&r->ring, REF);
}

static void lock_out(struct round *r)
{
	r->saw[1] = (uint64_t)rco__ring_lock_out(&r->ring);
}

static int one_of_both(const struct round *r)
{
	return r->saw[0] != r->saw[1] ? (int)(r->saw[0] + 2 * r->saw[1]) : -1;
}

/* ---- the thread that locks out sees all that was written inside, and what it wipes stays wiped ---- */

static void write_inside(struct round *r)
{
	size_t i;

	r->saw[0] = (uint64_t)rco__ring_enter(&r->ring, REF);
	if (!r->saw[0])
		return;
	for (i = 0; i < WORDS; i++)
		r->data[i] = i + 1;
	rco__ring_leave(&r->ring, REF);
}

static void lock_out_and_wipe(struct round *r)
{
	size_t i;

	r->saw[1] = (uint64_t)rco__ring_lock_out(&r->ring);
	if (!r->saw[1])
		return;
	for (i = 0; i < WORDS; i++)
		r->also[1] += r->data[i] == i + 1;
	memset(r->data, 0, sizeof r->data);
}

static int seen_and_wiped(const struct round *r)
{
	size_t i;

	if (!r->saw[1])
		return r->saw[0] ? 1 : -1;
	for (i = 0; i < WORDS; i++)
		if (r->data[i] != 0)
			return -1;
	return r->also[1] == (r->saw[0] ? WORDS : 0) ? (int)(r->saw[0] + 2 * r->saw[1]) : -1;
}

/* ---- message passing: what is accepted is there ---- */

static void copy_and_commit(struct round *r)
{
	uint64_t seen = rco__gate_load(&r->ring.gate);
	size_t i;

	for (i = 0; i < WORDS; i++)
		r->data[i] = i + 1;
	r->saw[0] = (uint64_t)rco__gate_commit(&r->ring.gate, &seen, FRAME);
}

static void read_accepted(struct round *r)
{
	size_t i;

	r->saw[1] = rco__gate_index(&r->ring.gate) != 0;
	if (!r->saw[1])
		return;
	for (i = 0; i < WORDS; i++)
		r->also[1] += r->data[i] == i + 1;
}

static int accepted_is_there(const struct round *r)
{
	return r->saw[0] && (!r->saw[1] || r->also[1] == WORDS) ? (int)(r->saw[0] + 2 * r->saw[1]) : -1;
}

/* ---- the control: without order the outcome that must not be does come ---- */

static void control_a(struct round *r)
{
	atomic_store_explicit(&r->plain[0].word, 1, memory_order_relaxed);
	r->saw[0] = atomic_load_explicit(&r->plain[1].word, memory_order_relaxed);
}

static void control_b(struct round *r)
{
	atomic_store_explicit(&r->plain[1].word, 1, memory_order_relaxed);
	r->saw[1] = atomic_load_explicit(&r->plain[0].word, memory_order_relaxed);
}

static int any(const struct round *r)
{
	return (int)(r->saw[0] + 2 * r->saw[1]);
}

static const struct litmus tests[] = {
	{"store buffering: entry and stop",
         {"neither", "sees the stop", "is seen inside", "both"},
         {get_in, stop_and_look},
         one_sees_the_other},
	{"stop against commit",
         {"refused", "-", "-", "accepted before"},
         {commit, stop_and_read},
         nothing_after_the_stop},
	{"stop against shut, unshut",
         {"stop last", "stop seen", "shut seen", "both seen"},
         {shut_and_unshut, stop},
         stopped},
	{"in, or locked out", {"-", "in", "locked out", "-"}, {only_get_in, lock_out}, one_of_both},
	{"written inside, wiped outside",
         {"-", "still inside", "out before", "wiped after"},
         {write_inside, lock_out_and_wipe},
         seen_and_wiped},
	{"message passing: copy and commit",
         {"-", "not yet accepted", "-", "accepted, and there"},
         {copy_and_commit, read_accepted},
         accepted_is_there},
	{"control: relaxed stores and loads", {"neither", "first", "second", "both"}, {control_a, control_b}, any},
};

enum { TESTS = sizeof tests / sizeof tests[0] };

/* ---- two threads, a row at a time ---- */

static struct {
	const struct litmus *test;
	pthread_barrier_t barrier;
	struct {
		_Alignas(64) _Atomic uint64_t at; /* rings this thread has come to, ever */
	} step[2];
	int over;
} both;

/* Side by side, also where more runs than there are processors: who is ahead waits, and after a while lets others
 * run. Then for a moment that is not always the same, so that now this one comes first and now that one. */
static void come_to(int which, uint64_t step, uint32_t *chance)
{
	uint32_t turns = 0, moment;

	atomic_store(&both.step[which].at, step);
	while (atomic_load(&both.step[1 - which].at) < step)
		if (++turns % 4096 == 0)
			(void)sched_yield();
	*chance = *chance * 1664525 + 1013904223;
	for (moment = *chance >> 27; moment > 0; moment--)
		atomic_signal_fence(memory_order_seq_cst);
}

static void do_part(int which)
{
	static _Alignas(64) uint64_t steps[2][8];
	static _Alignas(64) uint32_t chance[2][16] = {{1}, {2}};
	size_t i;

	for (i = 0; i < ROW; i++) {
		if (i % TOGETHER == 0)
			come_to(which, ++steps[which][0], &chance[which][0]);
		both.test->part[which](&row[i]);
	}
}

static void *second(void *arg)
{
	(void)arg;
	for (;;) {
		(void)pthread_barrier_wait(&both.barrier);
		if (both.over)
			return NULL;
		do_part(1);
		(void)pthread_barrier_wait(&both.barrier);
	}
}

static uint64_t run(const struct litmus *test, uint64_t rounds)
{
	uint64_t count[OUTCOMES] = {0}, wrong = 0, n, i;

	both.test = test;
	for (n = 0; n < rounds; n += ROW) {
		memset((void *)row, 0, sizeof row);
		(void)pthread_barrier_wait(&both.barrier);
		do_part(0);
		(void)pthread_barrier_wait(&both.barrier);
		for (i = 0; i < ROW; i++) {
			int outcome = test->judge(&row[i]);

			if (outcome < 0)
				wrong++;
			else
				count[outcome]++;
		}
	}
	printf("%-34s %10llu rounds:", test->name, (unsigned long long)n);
	for (i = 0; i < OUTCOMES; i++)
		if (test->outcomes[i][0] != '-')
			printf(" %s %llu,", test->outcomes[i], (unsigned long long)count[i]);
	printf(" forbidden %llu\n", (unsigned long long)wrong);
	return wrong;
}

int main(int argc, char **argv)
{
	uint64_t rounds = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1) * 1000000, wrong = 0;
	pthread_t thread;
	size_t i;

	if (rounds == 0 || pthread_barrier_init(&both.barrier, NULL, 2) != 0 ||
	    pthread_create(&thread, NULL, second, NULL) != 0)
		return 2;
	for (i = 0; i < TESTS; i++)
		wrong += run(&tests[i], rounds);
	both.over = 1;
	(void)pthread_barrier_wait(&both.barrier);
	(void)pthread_join(thread, NULL);
	return wrong != 0;
}
