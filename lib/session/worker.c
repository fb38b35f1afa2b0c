/* SPDX-License-Identifier: MIT */
/*
 * Shards: each session belongs to one, and one thread works for a shard, so
 * that drain, upload and erasure of a call never run at the same time. In
 * host-driven mode there is one shard, and rco_engine_run() is its thread.
 */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { HOUSE_US = 1000000, RUN_PASSES = 1000 };

void rco__workers_wake(rco__shard *shard)
{
	uint64_t one = 1;

	/* Can only fail by being full, and then the reader is awake anyway. */
	(void)!write(shard->wake_fd, &one, sizeof one);
}

void rco__session_wake(rco_session *session)
{
	rco__shard *shard = &session->engine->shards[session->shard];
	rco_session *head;

	if (atomic_exchange(&session->queued, 1) != 0)
		return;
	rco__session_ref(session);
	head = atomic_load(&shard->inbox);
	do {
		atomic_store(&session->inbox_next, head);
	} while (!atomic_compare_exchange_weak(&shard->inbox, &head, session));
	rco__workers_wake(shard);
}

static void link_session(rco__shard *shard, rco_session *s)
{
	s->prev = NULL;
	s->next = shard->list;
	if (s->next != NULL)
		s->next->prev = s;
	shard->list = s;
	s->linked = 1;
}

static void unlink_session(rco__shard *shard, rco_session *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		shard->list = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->linked = 0;
}

static void tell_idle(rco_engine *engine)
{
	(void)pthread_mutex_lock(&engine->idle_lock);
	engine->idle_epoch++;
	if (engine->idle_waiters > 0)
		(void)pthread_cond_broadcast(&engine->idle);
	(void)pthread_mutex_unlock(&engine->idle_lock);
}

/* Step a session that is linked; it is unlinked when it only waits to be woken. */
static void step(rco__shard *shard, rco_session *s)
{
	int64_t due = rco__session_step(s);

	s->due_us = due;
	rco__events_dispatch(s);
	if (due == RCO__NEVER) {
		unlink_session(shard, s);
		rco__session_unref(s);
	}
	if (due < shard->next_due_us)
		shard->next_due_us = due;
	tell_idle(shard->engine);
}

/* The inbox is a stack; take it whole and turn it round, so that who came first is served first. */
static void take_inbox(rco__shard *shard)
{
	rco_session *s = atomic_exchange(&shard->inbox, NULL), *first = NULL;

	while (s != NULL) {
		rco_session *next = atomic_load(&s->inbox_next);

		atomic_store(&s->inbox_next, first);
		first = s;
		s = next;
	}
	while (first != NULL) {
		rco_session *next = atomic_load(&first->inbox_next);

		/* From here on a wake queues it again: nothing that happens during the step is missed. */
		atomic_store(&first->queued, 0);
		if (first->linked)
			rco__session_unref(first);
		else
			link_session(shard, first);
		step(shard, first);
		first = next;
	}
}

static void step_due(rco__shard *shard, int64_t now)
{
	rco_session *s = shard->list, *next;

	if (now < shard->next_due_us)
		return;
	for (; s != NULL; s = next) {
		next = s->next;
		if (s->due_us <= now)
			step(shard, s);
	}
	shard->next_due_us = RCO__NEVER;
	for (s = shard->list; s != NULL; s = s->next)
		if (s->due_us < shard->next_due_us)
			shard->next_due_us = s->due_us;
}

static void flush_result(rco__shard *shard, int rc, const rco_result *result)
{
	rco_engine *engine = shard->engine;

	if (rc == RCO_OK && result->confirmed != RCO_CONFIRM_DONE)
		rc = RCO_E_UNCONFIRMED;
	if (rc == RCO_OK) {
		shard->flush_failures = 0;
		return;
	}
	shard->appended = 1; /* again with the next round */
	if (shard->flush_failures++ == 0)
		rco__engine_event(engine, RCO_EVENT_BUFFER_RETRY, rc, 0,
		                  "flushing the buffer failed; a power cut could now lose recent audio");
}

