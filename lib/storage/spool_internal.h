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
#include <sys/types.h>

enum {
	RCO__SPOOL_PATH = 1024,
	RCO__SPOOL_NAME = 32,
	RCO__SPOOL_SLOT = 1024,     /* bytes of a key slot */
	RCO__SPOOL_SLOT_BLOCK = 64, /* slots by which the file grows */
	RCO__SPOOL_SEG_HEADER = 64,
	RCO__SPOOL_REC_HEADER = 112, /* before the ciphertext */
	RCO__SPOOL_SEAL = 16,        /* by which the ciphertext is longer than what was coded */
	RCO__SPOOL_ALIGN = 8,
	RCO__SPOOL_BUCKETS = 4096
};

/* Syncs of one kind: callers that come while one is under way share the next. */
typedef struct rco__group {
	pthread_mutex_t lock; /* guards the numbers */
	pthread_mutex_t turn; /* held by whoever syncs */
	uint64_t asked;       /* the last caller's number */
	uint64_t served;      /* callers up to this one are done */
	uint64_t rounds;      /* syncs that ended */
	uint64_t failed;      /* the last of them that failed, 0 for none */
	int error;            /* and how */
} rco__group;

typedef struct rco__segment {
	struct rco__segment *next;
	uint64_t number;
	int fd;
	uint64_t live;  /* recordings with records in it */
	uint32_t users; /* threads that write to it or sync it */
	int dirty;      /* written since the last sync */
	int closed;     /* a write or sync failed: no more appends */
	int lost;       /* a sync failed: another would lie about what was written before */
	int told;       /* it has been logged that it cannot be removed */
} rco__segment;

/* A chunk of a leg. What stands in the record from `skip` on counts. */
typedef struct rco__piece {
	rco__segment *segment;
	uint64_t offset;
	uint64_t position; /* in the leg, of the first byte that counts */
	uint32_t size;     /* bytes that count */
	uint32_t skip;     /* bytes before them, which an earlier record has */
	uint32_t record_size;
} rco__piece;

typedef struct rco__spool_leg {
	uint32_t format;
	uint64_t held; /* bytes from 0 without a gap */
	rco__piece *pieces;
	size_t count, cap;
	uint64_t seq; /* of the next record */
} rco__spool_leg;

enum { RCO__SPOOLED_OPENING = 0, RCO__SPOOLED_OPEN = 1, RCO__SPOOLED_GONE = 2 };

/*
 * A recording. `lock` is held over file operations; `key_lock` never longer than one chunk is sealed or opened, so
 * that revoking a key waits for nothing slow. Order: lock, table_lock; lock, key_lock.
 */
typedef struct rco__spooled {
	struct rco__spooled *next; /* in its bucket; table_lock */
	uint32_t refs;             /* table_lock */
	uint8_t id[16];

	pthread_mutex_t lock; /* guards what follows */
	int state;            /* RCO__SPOOLED_... */
	uint64_t slot;
	uint64_t epoch;
	uint32_t serial; /* tells its records from those of an erased recording with its id */
	uint8_t meta[RCO_META_MAX];
	size_t meta_size;
	uint64_t damaged_bytes;
	rco__segment **segments; /* that it has records in */
	size_t n_segments, cap_segments;
	rco__spool_leg legs[RCO_MAX_LEGS];

	pthread_mutex_t key_lock; /* guards what follows */
	int revoked;
	uint8_t *key; /* locked memory; NULL: revoked, or not yet unwrapped */
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX];
	size_t wrapped_size;
} rco__spooled;

/* A codec and room for one record, lent to whoever codes. */
typedef struct rco__codec_item {
	struct rco__codec_item *next;
	rco__codec *codec;
	uint8_t *buf;
	size_t cap;
} rco__codec_item;

/* A key epoch of which we know. */
typedef struct rco__epoch {
	uint64_t number;
	uint64_t live;    /* recordings whose slot names it */
	uint32_t pins;    /* keys being wrapped since it was the newest */
	int64_t retry_us; /* it could not be destroyed: again at this (monotonic) time */
} rco__epoch;

