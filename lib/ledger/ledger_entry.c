/* SPDX-License-Identifier: MIT */
/* The bytes of the ledger: header, entry, and the walk over a file that may be damaged. */
#include "ledger_internal.h"

#include <sodium.h>

static const uint8_t header_magic[8] = {'R', 'C', 'O', 'L', 'E', 'D', 'G', '1'};

enum { ENTRY_MAGIC = 0x454f4352 /* "RCOE" */, HASHED_FIELDS = 48 };

void rco__ledger_header_encode(const rco__ledger_header *header, uint8_t out[RCO__LEDGER_HEADER_BYTES])
{
	rco__cursor c;

	memset(out, 0, RCO__LEDGER_HEADER_BYTES);
	rco__cursor_writer(&c, out, RCO__LEDGER_HEADER_BYTES);
	rco__wbytes(&c, header_magic, sizeof header_magic);
	rco__w16(&c, RCO__LEDGER_VERSION);
	rco__w16(&c, 0);
	rco__w32(&c, 0);
	rco__w64(&c, header->number);
	rco__w64(&c, (uint64_t)header->created_us);
	rco__w64(&c, header->file_bytes);
	rco__wbytes(&c, header->prev_hash, RCO__LEDGER_HASH);
	rco__put32(out + RCO__LEDGER_HEADER_BYTES - 4, rco__crc32c(0, out, RCO__LEDGER_HEADER_BYTES - 4));
}

int rco__ledger_header_parse(const uint8_t *buf, size_t size, rco__ledger_header *header)
{
	uint16_t version;
	rco__cursor c;

	if (size < RCO__LEDGER_HEADER_BYTES || memcmp(buf, header_magic, sizeof header_magic) != 0)
		return RCO_E_CORRUPT;
	/* Size and checksum of the header are the same in every version, so that a flipped bit in the version
	 * field is not taken for a newer format. */
	if (rco__crc32c(0, buf, RCO__LEDGER_HEADER_BYTES - 4) != rco__get32(buf + RCO__LEDGER_HEADER_BYTES - 4))
		return RCO_E_CORRUPT;
	rco__cursor_reader(&c, buf + sizeof header_magic, RCO__LEDGER_HEADER_BYTES - sizeof header_magic);
	version = rco__r16(&c);
	if (version > RCO__LEDGER_VERSION)
		return RCO_E_VERSION;
	(void)rco__r16(&c);
	(void)rco__r32(&c);
	header->number = rco__r64(&c);
	header->created_us = (int64_t)rco__r64(&c);
	header->file_bytes = rco__r64(&c);
	rco__rbytes(&c, header->prev_hash, RCO__LEDGER_HASH);
	return c.failed || version == 0 ? RCO_E_CORRUPT : RCO_OK;
}

size_t rco__ledger_entry_bytes(size_t payload_size)
{
	return (RCO__LEDGER_ENTRY_FIXED + payload_size + 4 + 7) & ~(size_t)7;
}

static void chain_hash(const uint8_t chain[RCO__LEDGER_HASH], const uint8_t *entry, size_t payload_size,
                       uint8_t out[RCO__LEDGER_HASH])
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, NULL, 0, RCO__LEDGER_HASH);
	(void)crypto_generichash_update(&state, chain, RCO__LEDGER_HASH);
	(void)crypto_generichash_update(&state, entry, HASHED_FIELDS);
	(void)crypto_generichash_update(&state, entry + RCO__LEDGER_ENTRY_FIXED, payload_size);
	(void)crypto_generichash_final(&state, out, RCO__LEDGER_HASH);
}

void rco__ledger_entry_encode(const rco__ledger_entry *entry, uint8_t chain[RCO__LEDGER_HASH], uint8_t *out)
{
	size_t size = rco__ledger_entry_bytes(entry->payload_size);
	rco__cursor c;

	memset(out, 0, size);
	rco__cursor_writer(&c, out, size);
	rco__w32(&c, ENTRY_MAGIC);
	rco__w16(&c, RCO__LEDGER_VERSION);
	rco__w16(&c, entry->type);
	rco__w16(&c, entry->flags);
	rco__w16(&c, 0);
	rco__w32(&c, (uint32_t)entry->payload_size);
	rco__w64(&c, entry->seq);
	rco__w64(&c, (uint64_t)entry->time_us);
	rco__wbytes(&c, entry->subject, sizeof entry->subject);
	if (entry->payload_size > 0)
		memcpy(out + RCO__LEDGER_ENTRY_FIXED, entry->payload, entry->payload_size);
	chain_hash(chain, out, entry->payload_size, chain);
	memcpy(out + HASHED_FIELDS, chain, RCO__LEDGER_HASH);
	rco__put32(out + size - 4, rco__crc32c(0, out, size - 4));
}

