/* SPDX-License-Identifier: MIT */
/*
 * P6 once and for good, and P4 nothing stays, over restarts: an opt-out that is done with is known as long as the
 * ledger tells of it. Asked again it gives the same receipt, what turns up late is erased, and a later call that
 * uses the id again is another call.
 */
#include "../support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct told {
	char id[RCO_ID_TEXT + 1];
	uint32_t status, facts;
	int64_t at[6];
} told;

static void read_receipt(rco_receipt *r, told *t)
{
	uint32_t i;

	assert_non_null(r);
	memset(t, 0, sizeof *t);
	(void)snprintf(t->id, sizeof t->id, "%s", rco_receipt_id(r));
	t->status = rco_receipt_status(r);
	t->facts = rco_receipt_facts(r);
	for (i = RCO_TIME_REQUESTED; i <= RCO_TIME_VERIFIED; i++)
		t->at[i] = rco_receipt_time_us(r, i);
	rco_receipt_free(r);
}

static void receipt_of(t_world *w, const char *call_id, told *t)
{
	rco_receipt *r = NULL;

	assert_int_equal(rco_engine_receipt(w->engine, call_id, &r), RCO_OK);
	read_receipt(r, t);
}

static void ask(t_world *w, const char *call_id, uint32_t flags, told *t)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags, .source = "again"};
	rco_receipt *r = NULL;

	assert_int_equal(rco_engine_opt_out(w->engine, call_id, &o, &r), RCO_OK);
	read_receipt(r, t);
}

static void assert_same(const told *a, const told *b)
{
	uint32_t i;

	assert_string_equal(a->id, b->id);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->facts, b->facts);
	for (i = RCO_TIME_REQUESTED; i <= RCO_TIME_VERIFIED; i++)
		assert_int_equal(a->at[i], b->at[i]);
}

/* A call that is opted out, over, erased, and with a closed record. */
static void opted_out_call(t_world *w, const char *id, told *t)
{
	rco_session *s = t_call(w, id);

	t_push(s, 0, 9, 0, 30);
	t_advance(w, 300);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(w, id, RCO_EVENT_SWEPT, 1);
	t_await(w, id, RCO_EVENT_CALL_RECORD, 1);
	t_advance(w, 1000);
	receipt_of(w, id, t);
	assert_int_equal(t->status, RCO_STATUS_VERIFIED);
}

static void kept_call(t_world *w, const char *id, uint64_t seed, size_t frames)
{
	rco_session *s = t_call(w, id);
	size_t before = t_events_count(&w->events, id, RCO_EVENT_STORED);

	t_push(s, 0, seed, 0, frames);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(w, id, RCO_EVENT_STORED, before + 1);
	t_advance(w, 1000);
}

static void restart(t_world *w)
{
	t_world_close(w);
	t_world_open(w);
}

static void artifact(t_world *w, const char *name, char *path, size_t size)
{
	t_join(path, size, w->artifacts, name);
	t_write_file(path, "audio of the host's recorder", 28);
}

static void test_the_same_receipt(void **state)
{
	told before, after;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	for (i = 0; i < 2; i++) { /* what was replayed is kept, not used up */
		restart(&w);
		receipt_of(&w, "call", &after);
		assert_same(&before, &after);
		ask(&w, "call", 0, &after);
		assert_same(&before, &after);
		ask(&w, "call", RCO_OPT_OUT_NONBLOCK, &after);
		assert_same(&before, &after);
		assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 0), RCO_OK); /* what was asked stands */
		ask(&w, "call", 0, &after);
		assert_same(&before, &after);
	}
	t_world_destroy(&w);
}

/* A call that was opted out before it was recorded, too. */
static void test_of_a_call_that_was_not_recorded(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "silent"};
	rco_session *s = NULL;
	told before, after;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "silent", NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "silent", RCO_EVENT_CALL_RECORD, 1);
	t_advance(&w, 120000);
	receipt_of(&w, "silent", &before);
	assert_int_equal(before.status, RCO_STATUS_NOT_RECORDING);
	restart(&w);
	ask(&w, "silent", 0, &after);
	assert_same(&before, &after);
	t_world_destroy(&w);
}

/* After `remember_ended_s`, without a restart. */
static void test_forgotten_by_its_own_process(void **state)
{
	told before, after;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.remember_ended_s = 100;
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	t_advance(&w, 300000);
	receipt_of(&w, "call", &after);
	assert_same(&before, &after);
	ask(&w, "call", 0, &after);
	assert_same(&before, &after);
	t_world_destroy(&w);
}

/* ---- what turns up late ---- */

