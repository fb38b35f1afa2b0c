/* SPDX-License-Identifier: MIT */
#include "mcp.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* JSON-RPC 2.0, 5.1, and MCP 2026-07-28 */
enum {
	PARSE_ERROR = -32700,
	INVALID_REQUEST = -32600,
	NO_METHOD = -32601,
	INVALID_PARAMS = -32602,
	INTERNAL_ERROR = -32603,
	UNSUPPORTED_VERSION = -32022
};

#define STATELESS   "2026-07-28"
#define VERSION_KEY "io.modelcontextprotocol/protocolVersion"

static const char *const initialized[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};

enum { ID_MAX = 1 << 20 /* bytes */ };

enum { INITIALIZED = sizeof initialized / sizeof initialized[0] };

static char *text_of(json_t *answer)
{
	char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(answer);
	return text;
}

/* An answer, to an id that goes back byte for byte as it came: numbers may be larger than any type. Takes the
 * value. */
static char *answer_with(const char *id, const char *member, json_t *value)
{
	char *text = text_of(value), *answer = NULL;
	size_t size;

	if (text == NULL)
		return NULL;
	size = strlen(text) + strlen(id) + 64;
	answer = malloc(size);
	if (answer != NULL)
		(void)snprintf(answer, size, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"%s\":%s}", id, member, text);
	free(text);
	return answer;
}

static const char *id_of(const mcp_request *r)
{
	return r->id_size > 0 ? r->id : "null";
}

static char *failure(const mcp_request *r, int code, const char *message)
{
	return answer_with(id_of(r), "error", json_pack("{s:i, s:s}", "code", code, "message", message));
}

/* ---- the engine ---- */

static int connected(mcp_server *server)
{
	return server->client != NULL || rco_client_connect(server->path, 5000, &server->client) == RCO_OK;
}

/* The engine's answer, NULL if it cannot be had. An engine that was restarted is found again. */
static json_t *ask(mcp_server *server, json_t *request)
{
	char *text = text_of(request);
	const char *answer = NULL;
	json_t *parsed = NULL;
	int tries;

	for (tries = 0; text != NULL && parsed == NULL && tries < 2; tries++) {
		if (!connected(server))
			break;
		if (rco_client_request(server->client, text, &answer) == RCO_OK) {
			parsed = json_loads(answer, 0, NULL);
			continue;
		}
		rco_client_close(server->client);
		server->client = NULL;
	}
	if (parsed == NULL)
		(void)fprintf(stderr, "recoptout-mcp: %s\n", rco_error_detail());
	free(text);
	return parsed;
}

/* ---- methods ---- */

static json_t *capabilities(void)
{
	return json_pack("{s:{}}", "tools");
}

static json_t *server_info(void)
{
	return json_pack("{s:s, s:s, s:s}", "name", "librecoptout", "title", "Recording opt-out", "version",
	                 rco_version_string());
}

/* What an agent has to know beside the tool. */
static json_t *guidance(const mcp_server *server)
{
	char text[4096];

	if (rco_sentence_get(NULL, server->language, RCO_SAY_GUIDANCE, server->company, text, sizeof text, NULL) !=
	    RCO_OK)
		return NULL;
	return json_string(text);
}

static json_t *initialize(mcp_server *server, const mcp_request *r)
{
	size_t i;

	for (i = 0; i < INITIALIZED; i++)
		if (strcmp(r->asked_version, initialized[i]) == 0)
			break;
	return json_pack("{s:s, s:o, s:o, s:o}", "protocolVersion", initialized[i < INITIALIZED ? i : 0],
	                 "capabilities", capabilities(), "serverInfo", server_info(), "instructions",
	                 guidance(server));
}

static json_t *versions(void)
{
	json_t *list = json_pack("[s]", STATELESS);
	size_t i;

	for (i = 0; i < INITIALIZED; i++)
		if (json_array_append_new(list, json_string(initialized[i])) != 0)
			break;
	return list;
}

static json_t *discover(mcp_server *server, const mcp_request *r)
{
	(void)r;
	return json_pack("{s:o, s:o, s:o, s:o, s:i, s:s, s:{s:o}}", "supportedVersions", versions(),
	                 "capabilities", capabilities(), "serverInfo", server_info(), "instructions",
	                 guidance(server), "ttlMs", 0, "cacheScope", "private", "_meta",
	                 "io.modelcontextprotocol/serverInfo", server_info());
}

static json_t *nothing(mcp_server *server, const mcp_request *r)
{
	(void)server;
	(void)r;
	return json_object();
}

/* No tool while opt-out is disabled (P9). The switch may be turned at any time: nothing of this is to be cached.
 */
