/* SPDX-License-Identifier: MIT */
/*
 * The session room from inside.
 *
 * Who may touch what: fields marked "lock" are guarded by the session's mutex,
 * which is never held while a callback, a backend or the disk is waited for.
 * Fields marked "worker" belong to the one worker (shard) that owns the session
 * and need no lock. Everything the media thread touches is atomic.
 */
#ifndef RCO_SESSION_INTERNAL_H
#define RCO_SESSION_INTERNAL_H

#include "../base/bytes.h"
#include "../base/env.h"
#include "../base/error.h"
#include "../ledger/ledger.h"
#include "../ledger/receipt.h"
#include "../media/format.h"
#include "../media/pool.h"
#include "../storage/storage_internal.h"
#include "map.h"
#include "wheel.h"

#include <pthread.h>
#include <stdatomic.h>

#define RCO__MAGIC_ENGINE  0x52434f45u
#define RCO__MAGIC_SESSION 0x52434f53u
#define RCO__MAGIC_FREED   0x66726565u /* the host gave it back; work for it may go on */
#define RCO__MAGIC_DEAD    0x64656164u

#define RCO__NEVER INT64_MAX

/* ---- copies: every place where audio of a call is, or what was derived from it ---- */

enum {
	RCO__COPY_BEGUN = 1u << 0,     /* an upload was, or may have been, started */
	RCO__COPY_SENT = 1u << 1,      /* all parts are there */
	RCO__COPY_COMMITTED = 1u << 2, /* visible in the store */
	RCO__COPY_GONE = 1u << 3,      /* removal confirmed */
	RCO__COPY_VERIFIED = 1u << 4,  /* looked at again after that */
	RCO__COPY_LATE = 1u << 5,      /* registered after the opt-out */
	RCO__COPY_TOLD = 1u << 6       /* its late removal was told by an event */
};

typedef struct rco__copy {
	struct rco__copy *next; /* lock: appended at the tail, never removed before the session goes */
	uint32_t kind;          /* RCO_KIND_... */
	uint32_t store;         /* RCO_STORE_... */
	uint32_t flags;         /* worker (lock while being added) */
	uint32_t n_legs;        /* for our own files: 1 or 2 legs; 0 for the call record and host artifacts */
	uint32_t leg[2];
	uint64_t size_bytes; /* of the finished file, 0 if not known */
	char *key;
	char *version; /* "" for all */
	char upload_id[sizeof(((rco_result *)0)->upload_id)];
} rco__copy;

/* ---- legs ---- */

typedef struct rco__leg {
	uint32_t format;
	uint32_t sample_bytes;
	char label[RCO_LABEL_MAX + 1];
	rco__ring *leaving;     /* worker: taken from the session, to be given back when nobody pushes */
	uint64_t held;          /* worker: bytes the buffer confirmed */
	uint64_t tried;         /* worker: where the piece ended that was last handed to it */
	_Atomic uint64_t total; /* bytes accepted, kept when the ring is given back */
	_Atomic uint64_t frames;
	_Atomic uint64_t overflowed;
	uint64_t overflow_told; /* worker */
} rco__leg;

/* ---- events waiting for the worker ---- */

typedef struct rco__event {
	struct rco__event *next;
	uint32_t type;
	uint32_t status;
	int32_t code;
	uint32_t attempt;
	uint64_t count;
	int64_t time_us;
	char message[200];
} rco__event;

/* ---- sessions ---- */

enum { /* bits of latch */
       RCO__LATCH_OPTED_OUT = 1u << 0,
       RCO__LATCH_CLOSED = 1u << 1 /* the window has passed: commit permitted, opt-out refused */
};

typedef enum rco__recorder_state {
	RCO__REC_NONE = 0, /* never started */
	RCO__REC_MAYBE,    /* start was asked for; it may be recording */
	RCO__REC_ON,
	RCO__REC_OFF /* stop was confirmed */
} rco__recorder_state;

typedef enum rco__phase {                      /* worker: what is being done about the call */
	                  RCO__PHASE_LIVE = 0, /* draining rings */
	                  RCO__PHASE_SEAL,
	                  RCO__PHASE_BEGIN, /* upload intents, then begin of each file */
	                  RCO__PHASE_SEND,
	                  RCO__PHASE_WINDOW, /* parts are there; the window of P14 runs */
	                  RCO__PHASE_COMMIT,
	                  RCO__PHASE_RECORD,  /* the call record */
	                  RCO__PHASE_RELEASE, /* the buffer's copy goes */
	                  RCO__PHASE_DONE,    /* stored, or ended with nothing recorded */
	                  RCO__PHASE_ERASE,   /* opted out and durable; from here on nothing leads back */
	                  RCO__PHASE_VERIFY,
	                  RCO__PHASE_SWEEP, /* waits, then looks again */
	                  RCO__PHASE_ERASED /* all done; late artifacts lead back to ERASE */
} rco__phase;

