/* SPDX-License-Identifier: MIT */
/* Legal hold: an opt-out stops the recording but does not erase it, and says so; lifting the hold erases. */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static rco_session *held_call(t_world *w, const char *id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .legal_hold = 1};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 30);
	t_push(s, 1, 2, 0, 30);
	return s;
}

static void assert_held(t_world *w, const char *id)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(t_status(w, id), RCO_STATUS_HELD);
	assert_int_equal(rco_engine_get_stats(w->engine, &st), RCO_OK);
	assert_int_equal(st.holds, 1);
}

static void test_held_until_lifted(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = held_call(&w, "held");
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	t_await(&w, "held", RCO_EVENT_HELD, 1);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 3600000);
	assert_held(&w, "held");
	/* what was recorded is all there */
	assert_true(rco_memory_audio_bytes(w.memory) >= 60 * T_FRAME);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_E_OPTED_OUT); /* not again */
	t_await(&w, "held", RCO_EVENT_HOLD_LIFTED, 1);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_status(&w, "held"), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_held_over_restarts(void **state)
{
	uint8_t marker[64];
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = held_call(&w, "held");
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	rco_session_free(s);
	for (i = 0; i < 2; i++) {
		t_world_close(&w);
		t_world_open(&w);
		t_advance(&w, 120000);
		assert_held(&w, "held");
	}
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "other"), RCO_E_NOT_FOUND);
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "held"), RCO_OK);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	t_noise(1, 0, marker, sizeof marker);
	assert_int_equal(t_tree_holds(w.root, marker, sizeof marker), 0);
	assert_int_equal(t_store_audio(&w), 0);
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "held"), RCO_E_NOT_FOUND); /* no more */
	t_world_close(&w);
	t_world_open(&w);
	t_advance(&w, 120000);
	assert_int_not_equal(t_status(&w, "held"), RCO_STATUS_HELD);
	t_world_destroy(&w);
}

/* Stopped and held, it can still be read: its key stays, and it is stored like any other. */
static void test_it_stays_readable(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = held_call(&w, "held");
	t_advance(&w, 1000);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "held", RCO_EVENT_STORED, 1);
	assert_held(&w, "held");
	assert_true(t_store_has_noise(&w, "held", "caller", 1, 30));
	assert_true(t_store_has_noise(&w, "held", "agent", 2, 30));
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_store_audio(&w), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Set and lifted before the opt-out: as if it had never been there. */
static void test_lifted_before(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = held_call(&w, "call");
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	s = t_call(&w, "call-2");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call-2"), RCO_STATUS_HELD);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A hold without an opt-out changes nothing: the call is kept and stored as any other. */
static void test_hold_of_a_kept_call(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = held_call(&w, "kept");
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "kept", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "kept", "caller", 1, 30));
	t_world_destroy(&w);
}

/* Files of the host's recorder are kept as well, and go when the hold is lifted. */
static void test_artifacts_are_held(void **state)
{
	char path[256], late[256];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK);
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "mix.wav");
	t_join(late, sizeof late, w.artifacts, "late.wav");
	t_write_file(path, "audio", 5);
	s = held_call(&w, "held");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_write_file(late, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, late, NULL), RCO_OK);
	t_advance(&w, 120000);
	assert_true(t_exists(path));
	assert_true(t_exists(late));
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	t_advance(&w, 1000);
	assert_false(t_exists(path));
	assert_false(t_exists(late));
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- the process ends ---- */

enum { HELD_FROM_THE_START, HELD_LATER, LIFTED, HELD_AND_STOPPED };

struct ending {
	t_world *world;
	int how;
};

static void ends_in_the_middle(void *arg)
{
	rco_opt_out_options nonblock = {.struct_size = (uint32_t)sizeof nonblock, .flags = RCO_OPT_OUT_NONBLOCK};
	struct ending *e = arg;
	rco_session *s;

	t_world_open(e->world);
	if (e->how == HELD_LATER) {
		s = t_call(e->world, "held");
		t_push(s, 0, 1, 0, 30);
		assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	} else {
		s = held_call(e->world, "held");
	}
	if (e->how == LIFTED)
		assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	if (e->how == HELD_AND_STOPPED) /* in the rings, and not yet in the ledger */
		assert_int_equal(rco_opt_out(s, &nonblock, NULL), RCO_PENDING);
	_exit(0);
}

