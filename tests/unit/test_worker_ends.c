/* SPDX-License-Identifier: MIT */
/* A backend ends the thread it was called on: another one goes on, kept calls are whole, opted-out ones go. */
#include "../support.h"

#include "../../lib/session/state.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>

/* ---- threads that cannot be started ---- */

static _Atomic int no_threads;

#if !T_SANITIZED /* which have this in their own hands */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return atomic_load(&no_threads) ? EAGAIN : real(thread, attr, fn, arg);
}
#endif

static int setup(void **state)
{
	static t_world w;

	t_world_init(&w, T_WORKERS);
	w.cfg.late_opt_out_ms = 50;
	w.cfg.retry_min_ms = 5;
	w.cfg.sweep_delay_ms = 1;
	t_world_open(&w);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	t_world_destroy(*state);
	return 0;
}

static void end(rco_session *session)
{
	assert_int_equal(rco_session_end(session), RCO_OK);
	rco_session_free(session);
}

/* One kept call and one opted-out call go through everything, while a slot ends its thread `times` times. */
static void through_everything(t_world *w, int slot, uint32_t times, const char *name)
{
	rco_opt_out_options nonblock = {.struct_size = (uint32_t)sizeof nonblock, .flags = RCO_OPT_OUT_NONBLOCK};
	char keep[32], gone[32];
	size_t before = t_events_count(&w->events, NULL, RCO_EVENT_WORKER_ENDED);
	rco_session *kept, *other;

	(void)snprintf(keep, sizeof keep, "keep-%s", name);
	(void)snprintf(gone, sizeof gone, "gone-%s", name);
	t_fault_set(&w->fault, slot, T_END_THREAD, times, 0);
	kept = t_call(w, keep);
	other = t_call(w, gone);
	t_push(kept, 0, 5, 0, 20);
	t_push(other, 0, 6, 0, 20);
	t_wait_buffered(kept);
	t_push(kept, 1, 7, 0, 20);
	t_wait_buffered(kept);
	(void)rco_opt_out(other, &nonblock, NULL);
	assert_int_equal(t_push_one(other, 0, 6), RCO_E_OPTED_OUT);
	end(kept);
	end(other);
	t_await(w, keep, RCO_EVENT_STORED, 1);
	t_await(w, gone, RCO_EVENT_VERIFIED, 1);
	assert_true(t_store_has_noise(w, keep, "caller", 5, 20));
	assert_true(t_store_has_noise(w, keep, "agent", 7, 20));
	assert_int_equal(t_status(w, gone), RCO_STATUS_VERIFIED);
	if (!t_events_wait(&w->events, NULL, RCO_EVENT_WORKER_ENDED, before + times, 20000))
		fail_msg("no thread ended in %s", name);
}

static void in_every_slot(void **state)
{
	static const struct {
		int slot;
		const char *name;
	} slots[] = {
		{T_OPEN, "open"},     {T_APPEND, "append"}, {T_FLUSH, "flush"}, {T_SEAL, "seal"},
		{T_READ, "read"},     {T_ERASE, "erase"},   {T_BEGIN, "begin"}, {T_PUT, "put"},
		{T_COMMIT, "commit"}, {T_REVOKE, "revoke"},
	};
	t_world *w = *state;
	size_t i;

	for (i = 0; i < sizeof slots / sizeof slots[0]; i++)
		through_everything(w, slots[i].slot, 1, slots[i].name);
	assert_int_equal(t_store_audio(w), 2 * i); /* of the kept calls */
}

static void again_and_again(void **state)
{
	t_world *w = *state;

	through_everything(w, T_APPEND, 5, "append");
	through_everything(w, T_ERASE, 5, "erase");
}

/* It is not the other calls' fault: they are stored as if nothing had been. */
static void others_go_on(void **state)
{
	t_world *w = *state;
	rco_session *calls[8];
	char id[16];
	size_t i;

	t_fault_set(&w->fault, T_APPEND, T_END_THREAD, 3, 0);
	for (i = 0; i < 8; i++) {
		(void)snprintf(id, sizeof id, "call-%zu", i);
		calls[i] = t_call(w, id);
		t_push(calls[i], 0, i, 0, 40);
	}
	for (i = 0; i < 8; i++)
		t_wait_buffered(calls[i]);
	for (i = 0; i < 8; i++)
		end(calls[i]);
	for (i = 0; i < 8; i++) {
		(void)snprintf(id, sizeof id, "call-%zu", i);
		t_await(w, id, RCO_EVENT_STORED, 1);
		assert_true(t_store_has_noise(w, id, "caller", i, 40));
	}
	assert_int_equal(t_events_count(&w->events, NULL, RCO_EVENT_WORKER_ENDED), 3);
}

