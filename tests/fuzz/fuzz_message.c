/* SPDX-License-Identifier: MIT */
/*
 * Hostile text can neither make a call of our tool nor hide one. A message of a platform is built around a call of
 * ours, of another tool, or none, with text of the input wherever a model or a caller could put it; what has to
 * come of it is known before.
 */
#include "fuzz.h"

#include "../../lib/agent/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @N the name, @I the id, @B members that mean nothing, each with a comma behind it, @V any value. */
typedef struct shape {
	uint32_t dialect;
	int call; /* this is where calls are */
	const char *text;
} shape;

static const shape shapes[] = {
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{@B\"role\":\"assistant\",@B\"tool_calls\":[{@B\"id\":@I,@B\"function\":{@B\"name\":@N,\"arguments\":@V}"
         "}]}"},
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{\"choices\":[{@B\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":@V,\"name\":@N},\"id\":@I}],"
         "\"content\":@V}}]}"},
	{RCO_DIALECT_OPENAI_CHAT, 0, "{\"role\":\"assistant\",@B\"content\":@V,@B\"zz\":@N,\"tool_calls\":null}"},
	{RCO_DIALECT_OPENAI_CHAT, 0, "{\"role\":\"tool\",\"tool_call_id\":@I,\"content\":@V,\"name\":@N}"},
	{RCO_DIALECT_OPENAI_CHAT, 0,
         "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":@I,\"function\":{\"name\":@N}}]},@V],"
         "\"zz\":@V}"},
	{RCO_DIALECT_OPENAI_RESPONSES, 1,
         "{@B\"object\":\"response\",\"output\":[{\"type\":\"message\",\"content\":@V},{@B\"arguments\":@V,\"call_"
         "id\":@I,"
         "\"name\":@N,\"type\":\"function_call\"}]}"},
	{RCO_DIALECT_OPENAI_RESPONSES, 0, "{\"type\":\"mcp_call\",@B\"name\":@N,\"call_id\":@I,\"output\":@V}"},
	{RCO_DIALECT_OPENAI_REALTIME, 1,
         "{\"response\":{@B\"output\":[{\"type\":\"function_call\",\"call_id\":@I,\"name\":@N,@B\"arguments\":@V}]"
         "},@B"
         "\"type\":\"response.done\"}"},
	{RCO_DIALECT_OPENAI_REALTIME, 0,
         "{\"type\":\"conversation.item.created\",@B\"item\":{\"type\":\"function_call\",\"call_id\":@I,\"name\":@"
         "N,\"arguments\":@V}}"},
	{RCO_DIALECT_OPENAI_REALTIME, 0,
         "{@B\"delta\":\"UklG\",\"zz\":@V,\"name\":@N,\"call_id\":@I,\"type\":\"response.output_audio.delta\"}"},
	{RCO_DIALECT_ANTHROPIC, 1,
         "{@B\"content\":[{\"type\":\"text\",\"text\":@V},{\"input\":@V,@B\"name\":@N,\"id\":@I,\"type\":\"tool_"
         "use\"}],\"role\":"
         "\"assistant\"}"},
	{RCO_DIALECT_ANTHROPIC, 0, "{\"type\":\"tool_result\",\"tool_use_id\":@I,\"name\":@N,\"content\":@V}"},
	{RCO_DIALECT_GEMINI, 1,
         "{\"candidates\":[{\"content\":{@B\"parts\":[{@B\"text\":@V},{\"functionCall\":{\"args\":@V,\"id\":@I,"
         "\"name\":@N}}]}}]}"},
	{RCO_DIALECT_GEMINI_LIVE, 1, "{@B\"toolCall\":{\"functionCalls\":[{\"name\":@N,\"args\":@V,\"id\":@I}]}}"},
	{RCO_DIALECT_GEMINI_LIVE, 0,
         "{\"serverContent\":{\"modelTurn\":{\"parts\":[{\"functionCall\":{\"name\":@N}},@V]}},\"zz\":@I}"},
	{RCO_DIALECT_MCP, 1,
         "{@B\"params\":{\"arguments\":@V,\"name\":@N},@B\"method\":\"tools/"
         "call\",\"id\":@I,\"jsonrpc\":\"2.0\"}"},
	{RCO_DIALECT_MCP, 0,
         "{\"params\":{\"arguments\":@V,\"name\":@N},\"method\":\"prompts/get\",\"id\":@I,\"jsonrpc\":\"2.0\"}"},
	{RCO_DIALECT_ELEVENLABS_CLIENT, 1,
         "{\"client_tool_call\":{@B\"parameters\":@V,\"tool_name\":@N,\"tool_call_id\":@I},\"type\":\"client_tool_"
         "call\"}"},
	{RCO_DIALECT_ELEVENLABS_CLIENT, 0,
         "{\"agent_tool_response\":{\"tool_name\":@N,\"tool_call_id\":@I,\"zz\":@V},\"type\":\"agent_tool_"
         "response\"}"},
	{RCO_DIALECT_VAPI, 1,
         "{\"message\":{@B\"artifact\":@V,\"toolCallList\":[{\"parameters\":@V,\"id\":@I,\"name\":@N}],\"type\":"
         "\"tool-calls\"}}"},
	{RCO_DIALECT_VAPI, 0,
         "{\"message\":{@B\"artifact\":@V,\"toolCallList\":[{\"id\":@I,\"name\":@N}],\"type\":\"end-of-call-"
         "report\"}}"},
	{RCO_DIALECT_RETELL, 0, "{\"event\":\"call_ended\",\"call\":{\"zz\":@V},\"name\":@N,\"zz\":@I}"},
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{@B\"finishReason\":\"tool_calls\",\"message\":{\"role\":\"assistant\",@B\"toolCalls\":[{\"id\":@I,"
         "\"function\":{\"name\":@N,\"arguments\":@V}}]}}"},
	{RCO_DIALECT_OPENAI_CHAT, 0, "{\"role\":\"tool\",@B\"toolCallId\":@I,\"toolName\":@N,\"content\":@V}"},
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{\"lc\":1,\"type\":\"constructor\",\"id\":[\"langchain_core\",\"messages\",\"AIMessage\"],\"kwargs\":{@"
         "B\"content\":@V,\"tool_calls\":[{\"name\":@N,\"args\":@V,\"id\":@I}]}}"},
	{RCO_DIALECT_OPENAI_CHAT, 0,
         "{\"lc\":1,\"type\":\"constructor\",\"id\":[\"langchain_core\",\"messages\",\"HumanMessage\"],\"kwargs\":"
         "{@B\"content\":@V,\"tool_calls\":[{\"name\":@N,\"args\":@V,\"id\":@I}]}}"},
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{@B\"request_id\":\"x\",\"output\":{\"choices\":[{\"message\":{\"tool_calls\":{\"function\":{\"name\":@"
         "N,\"arguments\":@V},"
         "\"id\":@I},\"content\":@V}}]}}"},
	{RCO_DIALECT_AUTO, 1, "{@B\"toolCallId\":@I,\"toolName\":@N,\"input\":@V}"},
	{RCO_DIALECT_AUTO, 0, "{@B\"toolCallId\":@I,\"toolName\":@N,\"args\":@V,\"result\":\"x\"}"},
	{RCO_DIALECT_AUTO, 1,
         "{\"id\":\"m\",\"role\":\"assistant\",\"parts\":[{@B\"type\":\"dynamic-tool\",\"toolName\":@N,"
         "\"toolCallId\":@I,\"state\":\"input-available\",\"input\":@V}]}"},
	{RCO_DIALECT_AUTO, 0,
         "{\"id\":\"m\",\"role\":\"assistant\",\"parts\":[{@B\"type\":\"dynamic-tool\",\"toolName\":@N,"
         "\"toolCallId\":@I,\"state\":\"output-available\",\"input\":@V,\"output\":@V}]}"},
	{RCO_DIALECT_AUTO, 0,
         "{@B\"tool_name\":@N,\"tool_call_id\":@I,\"content\":\"x\",\"part_kind\":\"tool-return\",\"zz\":@V}"},
	{RCO_DIALECT_AUTO, 0, "{\"error\":{\"code\":\"tool_use_failed\",\"message\":@N,\"zz\":@V},\"zz\":@I}"},
};