struct rco_spool {
	uint32_t magic;
	pid_t owner;
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
	size_t n_recordings;

	pthread_mutex_t segment_lock;
	rco__segment *segments;
	rco__segment *current;
	uint64_t current_size;
	uint64_t next_number;
	rco__group segment_group;

	pthread_mutex_t slot_lock;
	uint8_t id[16]; /* of the spool: in its slot file and segments */
	int slots_fd;
	uint64_t n_slots;
	uint8_t *slot_used; /* one byte each */
	uint64_t slot_hint;
	int slots_dirty;
	int slots_lost; /* a sync failed: all has to be written again */
	rco__group slot_group;

	pthread_mutex_t epoch_lock;
	rco__epoch *epochs; /* ascending */
	size_t n_epochs, cap_epochs;
	uint32_t blind_pins; /* keys being wrapped since before any epoch was known */
	int epochs_busy;     /* a thread is destroying */

	pthread_mutex_t codec_lock;
	rco__codec_item *codecs;
};

/* ---- spool_table.c ---- */

int rco__group_init(rco__group *group);
void rco__group_destroy(rco__group *group);
/* Have `sync` run at least once, begun after this call. An error also if one that was under way failed. */
int rco__group_run(rco__group *group, int (*sync)(rco_spool *spool), rco_spool *spool);

/* NULL: no memory. The reference is the table's. */
rco__spooled *rco__spooled_new(rco_spool *spool, const uint8_t id[16]);
void rco__spooled_free(rco_spool *spool, rco__spooled *r);
void rco__spooled_free_all(rco_spool *spool);
/* With a reference, NULL if it is not there. */
rco__spooled *rco__spooled_get(rco_spool *spool, const uint8_t id[16]);
void rco__spooled_put(rco_spool *spool, rco__spooled *r);
/* The same without a reference, while no other thread knows the spool. */
rco__spooled *rco__spooled_find(rco_spool *spool, const uint8_t id[16]);
/* NULL if it is in now; otherwise the one that was. The caller has a reference to what is in. */
rco__spooled *rco__spooled_insert(rco_spool *spool, rco__spooled *r);
/* Recording's lock held: who waits for it finds it gone. The caller keeps its reference. */
void rco__spooled_take_out(rco_spool *spool, rco__spooled *r);
/* All of them, each with a reference. */
int rco__spooled_list(rco_spool *spool, rco__spooled ***list, size_t *count);

/* ---- spool_audio.c: chunks to records and back. The recording's lock is held, its state is OPEN. ---- */

/* Have its key in memory. RCO_E_NOT_FOUND if it is revoked, RCO_E_KEY if it cannot be unwrapped. */
int rco__spooled_key(rco_spool *spool, rco__spooled *r);
int rco__spooled_append(rco_spool *spool, rco__spooled *r, const rco_chunk *chunk);
int rco__spooled_read(rco_spool *spool, rco__spooled *r, uint32_t leg, uint64_t position, uint8_t *data,
                      size_t cap, size_t *used);
/* Room for one more piece and segment, so that neither can fail once the record is written. */
int rco__spooled_reserve(rco_spool *spool, rco__spooled *r, rco__spool_leg *leg);
static inline rco__segment *rco__spooled_last(const rco__spooled *r)
{
	return r->n_segments > 0 ? r->segments[r->n_segments - 1] : NULL;
}
/* Put the piece at the end of the leg, into the room reserved. */
void rco__spooled_add(rco__spooled *r, rco__spool_leg *leg, const rco__piece *piece);
/* Those that are not lent, wiped: they may hold parts of what they coded. New ones are made on demand. */
void rco__spool_free_codecs(rco_spool *spool);

/* ---- spool_slots.c ---- */

typedef struct rco__slot {
	uint8_t id[16];
	uint32_t serial;
	uint64_t epoch;
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX];
	size_t wrapped_size;
	uint8_t meta[RCO_META_MAX];
	size_t meta_size;
} rco__slot;

