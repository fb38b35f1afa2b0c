/* SPDX-License-Identifier: MIT */
/* What the files of the spool share. docs/spool-format.md describes the bytes. */
#ifndef RCO_STORAGE_SPOOL_INTERNAL_H
#define RCO_STORAGE_SPOOL_INTERNAL_H

#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/fs_roots.h"
#include "../base/secmem.h"
#include "../media/chunk.h"
#include "../media/format.h"
#include "storage_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
	RCO__SPOOL_PATH = 1024,
	RCO__SPOOL_NAME = 32,
	RCO__SPOOL_SLOT = 1024,     /* bytes of a key slot */
	RCO__SPOOL_WRAPPED = 72,    /* of a recording's key: nonce, key, seal */
	RCO__SPOOL_SLOT_BLOCK = 64, /* slots by which the file grows */
	RCO__SPOOL_SEG_HEADER = 64,
	RCO__SPOOL_REC_HEADER = 84, /* before the ciphertext */
	RCO__SPOOL_SEAL = 16,       /* by which the ciphertext is longer than what was coded */
	RCO__SPOOL_ALIGN = 8,
	RCO__SPOOL_BUCKETS = 4096,
	RCO__SPOOL_BLOCK = 64 /* pieces in a block of the index */
};

/* The index gives an offset 32 bits, in steps of eight; half of that, so that a last record always fits. */
static const uint64_t rco__spool_segment_max = UINT64_C(1) << 34;

/* Syncs of one kind: callers that come while one is under way share the next. */
typedef struct rco__group {
	pthread_mutex_t lock; /* guards the numbers */
	pthread_mutex_t turn; /* held by the thread that syncs */
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
	uint32_t id;    /* place in segment_ids: what the index knows it by */
	uint64_t size;  /* of the file, with the places that were taken */
	uint64_t live;  /* bytes of records that some recording needs */
	uint32_t users; /* threads that write to it, sync it or compact it */
	int dirty;      /* written since the last sync */
	int closed;     /* a write or sync failed: no more appends */
	int lost;       /* a sync failed: another would lie about what was written before */
	int told;       /* it has been logged that it cannot be removed */
	int stuck;      /* there is damage in it: it is not compacted, and stays while its recordings do */
	int leaving;    /* what points here may be pointed to the copy */
	int nameless;   /* its file has no name any more, or not yet */
} rco__segment;

/* A chunk of a leg, or a gap. What stands in the record from `skip` on counts. */
typedef struct rco__piece {
	rco__segment *segment;
	uint64_t offset;
	uint64_t position; /* in the leg, of the first byte that counts */
	uint32_t size;     /* bytes that count */
	uint32_t skip;     /* bytes before them, which an earlier record has */
	uint32_t record_size;
	int gap;
} rco__piece;

/* A piece as the index keeps it; its position is the end of the one before it. */
typedef struct rco__packed {
	uint32_t segment; /* its id */
	uint32_t offset;  /* in units of RCO__SPOOL_ALIGN */
	uint64_t sizes;   /* size, skip, record_size; of a gap size and skip, and the highest bit */
} rco__packed;

/* Part of a leg's index, as it is read from the index file. */
typedef struct rco__block {
	uint64_t position, end; /* in the leg; equal: nothing in it */
	uint32_t count;
	rco__packed at[RCO__SPOOL_BLOCK];
} rco__block;

/*
 * The last pieces are in `tail`. Those before are in blocks of RCO__SPOOL_BLOCK in the index file, which only this
 * process knows: so an hour of a leg takes less than 2.5 KiB of memory.
 */
typedef struct rco__spool_leg {
	uint32_t format;
	uint32_t count, cap;    /* of the tail */
	uint64_t held;          /* bytes from 0 without a hole */
	uint64_t tail_position; /* where the tail begins */
	rco__packed *tail;
	uint32_t *blocks;
	uint32_t n_blocks, cap_blocks;
} rco__spool_leg;

/* Records that are in no index and whose segment is kept all the same: they lie behind damage. */
typedef struct rco__stray {
	rco__segment *segment;
	uint64_t size;
} rco__stray;

