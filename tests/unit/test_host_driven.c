/* SPDX-License-Identifier: MIT */
/* An engine without threads of its own: run, poll, wait, and what may not be called from where. */
#include "../support.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static int readable(int32_t fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void test_poll_tells_of_work(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	uint32_t timeout_ms = 0;
	rco_session *s;
	int32_t fd = -1;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(rco_engine_poll(w.engine, &fd, &timeout_ms), RCO_OK);
	assert_true(fd >= 0);
	assert_true(timeout_ms > 0);
	assert_false(readable(fd));
	s = t_call(&w, "call");
	t_settle(&w);
	t_push(s, 0, 1, 0, 10);
	assert_false(readable(fd)); /* a media thread wakes nobody */
	assert_int_equal(rco_engine_poll(w.engine, &fd, &timeout_ms), RCO_OK);
	assert_true(timeout_ms <= 200); /* so the flush interval has to be kept by the time-out */
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_PENDING);
	assert_true(readable(fd));
	/* as an event loop would do it: run when told to, and only then */
	for (i = 0; i < 2000 && t_events_count(&w.events, "call", RCO_EVENT_VERIFIED) == 0; i++) {
		assert_int_equal(rco_engine_poll(w.engine, &fd, &timeout_ms), RCO_OK);
		if (!readable(fd) && timeout_ms > 0)
			t_clock_advance(&w.clock, (int64_t)timeout_ms);
		assert_int_equal(rco_engine_run(w.engine, 0, 0), RCO_OK);
	}
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The same loop carries a kept call to the store, and an answer from another thread wakes it. */
static void test_event_loop_stores_a_call(void **state)
{
	uint32_t timeout_ms = 0;
	rco_session *s;
	int32_t fd = -1;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_fault_set(&w.fault, T_PUT, T_HOLD, 1, 0);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_settle(&w);
	assert_int_equal(rco_engine_poll(w.engine, &fd, &timeout_ms), RCO_OK);
	assert_false(readable(fd));
	assert_int_equal(t_fault_release(&w.fault, T_PUT), RCO_OK);
	assert_true(readable(fd));
	for (i = 0; i < 2000 && t_events_count(&w.events, "call", RCO_EVENT_CALL_RECORD) == 0; i++) {
		assert_int_equal(rco_engine_poll(w.engine, &fd, &timeout_ms), RCO_OK);
		if (!readable(fd) && timeout_ms > 0)
			t_clock_advance(&w.clock, (int64_t)timeout_ms);
		assert_int_equal(rco_engine_run(w.engine, 0, 0), RCO_OK);
	}
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 10));
	t_world_destroy(&w);
}

static void test_wait_idle_runs_the_engine(void **state)
{
	rco_session *s, *open;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.clock = NULL; /* real time */
	w.cfg.late_opt_out_ms = 20;
	w.cfg.sweep_delay_ms = RCO_NONE_MS;
	t_world_open(&w);
	open = t_call(&w, "open"); /* is not waited for */
	s = t_call(&w, "kept");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	s = t_call(&w, "gone");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	assert_int_equal(rco_engine_wait_idle(w.engine, 30000), RCO_OK);
	assert_int_equal(t_events_count(&w.events, "kept", RCO_EVENT_STORED), 1);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_VERIFIED), 1);

	t_fault_set(&w.fault, T_PUT, T_FAIL, 0, RCO_E_IO);
	t_push(open, 0, 1, 0, 10);
	rco_session_free(open);
	assert_int_equal(rco_engine_wait_idle(w.engine, 100), RCO_E_TIMEOUT);
	t_world_destroy(&w);
}

static void test_not_with_workers(void **state)
{
	uint32_t timeout_ms;
	int32_t fd;
	t_world w;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	assert_int_equal(rco_engine_run(w.engine, 0, 0), RCO_E_STATE);
	assert_int_equal(rco_engine_poll(w.engine, &fd, &timeout_ms), RCO_E_STATE);
	assert_int_equal(rco_engine_wait_idle(w.engine, 10000), RCO_OK);
	t_world_destroy(&w);
}

/* ---- from inside callbacks ---- */

static struct inside {
	t_world *w;
	rco_session *session;
	int push, run, idle, waiting, plain, done;
} inside;

static void call_back_in(const rco_event *event, void *ud)
{
	rco_opt_out_options wait = {
		.struct_size = (uint32_t)sizeof wait, .wait_status = RCO_STATUS_ERASED, .timeout_ms = 1000};

	(void)ud;
	if (event->type != RCO_EVENT_STARTED || inside.done)
		return;
	inside.done = 1;
	inside.push = t_push_one(inside.session, 0, 1); /* so that there is something to wait for */
	inside.run = rco_engine_run(inside.w->engine, 0, 0);
	inside.idle = rco_engine_wait_idle(inside.w->engine, 1000);
	inside.waiting = t_opt_out(inside.session, &wait);
	inside.plain = rco_opt_out(inside.session, NULL, NULL);
	rco_engine_free(inside.w->engine); /* ignored, and logged */
}

