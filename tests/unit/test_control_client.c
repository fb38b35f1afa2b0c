/* SPDX-License-Identifier: MIT */
/*
 * The client of the control socket: it matches answers to requests by their id, goes on after a time-out, and
 * connects again if it is asked to.
 */
#include "control_socket.h"

#include <time.h>

/* ---- a server of our own, in a thread, that does what it is told ---- */

typedef struct fake {
	char root[128], path[108];
	int fd;
	pthread_t thread;
	void (*serve)(int fd, int nth); /* its nth connection */
	int connections;
	_Atomic int go;
} fake;

static fake f;

static void *run_fake(void *arg)
{
	(void)arg;
	for (int nth = 0; nth < f.connections; nth++) {
		int fd = accept(f.fd, NULL, NULL);

		assert_true(fd >= 0);
		f.serve(fd, nth);
		(void)close(fd);
	}
	return NULL;
}

static void start_fake(void (*behave)(int fd, int nth), int connections)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(&f, 0, sizeof f);
	t_tempdir(NULL, f.root, sizeof f.root);
	t_join(f.path, sizeof f.path, f.root, "sock");
	f.serve = behave;
	f.connections = connections;
	f.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", f.path);
	assert_int_equal(bind(f.fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(f.fd, 8), 0);
	t_thread(&f.thread, run_fake, NULL);
}

static void stop_fake(void)
{
	assert_int_equal(pthread_join(f.thread, NULL), 0);
	(void)close(f.fd);
	t_rmtree(f.root);
}

/* One request; 0 when the client is gone. */
static int hear(int fd, char *line, size_t cap)
{
	size_t n = 0;

	while (n < cap - 1 && read(fd, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = '\0';
			return 1;
		}
		n++;
	}
	return 0;
}

/* The id in it, as it stands there. */
static void id_of(const char *line, char id[64])
{
	json_t *request = json_loads(line, 0, NULL);
	char *text = json_dumps(json_object_get(request, "id"), JSON_ENCODE_ANY);

	assert_non_null(text);
	(void)snprintf(id, 64, "%s", text);
	free(text);
	json_decref(request);
}

static void tell(int fd, const char *id, const char *more)
{
	char line[512];

	(void)snprintf(line, sizeof line, "{\"ok\":true,\"code\":0%s,\"id\":%s}\n", more, id);
	(void)send(fd, line, strlen(line), MSG_NOSIGNAL);
}

static rco_client *meet(uint32_t timeout_ms, uint32_t flags)
{
	rco_client_options o = {
		.struct_size = (uint32_t)sizeof o, .flags = flags, .timeout_ms = timeout_ms, .path = f.path};
	rco_client *c = NULL;

	assert_int_equal(rco_client_open(&o, &c), RCO_OK);
	return c;
}

/* ---- ids ---- */

static void answer_late(int fd, int nth)
{
	char line[512], id[64], first[64];

	(void)nth;
	assert_true(hear(fd, line, sizeof line));
	id_of(line, first);
	while (!atomic_load(&f.go))
		(void)poll(NULL, 0, 2);
	assert_true(hear(fd, line, sizeof line));
	id_of(line, id);
	tell(fd, first, ",\"who\":\"late\"");
	(void)send(fd, "{\"event\":\"durable\",\"call_id\":\"rco-1\"}\n", 38, MSG_NOSIGNAL);
	tell(fd, id, ",\"who\":\"mine\",\"answer\":{\"id\":\"rco-1\"}"); /* a platform's id is not the request's */
	(void)hear(fd, line, sizeof line);
}

/* After a time-out the connection is as good as before: what comes late is nobody's answer. */
static void test_a_late_answer(void **state)
{
	const char *answer = NULL;
	rco_client *c;

	(void)state;
	start_fake(answer_late, 1);
	c = meet(300, 0);
	assert_int_equal(rco_client_request(c, "{\"do\":\"first\"}", &answer), RCO_E_TIMEOUT);
	assert_null(answer);
	atomic_store(&f.go, 1);
	assert_int_equal(rco_client_request(c, " { \"do\":\"second\"}", &answer), RCO_OK);
	assert_non_null(strstr(answer, "\"who\":\"mine\""));
	assert_int_equal(rco_client_event(c, 0, &answer), RCO_OK);
	assert_non_null(strstr(answer, "durable"));
	rco_client_close(c);
	stop_fake();
}