enum { RCO__SPOOLED_OPENING = 0, RCO__SPOOLED_OPEN = 1, RCO__SPOOLED_GONE = 2 };

/*
 * A recording. `lock` is held over file operations; `key_lock` never longer than one chunk is sealed or opened, so
 * that revoking a key waits for nothing slow. Order: lock, table_lock; lock, key_lock.
 */
typedef struct rco__spooled {
	struct rco__spooled *next; /* in its bucket; table_lock */
	_Atomic uint32_t refs;     /* counted up only under table_lock, or by who has one */
	uint8_t id[16];

	pthread_mutex_t lock; /* guards what follows */
	int state;            /* RCO__SPOOLED_... */
	uint64_t slot;
	uint64_t epoch;
	uint32_t serial; /* tells its records from those of an erased recording with its id */
	uint8_t meta[RCO_META_MAX];
	size_t meta_size;
	uint64_t damaged_bytes;
	rco__stray *strays;
	size_t n_strays, cap_strays;
	struct rco__spooled *next_grave; /* graves_lock */
	rco__spool_leg legs[RCO_MAX_LEGS];

	pthread_mutex_t key_lock; /* guards what follows */
	int revoked;
	uint8_t *key; /* locked memory; NULL: revoked, or not yet unwrapped */
	uint8_t wrapped[RCO__SPOOL_WRAPPED];
} rco__spooled;

/* Room for one record, lent to the one who makes or reads one. */
typedef struct rco__scratch {
	struct rco__scratch *next;
	uint8_t *buf;
	size_t cap;
} rco__scratch;

typedef struct rco__compaction rco__compaction;

/* When something that failed is tried again: after a second, then after twice the pause before, up to a minute. */
typedef struct rco__again {
	int64_t at_us; /* monotonic; 0: it has not failed */
	int64_t pause_us;
} rco__again;

enum {
	RCO__EPOCH_PLANNED, /* its number is on disk, the provider may have been asked; no key is wrapped under it
	                     */
	RCO__EPOCH_WAITING, /* its wrapped key is on disk; the provider has not unwrapped it yet */
	RCO__EPOCH_READY,
	RCO__EPOCH_LOST,     /* its wrapped key is missing or damaged, or the provider does not know it any more */
	RCO__EPOCH_DESTROYED /* by the provider; its file is still to be wiped */
};

/* A key epoch: only the thread that tends them adds or removes one. epoch_lock guards what changes. */
typedef struct rco__epoch {
	struct rco__epoch *next; /* the youngest first, and then in no order */
	uint64_t number;         /* random */
	int64_t made_us;         /* wall clock, 0 not known */
	uint64_t live;           /* recordings whose slot names it */
	int state;               /* RCO__EPOCH_... */
	int own;                 /* its file was made by this spool, and not by one that has its folder's name */
	int rc;                  /* WAITING: why */
	uint8_t *key;            /* locked memory; READY, as long as it is current or a recording needs it */
	rco__again again;
} rco__epoch;

struct rco_spool {
	uint32_t magic;
	pid_t owner;
	uint8_t *here; /* a page that is 1 in the process that opened the spool; NULL: the kernel has none such */
	rco__env env;
	rco_key_ops keys;
	void *keys_ud;
	rco__roots roots;
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
	uint64_t next_number;
	rco__segment **segment_ids;
	uint32_t n_segment_ids, id_hint;
	int64_t full_us; /* when there was last no space for audio, 0 for never */
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
	rco__epoch *epochs;
	rco__epoch *epoch; /* the current one, NULL if there is none yet */
	int epoch_rc;      /* then: why */
	int epochs_busy;   /* a thread tends them */
	int64_t epoch_us;  /* how long one is used */
	int64_t rotate_us; /* when there is to be another (monotonic) */
	rco__again rotate_again;

	pthread_mutex_t scratch_lock;
	rco__scratch *scratch;

	pthread_mutex_t index_lock;
	int index_fd;
	uint32_t index_size;  /* blocks in the file */
	uint32_t index_used;  /* of these, and of those in memory */
	uint32_t *index_free; /* blocks of the file to be used again */
	size_t n_index_free, cap_index_free;
	rco__block **kept; /* blocks that could not be written */
	size_t n_kept, cap_kept;
	int index_told;

