/* SPDX-License-Identifier: MIT */
/*
 * A segment of the spool, between two that are whole. Whatever stands in it: opening succeeds (or says that a
 * newer library wrote it), no byte is ever given that was not appended, the calls beside it are whole, compaction
 * ends and changes nothing, and the next start finds the same. With repairs, checksums are right and bodies are
 * sealed with the call's own key, so that the index, the codings and compaction are reached.
 */
#include "calls.h"

#include <sodium.h>
#include <string.h>

enum { REPAIR_HEADER = 1, REPAIR_RECORDS = 2, SEAL = 4, LONG = 8, CAP = 16384, MIDDLE = 1 };

/* Of the call that the record names; of the middle one if it names none. */
static const uint8_t *key_of(const uint8_t *record)
{
	return calls_key(record[8] <= CALLS_FILLER ? record[8] : MIDDLE);
}

/* Open the seals of the records, so that changes are changes of what is coded. */
static void unseal(uint8_t *buf, size_t size)
{
	size_t at = RCO__SPOOL_SEG_HEADER;
	rco__record r;

	while (at < size && rco__record_parse(buf + at, size - at, &r) == RCO_OK) {
		uint8_t *body = buf + at + RCO__SPOOL_REC_HEADER;

		FUZZ_CHECK(crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, body, r.cipher_size,
		                                                      buf + at, RCO__SPOOL_REC_CRC_AT, r.nonce,
		                                                      key_of(buf + at)) == 0);
		at += rco__record_size(r.cipher_size);
	}
}

/* The record that begins here gets its seal, if wanted, and its checksum. */
static void repair_record(uint8_t *p, size_t left, int sealed)
{
	uint32_t cipher = rco__get32(p + 32);

	if (cipher > left - RCO__SPOOL_REC_HEADER || rco__record_size(cipher) > left)
		return;
	if (sealed && cipher >= RCO__SPOOL_SEAL)
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
			p + RCO__SPOOL_REC_HEADER, NULL, p + RCO__SPOOL_REC_HEADER, cipher - RCO__SPOOL_SEAL, p,
			RCO__SPOOL_REC_CRC_AT, NULL, p + 56, key_of(p));
	rco__record_finish(p, cipher);
}

static void repair(uint8_t *buf, size_t size, unsigned how)
{
	size_t at;

	if ((how & REPAIR_HEADER) && size >= RCO__SPOOL_SEG_HEADER)
		rco__put32(buf + RCO__SPOOL_SEG_CRC_AT, rco__crc32c(0, buf, RCO__SPOOL_SEG_CRC_AT));
	if (!(how & (REPAIR_RECORDS | SEAL)))
		return;
	for (at = RCO__SPOOL_SEG_HEADER; at + RCO__SPOOL_REC_HEADER <= size; at += RCO__SPOOL_ALIGN)
		if (rco__get32(buf + at) == RCO__SPOOL_REC_MAGIC)
			repair_record(buf + at, size - at, (how & SEAL) != 0);
}

/* Does a record that parses claim to be of that call? Then what comes behind it may be taken for written twice. */
static int names(const uint8_t *buf, size_t size, unsigned n)
{
	uint8_t id[16];
	rco__record r;
	size_t at;

	calls_id(id, n);
	for (at = 0; at + RCO__SPOOL_REC_HEADER <= size; at += RCO__SPOOL_ALIGN)
		if (rco__record_parse(buf + at, size - at, &r) == RCO_OK && memcmp(r.id, id, 16) == 0)
			return 1;
	return 0;
}

/* What the middle call gives is a beginning of what was appended to it. */
static void check_middle(calls *c, uint64_t *hash)
{
	uint8_t want[CALLS_HELD], marker = MIDDLE;
	uint64_t got_hash = 0, want_hash = 0, got;
	int rc;

	got = calls_read(c, MIDDLE, &rc, &got_hash);
	FUZZ_CHECK(rc == RCO_OK || rc == RCO_E_CORRUPT);
	FUZZ_CHECK(got <= CALLS_HELD);
	fuzz_noise(MIDDLE, 0, want, sizeof want);
	if (got > 0)
		want_hash = fuzz_hash(0, want, (size_t)got);
	want_hash = fuzz_hash(want_hash, &marker, 1);
	FUZZ_CHECK(got_hash == want_hash);
	*hash = fuzz_hash(*hash, &got_hash, sizeof got_hash);
}

