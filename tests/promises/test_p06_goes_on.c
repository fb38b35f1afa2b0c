/* SPDX-License-Identifier: MIT */
/*
 * P6 once and for good, P4 nothing stays, P5 kept: a call goes on under its id after a crash, or after its engine
 * was freed. As long as the recovered call can be opted out it is the same call: what was objected to stays so,
 * and an objection reaches what every process recorded of it. A call that the host ended is over, and another one
 * of its id is not touched.
 */
#include "../support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FRAMES = 30 };

typedef enum how { FREED, KILLED } how;

typedef struct first {
	t_world *w;
	void (*body)(t_world *w);
	how ending;
} first;

static void restart(t_world *w)
{
	t_world_close(w);
	t_world_open(w);
}

/* A process does something, and goes in one way or the other; then the next one is there. */
static void first_process(void *arg)
{
	first *f = arg;

	t_world_open(f->w);
	f->body(f->w);
	if (f->ending == KILLED)
		(void)kill(getpid(), SIGKILL);
	t_world_close(f->w);
}

static void run_first(t_world *w, void (*body)(t_world *w), how ending)
{
	first f = {w, body, ending};

	assert_int_equal(t_reap(t_spawn(first_process, &f)), ending == KILLED ? -SIGKILL : 0);
	t_world_open(w);
}

static void init(t_world *w)
{
	t_world_init(w, T_SPOOL | T_DISK | T_SHARED);
}

static rco_session *create(t_world *w, const char *id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id};
	rco_session *s = NULL;

	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	assert_non_null(s);
	return s;
}

/* Some of it in the buffer, and some in the rings. */
static void live_call(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 1, 0, FRAMES);
	t_advance(w, 300);
	t_push(s, 0, 1, FRAMES, 5);
}

static void ended_call(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 1, 0, FRAMES);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(w);
}

static uint32_t asked(rco_session *s, const rco_opt_out_options *o, int rc, char id[RCO_ID_TEXT + 1])
{
	rco_receipt *r = NULL;
	uint32_t status;
	int got = rco_opt_out(s, o, &r);

	assert_int_equal(got == RCO_PENDING ? rco_receipt_code(r) : got, rc);
	status = rco_receipt_status(r);
	(void)snprintf(id, RCO_ID_TEXT + 1, "%s", rco_receipt_id(r));
	rco_receipt_free(r);
	return status;
}

static void assert_nothing_stays(t_world *w)
{
	t_settle(w);
	t_advance(w, 70000);
	t_advance(w, 70000);
	assert_int_equal(t_store_audio(w), 0);
	assert_int_equal(t_events_count(&w->events, "call", RCO_EVENT_STORED), 0);
	assert_int_equal(t_status(w, "call"), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_engine_wait_idle(w->engine, 1000), RCO_OK);
}

/* ---- nobody had objected before ---- */

static void object_to_session(t_world *w, rco_session *s)
{
	(void)w;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
}

static void object_by_id(t_world *w, rco_session *s)
{
	(void)s;
	assert_int_equal(rco_engine_opt_out(w->engine, "call", NULL, NULL), RCO_OK);
}

static void object_without_waiting(t_world *w, rco_session *s)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};

	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_PENDING);
	t_settle(w);
}

static void decline(t_world *w, rco_session *s)
{
	(void)w;
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
}

static void object_in_the_window(t_world *w, rco_session *s)
{
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(w, 5000);
	assert_int_equal(rco_engine_opt_out(w->engine, "call", NULL, NULL), RCO_OK);
}

static void test_an_objection_reaches_every_part(void **state)
{
	void (*const ways[])(t_world *, rco_session *) = {object_to_session, object_by_id, object_without_waiting,
	                                                  decline, object_in_the_window};
	rco_session *s;
	t_world w;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof ways / sizeof ways[0]; i++) {
		init(&w);
		run_first(&w, live_call, i & 1 ? KILLED : FREED);
		s = t_call(&w, "call");
		t_push(s, 0, 2, 0, FRAMES);
		t_advance(&w, 600000); /* far beyond the window of a call that had ended */
		assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
		ways[i / 2](&w, s);
		rco_session_free(s);
		assert_nothing_stays(&w);
		restart(&w);
		assert_nothing_stays(&w);
		t_world_destroy(&w);
	}
}

