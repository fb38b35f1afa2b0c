/* SPDX-License-Identifier: MIT */
/*
 * RTP packets (RFC 3550) as a recording wants them: in order, each once, at the place that its timestamp gives it.
 * What is late by more than a few packets, or never comes, is a gap.
 */
#ifndef SIP_RECORDER_REORDER_H
#define SIP_RECORDER_REORDER_H

#include <stddef.h>
#include <stdint.h>

enum {
	REORDER_WINDOW = 8,     /* packets that one may be behind: 160 ms of 20 ms each */
	REORDER_PAYLOAD = 1440, /* bytes of the longest payload: 180 ms of G.711 */
	REORDER_GAP = 5 * 8000  /* samples; a timestamp that leaps further begins anew */
};

/* `gap` samples are missing before `data`. */
typedef void reorder_fn(uint32_t gap, const uint8_t *data, size_t size, void *arg);

typedef struct reorder_packet {
	int here;
	uint16_t size;
	uint32_t ts;
	uint8_t data[REORDER_PAYLOAD];
} reorder_packet;

typedef struct reorder {
	reorder_fn *fn;
	void *arg;
	int begun, placed;
	uint32_t ssrc;
	uint16_t next;    /* sequence number that is due */
	uint32_t next_ts; /* timestamp that is due, once `placed` */
	uint64_t late, twice, lost;
	reorder_packet window[REORDER_WINDOW];
} reorder;

void reorder_init(reorder *r, reorder_fn *fn, void *arg);

/* A packet. One of another kind (an event, RFC 4733) has no bytes, and takes its place in the order. */
void reorder_put(reorder *r, uint32_t ssrc, uint16_t seq, uint32_t ts, const uint8_t *data, size_t size);

/* The end: what still waits for an earlier one is given. */
void reorder_flush(reorder *r);

#endif
