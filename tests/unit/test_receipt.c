/* SPDX-License-Identifier: MIT */
/* Receipts: they say what they were given (P7), hold nothing they must not, and cannot be altered unnoticed. */
#include "../support_ledger.h"

#include "../../lib/ledger/receipt.h"

#include <jansson.h>
#include <sodium.h>

typedef struct r_world {
	l_world w;
	rco__signer *signer;
	uint8_t key[32];
	rco__receipt_data data;
	char call_id[RCO_CALL_ID_MAX + 1];
} r_world;

static int setup(void **state)
{
	r_world *r = calloc(1, sizeof *r);

	assert_non_null(r);
	l_world_init(&r->w);
	assert_int_equal(rco__signer_open(&r->w.options.env, r->w.dir, r->w.quarantine, &r->signer), RCO_OK);
	rco__signer_public(r->signer, r->key);
	memset(r->data.id, 0xab, 16);
	memset(r->data.recording_id, 0x12, 16);
	memcpy(r->call_id, "a84b4c76e66710", 15);
	r->data.call_id = r->call_id;
	memcpy(r->data.source, "agent-tool", 11);
	r->data.status = RCO_STATUS_VERIFIED;
	r->data.facts =
		RCO_FACT_STOPPED | RCO_FACT_DURABLE | RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_RECORDED;
	r->data.requested_us = 1795377600123456; /* 2026-11-22T20:00:00.123456Z */
	r->data.stopped_us = r->data.requested_us + 1;
	r->data.durable_us = r->data.requested_us + 1000000;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	r_world *r = *state;

	rco__signer_unref(r->signer);
	l_world_destroy(&r->w);
	free(r);
	return 0;
}

static size_t make(r_world *r, char json[RCO_RECEIPT_JSON_MAX])
{
	rco_receipt *receipt;
	size_t len = 0;

	assert_int_equal(rco__receipt_new(&r->w.options.env, r->signer, &r->data, &receipt), RCO_OK);
	assert_int_equal(rco_receipt_to_json(receipt, json, RCO_RECEIPT_JSON_MAX, &len), RCO_OK);
	assert_int_equal(strlen(json), len);
	rco_receipt_free(receipt);
	return len;
}

static void accessors(void **state)
{
	r_world *r = *state;
	rco_receipt *receipt;

	assert_int_equal(rco__receipt_new(&r->w.options.env, r->signer, &r->data, &receipt), RCO_OK);
	assert_string_equal(rco_receipt_id(receipt), "abababab-abab-abab-abab-abababababab");
	assert_string_equal(rco_receipt_call_id(receipt), "a84b4c76e66710");
	assert_string_equal(rco_receipt_source(receipt), "agent-tool");
	assert_int_equal(rco_receipt_status(receipt), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_receipt_facts(receipt), r->data.facts);
	assert_true(rco_receipt_time_us(receipt, RCO_TIME_REQUESTED) == r->data.requested_us);
	assert_true(rco_receipt_time_us(receipt, RCO_TIME_STOPPED) == r->data.stopped_us);
	assert_true(rco_receipt_time_us(receipt, RCO_TIME_DURABLE) == r->data.durable_us);
	assert_true(rco_receipt_time_us(receipt, RCO_TIME_ERASED) == 0);
	assert_true(rco_receipt_time_us(receipt, RCO_TIME_VERIFIED) == 0);
	assert_true(rco_receipt_time_us(receipt, 99) == 0);
	rco_receipt_free(receipt);
}

static void null_and_small_buffers(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX];
	rco_receipt *receipt;
	size_t len, need;

	assert_string_equal(rco_receipt_id(NULL), "");
	assert_string_equal(rco_receipt_call_id(NULL), "");
	assert_string_equal(rco_receipt_source(NULL), "");
	assert_int_equal(rco_receipt_status(NULL), RCO_STATUS_UNKNOWN);
	assert_int_equal(rco_receipt_facts(NULL), 0);
	assert_true(rco_receipt_time_us(NULL, RCO_TIME_REQUESTED) == 0);
	rco_receipt_free(NULL);
	assert_int_equal(rco_receipt_to_json(NULL, json, sizeof json, &len), RCO_E_INVALID);
	assert_int_equal(rco_receipt_verify(NULL, 1, r->key, NULL), RCO_E_INVALID);
	assert_int_equal(rco_receipt_verify("x", 1, NULL, NULL), RCO_E_INVALID);

	need = make(r, json);
	assert_int_equal(rco__receipt_new(&r->w.options.env, r->signer, &r->data, &receipt), RCO_OK);
	assert_int_equal(rco_receipt_to_json(receipt, NULL, 0, &len), RCO_E_LIMIT);
	assert_int_equal(len, need);
	assert_int_equal(rco_receipt_to_json(receipt, NULL, 1, &len), RCO_E_INVALID);
	memset(json, 'x', sizeof json);
	assert_int_equal(rco_receipt_to_json(receipt, json, need, &len), RCO_E_LIMIT);
	assert_int_equal(len, need);
	assert_int_equal(json[0], 'x');
	assert_int_equal(rco_receipt_to_json(receipt, json, need + 1, NULL), RCO_OK);
	assert_int_equal(strlen(json), need);
	rco_receipt_free(receipt);

	t_memory.fail_all = 1;
	assert_int_equal(rco__receipt_new(&r->w.options.env, r->signer, &r->data, &receipt), RCO_E_NO_MEMORY);
	assert_null(receipt);
}

