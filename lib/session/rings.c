/* SPDX-License-Identifier: MIT */
/*
 * Which file the rings are in. The state folder names it: "id" the file, "rings" the paths of all that may be
 * there, so that those in a folder that is configured no more are found, too. What a killed process left in one of
 * these is moved to where the rings are now: nobody else would erase it, or keep it. It goes from the earlier
 * place only when the ledger knows what it said, since rings in private memory would not outlive a crash.
 */
#include "calls.h"
#include "facts.h"
#include "recover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RINGS_FILE "rings"

enum { LINES = 4 };

/* Paths of files with rings. */
typedef struct ring_files {
	char line[LINES][RCO__PLACE_CAP];
	int n;
} ring_files;

enum { ID_TRIES = 3, RINGS_NAME = RCO_ID_TEXT + 32 };

/* What names the rings of the process before. RCO_E_NOT_FOUND if nothing does. */
static int read_id(rco_engine *engine, char out[RCO_ID_TEXT + 1])
{
	const rco__fs *fs = engine->env.fs;
	uint8_t id[16];
	size_t size = 0;
	int rc = rco__fs_get(fs, engine->state_dir, "id", out, RCO_ID_TEXT, &size);

	if (rc == RCO_OK && size == RCO_ID_TEXT) {
		out[RCO_ID_TEXT] = '\0';
		if (rco__uuid_parse(out, id) == RCO_OK)
			return RCO_OK;
	} else if (rc != RCO_OK && rc != RCO_E_LIMIT) {
		return rc;
	}
	rc = rco__quarantine(&engine->env, engine->state_dir, "id", engine->quarantine_dir,
	                     "it is not an id; rings of an earlier process are not found any more");
	return rc == RCO_OK ? rco__fail(RCO_E_NOT_FOUND, "the id was damaged") : rc;
}

static void rings_name(const char id[RCO_ID_TEXT + 1], char name[RINGS_NAME])
{
	(void)snprintf(name, RINGS_NAME, "recoptout-%s.rings", id);
}

/* ---- which there may be ---- */

static int is_listed(const ring_files *files, const char *path)
{
	int i;

	for (i = 0; i < files->n; i++)
		if (strcmp(files->line[i], path) == 0)
			return 1;
	return 0;
}

static void add(ring_files *files, const char *path)
{
	if (files->n < LINES && !is_listed(files, path) && strchr(path, '\n') == NULL)
		(void)snprintf(files->line[files->n++], sizeof files->line[0], "%s", path);
}

/* Without links, so that two spellings are one. */
static void add_in(rco_engine *engine, ring_files *files, const char *dir, const char *name)
{
	const rco__fs *fs = engine->env.fs;
	char path[RCO__PLACE_CAP], place[RCO__PLACE_CAP];

	if (rco__path_join(path, sizeof path, dir, name) == RCO_OK &&
	    fs->resolve(fs->ctx, path, RCO__FS_PLACE, place, sizeof place) == RCO_OK)
		add(files, place);
}

static void add_current(rco_engine *engine, ring_files *files, const char *dir)
{
	char id[RCO_ID_TEXT + 1], name[RINGS_NAME];

	if (dir == NULL || read_id(engine, id) != RCO_OK)
		return;
	rings_name(id, name);
	add_in(engine, files, dir, name);
}

static int read_files(rco_engine *engine, const rco_engine_config *c, ring_files *files)
{
	char text[LINES * (RCO__PLACE_CAP + 1)], *line, *rest = NULL;
	size_t size = 0;
	int rc = rco__fs_get(engine->env.fs, engine->state_dir, RINGS_FILE, text, sizeof text - 1, &size);

	files->n = 0;
	if (rc == RCO_E_NOT_FOUND) { /* of an earlier version, which did not say which folder it was */
		add_current(engine, files, c->ring_dir);
		add_current(engine, files, "/dev/shm");
		return RCO_OK;
	}
	if (rc == RCO_E_LIMIT)
		return rco__quarantine(&engine->env, engine->state_dir, RINGS_FILE, engine->quarantine_dir,
		                       "it names no rings; those in an earlier ring_dir are not found any more");
	if (rc != RCO_OK)
		return rc;
	text[size] = '\0';
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (line[0] == '/' && strlen(line) < RCO__PLACE_CAP && rco__pool_is_rings(strrchr(line, '/') + 1))
			add(files, line);
	return RCO_OK;
}