static void test_kept_it_is_stored_in_its_parts(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	init(&w);
	run_first(&w, live_call, KILLED);
	s = t_call(&w, "call");
	t_push(s, 0, 2, 0, FRAMES);
	t_advance(&w, 60000);
	assert_int_equal(rco_engine_wait_idle(w.engine, 1000), RCO_OK); /* as for any call that goes on */
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_STORED, 2);
	assert_int_equal(t_store_count(&w, ".caller.wav"), 2);
	t_world_destroy(&w);
}

/* Also if the part that goes on never comes to a recording. */
static void test_nothing_more_is_recorded(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call", .consent = RCO_CONSENT_OFF};
	rco_session *s = NULL;
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		init(&w);
		run_first(&w, live_call, KILLED);
		if (i == 0)
			s = create(&w, "call");
		else if (i == 1)
			assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
		else
			s = t_call(&w, "call");
		t_advance(&w, 60000);
		rco_session_free(s);
		t_await(&w, "call", RCO_EVENT_STORED, 1);
		t_advance(&w, 60000);
		assert_int_equal(t_store_count(&w, ".caller.wav"), 1);
		assert_int_equal(rco_engine_wait_idle(w.engine, 1000), RCO_OK);
		t_world_destroy(&w);
	}
}

static void test_noted_for_the_later_part(void **state)
{
	rco_session *s;
	t_world w;

	/* A wish for an id whose call is known is the call's: of the recovered part, and then of the whole. */
	(void)state;
	init(&w);
	run_first(&w, live_call, KILLED);
	assert_int_equal(rco_session_set_consent(s = t_call(&w, "call"), 1), RCO_OK);
	t_push(s, 0, 2, 0, FRAMES);
	t_world_close(&w);
	rco_session_free(s);
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	s = create(&w, "call");
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	assert_nothing_stays(&w);
	t_world_destroy(&w);
}

static void second_part(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 2, 0, FRAMES);
	t_advance(w, 300);
}

static void second_part_ended(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 2, 0, FRAMES);
	t_advance(w, 300);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(w);
}

/* Three processes had a part of it. */
static void test_over_two_restarts(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	init(&w);
	run_first(&w, live_call, KILLED);
	t_world_close(&w);
	run_first(&w, second_part, KILLED);
	s = t_call(&w, "call");
	t_push(s, 0, 3, 0, FRAMES);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	assert_nothing_stays(&w);
	t_world_destroy(&w);

	/* Nothing new is recorded: who asks by id, in the window, asks for both. */
	init(&w);
	run_first(&w, live_call, KILLED);
	t_world_close(&w);
	run_first(&w, second_part_ended, KILLED);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	assert_nothing_stays(&w);
	t_world_destroy(&w);

	/* And nobody asks. */
	init(&w);
	run_first(&w, live_call, KILLED);
	t_world_close(&w);
	run_first(&w, second_part_ended, FREED);
	t_await(&w, "call", RCO_EVENT_STORED, 2);
	t_world_destroy(&w);
}

/* Ended with its last part, both are over: the id is another call's. */
static void test_both_parts_have_ended(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	init(&w);
	run_first(&w, live_call, KILLED);
	t_world_close(&w);
	run_first(&w, second_part_ended, KILLED);
	s = t_call(&w, "call");
	t_push(s, 0, 3, 0, FRAMES);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_STORED, 2);
	t_advance(&w, 120000);
	assert_int_equal(t_store_count(&w, ".caller.wav"), 2);
	t_world_destroy(&w);
}

/* A channel's name that comes again. */
static void test_a_call_that_had_ended_is_not_touched(void **state)
{
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		init(&w);
		run_first(&w, ended_call, i ? KILLED : FREED);
		s = t_call(&w, "call");
		t_push(s, 0, 2, 0, FRAMES);
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
		rco_session_free(s);
		t_await(&w, "call", RCO_EVENT_STORED, 1);
		t_advance(&w, 120000);
		assert_true(t_store_count(&w, ".caller.wav") == 1);
		t_world_destroy(&w);
	}
}

