/* SPDX-License-Identifier: MIT */
/* From the rings to the buffer backend. */
#include "core.h"
#include "facts.h"
#include "work.h"

#include "../base/thread.h"
#include "../media/format.h"

#include <string.h>

enum { STEP_NONE = 0, STEP_OPEN = 1, STEP_APPEND = 2, STEP_DISCARD = 3 };

static rco__shard *shard_of(rco_session *s)
{
	return &s->engine->shards[s->shard];
}

static int call_open(rco_session *s, uint64_t op, rco_result *result)
{
	rco__args *a = s->work.args;

	memset(&a->recording, 0, sizeof a->recording);
	a->recording.struct_size = (uint32_t)sizeof a->recording;
	memcpy(a->recording.id, s->recording_id, 16);
	a->recording.meta = a->meta;
	a->recording.meta_bytes = rco__session_meta(s, a->meta);
	return s->engine->buffer.open(&a->recording, op, result, s->engine->buffer_ud);
}

static int call_append(rco_session *s, uint64_t op, rco_result *result)
{
	rco__leg *l = &s->legs[s->work.drain.leg];
	rco_chunk *c = &s->work.args->chunk;

	memset(c, 0, sizeof *c);
	c->struct_size = (uint32_t)sizeof *c;
	memcpy(c->recording_id, s->recording_id, 16);
	c->leg = s->work.drain.leg;
	c->format = s->legs[s->work.drain.leg].format;
	c->position_bytes = l->held;
	c->time_us = rco__wall_us(&s->engine->env);
	c->data = s->work.drain.buf;
	c->size_bytes = s->work.drain.size;
	c->flags = s->work.drain.gap ? RCO_CHUNK_GAP : 0;
	return s->engine->buffer.append(c, op, result, s->engine->buffer_ud);
}

/* Copy out of the ring, which wraps, into one piece. */
static void copy_out(const rco__pool *pool, const rco__ring *ring, uint64_t index, uint8_t *out, size_t size)
{
	const uint8_t *audio = rco__pool_data(pool, ring);
	size_t capacity = rco__pool_capacity(pool, ring);
	size_t at = (size_t)(index & (capacity - 1)), first = capacity - at;

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
	s->work.drain.buf = shard->scratch;
	shard->scratch = NULL;
	return RCO_OK;
}

static void return_scratch(rco_session *s)
{
	rco__shard *shard = shard_of(s);

	if (s->work.drain.buf == NULL)
		return;
	rco_memzero(s->work.drain.buf, s->work.drain.size);
	rco__clear_registers(); /* it came here by way of them */
	if (shard->scratch == NULL)
		shard->scratch = s->work.drain.buf;
	else
		rco__release(&s->engine->env, s->work.drain.buf);
	s->work.drain.buf = NULL;
}

void rco__drain_abandon(rco_session *s)
{
	return_scratch(s);
	s->work.step = STEP_NONE;
}

/* What was accepted and the buffer does not have, up to where audio and gap change. Counters that say more than
 * the ring can hold were damaged, and of them nothing can be taken. */
static rco__stretch next_in(const rco_session *s, const rco__leg *l, rco__ring *ring)
{
	rco__stretch next;

	/* Damage cost the buffer what had been handed to it: keep the leg's time line. */
	if (l->held < l->lost_end)
		return (rco__stretch){0, l->lost_end - l->held, 1};
	next = rco__gaps_look(rco__pool_gaps(s->engine->pool, ring), rco__gate_index(&ring->gate), l->held);
	if (!next.gap && next.size > rco__pool_capacity(s->engine->pool, ring))
		next.size = 0;
	return next;
}

enum { GAP_PIECE = 1 << 30 };

