/* SPDX-License-Identifier: MIT */
/*
 * The request itself: latch, stop, make durable, answer. Nothing on the way to
 * "stopped" allocates, waits or can fail.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const size_t options_v1_size = sizeof(rco_opt_out_options);

uint32_t rco__status(const rco_session *s)
{
	uint32_t facts = s->receipt.facts;

	if (!(atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT))
		return RCO_STATUS_UNKNOWN;
	if (!(facts & RCO_FACT_STOPPED))
		return RCO_STATUS_REQUESTED;
	if (!(facts & RCO_FACT_DURABLE))
		return RCO_STATUS_STOPPED;
	if (facts & RCO_FACT_HELD)
		return RCO_STATUS_HELD;
	if (!(facts & RCO_FACT_RECORDED))
		return RCO_STATUS_NOT_RECORDING;
	if (facts & RCO_FACT_VERIFIED)
		return RCO_STATUS_VERIFIED;
	if (facts & RCO_FACT_ERASED)
		return RCO_STATUS_ERASED;
	if (facts & RCO_FACT_ESCALATED)
		return RCO_STATUS_FAILED;
	return s->erase_failures > 0 ? RCO_STATUS_PENDING : RCO_STATUS_DURABLE;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A clock that was put back must not make evidence say that something was done before it was asked for. */
int64_t rco__receipt_now(const rco_session *s)
{
	const rco__receipt_data *r = &s->receipt;
	int64_t told = later(later(r->requested_us, r->stopped_us), later(r->durable_us, r->erased_us));

	return later(rco__wall_us(&s->engine->env), told);
}

static int was_recorded(rco_session *s)
{
	const rco__copy *c;

	if (rco__session_bytes(s) > 0 || (s->recorder.start != NULL && s->rec_state != RCO__REC_NONE))
		return 1;
	for (c = s->copies; c != NULL; c = c->next)
		if (c->kind & s->engine->cfg.erase_kinds)
			return 1;
	return 0;
}

int rco__opt_out_latch(rco_session *s, const char *source)
{
	uint32_t none = 0;

	if (s->ended && rco__mono_us(&s->engine->env) >= s->window_mono_us)
		return rco__fail(RCO_E_ENDED, "call %s has ended, and its window for a late opt-out has passed",
		                 s->call_id);
	if (!atomic_compare_exchange_strong(&s->latch, &none, RCO__LATCH_OPTED_OUT))
		return rco__fail(RCO_E_ENDED, "call %s has ended", s->call_id);
	rco__gates_set(s); /* the stop bits, before anything that takes time, even a look at the clock */
	s->receipt.requested_us = rco__wall_us(&s->engine->env);
	(void)snprintf(s->receipt.source, sizeof s->receipt.source, "%s", source);
	s->receipt.facts |= (was_recorded(s) ? RCO_FACT_RECORDED : 0u) | (s->ended ? RCO_FACT_AFTER_END : 0u) |
	                    (s->hold ? RCO_FACT_HELD : 0u);
	s->erase_by_mono_us = rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
	if (rco__recorder_stopped(s)) {
		s->receipt.facts |= RCO_FACT_STOPPED;
		s->receipt.stopped_us = s->receipt.requested_us;
	}
	rco__event_queue(s, RCO_EVENT_OPTED_OUT, 0, 0, "asked by %s", source);
	if (s->receipt.facts & RCO_FACT_STOPPED)
		rco__event_queue(s, RCO_EVENT_STOPPED, 0, 0, "%s", "");
	return RCO_OK;
}

/* Lock held: put the tombstone into the ledger's queue. */
static int enqueue(rco_session *s, uint64_t *lsn)
{
	int rc = RCO_OK;

	if (s->tomb_lsn == 0)
		rc = rco__journal_tombstone(s, 0, &s->tomb_lsn);
	*lsn = s->tomb_lsn;
	return rc;
}

/* In the ledger's queue already now: one commit serves all that ask until it begins. If it fails the worker does
 * it once more. */
static void offer(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco_session *head;
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	(void)enqueue(s, &lsn);
	(void)pthread_mutex_unlock(&s->lock);
	if (atomic_exchange(&s->requested, 1) != 0)
		return;
	rco__session_ref(s);
	head = atomic_load(&engine->requests);
	do {
		atomic_store(&s->request_next, head);
	} while (!atomic_compare_exchange_weak(&engine->requests, &head, s));
	if (head == NULL)
		rco__shard_wake(engine->notary);
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
			engine->notary->current = s;
			if (rco__tombstone(s) == RCO_OK)
				rco__events_dispatch(s);
			engine->notary->current = NULL;
		}
		rco__session_unref(s);
	}
}

