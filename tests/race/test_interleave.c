/* SPDX-License-Identifier: MIT */
/*
 * Every interleaving of the threads that meet at a ring: media threads, those who stop or pause a call, those who
 * empties, wipes and gives back its ring, and the call that gets the ring next. What runs is the shipped source,
 * compiled with each atomic operation, lock, and eight bytes of audio as a point where another thread may go on
 * (see sched.h, also for the two kinds of memory). Then each of a list of small breakages is put in, and has to be
 * noticed.
 */
#include "../support.h"

#include "shim.h"

/* clang-format off: the order is that of the rooms */
#include "../../lib/media/pool.c"
#include "../../lib/session/leg.c"
#include "../../lib/session/push.c"
#include "../../lib/session/drain.c"
#include "../../lib/session/latch.c"
#include "../../lib/session/opt_out.c"
/* clang-format on */

#include <stdlib.h>

enum { SIZE = 16, CELLS = 4, PUSHES = 4, THREADS = RACE_THREADS };

/* The first frame of the first call lies around the ring's end. */
enum { BEGIN = RCO__POOL_UNIT - 8 };

/* ---- a world with one ring, which is brought back to its beginning before each run ---- */

struct saved {
	rco_session session;
	rco__leg leg;
};

static struct {
	t_world world;
	rco_session *a, *b, *c; /* a has the ring, b and c want it */
	struct saved saved[3];
	rco__ring *ring, ring_saved;
	rco__ring_owner owner;
	rco__pool pool;
	uint8_t state;
	uint32_t next, prev;
	rco__leg *legs[3];
} it;

/* What the buffer backend got. */
static struct {
	uint64_t begin, end, cell[CELLS];
	int wrong;
} sunk;

