/* SPDX-License-Identifier: MIT */
/* The ledger by daylight and on a failing disk: append, group commit, replay (P3, P13). */
#include "../support_ledger.h"

#include <sched.h>

/* What was synced is there after a new open: same order, same times, same payload. */
static void reopen_replays(void **state)
{
	l_world *w = *state;
	uint64_t lsn = 0;
	uint32_t i;

	l_world_open(w);
	assert_true(w->report.entries == 0 && w->report.damaged == 0 && w->report.torn_bytes == 0);
	for (i = 0; i < 20; i++) {
		w->now_us++;
		lsn = l_append(w, i, 1000 + i, 4 + i * 3, i % 2 ? RCO__LEDGER_CLOSES : 0);
		assert_int_equal(lsn, i + 1);
	}
	assert_int_equal(rco__ledger_last(w->ledger), 20);
	assert_int_equal(rco__ledger_durable(w->ledger), 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_int_equal(rco__ledger_durable(w->ledger), 20);
	l_world_close(w);

	l_world_open(w);
	assert_int_equal(rco__ledger_last(w->ledger), 20);
	assert_int_equal(w->seen_count, 20);
	for (i = 0; i < 20; i++) {
		assert_int_equal(w->seen[i].type, 7);
		assert_int_equal(w->seen[i].subject, i);
		assert_int_equal(w->seen[i].tag, 1000 + i);
		assert_int_equal(w->seen[i].seq, i + 1);
		assert_int_equal(w->seen[i].flags, i % 2 ? RCO__LEDGER_CLOSES : 0);
		assert_true(w->seen[i].time_us == w->now_us - 19 + i);
	}
	/* it goes on in the same file, and the chain holds over the restart */
	assert_int_equal(l_append(w, 1, 77, 4, 0), 21);
	l_world_close(w);
	assert_int_equal(l_count(w->dir, NULL), 1);
	l_world_open(w);
	assert_int_equal(w->seen_count, 21);
	assert_true(w->report.damaged == 0 && w->report.torn_bytes == 0 && w->report.quarantined == 0);
}

static void arguments_are_checked(void **state)
{
	l_world *w = *state;
	rco__ledger_options options = w->options;
	uint8_t id[16] = {1}, big[RCO__LEDGER_PAYLOAD_MAX + 1] = {0};
	rco__ledger *none;
	uint64_t lsn;

	options.dir = NULL;
	assert_int_equal(rco__ledger_open(&options, NULL, NULL, NULL, &none), RCO_E_INVALID);
	options = w->options;
	options.quarantine_dir = NULL;
	assert_int_equal(rco__ledger_open(&options, NULL, NULL, NULL, &none), RCO_E_INVALID);
	options = w->options;
	options.file_bytes = (uint64_t)RCO__LEDGER_FILE_MAX + 1;
	assert_int_equal(rco__ledger_open(&options, NULL, NULL, NULL, &none), RCO_E_INVALID);
	assert_null(none);
	l_world_open(w);
	/* one that no file has room for */
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, big, RCO__LEDGER_FILE_MIN, &lsn), RCO_E_LIMIT);
	l_world_close(w);
	w->options.file_bytes = 2 * RCO__LEDGER_FILE_MIN;
	l_world_open(w);
	assert_int_equal(rco__ledger_append(w->ledger, 0, 0, id, NULL, 0, &lsn), RCO_E_INVALID);
	assert_int_equal(rco__ledger_append(w->ledger, 0x8000, 0, id, NULL, 0, NULL), RCO_E_INVALID);
	assert_int_equal(rco__ledger_append(w->ledger, 1, RCO__LEDGER_CARRIED, id, NULL, 0, &lsn), RCO_E_INVALID);
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, NULL, 1, NULL), RCO_E_INVALID);
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, big, sizeof big, &lsn), RCO_E_LIMIT);
	assert_int_equal(rco__ledger_last(w->ledger), 0);
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, big, sizeof big - 1, &lsn), RCO_OK);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn + 1), RCO_E_INVALID);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	l_world_close(w);
	w->options.file_bytes = 100;
	assert_int_equal(l_try_open(w), RCO_E_INVALID);
}

