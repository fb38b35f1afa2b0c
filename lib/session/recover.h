/* SPDX-License-Identifier: MIT */
/* What the journals say about an earlier process's calls and opt-outs. Replay only ever adds facts, so that
 * entries may come twice and out of order. */
#ifndef RCO_SESSION_RECOVER_H
#define RCO_SESSION_RECOVER_H

#include "internal.h"

typedef struct rco__found_leg {
	char label[RCO_LABEL_MAX + 1];
	uint32_t format; /* 0: not known */
	uint64_t bytes;  /* accepted, as far as known */
} rco__found_leg;

typedef struct rco__found_copy {
	struct rco__found_copy *next;
	uint32_t kind, store, flags; /* RCO__COPY_... */
	uint64_t size_bytes;
	char *key, *version;
	char upload_id[sizeof(((rco_result *)0)->upload_id)];
} rco__found_copy;

typedef struct rco__found_call {
	struct rco__found_call *next;
	uint8_t recording_id[16];
	char call_id[RCO_CALL_ID_MAX + 1]; /* "" if not known */
	int64_t created_us, started_us, ended_us;
	int journaled;        /* the calls journal knows it */
	int begun;            /* it also knows whose it is ... */
	uint32_t booked_legs; /* ... and the labels of these */
	int receipt_known;
	uint8_t receipt_id[16]; /* drawn when the session was made */
	int closed;             /* nothing more to do */
	int hold;               /* a legal hold is in force ... */
	int hold_said;          /* ... as the journal says, which counts more than what was known at the start */
	int64_t hold_said_us;
	int stop_bit; /* a ring says that it was opted out */
	int in_buffer;
	int in_ring;
	uint64_t damaged_bytes;
	rco__found_leg legs[RCO_MAX_LEGS];
	uint64_t held[RCO_MAX_LEGS]; /* bytes in the buffer */
	rco__ring *rings[RCO_MAX_LEGS];
	rco__found_copy *copies;
	struct rco__found_opt *opt;
} rco__found_call;

typedef struct rco__found_opt {
	struct rco__found_opt *next;
	rco__receipt_data receipt;
	char call_id[RCO_CALL_ID_MAX + 1];
	int64_t created_us, started_us, ended_us;
	int64_t expires_us; /* of an opt-out for a call not yet known */
	int tombstone, prebirth, closed, hold_lifted;
	rco__found_leg legs[RCO_MAX_LEGS];
} rco__found_opt;

/* The copy of that store, key and version, made if new; NULL: no memory. */
rco__found_copy *rco__recovery_copy(rco__recovery *recovery, rco__found_call *call, uint32_t store,
                                    const char *key, const char *version);

#endif
