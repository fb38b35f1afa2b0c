/* SPDX-License-Identifier: MIT */
/* The ledger's files: names, making them, reading them, removing them. */
#include "ledger_internal.h"

#include <inttypes.h>
#include <stdio.h>

void rco__ledger_name(uint64_t number, char out[22])
{
	(void)snprintf(out, 22, "%016" PRIx64 ".rcol", number);
}

int rco__ledger_path(const rco__ledger *ledger, uint64_t number, char *out)
{
	char name[22];

	rco__ledger_name(number, name);
	return rco__path_join(out, RCO__LEDGER_PATH, ledger->dir, name);
}

static int spare_path(const rco__ledger *ledger, uint64_t id, char *out)
{
	char name[40];

	(void)snprintf(name, sizeof name, "spare-%" PRIu64 ".tmp", id);
	return rco__path_join(out, RCO__LEDGER_PATH, ledger->dir, name);
}

/* A new file full of zeros under `path`, so that appending later allocates nothing and changes no metadata. */
static int make_blank(const rco__ledger *ledger, const char *path, int *fd)
{
	const rco__fs *fs = ledger->env.fs;
	int rc;

	rc = fs->open(fs->ctx, path, RCO__FS_CREATE_TRUNCATE, fd);
	if (rc != RCO_OK)
		return rc;
	rc = rco__fs_blank(fs, *fd, 0, ledger->file_bytes);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, *fd);
	if (rc == RCO_OK)
		return RCO_OK;
	(void)fs->close(fs->ctx, *fd);
	(void)fs->unlink(fs->ctx, path);
	return rc;
}

int rco__ledger_file_spare(rco__ledger *ledger)
{
	char path[RCO__LEDGER_PATH];
	uint64_t id;
	int rc, fd;

	pthread_mutex_lock(&ledger->mutex);
	if (ledger->spare_fd >= 0) {
		pthread_mutex_unlock(&ledger->mutex);
		return RCO_OK;
	}
	id = ++ledger->blanks;
	pthread_mutex_unlock(&ledger->mutex);

	rc = spare_path(ledger, id, path);
	if (rc == RCO_OK)
		rc = make_blank(ledger, path, &fd);
	if (rc != RCO_OK)
		return rc;
	pthread_mutex_lock(&ledger->mutex);
	ledger->spare_fd = fd;
	ledger->spare_id = id;
	pthread_mutex_unlock(&ledger->mutex);
	return RCO_OK;
}

/* The spare if there is one, else a blank file made now: its descriptor and its temporary path. */
static int take_blank(rco__ledger *ledger, char *path, int *fd)
{
	uint64_t id;
	int rc;

	pthread_mutex_lock(&ledger->mutex);
	*fd = ledger->spare_fd;
	ledger->spare_fd = -1;
	/* A number of its own: maintenance may be making a spare at this moment. */
	id = *fd >= 0 ? ledger->spare_id : ++ledger->blanks;
	pthread_mutex_unlock(&ledger->mutex);

	rc = spare_path(ledger, id, path);
	if (rc != RCO_OK || *fd >= 0)
		return rc;
	return make_blank(ledger, path, fd);
}

static int name_file(rco__ledger *ledger, const char *from, int fd, const rco__ledger_header *header)
{
	const rco__fs *fs = ledger->env.fs;
	uint8_t bytes[RCO__LEDGER_HEADER_BYTES];
	char path[RCO__LEDGER_PATH];
	int rc;

	rco__ledger_header_encode(header, bytes);
	rc = rco__ledger_path(ledger, header->number, path);
	if (rc == RCO_OK)
		rc = fs->write(fs->ctx, fd, bytes, sizeof bytes, 0);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, fd);
	if (rc == RCO_OK)
		rc = fs->rename(fs->ctx, from, path);
	if (rc != RCO_OK) {
		(void)fs->unlink(fs->ctx, from);
		return rc;
	}
	rc = fs->sync_dir(fs->ctx, ledger->dir);
	if (rc != RCO_OK)
		(void)fs->unlink(fs->ctx, path);
	return rc;
}

int rco__ledger_file_fresh(rco__ledger *ledger, const uint8_t prev_hash[RCO__LEDGER_HASH])
{
	const rco__fs *fs = ledger->env.fs;
	rco__ledger_header header = {0};
	char path[RCO__LEDGER_PATH];
	int rc, fd;

	header.created_us = rco__wall_us(&ledger->env);
	header.file_bytes = ledger->file_bytes;
	memcpy(header.prev_hash, prev_hash, RCO__LEDGER_HASH);
	rc = take_blank(ledger, path, &fd);
	if (rc != RCO_OK)
		return rc;
	pthread_mutex_lock(&ledger->mutex);
	header.number = ledger->next_number++;
	rc = rco__ledger_file_add(ledger, header.number, &header);
	pthread_mutex_unlock(&ledger->mutex);
	if (rc != RCO_OK) {
		(void)fs->unlink(fs->ctx, path);
		(void)fs->close(fs->ctx, fd);
		return rc;
	}
	rc = name_file(ledger, path, fd, &header);
	if (rc != RCO_OK) {
		(void)fs->close(fs->ctx, fd);
		pthread_mutex_lock(&ledger->mutex);
		rco__ledger_file_forget(ledger, header.number);
		pthread_mutex_unlock(&ledger->mutex);
		return rc;
	}
	ledger->fd = fd;
	ledger->number = header.number;
	ledger->offset = RCO__LEDGER_HEADER_BYTES;
	ledger->holds_durable = 0;
	return RCO_OK;
}

