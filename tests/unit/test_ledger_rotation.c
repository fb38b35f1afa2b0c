/* SPDX-License-Identifier: MIT */
/* Retention: what may go goes, what is still open is carried over, evidence is never lost on the way. */
#include "../support_ledger.h"

static int setup(void **state)
{
	l_world *w = malloc(sizeof *w);

	assert_non_null(w);
	l_world_init(w);
	w->fs.skip_sync = 1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	l_world_destroy(*state);
	free(*state);
	return 0;
}

static void later(l_world *w, int64_t seconds)
{
	w->now_us += seconds * 1000000;
}

static void settle(l_world *w)
{
	assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
}

/* n subjects, opened and closed, with 600 bytes each. */
static void fill(l_world *w, uint32_t first, uint32_t n)
{
	uint32_t i;

	for (i = first; i < first + n; i++) {
		(void)l_append(w, i, i, 300, 0);
		(void)l_append(w, i, i, 300, RCO__LEDGER_CLOSES);
	}
	settle(w);
}

/* Files of closed subjects stay for the retention and go after it; the current one never goes. */
static void closed_files_go_after_retention(void **state)
{
	l_world *w = *state;
	size_t files;

	l_world_open(w);
	fill(w, 10, 50);
	files = l_count(w->dir, ".rcol");
	assert_true(files > 4);
	later(w, 3599);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".rcol"), files);
	later(w, 1);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".rcol"), 1);
	fill(w, 100, 1);
	assert_int_equal(w->ledger->subjects.count, 0);
	l_world_close(w);
	l_world_open(w);
	assert_true(w->report.damaged == 0 && w->report.torn_bytes == 0);
	assert_int_equal(l_times_seen(w, 100), 2);
	assert_int_equal(l_times_seen(w, 10), 0);
}

/* An open subject survives the deletion of the file it began in, with its own times, and can be closed later. */
static void open_subjects_are_carried(void **state)
{
	l_world *w = *state;
	int64_t asked;
	size_t i, found = 0;

	l_world_open(w);
	asked = w->now_us;
	(void)l_append(w, 1, 1, 40, 0);
	(void)l_append(w, 1, 2, 40, 0);
	later(w, 10);
	fill(w, 10, 50);
	later(w, 3600);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_true(l_count(w->dir, ".rcol") <= 2);
	l_world_close(w);

	l_world_open(w);
	assert_int_equal(w->report.damaged, 0);
	assert_true(l_is_open(w, 1));
	for (i = 0; i < w->seen_count; i++) {
		if (w->seen[i].subject == 1) {
			assert_int_equal(w->seen[i].flags, RCO__LEDGER_CARRIED);
			assert_true(w->seen[i].time_us == asked);
			assert_int_equal(w->seen[i].tag, 1 + found);
			found++;
		}
	}
	assert_int_equal(found, 2);
	(void)l_append(w, 1, 3, 40, RCO__LEDGER_CLOSES);
	fill(w, 100, 20);
	later(w, 3600);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(l_is_open(w, 1), 0);
	assert_int_equal(w->report.damaged, 0);
}

/* Closed while it is being carried: the copy never stands behind the entry that closes it. */
static void closing_while_carrying(void **state)
{
	l_world *w = *state;

	w->options.retention_s = 0;
	l_world_open(w);
	(void)l_append(w, 1, 1, 40, 0);
	fill(w, 10, 20);
	(void)l_append(w, 1, 2, 40, RCO__LEDGER_CLOSES); /* queued, not durable */
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(rco__ledger_durable(w->ledger), w->ledger->next_seq - 1);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(l_is_open(w, 1), 0);
	assert_int_equal(l_times_seen(w, 1), 0);
}

static void *sync_all(void *arg)
{
	settle(arg);
	return NULL;
}

/* Deleting while a commit is between two files: entries written and not accounted for yet keep their file. */
static void deleting_in_the_middle_of_a_commit(void **state)
{
	l_world *w = *state;
	pthread_t thread;
	uint32_t i;

	w->options.retention_s = 0;
	l_world_open(w);
	for (i = 1; i <= 12; i++)
		(void)l_append(w, i, i, 900, 0);
	l_fs_hold(&w->fs, 3); /* the full file, the blank one, and now its header */
	assert_int_equal(pthread_create(&thread, NULL, sync_all, w), 0);
	l_fs_wait_held(&w->fs);
	assert_int_equal(w->ledger->file_count, 2);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	l_fs_let_go(&w->fs);
	pthread_join(thread, NULL);
	l_world_close(w);
	l_world_open(w);
	for (i = 1; i <= 12; i++)
		assert_int_equal(l_times_seen(w, i), 1);
}