	pthread_mutex_t graves_lock;
	rco__spooled *graves; /* erased, with blocks that still have to be read to tell their segments */

	pthread_mutex_t compact_lock; /* held by the thread that compacts; nobody waits for it */
	rco__compaction *compaction;  /* NULL: none under way */
	int64_t compact_retry_us;
	int compact_told;
};

typedef struct rco__record {
	uint8_t coding;
	uint8_t leg;
	uint8_t id[16];
	uint32_t serial;
	uint32_t format;
	uint64_t position;
	int64_t time_us;
	uint32_t raw_size;
	uint32_t cipher_size;
	uint8_t nonce[24];
} rco__record;

/* ---- spool_table.c ---- */

/* This is the process that opens it; and the end of that. */
void rco__spool_mark(rco_spool *spool);
void rco__spool_unmark(rco_spool *spool);
/* Is this that process, not a forked child, which shares its files? */
int rco__spool_here(const rco_spool *spool);

void rco__group_init(rco__group *group);
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
/* It is erased or revoked, its lock is held: its segments do not count it any more, its index is empty. */
void rco__spooled_forget(rco_spool *spool, rco__spooled *r);
/* It is out of the table, its lock is held: its segments do not count it any more. If much of its index has to be
 * read for that, it is done later, so that erasing takes no longer for a long call. */
void rco__spooled_reclaim(rco_spool *spool, rco__spooled *r);
/* Do that, until then (monotonic). Is there more? */
int rco__spooled_dig(rco_spool *spool, int64_t until_us);
/* All of them, each with a reference. */
int rco__spooled_list(rco_spool *spool, rco__spooled ***list, size_t *count);

/* ---- spool_audio.c: chunks to records and back. The recording's lock is held, its state is OPEN. ---- */

/* Have its key in memory. RCO_E_NOT_FOUND if it is revoked, RCO_E_KEY if it cannot be unwrapped. */
int rco__spooled_key(rco_spool *spool, rco__spooled *r);
int rco__spooled_append(rco_spool *spool, rco__spooled *r, const rco_chunk *chunk);
/* Those whose `rc` is RCO_OK, and no lock is held. */
void rco__spooled_append_many(rco_spool *spool, rco__append *list, size_t count);
int rco__spooled_read(rco_spool *spool, rco__spooled *r, uint32_t leg, uint64_t position, uint8_t *data,
                      size_t cap, size_t *used);
/* Those that are not lent, wiped: they may hold parts of what they coded. New ones are made on demand. */
void rco__spool_free_scratch(rco_spool *spool);

/* ---- spool_index.c: where the pieces of a leg are. The recording's lock is held. ---- */

/* Room for one more piece, so that adding it cannot fail once the record is written. */
int rco__leg_reserve(rco_spool *spool, rco__spool_leg *leg);
/* Put the piece at the end of the leg, into the room reserved. */
void rco__leg_add(rco__spool_leg *leg, const rco__piece *piece);
/* The piece with this byte, which is below `held`. What had to be loaded stays in `block`, for the next search.
 * An error if the index file cannot be read or is damaged. */
int rco__leg_at(rco_spool *spool, const rco__spool_leg *leg, uint64_t position, rco__block *block,
                rco__piece *out);
/* Point what is at the end of this record to the record, which stands at `offset`; *from: in place of what.
 * Nothing happens, and *from has no segment, if that is not in a leaving segment. */
int rco__leg_point(rco_spool *spool, rco__spool_leg *leg, const rco__record *record, rco__segment *to,
                   uint64_t offset, rco__piece *from);
/* Its segments do not count it any more; the leg is empty. An error if part of the index could not be read: then
 * what that named stays until the next start. */
int rco__leg_forget(rco_spool *spool, rco__spool_leg *leg);
void rco__leg_free(rco_spool *spool, rco__spool_leg *leg);
void rco__packed_fill(rco__packed *packed, const rco__piece *piece);
static inline int rco__packed_gap(const rco__packed *p)
{
	return p->sizes >> 63 != 0;
}
static inline uint32_t rco__packed_size(const rco__packed *p)
{
	return (uint32_t)(p->sizes & (rco__packed_gap(p) ? 0x7fffffff : 0x1fffff));
}
/* Bytes that its record takes. */
uint32_t rco__packed_record(const rco__packed *p);
/* What an earlier process left of it is of no use. */
void rco__index_open(rco_spool *spool);
void rco__index_close(rco_spool *spool);

