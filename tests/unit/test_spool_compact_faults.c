/* SPDX-License-Identifier: MIT */
/*
 * Compacting the spool on a disk that fails or is full, with damage in it, and while calls are erased and opted
 * out: nothing kept is lost, nothing erased comes back, and the space is won when it can be.
 */
#include "../support_compact.h"

/* ---- failures ---- */

static void test_each_change_fails(void **state)
{
	uint32_t n, total = 0;
	int how, lasting;

	(void)state;
	for (how = BEFORE; how <= HALF; how++)
		for (lasting = 0; lasting <= 1; lasting++)
			for (n = 1; n == 1 || n <= total; n++) {
				uint32_t before;
				uint64_t held;
				bench b, crashed;
				watch w;

				start(&b, &w);
				b_begin(&b, LONG);
				b_begin(&b, OTHER);
				held = fill(&b, 0, 10);
				before = atomic_load(&w.changes);
				atomic_store(&w.lasting, lasting);
				arm(&w, n, how);
				maintain(&b, 4);
				if (n == 1 && !lasting)
					total = atomic_load(&w.changes) - before + 4;
				check_kept(&b, held);
				b_crash(&b, &crashed);
				b_open(&crashed);
				check_kept(&crashed, held);
				b_destroy(&crashed);
				arm(&w, 0, how);
				maintain(&b, 4); /* what failed is done after all */
				assert_true(segment_bytes(&b) < 3 * SEGMENT);
				held = fill(&b, held, 1);
				check_kept(&b, held);
				b_reopen(&b);
				check_kept(&b, held);
				b_destroy(&b);
			}
	assert_true(total >= 8);
}

/* On a full disk what is dead goes, the rest stays as it was; told once; with space it is done. */
static void test_full_disk(void **state)
{
	uint64_t held, before;
	const char *told;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	b_begin(&b, SHORT);
	for (before = 0; before < 60; before++)
		b_noise(&b, SHORT, 0, before * SHORT_PIECE, SHORT_PIECE);
	before = segment_bytes(&b);
	atomic_store(&w.copy_full, 1);
	maintain(&b, 5);
	assert_true(segment_bytes(&b) >= before);
	b_erase(&b, SHORT);
	maintain(&b, 5);
	assert_true(segment_bytes(&b) <= before - SEGMENT); /* those of which nothing was needed */
	assert_int_equal(b_files(b.spool_path, "compact.tmp", NULL), 0);
	check_kept(&b, held);
	told = strstr(b.log, "cannot be compacted");
	assert_non_null(told);
	assert_null(strstr(told + 1, "cannot be compacted"));
	atomic_store(&w.copy_full, 0);
	maintain(&b, 3);
	assert_true(segment_bytes(&b) < 3 * SEGMENT);
	check_kept(&b, held);
	b_destroy(&b);
}

/* A needed record that is damaged: nothing of its segment goes, what can be read is read, the rest is told. */
static void test_damaged_segment_stays(void **state)
{
	char path[256];
	uint64_t held, good;
	size_t size, n;
	uint8_t *data;
	bench b;
	watch w;
	int rc;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	(void)snprintf(path, sizeof path, "%s/%016x.rcos", b.spool_path, 2);
	data = t_read_file(path, &size);
	assert_non_null(data);
	for (n = RCO__SPOOL_SEG_HEADER; data[n + 8] != LONG;) /* byte 0 of the id */
		n += rco__record_size(rco__get32(data + n + 32));
	data[n + RCO__SPOOL_REC_HEADER + 3] ^= 1;
	t_write_file(path, data, size);
	free(data);
	maintain(&b, 10);
	assert_true(t_exists(path));
	assert_non_null(strstr(b.log, "damaged"));
	good = b_readable(&b, LONG, 0, &rc);
	assert_int_equal(rc, RCO_E_CORRUPT);
	assert_true(good > 0 && good < held && good % LONG_PIECE == 0);
	b_holds(&b, OTHER, 1, held);
	held = fill(&b, held, 30); /* those behind it are compacted all the same */
	maintain(&b, 10);
	assert_true(segment_bytes(&b) < 5 * SEGMENT);
	b_reopen(&b);
	assert_int_equal(b_readable(&b, LONG, 0, &rc), good);
	b_holds(&b, OTHER, 1, held);
	b_destroy(&b);
}

/* ---- erasing meanwhile ---- */

struct meddle {
	bench *b;
	int revoke, done;
};

static void erase_long(void *arg)
{
	struct meddle *m = arg;

	m->done = 1;
	if (m->revoke)
		b_revoke(m->b, LONG);
	else
		b_erase(m->b, LONG);
}

