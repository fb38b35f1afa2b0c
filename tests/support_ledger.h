/* SPDX-License-Identifier: MIT */
/* For the tests of the ledger room: a folder, a clock, and a file system that counts, fails and holds. */
#ifndef TESTS_SUPPORT_LEDGER_H
#define TESTS_SUPPORT_LEDGER_H

#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/base/bytes.h"
#include "../lib/base/env.h"
#include "../lib/base/error.h"
#include "../lib/ledger/ledger_internal.h"

enum { L_PATH = 512 };

typedef struct l_fs {
	t_disk disk;   /* its marks: a write or sync of this descriptor has failed */
	int skip_sync; /* do not wait for the disk in loops of thousands of files */
	atomic_uint syncs, writes, dir_syncs, unlinks;
	atomic_uint fail_syncs, fail_writes; /* the next so many fail ... */
	atomic_int fail_code;                /* ... with this */
	atomic_uint touched_bad;             /* writes and syncs of a descriptor that had failed */
	atomic_int fail_reads;               /* reads of 4096 bytes at offset 4096 fail */
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int hold, held; /* the n-th sync from now waits until l_fs_let_go() */
} l_fs;

static inline int l_take(atomic_uint *counter)
{
	unsigned left = atomic_load(counter);

	while (left > 0) {
		if (atomic_compare_exchange_weak(counter, &left, left - 1))
			return 1;
	}
	return 0;
}

static inline void l_wait_if_held(l_fs *fs)
{
	pthread_mutex_lock(&fs->mutex);
	if (fs->hold > 0 && --fs->hold == 0) {
		fs->held = 1;
		pthread_cond_broadcast(&fs->cond);
		while (fs->held)
			pthread_cond_wait(&fs->cond, &fs->mutex);
	}
	pthread_mutex_unlock(&fs->mutex);
}

/* A write that fails is half there, as on a real disk. */
static inline int l_fs_asked(t_demand *d, void *user_data)
{
	l_fs *fs = user_data;
	int fails = 0;

	switch (d->kind) {
	case T_DISK_READ:
		fails = atomic_load(&fs->fail_reads) && d->offset <= 4096 && d->offset + d->size > 4096;
		return fails ? rco__fail(RCO_E_IO, "injected: a block cannot be read") : RCO_OK;
	case T_DISK_WRITE:
		atomic_fetch_add(&fs->writes, 1);
		fails = l_take(&fs->fail_writes);
		d->done = T_DISK_HALF * fails;
		break;
	case T_DISK_SYNC:
		l_wait_if_held(fs);
		atomic_fetch_add(&fs->syncs, 1);
		fails = l_take(&fs->fail_syncs);
		break;
	case T_DISK_SYNC_DIR:
		atomic_fetch_add(&fs->dir_syncs, 1);
		break;
	case T_DISK_UNLINK:
		atomic_fetch_add(&fs->unlinks, 1);
		break;
	default:
		break;
	}
	d->skip = fs->skip_sync && !fails && t_is_sync(d);
	if (d->kind == T_DISK_WRITE || d->kind == T_DISK_SYNC)
		atomic_fetch_add(&fs->touched_bad, d->mark);
	if (fails)
		d->mark = 1;
	return fails ? rco__fail(atomic_load(&fs->fail_code), "injected: %s",
	                         d->kind == T_DISK_WRITE ? "write" : "sync")
	             : RCO_OK;
}

static inline void l_fs_init(l_fs *fs)
{
	memset(fs, 0, sizeof *fs);
	t_disk_init(&fs->disk, NULL, l_fs_asked, fs);
	pthread_mutex_init(&fs->mutex, NULL);
	pthread_cond_init(&fs->cond, NULL);
}

static inline void l_fs_wait_held(l_fs *fs)
{
	pthread_mutex_lock(&fs->mutex);
	while (!fs->held)
		pthread_cond_wait(&fs->cond, &fs->mutex);
	pthread_mutex_unlock(&fs->mutex);
}

static inline void l_fs_hold(l_fs *fs, int nth)
{
	pthread_mutex_lock(&fs->mutex);
	fs->hold = nth;
	pthread_mutex_unlock(&fs->mutex);
}

static inline void l_fs_let_go(l_fs *fs)
{
	pthread_mutex_lock(&fs->mutex);
	fs->held = 0;
	pthread_cond_broadcast(&fs->cond);
	pthread_mutex_unlock(&fs->mutex);
}

/* ---- a world ---- */

typedef struct l_seen {
	uint16_t type, flags;
	uint8_t subject;
	uint64_t seq;
	int64_t time_us;
	uint32_t tag; /* the first four bytes of the payload */
} l_seen;

typedef struct l_world {
	char root[128], dir[L_PATH], quarantine[L_PATH];
	l_fs fs;
	_Atomic int64_t now_us;
	rco_clock clock;
	rco__ledger_options options;
	rco__ledger *ledger;
	rco__ledger_report report;
	l_seen *seen;
	size_t seen_count, seen_cap;
} l_world;

static inline int64_t l_now(void *user_data)
{
	return atomic_load(&((l_world *)user_data)->now_us);
}

static inline void l_path(char *out, const char *dir, const char *name)
{
	assert_true(snprintf(out, L_PATH, "%s/%s", dir, name) < L_PATH);
}

