/* SPDX-License-Identifier: MIT */
/*
 * The spool on a disk that is full, fails, lies or is slow, and without memory: an append that failed left the
 * recording as it was, a flush that answered "done" was one, an erasure that answered "gone" was one, and all of
 * it works again when the disk does.
 */
#include "../support_compact.h"

/* The n-th change from now fails (0: none), and all after it if that lasts. */
static void break_disk(watch *fs, uint32_t in, int how, int lasting)
{
	atomic_store(&fs->lasting, lasting);
	arm(fs, in, how);
}

/* Full disk: told, the recording as it was, and all is well when there is room again. */
static void test_full_disk(void **state)
{
	size_t files;
	watch fs;
	bench b;
	int i;

	(void)state;
	watch_init(&fs);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	break_disk(&fs, 1, BEFORE, 1);
	for (i = 0; i < 5; i++) {
		assert_int_equal(b_try_noise(&b, 1, 0, 1000, 500), RCO_E_NO_SPACE);
		b_holds(&b, 1, 0, 1000);
	}
	assert_int_equal(b_try_begin(&b, 2, "m"), RCO_E_NO_SPACE);
	break_disk(&fs, 0, BEFORE, 0);
	b_noise(&b, 1, 0, 1000, 700);
	b_begin(&b, 2);
	b_noise(&b, 2, 0, 0, 100);
	b_holds(&b, 1, 0, 1700);
	/* half a record on the disk each time, and no file more for each attempt */
	files = b_files(b.spool_path, ".rcos", NULL);
	for (i = 0; i < 20; i++) {
		break_disk(&fs, i % 2 == 0 ? 1 : 2, HALF, 0);
		(void)b_try_noise(&b, 1, 0, 1700, 300);
	}
	break_disk(&fs, 0, BEFORE, 0);
	assert_true(b_files(b.spool_path, ".rcos", NULL) <= files + 2);
	b_noise(&b, 1, 0, 1700, 300);
	b_holds(&b, 1, 0, 2000);
	b_reopen(&b);
	b_holds(&b, 1, 0, 2000);
	b_holds(&b, 2, 0, 100);
	b_destroy(&b);
}

/* A write that happened though it was told to have failed, then the piece again, cut otherwise: it appears once.
 */
static void test_written_though_it_failed(void **state)
{
	static const size_t again[] = {100, 300, 500, 900};
	watch fs;
	bench b, crashed;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		watch_init(&fs);
		b_init(&b);
		b.fs = &fs.disk.table;
		b_open(&b);
		b_begin(&b, 1);
		b_noise(&b, 1, 0, 0, 1000);
		break_disk(&fs, 1, AFTER, 0);
		assert_int_equal(b_try_noise(&b, 1, 0, 1000, 500), RCO_E_NO_SPACE);
		b_noise(&b, 1, 0, 1000, again[i]);
		b_noise(&b, 1, 0, 1000 + again[i], 1000);
		b_crash(&b, &crashed);
		b_open(&crashed);
		b_holds(&crashed, 1, 0, 2000 + again[i]);
		b_noise(&crashed, 1, 0, 2000 + again[i], 10);
		b_reopen(&crashed);
		b_holds(&crashed, 1, 0, 2010 + again[i]);
		b_destroy(&crashed);
		b_destroy(&b);
	}
}

/* A life of two calls; every step may fail, is then done again, and has to work. Nothing kept may be lost. */
static int step(int rc)
{
	assert_true(rc == RCO_OK || rc == RCO_E_NO_SPACE || rc == RCO_E_NO_MEMORY);
	return rc == RCO_OK;
}

static int live(bench *b, int tries)
{
	int ok = 0, i;
	uint64_t n;

	for (i = 0; i < tries && !ok; i++) {
		b_close(b);
		ok = step(b_try_keys(b)) && step(b_try_spool(b));
	}
	for (n = 1; n <= 2; n++)
		for (ok = 0, i = 0; i < tries && !ok; i++)
			ok = step(b_try_begin(b, (uint8_t)n, "m"));
	for (n = 0; n < 4; n++) {
		for (ok = 0, i = 0; i < tries && !ok; i++)
			ok = step(b_try_noise(b, 1, 0, n * 3000, 3000));
		for (ok = 0, i = 0; i < tries && !ok; i++)
			ok = step(b_try_noise(b, 2, 1, n * 3000, 3000));
	}
	for (ok = 0, i = 0; i < tries && !ok; i++)
		ok = step(b_try_flush(b));
	t_clock_advance(&b->clock, 61000);
	(void)rco_spool_maintain(b->spool); /* another epoch, or the old one goes on */
	t_clock_advance(&b->clock, 1000);
	(void)rco_spool_maintain(b->spool);
	for (ok = 0, i = 0; i < tries && !ok; i++)
		ok = step(b_try_begin(b, 3, "m"));
	for (ok = 0, i = 0; i < tries && !ok; i++)
		ok = step(b_try_erase(b, 1));
	return ok;
}

