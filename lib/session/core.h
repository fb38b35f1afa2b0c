/* SPDX-License-Identifier: MIT */
/* The ground that the rest of this folder stands on: handles, waking, being inside the host's code, events,
 * receipts. */
#ifndef RCO_SESSION_CORE_H
#define RCO_SESSION_CORE_H

#include "state.h"

int rco__engine_check(rco_engine *engine);    /* RCO_OK, E_INVALID, E_HANDLE, E_FORKED; clears the error detail */
int rco__session_check(rco_session *session); /* the same for a session */
void rco__session_ref(rco_session *session);
int rco__session_try_ref(rco_session *session); /* found in a list, reg_lock held: 0 if it is being freed */
void rco__session_unref(rco_session *session);
rco_session *rco__registry_find(rco_engine *engine, const char *call_id); /* a reference, or NULL */

/* Meta data for rings and buffer; a part of it, which the calls journal has too, is a legal hold and, above it,
 * the buffer. */
size_t rco__session_meta(rco_session *session, uint8_t out[RCO_META_MAX]);
uint8_t rco__hold_byte(const rco_session *session);

void rco__session_wake(rco_session *session);         /* any thread */
void rco__session_look_at_once(rco_session *session); /* the same; it waits for no back-off */
void rco__shard_wake(rco__shard *shard);
void rco__shard_wait(rco__shard *shard, int ms);

/* Mark this thread as being inside a callback of the engine; returns what to give to leave. */
const void *rco__callback_enter(const rco_engine *engine);
void rco__callback_leave(const void *before);
int rco__in_callback(void);
/* Every call of a slot or callback of the host's is made in this: what waits, or frees, can tell from where it was
 * called. */
#define RCO__IN_HOST(engine, ...)                                                                                 \
	do {                                                                                                      \
		const void *rco__before = rco__callback_enter(engine);                                            \
                                                                                                                  \
		__VA_ARGS__;                                                                                      \
		rco__callback_leave(rco__before);                                                                 \
	} while (0)

/* The same of what answers with a code: a sentence that is there afterwards is about this, and about no other
 * call. */
#define RCO__ASK_HOST(engine, rc, ...)                                                                            \
	do {                                                                                                      \
		rco__error_clear();                                                                               \
		RCO__IN_HOST(engine, (rc) = __VA_ARGS__);                                                         \
	} while (0)

/* The code of a slot that has no operation, and so cannot be answered later. */
int rco__at_once(const char *slot, int rc);

/*
 * Queue an event; lock held (for engine events: none). If memory is short it is lost, with a log line, but for
 * those that answer a request or end a story: these are owed, and told without a message (and with the time, and
 * the status, of then). The event, or NULL, is for who knows of other failed tries than the worker's.
 */
rco__event *rco__event_queue(rco_session *session, uint32_t type, int code, uint64_t count, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int rco__event_owed(rco_session *session, rco__event *e); /* lock held: the next one that is owed; 0: none */
void rco__request_done(rco_session *session, uint32_t request, int code);   /* lock held: to be told */
rco__event *rco__early_event_new(const rco__env *env, const char *call_id); /* that a wish is durable; or NULL */
void rco__early_event(rco_engine *engine, rco__early *early);               /* reg_lock held: it is durable */
void rco__engine_event(rco_engine *engine, uint32_t type, int code, uint64_t count, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* A receipt as of now, with the head of the ledger's chain; none is wanted if `receipt` is NULL. */
int rco__receipt_issue(rco_engine *engine, rco__receipt_data *data, rco_receipt **receipt);

#endif
