/* SPDX-License-Identifier: MIT */
/*
 * The gate of a leg: whether a frame is accepted, and where it ends, in one
 * 64-bit word. The producer copies a frame into the ring and then commits it
 * by one compare-and-swap of the word; the thread that stops the leg sets a bit of the
 * same word. So each frame is either committed before the stop, or never: there
 * is one point in time, and nobody waits for a media thread that was preempted
 * between copy and commit.
 *
 * bit 63      STOP  the call was opted out; never cleared
 * bit 62      SHUT  not recording at the moment: not started, paused, ended
 * bits 0..61  bytes accepted so far, counted from the leg's beginning
 */
#ifndef RCO_MEDIA_GATE_H
#define RCO_MEDIA_GATE_H

#include <stdatomic.h>
#include <stdint.h>

#define RCO__GATE_STOP  (UINT64_C(1) << 63)
#define RCO__GATE_SHUT  (UINT64_C(1) << 62)
#define RCO__GATE_INDEX (RCO__GATE_SHUT - 1)

typedef _Atomic uint64_t rco__gate;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the gate lives in shared memory and needs lock-free 64-bit atomics");

static inline uint64_t rco__gate_load(rco__gate *gate)
{
	return atomic_load_explicit(gate, memory_order_seq_cst);
}

static inline uint64_t rco__gate_index(rco__gate *gate)
{
	return rco__gate_load(gate) & RCO__GATE_INDEX;
}

/* Commit `size` bytes behind `seen`, a word loaded before with no bit set. On failure `seen` is the word as it is
 * now. */
static inline int rco__gate_commit(rco__gate *gate, uint64_t *seen, uint64_t size)
{
	return atomic_compare_exchange_strong_explicit(gate, seen, *seen + size, memory_order_acq_rel,
	                                               memory_order_acquire);
}

static inline void rco__gate_stop(rco__gate *gate)
{
	atomic_fetch_or_explicit(gate, RCO__GATE_STOP, memory_order_seq_cst);
}

static inline void rco__gate_shut(rco__gate *gate)
{
	atomic_fetch_or_explicit(gate, RCO__GATE_SHUT, memory_order_seq_cst);
}

/* Leaves STOP as it is. */
static inline void rco__gate_unshut(rco__gate *gate)
{
	atomic_fetch_and_explicit(gate, ~RCO__GATE_SHUT, memory_order_seq_cst);
}

#endif
