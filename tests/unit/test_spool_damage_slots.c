/* SPDX-License-Identifier: MIT */
/*
 * Key slots, epoch keys and their wrapped copies cut at every length and with a bit flipped in every byte, and
 * every file from the future. Opening succeeds (or says in one clear error why not, for a newer version); damage
 * costs the calls it hits, is told, and what is set aside is no way around an erasure.
 */
#include "../support_damage.h"

#include "../../lib/base/bytes.h"
#include "../../lib/storage/spool_internal.h"

/* ---- slots ---- */

/* Bytes 0 to 111 and the checksum hold the key: without them the call is lost. The rest is only its meta data. */
static void test_slot_flips(void **state)
{
	uint64_t got[2];
	uint8_t key[72];
	b_found f;
	victim v;
	size_t at;

	(void)state;
	pick(&v, ".rcok");
	memcpy(key, v.good + 1024 + 40, sizeof key);
	for (at = 0; at<3 * 1024; at += at> 512 && at < 1024 ? 64 : STEP) {
		size_t in_slot = at % 1024;
		int slot = (int)(at / 1024) - 1, key_lost, meta_lost;

		flip(&v, at, (uint8_t)(1u << (at % 8)));
		b_open(&v.b);
		readable(&v, got);
		b_scan(&v.b, &f);
		key_lost = slot >= 0 && (in_slot < 112 || in_slot >= 1020);
		meta_lost =
			slot >= 0 && ((in_slot >= 112 && in_slot < 624) || (in_slot >= 1016 && in_slot < 1020));
		assert_int_equal(got[0], key_lost && slot == 0 ? 0 : HELD);
		assert_int_equal(got[1], key_lost && slot == 1 ? 0 : HELD);
		assert_int_equal(f.n, key_lost ? 1 : 2);
		if (slot == 0 && !key_lost)
			assert_int_equal(f.at[b_where(&f, 1)].has_meta, !meta_lost);
		if (key_lost || meta_lost) {
			char path[256];

			assert_int_equal(rco__spool_quarantined(v.b.spool), 1);
			assert_non_null(strstr(v.b.log, "set aside"));
			t_join(path, sizeof path, v.b.spool_path, "quarantine");
			assert_int_equal(b_files(path, ".rcok", NULL), 1);
			if (slot == 0) /* what is set aside is no key */
				assert_int_equal(t_tree_holds(path, key, 16), 0);
		}
		if (at % 64 == 0)
			go_on(&v, got, 1);
		restore(&v);
		if (at % 64 == 0) {
			b_open(&v.b);
			b_close(&v.b);
			restore(&v);
		}
	}
	let_go(&v);
}

/* Cut at any length: slots before the cut are all there. */
static void test_slot_cuts(void **state)
{
	uint64_t got[2];
	victim v;
	size_t cut;

	(void)state;
	pick(&v, ".rcok");
	for (cut = 0; cut<4 * 1024; cut += cut % 1024> 900 || cut % 1024 < 100 ? STEP : 31) {
		t_write_file(v.path, v.good, cut);
		b_open(&v.b);
		readable(&v, got);
		assert_int_equal(got[0], cut >= 2 * 1024 ? HELD : 0);
		assert_int_equal(got[1], cut >= 3 * 1024 ? HELD : 0);
		if (cut % 16 == 0)
			go_on(&v, got, 0);
		restore(&v);
		/* segments that were set aside with the keys */
		b_open(&v.b);
		b_close(&v.b);
		restore(&v);
	}
	let_go(&v);
}

/* A slot file that is something else goes to quarantine whole, and so do the segments, which nobody can read now.
 */
static void test_foreign_slot_file(void **state)
{
	char path[256];
	uint64_t got[2];
	victim v;

	(void)state;
	pick(&v, ".rcok");
	t_write_file(v.path, "something else", 14);
	b_open(&v.b);
	readable(&v, got);
	assert_int_equal(got[0] + got[1], 0);
	t_join(path, sizeof path, v.b.spool_path, "quarantine");
	assert_int_equal(t_tree_holds(path, "something else", 14), 1);
	assert_int_equal(t_tree_holds(path, "RCOSEG01", 8), 1);
	assert_int_equal(rco__spool_quarantined(v.b.spool), 3); /* and the epoch, which may be another's */
	go_on(&v, got, 1);
	let_go(&v);
}

