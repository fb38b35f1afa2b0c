/* SPDX-License-Identifier: MIT */
/* Answers in each platform's shape. */
#include "tool.h"

#include "../base/json.h"

#include <stdlib.h>
#include <string.h>

/* One answer, for one id (null: the call had none). New references; NULL: no memory. */
typedef json_t *(*maker)(const rco__message *m, const rco__said *said, const char *text, json_t *id);

static json_t *plain(const rco__said *said)
{
	return json_pack("{s:s, s:s, s:s*}", "status", said->status, "sentence", said->sentence, "receipt_id",
	                 said->receipt_id);
}

/* Where an id has to be a string. */
static json_t *id_text(json_t *id)
{
	return json_is_string(id) ? json_incref(id) : json_string("");
}

static json_t *chat(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	(void)m;
	(void)said;
	return json_pack("{s:s, s:o, s:s}", "role", "tool", "tool_call_id", id_text(id), "content", text);
}

static json_t *responses(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	(void)m;
	(void)said;
	return json_pack("{s:s, s:o, s:s}", "type", "function_call_output", "call_id", id_text(id), "output",
	                 text);
}

static json_t *realtime(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	return json_pack("{s:s, s:o}", "type", "conversation.item.create", "item", responses(m, said, text, id));
}

static json_t *anthropic(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	(void)m;
	return json_pack("{s:s, s:o, s:s, s:b}", "type", "tool_result", "tool_use_id", id_text(id), "content",
	                 text, "is_error", said->error);
}

static json_t *gemini_response(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	(void)m;
	(void)text;
	return json_pack("{s:O*, s:s, s:{s:o}}", "id", json_is_null(id) ? NULL : id, "name", RCO_TOOL_NAME,
	                 "response", said->error ? "error" : "output", plain(said));
}

static json_t *gemini(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	return json_pack("{s:o}", "functionResponse", gemini_response(m, said, text, id));
}

/* A request without an id is a notification, which nobody waits for an answer to (JSON-RPC 2.0, 4.1). */
static json_t *mcp(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	json_t *result = json_pack("{s:[{s:s, s:s}], s:o, s:b}", "content", "type", "text", "text", text,
	                           "structuredContent", plain(said), "isError", said->error);

	if (result != NULL && m->dialect == RCO_DIALECT_MCP_2026 &&
	    json_object_set_new(result, "resultType", json_string("complete")) != 0) {
		json_decref(result);
		return NULL;
	}
	if (!m->enveloped)
		return result;
	return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

static json_t *elevenlabs_client(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	(void)m;
	return json_pack("{s:s, s:o, s:s, s:b}", "type", "client_tool_result", "tool_call_id", id_text(id),
	                 "result", text, "is_error", said->error);
}

static json_t *vapi(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	(void)m;
	return json_pack("{s:s, s:o, s:s}", "name", RCO_TOOL_NAME, "toolCallId", id_text(id),
	                 said->error ? "error" : "result", text);
}

static json_t *bare(const rco__message *m, const rco__said *said, const char *text, json_t *id)
{
	(void)m;
	(void)text;
	(void)id;
	return plain(said);
}

static maker maker_of(uint32_t dialect)
{
	static const maker makers[] = {
		[RCO_DIALECT_AUTO] = bare,
		[RCO_DIALECT_OPENAI_CHAT] = chat,
		[RCO_DIALECT_OPENAI_RESPONSES] = responses,
		[RCO_DIALECT_OPENAI_REALTIME] = realtime,
		[RCO_DIALECT_ANTHROPIC] = anthropic,
		[RCO_DIALECT_GEMINI] = gemini,
		[RCO_DIALECT_GEMINI_LIVE] = gemini_response,
		[RCO_DIALECT_MCP] = mcp,
		[RCO_DIALECT_MCP_2026] = mcp,
		[RCO_DIALECT_ELEVENLABS_WEBHOOK] = bare,
		[RCO_DIALECT_ELEVENLABS_CLIENT] = elevenlabs_client,
		[RCO_DIALECT_VAPI] = vapi,
		[RCO_DIALECT_RETELL] = bare,
	};

	return makers[dialect];
}

static json_t *make_all(const rco__message *m, const rco__said *said, const char *text)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; list != NULL && i < json_array_size(m->ids); i++) {
		json_t *id = json_array_get(m->ids, i);

		if (m->enveloped && json_is_null(id))
			continue;
		if (json_array_append_new(list, maker_of(m->dialect)(m, said, text, id)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The answers as the platform wants them together. Takes the list. */
static json_t *wrap(const rco__message *m, json_t *list)
{
	json_t *one;

	switch (m->dialect) {
	case RCO_DIALECT_VAPI:
		return json_pack("{s:o}", "results", list);
	case RCO_DIALECT_GEMINI_LIVE:
		return json_pack("{s:{s:o}}", "toolResponse", "functionResponses", list);
	case RCO_DIALECT_OPENAI_REALTIME:
		if (json_array_append_new(list, json_pack("{s:s}", "type", "response.create")) == 0)
			return list;
		json_decref(list);
		return NULL;
	default:
		if (m->list)
			return list;
		one = json_incref(json_array_get(list, 0));
		json_decref(list);
		return one;
	}
}

char *rco__answer_text(const rco__message *m, const rco__said *said)
{
	json_t *inner, *list, *whole;
	char *text;

	if (m->failed)
		return NULL;
	if (m->calls == 0 && m->dialect != RCO_DIALECT_VAPI)
		return strdup("");
	inner = plain(said);
	text = rco__json_text(inner);
	json_decref(inner);
	list = text != NULL ? make_all(m, said, text) : NULL;
	free(text);
	if (list == NULL)
		return NULL;
	if (json_array_size(list) == 0 && m->dialect != RCO_DIALECT_VAPI) { /* notifications alone */
		json_decref(list);
		return strdup("");
	}
	whole = wrap(m, list);
	text = rco__json_text(whole);
	json_decref(whole);
	return text;
}