/* The late answers to ids of the host's, which may come again. */
static void answer_late_twice(int fd, int nth)
{
	char line[512];

	(void)nth;
	assert_true(hear(fd, line, sizeof line));
	assert_true(hear(fd, line, sizeof line));
	while (!atomic_load(&f.go))
		(void)poll(NULL, 0, 2);
	assert_true(hear(fd, line, sizeof line));
	tell(fd, "7", ",\"who\":\"late\"");
	tell(fd, "70", ",\"who\":\"nobody\"");
	tell(fd, "\"7\"", ",\"who\":\"late\"");
	tell(fd, "7", ",\"who\":\"mine\"");
	assert_true(hear(fd, line, sizeof line));
	tell(fd, "7", ",\"who\":\"nobody\"");
	tell(fd, "\"7\"", ",\"who\":\"second\"");
	assert_true(hear(fd, line, sizeof line));
	(void)send(fd, "{\"ok\":false,\"code\":-1}\n", 24, MSG_NOSIGNAL);
	(void)hear(fd, line, sizeof line);
}

static void test_late_answers_to_ids_of_the_hosts(void **state)
{
	const char *answer = NULL;
	rco_client *c;

	(void)state;
	start_fake(answer_late_twice, 1);
	c = meet(300, 0);
	assert_int_equal(rco_client_request(c, "{\"do\":\"a\",\"id\":7}", &answer), RCO_E_TIMEOUT);
	assert_int_equal(rco_client_request(c, "{\"do\":\"b\",\"id\":\"7\"}", &answer), RCO_E_TIMEOUT);
	atomic_store(&f.go, 1);
	assert_int_equal(rco_client_request(c, "{\"do\":\"c\",\"id\":7}", &answer), RCO_OK);
	assert_non_null(strstr(answer, "\"mine\""));
	assert_int_equal(rco_client_request(c, "{\"do\":\"d\",\"id\":\"7\"}", &answer), RCO_OK);
	assert_non_null(strstr(answer, "\"second\""));
	assert_int_equal(rco_client_request(c, "{\"do\":\"e\"", &answer), RCO_OK); /* no JSON: no id comes back */
	assert_string_equal(answer, "{\"ok\":false,\"code\":-1}");
	rco_client_close(c);
	stop_fake();
}

/* Answers of something that is no engine. */
static const char *const nonsense[] = {"\"ok\":false,\"code\":0",
                                       "\"ok\":true,\"code\":-1",
                                       "\"ok\":true",
                                       "\"code\":0",
                                       "\"ok\":1,\"code\":0",
                                       "\"ok\":true,\"code\":\"0\"",
                                       "\"ok\":true,\"code\":4294967296"};

enum { N_NONSENSE = sizeof nonsense / sizeof nonsense[0] };

static void answer_nonsense(int fd, int nth)
{
	char line[512], id[64];

	assert_true(hear(fd, line, sizeof line));
	id_of(line, id);
	(void)snprintf(line, sizeof line, "{%s,\"status\":\"durable\",\"id\":%s}\n", nonsense[nth], id);
	(void)send(fd, line, strlen(line), MSG_NOSIGNAL);
	(void)hear(fd, line, sizeof line);
}

static void test_what_is_no_engine(void **state)
{
	uint32_t status;
	int i;

	(void)state;
	start_fake(answer_nonsense, N_NONSENSE);
	for (i = 0; i < N_NONSENSE; i++) {
		rco_client *c = meet(20000, 0);

		assert_int_equal(rco_client_opt_out(c, "x", NULL, &status, NULL), RCO_E_IO);
		assert_int_equal(status, RCO_STATUS_UNKNOWN);
		assert_non_null(strstr(rco_error_detail(), "not an engine"));
		rco_client_close(c);
	}
	stop_fake();
}

static void tell_without_end(int fd, int nth)
{
	static const char *const what[] = {"{\"event\":\"durable\"}\n", "{\"ok\":true,\"code\":0,\"id\":1}\n"};

	while (send(fd, what[nth], strlen(what[nth]), MSG_NOSIGNAL) > 0)
		;
}

/* However much else comes. */
static void test_a_time_out_is_one(void **state)
{
	const char *answer = NULL;
	int i;

	(void)state;
	start_fake(tell_without_end, 2);
	for (i = 0; i < 2; i++) {
		rco_client *c = meet(100, 0);

		assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_TIMEOUT);
		assert_int_equal(rco_client_event(c, 50, &answer), i == 0 ? RCO_OK : RCO_E_TIMEOUT);
		rco_client_close(c);
	}
	stop_fake();
}

