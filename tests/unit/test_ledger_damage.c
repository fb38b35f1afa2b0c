/* SPDX-License-Identifier: MIT */
/* Damaged, torn, foreign and newer ledger files: an open never fails for them and never drops an entry that is
 * whole. */
#include "../support_ledger.h"

enum { ENTRIES = 6, MAX_FILES = 4 };

/* A ledger as it was closed, to be put back before each kind of damage. */
typedef struct golden {
	l_world w;
	size_t files;
	uint8_t *bytes[MAX_FILES];
	size_t size[MAX_FILES];
	size_t from[64], to[64], file_of[64]; /* where each entry stands */
	size_t entries;
	size_t closer; /* the entry that closes subject 1 */
} golden;

static void take(golden *g, size_t files)
{
	static const uint8_t none[RCO__LEDGER_HASH];
	rco__ledger_entry entry;
	rco__ledger_scan scan;
	char path[L_PATH];
	size_t i;

	g->files = files;
	for (i = 0; i < files; i++) {
		l_file(&g->w, i + 1, path);
		g->bytes[i] = t_read_file(path, &g->size[i]);
		rco__ledger_scan_start(&scan, g->bytes[i], g->size[i], none);
		while (rco__ledger_scan_next(&scan, &entry)) {
			g->file_of[g->entries] = i;
			g->to[g->entries] = scan.at;
			g->from[g->entries++] = scan.at - rco__ledger_entry_bytes(entry.payload_size);
		}
	}
}

static int setup(void **state)
{
	golden *g = calloc(1, sizeof *g);
	uint32_t i;

	assert_non_null(g);
	l_world_init(&g->w);
	g->w.fs.skip_sync = 1;
	l_world_open(&g->w);
	/* subject 1 is closed at the end, the others stay open */
	for (i = 0; i < ENTRIES - 1; i++)
		(void)l_append(&g->w, i, 100 + i, 5 + i * 7, 0);
	(void)l_append(&g->w, 1, 100 + i, 9, RCO__LEDGER_CLOSES);
	l_world_close(&g->w);
	take(g, 1);
	assert_int_equal(g->entries, ENTRIES);
	g->closer = ENTRIES - 1;
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	golden *g = *state;
	size_t i;

	l_world_destroy(&g->w);
	for (i = 0; i < g->files; i++)
		free(g->bytes[i]);
	free(g);
	return 0;
}

static void put_back(golden *g)
{
	char path[L_PATH];
	size_t i;

	l_empty(g->w.dir);
	l_empty(g->w.quarantine);
	for (i = 0; i < g->files; i++) {
		l_file(&g->w, i + 1, path);
		t_write_file(path, g->bytes[i], g->size[i]);
	}
}

/* All entries but `lost` are replayed; a second open finds the same, and nothing wrong. */
static void check_kept(golden *g, size_t lost, int quarantined)
{
	rco__ledger_report first;
	size_t i;

	l_world_open(&g->w);
	first = g->w.report;
	for (i = 0; i < g->entries; i++) {
		if (i != lost)
			assert_true(l_times_seen(&g->w, (uint32_t)(100 + i)) >= 1);
	}
	assert_int_equal(first.quarantined, quarantined);
	assert_int_equal(l_count(g->w.quarantine, NULL), quarantined);
	assert_true(quarantined ? first.damaged > 0 : first.damaged == 0);
	l_world_close(&g->w);

	l_world_open(&g->w);
	assert_true(g->w.report.damaged == 0 && g->w.report.torn_bytes == 0 && g->w.report.quarantined == 0);
	for (i = 0; i < g->entries; i++) {
		if (i != lost)
			assert_true(l_times_seen(&g->w, (uint32_t)(100 + i)) >= 1);
	}
	assert_int_equal(l_is_open(&g->w, 1), lost == g->closer);
	assert_int_equal(l_is_open(&g->w, 0), lost != 0);
	assert_int_equal(rco__ledger_sync(g->w.ledger, l_append(&g->w, 9, 999, 4, 0)), RCO_OK);
	l_world_close(&g->w);
}