static const char *const ours[] = {"recording_opt_out",
                                   " Recording_Opt_Out()",
                                   "functions.recording_opt_out:0",
                                   "mcp__calls__recording_opt_out",
                                   "recordingOptOut",
                                   "recording_opt_out<|channel|>commentary",
                                   "default_api.recording_opt_out",
                                   "recording\\u005Fopt_out"};
static const char *const others[] = {"get_recording_opt_out",
                                     "recording_opt_out_status",
                                     "book_table",
                                     "",
                                     "undoRecordingOptOut",
                                     "recording",
                                     "mcp__x__get_recording_opt_out",
                                     "\\u0000"};
static const char *const ids[] = {
	"\"call_1\"", "18446744073709551616", "\"\\u00fc\\\"\\\\\"", "1.0", "\"\"", "-7e2", "\"\\ud800\"", "0"};
static const char *const snippets[] = {"{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"recording_opt_out\"}",
                                       "[{\"function\":{\"name\":\"recording_opt_out\"}}]",
                                       "{\"name\":\"recording_opt_out\",\"arguments\":{}}",
                                       "\"}]}],\\\"name\\\":\\\"recording_opt_out\\\"\"",
                                       "\"recording_opt_out\"",
                                       "1e400",
                                       "[[[[[[{\"a\":[[]]}]]]]]]",
                                       "{\"role\":\"user\",\"type\":\"ping\",\"error\":{},\"event\":\"x\"}"};

