/* SPDX-License-Identifier: MIT */
/* What becomes of a call, from its creation to its being forgotten: by the host's requests, and by those of
 * callers. */
#ifndef RCO_SESSION_CALLS_H
#define RCO_SESSION_CALLS_H

#include "state.h"

/* ---- engine.c, session_free.c ---- */
void rco__engine_unref(rco_engine *engine);
void rco__session_destroy(rco_session *session); /* the last reference went */
/* With the parts of the world that a test wants to replace: env NULL for the config's. */
int rco__engine_create(const rco_engine_config *config, const rco__fs *fs, rco_engine **out);

/* ---- session.c, hold.c, leg.c, registry.c, stats.c ---- */
int rco__session_new(rco_engine *engine, const char *call_id, const uint8_t recording_id[16], rco_session **out);
void rco__session_end_locked(rco_session *session);
void rco__hold_earlier(rco_session *session,
                       int nonblock); /* a legal hold is one of all parts of a call; no lock */
/* Consent is there: ask the recorder to start, then open the gates. No lock held; `starting` is set. */
int rco__session_start(rco_session *session);
int rco__session_start_or_later(rco_session *session); /* RCO_PENDING: by the worker, who tells it */
void rco__gates_set(
	rco_session *session); /* lock held: every gate as the session's state wants it, STOP included */
/* Lock held: what the receipt says, and that the host told the end, into the rings. */
void rco__gates_note(rco_session *session);
enum { RCO__NOTE_V1 = 1, RCO__NOTE_ENDED = 0x80 }; /* its first byte */
uint32_t rco__session_state(rco_session *session); /* lock held */
/* The id is this call's from now on. `same`, NULL for what a start finds: the call that the host goes on with, a
 * reference, if it was opted out; then `session` is not added. */
int rco__registry_add(rco_session *session, rco_session **same);
void rco__registry_forget(rco_session *session);
void rco__registry_keep(
	rco_session *session); /* a later call has its id: known until it is forgotten all the same */
/* The session after `from`, NULL for the first, with a reference; gives back that of `from`. In no order. */
rco_session *rco__registry_next(rco_engine *engine, rco_session *from);
/* The same, of those of this id that are not forgotten. */
rco_session *rco__registry_next_of(rco_engine *engine, const char *call_id, rco_session *from);
/* A reference to the call that has this recording and is not forgotten, or NULL. */
rco_session *rco__registry_recording(rco_engine *engine, const uint8_t recording_id[16]);

/* ---- requests.c: those that nobody waits for ---- */
void rco__request_offer(rco_session *session);               /* to the committer: an opt-out */
void rco__request_save(rco_session *session, uint32_t what); /* RCO_REQUEST_..., or RCO__REQUEST_END */
void rco__request_again(rco_session *session);               /* the thread that was at it ended */
enum { RCO__REQUEST_END = 0 };
void rco__requests_serve(rco_engine *engine, int drop); /* make them durable, or only give their references back */

/* ---- callback.c ---- */
void rco__events_dispatch(rco_session *session); /* no lock; what is being delivered by another thread stays its */
/*
 * The same. 0 if another thread is at it: the session is woken when that is through. What a later process needs to
 * tell an event again is given up only behind this, so that each is told at least once.
 */
int rco__events_told(rco_session *session);
void rco__engine_events_dispatch(rco_engine *engine);

/* ---- listen.c ---- */
void rco__listeners_init(rco_engine *engine);
void rco__listeners_destroy(rco_engine *engine);
void rco__listeners_notify(rco_engine *engine, const rco_event *event);

/* ---- answered.c ---- */
void rco__answers_init(rco_engine *engine);
void rco__answers_destroy(rco_engine *engine);

/* ---- recorder.c ---- */
/* Bring the host's recorder to where the session wants it; no lock held. RCO_OK: it is there. RCO_PENDING: it will
 * answer, or another thread is at it. */
int rco__recorder_settle(rco_session *session);
int64_t rco__recorder_due(rco_session *session); /* when the worker has to see to it, RCO__NEVER */

/* ---- latch.c ---- */
int rco__opt_out_latch(rco_session *session, const char *source);            /* lock held */
void rco__opt_out_born(rco_session *session, const rco__receipt_data *data); /* lock held */
void rco__recorder_lost_notify(rco_session *session);                        /* lock held */
int rco__tombstone_enqueue(rco_session *session, uint64_t *lsn); /* lock held: into the ledger's queue */
int rco__tombstone(rco_session *session); /* no lock: append if need be, sync, publish; RCO_OK when durable */

/* ---- opt_out.c, artifact.c, hold.c, recorder.c: of a session that is held by a reference ---- */
int rco__session_opt_out(rco_session *session, const rco_opt_out_options *options, rco_receipt **receipt);
int rco__session_receipt(rco_session *session, rco_receipt **receipt);
int rco__session_artifact(rco_session *session, uint32_t kind, const char *location, const char *version,
                          int nonblock);
int rco__session_hold(rco_session *session, int hold, int nonblock);
int rco__session_recorder_stopped(rco_session *session);

