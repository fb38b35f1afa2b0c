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
#define POOL_HEADER  4096u
#define RING_STRIDE  1024u
#define PATH_CAP     1024u

_Static_assert(sizeof(rco__ring) <= RING_STRIDE, "a ring's control block is one stride");

struct pool_header {
	uint64_t magic;
	uint32_t version;
	uint32_t units;
	uint32_t ring_size;
	uint32_t crc; /* of the fields above */
};

struct rco__pool {
	rco__env env;
	pthread_mutex_t lock; /* guards free_units, taken[] and every ring's change of `used` */
	uint8_t *base;
	size_t size;
	uint32_t units; /* and as many rings */
	uint32_t free_units;
	uint32_t hint_ring;
	uint8_t *taken;      /* one byte for each unit */
	char path[PATH_CAP]; /* "" for private memory */
};

static size_t pool_size(uint32_t units)
{
	return POOL_HEADER + (size_t)units * (RING_STRIDE + RCO__POOL_UNIT);
}

static rco__ring *ring_at(const rco__pool *pool, uint32_t i)
{
	return (rco__ring *)(void *)(pool->base + POOL_HEADER + (size_t)i * RING_STRIDE);
}

uint8_t *rco__pool_data(rco__pool *pool, const rco__ring *ring)
{
	return pool->base + POOL_HEADER + (size_t)pool->units * RING_STRIDE + (size_t)ring->unit * RCO__POOL_UNIT;
}

size_t rco__ring_capacity(const rco__ring *ring)
{
	return (size_t)ring->units * RCO__POOL_UNIT;
}

static uint32_t ring_crc(const rco__ring *ring)
{
	const uint8_t *from = (const uint8_t *)&ring->leg;

	return rco__crc32c(0, from, (size_t)((const uint8_t *)ring + sizeof *ring - from));
}

static uint32_t header_crc(const struct pool_header *h)
{
	return rco__crc32c(0, h, offsetof(struct pool_header, crc));
}

/* What another process left must not make us read or write outside the pool. */
static int ring_sane(const rco__pool *pool, const rco__ring *r)
{
	uint64_t index = atomic_load(&((rco__ring *)(uintptr_t)r)->gate) & RCO__GATE_INDEX;
	uint64_t read = atomic_load(&((rco__ring *)(uintptr_t)r)->read);

	if (r->crc != ring_crc(r) || r->meta_size > sizeof r->meta || r->leg >= RCO_MAX_LEGS ||
	    rco_format_rate_hz(r->format) == 0)
		return 0;
	if (r->units == 0 || (r->units & (r->units - 1)) != 0 || r->units > pool->units ||
	    r->unit > pool->units - r->units)
		return 0;
	return read <= index && index - read <= rco__ring_capacity(r);
}

/* Account for what is in use; damaged rings are wiped with all the audio they might name. */
static uint64_t adopt_rings(rco__pool *pool)
{
	uint64_t damaged = 0;
	uint32_t i;

	for (i = 0; i < pool->units; i++) {
		rco__ring *r = ring_at(pool, i);

		if (!atomic_load(&r->used))
			continue;
		if (!ring_sane(pool, r) || memchr(pool->taken + r->unit, 1, r->units) != NULL) {
			rco_memzero(r, sizeof *r);
			damaged++;
			continue;
		}
		memset(pool->taken + r->unit, 1, r->units);
		pool->free_units -= r->units;
	}
	/* Audio that no ring speaks for, of a damaged ring or of one being given back at the crash, goes now. */
	for (i = 0; i < pool->units; i++)
		if (!pool->taken[i])
			rco_memzero(pool->base + POOL_HEADER + (size_t)pool->units * RING_STRIDE +
			                    (size_t)i * RCO__POOL_UNIT,
			            RCO__POOL_UNIT);
	if (damaged > 0)
		rco__log(&pool->env, RCO_LOG_ERROR, "%llu damaged rings in %s were wiped",
		         (unsigned long long)damaged, pool->path);
	return damaged;
}

