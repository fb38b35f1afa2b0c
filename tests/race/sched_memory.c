/* SPDX-License-Identifier: MIT */
/* The memory that the threads of sched.h see. */
#include "sched_internal.h"

#include "../support.h"

#include <stdlib.h>

enum { MESSAGES = 64, BUFFER = 32, RESTRICTED = 32, CELL = 8, NOWHERE = RACE_PLACES };

enum { RELAXED = memory_order_relaxed, SEQ_CST = memory_order_seq_cst };

/* For each place the number of the message that is the oldest one may see. */
typedef struct view {
	uint8_t at[RACE_PLACES];
} view;

typedef struct message {
	uint64_t value;
	view view; /* what the thread that acquires it gets to know */
} message;

struct place {
	volatile uint8_t *p;
	size_t size;
	void (*changed)(uint64_t before, uint64_t after);
	uint32_t n;       /* messages; 0: not touched yet in this run */
	uint32_t ordered; /* number of the last that is sequentially consistent */
	uint32_t owner;   /* of a mutex: 0 nobody, thread + 1 */
	message *message;
};

struct waiting {
	uint64_t value;
	uint32_t place;
	int order;
	view view;
};

static struct {
	const race_options *options;
	struct place place[RACE_PLACES];
	uint32_t n_places;
	view view[RACE_THREADS];
	struct waiting buffer[RACE_THREADS][BUFFER];
	uint32_t buffered[RACE_THREADS];
	struct {
		const volatile void *p;
		int constant;
	} restricted[RESTRICTED];
	uint32_t n_restricted;
	volatile uint8_t *audio;
	size_t capacity, from, cells; /* the capacity is a power of two */
} mem;

static int releases(int order)
{
	return order == memory_order_release || order == memory_order_acq_rel || order == SEQ_CST;
}

static int acquires(int order)
{
	return order == memory_order_acquire || order == memory_order_acq_rel || order == SEQ_CST;
}

/* ---- the machine's own memory, which holds what is newest ---- */

static uint64_t get(const volatile void *p, size_t size)
{
	if (size == 8)
		return *(const volatile uint64_t *)p;
	assert_int_equal(size, 4);
	return *(const volatile uint32_t *)p;
}

static void put(volatile void *p, size_t size, uint64_t value)
{
	if (size == 8) {
		*(volatile uint64_t *)p = value;
	} else {
		assert_int_equal(size, 4);
		*(volatile uint32_t *)p = (uint32_t)value;
	}
}

/* ---- places ---- */

static uint32_t place_of(const volatile void *p, size_t size)
{
	uint32_t i;

	for (i = 0; i < mem.n_places; i++)
		if (mem.place[i].p == (const volatile uint8_t *)p)
			return i;
	assert_true(mem.n_places < RACE_PLACES);
	mem.place[i].p = (volatile uint8_t *)(uintptr_t)p;
	mem.place[i].size = size;
	mem.place[i].message = calloc(MESSAGES, sizeof *mem.place[i].message);
	assert_non_null(mem.place[i].message);
	mem.n_places++;
	return i;
}

/* A place of which nothing was known in this run holds what it holds. */
static struct place *touch(uint32_t number)
{
	struct place *place = &mem.place[number];

	if (place->n == 0) {
		memset(&place->message[0], 0, sizeof place->message[0]);
		place->message[0].value = place->size != 0 ? get(place->p, place->size) : 0;
		place->n = 1;
		place->ordered = 0;
	}
	return place;
}

void race_memory_begin(const race_options *options)
{
	memset(&mem, 0, sizeof mem);
	mem.options = options;
}

void race_memory_forget(void)
{
	uint32_t i;

	for (i = 0; i < mem.n_places; i++)
		mem.place[i].n = mem.place[i].owner = 0;
	memset(mem.view, 0, sizeof mem.view);
	memset(mem.buffered, 0, sizeof mem.buffered);
	mem.n_restricted = 0;
}

void race_memory_end(void)
{
	uint32_t i;

	for (i = 0; i < mem.n_places; i++)
		free(mem.place[i].message);
	mem.n_places = 0;
	mem.options = NULL;
}

void race_audio(uint8_t *audio, size_t capacity, size_t from, size_t cells)
{
	mem.audio = audio;
	mem.capacity = capacity;
	mem.from = from;
	mem.cells = cells;
}

void race_watch(volatile void *place, void (*changed)(uint64_t before, uint64_t after))
{
	mem.place[place_of(place, 8)].changed = changed;
}

