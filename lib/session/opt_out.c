/* SPDX-License-Identifier: MIT */
/* The request and its answer, by session and by call id. What it does to a call is in latch.c. */
#include "calls.h"
#include "core.h"
#include "facts.h"

#include "../base/status.h"
#include "../base/thread.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const size_t options_v1_size = RCO__SIZE_THROUGH(rco_opt_out_options, reserved);

static int check_options(const rco_opt_out_options *in, rco_opt_out_options *o)
{
	int rc = RCO_OK;

	memset(o, 0, sizeof *o);
	if (in != NULL)
		rc = rco__struct_copy(o, sizeof *o, options_v1_size, in, "rco_opt_out_options");
	if (rc == RCO_OK)
		rc = rco__struct_known(o->flags, RCO_OPT_OUT_NONBLOCK | RCO_OPT_OUT_RECORDER_ASKED,
		                       o->reserved != NULL, "rco_opt_out_options");
	if (rc != RCO_OK)
		return rc;
	if (o->source == NULL)
		o->source = "api";
	if (!rco__label_ok(o->source, 1))
		return rco__fail(RCO_E_INVALID, "rco_opt_out_options: the source is 1 to 31 of [a-z0-9_.-]");
	if (o->wait_status != 0 && o->wait_status != RCO_STATUS_ERASED && o->wait_status != RCO_STATUS_VERIFIED)
		return rco__fail(RCO_E_INVALID, "wait_status is 0, RCO_STATUS_ERASED or RCO_STATUS_VERIFIED");
	return RCO_OK;
}

static int snapshot(rco_session *s, int code, rco_receipt **receipt)
{
	rco__receipt_data data;

	if (receipt == NULL)
		return RCO_OK;
	*receipt = NULL;
	(void)pthread_mutex_lock(&s->lock);
	rco__receipt_whole(s, &data);
	(void)pthread_mutex_unlock(&s->lock);
	if (data.status == RCO_STATUS_UNKNOWN)
		return rco__fail(RCO_E_NOT_FOUND, "call %s was not opted out", s->call_id);
	data.code = code;
	return rco__receipt_issue(s->engine, &data, receipt);
}

static int reached(const rco_session *s, uint32_t status)
{
	rco__erasure now = rco__status_erasure(rco__status(s));

	return now == RCO__ERASURE_OVER || (status == RCO_STATUS_ERASED && now == RCO__ERASURE_DONE);
}

static int wait_until(rco_session *s, uint32_t status, const struct timespec *until)
{
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&s->lock);
	while (rc == RCO_OK && !reached(s, status)) {
		if (rco__in_callback())
			rc = rco__fail(RCO_E_REENTRANT,
			               "durable; waiting inside a callback would wait for itself");
		else if (rco__status_erasure(rco__status(s)) == RCO__ERASURE_OFF ||
		         pthread_cond_timedwait(&s->changed, &s->lock, until) == ETIMEDOUT)
			rc = reached(s, status) ? RCO_OK
			                        : rco__fail(RCO_E_TIMEOUT, "durable; call %s is \"%s\" so far",
			                                    s->call_id, rco_status_name(rco__status(s)));
	}
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

/* The earlier parts first: what they come to is told to nobody who waits for this one. */
static int wait_parts(rco_session *s, uint32_t status, const struct timespec *until)
{
	int rc = s->earlier != NULL ? wait_parts(s->earlier, status, until) : RCO_OK;

	return rc == RCO_OK ? wait_until(s, status, until) : rc;
}

