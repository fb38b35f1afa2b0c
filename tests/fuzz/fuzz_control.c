/* SPDX-License-Identifier: MIT */
/*
 * Lines that come through the control socket. Whatever is in one, it is a request or it is not, what it waits for
 * is bounded, and an answer to it is one line of JSON that fits and carries its id if that is of a sensible size.
 */
#include "fuzz.h"

#include "../../lib/control/control.h"

#include <stdlib.h>
#include <string.h>

static void check_error(const json_t *request)
{
	char *line = rco__answer_error(request, RCO_E_INVALID, "no");
	json_t *answer, *id = json_object_get(request, "id");
	size_t size;

	FUZZ_CHECK(line != NULL);
	size = strlen(line);
	FUZZ_CHECK(size > 1 && size <= RCO_CONTROL_LINE_MAX && line[size - 1] == '\n');
	FUZZ_CHECK(memchr(line, '\n', size - 1) == NULL);
	answer = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_CHECK(json_is_false(json_object_get(answer, "ok")));
	if (json_is_integer(id) || (json_is_string(id) && json_string_length(id) <= 256))
		FUZZ_CHECK(json_equal(json_object_get(answer, "id"), id));
	json_decref(answer);
	free(line);
}

static void one(const uint8_t *data, size_t size)
{
	char *exact = malloc(size > 0 ? size : 1);
	json_t *request;

	FUZZ_CHECK(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	request = rco__request_parse(exact, size);
	free(exact);
	FUZZ_CHECK(request == NULL || json_is_object(request));
	check_error(request);
	if (request != NULL) {
		FUZZ_CHECK(rco__request_wait_ms(request) <= RCO__WAIT_MAX_MS);
		/* what no engine is needed for: anything that is not asked of it */
		if (json_object_get(request, "do") == NULL) {
			char call_id[256], *line;
			int events = 7;

			line = rco__request_answer(NULL, request, &events, call_id);
			FUZZ_CHECK(line != NULL && events == 0);
			free(line);
		}
	}
	json_decref(request);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const lines[] = {
		"{\"do\":\"opt_out\",\"call_id\":\"x\",\"wait\":\"erased\",\"timeout_ms\":999999999,\"id\":7}",
		"{\"do\":\"status\",\"call_id\":7,\"id\":[1,{\"a\":null}]}",
		"{\"id\":1e400,\"wait\":\"verified\",\"timeout_ms\":-5}",
		"[]",
		"{\"do\":\"a\",\"do\":\"b\"}",
		"{\"id\":\"\\u0000\"}",
	};

	if (i >= sizeof lines / sizeof lines[0] || strlen(lines[i]) > cap)
		return 0;
	memcpy(out, lines[i], strlen(lines[i]));
	return strlen(lines[i]);
}

FUZZ_TARGET(control, one, seed, 1024, "lib/control/request.c", NULL)
