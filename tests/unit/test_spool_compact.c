/* SPDX-License-Identifier: MIT */
/*
 * Compacting the spool: a long call does not keep the space of those that ended; between any two steps, and after
 * a crash at any moment, all audio that was kept is there, bit for bit, and nothing of what was erased.
 */
#include "../support_compact.h"

#include <sys/wait.h>

/* Hundreds of calls come and go while two go on: files and bytes stay few, and the two are whole. */
static void test_space_returns(void **state)
{
	uint64_t held = 0, live;
	bench b;
	watch w;
	int i;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	for (i = 0; i < 60; i++) {
		held = fill(&b, held, 5);
		assert_int_equal(b_try_flush(&b), RCO_OK);
		maintain(&b, 2);
		live = 2 * (held / LONG_PIECE) * (LONG_PIECE * 2 + RCO__SPOOL_REC_HEADER + 24);
		assert_true(segment_bytes(&b) <= 4 * live + 4 * SEGMENT);
		assert_true(b_files(b.spool_path, ".rcos", NULL) <= 4 * live / SEGMENT + 4);
	}
	check_kept(&b, held);
	assert_int_equal(b_files(b.spool_path, "compact.tmp", NULL), 0);
	b_reopen(&b);
	check_kept(&b, held);
	held = fill(&b, held, 5);
	maintain(&b, 2);
	check_kept(&b, held);
	b_erase(&b, LONG);
	b_erase(&b, OTHER);
	b_reopen(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 0);
	b_destroy(&b);
}

/* Durable before it is named, named before anything goes, and known to be named. */
static void test_order_on_disk(void **state)
{
	const char *renamed;
	uint64_t held;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	w.n_order = 0;
	w.order[0] = '\0';
	maintain(&b, 2);
	renamed = strchr(w.order, 'R');
	assert_non_null(renamed);
	assert_true(renamed > w.order && renamed[-1] == 'S');
	assert_int_equal(renamed[1], 'D');
	assert_int_equal(renamed[2], 'U');
	assert_null(strchr(w.order, 'U') < renamed ? w.order : NULL);
	check_kept(&b, held);
	b_destroy(&b);
}

static void flush_now(void *arg)
{
	assert_int_equal(b_try_flush(arg), RCO_OK);
}

/* A flush means what is being replaced too, until that is done: or it would say "durable" of what a power cut
 * takes.
 */
static void test_flush_meanwhile(void **state)
{
	uint32_t files;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	(void)fill(&b, 0, 10);
	files = (uint32_t)b_files(b.spool_path, ".rcos", NULL);
	assert_true(files >= 4);
	w.at_rename = flush_now;
	w.then_arg = &b;
	atomic_store(&w.other_syncs, 0);
	maintain(&b, 1);
	assert_non_null(strchr(w.order, 'R'));
	assert_true(atomic_load(&w.other_syncs) >= files);
	b_destroy(&b);
}

/* ---- step by step ---- */

/* Time passes with every look at the clock: so a step does little. */
static int64_t ticking(void *user_data)
{
	t_clock *clock = user_data;

	return atomic_fetch_add(&clock->mono_us, 8000);
}

