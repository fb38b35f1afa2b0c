/* SPDX-License-Identifier: MIT */
/* A call: its life from the host's side. What workers do about it is in step.c and its neighbours. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static const size_t options_v1_size = sizeof(rco_session_options);
static const size_t stats_v1_size = sizeof(rco_session_stats);

/* Freed sessions stay readable for a while, so that a late call on one is answered instead of crashing. */
enum { GRAVEYARD = 256, MIN_RING_MS = 1000 };

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
	else if (engine->all == s)
		engine->all = s->all_next;
	if (s->all_next != NULL)
		s->all_next->all_prev = s->all_prev;
	s->all_prev = s->all_next = NULL;
	*engine->graveyard_tail = s;
	engine->graveyard_tail = &s->all_next;
	if (++engine->graveyard_count > GRAVEYARD) {
		out = engine->graveyard;
		engine->graveyard = out->all_next;
		if (engine->graveyard == NULL)
			engine->graveyard_tail = &engine->graveyard;
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

/* ---- registry ---- */

rco_session *rco__registry_find(rco_engine *engine, const char *call_id)
{
	rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	s = rco__map_get(&engine->by_call, call_id, strlen(call_id));
	if (s != NULL)
		rco__session_ref(s);
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return s;
}

int rco__registry_add(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco_session *before;
	int rc = RCO_OK, live = 0;

	(void)pthread_mutex_lock(&engine->reg_lock);
	before = rco__map_get(&engine->by_call, s->call_id, strlen(s->call_id));
	if (before != NULL) {
		(void)pthread_mutex_lock(&before->lock);
		live = !before->ended;
		(void)pthread_mutex_unlock(&before->lock);
	}
	if (live)
		rc = rco__fail(RCO_E_CALL_EXISTS, "call %s is still going on", s->call_id);
	else
		rc = rco__map_set(&engine->by_call, s->call_id, strlen(s->call_id), s);
	if (rc == RCO_OK) {
		rco__session_ref(s);
		s->registered = 1;
		if (before != NULL)
			before->registered = 0;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (rc == RCO_OK && before != NULL)
		rco__session_unref(before);
	return rc;
}

void rco__registry_forget(rco_session *s)
{
	rco_engine *engine = s->engine;
	int was;

	(void)pthread_mutex_lock(&engine->reg_lock);
	was = s->registered != 0;
	if (was)
		(void)rco__map_remove(&engine->by_call, s->call_id, strlen(s->call_id));
	s->registered = 0;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (was)
		rco__session_unref(s);
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
	s->shard = atomic_fetch_add(&engine->next_shard, 1) % engine->n_shards;
	s->copies_tail = &s->copies;
	s->events_tail = &s->events;
	s->created_us = rco__wall_us(env);
	s->window_mono_us = RCO__NEVER;
	s->forget_mono_us = RCO__NEVER;
	s->erase_by_mono_us = RCO__NEVER;
	s->due_us = RCO__NEVER;
	atomic_store(&s->why_shut, RCO_E_NOT_STARTED);
	/* The receipt's id is drawn now, so that an opt-out needs nothing that can fail. */
	rco__uuid_new(s->receipt.id);
	memcpy(s->receipt.recording_id, s->recording_id, 16);
	memcpy(s->receipt.call_id, call_id, id_size);
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
	if (rc == RCO_OK)
		rc = rco__prebirth_apply(s);
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
	return rco__cursor_used(&c, out);
}

/* ---- legs ---- */

/* Open the gates, or leave them shut with the reason. Lock held. */
static void set_gates(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	int open = s->started_us != 0 && !s->paused && !s->ended && s->consent != 2;
	int why = s->ended             ? RCO_E_ENDED
	          : s->consent == 2    ? RCO_E_NO_CONSENT
	          : s->started_us == 0 ? (s->start_asked ? RCO_E_NO_CONSENT : RCO_E_NOT_STARTED)
	                               : RCO_E_PAUSED;

	atomic_store(&s->why_shut, why);
	for (i = 0; i < n; i++) {
		rco__ring *ring = atomic_load(&s->legs[i].ring);

		if (ring == NULL)
			continue;
		if (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT)
			rco__gate_stop(&ring->gate);
		if (open)
			rco__gate_unshut(&ring->gate);
		else
			rco__gate_shut(&ring->gate);
	}
}

void rco__opted_out_live(rco_session *s)
{
	set_gates(s);
}

static int add_leg_locked(rco_session *s, const char *label, uint32_t format, rco__leg *legs, uint32_t *leg)
{
	uint32_t n = atomic_load(&s->n_legs), i;
	uint8_t meta[RCO_META_MAX];
	size_t meta_size = rco__session_meta(s, meta);
	rco__ring *ring;
	rco__leg *l;
	int rc;

	if (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT)
		return rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", s->call_id);
	if (s->ended)
		return rco__fail(RCO_E_ENDED, "call %s has ended", s->call_id);
	if (n == RCO_MAX_LEGS)
		return rco__fail(RCO_E_LIMIT, "a call has at most %d legs", (int)RCO_MAX_LEGS);
	for (i = 0; i < n; i++)
		if (strcmp(s->legs[i].label, label) == 0)
			return rco__fail(RCO_E_INVALID, "call %s has a leg \"%s\" already", s->call_id, label);
	if (s->legs == NULL)
		s->legs = legs;
	l = &s->legs[n];
	rc = rco__pool_get(s->engine->pool,
	                   (size_t)rco_format_rate_hz(format) * rco_format_sample_bytes(format) * MIN_RING_MS /
	                           1000,
	                   s->recording_id, n, format, label, meta, meta_size, &ring);
	if (rc != RCO_OK)
		return rc;
	l->format = format;
	l->sample_bytes = rco_format_sample_bytes(format);
	l->data = rco__pool_data(s->engine->pool, ring);
	l->capacity = rco__ring_capacity(ring);
	(void)snprintf(l->label, sizeof l->label, "%s", label);
	atomic_store(&l->ring, ring);
	atomic_store(&s->n_legs, n + 1);
	set_gates(s);
	*leg = n;
	return RCO_OK;
}

int rco_session_add_leg(rco_session *session, const char *label, uint32_t format, uint32_t *leg)
{
	int rc = rco__session_check(session);
	rco__leg *legs;
	int unused;

	if (rc != RCO_OK)
		return rc;
	if (leg == NULL || !rco__label_ok(label, 0))
		return rco__fail(RCO_E_INVALID,
		                 "the label of a leg is 1 to 31 of [a-z0-9_-], and leg is not NULL");
	if (rco__format_of(format) == NULL)
		return rco__fail(RCO_E_FORMAT, "audio format %u is not known", (unsigned)format);
	legs = rco__zalloc(&session->engine->env, RCO_MAX_LEGS, sizeof *legs);
	if (legs == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for legs");
	(void)pthread_mutex_lock(&session->lock);
	rc = add_leg_locked(session, label, format, legs, leg);
	unused = session->legs != legs;
	(void)pthread_mutex_unlock(&session->lock);
	if (unused)
		rco__release(&session->engine->env, legs);
	if (rc == RCO_OK && rco__journal_leg(session, *leg) != RCO_OK)
		rco__log(&session->engine->env, RCO_LOG_WARN, "%s: leg \"%s\" is not in the journal: %s",
		         session->call_id, label, rco_error_detail());
	if (rc == RCO_OK)
		rco__session_wake(session);
	return rc;
}

/* ---- start, pause, resume, end ---- */

/* Lock held: the recorder agreed, or there is none. */
static void started(rco_session *s)
{
	s->started_us = rco__wall_us(&s->engine->env);
	set_gates(s);
	rco__event_queue(s, RCO_EVENT_STARTED, 0, 0, "%s", "");
}

/* No lock held. Ask the recorder, then open the gates. */
static int do_start(rco_session *s)
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
	if (rc == RCO_OK && rco__journal_begin(s) != RCO_OK) /* once more, now with the time */
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
			set_gates(session);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rc == RCO_OK && now ? do_start(session) : rc;
}

static int set_paused(rco_session *session, uint32_t paused)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	if (atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT)
		rc = rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id);
	else if (session->ended)
		rc = rco__fail(RCO_E_ENDED, "call %s has ended", session->call_id);
	else if (session->started_us == 0)
		rc = rco__fail(RCO_E_NOT_STARTED, "call %s is not being recorded", session->call_id);
	else if (session->recorder.start != NULL && session->recorder.pause == NULL)
		rc = rco__fail(RCO_E_OPS, "the recorder of call %s cannot pause", session->call_id);
	else if (session->paused != paused) {
		session->paused = paused;
		set_gates(session);
		rco__event_queue(session, paused ? RCO_EVENT_PAUSED : RCO_EVENT_RESUMED, 0, 0, "%s", "");
	}
	(void)pthread_mutex_unlock(&session->lock);
	if (rc != RCO_OK)
		return rc;
	rc = rco__recorder_settle(session);
	rco__session_wake(session);
	return rc == RCO_PENDING ? RCO_OK : rc;
}

