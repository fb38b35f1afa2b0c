/* SPDX-License-Identifier: MIT */
/*
 * P13 fail toward privacy: disk full, out of memory, store down, ledger broken: recording stops all the same, the
 * answer says honestly what is not yet done, and the work is retried until it is.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

static t_fs fs;

static void assert_all_gone(t_world *w, const char *id)
{
	uint8_t marker[64];

	t_await(w, id, RCO_EVENT_DURABLE, 1);
	t_await(w, id, RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_status(w, id), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_memory_audio_bytes(w->memory), 0);
	t_noise(1, 0, marker, sizeof marker);
	assert_int_equal(t_tree_holds(w->root, marker, sizeof marker), 0);
	assert_int_equal(t_store_audio(w), 0);
}

/* One run with memory ending after n allocations; 1 if it ended at all. */
static int without_memory(uint64_t n, int by_id, uint32_t flags)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;
	int rc, failed;

	t_world_init(&w, 0);
	w.cfg.allocator = &t_allocator;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	t_advance(&w, 300);
	t_push(s, 0, 1, 30, 10);
	t_memory_is_there();
	t_memory.fail_from = n + 1;
	rc = by_id ? rco_engine_opt_out(w.engine, "call", &o, &r) : rco_opt_out(s, &o, &r);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	t_advance(&w, 100); /* the worker, too, is short of memory */
	t_advance(&w, 2000);
	assert_int_equal(t_push_one(s, 1, 1), RCO_E_OPTED_OUT);
	failed = t_memory.failed > 0;
	t_memory_is_there();
	if (flags & RCO_OPT_OUT_NONBLOCK)
		assert_int_equal(rc, RCO_PENDING);
	else
		assert_true(rc == RCO_OK || rc == RCO_PENDING);
	if (r != NULL && rc == RCO_PENDING)
		assert_int_equal(rco_receipt_facts(r) & RCO_FACT_DURABLE, 0);
	rco_receipt_free(r);
	/* events may be lost when memory is short, so look at the receipt */
	for (rc = 0; rc < 400 && t_status(&w, "call") != RCO_STATUS_VERIFIED; rc++)
		t_advance(&w, 250);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_session_free(s);
	t_world_destroy(&w);
	return failed;
}

static void test_out_of_memory(void **state)
{
	uint64_t n;
	int way;

	(void)state;
	for (way = 0; way < 3; way++) {
		for (n = 0; without_memory(n, way == 1, way == 2 ? RCO_OPT_OUT_NONBLOCK : 0); n++)
			assert_true(n < 2000);
		assert_true(n > 0);
		print_message("    way %d: memory ended at %llu places\n", way, (unsigned long long)n);
	}
}

/* For a call not yet known, "kept" or "no memory", and nothing in between. */
static void test_out_of_memory_early(void **state)
{
	uint64_t n, failed = 1, refused = 0;

	(void)state;
	for (n = 0; failed != 0; n++) {
		rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
		rco_session *s;
		t_world w;
		int rc;

		t_world_init(&w, 0);
		w.cfg.allocator = &t_allocator;
		t_world_open(&w);
		t_memory_is_there();
		t_memory.fail_from = n + 1;
		rc = rco_engine_opt_out(w.engine, "unborn", NULL, NULL);
		failed = t_memory.failed;
		t_memory_is_there();
		assert_true(rc == RCO_OK || rc == RCO_E_NO_MEMORY || rc == RCO_PENDING);
		assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
		assert_int_equal(rco_session_start(s), rc == RCO_E_NO_MEMORY ? RCO_OK : RCO_E_OPTED_OUT);
		refused += rc == RCO_E_NO_MEMORY;
		rco_session_free(s);
		t_world_destroy(&w);
		assert_true(n < 500);
	}
	assert_true(refused > 0);
}

