/* SPDX-License-Identifier: MIT */
/*
 * Lines of the control socket: none can hang it, every answer fits, ids come back as they were sent, and a
 * recording stops when a line has been read, whatever the disk, a recorder or another request does.
 */
#include "control_socket.h"

#include <time.h>

/* The next line that comes, without its line break. */
static void next_line(int fd, char *out, size_t cap)
{
	size_t size = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		assert_int_equal(poll(&p, 1, 60000), 1);
		assert_int_equal(read(fd, out + size, 1), 1);
		if (out[size] == '\n')
			break;
		assert_true(++size < cap);
	}
	out[size] = '\0';
}

static void put(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		assert_true(n > 0);
		data += n;
		size -= (size_t)n;
	}
}

static void say(int fd, const char *line)
{
	put(fd, line, strlen(line));
}

static void answers(int fd, const char *line, const char *what)
{
	static char out[RCO_CONTROL_LINE_MAX + 1];

	say(fd, line);
	next_line(fd, out, sizeof out);
	if (strstr(out, what) == NULL)
		fail_msg("%.200s was answered %.400s", line, out);
}

/* ---- the last line ---- */

/* Says it without a line break, and no more, and hears everything. */
static void says_last(const control_socket *d, const char *line, size_t size, char *out, size_t cap)
{
	int fd = plug(d);

	put(fd, line, size);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	until_closed(fd, out, cap);
	(void)close(fd);
}

/* A client that says no more has ended the line; only a whole request is one. */
static void test_a_last_line_without_its_line_break(void **state)
{
	static const char
		line[] = "{\"do\":\"opt_out\",\"call_id\":\"last\"}",
		tool[] = "{\"do\":\"tool_call\",\"call_id\":\"tool\",\"message\":{\"type\":\"function_call\","
			 "\"call_id\":\"c\",\"name\":\"recording_opt_out\",\"arguments\":\"{}\"}}\r",
		hello[] = "{\"do\":\"hello\"}\n";
	char out[RCO_CONTROL_LINE_MAX + 1], two[256];
	rco_session *s, *t;
	size_t i;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	s = t_call(&d.w, "last");
	for (i = 1; i < strlen(line); i++) {
		says_last(&d, line, i, out, sizeof out);
		assert_non_null(strstr(out, "\"error\":\"RCO_E_INVALID\""));
		assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	}
	says_last(&d, line, i, out, sizeof out);
	assert_non_null(strstr(out, "{\"ok\":true"));
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	t = t_call(&d.w, "tool");
	(void)snprintf(two, sizeof two, "%s%s", hello, tool);
	says_last(&d, two, strlen(two), out, sizeof out);
	assert_non_null(strstr(out, "\"abi\""));
	assert_non_null(strstr(out, "\"calls\":1"));
	assert_int_equal(t_push_one(t, 0, 1), RCO_E_OPTED_OUT);
	/* blanks are no line, nor is a byte order mark */
	says_last(&d, "{\"do\":\"hello\"}\n \t\r", 18, out, sizeof out);
	assert_null(strstr(out, "error\":\"RCO_E"));
	says_last(&d, "\xef\xbb\xbf", 3, out, sizeof out);
	assert_string_equal(out, "");
	rco_session_free(s);
	rco_session_free(t);
	close_control(&d);
}

/* From the name on every cut of a tool call acts: in its message, and behind it. */
static void test_a_tool_call_that_is_cut_off(void **state)
{
	static const char *const lines[] = {
		"{\"do\":\"tool_call\",\"call_id\":\"cut %zu\",\"message\":{\"type\":\"function_call\",\"name\":"
		"\"recording_opt_out\",\"arguments\":\"{}\"},\"language\":\"de\"}",
		"{\"do\":\"tool_call\",\"call_id\":\"cut "
		"%zu\",\"message\":\"{\\\"type\\\":\\\"function_call\\\",\\\"name"
		"\\\":\\\"recording_opt_out\\\"}\",\"language\":\"de\"}"};
	char out[RCO_CONTROL_LINE_MAX + 1], line[256], id[32];
	size_t i, size, which = 0;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	for (i = 0; i < sizeof lines / sizeof lines[0]; i++)
		for (size = (size_t)snprintf(line, sizeof line, lines[i], ++which);
		     strstr(line, "recording_opt_out") + 17 <= line + size; size--) {
			rco_session *s;

			(void)snprintf(line, sizeof line, lines[i], which);
			line[size] = '\0';
			(void)snprintf(id, sizeof id, "cut %zu", which);
			s = t_call(&d.w, id);
			says_last(&d, line, size, out, sizeof out);
			if (t_push_one(s, 0, 1) != RCO_E_OPTED_OUT)
				fail_msg("%s: %s", line, out);
			rco_session_free(s);
			(void)snprintf(line, sizeof line, lines[i], ++which);
		}
	close_control(&d);
}