static void echo_lines(int fd, int nth)
{
	char line[4096], id[64];

	(void)nth;
	while (hear(fd, line, sizeof line)) {
		json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(request);
		id_of(line, id);
		tell(fd, id, "");
		json_decref(request);
	}
}

/* A request's own id stays; one without gets one, and stays JSON. */
static void test_ids(void **state)
{
	static const char *const requests[] = {"{}",
	                                       "{ }",
	                                       "{\"do\":\"hello\"}",
	                                       "{\"x\":{\"id\":1}}",
	                                       "{\"x\":\"\\\"id\\\":\"}",
	                                       "{\"x\":[{\"id\":1}]}"};
	const char *answer = NULL;
	rco_client *c;
	size_t i;

	(void)state;
	start_fake(echo_lines, 1);
	c = meet(20000, 0);
	for (i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		assert_int_equal(rco_client_request(c, requests[i], &answer), RCO_OK);
		assert_non_null(strstr(answer, "\"id\":\"rco-"));
	}
	assert_int_equal(rco_client_request(c, "{\"do\":\"x\", \"id\" : 7}", &answer), RCO_OK);
	assert_non_null(strstr(answer, "\"id\":7}"));
	assert_int_equal(rco_client_request(c, "{\"id\":\"a\\\"b\",\"do\":\"x\"}", &answer), RCO_OK);
	assert_int_equal(rco_client_request(c, "{\"do\":\"x\",\"id\":\"rco-1\"}", &answer), RCO_E_INVALID);
	assert_non_null(strstr(rco_error_detail(), "rco-"));
	assert_int_equal(rco_client_request(c, "{\"id\" : \"rco-\"}", &answer), RCO_E_INVALID);
	assert_int_equal(rco_client_request(c, "{\"id\":\"rco\"}", &answer), RCO_OK);
	assert_int_equal(rco_client_request(c, "", &answer), RCO_E_INVALID);
	assert_int_equal(rco_client_request(c, NULL, &answer), RCO_E_INVALID);
	assert_int_equal(rco_client_request(c, "{}", NULL), RCO_E_INVALID);
	assert_int_equal(rco_client_request(NULL, "{}", &answer), RCO_E_INVALID);
	rco_client_close(c);
	stop_fake();
}

static void tell_much(int fd, int nth)
{
	char line[512], id[64];
	int i;

	(void)nth;
	assert_true(hear(fd, line, sizeof line));
	id_of(line, id);
	for (i = 0; i < 1030; i++) {
		int n = snprintf(line, sizeof line, "{\"event\":\"durable\",\"count\":%d}\n", i);

		assert_int_equal(send(fd, line, (size_t)n, MSG_NOSIGNAL), n);
	}
	tell(fd, id, "");
	(void)hear(fd, line, sizeof line);
}

/* Events that come before an answer are kept, within reason; that some were not is told. */
static void test_events_that_are_not_asked_for(void **state)
{
	const char *event = NULL;
	rco_client *c;
	int i;

	(void)state;
	start_fake(tell_much, 1);
	c = meet(20000, 0);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &event), RCO_OK);
	assert_int_equal(rco_client_event(c, 0, &event), RCO_OK);
	assert_string_equal(event, "{\"event\":\"lost\",\"count\":6}");
	for (i = 6; i < 1030; i++) {
		char expected[64];

		(void)snprintf(expected, sizeof expected, "{\"event\":\"durable\",\"count\":%d}", i);
		assert_int_equal(rco_client_event(c, 0, &event), RCO_OK);
		assert_string_equal(event, expected);
	}
	assert_int_equal(rco_client_event(c, 0, &event), RCO_E_TIMEOUT);
	rco_client_close(c);
	stop_fake();
}

/* ---- connecting again ---- */

