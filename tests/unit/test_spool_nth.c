/* SPDX-License-Identifier: MIT */
/*
 * A spool with a long index and much to compact: whatever it asks of the disk or of memory fails, each demand in
 * its turn, once or from then on until somebody noticed. Kept recordings stay whole, erased ones gone, and
 * afterwards all of it works.
 */
#include "../support_compact.h"

enum { ROUNDS = 150, MORE = 5, ONCE = 0, ON_AND_ON = 1, STEP = T_SANITIZED ? 61 : 1 };

/* ---- a disk of which every operation can fail ---- */

static struct disk {
	t_disk disk;
	uint64_t count, at; /* operations so far; the one that fails, counted from 1; 0: none */
	int how, code;
} d;

static int asked(t_demand *demand, void *user_data)
{
	uint64_t n;

	(void)user_data;
	switch (demand->kind) {
	case T_DISK_CLOSE:
	case T_DISK_RESERVE:
	case T_DISK_LOCK:
	case T_DISK_STAMP:
		return RCO_OK;
	default:
		n = ++d.count;
		demand->skip = t_is_sync(demand);
		return d.at != 0 && (n == d.at || (d.how == ON_AND_ON && n > d.at))
		               ? rco__fail(d.code, "the disk fails")
		               : RCO_OK;
	}
}

static void disk_init(void)
{
	memset(&d, 0, sizeof d);
	d.code = RCO_E_IO;
	t_disk_init(&d.disk, NULL, asked, NULL);
}

static void disarm(void)
{
	d.at = 0;
	t_memory.fail_at = 0;
	t_memory.fail_from = 0;
}

/* ---- what is there before ---- */

static uint64_t rounds(bench *b, uint64_t from, int n)
{
	for (; n > 0; n--, from += LONG_PIECE) {
		b_begin(b, SHORT);
		b_noise(b, LONG, 0, from, LONG_PIECE);
		b_noise(b, SHORT, 0, 0, SHORT_PIECE);
		b_noise(b, SHORT, 0, SHORT_PIECE, SHORT_PIECE);
		b_noise(b, OTHER, 1, from, LONG_PIECE);
		b_erase(b, SHORT);
	}
	return from;
}

/* Folders to begin with, each time. */
static void make_model(bench *b)
{
	b_init_under(b, t_shm());
	b->segment_bytes = SEGMENT;
	b->fs = &d.disk.table;
	b_open(b);
	b_begin(b, LONG);
	b_begin(b, OTHER);
	(void)rounds(b, 0, ROUNDS);
	b_begin(b, SHORT); /* to be erased, and one to be revoked, under fire */
	b_noise(b, SHORT, 0, 0, SHORT_PIECE);
	b_begin(b, 4);
	b_noise(b, 4, 0, 0, SHORT_PIECE);
	b_close(b);
}

/* ---- under fire ---- */

/* Until it works; one who fails three times has noticed, and the fault goes. */
#define UNTIL(b, call)                                                                                            \
	do {                                                                                                      \
		int tries_;                                                                                       \
		for (tries_ = 1; (call) != RCO_OK; tries_++) {                                                    \
			assert_true(tries_ < 6);                                                                  \
			if (tries_ == 3)                                                                          \
				disarm();                                                                         \
		}                                                                                                 \
	} while (0)

static int try_all_of(bench *b, uint8_t n, uint32_t leg, uint64_t size)
{
	int rc;

	return b_readable(b, n, leg, &rc) == size ? rc : rc == RCO_OK ? RCO_E_CORRUPT : rc;
}

static int try_scan(bench *b)
{
	b_found f;

	memset(&f, 0, sizeof f);
	return rco_spool_buffer_ops()->scan(b_take, &f, b->spool);
}

static void maintain_under_fire(bench *b, int times)
{
	for (; times > 0; times--) {
		t_clock_advance(&b->clock, 70000);
		(void)rco_spool_maintain(b->spool);
	}
}

