/* SPDX-License-Identifier: MIT */
/*
 * An opt-out that is done with goes from a session to the table of the past and back, while others ask for it: at
 * no moment is it unknown, and there is one receipt.
 */
#include "../support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 4, ASKERS = 3, ROUNDS = 40 };

static t_world w;
static char receipts[CALLS][RCO_ID_TEXT + 1];
static _Atomic int over, wrong;
static _Atomic uint32_t asked, registered, round_now;

static void call_name(int i, char out[32])
{
	(void)snprintf(out, 32, "call-%d", i);
}

static int is_receipt(int i, int rc, rco_receipt *r)
{
	int good = rc == RCO_OK && r != NULL && strcmp(rco_receipt_id(r), receipts[i]) == 0 &&
	           rco_receipt_status(r) != RCO_STATUS_NOTED;

	rco_receipt_free(r);
	return good;
}

static void *ask(void *arg)
{
	uint32_t k = *(const uint32_t *)arg;
	char id[32];

	while (!atomic_load(&over)) {
		rco_receipt *r = NULL;
		int i = (int)(k++ % CALLS), rc;

		call_name(i, id);
		rc = k % 2 ? rco_engine_receipt(w.engine, id, &r) : rco_engine_opt_out(w.engine, id, NULL, &r);
		if (!is_receipt(i, rc, r))
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&asked, 1);
	}
	return NULL;
}

static void *copies_come(void *arg)
{
	char id[32], name[32], path[256];
	uint32_t k = 0;

	(void)arg;
	while (!atomic_load(&over)) {
		if (k == atomic_load(&round_now)) { /* one in each round */
			(void)sched_yield();
			continue;
		}
		call_name((int)(k % CALLS), id);
		(void)snprintf(name, sizeof name, "late-%u.wav", (unsigned)k++);
		t_join(path, sizeof path, w.artifacts, name);
		t_write_file(path, "late", 4);
		if (rco_engine_register_artifact(w.engine, id, RCO_KIND_AUDIO, path, NULL) != RCO_OK)
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&registered, 1);
	}
	return NULL;
}

static void test_never_unknown(void **state)
{
	uint32_t first[ASKERS + 1] = {0, 1, 2, 3}, before;
	pthread_t threads[ASKERS + 1];
	rco_receipt *r;
	char id[32];
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.remember_ended_s = 2;
	w.cfg.sweep_delay_ms = 100;
	t_world_open(&w);
	for (i = 0; i < CALLS; i++) {
		rco_session *s;

		call_name(i, id);
		s = t_call(&w, id);
		t_push(s, 0, (uint64_t)i, 0, 5);
		r = NULL;
		assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
		(void)snprintf(receipts[i], sizeof receipts[i], "%s", rco_receipt_id(r));
		rco_receipt_free(r);
		rco_session_free(s);
	}
	t_advance(&w, 20000);
	for (i = 0; i < ASKERS; i++)
		t_thread(&threads[i], ask, &first[i]);
	t_thread(&threads[ASKERS], copies_come, &first[ASKERS]);
	for (i = 0; i < ROUNDS; i++) {
		before = atomic_load(&asked);
		atomic_store(&round_now, (uint32_t)i + 1);
		t_advance(&w, 15000); /* forgotten, unless a copy has just come */
		while (atomic_load(&asked) < before + 8 || atomic_load(&registered) <= (uint32_t)i)
			t_settle(&w);
	}
	atomic_store(&over, 1);
	for (i = 0; i <= ASKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&registered) >= ROUNDS);
	t_advance(&w, 30000);
	assert_int_equal(t_tree_holds(w.artifacts, NULL, 0), 0);
	for (i = 0; i < CALLS; i++) {
		call_name(i, id);
		assert_int_equal(t_status(&w, id), RCO_STATUS_VERIFIED);
	}
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_unknown),
	};

	return cmocka_run_group_tests_name("the past, asked by threads", tests, NULL, NULL);
}