/* Between steps calls go on, are read, erased and opted out; a crash after any of them finds all that is kept. */
static void test_in_steps(void **state)
{
	enum { ROUNDS = 60 };
	int erased;

	(void)state;
	for (erased = 0; erased <= 2; erased++) {
		uint64_t held, others;
		bench b, crashed;
		watch w;
		int i, steps = 0, rc;

		watch_init(&w);
		b_init_under(&b, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
		b.fs = &w.disk.table;
		b.segment_bytes = SEGMENT;
		b.clock_table.monotonic_us = ticking;
		b_open(&b);
		b_begin(&b, LONG);
		b_begin(&b, OTHER);
		held = others = fill(&b, 0, ROUNDS);
		for (i = 0; i < 40; i++) {
			assert_true(rco_spool_maintain(b.spool) >= RCO_OK);
			steps += b_files(b.spool_path, "compact.tmp", NULL) == 1;
			b_noise(&b, LONG, 0, held, LONG_PIECE);
			held += LONG_PIECE;
			if (i == 1 && erased == 1)
				b_erase(&b, OTHER);
			if (i == 1 && erased == 2)
				b_revoke(&b, OTHER);
			if (i == 20 && erased == 2)
				b_erase(&b, OTHER);
			b_holds(&b, LONG, 0, held);
			b_crash(&b, &crashed);
			b_open(&crashed);
			b_holds(&crashed, LONG, 0, held);
			if (erased == 0)
				b_holds(&crashed, OTHER, 1, others);
			else if (i >= (erased == 1 ? 1 : 20))
				assert_int_equal(b_readable(&crashed, OTHER, 1, &rc), 0);
			if (i == 19 && erased == 2) /* nothing more was copied once its key was gone */
				assert_true(b_readable(&crashed, OTHER, 1, &rc) < others);
			b_destroy(&crashed);
		}
		assert_true(steps >= 4);
		assert_true(segment_bytes(&b) < 5 * SEGMENT);
		b_reopen(&b);
		b_holds(&b, LONG, 0, held);
		if (erased == 0)
			b_holds(&b, OTHER, 1, others);
		b_destroy(&b);
	}
}

/* ---- crashes ---- */

struct crash {
	bench *b;
	bench copy;
	int done;
};

static void crash_now(void *arg)
{
	struct crash *c = arg;

	b_crash(c->b, &c->copy);
	c->done = 1;
}

static void test_crash_at_each_change(void **state)
{
	uint32_t n, total = 0;

	(void)state;
	for (n = 1; n == 1 || n <= total; n++) {
		struct crash crash = {.done = 0};
		uint64_t held;
		uint32_t before;
		bench b;
		watch w;

		start(&b, &w);
		b_begin(&b, LONG);
		b_begin(&b, OTHER);
		held = fill(&b, 0, 10);
		crash.b = &b;
		w.then = crash_now;
		w.then_arg = &crash;
		before = atomic_load(&w.changes);
		arm(&w, n, BEFORE);
		maintain(&b, 2);
		total = atomic_load(&w.changes) - before;
		arm(&w, 0, BEFORE);
		check_kept(&b, held);
		assert_true(crash.done);
		b_open(&crash.copy);
		check_kept(&crash.copy, held);
		assert_int_equal(rco__spool_quarantined(crash.copy.spool), 0);
		assert_int_equal(b_files(crash.copy.spool_path, "compact.tmp", NULL), 0);
		/* it goes on from there, and once more */
		held = fill(&crash.copy, held, 5);
		maintain(&crash.copy, 3);
		b_reopen(&crash.copy);
		check_kept(&crash.copy, held);
		assert_true(segment_bytes(&crash.copy) < 4 * SEGMENT);
		b_destroy(&crash.copy);
		b_destroy(&b);
	}
	assert_true(total >= 8);
}

/* ---- large ones ---- */

enum { MIB = 1 << 20 };

static uint64_t fill_large(bench *b, uint64_t live, uint64_t dead)
{
	uint64_t i, k;

	b->segment_bytes = 16 * MIB;
	b_reopen(b);
	b_begin(b, LONG);
	b_begin(b, SHORT);
	for (i = 0; i < live; i++) {
		b_noise(b, LONG, 0, i * MIB, MIB);
		for (k = 0; k < dead; k++)
			b_noise(b, SHORT, 0, (i * dead + k) * MIB, MIB);
	}
	b_erase(b, SHORT);
	return live * MIB;
}

/* By whole pieces: each read decodes one. */
static void holds_large(bench *b, uint64_t held)
{
	uint8_t *data = malloc(MIB), *want = malloc(MIB);
	uint64_t at;
	size_t got;

	assert_true(data != NULL && want != NULL);
	for (at = 0; at < held; at += MIB) {
		assert_int_equal(b_try_read(b, LONG, 0, at, data, MIB, &got), RCO_OK);
		assert_int_equal(got, MIB);
		t_noise(LONG * 8u, at, want, MIB);
		assert_memory_equal(data, want, MIB);
	}
	assert_int_equal(b_try_read(b, LONG, 0, held, data, MIB, &got), RCO_OK);
	assert_int_equal(got, 0);
	free(data);
	free(want);
}

/* More than a step may do: it goes on with the next, and can be ended in between, which leaves nothing behind. A
 * forked child that ends it leaves all as it is. */
static void test_more_than_a_step(void **state)
{
	uint64_t held;
	int ended, steps, status;
	pid_t pid;
	bench b;
	watch w;

	(void)state;
	if (T_SANITIZED) /* a hundred megabytes, some times over */
		skip();
	for (ended = 0; ended <= 1; ended++) {
		start(&b, &w);
		held = fill_large(&b, ended ? 12 : 9,
		                  ended ? 4 : 8); /* it has copied, or looked at, as much as it may */
		t_clock_advance(&b.clock, 11000);
		assert_int_equal(rco_spool_maintain(b.spool), RCO_PENDING);
		assert_int_equal(b_files(b.spool_path, "compact.tmp", NULL), 1);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			rco_spool_free(b.spool);
			T_LAST_WORDS();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(b_files(b.spool_path, "compact.tmp", NULL), 1);
		if (ended) {
			b_close(&b);
			assert_int_equal(b_files(b.spool_path, "compact.tmp", NULL), 0);
			b_open(&b);
		}
		for (steps = 1; rco_spool_maintain(b.spool) == RCO_PENDING; steps++)
			assert_true(steps < 20);
		assert_true(steps >= (ended ? 2 : 1));
		assert_true(segment_bytes(&b) < 16 * MIB);
		holds_large(&b, held);
		b_reopen(&b);
		holds_large(&b, held);
		b_destroy(&b);
	}
}

/* The copy does not get its name: so much has to be turned back that this, too, takes more than a step. */
static void rename_fails(void *arg)
{
	watch *w = arg;

	atomic_store(&w->at, atomic_load(&w->changes) + 1);
	atomic_store(&w->lasting, 0);
}

static void test_turning_back_in_steps(void **state)
{
	uint64_t held;
	int steps;
	bench b;
	watch w;

	(void)state;
	if (T_SANITIZED) /* a hundred megabytes, some times over */
		skip();
	start(&b, &w);
	held = fill_large(&b, 9, 8);
	w.at_rename = rename_fails;
	w.then_arg = &w;
	t_clock_advance(&b.clock, 11000);
	for (steps = 0; steps < 6; steps++) /* it begins again later */
		assert_true(rco_spool_maintain(b.spool) >= RCO_OK);
	holds_large(&b, held);
	w.at_rename = NULL;
	atomic_store(&w.at, 0);
	/* on a full disk, before anything is copied, and in the middle */
	for (steps = 1; steps <= 4; steps++) {
		t_clock_advance(&b.clock, 11000);
		arm(&w, (uint32_t)steps, BEFORE);
		assert_true(rco_spool_maintain(b.spool) >= RCO_OK);
		holds_large(&b, held);
		arm(&w, 0, BEFORE);
	}
	for (steps = 0; steps < 6; steps++) {
		t_clock_advance(&b.clock, 70000);
		assert_true(rco_spool_maintain(b.spool) >= RCO_OK);
	}
	assert_true(segment_bytes(&b) < 16 * MIB);
	b_reopen(&b);
	holds_large(&b, held);
	b_destroy(&b);
}

/* It has its name, but the folder cannot be synced: both are there, also when the spool is closed now. */
static void folder_fails(void *arg)
{
	watch *w = arg;

	atomic_store(&w->at, atomic_load(&w->changes) + 2);
	atomic_store(&w->lasting, 1);
}

static void test_closed_before_it_is_settled(void **state)
{
	uint64_t held;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	w.at_rename = folder_fails;
	w.then_arg = &w;
	t_clock_advance(&b.clock, 11000);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_PENDING);
	w.at_rename = NULL;
	atomic_store(&w.at, 0);
	assert_int_equal(b_try_flush(&b), RCO_OK); /* also of what is about to go */
	check_kept(&b, held);
	b_reopen(&b);
	check_kept(&b, held);
	maintain(&b, 3);
	assert_true(segment_bytes(&b) < 3 * SEGMENT);
	b_reopen(&b);
	check_kept(&b, held);
	b_destroy(&b);
}

