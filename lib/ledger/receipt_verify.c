/* SPDX-License-Identifier: MIT */
/* Verifying a receipt: needs the public key and nothing else. */
#include "../base/error.h"
#include "receipt_text.h"

#include <jansson.h>
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

/* The version first, so that a later kind of receipt is not called a forged one. */
static int check_members(const json_t *root)
{
	static const char *const strings[] = {"receipt", "call_id", "source", "status", "key", "sig"};
	const json_t *version = json_object_get(root, "v");
	size_t i;

	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return not_a_receipt("no version \"v\"");
	if (json_integer_value(version) > 1)
		return rco__fail(RCO_E_VERSION, "a later kind of receipt, \"v\":%lld; update the library",
		                 (long long)json_integer_value(version));
	for (i = 0; i < sizeof strings / sizeof strings[0]; i++) {
		if (!json_is_string(json_object_get(root, strings[i])))
			return rco__fail(RCO_E_CORRUPT, "not a receipt: no text \"%s\"", strings[i]);
	}
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

static int check_key(const json_t *root, const uint8_t public_key[32])
{
	char hex[2 * crypto_sign_PUBLICKEYBYTES + 1];

	(void)sodium_bin2hex(hex, sizeof hex, public_key, crypto_sign_PUBLICKEYBYTES);
	if (strcmp(json_string_value(json_object_get(root, "key")), hex) != 0)
		return rco__fail(RCO_E_SIGNATURE, "the receipt names another key than the one given");
	return RCO_OK;
}

static uint32_t status_of(const json_t *root)
{
	const char *name = json_string_value(json_object_get(root, "status"));
	uint32_t status;

	for (status = RCO_STATUS_REQUESTED; status <= RCO_STATUS_HELD; status++) {
		if (strcmp(rco_status_name(status), name) == 0)
			return status;
	}
	return RCO_STATUS_UNKNOWN;
}

int rco_receipt_verify(const char *json, size_t len, const uint8_t public_key[32], uint32_t *status)
{
	json_t *root;
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
	root = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		return not_a_receipt("no JSON object");
	}
	rc = check_members(root);
	if (rc == RCO_OK)
		rc = check_signature(json, len, public_key);
	if (rc == RCO_OK)
		rc = check_key(root, public_key);
	if (rc == RCO_OK && status)
		*status = status_of(root);
	json_decref(root);
	return rc;
}
