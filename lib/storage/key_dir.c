/* SPDX-License-Identifier: MIT */
/*
 * The default key provider: epoch keys, each a file of its own. A recording's
 * key is wrapped under the newest one; when no recording of an older epoch is
 * left its file is overwritten and removed.
 */
#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/fs_roots.h"
#include "../base/secmem.h"
#include "../base/trust.h"
#include "storage_internal.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define KEY_MAGIC "RCOKEY01"

enum {
	MAGIC = 0x4b455931,
	KEY_VERSION = 1,
	KEY_FILE = 72, /* magic 8, version 2, 0 6, epoch 8, time of creation 8, key 32, 0 4, CRC 4 */
	KEY_AT = 32,
	CRC_AT = KEY_FILE - 4,
	PATH_CAP = 1024,
	NAME_CAP = 48,
	RETRY_S = 60, /* after a rotation that failed */
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	WRAPPED = NONCE + 32 + crypto_aead_xchacha20poly1305_ietf_ABYTES,
	EPOCH_S = 86400
};

static const char wrap_label[] = "rco-wrap-v1";

typedef struct epoch {
	struct epoch *next;
	uint64_t number;
	int64_t made_us; /* wall clock */
	uint8_t *key;    /* locked memory */
} epoch;

struct rco_key_dir {
	uint32_t magic;
	pid_t owner;
	int lock_fd;
	rco__env env;
	rco__roots roots;
	char path[PATH_CAP];
	char quarantine[PATH_CAP];
	uint32_t epoch_s;
	rco__secmem *secrets;
	pthread_mutex_t lock; /* guards what follows */
	epoch *epochs;        /* newest first */
	uint64_t newest;      /* number, also of one that is damaged */
	int64_t rotate_us;    /* when there is to be a new one; monotonic */
};

static int check(const rco_key_dir *f)
{
	if (f == NULL || f->magic != MAGIC)
		return rco__fail(RCO_E_HANDLE, "user_data is not a live rco_key_dir");
	/* Keys read as zeros in a child: what it wrapped anyone could unwrap. */
	if (f->owner != getpid())
		return rco__fail(RCO_E_FORKED, "the key folder %s belongs to the parent process", f->path);
	return RCO_OK;
}

static void file_name(uint64_t number, char out[NAME_CAP])
{
	(void)snprintf(out, NAME_CAP, "epoch-%016llx.key", (unsigned long long)number); /* 26 characters */
}

/* What follows the name of a key file, NULL if it is none: "" for the file itself. */
static const char *parse_name(const char *name, uint64_t *number)
{
	char again[NAME_CAP];
	unsigned long long n = 0;
	size_t size;

	if (sscanf(name, "epoch-%16llx.key", &n) != 1)
		return NULL;
	*number = n;
	file_name(*number, again);
	size = strlen(again);
	/* A number so high is none of ours, and counting on from it would overflow. */
	return *number >> 62 == 0 && strncmp(name, again, size) == 0 ? name + size : NULL;
}

static int add_epoch(rco_key_dir *f, uint64_t number, int64_t made_us, const uint8_t key[32])
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
	e->made_us = made_us;
	while (*at != NULL && (*at)->number > number)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	return RCO_OK;
}

/* ---- files ---- */

static int write_epoch(rco_key_dir *f, uint64_t number, int64_t made_us, const uint8_t key[32])
{
	uint8_t buf[KEY_FILE] = {0};
	char name[NAME_CAP];
	int rc;

	memcpy(buf, KEY_MAGIC, 8);
	rco__put16(buf + 8, KEY_VERSION);
	rco__put64(buf + 16, number);
	rco__put64(buf + 24, (uint64_t)made_us);
	memcpy(buf + KEY_AT, key, 32);
	rco__put32(buf + CRC_AT, rco__crc32c(0, buf, CRC_AT));
	file_name(number, name);
	rc = rco__fs_put(f->env.fs, f->path, name, buf, sizeof buf);
	rco_memzero(buf, sizeof buf);
	return rc;
}

