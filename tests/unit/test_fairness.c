/* SPDX-License-Identifier: MIT */
/* One call's trouble is its own: a backlog, an answer that does not come, a backend that fails for it alone. */
#include "../support.h"

#include <stdio.h>

enum { OTHERS = 20, BEATS = 10 };

static uint64_t behind(rco_session *s)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	return st.accepted_bytes - st.buffered_bytes;
}

static void name(char id[32], int i)
{
	(void)snprintf(id, 32, "other-%d", i);
}

static void open_others(t_world *w, rco_session **others)
{
	char id[32];
	int i;

	for (i = 0; i < OTHERS; i++) {
		name(id, i);
		others[i] = t_call(w, id);
	}
}

/* A frame for each of them and then a beat: all have to be drained when it is over. */
static void one_beat(t_world *w, rco_session **others, size_t beat)
{
	int i;

	for (i = 0; i < OTHERS; i++)
		t_push(others[i], 0, (uint64_t)i, beat, 1);
	t_advance(w, 200);
	for (i = 0; i < OTHERS; i++)
		assert_int_equal(behind(others[i]), 0);
}

static void store_others(t_world *w, rco_session **others, size_t frames)
{
	char id[32];
	int i;

	for (i = 0; i < OTHERS; i++) {
		assert_int_equal(rco_session_end(others[i]), RCO_OK);
		rco_session_free(others[i]);
	}
	t_advance(w, 400);
	t_advance(w, 10000);
	t_settle(w);
	for (i = 0; i < OTHERS; i++) {
		name(id, i);
		assert_int_equal(t_events_count(&w->events, id, RCO_EVENT_STORED), 1);
		assert_int_equal(t_events_count(&w->events, id, RCO_EVENT_BUFFER_RETRY), 0);
		assert_int_equal(t_events_count(&w->events, id, RCO_EVENT_UPLOAD_RETRY), 0);
		assert_true(t_store_has_noise(w, id, "caller", (uint64_t)i, frames));
	}
}

/* The first one in every queue, with eight legs and all rings full. */
static rco_session *backlog(t_world *w)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "heavy"};
	rco_session *s = t_call_with(w, &o);
	uint32_t leg;

	for (leg = 2; leg < RCO_MAX_LEGS; leg++) {
		uint32_t n;
		char label[16];

		(void)snprintf(label, sizeof label, "leg%u", leg);
		assert_int_equal(rco_session_add_leg(s, label, RCO_FORMAT_PCMU_8K, &n), RCO_OK);
	}
	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

static void fill(rco_session *s)
{
	uint32_t leg;

	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		while (t_push_one(s, leg, 99) == RCO_OK)
			;
}

static void test_a_backlog(void **state)
{
	rco_session *heavy, *others[OTHERS];
	size_t beat;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	heavy = backlog(&w);
	open_others(&w, others);
	for (beat = 0; beat < BEATS; beat++) {
		fill(heavy);
		one_beat(&w, others, beat);
		assert_int_equal(behind(heavy), 0);
	}
	store_others(&w, others, BEATS);
	rco_session_free(heavy);
	t_world_destroy(&w);
}

/* The backend says PENDING for one call and never answers. */
static void test_an_answer_that_does_not_come(void **state)
{
	static const int slots[] = {T_OPEN, T_APPEND};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof slots / sizeof slots[0]; i++) {
		rco_session *heavy, *others[OTHERS];
		size_t beat;
		t_world w;

		t_world_init(&w, 0);
		t_world_open(&w);
		heavy = backlog(&w);
		open_others(&w, others);
		t_fault_only(&w.fault, heavy);
		t_fault_set(&w.fault, slots[i], T_HOLD, 0, 0);
		for (beat = 0; beat < BEATS; beat++) {
			fill(heavy);
			one_beat(&w, others, beat);
			assert_int_equal(t_fault_held(&w.fault, slots[i]), 1);
			assert_true(behind(heavy) > 0);
		}
		store_others(&w, others, BEATS);
		/* It is given up after its time, asked again, and nothing is lost by that. */
		t_fault_set(&w.fault, slots[i], T_PASS, 0, 0);
		t_advance(&w, 31000);
		t_advance(&w, 1000);
		assert_int_equal(t_events_count(&w.events, "heavy", RCO_EVENT_BUFFER_RETRY), 1);
		assert_int_equal(behind(heavy), 0);
		rco_session_free(heavy);
		t_world_destroy(&w);
	}
}

