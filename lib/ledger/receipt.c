/* SPDX-License-Identifier: MIT */
/* Receipts: the object and its text. Verifying one needs neither and is in receipt_verify.c. */
#include "receipt_internal.h"

#include "../base/bytes.h"
#include "../base/error.h"
#include "receipt_text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RECEIPT_MAGIC = 0x52435054 };

struct rco_receipt {
	uint32_t magic;
	rco__env env;
	rco__signer *signer;
	rco__receipt_data data;
	char id[RCO_ID_TEXT + 1];
	char call_id[RCO_CALL_ID_MAX + 1];
};

int rco__receipt_new(const rco__env *env, rco__signer *signer, const rco__receipt_data *data, rco_receipt **out)
{
	rco_receipt *receipt = rco__zalloc(env, 1, sizeof *receipt);

	*out = NULL;
	if (!receipt)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a receipt");
	receipt->magic = RECEIPT_MAGIC;
	receipt->env = *env;
	receipt->data = *data;
	(void)snprintf(receipt->call_id, sizeof receipt->call_id, "%s", data->call_id);
	receipt->data.call_id = receipt->call_id;
	receipt->data.source[RCO_LABEL_MAX] = '\0';
	rco__uuid_text(data->id, receipt->id);
	rco__signer_ref(signer);
	receipt->signer = signer;
	*out = receipt;
	return RCO_OK;
}

static int live(const rco_receipt *receipt)
{
	return receipt && receipt->magic == RECEIPT_MAGIC;
}

const char *rco_receipt_id(const rco_receipt *receipt)
{
	return live(receipt) ? receipt->id : "";
}

const char *rco_receipt_call_id(const rco_receipt *receipt)
{
	return live(receipt) ? receipt->data.call_id : "";
}

const uint8_t *rco_receipt_recording_id(const rco_receipt *receipt)
{
	static const uint8_t none[16];

	return live(receipt) ? receipt->data.recording_id : none;
}

const char *rco_receipt_source(const rco_receipt *receipt)
{
	return live(receipt) ? receipt->data.source : "";
}

uint32_t rco_receipt_status(const rco_receipt *receipt)
{
	return live(receipt) ? receipt->data.status : (uint32_t)RCO_STATUS_UNKNOWN;
}

int rco_receipt_code(const rco_receipt *receipt)
{
	return live(receipt) ? receipt->data.code : RCO_OK;
}

uint32_t rco_receipt_facts(const rco_receipt *receipt)
{
	return live(receipt) ? receipt->data.facts : 0;
}

int64_t rco_receipt_time_us(const rco_receipt *receipt, uint32_t moment)
{
	if (!live(receipt))
		return 0;
	switch (moment) {
	case RCO_TIME_REQUESTED:
		return receipt->data.requested_us;
	case RCO_TIME_STOPPED:
		return receipt->data.stopped_us;
	case RCO_TIME_DURABLE:
		return receipt->data.durable_us;
	case RCO_TIME_ERASED:
		return receipt->data.erased_us;
	case RCO_TIME_VERIFIED:
		return receipt->data.verified_us;
	case RCO_TIME_ISSUED:
		return receipt->data.issued_us;
	default:
		return 0;
	}
}

void rco_receipt_free(rco_receipt *receipt)
{
	rco__env env;

	if (!live(receipt))
		return;
	env = receipt->env;
	rco__signer_unref(receipt->signer);
	receipt->magic = 0;
	rco__release(&env, receipt);
}

/* ---- text ---- */

struct text {
	char at[RCO_RECEIPT_JSON_MAX];
	size_t length;
	int failed; /* it did not fit; checked once at the end */
};

static void put(struct text *text, const char *bytes, size_t length)
{
	if (length > sizeof text->at - text->length) {
		text->failed = 1;
		return;
	}
	memcpy(text->at + text->length, bytes, length);
	text->length += length;
}

static void puts_text(struct text *text, const char *bytes)
{
	put(text, bytes, strlen(bytes));
}

static void put_unit(struct text *text, uint32_t unit)
{
	char escape[8];

	(void)snprintf(escape, sizeof escape, "\\u%04" PRIx32, unit & 0xffff);
	puts_text(text, escape);
}

static void put_point(struct text *text, uint32_t point)
{
	char c = (char)point;

	if (point == '"' || point == '\\')
		puts_text(text, "\\");
	if (point >= 0x20 && point < 0x7f) {
		put(text, &c, 1);
	} else if (point < 0x10000) {
		put_unit(text, point);
	} else {
		put_unit(text, 0xd800 + ((point - 0x10000) >> 10));
		put_unit(text, 0xdc00 + ((point - 0x10000) & 0x3ff));
	}
}

