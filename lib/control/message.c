/* SPDX-License-Identifier: MIT */
/*
 * The message of a tool_call. It is read as it comes if its dialect is known by then; if not it is kept, up to a
 * limit, until the line is over: the dialect may stand behind it.
 */
#include "control.h"

#include "../agent/tool.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 256 * 1024 };

struct rco__call_message {
	rco__text kept;
	rco__message message;
	int begun, ended;
	int late; /* its dialect was not known by the time it had to be read */
};

int rco__request_dialect(const rco__request *request, uint32_t *dialect)
{
	const char *name = request->text[RCO__M_DIALECT];

	*dialect = RCO_DIALECT_AUTO;
	if (name == NULL)
		return 1;
	for (; rco_dialect_name(*dialect) != NULL; (*dialect)++)
		if (strcmp(rco_dialect_name(*dialect), name) == 0)
			return 1;
	return 0;
}

void rco__call_message_free(rco__call_message *m)
{
	if (m == NULL)
		return;
	if (m->begun)
		rco__message_free(&m->message);
	free(m->kept.bytes);
	free(m);
}

static void begin(rco__request *request)
{
	rco__call_message *m = request->message;
	uint32_t dialect;

	if (!rco__request_dialect(request, &dialect))
		dialect = RCO_DIALECT_AUTO;
	rco__message_begin(&m->message, dialect);
	m->begun = 1;
	if (m->kept.size > 0)
		rco__message_feed(&m->message, m->kept.bytes, m->kept.size);
	free(m->kept.bytes);
	m->kept = (rco__text){0};
}

int rco__call_message_feed(rco__request *request, const char *bytes, size_t size)
{
	rco__call_message *m = request->message;

	if (m == NULL)
		m = request->message = calloc(1, sizeof *m);
	if (m == NULL)
		return 0;
	if (!m->begun && (request->text[RCO__M_DIALECT] != NULL || m->kept.size + size > KEPT_MAX)) {
		m->late = request->text[RCO__M_DIALECT] == NULL;
		begin(request);
	}
	if (m->begun)
		rco__message_feed(&m->message, bytes, size);
	else
		rco__text_raw(&m->kept, bytes, size);
	return !m->kept.failed;
}

void rco__call_message_end(rco__request *request)
{
	rco__call_message *m = request->message;

	if (m->ended)
		return;
	if (!m->begun)
		begin(request);
	rco__message_end(&m->message);
	m->ended = 1;
}

int rco__call_message_unread(const rco__request *request)
{
	return request->message->late && request->text[RCO__M_DIALECT] != NULL &&
	       request->message->message.calls == 0;
}

uint32_t rco__call_message_calls(const rco__call_message *m)
{
	return m->message.calls;
}

int rco__call_message_answer(rco_control *control, const rco__request *request, rco_tool_answer **answer)
{
	/* What was refused is answered as one that names no call: in the platform's shape, and nothing is done. */
	const rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                            .flags = RCO_TOOL_NONBLOCK | (request->refused ? RCO_TOOL_ENVELOPE : 0u),
	                            .call_id = request->refused ? NULL : request->text[RCO__M_CALL_ID],
	                            .language = request->text[RCO__M_LANGUAGE],
	                            .company = request->text[RCO__M_COMPANY],
	                            .source = request->text[RCO__M_SOURCE],
	                            .book = control->book};

	if (request->refused)
		request->message->message.call_id[0] = '\0';
	return rco__tool_answer(control->engine, &r, &request->message->message, answer);
}
