/* SPDX-License-Identifier: MIT */
/*
 * What a session, a shard and an engine consist of.
 *
 * Who may touch what: `control` and `recorder` of a session, and fields marked "lock", are guarded by its mutex,
 * which is never held while a callback, a backend or the disk is waited for. `work`, and fields marked "worker",
 * belong to the one worker (shard) that owns the session and need no lock. Everything the media thread touches is
 * atomic, and so is what else is looked at, or told, without the lock or by another thread than the worker.
 */
#ifndef RCO_SESSION_STATE_H
#define RCO_SESSION_STATE_H

#include "../base/bytes.h"
#include "../base/env.h"
#include "../base/error.h"
#include "../base/fs_roots.h"
#include "../ledger/ledger.h"
#include "../ledger/receipt.h"
#include "../media/pool.h"
#include "../storage/storage_internal.h"
#include "map.h"
#include "wheel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

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
	RCO__COPY_TOLD = 1u << 6,      /* its late removal was told by an event */
	RCO__COPY_COMMITTING = 1u << 7 /* durable: a commit may have been asked for. SENT goes with it */
};

/* What belongs to others: keys and locations, and versions and upload ids, without the NUL. */
enum { RCO__KEY_MAX = 4095, RCO__VERSION_MAX = 1024 };
/* A path, and before it the id of a folder and a colon. */
enum { RCO__PLACE_CAP = RCO__KEY_MAX + 1 + RCO_ID_TEXT + 1 };

/* The place of what was uploaded by a table of the host's. */
#define RCO__STORE_OF_HOST "store-of-the-host"

/* All that is registered under one name: see claim.c. */
typedef struct rco__place_claims rco__place_claims;

typedef struct rco__copy {
	struct rco__copy *next; /* lock: appended at the tail, never removed before the session goes */
	uint32_t kind;          /* RCO_KIND_... */
	uint32_t store;         /* RCO_STORE_... */
	uint32_t flags;         /* worker (lock while being added) */
	uint32_t n_legs;        /* for our own files: 1 or 2 legs; 0 for the call record and host artifacts */
	uint32_t leg[2];
	uint64_t upload_no;  /* one more for each upload whose commit in doubt came to nothing */
	uint64_t size_bytes; /* of the finished file, 0 if not known */
	char *key;
	char *version; /* "" for all */
	char *place;   /* of a host's file: its path without links when it was registered; NULL if `key` is that.
	                  Of an upload: "ID:PATH" of the built-in folder, or RCO__STORE_OF_HOST; NULL if not known */
	/* Of what the host registered: claim.c. claims_lock, and that of the session for `yielded`. */
	rco__place_claims *claims;
	struct rco__copy *claims_next;
	rco_session *owner;
	uint64_t claim;   /* number of the registration: a later one is higher */
	uint64_t yielded; /* the claim of another call's that it gave way to: it is nothing of this call's any more
	                   */
	rco__fs_stamp stamp; /* the file when it was registered; once the call is kept, when that was decided */
	char *upload_id;     /* NULL: not known. See rco__copy_upload() */
} rco__copy;

/* ---- legs ---- */

typedef struct rco__leg {
	uint32_t format;
	uint32_t sample_bytes;
	char label[RCO_LABEL_MAX + 1];
	rco__ring *leaving; /* worker: taken from the session, to be given back when nobody pushes */
	uint64_t held;      /* worker: bytes the buffer confirmed, gaps among them */
	uint64_t lost_end;  /* recovery: up to here the buffer had it, and what it lost is a gap */
	uint64_t tried;     /* worker: where the piece ended that was last handed to it */
	uint32_t ahead;     /* worker: its ring was emptied with others, in this turn */
	/* kept when the ring is given back */
	_Atomic uint64_t total; /* bytes accepted, and of the gaps before them */
	_Atomic uint64_t gaps;  /* of these, gaps; as far as known */
	_Atomic uint64_t frames;
	_Atomic uint64_t overflowed;
	_Atomic uint64_t late;
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
	const char *call_id;    /* of a call that is not known, behind the struct; NULL: none */
	uint8_t receipt_id[16]; /* its opt-out's */
	const char *message;    /* behind the struct, RCO__MESSAGE_MAX at most; or "" */
} rco__event;