/* Gone at once, with all that it was told unread, or silent until its time is up: what it said counts. */
static void test_a_last_line_of_one_who_has_gone(void **state)
{
	rco_control_options o = {.idle_ms = 300};
	static const char line[] = "{\"do\":\"hello\"}\n{\"do\":\"opt_out\",\"call_id\":\"gone\"}";
	struct pollfd p = {.events = POLLIN};
	rco_client *c;
	rco_session *s;
	char out[4096];
	control_socket d;
	int fd;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	s = t_call(&d.w, "gone");
	fd = plug(&d);
	put(fd, line, strlen(line));
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 30000), 1);
	(void)close(fd); /* the answer to the first is unread: its end is an error there */
	t_await(&d.w, "gone", RCO_EVENT_DURABLE, 1);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	s = t_call(&d.w, "silent");
	fd = plug(&d);
	say(fd, "{\"do\":\"opt_out\",\"call_id\":\"silent\"}");
	until_closed(fd, out, sizeof out);
	(void)close(fd);
	t_await(&d.w, "silent", RCO_EVENT_DURABLE, 1);
	c = come(&d);
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	rco_client_close(c);
	rco_session_free(s);
	close_control(&d);
}

/* ---- ids ---- */

static void test_ids_come_back_as_they_were_sent(void **state)
{
	static const char *const good[] = {"7",
	                                   "-0",
	                                   "0.10",
	                                   "1e400",
	                                   "18446744073709551616",
	                                   "123456789012345678901234567890",
	                                   "\"x\"",
	                                   "\"\"",
	                                   "\"\\u00e9\\/\\u0000\\ud800\"",
	                                   "\"\xc3\xa9 \\\" }\""};
	static const char *const bad[] = {"null", "true", "[1e9,1e9]", "{\"a\":1}", "[]", "{}", "\"\xff\""};
	char line[256], id[128], *big;
	rco_session *s;
	size_t i;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	fd = plug(&d);
	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		(void)snprintf(line, sizeof line, "{\"id\":%s,\"do\":\"hello\"}\n", good[i]);
		(void)snprintf(id, sizeof id, "\"id\":%s}", good[i]);
		answers(fd, line, id);
		(void)snprintf(line, sizeof line, "{\"do\":\"dance\",\"id\":%s}\n", good[i]);
		answers(fd, line, id);
	}
	s = t_call(&d.w, "x");
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char out[4096];

		(void)snprintf(line, sizeof line, "{\"do\":\"opt_out\",\"call_id\":\"x\",\"id\":%s}\n", bad[i]);
		say(fd, line);
		next_line(fd, out, sizeof out);
		assert_non_null(strstr(out, "\"error\":\"RCO_E_INVALID\""));
		assert_null(strstr(out, "\"id\""));
		assert_int_equal(t_push_one(s, 0, 1), RCO_OK); /* nothing was done */
	}
	/* as long as may be, and one longer */
	big = repeated("{\"do\":\"hello\",\"id\":\"", "a", 1022, "\"}\n");
	answers(fd, big, "aaa\"}");
	free(big);
	big = repeated("{\"do\":\"hello\",\"id\":\"", "a", 1023, "\"}\n");
	answers(fd, big, "RCO_E_INVALID");
	free(big);
	big = repeated("{\"do\":\"hello\",\"id\":", "1", 1025, "}\n");
	answers(fd, big, "RCO_E_INVALID");
	free(big);
	rco_session_free(s);
	(void)close(fd);
	close_control(&d);
}

/* Each of these made an answer, or the error about it, longer than a line. */
static void test_no_answer_is_too_long(void **state)
{
	static const struct {
		const char *before, *what, *after;
		size_t times;
	} lines[] = {
		{"{\"do\":\"hello\",\"id\":[1e9", ",1e9", "]}\n", 16000},
		{"{\"do\":\"opt_out\",\"call_id\":\"y\",\"id\":[1e9", ",1e9", "]}\n", 16000},
		{"{\"do\":\"status\",\"call_id\":\"y\",\"id\":\"", "\xc3\xa9", "\"}\n", 30000},
		{"{\"do\":\"opt_out\",\"call_id\":\"", "\\u0001", "\"}\n", 10000},
		{"{\"do\":\"status\",\"call_id\":\"", "\xc3\xa9", "\"}\n", 30000},
		{"{\"do\":\"opt_out\",\"call_id\":\"y\",\"company\":\"", "\xe2\x82\xac", "\"}\n", 20000},
		{"{\"do\":\"opt_out\",\"call_id\":\"y\",\"language\":\"", "e", "\"}\n", 60000},
		{"{\"do\":\"opt_out\",\"call_id\":\"y\",\"source\":\"", "s", "\"}\n", 60000},
		{"{\"do\":\"tool\",\"dialect\":\"vapi\",\"url\":\"https://x/", "\\u0007", "\"}\n", 10000},
		{"{\"do\":\"tool\",\"dialect\":\"mcp\",\"description\":\"", "\xc3\xa9", "\"}\n", 30000},
		{"{\"do\":\"tool\",\"dialect\":\"", "x", "\"}\n", 60000},
		{"{\"do\":\"", "x", "\"}\n", 60000},
		{"{\"do\":\"events\",\"call_id\":\"", "x", "\"}\n", 60000},
		{"{\"do\":\"tool_call\",\"call_id\":\"y\",\"message\":{\"toolCallList\":[", "{},", "0]}}\n",
	         16000},
	};
	size_t i;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	fd = plug(&d);
	for (i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		char *line = repeated(lines[i].before, lines[i].what, lines[i].times, lines[i].after);

		answers(fd, line, "{\"ok\":");
		free(line);
		answers(fd, "{\"do\":\"hello\",\"id\":1}\n", "\"id\":1}");
	}
	(void)close(fd);
	close_control(&d);
}

