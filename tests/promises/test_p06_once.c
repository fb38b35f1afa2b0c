/* SPDX-License-Identifier: MIT */
/*
 * P6 once and for good: an opt-out is irreversible and idempotent, the first one wins, and any number of triggers
 * from any threads get the same receipt.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = T_SANITIZED ? 10 : 60 };

/* ---- many at once ---- */

static struct crowd {
	t_world *w;
	rco_session *session;
	char call_id[32];
	pthread_barrier_t go;
} crowd;

struct answer {
	unsigned n;
	int rc;
	char id[RCO_ID_TEXT + 1], source[RCO_LABEL_MAX + 1];
};

static void *ask(void *arg)
{
	struct answer *a = arg;
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o};
	rco_receipt *r = NULL;
	char source[16];

	(void)snprintf(source, sizeof source, "thread-%u", a->n);
	o.source = source;
	(void)pthread_barrier_wait(&crowd.go);
	if (a->n % 2 == 0)
		a->rc = rco_opt_out(crowd.session, &o, &r);
	else
		a->rc = rco_engine_opt_out(crowd.w->engine, crowd.call_id, &o, &r);
	(void)snprintf(a->id, sizeof a->id, "%s", r != NULL ? rco_receipt_id(r) : "");
	(void)snprintf(a->source, sizeof a->source, "%s", r != NULL ? rco_receipt_source(r) : "");
	rco_receipt_free(r);
	return NULL;
}

static void test_eight_threads_one_receipt(void **state)
{
	int round, i, had = 0;
	t_world w;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	crowd.w = &w;
	assert_int_equal(pthread_barrier_init(&crowd.go, NULL, THREADS), 0);
	for (round = 0; round < ROUNDS; round++) {
		rco_session_options o = {.struct_size = (uint32_t)sizeof o, .recorder = &t_recorder_pushes};
		struct answer a[THREADS] = {{0}};
		pthread_t threads[THREADS];

		(void)snprintf(crowd.call_id, sizeof crowd.call_id, "crowd-%d", round);
		o.call_id = crowd.call_id;
		atomic_store(&t_recorder.calls[RCO_RECORDER_STOP], 0);
		crowd.session = t_call_with(&w, &o);
		assert_int_equal(rco_session_start(crowd.session), RCO_OK);
		t_push(crowd.session, 0, 1, 0, 1);
		for (i = 0; i < THREADS; i++) {
			a[i].n = (unsigned)i;
			t_thread(&threads[i], ask, &a[i]);
		}
		for (i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		for (i = 0; i < THREADS; i++) {
			assert_int_equal(a[i].rc, RCO_OK);
			assert_int_equal(strlen(a[i].id), RCO_ID_TEXT);
			assert_string_equal(a[i].id, a[0].id);
			assert_string_equal(a[i].source, a[0].source);
		}
		assert_true(atomic_load(&t_recorder.calls[RCO_RECORDER_STOP]) >= 1);
		had += atomic_load(&t_recorder.calls[RCO_RECORDER_STOP]);
		t_await(&w, crowd.call_id, RCO_EVENT_VERIFIED, 1);
		assert_int_equal(t_events_count(&w.events, crowd.call_id, RCO_EVENT_OPTED_OUT), 1);
		assert_int_equal(t_events_count(&w.events, crowd.call_id, RCO_EVENT_VERIFIED), 1);
		rco_session_free(crowd.session);
	}
	assert_true(had >= ROUNDS);
	(void)pthread_barrier_destroy(&crowd.go);
	t_world_destroy(&w);
}

static void assert_final(t_world *w, rco_session *s, const char *id)
{
	rco_receipt *r = NULL;
	uint32_t leg;

	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_resume(s), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_add_leg(s, "third", RCO_FORMAT_PCMU_8K, &leg), RCO_E_OPTED_OUT);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(t_push_one(s, 1, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
	assert_string_equal(rco_receipt_id(r), id);
	rco_receipt_free(r);
	t_settle(w);
}

static void test_nothing_starts_it_again(void **state)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = "final", .recorder = &t_recorder_pushes};
	rco_opt_out_options first = {.struct_size = (uint32_t)sizeof first, .source = "dtmf"};
	char id[RCO_ID_TEXT + 1];
	rco_receipt *r = NULL;
	rco_session *s, *again;
	int started;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 1);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, &first, &r), RCO_OK);
	(void)snprintf(id, sizeof id, "%s", rco_receipt_id(r));
	assert_string_equal(rco_receipt_source(r), "dtmf");
	rco_receipt_free(r);
	started = atomic_load(&t_recorder.calls[RCO_RECORDER_START]) +
	          atomic_load(&t_recorder.calls[RCO_RECORDER_RESUME]);
	assert_final(&w, s, id);
	t_await(&w, "final", RCO_EVENT_VERIFIED, 1);
	assert_final(&w, s, id);
	/* switching the offer off does not take back what was asked */
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 0), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 1), RCO_OK);
	/* the call goes on: its id cannot be taken by a session that would record it */
	assert_int_equal(rco_session_create(w.engine, &o, &again), RCO_E_CALL_EXISTS);
	assert_int_equal(atomic_load(&t_recorder.calls[RCO_RECORDER_START]) +
	                         atomic_load(&t_recorder.calls[RCO_RECORDER_RESUME]),
	                 started);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
	assert_string_equal(rco_receipt_id(r), id);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A restart keeps the answer, and the recording stays away. */
static void test_same_receipt_after_a_restart(void **state)
{
	rco_receipt *before = NULL, *after = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 20);
	assert_int_equal(rco_opt_out(s, NULL, &before), RCO_OK);
	t_world_close(&w);
	t_world_open(&w);
	assert_int_equal(rco_engine_receipt(w.engine, "call", &after), RCO_OK);
	assert_string_equal(rco_receipt_id(before), rco_receipt_id(after));
	assert_int_equal(rco_receipt_time_us(before, RCO_TIME_REQUESTED),
	                 rco_receipt_time_us(after, RCO_TIME_REQUESTED));
	rco_receipt_free(after);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, &after), RCO_OK);
	assert_string_equal(rco_receipt_id(before), rco_receipt_id(after));
	rco_receipt_free(before);
	rco_receipt_free(after);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_HANDLE);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A finished call's id may be used again by another call, which the opt-out does not touch. */
static void test_a_later_call_of_that_id(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "again");
	t_push(s, 0, 1, 0, 20);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_settle(&w);
	s = t_call(&w, "again");
	t_push(s, 0, 5, 0, 20);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "again", RCO_EVENT_STORED, 1);
	assert_int_equal(t_store_count(&w, ".wav"), 1);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eight_threads_one_receipt),
		cmocka_unit_test(test_nothing_starts_it_again),
		cmocka_unit_test(test_same_receipt_after_a_restart),
		cmocka_unit_test(test_a_later_call_of_that_id),
	};

	return cmocka_run_group_tests_name("P6 once and for good", tests, NULL, NULL);
}
