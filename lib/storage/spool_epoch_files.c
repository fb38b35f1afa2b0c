/* SPDX-License-Identifier: MIT */
/*
 * The wrapped key of each epoch is a file of its own, written once and
 * overwritten when it is destroyed. One that is damaged stays in place, so that
 * there is no copy of it anywhere, and goes with the recordings that it was for.
 */
#include "spool_internal.h"

#include <stdio.h>
#include <string.h>

#define EPOCH_MAGIC "RCOEPOCH"
#define SUFFIX      ".rcoe"

enum {
	EPOCH_VERSION = 1,
	WRAPPED_AT = 48, /* magic 8, version 2, size 2, 0 4, number 8, time of creation 8, id of the spool 16 */
	EPOCH_BYTES = WRAPPED_AT + RCO_WRAPPED_KEY_MAX + 4
};

static void file_name(const rco__epoch *e, const char *suffix, char name[RCO__SPOOL_NAME])
{
	(void)snprintf(name, RCO__SPOOL_NAME, "%016llx%s", (unsigned long long)e->number, suffix);
}

int rco__epoch_file_put(rco_spool *spool, const rco__epoch *e, const uint8_t *wrapped, size_t size)
{
	uint8_t buf[EPOCH_BYTES] = {0};
	char name[RCO__SPOOL_NAME];
	int rc;

	memcpy(buf, EPOCH_MAGIC, 8);
	rco__put16(buf + 8, EPOCH_VERSION);
	rco__put16(buf + 10, (uint16_t)size);
	rco__put64(buf + 16, e->number);
	rco__put64(buf + 24, (uint64_t)e->made_us);
	memcpy(buf + 32, spool->id, 16);
	if (size > 0)
		memcpy(buf + WRAPPED_AT, wrapped, size);
	rco__put32(buf + WRAPPED_AT + size, rco__crc32c(0, buf, WRAPPED_AT + size));
	file_name(e, SUFFIX, name);
	rc = rco__fs_put(spool->env.fs, spool->path, name, buf, WRAPPED_AT + size + 4);
	rco_memzero(buf, sizeof buf);
	return rc;
}

static int parse(rco_spool *spool, const char *name, const uint8_t *buf, size_t size, rco__epoch *e)
{
	if (size < WRAPPED_AT + 4 || memcmp(buf, EPOCH_MAGIC, 8) != 0 ||
	    rco__get32(buf + size - 4) != rco__crc32c(0, buf, size - 4))
		return RCO_E_CORRUPT;
	if (rco__get16(buf + 8) != EPOCH_VERSION)
		return rco__fail(RCO_E_VERSION, "%s/%s was written by a newer library", spool->path, name);
	if (rco__get16(buf + 10) != size - WRAPPED_AT - 4 || rco__get64(buf + 16) != e->number)
		return RCO_E_CORRUPT;
	e->made_us = rco__time_known(rco__get64(buf + 24));
	e->own = memcmp(buf + 32, spool->id, 16) == 0;
	return RCO_OK;
}

int rco__epoch_file_get(rco_spool *spool, rco__epoch *e, uint8_t wrapped[RCO_WRAPPED_KEY_MAX], size_t *size)
{
	uint8_t buf[EPOCH_BYTES];
	char name[RCO__SPOOL_NAME];
	size_t bytes = 0;
	int rc;

	file_name(e, SUFFIX, name);
	rc = rco__fs_get(spool->env.fs, spool->path, name, buf, sizeof buf, &bytes);
	if (rc == RCO_E_LIMIT)
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK)
		rc = parse(spool, name, buf, bytes, e);
	if (rc == RCO_OK) {
		*size = bytes - WRAPPED_AT - 4;
		memcpy(wrapped, buf + WRAPPED_AT, *size);
	}
	rco_memzero(buf, sizeof buf);
	return rc;
}

int rco__epoch_file_wipe(rco_spool *spool, const rco__epoch *e)
{
	char name[RCO__SPOOL_NAME];

	file_name(e, SUFFIX, name);
	return rco__fs_wipe(spool->env.fs, spool->path, name);
}

