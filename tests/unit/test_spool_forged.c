/* SPDX-License-Identifier: MIT */
/*
 * Records whose checksum is right but which no writer makes, or which are another's: they cost what they replaced
 * and nothing else. And revocations, key epochs and segments that meet at bad moments.
 */
#include "../support_compact.h"

enum { PIECE = 300, PIECES = 5, KEEP = 2 };

/* ---- a file system that looks on ---- */

static struct {
	rco__fs table;
	const rco__fs *real;
	int index_fd, index_fails, index_full, sync_fails;
	int large_reads, fail_large; /* of segments, as a start and a search make them; which of them fails */
	void (*at_read)(void);
	void (*at_large_read)(void);
} eye;

static int e_open(void *ctx, const char *path, int how, int *fd)
{
	int rc = eye.real->open(eye.real->ctx, path, how, fd);

	(void)ctx;
	if (rc == RCO_OK && strstr(path, "index.tmp") != NULL)
		eye.index_fd = *fd;
	return rc;
}

static int e_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	(void)ctx;
	if (eye.at_read != NULL)
		eye.at_read();
	if (size > (1 << 20) && eye.at_large_read != NULL)
		eye.at_large_read();
	if (size > (1 << 20) && ++eye.large_reads == eye.fail_large)
		return rco__fail(RCO_E_IO, "the disk fails");
	if (fd == eye.index_fd && eye.index_fails)
		return rco__fail(RCO_E_IO, "the index cannot be read");
	return eye.real->read(eye.real->ctx, fd, buf, size, offset, got);
}

static int e_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	(void)ctx;
	if (fd == eye.index_fd && eye.index_full)
		return rco__fail(RCO_E_NO_SPACE, "the disk is full");
	return eye.real->write(eye.real->ctx, fd, buf, size, offset);
}

static int e_sync(void *ctx, int fd)
{
	(void)ctx, (void)fd;
	return eye.sync_fails ? rco__fail(RCO_E_IO, "the disk fails") : RCO_OK;
}

static void bench_init(bench *b)
{
	memset(&eye, 0, sizeof eye);
	eye.real = rco__fs_posix();
	eye.table = *eye.real;
	eye.table.open = e_open;
	eye.table.read = e_read;
	eye.table.write = e_write;
	eye.table.sync = e_sync;
	eye.index_fd = -1;
	b_init(b);
	b->fs = &eye.table;
}

/* ---- forging ---- */

typedef void (*change_fn)(rco__record *r);

static void other_id(rco__record *r)
{
	r->id[3] ^= 1;
}

static void other_serial(rco__record *r)
{
	r->serial ^= 1;
}

static void other_leg(rco__record *r)
{
	r->leg = 1;
}

static void other_format(rco__record *r)
{
	r->format = RCO_FORMAT_PCMA_8K;
}

static void other_position(rco__record *r)
{
	r->position++;
}

static void longer(rco__record *r)
{
	r->raw_size++;
}

static void shorter(rco__record *r)
{
	r->raw_size--;
}

static void behind_the_end(rco__record *r)
{
	r->raw_size = RCO__CHUNK_MAX;
}

static void no_leg(rco__record *r)
{
	r->leg = RCO_MAX_LEGS;
}

static void no_format(rco__record *r)
{
	r->format = 0x7fffffff;
}

static void empty(rco__record *r)
{
	r->raw_size = 0;
}

static void too_long(rco__record *r)
{
	r->raw_size = RCO__CHUNK_MAX + 1;
}

static void half_a_sample(rco__record *r)
{
	r->format = RCO_FORMAT_S16_8K;
	r->raw_size |= 1;
}

static void between_samples(rco__record *r)
{
	r->format = RCO_FORMAT_S16_8K;
	r->raw_size &= ~1u;
	r->position |= 1;
}

static void beyond_all(rco__record *r)
{
	r->position = UINT64_MAX;
}

static void without_seal(rco__record *r)
{
	r->cipher_size = RCO__SPOOL_SEAL - 1;
}

