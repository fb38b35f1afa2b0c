/* SPDX-License-Identifier: MIT */
/* A tool call: the message, the opt-out, the answer. */
#include "tool.h"

#include "../base/env.h"
#include "../base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCE_ROOM = 4096 + 1024 };

static const size_t request_v1_size = RCO__SIZE_THROUGH(rco_tool_request, reserved);

struct rco_tool_answer {
	uint32_t dialect, calls, others;
	rco_receipt *receipt;
	char *json;
	char sentence[SENTENCE_ROOM];
};

const char *rco_dialect_name(uint32_t dialect)
{
	static const char *const names[] = {
		[RCO_DIALECT_AUTO] = "auto",
		[RCO_DIALECT_OPENAI_CHAT] = "openai-chat",
		[RCO_DIALECT_OPENAI_RESPONSES] = "openai-responses",
		[RCO_DIALECT_OPENAI_REALTIME] = "openai-realtime",
		[RCO_DIALECT_ANTHROPIC] = "anthropic",
		[RCO_DIALECT_GEMINI] = "gemini",
		[RCO_DIALECT_GEMINI_LIVE] = "gemini-live",
		[RCO_DIALECT_MCP] = "mcp",
		[RCO_DIALECT_MCP_2026] = "mcp-2026",
		[RCO_DIALECT_ELEVENLABS_WEBHOOK] = "elevenlabs-webhook",
		[RCO_DIALECT_ELEVENLABS_CLIENT] = "elevenlabs-client",
		[RCO_DIALECT_VAPI] = "vapi",
		[RCO_DIALECT_RETELL] = "retell",
	};

	return dialect < sizeof names / sizeof names[0] ? names[dialect] : NULL;
}

static int check_request(const rco_tool_request *in, rco_tool_request *r)
{
	int rc = rco__struct_copy(r, sizeof *r, request_v1_size, in, "rco_tool_request");

	if (rc == RCO_OK)
		rc = rco__struct_known(r->flags, RCO_TOOL_ENVELOPE | RCO_TOOL_NONBLOCK, r->reserved != NULL,
		                       "rco_tool_request");
	if (rc != RCO_OK)
		return rc;
	if (rco_dialect_name(r->dialect) == NULL || (r->json == NULL && r->json_bytes > 0))
		return rco__fail(RCO_E_INVALID, "a field of rco_tool_request is out of range");
	if (r->session == NULL && r->call_id == NULL && !(r->flags & RCO_TOOL_ENVELOPE))
		return rco__fail(RCO_E_INVALID,
		                 "nothing says which call is meant: set session, call_id or RCO_TOOL_ENVELOPE");
	if (r->json == NULL)
		r->json = "";
	if (r->source == NULL)
		r->source = "agent-tool";
	return RCO_OK;
}

static int opt_out(rco_engine *engine, const rco_tool_request *r, const rco__message *m, rco_receipt **receipt)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o,
	                         .flags = r->flags & RCO_TOOL_NONBLOCK ? RCO_OPT_OUT_NONBLOCK : 0u,
	                         .wait_status = r->wait_ms > 0 ? RCO_STATUS_ERASED : 0u,
	                         .timeout_ms = r->wait_ms,
	                         .source = r->source};
	int rc;

	if (r->session != NULL)
		rc = rco_opt_out(r->session, &o, receipt);
	else
		rc = rco_engine_opt_out(engine, r->call_id != NULL ? r->call_id : m->call_id, &o, receipt);
	/* durable; what was reached is in the receipt */
	return rc == RCO_PENDING && rco_receipt_code(*receipt) == RCO_E_TIMEOUT ? RCO_OK : rc;
}

static const char *status_text(int code, uint32_t status)
{
	if (status != RCO_STATUS_UNKNOWN)
		return rco_status_name(status);
	if (code == RCO_E_NOT_AVAILABLE)
		return "not_available";
	return code == RCO_E_ENDED ? "ended" : "error";
}

