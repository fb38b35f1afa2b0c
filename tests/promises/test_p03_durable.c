/* SPDX-License-Identifier: MIT */
/*
 * P3 durable: success is reported only after the tombstone is durable, nothing is erased before that, and a crash
 * at any change to the disk after that resumes the erasure. Children kill themselves; the parent opens what they
 * left.
 */
#include "../support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static t_fs fs; /* large, so not on the stack */

struct child {
	t_world *world;
	int report;       /* pipe: 'D' and the receipt's id once rco_opt_out() has returned */
	uint64_t kill_at; /* change of the file system, counted from before (or after) the opt-out; 0: right after
	                     it */
	int count_after;
};

static void opt_out_and_die(void *arg)
{
	struct child *c = arg;
	rco_receipt *r = NULL;
	rco_session *s;
	t_world *w = c->world;

	t_world_open(w);
	s = t_call(w, "gone");
	t_push(s, 0, 1, 0, 50);
	t_push(s, 1, 2, 0, 50);
	t_advance(w, 300);      /* these are in the spool, */
	t_push(s, 0, 1, 50, 5); /* these in the ring */
	if (!c->count_after) {
		atomic_store(&fs.changes, 0);
		atomic_store(&fs.kill_at, c->kill_at);
	}
	if (rco_opt_out(s, NULL, &r) != RCO_OK)
		_exit(2);
	if (write(c->report, "D", 1) != 1 || write(c->report, rco_receipt_id(r), RCO_ID_TEXT) != RCO_ID_TEXT)
		_exit(3);
	if (c->kill_at == 0)
		(void)kill(getpid(), SIGKILL);
	if (c->count_after) {
		atomic_store(&fs.changes, 0);
		atomic_store(&fs.kill_at, c->kill_at);
	}
	t_await(w, "gone", RCO_EVENT_SWEPT, 1);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_close(w);
}

/* Stopped, the ledger cannot be written, and then the process dies. */
static void stop_and_die(void *arg)
{
	t_world *w = arg;
	rco_session *s;

	t_world_open(w);
	s = t_call(w, "gone");
	t_push(s, 0, 1, 0, 50);
	t_advance(w, 300);
	t_push(s, 0, 1, 50, 5);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	if (t_opt_out(s, NULL) != RCO_E_NOT_DURABLE)
		_exit(2);
	(void)kill(getpid(), SIGKILL);
}

static void world_on_disk(t_world *w)
{
	t_world_init(w, T_SPOOL | T_DISK | T_SHARED);
	w->cfg.upload =
		NULL; /* the engine's own directory, so that all goes through the file system of the test */
	w->cfg.deletion = NULL;
	w->cfg.output_dir = w->out;
	t_fs_init(&fs, "");
	w->fs = &fs;
}

static void assert_nowhere(t_world *w)
{
	uint8_t marker[64];
	uint64_t seed;

	for (seed = 1; seed <= 2; seed++) {
		t_noise(seed, 0, marker, sizeof marker);
		assert_int_equal(t_tree_holds(w->root, marker, sizeof marker), 0);
		assert_int_equal(t_tree_holds(w->rings, marker, sizeof marker), 0);
	}
	assert_int_equal(t_store_audio(w), 0);
}

/* Run a child as told; returns how it ended, and the receipt's id if rco_opt_out() returned. */
static int run_child(struct child *c, char id[RCO_ID_TEXT + 1])
{
	int ends[2], rc;
	char said = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	c->report = ends[1];
	pid = t_spawn(opt_out_and_die, c);
	(void)close(ends[1]);
	rc = t_reap(pid);
	memset(id, 0, RCO_ID_TEXT + 1);
	if (read(ends[0], &said, 1) == 1)
		assert_int_equal(read(ends[0], id, RCO_ID_TEXT), RCO_ID_TEXT);
	(void)close(ends[0]);
	atomic_store(&fs.kill_at, 0);
	return rc;
}

/* Open what a dead child left. If it said "done", the opt-out must be known; if it is known, all must go. */
static int recover(t_world *w, const char *said_id)
{
	rco_receipt *r = NULL;
	int known;

	t_world_open(w);
	known = rco_engine_receipt(w->engine, "gone", &r) == RCO_OK;
	if (said_id[0] != '\0') {
		assert_true(known);
		assert_string_equal(rco_receipt_id(r), said_id);
		assert_true((rco_receipt_facts(r) & RCO_FACT_DURABLE) != 0);
	}
	if (known) {
		int i;

		for (i = 0; i < 400 && t_status(w, "gone") != RCO_STATUS_VERIFIED; i++)
			t_advance(w, 250);
		assert_int_equal(t_status(w, "gone"), RCO_STATUS_VERIFIED);
		assert_nowhere(w);
	} else {
		/* It was never opted out then, and is kept whole. */
		t_await(w, "gone", RCO_EVENT_STORED, 1);
		assert_true(t_store_has_noise(w, "gone", "caller", 1, 55));
		assert_true(t_store_has_noise(w, "gone", "agent", 2, 50));
	}
	rco_receipt_free(r);
	return known;
}

/* The stop outlives the process in the rings, and is honoured even where no opt-out is after the end of a call. */
static void test_stop_outlives_the_process(void **state)
{
	t_world w;
	int i;

	(void)state;
	world_on_disk(&w);
	w.cfg.late_opt_out_ms = RCO_NONE_MS;
	assert_int_equal(t_reap(t_spawn(stop_and_die, &w)), -SIGKILL);
	t_world_open(&w);
	for (i = 0; i < 400 && t_status(&w, "gone") != RCO_STATUS_VERIFIED; i++)
		t_advance(&w, 250);
	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_VERIFIED);
	assert_nowhere(&w);
	t_world_destroy(&w);
}

