/* SPDX-License-Identifier: MIT */
#include "bytes.h"

#include "error.h"

#include <uuid/uuid.h>

enum { UUID_TEXT = 36 };

void rco__cursor_writer(rco__cursor *c, void *buf, size_t size)
{
	c->at = buf;
	c->end = c->at + size;
	c->failed = 0;
}

void rco__cursor_reader(rco__cursor *c, const void *buf, size_t size)
{
	/* One type serves both ways; a reader's bytes are never written. */
	rco__cursor_writer(c, (void *)(uintptr_t)buf, size);
}

/* The next `size` bytes, or NULL for good once one demand did not fit. */
static uint8_t *take(rco__cursor *c, size_t size)
{
	uint8_t *at = c->at;

	if (c->failed || size > (size_t)(c->end - c->at)) {
		c->failed = 1;
		return NULL;
	}
	c->at += size;
	return at;
}

void rco__w8(rco__cursor *c, uint8_t v)
{
	uint8_t *p = take(c, 1);

	if (p != NULL)
		*p = v;
}

void rco__w16(rco__cursor *c, uint16_t v)
{
	uint8_t *p = take(c, 2);

	if (p != NULL)
		rco__put16(p, v);
}

void rco__w32(rco__cursor *c, uint32_t v)
{
	uint8_t *p = take(c, 4);

	if (p != NULL)
		rco__put32(p, v);
}

void rco__w64(rco__cursor *c, uint64_t v)
{
	uint8_t *p = take(c, 8);

	if (p != NULL)
		rco__put64(p, v);
}

void rco__wbytes(rco__cursor *c, const void *data, size_t size)
{
	uint8_t *p;

	if (size == 0)
		return;
	p = take(c, size);
	if (p != NULL)
		memcpy(p, data, size);
}

void rco__wstr(rco__cursor *c, const char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;
	uint8_t *p;

	if (length > UINT16_MAX) {
		c->failed = 1;
		return;
	}
	/* Length and bytes in one go, so that a text that does not fit leaves no half of it. */
	p = take(c, 2 + length);
	if (p == NULL)
		return;
	rco__put16(p, (uint16_t)length);
	if (length > 0)
		memcpy(p + 2, text, length);
}

uint8_t rco__r8(rco__cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p != NULL ? *p : 0;
}

uint16_t rco__r16(rco__cursor *c)
{
	const uint8_t *p = take(c, 2);

	return p != NULL ? rco__get16(p) : 0;
}

uint32_t rco__r32(rco__cursor *c)
{
	const uint8_t *p = take(c, 4);

	return p != NULL ? rco__get32(p) : 0;
}

uint64_t rco__r64(rco__cursor *c)
{
	const uint8_t *p = take(c, 8);

	return p != NULL ? rco__get64(p) : 0;
}

void rco__rbytes(rco__cursor *c, void *data, size_t size)
{
	const uint8_t *p;

	if (size == 0)
		return;
	p = take(c, size);
	if (p != NULL)
		memcpy(data, p, size);
	else
		memset(data, 0, size); /* as the numbers: a parser that checks at its end never sees stale bytes */
}

void rco__rstr(rco__cursor *c, char *out, size_t cap)
{
	size_t length = rco__r16(c);
	const uint8_t *p = take(c, length);

	if (cap > 0)
		out[0] = '\0';
	if (p == NULL)
		return;
	if (length >= cap || memchr(p, 0, length) != NULL) {
		c->failed = 1;
		return;
	}
	memcpy(out, p, length);
	out[length] = '\0';
}

size_t rco__cursor_used(const rco__cursor *c, const void *buf)
{
	return (size_t)(c->at - (const uint8_t *)buf);
}

void rco__uuid_text(const uint8_t id[16], char out[37])
{
	uuid_unparse_lower(id, out);
}

int rco__uuid_parse(const char *text, uint8_t id[16])
{
	memset(id, 0, 16);
	/* uuid_parse() wants the whole length only in newer versions. */
	if (text == NULL || strnlen(text, UUID_TEXT + 1) != UUID_TEXT || uuid_parse(text, id) != 0)
		return rco__fail(RCO_E_INVALID, "not a UUID of 36 characters (RFC 4122)");
	return RCO_OK;
}

void rco__uuid_new(uint8_t id[16])
{
	uuid_generate_random(id);
}

/* One character of well-formed UTF-8 (RFC 3629, section 4): its length, 0 if it is none. */
static size_t utf8_char(const uint8_t *p, size_t left, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length, i;

	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || length > left)
		return 0;
	*code = p[0] & (0x7fu >> length);
	for (i = 1; i < length; i++) {
		if ((p[i] & 0xc0u) != 0x80u)
			return 0;
		*code = (*code << 6) | (p[i] & 0x3fu);
	}
	if (*code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return length;
}

int rco__utf8_printable(const char *text, size_t length)
{
	const uint8_t *p = (const uint8_t *)text;
	uint32_t code = 0;
	size_t n;

	while (length > 0) {
		n = utf8_char(p, length, &code);
		if (n == 0 || code < 0x20 || (code >= 0x7f && code <= 0x9f))
			return 0;
		p += n;
		length -= n;
	}
	return 1;
}

int rco__call_id_check(const char *call_id)
{
	size_t length;

	if (call_id == NULL)
		return rco__fail(RCO_E_INVALID, "call_id is NULL");
	length = strnlen(call_id, RCO_CALL_ID_MAX + 1);
	if (length == 0)
		return rco__fail(RCO_E_CALL_ID, "call_id is empty; use the id of your signalling");
	if (length > RCO_CALL_ID_MAX)
		return rco__fail(RCO_E_CALL_ID,
		                 "call_id is longer than %d bytes; use a shorter one, or a hash of it",
		                 RCO_CALL_ID_MAX);
	if (!rco__utf8_printable(call_id, length))
		return rco__fail(RCO_E_CALL_ID, "call_id is not UTF-8 without control characters");
	return RCO_OK;
}

int rco__label_ok(const char *label, int dots)
{
	size_t length, i;

	if (label == NULL)
		return 0;
	length = strnlen(label, RCO_LABEL_MAX + 1);
	if (length == 0 || length > RCO_LABEL_MAX)
		return 0;
	for (i = 0; i < length; i++) {
		char ch = label[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-' ||
		      (dots && ch == '.')))
			return 0;
	}
	return 1;
}
