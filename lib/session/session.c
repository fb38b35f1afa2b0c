/* SPDX-License-Identifier: MIT */
/* A call: its life from the host's side. What workers do about it is in step.c and its neighbours. */
#include "calls.h"
#include "core.h"
#include "journal.h"
#include "peer.h"

#include "../base/thread.h"

#include <string.h>

static const size_t options_v1_size = RCO__SIZE_THROUGH(rco_session_options, reserved1);

/* ---- creation ---- */

int rco__session_new(rco_engine *engine, const char *call_id, const uint8_t recording_id[16], rco_session **out)
{
	const rco__env *env = &engine->env;
	size_t id_size = strlen(call_id) + 1;
	rco_session *s = rco__zalloc(env, 1, sizeof *s);
	pthread_condattr_t attr;

	if (s == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a session");
	s->call_id = rco__alloc(env, id_size);
	if (s->call_id == NULL) {
		rco__release(env, s);
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a session");
	}
	memcpy(s->call_id, call_id, id_size);
	if (recording_id != NULL)
		memcpy(s->recording_id, recording_id, 16);
	else
		rco__uuid_new(s->recording_id);
	s->engine = engine;
	s->buffer_kind = engine->buffer_kind;
	atomic_fetch_add(&engine->refs, 1);
	atomic_store(&s->refs, 1);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	s->shard = atomic_fetch_add(&engine->next_shard, 1) % engine->n_live;
	s->control.copies_tail = &s->control.copies;
	s->control.events_tail = &s->control.events;
	s->control.created_us = rco__wall_us(env);
	s->control.window_mono_us = RCO__NEVER;
	s->control.forget_mono_us = RCO__NEVER;
	s->control.erase_by_mono_us = RCO__NEVER;
	atomic_store(&s->why_shut, RCO_E_NOT_STARTED);
	/* The receipt's id is drawn now, so that an opt-out needs nothing that can fail. */
	rco__uuid_new(s->control.receipt.id);
	memcpy(s->control.receipt.recording_id, s->recording_id, 16);
	s->control.receipt.call_id = s->call_id;
	(void)pthread_mutex_lock(&engine->reg_lock);
	s->all_next = engine->all;
	if (s->all_next != NULL)
		s->all_next->all_prev = s;
	engine->all = s;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	atomic_store(&s->magic, RCO__MAGIC_SESSION);
	*out = s;
	return RCO_OK;
}

static int check_options(const rco_session_options *in, rco_session_options *o, rco_recorder_ops *recorder)
{
	int rc = rco__struct_copy(o, sizeof *o, options_v1_size, in, "rco_session_options");

	if (rc == RCO_OK)
		rc = rco__struct_known(o->flags, RCO_SESSION_NONBLOCK, o->reserved0 != 0 || o->reserved1 != NULL,
		                       "rco_session_options");
	if (rc == RCO_OK)
		rc = rco__call_id_check(o->call_id);
	if (rc != RCO_OK)
		return rc;
	if (o->consent > RCO_CONSENT_OFF || o->opt_out > RCO_OPT_OUT_DISABLED || o->legal_hold > 1)
		return rco__fail(RCO_E_INVALID, "a field of rco_session_options is out of range");
	if (o->recorder != NULL)
		return rco__recorder_ops_copy(recorder, o->recorder);
	return RCO_OK;
}

int rco_session_create(rco_engine *engine, const rco_session_options *options, rco_session **session)
{
	rco_recorder_ops recorder = {0};
	rco_session_options o;
	rco_session *s, *same = NULL;
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (session == NULL)
		return rco__fail(RCO_E_INVALID, "session is NULL");
	*session = NULL;
	rc = check_options(options, &o, &recorder);
	if (rc != RCO_OK)
		return rc;
	rc = rco__session_new(engine, o.call_id, NULL, &s);
	if (rc != RCO_OK)
		return rc;
	s->consent_policy = o.consent != RCO_CONSENT_DEFAULT ? o.consent : engine->cfg.consent;
	s->opt_out_switch = o.opt_out;
	s->control.hold = o.legal_hold;
	s->recorder.ops = recorder;
	s->recorder.user_data = o.recorder_user_data;
	s->user_data = o.user_data;
	s->nonblock = (o.flags & RCO_SESSION_NONBLOCK) != 0;
	rc = rco__registry_add(s, &same);
	if (rc != RCO_OK || same != NULL) {
		rco__registry_forget(s);
		atomic_store(&s->magic, RCO__MAGIC_DEAD);
		rco__session_unref(s);
		s = same;
	} else if (o.legal_hold) {
		rco__hold_earlier(s, s->nonblock);
		if (s->nonblock)
			rco__request_save(s, RCO__REQUEST_END);
	}
	*session = s;
	if (s != NULL)
		rco__session_wake(s);
	return rc;
}

/* ---- start, pause, resume, end ---- */

/* Lock held: the recorder agreed, or there is none. */
static void started(rco_session *s)
{
	s->control.started_us = rco__wall_us(&s->engine->env);
	rco__gates_set(s);
	rco__event_queue(s, RCO_EVENT_STARTED, 0, 0, "%s", "");
}

/* No lock held. Ask the recorder, then open the gates. */
int rco__session_start(rco_session *s)
{
	int rc;

	/* Were this process to be killed, the recorder would go on: the next one has to know of it. */
	if (s->recorder.ops.start != NULL && !(s->recorder.ops.flags & RCO_RECORDER_PUSHES)) {
		atomic_store(&s->recorder.told, RCO__TOLD_START);
		if (rco__journal_begin(s, NULL) != RCO_OK || rco__ledger_try_write(s->engine->calls) < 0)
			rco__log(&s->engine->env, RCO_LOG_WARN,
			         "%s: that its recorder is started is not in the journal: %s", s->call_id,
			         rco_error_detail());
	}
	rc = rco__recorder_settle(s);
	(void)pthread_mutex_lock(&s->lock);
	s->control.starting = 0;
	if (rc == RCO_OK || rc == RCO_PENDING) {
		/* An opt-out or a hang-up may have come while the recorder was being asked; it then stops it. */
		rc = rco__opted_out(s) ? RCO_E_OPTED_OUT : s->control.ended ? RCO_E_ENDED : RCO_OK;
		if (rc == RCO_OK)
			started(s);
	} else {
		s->control.start_asked = 0;
	}
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK && rco__journal_begin(s, NULL) != RCO_OK) /* once more, now with the time */
		rco__log(&s->engine->env, RCO_LOG_WARN, "%s: its start is not in the journal: %s", s->call_id,
		         rco_error_detail());
	rco__session_wake(s);
	return rc;
}

