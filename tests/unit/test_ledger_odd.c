/* SPDX-License-Identifier: MIT */
/* What a ledger makes of odd arguments, odd names, entries and files that another version or a defect would leave,
 * and rare moments: memory gone, a disk that fails twice, a wait that a signal interrupts. */
#include "../support.h"
#include "../support_ledger.h"

#include <dlfcn.h>
#include <errno.h>

static int setup(void **state)
{
	l_world *w = malloc(sizeof *w);

	assert_non_null(w);
	l_world_init(w);
	w->fs.skip_sync = 1;
	w->fs.fail_code = RCO_E_IO;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	l_world_destroy(*state);
	free(*state);
	return 0;
}

/* ---- arguments ---- */

static void arguments_are_checked(void **state)
{
	l_world *w = *state;
	rco__ledger_options options = w->options;
	uint8_t id[16] = {1};
	rco__ledger *none;

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
	assert_int_equal(rco__ledger_append(w->ledger, 0x8000, 0, id, NULL, 0, NULL), RCO_E_INVALID);
	assert_int_equal(rco__ledger_append(w->ledger, 1, RCO__LEDGER_CARRIED, id, NULL, 0, NULL), RCO_E_INVALID);
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, NULL, 1, NULL), RCO_E_INVALID);
	assert_int_equal(rco__ledger_last(w->ledger), 0);
}

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

/* ---- names ---- */

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
		l_spill(path, (const uint8_t *)"not ours", 8);
	}
	l_world_open(w);
	assert_int_equal(w->report.damaged, 0);
	assert_int_equal(w->ledger->number, 1);
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(l_count(w->dir, names[i]) >= 1, 1);
	assert_int_equal(l_count(w->dir, NULL), sizeof names / sizeof names[0] + 1);
}

/* ---- entries and headers whose checksum is right ---- */

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
	file = l_slurp(path, &length);
	for (i = 0; i < size; i++)
		file[at + i] = (uint8_t)(value >> 8 * i);
	rco__put32(file + from + bytes - 4, rco__crc32c(0, file + from, bytes - 4));
	l_spill(path, file, length);
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

/* ---- rare moments ---- */

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
	w->no_memory = 1;
	(void)l_append(w, 2000, 2000, 4, 0); /* from the reserve */
	assert_int_equal(rco__ledger_sync(w->ledger, 49), RCO_OK);
	assert_int_equal(w->ledger->blind, 1);
	w->no_memory = 0;
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

/* The reserve is for the small entries of an opt-out. */
static void a_long_entry_needs_memory(void **state)
{
	l_world *w = *state;
	uint8_t id[16] = {1}, payload[RCO__LEDGER_RESERVE_BYTES] = {0};

	l_world_open(w);
	w->no_memory = 1;
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, payload, sizeof payload, NULL), RCO_E_NO_MEMORY);
	assert_int_equal(rco__ledger_append(w->ledger, 1, 0, id, payload, 100, NULL), RCO_OK);
	w->no_memory = 0;
	assert_int_equal(rco__ledger_sync(w->ledger, 1), RCO_OK);
}

static _Atomic int interruptions; /* of waiting for another thread's commit */

int sem_wait(sem_t *sem)
{
	int (*real)(sem_t *);
	void *found = dlsym(RTLD_NEXT, "sem_wait");

	if (atomic_load(&interruptions) > 0) {
		atomic_fetch_sub(&interruptions, 1);
		errno = EINTR;
		return -1;
	}
	memcpy(&real, &found, sizeof real);
	return real(sem);
}

static void *sync_first(void *arg)
{
	return (void *)(intptr_t)rco__ledger_sync(((l_world *)arg)->ledger, 1);
}

static void *sync_second(void *arg)
{
	return (void *)(intptr_t)rco__ledger_sync(((l_world *)arg)->ledger, 2);
}

static int waits(l_world *w)
{
	int yes;

	pthread_mutex_lock(&w->ledger->mutex);
	yes = w->ledger->waiters != NULL;
	pthread_mutex_unlock(&w->ledger->mutex);
	return yes;
}