/* A subject that closed and was opened again is open after its old closing entry was carried behind the new one.
 */
static void reopened_subject_stays_open(void **state)
{
	l_world *w = *state;

	w->options.retention_s = 0;
	l_world_open(w);
	(void)l_append(w, 2, 9, 40, 0); /* makes the file one to be carried */
	(void)l_append(w, 1, 1, 40, 0);
	(void)l_append(w, 1, 2, 40, RCO__LEDGER_CLOSES);
	fill(w, 10, 20);
	(void)l_append(w, 1, 3, 40, 0);
	settle(w);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	l_world_close(w);
	l_world_open(w);
	assert_true(l_is_open(w, 1));
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	l_world_close(w);
	l_world_open(w);
	assert_true(l_is_open(w, 1));
	assert_true(l_times_seen(w, 3) >= 1);
}

static void kept_for_ever(void **state)
{
	l_world *w = *state;
	size_t files;

	w->options.keep_for_ever = 1;
	w->options.retention_s = 0;
	l_world_open(w);
	fill(w, 10, 50);
	files = l_count(w->dir, ".rcol");
	later(w, 1000000000);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".rcol"), files);
}

/* Too many open subjects are not copied about; the file waits until enough of them are closed. */
static void many_open_subjects_wait(void **state)
{
	l_world *w = *state;
	uint32_t i, n = RCO__LEDGER_CARRY_MAX + 5;
	size_t files;

	w->options.file_bytes = 1 << 18;
	w->options.retention_s = 0;
	l_world_open(w);
	for (i = 0; i < n; i++)
		(void)l_append(w, 1000 + i, i, 4, 0);
	settle(w);
	fill(w, 100000, 300);
	files = l_count(w->dir, ".rcol");
	assert_true(files >= 2);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".rcol"), files);
	assert_int_equal(w->ledger->subjects.count, n);
	for (i = 0; i < 10; i++)
		(void)l_append(w, 1000 + i, i, 4, RCO__LEDGER_CLOSES);
	settle(w);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_true(l_count(w->dir, ".rcol") < files);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->report.damaged, 0);
	assert_int_equal(w->ledger->subjects.count, n - 10);
}

/* Nothing is deleted while what it holds cannot be made durable elsewhere. */
static void full_disk_deletes_nothing_open(void **state)
{
	l_world *w = *state;
	size_t files;

	w->options.retention_s = 0;
	l_world_open(w);
	(void)l_append(w, 1, 1, 40, 0);
	fill(w, 10, 12);
	files = l_count(w->dir, ".rcol");
	w->fs.fail_code = RCO_E_NO_SPACE;
	w->fs.fail_writes = 100000;
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_E_NOT_DURABLE);
	assert_true(l_count(w->dir, ".rcol") >= files);
	l_world_close(w);
	w->fs.fail_writes = 0;
	l_world_open(w);
	assert_true(l_is_open(w, 1));
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	l_world_close(w);
	l_world_open(w);
	assert_true(l_is_open(w, 1));
}

/* An old file that was damaged on the disk meanwhile is not deleted; the next start sets it aside. */
static void damaged_meanwhile_is_kept(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	uint8_t *bytes;
	size_t size;

	w->options.retention_s = 0;
	l_world_open(w);
	(void)l_append(w, 1, 1, 40, 0);
	(void)l_append(w, 1, 2, 40, 0);
	fill(w, 10, 20);
	l_file(w, 1, path);
	bytes = l_slurp(path, &size);
	bytes[128 + 90] ^= 1;
	l_spill(path, bytes, size);
	free(bytes);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(access(path, F_OK), 0);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->report.quarantined, 1);
	assert_true(l_is_open(w, 1) && l_times_seen(w, 2) >= 1);
}

