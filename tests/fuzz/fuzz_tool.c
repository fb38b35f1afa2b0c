/* SPDX-License-Identifier: MIT */
/*
 * Tool calls of every dialect. Whatever comes: reading it ends, what is not JSON is one call of our tool, the
 * answer is one line of ASCII JSON with one answer for each id, and what was recognised by its shape reads the
 * same when the dialect is named. And no text makes the look for claims read beyond it.
 */
#include "fuzz.h"

#include "../../lib/agent/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIALECTS = RCO_DIALECT_RETELL + 1 };

static const rco__said said = {"durable", "Gel\xc3\xb6scht \"\\ {company}", "01234567-89ab-cdef-0123-456789abcdef",
                               0};

static void check_line(const char *text)
{
	const char *c;
	json_t *parsed;

	for (c = text; *c != '\0'; c++)
		FUZZ_CHECK(*c >= 0x20 && *c <= 0x7e);
	parsed = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_CHECK(parsed != NULL);
	json_decref(parsed);
}

static void check_answer(const rco__message *m)
{
	char *text = rco__answer_text(m, &said);
	size_t i;

	FUZZ_CHECK(text != NULL);
	if (text[0] != '\0')
		check_line(text);
	else
		FUZZ_CHECK(m->calls == 0 || m->enveloped); /* nothing to answer, or a notification */
	FUZZ_CHECK(m->calls > 0 || json_array_size(m->ids) == 0);
	FUZZ_CHECK(json_array_size(m->ids) <= m->calls);
	for (i = 0; i < json_array_size(m->ids); i++) {
		const char *id = json_string_value(json_array_get(m->ids, i));

		/* ids of plain letters can be looked for as they are */
		if (id != NULL && id[0] != '\0' &&
		    strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(id) &&
		    (m->dialect == RCO_DIALECT_OPENAI_CHAT || m->dialect == RCO_DIALECT_ANTHROPIC))
			FUZZ_CHECK(strstr(text, id) != NULL);
	}
	free(text);
}

static void check_same(const rco__message *a, const char *json, size_t size)
{
	rco__message b;

	rco__message_read(a->dialect, json, size, &b);
	FUZZ_CHECK(b.calls == a->calls && b.others == a->others && b.list == a->list &&
	           b.enveloped == a->enveloped);
	FUZZ_CHECK(json_equal(a->ids, b.ids));
	rco__message_free(&b);
}

static void one(const uint8_t *data, size_t size)
{
	uint32_t dialect = size > 0 ? data[0] % DIALECTS : 0;
	char *exact = calloc(size > 1 ? size - 1 : 1, 1);
	size_t n = size > 1 ? size - 1 : 0;
	json_t *json;
	rco__message m;

	FUZZ_CHECK(exact != NULL);
	if (n > 0)
		memcpy(exact, data + 1, n);
	rco__message_read(dialect, exact, n, &m);
	FUZZ_CHECK(!m.failed &&
	           (dialect == RCO_DIALECT_AUTO || m.dialect == dialect || m.dialect == RCO_DIALECT_MCP_2026));
	json = json_loadb(exact, n, 0, NULL);
	if (json == NULL)
		FUZZ_CHECK(m.calls == 1 && m.others == 0);
	json_decref(json);
	check_answer(&m);
	if (dialect == RCO_DIALECT_AUTO && m.dialect != RCO_DIALECT_AUTO && m.calls + m.others > 0)
		check_same(&m, exact, n);
	rco__message_free(&m);
	(void)rco_claims(NULL, exact, n);
	free(exact);
}

#define NAME "\"recording_opt_out\""

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const struct {
		uint8_t dialect;
		const char *json;
	} seeds[] = {
		{RCO_DIALECT_OPENAI_CHAT,
	         "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":" NAME
	         ",\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":{\"name\":\"x\"}}]}"},
		{RCO_DIALECT_OPENAI_CHAT,
	         "{\"choices\":[{\"message\":{\"content\":\"hi\",\"role\":\"assistant\"}}]}"},
		{RCO_DIALECT_OPENAI_RESPONSES,
	         "{\"output\":[{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":" NAME "}]}"},
		{RCO_DIALECT_OPENAI_REALTIME,
	         "{\"type\":\"response.function_call_arguments.done\",\"call_id\":\"a\",\"name\":" NAME "}"},
		{RCO_DIALECT_OPENAI_REALTIME, "{\"type\":\"response.done\",\"response\":{\"output\":[{\"type\":"
	                                      "\"function_call\",\"call_id\":\"a\"}]}}"},
		{RCO_DIALECT_ANTHROPIC, "{\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":" NAME
	                                ",\"input\":{}},{\"type\":\"text\"}]}"},
		{RCO_DIALECT_GEMINI,
	         "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":" NAME
	         "}}]}}]}"},
		{RCO_DIALECT_GEMINI_LIVE, "{\"toolCall\":{\"functionCalls\":[{\"id\":\"a\",\"name\":" NAME "}]}}"},
		{RCO_DIALECT_GEMINI_LIVE, "{\"toolCallCancellation\":{\"ids\":[\"a\"]}}"},
		{RCO_DIALECT_MCP,
	         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":" NAME "}}"},
		{RCO_DIALECT_MCP_2026,
	         "[{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":" NAME
	         ",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}]"},
		{RCO_DIALECT_ELEVENLABS_WEBHOOK, "{\"reason\":\"x\"}"},
		{RCO_DIALECT_ELEVENLABS_CLIENT,
	         "{\"client_tool_call\":{\"tool_name\":" NAME ",\"tool_call_id\":\"a\"}}"},
		{RCO_DIALECT_VAPI,
	         "{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":\"v\"},\"toolCallList\":[{\"id\":"
	         "\"a\",\"name\":" NAME "},{\"id\":\"b\",\"function\":{\"name\":" NAME "}}]}}"},
		{RCO_DIALECT_RETELL, "{\"name\":" NAME ",\"args\":{},\"call\":{\"call_id\":\"r\"}}"},
		{RCO_DIALECT_AUTO,
	         "The recording has been stopped, and everything was deleted. Ist alles gel\xc3\xb6scht?"},
	};
	enum { SEEDS = sizeof seeds / sizeof seeds[0] };
	size_t size;

	/* each by its name, and again to be recognised */
	if (i >= 2 * SEEDS)
		return 0;
	size = strlen(seeds[i % SEEDS].json);
	if (size + 1 > cap)
		return 0;
	out[0] = i < SEEDS ? seeds[i].dialect : RCO_DIALECT_AUTO;
	memcpy(out + 1, seeds[i % SEEDS].json, size);
	return size + 1;
}

FUZZ_TARGET(tool, one, seed, 2048, "lib/agent/message.c lib/agent/answer.c lib/agent/claims.c", NULL)
