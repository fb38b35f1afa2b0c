/* SPDX-License-Identifier: MIT */
/* What a ledger makes of odd arguments, odd names, entries and files that another version or a defect would leave,
 * and rare moments: memory gone, a disk that fails twice, a wait that a signal interrupts. */
#include "../support.h"
#include "../support_ledger.h"

#include "../../lib/ledger/receipt.h"

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

/* ---- receipts and their key ---- */

static int verify_end(const char *end)
{
	static const char head[] = "{\"v\":1,\"receipt\":\"r\",\"call_id\":\"c\",\"source\":\"s\",\"status\":"
				   "\"erased\",\"key\":\"k\",\"sig\":\"";
	char json[512], zeros[89];
	uint8_t key[32] = {0};

	memset(zeros, 'A', sizeof zeros);
	zeros[86] = zeros[87] = '=';
	zeros[88 - (strlen(end) - 2)] = '\0'; /* as long as a receipt's end is, whatever is behind the text */
	assert_true(snprintf(json, sizeof json, "%s%s%s", head, zeros, end) < (int)sizeof json);
	return rco_receipt_verify(json, strlen(json), key, NULL);
}

static void a_receipt_ends_as_receipts_end(void **state)
{
	static const char array[] =
		"[\"an array, long enough to hold a signature, which it does not: it is none at all; "
		"and on it goes until it is long enough\"]";
	char json[RCO_RECEIPT_JSON_MAX + 1], zeroed[512] = {0};
	uint8_t key[32] = {0};

	(void)state;
	assert_int_equal(verify_end("\"}"), RCO_E_SIGNATURE); /* well formed, and signed by nobody */
	assert_int_equal(verify_end("\" }"), RCO_E_CORRUPT);
	assert_int_equal(rco_receipt_verify(array, sizeof array - 1, key, NULL), RCO_E_CORRUPT);
	assert_non_null(strstr(rco_error_detail(), "no JSON object"));
	memset(json, 'x', sizeof json);
	assert_int_equal(rco_receipt_verify(json, RCO_RECEIPT_JSON_MAX, key, NULL), RCO_E_CORRUPT);
	/* bytes that are no receipt */
	assert_int_equal(rco_receipt_to_json((const rco_receipt *)(void *)zeroed, NULL, 0, NULL), RCO_E_HANDLE);
}

static int open_key(l_world *w)
{
	rco__signer *signer;
	int rc = rco__signer_open(&w->options.env, w->dir, w->quarantine, &signer);

	rco__signer_unref(signer);
	return rc;
}

/* Key files with a right checksum that this library did not write, and one that is too long to be one. */
static void odd_keys_are_set_aside(void **state)
{
	static const struct {
		size_t size;
		uint16_t version;
	} cases[] = {{48, 0}, {52, 1}, {4096, 1}, {5000, 1}};
	l_world *w = *state;
	uint8_t bytes[5000] = "RCOSIGN1";
	char path[L_PATH];
	size_t i;

	assert_int_equal(mkdir(w->dir, 0700), 0);
	l_path(path, w->dir, "signing.key");
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rco__put16(bytes + 8, cases[i].version);
		rco__put32(bytes + cases[i].size - 4, rco__crc32c(0, bytes, cases[i].size - 4));
		l_spill(path, bytes, cases[i].size);
		memset(bytes + 10, 0, sizeof bytes - 10);
		assert_int_equal(open_key(w), RCO_OK);
		assert_int_equal(l_count(w->quarantine, NULL), i + 1);
		w->now_us++;
	}
	l_empty(w->quarantine);
	(void)rmdir(w->quarantine);
	/* Nowhere to set it aside: no new key is made over it. */
	l_spill(w->quarantine, (const uint8_t *)"a file", 6);
	l_spill(path, bytes, 48);
	assert_int_not_equal(open_key(w), RCO_OK);
	assert_int_equal(unlink(w->quarantine), 0);
	assert_int_equal(l_count(w->dir, NULL), 1);
	/* A key that cannot be read is no damaged one. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_not_equal(open_key(w), RCO_OK);
	assert_int_equal(rmdir(path), 0);
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
		TEST(a_receipt_ends_as_receipts_end),
		TEST(odd_keys_are_set_aside),
	};

	return cmocka_run_group_tests_name("ledger, odd", tests, NULL, NULL);
}
