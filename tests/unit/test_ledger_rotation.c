/* SPDX-License-Identifier: MIT */
/* Retention: what may go goes, what is still open is carried over, evidence is never lost on the way. */
#include "../support_ledger.h"

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
	bytes = t_read_file(path, &size);
	bytes[128 + 90] ^= 1;
	t_write_file(path, bytes, size);
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

/* Without room in the table of open subjects nothing is deleted any more: what the entry is about may be in any
 * file. */
static void without_memory_nothing_is_deleted(void **state)
{
	l_world *w = *state;
	uint32_t i;
	size_t files;

	w->options.retention_s = 0;
	l_world_open(w);
	for (i = 0; i < 48; i++) /* as many as fit in the table without growing */
		(void)l_append(w, 1000 + i, i, 4, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, 48), RCO_OK);
	assert_int_equal(w->ledger->blind, 0);
	t_memory.fail_all = 1;
	(void)l_append(w, 2000, 2000, 4, 0); /* from the reserve */
	assert_int_equal(rco__ledger_sync(w->ledger, 49), RCO_OK);
	assert_int_equal(w->ledger->blind, 1);
	t_memory_is_there();
	for (i = 0; i < 48; i++)
		(void)l_append(w, 1000 + i, i, 300, RCO__LEDGER_CLOSES);
	assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
	files = l_count(w->dir, ".rcol");
	assert_true(files >= 2);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".rcol"), files);
	l_world_close(w);
	l_world_open(w); /* the next start can count again */
	assert_int_equal(l_times_seen(w, 2000), 1);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_true(l_count(w->dir, ".rcol") < files);
}

/* Two at once would delete a file under the other's feet. */
static void only_one_maintains(void **state)
{
	l_world *w = *state;
	pthread_t thread;
	size_t tmp;
	void *rc;

	l_world_open(w);
	while (w->ledger->used <= w->ledger->file_bytes / 4 * 3) {
		(void)l_append(w, 1, 1, 300, RCO__LEDGER_CLOSES);
		assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
	}
	l_fs_hold(&w->fs, 1);
	assert_int_equal(pthread_create(&thread, NULL, maintain, w), 0);
	l_fs_wait_held(&w->fs); /* making a spare */
	tmp = l_count(w->dir, ".tmp");
	assert_int_equal(tmp, 1);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".tmp"), 1);
	l_fs_let_go(&w->fs);
	pthread_join(thread, &rc);
	assert_int_equal((intptr_t)rc, RCO_OK);
	assert_true(w->ledger->spare_fd >= 0);
}

/* Somebody removed an old file: deleting what is gone is done. */
static void a_file_that_is_gone_is_deleted(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	uint32_t i;

	w->options.retention_s = 0;
	l_world_open(w);
	for (i = 0; i < 60; i++)
		(void)l_append(w, 100, 100, 300, RCO__LEDGER_CLOSES);
	assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
	assert_true(w->ledger->file_count > 2);
	l_file(w, 1, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(w->ledger->file_count, 1);
	assert_int_equal(l_count(w->dir, ".rcol"), 1);
}

static int entries_to_fail;

/* Blank files and headers are written, entries are not. */
static int write_no_entries(t_demand *d, void *user_data)
{
	if (d->kind == T_DISK_WRITE && d->offset >= RCO__LEDGER_HEADER_BYTES && entries_to_fail > 0) {
		entries_to_fail--;
		return rco__fail(RCO_E_IO, "injected: write of entries");
	}
	return l_fs_asked(d, user_data);
}

/* A broken disk is not filled with abandoned files: of those without a durable entry the last one is kept. */
static void abandoned_files_do_not_pile_up(void **state)
{
	l_world *w = *state;
	int i;

	w->fs.disk.ask = write_no_entries;
	l_world_open(w);
	(void)l_append(w, 1, 11, 4, 0);
	for (i = 0; i < 5; i++) {
		entries_to_fail = 2;
		assert_int_equal(rco__ledger_sync(w->ledger, 1), RCO_E_NOT_DURABLE);
		assert_int_equal(entries_to_fail, 0);
		assert_int_equal(l_count(w->dir, ".rcol"), 1);
	}
	assert_int_equal(rco__ledger_sync(w->ledger, 1), RCO_OK);
	assert_int_equal(l_count(w->dir, ".rcol"), 2);
	/* The last one goes with retention; the next abandoned one does not look for it. */
	(void)l_append(w, 1, 12, 4, RCO__LEDGER_CLOSES);
	assert_int_equal(rco__ledger_sync(w->ledger, 2), RCO_OK);
	w->now_us += 7200ll * 1000000;
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	assert_int_equal(l_count(w->dir, ".rcol"), 1);
	while (w->ledger->offset + 400 <= w->ledger->file_bytes) {
		(void)l_append(w, 3, 30, 300, 0);
		assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
	}
	entries_to_fail = 2;
	(void)l_append(w, 4, 40, 900, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_E_NOT_DURABLE);
	assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
	(void)l_append(w, 1, 11, 4, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, rco__ledger_last(w->ledger)), RCO_OK);
	l_world_close(w);
	l_world_open(w);
	assert_true(l_times_seen(w, 11) >= 1 && l_times_seen(w, 40) >= 1);
	assert_int_equal(w->report.damaged, 0);
}

static void many_files_are_read_again(void **state)
{
	l_world *w = *state;
	uint32_t i;

	w->options.keep_for_ever = 1;
	l_world_open(w);
	for (i = 0; i < 500; i++)
		(void)l_append(w, 1000 + i, 1000 + i, 300, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, 500), RCO_OK);
	assert_true(w->ledger->file_count > 16); /* the list has grown */
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->report.entries, 500);
	assert_int_equal(w->report.damaged, 0);
}

static void the_table_of_subjects_has_room_made_first(void **state)
{
	rco__ledger_subjects none = {0};
	uint8_t id[16] = {1};

	(void)state;
	assert_null(rco__ledger_subjects_add(&none, id, 1));
	assert_null(rco__ledger_subjects_find(&none, id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		L_TEST(closed_files_go_after_retention),
		L_TEST(open_subjects_are_carried),
		L_TEST(closing_while_carrying),
		L_TEST(deleting_in_the_middle_of_a_commit),
		L_TEST(reopened_subject_stays_open),
		L_TEST(kept_for_ever),
		L_TEST(many_open_subjects_wait),
		L_TEST(full_disk_deletes_nothing_open),
		L_TEST(damaged_meanwhile_is_kept),
		L_TEST(a_file_ahead),
		L_TEST(a_file_ahead_too_late),
		L_TEST(another_file_size),
		L_TEST(subject_table),
		L_TEST(without_memory_nothing_is_deleted),
		L_TEST(only_one_maintains),
		L_TEST(a_file_that_is_gone_is_deleted),
		L_TEST(abandoned_files_do_not_pile_up),
		L_TEST(many_files_are_read_again),
		L_TEST(the_table_of_subjects_has_room_made_first),
	};

	return cmocka_run_group_tests_name("ledger_rotation", tests, NULL, NULL);
}
