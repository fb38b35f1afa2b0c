/* SPDX-License-Identifier: MIT */
/* Numbers of any width in a row, the highest bit first. */
#ifndef RCO_MEDIA_BITS_H
#define RCO_MEDIA_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The writer leaves bounds to its user: a flush touches eight bytes from `at` on. */
typedef struct rco__bit_writer {
	uint8_t *at;
	uint64_t held; /* the lowest `count` bits are still to be written, those above are old */
	unsigned count;
} rco__bit_writer;

/* At most 57 bits between two flushes. */
static inline void rco__bits_put(rco__bit_writer *w, uint64_t value, unsigned bits)
{
	w->held = (w->held << bits) | value;
	w->count += bits;
}

/* Leaves fewer than 8 bits in hand. */
static inline void rco__bits_flush(rco__bit_writer *w)
{
	uint64_t v = w->held << (-w->count & 63); /* with none in hand it does not matter what is written */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(w->at, &v, sizeof v);
	w->at += w->count >> 3;
	w->count &= 7;
}

/* Zeros up to a whole byte. */
static inline void rco__bits_end(rco__bit_writer *w)
{
	rco__bits_flush(w);
	if (w->count > 0)
		w->at++;
	w->count = 0;
}

/* The reader goes on with zeros behind the end, and says so. */
typedef struct rco__bit_reader {
	const uint8_t *from;
	size_t size; /* bytes */
	size_t bit;  /* how many were taken; may pass 8 * size */
} rco__bit_reader;

/* The next 32 bits, not taken. */
static inline uint32_t rco__bits_peek(const rco__bit_reader *r)
{
	size_t at = r->bit >> 3, i;
	uint64_t v = 0;

	if (at + 8 <= r->size) {
		memcpy(&v, r->from + at, sizeof v);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		v = __builtin_bswap64(v);
#endif
		return (uint32_t)(v << (r->bit & 7) >> 32);
	}
	for (i = 0; i < 5; i++)
		v = v << 8 | (at + i < r->size ? r->from[at + i] : 0);
	return (uint32_t)(v >> (8 - (r->bit & 7)));
}

/* 1 to 32 bits. */
static inline uint32_t rco__bits_take(rco__bit_reader *r, unsigned bits)
{
	uint32_t v = rco__bits_peek(r) >> (32 - bits);

	r->bit += bits;
	return v;
}

static inline int rco__bits_overrun(const rco__bit_reader *r)
{
	return r->bit > 8 * r->size;
}

#endif
