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
	REORDER_WINDOW = 8,    /* packets that one may be behind: 160 ms of 20 ms each */
	REORDER_PAYLOAD = 1440 /* bytes of the longest payload: 180 ms of G.711 */
};

/* What a packet holds: audio in one of the laws of sound.h, or ... */
enum { PACKET_KEY = 2, PACKET_NOISE = 3 };

typedef struct reorder_packet {
	int what;
	int marker;
	uint16_t seq, size;
	uint32_t ts, ssrc;
	uint8_t data[REORDER_PAYLOAD];
} reorder_packet;

/* For audio: `gap` samples are missing before it, by its timestamp; GAP_UNKNOWN if nothing of the stream was
 * before. */
typedef void reorder_fn(int64_t gap, const reorder_packet *p, void *arg);

typedef struct reorder {
	reorder_fn *fn;
	void *arg;
	int begun, placed;
	uint32_t ssrc;
	uint16_t next;    /* sequence number that is due */
	uint32_t next_ts; /* timestamp that is due, once `placed` */
	unsigned idle;    /* ticks since a packet came */
	uint64_t late, twice, lost;
	int here[REORDER_WINDOW];
	reorder_packet window[REORDER_WINDOW];
} reorder;

void reorder_init(reorder *r, reorder_fn *fn, void *arg);

/* A packet. A key takes its place in the order; so does comfort noise, and is a gap. */
void reorder_put(reorder *r, const reorder_packet *p);

/* 20 ms have passed: what waits for an earlier one does so for a while only. */
void reorder_tick(reorder *r);

/* The end: what still waits for an earlier one is given. */
void reorder_flush(reorder *r);

#endif
