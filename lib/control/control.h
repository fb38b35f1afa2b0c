/* SPDX-License-Identifier: MIT */
/*
 * The socket for other processes from inside. The *io thread* owns all sockets and
 * connections and never waits for anything but poll(); it stops recordings as
 * soon as it has read a line. *Job threads* do what waits for a disk or a recorder. A
 * request for a job thread is a job: it goes over with all it needs, and comes back
 * the same way, so that nothing is touched by both. What then waits for an
 * erasure waits in a list that the engine's events look through.
 */
#ifndef RCO_CONTROL_H
#define RCO_CONTROL_H

#include <recoptout/control.h>

#include "../base/json_write.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
	RCO__CLIENTS_DEFAULT = 64,
	RCO__CLIENTS_MAX = 1024,
	RCO__LEAVING_MAX = 64, /* that have lost their place, and are being heard out */
	RCO__FDS_SPARED = 16,  /* descriptors that are left to the host */
	RCO__IDLE_DEFAULT_MS = 10000,
	RCO__WAIT_DEFAULT_MS = 5000,
	RCO__WAIT_MAX_MS = 60000,
	RCO__UNREAD_MAX = 1024 * 1024, /* answers and events that a client has not read */
	RCO__NEWS_MAX = 4096,          /* events that the io thread has not seen to */
	RCO__JOBS_MAX = 256,           /* of one client, whose end is waited for */
	RCO__ASKED_MAX = 4096,         /* of one client, that have not been answered */
	RCO__COMMITTERS_MAX = 16,      /* that wait for the disk */
	RCO__STOPPERS_MAX = 64,        /* that wait for recorders */
	RCO__BACKLOG = 1024,           /* connections that have not been let in yet; the system may allow fewer */
	RCO__EARLY_DEFAULT = 10000,    /* opt-outs of one user for calls not known */
	RCO__ID_MAX = 1024,
	RCO__CALL_ID_ROOM = 256
};

/* ---- reader.c: bytes become requests ---- */

typedef enum rco__do {
	RCO__DO_NOTHING, /* of what we know */
	RCO__DO_HELLO,
	RCO__DO_OPT_OUT,
	RCO__DO_STATUS,
	RCO__DO_PENDING,
	RCO__DO_TOOL,
	RCO__DO_TOOL_CALL,
	RCO__DO_EVENTS
} rco__do;

/* Members that are strings. NULL: there was none, or it was no string. */
enum {
	RCO__M_CALL_ID,
	RCO__M_SOURCE,
	RCO__M_LANGUAGE,
	RCO__M_COMPANY,
	RCO__M_WAIT,
	RCO__M_DIALECT,
	RCO__M_URL,
	RCO__M_DESCRIPTION,
	RCO__M_TEXTS
};

typedef struct rco__noter rco__noter;               /* a user whose opt-outs wait for calls */
typedef struct rco__call_message rco__call_message; /* of a tool_call, read */

typedef struct rco__request {
	rco__do what;
	int code;            /* not RCO_OK: it cannot be done, */
	const char *detail;  /* for this reason; static */
	const char *ignored; /* the name of a member that made no sense, without which it can be done; static */
	char *id;            /* as it came; NULL without one */
	char *text[RCO__M_TEXTS];
	uint32_t timeout_ms, wait_ms;
	int strict;
	int refused; /* its opt-out, which is not to be asked for once more */
	rco__call_message *message;
} rco__request;

typedef enum rco__read {
	RCO__READ_MORE,
	RCO__READ_WHOLE, /* a request */
	RCO__READ_NOT_JSON,
	RCO__READ_TOO_LONG,
	RCO__READ_NO_MEMORY
} rco__read;

typedef struct rco__reader rco__reader; /* of one line; memory for it does not grow with a message */

rco__reader *rco__reader_new(void);
/* Takes bytes up to the line break and with it, *used of them; less if it is not to be read on. */
rco__read rco__reader_feed(rco__reader *reader, const char *data, size_t size, size_t *used);
int rco__reader_is_blank(const rco__reader *reader); /* nothing but blanks so far */
rco__request *rco__reader_take(rco__reader *reader); /* after _WHOLE; the caller's */
void rco__reader_free(rco__reader *reader);
void rco__request_free(rco__request *request);

/* ---- jobs ---- */

/* What an opt-out came to. */
typedef struct rco__outcome {
	int code;         /* of the stop, and then of the opt-out */
	int reason;       /* of RCO_PENDING: rco_receipt_code() */
	char detail[512]; /* of that, or of an error */
} rco__outcome;

/* A request that is not answered yet. Owned by one list at a time. */
typedef struct rco__job {
	struct rco__job *next;
	uint32_t client, generation; /* whose */
	uint64_t turn;               /* of those without an id; 0: has one */
	rco__request *request;
	int64_t deadline_us; /* until then an erasure is waited for */
	int look, over;      /* something happened to its call; it has waited enough */
	struct rco__job *due;
	rco__outcome outcome;
	char *answer; /* a line; NULL: not yet, or no memory */
} rco__job;

