/* SPDX-License-Identifier: MIT */
/* A call: its life from the host's side. What workers do about it is in step.c and its neighbours. */
#include "internal.h"
#include "tell.h"

#include <stdio.h>
#include <string.h>

static const size_t options_v1_size = sizeof(rco_session_options);

/* Freed sessions stay readable for a while, so that a late call on one is answered instead of crashing. */
enum { GRAVEYARD = 256 };

/* ---- handles ---- */

int rco__session_check(rco_session *session)
{
	rco__error_clear();
	if (session == NULL)
		return rco__fail(RCO_E_INVALID, "session is NULL");
	if (atomic_load(&session->magic) != RCO__MAGIC_SESSION)
		return rco__fail(RCO_E_HANDLE, "the session was freed, or its engine was");
	if (*session->engine->alive == 0)
		return rco__fail(RCO_E_FORKED, "the engine belongs to the parent process");
	return RCO_OK;
}

void rco__session_ref(rco_session *session)
{
	atomic_fetch_add(&session->refs, 1);
}

int rco__session_try_ref(rco_session *session)
{
	uint32_t refs = atomic_load(&session->refs);

	while (refs > 0)
		if (atomic_compare_exchange_weak(&session->refs, &refs, refs + 1))
			return 1;
	return 0;
}

static void free_events(rco_session *s)
{
	while (s->events != NULL) {
		rco__event *e = s->events;

		s->events = e->next;
		rco__release(&s->engine->env, e);
	}
}

static void free_copies(rco_session *s)
{
	const rco__env *env = &s->engine->env;

	while (s->copies != NULL) {
		rco__copy *c = s->copies;

		s->copies = c->next;
		rco__copy_free(env, c);
	}
	if (s->record != NULL)
		rco__copy_free(env, s->record);
	if (s->record_text != NULL)
		rco__release(env, s->record_text);
	if (s->args != NULL)
		rco__release(env, s->args);
	s->record = NULL;
	s->record_text = NULL;
	s->args = NULL;
}

void rco__session_bury(const rco__env *env, rco_session *s)
{
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->changed);
	if (s->legs != NULL)
		rco__release(env, s->legs);
	rco__release(env, s->call_id);
	rco__release(env, s);
}

static void destroy(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco_session *out = NULL;

	rco__export_end(s);
	if (s->drain_buf != NULL) {
		rco_memzero(s->drain_buf, s->drain_size);
		rco__release(&engine->env, s->drain_buf);
		s->drain_buf = NULL;
	}
	free_events(s);
	free_copies(s);
	rco_memzero(&s->receipt, sizeof s->receipt);
	atomic_store(&s->magic, RCO__MAGIC_DEAD);
	(void)pthread_mutex_lock(&engine->reg_lock);
	if (s->all_prev != NULL)
		s->all_prev->all_next = s->all_next;
	else
		engine->all = s->all_next;
	if (s->all_next != NULL)
		s->all_next->all_prev = s->all_prev;
	s->all_prev = s->all_next = NULL;
	*engine->graveyard_tail = s;
	engine->graveyard_tail = &s->all_next;
	if (++engine->graveyard_count > GRAVEYARD) {
		out = engine->graveyard;
		engine->graveyard = out->all_next;
		engine->graveyard_count--;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (out != NULL)
		rco__session_bury(&engine->env, out);
	rco__engine_unref(engine);
}

void rco__session_unref(rco_session *session)
{
	if (atomic_fetch_sub(&session->refs, 1) == 1)
		destroy(session);
}

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
	atomic_fetch_add(&engine->refs, 1);
	atomic_store(&s->refs, 1);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	s->shard = atomic_fetch_add(&engine->next_shard, 1) % engine->n_live;
	s->copies_tail = &s->copies;
	s->events_tail = &s->events;
	s->created_us = rco__wall_us(env);
	s->window_mono_us = RCO__NEVER;
	s->forget_mono_us = RCO__NEVER;
	s->erase_by_mono_us = RCO__NEVER;
	atomic_store(&s->why_shut, RCO_E_NOT_STARTED);
	/* The receipt's id is drawn now, so that an opt-out needs nothing that can fail. */
	rco__uuid_new(s->receipt.id);
	memcpy(s->receipt.recording_id, s->recording_id, 16);
	s->receipt.call_id = s->call_id;
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
		rc = rco__call_id_check(o->call_id);
	if (rc != RCO_OK)
		return rc;
	if (o->flags != 0 || o->consent > RCO_CONSENT_OFF || o->opt_out > RCO_OPT_OUT_DISABLED ||
	    o->legal_hold > 1 || o->reserved0 != 0 || o->reserved1 != NULL)
		return rco__fail(RCO_E_INVALID, "a field of rco_session_options is out of range");
	if (o->recorder != NULL)
		return rco__recorder_ops_copy(recorder, o->recorder);
	return RCO_OK;
}

int rco_session_create(rco_engine *engine, const rco_session_options *options, rco_session **session)
{
	rco_recorder_ops recorder = {0};
	rco_session_options o;
	rco_session *s;
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
	s->hold = o.legal_hold;
	s->recorder = recorder;
	s->recorder_user_data = o.recorder_user_data;
	rc = rco__registry_add(s);
	if (rc != RCO_OK) {
		rco__registry_forget(s);
		atomic_store(&s->magic, RCO__MAGIC_DEAD);
		rco__session_unref(s);
		return rc;
	}
	*session = s;
	rco__session_wake(s);
	return RCO_OK;
}