/* Appending overwrites: the file never grows, so that a sync commits no metadata. */
static void files_are_written_ahead(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	struct stat before, after;

	l_world_open(w);
	l_file(w, 1, path);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_size, RCO__LEDGER_FILE_MIN);
	assert_int_equal(before.st_mode & 0777, 0600);
	assert_int_equal(rco__ledger_sync(w->ledger, l_append(w, 1, 1, 100, 0)), RCO_OK);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_blocks, before.st_blocks);
}

/* rco__ledger_write() hands over without a sync; the sync that follows makes it durable. */
static void write_then_sync(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	uint8_t *bytes;
	unsigned syncs;
	uint64_t lsn;
	size_t size, i, found = 0;

	l_world_open(w);
	syncs = w->fs.syncs;
	(void)l_append(w, 1, 11, 8, 0);
	assert_int_equal(rco__ledger_write(w->ledger), RCO_OK);
	lsn = l_append(w, 2, 12, 8, 0);
	assert_int_equal(rco__ledger_write(w->ledger), RCO_OK);
	assert_int_equal(rco__ledger_write(w->ledger), RCO_OK);
	assert_int_equal(w->fs.syncs, syncs);
	assert_int_equal(rco__ledger_durable(w->ledger), 0);
	l_file(w, 1, path);
	bytes = t_read_file(path, &size);
	for (i = 0; i + 4 <= size; i += 8)
		found += rco__get32(bytes + i) == 0x454f4352;
	free(bytes);
	assert_int_equal(found, 2);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_int_equal(w->fs.syncs, syncs + 1);
	assert_int_equal(rco__ledger_durable(w->ledger), 2);
}

/* ---- group commit ---- */

enum { THREADS = 8, EACH = 40 };

struct worker {
	l_world *world;
	uint32_t index;
	int count;
	int rc;
	int not_durable; /* came back before its entry was durable */
};

static void *work(void *arg)
{
	struct worker *me = arg;
	uint8_t id[16], payload[4];
	uint64_t lsn;
	int i;

	for (i = 0; i < me->count && me->rc == RCO_OK; i++) {
		l_subject(id, me->index);
		rco__put32(payload, me->index * 1000 + (uint32_t)i);
		me->rc = rco__ledger_append(me->world->ledger, 1, 0, id, payload, 4, &lsn);
		if (me->rc == RCO_OK)
			me->rc = rco__ledger_sync(me->world->ledger, lsn);
		if (me->rc == RCO_OK && rco__ledger_durable(me->world->ledger) < lsn)
			me->not_durable++;
	}
	return NULL;
}

static void start(l_world *w, pthread_t *threads, struct worker *workers, uint32_t n, int count)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		workers[i] = (struct worker){w, i, count, RCO_OK, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
}

/* Threads that are asleep in sync(), or about to be: their entries are in the queue. */
static void wait_queued(l_world *w, uint64_t seq)
{
	uint64_t next;

	do {
		pthread_mutex_lock(&w->ledger->mutex);
		next = w->ledger->next_seq;
		pthread_mutex_unlock(&w->ledger->mutex);
	} while (next <= seq && sched_yield() == 0);
}

/* While one sync is under way all others queue; one more sync serves all of them. */
static void groups_share_a_sync(void **state)
{
	l_world *w = *state;
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	unsigned syncs;
	uint32_t i;

	l_world_open(w);
	syncs = w->fs.syncs;
	l_fs_hold(&w->fs, 1);
	start(w, threads, workers, 1, 1);
	l_fs_wait_held(&w->fs);
	start(w, threads + 1, workers + 1, THREADS - 1, 1);
	wait_queued(w, THREADS);
	l_fs_let_go(&w->fs);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].rc, RCO_OK);
		assert_int_equal(workers[i].not_durable, 0);
	}
	assert_int_equal(w->fs.syncs - syncs, 2);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->seen_count, THREADS);
}

