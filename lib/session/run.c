/* SPDX-License-Identifier: MIT */
/* The engine in the host's own event loop, and waiting until it has nothing to do. */
#include "core.h"
#include "work.h"

#include "../base/thread.h"

#include <errno.h>
#include <stdint.h>
#include <time.h>

enum { RUN_PASSES = 1000 };

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

/* The budget counts what is worked, not what is waited. */
static void pass(rco__shard *shard, uint32_t budget_us)
{
	shard->work_until_us = budget_us > 0 ? rco__mono_us(&shard->engine->env) + budget_us : 0;
	rco__shard_pass(shard);
}

static int run(rco__shard *shard, uint32_t max_wait_ms, uint32_t budget_us)
{
	int passes = 0, ms;

	pass(shard, budget_us);
	ms = rco__shard_wait_ms(shard);
	if (ms > 0 && max_wait_ms > 0) {
		rco__shard_wait(shard, (uint32_t)ms < max_wait_ms ? ms : (int)max_wait_ms);
		pass(shard, budget_us);
	} else {
		rco__shard_wait(shard, 0); /* what woke us is being done */
	}
	while (passes++ < RUN_PASSES && !rco__shard_late(shard) && rco__shard_wait_ms(shard) == 0)
		rco__shard_pass(shard);
	ms = rco__shard_late(shard) ? rco__shard_wait_ms(shard) : 1;
	shard->work_until_us = 0;
	return ms == 0 ? RCO_PENDING : RCO_OK;
}

int rco_engine_run(rco_engine *engine, uint32_t max_wait_ms, uint32_t budget_us)
{
	int rc = host_driven(engine);

	if (rc != RCO_OK)
		return rc;
	if (atomic_exchange(&engine->running_host, 1) != 0)
		return rco__fail(RCO_E_BUSY, "another thread is inside rco_engine_run()");
	rc = run(&engine->shards[0], max_wait_ms > INT32_MAX ? INT32_MAX : max_wait_ms, budget_us);
	atomic_store(&engine->running_host, 0);
	return rc;
}

int rco_engine_poll(rco_engine *engine, int32_t *fd, uint32_t *timeout_ms)
{
	int rc = host_driven(engine);

	if (rc != RCO_OK)
		return rc;
	if (fd == NULL || timeout_ms == NULL)
		return rco__fail(RCO_E_INVALID, "fd or timeout_ms is NULL");
	*fd = engine->shards[0].wake_fd;
	*timeout_ms = (uint32_t)rco__shard_wait_ms(&engine->shards[0]);
	return RCO_OK;
}

static int busy(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = rco__session_busy(s);
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

/* The first busy one from `from` on, with a reference; NULL: from the beginning. Gives back that of `from`. */
static rco_session *next_busy(rco_engine *engine, rco_session *from)
{
	rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (s = from != NULL ? from : engine->all; s != NULL; s = s->all_next)
		if (busy(s))
			break;
	if (s != NULL)
		rco__session_ref(s);
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (from != NULL)
		rco__session_unref(from);
	return s;
}

static int still_busy(void)
{
	return rco__fail(RCO_E_TIMEOUT, "calls are still being worked on; see rco_engine_get_stats()");
}

static int wait_one_driven(rco_engine *engine, rco_session *s, const struct timespec *until)
{
	while (busy(s)) {
		int rc = rco__deadline_past(until) ? still_busy() : rco_engine_run(engine, 20, 0);

		if (rc != RCO_OK)
			return rc;
	}
	return RCO_OK;
}

static int wait_one(rco_engine *engine, rco_session *s, const struct timespec *until)
{
	int rc = RCO_OK;

	atomic_fetch_add(&engine->idle_waiters, 1);
	while (rc == RCO_OK) {
		uint64_t epoch = atomic_load(&engine->idle_epoch);

		if (!busy(s))
			break;
		(void)pthread_mutex_lock(&engine->idle_lock);
		while (rc == RCO_OK && epoch == atomic_load(&engine->idle_epoch))
			if (pthread_cond_timedwait(&engine->idle, &engine->idle_lock, until) == ETIMEDOUT)
				rc = still_busy();
		(void)pthread_mutex_unlock(&engine->idle_lock);
		if (rc == RCO_OK && rco__deadline_past(until))
			rc = still_busy();
	}
	atomic_fetch_sub(&engine->idle_waiters, 1);
	return rc;
}

int rco_engine_wait_idle(rco_engine *engine, uint32_t timeout_ms)
{
	struct timespec until = rco__deadline_in(timeout_ms);
	int rc = rco__engine_check(engine), clean;

	if (rc != RCO_OK)
		return rc;
	if (rco__in_callback())
		return rco__fail(RCO_E_REENTRANT, "waiting inside a callback would wait for itself");
	/* One after the other, and then once more whether all are: each is looked at a few times, not each time
	 * that something happens to any. */
	do {
		rco_session *s = next_busy(engine, NULL);

		clean = s == NULL;
		while (s != NULL && rc == RCO_OK) {
			rc = engine->cfg.flags & RCO_ENGINE_HOST_DRIVEN ? wait_one_driven(engine, s, &until)
			                                                : wait_one(engine, s, &until);
			if (rc == RCO_OK)
				s = next_busy(engine, s);
			else
				rco__session_unref(s);
		}
	} while (rc == RCO_OK && !clean);
	return rc;
}
