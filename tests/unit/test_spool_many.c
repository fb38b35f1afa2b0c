/* SPDX-License-Identifier: MIT */
/*
 * Chunks of many recordings that are appended together: they share a write, a write that fails or ends half-way
 * leaves each recording as it was, what cannot be taken does not hold up the others, and what was erased while it
 * was being written does not come back.
 */
#include "../support_base.h"
#include "../support_spool.h"

#include "../../lib/storage/spool_internal.h"

enum { CALLS = 40, LEGS = 2, ALL = CALLS * LEGS, CHUNK = 1600 };

/* ---- a file system that counts writes to segments, and fails them ---- */

enum { WELL, BEFORE, HALF, AFTER };

typedef struct counting_fs {
	t_disk disk; /* its marks: a segment */
	size_t writes, largest;
	int how; /* of all writes to segments */
	bench *b;
	uint8_t erase; /* this recording, while its record is written */
} counting_fs;

static int asked(t_demand *d, void *user_data)
{
	counting_fs *fs = user_data;
	uint8_t erase = fs->erase;

	d->skip = t_is_sync(d);
	if (d->kind == T_DISK_OPEN)
		d->mark = strstr(d->path, ".rcos") != NULL;
	if (d->kind != T_DISK_WRITE || d->offset == 0 || !d->mark)
		return RCO_OK;
	fs->writes++;
	if (d->size > fs->largest)
		fs->largest = d->size;
	if (erase != 0) {
		fs->erase = 0;
		b_erase(fs->b, erase);
	}
	d->done = fs->how == HALF ? T_DISK_HALF : fs->how == AFTER ? T_DISK_ALL : T_DISK_NOTHING;
	return fs->how == WELL ? RCO_OK : fs->how == BEFORE ? RCO_E_NO_SPACE : RCO_E_IO;
}

static void begin(bench *b, counting_fs *fs, uint64_t segment_bytes)
{
	uint8_t i;

	memset(fs, 0, sizeof *fs);
	t_disk_init(&fs->disk, NULL, asked, fs);
	fs->b = b;
	b_init(b);
	b->fs = &fs->disk.table;
	b->segment_bytes = segment_bytes;
	b_open(b);
	for (i = 1; i <= CALLS; i++)
		b_begin(b, i);
}

/* ---- what is appended ---- */

static uint8_t sound[ALL][4 * CHUNK];

static rco__append noise(uint8_t n, uint32_t leg, uint64_t position, size_t size, uint8_t *data)
{
	rco__append a = {.chunk = {.struct_size = (uint32_t)sizeof a.chunk,
	                           .leg = leg,
	                           .format = RCO_FORMAT_PCMU_8K,
	                           .position_bytes = position,
	                           .time_us = 1,
	                           .data = data,
	                           .size_bytes = size}};

	b_id(a.chunk.recording_id, n);
	t_noise(n * 8u + leg, position, data, size);
	return a;
}

static void fill(rco__append list[ALL], uint64_t position, size_t size)
{
	size_t i;

	for (i = 0; i < ALL; i++)
		list[i] = noise((uint8_t)(i / LEGS + 1), i % LEGS, position, size, sound[i]);
}

static void all_hold(bench *b, uint64_t size)
{
	uint8_t i;

	for (i = 1; i <= CALLS; i++) {
		b_holds(b, i, 0, size);
		b_holds(b, i, 1, size);
	}
}

static void all_answered(const rco__append list[ALL], int rc)
{
	size_t i;

	for (i = 0; i < ALL; i++)
		assert_int_equal(list[i].rc, rc);
}

/* What the next process would find if this one died now. */
static void found_after_crash(const bench *b, uint64_t size)
{
	bench copy;

	b_crash(b, &copy);
	b_open(&copy);
	assert_int_equal(rco__spool_quarantined(copy.spool), 0);
	all_hold(&copy, size);
	b_destroy(&copy);
}

/* ---- tests ---- */

static void test_one_write(void **state)
{
	rco__append list[ALL];
	counting_fs fs;
	bench b;
	int i;

	(void)state;
	begin(&b, &fs, 0);
	for (i = 0; i < 5; i++) {
		fill(list, (uint64_t)i * CHUNK, CHUNK);
		rco__spool_append_many(b.spool, list, ALL);
		all_answered(list, RCO_OK);
		assert_int_equal(fs.writes, i + 1);
		found_after_crash(&b, (uint64_t)(i + 1) * CHUNK);
	}
	assert_int_equal(b_try_flush(&b), RCO_OK);
	all_hold(&b, 5 * CHUNK);
	/* One by one they go on where the others ended. */
	b_noise(&b, 1, 0, 5 * CHUNK, 10);
	b_holds(&b, 1, 0, 5 * CHUNK + 10);
	b_destroy(&b);
}