/* Without a recorder there is nothing to wait for. */
int rco__session_start_or_later(rco_session *s)
{
	if (!s->nonblock || s->recorder.ops.start == NULL)
		return rco__session_start(s);
	(void)pthread_mutex_lock(&s->lock);
	s->control.start_later = 1;
	(void)pthread_mutex_unlock(&s->lock);
	rco__session_wake(s);
	return RCO_PENDING;
}

int rco_session_start(rco_session *session)
{
	int rc = rco__session_check(session), now = 0;

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	if (rco__opted_out(session))
		rc = rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id);
	else if (session->control.ended)
		rc = rco__fail(RCO_E_ENDED, "call %s has ended", session->call_id);
	else if (session->control.start_asked)
		rc = rco__fail(RCO_E_STATE, "call %s was started before", session->call_id);
	else if (session->consent_policy == RCO_CONSENT_OFF)
		rc = rco__fail(RCO_E_NO_CONSENT, "call %s is never to be recorded", session->call_id);
	if (rc == RCO_OK) {
		session->control.start_asked = 1;
		now = session->consent_policy != RCO_CONSENT_ASK_FIRST || session->control.consent == 1;
		session->control.starting = (uint32_t)now;
		if (!now)
			rco__gates_set(session);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rc == RCO_OK && now ? rco__session_start_or_later(session) : rc;
}

/* Lock held. Before the start only the peer's preference is kept. */
static int may_pause(const rco_session *s, int for_peer)
{
	if (rco__opted_out(s))
		return rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", s->call_id);
	if (s->control.ended)
		return rco__fail(RCO_E_ENDED, "call %s has ended", s->call_id);
	if (s->control.started_us == 0 && !for_peer)
		return rco__fail(RCO_E_NOT_STARTED, "call %s is not being recorded", s->call_id);
	if (s->recorder.ops.start != NULL && s->recorder.ops.pause == NULL)
		return rco__fail(RCO_E_OPS, "the recorder of call %s cannot pause", s->call_id);
	return RCO_OK;
}

/* Lock held. */
static int pause_change(rco_session *s, uint32_t paused)
{
	if (s->control.paused == paused)
		return 0;
	s->control.paused = paused;
	rco__gates_set(s);
	rco__event_queue(s, paused ? RCO_EVENT_PAUSED : RCO_EVENT_RESUMED, 0, 0, "%s", "");
	return 1;
}