static void not_durable(rco_session *s, int rc)
{
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, RCO_EVENT_NOT_DURABLE, rc, 0, "stopped, but the ledger cannot be written: %.120s",
	                 rco_error_detail());
	(void)pthread_mutex_unlock(&s->lock);
}

int rco__tombstone(rco_session *s)
{
	int rc, first, hold;
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	if (s->receipt.facts & RCO_FACT_DURABLE) {
		(void)pthread_mutex_unlock(&s->lock);
		return RCO_OK;
	}
	rc = enqueue(s, &lsn);
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK)
		rc = rco__ledger_sync(s->engine->ledger, lsn);
	if (rc != RCO_OK) {
		not_durable(s, rc);
		return RCO_E_NOT_DURABLE;
	}
	(void)pthread_mutex_lock(&s->lock);
	first = !(s->receipt.facts & RCO_FACT_DURABLE);
	hold = s->hold != 0;
	if (first) {
		s->receipt.facts |= RCO_FACT_DURABLE;
		s->receipt.durable_us = rco__receipt_now(s);
		rco__event_queue(s, RCO_EVENT_DURABLE, 0, 0, "%s", "");
		if (hold)
			rco__event_queue(s, RCO_EVENT_HELD, 0, 0, "a legal hold keeps what was recorded");
		(void)pthread_cond_broadcast(&s->changed);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (first && !hold && s->engine->buffer.revoke != NULL) {
		const void *before = rco__callback_enter(s->engine);

		s->engine->buffer.revoke(s->recording_id, s->engine->buffer_ud);
		rco__callback_leave(before);
	}
	return RCO_OK;
}

/* ---- the public request ---- */

static int check_options(const rco_opt_out_options *in, rco_opt_out_options *o)
{
	int rc;

	memset(o, 0, sizeof *o);
	if (in != NULL) {
		rc = rco__struct_copy(o, sizeof *o, options_v1_size, in, "rco_opt_out_options");
		if (rc != RCO_OK)
			return rc;
	}
	if (o->source == NULL)
		o->source = "api";
	if ((o->flags & ~(uint32_t)RCO_OPT_OUT_NONBLOCK) != 0 || o->reserved != NULL ||
	    !rco__label_ok(o->source, 1))
		return rco__fail(RCO_E_INVALID,
		                 "a field of rco_opt_out_options is out of range; the source is 1 to "
		                 "31 of [a-z0-9_.-]");
	if (o->wait_status != 0 && o->wait_status != RCO_STATUS_ERASED && o->wait_status != RCO_STATUS_VERIFIED)
		return rco__fail(RCO_E_INVALID, "wait_status is 0, RCO_STATUS_ERASED or RCO_STATUS_VERIFIED");
	return RCO_OK;
}

static int snapshot(rco_session *s, rco_receipt **receipt)
{
	rco__receipt_data data;

	if (receipt == NULL)
		return RCO_OK;
	*receipt = NULL;
	(void)pthread_mutex_lock(&s->lock);
	data = s->receipt;
	data.status = rco__status(s);
	(void)pthread_mutex_unlock(&s->lock);
	if (data.status == RCO_STATUS_UNKNOWN)
		return rco__fail(RCO_E_NOT_FOUND, "call %s was not opted out", s->call_id);
	return rco__receipt_new(&s->engine->env, s->engine->signer, &data, receipt);
}

static int reached(const rco_session *s, uint32_t status)
{
	uint32_t now = rco__status(s);

	if (now == RCO_STATUS_NOT_RECORDING || now == RCO_STATUS_VERIFIED)
		return 1;
	return status == RCO_STATUS_ERASED && now == RCO_STATUS_ERASED;
}