/* The nth record of a recording's first leg in a segment. */
static size_t find(const uint8_t *file, size_t size, uint8_t n, size_t nth, rco__record *r)
{
	size_t at = RCO__SPOOL_SEG_HEADER;

	for (;; at += rco__record_size(r->cipher_size)) {
		assert_true(at < size);
		assert_int_equal(rco__record_parse(file + at, size - at, r), RCO_OK);
		if (r->id[0] == n && r->leg == 0 && nth-- == 0)
			return at;
	}
}

/* Returns the file as it was. */
static uint8_t *forge(const bench *b, uint8_t n, size_t nth, change_fn change, char path[256], size_t *size)
{
	uint8_t *before, *file;
	rco__record r;
	size_t at;

	t_join(path, 256, b->spool_path, "0000000000000001.rcos");
	before = t_read_file(path, size);
	file = t_read_file(path, size);
	assert_true(before != NULL && file != NULL);
	at = find(file, *size, n, nth, &r);
	change(&r);
	rco__record_encode(&r, file + at);
	rco__record_finish(file + at, r.cipher_size);
	t_write_file(path, file, *size);
	free(file);
	return before;
}

static void leave_two(bench *b)
{
	uint64_t i;

	bench_init(b);
	b_open(b);
	b_begin(b, 1);
	b_begin(b, KEEP);
	for (i = 0; i < PIECES; i++) {
		b_noise(b, 1, 0, i * PIECE, PIECE);
		b_noise(b, KEEP, 0, i * PIECE, PIECE);
	}
}

/* While the spool has it open: what the index points to is not what was written there. */
static void exchanged_under_its_hands(void **state)
{
	static const change_fn changes[] = {other_id,       other_serial, other_leg, other_format,
	                                    other_position, longer,       shorter};
	char path[256];
	uint8_t *before;
	size_t i, size;
	bench b;
	int rc;

	(void)state;
	leave_two(&b);
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		before = forge(&b, 1, 2, changes[i], path, &size);
		assert_int_equal(b_readable(&b, 1, 0, &rc), 2 * PIECE);
		assert_int_equal(rc, RCO_E_CORRUPT);
		b_holds(&b, KEEP, 0, PIECES * PIECE);
		t_write_file(path, before, size);
		free(before);
		b_holds(&b, 1, 0, PIECES * PIECE);
	}
	b_destroy(&b);
}

/* A start passes them over. */
static void found_at_a_start(void **state)
{
	static const change_fn changes[] = {no_leg,          no_format,  empty,        too_long,    half_a_sample,
	                                    between_samples, beyond_all, without_seal, other_format};
	char path[256];
	size_t i, size;
	bench b;
	int rc;

	(void)state;
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		leave_two(&b);
		b_close(&b);
		free(forge(&b, 1, 2, changes[i], path, &size));
		b_open(&b);
		assert_int_equal(b_readable(&b, 1, 0, &rc), 2 * PIECE);
		b_holds(&b, KEEP, 0, PIECES * PIECE);
		b_erase(&b, 1);
		b_reopen(&b);
		b_holds(&b, KEEP, 0, PIECES * PIECE);
		b_destroy(&b);
	}
}

