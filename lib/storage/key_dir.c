/* SPDX-License-Identifier: MIT */
/*
 * The default key provider: for each epoch a key that wraps the spool's, as a
 * file of its own, which is overwritten and removed when the epoch is destroyed.
 * A file is read when it is asked for, once; no key stays in memory.
 */
#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/fs_roots.h"
#include "../base/trust.h"
#include "storage_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define KEY_MAGIC "RCOKEY01"

enum {
	MAGIC = 0x4b455931,
	KEY_VERSION = 2,
	KEY_AT = 24, /* magic 8, version 2, 0 6, epoch 8 */
	CRC_AT = KEY_AT + 32,
	KEY_FILE = CRC_AT + 4,
	PATH_CAP = 1024,
	NAME_CAP = 48,
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	WRAPPED = NONCE + 32 + crypto_aead_xchacha20poly1305_ietf_ABYTES
};

static const char label[] = "rco-epoch-v2";

enum { BOUND = sizeof label - 1 + 8 };

struct rco_key_dir {
	uint32_t magic;
	pid_t owner;
	int lock_fd;
	rco__env env;
	rco__roots roots;
	char path[PATH_CAP];
};

static int check(const rco_key_dir *f)
{
	if (f == NULL || f->magic != MAGIC)
		return rco__fail(RCO_E_HANDLE, "user_data is not a live rco_key_dir");
	if (f->owner != getpid())
		return rco__fail(RCO_E_FORKED, "the key folder %s belongs to the parent process", f->path);
	return RCO_OK;
}

static void file_name(uint64_t number, char out[NAME_CAP])
{
	(void)snprintf(out, NAME_CAP, "epoch-%016llx.key", (unsigned long long)number); /* 26 characters */
}

/* ---- files ---- */

static int write_key(rco_key_dir *f, uint64_t number, const uint8_t key[32])
{
	uint8_t buf[KEY_FILE] = {0};
	char name[NAME_CAP];
	int rc;

	memcpy(buf, KEY_MAGIC, 8);
	rco__put16(buf + 8, KEY_VERSION);
	rco__put64(buf + 16, number);
	memcpy(buf + KEY_AT, key, 32);
	rco__put32(buf + CRC_AT, rco__crc32c(0, buf, CRC_AT));
	file_name(number, name);
	rc = rco__fs_put(f->env.fs, f->path, name, buf, sizeof buf);
	rco_memzero(buf, sizeof buf);
	return rc;
}

/* RCO_OK, RCO_E_NOT_FOUND, RCO_E_CORRUPT, RCO_E_VERSION, or a failure of the file. */
static int read_key(rco_key_dir *f, const char *name, uint64_t number, uint8_t key[32])
{
	uint8_t buf[128];
	size_t size = 0;
	int rc = rco__fs_get(f->env.fs, f->path, name, buf, sizeof buf, &size);

	if (rc == RCO_E_LIMIT)
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK && (size < KEY_AT || memcmp(buf, KEY_MAGIC, 8) != 0 ||
	                     rco__get32(buf + size - 4) != rco__crc32c(0, buf, size - 4)))
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK && rco__get16(buf + 8) != KEY_VERSION)
		rc = rco__fail(
			RCO_E_VERSION,
			"%s/%s was written by %s version of the library: let that one finish its calls, then "
			"start with an empty folder",
			f->path, name, rco__get16(buf + 8) < KEY_VERSION ? "an older" : "a newer");
	if (rc == RCO_OK && (size != KEY_FILE || rco__get64(buf + 16) != number))
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK)
		memcpy(key, buf + KEY_AT, 32);
	rco_memzero(buf, sizeof buf);
	return rc;
}

/* ---- what an earlier process left ---- */

typedef struct found {
	rco_key_dir *folder;
	char name[NAME_CAP];
	int rc;
} found;

/* Damage is told when it is asked for. */
static int look_at(rco_key_dir *f, const char *name, uint64_t number)
{
	const rco__fs *fs = f->env.fs;
	char path[PATH_CAP];
	uint8_t key[32];
	int kind, rc = rco__path_join(path, sizeof path, f->path, name);

	if (rc == RCO_OK)
		rc = fs->exists(fs->ctx, path, &kind, NULL);
	if (rc != RCO_OK)
		return rc;
	if (kind == RCO__FS_FOLDER || kind == RCO__FS_OTHER) {
		rco__log(&f->env, RCO_LOG_WARN, "%s is no file and is left alone", path);
		return RCO_OK;
	}
	rc = read_key(f, name, number, key);
	rco_memzero(key, sizeof key);
	return rc == RCO_E_CORRUPT ? RCO_OK : rc;
}

/* Looked for one by one, so that nothing is removed from a folder that is being read. */
static int look(const char *name, void *user_data)
{
	found *n = user_data;
	char plain[NAME_CAP];
	unsigned long long number = 0;

	if (sscanf(name, "epoch-%16llx.key", &number) != 1)
		return 0;
	file_name(number, plain);
	if (strncmp(name, plain, strlen(plain)) != 0)
		return 0;
	if (strcmp(name + strlen(plain), ".tmp") == 0) {
		(void)snprintf(n->name, sizeof n->name, "%s", name);
		return 1;
	}
	if (name[strlen(plain)] == '\0')
		n->rc = look_at(n->folder, name, number);
	return n->rc != RCO_OK;
}

