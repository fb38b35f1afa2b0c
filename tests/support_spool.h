/* SPDX-License-Identifier: MIT */
/* For the tests of spool and key folder: both in one folder, a clock in the hand, what was logged, and crashes. */
#ifndef TESTS_SUPPORT_SPOOL_H
#define TESTS_SUPPORT_SPOOL_H

#include "support.h"

#include "../lib/storage/storage_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct bench {
	char root[128], spool_path[160], keys_path[160];
	t_clock clock;
	rco_clock clock_table;
	const rco__fs *fs;          /* NULL: the real one */
	const rco_allocator *alloc; /* NULL: malloc */
	uint64_t segment_bytes;
	uint32_t epoch_s;
	const rco_key_ops *key_ops; /* NULL: the key folder's */
	void *key_ud;
	rco_key_dir *keys;
	rco_spool *spool;
	pthread_mutex_t log_lock;
	char log[1 << 16];
	size_t log_size;
} bench;

static inline void b_log(uint32_t level, const char *message, size_t length, void *user_data)
{
	bench *b = user_data;

	(void)pthread_mutex_lock(&b->log_lock);
	if (b->log_size + length + 4 < sizeof b->log) {
		b->log[b->log_size++] = (char)('0' + level);
		b->log[b->log_size++] = ' ';
		memcpy(b->log + b->log_size, message, length);
		b->log_size += length;
		b->log[b->log_size++] = '\n';
		b->log[b->log_size] = '\0';
	}
	(void)pthread_mutex_unlock(&b->log_lock);
}

static inline int b_no_sync(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return RCO_OK;
}

static inline int b_no_sync_dir(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return RCO_OK;
}

/* Does not wait for the disk, for tests that open a spool thousands of times. */
static inline const rco__fs *b_fast_fs(rco__fs *fs)
{
	*fs = *rco__fs_posix();
	fs->sync = b_no_sync;
	fs->sync_dir = b_no_sync_dir;
	return fs;
}

/* `under`: NULL for $TMPDIR or /tmp. */
static inline void b_init_under(bench *b, const char *under)
{
	memset(b, 0, sizeof *b);
	t_tempdir(under, b->root, sizeof b->root);
	t_join(b->spool_path, sizeof b->spool_path, b->root, "spool");
	t_join(b->keys_path, sizeof b->keys_path, b->root, "keys");
	t_clock_init(&b->clock);
	b->clock_table = t_clock_table(&b->clock);
	assert_int_equal(pthread_mutex_init(&b->log_lock, NULL), 0);
}

static inline void b_env(bench *b, rco__env *env)
{
	assert_int_equal(rco__env_init(env, b->alloc, &b->clock_table, b_log, b), RCO_OK);
	if (b->fs != NULL)
		env->fs = b->fs;
}

static inline int b_try_keys(bench *b)
{
	rco_key_dir_options o = {.struct_size = (uint32_t)sizeof o, .path = b->keys_path};
	rco__env env;

	b_env(b, &env);
	return rco__key_dir_open(&env, &o, &b->keys);
}

static inline int b_try_spool(bench *b)
{
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o,
	                       .segment_bytes = b->segment_bytes,
	                       .path = b->spool_path,
	                       .keys = b->key_ops != NULL ? b->key_ops : rco_key_dir_ops(),
	                       .keys_user_data = b->key_ops != NULL ? b->key_ud : b->keys,
	                       .epoch_s = b->epoch_s};
	rco__env env;

	b_env(b, &env);
	return rco__spool_open(&env, &o, &b->spool);
}

static inline void b_open(bench *b)
{
	assert_int_equal(b_try_keys(b), RCO_OK);
	assert_int_equal(b_try_spool(b), RCO_OK);
}

static inline void b_close(bench *b)
{
	rco_spool_free(b->spool);
	rco_key_dir_free(b->keys);
	b->spool = NULL;
	b->keys = NULL;
}

static inline void b_destroy(bench *b)
{
	b_close(b);
	t_rmtree(b->root);
	(void)pthread_mutex_destroy(&b->log_lock);
}

static inline void b_reopen(bench *b)
{
	b_close(b);
	b_open(b);
}

static inline void b_init(bench *b)
{
	b_init_under(b, NULL);
}

struct b_copying {
	const char *from;
	const char *to;
};

static inline void b_copy_file(const char *file, void *user_data)
{
	struct b_copying *c = user_data;
	char path[512];
	size_t size = 0;
	uint8_t *data = t_read_file(file, &size);

	assert_non_null(data);
	assert_true(snprintf(path, sizeof path, "%s%s", c->to, file + strlen(c->from)) < (int)sizeof path);
	t_write_file(path, data, size);
	free(data);
}

