/* SPDX-License-Identifier: MIT */
/*
 * Opt-outs that are done with: their calls are over and forgotten, in this process or an earlier one, and the
 * ledger keeps the evidence. Asked again they give the same receipt, and a copy that turns up is still erased.
 * What is kept for it is small, of the latest `remember_opt_outs` calls, and of each call id the latest: a later
 * call of the same id ends it, also for the processes to come (RCO__OPT_REUSED).
 */
#include "calls.h"
#include "facts.h"
#include "found.h"
#include "journal.h"

#include <string.h>

struct rco__past {
	rco__past *newer, *older;
	rco__receipt_data receipt;
	int64_t created_us, started_us, ended_us, done_us;
	uint32_t n_legs;
	const char *call_id; /* behind the legs */
	rco__part *parts;    /* the recordings of its earlier parts */
	rco__found_leg legs[];
};

static rco__past *past_new(const rco__env *env, const char *call_id, uint32_t n_legs)
{
	size_t size = strlen(call_id) + 1, legs = n_legs * sizeof(rco__found_leg);
	rco__past *p = rco__zalloc(env, 1, sizeof *p + legs + size);
	char *text;

	if (p == NULL)
		return NULL;
	text = (char *)(p->legs + n_legs);
	memcpy(text, call_id, size);
	p->call_id = text;
	p->n_legs = n_legs;
	return p;
}

/* ---- the table; reg_lock held ---- */

static rco__past *find(rco_engine *engine, const char *call_id)
{
	return rco__map_get(&engine->past, call_id, strlen(call_id));
}

int rco__part_add(const rco__env *env, rco__part **parts, const uint8_t recording_id[16])
{
	rco__part *part;

	if (rco__parts_have(*parts, recording_id))
		return RCO_OK;
	part = rco__alloc(env, sizeof *part);
	if (part == NULL)
		return RCO_E_NO_MEMORY;
	memcpy(part->recording_id, recording_id, sizeof part->recording_id);
	part->next = *parts;
	*parts = part;
	return RCO_OK;
}

void rco__parts_free(const rco__env *env, rco__part *parts)
{
	rco__part *next;

	for (; parts != NULL; parts = next) {
		next = parts->next;
		rco__release(env, parts);
	}
}

void rco__past_release(const rco__env *env, rco__past *p)
{
	rco__parts_free(env, p->parts);
	rco__release(env, p);
}

int rco__parts_have(const rco__part *parts, const uint8_t recording_id[16])
{
	while (parts != NULL && memcmp(parts->recording_id, recording_id, 16) != 0)
		parts = parts->next;
	return parts != NULL;
}

static int has_recording(const rco__past *p, const uint8_t recording_id[16])
{
	return memcmp(p->receipt.recording_id, recording_id, 16) == 0 || rco__parts_have(p->parts, recording_id);
}

static void drop(rco_engine *engine, rco__past *p)
{
	(void)rco__map_remove(&engine->past, p->call_id, strlen(p->call_id));
	*(p->newer != NULL ? &p->newer->older : &engine->past_newest) = p->older;
	*(p->older != NULL ? &p->older->newer : &engine->past_oldest) = p->newer;
	rco__past_release(&engine->env, p);
}

/* The newest, or behind all others. */
static int put(rco_engine *engine, rco__past *p, int newest)
{
	rco__past *same = find(engine, p->call_id);

	if (same != NULL && same->created_us >= p->created_us)
		return 0;
	if (same != NULL)
		drop(engine, same);
	if (rco__map_set(&engine->past, p->call_id, strlen(p->call_id), p) != RCO_OK)
		return 0;
	if (newest) {
		p->older = engine->past_newest;
		*(p->older != NULL ? &p->older->newer : &engine->past_oldest) = p;
		engine->past_newest = p;
	} else {
		p->newer = engine->past_oldest;
		*(p->newer != NULL ? &p->newer->older : &engine->past_newest) = p;
		engine->past_oldest = p;
	}
	return 1;
}

