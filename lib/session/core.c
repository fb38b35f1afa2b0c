/* SPDX-License-Identifier: MIT */
/*
 * The ground that the rest of this folder stands on: handles, waking, being inside the host's code, events,
 * receipts. Nothing here calls into a file above, so that everybody may call it.
 */
#include "core.h"
#include "facts.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- handles ---- */

int rco__engine_check(rco_engine *engine)
{
	rco__error_clear();
	if (engine == NULL)
		return rco__fail(RCO_E_INVALID, "engine is NULL");
	if (atomic_load(&engine->magic) != RCO__MAGIC_ENGINE)
		return rco__fail(RCO_E_HANDLE, "the engine was freed");
	if (*engine->alive == 0)
		return rco__fail(RCO_E_FORKED, "the engine belongs to the parent process");
	return RCO_OK;
}

int rco__session_check(rco_session *session)
{
	rco__error_clear();
	if (session == NULL)
		return rco__fail(RCO_E_INVALID, "session is NULL");
	if (atomic_load(&session->magic) != RCO__MAGIC_SESSION)
		return rco__fail(RCO_E_HANDLE, "the session was freed, or its engine was");
	if (*session->engine->alive == 0)
		return rco__fail(RCO_E_FORKED, "the engine belongs to the parent process");
	return RCO_OK;
}

void rco__session_ref(rco_session *session)
{
	atomic_fetch_add(&session->refs, 1);
}

int rco__session_try_ref(rco_session *session)
{
	uint32_t refs = atomic_load(&session->refs);

	while (refs > 0)
		if (atomic_compare_exchange_weak(&session->refs, &refs, refs + 1))
			return 1;
	return 0;
}

/* By way of the engine, which knows the function: what a session consists of belongs to files above this one. */
void rco__session_unref(rco_session *session)
{
	if (atomic_fetch_sub(&session->refs, 1) == 1)
		session->engine->last_unref(session);
}

rco_session *rco__registry_find(rco_engine *engine, const char *call_id)
{
	rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	s = rco__map_get(&engine->by_call, call_id, strlen(call_id));
	if (s != NULL)
		rco__session_ref(s);
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return s;
}

/* ---- what goes with its audio to rings, buffer and journal ---- */

uint8_t rco__hold_byte(const rco_session *s)
{
	return (uint8_t)((atomic_load(&s->control.hold) != 0) | s->buffer_kind << 1);
}

size_t rco__session_meta(rco_session *s, uint8_t out[RCO_META_MAX])
{
	rco__cursor c;

	rco__cursor_writer(&c, out, RCO_META_MAX);
	rco__w8(&c, 1); /* version */
	rco__w64(&c, (uint64_t)s->control.created_us);
	rco__w64(&c, (uint64_t)s->control.started_us);
	rco__wstr(&c, s->call_id);
	rco__wbytes(&c, s->control.receipt.id,
	            sizeof s->control.receipt.id); /* a stop that is only in the rings keeps its receipt */
	rco__w8(&c, rco__hold_byte(s));            /* and its hold, and where its audio is */
	if (s->earlier != NULL)                    /* and the part before */
		rco__wbytes(&c, s->earlier->recording_id, sizeof s->earlier->recording_id);
	return rco__cursor_used(&c, out);
}

/* ---- waking ---- */

void rco__shard_wake(rco__shard *shard)
{
	uint64_t one = 1;

	/* Can only fail by being full, and then the reader is awake anyway. */
	(void)!write(shard->wake_fd, &one, sizeof one);
}

void rco__session_wake(rco_session *session)
{
	rco__shard *shard;
	rco_session *head;

	if (atomic_exchange(&session->queued, 1) != 0)
		return;
	shard = &session->engine->shards[atomic_load(&session->shard)];
	rco__session_ref(session);
	head = atomic_load(&shard->inbox);
	do {
		atomic_store(&session->inbox_next, head);
	} while (!atomic_compare_exchange_weak(&shard->inbox, &head, session));
	/* The thread that put the first one in wakes the thread for all. */
	if (head == NULL)
		rco__shard_wake(shard);
}

void rco__session_look_at_once(rco_session *s)
{
	atomic_store(&s->work.late_news, 1);
	rco__session_wake(s);
}

void rco__shard_wait(rco__shard *shard, int ms)
{
	struct pollfd p = {.fd = shard->wake_fd, .events = POLLIN};
	uint64_t count;

	if (poll(&p, 1, ms) > 0)
		(void)!read(shard->wake_fd, &count, sizeof count);
}

/* ---- inside the host's code ---- */

/* The engine whose callback this thread is in: what may not be called from inside one asks. */
static _Thread_local const void *in_callback;

const void *rco__callback_enter(const rco_engine *engine)
{
	const void *before = in_callback;

	in_callback = engine;
	return before;
}

void rco__callback_leave(const void *before)
{
	in_callback = before;
}

int rco__in_callback(void)
{
	return in_callback != NULL;
}

/* ---- events ---- */

