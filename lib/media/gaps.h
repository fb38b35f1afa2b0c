/* SPDX-License-Identifier: MIT */
/*
 * Gaps: times of a leg for which there is no audio. They have no bytes; where
 * they are is kept beside the bytes that there are. So a leg has two countings:
 * the index counts bytes of audio, the position counts bytes of audio and
 * of silence, as the buffer and the finished file do.
 */
#ifndef RCO_MEDIA_GAPS_H
#define RCO_MEDIA_GAPS_H

#include <stdatomic.h>
#include <stdint.h>

/* What stands at a position, up to where that changes. */
typedef struct rco__stretch {
	uint64_t index; /* of its audio; of a gap, of what follows */
	uint64_t size;
	int gap;
} rco__stretch;

/*
 * A gap stands before byte `index` of the audio. `sum`: bytes of silence of it and all before it; `before`: the
 * same without it. Is what stands at `position` before its end? Then that is in `out`.
 */
static inline int rco__gap_step(uint64_t position, uint64_t before, uint64_t index, uint64_t sum,
                                rco__stretch *out)
{
	if (position < index + before)
		*out = (rco__stretch){position - before, index + before - position, 0};
	else if (position < index + sum)
		*out = (rco__stretch){index, index + sum - position, 1};
	else
		return 0;
	return 1;
}

/* ---- those of a ring ---- */

typedef struct rco__gap {
	_Atomic uint64_t index, sum; /* as above; written before `put` counts it */
} rco__gap;

enum { RCO__GAPS = 32, RCO__GAPS_MOST = RCO__GAPS - 1 /* the last one that was taken stays: its sum is needed */ };

/*
 * In shared memory, as the ring itself. The media thread adds a gap before it commits the frame behind it, so that
 * a gap counts only when the gate's index has gone beyond its own: what is killed in between has left neither.
 */
typedef struct rco__gaps {
	_Alignas(64) _Atomic uint64_t put;   /* how many there were, by the producer */
	_Atomic uint64_t late;               /* frames refused for their position */
	_Alignas(64) _Atomic uint64_t taken; /* of these the buffer has, by the consumer */
	_Alignas(64) rco__gap at[RCO__GAPS];
} rco__gaps;

/* ---- the producer ---- */

/* A gap of `size` bytes before byte `index`, after gaps of `before` bytes in all. 0 if there is no room. */
int rco__gaps_add(rco__gaps *gaps, uint64_t index, uint64_t before, uint64_t size);
/* The frame behind it was not accepted. */
void rco__gaps_undo(rco__gaps *gaps);

/* ---- the consumer ---- */

/* Bytes of silence that the buffer has: with the ring's `read`, where it is. */
uint64_t rco__gaps_taken(const rco__gaps *gaps);
/* What stands at this position of a leg with `index` bytes of audio, of which the buffer has all before it. Size 0
 * at its end. */
rco__stretch rco__gaps_look(const rco__gaps *gaps, uint64_t index, uint64_t position);
/* Is there one that the buffer has not? It may be one that does not count yet. */
int rco__gaps_any(const rco__gaps *gaps);
/* The buffer has all before this position: to be told before the ring's `read`, which is to become what is
 * returned. */
uint64_t rco__gaps_told(rco__gaps *gaps, uint64_t position);

/* ---- what an earlier process left, and nobody uses ---- */

/* Can they be, for a ring of `index` bytes, of which the buffer has `read`? */
int rco__gaps_sane(const rco__gaps *gaps, uint64_t read, uint64_t index, uint32_t format);
/* One whose frame was never accepted goes. Returns the bytes of silence of all. */
uint64_t rco__gaps_settle(rco__gaps *gaps, uint64_t index);
void rco__gaps_copy(rco__gaps *to, const rco__gaps *from);

/* The longest gap of a format, in bytes. */
uint64_t rco__gap_max(uint32_t format);

#endif