/* RCO_OK, RCO_E_CORRUPT, RCO_E_VERSION, or a failure of the file. */
static int read_epoch(rco_key_dir *f, const char *name, uint64_t number)
{
	uint8_t buf[KEY_FILE + 1];
	size_t size = 0;
	int rc = rco__fs_get(f->env.fs, f->path, name, buf, sizeof buf, &size);

	if (rc == RCO_E_LIMIT)
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK &&
	    (size != KEY_FILE || memcmp(buf, KEY_MAGIC, 8) != 0 ||
	     rco__get32(buf + CRC_AT) != rco__crc32c(0, buf, CRC_AT) || rco__get64(buf + 16) != number))
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK && rco__get16(buf + 8) != KEY_VERSION)
		rc = rco__fail(RCO_E_VERSION, "%s/%s was written by a newer library", f->path, name);
	if (rc == RCO_OK)
		rc = add_epoch(f, number, rco__time_known(rco__get64(buf + 24)), buf + KEY_AT);
	rco_memzero(buf, sizeof buf);
	return rc;
}

/* Also of a file that is set aside, for a key may be whole where only the checksum is not. */
static int overwrite_and_remove(rco_key_dir *f, const char *dir, const char *name)
{
	const rco__fs *fs = f->env.fs;
	char path[PATH_CAP];
	uint64_t size = 0;
	int fd, rc = rco__path_join(path, sizeof path, dir, name);

	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_WRITE, &fd);
	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	if (rc != RCO_OK)
		return rc;
	rc = fs->size(fs->ctx, fd, &size);
	if (rc == RCO_OK)
		rc = rco__fs_blank(fs, fd, 0, size);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, fd);
	(void)fs->close(fs->ctx, fd); /* what was written is synced, or an error is told */
	if (rc == RCO_OK)
		rc = fs->unlink(fs->ctx, path);
	return rc == RCO_OK ? fs->sync_dir(fs->ctx, dir) : rc;
}

/* ---- what an earlier process left ---- */

typedef struct names {
	rco_key_dir *folder;
	struct name {
		uint64_t number;
		char text[128];
	} * list;
	size_t count, cap;
	int rc;
} names;

static int add_name(const char *text, void *user_data)
{
	names *n = user_data;
	uint64_t number;
	int size;

	if (parse_name(text, &number) == NULL)
		return 0;
	if (n->count == n->cap) {
		size_t cap = n->cap == 0 ? 16 : n->cap * 2;
		struct name *list = rco__resize(&n->folder->env, n->list, cap * sizeof *list);

		if (list == NULL) {
			n->rc = rco__fail(RCO_E_NO_MEMORY, "no memory for epoch keys");
			return 1;
		}
		n->list = list;
		n->cap = cap;
	}
	n->list[n->count].number = number;
	size = snprintf(n->list[n->count].text, sizeof n->list->text, "%s", text);
	n->count += size >= 0 && (size_t)size < sizeof n->list->text; /* ours are short */
	return 0;
}

/* The key files of a folder, with whatever follows their names. None if the folder is not there. */
static int list_names(rco_key_dir *f, const char *dir, names *n)
{
	int rc;

	memset(n, 0, sizeof *n);
	n->folder = f;
	rc = f->env.fs->list(f->env.fs->ctx, dir, add_name, n);
	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	return rc == RCO_OK ? n->rc : rc;
}

static void forget_names(names *n)
{
	rco__release(&n->folder->env, n->list);
}

