/* SPDX-License-Identifier: MIT */
/* Inside the gateway: its calls, which files are theirs, and how they are stopped. */
#ifndef RECORDERS_CALLS_H
#define RECORDERS_CALLS_H

#include "files.h"
#include "gateway.h"
#include "journal.h"

#include <recoptout/control.h>
#include <recoptout/storage.h>

#include <pthread.h>
#include <stdatomic.h>

enum { PARTS_MAX = 4 };

typedef struct known_file {
	struct known_file *next;
	file_id id;
	int told; /* the library of this process has been told of it */
	int gone; /* no longer there under this name: erased, moved, or another call's by now */
	/* Its erasure began while it was there, by us or by the recorder that we told to: if it has gone, it is
	 * erased. Nothing else that has gone is. */
	int erasing;
	char path[];
} known_file;

/* A call. All of it under the gateway's lock, but for what never changes. */
typedef struct entry {
	struct entry *next;
	gateway *g;
	int refs;
	json_int_t number;         /* in the journal; a later call has a higher one */
	uint8_t recording[16];     /* the library's id of it, in this process */
	uint8_t before[16];        /* and in the one before */
	rec_call parts[PARTS_MAX]; /* what each `start` said */
	size_t n_parts;
	rco_session *session; /* NULL while an early objection waits for the recorder's stop, and after a restart
	                         if all that is left to do is the library's */
	known_file *known;
	int64_t since_ns, ended_ns; /* as file times are taken; 0: goes on */
	int opted_out;
	int clear;       /* opted out, and the recorder has confirmed its stop: its files may be removed */
	int trusted;     /* it said so, but whether its files are open cannot be told */
	int dirty;       /* to be journaled, soon */
	int odd;         /* a file of the call cannot be erased as it is */
	int early;       /* the objection came before the call; no session yet */
	int restored;    /* from the journal, and not named again since */
	int asks;        /* the library may ask for a stop, with this entry in hand */
	int ending;      /* somebody is inside rco_session_end() with it */
	unsigned wanted; /* stops that the library does not ask for */
	int attempting;
	int stopped; /* what the last attempt came to */
	uint64_t op; /* the library's, that waits for the attempt; 0 */
	uint32_t failures;
	int64_t again_ms, learn_ms;
	char why[WHY_MAX]; /* what was noted last */
} entry;

struct gateway {
	gateway_options o;
	rco_engine *engine;
	rco_control *control;
	journal *journal;
	int wake;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_mutex_t saving, starting;
	entry *calls; /* the newest first */
	json_int_t last_number;
	size_t attempts; /* threads that are at it */
	pthread_t watcher, learner;
	int watches, learns;
	int restored; /* the journal has been read */
	_Atomic int closing;
};

int64_t file_clock_ns(void);
void note(const char *call_id, const char *what, const char *why);
void wake(gateway *g);

/* ---- calls.c */

entry *entry_new(gateway *g, const char *call_id);
void entry_add(entry *e);
void entry_unref(entry *e);
/* The newest of that id; with a reference; NULL. */
entry *entry_find(gateway *g, const char *call_id);
/* The next after `e` (NULL: the first), with a reference; that of `e` is given back. */
entry *entry_next(gateway *g, entry *e);
/* Of which call is this recording of the library's? With a reference; NULL. */
entry *entry_of(gateway *g, const rco_object *object);
/* Forgets it if nothing can come of it any more. */
void entry_retire(entry *e);
/* Has the caller objected? Asks the library, and remembers it. */
int entry_opted_out(entry *e);

/* ---- entry_journal.c */

/* Journal it. -1: not durable. */
int entry_save(entry *e);
entry *entry_load(gateway *g, const json_t *record);

/* ---- entry_files.c */

/* Lock held. */
known_file *known_find(entry *e, const char *path);
/* Lock held. NULL without memory. */
known_file *known_add(entry *e, const char *path, const file_id *id);
/* Lock held. Is what had this name erased, or is it known by another name: where a recorder renames what is
 * finished? `told`: of which the library has been told, if it is still to be erased. */
int is_accounted(const entry *e, const known_file *k, int told);
/* Has a file of this recording been seen, now or before? */
int was_seen(entry *e, const rec_call *part);
/* Lock held. Is what has this name the call's, and not another's that used the name before or after it? */
int is_ours(entry *e, const char *path, const file_id *id);
/* May what is recorded by the call's handle be another's: has it ended, or was another announced with the handle
 * that records into other files? */
int has_own_only(entry *e);
/* rec_file_fn: a file of the call is there. */
void found(const char *path, void *entry);
/* rec_file_fn: the recorder says that it writes this by the call's handle. */
void learned(const char *path, void *entry);
/* rec_file_fn: the recorder erases it, as it said. */
void discards(const char *path, void *entry);
/* mine() and written() of rec_stop. */
int is_mine(const char *path, void *entry);
int is_written(void *entry);
void look(entry *e);

/* ---- missing.c */

/* Is this the name of a recording of which nobody knows where it is? */
int is_missing(const char *location);
/* Has it been found meanwhile? */
int was_found(entry *e, const char *location);
/* Remembers it; the library is told with the next look. */
void miss(entry *e, const char *location);
/* All that `start` named and nobody has seen. */
void miss_unseen(entry *e);

/* ---- attempt.c */

/* Starts one unless one is running. */
void attempt_start(entry *e);
/* Waits at most so long; 1: it is over. Lock held. */
int attempt_wait(entry *e, uint32_t ms);
void attempt_await_all(gateway *g);
/* So long the library's question on this thread waits for an attempt; then it is answered later. */
extern _Thread_local uint32_t attempt_patience_ms;

/* ---- gateway.c */

/* A session for it. */
int entry_begin(entry *e);
/* A session that is opted out, where the library has none (any more). */
int entry_revive(entry *e);

#endif
