/* SPDX-License-Identifier: MIT */
/* What an earlier process left to be erased comes before anything that it left to be stored. */
#include "../support.h"

static t_world w;
static uint64_t begun_before; /* files, when the erasure is told */

static void on_event(const rco_event *event, void *user_data)
{
	(void)user_data;
	if (event->type == RCO_EVENT_ERASED)
		begun_before = t_fault_audio_calls(&w.fault, T_BEGIN);
}

static rco_session *record(const char *id, uint64_t seed)
{
	rco_session *s = t_call(&w, id);

	t_push(s, 0, seed, 0, 30);
	t_settle(&w);
	return s;
}

static void test_erasures_are_first(void **state)
{
	rco_session *before, *out, *after;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	before = record("before", 1);
	out = record("out", 2);
	after = record("after", 3);
	assert_int_equal(rco_opt_out(out, NULL, NULL), RCO_OK);
	t_world_close(&w);
	rco_session_free(before);
	rco_session_free(out);
	rco_session_free(after);
	assert_int_equal(t_events_count(&w.events, "out", RCO_EVENT_ERASED), 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_BEGIN), 0);

	begun_before = 99;
	w.events.hook = on_event;
	t_world_open(&w);
	t_await(&w, "out", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(begun_before, 0);
	t_await(&w, "before", RCO_EVENT_STORED, 1);
	t_await(&w, "after", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "before", "caller", 1, 30));
	assert_true(t_store_has_noise(&w, "after", "caller", 3, 30));
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_erasures_are_first),
	};

	return cmocka_run_group_tests_name("recovery order", tests, NULL, NULL);
}