/* The text to the letter: hosts and other languages parse it. */
static void text(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX], again[RCO_RECEIPT_JSON_MAX], start[1024], hex[65];
	uint32_t status = 0;
	size_t len = make(r, json);

	assert_true(snprintf(start, sizeof start,
	                     "{\"v\":1,\"receipt\":\"abababab-abab-abab-abab-abababababab\",\"call_id\":"
	                     "\"a84b4c76e66710\","
	                     "\"recording\":\"12121212-1212-1212-1212-121212121212\",\"source\":\"agent-tool\","
	                     "\"status\":\"verified\",\"facts\":[\"stopped\",\"durable\",\"erased\",\"verified\","
	                     "\"recorded\"],\"requested_at\":\"2026-11-22T20:00:00.123456Z\","
	                     "\"stopped_at\":\"2026-11-22T20:00:00.123457Z\","
	                     "\"durable_at\":\"2026-11-22T20:00:01.123456Z\",\"key\":\"%s\",\"sig\":\"",
	                     sodium_bin2hex(hex, sizeof hex, r->key, 32)) < (int)sizeof start);
	assert_memory_equal(json, start, strlen(start));
	assert_int_equal(len, strlen(start) + 88 + 2);
	assert_int_equal(rco_receipt_verify(json, len, r->key, &status), RCO_OK);
	assert_int_equal(status, RCO_STATUS_VERIFIED);
	assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_OK);
	assert_int_equal(make(r, again), len);
	assert_string_equal(again, json);
}

static void every_status_and_fact(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX];
	uint32_t status, got;
	size_t len;

	for (status = RCO_STATUS_UNKNOWN; status <= RCO_STATUS_NOTED; status++) {
		r->data.status = status;
		len = make(r, json);
		got = 99;
		assert_int_equal(rco_receipt_verify(json, len, r->key, &got), RCO_OK);
		assert_int_equal(got, status);
	}
	r->data.facts = 0;
	memset(r->data.recording_id, 0, 16);
	(void)make(r, json);
	assert_non_null(strstr(json, "\"facts\":[],"));
	assert_non_null(strstr(json, "\"recording\":null,"));
	r->data.facts = 0xffffffff;
	(void)make(r, json);
	assert_non_null(strstr(json,
	                       "[\"stopped\",\"durable\",\"erased\",\"verified\",\"held\",\"recorded\","
	                       "\"early\",\"after_end\",\"swept\",\"recovered\",\"escalated\",\"unregistered\"]"));
}

static void line_breaks(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX + 2];
	size_t len = make(r, json);

	json[len] = '\n';
	assert_int_equal(rco_receipt_verify(json, len + 1, r->key, NULL), RCO_OK);
	json[len + 1] = '\n';
	assert_int_equal(rco_receipt_verify(json, len + 2, r->key, NULL), RCO_E_CORRUPT);
	json[len] = '\r';
	assert_int_equal(rco_receipt_verify(json, len + 2, r->key, NULL), RCO_OK);
	json[len] = ' ';
	assert_int_equal(rco_receipt_verify(json, len + 1, r->key, NULL), RCO_E_CORRUPT);
}

