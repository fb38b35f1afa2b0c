/* SPDX-License-Identifier: MIT */
/* What workers do about calls: from the rings to the buffer, from there to the store, or away. */
#ifndef RCO_SESSION_WORK_H
#define RCO_SESSION_WORK_H

#include "state.h"

/* ---- op.c ---- */
typedef int (*rco__call_fn)(rco_session *session, uint64_t op, rco_result *result);
/* Call a slot, or go on waiting for its answer: RCO_PENDING as long as there is none. One at a time for each
 * session. */
int rco__job_call(rco_session *session, rco__call_fn call, rco_result *result);
/* 1 while a backend still works for the session. Gives up on it after the time-out. */
int rco__job_busy(rco_session *session);
int rco__op_begin(rco_engine *engine, rco_session *session, rco__shard *shard, uint64_t *op);
/* After a slot returned: forget the operation unless it is PENDING. */
void rco__op_end(rco_engine *engine, uint64_t op);
/* RCO_PENDING, or its code with the result; then it is forgotten. */
int rco__op_take(rco_engine *engine, uint64_t op, rco_result *result);
/* No answer is wanted any more; `args` and `audio` (both may be NULL) are wiped and freed when it comes, or with
 * the engine. */
void rco__op_give_up(rco_engine *engine, uint64_t op, void *args, size_t args_size, void *audio,
                     size_t audio_size);
void rco__ops_destroy(rco_engine *engine);
void rco__result_init(rco_result *result);

/* ---- copy.c ---- */
rco__copy *rco__copy_new(const rco__env *env, uint32_t kind, uint32_t store, const char *key, const char *version);
int rco__copy_place(const rco__env *env, rco__copy *copy, const char *place);
int rco__copy_upload(const rco__env *env, rco__copy *copy, const char *upload_id);
void rco__copy_no_upload(const rco__env *env, rco__copy *copy); /* its id is not known */
void rco__copy_free(const rco__env *env, rco__copy *copy);
void rco__copy_add(rco_session *session, rco__copy *copy); /* lock held */
/* Lock not held: the copy after that one, NULL: the first. Artifacts may be added meanwhile; none goes away. */
rco__copy *rco__copy_next(rco_session *session, const rco__copy *copy);
rco__copy *rco__copy_find(rco_session *session, uint32_t store, const char *key); /* lock held */
int rco__copy_erasable(const rco_session *session, const rco__copy *copy);
/* Do uploads go into the built-in directory? */
int rco__copy_in_directory(const rco_session *session);
/* RCO_E_NOT_FOUND if what was uploaded went into another folder, or another kind of store, than is there now. */
int rco__copy_here(const rco_session *session, const rco__copy *copy);
/* For slots of the upload and deletion tables: of work.cursor, or of the call record, work.record.copy. */
const rco_object *rco__copy_object(rco_session *session, const rco__copy *copy);
/* rco__job_call() that wants a confirmation: RCO_E_UNCONFIRMED without it. */
int rco__job_confirm(rco_session *session, rco__call_fn call, uint32_t confirmed, rco_result *result);
/* Give up every upload of work.cursor's key. RCO_OK, RCO_PENDING (call again), or an error. */
int rco__job_abort(rco_session *session);
/* RCO_E_NOT_FOUND if the call's audio is in a buffer of the host's, and there is none now. */
int rco__buffer_here(const rco_session *session);
/* The buffer's `erase`, as uploading and erasing both call it. */
int rco__call_buffer_erase(rco_session *session, uint64_t op, rco_result *result);

/* ---- drain.c, upload.c, erase.c, record.c: steps of a session. RCO_OK: over. RCO_PENDING: a backend will answer,
 * or work.retry_us says when to look again. An error: tried again later. ---- */
int rco__drain(rco_session *session);
/* Hand what the rings of those next in turn hold to the spool at once, where nothing is out of the ordinary: the
 * rest is left to rco__drain(). Returns of how many sessions, at least one. */
uint32_t rco__drain_ahead(rco__shard *shard);
int rco__rings_done(rco_session *session);     /* every accepted byte is in the buffer */
void rco__drain_abandon(rco_session *session); /* what was on its way to the buffer is dropped */
void rco__rings_wipe(
	rco_session *session); /* opted out: plaintext goes, the stop bit stays until the tombstone is durable */