/* What is to be appended next for a leg, which is not nothing. */
static int take_piece(rco_session *s, uint32_t leg, rco__ring *ring)
{
	rco__leg *l = &s->legs[leg];
	rco__stretch next = next_in(s, l, ring);
	int as_gap = next.gap && (s->engine->buffer.flags & RCO_BUFFER_GAPS) != 0;
	uint64_t most = as_gap ? GAP_PIECE : RCO__SCRATCH;
	int rc = as_gap ? RCO_OK : borrow_scratch(s);

	if (rc != RCO_OK)
		return rc;
	s->work.drain.leg = leg;
	s->work.drain.gap = (uint32_t)as_gap;
	s->work.drain.size = (size_t)(next.size < most ? next.size : most);
	/* A repetition is the same piece again: a backend may have taken it and only the answer was lost. */
	if (l->tried > l->held)
		s->work.drain.size = (size_t)(l->tried - l->held);
	l->tried = l->held + s->work.drain.size;
	if (!next.gap)
		copy_out(s->engine->pool, ring, next.index, s->work.drain.buf, s->work.drain.size);
	else if (!as_gap)
		memset(s->work.drain.buf, rco__format_of(l->format)->silence, s->work.drain.size);
	return RCO_OK;
}

/* The buffer has what is before `held`. */
static void told(const rco_session *s, rco__leg *l, rco__ring *ring)
{
	uint64_t read;

	/* What it has again is known already. */
	if (ring == NULL || l->held <= l->lost_end)
		return;
	read = rco__gaps_told(rco__pool_gaps(s->engine->pool, ring), l->held);
	if (atomic_load(&ring->read) < read)
		atomic_store_explicit(&ring->read, read, memory_order_release);
}

static int after_open(rco_session *s, int rc)
{
	if (rc == RCO_OK) {
		s->work.buffer.opened = 1;
		s->work.buffer.has = 1;
	}
	return rc;
}

static int after_append(rco_session *s, int rc)
{
	rco__leg *l = &s->legs[s->work.drain.leg];
	rco__ring *ring = rco__leg_ring(s, s->work.drain.leg);

	return_scratch(s); /* before it is said to be in the buffer, and not here any more */
	if (rc == RCO_OK) {
		s->work.buffer.forgot = 0;
		l->held += s->work.drain.size;
		told(s, l, ring);
		atomic_store_explicit(&shard_of(s)->appended, 1, memory_order_relaxed);
	} else if (rc == RCO_E_NOT_FOUND) {
		s->work.buffer.opened = 0; /* the buffer forgot the recording; open it again */
		s->work.buffer.forgot = 1;
	}
	return rc;
}

/*
 * What a lost key covers nobody can read again, nor can anything be added to it; nor can it to what the buffer has
 * forgotten. It goes, and what the rings have is kept in a new recording, after silence in the place of the rest:
 * a call that waited for it would never end.
 */
static int after_discard(rco_session *s, int rc)
{
	uint64_t lost = 0;
	uint32_t i, n = atomic_load(&s->n_legs);

	if (rc != RCO_OK)
		return rc;
	for (i = 0; i < n; i++) {
		rco__leg *l = &s->legs[i];

		if (l->lost_end < l->held)
			l->lost_end = l->held;
		lost += l->lost_end;
		l->held = l->tried = 0;
	}
	s->work.buffer.opened = 0;
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(
		s, RCO_EVENT_BUFFER_RETRY, s->work.buffer.forgot ? RCO_E_NOT_FOUND : RCO_E_KEY, lost,
		s->work.buffer.forgot
			? "the buffer has forgotten what it had, and the audio is lost; what came after is kept"
			: "the key of what the buffer had is lost, and the audio with it; what came after is "
			  "kept");
	(void)pthread_mutex_unlock(&s->lock);
	s->work.buffer.forgot = 0;
	return RCO_OK;
}

static int one_step(rco_session *s, uint32_t step)
{
	static int (*const calls[])(rco_session *, uint64_t, rco_result *) = {
		[STEP_OPEN] = call_open, [STEP_APPEND] = call_append, [STEP_DISCARD] = rco__call_buffer_erase};
	rco_result result;
	int rc;

	s->work.step = step;
	rc = rco__job_confirm(s, calls[step], step == STEP_DISCARD ? RCO_CONFIRM_GONE : RCO_CONFIRM_DONE, &result);
	if (rc == RCO_PENDING)
		return rc;
	s->work.step = STEP_NONE;
	if (step == STEP_OPEN)
		return after_open(s, rc);
	return step == STEP_APPEND ? after_append(s, rc) : after_discard(s, rc);
}

