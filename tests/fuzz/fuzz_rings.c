/* SPDX-License-Identifier: MIT */
/*
 * The file of rings that a killed process left in shared memory. Whatever it holds, opening succeeds; rings that
 * were not touched are there with their audio; every ring that is reported can be read to its end and given back;
 * units are neither lost nor given twice; audio that no ring speaks for is gone.
 */
#include "fuzz.h"

#include "../../lib/base/bytes.h"
#include "../../lib/media/pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	REPAIR_HEADER = 1,
	REPAIR_OWNERS = 2,
	UNITS = 8,
	PAGE = 4096,
	RINGS_AT = PAGE,
	OWNERS_AT = 2 * PAGE,
	OWNERS = UNITS * (int)sizeof(rco__ring_owner),
	GAPS_AT = OWNERS_AT + (OWNERS + PAGE - 1) / PAGE * PAGE,
	GAPS = UNITS * (int)sizeof(rco__gaps),
	AUDIO_AT = GAPS_AT + (GAPS + PAGE - 1) / PAGE * PAGE,
	FILE_SIZE = AUDIO_AT + UNITS * RCO__POOL_UNIT,
	HEAD = 32,
	RINGS = UNITS * (int)sizeof(rco__ring),
	VIEW = HEAD + RINGS + OWNERS + GAPS, /* what is changed: all but the audio */
	CALLS = 3,
	AUDIO = 1000
};

typedef struct found {
	unsigned n;
	uint64_t units;
	int call[CALLS]; /* is it there, with its audio? */
} found;

static char folder[64];
static uint8_t *base; /* the file as it was left */
static uint32_t first_unit[CALLS];

static void clean_up_file(void)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/rings", folder);
	(void)unlink(path);
}

static void clean_up(void)
{
	char path[128];

	clean_up_file();
	(void)snprintf(path, sizeof path, "%s/rings.tmp", folder);
	(void)unlink(path);
	(void)rmdir(folder);
}

static int open_pool(rco__pool **pool, uint64_t *damaged)
{
	rco__env env;

	*damaged = 0;
	FUZZ_CHECK(rco__env_init(&env, NULL, NULL, NULL, NULL) == RCO_OK);
	return rco__pool_open(&env, folder, "rings", UNITS * RCO__POOL_UNIT, damaged, pool);
}

static void write_file(const uint8_t *data, size_t size)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof path, "%s/rings", folder);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
}

static void read_file(uint8_t *data)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof path, "%s/rings", folder);
	fd = open(path, O_RDONLY);
	FUZZ_CHECK(fd >= 0 && read(fd, data, FILE_SIZE) == FILE_SIZE && close(fd) == 0);
}

static void call_id(uint8_t id[16], unsigned n)
{
	memset(id, 0xb0 + (int)n, 16);
}

static void set_up(void)
{
	static const size_t sizes[CALLS] = {RCO__POOL_UNIT, 2 * RCO__POOL_UNIT, RCO__POOL_UNIT};
	const char *tmp = getenv("TMPDIR");
	rco__pool *pool;
	rco__ring *ring;
	uint64_t damaged;
	uint8_t id[16];
	unsigned n, gap;

	if (base != NULL)
		return;
	if (tmp == NULL || strlen(tmp) > 40) /* run.sh says where, and clears up after what libFuzzer ends */
		tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	(void)snprintf(folder, sizeof folder, "%s/rco-rings-XXXXXX", tmp);
	FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
	base = malloc(FILE_SIZE);
	FUZZ_CHECK(base != NULL && open_pool(&pool, &damaged) == RCO_OK);
	for (n = 0; n < CALLS; n++) {
		call_id(id, n);
		FUZZ_CHECK(rco__pool_get(pool, sizes[n], id, n, RCO_FORMAT_PCMU_8K, "caller", "meta", 4, &ring) ==
		           RCO_OK);
		fuzz_noise(n, 0, rco__pool_data(pool, ring), AUDIO);
		/* Of the second call gaps, of which the buffer has one; the last was not committed. */
		for (gap = 0; n == 1 && gap < 4; gap++)
			FUZZ_CHECK(rco__gaps_add(rco__pool_gaps(pool, ring), gap == 3 ? AUDIO : 300 * gap,
			                         80 * gap, 80));
		if (n == 1)
			atomic_store(&ring->read, rco__gaps_told(rco__pool_gaps(pool, ring), 80));
		atomic_store(&ring->gate, AUDIO);
		first_unit[n] = (uint32_t)(ring - rco__pool_map_of(pool).rings);
	}
	rco__pool_free(pool); /* as if it had been killed */
	read_file(base);
}

