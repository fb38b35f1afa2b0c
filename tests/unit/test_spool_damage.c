/* SPDX-License-Identifier: MIT */
/*
 * Segments cut at every length, with a bit flipped in every byte, forged, foreign. Opening succeeds; what is read
 * is right, byte for byte; damage costs what it hits and no other recording, and is told.
 */
#include "../support_damage.h"

#include "../../lib/base/bytes.h"
#include "../../lib/storage/spool_internal.h"

static size_t record_size(const victim *v, size_t at)
{
	return rco__record_size(rco__get32(v->good + at + 32));
}

/* The record that the byte is in; -1 in the file's header. */
static int record_of(const victim *v, size_t byte)
{
	size_t at = RCO__SPOOL_SEG_HEADER;
	int i = -1;

	while (at <= byte && at < v->size) {
		at += record_size(v, at);
		i++;
	}
	return i;
}

/* Records take turns: 0, 2, 4, 6 are of call 1, the others of call 2. */
static void expect_lost_from(int record, uint64_t want[2])
{
	want[0] = want[1] = HELD;
	if (record >= 0)
		want[record % 2] = (uint64_t)(record / 2) * PIECE;
}

/* A flipped bit costs its call what follows it, and the other call nothing. */
static void test_segment_flips(void **state)
{
	uint64_t got[2], want[2];
	victim v;
	size_t at;

	(void)state;
	pick(&v, ".rcos");
	for (at = 0; at < v.size; at += STEP) {
		int record = record_of(&v, at);
		size_t start, i;

		for (start = RCO__SPOOL_SEG_HEADER, i = 0; record > 0 && i < (size_t)record; i++)
			start += record_size(&v, start);
		flip(&v, at, (uint8_t)(1u << (at % 8)));
		b_open(&v.b);
		readable(&v, got);
		if (record >= 0 && at >= start + RCO__SPOOL_REC_HEADER + rco__get32(v.good + start + 32))
			record = -1; /* padding */
		expect_lost_from(record, want);
		assert_int_equal(got[0], want[0]);
		assert_int_equal(got[1], want[1]);
		if (record >= 0)
			assert_non_null(strstr(v.b.log, ".rcos"));
		if (at % 16 == 0)
			go_on(&v, got, 0);
		restore(&v);
		if (at % 16 == 0) { /* what go_on() made */
			b_open(&v.b);
			b_close(&v.b);
			restore(&v);
		}
	}
	let_go(&v);
}

/* Cut at any length: whole records before the cut are all there, and nothing is told as damage but the header. */
static void test_segment_cuts(void **state)
{
	uint64_t got[2];
	victim v;
	size_t cut;

	(void)state;
	pick(&v, ".rcos");
	for (cut = 0; cut < v.size; cut += STEP) {
		size_t at = RCO__SPOOL_SEG_HEADER, whole = 0;

		while (at < v.size && at + RCO__SPOOL_REC_HEADER + rco__get32(v.good + at + 32) <= cut) {
			at += record_size(&v, at);
			whole++;
		}
		t_write_file(v.path, v.good, cut);
		b_open(&v.b);
		readable(&v, got);
		assert_int_equal(got[0], (whole + 1) / 2 * PIECE);
		assert_int_equal(got[1], whole / 2 * PIECE);
		if (cut >= RCO__SPOOL_SEG_HEADER)
			assert_int_equal(rco__spool_quarantined(v.b.spool), 0);
		else
			assert_int_equal(rco__spool_quarantined(v.b.spool), cut > 0);
		restore(&v);
	}
	let_go(&v);
}

/* Noise between and behind records, as a disk may leave it: passed over. */
static void test_segment_noise(void **state)
{
	uint64_t got[2];
	uint8_t *bad;
	victim v;
	size_t i;

	(void)state;
	pick(&v, ".rcos");
	bad = malloc(v.size + 5000);
	assert_non_null(bad);
	for (i = 0; i < 40; i++) {
		size_t at = RCO__SPOOL_SEG_HEADER, n, gap = (i * 97 % 600) & ~(size_t)7;

		for (n = 0; n < i % 8; n++)
			at += record_size(&v, at);
		memcpy(bad, v.good, at);
		t_noise(i, 0, bad + at, gap);
		if (gap > 8 && i % 2 == 0)
			memcpy(bad + at, "RCHK", 4); /* like a record */
		memcpy(bad + at + gap, v.good + at, v.size - at);
		t_noise(i + 1, 0, bad + v.size + gap, 1000);
		t_write_file(v.path, bad, v.size + gap + 1000);
		b_open(&v.b);
		readable(&v, got);
		assert_int_equal(got[0], HELD);
		assert_int_equal(got[1], HELD);
		restore(&v);
	}
	free(bad);
	let_go(&v);
}