static void find_sentence(const rco_tool_request *r, int code, uint32_t status, rco_tool_answer *a)
{
	uint32_t say = rco_sentence_for(code, status);

	/* A company's name may be too long for the room: then without it. The built-in ones fit. */
	if (rco_sentence_get(r->book, r->language, say, r->company, a->sentence, sizeof a->sentence, NULL) !=
	    RCO_OK)
		(void)rco_sentence_get(NULL, r->language, say, NULL, a->sentence, sizeof a->sentence, NULL);
}

/* ---- one answer for each id ---- */

enum { CALL_ROOM = RCO_CALL_ID_MAX + 32 };

/* The receipt's id is the same however the call was bound. */
static void name_call(const rco_tool_request *r, const rco__message *m, const rco_receipt *receipt,
                      char out[CALL_ROOM])
{
	if (receipt != NULL)
		(void)snprintf(out, CALL_ROOM, "%s", rco_receipt_id(receipt));
	else
		(void)snprintf(out, CALL_ROOM, "%p %s", (const void *)r->session,
		               r->call_id != NULL ? r->call_id : m->call_id);
}

/* OpenAI tells one call in several events, and in the response; the SDK of Anthropic in two events and the
 * message; a stream of chat completions in a chunk, and who sums it up in a message. */
static int is_told_again(const rco__message *m)
{
	return m->dialect == RCO_DIALECT_OPENAI_REALTIME || m->dialect == RCO_DIALECT_OPENAI_RESPONSES ||
	       m->dialect == RCO_DIALECT_ANTHROPIC || m->dialect == RCO_DIALECT_OPENAI_CHAT;
}

/* What told it. The forms of a chat's message are one: a model that runs locally may give every call the same id.
 */
static uint32_t teller(const rco__message *m, const rco__id *id)
{
	const int event = (m->places->row[id->row].flags & (RCO__PLACE_EVENT | RCO__PLACE_BEGUN)) != 0;

	return m->dialect == RCO_DIALECT_OPENAI_CHAT && !event ? RCO__PLACES_MAX : id->row;
}

/* One answer is wanted, to whichever comes first; and to that one again if its answer was lost. */
static void find_answered(rco_engine *engine, const rco_tool_request *r, rco__message *m,
                          const rco_receipt *receipt)
{
	char call[CALL_ROOM];
	size_t i;

	name_call(r, m, receipt, call);
	for (i = 0; is_told_again(m) && i < m->n_ids; i++)
		if (rco__has_id(m, &m->ids[i]))
			m->ids[i].answered =
				rco_engine_remember_answer(engine, call, m->id_text + m->ids[i].at, m->ids[i].size,
			                                   teller(m, &m->ids[i])) == 1;
}

static void take_answers_back(rco_engine *engine, const rco_tool_request *r, const rco__message *m,
                              const rco_receipt *receipt)
{
	char call[CALL_ROOM];
	size_t i;

	name_call(r, m, receipt, call);
	for (i = 0; is_told_again(m) && i < m->n_ids; i++)
		if (rco__has_id(m, &m->ids[i]) && !m->ids[i].answered)
			(void)rco_engine_forget_answer(engine, call, m->id_text + m->ids[i].at, m->ids[i].size);
}

static int answer(rco_engine *engine, const rco_tool_request *r, rco__message *m, int code, rco_receipt *receipt,
                  rco_tool_answer *a)
{
	uint32_t status = rco_receipt_status(receipt);
	rco__said said = {.status = status_text(code, status), .error = code < 0};

	a->dialect = m->dialect;
	a->calls = m->calls;
	a->others = m->others;
	a->receipt = receipt;
	if (m->calls > 0)
		find_sentence(r, code, status, a);
	said.sentence = a->sentence;
	said.receipt_id = receipt != NULL ? rco_receipt_id(receipt) : NULL;
	find_answered(engine, r, m, receipt);
	a->json = rco__answer_text(m, &said);
	if (a->json != NULL)
		return RCO_OK;
	take_answers_back(engine, r, m, receipt);
	return RCO_E_NO_MEMORY;
}