/* All of it can be passed on, piece by piece, and ends where the leg does. */
static void drain(rco__gaps *gaps, rco__ring *ring, size_t capacity)
{
	uint64_t index = rco__gate_index(&ring->gate), end = rco__ring_end(ring);
	uint64_t at = atomic_load(&ring->read) + rco__gaps_taken(gaps);
	static rco__gaps mine; /* on a stack the sanitizer aligns to less */
	rco__stretch s;
	unsigned pieces = 0;

	memset(&mine, 0, sizeof mine);
	rco__gaps_copy(&mine, gaps);
	for (s = rco__gaps_look(&mine, index, at); s.size > 0; s = rco__gaps_look(&mine, index, at)) {
		FUZZ_CHECK(++pieces <= 2 * RCO__GAPS && (s.gap || s.size <= capacity) && s.size <= end - at);
		at += s.size;
		FUZZ_CHECK(rco__gaps_told(&mine, at) <= index);
	}
	FUZZ_CHECK(at == end && rco__gaps_taken(&mine) == end - index);
}

static void on_ring(rco__pool *pool, rco__ring *ring, void *user_data)
{
	size_t capacity = rco__pool_capacity(pool, ring);
	rco__ring_owner copy, *owner = &copy;
	uint64_t index = rco__gate_index(&ring->gate), sum = 0;
	uint8_t *data = rco__pool_data(pool, ring), want[AUDIO], id[16];
	found *f = user_data;
	unsigned n;
	size_t i;

	FUZZ_CHECK(rco__pool_owner(pool, ring, owner) == RCO_OK);
	f->n++;
	f->units += owner->units;
	FUZZ_CHECK(owner->leg < RCO_MAX_LEGS && owner->meta_size <= RCO_META_MAX && owner->units <= UNITS);
	FUZZ_CHECK(capacity == (size_t)owner->units * RCO__POOL_UNIT && rco_format_rate_hz(ring->format) != 0);
	FUZZ_CHECK(index - atomic_load(&ring->read) <= capacity && !rco__ring_busy(ring));
	drain(rco__pool_gaps(pool, ring), ring, capacity);
	for (i = 0; i < capacity; i++)
		sum += data[i];
	FUZZ_CHECK(sum < UINT64_MAX);
	for (n = 0; n < CALLS; n++) {
		call_id(id, n);
		fuzz_noise(n, 0, want, sizeof want);
		if (memcmp(owner->recording_id, id, 16) == 0 && index == AUDIO && memcmp(data, want, AUDIO) == 0)
			f->call[n] = 1;
	}
}

static void give_back(rco__pool *pool, rco__ring *ring, void *user_data)
{
	(void)user_data;
	FUZZ_CHECK(rco__pool_put(pool, ring) == RCO_OK);
}

/* Everything can be given out again, each unit once. */
static void use_up(rco__pool *pool)
{
	rco__ring *ring[UNITS + 1];
	uint8_t id[16];
	unsigned i, n = 0;

	call_id(id, 20);
	while (n <= UNITS &&
	       rco__pool_get(pool, RCO__POOL_UNIT, id, 0, RCO_FORMAT_PCMA_8K, "x", "", 0, &ring[n]) == RCO_OK) {
		memset(rco__pool_data(pool, ring[n]), (int)n + 1, RCO__POOL_UNIT);
		n++;
	}
	FUZZ_CHECK(n == rco__pool_bytes(pool) / RCO__POOL_UNIT && rco__pool_free_bytes(pool) == 0);
	for (i = 0; i < n; i++) {
		FUZZ_CHECK(rco__pool_data(pool, ring[i])[RCO__POOL_UNIT - 1] == i + 1);
		FUZZ_CHECK(rco__pool_put(pool, ring[i]) == RCO_OK);
	}
	FUZZ_CHECK(rco__pool_free_bytes(pool) == rco__pool_bytes(pool));
}

static void repair(uint8_t *view, unsigned how)
{
	uint8_t *owner = view + HEAD + RINGS;
	int i;

	if (how & REPAIR_HEADER) {
		uint32_t crc = rco__crc32c(0, view, 24);

		memcpy(view + 24, &crc, sizeof crc);
	}
	for (i = 0; (how & REPAIR_OWNERS) && i < UNITS; i++, owner += sizeof(rco__ring_owner)) {
		uint32_t crc = rco__crc32c(0, owner + 4, sizeof(rco__ring_owner) - 4);

		memcpy(owner, &crc, sizeof crc);
	}
}

/* Which calls' rings and owners, and the header, are as they were. */
static void untouched(const uint8_t *file, size_t size, unsigned how, int whole[CALLS])
{
	unsigned n;

	for (n = 0; n < CALLS; n++) {
		size_t ring = RINGS_AT + first_unit[n] * sizeof(rco__ring);
		size_t owner = OWNERS_AT + first_unit[n] * sizeof(rco__ring_owner);
		size_t gaps = GAPS_AT + first_unit[n] * sizeof(rco__gaps);

		whole[n] = size == FILE_SIZE && memcmp(file, base, HEAD) == 0 &&
		           memcmp(file + ring, base + ring, sizeof(rco__ring)) == 0 &&
		           memcmp(file + owner, base + owner, sizeof(rco__ring_owner)) == 0 &&
		           memcmp(file + gaps, base + gaps, sizeof(rco__gaps)) == 0;
		/* One that was made right in every way may claim the same unit, and comes first. */
		if ((how & REPAIR_OWNERS) && memcmp(file + OWNERS_AT, base + OWNERS_AT, OWNERS) != 0)
			whole[n] = 0;
	}
}

