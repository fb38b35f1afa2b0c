/* SPDX-License-Identifier: MIT */
/* What is found of an earlier process: by recording, and by receipt. Journals, rings and buffer each add to it. */
#include "core.h"
#include "calls.h"
#include "found.h"

#include <string.h>

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
		rco__release(env, c->place);
		rco__release(env, c->upload_id);
		rco__release(env, c);
	}
	if (call->session != NULL)
		rco__session_unref(call->session);
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
		if (opt->call_id != NULL)
			rco__release(env, opt->call_id);
		if (opt->legs != NULL)
			rco__release(env, opt->legs);
		rco__parts_free(env, opt->parts);
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
	opt->next = r->opt_list;
	r->opt_list = opt;
	return opt;
}

int rco__recovery_short(const rco__recovery *r)
{
	return r->rc == RCO_E_NO_MEMORY;
}

void rco__recovery_opt_id(rco__recovery *r, rco__found_opt *opt, const char *call_id)
{
	size_t size = strlen(call_id) + 1;

	if (opt->call_id != NULL) /* an entry that comes again, or one of before the call was known */
		return;
	opt->call_id = rco__alloc(&r->engine->env, size);
	if (opt->call_id == NULL) {
		r->rc = RCO_E_NO_MEMORY;
		return;
	}
	memcpy(opt->call_id, call_id, size);
	opt->receipt.call_id = opt->call_id;
}

void rco__recovery_opt_legs(rco__recovery *r, rco__found_opt *opt, const rco__found_leg *legs, uint32_t n)
{
	if (n == 0 || n < opt->n_legs)
		return;
	if (n > opt->n_legs) {
		rco__found_leg *more = rco__alloc(&r->engine->env, n * sizeof *more);

		if (more == NULL) {
			r->rc = RCO_E_NO_MEMORY;
			return;
		}
		if (opt->legs != NULL)
			rco__release(&r->engine->env, opt->legs);
		opt->legs = more;
		opt->n_legs = n;
	}
	memcpy(opt->legs, legs, n * sizeof *legs);
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

int rco__recovery_text(rco__recovery *r, char **to, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = rco__alloc(&r->engine->env, size);

	if (copy == NULL)
		return RCO_E_NO_MEMORY;
	memcpy(copy, text, size);
	rco__release(&r->engine->env, *to);
	*to = copy;
	return RCO_OK;
}
