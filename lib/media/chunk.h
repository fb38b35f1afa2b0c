/* SPDX-License-Identifier: MIT */
/*
 * What a chunk of audio looks like in the spool: the bytes as they came, or, of 16-bit audio that came over a
 * telephone line, its G.711 codes, which is half as much to encrypt and to write. Lossless, each chunk for itself.
 */
#ifndef RCO_MEDIA_CHUNK_H
#define RCO_MEDIA_CHUNK_H

#include "../base/env.h"

enum {
	RCO__CODING_STORED = 0, /* the bytes as they came (S16 little-endian) */
	/* 1 and 2 were codings of state folders before version 0.2; not to be used again. */
	RCO__CODING_MU_LAW = 3, /* S16 as codes of G.711 */
	RCO__CODING_A_LAW = 4,
	RCO__CODING_GAP = 5 /* no bytes: so much silence */
};

enum { RCO__CHUNK_MAX = 1 << 20, RCO__GAP_MAX = 1 << 30 };

/* `size` bytes of whole samples, S16 in host order, to at most as many in `out`; returns how many. */
size_t rco__chunk_encode(uint32_t format, const void *data, size_t size, uint8_t *out, uint8_t *coding);

/*
 * The reverse, but not of a gap. raw_size is what the record says: RCO_E_CORRUPT if that cannot be, RCO_E_VERSION
 * for a coding of a later library. Writes raw_size bytes, or none.
 */
int rco__chunk_decode(uint32_t format, uint8_t coding, const uint8_t *data, size_t size, void *out,
                      size_t raw_size);

#endif