typedef struct rco__export rco__export;

/* What a slot is given, in memory that outlives a PENDING answer. */
typedef struct rco__args {
	rco_recording recording;
	uint8_t meta[RCO_META_MAX];
	rco_chunk chunk;
	rco_object object;
	char upload_id[sizeof(((rco_result *)0)->upload_id)];
	char version[sizeof(((rco_result *)0)->version)];
} rco__args;

struct rco_session {
	/* media thread: all of it at the beginning, where it shares a cache line */
	_Atomic uint32_t magic;
	_Atomic uint32_t n_legs;
	rco_engine *engine;
	_Atomic uint32_t latch;
	_Atomic int32_t why_shut;                  /* error for a frame that meets a SHUT gate */
	_Atomic rco__ring_ref rings[RCO_MAX_LEGS]; /* 0 once given back */

	rco__leg *legs; /* RCO_MAX_LEGS of them, set before n_legs */
	_Atomic uint32_t refs;
	char *call_id;
	uint8_t recording_id[16];
	_Atomic uint32_t shard; /* whose it is; changed by that one's thread alone */
	uint32_t consent_policy;
	uint32_t opt_out_switch;
	uint32_t recovered; /* of an earlier process: has no handle */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* status, recorder or op of this session moved */

	/* lock */
	uint32_t consent; /* 0 not asked, 1 granted, 2 declined */
	uint32_t start_asked;
	uint32_t starting; /* the recorder's start is being asked: a second start is refused */
	uint32_t paused;
	uint32_t paused_for_peer; /* by rco__session_pause_for_peer(), which may resume it */
	_Atomic uint32_t ended;   /* written with the lock held */
	_Atomic uint32_t freed;   /* the host gave the handle back */
	_Atomic uint32_t hold;    /* written with the lock held */
	uint32_t hold_lifted;
	int64_t created_us, ended_us;
	_Atomic int64_t started_us; /* written with the lock held */
	int64_t window_mono_us;     /* end of the window; RCO__NEVER while the call goes on */
	int64_t forget_mono_us;     /* when the ended call is forgotten */
	rco__receipt_data receipt;
	uint64_t tomb_lsn; /* 0: the tombstone is not in the ledger's queue yet */
	int64_t erase_by_mono_us;
	uint32_t erase_failures;
	rco__copy *copies, **copies_tail;
	rco__event *events, **events_tail;
	uint32_t telling; /* a thread delivers them, also those that are queued meanwhile */
	pthread_t teller;
	uint32_t journaled; /* worker: the call is in the calls journal */

	/* recorder; lock */
	rco_recorder_ops recorder; /* start is NULL without one */
	void *recorder_user_data;
	rco__recorder_state rec_state;
	uint32_t rec_busy;    /* a thread is inside a recorder callback */
	pthread_t rec_thread; /* which */
	uint32_t rec_paused;  /* what the recorder was last told */
	uint64_t rec_op;      /* PENDING operation, 0 none */
	uint32_t rec_action;  /* what it is about */
	int64_t rec_deadline_us;
	int64_t rec_retry_us;
	uint32_t rec_failures;

