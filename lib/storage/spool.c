/* SPDX-License-Identifier: MIT */
/*
 * The spool: encrypted audio of calls under way. A recording is a key slot and
 * records in segments that all recordings share; erasing it is wiping its key,
 * in memory and in its slot.
 */
#include "spool_internal.h"

#include "../base/trust.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC = 0x53504f31, SEGMENT_BYTES = 64 << 20, DIG_US = 20000, EPOCH_S = 86400 };

static int check(const rco_spool *spool)
{
	if (spool == NULL || spool->magic != MAGIC)
		return rco__fail(RCO_E_HANDLE, "user_data is not a live rco_spool");
	if (!rco__spool_here(spool))
		return rco__fail(RCO_E_FORKED, "the spool %s belongs to the parent process", spool->path);
	return RCO_OK;
}

static int confirm(rco_result *result, uint32_t what)
{
	result->confirmed = what;
	return RCO_OK;
}

static int not_open(const uint8_t id[16])
{
	char text[RCO_ID_TEXT + 1];

	rco__uuid_text(id, text);
	return rco__fail(RCO_E_NOT_FOUND, "recording %s is not open in the spool, or was erased", text);
}

/* ---- open ---- */

/* Recording's lock held. A key, and its slot. */
static int make_key(rco_spool *spool, rco__spooled *r)
{
	uint8_t *key = rco__secmem_get(spool->secrets);
	rco__slot slot = {.epoch = 0};
	int rc;

	if (key == NULL)
		return RCO_E_NO_MEMORY;
	randombytes_buf(key, 32);
	randombytes_buf(&slot.serial, sizeof slot.serial);
	memcpy(slot.id, r->id, 16);
	memcpy(slot.meta, r->meta, r->meta_size);
	slot.meta_size = r->meta_size;
	rc = rco__epoch_wrap(spool, r->id, key, slot.wrapped, &slot.epoch);
	if (rc != RCO_OK) {
		rco__secmem_put(spool->secrets, key);
		return rc;
	}
	r->epoch = slot.epoch;
	r->serial = slot.serial;
	rc = rco__slot_put(spool, &slot, &r->slot);
	if (rc != RCO_OK)
		rco__epoch_leave(spool, r->epoch);
	(void)pthread_mutex_lock(&r->key_lock);
	if (rc == RCO_OK && !r->revoked) {
		r->key = key;
		key = NULL;
	}
	(void)pthread_mutex_unlock(&r->key_lock);
	rco__secmem_put(spool->secrets, key);
	return rc;
}

static int open_new(rco_spool *spool, rco__spooled *r)
{
	int rc = make_key(spool, r);

	if (rc == RCO_OK)
		r->state = RCO__SPOOLED_OPEN;
	else
		rco__spooled_take_out(spool, r);
	(void)pthread_mutex_unlock(&r->lock);
	rco__spooled_put(spool, r);
	return rc;
}

/* The one that is there: RCO_OK; RCO_E_STATE if it went while we waited for it. */
static int open_again(rco_spool *spool, rco__spooled *r)
{
	int rc = RCO_OK, dead;

	(void)pthread_mutex_lock(&r->lock);
	(void)pthread_mutex_lock(&r->key_lock);
	dead = r->revoked;
	(void)pthread_mutex_unlock(&r->key_lock);
	if (r->state == RCO__SPOOLED_GONE)
		rc = RCO_E_STATE;
	else if (dead)
		rc = not_open(r->id);
	(void)pthread_mutex_unlock(&r->lock);
	rco__spooled_put(spool, r);
	return rc;
}

static int open_recording(rco_spool *spool, const rco_recording *recording)
{
	rco__spooled *r = rco__spooled_get(spool, recording->id), *other;

	if (r != NULL)
		return open_again(spool, r);
	r = rco__spooled_new(spool, recording->id);
	if (r == NULL)
		return RCO_E_NO_MEMORY;
	if (recording->meta_bytes > 0)
		memcpy(r->meta, recording->meta, recording->meta_bytes);
	r->meta_size = recording->meta_bytes;
	(void)pthread_mutex_lock(&r->lock); /* others who find it in the table wait until it is open */
	other = rco__spooled_insert(spool, r);
	if (other == NULL)
		return open_new(spool, r);
	(void)pthread_mutex_unlock(&r->lock);
	rco__spooled_free(spool, r);
	return open_again(spool, other);
}

