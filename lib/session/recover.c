/* SPDX-License-Identifier: MIT */
/*
 * Taking up what an earlier process left. Journals, rings and buffer each tell
 * a part; whatever is found for a recording comes together here, and where they
 * disagree about an opt-out, the opt-out wins.
 */
#include "calls.h"
#include "core.h"
#include "found.h"
#include "journal.h"
#include "recover.h"
#include "work.h"

#include <stdio.h>
#include <string.h>

static void link_opt(rco__recovery *r, rco__found_opt *opt)
{
	/* Of what is done with, only what something else still knows of is of interest. */
	rco__found_call *call = opt->closed ? rco__map_get(&r->calls, opt->receipt.recording_id, 16)
	                                    : rco__recovery_call(r, opt->receipt.recording_id);
	uint32_t i;

	if (call == NULL)
		return;
	call->opt = opt;
	if (call->call_id[0] == '\0' && opt->call_id != NULL)
		(void)snprintf(call->call_id, sizeof call->call_id, "%s", opt->call_id);
	if (call->created_us == 0)
		call->created_us = opt->created_us;
	if (call->started_us == 0)
		call->started_us = opt->started_us;
	if (call->ended_us == 0)
		call->ended_us = opt->ended_us;
	for (i = 0; i < opt->n_legs; i++) {
		if (call->legs[i].format == 0)
			call->legs[i] = opt->legs[i];
		else if (call->legs[i].bytes < opt->legs[i].bytes)
			call->legs[i].bytes = opt->legs[i].bytes;
	}
}

static void drop_rings(rco__recovery *r, rco__found_call *call)
{
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++)
		if (call->rings[i] != NULL)
			(void)rco__pool_put(r->engine->pool, call->rings[i]);
}

static int wants_erasing(const rco__found_call *call)
{
	const rco__found_opt *opt = call->opt;

	if (opt != NULL)
		return !opt->closed || call->in_buffer || call->in_ring || (call->journaled && !call->closed);
	return call->stop_bit && !call->closed;
}

/* A kept call of which something is left to do. */
static int wants_storing(const rco__found_call *call)
{
	if (call->opt != NULL || call->stop_bit || call->closed)
		return 0;
	if (call->in_buffer || call->in_ring)
		return 1;
	return call->journaled;
}

/* Stored, closed, and yet there: the crash came between. A recording nobody needs any more goes. */
static void clean_up(rco__recovery *r, rco__found_call *call)
{
	rco_engine *engine = r->engine;
	rco_result result;
	uint8_t *id;
	uint64_t op;
	int rc;

	drop_rings(r, call);
	if (!call->in_buffer || rco__op_begin(engine, NULL, &engine->shards[0], &op) != RCO_OK)
		return;
	id = rco__alloc(&engine->env, sizeof call->recording_id); /* as long as the backend may look at it */
	if (id == NULL) {
		rco__op_end(engine, op);
		return;
	}
	memcpy(id, call->recording_id, sizeof call->recording_id);
	rco__result_init(&result);
	RCO__ASK_HOST(engine, rc, engine->buffer.erase(id, op, &result, engine->buffer_ud));
	if (rc == RCO_PENDING) {
		rco__op_give_up(engine, op, id, sizeof call->recording_id, NULL,
		                0); /* the next start looks again */
	} else {
		rco__op_end(engine, op);
		rco__release(&engine->env, id);
	}
	if (rc < 0)
		rco__log(&engine->env, RCO_LOG_WARN, "a stored recording cannot be removed from the buffer: %s",
		         rco_error_detail());
}

