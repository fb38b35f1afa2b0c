/* SPDX-License-Identifier: MIT */
/*
 * The index of the spool: an hour of a leg takes little memory and reads back bit for bit; an index that cannot be
 * written, cannot be read or is damaged costs time, never audio.
 */
#include "../support_base.h"
#include "../support_spool.h"

#include "../../lib/storage/spool_internal.h"

#include <sys/wait.h>

enum { HOUR = 18000, CHUNK = 16, LEG_BYTES = 2560 };

/* ---- a file system that knows which file is the index ---- */

typedef struct index_fs {
	t_disk disk;    /* its marks: the index */
	_Atomic int fd; /* of the index, once something was done with it */
	_Atomic int writes_fail, reads_fail;
	_Atomic uint32_t writes;
} index_fs;

static int asked(t_demand *d, void *user_data)
{
	index_fs *x = user_data;

	d->skip = t_is_sync(d);
	if (d->kind == T_DISK_OPEN)
		d->mark = strstr(d->path, "index.tmp") != NULL;
	if (!d->mark || d->fd < 0)
		return RCO_OK;
	atomic_store(&x->fd, d->fd);
	if (d->kind == T_DISK_READ && atomic_load(&x->reads_fail))
		return rco__fail(RCO_E_IO, "the index cannot be read");
	if (d->kind == T_DISK_WRITE) {
		atomic_fetch_add(&x->writes, 1);
		if (atomic_load(&x->writes_fail))
			return rco__fail(RCO_E_NO_SPACE, "no space for the index");
	}
	return RCO_OK;
}

static void start(bench *b, index_fs *x, uint64_t segment_bytes)
{
	memset(x, 0, sizeof *x);
	t_disk_init(&x->disk, NULL, asked, x);
	atomic_store(&x->fd, -1);
	b_init_under(b, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
	b->fs = &x->disk.table;
	b->segment_bytes = segment_bytes;
}

static void fill(bench *b, uint64_t from, uint64_t chunks)
{
	uint64_t i;

	for (i = from; i < from + chunks; i++)
		b_noise(b, 1, 0, i * CHUNK, CHUNK);
}

static void read_here(bench *b, uint64_t position, size_t size)
{
	uint8_t data[5000], want[5000];
	size_t got;

	assert_int_equal(b_try_read(b, 1, 0, position, data, size, &got), RCO_OK);
	assert_int_equal(got, size);
	b_sound(1, 0, position, want, size);
	assert_memory_equal(data, want, size);
}

/* ---- an hour ---- */

static void test_an_hour_in_little_memory(void **state)
{
	struct counting c = {0};
	rco_allocator allocator = counting_allocator(&c);
	size_t before;
	index_fs x;
	bench b;
	uint64_t i;

	(void)state;
	start(&b, &x, 0);
	b.alloc = &allocator;
	b_open(&b);
	b_begin(&b, 1);
	b_begin(&b, 2);
	b_noise(&b, 2, 0, 0, CHUNK); /* scratch and segment are there; an empty leg has no index */
	before = c.bytes;
	fill(&b, 0, HOUR);
	assert_true(c.bytes - before <= LEG_BYTES);
	assert_true(atomic_load(&x.writes) >= HOUR / RCO__SPOOL_BLOCK - 1);
	assert_int_equal(b_files(b.spool_path, "index.tmp", NULL), 0);
	b_holds(&b, 1, 0, HOUR * CHUNK);
	for (i = 0; i < 300; i++)
		read_here(&b, i * 7919 % (HOUR * CHUNK - 200), (size_t)(1 + i % 200));
	b_reopen(&b);
	assert_true(c.bytes - before <= LEG_BYTES);
	b_holds(&b, 1, 0, HOUR * CHUNK);
	fill(&b, HOUR, 300);
	b_holds(&b, 1, 0, (HOUR + 300) * CHUNK);
	b_erase(&b, 1);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	b_holds(&b, 2, 0, CHUNK);
	b_reopen(&b);
	b_holds(&b, 2, 0, CHUNK);
	b_destroy(&b);
	assert_int_equal(c.bytes, 0);
}

/* Erasing frees the segments of a call whose index is in the file, and the places of that are used again. */
static void test_erased_with_its_index(void **state)
{
	index_fs x;
	bench b;
	int i;

	(void)state;
	start(&b, &x, 20000);
	b_open(&b);
	for (i = 0; i < 3; i++) {
		off_t size;

		b_begin(&b, 1);
		fill(&b, 0, 700);
		size = lseek(atomic_load(&x.fd), 0, SEEK_END);
		assert_true(size > 0 && size < 12 * 1100);
		b_erase(&b, 1);
		assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
		assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 1); /* the one that is being written */
		assert_int_equal(lseek(atomic_load(&x.fd), 0, SEEK_END), 0);
	}
	b_destroy(&b);
}

/* A child shares the file with its parent: when it frees the spool the parent's index stays. */
static void test_freed_by_a_child(void **state)
{
	index_fs x;
	bench b;
	pid_t pid;
	int status;

	(void)state;
	start(&b, &x, 0);
	b_open(&b);
	b_begin(&b, 1);
	fill(&b, 0, 300);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		rco_result result = b_result();

		status = rco_spool_buffer_ops()->flush(1, &result, b.spool) == RCO_E_FORKED ? 0 : 1;
		rco_spool_free(b.spool);
		T_LAST_WORDS();
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(lseek(atomic_load(&x.fd), 0, SEEK_END) > 0);
	b_holds(&b, 1, 0, 300 * CHUNK);
	assert_null(strstr(b.log, "searching"));
	b_destroy(&b);
}