static size_t entry_at(const golden *g, size_t file, size_t at)
{
	size_t i;

	for (i = 0; i < g->entries; i++) {
		if (g->file_of[i] == file && at >= g->from[i] && at < g->to[i])
			return i;
	}
	return SIZE_MAX;
}

/* A flipped bit at every byte costs at most the entry it is in. In the last entry it looks like a torn write. */
static void flip_every_byte(void **state)
{
	golden *g = *state;
	size_t at, used = g->to[ENTRIES - 1];

	for (at = 0; at < g->size[0]; at += at < used + 32 ? 1 : 509) {
		uint8_t flip = (uint8_t)(at % 3 == 0 ? 0xff : 1u << at % 8);
		size_t hit = entry_at(g, 0, at);

		g->bytes[0][at] ^= flip;
		put_back(g);
		g->bytes[0][at] ^= flip;
		check_kept(g, hit, at < used && hit != ENTRIES - 1);
	}
}

/* A file cut at every length keeps the entries before the cut and ends in quarantine. */
static void cut_everywhere(void **state)
{
	golden *g = *state;
	size_t size = g->size[0], at, i, used = g->to[ENTRIES - 1];

	for (at = 0; at < size; at += at < used + 32 ? 1 : 509) {
		g->size[0] = at;
		put_back(g);
		g->size[0] = size;
		l_world_open(&g->w);
		for (i = 0; i < ENTRIES; i++)
			assert_int_equal(l_times_seen(&g->w, (uint32_t)(100 + i)), g->to[i] <= at);
		assert_true(g->w.report.damaged > 0);
		assert_int_equal(g->w.report.quarantined, 1);
		assert_int_equal(l_count(g->w.quarantine, NULL), 1);
		l_world_close(&g->w);
		l_world_open(&g->w);
		assert_true(g->w.report.damaged == 0 && g->w.report.torn_bytes == 0);
		for (i = 0; i < ENTRIES; i++)
			assert_int_equal(l_times_seen(&g->w, (uint32_t)(100 + i)), g->to[i] <= at);
		l_world_close(&g->w);
	}
}

/* A torn tail, as a crash leaves it: counted, nothing quarantined, new entries go to a fresh file. */
static void torn_tail(void **state)
{
	golden *g = *state;
	size_t at;
	uint8_t kept[256];
	size_t from = g->from[ENTRIES - 1], to = g->to[ENTRIES - 1];

	memcpy(kept, g->bytes[0] + from, to - from);
	for (at = from + 1; at < to; at++) {
		memset(g->bytes[0] + at, 0, to - at);
		put_back(g);
		memcpy(g->bytes[0] + from, kept, to - from);
		l_world_open(&g->w);
		/* the last bytes of an entry are its checksum and may be zero themselves */
		assert_true(g->w.report.torn_bytes <= at - from || l_times_seen(&g->w, 105) == 1);
		assert_true(g->w.report.torn_bytes > 0 || l_times_seen(&g->w, 105) == 1);
		assert_int_equal(g->w.report.damaged, 0);
		assert_int_equal(l_count(g->w.dir, ".rcol"), l_times_seen(&g->w, 105) == 1 ? 1 : 2);
		l_world_close(&g->w);
		check_kept(g, ENTRIES - 1, 0);
	}
}

/* The same entry lost in the middle of a file's life, seen from the file after it: that is damage. */
static void two_files(golden *g)
{
	char path[L_PATH];
	size_t i;

	for (i = 0; i < g->files; i++)
		free(g->bytes[i]);
	g->entries = g->files = 0;
	l_empty(g->w.dir);
	l_world_open(&g->w);
	for (i = 0; i < 12; i++)
		(void)l_append(&g->w, (uint32_t)(i % 6), (uint32_t)(100 + i), 900, i > 6 ? RCO__LEDGER_CLOSES : 0);
	l_world_close(&g->w);
	l_file(&g->w, 3, path);
	assert_int_not_equal(access(path, F_OK), 0);
	take(g, 2);
	assert_int_equal(g->entries, 12);
	g->closer = 7;
}

