/* SPDX-License-Identifier: MIT */
/*
 * How an opt-out takes hold: latch and stop, then the tombstone. Nothing on the way to "stopped" allocates, waits
 * or can fail. Those who ask, and all that is done about the call, comes to it from above.
 */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "journal.h"

#include <stdio.h>
#include <string.h>

/* ---- latch ---- */

/* Lock held. Of what an earlier process started nobody here can ask a stop, and nobody would hear of it otherwise.
 */
void rco__recorder_lost_notify(rco_session *s)
{
	rco__event_queue(
		s, RCO_EVENT_STOP_FAILED, RCO_E_CALLBACK, 0,
		"an earlier process started its recorder, which nobody here can stop: see to it, and say so "
		"with rco_engine_recorder_stopped()");
}

/* Lock of `s` held: what that means for the earlier parts of the call. */
static void latch_earlier(rco_session *s, const char *source)
{
	rco_session *p = s->earlier;

	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->lock);
	if (!rco__opted_out(p))
		(void)rco__opt_out_latch(p, source); /* and its earlier ones */
	if (s->control.ended) /* while a legal hold keeps it, it is stored as the other is */
		p->control.window_mono_us = s->control.window_mono_us;
	(void)pthread_mutex_unlock(&p->lock);
	rco__session_look_at_once(p);
}

int rco__opt_out_latch(rco_session *s, const char *source)
{
	uint32_t none = 0;

	if (s->control.ended && rco__mono_us(&s->engine->env) >= s->control.window_mono_us)
		return rco__fail(RCO_E_ENDED, "call %s has ended, and its window for a late opt-out has passed",
		                 s->call_id);
	if (!atomic_compare_exchange_strong(&s->latch, &none, RCO__LATCH_OPTED_OUT))
		return rco__fail(RCO_E_ENDED, "call %s has ended", s->call_id);
	rco__gates_set(s); /* the stop bits, before anything that takes time, even a look at the clock */
	latch_earlier(s, source);
	s->control.receipt.requested_us = rco__wall_us(&s->engine->env);
	(void)snprintf(s->control.receipt.source, sizeof s->control.receipt.source, "%s", source);
	s->control.receipt.facts |= (rco__was_recorded(s) ? RCO_FACT_RECORDED : 0u) |
	                            (s->control.ended ? RCO_FACT_AFTER_END : 0u) |
	                            (s->control.hold ? RCO_FACT_HELD : 0u);
	rco__registered_look(s);
	s->control.erase_by_mono_us =
		rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
	if (rco__recorder_stopped(s) && !rco__recorder_lost(s)) {
		s->control.receipt.facts |= RCO_FACT_STOPPED;
		s->control.receipt.stopped_us = s->control.receipt.requested_us;
	}
	rco__gates_note(s); /* what the receipt says stands, were the process to end before it is on disk */
	rco__event_queue(s, RCO_EVENT_OPTED_OUT, 0, 0, "asked by %s", source);
	if (s->control.receipt.facts & RCO_FACT_STOPPED)
		rco__event_queue(s, RCO_EVENT_STOPPED, 0, 0, "%s", "");
	else if (rco__recorder_lost(s))
		rco__recorder_lost_notify(s);
	return RCO_OK;
}

/* Lock held: the session is born opted out, with the receipt that was given then. From now on its status is the
 * session's. */
