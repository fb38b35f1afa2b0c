/* SPDX-License-Identifier: MIT */
/*
 * The rings of all legs, in one piece of memory that is reserved in full before
 * it is used. As a file on a tmpfs it survives kill -9 and never reaches a disk.
 * A ring carries enough about its recording to be taken up by another process.
 */
#ifndef RCO_MEDIA_POOL_H
#define RCO_MEDIA_POOL_H

#include "../base/env.h"
#include "gaps.h"
#include "gate.h"

#include <recoptout/storage.h>

enum { RCO__POOL_UNIT = 16384 };

/*
 * One leg's ring, without its audio: all that pushing a frame looks at, in one cache line. The lines of all rings
 * are side by side, so that the media threads of ten thousand calls find them in few pages. Shared memory, native
 * byte order: it is only ever read on the machine that wrote it, and the pool's header has the version. Nothing of
 * it says where memory is or how much: that is in references and in the pool's own accounts.
 */
typedef struct rco__ring {
	/* written by the producer and by the thread that stops it */
	_Alignas(64) rco__gate gate;
	_Atomic uint32_t entry; /* generation << 1 | somebody is inside: see rco__ring_enter() */
	_Atomic uint32_t used;
	_Atomic uint64_t frames;     /* accepted */
	_Atomic uint64_t overflowed; /* refused because the ring was full */
	/* written by the consumer, a few times a second */
	_Atomic uint64_t read; /* bytes handed to the buffer backend */
	/* of who is inside */
	uint64_t seen;         /* `read` when last looked at: at least that much the consumer has */
	_Atomic uint64_t gaps; /* bytes of silence in all gaps: with the gate's index, where the leg ends */
	/* as its owner says */
	uint32_t format;
	uint32_t sample_bytes;
} rco__ring;

/* Where the leg ends, in bytes of audio and silence. Of a ring that is being pushed to, perhaps without its last
 * gap.
 */
static inline uint64_t rco__ring_end(rco__ring *ring)
{
	return rco__gate_index(&ring->gate) + atomic_load_explicit(&ring->gaps, memory_order_relaxed);
}

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

/* What can be added later, behind the meta data if they leave the room; with a checksum of its own. */
enum { RCO__NOTE_BYTES = 60, RCO__NOTE_AT = RCO_META_MAX - RCO__NOTE_BYTES - 4 };

typedef struct rco__pool rco__pool;

/* One thread at a time; killed in the midst of it, none is there. */
void rco__pool_note(rco__pool *pool, rco__ring *ring, const uint8_t note[RCO__NOTE_BYTES]);
/* 1 if there is one. */
int rco__pool_noted(const rco__ring_owner *owner, uint8_t note[RCO__NOTE_BYTES]);

/* Called for each ring that an earlier process left in use. */
typedef void (*rco__pool_orphan_fn)(rco__pool *pool, rco__ring *ring, void *user_data);

/*
 * Make dir/name with room for `bytes` of audio, and lock it until rco__pool_close(); dir NULL: private memory.
 * RCO_E_STATE or RCO_E_BUSY if the name is taken. RCO_E_PERMISSION if others could replace what is in `dir`.
 * RCO_E_SHARED_MEMORY with the reason in the detail.
 */
int rco__pool_make(const rco__env *env, const char *dir, const char *name, uint64_t bytes, rco__pool **pool);
/*
 * Take up what an earlier process left; rings in use are kept and can be listed. A file of another size is opened
 * as it is (see rco__pool_bytes). RCO_E_NOT_FOUND; also for a damaged file, which is wiped and removed. `damaged`
 * counts what had to be wiped. RCO_E_BUSY if another engine has it; RCO_E_PERMISSION if it is another user's, or
 * no file: then it is left alone.
 */
int rco__pool_take(const rco__env *env, const char *dir, const char *name, uint64_t *damaged, rco__pool **pool);
/* Take up, or make if there is nothing. */
int rco__pool_open(const rco__env *env, const char *dir, const char *name, uint64_t bytes, uint64_t *damaged,
                   rco__pool **pool);
void rco__pool_orphans(rco__pool *pool, rco__pool_orphan_fn fn, void *user_data);
/* The file is removed if no ring is in use, and unlocked. The memory stays: a media thread may be on its way to a
 * shut ring. */
void rco__pool_close(rco__pool *pool);
void rco__pool_free(rco__pool *pool);
/* All rings that an earlier process left in the one to the other as well, before anybody uses either. A ring that
 * is in both already counts as it is in the first, for an earlier copy may have been cut short. RCO_E_LIMIT. */
