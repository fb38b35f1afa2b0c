/* SPDX-License-Identifier: MIT */
/*
 * The host's own recorder. What it should be doing follows from the session;
 * rco__recorder_settle() asks it, one action after the other, until it is
 * there. One thread at a time is inside its callbacks; a thread that comes
 * meanwhile waits, unless it is itself inside a callback.
 */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "journal.h"
#include "work.h"

#include "../base/thread.h"

#include <errno.h>
#include <time.h>

/* Lock held. What to ask next, 0 if the recorder is where it should be. */
static uint32_t wanted(const rco_session *s)
{
	int stop = rco__opted_out(s) || s->control.ended;

	if (s->recorder.ops.start == NULL || s->recorder.state == RCO__REC_OFF)
		return 0;
	if (stop)
		return s->recorder.state == RCO__REC_NONE ? 0 : RCO_RECORDER_STOP;
	if (s->control.starting && s->recorder.state != RCO__REC_ON)
		return RCO_RECORDER_START;
	if (s->recorder.state == RCO__REC_ON &&
	    s->control.paused != s->recorder.paused) /* so it can: may_pause() saw to that */
		return s->control.paused ? RCO_RECORDER_PAUSE : RCO_RECORDER_RESUME;
	return 0;
}

static rco_recorder_fn function_of(const rco_session *s, uint32_t action)
{
	switch (action) {
	case RCO_RECORDER_START:
		return s->recorder.ops.start;
	case RCO_RECORDER_PAUSE:
		return s->recorder.ops.pause;
	case RCO_RECORDER_RESUME:
		return s->recorder.ops.resume;
	default:
		return s->recorder.ops.stop;
	}
}

static const char *action_name(uint32_t action)
{
	static const char *const names[] = {"", "start", "stop", "pause", "resume"};

	return names[action];
}

/* Lock held: does nobody know what the recorder that an earlier process started does now? */
static int in_doubt(rco_session *s)
{
	return rco__recorder_lost(s) ||
	       (s->recovered && rco__opted_out(s) && !(s->control.receipt.facts & RCO_FACT_STOPPED));
}

/* Lock held: now it is known. */
static int doubt_ends(rco_session *s, const char *why, uint64_t *lsn)
{
	atomic_store(&s->recorder.told, RCO__TOLD_STOP);
	if (rco__opted_out(s)) {
		s->control.receipt.stopped_us = rco__receipt_now(s);
		s->control.receipt.facts |= RCO_FACT_STOPPED;
		rco__event_queue(s, RCO_EVENT_STOPPED, 0, 0, "%s", why);
	}
	(void)pthread_cond_broadcast(&s->changed);
	return rco__journal_begin(s, lsn);
}

/* Lock held: of a call that goes on over a restart the recorder is one, and what it confirms is true of all parts.
 */
static void parts_stopped(rco_session *s)
{
	uint64_t lsn;
	rco_session *p;

	for (p = s->earlier; p != NULL; p = p->earlier) {
		(void)pthread_mutex_lock(&p->lock);
		if (in_doubt(p)) { /* evidence only, so it need not be waited for */
			(void)doubt_ends(p, "the recorder of the call that goes on confirmed its stop", NULL);
			if (rco__opted_out(p))
				(void)rco__journal_mark(p->engine, &p->control.receipt, RCO__OPT_STOPPED, 0,
				                        p->control.receipt.stopped_us, &lsn);
			atomic_store(&p->work.late_news, 1);
		}
		(void)pthread_mutex_unlock(&p->lock);
		rco__session_wake(p);
	}
}

/* Lock held: the recorder said that it does not record. */
static void not_recording(rco_session *s, rco__recorder_state state, const char *why)
{
	int64_t now = rco__receipt_now(s);

	if (state == RCO__REC_OFF)
		parts_stopped(s);
	s->recorder.state = state;
	s->recorder.failures = 0;
	if (!(s->recorder.ops.flags &
	      RCO_RECORDER_PUSHES)) /* one that does is gone with its process, and its files */
		atomic_store(&s->recorder.told, state == RCO__REC_OFF ? RCO__TOLD_STOP : RCO__TOLD_NOTHING);
	if (!rco__opted_out(s)) {
		/* For the next process, as long as this call is of interest to it. */
		if (atomic_load(&s->work.phase) < RCO__PHASE_RECORD)
			(void)rco__journal_begin(s, NULL);
		return;
	}
	s->control.receipt.stopped_us = now;
	s->control.receipt.facts |= RCO_FACT_STOPPED;
	if (!rco__was_recorded(s)) /* it had refused to start: nothing of this call was recorded */
		s->control.receipt.facts &= ~(uint32_t)RCO_FACT_RECORDED;
	rco__registered_look(s);
	rco__gates_note(s);
	(void)pthread_cond_broadcast(&s->changed);
	atomic_store(&s->work.late_news, 1); /* an erasure that waited for it need not wait any longer */
	rco__event_queue(s, RCO_EVENT_STOPPED, 0, 0, "%s", why);
	if (s->control.tomb_lsn != 0) {
		uint64_t lsn;

		/* Evidence only, so it need not be waited for. */
		(void)rco__journal_mark(s->engine, &s->control.receipt, RCO__OPT_STOPPED, 0, now, &lsn);
	}
}

