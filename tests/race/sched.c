/* SPDX-License-Identifier: MIT */
#undef _FORTIFY_SOURCE /* it takes a jump to another stack for an attack */

#include "sched.h"
#include "sched_internal.h"

#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- decisions, depth first ---- */

enum { DEEPEST = 4096, CANDIDATES = 40, STEPS_MOST = 2000, NOBODY = -1 };

/* What may go on: a thread by its number, or a store that leaves its thread's buffer. */
enum { FLUSH_FIRST = RACE_THREADS, IDS = RACE_THREADS + RACE_THREADS * RACE_PLACES };

struct set {
	uint32_t threads;
	uint64_t flushes[RACE_THREADS];
};

struct node {
	uint32_t n, i;      /* alternatives, and which of them is being tried */
	uint32_t is_choice; /* which value a load sees, or: */
	uint8_t id[CANDIDATES];
	struct set asleep; /* need not go on here: what would come was tried */
	race_op op[RACE_THREADS];
};

static struct {
	const race_program *program;
	const race_options *options;
	race_result *result;
	struct node *stack;
	size_t size, depth;
	size_t last; /* the last node that was no choice */
	uint64_t steps;
	size_t order_size;
	char order[512];
	int giving_up; /* failed, or of a class that was tried: play to the end, without decisions */
} dfs;

static uint32_t flush_thread(uint32_t id)
{
	return (id - FLUSH_FIRST) / RACE_PLACES;
}

static uint32_t flush_place(uint32_t id)
{
	return (id - FLUSH_FIRST) % RACE_PLACES;
}

static int set_has(const struct set *set, uint32_t id)
{
	if (id < FLUSH_FIRST)
		return (int)(set->threads >> id & 1);
	return (int)(set->flushes[flush_thread(id)] >> flush_place(id) & 1);
}

static void set_add(struct set *set, uint32_t id)
{
	if (id < FLUSH_FIRST)
		set->threads |= UINT32_C(1) << id;
	else
		set->flushes[flush_thread(id)] |= UINT64_C(1) << flush_place(id);
}

static race_op op_of(const struct node *node, uint32_t id)
{
	race_op flush = {RACE_OP_STORE, 0, 0};

	if (id < FLUSH_FIRST)
		return node->op[id];
	flush.place = flush_place(id);
	return flush;
}

static int independent(race_op a, race_op b)
{
	return a.place != b.place || (a.kind == RACE_OP_LOAD && b.kind == RACE_OP_LOAD);
}

/* A thread that was tried before, or slept, and does not care for what was done, need not be tried after it. */
static struct set sleep_after(const struct node *node)
{
	race_op done = op_of(node, node->id[node->i]);
	struct set set = {0, {0}};
	uint32_t id, k;

	for (id = 0; id < IDS; id++) {
		if (id >= FLUSH_FIRST && node->asleep.flushes[flush_thread(id)] == 0) {
			id += RACE_PLACES - 1;
			continue;
		}
		if (set_has(&node->asleep, id) && independent(op_of(node, id), done))
			set_add(&set, id);
	}
	for (k = 0; k < node->i; k++)
		if (independent(op_of(node, node->id[k]), done))
			set_add(&set, node->id[k]);
	return set;
}

static struct node *push_node(void)
{
	struct node *node;

	if (dfs.size == DEEPEST) {
		race_fail("more decisions than there is room for");
		return NULL;
	}
	node = &dfs.stack[dfs.size++];
	dfs.depth = dfs.size;
	memset(node, 0, sizeof *node);
	return node;
}

static void note(char what)
{
	if (dfs.order_size + 1 < sizeof dfs.order)
		dfs.order[dfs.order_size++] = what;
}

/* All that can go on; the running one comes first, so that most runs switch rarely. */
static uint32_t candidates(uint8_t id[IDS])
{
	uint32_t n = 0, k, place, threads = dfs.program->threads;
	uint32_t first = race_fibers.current < threads ? race_fibers.current : 0;

	for (k = 0; k < threads; k++) {
		uint32_t t = (first + k) % threads;

		if (!race_fibers.fiber[t].done && race_op_ready(t))
			id[n++] = (uint8_t)t;
	}
	for (k = 0; k < threads; k++)
		for (place = 0; place < RACE_PLACES; place++)
			if (race_flush_ready(k, place))
				id[n++] = (uint8_t)(FLUSH_FIRST + k * RACE_PLACES + place);
	return n;
}

static int same_ops(const struct node *node)
{
	uint32_t t;

	for (t = 0; t < dfs.program->threads; t++)
		if (node->op[t].kind != race_fibers.fiber[t].op.kind ||
		    node->op[t].place != race_fibers.fiber[t].op.place)
			return 0;
	return 1;
}