int rco_session_pause(rco_session *session)
{
	return set_paused(session, 1);
}

int rco_session_resume(rco_session *session)
{
	return set_paused(session, 0);
}

void rco__session_end_locked(rco_session *s)
{
	const rco_engine_config *cfg = &s->engine->cfg;
	int64_t now = rco__mono_us(&s->engine->env);

	s->ended = 1;
	s->ended_us = rco__wall_us(&s->engine->env);
	s->window_mono_us = now + (int64_t)cfg->window_ms * 1000;
	s->forget_mono_us = s->window_mono_us + (int64_t)cfg->remember_ended_s * 1000000;
	set_gates(s);
	rco__event_queue(s, RCO_EVENT_ENDED, 0, 0, "%s", "");
}

static int end_call(rco_session *session)
{
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&session->lock);
	if (session->ended)
		rc = rco__fail(RCO_E_ENDED, "call %s had ended before", session->call_id);
	else
		rco__session_end_locked(session);
	(void)pthread_mutex_unlock(&session->lock);
	if (rc != RCO_OK)
		return rc;
	if (rco__journal_end(session) != RCO_OK)
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

/* ---- consent, legal hold ---- */

int rco_session_set_consent(rco_session *session, int granted)
{
	int rc = rco__session_check(session), start = 0, latched = 0;

	if (rc != RCO_OK)
		return rc;
	if (granted != 0 && granted != 1)
		return rco__fail(RCO_E_INVALID, "granted is 1 or 0");
	(void)pthread_mutex_lock(&session->lock);
	if (atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT) {
		rc = granted ? rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id) : RCO_OK;
		latched = 1;
	} else if (atomic_load(&session->latch) & RCO__LATCH_CLOSED || (granted && session->ended)) {
		rc = rco__fail(RCO_E_ENDED, "call %s has ended", session->call_id);
	} else if (granted) {
		if (session->consent != 1)
			rco__event_queue(session, RCO_EVENT_CONSENT, 0, 0, "%s", "");
		start = session->start_asked && session->started_us == 0 && !session->starting;
		session->starting |= (uint32_t)start;
		session->consent = 1;
	} else {
		session->consent = 2;
		rc = rco__opt_out_latch(session, "consent-declined", rco__wall_us(&session->engine->env));
		latched = rc == RCO_OK;
	}
	(void)pthread_mutex_unlock(&session->lock);
	if (start)
		return do_start(session);
	if (!latched || granted)
		return rc;
	(void)rco__recorder_settle(session);
	rc = rco__tombstone(session);
	rco__session_wake(session);
	return rc;
}

