/* SPDX-License-Identifier: MIT */
/*
 * Recorders of the host's that answer late, not at all, or no, while the caller objects or hangs up: what the host
 * is told, and that a stop is asked for until it is confirmed.
 */
#include "../support.h"

#include "../../lib/session/peer.h"

#include <stdio.h>

enum { NOTHING = 0, OPT_OUT = 1, HANG_UP = 2, CONSENT = 3, BLOCK = 4 };

static struct host {
	int inside[5]; /* by action: what else happens in there */
	int inside_rc;
	rco_session *session;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	int blocked, go_on;
} host = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static t_world w;

static void block(void)
{
	(void)pthread_mutex_lock(&host.lock);
	host.blocked = 1;
	(void)pthread_cond_broadcast(&host.moved);
	while (!host.go_on)
		(void)pthread_cond_wait(&host.moved, &host.lock);
	(void)pthread_mutex_unlock(&host.lock);
}

static void wait_blocked(void)
{
	(void)pthread_mutex_lock(&host.lock);
	while (!host.blocked)
		(void)pthread_cond_wait(&host.moved, &host.lock);
	(void)pthread_mutex_unlock(&host.lock);
}

static void unblock(void)
{
	(void)pthread_mutex_lock(&host.lock);
	host.go_on = 1;
	(void)pthread_cond_broadcast(&host.moved);
	(void)pthread_mutex_unlock(&host.lock);
}

static void inside(int action)
{
	switch (host.inside[action]) {
	case OPT_OUT:
		host.inside_rc = rco_opt_out(host.session, NULL, NULL);
		break;
	case HANG_UP:
		host.inside_rc = rco_session_end(host.session);
		break;
	case CONSENT:
		host.inside_rc = rco_session_set_consent(host.session, 1);
		break;
	case BLOCK:
		block();
		break;
	default:
		break;
	}
}

static rco_session *create(const char *id, uint32_t consent)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = id, .consent = consent, .recorder = &t_recorder_ops};

	t_recorder_forget();
	t_recorder.inside = inside;
	memset(host.inside, 0, sizeof host.inside);
	host.inside_rc = 1;
	host.blocked = host.go_on = 0;
	assert_int_equal(rco_session_create(w.engine, &o, &host.session), RCO_OK);
	return host.session;
}

static void open_world(void)
{
	t_world_init(&w, T_DISK);
	w.cfg.allocator = &t_allocator;
	t_memory_is_there();
	w.cfg.retry_min_ms = 10;
	w.cfg.retry_max_ms = 1000;
	w.cfg.backend_timeout_ms = 2000;
	t_world_open(&w);
}

static int answer(int action, int code, uint32_t confirmed)
{
	rco_result r = {.struct_size = (uint32_t)sizeof r, .confirmed = confirmed};

	return rco_op_complete(w.engine, t_recorder.op[action], code, &r);
}

static void assert_recording(rco_session *s, rco__recording expected)
{
	rco__recording is;

	assert_int_equal(rco__session_recording(s, &is), RCO_OK);
	assert_int_equal(is, expected);
}

/* ---- while the start is being asked ---- */

/* It never recorded, so nothing is left to confirm: the receipt must not wait for a stop that nobody will ask for.
 */
