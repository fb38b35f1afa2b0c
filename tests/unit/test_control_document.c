/* SPDX-License-Identifier: MIT */
/*
 * What recoptout/control.h says of the protocol, held against an engine: every example that stands there is tried,
 * every request of the list is known, has the members that are told, and every error's number is that of its name.
 */
#include "control_socket.h"

#include <ctype.h>

static char *header;

/* The text of the comments, without their stars. */
static int read_header(void **state)
{
	size_t size = 0, i, n = 0;
	uint8_t *file = t_read_file("include/recoptout/control.h", &size);

	(void)state;
	assert_non_null(file);
	header = malloc(size + 1);
	assert_non_null(header);
	for (i = 0; i < size; i++) {
		if (i > 0 && file[i - 1] == '\n' && i + 1 < size && file[i] == ' ' && file[i + 1] == '*')
			i += i + 2 < size && file[i + 2] == ' ' ? 3 : 2;
		header[n++] = (char)file[i];
	}
	header[n] = '\0';
	free(file);
	return 0;
}

static int free_header(void **state)
{
	(void)state;
	free(header);
	return 0;
}

/* An example: a line that begins with "> " or "< ", and what follows it deeper in. */
static const char *example(const char *at, char kind, char *out, size_t cap)
{
	char begin[8];
	const char *from, *end;
	size_t n = 0;

	(void)snprintf(begin, sizeof begin, "\n    %c ", kind);
	from = strstr(at, begin);
	if (from == NULL)
		return NULL;
	from += 7;
	for (;;) {
		end = strchr(from, '\n');
		assert_non_null(end);
		assert_true(n + (size_t)(end - from) < cap);
		memcpy(out + n, from, (size_t)(end - from));
		n += (size_t)(end - from);
		if (strncmp(end, "\n       ", 8) != 0)
			break;
		from = end + 8;
	}
	out[n] = '\0';
	return end;
}

static json_t *parsed(const char *text_of)
{
	json_error_t why;
	json_t *v = json_loads(text_of, JSON_REJECT_DUPLICATES, &why);

	if (v == NULL)
		fail_msg("%s is not JSON: %s", text_of, why.text);
	return v;
}

/* The members of the one are those of the other. */
static void same_members(const json_t *documented, const json_t *real)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)documented, name, value)
	{
		const json_t *there = json_object_get(real, name);

		if (there == NULL)
			fail_msg("%s is documented, and not in the answer", name);
		if (json_is_string(value) != json_is_string(there))
			fail_msg("%s has another type than documented", name);
	}
	json_object_foreach((json_t *)real, name, value) if (json_object_get(documented, name) == NULL)
		fail_msg("%s is in the answer, and not documented", name);
}

/* A number and a name that stand together belong together. */
static void check_error(const json_t *answer)
{
	assert_string_equal(text(answer, "error"), rco_error_name(number(answer, "code")));
	assert_int_equal(json_is_true(json_object_get(answer, "ok")), number(answer, "code") >= 0);
}

static void test_examples(void **state)
{
	char asked[2048], told[2048];
	const char *at = header, *answer_at;
	int n = 0;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	while ((at = example(at, '>', asked, sizeof asked)) != NULL) {
		json_t *request = parsed(asked), *documented, *real;
		int code;
		rco_session *s = t_call(&d.w, text(request, "call_id"));
		rco_client *c = come(&d);

		answer_at = example(at, '<', told, sizeof told);
		assert_non_null(answer_at);
		documented = parsed(told);
		check_error(documented);
		code = number(documented, "code");
		t_push(s, 0, 1, 0, 5);
		t_wait_buffered(s);
		if (code == RCO_E_ENDED) { /* what makes it so */
			assert_int_equal(rco_session_end(s), RCO_OK);
			t_await(&d.w, text(request, "call_id"), RCO_EVENT_STORED, 1);
		}
		real = ask(c, asked);
		assert_int_equal(number(real, "code"), code);
		if (code < 0) { /* a sentence and a status may come with it */
			assert_non_null(json_object_get(real, "detail"));
			json_object_del(real, "status");
			json_object_del(real, "sentence");
		}
		if (json_object_get(documented, "id") == NULL)
			json_object_del(real, "id"); /* of the client's */
		same_members(documented, real);
		json_decref(real);
		json_decref(documented);
		json_decref(request);
		rco_session_free(s);
		rco_client_close(c);
		n++;
	}
	assert_int_equal(n, 2);
	close_control(&d);
}

