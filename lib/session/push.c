/* SPDX-License-Identifier: MIT */
/*
 * The media thread's path: no system call, no lock, no allocation, no waiting.
 *
 * Two cache lines besides the frame's own: the beginning of the session, and
 * the ring; those with its gaps only when there is one. The ring's entry word keeps a second thread out, and a
 * thread that comes with the reference of a call that is over. The thread that wants to wipe the ring sets the
 * gate's bit first and then looks at the entry word: one of the two sees the other.
 * So a thread that was preempted in here keeps its ring from being given to
 * another call, and delays nobody but the wiping.
 */
#include "state.h"

#include "../base/thread.h"

#include <string.h>

/* `capacity` comes from the reference, which is private, and so bounds what the shared memory may say. */
static inline void copy_in(size_t capacity, uint8_t *audio, uint64_t index, const uint8_t *data, size_t size)
{
	size_t at = (size_t)(index & (capacity - 1)), first = capacity - at;

	if (first >= size) {
		memcpy(audio + at, data, size);
		return;
	}
	memcpy(audio + at, data, first);
	memcpy(audio, data + first, size - first);
}

/* A frame that was copied and then not accepted must not stay behind. */
static void wipe(size_t capacity, uint8_t *audio, uint64_t index, size_t size)
{
	size_t at = (size_t)(index & (capacity - 1)), first = capacity - at;

	if (first > size)
		first = size;
	rco_memzero(audio + at, first);
	rco_memzero(audio, size - first);
}

static int refusal(rco_session *session, uint64_t gate)
{
	int why = atomic_load_explicit(&session->why_shut, memory_order_relaxed);

	if (gate & RCO__GATE_STOP) {
		rco__clear_registers(); /* which may have the frames before it (P4) */
		return RCO_E_OPTED_OUT;
	}
	return why != RCO_OK ? why : RCO_E_PAUSED;
}

/* There is no ring, any more or yet. */
static int no_ring(rco_session *session)
{
	if (atomic_load(&session->magic) != RCO__MAGIC_SESSION)
		return RCO_E_HANDLE;
	return refusal(session, rco__opted_out(session) ? RCO__GATE_STOP : 0);
}

static int overflow(rco_session *session, rco__ring *ring)
{
	atomic_fetch_add_explicit(&ring->overflowed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&session->engine->overflowed, 1, memory_order_relaxed);
	return RCO_E_OVERFLOW;
}

/* Is there no room for it behind `gate`, as far as the consumer is known to have come? */
static inline int full(const rco__ring *ring, size_t capacity, uint64_t gate, size_t size)
{
	uint64_t held = gate - ring->seen;

	return held > capacity || size > capacity - held;
}

/* What a frame is to be put into. */
typedef struct place {
	rco__ring *ring;
	uint8_t *audio;
	size_t capacity;
} place;