/* Every single changed byte, every cut, every inserted byte is noticed. */
static void tampered(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX], copy[RCO_RECEIPT_JSON_MAX];
	size_t len = make(r, json), i;
	uint32_t status;
	int rc;

	for (i = 0; i < len; i++) {
		memcpy(copy, json, len);
		copy[i] ^= (char)(1 << i % 7);
		status = 99;
		rc = rco_receipt_verify(copy, len, r->key, &status);
		assert_true(rc == RCO_E_SIGNATURE || rc == RCO_E_CORRUPT || rc == RCO_E_VERSION);
		assert_int_equal(status, RCO_STATUS_UNKNOWN);
		assert_int_equal(rco_receipt_verify(json, i, r->key, NULL), RCO_E_CORRUPT);
		memmove(copy, json, i);
		copy[i] = ' ';
		memcpy(copy + i + 1, json + i, len - i);
		rc = rco_receipt_verify(copy, len + 1, r->key, NULL);
		assert_true(rc == RCO_E_SIGNATURE || rc == RCO_E_CORRUPT);
	}
	/* "verified" for "erased" is not a broken text but a lie */
	r->data.status = RCO_STATUS_ERASED;
	len = make(r, json);
	memcpy(strstr(json, "\"status\":\"erased\"") + 10, "failed", 6);
	assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_E_SIGNATURE);
}

/* Signed by another key, also when the text is made to name the expected one. */
static void rekeyed(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX], dir[L_PATH], hex[65];
	uint8_t other[32];
	rco__signer *signer, *mine = r->signer;
	size_t len;

	l_path(dir, r->w.root, "other");
	assert_int_equal(rco__signer_open(&r->w.options.env, dir, r->w.quarantine, &signer), RCO_OK);
	rco__signer_public(signer, other);
	assert_memory_not_equal(other, r->key, 32);
	r->signer = signer;
	len = make(r, json);
	r->signer = mine;
	assert_int_equal(rco_receipt_verify(json, len, other, NULL), RCO_OK);
	assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_E_SIGNATURE);
	memcpy(strstr(json, "\"key\":\"") + 7, sodium_bin2hex(hex, sizeof hex, r->key, 32), 64);
	assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_E_SIGNATURE);
	assert_int_equal(rco_receipt_verify(json, len, other, NULL), RCO_E_SIGNATURE);
	rco__signer_unref(signer);
	l_empty(dir);
	assert_int_equal(rmdir(dir), 0);
}

/* A genuine signature over something that is not a receipt of this version. */
static void sign_text(r_world *r, const char *body, char *out)
{
	uint8_t file[64], public_key[32], secret[64], sig[64];
	char message[4096], base64[89];
	size_t size;
	int n;

	assert_int_equal(rco__fs_get(r->w.options.env.fs, r->w.dir, "signing.key", file, sizeof file, &size),
	                 RCO_OK);
	assert_int_equal(crypto_sign_seed_keypair(public_key, secret, file + 12), 0);
	n = snprintf(message, sizeof message, "librecoptout-receipt-v1\n%s", body);
	assert_true(n > 0 && n < (int)sizeof message);
	assert_int_equal(crypto_sign_detached(sig, NULL, (const uint8_t *)message, strlen(message), secret), 0);
	n = snprintf(out, RCO_RECEIPT_JSON_MAX, "%s,\"sig\":\"%s\"}", body,
	             sodium_bin2base64(base64, sizeof base64, sig, 64, sodium_base64_VARIANT_ORIGINAL));
	assert_true(n > 0 && n < RCO_RECEIPT_JSON_MAX);
}

static void strict(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX + 64], body[1024], hex[65];
	static const struct {
		const char *start;
		int rc;
	} cases[] = {
		{"{\"v\":1,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":\"erased\"", RCO_OK},
		{"{\"v\":2,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":\"erased\"",
	         RCO_E_VERSION},
		{"{\"v\":0,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":\"erased\"",
	         RCO_E_CORRUPT},
		{"{\"v\":\"1\",\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":\"erased\"",
	         RCO_E_CORRUPT},
		{"{\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":\"erased\"", RCO_E_CORRUPT},
		{"{\"v\":1,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":3", RCO_E_CORRUPT},
		{"{\"v\":1,\"call_id\":\"c\",\"source\":\"s\",\"status\":\"erased\"", RCO_E_CORRUPT},
		{"{\"v\":1,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":\"failed\",\"status\":"
	         "\"erased\"",
	         RCO_E_CORRUPT},
		{"[1", RCO_E_CORRUPT},
	};
	size_t i;

	(void)sodium_bin2hex(hex, sizeof hex, r->key, 32);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(snprintf(body, sizeof body, "%s,\"key\":\"%s\"", cases[i].start, hex) <
		            (int)sizeof body);
		sign_text(r, body, json);
		assert_int_equal(rco_receipt_verify(json, strlen(json), r->key, NULL), cases[i].rc);
	}
	assert_int_equal(rco_receipt_verify("", 0, r->key, NULL), RCO_E_CORRUPT);
	memset(json, ' ', sizeof json);
	assert_int_equal(rco_receipt_verify(json, sizeof json, r->key, NULL), RCO_E_CORRUPT);
	assert_int_equal(rco_receipt_verify(json, (size_t)-1, r->key, NULL), RCO_E_CORRUPT);
}