/* A call of this process has its key in memory. A piece that does not fit behind what a buffer has that had
 * forgotten the recording, and opened it again, will never fit. */
static int is_lost(const rco_session *s, int rc)
{
	return (rc == RCO_E_KEY && s->recovered) || (rc == RCO_E_INVALID && s->work.buffer.forgot);
}

static int run_step(rco_session *s, uint32_t step)
{
	int rc = one_step(s, step);

	return step == STEP_APPEND && is_lost(s, rc) ? one_step(s, STEP_DISCARD) : rc;
}

static int drain_leg(rco_session *s, uint32_t leg)
{
	rco__leg *l = &s->legs[leg];
	rco__ring *ring;
	int rc = RCO_OK;

	while (rc == RCO_OK) {
		ring = rco__leg_ring(s, leg);
		if (ring == NULL || next_in(s, l, ring).size == 0)
			return RCO_OK;
		/* Once opted out nothing more is handed on (P2). */
		if (rco__opted_out(s) && !atomic_load(&s->control.hold))
			return RCO_OK;
		if (!s->work.buffer.opened) {
			rc = run_step(s, STEP_OPEN);
			continue;
		}
		rc = take_piece(s, leg, ring);
		if (rc == RCO_OK)
			rc = run_step(s, STEP_APPEND);
	}
	return rc;
}

/* ---- many legs at once ---- */

struct rco__pieces {
	rco__append append[RCO__APPEND_MANY];
	rco_session *of[RCO__APPEND_MANY];
	uint32_t n;
	size_t copied; /* to the scratch */
};

static rco__pieces *no_pieces(rco__shard *shard)
{
	const rco__env *env = &shard->engine->env;

	if (shard->ahead == NULL)
		shard->ahead = rco__alloc(env, sizeof *shard->ahead);
	if (shard->scratch == NULL)
		shard->scratch = rco__alloc(env, RCO__SCRATCH);
	if (shard->ahead == NULL || shard->scratch == NULL)
		return NULL;
	shard->ahead->n = 0;
	shard->ahead->copied = 0;
	return shard->ahead;
}

/* What is to be appended next for a leg: as it lies in the ring, or out of it if it wraps. */
static void gather_leg(rco_session *s, uint32_t leg, rco__pieces *p)
{
	const rco__pool *pool = s->engine->pool;
	rco__ring *ring = rco__leg_ring(s, leg);
	rco__leg *l = &s->legs[leg];
	rco_chunk *c = &p->append[p->n].chunk;
	size_t size, at, capacity;
	rco__stretch next;

	/* What was tried before has to be tried again as it was. What has gaps is more than one piece. */
	if (ring == NULL || l->held < l->lost_end || l->tried > l->held)
		return;
	next = next_in(s, l, ring);
	if (next.size == 0 || next.size > RCO__SCRATCH - p->copied || rco__gaps_any(rco__pool_gaps(pool, ring)))
		return;
	size = (size_t)next.size;
	capacity = rco__pool_capacity(pool, ring);
	at = (size_t)(next.index & (capacity - 1));
	memset(c, 0, sizeof *c);
	c->struct_size = (uint32_t)sizeof *c;
	memcpy(c->recording_id, s->recording_id, 16);
	c->leg = leg;
	c->format = l->format;
	c->position_bytes = l->held;
	c->time_us = rco__wall_us(&s->engine->env);
	c->data = rco__pool_data(pool, ring) + at;
	c->size_bytes = size;
	if (size > capacity - at) {
		copy_out(pool, ring, next.index, shard_of(s)->scratch + p->copied, size);
		c->data = shard_of(s)->scratch + p->copied;
		p->copied += size;
	}
	l->tried = l->held + size;
	p->of[p->n++] = s;
}