/*
 * Says this code that the recorder does not record? Of a connection that broke, a callback that raised, or a
 * number of the host's own that is not known: then it may be recording, and is told to stop.
 */
static int is_refusal(int code)
{
	switch (code) {
	case RCO_E_DECLINED:
	case RCO_E_INVALID:
	case RCO_E_STATE:
	case RCO_E_LIMIT:
	case RCO_E_FORMAT:
	case RCO_E_BUSY:
	case RCO_E_PERMISSION:
	case RCO_E_NOT_FOUND:
	case RCO_E_NOT_AVAILABLE:
	case RCO_E_NO_SPACE:
	case RCO_E_NO_MEMORY:
		return 1;
	default:
		return 0;
	}
}

/* Lock held: until a stop that failed is asked for again. */
static int64_t next_pause_us(rco_session *s)
{
	uint64_t wait = s->engine->cfg.retry_min_ms;

	if (s->recorder.failures < 16)
		wait <<= s->recorder.failures;
	if (s->recorder.failures >= 16 || wait > s->engine->cfg.retry_max_ms)
		wait = s->engine->cfg.retry_max_ms;
	s->recorder.failures++;
	return (int64_t)wait * 1000;
}

/* Lock held: the recorder answered. Returns RCO_OK or what rco__recorder_settle() shall return. */
static int answered(rco_session *s, uint32_t action, int code, const rco_result *result)
{
	int64_t now = rco__mono_us(&s->engine->env);
	rco__event *told;

	if (code == RCO_OK && result->confirmed == RCO_CONFIRM_DONE) {
		if (action == RCO_RECORDER_START) {
			s->recorder.state = RCO__REC_ON;
			s->recorder.paused = 0;
		} else if (action == RCO_RECORDER_STOP) {
			not_recording(s, RCO__REC_OFF, "the recorder confirmed its stop");
		} else {
			s->recorder.paused = action == RCO_RECORDER_PAUSE;
		}
		return RCO_OK;
	}
	if (action == RCO_RECORDER_START && is_refusal(code))
		not_recording(s, RCO__REC_NONE, "the recorder had refused to start");
	if (action == RCO_RECORDER_STOP) {
		/* One that was asked before its time, because somebody objected again, does not wait longer for
		 * that. */
		if (now >= s->recorder.retry_us)
			s->recorder.retry_us = now + next_pause_us(s);
		told = rco__event_queue(s, RCO_EVENT_STOP_FAILED, code != RCO_OK ? code : RCO_E_UNCONFIRMED,
		                        s->recorder.failures,
		                        "the recorder did not confirm its stop; it is asked again");
		if (told != NULL)
			told->attempt = s->recorder.failures;
	}
	if (action == RCO_RECORDER_START &&
	    !s->control.starting) /* it had said PENDING, and the host thinks that it records */
		rco__log(&s->engine->env, RCO_LOG_ERROR, "%s: the recorder did not start: %s", s->call_id,
		         rco_error_name(code != RCO_OK ? code : RCO_E_UNCONFIRMED));
	if (action == RCO_RECORDER_PAUSE || action == RCO_RECORDER_RESUME)
		s->recorder.paused = action == RCO_RECORDER_PAUSE; /* told; not asked again by itself */
	return rco__fail(RCO_E_CALLBACK, "the recorder of call %s answered its %s with %s", s->call_id,
	                 action_name(action),
	                 code == RCO_OK ? "success but no confirmation" : rco_error_name(code));
}

/* Lock held; it is given up for the callback. */
static int ask(rco_session *s, uint32_t action)
{
	rco_engine *engine = s->engine;
	rco_recorder_fn fn = function_of(s, action);
	rco_result result;
	uint64_t op;
	int rc;

	if (action == RCO_RECORDER_START)
		s->recorder.state = RCO__REC_MAYBE;
	s->recorder.busy = 1;
	s->recorder.thread = pthread_self();
	(void)pthread_mutex_unlock(&s->lock);
	rco__result_init(&result);
	rc = rco__op_begin(engine, s, NULL, &op);
	if (rc == RCO_OK) {
		RCO__ASK_HOST(engine, rc, fn(s->call_id, op, &result, s->recorder.user_data));
		if (rc != RCO_PENDING)
			rco__op_end(engine, op);
	}
	(void)pthread_mutex_lock(&s->lock);
	s->recorder.busy = 0;
	(void)pthread_cond_broadcast(&s->changed);
	if (rc == RCO_PENDING) {
		s->recorder.op = op;
		s->recorder.action = action;
		s->recorder.deadline_us =
			rco__mono_us(&engine->env) + (int64_t)engine->cfg.backend_timeout_ms * 1000;
		return RCO_OK; /* the loop looks at recorder.op */
	}
	return answered(s, action, rc, &result);
}