void rco__opt_out_born(rco_session *s, const rco__receipt_data *data)
{
	uint8_t recording_id[16];

	memcpy(recording_id, s->recording_id, 16);
	atomic_store(&s->latch, RCO__LATCH_OPTED_OUT);
	s->control.receipt = *data;
	memcpy(s->control.receipt.recording_id, recording_id, 16);
	s->control.receipt.call_id = s->call_id;
	s->control.receipt.facts |= s->recovered ? RCO_FACT_RECOVERED : 0u;
	if (s->control.hold)
		s->control.receipt.facts |= RCO_FACT_HELD;
	s->control.receipt.facts |=
		rco__was_recorded(s) ? RCO_FACT_RECORDED : 0u; /* by an earlier process, against the wish */
	rco__registered_look(s);
	if (rco__recorder_stopped(s) && !rco__recorder_lost(s)) {
		s->control.receipt.facts |= RCO_FACT_STOPPED;
		s->control.receipt.stopped_us = rco__receipt_now(s);
	}
	s->control.erase_by_mono_us =
		rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
	rco__gates_set(s);
	latch_earlier(s, data->source);
	rco__event_queue(s, RCO_EVENT_OPTED_OUT, 0, 0, "asked by %s before the call was known", data->source);
	if (s->control.receipt.facts & RCO_FACT_STOPPED)
		rco__event_queue(s, RCO_EVENT_STOPPED, 0, 0, "%s", "");
	if (rco__recorder_lost(s))
		rco__recorder_lost_notify(s);
	/* If it cannot be queued, what was durable stays so, and the next process puts the two together again. */
	(void)rco__journal_tombstone(s, &s->control.tomb_lsn);
}

/* ---- tombstone ---- */

/* Lock held: put the tombstone into the ledger's queue. */
int rco__tombstone_enqueue(rco_session *s, uint64_t *lsn)
{
	int rc = RCO_OK;

	if (s->control.tomb_lsn == 0)
		rc = rco__journal_tombstone(s, &s->control.tomb_lsn);
	*lsn = s->control.tomb_lsn;
	return rc;
}

static void not_durable(rco_session *s, int rc)
{
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, RCO_EVENT_NOT_DURABLE, rc, 0, "stopped, but the ledger cannot be written: %s",
	                 rco_error_detail());
	(void)pthread_mutex_unlock(&s->lock);
}

static int tombstone(rco_session *s)
{
	int rc, first, hold;
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	if (s->control.receipt.facts & RCO_FACT_DURABLE) {
		(void)pthread_mutex_unlock(&s->lock);
		return RCO_OK;
	}
	rc = rco__tombstone_enqueue(s, &lsn);
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK)
		rc = rco__ledger_sync(s->engine->ledger, lsn);
	if (rc != RCO_OK) {
		not_durable(s, rc);
		return RCO_E_NOT_DURABLE;
	}
	(void)pthread_mutex_lock(&s->lock);
	first = !(s->control.receipt.facts & RCO_FACT_DURABLE);
	hold = s->control.hold != 0;
	if (first) {
		s->control.receipt.facts |= RCO_FACT_DURABLE;
		s->control.receipt.durable_us = rco__receipt_now(s);
		rco__event_queue(
			s, RCO_EVENT_DURABLE, 0, 0, "%s",
			s->control.receipt.facts & RCO_FACT_UNREGISTERED
				? "no file of the recorder is registered yet: only what is registered is erased"
				: "");
		if (hold && (s->control.receipt.facts & RCO_FACT_RECORDED))
			rco__event_queue(s, RCO_EVENT_HELD, 0, 0, "a legal hold keeps what was recorded");
		(void)pthread_cond_broadcast(&s->changed);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (first && !hold && s->engine->buffer.revoke != NULL)
		RCO__IN_HOST(s->engine, s->engine->buffer.revoke(s->recording_id, s->engine->buffer_ud));
	return RCO_OK;
}

int rco__tombstone(rco_session *s)
{
	int rc = RCO_OK, one;
	rco_session *p;
	uint64_t lsn;

	for (p = s->earlier; p != NULL; p = p->earlier) { /* in one commit with its own */
		(void)pthread_mutex_lock(&p->lock);
		if (rco__opted_out(p))
			(void)rco__tombstone_enqueue(p, &lsn);
		(void)pthread_mutex_unlock(&p->lock);
	}
	for (p = s; p != NULL; p = p->earlier) {
		one = rco__opted_out(p) ? tombstone(p) : RCO_OK;
		rc = rc == RCO_OK ? one : rc;
	}
	return rc;
}
