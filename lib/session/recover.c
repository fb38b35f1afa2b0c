/* SPDX-License-Identifier: MIT */
/*
 * Taking up what an earlier process left. Journals, rings and buffer each tell
 * a part; whatever is found for a recording comes together here, and where they
 * disagree about an opt-out, the opt-out wins.
 */
#include "recover.h"

#include <stdio.h>
#include <string.h>

struct rco__recovery {
	rco_engine *engine;
	rco__map calls; /* recording id -> found_call */
	rco__map opts;  /* receipt id -> found_opt */
	rco__found_call *call_list;
	rco__found_opt *opt_list;
	int rc; /* first failure inside a callback */
};

int rco__recovery_create(rco_engine *engine, rco__recovery **out)
{
	rco__recovery *r = rco__zalloc(&engine->env, 1, sizeof *r);
	int rc;

	if (r == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for recovery");
	r->engine = engine;
	rc = rco__map_init(&r->calls, &engine->env);
	if (rc == RCO_OK)
		rc = rco__map_init(&r->opts, &engine->env);
	if (rc != RCO_OK) {
		rco__recovery_free(r);
		return rc;
	}
	*out = r;
	return RCO_OK;
}

static void free_call(const rco__env *env, rco__found_call *call)
{
	while (call->copies != NULL) {
		rco__found_copy *c = call->copies;

		call->copies = c->next;
		rco__release(env, c->key);
		rco__release(env, c);
	}
	rco__release(env, call);
}

void rco__recovery_free(rco__recovery *r)
{
	const rco__env *env = &r->engine->env;

	while (r->call_list != NULL) {
		rco__found_call *call = r->call_list;

		r->call_list = call->next;
		free_call(env, call);
	}
	while (r->opt_list != NULL) {
		rco__found_opt *opt = r->opt_list;

		r->opt_list = opt->next;
		rco__release(env, opt);
	}
	rco__map_destroy(&r->calls);
	rco__map_destroy(&r->opts);
	rco__release(env, r);
}

void rco__recovery_odd(rco__recovery *r, const char *where, const rco__ledger_entry *entry)
{
	rco__log(&r->engine->env, RCO_LOG_WARN, "%s: entry %llu of type %u is not fully understood", where,
	         (unsigned long long)entry->seq, entry->type);
}

rco__found_call *rco__recovery_call(rco__recovery *r, const uint8_t recording_id[16])
{
	rco__found_call *call = rco__map_get(&r->calls, recording_id, 16);

	if (call != NULL)
		return call;
	call = rco__zalloc(&r->engine->env, 1, sizeof *call);
	if (call != NULL)
		memcpy(call->recording_id, recording_id, 16);
	if (call == NULL || rco__map_set(&r->calls, call->recording_id, 16, call) != RCO_OK) {
		if (call != NULL)
			rco__release(&r->engine->env, call);
		r->rc = RCO_E_NO_MEMORY;
		return NULL;
	}
	call->next = r->call_list;
	r->call_list = call;
	return call;
}

rco__found_opt *rco__recovery_opt(rco__recovery *r, const uint8_t receipt_id[16])
{
	rco__found_opt *opt = rco__map_get(&r->opts, receipt_id, 16);

	if (opt != NULL)
		return opt;
	opt = rco__zalloc(&r->engine->env, 1, sizeof *opt);
	if (opt != NULL)
		memcpy(opt->receipt.id, receipt_id, 16);
	if (opt == NULL || rco__map_set(&r->opts, opt->receipt.id, 16, opt) != RCO_OK) {
		if (opt != NULL)
			rco__release(&r->engine->env, opt);
		r->rc = RCO_E_NO_MEMORY;
		return NULL;
	}
	opt->receipt.call_id = opt->call_id;
	opt->next = r->opt_list;
	r->opt_list = opt;
	return opt;
}

rco__found_copy *rco__recovery_copy(rco__recovery *r, rco__found_call *call, uint32_t store, const char *key,
                                    const char *version)
{
	size_t key_size = strlen(key) + 1, version_size = strlen(version) + 1;
	rco__found_copy *c;

	for (c = call->copies; c != NULL; c = c->next)
		if (c->store == store && strcmp(c->key, key) == 0 &&
		    (store == RCO_STORE_UPLOAD || strcmp(c->version, version) == 0))
			return c;
	c = rco__zalloc(&r->engine->env, 1, sizeof *c);
	if (c == NULL)
		return NULL;
	c->key = rco__alloc(&r->engine->env, key_size + version_size);
	if (c->key == NULL) {
		rco__release(&r->engine->env, c);
		return NULL;
	}
	memcpy(c->key, key, key_size);
	c->version = c->key + key_size;
	memcpy(c->version, version, version_size);
	c->store = store;
	c->next = call->copies;
	call->copies = c;
	return c;
}

/* ---- what rings and buffer tell ---- */

static void read_meta(rco__found_call *call, const void *meta, size_t size)
{
	char call_id[RCO_CALL_ID_MAX + 1];
	uint8_t receipt_id[16];
	int64_t created, began;
	rco__cursor c;

	if (meta == NULL)
		return;
	rco__cursor_reader(&c, meta, size);
	(void)rco__r8(&c);
	created = rco__time_known(rco__r64(&c));
	began = rco__time_known(rco__r64(&c));
	rco__rstr(&c, call_id, sizeof call_id);
	if (c.failed || rco__call_id_check(call_id) != RCO_OK)
		return;
	if (call->call_id[0] == '\0')
		memcpy(call->call_id, call_id, sizeof call_id);
	if (call->created_us == 0)
		call->created_us = created;
	if (call->started_us == 0)
		call->started_us = began;
	rco__rbytes(&c, receipt_id, sizeof receipt_id);
	if (c.failed)
		return; /* written before it was there */
	memcpy(call->receipt_id, receipt_id, sizeof receipt_id);
	call->receipt_known = 1;
	if (!call->hold_said && c.at != c.end)
		call->hold |= rco__r8(&c) & 1;
}

static void found_ring(rco__pool *pool, rco__ring *ring, void *user_data)
{
	const rco__ring_owner *owner = rco__pool_owner(pool, ring);
	rco__recovery *r = user_data;
	rco__found_call *call = rco__recovery_call(r, owner->recording_id);
	rco__found_leg *leg;

	if (call == NULL)
		return;
	if (call->rings[owner->leg] != NULL) { /* cannot be: keep the first, and nothing of the other */
		(void)rco__pool_put(pool, ring);
		return;
	}
	leg = &call->legs[owner->leg];
	call->in_ring = 1;
	call->rings[owner->leg] = ring;
	leg->format = owner->format;
	memcpy(leg->label, owner->label, sizeof leg->label);
	leg->label[sizeof leg->label - 1] = '\0';
	leg->bytes = rco__gate_index(&ring->gate);
	if (rco__gate_load(&ring->gate) & RCO__GATE_STOP)
		call->stop_bit = 1;
	read_meta(call, owner->meta, owner->meta_size);
}

static void found_recording(const rco_scanned *found, void *user_data)
{
	rco__recovery *r = user_data;
	rco__found_call *call = rco__recovery_call(r, found->id);
	uint32_t i;

	if (call == NULL)
		return;
	call->in_buffer = 1;
	call->damaged_bytes = found->damaged_bytes;
	read_meta(call, found->meta, found->meta_bytes);
	for (i = 0; i < RCO_MAX_LEGS; i++) {
		if (found->leg_format[i] == 0 || rco__format_of(found->leg_format[i]) == NULL)
			continue;
		if (call->legs[i].format == 0)
			call->legs[i].format = found->leg_format[i];
		call->held[i] = found->leg_bytes[i];
		if (call->legs[i].bytes < found->leg_bytes[i])
			call->legs[i].bytes = found->leg_bytes[i];
	}
}

static void link_opt(rco__recovery *r, rco__found_opt *opt)
{
	rco__found_call *call = rco__recovery_call(r, opt->receipt.recording_id);
	uint32_t i;

	if (call == NULL)
		return;
	call->opt = opt;
	if (call->call_id[0] == '\0')
		memcpy(call->call_id, opt->call_id, sizeof call->call_id);
	if (call->created_us == 0)
		call->created_us = opt->created_us;
	if (call->started_us == 0)
		call->started_us = opt->started_us;
	if (call->ended_us == 0)
		call->ended_us = opt->ended_us;
	for (i = 0; i < RCO_MAX_LEGS; i++) {
		if (call->legs[i].format == 0)
			call->legs[i] = opt->legs[i];
		else if (call->legs[i].bytes < opt->legs[i].bytes)
			call->legs[i].bytes = opt->legs[i].bytes;
	}
}

/* ---- sessions from it ---- */

static int add_copies(rco_session *s, const rco__found_call *call)
{
	const rco__found_copy *f;

	for (f = call->copies; f != NULL; f = f->next) {
		rco__copy *c = rco__copy_new(&s->engine->env, f->kind, f->store, f->key, f->version);

		if (c == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for recovery");
		c->flags = f->flags;
		c->size_bytes = f->size_bytes;
		(void)snprintf(c->upload_id, sizeof c->upload_id, "%s", f->upload_id);
		rco__copy_add(s, c);
	}
	return RCO_OK;
}

static int add_legs(rco_session *s, const rco__found_call *call)
{
	uint32_t i, n = 0;

	for (i = 0; i < RCO_MAX_LEGS; i++)
		if (rco__format_of(call->legs[i].format) != NULL)
			n = i + 1;
	if (n == 0)
		return RCO_OK;
	s->legs = rco__zalloc(&s->engine->env, RCO_MAX_LEGS, sizeof *s->legs);
	if (s->legs == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for recovery");
	for (i = 0; i < n; i++) {
		rco__leg *l = &s->legs[i];
		const rco__found_leg *f = &call->legs[i];

		l->format = rco__format_of(f->format) != NULL ? f->format : (uint32_t)RCO_FORMAT_PCMU_8K;
		l->sample_bytes = rco_format_sample_bytes(l->format);
		if (rco__label_ok(f->label, 0))
			memcpy(l->label, f->label, sizeof l->label);
		else
			(void)snprintf(l->label, sizeof l->label, "leg%u", (unsigned)i);
		l->held = call->held[i];
		atomic_store(&l->total, f->bytes);
		if (call->rings[i] != NULL) {
			rco__gate_shut(&call->rings[i]->gate);
			/* The buffer confirmed it, but the crash came before the ring was told. */
			if (atomic_load(&call->rings[i]->read) < l->held)
				atomic_store(&call->rings[i]->read, l->held);
			atomic_store(&s->rings[i], rco__pool_ref(s->engine->pool, call->rings[i]));
		}
	}
	atomic_store(&s->n_legs, n);
	return RCO_OK;
}

/* A call that the crash ended: as long as the audio that is known of it. */
static int64_t last_heard(const rco__found_call *call)
{
	int64_t from = call->started_us != 0 ? call->started_us : call->created_us, longest = 0;
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++) {
		const rco__format *f = rco__format_of(call->legs[i].format);
		uint64_t rate = f != NULL ? (uint64_t)f->rate_hz * f->sample_bytes : 0;
		uint64_t s = rate != 0 ? call->legs[i].bytes / rate : 0; /* seconds */
		int64_t us;

		if (rate == 0)
			continue;
		if (s > UINT32_MAX) /* a century of audio: no ring or journal of ours said so */
			s = UINT32_MAX;
		us = (int64_t)(s * 1000000 + call->legs[i].bytes % rate * 1000000 / rate);
		if (us > longest)
			longest = us;
	}
	return from + longest;
}

static void set_times(rco_session *s, const rco__found_call *call)
{
	const rco_engine_config *cfg = &s->engine->cfg;
	int64_t now = rco__mono_us(&s->engine->env);

	if (call->created_us != 0)
		s->created_us = call->created_us;
	s->started_us = call->started_us;
	s->start_asked = s->started_us != 0;
	s->ended_us = call->ended_us != 0 ? call->ended_us : last_heard(call);
	if (s->ended_us == 0 || s->ended_us > rco__wall_us(&s->engine->env))
		s->ended_us = rco__wall_us(&s->engine->env);
	s->ended = 1;
	atomic_store(&s->why_shut, RCO_E_ENDED);
	/* Nobody could object while no process was there: the window begins anew. */
	s->window_mono_us = now + (int64_t)cfg->window_ms * 1000;
	s->forget_mono_us = s->window_mono_us + (int64_t)cfg->remember_ended_s * 1000000;
}

/* Lock not needed: nobody else knows the session yet. */
static void set_opt_out(rco_session *s, const rco__found_call *call)
{
	const rco__found_opt *opt = call->opt;

	if (opt == NULL) {
		/* Stopped, but the crash came before it was durable. Nobody was told so; it is honoured all the
		 * same. */
		int64_t window = s->window_mono_us;

		s->window_mono_us = RCO__NEVER; /* it came during the call, whatever is configured for after it */
		(void)rco__opt_out_latch(s, "recovered");
		s->window_mono_us = window;
		s->receipt.facts |= RCO_FACT_RECOVERED | RCO_FACT_RECORDED;
		return;
	}
	atomic_store(&s->latch, RCO__LATCH_OPTED_OUT);
	s->receipt = opt->receipt;
	memcpy(s->receipt.recording_id, s->recording_id, 16);
	s->receipt.call_id = s->call_id;
	s->receipt.facts |= RCO_FACT_DURABLE | RCO_FACT_RECOVERED;
	s->receipt.facts &= ~(uint32_t)(RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_SWEPT);
	if (opt->hold_lifted)
		s->receipt.facts &= ~(uint32_t)RCO_FACT_HELD;
	s->receipt.erased_us = s->receipt.verified_us = 0;
	if (call->in_buffer || call->in_ring || call->copies != NULL)
		s->receipt.facts |= RCO_FACT_RECORDED;
	s->hold = (s->receipt.facts & RCO_FACT_HELD) != 0;
	s->tomb_lsn = 1; /* it is in the ledger */
	s->erase_by_mono_us = rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
}

/* Does the journal know all of it that only the rings tell otherwise? */
static int booked(const rco_session *s, const rco__found_call *call)
{
	uint32_t all = (1u << atomic_load(&s->n_legs)) - 1;

	return call->begun && (call->booked_legs & all) == all;
}

/* Bytes that cannot be read back: those behind damage, or those that the buffer had confirmed and does not have.
 */
static uint64_t lost_bytes(const rco__found_call *call)
{
	uint64_t lost = 0;
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++) {
		uint64_t read = call->rings[i] != NULL ? atomic_load(&call->rings[i]->read) : 0;

		if (read > call->held[i])
			lost += read - call->held[i];
	}
	return lost > call->damaged_bytes ? lost : call->damaged_bytes;
}

static int revive(rco__recovery *r, rco__found_call *call, int opted_out)
{
	char name[RCO_ID_TEXT + 16], id[RCO_ID_TEXT + 1];
	const char *call_id = call->call_id;
	uint64_t lost = opted_out ? call->damaged_bytes : lost_bytes(call);
	rco_session *s;
	int rc;

	if (call_id[0] == '\0') { /* only the audio is left to tell */
		rco__uuid_text(call->recording_id, id);
		(void)snprintf(name, sizeof name, "unknown-%s", id);
		call_id = name;
	}
	rc = rco__session_new(r->engine, call_id, call->recording_id, &s);
	if (rc != RCO_OK)
		return rc;
	s->recovered = 1;
	s->opened = (uint32_t)call->in_buffer;
	s->buffer_has = 1;
	if (call->receipt_known)
		memcpy(s->receipt.id, call->receipt_id, sizeof s->receipt.id);
	s->consent_policy = r->engine->cfg.consent;
	s->hold = (uint32_t)call->hold;
	set_times(s, call);
	rc = add_legs(s, call);
	s->journaled = (uint32_t)booked(s, call);
	if (rc == RCO_OK)
		rc = add_copies(s, call);
	if (rc == RCO_OK && opted_out)
		set_opt_out(s, call);
	if (rc == RCO_OK)
		rc = rco__registry_add(s);
	if (rc == RCO_OK) {
		rco__event_queue(s, RCO_EVENT_RECOVERED, lost != 0 ? RCO_E_CORRUPT : RCO_OK, lost,
		                 lost != 0 ? "part of its audio is damaged and lost%s" : "%s", "");
		rco__session_wake(s);
	}
	rco__session_unref(s);
	return rc;
}

static void drop_rings(rco__recovery *r, rco__found_call *call)
{
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++)
		if (call->rings[i] != NULL)
			(void)rco__pool_put(r->engine->pool, call->rings[i]);
}

