/* SPDX-License-Identifier: MIT */
/*
 * The default key provider: a wrapped key opens for its recording only, epochs end on time, are destroyed for
 * good, and damage to one is neither fatal nor silent.
 */
#include "../support.h"

#include "../../lib/base/env.h"
#include "../../lib/storage/storage_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct box {
	char root[128], path[160];
	t_clock clock;
	rco_clock table;
	rco__env env;
	rco_key_folder *folder;
	unsigned told;
} box;

typedef struct wrapped {
	uint8_t bytes[RCO_WRAPPED_KEY_MAX];
	size_t size;
	uint64_t epoch;
} wrapped;

static void count_log(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)message;
	(void)length;
	((box *)user_data)->told += level <= RCO_LOG_WARN;
}

static int try_open(box *b)
{
	rco_key_folder_options o = {.struct_size = (uint32_t)sizeof o, .epoch_s = 60, .path = b->path};

	return rco__key_folder_open(&b->env, &o, &b->folder);
}

static void reopen(box *b)
{
	rco_key_folder_free(b->folder);
	b->folder = NULL;
	assert_int_equal(try_open(b), RCO_OK);
}

static void init(box *b)
{
	memset(b, 0, sizeof *b);
	t_tempdir(NULL, b->root, sizeof b->root);
	t_join(b->path, sizeof b->path, b->root, "keys");
	t_clock_init(&b->clock);
	b->table = t_clock_table(&b->clock);
	assert_int_equal(rco__env_init(&b->env, NULL, &b->table, count_log, b), RCO_OK);
	assert_int_equal(try_open(b), RCO_OK);
}

static void done(box *b)
{
	rco_key_folder_free(b->folder);
	t_rmtree(b->root);
}

/* Key and recording id number n. */
static void make(uint8_t n, uint8_t key[32], uint8_t id[16])
{
	memset(key, 0xa0 + n, 32);
	memset(id, n, 16);
}

static wrapped wrap(box *b, uint8_t n)
{
	uint8_t key[32], id[16];
	wrapped w = {.size = sizeof w.bytes};

	make(n, key, id);
	assert_int_equal(rco_key_folder_ops()->wrap(key, id, w.bytes, &w.size, &w.epoch, b->folder), RCO_OK);
	assert_true(w.size > 32 && w.size <= RCO_WRAPPED_KEY_MAX);
	return w;
}

static int unwrap(box *b, const wrapped *w, uint8_t n)
{
	uint8_t key[32], id[16], got[32] = {0};
	int rc;

	make(n, key, id);
	rc = rco_key_folder_ops()->unwrap(w->epoch, w->bytes, w->size, id, got, b->folder);
	if (rc == RCO_OK)
		assert_memory_equal(got, key, 32);
	return rc;
}

