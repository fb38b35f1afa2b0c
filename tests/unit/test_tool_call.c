/* SPDX-License-Identifier: MIT */
/*
 * A language model calls the tool: each platform's message gets its answer, whatever is in the message it is the
 * bound call that is opted out and no other, and other tools' calls are left alone.
 */
#include "../support.h"

#include <recoptout/agent.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct dialect_case {
	uint32_t dialect;
	int automatic;       /* is recognised by its shape */
	const char *message; /* OURS stands for the tool's name; id is c1 where there is one */
	const char *answer;  /* the answer with its inner text as INNER; NULL: looked at elsewhere */
} dialect_case;

#define NAME "recording_opt_out"
#define IN   "INNER"

static const dialect_case cases[] = {
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
         "\"function\":"
         "{\"name\":\"" NAME "\",\"arguments\":\"{}\"}}]}",
         "[{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"" IN "\"}]"},
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"" NAME "\",\"arguments\":\"{\\\"rea\"}}",
         "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"" IN "\"}"},
	{RCO_DIALECT_OPENAI_CHAT, 1,
         "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
         "\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"" NAME
         "\",\"arguments\":\"\"}}]},\"finish_reason\":\"tool_calls\"}]}",
         "[{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"" IN "\"}]"},
	{RCO_DIALECT_OPENAI_RESPONSES, 1,
         "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"c1\",\"name\":\"" NAME
         "\",\"arguments\":\"{}\",\"status\":\"completed\"}",
         "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"" IN "\"}"},
	{RCO_DIALECT_OPENAI_RESPONSES, 1,
         "{\"object\":\"response\",\"output\":[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]},{\"type\":"
         "\"function_call\",\"call_id\":\"c1\",\"name\":\"" NAME "\",\"arguments\":\"{}\"}]}",
         "[{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"" IN "\"}]"},
	{RCO_DIALECT_OPENAI_REALTIME, 1,
         "{\"type\":\"response.function_call_arguments.done\",\"event_id\":\"e1\",\"response_id\":\"r1\",\"item_"
         "id\":"
         "\"i1\",\"output_index\":0,\"call_id\":\"c1\",\"name\":\"" NAME "\",\"arguments\":\"{}\"}",
         "[{\"type\":\"conversation.item.create\",\"item\":{\"type\":\"function_call_output\",\"call_id\":\"c1\","
         "\"output\":\"" IN "\"}},{\"type\":\"response.create\"}]"},
	{RCO_DIALECT_OPENAI_REALTIME, 1,
         "{\"type\":\"response.done\",\"response\":{\"status\":\"cancelled\",\"output\":[{\"type\":\"function_"
         "call\","
         "\"call_id\":\"c1\",\"name\":\"" NAME "\",\"arguments\":\"\"}]}}",
         "[{\"type\":\"conversation.item.create\",\"item\":{\"type\":\"function_call_output\",\"call_id\":\"c1\","
         "\"output\":\"" IN "\"}},{\"type\":\"response.create\"}]"},
	{RCO_DIALECT_ANTHROPIC, 1, "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"" NAME "\",\"input\":{}}",
         "{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"" IN "\",\"is_error\":false}"},
	{RCO_DIALECT_ANTHROPIC, 1,
         "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Of "
         "course.\"},{\"type\":"
         "\"tool_use\",\"id\":\"c1\",\"name\":\"" NAME "\",\"input\":{\"reason\":\"asked\"}}]}",
         "[{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"" IN "\",\"is_error\":false}]"},
	{RCO_DIALECT_GEMINI, 1, "{\"functionCall\":{\"id\":\"c1\",\"name\":\"" NAME "\",\"args\":{}}}",
         "{\"functionResponse\":{\"id\":\"c1\",\"name\":\"" NAME "\",\"response\":{\"output\":" IN "}}}"},
	{RCO_DIALECT_GEMINI, 1,
         "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"" NAME
         "\",\"args\":{}}}]}}]}",
         "[{\"functionResponse\":{\"name\":\"" NAME "\",\"response\":{\"output\":" IN "}}}]"},
	{RCO_DIALECT_GEMINI_LIVE, 1,
         "{\"toolCall\":{\"functionCalls\":[{\"id\":\"c1\",\"name\":\"" NAME "\",\"args\":{}}]}}",
         "{\"toolResponse\":{\"functionResponses\":[{\"id\":\"c1\",\"name\":\"" NAME
         "\",\"response\":{\"output\":" IN "}}]}}"},
	{RCO_DIALECT_MCP, 1,
         "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"" NAME
         "\",\"arguments\":{}}}",
         "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" IN
         "\"}],\"structuredContent\":" IN ",\"isError\":false}}"},
	{RCO_DIALECT_MCP, 0, "{\"name\":\"" NAME "\",\"arguments\":{}}",
         "{\"content\":[{\"type\":\"text\",\"text\":\"" IN "\"}],\"structuredContent\":" IN ",\"isError\":false}"},
	{RCO_DIALECT_MCP_2026, 1,
         "{\"jsonrpc\":\"2.0\",\"id\":\"c1\",\"method\":\"tools/call\",\"params\":{\"name\":\"" NAME
         "\",\"arguments\":{},\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}",
         "{\"jsonrpc\":\"2.0\",\"id\":\"c1\",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" IN
         "\"}],\"structuredContent\":" IN ",\"isError\":false,\"resultType\":\"complete\"}}"},
	{RCO_DIALECT_ELEVENLABS_WEBHOOK, 0, "{\"reason\":\"asked\"}", IN},
	{RCO_DIALECT_ELEVENLABS_CLIENT, 1,
         "{\"type\":\"client_tool_call\",\"client_tool_call\":{\"tool_name\":\"" NAME
         "\",\"tool_call_id\":\"c1\",\"parameters\":{}}}",
         "{\"type\":\"client_tool_result\",\"tool_call_id\":\"c1\",\"result\":\"" IN "\",\"is_error\":false}"},
	{RCO_DIALECT_VAPI, 1,
         "{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":\"v1\"},\"toolCallList\":[{\"id\":\"c1\","
         "\"name\":\"" NAME "\",\"arguments\":{}}]}}",
         "{\"results\":[{\"name\":\"" NAME "\",\"toolCallId\":\"c1\",\"result\":\"" IN "\"}]}"},
	{RCO_DIALECT_VAPI, 1,
         "{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":\"v1\"},\"toolCallList\":[{\"id\":\"c1\","
         "\"name\":\"" NAME "\",\"parameters\":{}}]}}",
         "{\"results\":[{\"name\":\"" NAME "\",\"toolCallId\":\"c1\",\"result\":\"" IN "\"}]}"},
	{RCO_DIALECT_VAPI, 1,
         "{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":\"v1\"},\"toolCallList\":[{\"id\":\"c1\","
         "\"type\":"
         "\"function\",\"function\":{\"name\":\"" NAME "\",\"arguments\":\"{}\"}}]}}",
         "{\"results\":[{\"name\":\"" NAME "\",\"toolCallId\":\"c1\",\"result\":\"" IN "\"}]}"},
	{RCO_DIALECT_RETELL, 1, "{\"name\":\"" NAME "\",\"args\":{},\"call\":{\"call_id\":\"r1\"}}", IN},
	{RCO_DIALECT_RETELL, 0, "{\"reason\":\"asked\"}", IN},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static void world(t_world *w)
{
	t_world_init(w, 0);
	t_world_open(w);
}