static int load_one(rco_key_dir *f, const struct name *name)
{
	const rco__fs *fs = f->env.fs;
	char path[PATH_CAP], plain[NAME_CAP];
	int kind, rc;

	file_name(name->number, plain);
	if (strcmp(name->text, plain) != 0) {
		/* What a crash left of writing a key that nothing was wrapped with yet. */
		if (strcmp(name->text + strlen(plain), ".tmp") == 0)
			return overwrite_and_remove(f, f->path, name->text);
		return RCO_OK;
	}
	rc = rco__path_join(path, sizeof path, f->path, plain);
	if (rc == RCO_OK)
		rc = fs->exists(fs->ctx, path, &kind, NULL);
	if (rc != RCO_OK)
		return rc;
	if (name->number > f->newest)
		f->newest = name->number;
	if (!rco__fs_regular(kind)) {
		rco__log(&f->env, RCO_LOG_WARN, "%s is no file and is left alone", path);
		return RCO_OK;
	}
	rc = read_epoch(f, plain, name->number);
	if (rc != RCO_E_CORRUPT)
		return rc;
	return rco__quarantine(&f->env, f->path, plain, f->quarantine,
	                       "it is no epoch key; recordings that were wrapped with it cannot be read any more");
}

static int load(rco_key_dir *f)
{
	names n;
	size_t i;
	int rc = list_names(f, f->quarantine, &n);

	/* The number of a key that was set aside is not used again. */
	for (i = 0; i < n.count; i++)
		if (n.list[i].number > f->newest)
			f->newest = n.list[i].number;
	forget_names(&n);
	if (rc != RCO_OK)
		return rc;
	rc = list_names(f, f->path, &n);
	for (i = 0; i < n.count && rc == RCO_OK; i++)
		rc = load_one(f, &n.list[i]);
	forget_names(&n);
	return rc;
}

/* ---- the current epoch ---- */

/* Lock held, here and below. */
static int new_epoch(rco_key_dir *f)
{
	int64_t now = rco__wall_us(&f->env);
	uint8_t key[32];
	int rc;

	randombytes_buf(key, sizeof key);
	rc = write_epoch(f, f->newest + 1, now, key);
	if (rc == RCO_OK)
		rc = add_epoch(f, f->newest + 1, now, key);
	rco_memzero(key, sizeof key);
	if (rc != RCO_OK)
		return rc;
	f->newest++;
	f->rotate_us = rco__mono_us(&f->env) + (int64_t)f->epoch_s * 1000000;
	return RCO_OK;
}

/* When the newest is to be followed, by its age, which restarts do not change. */
static void plan_rotation(rco_key_dir *f)
{
	int64_t age, whole = (int64_t)f->epoch_s * 1000000;

	if (f->epochs == NULL)
		return;
	age = rco__wall_us(&f->env) - f->epochs->made_us;
	if (age < 0) /* the clock was put back */
		age = 0;
	f->rotate_us = rco__mono_us(&f->env) + (age < whole ? whole - age : 0);
}

