/* SPDX-License-Identifier: MIT */
/* What a host is told of the library's threads: each one's beginning and end, on it, by name; and of the log. */
#include "../support.h"

#include <recoptout/control.h>

#include <stdio.h>
#include <unistd.h>

enum { MOST = 64 };

typedef struct told {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct {
		pthread_t thread;
		char name[16], system[16];
		uint32_t begun, ended;
	} of[MOST];
	size_t n;
} told;

static void init(told *t)
{
	*t = (told){.n = 0};
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->cond, NULL);
}

static void on_thread(const char *name, int begins, void *user_data)
{
	told *t = user_data;
	size_t i = 0;

	(void)pthread_mutex_lock(&t->lock);
	while (i < t->n && !pthread_equal(t->of[i].thread, pthread_self()))
		i++;
	if (i == t->n && i < MOST) {
		t->n++;
		t->of[i].thread = pthread_self();
		(void)snprintf(t->of[i].name, sizeof t->of[i].name, "%s", name);
		(void)pthread_getname_np(pthread_self(), t->of[i].system, sizeof t->of[i].system);
	}
	if (begins)
		t->of[i].begun++;
	else
		t->of[i].ended++;
	(void)pthread_cond_broadcast(&t->cond);
	(void)pthread_mutex_unlock(&t->lock);
}

/* How many of that name, all of them called so by the system, too, and told of once at each end. */
static size_t named(told *t, const char *name, uint32_t ended)
{
	size_t i, n = 0;

	(void)pthread_mutex_lock(&t->lock);
	for (i = 0; i < t->n; i++) {
		assert_string_equal(t->of[i].name, t->of[i].system);
		assert_int_equal(t->of[i].begun, 1);
		n += strcmp(t->of[i].name, name) == 0 && t->of[i].ended == ended;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return n;
}

static void test_an_engine(void **state)
{
	static const char *const names[] = {"rco-live-0", "rco-live-1", "rco-work-0", "rco-work-1",
	                                    "rco-flush",  "rco-commit", "rco-spool"};
	rco_session *s;
	t_world w;
	told t;
	size_t i;

	(void)state;
	init(&t);
	t_world_init(&w, T_WORKERS | T_SPOOL);
	w.cfg.thread = on_thread;
	w.cfg.thread_user_data = &t;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_world_close(&w);
	assert_int_equal(t.n, 7);
	for (i = 0; i < 7; i++)
		assert_int_equal(named(&t, names[i], 1), 1);
	t_world_destroy(&w);
}

/* A callback ends the thread that it is called on: that is told, and who takes its place. */
static void test_a_thread_that_is_ended(void **state)
{
	rco_session *s;
	t_world w;
	told t;

	(void)state;
	init(&t);
	t_world_init(&w, T_WORKERS);
	w.cfg.workers = 1;
	w.cfg.thread = on_thread;
	w.cfg.thread_user_data = &t;
	t_world_open(&w);
	t_fault_set(&w.fault, T_ERASE, T_END_THREAD, 1, 0);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 5);
	t_wait_buffered(s);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	assert_true(t_events_wait(&w.events, "call", RCO_EVENT_ERASED, 1, 20000));
	(void)pthread_mutex_lock(&t.lock); /* the one that ended says so when the other has its place */
	while (t.n < 5 || t.of[0].ended + t.of[1].ended + t.of[2].ended + t.of[3].ended + t.of[4].ended < 1)
		(void)pthread_cond_wait(&t.cond, &t.lock);
	(void)pthread_mutex_unlock(&t.lock);
	assert_int_equal(named(&t, "rco-work-0", 1), 1);
	assert_int_equal(named(&t, "rco-work-0", 0), 1);
	t_world_close(&w);
	assert_int_equal(named(&t, "rco-work-0", 1), 2);
	t_world_destroy(&w);
}

static void test_a_control_socket(void **state)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o, .thread = on_thread};
	rco_control *control;
	rco_client *client;
	char path[160];
	t_world w;
	told t;

	(void)state;
	init(&t);
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	t_join(path, sizeof path, w.root, "socket");
	o.path = path;
	o.thread_user_data = &t;
	assert_int_equal(rco_control_open(w.engine, &o, &control), RCO_OK);
	assert_int_equal(rco_client_connect(path, 20000, &client), RCO_OK);
	assert_int_equal(rco_client_opt_out(client, "call", "api", NULL, NULL), RCO_OK);
	rco_client_close(client);
	rco_control_close(control);
	assert_int_equal(named(&t, "rco-ctl-io", 1), 1);
	assert_int_equal(named(&t, "rco-ctl-commit", 1), 1);
	t_world_close(&w);
	t_world_destroy(&w);
}

typedef struct lines {
	uint32_t n[RCO_LOG_DEBUG + 1];
} lines;

static void count(uint32_t level, const char *message, size_t length, void *user_data)
{
	lines *l = user_data;

	assert_int_equal(strlen(message), length);
	l->n[level]++;
}

static void a_call_with_a_failure(uint32_t level, lines *l)
{
	rco_session *s;
	t_world w;

	*l = (lines){{0}};
	t_world_init(&w, 0);
	w.cfg.log = count;
	w.cfg.log_user_data = l;
	w.cfg.log_level = level;
	t_world_open(&w);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 1, RCO_E_IO);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 5);
	t_advance(&w, 400);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_close(&w);
	t_world_destroy(&w);
}

static void test_log_level(void **state)
{
	lines all, warnings, errors;

	(void)state;
	a_call_with_a_failure(0, &all);
	a_call_with_a_failure(RCO_LOG_WARN, &warnings);
	a_call_with_a_failure(RCO_LOG_ERROR, &errors);
	assert_true(all.n[RCO_LOG_INFO] > 0 && all.n[RCO_LOG_WARN] > 0);
	assert_int_equal(warnings.n[RCO_LOG_WARN], all.n[RCO_LOG_WARN]);
	assert_int_equal(warnings.n[RCO_LOG_INFO] + warnings.n[RCO_LOG_DEBUG], 0);
	assert_int_equal(errors.n[RCO_LOG_WARN] + errors.n[RCO_LOG_INFO] + errors.n[RCO_LOG_DEBUG], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_engine),
		cmocka_unit_test(test_a_thread_that_is_ended),
		cmocka_unit_test(test_a_control_socket),
		cmocka_unit_test(test_log_level),
	};

	return cmocka_run_group_tests_name("host threads", tests, NULL, NULL);
}