static void test_objection_to_a_start_that_is_refused(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("refused", 0);
	host.inside[RCO_RECORDER_START] = OPT_OUT;
	t_recorder.rc[RCO_RECORDER_START] = RCO_E_DECLINED;
	assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
	assert_int_equal(host.inside_rc, RCO_PENDING); /* the recorder has not answered its start */
	t_await(&w, "refused", RCO_EVENT_STOPPED, 1);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "refused", RCO_EVENT_STOPPED), 1);
	assert_int_equal(t_status(&w, "refused"), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 120000);
	assert_int_equal(rco_engine_wait_idle(w.engine, 1000), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_objection_to_a_start_that_succeeds(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("succeeds", 0);
	host.inside[RCO_RECORDER_START] = OPT_OUT;
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1); /* before the return */
	t_await(&w, "succeeds", RCO_EVENT_STOPPED, 1);
	t_settle(&w);
	assert_int_equal(t_status(&w, "succeeds"), RCO_STATUS_STOPPED);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_hang_up_during_the_start(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("gone", 0);
	host.inside[RCO_RECORDER_START] = HANG_UP;
	assert_int_equal(rco_session_start(s), RCO_E_ENDED);
	assert_int_equal(host.inside_rc, RCO_OK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_STARTED), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Said a second time while the first is still starting the recorder: it is started once. */
static void test_consent_during_the_start(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("asked", RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_start(s), RCO_OK);
	host.inside[RCO_RECORDER_START] = CONSENT;
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(host.inside_rc, RCO_OK);
	t_settle(&w);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_START], 1);
	assert_int_equal(t_events_count(&w.events, "asked", RCO_EVENT_STARTED), 1);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_objection_before_the_start(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("before", 0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "before"), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_START] + t_recorder.calls[RCO_RECORDER_STOP], 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_no_memory_for_the_start(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("short", 0);
	t_memory.fail_all = 1;
	assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
	t_memory.fail_all = 0;
	assert_int_equal(t_recorder.calls[RCO_RECORDER_START], 0);
	assert_int_equal(t_state(s), RCO_STATE_IDLE);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- a start that is answered later ---- */

static void test_start_answered_later(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("later", 0);
	t_recorder.rc[RCO_RECORDER_START] = RCO_PENDING;
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_settle(&w);
	assert_int_equal(answer(RCO_RECORDER_START, RCO_OK, RCO_CONFIRM_DONE), RCO_OK);
	t_settle(&w);
	assert_recording(s, RCO__RECORDING_ON);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	t_advance(&w, 20000);
	assert_int_equal(t_state(s), RCO_STATE_STORED); /* by the host's recorder */
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Whatever came of it, it may be recording: at the end it is stopped. */
static void test_start_that_nobody_confirms(void **state)
{
	rco_session *s;
	int i;

	(void)state;
	open_world();
	for (i = 0; i < 3; i++) {
		s = create(i == 0 ? "unsure" : i == 1 ? "silent" : "objects", 0);
		t_recorder.rc[RCO_RECORDER_START] = RCO_PENDING;
		assert_int_equal(rco_session_start(s), RCO_OK);
		t_settle(&w);
		if (i == 0)
			assert_int_equal(answer(RCO_RECORDER_START, RCO_OK, RCO_CONFIRM_UNKNOWN), RCO_OK);
		if (i == 1)
			t_advance(&w, 3000);
		t_settle(&w);
		assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 0);
		if (i == 2) /* a stop does not wait for that answer */
			assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
		else
			assert_int_equal(rco_session_end(s), RCO_OK);
		assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
		if (i > 0) /* too late now */
			assert_int_equal(answer(RCO_RECORDER_START, RCO_OK, RCO_CONFIRM_DONE), RCO_E_STALE);
		if (i == 2)
			t_await(&w, "objects", RCO_EVENT_STOPPED, 1);
		rco_session_free(s);
	}
	t_world_destroy(&w);
}

static void test_start_refused_later(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("no", 0);
	t_recorder.rc[RCO_RECORDER_START] = RCO_PENDING;
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(answer(RCO_RECORDER_START, RCO_E_DECLINED, RCO_CONFIRM_UNKNOWN), RCO_OK);
	t_settle(&w);
	assert_recording(s, RCO__RECORDING_NOT);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Only a code that says so means that nothing is recorded. A connection that broke, or a number of the host's own,
 * does not: then it is told to stop when the caller objects, and nobody says that no recording was made. */
static void test_refused_or_in_doubt(void **state)
{
	static const struct {
		int code, refused;
	} answers[] = {{RCO_E_DECLINED, 1},
	               {RCO_E_PERMISSION, 1},
	               {RCO_E_BUSY, 1},
	               {RCO_E_NOT_FOUND, 1},
	               {RCO_E_LIMIT, 1},
	               {RCO_E_NO_SPACE, 1},
	               {RCO_E_IO, 0},
	               {-110, 0},
	               {2, 0},
	               {-1000, 0},
	               {RCO_E_CALLBACK, 0},
	               {RCO_E_TIMEOUT, 0},
	               {RCO_E_INTERNAL, 0}};
	char id[32];
	size_t i;

	(void)state;
	open_world();
	for (i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		rco_session *s;

		(void)snprintf(id, sizeof id, "answer-%zu", i);
		s = create(id, 0);
		t_recorder.rc[RCO_RECORDER_START] = answers[i].code;
		assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
		assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], !answers[i].refused);
		assert_int_equal(t_status(&w, id) == RCO_STATUS_NOT_RECORDING, answers[i].refused);
		rco_session_free(s);
	}
	t_world_destroy(&w);
}

/* ---- pausing ---- */

static void test_pauses_that_fail(void **state)
{
	int changed = 1;
	rco_session *s;

	(void)state;
	open_world();
	assert_int_equal(rco__session_pause_for_peer(NULL, 1, &changed), RCO_E_INVALID);
	assert_int_equal(changed, 0);
	s = create("paused", 0);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_recorder.rc[RCO_RECORDER_PAUSE] = t_recorder.rc[RCO_RECORDER_RESUME] = RCO_E_IO;
	assert_int_equal(rco_session_pause(s), RCO_PENDING);
	assert_non_null(strstr(rco_error_detail(), "pause"));
	assert_int_equal(rco_session_resume(s), RCO_PENDING);
	assert_non_null(strstr(rco_error_detail(), "resume"));
	assert_int_equal(t_recorder.calls[RCO_RECORDER_PAUSE], 1); /* the host asks again if it wants to */
	t_recorder.rc[RCO_RECORDER_PAUSE] = RCO_PENDING;
	assert_int_equal(rco_session_pause(s), RCO_PENDING);
	assert_int_equal(answer(RCO_RECORDER_PAUSE, RCO_OK, RCO_CONFIRM_DONE), RCO_OK);
	t_settle(&w);
	assert_recording(s, RCO__RECORDING_PAUSED);
	/* a paused recorder that does not confirm its stop may go on at any moment */
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_E_IO;
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_recording(s, RCO__RECORDING_ON);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_OK;
	t_advance(&w, 2000);
	assert_recording(s, RCO__RECORDING_NOT);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- stops that are not confirmed ---- */

/* However often the caller objects, the recorder is not asked later for it. */
static void test_insisting(void **state)
{
	rco_session *s;
	int i, calls;

	(void)state;
	open_world();
	s = create("insists", 0);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_E_IO;
	for (i = 0; i < 8; i++)
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_PENDING);
	calls = t_recorder.calls[RCO_RECORDER_STOP];
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_OK;
	t_advance(&w, 600); /* a little more than the first pause */
	t_advance(&w, 600);
	assert_true(t_recorder.calls[RCO_RECORDER_STOP] > calls);
	assert_int_equal(t_events_count(&w.events, "insists", RCO_EVENT_STOPPED), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Asked ever more rarely, but for ever; and its files stay until it has stopped, or it would write them again. */
static void test_a_stop_that_fails_for_long(void **state)
{
	char path[256];
	rco_session *s;
	int i;

	(void)state;
	open_world();
	t_join(path, sizeof path, w.artifacts, "host.wav");
	t_write_file(path, "audio", 5);
	s = create("long", 0);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_E_IO;
	assert_int_equal(t_opt_out(s, NULL), RCO_E_CALLBACK);
	assert_int_equal(t_status(&w, "long"), RCO_STATUS_REQUESTED);
	for (i = 0; i < 40; i++)
		t_advance(&w, 1000);
	assert_in_range(t_recorder.calls[RCO_RECORDER_STOP], 20, 60);
	assert_true(t_exists(path));
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_OK;
	t_await(&w, "long", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	rco_session_free(s);
	t_world_destroy(&w);
}

/* What waits for the recorder alone is no failure of a backend, and is not told as one; what fails beside it is.
 */
static void test_what_waits_for_the_recorder(void **state)
{
	rco_session *s;
	char path[256];
	t_event e;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create("call", 0);
	t_join(path, sizeof path, w.artifacts, "call.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_E_IO;
	assert_int_equal(t_opt_out(s, NULL), RCO_E_CALLBACK);
	t_advance(&w, 5000);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_STOP_FAILED) > 1);
	assert_true(t_events_last(&w.events, "call", RCO_EVENT_STOP_FAILED, &e));
	assert_int_equal(e.attempt, t_events_count(&w.events, "call", RCO_EVENT_STOP_FAILED));
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY), 0);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_REQUESTED);
	assert_true(t_exists(path));
	t_fault_set(&w.fault, T_REMOVE, T_FAIL, 1, RCO_E_IO);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_OK;
	t_await(&w, "call", RCO_EVENT_STOPPED, 1);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY), 1);
	assert_false(t_exists(path));
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_a_stop_that_is_asked_twice_is_told_once(void **state)
{
	rco_session *s;

	(void)state;
	open_world();
	s = create("twice", 0);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_PENDING;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_PENDING);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_PENDING);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	assert_int_equal(answer(RCO_RECORDER_STOP, RCO_OK, RCO_CONFIRM_DONE), RCO_OK);
	t_await(&w, "twice", RCO_EVENT_STOPPED, 1);
	t_settle(&w);
	assert_int_equal(t_status(&w, "twice"), RCO_STATUS_STOPPED);
	assert_int_equal(t_events_count(&w.events, "twice", RCO_EVENT_STOPPED), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- threads ---- */

static void *starting(void *arg)
{
	*(int *)arg = rco_session_start(host.session);
	return NULL;
}

/* The objection is answered in time with what is so, and the stop follows when the recorder lets anybody in. */
static void test_objection_while_the_recorder_hangs(void **state)
{
	pthread_t thread;
	rco_session *s;
	int started = 1;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.backend_timeout_ms = 1;
	t_world_open(&w);
	s = create("hangs", 0);
	host.inside[RCO_RECORDER_START] = BLOCK;
	t_thread(&thread, starting, &started);
	wait_blocked();
	t_settle(&w); /* a worker does not wait for it */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_PENDING);
	assert_int_equal(t_status(&w, "hangs"), RCO_STATUS_REQUESTED);
	assert_int_equal(t_events_count(&w.events, "hangs", RCO_EVENT_DURABLE), 0); /* not dispatched yet */
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "hangs", RCO_EVENT_DURABLE), 1);
	unblock();
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(started, RCO_E_OPTED_OUT);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	t_await(&w, "hangs", RCO_EVENT_STOPPED, 1);
	t_settle(&w);
	assert_int_equal(t_status(&w, "hangs"), RCO_STATUS_STOPPED);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objection_to_a_start_that_is_refused),
		cmocka_unit_test(test_objection_to_a_start_that_succeeds),
		cmocka_unit_test(test_hang_up_during_the_start),
		cmocka_unit_test(test_consent_during_the_start),
		cmocka_unit_test(test_objection_before_the_start),
		cmocka_unit_test(test_no_memory_for_the_start),
		cmocka_unit_test(test_start_answered_later),
		cmocka_unit_test(test_start_that_nobody_confirms),
		cmocka_unit_test(test_start_refused_later),
		cmocka_unit_test(test_refused_or_in_doubt),
		cmocka_unit_test(test_pauses_that_fail),
		cmocka_unit_test(test_insisting),
		cmocka_unit_test(test_a_stop_that_fails_for_long),
		cmocka_unit_test(test_what_waits_for_the_recorder),
		cmocka_unit_test(test_a_stop_that_is_asked_twice_is_told_once),
		cmocka_unit_test(test_objection_while_the_recorder_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
