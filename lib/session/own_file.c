/* SPDX-License-Identifier: MIT */
/*
 * What a host may not register as a file of a call: the library's own files. An objection would erase them, and
 * with them the evidence, the keys or the kept recordings of calls that nobody objected to. A path is judged by
 * where it leads and by the folders it is in, which are compared as the file system knows them (device and inode),
 * so that another spelling, a link, a mount of the same folder, or a second name of a file changes nothing. Of
 * another engine only the disk tells: its folders by what they hold, its files also by their names.
 */
#include "calls.h"

#include "../storage/directory.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

enum { DEPTH = 3, NUMBER = 16 };

static int not_a_copy(const char *path, const char *what)
{
	return rco__fail(RCO_E_INVALID, "%s is %s, and no file of a call: an opt-out would erase it", path, what);
}

static const char *name_in(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static int is_same(const rco__fs *fs, const char *path, const rco__fs_stamp *stamp, const char *folder)
{
	rco__fs_stamp other;

	if (folder == NULL)
		return 0;
	if (strcmp(path, folder) == 0)
		return 1;
	return stamp->kind == RCO__FS_FOLDER && stamp->inode != 0 && rco__fs_look(fs, folder, &other) == RCO_OK &&
	       other.kind == RCO__FS_FOLDER && other.device == stamp->device && other.inode == stamp->inode;
}

/* ---- files in output_dir ---- */

static int ends_in(const char *name, size_t length, const char *end)
{
	size_t n = strlen(end);

	return length > n && strncmp(name + length - n, end, n) == 0;
}

/* RECORDING.json, RECORDING.LABEL.wav, RECORDING.LABEL.wav.zst, and what is to become one of them. */
static int names_recording(const char *name, uint8_t id[16], int *record)
{
	char text[RCO_ID_TEXT + 1];
	size_t length = strlen(name);

	if (length <= RCO_ID_TEXT || name[RCO_ID_TEXT] != '.')
		return 0;
	memcpy(text, name, RCO_ID_TEXT);
	text[RCO_ID_TEXT] = '\0';
	if (rco__uuid_parse(text, id) != RCO_OK)
		return 0;
	if (ends_in(name, length, ".tmp"))
		length -= 4;
	*record = length == RCO_ID_TEXT + 5 && ends_in(name, length, ".json");
	return *record || ends_in(name, length, ".wav") || ends_in(name, length, ".wav.zst");
}

static int is_call(rco_engine *engine, const uint8_t id[16])
{
	const rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (s = engine->all; s != NULL && memcmp(s->recording_id, id, 16) != 0;)
		s = s->all_next;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return s != NULL;
}

/*
 * A call that is over and forgotten has its record beside it; one that another engine is storing in the same
 * folder has an unfinished file. A recorder of the host may name its files after ids of its own.
 */
static int is_anybodys(rco_engine *engine, const char *folder, const char *name, const uint8_t id[16])
{
	const rco__fs *fs = engine->env.fs;
	char path[RCO__PLACE_CAP], text[RCO_ID_TEXT + 1];
	int kind = RCO__FS_NONE, i, n;

	if (is_call(engine, id))
		return 1;
	rco__uuid_text(id, text);
	for (i = 0; i < 3 && kind == RCO__FS_NONE; i++) {
		n = snprintf(path, sizeof path, "%s/%s%s", folder, i == 2 ? name : text,
		             i == 0   ? ".json"
		             : i == 1 ? ".json.tmp"
		                      : ".tmp");
		if (n < 0 || (size_t)n >= sizeof path || fs->exists(fs->ctx, path, &kind, NULL) != RCO_OK)
			return 1; /* it cannot be seen that it is nobody's */
	}
	return kind != RCO__FS_NONE;
}

static int check_output(rco_session *s, const char *path, const char *folder, const char *name)
{
	uint8_t id[16];
	int record;

	if (!names_recording(name, id, &record))
		return RCO_OK;
	if (memcmp(id, s->recording_id, 16) == 0)
		return record ? not_a_copy(path, "the call record, which is kept") : RCO_OK;
	if (!is_anybodys(s->engine, folder, name, id))
		return RCO_OK;
	return rco__fail(RCO_E_BUSY,
	                 "%s is the recording of another call, which an engine stored or is storing: a name "
	                 "belongs to one call at a time",
	                 path);
}

/* ---- second names ---- */

typedef struct second_name {
	rco_session *s;
	const rco__fs_stamp *stamp;
	const char *folder, *path;
	int depth, output, rc;
} second_name;

static int look_at(const char *name, void *user_data)
{
	second_name *of = user_data;
	const rco__fs *fs = of->s->engine->env.fs;
	char path[RCO__PLACE_CAP];
	rco__fs_stamp stamp;

	if (rco__path_join(path, sizeof path, of->folder, name) != RCO_OK ||
	    rco__fs_look(fs, path, &stamp) != RCO_OK)
		return 0;
	if (stamp.kind == RCO__FS_FOLDER && !of->output && of->depth < DEPTH) {
		second_name below = *of;

		below.folder = path;
		below.depth++;
		(void)fs->list(fs->ctx, path, look_at, &below);
		of->rc = below.rc;
	} else if (rco__fs_regular(stamp.kind) && stamp.inode != 0 && stamp.inode == of->stamp->inode &&
	           stamp.device == of->stamp->device) {
		of->rc = of->output ? check_output(of->s, of->path, of->folder, name)
		                    : not_a_copy(of->path, "a second name of a file of the engine");
	}
	return of->rc != RCO_OK;
}

static int check_names(rco_session *s, const char *path, const rco__fs_stamp *stamp)
{
	const rco_engine *e = s->engine;
	const char *folders[] = {e->state_dir, e->key_dir != NULL ? rco__key_dir_path(e->key_dir) : NULL,
	                         e->directory != NULL ? rco__directory_path(e->directory) : NULL};
	second_name of = {.s = s, .stamp = stamp, .path = path};
	int i;

	for (i = 0; i < 3 && of.rc == RCO_OK; i++) {
		of.folder = folders[i];
		of.output = i == 2;
		if (of.folder != NULL)
			(void)e->env.fs->list(e->env.fs->ctx, of.folder, look_at, &of);
	}
	return of.rc;
}

/* ---- of any engine ---- */

static int has(const rco__fs *fs, const char *folder, const char *name, int kind)
{
	char path[RCO__PLACE_CAP];
	int is;

	/* A file may be another user's, or have more names. */
	return rco__path_join(path, sizeof path, folder, name) == RCO_OK &&
	       fs->exists(fs->ctx, path, &is, NULL) == RCO_OK &&
	       (is == kind || (kind == RCO__FS_FILE && rco__fs_regular(is)));
}

static const char *after_number(const char *name)
{
	return strspn(name, "0123456789abcdef") == NUMBER ? name + NUMBER : NULL;
}

/* What follows the name of a file: nothing, or what makes it a temporary or a quarantined one. */
static int starts(const char *name, const char *with)
{
	size_t n = strlen(with);

	return strncmp(name, with, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

static int names_key(const char *name)
{
	static const char epoch[] = "epoch-";
	const char *end =
		strncmp(name, epoch, sizeof epoch - 1) == 0 ? after_number(name + sizeof epoch - 1) : NULL;

	return end != NULL && starts(end, ".key");
}

static int names_own(const char *name)
{
	const char *end = after_number(name);

	return starts(name, "slots.rcok") || names_key(name) ||
	       (end != NULL && (starts(end, ".rcol") || starts(end, ".rcos") || starts(end, ".rcoe")));
}

static int is_key(const char *name, void *user_data)
{
	int *found = user_data;

	return *found = names_key(name);
}

/* A host's own folder may have a lock, too. */
static int is_lock_of_keys(const rco__fs *fs, const char *folder, const char *name)
{
	int found = 0;

	if (strcmp(name, "lock") == 0)
		(void)fs->list(fs->ctx, folder, is_key, &found);
	return found;
}

static int is_signing_key(const rco__fs *fs, const char *folder, const char *name)
{
	return starts(name, "signing.key") &&
	       (has(fs, folder, "lock", RCO__FS_FILE) || has(fs, folder, "ledger", RCO__FS_FOLDER));
}

static int is_state(const rco__fs *fs, const char *folder)
{
	return has(fs, folder, "ledger", RCO__FS_FOLDER) && has(fs, folder, "calls", RCO__FS_FOLDER) &&
	       (has(fs, folder, "lock", RCO__FS_FILE) || has(fs, folder, "signing.key", RCO__FS_FILE));
}

/* ---- what nobody could erase ---- */

static int never(const char *path, const char *why)
{
	return rco__fail(RCO_E_INVALID, "%.300s could never be erased: %s", path, why);
}

/* Of the nearest folder that is there: what is not there cannot be made in these either. */
static int is_of_kernel(const char *place)
{
	char folder[RCO__PLACE_CAP];
	struct statfs of;
	char *slash;

	(void)snprintf(folder, sizeof folder, "%s", place);
	while ((slash = strrchr(folder, '/')) != NULL) {
		*slash = '\0';
		if (statfs(folder[0] != '\0' ? folder : "/", &of) == 0)
			return of.f_type == PROC_SUPER_MAGIC || of.f_type == SYSFS_MAGIC ||
			       of.f_type == CGROUP_SUPER_MAGIC || of.f_type == CGROUP2_SUPER_MAGIC ||
			       of.f_type == DEBUGFS_MAGIC || of.f_type == TRACEFS_MAGIC ||
			       of.f_type == SECURITYFS_MAGIC;
	}
	return 0;
}

int rco__erasable_check(const char *path, const char *place, int looked)
{
	const char *name = name_in(place), *at;
	size_t n = 0;

	if (name[0] == '\0' || strcmp(name, ".") == 0)
		return never(path, "it is the name of a folder");
	/* Of a folder that is not there the system does not say that the names below it are too long. */
	for (at = place; *at != '\0' && n <= NAME_MAX; at += n + (at[n] == '/'))
		n = strcspn(at, "/");
	if (looked == RCO_E_LIMIT || n > NAME_MAX || strlen(place) >= RCO__DIR_PATH)
		return never(path, "the path, or a name in it, is longer than that of a file can be");
	return is_of_kernel(place) ? never(path, "nobody can remove what the kernel shows there") : RCO_OK;
}

/* What is told by the name alone, in whatever folder, also of other engines. */
static int check_name(const rco__fs *fs, const char *path, const char *place)
{
	static const char lock[] = ".lock";
	const char *name = name_in(place);
	size_t n = strlen(place), edge = sizeof lock - 1;
	char of[RCO__PLACE_CAP];
	int kind;

	if (names_own(name))
		return not_a_copy(path, "a file of an engine's ledger, spool or keys");
	if (rco__pool_is_rings(name))
		return not_a_copy(path, "the rings of an engine");
	if (strncmp(name, ".recoptout-", 11) == 0)
		return not_a_copy(path, "a file of the engine's own");
	if (n <= edge || n >= sizeof of || strcmp(place + n - edge, lock) != 0)
		return RCO_OK;
	memcpy(of, place, n - edge);
	of[n - edge] = '\0';
	return fs->exists(fs->ctx, of, &kind, NULL) == RCO_OK && kind == RCO__FS_OTHER
	               ? not_a_copy(path, "the lock of a socket")
	               : RCO_OK;
}

/* Also one that holds the recordings of another engine, or was output_dir once. */
static int is_output(const rco__fs *fs, const char *folder, const rco__fs_stamp *stamp, const char *output)
{
	return is_same(fs, folder, stamp, output) || has(fs, folder, RCO__DIR_STORE_FILE, RCO__FS_FILE);
}

/* Otherwise than by its recordings. `direct`: `name` is to be in it, and not further below. */
static const char *what_folder(const rco_engine *e, const char *folder, const rco__fs_stamp *stamp,
                               const char *name, int direct)
{
	const rco__fs *fs = e->env.fs;
	const char *keys = e->key_dir != NULL ? rco__key_dir_path(e->key_dir) : NULL;

	if (is_same(fs, folder, stamp, e->state_dir) || is_state(fs, folder) ||
	    (direct && is_signing_key(fs, folder, name)))
		return "in the state folder of an engine";
	if (is_same(fs, folder, stamp, keys) || (direct && is_lock_of_keys(fs, folder, name)))
		return "in the key folder of an engine";
	return has(fs, folder, "slots.rcok", RCO__FS_FILE) ? "in the spool of an engine" : NULL;
}

/* Where recordings are in the same folder, only the names tell: of the others see names_own(). */
static int names_of_state(const char *name)
{
	return strcmp(name, "lock") == 0 || strcmp(name, "id") == 0 || strcmp(name, "rings") == 0 ||
	       starts(name, "signing.key");
}

/* The nearest folder of an engine that it is in counts: output_dir may be below the state folder. */
static int check_folders(rco_session *s, const char *path, const char *place)
{
	const rco_engine *e = s->engine;
	const char *output = e->directory != NULL ? rco__directory_path(e->directory) : NULL;
	const char *name = name_in(place), *at, *what;
	char folder[RCO__PLACE_CAP];
	rco__fs_stamp stamp;
	char *slash;
	int direct = 1;

	(void)snprintf(folder, sizeof folder, "%s", place);
	for (; (slash = strrchr(folder, '/')) != NULL; direct = 0) {
		*slash = '\0';
		at = folder[0] != '\0' ? folder : "/";
		if (rco__fs_look(e->env.fs, at, &stamp) != RCO_OK)
			memset(&stamp, 0, sizeof stamp);
		what = what_folder(e, at, &stamp, name, direct);
		if (is_output(e->env.fs, at, &stamp, output) && (what == NULL || !names_of_state(name)))
			return direct ? check_output(s, path, at, name) : RCO_OK;
		if (what != NULL)
			return not_a_copy(path, what);
	}
	return RCO_OK;
}

int rco__own_file_check(rco_session *s, const char *path, const char *place, const rco__fs_stamp *stamp)
{
	int rc = check_name(s->engine->env.fs, path, place);

	if (rc == RCO_OK && stamp->kind == RCO__FS_OTHER)
		rc = not_a_copy(path, "not a regular file");
	if (rc == RCO_OK)
		rc = check_folders(s, path, place);
	if (rc == RCO_OK && stamp->kind == RCO__FS_LINKED)
		rc = check_names(s, path, stamp);
	return rc;
}

int rco__goes_up(const char *path)
{
	const char *at = path;

	while ((at = strstr(at, "/..")) != NULL) {
		if (at[3] == '/' || at[3] == '\0')
			return 1;
		at += 3;
	}
	return 0;
}