enum { RCO__MESSAGE_MAX = 639 }; /* the detail of an error, and a few words */

/* ---- sessions ---- */

enum { /* bits of latch */
       RCO__LATCH_OPTED_OUT = 1u << 0,
       RCO__LATCH_CLOSED = 1u << 1 /* the window has passed: commit permitted, opt-out refused */
};

enum { /* which buffer has a call's audio; in rings and journal beside the legal hold, see rco__hold_byte() */
       RCO__BUFFER_SPOOL = 1,
       RCO__BUFFER_MEMORY = 2, /* the built-in one: gone with its process */
       RCO__BUFFER_HOST = 3    /* a table of the host's: of two of them nobody can tell whether they are one */
};

typedef enum rco__recorder_state {
	RCO__REC_NONE = 0, /* never started */
	RCO__REC_MAYBE,    /* start was asked for; it may be recording */
	RCO__REC_ON,
	RCO__REC_OFF /* stop was confirmed */
} rco__recorder_state;

enum { /* what the host's recorder was told to do, in the calls journal */
       RCO__TOLD_NOTHING = 0,
       RCO__TOLD_START = 1, /* it may be recording */
       RCO__TOLD_STOP = 2   /* and confirmed it */
};

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
	char upload_id[RCO__VERSION_MAX + 1]; /* the copy's may change while a backend still looks at it */
} rco__args;

/* What the host and callers have said of a call, and what was answered. All of it: lock. */
typedef struct rco__control {
	uint32_t consent; /* 0 not asked, 1 granted, 2 declined */
	uint32_t start_asked;
	uint32_t starting; /* the recorder's start is being asked: a second start is refused */
	uint32_t paused;
	uint32_t paused_for_peer; /* by rco__session_pause_for_peer(), which may resume it */
	_Atomic uint32_t ended;   /* written with the lock held, as hold and started_us */
	_Atomic uint32_t freed;   /* the host gave the handle back */
	_Atomic uint32_t hold;
	uint32_t hold_lifted;
	int64_t created_us, ended_us;
	_Atomic int64_t started_us;
	int64_t window_mono_us; /* end of the window; RCO__NEVER while the call goes on */
	uint32_t end_unknown;   /* recovered, and the host never said that the call had ended ... */
	int64_t resume_by_us;   /* ... so that a session of its id is the same call until then, if it was opted out
	                         */
	int64_t forget_mono_us; /* when the ended call is forgotten */
	rco__receipt_data receipt;
	uint64_t tomb_lsn; /* 0: the tombstone is not in the ledger's queue yet */
	int64_t erase_by_mono_us;
	uint32_t erase_failures;
	rco__copy *copies, **copies_tail;
	rco__event *events, **events_tail;
	uint32_t owed;       /* bits 1 << type of events that there was no memory for, see rco__event_queue() */
	uint64_t owed_count; /* that of RCO_EVENT_STORED */
	uint32_t saves;      /* bits 1 << RCO_REQUEST_... of what the committer is to make durable; 1: an end */
	uint32_t done;       /* the same of what is to be told, with their codes: needs no memory */
	int done_code[RCO_REQUEST_ARTIFACT + 1];
	uint32_t start_later, pause_later; /* what the worker is to ask the recorder for */
	uint32_t told_wakes;               /* the session waits until all is told */
	uint32_t telling;                  /* a thread delivers them, also those that are queued meanwhile */
	pthread_t teller;
	uint32_t id_reused;         /* a later call has its id */
	_Atomic uint64_t reuse_lsn; /* the ledger's entry that says so of an earlier call; 0: there was none */
} rco__control;

