/* SPDX-License-Identifier: MIT */
/*
 * Segments: append-only files that all recordings share, so that one descriptor
 * and one fdatasync serve every call. A record is found again behind damage by
 * its magic and checksum, since records begin at multiples of eight.
 */
#include "spool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEG_MAGIC "RCOSEG01"
#define REC_MAGIC UINT32_C(0x4b484352) /* "RCHK" */

enum { SEG_VERSION = 1, REC_VERSION = 1, REC_CRC_AT = RCO__SPOOL_REC_HEADER - 4, NAME_DIGITS = 16 };

static void segment_name(uint64_t number, char out[RCO__SPOOL_NAME])
{
	(void)snprintf(out, RCO__SPOOL_NAME, "%016llx.rcos", (unsigned long long)number);
}

static int segment_number(const char *name, uint64_t *number)
{
	size_t i;

	*number = 0;
	for (i = 0; i < NAME_DIGITS; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *d = name[i] != '\0' ? strchr(digits, name[i]) : NULL;

		if (d == NULL)
			return 0;
		*number = *number * 16 + (uint64_t)(d - digits);
	}
	return strcmp(name + NAME_DIGITS, ".rcos") == 0;
}

/* ---- records ---- */

size_t rco__record_size(uint32_t cipher_size)
{
	return (RCO__SPOOL_REC_HEADER + (size_t)cipher_size + RCO__SPOOL_ALIGN - 1) &
	       ~((size_t)RCO__SPOOL_ALIGN - 1);
}

void rco__record_encode(const rco__record *r, uint8_t out[RCO__SPOOL_REC_HEADER])
{
	rco__cursor c;

	memset(out, 0, RCO__SPOOL_REC_HEADER);
	rco__cursor_writer(&c, out, REC_CRC_AT);
	rco__w32(&c, REC_MAGIC);
	rco__w8(&c, REC_VERSION);
	rco__w8(&c, r->coding);
	rco__w8(&c, r->leg);
	rco__w8(&c, 0);
	rco__wbytes(&c, r->id, 16);
	rco__w32(&c, r->format);
	rco__w32(&c, r->raw_size);
	rco__w32(&c, r->cipher_size);
	rco__w32(&c, 0);
	rco__w64(&c, r->seq);
	rco__w64(&c, r->position);
	rco__w64(&c, (uint64_t)r->time_us);
	rco__wbytes(&c, r->nonce, 24);
}

static uint32_t record_crc(const uint8_t *buf, uint32_t cipher_size)
{
	return rco__crc32c(rco__crc32c(0, buf, REC_CRC_AT), buf + RCO__SPOOL_REC_HEADER, cipher_size);
}

void rco__record_finish(uint8_t *out, uint32_t cipher_size)
{
	size_t end = RCO__SPOOL_REC_HEADER + (size_t)cipher_size;

	rco__put32(out + REC_CRC_AT, record_crc(out, cipher_size));
	memset(out + end, 0, rco__record_size(cipher_size) - end);
}

int rco__record_parse(const uint8_t *buf, size_t size, rco__record *r)
{
	rco__cursor c;
	uint8_t version;

	if (size < RCO__SPOOL_REC_HEADER || rco__get32(buf) != REC_MAGIC)
		return RCO_E_CORRUPT;
	rco__cursor_reader(&c, buf + 4, REC_CRC_AT - 4);
	version = rco__r8(&c);
	r->coding = rco__r8(&c);
	r->leg = rco__r8(&c);
	(void)rco__r8(&c);
	rco__rbytes(&c, r->id, 16);
	r->format = rco__r32(&c);
	r->raw_size = rco__r32(&c);
	r->cipher_size = rco__r32(&c);
	(void)rco__r32(&c);
	r->seq = rco__r64(&c);
	r->position = rco__r64(&c);
	r->time_us = (int64_t)rco__r64(&c);
	rco__rbytes(&c, r->nonce, 24);
	if (r->cipher_size > size - RCO__SPOOL_REC_HEADER || rco__get32(buf + REC_CRC_AT) != record_crc(buf, r->cipher_size))
		return RCO_E_CORRUPT;
	if (version != REC_VERSION)
		return RCO_E_VERSION;
	if (r->leg >= RCO_MAX_LEGS || rco__format_of(r->format) == NULL || r->raw_size == 0 ||
	    r->raw_size > RCO__CHUNK_MAX || r->position > UINT64_MAX - r->raw_size)
		return RCO_E_CORRUPT;
	return RCO_OK;
}

