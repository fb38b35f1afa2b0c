/* SPDX-License-Identifier: MIT */
/* A backend ends the thread it was called on: another one goes on, kept calls are whole, opted-out ones go. */
#include "../support.h"

#include <stdio.h>

static int setup(void **state)
{
	static t_world w;

	t_world_init(&w, T_WORKERS);
	w.cfg.window_ms = 50;
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
		{T_OPEN, "open"},   {T_APPEND, "append"}, {T_FLUSH, "flush"},
		{T_SEAL, "seal"},   {T_READ, "read"},     {T_ERASE, "erase"},
		{T_BEGIN, "begin"}, {T_PUT, "put"},       {T_COMMIT, "commit"},
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
		cmocka_unit_test(while_the_engine_is_freed),
	};

	return cmocka_run_group_tests_name("worker_ends", tests, NULL, NULL);
}