/* Every change to a folder fails with that code, for a while. */
static void broken_disk(const char *match, int code, uint32_t flags, int expect)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;
	int i;

	t_world_init(&w, flags);
	w.cfg.upload = (flags & T_DISK) ? NULL : w.cfg.upload;
	w.cfg.deletion = (flags & T_DISK) ? NULL : w.cfg.deletion;
	w.cfg.output_dir = w.out;
	t_fs_init(&fs, match);
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	t_advance(&w, 300);
	atomic_store(&fs.fail, code);
	t_push(s, 0, 1, 30, 10); /* the media path does not care */
	t_advance(&w, 300);
	assert_int_equal(rco_opt_out(s, NULL, &r), expect == RCO_OK ? RCO_OK : RCO_PENDING);
	assert_int_equal(rco_receipt_code(r), expect);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_true((rco_receipt_facts(r) & RCO_FACT_STOPPED) != 0);
	assert_int_equal((rco_receipt_facts(r) & RCO_FACT_DURABLE) != 0, expect == RCO_OK);
	rco_receipt_free(r);
	for (i = 0; i < 30; i++)
		t_advance(&w, 1000);
	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	assert_int_equal(st.tombstones_waiting, expect == RCO_OK ? 0 : 1);
	atomic_store(&fs.fail, 0);
	assert_all_gone(&w, "call");
	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	assert_int_equal(st.tombstones_waiting, 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_disk_full_or_broken(void **state)
{
	(void)state;
	broken_disk("", RCO_E_NO_SPACE, T_SPOOL | T_DISK, RCO_E_NOT_DURABLE);
	broken_disk("", RCO_E_IO, T_SPOOL | T_DISK, RCO_E_NOT_DURABLE);
	broken_disk("/ledger", RCO_E_NO_SPACE, 0, RCO_E_NOT_DURABLE);
	broken_disk("/ledger", RCO_E_IO, T_SPOOL, RCO_E_NOT_DURABLE);
	broken_disk("/spool", RCO_E_IO, T_SPOOL, RCO_OK);
	broken_disk("/calls", RCO_E_NO_SPACE, 0, RCO_OK);
}

/* A single failure at each change while the opt-out is made durable: either way it ends well. */
static void test_ledger_fails_once_at_each_place(void **state)
{
	uint32_t n;
	int rc = -1, not_durable = 0;
	uint64_t failed = 1;

	(void)state;
	for (n = 0; failed != 0; n++) {
		rco_session *s;
		t_world w;

		t_world_init(&w, 0);
		t_fs_init(&fs, "/ledger");
		w.fs = &fs;
		t_world_open(&w);
		s = t_call(&w, "call");
		t_push(s, 0, 1, 0, 30);
		t_advance(&w, 300);
		atomic_store(&fs.fail_after, n);
		atomic_store(&fs.fail, RCO_E_IO);
		rc = rco_opt_out(s, NULL, NULL);
		failed = atomic_load(&fs.failed);
		atomic_store(&fs.fail, 0);
		assert_true(rc == RCO_OK || rc == RCO_PENDING);
		not_durable += rc == RCO_PENDING;
		assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
		assert_all_gone(&w, "call");
		rco_session_free(s);
		t_world_destroy(&w);
		assert_true(n < 100);
	}
	assert_int_equal(rc, RCO_OK);
	assert_true(not_durable > 0);
}

/* The store is down for an hour: stopped and durable at once, erased when it is back. */
static void test_store_down(void **state)
{
	static const int slots[] = {T_ERASE, T_BEGIN, T_PUT,    T_COMMIT, T_ABORT,
	                            T_LIST,  T_HEAD,  T_REMOVE, T_VERIFY};
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session *s;
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	for (i = 0; i < sizeof slots / sizeof slots[0]; i++)
		t_fault_set(&w.fault, slots[i], T_FAIL, 0, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	for (i = 0; i < 65; i++)
		t_advance(&w, 60000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_OVERDUE);
	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	assert_int_equal(st.erasures_pending, 1);
	assert_int_equal(st.erasures_escalated, 1);
	for (i = 0; i < sizeof slots / sizeof slots[0]; i++)
		t_fault_set(&w.fault, slots[i], T_PASS, 0, 0);
	assert_all_gone(&w, "call");
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out_of_memory),       cmocka_unit_test(test_out_of_memory_early),
		cmocka_unit_test(test_disk_full_or_broken), cmocka_unit_test(test_ledger_fails_once_at_each_place),
		cmocka_unit_test(test_store_down),
	};

	return cmocka_run_group_tests_name("P13 fail toward privacy", tests, NULL, NULL);
}
