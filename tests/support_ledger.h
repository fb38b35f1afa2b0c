/* SPDX-License-Identifier: MIT */
/* For the tests of the ledger room: a folder, a clock, and a file system that counts, fails and holds. */
#ifndef TESTS_SUPPORT_LEDGER_H
#define TESTS_SUPPORT_LEDGER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/base/bytes.h"
#include "../lib/base/env.h"
#include "../lib/base/error.h"
#include "../lib/ledger/ledger_internal.h"

enum { L_FDS = 1024, L_PATH = 512 };

typedef struct l_fs {
	rco__fs table;
	const rco__fs *real;
	int skip_sync; /* do not wait for the disk in loops of thousands of files */
	atomic_uint syncs, writes, dir_syncs, unlinks;
	atomic_uint fail_syncs, fail_writes; /* the next so many fail ... */
	atomic_int fail_code;                /* ... with this */
	atomic_int bad[L_FDS];               /* a sync of this descriptor has failed */
	atomic_uint touched_bad;             /* writes and syncs of such a descriptor */
	atomic_int fail_reads;               /* reads of 4096 bytes at offset 4096 fail */
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int hold, held; /* the n-th sync from now waits until l_fs_let_go() */
} l_fs;

static inline int l_open(void *ctx, const char *path, int how, int *fd)
{
	l_fs *fs = ctx;
	int rc = fs->real->open(fs->real->ctx, path, how, fd);

	if (rc == RCO_OK && *fd < L_FDS)
		atomic_store(&fs->bad[*fd], 0);
	return rc;
}

static inline int l_close(void *ctx, int fd)
{
	l_fs *fs = ctx;

	return fs->real->close(fs->real->ctx, fd);
}

static inline int l_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	l_fs *fs = ctx;

	if (atomic_load(&fs->fail_reads) && offset <= 4096 && offset + size > 4096)
		return rco__fail(RCO_E_IO, "injected: a block cannot be read");
	return fs->real->read(fs->real->ctx, fd, buf, size, offset, got);
}

static inline int l_take(atomic_uint *counter)
{
	unsigned left = atomic_load(counter);

	while (left > 0) {
		if (atomic_compare_exchange_weak(counter, &left, left - 1))
			return 1;
	}
	return 0;
}

static inline int l_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	l_fs *fs = ctx;

	atomic_fetch_add(&fs->writes, 1);
	if (atomic_load(&fs->bad[fd]))
		atomic_fetch_add(&fs->touched_bad, 1);
	if (l_take(&fs->fail_writes)) {
		/* half of it arrives, as on a real disk */
		(void)fs->real->write(fs->real->ctx, fd, buf, size / 2, offset);
		atomic_store(&fs->bad[fd], 1);
		return rco__fail(atomic_load(&fs->fail_code), "injected: write");
	}
	return fs->real->write(fs->real->ctx, fd, buf, size, offset);
}

static inline int l_sync(void *ctx, int fd)
{
	l_fs *fs = ctx;

	pthread_mutex_lock(&fs->mutex);
	if (fs->hold > 0 && --fs->hold == 0) {
		fs->held = 1;
		pthread_cond_broadcast(&fs->cond);
		while (fs->held)
			pthread_cond_wait(&fs->cond, &fs->mutex);
	}
	pthread_mutex_unlock(&fs->mutex);
	atomic_fetch_add(&fs->syncs, 1);
	if (atomic_load(&fs->bad[fd]))
		atomic_fetch_add(&fs->touched_bad, 1);
	if (l_take(&fs->fail_syncs)) {
		atomic_store(&fs->bad[fd], 1);
		return rco__fail(atomic_load(&fs->fail_code), "injected: sync");
	}
	return fs->skip_sync ? RCO_OK : fs->real->sync(fs->real->ctx, fd);
}

static inline int l_sync_dir(void *ctx, const char *path)
{
	l_fs *fs = ctx;

	atomic_fetch_add(&fs->dir_syncs, 1);
	return fs->skip_sync ? RCO_OK : fs->real->sync_dir(fs->real->ctx, path);
}

static inline int l_unlink(void *ctx, const char *path)
{
	l_fs *fs = ctx;

	atomic_fetch_add(&fs->unlinks, 1);
	return fs->real->unlink(fs->real->ctx, path);
}

static inline int l_size(void *ctx, int fd, uint64_t *size)
{
	l_fs *fs = ctx;

	return fs->real->size(fs->real->ctx, fd, size);
}