static void test_a_hold_outlives_the_process(void **state)
{
	struct ending e;
	t_world w;

	(void)state;
	for (e.how = HELD_FROM_THE_START; e.how <= HELD_AND_STOPPED; e.how++) {
		t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
		e.world = &w;
		assert_int_equal(t_reap(t_spawn(ends_in_the_middle, &e)), 0);
		t_world_open(&w);
		if (e.how != HELD_AND_STOPPED)
			assert_int_equal(rco_engine_opt_out(w.engine, "held", NULL, NULL), RCO_OK);
		t_advance(&w, 120000);
		if (e.how == LIFTED) {
			assert_int_equal(t_status(&w, "held"), RCO_STATUS_VERIFIED);
			assert_int_equal(t_store_audio(&w), 0);
		} else {
			assert_held(&w, "held");
			assert_true(t_store_has_noise(&w, "held", "caller", 1, 30));
		}
		t_world_destroy(&w);
	}
}

/* Of a call that was over with nothing recorded a hold is lifted for the next process as well. */
static void test_lifted_after_the_end(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "held", .legal_hold = 1};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 1000);
	t_advance(&w, 60000);
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "held"), RCO_OK);
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	(void)rco_engine_opt_out(w.engine, "held", NULL, NULL);
	t_advance(&w, 1000);
	assert_int_not_equal(t_status(&w, "held"), RCO_STATUS_HELD);
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "held"), RCO_E_NOT_FOUND);
	t_world_destroy(&w);
}

/* ---- the call id comes again ---- */

struct left {
	uint32_t pending, held;
};

static int count_left(const rco_pending *pending, void *user_data)
{
	struct left *n = user_data;

	assert_string_equal(pending->call_id, "held");
	n->pending++;
	n->held += pending->status == RCO_STATUS_HELD;
	return 0;
}

static void assert_left(t_world *w, uint32_t held)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	struct left n = {0};

	assert_int_equal(rco_engine_each_pending(w->engine, count_left, &n), RCO_OK);
	assert_int_equal(n.pending, held);
	assert_int_equal(n.held, held);
	assert_int_equal(rco_engine_get_stats(w->engine, &st), RCO_OK);
	assert_int_equal(st.holds, held);
}

static void over(t_world *w, rco_session *s)
{
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_settle(w);
	t_advance(w, 15000);
}

static void held_and_over(t_world *w)
{
	rco_session *s = held_call(w, "held");

	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	over(w, s);
}

static void again(t_world *w)
{
	t_world_close(w);
	t_world_open(w);
	t_settle(w);
}

static void assert_lifted(t_world *w)
{
	uint8_t marker[64];

	assert_int_equal(rco_engine_lift_legal_hold(w->engine, "held"), RCO_OK);
	t_settle(w);
	t_advance(w, 120000);
	t_advance(w, 120000);
	assert_left(w, 0);
	t_noise(1, 0, marker, sizeof marker);
	assert_int_equal(t_tree_holds(w->root, marker, sizeof marker), 0);
	assert_int_equal(t_store_audio(w), 0);
	assert_int_equal(rco_engine_lift_legal_hold(w->engine, "held"), RCO_E_NOT_FOUND);
	again(w);
	assert_left(w, 0);
	assert_int_equal(t_store_audio(w), 0);
	assert_int_equal(rco_engine_lift_legal_hold(w->engine, "held"), RCO_E_NOT_FOUND);
}

enum { THEN_LIVE, THEN_KEPT, THEN_ERASED, THEN_FORGOTTEN, THEN_N };

/* The call that has the id next. NULL: it is over. */
static rco_session *later_call(t_world *w, int then)
{
	rco_session *s = t_call(w, "held");

	t_push(s, 0, 3, 0, 30);
	if (then == THEN_LIVE)
		return s;
	if (then == THEN_ERASED)
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	over(w, s);
	if (then == THEN_FORGOTTEN)
		t_advance(w, 24 * 3600 * 1000);
	return NULL;
}

static void test_the_id_comes_again(void **state)
{
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 4 * THEN_N; i++) {
		t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
		t_world_open(&w);
		held_and_over(&w);
		if (i / THEN_N & 1)
			again(&w);
		s = later_call(&w, i % THEN_N);
		assert_left(&w, 1);
		if (i / THEN_N & 2 && s == NULL) {
			again(&w);
			again(&w);
			assert_left(&w, 1);
		}
		assert_int_equal(rco_engine_lift_legal_hold(w.engine, "held"), RCO_OK);
		if (s != NULL)
			over(&w, s); /* the hold of another call was none of its own */
		t_advance(&w, 120000);
		t_advance(&w, 120000);
		assert_left(&w, 0);
		assert_int_equal(t_store_audio(&w), i % THEN_N == THEN_ERASED ? 0 : 1);
		assert_int_equal(rco_engine_lift_legal_hold(w.engine, "held"), RCO_E_NOT_FOUND);
		t_world_destroy(&w);
	}
}

