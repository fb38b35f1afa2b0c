/* SPDX-License-Identifier: MIT */
/* Explicit little-endian fields, checksums, ids and text: what the on-disk formats are made of. */
#ifndef RCO_BASE_BYTES_H
#define RCO_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void rco__put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void rco__put32(uint8_t *p, uint32_t v)
{
	rco__put16(p, (uint16_t)v);
	rco__put16(p + 2, (uint16_t)(v >> 16));
}

static inline void rco__put64(uint8_t *p, uint64_t v)
{
	rco__put32(p, (uint32_t)v);
	rco__put32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t rco__get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static inline uint32_t rco__get32(const uint8_t *p)
{
	return (uint32_t)rco__get16(p) | ((uint32_t)rco__get16(p + 2) << 16);
}

static inline uint64_t rco__get64(const uint8_t *p)
{
	return (uint64_t)rco__get32(p) | ((uint64_t)rco__get32(p + 4) << 32);
}

/*
 * A cursor over bytes: writing or reading past the end sets `failed` and does
 * nothing, so that a parser checks once at its end and never reads outside.
 */
typedef struct rco__cursor {
	uint8_t *at;        /* next byte; for reading it is never written through */
	const uint8_t *end; /* one past the last */
	int failed;
} rco__cursor;

void rco__cursor_writer(rco__cursor *c, void *buf, size_t size);
void rco__cursor_reader(rco__cursor *c, const void *buf, size_t size);
void rco__w8(rco__cursor *c, uint8_t v);
void rco__w16(rco__cursor *c, uint16_t v);
void rco__w32(rco__cursor *c, uint32_t v);
void rco__w64(rco__cursor *c, uint64_t v);
void rco__wbytes(rco__cursor *c, const void *data, size_t size);
void rco__wstr(rco__cursor *c, const char *text); /* u16 length, bytes; NULL as "" */
uint8_t rco__r8(rco__cursor *c);
uint16_t rco__r16(rco__cursor *c);
uint32_t rco__r32(rco__cursor *c);
uint64_t rco__r64(rco__cursor *c);
void rco__rbytes(rco__cursor *c, void *data, size_t size);
/* Into out[cap] with a NUL; fails if it does not fit or holds a NUL. */
void rco__rstr(rco__cursor *c, char *out, size_t cap);
size_t rco__cursor_used(const rco__cursor *c, const void *buf);

#define RCO__TIME_MAX INT64_C(253402300799999999) /* microseconds since 1970: the end of the year 9999 */

/* A time as another process noted it; 0, "not known", for one before 1970 or behind the end of the year 9999, so
 * that what is computed from it does not overflow. */
static inline int64_t rco__time_known(uint64_t us)
{
	return us <= (uint64_t)RCO__TIME_MAX ? (int64_t)us : 0;
}

/* CRC-32C (Castagnoli), as in RFC 3720 appendix B.4; start with crc = 0, may be continued. */
uint32_t rco__crc32c(uint32_t crc, const void *data, size_t size);

/* Binary UUID to its 36 characters and a NUL, lower case; and back (0 or RCO_E_INVALID). */
void rco__uuid_text(const uint8_t id[16], char out[37]);
int rco__uuid_parse(const char *text, uint8_t id[16]);
/* A fresh random UUID (RFC 4122 version 4), by libuuid. */
void rco__uuid_new(uint8_t id[16]);

/* 1 if text is well-formed UTF-8 (RFC 3629) without control characters (U+0000 to U+001F, U+007F to U+009F). */
int rco__utf8_printable(const char *text, size_t length);
/* RCO_OK, RCO_E_INVALID (NULL) or RCO_E_CALL_ID. */
int rco__call_id_check(const char *call_id);
/* 1 if 1..RCO_LABEL_MAX characters of [a-z0-9_-] ('.' too if dots). */
int rco__label_ok(const char *label, int dots);

#endif
