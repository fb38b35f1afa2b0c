/* SPDX-License-Identifier: MIT */
/*
 * P12: opt-outs for calls that this engine does not know. Nothing is known of such a call's recording, so that
 * nothing is said about it: the wish is noted, durably, and applies to the next call of that id.
 */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "journal.h"

#include <stdio.h>
#include <string.h>

static uint32_t status_of(uint32_t facts)
{
	return facts & RCO_FACT_DURABLE ? RCO_STATUS_NOTED : RCO_STATUS_REQUESTED;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- the table; reg_lock held ---- */

rco__early *rco__early_new(const rco__env *env, const char *call_id)
{
	size_t size = strlen(call_id) + 1;
	rco__early *p = rco__zalloc(env, 1, sizeof *p + size);

	if (p == NULL)
		return NULL;
	memcpy(p->call_id, call_id, size);
	p->receipt.call_id = p->call_id;
	return p;
}

void rco__early_release(const rco__env *env, rco__early *p)
{
	rco__release(env, p->news);
	rco__release(env, p);
}

int rco__early_keep(rco_engine *engine, rco__early *p)
{
	int rc = rco__map_set(&engine->early, p->call_id, strlen(p->call_id), p);

	if (rc != RCO_OK)
		return rc;
	if (p->expires_mono_us < engine->early_due_us || engine->early.count == 1)
		engine->early_due_us = p->expires_mono_us;
	engine->early_unsynced += !(p->receipt.facts & RCO_FACT_DURABLE);
	return RCO_OK;
}

static void drop(rco_engine *engine, rco__early *p)
{
	(void)rco__map_remove(&engine->early, p->call_id, strlen(p->call_id));
	engine->early_unsynced -= !(p->receipt.facts & RCO_FACT_DURABLE);
	rco__early_release(&engine->env, p);
}

/* Its time has passed. If the entry is lost it expires once more after a restart. */
static void expire(rco_engine *engine, rco__early *p)
{
	uint64_t lsn;

	(void)rco__journal_mark(engine, &p->receipt, RCO__OPT_EXPIRED, RCO__LEDGER_CLOSES, p->expires_us, &lsn);
	drop(engine, p);
}

/* Those past their time go. The highest entry of the ledger that is not known to be durable, 0 without one. */
static uint64_t expire_due(rco_engine *engine, int64_t mono)
{
	rco__map_node *node, *next;
	uint64_t unsynced = 0;
	int64_t due = RCO__NEVER;

	if (engine->early_unsynced == 0 && mono < engine->early_due_us)
		return 0;
	for (node = rco__map_next(&engine->early, NULL); node != NULL; node = next) {
		rco__early *p = node->value;

		next = rco__map_next(&engine->early, node);
		if (!(p->receipt.facts & RCO_FACT_DURABLE) && p->lsn > unsynced)
			unsynced = p->lsn;
		if (p->expires_mono_us <= mono)
			expire(engine, p);
		else if (p->expires_mono_us < due)
			due = p->expires_mono_us;
	}
	engine->early_due_us = due;
	return unsynced;
}

/* An older objection is never forgotten in favour of a newer one: a full table refuses. */
static int has_room(rco_engine *engine)
{
	uint32_t most = engine->cfg.early_opt_outs_max;

	if (engine->early.count >= most)
		(void)expire_due(engine, rco__mono_us(&engine->env));
	if (engine->early.count < most)
		return RCO_OK;
	return rco__fail(
		RCO_E_LIMIT,
		"%u opt-outs for calls not known are waiting already (early_opt_outs_max): nothing was kept",
		(unsigned)most);
}

static int make(rco_engine *engine, const char *call_id, const char *source, rco__early **out)
{
	rco__early *p;
	int rc = has_room(engine);

	if (rc != RCO_OK)
		return rc;
	p = rco__early_new(&engine->env, call_id);
	if (p != NULL)
		p->news = rco__early_event_new(&engine->env, call_id);
	if (p == NULL || p->news == NULL) {
		if (p != NULL)
			rco__early_release(&engine->env, p);
		return rco__fail(RCO_E_NO_MEMORY, "no memory to keep an opt-out for call %s", call_id);
	}
	rco__uuid_new(p->receipt.id);
	(void)snprintf(p->receipt.source, sizeof p->receipt.source, "%s", source);
	p->receipt.requested_us = rco__wall_us(&engine->env);
	p->receipt.facts = RCO_FACT_EARLY;
	p->expires_us = p->receipt.requested_us + (int64_t)engine->cfg.early_opt_out_ttl_s * 1000000;
	p->expires_mono_us = rco__mono_us(&engine->env) + (int64_t)engine->cfg.early_opt_out_ttl_s * 1000000;
	rc = rco__journal_early(engine, p, &p->lsn);
	if (rc == RCO_OK)
		rc = rco__early_keep(engine, p);
	if (rc != RCO_OK) {
		rco__early_release(&engine->env, p);
		return rc;
	}
	*out = p;
	return RCO_OK;
}

static void made_durable(rco_engine *engine, rco__early *p, int64_t when_us)
{
	p->receipt.facts |= RCO_FACT_DURABLE;
	p->receipt.durable_us = later(when_us, p->receipt.requested_us);
	engine->early_unsynced--;
}

/* ---- the request ---- */

/* Make what waits for a call id durable, and say so. */
static int make_durable(rco_engine *engine, const char *call_id, uint64_t lsn, rco__receipt_data *data)
{
	rco__early *p;
	int rc = rco__ledger_sync(engine->ledger, lsn);

	if (rc != RCO_OK)
		return RCO_E_NOT_DURABLE;
	data->facts |= RCO_FACT_DURABLE;
	data->durable_us = later(rco__wall_us(&engine->env), data->requested_us);
	(void)pthread_mutex_lock(&engine->reg_lock);
	p = rco__map_get(&engine->early, call_id, strlen(call_id));
	if (p != NULL && memcmp(p->receipt.id, data->id, 16) == 0) { /* else the call came, or the time passed */
		if (!(p->receipt.facts & RCO_FACT_DURABLE))
			made_durable(engine, p, data->durable_us);
		data->durable_us = p->receipt.durable_us;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return RCO_OK;
}

/* Who looks at the log sees a mistyped id, or a template that nobody filled in. */
static void log_first(rco_engine *engine, const char *call_id, const char *source)
{
	rco__log(&engine->env, RCO_LOG_INFO,
	         "%s asked for an opt-out of call %.200s, which is not known here: noted for a call of that id",
	         source, call_id);
}

/* The wish is noted, with its receipt as of now; or a reference to the call that has appeared meanwhile. */
static int ask(rco_engine *engine, const char *call_id, const rco_opt_out_options *o, int besides,
               rco__receipt_data *data, rco_session **appeared)
{
	rco__early *p = NULL;
	int rc = RCO_OK, first = 0;
	uint64_t lsn = 0;

	(void)pthread_mutex_lock(&engine->reg_lock);
	*appeared = rco__map_get(&engine->by_call, call_id, strlen(call_id));
	if (besides && *appeared != NULL && rco__long_done(*appeared))
		*appeared = NULL; /* that one has its answer */
	if (*appeared != NULL) {
		rco__session_ref(*appeared);
		(void)pthread_mutex_unlock(&engine->reg_lock);
		return RCO_OK;
	}
	p = rco__map_get(&engine->early, call_id, strlen(call_id));
	if (p != NULL && p->expires_mono_us <= rco__mono_us(&engine->env)) {
		expire(engine, p);
		p = NULL;
	}
	if (p == NULL) {
		rc = make(engine, call_id, o->source, &p);
		first = rc == RCO_OK;
	}
	if (rc == RCO_OK) {
		*data = p->receipt;
		data->call_id = call_id;
		lsn = p->lsn;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (rc != RCO_OK)
		return rc;
	if (first)
		log_first(engine, call_id, o->source);
	if (!(data->facts & RCO_FACT_DURABLE)) {
		if (o->flags & RCO_OPT_OUT_NONBLOCK) {
			rc = RCO_PENDING;
			atomic_store(&engine->early_asked, 1);
			rco__shard_wake(engine->maintenance);
		} else {
			rc = make_durable(engine, call_id, lsn, data);
		}
	}
	data->status = status_of(data->facts);
	return rc;
}

/*
 * No call of that id is known. If one is over that was opted out, the answer is that one's; but when that was long
 * ago the id may be another call's by now, and the wish is kept for it as well.
 */
int rco__opt_out_unknown(rco_engine *engine, const char *call_id, const rco_opt_out_options *o,
                         rco_receipt **receipt, rco_session **appeared)
{
	rco__receipt_data data, past;
	int recent = 0, known = rco__past_receipt(engine, call_id, &past, &recent);
	int enabled = atomic_load(&engine->enabled) != 0, rc = RCO_OK;

	*appeared = NULL;
	if (!known && !enabled)
		return rco__fail(RCO_E_NOT_AVAILABLE, "opt-out is not enabled");
	if (!recent && enabled) {
		rc = ask(engine, call_id, o, 0, &data, appeared);
		if (*appeared != NULL || (rc < 0 && rc != RCO_E_NOT_DURABLE))
			return rc;
	}
	if (rc == RCO_OK && known && !(past.facts & RCO_FACT_STOPPED))
		rc = rco__fail(RCO_E_CALLBACK, "the recorder of call %s has not confirmed its stop", call_id);
	if (known)
		data = past;
	data.code = rc;
	(void)rco__receipt_issue(engine, &data, receipt); /* short of memory it stays NULL; the opt-out stands */
	return rc == RCO_OK ? RCO_OK : RCO_PENDING;
}

int rco__opt_out_besides(rco_engine *engine, const char *call_id, const rco_opt_out_options *o)
{
	rco_session *appeared = NULL;
	rco__receipt_data data;
	int rc = atomic_load(&engine->enabled) != 0 ? ask(engine, call_id, o, 1, &data, &appeared) : RCO_OK;

	if (appeared != NULL) /* the call that it may be about */
		rco__session_unref(appeared);
	return rc;
}

int rco__early_receipt(rco_engine *engine, const char *call_id, rco__receipt_data *data)
{
	rco__early *p;

	(void)pthread_mutex_lock(&engine->reg_lock);
	p = rco__map_get(&engine->early, call_id, strlen(call_id));
	if (p != NULL) {
		*data = p->receipt;
		data->call_id = call_id;
		data->status = status_of(p->receipt.facts);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return p != NULL;
}

/* ---- the call comes ---- */

/*
 * Is this the call that the opt-out waited for? One that an earlier process left
 * is, if it is younger; and it has no legs, since nobody could add one.
 */
static int is_meant(const rco_session *s, const rco__early *p)
{
	return !s->recovered || (s->control.created_us >= p->receipt.requested_us && atomic_load(&s->n_legs) == 0);
}

/* reg_lock held: anyone who finds the call by its id finds it opted out, with the one receipt there is. */
void rco__early_apply(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco__early *p = rco__map_get(&engine->early, s->call_id, strlen(s->call_id));

	if (p == NULL || rco__opted_out(s) || !is_meant(s, p))
		return;
	if (p->expires_mono_us <= rco__mono_us(&engine->env)) {
		expire(engine, p);
		return;
	}
	(void)pthread_mutex_lock(&s->lock);
	rco__opt_out_born(s, &p->receipt);
	(void)pthread_mutex_unlock(&s->lock);
	drop(engine, p);
}

/* ---- now and then ---- */

/* Those past their time go; those not yet durable are tried again. */
void rco__early_expire(rco_engine *engine)
{
	int64_t now = rco__wall_us(&engine->env), mono = rco__mono_us(&engine->env);
	uint64_t unsynced;
	rco__map_node *node;

	(void)pthread_mutex_lock(&engine->reg_lock);
	unsynced = expire_due(engine, mono);
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (unsynced == 0)
		return;
	if (rco__ledger_sync(engine->ledger, unsynced) != RCO_OK) {
		rco__engine_event(engine, RCO_EVENT_NOT_DURABLE, RCO_E_NOT_DURABLE, 0,
		                  "an opt-out for a call not yet known cannot be written: %s", rco_error_detail());
		return;
	}
	(void)pthread_mutex_lock(&engine->reg_lock);
	for (node = rco__map_next(&engine->early, NULL); node != NULL;
	     node = rco__map_next(&engine->early, node)) {
		rco__early *p = node->value;

		if (p->lsn <= unsynced && !(p->receipt.facts & RCO_FACT_DURABLE)) {
			made_durable(engine, p, now);
			rco__early_event(engine, p);
		}
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
}
