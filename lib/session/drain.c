/* SPDX-License-Identifier: MIT */
/* From the rings to the buffer backend. */
#include "internal.h"

#include <string.h>

enum { STEP_NONE = 0, STEP_OPEN = 1, STEP_APPEND = 2 };

static rco__shard *shard_of(rco_session *s)
{
	return &s->engine->shards[s->shard];
}

static int call_open(rco_session *s, uint64_t op, rco_result *result)
{
	rco__args *a = s->args;

	memset(&a->recording, 0, sizeof a->recording);
	a->recording.struct_size = (uint32_t)sizeof a->recording;
	memcpy(a->recording.id, s->recording_id, 16);
	a->recording.meta = a->meta;
	a->recording.meta_bytes = rco__session_meta(s, a->meta);
	return s->engine->buffer.open(&a->recording, op, result, s->engine->buffer_ud);
}

static int call_append(rco_session *s, uint64_t op, rco_result *result)
{
	rco__leg *l = &s->legs[s->drain_leg];
	rco_chunk *c = &s->args->chunk;

	memset(c, 0, sizeof *c);
	c->struct_size = (uint32_t)sizeof *c;
	memcpy(c->recording_id, s->recording_id, 16);
	c->leg = s->drain_leg;
	c->format = s->legs[s->drain_leg].format;
	c->position_bytes = l->held;
	c->time_us = rco__wall_us(&s->engine->env);
	c->data = s->drain_buf;
	c->size_bytes = s->drain_size;
	return s->engine->buffer.append(c, op, result, s->engine->buffer_ud);
}

/* Copy out of the ring, which wraps, into one piece. */
static void copy_out(const rco__pool *pool, const rco__ring *ring, uint64_t index, uint8_t *out, size_t size)
{
	const uint8_t *audio = rco__pool_data(pool, ring);
	size_t at = (size_t)(index & (ring->capacity - 1)), first = (size_t)ring->capacity - at;

	if (first > size)
		first = size;
	memcpy(out, audio + at, first);
	memcpy(out + first, audio, size - first);
}

/* The scratch of the shard, lent to the session until the backend has answered. */
static int borrow_scratch(rco_session *s)
{
	rco__shard *shard = shard_of(s);

	if (shard->scratch == NULL)
		shard->scratch = rco__alloc(&s->engine->env, RCO__SCRATCH);
	if (shard->scratch == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for passing audio on");
	s->drain_buf = shard->scratch;
	shard->scratch = NULL;
	return RCO_OK;
}

static void return_scratch(rco_session *s)
{
	rco__shard *shard = shard_of(s);

	if (s->drain_buf == NULL)
		return;
	rco_memzero(s->drain_buf, s->drain_size);
	if (shard->scratch == NULL)
		shard->scratch = s->drain_buf;
	else
		rco__release(&s->engine->env, s->drain_buf);
	s->drain_buf = NULL;
}

void rco__drain_abandon(rco_session *s)
{
	return_scratch(s);
	s->step = STEP_NONE;
}

/* What is to be appended next for a leg; 0 if nothing. */
static size_t take_piece(rco_session *s, uint32_t leg, rco__ring *ring)
{
	rco__leg *l = &s->legs[leg];
	uint64_t read = atomic_load(&ring->read), index = rco__gate_index(&ring->gate);
	size_t size;

	if (l->held < read) {
		/* Damage cost the buffer what had been handed to it: keep the leg's time line. */
		uint64_t gap = read - l->held;

		size = gap < RCO__SCRATCH ? (size_t)gap : RCO__SCRATCH;
		memset(s->drain_buf, rco__format_of(l->format)->silence, size);
		return size;
	}
	size = index - l->held < RCO__SCRATCH ? (size_t)(index - l->held) : RCO__SCRATCH;
	/* A repetition is the same piece again: a backend may have taken it and only the answer was lost. */
	if (l->tried > l->held)
		size = (size_t)(l->tried - l->held);
	l->tried = l->held + size;
	copy_out(s->engine->pool, ring, l->held, s->drain_buf, size);
	return size;
}

static int after_open(rco_session *s, int rc)
{
	if (rc == RCO_OK) {
		s->opened = 1;
		s->buffer_has = 1;
	}
	return rc;
}

static int after_append(rco_session *s, int rc)
{
	rco__leg *l = &s->legs[s->drain_leg];
	rco__ring *ring = rco__leg_ring(s, s->drain_leg);

	if (rc == RCO_OK) {
		l->held += s->drain_size;
		if (ring != NULL && atomic_load(&ring->read) < l->held)
			atomic_store_explicit(&ring->read, l->held, memory_order_release);
		atomic_store_explicit(&shard_of(s)->appended, 1, memory_order_relaxed);
	} else if (rc == RCO_E_NOT_FOUND) {
		s->opened = 0; /* the buffer forgot the recording; open it again */
	}
	return_scratch(s);
	return rc;
}

static int run_step(rco_session *s, uint32_t step)
{
	rco_result result;
	int rc;

	s->step = step;
	rc = rco__job_confirm(s, step == STEP_OPEN ? call_open : call_append, RCO_CONFIRM_DONE, &result);
	if (rc == RCO_PENDING)
		return rc;
	s->step = STEP_NONE;
	return step == STEP_OPEN ? after_open(s, rc) : after_append(s, rc);
}

static int drain_leg(rco_session *s, uint32_t leg)
{
	rco__leg *l = &s->legs[leg];
	rco__ring *ring;
	int rc = RCO_OK;

	while (rc == RCO_OK) {
		ring = rco__leg_ring(s, leg);
		if (ring == NULL || rco__gate_index(&ring->gate) == l->held)
			return RCO_OK;
		/* Once opted out nothing more is handed on (P2). */
		if ((atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) && !atomic_load(&s->hold))
			return RCO_OK;
		if (!s->opened) {
			rc = run_step(s, STEP_OPEN);
			continue;
		}
		rc = borrow_scratch(s);
		if (rc != RCO_OK)
			return rc;
		s->drain_leg = leg;
		s->drain_size = take_piece(s, leg, ring);
		rc = run_step(s, STEP_APPEND);
	}
	return rc;
}

static void tell_overflow(rco_session *s, uint32_t leg)
{
	rco__leg *l = &s->legs[leg];
	rco__ring *ring = rco__leg_ring(s, leg);
	uint64_t now = ring != NULL ? atomic_load(&ring->overflowed) : l->overflow_told;

	if (now == l->overflow_told)
		return;
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, RCO_EVENT_OVERFLOW, RCO_E_OVERFLOW, now - l->overflow_told, "leg \"%s\"", l->label);
	(void)pthread_mutex_unlock(&s->lock);
	l->overflow_told = now;
}