static void flip_in_two_files(void **state)
{
	golden *g = *state;
	size_t file, at, hit, step;

	two_files(g);
	for (file = 0; file < 2; file++) {
		for (at = 0; at < g->size[file]; at += step) {
			step = at < 160 ? 7 : 97;
			hit = entry_at(g, file, at);
			g->bytes[file][at] ^= 0x10;
			put_back(g);
			g->bytes[file][at] ^= 0x10;
			l_world_open(&g->w);
			for (size_t i = 0; i < g->entries; i++) {
				if (i != hit)
					assert_true(l_times_seen(&g->w, (uint32_t)(100 + i)) >= 1);
			}
			/* the last entry of the first file is missed by the second file's header */
			if (hit != SIZE_MAX && (file == 0 || hit != g->entries - 1))
				assert_int_equal(g->w.report.quarantined, 1);
			l_world_close(&g->w);
			l_world_open(&g->w);
			assert_true(g->w.report.damaged == 0 && g->w.report.torn_bytes == 0);
			for (size_t i = 0; i < g->entries; i++) {
				if (i != hit)
					assert_true(l_times_seen(&g->w, (uint32_t)(100 + i)) >= 1);
			}
			l_world_close(&g->w);
		}
	}
}

/* Copies out of a damaged file stand behind the entry, in a whole file, that closed their subject: it stays
 * closed. */
static void closed_elsewhere_stays_closed(void **state)
{
	golden *g = *state;

	two_files(g);
	assert_int_equal(g->file_of[9], 1); /* closes subject 3, which begins in entry 3 */
	g->bytes[0][g->from[0] + 100] ^= 1;
	put_back(g);
	l_world_open(&g->w);
	assert_int_equal(g->w.report.quarantined, 1);
	assert_int_equal(l_is_open(&g->w, 3), 0);
	l_world_close(&g->w);
	l_world_open(&g->w);
	assert_int_equal(l_times_seen(&g->w, 103), 1);
	assert_int_equal(l_is_open(&g->w, 3), 0);
}

/* The first file was cut where an entry ends, or lost its last entries to zeros: the second file's header tells.
 */
static void lost_end_is_noticed(void **state)
{
	golden *g = *state;
	size_t last = 0, i;

	two_files(g);
	for (i = 0; i < g->entries; i++) {
		if (g->file_of[i] == 0)
			last = i;
	}
	memset(g->bytes[0] + g->from[last], 0, g->to[last] - g->from[last]);
	put_back(g);
	check_kept(g, last, 1);
}

/* A lost block in the middle reads as zeros: what stands behind it is found. */
static void hole_in_the_middle(void **state)
{
	golden *g = *state;

	memset(g->bytes[0] + g->from[2], 0, g->to[2] - g->from[2]);
	put_back(g);
	check_kept(g, 2, 1);
}

/* A valid entry put in another place breaks the chain: told, and replayed all the same. */
static void broken_chain(void **state)
{
	golden *g = *state;
	uint8_t chain[RCO__LEDGER_HASH] = {1, 2, 3};
	rco__ledger_entry entry = {.type = 7, .seq = 3, .payload_size = 19};
	uint8_t payload[19] = {0};

	rco__put32(payload, 102);
	entry.payload = payload;
	rco__ledger_entry_encode(&entry, chain, g->bytes[0] + g->from[2]);
	assert_int_equal(rco__ledger_entry_bytes(19), g->to[2] - g->from[2]);
	put_back(g);
	l_world_open(&g->w);
	assert_int_equal(l_times_seen(&g->w, 102), 1);
	assert_int_equal(g->w.report.entries, ENTRIES);
	assert_int_equal(g->w.report.damaged, 2); /* it, and the one behind it */
	assert_int_equal(g->w.report.quarantined, 1);
	l_world_close(&g->w);
	l_world_open(&g->w);
	assert_int_equal(g->w.report.damaged, 0);
	assert_int_equal(l_times_seen(&g->w, 102), 1);
}