/* Nor is one whose window has passed. */
static void test_after_the_window_it_is_another_call(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	init(&w);
	run_first(&w, live_call, KILLED);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	s = t_call(&w, "call");
	t_push(s, 0, 2, 0, FRAMES);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 120000);
	assert_int_equal(t_store_count(&w, ".caller.wav"), 1);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	t_world_destroy(&w);
}

/* ---- the receipt is no better than the worst part ---- */

static char file[256];

static void call_with_a_file(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 1, 0, FRAMES);
	t_write_file(file, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, file, NULL), RCO_OK);
	t_advance(w, 300);
}

static void test_a_part_that_cannot_be_erased(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .wait_status = RCO_STATUS_ERASED};
	char id[RCO_ID_TEXT + 1], other[256];
	rco_session *s;
	t_world w;

	(void)state;
	init(&w);
	t_join(file, sizeof file, w.artifacts, "one.wav");
	t_join(other, sizeof other, w.artifacts, "other.wav");
	run_first(&w, call_with_a_file, KILLED);
	assert_int_equal(link(file, other), 0); /* under another name its audio would stay */
	s = t_call(&w, "call");
	t_push(s, 0, 2, 0, FRAMES);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, 20000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_RETRYING);
	assert_int_equal(asked(s, &o, RCO_E_TIMEOUT, id), RCO_STATUS_RETRYING);
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	rco_session_free(s);
	t_advance(&w, (int64_t)7200 * 1000); /* longer than any call is remembered */
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_OVERDUE);
	restart(&w);
	t_advance(&w, 20000);
	assert_true(t_status(&w, "call") == RCO_STATUS_OVERDUE || t_status(&w, "call") == RCO_STATUS_RETRYING);
	assert_int_equal(unlink(other), 0);
	t_advance(&w, 600000);
	assert_false(t_exists(file));
	assert_nothing_stays(&w);
	t_world_destroy(&w);
}

static rco_session *host_recorded(t_world *w, int stop_rc, int *rc)
{
	rco_session *s = t_hosted(w, "call");

	t_recorder_forget();
	t_recorder.rc[RCO_RECORDER_STOP] = stop_rc;
	t_recorder.confirms[RCO_RECORDER_STOP] = stop_rc == RCO_OK ? RCO_CONFIRM_DONE : RCO_CONFIRM_UNKNOWN;
	*rc = rco_session_start(s);
	return s;
}

static void host_recorded_live(t_world *w)
{
	int rc;
	rco_session *s = host_recorded(w, RCO_OK, &rc);

	assert_int_equal(rc, RCO_OK);
	t_write_file(file, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, file, NULL), RCO_OK);
}

static void test_the_recorder_of_an_earlier_part(void **state)
{
	char id[RCO_ID_TEXT + 1];
	rco_session *s;
	t_world w;
	int rc;

	(void)state;
	init(&w);
	t_join(file, sizeof file, w.artifacts, "one.wav");
	run_first(&w, host_recorded_live, KILLED);
	s = host_recorded(&w, RCO_OK, &rc);
	assert_int_equal(rc, RCO_OK);
	/* The recorder is the call's, and its stop that of all parts. */
	assert_true(asked(s, NULL, RCO_OK, id) != RCO_STATUS_REQUESTED);
	t_advance(&w, 20000);
	assert_false(t_exists(file));
	assert_true(t_status(&w, "call") != RCO_STATUS_REQUESTED);
	assert_int_equal(rco_engine_recorder_stopped(w.engine, "call"), RCO_E_STATE);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void assert_pending(t_world *w, uint64_t n)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w->engine, &st), RCO_OK);
	assert_int_equal(st.erasures_pending, n);
}