	/* worker */
	_Atomic uint32_t queued; /* in the shard's inbox */
	_Atomic(rco_session *) inbox_next;
	_Atomic uint32_t requested; /* among the engine's requests */
	_Atomic(rco_session *) request_next;
	rco__timer timer;       /* in the shard's wheel, or among what it does next */
	uint32_t linked;        /* in either of them, which hold a reference */
	_Atomic uint32_t phase; /* rco__phase */
	uint64_t op;            /* PENDING operation of a backend, 0 none */
	rco__args *args;        /* of the operation */
	int64_t op_deadline_us;
	_Atomic uint32_t attempt;
	int64_t retry_us;      /* back-off: nothing before this time */
	int64_t tomb_retry_us; /* the same for a tombstone that could not be written: waits for no backend's
	                          back-off */
	uint32_t tomb_attempt;
	_Atomic uint32_t late_news; /* an artifact came after the opt-out: look at it at once */
	uint32_t opened;            /* the buffer knows the recording */
	uint32_t buffer_gone;
	uint32_t buffer_has; /* something may be in the buffer */
	uint32_t buffer_verified;
	uint32_t rings_wiped;
	uint32_t step; /* within a copy, or within a drain */
	rco__copy *cursor;
	int first_error; /* of a pass over all copies, which goes on to the next one */
	uint32_t intents_durable;
	uint32_t part;        /* number of the part being sent, from 1 */
	uint64_t sweep_found; /* by this pass */
	uint64_t late_found;  /* by all of them, for the event */
	int64_t sweep_us;
	rco__copy *record; /* the call record's file; not in `copies` */
	uint32_t record_step;
	_Atomic uint32_t record_stored; /* status + 1 that was last stored, 0 none */
	uint32_t record_active;         /* being stored beside an erasure */
	uint32_t closed;                /* the journals know that nothing more is to be done */
	int64_t record_retry_us;
	uint32_t record_attempt;
	rco__export *export;
	uint8_t *drain_buf; /* audio handed to a backend that said PENDING */
	size_t drain_size;
	uint32_t drain_leg;
	char *record_text;
	size_t record_size;

	/* engine's registry lock */
	rco_session *all_prev, *all_next;
	uint32_t registered; /* reachable by call id */
};

/* ---- shards ---- */

/*
 * Each session belongs to one shard, and one thread works for a shard, so that
 * drain, upload and erasure of a call never run at the same time. As long as a
 * call is only recorded it is with a shard that never waits for a disk; when it
 * ends or is opted out it goes over to one that may. In host-driven mode there is
 * one shard for everything, and rco_engine_run() is its thread.
 */
typedef enum rco__role {
	RCO__ROLE_ALL = 0, /* host-driven */
	RCO__ROLE_LIVE,    /* empties rings */
	RCO__ROLE_FILES,   /* uploads, erases, keeps house */
	RCO__ROLE_FLUSH,   /* flushes the buffer; has no sessions */
	RCO__ROLE_OPT_OUT  /* makes requests durable that nobody waits for; has no sessions */
} rco__role;

typedef struct rco__shard {
	rco_engine *engine;
	uint32_t number;
	rco__role role;
	pthread_t thread; /* idle_lock */
	uint32_t running; /* idle_lock: a thread was started and not joined */
	int wake_fd;
	_Atomic(rco_session *) inbox;
	rco__link urgent; /* opted out, and nobody knows yet whether that is durable */
	rco__link ready;
	rco__link turn; /* those of `ready` that are being served; here, so that they outlive the thread */
	rco__wheel *wheel;
	rco_session *current;      /* being worked for: what is taken up if the thread ends */
	int64_t next_house_us;     /* housekeeping of one shard */
	_Atomic uint32_t appended; /* something wants a flush */
	int64_t flushed_us;        /* when the last one was */
	uint64_t flush_op;
	int64_t flush_deadline_us;
	uint32_t flush_failures;
	uint8_t *scratch; /* drained audio, RCO__SCRATCH bytes; wiped after use */
	rco__args *args;  /* for the next operation */
} rco__shard;

enum { RCO__SCRATCH = 256 * 1024 };

/* ---- operations given to backends ---- */

typedef struct rco__op_slot {
	uint32_t generation;
	uint32_t state; /* 0 free, 1 waiting, 2 answered, 3 given up */
	int code;
	rco_session *session; /* referenced; NULL for a shard's flush */
	rco__shard *shard;
	void *limbo[2]; /* what a backend may still be reading after we gave up */
	size_t limbo_size[2];
	rco_result *result;
	uint32_t next_free;
} rco__op_slot;

typedef struct rco__prebirth {
	rco__receipt_data receipt;
	char call_id[RCO_CALL_ID_MAX + 1];
	int64_t expires_us;      /* wall clock, since it has to survive a restart */
	int64_t expires_mono_us; /* the same for this process, whatever becomes of the wall clock */
	uint64_t lsn;            /* of its entry in the ledger */
} rco__prebirth;

/* A function that is told of events. */
typedef struct rco__listener {
	rco_event_fn fn; /* NULL: none */
	void *user_data;
	uint32_t running; /* threads inside it */
	uint32_t leaving; /* not to be called any more */
} rco__listener;