static void reentry(uint32_t flags)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call"};
	t_world w;

	memset(&inside, 0, sizeof inside);
	inside.w = &w;
	t_world_init(&w, flags);
	w.events.hook = call_back_in;
	t_world_open(&w);
	inside.session = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(inside.session), RCO_OK);
	t_await(&w, "call", RCO_EVENT_OPTED_OUT, 1);
	assert_int_equal(inside.push, RCO_OK);
	assert_int_equal(inside.run, RCO_E_REENTRANT);
	assert_int_equal(inside.idle, RCO_E_REENTRANT);
	assert_int_equal(inside.waiting, RCO_E_REENTRANT); /* durable, but it cannot wait here */
	assert_int_equal(inside.plain, RCO_OK);
	assert_int_equal(t_push_one(inside.session, 0, 1), RCO_E_OPTED_OUT);
	t_await(&w, "call", RCO_EVENT_DURABLE, 1);
	rco_session_free(inside.session); /* the engine is still there */
	t_world_destroy(&w);
}

static void test_callback_calls_back_in(void **state)
{
	(void)state;
	reentry(0);
	reentry(T_WORKERS);
}

/* ---- a budget ---- */

static struct {
	t_clock *clock;
	int erased;
} slow;

static void takes_a_millisecond(const rco_event *event, void *ud)
{
	(void)ud;
	if (event->type == RCO_EVENT_ERASED) {
		slow.erased++;
		t_clock_advance(slow.clock, 1);
	}
}

/* A loop that has frames to send as well gets the thread back in time, and all is done in the end. */
static void test_a_budget(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	enum { CALLS = 20 };
	rco_session *s[CALLS];
	int i, runs, rc = RCO_PENDING, before;
	char id[24];
	t_world w;

	(void)state;
	memset(&slow, 0, sizeof slow);
	t_world_init(&w, 0);
	t_world_open(&w);
	slow.clock = &w.clock;
	assert_int_equal(rco_engine_add_listener(w.engine, takes_a_millisecond, NULL), RCO_OK);
	for (i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%d", i);
		s[i] = t_call(&w, id);
		t_push(s[i], 0, 1, 0, 10);
	}
	t_settle(&w);
	for (i = 0; i < CALLS; i++)
		assert_int_equal(rco_opt_out(s[i], &o, NULL), RCO_PENDING);
	for (runs = 0; rc == RCO_PENDING; runs++) {
		before = slow.erased;
		rc = rco_engine_run(w.engine, 0, 5000);
		assert_in_range(slow.erased - before, 0, 6);
	}
	assert_int_equal(rc, RCO_OK);
	assert_in_range(runs, CALLS / 6, 10 * CALLS);
	assert_int_equal(slow.erased, CALLS);
	assert_int_equal(rco_engine_run(w.engine, 0, 1), RCO_OK); /* nothing is due */
	for (i = 0; i < CALLS; i++)
		rco_session_free(s[i]);
	t_world_destroy(&w);
}

/* ---- one thread at a time ---- */

static void *run_some(void *arg)
{
	t_world *w = arg;

	int i, rc = RCO_OK;

	for (i = 0; i < 20 && rc == RCO_OK; i++)
		rc = rco_engine_run(w->engine, 0, 0);
	return (void *)(intptr_t)rc;
}

static void test_one_thread_at_a_time(void **state)
{
	pthread_t thread;
	rco_session *s;
	void *rc = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_settle(&w);
	t_fault_set(&w.fault, T_APPEND, T_BLOCK, 0, 0);
	t_push(s, 0, 1, 0, 10);
	t_clock_advance(&w.clock, 500);
	t_thread(&thread, run_some, &w);
	assert_true(t_fault_wait_blocked(&w.fault));
	assert_int_equal(rco_engine_run(w.engine, 0, 0), RCO_E_BUSY);
	t_fault_set(&w.fault, T_APPEND, T_PASS, 0, 0);
	t_fault_unblock(&w.fault);
	assert_int_equal(pthread_join(thread, &rc), 0);
	assert_int_equal((intptr_t)rc, RCO_OK);
	assert_int_equal(rco_engine_run(w.engine, 0, 0), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- a store that takes its time ---- */

/* The record of an opted-out call waits for the store like anything else: it is not asked for again and again. */
static void test_a_slow_call_record_is_waited_for(void **state)
{
	uint32_t timeout_ms = 0;
	rco_session *s;
	int32_t fd;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	t_advance(&w, 1000);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, 1000);
	t_advance(&w, 70000); /* swept */
	t_fault_set(&w.fault, T_BEGIN, T_HOLD, 1, 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 10);
	assert_int_equal(t_fault_held(&w.fault, T_BEGIN), 1);
	assert_int_equal(rco_engine_poll(w.engine, &fd, &timeout_ms), RCO_OK);
	assert_true(timeout_ms > 0);
	assert_int_equal(t_fault_release(&w.fault, T_BEGIN), RCO_OK);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poll_tells_of_work),
		cmocka_unit_test(test_event_loop_stores_a_call),
		cmocka_unit_test(test_wait_idle_runs_the_engine),
		cmocka_unit_test(test_not_with_workers),
		cmocka_unit_test(test_callback_calls_back_in),
		cmocka_unit_test(test_a_budget),
		cmocka_unit_test(test_one_thread_at_a_time),
		cmocka_unit_test(test_a_slow_call_record_is_waited_for),
	};

	return cmocka_run_group_tests_name("host driven", tests, NULL, NULL);
}
