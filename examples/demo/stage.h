/* SPDX-License-Identifier: MIT */
/* The process that runs the calls: its threads and what they share. */
#ifndef DEMO_STAGE_H
#define DEMO_STAGE_H

#include "demo.h"

#include <pthread.h>

#include <recoptout/storage.h>

enum { PUSHERS = 2 };

#define NO_LEG UINT32_MAX

struct host_recorder {
	struct stage *stage;
	unsigned call;
	pthread_t thread;
	int running;
	_Atomic int stop;
	char path[LEGS][DEMO_PATH];
	uint64_t bytes;
};

/* A deletion backend around the built-in one. In the first process it gets stuck in the middle of an erasure. */
struct crash_deletion {
	rco_deletion_ops inner;
	void *inner_user_data;
	struct board *board;
	int signal_fd; /* -1: never gets stuck */
	char first[DEMO_PATH];
};

struct stage_call {
	rco_session *session;
	uint32_t leg[LEGS];
	_Atomic int live;          /* pushers may use it */
	_Atomic int media_opt_out; /* the media thread is asked to opt out itself */
	_Atomic int hung_up;
	uint32_t final_refusals[LEGS];
};

struct stage {
	struct board *board;
	const struct speech *speech;
	const struct folders *folders;
	rco_engine *_Atomic engine; /* events may come before rco_engine_create() has returned */
	rco_directory *directory;
	struct crash_deletion deletion;
	struct host_recorder recorder;
	struct stage_call call[CALLS];
	int64_t media_start_us;
	pthread_mutex_t lock; /* for `happened` */
	pthread_cond_t happened;
};

/* engine.c: one configuration for both processes */
int stage_open(struct stage *stage, int signal_fd);
void stage_close(struct stage *stage);
/* 0, or -1 if the event did not come in time. */
int stage_wait_event(struct stage *stage, unsigned call, uint32_t type, uint32_t timeout_ms);
/* Writes the receipt as it is now on the board. */
void stage_take_receipt(struct stage *stage, unsigned call, rco_receipt *receipt);

/* media.c */
int64_t media_now_ms(const struct stage *stage);
void media_wait_until(const struct stage *stage, int64_t ms);
void *media_pusher(void *arg);

struct pusher {
	struct stage *stage;
	unsigned first;
};

/* ask.c: by_id asks by the call's id, else on its session. Answers the result of the request. */
int ask_opt_out(struct stage *stage, unsigned call, int by_id, uint32_t flags, const char *source);

/* One of several that ask at the same moment: waits at the barrier, then asks. */
struct asker {
	struct stage *stage;
	pthread_barrier_t *barrier;
	unsigned call;
	int by_id;
	int code;
	char receipt_id[RCO_ID_TEXT + 1];
};

void *asker_thread(void *arg);

/* host.c */
extern const rco_recorder_ops host_recorder_ops;
int host_recorder_init(struct host_recorder *recorder, struct stage *stage, unsigned call);
int host_write_copy(struct stage *stage, unsigned call, unsigned leg, const char *name, char path[DEMO_PATH]);
rco_deletion_ops crash_deletion_ops(struct crash_deletion *deletion, rco_directory *directory);

#endif
