/* SPDX-License-Identifier: MIT */
/*
 * A buffer that takes all audio and keeps none, so that the memory of a run does
 * not grow with its length; and calls, in any number, that are drained into it.
 */
#ifndef RCO_TESTS_BENCH_SINK_H
#define RCO_TESTS_BENCH_SINK_H

#include "bench_world.h"

const rco_buffer_ops *b_sink_ops(void);

/* Calls of one leg each, in one engine. */
typedef struct b_crowd {
	b_world world;
	rco_session **calls;
	uint32_t *order; /* all of them, in a random order that is the same in every run */
	uint32_t count, format;
	rco_frame *frames; /* in that order */
	double open_ns;    /* what one call cost to open: session, leg, start; median */
} b_crowd;

/* Host-driven with a standing clock. `sink`: else the buffer is the spool. `allocator`: NULL for malloc. */
void b_crowd_open(b_crowd *crowd, const char *dir, uint32_t count, uint32_t format, int sink,
                  const rco_allocator *allocator);
void b_crowd_close(b_crowd *crowd);
/* One frame to each call, in the fixed random order. Ends the group if one is not accepted. */
void b_crowd_push(const b_crowd *crowd, const uint8_t *frame, size_t size);
/* The same as one array. */
void b_crowd_push_frames(b_crowd *crowd, const uint8_t *frame, size_t size);
/* A flush interval goes by: all rings are empty afterwards. CPU nanoseconds of the engine's work. */
double b_crowd_drain(b_crowd *crowd);
/* The audio of a call's ring, and its size. Nobody may be pushing. */
uint8_t *b_crowd_ring(const b_crowd *crowd, uint32_t call, size_t *capacity);

#endif
