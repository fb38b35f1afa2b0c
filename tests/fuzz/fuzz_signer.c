/* SPDX-License-Identifier: MIT */
/*
 * The signing key of a state folder. Whatever its file holds, there is a key afterwards (or the answer is that a
 * newer library wrote it), what it signs verifies with what it says is its public key, and the next start has the
 * same.
 */
#include "fuzz.h"
#include "mem.h"

#include "../../lib/base/bytes.h"
#include "../../lib/ledger/receipt_internal.h"

#include <sodium.h>
#include <string.h>

enum { REPAIR = 1, CAP = 5000 };

#define KEY "/state/signing.key"

static int open_signer(mem *m, rco__signer **signer)
{
	int64_t now_us = INT64_C(1700000000000000);
	rco__env env;

	*signer = NULL;
	mem_env(m, &now_us, &env);
	return rco__signer_open(&env, "/state", "/state/quarantine", signer);
}

static const mem *base_disk(void)
{
	static mem *m;
	rco__signer *signer;

	if (m == NULL) {
		m = mem_new();
		FUZZ_CHECK(open_signer(m, &signer) == RCO_OK);
		rco__signer_unref(signer);
		fuzz_random_reset(1); /* as in every later run */
	}
	return m;
}

static void live_with(mem *m, rco__signer *signer)
{
	uint8_t key[32], again[32], signature[64];

	rco__signer_public(signer, key);
	FUZZ_CHECK(rco__signer_sign(signer, "text", 4, signature) == RCO_OK);
	FUZZ_CHECK(crypto_sign_verify_detached(signature, (const uint8_t *)"text", 4, key) == 0);
	rco__signer_unref(signer);
	FUZZ_CHECK(open_signer(m, &signer) == RCO_OK);
	rco__signer_public(signer, again);
	FUZZ_CHECK(memcmp(key, again, sizeof key) == 0);
	rco__signer_unref(signer);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	unsigned how = fuzz_8(&in);
	static uint8_t buf[CAP];
	rco__signer *signer;
	const uint8_t *good;
	size_t n, whole;
	mem *m;
	int rc;

	m = mem_copy(base_disk());
	good = mem_file(m, KEY, &n);
	whole = n;
	memcpy(buf, good, n);
	fuzz_edit(&in, buf, &n, CAP);
	if ((how & REPAIR) && n >= 4)
		rco__put32(buf + n - 4, rco__crc32c(0, buf, n - 4));
	mem_put(m, KEY, buf, n);
	rc = open_signer(m, &signer);
	FUZZ_CHECK(rc == RCO_OK || (rc == RCO_E_VERSION && signer == NULL));
	/* Set aside and replaced, never both gone: the key of old receipts may be wanted. */
	good = mem_file(m, KEY, &n);
	FUZZ_CHECK(good != NULL && (rc != RCO_OK || n == whole));
	if (rc == RCO_OK)
		live_with(m, signer);
	mem_free(m);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const uint8_t edits[][6] = {{1, 0},
	                                   {5, 0, FUZZ_XOR, 20, 0, 1},
	                                   {5, 1, FUZZ_XOR, 20, 0, 1},
	                                   {5, 1, FUZZ_XOR, 8, 0, 3},
	                                   {4, 1, FUZZ_CUT, 40, 0},
	                                   {4, 1, FUZZ_ADD, 1, 0}};

	if (i >= sizeof edits / sizeof edits[0] || cap < 6)
		return 0;
	memcpy(out, edits[i] + 1, edits[i][0]);
	return edits[i][0];
}

static size_t file_size(void)
{
	size_t n;

	(void)mem_file(base_disk(), KEY, &n);
	return n;
}

FUZZ_TARGET(signer, one, seed, 256, "lib/ledger/signer.c", file_size)