static inline int push(rco_session *session, place p, const uint8_t *data, size_t size)
{
	uint64_t gate = rco__gate_load(&p.ring->gate);

	if (gate & (RCO__GATE_STOP | RCO__GATE_SHUT))
		return refusal(session, gate);
	if (full(p.ring, p.capacity, gate, size)) {
		p.ring->seen = atomic_load_explicit(&p.ring->read, memory_order_acquire);
		if (full(p.ring, p.capacity, gate, size))
			return overflow(session, p.ring);
	}
	copy_in(p.capacity, p.audio, gate, data, size);
	if (!rco__gate_commit(&p.ring->gate, &gate, size)) {
		/* Only a bit can have been set: there is one producer. The index is as it was. */
		wipe(p.capacity, p.audio, gate & RCO__GATE_INDEX, size);
		return refusal(session, gate);
	}
	atomic_store_explicit(&p.ring->frames, atomic_load_explicit(&p.ring->frames, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
	return RCO_OK;
}

/* The same at a position. Not inline: who pushes without one is not to carry it along. */
static __attribute__((noinline)) int push_at(rco_session *session, place p, const uint8_t *data, size_t size,
                                             rco__gaps *gaps, uint64_t position)
{
	uint64_t gate = rco__gate_load(&p.ring->gate), at = position * p.ring->sample_bytes;
	uint64_t before = atomic_load_explicit(&p.ring->gaps, memory_order_relaxed), end = gate + before;
	int rc;

	if (gate & (RCO__GATE_STOP | RCO__GATE_SHUT))
		return refusal(session, gate);
	if (position > RCO__GATE_INDEX / 2 || at < end || (at > end && at - end > rco__gap_max(p.ring->format))) {
		atomic_fetch_add_explicit(&gaps->late, 1, memory_order_relaxed);
		return RCO_E_POSITION;
	}
	if (at == end)
		return push(session, p, data, size);
	if (!rco__gaps_add(gaps, gate, before, at - end)) /* it counts when the frame behind it does */
		return overflow(session, p.ring);
	rc = push(session, p, data, size);
	if (rc == RCO_OK)
		atomic_store_explicit(&p.ring->gaps, before + (at - end), memory_order_relaxed);
	else
		rco__gaps_undo(gaps);
	return rc;
}

static inline uint8_t *audio_of(const rco_session *session, rco__ring_ref ref)
{
	return session->engine->map.audio + rco__ring_number(ref) * (size_t)RCO__POOL_UNIT;
}

static inline int push_frame(rco_session *session, uint32_t leg, uint32_t format, const void *data,
                             size_t size_bytes, uint64_t position)
{
	rco__ring_ref ref;
	rco__ring *ring;
	place p;
	int rc;

	/* No detail text here: the codes say it all, and a media thread has no time for sentences. */
	if (session == NULL || data == NULL)
		return RCO_E_INVALID;
	if (atomic_load_explicit(&session->magic, memory_order_relaxed) != RCO__MAGIC_SESSION)
		return RCO_E_HANDLE;
	if (*session->engine->alive == 0)
		return RCO_E_FORKED;
	if (leg >=
	    atomic_load_explicit(&session->n_legs, memory_order_acquire)) /* or never made, being born opted out */
		return rco__opted_out(session) ? RCO_E_OPTED_OUT : RCO_E_INVALID;
	ref = atomic_load_explicit(&session->rings[leg], memory_order_acquire);
	ring = rco__ring_of(&session->engine->map, ref);
	if (ring == NULL)
		return no_ring(session);
	if (!rco__ring_enter(ring, ref))
		return atomic_load(&session->rings[leg]) == ref ? RCO_E_BUSY : no_ring(session);
	p = (place){ring, audio_of(session, ref), rco__ring_capacity(ref)};
	if (format != ring->format)
		rc = RCO_E_FORMAT;
	else if (size_bytes == 0 || size_bytes > p.capacity || (size_bytes & (ring->sample_bytes - 1)) != 0)
		rc = RCO_E_FRAME;
	else if (position == RCO_POSITION_NEXT)
		rc = push(session, p, data, size_bytes);
	else
		rc = push_at(session, p, data, size_bytes, session->engine->map.gaps + rco__ring_number(ref),
		             position);
	rco__ring_leave(ring, ref);
	return rc;
}

/* ---- many calls at once ---- */

/*
 * A frame needs three places in memory, each found by way of the one before:
 * session, ring, audio. So three frames ahead of each other are fetched at
 * three distances. What is looked at here may change under way, or be over; it
 * decides nothing but what is fetched.
 */
enum { SESSION_AHEAD = 24, RING_AHEAD = 16, AUDIO_AHEAD = 8 };

static inline rco__ring *ring_of(const rco_frame *frame, rco__ring_ref *ref)
{
	const rco_session *s = frame->session;

	if (s == NULL || frame->leg >= RCO_MAX_LEGS ||
	    atomic_load_explicit(&((rco_session *)(uintptr_t)s)->magic, memory_order_relaxed) !=
	            RCO__MAGIC_SESSION ||
	    *s->engine->alive == 0)
		return NULL;
	*ref = atomic_load_explicit(&((rco_session *)(uintptr_t)s)->rings[frame->leg], memory_order_relaxed);
	return rco__ring_of(&s->engine->map, *ref);
}

static inline void fetch_ring(const rco_frame *frame)
{
	rco__ring_ref ref;
	rco__ring *ring = ring_of(frame, &ref);

	if (ring != NULL)
		__builtin_prefetch(ring, 1);
}

enum { LINE = 64, LINES_AHEAD = 6 }; /* 20 ms of 16-bit audio at 8 kHz */

static inline void fetch_place(size_t capacity, const uint8_t *audio, uint64_t index, size_t size)
{
	const uint8_t *to = audio + (index & (capacity - 1));
	size_t i;

	/* Behind the ring's end this asks for a line of a neighbour, which does no harm. */
	for (i = 0; i < LINES_AHEAD && i * LINE < size; i++)
		__builtin_prefetch(to + i * LINE, 1);
}

static inline void fetch_audio(const rco_frame *frame)
{
	rco__ring_ref ref;
	rco__ring *ring = ring_of(frame, &ref);

	if (ring != NULL)
		fetch_place(rco__ring_capacity(ref), audio_of(frame->session, ref),
		            atomic_load_explicit(&ring->gate, memory_order_relaxed), frame->size_bytes);
}

int32_t rco_frames_push(rco_frame *frames, uint32_t count)
{
	int32_t accepted = 0;
	uint32_t i;

	if (frames == NULL && count > 0)
		return RCO_E_INVALID;
	for (i = 0; i < count; i++) {
		rco_frame *f = &frames[i];

		if (count - i > SESSION_AHEAD)
			__builtin_prefetch(f[SESSION_AHEAD].session, 0);
		if (count - i > RING_AHEAD)
			fetch_ring(&f[RING_AHEAD]);
		if (count - i > AUDIO_AHEAD)
			fetch_audio(&f[AUDIO_AHEAD]);
		/* What a later library means by them nobody here knows. */
		f->result = (f->flags | f->reserved) != 0 ? (int32_t)RCO_E_NEWER
		                                          : push_frame(f->session, f->leg, f->format, f->data,
		                                                       f->size_bytes, f->position);
		accepted += f->result == RCO_OK;
	}
	return accepted;
}

int rco_session_push(rco_session *session, uint32_t leg, uint32_t format, const void *data, size_t size_bytes)
{
	return push_frame(session, leg, format, data, size_bytes, RCO_POSITION_NEXT);
}