static void register_late(t_world *w, const char *name)
{
	size_t erased = t_events_count(&w->events, "call", RCO_EVENT_ARTIFACT_ERASED);
	told t;
	char path[256];

	artifact(w, name, path, sizeof path);
	assert_int_equal(rco_engine_register_artifact(w->engine, "call", RCO_KIND_AUDIO, path, NULL), RCO_OK);
	receipt_of(w, "call", &t);
	assert_int_equal(t.facts & RCO_FACT_VERIFIED, 0); /* it is not so as long as that is there */
	t_await(w, "call", RCO_EVENT_ARTIFACT_ERASED, erased + 1);
	assert_false(t_exists(path));
}

static void test_a_late_copy(void **state)
{
	told before, after;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.remember_ended_s = 100;
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	restart(&w);
	register_late(&w, "one.wav");
	register_late(&w, "two.wav");
	t_advance(&w, 120000);
	receipt_of(&w, "call", &after);
	assert_string_equal(before.id, after.id);
	assert_int_equal(after.status, RCO_STATUS_VERIFIED);
	restart(&w);
	register_late(&w, "three.wav");
	t_advance(&w, 400000); /* forgotten, and once more */
	register_late(&w, "four.wav");
	t_advance(&w, 120000);
	receipt_of(&w, "call", &after);
	assert_string_equal(before.id, after.id);
	assert_int_equal(after.status, RCO_STATUS_VERIFIED);
	assert_int_equal(rco_engine_wait_idle(w.engine, 1000), RCO_OK);
	t_world_destroy(&w);
}

/* What an opt-out leaves by default stays, and what was said of the recording stands. */
static void test_a_late_transcript(void **state)
{
	told before, after;
	char path[256];
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	restart(&w);
	artifact(&w, "transcript.json", path, sizeof path);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_TRANSCRIPT, path, NULL), RCO_OK);
	receipt_of(&w, "call", &after);
	assert_same(&before, &after);
	t_advance(&w, 120000);
	assert_true(t_exists(path));
	receipt_of(&w, "call", &after);
	assert_same(&before, &after);
	t_world_destroy(&w);
}

static void register_and_die(void *arg)
{
	t_world *w = arg;
	char path[256];

	t_world_open(w);
	artifact(w, "late.wav", path, sizeof path);
	assert_int_equal(rco_engine_register_artifact(w->engine, "call", RCO_KIND_AUDIO, path, NULL), RCO_OK);
	(void)kill(getpid(), SIGKILL);
}

static void test_a_late_copy_and_a_crash(void **state)
{
	told before, after;
	char path[256];
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	t_world_close(&w);
	assert_int_equal(t_reap(t_spawn(register_and_die, &w)), -SIGKILL);
	t_join(path, sizeof path, w.artifacts, "late.wav");
	assert_true(t_exists(path));
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_ARTIFACT_ERASED, 0);
	t_advance(&w, 120000);
	assert_false(t_exists(path));
	receipt_of(&w, "call", &after);
	assert_string_equal(before.id, after.id);
	assert_int_equal(after.status, RCO_STATUS_VERIFIED);
	t_world_destroy(&w);
}

/* ---- the id is used again ---- */

/* Whether it was used again in the same process, after a restart, or long after. */
static void used_again(int restarts_before, int64_t later_ms, int restarts_after)
{
	char path[256];
	told first, now;
	rco_receipt *r = NULL;
	t_world w;

	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	opted_out_call(&w, "call", &first);
	t_advance(&w, later_ms);
	if (restarts_before)
		restart(&w);
	kept_call(&w, "call", 4, 25);
	assert_int_equal(rco_engine_receipt(w.engine, "call", &r), RCO_E_NOT_FOUND);
	if (restarts_after)
		restart(&w);
	else
		t_advance(&w, (int64_t)3700 * 1000);
	/* Of that one nothing is known any more, and nothing of it goes. */
	assert_int_equal(rco_engine_receipt(w.engine, "call", &r), RCO_E_NOT_FOUND);
	artifact(&w, "of the later call.wav", path, sizeof path);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_AUDIO, path, NULL),
	                 RCO_E_NOT_FOUND);
	ask(&w, "call", 0, &now);
	assert_int_equal(now.status, RCO_STATUS_NOTED);
	assert_string_not_equal(now.id, first.id);
	t_advance(&w, 120000);
	assert_true(t_exists(path));
	assert_int_equal(t_store_count(&w, ".caller.wav"), 1);
	t_world_destroy(&w);
}

static void test_a_later_call_of_the_id(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 8; i++)
		used_again(i & 1, i & 2 ? (int64_t)4000 * 1000 : 0, i & 4);
}

