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