/* A damaged header costs nothing, and a damaged slot together with it only its own call. */
static void test_header_and_slot(void **state)
{
	uint64_t got[2];
	uint8_t *bad;
	victim v;

	(void)state;
	pick(&v, ".rcok");
	bad = malloc(v.size);
	assert_non_null(bad);
	memcpy(bad, v.good, v.size);
	memset(bad, 0x55, 1024 + 8);
	t_write_file(v.path, bad, v.size);
	b_open(&v.b);
	readable(&v, got);
	assert_int_equal(got[0], 0);
	assert_int_equal(got[1], HELD);
	assert_int_equal(rco__spool_quarantined(v.b.spool), 2);
	go_on(&v, got, 1);
	free(bad);
	let_go(&v);
}

/* A damaged slot must not be a way around an erasure: afterwards no file holds the key, whatever was set aside. */
static void test_erase_after_slot_damage(void **state)
{
	uint8_t key[72];
	victim v;

	(void)state;
	pick(&v, ".rcok");
	memcpy(key, v.good + 1024 + 40, sizeof key);
	flip(&v, 1024 + 8, 1);
	assert_int_equal(t_tree_holds(v.b.root, key, sizeof key), 1);
	b_open(&v.b);
	b_erase(&v.b, 1);
	assert_int_equal(t_tree_holds(v.b.root, key, 16), 0);
	let_go(&v);
}

/* ---- keys ---- */

/* A damaged epoch key, or its wrapped copy in the spool: its calls are told with what is known of them, new ones
 * work, and what is damaged goes with them. */
static void damaged_keys(const char *suffix, const char *says)
{
	char path[256];
	uint64_t got[2];
	b_found f;
	victim v;
	size_t at;

	pick(&v, suffix);
	for (at = 0; at <= v.size; at += STEP) {
		if (at < v.size)
			flip(&v, at, 4);
		else
			t_write_file(v.path, v.good, at / 2);
		b_open(&v.b);
		b_scan(&v.b, &f);
		readable(&v, got);
		assert_int_equal(got[0], 0);
		assert_int_equal(got[1], 0);
		assert_int_equal(f.n, 2);
		assert_string_equal(f.at[b_where(&f, 1)].meta, "meta of one");
		assert_int_equal(f.at[b_where(&f, 1)].bytes[0], 0);
		assert_int_equal(f.at[b_where(&f, 1)].damaged, HELD);
		assert_int_equal(f.at[b_where(&f, 2)].damaged, HELD);
		assert_non_null(strstr(v.b.log, "cannot be unwrapped"));
		assert_non_null(strstr(v.b.log, says));
		b_begin(&v.b, 50);
		b_noise(&v.b, 50, 0, 0, 500);
		b_holds(&v.b, 50, 0, 500);
		b_erase(&v.b, 50);
		assert_true(t_exists(v.path)); /* nowhere else, and not repaired */
		assert_int_equal(b_files(v.b.spool_path, ".rcoe", path), 2);
		/* goes with its calls */
		b_erase(&v.b, 1);
		b_erase(&v.b, 2);
		assert_int_equal(rco_spool_maintain(v.b.spool), RCO_OK);
		assert_false(t_exists(v.path));
		assert_int_equal(b_files(v.b.root, ".rcoe", NULL), 1);
		assert_int_equal(b_files(v.b.root, ".key", NULL), 1);
		restore(&v);
	}
	let_go(&v);
}

static void test_key_flips(void **state)
{
	(void)state;
	damaged_keys(".key", "key provider answered");
}

static void test_epoch_flips(void **state)
{
	(void)state;
	damaged_keys(".rcoe", ".rcoe is damaged");
}