/* A block that cannot be read costs its own entries only. */
static void unreadable_block(void **state)
{
	golden *g = *state;

	two_files(g);
	put_back(g);
	atomic_store(&g->w.fs.fail_reads, 1);
	l_world_open(&g->w);
	atomic_store(&g->w.fs.fail_reads, 0);
	assert_true(l_times_seen(&g->w, 100) == 1 && l_times_seen(&g->w, 101) == 1);
	assert_true(g->w.report.damaged > 0);
	assert_true(g->w.report.quarantined >= 1);
	l_world_close(&g->w);
	l_world_open(&g->w);
	assert_true(g->w.report.damaged == 0 && l_times_seen(&g->w, 100) >= 1);
}

/* Foreign files are left alone, unfinished ones removed; a folder or a text with our kind of name is set aside. */
static void foreign_files(void **state)
{
	golden *g = *state;
	char path[L_PATH];

	put_back(g);
	l_path(path, g->w.dir, "notes.txt");
	t_write_file(path, "hello", 5);
	l_path(path, g->w.dir, "000000000000000A.rcol");
	t_write_file(path, "hello", 5);
	l_path(path, g->w.dir, "spare-7.tmp");
	t_write_file(path, "hello", 5);
	l_path(path, g->w.dir, "000000000000000a.rcol");
	assert_int_equal(mkdir(path, 0700), 0);
	l_path(path, g->w.dir, "000000000000000b.rcol");
	t_write_file(path, "a text that is no ledger at all", 31);
	l_world_open(&g->w);
	assert_int_equal(g->w.report.entries, ENTRIES);
	assert_int_equal(g->w.report.quarantined, 2);
	assert_int_equal(l_count(g->w.dir, ".tmp"), 0);
	assert_int_equal(l_count(g->w.dir, "notes.txt"), 1);
	assert_int_equal(l_count(g->w.dir, "000000000000000A.rcol"), 1);
	l_world_close(&g->w);
	l_world_open(&g->w);
	assert_true(g->w.report.damaged == 0 && g->w.report.entries == ENTRIES);
}

static void newer_version(void **state)
{
	golden *g = *state;

	rco__put16(g->bytes[0] + 8, RCO__LEDGER_VERSION + 1);
	rco__put32(g->bytes[0] + 124, rco__crc32c(0, g->bytes[0], 124));
	put_back(g);
	assert_int_equal(l_try_open(&g->w), RCO_E_VERSION);
	assert_non_null(strstr(rco_error_detail(), "0000000000000001.rcol"));
	assert_int_equal(g->w.seen_count, 0);
	assert_int_equal(l_count(g->w.dir, NULL), 1);
}

/* While the disk is full a damaged file stays where it is, and its entries are replayed at every open. */
static void damage_on_a_full_disk(void **state)
{
	golden *g = *state;
	int i;

	g->bytes[0][g->from[2] + 50] ^= 1;
	put_back(g);
	g->w.fs.fail_code = RCO_E_NO_SPACE;
	for (i = 0; i < 3; i++) {
		g->w.fs.fail_writes = 100000;
		l_world_open(&g->w);
		assert_int_equal(g->w.report.entries, ENTRIES - 1);
		assert_int_equal(g->w.report.quarantined, 0);
		assert_int_equal(rco__ledger_maintain(g->w.ledger), RCO_OK);
		l_world_close(&g->w);
		assert_int_equal(l_count(g->w.dir, NULL), 1);
	}
	g->w.fs.fail_writes = 0;
	check_kept(g, 2, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flip_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_everywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_tail, setup, teardown),
		cmocka_unit_test_setup_teardown(flip_in_two_files, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_elsewhere_stays_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_end_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(hole_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(unreadable_block, setup, teardown),
		cmocka_unit_test_setup_teardown(foreign_files, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_version, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_on_a_full_disk, setup, teardown),
	};

	return cmocka_run_group_tests_name("ledger_damage", tests, NULL, NULL);
}