/* The audio of a call that is not there any more is nowhere in the file. */
static void check_gone(const found *f, int claimed)
{
	static uint8_t file[FILE_SIZE];
	uint8_t want[64];
	unsigned n;

	if (claimed) /* another ring may speak for it */
		return;
	read_file(file);
	for (n = 0; n < CALLS; n++) {
		fuzz_noise(n, 100, want, sizeof want);
		FUZZ_CHECK(f->call[n] == (memmem(file, sizeof file, want, sizeof want) != NULL));
	}
}

static void live_with(const int whole[CALLS], unsigned how, size_t size)
{
	found first = {0}, second = {0};
	rco__pool *pool;
	uint64_t damaged;
	unsigned n;
	int rc;

	rc = open_pool(&pool, &damaged);
	if (rc == RCO_E_VERSION) { /* it is left alone */
		FUZZ_CHECK(how & REPAIR_HEADER);
		clean_up_file();
		return;
	}
	FUZZ_CHECK(rc == RCO_OK);
	rco__pool_orphans(pool, on_ring, &first);
	FUZZ_CHECK(first.units * RCO__POOL_UNIT + rco__pool_free_bytes(pool) == rco__pool_bytes(pool));
	for (n = 0; n < CALLS; n++)
		FUZZ_CHECK(first.call[n] || !whole[n]);
	if (size == FILE_SIZE && whole[0] && whole[1] && whole[2])
		check_gone(&first, how & REPAIR_OWNERS);
	rco__pool_free(pool);
	FUZZ_CHECK(open_pool(&pool, &damaged) == RCO_OK && damaged == 0);
	rco__pool_orphans(pool, on_ring, &second);
	FUZZ_CHECK(memcmp(&first, &second, sizeof first) == 0);
	rco__pool_orphans(pool, give_back, NULL);
	use_up(pool);
	rco__pool_close(pool);
	rco__pool_free(pool);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	unsigned how = fuzz_8(&in);
	static uint8_t file[FILE_SIZE], view[VIEW];
	size_t n = VIEW, whole_size = FILE_SIZE;
	int whole[CALLS];

	set_up();
	memcpy(file, base, FILE_SIZE);
	memcpy(view, file, HEAD);
	memcpy(view + HEAD, file + RINGS_AT, RINGS);
	memcpy(view + HEAD + RINGS, file + OWNERS_AT, OWNERS);
	memcpy(view + HEAD + RINGS + OWNERS, file + GAPS_AT, GAPS);
	fuzz_edit(&in, view, &n, VIEW);
	repair(view, how);
	memcpy(file, view, HEAD);
	memcpy(file + RINGS_AT, view + HEAD, RINGS);
	memcpy(file + OWNERS_AT, view + HEAD + RINGS, OWNERS);
	memcpy(file + GAPS_AT, view + HEAD + RINGS + OWNERS, GAPS);
	if (n < VIEW)
		whole_size = n * (FILE_SIZE / VIEW);
	untouched(file, whole_size, how, whole);
	write_file(file, whole_size);
	live_with(whole, how, whole_size);
}

/* Numbers as this machine has them. */
static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	enum { OWNER = HEAD + RINGS };
	const uint8_t edits[][7] = {
		{1, 0},
		{5, 0, FUZZ_XOR, 12, 0, 1},                                 /* units */
		{5, 1, FUZZ_XOR, 12, 0, 4},                                 /* the same, repaired */
		{5, 0, FUZZ_XOR, HEAD, 0, 1},                               /* a gate */
		{5, 0, FUZZ_XOR, HEAD + 7, 0, 0x80},                        /* STOP */
		{5, 0, FUZZ_XOR, HEAD + 9, 0, 0x80},                        /* an entry word */
		{5, 0, FUZZ_XOR, HEAD + 12, 0, 1},                          /* used */
		{5, 2, FUZZ_XOR, (OWNER + 12) & 255, (OWNER + 12) >> 8, 3}, /* units of a ring */
		{5, 2, FUZZ_XOR, (OWNER + 4) & 255, (OWNER + 4) >> 8, 9},   /* leg */
		{4, 0, FUZZ_CUT, 100, 0}};

	if (i >= sizeof edits / sizeof edits[0] || cap < 7)
		return 0;
	memcpy(out, edits[i] + 1, edits[i][0]);
	return edits[i][0];
}

static size_t file_size(void)
{
	return VIEW;
}

FUZZ_TARGET(rings, one, seed, 1024, "lib/media/pool.c", file_size)