/* The file after a nearly full one is written ahead, once; the switch then makes no blank file. */
static void a_file_ahead(void **state)
{
	l_world *w = *state;
	uint64_t lsn = 0;
	unsigned writes;
	uint32_t i;

	w->options.file_bytes = 1 << 17;
	l_world_open(w);
	for (i = 0; i < 25; i++)
		lsn = l_append(w, i, i, 4000, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".tmp"), 1);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".tmp"), 1);
	for (i = 0; i < 10; i++)
		lsn = l_append(w, i, i, 4000, 0);
	writes = w->fs.writes;
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_true(w->fs.writes - writes <= 5); /* header and entries; a blank one takes eight more */
	assert_int_equal(l_count(w->dir, ".tmp"), 0);
	assert_int_equal(l_count(w->dir, ".rcol"), 2);
	for (i = 0; i < 20; i++)
		lsn = l_append(w, i, i, 4000, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	l_world_close(w); /* an unused spare goes at the next open */
	l_world_open(w);
	assert_int_equal(l_count(w->dir, ".tmp"), 0);
	assert_int_equal(w->report.entries, 55);
}

static void *maintain(void *arg)
{
	l_world *w = arg;

	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	return NULL;
}

/* A commit that needs a file while maintenance is writing one makes its own; the other serves the next commit. */
static void a_file_ahead_too_late(void **state)
{
	l_world *w = *state;
	pthread_t thread;
	uint64_t lsn = 0;
	uint32_t i;

	w->options.file_bytes = 1 << 17;
	l_world_open(w);
	for (i = 0; i < 25; i++)
		lsn = l_append(w, i, i, 4000, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	l_fs_hold(&w->fs, 1); /* the spare, full of zeros */
	assert_int_equal(pthread_create(&thread, NULL, maintain, w), 0);
	l_fs_wait_held(&w->fs);
	for (; i < 50; i++)
		lsn = l_append(w, i, i, 4000, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	l_fs_let_go(&w->fs);
	pthread_join(thread, NULL);
	assert_int_equal(l_count(w->dir, ".tmp"), 1);
	for (; i < 75; i++)
		lsn = l_append(w, i, i, 4000, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_int_equal(l_count(w->dir, ".tmp"), 0);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->report.entries, 75);
}

/* Another size of files applies from the next start. */
static void another_file_size(void **state)
{
	l_world *w = *state;

	l_world_open(w);
	fill(w, 10, 5);
	l_world_close(w);
	w->options.file_bytes = 2 * RCO__LEDGER_FILE_MIN;
	l_world_open(w);
	assert_int_equal(w->report.damaged, 0);
	fill(w, 20, 5);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->report.entries, 20);
	assert_int_equal(w->report.damaged, 0);
}

/* The set of open subjects against a plain array, over growth and removal. */
static void subject_table(void **state)
{
	enum { N = 3000 };
	static uint8_t in[N];
	l_world *w = *state;
	rco__ledger_subjects set = {0};
	uint32_t i, n, round, random = 12345;
	size_t count = 0;
	uint8_t id[16];

	memset(in, 0, sizeof in);
	for (round = 0; round < 20000; round++) {
		random = random * 1664525u + 1013904223u;
		n = (random >> 8) % N;
		l_subject(id, n);
		assert_int_equal(rco__ledger_subjects_find(&set, id) != NULL, in[n]);
		if (in[n]) {
			rco__ledger_subjects_remove(&set, rco__ledger_subjects_find(&set, id));
			count--;
		} else {
			assert_int_equal(rco__ledger_subjects_reserve(&w->options.env, &set, 1), RCO_OK);
			assert_non_null(rco__ledger_subjects_add(&set, id, 1));
			assert_null(rco__ledger_subjects_add(&set, id, 1));
			count++;
		}
		in[n] = !in[n];
		assert_int_equal(set.count, count);
	}
	for (i = 0; i < N; i++) {
		l_subject(id, i);
		assert_int_equal(rco__ledger_subjects_find(&set, id) != NULL, in[i]);
	}
	rco__release(&w->options.env, set.slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(closed_files_go_after_retention, setup, teardown),
		cmocka_unit_test_setup_teardown(open_subjects_are_carried, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_while_carrying, setup, teardown),
		cmocka_unit_test_setup_teardown(deleting_in_the_middle_of_a_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(reopened_subject_stays_open, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(many_open_subjects_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk_deletes_nothing_open, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_meanwhile_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_ahead_too_late, setup, teardown),
		cmocka_unit_test_setup_teardown(another_file_size, setup, teardown),
		cmocka_unit_test_setup_teardown(subject_table, setup, teardown),
	};

	return cmocka_run_group_tests_name("ledger_rotation", tests, NULL, NULL);
}
