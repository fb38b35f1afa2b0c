/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include "../base/bytes.h"
#include "../base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define POOL_MAGIC   UINT64_C(0x314c4f4f504f4352) /* "RCOPOOL1" */
#define POOL_VERSION 1u
#define PAGE         4096u
#define PATH_CAP     1024u
#define NONE         UINT32_MAX

/* What is known of a unit: TAKEN, INNER of a larger free block, or the order of the free block that begins here.
 */
enum { TAKEN = 254, INNER = 255, ORDERS = 32 };

_Static_assert(sizeof(rco__ring) == 64, "a ring is one cache line");

struct pool_header {
	uint64_t magic;
	uint32_t version;
	uint32_t units;
	uint32_t ring_size;
	uint32_t owner_size;
	uint32_t crc; /* of the fields above */
};

/*
 * A page of header, the rings, their owners, their audio. Units are given out by the buddy system (Knuth, The Art
 * of Computer Programming 1, 2.5): taking and giving back cost the same for a hundred rings and for fifty
 * thousand.
 */
struct rco__pool {
	rco__env env;
	pthread_mutex_t lock; /* guards free_units, the lists and every ring's change of `used` */
	uint8_t *base;
	size_t size;
	uint32_t units; /* and as many rings */
	uint32_t free_units;
	uint8_t *state;        /* of each unit */
	uint32_t *next, *prev; /* free blocks of one order */
	uint32_t heads[ORDERS];
	char path[PATH_CAP]; /* "" for private memory */
};

