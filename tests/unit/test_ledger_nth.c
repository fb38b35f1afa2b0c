/* SPDX-License-Identifier: MIT */
/*
 * A ledger's life in which the n-th file operation fails, or the n-th and one of the next few, or the n-th
 * allocation, for every n: what was said to be durable is there afterwards, what was open is open, and the damage
 * it began with is set aside in the end.
 */
#include "../support_ledger.h"

/* So far apart are the two failures of a pair, at most. */
enum { APART = T_SANITIZED ? 1 : 3 };

/* What the folder holds at first: nothing; a file that is whole; one with a damaged entry. */
enum { EMPTY, WHOLE, DAMAGED };

enum { PLANTED = 3, OPEN_SUBJECT = 1, OPEN_TAG = 7000, FIRST = 10, LAST = 34, TAGS = 8000 };

typedef struct story {
	l_world w;
	t_disk disk; /* in front of the world's */
	int began;   /* with what */
	int operations, fail_at, fail_again;
	uint8_t durable[TAGS];
} story;

static int asked(t_demand *d, void *user_data)
{
	story *s = user_data;
	int n = ++s->operations;

	d->done = d->kind == T_DISK_WRITE ? T_DISK_HALF : T_DISK_NOTHING;
	return n == s->fail_at || n == s->fail_again ? rco__fail(RCO_E_IO, "injected: operation %d", n) : RCO_OK;
}

static void set_up_faults(story *s)
{
	t_disk_init(&s->disk, &s->w.fs.disk.table, asked, s);
	s->disk.table.stamp = NULL; /* what `exists` says has to do */
	s->w.options.env.fs = &s->disk.table;
}

/* Three entries of open subjects in the first file, and the second of them damaged if that is the story. */
static void plant(story *s)
{
	char path[L_PATH];
	uint8_t *bytes;
	size_t size;
	uint32_t i;

	if (s->began == EMPTY)
		return;
	l_world_open(&s->w);
	for (i = 0; i < PLANTED; i++)
		(void)l_append(&s->w, 100 + i, 100 + i, 8, 0);
	l_world_close(&s->w);
	if (s->began == WHOLE)
		return;
	l_file(&s->w, 1, path);
	bytes = t_read_file(path, &size);
	bytes[RCO__LEDGER_HEADER_BYTES + rco__ledger_entry_bytes(8) + 20] ^= 1;
	t_write_file(path, bytes, size);
	free(bytes);
}

/* Append if there is memory, sync, and note what the answer promises: everything before it too. */
static void tell(story *s, uint32_t subject, uint32_t tag, size_t size, uint16_t flags, int sync)
{
	static uint32_t waiting[TAGS];
	static size_t n;
	uint8_t id[16], payload[RCO__LEDGER_PAYLOAD_MAX] = {0};
	uint64_t lsn;

	if (tag == OPEN_TAG)
		n = 0;
	rco__put32(payload, tag);
	l_subject(id, subject);
	if (rco__ledger_append(s->w.ledger, 7, flags, id, payload, size, &lsn) != RCO_OK)
		return;
	waiting[n++] = tag;
	if (sync && rco__ledger_sync(s->w.ledger, lsn) == RCO_OK) {
		while (n > 0)
			s->durable[waiting[--n]] = 1;
	}
}

static void live(story *s)
{
	uint32_t i;

	if (l_try_open(&s->w) != RCO_OK) {
		assert_null(s->w.ledger);
		return;
	}
	tell(s, OPEN_SUBJECT, OPEN_TAG, 2000, 0, 1); /* longer than the reserve of memory has room for */
	for (i = FIRST; i < LAST; i++) {
		tell(s, i, i * 2, 300, 0, 0);
		tell(s, i, i * 2 + 1, 300, RCO__LEDGER_CLOSES, i % 6 == 0);
	}
	(void)rco__ledger_write(s->w.ledger);
	tell(s, LAST, LAST * 2, 40, 0, 1);
	s->w.now_us += 7200ll * 1000000;
	(void)rco__ledger_maintain(s->w.ledger);
	for (i = 0; i < 8; i++) /* into the file after the spare */
		tell(s, 200 + i, 200 + i, 900, RCO__LEDGER_CLOSES, i == 3 || i == 7);
	(void)rco__ledger_maintain(s->w.ledger);
	l_world_close(&s->w);
}

