/* SPDX-License-Identifier: MIT */
/*
 * P3, P4, P5: a process under load is killed at random moments, up to three times on the same folder. What is kept
 * is whole and there once, what was opted out is nowhere. `make check-kills` does it thousands of times, and at
 * each system call.
 */
#include "../../lib/session/state.h"
#include "../support.h"

#include "kill.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct told {
	t_world *w;
	char receipt_id[RCO_ID_TEXT + 1]; /* shared with the parent */
};

enum { ROUNDS = T_SANITIZED ? 5 : 16, WITHIN_US = T_SANITIZED ? 400000 : 120000 };

static void test_random_kills(void **state)
{
	k_verdict v, sum = {0};
	uint32_t kills = 0;
	uint64_t i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(k_random_round(t_shm(), (uint64_t)getpid() * 1000 + i, WITHIN_US, &kills, &v), 0);
		sum.calls += v.calls;
		sum.erased += v.erased;
		sum.frames += v.frames;
	}
	print_message("    %u kills, %llu calls, %llu of them opted out, %llu frames kept\n", kills,
	              (unsigned long long)sum.calls, (unsigned long long)sum.erased,
	              (unsigned long long)sum.frames);
	assert_true(sum.erased > 0 && sum.frames > 0);
}

/* A call that never started ends, and the process with it, before a worker has booked the call. */
static void end_and_die(void *arg)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "never-started"};
	t_world *w = arg;
	rco_session *s;

	t_world_open(w);
	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco__ledger_sync(w->engine->calls, rco__ledger_last(w->engine->calls)), RCO_OK);
	(void)raise(SIGKILL);
}

static void test_end_before_it_is_booked(void **state)
{
	char name[256];
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	assert_int_equal(t_reap(t_spawn(end_and_die, &w)), -SIGKILL);
	t_world_open(&w);
	t_advance(&w, 60000);
	assert_true(t_store_name(&w, "never-started", name, sizeof name));
	assert_int_equal(t_store_count(&w, ".json"), 1); /* none of a call of unknown id */
	t_world_destroy(&w);
}

/* Stopped without waiting, and killed before it was durable: the host has a receipt's id, and it stays that. */
static void stop_and_die(void *arg)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_receipt *receipt = NULL;
	struct told *told = arg;
	rco_session *s;

	t_world_open(told->w);
	s = t_call(told->w, "stopped");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_opt_out(s, &o, &receipt), RCO_PENDING);
	(void)snprintf(told->receipt_id, sizeof told->receipt_id, "%s", rco_receipt_id(receipt));
	(void)raise(SIGKILL);
}

static void test_receipt_of_a_stop_that_was_not_durable(void **state)
{
	struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	t_event event;
	t_world w;

	(void)state;
	assert_ptr_not_equal(told, MAP_FAILED);
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	told->w = &w;
	assert_int_equal(t_reap(t_spawn(stop_and_die, told)), -SIGKILL);
	t_world_open(&w);
	t_await(&w, "stopped", RCO_EVENT_VERIFIED, 1);
	assert_true(t_events_last(&w.events, "stopped", RCO_EVENT_VERIFIED, &event));
	assert_string_equal(event.receipt_id, told->receipt_id);
	t_world_destroy(&w);
	(void)munmap(told, sizeof *told);
}

/* Killed before the journal was written, and again when recovery had given the rings back: labels are kept. */
static void push_and_die(void *arg)
{
	t_world *w = arg;

	t_world_open(w);
	t_push(t_call(w, "killed twice"), 0, 1, 0, 10);
	(void)raise(SIGKILL);
}

static void give_rings_back_and_die(void *arg)
{
	rco_engine_stats stats = {.struct_size = (uint32_t)sizeof stats};
	t_world *w = arg;

	t_world_open(w);
	do {
		assert_int_equal(rco_engine_run(w->engine, 0, 0), RCO_OK);
		t_clock_advance(&w->clock, 1);
		assert_int_equal(rco_engine_get_stats(w->engine, &stats), RCO_OK);
	} while (stats.ring_bytes_free < stats.ring_bytes_total);
	(void)raise(SIGKILL);
}

static void test_labels_after_two_kills(void **state)
{
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	assert_int_equal(t_reap(t_spawn(push_and_die, &w)), -SIGKILL);
	assert_int_equal(t_reap(t_spawn(give_rings_back_and_die, &w)), -SIGKILL);
	t_world_open(&w);
	t_await(&w, "killed twice", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "killed twice", "caller", 1, 10));
	t_world_destroy(&w);
}

/* A call that was opted out before it was known is killed at each change to the disk: no part of a call record
 * stays. */
static t_fs fs;

static void end_unborn(void *arg)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
	t_world *w = arg;
	rco_session *s;

	t_world_open(w);
	assert_int_equal(rco_engine_opt_out(w->engine, "unborn", NULL, NULL), RCO_OK);
	(void)atomic_exchange(&fs.changes, 0);
	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(w, "unborn", RCO_EVENT_CALL_RECORD, 1);
	atomic_store(&fs.kill_at, 0);
	t_world_close(w);
}

static void test_record_is_finished_or_gone(void **state)
{
	int rc = -SIGKILL;
	uint64_t n;

	(void)state;
	for (n = 1; rc == -SIGKILL; n++) {
		t_world w;

		t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
		t_fs_init(&fs, "");
		w.fs = &fs;
		w.cfg.upload = NULL; /* the built-in directory, so that it works by way of fs */
		w.cfg.deletion = NULL;
		w.cfg.output_dir = w.out;
		atomic_store(&fs.changes, UINT64_MAX / 2);
		atomic_store(&fs.kill_at, n);
		rc = t_reap(t_spawn(end_unborn, &w));
		atomic_store(&fs.kill_at, 0);
		t_world_open(&w);
		t_advance(&w, 60000);
		assert_int_equal(t_store_count(&w, ".tmp"), 0);
		t_world_destroy(&w);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 5);
	print_message("    killed at %llu places\n", (unsigned long long)(n - 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_kills),
		cmocka_unit_test(test_end_before_it_is_booked),
		cmocka_unit_test(test_receipt_of_a_stop_that_was_not_durable),
		cmocka_unit_test(test_labels_after_two_kills),
		cmocka_unit_test(test_record_is_finished_or_gone),
	};

	return cmocka_run_group_tests_name("kills", tests, NULL, NULL);
}
