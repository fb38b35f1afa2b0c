/* SPDX-License-Identifier: MIT */
/*
 * Lines that come through the control socket, in pieces of any size. The pieces make no difference; whatever
 * jansson takes for an object is a request, with the same members; what it waits for is bounded; and an answer to
 * it is one line of JSON that fits and ends with its id as it came. The first byte says how the line is cut.
 */
#include "fuzz.h"

#include "../../lib/control/control.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The request, or NULL and why not. */
static rco__request *read_line(const uint8_t *data, size_t size, size_t piece, rco__read *what)
{
	rco__reader *reader = rco__reader_new();
	rco__request *request;
	size_t at = 0, used;

	FUZZ_CHECK(reader != NULL);
	*what = RCO__READ_MORE;
	while (at < size && *what == RCO__READ_MORE) {
		const size_t n = size - at < piece ? size - at : piece;
		char *exact = malloc(n);

		FUZZ_CHECK(exact != NULL);
		memcpy(exact, data + at, n);
		*what = rco__reader_feed(reader, exact, n, &used);
		free(exact);
		FUZZ_CHECK(used == n || *what != RCO__READ_MORE);
		at += used;
	}
	if (*what == RCO__READ_MORE)
		*what = rco__reader_feed(reader, "\n", 1, &used);
	FUZZ_CHECK(*what != RCO__READ_MORE);
	request = *what == RCO__READ_WHOLE ? rco__reader_take(reader) : NULL;
	rco__reader_free(reader);
	return request;
}

static int same_text(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static void check_same(const rco__request *a, const rco__request *b)
{
	size_t i;

	FUZZ_CHECK((a == NULL) == (b == NULL));
	if (a == NULL)
		return;
	FUZZ_CHECK(a->what == b->what && a->code == b->code && same_text(a->id, b->id));
	FUZZ_CHECK(a->timeout_ms == b->timeout_ms && a->wait_ms == b->wait_ms && a->strict == b->strict);
	FUZZ_CHECK((a->message == NULL) == (b->message == NULL));
	for (i = 0; i < RCO__M_TEXTS; i++)
		FUZZ_CHECK(same_text(a->text[i], b->text[i]));
}

static void check_line(char *line, const char *id)
{
	json_t *answer;
	size_t size;

	FUZZ_CHECK(line != NULL);
	size = strlen(line);
	FUZZ_CHECK(size > 2 && size <= RCO_CONTROL_LINE_MAX && line[size - 1] == '\n' && line[size - 2] == '}');
	FUZZ_CHECK(memchr(line, '\n', size - 1) == NULL);
	if (id != NULL) { /* which jansson may not be able to read */
		FUZZ_CHECK(size > strlen(id) + 8 && memcmp(line + size - 2 - strlen(id), id, strlen(id)) == 0);
		FUZZ_CHECK(memcmp(line + size - 2 - strlen(id) - 6, ",\"id\":", 6) == 0);
		size -= strlen(id) + 8;
		memcpy(line + size, "}", 2);
	}
	answer = json_loadb(line, strlen(line), JSON_REJECT_DUPLICATES, NULL);
	FUZZ_CHECK(json_is_false(json_object_get(answer, "ok")) && json_object_get(answer, "id") == NULL);
	json_decref(answer);
	free(line);
}

static void check_answers(rco__request *request)
{
	check_line(rco__answer_error(request, RCO_E_INVALID, "\xff no \"\n\xf0\x9f\x98\x80"),
	           request != NULL ? request->id : NULL);
	if (request == NULL)
		return;
	FUZZ_CHECK(rco__request_wait_ms(request) <= RCO__WAIT_MAX_MS);
	if (request->message != NULL) {
		rco__call_message_end(request);
		(void)rco__call_message_calls(request->message);
	}
	/* what no engine is needed for: anything that is not asked of it */
	if (request->what == RCO__DO_NOTHING || request->code != RCO_OK)
		check_line(rco__request_answer(NULL, request, 0), request->id);
}

static void check_member(const json_t *object, const char *name, const char *found)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
		FUZZ_CHECK(found != NULL && strcmp(found, json_string_value(value)) == 0);
}

/* Jansson's judgement, where it has one. */
static void compare(const uint8_t *data, size_t size, const rco__request *request)
{
	json_t *object = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(object)) {
		FUZZ_CHECK(request != NULL);
		check_member(object, "call_id", request->text[RCO__M_CALL_ID]);
		check_member(object, "source", request->text[RCO__M_SOURCE]);
		check_member(object, "wait", request->text[RCO__M_WAIT]);
		check_member(object, "company", request->text[RCO__M_COMPANY]);
		FUZZ_CHECK(request->strict == json_is_true(json_object_get(object, "strict")));
	}
	json_decref(object);
}

static void one(const uint8_t *data, size_t size)
{
	rco__request *whole, *cut;
	rco__read as_whole, as_cut;

	if (size == 0)
		return;
	whole = read_line(data + 1, size - 1, size, &as_whole);
	cut = read_line(data + 1, size - 1, (size_t)data[0] % 16 + 1, &as_cut);
	FUZZ_CHECK(as_whole == as_cut);
	check_same(whole, cut);
	/* jansson 2.14 passes over a NUL behind a number */
	if (size > 1 && memchr(data + 1, '\n', size - 1) == NULL && memchr(data + 1, '\0', size - 1) == NULL)
		compare(data + 1, size - 1, whole);
	check_answers(whole);
	check_answers(cut);
	rco__request_free(whole);
	rco__request_free(cut);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const lines[] = {
		"{\"do\":\"opt_out\",\"call_id\":\"x\",\"wait\":\"erased\",\"timeout_ms\":999999999,\"id\":7}",
		"{\"do\":\"status\",\"call_id\":7,\"id\":[1,{\"a\":null}]}",
		"{\"id\":1e400,\"wait\":\"verified\",\"timeout_ms\":-5}",
		"[]",
		"{\"do\":\"a\",\"do\":\"b\"}",
		"{\"id\":\"\\u0000\\ud800\"}",
		"\xef\xbb\xbf{\"do\":\"hello\",\"strict\":true,\"more\":[{\"id\":3}]}",
		"{\"do\":\"tool_call\",\"call_id\":\"x\",\"message\":{\"name\":\"recording_opt_out\",\"x\":[1e999]"
		"},"
		"\"dialect\":\"mcp\",\"wait_ms\":5}",
		"{\"message\":\"{\\\"name\\\":\\\"recording_opt_out\\\"}\",\"call_id\":\"\\ud83d\\ude00\"}",
		"{\"do\":\"tool_call\",\"call_id\":\"x\",\"message\":{\"name\":\"recording_opt_out\"",
	};
	size_t size;

	if (i >= sizeof lines / sizeof lines[0])
		return 0;
	size = strlen(lines[i]) + 1;
	if (size > cap)
		return 0;
	out[0] = (uint8_t)i;
	memcpy(out + 1, lines[i], size - 1);
	return size;
}

FUZZ_TARGET(control, one, seed, 1024,
            "lib/control/reader.c lib/control/request.c lib/control/message.c lib/base/json_write.c", NULL)
