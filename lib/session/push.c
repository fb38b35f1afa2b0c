/* SPDX-License-Identifier: MIT */
/*
 * The media thread's path: no system call, no lock, no allocation, no waiting.
 *
 * Two cache lines besides the frame's own: the beginning of the session, and
 * the ring. The ring's door keeps a second thread out, and whoever comes with
 * the reference of a call that is over. Whoever wants to wipe the ring sets the
 * gate's bit first and then looks at the door: one of the two sees the other.
 * So a thread that was preempted in here keeps its ring from being given to
 * another call, and delays nobody but the wiping.
 */
#include "internal.h"

#include <string.h>

enum { LINE = 64, LINES_AHEAD = 6 }; /* 20 ms of 16-bit audio at 8 kHz */

/*
 * Of ten thousand calls none is in the nearest cache when its frame comes. So
 * the memory of the next frame is asked for now, when nobody waits for it.
 */
static inline void fetch_ahead(const rco__ring *ring, const uint8_t *audio, uint64_t index, size_t size)
{
	const uint8_t *to = audio + (index & (ring->capacity - 1));
	size_t i;

	/* Behind the ring's end this asks for a line of a neighbour, which does no harm. */
	for (i = 0; i < LINES_AHEAD && i * LINE < size; i++)
		__builtin_prefetch(to + i * LINE, 1);
}

static inline void copy_in(const rco__ring *ring, uint8_t *audio, uint64_t index, const uint8_t *data, size_t size)
{
	size_t at = (size_t)(index & (ring->capacity - 1)), first = (size_t)ring->capacity - at;

	if (first >= size) {
		memcpy(audio + at, data, size);
		return;
	}
	memcpy(audio + at, data, first);
	memcpy(audio, data + first, size - first);
}

/* A frame that was copied and then not accepted must not stay behind. */
static void wipe(const rco__ring *ring, uint8_t *audio, uint64_t index, size_t size)
{
	size_t at = (size_t)(index & (ring->capacity - 1)), first = (size_t)ring->capacity - at;

	if (first > size)
		first = size;
	rco_memzero(audio + at, first);
	rco_memzero(audio, size - first);
}

static int refusal(rco_session *session, uint64_t gate)
{
	int why = atomic_load_explicit(&session->why_shut, memory_order_relaxed);

	if (gate & RCO__GATE_STOP)
		return RCO_E_OPTED_OUT;
	return why != RCO_OK ? why : RCO_E_PAUSED;
}

/* There is no ring, any more or yet. */
static int no_ring(rco_session *session)
{
	if (atomic_load(&session->magic) != RCO__MAGIC_SESSION)
		return RCO_E_HANDLE;
	return refusal(session, atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT ? RCO__GATE_STOP : 0);
}

static int overflow(rco_session *session, rco__ring *ring)
{
	atomic_fetch_add_explicit(&ring->overflowed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&session->engine->overflowed, 1, memory_order_relaxed);
	return RCO_E_OVERFLOW;
}

static inline int push(rco_session *session, rco__ring *ring, uint8_t *audio, const uint8_t *data, size_t size)
{
	uint64_t gate = rco__gate_load(&ring->gate);

	if (gate & (RCO__GATE_STOP | RCO__GATE_SHUT))
		return refusal(session, gate);
	if (size > ring->capacity - (gate - ring->seen)) {
		ring->seen = atomic_load_explicit(&ring->read, memory_order_acquire);
		if (size > ring->capacity - (gate - ring->seen))
			return overflow(session, ring);
	}
	copy_in(ring, audio, gate, data, size);
	if (!rco__gate_commit(&ring->gate, &gate, size)) {
		/* Only a bit can have been set: there is one producer. The index is as it was. */
		wipe(ring, audio, gate & RCO__GATE_INDEX, size);
		return refusal(session, gate);
	}
	atomic_store_explicit(&ring->frames, atomic_load_explicit(&ring->frames, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
	fetch_ahead(ring, audio, gate + size, size);
	return RCO_OK;
}

int rco_session_push(rco_session *session, uint32_t leg, uint32_t format, const void *data, size_t size_bytes)
{
	rco__ring_ref ref;
	rco__ring *ring;
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
		return atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT ? RCO_E_OPTED_OUT : RCO_E_INVALID;
	ref = atomic_load_explicit(&session->rings[leg], memory_order_acquire);
	ring = rco__ring_of(&session->engine->map, ref);
	if (ring == NULL)
		return no_ring(session);
	if (!rco__ring_enter(ring, ref))
		return atomic_load(&session->rings[leg]) == ref ? RCO_E_BUSY : no_ring(session);
	if (format != ring->format)
		rc = RCO_E_FORMAT;
	else if (size_bytes == 0 || size_bytes > ring->capacity || (size_bytes & (ring->sample_bytes - 1)) != 0)
		rc = RCO_E_FRAME;
	else
		rc = push(session, ring, session->engine->map.audio + ((uint32_t)ref - 1) * (size_t)RCO__POOL_UNIT,
		          data, size_bytes);
	rco__ring_leave(ring, ref);
	return rc;
}