static int pause_settle(rco_session *session)
{
	int rc = RCO_PENDING;

	if (!session->nonblock || session->recorder.ops.start == NULL) {
		rc = rco__recorder_settle(session);
	} else {
		(void)pthread_mutex_lock(&session->lock);
		session->control.pause_later = 1;
		(void)pthread_mutex_unlock(&session->lock);
	}
	rco__session_wake(session);
	return rc == RCO_OK ? RCO_OK : RCO_PENDING; /* frames are refused, or accepted, already */
}

static int set_paused(rco_session *session, uint32_t paused)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	rc = may_pause(session, 0);
	if (rc == RCO_OK) {
		session->control.paused_for_peer = 0;
		(void)pause_change(session, paused);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rc == RCO_OK ? pause_settle(session) : rc;
}

int rco_session_pause(rco_session *session)
{
	return set_paused(session, 1);
}

int rco_session_resume(rco_session *session)
{
	return set_paused(session, 0);
}

int rco__session_pause_for_peer(rco_session *session, uint32_t paused, int *changed)
{
	int rc = rco__session_check(session);

	*changed = 0;
	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	rc = may_pause(session, 1);
	if (rc == RCO_OK && (paused || session->control.paused_for_peer)) {
		*changed = pause_change(session, paused);
		session->control.paused_for_peer = paused && (*changed || session->control.paused_for_peer);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rc == RCO_OK && *changed ? pause_settle(session) : rc;
}

void rco__session_end_locked(rco_session *s)
{
	const rco_engine_config *cfg = &s->engine->cfg;
	int64_t now = rco__mono_us(&s->engine->env);

	s->control.ended = 1;
	s->control.ended_us = rco__wall_us(&s->engine->env);
	s->control.window_mono_us = now + (int64_t)cfg->late_opt_out_ms * 1000;
	s->control.forget_mono_us = s->control.window_mono_us + (int64_t)cfg->remember_ended_s * 1000000;
	rco__gates_set(s);
	rco__gates_note(s); /* known at once, also to the next process */
	rco__continued_end(s);
	rco__event_queue(s, RCO_EVENT_ENDED, 0, 0, "%s", "");
}

/* A call that never started is booked later, by a worker: an end alone would be one of an unknown call. */
static int journal_end(rco_session *session, int started)
{
	int rc = started ? RCO_OK : rco__journal_begin(session, NULL);

	return rc == RCO_OK ? rco__journal_end(session) : rc;
}

static int end_call(rco_session *session)
{
	int rc = RCO_OK, started;

	(void)pthread_mutex_lock(&session->lock);
	if (session->control.ended)
		rc = rco__fail(RCO_E_ENDED, "call %s had ended before", session->call_id);
	else
		rco__session_end_locked(session);
	started = session->control.started_us != 0;
	(void)pthread_mutex_unlock(&session->lock);
	if (rc != RCO_OK)
		return rc;
	if (journal_end(session, started) != RCO_OK)
		rco__log(&session->engine->env, RCO_LOG_WARN, "%s: its end is not in the journal: %s",
		         session->call_id, rco_error_detail());
	/* Were this process to be killed, the next one would take a call without a ring for one that goes on. */
	if (session->nonblock) {
		rco__request_save(session, RCO__REQUEST_END);
	} else {
		(void)rco__ledger_try_write(session->engine->calls);
		(void)rco__recorder_settle(session); /* if it fails the worker repeats it */
	}
	rco__session_look_at_once(session); /* the upload of a held call may have waited for the end */
	rco__clear_registers();             /* often the thread that pushed (P4) */
	return RCO_OK;
}

int rco_session_end(rco_session *session)
{
	int rc = rco__session_check(session);

	return rc == RCO_OK ? end_call(session) : rc;
}

void rco_session_free(rco_session *session)
{
	uint32_t live = RCO__MAGIC_SESSION;

	if (session == NULL)
		return;
	if (atomic_load(&session->magic) == RCO__MAGIC_DEAD) {
		/* Its engine is gone; the handle is the last thing that holds the memory. */
		if (atomic_exchange(&session->control.freed, 1) == 0)
			rco__session_unref(session);
		return;
	}
	if (rco__session_check(session) != RCO_OK)
		return;
	if (!atomic_compare_exchange_strong(&session->magic, &live, RCO__MAGIC_FREED) ||
	    atomic_exchange(&session->control.freed, 1) != 0)
		return; /* another thread was first */
	(void)end_call(session);
	rco__session_unref(session);
}