/* Quotes, backslashes, control bytes, all lengths of UTF-8, broken UTF-8: valid ASCII JSON that says the same. */
static void nasty_call_ids(void **state)
{
	static const char *const ids[] = {
		"\"",
		"\\",
		"\\\"},\"sig\":\"",
		"a\x01\x1f\x7f",
		"</script>",
		"gr\xc3\xbc\xc3\x9f",
		"\xe2\x82\xac",
		"\xf0\x9f\x93\x9e-\xf4\x8f\xbf\xbf",
		"\xef\xbf\xbd",
		"a/b",
		"\t\r\n",
	};
	static const struct {
		const char *id, *text;
	} broken[] = {
		{"\xff", "\\ufffd"},
		{"a\xc3", "a\\ufffd"},
		{"\xc0\x80", "\\ufffd\\ufffd"},
		{"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
		{"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
		{"\xf0\x9f\x93", "\\ufffd\\ufffd\\ufffd"},
	};
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX], want[128];
	json_t *root;
	size_t i, len, k;

	for (i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		memset(r->call_id, 0, sizeof r->call_id);
		memcpy(r->call_id, ids[i], strlen(ids[i]));
		len = make(r, json);
		for (k = 0; k < len; k++)
			assert_true(json[k] >= 0x20 && json[k] < 0x7f);
		root = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(root);
		assert_string_equal(json_string_value(json_object_get(root, "call_id")), ids[i]);
		json_decref(root);
		assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_OK);
	}
	for (i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		memset(r->call_id, 0, sizeof r->call_id);
		memcpy(r->call_id, broken[i].id, strlen(broken[i].id));
		len = make(r, json);
		assert_true(snprintf(want, sizeof want, "\"call_id\":\"%s\",", broken[i].text) < (int)sizeof want);
		assert_non_null(strstr(json, want));
		assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_OK);
	}
}

/* RCO_RECEIPT_JSON_MAX suffices for the longest of everything. */
static void longest(void **state)
{
	static const char *const fills[] = {"\xff", "\x01", "\xc3\xbc", "\xf0\x9f\x93\x9e", "\""};
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX];
	size_t i, k, n, len;

	r->data.facts = 0xffffffff;
	r->data.status = RCO_STATUS_NOT_RECORDING;
	memset(r->data.source, 'x', RCO_LABEL_MAX);
	r->data.requested_us = r->data.stopped_us = r->data.durable_us = INT64_MAX;
	r->data.erased_us = r->data.verified_us = INT64_MAX;
	for (i = 0; i < sizeof fills / sizeof fills[0]; i++) {
		n = strlen(fills[i]);
		memset(r->call_id, 0, sizeof r->call_id);
		for (k = 0; k + n <= RCO_CALL_ID_MAX; k += n)
			memcpy(r->call_id + k, fills[i], n);
		len = make(r, json);
		assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_OK);
	}
	r->data.requested_us = -1;
	(void)make(r, json);
	assert_null(strstr(json, "requested_at"));
}

/* A receipt may outlive everything else that its owner had. */
static void outlives_signer(void **state)
{
	r_world *r = *state;
	char json[RCO_RECEIPT_JSON_MAX];
	rco_receipt *receipt;
	size_t len;

	assert_int_equal(rco__receipt_new(&r->w.options.env, r->signer, &r->data, &receipt), RCO_OK);
	rco__signer_unref(r->signer);
	r->signer = NULL;
	assert_int_equal(rco_receipt_to_json(receipt, json, sizeof json, &len), RCO_OK);
	assert_int_equal(rco_receipt_verify(json, len, r->key, NULL), RCO_OK);
	rco_receipt_free(receipt);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accessors, setup, teardown),
		cmocka_unit_test_setup_teardown(null_and_small_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(text, setup, teardown),
		cmocka_unit_test_setup_teardown(every_status_and_fact, setup, teardown),
		cmocka_unit_test_setup_teardown(line_breaks, setup, teardown),
		cmocka_unit_test_setup_teardown(tampered, setup, teardown),
		cmocka_unit_test_setup_teardown(rekeyed, setup, teardown),
		cmocka_unit_test_setup_teardown(strict, setup, teardown),
		cmocka_unit_test_setup_teardown(nasty_call_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(longest, setup, teardown),
		cmocka_unit_test_setup_teardown(outlives_signer, setup, teardown),
		cmocka_unit_test(a_receipt_ends_as_receipts_end),
		cmocka_unit_test(a_receipt_names_its_key),
	};

	return cmocka_run_group_tests_name("receipt", tests, NULL, NULL);
}
