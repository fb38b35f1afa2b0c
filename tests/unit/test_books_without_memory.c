/* SPDX-License-Identifier: MIT */
/*
 * No memory just when something is to be written down, and the reserve of the ledgers used up as well: who asked
 * is told, what stands stands, and as soon as there is memory it is written.
 */
#include "../support.h"

#include <stdio.h>

enum { FILLERS = 12, RESERVE = 8 };

static t_fs fs; /* large, so not on the stack */
static t_world w;
static rco_session *fillers[FILLERS];

/* From the n-th demand on there is none. */
static void memory_for(uint64_t n)
{
	atomic_store(&t_memory.count, 0);
	t_memory.fail_from = n + 1;
}

static void open_world(uint32_t flags)
{
	size_t i;
	char id[32];

	t_memory_is_there();
	t_world_init(&w, flags);
	t_fs_init(&fs, "/calls/");
	w.fs = &fs;
	w.cfg.allocator = &t_allocator;
	t_world_open(&w);
	for (i = 0; i < FILLERS; i++) {
		(void)snprintf(id, sizeof id, "filler-%zu", i);
		fillers[i] = t_call(&w, id);
	}
	t_settle(&w);
}

/* Without memory; now the calls journal has no reserve left. */
static void use_up_calls(void)
{
	size_t i;

	t_memory.fail_all = 1;
	for (i = 0; i < FILLERS; i++)
		assert_int_equal(rco_session_end(fillers[i]), RCO_OK);
	t_memory.fail_all = 0;
}

/* The same, by legs: what is woken by them writes nothing. */
static void use_up_calls_by_legs(void)
{
	size_t i;

	for (i = 0; i < RESERVE + 1; i++) {
		uint32_t leg;

		memory_for(1); /* for the leg itself */
		assert_int_equal(rco_session_add_leg(fillers[i], "third", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
		t_memory_is_there();
	}
}

static void close_world(void)
{
	size_t i;

	t_memory_is_there();
	for (i = 0; i < FILLERS; i++)
		rco_session_free(fillers[i]);
	t_world_destroy(&w);
}

static rco_session *create(const char *id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id};
	rco_session *s = NULL;

	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	return s;
}

/* ---- the calls journal ---- */

static void test_what_the_host_asks_for(void **state)
{
	rco_session *ready, *empty, *talking;
	uint32_t leg;

	(void)state;
	open_world(T_SPOOL);
	ready = create("ready");
	assert_int_equal(rco_session_add_leg(ready, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	empty = create("empty");
	talking = t_call(&w, "talking");
	t_settle(&w);
	use_up_calls();
	t_memory.fail_all = 1;
	assert_int_equal(rco_session_start(ready), RCO_OK);
	t_push(ready, 0, 7, 0, 10);
	t_push(talking, 0, 8, 0, 1);
	assert_int_equal(rco_session_end(empty), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(talking, 1), RCO_PENDING);
	t_memory_is_there();
	memory_for(1);
	assert_int_equal(rco_session_add_leg(talking, "third", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	memory_for(3);
	assert_int_equal(rco_session_register_artifact(talking, RCO_KIND_AUDIO, "/x.wav", NULL), RCO_E_NO_MEMORY);
	t_memory_is_there();
	assert_int_equal(rco_session_end(ready), RCO_OK);
	t_await(&w, "ready", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "ready", "caller", 7, 10));
	assert_int_equal(rco_opt_out(talking, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "talking"), RCO_STATUS_HELD); /* the hold stands */
	rco_session_free(ready);
	rco_session_free(empty);
	rco_session_free(talking);
	close_world();
}

static void test_a_call_is_booked_later(void **state)
{
	rco_session *s;

	(void)state;
	open_world(T_SPOOL);
	s = create("fresh");
	use_up_calls();
	t_memory.fail_all = 1;
	t_settle(&w);
	t_memory_is_there();
	t_advance(&w, 2000);
	t_world_close(&w); /* the next process knows it */
	rco_session_free(s);
	t_world_open(&w);
	t_await(&w, "fresh", RCO_EVENT_CALL_RECORD, 1);
	close_world();
}

/* Calls of an earlier process, whichever entry there is no memory for. */
static void test_recovered_calls_are_booked_later(void **state)
{
	rco_session *s;
	char id[32], filler[64], calls[256];
	uint64_t n;
	size_t i;

	(void)state;
	open_world(T_SPOOL | T_SHARED);
	t_join(calls, sizeof calls, w.state, "calls");
	for (n = 0; n < 12; n++) {
		(void)snprintf(id, sizeof id, "call-%d", (int)n);
		s = t_call(&w, id);
		t_push(s, 0, n, 0, 10);
		t_push(s, 1, n, 0, 10);
		t_world_close(&w);
		rco_session_free(s);
		for (i = 0; i < FILLERS; i++)
			rco_session_free(fillers[i]);
		t_rmtree(calls); /* only the rings and the buffer tell of it */
		t_world_open(&w);
		for (i = 0; i < FILLERS; i++) {
			(void)snprintf(filler, sizeof filler, "filler-%d-%d", (int)n, (int)i);
			fillers[i] = create(filler);
		}
		use_up_calls();
		memory_for(n);
		t_settle(&w);
		t_memory_is_there();
		t_await(&w, id, RCO_EVENT_STORED, 1);
		assert_true(t_store_audio(&w) >= 2);
	}
	close_world();
}

/* The engine is freed, and there is no memory for anything. */
static void test_freed_without_memory(void **state)
{
	rco_session *s;

	(void)state;
	open_world(T_SPOOL | T_SHARED);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, 10);
	use_up_calls();
	t_memory.fail_all = 1;
	t_world_close(&w);
	t_memory_is_there();
	rco_session_free(s);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 7, 10));
	close_world();
}

/* ---- on the way to the store ---- */

static void test_intents(void **state)
{
	rco_session *s;

	(void)state;
	open_world(T_SPOOL);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, 10);
	t_settle(&w);
	assert_int_equal(rco_session_end(s), RCO_OK);
	atomic_store(&fs.sync_only, 1);
	atomic_store(&fs.fail, RCO_E_IO);
	t_settle(&w); /* which leaves the intents not durable */
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY), 1);
	atomic_store(&fs.fail, 0);
	use_up_calls_by_legs();
	t_memory.fail_all = 1;
	t_advance(&w, 600);
	t_memory_is_there();
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 7, 10));
	rco_session_free(s);
	close_world();
}

