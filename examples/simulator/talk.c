/* SPDX-License-Identifier: MIT */
/* Turns, the tool call, and the keyboard. */
#include "simulator.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An agent takes its time to listen, to think, and to call a tool. */
#define REACTION_S 1.0

/* What the agent says is checked as it is said. */
static void agent_says(call *c, const char *text)
{
	uint32_t untrue = 0;

	if (c->ended) {
		tell(c, "not said", "the caller has hung up: nobody hears what the agent would say");
		return;
	}
	voice_say(&c->voice[AGENT], text, now_s(c));
	tell(c, "agent", text);
	(void)rco_session_check_claims(c->session, c->s->language, text, strlen(text), &untrue);
	if (untrue != 0)
		tell(c, "untrue",
		     untrue & RCO_CLAIM_ERASED ? "the agent claims a deletion that did not happen"
		                               : "the agent claims a stop that did not happen");
}

/* A model's message in the dialect that is rehearsed; each id stands for one call. */
static char *model_message(uint32_t dialect)
{
	static const char *const messages[] = {
		[RCO_DIALECT_AUTO] = "{\"name\":\"" RCO_TOOL_NAME "\",\"arguments\":{}}",
		[RCO_DIALECT_OPENAI_CHAT] =
			"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":"
			"\"function\",\"function\":{\"name\":\"" RCO_TOOL_NAME "\",\"arguments\":\"{}\"}}]}",
		[RCO_DIALECT_OPENAI_RESPONSES] =
			"{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"" RCO_TOOL_NAME
			"\",\"arguments\":\"{}\"}",
		[RCO_DIALECT_OPENAI_REALTIME] =
			"{\"type\":\"response.function_call_arguments.done\",\"call_id\":\"call_1\","
			"\"name\":\"" RCO_TOOL_NAME "\",\"arguments\":\"{}\"}",
		[RCO_DIALECT_ANTHROPIC] =
			"{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"" RCO_TOOL_NAME "\",\"input\":{}}",
		[RCO_DIALECT_GEMINI] =
			"{\"functionCall\":{\"id\":\"1\",\"name\":\"" RCO_TOOL_NAME "\",\"args\":{}}}",
		[RCO_DIALECT_GEMINI_LIVE] =
			"{\"toolCall\":{\"functionCalls\":[{\"id\":\"1\",\"name\":\"" RCO_TOOL_NAME
			"\",\"args\":{}}]}}",
		[RCO_DIALECT_MCP] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/"
				    "call\",\"params\":{\"name\":\"" RCO_TOOL_NAME "\"}}",
		[RCO_DIALECT_MCP_2026] =
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/"
			"call\",\"params\":{\"name\":\"" RCO_TOOL_NAME
			"\",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}",
		[RCO_DIALECT_ELEVENLABS_CLIENT] =
			"{\"type\":\"client_tool_call\",\"client_tool_call\":{\"tool_name\":\"" RCO_TOOL_NAME
			"\",\"tool_call_id\":\"1\",\"parameters\":{}}}",
		[RCO_DIALECT_VAPI] = "{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":\"v\"},"
				     "\"toolCallList\":[{\"id\":\"1\","
				     "\"name\":\"" RCO_TOOL_NAME "\"}]}}",
		[RCO_DIALECT_RETELL] = "{\"name\":\"" RCO_TOOL_NAME "\",\"args\":{},\"call\":{\"call_id\":\"r\"}}",
	};

	return strdup(dialect < sizeof messages / sizeof messages[0] && messages[dialect] != NULL
	                      ? messages[dialect]
	                      : "{}");
}

static uint32_t dialect_number(const char *name)
{
	uint32_t d;

	for (d = 0; rco_dialect_name(d) != NULL; d++)
		if (strcmp(rco_dialect_name(d), name) == 0)
			return d;
	return RCO_DIALECT_AUTO;
}