static int ask(t_world *w, rco_session *s, uint32_t dialect, const char *json, size_t size,
               rco_tool_answer **answer)
{
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .dialect = dialect,
	                      .session = s,
	                      .json = json,
	                      .json_bytes = size};

	return rco_tool_call(w->engine, &r, answer);
}

static int ascii_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			return 0;
	return 1;
}

/* Puts the real inner text where INNER stands, as a string or as an object. */
static json_t *expected(const char *shape, const char *inner)
{
	json_t *quoted = json_string(inner), *whole;
	char *escaped = json_dumps(quoted, JSON_ENCODE_ANY | JSON_ENSURE_ASCII), *text = malloc(16384);
	size_t n = 0;

	assert_non_null(text);
	while (*shape != '\0') {
		if (strncmp(shape, "\"" IN "\"", 7) == 0) {
			n += (size_t)snprintf(text + n, 16384 - n, "%s", escaped);
			shape += 7;
		} else if (strncmp(shape, IN, 5) == 0) {
			n += (size_t)snprintf(text + n, 16384 - n, "%s", inner);
			shape += 5;
		} else {
			text[n++] = *shape++;
		}
		assert_true(n < 16000);
	}
	text[n] = '\0';
	whole = json_loads(text, 0, NULL);
	assert_non_null(whole);
	free(text);
	free(escaped);
	json_decref(quoted);
	return whole;
}