/* More ids than a line has room for answers: what became of the request is told all the same. */
static void test_an_answer_with_many_ids(void **state)
{
	char *out = malloc(RCO_CONTROL_LINE_MAX + 1);
	rco__text line = {0};
	rco_session *s;
	json_t *a;
	int fd, i;
	control_socket d;

	(void)state;
	assert_non_null(out);
	open_control(&d, T_WORKERS);
	s = t_call(&d.w, "many");
	rco__text_put(&line, "{\"do\":\"tool_call\",\"call_id\":\"many\",\"message\":{\"role\":\"assistant\","
	                     "\"tool_calls\":[0");
	for (i = 0; i < 1000; i++) {
		rco__text_put(&line, ",{\"id\":\"an id of some length to fill the answer with it, number ");
		rco__text_number(&line, i);
		rco__text_put(&line, "\",\"type\":\"function\",\"function\":{\"name\":\"recording_opt_out\","
		                     "\"arguments\":\"{}\"}}");
	}
	rco__text_put(&line, "]}}\n");
	assert_false(line.failed);
	fd = plug(&d);
	put(fd, line.bytes, line.size);
	next_line(fd, out, RCO_CONTROL_LINE_MAX);
	a = json_loads(out, 0, NULL);
	assert_non_null(a);
	assert_int_equal(number(a, "code"), RCO_PENDING);
	assert_string_equal(text(a, "reason"), "RCO_E_LIMIT");
	assert_string_not_equal(text(a, "status"), "unknown");
	assert_int_equal(number(a, "calls"), 1000);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	json_decref(a);
	free(line.bytes);
	free(out);
	(void)close(fd);
	rco_session_free(s);
	close_control(&d);
}

/* ---- what is JSON, and what is not ---- */

static void test_deep_and_odd(void **state)
{
	static const char *const refused[] = {"{\"do\":\"hello\",}\n",
	                                      "{\"do\":\"hello\"]\n",
	                                      "{\"do\":\"hello\"} x\n",
	                                      "{\"do\":\"hello\x01\"}\n",
	                                      "{\"do\":\"hello\" \"a\":1}\n",
	                                      "{\"do\":\"hello\",\"id\":01}\n",
	                                      "{\"do\":\"hello\",\"id\":+1}\n",
	                                      "{'do':'hello'}\n",
	                                      "{\"do\":\"hello\",\"do\":\"hello\"}\n",
	                                      "{\"do\":\"hello\",\"id\":NaN}\n"};
	char out[4096], *deep;
	size_t i;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	for (i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		fd = plug(&d);
		say(fd, refused[i]);
		until_closed(fd, out, sizeof out);
		if (strstr(out, "\"ok\":false") == NULL)
			fail_msg("%s was answered %s", refused[i], out);
		(void)close(fd);
	}
	fd = plug(&d);
	answers(fd, "\xef\xbb\xbf{\"do\":\"hello\"}\r\n", "\"ok\":true");
	answers(fd, " \t{ \"do\" : \"hello\" , \"more\":{\"do\":[\"dance\",{}]},\"id\" : 5 } \n", "\"id\":5}");
	answers(fd, "{\"d\\u006f\":\"hello\"}\n", "\"ok\":true");
	/* of what an opt-out does not need, the first */
	answers(fd,
	        "{\"do\":\"opt_out\",\"call_id\":\"two\",\"language\":\"en\",\"language\":\"de\",\"id\":7,\"id\":"
	        "8}\n",
	        "\"id\":7}");
	deep = repeated("{\"x\":", "[", 60000, "");
	put(fd, deep, strlen(deep));
	free(deep);
	say(fd, "\n");
	until_closed(fd, out, sizeof out);
	(void)close(fd);
	/* as deep, and JSON: it is passed over */
	fd = plug(&d);
	deep = repeated("{\"do\":\"hello\",\"x\":", "[", 30000, "");
	put(fd, deep, strlen(deep));
	free(deep);
	deep = repeated("", "]", 30000, "}\n");
	answers(fd, deep, "\"ok\":true");
	free(deep);
	(void)close(fd);
	close_control(&d);
}

/* Valid JSON that a reader of values would refuse: our tool's call opts out, another tool's does not. */
static void test_odd_messages(void **state)
{
	static const char *const odd[] = {"\"\\u0000\"", "\"\\ud800\"", "1e400", "12345678901234567890",
	                                  "\"\\udc00\\ud800\""};
	char line[1024];
	size_t i, k;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	fd = plug(&d);
	for (i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		for (k = 0; k < 2; k++) {
			rco_session *s;
			char call_id[32];

			(void)snprintf(call_id, sizeof call_id, "odd %zu %zu", i, k);
			s = t_call(&d.w, call_id);
			(void)snprintf(
				line, sizeof line,
				"{\"do\":\"tool_call\",\"call_id\":\"%s\",\"dialect\":\"anthropic\",\"message\":{"
				"\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"%s\",\"input\":{\"x\":%s}}}\n",
				call_id, k == 0 ? RCO_TOOL_NAME : "book_table", odd[i]);
			answers(fd, line, k == 0 ? "\"calls\":1" : "\"calls\":0");
			assert_int_equal(t_push_one(s, 0, 1), k == 0 ? RCO_E_OPTED_OUT : RCO_OK);
			rco_session_free(s);
		}
	}
	(void)close(fd);
	close_control(&d);
}

