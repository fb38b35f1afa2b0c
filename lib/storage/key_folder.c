/* SPDX-License-Identifier: MIT */
/*
 * The default key provider: epoch keys, each a file of its own. A recording's
 * key is wrapped under the newest one; when no recording of an older epoch is
 * left its file is overwritten and removed.
 */
#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/secmem.h"
#include "storage_internal.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAGIC "RCOKEY01"

enum {
	KEY_VERSION = 1,
	KEY_FILE = 64, /* magic 8, version 2, zero 6, epoch 8, key 32, zero 4, CRC 4 */
	PATH_CAP = 1024,
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	WRAPPED = NONCE + 32 + crypto_aead_xchacha20poly1305_ietf_ABYTES,
	EPOCH_S = 86400
};

static const char wrap_label[] = "rco-wrap-v1";

typedef struct epoch {
	struct epoch *next;
	uint64_t number;
	uint8_t *key; /* locked memory */
} epoch;

struct rco_key_folder {
	rco__env env;
	char path[PATH_CAP];
	uint32_t epoch_s;
	rco__secmem *secrets;
	pthread_mutex_t lock; /* guards what follows */
	epoch *epochs;        /* newest first */
	uint64_t newest;      /* number, also of one that is damaged */
	int64_t made_mono_us; /* when the newest was made or found */
};

static void file_name(uint64_t number, char out[48])
{
	(void)snprintf(out, 48, "epoch-%016llx.key", (unsigned long long)number);
}

static int parse_name(const char *name, uint64_t *number)
{
	char again[48];
	unsigned long long n = 0;

	if (sscanf(name, "epoch-%16llx.key", &n) != 1)
		return 0;
	*number = n;
	file_name(*number, again);
	return strcmp(name, again) == 0;
}

static int add_epoch(rco_key_folder *f, uint64_t number, const uint8_t key[32])
{
	epoch *e = rco__zalloc(&f->env, 1, sizeof *e);
	epoch **at = &f->epochs;

	if (e != NULL)
		e->key = rco__secmem_get(f->secrets);
	if (e == NULL || e->key == NULL) {
		if (e != NULL)
			rco__release(&f->env, e);
		return rco__fail(RCO_E_NO_MEMORY, "no locked memory for an epoch key");
	}
	memcpy(e->key, key, 32);
	e->number = number;
	while (*at != NULL && (*at)->number > number)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	return RCO_OK;
}

/* ---- files ---- */

static int write_epoch(rco_key_folder *f, uint64_t number, const uint8_t key[32])
{
	uint8_t buf[KEY_FILE] = {0};
	char name[48];
	int rc;

	memcpy(buf, KEY_MAGIC, 8);
	rco__put16(buf + 8, KEY_VERSION);
	rco__put64(buf + 16, number);
	memcpy(buf + 24, key, 32);
	rco__put32(buf + 60, rco__crc32c(0, buf, 60));
	file_name(number, name);
	rc = rco__fs_put(f->env.fs, f->path, name, buf, sizeof buf);
	rco_memzero(buf, sizeof buf);
	return rc;
}

/* RCO_OK, RCO_E_CORRUPT, RCO_E_VERSION, or a failure of the file. */
static int read_epoch(rco_key_folder *f, const char *name, uint64_t number)
{
	uint8_t buf[KEY_FILE + 1];
	size_t size = 0;
	int rc = rco__fs_get(f->env.fs, f->path, name, buf, sizeof buf, &size);

	if (rc == RCO_E_LIMIT)
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK && (size != KEY_FILE || memcmp(buf, KEY_MAGIC, 8) != 0 ||
	                     rco__get32(buf + 60) != rco__crc32c(0, buf, 60) || rco__get64(buf + 16) != number))
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK && rco__get16(buf + 8) != KEY_VERSION)
		rc = rco__fail(RCO_E_VERSION, "%s/%s was written by a newer library", f->path, name);
	if (rc == RCO_OK)
		rc = add_epoch(f, number, buf + 24);
	rco_memzero(buf, sizeof buf);
	return rc;
}

static int set_aside(rco_key_folder *f, const char *name)
{
	char quarantine[PATH_CAP];
	int rc = rco__path_join(quarantine, sizeof quarantine, f->path, "quarantine");

	if (rc != RCO_OK)
		return rc;
	return rco__quarantine(&f->env, f->path, name, quarantine,
	                       "it is no epoch key; recordings that were wrapped with it cannot be read any more");
}

