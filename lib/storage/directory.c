/* SPDX-License-Identifier: MIT */
/*
 * A folder of finished files. An upload is KEY.tmp; each part is synced before
 * it is confirmed, so that a write that fails is known while its bytes can
 * still be sent again, and no descriptor stays open between two parts.
 */
#include "directory.h"

#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/trust.h"

#include <stdio.h>
#include <string.h>

/* A key with ".tmp" has 255 bytes, the longest file name. */
enum { MAGIC = 0x44495231, KEY_MAX = 251, PATH_ROOM = 300 };

#define PROBE ".recoptout-probe"

/* ---- keys and paths ---- */

int rco__dir_check(const struct rco_directory *dir, const rco_object *object, const rco_result *result)
{
	if (dir == NULL || dir->magic != MAGIC)
		return rco__fail(RCO_E_HANDLE, "user_data is not a live rco_directory");
	if (object == NULL || object->key == NULL || result == NULL)
		return rco__fail(RCO_E_INVALID, "no object, no key or no result");
	return RCO_OK;
}

static int key_ok(const char *key)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(key);

	if (length == 0 || length > KEY_MAX || key[0] == '.' || strspn(key, letters) != length)
		return 0;
	/* It would be taken for the unfinished upload of another key. */
	return length < 4 || strcmp(key + length - 4, ".tmp") != 0;
}

int rco__dir_paths(const struct rco_directory *dir, const char *key, char file[RCO__DIR_PATH],
                   char tmp[RCO__DIR_PATH])
{
	int n;

	if (!key_ok(key))
		return rco__fail(
			RCO_E_INVALID,
			"\"%.64s\" is not a key: 1 to %d of [A-Za-z0-9._-], no '.' first, no \".tmp\" last", key,
			KEY_MAX);
	n = snprintf(tmp, RCO__DIR_PATH, "%s/%s.tmp", dir->path, key);
	if (n < 0 || n >= RCO__DIR_PATH)
		return rco__fail(RCO_E_INVALID, "the path of %s is too long; use a shorter folder", key);
	return rco__path_join(file, RCO__DIR_PATH, dir->path, key);
}

int rco__dir_present(const struct rco_directory *dir)
{
	const rco__fs *fs = dir->env.fs;
	int kind, rc = fs->exists(fs->ctx, dir->path, &kind, NULL);

	if (rc == RCO_OK && kind == RCO__FS_NONE)
		return rco__fail(RCO_E_NOT_FOUND, "the folder %s is not there; is its file system mounted?",
		                 dir->path);
	return rc;
}

static int unlink_it(const struct rco_directory *dir, const char *path, int kind)
{
	const rco__fs *fs = dir->env.fs;
	int rc = fs->unlink(fs->ctx, path);

	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	/* The sticky bit keeps others' files from us, too. */
	if (rc == RCO_E_PERMISSION && kind != RCO__FS_FILE)
		return rco__dir_not_ours(kind, path);
	return rc;
}

int rco__dir_unlink(const struct rco_directory *dir, const char *path)
{
	const rco__fs *fs = dir->env.fs;
	int kind, rc = fs->exists(fs->ctx, path, &kind, NULL);

	if (rc != RCO_OK || kind == RCO__FS_NONE)
		return rc;
	/* Removing a link would leave the audio where it leads, and following it could remove anything. */
	if (kind == RCO__FS_LINK)
		return rco__fail(
			RCO_E_INVALID,
			"%s is a symbolic link in place of the file: erase what it leads to, if that is the "
			"recording, and remove the link",
			path);
	if (kind == RCO__FS_FOLDER)
		return rco__fail(RCO_E_INVALID, "%s is a folder in place of the file: move it away", path);
	if (kind == RCO__FS_LINKED)
		return rco__fail(
			RCO_E_UNCONFIRMED,
			"%s has other names (hard links), under which the audio would remain: remove those "
			"first (find -samefile)",
			path);
	if (!rco__fs_regular(kind))
		return rco__fail(RCO_E_INVALID, "%s is not a regular file: move it away", path);
	return unlink_it(dir, path, kind);
}

int rco__dir_unlink_tmp(const struct rco_directory *dir, const char *path)
{
	const rco__fs *fs = dir->env.fs;
	int kind, rc = fs->exists(fs->ctx, path, &kind, NULL);

	if (rc != RCO_OK)
		return rc;
	if (kind == RCO__FS_FILE || kind == RCO__FS_LINKED)
		return rco__dir_unlink(dir, path);
	if (kind != RCO__FS_NONE && kind != RCO__FS_FOLDER && unlink_it(dir, path, kind) != RCO_OK)
		rco__log(&dir->env, RCO_LOG_WARN, "left where it is: %s", rco_error_detail());
	return RCO_OK;
}