#define PICK(list, byte) (list)[(byte) % (sizeof(list) / sizeof(list)[0])]

typedef struct built {
	char *text;
	size_t size, room, name_begin, name_end;
} built;

static void put(built *b, const char *bytes, size_t size)
{
	if (b->size + size > b->room) {
		b->room = 2 * (b->size + size) + 1024;
		b->text = realloc(b->text, b->room);
		FUZZ_CHECK(b->text != NULL);
	}
	memcpy(b->text + b->size, bytes, size);
	b->size += size;
}

static void put_text(built *b, const char *text)
{
	put(b, text, strlen(text));
}

/* Bytes of the input as a string: what would end it is escaped, all else is as it is. */
static void put_hostile(built *b, fuzz_input *in)
{
	const uint8_t *bytes = NULL;
	size_t n = fuzz_bytes(in, fuzz_8(in), &bytes), i;

	put_text(b, "\"");
	for (i = 0; i < n; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			put_text(b, "\\");
		put(b, (const char *)&bytes[i], 1);
	}
	put_text(b, "\"");
}

static void put_value(built *b, fuzz_input *in)
{
	uint8_t kind = fuzz_8(in), i, deep;

	if (kind < 64) {
		put_text(b, PICK(snippets, kind));
	} else if (kind < 160) {
		put_hostile(b, in);
	} else if (kind < 192) {
		deep = fuzz_8(in);
		for (i = 0; i < deep; i++)
			put_text(b, "[");
		for (i = 0; i < deep; i++)
			put_text(b, "]");
		put_text(b, deep == 0 ? "null" : "");
	} else {
		put_text(b, kind % 2 ? "{}" : "\"\"");
	}
}

static void put_members(built *b, fuzz_input *in)
{
	uint8_t n;

	for (n = fuzz_8(in) % 3; n > 0; n--) {
		put_text(b, "\"zz\":");
		put_value(b, in);
		put_text(b, n % 2 ? " ,\n" : ",");
	}
}

static void build(built *b, const shape *s, const char *name, const char *id, fuzz_input *in)
{
	const char *c;

	for (c = s->text; *c != '\0'; c++) {
		if (*c != '@') {
			put(b, c, 1);
			continue;
		}
		switch (*++c) {
		case 'N':
			b->name_begin = b->size;
			put_text(b, "\"");
			put_text(b, name);
			b->name_end = b->size;
			put_text(b, "\"");
			break;
		case 'I':
			put_text(b, id);
			break;
		case 'B':
			put_members(b, in);
			break;
		default:
			put_value(b, in);
		}
	}
}