/* Not more often than twice in an interval: whoever wakes the worker in between does not cost a sync. */
static int64_t flush_due(const rco__shard *shard)
{
	return shard->flushed_us + (int64_t)shard->engine->cfg.flush_interval_ms * 500;
}

/* One flush for everything appended since the last. */
static void flush(rco__shard *shard, int64_t now)
{
	rco_engine *engine = shard->engine;
	const void *before;
	rco_result result;
	uint64_t op;
	int rc;

	if (shard->flush_op != 0) {
		rc = rco__op_take(engine, shard->flush_op, &result);
		if (rc == RCO_PENDING && now < shard->flush_deadline_us)
			return;
		if (rc == RCO_PENDING) {
			rco__op_give_up(engine, shard->flush_op, NULL, 0, NULL, 0);
			rc = RCO_E_TIMEOUT;
		}
		shard->flush_op = 0;
		flush_result(shard, rc, &result);
	}
	if (!shard->appended || now < flush_due(shard))
		return;
	shard->appended = 0;
	shard->flushed_us = now;
	(void)rco__ledger_write(engine->calls); /* a failure is met again, and told, by the next sync */
	if (engine->buffer.flush == NULL)
		return;
	if (rco__op_begin(engine, NULL, shard, &op) != RCO_OK) {
		shard->appended = 1;
		return;
	}
	rco__result_init(&result);
	before = rco__callback_enter(engine);
	rc = engine->buffer.flush(op, &result, engine->buffer_ud);
	rco__callback_leave(before);
	if (rc == RCO_PENDING) {
		shard->flush_op = op;
		shard->flush_deadline_us = now + (int64_t)engine->cfg.backend_timeout_ms * 1000;
		return;
	}
	rco__op_end(engine, op);
	flush_result(shard, rc, &result);
}

static void house(rco__shard *shard, int64_t now)
{
	rco_engine *engine = shard->engine;

	if (shard != engine->shards || now < shard->next_house_us)
		return;
	shard->next_house_us = now + HOUSE_US;
	rco__prebirth_expire(engine);
	if (rco__ledger_maintain(engine->ledger) != RCO_OK || rco__ledger_maintain(engine->calls) != RCO_OK)
		rco__log(&engine->env, RCO_LOG_WARN, "tidying the ledger failed: %s", rco_error_detail());
	if (engine->spool != NULL && rco__spool_maintain(engine->spool) != RCO_OK)
		rco__log(&engine->env, RCO_LOG_WARN, "tidying the spool failed: %s", rco_error_detail());
}

static void pass(rco__shard *shard)
{
	int64_t now = rco__mono_us(&shard->engine->env);

	take_inbox(shard);
	step_due(shard, now);
	flush(shard, now);
	house(shard, now);
	if (shard == shard->engine->shards)
		rco__engine_events_dispatch(shard->engine);
}

/* Milliseconds until the shard wants to be run again, rounded up; at most a second, for housekeeping. */
static int wait_ms(rco__shard *shard)
{
	int64_t now = rco__mono_us(&shard->engine->env), due = shard->next_due_us;
	int64_t house_us = shard == shard->engine->shards ? shard->next_house_us : RCO__NEVER;

	if (atomic_load(&shard->inbox) != NULL)
		return 0;
	if (house_us < due)
		due = house_us;
	if (shard->appended && shard->flush_op == 0 && flush_due(shard) < due)
		due = flush_due(shard);
	if (due <= now)
		return 0;
	return due - now > HOUSE_US ? HOUSE_US / 1000 : (int)((due - now + 999) / 1000);
}

static void wait_for_work(rco__shard *shard, int ms)
{
	struct pollfd p = {.fd = shard->wake_fd, .events = POLLIN};
	uint64_t count;

	if (poll(&p, 1, ms) > 0)
		(void)!read(shard->wake_fd, &count, sizeof count);
}

static void *worker(void *arg)
{
	rco__shard *shard = arg;

	while (!atomic_load(&shard->engine->closing)) {
		pass(shard);
		wait_for_work(shard, wait_ms(shard));
	}
	return NULL;
}

