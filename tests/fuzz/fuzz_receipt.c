/* SPDX-License-Identifier: MIT */
/*
 * Receipts. One that was changed in any way does not verify, nor any under another key; one that is signed by the
 * right key but says something else verifies only with all that a receipt has to say. And whatever is to be said,
 * with any bytes as call id, makes a receipt that verifies and is JSON.
 */
#include "fuzz.h"
#include "mem.h"

#include "../../lib/base/bytes.h"
#include "../../lib/ledger/receipt_internal.h"
#include "../../lib/ledger/receipt_text.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

enum { SIGN = 1, MAKE = 2, CAP = RCO_RECEIPT_JSON_MAX + 64 };

static rco__signer *signer;
static uint8_t key[32];
static char good[RCO_RECEIPT_JSON_MAX];
static size_t good_size;
static rco__env env;

static void to_json(const rco__receipt_data *data, char text[RCO_RECEIPT_JSON_MAX], size_t *size)
{
	rco_receipt *receipt;

	FUZZ_CHECK(rco__receipt_new(&env, signer, data, &receipt) == RCO_OK);
	FUZZ_CHECK(rco_receipt_to_json(receipt, text, RCO_RECEIPT_JSON_MAX, size) == RCO_OK);
	FUZZ_CHECK(*size < RCO_RECEIPT_JSON_MAX && text[*size] == '\0');
	rco_receipt_free(receipt);
}

static void set_up(void)
{
	static int64_t now_us = INT64_C(1700000000000000);
	rco__receipt_data data = {.id = {1},
	                          .recording_id = {2},
	                          .call_id = "call",
	                          .source = "agent",
	                          .status = RCO_STATUS_ERASED,
	                          .facts = RCO_FACT_STOPPED | RCO_FACT_DURABLE,
	                          .requested_us = INT64_C(1700000000000001)};
	mem *m;

	if (signer != NULL)
		return;
	m = mem_new();
	mem_env(m, &now_us, &env);
	FUZZ_CHECK(rco__signer_open(&env, "/state", "/q", &signer) == RCO_OK);
	mem_free(m);
	env.fs = rco__fs_posix(); /* no more of it is used */
	rco__signer_public(signer, key);
	to_json(&data, good, &good_size);
	fuzz_random_reset(1);
}

static size_t without_break(const char *text, size_t size)
{
	if (size > 0 && text[size - 1] == '\n')
		size--;
	if (size > 0 && text[size - 1] == '\r')
		size--;
	return size;
}

/* What is left of its signature is taken off, and the right one of the rest put there. */
static size_t sign(char *text, size_t size)
{
	char signed_text[sizeof RCO__RECEIPT_DOMAIN + CAP], base64[RCO__RECEIPT_SIG_TEXT + 1];
	size_t domain = sizeof RCO__RECEIPT_DOMAIN - 1, suffix = 8 + RCO__RECEIPT_SIG_TEXT + 2;
	size_t body = size > suffix ? size - suffix : 0;
	uint8_t signature[64];

	if (body + suffix > CAP)
		return size;
	memcpy(signed_text, RCO__RECEIPT_DOMAIN, domain);
	memcpy(signed_text + domain, text, body);
	FUZZ_CHECK(rco__signer_sign(signer, signed_text, domain + body, signature) == RCO_OK);
	(void)sodium_bin2base64(base64, sizeof base64, signature, sizeof signature,
	                        sodium_base64_VARIANT_ORIGINAL);
	memcpy(text + body, RCO__RECEIPT_SIG_OPEN, 8);
	memcpy(text + body + 8, base64, RCO__RECEIPT_SIG_TEXT);
	memcpy(text + body + 8 + RCO__RECEIPT_SIG_TEXT, RCO__RECEIPT_SIG_CLOSE, 2);
	return body + suffix;
}

static const char *text_of(json_t *root, const char *name)
{
	const char *text = json_string_value(json_object_get(root, name));

	FUZZ_CHECK(text != NULL);
	return text;
}

/* It verified: then it is all that. */
static void check_whole(const char *text, size_t size, uint32_t status)
{
	json_t *root = json_loadb(text, without_break(text, size), 0, NULL);
	char hex[65];

	FUZZ_CHECK(json_is_object(root) && json_integer_value(json_object_get(root, "v")) == 1);
	FUZZ_CHECK(status == RCO_STATUS_UNKNOWN || strcmp(text_of(root, "status"), rco_status_name(status)) == 0);
	(void)text_of(root, "receipt");
	(void)text_of(root, "call_id");
	(void)text_of(root, "source");
	FUZZ_CHECK(strcmp(text_of(root, "key"), sodium_bin2hex(hex, sizeof hex, key, sizeof key)) == 0);
	json_decref(root);
}

