/* SPDX-License-Identifier: MIT */
/* Removes finished files of the folder, and any file by absolute path for recorders on the same machine. */
#include "directory.h"

#include "../base/error.h"

#include <string.h>

/* ---- files of our own folder ---- */

static int remove_own(struct rco_directory *dir, const rco_object *object)
{
	const rco__fs *fs = dir->env.fs;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	rco__dir_upload *upload;
	int rc = rco__dir_paths(dir, object->key, file, tmp);

	if (rc == RCO_OK)
		rc = rco__dir_take(dir, object->key, &upload);
	if (rc != RCO_OK)
		return rc;
	/* The unfinished one first: it could still become the other. */
	rc = rco__dir_unlink_tmp(dir, tmp);
	if (rc == RCO_OK)
		rc = rco__dir_unlink(dir, file);
	/* Also if nothing was there: an earlier try may have removed it and then failed to sync. */
	if (rc == RCO_OK)
		rc = fs->sync_dir(fs->ctx, dir->path);
	rco__dir_give(dir, upload, rc != RCO_OK);
	return rc;
}

static int look_own(struct rco_directory *dir, const rco_object *object, int *there)
{
	const rco__fs *fs = dir->env.fs;
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	int finished, unfinished, rc = rco__dir_paths(dir, object->key, file, tmp);

	if (rc == RCO_OK)
		rc = fs->exists(fs->ctx, file, &finished, NULL);
	if (rc == RCO_OK)
		rc = rco__dir_unfinished(dir, tmp, &unfinished);
	if (rc == RCO_OK)
		rc = rco__dir_present(dir);
	if (rc == RCO_OK)
		*there = finished != RCO__FS_NONE || unfinished;
	return rc;
}

/* ---- files of the host ---- */

/* The folder of an absolute path, into out. RCO_E_DECLINED for what is not a path of this machine. */
static int folder_of(const char *path, char out[RCO__DIR_PATH])
{
	const char *slash = strrchr(path, '/');
	size_t length;

	if (path[0] != '/')
		return rco__fail(RCO_E_DECLINED,
		                 "%.200s is not an absolute path, which is all that a directory removes", path);
	length = (size_t)(slash - path);
	if (slash[1] == '\0' || length >= RCO__DIR_PATH)
		return rco__fail(RCO_E_INVALID, "%.200s is not the path of a file", path);
	memcpy(out, path, length);
	out[length] = '\0';
	if (length == 0)
		memcpy(out, "/", 2);
	return RCO_OK;
}

static int remove_host(struct rco_directory *dir, const rco_object *object)
{
	const rco__fs *fs = dir->env.fs;
	char folder[RCO__DIR_PATH];
	int kind, rc = folder_of(object->key, folder);

	if (rc == RCO_OK)
		rc = rco__dir_unlink(dir, object->key);
	if (rc == RCO_OK)
		rc = fs->exists(fs->ctx, folder, &kind, NULL);
	if (rc != RCO_OK)
		return rc;
	/* A folder that is gone took its files with it. */
	if (kind != RCO__FS_FOLDER)
		return RCO_OK;
	return fs->sync_dir(fs->ctx, folder);
}

static int look_host(struct rco_directory *dir, const rco_object *object, int *there)
{
	char folder[RCO__DIR_PATH];
	int kind, rc = folder_of(object->key, folder);

	if (rc == RCO_OK)
		rc = dir->env.fs->exists(dir->env.fs->ctx, object->key, &kind, NULL);
	if (rc == RCO_OK)
		*there = kind != RCO__FS_NONE;
	return rc;
}

/* ---- slots ---- */

static int unknown_store(const rco_object *object)
{
	return rco__fail(RCO_E_DECLINED, "%u is not a store that a directory knows", object->store);
}

/* A file here has one version, so that whichever is asked for means the file. */
static int deletion_remove(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	int rc = rco__dir_check(dir, object, result);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (object->store == RCO_STORE_UPLOAD)
		rc = remove_own(dir, object);
	else if (object->store == RCO_STORE_HOST)
		rc = remove_host(dir, object);
	else
		rc = unknown_store(object);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_GONE;
	return rc;
}

static int deletion_verify(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_directory *dir = user_data;
	int there = 1, rc = rco__dir_check(dir, object, result);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (object->store == RCO_STORE_UPLOAD)
		rc = look_own(dir, object, &there);
	else if (object->store == RCO_STORE_HOST)
		rc = look_host(dir, object, &there);
	else
		rc = unknown_store(object);
	if (rc == RCO_OK)
		result->confirmed = there ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE;
	return rc;
}

const rco_deletion_ops *rco_directory_deletion_ops(void)
{
	static const rco_deletion_ops table = {
		.struct_size = sizeof table,
		.remove = deletion_remove,
		.verify = deletion_verify,
	};

	return &table;
}