/* A signal handler of the host's that interrupts the wait does not end it: "durable" would be said too early. */
static void a_signal_does_not_end_a_wait(void **state)
{
	l_world *w = *state;
	pthread_t first, second;
	void *rc;

	l_world_open(w);
	(void)l_append(w, 1, 1, 4, 0);
	l_fs_hold(&w->fs, 1);
	assert_int_equal(pthread_create(&first, NULL, sync_first, w), 0);
	l_fs_wait_held(&w->fs);
	(void)l_append(w, 2, 2, 4, 0);
	atomic_store(&interruptions, 5);
	assert_int_equal(pthread_create(&second, NULL, sync_second, w), 0);
	while (!waits(w) || atomic_load(&interruptions) > 0)
		(void)sched_yield();
	assert_int_equal(rco__ledger_durable(w->ledger), 0);
	l_fs_let_go(&w->fs);
	pthread_join(second, &rc);
	assert_int_equal((intptr_t)rc, RCO_OK);
	assert_true(rco__ledger_durable(w->ledger) >= 2);
	pthread_join(first, &rc);
	assert_int_equal((intptr_t)rc, RCO_OK);
}

static void *maintain(void *arg)
{
	return (void *)(intptr_t)rco__ledger_maintain(((l_world *)arg)->ledger);
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

/* Retention passes by a file that could not be set aside: a newer one may hold what it was to close. */
static void a_damaged_file_that_stays_is_not_deleted(void **state)
{
	l_world *w = *state;
	char path[L_PATH];
	uint32_t i;

	w->options.retention_s = 0;
	l_world_open(w);
	change(w, FIRST + ENTRY + 6, 2, 0);
	l_spill(w->quarantine, (const uint8_t *)"a file", 6); /* where the folder should be */
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

static int (*table_write)(void *ctx, int fd, const void *buf, size_t size, uint64_t offset);
static int entries_to_fail;

/* Blank files and headers are written, entries are not. */
static int write_no_entries(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	if (offset >= RCO__LEDGER_HEADER_BYTES && entries_to_fail > 0) {
		entries_to_fail--;
		return rco__fail(RCO_E_IO, "injected: write of entries");
	}
	return table_write(ctx, fd, buf, size, offset);
}

/* A broken disk is not filled with abandoned files: of those without a durable entry the last one is kept. */
static void abandoned_files_do_not_pile_up(void **state)
{
	l_world *w = *state;
	int i;

	table_write = w->fs.table.write;
	w->fs.table.write = write_no_entries;
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

/* Memory runs out in the middle of a replay: no start without all that is open. */
static int hungry(const rco__ledger_entry *entry, void *user_data)
{
	(void)entry;
	((l_world *)user_data)->no_memory = 1;
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
	w->no_memory = 0;
	l_world_open(w);
	assert_int_equal(w->ledger->subjects.count, 60);
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
	table_read = w->fs.table.read;
	w->fs.table.read = read_short;
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
		bytes = l_slurp(path, &size);
		bytes[FIRST + ENTRY + 24] ^= 1; /* when it was */
		rco__put32(bytes + FIRST + 2 * ENTRY - 4, rco__crc32c(0, bytes + FIRST + ENTRY, ENTRY - 4));
		if (!cut)
			l_spill(path, bytes, size);
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

static void the_table_of_subjects_has_room_made_first(void **state)
{
	rco__ledger_subjects none = {0};
	uint8_t id[16] = {1};

	(void)state;
	assert_null(rco__ledger_subjects_add(&none, id, 1));
	assert_null(rco__ledger_subjects_find(&none, id));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arguments_are_checked),
		TEST(an_entry_without_a_payload),
		TEST(a_replay_that_is_stopped_says_so),
		TEST(names_that_are_nearly_ours_are_left_alone),
		TEST(impossible_entries_cost_only_themselves),
		TEST(a_newer_entry_is_refused_not_lost),
		TEST(impossible_headers_cost_no_entry),
		TEST(a_file_that_is_too_long_keeps_its_entries),
		TEST(without_memory_nothing_is_deleted),
		TEST(a_long_entry_needs_memory),
		TEST(a_signal_does_not_end_a_wait),
		TEST(only_one_maintains),
		TEST(a_damaged_file_that_stays_is_not_deleted),
		TEST(a_file_that_is_gone_is_deleted),
		TEST(abandoned_files_do_not_pile_up),
		TEST(a_replay_without_memory_is_no_start),
		TEST(many_files_are_read_again),
		TEST(short_reads_forget_nothing),
		TEST(an_altered_file_is_not_deleted),
		TEST(the_table_of_subjects_has_room_made_first),
		TEST(a_folder_with_too_long_a_path),
	};

	return cmocka_run_group_tests_name("ledger, odd", tests, NULL, NULL);
}
