/* SPDX-License-Identifier: MIT */
/* The threads of an engine: their number is fixed, and one that ends is replaced. */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "work.h"

#include "../base/thread.h"

#include <stdio.h>
#include <string.h>

static int start(rco__shard *shard);

/*
 * A backend or callback of the host ended the thread it was called on
 * (pthread_exit(), or an exception of another language). Its calls must not stay
 * without anybody to stop, store or erase them. This thread is nobody's to join
 * once another one has its place; without one, or while the engine is being
 * freed, rco__workers_stop() joins it.
 */
static void ended(void *arg)
{
	rco__shard *shard = arg;
	rco_engine *engine = shard->engine;
	int rc = RCO_OK;

	rco__shard_orphaned(shard);
	rco__engine_event(engine, RCO_EVENT_WORKER_ENDED, RCO_E_CALLBACK, 0,
	                  "a backend or callback ended a thread of the engine; another one goes on");
	(void)pthread_mutex_lock(&engine->idle_lock);
	if (!atomic_load(&engine->closing)) {
		rc = start(shard);
		if (rc == RCO_OK)
			(void)pthread_detach(pthread_self());
	}
	(void)pthread_mutex_unlock(&engine->idle_lock);
	if (rc != RCO_OK)
		rco__log(&engine->env, RCO_LOG_ERROR, "its calls wait for a restart: %s", rco_error_detail());
}

static rco__thread_hook hook_of(const rco__shard *shard)
{
	static const char *const names[] = {[RCO__ROLE_LIVE] = "rco-live",
	                                    [RCO__ROLE_FILES] = "rco-work",
	                                    [RCO__ROLE_FLUSH] = "rco-flush",
	                                    [RCO__ROLE_OPT_OUT] = "rco-commit",
	                                    [RCO__ROLE_SPOOL] = "rco-spool"};
	const rco_engine *engine = shard->engine;
	rco__thread_hook hook = {.fn = engine->cfg.thread, .user_data = engine->cfg.thread_user_data};

	if (shard->number < 2 * engine->n_live)
		(void)snprintf(hook.name, sizeof hook.name, "%s-%u", names[shard->role],
		               (unsigned)(shard->number % engine->n_live));
	else
		(void)snprintf(hook.name, sizeof hook.name, "%s", names[shard->role]);
	return hook;
}

static void *worker(void *arg)
{
	rco__shard *shard = arg;
	rco__thread_hook hook = hook_of(shard);

	rco__thread_begins(&hook);
	pthread_cleanup_push(rco__thread_ends, &hook);
	pthread_cleanup_push(ended, shard);
	while (!atomic_load(&shard->engine->closing)) {
		rco__shard_pass(shard);
		rco__shard_wait(shard, rco__shard_wait_ms(shard));
	}
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(1);
	return NULL;
}

/* idle_lock held. If it fails the shard has the thread that it had. */
static int start(rco__shard *shard)
{
	pthread_t thread;
	int err = rco__thread_start(&thread, worker, shard);

	if (err != 0)
		return rco__fail(RCO_E_LIMIT, "cannot start a worker thread: %s", strerror(err));
	shard->thread = thread;
	shard->running = 1;
	return RCO_OK;
}

int rco__workers_start(rco_engine *engine)
{
	int rc = RCO_OK;
	uint32_t i;

	if (engine->cfg.flags & RCO_ENGINE_HOST_DRIVEN)
		return RCO_OK;
	(void)pthread_mutex_lock(&engine->idle_lock);
	for (i = 0; i < engine->n_shards && rc == RCO_OK; i++)
		if (engine->shards[i].role != RCO__ROLE_SPOOL || engine->spool != NULL ||
		    engine->host_spool != NULL)
			rc = start(&engine->shards[i]);
	(void)pthread_mutex_unlock(&engine->idle_lock);
	return rc;
}