/* The host's own recorder. All of it: lock. */
typedef struct rco__recorder {
	rco_recorder_ops ops; /* start is NULL without one */
	void *user_data;
	rco__recorder_state state;
	uint32_t busy;    /* a thread is inside a recorder callback */
	pthread_t thread; /* which */
	uint32_t paused;  /* what the recorder was last told */
	uint64_t op;      /* PENDING operation, 0 none */
	uint32_t action;  /* what it is about */
	int64_t deadline_us;
	int64_t retry_us;
	uint32_t failures;
	_Atomic uint32_t told; /* RCO__TOLD_..., for the journal */
} rco__recorder;

/* What is being done about a call, and how far it is. Worker. */
typedef struct rco__work {
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
	_Atomic uint32_t late_news; /* after the opt-out an artifact came, or the recorder stopped: look at once */
	uint32_t journaled;         /* the call is in the calls journal */
	uint32_t closed;            /* the journals know that nothing more is to be done */
	uint32_t step;              /* within a copy, or within a drain */
	rco__copy *cursor;
	uint32_t rings_wiped;
	struct {
		uint8_t *buf; /* audio handed to a backend that said PENDING */
		size_t size;
		uint32_t leg;
		uint32_t gap; /* it is one, and has no audio */
	} drain;
	struct {
		uint32_t opened; /* it knows the recording */
		uint32_t forgot; /* it did, and has to show that it still has what it had */
		uint32_t has;    /* something may be in it */
		uint32_t gone;
		uint32_t verified;
	} buffer;
	struct {
		uint32_t intents_durable;
		uint32_t record_asked; /* whether the store has a call record: see upload.c */
		uint32_t settled;      /* it has */
		uint64_t record_bytes; /* of audio that it speaks of, 0 if not known */
		uint32_t outgrown;     /* what was stored before was not all of it, and was replaced */
		uint32_t part;         /* number of the part being sent, from 1 */
		rco__export *export;
	} upload;
	struct {
		rco__copy *copy; /* the call record's file; not in `copies` */
		uint32_t step;
		uint32_t says;           /* what the one being stored says: see rco__record_state() */
		_Atomic uint32_t stored; /* the same of the one that is stored, 0 none */
		uint32_t active;         /* being stored beside an erasure */
		int64_t retry_us;
		uint32_t attempt;
		char *text;
		size_t size;
	} record;
	struct {
		int doubted;          /* something was still there that a backend had called gone */
		int first_error;      /* of a pass over all copies, which goes on to the next one */
		int for_recorder;     /* nothing failed but the recorder's stop, which is told by itself */
		uint64_t sweep_found; /* by this pass */
		uint64_t late_found;  /* by all of them, for the event */
		int64_t sweep_us;
	} erase;
} rco__work;

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
	void *user_data; /* the host's, for events */
	int nonblock;    /* RCO_SESSION_NONBLOCK */
	int long_done;   /* taken up again, long after it was done with: its id may be another call's by now */
	struct rco__part *past_parts; /* and those it had; reg_lock */
	uint8_t recording_id[16];
	_Atomic uint32_t shard; /* whose it is; changed by that one's thread alone */
	uint32_t consent_policy;
	uint32_t opt_out_switch;
	uint32_t recovered;        /* of an earlier process */
	uint32_t buffer_kind;      /* RCO__BUFFER_...: which has its audio; 0 not known */
	uint32_t buffer_elsewhere; /* that is not there any more: see rco__buffer_here() */
	/* The part of the same call that an earlier process recorded, a reference; see continued.c. Set before
	 * anybody else knows the session. */
	rco_session *earlier;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* status, recorder or op of this session moved */
	rco__control control;
	rco__recorder recorder;
	rco__work work;

	/* any thread, to wake a worker */
	_Atomic uint32_t queued; /* in the shard's inbox */
	_Atomic(rco_session *) inbox_next;
	_Atomic uint32_t requested; /* among the engine's requests */
	_Atomic(rco_session *) request_next;

	/* engine's registry lock */
	rco_session *all_prev, *all_next;
	uint32_t registered; /* reachable by call id */
	uint32_t kept; /* the registry has a reference: until the call is forgotten, also when a later one has its
	                * id */
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
	RCO__ROLE_OPT_OUT, /* makes requests durable that nobody waits for; has no sessions */
	RCO__ROLE_SPOOL    /* keeps the spool's house, and may wait for its key provider; has no sessions */
} rco__role;

