/* SPDX-License-Identifier: MIT */
/* A legal hold: the law wants a recording kept, and goes before its caller's wish until it is lifted. */
#include "calls.h"
#include "core.h"
#include "journal.h"

/*
 * Set a hold, or lift one, of a call that nobody has objected to, so that the next process knows. RCO_E_OPTED_OUT
 * if somebody has. What cannot be written is in force all the same if it is a hold; one to be lifted then stays.
 */
static int book_hold(rco_session *s, uint32_t hold, int nonblock)
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
	if (hold && !booked && !s->control.hold) {
		(void)pthread_mutex_unlock(&s->lock);
		return rco__fail(RCO_E_ENDED, "call %s is over, and nothing will erase it any more", s->call_id);
	}
	s->control.hold = hold;
	if (booked)
		rc = rco__journal_begin(s, &lsn);
	if (rc == RCO_OK && booked && atomic_load(&s->work.phase) == RCO__PHASE_DONE)
		rc = rco__journal_closed(s); /* which a hold had put off */
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK && booked && !nonblock)
		rc = rco__ledger_sync(s->engine->calls, lsn);
	if (rc != RCO_OK && !hold) {
		(void)pthread_mutex_lock(&s->lock);
		s->control.hold = !rco__opted_out(s);
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
	s->control.hold = 0;
	s->control.hold_lifted = 1;
	s->control.receipt.facts &= ~(uint32_t)RCO_FACT_HELD;
	s->control.erase_by_mono_us =
		rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
	rco__event_queue(s, RCO_EVENT_HOLD_LIFTED, 0, 0, "the erasure begins");
	(void)pthread_mutex_unlock(&s->lock);
	if (s->engine->buffer.revoke != NULL)
		RCO__IN_HOST(s->engine, s->engine->buffer.revoke(s->recording_id, s->engine->buffer_ud));
	rco__session_wake(s);
	return RCO_OK;
}

static int lift_hold(rco_session *s)
{
	rco__receipt_data receipt;
	int latched, held, rc;

	do {
		(void)pthread_mutex_lock(&s->lock);
		held = s->control.hold != 0;
		latched = rco__opted_out(s);
		receipt = s->control.receipt;
		(void)pthread_mutex_unlock(&s->lock);
		if (!held)
			return RCO_OK;
		rc = latched ? release_held(s, &receipt) : book_hold(s, 0, 0);
	} while (rc == RCO_E_OPTED_OUT); /* asked for in between */
	return rc;
}

void rco__hold_earlier(rco_session *s, int nonblock)
{
	rco_session *p;

	for (p = s->earlier; p != NULL; p = p->earlier)
		if (book_hold(p, 1, nonblock) == RCO_E_NOT_DURABLE)
			rco__log(&p->engine->env, RCO_LOG_ERROR,
			         "%s: its legal hold is in force, but not in the journal: %s", p->call_id,
			         rco_error_detail());
}

static int lift_all(rco_session *s)
{
	int rc = RCO_OK, one;

	for (; s != NULL; s = s->earlier) {
		one = lift_hold(s);
		if (rc == RCO_OK)
			rc = one;
	}
	return rc;
}

int rco__session_hold(rco_session *session, int hold, int nonblock)
{
	int rc;

	if (hold != 0 && hold != 1)
		return rco__fail(RCO_E_INVALID, "hold is 1 or 0");
	if (!hold && nonblock) {
		rco__request_save(session, RCO_REQUEST_LIFT_HOLD);
		return RCO_PENDING;
	}
	if (!hold)
		return lift_all(session);
	rco__hold_earlier(session, nonblock);
	rc = book_hold(session, 1, nonblock);
	if (rc == RCO_E_ENDED)
		return rc;
	if (rc != RCO_E_OPTED_OUT && nonblock) {
		rco__request_save(session, RCO_REQUEST_LEGAL_HOLD);
		return RCO_PENDING;
	}
	if (rc != RCO_E_OPTED_OUT) /* it is in force */
		return rc == RCO_OK ? RCO_OK : RCO_PENDING;
	(void)pthread_mutex_lock(&session->lock);
	rc = session->control.hold ? RCO_OK : rc;
	(void)pthread_mutex_unlock(&session->lock);
	return rc;
}

int rco_session_set_legal_hold(rco_session *session, int hold)
{
	int rc = rco__session_check(session);

	return rc == RCO_OK ? rco__session_hold(session, hold, session->nonblock) : rc;
}

int rco_engine_lift_legal_hold(rco_engine *engine, const char *call_id)
{
	int rc = rco__engine_check(engine);
	uint32_t held = 0, known = 0;
	rco_session *s, *p;
	int one;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc != RCO_OK)
		return rc;
	/* Whichever the latest is: who asks by an id means what is held under it. */
	for (s = rco__registry_next_of(engine, call_id, NULL); s != NULL;
	     s = rco__registry_next_of(engine, call_id, s)) {
		known = 1;
		for (p = s; p != NULL; p = p->earlier)
			held |= atomic_load(&p->control.hold);
		one = lift_all(s);
		if (rc == RCO_OK)
			rc = one;
	}
	if (!known)
		return rco__fail(RCO_E_NOT_FOUND, "no call %s is known", call_id);
	return held ? rc : rco__fail(RCO_E_NOT_FOUND, "call %s is not held", call_id);
}
