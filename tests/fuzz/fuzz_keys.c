/* SPDX-License-Identifier: MIT */
/*
 * The folder of epoch keys: one of three key files is changed, or a file with any name lies beside them. Keys of
 * the other epochs unwrap what they wrapped, new ones can be wrapped, and the next start finds the same.
 */
#include "fuzz.h"
#include "mem.h"

#include "../../lib/base/bytes.h"
#include "../../lib/storage/storage_internal.h"

#include <stdio.h>
#include <string.h>

enum { EPOCHS = 3, REPAIR = 1, NAMED = 2, NEWEST = 4, KEY_FILE = 60, CAP = 5000, WRAPPED = 72 };

#define MIDDLE "/keys/epoch-0000000000000002.key"
#define LAST   "/keys/epoch-0000000000000003.key"

static uint8_t wrapped[EPOCHS][RCO_WRAPPED_KEY_MAX];

static int open_keys(mem *m, int64_t *now_us, rco_key_dir **keys)
{
	rco_key_dir_options o = {.struct_size = (uint32_t)sizeof o, .path = "/keys"};
	rco__env env;

	*keys = NULL;
	mem_env(m, now_us, &env);
	return rco__key_dir_open(&env, &o, keys);
}

static void plain_key(uint8_t key[32], int i)
{
	memset(key, 0x40 + i, 32);
}

static const mem *base_disk(void)
{
	static mem *m;
	int64_t now_us = INT64_C(1700000000000000);
	rco_key_dir *keys;
	uint8_t key[32];
	int i;

	if (m != NULL)
		return m;
	m = mem_new();
	FUZZ_CHECK(open_keys(m, &now_us, &keys) == RCO_OK);
	for (i = 0; i < EPOCHS; i++) {
		size_t size = RCO_WRAPPED_KEY_MAX;

		plain_key(key, i);
		FUZZ_CHECK(rco_key_dir_ops()->wrap((uint64_t)i + 1, key, wrapped[i], &size, keys) == RCO_OK);
		FUZZ_CHECK(size == WRAPPED);
	}
	rco_key_dir_free(keys);
	fuzz_random_reset(1); /* as in every later run */
	return m;
}

static int unwraps(rco_key_dir *keys, int i)
{
	uint8_t key[32] = {0}, want[32];
	int rc = rco_key_dir_ops()->unwrap((uint64_t)i + 1, wrapped[i], WRAPPED, key, keys);

	plain_key(want, i);
	FUZZ_CHECK(rc == RCO_E_KEY || (rc == RCO_OK && memcmp(key, want, 32) == 0));
	return rc == RCO_OK;
}

static void wrap_new(rco_key_dir *keys, uint64_t number)
{
	uint8_t key[32], again[32], out[RCO_WRAPPED_KEY_MAX];
	size_t size = sizeof out;
	int rc;

	plain_key(key, 9);
	rc = rco_key_dir_ops()->wrap(number, key, out, &size, keys);
	FUZZ_CHECK(rc == RCO_OK);
	FUZZ_CHECK(rco_key_dir_ops()->unwrap(number, out, size, again, keys) == RCO_OK);
	FUZZ_CHECK(memcmp(key, again, 32) == 0);
}

/* Any name that a file can have, of a key file that is whole. */
static void put_named(mem *m, fuzz_input *in)
{
	char path[MEM_PATH] = "/keys/";
	const uint8_t *name;
	uint8_t file[KEY_FILE];
	size_t size, n = fuzz_bytes(in, 120, &name), i;
	const uint8_t *good = mem_file(m, MIDDLE, &size);

	memcpy(file, good, KEY_FILE);
	for (i = 0; i < n && name[i] != '\0' && name[i] != '/'; i++)
		path[6 + i] = (char)name[i];
	if (i == 0 || strcmp(path + 6, ".") == 0 || strcmp(path + 6, "..") == 0)
		return;
	if (mem_file(m, path, &size) == NULL)
		mem_put(m, path, file, KEY_FILE);
}