void rco__past_add(rco_engine *engine, rco__past *p)
{
	if (!put(engine, p, 1)) /* the ledger knows it, and so does the next process */
		rco__past_release(&engine->env, p);
	while (engine->past.count > engine->cfg.remember_opt_outs)
		drop(engine, engine->past_oldest);
}

void rco__past_free_all(rco_engine *engine)
{
	while (engine->past_oldest != NULL)
		drop(engine, engine->past_oldest);
	rco__map_destroy(&engine->past);
}

/* ---- from a session that is forgotten, and from the ledger ---- */

rco__past *rco__past_of(rco_session *s)
{
	const rco_session *earlier;
	rco__past *p;
	uint32_t i;

	if (!rco__opted_out(s) || !s->work.closed || s->control.id_reused)
		return NULL;
	p = past_new(&s->engine->env, s->call_id, atomic_load(&s->n_legs));
	if (p == NULL)
		return NULL;
	(void)pthread_mutex_lock(&s->lock);
	rco__receipt_whole(s, &p->receipt);
	p->created_us = s->control.created_us;
	p->started_us = atomic_load(&s->control.started_us);
	p->ended_us = s->control.ended_us;
	(void)pthread_mutex_unlock(&s->lock);
	p->receipt.call_id = p->call_id;
	p->parts = s->past_parts;
	s->past_parts = NULL;
	/* Short of memory it is found by the call id, and by the recording of the last part. */
	for (earlier = s->earlier; earlier != NULL; earlier = earlier->earlier)
		(void)rco__part_add(&s->engine->env, &p->parts, earlier->recording_id);
	/* Its time is over now: recent it is no longer. */
	p->done_us = rco__wall_us(&s->engine->env) - (int64_t)s->engine->cfg.remember_ended_s * 1000000;
	for (i = 0; i < p->n_legs; i++) {
		p->legs[i].format = s->legs[i].format;
		p->legs[i].bytes = atomic_load(&s->legs[i].total);
		memcpy(p->legs[i].label, s->legs[i].label, sizeof p->legs[i].label);
	}
	return p;
}

static void as_done(rco__receipt_data *r, const rco__done *d)
{
	if (d->facts == 0) { /* of an earlier version, which left it to be told from the other entries */
		r->facts |= (r->erased_us != 0 ? RCO_FACT_ERASED | RCO_FACT_RECORDED : 0u) |
		            (r->verified_us != 0 ? RCO_FACT_VERIFIED : 0u);
		return;
	}
	r->facts = d->facts;
	r->stopped_us = d->stopped_us;
	r->durable_us = d->durable_us;
	r->erased_us = d->erased_us;
	r->verified_us = d->verified_us;
}

int rco__past_found(rco_engine *engine, const rco__found_opt *opt)
{
	const rco__part *part;
	rco__past *p;

	if (engine->past.count >= engine->cfg.remember_opt_outs || opt->call_id == NULL || opt->call_id[0] == '\0')
		return RCO_OK;
	p = past_new(&engine->env, opt->call_id, opt->n_legs);
	if (p == NULL)
		return RCO_E_NO_MEMORY;
	p->receipt = opt->receipt;
	p->receipt.call_id = p->call_id;
	as_done(&p->receipt, &opt->done);
	p->receipt.facts |= RCO_FACT_DURABLE;
	if (opt->hold_lifted)
		p->receipt.facts &= ~(uint32_t)RCO_FACT_HELD;
	p->created_us = opt->created_us;
	p->started_us = opt->started_us;
	p->ended_us = opt->ended_us;
	p->done_us = opt->done.when_us;
	if (opt->n_legs > 0)
		memcpy(p->legs, opt->legs, opt->n_legs * sizeof *p->legs);
	for (part = opt->parts; part != NULL; part = part->next)
		(void)rco__part_add(&engine->env, &p->parts, part->recording_id);
	if (!put(engine, p, 0))
		rco__past_release(&engine->env, p);
	return RCO_OK;
}

/* ---- asked again ---- */

/* Done in the future it was when a clock was wrong: nobody knows how long ago. */
static int is_recent(const rco_engine *engine, const rco__past *p)
{
	const int64_t now = rco__wall_us(&engine->env);

	return now >= p->done_us && now < p->done_us + (int64_t)engine->cfg.remember_ended_s * 1000000;
}

