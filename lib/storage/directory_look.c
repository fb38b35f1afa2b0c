/* SPDX-License-Identifier: MIT */
/*
 * What is believed of a folder of finished files in which others may be able to put theirs: a finished file that
 * is ours, a call record that speaks of the recording that is asked about, and which folder this is.
 */
#include "directory.h"

#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/json_leaves.h"

#include <stdio.h>
#include <string.h>

/* The first line is the id of this folder, each further one that of a folder whose files are here by now, or gone.
 */

enum { RECORD_MAX = 1 << 20, STORE_FILE_MAX = 4096 };

/* ---- finished files ---- */

int rco__dir_not_ours(int kind, const char *path)
{
	const char *what = kind == RCO__FS_LINK      ? "a symbolic link"
	                   : kind == RCO__FS_FOLDER  ? "a folder"
	                   : kind == RCO__FS_LINKED  ? "it has other names, hard links"
	                   : kind == RCO__FS_FOREIGN ? "it belongs to another user"
	                                             : "no regular file";

	return rco__fail(RCO_E_PERMISSION, "%s is not as the engine wrote it (%s): look at it, then move it away",
	                 path, what);
}

int rco__dir_finished(const struct rco_directory *dir, const char *path, int *there, uint64_t *size)
{
	const rco__fs *fs = dir->env.fs;
	int kind, fd, rc = fs->exists(fs->ctx, path, &kind, size);

	*there = 0;
	if (rc != RCO_OK || kind == RCO__FS_NONE)
		return rc;
	if (kind != RCO__FS_FILE)
		return rco__dir_not_ours(kind, path);
	rc = fs->open(fs->ctx, path, RCO__FS_READ, &fd); /* looks at it as at every file that is believed */
	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	if (rc == RCO_OK)
		rc = fs->size(fs->ctx, fd, size);
	if (rc == RCO_OK)
		*there = 1;
	else
		return rc;
	return fs->close(fs->ctx, fd);
}

int rco__directory_foreign(const rco_directory *dir, const char *key)
{
	char file[RCO__DIR_PATH], tmp[RCO__DIR_PATH];
	int kind;

	return rco__dir_paths(dir, key, file, tmp) == RCO_OK &&
	       dir->env.fs->exists(dir->env.fs->ctx, file, &kind, NULL) == RCO_OK && kind == RCO__FS_FOREIGN;
}

/* ---- call records ---- */

int rco__dir_is_record(const rco_object *object)
{
	char id[RCO_ID_TEXT + 1];

	rco__uuid_text(object->recording_id, id);
	return object->kind == RCO_KIND_METADATA && strncmp(object->key, id, RCO_ID_TEXT) == 0 &&
	       strcmp(object->key + RCO_ID_TEXT, ".json") == 0;
}

typedef struct record {
	char of[RCO_ID_TEXT + 1]; /* the recording */
	int has_opt_out, opted_out, held;
	uint64_t bytes; /* of all legs */
} record;

static void take(void *user, const rco__json_leaf *leaf)
{
	record *r = user;

	if (strcmp(leaf->path, "/recording") == 0 && leaf->type == RCO__JSON_STRING && leaf->size < sizeof r->of) {
		memcpy(r->of, leaf->text, leaf->size + 1);
	} else if (strcmp(leaf->path, "/opt_out") == 0) {
		r->has_opt_out = 1;
		r->opted_out = !rco__json_leaf_is(leaf, RCO__JSON_WORD, "null");
	} else if (strcmp(leaf->path, "/opt_out/held") == 0) {
		r->held = rco__json_leaf_is(leaf, RCO__JSON_WORD, "true");
	} else if (strcmp(leaf->path, "/legs/#/bytes") == 0) {
		r->bytes += rco__json_leaf_count(leaf);
	}
}

static int parse_record(const char *text, size_t size, const rco_object *object, uint64_t *bytes)
{
	record r = {0};
	char id[RCO_ID_TEXT + 1];

	rco__uuid_text(object->recording_id, id);
	if (!rco__json_leaves(text, size, take, &r) || strcmp(r.of, id) != 0 || !r.has_opt_out)
		return 0;
	/* Of what was erased it does not matter how much it was. */
	*bytes = r.opted_out && !r.held ? 0 : r.bytes;
	return 1;
}