/* A write is bounded, and so is a segment. */
static void test_several_writes(void **state)
{
	rco__append list[ALL];
	counting_fs fs;
	bench b;

	(void)state;
	begin(&b, &fs, 0);
	fill(list, 0, 4 * CHUNK);
	rco__spool_append_many(b.spool, list, ALL);
	all_answered(list, RCO_OK);
	assert_true(fs.writes > 1 && fs.writes < 5);
	assert_true(fs.largest <= 256 * 1024);
	all_hold(&b, 4 * CHUNK);
	b_destroy(&b);

	begin(&b, &fs, 20000);
	fill(list, 0, CHUNK);
	rco__spool_append_many(b.spool, list, ALL);
	all_answered(list, RCO_OK);
	assert_true(fs.writes < ALL / 4);
	assert_true(fs.largest <= 20000);
	all_hold(&b, CHUNK);
	found_after_crash(&b, CHUNK);
	b_destroy(&b);
}

static int same(const void *a, const void *b)
{
	return memcmp(a, b, 24);
}

static void test_nonces_differ(void **state)
{
	rco__append list[ALL];
	uint8_t nonces[ALL][24], *data;
	size_t i, n, size, at = RCO__SPOOL_SEG_HEADER;
	rco__record record;
	counting_fs fs;
	char path[256];
	bench b;

	(void)state;
	begin(&b, &fs, 0);
	fill(list, 0, CHUNK);
	rco__spool_append_many(b.spool, list, ALL);
	assert_int_equal(b_files(b.spool_path, ".rcos", path), 1);
	data = t_read_file(path, &size);
	assert_non_null(data);
	for (n = 0; at < size; at += rco__record_size(record.cipher_size), n++) {
		assert_int_equal(rco__record_parse(data + at, size - at, &record), RCO_OK);
		assert_true(n < ALL);
		memcpy(nonces[n], record.nonce, 24);
	}
	assert_int_equal(n, ALL);
	qsort(nonces, ALL, 24, same);
	for (i = 1; i < ALL; i++)
		assert_memory_not_equal(nonces[i - 1], nonces[i], 8);
	free(data);
	b_destroy(&b);
}

/* Before it, half-way, or after it: nothing is taken, nothing is lost, and once more is once in the end. */
static void test_write_fails(void **state)
{
	rco__append list[ALL];
	counting_fs fs;
	bench b;
	int how;

	(void)state;
	for (how = BEFORE; how <= AFTER; how++) {
		begin(&b, &fs, 0);
		fill(list, 0, CHUNK);
		rco__spool_append_many(b.spool, list, ALL);
		fs.how = how;
		fill(list, CHUNK, CHUNK);
		rco__spool_append_many(b.spool, list, ALL);
		all_answered(list, how == BEFORE ? RCO_E_NO_SPACE : RCO_E_IO);
		all_hold(&b, CHUNK);
		fs.how = WELL;
		rco__spool_append_many(b.spool, list, ALL);
		all_answered(list, RCO_OK);
		all_hold(&b, 2 * CHUNK);
		found_after_crash(&b, 2 * CHUNK);
		b_destroy(&b);
	}
}

/* What is wrong with one is told of that one. */
static void test_others_are_taken(void **state)
{
	static uint8_t large[256 * 1024], data[12][CHUNK];
	rco__append list[12];
	counting_fs fs;
	size_t i, n = 0;
	bench b;

	(void)state;
	begin(&b, &fs, 0);
	b_noise(&b, 3, 0, 0, 100);
	b_noise(&b, 4, 0, 0, 100);
	b_noise(&b, 5, 0, 0, 100);
	b_revoke(&b, 6);
	list[n] = noise(1, 0, 0, CHUNK, data[n]), n++;
	list[n] = noise(99, 0, 0, CHUNK, data[n]), n++;  /* not there */
	list[n] = noise(6, 0, 0, CHUNK, data[n]), n++;   /* opted out */
	list[n] = noise(3, 0, 0, 100, data[n]), n++;     /* again */
	list[n] = noise(4, 0, 200, CHUNK, data[n]), n++; /* behind a gap */
	list[n] = noise(5, 0, 100, 100, data[n]), n++;   /* another format */
	list[n - 1].chunk.format = RCO_FORMAT_PCMA_8K;
	list[n] = noise(1, 0, CHUNK, CHUNK, data[n]), n++;        /* a second of its leg */
	list[n] = noise(7, RCO_MAX_LEGS, 0, CHUNK, data[n]), n++; /* no leg */
	list[n] = noise(8, 0, 0, sizeof large, large), n++;       /* more than a write */
	list[n] = noise(9, 0, 0, CHUNK, data[n]), n++;
	rco__spool_append_many(b.spool, list, n);
	for (i = 0; i < n; i++)
		assert_int_equal(list[i].rc == RCO_OK, i == 0 || i == n - 1);
	assert_int_equal(list[1].rc, RCO_E_NOT_FOUND);
	assert_int_equal(list[2].rc, RCO_E_NOT_FOUND);
	b_holds(&b, 1, 0, CHUNK);
	b_holds(&b, 3, 0, 100);
	b_holds(&b, 4, 0, 100);
	b_holds(&b, 5, 0, 100);
	b_holds(&b, 8, 0, 0);
	b_holds(&b, 9, 0, CHUNK);
	/* What append() takes it takes after that. */
	b_noise(&b, 1, 0, CHUNK, CHUNK);
	b_noise(&b, 3, 0, 0, 100);
	b_noise(&b, 8, 0, 0, sizeof large);
	b_holds(&b, 8, 0, sizeof large);
	rco__spool_append_many(b.spool, list, 0);
	b_destroy(&b);
}