static void check_answer(const dialect_case *c, const rco_tool_answer *a, const char *status)
{
	const rco_receipt *receipt = rco_tool_answer_receipt(a);
	json_t *inner, *got, *wanted;
	char *text;
	size_t len;

	if (rco_tool_answer_calls(a) != 1 || rco_tool_answer_others(a) != 0 ||
	    rco_tool_answer_dialect(a) != c->dialect)
		fail_msg("%u calls, %u others, dialect %s: %s", rco_tool_answer_calls(a),
		         rco_tool_answer_others(a), rco_dialect_name(rco_tool_answer_dialect(a)), c->message);
	assert_non_null(receipt);
	inner = json_pack("{s:s, s:s, s:s}", "status", status, "sentence", rco_tool_answer_sentence(a),
	                  "receipt_id", rco_receipt_id(receipt));
	text = json_dumps(inner, JSON_COMPACT | JSON_ENSURE_ASCII);
	got = json_loads(rco_tool_answer_json(a, &len), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(len, strlen(rco_tool_answer_json(a, NULL)));
	assert_true(ascii_line(rco_tool_answer_json(a, NULL)));
	wanted = expected(c->answer, text);
	if (!json_equal(got, wanted))
		fail_msg("dialect %s answered %s", rco_dialect_name(c->dialect), rco_tool_answer_json(a, NULL));
	json_decref(wanted);
	json_decref(got);
	free(text);
	json_decref(inner);
}

static void test_round_trips(void **state)
{
	size_t i;
	int automatic;

	(void)state;
	for (i = 0; i < CASES; i++)
		for (automatic = 0; automatic <= cases[i].automatic; automatic++) {
			rco_tool_answer *a = NULL;
			rco_session *s;
			t_world w;

			world(&w);
			s = t_call(&w, "bound");
			t_push(s, 0, 1, 0, 5);
			assert_int_equal(ask(&w, s, automatic ? RCO_DIALECT_AUTO : cases[i].dialect,
			                     cases[i].message, strlen(cases[i].message), &a),
			                 RCO_OK);
			check_answer(&cases[i], a, "durable");
			assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
			assert_string_equal(rco_receipt_source(rco_tool_answer_receipt(a)), "agent-tool");
			rco_tool_answer_free(a);
			rco_session_free(s);
			t_world_destroy(&w);
		}
}

/* The same id again, or another one: the same receipt, with what is known by now. */
static void test_again(void **state)
{
	const dialect_case *c = &cases[0];
	rco_tool_answer *a = NULL, *b = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	world(&w);
	s = t_call(&w, "again");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(ask(&w, s, c->dialect, c->message, strlen(c->message), &a), RCO_OK);
	t_await(&w, "again", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(ask(&w, s, c->dialect, c->message, strlen(c->message), &b), RCO_OK);
	check_answer(c, b, "verified");
	assert_string_equal(rco_receipt_id(rco_tool_answer_receipt(a)),
	                    rco_receipt_id(rco_tool_answer_receipt(b)));
	assert_string_not_equal(rco_tool_answer_sentence(a), rco_tool_answer_sentence(b));
	rco_tool_answer_free(a);
	rco_tool_answer_free(b);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Whatever came: the bound call is opted out, the one named inside is not. */
static void opts_out(const char *json, size_t size, uint32_t dialect)
{
	rco_tool_answer *a = NULL;
	rco_session *bound, *other;
	t_world w;
	int rc;

	world(&w);
	bound = t_call(&w, "bound");
	other = t_call(&w, "victim");
	t_push(bound, 0, 1, 0, 2);
	t_push(other, 0, 2, 0, 2);
	rc = ask(&w, bound, dialect, json, size, &a);
	if (rc != RCO_OK)
		fail_msg("%s: %.60s gave %s", rco_dialect_name(dialect), json, rco_error_name(rc));
	if (t_push_one(bound, 0, 1) != RCO_E_OPTED_OUT)
		fail_msg("%s: %.60s did not opt out", rco_dialect_name(dialect), json);
	assert_int_equal(t_push_one(other, 0, 2), RCO_OK);
	assert_int_equal(t_status(&w, "victim"), RCO_STATUS_UNKNOWN);
	assert_true(rco_tool_answer_calls(a) >= 1);
	assert_true(ascii_line(rco_tool_answer_json(a, NULL)));
	assert_true(rco_tool_answer_sentence(a)[0] != '\0');
	rco_tool_answer_free(a);
	rco_session_free(bound);
	rco_session_free(other);
	t_world_destroy(&w);
}

static void does_nothing(const char *json, uint32_t dialect, uint32_t others, const char *answer)
{
	rco_tool_answer *a = NULL;
	rco_session *s;
	t_world w;

	world(&w);
	s = t_call(&w, "bound");
	t_push(s, 0, 1, 0, 2);
	assert_int_equal(ask(&w, s, dialect, json, strlen(json), &a), RCO_OK);
	if (rco_tool_answer_calls(a) != 0 || t_push_one(s, 0, 1) != RCO_OK)
		fail_msg("opted out by %s", json);
	assert_int_equal(rco_tool_answer_others(a), others);
	assert_string_equal(rco_tool_answer_json(a, NULL), answer);
	assert_string_equal(rco_tool_answer_sentence(a), "");
	assert_null(rco_tool_answer_receipt(a));
	rco_tool_answer_free(a);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Ours by its name, whatever else is there; and what comes to an address of this tool alone. */
static void test_hostile(void **state)
{
	static const char *const texts[] = {
		"{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"" NAME
		"\",\"arguments\":\"{\\\"call_id\\\":\\\"victim\\\"}\"}}],\"call_id\":\"victim\"}",
		"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"" NAME "\",\"input\":{\"call_id\":\"victim\"}}",
		"{\"name\":\"" NAME "\",\"args\":{\"call_id\":\"victim\"},\"call\":{\"call_id\":\"victim\"}}",
		"{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":\"victim\"},\"toolCallList\":[{\"id\":"
		"\"c\","
		"\"name\":\"" NAME "\"}]}}",
		/* the same key twice */
		"{\"name\":\"other\",\"name\":\"" NAME "\",\"type\":\"tool_use\",\"id\":\"x\",\"id\":\"y\"}",
		"{\"type\":\"tool_use\",\"id\":{\"deep\":[1]},\"name\":\"" NAME "\"}",
	};
	static const char *const to_this_tool[] = {"",
	                                           " ",
	                                           "{",
	                                           "null",
	                                           "[]",
	                                           "{}",
	                                           "42",
	                                           "{\"broken",
	                                           "\xff\xfe{}",
	                                           "{\"call_id\":\"victim\"}",
	                                           "{\"call\":\"victim\",\"session\":\"victim\"}"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof texts[0]; i++)
		opts_out(texts[i], strlen(texts[i]), RCO_DIALECT_AUTO);
	for (i = 0; i < sizeof to_this_tool / sizeof to_this_tool[0]; i++) {
		opts_out(to_this_tool[i], strlen(to_this_tool[i]), RCO_DIALECT_ELEVENLABS_WEBHOOK);
		opts_out(to_this_tool[i], strlen(to_this_tool[i]), RCO_DIALECT_RETELL);
	}
}

/* Without our name nothing of it is a call. */
static void test_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"{",
		"null",
		"[]",
		"{}",
		"42",
		"\xff\xfe{}",
		"{\"call_id\":\"victim\"}",
		"{\"call\":\"victim\",\"session\":\"victim\"}",
		"{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"arguments\":\"{}\"}}]}",
		"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":7,\"input\":{}}",
		"{\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"rec",
		"{\"a\":\"\\u0000\"}"};
	size_t i, d;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof texts[0]; i++)
		for (d = RCO_DIALECT_AUTO; d <= RCO_DIALECT_RETELL; d++)
			if (d != RCO_DIALECT_ELEVENLABS_WEBHOOK && d != RCO_DIALECT_RETELL)
				does_nothing(texts[i], (uint32_t)d, 0,
				             d == RCO_DIALECT_VAPI ? "{\"results\":[]}" : "");
}

/* Other tools' calls, text and cancellations are not ours. */
static void test_others(void **state)
{
	(void)state;
	does_nothing("{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"book_table\",\"input\":{}}", RCO_DIALECT_AUTO,
	             1, "");
	does_nothing("{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"undo_recording_opt_out\",\"input\":{}}",
	             RCO_DIALECT_AUTO, 1, "");
	does_nothing(
		"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"recording_opt_out_info\",\"input\":{\"x\":\"" NAME
		"\"}}",
		RCO_DIALECT_ANTHROPIC, 1, "");
	does_nothing("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"a\"}},{"
	             "\"id\":\"2\","
	             "\"function\":{\"name\":\"b\"}}]}",
	             RCO_DIALECT_OPENAI_CHAT, 2, "");
	does_nothing("{\"role\":\"assistant\",\"content\":\"Shall I call " NAME "?\"}", RCO_DIALECT_AUTO, 0, "");
	does_nothing(
		"{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}",
		RCO_DIALECT_ANTHROPIC, 0, "");
	does_nothing("{\"type\":\"response.output_audio.delta\",\"delta\":\"AAAA\"}", RCO_DIALECT_OPENAI_REALTIME,
	             0, "");
	does_nothing("{\"toolCallCancellation\":{\"ids\":[\"c1\"]}}", RCO_DIALECT_GEMINI_LIVE, 0, "");
	does_nothing("{\"toolCallCancellation\":{\"ids\":[\"c1\"]}}", RCO_DIALECT_AUTO, 0, "");
	does_nothing("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]}}]}", RCO_DIALECT_GEMINI, 0,
	             "");
	does_nothing("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", RCO_DIALECT_MCP, 0, "");
	does_nothing("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"other\"}}",
	             RCO_DIALECT_AUTO, 1, "");
	does_nothing("{\"client_tool_call\":{\"tool_name\":\"other\",\"tool_call_id\":\"c\"}}", RCO_DIALECT_AUTO,
	             1, "");
	does_nothing("{\"message\":{\"type\":\"status-update\",\"status\":\"ended\"}}", RCO_DIALECT_VAPI, 0,
	             "{\"results\":[]}");
	does_nothing(
		"{\"message\":{\"type\":\"tool-calls\",\"toolCallList\":[{\"id\":\"c\",\"name\":\"other\"}]}}",
		RCO_DIALECT_VAPI, 1, "{\"results\":[]}");
	does_nothing("{\"name\":\"other\",\"args\":{},\"call\":{\"call_id\":\"r\"}}", RCO_DIALECT_RETELL, 1, "");
}

/* A platform tells one call in several events, in any order and more than once: one output, one response. */
static void test_one_answer(void **state)
{
	static const char *const events[] = {
		"{\"type\":\"response.function_call_arguments.done\",\"call_id\":\"c1\",\"name\":\"" NAME "\"}",
		"{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\","
		"\"name\":\"" NAME "\"}}",
		"{\"type\":\"response.done\",\"response\":{\"output\":[{\"type\":\"function_call\",\"call_id\":"
		"\"c1\","
		"\"name\":\"" NAME "\"}]}}",
	};
	static const char two[] =
		"{\"type\":\"response.done\",\"response\":{\"output\":[{\"type\":\"function_call\","
		"\"call_id\":\"c1\",\"name\":\"" NAME
		"\"},{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"" NAME "\"}]}}";
	rco_tool_answer *a = NULL;
	char first[64];
	size_t order, i;
	rco_session *s, *other;
	t_world w;

	(void)state;
	for (order = 0; order < 3; order++) {
		world(&w);
		s = t_call(&w, "one");
		other = t_call(&w, "another");
		t_push(s, 0, 1, 0, 2);
		for (i = 0; i < 6; i++) {
			const char *event = events[(order + i) % 3];

			assert_int_equal(ask(&w, s, i % 2 ? RCO_DIALECT_OPENAI_REALTIME : RCO_DIALECT_AUTO, event,
			                     strlen(event), &a),
			                 RCO_OK);
			assert_int_equal(rco_tool_answer_calls(a), 1);
			assert_true(rco_tool_answer_sentence(a)[0] != '\0');
			if (i == 0)
				(void)snprintf(first, sizeof first, "%s",
				               rco_receipt_id(rco_tool_answer_receipt(a)));
			assert_string_equal(rco_receipt_id(rco_tool_answer_receipt(a)), first);
			/* the first; and that one again, whose answer may have been lost */
			assert_int_equal(rco_tool_answer_json(a, NULL)[0], i % 3 == 0 ? '[' : '\0');
			rco_tool_answer_free(a);
		}
		/* of two calls, the one that this kind of event has not been told */
		assert_int_equal(ask(&w, s, RCO_DIALECT_AUTO, two, sizeof two - 1, &a), RCO_OK);
		assert_int_equal(strstr(rco_tool_answer_json(a, NULL), "\"c1\"") != NULL, order == 2);
		assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\"c2\""));
		rco_tool_answer_free(a);
		/* the same id in another call is another call */
		assert_int_equal(ask(&w, other, RCO_DIALECT_AUTO, events[0], strlen(events[0]), &a), RCO_OK);
		assert_int_equal(rco_tool_answer_json(a, NULL)[0], '[');
		rco_tool_answer_free(a);
		rco_session_free(s);
		rco_session_free(other);
		t_world_destroy(&w);
	}
}

