/* SPDX-License-Identifier: MIT */
/*
 * Ten thousand open calls opted out at once: they share the ledger's commits, a single request is not queued
 * behind them, and what they leave to be erased does not keep other calls from being recorded.
 */
#include "../support.h"

#include "../../lib/session/state.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { MASS = T_SANITIZED ? 2000 : 10000, CROWD = 500, KEPT = 4, FRAMES = 3, RING_UNIT = 16384 };

static t_fs fs; /* large, so not on the stack */
static _Atomic uint32_t told_durable;

static void count_durable(const rco_event *event, void *user_data)
{
	(void)user_data;
	if (event->type == RCO_EVENT_DURABLE)
		(void)atomic_fetch_add(&told_durable, 1);
}

static void open_world(t_world *w)
{
	t_world_init(w, T_WORKERS);
	t_fs_init(&fs, "/ledger");
	w->fs = &fs;
	w->cfg.ring_pool_bytes = (uint64_t)RING_UNIT * (MASS + 2 * KEPT + 16);
	w->events.hook = count_durable;
	atomic_store(&told_durable, 0);
	t_world_open(w);
}

static rco_session *open_call(t_world *w, const char *prefix, uint32_t i)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o};
	rco_session *s = NULL;
	uint32_t leg;
	char id[32];

	(void)snprintf(id, sizeof id, "%s-%u", prefix, i);
	o.call_id = id;
	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, i, 0, FRAMES);
	return s;
}

static rco_session **open_calls(t_world *w, const char *prefix, uint32_t n)
{
	rco_session **calls = calloc(n, sizeof(rco_session *));
	uint32_t i;

	assert_non_null(calls);
	for (i = 0; i < n; i++)
		calls[i] = open_call(w, prefix, i);
	return calls;
}

static void ask(rco_session **calls, uint32_t n)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	uint32_t i;

	for (i = 0; i < n; i++) {
		int rc = rco_opt_out(calls[i], &o, NULL);

		assert_true(rc == RCO_PENDING || rc == RCO_OK);
		assert_int_equal(t_push_one(calls[i], 0, i), RCO_E_OPTED_OUT);
	}
}

static void free_calls(rco_session **calls, uint32_t n)
{
	while (n-- > 0)
		rco_session_free(calls[n]);
	free(calls);
}

/* Every one: durable for certain, erased, and nothing of it left. */
static void assert_all_erased(rco_session **calls, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		rco_receipt *r = NULL;

		assert_int_equal(rco_session_receipt(calls[i], &r), RCO_OK);
		assert_int_equal(rco_receipt_status(r), RCO_STATUS_VERIFIED);
		assert_true((rco_receipt_facts(r) & RCO_FACT_DURABLE) != 0);
		assert_true(rco_receipt_time_us(r, RCO_TIME_DURABLE) >=
		            rco_receipt_time_us(r, RCO_TIME_REQUESTED));
		rco_receipt_free(r);
	}
}

static void store_kept(t_world *w, rco_session **kept, size_t frames)
{
	char id[32];
	uint32_t i;

	for (i = 0; i < KEPT; i++) {
		assert_int_equal(rco_session_end(kept[i]), RCO_OK);
		(void)snprintf(id, sizeof id, "kept-%u", i);
		t_await(w, id, RCO_EVENT_STORED, 1);
	}
	/* Not told apart by their call records, of which there are thousands: they are all the audio there is. */
	assert_int_equal(t_fault_audio_calls(&w->fault, T_COMMIT), KEPT);
	assert_int_equal(rco_memory_audio_bytes(w->memory), KEPT * (frames * T_FRAME + 58));
}

static void test_they_share_commits(void **state)
{
	rco_session **mass, **kept;
	uint64_t before, syncs;
	t_world w;
	uint32_t i;

	(void)state;
	open_world(&w);
	kept = open_calls(&w, "kept", KEPT);
	mass = open_calls(&w, "mass", MASS);
	for (i = 0; i < KEPT; i++)
		t_wait_buffered(kept[i]);
	t_fault_set(&w.fault, T_ERASE, T_BLOCK, 0, 0);
	before = atomic_load(&fs.syncs);
	ask(mass, MASS);
	while (atomic_load(&told_durable) < MASS)
		(void)sched_yield();
	syncs = atomic_load(&fs.syncs) - before;
	print_message("    %d opt-outs, %llu syncs of the ledger\n", (int)MASS, (unsigned long long)syncs);
	assert_true(syncs >= 1);
	assert_true(syncs < MASS / 5); /* fifty times fewer where nothing else runs */

	/* All that is to be erased waits for a backend that is stuck; calls are recorded meanwhile. */
	assert_true(t_fault_wait_blocked(&w.fault));
	assert_int_equal(t_fault_mixed(&w.fault), 0);
	for (i = 0; i < KEPT; i++) {
		t_push(kept[i], 0, i, FRAMES, 50);
		t_wait_buffered(kept[i]);
	}
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	t_fault_unblock(&w.fault);
	/* and while it is being done: always a frame behind thousands of erasures */
	for (i = 0; i < 50 * KEPT; i++) {
		t_push(kept[i % KEPT], 0, i % KEPT, FRAMES + 50 + i / KEPT, 1);
		if (i % KEPT == KEPT - 1)
			t_wait_buffered(kept[i % KEPT]);
	}
	assert_int_equal(rco_engine_wait_idle(w.engine, 120000), RCO_OK);
	assert_int_equal(t_fault_mixed(&w.fault), 0);
	assert_all_erased(mass, MASS);
	store_kept(&w, kept, FRAMES + 100);
	free_calls(mass, MASS);
	free_calls(kept, KEPT);
	t_world_destroy(&w);
}

