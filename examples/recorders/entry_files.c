/* SPDX-License-Identifier: MIT */
/* Which files are a call's, and what is known of each. */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

enum { STALE_S = 60 };

/* Lock not needed, or held: nobody else has the entry, or it is ours. */
known_file *known_add(entry *e, const char *path, const file_id *id)
{
	size_t size = strlen(path) + 1;
	known_file *k = calloc(1, sizeof *k + size);

	if (k == NULL)
		return NULL;
	memcpy(k->path, path, size);
	k->id = *id;
	k->next = e->known;
	e->known = k;
	return k;
}

known_file *known_find(entry *e, const char *path)
{
	known_file *k = e->known;

	while (k != NULL && strcmp(k->path, path) != 0)
		k = k->next;
	return k;
}

int is_accounted(const entry *e, const known_file *k, int told)
{
	const known_file *o;

	if (k->gone && k->erasing)
		return 1;
	for (o = e->known; o != NULL; o = o->next)
		if (o != k && o->path[0] == '/' && k->path[0] == '/' && k->id.birth_ns != 0 &&
		    file_same(&o->id, &k->id) && (o->gone ? o->erasing : o->told || !told))
			return 1;
	return 0;
}

int was_seen(entry *e, const rec_call *part)
{
	const known_file *k;

	(void)pthread_mutex_lock(&e->g->lock);
	for (k = e->known; k != NULL && !e->g->o.adapter->owns(&e->g->o.settings, part, k->path);)
		k = k->next;
	(void)pthread_mutex_unlock(&e->g->lock);
	return k != NULL;
}

static int owns(const entry *e, const char *path)
{
	size_t i;

	for (i = 0; i < e->n_parts; i++)
		if (e->g->o.adapter->owns(&e->g->o.settings, &e->parts[i], path))
			return 1;
	return 0;
}

/* Lock held. An earlier call left it, and it has not changed since. */
static int is_left_over(entry *e, const char *path, const file_id *id)
{
	int64_t latest = id->birth_ns > id->mtime_ns ? id->birth_ns : id->mtime_ns;
	entry *o;

	if (latest < e->since_ns - STALE_S * SECOND_NS)
		return 1;
	for (o = e->g->calls; o != NULL && id->mtime_ns < e->since_ns; o = o->next) {
		const known_file *k = o->number < e->number ? known_find(o, path) : NULL;

		if (k != NULL && !k->gone && file_same(&k->id, id))
			return 1;
	}
	return 0;
}

int is_ours(entry *e, const char *path, const file_id *id)
{
	const known_file *k = known_find(e, path);
	int64_t earliest = id->birth_ns != 0 && id->birth_ns < id->mtime_ns ? id->birth_ns : id->mtime_ns;
	const entry *newer;

	for (newer = e->g->calls; newer != NULL && (newer->number <= e->number || !owns(newer, path));)
		newer = newer->next;
	if (path[0] != '/')
		return newer == NULL;
	if (newer != NULL &&
	    (id->birth_ns >= newer->since_ns || (e->ended_ns != 0 && id->mtime_ns >= newer->since_ns)))
		return 0;
	if (is_left_over(e, path, id))
		return 0;
	/* What came after the end under a name that the call had before is another's; under a new name it is a
	 * copy that took its time, and so is what was written before the end. */
	if (e->ended_ns == 0 || k == NULL || (!k->gone && file_same(&k->id, id)))
		return 1;
	return earliest < e->ended_ns;
}

static int names_file(const entry *e, const char *value)
{
	size_t i, v;

	for (i = 0; i < e->n_parts; i++)
		for (v = 0; v < e->parts[i].n; v++)
			if (strcmp(e->parts[i].given[v].key, "file") == 0 &&
			    strcmp(e->parts[i].given[v].value, value) == 0)
				return 1;
	return 0;
}

/* Two calls with one handle and the same files are two who are in one recording. */
static int records_elsewhere(const entry *e, const rec_call *part)
{
	size_t v;

	for (v = 0; v < part->n; v++)
		if (strcmp(part->given[v].key, "file") == 0 && !names_file(e, part->given[v].value))
			return 1;
	return 0;
}