typedef struct listing {
	rco_key_folder *folder;
	uint64_t *numbers;
	size_t count, cap;
	int rc;
} listing;

static int add_name(const char *name, void *user_data)
{
	listing *l = user_data;
	uint64_t number;

	if (!parse_name(name, &number))
		return 0;
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		uint64_t *numbers = rco__resize(&l->folder->env, l->numbers, cap * sizeof *numbers);

		if (numbers == NULL) {
			l->rc = rco__fail(RCO_E_NO_MEMORY, "no memory for epoch keys");
			return 1;
		}
		l->numbers = numbers;
		l->cap = cap;
	}
	l->numbers[l->count++] = number;
	return 0;
}

static int load(rco_key_folder *f)
{
	listing l = {.folder = f};
	int rc = f->env.fs->list(f->env.fs->ctx, f->path, add_name, &l);
	size_t i;

	if (rc == RCO_OK)
		rc = l.rc;
	for (i = 0; i < l.count && rc == RCO_OK; i++) {
		char name[48];

		file_name(l.numbers[i], name);
		if (l.numbers[i] > f->newest)
			f->newest = l.numbers[i];
		rc = read_epoch(f, name, l.numbers[i]);
		if (rc == RCO_E_CORRUPT)
			rc = set_aside(f, name);
	}
	if (l.numbers != NULL)
		rco__release(&f->env, l.numbers);
	return rc;
}

/* Lock held. */
static int new_epoch(rco_key_folder *f)
{
	uint8_t key[32];
	int rc;

	randombytes_buf(key, sizeof key);
	rc = write_epoch(f, f->newest + 1, key);
	if (rc == RCO_OK)
		rc = add_epoch(f, f->newest + 1, key);
	rco_memzero(key, sizeof key);
	if (rc != RCO_OK)
		return rc;
	f->newest++;
	f->made_mono_us = rco__mono_us(&f->env);
	return RCO_OK;
}

/* Lock held. The epoch to wrap with: a fresh one if the newest is old, or could not be read. */
static int current(rco_key_folder *f, const epoch **out)
{
	int64_t age = rco__mono_us(&f->env) - f->made_mono_us;
	int rc = RCO_OK;

	if (f->epochs == NULL || f->epochs->number != f->newest || age >= (int64_t)f->epoch_s * 1000000)
		rc = new_epoch(f);
	if (rc == RCO_OK)
		*out = f->epochs;
	return rc;
}

/* ---- slots ---- */

static void bind(const uint8_t recording_id[16], uint8_t aad[sizeof wrap_label - 1 + 16])
{
	memcpy(aad, wrap_label, sizeof wrap_label - 1);
	memcpy(aad + sizeof wrap_label - 1, recording_id, 16);
}

static int folder_wrap(const uint8_t key[32], const uint8_t recording_id[16], uint8_t *wrapped, size_t *wrapped_bytes,
                       uint64_t *number, void *user_data)
{
	rco_key_folder *f = user_data;
	uint8_t aad[sizeof wrap_label - 1 + 16];
	unsigned long long size = 0;
	const epoch *e = NULL;
	int rc;

	bind(recording_id, aad);
	randombytes_buf(wrapped, NONCE);
	(void)pthread_mutex_lock(&f->lock);
	rc = current(f, &e);
	if (rc == RCO_OK) {
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped + NONCE, &size, key, 32, aad, sizeof aad, NULL,
		                                                 wrapped, e->key);
		*number = e->number;
		*wrapped_bytes = NONCE + (size_t)size;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

static int folder_unwrap(uint64_t number, const uint8_t *wrapped, size_t wrapped_bytes, const uint8_t recording_id[16],
                         uint8_t key[32], void *user_data)
{
	rco_key_folder *f = user_data;
	uint8_t aad[sizeof wrap_label - 1 + 16];
	const epoch *e;
	int rc = RCO_OK;

	bind(recording_id, aad);
	(void)pthread_mutex_lock(&f->lock);
	for (e = f->epochs; e != NULL && e->number != number;)
		e = e->next;
	if (e == NULL)
		rc = rco__fail(RCO_E_KEY, "%s has no key of epoch %llu: destroyed, lost or damaged", f->path,
		               (unsigned long long)number);
	else if (wrapped_bytes != WRAPPED ||
	         crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, wrapped + NONCE, wrapped_bytes - NONCE, aad,
	                                                    sizeof aad, wrapped, e->key) != 0)
		rc = rco__fail(RCO_E_KEY, "a wrapped key was altered, or is of another recording or key folder");
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

static int overwrite_and_remove(rco_key_folder *f, uint64_t number)
{
	static const uint8_t zeros[KEY_FILE];
	const rco__fs *fs = f->env.fs;
	char name[48], path[PATH_CAP];
	int fd, rc;

	file_name(number, name);
	rc = rco__path_join(path, sizeof path, f->path, name);
	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_WRITE, &fd);
	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	if (rc != RCO_OK)
		return rc;
	rc = fs->write(fs->ctx, fd, zeros, sizeof zeros, 0);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, fd);
	(void)fs->close(fs->ctx, fd);
	if (rc == RCO_OK)
		rc = fs->unlink(fs->ctx, path);
	return rc == RCO_OK ? fs->sync_dir(fs->ctx, f->path) : rc;
}

