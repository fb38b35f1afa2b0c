/* SPDX-License-Identifier: MIT */
/* Copies of a call: the files the library makes, and what the host registered. */
#include "work.h"

#include <stdio.h>
#include <string.h>

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

int rco__copy_place(const rco__env *env, rco__copy *copy, const char *place)
{
	copy->place = duplicate(env, place);
	return copy->place != NULL ? RCO_OK
	                           : rco__fail(RCO_E_NO_MEMORY, "no memory for the place of %s", copy->key);
}

void rco__copy_free(const rco__env *env, rco__copy *copy)
{
	if (copy->key != NULL)
		rco__release(env, copy->key);
	if (copy->version != NULL)
		rco__release(env, copy->version);
	rco__release(env, copy->place);
	rco__release(env, copy->upload_id);
	rco__release(env, copy);
}

int rco__copy_upload(const rco__env *env, rco__copy *copy, const char *upload_id)
{
	rco__copy_no_upload(env, copy);
	copy->upload_id = duplicate(env, upload_id);
	return copy->upload_id != NULL ? RCO_OK
	                               : rco__fail(RCO_E_NO_MEMORY, "no memory for an upload of %s", copy->key);
}

void rco__copy_no_upload(const rco__env *env, rco__copy *copy)
{
	rco__release(env, copy->upload_id);
	copy->upload_id = NULL;
}

void rco__copy_add(rco_session *s, rco__copy *copy)
{
	*s->control.copies_tail = copy;
	s->control.copies_tail = &copy->next;
}

rco__copy *rco__copy_next(rco_session *s, const rco__copy *copy)
{
	rco__copy *next;

	(void)pthread_mutex_lock(&s->lock);
	next = copy != NULL ? copy->next : s->control.copies;
	(void)pthread_mutex_unlock(&s->lock);
	return next;
}

rco__copy *rco__copy_find(rco_session *s, uint32_t store, const char *key)
{
	rco__copy *c;

	for (c = s->control.copies; c != NULL; c = c->next)
		if (c->store == store && strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

int rco__copy_erasable(const rco_session *s, const rco__copy *copy)
{
	return (copy->kind & s->engine->cfg.erase_kinds) != 0 && copy->yielded == 0;
}

int rco__copy_in_directory(const rco_session *s)
{
	return s->engine->directory != NULL && s->engine->upload.head == rco_directory_upload_ops()->head &&
	       s->engine->upload_ud == s->engine->directory;
}

/* "Not there" says nothing of a file that was put elsewhere: a volume that is not mounted, another output_dir, a
 * store of the host's. Of two of those it cannot be told whether they are one. */
int rco__copy_here(const rco_session *s, const rco__copy *copy)
{
	int in_directory = rco__copy_in_directory(s);

	if (copy->store != RCO_STORE_UPLOAD || copy->place == NULL)
		return RCO_OK;
	if (strcmp(copy->place, RCO__STORE_OF_HOST) != 0 && in_directory)
		return rco__directory_is(s->engine->directory, copy->place);
	if (strcmp(copy->place, RCO__STORE_OF_HOST) == 0) {
		if (!in_directory || rco__directory_is(s->engine->directory, copy->place) == RCO_OK)
			return RCO_OK;
		return rco__fail(
			RCO_E_NOT_FOUND,
			"%s was sent to a store of the host's, and output_dir is not that: start the engine "
			"with that upload table; or, if the store is gone for good, add the line "
			"\"" RCO__STORE_OF_HOST "\" to %s/.recoptout-store",
			copy->key, rco__directory_path(s->engine->directory));
	}
	return rco__fail(RCO_E_NOT_FOUND,
	                 "%s was sent to output_dir, store %s: start the engine with that, and without an upload "
	                 "table, until this call is done with",
	                 copy->key, copy->place);
}

static const char *content_type(const rco_session *s, const rco__copy *copy)
{
	if (copy->kind == RCO_KIND_METADATA)
		return "application/json";
	return s->engine->cfg.export_format == RCO_EXPORT_WAV_ZST ? "application/zstd" : "audio/vnd.wave";
}

const rco_object *rco__copy_object(rco_session *s, const rco__copy *copy)
{
	rco__args *a = s->work.args;
	rco_object *o = &a->object;

	memset(o, 0, sizeof *o);
	(void)snprintf(a->upload_id, sizeof a->upload_id, "%s", copy->upload_id != NULL ? copy->upload_id : "");
	o->struct_size = (uint32_t)sizeof *o;
	o->kind = copy->kind;
	o->store = copy->store;
	memcpy(o->recording_id, s->recording_id, 16);
	o->size_bytes = copy->size_bytes;
	o->key = copy->key;
	if (copy->store == RCO_STORE_HOST && copy->place != NULL &&
	    s->engine->deletion.remove == rco_directory_deletion_ops()->remove)
		o->key = copy->place;
	o->upload_id = a->upload_id;
	o->version = copy->version;
	o->call_id = s->call_id;
	o->content_type = copy->store == RCO_STORE_UPLOAD ? content_type(s, copy) : "";
	return o;
}

static int call_abort(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.abort(rco__copy_object(s, s->work.cursor), op, result, s->engine->upload_ud);
}

/*
 * First the upload that is known, then any of that key: of a begin whose answer was lost the id is not known, and
 * after a restart the one that is known may be an older one, because the journal's entries can be out of order.
 */
int rco__job_abort(rco_session *s)
{
	rco__copy *c = s->work.cursor;
	rco_result result;
	int rc, any;

	do {
		any = c->upload_id == NULL || c->upload_id[0] == '\0';
		rc = rco__job_confirm(s, call_abort, RCO_CONFIRM_GONE, &result);
		if (rc == RCO_OK)
			rco__copy_no_upload(&s->engine->env, c);
	} while (rc == RCO_OK && !any);
	return rc;
}

int rco__buffer_here(const rco_session *s)
{
	return !s->buffer_elsewhere ? RCO_OK
	                            : rco__fail(RCO_E_NOT_FOUND,
	                                        "call %s has its audio in a buffer of the host's, and none is "
	                                        "configured: start the "
	                                        "engine with that buffer until this call is done with",
	                                        s->call_id);
}

int rco__call_buffer_erase(rco_session *s, uint64_t op, rco_result *result)
{
	int rc = rco__buffer_here(s);

	return rc != RCO_OK ? rc : s->engine->buffer.erase(s->recording_id, op, result, s->engine->buffer_ud);
}