int rco__workers_start(rco_engine *engine)
{
	uint32_t i;

	for (i = 0; i < engine->n_shards; i++) {
		rco__shard *shard = &engine->shards[i];
		int err;

		if (engine->cfg.flags & RCO_ENGINE_HOST_DRIVEN)
			break;
		err = pthread_create(&shard->thread, NULL, worker, shard);
		if (err != 0)
			return rco__fail(RCO_E_LIMIT, "cannot start worker %u: %s", i + 1, strerror(err));
		shard->running = 1;
	}
	return RCO_OK;
}

void rco__workers_stop(rco_engine *engine)
{
	uint32_t i;

	atomic_store(&engine->closing, 1);
	for (i = 0; i < engine->n_shards; i++) {
		if (!engine->shards[i].running)
			continue;
		rco__workers_wake(&engine->shards[i]);
		(void)pthread_join(engine->shards[i].thread, NULL);
		engine->shards[i].running = 0;
	}
}

/* A backend that said PENDING is given its time; the shard's descriptor tells when it answered. */
static void drain_session(rco__shard *shard, rco_session *s)
{
	int64_t until = rco__mono_us(&shard->engine->env) + (int64_t)shard->engine->cfg.backend_timeout_ms * 1000;

	for (;;) {
		int rc = rco__drain(s);

		if (rc != RCO_PENDING) {
			if (rc != RCO_OK)
				rco__log(&shard->engine->env, RCO_LOG_ERROR,
				         "%s: the buffer does not take what is in the rings (%s); it stays in "
				         "shared "
				         "memory for the next start",
				         s->call_id, rco_error_name(rc));
			return;
		}
		if (rco__mono_us(&shard->engine->env) >= until) {
			(void)rco__job_busy(s);
			return;
		}
		wait_for_work(shard, 50);
	}
}

void rco__workers_drain(rco_engine *engine)
{
	uint32_t i;

	for (i = 0; i < engine->n_shards; i++) {
		rco__shard *shard = &engine->shards[i];
		rco_session *s = atomic_exchange(&shard->inbox, NULL);

		while (s != NULL) { /* only the references: what they wanted is done below or at the next start */
			rco_session *next = atomic_load(&s->inbox_next);

			atomic_store(&s->queued, 1); /* nothing is queued any more */
			if (s->linked)
				rco__session_unref(s);
			else
				link_session(shard, s);
			s = next;
		}
		for (s = shard->list; s != NULL; s = s->next) {
			int wipe = (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) && !s->hold, durable;

			(void)pthread_mutex_lock(&s->lock);
			durable = (s->receipt.facts & RCO_FACT_DURABLE) != 0;
			(void)pthread_mutex_unlock(&s->lock);
			if (!wipe && s->phase == RCO__PHASE_LIVE)
				drain_session(shard, s);
			/* Without a tombstone the stop bit in the ring is all that tells the next process. */
			if (wipe && !durable)
				rco__rings_wipe(s);
			else if (wipe || rco__rings_done(s))
				(void)rco__rings_release(s);
			rco__events_dispatch(s);
		}
		shard->flushed_us = 0;
		flush(shard, rco__mono_us(&engine->env));
		while (shard->list != NULL) {
			s = shard->list;
			unlink_session(shard, s);
			rco__session_unref(s);
		}
	}
}

void rco__workers_drop(rco_engine *engine)
{
	uint32_t i;

	for (i = 0; i < engine->n_shards; i++) {
		rco_session *s = atomic_exchange(&engine->shards[i].inbox, NULL);

		while (s != NULL) {
			rco_session *next = atomic_load(&s->inbox_next);

			rco__session_unref(s);
			s = next;
		}
	}
}

/* ---- host-driven mode and waiting ---- */

static int host_driven(rco_engine *engine)
{
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (rco__in_callback())
		return rco__fail(RCO_E_REENTRANT, "rco_engine_run() cannot be called from inside a callback");
	if (!(engine->cfg.flags & RCO_ENGINE_HOST_DRIVEN))
		return rco__fail(RCO_E_STATE,
		                 "this engine has worker threads; set RCO_ENGINE_HOST_DRIVEN to run it");
	return RCO_OK;
}