int rco__pool_copy(rco__pool *from, rco__pool *to);
/* All are wiped and given back. */
void rco__pool_empty(rco__pool *pool);

/* A ring of at least `min_bytes`, shut and empty. RCO_E_LIMIT if there is no room. Any thread. */
int rco__pool_get(rco__pool *pool, size_t min_bytes, const uint8_t recording_id[16], uint32_t leg, uint32_t format,
                  const char *label, const void *meta, size_t meta_size, rco__ring **ring);
/* Wipe its audio and give it back: from then on its reference opens nothing. RCO_PENDING, and nothing done, while
 * somebody is inside. Any thread. */
int rco__pool_put(rco__pool *pool, rco__ring *ring);
/* Wipe its audio, keep it. */
void rco__pool_wipe(rco__pool *pool, rco__ring *ring);

/* A copy, checked: RCO_E_CORRUPT. */
int rco__pool_owner(const rco__pool *pool, const rco__ring *ring, rco__ring_owner *owner);
uint8_t *rco__pool_data(const rco__pool *pool, const rco__ring *ring);
/* Bytes of audio it has room for, a power of two. */
size_t rco__pool_capacity(const rco__pool *pool, const rco__ring *ring);
rco__gaps *rco__pool_gaps(const rco__pool *pool, const rco__ring *ring);

/* ---- references: what a session keeps of a ring, and how a media thread gets in ---- */

/* Where rings, their gaps and audio are; does not change while the pool is open. */
typedef struct rco__pool_map {
	rco__ring *rings;
	rco__gaps *gaps;
	uint8_t *audio;
} rco__pool_map;

rco__pool_map rco__pool_map_of(const rco__pool *pool);

/* Number of the ring + 1, above it the logarithm of its units, and in the upper half the generation in which it
 * was got. 0: none. */
typedef uint64_t rco__ring_ref;

enum { RCO__RING_NUMBER_BITS = 27 };

rco__ring_ref rco__pool_ref(const rco__pool *pool, const rco__ring *ring);

static inline uint32_t rco__ring_number(rco__ring_ref ref)
{
	return ((uint32_t)ref & ((UINT32_C(1) << RCO__RING_NUMBER_BITS) - 1)) - 1;
}

static inline size_t rco__ring_capacity(rco__ring_ref ref)
{
	return (size_t)RCO__POOL_UNIT << ((uint32_t)ref >> RCO__RING_NUMBER_BITS);
}

static inline rco__ring *rco__ring_of(const rco__pool_map *map, rco__ring_ref ref)
{
	return ref != 0 ? map->rings + rco__ring_number(ref) : NULL;
}

/*
 * A media thread may be preempted between reading the reference and getting in,
 * for so long that the ring belongs to another call by then: the generation
 * tells, and the thread stays out. 0 if so, or if somebody else is inside.
 */
static inline int rco__ring_enter(rco__ring *ring, rco__ring_ref ref)
{
	uint32_t empty = (uint32_t)(ref >> 32) << 1;

	return atomic_compare_exchange_strong(&ring->entry, &empty, empty | 1);
}

static inline void rco__ring_leave(rco__ring *ring, rco__ring_ref ref)
{
	atomic_store_explicit(&ring->entry, (uint32_t)(ref >> 32) << 1, memory_order_release);
}

/* Nobody gets in any more with the references there are. 0, and nothing done, while somebody is inside. */
static inline int rco__ring_lock_out(rco__ring *ring)
{
	uint32_t empty = atomic_load(&ring->entry) & ~UINT32_C(1);

	return atomic_compare_exchange_strong(&ring->entry, &empty, empty + 2);
}

static inline int rco__ring_busy(rco__ring *ring)
{
	return (atomic_load(&ring->entry) & 1) != 0;
}

uint64_t rco__pool_bytes(const rco__pool *pool);
uint64_t rco__pool_free_bytes(rco__pool *pool);

/* A descriptor of the folder that rings are to be in. RCO_E_PERMISSION, RCO_E_SHARED_MEMORY; then *fd is -1, or to
 * be closed all the same. */
int rco__pool_folder(const char *dir, int *fd);

int rco__pool_is_rings(const char *name); /* as rings are called */

/* A warning in the log for each file of rings of this user's in `dir` that no engine has. */
void rco__pool_notify_left(const rco__env *env, const char *dir);

#endif
