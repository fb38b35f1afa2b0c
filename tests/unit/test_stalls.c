/* SPDX-License-Identifier: MIT */
/*
 * A disk that stalls for five seconds while calls go on: what the rings hold is kept, what they do not hold is
 * refused and counted, frame by frame, and an opt-out waits for nothing but the ledger.
 */
#include "../support.h"

#include <stdio.h>

enum {
	PER_SECOND = 50,
	STALL = 5 * PER_SECOND,
	RING = 16384 / T_FRAME, /* frames of G.711 that a ring holds: two seconds */
	SEED = 100
};

static t_fs fs; /* large, so not on the stack */

static rco_session *call_of(t_world *w, const char *call_id, uint32_t legs)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *s = NULL;
	uint32_t i, leg;

	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	for (i = 0; i < legs; i++) {
		char label[16];

		(void)snprintf(label, sizeof label, "leg%u", i);
		assert_int_equal(rco_session_add_leg(s, label, RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
		assert_int_equal(leg, i);
	}
	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

/* The next frame of a leg: `taken` counts those that were accepted, and is the place of the next one. */
static int next_frame(rco_session *s, uint32_t leg, size_t *taken)
{
	uint8_t frame[T_FRAME];
	int rc;

	t_noise(SEED + leg, *taken * T_FRAME, frame, sizeof frame);
	rc = rco_session_push(s, leg, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
	*taken += rc == RCO_OK;
	return rc;
}

static void assert_stored(t_world *w, const char *call_id, uint32_t legs, const size_t *taken)
{
	uint32_t i;

	for (i = 0; i < legs; i++) {
		char label[16];

		(void)snprintf(label, sizeof label, "leg%u", i);
		assert_true(t_store_has_noise(w, call_id, label, SEED + i, taken[i]));
	}
}

static void assert_overflowed(t_world *w, rco_session *s, const char *call_id, uint64_t frames)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_engine_stats est = {.struct_size = (uint32_t)sizeof est};

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(rco_engine_get_stats(w->engine, &est), RCO_OK);
	assert_int_equal(st.overflowed_frames, frames);
	assert_int_equal(est.frames_overflowed, frames);
	assert_int_equal(t_events_sum(&w->events, call_id, RCO_EVENT_OVERFLOW), frames);
}

static uint64_t buffered(rco_session *s)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	return st.buffered_bytes;
}

/* ---- by a clock in our hand: a backend that does not answer for five seconds ---- */

static void five_seconds(uint32_t legs)
{
	size_t taken[RCO_MAX_LEGS] = {0}, tick;
	rco_session *kept, *gone;
	uint32_t leg;
	t_world w;

	t_world_init(&w, 0);
	t_world_open(&w);
	kept = call_of(&w, "kept", legs);
	gone = call_of(&w, "gone", legs);
	for (tick = 0; tick < PER_SECOND; tick++) {
		for (leg = 0; leg < legs; leg++)
			assert_int_equal(next_frame(kept, leg, &taken[leg]), RCO_OK);
		assert_int_equal(t_push_one(gone, 0, 1), RCO_OK);
		t_advance(&w, 20);
	}
	t_advance(&w, 400);
	assert_int_equal(buffered(kept), legs * PER_SECOND * T_FRAME);

	t_fault_set(&w.fault, T_APPEND, T_HOLD, 0, 0);
	for (tick = 0; tick < STALL; tick++) {
		for (leg = 0; leg < legs; leg++)
			assert_int_equal(next_frame(kept, leg, &taken[leg]),
			                 tick < RING ? RCO_OK : RCO_E_OVERFLOW);
		if (tick < STALL / 2)
			assert_int_equal(t_push_one(gone, 0, 1), tick < RING ? RCO_OK : RCO_E_OVERFLOW);
		if (tick == STALL / 2) {
			rco_receipt *r = NULL;

			/* Nobody runs the engine meanwhile: it waits for nothing of the buffer. */
			assert_int_equal(rco_opt_out(gone, NULL, &r), RCO_OK);
			assert_int_equal(rco_receipt_status(r), RCO_STATUS_DURABLE);
			assert_int_equal(t_push_one(gone, 0, 1), RCO_E_OPTED_OUT);
			rco_receipt_free(r);
		}
		t_advance(&w, 20);
	}
	assert_int_equal(t_fault_held(&w.fault, T_APPEND), 2); /* one of each call */
	assert_int_equal(buffered(kept), legs * PER_SECOND * T_FRAME);

	t_fault_set(&w.fault, T_APPEND, T_PASS, 0, 0);
	assert_int_equal(t_fault_release(&w.fault, T_APPEND), RCO_OK);
	t_settle(&w);
	assert_int_equal(buffered(kept), legs * (PER_SECOND + RING) * T_FRAME);
	for (leg = 0; leg < legs; leg++)
		assert_int_equal(next_frame(kept, leg, &taken[leg]), RCO_OK);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	/* what is left is the kept call's */
	t_advance(&w, 400);
	assert_int_equal(rco_memory_audio_bytes(w.memory), legs * (PER_SECOND + RING + 1) * T_FRAME);
	rco_session_free(gone);
	assert_int_equal(rco_session_end(kept), RCO_OK);
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	{
		rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

		assert_int_equal(rco_session_get_stats(kept, &st), RCO_OK);
		assert_int_equal(st.overflowed_frames, legs * (STALL - RING));
		assert_int_equal(t_events_sum(&w.events, "kept", RCO_EVENT_OVERFLOW), legs * (STALL - RING));
	}
	assert_stored(&w, "kept", legs, taken);
	assert_int_equal(t_store_count(&w, ".wav"), legs);
	rco_session_free(kept);
	t_world_destroy(&w);
}

static void test_backend_is_silent(void **state)
{
	uint32_t legs;

	(void)state;
	for (legs = 1; legs <= RCO_MAX_LEGS; legs++)
		five_seconds(legs);
}

/* ---- a real disk, through a file system that waits ---- */

static void open_on_disk(t_world *w)
{
	t_world_init(w, T_SPOOL | T_WORKERS);
	t_fs_init(&fs, "/spool");
	w->fs = &fs;
	w->cfg.late_opt_out_ms = 50;
	t_world_open(w);
}

static void close_on_disk(t_world *w, rco_session *kept, const char *gone)
{
	assert_int_equal(rco_session_end(kept), RCO_OK);
	rco_session_free(kept);
	t_await(w, gone, RCO_EVENT_VERIFIED, 1);
	t_await(w, "kept", RCO_EVENT_STORED, 1);
}

/* Only making it durable stalls: the page cache takes all, a second at a time, and nothing overflows. */
static void test_sync_stalls(void **state)
{
	size_t taken[RCO_MAX_LEGS] = {0}, late[1] = {0}, second, i;
	rco_session *kept, *gone, *new;
	uint32_t leg;
	t_world w;

	(void)state;
	open_on_disk(&w);
	kept = call_of(&w, "kept", RCO_MAX_LEGS);
	gone = call_of(&w, "gone", 1);
	t_push(gone, 0, 1, 0, 50);
	t_wait_buffered(gone);
	t_fs_stall(&fs, T_FS_SYNCS);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		assert_int_equal(next_frame(kept, leg, &taken[leg]), RCO_OK);
	assert_true(t_fs_wait_stalled(&fs));
	for (second = 0; second < 5; second++) {
		for (i = 0; i < PER_SECOND; i++)
			for (leg = 0; leg < RCO_MAX_LEGS; leg++)
				assert_int_equal(next_frame(kept, leg, &taken[leg]), RCO_OK);
		if (second == 2) {
			assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
			assert_int_equal(t_push_one(gone, 0, 1), RCO_E_OPTED_OUT);
		}
		t_wait_buffered(kept);
	}
	/* A call that begins now is recorded, too. */
	new = call_of(&w, "new", 1);
	for (i = 0; i < PER_SECOND; i++)
		assert_int_equal(next_frame(new, 0, &late[0]), RCO_OK);
	t_wait_buffered(new);
	assert_overflowed(&w, kept, "kept", 0);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_VERIFIED), 0); /* nothing was synced */
	assert_true(t_fs_resume(&fs));
	assert_int_equal(rco_session_end(new), RCO_OK);
	rco_session_free(new);
	rco_session_free(gone);
	close_on_disk(&w, kept, "gone");
	t_await(&w, "new", RCO_EVENT_STORED, 1);
	assert_stored(&w, "kept", RCO_MAX_LEGS, taken);
	assert_stored(&w, "new", 1, late);
	assert_int_equal(t_store_count(&w, ".wav"), RCO_MAX_LEGS + 1);
	t_world_destroy(&w);
}