static void test_the_event(void **state)
{
	const rco_event e = {.struct_size = (uint32_t)sizeof e,
	                     .type = RCO_EVENT_DURABLE,
	                     .call_id = "x",
	                     .receipt_id = "y",
	                     .message = ""};
	char told[2048];
	const char *at = strstr(header, "- `events`"), *line = NULL;
	json_t *documented, *real;
	rco_client *c;
	rco_session *s;
	control_socket d;

	(void)state;
	(void)e;
	assert_non_null(at);
	assert_non_null(example(at, '<', told, sizeof told));
	documented = parsed(told);
	open_control(&d, T_WORKERS);
	c = come(&d);
	expect(c, "{\"do\":\"events\"}", RCO_OK);
	s = t_call(&d.w, "x");
	assert_int_equal(rco_client_event(c, 20000, &line), RCO_OK);
	real = parsed(line);
	same_members(documented, real);
	json_decref(real);
	json_decref(documented);
	rco_client_close(c);
	rco_session_free(s);
	close_control(&d);
}

/* Column `column` of the list, with the lines that go on below. */
static void words_of(const char *row, size_t column, size_t next, char *out, size_t cap)
{
	size_t n = 0, i;

	do {
		const char *end = strchr(row, '\n');
		size_t length = (size_t)(end - row);

		for (i = column; i < next && i < length && n + 2 < cap; i++)
			out[n++] = row[i];
		out[n++] = ' ';
		row = end + 1;
	} while (strncmp(row, "               ", 15) == 0 && isalpha((unsigned char)row[15]));
	out[n] = '\0';
}

static size_t count_words(const char *list)
{
	size_t n = 0;

	for (; *list != '\0'; list++)
		n += (isalpha((unsigned char)*list) || *list == '_') &&
		     !(isalpha((unsigned char)list[1]) || list[1] == '_');
	return n;
}

/* Each request of the list is known, and what it answers has the members that are told. */
static void test_the_list(void **state)
{
	static const char *const names[] = {"hello", "opt_out",   "status", "pending",
	                                    "tool",  "tool_call", "events"};
	char members[512], told[512], request[512];
	const char *list = strstr(header, "do         members"), *row;
	rco_session *s;
	rco_client *c;
	size_t i, n;
	control_socket d;

	(void)state;
	assert_non_null(list);
	open_control(&d, T_WORKERS);
	s = t_call(&d.w, "x");
	c = come(&d);
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *name;
		json_t *a, *value;

		(void)snprintf(request, sizeof request, "\n    %-9s  ", names[i]);
		row = strstr(list, request);
		if (row == NULL)
			fail_msg("%s is not in the list, or was garbled", names[i]);
		words_of(row + 1, 15, 49, members, sizeof members);
		words_of(row + 1, 49, 200, told, sizeof told);
		(void)snprintf(
			request, sizeof request,
			"{\"do\":\"%s\",\"call_id\":\"x\",\"dialect\":\"mcp\",\"message\":\"{\\\"name\\\":\\\""
			"recording_opt_out\\\"}\"}",
			names[i]);
		a = ask(c, request);
		if (!json_is_true(json_object_get(a, "ok")))
			fail_msg("%s is answered %s", request, text(a, "detail"));
		n = 0;
		json_object_foreach(a, name, value)
		{
			if (strcmp(name, "ok") == 0 || strcmp(name, "code") == 0 || strcmp(name, "error") == 0 ||
			    strcmp(name, "id") == 0)
				continue;
			if (strstr(told, name) == NULL)
				fail_msg("%s answers %s, which is not told", names[i], name);
			n++;
		}
		if (strcmp(names[i], "events") != 0 && n != count_words(told))
			fail_msg("%s answers %zu members, not \"%s\"", names[i], n, told);
		json_decref(a);
	}
	rco_client_close(c);
	rco_session_free(s);
	close_control(&d);
}

/* What is told of limits. */
static void test_numbers(void **state)
{
	char what[128];

	(void)state;
	(void)snprintf(what, sizeof what, "at most %d KiB each", RCO_CONTROL_LINE_MAX / 1024);
	assert_non_null(strstr(header, what));
	assert_non_null(strstr(header, "number of at most 1,024 bytes"));
	assert_non_null(strstr(header, "(default 5,000, at most 60,000)"));
	assert_non_null(strstr(header, "at most 100 of them"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_the_event),
		cmocka_unit_test(test_the_list),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("the protocol as documented", tests, read_header, free_header);
}