/* By one that is held as well, and was objected to as well. */
static void test_all_held_calls_of_an_id(void **state)
{
	t_world w;
	int i, n;

	(void)state;
	for (i = 0; i < 3; i++) {
		t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
		t_world_open(&w);
		for (n = 0; n < 3; n++) {
			held_and_over(&w);
			assert_left(&w, (uint32_t)n + 1);
			if (i == 1)
				again(&w);
		}
		if (i == 2) {
			again(&w);
			again(&w);
		}
		assert_left(&w, 3);
		assert_lifted(&w);
		t_world_destroy(&w);
	}
}

/* ---- what cannot be written down, comes too late, or is not there ---- */

static t_fs fs; /* large, so not on the stack */

/* Changes to files with this in their path can be made to fail. */
static void open_world(t_world *w, const char *failing)
{
	t_world_init(w, 0);
	t_fs_init(&fs, failing);
	w->fs = &fs;
	w->cfg.allocator = &t_allocator;
	t_memory_is_there();
	t_world_open(w);
}

static void close_world(t_world *w, rco_session *s)
{
	rco_session_free(s);
	t_world_destroy(w);
}

static void fails(int yes)
{
	atomic_store(&fs.fail, yes ? RCO_E_IO : 0);
}

static rco_session *talking(t_world *w, const char *call_id)
{
	rco_session *s = t_call(w, call_id);

	t_push(s, 0, 1, 0, 10);
	t_settle(w);
	return s;
}

/* What cannot be written is in force all the same: rather keep what a court wants than lose it. */
static void test_a_hold_that_cannot_be_written(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w, "/calls/");
	s = talking(&w, "call");
	fails(1);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_PENDING);
	fails(0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	close_world(&w, s);
}

/* And one that is to be lifted stays until that is written: the next process would hold it again. */
static void test_a_lift_that_cannot_be_written(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w, "/calls/");
	s = talking(&w, "call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	fails(1);
	assert_true(rco_session_set_legal_hold(s, 0) < 0);
	fails(0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	close_world(&w, s);
}

/* Of a call that was opted out: nothing is erased until it is durable that it may be. */
static void test_a_release_that_cannot_be_written(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w, "/ledger/");
	s = talking(&w, "call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	fails(1);
	assert_true(rco_session_set_legal_hold(s, 0) < 0);
	t_advance(&w, 5000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	assert_true(rco_memory_audio_bytes(w.memory) > 0);
	fails(0);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_HOLD_LIFTED), 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_HOLD_LIFTED), 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	close_world(&w, s);
}

static void test_a_buffer_that_cannot_revoke(void **state)
{
	rco_buffer_ops ops = t_fault_buffer_ops;
	rco_session *s;
	t_world w;

	(void)state;
	ops.revoke = NULL;
	t_world_init(&w, 0);
	w.cfg.buffer = &ops;
	t_world_open(&w);
	s = talking(&w, "call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	close_world(&w, s);
}

static void test_too_late_and_none(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w, "/nothing/");
	s = talking(&w, "none");
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK); /* it is so already */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	/* on a call that is over there is nothing to hold any more */
	s = talking(&w, "over");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "over", RCO_EVENT_STORED, 1);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_E_ENDED);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	rco_session_free(s);
	/* held, opted out and stored all the same: the receipt says that it is held */
	s = talking(&w, "held");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK); /* as it is */
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "held", RCO_EVENT_STORED, 1);
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	close_world(&w, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held_until_lifted),
		cmocka_unit_test(test_held_over_restarts),
		cmocka_unit_test(test_it_stays_readable),
		cmocka_unit_test(test_lifted_before),
		cmocka_unit_test(test_hold_of_a_kept_call),
		cmocka_unit_test(test_artifacts_are_held),
		cmocka_unit_test(test_a_hold_outlives_the_process),
		cmocka_unit_test(test_lifted_after_the_end),
		cmocka_unit_test(test_the_id_comes_again),
		cmocka_unit_test(test_all_held_calls_of_an_id),
		cmocka_unit_test(test_a_hold_that_cannot_be_written),
		cmocka_unit_test(test_a_lift_that_cannot_be_written),
		cmocka_unit_test(test_a_release_that_cannot_be_written),
		cmocka_unit_test(test_a_buffer_that_cannot_revoke),
		cmocka_unit_test(test_too_late_and_none),
	};

	return cmocka_run_group_tests_name("legal hold", tests, NULL, NULL);
}