typedef struct rco__pieces rco__pieces;

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
	rco_session *current;        /* being worked for: what is taken up if the thread ends */
	int64_t next_maintenance_us; /* maintenance of one shard */
	int64_t next_spool_us;       /* of the spools, the same */
	int64_t work_until_us;       /* rco_engine_run() with a budget: no further call after this; 0: none */
	_Atomic uint32_t appended;   /* something wants a flush */
	int64_t flushed_us;          /* when the last one was */
	uint64_t flush_op;
	int64_t flush_deadline_us;
	uint32_t flush_failures;
	uint8_t *scratch;   /* drained audio, RCO__SCRATCH bytes; wiped after use */
	rco__args *args;    /* for the next operation */
	rco__pieces *ahead; /* of rings that are emptied together */
	uint32_t n_ahead;   /* sessions at the beginning of `turn` whose rings were */
} rco__shard;

enum { RCO__SCRATCH = 256 * 1024 };

/* ---- operations given to backends ---- */

typedef struct rco__op_slot {
	uint32_t generation;
	uint32_t state; /* 0 free, 1 waiting, 2 answered, 3 given up */
	int code;
	rco_session *session; /* referenced; NULL for a shard's flush */
	rco__shard *shard;
	void *orphaned[2]; /* what a backend may still be reading after we gave up */
	size_t orphaned_size[2];
	rco_result *result;
	uint32_t next_free;
} rco__op_slot;

/* An opt-out for a call that is not known (yet). */
typedef struct rco__early {
	rco__receipt_data receipt;
	int64_t expires_us;      /* wall clock, since it has to survive a restart */
	int64_t expires_mono_us; /* the same for this process, whatever becomes of the wall clock */
	uint64_t lsn;            /* of its entry in the ledger */
	rco__event *news;        /* that it is durable; NULL when that was told, or answered */
	char call_id[];
} rco__early;

/* A call that went on over a restart has a recording for each part: those of the earlier ones. */
typedef struct rco__part {
	struct rco__part *next;
	uint8_t recording_id[16];
} rco__part;

/* An opt-out that is done with, of a call that is over and forgotten otherwise. */
typedef struct rco__past rco__past;

/* A function that is told of events. */
typedef struct rco__listener {
	rco_event_fn fn; /* NULL: none */
	void *user_data;
	uint32_t running; /* threads inside it */
	uint32_t leaving; /* not to be called any more */
} rco__listener;

/* A tool call that has had its answer, and what kind of message got it. */
enum { RCO__FINGERPRINT_BYTES = 16 };

typedef struct rco__answered {
	uint8_t fingerprint[RCO__FINGERPRINT_BYTES];
	uint32_t kind;
} rco__answered;

/* What an earlier process left in rings elsewhere. */
typedef struct rco__left_rings rco__left_rings;
/* What an earlier process left in the spool, for an engine with another buffer. */
typedef struct rco__left_spool rco__left_spool;

struct rco_engine {
	_Atomic uint32_t magic;
	_Atomic uint32_t refs;
	rco__env env;
	volatile uint32_t *alive; /* a page that is zero in a forked child */
	rco_engine_config cfg;    /* numbers with defaults filled in; pointers NULL */
	_Atomic uint32_t enabled;
	_Atomic uint32_t closing;
	rco__roots roots;                 /* env.fs, unless a test has its own */
	char *state_dir, *quarantine_dir; /* resolved */
	int lock_fd;

