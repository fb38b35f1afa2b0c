/* SPDX-License-Identifier: MIT */
/* What the files of the ledger share. docs/ledger-format.md describes the bytes. */
#ifndef RCO_LEDGER_INTERNAL_H
#define RCO_LEDGER_INTERNAL_H

#include "../base/bytes.h"
#include "../base/error.h"
#include "ledger.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum {
	RCO__LEDGER_VERSION = 1,
	RCO__LEDGER_HASH = 32,
	RCO__LEDGER_HEADER_BYTES = 128,
	RCO__LEDGER_ENTRY_FIXED = 80, /* before the payload */
	RCO__LEDGER_ENTRY_MIN = 88,   /* an entry without payload */
	RCO__LEDGER_ENTRY_MAX = 4184, /* an entry with the longest payload */
	RCO__LEDGER_FILE_MIN = 8192,
	RCO__LEDGER_FILE_DEFAULT = 1 << 20,
	RCO__LEDGER_FILE_MAX = 64 << 20,
	RCO__LEDGER_IO_BYTES = 64 << 10,
	RCO__LEDGER_PATH = 4096,
	RCO__LEDGER_RESERVE_BLOCKS = 8,
	RCO__LEDGER_RESERVE_BYTES = 1024, /* largest entry that fits a reserve block */
	RCO__LEDGER_CARRY_MAX = 1000      /* open subjects that a deletion may carry over */
};

/* ---- bytes: ledger_entry.c ---- */

typedef struct rco__ledger_header {
	uint64_t number;
	int64_t created_us;
	uint64_t file_bytes;
	uint8_t prev_hash[RCO__LEDGER_HASH]; /* the chain before the file's first entry */
} rco__ledger_header;

void rco__ledger_header_encode(const rco__ledger_header *header, uint8_t out[RCO__LEDGER_HEADER_BYTES]);
/* RCO_OK, RCO_E_CORRUPT, RCO_E_VERSION; sets no detail. */
int rco__ledger_header_parse(const uint8_t *buf, size_t size, rco__ledger_header *header);

size_t rco__ledger_entry_bytes(size_t payload_size);
/* Write the entry (rco__ledger_entry_bytes() of it) and advance `chain` to its hash. */
void rco__ledger_entry_encode(const rco__ledger_entry *entry, uint8_t chain[RCO__LEDGER_HASH], uint8_t *out);

/* Walks the entries of a file in memory, over damage and holes. */
typedef struct rco__ledger_scan {
	const uint8_t *buf;
	size_t size;
	size_t at;                       /* behind the last entry that was found */
	uint8_t chain[RCO__LEDGER_HASH]; /* expected before the next entry; then its hash */
	size_t gap;                      /* bytes skipped before this entry: damage */
	int chain_ok;                    /* this entry's hash follows from the one before */
	int newer;                       /* a valid entry of a newer version was met */
	size_t tail;                     /* at the end: bytes that are not zero behind the last entry */
} rco__ledger_scan;

void rco__ledger_scan_start(rco__ledger_scan *scan, const uint8_t *buf, size_t size,
                            const uint8_t chain[RCO__LEDGER_HASH]);
/* 1 and the entry (its payload points into the buffer), or 0 at the end. */
int rco__ledger_scan_next(rco__ledger_scan *scan, rco__ledger_entry *entry);

/* ---- open subjects: ledger_subjects.c ---- */

typedef struct rco__ledger_subject {
	uint8_t id[16];
	uint64_t oldest;  /* no file below this number holds an entry of it; 0: free slot */
	uint32_t closing; /* an entry that closes it is in the queue */
	uint32_t reserved;
} rco__ledger_subject;

/* Subjects that are open. Closed ones are forgotten: memory follows what is open. */
typedef struct rco__ledger_subjects {
	rco__ledger_subject *slots;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
} rco__ledger_subjects;

/* Make room for `more` beyond those there. RCO_E_NO_MEMORY. */
int rco__ledger_subjects_reserve(const rco__env *env, rco__ledger_subjects *set, size_t more);
rco__ledger_subject *rco__ledger_subjects_find(rco__ledger_subjects *set, const uint8_t id[16]);
/* NULL if it is there already or no room was made. */
rco__ledger_subject *rco__ledger_subjects_add(rco__ledger_subjects *set, const uint8_t id[16], uint64_t oldest);
void rco__ledger_subjects_remove(rco__ledger_subjects *set, rco__ledger_subject *subject);

/* ---- the ledger ---- */

/* An entry that is not known to be durable. */
typedef struct rco__ledger_pending {
	struct rco__ledger_pending *next;
	rco__ledger_entry entry; /* without payload */
	uint64_t file;           /* where it was written */
	size_t size;
	int reserve; /* from the reserve: goes back there */
	uint8_t hash[RCO__LEDGER_HASH];
	uint8_t bytes[];
} rco__ledger_pending;

