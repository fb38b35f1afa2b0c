/* SPDX-License-Identifier: MIT */
/* The signing key of a state folder: made once, kept, and replaced only when it is damaged; and a libsodium that
 * cannot do its part. */
#include "../support_ledger.h"

#include "../../lib/ledger/receipt.h"

#include <dlfcn.h>
#include <sodium.h>

static int open_key(l_world *w, uint8_t key[32])
{
	rco__signer *signer;
	int rc = rco__signer_open(&w->options.env, w->dir, w->quarantine, &signer);

	if (rc != RCO_OK) {
		assert_null(signer);
		return rc;
	}
	rco__signer_public(signer, key);
	rco__signer_unref(signer);
	return RCO_OK;
}

static void made_once(void **state)
{
	l_world *w = *state;
	uint8_t first[32], again[32];
	char path[L_PATH];
	struct stat st;

	assert_int_equal(open_key(w, first), RCO_OK);
	l_path(path, w->dir, "signing.key");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 48);
	assert_true(w->fs.syncs >= 1 && w->fs.dir_syncs >= 1);
	assert_int_equal(open_key(w, again), RCO_OK);
	assert_memory_equal(first, again, 32);
	assert_int_equal(l_count(w->quarantine, NULL), 0);
	assert_int_equal(l_count(w->dir, NULL), 1);
}

/* Every flipped byte and every cut: the old file is set aside, a new key is made, and that one stays. */
static void damaged_is_replaced(void **state)
{
	l_world *w = *state;
	uint8_t first[32], now[32], again[32], *bytes;
	char path[L_PATH];
	size_t size, i;

	w->fs.skip_sync = 1;
	assert_int_equal(open_key(w, first), RCO_OK);
	l_path(path, w->dir, "signing.key");
	bytes = t_read_file(path, &size);
	assert_int_equal(size, 48);
	bytes = realloc(bytes, size + 3 + 8000); /* a longer file is damaged, too */
	assert_non_null(bytes);
	memset(bytes + size, 0, 3 + 8000);
	for (i = 0; i < 2 * size + 2; i++) {
		if (i < size)
			bytes[i] ^= 0x40;
		t_write_file(path, bytes,
		             i < size       ? size
		             : i < 2 * size ? i - size
		                            : size + 3 + (i - 2 * size) * 8000);
		if (i < size)
			bytes[i] ^= 0x40;
		assert_int_equal(open_key(w, now), RCO_OK);
		assert_memory_not_equal(first, now, 32);
		assert_int_equal(l_count(w->quarantine, NULL), 1);
		assert_int_equal(open_key(w, again), RCO_OK);
		assert_memory_equal(now, again, 32);
		assert_int_equal(l_count(w->quarantine, NULL), 1);
		l_empty(w->quarantine);
	}
	t_write_file(path, bytes, size);
	assert_int_equal(open_key(w, now), RCO_OK);
	assert_memory_equal(first, now, 32);
	free(bytes);
}

static void newer_is_refused(void **state)
{
	l_world *w = *state;
	uint8_t key[32], *bytes;
	char path[L_PATH];
	size_t size;

	assert_int_equal(open_key(w, key), RCO_OK);
	l_path(path, w->dir, "signing.key");
	bytes = t_read_file(path, &size);
	rco__put16(bytes + 8, 2);
	rco__put32(bytes + 44, rco__crc32c(0, bytes, 44));
	t_write_file(path, bytes, size);
	free(bytes);
	assert_int_equal(open_key(w, key), RCO_E_VERSION);
	assert_non_null(strstr(rco_error_detail(), "signing.key"));
	assert_int_equal(l_count(w->quarantine, NULL), 0);
}

/* On a failing disk there is no signer, no half a file, and the next start succeeds. */
static void failing_disk(void **state)
{
	l_world *w = *state;
	uint8_t key[32];

	w->fs.fail_code = RCO_E_NO_SPACE;
	w->fs.fail_writes = 1;
	assert_int_equal(open_key(w, key), RCO_E_NO_SPACE);
	w->fs.fail_code = RCO_E_IO;
	w->fs.fail_syncs = 1;
	assert_int_equal(open_key(w, key), RCO_E_IO);
	assert_int_equal(l_count(w->dir, NULL), 0);
	t_memory.fail_all = 1;
	assert_int_equal(open_key(w, key), RCO_E_NO_MEMORY);
	t_memory_is_there();
	assert_int_equal(open_key(w, key), RCO_OK);
}

static void references(void **state)
{
	l_world *w = *state;
	rco__signer *signer;
	uint8_t key[32];

	rco__signer_unref(NULL);
	assert_int_equal(rco__signer_open(&w->options.env, w->dir, w->quarantine, &signer), RCO_OK);
	rco__signer_ref(signer);
	rco__signer_unref(signer);
	rco__signer_public(signer, key);
	rco__signer_unref(signer);
}