size_t rco__session_meta(rco_session *s, uint8_t out[RCO_META_MAX])
{
	rco__cursor c;

	rco__cursor_writer(&c, out, RCO_META_MAX);
	rco__w8(&c, 1); /* version */
	rco__w64(&c, (uint64_t)s->created_us);
	rco__w64(&c, (uint64_t)s->started_us);
	rco__wstr(&c, s->call_id);
	rco__wbytes(&c, s->receipt.id,
	            sizeof s->receipt.id); /* a stop that is only in the rings keeps its receipt */
	rco__w8(&c, s->hold != 0);         /* and its hold */
	return rco__cursor_used(&c, out);
}

/* ---- start, pause, resume, end ---- */

/* Lock held: the recorder agreed, or there is none. */
static void started(rco_session *s)
{
	s->started_us = rco__wall_us(&s->engine->env);
	rco__gates_set(s);
	rco__event_queue(s, RCO_EVENT_STARTED, 0, 0, "%s", "");
}

/* No lock held. Ask the recorder, then open the gates. */
int rco__session_start(rco_session *s)
{
	int rc = rco__recorder_settle(s);

	(void)pthread_mutex_lock(&s->lock);
	s->starting = 0;
	if (rc == RCO_OK || rc == RCO_PENDING) {
		/* An opt-out or a hang-up may have come while the recorder was being asked; it then stops it. */
		rc = (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) ? RCO_E_OPTED_OUT
		     : s->ended                                      ? RCO_E_ENDED
		                                                     : RCO_OK;
		if (rc == RCO_OK)
			started(s);
	} else {
		s->start_asked = 0;
	}
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK && rco__journal_begin(s, NULL) != RCO_OK) /* once more, now with the time */
		rco__log(&s->engine->env, RCO_LOG_WARN, "%s: its start is not in the journal: %s", s->call_id,
		         rco_error_detail());
	rco__session_wake(s);
	return rc;
}

int rco_session_start(rco_session *session)
{
	int rc = rco__session_check(session), now = 0;

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	if (atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT)
		rc = rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id);
	else if (session->ended)
		rc = rco__fail(RCO_E_ENDED, "call %s has ended", session->call_id);
	else if (session->start_asked)
		rc = rco__fail(RCO_E_STATE, "call %s was started before", session->call_id);
	else if (session->consent_policy == RCO_CONSENT_OFF)
		rc = rco__fail(RCO_E_NO_CONSENT, "call %s is never to be recorded", session->call_id);
	if (rc == RCO_OK) {
		session->start_asked = 1;
		now = session->consent_policy != RCO_CONSENT_ASK_FIRST || session->consent == 1;
		session->starting = (uint32_t)now;
		if (!now)
			rco__gates_set(session);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rc == RCO_OK && now ? rco__session_start(session) : rc;
}

/* Lock held. Before the start only the peer's preference is kept. */
static int may_pause(const rco_session *s, int for_peer)
{
	if (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT)
		return rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", s->call_id);
	if (s->ended)
		return rco__fail(RCO_E_ENDED, "call %s has ended", s->call_id);
	if (s->started_us == 0 && !for_peer)
		return rco__fail(RCO_E_NOT_STARTED, "call %s is not being recorded", s->call_id);
	if (s->recorder.start != NULL && s->recorder.pause == NULL)
		return rco__fail(RCO_E_OPS, "the recorder of call %s cannot pause", s->call_id);
	return RCO_OK;
}

/* Lock held. */
static int pause_change(rco_session *s, uint32_t paused)
{
	if (s->paused == paused)
		return 0;
	s->paused = paused;
	rco__gates_set(s);
	rco__event_queue(s, paused ? RCO_EVENT_PAUSED : RCO_EVENT_RESUMED, 0, 0, "%s", "");
	return 1;
}

static int pause_settle(rco_session *session)
{
	int rc = rco__recorder_settle(session);

	rco__session_wake(session);
	return rc == RCO_PENDING ? RCO_OK : rc;
}

static int set_paused(rco_session *session, uint32_t paused)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	rc = may_pause(session, 0);
	if (rc == RCO_OK) {
		session->paused_for_peer = 0;
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
	if (rc == RCO_OK && (paused || session->paused_for_peer)) {
		*changed = pause_change(session, paused);
		session->paused_for_peer = paused && (*changed || session->paused_for_peer);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rc == RCO_OK && *changed ? pause_settle(session) : rc;
}

void rco__session_end_locked(rco_session *s)
{
	const rco_engine_config *cfg = &s->engine->cfg;
	int64_t now = rco__mono_us(&s->engine->env);

	s->ended = 1;
	s->ended_us = rco__wall_us(&s->engine->env);
	s->window_mono_us = now + (int64_t)cfg->window_ms * 1000;
	s->forget_mono_us = s->window_mono_us + (int64_t)cfg->remember_ended_s * 1000000;
	rco__gates_set(s);
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
	if (session->ended)
		rc = rco__fail(RCO_E_ENDED, "call %s had ended before", session->call_id);
	else
		rco__session_end_locked(session);
	started = session->started_us != 0;
	(void)pthread_mutex_unlock(&session->lock);
	if (rc != RCO_OK)
		return rc;
	if (journal_end(session, started) != RCO_OK)
		rco__log(&session->engine->env, RCO_LOG_WARN, "%s: its end is not in the journal: %s",
		         session->call_id, rco_error_detail());
	(void)rco__recorder_settle(session); /* if it fails the worker repeats it */
	rco__session_wake(session);
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
		if (atomic_exchange(&session->freed, 1) == 0)
			rco__session_unref(session);
		return;
	}
	if (rco__session_check(session) != RCO_OK)
		return;
	if (!atomic_compare_exchange_strong(&session->magic, &live, RCO__MAGIC_FREED) ||
	    atomic_exchange(&session->freed, 1) != 0)
		return; /* another thread was first */
	(void)end_call(session);
	rco__session_unref(session);
}