/* ---- opening ---- */

static int damaged(rco_spool *spool, const char *name, const rco__epoch *e)
{
	atomic_fetch_add(&spool->quarantined, 1);
	rco__log(&spool->env, RCO_LOG_ERROR,
	         "%s/%s is damaged; the recordings whose keys were wrapped under this epoch, %llu, cannot be read "
	         "any more",
	         spool->path, name, (unsigned long long)e->live);
	return RCO_OK;
}

/* `e` is in the list, LOST, if a slot names it, and otherwise was added now. */
static int take_file(rco_spool *spool, const char *name, rco__epoch *e)
{
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX];
	size_t size = 0;
	int rc = rco__epoch_file_get(spool, e, wrapped, &size);

	rco_memzero(wrapped, sizeof wrapped);
	if (rc == RCO_E_CORRUPT)
		return damaged(spool, name, e);
	if (rc != RCO_OK)
		return rc;
	if (!e->own && e->live == 0) { /* its spool needs it, and may have the same provider */
		rco__epoch_remove(spool, e);
		atomic_fetch_add(&spool->quarantined, 1);
		return rco__quarantine(&spool->env, spool->path, name, spool->quarantine,
		                       "it is a key epoch of another spool");
	}
	e->state = size == 0 ? RCO__EPOCH_PLANNED : RCO__EPOCH_WAITING;
	return RCO_OK;
}

static int open_file(rco_spool *spool, uint64_t number)
{
	const rco__fs *fs = spool->env.fs;
	char name[RCO__SPOOL_NAME], path[RCO__SPOOL_PATH];
	rco__epoch *e = rco__epoch_find(spool, number), key = {.number = number};
	int kind, rc;

	file_name(&key, SUFFIX, name);
	rco__spool_file(spool, name, path);
	rc = fs->exists(fs->ctx, path, &kind, NULL);
	if (rc != RCO_OK)
		return rc;
	if (kind == RCO__FS_FOLDER || kind == RCO__FS_OTHER) {
		rco__log(&spool->env, RCO_LOG_WARN, "%s is no file and is left alone", path);
		return RCO_OK;
	}
	if (e == NULL)
		e = rco__epoch_add(spool, number, RCO__EPOCH_LOST);
	return e != NULL ? take_file(spool, name, e) : RCO_E_NO_MEMORY;
}

/* What a crash left of writing one that nothing was wrapped under yet. */
static int wipe_unfinished(rco_spool *spool)
{
	char name[RCO__SPOOL_NAME];
	uint64_t *list = NULL;
	size_t n = 0, i;
	int rc = rco__spool_numbers(spool, SUFFIX ".tmp", &list, &n);

	for (i = 0; i < n && rc == RCO_OK; i++) {
		rco__epoch key = {.number = list[i]};

		file_name(&key, SUFFIX ".tmp", name);
		rc = rco__fs_wipe(spool->env.fs, spool->path, name);
	}
	rco__release(&spool->env, list);
	return rc;
}

/* The youngest of this spool goes first: it is the one to go on with. */
static void youngest_first(rco_spool *spool)
{
	rco__epoch *e, *best = NULL, **at = &spool->epochs;

	for (e = spool->epochs; e != NULL; e = e->next)
		if (e->state == RCO__EPOCH_WAITING && e->own && (best == NULL || e->made_us > best->made_us))
			best = e;
	if (best == NULL)
		return;
	while (*at != best)
		at = &(*at)->next;
	*at = best->next;
	best->next = spool->epochs;
	spool->epochs = best;
}

int rco__epoch_files_open(rco_spool *spool)
{
	uint64_t *list = NULL;
	size_t n = 0, i;
	int rc = wipe_unfinished(spool);

	if (rc == RCO_OK)
		rc = rco__spool_numbers(spool, SUFFIX, &list, &n);
	for (i = 0; i < n && rc == RCO_OK; i++)
		rc = open_file(spool, list[i]);
	rco__release(&spool->env, list);
	youngest_first(spool);
	return rc;
}