/* ---- newer files ---- */

static void put_crc(uint8_t *data, size_t at)
{
	rco__put32(data + at, rco__crc32c(0, data, at));
}

/* Each file of another version is refused with a clear error, and nothing is changed, so that the other can go on.
 */
static void test_other_versions(void **state)
{
	static const struct {
		const char *suffix;
		uint16_t version;
		size_t version_at, crc_at;
		const char *says;
	} files[] = {{".rcos", RCO__SPOOL_SEG_VERSION + 1, 8, RCO__SPOOL_SEG_CRC_AT, "a newer version"},
	             {".rcos", 1, 8, RCO__SPOOL_SEG_CRC_AT, "an older version"},
	             {".rcok", 3, 8, 32, "a newer version"},
	             {".rcok", 1, 8, 32, "an older version"},
	             {".key", 3, 8, 0, "a newer version"},
	             {".key", 1, 8, 0, "an older version"},
	             {".rcoe", 2, 8, 0, "newer"}};
	size_t i, size = 0, left;
	uint8_t *data, *after;
	char path[256];
	bench b;
	int rc;

	(void)state;
	for (i = 0; i < sizeof files / sizeof files[0]; i++) {
		leave(&b);
		assert_int_equal(b_files(b.root, files[i].suffix, path), 1);
		data = t_read_file(path, &size);
		assert_non_null(data);
		rco__put16(data + files[i].version_at, files[i].version);
		put_crc(data, files[i].crc_at != 0 ? files[i].crc_at : size - 4);
		t_write_file(path, data, size);
		rc = b_try_keys(&b);
		if (rc == RCO_OK)
			rc = b_try_spool(&b);
		assert_int_equal(rc, RCO_E_VERSION);
		assert_non_null(strstr(rco_error_detail(), files[i].says));
		b_close(&b);
		after = t_read_file(path, &left);
		assert_non_null(after);
		assert_int_equal(left, size);
		assert_memory_equal(after, data, size);
		free(after);
		free(data);
		b_destroy(&b);
	}
}

/* ---- files whose checksum is right, and which no correct writer makes ---- */

enum { SLOT = 1024, META_AT = 40 + RCO__SPOOL_WRAPPED };

/* Overwrite `size` bytes of a file's piece from..from+bytes, and set the checksum of its first `sum` bytes at
 * `at_sum`. */
static void alter(const char *path, size_t from, size_t at, size_t size, uint64_t value, size_t sum, size_t at_sum)
{
	size_t length, i;
	uint8_t *file = t_read_file(path, &length);

	assert_non_null(file);
	assert_true(from + at_sum + 4 <= length);
	for (i = 0; i < size; i++)
		file[from + at + i] = (uint8_t)(value >> 8 * i);
	rco__put32(file + from + at_sum, rco__crc32c(0, file + from, sum));
	t_write_file(path, file, length);
	free(file);
}

static size_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (size_t)st.st_size;
}

static void leave_two(bench *b, char path[256])
{
	b_init(b);
	b_open(b);
	b_begin(b, 1);
	b_begin(b, 2);
	b_noise(b, 1, 0, 0, 300);
	b_noise(b, 2, 0, 0, 300);
	b_close(b);
	assert_int_equal(b_files(b->spool_path, "slots.rcok", path), 1);
}

/* A slot that cannot be: its recording is lost and set aside without its key, its neighbour is not touched. */
static void impossible_slots_cost_one_recording(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
	} cases[] = {
		{0, 4, 0x12345678},       /* not what a slot begins with */
		{6, 2, RCO_META_MAX + 1}, /* meta data longer than there is room for */
		{6, 2, UINT16_MAX},
	};
	char path[256];
	b_found found;
	size_t i;
	bench b;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		leave_two(&b, path);
		alter(path, SLOT, cases[i].at, cases[i].size, cases[i].value, META_AT, SLOT - 4);
		b_open(&b);
		assert_int_equal(rco__spool_quarantined(b.spool), 1);
		b_scan(&b, &found);
		assert_int_equal(found.n, 1);
		assert_int_equal(b_where(&found, 2), 0);
		b_holds(&b, 2, 0, 300);
		b_begin(&b, 3); /* in the slot that is free now */
		b_noise(&b, 3, 0, 0, 300);
		b_reopen(&b);
		assert_int_equal(rco__spool_quarantined(b.spool), 0);
		b_holds(&b, 2, 0, 300);
		b_holds(&b, 3, 0, 300);
		b_destroy(&b);
	}
}