static uint64_t look(calls *c, int third_too, int sealed)
{
	calls_found found;
	uint64_t hash = 0;
	int rc;

	calls_holds(c, 0);
	if (third_too)
		calls_holds(c, 2);
	calls_find(c, 0, &found, &hash);
	FUZZ_CHECK(found.there && found.meta_size == 14);
	calls_find(c, 1, &found, &hash);
	FUZZ_CHECK(found.there && found.meta_size == 14);
	if (sealed)
		(void)calls_read(c, MIDDLE, &rc, &hash);
	else
		check_middle(c, &hash);
	return hash;
}

static void erase_all(calls *c)
{
	unsigned n;

	for (n = 0; n < CALLS; n++)
		FUZZ_CHECK(calls_erase(c, n) == RCO_OK);
	calls_maintain(c);
	calls_close(c);
	FUZZ_CHECK(calls_open(c) == RCO_OK);
	calls_maintain(c);
	FUZZ_CHECK(mem_count(c->disk, ".rcos", NULL) == 0); /* no segment outlives its calls */
}

static void live_with(calls *c, int third_too, int sealed, int long_too)
{
	uint64_t first = look(c, third_too, sealed);

	if (!long_too) {
		calls_close(c);
		FUZZ_CHECK(calls_open(c) == RCO_OK);
		FUZZ_CHECK(look(c, third_too, sealed) == first);
		return;
	}
	calls_usable(c);
	FUZZ_CHECK(calls_erase(c, CALLS_FILLER) == RCO_OK); /* leaves much room in all segments */
	calls_maintain(c);
	FUZZ_CHECK(look(c, third_too, sealed) == first);
	calls_close(c);
	FUZZ_CHECK(calls_open(c) == RCO_OK);
	FUZZ_CHECK(look(c, third_too, sealed) == first);
	calls_maintain(c);
	FUZZ_CHECK(look(c, third_too, sealed) == first);
	erase_all(c);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	calls c = {.disk = mem_copy(calls_disk()), .now_us = INT64_C(1700000100000000)};
	unsigned how = fuzz_8(&in);
	static uint8_t buf[CAP];
	char path[MEM_PATH];
	const uint8_t *base;
	size_t n;
	int rc;

	calls_segment_path(MIDDLE, path);
	base = mem_file(c.disk, path, &n);
	FUZZ_CHECK(base != NULL && n <= CAP);
	memcpy(buf, base, n);
	if (how & SEAL)
		unseal(buf, n);
	fuzz_edit(&in, buf, &n, CAP);
	repair(buf, n, how);
	mem_put(c.disk, path, buf, n);
	rc = calls_open(&c);
	FUZZ_CHECK(rc == RCO_OK || (rc == RCO_E_VERSION && c.spool == NULL));
	if (rc == RCO_OK)
		live_with(&c, !names(buf, n, 2), (how & SEAL) != 0, how & LONG);
	calls_close(&c);
	mem_free(c.disk);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	/* nothing; a coding; a position; a size; a version; cut; a record twice; another call's */
	static const char *const seeds[] = {
		"\10",         "\14\1\105\0\1", "\12\1\150\0\1",         "\16\4\134\0\200\0\0\0",
		"\3\1\10\0\2", "\10\2\0\1",     "\12\3\100\0\0\1\250\0", "\2\1\110\0\3"};
	static const uint8_t sizes[] = {1, 5, 5, 8, 5, 4, 8, 5};

	if (i >= sizeof sizes || sizes[i] > cap)
		return 0;
	memcpy(out, seeds[i], sizes[i]);
	return sizes[i];
}

static size_t file_size(void)
{
	char path[MEM_PATH];
	size_t n;

	calls_segment_path(MIDDLE, path);
	(void)mem_file(calls_disk(), path, &n);
	return n;
}

FUZZ_TARGET(segment, one, seed, 1024,
            "lib/storage/spool_open.c lib/storage/spool_segment.c lib/storage/spool_window.c "
            "lib/storage/spool_audio.c lib/storage/spool_compact.c lib/storage/spool_index.c",
            file_size)