/* A record lost in the middle: what follows is told as damaged, and its segment is kept while the call is. */
static void test_gap_is_told(void **state)
{
	size_t at = RCO__SPOOL_SEG_HEADER;
	b_found f;
	victim v;
	int rc;

	(void)state;
	pick(&v, ".rcos");
	at += record_size(&v, at); /* the first of call 2 */
	at += record_size(&v, at);
	flip(&v, at + 50, 1); /* the second of call 1 */
	b_open(&v.b);
	b_scan(&v.b, &f);
	assert_int_equal(f.at[b_where(&f, 1)].bytes[0], PIECE);
	assert_int_equal(f.at[b_where(&f, 1)].damaged, 2 * PIECE);
	assert_int_equal(f.at[b_where(&f, 2)].damaged, 0);
	assert_int_equal(rco__spool_quarantined(v.b.spool), 1);
	/* it goes on from the gap, and that is found behind the old pieces when it is opened again */
	b_noise(&v.b, 1, 0, PIECE, 3 * PIECE);
	b_erase(&v.b, 2);
	b_reopen(&v.b);
	assert_int_equal(b_readable(&v.b, 1, 0, &rc), HELD);
	b_erase(&v.b, 1);
	b_reopen(&v.b);
	assert_int_equal(b_files(v.b.spool_path, ".rcos", NULL), 0);
	let_go(&v);
}

/* Damage after the spool was opened is met by the read, which names file and place, and gives what is before it.
 */
static void test_damage_while_open(void **state)
{
	size_t at = RCO__SPOOL_SEG_HEADER;
	char want[64];
	victim v;
	int rc;

	(void)state;
	pick(&v, ".rcos");
	at += record_size(&v, at);
	at += record_size(&v, at);
	b_open(&v.b);
	flip(&v, at + 150, 1);
	assert_int_equal(b_readable(&v.b, 1, 0, &rc), PIECE);
	assert_int_equal(rc, RCO_E_CORRUPT);
	assert_true(snprintf(want, sizeof want, "0000000000000001.rcos at %zu", at) > 0);
	assert_non_null(strstr(rco_error_detail(), want));
	b_holds(&v.b, 2, 1, HELD);
	let_go(&v);
}

/* Somebody who can write to the disk, and mends the checksum, is found out by the seal, in every byte of a record.
 */
static void test_forged_record(void **state)
{
	size_t at = RCO__SPOOL_SEG_HEADER, i, cipher;
	uint8_t *bad;
	victim v;
	int rc;

	(void)state;
	pick(&v, ".rcos");
	bad = malloc(v.size);
	assert_non_null(bad);
	cipher = rco__get32(v.good + at + 32);
	for (i = 0; i < RCO__SPOOL_REC_HEADER + cipher; i += STEP) {
		uint32_t crc;
		uint64_t got;

		if (i >= RCO__SPOOL_REC_CRC_AT && i < RCO__SPOOL_REC_HEADER)
			continue;
		memcpy(bad, v.good, v.size);
		bad[at + i] ^= 1;
		crc = rco__crc32c(0, bad + at, RCO__SPOOL_REC_CRC_AT);
		crc = rco__crc32c(crc, bad + at + RCO__SPOOL_REC_HEADER, cipher);
		rco__put32(bad + at + RCO__SPOOL_REC_CRC_AT, crc);
		t_write_file(v.path, bad, v.size);
		if (i == 4) { /* this says that it is of another version */
			assert_int_equal(b_try_keys(&v.b), RCO_OK);
			assert_int_equal(b_try_spool(&v.b), RCO_E_VERSION);
			restore(&v);
			continue;
		}
		b_open(&v.b);
		got = b_readable(&v.b, 1, 0, &rc);
		assert_int_equal(got, 0);
		b_holds(&v.b, 2, 1, HELD);
		restore(&v);
	}
	free(bad);
	let_go(&v);
}

