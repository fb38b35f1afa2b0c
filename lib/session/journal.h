/* SPDX-License-Identifier: MIT */
/* What is written to the ledger and to the calls journal: journal.c. docs/ledger-format.md lists the entries. */
#ifndef RCO_SESSION_JOURNAL_H
#define RCO_SESSION_JOURNAL_H

#include "state.h"

enum {
	RCO__CALL_BEGIN = 1,
	RCO__CALL_LEG = 2,
	RCO__CALL_ARTIFACT = 3,
	RCO__CALL_END = 4,
	RCO__CALL_INTENT = 5,
	RCO__CALL_UPLOAD_ID = 6,
	RCO__CALL_COMMITTED = 7,
	RCO__CALL_CLOSED = 8,
	RCO__CALL_YIELDED = 9,     /* a copy is another call's from now on */
	RCO__CALL_COMMITTING = 10, /* the upload that it names may have been committed */

	RCO__OPT_TOMBSTONE = 32,
	RCO__OPT_EARLY = 33,
	RCO__OPT_STOPPED = 35,
	RCO__OPT_HOLD_LIFTED = 36,
	RCO__OPT_ERASED = 37,
	RCO__OPT_VERIFIED = 38,
	RCO__OPT_ESCALATED = 39,
	RCO__OPT_CLOSED = 40,
	RCO__OPT_EXPIRED = 41,
	RCO__OPT_REUSED = 42
};
/* The version byte of entries of the calls journal. 1 did not say that a commit was asked for. */
enum { RCO__CALLS_PAYLOAD = 2 };

int rco__journal_begin(rco_session *session, uint64_t *lsn); /* lsn may be NULL */
int rco__journal_leg(rco_session *session, uint32_t leg);
int rco__journal_copy(rco_session *session, uint16_t type, const rco__copy *copy, uint64_t *lsn);
int rco__journal_yielded(rco_session *session, const rco__copy *copy, uint64_t *lsn);
int rco__journal_end(rco_session *session);
int rco__journal_closed(rco_session *session);
int rco__journal_reuse(rco_session *session); /* RCO_OK: the ledger knows whose id this call uses again */
int rco__journal_tombstone(rco_session *session, uint64_t *lsn); /* lock held */
int rco__journal_mark(rco_engine *engine, const rco__receipt_data *receipt, uint16_t type, uint16_t flags,
                      int64_t when_us, uint64_t *lsn);
int rco__journal_done(rco_session *session, uint64_t *lsn); /* lock held: the opt-out is done with */
int rco__journal_early(rco_engine *engine, const rco__early *early, uint64_t *lsn);

#endif
