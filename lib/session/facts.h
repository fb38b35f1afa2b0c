/* SPDX-License-Identifier: MIT */
/* What is known of a call, from its own fields and those of the parts before it. */
#ifndef RCO_SESSION_FACTS_H
#define RCO_SESSION_FACTS_H

#include "state.h"

uint64_t rco__session_bytes(rco_session *session); /* accepted, all legs, without gaps; no lock */
int rco__session_live(
	rco_session *session); /* no lock: only its rings are to be emptied: nothing waits for a disk */
/* Takes the lock: opted out and not known to be durable, so silence and tombstone now, all else in its turn. */
int rco__session_urgent(rco_session *session);
int rco__session_durable(rco_session *session); /* takes the lock */
/* Lock held, from here on. */
int rco__recorder_stopped(const rco_session *session); /* it is certain that it does not record */
int rco__recorder_lost(const rco_session *session);    /* an earlier process's recorder may still be recording */
int rco__was_recorded(rco_session *session);           /* something may have to be erased */
int rco__long_done(rco_session *session);              /* its id may be another call's by now; takes the lock */
void rco__registered_look(rco_session *session);       /* is there anything that can be erased? into the facts */
int rco__continues_it(const rco_session *session, const rco_session *part);
void rco__receipt_whole(const rco_session *session, rco__receipt_data *data); /* of all parts, with status */
uint32_t rco__status(const rco_session *session);
uint32_t rco__status_of(uint32_t facts, int failed);
/* The wall clock, but never before what the receipt says already. */
int64_t rco__receipt_now(const rco_session *session);

#endif