static int spool_open(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	int rc = check(spool);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (recording == NULL || result == NULL || recording->meta_bytes > RCO_META_MAX ||
	    (recording->meta == NULL && recording->meta_bytes > 0))
		return rco__fail(RCO_E_INVALID, "open: no recording, no result, or meta_bytes above %d",
		                 RCO_META_MAX);
	do
		rc = open_recording(spool, recording);
	while (rc == RCO_E_STATE);
	return rc == RCO_OK ? confirm(result, RCO_CONFIRM_DONE) : rc;
}

/* ---- append, flush, read ---- */

static int check_chunk(const rco_chunk *chunk)
{
	const rco__format *format = rco__format_of(chunk->format);

	if (format == NULL)
		return rco__fail(RCO_E_FORMAT, "append: %u is not a format", chunk->format);
	if (chunk->leg >= RCO_MAX_LEGS)
		return rco__fail(RCO_E_INVALID, "append: leg %u, there are %d at most", chunk->leg, RCO_MAX_LEGS);
	if ((chunk->flags & ~RCO_CHUNK_GAP) != 0 || (chunk->data == NULL) != (chunk->flags == RCO_CHUNK_GAP))
		return rco__fail(RCO_E_INVALID, "append: a gap has no audio, and any other piece has");
	if (chunk->size_bytes == 0 || chunk->size_bytes > (chunk->data == NULL ? RCO__GAP_MAX : RCO__CHUNK_MAX) ||
	    chunk->size_bytes % format->sample_bytes != 0 || chunk->position_bytes % format->sample_bytes != 0 ||
	    chunk->position_bytes > UINT64_MAX - chunk->size_bytes)
		return rco__fail(RCO_E_INVALID,
		                 "append: a piece is 1 byte to 1 MiB, or a gap of 1 GiB, in whole samples");
	return RCO_OK;
}

/* The recording, locked and open, with a reference; NULL if there is none. */
static rco__spooled *get_open(rco_spool *spool, const uint8_t id[16])
{
	rco__spooled *r = rco__spooled_get(spool, id);

	if (r == NULL)
		return NULL;
	(void)pthread_mutex_lock(&r->lock);
	if (r->state == RCO__SPOOLED_OPEN)
		return r;
	(void)pthread_mutex_unlock(&r->lock);
	rco__spooled_put(spool, r);
	return NULL;
}

static void put_open(rco_spool *spool, rco__spooled *r)
{
	(void)pthread_mutex_unlock(&r->lock);
	rco__spooled_put(spool, r);
}

static int spool_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r;
	int rc = check(spool);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (chunk == NULL || result == NULL)
		return rco__fail(RCO_E_INVALID, "append: no chunk or no result");
	rc = check_chunk(chunk);
	if (rc != RCO_OK)
		return rc;
	r = get_open(spool, chunk->recording_id);
	if (r == NULL)
		return not_open(chunk->recording_id);
	rc = rco__spooled_append(spool, r, chunk);
	put_open(spool, r);
	return rc == RCO_OK ? confirm(result, RCO_CONFIRM_DONE) : rc;
}

void rco__spool_append_many(rco_spool *spool, rco__append *list, size_t count)
{
	int rc = check(spool);
	size_t i;

	for (i = 0; i < count; i++) {
		rco__append *a = &list[i];

		a->recording = NULL;
		a->rc = rc == RCO_OK ? check_chunk(&a->chunk) : rc;
		if (a->rc == RCO_OK)
			a->recording = rco__spooled_get(spool, a->chunk.recording_id);
		if (a->rc == RCO_OK && a->recording == NULL)
			a->rc = RCO_E_NOT_FOUND;
	}
	rco__spooled_append_many(spool, list, count);
	for (i = 0; i < count; i++)
		if (list[i].recording != NULL)
			rco__spooled_put(spool, list[i].recording);
}

static int spool_flush(uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	int rc = check(spool), rc2;

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (result == NULL)
		return rco__fail(RCO_E_INVALID, "flush: no result");
	rc2 = rco__segments_flush(spool);
	rc = rco__slots_flush(spool);
	if (rc == RCO_OK)
		rc = rc2;
	return rc == RCO_OK ? confirm(result, RCO_CONFIRM_DONE) : rc;
}

static int spool_seal(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r;
	int rc = check(spool);

	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL || result == NULL)
		return rco__fail(RCO_E_INVALID, "seal: no recording id or no result");
	r = get_open(spool, recording_id);
	if (r == NULL)
		return not_open(recording_id);
	put_open(spool, r);
	return spool_flush(op, result, user_data);
}