int rco__rings_release(rco_session *session); /* wipe and give back; RCO_PENDING while a media thread is inside */
int rco__upload_step(rco_session *session);
/* commit.c. Of `cursor`, whose step it is: RCO__COMMIT_ASK or _HEAD. */
enum { RCO__COMMIT_ASK = 2, RCO__COMMIT_HEAD = 3 };
int rco__upload_file(const rco__copy *copy); /* one that is to be committed, or was */
int rco__upload_call_head(rco_session *session, uint64_t op, rco_result *result);
int rco__upload_short(const rco_session *session, const rco__copy *copy, const rco_result *result);
int rco__upload_look(rco_session *session, rco__copy *copy);
int rco__upload_committed(rco_session *session, rco__copy *copy, const rco_result *result);
int rco__upload_commit(rco_session *session, rco__copy *copy);
int rco__upload_note_commits(rco_session *session, const rco__copy *only);
int rco__erase_step(rco_session *session);
int rco__record_ask(rco_session *session, int *there); /* does the store have it? worker */
int rco__record_put(rco_session *session);
/* It is left as it is: a commit that was asked for is asked for again by the next rco__record_put(). */
void rco__record_leave(rco_session *session);
int rco__record_wanted(rco_session *session); /* takes the lock */
/* What makes a new record of it necessary: its status, and whether it has ended. Lock held. Never 0. */
uint32_t rco__record_state(rco_session *session);

/* ---- export_memory.c, export.c ---- */
int rco__export_begin(rco_session *session, rco__copy *copy);
/* The next part: *size bytes at *part, *last if the file ends with it. The same again until rco__export_sent(). */
int rco__export_fill(rco_session *session, const uint8_t **part, size_t *size, int *last);
void rco__export_sent(rco_session *session);
void rco__export_end(rco_session *session);
/* The memory itself, for a backend that may still be using it; the export is over. NULL without one. */
void *rco__export_detach(rco_session *session, size_t *size);
/* Size of the finished file, 0 if it cannot be known beforehand. */
uint64_t rco__export_size(const rco_session *session, const rco__copy *copy);

/* ---- call_record.c ---- */
int rco__call_record(rco_session *session, char **text, size_t *size); /* takes the lock; free with the env */

/* ---- step.c ---- */
int64_t
rco__session_step(rco_session *session); /* worker: do what is due; next time, RCO__NEVER to wait for a wake */
void rco__session_make_durable(rco_session *session);
void rco__session_book(rco_session *session); /* whatever its rings tell, the calls journal is to tell too */
int rco__session_busy(rco_session *session);  /* wait_idle() has to wait for it; lock held */

/* ---- shard.c: what a shard does next ---- */
int rco__shard_init(rco__shard *shard, rco_engine *engine, uint32_t number, rco__role role);
void rco__shard_destroy(rco__shard *shard);
/* Do what is due now. */
void rco__shard_pass(rco__shard *shard);
/* Milliseconds until it wants to be run again, rounded up; at most a second, for maintenance. */
int rco__shard_wait_ms(rco__shard *shard);
int rco__shard_late(const rco__shard *shard); /* what it may work is used up */
/* All its sessions become ready, also those that only wait or were just woken. */
void rco__shard_gather(rco__shard *shard);
/* Its thread ended inside a backend or a callback: what it was doing is to be done again. */
void rco__shard_orphaned(rco__shard *shard);

/* ---- flush.c ---- */
void rco__flush_wanted(rco_engine *engine);      /* any thread: something was appended */
void rco__flush(rco__shard *shard, int64_t now); /* of the shard that flushes */
int64_t rco__flush_due(const rco__shard *shard); /* RCO__NEVER if there is nothing to flush */

/* ---- worker.c ---- */
int rco__workers_start(rco_engine *engine);
void rco__workers_stop(rco_engine *engine);
void rco__workers_drop(rco_engine *engine); /* references of sessions that were woken after the drain */
/* rco_engine_close(): what is in rings goes to the buffer; workers have ended. RCO_PENDING: not all of it. */
int rco__workers_drain(rco_engine *engine, const struct timespec *until);

#endif