/* Not taken up again, and another call has the id by now: it is in doubt until that is settled. */
static void test_the_recorder_of_an_earlier_call(void **state)
{
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 8; i++) {
		init(&w);
		t_join(file, sizeof file, w.artifacts, "one.wav");
		run_first(&w, host_recorded_live, KILLED);
		assert_int_equal(t_opt_out_call(w.engine, "call", NULL), RCO_E_CALLBACK);
		t_advance(&w, 12000);
		s = t_call(&w, "call");
		t_push(s, 0, 2, 0, FRAMES);
		if (i & 1) /* and is over */
			assert_int_equal(rco_session_end(s), RCO_OK);
		rco_session_free(s);
		t_settle(&w);
		t_advance(&w, i & 2 ? 24 * 3600 * 1000 : 20000); /* and forgotten */
		assert_pending(&w, 1);
		if (i & 4) {
			restart(&w);
			restart(&w);
			assert_pending(&w, 1);
		}
		assert_int_equal(rco_engine_recorder_stopped(w.engine, "call"), RCO_OK);
		assert_int_equal(rco_engine_recorder_stopped(w.engine, "call"), RCO_E_STATE);
		t_settle(&w);
		t_advance(&w, 120000);
		assert_pending(&w, 0);
		assert_false(t_exists(file));
		restart(&w);
		assert_pending(&w, 0);
		assert_int_not_equal(rco_engine_recorder_stopped(w.engine, "call"), RCO_OK);
		assert_int_equal(t_store_count(&w, ".caller.wav"), 1);
		t_world_destroy(&w);
	}
}

static void held_call(t_world *w)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call", .legal_hold = 1};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, FRAMES);
	t_advance(w, 300);
}

static void test_a_hold_is_one_of_the_call(void **state)
{
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 8; i++) {
		init(&w);
		run_first(&w, held_call, i & 1 ? KILLED : FREED);
		if (i & 2) { /* over a part that never said so itself */
			t_world_close(&w);
			run_first(&w, second_part, i & 1 ? KILLED : FREED);
		}
		s = t_call(&w, "call");
		t_push(s, 0, 2, 0, FRAMES);
		if (i & 4) { /* lifted in time it is none */
			assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
			assert_int_equal(rco_engine_lift_legal_hold(w.engine, "call"), RCO_E_NOT_FOUND);
		}
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
		rco_session_free(s);
		t_settle(&w);
		t_advance(&w, 60000);
		if (!(i & 4)) {
			assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
			assert_int_equal(t_store_count(&w, ".caller.wav"), i & 2 ? 3 : 2);
			restart(&w);
			assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
			assert_int_equal(t_store_count(&w, ".caller.wav"), i & 2 ? 3 : 2);
			assert_int_equal(rco_engine_lift_legal_hold(w.engine, "call"), RCO_OK);
			t_settle(&w);
		}
		t_advance(&w, 120000);
		assert_int_equal(t_store_audio(&w), 0);
		assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
		t_world_destroy(&w);
	}

	/* Set on the part that goes on, it keeps what was there before. */
	init(&w);
	run_first(&w, live_call, KILLED);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 60000);
	assert_int_equal(t_store_count(&w, ".caller.wav"), 1);
	t_world_destroy(&w);
}

/* ---- somebody had objected before ---- */

static void objected(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 1, 0, FRAMES);
	t_advance(w, 300);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
}

static void objected_and_erased(t_world *w)
{
	objected(w);
	t_advance(w, 120000);
	assert_int_equal(t_status(w, "call"), RCO_STATUS_VERIFIED);
}

static void noted_and_born(t_world *w)
{
	assert_int_equal(rco_engine_opt_out(w->engine, "call", NULL, NULL), RCO_OK);
	(void)create(w, "call");
	t_settle(w);
}

static void objected_to_a_recorder(t_world *w)
{
	rco_session *s;
	int rc;

	s = host_recorded(w, RCO_E_IO, &rc);
	assert_int_equal(rc, RCO_OK);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_CALLBACK);
}