static int sink_open(const rco_recording *recording, uint64_t op, rco_result *result, void *ud)
{
	(void)recording, (void)op, (void)ud;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *ud)
{
	const uint8_t *p = chunk->data;
	size_t i;

	(void)op, (void)ud;
	if (sunk.end == 0)
		sunk.begin = sunk.end = chunk->position_bytes;
	sunk.wrong |= chunk->position_bytes != sunk.end || chunk->size_bytes % 8 != 0;
	/* of a long piece, the last cells */
	for (i = 0; i < chunk->size_bytes; i += 8) {
		uint64_t at = chunk->position_bytes + i;

		if (at >= BEGIN && at < BEGIN + 8 * CELLS)
			(memcpy)(&sunk.cell[(at - BEGIN) / 8], p + i, 8);
	}
	sunk.end = chunk->position_bytes + chunk->size_bytes;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                     rco_result *result, void *ud)
{
	(void)id, (void)leg, (void)position, (void)data, (void)cap, (void)op, (void)ud;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *ud)
{
	(void)id, (void)op, (void)ud;
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static const rco_buffer_ops sink_ops = {.struct_size = (uint32_t)sizeof(rco_buffer_ops),
                                        .open = sink_open,
                                        .append = sink_append,
                                        .read = sink_read,
                                        .erase = sink_erase};

static rco_session *started(const char *call_id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *s;

	assert_int_equal(rco_session_create(it.world.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

static void save_session(size_t i, rco_session *s)
{
	(memcpy)(&it.saved[i].session, s, sizeof *s);
	it.legs[i] = s->legs != NULL ? s->legs : calloc(RCO_MAX_LEGS, sizeof *it.legs[i]);
	assert_non_null(it.legs[i]);
	(memcpy)(&it.saved[i].leg, it.legs[i], sizeof *it.legs[i]);
}

static void drop_events(rco_session *s, const rco_session *saved)
{
	while (s->control.events != saved->control.events) {
		rco__event *e = s->control.events;

		s->control.events = e->next;
		rco__release(&it.world.engine->env, e);
	}
}

static void restore_session(size_t i, rco_session *s)
{
	drop_events(s, &it.saved[i].session);
	(memcpy)((void *)s, &it.saved[i].session, sizeof *s);
	(memcpy)((void *)it.legs[i], &it.saved[i].leg, sizeof *it.legs[i]);
}

static int make_world(void **state)
{
	rco__pool *pool;
	uint32_t leg;

	(void)state;
	t_world_init(&it.world, 0);
	it.world.cfg.buffer = &sink_ops;
	it.world.cfg.ring_pool_bytes = RCO__POOL_UNIT;
	t_world_open(&it.world);
	pool = it.world.engine->pool;
	assert_int_equal(pool->units, 1);
	it.a = started("a");
	assert_int_equal(rco_session_add_leg(it.a, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	it.b = started("b");
	it.c = started("c");
	t_settle(&it.world);
	it.ring = rco__leg_ring(it.a, 0);
	save_session(0, it.a);
	save_session(1, it.b);
	save_session(2, it.c);
	(memcpy)((void *)&it.ring_saved, it.ring, sizeof it.ring_saved);
	(memcpy)(&it.owner, owner_at(pool, 0), sizeof it.owner);
	(memcpy)(&it.pool, pool, sizeof it.pool);
	it.state = pool->free.state[0];
	it.next = pool->free.next[0];
	it.prev = pool->free.prev[0];
	return 0;
}

static void restore_world(void)
{
	rco__pool *pool = it.world.engine->pool;

	restore_session(0, it.a);
	restore_session(1, it.b);
	restore_session(2, it.c);
	(memcpy)((void *)it.ring, &it.ring_saved, sizeof it.ring_saved);
	(memcpy)(owner_at(pool, 0), &it.owner, sizeof it.owner);
	(memcpy)(pool, &it.pool, sizeof it.pool);
	pool->free.state[0] = it.state;
	pool->order[0] = 0; /* a ring of one unit */
	pool->free.next[0] = it.next;
	pool->free.prev[0] = it.prev;
	memset(rco__pool_data(pool, it.ring), 0, RCO__POOL_UNIT);
}

static int unmake_world(void **state)
{
	(void)state;
	restore_world();
	rco_session_free(it.a);
	rco_session_free(it.b);
	rco_session_free(it.c);
	free(it.legs[1]);
	free(it.legs[2]);
	t_settle(&it.world);
	t_world_destroy(&it.world);
	return 0;
}

/* ---- what the threads do ---- */

/* Each thread writes into its own row. */
static struct {
	int rc[PUSHES];
	int pushes;
	int rc_release, rc_leg;
} did[THREADS];

static uint64_t index_at_stop; /* 0: not stopped */

static uint64_t cell_of(uint32_t thread, int n, int half)
{
	return UINT64_C(0x1111111111111111) * (thread + 1) + (uint64_t)(2 * n + half + 1);
}

static void push_as(uint32_t thread, rco_session *s)
{
	int n = did[thread].pushes++;
	uint64_t frame[2] = {cell_of(thread, n, 0), cell_of(thread, n, 1)};

	did[thread].rc[n] = rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, SIZE);
}

static void opt_out_call(rco_session *s)
{
	(void)pthread_mutex_lock(&s->lock);
	(void)rco__opt_out_latch(s, "test");
	(void)pthread_mutex_unlock(&s->lock);
}

/* As rco_session_pause(), resume() and end() do. */
static void set_gates(rco_session *s, uint32_t paused, uint32_t ended)
{
	(void)pthread_mutex_lock(&s->lock);
	s->control.paused = paused;
	s->control.ended = ended;
	rco__gates_set(s);
	(void)pthread_mutex_unlock(&s->lock);
}

static int add_leg(rco_session *s, rco__leg *legs)
{
	uint32_t leg = 0;
	int rc;

	(void)pthread_mutex_lock(&s->lock);
	rc = add_leg_locked(s, "caller", RCO_FORMAT_PCMU_8K, legs, &leg);
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

static void push_once(void)
{
	push_as(0, it.a);
}

static void push_twice(void)
{
	push_as(0, it.a);
	push_as(0, it.a);
}

static void push_beside(void)
{
	push_as(1, it.a);
}

static void opt_out_it(void)
{
	opt_out_call(it.a);
}

static void drain_once(void)
{
	(void)rco__drain(it.a);
}

static void drain_twice(void)
{
	(void)rco__drain(it.a);
	(void)rco__drain(it.a);
}

static void opt_out_and_wipe(void)
{
	opt_out_call(it.a);
	rco__rings_wipe(it.a);
}

static void pause_and_resume(void)
{
	set_gates(it.a, 1, 0);
	set_gates(it.a, 0, 0);
}

/* As when two threads did it without the session's lock: the word itself must keep the stop. */
static void shut_and_unshut(void)
{
	rco__gate_shut(&it.ring->gate);
	rco__gate_unshut(&it.ring->gate);
}

static void stop_the_gate(void)
{
	rco__gate_stop(&it.ring->gate);
}

static void opt_out_and_release(void)
{
	opt_out_call(it.a);
	did[1].rc_release = rco__rings_release(it.a);
}

static void end_and_release(void)
{
	set_gates(it.a, 0, 1);
	did[1].rc_release = rco__rings_release(it.a);
}

static void end_and_next_owner(void)
{
	end_and_release();
	did[1].rc_leg = add_leg(it.b, it.legs[1]);
	if (did[1].rc_leg == RCO_OK)
		push_as(1, it.b);
}

static void two_owners_later(void)
{
	opt_out_and_release();
	if (add_leg(it.b, it.legs[1]) != RCO_OK)
		return;
	push_as(1, it.b);
	opt_out_call(it.b);
	if (rco__rings_release(it.b) == RCO_OK && add_leg(it.c, it.legs[2]) == RCO_OK)
		did[1].rc_leg = RCO_OK;
}

static void next_owner_when_free(void)
{
	did[2].rc_leg = add_leg(it.b, it.legs[1]);
	if (did[2].rc_leg == RCO_OK)
		push_as(2, it.b);
}

static void next_owner_of_c(void)
{
	push_as(2, it.c);
}

/* ---- what has to be ---- */

/* The gate's word, change by change. */
static void gate_changed(uint64_t before, uint64_t after)
{
	uint64_t shut = before & (RCO__GATE_STOP | RCO__GATE_SHUT);
	int given_back = atomic_load(&it.ring->entry) >> 1 != it.ring_saved.entry >> 1;

	if (!given_back && (after & RCO__GATE_INDEX) != (before & RCO__GATE_INDEX)) {
		if (shut)
			race_fail("a frame was accepted behind a shut gate");
		if (after - before != SIZE)
			race_fail("a frame was not accepted in one piece");
	}
	if (!given_back && (before & RCO__GATE_STOP) && !(after & RCO__GATE_STOP))
		race_fail("a stop was lost");
	if ((after & RCO__GATE_STOP) && !(before & RCO__GATE_STOP))
		index_at_stop = after & RCO__GATE_INDEX;
}

static void reset_at(uint64_t index, uint64_t read)
{
	const rco_engine *e = it.world.engine;
	rco_session *all[3] = {it.a, it.b, it.c};
	size_t i;

	restore_world();
	memset(did, 0, sizeof did);
	for (i = 0; i < THREADS; i++)
		did[i].rc_release = did[i].rc_leg = RCO_PENDING;
	memset(&sunk, 0, sizeof sunk);
	index_at_stop = 0;
	atomic_store(&it.ring->gate, index);
	atomic_store(&it.ring->read, read);
	it.ring->seen = 0;
	it.a->legs[0].held = read;
	race_audio(rco__pool_data(e->pool, it.ring), RCO__POOL_UNIT, BEGIN, CELLS);
	race_watch(&it.ring->gate, gate_changed);
	for (i = 0; i < 3; i++) {
		race_constant(&all[i]->magic);
		race_constant(&all[i]->control.hold);
		race_private(&all[i]->shard);
		race_private(&it.legs[i]->total);
		race_private(&it.legs[i]->frames);
		race_private(&it.legs[i]->overflowed);
	}
	race_constant(&it.a->n_legs);
	race_private(&it.ring->used);
	race_private(&e->shards[0].appended);
	race_private(&e->overflowed);
}

static void reset(void)
{
	reset_at(BEGIN, BEGIN);
}

/* No room but what the drain makes; the first cells hold what was accepted a round ago. */
static void reset_full(void)
{
	uint64_t *cells = (uint64_t *)(void *)rco__pool_data(it.world.engine->pool, it.ring);

	reset_at(BEGIN, BEGIN - (RCO__POOL_UNIT - SIZE));
	cells[RCO__POOL_UNIT / 8 - 1] = 0;
	cells[1] = 77; /* the oldest that is still to be drained: behind the room for one frame */
	cells[2] = 78;
}

static uint64_t cell_now(uint64_t position)
{
	uint64_t v;

	(memcpy)(&v, rco__pool_data(it.world.engine->pool, it.ring) + (position & (RCO__POOL_UNIT - 1)), 8);
	return v;
}

static int accepted_by(uint32_t thread)
{
	int i, n = 0;

	for (i = 0; i < did[thread].pushes; i++)
		n += did[thread].rc[i] == RCO_OK;
	return n;
}

/* The accepted frames of a thread are at `position` and behind it, in order. Returns where they end. */
static uint64_t expect_frames(uint32_t thread, uint64_t position, int all)
{
	int i;

	for (i = 0; i < did[thread].pushes; i++) {
		if (did[thread].rc[i] != RCO_OK)
			continue;
		if (all && (cell_now(position) != cell_of(thread, i, 0) ||
		            cell_now(position + 8) != cell_of(thread, i, 1)))
			race_fail("an accepted frame is not what was pushed");
		position += SIZE;
	}
	return position;
}

/* Nothing but zeros between these positions. */
static void expect_zeros(uint64_t from, uint64_t to)
{
	for (; from < to; from += 8)
		if (cell_now(from) != 0)
			race_fail("audio stayed behind");
}

static void expect_answers(uint32_t thread, int refusal)
{
	int i, refused = 0;

	for (i = 0; i < did[thread].pushes; i++) {
		if (did[thread].rc[i] == RCO_OK && refused)
			race_fail("a frame was accepted after one was refused");
		if (did[thread].rc[i] != RCO_OK && did[thread].rc[i] != refusal)
			race_fail("a frame was refused with another reason");
		refused |= did[thread].rc[i] != RCO_OK;
	}
}

static void expect_nobody_inside(void)
{
	if (rco__ring_busy(it.ring))
		race_fail("the ring stayed closed");
}

static uint64_t index_now(void)
{
	return rco__gate_index(&it.ring->gate);
}

static void expect_stopped(void)
{
	if (!(rco__gate_load(&it.ring->gate) & RCO__GATE_STOP))
		race_fail("the gate is not stopped");
	if (index_now() != index_at_stop)
		race_fail("accepted after the stop");
}

static void expect_counted(void)
{
	if (atomic_load(&it.ring->frames) != (uint64_t)(accepted_by(0) + accepted_by(1)))
		race_fail("frames are not counted right");
}

/* What was handed to the backend is what was accepted, from the beginning. */
static void expect_sunk(void)
{
	uint64_t at = BEGIN;
	int i;

	if (sunk.wrong || sunk.end > index_now())
		race_fail("the backend got what was not accepted");
	for (i = 0; i < did[0].pushes; i++) {
		if (did[0].rc[i] != RCO_OK)
			continue;
		if (at < sunk.end && (sunk.cell[(at - BEGIN) / 8] != cell_of(0, i, 0) ||
		                      sunk.cell[(at - BEGIN) / 8 + 1] != cell_of(0, i, 1)))
			race_fail("the backend got something else than was accepted");
		at += SIZE;
	}
}

static void judge_stop(void)
{
	uint64_t end = expect_frames(0, BEGIN, 1);

	expect_nobody_inside();
	expect_answers(0, RCO_E_OPTED_OUT);
	expect_stopped();
	expect_counted();
	expect_sunk();
	if (end != index_now())
		race_fail("the index is not where the accepted frames end");
	expect_zeros(end, BEGIN + 64);
	push_as(0, it.a);
	if (did[0].rc[did[0].pushes - 1] != RCO_E_OPTED_OUT)
		race_fail("a frame after it all was not refused");
}

static void judge_wiped(void)
{
	expect_nobody_inside();
	expect_answers(0, RCO_E_OPTED_OUT);
	expect_stopped();
	if (expect_frames(0, BEGIN, 0) != index_now())
		race_fail("the index is not where the accepted frames end");
	if (it.a->work.rings_wiped)
		expect_zeros(BEGIN, BEGIN + 64);
	rco__rings_wipe(it.a); /* the worker's next step */
	if (!it.a->work.rings_wiped)
		race_fail("not wiped, though nobody is inside");
	expect_zeros(BEGIN, BEGIN + 64);
}

/* Nobody stopped it: what is refused was refused by a pause. */
static void judge_resumed(void)
{
	uint64_t end = expect_frames(0, BEGIN, 1);
	int i;

	expect_nobody_inside();
	expect_counted();
	for (i = 0; i < did[0].pushes; i++)
		if (did[0].rc[i] != RCO_OK && did[0].rc[i] != RCO_E_PAUSED)
			race_fail("a frame was refused with another reason");
	if (rco__gate_load(&it.ring->gate) != end)
		race_fail("the gate is not open, or not where the accepted frames end");
	expect_zeros(end, BEGIN + 64);
}

static void judge_paused_and_stopped(void)
{
	uint64_t end = expect_frames(0, BEGIN, 1);
	int i;

	expect_nobody_inside();
	expect_stopped();
	expect_counted();
	for (i = 0; i < did[0].pushes; i++)
		if (did[0].rc[i] != RCO_OK && did[0].rc[i] != RCO_E_PAUSED && did[0].rc[i] != RCO_E_OPTED_OUT)
			race_fail("a frame was refused with another reason");
	if (end != index_now())
		race_fail("the index is not where the accepted frames end");
	expect_zeros(end, BEGIN + 64);
}

/* Two on one leg: the frames are there in one of the two orders, and one of them at least was accepted. */
static void judge_two_pushers(void)
{
	uint64_t first = cell_now(BEGIN);
	uint32_t t, one = first == cell_of(1, 0, 0);
	uint64_t end = BEGIN;

	expect_nobody_inside();
	expect_counted();
	for (t = 0; t < 2; t++)
		if (did[t].rc[0] != RCO_OK && did[t].rc[0] != RCO_E_BUSY && index_at_stop == 0)
			race_fail("a frame was refused with another reason");
	if (accepted_by(0) + accepted_by(1) == 0 && index_at_stop == 0)
		race_fail("both were refused");
	end = expect_frames(one ? 1 : 0, end, 1);
	end = expect_frames(one ? 0 : 1, end, 1);
	if (end != index_now())
		race_fail("the index is not where the accepted frames end");
	expect_zeros(end, BEGIN + 64);
}

static void expect_accounts(void)
{
	const rco__leg *l = &it.a->legs[0];

	if (atomic_load(&((rco__leg *)(uintptr_t)l)->total) != BEGIN + (uint64_t)accepted_by(0) * SIZE)
		race_fail("the bytes accepted are not what the call's counts say");
	if (atomic_load(&((rco__leg *)(uintptr_t)l)->frames) != (uint64_t)accepted_by(0))
		race_fail("the frames accepted are not what the call's counts say");
}

/* The ring is given back, or waits for who is inside; then it is given back by the worker's next step. */
static void finish_release(void)
{
	if (did[1].rc_release == RCO_OK)
		return;
	if (did[1].rc_release != RCO_PENDING || rco__rings_release(it.a) != RCO_OK)
		race_fail("a ring was not given back");
}

static void judge_released(void)
{
	expect_nobody_inside();
	expect_answers(0, it.a->control.ended ? RCO_E_ENDED : RCO_E_OPTED_OUT);
	finish_release();
	expect_accounts();
	expect_zeros(BEGIN, BEGIN + 64);
	if (it.ring->used || rco__gate_load(&it.ring->gate) != RCO__GATE_SHUT)
		race_fail("a ring that was given back is not as a fresh one");
}

/* What `owner` pushed as the thread is all there is in the ring. */
static void expect_only(uint32_t thread, rco_session *owner)
{
	uint64_t end = expect_frames(thread, 0, 1);

	if (rco__leg_ring(owner, 0) != it.ring)
		race_fail("the ring is not its owner's");
	if (index_now() != end || atomic_load(&it.ring->frames) * SIZE != end)
		race_fail("the next owner's ring has what it did not push");
	expect_zeros(BEGIN, RCO__POOL_UNIT);
	expect_zeros(end, 64);
}

static void judge_next_owner(void)
{
	int by = did[2].rc_leg == RCO_OK ? 2 : did[1].rc_leg == RCO_OK ? 1 : 0;

	expect_nobody_inside();
	expect_answers(0, it.a->control.ended ? RCO_E_ENDED : RCO_E_OPTED_OUT);
	if (by != 0) {
		if (accepted_by((uint32_t)by) != 1)
			race_fail("the next owner's frame was refused");
		expect_only((uint32_t)by, it.b);
	}
	finish_release();
	expect_accounts();
	if (by == 0)
		expect_zeros(BEGIN, BEGIN + 64);
}

static void judge_two_owners_later(void)
{
	expect_nobody_inside();
	expect_answers(0, RCO_E_OPTED_OUT);
	if (did[1].rc_leg == RCO_OK)
		expect_only(2, it.c);
	else if (accepted_by(1) > 0)
		race_fail("the second owner did not get rid of its ring");
	finish_release();
	expect_accounts();
}

static void judge_full(void)
{
	uint64_t end = expect_frames(0, BEGIN, 1);
	int i;

	expect_nobody_inside();
	for (i = 0; i < did[0].pushes; i++)
		if (did[0].rc[i] != RCO_OK && did[0].rc[i] != RCO_E_OVERFLOW)
			race_fail("a frame was refused with another reason");
	if (end != index_now() || sunk.wrong || sunk.end > index_now())
		race_fail("the index is not where the accepted frames end");
	if (atomic_load(&it.ring->overflowed) != (uint64_t)(did[0].pushes - accepted_by(0)))
		race_fail("overflows are not counted right");
	expect_sunk();
}

/* ---- programs ---- */

/* How many orders there are. Elsewhere they are beyond counting. */
enum { FEW = 1, MANY = 2 };

static const race_program programs[] = {
	{"push, push | opt-out", 2, reset, {push_twice, opt_out_it}, judge_stop, MANY},
	{"push, push | opt-out | drain", 3, reset, {push_twice, opt_out_it, drain_once}, judge_stop, 0},
	{"push, push | opt-out, wipe", 2, reset, {push_twice, opt_out_and_wipe}, judge_wiped, 0},
	{"push | pause, resume", 2, reset, {push_once, pause_and_resume}, judge_resumed, MANY},
	{"push | pause, resume | opt-out",
         3,
         reset,
         {push_once, pause_and_resume, opt_out_it},
         judge_paused_and_stopped,
         0},
	{"push | shut, unshut | stop",
         3,
         reset,
         {push_once, shut_and_unshut, stop_the_gate},
         judge_paused_and_stopped,
         FEW},
	{"push | push", 2, reset, {push_once, push_beside}, judge_two_pushers, FEW},
	{"push | push | stop", 3, reset, {push_once, push_beside, stop_the_gate}, judge_two_pushers, FEW},
	{"push, push | opt-out, give back", 2, reset, {push_twice, opt_out_and_release}, judge_released, 0},
	{"push, push | end, give back", 2, reset, {push_twice, end_and_release}, judge_released, 0},
	{"push | end, give back, next call: push", 2, reset, {push_once, end_and_next_owner}, judge_next_owner, 0},
	{"push | end, give back | next call: push",
         3,
         reset,
         {push_once, end_and_release, next_owner_when_free},
         judge_next_owner,
         0},
	{"push | two calls later", 2, reset, {push_once, two_owners_later}, judge_two_owners_later, 0},
	{"push | two calls later | push there",
         3,
         reset,
         {push_once, two_owners_later, next_owner_of_c},
         judge_two_owners_later,
         0},
	{"push, push | drain, drain; full ring", 2, reset_full, {push_twice, drain_twice}, judge_full, 0},
};

enum { PROGRAMS = sizeof programs / sizeof programs[0] };

static void explore(const race_program *program, int weak, int all)
{
	race_options o = {.weak = weak, .all = all};
	race_result r;

	race_explore(program, &o, &r);
	print_message("    %-42s %-8s %-7s %10llu runs, %5.1f steps each, %9llu cut\n", program->name,
	              weak ? "weak" : "in order", all ? "all" : "classes", (unsigned long long)r.runs,
	              r.runs > 0 ? (double)r.steps / (double)r.runs : 0.0, (unsigned long long)r.cut);
	if (r.failure[0] != '\0')
		fail_msg("%s: %s, in the order %s", program->name, r.failure, r.order);
	assert_true(r.runs > 1);
}

static void test_in_order(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < PROGRAMS; i++)
		explore(&programs[i], 0, 0);
}

static void test_weak(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < PROGRAMS; i++)
		if (!T_SANITIZED ||
		    (programs[i].threads == 2 && programs[i].reset == reset)) /* the others take long */
			explore(&programs[i], 1, 0);
}

/* Classes are one thing to trust less: every single order, where there are few; with RACE_ALL set also where there
 * are a million. */
static void test_all_orders(void **state)
{
	int most = getenv("RACE_ALL") != NULL ? MANY : FEW;
	size_t i;

	(void)state;
	for (i = 0; i < PROGRAMS; i++)
		if (programs[i].orders != 0 && programs[i].orders <= most)
			explore(&programs[i], 0, 1);
}

/* ---- breakages: each has to be noticed ---- */

static const struct {
	const char *what;
	race_mutant mutant;
	int only_weak; /* harmless where every operation is there for all at once */
} mutants[] = {
	{"a commit stores the index, whatever the gate says", {"rco__gate_commit", RACE_BLIND}, 0},
	{"a commit adds to the index, whatever the gate says", {"rco__gate_commit", RACE_ADD}, 0},
	{"a commit orders nothing", {"rco__gate_commit", RACE_RELAXED}, 1},
	{"a stop is a load and a store", {"rco__gate_stop", RACE_SPLIT}, 0},
	{"a shut is a load and a store", {"rco__gate_shut", RACE_SPLIT}, 0},
	{"an unshut is a load and a store", {"rco__gate_unshut", RACE_SPLIT}, 0},
	{"the gate is looked at in no order", {"rco__gate_load", RACE_RELAXED}, 1},
	{"the gate is taken for open and empty", {"rco__gate_load", RACE_SKIP}, 0},
	{"a late thread gets in", {"rco__ring_enter", RACE_BLIND}, 0},
	{"the generation is not compared", {"rco__ring_enter", RACE_MASKED}, 0},
	{"who is inside is not noted", {"rco__ring_enter", RACE_SAME}, 0},
	{"getting in orders nothing", {"rco__ring_enter", RACE_RELAXED}, 1},
	{"nobody leaves", {"rco__ring_leave", RACE_SKIP}, 0},
	{"leaving orders nothing", {"rco__ring_leave", RACE_RELAXED}, 1},
	{"locked out though somebody is inside", {"rco__ring_lock_out", RACE_BLIND}, 0},
	{"the generation does not go on", {"rco__ring_lock_out", RACE_SAME}, 0},
	{"nobody ever seems to be inside", {"rco__ring_busy", RACE_SKIP}, 0},
	{"whether somebody is inside is looked at in no order", {"rco__ring_busy", RACE_RELAXED}, 1},
	{"a refused frame is not wiped", {"wipe", RACE_SKIP}, 0},
	{"a ring is not wiped", {"rco__pool_wipe", RACE_SKIP}, 0},
	{"the gate of a ring that is given back stays", {"rco__pool_put", RACE_SKIP}, 0},
	{"a frame is not copied", {"copy_in", RACE_SKIP}, 0},
};

static int noticed(const race_mutant *mutant, int weak, const char **where, race_result *r)
{
	race_options o = {.weak = weak, .mutant = mutant};
	size_t i;

	for (i = 0; i < PROGRAMS; i++) {
		race_explore(&programs[i], &o, r);
		*where = programs[i].name;
		if (r->failure[0] != '\0')
			return 1;
	}
	return 0;
}

static void test_breakages_are_noticed(void **state)
{
	size_t i, missed = 0;
	const char *where;
	race_result r;

	(void)state;
	for (i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
		int in_order = 0, weak = 0;

		if (T_SANITIZED && mutants[i].only_weak)
			continue; /* it takes long */
		in_order = noticed(&mutants[i].mutant, 0, &where, &r);
		if (!in_order)
			weak = noticed(&mutants[i].mutant, 1, &where, &r);
		print_message("    %-52s %-8s %s: %s\n", mutants[i].what,
		              in_order ? "in order"
		              : weak   ? "weak"
		                       : "MISSED",
		              in_order || weak ? where : "", r.failure);
		missed += !in_order && !weak;
		assert_false(in_order && mutants[i].only_weak);
	}
	assert_int_equal(missed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_all_orders),
		cmocka_unit_test(test_breakages_are_noticed),
	};

	return cmocka_run_group_tests_name("interleavings of gate and ring", tests, make_world, unmake_world);
}