int rco__drain(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	int rc = RCO_OK;

	if (s->op != 0)
		rc = run_step(s, s->step);
	for (i = 0; i < n && rc == RCO_OK; i++) {
		rc = drain_leg(s, i);
		tell_overflow(s, i);
	}
	return rc;
}

int rco__rings_done(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);

	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		if (ring != NULL && rco__gate_index(&ring->gate) != s->legs[i].held)
			return 0;
	}
	return 1;
}

void rco__rings_wipe(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	int all = 1;

	if (s->rings_wiped)
		return;
	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		if (ring == NULL)
			continue;
		/* Between the latch and the stop in the gate a frame may still be accepted: then once more. */
		if (!(rco__gate_load(&ring->gate) & RCO__GATE_STOP))
			all = 0;
		/* A thread that is still inside is not to be disturbed; its ring is wiped with the next step. */
		if (rco__ring_busy(ring))
			all = 0;
		else
			rco__pool_wipe(s->engine->pool, ring);
	}
	s->rings_wiped = (uint32_t)all;
}

/* What stays of a ring in the books of its leg. */
static void keep_counts(rco__leg *l, rco__ring *ring)
{
	atomic_store(&l->total, rco__gate_index(&ring->gate));
	atomic_store(&l->frames, atomic_load(&ring->frames));
	atomic_store(&l->overflowed, atomic_load(&ring->overflowed));
}

/* The gate is shut for good: who comes now counts nothing. Who is inside may not have counted its frame yet. */
static int give_back(rco_session *s, rco__leg *l)
{
	if (rco__ring_busy(l->leaving))
		return RCO_PENDING;
	keep_counts(l, l->leaving);
	return rco__pool_put(s->engine->pool, l->leaving);
}

int rco__rings_release(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	int rc = RCO_OK;

	for (i = 0; i < n; i++) {
		rco__leg *l = &s->legs[i];
		rco__ring *ring = rco__leg_ring(s, i);

		if (ring != NULL) {
			(void)pthread_mutex_lock(&s->lock);
			keep_counts(l, ring);
			l->leaving = ring;
			atomic_store(&s->rings[i], 0);
			(void)pthread_mutex_unlock(&s->lock);
		}
		if (l->leaving == NULL)
			continue;
		if (give_back(s, l) == RCO_OK)
			l->leaving = NULL;
		else
			rc = RCO_PENDING; /* a media thread is still inside */
	}
	return rc;
}