static void check_life(bench *b)
{
	b_found f;

	b_scan(b, &f);
	assert_int_equal(b_where(&f, 1), -1);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.at[b_where(&f, 2)].damaged, 0);
	b_holds(b, 2, 1, 12000);
}

static void test_each_change_fails(void **state)
{
	uint32_t n, total = 0;
	int how;
	watch fs;
	bench b;

	(void)state;
	for (how = BEFORE; how <= HALF; how++)
		for (n = 1; n == 1 || n <= total; n++) {
			watch_init(&fs);
			b_init(&b);
			b.fs = &fs.disk.table;
			b.segment_bytes = 5000;
			b.epoch_s = 60;
			break_disk(&fs, n, how, 0);
			assert_true(live(&b, 4));
			total = atomic_load(&fs.changes);
			break_disk(&fs, 0, how, 0);
			assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
			check_life(&b);
			b_reopen(&b);
			check_life(&b);
			b_erase(&b, 2);
			b_erase(&b, 3);
			b_reopen(&b);
			assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 0);
			b_destroy(&b);
		}
	assert_true(total > 30);
}

/* ---- flushing ---- */

/* A sync that failed is told, once; the segment is never trusted again, later flushes are about a new one. */
static void test_failed_sync(void **state)
{
	watch fs;
	bench b;
	uint32_t syncs;

	(void)state;
	watch_init(&fs);
	atomic_store(&fs.code, RCO_E_IO);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	atomic_store(&fs.sync_fails, 1);
	assert_int_equal(b_try_flush(&b), RCO_E_IO);
	atomic_store(&fs.sync_fails, 0);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	b_noise(&b, 1, 0, 1000, 1000);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 2);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	syncs = atomic_load(&fs.syncs);
	assert_int_equal(b_try_flush(&b), RCO_OK); /* nothing new: nothing to wait for */
	assert_int_equal(atomic_load(&fs.syncs), syncs);
	b_holds(&b, 1, 0, 2000);
	b_reopen(&b);
	b_holds(&b, 1, 0, 2000);
	b_destroy(&b);
}

/*
 * After a failed sync the kernel takes the pages for clean: syncing the slots again would say "durable" of keys
 * that never reached the disk. So they are written again first, all of them and unchanged.
 */
static void test_failed_sync_of_slots(void **state)
{
	uint32_t writes;
	watch fs;
	bench b;

	(void)state;
	watch_init(&fs);
	atomic_store(&fs.code, RCO_E_IO);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	atomic_store(&fs.sync_fails, 1);
	assert_int_equal(b_try_flush(&b), RCO_E_IO);
	atomic_store(&fs.sync_fails, 0);
	writes = atomic_load(&fs.writes);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	assert_true(atomic_load(&fs.writes) > writes);
	writes = atomic_load(&fs.writes);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	assert_int_equal(atomic_load(&fs.writes), writes);
	b_noise(&b, 1, 0, 0, 100);
	b_reopen(&b);
	b_holds(&b, 1, 0, 100);
	b_destroy(&b);
}

struct flusher {
	bench *b;
	int rc;
	_Atomic int done;
};

static void *flush_it(void *arg)
{
	struct flusher *f = arg;

	f->rc = b_try_flush(f->b);
	atomic_store(&f->done, 1);
	return NULL;
}

static uint64_t asked(bench *b)
{
	uint64_t n;

	(void)pthread_mutex_lock(&b->spool->segment_group.lock);
	n = b->spool->segment_group.asked;
	(void)pthread_mutex_unlock(&b->spool->segment_group.lock);
	return n;
}

/*
 * A flush that comes while another is under way must not answer before that one is done: what it is about may be
 * in the other's hands. And if the other fails, so did this one.
 */
static void test_flush_waits_for_the_other(void **state)
{
	struct flusher first = {.rc = 1}, second = {.rc = 1};
	pthread_t one, two;
	watch fs;
	bench b;
	uint64_t before;

	(void)state;
	watch_init(&fs);
	atomic_store(&fs.code, RCO_E_IO);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	assert_int_equal(b_try_flush(&b), RCO_OK); /* the slot */
	before = asked(&b);
	b_noise(&b, 1, 0, 0, 1000);
	first.b = second.b = &b;
	atomic_store(&fs.sync_holds, 1);
	t_thread(&one, flush_it, &first);
	while (!atomic_load(&fs.sync_inside))
		;
	t_thread(&two, flush_it, &second);
	while (asked(&b) < before + 2)
		; /* it has come, and would be done soon if it did not wait */
	assert_int_equal(atomic_load(&second.done), 0);
	atomic_store(&fs.sync_fails, 1);
	atomic_store(&fs.sync_holds, 0);
	assert_int_equal(pthread_join(one, NULL), 0);
	assert_int_equal(pthread_join(two, NULL), 0);
	assert_int_equal(first.rc, RCO_E_IO);
	assert_int_equal(second.rc, RCO_E_IO);
	atomic_store(&fs.sync_fails, 0);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	b_destroy(&b);
}