/* What could not be addressed when it was acted on is answered by the event that has the id. */
static void test_answered_later(void **state)
{
	static const char first[] = "{\"type\":\"response.function_call_arguments.done\",\"sequence_number\":1,"
				    "\"item_id\":\"i\",\"name\":\"" NAME "\"}";
	static const char then[] =
		"{\"type\":\"response.output_item.done\",\"sequence_number\":2,\"item\":{\"type\":"
		"\"function_call\",\"call_id\":\"c1\",\"name\":\"" NAME "\"}}";
	rco_tool_answer *a = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	world(&w);
	s = t_call(&w, "later");
	assert_int_equal(ask(&w, s, RCO_DIALECT_AUTO, first, sizeof first - 1, &a), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_string_equal(rco_tool_answer_json(a, NULL), "");
	rco_tool_answer_free(a);
	assert_int_equal(ask(&w, s, RCO_DIALECT_AUTO, then, sizeof then - 1, &a), RCO_OK);
	assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\"c1\""));
	rco_tool_answer_free(a);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Where the platform says that nobody waits, there is nothing to be sent. */
static void test_silent(void **state)
{
	static const char *const messages[] = {
		"{\"type\":\"tool_call\",\"name\":\"" NAME
		"\",\"tool_call_id\":\"h\",\"response_required\":false}",
		"{\"type\":\"client_tool_call\",\"tool_call_id\":\"k\",\"tool_name\":\"" NAME
		"\",\"expects_response\":false}",
		"{\"type\":\"client_tool_call\",\"client_tool_call\":{\"expects_response\":false,\"tool_call_id\":"
		"\"k\","
		"\"tool_name\":\"" NAME "\"}}"};
	rco_tool_answer *a = NULL;
	rco_session *s;
	size_t i;
	t_world w;

	(void)state;
	for (i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		world(&w);
		s = t_call(&w, "silent");
		t_push(s, 0, 1, 0, 2);
		assert_int_equal(ask(&w, s, RCO_DIALECT_AUTO, messages[i], strlen(messages[i]), &a), RCO_OK);
		assert_int_equal(rco_tool_answer_calls(a), 1);
		assert_string_equal(rco_tool_answer_json(a, NULL), "");
		assert_true(rco_tool_answer_sentence(a)[0] != '\0');
		assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
		rco_tool_answer_free(a);
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

/* One call by its id in Vapi's lists that repeat each other, and so with others' calls. */
static void test_lists_that_repeat(void **state)
{
	static const char message[] =
		"{\"message\":{\"type\":\"tool-calls\",\"toolCalls\":[{\"id\":\"a\",\"function\":{\"name\":\"" NAME
		"\"}},{\"id\":\"o\",\"name\":\"book\"}],\"toolWithToolCallList\":[{\"function\":{\"name\":\"" NAME
		"\"},\"toolCall\":{\"id\":\"a\",\"function\":{\"name\":\"" NAME
		"\"}}},{\"toolCall\":{\"id\":\"o\",\"name\":\"book\"}},{\"toolCall\":{\"id\":\"b\",\"name\":"
		"\"" NAME "\"}}],\"toolCallList\":[{\"id\":\"a\",\"name\":\"" NAME
		"\"},{\"id\":\"o\",\"name\":\"book\"}]}}";
	rco_tool_answer *a = NULL;
	rco_session *s;
	json_t *got;
	t_world w;

	(void)state;
	world(&w);
	s = t_call(&w, "lists");
	assert_int_equal(ask(&w, s, RCO_DIALECT_VAPI, message, sizeof message - 1, &a), RCO_OK);
	assert_int_equal(rco_tool_answer_calls(a), 2);
	assert_int_equal(rco_tool_answer_others(a), 1);
	got = json_loads(rco_tool_answer_json(a, NULL), 0, NULL);
	assert_int_equal(json_array_size(json_object_get(got, "results")), 2);
	json_decref(got);
	rco_tool_answer_free(a);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Asked first without waiting for the disk, and then for the answer; and an item, then the event that has it. */
static void test_asked_again(void **state)
{
	static const char *const items[] = {
		"{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\","
		"\"name\":\"" NAME "\"}}",
		"{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"" NAME "\"}"};
	static const char completed[] = "{\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":"
					"\"function_call\",\"call_id\":"
					"\"c1\",\"name\":\"" NAME "\"}]}}";
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r};
	rco_tool_answer *a = NULL;
	t_world w;
	size_t i, times;

	(void)state;
	for (i = 0; i < 2; i++) {
		world(&w);
		r.session = t_call(&w, "again");
		r.json = items[i];
		r.json_bytes = strlen(items[i]);
		t_push(r.session, 0, 1, 0, 2);
		for (times = 0; times < 3; times++) {
			r.flags = times == 0 ? RCO_TOOL_NONBLOCK : 0;
			assert_true(rco_tool_call(w.engine, &r, &a) >= 0);
			assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\"c1\""));
			rco_tool_answer_free(a);
		}
		if (i == 1) {
			r.dialect = RCO_DIALECT_OPENAI_RESPONSES;
			r.json = completed;
			r.json_bytes = sizeof completed - 1;
			assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
			assert_int_equal(rco_tool_answer_calls(a), 1);
			assert_string_equal(rco_tool_answer_json(a, NULL), "");
			rco_tool_answer_free(a);
		}
		rco_session_free(r.session);
		t_world_destroy(&w);
	}
}