	rco_buffer_ops buffer;
	void *buffer_ud;
	rco_upload_ops upload;
	void *upload_ud;
	rco_deletion_ops deletion;
	void *deletion_ud;
	int attached_buffer, attached_upload, attached_deletion; /* and to be detached */
	uint32_t buffer_kind;                                    /* RCO__BUFFER_... */
	rco_spool *spool;                                        /* ours, or NULL */
	rco_spool *host_spool;    /* the host's, handed in with the spool's own table, or NULL */
	rco__left_spool *left;    /* `spool` is that of an earlier process, beside the host's buffer */
	rco_directory *directory; /* ours, or NULL */
	rco_key_dir *key_dir;

	rco__ledger *ledger; /* opt-outs: evidence */
	rco__ledger *calls;  /* calls under way */
	rco__signer *signer;
	rco__pool *pool;
	rco__pool_map map;
	rco__left_rings *left_rings; /* while the engine opens */

	uint32_t n_shards; /* n_live of ROLE_LIVE, as many of ROLE_FILES, one of each other; host-driven: one */
	uint32_t n_live;
	rco__shard *shards;
	rco__shard *flusher, *committer, *maintenance, *spooler; /* of those */
	_Atomic(rco_session *) requests;                         /* opt-outs for the committer */
	rco_session *serving; /* what it took of them; here, so that it outlives its thread */
	_Atomic uint32_t next_shard;
	_Atomic uint32_t running_host; /* a thread is inside rco_engine_run() */
	_Atomic uint32_t early_asked;  /* a wish for a call not known is to be written, and nobody waits for it */

	pthread_mutex_t reg_lock;
	rco__map by_call;        /* call id -> latest session */
	rco__map early;          /* call id -> rco__early */
	int64_t early_due_us;    /* none expires before; monotonic */
	uint32_t early_unsynced; /* not known to be durable */
	rco__map past;           /* call id -> rco__past */
	rco__past *past_newest, *past_oldest;
	pthread_mutex_t revive_lock; /* one thread makes a session of a past call; taken before reg_lock */
	rco_session *all;
	rco_session *retired, **retired_tail;
	uint32_t retired_count;

	pthread_mutex_t claims_lock; /* taken before a session's, never after */
	rco__map claims;             /* where a host's file is -> rco__place_claims */
	uint64_t last_claim;

	pthread_mutex_t ops_lock;
	pthread_cond_t ops_answered; /* one of rco_op_create() was */
	rco__op_slot *ops;
	uint32_t n_ops, free_op;

	pthread_mutex_t idle_lock;
	pthread_cond_t idle;
	_Atomic uint32_t idle_waiters;
	_Atomic uint64_t idle_epoch; /* counts changes, so that none is slept through */

	_Atomic uint64_t overflowed;
	_Atomic uint64_t quarantined;
	void (*last_unref)(rco_session *);               /* rco__session_destroy(): see rco__session_unref() */
	rco__event *engine_events, **engine_events_tail; /* reg_lock */

	pthread_mutex_t answers_lock;
	rco__answered *answers; /* a ring, NULL until the first */
	uint32_t n_answers, next_answer;

	pthread_mutex_t listen_lock;
	pthread_cond_t listen_quiet; /* nobody is inside a listener any more */
	rco__listener listeners[RCO_LISTENERS_MAX];
	uint32_t n_listeners; /* slots that were ever used */
};

/* ---- looked at everywhere ---- */

/* Somebody objected to this call being recorded, or its consent was declined. For good. No lock. */
static inline int rco__opted_out(const rco_session *session)
{
	return (atomic_load(&((rco_session *)(uintptr_t)session)->latch) & RCO__LATCH_OPTED_OUT) != 0;
}

/* NULL once it was given back. */
static inline rco__ring *rco__leg_ring(const rco_session *session, uint32_t leg)
{
	return rco__ring_of(&session->engine->map, atomic_load(&((rco_session *)(uintptr_t)session)->rings[leg]));
}

/* Of one of its lists. */
static inline rco_session *rco__shard_session(rco__link *link)
{
	return (rco_session *)(void *)((uint8_t *)(void *)link - offsetof(rco_session, work.timer));
}

#endif
