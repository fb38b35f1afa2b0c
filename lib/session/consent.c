/* SPDX-License-Identifier: MIT */
/* The caller's answer to the question for consent. */
#include "calls.h"
#include "core.h"

int rco_session_set_consent(rco_session *session, int granted)
{
	int rc = rco__session_check(session), start = 0, latched = 0, recorder;

	if (rc != RCO_OK)
		return rc;
	if (granted != 0 && granted != 1)
		return rco__fail(RCO_E_INVALID, "granted is 1 or 0");
	(void)pthread_mutex_lock(&session->lock);
	if (rco__opted_out(session)) {
		rc = granted ? rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id) : RCO_OK;
		latched = 1;
	} else if (atomic_load(&session->latch) & RCO__LATCH_CLOSED || (granted && session->control.ended)) {
		rc = rco__fail(RCO_E_ENDED, "call %s has ended", session->call_id);
	} else if (granted) {
		if (session->control.consent != 1)
			rco__event_queue(session, RCO_EVENT_CONSENT, 0, 0, "%s", "");
		start = session->control.start_asked && session->control.started_us == 0 &&
		        !session->control.starting;
		session->control.starting |= (uint32_t)start;
		session->control.consent = 1;
	} else {
		session->control.consent = 2;
		rc = rco__opt_out_latch(session, "consent-declined");
		latched = rc == RCO_OK;
	}
	(void)pthread_mutex_unlock(&session->lock);
	if (start)
		return rco__session_start_or_later(session);
	if (!latched || granted)
		return rc;
	if (session->nonblock) {
		rco__request_offer(session);
		rco__session_wake(session);
		return RCO_PENDING;
	}
	recorder = rco__recorder_settle(session);
	rc = rco__tombstone(session);
	rco__session_wake(session);
	return rc == RCO_OK && recorder == RCO_OK ? RCO_OK : RCO_PENDING;
}
