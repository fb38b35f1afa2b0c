/* SPDX-License-Identifier: MIT */
/*
 * The socket for other processes: what is asked for through it is durable when it is answered, and a client that
 * is wrong, slow, half-open, too long or hostile neither gets in nor holds up anybody.
 */
#include "control_socket.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void test_opt_out(void **state)
{
	uint8_t key[32];
	const char *receipt = NULL;
	uint32_t status, told;
	rco_receipt *r = NULL;
	rco_session *s, *other;
	rco_client *c;
	json_t *a;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS | T_SPOOL);
	s = t_call(&d.w, "call 1");
	other = t_call(&d.w, "call 2");
	t_push(s, 0, 1, 0, 10);
	t_push(other, 0, 2, 0, 10);
	c = come(&d);
	assert_int_equal(rco_client_opt_out(c, "call 1", "agent-tool", &status, &receipt), RCO_OK);
	assert_in_range(status, RCO_STATUS_DURABLE, RCO_STATUS_VERIFIED);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(t_push_one(other, 0, 2), RCO_OK);
	/* the receipt is evidence, as it came */
	assert_non_null(receipt);
	assert_int_equal(rco_engine_public_key(d.w.engine, key), RCO_OK);
	assert_int_equal(rco_receipt_verify(receipt, strlen(receipt), key, &told), RCO_OK);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_true((rco_receipt_facts(r) & RCO_FACT_DURABLE) != 0);
	assert_string_equal(rco_receipt_source(r), "agent-tool");
	assert_non_null(strstr(receipt, rco_receipt_id(r)));

	/* again, and waiting for the end */
	a = ask(c, "{\"do\":\"opt_out\",\"call_id\":\"call "
	           "1\",\"wait\":\"verified\",\"timeout_ms\":20000,\"language\":"
	           "\"de\",\"id\":\"x7\"}");
	assert_string_equal(text(a, "status"), "verified");
	assert_string_equal(text(a, "id"), "x7");
	assert_non_null(strstr(text(a, "receipt"), rco_receipt_id(r)));
	assert_non_null(strstr(text(a, "sentence"), "gelöscht"));
	json_decref(a);
	a = ask(c, "{\"do\":\"status\",\"call_id\":\"call 1\",\"id\":3}");
	assert_string_equal(text(a, "status"), "verified");
	assert_int_equal(number(a, "id"), 3);
	json_decref(a);

	/* not opted out; not known; before it is known */
	expect(c, "{\"do\":\"status\",\"call_id\":\"call 2\"}", RCO_E_NOT_FOUND);
	expect(c, "{\"do\":\"status\",\"call_id\":\"nobody\"}", RCO_E_NOT_FOUND);
	a = ask(c, "{\"do\":\"opt_out\",\"call_id\":\"unborn\"}");
	assert_string_equal(text(a, "status"), "noted");
	assert_non_null(strstr(text(a, "detail"), "no call of this id is known"));
	json_decref(a);
	rco_receipt_free(r);
	rco_session_free(s);
	rco_session_free(other);
	rco_client_close(c);
	close_control(&d);
}

