/* SPDX-License-Identifier: MIT */
/*
 * The door for other processes from inside. Two threads: the *porter* owns all
 * sockets and connections and never waits for anything but poll(); the *clerk*
 * does what waits for a disk. A request for the clerk is a job: it goes over
 * with a copy of all it needs, and its answer comes back the same way, so that
 * nothing is touched by both.
 */
#ifndef RCO_CONTROL_H
#define RCO_CONTROL_H

#include <recoptout/control.h>

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
	RCO__CLIENTS_DEFAULT = 64,
	RCO__CLIENTS_MAX = 1024,
	RCO__IDLE_DEFAULT_MS = 10000,
	RCO__WAIT_MAX_MS = 60000,
	RCO__UNREAD_MAX = 1024 * 1024, /* answers and events that a client has not read */
	RCO__NEWS_MAX = 4096           /* events that the porter has not seen to */
};

/* A request that waits. Owned by one queue at a time. */
typedef struct rco__job {
	struct rco__job *next;
	uint32_t client, generation; /* whose */
	json_t *request;
	int64_t deadline_us; /* until then "wait" is waited for; 0: not begun */
	int code;            /* of the opt-out */
	char *answer;        /* a line; NULL: no memory, the connection is closed */
} rco__job;

typedef struct rco__jobs {
	rco__job *first, **last;
} rco__jobs;

/* An event as a line, on its way to who wants it. */
typedef struct rco__news {
	struct rco__news *next;
	char *line;
	char call_id[256];
} rco__news;

typedef struct rco__client_of {
	int fd; /* -1: free */
	uint32_t generation;
	char *in; /* what was read and is not a whole line yet */
	size_t in_size, in_room;
	char *out; /* what is to be written */
	size_t out_size, out_done, out_room;
	int busy;    /* a job is with the clerk: no more lines until it is back */
	int closing; /* when all is written */
	int wants_events;
	char call_id[256]; /* of those it wants, "" for all */
	int64_t moved_us;  /* when bytes last went either way */
} rco__client_of;

struct rco_control {
	rco_engine *engine;
	const rco_phrasebook *book;
	char path[108];
	int lock_fd, listen_fd, wake_fd;
	uint32_t max_clients;
	int64_t idle_us;
	uid_t *uids;
	size_t n_uids;
	rco__client_of *clients; /* the porter's */
	pthread_t porter, clerk;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work;  /* for the clerk */
	rco__jobs todo, done;
	rco__news *news, **news_last;
	uint32_t news_count;
	uint64_t news_lost;
	uint32_t changes; /* counts events, for jobs that wait for one */
	int stopping;
	_Atomic uint32_t subscribers;
};

int64_t rco__control_now(void); /* monotonic, microseconds */
void rco__control_wake(rco_control *control);

/* ---- porter.c ---- */
void *rco__porter(void *control);
void rco__clients_close(rco_control *control);

/* ---- clerk.c ---- */
void *rco__clerk(void *control);
void rco__jobs_init(rco__jobs *jobs);
void rco__jobs_add(rco__jobs *jobs, rco__job *job);
rco__job *rco__jobs_take(rco__jobs *jobs);
void rco__job_free(rco__job *job);

/* ---- request.c: requests and answers, all as text lines that end in \n; NULL: no memory ---- */
json_t *rco__request_parse(const char *line, size_t size); /* NULL if it is no request */
/* Has to wait for a disk? Then what can be done at once has been done: recording is stopped. */
int rco__request_slow(rco_control *control, const json_t *request);
/* Answer at once. `events` becomes 1 if the client wants them from now on, of *call_id ("" all). */
char *rco__request_answer(rco_control *control, const json_t *request, int *events, char call_id[256]);
char *rco__answer_error(const json_t *request, int code, const char *detail);
/* The clerk's: the request itself; then 1 if what it waits for has come; then its answer. */
int rco__request_do(rco_control *control, json_t *request, char **answer);
int rco__request_reached(rco_control *control, const json_t *request);
char *rco__request_finish(rco_control *control, const json_t *request, int code);
uint32_t rco__request_wait_ms(const json_t *request); /* 0: it waits for nothing */
char *rco__event_line(const rco_event *event);

#endif