static void restrict_to(const volatile void *p, int constant)
{
	assert_true(mem.n_restricted < RESTRICTED);
	mem.restricted[mem.n_restricted].p = p;
	mem.restricted[mem.n_restricted++].constant = constant;
}

void race_constant(const volatile void *p)
{
	restrict_to(p, 1);
}

void race_private(const volatile void *p)
{
	restrict_to(p, 0);
}

/* Done without a point: outside of a run, or on something that is no concern of other threads. */
static int apart(const volatile void *p, int changes)
{
	uint32_t i;

	if (race_fibers.current == RACE_THREADS)
		return 1;
	for (i = 0; i < mem.n_restricted; i++) {
		if (mem.restricted[i].p != p)
			continue;
		if (changes && mem.restricted[i].constant)
			race_fail("something was changed that was said to be constant");
		return 1;
	}
	return 0;
}

static int how(const char *function)
{
	const race_mutant *m = mem.options != NULL ? mem.options->mutant : NULL;

	if (m == NULL || race_fibers.current == RACE_THREADS || strcmp(m->function, function) != 0)
		return 0;
	return m->how;
}

/* ---- what goes on between threads ---- */

static void join(view *to, const view *from)
{
	uint32_t i;

	for (i = 0; i < RACE_PLACES; i++)
		if (to->at[i] < from->at[i])
			to->at[i] = from->at[i];
}

/* The newest value of a place is there for all. */
static void publish(uint32_t thread, uint32_t number, uint64_t value, int ordered, const view *known)
{
	struct place *place = touch(number);
	uint64_t before = place->message[place->n - 1].value;
	message *m;

	if (place->n == MESSAGES) {
		race_fail("more stores to one place than there is room for");
		return;
	}
	m = &place->message[place->n];
	m->value = value;
	m->view = *known;
	m->view.at[number] = (uint8_t)place->n;
	mem.view[thread].at[number] = (uint8_t)place->n;
	if (ordered)
		place->ordered = place->n;
	place->n++;
	if (place->size != 0)
		put(place->p, place->size, value);
	if (place->changed != NULL && value != before) {
		uint32_t current = race_fibers.current;

		race_fibers.current = RACE_THREADS; /* what it looks at is no point */
		place->changed(before, value);
		race_fibers.current = current;
	}
}

static const message *newest(uint32_t number)
{
	struct place *place = touch(number);

	return &place->message[place->n - 1];
}

static const struct waiting *own_store(uint32_t thread, uint32_t number)
{
	uint32_t i;

	for (i = mem.buffered[thread]; i-- > 0;)
		if (mem.buffer[thread][i].place == number)
			return &mem.buffer[thread][i];
	return NULL;
}

int race_op_ready(uint32_t thread)
{
	const race_op *op = &race_fibers.fiber[thread].op;
	uint32_t i;

	if (op->kind == RACE_OP_LOCK && mem.place[op->place].owner != 0)
		return 0;
	if (op->needs == RACE_NEEDS_EMPTY)
		return mem.buffered[thread] == 0;
	if (op->needs == RACE_NEEDS_PLACE)
		return own_store(thread, op->place) == NULL;
	for (i = 0; op->needs == RACE_NEEDS_ORDERED && i < mem.buffered[thread]; i++)
		if (mem.buffer[thread][i].order == SEQ_CST)
			return 0;
	return 1;
}

/* The first of its stores to that place may leave now. */
static uint32_t leaving(uint32_t thread, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < mem.buffered[thread]; i++)
		if (mem.buffer[thread][i].place == number)
			return i == 0 || !releases(mem.buffer[thread][i].order) ? i : BUFFER;
	return BUFFER;
}

int race_flush_ready(uint32_t thread, uint32_t place)
{
	return mem.buffered[thread] > 0 && leaving(thread, place) != BUFFER;
}

void race_flush(uint32_t thread, uint32_t number)
{
	uint32_t i = leaving(thread, number), k;
	struct waiting w = mem.buffer[thread][i];
	view known = {{0}};
	if (releases(w.order))
		known = w.view;
	publish(thread, number, w.value, w.order == SEQ_CST, &known);
	mem.buffered[thread]--;
	for (k = i; k < mem.buffered[thread]; k++) {
		mem.buffer[thread][k] = mem.buffer[thread][k + 1];
		/* what came behind it knows of it */
		mem.buffer[thread][k].view.at[number] = mem.view[thread].at[number];
	}
}

