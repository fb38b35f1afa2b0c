/* SPDX-License-Identifier: MIT */
/*
 * Opt-outs for calls that are not known yet (P12), when something happens while they are being written: the call
 * appears, their time passes, others come, the disk fails, the process dies.
 */
#include "../support.h"

#include <stdio.h>
#include <unistd.h>

static t_fs fs; /* large, so not on the stack */
static t_world w;

static void open_world(void)
{
	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger/");
	w.fs = &fs;
	w.cfg.prebirth_ttl_s = 60;
	w.cfg.allocator = &t_allocator;
	t_memory.fail_at = 0;
	t_memory.fail_all = 0;
	t_world_open(&w);
}

static int ask(const char *call_id, uint32_t flags, char id[40], int64_t *durable_us)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags};
	rco_receipt *r = NULL;
	int rc = rco_opt_out_call(w.engine, call_id, &o, &r);

	if (r != NULL) {
		(void)snprintf(id, 40, "%s", rco_receipt_id(r));
		*durable_us = rco_receipt_time_us(r, RCO_TIME_DURABLE);
		rco_receipt_free(r);
	}
	return rc;
}

typedef struct asking {
	pthread_t thread;
	int rc;
	char id[40];
	int64_t durable_us;
} asking;

static void *ask_and_wait(void *arg)
{
	asking *a = arg;

	a->rc = ask("x", 0, a->id, &a->durable_us);
	return NULL;
}

/* A request that waits for the disk. */
static void begin(asking *a)
{
	memset(a, 0, sizeof *a);
	t_fs_stall(&fs, T_FS_SYNCS);
	t_thread(&a->thread, ask_and_wait, a);
	assert_true(t_fs_wait_stalled(&fs));
}

static void finish(asking *a)
{
	assert_true(t_fs_resume(&fs));
	assert_int_equal(pthread_join(a->thread, NULL), 0);
	assert_int_equal(a->rc, RCO_OK);
	assert_true(a->id[0] != '\0');
	assert_true(a->durable_us > 0);
}

/* ---- meetings ---- */

static void test_the_call_appears_meanwhile(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "x"};
	rco_session *s = NULL;
	rco_receipt *r = NULL;
	asking a;

	(void)state;
	open_world();
	begin(&a);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	finish(&a);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_string_equal(rco_receipt_id(r), a.id); /* the one receipt that there is */
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Its time passes while the disk is slow, and somebody asks again: two objections, two receipts, each with its own
 * times. */
