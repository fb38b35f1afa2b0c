/* SPDX-License-Identifier: MIT */
/*
 * The key folder: what it wrapped it unwraps, for that epoch only, also after a restart; keys go without a trace
 * when they are destroyed; damage costs the epoch it hits and is told.
 */
#include "../support_spool.h"

#include "../../lib/base/bytes.h"

static const uint8_t key[32] = "0123456789abcdef0123456789abcde";

enum { KEY_FILE = 60, WRAPPED = 72 };

typedef struct wrapped {
	uint8_t bytes[RCO_WRAPPED_KEY_MAX];
	size_t size;
	uint64_t epoch;
} wrapped;

static int try_wrap(bench *b, uint64_t epoch, wrapped *w)
{
	w->size = sizeof w->bytes;
	w->epoch = epoch;
	return rco_key_dir_ops()->wrap(epoch, key, w->bytes, &w->size, b->keys);
}

static void wrap(bench *b, uint64_t epoch, wrapped *w)
{
	assert_int_equal(try_wrap(b, epoch, w), RCO_OK);
}

static int unwrap(bench *b, const wrapped *w)
{
	uint8_t out[32] = {0};
	int rc = rco_key_dir_ops()->unwrap(w->epoch, w->bytes, w->size, out, b->keys);

	if (rc == RCO_OK)
		assert_memory_equal(out, key, sizeof key);
	return rc;
}

static int destroy(bench *b, uint64_t epoch)
{
	return rco_key_dir_ops()->destroy(epoch, b->keys);
}

static void open_keys(bench *b)
{
	assert_int_equal(b_try_keys(b), RCO_OK);
}

static void reopen_keys(bench *b)
{
	b_close(b);
	open_keys(b);
}

static void test_wraps_and_unwraps(void **state)
{
	wrapped one, two, again;
	bench b;

	(void)state;
	b_init(&b);
	open_keys(&b);
	assert_int_equal(b_files(b.keys_path, ".key", NULL), 0); /* made when the first is needed */
	wrap(&b, 1, &one);
	wrap(&b, UINT64_MAX, &two);
	assert_int_equal(one.size, WRAPPED);
	assert_memory_not_equal(one.bytes, two.bytes, 24); /* a nonce is used once */
	assert_int_equal(unwrap(&b, &one), RCO_OK);
	assert_int_equal(unwrap(&b, &two), RCO_OK);
	reopen_keys(&b);
	assert_int_equal(unwrap(&b, &one), RCO_OK);
	assert_int_equal(unwrap(&b, &two), RCO_OK);
	two.epoch = one.epoch; /* bound to its epoch */
	assert_int_equal(unwrap(&b, &two), RCO_E_KEY);
	assert_int_equal(t_tree_holds(b.keys_path, key, 16), 0);
	wrap(&b, 1, &again); /* after a crash: what was answered before is not used any more */
	assert_int_equal(unwrap(&b, &again), RCO_OK);
	assert_int_equal(unwrap(&b, &one), RCO_E_KEY);
	assert_int_equal(b_files(b.keys_path, ".key", NULL), 2);
	b_destroy(&b);
}

static void test_altered(void **state)
{
	wrapped w;
	bench b;
	size_t i;

	(void)state;
	b_init(&b);
	open_keys(&b);
	wrap(&b, 1, &w);
	for (i = 0; i < w.size; i++) {
		w.bytes[i] ^= 1;
		assert_int_equal(unwrap(&b, &w), RCO_E_KEY);
		w.bytes[i] ^= 1;
	}
	for (i = 0; i < 2 * WRAPPED; i++) {
		size_t size = w.size;

		if (i == size)
			continue;
		w.size = i;
		assert_int_equal(unwrap(&b, &w), RCO_E_KEY);
		w.size = size;
	}
	w.epoch = 2;
	assert_int_equal(unwrap(&b, &w), RCO_E_KEY);
	b_destroy(&b);
}