/* Lock held: look at an operation that is PENDING. RCO_PENDING as long as it is. */
static int look(rco_session *s)
{
	rco_engine *engine = s->engine;
	uint64_t op = s->recorder.op;
	uint32_t action = s->recorder.action;
	rco_result result;
	int rc;

	(void)pthread_mutex_unlock(&s->lock); /* taking an operation may drop a reference */
	rc = rco__op_take(engine, op, &result);
	(void)pthread_mutex_lock(&s->lock);
	if (s->recorder.op != op)
		return RCO_OK; /* another thread took it meanwhile */
	if (rc == RCO_PENDING) {
		int late = rco__mono_us(&engine->env) >= s->recorder.deadline_us;

		/* A stop does not wait for a start that has not been answered. */
		if (!late && (action == RCO_RECORDER_STOP || wanted(s) != RCO_RECORDER_STOP))
			return RCO_PENDING;
		(void)pthread_mutex_unlock(&s->lock);
		rco__op_give_up(engine, op, NULL, 0, NULL, 0);
		(void)pthread_mutex_lock(&s->lock);
		if (s->recorder.op == op)
			s->recorder.op = 0;
		return late ? answered(s, action, RCO_E_TIMEOUT, &result) : RCO_OK;
	}
	s->recorder.op = 0;
	return answered(s, action, rc, &result);
}

/* Lock held: another thread is inside a callback. RCO_PENDING if this one cannot wait for it. */
static int wait_turn(rco_session *s)
{
	const struct timespec until = rco__deadline_in(s->engine->cfg.backend_timeout_ms);

	if (rco__in_callback())
		return RCO_PENDING;
	while (s->recorder.busy)
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT)
			return RCO_PENDING;
	return RCO_OK;
}

int64_t rco__recorder_due(rco_session *s)
{
	int64_t due = RCO__NEVER;

	if (s->recorder.ops.start == NULL)
		return RCO__NEVER;
	(void)pthread_mutex_lock(&s->lock);
	if (s->recorder.op != 0)
		due = s->recorder.deadline_us;
	else if (!s->recorder.busy && wanted(s) == RCO_RECORDER_STOP)
		due = s->recorder.retry_us;
	else if (!s->recorder.busy && s->control.pause_later)
		due = 0;
	(void)pthread_mutex_unlock(&s->lock);
	return due;
}

int rco__recorder_settle(rco_session *s)
{
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&s->lock);
	while (rc == RCO_OK) {
		uint32_t action;

		if (s->recorder.busy) {
			rc = wait_turn(s);
			continue;
		}
		if (s->recorder.op != 0) {
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

/* ---- of an earlier process ---- */

static int stopped_by_hand(rco_session *s)
{
	uint64_t calls = 0, ledger = 0;
	int rc, opted_out;

	(void)pthread_mutex_lock(&s->lock);
	opted_out = rco__opted_out(s);
	rc = in_doubt(s) ? RCO_OK
	                 : rco__fail(RCO_E_STATE, "call %s has no recorder that an earlier process started",
	                             s->call_id);
	if (rc == RCO_OK && opted_out)
		rc = rco__journal_mark(s->engine, &s->control.receipt, RCO__OPT_STOPPED, 0, rco__receipt_now(s),
		                       &ledger);
	if (rc == RCO_OK)
		rc = doubt_ends(s, "the host says that its recorder has stopped", &calls);
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK)
		rc = rco__ledger_sync(s->engine->calls, calls);
	if (rc == RCO_OK && opted_out)
		rc = rco__ledger_sync(s->engine->ledger, ledger);
	rco__session_wake(s);
	return rc == RCO_OK || rc == RCO_E_STATE ? rc : RCO_PENDING; /* said, and not yet on disk */
}

int rco__session_recorder_stopped(rco_session *s)
{
	int one, any = RCO_E_STATE;

	for (; s != NULL; s = s->earlier) { /* any part's; a failure of one counts */
		one = stopped_by_hand(s);
		if (one != RCO_E_STATE && any != RCO_PENDING)
			any = one;
	}
	return any;
}

int rco_engine_recorder_stopped(rco_engine *engine, const char *call_id)
{
	int rc = rco__engine_check(engine), one, any = RCO_E_NOT_FOUND;
	rco_session *s;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc != RCO_OK)
		return rc;
	for (s = rco__registry_next_of(engine, call_id, NULL); s != NULL;
	     s = rco__registry_next_of(engine, call_id, s)) {
		one = rco__session_recorder_stopped(s);
		if (one == RCO_E_STATE ? any == RCO_E_NOT_FOUND : any != RCO_PENDING)
			any = one;
	}
	return any == RCO_E_NOT_FOUND ? rco__fail(RCO_E_NOT_FOUND, "no call %s is known", call_id) : any;
}