static int wait_for(rco_session *s, uint32_t status, uint32_t timeout_ms)
{
	struct timespec until;
	int rc = RCO_OK;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(timeout_ms / 1000);
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	(void)pthread_mutex_lock(&s->lock);
	while (rc == RCO_OK && !reached(s, status)) {
		if (rco__in_callback())
			rc = rco__fail(RCO_E_REENTRANT,
			               "durable; waiting inside a callback would wait for itself");
		else if (rco__status(s) == RCO_STATUS_HELD ||
		         pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT)
			rc = reached(s, status) ? RCO_OK
			                        : rco__fail(RCO_E_TIMEOUT, "durable; call %s is \"%s\" so far",
			                                    s->call_id, rco_status_name(rco__status(s)));
	}
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

static int available(const rco_session *s)
{
	if (s->opt_out_switch == RCO_OPT_OUT_INHERIT)
		return atomic_load(&s->engine->enabled) != 0;
	return s->opt_out_switch == RCO_OPT_OUT_ENABLED;
}

int rco_session_opt_out_enabled(rco_session *session)
{
	int rc = rco__session_check(session);

	return rc == RCO_OK ? available(session) : rc;
}

static int opt_out(rco_session *s, const rco_opt_out_options *o, rco_receipt **receipt)
{
	int rc = RCO_OK, recorder = RCO_OK, durable;

	(void)pthread_mutex_lock(&s->lock);
	if (!(atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT)) {
		if (!available(s))
			rc = rco__fail(RCO_E_NOT_AVAILABLE, "opt-out is not enabled for call %s", s->call_id);
		else
			rc = rco__opt_out_latch(s, o->source);
	}
	durable = (s->receipt.facts & RCO_FACT_DURABLE) != 0;
	(void)pthread_mutex_unlock(&s->lock);
	if (rc != RCO_OK)
		return rc;
	if (o->flags & RCO_OPT_OUT_NONBLOCK) {
		rc = durable ? RCO_OK : RCO_PENDING;
		if (!durable)
			offer(s);
	} else {
		recorder = rco__recorder_settle(s);
		rc = rco__tombstone(s);
		if (rc == RCO_OK && recorder != RCO_OK)
			rc = recorder;
	}
	rco__session_wake(s);
	if (rc == RCO_OK && o->wait_status != 0)
		rc = wait_for(s, o->wait_status, o->timeout_ms);
	(void)snapshot(s, receipt); /* short of memory it stays NULL; the opt-out stands */
	return rc;
}

int rco_opt_out(rco_session *session, const rco_opt_out_options *options, rco_receipt **receipt)
{
	rco_opt_out_options o;
	int rc = rco__session_check(session);

	if (receipt != NULL)
		*receipt = NULL;
	if (rc == RCO_OK)
		rc = check_options(options, &o);
	if (rc != RCO_OK)
		return rc;
	rco__session_ref(session); /* the host may free its handle meanwhile */
	rc = opt_out(session, &o, receipt);
	rco__session_unref(session);
	return rc;
}

int rco_session_receipt(rco_session *session, rco_receipt **receipt)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	if (receipt == NULL)
		return rco__fail(RCO_E_INVALID, "receipt is NULL");
	return snapshot(session, receipt);
}

/* ---- P12: before the call is known ---- */

static uint32_t prebirth_status(const rco__prebirth *p)
{
	return p->receipt.facts & RCO_FACT_DURABLE ? RCO_STATUS_NOT_RECORDING : RCO_STATUS_STOPPED;
}