/* The first connection is lost in the middle of everything, the next one answers. */
static void lose_the_first(int fd, int nth)
{
	char line[512], id[64];

	if (nth == 0) {
		assert_true(hear(fd, line, sizeof line));
		assert_non_null(strstr(line, "events"));
		id_of(line, id);
		tell(fd, id, "");
		assert_true(hear(fd, line, sizeof line));
		(void)send(fd, "{\"ok\":true,", 11, MSG_NOSIGNAL);
		return;
	}
	assert_true(hear(fd, line, sizeof line)); /* subscribed again, before anything else */
	assert_non_null(strstr(line, "\"do\":\"events\""));
	id_of(line, id);
	tell(fd, id, "");
	assert_true(hear(fd, line, sizeof line));
	assert_non_null(strstr(line, "\"do\":\"opt_out\""));
	id_of(line, id);
	tell(fd, id, ",\"status\":\"durable\",\"receipt\":\"{}\"");
	(void)send(fd, "{\"event\":\"erased\"}\n", 19, MSG_NOSIGNAL);
	(void)hear(fd, line, sizeof line);
}

static void test_connects_again(void **state)
{
	const char *answer = NULL, *receipt = NULL;
	uint32_t status = 0;
	rco_client *c;

	(void)state;
	start_fake(lose_the_first, 2);
	c = meet(20000, RCO_CLIENT_RECONNECT);
	assert_int_equal(rco_client_request(c, "{\"do\":\"events\"}", &answer), RCO_OK);
	assert_int_equal(rco_client_opt_out(c, "x", NULL, &status, &receipt), RCO_OK);
	assert_int_equal(status, RCO_STATUS_DURABLE);
	assert_string_equal(receipt, "{}");
	assert_int_equal(rco_client_event(c, 20000, &answer), RCO_OK);
	assert_string_equal(answer, "{\"event\":\"lost\",\"count\":0}");
	assert_int_equal(rco_client_event(c, 20000, &answer), RCO_OK);
	assert_string_equal(answer, "{\"event\":\"erased\"}");
	rco_client_close(c);
	stop_fake();
}

static void hang_up_but_the_sixth(int fd, int nth)
{
	char line[512], id[64];

	assert_true(hear(fd, line, sizeof line));
	id_of(line, id);
	if (nth == 5)
		tell(fd, id, "");
}

/* Not without pause: at once, after 20 ms, 40, 80, 160. */
static void test_has_a_pause_before_it_connects_again(void **state)
{
	const char *answer = NULL;
	struct timespec before, after;
	rco_client *c;

	(void)state;
	start_fake(hang_up_but_the_sixth, 6);
	c = meet(20000, RCO_CLIENT_RECONNECT);
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_OK);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 299);
	rco_client_close(c);
	stop_fake();
}

static void hang_up(int fd, int nth)
{
	char line[512];

	(void)nth;
	(void)hear(fd, line, sizeof line);
}

static void test_does_not_unless_asked(void **state)
{
	const char *answer = NULL;
	rco_client *c;

	(void)state;
	start_fake(hang_up, 1);
	c = meet(20000, 0);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_IO);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_IO);
	assert_int_equal(rco_client_event(c, 0, &answer), RCO_E_IO);
	rco_client_close(c);
	stop_fake();
}

/* An engine that goes and comes back: the opt-out is repeated, and is the same. */
static control_socket d;

static void *come_back(void *arg)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o, .path = d.path};

	(void)arg;
	(void)poll(NULL, 0, 300);
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_OK);
	return NULL;
}

static void test_an_engine_that_comes_back(void **state)
{
	rco_client_options o = {
		.struct_size = (uint32_t)sizeof o, .flags = RCO_CLIENT_RECONNECT, .timeout_ms = 60000};
	const char *receipt = NULL, *event = NULL, *answer = NULL;
	char first[RCO_RECEIPT_JSON_MAX];
	rco_client *c = NULL;
	pthread_t thread;
	rco_session *s;

	(void)state;
	open_control(&d, T_WORKERS);
	o.path = d.path;
	assert_int_equal(rco_client_open(&o, &c), RCO_OK);
	expect(c, "{\"do\":\"events\",\"call_id\":\"y\"}", RCO_OK);
	assert_int_equal(rco_client_opt_out(c, "x", NULL, NULL, &receipt), RCO_OK);
	(void)snprintf(first, sizeof first, "%.60s", receipt); /* with the receipt's id */
	rco_control_close(d.control);
	t_thread(&thread, come_back, NULL);
	assert_int_equal(rco_client_opt_out(c, "x", NULL, NULL, &receipt), RCO_OK);
	assert_memory_equal(receipt, first, strlen(first));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(rco_client_event(c, 20000, &event), RCO_OK);
	assert_non_null(strstr(event, "\"lost\""));
	s = t_call(&d.w, "y");
	assert_int_equal(rco_client_event(c, 20000, &event), RCO_OK);
	assert_non_null(strstr(event, "\"call_id\":\"y\""));
	/* it is noticed as well by who only listens */
	rco_control_close(d.control);
	t_thread(&thread, come_back, NULL);
	do
		assert_int_equal(rco_client_event(c, 20000, &event), RCO_OK);
	while (strstr(event, "\"lost\"") == NULL);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* and that nobody comes back, in time */
	rco_control_close(d.control);
	rco_client_close(c);
	o.timeout_ms = 200;
	assert_int_equal(rco_client_open(&o, &c), RCO_E_NOT_FOUND);
	t_thread(&thread, come_back, NULL);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(rco_client_open(&o, &c), RCO_OK);
	rco_control_close(d.control);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_IO);
	assert_int_equal(rco_client_event(c, 50, &answer), RCO_E_IO);
	rco_client_close(c);
	rco_session_free(s);
	t_world_destroy(&d.w);
}