static int write_files(rco_engine *engine, const ring_files *files)
{
	char text[LINES * (RCO__PLACE_CAP + 1)];
	size_t size = 0;
	int i;

	for (i = 0; i < files->n; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, "%s\n", files->line[i]);
	return rco__fs_put(engine->env.fs, engine->state_dir, RINGS_FILE, text, size);
}

/* ---- where they are now ---- */

/*
 * What a killed process left. Rings that another engine has are those of the folder that this one was copied from;
 * those that are not ours at all were put there by another user. Neither is touched.
 */
static int take_rings(rco_engine *engine, const char *dir)
{
	char id[RCO_ID_TEXT + 1], name[RINGS_NAME];
	uint64_t damaged = 0;
	int rc = read_id(engine, id);

	if (rc != RCO_OK)
		return rc;
	rings_name(id, name);
	rc = rco__pool_take(&engine->env, dir, name, &damaged, &engine->pool);
	atomic_fetch_add(&engine->quarantined, damaged);
	if (rc != RCO_E_BUSY && rc != RCO_E_PERMISSION)
		return rc;
	rco__log(&engine->env, RCO_LOG_WARN, "the rings %s/%s are left alone: %s", dir, name, rco_error_detail());
	return RCO_E_NOT_FOUND;
}

/* Under a name that nobody knows before, and that is in the state folder before the file is there. */
static int make_rings(rco_engine *engine, const char *dir, uint64_t bytes, const ring_files *others)
{
	char text[RCO_ID_TEXT + 1], name[RINGS_NAME];
	ring_files files;
	uint8_t id[16];
	int i, k, rc = RCO_E_STATE;

	for (i = 0; i < ID_TRIES && (rc == RCO_E_STATE || rc == RCO_E_BUSY); i++) {
		rco__uuid_new(id);
		rco__uuid_text(id, text);
		rings_name(text, name);
		files.n = 0;
		add_in(engine, &files, dir, name);
		for (k = 0; k < others->n; k++)
			add(&files, others->line[k]);
		rc = write_files(engine, &files);
		if (rc == RCO_OK)
			rc = rco__fs_put(engine->env.fs, engine->state_dir, "id", text, RCO_ID_TEXT);
		if (rc == RCO_OK)
			rc = rco__pool_make(&engine->env, dir, name, bytes, &engine->pool);
	}
	return rc;
}

static int open_pool(rco_engine *engine, const char *dir, uint64_t bytes, const ring_files *others)
{
	int fd, rc;

	if (dir == NULL)
		return rco__pool_make(&engine->env, NULL, NULL, bytes, &engine->pool);
	/* Before anything else: a new id, for a folder that is refused, would hide what is there. */
	rc = rco__pool_folder(dir, &fd);
	if (fd >= 0)
		(void)close(fd); /* nothing can be written through it */
	if (rc == RCO_OK)
		rc = take_rings(engine, dir);
	return rc == RCO_E_NOT_FOUND ? make_rings(engine, dir, bytes, others) : rc;
}

/* ---- where they were ---- */

struct rco__left_rings {
	rco__pool *pool[LINES];
	int n;
	ring_files known; /* what the state folder says */
	ring_files old;   /* where they were */
	ring_files now;   /* where they are; and what cannot be looked at */
};

/*
 * The rings of another folder that a killed process left. A folder that is gone took them with it, and what
 * another engine has is its own. What cannot be looked at stays in the list, and is told with each start.
 */