/* Messages are larger than lines, as objects and as text, and come in whatever pieces. */
static void test_large_messages(void **state)
{
	static const struct {
		const char *call_id, *before, *after;
	} forms[] = {
		{"object",
	         "{\"do\":\"tool_call\",\"call_id\":\"object\",\"dialect\":\"vapi\",\"message\":{\"message\":{"
	         "\"type\":\"tool-calls\","
	         "\"artifact\":{\"transcript\":\"",
	         "\"},\"toolCallList\":[{\"id\":\"v1\",\"name\":\"recording_opt_out\",\"arguments\":{}}]}}}\n"},
		{"text",
	         "{\"do\":\"tool_call\",\"call_id\":\"text\",\"dialect\":\"vapi\",\"message\":\"{\\\"message\\\":{"
	         "\\\"type\\\":"
	         "\\\"tool-calls\\\",\\\"artifact\\\":{\\\"transcript\\\":\\\"",
	         "\\\"},\\\"toolCallList\\\":[{\\\"id\\\":\\\"v1\\\",\\\"name\\\":\\\"recording_opt_out\\\","
	         "\\\"arguments\\\":{}}]}}"
	         "\"}\n"},
	};
	size_t i;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	for (i = 0; i < 2; i++) {
		rco_session *s = t_call(&d.w, forms[i].call_id);
		char *line = repeated(forms[i].before, "I want a table for two. ", 100000, forms[i].after);

		fd = plug(&d);
		answers(fd, line, "\"toolCallId\":\"v1\"");
		assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
		free(line);
		(void)close(fd);
		rco_session_free(s);
	}
	/* everything else of a line is bounded */
	fd = plug(&d);
	{
		char out[4096], *line = repeated("{\"do\":\"hello\",\"x\":\"", "x", 70000, "");

		(void)send(fd, line, strlen(line), MSG_NOSIGNAL);
		until_closed(fd, out, sizeof out);
		assert_non_null(strstr(out, "RCO_E_LIMIT"));
		free(line);
	}
	(void)close(fd);
	close_control(&d);
}

/* One odd member is no reason to close the connection, nor to refuse an objection that does not need it. */
static void test_members_that_make_no_sense(void **state)
{
	static const char *const odd[] = {
		"\"source\":\"\"",
		"\"source\":\"Agent Tool\"",
		"\"source\":\"\\ud83d\"",
		"\"source\":\"a\\u0000b\"",
		"\"company\":\"\\u0000\"",
		"\"company\":\"\\ud83d and \\ude00\"",
		"\"language\":\"\\u0000\"",
		"\"language\":\"\\udc00\\ud800\"",
		"\"wait\":\"\\ud800x\",\"wait_ms\":1",
		"\"dialect\":\"\\ud800\\u0041\"",
		"\"dialect\":\"none that there is\"",
		"\"url\":\"\\ud800\\\\\"",
	};
	static const char message[] =
		"{\\\"type\\\":\\\"tool_use\\\",\\\"id\\\":\\\"t\\\",\\\"name\\\":\\\"" RCO_TOOL_NAME
		"\\\",\\\"input\\\":{}}";
	char line[1024], out[8192], expected[64];
	size_t i, k;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	fd = plug(&d);
	for (i = 0; i < 2 * sizeof odd / sizeof odd[0]; i++) {
		rco_session *s;
		char call_id[32];

		k = i / 2;
		(void)snprintf(call_id, sizeof call_id, "call %zu", i);
		s = t_call(&d.w, call_id);
		if (i % 2 == 0)
			(void)snprintf(line, sizeof line,
			               "{\"do\":\"opt_out\",\"call_id\":\"%s\",%s,\"id\":%zu}\n", call_id, odd[k],
			               i);
		else
			(void)snprintf(
				line, sizeof line,
				"{\"do\":\"tool_call\",\"id\":%zu,%s,\"call_id\":\"%s\",\"message\":\"%s\"}\n", i,
				odd[k], call_id, message);
		say(fd, line);
		next_line(fd, out, sizeof out);
		(void)snprintf(expected, sizeof expected, "\"ignored\":\"%.*s,\"id\":%zu}",
		               (int)(strchr(odd[k], ':') - odd[k] - 1), odd[k] + 1, i);
		if (strstr(out, "\"code\":0,") == NULL || strstr(out, expected) == NULL)
			fail_msg("%s: %s", line, out);
		assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
		rco_session_free(s);
	}
	/* which call is meant has to be known */
	say(fd, "{\"do\":\"opt_out\",\"call_id\":\"a\\ud83d\",\"id\":\"x\"}\n{\"\\udc00\":\"\\ud800\",\"do\":"
	        "\"hello\"}\n");
	next_line(fd, out, sizeof out);
	assert_non_null(strstr(out, "\"error\":\"RCO_E_CALL_ID\""));
	assert_non_null(strstr(out, "\"id\":\"x\""));
	next_line(fd, out, sizeof out);
	assert_non_null(strstr(out, "\"version\""));
	/* an escape that is none is still no JSON */
	say(fd, "{\"do\":\"hello\",\"company\":\"\\ud83d\\u00zz\"}\n");
	until_closed(fd, out, sizeof out);
	assert_non_null(strstr(out, "one JSON object"));
	(void)close(fd);
	close_control(&d);
}