/* One call, told in three ways: one answer, whichever comes first, and again to that one. */
static void told_in(const char *const events[3], uint32_t dialect, const char *answer)
{
	rco_tool_answer *a = NULL;
	rco_session *s;
	size_t first, i;
	t_world w;

	for (first = 0; first < 3; first++) {
		world(&w);
		s = t_call(&w, "told");
		for (i = 0; i < 4; i++) { /* at last the first one again: its answer may have been lost */
			const char *event = events[(first + i) % 3];

			assert_true(ask(&w, s, first % 2 ? RCO_DIALECT_AUTO : dialect, event, strlen(event), &a) >=
			            0);
			assert_int_equal(rco_tool_answer_calls(a), 1);
			assert_int_equal(strstr(rco_tool_answer_json(a, NULL), answer) != NULL, i == 0 || i == 3);
			rco_tool_answer_free(a);
		}
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

/* Anthropic's SDK tells a call in two of its events, and in the message. */
static void test_sdk_events(void **state)
{
#define BLOCK "{\"type\":\"tool_use\",\"id\":\"tu1\",\"name\":\"" NAME "\",\"input\":{}}"
	static const char *const events[] = {
		"{\"type\":\"content_block_stop\",\"index\":0,\"content_block\":" BLOCK "}",
		"{\"type\":\"message_stop\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\","
		"\"content\":[" BLOCK "]}}",
		"{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[" BLOCK "]}"};
#undef BLOCK
	static const char empty[] =
		"{\"type\":\"message_stop\",\"message\":{\"type\":\"message\",\"content\":[]}}";
	rco_tool_answer *a = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	told_in(events, RCO_DIALECT_ANTHROPIC, "\"tool_use_id\":\"tu1\"");
	world(&w);
	s = t_call(&w, "sdk");
	assert_true(ask(&w, s, RCO_DIALECT_AUTO, empty, sizeof empty - 1, &a) >= 0);
	assert_string_equal(rco_tool_answer_json(a, NULL), "");
	rco_tool_answer_free(a);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A chunk that has all of a call, the text of its stream, and what the host sums up. */
static void test_chunk_and_message(void **state)
{
#define CALLS                                                                                                     \
	"[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"" NAME                        \
	"\",\"arguments\":\"{}\"}}]"
	static const char *const events[] = {"{\"choices\":[{\"delta\":{\"tool_calls\":" CALLS
	                                     "},\"finish_reason\":\"tool_calls\"}]}",
	                                     "{\"choices\":[{\"delta\":{\"tool_calls\":" CALLS "}}]}\n"
	                                     "{\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n",
	                                     "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":" CALLS "}"};
#undef CALLS

	(void)state;
	told_in(events, RCO_DIALECT_OPENAI_CHAT, "\"tool_call_id\":\"c1\"");
}

/* A webhook that is tried again gets its answer again. */
static void test_retried(void **state)
{
	static const char vapi[] =
		"{\"message\":{\"type\":\"tool-calls\",\"toolCallList\":[{\"id\":\"c1\",\"name\":\"" NAME "\"}]}}";
	rco_tool_answer *a = NULL;
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	world(&w);
	s = t_call(&w, "retried");
	for (i = 0; i < 3; i++) {
		assert_int_equal(ask(&w, s, RCO_DIALECT_VAPI, vapi, sizeof vapi - 1, &a), RCO_OK);
		assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\"toolCallId\":\"c1\",\"result\""));
		rco_tool_answer_free(a);
	}
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Several calls in one message: one answer for each id, none for the others. */
static void test_batch(void **state)
{
	static const char message[] =
		"{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"book\"}},{\"id\":\"b\",\"function\":{"
		"\"name\":\"" NAME "\"}},{\"id\":\"c\",\"function\":{\"name\":\"" NAME
		"\"}},{\"id\":\"b\",\"function\":{\"name\":\"" NAME "\"}}]}";
	rco_tool_answer *a = NULL;
	rco_session *s;
	json_t *got;
	t_world w;

	(void)state;
	world(&w);
	s = t_call(&w, "batch");
	t_push(s, 0, 1, 0, 2);
	assert_int_equal(ask(&w, s, RCO_DIALECT_AUTO, message, sizeof message - 1, &a), RCO_OK);
	assert_int_equal(rco_tool_answer_calls(a), 3);
	assert_int_equal(rco_tool_answer_others(a), 1);
	got = json_loads(rco_tool_answer_json(a, NULL), 0, NULL);
	assert_int_equal(json_array_size(got), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(got, 0), "tool_call_id")), "b");
	assert_string_equal(json_string_value(json_object_get(json_array_get(got, 1), "tool_call_id")), "c");
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "batch", RCO_EVENT_OPTED_OUT), 1);
	json_decref(got);
	rco_tool_answer_free(a);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The envelope names the call only where the host says that it may. */
