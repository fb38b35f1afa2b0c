/* SPDX-License-Identifier: MIT */
/*
 * The media thread's path: no system call, no lock, no allocation, no waiting.
 *
 * `pushing` is set with a sequentially consistent exchange before the ring and
 * its gate are looked at. Whoever wants to wipe the ring sets the gate's bit
 * first and then looks at `pushing`: one of the two sees the other. So a thread
 * that was preempted in here keeps its ring from being given to another call,
 * and delays nobody but the wiping.
 */
#include "internal.h"

#include <string.h>

static void copy_in(rco__leg *leg, uint64_t index, const uint8_t *data, size_t size)
{
	size_t at = (size_t)(index & (leg->capacity - 1)), first = (size_t)leg->capacity - at;

	if (first > size)
		first = size;
	memcpy(leg->data + at, data, first);
	memcpy(leg->data, data + first, size - first);
}

/* A frame that was copied and then not accepted must not stay behind. */
static void wipe(rco__leg *leg, uint64_t index, size_t size)
{
	size_t at = (size_t)(index & (leg->capacity - 1)), first = (size_t)leg->capacity - at;

	if (first > size)
		first = size;
	rco_memzero(leg->data + at, first);
	rco_memzero(leg->data, size - first);
}

static int refusal(rco_session *session, uint64_t gate)
{
	int why = atomic_load_explicit(&session->why_shut, memory_order_relaxed);

	if (gate & RCO__GATE_STOP)
		return RCO_E_OPTED_OUT;
	return why != RCO_OK ? why : RCO_E_PAUSED;
}

static int push(rco_session *session, rco__leg *leg, rco__ring *ring, const uint8_t *data, size_t size)
{
	uint64_t gate = rco__gate_load(&ring->gate);

	if (gate & (RCO__GATE_STOP | RCO__GATE_SHUT))
		return refusal(session, gate);
	if (size > leg->capacity - (gate - atomic_load_explicit(&ring->read, memory_order_acquire))) {
		atomic_fetch_add_explicit(&ring->overflowed, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&session->engine->overflowed, 1, memory_order_relaxed);
		return RCO_E_OVERFLOW;
	}
	copy_in(leg, gate, data, size);
	if (!rco__gate_commit(&ring->gate, &gate, size)) {
		/* Only a bit can have been set: there is one producer. The index is as it was. */
		wipe(leg, gate & RCO__GATE_INDEX, size);
		return refusal(session, gate);
	}
	atomic_store_explicit(&ring->frames, atomic_load_explicit(&ring->frames, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
	return RCO_OK;
}

int rco_session_push(rco_session *session, uint32_t leg, uint32_t format, const void *data, size_t size_bytes)
{
	rco__ring *ring;
	rco__leg *l;
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
	l = &session->legs[leg];
	if (format != l->format)
		return RCO_E_FORMAT;
	if (size_bytes == 0 || size_bytes > l->capacity || (size_bytes & (l->sample_bytes - 1)) != 0)
		return RCO_E_FRAME;
	if (atomic_exchange(&l->pushing, 1) != 0)
		return RCO_E_BUSY;
	ring = atomic_load(&l->ring);
	if (ring != NULL)
		rc = push(session, l, ring, data, size_bytes);
	else if (atomic_load(&session->magic) != RCO__MAGIC_SESSION)
		rc = RCO_E_HANDLE;
	else
		rc = refusal(session, atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT ? RCO__GATE_STOP : 0);
	atomic_store_explicit(&l->pushing, 0, memory_order_release);
	return rc;
}