static int committed(const rco__found_call *call)
{
	const rco__found_copy *c;

	for (c = call->copies; c != NULL; c = c->next)
		if (c->flags & RCO__COPY_COMMITTED)
			return 1;
	return 0;
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
	/* Its files are there and the buffer's copy is gone: only the last line in the journal is missing. */
	return call->journaled && !committed(call);
}

/* Stored, closed, and yet there: the crash came between. A recording nobody needs any more goes. */
static void clean_up(rco__recovery *r, rco__found_call *call)
{
	rco_engine *engine = r->engine;
	rco_result result;
	uint64_t op;
	int rc;

	drop_rings(r, call);
	if (!call->in_buffer || rco__op_begin(engine, NULL, &engine->shards[0], &op) != RCO_OK)
		return;
	rco__result_init(&result);
	rc = engine->buffer.erase(call->recording_id, op, &result, engine->buffer_ud);
	if (rc != RCO_PENDING)
		rco__op_end(engine, op);
	else
		rco__op_give_up(engine, op, NULL, 0, NULL, 0); /* the next start looks again */
	if (rc < 0)
		rco__log(&engine->env, RCO_LOG_WARN, "a stored recording cannot be removed from the buffer: %s",
		         rco_error_detail());
}

static void keep_prebirth(rco__recovery *r, const rco__found_opt *opt)
{
	rco_engine *engine = r->engine;
	rco__prebirth *p = rco__map_get(&engine->prebirth, opt->call_id, strlen(opt->call_id));
	uint64_t lsn;

	if (opt->expires_us <= rco__wall_us(&engine->env)) {
		(void)rco__journal_mark(engine, &opt->receipt, RCO__OPT_EXPIRED, RCO__LEDGER_CLOSES,
		                        opt->expires_us, &lsn);
		return;
	}
	/* Of two for one call, as a clock that was put back may leave them, the longer one counts. */
	if (p != NULL && p->expires_us >= opt->expires_us)
		return;
	if (p != NULL)
		rco__release(&engine->env, rco__map_remove(&engine->prebirth, p->call_id, strlen(p->call_id)));
	p = rco__zalloc(&engine->env, 1, sizeof *p);
	if (p == NULL) {
		r->rc = RCO_E_NO_MEMORY;
		return;
	}
	p->receipt = opt->receipt;
	memcpy(p->call_id, opt->call_id, sizeof p->call_id);
	p->receipt.call_id = p->call_id;
	p->receipt.facts |= RCO_FACT_DURABLE | RCO_FACT_STOPPED | RCO_FACT_BEFORE_BIRTH;
	p->expires_us = opt->expires_us;
	p->expires_mono_us = rco__mono_us(&engine->env) + p->expires_us - rco__wall_us(&engine->env);
	if (rco__map_set(&engine->prebirth, p->call_id, strlen(p->call_id), p) != RCO_OK) {
		rco__release(&engine->env, p);
		r->rc = RCO_E_NO_MEMORY;
	}
}

int rco__recovery_run(rco__recovery *r)
{
	rco_engine *engine = r->engine;
	rco__found_call *call;
	rco__found_opt *opt;
	int rc = RCO_OK;

	rco__pool_orphans(engine->pool, found_ring, r);
	if (engine->buffer.scan != NULL)
		rc = engine->buffer.scan(found_recording, r, engine->buffer_ud);
	for (opt = r->opt_list; opt != NULL && rc == RCO_OK; opt = opt->next) {
		if (opt->tombstone)
			link_opt(r, opt);
		else if (opt->prebirth && !opt->closed)
			keep_prebirth(r, opt);
	}
	for (call = r->call_list; call != NULL && rc == RCO_OK; call = call->next)
		if (wants_erasing(call))
			rc = revive(r, call, 1);
	for (call = r->call_list; call != NULL && rc == RCO_OK; call = call->next) {
		if (wants_storing(call))
			rc = revive(r, call, 0);
		else if (!wants_erasing(call))
			clean_up(r, call);
	}
	return rc == RCO_OK && r->rc != RCO_OK ? rco__fail(r->rc, "no memory for recovery") : rc;
}
