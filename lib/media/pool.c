/* SPDX-License-Identifier: MIT */
#include "pool.h"
#include "buddy.h"

#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/lock.h"

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
#define POOL_VERSION 2u
#define PAGE         4096u
#define PATH_CAP     1024u
#define NAME_CAP     128u

enum { NO_RING = 255 };

/* What a reference has room for: two terabytes. */
#define UNITS_MAX ((UINT32_C(1) << RCO__RING_NUMBER_BITS) - 1)

_Static_assert(sizeof(rco__ring) == 64, "a ring is one cache line");

struct pool_header {
	uint64_t magic;
	uint32_t version;
	uint32_t units;
	uint32_t ring_size;
	uint32_t owner_size;
	uint32_t crc; /* of the fields above */
};

/* A page of header, the rings, their owners, their gaps, their audio. */
struct rco__pool {
	rco__env env;
	pthread_mutex_t lock; /* guards `free`, and every ring's change of `used` */
	uint8_t *base;
	size_t size;
	uint32_t units; /* and as many rings */
	uint8_t *order; /* of each ring, NO_RING where none begins */
	rco__buddy free;
	int folder, file;    /* descriptors; the file's holds the lock. -1 for private memory */
	char path[PATH_CAP]; /* for texts */
	char name[NAME_CAP];
};