/* Keys that a crash left half written: nothing was wrapped with them. And whether another version was here. */
static int tidy(rco_key_dir *f)
{
	const rco__fs *fs = f->env.fs;
	found n;
	int rc;

	do {
		n = (found){.folder = f};
		rc = fs->list(fs->ctx, f->path, look, &n);
		if (rc == RCO_OK)
			rc = n.rc;
		if (rc == RCO_OK && n.name[0] != '\0')
			rc = rco__fs_wipe(fs, f->path, n.name);
	} while (rc == RCO_OK && n.name[0] != '\0');
	return rc;
}

/* ---- slots ---- */

static void bind(uint64_t number, uint8_t bound[BOUND])
{
	memcpy(bound, label, sizeof label - 1);
	rco__put64(bound + sizeof label - 1, number);
}

static int folder_wrap(uint64_t number, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes,
                       void *user_data)
{
	rco_key_dir *f = user_data;
	uint8_t bound[BOUND], own[32];
	int rc = check(f);

	if (rc != RCO_OK)
		return rc;
	if (key == NULL || wrapped == NULL || wrapped_bytes == NULL || *wrapped_bytes < WRAPPED)
		return rco__fail(RCO_E_INVALID, "wrap: an argument is NULL, or there is no room for %d bytes",
		                 WRAPPED);
	randombytes_buf(own, sizeof own);
	rc = write_key(f, number, own);
	if (rc == RCO_OK) {
		bind(number, bound);
		randombytes_buf(wrapped, NONCE);
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped + NONCE, NULL, key, 32, bound, BOUND,
		                                                 NULL, wrapped, own);
		*wrapped_bytes = WRAPPED;
	}
	rco_memzero(own, sizeof own);
	return rc;
}

static int folder_unwrap(uint64_t number, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32],
                         void *user_data)
{
	rco_key_dir *f = user_data;
	uint8_t bound[BOUND], own[32];
	char name[NAME_CAP];
	int rc = check(f);

	if (rc != RCO_OK)
		return rc;
	if (wrapped == NULL || key == NULL)
		return rco__fail(RCO_E_INVALID, "unwrap: an argument is NULL");
	file_name(number, name);
	rc = read_key(f, name, number, own);
	if (rc == RCO_E_NOT_FOUND || rc == RCO_E_CORRUPT)
		return rco__fail(RCO_E_KEY, "%s/%s is %s", f->path, name,
		                 rc == RCO_E_CORRUPT ? "damaged" : "gone: destroyed or lost");
	bind(number, bound);
	if (rc == RCO_OK && (wrapped_bytes != WRAPPED || crypto_aead_xchacha20poly1305_ietf_decrypt(
								 key, NULL, NULL, wrapped + NONCE, WRAPPED - NONCE,
								 bound, BOUND, wrapped, own) != 0))
		rc = rco__fail(RCO_E_KEY, "a wrapped key was altered, or is of another epoch or key folder");
	rco_memzero(own, sizeof own);
	return rc;
}

static int folder_destroy(uint64_t number, void *user_data)
{
	rco_key_dir *f = user_data;
	char name[NAME_CAP];
	int rc = check(f);

	if (rc != RCO_OK)
		return rc;
	file_name(number, name);
	return rco__fs_wipe(f->env.fs, f->path, name);
}

/* ---- life ---- */

static void free_folder(rco_key_dir *f)
{
	rco__env env = f->env;

	if (f->lock_fd >= 0)
		(void)env.fs->close(env.fs->ctx, f->lock_fd); /* nothing was written to it */
	rco__roots_close(&f->roots);
	rco_memzero(f, sizeof *f);
	rco__release(&env, f);
}

/* What another has half written is not to be taken for what a crash left. */
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
		return rco__fail(RCO_E_LIMIT, "rco_key_dir_options: path is longer than %zu bytes",
		                 sizeof f->path - 1);
	if (sodium_init() < 0)
		return rco__fail(RCO_E_INTERNAL, "libsodium cannot start: the system gives no random numbers");
	rc = rco__fs_root(f->env.fs, o->path, RCO__TRUST_OWN, f->path, sizeof f->path);
	if (rc == RCO_OK)
		rc = lock_folder(f);
	return rc == RCO_OK ? tidy(f) : rc;
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
	f->env = *env;
	rco__roots_use(&f->roots, &f->env);
	f->owner = getpid();
	f->lock_fd = -1;
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
	rc = rco__struct_copy(&o, sizeof o, RCO__SIZE_THROUGH(rco_key_dir_options, reserved), options,
	                      "rco_key_dir_options");
	if (rc == RCO_OK && (o.flags != 0 || o.reserved != NULL))
		rc = rco__fail(RCO_E_NEWER, "rco_key_dir_options: flags and reserved fields have to be zero");
	if (rc == RCO_OK)
		rc = rco__env_init(&env, o.allocator, NULL, o.log, o.log_user_data);
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