static uint64_t live(bench *b)
{
	uint64_t held = ROUNDS * LONG_PIECE;
	int i;

	UNTIL(b, b_try_keys(b));
	UNTIL(b, b_try_spool(b));
	UNTIL(b, try_scan(b));
	UNTIL(b, b_try_erase(b, SHORT));
	b_revoke(b, 4);
	maintain_under_fire(b, 4);
	UNTIL(b, try_all_of(b, LONG, 0, held));
	UNTIL(b, b_try_begin(b, LONG, "meta"));
	UNTIL(b, b_try_begin(b, OTHER, "meta"));
	for (i = 0; i < MORE; i++, held += LONG_PIECE) {
		UNTIL(b, b_try_noise(b, LONG, 0, held, LONG_PIECE));
		UNTIL(b, b_try_noise(b, OTHER, 1, held, LONG_PIECE));
		maintain_under_fire(b, 1);
	}
	UNTIL(b, b_try_flush(b));
	UNTIL(b, b_try_erase(b, 4));
	UNTIL(b, try_all_of(b, OTHER, 1, held));
	return held;
}

static void check(bench *b, uint64_t held)
{
	b_found f;

	b_scan(b, &f);
	assert_int_equal(f.n, 2);
	b_holds(b, LONG, 0, held);
	b_holds(b, OTHER, 1, held);
}

/* One life; how many demands there were. */
static uint64_t one_life(const bench *model, uint64_t disk_at, uint64_t memory_at, int how, uint64_t *demands)
{
	uint64_t held;
	bench b;

	b_crash(model, &b);
	b.fs = &d.disk.table;
	b.alloc = &t_allocator;
	d.count = 0;
	d.at = disk_at;
	d.how = how;
	atomic_store(&t_memory.count, 0);
	t_memory.fail_at = how == ONCE ? memory_at : 0;
	t_memory.fail_from = how == ONCE ? 0 : memory_at;
	held = live(&b);
	*demands = disk_at != 0 ? d.count : atomic_load(&t_memory.count);
	disarm();
	maintain_under_fire(&b, 4);
	check(&b, held);
	b_reopen(&b);
	check(&b, held);
	b_destroy(&b);
	return held;
}

static void every_one(int of_memory)
{
	uint64_t n, demands;
	bench model;
	int how;

	disk_init();
	make_model(&model);
	for (how = ONCE; how <= ON_AND_ON + !of_memory; how++) {
		d.code = how > ON_AND_ON ? RCO_E_NO_MEMORY : RCO_E_IO;
		for (n = 1, demands = 1; n <= demands; n += STEP)
			(void)one_life(&model, of_memory ? 0 : n, of_memory ? n : 0, how > ON_AND_ON ? ONCE : how,
			               &demands);
	}
	assert_true(n > (of_memory ? 50 : 200));
	b_destroy(&model);
}

static void test_each_operation_of_the_disk(void **state)
{
	(void)state;
	every_one(0);
}

static void test_each_allocation(void **state)
{
	(void)state;
	every_one(1);
}

/* ---- starts on damage ---- */

enum { SLOT = RCO__SPOOL_SLOT };

static void scribble(const bench *b, const char *name, size_t at, size_t size)
{
	char path[256];
	uint8_t *data;
	size_t length, i;

	t_join(path, sizeof path, b->spool_path, name);
	data = t_read_file(path, &length);
	assert_true(data != NULL && at + size <= length);
	for (i = 0; i < size; i++)
		data[at + i] ^= 0x5a;
	t_write_file(path, data, length);
	free(data);
}

static void damage_header(const bench *b)
{
	scribble(b, "slots.rcok", 3, 1);
}

static void damage_slot(const bench *b)
{
	scribble(b, "slots.rcok", 2 * SLOT + 50, 1); /* the second, of OTHER */
}

static void damage_meta(const bench *b)
{
	scribble(b, "slots.rcok", 2 * SLOT + 40 + RCO__SPOOL_WRAPPED + 1, 1);
}

static void damage_all_slots(const bench *b)
{
	scribble(b, "slots.rcok", 0, SLOT * 4);
}

static void damage_epoch(const bench *b)
{
	char path[256];

	assert_int_equal(b_files(b->spool_path, ".rcoe", path), 1);
	scribble(b, strrchr(path, '/') + 1, 3, 1);
}

