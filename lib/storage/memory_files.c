/* SPDX-License-Identifier: MIT */
/* Finished files in memory, with versions and upload ids like those of an object store: upload and deletion. */
#include "memory.h"

#include "../base/error.h"

#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 1023, ID_TEXT = 24 };

/* ---- keys, versions ---- */

/* FNV-1a: spreads keys that differ in a few characters only. */
static size_t bucket_of(const char *key)
{
	uint32_t hash = 2166136261u;

	for (; *key != '\0'; key++)
		hash = (hash ^ (uint8_t)*key) * 16777619u;
	return hash % RCO__MEM_BUCKETS;
}

static rco__mem_file **find(struct rco_memory *memory, const char *key)
{
	rco__mem_file **at = &memory->files[bucket_of(key)];

	while (*at != NULL && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	return at;
}

/* "v12", "u7": different letters, so that the one is never taken for the other. */
static void id_text(char out[ID_TEXT], char letter, uint64_t number)
{
	if (snprintf(out, ID_TEXT, "%c%llu", letter, (unsigned long long)number) < 0)
		out[0] = '\0';
}

/* Is `text` that id, or empty, which stands for any? */
static int id_is(const char *text, char letter, uint64_t number)
{
	char own[ID_TEXT];

	if (text == NULL || text[0] == '\0')
		return 1;
	id_text(own, letter, number);
	return strcmp(own, text) == 0;
}

static int is_audio(uint32_t kind)
{
	return kind == RCO_KIND_AUDIO;
}

static void drop_version(struct rco_memory *memory, rco__mem_version **at)
{
	rco__mem_version *version = *at;

	*at = version->next;
	rco__mem_drop(memory, &version->bytes, is_audio(version->kind));
	rco__release(&memory->env, version);
}

static void drop_upload(struct rco_memory *memory, rco__mem_file *file)
{
	rco__mem_drop(memory, &file->pending, is_audio(file->upload_kind));
	rco__parts_clear(&file->parts, &memory->env);
	file->upload = 0;
}

/* Forget a key under which nothing is left. */
static void tidy(struct rco_memory *memory, rco__mem_file **at)
{
	rco__mem_file *file = *at;

	if (file == NULL || file->versions != NULL || file->upload != 0)
		return;
	*at = file->next;
	rco__release(&memory->env, file);
}

void rco__mem_drop_files(struct rco_memory *memory)
{
	size_t i;

	for (i = 0; i < RCO__MEM_BUCKETS; i++)
		while (memory->files[i] != NULL) {
			while (memory->files[i]->versions != NULL)
				drop_version(memory, &memory->files[i]->versions);
			drop_upload(memory, memory->files[i]);
			tidy(memory, &memory->files[i]);
		}
}

/* What every slot begins with. The lock is held on RCO_OK. */
static int enter(struct rco_memory *memory, const rco_object *object, const rco_result *result)
{
	int rc = rco__mem_check(memory);

	if (rc != RCO_OK)
		return rc;
	if (object == NULL || result == NULL || object->key == NULL || object->key[0] == '\0')
		return rco__fail(RCO_E_INVALID, "no object, no key or no result");
	(void)pthread_mutex_lock(&memory->lock);
	return RCO_OK;
}

/* What every slot ends with. */
static int leave(struct rco_memory *memory, int rc)
{
	(void)pthread_mutex_unlock(&memory->lock);
	return rc;
}

/* ---- upload ---- */

static int start_upload(struct rco_memory *memory, const rco_object *object, rco_result *result)
{
	rco__mem_file **at = find(memory, object->key), *file = *at;
	size_t length = strlen(object->key);

	if (length > KEY_MAX)
		return rco__fail(RCO_E_INVALID, "the key has %zu bytes, %d are possible", length, KEY_MAX);
	if (file == NULL) {
		file = rco__zalloc(&memory->env, 1, sizeof *file + length + 1);
		if (file == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for an upload");
		memcpy(file->key, object->key, length + 1);
		*at = file;
	}
	/* What an earlier try left behind nobody would ever finish: it may not stay. */
	drop_upload(memory, file);
	file->upload = ++memory->last_number;
	file->upload_kind = object->kind;
	id_text(result->upload_id, 'u', file->upload);
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int upload_begin(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	int rc = enter(user_data, object, result);

	(void)op;
	return rc != RCO_OK ? rc : leave(user_data, start_upload(user_data, object, result));
}

/* The unfinished upload that the object names, or NULL. */
static rco__mem_file *find_upload(struct rco_memory *memory, const rco_object *object)
{
	rco__mem_file *file = *find(memory, object->key);

	if (file == NULL || file->upload == 0 || !id_is(object->upload_id, 'u', file->upload))
		return NULL;
	return file;
}

static int no_upload(const rco_object *object)
{
	return rco__fail(RCO_E_NOT_FOUND, "%s: no such upload in the memory store; begin it again", object->key);
}

static int take_part(struct rco_memory *memory, const rco_object *object, uint32_t part, const void *data,
                     size_t size)
{
	rco__mem_file *file = find_upload(memory, object);
	uint64_t offset;
	int rc, audio;

	if (file == NULL)
		return no_upload(object);
	audio = is_audio(file->upload_kind);
	rc = rco__parts_place(&file->parts, &memory->env, part, size, &offset);
	if (rc != RCO_OK)
		return rc;
	if (part < file->parts.count) {
		if (size > 0)
			memcpy(file->pending.data + offset, data, size);
		return RCO_OK;
	}
	/* The last part again takes the place of what it was before, which is gone if this fails. */
	file->parts.count = part - 1;
	rco__mem_cut(memory, &file->pending, (size_t)offset, audio);
	rc = rco__mem_reserve(memory, &file->pending, size);
	if (rc != RCO_OK)
		return rc;
	rco__mem_append(memory, &file->pending, data, size, audio);
	rco__parts_done(&file->parts, part, offset, size);
	return RCO_OK;
}

static int upload_put(const rco_object *object, uint32_t part, const void *data, size_t size_bytes, uint64_t op,
                      rco_result *result, void *user_data)
{
	int rc;

	(void)op;
	if (data == NULL && size_bytes > 0)
		return rco__fail(RCO_E_INVALID, "put: no data");
	rc = enter(user_data, object, result);
	if (rc != RCO_OK)
		return rc;
	rc = take_part(user_data, object, part, data, size_bytes);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_DONE;
	return leave(user_data, rc);
}

/* The answer of an earlier commit may have been lost: is there a version that this upload became? */
static const rco__mem_version *committed_before(struct rco_memory *memory, const rco_object *object)
{
	rco__mem_file *file = *find(memory, object->key);
	const rco__mem_version *version;

	/* Without an id an unfinished upload comes first; it is never taken for one that was finished. */
	if (file == NULL || (file->upload != 0 && id_is(object->upload_id, 'u', file->upload)))
		return NULL;
	for (version = file->versions; version != NULL; version = version->next)
		if (id_is(object->upload_id, 'u', version->upload))
			return version;
	return NULL;
}

static int finish_upload(struct rco_memory *memory, const rco_object *object, rco_result *result)
{
	rco__mem_file *file = find_upload(memory, object);
	const rco__mem_version *before = committed_before(memory, object);
	rco__mem_version *version;

	if (file == NULL && before == NULL)
		return no_upload(object);
	if (file != NULL) {
		version = rco__zalloc(&memory->env, 1, sizeof *version);
		if (version == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for a finished file");
		version->number = ++memory->last_number;
		version->upload = file->upload;
		version->kind = file->upload_kind;
		version->bytes = file->pending;
		version->next = file->versions;
		file->versions = version;
		memset(&file->pending, 0, sizeof file->pending);
		drop_upload(memory, file);
		before = version;
	}
	id_text(result->version, 'v', before->number);
	result->size_bytes = before->bytes.size;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int upload_commit(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	int rc = enter(user_data, object, result);

	(void)op;
	return rc != RCO_OK ? rc : leave(user_data, finish_upload(user_data, object, result));
}

static int upload_abort(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	rco__mem_file *file;
	int rc = enter(memory, object, result);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	file = find_upload(memory, object);
	if (file != NULL) {
		drop_upload(memory, file);
		tidy(memory, find(memory, object->key));
	}
	result->confirmed = RCO_CONFIRM_GONE;
	return leave(memory, RCO_OK);
}

static int upload_list(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	const rco__mem_version *version;
	const rco__mem_file *file;
	int rc = enter(memory, object, result);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	file = *find(memory, object->key);
	result->count = 0;
	for (version = file != NULL ? file->versions : NULL; version != NULL; version = version->next)
		result->count++;
	if (file != NULL && file->upload != 0)
		result->count++;
	result->confirmed = result->count > 0 ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE;
	return leave(memory, RCO_OK);
}

static int upload_head(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	const rco__mem_file *file;
	int rc = enter(memory, object, result);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	file = *find(memory, object->key);
	result->confirmed = RCO_CONFIRM_GONE;
	if (file != NULL && file->versions != NULL) {
		result->confirmed = RCO_CONFIRM_PRESENT;
		result->size_bytes = file->versions->bytes.size;
		id_text(result->version, 'v', file->versions->number);
	}
	return leave(memory, RCO_OK);
}

const rco_upload_ops *rco_memory_upload_ops(void)
{
	static const rco_upload_ops table = {
		.struct_size = sizeof table,
		.begin = upload_begin,
		.put = upload_put,
		.commit = upload_commit,
		.abort = upload_abort,
		.list = upload_list,
		.head = upload_head,
	};

	return &table;
}

/* ---- deletion ---- */

static int all_versions(const rco_object *object)
{
	return object->version == NULL || object->version[0] == '\0';
}

static void remove_versions(struct rco_memory *memory, const rco_object *object)
{
	rco__mem_file **at = find(memory, object->key), *file = *at;
	rco__mem_version **version;

	if (file == NULL)
		return;
	version = &file->versions;
	while (*version != NULL)
		if (id_is(object->version, 'v', (*version)->number))
			drop_version(memory, version);
		else
			version = &(*version)->next;
	/* An upload that is still open would bring the file back. */
	if (all_versions(object))
		drop_upload(memory, file);
	tidy(memory, at);
}

static int still_there(struct rco_memory *memory, const rco_object *object)
{
	const rco__mem_file *file = *find(memory, object->key);
	const rco__mem_version *version;

	if (file == NULL)
		return 0;
	for (version = file->versions; version != NULL; version = version->next)
		if (id_is(object->version, 'v', version->number))
			return 1;
	return all_versions(object) && file->upload != 0;
}

/* What a host keeps elsewhere is not in here, and nothing can be said about it. */
static int not_ours(const rco_object *object)
{
	return rco__fail(RCO_E_DECLINED, "the memory store knows nothing of %s", object->key);
}

static int deletion_remove(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	int rc = enter(user_data, object, result);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (object->store != RCO_STORE_UPLOAD)
		return leave(user_data, not_ours(object));
	remove_versions(user_data, object);
	result->confirmed = RCO_CONFIRM_GONE;
	return leave(user_data, RCO_OK);
}

static int deletion_verify(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	int rc = enter(user_data, object, result);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (object->store != RCO_STORE_UPLOAD)
		return leave(user_data, not_ours(object));
	result->confirmed = still_there(user_data, object) ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE;
	return leave(user_data, RCO_OK);
}

const rco_deletion_ops *rco_memory_deletion_ops(void)
{
	static const rco_deletion_ops table = {
		.struct_size = sizeof table,
		.remove = deletion_remove,
		.verify = deletion_verify,
	};

	return &table;
}

/* ---- looking in ---- */

static int copy_out(struct rco_memory *memory, const char *key, void *buf, size_t cap, size_t *size_bytes)
{
	const rco__mem_file *file = *find(memory, key);
	const rco__mem_bytes *bytes;

	if (file == NULL || file->versions == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "the memory store has no finished file %s", key);
	bytes = &file->versions->bytes;
	*size_bytes = bytes->size;
	if (bytes->size > cap)
		return rco__fail(RCO_E_LIMIT, "%s has %zu bytes, there is room for %zu", key, bytes->size, cap);
	if (bytes->size > 0)
		memcpy(buf, bytes->data, bytes->size);
	return RCO_OK;
}

int rco_memory_get(rco_memory *memory, const char *key, void *buf, size_t cap, size_t *size_bytes)
{
	int rc;

	rco__error_clear();
	rc = rco__mem_check(memory);
	if (rc != RCO_OK)
		return rc;
	if (key == NULL || size_bytes == NULL || (buf == NULL && cap > 0))
		return rco__fail(RCO_E_INVALID, "rco_memory_get: key, size_bytes or buf is NULL");
	*size_bytes = 0;
	(void)pthread_mutex_lock(&memory->lock);
	return leave(memory, copy_out(memory, key, buf, cap, size_bytes));
}

/* The index-th key that has a finished file, NULL beyond the last. */
static const char *key_number(const struct rco_memory *memory, size_t index)
{
	const rco__mem_file *file;
	size_t i;

	for (i = 0; i < RCO__MEM_BUCKETS; i++)
		for (file = memory->files[i]; file != NULL; file = file->next)
			if (file->versions != NULL && index-- == 0)
				return file->key;
	return NULL;
}

static int copy_key(struct rco_memory *memory, size_t index, char *key, size_t cap)
{
	const char *found = key_number(memory, index);

	if (found == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "the memory store has no more than %zu finished files", index);
	if (strlen(found) >= cap)
		return rco__fail(RCO_E_LIMIT, "a key has %zu bytes, there is room for %zu", strlen(found), cap);
	memcpy(key, found, strlen(found) + 1);
	return RCO_OK;
}

int rco_memory_key_at(rco_memory *memory, size_t index, char *key, size_t cap)
{
	int rc;

	rco__error_clear();
	rc = rco__mem_check(memory);
	if (rc != RCO_OK)
		return rc;
	if (key == NULL || cap == 0)
		return rco__fail(RCO_E_INVALID, "rco_memory_key_at: no room for a key");
	(void)pthread_mutex_lock(&memory->lock);
	return leave(memory, copy_key(memory, index, key, cap));
}
