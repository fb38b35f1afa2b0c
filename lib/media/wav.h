/* SPDX-License-Identifier: MIT */
/*
 * RIFF/WAVE headers (Multimedia Programming Interface and Data Specifications
 * 1.0; format tags of RFC 2361) for audio whose size is known beforehand.
 */
#ifndef RCO_MEDIA_WAV_H
#define RCO_MEDIA_WAV_H

#include "format.h"

enum { RCO__WAV_HEADER_MAX = 64 };

/* Write the header for `channels` (1 or 2) of data_bytes in all; returns its length. PCM: 44 bytes ("fmt " of 16);
 * G.711: "fmt " of 18 and a "fact" chunk, 58 bytes. Sizes above 4 GiB - header are clamped to 0xffffffff. */
size_t rco__wav_header(uint8_t out[RCO__WAV_HEADER_MAX], uint32_t format, uint32_t channels, uint64_t data_bytes);

/* 1 if data_bytes is odd and a pad byte has to follow the data chunk. */
int rco__wav_pad(uint64_t data_bytes);

/* PCM samples from host order to the file's little-endian order and back, in place; nothing on little-endian
 * machines and for G.711. size in bytes, whole samples. */
void rco__wav_swap(uint32_t format, void *data, size_t size);

/* Interleave two channels of `samples` samples each; a NULL side becomes silence. out has 2 * samples *
 * sample_bytes. */
void rco__wav_interleave(uint32_t format, const void *left, const void *right, size_t samples, void *out);

#endif