/* The ledger alone tells it, when the journal of that call has been rotated away. */
static void test_a_later_call_whose_journal_is_gone(void **state)
{
	rco_receipt *r = NULL;
	char calls[256];
	told first;
	t_world w;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		t_world_init(&w, T_SPOOL | T_DISK);
		t_world_open(&w);
		opted_out_call(&w, "call", &first);
		if (i == 1)
			restart(&w);
		kept_call(&w, "call", 4, 25);
		t_world_close(&w);
		t_join(calls, sizeof calls, w.state, "calls");
		t_rmtree(calls);
		t_world_open(&w);
		assert_int_equal(rco_engine_receipt(w.engine, "call", &r), RCO_E_NOT_FOUND);
		t_world_destroy(&w);
	}
}

static void test_two_opt_outs_of_one_id(void **state)
{
	told first, second, now;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	opted_out_call(&w, "call", &first);
	restart(&w);
	t_events_destroy(&w.events);
	t_events_init(&w.events);
	opted_out_call(&w, "call", &second);
	assert_string_not_equal(first.id, second.id);
	restart(&w);
	ask(&w, "call", 0, &now);
	assert_same(&second, &now);
	t_world_destroy(&w);
}

/* Opted out in its window, when a later call already had the id. */
static void test_opted_out_after_its_id_was_used_again(void **state)
{
	rco_session *s, *next;
	rco_receipt *r = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 9, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	next = t_call(&w, "call");
	t_push(next, 0, 4, 0, 25);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(next), RCO_OK);
	rco_session_free(next);
	rco_session_free(s);
	t_advance(&w, 120000);
	restart(&w);
	assert_int_equal(rco_engine_receipt(w.engine, "call", &r), RCO_E_NOT_FOUND);
	assert_int_equal(t_store_count(&w, ".caller.wav"), 1);
	t_world_destroy(&w);
}

/* Long after the call the id may be another one's: the answer is the old one, and the wish is kept for that too.
 */
static void test_asked_long_after(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call"};
	rco_session *s = NULL;
	told before, after;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	restart(&w);
	ask(&w, "call", 0, &after); /* soon after it is about that call alone */
	assert_same(&before, &after);
	t_advance(&w, (int64_t)4000 * 1000);
	restart(&w);
	ask(&w, "call", 0, &after);
	assert_same(&before, &after);
	restart(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Done when the clock was days ahead, it is not "soon after" for days: a wish for a later call is kept. */
static void test_done_in_the_future(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call"};
	const int64_t two_days_us = INT64_C(2) * 86400 * 1000000;
	rco_session *s = NULL;
	told before, after;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	atomic_fetch_add(&w.clock.wall_us, two_days_us);
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	t_world_close(&w);
	atomic_fetch_sub(&w.clock.wall_us, two_days_us);
	t_world_open(&w);
	t_advance(&w, (int64_t)4000 * 1000);
	ask(&w, "call", 0, &after);
	assert_same(&before, &after);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_soon_after_a_later_call_is_not_touched(void **state)
{
	told before, after;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	opted_out_call(&w, "call", &before);
	restart(&w);
	ask(&w, "call", 0, &after);
	s = t_call(&w, "call");
	t_push(s, 0, 4, 0, 25);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- how many ---- */

static void test_the_latest_are_remembered(void **state)
{
	told first, second, third, now;
	rco_receipt *r = NULL;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.remember_opt_outs = 2;
	w.cfg.remember_ended_s = 10;
	t_world_open(&w);
	opted_out_call(&w, "first", &first);
	opted_out_call(&w, "second", &second);
	opted_out_call(&w, "third", &third);
	t_advance(&w, 120000);
	for (i = 0; i < 2; i++) {
		receipt_of(&w, "second", &now);
		assert_same(&second, &now);
		receipt_of(&w, "third", &now);
		assert_same(&third, &now);
		assert_int_equal(rco_engine_receipt(w.engine, "first", &r), RCO_E_NOT_FOUND);
		restart(&w);
	}
	w.cfg.remember_opt_outs = 0; /* the default: as far as the ledger goes back */
	restart(&w);
	receipt_of(&w, "first", &now);
	assert_same(&first, &now);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_receipt),
		cmocka_unit_test(test_of_a_call_that_was_not_recorded),
		cmocka_unit_test(test_forgotten_by_its_own_process),
		cmocka_unit_test(test_a_late_copy),
		cmocka_unit_test(test_a_late_transcript),
		cmocka_unit_test(test_a_late_copy_and_a_crash),
		cmocka_unit_test(test_a_later_call_of_the_id),
		cmocka_unit_test(test_a_later_call_whose_journal_is_gone),
		cmocka_unit_test(test_two_opt_outs_of_one_id),
		cmocka_unit_test(test_opted_out_after_its_id_was_used_again),
		cmocka_unit_test(test_asked_long_after),
		cmocka_unit_test(test_done_in_the_future),
		cmocka_unit_test(test_soon_after_a_later_call_is_not_touched),
		cmocka_unit_test(test_the_latest_are_remembered),
	};

	return cmocka_run_group_tests_name("P6 over restarts", tests, NULL, NULL);
}