/* ---- operations of the current thread, each with its point ---- */

static void point(uint32_t kind, uint32_t place, uint32_t needs)
{
	race_op op = {kind, place, mem.options->weak ? needs : RACE_NEEDS_NOTHING};

	race_point(op);
}

static uint64_t load(uint32_t number, int order)
{
	uint32_t me = race_fibers.current, oldest, seen;
	const struct waiting *own;
	struct place *place;

	point(RACE_OP_LOAD, number, order == SEQ_CST ? RACE_NEEDS_ORDERED : RACE_NEEDS_NOTHING);
	place = touch(number);
	if (!mem.options->weak)
		return newest(number)->value;
	own = own_store(me, number);
	if (own != NULL)
		return own->value;
	oldest = mem.view[me].at[number];
	if (order == SEQ_CST && oldest < place->ordered)
		oldest = place->ordered;
	seen = place->n - 1 - race_choose(place->n - oldest);
	mem.view[me].at[number] = (uint8_t)seen;
	if (acquires(order))
		join(&mem.view[me], &place->message[seen].view);
	return place->message[seen].value;
}

static void store(uint32_t number, uint64_t value, int order)
{
	uint32_t me = race_fibers.current;
	struct waiting *w;

	if (!mem.options->weak) {
		point(RACE_OP_STORE, number, RACE_NEEDS_NOTHING);
		publish(me, number, value, 1, &mem.view[me]);
		return;
	}
	if (mem.buffered[me] == BUFFER) {
		race_fail("more stores wait than there is room for");
		return;
	}
	(void)touch(number);
	w = &mem.buffer[me][mem.buffered[me]++];
	w->value = value;
	w->place = number;
	w->order = order;
	w->view = mem.view[me];
}

/* The value that a read-modify-write sees is the newest, and nothing comes between. */
static uint64_t modify_begin(uint32_t number, int order)
{
	uint32_t me = race_fibers.current;

	point(RACE_OP_STORE, number, releases(order) ? RACE_NEEDS_EMPTY : RACE_NEEDS_PLACE);
	(void)touch(number);
	mem.view[me].at[number] = (uint8_t)(mem.place[number].n - 1);
	if (acquires(order))
		join(&mem.view[me], &newest(number)->view);
	return newest(number)->value;
}

static void modify_end(uint32_t number, uint64_t value, int order)
{
	view known = newest(number)->view; /* what was released before goes on with it */

	if (releases(order))
		join(&known, &mem.view[race_fibers.current]);
	publish(race_fibers.current, number, value, order == SEQ_CST, &known);
}

static uint64_t modify(volatile void *p, size_t size, uint64_t (*change)(uint64_t, uint64_t), uint64_t by,
                       int order, int broken)
{
	uint64_t before, mask = size == 8 ? UINT64_MAX : UINT32_MAX;
	uint32_t number;

	if (apart(p, 1)) {
		before = get(p, size);
		put(p, size, change(before, by) & mask);
		return before;
	}
	number = place_of(p, size);
	if (broken == RACE_RELAXED)
		order = RELAXED;
	if (broken == RACE_SPLIT) {
		before = load(number, order);
		store(number, change(before, by) & mask, order);
		return before;
	}
	before = modify_begin(number, order);
	modify_end(number, change(before, by) & mask, order);
	return before;
}

/* ---- the shim's ---- */

uint64_t race_load(const volatile void *p, size_t size, int order, const char *function)
{
	int broken = how(function);

	if (apart(p, 0))
		return get(p, size);
	if (broken == RACE_SKIP)
		return 0;
	return load(place_of(p, size), broken == RACE_RELAXED ? RELAXED : order);
}

void race_store(volatile void *p, size_t size, uint64_t value, int order, const char *function)
{
	int broken = how(function);

	if (size == 4)
		value &= UINT32_MAX;
	if (apart(p, 1))
		put(p, size, value);
	else if (broken != RACE_SKIP)
		store(place_of(p, size), value, broken == RACE_RELAXED ? RELAXED : order);
}

static uint64_t change_or(uint64_t a, uint64_t b)
{
	return a | b;
}

static uint64_t change_and(uint64_t a, uint64_t b)
{
	return a & b;
}

static uint64_t change_add(uint64_t a, uint64_t b)
{
	return a + b;
}

static uint64_t change_to(uint64_t a, uint64_t b)
{
	(void)a;
	return b;
}