static void run(rco__shard *shard, uint32_t max_wait_ms)
{
	int passes = 0, ms;

	pass(shard);
	ms = wait_ms(shard);
	if (ms > 0 && max_wait_ms > 0) {
		wait_for_work(shard, (uint32_t)ms < max_wait_ms ? ms : (int)max_wait_ms);
		pass(shard);
	} else {
		wait_for_work(shard, 0); /* what woke us is being done */
	}
	while (passes++ < RUN_PASSES && wait_ms(shard) == 0)
		pass(shard);
}

int rco_engine_run(rco_engine *engine, uint32_t max_wait_ms)
{
	int rc = host_driven(engine);

	if (rc != RCO_OK)
		return rc;
	if (atomic_exchange(&engine->running_host, 1) != 0)
		return rco__fail(RCO_E_BUSY, "another thread is inside rco_engine_run()");
	run(&engine->shards[0], max_wait_ms > INT32_MAX ? INT32_MAX : max_wait_ms);
	atomic_store(&engine->running_host, 0);
	return RCO_OK;
}

int rco_engine_poll(rco_engine *engine, int32_t *fd, uint32_t *timeout_ms)
{
	int rc = host_driven(engine);

	if (rc != RCO_OK)
		return rc;
	if (fd == NULL || timeout_ms == NULL)
		return rco__fail(RCO_E_INVALID, "fd or timeout_ms is NULL");
	*fd = engine->shards[0].wake_fd;
	*timeout_ms = (uint32_t)wait_ms(&engine->shards[0]);
	return RCO_OK;
}

static int any_busy(rco_engine *engine)
{
	rco_session *s;
	int busy = 0;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (s = engine->all; s != NULL && !busy; s = s->all_next) {
		(void)pthread_mutex_lock(&s->lock);
		busy = rco__session_busy(s);
		(void)pthread_mutex_unlock(&s->lock);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return busy;
}

static struct timespec deadline_in(uint32_t ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

static int past(const struct timespec *t)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static int wait_idle_driven(rco_engine *engine, const struct timespec *until)
{
	while (any_busy(engine)) {
		int rc;

		if (past(until))
			return rco__fail(RCO_E_TIMEOUT,
			                 "calls are still being worked on; see rco_engine_get_stats()");
		rc = rco_engine_run(engine, 20);
		if (rc != RCO_OK)
			return rc;
	}
	return RCO_OK;
}

int rco_engine_wait_idle(rco_engine *engine, uint32_t timeout_ms)
{
	struct timespec until = deadline_in(timeout_ms);
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (rco__in_callback())
		return rco__fail(RCO_E_REENTRANT, "waiting inside a callback would wait for itself");
	if (engine->cfg.flags & RCO_ENGINE_HOST_DRIVEN)
		return wait_idle_driven(engine, &until);
	for (;;) {
		uint64_t epoch;

		(void)pthread_mutex_lock(&engine->idle_lock);
		epoch = engine->idle_epoch;
		engine->idle_waiters++;
		(void)pthread_mutex_unlock(&engine->idle_lock);
		rc = any_busy(engine) ? RCO_PENDING : RCO_OK;
		(void)pthread_mutex_lock(&engine->idle_lock);
		while (rc == RCO_PENDING && epoch == engine->idle_epoch)
			if (pthread_cond_timedwait(&engine->idle, &engine->idle_lock, &until) == ETIMEDOUT)
				rc = RCO_E_TIMEOUT;
		engine->idle_waiters--;
		(void)pthread_mutex_unlock(&engine->idle_lock);
		if (rc == RCO_E_TIMEOUT)
			return rco__fail(rc, "calls are still being worked on; see rco_engine_get_stats()");
		if (rc == RCO_OK)
			return RCO_OK;
		if (past(&until))
			return rco__fail(RCO_E_TIMEOUT,
			                 "calls are still being worked on; see rco_engine_get_stats()");
	}
}