/* At each change of a compaction one of the two is erased, or only its key: it stays so, the other stays whole. */
static void test_erased_at_each_change(void **state)
{
	uint32_t n, total = 0;
	int revoke;

	(void)state;
	for (revoke = 0; revoke <= 1; revoke++)
		for (n = 1; n == 1 || n <= total; n++) {
			struct meddle m;
			uint32_t before;
			uint64_t held;
			b_found f;
			size_t got;
			uint8_t byte;
			bench b;
			watch w;

			start(&b, &w);
			b_begin(&b, LONG);
			b_begin(&b, OTHER);
			held = fill(&b, 0, 10);
			m.b = &b;
			m.revoke = revoke;
			m.done = 0;
			w.then = erase_long;
			w.then_arg = &m;
			before = atomic_load(&w.changes);
			arm(&w, n, BEFORE);
			maintain(&b, 2);
			if (atomic_load(&w.changes) - before > total)
				total = atomic_load(&w.changes) - before;
			arm(&w, 0, BEFORE);
			if (!m.done) /* erasing has changes of its own: there are fewer of compacting */
				erase_long(&m);
			assert_int_equal(b_try_read(&b, LONG, 0, 0, &byte, 1, &got), RCO_E_NOT_FOUND);
			b_holds(&b, OTHER, 1, held);
			b_erase(&b, LONG);
			maintain(&b, 6);
			assert_true(segment_bytes(&b) < 3 * SEGMENT);
			b_reopen(&b);
			b_scan(&b, &f);
			assert_int_equal(f.n, 1);
			assert_int_equal(b_where(&f, LONG), -1);
			b_holds(&b, OTHER, 1, held);
			b_erase(&b, OTHER);
			b_reopen(&b);
			assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 0);
			b_destroy(&b);
		}
	assert_true(total >= 8);
}

/* ---- many threads ---- */

struct racing {
	bench *b;
	_Atomic int over;
	_Atomic uint64_t held[2];
};

static void *compacts(void *arg)
{
	struct racing *r = arg;

	while (!atomic_load(&r->over)) {
		t_clock_advance(&r->b->clock, 11000);
		assert_true(rco_spool_maintain(r->b->spool) >= RCO_OK);
	}
	return NULL;
}

static void *comes_and_goes(void *arg)
{
	struct racing *r = arg;
	uint64_t k;

	while (!atomic_load(&r->over)) {
		b_begin(r->b, SHORT);
		for (k = 0; k < 12; k++)
			b_noise(r->b, SHORT, 0, k * SHORT_PIECE, SHORT_PIECE);
		if (k % 2 == 0)
			b_revoke(r->b, SHORT);
		b_erase(r->b, SHORT);
	}
	return NULL;
}

static void *reads(void *arg)
{
	struct racing *r = arg;

	while (!atomic_load(&r->over)) {
		uint64_t held = atomic_load(&r->held[0]);
		int rc;

		assert_true(b_readable(r->b, LONG, 0, &rc) >= held);
		assert_int_equal(rc, RCO_OK);
	}
	return NULL;
}

static void test_races(void **state)
{
	enum { PIECES = T_SANITIZED ? 300 : 2000 };
	void *(*const jobs[])(void *) = {compacts, compacts, comes_and_goes, reads};
	pthread_t threads[4];
	struct racing r = {.over = 0};
	uint64_t i, held;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	b_noise(&b, LONG, 0, 0, LONG_PIECE);
	r.b = &b;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, jobs[i], &r), 0);
	for (i = 1; i < PIECES; i++) {
		b_noise(&b, LONG, 0, i * LONG_PIECE, LONG_PIECE);
		atomic_store(&r.held[0], (i + 1) * LONG_PIECE);
		b_noise(&b, OTHER, 1, (i - 1) * LONG_PIECE, LONG_PIECE);
		if (i % 16 == 0)
			assert_int_equal(b_try_flush(&b), RCO_OK);
	}
	atomic_store(&r.over, 1);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	held = PIECES * LONG_PIECE;
	b_holds(&b, LONG, 0, held);
	b_holds(&b, OTHER, 1, held - LONG_PIECE);
	assert_non_null(strchr(w.order, 'R')); /* there was something to race with */
	b_reopen(&b);
	b_holds(&b, LONG, 0, held);
	b_holds(&b, OTHER, 1, held - LONG_PIECE);
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
		cmocka_unit_test(test_each_change_fails),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_damaged_segment_stays),
		cmocka_unit_test(test_erased_at_each_change),
		cmocka_unit_test(test_races),
		cmocka_unit_test_setup_teardown(test_each_change_fails, gaps_on, b_gaps_off),
		cmocka_unit_test_setup_teardown(test_races, gaps_on, b_gaps_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