static json_t *list_tools(mcp_server *server, int stateless)
{
	json_t *answer =
		ask(server, json_pack("{s:s, s:s}", "do", "tool", "dialect", stateless ? "mcp-2026" : "mcp"));
	json_t *tool = json_object_get(answer, "definition"), *result = NULL;

	if (tool != NULL)
		result = json_pack("{s:[O]}", "tools", tool);
	else if (json_integer_value(json_object_get(answer, "code")) == RCO_E_NOT_AVAILABLE)
		result = json_pack("{s:[]}", "tools");
	json_decref(answer);
	if (result != NULL && stateless)
		(void)(json_object_set_new(result, "ttlMs", json_integer(0)) |
		       json_object_set_new(result, "cacheScope", json_string("private")));
	return result;
}

/* Nobody knows what is so: the agent must not say that anything was done. */
static json_t *unreachable(const mcp_server *server, int stateless)
{
	char sentence[4096] = "";
	json_t *inner, *result;
	char *text;

	(void)rco_sentence_get(NULL, server->language, RCO_SAY_ERROR, NULL, sentence, sizeof sentence, NULL);
	inner = json_pack("{s:s, s:s}", "status", "error", "sentence", sentence);
	text = inner != NULL ? json_dumps(inner, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	result = json_pack("{s:[{s:s, s:s}], s:o, s:b, s:s*}", "content", "type", "text", "text", text,
	                   "structuredContent", inner, "isError", 1, "resultType", stateless ? "complete" : NULL);
	free(text);
	return result;
}

/* The engine acts on it. It gets the parameters alone: arguments mean nothing, and the id is ours to give back. */
static json_t *ask_tool(mcp_server *server, const char *name, int stateless)
{
	return ask(server, json_pack("{s:s, s:s, s:s, s:{s:s}, s:s, s:s*}", "do", "tool_call", "dialect",
	                             stateless ? "mcp-2026" : "mcp", "call_id", server->call_id, "message", "name",
	                             name, "language", server->language, "company", server->company));
}

static int is_notification(const mcp_request *r)
{
	return r->id_size == 0 && !r->bad_id;
}

static char *call_tool(mcp_server *server, const mcp_request *r, int stateless)
{
	const int named = r->name[0] != '\0';
	json_t *answer = named ? ask_tool(server, r->name, stateless) : NULL;
	json_t *ours = json_object_get(answer, "answer");
	char *text;

	if (is_notification(r)) /* done, and not answered */
		text = strdup("");
	else if (!named)
		text = failure(r, INVALID_PARAMS,
		               "a call needs the name of a tool; the only one is " RCO_TOOL_NAME);
	else if (json_integer_value(json_object_get(answer, "others")) > 0)
		text = failure(r, INVALID_PARAMS, "there is no such tool; the only one is " RCO_TOOL_NAME);
	else
		text = answer_with(id_of(r), "result",
		                   json_is_object(ours) ? json_incref(ours) : unreachable(server, stateless));
	json_decref(answer);
	return text;
}

static char *respond(const mcp_request *r, json_t *result, int stateless)
{
	if (result == NULL)
		return failure(r, INTERNAL_ERROR, "the engine cannot be reached");
	if (stateless && json_object_set_new(result, "resultType", json_string("complete")) != 0) {
		json_decref(result);
		return NULL;
	}
	return answer_with(id_of(r), "result", result);
}

/* ---- messages ---- */

static char *unsupported(const mcp_request *r)
{
	return answer_with(id_of(r), "error",
	                   json_pack("{s:i, s:s, s:{s:o, s:s}}", "code", UNSUPPORTED_VERSION, "message",
	                             "Unsupported protocol version", "data", "supported", versions(), "requested",
	                             r->version));
}

static int is_known(const char *version)
{
	size_t i;

	for (i = 0; i < INITIALIZED; i++)
		if (strcmp(version, initialized[i]) == 0)
			return 1;
	return strcmp(version, STATELESS) == 0;
}

static char *answer_request(mcp_server *server, const mcp_request *r)
{
	static const struct {
		const char *name;
		json_t *(*answer)(mcp_server *, const mcp_request *);
	} methods[] = {{"initialize", initialize}, {"server/discover", discover}, {"ping", nothing}};
	const int stateless = strcmp(r->version, STATELESS) == 0;
	size_t i;

	/* Objecting is never refused for a version. */
	if (strcmp(r->method, "tools/call") == 0)
		return call_tool(server, r, stateless);
	if (r->bad_id)
		return failure(r, INVALID_REQUEST, "an id is a string or a number, of at most 1 MiB");
	if (is_notification(r))
		return strdup(
			""); /* "initialized", "cancelled": nothing to be done, and what was asked for stays so */
	if (r->version[0] != '\0' && !is_known(r->version))
		return unsupported(r);
	if (strcmp(r->method, "tools/list") == 0)
		return respond(r, list_tools(server, stateless), stateless);
	for (i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(r->method, methods[i].name) == 0)
			return respond(r, methods[i].answer(server, r),
			               stateless || methods[i].answer == discover);
	return failure(r, NO_METHOD, "there is no such method");
}

static char *answer_one(mcp_server *server, const mcp_request *r)
{
	if (r->method[0] == '\0' && r->is_answer)
		return strdup(""); /* to something that was never asked */
	if (r->method[0] == '\0')
		return failure(r, INVALID_REQUEST, "not a request");
	return answer_request(server, r);
}

/* ---- a line as it comes ---- */

static void add_answer(mcp_line *l, char *answer)
{
	char *more = NULL;
	size_t size;

	if (answer == NULL)
		l->failed = 1;
	if (answer != NULL && answer[0] != '\0') {
		size = strlen(answer);
		more = realloc(l->answers, l->size + size + 3);
		if (more == NULL) {
			l->failed = 1;
		} else {
			more[l->size] = l->size > 0 ? ',' : '[';
			memcpy(more + l->size + 1, answer, size + 1);
			l->answers = more;
			l->size += size + 1;
		}
	}
	free(answer);
}

/* Where in a request: what its members are told apart by. */
static int place_of(mcp_line *l, unsigned depth)
{
	return depth <= l->base + 3 ? l->member[depth - l->base] : MCP_ELSEWHERE;
}

static void name_member(mcp_line *l, unsigned depth, const char *key)
{
	static const struct {
		int in;
		const char *key;
		int is;
	} members[] = {{MCP_REQUEST, "method", MCP_METHOD}, {MCP_REQUEST, "id", MCP_ID},
	               {MCP_REQUEST, "params", MCP_PARAMS}, {MCP_REQUEST, "result", MCP_RESULT},
	               {MCP_REQUEST, "error", MCP_RESULT},  {MCP_PARAMS, "name", MCP_NAME},
	               {MCP_PARAMS, "_meta", MCP_META},     {MCP_PARAMS, "protocolVersion", MCP_ASKED},
	               {MCP_META, VERSION_KEY, MCP_VERSION}};
	const int in = place_of(l, depth - 1);
	size_t i;

	l->member[depth - l->base] = MCP_ELSEWHERE;
	for (i = 0; i < sizeof members / sizeof members[0]; i++)
		if (members[i].in == in && strcmp(members[i].key, key) == 0)
			l->member[depth - l->base] = members[i].is;
	if (l->member[depth - l->base] == MCP_RESULT)
		l->request.is_answer = 1;
}

static void keep(char *to, size_t cap, const rco__json_event *e, const char *bytes, size_t size)
{
	size_t n = e->first ? 0 : strlen(to), i;

	to[n] = '\0';
	for (i = 0; i < size && n + 1 < cap; i++)
		to[n++] = bytes[i] != '\0' ? bytes[i] : '\1'; /* is in nothing that is looked for */
	to[n] = '\0';
}

static int room_for(mcp_request *r, size_t size)
{
	size_t room;
	char *more;

	if (size > ID_MAX)
		return 0;
	if (size <= r->id_room)
		return 1;
	for (room = r->id_room == 0 ? 64 : r->id_room; room < size; room *= 2)
		;
	more = realloc(r->id, room);
	if (more == NULL)
		return 0;
	r->id = more;
	r->id_room = room;
	return 1;
}

/* One that cannot be given back is answered with null, so that nobody waits for ever. */
static void refuse_id(mcp_request *r)
{
	r->id_size = 0;
	r->bad_id = 1;
}

static void keep_id(mcp_line *l, const rco__json_event *e)
{
	mcp_request *r = &l->request;

	if (e->first) {
		r->id_size = 0;
		r->bad_id = 0;
	}
	if (e->type == RCO__JSON_WORD) { /* null: none */
		keep(l->key, sizeof l->key, e, e->text, e->size);
		r->bad_id = e->last && strcmp(l->key, "null") != 0;
		return;
	}
	if (r->bad_id)
		return;
	if (!room_for(r, r->id_size + e->raw_size + 1)) {
		refuse_id(r);
		return;
	}
	memcpy(r->id + r->id_size, e->raw, e->raw_size);
	r->id_size += e->raw_size;
	r->id[r->id_size] = '\0';
	if ((e->last && e->type == RCO__JSON_NUMBER && !rco__json_is_number(&l->walk)) ||
	    memchr(e->raw, '\0', e->raw_size) != NULL)
		refuse_id(r);
}

static int is_word_of_json(const char *word)
{
	return strcmp(word, "null") == 0 || strcmp(word, "true") == 0 || strcmp(word, "false") == 0;
}

static void hear_value(mcp_line *l, const rco__json_event *e)
{
	mcp_request *r = &l->request;
	const int place = e->depth > l->base ? place_of(l, e->depth) : MCP_ELSEWHERE;

	if (place == MCP_ID)
		keep_id(l, e);
	if (e->depth == 0 && e->type == RCO__JSON_WORD) {
		keep(l->key, sizeof l->key, e, e->text, e->size);
		l->no_json |= e->last && !is_word_of_json(l->key);
	}
	if (e->type != RCO__JSON_STRING)
		return;
	if (place == MCP_METHOD)
		keep(r->method, sizeof r->method, e, e->text, e->size);
	else if (place == MCP_NAME)
		keep(r->name, sizeof r->name, e, e->text, e->size);
	else if (place == MCP_ASKED)
		keep(r->asked_version, sizeof r->asked_version, e, e->text, e->size);
	else if (place == MCP_VERSION)
		keep(r->version, sizeof r->version, e, e->text, e->size);
}

static void forget_request(mcp_line *l)
{
	free(l->request.id);
	memset(&l->request, 0, sizeof l->request);
}

static int hear_object(mcp_line *l, const rco__json_event *e)
{
	if (place_of(l, e->depth) == MCP_ID && e->depth > l->base)
		refuse_id(&l->request);
	if (e->depth == l->base) {
		forget_request(l);
		l->member[0] = MCP_REQUEST;
		l->open = l->heard = 1;
		return RCO__JSON_GO;
	}
	return place_of(l, e->depth) == MCP_PARAMS || place_of(l, e->depth) == MCP_META ? RCO__JSON_GO
	                                                                                : RCO__JSON_SKIP;
}

static int hear(void *user, const rco__json_event *e)
{
	mcp_line *l = user;

	switch (e->type) {
	case RCO__JSON_OBJECT:
		return hear_object(l, e);
	case RCO__JSON_OBJECT_END:
		if (e->depth == l->base) {
			l->open = 0;
			add_answer(l, answer_one(l->server, &l->request));
		}
		break;
	case RCO__JSON_ARRAY: /* several, as up to 2025-03-26 */
		if (e->depth > l->base && place_of(l, e->depth) == MCP_ID)
			refuse_id(&l->request);
		if (e->depth > 0)
			return RCO__JSON_SKIP;
		l->base = 1;
		l->batch = 1;
		break;
	case RCO__JSON_KEY:
		keep(l->key, sizeof l->key, e, e->text, e->size);
		if (e->last)
			name_member(l, e->depth, l->key);
		break;
	case RCO__JSON_STRING:
	case RCO__JSON_NUMBER:
	case RCO__JSON_WORD:
		hear_value(l, e);
		break;
	default:
		break;
	}
	return RCO__JSON_GO;
}

void mcp_begin(mcp_line *l, mcp_server *server)
{
	memset(l, 0, sizeof *l);
	l->server = server;
	rco__json_begin(&l->walk, hear, l);
	rco__message_begin(&l->message, RCO_DIALECT_MCP);
}

void mcp_feed(mcp_line *l, const char *bytes, size_t size)
{
	rco__json_feed(&l->walk, bytes, size);
	rco__message_feed(&l->message, bytes, size);
}

/* A line that is no JSON, or is cut off: what the library takes for a call is one, and is answered if it has said
 * its name and its id by then. */
static void end_broken(mcp_line *l)
{
	if (l->open && strcmp(l->request.method, "tools/call") == 0 && l->request.name[0] != '\0')
		add_answer(l, answer_one(l->server, &l->request));
	else if (l->message.calls > 0)
		json_decref(ask_tool(l->server, RCO_TOOL_NAME, 0));
	if (l->size == 0)
		add_answer(l, failure(&(const mcp_request){0}, PARSE_ERROR, "not JSON"));
}

char *mcp_end(mcp_line *l)
{
	const rco__json_ending ending = rco__json_end(&l->walk);
	char *answers;

	rco__message_end(&l->message);
	if (ending == RCO__JSON_CUT || ending == RCO__JSON_BROKEN || l->no_json ||
	    (l->walk.values > 1 && !l->heard))
		end_broken(l);
	else if (ending != RCO__JSON_EMPTY && !l->heard)
		add_answer(l, failure(&(const mcp_request){0}, INVALID_REQUEST, "not a request"));
	rco__message_free(&l->message);
	forget_request(l);
	answers = l->answers;
	if (l->failed || answers == NULL) {
		free(answers);
		return l->failed ? NULL : strdup("");
	}
	if (l->batch && l->heard)
		memcpy(answers + l->size, "]", 2);
	else
		memmove(answers, answers + 1, l->size);
	return answers;
}