uint64_t race_or(volatile void *p, size_t size, uint64_t value, int order, const char *function)
{
	return modify(p, size, change_or, value, order, how(function));
}

uint64_t race_and(volatile void *p, size_t size, uint64_t value, int order, const char *function)
{
	return modify(p, size, change_and, value, order, how(function));
}

uint64_t race_add(volatile void *p, size_t size, uint64_t value, int order, const char *function)
{
	return modify(p, size, change_add, value, order, how(function));
}

uint64_t race_exchange(volatile void *p, size_t size, uint64_t value, int order, const char *function)
{
	return modify(p, size, change_to, value, order, how(function));
}

int race_swap(volatile void *p, size_t size, void *expected, uint64_t desired, int order, const char *function)
{
	int broken = how(function), same;
	uint64_t seen = get(expected, size), now;
	uint32_t number;

	if (apart(p, 1)) {
		now = get(p, size);
		put(now == seen ? p : expected, size, now == seen ? desired : now);
		return now == seen;
	}
	if (broken == RACE_BLIND || broken == RACE_ADD) {
		(void)modify(p, size, broken == RACE_ADD ? change_add : change_to,
		             broken == RACE_ADD ? desired - seen : desired, order, 0);
		return 1;
	}
	number = place_of(p, size);
	if (broken == RACE_RELAXED)
		order = RELAXED;
	now = modify_begin(number, order);
	same = broken == RACE_MASKED ? ((now ^ seen) & 1) == 0 : now == seen;
	if (same && broken != RACE_SAME)
		modify_end(number, desired, order);
	else if (!same)
		put(expected, size, now);
	return same;
}

/* ---- audio ---- */

/* The place at byte `p`, NOWHERE if that is nothing to be watched. */
static uint32_t cell_at(const volatile uint8_t *p)
{
	size_t at;

	if (mem.audio == NULL || p < mem.audio || p >= mem.audio + mem.capacity)
		return NOWHERE;
	at = ((size_t)(p - mem.audio) + mem.capacity - mem.from) & (mem.capacity - 1);
	if (at / CELL >= mem.cells)
		return NOWHERE;
	assert_int_equal(at % CELL, 0);
	return place_of(p, CELL);
}

void race_copy(void *to, const void *from, size_t size, const char *function)
{
	uint8_t *d = to;
	const uint8_t *s = from;
	int broken = how(function);
	size_t i;

	if (race_fibers.current == RACE_THREADS || size % CELL != 0) {
		memcpy(to, from, size);
		return;
	}
	for (i = 0; i < size; i += CELL) {
		uint32_t out = cell_at(s + i), in = cell_at(d + i);
		uint64_t v;

		memcpy(&v, s + i, CELL);
		if (out != NOWHERE)
			v = load(out, RELAXED);
		if (in == NOWHERE)
			memcpy(d + i, &v, CELL);
		else if (broken != RACE_SKIP)
			store(in, v, RELAXED);
	}
}

void race_wipe(void *p, size_t size, const char *function)
{
	int broken = how(function);
	size_t i;

	if (race_fibers.current == RACE_THREADS || size % CELL != 0) {
		rco_memzero(p, size);
		return;
	}
	for (i = 0; i < size && broken != RACE_SKIP; i += CELL) {
		uint32_t in = cell_at((uint8_t *)p + i);

		if (in == NOWHERE)
			memset((uint8_t *)p + i, 0, CELL);
		else
			store(in, 0, RELAXED);
	}
}

/* ---- locks: places of no size, whose messages carry what the last owner knew ---- */

int race_lock(void *mutex)
{
	uint32_t number;

	if (race_fibers.current == RACE_THREADS)
		return pthread_mutex_lock(mutex);
	number = place_of(mutex, 0);
	point(RACE_OP_LOCK, number, RACE_NEEDS_NOTHING);
	(void)touch(number);
	mem.place[number].owner = race_fibers.current + 1;
	join(&mem.view[race_fibers.current], &newest(number)->view);
	return 0;
}

int race_unlock(void *mutex)
{
	uint32_t number;

	if (race_fibers.current == RACE_THREADS)
		return pthread_mutex_unlock(mutex);
	number = place_of(mutex, 0);
	point(RACE_OP_STORE, number, RACE_NEEDS_EMPTY);
	publish(race_fibers.current, number, 0, 0, &mem.view[race_fibers.current]);
	mem.place[number].owner = 0;
	return 0;
}
