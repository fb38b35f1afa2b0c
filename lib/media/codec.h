/* SPDX-License-Identifier: MIT */
/*
 * The chunk codec: lossless, one independent block for each chunk, and a coding
 * byte that says how it was made, so that better codings can be added and old
 * chunks stay readable. Chunks are at most RCO__CHUNK_MAX bytes.
 */
#ifndef RCO_MEDIA_CODEC_H
#define RCO_MEDIA_CODEC_H

#include "../base/env.h"

enum {
	RCO__CODING_STORED = 0,   /* the bytes as they came (S16 little-endian) */
	RCO__CODING_ZSTD = 1,     /* the same as one zstd frame (RFC 8878) */
	RCO__CODING_PREDICTED = 2 /* predicted.h */
				  /* 3 to 255: later codings; unknown ones are RCO_E_VERSION */
};

enum { RCO__CHUNK_MAX = 1 << 20 };

/* Scratch and contexts; one thread at a time. Nothing of a chunk stays in it when a function has returned. */
typedef struct rco__codec rco__codec;

int rco__codec_create(const rco__env *env, rco__codec **codec);
void rco__codec_free(rco__codec *codec);

/* Room that encoding `size` bytes can need at most. */
size_t rco__codec_bound(size_t size);

/* S16 in host order in, little-endian coded bytes out. Picks the coding that is smallest. */
int rco__codec_encode(rco__codec *codec, uint32_t format, const void *data, size_t size, void *out, size_t cap,
                      size_t *out_size, uint8_t *coding);

/* raw_size is what the record says; any disagreement is RCO_E_CORRUPT. Writes host order. */
int rco__codec_decode(rco__codec *codec, uint32_t format, uint8_t coding, const void *data, size_t size, void *out,
                      size_t raw_size);

#endif