/* One with all its bytes there that is longer than any can be. */
static void longer_than_any(void **state)
{
	size_t size, big = RCO__CHUNK_MAX + RCO__SPOOL_SEAL + 1;
	uint8_t *file, *more;
	char path[256];
	rco__record r;
	bench b;
	int rc;

	(void)state;
	leave_two(&b);
	b_close(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", path), 1);
	file = t_read_file(path, &size);
	assert_non_null(file);
	(void)find(file, size, 1, PIECES - 1, &r);
	r.position = PIECES * PIECE; /* as if it went on */
	r.cipher_size = (uint32_t)big;
	more = calloc(1, size + rco__record_size(big));
	assert_non_null(more);
	memcpy(more, file, size);
	rco__record_encode(&r, more + size);
	rco__record_finish(more + size, r.cipher_size);
	t_write_file(path, more, size + rco__record_size(big));
	free(file);
	free(more);
	b_open(&b);
	assert_int_equal(b_readable(&b, 1, 0, &rc), PIECES * PIECE);
	assert_int_equal(rc, RCO_OK);
	b_holds(&b, KEEP, 0, PIECES * PIECE);
	b_destroy(&b);
}

/* Exchanged, and then compacted: its segment stays, the others go, and nobody else is concerned. */
static void compacted_with_it(void **state)
{
	static const change_fn changes[] = {other_position, longer, shorter, behind_the_end, other_serial};
	char path[256];
	uint64_t held, good;
	size_t i, size;
	bench b;
	int rc;

	(void)state;
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		bench_init(&b);
		b.segment_bytes = SEGMENT;
		b_open(&b);
		b_begin(&b, LONG);
		b_begin(&b, OTHER);
		held = fill(&b, 0, 10);
		free(forge(&b, LONG, 1, changes[i], path, &size));
		maintain(&b, 10);
		good = b_readable(&b, LONG, 0, &rc);
		assert_int_equal(good, LONG_PIECE);
		assert_int_equal(rc, RCO_E_CORRUPT);
		b_holds(&b, OTHER, 1, held);
		held = fill(&b, held, 20);
		maintain(&b, 10);
		b_holds(&b, OTHER, 1, held);
		assert_true(segment_bytes(&b) < 6 * SEGMENT);
		b_reopen(&b);
		b_holds(&b, OTHER, 1, held);
		b_destroy(&b);
	}
}

/* ---- without the index ---- */

enum { MANY = 200 };

/* Pieces of all sizes, so that the first guess of where a byte stands is wrong in both directions. */
static uint64_t size_of_piece(uint64_t i)
{
	return i < MANY / 2 ? 8 : 200;
}

static uint64_t leave_many(bench *b)
{
	uint64_t i, at = 0;

	bench_init(b);
	b->segment_bytes = 1 << 20;
	b_open(b);
	b_begin(b, 1);
	b_begin(b, KEEP);
	for (i = 0; i < MANY; i++) {
		b_noise(b, 1, 0, at, size_of_piece(i));
		b_noise(b, 1, 1, at, size_of_piece(i));
		b_noise(b, KEEP, 0, at, size_of_piece(i));
		at += size_of_piece(i);
	}
	return at;
}

static void try_read_at(bench *b, uint8_t n, uint64_t position, int expected)
{
	uint8_t data[8], want[8];
	size_t got = 0;

	assert_int_equal(b_try_read(b, n, 0, position, data, sizeof data, &got), expected);
	if (expected != RCO_OK)
		return;
	t_noise(n * 8u, position, want, got);
	assert_memory_equal(data, want, got);
}

static void any_byte_is_found(void **state)
{
	uint64_t held, at;
	bench b;

	(void)state;
	held = leave_many(&b);
	for (at = 0; at + 8 <= held; at += 56)
		try_read_at(&b, 1, at, RCO_OK);
	for (at = held - 8; at >= 64; at -= 64)
		try_read_at(&b, 1, at, RCO_OK);
	b_destroy(&b);
}

/* Searching all segments, it is not led astray by what only looks like a piece of the leg. */
static void searched_among_forged_ones(void **state)
{
	static const change_fn changes[] = {other_id, other_serial, other_leg, other_format, behind_the_end};
	uint64_t held, at = 8 * 20;
	char path[256];
	uint8_t *before;
	size_t i, size;
	bench b;

	(void)state;
	held = leave_many(&b);
	eye.index_fails = 1;
	b_holds(&b, 1, 0, held);
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		before = forge(&b, 1, 20, changes[i], path, &size);
		try_read_at(&b, 1, at - 8, RCO_OK);
		try_read_at(&b, 1, at, RCO_E_CORRUPT);
		b_holds(&b, KEEP, 0, held);
		t_write_file(path, before, size);
		free(before);
	}
	b_holds(&b, 1, 0, held);
	b_destroy(&b);
}

/* ---- an index of which the checksum is right ---- */

enum { BLOCK = 24 + 64 * 16 + 8 };

static void change_block(uint32_t number, size_t at, uint32_t value, uint32_t as)
{
	uint8_t block[BLOCK];

	assert_int_equal(pread(eye.index_fd, block, BLOCK, (off_t)number * BLOCK), BLOCK);
	rco__put32(block + at, value);
	rco__put32(block + BLOCK - 8, rco__crc32c(0, block, BLOCK - 8));
	assert_int_equal(pwrite(eye.index_fd, block, BLOCK, (off_t)as * BLOCK), BLOCK);
}