static void test_bad_arguments(void **state)
{
	const rco_key_ops *ops = rco_key_dir_ops();
	rco_key_dir_options o = {.struct_size = (uint32_t)sizeof o};
	rco_key_dir *folder = NULL;
	uint8_t out[32], handle[4096] = {0};
	size_t little = WRAPPED - 1;
	char longest[2000];
	wrapped w;
	bench b;

	(void)state;
	b_init(&b);
	open_keys(&b);
	wrap(&b, 1, &w);
	assert_int_equal(ops->wrap(2, NULL, w.bytes, &w.size, b.keys), RCO_E_INVALID);
	assert_int_equal(ops->wrap(2, key, NULL, &w.size, b.keys), RCO_E_INVALID);
	assert_int_equal(ops->wrap(2, key, w.bytes, NULL, b.keys), RCO_E_INVALID);
	assert_int_equal(ops->wrap(2, key, w.bytes, &little, b.keys), RCO_E_INVALID);
	assert_int_equal(ops->wrap(2, key, w.bytes, &w.size, NULL), RCO_E_HANDLE);
	assert_int_equal(ops->unwrap(1, w.bytes, w.size, NULL, b.keys), RCO_E_INVALID);
	assert_int_equal(ops->unwrap(1, NULL, w.size, out, b.keys), RCO_E_INVALID);
	assert_int_equal(ops->unwrap(1, w.bytes, w.size, out, handle), RCO_E_HANDLE);
	assert_int_equal(ops->destroy(1, NULL), RCO_E_HANDLE);
	assert_int_equal(rco_key_dir_create(NULL, &folder), RCO_E_INVALID);
	assert_int_equal(rco_key_dir_create(&o, NULL), RCO_E_INVALID);
	assert_int_equal(rco_key_dir_create(&o, &folder), RCO_E_INVALID); /* no path */
	o.path = "";
	assert_int_equal(rco_key_dir_create(&o, &folder), RCO_E_INVALID);
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	o.path = longest;
	assert_int_equal(rco_key_dir_create(&o, &folder), RCO_E_LIMIT);
	o.path = b.keys_path;
	o.flags = 1;
	assert_int_equal(rco_key_dir_create(&o, &folder), RCO_E_NEWER);
	o.flags = 0;
	o.reserved = &o;
	assert_int_equal(rco_key_dir_create(&o, &folder), RCO_E_NEWER);
	o.reserved = NULL;
	o.struct_size = 8;
	assert_int_equal(rco_key_dir_create(&o, &folder), RCO_E_STRUCT_SIZE);
	assert_null(folder);
	rco_key_dir_free(NULL);
	b_destroy(&b);
}

static void in_child(void *arg)
{
	wrapped w;

	assert_int_equal(try_wrap(arg, 2, &w), RCO_E_FORKED);
	assert_int_equal(unwrap(arg, &w), RCO_E_FORKED);
	assert_int_equal(destroy(arg, 1), RCO_E_FORKED);
}

static void test_child_is_refused(void **state)
{
	wrapped w;
	bench b;

	(void)state;
	b_init(&b);
	open_keys(&b);
	wrap(&b, 1, &w);
	assert_int_equal(t_reap(t_spawn(in_child, &b)), 0);
	assert_int_equal(unwrap(&b, &w), RCO_OK);
	b_destroy(&b);
}

/* Bytes of the key in the file, to look for afterwards. */
static void key_bytes(const bench *b, const char *name, uint8_t out[32])
{
	char path[256];
	size_t size = 0;
	uint8_t *data;

	t_join(path, sizeof path, b->keys_path, name);
	data = t_read_file(path, &size);
	assert_non_null(data);
	assert_int_equal(size, KEY_FILE);
	memcpy(out, data + 24, 32);
	free(data);
}

static void test_destroy(void **state)
{
	wrapped one, two;
	uint8_t bytes[32];
	bench b;

	(void)state;
	b_init(&b);
	open_keys(&b);
	wrap(&b, 1, &one);
	wrap(&b, 2, &two);
	key_bytes(&b, "epoch-0000000000000001.key", bytes);
	assert_int_equal(t_tree_holds(b.keys_path, bytes, 32), 1);
	assert_int_equal(destroy(&b, 1), RCO_OK);
	assert_int_equal(t_tree_holds(b.keys_path, bytes, 32), 0);
	assert_int_equal(b_files(b.keys_path, ".key", NULL), 1);
	assert_int_equal(unwrap(&b, &one), RCO_E_KEY);
	assert_int_equal(unwrap(&b, &two), RCO_OK);
	assert_int_equal(destroy(&b, 1), RCO_OK); /* gone is gone */
	assert_int_equal(destroy(&b, 99), RCO_OK);
	reopen_keys(&b);
	assert_int_equal(unwrap(&b, &one), RCO_E_KEY);
	assert_int_equal(unwrap(&b, &two), RCO_OK);
	b_destroy(&b);
}