void rco__workers_stop(rco_engine *engine)
{
	uint32_t i;

	atomic_store(&engine->closing, 1);
	for (i = 0; i < engine->n_shards; i++) {
		rco__shard *shard = &engine->shards[i];
		pthread_t thread;
		uint32_t running;

		(void)pthread_mutex_lock(&engine->idle_lock);
		thread = shard->thread;
		running = shard->running;
		shard->running = 0;
		(void)pthread_mutex_unlock(&engine->idle_lock);
		if (!running)
			continue;
		rco__shard_wake(shard);
		(void)pthread_join(thread, NULL);
	}
}

/* ---- engine_free() ---- */

/* A backend that said PENDING is given its time, but no more than there is for all calls; the shard's descriptor
 * tells when it answered. */
static int drain_session(rco__shard *shard, rco_session *s, const struct timespec *until)
{
	int rc;

	while ((rc = rco__drain(s)) == RCO_PENDING && !rco__deadline_past(until))
		rco__shard_wait(shard, 50);
	if (rc != RCO_OK)
		rco__log(&shard->engine->env, RCO_LOG_ERROR,
		         "%s: the buffer does not take what is in the rings (%s); it stays in shared memory for "
		         "the "
		         "next start",
		         s->call_id, rco_error_name(rc));
	return rc;
}

static int to_be_erased(const rco_session *s)
{
	return rco__opted_out(s) && !s->control.hold;
}

static int last_drain(rco__shard *shard, rco_session *s, const struct timespec *until)
{
	int rc = RCO_OK;

	if (!to_be_erased(s) && s->work.phase == RCO__PHASE_LIVE)
		rc = drain_session(shard, s, until);
	rco__session_book(s);
	return rc;
}

/* One that was under way may have begun before the last piece came. */
static int last_flush(rco__shard *shard, const struct timespec *until)
{
	rco_engine *engine = shard->engine;

	atomic_store(&shard->appended, 1);
	shard->flushed_us = 0;
	do {
		rco__flush(shard, rco__mono_us(&engine->env));
		if (shard->flush_op != 0)
			rco__shard_wait(shard, 20);
	} while (shard->flush_op != 0 && !rco__deadline_past(until));
	return shard->flush_op != 0 || atomic_load(&shard->appended) != 0 ? RCO_PENDING : RCO_OK;
}

/* `written`: the journal is, and says whose the rings are. */
static void last_look(rco_session *s, int written)
{
	int wipe = to_be_erased(s);

	/* Without a tombstone the stop bit in the ring is all that tells the next process. */
	if (wipe && !rco__session_durable(s))
		rco__rings_wipe(s);
	else if (wipe || (written && s->work.journaled && rco__rings_done(s)))
		(void)rco__rings_release(s);
	rco__events_dispatch(s);
}

int rco__workers_drain(rco_engine *engine, const struct timespec *until)
{
	int rc = RCO_OK, written;
	rco__link *link;
	uint32_t i;

	for (i = 0; i < engine->n_shards; i++) {
		rco__shard *shard = &engine->shards[i];

		rco__shard_gather(shard);
		for (link = shard->ready.next; link != &shard->ready; link = link->next)
			if (last_drain(shard, rco__shard_session(link), until) != RCO_OK)
				rc = RCO_PENDING;
	}
	written = rco__ledger_write(engine->calls) == RCO_OK;
	for (i = 0; i < engine->n_shards; i++)
		for (link = engine->shards[i].ready.next; link != &engine->shards[i].ready; link = link->next)
			last_look(rco__shard_session(link), written);
	if (last_flush(engine->flusher, until) != RCO_OK)
		rc = RCO_PENDING;
	for (i = 0; i < engine->n_shards; i++)
		while (!rco__list_empty(&engine->shards[i].ready))
			rco__session_unref(rco__shard_session(rco__list_take(&engine->shards[i].ready)));
	return rc;
}

void rco__workers_drop(rco_engine *engine)
{
	uint32_t i;

	rco__requests_serve(engine, 1);
	for (i = 0; i < engine->n_shards; i++) {
		rco_session *s = atomic_exchange(&engine->shards[i].inbox, NULL);

		while (s != NULL) {
			rco_session *next = atomic_load(&s->inbox_next);

			rco__session_unref(s);
			s = next;
		}
	}
}