/* A buffer that fails, and is being waited for, does not hold up the tombstone of a request that does not block.
 */
static void test_failing_buffer_does_not_delay(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_fault_set(&w.fault, T_APPEND, T_FAIL, 0, RCO_E_IO);
	s = t_call(&w, "gone");
	t_push(s, 0, 1, 0, 10);
	for (i = 0; i < 30; i++)
		t_advance(&w, 1000); /* by now the pauses are long */
	assert_true(t_events_count(&w.events, "gone", RCO_EVENT_BUFFER_RETRY) >= 3);
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_PENDING);
	t_settle(&w); /* no time passes */
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_DURABLE), 1);
	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_killed_on_return(void **state)
{
	struct child c = {0};
	char id[RCO_ID_TEXT + 1];
	t_world w;

	(void)state;
	world_on_disk(&w);
	c.world = &w;
	assert_int_equal(run_child(&c, id), -SIGKILL);
	assert_int_not_equal(id[0], 0);
	assert_int_equal(recover(&w, id), 1);
	t_world_destroy(&w);
}

/* Killed before the n-th change to the disk, for every n. */
static void kill_at_each_change(int count_after)
{
	char id[RCO_ID_TEXT + 1];
	uint64_t n, killed = 0, known = 0, unknown = 0;
	int rc = -SIGKILL;

	for (n = 1; rc == -SIGKILL; n++) {
		struct child c = {.kill_at = n, .count_after = count_after};
		t_world w;

		world_on_disk(&w);
		c.world = &w;
		rc = run_child(&c, id);
		if (rc == -SIGKILL) {
			killed++;
			if (recover(&w, id))
				known++;
			else
				unknown++;
		}
		t_world_destroy(&w);
		assert_true(n < 500);
	}
	print_message("    killed at %llu places; the opt-out was known after %llu of them\n",
	              (unsigned long long)killed, (unsigned long long)known);
	assert_int_equal(rc, 0); /* the last child came through */
	assert_true(killed > 5);
	if (count_after)
		assert_int_equal(unknown, 0);
	/* In the first case it depends: the stop in the rings, which outlive the process, may be enough to know.
	 */
	assert_int_equal(known + unknown, killed);
	assert_true(known > 0);
}

static void test_killed_at_each_change_during(void **state)
{
	(void)state;
	kill_at_each_change(0);
}

static void test_killed_at_each_change_after(void **state)
{
	(void)state;
	kill_at_each_change(1);
}

/* The ledger's disk is full: stopped, but no success is reported and nothing is erased until it is durable. */
static void test_nothing_is_erased_before(void **state)
{
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "full");
	t_push(s, 0, 1, 0, 50);
	t_advance(&w, 300);
	assert_true(rco_memory_audio_bytes(w.memory) > 0);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_PENDING);
	assert_int_equal(rco_receipt_code(r), RCO_E_NOT_DURABLE);
	assert_true(atomic_load(&fs.failed) > 0);
	assert_non_null(r);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_STOPPED);
	assert_int_equal(rco_receipt_facts(r) & RCO_FACT_DURABLE, 0);
	assert_int_equal(rco_receipt_time_us(r, RCO_TIME_DURABLE), 0);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	for (i = 0; i < 40; i++)
		t_advance(&w, 1000);
	assert_true(t_events_count(&w.events, "full", RCO_EVENT_NOT_DURABLE) > 0);
	assert_int_equal(t_events_count(&w.events, "full", RCO_EVENT_DURABLE), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_ERASE), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_REMOVE), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_ABORT), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_REVOKE), 0);
	assert_true(rco_memory_audio_bytes(w.memory) > 0);

	atomic_store(&fs.fail, 0);
	t_await(&w, "full", RCO_EVENT_DURABLE, 1);
	t_await(&w, "full", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Durable means synced, not only written: a sync that fails is no success, and a success had its sync. */
static void test_written_is_not_durable(void **state)
{
	uint64_t syncs;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "synced");
	t_push(s, 0, 1, 0, 10);
	syncs = atomic_load(&fs.syncs);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_true(atomic_load(&fs.syncs) > syncs);
	rco_session_free(s);

	s = t_call(&w, "not-synced");
	t_push(s, 0, 1, 0, 10);
	atomic_store(&fs.sync_only, 1);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
	t_advance(&w, 5000);
	assert_int_equal(t_status(&w, "not-synced"), RCO_STATUS_STOPPED);
	atomic_store(&fs.fail, 0);
	t_await(&w, "not-synced", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);

	/* the same for a call that is not known yet */
	syncs = atomic_load(&fs.syncs);
	assert_int_equal(rco_engine_opt_out(w.engine, "unborn", NULL, NULL), RCO_OK);
	assert_true(atomic_load(&fs.syncs) > syncs);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(t_opt_out_call(w.engine, "unborn-too", NULL), RCO_E_NOT_DURABLE);
	atomic_store(&fs.fail, 0);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_outlives_the_process),
		cmocka_unit_test(test_failing_buffer_does_not_delay),
		cmocka_unit_test(test_killed_on_return),
		cmocka_unit_test(test_killed_at_each_change_during),
		cmocka_unit_test(test_killed_at_each_change_after),
		cmocka_unit_test(test_nothing_is_erased_before),
		cmocka_unit_test(test_written_is_not_durable),
	};

	return cmocka_run_group_tests_name("P3 durable", tests, NULL, NULL);
}