static void test_envelope(void **state)
{
	static const char vapi[] =
		"{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":\"env\"},\"toolCallList\":[{\"id\":"
		"\"c1\",\"name\":\"" NAME "\",\"arguments\":{\"call_id\":\"victim\"}}]}}";
	static const char retell[] =
		"{\"name\":\"" NAME "\",\"args\":{\"call_id\":\"victim\"},\"call\":{\"call_id\":\"env\"}}";
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r, .json = vapi, .json_bytes = sizeof vapi - 1};
	rco_tool_answer *a = NULL;
	rco_session *s, *victim;
	t_world w;

	(void)state;
	world(&w);
	s = t_call(&w, "env");
	victim = t_call(&w, "victim");
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_INVALID);
	assert_null(a);
	r.flags = RCO_TOOL_ENVELOPE;
	r.json = "{\"type\":\"tool_use\",\"name\":\"" NAME "\",\"call_id\":\"env\"}";
	r.json_bytes = strlen(r.json);
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_INVALID);
	assert_non_null(strstr(rco_tool_answer_json(a, NULL), "error"));
	assert_null(rco_tool_answer_receipt(a));
	rco_tool_answer_free(a);
	/* Vapi takes nothing but results, also where nobody knows whose call it is */
	r.json = "{\"message\":{\"type\":\"tool-calls\",\"call\":{\"id\":7},\"toolCallList\":[{\"id\":\"t\","
		 "\"name\":"
		 "\"" NAME "\"}]}}";
	r.json_bytes = strlen(r.json);
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_INVALID);
	assert_int_equal(rco_tool_answer_calls(a), 1);
	assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\"toolCallId\":\"t\",\"error\":"));
	assert_true(rco_tool_answer_sentence(a)[0] != '\0');
	rco_tool_answer_free(a);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	r.json = vapi;
	r.json_bytes = sizeof vapi - 1;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
	assert_string_equal(rco_receipt_call_id(rco_tool_answer_receipt(a)), "env");
	rco_tool_answer_free(a);
	r.json = retell;
	r.json_bytes = sizeof retell - 1;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
	assert_string_equal(rco_receipt_call_id(rco_tool_answer_receipt(a)), "env");
	rco_tool_answer_free(a);
	/* what the host bound is stronger */
	r.call_id = "bound-elsewhere";
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
	assert_string_equal(rco_receipt_call_id(rco_tool_answer_receipt(a)), "bound-elsewhere");
	rco_tool_answer_free(a);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(t_push_one(victim, 0, 1), RCO_OK);
	rco_session_free(s);
	rco_session_free(victim);
	t_world_destroy(&w);
}

/* A model may write whatever an envelope has: without one around the call nobody is named. */
static void test_no_envelope(void **state)
{
	static const struct {
		uint32_t dialect;
		const char *json;
	} none[] = {
		{RCO_DIALECT_RETELL, "{\"reason\":\"x\",\"call\":{\"call_id\":\"victim\"}}"},
		{RCO_DIALECT_RETELL, "{\"name\":\"" NAME "\",\"call\":{\"call_id\":\"victim\"}}"},
		{RCO_DIALECT_RETELL, "{\"args\":{},\"call\":{\"call_id\":\"victim\"}}"},
		{RCO_DIALECT_RETELL,
	         "{\"call\":{\"call_id\":\"victim\"},\"functionCall\":{\"name\":\"" NAME "\"}}"},
		{RCO_DIALECT_RETELL, "{\"call\":{\"call_id\":\"victim\"}} " NAME "()"},
		{RCO_DIALECT_VAPI, "{\"message\":{\"call\":{\"id\":\"victim\"}}} " NAME "()"},
		{RCO_DIALECT_VAPI, "{\"message\":{\"call\":{\"id\":\"victim\"}},\"type\":\"tool-calls\","
	                           "\"toolCallList\":[{\"id\":\"t\",\"name\":\"" NAME "\"}]}"},
	};
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r, .flags = RCO_TOOL_ENVELOPE};
	rco_tool_answer *a = NULL;
	rco_session *victim;
	t_world w;
	size_t i;

	(void)state;
	world(&w);
	victim = t_call(&w, "victim");
	for (i = 0; i < sizeof none / sizeof none[0]; i++) {
		r.dialect = none[i].dialect;
		r.json = none[i].json;
		r.json_bytes = strlen(r.json);
		r.call_id = NULL;
		assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_INVALID);
		assert_int_equal(rco_tool_answer_calls(a), 1);
		rco_tool_answer_free(a);
		r.call_id = "bound";
		assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
		assert_string_equal(rco_receipt_call_id(rco_tool_answer_receipt(a)), "bound");
		rco_tool_answer_free(a);
	}
	assert_int_equal(t_push_one(victim, 0, 1), RCO_OK);
	rco_session_free(victim);
	t_world_destroy(&w);
}