static size_t pages(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static size_t owners_at(uint32_t units)
{
	return PAGE + pages((size_t)units * sizeof(rco__ring));
}

static size_t audio_at(uint32_t units)
{
	return owners_at(units) + pages((size_t)units * sizeof(rco__ring_owner));
}

static size_t pool_size(uint32_t units)
{
	return audio_at(units) + (size_t)units * RCO__POOL_UNIT;
}

static rco__ring *ring_at(const rco__pool *pool, uint32_t i)
{
	return (rco__ring *)(void *)(pool->base + PAGE) + i;
}

static uint32_t number_of(const rco__pool *pool, const rco__ring *ring)
{
	return (uint32_t)(ring - ring_at(pool, 0));
}

static rco__ring_owner *owner_at(const rco__pool *pool, uint32_t i)
{
	return (rco__ring_owner *)(void *)(pool->base + owners_at(pool->units)) + i;
}

static uint8_t *unit_at(const rco__pool *pool, uint32_t i)
{
	return pool->base + audio_at(pool->units) + (size_t)i * RCO__POOL_UNIT;
}

const rco__ring_owner *rco__pool_owner(const rco__pool *pool, const rco__ring *ring)
{
	return owner_at(pool, number_of(pool, ring));
}

uint8_t *rco__pool_data(const rco__pool *pool, const rco__ring *ring)
{
	return unit_at(pool, number_of(pool, ring));
}

rco__pool_map rco__pool_map_of(const rco__pool *pool)
{
	rco__pool_map map = {ring_at(pool, 0), unit_at(pool, 0)};

	return map;
}

rco__ring_ref rco__pool_ref(const rco__pool *pool, const rco__ring *ring)
{
	uint32_t generation = atomic_load(&((rco__ring *)(uintptr_t)ring)->door) >> 1;

	return (uint64_t)generation << 32 | (number_of(pool, ring) + 1);
}

static uint32_t owner_crc(const rco__ring_owner *owner)
{
	const uint8_t *from = (const uint8_t *)&owner->leg;

	return rco__crc32c(0, from, (size_t)((const uint8_t *)owner + sizeof *owner - from));
}

/* ---- free units ---- */

static void list_add(rco__pool *pool, uint32_t unit, uint8_t order)
{
	pool->state[unit] = order;
	pool->prev[unit] = NONE;
	pool->next[unit] = pool->heads[order];
	if (pool->heads[order] != NONE)
		pool->prev[pool->heads[order]] = unit;
	pool->heads[order] = unit;
}

static void list_remove(rco__pool *pool, uint32_t unit)
{
	uint8_t order = pool->state[unit];

	if (pool->prev[unit] != NONE)
		pool->next[pool->prev[unit]] = pool->next[unit];
	else
		pool->heads[order] = pool->next[unit];
	if (pool->next[unit] != NONE)
		pool->prev[pool->next[unit]] = pool->prev[unit];
	pool->state[unit] = INNER;
}

static uint8_t order_of(uint32_t units)
{
	uint8_t order = 0;

	while ((UINT32_C(1) << order) < units)
		order++;
	return order;
}

static int units_take(rco__pool *pool, uint32_t units, uint32_t *unit)
{
	uint8_t order = order_of(units), at = order;

	while (at < ORDERS && pool->heads[at] == NONE)
		at++;
	if (at == ORDERS)
		return 0;
	*unit = pool->heads[at];
	list_remove(pool, *unit);
	while (at > order) {
		at--;
		list_add(pool, *unit + (UINT32_C(1) << at), at);
	}
	memset(pool->state + *unit, TAKEN, units);
	pool->free_units -= units;
	return 1;
}

static void units_give(rco__pool *pool, uint32_t unit, uint32_t units)
{
	uint8_t order = order_of(units);

	memset(pool->state + unit, INNER, units);
	pool->free_units += units;
	while (order < ORDERS - 1) {
		uint32_t buddy = unit ^ (UINT32_C(1) << order);

		if (buddy >= pool->units || pool->state[buddy] != order)
			break;
		list_remove(pool, buddy);
		unit &= ~(UINT32_C(1) << order);
		order++;
	}
	list_add(pool, unit, order);
}

static int lists_make(rco__pool *pool)
{
	uint32_t i;

	pool->state = rco__zalloc(&pool->env, pool->units, 1);
	pool->next = rco__zalloc(&pool->env, pool->units, sizeof *pool->next);
	pool->prev = rco__zalloc(&pool->env, pool->units, sizeof *pool->prev);
	if (pool->state == NULL || pool->next == NULL || pool->prev == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the ring pool");
	memset(pool->state, INNER, pool->units);
	for (i = 0; i < ORDERS; i++)
		pool->heads[i] = NONE;
	return RCO_OK;
}

static void lists_free(rco__pool *pool)
{
	void *parts[] = {pool->state, pool->next, pool->prev};
	size_t i;

	for (i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (parts[i] != NULL)
			rco__release(&pool->env, parts[i]);
}

/* Whatever no ring holds. */
static void lists_fill(rco__pool *pool)
{
	uint32_t i;

	for (i = 0; i < pool->units; i++)
		if (pool->state[i] != TAKEN)
			units_give(pool, i, 1);
}

/* ---- what an earlier process left ---- */

static uint32_t header_crc(const struct pool_header *h)
{
	return rco__crc32c(0, h, offsetof(struct pool_header, crc));
}

/* What another process left must not make us read or write outside the pool. */
static int ring_sane(const rco__pool *pool, uint32_t i)
{
	const rco__ring_owner *o = owner_at(pool, i);
	uint64_t index = rco__gate_index(&ring_at(pool, i)->gate), read = atomic_load(&ring_at(pool, i)->read);

	if (o->crc != owner_crc(o) || o->meta_size > sizeof o->meta || o->leg >= RCO_MAX_LEGS ||
	    rco_format_rate_hz(o->format) == 0)
		return 0;
	if (o->units == 0 || (o->units & (o->units - 1)) != 0 || o->units > pool->units || i % o->units != 0 ||
	    i > pool->units - o->units)
		return 0;
	return read <= index && index - read <= (uint64_t)o->units * RCO__POOL_UNIT;
}

/* What a push looks at, from what the checksum covers. */
static void ring_set_up(rco__ring *ring, const rco__ring_owner *owner)
{
	ring->format = owner->format;
	ring->sample_bytes = rco_format_sample_bytes(owner->format);
	ring->capacity = owner->units * RCO__POOL_UNIT;
	ring->seen = 0;
	atomic_store(&ring->door, atomic_load(&ring->door) & ~UINT32_C(1)); /* who was inside died with it */
}

/* Account for what is in use; damaged rings are wiped with all the audio they might name. */
static uint64_t adopt_rings(rco__pool *pool)
{
	uint64_t damaged = 0;
	uint32_t i;

	for (i = 0; i < pool->units; i++) {
		uint32_t units = owner_at(pool, i)->units;

		if (!atomic_load(&ring_at(pool, i)->used))
			continue;
		if (!ring_sane(pool, i) || memchr(pool->state + i, TAKEN, units) != NULL) {
			rco_memzero(ring_at(pool, i), sizeof(rco__ring));
			rco_memzero(owner_at(pool, i), sizeof(rco__ring_owner));
			damaged++;
			continue;
		}
		memset(pool->state + i, TAKEN, units);
		ring_set_up(ring_at(pool, i), owner_at(pool, i));
	}
	/* Audio that no ring speaks for, of a damaged ring or of one being given back at the crash, goes now. */
	for (i = 0; i < pool->units; i++)
		if (pool->state[i] != TAKEN)
			rco_memzero(unit_at(pool, i), RCO__POOL_UNIT);
	if (damaged > 0)
		rco__log(&pool->env, RCO_LOG_ERROR, "%llu damaged rings in %s were wiped",
		         (unsigned long long)damaged, pool->path);
	return damaged;
}

/* `*units` of an existing file, 0 if it is not one of ours or damaged. One that cannot be read now is neither: it
 * may hold the last audio of calls, and is left as it is. */
static int probe_existing(const rco__pool *pool, int fd, uint32_t *units)
{
	struct pool_header h;
	struct stat st;
	ssize_t got = pread(fd, &h, sizeof h, 0);

	*units = 0;
	if (got < 0 || fstat(fd, &st) != 0)
		return rco__fail(RCO_E_SHARED_MEMORY, "cannot read %s: %s", pool->path, strerror(errno));
	if (got == (ssize_t)sizeof h && h.magic == POOL_MAGIC && h.version == POOL_VERSION &&
	    h.ring_size == sizeof(rco__ring) && h.owner_size == sizeof(rco__ring_owner) &&
	    h.crc == header_crc(&h) && st.st_size == (off_t)pool_size(h.units))
		*units = h.units;
	return RCO_OK;
}

static void wipe_file(int fd)
{
	static const uint8_t zeros[4096];
	struct stat st;
	off_t at;

	if (fstat(fd, &st) != 0)
		return;
	for (at = 0; at < st.st_size; at += (off_t)sizeof zeros)
		if (pwrite(fd, zeros, sizeof zeros, at) < 0)
			return;
}

static int map_pool(rco__pool *pool, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, pool->size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		return rco__fail(RCO_E_SHARED_MEMORY, "cannot map %zu bytes for the rings: %s", pool->size,
		                 strerror(errno));
	pool->base = p;
	(void)madvise(p, pool->size, MADV_DONTDUMP); /* audio has no place in a core dump */
	/* Nor in a swap file: even a tmpfs is swapped. Locked as it is used, so that an idle pool costs nothing.
	 */
	if (mlock2(p, pool->size, MLOCK_ONFAULT) != 0)
		rco__log(&pool->env, RCO_LOG_WARN,
		         "the rings cannot be locked into memory (%s) and could be swapped to a disk: raise "
		         "RLIMIT_MEMLOCK to %zu bytes, or use no swap",
		         strerror(errno), pool->size);
	return RCO_OK;
}

static void write_header(rco__pool *pool)
{
	struct pool_header h = {.magic = POOL_MAGIC,
	                        .version = POOL_VERSION,
	                        .units = pool->units,
	                        .ring_size = sizeof(rco__ring),
	                        .owner_size = sizeof(rco__ring_owner)};

	h.crc = header_crc(&h);
	memcpy(pool->base, &h, sizeof h);
}

/* Make the file anew under another name and rename it, so that a crash never leaves a half-made pool behind. */
static int make_file(rco__pool *pool, int *out)
{
	char tmp[PATH_CAP + 8];
	int fd, err, rc;

	if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", pool->path) >= sizeof tmp)
		return rco__fail(RCO_E_INVALID, "the path of the rings, %s, is too long", pool->path);
	fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rco__fail(RCO_E_SHARED_MEMORY, "cannot make %s: %s; set ring_dir to a tmpfs", tmp,
		                 strerror(errno));
	err = posix_fallocate(fd, 0, (off_t)pool->size);
	if (err != 0) {
		rc = rco__fail(RCO_E_SHARED_MEMORY,
		               "cannot reserve %zu bytes in %s: %s; lower ring_pool_bytes, enlarge the tmpfs, "
		               "or set RCO_ENGINE_PRIVATE_RINGS",
		               pool->size, tmp, strerror(err));
		goto fail;
	}
	rc = map_pool(pool, fd);
	if (rc != RCO_OK)
		goto fail;
	write_header(pool);
	if (rename(tmp, pool->path) != 0) {
		rc = rco__fail(RCO_E_SHARED_MEMORY, "cannot rename %s: %s", tmp, strerror(errno));
		(void)munmap(pool->base, pool->size);
		pool->base = NULL;
		goto fail;
	}
	*out = fd;
	return RCO_OK;
fail:
	(void)close(fd);
	(void)unlink(tmp);
	return rc;
}

static int open_file(rco__pool *pool, uint64_t *damaged)
{
	uint32_t units = 0;
	int fd = open(pool->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int rc;

	if (fd >= 0) {
		rc = probe_existing(pool, fd, &units);
		if (rc != RCO_OK) {
			(void)close(fd);
			return rc;
		}
		if (units == 0) {
			rco__log(&pool->env, RCO_LOG_ERROR, "%s is damaged or foreign: wiped and replaced",
			         pool->path);
			wipe_file(fd);
			(*damaged)++;
			(void)close(fd);
		}
	} else if (errno != ENOENT) {
		return rco__fail(RCO_E_SHARED_MEMORY, "cannot open %s: %s", pool->path, strerror(errno));
	}
	if (units != 0) {
		pool->units = units;
		pool->size = pool_size(units);
		rc = map_pool(pool, fd);
	} else {
		rc = make_file(pool, &fd);
	}
	if (rc == RCO_OK || units != 0)
		(void)close(fd); /* the mapping keeps the memory; nothing is written through the descriptor */
	return rc;
}

int rco__pool_open(const rco__env *env, const char *dir, const char *name, uint64_t bytes, uint64_t *damaged,
                   rco__pool **out)
{
	rco__pool *pool;
	int rc;

	if (bytes / RCO__POOL_UNIT == 0 || bytes / RCO__POOL_UNIT > UINT32_MAX / 2)
		return rco__fail(RCO_E_INVALID, "ring_pool_bytes is %llu; at least 16384 are needed",
		                 (unsigned long long)bytes);
	pool = rco__zalloc(env, 1, sizeof *pool);
	if (pool == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the ring pool");
	pool->env = *env;
	pool->units = (uint32_t)(bytes / RCO__POOL_UNIT);
	pool->size = pool_size(pool->units);
	if (dir == NULL) {
		rc = map_pool(pool, -1);
	} else {
		rc = rco__path_join(pool->path, sizeof pool->path, dir, name);
		if (rc == RCO_OK)
			rc = open_file(pool, damaged);
	}
	if (rc != RCO_OK)
		goto fail;
	rc = lists_make(pool);
	if (rc != RCO_OK) {
		(void)munmap(pool->base, pool->size);
		goto fail;
	}
	(void)pthread_mutex_init(&pool->lock, NULL);
	if (dir != NULL)
		*damaged += adopt_rings(pool);
	lists_fill(pool);
	*out = pool;
	return RCO_OK;
fail:
	lists_free(pool);
	rco__release(env, pool);
	return rc;
}

void rco__pool_orphans(rco__pool *pool, rco__pool_orphan_fn fn, void *user_data)
{
	uint32_t i;

	for (i = 0; i < pool->units; i++)
		if (atomic_load(&ring_at(pool, i)->used))
			fn(pool, ring_at(pool, i), user_data);
}

void rco__pool_close(rco__pool *pool)
{
	if (pool == NULL)
		return;
	if (pool->path[0] != '\0' && pool->free_units == pool->units && unlink(pool->path) != 0)
		rco__log(&pool->env, RCO_LOG_WARN, "cannot remove %s: %s", pool->path, strerror(errno));
}

void rco__pool_free(rco__pool *pool)
{
	if (pool == NULL)
		return;
	(void)munmap(pool->base, pool->size);
	(void)pthread_mutex_destroy(&pool->lock);
	lists_free(pool);
	rco__release(&pool->env, pool);
}

int rco__pool_get(rco__pool *pool, size_t min_bytes, const uint8_t recording_id[16], uint32_t leg, uint32_t format,
                  const char *label, const void *meta, size_t meta_size, rco__ring **out)
{
	uint32_t units = 1, unit = 0;
	rco__ring_owner *o;
	rco__ring *r;
	int found;

	while ((size_t)units * RCO__POOL_UNIT < min_bytes)
		units *= 2;
	(void)pthread_mutex_lock(&pool->lock);
	found = units_take(pool, units, &unit);
	(void)pthread_mutex_unlock(&pool->lock);
	if (!found)
		return rco__fail(RCO_E_LIMIT, "no ring of %zu bytes is free; raise ring_pool_bytes (now %llu)",
		                 min_bytes, (unsigned long long)rco__pool_bytes(pool));
	r = ring_at(pool, unit);
	o = owner_at(pool, unit);
	memset(o, 0, sizeof *o);
	o->leg = leg;
	o->format = format;
	o->units = units;
	memcpy(o->recording_id, recording_id, 16);
	(void)snprintf(o->label, sizeof o->label, "%s", label);
	o->meta_size = (uint32_t)meta_size;
	memcpy(o->meta, meta, meta_size);
	o->crc = owner_crc(o);
	ring_set_up(r, o);
	atomic_store(&r->gate, RCO__GATE_SHUT);
	atomic_store(&r->used, 1);
	*out = r;
	return RCO_OK;
}

void rco__pool_wipe(rco__pool *pool, rco__ring *ring)
{
	rco_memzero(rco__pool_data(pool, ring), ring->capacity);
}

int rco__pool_put(rco__pool *pool, rco__ring *ring)
{
	uint32_t unit = number_of(pool, ring), units = owner_at(pool, unit)->units;

	if (!rco__ring_lock_out(ring))
		return RCO_PENDING;
	rco__pool_wipe(pool, ring);
	atomic_store(&ring->used, 0);
	atomic_store(&ring->gate, RCO__GATE_SHUT); /* all but the door, whose generation goes on */
	atomic_store(&ring->frames, 0);
	atomic_store(&ring->overflowed, 0);
	atomic_store(&ring->read, 0);
	rco_memzero(owner_at(pool, unit), sizeof(rco__ring_owner));
	(void)pthread_mutex_lock(&pool->lock);
	units_give(pool, unit, units);
	(void)pthread_mutex_unlock(&pool->lock);
	return RCO_OK;
}

uint64_t rco__pool_bytes(const rco__pool *pool)
{
	return (uint64_t)pool->units * RCO__POOL_UNIT;
}

uint64_t rco__pool_free_bytes(rco__pool *pool)
{
	uint64_t bytes;

	(void)pthread_mutex_lock(&pool->lock);
	bytes = (uint64_t)pool->free_units * RCO__POOL_UNIT;
	(void)pthread_mutex_unlock(&pool->lock);
	return bytes;
}
