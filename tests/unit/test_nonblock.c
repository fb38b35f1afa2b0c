/* SPDX-License-Identifier: MIT */
/* RCO_SESSION_NONBLOCK: no function of the session asks a recorder or waits for a disk; what it left is told. */
#include "../support.h"

#include <sched.h>
#include <stdio.h>

static t_world w;
static t_fs fs;

static rco_session *create(const char *id, const rco_recorder_ops *recorder, uint32_t consent)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o,
	                         .flags = RCO_SESSION_NONBLOCK,
	                         .call_id = id,
	                         .consent = consent,
	                         .recorder = recorder};
	rco_session *s = t_call_with(&w, &o);

	t_recorder_forget();
	return s;
}

static void open_world(uint32_t flags)
{
	t_world_init(&w, flags);
	t_fs_init(&fs, "");
	w.fs = &fs;
	t_world_open(&w);
}

/* The n-th request that is done is this one, with this code. */
static void done(size_t n, uint32_t what, int code)
{
	t_event e;

	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_REQUEST_DONE), n);
	assert_true(t_events_last(&w.events, "call", RCO_EVENT_REQUEST_DONE, &e));
	assert_int_equal(e.count, what);
	assert_int_equal(e.code, code);
}

static void test_a_recorder_is_asked_later(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = create("call", &t_recorder_ops, 0);
	assert_int_equal(rco_session_start(s), RCO_PENDING);
	assert_int_equal(rco_session_start(s), RCO_E_STATE);
	assert_string_equal(t_recorder.order, "");
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_NOT_STARTED);
	done(1, RCO_REQUEST_START, RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	assert_int_equal(rco_session_pause(s), RCO_PENDING);
	assert_string_equal(t_recorder.order, "s");
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_PAUSED); /* at once */
	done(2, RCO_REQUEST_PAUSE, RCO_OK);
	assert_int_equal(rco_session_resume(s), RCO_PENDING);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	done(3, RCO_REQUEST_PAUSE, RCO_OK);
	assert_string_equal(t_recorder.order, "spr");
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_string_equal(t_recorder.order, "spr");
	t_settle(&w);
	assert_string_equal(t_recorder.order, "sprx");
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_a_recorder_that_says_no(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = create("call", &t_recorder_ops, 0);
	t_recorder.rc[RCO_RECORDER_START] = RCO_E_BUSY;
	assert_int_equal(rco_session_start(s), RCO_PENDING);
	done(1, RCO_REQUEST_START, RCO_E_CALLBACK);
	assert_int_equal(t_state(s), RCO_STATE_IDLE);
	t_recorder.rc[RCO_RECORDER_START] = RCO_OK;
	assert_int_equal(rco_session_start(s), RCO_PENDING);
	done(2, RCO_REQUEST_START, RCO_OK);
	t_recorder.rc[RCO_RECORDER_PAUSE] = RCO_E_IO;
	assert_int_equal(rco_session_pause(s), RCO_PENDING);
	done(3, RCO_REQUEST_PAUSE, RCO_E_CALLBACK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_PAUSED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* It answers later: only then it is done. */
static void test_a_recorder_that_answers_later(void **state)
{
	rco_result result = {.struct_size = (uint32_t)sizeof result, .confirmed = RCO_CONFIRM_DONE};
	rco_session *s;

	(void)state;
	open_world(0);
	s = create("call", &t_recorder_ops, 0);
	assert_int_equal(rco_session_start(s), RCO_PENDING);
	done(1, RCO_REQUEST_START, RCO_OK);
	t_recorder.rc[RCO_RECORDER_PAUSE] = RCO_PENDING;
	assert_int_equal(rco_session_pause(s), RCO_PENDING);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_REQUEST_DONE), 1);
	assert_int_equal(
		rco_op_complete(w.engine, atomic_load(&t_recorder.op[RCO_RECORDER_PAUSE]), RCO_OK, &result),
		RCO_OK);
	done(2, RCO_REQUEST_PAUSE, RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* An objection, or a hang-up, comes before the worker does: the recorder is not started any more. */
static void test_overtaken(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = create("call", &t_recorder_ops, 0);
	assert_int_equal(rco_session_start(s), RCO_PENDING);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	done(1, RCO_REQUEST_START, RCO_E_OPTED_OUT);
	assert_string_equal(t_recorder.order, "");
	rco_session_free(s);
	t_world_destroy(&w);
	open_world(0);
	s = create("call", &t_recorder_ops, 0);
	assert_int_equal(rco_session_start(s), RCO_PENDING);
	assert_int_equal(rco_session_end(s), RCO_OK);
	done(1, RCO_REQUEST_START, RCO_E_ENDED);
	assert_string_equal(t_recorder.order, "");
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The same of a pause: what it came to is told, and the recorder is stopped instead. */
static void pause_overtaken(int objects, int code)
{
	rco_session *s;

	open_world(0);
	s = create("call", &t_recorder_ops, 0);
	assert_int_equal(rco_session_start(s), RCO_PENDING);
	done(1, RCO_REQUEST_START, RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_PENDING);
	if (objects)
		assert_int_equal(t_opt_out(s, &(rco_opt_out_options){.struct_size = sizeof(rco_opt_out_options),
		                                                     .flags = RCO_OPT_OUT_NONBLOCK}),
		                 RCO_PENDING);
	else
		assert_int_equal(rco_session_end(s), RCO_OK);
	done(2, RCO_REQUEST_PAUSE, code);
	assert_string_equal(t_recorder.order, "sx");
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_a_pause_is_overtaken(void **state)
{
	(void)state;
	pause_overtaken(1, RCO_E_OPTED_OUT);
	pause_overtaken(0, RCO_E_ENDED);
}

/* A hold of a session that is made, and a pause that nobody has to be asked for. */
static void test_nothing_to_wait_for(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o,
	                         .flags = RCO_SESSION_NONBLOCK,
	                         .call_id = "call",
	                         .legal_hold = 1};
	rco_session *s;

	(void)state;
	open_world(T_SPOOL | T_SHARED);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_PAUSED);
	assert_int_equal(rco_session_resume(s), RCO_OK);
	t_push(s, 0, 1, 0, 5);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_REQUEST_DONE), 0);
	t_world_close(&w);
	rco_session_free(s);
	t_world_open(&w); /* and the next process knows of it */
	assert_int_equal(t_opt_out_call(w.engine, "call", NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	t_world_close(&w);
	t_world_destroy(&w);
}

static void test_consent(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = create("call", &t_recorder_ops, RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_start(s), RCO_OK); /* remembered */
	assert_int_equal(rco_session_set_consent(s, 1), RCO_PENDING);
	assert_string_equal(t_recorder.order, "");
	done(1, RCO_REQUEST_START, RCO_OK);
	rco_session_free(s);
	t_settle(&w);
	s = create("other", &t_recorder_ops, RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_PENDING);
	assert_int_equal(t_events_count(&w.events, "other", RCO_EVENT_DURABLE), 0);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "other", RCO_EVENT_DURABLE), 1);
	assert_int_equal(t_events_count(&w.events, "other", RCO_EVENT_STOPPED), 1);
	assert_int_equal(t_events_count(&w.events, "other", RCO_EVENT_REQUEST_DONE), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A hold is in force at once, and lifted when that is durable. */
static void test_holds_and_copies(void **state)
{
	char path[256];
	rco_session *s;

	(void)state;
	open_world(0);
	s = create("call", NULL, 0);
	assert_int_equal(rco_session_start(s), RCO_OK); /* there is nobody to ask */
	t_push(s, 0, 1, 0, 5);
	t_join(path, sizeof path, w.artifacts, "copy.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, 0, path, NULL), RCO_E_INVALID); /* said at once */
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_PENDING);
	done(1, RCO_REQUEST_ARTIFACT, RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_PENDING);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	done(2, RCO_REQUEST_LEGAL_HOLD, RCO_OK);
	assert_true(t_exists(path));
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_PENDING);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	done(3, RCO_REQUEST_LIFT_HOLD, RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* What cannot be written is told, and in force for as long as the process lives; what was told to be durable is.
 */
static void test_a_disk_that_fails(void **state)
{
	rco_session *s;

	(void)state;
	open_world(T_SPOOL);
	s = create("call", NULL, 0);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 5);
	t_settle(&w);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_PENDING);
	done(1, RCO_REQUEST_LEGAL_HOLD, RCO_E_NOT_DURABLE);
	atomic_store(&fs.fail, 0);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_PENDING);
	done(2, RCO_REQUEST_LEGAL_HOLD, RCO_OK);
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	assert_int_equal(t_opt_out_call(w.engine, "call", NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	t_world_destroy(&w);
}

/* A disk that stalls holds nobody up. */
static void test_a_disk_that_stalls(void **state)
{
	rco_session *s, *other;

	(void)state;
	t_world_init(&w, T_WORKERS | T_SPOOL);
	t_fs_init(&fs, "");
	w.fs = &fs;
	t_world_open(&w);
	s = create("call", NULL, 0);
	other = create("other", NULL, RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 5);
	t_wait_buffered(s);
	t_fs_stall(&fs, T_FS_SYNCS);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_PENDING);
	assert_int_equal(rco_session_set_consent(other, 0), RCO_PENDING);
	assert_true(t_fs_wait_stalled(&fs));
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_TRANSCRIPT, "x", NULL), RCO_PENDING);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	rco_session_free(other);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_REQUEST_DONE), 0);
	assert_int_equal(t_events_count(&w.events, "other", RCO_EVENT_DURABLE), 0);
	assert_true(t_fs_resume(&fs));
	assert_true(t_events_wait(&w.events, "call", RCO_EVENT_REQUEST_DONE, 2, 20000));
	assert_true(t_events_wait(&w.events, "other", RCO_EVENT_DURABLE, 1, 20000));
	t_world_close(&w);
	t_world_destroy(&w);
}

