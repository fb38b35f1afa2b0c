/* SPDX-License-Identifier: MIT */
/* Verifying a receipt: needs the public key and nothing else. */
#include "../base/error.h"
#include "../base/json_leaves.h"
#include "../base/status.h"
#include "receipt_text.h"

#include <sodium.h>
#include <string.h>

enum {
	OPEN_SIZE = sizeof RCO__RECEIPT_SIG_OPEN - 1,
	CLOSE_SIZE = sizeof RCO__RECEIPT_SIG_CLOSE - 1,
	DOMAIN_SIZE = sizeof RCO__RECEIPT_DOMAIN - 1,
	SUFFIX_SIZE = OPEN_SIZE + RCO__RECEIPT_SIG_TEXT + CLOSE_SIZE
};

static int not_a_receipt(const char *why)
{
	return rco__fail(RCO_E_CORRUPT, "not a receipt: %s", why);
}

static size_t without_line_break(const char *json, size_t len)
{
	if (len > 0 && json[len - 1] == '\n')
		len--;
	if (len > 0 && json[len - 1] == '\r')
		len--;
	return len;
}

static int is_line(const char *json, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (json[i] < 0x20 || json[i] > 0x7e)
			return 0;
	}
	return 1;
}

/* The members that every receipt has, besides "v": texts, each once. */
static const char *const names[] = {"receipt", "call_id", "source", "status", "key", "sig"};

enum { STATUS = 3, KEY = 4, NAMES = sizeof names / sizeof names[0] };

typedef struct members {
	unsigned versions, times[NAMES];
	uint64_t version;
	uint32_t status;
	char key[2 * crypto_sign_PUBLICKEYBYTES + 1];
} members;

static void take(void *user, const rco__json_leaf *leaf)
{
	members *m = user;
	size_t i;

	if (strcmp(leaf->path, "/v") == 0) {
		m->versions++;
		m->version = rco__json_leaf_count(leaf);
	}
	for (i = 0; i < NAMES; i++) {
		if (leaf->path[0] != '/' || strcmp(leaf->path + 1, names[i]) != 0)
			continue;
		m->times[i] += leaf->type == RCO__JSON_STRING ? 1u : 2u;
		if (i == STATUS)
			m->status = rco__status_named(leaf->text);
		if (i == KEY && leaf->size == sizeof m->key - 1)
			memcpy(m->key, leaf->text, sizeof m->key);
	}
}

/* The version first, so that a later kind of receipt is not called a forged one. */
static int check_members(const members *m)
{
	size_t i;

	if (m->versions != 1 || m->version < 1)
		return not_a_receipt("no version \"v\"");
	if (m->version > 1)
		return rco__fail(RCO_E_VERSION, "a later kind of receipt, \"v\":%llu; update the library",
		                 (unsigned long long)m->version);
	for (i = 0; i < NAMES; i++)
		if (m->times[i] != 1)
			return rco__fail(RCO_E_CORRUPT, "not a receipt: no text \"%s\", or several", names[i]);
	return RCO_OK;
}

static int check_signature(const char *json, size_t len, const uint8_t public_key[32])
{
	uint8_t message[DOMAIN_SIZE + RCO_RECEIPT_JSON_MAX], signature[crypto_sign_BYTES];
	const char *suffix = json + len - SUFFIX_SIZE;
	size_t body = len - SUFFIX_SIZE, size = 0;

	if (memcmp(suffix, RCO__RECEIPT_SIG_OPEN, OPEN_SIZE) != 0 ||
	    memcmp(json + len - CLOSE_SIZE, RCO__RECEIPT_SIG_CLOSE, CLOSE_SIZE) != 0)
		return not_a_receipt("the signature is not its last member");
	if (sodium_base642bin(signature, sizeof signature, suffix + OPEN_SIZE, RCO__RECEIPT_SIG_TEXT, NULL, &size,
	                      NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    size != sizeof signature)
		return not_a_receipt("the signature is not base64");
	memcpy(message, RCO__RECEIPT_DOMAIN, DOMAIN_SIZE);
	memcpy(message + DOMAIN_SIZE, json, body);
	if (crypto_sign_verify_detached(signature, message, DOMAIN_SIZE + body, public_key) != 0)
		return rco__fail(RCO_E_SIGNATURE, "the receipt was altered, or signed by another key");
	return RCO_OK;
}

static int check_key(const members *m, const uint8_t public_key[32])
{
	char hex[2 * crypto_sign_PUBLICKEYBYTES + 1];

	(void)sodium_bin2hex(hex, sizeof hex, public_key, crypto_sign_PUBLICKEYBYTES);
	if (strcmp(m->key, hex) != 0)
		return rco__fail(RCO_E_SIGNATURE, "the receipt names another key than the one given");
	return RCO_OK;
}

int rco_receipt_verify(const char *json, size_t len, const uint8_t public_key[32], uint32_t *status)
{
	members m = {0};
	int rc;

	rco__error_clear();
	if (status)
		*status = RCO_STATUS_UNKNOWN;
	if (!json || !public_key)
		return rco__fail(RCO_E_INVALID, "json or public_key is NULL");
	if (sodium_init() < 0)
		return rco__fail(RCO_E_INTERNAL, "libsodium cannot be initialised");
	if (len > RCO_RECEIPT_JSON_MAX + 1) /* looked at before the bytes are */
		return not_a_receipt("too long");
	len = without_line_break(json, len);
	if (len <= SUFFIX_SIZE || len >= RCO_RECEIPT_JSON_MAX || !is_line(json, len))
		return not_a_receipt("too short, too long, or not one line of ASCII");
	if (!rco__json_leaves(json, len, take, &m))
		return not_a_receipt("no JSON object");
	rc = check_members(&m);
	if (rc == RCO_OK)
		rc = check_signature(json, len, public_key);
	if (rc == RCO_OK)
		rc = check_key(&m, public_key);
	if (rc == RCO_OK && status)
		*status = m.status;
	return rc;
}