/* Many threads at once, over several files: every entry is durable when its sync returns. */
static void threads_race(void **state)
{
	l_world *w = *state;
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	uint32_t i, k;

	l_world_open(w);
	start(w, threads, workers, THREADS, EACH);
	for (i = 0; i < 50; i++)
		assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].rc, RCO_OK);
		assert_int_equal(workers[i].not_durable, 0);
	}
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->seen_count, THREADS * EACH);
	assert_int_equal(w->report.damaged, 0);
	for (i = 0; i < THREADS; i++) {
		for (k = 0; k < EACH; k++)
			assert_int_equal(l_times_seen(w, i * 1000 + k), 1);
	}
}

/* Followers of a group whose commit failed all get its error, and a later call makes their entries durable. */
static void followers_get_the_error(void **state)
{
	l_world *w = *state;
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	uint32_t i;

	l_world_open(w);
	l_fs_hold(&w->fs, 1);
	start(w, threads, workers, 1, 1);
	l_fs_wait_held(&w->fs);
	start(w, threads + 1, workers + 1, THREADS - 1, 1);
	wait_queued(w, THREADS);
	w->fs.fail_code = RCO_E_IO;
	w->fs.fail_syncs = 1000;
	l_fs_let_go(&w->fs);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].rc, RCO_E_NOT_DURABLE);
	}
	assert_int_equal(rco__ledger_durable(w->ledger), 0);
	w->fs.fail_syncs = 0;
	assert_int_equal(rco__ledger_sync(w->ledger, THREADS), RCO_OK);
	assert_int_equal(w->fs.touched_bad, 0);
	l_world_close(w);
	l_world_open(w);
	for (i = 0; i < THREADS - 1; i++) /* the first two threads have the same index */
		assert_true(l_times_seen(w, i * 1000) >= 1);
	assert_true(l_times_seen(w, 0) >= 2);
	assert_int_equal(w->report.damaged, 0);
}

/* ---- a disk that fails ---- */

/* After a failed sync the file is never written or synced again: the entries land in a fresh one, in the same
 * call. */
static void failed_sync_takes_a_fresh_file(void **state)
{
	l_world *w = *state;
	uint64_t lsn;

	l_world_open(w);
	assert_int_equal(rco__ledger_sync(w->ledger, l_append(w, 1, 1, 4, 0)), RCO_OK);
	(void)l_append(w, 2, 2, 4, 0);
	assert_int_equal(rco__ledger_write(w->ledger), RCO_OK);
	lsn = l_append(w, 3, 3, 4, 0);
	w->fs.fail_code = RCO_E_IO;
	w->fs.fail_syncs = 1;
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_int_equal(w->fs.fail_syncs, 0);
	assert_int_equal(w->fs.touched_bad, 0);
	assert_int_equal(l_count(w->dir, ".rcol"), 2);
	assert_int_equal(rco__ledger_sync(w->ledger, l_append(w, 4, 4, 4, 0)), RCO_OK);
	l_world_close(w);

	l_world_open(w);
	assert_true(l_times_seen(w, 1) == 1 && l_times_seen(w, 4) == 1);
	assert_true(l_times_seen(w, 2) >= 1 && l_times_seen(w, 3) >= 1);
	assert_int_equal(w->report.damaged, 0);
	assert_int_equal(w->report.quarantined, 0);
}

/* The abandoned file may have lost what was written to it: nothing depends on it. */
static void abandoned_file_may_be_lost(void **state)
{
	l_world *w = *state;
	uint8_t *bytes;
	size_t size;
	char path[L_PATH];

	l_world_open(w);
	assert_int_equal(rco__ledger_sync(w->ledger, l_append(w, 1, 1, 4, 0)), RCO_OK);
	(void)l_append(w, 2, 2, 4, 0);
	assert_int_equal(rco__ledger_write(w->ledger), RCO_OK); /* written before, and not durable either */
	w->fs.fail_code = RCO_E_IO;
	w->fs.fail_syncs = 1;
	assert_int_equal(rco__ledger_sync(w->ledger, l_append(w, 3, 3, 4, 0)), RCO_OK);
	l_world_close(w);
	l_file(w, 1, path);
	bytes = t_read_file(path, &size);
	memset(bytes + 128 + 88, 0xee, 2 * 88); /* all but the first entry */
	t_write_file(path, bytes, size);
	free(bytes);

	l_world_open(w);
	assert_int_equal(w->seen_count, 3);
	assert_true(l_times_seen(w, 2) == 1 && l_times_seen(w, 3) == 1);
	assert_true(w->report.damaged == 0 && w->report.torn_bytes == 0 && w->report.quarantined == 0);
}

