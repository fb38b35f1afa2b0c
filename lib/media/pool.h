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

/* One leg's ring: 1024 bytes of control, and its audio elsewhere in the pool. Shared memory, native byte order: it
 * is only ever read on the machine that wrote it, and the pool's header has the version. */
typedef struct rco__ring {
	/* written by the producer and by whoever stops it */
	_Alignas(64) rco__gate gate;
	_Atomic uint64_t frames;     /* accepted */
	_Atomic uint64_t overflowed; /* refused because the ring was full */
	/* written by the consumer */
	_Alignas(64) _Atomic uint64_t read; /* bytes handed to the buffer backend */
	/* identity: written while `used` is 0 */
	_Alignas(64) _Atomic uint32_t used;
	uint32_t crc; /* CRC-32C of what follows, so that a damaged ring is noticed */
	uint32_t leg;
	uint32_t format;
	uint32_t unit;  /* first unit of its audio */
	uint32_t units; /* power of two */
	uint8_t recording_id[16];
	char label[RCO_LABEL_MAX + 1];
	uint32_t meta_size;
	uint32_t reserved;
	uint8_t meta[RCO_META_MAX];
} rco__ring;

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
/* Unmap; the file is removed if no ring is in use. */
void rco__pool_close(rco__pool *pool);

/* A ring of at least `min_bytes`, shut and empty. RCO_E_LIMIT if there is no room. Any thread. */
int rco__pool_get(rco__pool *pool, size_t min_bytes, const uint8_t recording_id[16], uint32_t leg, uint32_t format,
                  const char *label, const void *meta, size_t meta_size, rco__ring **ring);
/* Wipe its audio and give it back. Nobody may be pushing. Any thread. */
void rco__pool_put(rco__pool *pool, rco__ring *ring);
/* Wipe its audio, keep it. */
void rco__pool_wipe(rco__pool *pool, rco__ring *ring);

uint8_t *rco__pool_data(rco__pool *pool, const rco__ring *ring);
size_t rco__ring_capacity(const rco__ring *ring);
uint64_t rco__pool_bytes(const rco__pool *pool);
uint64_t rco__pool_free_bytes(rco__pool *pool);

#endif