/* ---- recorders ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int inside, go_on;

/* First it cannot stop, then it takes the thread with it, then it does. */
static void in_there(int action)
{
	int stops = atomic_load(&t_recorder.calls[RCO_RECORDER_STOP]);

	if (action == RCO_RECORDER_STOP && stops == 2)
		pthread_exit(NULL);
	t_recorder.rc[RCO_RECORDER_STOP] = stops == 1 ? RCO_E_IO : RCO_OK;
	t_recorder.confirms[RCO_RECORDER_STOP] = stops == 1 ? RCO_CONFIRM_UNKNOWN : RCO_CONFIRM_DONE;
	if (action != RCO_RECORDER_PAUSE)
		return;
	(void)pthread_mutex_lock(&lock);
	inside = 1;
	(void)pthread_cond_broadcast(&moved);
	while (!go_on)
		(void)pthread_cond_wait(&moved, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static rco_session *recorded(t_world *w, const char *call_id)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = call_id, .recorder = &t_recorder_pushes};
	rco_session *s = t_call_with(w, &o);

	t_recorder_forget();
	t_recorder.inside = in_there;
	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

static void in_a_recorder(void **state)
{
	t_world *w = *state;
	rco_session *s = recorded(w, "call");

	t_push(s, 0, 1, 0, 20);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_CALLBACK);
	t_await(w, "call", RCO_EVENT_VERIFIED, 1);
	assert_true(t_events_wait(&w->events, NULL, RCO_EVENT_WORKER_ENDED, 1, 20000));
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 3);
	end(s);
}

static void *pausing(void *arg)
{
	assert_int_equal(rco_session_pause(arg), RCO_OK);
	return NULL;
}

/* The host's own thread is in the recorder meanwhile: that one goes on undisturbed. */
static void while_the_host_is_in_its_recorder(void **state)
{
	t_world *w = *state;
	rco_session *s = recorded(w, "call");
	pthread_t thread;

	atomic_store(&t_recorder.calls[RCO_RECORDER_STOP], 2);
	inside = go_on = 0;
	t_push(s, 0, 1, 0, 20);
	t_wait_buffered(s);
	t_fault_set(&w->fault, T_APPEND, T_END_THREAD, 1, 0);
	t_push(s, 1, 1, 0, 20);
	t_thread(&thread, pausing, s);
	(void)pthread_mutex_lock(&lock);
	while (!inside)
		(void)pthread_cond_wait(&moved, &lock);
	(void)pthread_mutex_unlock(&lock);
	assert_true(t_events_wait(&w->events, NULL, RCO_EVENT_WORKER_ENDED, 1, 20000));
	assert_int_equal(t_state(s), RCO_STATE_PAUSED);
	(void)pthread_mutex_lock(&lock);
	go_on = 1;
	(void)pthread_cond_broadcast(&moved);
	(void)pthread_mutex_unlock(&lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	end(s);
	t_await(w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(w, "call", "agent", 1, 20));
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 3);
}

/* ---- the thread that makes opt-outs durable ---- */

/* All others are busy: it is the one that ends, and another takes its place. */
static void while_all_others_are_busy(void **state)
{
	rco_opt_out_options nonblock = {.struct_size = (uint32_t)sizeof nonblock, .flags = RCO_OPT_OUT_NONBLOCK};
	t_world *w = *state;
	rco_session *busy[2], *gone;
	size_t i;

	for (i = 0; i < 2; i++) /* a worker each */
		busy[i] = t_call(w, i == 0 ? "busy-0" : "busy-1");
	gone = t_call(w, "gone");
	t_push(gone, 0, 1, 0, 20);
	t_wait_buffered(gone);
	t_fault_set(&w->fault, T_APPEND, T_BLOCK, 2, 0);
	for (i = 0; i < 2; i++)
		t_push(busy[i], 0, 2, 0, 20);
	assert_true(t_fault_wait_blocked(&w->fault));
	t_fault_set(&w->fault, T_REVOKE, T_END_THREAD, 1, 0);
	assert_int_equal(rco_opt_out(gone, &nonblock, NULL), RCO_PENDING);
	assert_true(t_events_wait(&w->events, NULL, RCO_EVENT_WORKER_ENDED, 1, 20000));
	t_fault_unblock(&w->fault);
	t_await(w, "gone", RCO_EVENT_VERIFIED, 1);
	end(gone);
	for (i = 0; i < 2; i++)
		end(busy[i]);
	t_await(w, "busy-0", RCO_EVENT_STORED, 1);
	t_await(w, "busy-1", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(w, "busy-0", "caller", 2, 20));
}

/* ---- who is told ---- */

static void leave_once(const rco_event *event, void *user_data)
{
	_Atomic int *left = user_data;

	if (event->type == RCO_EVENT_STORED && atomic_exchange(left, 1) == 0)
		pthread_exit(NULL);
}

