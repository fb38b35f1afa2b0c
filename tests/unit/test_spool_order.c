/* SPDX-License-Identifier: MIT */
/* Slots and segments of a spool: whose a slot is while its erasure fails, and what is made of what is there twice.
 */
#include "../support_spool.h"

#include "../../lib/storage/spool_internal.h"

/* Syncs that fail, how many segments were synced, and whether the name of a new one is still to be. */
static struct watch {
	t_disk disk; /* its marks: a segment */
	int fail;
	unsigned segment_syncs;
	int made, nameless; /* segments; of those the ones whose folder was not synced since */
	bench *flush_after; /* the next write to a segment is followed by a flush that fails */
} watch;

static int asked(t_demand *d, void *user_data)
{
	(void)user_data;
	if (d->kind == T_DISK_OPEN)
		d->mark = strstr(d->path, ".rcos") != NULL;
	if (d->kind == T_DISK_OPEN && d->how == RCO__FS_CREATE_NEW && d->mark) {
		watch.made++;
		watch.nameless++;
	}
	if (d->kind == T_DISK_SYNC_DIR)
		watch.nameless = 0;
	if (d->kind != T_DISK_SYNC)
		return RCO_OK;
	if (watch.fail)
		return rco__fail(RCO_E_IO, "injected: sync");
	watch.segment_syncs += d->mark;
	return RCO_OK;
}

/* The flush comes after the write, and asked() is called before it. */
static int w_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	int rc = watch.disk.below->write(watch.disk.below->ctx, fd, buf, size, offset);
	bench *b = watch.flush_after;

	(void)ctx;
	if (b != NULL && atomic_load(&watch.disk.marks[fd])) {
		watch.flush_after = NULL;
		watch.fail = 1;
		assert_int_equal(b_try_flush(b), RCO_E_IO);
		watch.fail = 0;
	}
	return rc;
}

static void begin(bench *b)
{
	memset(&watch, 0, sizeof watch);
	t_disk_init(&watch.disk, NULL, asked, NULL);
	watch.disk.table.write = w_write;
	b_init(b);
	b->fs = &watch.disk.table;
	b_open(b);
}

/* What is said to be durable is in a file whose name is. */
static void test_a_name_is_durable_before_the_flush(void **state)
{
	bench b;

	(void)state;
	begin(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 500);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	assert_int_equal(watch.made, 1);
	assert_int_equal(watch.nameless, 0);
	b_destroy(&b);
}

/* An erasure that failed keeps its slot: it is wiped once more, and must not be another's by then. */
static void test_a_slot_is_kept_until_it_is_empty(void **state)
{
	uint8_t n;
	bench b;

	(void)state;
	begin(&b);
	b_begin(&b, 1);
	watch.fail = 1;
	assert_int_equal(b_try_erase(&b, 1), RCO_E_IO);
	watch.fail = 0;
	/* once round the slots that there are, and one more */
	for (n = 2; n <= RCO__SPOOL_SLOT_BLOCK + 1; n++) {
		b_begin(&b, n);
		b_noise(&b, n, 0, 0, 160);
	}
	b_erase(&b, 1);
	b_reopen(&b);
	for (n = 2; n <= RCO__SPOOL_SLOT_BLOCK + 1; n++)
		b_holds(&b, n, 0, 160);
	b_destroy(&b);
}

/* Cannot be, and if it is: when the recording is erased no second key of it may be left. */
static void test_two_slots_of_one_recording(void **state)
{
	static const uint8_t zeros[2 * RCO__SPOOL_SLOT];
	char path[256];
	uint8_t *file;
	size_t size;
	bench b;

	(void)state;
	begin(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 160);
	b_close(&b);
	t_join(path, sizeof path, b.spool_path, "slots.rcok");
	file = t_read_file(path, &size);
	assert_true(size >= 3 * RCO__SPOOL_SLOT);
	memcpy(file + 2 * RCO__SPOOL_SLOT, file + RCO__SPOOL_SLOT, RCO__SPOOL_SLOT); /* the first is the header */
	t_write_file(path, file, size);
	free(file);
	b_open(&b);
	b_holds(&b, 1, 0, 160);
	b_erase(&b, 1);
	file = t_read_file(path, &size);
	assert_memory_equal(file + RCO__SPOOL_SLOT, zeros, sizeof zeros);
	free(file);
	b_destroy(&b);
}