static int serve(rco_engine *engine, const rco_tool_request *r, rco__message *m, rco_tool_answer **out)
{
	const int whose = r->session != NULL || r->call_id != NULL || m->call_id[0] != '\0';
	rco_tool_answer *a = calloc(1, sizeof *a);
	rco_receipt *receipt = NULL;
	int rc = RCO_OK;

	/* The request first: it holds even if there is no memory to say so. Also who named no call waits for an
	 * answer. */
	if (m->calls > 0)
		rc = whose ? opt_out(engine, r, m, &receipt) : RCO_E_INVALID;
	if (a == NULL || answer(engine, r, m, rc, receipt, a) != RCO_OK) {
		if (a != NULL)
			rco_tool_answer_free(a);
		else
			rco_receipt_free(receipt);
		return rco__fail(m->calls > 0 && rc >= 0 ? RCO_PENDING : RCO_E_NO_MEMORY,
		                 "no memory for the answer; the opt-out itself said %s", rco_error_name(rc));
	}
	*out = a;
	return whose || rc == RCO_OK ? rc
	                             : rco__fail(rc, "the message has no envelope that names a call, and none was "
	                                             "bound: nothing was stopped");
}

/* Checks what can be checked before a message is read. */
static int prepare(rco_engine *engine, const rco_tool_request *request, rco_tool_request *r, rco_tool_answer **out)
{
	int rc;

	rco__error_clear();
	if (out == NULL)
		return rco__fail(RCO_E_INVALID, "answer is NULL");
	*out = NULL;
	rc = check_request(request, r);
	if (rc != RCO_OK)
		return rc;
	rc = rco_engine_opt_out_enabled(engine); /* is it an engine at all? */
	return rc < 0 ? rc : RCO_OK;
}

int rco__tool_answer(rco_engine *engine, const rco_tool_request *request, rco__message *m, rco_tool_answer **out)
{
	rco_tool_request r;
	int rc = prepare(engine, request, &r, out);

	return rc == RCO_OK ? serve(engine, &r, m, out) : rc;
}

int rco_tool_call(rco_engine *engine, const rco_tool_request *request, rco_tool_answer **out)
{
	rco_tool_request r;
	rco__message m;
	int rc = prepare(engine, request, &r, out);

	if (rc != RCO_OK)
		return rc;
	rco__message_begin(&m, r.dialect);
	rco__message_feed(&m, r.json, r.json_bytes);
	rco__message_end(&m);
	rc = serve(engine, &r, &m, out);
	rco__message_free(&m);
	return rc;
}

const char *rco_tool_answer_json(const rco_tool_answer *answer, size_t *len)
{
	const char *json = answer != NULL ? answer->json : "";

	if (len != NULL)
		*len = strlen(json);
	return json;
}

uint32_t rco_tool_answer_calls(const rco_tool_answer *answer)
{
	return answer != NULL ? answer->calls : 0;
}

uint32_t rco_tool_answer_others(const rco_tool_answer *answer)
{
	return answer != NULL ? answer->others : 0;
}

uint32_t rco_tool_answer_dialect(const rco_tool_answer *answer)
{
	return answer != NULL ? answer->dialect : RCO_DIALECT_AUTO;
}

const char *rco_tool_answer_sentence(const rco_tool_answer *answer)
{
	return answer != NULL ? answer->sentence : "";
}

const rco_receipt *rco_tool_answer_receipt(const rco_tool_answer *answer)
{
	return answer != NULL ? answer->receipt : NULL;
}

void rco_tool_answer_free(rco_tool_answer *answer)
{
	if (answer == NULL)
		return;
	rco_receipt_free(answer->receipt);
	free(answer->json);
	free(answer);
}