static void test_other_requests(void **state)
{
	rco_session *s;
	rco_client *c;
	json_t *a, *one;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	c = come(&d);
	a = ask(c, "{\"do\":\"hello\"}");
	assert_string_equal(text(a, "version"), RCO_VERSION_STRING);
	assert_int_equal(number(a, "pid"), getpid());
	assert_true(json_is_true(json_object_get(a, "opt_out_enabled")));
	json_decref(a);

	/* an erasure that cannot be done is listed */
	t_fault_set(&d.w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&d.w, "stuck");
	t_push(s, 0, 1, 0, 10);
	t_wait_buffered(s);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"stuck\",\"wait\":\"erased\",\"timeout_ms\":50}", RCO_OK);
	a = ask(c, "{\"do\":\"pending\"}");
	assert_int_equal(number(a, "count"), 1);
	one = json_array_get(json_object_get(a, "pending"), 0);
	assert_string_equal(text(one, "call_id"), "stuck");
	assert_int_equal(strlen(text(one, "receipt_id")), RCO_ID_TEXT);
	json_decref(a);
	t_fault_set(&d.w.fault, T_ERASE, T_PASS, 0, 0);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"stuck\",\"wait\":\"erased\",\"timeout_ms\":60000}", RCO_OK);
	rco_session_free(s);

	a = ask(c, "{\"do\":\"tool\",\"dialect\":\"anthropic\"}");
	assert_string_equal(text(json_object_get(a, "definition"), "name"), RCO_TOOL_NAME);
	json_decref(a);
	expect(c, "{\"do\":\"tool\",\"dialect\":\"klingon\"}", RCO_E_INVALID);
	expect(c, "{\"do\":\"tool\"}", RCO_E_INVALID);
	expect(c, "{\"do\":\"tool\",\"dialect\":\"vapi\"}", RCO_E_INVALID);
	assert_int_equal(rco_engine_set_opt_out_enabled(d.w.engine, 0), RCO_OK);
	expect(c, "{\"do\":\"tool\",\"dialect\":\"mcp\"}", RCO_E_NOT_AVAILABLE);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"new\"}", RCO_E_NOT_AVAILABLE);
	assert_int_equal(rco_engine_set_opt_out_enabled(d.w.engine, 1), RCO_OK);

	s = t_call(&d.w, "tool");
	t_push(s, 0, 1, 0, 2);
	a = ask(c, "{\"do\":\"tool_call\",\"call_id\":\"tool\",\"dialect\":\"anthropic\",\"message\":{\"type\":"
	           "\"tool_use\","
	           "\"id\":\"t1\",\"name\":\"recording_opt_out\",\"input\":{}}}");
	assert_int_equal(number(a, "calls"), 1);
	assert_string_equal(text(json_object_get(a, "answer"), "tool_use_id"), "t1");
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	json_decref(a);
	rco_session_free(s);
	s = t_call(&d.w, "tool as text");
	t_push(s, 0, 1, 0, 2);
	a = ask(c, "{\"do\":\"tool_call\",\"call_id\":\"tool as text\",\"message\":\"{ broken\"}");
	assert_int_equal(number(a, "calls"), 0); /* that is no call of anything */
	json_decref(a);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	a = ask(c, "{\"do\":\"tool_call\",\"call_id\":\"tool as "
	           "text\",\"message\":\"{\\\"name\\\":\\\"recording_opt_out\\\",\"}");
	assert_int_equal(number(a, "calls"), 1);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	json_decref(a);
	/* without a call that is bound nothing happens, whatever the message names */
	expect(c, "{\"do\":\"tool_call\",\"message\":{\"call\":{\"call_id\":\"tool\"}}}", RCO_E_INVALID);

	expect(c, "{\"do\":\"opt_out\"}", RCO_E_INVALID);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"\"}", RCO_E_CALL_ID);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":7}", RCO_E_INVALID);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"x\",\"source\":\"NOT ALLOWED\"}", RCO_OK);
	expect(c, "{\"do\":\"dance\"}", RCO_E_INVALID);
	expect(c, "{}", RCO_E_INVALID);
	rco_session_free(s);
	rco_client_close(c);
	close_control(&d);
}

static void test_events(void **state)
{
	const char *line = NULL;
	rco_client *all, *one, *asker;
	rco_session *s;
	int seen = 0;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	all = come(&d);
	one = come(&d);
	asker = come(&d);
	expect(all, "{\"do\":\"events\"}", RCO_OK);
	expect(one, "{\"do\":\"events\",\"call_id\":\"mine\"}", RCO_OK);
	assert_int_equal(rco_client_event(all, 0, &line), RCO_E_TIMEOUT);
	s = t_call(&d.w, "other");
	t_push(s, 0, 1, 0, 5);
	expect(asker, "{\"do\":\"opt_out\",\"call_id\":\"other\",\"wait\":\"verified\",\"timeout_ms\":20000}",
	       RCO_OK);
	/* in between requests go on */
	expect(all, "{\"do\":\"hello\"}", RCO_OK);
	while (!seen && rco_client_event(all, 20000, &line) == RCO_OK) {
		json_t *e = json_loads(line, 0, NULL);

		assert_string_equal(text(e, "call_id"), "other");
		seen = strcmp(text(e, "event"), "verified") == 0;
		json_decref(e);
	}
	assert_true(seen);
	assert_int_equal(rco_client_event(one, 0, &line), RCO_E_TIMEOUT);
	rco_session_free(s);
	s = t_call(&d.w, "mine");
	assert_int_equal(rco_client_event(one, 20000, &line), RCO_OK);
	assert_non_null(strstr(line, "\"call_id\":\"mine\""));
	rco_session_free(s);
	rco_client_close(all);
	rco_client_close(one);
	rco_client_close(asker);
	close_control(&d);
}