/* reg_lock held */
static int prebirth_make(rco_engine *engine, const char *call_id, const char *source, rco__prebirth **out)
{
	rco__prebirth *p = rco__zalloc(&engine->env, 1, sizeof *p);
	int rc;

	if (p == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory to keep an opt-out for call %s", call_id);
	rco__uuid_new(p->receipt.id);
	(void)snprintf(p->call_id, sizeof p->call_id, "%s", call_id);
	p->receipt.call_id = p->call_id;
	(void)snprintf(p->receipt.source, sizeof p->receipt.source, "%s", source);
	p->receipt.requested_us = p->receipt.stopped_us = rco__wall_us(&engine->env);
	p->receipt.facts = RCO_FACT_STOPPED | RCO_FACT_BEFORE_BIRTH;
	p->expires_us = p->receipt.requested_us + (int64_t)engine->cfg.prebirth_ttl_s * 1000000;
	p->expires_mono_us = rco__mono_us(&engine->env) + (int64_t)engine->cfg.prebirth_ttl_s * 1000000;
	rc = rco__journal_prebirth(engine, p, &p->lsn);
	if (rc == RCO_OK)
		rc = rco__map_set(&engine->prebirth, p->call_id, strlen(p->call_id), p);
	if (rc != RCO_OK) {
		rco__release(&engine->env, p);
		return rc;
	}
	*out = p;
	return RCO_OK;
}

/* reg_lock held: its time has passed. If the entry is lost it expires once more after a restart. */
static void prebirth_end(rco_engine *engine, rco__prebirth *p)
{
	uint64_t lsn;

	(void)rco__journal_mark(engine, &p->receipt, RCO__OPT_EXPIRED, RCO__LEDGER_CLOSES, p->expires_us, &lsn);
	(void)rco__map_remove(&engine->prebirth, p->call_id, strlen(p->call_id));
	rco__release(&engine->env, p);
}

/* Make what waits for a call id durable, and say so. */
static int prebirth_sync(rco_engine *engine, const char *call_id, uint64_t lsn, rco__receipt_data *data)
{
	rco__prebirth *p;
	int rc = rco__ledger_sync(engine->ledger, lsn);

	if (rc != RCO_OK)
		return RCO_E_NOT_DURABLE;
	data->facts |= RCO_FACT_DURABLE;
	data->durable_us = later(rco__wall_us(&engine->env), data->requested_us);
	(void)pthread_mutex_lock(&engine->reg_lock);
	p = rco__map_get(&engine->prebirth, call_id, strlen(call_id));
	if (p != NULL && memcmp(p->receipt.id, data->id, 16) == 0) { /* else the call came, or the time passed */
		if (!(p->receipt.facts & RCO_FACT_DURABLE)) {
			p->receipt.facts |= RCO_FACT_DURABLE;
			p->receipt.durable_us = data->durable_us;
		}
		data->durable_us = p->receipt.durable_us;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return RCO_OK;
}

static int opt_out_unknown(rco_engine *engine, const char *call_id, const rco_opt_out_options *o,
                           rco_receipt **receipt, rco_session **appeared)
{
	rco__receipt_data data;
	rco__prebirth *p = NULL;
	uint64_t lsn = 0;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&engine->reg_lock);
	*appeared = rco__map_get(&engine->by_call, call_id, strlen(call_id));
	if (*appeared != NULL) {
		rco__session_ref(*appeared);
		(void)pthread_mutex_unlock(&engine->reg_lock);
		return RCO_OK;
	}
	p = rco__map_get(&engine->prebirth, call_id, strlen(call_id));
	if (p != NULL && p->expires_mono_us <= rco__mono_us(&engine->env)) {
		prebirth_end(engine, p);
		p = NULL;
	}
	if (p == NULL)
		rc = prebirth_make(engine, call_id, o->source, &p);
	if (rc == RCO_OK) {
		data = p->receipt;
		data.call_id = call_id;
		lsn = p->lsn;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (rc != RCO_OK)
		return rc;
	if (!(data.facts & RCO_FACT_DURABLE)) {
		if (o->flags & RCO_OPT_OUT_NONBLOCK) {
			rc = RCO_PENDING;
			rco__shard_wake(engine->housekeeper);
		} else {
			rc = prebirth_sync(engine, call_id, lsn, &data);
		}
	}
	data.status = data.facts & RCO_FACT_DURABLE ? RCO_STATUS_NOT_RECORDING : RCO_STATUS_STOPPED;
	if (receipt != NULL)
		(void)rco__receipt_new(&engine->env, engine->signer, &data, receipt);
	return rc;
}

int rco_opt_out_call(rco_engine *engine, const char *call_id, const rco_opt_out_options *options,
                     rco_receipt **receipt)
{
	rco_opt_out_options o;
	rco_session *s;
	int rc = rco__engine_check(engine);

	if (receipt != NULL)
		*receipt = NULL;
	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc == RCO_OK)
		rc = check_options(options, &o);
	if (rc != RCO_OK)
		return rc;
	s = rco__registry_find(engine, call_id);
	if (s == NULL) {
		if (atomic_load(&engine->enabled) == 0)
			return rco__fail(RCO_E_NOT_AVAILABLE, "opt-out is not enabled");
		rc = opt_out_unknown(engine, call_id, &o, receipt, &s);
		if (s == NULL)
			return rc;
	}
	rc = opt_out(s, &o, receipt);
	rco__session_unref(s);
	return rc;
}

int rco_engine_receipt(rco_engine *engine, const char *call_id, rco_receipt **receipt)
{
	int rc = rco__engine_check(engine);
	rco__receipt_data data;
	rco__prebirth *p;
	rco_session *s;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc != RCO_OK)
		return rc;
	if (receipt == NULL)
		return rco__fail(RCO_E_INVALID, "receipt is NULL");
	*receipt = NULL;
	s = rco__registry_find(engine, call_id);
	if (s != NULL) {
		rc = snapshot(s, receipt);
		rco__session_unref(s);
		return rc;
	}
	(void)pthread_mutex_lock(&engine->reg_lock);
	p = rco__map_get(&engine->prebirth, call_id, strlen(call_id));
	if (p != NULL) {
		data = p->receipt;
		data.call_id = call_id;
		data.status = prebirth_status(p);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (p == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "no opt-out of call %s is known", call_id);
	return rco__receipt_new(&engine->env, engine->signer, &data, receipt);
}

/* Lock held: the session is born opted out, with the receipt that was given then. */
void rco__opt_out_born(rco_session *s, const rco__receipt_data *data)
{
	uint8_t recording_id[16];

	memcpy(recording_id, s->recording_id, 16);
	atomic_store(&s->latch, RCO__LATCH_OPTED_OUT);
	s->receipt = *data;
	memcpy(s->receipt.recording_id, recording_id, 16);
	s->receipt.call_id = s->call_id;
	s->receipt.facts |= s->recovered ? RCO_FACT_RECOVERED : 0u;
	if (s->hold)
		s->receipt.facts |= RCO_FACT_HELD;
	s->erase_by_mono_us = rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
	rco__gates_set(s);
	rco__event_queue(s, RCO_EVENT_OPTED_OUT, 0, 0, "asked by %s before the call was known", data->source);
	/* If it cannot be queued, what was durable stays so, and the next process puts the two together again. */
	(void)rco__journal_tombstone(s, 0, &s->tomb_lsn);
}

/*
 * Is this the call that the opt-out waited for? One that an earlier process left
 * is, if it is younger; and it has no legs, since nobody could add one.
 */
static int is_meant(const rco_session *s, const rco__prebirth *p)
{
	return !s->recovered || (s->created_us >= p->receipt.requested_us && atomic_load(&s->n_legs) == 0);
}

/* reg_lock held: whoever finds the call by its id finds it opted out, with the one receipt there is. */
void rco__prebirth_apply(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco__prebirth *p = rco__map_get(&engine->prebirth, s->call_id, strlen(s->call_id));

	if (p == NULL || (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) || !is_meant(s, p))
		return;
	if (p->expires_mono_us <= rco__mono_us(&engine->env)) {
		prebirth_end(engine, p);
		return;
	}
	(void)rco__map_remove(&engine->prebirth, s->call_id, strlen(s->call_id));
	(void)pthread_mutex_lock(&s->lock);
	rco__opt_out_born(s, &p->receipt);
	(void)pthread_mutex_unlock(&s->lock);
	rco__release(&engine->env, p);
}

/* Those past their time go; those not yet durable are tried again. */
void rco__prebirth_expire(rco_engine *engine)
{
	int64_t now = rco__wall_us(&engine->env), mono = rco__mono_us(&engine->env);
	rco__map_node *node, *next;
	uint64_t unsynced = 0, durable = 0;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (node = rco__map_next(&engine->prebirth, NULL); node != NULL; node = next) {
		rco__prebirth *p = node->value;

		next = rco__map_next(&engine->prebirth, node);
		if (!(p->receipt.facts & RCO_FACT_DURABLE) && p->lsn > unsynced)
			unsynced = p->lsn;
		if (p->expires_mono_us <= mono)
			prebirth_end(engine, p);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (unsynced == 0)
		return;
	if (rco__ledger_sync(engine->ledger, unsynced) != RCO_OK) {
		rco__engine_event(engine, RCO_EVENT_NOT_DURABLE, RCO_E_NOT_DURABLE, 0,
		                  "an opt-out for a call not yet known cannot be written: %.100s",
		                  rco_error_detail());
		return;
	}
	(void)pthread_mutex_lock(&engine->reg_lock);
	for (node = rco__map_next(&engine->prebirth, NULL); node != NULL;
	     node = rco__map_next(&engine->prebirth, node)) {
		rco__prebirth *p = node->value;

		if (p->lsn <= unsynced && !(p->receipt.facts & RCO_FACT_DURABLE)) {
			p->receipt.facts |= RCO_FACT_DURABLE;
			p->receipt.durable_us = later(now, p->receipt.requested_us);
			durable++;
		}
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (durable > 0)
		rco__engine_event(engine, RCO_EVENT_DURABLE, 0, durable, "opt-outs for calls not yet known");
}