static inline void l_world_init(l_world *w)
{
	memset(w, 0, sizeof *w);
	t_tempdir(NULL, w->root, sizeof w->root);
	l_path(w->dir, w->root, "ledger");
	l_path(w->quarantine, w->root, "quarantine");
	l_fs_init(&w->fs);
	w->now_us = 1795000000000000;
	w->clock = (rco_clock){sizeof w->clock, 0, l_now, l_now, w, NULL};
	t_memory_is_there();
	assert_int_equal(rco__env_init(&w->options.env, &t_allocator, &w->clock, NULL, NULL), RCO_OK);
	w->options.env.fs = &w->fs.disk.table;
	w->options.dir = w->dir;
	w->options.quarantine_dir = w->quarantine;
	w->options.file_bytes = RCO__LEDGER_FILE_MIN;
	w->options.retention_s = 3600;
}

/* Remove the files of a folder, if it is there. */
static inline void l_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[L_PATH];

	while (d && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		l_path(path, dir, e->d_name);
		(void)remove(path);
	}
	if (d)
		closedir(d);
}

/* Number of names in a folder that end with `suffix` (NULL: all). */
static inline size_t l_count(const char *dir, const char *suffix)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) != NULL) {
		size_t length = strlen(e->d_name), tail = suffix ? strlen(suffix) : 0;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (length >= tail && (!suffix || strcmp(e->d_name + length - tail, suffix) == 0))
			n++;
	}
	if (d)
		closedir(d);
	return n;
}

static inline void l_world_destroy(l_world *w)
{
	rco__ledger_close(w->ledger);
	free(w->seen);
	t_rmtree(w->root);
}

/* A test with a world of its own: on a disk that need not be waited for, and whose faults are I/O errors ... */
static inline int l_setup(void **state)
{
	l_world *w = malloc(sizeof *w);

	assert_non_null(w);
	l_world_init(w);
	w->fs.skip_sync = 1;
	w->fs.fail_code = RCO_E_IO;
	*state = w;
	return 0;
}

/* ... and on one that is. */
static inline int l_setup_synced(void **state)
{
	int rc = l_setup(state);

	((l_world *)*state)->fs.skip_sync = 0;
	return rc;
}

static inline int l_teardown(void **state)
{
	l_world_destroy(*state);
	free(*state);
	return 0;
}

#define L_TEST(name)        cmocka_unit_test_setup_teardown(name, l_setup, l_teardown)
#define L_TEST_SYNCED(name) cmocka_unit_test_setup_teardown(name, l_setup_synced, l_teardown)

static inline int l_replay(const rco__ledger_entry *entry, void *user_data)
{
	l_world *w = user_data;
	l_seen *seen;

	if (w->seen_count == w->seen_cap) {
		w->seen_cap = w->seen_cap > 0 ? w->seen_cap * 2 : 64;
		w->seen = realloc(w->seen, w->seen_cap * sizeof *w->seen);
		assert_non_null(w->seen);
	}
	seen = &w->seen[w->seen_count++];
	seen->type = entry->type;
	seen->flags = entry->flags;
	seen->subject = entry->subject[0];
	seen->seq = entry->seq;
	seen->time_us = entry->time_us;
	seen->tag = entry->payload_size >= 4 ? rco__get32(entry->payload) : 0;
	return 0;
}

static inline int l_try_open(l_world *w)
{
	w->seen_count = 0;
	return rco__ledger_open(&w->options, l_replay, w, &w->report, &w->ledger);
}

static inline void l_world_open(l_world *w)
{
	int rc = l_try_open(w);

	if (rc != RCO_OK)
		print_error("open: %s: %s\n", rco_error_name(rc), rco_error_detail());
	assert_int_equal(rc, RCO_OK);
}

static inline void l_world_close(l_world *w)
{
	rco__ledger_close(w->ledger);
	w->ledger = NULL;
}

static inline void l_subject(uint8_t id[16], uint32_t n)
{
	memset(id, 0x5a, 16);
	rco__put32(id, n);
	rco__put32(id + 12, n * 2654435761u);
}

static inline uint64_t l_append(l_world *w, uint32_t subject, uint32_t tag, size_t payload_size, uint16_t flags)
{
	uint8_t id[16], payload[RCO__LEDGER_PAYLOAD_MAX];
	uint64_t lsn = 0;

	memset(payload, 0x33, sizeof payload);
	rco__put32(payload, tag);
	l_subject(id, subject);
	assert_int_equal(rco__ledger_append(w->ledger, 7, flags, id, payload, payload_size, &lsn), RCO_OK);
	return lsn;
}

static inline size_t l_times_seen(const l_world *w, uint32_t tag)
{
	size_t i, n = 0;

	for (i = 0; i < w->seen_count; i++)
		n += w->seen[i].tag == tag;
	return n;
}

/* Is the subject open by the entries seen, in their order? */
static inline int l_is_open(const l_world *w, uint8_t subject)
{
	int open = 0;
	size_t i;

	for (i = 0; i < w->seen_count; i++) {
		if (w->seen[i].subject == subject)
			open = !(w->seen[i].flags & RCO__LEDGER_CLOSES);
	}
	return open;
}

static inline void l_file(const l_world *w, uint64_t number, char out[L_PATH])
{
	char name[22];

	rco__ledger_name(number, name);
	l_path(out, w->dir, name);
}

#endif