static const char *inner_text(const rco_tool_answer *a, const char *member, char out[512])
{
	json_t *got = json_loads(rco_tool_answer_json(a, NULL), 0, NULL), *inner;
	const char *text;

	inner = json_loads(json_string_value(json_object_get(got, "content")), 0, NULL);
	text = json_string_value(json_object_get(inner, member));
	(void)snprintf(out, 512, "%s", text != NULL ? text : "");
	json_decref(inner);
	json_decref(got);
	return out;
}

/* The answer says what is so, in the call's language; an opt-out that does not stand is an error. */
static void test_truth(void **state)
{
	static const char message[] = "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"" NAME "\",\"input\":{}}";
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .json = message,
	                      .json_bytes = sizeof message - 1,
	                      .language = "de-CH"};
	char text[512], wanted[512];
	rco_tool_answer *a = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	world(&w);
	s = t_call(&w, "de");
	t_push(s, 0, 1, 0, 5);
	r.session = s;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
	assert_int_equal(rco_sentence_get(NULL, "de", RCO_SAY_ERASING, NULL, wanted, sizeof wanted, NULL), RCO_OK);
	assert_string_equal(rco_tool_answer_sentence(a), wanted);
	assert_string_equal(inner_text(a, "sentence", text), wanted);
	rco_tool_answer_free(a);
	rco_session_free(s);

	/* nothing was recorded */
	s = t_call(&w, "silent");
	r.session = s;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
	assert_string_equal(inner_text(a, "status", text), "not_recording");
	rco_tool_answer_free(a);
	rco_session_free(s);

	/* over, and its window too */
	s = t_call(&w, "over");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 60000);
	r.session = s;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_ENDED);
	assert_string_equal(inner_text(a, "status", text), "ended");
	assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\"is_error\":true"));
	assert_null(rco_tool_answer_receipt(a));
	rco_tool_answer_free(a);
	rco_session_free(s);

	/* disabled */
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 0), RCO_OK);
	s = t_call(&w, "disabled");
	r.session = s;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_NOT_AVAILABLE);
	assert_string_equal(inner_text(a, "status", text), "not_available");
	assert_int_equal(rco_sentence_get(NULL, "de", RCO_SAY_NOT_AVAILABLE, NULL, wanted, sizeof wanted, NULL),
	                 RCO_OK);
	assert_string_equal(rco_tool_answer_sentence(a), wanted);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	rco_tool_answer_free(a);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Before the call is known; not waiting for the disk; the host's own words. */
static void test_options(void **state)
{
	static const char message[] = "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"" NAME "\",\"input\":{}}";
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .json = message,
	                      .json_bytes = sizeof message - 1,
	                      .call_id = "unborn",
	                      .source = "my-agent"};
	rco_session_options so = {.struct_size = (uint32_t)sizeof so, .call_id = "unborn"};
	rco_phrasebook *book = NULL;
	rco_tool_answer *a = NULL;
	char text[512];
	rco_session *s;
	t_world w;

	(void)state;
	world(&w);
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_OK);
	assert_string_equal(inner_text(a, "status", text), "noted");
	assert_string_equal(rco_receipt_source(rco_tool_answer_receipt(a)), "my-agent");
	rco_tool_answer_free(a);
	assert_int_equal(rco_session_create(w.engine, &so, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);

	assert_int_equal(rco_phrasebook_create(NULL, &book), RCO_OK);
	assert_int_equal(rco_phrasebook_set(book, "en", RCO_SAY_STOPPED, "{company} has stopped."), RCO_OK);
	s = t_call(&w, "nonblock");
	t_push(s, 0, 1, 0, 5);
	r.call_id = NULL;
	r.session = s;
	r.flags = RCO_TOOL_NONBLOCK;
	r.book = book;
	r.company = "Acme";
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_PENDING);
	assert_string_equal(inner_text(a, "status", text), "stopped");
	assert_string_equal(rco_tool_answer_sentence(a), "Acme has stopped.");
	assert_null(strstr(rco_tool_answer_json(a, NULL), "\"is_error\":true"));
	rco_tool_answer_free(a);
	rco_session_free(s);
	rco_phrasebook_free(book);

	/* requests that are none */
	r = (rco_tool_request){.struct_size = (uint32_t)sizeof r};
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_INVALID);
	r.call_id = "x";
	r.dialect = RCO_DIALECT_RETELL + 1;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_INVALID);
	r.dialect = 0;
	r.flags = 1u << 9;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_NEWER);
	r.flags = 0;
	r.json_bytes = 5;
	assert_int_equal(rco_tool_call(w.engine, &r, &a), RCO_E_INVALID);
	r.json_bytes = 0;
	assert_int_equal(rco_tool_call(w.engine, &r, NULL), RCO_E_INVALID);
	assert_int_equal(rco_tool_call(NULL, &r, &a), RCO_E_INVALID);
	assert_int_equal(rco_tool_call(w.engine, NULL, &a), RCO_E_INVALID);
	assert_int_equal(t_status(&w, "x"), RCO_STATUS_UNKNOWN);
	rco_tool_answer_free(NULL);
	t_world_destroy(&w);
}