static rco__event *event_new(rco_engine *engine, uint32_t type, int code, uint64_t count, const char *fmt,
                             va_list ap)
{
	char message[RCO__MESSAGE_MAX + 1];
	rco__event *e;
	size_t size;

	(void)vsnprintf(message, sizeof message, fmt, ap);
	size = strlen(message) + 1;
	e = rco__zalloc(&engine->env, 1, sizeof *e + size);
	if (e == NULL) {
		rco__log(&engine->env, RCO_LOG_WARN, "no memory for event %s", rco_event_name(type));
		return NULL;
	}
	e->type = type;
	e->time_us = rco__wall_us(&engine->env);
	e->code = code;
	e->count = count;
	e->message = memcpy(e + 1, message, size);
	return e;
}

/* Those that answer a request or end a story. Their numbers rise in the order in which they happen. */
static const uint32_t never_lost = 1u << RCO_EVENT_ENDED | 1u << RCO_EVENT_OPTED_OUT | 1u << RCO_EVENT_STOPPED |
                                   1u << RCO_EVENT_DURABLE | 1u << RCO_EVENT_ERASED | 1u << RCO_EVENT_VERIFIED |
                                   1u << RCO_EVENT_ESCALATED | 1u << RCO_EVENT_SWEPT | 1u << RCO_EVENT_HELD |
                                   1u << RCO_EVENT_HOLD_LIFTED | 1u << RCO_EVENT_STORED;

static void owe(rco_session *session, uint32_t type, uint64_t count)
{
	session->control.owed |= 1u << type;
	if (type == RCO_EVENT_STORED)
		session->control.owed_count = count;
}

int rco__event_owed(rco_session *session, rco__event *e)
{
	uint32_t owed = session->control.owed, done = session->control.done;

	if (owed == 0 && done == 0)
		return 0;
	*e = (rco__event){.type = RCO_EVENT_REQUEST_DONE, .message = ""};
	e->status = rco__status(session);
	e->time_us = rco__wall_us(&session->engine->env);
	if (owed == 0) {
		e->count = (uint32_t)__builtin_ctz(done);
		e->code = session->control.done_code[e->count];
		session->control.done = done & (done - 1);
		return 1;
	}
	e->type = (uint32_t)__builtin_ctz(owed);
	e->code = e->type == RCO_EVENT_ESCALATED ? RCO_E_TIMEOUT : 0;
	e->count = e->type == RCO_EVENT_STORED ? session->control.owed_count : 0;
	session->control.owed = owed & (owed - 1);
	return 1;
}

void rco__request_done(rco_session *session, uint32_t request, int code)
{
	session->control.done |= 1u << request;
	session->control.done_code[request] = code;
}

rco__event *rco__event_queue(rco_session *session, uint32_t type, int code, uint64_t count, const char *fmt, ...)
{
	const int kept = type < 32 && (never_lost >> type & 1u);
	rco__event *e;
	va_list ap;

	if (kept && session->control.owed != 0) { /* behind the one that is owed already */
		owe(session, type, count);
		return NULL;
	}
	va_start(ap, fmt);
	e = event_new(session->engine, type, code, count, fmt, ap);
	va_end(ap);
	if (e == NULL) {
		if (kept)
			owe(session, type, count);
		return NULL;
	}
	e->status = rco__status(session);
	e->attempt = session->work.attempt;
	*session->control.events_tail = e;
	session->control.events_tail = &e->next;
	return e;
}

void rco__engine_event(rco_engine *engine, uint32_t type, int code, uint64_t count, const char *fmt, ...)
{
	rco__event *e;
	va_list ap;

	va_start(ap, fmt);
	e = event_new(engine, type, code, count, fmt, ap);
	va_end(ap);
	if (e == NULL)
		return;
	(void)pthread_mutex_lock(&engine->reg_lock);
	*engine->engine_events_tail = e;
	engine->engine_events_tail = &e->next;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	rco__shard_wake(engine->maintenance);
}

rco__event *rco__early_event_new(const rco__env *env, const char *call_id)
{
	const size_t size = strlen(call_id) + 1;
	rco__event *e = rco__zalloc(env, 1, sizeof *e + size);

	if (e == NULL)
		return NULL;
	e->type = RCO_EVENT_DURABLE;
	e->status = RCO_STATUS_NOTED;
	e->call_id = memcpy(e + 1, call_id, size);
	e->message = "";
	return e;
}

void rco__early_event(rco_engine *engine, rco__early *early)
{
	rco__event *e = early->news;

	if (e == NULL)
		return;
	early->news = NULL;
	e->time_us = rco__wall_us(&engine->env);
	memcpy(e->receipt_id, early->receipt.id, sizeof e->receipt_id);
	*engine->engine_events_tail = e;
	engine->engine_events_tail = &e->next;
}

/* ---- receipts ---- */

/* A receipt as of now, with the head of the ledger's chain. */
int rco__receipt_issue(rco_engine *engine, rco__receipt_data *data, rco_receipt **receipt)
{
	if (receipt == NULL)
		return RCO_OK;
	data->issued_us = rco__wall_us(&engine->env);
	rco__ledger_head(engine->ledger, &data->ledger_seq, data->ledger_hash);
	return rco__receipt_new(&engine->env, engine->signer, data, receipt);
}