static void edit(mem *m, fuzz_input *in, unsigned how)
{
	const char *path = how & NEWEST ? LAST : MIDDLE;
	static uint8_t buf[CAP];
	size_t size;
	const uint8_t *good = mem_file(m, path, &size);

	FUZZ_CHECK(good != NULL && size == KEY_FILE);
	memcpy(buf, good, size);
	fuzz_edit(in, buf, &size, CAP);
	if ((how & REPAIR) && size >= KEY_FILE)
		rco__put32(buf + KEY_FILE - 4, rco__crc32c(0, buf, KEY_FILE - 4));
	mem_put(m, path, buf, size);
}

/* `changed`: the epoch whose file was changed, from 0; -1 for none. */
static void live_with(mem *m, int64_t *now_us, rco_key_dir *keys, int changed)
{
	int i, open[EPOCHS];

	for (i = 0; i < EPOCHS; i++) {
		open[i] = unwraps(keys, i);
		FUZZ_CHECK(open[i] || i == changed);
	}
	wrap_new(keys, 8);
	rco_key_dir_free(keys);
	FUZZ_CHECK(open_keys(m, now_us, &keys) == RCO_OK);
	for (i = 0; i < EPOCHS; i++)
		FUZZ_CHECK(unwraps(keys, i) == open[i]);
	wrap_new(keys, 9);
	/* A destroyed key leaves nothing that opens what it wrapped. */
	FUZZ_CHECK(rco_key_dir_ops()->destroy(1, keys) == RCO_OK);
	FUZZ_CHECK(!unwraps(keys, 0) && unwraps(keys, 2) == open[2]);
	rco_key_dir_free(keys);
	FUZZ_CHECK(open_keys(m, now_us, &keys) == RCO_OK);
	FUZZ_CHECK(!unwraps(keys, 0) && unwraps(keys, 1) == open[1] && unwraps(keys, 2) == open[2]);
	rco_key_dir_free(keys);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	mem *m = mem_copy(base_disk());
	int64_t now_us = INT64_C(1700000300000000);
	unsigned how = fuzz_8(&in);
	rco_key_dir *keys;
	int rc;

	if (how & NAMED)
		put_named(m, &in);
	else
		edit(m, &in, how);
	rc = open_keys(m, &now_us, &keys);
	FUZZ_CHECK(rc == RCO_OK || (rc == RCO_E_VERSION && keys == NULL));
	if (rc == RCO_OK)
		live_with(m, &now_us, keys, how & NAMED ? -1 : how & NEWEST ? 2 : 1);
	mem_free(m);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const names[] = {"epoch-0000000000000001.key.tmp", "epoch-3fffffffffffffff.key",
	                                    "epoch-0000000000000003.key.1700", "epoch-0x1.key", "quarantine"};
	static const uint8_t edits[][7] = {{5, 0, FUZZ_XOR, 30, 0, 1},    {5, 1, FUZZ_XOR, 8, 0, 3},
	                                   {5, 1, FUZZ_XOR, 31, 0, 0x80}, {5, 5, FUZZ_XOR, 23, 0, 0x80},
	                                   {5, 5, FUZZ_XOR, 31, 0, 0x7f}, {4, 0, FUZZ_CUT, 30, 0},
	                                   {5, 1, FUZZ_XOR, 16, 0, 1}};
	enum { EDITS = sizeof edits / sizeof edits[0] };

	if (cap < 64 || i >= EDITS + sizeof names / sizeof names[0])
		return 0;
	if (i < EDITS) {
		memcpy(out, edits[i] + 1, edits[i][0]);
		return edits[i][0];
	}
	out[0] = NAMED;
	memcpy(out + 1, names[i - EDITS], strlen(names[i - EDITS]));
	return 1 + strlen(names[i - EDITS]);
}

static size_t file_size(void)
{
	return KEY_FILE;
}

FUZZ_TARGET(keys, one, seed, 512, "lib/storage/key_dir.c lib/base/fs_util.c", file_size)
