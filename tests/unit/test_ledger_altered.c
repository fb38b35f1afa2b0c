/* SPDX-License-Identifier: MIT */
/* Files that no correct writer makes, or another version, with checksums that are right, and files with names that
 * are nearly ours: what is open stays open, and retention passes by what was altered. */
#include "../support_ledger.h"

static void names_that_are_nearly_ours_are_left_alone(void **state)
{
	static const char *const names[] = {
		"ffffffffffffffff.rcol",  /* the next number would wrap */
		"7fffffffffffffff.rcol",  /* no smaller than half of them */
		"0000000000000000.rcol",  /* numbers begin with 1 */
		"00000000000000-1.rcol",  /* less than a digit */
		"00000000000000:1.rcol",  /* between digits and letters */
		"000000000000000g.rcol",  /* more than a letter */
		"0000000000000001.rcolx", /* more than a name */
		"0000000000000001",       /* less */
		".tmp",                   /* nothing before it */
	};
	l_world *w = *state;
	char path[L_PATH];
	size_t i;

	assert_int_equal(mkdir(w->dir, 0700), 0);
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		l_path(path, w->dir, names[i]);
		t_write_file(path, "not ours", 8);
	}
	l_world_open(w);
	assert_int_equal(w->report.damaged, 0);
	assert_int_equal(w->ledger->number, 1);
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(l_count(w->dir, names[i]) >= 1, 1);
	assert_int_equal(l_count(w->dir, NULL), sizeof names / sizeof names[0] + 1);
}

enum { ENTRY = 96, FIRST = RCO__LEDGER_HEADER_BYTES };

/* Three entries of subjects 1 to 3 in file 1; `change` alters the second one or the header, and its checksum
 * follows. */
static void change(l_world *w, size_t at, size_t size, uint64_t value)
{
	size_t from = at < FIRST ? 0 : FIRST + ENTRY, bytes = at < FIRST ? FIRST : ENTRY, length, i;
	char path[L_PATH];
	uint8_t *file;

	for (i = 1; i <= 3; i++)
		(void)l_append(w, (uint32_t)i, (uint32_t)i, 8, 0);
	assert_int_equal(rco__ledger_entry_bytes(8), ENTRY);
	l_world_close(w);
	l_file(w, 1, path);
	file = t_read_file(path, &length);
	for (i = 0; i < size; i++)
		file[at + i] = (uint8_t)(value >> 8 * i);
	rco__put32(file + from + bytes - 4, rco__crc32c(0, file + from, bytes - 4));
	t_write_file(path, file, length);
	free(file);
}

/* Not one that a correct writer makes: set aside, its neighbours are kept and stay open. */
static void impossible_entries_cost_only_themselves(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
	} cases[] = {
		{4, 2, 0},                        /* version 0 */
		{6, 2, 0},                        /* type 0 */
		{6, 2, 0x8000},                   /* type beyond the last */
		{16, 8, 0},                       /* number 0 */
		{16, 8, (uint64_t)INT64_MAX + 1}, /* the next would wrap */
		{12, 4, RCO__LEDGER_PAYLOAD_MAX + 1},
		{12, 4, UINT32_MAX},
	};
	l_world *w = *state;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		l_world_open(w);
		change(w, FIRST + ENTRY + cases[i].at, cases[i].size, cases[i].value);
		l_world_open(w);
		assert_true(w->report.damaged > 0);
		assert_int_equal(w->report.quarantined, 1);
		assert_int_equal(w->report.entries, 2);
		assert_true(l_is_open(w, 1) && !l_is_open(w, 2) && l_is_open(w, 3));
		assert_true(rco__ledger_last(w->ledger) < 100);
		l_world_close(w);
		l_empty(w->dir);
		l_empty(w->quarantine);
	}
}

static void a_newer_entry_is_refused_not_lost(void **state)
{
	l_world *w = *state;

	l_world_open(w);
	change(w, FIRST + ENTRY + 4, 2, RCO__LEDGER_VERSION + 1);
	assert_int_equal(l_try_open(w), RCO_E_VERSION);
	assert_null(w->ledger);
	assert_int_equal(l_count(w->dir, ".rcol"), 1);
	assert_int_equal(l_count(w->quarantine, NULL), 0);
}

static void impossible_headers_cost_no_entry(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
	} cases[] = {
		{8, 2, 0},  /* version 0 */
		{16, 8, 9}, /* another file's number */
		{32, 8, 1}, /* another size */
	};
	l_world *w = *state;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		l_world_open(w);
		change(w, cases[i].at, cases[i].size, cases[i].value);
		l_world_open(w);
		assert_true(w->report.damaged > 0);
		assert_int_equal(w->report.quarantined, 1);
		assert_int_equal(w->report.entries, 3);
		l_world_close(w);
		l_world_open(w); /* from the fresh file */
		assert_int_equal(w->report.damaged, 0);
		assert_true(l_is_open(w, 1) && l_is_open(w, 2) && l_is_open(w, 3));
		l_world_close(w);
		l_empty(w->dir);
		l_empty(w->quarantine);
	}
}

