/* SPDX-License-Identifier: MIT */
/*
 * Reading what a platform sent. A language model may have written any of it:
 * nothing in here decides which call is meant, only whether our tool was called,
 * and what the answers are to be addressed to. In doubt it was called.
 */
#include "tool.h"

#include "../base/json.h"

#include <string.h>
#include <strings.h>

/* ---- calls ---- */

/* "recording_opt_out", also as models and gateways write it: "functions.recording_opt_out", "mcp__x__...". */
static int is_our_name(const char *name)
{
	size_t ours = strlen(RCO_TOOL_NAME), size = strlen(name);
	char before;

	if (size < ours || strcasecmp(name + size - ours, RCO_TOOL_NAME) != 0)
		return 0;
	if (size == ours)
		return 1;
	before = name[size - ours - 1];
	return strchr(".:/", before) != NULL || (before == '_' && size > ours + 1 && name[size - ours - 2] == '_');
}

/* An id that came before has its answer already. */
static void add_id(rco__message *m, json_t *id)
{
	char *text;

	if (id == NULL || json_is_null(id)) {
		m->failed |= json_array_append_new(m->ids, json_null()) != 0;
		return;
	}
	text = rco__json_text(id);
	if (text == NULL) {
		m->failed = 1;
		return;
	}
	if (json_object_get(m->seen, text) == NULL)
		m->failed |=
			json_object_set_new(m->seen, text, json_true()) != 0 || json_array_append(m->ids, id) != 0;
	free(text);
}

/* A call without a name counts as ours. Returns 1, for "recognised". */
static int add_call(rco__message *m, json_t *id, const json_t *name)
{
	if (json_is_string(name) && !is_our_name(json_string_value(name))) {
		m->others++;
		return 1;
	}
	m->calls++;
	add_id(m, id);
	return 1;
}

static const char *type_of(const json_t *v)
{
	const char *type = json_string_value(json_object_get(v, "type"));

	return type != NULL ? type : "";
}

static int is_type(const json_t *v, const char *type)
{
	return strcmp(type_of(v), type) == 0;
}

static int begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static json_t *either(const json_t *v, const char *a, const char *b)
{
	json_t *found = json_object_get(v, a);

	return found != NULL ? found : json_object_get(v, b);
}

/* A reader adds the calls of a value in its dialect and says whether it knows the shape. */
typedef int (*reader)(rco__message *m, json_t *v);

static int read_list(rco__message *m, json_t *list, reader one)
{
	int known = 0;
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		known |= one(m, json_array_get(list, i));
	m->list |= known;
	return known;
}

/* A list in a member, which may be empty. */
static int read_member(rco__message *m, const json_t *v, const char *member, reader one)
{
	json_t *list = json_object_get(v, member);

	if (!json_is_array(list))
		return 0;
	(void)read_list(m, list, one);
	m->list = 1;
	return 1;
}

/* ---- OpenAI ---- */

static int read_chat_call(rco__message *m, json_t *v)
{
	json_t *function = json_object_get(v, "function");

	if (!json_is_object(function))
		return 0;
	return add_call(m, json_object_get(v, "id"), json_object_get(function, "name"));
}

static int read_chat_message(rco__message *m, json_t *v)
{
	return read_member(m, v, "tool_calls", read_chat_call) ||
	       (json_is_string(json_object_get(v, "role")) && json_object_get(v, "content") != NULL &&
	        !json_is_array(json_object_get(v, "content")));
}

static int read_chat_choice(rco__message *m, json_t *v)
{
	json_t *message = json_object_get(v, "message");

	return json_is_object(message) && read_chat_message(m, message);
}

static int read_chat(rco__message *m, json_t *v)
{
	return read_chat_message(m, v) || read_chat_call(m, v) || read_member(m, v, "choices", read_chat_choice);
}

static int read_responses_item(rco__message *m, json_t *v)
{
	if (is_type(v, "function_call"))
		return add_call(m, either(v, "call_id", "id"), json_object_get(v, "name"));
	return is_type(v, "message") || is_type(v, "reasoning") || is_type(v, "function_call_output");
}

static int read_responses(rco__message *m, json_t *v)
{
	return read_responses_item(m, v) || read_member(m, v, "output", read_responses_item);
}

/* An interrupted or cancelled response emits its calls as well, and they count. */
static int read_realtime(rco__message *m, json_t *v)
{
	const char *type = type_of(v);

	if (strcmp(type, "response.function_call_arguments.done") == 0)
		return add_call(m, json_object_get(v, "call_id"), json_object_get(v, "name"));
	if (strcmp(type, "response.output_item.done") == 0) {
		(void)read_responses_item(m, json_object_get(v, "item"));
		return 1;
	}
	if (strcmp(type, "response.done") == 0) {
		(void)read_member(m, json_object_get(v, "response"), "output", read_responses_item);
		return 1;
	}
	return begins(type, "response.") || begins(type, "conversation.") || begins(type, "session.") ||
	       begins(type, "input_audio_buffer.") || begins(type, "output_audio_buffer.") ||
	       begins(type, "rate_limits.");
}