struct rco_engine {
	_Atomic uint32_t magic;
	_Atomic uint32_t refs;
	rco__env env;
	volatile uint32_t *alive; /* a page that is zero in a forked child */
	rco_engine_config cfg;    /* numbers with defaults filled in; pointers NULL */
	_Atomic uint32_t enabled;
	_Atomic uint32_t closing;
	char *state_dir, *output_dir, *quarantine_dir;
	int lock_fd;

	rco_buffer_ops buffer;
	void *buffer_ud;
	rco_upload_ops upload;
	void *upload_ud;
	rco_deletion_ops deletion;
	void *deletion_ud;
	rco_spool *spool;         /* ours, or NULL */
	rco_directory *directory; /* ours, or NULL */
	rco_key_folder *key_folder;

	rco__ledger *ledger; /* opt-outs: evidence */
	rco__ledger *calls;  /* calls under way */
	rco__signer *signer;
	rco__pool *pool;
	rco__pool_map map;

	uint32_t n_shards; /* n_live of ROLE_LIVE, as many of ROLE_FILES, one of each other; host-driven: one */
	uint32_t n_live;
	rco__shard *shards;
	rco__shard *flusher, *notary, *housekeeper; /* of those */
	_Atomic(rco_session *) requests;            /* opt-outs for the notary */
	rco_session *serving; /* what it took of them; here, so that it outlives its thread */
	_Atomic uint32_t next_shard;
	_Atomic uint32_t running_host; /* a thread is inside rco_engine_run() */

	pthread_mutex_t reg_lock;
	rco__map by_call;  /* call id -> latest session */
	rco__map prebirth; /* call id -> rco__prebirth */
	rco_session *all;
	rco_session *graveyard, **graveyard_tail;
	uint32_t graveyard_count;

	pthread_mutex_t ops_lock;
	rco__op_slot *ops;
	uint32_t n_ops, free_op;

	pthread_mutex_t idle_lock;
	pthread_cond_t idle;
	_Atomic uint32_t idle_waiters;
	_Atomic uint64_t idle_epoch; /* counts changes, so that none is slept through */

	_Atomic uint64_t overflowed;
	_Atomic uint64_t quarantined;
	rco__event *engine_events, **engine_events_tail; /* reg_lock */

	pthread_mutex_t listen_lock;
	pthread_cond_t listen_quiet; /* nobody is inside a listener any more */
	rco__listener listeners[RCO_LISTENERS_MAX];
	uint32_t n_listeners; /* slots that were ever used */
};

/* ---- engine.c ---- */
int rco__engine_check(rco_engine *engine); /* RCO_OK, E_INVALID, E_HANDLE, E_FORKED; clears the error detail */
void rco__engine_unref(rco_engine *engine);
/* With the parts of the world that a test wants to replace: env NULL for the config's. */
int rco__engine_create(const rco_engine_config *config, const rco__fs *fs, rco_engine **out);

/* ---- session.c, leg.c, registry.c, stats.c ---- */
int rco__session_check(rco_session *session); /* the same for a session */
int rco__session_new(rco_engine *engine, const char *call_id, const uint8_t recording_id[16], rco_session **out);
void rco__session_bury(const rco__env *env, rco_session *session); /* free a dead one's memory */
void rco__session_ref(rco_session *session);
int rco__session_try_ref(rco_session *session); /* found in a list, reg_lock held: 0 if it is being freed */
void rco__session_unref(rco_session *session);
void rco__session_end_locked(rco_session *session);
/* Consent is there: ask the recorder to start, then open the gates. No lock held; `starting` is set. */
int rco__session_start(rco_session *session);
void rco__gates_set(
	rco_session *session); /* lock held: every gate as the session's state wants it, STOP included */
uint32_t rco__session_state(rco_session *session); /* lock held */
uint64_t rco__session_bytes(rco_session *session); /* accepted, all legs */
size_t rco__session_meta(rco_session *session, uint8_t out[RCO_META_MAX]);
rco_session *rco__registry_find(rco_engine *engine, const char *call_id); /* a reference, or NULL */
/* NULL once it was given back. */
static inline rco__ring *rco__leg_ring(const rco_session *session, uint32_t leg)
{
	return rco__ring_of(&session->engine->map, atomic_load(&((rco_session *)(uintptr_t)session)->rings[leg]));
}
int rco__registry_add(rco_session *session);
void rco__registry_forget(rco_session *session);

