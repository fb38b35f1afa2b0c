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

enum { INITIALIZED = sizeof initialized / sizeof initialized[0] };

static char *text_of(json_t *answer)
{
	char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(answer);
	return text;
}

static char *failure(json_t *id, int code, const char *message)
{
	return text_of(json_pack("{s:s, s:O?, s:{s:i, s:s}}", "jsonrpc", "2.0", "id", id, "error", "code", code,
	                         "message", message));
}

/* ---- the engine ---- */

static int connected(mcp_server *server)
{
	return server->client != NULL || rco_client_connect(server->path, 5000, &server->client) == RCO_OK;
}

/* The engine's answer, NULL if it cannot be had. An engine that was started anew is found again. */
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
		(void)fprintf(stderr, "mcp_server: %s\n", rco_error_detail());
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

static json_t *initialize(mcp_server *server, const json_t *params)
{
	const char *asked = json_string_value(json_object_get(params, "protocolVersion"));
	size_t i;

	for (i = 0; i < INITIALIZED; i++)
		if (asked != NULL && strcmp(asked, initialized[i]) == 0)
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

static json_t *discover(mcp_server *server, const json_t *params)
{
	(void)params;
	return json_pack("{s:o, s:o, s:o, s:o, s:i, s:s, s:{s:o}}", "supportedVersions", versions(),
	                 "capabilities", capabilities(), "serverInfo", server_info(), "instructions",
	                 guidance(server), "ttlMs", 0, "cacheScope", "private", "_meta",
	                 "io.modelcontextprotocol/serverInfo", server_info());
}

static json_t *nothing(mcp_server *server, const json_t *params)
{
	(void)server;
	(void)params;
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
static char *unreachable(const mcp_server *server, json_t *id, int stateless)
{
	char sentence[4096] = "";
	json_t *inner, *result;
	char *text;

	(void)rco_sentence_get(NULL, server->language, RCO_SAY_TROUBLE, NULL, sentence, sizeof sentence, NULL);
	inner = json_pack("{s:s, s:s}", "status", "trouble", "sentence", sentence);
	text = inner != NULL ? json_dumps(inner, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	result = json_pack("{s:[{s:s, s:s}], s:o, s:b, s:s*}", "content", "type", "text", "text", text,
	                   "structuredContent", inner, "isError", 1, "resultType", stateless ? "complete" : NULL);
	free(text);
	return text_of(json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result));
}

/* The call without its arguments: they mean nothing, and may be of any size. */
static json_t *without_arguments(const json_t *message, json_t *id, int stateless)
{
	const json_t *params = json_object_get(message, "params");
	json_t *meta = stateless ? json_pack("{s:s}", VERSION_KEY, STATELESS) : NULL;

	return json_pack("{s:s, s:O*, s:s, s:{s:s*, s:o*}}", "jsonrpc", "2.0", "id", id, "method", "tools/call",
	                 "params", "name", json_string_value(json_object_get(params, "name")), "_meta", meta);
}

/* The engine answers it. */
static char *call_tool(mcp_server *server, json_t *message, json_t *id, int stateless)
{
	json_t *answer = ask(server, json_pack("{s:s, s:s, s:s, s:o, s:s, s:s*}", "do", "tool_call", "dialect",
	                                       stateless ? "mcp-2026" : "mcp", "call_id", server->call_id,
	                                       "message", without_arguments(message, id, stateless), "language",
	                                       server->language, "company", server->company));
	json_t *ours = json_object_get(answer, "answer");
	char *text;

	if (json_integer_value(json_object_get(answer, "others")) > 0)
		text = failure(id, INVALID_PARAMS, "there is no such tool; the only one is " RCO_TOOL_NAME);
	else if (json_is_object(ours))
		text = text_of(json_incref(ours));
	else if (id == NULL)
		text = strdup(""); /* a notification: done, and not answered */
	else
		text = unreachable(server, id, stateless);
	json_decref(answer);
	return text;
}

static char *respond(json_t *id, json_t *result, int stateless)
{
	if (result == NULL)
		return failure(id, INTERNAL_ERROR, "the engine cannot be reached");
	if (stateless && json_object_set_new(result, "resultType", json_string("complete")) != 0) {
		json_decref(result);
		return NULL;
	}
	return text_of(json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result));
}

/* ---- messages ---- */

static char *unsupported(json_t *id, const char *version)
{
	return text_of(json_pack("{s:s, s:O, s:{s:i, s:s, s:{s:o, s:s}}}", "jsonrpc", "2.0", "id", id, "error",
	                         "code", UNSUPPORTED_VERSION, "message", "Unsupported protocol version", "data",
	                         "supported", versions(), "requested", version));
}

static int is_known(const char *version)
{
	size_t i;

	for (i = 0; i < INITIALIZED; i++)
		if (strcmp(version, initialized[i]) == 0)
			return 1;
	return strcmp(version, STATELESS) == 0;
}

static char *request(mcp_server *server, json_t *message, const char *method, json_t *id)
{
	static const struct {
		const char *name;
		json_t *(*answer)(mcp_server *, const json_t *);
	} methods[] = {{"initialize", initialize}, {"server/discover", discover}, {"ping", nothing}};
	json_t *params = json_object_get(message, "params");
	const char *version = json_string_value(json_object_get(json_object_get(params, "_meta"), VERSION_KEY));
	int stateless = version != NULL && strcmp(version, STATELESS) == 0;
	size_t i;

	/* Objecting is never refused for a version. */
	if (strcmp(method, "tools/call") == 0)
		return call_tool(server, message, id, stateless);
	if (id == NULL)
		return strdup(
			""); /* "initialized", "cancelled": nothing to be done, and what was asked for stays so */
	if (version != NULL && !is_known(version))
		return unsupported(id, version);
	if (strcmp(method, "tools/list") == 0)
		return respond(id, list_tools(server, stateless), stateless);
	for (i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(method, methods[i].name) == 0)
			return respond(id, methods[i].answer(server, params),
			               stateless || methods[i].answer == discover);
	return failure(id, NO_METHOD, "there is no such method");
}

static char *one(mcp_server *server, json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	json_t *id = json_object_get(message, "id");

	if (method == NULL &&
	    (json_object_get(message, "result") != NULL || json_object_get(message, "error") != NULL))
		return strdup(""); /* an answer to something that was never asked */
	if (method == NULL || !json_is_object(message))
		return failure(id, INVALID_REQUEST, "not a request");
	return request(server, message, method, json_is_null(id) ? NULL : id);
}

/* Several in an array, as up to 2025-03-26. */
static char *batch(mcp_server *server, const json_t *list)
{
	json_t *answers = json_array();
	char *text;
	size_t i;

	for (i = 0; answers != NULL && i < json_array_size(list); i++) {
		text = one(server, json_array_get(list, i));
		if (text != NULL && text[0] != '\0')
			(void)json_array_append_new(answers, json_loads(text, 0, NULL));
		free(text);
	}
	if (answers != NULL && json_array_size(answers) == 0) {
		json_decref(answers);
		return strdup("");
	}
	return text_of(answers);
}

char *mcp_answer(mcp_server *server, const char *line, size_t size)
{
	json_t *message = json_loadb(line, size, JSON_DECODE_ANY, NULL);
	char *answer;

	if (message == NULL)
		return failure(NULL, PARSE_ERROR, "not JSON");
	if (json_is_array(message) && json_array_size(message) > 0)
		answer = batch(server, message);
	else
		answer = one(server, message);
	json_decref(message);
	return answer;
}