static size_t pages(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static size_t owners_at(uint32_t units)
{
	return PAGE + pages((size_t)units * sizeof(rco__ring));
}

static size_t gaps_at(uint32_t units)
{
	return owners_at(units) + pages((size_t)units * sizeof(rco__ring_owner));
}

static size_t audio_at(uint32_t units)
{
	return gaps_at(units) + pages((size_t)units * sizeof(rco__gaps));
}

static size_t pool_size(uint32_t units)
{
	return audio_at(units) + (size_t)units * RCO__POOL_UNIT;
}

/* In references, and in the sizes above. */
static int units_fit(uint64_t units)
{
	return units > 0 && units <= UNITS_MAX && units <= SIZE_MAX / 2 / (RCO__POOL_UNIT + PAGE);
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

uint8_t *rco__pool_data(const rco__pool *pool, const rco__ring *ring)
{
	return unit_at(pool, number_of(pool, ring));
}

static rco__gaps *gaps_of(const rco__pool *pool, uint32_t i)
{
	return (rco__gaps *)(void *)(pool->base + gaps_at(pool->units)) + i;
}

rco__gaps *rco__pool_gaps(const rco__pool *pool, const rco__ring *ring)
{
	return gaps_of(pool, number_of(pool, ring));
}

rco__pool_map rco__pool_map_of(const rco__pool *pool)
{
	rco__pool_map map = {ring_at(pool, 0), gaps_of(pool, 0), unit_at(pool, 0)};

	return map;
}

rco__ring_ref rco__pool_ref(const rco__pool *pool, const rco__ring *ring)
{
	uint32_t generation = atomic_load(&((rco__ring *)(uintptr_t)ring)->entry) >> 1;
	uint32_t number = number_of(pool, ring);

	return (uint64_t)generation << 32 | (uint64_t)pool->order[number] << RCO__RING_NUMBER_BITS | (number + 1);
}

size_t rco__pool_capacity(const rco__pool *pool, const rco__ring *ring)
{
	uint8_t order = pool->order[number_of(pool, ring)];

	return order != NO_RING ? (size_t)RCO__POOL_UNIT << order : 0;
}

/* Of all but a note, which counts as the zeros that were there when the ring was given out. */
static uint32_t owner_crc(const rco__ring_owner *owner)
{
	rco__ring_owner o = *owner;

	if (o.meta_size <= RCO__NOTE_AT)
		memset(o.meta + RCO__NOTE_AT, 0, sizeof o.meta - RCO__NOTE_AT);
	return rco__crc32c(0, &o.leg, sizeof o - offsetof(rco__ring_owner, leg));
}

/* ---- what an earlier process left ---- */

static uint32_t header_crc(const struct pool_header *h)
{
	return rco__crc32c(0, h, offsetof(struct pool_header, crc));
}

static int owner_sane(const rco__pool *pool, uint32_t i, const rco__ring_owner *o)
{
	if (o->crc != owner_crc(o) || o->meta_size > sizeof o->meta || o->leg >= RCO_MAX_LEGS ||
	    rco_format_rate_hz(o->format) == 0)
		return 0;
	return o->units != 0 && (o->units & (o->units - 1)) == 0 && o->units <= pool->units && i % o->units == 0 &&
	       i <= pool->units - o->units;
}

int rco__pool_owner(const rco__pool *pool, const rco__ring *ring, rco__ring_owner *owner)
{
	uint32_t number = number_of(pool, ring);

	*owner = *owner_at(pool, number);
	return owner_sane(pool, number, owner)
	               ? RCO_OK
	               : rco__fail(RCO_E_CORRUPT, "ring %u in %s is damaged", (unsigned)number, pool->path);
}

/* What another process left must not make us read or write outside the pool. */
static int ring_sane(const rco__pool *pool, uint32_t i, const rco__ring_owner *o)
{
	uint64_t index = rco__gate_index(&ring_at(pool, i)->gate), read = atomic_load(&ring_at(pool, i)->read);

	return owner_sane(pool, i, o) && read <= index && index - read <= (uint64_t)o->units * RCO__POOL_UNIT &&
	       rco__gaps_sane(gaps_of(pool, i), read, index, o->format);
}

/* What a push looks at, from what the checksum covers. */
static void ring_set_up(rco__ring *ring, const rco__ring_owner *owner)
{
	ring->format = owner->format;
	ring->sample_bytes = rco_format_sample_bytes(owner->format);
	ring->seen = 0;
	atomic_store(&ring->entry, atomic_load(&ring->entry) & ~UINT32_C(1)); /* who was inside died with it */
}

/* Account for what is in use; damaged rings are wiped with all the audio they might name. */
static uint64_t adopt_rings(rco__pool *pool)
{
	uint64_t damaged = 0;
	uint32_t i;

	for (i = 0; i < pool->units; i++) {
		rco__ring_owner owner;

		if (!atomic_load(&ring_at(pool, i)->used))
			continue;
		owner = *owner_at(pool, i); /* what is checked is what is used */
		if (!ring_sane(pool, i, &owner) || !rco__buddy_hold(&pool->free, i, owner.units)) {
			rco_memzero(ring_at(pool, i), sizeof(rco__ring));
			rco_memzero(owner_at(pool, i), sizeof(rco__ring_owner));
			rco_memzero(gaps_of(pool, i), sizeof(rco__gaps));
			damaged++;
			continue;
		}
		pool->order[i] = rco__buddy_order(owner.units);
		ring_set_up(ring_at(pool, i), &owner);
		atomic_store(&ring_at(pool, i)->gaps,
		             rco__gaps_settle(gaps_of(pool, i), rco__gate_index(&ring_at(pool, i)->gate)));
	}
	/* Audio that no ring speaks for, of a damaged ring or of one being given back at the crash, goes now. */
	for (i = 0; i < pool->units; i++)
		if (!rco__buddy_held(&pool->free, i))
			rco_memzero(unit_at(pool, i), RCO__POOL_UNIT);
	if (damaged > 0)
		rco__log(&pool->env, RCO_LOG_ERROR, "%llu damaged rings in %s were wiped",
		         (unsigned long long)damaged, pool->path);
	return damaged;
}

/* `*units` of an existing file, 0 if it is damaged or `*unfinished`. One that cannot be read now is neither: it
 * may hold the last audio of calls, and is left as it is. */
static int probe_existing(const rco__pool *pool, int fd, uint32_t *units, int *unfinished)
{
	static const struct pool_header nothing; /* as a process that died while it made the file left it */
	struct pool_header h = {0};
	struct stat st;
	ssize_t got = pread(fd, &h, sizeof h, 0);

	*units = 0;
	*unfinished = memcmp(&h, &nothing, sizeof h) == 0;
	if (got < 0 || fstat(fd, &st) != 0)
		return rco__fail(RCO_E_SHARED_MEMORY, "cannot read %s: %s", pool->path, strerror(errno));
	if (got != (ssize_t)sizeof h || h.magic != POOL_MAGIC || h.crc != header_crc(&h))
		return RCO_OK;
	if (h.version != POOL_VERSION)
		return rco__fail(
			RCO_E_VERSION,
			"%s was written by %s version of the library, and may hold the last audio of its calls: "
			"open the state folder with that one",
			pool->path, h.version < POOL_VERSION ? "an older" : "a newer");
	if (h.ring_size == sizeof(rco__ring) && h.owner_size == sizeof(rco__ring_owner) && units_fit(h.units) &&
	    st.st_size == (off_t)pool_size(h.units))
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

/* ---- the file ---- */

static void close_files(rco__pool *pool)
{
	if (pool->file >= 0)
		(void)close(pool->file); /* nothing is written through it */
	if (pool->folder >= 0)
		(void)close(pool->folder);
	pool->file = pool->folder = -1;
}

static int open_folder(rco__pool *pool, const char *dir, const char *name)
{
	int rc = rco__path_join(pool->path, sizeof pool->path, dir, name);

	if (rc == RCO_OK && strlen(name) >= sizeof pool->name)
		rc = rco__fail(RCO_E_INVALID, "the name of the rings, %s, is too long", name);
	if (rc != RCO_OK)
		return rc;
	(void)snprintf(pool->name, sizeof pool->name, "%s", name);
	return rco__pool_folder(dir, &pool->folder);
}

/* Audio never lies on a hole of a file: writing there could find the tmpfs full, which is a signal and no error.
 */
static int reserve(const rco__pool *pool)
{
	int err = posix_fallocate(pool->file, 0, (off_t)pool->size);

	return err == 0
	               ? RCO_OK
	               : rco__fail(RCO_E_SHARED_MEMORY,
	                           "cannot reserve %zu bytes in %s: %s; lower ring_pool_bytes, enlarge the tmpfs, "
	                           "or set RCO_ENGINE_PRIVATE_RINGS",
	                           pool->size, pool->path, strerror(err));
}

/* Under a name that nobody has, and locked before it has a size: who finds it before its header is written finds
 * nothing in it. */
static int make_file(rco__pool *pool)
{
	int rc = rco__lock_at(pool->folder, pool->name, O_CREAT | O_EXCL, pool->path, &pool->env, &pool->file);

	if (rc != RCO_OK)
		return rc == RCO_E_STATE || rc == RCO_E_BUSY
		               ? rc
		               : rco__fail(RCO_E_SHARED_MEMORY, "%s; set ring_dir to a tmpfs", rco_error_detail());
	rc = reserve(pool);
	if (rc == RCO_OK)
		rc = map_pool(pool, pool->file);
	if (rc == RCO_OK)
		write_header(pool);
	else
		(void)unlinkat(pool->folder, pool->name, 0);
	return rc;
}

/* It is ours, and of no use any more, but may hold audio. */
static void discard(rco__pool *pool, int fd, const char *why)
{
	rco__log(&pool->env, RCO_LOG_ERROR, "%s is %s: wiped and removed", pool->path, why);
	wipe_file(fd);
	if (unlinkat(pool->folder, pool->name, 0) != 0)
		rco__log(&pool->env, RCO_LOG_WARN, "cannot remove %s: %s", pool->path, strerror(errno));
}

/* A file that is refused may be one of ours, to which somebody gave another mode. What others could have written
 * is not believed; it goes, as what is damaged does. 0: it is not ours. */
static int discard_ours(rco__pool *pool)
{
	int fd = openat(pool->folder, pool->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), yes;
	struct stat st;

	if (fd < 0)
		return 0;
	yes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1;
	if (yes)
		discard(pool, fd, "open to others");
	(void)close(fd);
	return yes;
}

/* The descriptor, locked and looked at. */
static int take_file(rco__pool *pool, uint64_t *damaged)
{
	uint32_t units = 0;
	int unfinished = 0;
	int rc = rco__lock_at(pool->folder, pool->name, 0, pool->path, &pool->env, &pool->file);

	if (rc == RCO_E_PERMISSION) {
		char why[512];

		(void)snprintf(why, sizeof why, "%s", rco_error_detail());
		if (!discard_ours(pool))
			return rco__fail(rc, "%s", why);
		(*damaged)++;
		return rco__fail(RCO_E_NOT_FOUND, "%s was removed", pool->path);
	}
	if (rc == RCO_E_NOT_FOUND || rc == RCO_E_BUSY)
		return rc;
	if (rc == RCO_OK)
		rc = probe_existing(pool, pool->file, &units, &unfinished);
	if (rc != RCO_OK)
		return rc == RCO_E_SHARED_MEMORY || rc == RCO_E_VERSION
		               ? rc
		               : rco__fail(RCO_E_SHARED_MEMORY, "%s", rco_error_detail());
	if (units == 0) {
		if (!unfinished)
			(*damaged)++;
		discard(pool, pool->file, unfinished ? "unfinished" : "damaged");
		return rco__fail(RCO_E_NOT_FOUND, "%s was damaged", pool->path);
	}
	(void)fchmod(pool->file, 0600);
	pool->units = units;
	pool->size = pool_size(units);
	rc = reserve(pool);
	return rc == RCO_OK ? map_pool(pool, pool->file) : rc;
}

/* ---- life ---- */

static void free_pool(rco__pool *pool)
{
	rco__env env = pool->env;

	if (pool->base != NULL)
		(void)munmap(pool->base, pool->size);
	close_files(pool);
	rco__buddy_free(&pool->free, &env);
	if (pool->order != NULL)
		rco__release(&env, pool->order);
	rco__release(&env, pool);
}

static int new_pool(const rco__env *env, rco__pool **out)
{
	*out = rco__zalloc(env, 1, sizeof **out);
	if (*out == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the ring pool");
	(*out)->env = *env;
	(*out)->folder = (*out)->file = -1;
	return RCO_OK;
}

static int make_accounts(rco__pool *pool)
{
	pool->order = rco__zalloc(&pool->env, pool->units, 1);
	if (pool->order == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the ring pool");
	memset(pool->order, NO_RING, pool->units);
	return rco__buddy_make(&pool->free, &pool->env, pool->units);
}

/* Mapped; the accounts are made from it. */
static int finish(rco__pool *pool, int rc, uint64_t *damaged, rco__pool **out)
{
	if (rc == RCO_OK)
		rc = make_accounts(pool);
	if (rc != RCO_OK) {
		free_pool(pool);
		return rc;
	}
	(void)pthread_mutex_init(&pool->lock, NULL);
	if (damaged != NULL)
		*damaged += adopt_rings(pool);
	rco__buddy_fill(&pool->free);
	*out = pool;
	return RCO_OK;
}

int rco__pool_make(const rco__env *env, const char *dir, const char *name, uint64_t bytes, rco__pool **out)
{
	rco__pool *pool;
	int rc;

	if (!units_fit(bytes / RCO__POOL_UNIT))
		return rco__fail(RCO_E_INVALID,
		                 "ring_pool_bytes is %llu; 16384 to 2 TiB, or half the address space, can be used",
		                 (unsigned long long)bytes);
	rc = new_pool(env, &pool);
	if (rc != RCO_OK)
		return rc;
	pool->units = (uint32_t)(bytes / RCO__POOL_UNIT);
	pool->size = pool_size(pool->units);
	if (dir == NULL) {
		rc = map_pool(pool, -1);
	} else {
		rc = open_folder(pool, dir, name);
		if (rc == RCO_OK)
			rc = make_file(pool);
	}
	return finish(pool, rc, NULL, out);
}

int rco__pool_take(const rco__env *env, const char *dir, const char *name, uint64_t *damaged, rco__pool **out)
{
	rco__pool *pool;
	int rc = new_pool(env, &pool);

	if (rc != RCO_OK)
		return rc;
	rc = open_folder(pool, dir, name);
	if (rc == RCO_OK)
		rc = take_file(pool, damaged);
	return finish(pool, rc, damaged, out);
}

int rco__pool_open(const rco__env *env, const char *dir, const char *name, uint64_t bytes, uint64_t *damaged,
                   rco__pool **out)
{
	int rc = rco__pool_take(env, dir, name, damaged, out);

	return rc == RCO_E_NOT_FOUND ? rco__pool_make(env, dir, name, bytes, out) : rc;
}

void rco__pool_note(rco__pool *pool, rco__ring *ring, const uint8_t note[RCO__NOTE_BYTES])
{
	rco__ring_owner *o = owner_at(pool, number_of(pool, ring));

	if (o->meta_size > RCO__NOTE_AT)
		return;
	memcpy(o->meta + RCO__NOTE_AT + 4, note, RCO__NOTE_BYTES);
	rco__put32(o->meta + RCO__NOTE_AT, rco__crc32c(0, note, RCO__NOTE_BYTES));
}

int rco__pool_noted(const rco__ring_owner *owner, uint8_t note[RCO__NOTE_BYTES])
{
	if (owner->meta_size > RCO__NOTE_AT)
		return 0;
	memcpy(note, owner->meta + RCO__NOTE_AT + 4, RCO__NOTE_BYTES);
	return rco__get32(owner->meta + RCO__NOTE_AT) == rco__crc32c(0, note, RCO__NOTE_BYTES);
}

void rco__pool_orphans(rco__pool *pool, rco__pool_orphan_fn fn, void *user_data)
{
	uint32_t i;

	for (i = 0; i < pool->units; i++)
		if (pool->order[i] != NO_RING)
			fn(pool, ring_at(pool, i), user_data);
}

static void drop_same(rco__pool *pool, const rco__ring_owner *as)
{
	uint32_t i;

	for (i = 0; i < pool->units; i++)
		if (pool->order[i] != NO_RING && owner_at(pool, i)->leg == as->leg &&
		    memcmp(owner_at(pool, i)->recording_id, as->recording_id, 16) == 0)
			(void)rco__pool_put(pool, ring_at(pool, i));
}

static int copy_ring(const rco__pool *from, rco__ring *ring, rco__pool *to)
{
	const rco__ring_owner *o = owner_at(from, number_of(from, ring));
	rco__ring *copy;
	int rc;

	drop_same(to, o);
	rc = rco__pool_get(to, rco__pool_capacity(from, ring), o->recording_id, o->leg, o->format, o->label,
	                   o->meta, o->meta_size, &copy);
	if (rc != RCO_OK)
		return rc;
	*owner_at(to, number_of(to, copy)) = *o; /* with the note, and its checksum */
	memcpy(rco__pool_data(to, copy), rco__pool_data(from, ring), rco__pool_capacity(from, ring));
	atomic_store(&copy->frames, atomic_load(&ring->frames));
	atomic_store(&copy->overflowed, atomic_load(&ring->overflowed));
	atomic_store(&copy->read, atomic_load(&ring->read));
	rco__gaps_copy(rco__pool_gaps(to, copy), rco__pool_gaps(from, ring));
	atomic_store(&copy->gaps, atomic_load(&ring->gaps));
	atomic_store(&copy->gate, rco__gate_load(&ring->gate));
	return RCO_OK;
}

int rco__pool_copy(rco__pool *from, rco__pool *to)
{
	uint32_t i;
	int rc = RCO_OK;

	for (i = 0; i < from->units && rc == RCO_OK; i++)
		if (from->order[i] != NO_RING)
			rc = copy_ring(from, ring_at(from, i), to);
	return rc;
}

void rco__pool_empty(rco__pool *pool)
{
	uint32_t i;

	for (i = 0; i < pool->units; i++)
		if (pool->order[i] != NO_RING)
			(void)rco__pool_put(pool, ring_at(pool, i));
}

void rco__pool_close(rco__pool *pool)
{
	if (pool == NULL)
		return;
	if (pool->file >= 0 && pool->free.free_units == pool->units && unlinkat(pool->folder, pool->name, 0) != 0)
		rco__log(&pool->env, RCO_LOG_WARN, "cannot remove %s: %s", pool->path, strerror(errno));
	close_files(pool);
}

void rco__pool_free(rco__pool *pool)
{
	if (pool == NULL)
		return;
	(void)pthread_mutex_destroy(&pool->lock);
	free_pool(pool);
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
	found = rco__buddy_take(&pool->free, units, &unit);
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
	pool->order[unit] = rco__buddy_order(units);
	ring_set_up(r, o);
	atomic_store(&r->gate, RCO__GATE_SHUT);
	atomic_store(&r->used, 1);
	*out = r;
	return RCO_OK;
}

void rco__pool_wipe(rco__pool *pool, rco__ring *ring)
{
	rco_memzero(rco__pool_data(pool, ring), rco__pool_capacity(pool, ring));
}

int rco__pool_put(rco__pool *pool, rco__ring *ring)
{
	uint32_t unit = number_of(pool, ring), units;

	if (pool->order[unit] == NO_RING)
		return RCO_OK;
	if (!rco__ring_lock_out(ring))
		return RCO_PENDING;
	units = UINT32_C(1) << pool->order[unit];
	rco__pool_wipe(pool, ring);
	atomic_store(&ring->used, 0);
	atomic_store(&ring->gate, RCO__GATE_SHUT); /* all but the entry word, whose generation goes on */
	atomic_store(&ring->frames, 0);
	atomic_store(&ring->overflowed, 0);
	atomic_store(&ring->read, 0);
	atomic_store(&ring->gaps, 0);
	rco_memzero(gaps_of(pool, unit), sizeof(rco__gaps));
	rco_memzero(owner_at(pool, unit), sizeof(rco__ring_owner));
	(void)pthread_mutex_lock(&pool->lock);
	pool->order[unit] = NO_RING;
	rco__buddy_give(&pool->free, unit, units);
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
	bytes = (uint64_t)pool->free.free_units * RCO__POOL_UNIT;
	(void)pthread_mutex_unlock(&pool->lock);
	return bytes;
}
