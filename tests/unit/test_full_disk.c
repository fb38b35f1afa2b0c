/* SPDX-License-Identifier: MIT */
/*
 * No space left: what was accepted waits in the rings and is stored whole once there is space again; an opt-out
 * needs none, nor does what it erases.
 */
#include "../support.h"

#include <stdio.h>

enum { PER_SECOND = 50 };

static t_fs fs; /* large, so not on the stack */

static void open_on_disk(t_world *w, const char *match)
{
	t_world_init(w, T_SPOOL);
	t_fs_init(&fs, match);
	w->fs = &fs;
	w->cfg.segment_bytes = 12 * 1024; /* small, so that a new one is needed each second */
	t_world_open(w);
}

/* Two legs, one second at a time, as a call does. */
static void push_second(t_world *w, rco_session *s, size_t second)
{
	size_t i;

	for (i = 0; i < PER_SECOND; i++) {
		t_push(s, 0, 1, second * PER_SECOND + i, 1);
		t_push(s, 1, 2, second * PER_SECOND + i, 1);
		t_advance(w, 20);
	}
}

static void assert_whole(t_world *w, rco_session *s, size_t seconds)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.overflowed_frames, 0);
	assert_int_equal(st.buffered_bytes, 2 * seconds * PER_SECOND * T_FRAME);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(w, "kept", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(w, "kept", "caller", 1, seconds * PER_SECOND));
	assert_true(t_store_has_noise(w, "kept", "agent", 2, seconds * PER_SECOND));
}

/* Space ends at the n-th change to the spool, in the middle of a record if `tear`, and comes back a second and a
 * half later. 0 if it did not end within that time. */
static int ends_at(uint32_t n, int tear)
{
	rco_session *s;
	t_event e;
	t_world w;
	int failed;

	open_on_disk(&w, "/spool");
	s = t_call(&w, "kept");
	push_second(&w, s, 0);
	atomic_store(&fs.tear, tear);
	atomic_store(&fs.fail_after, n);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	push_second(&w, s, 1);
	failed = atomic_load(&fs.failed) > 0;
	if (failed) {
		assert_true(t_events_last(&w.events, NULL, RCO_EVENT_BUFFER_RETRY, &e));
		assert_int_equal(e.code, RCO_E_NO_SPACE);
	}
	atomic_store(&fs.fail, 0);
	push_second(&w, s, 2);
	t_advance(&w, 1000); /* the longest pause by now */
	assert_whole(&w, s, 3);
	t_world_destroy(&w);
	return failed;
}

static void test_spool_is_full(void **state)
{
	uint32_t n;

	(void)state;
	for (n = 0; ends_at(n, 0); n++)
		assert_true(ends_at(n, 1));
	print_message("    space ended at %u places\n", n);
	assert_true(n > 15);
}

/* While it lasts: tried again with longer and longer pauses, and what no ring holds is refused and told. */
static void test_pauses_grow(void **state)
{
	size_t i, refused = 0, at, before, retries[3];
	rco_session *s;
	t_event e;
	t_world w;

	(void)state;
	open_on_disk(&w, "/spool");
	s = t_call(&w, "kept");
	push_second(&w, s, 0);
	t_advance(&w, 200);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	for (i = at = PER_SECOND; i < 6 * PER_SECOND; i++) {
		uint8_t frame[T_FRAME];
		int rc;

		t_noise(1, at * T_FRAME, frame, sizeof frame);
		rc = rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
		assert_true(rc == RCO_OK || (rc == RCO_E_OVERFLOW && i >= 3 * PER_SECOND));
		at += rc == RCO_OK;
		refused += rc != RCO_OK;
		t_advance(&w, 20);
	}
	assert_true(refused > 0);
	for (i = 0; i < 3; i++) {
		size_t minute;

		before = t_events_count(&w.events, "kept", RCO_EVENT_BUFFER_RETRY);
		for (minute = 0; minute < 600; minute++)
			t_advance(&w, 100 << (2 * i)); /* 1, 4, 16 minutes */
		retries[i] = t_events_count(&w.events, "kept", RCO_EVENT_BUFFER_RETRY) - before;
	}
	assert_true(retries[0] >= 1 && retries[0] <= 6);
	assert_true(retries[1] >= 3 && retries[1] <= 5);
	assert_true(retries[2] >= 15 && retries[2] <= 17); /* at least once a minute, for ever */
	assert_true(t_events_last(&w.events, "kept", RCO_EVENT_BUFFER_RETRY, &e));
	assert_true(e.attempt > 10);
	atomic_store(&fs.fail, 0);
	t_advance(&w, 60000);
	assert_int_equal(t_events_sum(&w.events, "kept", RCO_EVENT_OVERFLOW), refused);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "kept", "caller", 1, at));
	t_world_destroy(&w);
}