/* Size of the valid entry at `at`, or 0. */
static size_t parse_entry(rco__ledger_scan *scan, size_t at, rco__ledger_entry *entry)
{
	const uint8_t *p = scan->buf + at;
	size_t left = scan->size - at, payload, size;
	uint16_t version;

	if (left < RCO__LEDGER_ENTRY_MIN || rco__get32(p) != ENTRY_MAGIC)
		return 0;
	payload = rco__get32(p + 12);
	if (payload > RCO__LEDGER_PAYLOAD_MAX)
		return 0;
	size = rco__ledger_entry_bytes(payload);
	if (size > left || rco__crc32c(0, p, size - 4) != rco__get32(p + size - 4))
		return 0;
	version = rco__get16(p + 4);
	if (version > RCO__LEDGER_VERSION)
		scan->newer = 1;
	entry->type = rco__get16(p + 6);
	entry->flags = rco__get16(p + 8);
	entry->seq = rco__get64(p + 16);
	entry->time_us = (int64_t)rco__get64(p + 24);
	memcpy(entry->subject, p + 32, sizeof entry->subject);
	entry->payload = p + RCO__LEDGER_ENTRY_FIXED;
	entry->payload_size = payload;
	/* A sequence number near the end of its range would make the next one wrap. */
	if (version != RCO__LEDGER_VERSION || entry->type == 0 || entry->type > 0x7fff || entry->seq == 0 ||
	    entry->seq > (uint64_t)INT64_MAX)
		return 0;
	return size;
}

void rco__ledger_scan_start(rco__ledger_scan *scan, const uint8_t *buf, size_t size,
                            const uint8_t chain[RCO__LEDGER_HASH])
{
	memset(scan, 0, sizeof *scan);
	scan->buf = buf;
	scan->size = size;
	scan->at = size < RCO__LEDGER_HEADER_BYTES ? size : RCO__LEDGER_HEADER_BYTES;
	memcpy(scan->chain, chain, RCO__LEDGER_HASH);
}

/* Most of a file is zeros that were written ahead: they are passed over a block at a time. */
enum { BLANK = 512 };

static int blank(const uint8_t *at)
{
	static const uint8_t zeros[BLANK];

	return memcmp(at, zeros, BLANK) == 0;
}

/* Bytes from `at` to the last one that is not zero. */
static size_t tail_bytes(const rco__ledger_scan *scan)
{
	size_t end = scan->size;

	while (end - scan->at >= BLANK && blank(scan->buf + end - BLANK))
		end -= BLANK;
	while (end > scan->at && scan->buf[end - 1] == 0)
		end--;
	return end - scan->at;
}

int rco__ledger_scan_next(rco__ledger_scan *scan, rco__ledger_entry *entry)
{
	uint8_t hash[RCO__LEDGER_HASH];
	size_t at, size = 0;

	/* Zeros do not end the search: a lost block in the middle of a file reads as zeros too. */
	for (at = scan->at; at < scan->size; at += 8) {
		while (scan->size - at > BLANK && blank(scan->buf + at))
			at += BLANK;
		size = parse_entry(scan, at, entry);
		if (size > 0)
			break;
	}
	if (size == 0) {
		scan->tail = tail_bytes(scan);
		return 0;
	}
	scan->gap = at - scan->at;
	chain_hash(scan->chain, scan->buf + at, entry->payload_size, hash);
	memcpy(scan->chain, scan->buf + at + HASHED_FIELDS, RCO__LEDGER_HASH);
	scan->chain_ok = memcmp(hash, scan->chain, RCO__LEDGER_HASH) == 0;
	scan->at = at + size;
	return 1;
}