/* A dialect that comes too late is told; it is not the same as "no call of the tool". */
static void test_a_dialect_behind_a_long_message(void **state)
{
	char *line, out[8192];
	int fd, k;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	fd = plug(&d);
	for (k = 0; k < 2; k++) {
		line = repeated("{\"do\":\"tool_call\",\"call_id\":\"long\",\"message\":{\"x\":\"", "0123456789",
		                k == 0 ? 30000 : 3, "\"},\"dialect\":\"elevenlabs-webhook\",\"id\":1}\n");
		say(fd, line);
		free(line);
		next_line(fd, out, sizeof out);
		if ((strstr(out, "256 KiB") != NULL) != (k == 0))
			fail_msg("%s", out);
	}
	(void)close(fd);
	close_control(&d);
}

/* ---- who waits, and who does not ---- */

static t_fs fs; /* large, so not on the stack */

/* Pushes until it is refused; how long that took, in milliseconds. */
static int recorded_for(rco_session *s)
{
	struct timespec a, b;

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	do {
		(void)poll(NULL, 0, 1);
		(void)clock_gettime(CLOCK_MONOTONIC, &b);
	} while (t_push_one(s, 0, 1) == RCO_OK && b.tv_sec - a.tv_sec < 30);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	return (int)((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
}

/* Behind a disk that does not answer nobody is recorded longer, however the objection came. */
static void test_a_stalled_disk_delays_no_stop(void **state)
{
	static const char *const lines[] = {
		"{\"do\":\"opt_out\",\"call_id\":\"call 0\"}\n",
		"{\"do\":\"tool_call\",\"call_id\":\"call "
		"1\",\"dialect\":\"anthropic\",\"message\":{\"type\":\"tool_use\","
		"\"id\":\"t\",\"name\":\"recording_opt_out\",\"input\":{}}}\n",
		"{\"do\":\"tool_call\",\"call_id\":\"call "
		"2\",\"message\":\"{\\\"type\\\":\\\"tool_use\\\",\\\"id\\\":\\\"t\\\","
		"\\\"name\\\":\\\"recording_opt_out\\\",\\\"input\\\":{}}\",\"wait_ms\":60000}\n",
		"{\"do\":\"opt_out\",\"call_id\":\"call 3\",\"wait\":\"verified\",\"timeout_ms\":60000}\n"};
	enum { MANY = 20 };
	rco_session *s[4], *more[MANY];
	char call_id[32], out[8192];
	rco_client *c;
	int fd, i;
	control_socket d;

	(void)state;
	t_world_init(&d.w, T_WORKERS);
	t_fs_init(&fs, "/ledger/");
	d.w.fs = &fs;
	t_world_open(&d.w);
	serve(&d, &(rco_control_options){0});
	for (i = 0; i < 4; i++) {
		(void)snprintf(call_id, sizeof call_id, "call %d", i);
		s[i] = t_call(&d.w, call_id);
		t_push(s[i], 0, 1, 0, 5);
	}
	/* calls are in the ledger before it stalls */
	c = come(&d);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"before\"}", RCO_OK);
	for (i = 0; i < MANY; i++) {
		(void)snprintf(call_id, sizeof call_id, "more %d", i);
		more[i] = t_call(&d.w, call_id);
	}
	t_fs_stall(&fs, T_FS_SYNCS);
	fd = plug(&d);
	for (i = 0; i < 4; i++) { /* all through one connection, and each behind those that wait */
		say(fd, lines[i]);
		assert_in_range(recorded_for(s[i]), 0, 10000);
	}
	for (i = 0; i < MANY; i++) { /* more than can wait for the disk at once */
		char line[128];

		(void)snprintf(line, sizeof line, "{\"do\":\"opt_out\",\"call_id\":\"more %d\",\"id\":%d}\n", i,
		               i);
		say(fd, line);
		assert_in_range(recorded_for(more[i]), 0, 10000);
	}
	expect(c, "{\"do\":\"hello\"}", RCO_OK); /* and others are served */
	assert_true(t_fs_resume(&fs));
	for (i = 0; i < 4;) { /* in their order, for they have no id */
		next_line(fd, out, sizeof out);
		assert_non_null(strstr(out, "\"ok\":true"));
		if (strstr(out, ",\"id\":") != NULL && strstr(out, "\"calls\"") == NULL)
			continue; /* of the others */
		assert_true((strstr(out, "\"calls\":1") != NULL) == (i == 1 || i == 2));
		i++;
	}
	if (strstr(out, "\"status\":\"verified\"") == NULL)
		fail_msg("%s", out);
	rco_client_close(c);
	(void)close(fd);
	for (i = 0; i < 4; i++)
		rco_session_free(s[i]);
	for (i = 0; i < MANY; i++)
		rco_session_free(more[i]);
	close_control(&d);
}

/* A recorder of the host; those of calls whose id begins with "slow" take their time over the stop. */
typedef struct recorders {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int stopped, entered, hold;
} recorders;

static int recorder_stops(const char *call_id, uint64_t op, struct rco_result *result, void *user_data)
{
	recorders *r = user_data;

	(void)op;
	(void)pthread_mutex_lock(&r->lock);
	r->entered++;
	(void)pthread_cond_broadcast(&r->changed);
	while (strncmp(call_id, "slow", 4) == 0 && r->hold)
		(void)pthread_cond_wait(&r->changed, &r->lock);
	r->stopped++;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

/* Until so many have been asked to stop, and so many have stopped. */
static void await_stops(recorders *r, int entered, int stopped)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	(void)pthread_mutex_lock(&r->lock);
	while (r->entered < entered || r->stopped < stopped)
		if (pthread_cond_timedwait(&r->changed, &r->lock, &until) != 0)
			fail_msg("%d of %d were asked, and %d of %d stopped", r->entered, entered, r->stopped,
			         stopped);
	(void)pthread_mutex_unlock(&r->lock);
}

static rco_session *recorded_call(t_world *w, recorders *r, const char *name, int i)
{
	rco_recorder_ops ops = t_recorder_ops;
	char call_id[32];
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = call_id, .recorder = &ops, .recorder_user_data = r};
	rco_session *s = NULL;

	ops.stop = recorder_stops;
	(void)snprintf(call_id, sizeof call_id, "%s %d", name, i);
	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

static void say_opt_out(int fd, const char *name, int i)
{
	char line[128];

	(void)snprintf(line, sizeof line, "{\"do\":\"opt_out\",\"call_id\":\"%s %d\",\"id\":%d}\n", name, i, i);
	say(fd, line);
}

/* Nor is a recorder of the host asked later: neither behind the disk, nor behind other recorders. */
static void test_a_recorder_is_stopped_at_once(void **state)
{
	enum { MANY = 40, SLOW = 20 };
	recorders r = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .hold = 1};
	rco_session *s[MANY], *slow[SLOW], *quick;
	char out[8192];
	int fd, i;
	control_socket d;

	(void)state;
	t_world_init(&d.w, T_WORKERS);
	t_fs_init(&fs, "/ledger/");
	d.w.fs = &fs;
	t_world_open(&d.w);
	serve(&d, &(rco_control_options){0});
	for (i = 0; i < MANY; i++)
		s[i] = recorded_call(&d.w, &r, "call", i);
	for (i = 0; i < SLOW; i++)
		slow[i] = recorded_call(&d.w, &r, "slow", i);
	quick = recorded_call(&d.w, &r, "quick", 0);
	t_fs_stall(&fs, T_FS_SYNCS);
	fd = plug(&d);
	for (i = 0; i < SLOW; i++) /* of calls that there are not */
		say_opt_out(fd, "none", i);
	for (i = 0; i < MANY; i++)
		say_opt_out(fd, "call", i);
	await_stops(&r, MANY, MANY);
	for (i = 0; i < SLOW; i++)
		say_opt_out(fd, "slow", i);
	say_opt_out(fd, "quick", 0);
	await_stops(&r, MANY + SLOW + 1, MANY + 1);
	assert_true(t_fs_resume(&fs));
	(void)pthread_mutex_lock(&r.lock);
	r.hold = 0;
	(void)pthread_cond_broadcast(&r.changed);
	(void)pthread_mutex_unlock(&r.lock);
	for (i = 0; i < MANY + 2 * SLOW + 1; i++) {
		next_line(fd, out, sizeof out);
		assert_non_null(strstr(out, "\"code\":0"));
	}
	(void)close(fd);
	for (i = 0; i < MANY; i++)
		rco_session_free(s[i]);
	for (i = 0; i < SLOW; i++)
		rco_session_free(slow[i]);
	rco_session_free(quick);
	close_control(&d);
}

