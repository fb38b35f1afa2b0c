/* SPDX-License-Identifier: MIT */
/*
 * A ledger of two files, one of them changed. Every entry that stands where it stood, unchanged, is replayed;
 * opening fails only for a newer version; the next start finds what this one found, and nothing more to set aside;
 * what is appended afterwards is there after that. An entry that parses, written again, is the same bytes.
 */
#include "fuzz.h"
#include "mem.h"

#include "../../lib/ledger/ledger_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REPAIR_HEADER = 1,
	REPAIR_ENTRIES = 2,
	SECOND = 4,
	FILES = 2,
	ENTRIES = 10,
	SEEN = 4096,
	SIZE = RCO__LEDGER_FILE_MIN
};

typedef struct world {
	mem *m;
	int64_t now_us;
	rco__ledger *ledger;
	rco__ledger_report report;
	uint64_t seen[SEEN]; /* hashes of type, subject, payload */
	size_t n;
} world;

static uint64_t hash_of(const rco__ledger_entry *entry)
{
	uint64_t hash = fuzz_hash(0, &entry->type, sizeof entry->type);

	hash = fuzz_hash(hash, entry->subject, sizeof entry->subject);
	return fuzz_hash(hash, entry->payload, entry->payload_size);
}

static int on_entry(const rco__ledger_entry *entry, void *user_data)
{
	world *w = user_data;

	FUZZ_CHECK(entry->payload_size <= RCO__LEDGER_PAYLOAD_MAX && entry->type > 0 && entry->type <= 0x7fff);
	FUZZ_CHECK(w->n < SEEN);
	w->seen[w->n++] = hash_of(entry);
	return 0;
}

static int open_ledger(world *w)
{
	rco__ledger_options o = {
		.dir = "/ledger", .quarantine_dir = "/quarantine", .file_bytes = SIZE, .retention_s = 60};

	w->n = 0;
	mem_env(w->m, &w->now_us, &o.env);
	return rco__ledger_open(&o, on_entry, w, &w->report, &w->ledger);
}

static void close_ledger(world *w)
{
	rco__ledger_close(w->ledger);
	w->ledger = NULL;
}

static uint64_t append(world *w, unsigned n, size_t size, uint16_t flags)
{
	uint8_t payload[RCO__LEDGER_PAYLOAD_MAX], subject[16] = {0x77};
	uint64_t lsn = 0;

	subject[1] = (uint8_t)(n % 4);
	fuzz_noise(n, 0, payload, size);
	FUZZ_CHECK(rco__ledger_append(w->ledger, (uint16_t)(1 + n % 5), flags, subject, payload, size, &lsn) ==
	           RCO_OK);
	return lsn;
}

static const mem *base_disk(void)
{
	static const size_t sizes[ENTRIES] = {0, 5, 40, 200, 4000, 3000, 700, 30, 0, 9};
	static world w;
	unsigned i;

	if (w.m != NULL)
		return w.m;
	w.m = mem_new();
	w.now_us = INT64_C(1700000000000000);
	FUZZ_CHECK(open_ledger(&w) == RCO_OK);
	for (i = 0; i < ENTRIES; i++)
		FUZZ_CHECK(rco__ledger_sync(w.ledger, append(&w, i, sizes[i], i == 7 ? RCO__LEDGER_CLOSES : 0)) ==
		           RCO_OK);
	close_ledger(&w);
	FUZZ_CHECK(mem_count(w.m, ".rcol", NULL) == FILES);
	fuzz_random_reset(1); /* as in every later run */
	return w.m;
}

static void path_of(unsigned file, char path[MEM_PATH])
{
	(void)snprintf(path, MEM_PATH, "/ledger/%016x.rcol", file);
}

