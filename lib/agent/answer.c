/* SPDX-License-Identifier: MIT */
/* Answers in each platform's shape. */
#include "tool.h"

#include "../base/bytes.h"
#include "../base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The answer to one call, as text in which
 *   %N  our name           %T  what is said, as a string       %O  the same, as an object
 *   %E  true if the opt-out does not stand, otherwise false
 *   %(error|result)        the first if it does not, otherwise the second
 *   %[key]                 "key":ID, if the call has an id
 */
typedef struct shape {
	uint32_t dialect;
	int old;
	const char *one;
	const char *before, *after; /* around all answers; NULL: none, they are an array if the calls were */
} shape;

#define OUTPUT   "{\"type\":\"function_call_output\",%[call_id]\"output\":%T}"
#define RESPONSE "{%[id]\"name\":%N,\"response\":{\"%(error|output)\":%O}}"
#define RESULT   "\"content\":[{\"type\":\"text\",\"text\":%T}],\"structuredContent\":%O,\"isError\":%E"
#define COMPLETE ",\"resultType\":\"complete\""

static const shape shapes[] = {
	{RCO_DIALECT_OPENAI_CHAT, 0, "{\"role\":\"tool\",%[tool_call_id]\"content\":%T}", NULL, NULL},
	{RCO_DIALECT_OPENAI_CHAT, 1, "{\"role\":\"function\",\"name\":%N,\"content\":%T}", NULL, NULL},
	{RCO_DIALECT_OPENAI_RESPONSES, 0, OUTPUT, NULL, NULL},
	{RCO_DIALECT_OPENAI_REALTIME, 0, "{\"type\":\"conversation.item.create\",\"item\":" OUTPUT "}", "[",
         ",{\"type\":\"response.create\"}]"},
	{RCO_DIALECT_ANTHROPIC, 0, "{\"type\":\"tool_result\",%[tool_use_id]\"content\":%T,\"is_error\":%E}", NULL,
         NULL},
	{RCO_DIALECT_GEMINI, 0, "{\"functionResponse\":" RESPONSE "}", NULL, NULL},
	{RCO_DIALECT_GEMINI_LIVE, 0, RESPONSE, "{\"toolResponse\":{\"functionResponses\":[", "]}}"},
	{RCO_DIALECT_ELEVENLABS_CLIENT, 0,
         "{\"type\":\"client_tool_result\",%[tool_call_id]\"result\":%T,\"is_error\":%E}", NULL, NULL},
	{RCO_DIALECT_VAPI, 0, "{\"name\":%N,%[toolCallId]\"%(error|result)\":%T}", "{\"results\":[", "]}"},
	{RCO_DIALECT_VAPI, 1, "{\"%(error|result)\":%T}", NULL, NULL},
	{RCO_DIALECT_AUTO, 0, "%O", NULL, NULL},
};

static const shape mcp_shapes[] = {
	{RCO_DIALECT_MCP, 0, "{" RESULT "}", NULL, NULL},
	{RCO_DIALECT_MCP_2026, 0, "{" RESULT COMPLETE "}", NULL, NULL},
	{RCO_DIALECT_MCP, 1, "{\"jsonrpc\":\"2.0\",%[id]\"result\":{" RESULT "}}", NULL, NULL},
	{RCO_DIALECT_MCP_2026, 1, "{\"jsonrpc\":\"2.0\",%[id]\"result\":{" RESULT COMPLETE "}}", NULL, NULL},
};

/* ElevenLabs' webhook and Retell take any JSON: the last of the shapes. */
static const shape *shape_of(const rco__message *m)
{
	size_t i, last = sizeof shapes / sizeof shapes[0] - 1;

	for (i = 0; i < sizeof mcp_shapes / sizeof mcp_shapes[0]; i++)
		if (mcp_shapes[i].dialect == m->dialect && mcp_shapes[i].old == m->enveloped)
			return &mcp_shapes[i];
	for (i = 0; i < last; i++)
		if (shapes[i].dialect == m->dialect && shapes[i].old == m->old)
			return &shapes[i];
	return &shapes[last];
}

/* ---- what is written ---- */

typedef struct writer {
	char *text;
	size_t size, room;
	int failed;
	const rco__message *m;
	const rco__said *said;
	const char *object, *string; /* what is said */
} writer;

static void put(writer *w, const char *bytes, size_t size)
{
	size_t room = w->room;
	char *more;

	if (w->failed)
		return;
	while (room - w->size <= size)
		room = room == 0 ? 1024 : 2 * room;
	if (room > w->room) {
		more = realloc(w->text, room);
		if (more == NULL) {
			w->failed = 1;
			return;
		}
		w->text = more;
		w->room = room;
	}
	memcpy(w->text + w->size, bytes, size);
	w->size += size;
	w->text[w->size] = '\0';
}

