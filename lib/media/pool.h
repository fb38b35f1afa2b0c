/* SPDX-License-Identifier: MIT */
/*
 * The rings of all legs, in one piece of memory that is reserved in full before
 * it is used. As a file on a tmpfs it survives kill -9 and never reaches a disk.
 * A ring carries enough about its recording to be taken up by another process.
 */
#ifndef RCO_MEDIA_POOL_H
#define RCO_MEDIA_POOL_H

#include "../base/env.h"
#include "gate.h"

#include <recoptout/storage.h>

enum { RCO__POOL_UNIT = 16384 };

/*
 * One leg's ring, without its audio: all that pushing a frame looks at, in one cache line. The lines of all rings
 * are side by side, so that the media threads of ten thousand calls find them in few pages. Shared memory, native
 * byte order: it is only ever read on the machine that wrote it, and the pool's header has the version.
 */
typedef struct rco__ring {
	/* written by the producer and by whoever stops it */
	_Alignas(64) rco__gate gate;
	_Atomic uint32_t door; /* generation << 1 | somebody is inside: see rco__ring_enter() */
	_Atomic uint32_t used;
	_Atomic uint64_t frames;     /* accepted */
	_Atomic uint64_t overflowed; /* refused because the ring was full */
	/* written by the consumer, a few times a second */
	_Atomic uint64_t read; /* bytes handed to the buffer backend */
	/* of who is inside */
	uint64_t seen; /* `read` when last looked at: at least that much the consumer has */
	/* as its owner says */
	uint32_t format;
	uint32_t sample_bytes;
	uint32_t capacity;
} rco__ring;

/* Whose it is: written while `used` is 0. */
typedef struct rco__ring_owner {
	uint32_t crc; /* CRC-32C of what follows, so that a damaged ring is noticed */
	uint32_t leg;
	uint32_t format;
	uint32_t units; /* of audio, a power of two; the first has the ring's own number */
	uint8_t recording_id[16];
	char label[RCO_LABEL_MAX + 1];
	uint32_t meta_size;
	uint32_t reserved;
	uint8_t meta[RCO_META_MAX];
} rco__ring_owner;

typedef struct rco__pool rco__pool;

/* Called for each ring that an earlier process left in use. */
typedef void (*rco__pool_orphan_fn)(rco__pool *pool, rco__ring *ring, void *user_data);

/*
 * Open or make dir/name with room for `bytes` of audio; dir NULL: private memory. Rings in use are kept and can be
 * listed. A file of another size is opened as it is (see rco__pool_bytes); a damaged one is wiped and replaced.
 * `damaged` counts what had to be wiped. RCO_E_SHARED_MEMORY with the reason in the detail.
 */
int rco__pool_open(const rco__env *env, const char *dir, const char *name, uint64_t bytes, uint64_t *damaged,
                   rco__pool **pool);
void rco__pool_orphans(rco__pool *pool, rco__pool_orphan_fn fn, void *user_data);
/* The file is removed if no ring is in use. The memory stays: a media thread may be on its way to a shut door. */
void rco__pool_close(rco__pool *pool);
void rco__pool_free(rco__pool *pool);

/* A ring of at least `min_bytes`, shut and empty. RCO_E_LIMIT if there is no room. Any thread. */
int rco__pool_get(rco__pool *pool, size_t min_bytes, const uint8_t recording_id[16], uint32_t leg, uint32_t format,
                  const char *label, const void *meta, size_t meta_size, rco__ring **ring);
/* Wipe its audio and give it back: from then on its reference opens no door. RCO_PENDING, and nothing done, while
 * somebody is inside. Any thread. */
int rco__pool_put(rco__pool *pool, rco__ring *ring);
/* Wipe its audio, keep it. */
void rco__pool_wipe(rco__pool *pool, rco__ring *ring);

const rco__ring_owner *rco__pool_owner(const rco__pool *pool, const rco__ring *ring);
uint8_t *rco__pool_data(const rco__pool *pool, const rco__ring *ring);
/* ---- references: what a session keeps of a ring, and how a media thread gets in ---- */

/* Where rings and audio are; does not change while the pool is open. */
typedef struct rco__pool_map {
	rco__ring *rings;
	uint8_t *audio;
} rco__pool_map;

rco__pool_map rco__pool_map_of(const rco__pool *pool);

/* Number of the ring + 1, and in the upper half the generation in which it was got. 0: none. */
typedef uint64_t rco__ring_ref;

rco__ring_ref rco__pool_ref(const rco__pool *pool, const rco__ring *ring);

static inline rco__ring *rco__ring_of(const rco__pool_map *map, rco__ring_ref ref)
{
	return ref != 0 ? map->rings + ((uint32_t)ref - 1) : NULL;
}

/*
 * A media thread may be preempted between reading the reference and getting in,
 * for so long that the ring belongs to another call by then: the generation
 * tells, and the door stays shut. 0 if so, or if somebody else is inside.
 */
static inline int rco__ring_enter(rco__ring *ring, rco__ring_ref ref)
{
	uint32_t empty = (uint32_t)(ref >> 32) << 1;

	return atomic_compare_exchange_strong(&ring->door, &empty, empty | 1);
}

static inline void rco__ring_leave(rco__ring *ring, rco__ring_ref ref)
{
	atomic_store_explicit(&ring->door, (uint32_t)(ref >> 32) << 1, memory_order_release);
}

/* Nobody gets in any more with the references there are. 0, and nothing done, while somebody is inside. */
static inline int rco__ring_lock_out(rco__ring *ring)
{
	uint32_t empty = atomic_load(&ring->door) & ~UINT32_C(1);

	return atomic_compare_exchange_strong(&ring->door, &empty, empty + 2);
}

static inline int rco__ring_busy(rco__ring *ring)
{
	return (atomic_load(&ring->door) & 1) != 0;
}

uint64_t rco__pool_bytes(const rco__pool *pool);
uint64_t rco__pool_free_bytes(rco__pool *pool);

#endif