static void *close_it(void *control)
{
	rco_control_close(control);
	return NULL;
}

/* While a disk holds up the end nobody comes any more, and nobody waits for an answer; what was said counts. */
static void test_closed_behind_a_stalled_disk(void **state)
{
	rco_session *s[2];
	pthread_t closing;
	rco_client *c;
	char out[8192];
	int fd, i;
	control_socket d;

	(void)state;
	t_world_init(&d.w, T_WORKERS);
	t_fs_init(&fs, "/ledger/");
	d.w.fs = &fs;
	t_world_open(&d.w);
	serve(&d, &(rco_control_options){0});
	for (i = 0; i < 2; i++)
		s[i] = t_call(&d.w, i == 0 ? "call 0" : "call 1");
	t_fs_stall(&fs, T_FS_SYNCS);
	fd = plug(&d);
	say_opt_out(fd, "call", 0);
	assert_in_range(recorded_for(s[0]), 0, 20000);
	say_opt_out(fd, "call", 1); /* read or not */
	assert_int_equal(pthread_create(&closing, NULL, close_it, d.control), 0);
	until_closed(fd, out, sizeof out);
	assert_int_equal(t_push_one(s[1], 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_client_connect(d.path, 100, &c), RCO_E_NOT_FOUND);
	assert_false(t_exists(d.path));
	assert_true(t_fs_resume(&fs));
	assert_int_equal(pthread_join(closing, NULL), 0);
	(void)close(fd);
	for (i = 0; i < 2; i++)
		rco_session_free(s[i]);
	d.control = NULL;
	close_control(&d);
}

/* However much is waited for, what comes behind it on the same connection stops the recording. */
static void test_behind_many_requests(void **state)
{
	static const char *const says[] = {
		"{\"do\":\"opt_out\",\"call_id\":\"later\",\"wait\":\"verified\",\"timeout_ms\":60000,\"id\":1}\n",
		"{\"do\":\"opt_out\",\"call_id\":\"later\"}\n"};
	enum { MANY = 1000 };
	char call_id[32], *lines, out[8192];
	rco_session *s[2];
	int fd, i, k, pending;
	control_socket d;

	(void)state;
	t_world_init(&d.w, T_WORKERS);
	t_fs_init(&fs, "/ledger/");
	d.w.fs = &fs;
	t_world_open(&d.w);
	serve(&d, &(rco_control_options){.idle_ms = 60000}); /* they are read byte by byte */
	for (k = 0; k < 2; k++) {
		(void)snprintf(call_id, sizeof call_id, "call %d", k);
		s[k] = t_call(&d.w, call_id);
	}
	t_fs_stall(&fs, T_FS_SYNCS);
	fd = plug(&d);
	for (k = 0; k < 2; k++) {
		lines = repeated("", says[k], MANY, "");
		say(fd, lines);
		free(lines);
		say_opt_out(fd, "call", k);
		assert_in_range(recorded_for(s[k]), 0, 20000);
	}
	assert_true(t_fs_resume(&fs));
	for (i = pending = 0; i < 2 * (MANY + 1); i++) {
		next_line(fd, out, sizeof out);
		assert_non_null(strstr(out, "\"ok\":true"));
		pending += strstr(out, "\"error\":\"RCO_PENDING\"") != NULL;
	}
	assert_true(pending >= MANY); /* and they were told */
	(void)close(fd);
	for (k = 0; k < 2; k++)
		rco_session_free(s[k]);
	close_control(&d);
}

/* Who asks for a lot and reads the answers afterwards gets them all. */
static void test_many_answers(void **state)
{
	enum { MANY = 3000 };
	char *lines = repeated("", "{\"do\":\"opt_out\",\"call_id\":\"a\"}\n", MANY, ""), out[8192];
	int fd, i;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &(rco_control_options){.idle_ms = 60000});
	fd = plug(&d);
	say(fd, lines);
	for (i = 0; i < MANY; i++) {
		next_line(fd, out, sizeof out);
		assert_non_null(strstr(out, "\"ok\":true"));
	}
	say(fd, "{\"do\":\"hello\"}\n");
	next_line(fd, out, sizeof out);
	assert_non_null(strstr(out, "\"version\""));
	free(lines);
	(void)close(fd);
	close_control(&d);
}