static void put_text(writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static int is_hex(const char *at)
{
	size_t i;

	for (i = 0; i < 4; i++)
		if (at[i] == '\0' || strchr("0123456789abcdefABCDEF", at[i]) == NULL)
			return 0;
	return 1;
}

/* Bytes of a string that may stand in an answer as they are: an escape, or a character. 0: none. */
static size_t plain_size(const char *at, size_t left)
{
	const unsigned char c = (unsigned char)*at;
	const size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (c == '\\') {
		if (left >= 6 && at[1] == 'u')
			return is_hex(at + 2) ? 6 : 0;
		return left >= 2 && at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
	}
	if (c < 0x80)
		return c >= 0x20;
	if (left < n)
		return 0;
	return rco__utf8_printable(at, n) || (c == 0xc2 && (unsigned char)at[1] >= 0x80) ? n : 0;
}

/* As it came; but what would make the answer something else than a line of JSON in UTF-8 is escaped. */
static void put_id(writer *w, const char *key, size_t key_size, const rco__id *id)
{
	const char *at, *end;
	char escape[8];
	size_t n;

	if (id->size == 0)
		return;
	put(w, "\"", 1);
	put(w, key, key_size);
	put(w, "\":", 2);
	for (at = w->m->id_text + id->at, end = at + id->size; at < end; at += n) {
		n = plain_size(at, (size_t)(end - at));
		if (n > 0) {
			put(w, at, n);
			continue;
		}
		n = 1;
		(void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*at);
		put_text(w, *at == '\\' ? "\\\\" : escape);
	}
	put(w, ",", 1);
}

/* "%(error|result)", "%[key]": returns what is behind it. */
static const char *write_choice(writer *w, const char *at, const rco__id *id)
{
	const char *middle, *end;

	if (*at == '[') {
		end = strchr(at, ']');
		put_id(w, at + 1, (size_t)(end - at - 1), id);
		return end + 1;
	}
	middle = strchr(at, '|');
	end = strchr(at, ')');
	if (w->said->error)
		put(w, at + 1, (size_t)(middle - at - 1));
	else
		put(w, middle + 1, (size_t)(end - middle - 1));
	return end + 1;
}

static void write_one(writer *w, const char *one, const rco__id *id)
{
	while (*one != '\0') {
		if (*one != '%') {
			put(w, one++, 1);
			continue;
		}
		one++;
		if (*one == '[' || *one == '(') {
			one = write_choice(w, one, id);
			continue;
		}
		if (*one == 'N')
			put_text(w, "\"" RCO_TOOL_NAME "\"");
		else if (*one == 'E')
			put_text(w, w->said->error ? "true" : "false");
		else
			put_text(w, *one == 'T' ? w->string : w->object);
		one++;
	}
}

/* A request without an id is a notification, which nobody waits for an answer to (JSON-RPC 2.0, 4.1). An event
 * without one is followed by another that has it. */
static int is_answered(const rco__message *m, const rco__id *id)
{
	return !m->silent && !id->answered && (id->size > 0 || !(m->enveloped || m->event));
}

static void write_all(writer *w)
{
	const rco__message *m = w->m;
	const shape *s = shape_of(m);
	const char *before = s->before != NULL ? s->before : m->list ? "[" : "";
	const char *after = s->before != NULL ? s->after : m->list ? "]" : "";
	size_t i, written = 0;

	for (i = 0; i < m->n_ids; i++) {
		if (!is_answered(m, &m->ids[i]))
			continue;
		put_text(w, written++ == 0 ? before : ",");
		write_one(w, s->one, &m->ids[i]);
		if (s->before == NULL && !m->list)
			return;
	}
	if (written > 0) {
		put_text(w, after);
	} else if (m->dialect == RCO_DIALECT_VAPI && !m->old) { /* its answer is never empty */
		put_text(w, before);
		put_text(w, after);
	}
}

/* ---- the whole ---- */

static char *object_text(const rco__said *said)
{
	json_t *object = json_pack("{s:s, s:s, s:s*}", "status", said->status, "sentence", said->sentence,
	                           "receipt_id", said->receipt_id);
	char *text = rco__json_text(object);

	json_decref(object);
	return text;
}

static char *string_text(const char *of)
{
	json_t *string = of != NULL ? json_string(of) : NULL;
	char *text = rco__json_text(string);

	json_decref(string);
	return text;
}

char *rco__answer_text(const rco__message *m, const rco__said *said)
{
	char *object = object_text(said), *string = string_text(object);
	writer w = {
		.m = m, .said = said, .object = object, .string = string, .failed = m->failed || string == NULL};

	put_text(&w, "");
	write_all(&w);
	free(object);
	free(string);
	if (!w.failed)
		return w.text;
	free(w.text);
	return NULL;
}