/* Blocks that are another's, hold more than fits, or say other positions: what they hide is found all the same. */
static void blocks_that_lie(void **state)
{
	static const struct {
		uint32_t number;
		size_t at;
		uint32_t value, as;
	} cases[] = {
		{1, 20, 1, 0},     /* in another's place */
		{0, 16, 65, 0},    /* more pieces than a block has */
		{0, 0, 100000, 0}, /* begins far behind */
		{0, 8, 4, 0},      /* ends at once */
	};
	uint64_t held;
	size_t i;
	bench b;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		held = leave_many(&b);
		change_block(cases[i].number, cases[i].at, cases[i].value, cases[i].as);
		b_holds(&b, 1, 0, held);
		b_holds(&b, 1, 1, held);
		b_holds(&b, KEEP, 0, held);
		assert_non_null(strstr(b.log, "searching"));
		b_destroy(&b);
	}
}

/* Compacting while the index can neither be written nor kept in memory. */
static void compacted_without_room_for_the_index(void **state)
{
	uint64_t held, n;
	bench b;

	(void)state;
	for (n = 1; n < 12; n++) {
		bench_init(&b);
		b.segment_bytes = SEGMENT;
		b.alloc = &t_allocator;
		b_open(&b);
		b_begin(&b, LONG);
		b_begin(&b, OTHER);
		held = fill(&b, 0, 70);
		eye.index_full = 1;
		atomic_store(&t_memory.count, 0);
		t_memory.fail_from = n;
		t_clock_advance(&b.clock, 11000);
		(void)rco_spool_maintain(b.spool);
		t_memory.fail_from = 0;
		b_holds(&b, LONG, 0, held);
		b_holds(&b, OTHER, 1, held);
		eye.index_full = 0;
		maintain(&b, 5);
		check_kept(&b, held);
		b_reopen(&b);
		check_kept(&b, held);
		b_destroy(&b);
	}
}

/* A record that stands in a second segment as well, as a crash between two steps may leave it: it is one. */
static void there_twice(void **state)
{
	uint8_t *first, *second, *both;
	size_t first_size, second_size, at;
	char path[256];
	uint64_t held;
	rco__record r;
	bench b;

	(void)state;
	bench_init(&b);
	b.segment_bytes = SEGMENT;
	b_open(&b);
	b_begin(&b, LONG);
	b_begin(&b, OTHER);
	held = fill(&b, 0, 10);
	b_close(&b);
	t_join(path, sizeof path, b.spool_path, "0000000000000001.rcos");
	first = t_read_file(path, &first_size);
	t_join(path, sizeof path, b.spool_path, "0000000000000002.rcos");
	second = t_read_file(path, &second_size);
	assert_true(first != NULL && second != NULL);
	at = find(first, first_size, LONG, 0, &r);
	both = malloc(second_size + rco__record_size(r.cipher_size));
	assert_non_null(both);
	memcpy(both, second, second_size);
	memcpy(both + second_size, first + at, rco__record_size(r.cipher_size));
	t_write_file(path, both, second_size + rco__record_size(r.cipher_size));
	free(first);
	free(second);
	free(both);
	b_open(&b);
	check_kept(&b, held);
	maintain(&b, 5);
	check_kept(&b, held);
	assert_true(segment_bytes(&b) < 3 * SEGMENT);
	b_reopen(&b);
	check_kept(&b, held);
	b_destroy(&b);
}

/* Neither the index nor memory: it is said, and works when there is memory. */
static void neither_index_nor_memory(void **state)
{
	uint8_t data[8];
	size_t got = 0;
	uint64_t held;
	int rc;
	bench b;

	(void)state;
	held = leave_many(&b);
	b_close(&b);
	b.alloc = &t_allocator;
	b_open(&b);
	b_holds(&b, 1, 0, held);
	eye.index_fails = 1;
	for (t_memory.fail_at = 1;; t_memory.fail_at++) {
		atomic_store(&t_memory.count, 0);
		rc = b_try_read(&b, 1, 0, 12, data, sizeof data, &got);
		if (atomic_load(&t_memory.count) < t_memory.fail_at)
			break;
		assert_int_equal(rc, RCO_E_NO_MEMORY);
	}
	assert_int_equal(rc, RCO_OK);
	assert_true(t_memory.fail_at > 2);
	t_memory.fail_at = 0;
	b_holds(&b, 1, 0, held);
	b_destroy(&b);
}