/* ---- spool_slots.c ---- */

typedef struct rco__slot {
	uint8_t id[16];
	uint32_t serial;
	uint64_t epoch;
	uint8_t wrapped[RCO__SPOOL_WRAPPED];
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
	RCO__SPOOL_SEG_VERSION = 3,
	RCO__SPOOL_SEG_CRC_AT = RCO__SPOOL_SEG_HEADER - 4,
	RCO__SPOOL_REC_VERSION = 1,
	RCO__SPOOL_REC_CRC_AT = RCO__SPOOL_REC_HEADER - 4
};

/* On disk, with its padding. */
size_t rco__record_size(size_t cipher_size);
/* The header; its bytes before the checksum are what the seal covers. */
void rco__record_encode(const rco__record *record, uint8_t out[RCO__SPOOL_REC_HEADER]);
/* Puts the checksum over header and ciphertext, and zeros the padding. */
void rco__record_finish(uint8_t *out, uint32_t cipher_size);
/* RCO_OK, RCO_E_CORRUPT, RCO_E_VERSION. `size`: bytes available from the header on. */
int rco__record_parse(const uint8_t *buf, size_t size, rco__record *record);
void rco__segment_name(uint64_t number, char out[RCO__SPOOL_NAME]);
void rco__segment_header(const rco_spool *spool, uint64_t number, uint8_t header[RCO__SPOOL_SEG_HEADER]);
/* With an id, not in the list. segment_lock held, here and in the next, or no other thread knows the spool. */
rco__segment *rco__segment_new(rco_spool *spool, uint64_t number);
void rco__segment_free(rco_spool *spool, rco__segment *segment);
rco__segment *rco__segment_of(rco_spool *spool, uint32_t id);
int rco__spool_found_slot(rco_spool *spool, uint64_t index, const rco__slot *slot);
int rco__segments_open(rco_spool *spool);
/* A place for records, to be written to by this thread; the segment counts them, and this thread until it says
 * done: how the write went, and how many bytes of it no recording needs (all of them if it failed). */
int rco__segment_take(rco_spool *spool, size_t size, rco__segment **segment, uint64_t *offset);
void rco__segment_done(rco_spool *spool, rco__segment *segment, int rc, uint64_t unused);
/* Write a finished record; where it is comes back. The segment counts it. */
int rco__segment_append(rco_spool *spool, const uint8_t *record, size_t size, rco__segment **segment,
                        uint64_t *offset);
/* A recording that has these records is gone. */
void rco__segments_drop(rco_spool *spool, const rco__packed *pieces, uint32_t count);
void rco__segments_drop_strays(rco_spool *spool, const rco__stray *strays, size_t count);
/* The numbers of the files in its folder named by one, in 16 hex digits, and `suffix`; ascending. To be released.
 */
int rco__spool_numbers(rco_spool *spool, const char *suffix, uint64_t **numbers, size_t *count);
/* The path of a file in the spool's folder: a name of less than RCO__SPOOL_NAME bytes always fits. */
void rco__spool_file(const rco_spool *spool, const char *name, char path[RCO__SPOOL_PATH]);
/* The same of a segment's file. */
void rco__segment_path(const rco_spool *spool, uint64_t number, char path[RCO__SPOOL_PATH]);
int rco__segments_flush(rco_spool *spool);
/* Delete those without live recordings. */
void rco__segments_tidy(rco_spool *spool);
void rco__segments_close(rco_spool *spool);

/* ---- spool_window.c: reading a segment from one end to the other ---- */

/* A window over a file, so that this costs the same memory whatever its size. */
typedef struct rco__window {
	uint8_t *buf;
	size_t cap;
	uint64_t start; /* in the file */
	size_t have;
	uint64_t size; /* of the file */
	int fd;
} rco__window;