static void test_closing(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, 10);
	t_settle(&w);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 1, RCO_E_IO);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "call", RCO_EVENT_UPLOAD_RETRY, 1); /* all is stored, and only the buffer's copy is left */
	use_up_calls_by_legs();
	t_memory.fail_all = 1;
	t_advance(&w, 600);
	t_memory_is_there();
	t_settle(&w);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	assert_true(t_store_has_noise(&w, "call", "caller", 7, 10));
	rco_session_free(s);
	close_world();
}

/* ---- the ledger ---- */

static void test_tombstones(void **state)
{
	rco_opt_out_options nonblock = {.struct_size = (uint32_t)sizeof nonblock, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_session *held, *last;
	size_t i;
	char id[32];

	(void)state;
	open_world(0);
	for (i = 0; i < FILLERS; i++)
		t_push(fillers[i], 0, i, 0, 10);
	held = t_call(&w, "held");
	assert_int_equal(rco_session_set_legal_hold(held, 1), RCO_OK);
	t_push(held, 0, 1, 0, 10);
	assert_int_equal(rco_opt_out(held, NULL, NULL), RCO_OK);
	last = t_call(&w, "last");
	t_push(last, 0, 1, 0, 10);
	t_settle(&w);
	t_memory.fail_all = 1;
	for (i = 0; i < RESERVE / 2; i++) /* two entries each */
		assert_int_equal(rco_opt_out(fillers[i], &nonblock, NULL), RCO_PENDING);
	assert_int_equal(rco_opt_out(last, NULL, NULL), RCO_PENDING);
	assert_int_equal(t_push_one(last, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_set_legal_hold(held, 0), RCO_E_NO_MEMORY);
	t_memory_is_there();
	for (; i < FILLERS; i++) { /* for one entry, but not for its double, some time */
		memory_for(i - RESERVE / 2);
		assert_int_equal(rco_opt_out(fillers[i], &nonblock, NULL), RCO_PENDING);
		t_memory_is_there();
	}
	assert_int_equal(t_status(&w, "held"), RCO_STATUS_HELD);
	assert_int_equal(rco_session_set_legal_hold(held, 0), RCO_OK);
	for (i = 0; i < 20; i++)
		t_advance(&w, 1000);
	for (i = 0; i < FILLERS; i++) {
		(void)snprintf(id, sizeof id, "filler-%zu", i);
		assert_int_equal(t_status(&w, id), RCO_STATUS_VERIFIED);
	}
	assert_int_equal(t_status(&w, "last"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_status(&w, "held"), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_session_free(held);
	rco_session_free(last);
	close_world();
}

/* ---- backends ---- */

/* An answer whose result cannot be kept is as good as none: it is asked again. */
static void test_an_answer_that_cannot_be_kept(void **state)
{
	(void)state;
	open_world(0);
	t_push(fillers[0], 0, 1, 0, 10);
	t_advance(&w, 300);
	t_fault_set(&w.fault, T_ERASE, T_HOLD, 1, 0);
	assert_int_equal(rco_opt_out(fillers[0], NULL, NULL), RCO_OK);
	t_settle(&w);
	t_memory.fail_all = 1;
	assert_int_equal(t_fault_release(&w.fault, T_ERASE), RCO_OK);
	t_memory_is_there();
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "filler-0", RCO_EVENT_ERASED), 0);
	t_await(&w, "filler-0", RCO_EVENT_VERIFIED, 1);
	close_world();
}

/* An event that there is no memory for is logged, and lost; what it tells of goes on. */
static void test_an_event_of_the_engine(void **state)
{
	(void)state;
	open_world(0);
	t_push(fillers[0], 0, 1, 0, 10);
	t_advance(&w, 300);
	t_fault_set(&w.fault, T_FLUSH, T_FAIL, 3, RCO_E_IO);
	t_push(fillers[0], 0, 1, 10, 10);
	t_memory.fail_all = 1;
	t_advance(&w, 200);
	t_advance(&w, 200);
	t_memory_is_there();
	t_advance(&w, 5000);
	assert_true(t_fault_done(&w.fault, T_FLUSH) > 0);
	close_world();
}

/* Backends keep so many questions that there is no place for another: the flush is made when there is. */
static void test_no_place_for_a_flush(void **state)
{
	char id[32];
	rco_session *asked[64];
	uint64_t flushes;
	size_t i;

	(void)state;
	t_recorder.rc[RCO_RECORDER_START] = t_recorder.rc[RCO_RECORDER_STOP] = RCO_PENDING;
	t_recorder.confirms[RCO_RECORDER_START] = t_recorder.confirms[RCO_RECORDER_STOP] = RCO_CONFIRM_UNKNOWN;
	open_world(0);
	t_push(fillers[0], 0, 1, 0, 10);
	t_settle(&w);
	t_advance(&w, 200); /* appended, and flushed */
	t_push(fillers[0], 0, 1, 10, 10);
	t_advance(&w, 200);
	flushes = t_fault_calls(&w.fault, T_FLUSH);
	for (i = 0; i < 64; i++) { /* as many as there are places */
		(void)snprintf(id, sizeof id, "silent-%zu", i);
		asked[i] = t_hosted(&w, id);
		assert_int_equal(rco_session_start(asked[i]), RCO_OK);
	}
	t_memory.fail_all = 1;
	t_advance(&w, 30);
	assert_int_equal(t_fault_calls(&w.fault, T_FLUSH), flushes);
	t_memory_is_there();
	t_advance(&w, 200);
	assert_true(t_fault_calls(&w.fault, T_FLUSH) > flushes);
	for (i = 0; i < 64; i++)
		rco_session_free(asked[i]);
	close_world();
}

/* The table of calls cannot grow: it gets slower, and all are found. */
static void test_more_calls_than_the_table_has_room_for(void **state)
{
	rco_session *s[100];
	size_t i;
	int rc;
	char id[32];

	(void)state;
	open_world(0);
	for (i = 0; i < 100; i++) {
		rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id};

		(void)snprintf(id, sizeof id, "call-%zu", i);
		memory_for(1 + i % 5);
		rc = rco_session_create(w.engine, &o, &s[i]);
		t_memory_is_there();
		if (rc != RCO_OK) {
			assert_int_equal(rc, RCO_E_NO_MEMORY);
			s[i] = create(id);
		}
	}
	for (i = 0; i < 100; i++) {
		(void)snprintf(id, sizeof id, "call-%zu", i);
		assert_int_equal(rco_engine_opt_out(w.engine, id, NULL, NULL), RCO_OK);
		assert_int_equal(rco_session_start(s[i]), RCO_E_OPTED_OUT);
		rco_session_free(s[i]);
	}
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_host_asks_for),
		cmocka_unit_test(test_a_call_is_booked_later),
		cmocka_unit_test(test_recovered_calls_are_booked_later),
		cmocka_unit_test(test_freed_without_memory),
		cmocka_unit_test(test_intents),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_tombstones),
		cmocka_unit_test(test_an_answer_that_cannot_be_kept),
		cmocka_unit_test(test_an_event_of_the_engine),
		cmocka_unit_test(test_no_place_for_a_flush),
		cmocka_unit_test(test_more_calls_than_the_table_has_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