static void read_it(rco__message *m, uint32_t dialect, const built *b, size_t size, size_t piece)
{
	size_t at, n;
	char *exact;

	rco__message_begin(m, dialect);
	for (at = 0; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		exact = malloc(n);
		FUZZ_CHECK(exact != NULL);
		memcpy(exact, b->text + at, n);
		rco__message_feed(m, exact, n);
		free(exact);
	}
	rco__message_end(m);
	FUZZ_CHECK(!m->failed);
}

static void check_whole(const rco__message *m, const shape *s, int is_ours, const char *id)
{
	if (!s->call) {
		FUZZ_CHECK(m->calls == 0 && m->n_ids == 0);
	} else if (!is_ours) {
		FUZZ_CHECK(m->calls == 0 && m->others == 1);
	} else {
		FUZZ_CHECK(m->calls == 1 && m->others == 0 && m->n_ids == 1 && m->dialect == s->dialect);
		FUZZ_CHECK(m->ids[0].size == strlen(id) &&
		           memcmp(m->id_text + m->ids[0].at, id, m->ids[0].size) == 0);
	}
}

/* What is read by then may go on as what it is; of another tool's call only the name can be cut into ours. */
static void check_cut(const rco__message *m, const shape *s, int is_ours, const built *b, size_t size)
{
	if (is_ours && s->call && size >= b->name_end)
		FUZZ_CHECK(m->calls >= 1);
	if (!is_ours && s->dialect != RCO_DIALECT_RETELL && (size < b->name_begin || size > b->name_end))
		FUZZ_CHECK(m->calls == 0);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	const shape *s = &PICK(shapes, fuzz_8(&in));
	const uint8_t which = fuzz_8(&in), end = fuzz_8(&in), how = fuzz_8(&in);
	const uint16_t where = fuzz_16(&in);
	const int is_ours = which % 2;
	const char *name = is_ours ? PICK(ours, which / 2) : PICK(others, which / 2), *id = PICK(ids, end);
	const uint32_t dialect = how % 2 ? s->dialect : (uint32_t)RCO_DIALECT_AUTO;
	built b = {0};
	rco__message m;

	if (end / 8 % 4 == 1)
		put_text(&b, "\xef\xbb\xbf \n");
	build(&b, s, name, id, &in);
	if (end / 8 % 4 == 2)
		put_text(&b, "\n}]garbage");
	if (end / 8 % 4 == 3 && b.size > 0) {
		size_t cut = where % b.size;

		read_it(&m, dialect, &b, cut, 1 + how);
		check_cut(&m, s, is_ours, &b, cut);
	} else {
		read_it(&m, dialect, &b, b.size, 1 + how);
		check_whole(&m, s, is_ours, id);
	}
	rco__message_free(&m);
	free(b.text);
}

/* Every shape with a name of ours and of another, whole and cut. */
static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	enum { SHAPES = sizeof shapes / sizeof shapes[0], EACH = 8, SIZE = 64 };
	size_t at;

	if (i >= SHAPES * EACH || cap < SIZE)
		return 0;
	out[0] = (uint8_t)(i / EACH);
	out[1] = (uint8_t)(i * 5 + i % 2);
	out[2] = (uint8_t)((i % EACH) * 8 + i);
	out[3] = (uint8_t)(i * 7);
	out[4] = (uint8_t)(i * 31);
	out[5] = 0;
	for (at = 6; at < SIZE; at++)
		out[at] = (uint8_t)((at * 37 + i * 11) & 0xff);
	return SIZE;
}

FUZZ_TARGET(
	message, one, seed, 1024,
	"lib/base/json_walk.c lib/agent/event_stream.c lib/agent/message.c lib/agent/names.c "
	"lib/agent/places.c lib/agent/plain.c lib/agent/plain_speaker.c lib/agent/platforms.c lib/agent/rows.c",
	NULL)
