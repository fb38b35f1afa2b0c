/* SPDX-License-Identifier: MIT */
/*
 * Tool calls of every dialect. Whatever comes: reading it ends, in pieces as at once; nothing is a call of our
 * tool that does not name it, except at an address of this tool alone; the answer is one line of JSON with one
 * answer for each id; what was recognised by its shape reads the same when the dialect is named. And no text makes
 * the look for claims read beyond it.
 */
#include "fuzz.h"

#include "../../lib/agent/tool.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DIALECTS = RCO_DIALECT_RETELL + 1 };

static const rco__said said = {"durable", "Gel\xc3\xb6scht \"\\ {company}", "01234567-89ab-cdef-0123-456789abcdef",
                               0};

static void check_line(const char *text)
{
	const char *c;
	json_t *parsed;

	for (c = text; *c != '\0'; c++)
		FUZZ_CHECK((unsigned char)*c >= 0x20);
	parsed = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	/* jansson takes neither half a pair of surrogates nor 1e999, which may be in an id */
	FUZZ_CHECK(parsed != NULL || strstr(text, "\\u") != NULL || strpbrk(text, "eE") != NULL);
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
		FUZZ_CHECK(m->calls == 0 || m->enveloped || m->event); /* nothing to answer, or nobody to */
	FUZZ_CHECK(m->calls > 0 || m->n_ids == 0);
	FUZZ_CHECK(m->n_ids <= m->calls);
	for (i = 0; i < m->n_ids; i++) {
		const rco__id *id = &m->ids[i];
		char plain[64];

		FUZZ_CHECK(id->at + id->size <= m->id_text_size);
		if (id->size == 0 || id->size >= sizeof plain)
			continue;
		memcpy(plain, m->id_text + id->at, id->size);
		plain[id->size] = '\0';
		/* ids of plain letters can be looked for as they are */
		if (strspn(plain, "abcdefghijklmnopqrstuvwxyz0123456789_\"") == id->size &&
		    (m->dialect == RCO_DIALECT_OPENAI_CHAT || m->dialect == RCO_DIALECT_ANTHROPIC) && !m->old &&
		    m->list)
			FUZZ_CHECK(strstr(text, plain) != NULL);
	}
	free(text);
}

static void read_in(rco__message *m, uint32_t dialect, const char *json, size_t size, size_t piece)
{
	size_t at;

	rco__message_begin(m, dialect);
	for (at = 0; at < size; at += piece)
		rco__message_feed(m, json + at, size - at < piece ? size - at : piece);
	rco__message_end(m);
}

static void check_same(const rco__message *a, const rco__message *b)
{
	size_t i;

	FUZZ_CHECK(b->calls == a->calls && b->others == a->others && b->list == a->list &&
	           b->enveloped == a->enveloped && b->n_ids == a->n_ids && b->dialect == a->dialect);
	for (i = 0; i < a->n_ids; i++)
		FUZZ_CHECK(a->ids[i].size == b->ids[i].size &&
		           (a->ids[i].size == 0 ||
		            memcmp(a->id_text + a->ids[i].at, b->id_text + b->ids[i].at, a->ids[i].size) == 0));
}

/* Our name can only be where its first word is, or an escape. */
static int may_name_us(const char *json, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (json[i] == '\\' || (size - i >= 9 && strncasecmp(json + i, "recording", 9) == 0))
			return 1;
	return 0;
}

static void one(const uint8_t *data, size_t size)
{
	uint32_t dialect = size > 0 ? data[0] % DIALECTS : 0;
	char *exact = calloc(size > 1 ? size - 1 : 1, 1);
	size_t n = size > 1 ? size - 1 : 0;
	rco__message m, again;

	FUZZ_CHECK(exact != NULL);
	if (n > 0)
		memcpy(exact, data + 1, n);
	read_in(&m, dialect, exact, n, n + 1);
	FUZZ_CHECK(!m.failed);
	if (m.calls > 0 && dialect != RCO_DIALECT_RETELL && dialect != RCO_DIALECT_ELEVENLABS_WEBHOOK)
		FUZZ_CHECK(may_name_us(exact, n));
	check_answer(&m);
	read_in(&again, dialect, exact, n, size > 0 ? 1 + data[0] / DIALECTS : 1);
	check_same(&m, &again);
	rco__message_free(&again);
	if (dialect == RCO_DIALECT_AUTO && m.dialect != RCO_DIALECT_AUTO && m.calls > 0) {
		read_in(&again, m.dialect, exact, n, n + 1);
		FUZZ_CHECK(again.calls > 0);
		rco__message_free(&again);
	}
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

FUZZ_TARGET(tool, one, seed, 2048,
            "lib/base/json_walk.c lib/agent/event_stream.c lib/agent/message.c lib/agent/names.c "
            "lib/agent/places.c lib/agent/plain.c lib/agent/plain_speaker.c lib/agent/platforms.c "
            "lib/agent/rows.c lib/agent/answer.c "
            "lib/agent/claims.c",
            NULL)