int rco__dir_record(const struct rco_directory *dir, const rco_object *object, uint64_t size, uint64_t *bytes)
{
	size_t got = 0;
	char *text;
	int rc;

	*bytes = 0;
	text = size <= RECORD_MAX ? rco__alloc(&dir->env, (size_t)size + 1) : NULL;
	if (text == NULL && size <= RECORD_MAX)
		return rco__fail(RCO_E_NO_MEMORY, "no memory to read %s", object->key);
	rc = text != NULL ? rco__fs_get(dir->env.fs, dir->path, object->key, text, (size_t)size + 1, &got)
	                  : RCO_OK;
	if (rc == RCO_OK && (text == NULL || !parse_record(text, got, object, bytes)))
		rc = rco__fail(RCO_E_CORRUPT,
		               "%s/%s is not the record of this call: look at it, then move it away", dir->path,
		               object->key);
	rco__release(&dir->env, text);
	return rc;
}

/* ---- which folder it is ---- */

/* The whole file, ending in NUL. */
static int read_ids(const struct rco_directory *dir, char text[STORE_FILE_MAX + 1])
{
	size_t size = 0;
	int rc = rco__fs_get(dir->env.fs, dir->path, RCO__DIR_STORE_FILE, text, STORE_FILE_MAX, &size);

	text[rc == RCO_OK ? size : 0] = '\0';
	return rc;
}

/* Written by us alone, so that what an engine that is killed leaves is an empty file at most. */
static int make_id(const struct rco_directory *dir, char id[RCO_ID_TEXT + 1])
{
	char line[RCO_ID_TEXT + 2];
	uint8_t bytes[16];

	rco__uuid_new(bytes);
	rco__uuid_text(bytes, id);
	(void)snprintf(line, sizeof line, "%s\n", id);
	return rco__fs_put(dir->env.fs, dir->path, RCO__DIR_STORE_FILE, line, sizeof line - 1);
}

int rco__directory_id(rco_directory *dir, char id[RCO_ID_TEXT + 1])
{
	char text[STORE_FILE_MAX + 1];
	uint8_t bytes[16];
	int rc;

	(void)pthread_mutex_lock(&dir->id_lock);
	rc = read_ids(dir, text);
	if (rc == RCO_OK) {
		(void)snprintf(id, RCO_ID_TEXT + 1, "%.*s", RCO_ID_TEXT, text);
		rc = rco__uuid_parse(id, bytes) == RCO_OK ? RCO_OK : RCO_E_NOT_FOUND;
	}
	if (rc == RCO_E_NOT_FOUND)
		rc = make_id(dir, id);
	else if (rc == RCO_OK && dir->id_in_doubt) /* it was written, but its name was not made durable */
		rc = dir->env.fs->sync_dir(dir->env.fs->ctx, dir->path);
	dir->id_in_doubt = rc != RCO_OK;
	(void)pthread_mutex_unlock(&dir->id_lock);
	if (rc != RCO_OK)
		id[0] = '\0';
	return rc;
}

/* "ID" of earlier journals, "ID:PATH", or a word. */
int rco__directory_is(const rco_directory *dir, const char *place)
{
	char text[STORE_FILE_MAX + 1], id[RCO_ID_TEXT + 1];
	size_t n = strcspn(place, ":");
	int rc = read_ids(dir, text);

	(void)snprintf(id, sizeof id, "%.*s", (int)n, place);
	if (rc == RCO_OK && strstr(text, id) != NULL)
		return RCO_OK;
	if (rc != RCO_OK && rc != RCO_E_NOT_FOUND)
		return rc;
	return rco__fail(
		RCO_E_NOT_FOUND,
		"another folder, store %s%s%s: mount or name that one; or, if it is gone for good, add this id "
		"to %s/" RCO__DIR_STORE_FILE,
		id, place[n] != '\0' ? ", which was " : "", place[n] != '\0' ? place + n + 1 : "", dir->path);
}