/* ---- Anthropic ---- */

static int read_anthropic_block(rco__message *m, json_t *v)
{
	if (is_type(v, "tool_use"))
		return add_call(m, json_object_get(v, "id"), json_object_get(v, "name"));
	return is_type(v, "text") || is_type(v, "thinking") || is_type(v, "redacted_thinking") ||
	       is_type(v, "tool_result") || is_type(v, "server_tool_use");
}

static int read_anthropic(rco__message *m, json_t *v)
{
	return read_anthropic_block(m, v) || read_member(m, v, "content", read_anthropic_block);
}

/* ---- Gemini ---- */

static int read_gemini_call(rco__message *m, json_t *v)
{
	if (!json_is_object(v) || (json_object_get(v, "name") == NULL && json_object_get(v, "id") == NULL))
		return 0;
	return add_call(m, json_object_get(v, "id"), json_object_get(v, "name"));
}

static int read_gemini_part(rco__message *m, json_t *v)
{
	json_t *call = either(v, "functionCall", "function_call");

	if (json_is_object(call))
		return add_call(m, json_object_get(call, "id"), json_object_get(call, "name"));
	return json_is_string(json_object_get(v, "text"));
}

static int read_gemini_content(rco__message *m, json_t *v)
{
	json_t *content = json_object_get(v, "content");

	return read_member(m, json_is_object(content) ? content : v, "parts", read_gemini_part);
}

static int read_gemini(rco__message *m, json_t *v)
{
	return read_gemini_part(m, v) || read_gemini_content(m, v) ||
	       read_member(m, v, "candidates", read_gemini_content) ||
	       read_member(m, v, "functionCalls", read_gemini_call);
}

static int read_gemini_live(rco__message *m, json_t *v)
{
	json_t *call = either(v, "toolCall", "tool_call");

	if (json_is_object(call))
		return read_member(m, call, "functionCalls", read_gemini_call) ||
		       read_member(m, call, "function_calls", read_gemini_call);
	/* What was asked for stays asked for. */
	return either(v, "toolCallCancellation", "tool_call_cancellation") != NULL ||
	       json_is_object(either(v, "serverContent", "setupComplete"));
}

/* ---- MCP ---- */

static int read_mcp(rco__message *m, json_t *v)
{
	json_t *params = json_object_get(v, "params");
	const char *method = json_string_value(json_object_get(v, "method"));

	if (!json_is_string(json_object_get(v, "jsonrpc")) ||
	    (method == NULL && json_object_get(v, "result") == NULL && json_object_get(v, "error") == NULL))
		return 0;
	m->enveloped = 1;
	if (method == NULL || strcmp(method, "tools/call") != 0)
		return 1;
	if (json_is_string(
		    json_object_get(json_object_get(params, "_meta"), "io.modelcontextprotocol/protocolVersion")))
		m->dialect = RCO_DIALECT_MCP_2026;
	return add_call(m, json_object_get(v, "id"), json_object_get(params, "name"));
}

/* What an SDK hands to a tool's function: the parameters of tools/call. */
static int read_mcp_params(rco__message *m, json_t *v)
{
	if (read_mcp(m, v))
		return 1;
	if (!json_is_string(json_object_get(v, "name")))
		return 0;
	return add_call(m, NULL, json_object_get(v, "name"));
}

/* ---- ElevenLabs, Vapi, Retell ---- */

static int read_elevenlabs_client(rco__message *m, json_t *v)
{
	json_t *call = json_object_get(v, "client_tool_call");

	if (!json_is_object(call))
		call = v;
	if (json_object_get(call, "tool_name") == NULL && json_object_get(call, "tool_call_id") == NULL)
		return 0;
	return add_call(m, json_object_get(call, "tool_call_id"), json_object_get(call, "tool_name"));
}

/* The parameters and nothing else: whoever posts to that address calls our tool. */
static int read_elevenlabs_webhook(rco__message *m, json_t *v)
{
	(void)v;
	return add_call(m, NULL, NULL);
}

/* {id,name,arguments}, {id,name,parameters} or {id,function:{name,arguments}} */
static int read_vapi_call(rco__message *m, json_t *v)
{
	json_t *name = json_object_get(v, "name");

	if (!json_is_object(v))
		return 0;
	return add_call(m, json_object_get(v, "id"),
	                name != NULL ? name : json_object_get(json_object_get(v, "function"), "name"));
}