static int lift_hold(rco_session *s)
{
	rco__receipt_data receipt;
	int64_t now = rco__wall_us(&s->engine->env);
	uint64_t lsn;
	int latched, rc;

	(void)pthread_mutex_lock(&s->lock);
	if (!s->hold) {
		(void)pthread_mutex_unlock(&s->lock);
		return RCO_OK;
	}
	latched = (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) != 0;
	receipt = s->receipt;
	(void)pthread_mutex_unlock(&s->lock);
	if (latched) { /* durable first, as with a tombstone */
		rc = rco__journal_mark(s->engine, &receipt, RCO__OPT_HOLD_LIFTED, 0, now, &lsn);
		if (rc == RCO_OK)
			rc = rco__ledger_sync(s->engine->ledger, lsn);
		if (rc != RCO_OK)
			return rc;
	}
	(void)pthread_mutex_lock(&s->lock);
	s->hold = 0;
	if (latched) {
		s->hold_lifted = 1;
		s->receipt.facts &= ~(uint32_t)RCO_FACT_HELD;
		s->erase_by_mono_us =
			rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
		rco__event_queue(s, RCO_EVENT_HOLD_LIFTED, 0, 0, "the erasure begins");
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (latched && s->engine->buffer.revoke != NULL)
		s->engine->buffer.revoke(s->recording_id, s->engine->buffer_ud);
	rco__session_wake(s);
	return RCO_OK;
}

int rco_session_set_legal_hold(rco_session *session, int hold)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	if (hold != 0 && hold != 1)
		return rco__fail(RCO_E_INVALID, "hold is 1 or 0");
	if (!hold)
		return lift_hold(session);
	(void)pthread_mutex_lock(&session->lock);
	if (atomic_load(&session->latch) & RCO__LATCH_OPTED_OUT)
		rc = session->hold ? RCO_OK
		                   : rco__fail(RCO_E_OPTED_OUT, "call %s was opted out", session->call_id);
	else
		session->hold = 1;
	(void)pthread_mutex_unlock(&session->lock);
	return rc;
}