/* Erased while its record was on its way to the disk: it is not in the index, not in the file's account, and the
 * next process does not find it. */
static void test_erased_meanwhile(void **state)
{
	rco__append list[ALL];
	counting_fs fs;
	bench b, copy;
	uint8_t data[10], i;
	int how;

	(void)state;
	for (how = WELL; how <= AFTER; how++) {
		size_t got, k;

		begin(&b, &fs, 0);
		fill(list, 0, CHUNK);
		fs.how = how;
		fs.erase = 2;
		rco__spool_append_many(b.spool, list, ALL);
		for (k = 0; k < ALL; k++)
			assert_int_equal(list[k].rc == RCO_OK, how == WELL && k / LEGS + 1 != 2);
		fs.how = WELL;
		assert_int_equal(b_try_read(&b, 2, 0, 0, data, sizeof data, &got), RCO_E_NOT_FOUND);
		b_crash(&b, &copy);
		b_open(&copy);
		assert_int_equal(b_try_read(&copy, 2, 0, 0, data, sizeof data, &got), RCO_E_NOT_FOUND);
		b_holds(&copy, 1, 0, how == WELL ? CHUNK : 0);
		b_destroy(&copy);
		/* A call of that id that comes later begins with nothing. */
		b_begin(&b, 2);
		b_holds(&b, 2, 0, 0);
		b_noise(&b, 2, 0, 0, 100);
		b_crash(&b, &copy);
		b_open(&copy);
		b_holds(&copy, 2, 0, 100);
		b_destroy(&copy);
		for (i = 1; i <= CALLS; i++)
			b_erase(&b, i);
		/* Only the file that is written to stays. */
		b_begin(&b, 1);
		b_noise(&b, 1, 0, 0, 100);
		assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 1);
		b_destroy(&b);
	}
}

static void test_no_memory(void **state)
{
	rco__append list[ALL];
	bench b;
	uint8_t i;

	(void)state;
	b_init(&b);
	b.alloc = &t_allocator;
	b_open(&b);
	for (i = 1; i <= CALLS; i++)
		b_begin(&b, i);
	fill(list, 0, CHUNK);
	t_memory.fail_all = 1;
	rco__spool_append_many(b.spool, list, ALL);
	all_answered(list, RCO_E_NO_MEMORY);
	t_memory_is_there();
	all_hold(&b, 0);
	rco__spool_append_many(b.spool, list, ALL);
	all_answered(list, RCO_OK);
	all_hold(&b, CHUNK);
	b_destroy(&b);
}

/* ---- an engine's calls ---- */

static t_fs segments; /* large, so not on the stack */

enum { BEAT_MS = 200, PUSHED_MS = 2000 };

/* Calls, of which each has two legs: how many writes to segments a beat of them makes. */
static void test_beat_of_many_calls(void **state)
{
	rco_session *calls[CALLS];
	char id[16];
	t_world w;
	size_t i, at = 0, ms;
	uint64_t before;

	(void)state;
	t_world_init(&w, T_SPOOL);
	t_fs_init(&segments, ".rcos");
	atomic_store(&segments.quick, 1);
	w.cfg.ring_pool_bytes = 4u << 20;
	w.fs = &segments;
	t_world_open(&w);
	for (i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%zu", i);
		calls[i] = t_call(&w, id);
	}
	for (ms = 0; ms < PUSHED_MS; ms += BEAT_MS) {
		uint64_t written;
		size_t k;

		for (k = 0; k < BEAT_MS / 20; k++, at++)
			for (i = 0; i < CALLS; i++) {
				t_push(calls[i], 0, (uint32_t)(2 * i), at, 1);
				t_push(calls[i], 1, (uint32_t)(2 * i + 1), at, 1);
			}
		before = atomic_load(&segments.changes) - atomic_load(&segments.syncs);
		t_advance(&w, BEAT_MS);
		written = atomic_load(&segments.changes) - atomic_load(&segments.syncs) - before;
		/* With the first audio a recording is opened, and its chunks go one by one. */
		if (ms > 0)
			assert_true(written > 0 && written <= 2);
	}
	for (i = 0; i < CALLS; i++) {
		assert_int_equal(rco_session_end(calls[i]), RCO_OK);
		rco_session_free(calls[i]);
	}
	for (i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%zu", i);
		t_await(&w, id, RCO_EVENT_STORED, 1);
		assert_true(t_store_has_noise(&w, id, "caller", (uint32_t)(2 * i), at));
		assert_true(t_store_has_noise(&w, id, "agent", (uint32_t)(2 * i + 1), at));
	}
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_write),        cmocka_unit_test(test_several_writes),
		cmocka_unit_test(test_nonces_differ),    cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_others_are_taken), cmocka_unit_test(test_erased_meanwhile),
		cmocka_unit_test(test_no_memory),        cmocka_unit_test(test_beat_of_many_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