/* One code point of UTF-8 (RFC 3629); a byte that is none is taken alone, as U+FFFD. Returns the bytes used. */
static size_t get_point(const uint8_t *p, uint32_t *point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t i, size = p[0] < 0x80   ? 1
	                 : p[0] < 0xc0 ? 0
	                 : p[0] < 0xe0 ? 2
	                 : p[0] < 0xf0 ? 3
	                 : p[0] < 0xf8 ? 4
	                               : 0;
	uint32_t v;

	*point = 0xfffd;
	if (size == 0)
		return 1;
	v = size == 1 ? p[0] : p[0] & (0x7fu >> size);
	for (i = 1; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the NUL at the end is no such byte */
			return 1;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if (v < least[size] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 1;
	*point = v;
	return size;
}

static void put_string(struct text *text, const char *value)
{
	const uint8_t *p = (const uint8_t *)value;
	uint32_t point;

	puts_text(text, "\"");
	while (*p) {
		p += get_point(p, &point);
		put_point(text, point);
	}
	puts_text(text, "\"");
}

/* Microseconds since 1970 as RFC 3339. Moments that have not come are left out. */
static void put_time(struct text *text, const char *name, int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	char line[128];
	struct tm tm;

	if (us <= 0 || !gmtime_r(&seconds, &tm))
		return;
	(void)snprintf(line, sizeof line, ",\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", name,
	               tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	               (int)(us % 1000000));
	puts_text(text, line);
}

static void put_facts(struct text *text, uint32_t facts)
{
	static const char *const names[] = {"stopped", "durable",   "erased",    "verified",
	                                    "held",    "recorded",  "early",     "after_end",
	                                    "swept",   "recovered", "escalated", "unregistered"};
	int first = 1;
	size_t i;

	puts_text(text, ",\"facts\":[");
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!(facts & 1u << i))
			continue;
		if (!first)
			puts_text(text, ",");
		first = 0;
		put_string(text, names[i]);
	}
	puts_text(text, "]");
}

static void put_recording(struct text *text, const uint8_t id[16])
{
	static const uint8_t none[16];
	char uuid[RCO_ID_TEXT + 1];

	puts_text(text, ",\"recording\":");
	if (memcmp(id, none, sizeof none) == 0) {
		puts_text(text, "null");
		return;
	}
	rco__uuid_text(id, uuid);
	put_string(text, uuid);
}

/* What the evidence was when it was issued: anyone who has the ledger can tell whether it is that one. */
static void put_ledger(struct text *text, const rco__receipt_data *data)
{
	char hex[2 * sizeof data->ledger_hash + 1], line[64];

	if (data->ledger_seq == 0)
		return;
	(void)snprintf(line, sizeof line, ",\"ledger_seq\":%" PRIu64 ",\"ledger_hash\":", data->ledger_seq);
	puts_text(text, line);
	put_string(text, sodium_bin2hex(hex, sizeof hex, data->ledger_hash, sizeof data->ledger_hash));
}

/* Everything up to the signature. */
static void put_body(struct text *text, const rco_receipt *receipt)
{
	const rco__receipt_data *data = &receipt->data;
	char hex[2 * crypto_sign_PUBLICKEYBYTES + 1];
	uint8_t key[crypto_sign_PUBLICKEYBYTES];

	puts_text(text, "{\"v\":1,\"receipt\":");
	put_string(text, receipt->id);
	puts_text(text, ",\"call_id\":");
	put_string(text, data->call_id);
	put_recording(text, data->recording_id);
	puts_text(text, ",\"source\":");
	put_string(text, data->source);
	puts_text(text, ",\"status\":");
	put_string(text, rco_status_name(data->status));
	put_facts(text, data->facts);
	put_time(text, "requested_at", data->requested_us);
	put_time(text, "stopped_at", data->stopped_us);
	put_time(text, "durable_at", data->durable_us);
	put_time(text, "erased_at", data->erased_us);
	put_time(text, "verified_at", data->verified_us);
	put_time(text, "issued_at", data->issued_us);
	put_ledger(text, data);
	rco__signer_public(receipt->signer, key);
	puts_text(text, ",\"key\":");
	put_string(text, sodium_bin2hex(hex, sizeof hex, key, sizeof key));
}

static int put_signature(struct text *text, const rco__signer *signer)
{
	char base64[RCO__RECEIPT_SIG_TEXT + 1];
	uint8_t signature[crypto_sign_BYTES];
	struct text signed_text = {.length = 0};
	int rc;

	puts_text(&signed_text, RCO__RECEIPT_DOMAIN);
	put(&signed_text, text->at, text->length);
	if (signed_text.failed)
		return rco__fail(RCO_E_INTERNAL, "a receipt is longer than its limit");
	rc = rco__signer_sign(signer, signed_text.at, signed_text.length, signature);
	if (rc != RCO_OK)
		return rc;
	puts_text(text, RCO__RECEIPT_SIG_OPEN);
	puts_text(text, sodium_bin2base64(base64, sizeof base64, signature, sizeof signature,
	                                  sodium_base64_VARIANT_ORIGINAL));
	puts_text(text, RCO__RECEIPT_SIG_CLOSE);
	return text->failed ? rco__fail(RCO_E_INTERNAL, "a receipt is longer than its limit") : RCO_OK;
}

int rco_receipt_to_json(const rco_receipt *receipt, char *buf, size_t cap, size_t *len)
{
	struct text text = {.length = 0};
	int rc;

	rco__error_clear();
	if (len)
		*len = 0;
	if (!live(receipt))
		return rco__fail(receipt ? RCO_E_HANDLE : RCO_E_INVALID, "receipt is NULL or not a receipt");
	if (!buf && cap > 0)
		return rco__fail(RCO_E_INVALID, "buf is NULL and cap is %zu", cap);
	put_body(&text, receipt);
	rc = put_signature(&text, receipt->signer);
	if (rc != RCO_OK)
		return rc;
	if (len)
		*len = text.length;
	if (cap < text.length + 1)
		return rco__fail(RCO_E_LIMIT, "the receipt needs %zu bytes with its NUL; the buffer has %zu",
		                 text.length + 1, cap);
	memcpy(buf, text.at, text.length);
	buf[text.length] = '\0';
	return RCO_OK;
}