static void append_pieces(bench *b, uint8_t n, uint64_t from, uint64_t count)
{
	uint64_t i;

	for (i = from; i < from + count; i++)
		b_noise(b, n, 0, i * 8, 8);
}

/* An index that cannot be written is kept in memory, if there is some; places in there are used again. */
static void an_index_in_memory(void **state)
{
	uint64_t i;
	bench b;
	int rc;

	(void)state;
	bench_init(&b);
	b.alloc = &t_allocator;
	b_open(&b);
	for (i = 1; i <= 3; i++) {
		b_begin(&b, (uint8_t)i);
		append_pieces(&b, (uint8_t)i, 0, 64);
	}
	append_pieces(&b, 3, 64, 64); /* so that there is a file */
	eye.index_full = 1;
	for (t_memory.fail_at = 1; t_memory.fail_at < 6; t_memory.fail_at++) /* the next one spills */
		for (i = 0; i < 3; i++) {
			atomic_store(&t_memory.count, 0);
			rc = b_try_noise(&b, 1, 0, 64 * 8, 8);
			assert_true(rc == RCO_OK || rc == RCO_E_NO_MEMORY);
		}
	t_memory.fail_at = 0;
	append_pieces(&b, 1, 64, 1);
	append_pieces(&b, 2, 64, 1);
	b_holds(&b, 2, 0, 65 * 8);
	b_erase(&b, 1);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK); /* its place is free */
	append_pieces(&b, 2, 65, 150);
	b_holds(&b, 2, 0, 215 * 8);
	b_holds(&b, 3, 0, 128 * 8);
	b_close(&b); /* with blocks in memory */
	eye.index_full = 0;
	b_open(&b);
	b_holds(&b, 2, 0, 215 * 8);
	b_destroy(&b);
}

/* ---- files that are cut off under its hands ---- */

static char cut_path[256];
static off_t cut_to;

static void cut_now(void)
{
	if (cut_path[0] != '\0')
		assert_int_equal(truncate(cut_path, cut_to), 0);
}

static void cut_off(void **state)
{
	uint64_t held;
	bench b;

	(void)state;
	held = leave_many(&b);
	b_close(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", cut_path), 1);
	cut_to = RCO__SPOOL_SEG_HEADER;
	eye.at_large_read = cut_now; /* behind the look at its size */
	b_open(&b);
	cut_path[0] = '\0';
	try_read_at(&b, 1, 0, RCO_OK); /* of no byte */
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, PIECE);
	b_holds(&b, 1, 0, PIECE);
	b_destroy(&b);
	/* searched while it goes */
	held = leave_many(&b);
	eye.index_fails = 1;
	b_holds(&b, 1, 0, held);
	assert_int_equal(b_files(b.spool_path, ".rcos", cut_path), 1);
	eye.at_large_read = cut_now;
	try_read_at(&b, 1, 80, RCO_E_CORRUPT);
	cut_path[0] = '\0';
	b_destroy(&b);
}

/* A segment longer than is read at once, and the disk fails behind its beginning. */
static void unreadable_behind_its_beginning(void **state)
{
	uint64_t i;
	bench b;

	(void)state;
	bench_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	for (i = 0; i < 4; i++)
		b_noise(&b, 1, 0, i << 20, 1 << 20);
	b_close(&b);
	for (i = 1; i <= 2; i++) {
		eye.large_reads = 0;
		eye.fail_large = (int)i;
		assert_int_equal(b_try_keys(&b), RCO_OK);
		assert_int_equal(b_try_spool(&b), RCO_E_IO); /* not: damaged */
		eye.fail_large = 0;
		b_close(&b);
	}
	b_open(&b);
	assert_int_equal(rco__spool_quarantined(b.spool), 0);
	b_noise(&b, 1, 0, 4 << 20, 8);
	b_destroy(&b);
}