/* ---- opening ---- */

static rco__segment *new_segment(rco_spool *spool, uint64_t number)
{
	rco__segment *seg = rco__zalloc(&spool->env, 1, sizeof *seg);

	if (seg == NULL)
		return NULL;
	seg->number = number;
	seg->fd = -1;
	return seg;
}

static void close_segment(rco_spool *spool, rco__segment *seg)
{
	if (seg->fd >= 0)
		(void)spool->env.fs->close(spool->env.fs->ctx, seg->fd);
	rco__release(&spool->env, seg);
}

/* Every record of a file in memory, over damage and holes. */
static int scan_records(rco_spool *spool, rco__segment *seg, const uint8_t *buf, size_t size, rco__record_fn found)
{
	size_t at = RCO__SPOOL_SEG_HEADER, lost_at = 0, lost = 0;
	uint64_t damaged = 0;
	int rc = RCO_OK;

	while (at + RCO__SPOOL_REC_HEADER <= size && rc == RCO_OK) {
		rco__record r;
		int state = rco__record_parse(buf + at, size - at, &r);

		if (state == RCO_OK || state == RCO_E_VERSION) {
			if (lost > 0) {
				damaged++;
				rco__log(&spool->env, RCO_LOG_WARN, "%s/%016llx.rcos: %zu bytes at %zu are damaged",
				         spool->path, (unsigned long long)seg->number, lost, lost_at);
				lost = 0;
			}
			if (state == RCO_E_VERSION)
				return rco__fail(RCO_E_VERSION, "%s holds records of a newer library", spool->path);
			rc = found(spool, seg, at, &r);
			at += rco__record_size(r.cipher_size);
			continue;
		}
		/* Zeros are a place that was taken and not written before the crash. */
		if (rco__get64(buf + at) != 0) {
			if (lost == 0)
				lost_at = at;
			lost += RCO__SPOOL_ALIGN;
		}
		at += RCO__SPOOL_ALIGN;
	}
	if (damaged > 0)
		atomic_fetch_add(&spool->quarantined, 1);
	/* At the very end it is a record that the crash cut off: its audio is still in the ring. */
	if (lost > 0)
		rco__log(&spool->env, RCO_LOG_INFO, "%s/%016llx.rcos: an unfinished record at its end",
		         spool->path, (unsigned long long)seg->number);
	return rc;
}