/* ---- who behaves badly ---- */

static void test_bad_lines(void **state)
{
	static const char *const lines[] = {"\n",
	                                    "hello\n",
	                                    "[]\n",
	                                    "\"do\"\n",
	                                    "{\"do\":\n",
	                                    "\xff\xfe\x01\n",
	                                    "{}{}\n",
	                                    "GET / HTTP/1.1\r\n\r\n",
	                                    "{\"do\":\"hello\",\"do\":\"opt_out\"}\n"};
	char out[4096], *big = malloc(200000);
	size_t i;
	int fd;
	control_socket d;

	(void)state;
	assert_non_null(big);
	open_control(&d, T_WORKERS);
	for (i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		fd = plug(&d);
		assert_int_equal(write(fd, lines[i], strlen(lines[i])), (ssize_t)strlen(lines[i]));
		until_closed(fd, out, sizeof out);
		assert_non_null(strstr(out, "\"ok\":false"));
		(void)close(fd);
	}
	/* a line without an end; it is refused as soon as it is too long */
	memset(big, ' ', 200000);
	fd = plug(&d);
	(void)send(fd, big, 200000, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	until_closed(fd, out, sizeof out);
	(void)close(fd);
	/* nested as deep as fits */
	memset(big, '[', 60000);
	memcpy(big, "{\"do\":", 6);
	big[60000] = '\n';
	fd = plug(&d);
	assert_int_equal(write(fd, big, 60001), 60001);
	until_closed(fd, out, sizeof out);
	assert_non_null(strstr(out, "\"ok\":false"));
	(void)close(fd);
	free(big);
	close_control(&d);
}

/* Half a line, an answer that nobody reads, more connections than there is room for: the others are served. */
static void test_slow_and_many(void **state)
{
	static const char hello[] = "{\"do\":\"hello\"}\n";
	rco_control_options o = {.max_clients = 4, .idle_ms = 200};
	char out[4096];
	int slow, deaf, idle[12], i, pid_end[2];
	rco_session *s;
	rco_client *c;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	slow = plug(&d);
	assert_int_equal(write(slow, "{\"do\":\"op", 9), 9);
	deaf = plug(&d);
	for (i = 0; i < 100000; i++) /* asks, and never reads */
		if (send(deaf, hello, sizeof hello - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	s = t_call(&d.w, "served");
	t_push(s, 0, 1, 0, 5);
	c = come(&d);
	assert_int_equal(rco_client_opt_out(c, "served", NULL, NULL, NULL), RCO_OK);
	until_closed(slow, out, sizeof out);
	assert_string_equal(out, "");
	(void)close(slow);
	/* silent ones make room for who comes */
	for (i = 0; i < 12; i++)
		idle[i] = plug(&d);
	rco_client_close(c);
	c = come(&d);
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	for (i = 0; i < 12; i++)
		(void)close(idle[i]);
	(void)close(deaf);
	rco_session_free(s);
	rco_client_close(c);
	/* half-open: says what it has to say, and still hears the answer */
	assert_int_equal(pipe(pid_end), 0);
	(void)close(pid_end[0]);
	(void)close(pid_end[1]);
	slow = plug(&d);
	assert_int_equal(write(slow, "{\"do\":\"opt_out\",\"call_id\":\"later\"}\n", 36), 36);
	(void)shutdown(slow, SHUT_WR);
	until_closed(slow, out, sizeof out);
	assert_non_null(strstr(out, "\"ok\":true"));
	(void)close(slow);
	/* gone before the answer: it is done all the same */
	slow = plug(&d);
	assert_int_equal(write(slow, "{\"do\":\"opt_out\",\"call_id\":\"gone\"}\n", 35), 35);
	(void)close(slow);
	c = come(&d);
	for (i = 0; i < 20000; i++) {
		json_t *a = ask(c, "{\"do\":\"status\",\"call_id\":\"gone\"}");
		int known = json_is_true(json_object_get(a, "ok"));

		json_decref(a);
		if (known)
			break;
	}
	assert_true(i < 20000);
	rco_client_close(c);
	close_control(&d);
}

/* Several at once, each in its own turn, one waiting for what does not come. */
static void *many_requests(void *arg)
{
	control_socket *d = arg;
	rco_client *c = come(d);
	int i;

	for (i = 0; i < 50; i++) {
		char request[100];
		json_t *a;

		(void)snprintf(request, sizeof request, "{\"do\":\"opt_out\",\"call_id\":\"%p-%d\",\"id\":%d}",
		               (void *)c, i, i);
		a = ask(c, request);
		if (number(a, "id") != i || number(a, "code") != RCO_OK)
			abort();
		json_decref(a);
	}
	rco_client_close(c);
	return NULL;
}

static void test_at_once(void **state)
{
	pthread_t threads[6];
	rco_session *s;
	int waiting;
	size_t i;
	char out[4096];
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	t_fault_set(&d.w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&d.w, "never");
	t_push(s, 0, 1, 0, 5);
	t_wait_buffered(s);
	waiting = plug(&d);
	assert_int_equal(
		write(waiting,
	              "{\"do\":\"opt_out\",\"call_id\":\"never\",\"wait\":\"erased\",\"timeout_ms\":60000}\n", 71),
		71);
	for (i = 0; i < 6; i++)
		t_thread(&threads[i], many_requests, &d);
	for (i = 0; i < 6; i++)
		(void)pthread_join(threads[i], NULL);
	t_fault_set(&d.w.fault, T_ERASE, T_PASS, 0, 0);
	(void)shutdown(waiting, SHUT_WR);
	until_closed(waiting, out, sizeof out);
	assert_true(strstr(out, "\"status\":\"erased\"") != NULL ||
	            strstr(out, "\"status\":\"verified\"") != NULL);
	(void)close(waiting);
	rco_session_free(s);
	close_control(&d);
}

static void test_place(void **state)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[108], longer[200];
	rco_control *second = NULL;
	rco_client *c = NULL;
	int fd;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	o.path = d.path;
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_BUSY);
	assert_null(second);
	c = come(&d); /* and the first one is still there */
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	rco_client_close(c);
	/* left by a dead process */
	t_join(path, sizeof path, d.w.root, "old");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	(void)close(fd);
	assert_int_equal(rco_client_connect(path, 100, &c), RCO_E_NOT_FOUND);
	o.path = path;
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_OK);
	rco_control_close(second);
	/* not a socket */
	t_write_file(path, "x", 1);
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_STATE);
	assert_true(t_exists(path));
	/* a folder of everybody's */
	assert_int_equal(chmod(d.w.root, 0777), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_PERMISSION);
	assert_int_equal(chmod(d.w.root, 0700), 0);
	memset(longer, 'a', sizeof longer);
	longer[0] = '/';
	longer[sizeof longer - 1] = '\0';
	o.path = longer;
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_INVALID);
	o.path = path;
	o.max_clients = 5000;
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_INVALID);
	o.max_clients = 0;
	assert_int_equal(rco_control_open(NULL, &o, &second), RCO_E_INVALID);
	assert_int_equal(rco_control_open(d.w.engine, NULL, &second), RCO_E_INVALID);
	assert_int_equal(rco_control_open(d.w.engine, &o, NULL), RCO_E_INVALID);
	assert_int_equal(rco_client_connect(longer, 0, &c), RCO_E_INVALID);
	assert_int_equal(rco_client_connect("/nonexistent/sock", 0, &c), RCO_E_NOT_FOUND);
	rco_control_close(NULL);
	rco_client_close(NULL);
	close_control(&d);
}

/* The engine goes while somebody waits: an error, not a wait for ever. */
static void test_engine_goes(void **state)
{
	const char *answer = NULL;
	rco_client *c;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	c = come(&d);
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	close_control(&d);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_IO);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_IO);
	assert_int_equal(rco_client_request(c, "two\nlines", &answer), RCO_E_IO);
	rco_client_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opt_out),       cmocka_unit_test(test_other_requests),
		cmocka_unit_test(test_events),        cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_slow_and_many), cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_place),         cmocka_unit_test(test_engine_goes),
	};

	return cmocka_run_group_tests_name("the control socket", tests, NULL, NULL);
}
