/* SPDX-License-Identifier: MIT */
/* The tool as each platform wants it described. */
#include "tool.h"

#include "../base/env.h"
#include "../base/error.h"
#include "../base/json.h"

#include <stdlib.h>
#include <string.h>

static const size_t options_v1_size = RCO__SIZE_THROUGH(rco_tool_options, reserved1);

static const char description[] =
	"Stop recording this call and erase what was recorded of it. Call this at once whenever the caller says, "
	"in any "
	"words and any language, that they do not want to be recorded, or asks to stop, switch off or delete the "
	"recording. It takes effect immediately, for the current call only, and cannot be undone. It needs no "
	"parameters. Afterwards say the sentence from the answer to the caller, and never claim more than it "
	"says.";

/* Every parameter is optional, so that a call with any arguments, or none, is a call. */
static json_t *parameters(int strict)
{
	if (strict)
		return json_pack("{s:s, s:{}, s:[], s:b}", "type", "object", "properties", "required",
		                 "additionalProperties", 0);
	return json_pack("{s:s, s:{s:{s:s, s:s}}, s:[]}", "type", "object", "properties", "reason", "type",
	                 "string", "description",
	                 "What the caller said, in a few words. Optional, and not stored.", "required");
}

/* name, description and the schema under the given name */
static json_t *function(const char *text, const char *schema, int strict)
{
	return json_pack("{s:s, s:s, s:o}", "name", RCO_TOOL_NAME, "description", text, schema,
	                 parameters(strict));
}

/* Adds the members of the second; takes both. */
static json_t *with(json_t *object, json_t *more)
{
	int rc = object != NULL && more != NULL ? json_object_update(object, more) : -1;

	json_decref(more);
	if (rc == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *openai_flat(const char *text, int strict)
{
	return with(json_pack("{s:s}", "type", "function"), function(text, "parameters", strict));
}

static json_t *mcp(const char *text, int strict)
{
	json_t *output = json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}}, s:[s, s]}", "type", "object",
	                           "properties", "status", "type", "string", "sentence", "type", "string",
	                           "receipt_id", "type", "string", "required", "status", "sentence");
	json_t *rest = json_pack("{s:s, s:o, s:{s:b, s:b, s:b, s:b}}", "title", "Recording opt-out",
	                         "outputSchema", output, "annotations", "readOnlyHint", 0, "destructiveHint", 1,
	                         "idempotentHint", 1, "openWorldHint", 0);

	return with(function(text, "inputSchema", strict), rest);
}

/* The request must not end when the caller goes on speaking, and the agent must not speak before the answer. */
static json_t *elevenlabs(const char *type, const char *text)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "type", type, "name", RCO_TOOL_NAME, "description",
	                 text, "response_timeout_secs", 20, "interruption_mode", "disable_during_tool",
	                 "execution_mode", "immediate");
}

/* Which call it is comes in headers that the platform fills in, not in what the model writes. */
static json_t *elevenlabs_webhook(const char *text, const char *url, int strict)
{
	json_t *schema = json_pack("{s:s, s:s, s:o, s:{s:{s:s}, s:{s:s}}}", "url", url, "method", "POST",
	                           "request_body_schema", parameters(strict), "request_headers", "X-Call-Id",
	                           "variable_name", "system__call_sid", "X-Conversation-Id", "variable_name",
	                           "system__conversation_id");

	return with(elevenlabs("webhook", text), json_pack("{s:o}", "api_schema", schema));
}