int rco_engine_lift_legal_hold(rco_engine *engine, const char *call_id)
{
	int rc = rco__engine_check(engine);
	rco_session *s;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc != RCO_OK)
		return rc;
	s = rco__registry_find(engine, call_id);
	if (s == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "no call %s is known", call_id);
	(void)pthread_mutex_lock(&s->lock);
	rc = s->hold ? RCO_OK : rco__fail(RCO_E_NOT_FOUND, "call %s is not held", call_id);
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK)
		rc = lift_hold(s);
	rco__session_unref(s);
	return rc;
}

/* ---- what a session tells ---- */

uint64_t rco__session_bytes(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	uint64_t sum = 0;

	for (i = 0; i < n; i++) {
		rco__ring *ring = atomic_load(&s->legs[i].ring);

		sum += ring != NULL ? rco__gate_index(&ring->gate) : atomic_load(&s->legs[i].total);
	}
	return sum;
}

uint32_t rco__session_state(rco_session *s)
{
	if ((atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) && !s->hold) {
		if (!(s->receipt.facts & RCO_FACT_DURABLE) || s->phase < RCO__PHASE_ERASE)
			return RCO_STATE_OPTED_OUT;
		if (s->receipt.facts & RCO_FACT_VERIFIED)
			return RCO_STATE_VERIFIED;
		if (s->receipt.facts & RCO_FACT_ERASED)
			return RCO_STATE_ERASED;
		return s->erase_failures > 0 ? RCO_STATE_ERASE_PENDING : RCO_STATE_ERASING;
	}
	if (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT && s->phase < RCO__PHASE_DONE)
		return RCO_STATE_OPTED_OUT;
	if (s->phase == RCO__PHASE_DONE)
		return s->started_us != 0 && (rco__session_bytes(s) > 0 || s->recorder.start != NULL)
		               ? RCO_STATE_STORED
		               : RCO_STATE_CLOSED;
	if (s->phase >= RCO__PHASE_BEGIN)
		return RCO_STATE_UPLOADING;
	if (s->ended)
		return RCO_STATE_ENDED;
	if (s->started_us == 0)
		return RCO_STATE_IDLE;
	return s->paused ? RCO_STATE_PAUSED : RCO_STATE_RECORDING;
}

int rco_session_get_stats(rco_session *session, rco_session_stats *stats)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	int rc = rco__session_check(session);
	uint32_t i;

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	st.state = rco__session_state(session);
	st.legs = atomic_load(&session->n_legs);
	st.created_us = session->created_us;
	st.started_us = session->started_us;
	st.ended_us = session->ended_us;
	st.stopped_us = session->receipt.stopped_us;
	st.accepted_bytes = rco__session_bytes(session);
	memcpy(st.recording_id, session->recording_id, 16);
	for (i = 0; i < st.legs; i++) {
		rco__ring *ring = atomic_load(&session->legs[i].ring);

		st.accepted_frames +=
			ring != NULL ? atomic_load(&ring->frames) : atomic_load(&session->legs[i].frames);
		st.overflowed_frames +=
			ring != NULL ? atomic_load(&ring->overflowed) : atomic_load(&session->legs[i].overflowed);
		st.buffered_bytes +=
			ring != NULL ? atomic_load(&ring->read) : atomic_load(&session->legs[i].total);
	}
	(void)pthread_mutex_unlock(&session->lock);
	return rco__struct_fill(stats, &st, sizeof st, stats_v1_size, "rco_session_stats");
}

int rco_session_call_record(rco_session *session, char *buf, size_t cap, size_t *len)
{
	int rc = rco__session_check(session);
	char *text;
	size_t size;

	if (rc != RCO_OK)
		return rc;
	if (len == NULL || (buf == NULL && cap > 0))
		return rco__fail(RCO_E_INVALID, "buf or len is NULL");
	rc = rco__call_record(session, &text, &size);
	if (rc != RCO_OK)
		return rc;
	*len = size;
	if (size + 1 > cap)
		rc = rco__fail(RCO_E_LIMIT, "the call record needs %zu bytes", size + 1);
	else
		memcpy(buf, text, size + 1);
	rco__release(&session->engine->env, text);
	return rc;
}