/* A process that died now would have left this: `copy` gets the folders as they are, and is not yet open. */
static inline void b_crash(const bench *b, bench *copy)
{
	struct b_copying c = {b->root, NULL};
	char path[256];

	b_init(copy);
	copy->segment_bytes = b->segment_bytes;
	copy->epoch_s = b->epoch_s;
	copy->key_ops = b->key_ops;
	copy->key_ud = b->key_ud;
	atomic_store(&copy->clock.wall_us, atomic_load(&b->clock.wall_us));
	assert_int_equal(mkdir(copy->spool_path, 0700), 0);
	assert_int_equal(mkdir(copy->keys_path, 0700), 0);
	t_join(path, sizeof path, copy->spool_path, "quarantine");
	assert_int_equal(mkdir(path, 0700), 0);
	t_join(path, sizeof path, copy->keys_path, "quarantine");
	assert_int_equal(mkdir(path, 0700), 0);
	c.to = copy->root;
	t_tree_each(b->root, b_copy_file, &c);
}

/* ---- recordings ---- */

static inline void b_id(uint8_t id[16], uint8_t n)
{
	memset(id, 0xa0, 16);
	id[0] = n;
}

static inline rco_result b_result(void)
{
	rco_result r;

	memset(&r, 0, sizeof r);
	r.struct_size = (uint32_t)sizeof r;
	return r;
}

static inline int b_try_begin(bench *b, uint8_t n, const char *meta)
{
	rco_recording r = {
		.struct_size = (uint32_t)sizeof r, .meta = meta, .meta_bytes = meta != NULL ? strlen(meta) : 0};
	rco_result result = b_result();
	int rc;

	b_id(r.id, n);
	rc = rco_spool_buffer_ops()->open(&r, 1, &result, b->spool);
	assert_int_equal(result.confirmed, rc == RCO_OK ? RCO_CONFIRM_DONE : 0);
	return rc;
}

static inline void b_begin(bench *b, uint8_t n)
{
	assert_int_equal(b_try_begin(b, n, "meta"), RCO_OK);
}

static inline int b_try_append_as(bench *b, uint8_t n, uint32_t leg, uint32_t format, uint64_t position,
                                  const void *data, size_t size, uint32_t flags)
{
	rco_chunk c = {.struct_size = (uint32_t)sizeof c,
	               .leg = leg,
	               .format = format,
	               .position_bytes = position,
	               .time_us = 1,
	               .data = data,
	               .size_bytes = size,
	               .flags = flags};
	rco_result result = b_result();
	int rc;

	b_id(c.recording_id, n);
	rc = rco_spool_buffer_ops()->append(&c, 1, &result, b->spool);
	assert_int_equal(result.confirmed, rc == RCO_OK ? RCO_CONFIRM_DONE : 0);
	return rc;
}

static inline int b_try_append(bench *b, uint8_t n, uint32_t leg, uint32_t format, uint64_t position,
                               const void *data, size_t size)
{
	return b_try_append_as(b, n, leg, format, position, data, size, 0);
}

/* Of recordings that are appended in pieces of that size each third one is a gap; 0: none has gaps. */
static size_t b_gap_piece;

static inline int b_in_gap(uint8_t n, uint64_t position)
{
	return b_gap_piece != 0 && n % 2 != 0 && position / b_gap_piece % 3 == 1;
}

static inline int b_gaps_off(void **state)
{
	(void)state;
	b_gap_piece = 0;
	return 0;
}

/* What a leg has there. */
static inline void b_sound(uint8_t n, uint32_t leg, uint64_t position, uint8_t *out, size_t size)
{
	size_t i;

	t_noise(n * 8u + leg, position, out, size);
	for (i = 0; i < size; i++)
		if (b_in_gap(n, position + i))
			out[i] = 0xff;
}

/* Noise of seed n * 8 + leg, which is what b_holds() looks for. */
static inline int b_try_noise(bench *b, uint8_t n, uint32_t leg, uint64_t position, size_t size)
{
	uint8_t *data = malloc(size);
	int rc;

	assert_non_null(data);
	b_sound(n, leg, position, data, size);
	if (b_in_gap(n, position))
		rc = b_try_append_as(b, n, leg, RCO_FORMAT_PCMU_8K, position, NULL, size, RCO_CHUNK_GAP);
	else
		rc = b_try_append(b, n, leg, RCO_FORMAT_PCMU_8K, position, data, size);
	free(data);
	return rc;
}

static inline void b_noise(bench *b, uint8_t n, uint32_t leg, uint64_t position, size_t size)
{
	assert_int_equal(b_try_noise(b, n, leg, position, size), RCO_OK);
}