/* ---- shard.c: what a shard does next ---- */
int rco__shard_init(rco__shard *shard, rco_engine *engine, uint32_t number, rco__role role);
void rco__shard_destroy(rco__shard *shard);
void rco__session_wake(rco_session *session); /* any thread */
void rco__shard_wake(rco__shard *shard);
rco_session *rco__shard_session(rco__link *link); /* of one of its lists */
/* Do what is due now. */
void rco__shard_pass(rco__shard *shard);
/* Milliseconds until it wants to be run again, rounded up; at most a second, for housekeeping. */
int rco__shard_wait_ms(rco__shard *shard);
void rco__shard_wait(rco__shard *shard, int ms);
/* All its sessions become ready, also those that only wait or were just woken. */
void rco__shard_gather(rco__shard *shard);
/* Its thread ended inside a backend or a callback: what it was doing is to be done again. */
void rco__shard_orphaned(rco__shard *shard);

/* ---- opt_out.c: requests that nobody waits for ---- */
void rco__requests_serve(rco_engine *engine, int drop); /* make them durable, or only give their references back */

/* ---- flush.c ---- */
void rco__flush_wanted(rco_engine *engine);      /* any thread: something was appended */
void rco__flush(rco__shard *shard, int64_t now); /* of the shard that flushes */
int64_t rco__flush_due(const rco__shard *shard); /* RCO__NEVER if there is nothing to flush */

/* ---- worker.c ---- */
int rco__workers_start(rco_engine *engine);
void rco__workers_stop(rco_engine *engine);
void rco__workers_drop(rco_engine *engine); /* references of sessions that were woken after the drain */
void rco__workers_drain(
	rco_engine *engine); /* engine_free(): what is in rings goes to the buffer; workers have ended */

/* ---- step.c ---- */
int64_t
rco__session_step(rco_session *session);     /* worker: do what is due; next time, RCO__NEVER to wait for a wake */
int rco__session_live(rco_session *session); /* only its rings are to be emptied: nothing waits for a disk */
/* Opted out and not known to be durable: silence and tombstone now, all else in its turn. */
int rco__session_urgent(rco_session *session);
void rco__session_make_durable(rco_session *session);
void rco__session_book(rco_session *session); /* whatever its rings tell, the calls journal is to tell too */
int rco__session_busy(rco_session *session);  /* wait_idle() has to wait for it; lock held */

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

