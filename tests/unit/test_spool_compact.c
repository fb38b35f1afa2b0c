/* SPDX-License-Identifier: MIT */
/*
 * Compacting the spool: a long call does not keep the space of those that ended; at every moment a crash, a
 * failing disk, an erasure or an opt-out finds all audio that was kept, bit for bit, and nothing of what was
 * erased.
 */
#include "../support_base.h"
#include "../support_spool.h"

#include "../../lib/storage/spool_internal.h"

enum { SEGMENT = 20000, LONG = 1, OTHER = 3, SHORT = 2, LONG_PIECE = 100, SHORT_PIECE = 900 };
enum { BEFORE, AFTER, HALF };

/* A file system that can fail or tell at each change, and says what was done in which order. */
typedef struct watch {
	rco__fs table;
	const rco__fs *real;
	_Atomic uint32_t changes, at; /* so far; at which something happens, counted from 1, 0: never */
	_Atomic int lasting, how, code;
	_Atomic int copy_full; /* no space for compacted segments */
	_Atomic int copy_fd;
	_Atomic uint32_t other_syncs; /* of other files than the copy */
	void (*then)(void *);         /* in place of failing */
	void (*at_rename)(void *);
	void *then_arg;
	char order[4096]; /* S sync of the copy, R rename, D sync of the folder, U a segment removed */
	size_t n_order;
	pthread_mutex_t order_lock;
} watch;

static void note(watch *w, char what)
{
	(void)pthread_mutex_lock(&w->order_lock);
	if (w->n_order + 1 < sizeof w->order)
		w->order[w->n_order++] = what;
	w->order[w->n_order] = '\0';
	(void)pthread_mutex_unlock(&w->order_lock);
}

static int ends(const char *path, const char *with)
{
	return strlen(path) >= strlen(with) && strcmp(path + strlen(path) - strlen(with), with) == 0;
}

static int hit(watch *w)
{
	uint32_t n = atomic_fetch_add(&w->changes, 1) + 1, at = atomic_load(&w->at);

	if (at == 0 || (n != at && !(n > at && atomic_load(&w->lasting))))
		return 0;
	if (w->then == NULL)
		return 1;
	w->then(w->then_arg);
	return 0;
}

static int c_open(void *ctx, const char *path, int how, int *fd)
{
	watch *w = ctx;
	int rc;

	if (how >= RCO__FS_CREATE && hit(w))
		return atomic_load(&w->code);
	rc = w->real->open(w->real->ctx, path, how, fd);
	if (rc == RCO_OK && ends(path, "compact.tmp"))
		atomic_store(&w->copy_fd, *fd);
	return rc;
}

static int c_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	watch *w = ctx;
	int bad = hit(w), how = atomic_load(&w->how), rc;

	if (fd == atomic_load(&w->copy_fd) && atomic_load(&w->copy_full))
		return RCO_E_NO_SPACE;
	if (bad && how == BEFORE)
		return atomic_load(&w->code);
	rc = w->real->write(w->real->ctx, fd, buf, bad && how == HALF ? size / 2 : size, offset);
	return bad ? atomic_load(&w->code) : rc;
}

static int c_sync(void *ctx, int fd)
{
	watch *w = ctx;

	if (fd == atomic_load(&w->copy_fd))
		note(w, 'S');
	else
		atomic_fetch_add(&w->other_syncs, 1);
	return hit(w) ? atomic_load(&w->code) : RCO_OK;
}

static int c_sync_dir(void *ctx, const char *path)
{
	(void)path;
	note(ctx, 'D');
	return hit(ctx) ? atomic_load(&((watch *)ctx)->code) : RCO_OK;
}

static int c_rename(void *ctx, const char *from, const char *to)
{
	watch *w = ctx;

	note(w, 'R');
	if (w->at_rename != NULL)
		w->at_rename(w->then_arg);
	return hit(w) ? atomic_load(&w->code) : w->real->rename(w->real->ctx, from, to);
}

static int c_unlink(void *ctx, const char *path)
{
	watch *w = ctx;

	if (ends(path, ".rcos"))
		note(w, 'U');
	return hit(w) ? atomic_load(&w->code) : w->real->unlink(w->real->ctx, path);
}

static void watch_init(watch *w)
{
	memset(w, 0, sizeof *w);
	assert_int_equal(pthread_mutex_init(&w->order_lock, NULL), 0);
	w->real = rco__fs_posix();
	w->table = *w->real;
	w->table.ctx = w;
	w->table.open = c_open;
	w->table.write = c_write;
	w->table.sync = c_sync;
	w->table.sync_dir = c_sync_dir;
	w->table.rename = c_rename;
	w->table.unlink = c_unlink;
	atomic_store(&w->code, RCO_E_NO_SPACE);
	atomic_store(&w->copy_fd, -1);
}

