/* SPDX-License-Identifier: MIT */
/*
 * P2 stop is not commit: an opt-out never drains, seals, finishes or uploads what is buffered. Backends count;
 * after the opt-out none of those slots may be entered again for audio.
 */
#include "../support.h"

struct counts {
	uint64_t appends, seals, begins, puts, commits;
};

static struct counts count(t_world *w)
{
	return (struct counts){t_fault_calls(&w->fault, T_APPEND), t_fault_calls(&w->fault, T_SEAL),
	                       t_fault_audio_calls(&w->fault, T_BEGIN), t_fault_audio_calls(&w->fault, T_PUT),
	                       t_fault_audio_calls(&w->fault, T_COMMIT)};
}

/* Lets hours pass after the opt-out and compares. */
static void assert_nothing_finished(t_world *w, const char *id, struct counts before)
{
	struct counts after;

	t_await(w, id, RCO_EVENT_VERIFIED, 1);
	t_advance(w, 15000);
	t_advance(w, 120000);
	t_advance(w, 3600000);
	after = count(w);
	assert_int_equal(after.appends, before.appends);
	assert_int_equal(after.seals, before.seals);
	assert_int_equal(after.begins, before.begins);
	assert_int_equal(after.puts, before.puts);
	assert_int_equal(after.commits, before.commits);
	assert_int_equal(t_events_count(&w->events, id, RCO_EVENT_STORED), 0);
	assert_int_equal(rco_memory_audio_bytes(w->memory), 0);
	assert_int_equal(t_store_audio(w), 0);
}

static void test_live_call_with_full_rings(void **state)
{
	rco_engine_stats stats = {.struct_size = (uint32_t)sizeof stats};
	struct counts before;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "live");
	t_push(s, 0, 1, 0, 50);
	t_advance(&w, 300); /* some is in the buffer ... */
	assert_true(t_fault_calls(&w.fault, T_APPEND) > 0);
	t_push(s, 0, 1, 50, 50); /* ... and some still in the rings */
	t_push(s, 1, 2, 0, 50);
	before = count(&w);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	assert_nothing_finished(&w, "live", before);
	assert_int_equal(rco_engine_get_stats(w.engine, &stats), RCO_OK);
	assert_int_equal(stats.ring_bytes_free, stats.ring_bytes_total);
	t_world_destroy(&w);
}

/* The session is not even ended: the opt-out alone must not make anything of it. */
static void test_nonblocking(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	struct counts before;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "loop");
	t_push(s, 0, 1, 0, 60);
	before = count(&w);
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_PENDING);
	assert_nothing_finished(&w, "loop", before);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* After hang-up the rings are being drained; an opt-out in the window stops that too. */
static void test_after_hang_up(void **state)
{
	struct counts before;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "hung-up");
	t_push(s, 0, 1, 0, 60);
	t_push(s, 1, 2, 0, 60);
	assert_int_equal(rco_session_end(s), RCO_OK);
	before = count(&w);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_nothing_finished(&w, "hung-up", before);
	rco_session_free(s);

	/* and once parts are in the store, none is added and none committed */
	s = t_call(&w, "sent");
	t_push(s, 0, 1, 0, 60);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_true(t_fault_audio_calls(&w.fault, T_PUT) > 0);
	before = count(&w);
	assert_int_equal(before.commits, 0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_nothing_finished(&w, "sent", before);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Closing the engine brings the frames of open calls to the buffer, but not those of an opted-out one. */
static void test_engine_free(void **state)
{
	uint64_t appends;
	rco_session *s, *other;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "stopped");
	other = t_call(&w, "open");
	t_push(s, 0, 1, 0, 10);
	t_push(other, 0, 2, 0, 10);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	appends = w.fault.appended_bytes;
	rco_engine_free(w.engine);
	w.engine = NULL;
	assert_int_equal(w.fault.appended_bytes - appends, 10 * T_FRAME); /* the open call's alone */
	rco_session_free(s);
	rco_session_free(other);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_call_with_full_rings),
		cmocka_unit_test(test_nonblocking),
		cmocka_unit_test(test_after_hang_up),
		cmocka_unit_test(test_engine_free),
	};

	return cmocka_run_group_tests_name("P2 stop is not commit", tests, NULL, NULL);
}