/* One call fails for long, and its pauses have grown; another one that fails for the first time begins at the
 * shortest, and all the rest knows nothing of either. */
static void test_pauses_are_a_calls_own(void **state)
{
	rco_session *heavy, *light, *others[OTHERS];
	size_t beat, retries;
	t_event e;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	heavy = backlog(&w);
	light = t_call(&w, "light");
	open_others(&w, others);
	t_fault_only(&w.fault, heavy);
	t_fault_set(&w.fault, T_APPEND, T_FAIL, 0, RCO_E_IO);
	fill(heavy);
	for (beat = 0; beat < BEATS; beat++)
		one_beat(&w, others, beat);
	for (i = 0; i < 120; i++)
		t_advance(&w, 1000);
	assert_true(t_events_last(&w.events, "heavy", RCO_EVENT_BUFFER_RETRY, &e));
	assert_true(e.attempt >= 7); /* half a minute to a minute by now */
	retries = t_events_count(&w.events, "heavy", RCO_EVENT_BUFFER_RETRY);

	t_fault_only(&w.fault, light);
	t_fault_set(&w.fault, T_APPEND, T_FAIL, 1, RCO_E_IO);
	t_push(light, 0, 7, 0, 10);
	t_advance(&w, 200);
	assert_int_equal(t_events_count(&w.events, "light", RCO_EVENT_BUFFER_RETRY), 1);
	assert_true(t_events_last(&w.events, "light", RCO_EVENT_BUFFER_RETRY, &e));
	assert_int_equal(e.attempt, 1);
	assert_int_equal(behind(light), 10 * T_FRAME);
	t_advance(&w, 500); /* the first pause */
	assert_int_equal(behind(light), 0);
	/* that it went well did not shorten the other one's */
	assert_int_equal(t_events_count(&w.events, "heavy", RCO_EVENT_BUFFER_RETRY), retries);
	one_beat(&w, others, beat++);
	t_advance(&w, 60000);
	assert_int_equal(behind(heavy), 0);
	store_others(&w, others, beat);
	rco_session_free(heavy);
	rco_session_free(light);
	t_world_destroy(&w);
}

/* Behind the rings the same: an upload that gets no answer, an erasure that fails. */
static void test_uploads_and_erasures(void **state)
{
	static const int slots[] = {T_SEAL, T_BEGIN, T_PUT};
	rco_session *heavy, *others[OTHERS];
	char id[32];
	t_world w;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < sizeof slots / sizeof slots[0]; i++) {
		t_world_init(&w, 0);
		t_world_open(&w);
		heavy = t_call(&w, "heavy");
		t_push(heavy, 0, 99, 0, 20);
		open_others(&w, others);
		one_beat(&w, others, 0);
		t_fault_set(&w.fault, slots[i], T_HOLD, 1, 0);
		assert_int_equal(rco_session_end(heavy), RCO_OK);
		t_settle(&w);
		assert_int_equal(t_fault_held(&w.fault, slots[i]), 1);
		store_others(&w, others, 1);
		assert_int_equal(t_events_count(&w.events, "heavy", RCO_EVENT_STORED), 0);
		t_await(&w, "heavy", RCO_EVENT_STORED, 1);
		rco_session_free(heavy);
		t_world_destroy(&w);
	}
	t_world_init(&w, 0);
	t_world_open(&w);
	heavy = t_call(&w, "heavy");
	t_push(heavy, 0, 99, 0, 20);
	open_others(&w, others);
	one_beat(&w, others, 0);
	t_fault_only(&w.fault, heavy);
	t_fault_set(&w.fault, T_ERASE, T_HOLD, 0, 0);
	assert_int_equal(rco_opt_out(heavy, NULL, NULL), RCO_OK);
	for (n = 0; n < OTHERS; n++)
		assert_int_equal(rco_opt_out(others[n], NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_status(&w, "heavy"), RCO_STATUS_DURABLE);
	for (n = 0; n < OTHERS; n++) {
		name(id, n);
		assert_int_equal(t_status(&w, id), RCO_STATUS_VERIFIED);
		rco_session_free(others[n]);
	}
	rco_session_free(heavy);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_backlog),
		cmocka_unit_test(test_an_answer_that_does_not_come),
		cmocka_unit_test(test_pauses_are_a_calls_own),
		cmocka_unit_test(test_uploads_and_erasures),
	};

	return cmocka_run_group_tests_name("fairness", tests, NULL, NULL);
}