typedef struct rco__jobs {
	rco__job *first, **last;
} rco__jobs;

/* An event as a line, on its way to who wants it. */
typedef struct rco__news {
	struct rco__news *next;
	char *line;
	char call_id[RCO__CALL_ID_ROOM];
} rco__news;

typedef struct rco__client_of {
	int fd; /* -1: free */
	uint32_t generation;
	uid_t uid;
	char *in; /* was read, and is not seen to yet: from in_done to in_size */
	size_t in_size, in_done;
	rco__reader *reader; /* of a line that has begun */
	int64_t line_us;     /* when it began */
	char *out;           /* what is to be written */
	size_t out_size, out_done, out_room;
	uint64_t said, read, mark; /* bytes ever put there, and written; when `mark` were said it was mark_us */
	int64_t mark_us;
	uint32_t jobs;        /* not answered yet */
	uint64_t turns, turn; /* without an id: begun, and answered */
	rco__jobs held;       /* answers whose turn has not come, */
	size_t held_size;     /* so many bytes of them */
	int closing;          /* when all is answered and written */
	int deaf, gone;       /* reads no answers; and says no more than it has said */
	int wants_events;
	char call_id[RCO__CALL_ID_ROOM]; /* of those it wants, "" for all */
	int64_t asked_us;                /* when it last asked for something */
} rco__client_of;

/* What the io thread looks at, and until when. */
typedef struct rco__polled {
	struct pollfd fds[RCO__CLIENTS_MAX + 2];
	uint32_t whose[RCO__CLIENTS_MAX + 2];
	nfds_t n;
	int64_t until_us;
} rco__polled;

/* Job threads of one kind, and what they have to do. */
typedef struct rco__job_threads {
	pthread_t threads[RCO__STOPPERS_MAX];
	uint32_t n_threads, most; /* the io thread's; what follows is guarded by the lock */
	pthread_cond_t work;
	rco__jobs todo;
	uint32_t n_todo, resting; /* jobs in todo; job threads without work */
} rco__job_threads;

struct rco_control {
	struct rco_control *next; /* of fork.c */
	rco_engine *engine;
	pid_t pid; /* that opened it */
	const rco_phrasebook *book;
	char path[108];
	char *name; /* of the socket in its folder, inside path */
	int folder_fd, lock_fd, listen_fd, wake_fd;
	int made; /* the socket is there, it is */
	dev_t dev;
	ino_t ino;
	uint32_t n_uids;
	uid_t *uids;
	int group; /* of members of gid */
	gid_t gid;
	uint32_t max_clients;
	int64_t idle_us;
	pthread_t io_thread;
	rco__job_threads stops, commits;
	/* The io thread's, like what follows: those that have places, and behind them those that are leaving. */
	rco__client_of *clients;
	uint32_t leaving_turn; /* whose it is */
	rco__polled *polled;
	rco__noter *noters;
	uint32_t early_per_user;
	rco_thread_fn thread; /* who is told of the threads */
	void *thread_user_data;
	int coming_fd;           /* was accepted, and has no place yet; -1 */
	int spare_fd;            /* given up for a connection when there are no more */
	int64_t accept_after_us; /* nobody can be let in before */

	pthread_mutex_t lock; /* guards what follows */
	rco__jobs done;
	rco__jobs waiting; /* for an erasure; the io thread alone takes jobs out */
	rco__news *news, **news_last;
	uint32_t news_count;
	uint64_t news_lost;
	int stopping;
	_Atomic uint32_t subscribers;
};

int64_t rco__control_now(void);               /* monotonic, microseconds */
void rco__control_wake(rco_control *control); /* the io thread; these two are in jobs.c */
/* On a thread of the socket: its work, told of and named. */
void rco__control_thread(rco_control *control, const char *name, void (*work)(rco_control *control));

/* ---- io.c; all from here to jobs.c is the io thread's ---- */
void *rco__io_thread(void *control);

/* ---- visit.c: one client. 0: it is to be closed ---- */
int rco__client_serve(rco_control *control, rco__client_of *c, short events); /* of poll(2) */
int rco__client_say(rco__client_of *c, char *line);                           /* takes it */
int rco__client_answer(rco__client_of *c, rco__job *job);                     /* takes it; it has its answer */
int rco__client_may_read(const rco__client_of *c);
int rco__client_has_more(const rco__client_of *c); /* was read, and is not seen to yet */
void rco__client_forget(rco_control *control, rco__client_of *c);
void rco__client_dismiss(rco_control *control, rco__client_of *c); /* after hearing what it said so far */
/* Its place is free at once, and what it said so far is heard in turn with what others say. */
void rco__client_leave(rco_control *control, rco__client_of *c);
/* Some lines of each. Returns 1 while there are any. */
int rco__leaving_serve(rco_control *control);
int rco__leaving_has_room(const rco_control *control);
rco__client_of *rco__leaving_any(rco_control *control); /* or NULL */
void rco__clients_close(rco_control *control);
void rco__descriptor_close(rco_control *control, int *fd); /* of a connection; -1 afterwards */