static int wait_for(rco_session *s, uint32_t status, uint32_t timeout_ms)
{
	const struct timespec until = rco__deadline_in(timeout_ms);

	return wait_parts(s, status, &until);
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

/* RCO_OK if the recorder has confirmed its stop, or there is none; else `otherwise`, which is what it said. */
static int confirmed(rco_session *s, int otherwise)
{
	rco__receipt_data whole;
	const rco_session *p;
	int lost = 0, asked;

	(void)pthread_mutex_lock(&s->lock);
	rco__receipt_whole(s, &whole);
	for (p = s; p != NULL; p = p->earlier)
		lost |= rco__recorder_lost(p);
	asked = s->recorder.op != 0 && s->recorder.failures == 0; /* and answers later */
	(void)pthread_mutex_unlock(&s->lock);
	if (whole.facts & RCO_FACT_STOPPED)
		return RCO_OK;
	if (!lost && (otherwise != RCO_E_CALLBACK || asked))
		return otherwise == RCO_E_CALLBACK ? RCO_PENDING : otherwise;
	return rco__fail(RCO_E_CALLBACK, "the recorder of call %s has not confirmed its stop", s->call_id);
}

/* Negative: nothing was done. What is outstanding of a request that stands is the receipt's code; `besides` of
 * what was asked for with it. */
static int opt_out(rco_session *s, const rco_opt_out_options *o, int besides, rco_receipt **receipt)
{
	int rc = RCO_OK, recorder = RCO_OK, durable;
	rco__receipt_data whole;

	(void)pthread_mutex_lock(&s->lock);
	if (!rco__opted_out(s)) {
		if (!available(s))
			rc = rco__fail(RCO_E_NOT_AVAILABLE, "opt-out is not enabled for call %s", s->call_id);
		else
			rc = rco__opt_out_latch(s, o->source);
	}
	rco__receipt_whole(s, &whole);
	durable = (whole.facts & RCO_FACT_DURABLE) != 0;
	(void)pthread_mutex_unlock(&s->lock);
	if (rc != RCO_OK)
		return rc;
	if (o->flags & RCO_OPT_OUT_NONBLOCK) {
		rc = durable ? confirmed(s, RCO_PENDING) : RCO_PENDING;
		if (!durable)
			rco__request_offer(s);
	} else {
		if (!(o->flags & RCO_OPT_OUT_RECORDER_ASKED))
			recorder = rco__recorder_settle(s);
		rc = rco__tombstone(s);
		if (rc == RCO_OK)
			rc = confirmed(s, recorder != RCO_OK ? recorder : RCO_E_CALLBACK);
	}
	rco__session_wake(s);
	if (rc == RCO_OK && o->wait_status != 0)
		rc = wait_for(s, o->wait_status, o->timeout_ms);
	if (rc == RCO_OK)
		rc = besides;
	(void)snapshot(s, rc, receipt); /* short of memory it stays NULL; the opt-out stands */
	rco__clear_registers();         /* who asks may be who pushed (P4) */
	return rc == RCO_OK ? RCO_OK : RCO_PENDING;
}

int rco__session_opt_out(rco_session *s, const rco_opt_out_options *options, rco_receipt **receipt)
{
	rco_opt_out_options o;
	int rc = check_options(options, &o);

	if (receipt != NULL)
		*receipt = NULL;
	return rc == RCO_OK ? opt_out(s, &o, RCO_OK, receipt) : rc;
}

int rco_opt_out(rco_session *session, const rco_opt_out_options *options, rco_receipt **receipt)
{
	int rc = rco__session_check(session);

	if (receipt != NULL)
		*receipt = NULL;
	if (rc != RCO_OK)
		return rc;
	rco__session_ref(session); /* the host may free its handle meanwhile */
	rc = rco__session_opt_out(session, options, receipt);
	rco__session_unref(session);
	return rc;
}

int rco__session_receipt(rco_session *s, rco_receipt **receipt)
{
	return receipt != NULL ? snapshot(s, RCO_OK, receipt) : rco__fail(RCO_E_INVALID, "receipt is NULL");
}

int rco_session_receipt(rco_session *session, rco_receipt **receipt)
{
	int rc = rco__session_check(session);

	return rc == RCO_OK ? rco__session_receipt(session, receipt) : rc;
}

/* ---- by call id ---- */

int rco_engine_opt_out(rco_engine *engine, const char *call_id, const rco_opt_out_options *options,
                       rco_receipt **receipt)
{
	rco_opt_out_options o;
	rco_session *s, *next;
	int rc = rco__engine_check(engine), besides;

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
		rc = rco__opt_out_unknown(engine, call_id, &o, receipt, &s);
		if (s == NULL)
			return rc;
	}
	rc = rco__long_done(s) ? rco__opt_out_besides(engine, call_id, &o) : RCO_OK;
	if (rc < 0 && rc != RCO_E_NOT_DURABLE) {
		rco__session_unref(s);
		return rc;
	}
	besides = rc;
	rc = opt_out(s, &o, besides, receipt);
	next = rco__registry_find(engine, call_id);
	if (next != NULL && next != s && rco__continues_it(next, s)) { /* the call went on, just now */
		if (receipt != NULL)
			rco_receipt_free(*receipt);
		rc = opt_out(next, &o, RCO_OK, receipt);
	}
	if (next != NULL)
		rco__session_unref(next);
	rco__session_unref(s);
	return rc;
}

/* ---- the host's recorder, apart from the disk ---- */

/* *s is NULL if no call of that id is known; else to be given up. */
static int find_call(rco_engine *engine, const char *call_id, rco_session **s)
{
	int rc = rco__engine_check(engine);

	*s = NULL;
	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc == RCO_OK)
		*s = rco__registry_find(engine, call_id);
	return rc;
}

int rco_engine_recorder_running(rco_engine *engine, const char *call_id)
{
	rco_session *s;
	int yes, rc = find_call(engine, call_id, &s);

	if (s == NULL)
		return rc;
	(void)pthread_mutex_lock(&s->lock);
	yes = !rco__recorder_stopped(s);
	(void)pthread_mutex_unlock(&s->lock);
	rco__session_unref(s);
	return yes;
}

int rco_engine_stop_recorder(rco_engine *engine, const char *call_id)
{
	rco_session *s;
	int rc = find_call(engine, call_id, &s);

	if (s == NULL)
		return rc;
	if (rco__opted_out(s)) {
		rc = rco__recorder_settle(s);
		rco__session_wake(s);
	} else {
		rc = rco__fail(RCO_E_STATE, "call %s was not opted out", call_id);
	}
	rco__session_unref(s);
	return rc;
}

int rco_engine_receipt(rco_engine *engine, const char *call_id, rco_receipt **receipt)
{
	int rc = rco__engine_check(engine), recent;
	rco__receipt_data data;
	rco_session *s;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc != RCO_OK)
		return rc;
	if (receipt == NULL)
		return rco__fail(RCO_E_INVALID, "receipt is NULL");
	*receipt = NULL;
	s = rco__registry_find(engine, call_id);
	if (s == NULL && !rco__past_receipt(engine, call_id, &data, &recent)) {
		s = rco__registry_find(engine, call_id); /* taken up again between the two looks */
		if (s == NULL && !rco__early_receipt(engine, call_id, &data))
			return rco__fail(RCO_E_NOT_FOUND, "no call %s is known, nor an opt-out of one", call_id);
	}
	if (s == NULL)
		return rco__receipt_issue(engine, &data, receipt);
	rc = snapshot(s, RCO_OK, receipt);
	rco__session_unref(s);
	return rc;
}