static void verify(const char *text, size_t size, int was_signed)
{
	uint32_t status = 99, again = 98;
	int rc = rco_receipt_verify(text, size, key, &status);
	uint8_t other[32];
	int same = without_break(text, size) == good_size && memcmp(text, good, good_size) == 0;

	FUZZ_CHECK(rco_receipt_verify(text, size, key, &again) == rc && again == status);
	FUZZ_CHECK(rc == RCO_OK || rc == RCO_E_CORRUPT || rc == RCO_E_SIGNATURE || rc == RCO_E_VERSION);
	FUZZ_CHECK(rc == RCO_OK || status == RCO_STATUS_UNKNOWN);
	FUZZ_CHECK(!same || rc == RCO_OK);
	FUZZ_CHECK(same || was_signed || rc != RCO_OK);
	if (rc != RCO_OK)
		return;
	check_whole(text, size, status);
	memcpy(other, key, sizeof other);
	other[size % 32] ^= 1;
	FUZZ_CHECK(rco_receipt_verify(text, size, other, NULL) != RCO_OK);
}

static void make(fuzz_input *in)
{
	char call_id[RCO_CALL_ID_MAX + 1] = "", text[RCO_RECEIPT_JSON_MAX];
	rco__receipt_data data = {.call_id = call_id};
	uint32_t status = 99;
	const uint8_t *bytes;
	size_t size, i;

	data.status = RCO_STATUS_REQUESTED + fuzz_8(in) % (RCO_STATUS_NOTED - RCO_STATUS_REQUESTED + 1);
	data.facts = fuzz_32(in);
	data.requested_us = (int64_t)fuzz_64(in);
	data.verified_us = (int64_t)fuzz_64(in);
	data.recording_id[0] = fuzz_8(in);
	size = fuzz_bytes(in, RCO_LABEL_MAX, &bytes);
	for (i = 0; i < size; i++)
		data.source[i] = (char)bytes[i];
	size = fuzz_bytes(in, RCO_CALL_ID_MAX, &bytes);
	for (i = 0; i < size; i++)
		call_id[i] = (char)bytes[i];
	to_json(&data, text, &size);
	FUZZ_CHECK(rco_receipt_verify(text, size, key, &status) == RCO_OK && status == data.status);
	check_whole(text, size, status);
	if (rco__call_id_check(call_id) == RCO_OK) {
		json_t *root = json_loadb(text, size, 0, NULL);

		FUZZ_CHECK(strcmp(text_of(root, "call_id"), call_id) == 0);
		json_decref(root);
	}
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	static uint8_t buf[CAP];
	unsigned how;
	size_t n;

	set_up();
	how = fuzz_8(&in);
	if (how & MAKE) {
		make(&in);
		return;
	}
	memcpy(buf, good, good_size);
	n = good_size;
	fuzz_edit(&in, buf, &n, CAP);
	if (how & SIGN)
		n = sign((char *)buf, n);
	verify((const char *)buf, n, (how & SIGN) != 0);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const uint8_t edits[][8] = {{1, 0},
	                                   {5, 0, FUZZ_XOR, 20, 0, 1},
	                                   {5, 1, FUZZ_XOR, 5, 0, 3},
	                                   {5, 1, FUZZ_XOR, 60, 0, 1},
	                                   {4, 0, FUZZ_CUT, 100, 0},
	                                   {4, 0, FUZZ_ADD, 1, '\n'},
	                                   {5, 1, FUZZ_XOR, 2, 0, 7},
	                                   {7, 1, FUZZ_COPY, 0, 0, 40, 0, 90}};
	enum { EDITS = sizeof edits / sizeof edits[0] };

	set_up();
	if (i > EDITS + 1 || cap < good_size + 64)
		return 0;
	if (i < EDITS) {
		memcpy(out, edits[i] + 1, edits[i][0]);
		return edits[i][0];
	}
	memset(out, 0, 23);
	out[0] = MAKE;
	memcpy(out + 23, "a source, at most so many characters as a label has, \xc3\xa9 \xf0\x9f\x98\x80 \"\\",
	       61);
	if (i == EDITS)
		return 84;
	out[0] = SIGN;
	out[1] = FUZZ_ALL;
	memcpy(out + 2, good, good_size);
	return good_size + 2;
}

static size_t file_size(void)
{
	set_up();
	return good_size;
}

FUZZ_TARGET(receipt, one, seed, 1024, "lib/ledger/receipt_verify.c lib/ledger/receipt.c", file_size)