static void test_another_takes_its_place_meanwhile(void **state)
{
	char id[40] = "";
	int64_t durable = 0;
	asking a;

	(void)state;
	open_world();
	begin(&a);
	t_clock_advance(&w.clock, 61000);
	assert_int_equal(ask("x", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	finish(&a);
	assert_string_not_equal(a.id, id);
	assert_int_equal(durable, 0);
	t_settle(&w);
	assert_int_equal(t_status(&w, "x"), RCO_STATUS_NOT_RECORDING);
	t_world_destroy(&w);
}

static void *settle(void *arg)
{
	(void)arg;
	t_settle(&w);
	return NULL;
}

/* One that comes while others are being written has its turn after them. */
static void test_another_comes_meanwhile(void **state)
{
	char id[40];
	int64_t durable = 0;
	pthread_t thread;

	(void)state;
	open_world();
	assert_int_equal(ask("first", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	t_fs_stall(&fs, T_FS_SYNCS);
	t_thread(&thread, settle, NULL);
	assert_true(t_fs_wait_stalled(&fs));
	assert_int_equal(ask("second", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	assert_true(t_fs_resume(&fs));
	assert_int_equal(pthread_join(thread, NULL), 0);
	t_advance(&w, 2000);
	assert_int_equal(t_status(&w, "first"), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(t_status(&w, "second"), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(t_events_sum(&w.events, NULL, RCO_EVENT_DURABLE), 2);
	t_world_destroy(&w);
}

/* ---- disks and memory ---- */

static void test_not_durable_yet(void **state)
{
	char id[40], call[32];
	int64_t durable = 0;
	int i;

	(void)state;
	open_world();
	atomic_store(&fs.fail, RCO_E_IO);
	for (i = 0; i < 8; i++) {
		(void)snprintf(call, sizeof call, "call-%d", i);
		assert_int_equal(ask(call, RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	}
	t_advance(&w, 2000);
	assert_true(t_events_count(&w.events, NULL, RCO_EVENT_NOT_DURABLE) >= 1);
	assert_int_equal(t_status(&w, "call-3"), RCO_STATUS_STOPPED);
	atomic_store(&fs.fail, 0);
	t_advance(&w, 2000);
	assert_int_equal(t_events_sum(&w.events, NULL, RCO_EVENT_DURABLE), 8);
	assert_int_equal(t_status(&w, "call-3"), RCO_STATUS_NOT_RECORDING);
	t_world_destroy(&w);
}

/* Nothing is called durable any more that has expired by then. */
static void test_expired_before_it_was_durable(void **state)
{
	char id[40];
	int64_t durable = 0;

	(void)state;
	open_world();
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(ask("x", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	t_settle(&w);
	t_clock_advance(&w.clock, 61000);
	atomic_store(&fs.fail, 0);
	t_advance(&w, 2000);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_DURABLE), 0);
	assert_int_equal(t_status(&w, "x"), 0);
	t_world_destroy(&w);
}

/* Whatever there is no memory for, now and then the ledger's queue: the host is told, and asks again. For the
 * second entry of a pair there need not be any. */
static void test_no_memory_for_the_ledger(void **state)
{
	char id[40], call[32];
	int64_t durable = 0;
	int i, rc, refused = 0;

	(void)state;
	open_world();
	for (i = 0; i < 500; i++) {
		(void)snprintf(call, sizeof call, "call-%d", i);
		atomic_store(&t_memory.count, 0);
		t_memory.fail_at = 2;
		rc = ask(call, RCO_OPT_OUT_NONBLOCK, id, &durable);
		t_memory.fail_at = 0;
		assert_true(rc == RCO_E_NO_MEMORY || rc == RCO_PENDING);
		assert_int_equal(t_status(&w, call), rc == RCO_PENDING ? RCO_STATUS_STOPPED : 0);
		refused += rc == RCO_E_NO_MEMORY;
	}
	assert_true(refused > 400);
	assert_int_equal(ask("call-7", 0, id, &durable), RCO_OK);
	assert_int_equal(t_status(&w, "call-7"), RCO_STATUS_NOT_RECORDING);
	t_world_destroy(&w);
}

/* ---- the next process ---- */

/* The call is made, and the process is gone before its tombstone is on disk. */
static void born_and_killed(void *arg)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "x"};
	rco_session *s = NULL;
	char id[40];
	int64_t durable = 0, back_ms = *(const int64_t *)arg;

	t_world_open(&w);
	assert_int_equal(ask("x", 0, id, &durable), RCO_OK);
	atomic_fetch_sub(&w.clock.wall_us, back_ms * 1000); /* but not that of the ledger's order */
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	t_settle(&w);
	T_LAST_WORDS();
	_exit(0);
}

static void killed_after_birth(int64_t clock_put_back_ms)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "x"};
	rco_session *s = NULL;

	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	assert_int_equal(t_reap(t_spawn(born_and_killed, &clock_put_back_ms)), 0);
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_true(t_status(&w, "x") == 0 || t_status(&w, "x") == RCO_STATUS_NOT_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_the_next_process_finds_both(void **state)
{
	(void)state;
	killed_after_birth(0);
	killed_after_birth(3600000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_call_appears_meanwhile),
		cmocka_unit_test(test_another_takes_its_place_meanwhile),
		cmocka_unit_test(test_another_comes_meanwhile),
		cmocka_unit_test(test_not_durable_yet),
		cmocka_unit_test(test_expired_before_it_was_durable),
		cmocka_unit_test(test_no_memory_for_the_ledger),
		cmocka_unit_test(test_the_next_process_finds_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