/* What waits for an erasure that does not come holds up nothing behind it that has an id. */
static void test_answers_by_id(void **state)
{
	char out[8192];
	rco_session *s;
	int fd, i;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	t_fault_set(&d.w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&d.w, "stuck");
	t_push(s, 0, 1, 0, 5);
	t_wait_buffered(s);
	fd = plug(&d);
	say(fd,
	    "{\"do\":\"opt_out\",\"call_id\":\"stuck\",\"wait\":\"erased\",\"timeout_ms\":60000,\"id\":\"slow\"}\n"
	    "{\"do\":\"tool_call\",\"call_id\":\"stuck\",\"wait_ms\":60000,\"id\":\"tool\",\"message\":{\"type\":"
	    "\"tool_use\","
	    "\"id\":\"t\",\"name\":\"recording_opt_out\",\"input\":{}}}\n"
	    "{\"do\":\"opt_out\",\"call_id\":\"other\",\"id\":\"quick\"}\n");
	next_line(fd, out, sizeof out);
	assert_non_null(strstr(out, "\"id\":\"quick\"}"));
	t_fault_set(&d.w.fault, T_ERASE, T_PASS, 0, 0);
	for (i = 0; i < 2; i++) {
		next_line(fd, out, sizeof out);
		assert_true(strstr(out, "\"status\":\"erased\"") != NULL ||
		            strstr(out, "\"status\":\"verified\"") != NULL);
	}
	(void)close(fd);
	rco_session_free(s);
	close_control(&d);
}

/* wait_ms is a bound: what has been reached by then is the answer. */
static void test_wait_ms_passes(void **state)
{
	char out[8192];
	rco_session *s;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	t_fault_set(&d.w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&d.w, "stuck");
	t_push(s, 0, 1, 0, 5);
	t_wait_buffered(s);
	fd = plug(&d);
	say(fd, "{\"do\":\"tool_call\",\"call_id\":\"stuck\",\"wait_ms\":50,\"message\":{\"type\":\"tool_use\","
	        "\"id\":\"t\","
	        "\"name\":\"recording_opt_out\",\"input\":{}}}\n");
	next_line(fd, out, sizeof out);
	assert_non_null(strstr(out, "\"ok\":true"));
	assert_true(strstr(out, "\"status\":\"durable\"") != NULL ||
	            strstr(out, "\"status\":\"retrying\"") != NULL);
	t_fault_set(&d.w.fault, T_ERASE, T_PASS, 0, 0);
	(void)close(fd);
	rco_session_free(s);
	close_control(&d);
}

/* As many waiting requests as a connection may have: further ones are still heard. */
static void test_more_requests_than_are_kept(void **state)
{
	char line[200], out[8192];
	rco_session *s;
	int fd, i;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	t_fault_set(&d.w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&d.w, "stuck");
	t_push(s, 0, 1, 0, 5);
	t_wait_buffered(s);
	fd = plug(&d);
	for (i = 0; i < 300; i++) {
		(void)snprintf(
			line, sizeof line,
			"{\"do\":\"opt_out\",\"call_id\":\"stuck\",\"wait\":\"erased\",\"timeout_ms\":60000,"
			"\"id\":%d}\n",
			i);
		say(fd, line);
	}
	say(fd, "{\"do\":\"opt_out\",\"call_id\":\"other\",\"id\":\"last\"}\n");
	do
		next_line(fd, out, sizeof out); /* those that waited longest are told how far it is */
	while (strstr(out, "\"id\":\"last\"}") == NULL);
	t_fault_set(&d.w.fault, T_ERASE, T_PASS, 0, 0);
	(void)close(fd);
	rco_session_free(s);
	close_control(&d);
}