/* Lock held. Was `other` announced with a handle of `e`, for another recording? */
static int shares(const entry *e, const entry *other)
{
	const rec_adapter *a = e->g->o.adapter;
	const rec_settings *s = &e->g->o.settings;
	size_t i, k;

	for (i = 0; i < e->n_parts && other != e; i++)
		for (k = 0; k < other->n_parts; k++)
			if (strcmp(a->handle(s, &e->parts[i]), a->handle(s, &other->parts[k])) == 0 &&
			    records_elsewhere(e, &other->parts[k]))
				return 1;
	return 0;
}

int has_own_only(entry *e)
{
	const entry *o;
	int own;

	(void)pthread_mutex_lock(&e->g->lock);
	own = e->ended_ns != 0;
	for (o = e->g->calls; o != NULL && !own; o = o->next)
		own = (o->number > e->number || o->ended_ns == 0) && shares(e, o);
	(void)pthread_mutex_unlock(&e->g->lock);
	return own;
}

static void note_once(entry *e, const char *what, const char *why)
{
	int news;

	(void)pthread_mutex_lock(&e->g->lock);
	news = strcmp(e->why, why) != 0;
	(void)snprintf(e->why, sizeof e->why, "%s", why);
	(void)pthread_mutex_unlock(&e->g->lock);
	if (news)
		note(e->parts[0].id, what, why);
}

/* To the library, which erases it after an objection. */
static int tell(entry *e, const char *path)
{
	const char *call_id = e->parts[0].id;
	int rc = e->session != NULL
	                 ? rco_session_register_artifact(e->session, RCO_KIND_AUDIO, path, NULL)
	                 : rco_engine_register_artifact(e->g->engine, call_id, RCO_KIND_AUDIO, path, NULL);

	if (rc == RCO_E_NOT_FOUND && e->opted_out && !e->early && entry_revive(e) == RCO_OK)
		rc = rco_session_register_artifact(e->session, RCO_KIND_AUDIO, path, NULL);
	if (rc < 0 && rc != RCO_E_ENDED && rc != RCO_E_NOT_FOUND)
		note_once(e, path, rco_error_detail());
	/* A call that was kept and is stored needs it no more. */
	return rc >= 0 || rc == RCO_E_ENDED;
}

/* Lock held. Remembers it; 1 if the library has to be told. */
static int is_news(entry *e, const char *path, const file_id *id)
{
	known_file *k = known_find(e, path);
	int again;

	if (k == NULL)
		k = known_add(e, path, id);
	else if (!k->gone && file_same(&k->id, id))
		return !k->told;
	if (k == NULL)
		return 0; /* no memory: with the next look */
	again = e->opted_out && e->clear;
	k->id = *id;
	k->gone = k->erasing = 0;
	k->told = k->told && !e->opted_out;
	if (again) { /* it is being recorded again, or copied: stopped first, then erased */
		e->clear = 0;
		e->wanted++;
		e->failures = 0;
		e->again_ms = 0;
	}
	return again ? 2 : 1;
}

/* One that the library does not know, after an objection: what is missing, and what has gone unseen by it. */
static int next_untold(entry *e, char path[PATH_ROOM])
{
	known_file *k = NULL;

	(void)pthread_mutex_lock(&e->g->lock);
	if (e->opted_out && !e->early)
		for (k = e->known;
		     k != NULL && (k->told || is_accounted(e, k, 0) || !(k->gone || is_missing(k->path)));)
			k = k->next;
	if (k != NULL) {
		k->told = 1; /* once; if it fails, with the next process */
		(void)snprintf(path, PATH_ROOM, "%s", k->path);
	}
	(void)pthread_mutex_unlock(&e->g->lock);
	return k != NULL;
}

/* ---- what is found ---- */

void discards(const char *path, void *arg)
{
	entry *e = arg;
	known_file *k;

	(void)pthread_mutex_lock(&e->g->lock);
	k = known_find(e, path);
	if (k == NULL)
		k = known_add(e, path, &(file_id){0});
	if (k != NULL)
		k->erasing = 1;
	e->dirty = 1;
	(void)pthread_mutex_unlock(&e->g->lock);
}