static json_t *definition(t_world *w, uint32_t dialect, uint32_t flags)
{
	rco_tool_options o = {.struct_size = (uint32_t)sizeof o,
	                      .dialect = dialect,
	                      .flags = flags,
	                      .url = "https://calls.example/tool"};
	char buf[4096];
	json_t *got;
	size_t len;

	assert_int_equal(rco_tool_definition(w->engine, &o, buf, sizeof buf, &len), RCO_OK);
	assert_int_equal(len, strlen(buf));
	assert_true(ascii_line(buf));
	got = json_loads(buf, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(got);
	return got;
}

static const char *at(const json_t *v, const char *a, const char *b)
{
	const char *text =
		json_string_value(b != NULL ? json_object_get(json_object_get(v, a), b) : json_object_get(v, a));

	return text != NULL ? text : "";
}

static void test_definitions(void **state)
{
	static const char *const schema[][2] = {
		[RCO_DIALECT_OPENAI_CHAT] = {"function", "parameters"},
		[RCO_DIALECT_OPENAI_RESPONSES] = {"parameters"},
		[RCO_DIALECT_OPENAI_REALTIME] = {"parameters"},
		[RCO_DIALECT_ANTHROPIC] = {"input_schema"},
		[RCO_DIALECT_GEMINI] = {"parametersJsonSchema"},
		[RCO_DIALECT_GEMINI_LIVE] = {"parametersJsonSchema"},
		[RCO_DIALECT_MCP] = {"inputSchema"},
		[RCO_DIALECT_MCP_2026] = {"inputSchema"},
		[RCO_DIALECT_ELEVENLABS_WEBHOOK] = {"api_schema", "request_body_schema"},
		[RCO_DIALECT_ELEVENLABS_CLIENT] = {"parameters"},
		[RCO_DIALECT_VAPI] = {"function", "parameters"},
		[RCO_DIALECT_RETELL] = {"parameters"},
	};
	uint32_t dialect, strict;
	t_world w;

	(void)state;
	world(&w);
	for (dialect = RCO_DIALECT_OPENAI_CHAT; dialect <= RCO_DIALECT_RETELL; dialect++)
		for (strict = 0; strict < 2; strict++) {
			json_t *d = definition(&w, dialect, strict ? RCO_TOOL_STRICT : 0), *s;
			const char *name = at(d, "name", NULL);

			if (name[0] == '\0')
				name = at(d, "function", "name");
			assert_string_equal(name, NAME);
			s = json_object_get(d, schema[dialect][0]);
			if (schema[dialect][1] != NULL)
				s = json_object_get(s, schema[dialect][1]);
			assert_string_equal(at(s, "type", NULL), "object");
			/* no parameter is required: a call without any is a call */
			assert_int_equal(json_array_size(json_object_get(s, "required")), 0);
			assert_int_equal(json_object_size(json_object_get(s, "properties")), strict ? 0 : 1);
			assert_int_equal(json_is_false(json_object_get(s, "additionalProperties")), strict);
			json_decref(d);
		}
	t_world_destroy(&w);
}

/* P9: no tool while opt-out is disabled, for the engine or for the call. */
static void test_no_tool(void **state)
{
	rco_tool_options o = {.struct_size = (uint32_t)sizeof o, .dialect = RCO_DIALECT_ANTHROPIC};
	rco_session_options so = {
		.struct_size = (uint32_t)sizeof so, .call_id = "off", .opt_out = RCO_OPT_OUT_DISABLED};
	char buf[4096], tiny[10];
	rco_session *off, *on;
	size_t len = 0, whole;
	t_world w;

	(void)state;
	world(&w);
	off = t_call_with(&w, &so);
	so.call_id = "on";
	so.opt_out = RCO_OPT_OUT_ENABLED;
	on = t_call_with(&w, &so);
	assert_int_equal(rco_session_opt_out_enabled(on), 1);
	assert_int_equal(rco_session_opt_out_enabled(off), 0);
	assert_int_equal(rco_session_opt_out_enabled(NULL), RCO_E_INVALID);
	o.session = off;
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, &len), RCO_E_NOT_AVAILABLE);
	assert_int_equal(len, 0);
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 0), RCO_OK);
	o.session = NULL;
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, &len), RCO_E_NOT_AVAILABLE);
	o.session = on;
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, &whole), RCO_OK);
	assert_int_equal(rco_tool_definition(w.engine, &o, tiny, sizeof tiny, &len), RCO_E_LIMIT);
	assert_int_equal(len, whole);
	assert_int_equal(rco_tool_definition(w.engine, &o, NULL, 0, &len), RCO_E_LIMIT);
	assert_int_equal(rco_tool_definition(w.engine, &o, NULL, 5, &len), RCO_E_INVALID);
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, NULL), RCO_E_INVALID);
	o.dialect = RCO_DIALECT_VAPI; /* without a url */
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, &len), RCO_E_INVALID);
	o.dialect = RCO_DIALECT_AUTO;
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, &len), RCO_E_INVALID);
	o.dialect = RCO_DIALECT_ANTHROPIC;
	o.description = "\xff";
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, &len), RCO_E_NO_MEMORY);
	o.description = "My own.";
	assert_int_equal(rco_tool_definition(w.engine, &o, buf, sizeof buf, &len), RCO_OK);
	assert_non_null(strstr(buf, "\"My own.\""));
	assert_null(rco_dialect_name(RCO_DIALECT_RETELL + 1));
	rco_session_free(off);
	rco_session_free(on);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips), cmocka_unit_test(test_again),
		cmocka_unit_test(test_hostile),     cmocka_unit_test(test_others),
		cmocka_unit_test(test_batch),       cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_no_envelope), cmocka_unit_test(test_truth),
		cmocka_unit_test(test_options),     cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_one_answer),  cmocka_unit_test(test_answered_later),
		cmocka_unit_test(test_sdk_events),  cmocka_unit_test(test_chunk_and_message),
		cmocka_unit_test(test_retried),     cmocka_unit_test(test_asked_again),
		cmocka_unit_test(test_silent),      cmocka_unit_test(test_lists_that_repeat),
		cmocka_unit_test(test_definitions), cmocka_unit_test(test_no_tool),
	};

	(void)setenv("TMPDIR", t_shm(), 0); /* many engines, and nothing in here is about a disk */
	return cmocka_run_group_tests_name("tool calls", tests, NULL, NULL);
}