/* Each byte flipped, each length: others work, and it can be destroyed, for its key may be whole. */
static void test_damage(void **state)
{
	uint8_t bytes[32], *good;
	wrapped one, two;
	size_t size = 0, i;
	char path[256];
	rco__fs fast;
	bench b;

	(void)state;
	b_init(&b);
	b.fs = b_fast_fs(&fast);
	open_keys(&b);
	wrap(&b, 1, &one);
	wrap(&b, 2, &two);
	b_close(&b);
	t_join(path, sizeof path, b.keys_path, "epoch-0000000000000002.key");
	key_bytes(&b, "epoch-0000000000000002.key", bytes);
	good = t_read_file(path, &size);
	assert_non_null(good);
	for (i = 0; i < 2 * size + 1; i++) {
		uint8_t *bad = malloc(size + 1);

		assert_non_null(bad);
		memcpy(bad, good, size);
		bad[size] = 0;
		if (i < size)
			bad[i] ^= 0x80;
		t_write_file(path, bad, i < size ? size : i == 2 * size ? size + 1 : i - size);
		free(bad);
		open_keys(&b);
		assert_int_equal(unwrap(&b, &one), RCO_OK);
		assert_int_equal(unwrap(&b, &two), RCO_E_KEY);
		assert_non_null(strstr(rco_error_detail(), "epoch-0000000000000002.key is damaged"));
		assert_int_equal(destroy(&b, 2), RCO_OK);
		assert_int_equal(t_tree_holds(b.keys_path, bytes, 32), 0);
		assert_false(t_exists(path));
		b_close(&b);
		t_write_file(path, good, size);
	}
	open_keys(&b);
	assert_int_equal(unwrap(&b, &two), RCO_OK);
	free(good);
	b_destroy(&b);
}

/* Names that are not ours are left alone; what a crash left of writing a key is removed. */
static void test_other_names(void **state)
{
	static const char *const names[] = {"README", "epoch-1.key", "epoch-000000000000000G.key",
	                                    "epoch-0000000000000001.key.bak"};
	static const char *const halves[] = {"epoch-0000000000000005.key.tmp", "epoch-ffffffffffffffff.key.tmp"};
	char path[256];
	size_t i;
	wrapped w;
	bench b;

	(void)state;
	b_init(&b);
	assert_int_equal(mkdir(b.keys_path, 0700), 0);
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		t_join(path, sizeof path, b.keys_path, names[i]);
		t_write_file(path, "some bytes", 10);
	}
	t_join(path, sizeof path, b.keys_path, "epoch-0000000000000007.key");
	assert_int_equal(mkdir(path, 0700), 0);
	for (i = 0; i < 2; i++) {
		t_join(path, sizeof path, b.keys_path, halves[i]);
		t_write_file(path, "half a key", 10);
	}
	open_keys(&b);
	wrap(&b, 8, &w);
	assert_int_equal(unwrap(&b, &w), RCO_OK);
	assert_int_equal(b_files(b.keys_path, ".tmp", NULL), 0);
	assert_non_null(strstr(b.log, "is left alone"));
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		t_join(path, sizeof path, b.keys_path, names[i]);
		assert_true(t_exists(path));
	}
	b_destroy(&b);
}

/* A flipped bit in the version is damage, not another library; one of another library is refused as such. */
static void test_version(void **state)
{
	static const char v1[72] = "RCOKEY01\1"; /* with its checksum below, as the version before wrote it */
	uint8_t old[72], *data;
	char path[256];
	size_t size = 0;
	wrapped w;
	bench b;

	(void)state;
	b_init(&b);
	open_keys(&b);
	wrap(&b, 1, &w);
	b_close(&b);
	t_join(path, sizeof path, b.keys_path, "epoch-0000000000000001.key");
	data = t_read_file(path, &size);
	assert_non_null(data);
	data[8] = 3;
	t_write_file(path, data, size);
	open_keys(&b);
	assert_int_equal(unwrap(&b, &w), RCO_E_KEY);
	b_close(&b);
	memcpy(old, v1, sizeof old);
	rco__put32(old + 68, rco__crc32c(0, old, 68));
	t_write_file(path, old, sizeof old);
	assert_int_equal(b_try_keys(&b), RCO_E_VERSION);
	assert_non_null(strstr(rco_error_detail(), "an older version"));
	rco__put32(data + size - 4, rco__crc32c(0, data, size - 4));
	t_write_file(path, data, size);
	assert_int_equal(b_try_keys(&b), RCO_E_VERSION);
	assert_non_null(strstr(rco_error_detail(), "a newer version"));
	free(data);
	b_destroy(&b);
}