static void test_options(void **state)
{
	rco_client_options o = {.struct_size = (uint32_t)sizeof o, .path = "/nonexistent/sock"};
	rco_client *c = NULL;

	(void)state;
	assert_int_equal(rco_client_open(NULL, &c), RCO_E_INVALID);
	assert_int_equal(rco_client_open(&o, NULL), RCO_E_INVALID);
	assert_int_equal(rco_client_open(&o, &c), RCO_E_NOT_FOUND);
	o.flags = 4;
	assert_int_equal(rco_client_open(&o, &c), RCO_E_NEWER);
	o.flags = 0;
	o.server_uid = 1;
	assert_int_equal(rco_client_open(&o, &c), RCO_E_INVALID);
	o.server_uid = 0;
	o.path = "";
	assert_int_equal(rco_client_open(&o, &c), RCO_E_INVALID);
	o.struct_size = 8;
	assert_int_equal(rco_client_open(&o, &c), RCO_E_STRUCT_SIZE);
	assert_int_equal(rco_client_connect(NULL, 0, &c), RCO_E_INVALID);
}

static void ask_in_a_child(void *arg)
{
	rco_client *c = arg;
	const char *line = NULL;

	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &line), RCO_E_FORKED);
	assert_int_equal(rco_client_opt_out(c, "x", NULL, NULL, NULL), RCO_E_FORKED);
	assert_int_equal(rco_client_event(c, 0, &line), RCO_E_FORKED);
	rco_client_close(c);
}

/* A child that asked would take its parent's answers. */
static void test_a_client_in_a_child(void **state)
{
	rco_client *c;

	(void)state;
	open_control(&d, T_WORKERS);
	c = come(&d);
	assert_int_equal(t_reap(t_spawn(ask_in_a_child, c)), 0);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"x\"}", RCO_OK);
	rco_client_close(c);
	close_control(&d);
}

/* A message of any size goes through. */
static void test_a_large_request(void **state)
{
	const char *answer = NULL;
	char *request =
		repeated("{\"do\":\"tool_call\",\"call_id\":\"big\",\"message\":{\"type\":\"tool_use\",\"id\":"
	                 "\"t\",\"name\":\"recording_opt_out\",\"input\":{\"why\":\"",
	                 "because ", 400000, "\"}}}");
	rco_session *s;
	rco_client *c;

	(void)state;
	open_control(&d, T_WORKERS);
	s = t_call(&d.w, "big");
	c = come(&d);
	assert_int_equal(rco_client_request(c, request, &answer), RCO_OK);
	assert_non_null(strstr(answer, "\"calls\":1"));
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	free(request);
	rco_client_close(c);
	rco_session_free(s);
	close_control(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_late_answer),
		cmocka_unit_test(test_late_answers_to_ids_of_the_hosts),
		cmocka_unit_test(test_what_is_no_engine),
		cmocka_unit_test(test_a_time_out_is_one),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_events_that_are_not_asked_for),
		cmocka_unit_test(test_connects_again),
		cmocka_unit_test(test_has_a_pause_before_it_connects_again),
		cmocka_unit_test(test_does_not_unless_asked),
		cmocka_unit_test(test_an_engine_that_comes_back),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_a_large_request),
		cmocka_unit_test(test_a_client_in_a_child),
	};

	return cmocka_run_group_tests_name("clients of the control socket", tests, NULL, NULL);
}