static void test_wrap(void **state)
{
	struct stat st;
	wrapped a, again, c;
	char path[256];
	size_t i;
	box b;

	(void)state;
	init(&b);
	a = wrap(&b, 1);
	again = wrap(&b, 1);
	assert_int_equal(unwrap(&b, &a, 1), RCO_OK);
	assert_memory_not_equal(a.bytes, again.bytes, a.size); /* never the same twice */
	assert_int_equal(unwrap(&b, &a, 2), RCO_E_KEY);        /* bound to its recording */
	for (i = 0; i < a.size; i++) {
		c = a;
		c.bytes[i] ^= 1;
		assert_int_equal(unwrap(&b, &c, 1), RCO_E_KEY);
	}
	for (i = 0; i < a.size; i++) {
		c = a;
		c.size = i;
		assert_int_equal(unwrap(&b, &c, 1), RCO_E_KEY);
	}
	reopen(&b);
	assert_int_equal(unwrap(&b, &a, 1), RCO_OK);
	t_join(path, sizeof path, b.path, "epoch-0000000000000001.key");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(b.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	done(&b);
}

static void test_epochs(void **state)
{
	wrapped old, young;
	uint8_t *file;
	size_t size;
	char path[256];
	box b;

	(void)state;
	init(&b);
	old = wrap(&b, 1);
	t_clock_advance(&b.clock, 59000);
	assert_int_equal(wrap(&b, 2).epoch, old.epoch);
	reopen(&b); /* an epoch does not begin anew with a process */
	t_clock_advance(&b.clock, 2000);
	young = wrap(&b, 3);
	assert_int_equal(young.epoch, old.epoch + 1);
	assert_int_equal(unwrap(&b, &old, 1), RCO_OK);
	assert_int_equal(rco_key_folder_ops()->destroy(young.epoch, b.folder),
	                 RCO_E_STATE); /* never the current one */
	t_join(path, sizeof path, b.path, "epoch-0000000000000001.key");
	file = t_read_file(path, &size);
	assert_non_null(file);
	assert_int_equal(t_tree_holds(b.root, file + 32, 32), 1);
	assert_int_equal(rco_key_folder_ops()->destroy(old.epoch, b.folder), RCO_OK);
	assert_int_equal(rco_key_folder_ops()->destroy(old.epoch, b.folder), RCO_OK); /* again: it is destroyed */
	assert_int_equal(t_tree_holds(b.root, file + 32, 32), 0);
	assert_false(t_exists(path));
	free(file);
	assert_int_equal(unwrap(&b, &old, 1), RCO_E_KEY);
	assert_int_equal(unwrap(&b, &young, 3), RCO_OK);
	reopen(&b);
	assert_int_equal(unwrap(&b, &old, 1), RCO_E_KEY);
	assert_int_equal(unwrap(&b, &young, 3), RCO_OK);
	done(&b);
}

/* A damaged or cut key file is set aside and told; the folder goes on with a new epoch, never with that number. */
static void test_damage(void **state)
{
	char path[256];
	uint8_t *good;
	size_t size, i;
	wrapped w;
	box b;

	(void)state;
	init(&b);
	w = wrap(&b, 1);
	t_join(path, sizeof path, b.path, "epoch-0000000000000001.key");
	good = t_read_file(path, &size);
	assert_non_null(good);
	for (i = 0; i < 2 * size; i++) {
		wrapped fresh;

		rco_key_folder_free(b.folder);
		t_rmtree(b.path);
		assert_int_equal(mkdir(b.path, 0700), 0);
		if (i < size)
			good[i] ^= 1;
		t_write_file(path, good, i < size ? size : i - size);
		if (i < size)
			good[i] ^= 1;
		b.told = 0;
		assert_int_equal(try_open(&b), RCO_OK);
		assert_int_equal(unwrap(&b, &w, 1), RCO_E_KEY);
		assert_true(b.told > 0);
		fresh = wrap(&b, 2);
		assert_true(fresh.epoch > w.epoch);
		assert_int_equal(unwrap(&b, &fresh, 2), RCO_OK);
		b.told = 0;
		reopen(&b);
		assert_int_equal(b.told, 0);
		assert_int_equal(unwrap(&b, &fresh, 2), RCO_OK);
	}
	free(good);
	done(&b);
}

/* Each change to the disk fails once: afterwards the same call succeeds, and nothing was wrapped with a lost key.
 */
static void test_failing_disk(void **state)
{
	uint32_t n;
	int reached = 1;

	(void)state;
	for (n = 0; reached; n++) {
		uint8_t key[32], id[16];
		wrapped w = {.size = sizeof w.bytes};
		static t_fs fs;
		box b;
		int rc;

		assert_true(n < 50);
		init(&b);
		(void)wrap(&b, 1);
		t_clock_advance(&b.clock, 61000);
		t_fs_init(&fs, b.path);
		rco_key_folder_free(b.folder);
		b.env.fs = &fs.table;
		assert_int_equal(try_open(&b), RCO_OK);
		atomic_store(&fs.fail_after, n);
		atomic_store(&fs.fail, RCO_E_NO_SPACE);
		make(2, key, id);
		rc = rco_key_folder_ops()->wrap(key, id, w.bytes, &w.size, &w.epoch, b.folder);
		reached = atomic_load(&fs.failed) > 0;
		atomic_store(&fs.fail, 0);
		if (rc != RCO_OK) {
			t_clock_advance(&b.clock, 61000);
			w = wrap(&b, 2);
		}
		reopen(&b);
		assert_int_equal(unwrap(&b, &w, 2), RCO_OK);
		done(&b);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_failing_disk),
	};

	return cmocka_run_group_tests_name("key folder", tests, NULL, NULL);
}
