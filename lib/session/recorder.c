/* SPDX-License-Identifier: MIT */
/*
 * The host's own recorder. What it should be doing follows from the session;
 * rco__recorder_settle() asks it, one action after the other, until it is
 * there. One thread at a time is inside its callbacks; a thread that comes
 * meanwhile waits, unless it is itself inside a callback.
 */
#include "internal.h"

#include <errno.h>
#include <time.h>

/* Lock held. */
int rco__recorder_stopped(const rco_session *s)
{
	return s->recorder.start == NULL || s->rec_state == RCO__REC_NONE || s->rec_state == RCO__REC_OFF;
}

/* Lock held. What to ask next, 0 if the recorder is where it should be. */
static uint32_t wanted(const rco_session *s)
{
	int stop = (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) || s->ended;

	if (s->recorder.start == NULL || s->rec_state == RCO__REC_OFF)
		return 0;
	if (stop)
		return s->rec_state == RCO__REC_NONE ? 0 : RCO_RECORDER_STOP;
	if (s->starting && s->rec_state != RCO__REC_ON)
		return RCO_RECORDER_START;
	if (s->rec_state == RCO__REC_ON && s->paused != s->rec_paused) /* so it can: may_pause() saw to that */
		return s->paused ? RCO_RECORDER_PAUSE : RCO_RECORDER_RESUME;
	return 0;
}

static rco_recorder_fn function_of(const rco_session *s, uint32_t action)
{
	switch (action) {
	case RCO_RECORDER_START:
		return s->recorder.start;
	case RCO_RECORDER_PAUSE:
		return s->recorder.pause;
	case RCO_RECORDER_RESUME:
		return s->recorder.resume;
	default:
		return s->recorder.stop;
	}
}

static const char *action_name(uint32_t action)
{
	static const char *const names[] = {"", "start", "stop", "pause", "resume"};

	return names[action];
}

/* Lock held: the recorder said that it does not record. */
static void not_recording(rco_session *s, rco__recorder_state state, const char *why)
{
	int64_t now = rco__receipt_now(s);

	s->rec_state = state;
	s->rec_failures = 0;
	if (!(atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT))
		return;
	s->receipt.stopped_us = now;
	s->receipt.facts |= RCO_FACT_STOPPED;
	rco__event_queue(s, RCO_EVENT_STOPPED, 0, 0, "%s", why);
	if (s->tomb_lsn != 0) {
		uint64_t lsn;

		/* Evidence only, so it need not be waited for. */
		(void)rco__journal_mark(s->engine, &s->receipt, RCO__OPT_STOPPED, 0, now, &lsn);
	}
}

/* Lock held: the recorder answered. Returns RCO_OK or what rco__recorder_settle() shall return. */
static int answered(rco_session *s, uint32_t action, int code, const rco_result *result)
{
	int64_t now = rco__mono_us(&s->engine->env);

	if (code == RCO_OK && result->confirmed == RCO_CONFIRM_DONE) {
		if (action == RCO_RECORDER_START) {
			s->rec_state = RCO__REC_ON;
			s->rec_paused = 0;
		} else if (action == RCO_RECORDER_STOP) {
			not_recording(s, RCO__REC_OFF, "the recorder confirmed its stop");
		} else {
			s->rec_paused = action == RCO_RECORDER_PAUSE;
		}
		return RCO_OK;
	}
	if (action == RCO_RECORDER_START && code != RCO_OK && code != RCO_E_TIMEOUT)
		/* without a clear answer it may be recording */
		not_recording(s, RCO__REC_NONE, "the recorder had refused to start");
	if (action == RCO_RECORDER_STOP) {
		uint64_t wait = s->engine->cfg.retry_min_ms;

		if (s->rec_failures < 16)
			wait <<= s->rec_failures;
		if (s->rec_failures >= 16 || wait > s->engine->cfg.retry_max_ms)
			wait = s->engine->cfg.retry_max_ms;
		s->rec_failures++;
		s->rec_retry_us = now + (int64_t)wait * 1000;
		rco__event_queue(s, RCO_EVENT_STOP_FAILED, code != RCO_OK ? code : RCO_E_UNCONFIRMED,
		                 s->rec_failures, "the recorder did not confirm its stop; it is asked again");
	}
	if (action == RCO_RECORDER_START &&
	    !s->starting) /* it had said PENDING, and the host thinks that it records */
		rco__log(&s->engine->env, RCO_LOG_ERROR, "%s: the recorder did not start: %s", s->call_id,
		         rco_error_name(code != RCO_OK ? code : RCO_E_UNCONFIRMED));
	if (action == RCO_RECORDER_PAUSE || action == RCO_RECORDER_RESUME)
		s->rec_paused = action == RCO_RECORDER_PAUSE; /* told; not asked again by itself */
	return rco__fail(RCO_E_CALLBACK, "the recorder of call %s answered its %s with %s", s->call_id,
	                 action_name(action),
	                 code == RCO_OK ? "success but no confirmation" : rco_error_name(code));
}