/* A disk that goes on failing: honest errors, no heap of abandoned files; when it works again all is made durable.
 */
static void failing_disk_then_recovery(void **state)
{
	l_world *w = *state;
	uint64_t lsn = 0;
	uint32_t i;

	l_world_open(w);
	assert_int_equal(rco__ledger_sync(w->ledger, l_append(w, 0, 100, 4, 0)), RCO_OK);
	w->fs.fail_code = RCO_E_NO_SPACE;
	w->fs.fail_writes = 100000;
	for (i = 1; i <= 10; i++) {
		lsn = l_append(w, i, 100 + i, 4, 0);
		assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_E_NOT_DURABLE);
		assert_non_null(strstr(rco_error_detail(), w->dir));
		assert_non_null(strstr(rco_error_detail(), "injected: write"));
		assert_int_equal(rco__ledger_durable(w->ledger), 1);
	}
	assert_true(l_count(w->dir, NULL) <= 2);
	w->fs.fail_writes = 0;
	/* the blank file can be written, its sync or the entries' cannot */
	for (i = 1; i <= 10; i++) {
		w->fs.fail_code = RCO_E_IO;
		w->fs.fail_syncs = i;
		(void)rco__ledger_sync(w->ledger, lsn);
	}
	w->fs.fail_syncs = 0;
	assert_true(l_count(w->dir, NULL) <= 5);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_int_equal(w->fs.touched_bad, 0);
	l_world_close(w);
	l_world_open(w);
	for (i = 0; i <= 10; i++)
		assert_true(l_times_seen(w, 100 + i) >= 1);
	assert_int_equal(w->report.damaged, 0);
	assert_int_equal(l_count(w->dir, ".tmp"), 0);
}

/* A full disk does not keep the ledger from opening; commits say so and succeed when there is space. */
static void opens_on_a_full_disk(void **state)
{
	l_world *w = *state;
	uint64_t lsn;

	w->fs.fail_code = RCO_E_NO_SPACE;
	w->fs.fail_writes = 100000;
	l_world_open(w);
	lsn = l_append(w, 1, 5, 4, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_E_NOT_DURABLE);
	assert_int_equal(rco__ledger_maintain(w->ledger), RCO_OK);
	w->fs.fail_writes = 0;
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(l_times_seen(w, 5), 1);
}

/* A folder that cannot be used is a clear error. */
static void unusable_folder(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	FILE *f;

	f = fopen(w->dir, "w");
	assert_non_null(f);
	fclose(f);
	assert_true(l_try_open(w) < 0);
	assert_non_null(strstr(rco_error_detail(), w->dir));
	assert_int_equal(unlink(w->dir), 0);
	l_path(path, w->dir, "below");
	w->options.dir = path; /* its parent is missing */
	assert_true(l_try_open(w) < 0);
	w->options.dir = w->dir;
}

/* A folder whose path has exactly this length, below the world's. */
static void deep_folder(const l_world *w, size_t length, char out[4096])
{
	size_t at = strlen(w->root), step;

	memcpy(out, w->root, at + 1);
	while (at < length) {
		step = length - at > 210 ? 200 : length - at;
		out[at] = '/';
		memset(out + at + 1, 'd', step - 1);
		at += step;
		out[at] = '\0';
		assert_int_equal(mkdir(out, 0700), 0);
	}
}

static void remove_deep_folder(const l_world *w, char path[4096])
{
	while (strlen(path) > strlen(w->root)) {
		assert_int_equal(rmdir(path), 0);
		*strrchr(path, '/') = '\0';
	}
}

static void touch_in(const char *folder, const char *name, int there)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY), fd;

	assert_true(dir >= 0);
	if (there) {
		fd = openat(dir, name, O_WRONLY | O_CREAT, 0600);
		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
	} else {
		assert_int_equal(unlinkat(dir, name, 0), 0);
	}
	assert_int_equal(close(dir), 0);
}