/* ---- one that does wait ---- */

struct single {
	rco_session *session;
	uint32_t status;
	int rc;
};

static void *ask_and_wait(void *arg)
{
	struct single *single = arg;
	rco_receipt *r = NULL;

	single->rc = rco_opt_out(single->session, NULL, &r);
	single->status = rco_receipt_status(r);
	rco_receipt_free(r);
	return NULL;
}

/* Its tombstone is in the ledger's queue. */
static int is_queued(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = s->control.tomb_lsn != 0;
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

/* In the middle of a crowd, while a commit is under way: durable with that one's successor, for those who come
 * later.
 */
static void test_a_single_one_in_the_middle(void **state)
{
	rco_session **before, **after;
	struct single single = {.rc = -1};
	pthread_t thread;
	uint64_t syncs;
	t_world w;

	(void)state;
	open_world(&w);
	before = open_calls(&w, "before", CROWD);
	after = open_calls(&w, "after", CROWD);
	single.session = open_call(&w, "single", 0);
	syncs = atomic_load(&fs.syncs);
	t_fs_stall(&fs, T_FS_SYNCS);
	ask(before, CROWD);
	assert_true(t_fs_wait_stalled(&fs));
	t_thread(&thread, ask_and_wait, &single);
	while (!is_queued(single.session))
		(void)sched_yield();
	ask(after, CROWD);
	assert_int_equal(atomic_load(&fs.syncs), syncs);
	t_fs_permit(&fs, 2);
	(void)pthread_join(thread, NULL);
	assert_int_equal(single.rc, RCO_OK);
	assert_true(atomic_load(&fs.syncs) - syncs <= 2);
	assert_true(single.status >= RCO_STATUS_DURABLE);
	assert_true(t_fs_resume(&fs)); /* and nobody had to give up */
	assert_int_equal(rco_engine_wait_idle(w.engine, 120000), RCO_OK);
	assert_all_erased(before, CROWD);
	assert_all_erased(after, CROWD);
	assert_all_erased(&single.session, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	free_calls(before, CROWD);
	free_calls(after, CROWD);
	rco_session_free(single.session);
	t_world_destroy(&w);
}

/* The erasures of a crowd have begun, each waits for a backend that does not go on: that is no queue for others.
 */
static void test_a_single_one_behind_erasures(void **state)
{
	rco_session **crowd, *single;
	rco_receipt *r = NULL;
	t_world w;

	(void)state;
	open_world(&w);
	t_fault_set(&w.fault, T_ERASE, T_BLOCK, 0, 0);
	crowd = open_calls(&w, "crowd", CROWD);
	single = open_call(&w, "single", 0);
	ask(crowd, CROWD);
	assert_true(t_fault_wait_blocked(&w.fault));
	assert_int_equal(rco_opt_out(single, NULL, &r), RCO_OK);
	assert_true(rco_receipt_status(r) >= RCO_STATUS_DURABLE);
	rco_receipt_free(r);
	single = (rco_session_free(single), open_call(&w, "another", 0));
	ask(&single, 1);
	while (atomic_load(&told_durable) < CROWD + 1) /* also told while all erasures are stuck */
		(void)sched_yield();
	t_await(&w, "another-0", RCO_EVENT_DURABLE, 1);
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	t_fault_unblock(&w.fault);
	assert_int_equal(rco_engine_wait_idle(w.engine, 120000), RCO_OK);
	assert_all_erased(crowd, CROWD);
	assert_all_erased(&single, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	free_calls(crowd, CROWD);
	rco_session_free(single);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_share_commits),
		cmocka_unit_test(test_a_single_one_in_the_middle),
		cmocka_unit_test(test_a_single_one_behind_erasures),
	};

	return cmocka_run_group_tests_name("mass opt-out", tests, NULL, NULL);
}