static inline int l_rename(void *ctx, const char *from, const char *to)
{
	l_fs *fs = ctx;

	return fs->real->rename(fs->real->ctx, from, to);
}

static inline int l_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	l_fs *fs = ctx;

	return fs->real->exists(fs->real->ctx, path, yes, size);
}

static inline int l_mkdir(void *ctx, const char *path)
{
	l_fs *fs = ctx;

	return fs->real->mkdir(fs->real->ctx, path);
}

static inline int l_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	l_fs *fs = ctx;

	return fs->real->list(fs->real->ctx, path, fn, user_data);
}

static inline void l_fs_init(l_fs *fs)
{
	memset(fs, 0, sizeof *fs);
	fs->real = rco__fs_posix();
	pthread_mutex_init(&fs->mutex, NULL);
	pthread_cond_init(&fs->cond, NULL);
	fs->table = *fs->real;
	fs->table.ctx = fs;
	fs->table.open = l_open;
	fs->table.close = l_close;
	fs->table.read = l_read;
	fs->table.write = l_write;
	fs->table.sync = l_sync;
	fs->table.sync_dir = l_sync_dir;
	fs->table.size = l_size;
	fs->table.rename = l_rename;
	fs->table.unlink = l_unlink;
	fs->table.exists = l_exists;
	fs->table.mkdir = l_mkdir;
	fs->table.list = l_list;
	fs->table.truncate = NULL; /* not used by this room */
	fs->table.reserve = NULL;
	fs->table.lock = NULL;
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
	char root[64], dir[L_PATH], quarantine[L_PATH];
	l_fs fs;
	_Atomic int64_t now_us;
	rco_clock clock;
	atomic_int no_memory;
	rco_allocator alloc;
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

static inline void *l_alloc(size_t size, void *user_data)
{
	return atomic_load(&((l_world *)user_data)->no_memory) ? NULL : malloc(size);
}

static inline void *l_zalloc(size_t count, size_t size, void *user_data)
{
	return atomic_load(&((l_world *)user_data)->no_memory) ? NULL : calloc(count, size);
}

static inline void *l_resize(void *ptr, size_t size, void *user_data)
{
	return atomic_load(&((l_world *)user_data)->no_memory) ? NULL : realloc(ptr, size);
}

static inline void l_release(void *ptr, void *user_data)
{
	(void)user_data;
	free(ptr);
}

static inline void l_path(char *out, const char *dir, const char *name)
{
	assert_true(snprintf(out, L_PATH, "%s/%s", dir, name) < L_PATH);
}

static inline void l_world_init(l_world *w)
{
	const char *tmp = getenv("TMPDIR");

	memset(w, 0, sizeof *w);
	assert_true(snprintf(w->root, sizeof w->root, "%s/ledger-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp") >
	            0);
	assert_non_null(mkdtemp(w->root));
	l_path(w->dir, w->root, "ledger");
	l_path(w->quarantine, w->root, "quarantine");
	l_fs_init(&w->fs);
	w->now_us = 1795000000000000;
	w->clock = (rco_clock){sizeof w->clock, 0, l_now, l_now, w, NULL};
	w->alloc = (rco_allocator){sizeof w->alloc, 0, l_alloc, l_zalloc, l_resize, l_release, w, NULL};
	assert_int_equal(rco__env_init(&w->options.env, &w->alloc, &w->clock, NULL, NULL), RCO_OK);
	w->options.env.fs = &w->fs.table;
	w->options.dir = w->dir;
	w->options.quarantine_dir = w->quarantine;
	w->options.file_bytes = RCO__LEDGER_FILE_MIN;
	w->options.retention_s = 3600;
}

/* Remove a folder of files; 0 files if it is not there. */
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
	l_empty(w->dir);
	l_empty(w->quarantine);
	(void)rmdir(w->dir);
	(void)rmdir(w->quarantine);
	assert_int_equal(rmdir(w->root), 0);
}

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

static inline uint8_t *l_slurp(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf = malloc(1 << 21);

	assert_non_null(f);
	assert_non_null(buf);
	*size = fread(buf, 1, 1 << 21, f);
	fclose(f);
	return buf;
}

static inline void l_spill(const char *path, const uint8_t *buf, size_t size)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_true(fwrite(buf, 1, size, f) == size);
	assert_int_equal(fclose(f), 0);
}

static inline void l_file(const l_world *w, uint64_t number, char out[L_PATH])
{
	char name[22];

	rco__ledger_name(number, name);
	l_path(out, w->dir, name);
}

#endif