static int folder_destroy(uint64_t number, void *user_data)
{
	rco_key_folder *f = user_data;
	epoch **at;
	int rc;

	(void)pthread_mutex_lock(&f->lock);
	if (number == f->newest) {
		rc = rco__fail(RCO_E_STATE, "epoch %llu is the current one", (unsigned long long)number);
	} else {
		rc = overwrite_and_remove(f, number);
		for (at = &f->epochs; rc == RCO_OK && *at != NULL;) {
			epoch *e = *at;

			if (e->number != number) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			rco__secmem_put(f->secrets, e->key);
			rco__release(&f->env, e);
		}
	}
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

/* ---- life ---- */

int rco__key_folder_open(const rco__env *env, const rco_key_folder_options *o, rco_key_folder **out)
{
	rco_key_folder *f;
	int rc;

	if (o->path == NULL || o->path[0] == '\0')
		return rco__fail(RCO_E_INVALID, "rco_key_folder_options: path is required");
	if (strlen(o->path) >= PATH_CAP)
		return rco__fail(RCO_E_INVALID, "the path of the key folder is too long");
	f = rco__zalloc(env, 1, sizeof *f);
	if (f == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a key folder");
	f->env = *env;
	f->epoch_s = o->epoch_s != 0 ? o->epoch_s : EPOCH_S;
	(void)snprintf(f->path, sizeof f->path, "%s", o->path);
	(void)pthread_mutex_init(&f->lock, NULL);
	f->made_mono_us = rco__mono_us(env);
	rc = rco__secmem_create(env, &f->secrets);
	if (rc == RCO_OK)
		rc = env->fs->mkdir(env->fs->ctx, f->path);
	if (rc == RCO_OK)
		rc = load(f);
	if (rc != RCO_OK) {
		rco_key_folder_free(f);
		return rc;
	}
	*out = f;
	return RCO_OK;
}

int rco_key_folder_create(const rco_key_folder_options *options, rco_key_folder **folder)
{
	rco_key_folder_options o;
	rco__env env;
	int rc;

	rco__error_clear();
	if (folder == NULL)
		return rco__fail(RCO_E_INVALID, "folder is NULL");
	*folder = NULL;
	rc = rco__struct_copy(&o, sizeof o, sizeof o, options, "rco_key_folder_options");
	if (rc == RCO_OK && (o.flags != 0 || o.reserved0 != 0 || o.reserved1 != NULL))
		rc = rco__fail(RCO_E_INVALID, "rco_key_folder_options: flags or a reserved field is not 0");
	if (rc == RCO_OK)
		rc = rco__env_init(&env, o.allocator, o.clock, o.log, o.log_user_data);
	return rc == RCO_OK ? rco__key_folder_open(&env, &o, folder) : rc;
}

void rco_key_folder_free(rco_key_folder *f)
{
	rco__env env;

	if (f == NULL)
		return;
	env = f->env;
	while (f->epochs != NULL) {
		epoch *e = f->epochs;

		f->epochs = e->next;
		rco__secmem_put(f->secrets, e->key);
		rco__release(&env, e);
	}
	rco__secmem_free(f->secrets);
	(void)pthread_mutex_destroy(&f->lock);
	rco__release(&env, f);
}

const rco_key_ops *rco_key_folder_ops(void)
{
	static const rco_key_ops ops = {.struct_size = (uint32_t)sizeof ops,
	                                .wrap = folder_wrap,
	                                .unwrap = folder_unwrap,
	                                .destroy = folder_destroy};

	return &ops;
}