/* Whichever name it is that does not fit behind the folder's, the answer says so, and nothing is left there. */
static void a_folder_with_too_long_a_path(void **state)
{
	static const char old[] = "0000000000000001.rcol", tmp[] = "a-name-of-some-length-that-does-not-fit.tmp";
	l_world *w = *state;
	char path[4096];
	size_t i;
	static const size_t lengths[] = {4075, 4086}; /* room for a spare's name; for none */

	w->options.dir = path;
	for (i = 0; i < 2; i++) {
		deep_folder(w, lengths[i], path);
		assert_int_equal(l_try_open(w), RCO_E_LIMIT);
		assert_int_equal(l_count(path, NULL), 0);
		touch_in(path, old, 1);
		touch_in(path, tmp, 1);
		assert_int_equal(l_try_open(w), RCO_E_LIMIT);
		assert_null(w->ledger);
		assert_int_equal(l_count(path, NULL), 2);
		touch_in(path, old, 0);
		touch_in(path, tmp, 0);
		remove_deep_folder(w, path);
	}
	w->options.dir = w->dir;
}

/* Every sync and write of a scenario fails once: nothing acknowledged is lost, nothing is touched after it failed.
 */
static void every_call_fails_once(void **state)
{
	l_world *w = *state;
	uint32_t k, i, acknowledged;
	int done = 0;

	w->fs.skip_sync = 1;
	for (k = 0; !done; k++) {
		uint64_t last[12] = {0};

		l_empty(w->dir);
		w->fs.fail_syncs = w->fs.fail_writes = 0;
		l_world_open(w);
		acknowledged = 0;
		for (i = 0; i < 12; i++) {
			if (i == k / 2 % 12) {
				w->fs.fail_code = RCO_E_IO;
				*(k % 2 ? &w->fs.fail_syncs : &w->fs.fail_writes) = 1 + k / 24;
			}
			last[i] = l_append(w, i, 500 + i, 900, 0);
			if (rco__ledger_sync(w->ledger, last[i]) == RCO_OK)
				acknowledged |= 1u << i;
		}
		/* as after a crash: what is not acknowledged is not made durable by close */
		w->fs.fail_code = RCO_E_IO;
		w->fs.fail_writes = 1000000;
		l_world_close(w);
		w->fs.fail_syncs = w->fs.fail_writes = 0;
		l_world_open(w);
		for (i = 0; i < 12; i++) {
			if (acknowledged & 1u << i)
				assert_true(l_times_seen(w, 500 + i) >= 1);
		}
		assert_int_equal(w->report.damaged, 0);
		l_world_close(w);
		done = k >= 24 * 4;
	}
	assert_int_equal(w->fs.touched_bad, 0);
}

/* ---- memory ---- */

/* Without memory a few entries still go in; then it says so, and the queue is intact. */
static void out_of_memory(void **state)
{
	l_world *w = *state;
	uint8_t id[16] = {9};
	uint64_t lsn, last = 0;
	int rc, n = 0;

	l_world_open(w);
	t_memory.fail_all = 1;
	while ((rc = rco__ledger_append(w->ledger, 1, 0, id, "tomb", 4, &lsn)) == RCO_OK && n < 100) {
		last = lsn;
		n++;
	}
	assert_int_equal(rc, RCO_E_NO_MEMORY);
	assert_int_equal(n, RCO__LEDGER_RESERVE_BLOCKS);
	assert_int_equal(rco__ledger_sync(w->ledger, last), RCO_OK);
	/* durable entries give their memory back */
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, "tomb", 4, &last), RCO_OK);
	assert_int_equal(rco__ledger_sync(w->ledger, last), RCO_OK);
	t_memory_is_there();
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->seen_count, n + 1);
	l_world_close(w);
	t_memory.fail_all = 1;
	assert_int_equal(l_try_open(w), RCO_E_NO_MEMORY);
	t_memory_is_there();
}