/* One that has much of an index is erased when it has been copied: it is waited for. */
static void erase_other(void *arg)
{
	b_erase(arg, OTHER);
}

static void test_erased_with_a_long_index(void **state)
{
	uint64_t held;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 70);
	w.at_copy_sync = erase_other;
	w.then_arg = &b;
	maintain(&b, 1);
	w.at_copy_sync = NULL;
	maintain(&b, 10);
	b_holds(&b, LONG, 0, held);
	assert_true(segment_bytes(&b) < 6 * SEGMENT);
	b_reopen(&b);
	b_holds(&b, LONG, 0, held);
	b_destroy(&b);
}

static int gaps_on(void **state)
{
	(void)state;
	b_gap_piece = LONG_PIECE;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_space_returns),
		cmocka_unit_test(test_order_on_disk),
		cmocka_unit_test(test_flush_meanwhile),
		cmocka_unit_test(test_in_steps),
		cmocka_unit_test(test_crash_at_each_change),
		cmocka_unit_test(test_more_than_a_step),
		cmocka_unit_test(test_turning_back_in_steps),
		cmocka_unit_test(test_closed_before_it_is_settled),
		cmocka_unit_test(test_erased_with_a_long_index),
		cmocka_unit_test_setup_teardown(test_crash_at_each_change, gaps_on, b_gaps_off),
		cmocka_unit_test_setup_teardown(test_closed_before_it_is_settled, gaps_on, b_gaps_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