/* A file that grew beyond what one can be is read as far as one can be. */
static void a_file_that_is_too_long_keeps_its_entries(void **state)
{
	l_world *w = *state;
	char path[L_PATH];

	if (T_SANITIZED) /* 64 MiB three times take them most of a minute */
		skip();
	l_world_open(w);
	(void)l_append(w, 1, 1, 8, 0);
	l_world_close(w);
	l_file(w, 1, path);
	assert_int_equal(truncate(path, (off_t)RCO__LEDGER_FILE_MAX + 4096), 0);
	l_world_open(w);
	assert_true(w->report.damaged > 0);
	assert_int_equal(w->report.quarantined, 1);
	assert_true(l_is_open(w, 1));
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->report.damaged, 0);
	assert_true(l_is_open(w, 1));
}

/* Retention passes by a file that could not be set aside: a newer one may hold what it was to close. */
static void a_damaged_file_that_stays_is_not_deleted(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	uint32_t i;

	w->options.retention_s = 0;
	l_world_open(w);
	change(w, FIRST + ENTRY + 6, 2, 0);
	t_write_file(w->quarantine, "a file", 6); /* where the folder should be */
	l_world_open(w);
	assert_true(w->report.damaged > 0);
	assert_int_equal(w->report.quarantined, 0);
	for (i = 1; i <= 3; i++)
		(void)l_append(w, i, 50 + i, 8, RCO__LEDGER_CLOSES);
	for (i = 0; i < 60; i++)
		(void)l_append(w, 100, 100, 300, RCO__LEDGER_CLOSES);
	assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	l_file(w, 1, path);
	assert_int_equal(access(path, F_OK), 0);
	l_world_close(w);
	assert_int_equal(unlink(w->quarantine), 0);
	l_world_open(w);
	assert_int_equal(w->report.quarantined, 1);
	assert_int_equal(access(path, F_OK), -1);
	assert_false(l_is_open(w, 1));
}

static size_t most_read;
static int (*table_read)(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got);

static int read_short(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	return table_read(ctx, fd, buf, size < most_read ? size : most_read, offset, got);
}

/* A read that gives less, and no error: the blocks are then read one by one. */
static void short_reads_forget_nothing(void **state)
{
	l_world *w = *state;
	uint32_t i;

	l_world_open(w);
	for (i = 0; i < 20; i++)
		(void)l_append(w, i + 1, i, 100, 0);
	l_world_close(w);
	table_read = w->fs.disk.table.read;
	w->fs.disk.table.read = read_short;
	most_read = 4096;
	l_world_open(w);
	assert_int_equal(w->report.entries, 20);
	assert_int_equal(w->report.damaged, 0);
	for (i = 0; i < 20; i++)
		assert_true(l_is_open(w, (uint8_t)(i + 1)));
}

/* Retention meets an old file that somebody cut or altered, its checksums in order: it stays. */
static void an_altered_file_is_not_deleted(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	uint8_t *bytes;
	size_t size;
	uint32_t i;
	int cut;

	w->options.retention_s = 0;
	for (cut = 0; cut < 2; cut++) {
		l_world_open(w);
		(void)l_append(w, 1, 1, 8, 0);
		(void)l_append(w, 2, 2, 8, 0);
		for (i = 0; i < 60; i++)
			(void)l_append(w, 100, 100, 300, RCO__LEDGER_CLOSES);
		assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
		l_file(w, 1, path);
		bytes = t_read_file(path, &size);
		bytes[FIRST + ENTRY + 24] ^= 1; /* when it was */
		rco__put32(bytes + FIRST + 2 * ENTRY - 4, rco__crc32c(0, bytes + FIRST + ENTRY, ENTRY - 4));
		if (!cut)
			t_write_file(path, bytes, size);
		else
			assert_int_equal(truncate(path, (off_t)size - 8), 0);
		free(bytes);
		assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
		assert_int_equal(access(path, F_OK), 0);
		l_world_close(w);
		l_world_open(w);
		assert_int_equal(w->report.quarantined, 1);
		assert_true(l_is_open(w, 1) && l_is_open(w, 2));
		l_world_close(w);
		l_empty(w->dir);
		l_empty(w->quarantine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		L_TEST(names_that_are_nearly_ours_are_left_alone),
		L_TEST(impossible_entries_cost_only_themselves),
		L_TEST(a_newer_entry_is_refused_not_lost),
		L_TEST(impossible_headers_cost_no_entry),
		L_TEST(a_file_that_is_too_long_keeps_its_entries),
		L_TEST(a_damaged_file_that_stays_is_not_deleted),
		L_TEST(short_reads_forget_nothing),
		L_TEST(an_altered_file_is_not_deleted),
	};

	return cmocka_run_group_tests_name("ledger files that were altered", tests, NULL, NULL);
}