/* Records of one call under the name of the other, or at another place, do not pass for its audio. */
static void test_swapped_records(void **state)
{
	size_t first = RCO__SPOOL_SEG_HEADER, second, third, size;
	uint8_t *bad;
	victim v;
	int rc;

	(void)state;
	pick(&v, ".rcos");
	second = first + record_size(&v, first);
	third = second + record_size(&v, second);
	size = record_size(&v, first);
	assert_int_equal(record_size(&v, third), size); /* noise does not compress */
	bad = malloc(v.size);
	assert_non_null(bad);
	memcpy(bad, v.good, v.size);
	memcpy(bad + first, v.good + third, size);
	memcpy(bad + third, v.good + first, size);
	t_write_file(v.path, bad, v.size);
	b_open(&v.b);
	(void)b_readable(&v.b, 1, 0, &rc); /* never a wrong byte */
	b_holds(&v.b, 2, 1, HELD);
	restore(&v);
	free(bad);
	let_go(&v);
}

/* A segment of another spool is set aside, not deleted: somebody put it there by mistake. Other names are not
 * ours. */
static void test_foreign_files(void **state)
{
	static const char *const names[] = {"README", "0000000000000001.rcos.bak", "000000000000000g.rcos",
	                                    "ffffffffffffffff.rcos", "1.rcos"};
	char from[256], to[256], path[256];
	size_t size = 0, i;
	uint8_t *data;
	bench b, other;

	(void)state;
	leave(&b);
	leave(&other);
	assert_int_equal(b_files(other.root, ".rcos", from), 1);
	data = t_read_file(from, &size);
	t_join(to, sizeof to, b.spool_path, "0000000000000002.rcos");
	t_write_file(to, data, size);
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		t_join(path, sizeof path, b.spool_path, names[i]);
		t_write_file(path, names[i], strlen(names[i]));
	}
	t_join(path, sizeof path, b.spool_path, "0000000000000003.rcos");
	assert_int_equal(mkdir(path, 0700), 0);
	b_open(&b);
	b_holds(&b, 1, 0, HELD);
	b_holds(&b, 2, 1, HELD);
	assert_int_equal(rco__spool_quarantined(b.spool), 1);
	assert_false(t_exists(to));
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		t_join(path, sizeof path, b.spool_path, names[i]);
		assert_true(t_exists(path));
	}
	b_begin(&b, 3); /* whose segment's number is not one that is taken */
	b_noise(&b, 3, 0, 0, 100);
	b_reopen(&b);
	b_holds(&b, 3, 0, 100);
	free(data);
	b_destroy(&other);
	b_destroy(&b);
}

/* An empty or zeroed segment, as a power cut leaves a new one, is nothing to be told; a huge one costs no memory.
 */
static void test_empty_and_huge_segments(void **state)
{
	uint8_t zeros[256] = {0};
	char path[256];
	bench b;

	(void)state;
	leave(&b);
	t_join(path, sizeof path, b.spool_path, "0000000000000005.rcos");
	t_write_file(path, zeros, 0);
	t_join(path, sizeof path, b.spool_path, "0000000000000006.rcos");
	t_write_file(path, zeros, sizeof zeros);
	b_open(&b);
	assert_int_equal(rco__spool_quarantined(b.spool), 0);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 1);
	b_holds(&b, 1, 0, HELD);
	b_close(&b);
	b_destroy(&b);
}

/* Whatever a fuzzer of one's own makes of the bytes of a record: no crash, no wrong byte. */
static void test_random_bytes(void **state)
{
	uint8_t buf[4096];
	uint32_t seed;
	victim v;
	int rc;

	(void)state;
	pick(&v, ".rcos");
	for (seed = 0; seed < (T_SANITIZED ? 60 : 300); seed++) {
		size_t n = seed % 3 == 0 ? sizeof buf : v.size;
		size_t i;

		t_noise(seed, 0, buf, sizeof buf);
		if (seed % 3 != 0) {
			uint8_t *bad = malloc(v.size);

			assert_non_null(bad);
			memcpy(bad, v.good, v.size);
			for (i = 0; i < 1 + seed % 20; i++)
				bad[rco__get16(buf + 3 * i) % v.size] = buf[3 * i + 2];
			t_write_file(v.path, bad, n);
			free(bad);
		} else {
			t_write_file(v.path, buf, n);
		}
		b_open(&v.b);
		(void)b_readable(&v.b, 1, 0, &rc);
		(void)b_readable(&v.b, 2, 1, &rc);
		restore(&v);
	}
	let_go(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segment_flips),           cmocka_unit_test(test_segment_cuts),
		cmocka_unit_test(test_segment_noise),           cmocka_unit_test(test_gap_is_told),
		cmocka_unit_test(test_damage_while_open),       cmocka_unit_test(test_forged_record),
		cmocka_unit_test(test_swapped_records),         cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_empty_and_huge_segments), cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests_name("spool damage", tests, NULL, NULL);
}