static void arm(watch *w, uint32_t in, int how)
{
	atomic_store(&w->how, how);
	atomic_store(&w->at, in == 0 ? 0 : atomic_load(&w->changes) + in);
}

static void start(bench *b, watch *w)
{
	watch_init(w);
	b_init_under(b, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
	b->fs = &w->table;
	b->segment_bytes = SEGMENT;
	b_open(b);
}

static void add_size(const char *file, void *user_data)
{
	struct stat st;

	if (ends(file, ".rcos") && stat(file, &st) == 0)
		*(uint64_t *)user_data += (uint64_t)st.st_size;
}

static uint64_t segment_bytes(bench *b)
{
	uint64_t sum = 0;

	t_tree_each(b->spool_path, add_size, &sum);
	return sum;
}

/* As the engine's housekeeping, some seconds long. */
static void maintain(bench *b, int times)
{
	int i;

	for (i = 0; i < times; i++) {
		t_clock_advance(&b->clock, 11000);
		assert_int_equal(rco__spool_maintain(b->spool), RCO_OK);
	}
}

/* Two long calls and so many short ones between their pieces, which are then erased. */
static uint64_t fill(bench *b, uint64_t from, int rounds)
{
	int i;
	uint64_t k;

	for (i = 0; i < rounds; i++) {
		b_begin(b, SHORT);
		b_noise(b, LONG, 0, from, LONG_PIECE);
		for (k = 0; k < 8; k++)
			b_noise(b, SHORT, 0, k * SHORT_PIECE, SHORT_PIECE);
		b_noise(b, OTHER, 1, from, LONG_PIECE);
		from += LONG_PIECE;
		b_erase(b, SHORT);
	}
	return from;
}

static void check_kept(bench *b, uint64_t held)
{
	b_found f;

	b_scan(b, &f);
	assert_int_equal(f.n, 2);
	assert_int_equal(b_where(&f, SHORT), -1);
	assert_int_equal(f.at[b_where(&f, LONG)].damaged, 0);
	assert_int_equal(f.at[b_where(&f, OTHER)].damaged, 0);
	b_holds(b, LONG, 0, held);
	b_holds(b, OTHER, 1, held);
}

/* Hundreds of calls come and go while two go on: files and bytes stay few, and the two are whole. */
static void test_space_returns(void **state)
{
	uint64_t held = 0, live;
	bench b;
	watch w;
	int i;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	for (i = 0; i < 60; i++) {
		held = fill(&b, held, 5);
		assert_int_equal(b_try_flush(&b), RCO_OK);
		maintain(&b, 2);
		live = 2 * (held / LONG_PIECE) * (LONG_PIECE * 2 + RCO__SPOOL_REC_HEADER + 24);
		assert_true(segment_bytes(&b) <= 4 * live + 4 * SEGMENT);
		assert_true(b_files(b.spool_path, ".rcos", NULL) <= 4 * live / SEGMENT + 4);
	}
	check_kept(&b, held);
	assert_int_equal(b_files(b.spool_path, "compact.tmp", NULL), 0);
	b_reopen(&b);
	check_kept(&b, held);
	held = fill(&b, held, 5);
	maintain(&b, 2);
	check_kept(&b, held);
	b_erase(&b, LONG);
	b_erase(&b, OTHER);
	b_reopen(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 0);
	b_destroy(&b);
}

/* Durable before it is named, named before anything goes, and known to be named. */
static void test_order_on_disk(void **state)
{
	const char *renamed;
	uint64_t held;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	w.n_order = 0;
	w.order[0] = '\0';
	maintain(&b, 2);
	renamed = strchr(w.order, 'R');
	assert_non_null(renamed);
	assert_true(renamed > w.order && renamed[-1] == 'S');
	assert_int_equal(renamed[1], 'D');
	assert_int_equal(renamed[2], 'U');
	assert_null(strchr(w.order, 'U') < renamed ? w.order : NULL);
	check_kept(&b, held);
	b_destroy(&b);
}

static void flush_now(void *arg)
{
	assert_int_equal(b_try_flush(arg), RCO_OK);
}

/* A flush means what is being replaced too, until that is done: or it would say "durable" of what a power cut
 * takes.
 */
static void test_flush_meanwhile(void **state)
{
	uint32_t files;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	(void)fill(&b, 0, 10);
	files = (uint32_t)b_files(b.spool_path, ".rcos", NULL);
	assert_true(files >= 4);
	w.at_rename = flush_now;
	w.then_arg = &b;
	atomic_store(&w.other_syncs, 0);
	maintain(&b, 1);
	assert_non_null(strchr(w.order, 'R'));
	assert_true(atomic_load(&w.other_syncs) >= files);
	b_destroy(&b);
}

/* ---- step by step ---- */

/* Time passes with every look at the clock: so a step does little. */
static int64_t ticking(void *user_data)
{
	t_clock *clock = user_data;

	return atomic_fetch_add(&clock->mono_us, 8000);
}

/* Between steps calls go on, are read, erased and opted out; a crash after any of them finds all that is kept. */
static void test_in_steps(void **state)
{
	enum { ROUNDS = 60 };
	int erased;

	(void)state;
	for (erased = 0; erased <= 2; erased++) {
		uint64_t held, others;
		bench b, crashed;
		watch w;
		int i, steps = 0, rc;

		watch_init(&w);
		b_init_under(&b, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
		b.fs = &w.table;
		b.segment_bytes = SEGMENT;
		b.clock_table.monotonic_us = ticking;
		b_open(&b);
		b_begin(&b, LONG);
		b_begin(&b, OTHER);
		held = others = fill(&b, 0, ROUNDS);
		for (i = 0; i < 40; i++) {
			assert_int_equal(rco__spool_maintain(b.spool), RCO_OK);
			steps += b_files(b.spool_path, "compact.tmp", NULL) == 1;
			b_noise(&b, LONG, 0, held, LONG_PIECE);
			held += LONG_PIECE;
			if (i == 1 && erased == 1)
				b_erase(&b, OTHER);
			if (i == 1 && erased == 2)
				b_revoke(&b, OTHER);
			if (i == 20 && erased == 2)
				b_erase(&b, OTHER);
			b_holds(&b, LONG, 0, held);
			b_crash(&b, &crashed);
			b_open(&crashed);
			b_holds(&crashed, LONG, 0, held);
			if (erased == 0)
				b_holds(&crashed, OTHER, 1, others);
			else if (i >= (erased == 1 ? 1 : 20))
				assert_int_equal(b_readable(&crashed, OTHER, 1, &rc), 0);
			if (i == 19 && erased == 2) /* nothing more was copied once its key was gone */
				assert_true(b_readable(&crashed, OTHER, 1, &rc) < others);
			b_destroy(&crashed);
		}
		assert_true(steps >= 4);
		assert_true(segment_bytes(&b) < 5 * SEGMENT);
		b_reopen(&b);
		b_holds(&b, LONG, 0, held);
		if (erased == 0)
			b_holds(&b, OTHER, 1, others);
		b_destroy(&b);
	}
}

/* ---- crashes ---- */

struct crash {
	bench *b;
	bench copy;
	int done;
};

static void crash_now(void *arg)
{
	struct crash *c = arg;

	b_crash(c->b, &c->copy);
	c->done = 1;
}

static void test_crash_at_each_change(void **state)
{
	uint32_t n, total = 0;

	(void)state;
	for (n = 1; n == 1 || n <= total; n++) {
		struct crash crash = {.done = 0};
		uint64_t held;
		uint32_t before;
		bench b;
		watch w;

		start(&b, &w);
		b_begin(&b, LONG);
		b_begin(&b, OTHER);
		held = fill(&b, 0, 10);
		crash.b = &b;
		w.then = crash_now;
		w.then_arg = &crash;
		before = atomic_load(&w.changes);
		arm(&w, n, BEFORE);
		maintain(&b, 2);
		total = atomic_load(&w.changes) - before;
		arm(&w, 0, BEFORE);
		check_kept(&b, held);
		assert_true(crash.done);
		b_open(&crash.copy);
		check_kept(&crash.copy, held);
		assert_int_equal(rco__spool_quarantined(crash.copy.spool), 0);
		assert_int_equal(b_files(crash.copy.spool_path, "compact.tmp", NULL), 0);
		/* it goes on from there, and once more */
		held = fill(&crash.copy, held, 5);
		maintain(&crash.copy, 3);
		b_reopen(&crash.copy);
		check_kept(&crash.copy, held);
		assert_true(segment_bytes(&crash.copy) < 4 * SEGMENT);
		b_destroy(&crash.copy);
		b_destroy(&b);
	}
	assert_true(total >= 8);
}

/* ---- failures ---- */

static void test_each_change_fails(void **state)
{
	uint32_t n, total = 0;
	int how, lasting;

	(void)state;
	for (how = BEFORE; how <= HALF; how++)
		for (lasting = 0; lasting <= 1; lasting++)
			for (n = 1; n == 1 || n <= total; n++) {
				uint32_t before;
				uint64_t held;
				bench b, crashed;
				watch w;

				start(&b, &w);
				b_begin(&b, LONG);
				b_begin(&b, OTHER);
				held = fill(&b, 0, 10);
				before = atomic_load(&w.changes);
				atomic_store(&w.lasting, lasting);
				arm(&w, n, how);
				maintain(&b, 4);
				if (n == 1 && !lasting)
					total = atomic_load(&w.changes) - before + 4;
				check_kept(&b, held);
				b_crash(&b, &crashed);
				b_open(&crashed);
				check_kept(&crashed, held);
				b_destroy(&crashed);
				arm(&w, 0, how);
				maintain(&b, 4); /* what failed is done after all */
				assert_true(segment_bytes(&b) < 3 * SEGMENT);
				held = fill(&b, held, 1);
				check_kept(&b, held);
				b_reopen(&b);
				check_kept(&b, held);
				b_destroy(&b);
			}
	assert_true(total >= 8);
}

/* On a full disk what is dead goes, the rest stays as it was; told once; with space it is done. */
static void test_full_disk(void **state)
{
	uint64_t held, before;
	const char *told;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	b_begin(&b, SHORT);
	for (before = 0; before < 60; before++)
		b_noise(&b, SHORT, 0, before * SHORT_PIECE, SHORT_PIECE);
	before = segment_bytes(&b);
	atomic_store(&w.copy_full, 1);
	maintain(&b, 5);
	assert_true(segment_bytes(&b) >= before);
	b_erase(&b, SHORT);
	maintain(&b, 5);
	assert_true(segment_bytes(&b) <= before - SEGMENT); /* those of which nothing was needed */
	assert_int_equal(b_files(b.spool_path, "compact.tmp", NULL), 0);
	check_kept(&b, held);
	told = strstr(b.log, "cannot be compacted");
	assert_non_null(told);
	assert_null(strstr(told + 1, "cannot be compacted"));
	atomic_store(&w.copy_full, 0);
	maintain(&b, 3);
	assert_true(segment_bytes(&b) < 3 * SEGMENT);
	check_kept(&b, held);
	b_destroy(&b);
}

/* A needed record that is damaged: nothing of its segment goes, what can be read is read, the rest is told. */
static void test_damaged_segment_stays(void **state)
{
	char path[256];
	uint64_t held, good;
	size_t size, n;
	uint8_t *data;
	bench b;
	watch w;
	int rc;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	(void)snprintf(path, sizeof path, "%s/%016x.rcos", b.spool_path, 2);
	data = t_read_file(path, &size);
	assert_non_null(data);
	for (n = RCO__SPOOL_SEG_HEADER; data[n + 8] != LONG;) /* byte 0 of the id */
		n += rco__record_size(rco__get32(data + n + 32));
	data[n + RCO__SPOOL_REC_HEADER + 3] ^= 1;
	t_write_file(path, data, size);
	free(data);
	maintain(&b, 10);
	assert_true(t_exists(path));
	assert_non_null(strstr(b.log, "damaged"));
	good = b_readable(&b, LONG, 0, &rc);
	assert_int_equal(rc, RCO_E_CORRUPT);
	assert_true(good > 0 && good < held && good % LONG_PIECE == 0);
	b_holds(&b, OTHER, 1, held);
	held = fill(&b, held, 30); /* those behind it are compacted all the same */
	maintain(&b, 10);
	assert_true(segment_bytes(&b) < 5 * SEGMENT);
	b_reopen(&b);
	assert_int_equal(b_readable(&b, LONG, 0, &rc), good);
	b_holds(&b, OTHER, 1, held);
	b_destroy(&b);
}

/* ---- erasing meanwhile ---- */

struct meddle {
	bench *b;
	int revoke, done;
};

static void erase_long(void *arg)
{
	struct meddle *m = arg;

	m->done = 1;
	if (m->revoke)
		b_revoke(m->b, LONG);
	else
		b_erase(m->b, LONG);
}

/* At each change of a compaction one of the two is erased, or only its key: it stays so, the other stays whole. */
static void test_erased_at_each_change(void **state)
{
	uint32_t n, total = 0;
	int revoke;

	(void)state;
	for (revoke = 0; revoke <= 1; revoke++)
		for (n = 1; n == 1 || n <= total; n++) {
			struct meddle m;
			uint32_t before;
			uint64_t held;
			b_found f;
			size_t got;
			uint8_t byte;
			bench b;
			watch w;

			start(&b, &w);
			b_begin(&b, LONG);
			b_begin(&b, OTHER);
			held = fill(&b, 0, 10);
			m.b = &b;
			m.revoke = revoke;
			m.done = 0;
			w.then = erase_long;
			w.then_arg = &m;
			before = atomic_load(&w.changes);
			arm(&w, n, BEFORE);
			maintain(&b, 2);
			if (atomic_load(&w.changes) - before > total)
				total = atomic_load(&w.changes) - before;
			arm(&w, 0, BEFORE);
			if (!m.done) /* erasing has changes of its own: there are fewer of compacting */
				erase_long(&m);
			assert_int_equal(b_try_read(&b, LONG, 0, 0, &byte, 1, &got), RCO_E_NOT_FOUND);
			b_holds(&b, OTHER, 1, held);
			b_erase(&b, LONG);
			maintain(&b, 6);
			assert_true(segment_bytes(&b) < 3 * SEGMENT);
			b_reopen(&b);
			b_scan(&b, &f);
			assert_int_equal(f.n, 1);
			assert_int_equal(b_where(&f, LONG), -1);
			b_holds(&b, OTHER, 1, held);
			b_erase(&b, OTHER);
			b_reopen(&b);
			assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 0);
			b_destroy(&b);
		}
	assert_true(total >= 8);
}

/* ---- many threads ---- */

struct racing {
	bench *b;
	_Atomic int over;
	_Atomic uint64_t held[2];
};

static void *compacts(void *arg)
{
	struct racing *r = arg;

	while (!atomic_load(&r->over)) {
		t_clock_advance(&r->b->clock, 11000);
		assert_int_equal(rco__spool_maintain(r->b->spool), RCO_OK);
	}
	return NULL;
}

static void *comes_and_goes(void *arg)
{
	struct racing *r = arg;
	uint64_t k;

	while (!atomic_load(&r->over)) {
		b_begin(r->b, SHORT);
		for (k = 0; k < 12; k++)
			b_noise(r->b, SHORT, 0, k * SHORT_PIECE, SHORT_PIECE);
		if (k % 2 == 0)
			b_revoke(r->b, SHORT);
		b_erase(r->b, SHORT);
	}
	return NULL;
}

static void *reads(void *arg)
{
	struct racing *r = arg;

	while (!atomic_load(&r->over)) {
		uint64_t held = atomic_load(&r->held[0]);
		int rc;

		assert_true(b_readable(r->b, LONG, 0, &rc) >= held);
		assert_int_equal(rc, RCO_OK);
	}
	return NULL;
}

static void test_races(void **state)
{
	enum { PIECES = T_SANITIZED ? 300 : 2000 };
	void *(*const jobs[])(void *) = {compacts, compacts, comes_and_goes, reads};
	pthread_t threads[4];
	struct racing r = {.over = 0};
	uint64_t i, held;
	bench b;
	watch w;

	(void)state;
	start(&b, &w);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	b_noise(&b, LONG, 0, 0, LONG_PIECE);
	r.b = &b;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, jobs[i], &r), 0);
	for (i = 1; i < PIECES; i++) {
		b_noise(&b, LONG, 0, i * LONG_PIECE, LONG_PIECE);
		atomic_store(&r.held[0], (i + 1) * LONG_PIECE);
		b_noise(&b, OTHER, 1, (i - 1) * LONG_PIECE, LONG_PIECE);
		if (i % 16 == 0)
			assert_int_equal(b_try_flush(&b), RCO_OK);
	}
	atomic_store(&r.over, 1);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	held = PIECES * LONG_PIECE;
	b_holds(&b, LONG, 0, held);
	b_holds(&b, OTHER, 1, held - LONG_PIECE);
	assert_non_null(strchr(w.order, 'R')); /* there was something to race with */
	b_reopen(&b);
	b_holds(&b, LONG, 0, held);
	b_holds(&b, OTHER, 1, held - LONG_PIECE);
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_space_returns),
		cmocka_unit_test(test_order_on_disk),
		cmocka_unit_test(test_flush_meanwhile),
		cmocka_unit_test(test_in_steps),
		cmocka_unit_test(test_crash_at_each_change),
		cmocka_unit_test(test_each_change_fails),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_damaged_segment_stays),
		cmocka_unit_test(test_erased_at_each_change),
		cmocka_unit_test(test_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