/* While a flush is stuck in the disk: calls begin, go on, are read, and above all are revoked. */
static void test_slow_sync_stops_nobody(void **state)
{
	struct flusher stuck = {.rc = 1};
	pthread_t thread;
	uint8_t buf[10];
	size_t got;
	watch fs;
	bench b;

	(void)state;
	watch_init(&fs);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	stuck.b = &b;
	atomic_store(&fs.sync_holds, 1);
	t_thread(&thread, flush_it, &stuck);
	while (!atomic_load(&fs.sync_inside))
		;
	b_noise(&b, 1, 0, 1000, 1000);
	b_holds(&b, 1, 0, 2000);
	b_begin(&b, 2);
	b_noise(&b, 2, 0, 0, 1000);
	b_revoke(&b, 1);
	assert_int_equal(b_try_read(&b, 1, 0, 0, buf, sizeof buf, &got), RCO_E_NOT_FOUND);
	assert_int_equal(atomic_load(&stuck.done), 0);
	atomic_store(&fs.sync_holds, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stuck.rc, RCO_OK);
	b_destroy(&b);
}

/* While another thread erases and the disk is slow, the very recording can be revoked. */
static void *erase_one(void *arg)
{
	struct flusher *f = arg;

	f->rc = b_try_erase(f->b, 1);
	atomic_store(&f->done, 1);
	return NULL;
}

static void test_revoke_never_waits(void **state)
{
	struct flusher stuck = {.rc = 1};
	pthread_t thread;
	watch fs;
	bench b;

	(void)state;
	watch_init(&fs);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	stuck.b = &b;
	atomic_store(&fs.sync_holds, 1);
	t_thread(&thread, erase_one, &stuck);
	while (!atomic_load(&fs.sync_inside))
		;
	b_revoke(&b, 1);
	assert_int_equal(atomic_load(&stuck.done), 0); /* gone is said when it is durable, not before */
	atomic_store(&fs.sync_holds, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stuck.rc, RCO_OK);
	b_destroy(&b);
}

/* ---- erasing ---- */

static uint32_t users_of(bench *b, uint8_t n)
{
	uint8_t id[16];
	uint32_t refs;

	b_id(id, n);
	(void)pthread_mutex_lock(&b->spool->table_lock);
	refs = rco__spooled_find(b->spool, id)->refs;
	(void)pthread_mutex_unlock(&b->spool->table_lock);
	return refs;
}

/* Two erasures at once: the second finds it gone, and does not empty a slot that may be another call's by then. */
static void test_erased_twice_at_once(void **state)
{
	struct flusher first = {.rc = 1}, second = {.rc = 1};
	pthread_t one, two;
	uint32_t writes;
	watch fs;
	bench b;

	(void)state;
	watch_init(&fs);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	first.b = second.b = &b;
	atomic_store(&fs.sync_holds, 1);
	t_thread(&one, erase_one, &first);
	while (!atomic_load(&fs.sync_inside))
		;
	t_thread(&two, erase_one, &second);
	while (users_of(&b, 1) < 3) /* the table and both threads */
		;
	writes = atomic_load(&fs.writes);
	atomic_store(&fs.sync_holds, 0);
	assert_int_equal(pthread_join(one, NULL), 0);
	assert_int_equal(pthread_join(two, NULL), 0);
	assert_int_equal(first.rc, RCO_OK);
	assert_int_equal(second.rc, RCO_OK);
	assert_int_equal(atomic_load(&fs.writes), writes);
	b_destroy(&b);
}

/* "Gone" is not said while the disk did not take it; the recording is unreadable all the same, and it is tried
 * again. */
