/* SPDX-License-Identifier: MIT */
/* What a session and an engine tell about themselves. */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "peer.h"
#include "work.h"

#include <string.h>

static const size_t session_v1_size = RCO__SIZE_THROUGH(rco_session_stats, recording_id);
static const size_t engine_v1_size = RCO__SIZE_THROUGH(rco_engine_stats, ring_bytes_free);

uint32_t rco__session_state(rco_session *s)
{
	if (rco__opted_out(s))
		return RCO_STATE_OPTED_OUT; /* what follows is the receipt's to tell */
	if (s->work.phase == RCO__PHASE_DONE)
		return s->control.started_us != 0 && (rco__session_bytes(s) > 0 || s->recorder.ops.start != NULL)
		               ? RCO_STATE_STORED
		               : RCO_STATE_CLOSED;
	if (s->work.phase >= RCO__PHASE_BEGIN)
		return RCO_STATE_UPLOADING;
	if (s->control.ended)
		return RCO_STATE_ENDED;
	if (s->control.started_us == 0)
		return RCO_STATE_IDLE;
	return s->control.paused ? RCO_STATE_PAUSED : RCO_STATE_RECORDING;
}

/* Lock held. */
static rco__recording recording(const rco_session *s)
{
	int stopped = rco__opted_out(s) || s->control.ended;

	const rco_session *p;

	for (p = s; p != NULL; p = p->earlier)
		if (rco__recorder_lost(p)) /* for all that is known it goes on */
			return RCO__RECORDING_ON;
	if (s->recorder.ops.start != NULL) {
		if (rco__recorder_stopped(s))
			return RCO__RECORDING_NOT;
		return s->recorder.paused && !stopped ? RCO__RECORDING_PAUSED : RCO__RECORDING_ON;
	}
	if (stopped || s->control.started_us == 0) /* a refusal is an objection */
		return RCO__RECORDING_NOT;
	return s->control.paused ? RCO__RECORDING_PAUSED : RCO__RECORDING_ON;
}

int rco__session_recording(rco_session *session, rco__recording *is)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	*is = recording(session);
	(void)pthread_mutex_unlock(&session->lock);
	return RCO_OK;
}

int rco_session_get_stats(rco_session *session, rco_session_stats *stats)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	int rc = rco__session_check(session);
	uint32_t i;

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	st.state = rco__session_state(session);
	st.legs = atomic_load(&session->n_legs);
	st.created_us = session->control.created_us;
	st.started_us = session->control.started_us;
	st.ended_us = session->control.ended_us;
	st.stopped_us = session->control.receipt.stopped_us;
	st.accepted_bytes = rco__session_bytes(session);
	memcpy(st.recording_id, session->recording_id, 16);
	for (i = 0; i < st.legs; i++) {
		rco__ring *ring = rco__leg_ring(session, i);

		st.accepted_frames +=
			ring != NULL ? atomic_load(&ring->frames) : atomic_load(&session->legs[i].frames);
		st.overflowed_frames +=
			ring != NULL ? atomic_load(&ring->overflowed) : atomic_load(&session->legs[i].overflowed);
		st.buffered_bytes +=
			ring != NULL ? atomic_load(&ring->read)
				     : atomic_load(&session->legs[i].total) - atomic_load(&session->legs[i].gaps);
		st.late_frames += ring != NULL ? atomic_load(&rco__pool_gaps(session->engine->pool, ring)->late)
		                               : atomic_load(&session->legs[i].late);
		st.gap_bytes += ring != NULL ? atomic_load(&ring->gaps) : atomic_load(&session->legs[i].gaps);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rco__struct_fill(stats, &st, sizeof st, session_v1_size, "rco_session_stats");
}

int rco_session_call_record(rco_session *session, char *buf, size_t cap, size_t *len)
{
	int rc = rco__session_check(session);
	char *text;
	size_t size;

	if (rc != RCO_OK)
		return rc;
	if (len == NULL || (buf == NULL && cap > 0))
		return rco__fail(RCO_E_INVALID, "buf or len is NULL");
	rc = rco__call_record(session, &text, &size);
	if (rc != RCO_OK)
		return rc;
	*len = size;
	if (size + 1 > cap)
		rc = rco__fail(RCO_E_LIMIT, "the call record needs %zu bytes", size + 1);
	else
		memcpy(buf, text, size + 1);
	rco__release(&session->engine->env, text);
	return rc;
}

/* ---- engine ---- */

int rco_engine_public_key(rco_engine *engine, uint8_t key[32])
{
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (key == NULL)
		return rco__fail(RCO_E_INVALID, "key is NULL");
	rco__signer_public(engine->signer, key);
	return RCO_OK;
}

/* Session's lock held. */
static void count_session(rco_session *s, rco_engine_stats *st)
{
	uint32_t facts = s->control.receipt.facts, phase = atomic_load(&s->work.phase);
	int out = rco__opted_out(s);

	if (!s->control.ended &&
	    (!s->recovered || !s->control.end_unknown)) { /* an earlier part of a call is none of its own */
		st->sessions_open++;
		st->sessions_recording += s->control.started_us != 0 && !out;
	}
	if (!out) {
		st->uploads_pending += s->control.ended && phase < RCO__PHASE_DONE;
		return;
	}
	st->tombstones_waiting += !(facts & RCO_FACT_DURABLE);
	if (s->control.hold) {
		st->holds++;
		return;
	}
	st->erasures_pending += !(facts & RCO_FACT_VERIFIED) || !(facts & RCO_FACT_STOPPED);
	st->erasures_escalated +=
		(facts & RCO_FACT_ESCALATED) && (!(facts & RCO_FACT_VERIFIED) || !(facts & RCO_FACT_STOPPED));
}

int rco_engine_get_stats(rco_engine *engine, rco_engine_stats *stats)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	int rc = rco__engine_check(engine);
	rco_session *s;

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&engine->reg_lock);
	for (s = engine->all; s != NULL; s = s->all_next) {
		(void)pthread_mutex_lock(&s->lock);
		count_session(s, &st);
		(void)pthread_mutex_unlock(&s->lock);
	}
	st.opt_outs_early = engine->early.count;
	st.tombstones_waiting += engine->early_unsynced;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	st.frames_overflowed = atomic_load(&engine->overflowed);
	st.quarantined_files = atomic_load(&engine->quarantined);
	st.ring_bytes_total = rco__pool_bytes(engine->pool);
	st.ring_bytes_free = rco__pool_free_bytes(engine->pool);
	return rco__struct_fill(stats, &st, sizeof st, engine_v1_size, "rco_engine_stats");
}
