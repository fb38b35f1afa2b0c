/* SPDX-License-Identifier: MIT */
/* A pool of rings as an earlier process, or whoever forged its file with right checksums, left it. */
#include "../support.h"

#include "../../lib/base/bytes.h"
#include "../../lib/media/pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { UNITS = 4, PAGE = 4096 };

static char dir[128];
static rco__env env;

static int setup(void **state)
{
	(void)state;
	t_tempdir(t_shm(), dir, sizeof dir);
	return rco__env_init(&env, NULL, NULL, NULL, NULL);
}

static int teardown(void **state)
{
	(void)state;
	t_rmtree(dir);
	return 0;
}

static rco__ring *ring_of(rco__pool *pool, const void *meta, size_t meta_size)
{
	static const uint8_t id[16] = {7};
	rco__ring *ring;

	assert_int_equal(
		rco__pool_get(pool, RCO__POOL_UNIT, id, 1, RCO_FORMAT_PCMU_8K, "caller", meta, meta_size, &ring),
		RCO_OK);
	return ring;
}

/* A file with one ring in use, and the number of that. */
static uint32_t left_behind(const char *name)
{
	rco__pool *pool;
	rco__ring *ring;
	uint32_t number;

	assert_int_equal(rco__pool_make(&env, dir, name, UNITS * RCO__POOL_UNIT, &pool), RCO_OK);
	ring = ring_of(pool, "meta", 4);
	memset(rco__pool_data(pool, ring), 'a', 100);
	atomic_store(&ring->gate, 100);
	number = (uint32_t)(ring - rco__pool_map_of(pool).rings);
	rco__pool_close(pool);
	rco__pool_free(pool);
	return number;
}

static int file_of(const char *name)
{
	char path[256];
	int fd;

	t_join(path, sizeof path, dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

/* Its owner says something else, with the checksum that belongs to that. */
static void forge(const char *name, uint32_t number, void (*change)(rco__ring_owner *))
{
	off_t at = PAGE + PAGE + (off_t)(number * sizeof(rco__ring_owner)); /* the rings fit into a page */
	rco__ring_owner o;
	int fd = file_of(name);

	assert_int_equal(pread(fd, &o, sizeof o, at), sizeof o);
	change(&o);
	o.crc = rco__crc32c(0, &o.leg, sizeof o - offsetof(rco__ring_owner, leg));
	assert_int_equal(pwrite(fd, &o, sizeof o, at), sizeof o);
	assert_int_equal(close(fd), 0);
}

static void as_it_is(rco__ring_owner *o)
{
	(void)o;
}

static void no_such_leg(rco__ring_owner *o)
{
	o->leg = RCO_MAX_LEGS;
}

static void no_such_format(rco__ring_owner *o)
{
	o->format = 12345;
}

static void too_long(rco__ring_owner *o)
{
	o->meta_size = RCO_META_MAX + 1;
}

static void too_large(rco__ring_owner *o)
{
	o->units = 2 * UNITS;
}

static void count(rco__pool *pool, rco__ring *ring, void *user_data)
{
	rco__ring_owner owner;

	assert_int_equal(rco__pool_owner(pool, ring, &owner), RCO_OK);
	++*(int *)user_data;
}

/* What is said of it is believed only where it can be: else ring and audio go, and nothing else does. */
static void taken_up(const char *name, void (*change)(rco__ring_owner *), int good)
{
	uint32_t number = left_behind(name);
	uint64_t damaged = 0;
	rco__pool *pool;
	int n = 0;

	forge(name, number, change);
	assert_int_equal(rco__pool_take(&env, dir, name, &damaged, &pool), RCO_OK);
	assert_int_equal(damaged, !good);
	rco__pool_orphans(pool, count, &n);
	assert_int_equal(n, good);
	assert_int_equal(rco__pool_free_bytes(pool), (uint64_t)(UNITS - good) * RCO__POOL_UNIT);
	assert_int_equal(rco__pool_map_of(pool).audio[(size_t)number * RCO__POOL_UNIT] == 'a', good);
	rco__pool_empty(pool);
	rco__pool_close(pool);
	rco__pool_free(pool);
}

static void test_owners(void **state)
{
	(void)state;
	taken_up("as-it-is.rings", as_it_is, 1);
	taken_up("leg.rings", no_such_leg, 0);
	taken_up("format.rings", no_such_format, 0);
	taken_up("long.rings", too_long, 0);
	taken_up("large.rings", too_large, 0);
}

/* Rings of another size than this library's, under this version's number. */
static void test_another_layout(void **state)
{
	uint32_t word[8]; /* magic 8, version, units, size of a ring, of an owner, checksum */
	uint64_t damaged = 0;
	rco__pool *pool;
	int fd;

	(void)state;
	(void)left_behind("layout.rings");
	fd = file_of("layout.rings");
	assert_int_equal(pread(fd, word, sizeof word, 0), sizeof word);
	assert_int_equal(word[4], sizeof(rco__ring));
	word[4] = 32;
	word[6] = rco__crc32c(0, word, 24);
	assert_int_equal(pwrite(fd, word, sizeof word, 0), sizeof word);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rco__pool_take(&env, dir, "layout.rings", &damaged, &pool), RCO_E_NOT_FOUND);
	assert_int_equal(damaged, 1);
}

static void test_a_ring_and_its_note(void **state)
{
	uint8_t meta[RCO_META_MAX] = {0}, note[RCO__NOTE_BYTES] = {9}, back[RCO__NOTE_BYTES];
	char name[256];
	rco__ring_owner owner;
	rco__pool *pool;
	rco__ring *ring;

	(void)state;
	assert_int_equal(rco__pool_make(&env, dir, "note.rings", UNITS * RCO__POOL_UNIT, &pool), RCO_OK);
	ring = ring_of(pool, meta, RCO__NOTE_AT);
	rco__pool_note(pool, ring, note);
	assert_int_equal(rco__pool_owner(pool, ring, &owner), RCO_OK);
	assert_int_equal(rco__pool_noted(&owner, back), 1);
	assert_memory_equal(back, note, sizeof note);
	assert_int_equal(rco__pool_put(pool, ring), RCO_OK);
	assert_int_equal(rco__pool_put(pool, ring), RCO_OK); /* it is given back already */
	assert_int_equal(rco__pool_capacity(pool, ring), 0);
	assert_int_equal(rco__pool_owner(pool, ring, &owner), RCO_E_CORRUPT);
	ring = ring_of(pool, meta, RCO_META_MAX); /* meta data that leave no room for one */
	rco__pool_note(pool, ring, note);
	assert_int_equal(rco__pool_owner(pool, ring, &owner), RCO_OK);
	assert_int_equal(rco__pool_noted(&owner, back), 0);
	rco__pool_empty(pool);
	rco__pool_close(pool);
	rco__pool_free(pool);
	memset(name, 'n', 200);
	name[200] = '\0';
	assert_int_equal(rco__pool_make(&env, dir, name, UNITS * RCO__POOL_UNIT, &pool), RCO_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_another_layout),
		cmocka_unit_test(test_a_ring_and_its_note),
	};

	return cmocka_run_group_tests_name("pool", tests, setup, teardown);
}