/* With everything working again. */
static void judge(story *s)
{
	/* A file that could not be read at one start, but can at the next, is ended by what was written meanwhile:
	 * its entries count, its damage no more. That takes two failures, of a read and of the same read in parts.
	 */
	int noticed = s->began == DAMAGED && s->fail_again == 0;
	uint32_t i;

	t_memory_is_there();
	s->fail_at = s->fail_again = 0;
	l_world_open(&s->w);
	if (s->durable[OPEN_TAG]) {
		assert_true(l_times_seen(&s->w, OPEN_TAG) >= 1);
		assert_true(l_is_open(&s->w, OPEN_SUBJECT));
	}
	if (s->durable[LAST * 2])
		assert_true(l_is_open(&s->w, LAST));
	for (i = FIRST; i < LAST; i++) { /* a closed one may be deleted; it is never open again */
		if (s->durable[i * 2 + 1])
			assert_false(l_is_open(&s->w, (uint8_t)i));
	}
	for (i = 0; s->began != EMPTY && i < PLANTED; i += 2) {
		assert_true(l_times_seen(&s->w, 100 + i) >= 1);
		assert_true(l_is_open(&s->w, (uint8_t)(100 + i)));
	}
	l_world_close(&s->w);
	l_world_open(&s->w); /* whatever was damaged is set aside by now */
	assert_int_equal(s->w.report.damaged, 0);
	assert_int_equal(l_count(s->w.dir, ".tmp"), 0);
	assert_int_equal(rco__ledger_maintain(s->w.ledger), RCO_OK);
	l_world_close(&s->w);
	if (noticed)
		assert_true(l_count(s->w.quarantine, NULL) >= 1);
}

/* Once, with these failures; how many operations and allocations there were. */
static void once(int began, int fail_at, int fail_again, int fail_alloc, int *operations, int *allocations)
{
	story *s = calloc(1, sizeof *s);

	assert_non_null(s);
	s->began = began;
	l_world_init(&s->w);
	s->w.fs.skip_sync = 1;
	set_up_faults(s);
	plant(s);
	t_memory_is_there();
	s->operations = 0;
	s->fail_at = fail_at;
	s->fail_again = fail_again;
	t_memory.fail_at = (uint64_t)fail_alloc;
	live(s);
	*operations = s->operations;
	*allocations = (int)t_memory.count;
	judge(s);
	l_world_destroy(&s->w);
	free(s);
}

/* Of the run in which nothing fails; a failure can add a few. */
static int operations_at_all, allocations_at_all;

static void count(int began)
{
	once(began, 0, 0, 0, &operations_at_all, &allocations_at_all);
	print_message("%d operations, %d allocations\n", operations_at_all, allocations_at_all);
	assert_true(operations_at_all > 60 && allocations_at_all > 60);
}

static void each_operation_fails(void **state)
{
	int began, n, operations, allocations;

	(void)state;
	for (began = EMPTY; began <= DAMAGED; began++) {
		count(began);
		for (n = 1; n <= operations_at_all; n++) {
			once(began, n, 0, 0, &operations, &allocations);
			if (operations > operations_at_all)
				operations_at_all = operations;
		}
	}
}

/* The second failure meets the answer to the first: what is done about a failing file fails too. */
static void two_operations_fail(void **state)
{
	int began, n, apart, operations, allocations;

	(void)state;
	for (began = WHOLE; began <= DAMAGED; began++) {
		count(began);
		for (n = 1; n <= operations_at_all; n++) {
			for (apart = 1; apart <= APART; apart++) {
				once(began, n, n + apart, 0, &operations, &allocations);
				if (operations > operations_at_all)
					operations_at_all = operations;
			}
		}
	}
}

static void each_allocation_fails(void **state)
{
	int began, n, operations, allocations;

	(void)state;
	for (began = EMPTY; began <= DAMAGED; began++) {
		count(began);
		for (n = 1; n <= allocations_at_all; n++) {
			once(began, 0, 0, n, &operations, &allocations);
			if (allocations > allocations_at_all)
				allocations_at_all = allocations;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operation_fails),
		cmocka_unit_test(two_operations_fail),
		cmocka_unit_test(each_allocation_fails),
	};

	if (access("/dev/shm", W_OK) == 0) /* thousands of small files */
		(void)setenv("TMPDIR", "/dev/shm", 1);
	return cmocka_run_group_tests_name("ledger, the n-th fails", tests, NULL, NULL);
}