static void take_left(rco_engine *engine, const char *path, rco__left_rings *left)
{
	char dir[RCO__PLACE_CAP];
	uint64_t damaged = 0;
	struct stat st;
	char *slash;
	int rc;

	(void)snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	if (stat(dir[0] != '\0' ? dir : "/", &st) != 0 && errno == ENOENT)
		return;
	add(&left->old, path);
	rc = rco__pool_take(&engine->env, dir[0] != '\0' ? dir : "/", slash + 1, &damaged, &left->pool[left->n]);
	atomic_fetch_add(&engine->quarantined, damaged);
	if (rc == RCO_OK)
		left->n++;
	if (rc == RCO_OK || rc == RCO_E_NOT_FOUND)
		return;
	rco__log(&engine->env, RCO_LOG_WARN, "rings of an earlier configuration, %s, are left alone: %s", path,
	         rco_error_detail());
	if (rc != RCO_E_BUSY)
		add(&left->now, path);
}

/* As much as was left has to fit, too. */
static uint64_t bytes_for(const rco_engine *engine, const rco__left_rings *left)
{
	uint64_t bytes = 0;
	int i;

	for (i = 0; i < left->n; i++)
		bytes += rco__pool_bytes(left->pool[i]);
	return bytes > engine->cfg.ring_pool_bytes ? bytes : engine->cfg.ring_pool_bytes;
}

static int open_all(rco_engine *engine, const rco_engine_config *c, rco__left_rings *left)
{
	const char *folder = c->ring_dir != NULL ? c->ring_dir : "/dev/shm";
	const char *dir = engine->cfg.flags & RCO_ENGINE_PRIVATE_RINGS ? NULL : folder;
	ring_files here = {.n = 0};
	int i, rc = read_files(engine, c, &left->known);

	if (rc != RCO_OK)
		return rc;
	add_current(engine, &here, dir);
	for (i = 0; i < left->known.n; i++)
		if (!is_listed(&here, left->known.line[i]))
			take_left(engine, left->known.line[i], left);
	rc = open_pool(engine, dir, bytes_for(engine, left), &left->old);
	for (i = 0; i < left->n && rc == RCO_OK; i++)
		rc = rco__pool_copy(left->pool[i], engine->pool);
	if (rc != RCO_OK)
		return rc;
	add_current(engine, &left->now, dir);
	rco__pool_notify_left(&engine->env, folder);
	engine->map = rco__pool_map_of(engine->pool);
	return RCO_OK;
}

int rco__rings_open(rco_engine *engine, const rco_engine_config *c)
{
	engine->left_rings = rco__zalloc(&engine->env, 1, sizeof *engine->left_rings);
	if (engine->left_rings == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the rings");
	return open_all(engine, c, engine->left_rings);
}

/* What only a ring told of an objection: the next process has to know it from the ledger. */
static int make_durable(rco_engine *engine)
{
	rco_session *s;
	int rc = RCO_OK;

	/* No worker runs yet, and nobody else knows of these sessions. */
	for (s = engine->all; s != NULL && rc == RCO_OK; s = s->all_next)
		if (rco__session_urgent(s))
			rc = rco__tombstone(s);
	return rc;
}

int rco__rings_settle(rco_engine *engine)
{
	rco__left_rings *left = engine->left_rings;
	int i, rc = left->n > 0 ? make_durable(engine) : RCO_OK;

	for (i = 0; i < left->n && rc == RCO_OK; i++)
		rco__pool_empty(left->pool[i]);
	/* One that is named and gone is no harm. */
	if (rc == RCO_OK && (left->now.n > 0 || left->known.n > 0) && write_files(engine, &left->now) != RCO_OK)
		rco__log(&engine->env, RCO_LOG_WARN, "the list of rings stays as it was: %s", rco_error_detail());
	rco__rings_left_free(engine);
	return rc;
}

void rco__rings_left_free(rco_engine *engine)
{
	rco__left_rings *left = engine->left_rings;
	int i;

	if (left == NULL)
		return;
	for (i = 0; i < left->n; i++) {
		rco__pool_close(left->pool[i]); /* removes the file if nothing is in it */
		rco__pool_free(left->pool[i]);
	}
	rco__release(&engine->env, left);
	engine->left_rings = NULL;
}
