/* SPDX-License-Identifier: MIT */
/* The innermost loop of the encoder, compiled for more than one machine: included by the kernels only. */
#ifndef RCO_MEDIA_PUT_H
#define RCO_MEDIA_PUT_H

#include "entropy.h"
#include "g711.h"

/* A code and how many bits it has, as in rco__codebook: value << 8 | bits, of any width below 56. */
static inline __attribute__((always_inline)) uint64_t rco__put_code(rco__line line, const uint32_t *fast,
                                                                    const uint16_t *slot, const uint8_t *shift,
                                                                    const uint32_t *folded)
{
	uint32_t code = fast[*slot];

	if (line != RCO__LINE_LINEAR)
		return code;
	return ((uint64_t)(code >> 8) << *shift | (*folded & ~(UINT32_MAX << *shift))) << 8 |
	       ((code & 0xff) + *shift);
}

/* The second behind the first. No code is longer than 27 bits: a number has 17. */
static inline __attribute__((always_inline)) uint64_t rco__put_two(uint64_t first, uint64_t second)
{
	return (first >> 8) << (second & 63) | second >> 8;
}

static inline __attribute__((always_inline)) void rco__put(rco__line line, const rco__codebook *book,
                                                           rco__bit_writer *out, const uint16_t *slot,
                                                           const uint8_t *shift, const uint32_t *folded, size_t n)
{
	const uint32_t *fast = book->fast[0];
	rco__bit_writer w = *out;
	uint64_t a, b, c, d;
	unsigned near, far;
	size_t i;

	/* Codes are joined before they go into the row of bits, which is one long chain of dependences. */
	for (i = 0; i < n; i += 4) {
		a = rco__put_code(line, fast, slot + i, shift + i, folded + i);
		b = rco__put_code(line, fast, slot + i + 1, shift + i + 1, folded + i + 1);
		c = rco__put_code(line, fast, slot + i + 2, shift + i + 2, folded + i + 2);
		d = rco__put_code(line, fast, slot + i + 3, shift + i + 3, folded + i + 3);
		near = (unsigned)(a + b) & 0xff;
		far = (unsigned)(c + d) & 0xff;
		a = rco__put_two(a, b);
		c = rco__put_two(c, d);
		if (near + far > 56) {
			rco__bits_put(&w, a, near);
			rco__bits_flush(&w);
			rco__bits_put(&w, c, far);
		} else {
			rco__bits_put(&w, a << (far & 63) | c, near + far);
		}
		rco__bits_flush(&w);
	}
	*out = w;
}

#endif
