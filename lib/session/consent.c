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

static int lift_hold(rco_session *s)
{
	rco__receipt_data receipt;
	int64_t now = rco__wall_us(&s->engine->env);
	uint64_t lsn;
	int latched, rc;

	(void)pthread_mutex_lock(&s->lock);
	if (!s->hold) {
		(void)pthread_mutex_unlock(&s->lock);
		return RCO_OK;
	}
	latched = (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) != 0;
	receipt = s->receipt;
	(void)pthread_mutex_unlock(&s->lock);
	if (latched) { /* durable first, as with a tombstone */
		rc = rco__journal_mark(s->engine, &receipt, RCO__OPT_HOLD_LIFTED, 0, now, &lsn);
		if (rc == RCO_OK)
			rc = rco__ledger_sync(s->engine->ledger, lsn);
		if (rc != RCO_OK)
			return rc;
	}
	(void)pthread_mutex_lock(&s->lock);
	s->hold = 0;
	if (latched) {
		s->hold_lifted = 1;
		s->receipt.facts &= ~(uint32_t)RCO_FACT_HELD;
		s->erase_by_mono_us =
			rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
		rco__event_queue(s, RCO_EVENT_HOLD_LIFTED, 0, 0, "the erasure begins");
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (latched && s->engine->buffer.revoke != NULL)
		s->engine->buffer.revoke(s->recording_id, s->engine->buffer_ud);
	rco__session_wake(s);
	return RCO_OK;
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
	(void)pthread_mutex_lock(&session->lock);
	if (atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT)
		rc = session->hold ? RCO_OK
		                   : rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id);
	else
		session->hold = 1;
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
