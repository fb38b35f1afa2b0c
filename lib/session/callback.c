/* SPDX-License-Identifier: MIT */
/* Calling the host: knowing that we do, and telling it what happened. */
#include "calls.h"
#include "core.h"

#include "../base/thread.h"

#include <stdio.h>
#include <string.h>

/* Whose an event is. */
typedef struct rco__event_of {
	const char *call_id, *receipt_id;
	const uint8_t *recording_id;
	void *user_data;
} rco__event_of;

static const uint8_t no_recording[16];

/* The one who is told may end the thread: nothing of the event may be left that somebody would have to free. */
static void deliver(rco_engine *engine, const rco__event *e, const rco__event_of *of)
{
	rco_event out = {.struct_size = (uint32_t)sizeof out,
	                 .type = e->type,
	                 .status = e->status,
	                 .code = e->code,
	                 .attempt = e->attempt,
	                 .count = e->count,
	                 .time_us = e->time_us,
	                 .call_id = of->call_id,
	                 .receipt_id = of->receipt_id,
	                 .message = e->message,
	                 .user_data = of->user_data};
	uint32_t level = e->type == RCO_EVENT_ESCALATED || e->type == RCO_EVENT_NOT_DURABLE ? RCO_LOG_ERROR
	                 : e->code != 0                                                     ? RCO_LOG_WARN
	                                                                                    : RCO_LOG_INFO;

	memcpy(out.recording_id, of->recording_id, sizeof out.recording_id);
	rco__log(&engine->env, level, "%s%s%s%s%s%s%s", of->call_id, of->call_id[0] != '\0' ? ": " : "",
	         rco_event_name(e->type), e->message[0] != '\0' ? ": " : "", e->message, e->code != 0 ? ": " : "",
	         e->code != 0 ? rco_error_name(e->code) : "");
	if (engine->cfg.event != NULL)
		RCO__IN_HOST(engine, engine->cfg.event(&out, engine->cfg.event_user_data));
	rco__listeners_notify(engine, &out);
}

/* What it says, with its message on this thread's stack; the event itself is freed. */
static void take_event(rco_engine *engine, rco__event *from, rco__event *to, char message[RCO__MESSAGE_MAX + 1])
{
	*to = *from;
	(void)snprintf(message, RCO__MESSAGE_MAX + 1, "%s", from->message);
	to->message = message;
	rco__release(&engine->env, from);
}

/* Lock held. 0: there is none. */
static int next_event(rco_session *session, rco__event *e, char message[RCO__MESSAGE_MAX + 1])
{
	rco__event *first = session->control.events;

	if (first == NULL)
		return rco__event_owed(session, e);
	session->control.events = first->next;
	if (session->control.events == NULL)
		session->control.events_tail = &session->control.events;
	take_event(session->engine, first, e, message);
	return 1;
}

void rco__events_dispatch(rco_session *session)
{
	rco_engine *engine = session->engine;
	char message[RCO__MESSAGE_MAX + 1];
	rco__event e;
	uint32_t wake;

	(void)pthread_mutex_lock(&session->lock);
	if (session->control.telling) { /* one after the other, or their order would be lost */
		(void)pthread_mutex_unlock(&session->lock);
		return;
	}
	session->control.teller = pthread_self();
	while (next_event(session, &e, message)) {
		char receipt_id[RCO_ID_TEXT + 1] = "";
		const rco__event_of of = {session->call_id, receipt_id, session->recording_id, session->user_data};

		if (e.status != 0)
			rco__uuid_text(session->control.receipt.id, receipt_id);
		session->control.telling = 1;
		(void)pthread_mutex_unlock(&session->lock);
		deliver(engine, &e, &of);
		(void)pthread_mutex_lock(&session->lock);
		session->control.telling = 0;
	}
	wake = session->control.told_wakes;
	session->control.told_wakes = 0;
	(void)pthread_mutex_unlock(&session->lock);
	if (wake)
		rco__session_look_at_once(session);
}

int rco__events_told(rco_session *session)
{
	int told;

	rco__clear_registers(); /* of audio (P4), before anything is said of it */
	rco__events_dispatch(session);
	(void)pthread_mutex_lock(&session->lock);
	told = !session->control.telling;
	session->control.told_wakes = !told;
	(void)pthread_mutex_unlock(&session->lock);
	return told;
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
	char call_id[RCO_CALL_ID_MAX + 1], receipt_id[RCO_ID_TEXT + 1], message[RCO__MESSAGE_MAX + 1];
	const rco__event_of of = {call_id, receipt_id, no_recording, NULL};
	rco__event *first, e;

	while ((first = next_engine_event(engine)) != NULL) {
		(void)snprintf(call_id, sizeof call_id, "%s", first->call_id != NULL ? first->call_id : "");
		receipt_id[0] = '\0';
		if (first->call_id != NULL)
			rco__uuid_text(first->receipt_id, receipt_id);
		take_event(engine, first, &e, message);
		deliver(engine, &e, &of);
	}
}

int rco_session_report_claim(rco_session *session, uint64_t claims, const char *message)
{
	int rc = rco__session_check(session);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&session->lock);
	rco__event_queue(session, RCO_EVENT_AGENT_CLAIM, 0, claims, "%s", message != NULL ? message : "");
	(void)pthread_mutex_unlock(&session->lock);
	rco__events_dispatch(session);
	return RCO_OK;
}