static int spool_read(const uint8_t recording_id[16], uint32_t leg, uint64_t position_bytes, void *data,
                      size_t cap_bytes, uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r;
	size_t used = 0;
	int rc = check(spool);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL || result == NULL || leg >= RCO_MAX_LEGS || (data == NULL && cap_bytes > 0))
		return rco__fail(RCO_E_INVALID, "read: no recording id, data or result, or leg %u out of range",
		                 leg);
	r = get_open(spool, recording_id);
	if (r == NULL)
		return not_open(recording_id);
	rc = rco__spooled_read(spool, r, leg, position_bytes, data, cap_bytes, &used);
	put_open(spool, r);
	if (rc != RCO_OK)
		return rc;
	result->size_bytes = used;
	return confirm(result, RCO_CONFIRM_DONE);
}

/* ---- erase ---- */

static void wipe_key(rco_spool *spool, rco__spooled *r)
{
	uint8_t *key;

	(void)pthread_mutex_lock(&r->key_lock);
	r->revoked = 1;
	key = r->key;
	r->key = NULL;
	rco_memzero(r->wrapped, sizeof r->wrapped);
	if (key != NULL)
		rco_memzero(key, 32);
	(void)pthread_mutex_unlock(&r->key_lock);
	rco__secmem_put(spool->secrets, key);
}

static void spool_revoke(const uint8_t recording_id[16], void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r;

	if (check(spool) != RCO_OK || recording_id == NULL)
		return;
	r = rco__spooled_get(spool, recording_id);
	if (r == NULL)
		return;
	wipe_key(spool, r);
	rco__spooled_put(spool, r);
}

/* Recording's lock held; also by a second erasure, which finds it gone. */
static int erase_recording(rco_spool *spool, rco__spooled *r)
{
	int rc;

	if (r->state == RCO__SPOOLED_GONE)
		return RCO_OK;
	rc = rco__slot_wipe(spool, r->slot);
	if (rc != RCO_OK)
		return rc; /* it stays, revoked, to be tried again */
	rco__spooled_take_out(spool, r);
	rco__epoch_leave(spool, r->epoch);
	rco__spooled_reclaim(spool, r);
	return RCO_OK;
}

static int spool_erase(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r;
	int rc = check(spool);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL || result == NULL)
		return rco__fail(RCO_E_INVALID, "erase: no recording id or no result");
	r = rco__spooled_get(spool, recording_id);
	if (r == NULL) /* every slot that can be read is in the table */
		return confirm(result, RCO_CONFIRM_GONE);
	wipe_key(spool, r);
	(void)pthread_mutex_lock(&r->lock);
	rc = erase_recording(spool, r);
	put_open(spool, r);
	if (rc != RCO_OK)
		return rc;
	/* The rest is ciphertext without a key. What cannot be done now is logged, and done by maintain. */
	rco__segments_tidy(spool);
	return confirm(result, RCO_CONFIRM_GONE);
}

/* ---- scan ---- */

