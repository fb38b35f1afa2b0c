/* SPDX-License-Identifier: MIT */
/* The engine in the host's own event loop, and waiting until it has nothing to do. */
#include "internal.h"

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

static void run(rco__shard *shard, uint32_t max_wait_ms)
{
	int passes = 0, ms;

	rco__shard_pass(shard);
	ms = rco__shard_wait_ms(shard);
	if (ms > 0 && max_wait_ms > 0) {
		rco__shard_wait(shard, (uint32_t)ms < max_wait_ms ? ms : (int)max_wait_ms);
		rco__shard_pass(shard);
	} else {
		rco__shard_wait(shard, 0); /* what woke us is being done */
	}
	while (passes++ < RUN_PASSES && rco__shard_wait_ms(shard) == 0)
		rco__shard_pass(shard);
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
	*timeout_ms = (uint32_t)rco__shard_wait_ms(&engine->shards[0]);
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

		atomic_fetch_add(&engine->idle_waiters, 1);
		epoch = atomic_load(&engine->idle_epoch);
		rc = any_busy(engine) ? RCO_PENDING : RCO_OK;
		(void)pthread_mutex_lock(&engine->idle_lock);
		while (rc == RCO_PENDING && epoch == atomic_load(&engine->idle_epoch))
			if (pthread_cond_timedwait(&engine->idle, &engine->idle_lock, &until) == ETIMEDOUT)
				rc = RCO_E_TIMEOUT;
		(void)pthread_mutex_unlock(&engine->idle_lock);
		atomic_fetch_sub(&engine->idle_waiters, 1);
		if (rc == RCO_E_TIMEOUT)
			return rco__fail(rc, "calls are still being worked on; see rco_engine_get_stats()");
		if (rc == RCO_OK)
			return RCO_OK;
		if (past(&until))
			return rco__fail(RCO_E_TIMEOUT,
			                 "calls are still being worked on; see rco_engine_get_stats()");
	}
}