/* ---- callback.c ---- */
/* Mark this thread as being inside a callback of the engine; returns what to give to leave. */
const void *rco__callback_enter(const rco_engine *engine);
void rco__callback_leave(const void *before);
int rco__in_callback(void);
/* Queue an event; lock held (for engine events: none). Lost, with a log line, if memory is short. */
void rco__event_queue(rco_session *session, uint32_t type, int code, uint64_t count, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void rco__engine_event(rco_engine *engine, uint32_t type, int code, uint64_t count, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void rco__events_dispatch(rco_session *session); /* no lock; what is being delivered by another thread stays its */
void rco__engine_events_dispatch(rco_engine *engine);

/* ---- listen.c ---- */
void rco__listeners_init(rco_engine *engine);
void rco__listeners_destroy(rco_engine *engine);
void rco__listeners_tell(rco_engine *engine, const rco_event *event);

/* ---- recorder.c ---- */
/* Bring the host's recorder to where the session wants it; no lock held. RCO_OK: it is there. RCO_PENDING: it will
 * answer, or another thread is at it. */
int rco__recorder_settle(rco_session *session);
int64_t rco__recorder_due(rco_session *session);       /* when the worker has to see to it, RCO__NEVER */
int rco__recorder_stopped(const rco_session *session); /* lock held: it is certain that it does not record */

/* ---- opt_out.c ---- */
uint32_t rco__status(const rco_session *session); /* lock held */
/* Lock held: the wall clock, but never before what the receipt says already. */
int64_t rco__receipt_now(const rco_session *session);
int rco__opt_out_latch(rco_session *session, const char *source); /* lock held */
int rco__tombstone(rco_session *session); /* no lock: append if need be, sync, publish; RCO_OK when durable */
void rco__prebirth_apply(rco_session *session); /* reg_lock held: an opt-out that waits for this call id (P12) */
void rco__prebirth_expire(rco_engine *engine);
void rco__opt_out_born(rco_session *session, const rco__receipt_data *data); /* lock held: P12 */

/* ---- journal.c: what is written to ledger and calls journal ---- */
enum {
	RCO__CALL_BEGIN = 1,
	RCO__CALL_LEG = 2,
	RCO__CALL_ARTIFACT = 3,
	RCO__CALL_END = 4,
	RCO__CALL_INTENT = 5,
	RCO__CALL_UPLOAD_ID = 6,
	RCO__CALL_COMMITTED = 7,
	RCO__CALL_CLOSED = 8,

	RCO__OPT_TOMBSTONE = 32,
	RCO__OPT_PREBIRTH = 33,
	RCO__OPT_APPLIED = 34,
	RCO__OPT_STOPPED = 35,
	RCO__OPT_HOLD_LIFTED = 36,
	RCO__OPT_ERASED = 37,
	RCO__OPT_VERIFIED = 38,
	RCO__OPT_ESCALATED = 39,
	RCO__OPT_CLOSED = 40,
	RCO__OPT_EXPIRED = 41
};
int rco__journal_begin(rco_session *session, uint64_t *lsn); /* lsn may be NULL */
int rco__journal_leg(rco_session *session, uint32_t leg);
int rco__journal_copy(rco_session *session, uint16_t type, const rco__copy *copy, uint64_t *lsn);
int rco__journal_end(rco_session *session);
int rco__journal_closed(rco_session *session);
int rco__journal_tombstone(rco_session *session, uint16_t flags, uint64_t *lsn); /* lock held */
int rco__journal_mark(rco_engine *engine, const rco__receipt_data *receipt, uint16_t type, uint16_t flags,
                      int64_t when_us, uint64_t *lsn);
int rco__journal_prebirth(rco_engine *engine, const rco__prebirth *prebirth, uint64_t *lsn);
int rco__journal_replay_calls(const rco__ledger_entry *entry, void *user_data);
int rco__journal_replay_ledger(const rco__ledger_entry *entry, void *user_data);

/* ---- recover.c ---- */
typedef struct rco__recovery rco__recovery;
int rco__recovery_create(rco_engine *engine, rco__recovery **out);
/* What replay found about a recording or a receipt; made if new. NULL: no memory. */
struct rco__found_call *rco__recovery_call(rco__recovery *recovery, const uint8_t recording_id[16]);
struct rco__found_opt *rco__recovery_opt(rco__recovery *recovery, const uint8_t receipt_id[16]);
void rco__recovery_odd(rco__recovery *recovery, const char *where, const rco__ledger_entry *entry); /* log it */
int rco__recovery_run(rco__recovery *recovery); /* after ledger, pool and buffer are open */
void rco__recovery_free(rco__recovery *recovery);

/* ---- drain.c, upload.c, erase.c, record.c: steps of a session. RCO_OK: over. RCO_PENDING: a backend will answer,
 * or s->due says when to look again. An error: tried again later. ---- */
int rco__drain(rco_session *session);
int rco__rings_done(rco_session *session);     /* every accepted byte is in the buffer */
void rco__drain_abandon(rco_session *session); /* what was on its way to the buffer is dropped */
void rco__rings_wipe(
	rco_session *session); /* opted out: plaintext goes, the stop bit stays until the tombstone is durable */
int rco__rings_release(rco_session *session); /* wipe and give back; RCO_PENDING while a media thread is inside */
int rco__upload_step(rco_session *session);
int rco__erase_step(rco_session *session);
int rco__record_put(rco_session *session);
int rco__record_wanted(rco_session *session); /* takes the lock */

/* ---- copy.c ---- */
rco__copy *rco__copy_new(const rco__env *env, uint32_t kind, uint32_t store, const char *key, const char *version);
void rco__copy_free(const rco__env *env, rco__copy *copy);
void rco__copy_add(rco_session *session, rco__copy *copy); /* lock held */
rco__copy *rco__copy_find(rco_session *session, uint32_t store, const char *key);
int rco__copy_erasable(const rco_session *session, const rco__copy *copy);
/* Slots of the upload and deletion tables for session->cursor (the call record's: for session->record). */
const rco_object *rco__copy_object(rco_session *session, const rco__copy *copy);
/* rco__job_call() that wants a confirmation: RCO_E_UNCONFIRMED without it. */
int rco__job_confirm(rco_session *session, rco__call_fn call, uint32_t confirmed, rco_result *result);
/* Slots that both uploading and erasing call: for session->cursor, and for the recording. */
int rco__call_abort(rco_session *session, uint64_t op, rco_result *result);
int rco__call_buffer_erase(rco_session *session, uint64_t op, rco_result *result);

/* ---- export.c ---- */
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

#endif