int rco__past_receipt(rco_engine *engine, const char *call_id, rco__receipt_data *data, int *recent)
{
	rco__past *p;

	*recent = 0;
	(void)pthread_mutex_lock(&engine->reg_lock);
	p = find(engine, call_id);
	if (p != NULL) {
		*data = p->receipt;
		data->call_id = call_id;
		data->status = rco__status_of(p->receipt.facts, 0);
		*recent = is_recent(engine, p);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return p != NULL;
}

static void notify_found(const rco__past *p, rco__found_call *call)
{
	memset(call, 0, sizeof *call);
	memcpy(call->recording_id, p->receipt.recording_id, sizeof call->recording_id);
	memcpy(call->call_id, p->call_id, strlen(p->call_id) + 1);
	call->created_us = p->created_us;
	call->started_us = p->started_us;
	call->ended_us = p->ended_us;
	if (p->n_legs > 0)
		memcpy(call->legs, p->legs, p->n_legs * sizeof *p->legs);
}

int rco__past_get(rco_engine *engine, const char *call_id, rco__found_call *call, rco__receipt_data *receipt)
{
	rco__past *p;

	(void)pthread_mutex_lock(&engine->reg_lock);
	p = find(engine, call_id);
	if (p != NULL) {
		notify_found(p, call);
		call->long_done = !is_recent(engine, p);
		*receipt = p->receipt;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return p != NULL;
}

int rco__past_recording(rco_engine *engine, const uint8_t recording_id[16], char call_id[RCO_CALL_ID_MAX + 1],
                        rco__receipt_data *data)
{
	const rco__past *p;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (p = engine->past_newest; p != NULL && !has_recording(p, recording_id);)
		p = p->older;
	if (p != NULL) {
		memcpy(call_id, p->call_id, strlen(p->call_id) + 1);
		*data = p->receipt;
		data->call_id = call_id;
		data->status = rco__status_of(p->receipt.facts, 0);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return p != NULL;
}

/* ---- a later call of the id ---- */

static void note_reuse(rco_session *s, const rco__receipt_data *of, int closed)
{
	uint64_t lsn = 0;

	/* Without memory for it, the next process takes the earlier call for the latest of its id. */
	if (rco__journal_mark(s->engine, of, RCO__OPT_REUSED, closed ? RCO__LEDGER_CLOSES : 0,
	                      s->control.created_us, &lsn) == RCO_OK)
		atomic_store(&s->control.reuse_lsn, lsn);
}

void rco__past_passed(rco_engine *engine, const char *call_id, int64_t created_us)
{
	rco__past *p = call_id[0] != '\0' ? find(engine, call_id) : NULL;
	uint64_t lsn;

	if (p == NULL || p->created_us > created_us)
		return;
	(void)rco__journal_mark(engine, &p->receipt, RCO__OPT_REUSED, RCO__LEDGER_CLOSES, created_us, &lsn);
	drop(engine, p);
}

int rco__past_is_newer(const rco_session *s)
{
	const rco__past *p = find(s->engine, s->call_id);

	return p != NULL && memcmp(p->receipt.recording_id, s->recording_id, 16) != 0 &&
	       p->created_us > s->control.created_us;
}

void rco__past_ends(rco_session *s, rco_session *before)
{
	rco__past *p = find(s->engine, s->call_id);

	if (p != NULL && memcmp(p->receipt.recording_id, s->recording_id, 16) != 0) {
		note_reuse(s, &p->receipt, 1);
	} else if (p != NULL) { /* taken up again */
		s->past_parts = p->parts;
		p->parts = NULL;
	}
	if (p != NULL)
		drop(s->engine, p);
	if (before == NULL)
		return;
	(void)pthread_mutex_lock(&before->lock);
	before->control.id_reused = 1;
	if (rco__opted_out(before))
		note_reuse(s, &before->control.receipt, before->work.closed != 0);
	(void)pthread_mutex_unlock(&before->lock);
}