/* A disk that fails is told, and leaves nothing. */
static void test_failing_disk(void **state)
{
	wrapped one, two;
	t_fs fs;
	bench b;

	(void)state;
	t_fs_init(&fs, "/keys/");
	b_init(&b);
	b.fs = &fs.disk.table;
	open_keys(&b);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(try_wrap(&b, 1, &one), RCO_E_NO_SPACE);
	atomic_store(&fs.fail, 0);
	wrap(&b, 1, &one);
	wrap(&b, 2, &two);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(destroy(&b, 1), RCO_E_IO);
	atomic_store(&fs.fail, 0);
	assert_int_equal(destroy(&b, 1), RCO_OK);
	assert_int_equal(unwrap(&b, &two), RCO_OK);
	assert_int_equal(b_files(b.keys_path, ".tmp", NULL), 0);
	b_destroy(&b);
}

/* Each change to the disk fails once in wrapping: what was wrapped, then or at the next try, is unwrapped after a
 * restart too. */
static void test_each_change_fails(void **state)
{
	int reached = 1, rc;
	uint32_t n;

	(void)state;
	for (n = 0; reached; n++) {
		wrapped w;
		t_fs fs;
		bench b;

		assert_true(n < 50);
		t_fs_init(&fs, "/keys");
		b_init(&b);
		b.fs = &fs.disk.table;
		open_keys(&b);
		atomic_store(&fs.fail_after, n);
		atomic_store(&fs.fail, RCO_E_NO_SPACE);
		rc = try_wrap(&b, 1, &w);
		reached = atomic_load(&fs.failed) > 0;
		assert_int_equal(rc == RCO_OK, !reached);
		atomic_store(&fs.fail, 0);
		reopen_keys(&b);
		if (rc == RCO_OK)
			assert_int_equal(unwrap(&b, &w), RCO_OK);
		wrap(&b, 1, &w);
		reopen_keys(&b);
		assert_int_equal(unwrap(&b, &w), RCO_OK);
		assert_int_equal(b_files(b.keys_path, ".key", NULL), 1);
		b_destroy(&b);
	}
	assert_true(n > 2);
}

struct user {
	bench *b;
	uint64_t epoch;
	int failed;
};

static void *use(void *arg)
{
	struct user *u = arg;
	wrapped w;
	int i;

	for (i = 0; i < 50; i++)
		u->failed += try_wrap(u->b, u->epoch, &w) != RCO_OK || unwrap(u->b, &w) != RCO_OK ||
		             destroy(u->b, u->epoch) != RCO_OK || unwrap(u->b, &w) != RCO_E_KEY;
	return NULL;
}

/* As two spools do. */
static void test_threads(void **state)
{
	struct user user[3];
	pthread_t thread[3];
	bench b;
	int i;

	(void)state;
	b_init(&b);
	open_keys(&b);
	for (i = 0; i < 3; i++) {
		user[i] = (struct user){.b = &b, .epoch = (uint64_t)i};
		t_thread(&thread[i], use, &user[i]);
	}
	for (i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(user[i].failed, 0);
	}
	b_destroy(&b);
}

/* What one has half written would be removed by another that begins. */
static void test_one_owner(void **state)
{
	rco_key_dir_options o = {.struct_size = (uint32_t)sizeof o};
	rco_key_dir *second = NULL;
	wrapped w;
	bench b;

	(void)state;
	b_init(&b);
	open_keys(&b);
	o.path = b.keys_path;
	assert_int_equal(rco_key_dir_create(&o, &second), RCO_E_BUSY);
	assert_null(second);
	assert_non_null(strstr(rco_error_detail(), b.keys_path));
	assert_non_null(strstr(rco_error_detail(), "key_dir of its own"));
	wrap(&b, 1, &w); /* the first works on */
	assert_int_equal(unwrap(&b, &w), RCO_OK);
	b_close(&b);
	assert_int_equal(rco_key_dir_create(&o, &second), RCO_OK);
	assert_int_equal(b_try_keys(&b), RCO_E_BUSY);
	rco_key_dir_free(second);
	reopen_keys(&b);
	assert_int_equal(unwrap(&b, &w), RCO_OK);
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wraps_and_unwraps), cmocka_unit_test(test_altered),
		cmocka_unit_test(test_bad_arguments),     cmocka_unit_test(test_child_is_refused),
		cmocka_unit_test(test_destroy),           cmocka_unit_test(test_damage),
		cmocka_unit_test(test_other_names),       cmocka_unit_test(test_version),
		cmocka_unit_test(test_failing_disk),      cmocka_unit_test(test_each_change_fails),
		cmocka_unit_test(test_threads),           cmocka_unit_test(test_one_owner),
	};

	return cmocka_run_group_tests_name("key folder", tests, NULL, NULL);
}