/* The process before may have died between writing and syncing: what was found is synced with the next flush. */
static void test_found_segments_are_synced(void **state)
{
	bench b;

	(void)state;
	begin(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 160);
	b_reopen(&b);
	watch.segment_syncs = 0;
	assert_int_equal(b_try_flush(&b), RCO_OK);
	assert_int_equal(watch.segment_syncs, 1);
	b_destroy(&b);
}

/* A sync that failed while a record was being written took its pages for written, too: a later one that succeeds
 * says nothing of it. */
static void test_a_record_on_its_way_as_a_sync_fails(void **state)
{
	bench b;

	(void)state;
	begin(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 160);
	watch.flush_after = &b;
	b_noise(&b, 1, 0, 160, 160);
	assert_null(watch.flush_after);
	assert_int_equal(b_try_flush(&b), RCO_E_IO);
	b_noise(&b, 1, 0, 320, 160); /* goes elsewhere */
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 2);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	b_destroy(&b);
}

/* Records behind a damaged one cannot be reached; their segment stays with their call, and goes with it. */
static void test_damage_goes_with_its_call(void **state)
{
	char path[256];
	uint8_t *file;
	size_t size;
	bench b;

	(void)state;
	begin(&b);
	b_begin(&b, 1);
	b_begin(&b, 2);
	b_noise(&b, 1, 0, 0, 160);
	b_noise(&b, 1, 0, 160, 160);
	b_noise(&b, 1, 0, 320, 160);
	b_noise(&b, 2, 0, 0, 160);
	b_close(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", path), 1);
	file = t_read_file(path, &size);
	file[RCO__SPOOL_SEG_HEADER + RCO__SPOOL_REC_HEADER] ^= 1;
	t_write_file(path, file, size);
	free(file);
	b_open(&b);
	b_erase(&b, 2);
	assert_true(t_exists(path));
	b_erase(&b, 1);
	assert_false(t_exists(path));
	b_destroy(&b);
}

/* As a crash leaves it that hits a compaction at its end: what the copy has already is not needed, and goes. */
static void test_a_segment_that_is_there_twice(void **state)
{
	char first[256], second[256];
	uint8_t *file;
	size_t size;
	bench b;

	(void)state;
	begin(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 160);
	b_noise(&b, 1, 0, 160, 160);
	b_close(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", first), 1);
	file = t_read_file(first, &size);
	rco__put64(file + 16, rco__get64(file + 16) + 1);
	rco__put32(file + RCO__SPOOL_SEG_CRC_AT, rco__crc32c(0, file, RCO__SPOOL_SEG_CRC_AT));
	assert_true(snprintf(second, sizeof second, "%s/%016llx.rcos", b.spool_path,
	                     (unsigned long long)rco__get64(file + 16)) < (int)sizeof second);
	t_write_file(second, file, size);
	free(file);
	b_open(&b);
	assert_false(t_exists(second));
	assert_true(t_exists(first));
	b_holds(&b, 1, 0, 320);
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_durable_before_the_flush),
		cmocka_unit_test(test_a_slot_is_kept_until_it_is_empty),
		cmocka_unit_test(test_two_slots_of_one_recording),
		cmocka_unit_test(test_found_segments_are_synced),
		cmocka_unit_test(test_a_record_on_its_way_as_a_sync_fails),
		cmocka_unit_test(test_damage_goes_with_its_call),
		cmocka_unit_test(test_a_segment_that_is_there_twice),
	};

	return cmocka_run_group_tests_name("order of a spool", tests, NULL, NULL);
}
