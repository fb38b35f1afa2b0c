/* SPDX-License-Identifier: MIT */
/*
 * A media server beside us: started, given the RTP of many calls, its CPU time
 * read, ended. What fails says so and returns -1; the caller leaves the peer
 * out and tells b_peer_why().
 */
#ifndef RCO_TESTS_BENCH_PEER_RTP_H
#define RCO_TESTS_BENCH_PEER_RTP_H

#include "bench.h"
#include "peer.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { B_RTP_CALLS = 50, B_RTP_LEGS = 2 * B_RTP_CALLS };

/* Sets the reason; returns -1. */
int b_peer_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *b_peer_why(void);

/* 1 if a program of this name is in PATH. */
int b_peer_installed(const char *program);

/* Output goes to `log_path`. The daemon dies with this process, however that ends. */
int b_daemon_start(char *const argv[], const char *log_path, pid_t *pid);
void b_daemon_stop(pid_t pid);
/* CPU seconds of all its threads so far. */
int b_daemon_cpu(pid_t pid, double *seconds);

/* A port of the loopback that is free now; 0 if there is none. `type` is SOCK_DGRAM or SOCK_STREAM. */
uint16_t b_free_port(int type);

typedef struct b_rtp_leg {
	uint16_t port; /* where its packets go */
	uint16_t seq;
	uint32_t stamp;
	size_t at; /* the frame that comes next */
} b_rtp_leg;

/* All legs of all calls, sent from one socket that also gets what comes back. */
typedef struct b_rtp {
	int fd;
	uint16_t port;
	const b_audio *audio;
	size_t sent, received;
	b_rtp_leg legs[B_RTP_LEGS]; /* 2 i and 2 i + 1 are a call */
} b_rtp;

/* `ulaw` stays the caller's. */
int b_rtp_open(b_rtp *rtp, const b_audio *ulaw);
void b_rtp_close(b_rtp *rtp);
/* A packet for each leg every 20 ms, for so long. */
int b_rtp_send(b_rtp *rtp, double seconds);

/*
 * The daemon's CPU time without and with recording, in turns, for an hour of one call. `record(on)` switches it
 * for all calls; what the switching itself costs is not counted.
 */
typedef struct b_rtp_cost {
	b_spread plain, recording;
	b_spread more; /* of the differences, turn by turn */
} b_rtp_cost;

int b_rtp_measure(b_rtp *rtp, pid_t pid, int (*record)(int on, void *arg), void *arg, b_rtp_cost *cost);
/* The row: the daemon's cost with recording beside that without; ours is told in its note. */
void b_rtp_report(const char *what, const char *note, const b_rtp_cost *cost, double ours);

#endif