static int read_all(rco_spool *spool, int fd, uint8_t **buf, size_t *size)
{
	const rco__fs *fs = spool->env.fs;
	uint64_t bytes = 0;
	int rc = fs->size(fs->ctx, fd, &bytes);

	if (rc != RCO_OK)
		return rc;
	*buf = rco__alloc(&spool->env, (size_t)bytes + 8);
	if (*buf == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory to read a segment of %llu bytes", (unsigned long long)bytes);
	rc = fs->read(fs->ctx, fd, *buf, (size_t)bytes, 0, size);
	if (rc != RCO_OK)
		rco__release(&spool->env, *buf);
	return rc;
}

static int open_segment(rco_spool *spool, const char *name, uint64_t number, rco__record_fn found)
{
	const rco__fs *fs = spool->env.fs;
	rco__segment *seg = new_segment(spool, number);
	char path[RCO__SPOOL_PATH];
	uint8_t *buf = NULL;
	size_t size = 0;
	int rc;

	if (seg == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a segment");
	rc = rco__path_join(path, sizeof path, spool->path, name);
	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_READ, &seg->fd);
	if (rc == RCO_OK)
		rc = read_all(spool, seg->fd, &buf, &size);
	if (rc != RCO_OK) {
		close_segment(spool, seg);
		return rc;
	}
	if (size >= RCO__SPOOL_SEG_HEADER && memcmp(buf, SEG_MAGIC, 8) == 0 && rco__get16(buf + 8) > SEG_VERSION)
		rc = rco__fail(RCO_E_VERSION, "%s was written by a newer library", path);
	/* Records carry all they need: a damaged file header loses nothing, a foreign file has no records. */
	if (rc == RCO_OK)
		rc = scan_records(spool, seg, buf, size, found);
	if (rc == RCO_OK && seg->live == 0 && size > 0 &&
	    (size < RCO__SPOOL_SEG_HEADER || memcmp(buf, SEG_MAGIC, 8) != 0 ||
	     rco__get32(buf + 60) != rco__crc32c(0, buf, 60))) {
		close_segment(spool, seg);
		rco__release(&spool->env, buf);
		atomic_fetch_add(&spool->quarantined, 1);
		return rco__quarantine(&spool->env, spool->path, name, spool->quarantine, "it is no segment of this spool");
	}
	rco__release(&spool->env, buf);
	if (rc != RCO_OK) {
		close_segment(spool, seg);
		return rc;
	}
	seg->next = spool->segments;
	spool->segments = seg;
	return RCO_OK;
}

typedef struct names {
	rco_spool *spool;
	uint64_t *numbers;
	size_t count, cap;
	int rc;
} names;

static int add_name(const char *name, void *user_data)
{
	names *n = user_data;
	uint64_t number;

	if (!segment_number(name, &number))
		return 0;
	if (n->count == n->cap) {
		size_t cap = n->cap == 0 ? 64 : n->cap * 2;
		uint64_t *numbers = rco__resize(&n->spool->env, n->numbers, cap * sizeof *numbers);

		if (numbers == NULL) {
			n->rc = rco__fail(RCO_E_NO_MEMORY, "no memory for segments");
			return 1;
		}
		n->numbers = numbers;
		n->cap = cap;
	}
	n->numbers[n->count++] = number;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int rco__segments_open(rco_spool *spool, rco__record_fn found)
{
	const rco__fs *fs = spool->env.fs;
	names n = {.spool = spool};
	int rc = fs->list(fs->ctx, spool->path, add_name, &n);
	size_t i;

	if (rc == RCO_OK)
		rc = n.rc;
	if (n.count > 0)
		qsort(n.numbers, n.count, sizeof *n.numbers, by_number);
	for (i = 0; i < n.count && rc == RCO_OK; i++) {
		char name[RCO__SPOOL_NAME];

		segment_name(n.numbers[i], name);
		rc = open_segment(spool, name, n.numbers[i], found);
		spool->next_number = n.numbers[i] + 1;
	}
	if (n.numbers != NULL)
		rco__release(&spool->env, n.numbers);
	return rc == RCO_OK ? rco__segments_tidy(spool) : rc;
}

/* ---- appending ---- */

/* segment_lock held */
static int next_segment(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t header[RCO__SPOOL_SEG_HEADER] = {0};
	char name[RCO__SPOOL_NAME], path[RCO__SPOOL_PATH];
	rco__segment *seg = new_segment(spool, spool->next_number);
	int rc;

	if (seg == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a segment");
	memcpy(header, SEG_MAGIC, 8);
	rco__put16(header + 8, SEG_VERSION);
	rco__put64(header + 16, seg->number);
	rco__put64(header + 24, (uint64_t)rco__wall_us(&spool->env));
	rco__put32(header + 60, rco__crc32c(0, header, 60));
	segment_name(seg->number, name);
	rc = rco__path_join(path, sizeof path, spool->path, name);
	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_CREATE_TRUNCATE, &seg->fd);
	if (rc == RCO_OK)
		rc = fs->write(fs->ctx, seg->fd, header, sizeof header, 0);
	if (rc == RCO_OK)
		rc = fs->sync_dir(fs->ctx, spool->path);
	if (rc != RCO_OK) {
		if (seg->fd >= 0)
			(void)fs->unlink(fs->ctx, path);
		close_segment(spool, seg);
		return rc;
	}
	spool->next_number++;
	seg->dirty = 1;
	seg->next = spool->segments;
	spool->segments = seg;
	spool->current = seg;
	spool->current_size = RCO__SPOOL_SEG_HEADER;
	return RCO_OK;
}

int rco__segment_append(rco_spool *spool, const uint8_t *record, size_t size, rco__segment **segment,
                        uint64_t *offset)
{
	const rco__fs *fs = spool->env.fs;
	rco__segment *seg = NULL;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&spool->segment_lock);
	if (spool->current == NULL || spool->current->failed ||
	    (spool->current_size > RCO__SPOOL_SEG_HEADER && spool->current_size + size > spool->segment_bytes))
		rc = next_segment(spool);
	if (rc == RCO_OK) {
		seg = spool->current;
		*offset = spool->current_size;
		spool->current_size += size;
		seg->users++;
		seg->live++;
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	if (rc != RCO_OK)
		return rc;
	rc = fs->write(fs->ctx, seg->fd, record, size, *offset);
	(void)pthread_mutex_lock(&spool->segment_lock);
	seg->users--;
	seg->dirty = 1;
	if (rc != RCO_OK) {
		seg->live--;
		seg->failed = 1;
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	*segment = seg;
	return rc;
}

void rco__segment_drop(rco_spool *spool, rco__segment *segment, uint64_t records)
{
	(void)pthread_mutex_lock(&spool->segment_lock);
	segment->live -= records;
	(void)pthread_mutex_unlock(&spool->segment_lock);
}

/* One segment that wants a sync, taken so that the lock need not be held meanwhile. */
static rco__segment *take_dirty(rco_spool *spool)
{
	rco__segment *seg;

	for (seg = spool->segments; seg != NULL; seg = seg->next)
		if (seg->dirty && seg->live + seg->users > 0)
			break;
	if (seg != NULL) {
		seg->dirty = 0;
		seg->users++;
	}
	return seg;
}

int rco__segments_flush(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	rco__segment *seg;
	int first = RCO_OK;

	(void)pthread_mutex_lock(&spool->segment_lock);
	while ((seg = take_dirty(spool)) != NULL) {
		int rc;

		(void)pthread_mutex_unlock(&spool->segment_lock);
		rc = fs->sync(fs->ctx, seg->fd);
		(void)pthread_mutex_lock(&spool->segment_lock);
		seg->users--;
		if (rc != RCO_OK) {
			/* The kernel now thinks the pages clean: syncing again would lie. New audio goes elsewhere. */
			seg->failed = 1;
			first = first == RCO_OK ? rc : first;
		}
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	return first;
}

int rco__segments_tidy(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	rco__segment **at, *dead = NULL;
	int rc = RCO_OK, removed = 0;

	(void)pthread_mutex_lock(&spool->segment_lock);
	for (at = &spool->segments; *at != NULL;) {
		rco__segment *seg = *at;

		if (seg->live > 0 || seg->users > 0 || (seg == spool->current && !seg->failed)) {
			at = &seg->next;
			continue;
		}
		if (seg == spool->current)
			spool->current = NULL;
		*at = seg->next;
		seg->next = dead;
		dead = seg;
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	while (dead != NULL) {
		rco__segment *seg = dead;
		char name[RCO__SPOOL_NAME], path[RCO__SPOOL_PATH];
		int one;

		dead = seg->next;
		segment_name(seg->number, name);
		one = rco__path_join(path, sizeof path, spool->path, name);
		if (one == RCO_OK)
			one = fs->unlink(fs->ctx, path);
		removed |= one == RCO_OK;
		if (one != RCO_OK && one != RCO_E_NOT_FOUND) /* ciphertext without a key: the next start removes it */
			rc = one;
		close_segment(spool, seg);
	}
	if (removed && fs->sync_dir(fs->ctx, spool->path) != RCO_OK)
		rco__log(&spool->env, RCO_LOG_WARN, "%s", rco_error_detail());
	return rc;
}

void rco__segments_close(rco_spool *spool)
{
	while (spool->segments != NULL) {
		rco__segment *seg = spool->segments;

		spool->segments = seg->next;
		close_segment(spool, seg);
	}
	spool->current = NULL;
}