static json_t *define(const rco_tool_options *o)
{
	const char *text = o->description != NULL ? o->description : description;
	int strict = (o->flags & RCO_TOOL_STRICT) != 0;

	switch (o->dialect) {
	case RCO_DIALECT_OPENAI_CHAT:
		return json_pack("{s:s, s:o}", "type", "function", "function",
		                 with(function(text, "parameters", strict), json_pack("{s:b}", "strict", strict)));
	case RCO_DIALECT_OPENAI_RESPONSES:
		return with(openai_flat(text, strict), json_pack("{s:b}", "strict", strict));
	case RCO_DIALECT_OPENAI_REALTIME:
		return openai_flat(text, strict);
	case RCO_DIALECT_ANTHROPIC:
		return function(text, "input_schema", strict);
	case RCO_DIALECT_GEMINI:
	case RCO_DIALECT_GEMINI_LIVE:
		return function(text, "parametersJsonSchema", strict);
	case RCO_DIALECT_MCP:
	case RCO_DIALECT_MCP_2026:
		return mcp(text, strict);
	case RCO_DIALECT_ELEVENLABS_WEBHOOK:
		return elevenlabs_webhook(text, o->url, strict);
	case RCO_DIALECT_ELEVENLABS_CLIENT:
		return with(elevenlabs("client", text),
		            json_pack("{s:o, s:b}", "parameters", parameters(strict), "expects_response", 1));
	case RCO_DIALECT_VAPI:
		return json_pack("{s:s, s:o, s:{s:s}, s:b, s:[]}", "type", "function", "function",
		                 function(text, "parameters", strict), "server", "url", o->url, "async", 0,
		                 "messages");
	default: /* RCO_DIALECT_RETELL */
		return with(function(text, "parameters", strict),
		            json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:i}", "type", "custom", "url", o->url,
		                      "method", "POST", "args_at_root", 0, "speak_during_execution", 0,
		                      "speak_after_execution", 1, "timeout_ms", 20000));
	}
}

static int needs_url(uint32_t dialect)
{
	return dialect == RCO_DIALECT_ELEVENLABS_WEBHOOK || dialect == RCO_DIALECT_VAPI ||
	       dialect == RCO_DIALECT_RETELL;
}

static int check_options(const rco_tool_options *in, rco_tool_options *o)
{
	int rc = rco__struct_copy(o, sizeof *o, options_v1_size, in, "rco_tool_options");

	if (rc == RCO_OK)
		rc = rco__struct_known(o->flags, RCO_TOOL_STRICT, o->reserved0 != 0 || o->reserved1 != NULL,
		                       "rco_tool_options");
	if (rc != RCO_OK)
		return rc;
	if (o->dialect == RCO_DIALECT_AUTO || rco_dialect_name(o->dialect) == NULL)
		return rco__fail(RCO_E_INVALID, "rco_tool_options: there is no dialect");
	if (needs_url(o->dialect) && (o->url == NULL || o->url[0] == '\0'))
		return rco__fail(RCO_E_INVALID, "%s wants the url that the tool call is sent to",
		                 rco_dialect_name(o->dialect));
	return RCO_OK;
}

static int available(rco_engine *engine, rco_session *session)
{
	int yes = session != NULL ? rco_session_opt_out_enabled(session) : rco_engine_opt_out_enabled(engine);

	if (yes < 0)
		return yes;
	return yes ? RCO_OK
	           : rco__fail(RCO_E_NOT_AVAILABLE, "opt-out is not enabled: give the agent no such tool");
}

int rco_tool_definition(rco_engine *engine, const rco_tool_options *options, char *buf, size_t cap, size_t *len)
{
	rco_tool_options o;
	json_t *definition;
	char *text;
	size_t size;
	int rc;

	rco__error_clear();
	if (len == NULL || (buf == NULL && cap > 0))
		return rco__fail(RCO_E_INVALID, "buf or len is NULL");
	*len = 0;
	rc = check_options(options, &o);
	if (rc == RCO_OK)
		rc = available(engine, o.session);
	if (rc != RCO_OK)
		return rc;
	definition = define(&o);
	text = rco__json_text(definition);
	json_decref(definition);
	if (text == NULL)
		return rco__fail(RCO_E_NO_MEMORY,
		                 "no memory for the tool's definition, or its description or url is not UTF-8");
	size = strlen(text);
	*len = size;
	if (size < cap)
		memcpy(buf, text, size + 1);
	free(text);
	return size < cap ? RCO_OK : rco__fail(RCO_E_LIMIT, "the definition has %zu bytes", size);
}
