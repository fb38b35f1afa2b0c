/* SPDX-License-Identifier: MIT */
/* Frames with a position, for tests of media time. */
#ifndef TESTS_SUPPORT_FRAMES_H
#define TESTS_SUPPORT_FRAMES_H

#include <recoptout.h>

#include <stddef.h>

/* One frame at a position, in samples. */
static inline int t_push_at(rco_session *session, uint32_t leg, uint32_t format, const void *data, size_t size,
                            uint64_t position)
{
	rco_frame f = {.session = session,
	               .data = data,
	               .position = position,
	               .size_bytes = (uint32_t)size,
	               .leg = leg,
	               .format = format};

	return rco_frames_push(&f, 1) == (f.result == RCO_OK) ? (int)f.result : (int)RCO_E_INTERNAL;
}

/* So many frames are missing before the n-th frame of a leg: often none, now and then one, or a few, or many. Of a
 * leg without a seed none. */
static inline uint32_t t_gap_frames(uint64_t seed, uint64_t n)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + n * 0xbf58476d1ce4e5b9u;

	x = (x ^ (x >> 29)) * 0x94d049bb133111ebu;
	x ^= x >> 32;
	return seed == 0 || x % 4 != 0 ? 0 : x % 64 == 0 ? 20 : (uint32_t)(x / 64 % 4);
}

/* Where that frame begins, in frames. */
static inline uint64_t t_frame_at(uint64_t seed, uint64_t n)
{
	uint64_t at = 0, i;

	for (i = 0; i <= n; i++)
		at += t_gap_frames(seed, i) + (i > 0 ? 1 : 0);
	return at;
}

/* The n-th frame of that size, at that position; with seed 0 right behind the last one. */
static inline int t_push_nth(rco_session *session, uint32_t leg, uint32_t format, const void *data, size_t size,
                             uint64_t seed, uint64_t n)
{
	uint64_t samples = size / rco_format_sample_bytes(format);

	return t_push_at(session, leg, format, data, size,
	                 seed != 0 ? t_frame_at(seed, n) * samples : RCO_POSITION_NEXT);
}

/* Bytes of silence before the n-th frame, which would begin at `at`; where it is not all silence, 0. */
static inline size_t t_gap_at(uint64_t seed, uint64_t n, size_t frame, uint32_t format, const uint8_t *data,
                              size_t size, size_t at)
{
	uint8_t silence = format == RCO_FORMAT_PCMU_8K ? 0xff : format == RCO_FORMAT_PCMA_8K ? 0xd5 : 0;
	size_t gap = t_gap_frames(seed, n) * frame, i;

	for (i = 0; i < gap; i++)
		if (at + i >= size || data[at + i] != silence)
			return 0;
	return gap;
}

#endif