static void test_erase_that_cannot(void **state)
{
	uint8_t buf[10];
	size_t got;
	watch fs;
	bench b;
	b_found f;

	(void)state;
	watch_init(&fs);
	atomic_store(&fs.code, RCO_E_IO);
	b_init(&b);
	b.fs = &fs.disk.table;
	b_open(&b);
	b_begin(&b, 1);
	b_begin(&b, 2);
	b_noise(&b, 1, 0, 0, 1000);
	b_noise(&b, 2, 0, 0, 1000);
	atomic_store(&fs.sync_fails, 1);
	assert_int_equal(b_try_erase(&b, 1), RCO_E_IO);
	assert_int_equal(b_try_erase(&b, 1), RCO_E_IO);
	assert_int_equal(b_try_read(&b, 1, 0, 0, buf, sizeof buf, &got), RCO_E_NOT_FOUND);
	b_begin(&b, 3); /* must not get the slot */
	atomic_store(&fs.sync_fails, 0);
	b_erase(&b, 1);
	b_reopen(&b);
	b_scan(&b, &f);
	assert_int_equal(f.n, 2);
	assert_int_equal(b_where(&f, 1), -1);
	b_holds(&b, 2, 0, 1000);
	b_destroy(&b);
}

/* A segment that cannot be removed is removed later. */
static void test_unlink_that_cannot(void **state)
{
	watch fs;
	bench b;

	(void)state;
	watch_init(&fs);
	atomic_store(&fs.code, RCO_E_PERMISSION);
	b_init(&b);
	b.fs = &fs.disk.table;
	b.segment_bytes = 1000;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	b_noise(&b, 1, 0, 1000, 1000);
	b_noise(&b, 1, 0, 2000, 1000);
	atomic_store(&fs.unlink_fails, 1);
	b_erase(&b, 1); /* its key is gone: that is what erasing is */
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 3);
	assert_non_null(strstr(b.log, "cannot be removed"));
	b.log[0] = '\0';
	b.log_size = 0;
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	assert_null(strstr(b.log, "cannot be removed")); /* said once */
	atomic_store(&fs.unlink_fails, 0);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 1);
	b_destroy(&b);
}

/* ---- memory ---- */

/* Each demand for memory fails once; nothing leaks, nothing is lost, and the same works when there is some. */
static void test_each_allocation_fails(void **state)
{
	struct counting c;
	rco_allocator alloc;
	rco__fs fast;
	int n, total = 1;
	bench b;

	(void)state;
	for (n = 1; n <= total; n++) {
		memset(&c, 0, sizeof c);
		alloc = counting_allocator(&c);
		b_init(&b);
		b.fs = b_fast_fs(&fast);
		b.segment_bytes = 5000;
		b.epoch_s = 60;
		b.alloc = &alloc;
		c.fail_at = n;
		assert_true(live(&b, 4));
		total = c.demands;
		c.fail_at = 0;
		check_life(&b);
		b_close(&b);
		assert_int_equal(c.live, 0);
		b_open(&b);
		check_life(&b);
		b_destroy(&b);
		assert_int_equal(c.live, 0);
	}
	assert_true(total > 20);
}

/* Memory that is given back holds no audio: noise of the call is looked for in every block. */
static uint8_t needle[64];
static int leaked;

static void look_for_audio(const void *ptr, size_t size)
{
	if (size >= 32 && memmem(ptr, size, needle, 32) != NULL)
		leaked++;
}

static void test_scratch_is_wiped(void **state)
{
	struct counting c = {.on_release = look_for_audio};
	rco_allocator alloc = counting_allocator(&c);
	uint8_t buf[300];
	size_t got, i;
	bench b;

	(void)state;
	b_init(&b);
	b.alloc = &alloc;
	b_open(&b);
	b_begin(&b, 1);
	for (i = 0; i < 4; i++)
		b_noise(&b, 1, 0, i * 8000, 8000);
	t_noise(8, 3 * 8000 + 64, needle, sizeof needle); /* of what is appended and read below */
	assert_int_equal(b_try_read(&b, 1, 0, 3 * 8000 + 10, buf, sizeof buf, &got), RCO_OK);
	assert_non_null(memmem(buf, got, needle, 32));
	b_close(&b);
	assert_int_equal(leaked, 0);
	look_for_audio(buf, sizeof buf);
	assert_int_equal(leaked, 1); /* it would have been seen */
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_written_though_it_failed),
		cmocka_unit_test(test_each_change_fails),
		cmocka_unit_test(test_failed_sync),
		cmocka_unit_test(test_failed_sync_of_slots),
		cmocka_unit_test(test_flush_waits_for_the_other),
		cmocka_unit_test(test_slow_sync_stops_nobody),
		cmocka_unit_test(test_revoke_never_waits),
		cmocka_unit_test(test_erased_twice_at_once),
		cmocka_unit_test(test_erase_that_cannot),
		cmocka_unit_test(test_unlink_that_cannot),
		cmocka_unit_test(test_each_allocation_fails),
		cmocka_unit_test(test_scratch_is_wiped),
	};

	return cmocka_run_group_tests_name("spool faults", tests, NULL, NULL);
}