static void receipt_id(t_world *w, char id[RCO_ID_TEXT + 1])
{
	rco_receipt *r = NULL;

	assert_int_equal(rco_engine_receipt(w->engine, "call", &r), RCO_OK);
	(void)snprintf(id, RCO_ID_TEXT + 1, "%s", rco_receipt_id(r));
	rco_receipt_free(r);
}

static void assert_still_opted_out(t_world *w, const char *id)
{
	char now[RCO_ID_TEXT + 1];
	rco_session *s, *twice = NULL;
	uint32_t leg;
	int rc;

	s = host_recorded(w, RCO_OK, &rc);
	assert_int_equal(rc, RCO_E_OPTED_OUT);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_START], 0);
	assert_int_equal(rco_session_add_leg(s, "third", RCO_FORMAT_PCMU_8K, &leg), RCO_E_OPTED_OUT);
	assert_int_equal(t_push_one(s, 0, 2), RCO_E_OPTED_OUT);
	receipt_id(w, now);
	assert_string_equal(now, id);
	(void)asked(s, NULL, RCO_OK, now); /* of a recorder in doubt the one that is there now confirms the stop */
	assert_string_equal(now, id);
	assert_int_equal(
		rco_session_create(w->engine,
	                           &(rco_session_options){.struct_size = (uint32_t)sizeof(rco_session_options),
	                                                  .call_id = "call"},
	                           &twice),
		RCO_E_CALL_EXISTS);
	t_advance(w, 600000); /* it goes on */
	assert_int_equal(t_push_one(s, 0, 2), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(w, 120000);
	assert_int_equal(t_store_audio(w), 0);
	receipt_id(w, now);
	assert_string_equal(now, id);
}

static void test_an_objection_survives(void **state)
{
	void (*const bodies[])(t_world *) = {objected, objected_and_erased, noted_and_born,
	                                     objected_to_a_recorder};
	char id[RCO_ID_TEXT + 1];
	rco_session *s;
	t_world w;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof bodies / sizeof bodies[0]; i++) {
		init(&w);
		run_first(&w, bodies[i / 2], i & 1 ? KILLED : FREED);
		t_settle(&w);
		receipt_id(&w, id);
		if (i & 1)
			restart(&w); /* that one did not hear of its end either */
		assert_still_opted_out(&w, id);
		/* Now the host has ended it: the next call of the id is another one. */
		restart(&w);
		s = t_call(&w, "call");
		t_push(s, 0, 3, 0, FRAMES);
		rco_session_free(s);
		t_await(&w, "call", RCO_EVENT_STORED, 1);
		t_world_destroy(&w);
	}
}

/* It can be resolved, whether or not the host went on with the call. */
static void test_its_recorder_can_be_settled(void **state)
{
	rco_session *s;
	t_world w;
	int rc;

	(void)state;
	init(&w);
	run_first(&w, objected_to_a_recorder, KILLED);
	s = host_recorded(&w, RCO_OK, &rc);
	assert_int_equal(rc, RCO_E_OPTED_OUT);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_REQUESTED);
	assert_int_equal(rco_engine_recorder_stopped(w.engine, "call"), RCO_OK);
	assert_int_not_equal(t_status(&w, "call"), RCO_STATUS_REQUESTED);
	rco_session_free(s);
	t_world_destroy(&w);

	/* Nor has anybody to ask again: the recorder that is there now is told to stop. */
	init(&w);
	run_first(&w, objected_to_a_recorder, KILLED);
	s = host_recorded(&w, RCO_OK, &rc);
	assert_int_equal(rc, RCO_E_OPTED_OUT);
	t_await(&w, "call", RCO_EVENT_STOPPED, 1);
	assert_int_not_equal(t_status(&w, "call"), RCO_STATUS_REQUESTED);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void objected_in_the_second_process(t_world *w)
{
	assert_int_equal(rco_engine_opt_out(w->engine, "call", NULL, NULL), RCO_OK);
}