static inline int b_try_read(bench *b, uint8_t n, uint32_t leg, uint64_t position, void *data, size_t cap,
                             size_t *got)
{
	rco_result result = b_result();
	uint8_t id[16];
	int rc;

	b_id(id, n);
	rc = rco_spool_buffer_ops()->read(id, leg, position, data, cap, 1, &result, b->spool);
	assert_int_equal(result.confirmed, rc == RCO_OK ? RCO_CONFIRM_DONE : 0);
	*got = (size_t)result.size_bytes;
	return rc;
}

/*
 * Read the leg from its beginning: how many bytes there are before the end or the first error, which goes to *rc.
 * Every byte that is given has to be the right one, whatever was damaged.
 */
static inline uint64_t b_readable(bench *b, uint8_t n, uint32_t leg, int *rc)
{
	uint8_t data[3000], want[3000];
	uint64_t position = 0;
	size_t got;

	for (;;) {
		*rc = b_try_read(b, n, leg, position, data, sizeof data, &got);
		if (*rc != RCO_OK || got == 0)
			return position;
		b_sound(n, leg, position, want, got);
		assert_memory_equal(data, want, got);
		position += got;
	}
}

static inline void b_holds(bench *b, uint8_t n, uint32_t leg, uint64_t size)
{
	int rc;

	assert_int_equal(b_readable(b, n, leg, &rc), size);
	assert_int_equal(rc, RCO_OK);
}

static inline int b_try_flush(bench *b)
{
	rco_result result = b_result();
	int rc = rco_spool_buffer_ops()->flush(1, &result, b->spool);

	assert_int_equal(result.confirmed, rc == RCO_OK ? RCO_CONFIRM_DONE : 0);
	return rc;
}

static inline int b_try_erase(bench *b, uint8_t n)
{
	rco_result result = b_result();
	uint8_t id[16];
	int rc;

	b_id(id, n);
	rc = rco_spool_buffer_ops()->erase(id, 1, &result, b->spool);
	assert_int_equal(result.confirmed, rc == RCO_OK ? RCO_CONFIRM_GONE : 0);
	return rc;
}

static inline void b_erase(bench *b, uint8_t n)
{
	assert_int_equal(b_try_erase(b, n), RCO_OK);
}

static inline void b_revoke(bench *b, uint8_t n)
{
	uint8_t id[16];

	b_id(id, n);
	rco_spool_buffer_ops()->revoke(id, b->spool);
}

/* ---- scans ---- */

typedef struct b_found {
	size_t n;
	struct {
		uint8_t id[16];
		char meta[RCO_META_MAX + 1];
		int has_meta;
		uint32_t format[RCO_MAX_LEGS];
		uint64_t bytes[RCO_MAX_LEGS];
		uint64_t damaged;
	} at[16];
} b_found;

static inline void b_take(const rco_scanned *s, void *user_data)
{
	b_found *f = user_data;

	assert_true(f->n < 16);
	memcpy(f->at[f->n].id, s->id, 16);
	f->at[f->n].has_meta = s->meta != NULL;
	if (s->meta != NULL)
		memcpy(f->at[f->n].meta, s->meta, s->meta_bytes);
	f->at[f->n].meta[s->meta_bytes] = '\0';
	memcpy(f->at[f->n].format, s->leg_format, sizeof s->leg_format);
	memcpy(f->at[f->n].bytes, s->leg_bytes, sizeof s->leg_bytes);
	f->at[f->n].damaged = s->damaged_bytes;
	f->n++;
}

static inline void b_scan(bench *b, b_found *f)
{
	memset(f, 0, sizeof *f);
	assert_int_equal(rco_spool_buffer_ops()->scan(b_take, f, b->spool), RCO_OK);
}

/* Index of a recording in what was found, -1 if it is not there. */
static inline int b_where(const b_found *f, uint8_t n)
{
	uint8_t id[16];
	size_t i;

	b_id(id, n);
	for (i = 0; i < f->n; i++)
		if (memcmp(f->at[i].id, id, 16) == 0)
			return (int)i;
	return -1;
}

/* ---- files ---- */

struct b_names {
	const char *suffix;
	size_t n;
	char last[256];
};

static inline void b_name(const char *file, void *user_data)
{
	struct b_names *names = user_data;
	size_t size = strlen(file), end = strlen(names->suffix);

	if (size < end || strcmp(file + size - end, names->suffix) != 0)
		return;
	names->n++;
	(void)snprintf(names->last, sizeof names->last, "%s", file);
}

/* Files below a folder whose name ends so; the path of one of them, if there is any. */
static inline size_t b_files(const char *folder, const char *suffix, char last[256])
{
	struct b_names names = {.suffix = suffix};

	t_tree_each(folder, b_name, &names);
	if (last != NULL)
		memcpy(last, names.last, sizeof names.last);
	return names.n;
}

#endif