/* Key files with a right checksum that this library did not write, and one that is too long to be one. */
static void odd_keys_are_set_aside(void **state)
{
	static const struct {
		size_t size;
		uint16_t version;
	} cases[] = {{48, 0}, {52, 1}, {4096, 1}, {5000, 1}};
	l_world *w = *state;
	uint8_t bytes[5000] = "RCOSIGN1", key[32];
	char path[L_PATH];
	size_t i;

	assert_int_equal(mkdir(w->dir, 0700), 0);
	l_path(path, w->dir, "signing.key");
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rco__put16(bytes + 8, cases[i].version);
		rco__put32(bytes + cases[i].size - 4, rco__crc32c(0, bytes, cases[i].size - 4));
		t_write_file(path, bytes, cases[i].size);
		memset(bytes + 10, 0, sizeof bytes - 10);
		assert_int_equal(open_key(w, key), RCO_OK);
		assert_int_equal(l_count(w->quarantine, NULL), i + 1);
		w->now_us++;
	}
	l_empty(w->quarantine);
	(void)rmdir(w->quarantine);
	/* Nowhere to set it aside: no new key is made over it. */
	t_write_file(w->quarantine, "a file", 6);
	t_write_file(path, bytes, 48);
	assert_int_not_equal(open_key(w, key), RCO_OK);
	assert_int_equal(unlink(w->quarantine), 0);
	assert_int_equal(l_count(w->dir, NULL), 1);
	/* A key that cannot be read is no damaged one. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_not_equal(open_key(w, key), RCO_OK);
	assert_int_equal(rmdir(path), 0);
}

/* libsodium as it is on a machine without random numbers or lockable memory, or broken. */
static const char *broken;

static int is_broken(const char *name)
{
	return broken != NULL && strcmp(broken, name) == 0;
}

static void *sodium_real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	assert_non_null(found);
	return found;
}

int sodium_init(void)
{
	int (*real)(void);
	void *found = sodium_real("sodium_init");

	memcpy(&real, &found, sizeof real);
	return is_broken("sodium_init") ? -1 : real();
}

void *sodium_malloc(const size_t size)
{
	void *(*real)(size_t);
	void *found = sodium_real("sodium_malloc");

	memcpy(&real, &found, sizeof real);
	return is_broken("sodium_malloc") ? NULL : real(size);
}

int crypto_sign_seed_keypair(unsigned char *pk, unsigned char *sk, const unsigned char *seed)
{
	int (*real)(unsigned char *, unsigned char *, const unsigned char *);
	void *found = sodium_real("crypto_sign_seed_keypair");

	memcpy(&real, &found, sizeof real);
	return is_broken("crypto_sign_seed_keypair") ? -1 : real(pk, sk, seed);
}

int crypto_sign_detached(unsigned char *sig, unsigned long long *size, const unsigned char *m,
                         unsigned long long length, const unsigned char *sk)
{
	int (*real)(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long,
	            const unsigned char *);
	void *found = sodium_real("crypto_sign_detached");

	memcpy(&real, &found, sizeof real);
	return is_broken("crypto_sign_detached") ? -1 : real(sig, size, m, length, sk);
}

/* Each is an answer, not a receipt without a signature. */
static void without_libsodium_there_is_no_receipt(void **state)
{
	l_world *w = *state;
	char json[RCO_RECEIPT_JSON_MAX];
	rco__receipt_data data = {.call_id = "c", .source = "s", .status = RCO_STATUS_ERASED};
	rco_receipt *receipt;
	rco__signer *signer;
	uint8_t key[32];
	size_t len;

	broken = "sodium_init";
	assert_int_equal(l_try_open(w), RCO_E_INTERNAL);
	assert_int_equal(open_key(w, key), RCO_E_INTERNAL);
	broken = "sodium_malloc";
	assert_int_equal(open_key(w, key), RCO_E_NO_MEMORY);
	broken = "crypto_sign_seed_keypair";
	assert_int_equal(open_key(w, key), RCO_E_INTERNAL);
	broken = NULL;
	assert_int_equal(rco__signer_open(&w->options.env, w->dir, w->quarantine, &signer), RCO_OK);
	rco__signer_public(signer, key);
	assert_int_equal(rco__receipt_new(&w->options.env, signer, &data, &receipt), RCO_OK);
	broken = "crypto_sign_detached";
	assert_int_equal(rco_receipt_to_json(receipt, json, sizeof json, &len), RCO_E_INTERNAL);
	assert_int_equal(len, 0);
	broken = NULL;
	assert_int_equal(rco_receipt_to_json(receipt, json, sizeof json, &len), RCO_OK);
	broken = "sodium_init";
	assert_int_equal(rco_receipt_verify(json, len, key, NULL), RCO_E_INTERNAL);
	broken = NULL;
	assert_int_equal(rco_receipt_verify(json, len, key, NULL), RCO_OK);
	rco_receipt_free(receipt);
	rco__signer_unref(signer);
}

/* The state folder cannot be made. */
static void without_a_folder_there_is_no_key(void **state)
{
	l_world *w = *state;
	uint8_t key[32];

	t_write_file(w->dir, "a file", 6);
	assert_int_equal(open_key(w, key), RCO_E_STATE);
	assert_int_equal(unlink(w->dir), 0);
	assert_int_equal(open_key(w, key), RCO_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		L_TEST_SYNCED(made_once),
		L_TEST_SYNCED(damaged_is_replaced),
		L_TEST_SYNCED(newer_is_refused),
		L_TEST_SYNCED(failing_disk),
		L_TEST_SYNCED(references),
		L_TEST(odd_keys_are_set_aside),
		L_TEST(without_libsodium_there_is_no_receipt),
		L_TEST(without_a_folder_there_is_no_key),
	};

	return cmocka_run_group_tests_name("signer", tests, NULL, NULL);
}