/* ---- a listener that takes long, on the thread that makes things durable ---- */

static struct slow {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	int inside, go_on;
	_Atomic int ends_thread; /* once */
} slow = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void hear_slowly(const rco_event *event, void *user_data)
{
	(void)user_data;
	if (event->type != RCO_EVENT_REQUEST_DONE)
		return;
	(void)pthread_mutex_lock(&slow.lock);
	slow.inside++;
	(void)pthread_cond_broadcast(&slow.moved);
	while (!slow.go_on)
		(void)pthread_cond_wait(&slow.moved, &slow.lock);
	(void)pthread_mutex_unlock(&slow.lock);
	if (atomic_exchange(&slow.ends_thread, 0))
		pthread_exit(NULL);
}

static rco_session *with_a_slow_listener(void)
{
	rco_session *s;

	t_world_init(&w, T_WORKERS | T_SPOOL | T_DISK);
	w.events.hook = hear_slowly;
	slow.inside = slow.go_on = 0;
	t_world_open(&w);
	s = create("call", NULL, 0);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_TRANSCRIPT, "/nobody/there", NULL),
	                 RCO_PENDING);
	(void)pthread_mutex_lock(&slow.lock);
	while (slow.inside == 0)
		(void)pthread_cond_wait(&slow.moved, &slow.lock);
	(void)pthread_mutex_unlock(&slow.lock);
	return s;
}