/* Lock held; it is given up for the callback. */
static int ask(rco_session *s, uint32_t action)
{
	rco_engine *engine = s->engine;
	rco_recorder_fn fn = function_of(s, action);
	const void *before;
	rco_result result;
	uint64_t op;
	int rc;

	if (action == RCO_RECORDER_START)
		s->rec_state = RCO__REC_MAYBE;
	s->rec_busy = 1;
	s->rec_thread = pthread_self();
	(void)pthread_mutex_unlock(&s->lock);
	rco__result_init(&result);
	rc = rco__op_begin(engine, s, NULL, &op);
	if (rc == RCO_OK) {
		before = rco__callback_enter(engine);
		rc = fn(s->call_id, op, &result, s->recorder_user_data);
		rco__callback_leave(before);
		if (rc != RCO_PENDING)
			rco__op_end(engine, op);
	}
	(void)pthread_mutex_lock(&s->lock);
	s->rec_busy = 0;
	(void)pthread_cond_broadcast(&s->changed);
	if (rc == RCO_PENDING) {
		s->rec_op = op;
		s->rec_action = action;
		s->rec_deadline_us = rco__mono_us(&engine->env) + (int64_t)engine->cfg.backend_timeout_ms * 1000;
		return RCO_OK; /* the loop looks at rec_op */
	}
	return answered(s, action, rc, &result);
}

/* Lock held: look at an operation that is PENDING. RCO_PENDING as long as it is. */
static int look(rco_session *s)
{
	rco_engine *engine = s->engine;
	uint64_t op = s->rec_op;
	uint32_t action = s->rec_action;
	rco_result result;
	int rc;

	(void)pthread_mutex_unlock(&s->lock); /* taking an operation may drop a reference */
	rc = rco__op_take(engine, op, &result);
	(void)pthread_mutex_lock(&s->lock);
	if (s->rec_op != op)
		return RCO_OK; /* another thread took it meanwhile */
	if (rc == RCO_PENDING) {
		int late = rco__mono_us(&engine->env) >= s->rec_deadline_us;

		/* A stop does not wait for a start that has not been answered. */
		if (!late && (action == RCO_RECORDER_STOP || wanted(s) != RCO_RECORDER_STOP))
			return RCO_PENDING;
		(void)pthread_mutex_unlock(&s->lock);
		rco__op_give_up(engine, op, NULL, 0, NULL, 0);
		(void)pthread_mutex_lock(&s->lock);
		if (s->rec_op == op)
			s->rec_op = 0;
		return late ? answered(s, action, RCO_E_TIMEOUT, &result) : RCO_OK;
	}
	s->rec_op = 0;
	return answered(s, action, rc, &result);
}

/* Lock held: another thread is inside a callback. RCO_PENDING if this one cannot wait for it. */
static int wait_turn(rco_session *s)
{
	struct timespec until;

	if (rco__in_callback())
		return RCO_PENDING;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(s->engine->cfg.backend_timeout_ms / 1000 + 1);
	while (s->rec_busy)
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT)
			return RCO_PENDING;
	return RCO_OK;
}

int64_t rco__recorder_due(rco_session *s)
{
	int64_t due = RCO__NEVER;

	if (s->recorder.start == NULL)
		return RCO__NEVER;
	(void)pthread_mutex_lock(&s->lock);
	if (s->rec_op != 0)
		due = s->rec_deadline_us;
	else if (!s->rec_busy && wanted(s) == RCO_RECORDER_STOP)
		due = s->rec_retry_us;
	(void)pthread_mutex_unlock(&s->lock);
	return due;
}

int rco__recorder_settle(rco_session *s)
{
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&s->lock);
	while (rc == RCO_OK) {
		uint32_t action;

		if (s->rec_busy) {
			rc = wait_turn(s);
			continue;
		}
		if (s->rec_op != 0) {
			rc = look(s);
			continue;
		}
		action = wanted(s);
		if (action == 0)
			break;
		rc = ask(s, action);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}