typedef struct rco__ledger_file {
	uint64_t number;
	int64_t newest_us; /* of its entries, or its creation */
	uint64_t open;     /* open subjects whose `oldest` is this file */
	int header_ok;
	int damaged;
	int torn;
	uint32_t replayed_crc;     /* of its bytes as they were replayed */
	rco__ledger_header header; /* valid if header_ok */
} rco__ledger_file;

/* How a commit went for who waited for it. */
enum {
	RCO__LEDGER_LEAD = 0, /* it came too late for that one, and leads the next */
	RCO__LEDGER_DURABLE,
	RCO__LEDGER_FAILED
};

/* On the stack of a thread that waits. */
typedef struct rco__ledger_waiter {
	struct rco__ledger_waiter *next;
	uint64_t lsn;
	int outcome;
	sem_t told;
} rco__ledger_waiter;

struct rco__ledger {
	rco__env env;
	char *dir;
	char *quarantine_dir;
	uint64_t file_bytes;
	uint64_t retention_s;
	int keep_for_ever;

	pthread_mutex_t mutex;
	pthread_cond_t done;

	/* under the mutex */
	rco__ledger_pending *head, *tail;
	rco__ledger_pending *free_reserve;
	size_t pending_count;
	uint64_t next_seq;
	uint8_t chain[RCO__LEDGER_HASH]; /* of the last entry appended */
	rco__ledger_subjects subjects;
	rco__ledger_file *files; /* by number */
	size_t file_count, file_capacity;
	uint64_t next_number;
	uint64_t head_seq; /* the newest durable entry, as others are told */
	uint8_t head_hash[RCO__LEDGER_HASH];
	uint64_t settled;            /* files below are complete and accounted for */
	uint64_t used;               /* bytes used of the current file */
	int blind;                   /* memory was too short to account for an entry: delete nothing */
	int leading;                 /* somebody is the leader */
	rco__ledger_waiter *waiters; /* for a commit to become durable */
	uint64_t group_target;
	int group_durably; /* the present leader syncs */
	char failure[512]; /* detail of the last failed commit */
	int maintaining;
	int spare_fd;      /* a file written ahead, or -1 */
	uint64_t spare_id; /* what it is called by */
	uint64_t blanks;   /* blank files begun, each called by a number of its own */
	atomic_uint_fast64_t durable;

	/* the leader's */
	int fd; /* current file, or -1 */
	uint64_t number, offset;
	int holds_durable; /* the current file has entries that are durable */
	uint64_t orphan;   /* an abandoned file without any, or 0 */
	uint64_t written, synced;
	uint8_t written_hash[RCO__LEDGER_HASH], synced_hash[RCO__LEDGER_HASH];
	rco__ledger_pending *last_written;
	uint8_t *io;
	size_t io_used;
};

/* ---- files: ledger_file.c ---- */

/* Path of file `number`, in out[RCO__LEDGER_PATH]. */
int rco__ledger_path(const rco__ledger *ledger, uint64_t number, char *out);
/* The 21 characters of a file's name and a NUL. */
void rco__ledger_name(uint64_t number, char out[22]);
/* Make the next file and make it current. Leader only; takes the mutex. */
int rco__ledger_file_fresh(rco__ledger *ledger, const uint8_t prev_hash[RCO__LEDGER_HASH]);
/* Write a spare ahead of need. Takes the mutex. */
int rco__ledger_file_spare(rco__ledger *ledger);
/* Whole file into *buf (to be released); blocks that cannot be read are zeros and count in *unreadable. */
int rco__ledger_file_load(const rco__ledger *ledger, uint64_t number, uint8_t **buf, size_t *size,
                          int *unreadable);
rco__ledger_file *rco__ledger_file_find(rco__ledger *ledger, uint64_t number);
/* Append to the list. Under the mutex, or before there are threads. */
int rco__ledger_file_add(rco__ledger *ledger, uint64_t number, const rco__ledger_header *header);
void rco__ledger_file_forget(rco__ledger *ledger, uint64_t number);
/* Remove a file from the folder, durably. */
int rco__ledger_file_unlink(rco__ledger *ledger, uint64_t number);

/* ---- open: ledger_replay.c ---- */

int rco__ledger_replay(rco__ledger *ledger, rco__ledger_replay_fn replay, void *user_data,
                       rco__ledger_report *report);

/* ---- ledger.c ---- */

/* Account for an entry in a file. Under the mutex, or before there are threads. */
void rco__ledger_note(rco__ledger *ledger, const rco__ledger_entry *entry, uint64_t file);
/* Append with the time and flags given. Under the mutex. */
int rco__ledger_enqueue(rco__ledger *ledger, const rco__ledger_entry *entry);
/* Append copies of a file's entries: all of them, or those of open subjects. *found counts entries copied. */
int rco__ledger_carry(rco__ledger *ledger, const uint8_t *buf, size_t size, int closed_too, uint64_t *copied);

#endif