/* Tells rco__spool_found_slot() of each. */
int rco__slots_open(rco_spool *spool);
/* Written on return, durable with the next flush. */
int rco__slot_put(rco_spool *spool, const rco__slot *slot, uint64_t *index);
/* Zeros, durable on return. */
int rco__slot_wipe(rco_spool *spool, uint64_t index);
int rco__slots_flush(rco_spool *spool);
void rco__slots_close(rco_spool *spool);

/* ---- spool_segment.c, and spool_open.c for what an earlier process left ---- */

#define RCO__SPOOL_SEG_MAGIC "RCOSEG01"
#define RCO__SPOOL_REC_MAGIC UINT32_C(0x4b484352) /* "RCHK" */

enum {
	RCO__SPOOL_SEG_VERSION = 1,
	RCO__SPOOL_SEG_CRC_AT = RCO__SPOOL_SEG_HEADER - 4,
	RCO__SPOOL_REC_VERSION = 1,
	RCO__SPOOL_REC_CRC_AT = RCO__SPOOL_REC_HEADER - 4
};

typedef struct rco__record {
	uint8_t coding;
	uint8_t leg;
	uint8_t id[16];
	uint32_t serial;
	uint32_t format;
	uint64_t seq;
	uint64_t position;
	int64_t time_us;
	uint32_t raw_size;
	uint32_t cipher_size;
	uint8_t nonce[24];
} rco__record;

/* On disk, with its padding. */
size_t rco__record_size(size_t cipher_size);
/* The header; its bytes before the checksum are what the seal covers. */
void rco__record_encode(const rco__record *record, uint8_t out[RCO__SPOOL_REC_HEADER]);
/* Puts the checksum over header and ciphertext, and zeros the padding. */
void rco__record_finish(uint8_t *out, uint32_t cipher_size);
/* RCO_OK, RCO_E_CORRUPT, RCO_E_VERSION. `size`: bytes available from the header on. */
int rco__record_parse(const uint8_t *buf, size_t size, rco__record *record);
int rco__segment_name(uint64_t number, char out[RCO__SPOOL_NAME]);
void rco__segment_header(const rco_spool *spool, uint64_t number, uint8_t header[RCO__SPOOL_SEG_HEADER]);
rco__segment *rco__segment_new(rco_spool *spool, uint64_t number);
void rco__segment_free(rco_spool *spool, rco__segment *segment);
int rco__spool_found_slot(rco_spool *spool, uint64_t index, const rco__slot *slot);
int rco__segments_open(rco_spool *spool);
/* Write a finished record; where it is comes back. `last` is the newest segment that counts the recording, or
 * NULL. */
int rco__segment_append(rco_spool *spool, const uint8_t *record, size_t size, rco__segment *last,
                        rco__segment **segment, uint64_t *offset);
/* A recording that has records in these is gone. */
void rco__segments_drop(rco_spool *spool, rco__segment **segments, size_t count);
int rco__segments_flush(rco_spool *spool);
/* Delete those without live recordings. */
void rco__segments_tidy(rco_spool *spool);
void rco__segments_close(rco_spool *spool);

/* ---- spool_epochs.c ---- */

int rco__epochs_open(rco_spool *spool);
/* A slot names it. */
int rco__epoch_found(rco_spool *spool, uint64_t number);
/* Around a call of `wrap`: what it returns is not destroyed before the recording counts. */
uint64_t rco__epoch_pin(rco_spool *spool);
void rco__epoch_unpin(rco_spool *spool, uint64_t pin);
/* One more recording of it; one less. */
int rco__epoch_enter(rco_spool *spool, uint64_t number);
void rco__epoch_leave(rco_spool *spool, uint64_t number);
/* Destroy those that no recording needs. */
void rco__epochs_tidy(rco_spool *spool);
void rco__epochs_close(rco_spool *spool);

#endif
