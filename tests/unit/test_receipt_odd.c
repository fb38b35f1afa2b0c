/* SPDX-License-Identifier: MIT */
/* Ends of receipts and key files that this library did not write, and a libsodium that cannot do its part. */
#include "../support_ledger.h"

#include "../../lib/ledger/receipt.h"

#include <dlfcn.h>
#include <sodium.h>

static int setup(void **state)
{
	l_world *w = malloc(sizeof *w);

	assert_non_null(w);
	l_world_init(w);
	w->fs.skip_sync = 1;
	w->fs.fail_code = RCO_E_IO;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	l_world_destroy(*state);
	free(*state);
	return 0;
}

static int verify_end(const char *end)
{
	static const char head[] = "{\"v\":1,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":"
				   "\"erased\",\"key\":\"k\",\"sig\":\"";
	char json[512], zeros[89];
	uint8_t key[32] = {0};

	memset(zeros, 'A', sizeof zeros);
	zeros[86] = zeros[87] = '=';
	zeros[88 - (strlen(end) - 2)] = '\0'; /* as long as a receipt's end is, whatever is behind the text */
	assert_true(snprintf(json, sizeof json, "%s%s%s", head, zeros, end) < (int)sizeof json);
	return rco_receipt_verify(json, strlen(json), key, NULL);
}

static void a_receipt_ends_as_receipts_end(void **state)
{
	static const char array[] =
		"[\"an array, long enough to hold a signature, which it does not: it is none at all; "
		"and on it goes until it is long enough\"]";
	char json[RCO_RECEIPT_JSON_MAX + 1], zeroed[512] = {0};
	uint8_t key[32] = {0};

	(void)state;
	assert_int_equal(verify_end("\"}"), RCO_E_SIGNATURE); /* well formed, and signed by nobody */
	assert_int_equal(verify_end("\" }"), RCO_E_CORRUPT);
	assert_int_equal(rco_receipt_verify(array, sizeof array - 1, key, NULL), RCO_E_CORRUPT);
	assert_non_null(strstr(rco_error_detail(), "no JSON object"));
	memset(json, 'x', sizeof json);
	assert_int_equal(rco_receipt_verify(json, RCO_RECEIPT_JSON_MAX, key, NULL), RCO_E_CORRUPT);
	/* bytes that are no receipt */
	assert_int_equal(rco_receipt_to_json((const rco_receipt *)(void *)zeroed, NULL, 0, NULL), RCO_E_HANDLE);
}

/* Signed by the very key that is asked about, but for a text that names another one. */
static void a_receipt_names_its_key(void **state)
{
	static const char domain[] = "librecoptout-receipt-v1\n";
	char hex[65], base64[89], body[512], message[600], json[700];
	uint8_t seed[32] = {7}, key[32], secret[64], signature[64];
	size_t length;
	int n, rc, right;

	(void)state;
	assert_int_equal(crypto_sign_seed_keypair(key, secret, seed), 0);
	for (right = 0; right < 2; right++) {
		(void)sodium_bin2hex(hex, sizeof hex, key, sizeof key);
		if (!right)
			hex[0] = hex[0] == '0' ? '1' : '0';
		n = snprintf(body, sizeof body,
		             "{\"v\":1,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":\"erased\","
		             "\"key\":\"%s\"",
		             hex);
		assert_true(n > 0 && n < (int)sizeof body);
		n = snprintf(message, sizeof message, "%s%s", domain, body);
		assert_true(n > 0 && n < (int)sizeof message);
		length = (size_t)n;
		rc = crypto_sign_detached(signature, NULL, (const uint8_t *)message, length, secret);
		assert_int_equal(rc, 0);
		(void)sodium_bin2base64(base64, sizeof base64, signature, sizeof signature,
		                        sodium_base64_VARIANT_ORIGINAL);
		n = snprintf(json, sizeof json, "%s,\"sig\":\"%s\"}", body, base64);
		assert_true(n > 0 && n < (int)sizeof json);
		assert_int_equal(rco_receipt_verify(json, (size_t)n, key, NULL), right ? RCO_OK : RCO_E_SIGNATURE);
	}
	assert_int_equal(rco_receipt_verify(json, (size_t)n - 1, key, NULL), RCO_E_CORRUPT);
}

static int open_key(l_world *w)
{
	rco__signer *signer;
	int rc = rco__signer_open(&w->options.env, w->dir, w->quarantine, &signer);

	rco__signer_unref(signer);
	return rc;
}

/* Key files with a right checksum that this library did not write, and one that is too long to be one. */
static void odd_keys_are_set_aside(void **state)
{
	static const struct {
		size_t size;
		uint16_t version;
	} cases[] = {{48, 0}, {52, 1}, {4096, 1}, {5000, 1}};
	l_world *w = *state;
	uint8_t bytes[5000] = "RCOSIGN1";
	char path[L_PATH];
	size_t i;

	assert_int_equal(mkdir(w->dir, 0700), 0);
	l_path(path, w->dir, "signing.key");
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rco__put16(bytes + 8, cases[i].version);
		rco__put32(bytes + cases[i].size - 4, rco__crc32c(0, bytes, cases[i].size - 4));
		l_spill(path, bytes, cases[i].size);
		memset(bytes + 10, 0, sizeof bytes - 10);
		assert_int_equal(open_key(w), RCO_OK);
		assert_int_equal(l_count(w->quarantine, NULL), i + 1);
		w->now_us++;
	}
	l_empty(w->quarantine);
	(void)rmdir(w->quarantine);
	/* Nowhere to set it aside: no new key is made over it. */
	l_spill(w->quarantine, (const uint8_t *)"a file", 6);
	l_spill(path, bytes, 48);
	assert_int_not_equal(open_key(w), RCO_OK);
	assert_int_equal(unlink(w->quarantine), 0);
	assert_int_equal(l_count(w->dir, NULL), 1);
	/* A key that cannot be read is no damaged one. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_not_equal(open_key(w), RCO_OK);
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
	assert_int_equal(open_key(w), RCO_E_INTERNAL);
	broken = "sodium_malloc";
	assert_int_equal(open_key(w), RCO_E_NO_MEMORY);
	broken = "crypto_sign_seed_keypair";
	assert_int_equal(open_key(w), RCO_E_INTERNAL);
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

	l_spill(w->dir, (const uint8_t *)"a file", 6);
	assert_int_equal(open_key(w), RCO_E_STATE);
	assert_int_equal(unlink(w->dir), 0);
	assert_int_equal(open_key(w), RCO_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_receipt_ends_as_receipts_end),   TEST(a_receipt_names_its_key),
		TEST(odd_keys_are_set_aside),           TEST(without_libsodium_there_is_no_receipt),
		TEST(without_a_folder_there_is_no_key),
	};

	return cmocka_run_group_tests_name("receipts, odd", tests, NULL, NULL);
}