static int decide_anything(void)
{
	uint8_t id[IDS];

	return candidates(id) > 0 ? id[0] : NOBODY;
}

static int decide(void)
{
	uint32_t n, k, t;
	struct node *node;
	uint8_t id[IDS];

	if (dfs.depth < dfs.size && !dfs.giving_up) {
		dfs.last = dfs.depth;
		node = &dfs.stack[dfs.depth++];
		if (node->is_choice || !same_ops(node)) {
			race_fail("what was played before does not come again");
			return decide_anything();
		}
		return node->id[node->i];
	}
	n = candidates(id);
	if (n == 0)
		return NOBODY;
	if (dfs.giving_up)
		return id[0];
	node = push_node();
	if (node == NULL)
		return id[0];
	if (!dfs.options->all && dfs.last + 1 < dfs.size)
		node->asleep = sleep_after(&dfs.stack[dfs.last]);
	dfs.last = dfs.size - 1;
	for (t = 0; t < dfs.program->threads; t++)
		node->op[t] = race_fibers.fiber[t].op;
	for (k = 0; k < n; k++) {
		if (set_has(&node->asleep, id[k]))
			continue;
		if (node->n == CANDIDATES) {
			race_fail("more alternatives than there is room for");
			return id[0];
		}
		node->id[node->n++] = id[k];
	}
	if (node->n == 0) {
		dfs.size--;
		dfs.depth = dfs.size;
		dfs.giving_up = 1;
		return id[0];
	}
	return node->id[0];
}

uint32_t race_choose(uint32_t n)
{
	struct node *node;
	uint32_t choice = 0;

	if (n < 2 || dfs.giving_up)
		return 0;
	if (dfs.depth < dfs.size) {
		choice = dfs.stack[dfs.depth++].i;
	} else {
		node = push_node();
		if (node == NULL)
			return 0;
		node->n = n;
		node->is_choice = 1;
	}
	if (choice > 0)
		note((char)('0' + choice));
	return choice;
}

static int all_done(void)
{
	uint32_t t;

	for (t = 0; t < dfs.program->threads; t++)
		if (!race_fibers.fiber[t].done)
			return 0;
	return 1;
}

/* Also in a run that was given up: its threads cannot be run again. */
static void stuck(const char *why)
{
	dfs.giving_up = 0;
	race_fail(why);
}

/* Which thread goes on: its number, or that of the caller of race_explore() if the run is over. */
uint32_t race_pick(void)
{
	for (;;) {
		int id;

		if (dfs.result->failure[0] != '\0')
			dfs.giving_up = 1;
		id = decide();
		if (id == NOBODY) {
			if (!all_done())
				stuck("nobody can go on");
			return RACE_THREADS;
		}
		if (++dfs.steps == STEPS_MOST) {
			stuck("no end in sight");
			return RACE_THREADS;
		}
		if ((uint32_t)id < FLUSH_FIRST) {
			note((char)('A' + id));
			return (uint32_t)id;
		}
		note((char)('a' + flush_thread((uint32_t)id)));
		race_flush(flush_thread((uint32_t)id), flush_place((uint32_t)id));
	}
}

void race_fail(const char *why)
{
	if (dfs.giving_up || dfs.result->failure[0] != '\0')
		return;
	(void)snprintf(dfs.result->failure, sizeof dfs.result->failure, "%s", why);
	(void)snprintf(dfs.result->order, sizeof dfs.result->order, "%.*s", (int)dfs.order_size, dfs.order);
}

/* To the next decision that has an alternative left; 0 if there is none. */
static int next_run(void)
{
	while (dfs.size > 0) {
		struct node *node = &dfs.stack[dfs.size - 1];

		if (++node->i < node->n)
			return 1;
		dfs.size--;
	}
	return 0;
}

static void run_once(void)
{
	dfs.depth = dfs.order_size = dfs.last = 0;
	dfs.steps = 0;
	dfs.giving_up = 0;
	race_memory_forget();
	dfs.program->reset();
	race_fibers_run(dfs.program->threads);
	if (dfs.result->failure[0] != '\0')
		return;
	if (dfs.giving_up) {
		dfs.result->cut++;
		return;
	}
	dfs.program->judge();
	dfs.result->runs++;
	dfs.result->steps += dfs.steps;
}

void race_explore(const race_program *program, const race_options *options, race_result *result)
{
	memset(result, 0, sizeof *result);
	memset(&dfs, 0, sizeof dfs);
	dfs.program = program;
	dfs.options = options;
	dfs.result = result;
	dfs.stack = calloc(DEEPEST, sizeof *dfs.stack);
	assert_non_null(dfs.stack);
	race_memory_begin(options);
	race_fibers_make(program);
	do
		run_once();
	while (result->failure[0] == '\0' && next_run());
	race_fibers_drop(program->threads);
	race_memory_end();
	free(dfs.stack);
}