/* Not one byte more on the whole disk: the opt-out is durable, and all is erased, before there is any. */
static void test_erasing_needs_no_space(void **state)
{
	rco_session *s, *kept;
	t_world w;
	int i;

	(void)state;
	open_on_disk(&w, "");
	s = t_call(&w, "gone");
	kept = t_call(&w, "kept");
	push_second(&w, kept, 0);
	t_push(s, 0, 3, 0, PER_SECOND);
	t_advance(&w, 400);
	atomic_store(&fs.full, 1);
	t_push(s, 0, 3, PER_SECOND, PER_SECOND);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 3), RCO_E_OPTED_OUT);
	for (i = 0; i < 200 && t_status(&w, "gone") != RCO_STATUS_VERIFIED; i++)
		t_advance(&w, 100);
	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_ERASE_RETRY), 0);
	atomic_store(&fs.full, 0);
	rco_session_free(s);
	push_second(&w, kept, 1);
	t_advance(&w, 60000);
	assert_whole(&w, kept, 2);
	assert_int_equal(t_store_count(&w, ".wav"), 2);
	t_world_destroy(&w);
}

/* The ledger's disk is full, and of the write that failed one half is there: stopped, and honest about the rest;
 * other calls go on being recorded; durable and erased as soon as there is space. */
static void test_ledger_is_full(void **state)
{
	rco_receipt *r = NULL;
	rco_session *gone, *kept;
	t_world w;

	(void)state;
	open_on_disk(&w, "/ledger");
	gone = t_call(&w, "gone");
	kept = t_call(&w, "kept");
	t_push(gone, 0, 3, 0, PER_SECOND);
	push_second(&w, kept, 0);
	atomic_store(&fs.tear, 1);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(rco_opt_out(gone, NULL, &r), RCO_PENDING);
	assert_int_equal(rco_receipt_code(r), RCO_E_NOT_DURABLE);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_STOPPED);
	assert_int_equal(t_push_one(gone, 0, 3), RCO_E_OPTED_OUT);
	rco_receipt_free(r);
	push_second(&w, kept, 1);
	t_advance(&w, 400);
	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_STOPPED);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_DURABLE), 0);
	assert_int_equal(t_events_count(&w.events, "kept", RCO_EVENT_BUFFER_RETRY), 0);
	atomic_store(&fs.fail, 0);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	rco_session_free(gone);
	assert_whole(&w, kept, 2);
	assert_int_equal(t_store_count(&w, ".wav"), 2);

	/* and what the torn writes left does no harm to the next start */
	t_world_close(&w);
	t_world_open(&w);
	t_await(&w, "gone", RCO_EVENT_SWEPT, 1);
	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED), 0);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spool_is_full),
		cmocka_unit_test(test_pauses_grow),
		cmocka_unit_test(test_erasing_needs_no_space),
		cmocka_unit_test(test_ledger_is_full),
	};

	return cmocka_run_group_tests_name("full disk", tests, NULL, NULL);
}