static void keep_early(rco__recovery *r, const rco__found_opt *opt)
{
	rco_engine *engine = r->engine;
	rco__early *p;
	uint64_t lsn;

	p = rco__map_get(&engine->early, opt->call_id, strlen(opt->call_id));
	/* Of two for one call, as a clock that was put back may leave them, the longer one counts. */
	if (p != NULL) {
		int longer = p->expires_us >= opt->expires_us;

		(void)rco__journal_mark(engine, longer ? &opt->receipt : &p->receipt, RCO__OPT_EXPIRED,
		                        RCO__LEDGER_CLOSES, rco__wall_us(&engine->env), &lsn);
		if (longer)
			return;
		rco__early_release(&engine->env, rco__map_remove(&engine->early, p->call_id, strlen(p->call_id)));
	}
	p = rco__early_new(&engine->env, opt->call_id);
	if (p == NULL) {
		r->rc = RCO_E_NO_MEMORY;
		return;
	}
	p->receipt = opt->receipt;
	p->receipt.call_id = p->call_id;
	/* Earlier versions called such a call stopped, of which nothing is known. */
	p->receipt.facts = RCO_FACT_DURABLE | RCO_FACT_EARLY;
	p->receipt.stopped_us = 0;
	p->expires_us = opt->expires_us;
	/* Its time starts again, as that of recovered calls: the clock may be wrong at one start, and no objection
	 * is lost to that. */
	p->expires_mono_us = rco__mono_us(&engine->env) + (int64_t)engine->cfg.early_opt_out_ttl_s * 1000000;
	if (rco__early_keep(engine, p) != RCO_OK) {
		rco__early_release(&engine->env, p);
		r->rc = RCO_E_NO_MEMORY;
	}
}

/* An id stands for the latest call of it, and of that for the last part. */
static int name(rco__recovery *r)
{
	rco__found_call *call;
	int rc = RCO_OK;

	for (call = r->call_list; call != NULL && rc == RCO_OK; call = call->next) {
		if (call->session == NULL)
			continue;
		if (call->session->control.id_reused || (call->opt != NULL && call->opt->reused))
			rco__registry_keep(call->session);
		else
			rc = rco__registry_add(call->session, NULL);
	}
	return rc;
}

/* An older version did not say of which uploads it had asked for the commit. */
static int refuse_older(const rco__recovery *r)
{
	const rco__found_call *call;

	for (call = r->call_list; call != NULL; call = call->next)
		if (call->older && !call->closed)
			return rco__fail(
				RCO_E_VERSION,
				"%s/calls has a call that an older version of the library left: let that one "
				"finish its calls, or start with an empty folder",
				r->engine->state_dir);
	return RCO_OK;
}

int rco__recovery_run(rco__recovery *r)
{
	rco_engine *engine = r->engine;
	rco__found_call *call;
	rco__found_opt *opt;
	int rc = refuse_older(r);

	if (rc == RCO_OK)
		rc = rco__recovery_scan(r);
	for (opt = r->opt_list; opt != NULL && rc == RCO_OK; opt = opt->next) {
		if (opt->tombstone)
			link_opt(r, opt);
		if (opt->tombstone && opt->closed && !opt->reused)
			rc = rco__past_found(engine, opt);
		else if (opt->tombstone)
			continue;
		else if (opt->early && !opt->closed && opt->call_id != NULL)
			keep_early(r, opt);
	}
	for (call = r->call_list; call != NULL && rc == RCO_OK; call = call->next)
		if (call->opt == NULL)
			rco__past_passed(engine, call->call_id, call->created_us);
	for (call = r->call_list; call != NULL && rc == RCO_OK; call = call->next)
		if (wants_erasing(call))
			rc = rco__recovery_revive(r, call, 1);
	for (call = r->call_list; call != NULL && rc == RCO_OK; call = call->next) {
		if (wants_storing(call))
			rc = rco__recovery_revive(r, call, 0);
		else if (!wants_erasing(call))
			clean_up(r, call);
	}
	rco__recovery_join(r);
	if (rc == RCO_OK)
		rc = name(r);
	return rc == RCO_OK && r->rc != RCO_OK ? rco__fail(r->rc, "no memory for recovery") : rc;
}
