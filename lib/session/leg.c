/* SPDX-License-Identifier: MIT */
/* Legs: their rings, and whether their gates are open. */
#include "calls.h"
#include "core.h"
#include "journal.h"

#include "../media/format.h"

#include <stdio.h>
#include <string.h>

enum { MIN_RING_MS = 1000 };

/* It outlasts every other reason. */
static void stop_gates(rco_session *s, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		if (ring != NULL)
			rco__gate_stop(&ring->gate);
	}
}

/* Lock held: what the next process is to know of, were this one to be killed before anything is on disk. */
void rco__gates_note(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	uint8_t note[RCO__NOTE_BYTES] = {0};
	rco__cursor c;

	rco__cursor_writer(&c, note, sizeof note);
	rco__w8(&c, s->control.ended ? RCO__NOTE_V1 | RCO__NOTE_ENDED : RCO__NOTE_V1);
	rco__w64(&c, (uint64_t)s->control.receipt.requested_us);
	rco__w64(&c, (uint64_t)s->control.receipt.stopped_us);
	rco__w32(&c, s->control.receipt.facts);
	rco__wstr(&c, s->control.receipt.source);
	for (i = 0; i < n && !c.failed; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		if (ring != NULL)
			rco__pool_note(s->engine->pool, ring, note);
	}
}

/* Stop for good, or open the gates, or leave them shut with the reason. Lock held. */
void rco__gates_set(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	int open =
		s->control.started_us != 0 && !s->control.paused && !s->control.ended && s->control.consent != 2;
	int why = s->control.ended             ? RCO_E_ENDED
	          : s->control.consent == 2    ? RCO_E_NO_CONSENT
	          : s->control.started_us == 0 ? (s->control.start_asked ? RCO_E_NO_CONSENT : RCO_E_NOT_STARTED)
	                                       : RCO_E_PAUSED;

	if (rco__opted_out(s)) {
		stop_gates(s, n);
		return;
	}
	atomic_store(&s->why_shut, why);
	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		if (ring == NULL)
			continue;
		if (open)
			rco__gate_unshut(&ring->gate);
		else
			rco__gate_shut(&ring->gate);
	}
}

static int add_leg_locked(rco_session *s, const char *label, uint32_t format, rco__leg *legs, uint32_t *leg)
{
	uint32_t n = atomic_load(&s->n_legs), i;
	uint8_t meta[RCO_META_MAX];
	size_t meta_size = rco__session_meta(s, meta);
	rco__ring *ring;
	int rc;

	if (rco__opted_out(s))
		return rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", s->call_id);
	if (s->control.ended)
		return rco__fail(RCO_E_ENDED, "call %s has ended", s->call_id);
	if (n == RCO_MAX_LEGS)
		return rco__fail(RCO_E_LIMIT, "a call has at most %d legs", (int)RCO_MAX_LEGS);
	for (i = 0; i < n; i++)
		if (strcmp(s->legs[i].label, label) == 0)
			return rco__fail(RCO_E_INVALID, "call %s has a leg \"%s\" already", s->call_id, label);
	if (s->legs == NULL)
		s->legs = legs;
	rc = rco__pool_get(s->engine->pool,
	                   (size_t)rco_format_rate_hz(format) * rco_format_sample_bytes(format) * MIN_RING_MS /
	                           1000,
	                   s->recording_id, n, format, label, meta, meta_size, &ring);
	if (rc != RCO_OK)
		return rc;
	s->legs[n].format = format;
	s->legs[n].sample_bytes = rco_format_sample_bytes(format);
	(void)snprintf(s->legs[n].label, sizeof s->legs[n].label, "%s", label);
	atomic_store(&s->rings[n], rco__pool_ref(s->engine->pool, ring));
	atomic_store(&s->n_legs, n + 1);
	rco__gates_set(s);
	*leg = n;
	return RCO_OK;
}

int rco_session_add_leg(rco_session *session, const char *label, uint32_t format, uint32_t *leg)
{
	int rc = rco__session_check(session);
	rco__leg *legs;
	int unused;

	if (rc != RCO_OK)
		return rc;
	if (leg == NULL || !rco__label_ok(label, 0))
		return rco__fail(RCO_E_INVALID,
		                 "the label of a leg is 1 to 31 of [a-z0-9_-], and leg is not NULL");
	if (rco__format_of(format) == NULL)
		return rco__fail(RCO_E_FORMAT, "audio format %u is not known", (unsigned)format);
	legs = rco__zalloc(&session->engine->env, RCO_MAX_LEGS, sizeof *legs);
	if (legs == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for legs");
	(void)pthread_mutex_lock(&session->lock);
	rc = add_leg_locked(session, label, format, legs, leg);
	unused = session->legs != legs;
	(void)pthread_mutex_unlock(&session->lock);
	if (unused)
		rco__release(&session->engine->env, legs);
	if (rc == RCO_OK && rco__journal_leg(session, *leg) != RCO_OK)
		rco__log(&session->engine->env, RCO_LOG_WARN, "%s: leg \"%s\" is not in the journal: %s",
		         session->call_id, label, rco_error_detail());
	if (rc == RCO_OK)
		rco__session_wake(session);
	return rc;
}