static int read_vapi(rco__message *m, json_t *v)
{
	json_t *message = json_object_get(v, "message");

	if (!json_is_string(json_object_get(message, "type")))
		return 0;
	if (!is_type(message, "tool-calls"))
		return 1;
	m->call_id = json_string_value(json_object_get(json_object_get(message, "call"), "id"));
	return read_member(m, message, "toolCallList", read_vapi_call) ||
	       read_member(m, message, "toolCalls", read_vapi_call);
}

static int read_retell(rco__message *m, json_t *v)
{
	json_t *call = json_object_get(v, "call");

	if (!json_is_object(call))
		return 0;
	m->call_id = json_string_value(json_object_get(call, "call_id"));
	return add_call(m, NULL, json_object_get(v, "name"));
}

/* With the arguments at the root there may be nothing else, and no name. */
static int read_retell_root(rco__message *m, json_t *v)
{
	return read_retell(m, v) || add_call(m, NULL, json_object_get(v, "name"));
}

/* ---- which dialect ---- */

/* In the order in which they are tried: those with an envelope of their own first. `bare`: also what only somebody
 * who knows the dialect can read. */
static const struct {
	uint32_t dialect;
	reader read, bare;
} dialects[] = {
	{RCO_DIALECT_MCP, read_mcp, read_mcp_params},
	{RCO_DIALECT_MCP_2026, NULL, read_mcp_params},
	{RCO_DIALECT_VAPI, read_vapi, read_vapi},
	{RCO_DIALECT_ELEVENLABS_CLIENT, read_elevenlabs_client, read_elevenlabs_client},
	{RCO_DIALECT_GEMINI_LIVE, read_gemini_live, read_gemini_live},
	{RCO_DIALECT_GEMINI, read_gemini, read_gemini},
	{RCO_DIALECT_OPENAI_REALTIME, read_realtime, read_realtime},
	{RCO_DIALECT_OPENAI_RESPONSES, read_responses, read_responses},
	{RCO_DIALECT_OPENAI_CHAT, read_chat, read_chat},
	{RCO_DIALECT_ANTHROPIC, read_anthropic, read_anthropic},
	{RCO_DIALECT_RETELL, read_retell, read_retell_root},
	{RCO_DIALECT_ELEVENLABS_WEBHOOK, NULL, read_elevenlabs_webhook},
};

/* Whether the shape is known; its calls are added. */
static int read_as(rco__message *m, uint32_t dialect, reader read, json_t *root)
{
	m->dialect = dialect; /* a reader may know better */
	m->list = m->enveloped = 0;
	m->call_id = NULL;
	return json_is_array(root) ? read_list(m, root, read) : read(m, root);
}

static int recognise_any(rco__message *m, json_t *root)
{
	uint32_t without_calls = RCO_DIALECT_AUTO;
	size_t i;

	/* Whoever finds calls in it is right; "this is mine, and there is no call in it" may be said by several.
	 */
	for (i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
		if (dialects[i].read == NULL || !read_as(m, dialects[i].dialect, dialects[i].read, root))
			continue;
		if (m->calls + m->others > 0)
			return 1;
		if (without_calls == RCO_DIALECT_AUTO)
			without_calls = m->dialect;
	}
	m->dialect = without_calls;
	return without_calls != RCO_DIALECT_AUTO;
}

static int recognise(rco__message *m, uint32_t wanted, json_t *root)
{
	size_t i;

	if (wanted == RCO_DIALECT_AUTO)
		return recognise_any(m, root);
	for (i = 0; dialects[i].dialect != wanted; i++)
		;
	return read_as(m, wanted, dialects[i].bare, root);
}

/* Deep nesting is nothing that a platform sends, and would be recursion here. */
static int too_deep(const char *json, size_t size)
{
	int depth = 0, in_string = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		if (in_string) {
			if (json[i] == '\\')
				i++;
			else if (json[i] == '"')
				in_string = 0;
		} else if (json[i] == '"') {
			in_string = 1;
		} else if (json[i] == '{' || json[i] == '[') {
			if (++depth > RCO__NESTING_MAX)
				return 1;
		} else if (json[i] == '}' || json[i] == ']') {
			depth--;
		}
	}
	return 0;
}

void rco__message_read(uint32_t dialect, const char *json, size_t size, rco__message *m)
{
	json_error_t ignored;

	memset(m, 0, sizeof *m);
	m->ids = json_array();
	m->seen = json_object();
	if (m->ids == NULL || m->seen == NULL)
		m->failed = 1;
	if (size <= RCO__MESSAGE_MAX && !too_deep(json, size))
		m->root = json_loadb(json, size, 0, &ignored);
	if (m->root == NULL || !recognise(m, dialect, m->root)) {
		m->dialect = dialect;
		(void)add_call(m, NULL, NULL);
	}
	if (dialect == RCO_DIALECT_MCP_2026)
		m->dialect = dialect;
}

void rco__message_free(rco__message *m)
{
	json_decref(m->root);
	json_decref(m->ids);
	json_decref(m->seen);
}