void found(const char *path, void *arg)
{
	entry *e = arg;
	gateway *g = e->g;
	char why[WHY_MAX] = "";
	file_id id = {0};
	file_state state = path[0] == '/' ? file_look(g->o.settings.dir, path, &id, why) : FILE_THERE;
	known_file *k;
	int news = 0;

	if (is_missing(path))
		miss(e, path);
	if (is_missing(path) || state == FILE_GONE)
		return;
	(void)pthread_mutex_lock(&g->lock);
	if (state != FILE_THERE)
		e->odd = 1;
	else if (is_ours(e, path, &id))
		news = is_news(e, path, &id);
	(void)pthread_mutex_unlock(&g->lock);
	if (state != FILE_THERE)
		note_once(e, "it cannot be erased", why);
	if (news == 0 || e->early)
		return;
	if (news == 2)
		note(e->parts[0].id, "there is a file again after the objection", path);
	if (tell(e, path)) {
		(void)pthread_mutex_lock(&g->lock);
		k = known_find(e, path);
		if (k != NULL)
			k->told = 1;
		e->dirty = 1; /* not here: a stop may be waiting for this */
		(void)pthread_mutex_unlock(&g->lock);
	}
	if (news == 2)
		wake(g);
}

void look(entry *e)
{
	char path[PATH_ROOM];
	size_t i;

	while (next_untold(e, path)) /* first, so that nothing is called erased before */
		(void)tell(e, path);
	for (i = 0; i < e->n_parts; i++)
		e->g->o.adapter->files(&e->g->o.settings, &e->parts[i], found, e);
}

/* ---- what is written by its handle ---- */

int is_mine(const char *path, void *arg)
{
	entry *e = arg;
	gateway *g = e->g;
	file_id id = {0};
	char ignored[WHY_MAX];
	int mine;

	if (path[0] == '/' && file_look(g->o.settings.dir, path, &id, ignored) != FILE_THERE)
		return 0;
	(void)pthread_mutex_lock(&g->lock);
	mine = (known_find(e, path) != NULL || owns(e, path)) && is_ours(e, path, &id);
	(void)pthread_mutex_unlock(&g->lock);
	return mine;
}

/* The i-th that is known of it; 0 if there are no more. */
static int known_path(entry *e, size_t i, char path[PATH_ROOM])
{
	const known_file *k;

	(void)pthread_mutex_lock(&e->g->lock);
	for (k = e->known; k != NULL && i > 0; i--)
		k = k->next;
	(void)snprintf(path, PATH_ROOM, "%s", k != NULL ? k->path : "");
	(void)pthread_mutex_unlock(&e->g->lock);
	return path[0] != '\0';
}

static int any_written(entry *e)
{
	int any = 0;
	char path[PATH_ROOM], ignored[WHY_MAX];
	file_id id;
	size_t i;

	look(e);
	for (i = 0; known_path(e, i, path) && any != 1; i++) {
		file_use use;

		if (path[0] != '/' || !is_mine(path, e) ||
		    file_look(e->g->o.settings.dir, path, &id, ignored) != FILE_THERE)
			continue;
		use = file_is_written(e->g->o.settings.dir, path, &id);
		any = use == FILE_BUSY ? 1 : use == FILE_USE_UNKNOWN ? -1 : any;
	}
	return any;
}

int is_written(void *arg)
{
	entry *e = arg, *o;
	int written = any_written(e);

	for (o = entry_next(e->g, NULL); o != NULL; o = entry_next(e->g, o)) {
		int other;

		(void)pthread_mutex_lock(&e->g->lock);
		other = shares(e, o) && (o->number > e->number || o->ended_ns == 0);
		(void)pthread_mutex_unlock(&e->g->lock);
		if (other && written != 0 && (written < 0 || any_written(o) != 0))
			written = 0;
	}
	return written;
}

/* By now it may be another call that records there; and what lay there before the call is none of it. */
void learned(const char *path, void *arg)
{
	entry *e = arg;
	const char *dir = e->g->o.settings.dir;
	file_id id = {0};
	char ignored[WHY_MAX];
	int named;

	(void)pthread_mutex_lock(&e->g->lock);
	named = owns(e, path);
	(void)pthread_mutex_unlock(&e->g->lock);
	if (!named && has_own_only(e))
		return;
	if (!named && path[0] == '/' && file_look(dir, path, &id, ignored) == FILE_THERE &&
	    id.birth_ns < e->since_ns && id.mtime_ns < e->since_ns && file_is_written(dir, path, &id) != FILE_BUSY)
		return;
	found(path, e);
}