static void call_tool(call *c)
{
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .dialect = dialect_number(c->o->dialect),
	                      .session = c->session,
	                      .language = c->s->language,
	                      .company = c->s->company[0] != '\0' ? c->s->company : NULL};
	char *message = model_message(r.dialect);
	rco_tool_answer *answer = NULL;
	char sentence[1024];
	int rc;

	if (message == NULL)
		return;
	r.json = message;
	r.json_bytes = strlen(message);
	if (c->t->moment[ASKED] < 0)
		c->t->moment[ASKED] = now_s(c);
	tell(c, "tool call", message);
	rc = rco_tool_call(c->engine, &r, &answer);
	free(message);
	if (answer == NULL) {
		tell(c, "failed", rco_error_detail());
		return;
	}
	if (rc < 0)
		tell(c, "failed", rco_error_detail());
	else if (c->t->moment[STOPPED] < 0)
		c->t->moment[STOPPED] = now_s(c);
	tell(c, "tool answer", rco_tool_answer_json(answer, NULL));
	(void)snprintf(sentence, sizeof sentence, "%s", rco_tool_answer_sentence(answer));
	rco_tool_answer_free(answer);
	agent_says(c, sentence);
}

static void act(call *c, const char *what)
{
	int rc = RCO_OK;

	if (strcmp(what, "opt_out") == 0) {
		call_tool(c);
		return;
	}
	tell(c, "action", what);
	if (strcmp(what, "pause") == 0)
		rc = rco_session_pause(c->session);
	else if (strcmp(what, "resume") == 0)
		rc = rco_session_resume(c->session);
	else
		rc = rco_session_end(c->session);
	if (rc != RCO_OK)
		tell(c, "failed", rco_error_detail());
	else if (strcmp(what, "hang_up") == 0) {
		c->ended = 1;
		c->t->ended_at_s = now_s(c);
	}
}

void do_step(call *c, const step *s)
{
	if (s->who == AGENT) {
		agent_says(c, s->text);
	} else if (s->who == CALLER) {
		voice_say(&c->voice[CALLER], s->text, now_s(c));
		tell(c, "caller", s->text);
	} else {
		act(c, s->text);
	}
}

void react(call *c)
{
	if (c->react_at_s < 0 || now_s(c) < c->react_at_s)
		return;
	c->react_at_s = -1;
	call_tool(c);
}

/* What is typed, the agent listens to; a script says itself what its agent does. */
static void caller_types(call *c, const char *line)
{
	step s = {.who = CALLER};

	(void)snprintf(s.text, sizeof s.text, "%s", line);
	do_step(c, &s);
	if (!is_objection(line)) {
		tell(c, "note", "not taken for an objection to the recording (/opt-out is one)");
		return;
	}
	tell(c, "understood", "an objection to the recording: the agent calls its tool");
	c->react_at_s = now_s(c) + REACTION_S;
}

void typed(call *c, const char *line)
{
	if (strcmp(line, "/quit") == 0)
		c->quit = 1;
	else if (strcmp(line, "/opt-out") == 0)
		act(c, "opt_out");
	else if (strcmp(line, "/pause") == 0 || strcmp(line, "/resume") == 0)
		act(c, line + 1);
	else if (strcmp(line, "/hang-up") == 0) {
		act(c, "hang_up");
		c->next_step = c->s->count; /* who has hung up says no more, whatever the script has */
	} else if (line[0] == '/')
		tell(c, "help", "/opt-out /pause /resume /hang-up /quit, or what the caller says");
	else if (line[strspn(line, " ")] != '\0')
		caller_types(c, line);
}

/* Whatever has been typed by now, line by line. */
void read_keyboard(call *c)
{
	static char line[TEXT_MAX];
	static size_t size;
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char one;

	while (c->o->interactive && !c->quit && poll(&p, 1, 0) == 1 && read(STDIN_FILENO, &one, 1) == 1) {
		if (one == '\n' || one == '\r') {
			line[size] = '\0';
			size = 0;
			typed(c, line);
		} else if (size + 1 < sizeof line && one != '\0') {
			line[size++] = one;
		}
	}
}
