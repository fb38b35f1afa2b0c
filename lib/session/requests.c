/* SPDX-License-Identifier: MIT */
/* Opt-outs that nobody waits for: one thread makes their tombstones durable, many with one commit. */
#include "calls.h"
#include "core.h"

/* In the ledger's queue already now: one commit serves all that ask until it begins. If it fails the worker does
 * it once more. */
void rco__request_offer(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco_session *head;
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	(void)rco__tombstone_enqueue(s, &lsn);
	(void)pthread_mutex_unlock(&s->lock);
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
			if (rco__tombstone(s) == RCO_OK)
				rco__events_dispatch(s);
			engine->committer->current = NULL;
		}
		rco__session_unref(s);
	}
}