/* Nor are writes taken any more: two seconds are in the rings, the rest is refused, and an opt-out holds at once.
 */
static void test_write_stalls(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	size_t taken[RCO_MAX_LEGS] = {0}, i;
	rco_session *kept, *gone, *gone_too;
	uint32_t leg;
	t_world w;

	(void)state;
	open_on_disk(&w);
	kept = call_of(&w, "kept", RCO_MAX_LEGS);
	gone = call_of(&w, "gone", 1);
	gone_too = call_of(&w, "gone-too", 1);
	for (i = 0; i < PER_SECOND; i++)
		for (leg = 0; leg < RCO_MAX_LEGS; leg++)
			assert_int_equal(next_frame(kept, leg, &taken[leg]), RCO_OK);
	t_push(gone, 0, 1, 0, 50);
	t_push(gone_too, 0, 1, 0, 50);
	t_wait_buffered(kept);
	t_wait_buffered(gone);
	t_wait_buffered(gone_too);

	t_fs_stall(&fs, T_FS_WRITES);
	for (i = 0; i < STALL; i++) {
		for (leg = 0; leg < RCO_MAX_LEGS; leg++)
			assert_int_equal(next_frame(kept, leg, &taken[leg]), i < RING ? RCO_OK : RCO_E_OVERFLOW);
		(void)t_push_one(gone, 0, 1);
		(void)t_push_one(gone_too, 0, 1);
	}
	assert_true(t_fs_wait_stalled(&fs));
	assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(gone, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_opt_out(gone_too, &o, NULL), RCO_PENDING);
	assert_int_equal(t_push_one(gone_too, 0, 1), RCO_E_OPTED_OUT);
	t_await(&w, "gone-too", RCO_EVENT_DURABLE, 1); /* told meanwhile */
	assert_true(t_fs_resume(&fs));

	t_wait_buffered(kept);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		assert_int_equal(next_frame(kept, leg, &taken[leg]), RCO_OK);
	rco_session_free(gone);
	rco_session_free(gone_too);
	close_on_disk(&w, kept, "gone");
	t_await(&w, "gone-too", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_sum(&w.events, "kept", RCO_EVENT_OVERFLOW), RCO_MAX_LEGS * (STALL - RING));
	assert_stored(&w, "kept", RCO_MAX_LEGS, taken);
	assert_int_equal(t_store_count(&w, ".wav"), RCO_MAX_LEGS);
	t_world_destroy(&w);
}

/* The backend is stuck, the call is opted out, and then the backend fails: the thread that empties rings leaves
 * what follows to one that may wait for disks. */
static void test_opted_out_while_stuck(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	uint64_t before;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	s = t_call(&w, "gone");
	t_push(s, 0, 1, 0, 10);
	t_wait_buffered(s);
	before = t_fault_calls(&w.fault, T_APPEND);
	t_fault_set(&w.fault, T_APPEND, T_BLOCK, 1, RCO_E_IO);
	t_push(s, 0, 1, 10, 10);
	assert_true(t_fault_wait_blocked(&w.fault));
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_PENDING);
	t_await(&w, "gone", RCO_EVENT_DURABLE, 1);
	t_fault_unblock(&w.fault);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_fault_mixed(&w.fault), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_APPEND), before + 1); /* and it is not tried again */
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backend_is_silent),
		cmocka_unit_test(test_sync_stalls),
		cmocka_unit_test(test_write_stalls),
		cmocka_unit_test(test_opted_out_while_stuck),
	};

	return cmocka_run_group_tests_name("stalls", tests, NULL, NULL);
}
