/* SPDX-License-Identifier: MIT */
/* The caller's answer to the question for consent, and the law that wants a recording kept. */
#include "internal.h"

int rco_session_set_consent(rco_session *session, int granted)
{
	int rc = rco__session_check(session), start = 0, latched = 0;

	if (rc != RCO_OK)
		return rc;
	if (granted != 0 && granted != 1)
		return rco__fail(RCO_E_INVALID, "granted is 1 or 0");
	(void)pthread_mutex_lock(&session->lock);
	if (atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT) {
		rc = granted ? rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id) : RCO_OK;
		latched = 1;
	} else if (atomic_load(&session->latch) & RCO__LATCH_CLOSED || (granted && session->ended)) {
		rc = rco__fail(RCO_E_ENDED, "call %s has ended", session->call_id);
	} else if (granted) {
		if (session->consent != 1)
			rco__event_queue(session, RCO_EVENT_CONSENT, 0, 0, "%s", "");
		start = session->start_asked && session->started_us == 0 && !session->starting;
		session->starting |= (uint32_t)start;
		session->consent = 1;
	} else {
		session->consent = 2;
		rc = rco__opt_out_latch(session, "consent-declined");
		latched = rc == RCO_OK;
	}
	(void)pthread_mutex_unlock(&session->lock);
	if (start)
		return rco__session_start(session);
	if (!latched || granted)
		return rc;
	(void)rco__recorder_settle(session);
	rc = rco__tombstone(session);
	rco__session_wake(session);
	return rc;
}

/*
 * Set a hold, or lift one, of a call that nobody has objected to, so that the next process knows. RCO_E_OPTED_OUT
 * if somebody has. What cannot be written is in force all the same if it is a hold; one to be lifted then stays.
 */
static int book_hold(rco_session *s, uint32_t hold)
{
	uint32_t latch;
	uint64_t lsn;
	int rc = RCO_OK, booked;

	(void)pthread_mutex_lock(&s->lock);
	latch = atomic_load(&s->latch);
	booked = !hold ||
	         !(latch & RCO__LATCH_CLOSED); /* none is set on a call that is over, but one may be left */
	if (latch & RCO__LATCH_OPTED_OUT) {
		(void)pthread_mutex_unlock(&s->lock);
		return rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", s->call_id);
	}
	s->hold = hold;
	if (booked)
		rc = rco__journal_begin(s, &lsn);
	if (rc == RCO_OK && booked && atomic_load(&s->phase) == RCO__PHASE_DONE)
		rc = rco__journal_closed(s); /* which a hold had put off */
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK && booked)
		rc = rco__ledger_sync(s->engine->calls, lsn);
	if (rc != RCO_OK && !hold) {
		(void)pthread_mutex_lock(&s->lock);
		s->hold = (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) == 0;
		(void)pthread_mutex_unlock(&s->lock);
	}
	return rc;
}

/* Of a call that was opted out: its erasure begins. */
static int release_held(rco_session *s, const rco__receipt_data *receipt)
{
	uint64_t lsn;
	/* durable first, as with a tombstone */
	int rc = rco__journal_mark(s->engine, receipt, RCO__OPT_HOLD_LIFTED, 0, rco__wall_us(&s->engine->env),
	                           &lsn);

	if (rc == RCO_OK)
		rc = rco__ledger_sync(s->engine->ledger, lsn);
	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&s->lock);
	s->hold = 0;
	s->hold_lifted = 1;
	s->receipt.facts &= ~(uint32_t)RCO_FACT_HELD;
	s->erase_by_mono_us = rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
	rco__event_queue(s, RCO_EVENT_HOLD_LIFTED, 0, 0, "the erasure begins");
	(void)pthread_mutex_unlock(&s->lock);
	if (s->engine->buffer.revoke != NULL)
		s->engine->buffer.revoke(s->recording_id, s->engine->buffer_ud);
	rco__session_wake(s);
	return RCO_OK;
}

static int lift_hold(rco_session *s)
{
	rco__receipt_data receipt;
	int latched, held, rc;

	do {
		(void)pthread_mutex_lock(&s->lock);
		held = s->hold != 0;
		latched = (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) != 0;
		receipt = s->receipt;
		(void)pthread_mutex_unlock(&s->lock);
		if (!held)
			return RCO_OK;
		rc = latched ? release_held(s, &receipt) : book_hold(s, 0);
	} while (rc == RCO_E_OPTED_OUT); /* asked for in between */
	return rc;
}

int rco_session_set_legal_hold(rco_session *session, int hold)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	if (hold != 0 && hold != 1)
		return rco__fail(RCO_E_INVALID, "hold is 1 or 0");
	if (!hold)
		return lift_hold(session);
	rc = book_hold(session, 1);
	if (rc != RCO_E_OPTED_OUT)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	rc = session->hold ? RCO_OK : rc;
	(void)pthread_mutex_unlock(&session->lock);
	return rc;
}

int rco_engine_lift_legal_hold(rco_engine *engine, const char *call_id)
{
	int rc = rco__engine_check(engine);
	rco_session *s;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc != RCO_OK)
		return rc;
	s = rco__registry_find(engine, call_id);
	if (s == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "no call %s is known", call_id);
	(void)pthread_mutex_lock(&s->lock);
	rc = s->hold ? RCO_OK : rco__fail(RCO_E_NOT_FOUND, "call %s is not held", call_id);
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK)
		rc = lift_hold(s);
	rco__session_unref(s);
	return rc;
}
