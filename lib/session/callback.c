/* SPDX-License-Identifier: MIT */
/* Calling the host: knowing that we do, and telling it what happened. */
#include "internal.h"
#include "tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

static rco__event *event_new(rco_engine *engine, uint32_t type, int code, uint64_t count, const char *fmt,
                             va_list ap)
{
	rco__event *e = rco__zalloc(&engine->env, 1, sizeof *e);

	if (e == NULL) {
		rco__log(&engine->env, RCO_LOG_WARN, "no memory for event %s", rco_event_name(type));
		return NULL;
	}
	e->type = type;
	e->code = code;
	e->count = count;
	e->time_us = rco__wall_us(&engine->env);
	(void)vsnprintf(e->message, sizeof e->message, fmt, ap);
	return e;
}

void rco__event_queue(rco_session *session, uint32_t type, int code, uint64_t count, const char *fmt, ...)
{
	rco__event *e;
	va_list ap;

	va_start(ap, fmt);
	e = event_new(session->engine, type, code, count, fmt, ap);
	va_end(ap);
	if (e == NULL)
		return;
	e->status = rco__status(session);
	e->attempt = session->attempt;
	*session->events_tail = e;
	session->events_tail = &e->next;
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
	rco__shard_wake(engine->housekeeper);
}

/* Takes the event: whoever is told may end the thread, and then nobody else could free it. */
static void deliver(rco_engine *engine, rco__event *taken, const char *call_id, const char *receipt_id)
{
	rco__event told = *taken, *e = &told;
	rco_event out = {.struct_size = (uint32_t)sizeof out,
	                 .type = e->type,
	                 .status = e->status,
	                 .code = e->code,
	                 .attempt = e->attempt,
	                 .count = e->count,
	                 .time_us = e->time_us,
	                 .call_id = call_id,
	                 .receipt_id = receipt_id,
	                 .message = e->message};
	uint32_t level = e->type == RCO_EVENT_ESCALATED || e->type == RCO_EVENT_NOT_DURABLE ? RCO_LOG_ERROR
	                 : e->code != 0                                                     ? RCO_LOG_WARN
	                                                                                    : RCO_LOG_INFO;

	rco__release(&engine->env, taken);
	rco__log(&engine->env, level, "%s%s%s%s%s%s%s", call_id, call_id[0] != '\0' ? ": " : "",
	         rco_event_name(e->type), e->message[0] != '\0' ? ": " : "", e->message, e->code != 0 ? ": " : "",
	         e->code != 0 ? rco_error_name(e->code) : "");
	if (engine->cfg.event != NULL) {
		const void *before = rco__callback_enter(engine);

		engine->cfg.event(&out, engine->cfg.event_user_data);
		rco__callback_leave(before);
	}
	rco__listeners_tell(engine, &out);
}

void rco__events_dispatch(rco_session *session)
{
	rco_engine *engine = session->engine;

	(void)pthread_mutex_lock(&session->lock);
	if (session->telling) { /* one after the other, or their order would be lost */
		(void)pthread_mutex_unlock(&session->lock);
		return;
	}
	session->teller = pthread_self();
	while (session->events != NULL) {
		char receipt_id[RCO_ID_TEXT + 1] = "";
		rco__event *e = session->events;

		session->events = e->next;
		if (session->events == NULL)
			session->events_tail = &session->events;
		if (e->status != 0)
			rco__uuid_text(session->receipt.id, receipt_id);
		session->telling = 1;
		(void)pthread_mutex_unlock(&session->lock);
		deliver(engine, e, session->call_id, receipt_id);
		(void)pthread_mutex_lock(&session->lock);
		session->telling = 0;
	}
	(void)pthread_mutex_unlock(&session->lock);
}

static rco__event *next_engine_event(rco_engine *engine)
{
	rco__event *e;

	(void)pthread_mutex_lock(&engine->reg_lock);
	e = engine->engine_events;
	if (e != NULL)
		engine->engine_events = e->next;
	if (engine->engine_events == NULL)
		engine->engine_events_tail = &engine->engine_events;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return e;
}

void rco__engine_events_dispatch(rco_engine *engine)
{
	rco__event *e;

	while ((e = next_engine_event(engine)) != NULL)
		deliver(engine, e, "", "");
}

void rco__session_tell(rco_session *session, uint32_t type, uint64_t count, const char *message)
{
	(void)pthread_mutex_lock(&session->lock);
	rco__event_queue(session, type, 0, count, "%s", message);
	(void)pthread_mutex_unlock(&session->lock);
	rco__events_dispatch(session);
}