int rco__dir_unfinished(const struct rco_directory *dir, const char *tmp, int *there)
{
	int kind, rc = dir->env.fs->exists(dir->env.fs->ctx, tmp, &kind, NULL);

	*there = kind == RCO__FS_FILE || kind == RCO__FS_LINKED;
	return rc;
}

/* What failed for the sake of what somebody put there says so. */
static int blame(const struct rco_directory *dir, const char *path, int rc)
{
	int kind;

	if (rc == RCO_OK || dir->env.fs->exists(dir->env.fs->ctx, path, &kind, NULL) != RCO_OK ||
	    kind == RCO__FS_NONE || kind == RCO__FS_FILE)
		return rc;
	return rco__dir_not_ours(kind, path);
}

/* ---- uploads of this process ---- */

/* FNV-1a: spreads keys that differ in a few characters only. */
static rco__dir_upload **bucket_of(struct rco_directory *dir, const char *key)
{
	uint32_t hash = 2166136261u;

	for (; *key != '\0'; key++)
		hash = (hash ^ (uint8_t)*key) * 16777619u;
	return &dir->uploads[hash % RCO__DIR_BUCKETS];
}

/* Where the pointer to it is, or would be; the caller holds the lock. */
static rco__dir_upload **find(struct rco_directory *dir, const char *key)
{
	rco__dir_upload **at = bucket_of(dir, key);

	while (*at != NULL && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	return at;
}

static int take_locked(struct rco_directory *dir, const char *key, int make, rco__dir_upload **upload)
{
	rco__dir_upload **at = find(dir, key);
	size_t length = strlen(key);

	if (*at == NULL && make) {
		*at = rco__zalloc(&dir->env, 1, sizeof **at + length + 1);
		if (*at == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for the upload of %s", key);
		memcpy((*at)->key, key, length + 1);
	}
	if (*at != NULL && (*at)->busy)
		return rco__fail(RCO_E_BUSY, "another thread is at work on the upload of %s", key);
	*upload = *at;
	if (*at != NULL)
		(*at)->busy = 1;
	return RCO_OK;
}

static int take(struct rco_directory *dir, const char *key, int make, rco__dir_upload **upload)
{
	int rc;

	*upload = NULL;
	(void)pthread_mutex_lock(&dir->lock);
	rc = take_locked(dir, key, make, upload);
	(void)pthread_mutex_unlock(&dir->lock);
	return rc;
}

int rco__dir_take(struct rco_directory *dir, const char *key, rco__dir_upload **upload)
{
	return take(dir, key, 0, upload);
}

static void forget(struct rco_directory *dir, rco__dir_upload **at)
{
	rco__dir_upload *upload = *at;

	*at = upload->next;
	rco__parts_clear(&upload->parts, &dir->env);
	rco__release(&dir->env, upload);
}

void rco__dir_give(struct rco_directory *dir, rco__dir_upload *upload, int keep)
{
	if (upload == NULL)
		return;
	(void)pthread_mutex_lock(&dir->lock);
	upload->busy = 0;
	if (!keep)
		forget(dir, find(dir, upload->key));
	(void)pthread_mutex_unlock(&dir->lock);
}

/* ---- upload ---- */

/* The paths, and the upload taken for this slot. */
static int enter(struct rco_directory *dir, const rco_object *object, const rco_result *result, int make,
                 char file[RCO__DIR_PATH], char tmp[RCO__DIR_PATH], rco__dir_upload **upload)
{
	int rc = rco__dir_check(dir, object, result);

	*upload = NULL;
	if (rc == RCO_OK)
		rc = rco__dir_paths(dir, object->key, file, tmp);
	return rc == RCO_OK ? take(dir, object->key, make, upload) : rc;
}

static int begin_again(const char *key)
{
	return rco__fail(RCO_E_NOT_FOUND, "%s: no such upload in this process; begin it again", key);
}

/* Whatever is there goes, an earlier upload or what somebody else put there: audio is written only to a file that
 * was not there before. */
static int create_again(const rco__fs *fs, const char *path)
{
	int fd, rc = fs->unlink(fs->ctx, path);

	if (rc == RCO_OK || rc == RCO_E_NOT_FOUND)
		rc = fs->open(fs->ctx, path, RCO__FS_CREATE_NEW, &fd);
	return rc == RCO_OK ? fs->close(fs->ctx, fd) : rc;
}

static int upload_begin(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	rco__dir_upload *upload;
	int rc = enter(dir, object, result, 1, file, tmp, &upload);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	rco__parts_clear(&upload->parts, &dir->env);
	rc = blame(dir, tmp, create_again(dir->env.fs, tmp));
	rco__dir_give(dir, upload, rc == RCO_OK);
	if (rc != RCO_OK)
		return rc;
	(void)snprintf(result->upload_id, sizeof result->upload_id, "%s", object->key); /* a key fits */
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

/* The bytes of a part, on disk when it returns RCO_OK. `last`: nothing that counts lies behind them. */
static int write_part(const rco__fs *fs, int fd, const char *tmp, uint64_t offset, const void *data, size_t size,
                      int last)
{
	uint64_t there;
	int rc = fs->size(fs->ctx, fd, &there);

	if (rc == RCO_OK && there < offset)
		return rco__fail(RCO_E_NOT_FOUND, "%s was changed by somebody else; begin the upload again", tmp);
	/*
	 * After a sync that failed the system may take the lost pages for clean;
	 * cut off and rewritten they are dirty again.
	 */
	if (rc == RCO_OK && last && there > offset)
		rc = fs->truncate(fs->ctx, fd, offset);
	if (rc == RCO_OK && size > 0)
		rc = fs->write(fs->ctx, fd, data, size, offset);
	return rc == RCO_OK ? fs->sync(fs->ctx, fd) : rc;
}

static int put_part(struct rco_directory *dir, rco__dir_upload *upload, const char *tmp, uint32_t part,
                    const void *data, size_t size)
{
	const rco__fs *fs = dir->env.fs;
	uint64_t offset;
	int fd, last, closed, rc = rco__parts_place(&upload->parts, &dir->env, part, size, &offset);

	if (rc != RCO_OK)
		return rc;
	last = part >= upload->parts.count;
	rc = fs->open(fs->ctx, tmp, RCO__FS_WRITE, &fd);
	if (rc != RCO_OK)
		return rc;
	if (last)
		upload->parts.count = part - 1; /* until it has been written, it is not there */
	rc = write_part(fs, fd, tmp, offset, data, size, last);
	closed = fs->close(fs->ctx, fd);
	if (rc == RCO_OK)
		rc = closed;
	if (rc == RCO_OK)
		rco__parts_done(&upload->parts, part, offset, size);
	return rc;
}

static int upload_put(const rco_object *object, uint32_t part, const void *data, size_t size_bytes, uint64_t op,
                      rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	rco__dir_upload *upload;
	int rc;

	(void)op;
	if (data == NULL && size_bytes > 0)
		return rco__fail(RCO_E_INVALID, "put: no data");
	rc = enter(dir, object, result, 0, file, tmp, &upload);
	if (rc != RCO_OK)
		return rc;
	if (upload == NULL)
		return begin_again(object->key);
	rc = put_part(dir, upload, tmp, part, data, size_bytes);
	/* Somebody removed or cut the file: only a new beginning can help. */
	rco__dir_give(dir, upload, rc != RCO_E_NOT_FOUND);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_DONE;
	return rc;
}

/* Is all of it in the file, and on disk? */
static int check_whole(const rco__fs *fs, const rco__dir_upload *upload, const char *tmp)
{
	uint64_t size, total = rco__parts_total(&upload->parts);
	int fd, closed, rc = fs->open(fs->ctx, tmp, RCO__FS_WRITE, &fd);

	if (rc != RCO_OK)
		return rc;
	rc = fs->size(fs->ctx, fd, &size);
	/* Longer, if the last part did not arrive whole and is left out. */
	if (rc == RCO_OK && size > total)
		rc = fs->truncate(fs->ctx, fd, total);
	if (rc == RCO_OK && size < total)
		rc = rco__fail(RCO_E_NOT_FOUND, "%s was changed by somebody else; begin the upload again", tmp);
	/* Parts were synced as they came. */
	if (rc == RCO_OK && (size > total || upload->parts.count == 0))
		rc = fs->sync(fs->ctx, fd);
	closed = fs->close(fs->ctx, fd);
	return rc != RCO_OK ? rc : closed;
}

/*
 * No upload of this process: it was committed before, if the file is there, as
 * long as it is to be, and no unfinished one beside it. The folder is synced
 * again, for it may have been that which failed.
 */
static int committed_before(const struct rco_directory *dir, const rco_object *object, const char *file,
                            const char *tmp)
{
	uint64_t size;
	int there, unfinished, rc = rco__dir_finished(dir, file, &there, &size);

	if (rc == RCO_OK)
		rc = rco__dir_unfinished(dir, tmp, &unfinished);
	if (rc == RCO_OK && (!there || unfinished || (object->size_bytes != 0 && size != object->size_bytes)))
		return begin_again(object->key);
	return rc;
}

static int upload_commit(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	rco__dir_upload *upload;
	int rc = enter(dir, object, result, 0, file, tmp, &upload);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (upload == NULL) {
		rc = committed_before(dir, object, file, tmp);
	} else {
		int whole;

		rc = check_whole(dir->env.fs, upload, tmp);
		whole = rc == RCO_OK;
		if (whole)
			rc = blame(dir, file, dir->env.fs->rename(dir->env.fs->ctx, tmp, file));
		/* Of a sync that failed it is not known what is on disk: a commit that comes again must not take
		 * that for whole. */
		rco__dir_give(dir, upload, whole && rc != RCO_OK && rc != RCO_E_NOT_FOUND);
	}
	if (rc == RCO_OK)
		rc = dir->env.fs->sync_dir(dir->env.fs->ctx, dir->path);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_DONE;
	return rc;
}

static int upload_abort(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	rco__dir_upload *upload;
	int rc = enter(dir, object, result, 0, file, tmp, &upload);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	/* One upload of a key at most, so that every upload id means this one. */
	rc = rco__dir_unlink_tmp(dir, tmp);
	if (rc == RCO_OK)
		rc = dir->env.fs->sync_dir(dir->env.fs->ctx, dir->path);
	rco__dir_give(dir, upload, rc != RCO_OK);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_GONE;
	return rc;
}

static int upload_list(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	const rco__fs *fs;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	int finished, unfinished, rc = rco__dir_check(dir, object, result);

	(void)op;
	if (rc == RCO_OK)
		rc = rco__dir_paths(dir, object->key, file, tmp);
	if (rc != RCO_OK)
		return rc;
	fs = dir->env.fs;
	rc = fs->exists(fs->ctx, file, &finished, NULL);
	if (rc == RCO_OK)
		rc = rco__dir_unfinished(dir, tmp, &unfinished);
	if (rc == RCO_OK)
		rc = rco__dir_present(dir);
	if (rc != RCO_OK)
		return rc;
	result->count = (finished != RCO__FS_NONE ? 1u : 0u) + (unfinished ? 1u : 0u);
	result->confirmed = result->count > 0 ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int upload_head(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	uint64_t size, bytes = 0;
	int there, rc = rco__dir_check(dir, object, result);

	(void)op;
	if (rc == RCO_OK)
		rc = rco__dir_paths(dir, object->key, file, tmp);
	if (rc == RCO_OK)
		rc = rco__dir_finished(dir, file, &there, &size);
	if (rc == RCO_OK && there && rco__dir_is_record(object))
		rc = rco__dir_record(dir, object, size, &bytes);
	if (rc != RCO_OK)
		return rc;
	/* Of a commit whose sync of the folder failed it must not be said that all is well: sync it now. */
	if (!there)
		rc = rco__dir_present(dir);
	else
		rc = dir->env.fs->sync_dir(dir->env.fs->ctx, dir->path);
	if (rc != RCO_OK)
		return rc;
	result->confirmed = there ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE;
	result->size_bytes = there ? size : 0;
	result->count = bytes;
	return RCO_OK;
}

const rco_upload_ops *rco_directory_upload_ops(void)
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

/* ---- life ---- */

static int copy_options(rco_directory_options *to, const rco_directory_options *from, rco_directory **directory)
{
	int rc;

	if (directory == NULL)
		return rco__fail(RCO_E_INVALID, "a pointer for the directory is NULL");
	*directory = NULL;
	rc = rco__struct_copy(to, sizeof *to, RCO__SIZE_THROUGH(rco_directory_options, log_user_data), from,
	                      "rco_directory_options");
	if (rc != RCO_OK)
		return rc;
	if (to->flags != 0)
		return rco__fail(RCO_E_NEWER, "rco_directory_options: flags have to be zero");
	if (to->path == NULL || to->path[0] == '\0' || strlen(to->path) > RCO__DIR_PATH - PATH_ROOM)
		return rco__fail(RCO_E_INVALID, "rco_directory_options: path is NULL, empty or too long");
	return RCO_OK;
}

/*
 * A wrong mode or a full disk is better told now than when the first call has ended. Told, and no more: a folder
 * that cannot be written at present must keep nobody from objecting, nor what is to be erased elsewhere from being
 * erased.
 */
static void try_to_write(struct rco_directory *dir)
{
	const rco__fs *fs = dir->env.fs;
	char probe[RCO__DIR_PATH];
	int fd, rc = rco__path_join(probe, sizeof probe, dir->path, PROBE);

	/* One that a crash left is used again: "cannot make" says more than "cannot remove". */
	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, probe, RCO__FS_CREATE, &fd);
	/* Where everybody may put files, somebody has one of that name: another name. */
	if (rc == RCO_E_PERMISSION) {
		char name[sizeof PROBE + RCO_ID_TEXT + 1] = PROBE "-";
		uint8_t id[16];

		rco__uuid_new(id);
		rco__uuid_text(id, name + sizeof PROBE);
		rc = rco__path_join(probe, sizeof probe, dir->path, name);
		if (rc == RCO_OK)
			rc = fs->open(fs->ctx, probe, RCO__FS_CREATE_NEW, &fd);
	}
	if (rc == RCO_OK)
		rc = fs->close(fs->ctx, fd);
	if (rc == RCO_OK)
		rc = fs->unlink(fs->ctx, probe);
	if (rc == RCO_OK)
		return;
	dir->unwritable = rc;
	rco__log(&dir->env, RCO_LOG_ERROR,
	         "%s cannot be written at present, and is tried again with each upload: %s", dir->path,
	         rco_error_detail());
}

/* The names of files have to fit behind it. */
static int open_folder(struct rco_directory *dir, const char *path)
{
	int rc = rco__fs_root(dir->env.fs, path, RCO__TRUST_OUTPUT, dir->path, sizeof dir->path - PATH_ROOM);

	if (rc == RCO_OK)
		try_to_write(dir);
	return rc;
}

int rco__directory_open(const rco__env *env, const rco_directory_options *options, rco_directory **directory)
{
	rco_directory_options o;
	rco_directory *dir;
	int rc = copy_options(&o, options, directory);

	if (rc != RCO_OK)
		return rc;
	dir = rco__zalloc(env, 1, sizeof *dir);
	if (dir == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a directory");
	dir->env = *env;
	rco__roots_use(&dir->roots, &dir->env);
	rc = open_folder(dir, o.path);
	if (rc == RCO_OK && pthread_mutex_init(&dir->lock, NULL) != 0)
		rc = rco__fail(RCO_E_NO_MEMORY, "no memory for a mutex");
	if (rc == RCO_OK && pthread_mutex_init(&dir->id_lock, NULL) != 0) {
		(void)pthread_mutex_destroy(&dir->lock);
		rc = rco__fail(RCO_E_NO_MEMORY, "no memory for a mutex");
	}
	if (rc != RCO_OK) {
		rco__roots_close(&dir->roots);
		rco__release(env, dir);
		return rc;
	}
	dir->magic = MAGIC;
	*directory = dir;
	return RCO_OK;
}

const char *rco__directory_path(const rco_directory *directory)
{
	return directory->path;
}

int rco__directory_unwritable(const rco_directory *directory)
{
	return directory->unwritable;
}

int rco_directory_create(const rco_directory_options *options, rco_directory **directory)
{
	rco_directory_options o;
	rco__env env;
	int rc;

	rco__error_clear();
	rc = copy_options(&o, options, directory);
	if (rc == RCO_OK)
		rc = rco__env_init(&env, o.allocator, NULL, o.log, o.log_user_data);
	return rc == RCO_OK ? rco__directory_open(&env, &o, directory) : rc;
}

void rco_directory_free(rco_directory *directory)
{
	rco__env env;
	size_t i;

	if (directory == NULL || directory->magic != MAGIC)
		return;
	for (i = 0; i < RCO__DIR_BUCKETS; i++)
		while (directory->uploads[i] != NULL)
			forget(directory, &directory->uploads[i]);
	(void)pthread_mutex_destroy(&directory->lock);
	(void)pthread_mutex_destroy(&directory->id_lock);
	rco__roots_close(&directory->roots);
	env = directory->env;
	directory->magic = 0;
	rco__release(&env, directory);
}