/* A recorder that takes its time to stop keeps one job thread, and nobody else's answer. */
static _Atomic int recorder_goes_on;

static void slow_stop(int action)
{
	while (action == RCO_RECORDER_STOP && !atomic_load(&recorder_goes_on))
		(void)poll(NULL, 0, 5);
}

static void test_a_slow_recorder(void **state)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = "recorded", .recorder = &t_recorder_ops};
	rco_session *s, *other;
	rco_client *c;
	char out[8192];
	int fd, i;
	control_socket d;

	(void)state;
	atomic_store(&recorder_goes_on, 0);
	t_recorder.inside = slow_stop;
	open_control(&d, T_WORKERS);
	s = t_call_with(&d.w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	fd = plug(&d);
	say(fd, "{\"do\":\"opt_out\",\"call_id\":\"recorded\"}\n");
	c = come(&d);
	for (i = 0; i < 10; i++) {
		char request[100];

		(void)snprintf(request, sizeof request, "{\"do\":\"opt_out\",\"call_id\":\"other %d\"}", i);
		expect(c, request, RCO_OK);
	}
	other = t_call(&d.w, "heard");
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"heard\"}", RCO_OK);
	assert_int_equal(t_push_one(other, 0, 1), RCO_E_OPTED_OUT);
	atomic_store(&recorder_goes_on, 1);
	next_line(fd, out, sizeof out);
	assert_non_null(strstr(out, "\"ok\":true"));
	rco_client_close(c);
	(void)close(fd);
	rco_session_free(s);
	rco_session_free(other);
	close_control(&d);
}

/* ---- going away in the middle ---- */

static void test_disconnects(void **state)
{
	static const char line[] =
		"{\"do\":\"opt_out\",\"call_id\":\"gone\",\"wait\":\"verified\",\"timeout_ms\":60000}\n"
		"{\"do\":\"events\"}\n{\"do\":\"tool_call\",\"call_id\":\"gone\",\"message\":{\"type\":";
	rco_client *c;
	size_t n;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	for (n = 0; n < sizeof line; n++) {
		int fd = plug(&d);

		put(fd, line, n);
		if (n % 3 == 1)
			(void)shutdown(fd, SHUT_WR);
		if (n % 3 == 2)
			(void)shutdown(fd, SHUT_RD);
		(void)close(fd);
	}
	c = come(&d);
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	rco_client_close(c);
	close_control(&d);
}

/* Descriptors that come along are not kept. */
static size_t descriptors(void)
{
	char name[64];
	size_t n = 0;
	int i;

	for (i = 0; i < 1024; i++) {
		(void)snprintf(name, sizeof name, "/proc/self/fd/%d", i);
		n += access(name, F_OK) == 0;
	}
	return n;
}

static void test_descriptors_are_dropped(void **state)
{
	char byte[] = "{\"do\":\"hello\",\"id\":1}\n", out[4096];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(10 * sizeof(int))];
	} control;
	struct iovec io = {.iov_base = byte, .iov_len = sizeof byte - 1};
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *head;
	int fd, i, fds[10];
	size_t before;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	fd = plug(&d);
	answers(fd, byte, "\"id\":1}");
	before = descriptors();
	memset(&control, 0, sizeof control);
	head = CMSG_FIRSTHDR(&m);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof fds);
	for (i = 0; i < 10; i++)
		fds[i] = fd;
	memcpy(CMSG_DATA(head), fds, sizeof fds);
	for (i = 0; i < 20; i++) {
		assert_true(sendmsg(fd, &m, 0) > 0);
		next_line(fd, out, sizeof out);
		assert_non_null(strstr(out, "\"id\":1}"));
	}
	assert_int_equal(descriptors(), before);
	(void)close(fd);
	close_control(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_last_line_without_its_line_break),
		cmocka_unit_test(test_a_tool_call_that_is_cut_off),
		cmocka_unit_test(test_a_last_line_of_one_who_has_gone),
		cmocka_unit_test(test_ids_come_back_as_they_were_sent),
		cmocka_unit_test(test_no_answer_is_too_long),
		cmocka_unit_test(test_an_answer_with_many_ids),
		cmocka_unit_test(test_deep_and_odd),
		cmocka_unit_test(test_odd_messages),
		cmocka_unit_test(test_large_messages),
		cmocka_unit_test(test_members_that_make_no_sense),
		cmocka_unit_test(test_a_dialect_behind_a_long_message),
		cmocka_unit_test(test_a_stalled_disk_delays_no_stop),
		cmocka_unit_test(test_a_recorder_is_stopped_at_once),
		cmocka_unit_test(test_closed_behind_a_stalled_disk),
		cmocka_unit_test(test_behind_many_requests),
		cmocka_unit_test(test_many_answers),
		cmocka_unit_test(test_answers_by_id),
		cmocka_unit_test(test_wait_ms_passes),
		cmocka_unit_test(test_more_requests_than_are_kept),
		cmocka_unit_test(test_a_slow_recorder),
		cmocka_unit_test(test_disconnects),
		cmocka_unit_test(test_descriptors_are_dropped),
	};

	return cmocka_run_group_tests_name("lines of the control socket", tests, NULL, NULL);
}