/* 0 if it is not to be told of: erased, or about to be. */
static int describe(rco_spool *spool, rco__spooled *r, rco_scanned *out)
{
	int rc = RCO_E_NOT_FOUND;
	uint32_t i;

	memset(out, 0, sizeof *out);
	out->struct_size = (uint32_t)sizeof *out;
	(void)pthread_mutex_lock(&r->lock);
	if (r->state == RCO__SPOOLED_OPEN)
		rc = rco__spooled_key(spool, r);
	if (rc == RCO_E_KEY) {
		char text[RCO_ID_TEXT + 1];

		rco__uuid_text(r->id, text);
		rco__log(&spool->env, RCO_LOG_ERROR,
		         "the key of recording %s cannot be unwrapped, so its audio cannot be read: %s", text,
		         rco_error_detail());
	}
	memcpy(out->id, r->id, 16);
	out->meta = r->meta_size > 0 ? r->meta : NULL; /* never changes */
	out->meta_bytes = r->meta_size;
	out->damaged_bytes = r->damaged_bytes;
	for (i = 0; i < RCO_MAX_LEGS; i++) {
		out->leg_format[i] = r->legs[i].format;
		/* A key service that cannot be reached now says nothing about the audio: reading it will tell. */
		out->leg_bytes[i] = rc == RCO_E_KEY ? 0 : r->legs[i].held;
		out->damaged_bytes += rc == RCO_E_KEY ? r->legs[i].held : 0;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return rc != RCO_E_NOT_FOUND;
}

static int spool_scan(rco_scan_fn found, void *found_user_data, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled **list;
	rco_scanned one;
	size_t count, i;
	int rc = check(spool);

	if (rc != RCO_OK)
		return rc;
	if (found == NULL)
		return rco__fail(RCO_E_INVALID, "scan: no function to tell");
	rc = rco__spooled_list(spool, &list, &count);
	if (rc != RCO_OK)
		return rc;
	for (i = 0; i < count; i++) {
		if (describe(spool, list[i], &one))
			found(&one, found_user_data);
		rco__spooled_put(spool, list[i]);
	}
	rco__release(&spool->env, list);
	return RCO_OK;
}

const rco_buffer_ops *rco_spool_buffer_ops(void)
{
	static const rco_buffer_ops table = {
		.struct_size = sizeof table,
		.flags = RCO_BUFFER_GAPS,
		.open = spool_open,
		.append = spool_append,
		.flush = spool_flush,
		.seal = spool_seal,
		.read = spool_read,
		.revoke = spool_revoke,
		.erase = spool_erase,
		.scan = spool_scan,
	};

	return &table;
}

/* ---- life ---- */

/* With room for every name that a file in there can have: what cannot work is said now. */
static int take_path(char out[RCO__SPOOL_PATH], const char *path, const char *what)
{
	size_t most = RCO__SPOOL_PATH - RCO__SPOOL_NAME - 1;

	if (strlen(path) > most)
		return rco__fail(RCO_E_LIMIT, "rco_spool_options: %s is longer than %zu bytes", what, most);
	memcpy(out, path, strlen(path) + 1);
	return RCO_OK;
}

void rco__spool_file(const rco_spool *spool, const char *name, char path[RCO__SPOOL_PATH])
{
	(void)rco__path_join(path, RCO__SPOOL_PATH, spool->path, name);
}

static int take_paths(rco_spool *spool, const rco_spool_options *o)
{
	int rc;

	if (o->path == NULL || o->path[0] == '\0')
		return rco__fail(RCO_E_INVALID, "rco_spool_options: path is required");
	rc = take_path(spool->path, o->path, "path");
	if (rc != RCO_OK)
		return rc;
	if (o->quarantine_path == NULL)
		return rco__path_join(spool->quarantine, sizeof spool->quarantine, o->path, "quarantine");
	return take_path(spool->quarantine, o->quarantine_path, "quarantine_path");
}

/* From here on wherever the host's working directory is. */
static int open_folder(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	char path[PATH_MAX];
	int rc = rco__fs_root(fs, spool->path, RCO__TRUST_OWN, path, sizeof path);

	if (rc == RCO_OK)
		rc = take_path(spool->path, path, "path");
	if (rc == RCO_OK)
		rc = fs->resolve(fs->ctx, spool->quarantine, RCO__FS_PLACE, path, sizeof path);
	return rc == RCO_OK ? take_path(spool->quarantine, path, "quarantine_path") : rc;
}

static int open_files(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	char lock[RCO__SPOOL_PATH];
	int rc = open_folder(spool);

	rco__spool_file(spool, "lock", lock);
	if (rc == RCO_OK)
		rc = fs->lock(fs->ctx, lock, &spool->lock_fd);
	if (rc == RCO_OK)
		rc = rco__secmem_create(&spool->env, &spool->secrets);
	if (rc != RCO_OK)
		return rc;
	rco__index_open(spool);
	rco__compact_open(spool);
	rc = rco__slots_open(spool);
	if (rc == RCO_OK)
		rc = rco__epoch_files_open(spool);
	return rc == RCO_OK ? rco__segments_open(spool) : rc;
}

/* One that was used before opens also without its key provider: what there is to be erased needs no key. */
static int begin_epochs(rco_spool *spool)
{
	const rco__epoch *e;
	int used = 0, rc;

	for (e = spool->epochs; e != NULL; e = e->next)
		used |= e->state != RCO__EPOCH_PLANNED;
	rc = rco__epochs_tend(spool);
	return used ? RCO_OK : rc;
}

static void init_locks(rco_spool *spool)
{
	pthread_mutex_t *const locks[] = {&spool->table_lock,  &spool->segment_lock, &spool->slot_lock,
	                                  &spool->epoch_lock,  &spool->scratch_lock, &spool->index_lock,
	                                  &spool->graves_lock, &spool->compact_lock};
	size_t i;

	for (i = 0; i < sizeof locks / sizeof locks[0]; i++) /* which does not fail on Linux */
		(void)pthread_mutex_init(locks[i], NULL);
	rco__group_init(&spool->segment_group);
	rco__group_init(&spool->slot_group);
}

static void free_spool(rco_spool *spool)
{
	rco__env env = spool->env;

	rco__compact_close(spool);
	rco__spooled_dig(spool, INT64_MAX);
	rco__spooled_free_all(spool);
	rco__index_close(spool);
	rco__segments_close(spool);
	rco__slots_close(spool);
	rco__epochs_close(spool);
	rco__spool_free_scratch(spool);
	rco__secmem_free(spool->secrets);
	if (spool->lock_fd >= 0)
		(void)env.fs->close(env.fs->ctx, spool->lock_fd);
	(void)pthread_mutex_destroy(&spool->table_lock);
	(void)pthread_mutex_destroy(&spool->segment_lock);
	(void)pthread_mutex_destroy(&spool->slot_lock);
	(void)pthread_mutex_destroy(&spool->epoch_lock);
	(void)pthread_mutex_destroy(&spool->scratch_lock);
	(void)pthread_mutex_destroy(&spool->index_lock);
	(void)pthread_mutex_destroy(&spool->graves_lock);
	(void)pthread_mutex_destroy(&spool->compact_lock);
	rco__group_destroy(&spool->segment_group);
	rco__group_destroy(&spool->slot_group);
	rco__roots_close(&spool->roots);
	rco__spool_unmark(spool);
	rco_memzero(spool, sizeof *spool);
	rco__release(&env, spool);
}

int rco__spool_open(const rco__env *env, const rco_spool_options *options, rco_spool **out)
{
	rco_spool *spool = rco__zalloc(env, 1, sizeof *spool);
	int rc;

	if (spool == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a spool");
	spool->env = *env;
	rco__roots_use(&spool->roots, &spool->env);
	rco__spool_mark(spool);
	spool->lock_fd = spool->slots_fd = spool->index_fd = -1;
	spool->next_number = 1;
	spool->segment_bytes = options->segment_bytes != 0 ? options->segment_bytes : (uint64_t)SEGMENT_BYTES;
	if (spool->segment_bytes > rco__spool_segment_max)
		spool->segment_bytes = rco__spool_segment_max;
	spool->keys_ud = options->keys_user_data;
	spool->epoch_us = (int64_t)(options->epoch_s != 0 ? options->epoch_s : EPOCH_S) * 1000000;
	init_locks(spool);
	rc = take_paths(spool, options);
	if (rc == RCO_OK)
		rc = rco__key_ops_copy(&spool->keys, options->keys);
	if (rc == RCO_OK)
		rc = open_files(spool);
	if (rc == RCO_OK)
		rc = begin_epochs(spool);
	if (rc != RCO_OK) {
		free_spool(spool);
		return rc;
	}
	spool->magic = MAGIC;
	*out = spool;
	return RCO_OK;
}

int rco_spool_create(const rco_spool_options *options, rco_spool **spool)
{
	rco_spool_options o;
	rco__env env;
	int rc;

	rco__error_clear();
	if (spool == NULL)
		return rco__fail(RCO_E_INVALID, "rco_spool_create: spool is NULL");
	*spool = NULL;
	rc = rco__struct_copy(&o, sizeof o, RCO__SIZE_THROUGH(rco_spool_options, reserved0), options,
	                      "rco_spool_options");
	if (rc != RCO_OK)
		return rc;
	if (o.flags != 0 || o.reserved0 != 0)
		return rco__fail(RCO_E_NEWER, "rco_spool_options: flags and reserved fields have to be zero");
	rc = rco__env_init(&env, o.allocator, o.clock, o.log, o.log_user_data);
	return rc == RCO_OK ? rco__spool_open(&env, &o, spool) : rc;
}

void rco_spool_free(rco_spool *spool)
{
	if (spool != NULL && spool->magic == MAGIC)
		free_spool(spool);
}

int rco__spool_is_at(const rco_spool *spool, const char *path)
{
	return spool != NULL && spool->magic == MAGIC && strcmp(spool->path, path) == 0;
}

uint64_t rco__spool_quarantined(const rco_spool *spool)
{
	return atomic_load(&spool->quarantined);
}

int rco_spool_maintain(rco_spool *spool)
{
	int rc = check(spool);

	if (rc != RCO_OK)
		return rc;
	(void)rco__epochs_tend(spool);
	rco__spooled_dig(spool, rco__mono_us(&spool->env) + DIG_US);
	rco__segments_tidy(spool);
	return rco__compact_step(spool);
}