/* Checksums, and the chain of what comes one behind the other. */
static void repair(uint8_t *buf, size_t size, unsigned how)
{
	size_t at;

	if ((how & REPAIR_HEADER) && size >= RCO__LEDGER_HEADER_BYTES)
		rco__put32(buf + RCO__LEDGER_HEADER_BYTES - 4, rco__crc32c(0, buf, RCO__LEDGER_HEADER_BYTES - 4));
	if (!(how & REPAIR_ENTRIES))
		return;
	for (at = RCO__LEDGER_HEADER_BYTES; at + RCO__LEDGER_ENTRY_MIN <= size; at += 8) {
		size_t payload = rco__get32(buf + at + 12), entry;

		if (memcmp(buf + at, "RCOE", 4) != 0 || payload > RCO__LEDGER_PAYLOAD_MAX)
			continue;
		entry = rco__ledger_entry_bytes(payload);
		if (entry <= size - at)
			rco__put32(buf + at + entry - 4, rco__crc32c(0, buf + at, entry - 4));
	}
}

static int zeros(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* Entries that follow from those before them are made again from what was read of them. */
static void check_encoding(const uint8_t *buf, size_t size)
{
	uint8_t before[RCO__LEDGER_HASH], out[RCO__LEDGER_ENTRY_MAX];
	rco__ledger_header header, same;
	rco__ledger_entry entry;
	rco__ledger_scan scan;

	if (rco__ledger_header_parse(buf, size, &header) != RCO_OK)
		return;
	rco__ledger_header_encode(&header, out);
	FUZZ_CHECK(rco__ledger_header_parse(out, RCO__LEDGER_HEADER_BYTES, &same) == RCO_OK);
	FUZZ_CHECK(same.number == header.number && same.created_us == header.created_us &&
	           same.file_bytes == header.file_bytes &&
	           memcmp(same.prev_hash, header.prev_hash, sizeof same.prev_hash) == 0);
	rco__ledger_scan_start(&scan, buf, size, header.prev_hash);
	memcpy(before, header.prev_hash, sizeof before);
	while (rco__ledger_scan_next(&scan, &entry)) {
		size_t bytes = rco__ledger_entry_bytes(entry.payload_size);
		const uint8_t *p = buf + scan.at - bytes, *end = entry.payload + entry.payload_size;

		FUZZ_CHECK(scan.at <= size && entry.payload == p + RCO__LEDGER_ENTRY_FIXED);
		if (scan.chain_ok && zeros(p + 10, 2) && zeros(end, (size_t)(p + bytes - 4 - end))) {
			rco__ledger_entry_encode(&entry, before, out);
			FUZZ_CHECK(memcmp(out, p, bytes) == 0);
		}
		memcpy(before, scan.chain, sizeof before);
	}
	FUZZ_CHECK(scan.at <= size && scan.tail <= size - scan.at);
}

static size_t times(const world *w, uint64_t hash)
{
	size_t i, n = 0;

	for (i = 0; i < w->n; i++)
		n += w->seen[i] == hash;
	return n;
}

/* Entries of the file as it was, which the changed one still has in their places. */
static size_t untouched(const uint8_t *good, const uint8_t *buf, size_t size, uint64_t hashes[ENTRIES])
{
	static const uint8_t any[RCO__LEDGER_HASH];
	rco__ledger_entry entry;
	rco__ledger_scan scan;
	size_t n = 0;

	rco__ledger_scan_start(&scan, good, SIZE, any);
	while (rco__ledger_scan_next(&scan, &entry)) {
		size_t bytes = rco__ledger_entry_bytes(entry.payload_size), at = scan.at - bytes;

		if (scan.at <= size && memcmp(good + at, buf + at, bytes) == 0)
			hashes[n++] = hash_of(&entry);
	}
	return n;
}

/* An entry that came out of the changes may swallow those behind it: a longer one whose checksum was made right.
 */
static int swallows(const uint8_t *good, const uint8_t *buf, size_t size)
{
	static const uint8_t any[RCO__LEDGER_HASH];
	rco__ledger_entry entry;
	rco__ledger_scan scan;

	rco__ledger_scan_start(&scan, buf, size, any);
	while (rco__ledger_scan_next(&scan, &entry)) {
		size_t bytes = rco__ledger_entry_bytes(entry.payload_size), at = scan.at - bytes;

		if (at + bytes > SIZE || memcmp(good + at, buf + at, bytes) != 0)
			return 1;
	}
	return 0;
}

static void check_all(const world *w, const uint64_t *hashes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		FUZZ_CHECK(times(w, hashes[i]) >= 1);
}

/* Go on with what was opened, and open it again, and again. */
static void live_with(world *w, const uint64_t *hashes, size_t n)
{
	world again = *w;
	uint64_t lsn;
	size_t i;

	check_all(w, hashes, n);
	FUZZ_CHECK(w->report.entries == w->n && w->report.quarantined <= w->report.damaged);
	close_ledger(&again);
	FUZZ_CHECK(open_ledger(&again) == RCO_OK);
	FUZZ_CHECK(again.report.damaged == 0 && again.report.quarantined == 0 && again.report.torn_bytes == 0);
	for (i = 0; i < w->n; i++)
		FUZZ_CHECK(times(&again, w->seen[i]) >= 1);
	lsn = append(&again, 99, 33, 0);
	FUZZ_CHECK(rco__ledger_sync(again.ledger, lsn) == RCO_OK);
	FUZZ_CHECK(rco__ledger_maintain(again.ledger) == RCO_OK);
	close_ledger(&again);
	FUZZ_CHECK(open_ledger(&again) == RCO_OK);
	FUZZ_CHECK(again.report.damaged == 0);
	{
		uint8_t subject[16] = {0x77}, payload[33];
		rco__ledger_entry entry = {.type = 1 + 99 % 5, .payload = payload, .payload_size = sizeof payload};

		subject[1] = 99 % 4;
		memcpy(entry.subject, subject, 16);
		fuzz_noise(99, 0, payload, sizeof payload);
		FUZZ_CHECK(times(&again, hash_of(&entry)) >= 1);
	}
	close_ledger(&again);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	static world w;
	unsigned how = fuzz_8(&in), file = how & SECOND ? 2 : 1;
	uint8_t good[SIZE], other[SIZE];
	static uint8_t buf[2 * SIZE];
	uint64_t hashes[2 * ENTRIES];
	size_t n, kept;
	char path[MEM_PATH];
	int rc;

	memset(&w, 0, sizeof w);
	w.m = mem_copy(base_disk());
	w.now_us = INT64_C(1700000000000000) + INT64_C(86400000000);
	path_of(3 - file, path);
	memcpy(other, mem_file(w.m, path, &n), SIZE);
	path_of(file, path);
	memcpy(good, mem_file(w.m, path, &n), SIZE);
	memcpy(buf, good, SIZE);
	fuzz_edit(&in, buf, &n, sizeof buf);
	repair(buf, n, how);
	mem_put(w.m, path, buf, n);
	check_encoding(buf, n);
	kept = untouched(other, other, SIZE, hashes);
	if (!swallows(good, buf, n))
		kept += untouched(good, buf, n, hashes + kept);
	rc = open_ledger(&w);
	FUZZ_CHECK(rc == RCO_OK || rc == RCO_E_VERSION);
	if (rc == RCO_OK)
		live_with(&w, hashes, kept);
	mem_free(w.m);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const uint8_t edits[][14] = {{1, 0},
	                                    {5, 0, FUZZ_XOR, 40, 1, 1},
	                                    {5, 2, FUZZ_XOR, 132, 0, 3},
	                                    {5, 1, FUZZ_XOR, 8, 0, 3},
	                                    {4, 0, FUZZ_CUT, 0, 1},
	                                    {5, 6, FUZZ_XOR, 136, 0, 1},
	                                    {8, 2, FUZZ_COPY, 128, 0, 216, 0, 88, 0},
	                                    {6, 0, FUZZ_ZERO, 216, 0, 100, 0},
	                                    /* the highest number that there can be */
	                                    {13, 2, FUZZ_SET, 144, 0, 8, 255, 255, 255, 255, 255, 255, 255, 127},
	                                    {8, 2, FUZZ_SET32, 148, 0, 0xff, 0xff, 0xff, 0x7f}};

	if (i >= sizeof edits / sizeof edits[0] || cap < 14)
		return 0;
	memcpy(out, edits[i] + 1, edits[i][0]);
	return edits[i][0];
}

static size_t file_size(void)
{
	return SIZE;
}

FUZZ_TARGET(ledger, one, seed, 1024,
            "lib/ledger/ledger_entry.c lib/ledger/ledger_replay.c lib/ledger/ledger_file.c "
            "lib/ledger/ledger_maintain.c "
            "lib/ledger/ledger_subjects.c",
            file_size)
