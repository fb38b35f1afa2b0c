/* SPDX-License-Identifier: MIT */
/* Copies of a call: the files the library makes, and the artifacts the host registers. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

enum { LOCATION_MAX = 1023, VERSION_MAX = 255 };

static char *duplicate(const rco__env *env, const char *text)
{
	size_t size = strlen(text) + 1;
	char *out = rco__alloc(env, size);

	if (out != NULL)
		memcpy(out, text, size);
	return out;
}

rco__copy *rco__copy_new(const rco__env *env, uint32_t kind, uint32_t store, const char *key, const char *version)
{
	rco__copy *c = rco__zalloc(env, 1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->kind = kind;
	c->store = store;
	c->key = duplicate(env, key);
	c->version = duplicate(env, version);
	if (c->key == NULL || c->version == NULL) {
		rco__copy_free(env, c);
		return NULL;
	}
	return c;
}

void rco__copy_free(const rco__env *env, rco__copy *copy)
{
	if (copy->key != NULL)
		rco__release(env, copy->key);
	if (copy->version != NULL)
		rco__release(env, copy->version);
	rco__release(env, copy);
}

void rco__copy_add(rco_session *s, rco__copy *copy)
{
	*s->copies_tail = copy;
	s->copies_tail = &copy->next;
}

rco__copy *rco__copy_find(rco_session *s, uint32_t store, const char *key)
{
	rco__copy *c;

	for (c = s->copies; c != NULL; c = c->next)
		if (c->store == store && strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

int rco__copy_erasable(const rco_session *s, const rco__copy *copy)
{
	return (copy->kind & s->engine->cfg.erase_kinds) != 0;
}

static const char *content_type(const rco_session *s, const rco__copy *copy)
{
	if (copy->kind == RCO_KIND_METADATA)
		return "application/json";
	return s->engine->cfg.export_format == RCO_EXPORT_WAV_ZST ? "application/zstd" : "audio/vnd.wave";
}

const rco_object *rco__copy_object(rco_session *s, const rco__copy *copy)
{
	rco__args *a = s->args;
	rco_object *o = &a->object;

	memset(o, 0, sizeof *o);
	(void)snprintf(a->upload_id, sizeof a->upload_id, "%s", copy->upload_id);
	(void)snprintf(a->version, sizeof a->version, "%s", copy->version);
	o->struct_size = (uint32_t)sizeof *o;
	o->kind = copy->kind;
	o->store = copy->store;
	memcpy(o->recording_id, s->recording_id, 16);
	o->size_bytes = copy->size_bytes;
	o->key = copy->key;
	o->upload_id = a->upload_id;
	o->version = a->version;
	o->call_id = s->call_id;
	o->content_type = copy->store == RCO_STORE_UPLOAD ? content_type(s, copy) : "";
	return o;
}

int rco__job_confirm(rco_session *s, rco__call_fn call, uint32_t confirmed, rco_result *result)
{
	int rc = rco__job_call(s, call, result);

	if (rc == RCO_OK && result->confirmed != confirmed)
		return rco__fail(RCO_E_UNCONFIRMED,
		                 "call %s: a backend answered with success but did not confirm it", s->call_id);
	return rc;
}

int rco__call_abort(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.abort(rco__copy_object(s, s->cursor), op, result, s->engine->upload_ud);
}

int rco__call_buffer_erase(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->buffer.erase(s->recording_id, op, result, s->engine->buffer_ud);
}

/* ---- artifacts ---- */

static int check_artifact(uint32_t kind, const char *location, const char *version)
{
	if (kind != RCO_KIND_AUDIO && kind != RCO_KIND_TRANSCRIPT && kind != RCO_KIND_ANALYTICS &&
	    kind != RCO_KIND_METADATA)
		return rco__fail(RCO_E_INVALID, "kind is one of RCO_KIND_...");
	if (location == NULL || location[0] == '\0' || strlen(location) > LOCATION_MAX)
		return rco__fail(RCO_E_INVALID, "the location of an artifact is 1 to %d bytes", (int)LOCATION_MAX);
	if (version != NULL && strlen(version) > VERSION_MAX)
		return rco__fail(RCO_E_INVALID, "the version of an artifact is at most %d bytes",
		                 (int)VERSION_MAX);
	return RCO_OK;
}

/* Lock held: something to erase turned up after all. What was said about the erasure no longer holds. */
static void reopen(rco_session *s)
{
	s->receipt.facts |= RCO_FACT_RECORDED;
	s->receipt.facts &= ~(uint32_t)(RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_SWEPT);
	s->receipt.erased_us = s->receipt.verified_us = 0;
	s->erase_by_mono_us = rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
}

static int register_artifact(rco_session *s, uint32_t kind, const char *location, const char *version)
{
	const rco__env *env = &s->engine->env;
	rco__copy *copy = rco__copy_new(env, kind, RCO_STORE_HOST, location, version != NULL ? version : "");
	uint64_t lsn = 0;
	uint32_t latch;
	int rc = RCO_OK;

	if (copy == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an artifact of call %s", s->call_id);
	(void)pthread_mutex_lock(&s->lock);
	latch = atomic_load(&s->latch);
	if (location[0] != '/' && s->engine->directory != NULL && s->engine->deletion_ud == s->engine->directory) {
		/* Said now, and not first when it cannot be erased. */
		rc = rco__fail(RCO_E_INVALID,
		               "%s is not an absolute path, which is what the directory backend removes",
		               location);
		goto out;
	}
	if (!(latch & RCO__LATCH_OPTED_OUT) && (latch & RCO__LATCH_CLOSED)) {
		rc = rco__fail(RCO_E_ENDED,
		               "call %s has ended and was not opted out; nothing will erase this any more",
		               s->call_id);
		goto out;
	}
	/* Known to the next process before the host is told: neither crash nor power cut may lose a copy. */
	rc = rco__journal_copy(s, RCO__CALL_ARTIFACT, copy, &lsn);
	if (rc != RCO_OK)
		goto out;
	if (latch & RCO__LATCH_OPTED_OUT) {
		copy->flags |= RCO__COPY_LATE;
		if (rco__copy_erasable(s, copy))
			reopen(s);
		atomic_store(&s->late_news, 1);
	}
	rco__copy_add(s, copy);
	copy = NULL;
out:
	(void)pthread_mutex_unlock(&s->lock);
	if (copy != NULL)
		rco__copy_free(env, copy);
	if (rc == RCO_OK)
		rc = rco__ledger_sync(s->engine->calls, lsn);
	rco__session_wake(s);
	return rc;
}

int rco_session_register_artifact(rco_session *session, uint32_t kind, const char *location, const char *version)
{
	int rc = rco__session_check(session);

	if (rc == RCO_OK)
		rc = check_artifact(kind, location, version);
	return rc == RCO_OK ? register_artifact(session, kind, location, version) : rc;
}

int rco_engine_register_artifact(rco_engine *engine, const char *call_id, uint32_t kind, const char *location,
                                 const char *version)
{
	int rc = rco__engine_check(engine);
	rco_session *s;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc == RCO_OK)
		rc = check_artifact(kind, location, version);
	if (rc != RCO_OK)
		return rc;
	s = rco__registry_find(engine, call_id);
	if (s == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "no call %s is known", call_id);
	rc = register_artifact(s, kind, location, version);
	rco__session_unref(s);
	return rc;
}