/* The reserve is for the small entries of an opt-out. */
static void a_long_entry_needs_memory(void **state)
{
	l_world *w = *state;
	uint8_t id[16] = {1}, payload[RCO__LEDGER_RESERVE_BYTES] = {0};

	l_world_open(w);
	t_memory.fail_all = 1;
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, payload, sizeof payload, NULL), RCO_E_NO_MEMORY);
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, payload, 100, NULL), RCO_OK);
	t_memory_is_there();
	assert_int_equal(rco__ledger_sync(w->ledger, 1), RCO_OK);
}

/* Memory runs out in the middle of a replay: no start without all that is open. */
static int hungry(const rco__ledger_entry *entry, void *user_data)
{
	(void)entry;
	(void)user_data;
	t_memory.fail_all = 1;
	return 0;
}

static void a_replay_without_memory_is_no_start(void **state)
{
	l_world *w = *state;
	uint32_t i;

	l_world_open(w);
	for (i = 0; i < 60; i++)
		(void)l_append(w, 1000 + i, i, 4, 0);
	l_world_close(w);
	assert_int_equal(rco__ledger_open(&w->options, hungry, w, NULL, &w->ledger), RCO_E_NO_MEMORY);
	assert_null(w->ledger);
	t_memory_is_there();
	l_world_open(w);
	assert_int_equal(w->ledger->subjects.count, 60);
}

/* ---- replay ---- */

/* An entry may say nothing but that it is there, and its writer need not want to know its number. */
static void an_entry_without_a_payload(void **state)
{
	l_world *w = *state;
	uint8_t id[16];

	l_world_open(w);
	l_subject(id, 5);
	assert_int_equal(rco__ledger_append(w->ledger, 3, 0, id, NULL, 0, NULL), RCO_OK);
	(void)l_append(w, 6, 66, 4, 0);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->report.damaged, 0);
	assert_int_equal(w->seen_count, 2);
	assert_int_equal(w->seen[0].type, 3);
	assert_true(l_is_open(w, 5) && l_is_open(w, 6));
	l_world_close(w);
	/* Who replays nothing loses nothing: what is open is carried on. */
	assert_int_equal(rco__ledger_open(&w->options, NULL, NULL, NULL, &w->ledger), RCO_OK);
	assert_int_equal(w->ledger->subjects.count, 2);
}

static int refuse(const rco__ledger_entry *entry, void *user_data)
{
	(void)entry;
	return *(int *)user_data;
}

static void a_replay_that_is_stopped_says_so(void **state)
{
	l_world *w = *state;
	int answer = 1;

	l_world_open(w);
	(void)l_append(w, 1, 1, 4, 0);
	l_world_close(w);
	assert_int_equal(rco__ledger_open(&w->options, refuse, &answer, NULL, &w->ledger), RCO_E_CALLBACK);
	assert_null(w->ledger);
	answer = RCO_E_NO_MEMORY;
	assert_int_equal(rco__ledger_open(&w->options, refuse, &answer, NULL, &w->ledger), RCO_E_NO_MEMORY);
	assert_null(w->ledger);
	l_world_open(w);
	assert_int_equal(l_times_seen(w, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		L_TEST_SYNCED(reopen_replays),
		L_TEST_SYNCED(arguments_are_checked),
		L_TEST_SYNCED(files_are_written_ahead),
		L_TEST_SYNCED(write_then_sync),
		L_TEST_SYNCED(groups_share_a_sync),
		L_TEST_SYNCED(threads_race),
		L_TEST_SYNCED(followers_get_the_error),
		L_TEST_SYNCED(failed_sync_takes_a_fresh_file),
		L_TEST_SYNCED(abandoned_file_may_be_lost),
		L_TEST_SYNCED(failing_disk_then_recovery),
		L_TEST_SYNCED(opens_on_a_full_disk),
		L_TEST_SYNCED(unusable_folder),
		L_TEST_SYNCED(every_call_fails_once),
		L_TEST_SYNCED(out_of_memory),

		L_TEST(a_folder_with_too_long_a_path),
		L_TEST(a_long_entry_needs_memory),
		L_TEST(a_replay_without_memory_is_no_start),
		L_TEST(an_entry_without_a_payload),
		L_TEST(a_replay_that_is_stopped_says_so),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
