/* SPDX-License-Identifier: MIT */
/* What the files of the spool share. docs/spool-format.md describes the bytes. */
#ifndef RCO_STORAGE_SPOOL_INTERNAL_H
#define RCO_STORAGE_SPOOL_INTERNAL_H

#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/secmem.h"
#include "../media/codec.h"
#include "../media/format.h"
#include "storage_internal.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	RCO__SPOOL_PATH = 1024,
	RCO__SPOOL_NAME = 32,
	RCO__SPOOL_SLOT = 1024,      /* bytes of a key slot */
	RCO__SPOOL_SLOT_BLOCK = 64,  /* slots by which the file grows */
	RCO__SPOOL_SEG_HEADER = 64,
	RCO__SPOOL_REC_HEADER = 112, /* before the ciphertext */
	RCO__SPOOL_ALIGN = 8
};

/* A segment file that holds, or held, records of live recordings. */
typedef struct rco__segment {
	struct rco__segment *next;
	uint64_t number;
	int fd;
	uint64_t live; /* records of recordings that exist */
	int dirty;     /* written since the last flush */
	int failed;    /* a write or sync failed: no more appends, never synced again */
	uint32_t users; /* threads between taking a place in it and having written */
} rco__segment;

/* Where a piece of a leg is. */
typedef struct rco__piece {
	rco__segment *segment;
	uint64_t offset;
	uint64_t position; /* in the leg */
	uint32_t raw_size;
	uint32_t record_size;
} rco__piece;

typedef struct rco__spool_leg {
	uint32_t format;
	uint64_t held; /* bytes without a gap */
	rco__piece *pieces;
	size_t count, cap;
	uint64_t seq;
} rco__spool_leg;

/* A recording. Its mutex guards all of it; the table's lock only the table. */
typedef struct rco__spooled {
	struct rco__spooled *next; /* in its bucket */
	uint8_t id[16];
	uint32_t refs; /* table's lock */
	pthread_mutex_t lock;
	uint64_t slot;
	uint64_t epoch;
	uint8_t *key; /* locked memory; NULL: revoked, or not yet unwrapped */
	int revoked;
	int unreadable; /* its key cannot be unwrapped */
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX];
	size_t wrapped_size;
	uint8_t meta[RCO_META_MAX];
	size_t meta_size;
	uint64_t damaged_bytes;
	rco__spool_leg legs[RCO_MAX_LEGS];
} rco__spooled;

typedef struct rco__codec_item {
	struct rco__codec_item *next;
	rco__codec *codec;
	uint8_t *buf; /* one record, or one chunk */
	size_t cap;
} rco__codec_item;

enum { RCO__SPOOL_BUCKETS = 4096 };

struct rco_spool {
	rco__env env;
	rco_key_ops keys;
	void *keys_ud;
	char path[RCO__SPOOL_PATH];
	char quarantine[RCO__SPOOL_PATH];
	uint64_t segment_bytes;
	int lock_fd;
	rco__secmem *secrets;
	_Atomic uint64_t quarantined;

	pthread_mutex_t table_lock;
	rco__spooled *buckets[RCO__SPOOL_BUCKETS];

	pthread_mutex_t segment_lock;
	rco__segment *segments;
	rco__segment *current;
	uint64_t current_size;
	uint64_t next_number;
	int flush_error; /* of a sync that failed, told by the next flush */

	pthread_mutex_t slot_lock;
	int slots_fd;
	uint64_t n_slots;
	uint8_t *slot_used; /* one byte each */
	uint64_t slot_hint;
	int slots_dirty;
	uint64_t current_epoch;

	pthread_mutex_t codec_lock;
	rco__codec_item *codecs;
};

/* ---- spool_slots.c ---- */
typedef struct rco__slot {
	uint8_t id[16];
	uint64_t epoch;
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX];
	size_t wrapped_size;
	uint8_t meta[RCO_META_MAX];
	size_t meta_size;
} rco__slot;
typedef int (*rco__slot_fn)(rco_spool *spool, uint64_t index, const rco__slot *slot);
int rco__slots_open(rco_spool *spool, rco__slot_fn found);
int rco__slot_put(rco_spool *spool, const rco__slot *slot, uint64_t *index);
int rco__slot_wipe(rco_spool *spool, uint64_t index); /* durable on return */
int rco__slots_flush(rco_spool *spool);
void rco__slots_close(rco_spool *spool);

/* ---- spool_segment.c ---- */
typedef struct rco__record {
	uint8_t coding;
	uint8_t leg;
	uint8_t id[16];
	uint32_t format;
	uint64_t seq;
	uint64_t position;
	int64_t time_us;
	uint32_t raw_size;
	uint32_t cipher_size;
	uint8_t nonce[24];
} rco__record;
/* The part of a record's header that the seal covers: everything but the checksum. */
size_t rco__record_size(uint32_t cipher_size);
void rco__record_encode(const rco__record *record, uint8_t out[RCO__SPOOL_REC_HEADER]);
/* Puts the checksum over header and ciphertext, and zeros the padding. */
void rco__record_finish(uint8_t *out, uint32_t cipher_size);
/* RCO_OK, RCO_E_CORRUPT, RCO_E_VERSION. `size`: bytes available from the header on. */
int rco__record_parse(const uint8_t *buf, size_t size, rco__record *record);
typedef int (*rco__record_fn)(rco_spool *spool, rco__segment *segment, uint64_t offset, const rco__record *record);
int rco__segments_open(rco_spool *spool, rco__record_fn found);
/* Write a finished record; where it is comes back. The segment's live count includes it. */
int rco__segment_append(rco_spool *spool, const uint8_t *record, size_t size, rco__segment **segment,
                        uint64_t *offset);
void rco__segment_drop(rco_spool *spool, rco__segment *segment, uint64_t records); /* so many are dead now */
int rco__segments_flush(rco_spool *spool);
int rco__segments_tidy(rco_spool *spool); /* delete those without live records */
void rco__segments_close(rco_spool *spool);

#endif
