/* SPDX-License-Identifier: MIT */
/*
 * Texts from the host: call ids, labels, UUIDs; and the cursor by which entries are read. Each check agrees with
 * another implementation of the same rule.
 */
#include "fuzz.h"

#include "../../lib/base/bytes.h"

#include <ctype.h>
#include <jansson.h>
#include <recoptout.h>
#include <stdlib.h>
#include <string.h>

/* Well-formed by jansson's judgement, and without control characters. */
static int printable(const uint8_t *p, size_t n)
{
	json_t *text = json_stringn((const char *)p, n);
	size_t i;

	if (text == NULL)
		return 0;
	json_decref(text);
	for (i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f ||
		    (p[i] == 0xc2 && i + 1 < n && p[i + 1] >= 0x80 && p[i + 1] <= 0x9f))
			return 0;
	return 1;
}

static void check_uuid(const char *text)
{
	char again[37];
	uint8_t id[16];
	size_t i;

	if (rco__uuid_parse(text, id) != RCO_OK) {
		for (i = 0; i < 16; i++)
			FUZZ_CHECK(id[i] == 0);
		return;
	}
	rco__uuid_text(id, again);
	for (i = 0; i < 37; i++)
		FUZZ_CHECK(again[i] == tolower((unsigned char)text[i]));
}

static void check_label(const char *text, size_t n)
{
	static const char some[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	static const char dots[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";

	FUZZ_CHECK(rco__label_ok(text, 0) == (n > 0 && n <= RCO_LABEL_MAX && strspn(text, some) == n));
	FUZZ_CHECK(rco__label_ok(text, 1) == (n > 0 && n <= RCO_LABEL_MAX && strspn(text, dots) == n));
}

/* Reads as the input says, from the rest of it: never outside, and once it failed, only zeros. */
static void check_cursor(const uint8_t *data, size_t size)
{
	size_t asked = size < 16 ? size : 16, i;
	uint8_t out[32];
	char text[24];
	rco__cursor c;

	rco__cursor_reader(&c, data + asked, size - asked);
	for (i = 0; i < asked; i++) {
		int failed = c.failed;
		uint64_t got = 0;

		switch (data[i] % 6) {
		case 0:
			got = rco__r8(&c);
			break;
		case 1:
			got = rco__r16(&c);
			break;
		case 2:
			got = rco__r32(&c);
			break;
		case 3:
			got = rco__r64(&c);
			break;
		case 4:
			rco__rbytes(&c, out, data[i] % sizeof out);
			break;
		default:
			rco__rstr(&c, text, data[i] % sizeof text + 1);
			FUZZ_CHECK(strlen(text) <= data[i] % sizeof text);
			got = (uint8_t)text[0];
		}
		FUZZ_CHECK(!failed || (c.failed && got == 0));
		FUZZ_CHECK(rco__cursor_used(&c, data + asked) <= size - asked);
	}
}

static void one(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	size_t n;

	FUZZ_CHECK(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	n = strlen(text);
	FUZZ_CHECK(rco__utf8_printable(text, n) == printable(data, n));
	FUZZ_CHECK((rco__call_id_check(text) == RCO_OK) == (n > 0 && n <= RCO_CALL_ID_MAX && printable(data, n)));
	check_label(text, n);
	check_uuid(text);
	free(text);
	check_cursor(data, size);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const texts[] = {"caller", "a.b-c_9", "01234567-89ab-cdef-0123-456789ABCDEF",
	                                    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc2\x85\xed\xa0\x80",
	                                    "\1\2\3\4\5\5\1\2\3\4\5\5\1\2\3\4\3abc"};

	if (i >= sizeof texts / sizeof texts[0] || strlen(texts[i]) > cap)
		return 0;
	memcpy(out, texts[i], strlen(texts[i]));
	return strlen(texts[i]);
}

FUZZ_TARGET(text, one, seed, 512, "lib/base/bytes.c", NULL)