static void let_it_go(void)
{
	(void)pthread_mutex_lock(&slow.lock);
	slow.go_on = 1;
	(void)pthread_cond_broadcast(&slow.moved);
	(void)pthread_mutex_unlock(&slow.lock);
}

static void until_there_is_a_file(void)
{
	while (t_tree_holds(w.out, NULL, 0) < 2) /* the recording, and the call record */
		(void)sched_yield();
}

/* The call is stored meanwhile, and closed when all was told, by whoever tells it. */
static void test_a_slow_listener(void **state)
{
	rco_session *s;

	(void)state;
	atomic_store(&slow.ends_thread, 0);
	s = with_a_slow_listener();
	assert_int_equal(rco_session_end(s), RCO_OK);
	until_there_is_a_file();
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	let_it_go();
	assert_true(t_events_wait(&w.events, "call", RCO_EVENT_STORED, 1, 20000));
	assert_int_equal(rco_engine_wait_idle(w.engine, 20000), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	rco_session_free(s);
	t_world_close(&w);
	t_world_destroy(&w);
}

/* It ends that thread: what waited for it goes on, and what is asked for after it is done by the next one. */
static void test_a_listener_that_ends_the_thread(void **state)
{
	rco_session *s;

	(void)state;
	atomic_store(&slow.ends_thread, 1);
	s = with_a_slow_listener();
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_PENDING);
	assert_int_equal(rco_session_end(s), RCO_OK);
	let_it_go();
	assert_true(t_events_wait(&w.events, NULL, RCO_EVENT_WORKER_ENDED, 1, 20000));
	assert_true(t_events_wait(&w.events, "call", RCO_EVENT_STORED, 1, 20000));
	assert_true(t_events_wait(&w.events, "call", RCO_EVENT_REQUEST_DONE, 1, 20000)); /* the hold's */
	rco_session_free(s);
	t_world_close(&w);
	t_world_destroy(&w);
}

/* Its answer needs no memory. */
static void test_no_memory(void **state)
{
	rco_session *s;

	(void)state;
	t_memory_is_there();
	t_world_init(&w, 0);
	w.cfg.allocator = &t_allocator;
	t_world_open(&w);
	s = create("call", NULL, 0);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_PENDING);
	atomic_store(&t_memory.fail_all, 1);
	done(1, RCO_REQUEST_LEGAL_HOLD, RCO_OK);
	atomic_store(&t_memory.fail_all, 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_recorder_is_asked_later),
		cmocka_unit_test(test_a_recorder_that_says_no),
		cmocka_unit_test(test_a_recorder_that_answers_later),
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_a_pause_is_overtaken),
		cmocka_unit_test(test_nothing_to_wait_for),
		cmocka_unit_test(test_a_slow_listener),
		cmocka_unit_test(test_a_listener_that_ends_the_thread),
		cmocka_unit_test(test_consent),
		cmocka_unit_test(test_holds_and_copies),
		cmocka_unit_test(test_a_disk_that_fails),
		cmocka_unit_test(test_a_disk_that_stalls),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("nonblock", tests, NULL, NULL);
}