/* The longest record there can be. */
size_t rco__record_max(void);
int rco__window_init(const rco_spool *spool, rco__window *window);
void rco__window_free(const rco_spool *spool, rco__window *window);
/* Go to the beginning of this file. */
int rco__window_open(const rco_spool *spool, rco__window *window, int fd);
/* What stands at `at`, which never goes back: at least rco__record_max() bytes, or all to the end of the file. */
int rco__window_look(const rco_spool *spool, rco__window *window, uint64_t at, const uint8_t **p, size_t *size);
/* The next record at or behind *at, which becomes its place; RCO_E_NOT_FOUND at the end of the file. */
int rco__window_next(const rco_spool *spool, rco__window *window, uint64_t *at, const uint8_t **p,
                     rco__record *record);

/* Search all segments for the piece with this byte and those that follow: for when the index cannot be read. The
 * recording's lock is held. RCO_E_CORRUPT if there is none. */
int rco__segments_search(rco_spool *spool, const rco__spooled *r, uint32_t leg, uint64_t position,
                         rco__block *block);

/* ---- spool_choose.c ---- */

/* Neighbours that are worth compacting, in their order; NULL if there are none. To be released. segment_lock held.
 * full: the disk was, a short time ago. */
rco__segment **rco__segments_choose(rco_spool *spool, int full, size_t *count);

/* ---- spool_compact.c ---- */

/* Go on compacting, for a bounded time. RCO_PENDING: there is more to do. */
int rco__compact_step(rco_spool *spool);
/* What an earlier process had begun is of no use. */
void rco__compact_open(rco_spool *spool);
void rco__compact_close(rco_spool *spool);

/* ---- spool_epochs.c: which epochs there are; keys of recordings, wrapped under them ---- */

/* While the spool is opened: a slot names it. */
int rco__epoch_found(rco_spool *spool, uint64_t number);
/* Wrap a key under the current epoch, which then has one recording more. */
int rco__epoch_wrap(rco_spool *spool, const uint8_t id[16], const uint8_t key[32],
                    uint8_t wrapped[RCO__SPOOL_WRAPPED], uint64_t *number);
/* RCO_E_KEY if the key is lost; another error while the epoch's key cannot be had. */
int rco__epoch_unwrap(rco_spool *spool, uint64_t number, const uint8_t id[16],
                      const uint8_t wrapped[RCO__SPOOL_WRAPPED], uint8_t key[32]);
/* One recording less. */
void rco__epoch_leave(rco_spool *spool, uint64_t number);
void rco__epochs_close(rco_spool *spool);

/* For the next two files. epoch_lock held, or no other thread knows the spool. */
rco__epoch *rco__epoch_find(const rco_spool *spool, uint64_t number);
/* At the head of the list; NULL: no memory. */
rco__epoch *rco__epoch_add(rco_spool *spool, uint64_t number, int state);
void rco__epoch_remove(rco_spool *spool, rco__epoch *epoch);
/* Its key is wiped if nobody needs it any more. */
void rco__epoch_settle(rco_spool *spool, rco__epoch *epoch);

/* ---- spool_epoch_files.c: their wrapped keys on disk ---- */

/* What an earlier process left, after the slots were read. */
int rco__epoch_files_open(rco_spool *spool);
/* Durable on return; with size 0 the number alone. */
int rco__epoch_file_put(rco_spool *spool, const rco__epoch *epoch, const uint8_t *wrapped, size_t size);
/* RCO_E_CORRUPT; RCO_E_VERSION; RCO_E_NOT_FOUND; a failure of the file. */
int rco__epoch_file_get(rco_spool *spool, rco__epoch *epoch, uint8_t wrapped[RCO_WRAPPED_KEY_MAX], size_t *size);
int rco__epoch_file_wipe(rco_spool *spool, const rco__epoch *epoch);

/* ---- spool_rotate.c: all that the key provider is asked ---- */

/* What is due: have keys unwrapped, begin an epoch, destroy those that no recording needs. Takes as long as the
 * provider does, and holds no lock meanwhile. An error if there is no epoch to wrap with. */
int rco__epochs_tend(rco_spool *spool);

#endif
