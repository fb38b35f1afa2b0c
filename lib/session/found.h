/* SPDX-License-Identifier: MIT */
/* What journals, rings and buffer say about an earlier process's calls and opt-outs. Replay only ever adds facts,
 * so that entries may come twice and out of order. */
#ifndef RCO_SESSION_FOUND_H
#define RCO_SESSION_FOUND_H

#include "state.h"

typedef struct rco__found_leg {
	char label[RCO_LABEL_MAX + 1];
	uint32_t format; /* 0: not known */
	uint64_t bytes;  /* accepted, with the gaps before them, as far as known */
} rco__found_leg;

typedef struct rco__found_copy {
	struct rco__found_copy *next;
	uint32_t kind, store, flags; /* RCO__COPY_... */
	uint64_t size_bytes;
	char *key, *version;
	uint64_t claim, yielded, upload_no; /* as in rco__copy */
	char *place;                        /* of a host's file, as the journal has it; NULL */
	char *upload_id;                    /* NULL: not known */
} rco__found_copy;

typedef struct rco__found_call {
	struct rco__found_call *next;
	uint8_t recording_id[16];
	char call_id[RCO_CALL_ID_MAX + 1]; /* "" if not known */
	int64_t created_us, started_us, ended_us;
	int end_told;          /* by the host */
	int long_done;         /* see rco_session */
	uint8_t continues[16]; /* the part before of the same call; zeros: none */
	rco_session *session;  /* what was made of it, a reference */
	int journaled;         /* the calls journal knows it */
	int begun;             /* it also knows whose it is ... */
	uint32_t booked_legs;  /* ... and the labels of these */
	int receipt_known;
	uint8_t receipt_id[16]; /* drawn when the session was made */
	int closed;             /* nothing more to do */
	int older;              /* the journal has entries of it that an older version wrote */
	int hold;               /* a legal hold is in force ... */
	int hold_said;          /* ... as the journal says, which counts more than what was known at the start */
	int64_t hold_said_us;
	uint32_t buffer; /* RCO__BUFFER_...: what had its audio, as rings or journal say; 0 not known */
	int recorder;    /* RCO__TOLD_...: the host's, by the journal */
	int stop_bit;    /* a ring says that it was opted out ... */
	int note_known;
	rco__receipt_data note; /* ... and when, by whom: only what rco__gates_note() wrote */
	int in_buffer;
	int in_ring;
	uint64_t damaged_bytes;
	rco__found_leg legs[RCO_MAX_LEGS];
	uint64_t held[RCO_MAX_LEGS]; /* bytes in the buffer */
	rco__ring *rings[RCO_MAX_LEGS];
	uint64_t ring_read[RCO_MAX_LEGS]; /* what the ring said that the buffer had confirmed */
	rco__found_copy *copies;
	struct rco__found_opt *opt;
} rco__found_call;

/* How the receipt of an opt-out that is done with stood in the end. */
typedef struct rco__done {
	int64_t when_us;
	uint32_t facts; /* RCO_FACT_...; 0 if not known, as the times that follow */
	int64_t stopped_us, durable_us, erased_us, verified_us;
} rco__done;

typedef struct rco__found_opt {
	struct rco__found_opt *next;
	rco__receipt_data receipt;
	char *call_id;        /* NULL if not known; its own, as the legs */
	rco__found_leg *legs; /* n_legs of them: a ledger may have very many of these */
	uint32_t n_legs;
	rco__part *parts; /* of its call, before this one */
	int64_t created_us, started_us, ended_us;
	int64_t expires_us; /* of an opt-out for a call not yet known */
	int tombstone, early, closed, hold_lifted;
	int reused; /* a later call has its id */
	rco__done done;
} rco__found_opt;

typedef struct rco__recovery {
	rco_engine *engine;
	rco__map calls; /* recording id -> found_call */
	rco__map opts;  /* receipt id -> found_opt */
	rco__found_call *call_list;
	rco__found_opt *opt_list;
	int rc; /* first failure inside a callback */
} rco__recovery;

/* ---- found.c ---- */
int rco__recovery_create(rco_engine *engine, rco__recovery **out);
/* What replay found about a recording or a receipt; made if new. NULL: no memory. */
rco__found_call *rco__recovery_call(rco__recovery *recovery, const uint8_t recording_id[16]);
rco__found_opt *rco__recovery_opt(rco__recovery *recovery, const uint8_t receipt_id[16]);
void rco__recovery_odd(rco__recovery *recovery, const char *where, const rco__ledger_entry *entry); /* log it */
void rco__recovery_free(rco__recovery *recovery);
int rco__recovery_short(const rco__recovery *recovery); /* of memory: then it fails */
/* What an entry says of it, once more or for the first time. */
void rco__recovery_opt_id(rco__recovery *recovery, rco__found_opt *opt, const char *call_id);
void rco__recovery_opt_legs(rco__recovery *recovery, rco__found_opt *opt, const rco__found_leg *legs, uint32_t n);

/* The copy of that store, key and version, made if new; NULL: no memory. */
rco__found_copy *rco__recovery_copy(rco__recovery *recovery, rco__found_call *call, uint32_t store,
                                    const char *key, const char *version);
/* Copies the text; what was there goes. */
int rco__recovery_text(rco__recovery *recovery, char **to, const char *text);

/* ---- replay.c: of one entry each ---- */
int rco__journal_replay_calls(const rco__ledger_entry *entry, void *user_data);
int rco__journal_replay_ledger(const rco__ledger_entry *entry, void *user_data);

/* ---- scan.c ---- */
int rco__recovery_scan(rco__recovery *recovery); /* rings and buffer */

/* ---- past.c ---- */
/* An opt-out that is done with, newest first: known from now on. RCO_E_NO_MEMORY. */
int rco__past_found(rco_engine *engine, const rco__found_opt *opt);
/* A call of this id was made at this time: an earlier one's opt-out is no longer what the id stands for. */
void rco__past_passed(rco_engine *engine, const char *call_id, int64_t created_us);
/* What a session of such a call needs to be made once more; 0 if none is known. */
int rco__past_get(rco_engine *engine, const char *call_id, rco__found_call *call, rco__receipt_data *receipt);

/* ---- revive.c ---- */
int rco__recovery_revive(rco__recovery *recovery, rco__found_call *call, int opted_out); /* call->session */
/* All sessions are there: those that are parts of one call become that, and an opt-out of one is one of all. */
void rco__recovery_join(rco__recovery *recovery);
/* A session again of a call that is done with, for what is still to be done, with a reference. RCO_E_NOT_FOUND. */
int rco__past_revive(rco_engine *engine, const char *call_id, rco_session **session);

#endif