/* ---- it cannot be written ---- */

static void test_index_cannot_be_written(void **state)
{
	index_fs x;
	bench b;
	uint64_t i;

	(void)state;
	start(&b, &x, 20000);
	b_open(&b);
	b_begin(&b, 1);
	fill(&b, 0, 200);
	atomic_store(&x.writes_fail, 1);
	fill(&b, 200, 500);
	assert_non_null(strstr(b.log, "stays in memory"));
	b_holds(&b, 1, 0, 700 * CHUNK);
	/* compacting has to change what is in the file and what is in memory */
	for (i = 0; i < 10; i++) {
		b_begin(&b, 2);
		b_noise(&b, 2, 0, 0, 15000);
		b_erase(&b, 2);
		fill(&b, 700 + i * 20, 20);
	}
	for (i = 0; i < 5; i++) {
		t_clock_advance(&b.clock, 11000);
		assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	}
	b_holds(&b, 1, 0, 900 * CHUNK);
	atomic_store(&x.writes_fail, 0);
	fill(&b, 900, 200);
	b_holds(&b, 1, 0, 1100 * CHUNK);
	b_erase(&b, 1);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	assert_true(b_files(b.spool_path, ".rcos", NULL) <= 1);
	b_destroy(&b);
}

/* ---- it cannot be read, or is damaged ---- */

static void test_index_cannot_be_read(void **state)
{
	index_fs x;
	bench b;

	(void)state;
	start(&b, &x, 20000);
	b_open(&b);
	b_begin(&b, 1);
	fill(&b, 0, 700);
	atomic_store(&x.reads_fail, 1);
	b_holds(&b, 1, 0, 700 * CHUNK);
	read_here(&b, 5001, 333);
	assert_non_null(strstr(b.log, "searching all segments"));
	fill(&b, 700, 10);
	b_holds(&b, 1, 0, 710 * CHUNK);
	/* erased all the same; what its index named goes with the next start at the latest */
	b_erase(&b, 1);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	atomic_store(&x.reads_fail, 0);
	b_reopen(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 0);
	b_destroy(&b);
}

/* Each byte of a block, every block: the audio is the same, found by the segments. */
static void test_index_is_damaged(void **state)
{
	enum { STRIDE = T_SANITIZED ? 97 : 5 };
	uint8_t good[4096], bad[4096];
	index_fs x;
	bench b;
	size_t at, size;
	int fd;

	(void)state;
	start(&b, &x, 20000);
	b_open(&b);
	b_begin(&b, 1);
	fill(&b, 0, 220);
	fd = atomic_load(&x.fd);
	size = (size_t)pread(fd, good, sizeof good, 0);
	assert_true(size > 3 * 1000 && size < sizeof good);
	for (at = 0; at < size; at += STRIDE) {
		memcpy(bad, good, size);
		bad[at] ^= (uint8_t)(1u << at % 8);
		assert_int_equal(pwrite(fd, bad, size, 0), (ssize_t)size);
		b_holds(&b, 1, 0, 220 * CHUNK);
	}
	/* blocks that changed places, old ones, none at all */
	memcpy(bad, good + size / 3, size / 3);
	memcpy(bad + size / 3, good, size / 3);
	assert_int_equal(pwrite(fd, bad, size, 0), (ssize_t)size);
	b_holds(&b, 1, 0, 220 * CHUNK);
	assert_int_equal(ftruncate(fd, 0), 0);
	b_holds(&b, 1, 0, 220 * CHUNK);
	assert_non_null(strstr(b.log, "searching all segments"));
	b_destroy(&b);
}

/* Neither index nor record: told as damage, what is before it is read. */
static void test_neither_index_nor_record(void **state)
{
	uint64_t good;
	size_t size;
	char path[256];
	uint8_t *data;
	index_fs x;
	bench b;
	int rc;

	(void)state;
	start(&b, &x, 0);
	b_open(&b);
	b_begin(&b, 1);
	fill(&b, 0, 200);
	assert_int_equal(b_files(b.spool_path, ".rcos", path), 1);
	data = t_read_file(path, &size);
	assert_non_null(data);
	data[size / 4] ^= 1;
	t_write_file(path, data, size);
	free(data);
	assert_int_equal(ftruncate(atomic_load(&x.fd), 0), 0);
	good = b_readable(&b, 1, 0, &rc);
	assert_int_equal(rc, RCO_E_CORRUPT);
	assert_true(good >= 40 * CHUNK && good <= 60 * CHUNK && good % CHUNK == 0);
	read_here(&b, 100 * CHUNK, 100 * CHUNK); /* behind it too */
	b_destroy(&b);
}

/* The same with gaps in the leg, whose pieces have other places in the index. */
static int gaps_on(void **state)
{
	(void)state;
	b_gap_piece = CHUNK;
	return 0;
}

#define WITH_GAPS(test) cmocka_unit_test_setup_teardown(test, gaps_on, b_gaps_off)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_hour_in_little_memory),
		cmocka_unit_test(test_erased_with_its_index),
		cmocka_unit_test(test_freed_by_a_child),
		cmocka_unit_test(test_index_cannot_be_written),
		cmocka_unit_test(test_index_cannot_be_read),
		cmocka_unit_test(test_index_is_damaged),
		cmocka_unit_test(test_neither_index_nor_record),
		WITH_GAPS(test_an_hour_in_little_memory),
		WITH_GAPS(test_erased_with_its_index),
		WITH_GAPS(test_index_cannot_be_written),
		WITH_GAPS(test_index_cannot_be_read),
		WITH_GAPS(test_index_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