/* Files with names or contents that are not ours, and one that is gone. */
static void odd_files(void **state)
{
	static const uint8_t zeros[300];
	uint8_t odd[sizeof zeros];
	char path[256];
	bench b;

	(void)state;
	leave_two(&b);
	b_close(&b);
	t_join(path, sizeof path, b.spool_path, "abc");
	t_write_file(path, "x", 1);
	t_join(path, sizeof path, b.spool_path, "0000000000000007.rcos"); /* made just before a power cut */
	t_write_file(path, zeros, sizeof zeros);
	b_open(&b);
	assert_int_equal(rco__spool_quarantined(b.spool), 0);
	assert_false(t_exists(path));
	b_close(&b);
	memcpy(odd, zeros, sizeof odd);
	odd[sizeof odd - 1] = 1; /* no header, and yet something behind it */
	t_write_file(path, odd, sizeof odd);
	b_open(&b);
	assert_int_equal(rco__spool_quarantined(b.spool), 1);
	assert_false(t_exists(path));
	t_join(path, sizeof path, b.spool_path, "0000000000000001.rcos");
	assert_int_equal(unlink(path), 0);
	b_erase(&b, 1);
	b_erase(&b, KEEP);
	assert_null(strstr(b.log, "cannot be removed"));
	b_destroy(&b);
}

static void slots_cut_off(void **state)
{
	char path[256];
	bench b;

	(void)state;
	bench_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	eye.sync_fails = 1;
	assert_int_equal(b_try_flush(&b), RCO_E_IO);
	eye.sync_fails = 0;
	assert_int_equal(b_files(b.spool_path, "slots.rcok", path), 1);
	assert_int_equal(truncate(path, 2 * RCO__SPOOL_SLOT), 0);
	assert_int_equal(b_try_flush(&b), RCO_OK); /* what is there is written again */
	b_noise(&b, 1, 0, 0, PIECE);
	b_holds(&b, 1, 0, PIECE);
	b_destroy(&b);
}

/* ---- revoked at bad moments ---- */

static bench *now;
static uint8_t revoke_it;

static void revoke_now(void)
{
	if (revoke_it != 0)
		b_revoke(now, revoke_it);
}

static void revoked_while_its_key_is_fetched(void **state)
{
	uint8_t data[8];
	size_t got;
	bench b;

	(void)state;
	bench_init(&b);
	b_open(&b);
	now = &b;
	b_begin(&b, KEEP);
	b_noise(&b, KEEP, 0, 0, 100);
	b_reopen(&b); /* which is no erasure */
	eye.at_read = revoke_now;
	revoke_it = KEEP;
	assert_int_equal(b_try_read(&b, KEEP, 0, 0, data, sizeof data, &got), RCO_E_NOT_FOUND);
	revoke_it = 0;
	assert_int_equal(b_try_noise(&b, KEEP, 0, 100, 100), RCO_E_NOT_FOUND);
	assert_int_equal(b_try_begin(&b, KEEP, "meta"), RCO_E_NOT_FOUND); /* until it is erased */
	b_erase(&b, KEEP);
	b_begin(&b, KEEP);
	b_reopen(&b);
	b_destroy(&b);
}

/* ---- epochs ---- */

/* Starts that are short of memory in some place, until there is enough. */
static void open_when_there_is_memory(bench *b)
{
	for (t_memory.fail_at = 1;; t_memory.fail_at++) {
		atomic_store(&t_memory.count, 0);
		if (b_try_spool(b) == RCO_OK) {
			rco_spool_free(b->spool);
			b->spool = NULL;
		}
		if (atomic_load(&t_memory.count) < t_memory.fail_at)
			break;
	}
	assert_true(t_memory.fail_at > 5);
	t_memory.fail_at = 0;
}

