/* SPDX-License-Identifier: MIT */
/* What nobody waits for, opt-outs above all: one thread makes it durable, much of it with one commit. */
#include "calls.h"
#include "core.h"
#include "journal.h"

static void put(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco_session *head;

	if (atomic_exchange(&s->requested, 1) != 0)
		return;
	rco__session_ref(s);
	head = atomic_load(&engine->requests);
	do {
		atomic_store(&s->request_next, head);
	} while (!atomic_compare_exchange_weak(&engine->requests, &head, s));
	if (head == NULL)
		rco__shard_wake(engine->committer);
}

/* In the ledger's queue already now: one commit serves all that ask until it begins. If it fails the worker does
 * it once more. */
void rco__request_offer(rco_session *s)
{
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	(void)rco__tombstone_enqueue(s, &lsn);
	(void)pthread_mutex_unlock(&s->lock);
	put(s);
}

void rco__request_save(rco_session *s, uint32_t what)
{
	(void)pthread_mutex_lock(&s->lock);
	s->control.saves |= 1u << what;
	(void)pthread_mutex_unlock(&s->lock);
	put(s);
}

void rco__request_again(rco_session *s)
{
	uint32_t saves;

	(void)pthread_mutex_lock(&s->lock);
	saves = s->control.saves;
	(void)pthread_mutex_unlock(&s->lock);
	if (saves != 0)
		put(s);
}

/* All of it is in the journal's queue already, but for a hold that is to be lifted. */
static void save(rco_session *s)
{
	uint32_t saves, what;
	int rc, lifted = RCO_OK;

	(void)pthread_mutex_lock(&s->lock);
	saves = s->control.saves;
	(void)pthread_mutex_unlock(&s->lock);
	if (saves == 0)
		return;
	rc = rco__ledger_sync(s->engine->calls, rco__ledger_last(s->engine->calls));
	if (saves & 1u << RCO_REQUEST_LIFT_HOLD)
		lifted = rco__session_hold(s, 0, 0);
	(void)pthread_mutex_lock(&s->lock);
	s->control.saves &= ~saves; /* what came meanwhile has put the session in again */
	for (what = RCO_REQUEST_LEGAL_HOLD; what <= RCO_REQUEST_ARTIFACT; what++)
		if (saves & 1u << what)
			rco__request_done(s, what,
			                  what == RCO_REQUEST_LIFT_HOLD ? lifted
			                  : rc != RCO_OK                ? RCO_E_NOT_DURABLE
			                                                : RCO_OK);
	(void)pthread_mutex_unlock(&s->lock);
}

/* By a thread that does nothing else, so that a request waits for no other call's work. What fails here is tried
 * again by the one that the session belongs to. */
void rco__requests_serve(rco_engine *engine, int drop)
{
	for (;;) {
		rco_session *s = engine->serving;

		if (s == NULL)
			s = atomic_exchange(&engine->requests, NULL);
		if (s == NULL)
			return;
		engine->serving = atomic_load(&s->request_next);
		atomic_store(&s->requested, 0);
		if (!drop) {
			engine->committer->current = s;
			if (rco__opted_out(s))
				(void)rco__tombstone(s);
			save(s);
			rco__events_dispatch(s);
			engine->committer->current = NULL;
		}
		rco__session_unref(s);
	}
}