/* Units of an existing file, 0 if it is not one of ours or damaged. */
static uint32_t probe_existing(int fd)
{
	struct pool_header h;
	struct stat st;

	if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h || fstat(fd, &st) != 0)
		return 0;
	if (h.magic != POOL_MAGIC || h.version != POOL_VERSION || h.ring_size != sizeof(rco__ring) ||
	    h.crc != header_crc(&h) || h.units == 0 || st.st_size < 0 ||
	    (uint64_t)st.st_size != (uint64_t)pool_size(h.units))
		return 0;
	return h.units;
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
	                        .ring_size = sizeof(rco__ring)};

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
		units = probe_existing(fd);
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
	pool->free_units = pool->units;
	pool->taken = rco__zalloc(env, pool->units, 1);
	if (pool->taken == NULL) {
		(void)munmap(pool->base, pool->size);
		rc = rco__fail(RCO_E_NO_MEMORY, "no memory for the ring pool");
		goto fail;
	}
	(void)pthread_mutex_init(&pool->lock, NULL);
	if (dir != NULL)
		*damaged += adopt_rings(pool);
	*out = pool;
	return RCO_OK;
fail:
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
	(void)munmap(pool->base, pool->size);
	(void)pthread_mutex_destroy(&pool->lock);
	rco__release(&pool->env, pool->taken);
	rco__release(&pool->env, pool);
}

/* First run of `units` free units, aligned to its own size so that big rings find room among small ones. */
static int find_units(const rco__pool *pool, uint32_t units, uint32_t *unit)
{
	uint32_t i;

	for (i = 0; i + units <= pool->units; i += units) {
		if (memchr(pool->taken + i, 1, units) == NULL) {
			*unit = i;
			return 1;
		}
	}
	return 0;
}

static rco__ring *find_ring(rco__pool *pool)
{
	uint32_t i;

	for (i = 0; i < pool->units; i++) {
		uint32_t at = (pool->hint_ring + i) % pool->units;

		if (!atomic_load_explicit(&ring_at(pool, at)->used, memory_order_relaxed)) {
			pool->hint_ring = at + 1;
			return ring_at(pool, at);
		}
	}
	return NULL;
}

int rco__pool_get(rco__pool *pool, size_t min_bytes, const uint8_t recording_id[16], uint32_t leg, uint32_t format,
                  const char *label, const void *meta, size_t meta_size, rco__ring **out)
{
	uint32_t units = 1, unit = 0;
	rco__ring *r = NULL;

	while ((size_t)units * RCO__POOL_UNIT < min_bytes)
		units *= 2;
	(void)pthread_mutex_lock(&pool->lock);
	if (find_units(pool, units, &unit))
		r = find_ring(pool);
	if (r != NULL) {
		memset(r, 0, sizeof *r);
		r->leg = leg;
		r->format = format;
		r->unit = unit;
		r->units = units;
		memcpy(r->recording_id, recording_id, 16);
		(void)snprintf(r->label, sizeof r->label, "%s", label);
		r->meta_size = (uint32_t)meta_size;
		memcpy(r->meta, meta, meta_size);
		r->crc = ring_crc(r);
		atomic_store(&r->gate, RCO__GATE_SHUT);
		memset(pool->taken + unit, 1, units);
		pool->free_units -= units;
		atomic_store(&r->used, 1);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (r == NULL)
		return rco__fail(RCO_E_LIMIT, "no ring of %zu bytes is free; raise ring_pool_bytes (now %llu)",
		                 min_bytes, (unsigned long long)rco__pool_bytes(pool));
	*out = r;
	return RCO_OK;
}

void rco__pool_wipe(rco__pool *pool, rco__ring *ring)
{
	rco_memzero(rco__pool_data(pool, ring), rco__ring_capacity(ring));
}

void rco__pool_put(rco__pool *pool, rco__ring *ring)
{
	rco__pool_wipe(pool, ring);
	(void)pthread_mutex_lock(&pool->lock);
	memset(pool->taken + ring->unit, 0, ring->units);
	pool->free_units += ring->units;
	atomic_store(&ring->used, 0);
	rco_memzero((uint8_t *)ring, sizeof *ring);
	(void)pthread_mutex_unlock(&pool->lock);
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