/* Each recording has one of its own, and a start has to find memory for each. */
static void many_epochs(void **state)
{
	uint8_t n;
	bench b;

	(void)state;
	bench_init(&b);
	b.epoch_s = 1;
	b_open(&b);
	for (n = 1; n <= 20; n++) {
		b_begin(&b, n);
		b_noise(&b, n, 0, 0, 100);
		t_clock_advance(&b.clock, 1001);
		assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	}
	assert_int_equal(b_files(b.spool_path, ".rcoe", NULL), 21);
	rco_spool_free(b.spool);
	b.spool = NULL;
	b.alloc = &t_allocator;
	open_when_there_is_memory(&b);
	assert_int_equal(b_try_spool(&b), RCO_OK);
	for (n = 1; n <= 20; n++)
		b_holds(&b, n, 0, 100);
	b_erase(&b, 3);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	assert_int_equal(b_files(b.spool_path, ".rcoe", NULL), 20);
	b_destroy(&b);
}

/* ---- segments ---- */

static void odd_segments(void **state)
{
	char path[256];
	uint64_t i;
	bench b;

	(void)state;
	bench_init(&b);
	b.segment_bytes = 100; /* each record is longer */
	b_open(&b);
	b_begin(&b, 1);
	for (i = 0; i < 3; i++)
		b_noise(&b, 1, 0, i * PIECE, PIECE);
	eye.sync_fails = 1; /* of all three */
	assert_int_equal(b_try_flush(&b), RCO_E_IO);
	eye.sync_fails = 0;
	assert_int_equal(b_try_flush(&b), RCO_OK);
	/* names that somebody else has: another is found, if need be with the next try */
	for (i = 4; i < 30; i++) {
		(void)snprintf(path, sizeof path, "%s/%016llx.rcos", b.spool_path, (unsigned long long)i);
		t_write_file(path, "x", 1);
	}
	assert_int_equal(b_try_noise(&b, 1, 0, 3 * PIECE, PIECE), RCO_E_STATE);
	b_noise(&b, 1, 0, 3 * PIECE, PIECE);
	b_holds(&b, 1, 0, 4 * PIECE);
	b_destroy(&b);
}

/* ---- handles ---- */

static void no_spool(void **state)
{
	const rco_buffer_ops *ops = rco_spool_buffer_ops();
	rco_recording recording = {.struct_size = (uint32_t)sizeof recording};
	rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk};
	rco_spool *none = calloc(1, sizeof(struct rco_spool));
	rco_result result = b_result();
	uint8_t id[16] = {1};

	(void)state;
	assert_non_null(none);
	assert_int_equal(ops->open(&recording, 1, &result, none), RCO_E_HANDLE);
	assert_int_equal(ops->append(&chunk, 1, &result, none), RCO_E_HANDLE);
	assert_int_equal(ops->flush(1, &result, none), RCO_E_HANDLE);
	assert_int_equal(ops->seal(id, 1, &result, none), RCO_E_HANDLE);
	assert_int_equal(ops->read(id, 0, 0, id, 1, 1, &result, none), RCO_E_HANDLE);
	ops->revoke(id, none);
	assert_int_equal(ops->erase(id, 1, &result, none), RCO_E_HANDLE);
	assert_int_equal(ops->scan(b_take, NULL, none), RCO_E_HANDLE);
	assert_int_equal(ops->flush(1, &result, NULL), RCO_E_HANDLE);
	rco_spool_free(none); /* is not one, and not touched */
	free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanged_under_its_hands),
		cmocka_unit_test(found_at_a_start),
		cmocka_unit_test(longer_than_any),
		cmocka_unit_test(compacted_with_it),
		cmocka_unit_test(any_byte_is_found),
		cmocka_unit_test(searched_among_forged_ones),
		cmocka_unit_test(neither_index_nor_memory),
		cmocka_unit_test(blocks_that_lie),
		cmocka_unit_test(compacted_without_room_for_the_index),
		cmocka_unit_test(there_twice),
		cmocka_unit_test(unreadable_behind_its_beginning),
		cmocka_unit_test(odd_files),
		cmocka_unit_test(an_index_in_memory),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(slots_cut_off),
		cmocka_unit_test(revoked_while_its_key_is_fetched),
		cmocka_unit_test(many_epochs),
		cmocka_unit_test(odd_segments),
		cmocka_unit_test(no_spool),
	};

	(void)setenv("TMPDIR", t_shm(), 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