/* Asked for by id, before the host has gone on with it. */
static void test_an_objection_between(void **state)
{
	char id[RCO_ID_TEXT + 1];
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		init(&w);
		run_first(&w, live_call, KILLED);
		if (i) {
			t_world_close(&w);
			run_first(&w, objected_in_the_second_process, KILLED);
		} else {
			objected_in_the_second_process(&w);
		}
		receipt_id(&w, id);
		assert_still_opted_out(&w, id);
		t_world_destroy(&w);
	}
}

static void objected_and_ended(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 1, 0, FRAMES);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(w);
}

/* Ended by the host, or not taken up again in its time: the next one of the id is another call. */
static void test_another_call_is_recorded(void **state)
{
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		init(&w);
		run_first(&w, i & 2 ? objected : objected_and_ended, i & 1 ? KILLED : FREED);
		if (i & 2)
			t_advance(&w, 11000);
		s = t_call(&w, "call");
		t_push(s, 0, 2, 0, FRAMES);
		rco_session_free(s);
		t_await(&w, "call", RCO_EVENT_STORED, 1);
		assert_int_equal(t_store_count(&w, ".caller.wav"), 1);
		t_world_destroy(&w);
	}
}

/* Without a window for who comes late, or with a short one, what was said in time holds all the same. */
static void test_a_short_window(void **state)
{
	static const struct {
		uint32_t late_opt_out_ms, after_ms;
		int same;
	} cases[] = {
		{RCO_NONE_MS, 0, 1}, {RCO_NONE_MS, 9000, 1}, {RCO_NONE_MS, 11000, 0},
		{1, 9000, 1},        {300, 9000, 1},         {300, 11000, 0},
		{9999, 9000, 1},     {30000, 29000, 1},      {30000, 31000, 0},
	};
	void (*const bodies[])(t_world *) = {objected, objected_and_erased};
	char id[RCO_ID_TEXT + 1];
	rco_session *s;
	t_world w;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		init(&w);
		w.cfg.late_opt_out_ms = cases[i / 2].late_opt_out_ms;
		run_first(&w, bodies[i % 2], KILLED);
		t_settle(&w);
		receipt_id(&w, id);
		t_advance(&w, cases[i / 2].after_ms);
		if (cases[i / 2].same) {
			assert_still_opted_out(&w, id);
		} else {
			s = t_call(&w, "call");
			t_push(s, 0, 2, 0, FRAMES);
			rco_session_free(s);
		}
		t_world_destroy(&w);
	}
}

/* Asked for by id in a short window, before the host has gone on with it. */
static void test_an_objection_in_a_short_window(void **state)
{
	char id[RCO_ID_TEXT + 1];
	t_world w;

	(void)state;
	init(&w);
	w.cfg.late_opt_out_ms = 300;
	run_first(&w, live_call, KILLED);
	objected_in_the_second_process(&w);
	receipt_id(&w, id);
	t_advance(&w, 9000);
	assert_still_opted_out(&w, id);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_objection_reaches_every_part),
		cmocka_unit_test(test_kept_it_is_stored_in_its_parts),
		cmocka_unit_test(test_nothing_more_is_recorded),
		cmocka_unit_test(test_noted_for_the_later_part),
		cmocka_unit_test(test_over_two_restarts),
		cmocka_unit_test(test_both_parts_have_ended),
		cmocka_unit_test(test_a_call_that_had_ended_is_not_touched),
		cmocka_unit_test(test_after_the_window_it_is_another_call),
		cmocka_unit_test(test_a_part_that_cannot_be_erased),
		cmocka_unit_test(test_the_recorder_of_an_earlier_part),
		cmocka_unit_test(test_the_recorder_of_an_earlier_call),
		cmocka_unit_test(test_a_hold_is_one_of_the_call),
		cmocka_unit_test(test_an_objection_survives),
		cmocka_unit_test(test_its_recorder_can_be_settled),
		cmocka_unit_test(test_an_objection_between),
		cmocka_unit_test(test_another_call_is_recorded),
		cmocka_unit_test(test_a_short_window),
		cmocka_unit_test(test_an_objection_in_a_short_window),
	};

	return cmocka_run_group_tests_name("P6 calls that go on over a restart", tests, NULL, NULL);
}