static void gather_session(rco_session *s, rco__pieces *p)
{
	uint32_t i, n = atomic_load(&s->n_legs);

	if (!s->work.buffer.opened || s->work.op != 0 || atomic_load(&s->work.attempt) > 0 ||
	    !rco__session_live(s))
		return;
	for (i = 0; i < n; i++)
		gather_leg(s, i, p);
}

static void settle(rco__shard *shard, const rco__pieces *p)
{
	uint32_t i;

	for (i = 0; i < p->n; i++) {
		const rco_chunk *c = &p->append[i].chunk;
		rco__leg *l = &p->of[i]->legs[c->leg];
		rco__ring *ring = rco__leg_ring(p->of[i], c->leg);

		if (p->append[i].rc != RCO_OK)
			continue;
		l->held += c->size_bytes;
		l->ahead = 1;
		told(p->of[i], l, ring);
		atomic_store_explicit(&shard->appended, 1, memory_order_relaxed);
	}
}

uint32_t rco__drain_ahead(rco__shard *shard)
{
	rco__pieces *p = no_pieces(shard);
	rco__link *link = shard->turn.next;
	uint32_t sessions = 0;

	if (p == NULL)
		return 1;
	for (; link != &shard->turn && p->n + RCO_MAX_LEGS <= RCO__APPEND_MANY; link = link->next) {
		gather_session(rco__shard_session(link), p);
		sessions++;
	}
	if (p->n > 0) {
		rco__spool_append_many(shard->engine->spool, p->append, p->n);
		rco_memzero(shard->scratch, p->copied);
		rco__clear_registers(); /* it came here by way of them */
		settle(shard, p);
	}
	return sessions;
}

/* It is empty but for what came since, which is the next beat's; not if there is none. */
static int emptied(rco_session *s, rco__leg *l)
{
	uint32_t ahead = l->ahead;

	l->ahead = 0;
	return ahead && !atomic_load(&s->control.ended) && !atomic_load(&s->engine->closing);
}

static void notify_overflow(rco_session *s, uint32_t leg)
{
	rco__leg *l = &s->legs[leg];
	rco__ring *ring = rco__leg_ring(s, leg);
	uint64_t now = ring != NULL ? atomic_load(&ring->overflowed) : l->overflow_told;

	if (now == l->overflow_told)
		return;
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, RCO_EVENT_OVERFLOW, RCO_E_OVERFLOW, now - l->overflow_told,
	                 "%llu frames of leg \"%s\" refused", (unsigned long long)(now - l->overflow_told),
	                 l->label);
	(void)pthread_mutex_unlock(&s->lock);
	l->overflow_told = now;
}

int rco__drain(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	int rc = rco__buffer_here(s);

	if (s->work.op != 0)
		rc = run_step(s, s->work.step);
	for (i = 0; i < n && rc == RCO_OK; i++) {
		rc = emptied(s, &s->legs[i]) ? RCO_OK : drain_leg(s, i);
		notify_overflow(s, i);
	}
	return rc;
}

int rco__rings_done(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);

	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		if (ring != NULL && next_in(s, &s->legs[i], ring).size != 0)
			return 0;
	}
	return 1;
}

void rco__rings_wipe(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	int all = 1;

	if (s->work.rings_wiped)
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
	s->work.rings_wiped = (uint32_t)all;
}

/* What stays of a ring in the counts of its leg. */
static void keep_counts(const rco_session *s, rco__leg *l, rco__ring *ring)
{
	atomic_store(&l->total, rco__ring_end(ring));
	atomic_store(&l->gaps, atomic_load(&ring->gaps));
	atomic_store(&l->late, atomic_load(&rco__pool_gaps(s->engine->pool, ring)->late));
	atomic_store(&l->frames, atomic_load(&ring->frames));
	atomic_store(&l->overflowed, atomic_load(&ring->overflowed));
}

/* The gate is shut for good: who comes now counts nothing. Who is inside may not have counted its frame yet. */
static int give_back(rco_session *s, rco__leg *l)
{
	if (rco__ring_busy(l->leaving))
		return RCO_PENDING;
	keep_counts(s, l, l->leaving);
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
			keep_counts(s, l, ring);
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