/* A record of OTHER, and so there are others behind damage. */
static void damage_records(const bench *b)
{
	static const char name[] = "0000000000000001.rcos";
	char path[256];
	size_t length, at, n = 0;
	uint8_t *data;
	rco__record r;

	t_join(path, sizeof path, b->spool_path, name);
	data = t_read_file(path, &length);
	assert_non_null(data);
	for (at = RCO__SPOOL_SEG_HEADER; at < length; at += rco__record_size(r.cipher_size)) {
		assert_int_equal(rco__record_parse(data + at, length - at, &r), RCO_OK);
		if (r.id[0] == OTHER && n++ == 2)
			break;
	}
	free(data);
	scribble(b, name, at + RCO__SPOOL_REC_HEADER, 1);
}

static void damage_segment_header(const bench *b)
{
	scribble(b, "0000000000000001.rcos", 3, 1);
}

/* Whatever fails during a start on damage, another start has what can be had. */
static void start_under_fire(const bench *model, uint64_t disk_at, uint64_t memory_at, int kept, uint64_t *demands)
{
	int rc;
	bench b;

	b_crash(model, &b);
	b.fs = &d.disk.table;
	b.alloc = &t_allocator;
	b.epoch_s = model->epoch_s;
	d.count = 0;
	d.how = ONCE;
	d.at = disk_at;
	atomic_store(&t_memory.count, 0);
	t_memory.fail_at = memory_at;
	rc = b_try_keys(&b);
	if (rc == RCO_OK)
		rc = b_try_spool(&b);
	if (rc == RCO_OK)
		(void)try_scan(&b);
	*demands = disk_at != 0 ? d.count : atomic_load(&t_memory.count);
	disarm();
	b_close(&b);
	b_open(&b);
	if (kept) {
		b_holds(&b, LONG, 0, 20 * LONG_PIECE);
		b_begin(&b, LONG);
		b_noise(&b, LONG, 0, 20 * LONG_PIECE, LONG_PIECE);
	}
	b_begin(&b, 5);
	b_noise(&b, 5, 0, 0, LONG_PIECE);
	b_reopen(&b);
	b_holds(&b, 5, 0, LONG_PIECE);
	b_destroy(&b);
}

static void test_each_demand_of_a_start_on_damage(void **state)
{
	static const struct {
		void (*damage)(const bench *b);
		int kept; /* LONG is not concerned */
	} cases[] = {{damage_header, 1}, {damage_slot, 1},    {damage_meta, 1},          {damage_all_slots, 0},
	             {damage_epoch, 0},  {damage_records, 1}, {damage_segment_header, 1}};
	uint64_t n, last, demands;
	size_t i, of_memory;
	bench model;

	(void)state;
	disk_init();
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		b_init_under(&model, t_shm());
		model.segment_bytes = SEGMENT;
		model.fs = &d.disk.table;
		b_open(&model);
		b_begin(&model, LONG);
		b_begin(&model, OTHER);
		(void)rounds(&model, 0, 20);
		b_close(&model);
		cases[i].damage(&model);
		for (of_memory = 0; of_memory <= 1; of_memory++) {
			n = 1;
			do { /* until there is no n-th demand */
				start_under_fire(&model, of_memory ? 0 : n, of_memory ? n : 0, cases[i].kept,
				                 &demands);
				last = n;
				n += STEP;
			} while (demands >= last);
		}
		b_destroy(&model);
	}
}

/* ---- after a sync that failed ---- */

/* All slots are written again: until that has worked no flush succeeds. */
static void test_slots_are_written_again(void **state)
{
	uint64_t n;
	bench b;

	(void)state;
	disk_init();
	for (n = 1; n <= 8; n++) {
		b_init_under(&b, t_shm());
		b.fs = &d.disk.table;
		b_open(&b);
		b_begin(&b, LONG);
		d.how = ON_AND_ON;
		d.at = d.count + 1; /* the sync of the slots */
		assert_true(b_try_flush(&b) < 0);
		disarm();
		d.at = d.count + n;
		d.how = ONCE;
		(void)b_try_flush(&b);
		disarm();
		assert_int_equal(b_try_flush(&b), RCO_OK);
		b_noise(&b, LONG, 0, 0, LONG_PIECE);
		b_reopen(&b);
		b_holds(&b, LONG, 0, LONG_PIECE);
		b_destroy(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_operation_of_the_disk),
		cmocka_unit_test(test_each_allocation),
		cmocka_unit_test(test_each_demand_of_a_start_on_damage),
		cmocka_unit_test(test_slots_are_written_again),
	};

	(void)setenv("TMPDIR", t_shm(), 1); /* thousands of folders */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