/* The epoch to wrap with: a fresh one if the newest is old, or could not be read. */
static int current(rco_key_dir *f, const epoch **out)
{
	int usable = f->epochs != NULL && f->epochs->number == f->newest, rc = RCO_OK;

	if (!usable || rco__mono_us(&f->env) >= f->rotate_us)
		rc = new_epoch(f);
	if (rc != RCO_OK && usable) {
		/* No call is lost because the disk is full. */
		rco__log(&f->env, RCO_LOG_WARN, "no new epoch key can be made, the old one stays in use: %s",
		         rco_error_detail());
		f->rotate_us = rco__mono_us(&f->env) + RETRY_S * (int64_t)1000000;
		rc = RCO_OK;
	}
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

static int folder_wrap(const uint8_t key[32], const uint8_t recording_id[16], uint8_t *wrapped,
                       size_t *wrapped_bytes, uint64_t *number, void *user_data)
{
	rco_key_dir *f = user_data;
	uint8_t aad[sizeof wrap_label - 1 + 16];
	unsigned long long size = 0;
	const epoch *e = NULL;
	int rc = check(f);

	if (rc != RCO_OK)
		return rc;
	if (key == NULL || recording_id == NULL || wrapped == NULL || wrapped_bytes == NULL || number == NULL)
		return rco__fail(RCO_E_INVALID, "wrap: an argument is NULL");
	bind(recording_id, aad);
	randombytes_buf(wrapped, NONCE);
	(void)pthread_mutex_lock(&f->lock);
	rc = current(f, &e);
	if (rc == RCO_OK) {
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped + NONCE, &size, key, 32, aad, sizeof aad,
		                                                 NULL, wrapped, e->key);
		*number = e->number;
		*wrapped_bytes = NONCE + (size_t)size;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

static int folder_unwrap(uint64_t number, const uint8_t *wrapped, size_t wrapped_bytes,
                         const uint8_t recording_id[16], uint8_t key[32], void *user_data)
{
	rco_key_dir *f = user_data;
	uint8_t aad[sizeof wrap_label - 1 + 16];
	const epoch *e;
	int rc = check(f);

	if (rc != RCO_OK)
		return rc;
	if (wrapped == NULL || recording_id == NULL || key == NULL)
		return rco__fail(RCO_E_INVALID, "unwrap: an argument is NULL");
	bind(recording_id, aad);
	(void)pthread_mutex_lock(&f->lock);
	for (e = f->epochs; e != NULL && e->number != number;)
		e = e->next;
	if (e == NULL)
		rc = rco__fail(RCO_E_KEY, "%s has no key of epoch %llu: destroyed, lost or damaged", f->path,
		               (unsigned long long)number);
	else if (wrapped_bytes != WRAPPED || crypto_aead_xchacha20poly1305_ietf_decrypt(
						     key, NULL, NULL, wrapped + NONCE, wrapped_bytes - NONCE, aad,
						     sizeof aad, wrapped, e->key) != 0)
		rc = rco__fail(RCO_E_KEY, "a wrapped key was altered, or is of another recording or key folder");
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

static int remove_files(rco_key_dir *f, uint64_t number)
{
	char name[NAME_CAP];
	names n;
	size_t i;
	int rc;

	file_name(number, name);
	rc = overwrite_and_remove(f, f->path, name);
	if (rc != RCO_OK)
		return rc;
	rc = list_names(f, f->quarantine, &n);
	for (i = 0; i < n.count && rc == RCO_OK; i++)
		if (n.list[i].number == number)
			rc = overwrite_and_remove(f, f->quarantine, n.list[i].text);
	forget_names(&n);
	return rc;
}

static void forget_epoch(rco_key_dir *f, uint64_t number)
{
	epoch **at = &f->epochs, *e;

	while (*at != NULL && (*at)->number != number)
		at = &(*at)->next;
	e = *at;
	if (e == NULL)
		return;
	*at = e->next;
	rco__secmem_put(f->secrets, e->key);
	rco__release(&f->env, e);
}

static int folder_destroy(uint64_t number, void *user_data)
{
	rco_key_dir *f = user_data;
	int rc = check(f);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&f->lock);
	if (number >= f->newest)
		rc = rco__fail(RCO_E_STATE, "epoch %llu is the current one", (unsigned long long)number);
	if (rc == RCO_OK)
		rc = remove_files(f, number);
	if (rc == RCO_OK)
		forget_epoch(f, number);
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

/* ---- life ---- */

static void free_folder(rco_key_dir *f)
{
	rco__env env = f->env;

	while (f->epochs != NULL)
		forget_epoch(f, f->epochs->number);
	rco__secmem_free(f->secrets);
	(void)pthread_mutex_destroy(&f->lock);
	if (f->lock_fd >= 0)
		(void)env.fs->close(env.fs->ctx, f->lock_fd); /* nothing was written to it */
	rco__roots_close(&f->roots);
	rco_memzero(f, sizeof *f);
	rco__release(&env, f);
}

/* Two that count epochs in one folder would write and destroy each other's keys, and lose the calls under them. */
static int lock_folder(rco_key_dir *f)
{
	char path[PATH_CAP];
	int rc = rco__path_join(path, sizeof path, f->path, "lock");

	if (rc == RCO_OK)
		rc = f->env.fs->lock(f->env.fs->ctx, path, &f->lock_fd);
	if (rc == RCO_E_BUSY)
		return rco__fail(rc, "the keys in %s are in use (%s); each engine needs a key_dir of its own",
		                 f->path, rco_error_detail());
	return rc;
}

static int open_folder(rco_key_dir *f, const rco_key_dir_options *o)
{
	int rc = RCO_OK;

	if (strlen(o->path) >= sizeof f->path)
		rc = rco__fail(RCO_E_LIMIT, "rco_key_dir_options: path is longer than %zu bytes",
		               sizeof f->path - 1);
	if (rc == RCO_OK)
		rc = rco__secmem_create(&f->env, &f->secrets);
	if (rc == RCO_OK)
		rc = rco__fs_root(f->env.fs, o->path, RCO__TRUST_OWN, f->path, sizeof f->path);
	if (rc == RCO_OK)
		rc = lock_folder(f);
	if (rc == RCO_OK)
		rc = rco__path_join(f->quarantine, sizeof f->quarantine, f->path, "quarantine");
	if (rc == RCO_OK)
		rc = load(f);
	if (rc == RCO_OK)
		plan_rotation(f);
	return rc;
}

const char *rco__key_dir_path(const rco_key_dir *folder)
{
	return folder->path;
}

int rco__key_dir_open(const rco__env *env, const rco_key_dir_options *o, rco_key_dir **out)
{
	rco_key_dir *f;
	int rc;

	if (o->path == NULL || o->path[0] == '\0')
		return rco__fail(RCO_E_INVALID, "rco_key_dir_options: path is required");
	f = rco__zalloc(env, 1, sizeof *f);
	if (f == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a key folder");
	if (pthread_mutex_init(&f->lock, NULL) != 0) {
		rco__release(env, f);
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a mutex");
	}
	f->env = *env;
	rco__roots_use(&f->roots, &f->env);
	f->owner = getpid();
	f->lock_fd = -1;
	f->epoch_s = o->epoch_s != 0 ? o->epoch_s : (uint32_t)EPOCH_S;
	rc = open_folder(f, o);
	if (rc != RCO_OK) {
		free_folder(f);
		return rc;
	}
	f->magic = MAGIC;
	*out = f;
	return RCO_OK;
}

int rco_key_dir_create(const rco_key_dir_options *options, rco_key_dir **folder)
{
	rco_key_dir_options o;
	rco__env env;
	int rc;

	rco__error_clear();
	if (folder == NULL)
		return rco__fail(RCO_E_INVALID, "rco_key_dir_create: folder is NULL");
	*folder = NULL;
	rc = rco__struct_copy(&o, sizeof o, RCO__SIZE_THROUGH(rco_key_dir_options, reserved1), options,
	                      "rco_key_dir_options");
	if (rc == RCO_OK && (o.flags != 0 || o.reserved0 != 0 || o.reserved1 != NULL))
		rc = rco__fail(RCO_E_NEWER, "rco_key_dir_options: flags and reserved fields have to be zero");
	if (rc == RCO_OK)
		rc = rco__env_init(&env, o.allocator, o.clock, o.log, o.log_user_data);
	return rc == RCO_OK ? rco__key_dir_open(&env, &o, folder) : rc;
}

void rco_key_dir_free(rco_key_dir *f)
{
	if (f != NULL && f->magic == MAGIC)
		free_folder(f);
}

const rco_key_ops *rco_key_dir_ops(void)
{
	static const rco_key_ops ops = {.struct_size = (uint32_t)sizeof ops,
	                                .wrap = folder_wrap,
	                                .unwrap = folder_unwrap,
	                                .destroy = folder_destroy};

	return &ops;
}