static void refuse_newer(bench *b, const char *path, const char *says)
{
	size_t before_size, size;
	uint8_t *before = t_read_file(path, &before_size), *now;

	assert_int_equal(b_try_keys(b), RCO_OK);
	assert_int_equal(b_try_spool(b), RCO_E_VERSION);
	assert_null(b->spool);
	assert_non_null(strstr(rco_error_detail(), says));
	now = t_read_file(path, &size);
	assert_true(before != NULL && now != NULL && size == before_size);
	assert_memory_equal(before, now, size);
	free(before);
	free(now);
	b_destroy(b);
}

/* Refused as a whole, with no byte of it changed: a newer library can still open it. */
static void newer_files_are_refused_untouched(void **state)
{
	char path[256];
	size_t size;
	bench b;

	(void)state;
	leave_two(&b, path);
	alter(path, SLOT, 4, 2, 3, META_AT, SLOT - 4); /* a slot's version */
	refuse_newer(&b, path, "another version");
	leave_two(&b, path);
	alter(path, 0, 8, 2, 3, 32, 32); /* the file's */
	refuse_newer(&b, path, "newer");
	leave_two(&b, path);
	alter(path, 0, 12, 4, 2 * SLOT, 32, 32); /* longer slots */
	refuse_newer(&b, path, "newer");
	leave_two(&b, path);
	assert_int_equal(b_files(b.spool_path, ".rcoe", path), 1);
	size = size_of(path);
	alter(path, 0, 8, 2, 2, size - 4, size - 4);
	refuse_newer(&b, path, "newer");
}

/* A file of an epoch that says of itself what cannot be, under a right checksum: as any other damage. */
static void impossible_epochs(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
	} cases[] = {{10, 2, 71}, {10, 2, 4097}, {16, 8, 5}};
	uint8_t big[9000];
	size_t size, i;
	char path[256];
	b_found found;
	bench b;

	(void)state;
	for (i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
		leave_two(&b, path);
		assert_int_equal(b_files(b.spool_path, ".rcoe", path), 1);
		size = size_of(path);
		memset(big, 0, sizeof big);
		if (i == sizeof cases / sizeof cases[0])
			t_write_file(path, big, sizeof big);
		else
			alter(path, 0, cases[i].at, cases[i].size, cases[i].value, size - 4, size - 4);
		b_open(&b);
		assert_int_equal(rco__spool_quarantined(b.spool), 1);
		b_scan(&b, &found);
		assert_int_equal(found.n, 2);
		assert_int_equal(found.at[0].bytes[0], 0);
		b_begin(&b, 3);
		b_noise(&b, 3, 0, 0, 300);
		b_reopen(&b);
		b_holds(&b, 3, 0, 300);
		b_destroy(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slot_flips),
		cmocka_unit_test(test_slot_cuts),
		cmocka_unit_test(test_foreign_slot_file),
		cmocka_unit_test(test_header_and_slot),
		cmocka_unit_test(test_erase_after_slot_damage),
		cmocka_unit_test(test_key_flips),
		cmocka_unit_test(test_epoch_flips),
		cmocka_unit_test(test_other_versions),
		cmocka_unit_test(impossible_slots_cost_one_recording),
		cmocka_unit_test(newer_files_are_refused_untouched),
		cmocka_unit_test(impossible_epochs),
	};

	return cmocka_run_group_tests_name("spool damage: slots and keys", tests, NULL, NULL);
}