/* A block that the disk cannot give back must not cost the entries in all others. */
static int read_blocks(const rco__fs *fs, int fd, uint8_t *buf, size_t size)
{
	size_t at, got, step;
	int bad = 0;

	for (at = 0; at < size; at += step) {
		step = size - at < 4096 ? size - at : 4096;
		got = 0;
		if (fs->read(fs->ctx, fd, buf + at, step, at, &got) != RCO_OK || got < step) {
			memset(buf + at, 0, step);
			bad++;
		}
	}
	return bad;
}

int rco__ledger_file_load(const rco__ledger *ledger, uint64_t number, uint8_t **buf, size_t *size, int *unreadable)
{
	const rco__fs *fs = ledger->env.fs;
	char path[RCO__LEDGER_PATH];
	uint64_t bytes = 0;
	size_t got = 0;
	int rc, fd;

	*buf = NULL;
	*size = 0;
	*unreadable = 0;
	rc = rco__ledger_path(ledger, number, path);
	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_READ, &fd);
	/* Too few descriptors, a folder that is not ours: no reason to take the file for damaged. */
	if (rc != RCO_OK)
		return rc;
	rc = fs->size(fs->ctx, fd, &bytes);
	if (rc != RCO_OK) { /* nor is this one for taking it for empty */
		(void)fs->close(fs->ctx, fd);
		return rc;
	}
	if (bytes > RCO__LEDGER_FILE_MAX) {
		bytes = RCO__LEDGER_FILE_MAX;
		*unreadable = 1;
	}
	*buf = rco__zalloc(&ledger->env, 1, (size_t)bytes + 1);
	if (!*buf) {
		(void)fs->close(fs->ctx, fd);
		return rco__fail(RCO_E_NO_MEMORY, "no memory to read %s (%" PRIu64 " bytes)", path, bytes);
	}
	*size = (size_t)bytes;
	if (fs->read(fs->ctx, fd, *buf, *size, 0, &got) != RCO_OK || got < *size)
		*unreadable += read_blocks(fs, fd, *buf, *size);
	(void)fs->close(fs->ctx, fd);
	return RCO_OK;
}

rco__ledger_file *rco__ledger_file_find(rco__ledger *ledger, uint64_t number)
{
	size_t i = ledger->file_count;

	while (i-- > 0) {
		if (ledger->files[i].number == number)
			return &ledger->files[i];
	}
	return NULL;
}

int rco__ledger_file_add(rco__ledger *ledger, uint64_t number, const rco__ledger_header *header)
{
	rco__ledger_file *file;

	if (ledger->file_count == ledger->file_capacity) {
		size_t capacity = ledger->file_capacity > 0 ? ledger->file_capacity * 2 : 16;

		file = rco__resize(&ledger->env, ledger->files, capacity * sizeof *file);
		if (!file)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for the list of ledger files");
		ledger->files = file;
		ledger->file_capacity = capacity;
	}
	file = &ledger->files[ledger->file_count++];
	memset(file, 0, sizeof *file);
	file->number = number;
	if (header) {
		file->header = *header;
		file->header_ok = 1;
		file->newest_us = header->created_us;
	}
	return RCO_OK;
}

/* Subjects that began in the file that goes: what is left of them is in later files. */
static void move_subjects(rco__ledger *ledger, uint64_t from, rco__ledger_file *to)
{
	rco__ledger_subjects *set = &ledger->subjects;
	size_t i;

	if (!to) { /* cannot happen, a newer file is always there; then nothing is deleted any more */
		ledger->blind = 1;
		return;
	}
	for (i = 0; i < set->capacity; i++) {
		if (set->slots[i].oldest == from) {
			set->slots[i].oldest = to->number;
			to->open++;
		}
	}
}

void rco__ledger_file_forget(rco__ledger *ledger, uint64_t number)
{
	rco__ledger_file *file = rco__ledger_file_find(ledger, number);
	size_t i;

	if (!file)
		return;
	i = (size_t)(file - ledger->files);
	if (file->open > 0)
		move_subjects(ledger, number, i + 1 < ledger->file_count ? file + 1 : NULL);
	memmove(file, file + 1, (ledger->file_count - i - 1) * sizeof *file);
	ledger->file_count--;
}

int rco__ledger_file_unlink(rco__ledger *ledger, uint64_t number)
{
	const rco__fs *fs = ledger->env.fs;
	char path[RCO__LEDGER_PATH];
	int rc;

	rc = rco__ledger_path(ledger, number, path);
	if (rc == RCO_OK)
		rc = fs->unlink(fs->ctx, path);
	if (rc != RCO_OK && rc != RCO_E_NOT_FOUND)
		return rc;
	/* Each by itself: were a later file's removal to reach the disk first, a subject that it closed would be
	 * open again after a power failure. */
	return fs->sync_dir(fs->ctx, ledger->dir);
}