/* ---- deliver.c: what comes from job threads and the engine ---- */
void rco__deliver_done(rco_control *control);
void rco__deliver_events(rco_control *control);
/* Those that wait for an erasure. Returns when to look again; INT64_MAX: when something happens. */
int64_t rco__look_at_waiting(rco_control *control);

/* ---- places.c: who gets in, and who has to go ---- */
/* Is this connection's user allowed? */
int rco__place_allowed(const rco_control *control, int fd, uid_t *uid);
int rco__place_is_free(const rco_control *control);
/* A free place, or that of a client that has to make room (to be closed by the caller). */
rco__client_of *rco__place_for(rco_control *control, uid_t uid);
/* The same among subscribers: NULL if there is room, or it would be c itself; *full if there is none. */
rco__client_of *rco__subscriber_for(rco_control *control, const rco__client_of *c, int *full);
/* Who has to go first, for whomever; NULL if nobody is there. */
rco__client_of *rco__place_least(rco_control *control);

/* ---- fork.c: any thread's. What listens and connects is closed in a child ---- */
void rco__fork_add(rco_control *control);
void rco__fork_remove(rco_control *control);
/* Between these nobody can fork(): for opening or closing such a descriptor, and writing that down. */
void rco__fork_hold(void);
void rco__fork_go(void);

/* ---- early.c; the io thread's: how many opt-outs for calls not known a user has waiting ---- */
/* May the user ask for this one? RCO_E_LIMIT if it would be one too many; *is_new if there is none yet. */
int rco__early_may(rco_control *control, uid_t uid, const char *call_id, int *is_new);
void rco__early_note(rco_control *control, uid_t uid,
                     const char *call_id); /* a new one, which counts if it waits */
void rco__early_free(rco_control *control);

/* ---- jobs.c ---- */
/* Takes the job: to those that stop a recorder if there is one, and then to those that make it durable. */
void rco__job_threads_give(rco_control *control, rco__job *job);
void rco__job_threads_start(rco_control *control); /* one more of each kind, if all are at work; the io thread's */
void rco__job_threads_stop(rco_control *control);  /* lock held */
void rco__job_threads_join(rco_control *control);
void rco__jobs_init(rco__jobs *jobs);
void rco__jobs_add(rco__jobs *jobs, rco__job *job);
rco__job *rco__jobs_take(rco__jobs *jobs);
void rco__job_free(rco__job *job);

/* ---- request.c: what requests mean. Answers are lines that end in \n; NULL: no memory ---- */
/* Stops the recording here and now if that is asked for. 1: a job thread has to make it durable. *code, if it was
 * not possible. */
int rco__request_latch(rco_control *control, rco__request *request, uid_t uid, int *code);
/* The answer to what needs no job thread; `code` is of rco__request_latch(). */
char *rco__request_answer(rco_control *control, const rco__request *request, int code);
char *rco__answer_error(const rco__request *request, int code, const char *detail); /* request may be NULL */
int rco__request_asks(rco_control *control, const rco__request *request); /* a recorder of the host has to stop */
/* The job threads': stop it, and make it durable. */
void rco__request_stop(rco_control *control, const rco__request *request, rco__outcome *outcome);
void rco__request_do(rco_control *control, const rco__request *request, rco__outcome *outcome);
uint32_t rco__request_wait_ms(const rco__request *request);                  /* 0: it waits for nothing */
int rco__request_reached(rco_control *control, const rco__request *request); /* what it waits for */
char *rco__request_finish(rco_control *control, const rco__request *request, const rco__outcome *outcome);
char *rco__event_line(const rco_event *event);

/* ---- message.c: the message in a tool_call ---- */
int rco__request_dialect(const rco__request *request, uint32_t *dialect); /* 0: it names none that there is */
void rco__call_message_free(rco__call_message *message);
int rco__call_message_feed(rco__request *request, const char *bytes, size_t size); /* 0: no memory */
/* The line is over. Before the functions that follow. */
void rco__call_message_end(rco__request *request);
uint32_t rco__call_message_calls(const rco__call_message *message); /* of our tool */
/* It was so long that its dialect, which came behind it, came too late. */
int rco__call_message_unread(const rco__request *request);
/* What the platform is to be answered by now, once; as rco_tool_call(). */
int rco__call_message_answer(rco_control *control, const rco__request *request, rco_tool_answer **answer);

#endif