static void in_an_event(void **state)
{
	t_world *w = *state;
	_Atomic int left = 0;
	rco_session *s;

	assert_int_equal(rco_engine_add_listener(w->engine, leave_once, &left), RCO_OK);
	s = t_call(w, "call");
	t_push(s, 0, 1, 0, 20);
	end(s);
	t_await(w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_events_wait(&w->events, NULL, RCO_EVENT_WORKER_ENDED, 1, 20000));
	assert_int_equal(left, 1);
	s = t_call(w, "next");
	t_push(s, 0, 2, 0, 20);
	end(s);
	t_await(w, "next", RCO_EVENT_STORED, 1);
	assert_int_equal(rco_engine_remove_listener(w->engine, leave_once, &left), RCO_OK); /* nobody is inside */
}

/* ---- no thread to take its place ---- */

static _Atomic int waits_for_a_restart;

static void listen_to_log(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)length, (void)user_data;
	if (level == RCO_LOG_ERROR && strstr(message, "wait for a restart") != NULL)
		atomic_store(&waits_for_a_restart, 1);
}

/* Its calls wait for a restart, which finds them. */
static void nobody_takes_its_place(void **state)
{
	static t_world w;
	rco_session *s;

	(void)state;
	if (T_SANITIZED)
		skip();
	t_world_init(&w, T_WORKERS | T_SPOOL | T_DISK | T_SHARED);
	w.cfg.workers = 1;
	w.cfg.log = listen_to_log;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 20);
	t_wait_buffered(s);
	t_fault_set(&w.fault, T_BEGIN, T_BLOCK, 1, 0);
	end(s);
	assert_true(t_fault_wait_blocked(&w.fault));
	t_fault_set(&w.fault, T_PUT, T_END_THREAD, 1, 0);
	atomic_store(&no_threads, 1);
	t_fault_unblock(&w.fault);
	while (!atomic_load(&waits_for_a_restart))
		(void)sched_yield();
	t_world_close(&w); /* the thread that tells of it is the one that ended: now it is told */
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_WORKER_ENDED), 1);
	assert_int_equal(t_world_try_open(&w), RCO_E_LIMIT); /* nor is there one for an engine */
	atomic_store(&no_threads, 0);
	t_fault_set(&w.fault, T_PUT, T_PASS, 0, 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 20));
	t_world_destroy(&w);
}

/* It ends when the engine is already being freed: no other is begun. */
static void leave_when_closing(const rco_event *event, void *user_data)
{
	rco_engine *engine = user_data;

	if (event->type != RCO_EVENT_STORED)
		return;
	while (!atomic_load(&engine->closing))
		(void)sched_yield();
	pthread_exit(NULL);
}

static void as_the_engine_is_freed(void **state)
{
	static t_world w;
	rco_session *s;

	(void)state;
	t_world_init(&w, T_WORKERS | T_SPOOL | T_DISK | T_SHARED);
	t_world_open(&w);
	assert_int_equal(rco_engine_add_listener(w.engine, leave_when_closing, w.engine), RCO_OK);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 20);
	end(s);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	t_world_close(&w);
	t_world_open(&w);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 20));
	t_world_destroy(&w);
}

/* However the end of a thread and that of the engine meet, each thread is joined once or not at all, and nothing
 * is lost. */
static void while_the_engine_is_freed(void **state)
{
	static const int slots[] = {T_BEGIN, T_PUT, T_COMMIT};
	static t_world w;
	char id[16];
	size_t i;

	(void)state;
	t_world_init(&w, T_WORKERS | T_SPOOL | T_DISK | T_SHARED);
	t_world_open(&w);
	for (i = 0; i < 30; i++) {
		rco_session *s;

		(void)snprintf(id, sizeof id, "call-%zu", i);
		t_fault_set(&w.fault, slots[i % 3], T_END_THREAD, 1 + (uint32_t)i % 4, 0);
		s = t_call(&w, id);
		t_push(s, 0, i, 0, 20);
		end(s);
		t_world_close(&w);
		t_fault_set(&w.fault, slots[i % 3], T_PASS, 0, 0);
		t_world_open(&w);
		t_await(&w, id, RCO_EVENT_STORED, 1);
		assert_true(t_store_has_noise(&w, id, "caller", i, 20));
	}
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_every_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(again_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(others_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(in_a_recorder, setup, teardown),
		cmocka_unit_test_setup_teardown(while_all_others_are_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(in_an_event, setup, teardown),
		cmocka_unit_test_setup_teardown(while_the_host_is_in_its_recorder, setup, teardown),
		cmocka_unit_test(nobody_takes_its_place),
		cmocka_unit_test(as_the_engine_is_freed),
		cmocka_unit_test(while_the_engine_is_freed),
	};

	return cmocka_run_group_tests_name("worker_ends", tests, NULL, NULL);
}
