/* SPDX-License-Identifier: MIT */
/*
 * An append-only, hash-chained journal in pre-written files, with group commit.
 * The engine keeps two: "ledger" (opt-outs and what became of them: evidence)
 * and "calls" (which calls there are, their artifacts and uploads: needed only
 * until the call is finished). docs/ledger-format.md describes the bytes.
 *
 * Each entry is about a subject (a 16-byte id). A subject is open from its
 * first entry until one with RCO__LEDGER_CLOSES. What entries say must be
 * monotone: replay may meet the same entry twice and, after a carry-over, an
 * old entry of a subject behind a newer one.
 */
#ifndef RCO_LEDGER_LEDGER_H
#define RCO_LEDGER_LEDGER_H

#include "../base/env.h"

typedef struct rco__ledger rco__ledger;

enum {
	RCO__LEDGER_CLOSES = 1u << 0, /* nothing more to do about the subject */
	RCO__LEDGER_CARRIED = 1u << 1 /* set by the ledger: copied from an older file */
};

enum { RCO__LEDGER_PAYLOAD_MAX = 12288 };

typedef struct rco__ledger_entry {
	uint16_t type;  /* the engine's; 1 to 0x7fff */
	uint16_t flags; /* RCO__LEDGER_... */
	uint8_t subject[16];
	uint64_t seq; /* 1, 2, 3, ... through all files */
	int64_t time_us;
	const uint8_t *payload;
	size_t payload_size;
} rco__ledger_entry;

typedef struct rco__ledger_options {
	rco__env env;
	const char *dir;            /* made if missing */
	const char *quarantine_dir; /* made when needed */
	uint64_t file_bytes;        /* size of each pre-written file; 0: 1 MiB */
	uint64_t retention_s;       /* delete files of closed subjects this old ... */
	int keep_for_ever;          /* ... or never */
} rco__ledger_options;

/* What open found. */
typedef struct rco__ledger_report {
	uint64_t entries;     /* valid ones replayed */
	uint64_t torn_bytes;  /* bytes of a torn tail, normal after a crash */
	uint64_t damaged;     /* places inside files that did not parse or broke the chain */
	uint64_t quarantined; /* files copied to quarantine because of that */
} rco__ledger_report;

typedef int (*rco__ledger_replay_fn)(const rco__ledger_entry *entry, void *user_data);

/*
 * Open, calling `replay` for every valid entry, also those behind a damaged
 * place (found again by magic and checksum): a tombstone is never dropped
 * because a byte before it flipped. New entries go to a fresh file if the last
 * one was torn or damaged. Only a folder that cannot be read or written, or
 * memory, makes it fail; RCO_E_VERSION for files of a newer version.
 */
int rco__ledger_open(const rco__ledger_options *options, rco__ledger_replay_fn replay, void *user_data,
                     rco__ledger_report *report, rco__ledger **ledger);

/*
 * Add an entry to the group that is committed next. Any thread; does not block on the disk. *lsn is what to
 * sync to. RCO_E_NO_MEMORY: not added. Memory for a few entries is kept in reserve, so that it can be called
 * again.
 */
int rco__ledger_append(rco__ledger *ledger, uint16_t type, uint16_t flags, const uint8_t subject[16],
                       const void *payload, size_t payload_size, uint64_t *lsn);

/*
 * Block until everything up to `lsn` is durable. Callers form groups: one writes and syncs for all that came until
 * then. After a failed write or sync the file is never used again: entries not known to be durable are written to
 * a fresh file, by this call once, and then by each later call. An error means: not durable yet, call again later;
 * the entries are kept.
 */
int rco__ledger_sync(rco__ledger *ledger, uint64_t lsn);

/* Hand what was appended to the operating system without waiting for the disk: survives a crash of the process. */
int rco__ledger_write(rco__ledger *ledger);
/* The same, but RCO_PENDING instead of waiting for a sync that is under way. */
int rco__ledger_try_write(rco__ledger *ledger);

/* The lsn of the newest entry. */
uint64_t rco__ledger_last(rco__ledger *ledger);

/* Highest lsn that is durable; a relaxed read. */
uint64_t rco__ledger_durable(rco__ledger *ledger);

/* The newest durable entry: its number and its hash, which every entry before it goes into; 0 and zeros without
 * one. */
void rco__ledger_head(rco__ledger *ledger, uint64_t *seq, uint8_t hash[32]);

/* Rotate away files that retention allows, carrying open subjects over. Worker, now and then. */
int rco__ledger_maintain(rco__ledger *ledger);

/* Writes and syncs what is left. */
void rco__ledger_close(rco__ledger *ledger);

#endif