/* ---- early.c: P12 ---- */
rco__early *rco__early_new(const rco__env *env, const char *call_id); /* NULL: no memory */
void rco__early_release(const rco__env *env, rco__early *p);          /* not in the table, or not any more */
int rco__early_keep(rco_engine *engine, rco__early *early);           /* reg_lock held: into the table */
/* The request for a call that is not known; or *appeared is a reference to it, which came up meanwhile. */
int rco__opt_out_unknown(rco_engine *engine, const char *call_id, const rco_opt_out_options *options,
                         rco_receipt **receipt, rco_session **appeared);
/* A wish about an id whose call was done with so long ago that it may be another's by now: noted besides. */
int rco__opt_out_besides(rco_engine *engine, const char *call_id, const rco_opt_out_options *options);
int rco__early_receipt(rco_engine *engine, const char *call_id, rco__receipt_data *data); /* 0: there is none */
void rco__early_apply(rco_session *session); /* reg_lock held: an opt-out that waits for this call id */
void rco__early_expire(rco_engine *engine);

/* ---- continued.c: calls that go on over a restart ---- */
typedef enum rco__continues {
	RCO__CONTINUES_NOT,  /* another call */
	RCO__CONTINUES_PART, /* a session made now is a further part of that call */
	RCO__CONTINUES_SAME  /* it was opted out: that session is the call's */
} rco__continues;
rco__continues rco__continued_how(rco_session *before);                    /* its lock held, as for the next two */
void rco__continued_same(rco_session *before, const rco_session *session); /* a reference is the caller's */
void rco__continued_part(rco_session *before, rco_session *session);
void rco__continued_found(rco_session *earlier, rco_session *session); /* no lock: by the start */
/* Lock of `session` held: what that means for the earlier parts. */
void rco__continued_end(rco_session *session);
void rco__continued_closed(rco_session *session); /* it can no longer be opted out */
/* No lock, worker: when the record of an opted-out call may be closed, or be looked at again; not later than
 * `now`: at once. */
int64_t rco__continued_closes_at(rco_session *session, int64_t now);

/* ---- past.c: opt-outs that are done with ---- */
/* The receipt of a call that is over; 0 if none is known. `recent`: as long ago as an ended call is remembered. */
int rco__past_receipt(rco_engine *engine, const char *call_id, rco__receipt_data *data, int *recent);
/* The same of the call that has this recording, with its id in `call_id`, where `data` points to. */
int rco__past_recording(rco_engine *engine, const uint8_t recording_id[16], char call_id[RCO_CALL_ID_MAX + 1],
                        rco__receipt_data *data);
void rco__past_release(const rco__env *env, rco__past *past); /* not in the table */
int rco__part_add(const rco__env *env, rco__part **parts, const uint8_t recording_id[16]);
void rco__parts_free(const rco__env *env, rco__part *parts);
int rco__parts_have(const rco__part *parts, const uint8_t recording_id[16]);
rco__past *rco__past_of(rco_session *session); /* of a session that is to be forgotten; NULL: no memory, or none */
void rco__past_add(rco_engine *engine, rco__past *past); /* reg_lock held; takes it; the oldest goes if too many */
/* reg_lock held: a call has this id now. What is known of an earlier one ends, durably before this one is stored.
 */
void rco__past_ends(rco_session *session, rco_session *before);
int rco__past_is_newer(
	const rco_session *session); /* reg_lock held: than this one, which was found at the start */
void rco__past_free_all(rco_engine *engine);

/* ---- own_file.c ---- */
/*
 * May `path`, which leads to `place`, be registered as a file of this call? RCO_E_INVALID if it is the library's
 * own, also another engine's, RCO_E_BUSY if it is the recording of another call. No lock held.
 */
int rco__own_file_check(rco_session *session, const char *path, const char *place, const rco__fs_stamp *stamp);
/* RCO_E_INVALID if no file can be at `place`, which `looked` is the code of a look at, or nobody can remove it. */
int rco__erasable_check(const char *path, const char *place, int looked);
int rco__goes_up(const char *path); /* is ".." on its way? */

/* ---- claim.c: names of files that come again. claims_lock held where nothing else is said ---- */
/*
 * The copy, which is about to be registered, becomes this call's, and that of calls that are done with the name no
 * longer theirs. RCO_E_BUSY, naming the call, if another is not; RCO_E_NO_MEMORY. No session's lock is held.
 */
int rco__claim_take(rco_session *session, rco__copy *copy);
void rco__claim_undo(rco__copy *copy);                /* it was not registered after all */
void rco__claim_book(rco__copy *copy, uint64_t *lsn); /* into the journal of those that gave way */
int rco__claim_found(rco_session *session,
                     rco__copy *copy); /* takes the lock; of an earlier process, as it had it */
void rco__claim_drop(rco_engine *engine, rco__copy *copy); /* takes the lock; the session goes */
void rco__claims_kept(
	rco_session *session); /* no lock, worker: nothing will erase these files; what they are now */

#endif
