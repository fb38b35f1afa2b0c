/* SPDX-License-Identifier: MIT */
/*
 * Segments: append-only files that all recordings share, so that one descriptor
 * and one fdatasync serve every call. Opening them is in spool_open.c.
 */
#include "spool_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME_TRIES = 16 };

void rco__segment_name(uint64_t number, char out[RCO__SPOOL_NAME])
{
	(void)snprintf(out, RCO__SPOOL_NAME, "%016llx.rcos", (unsigned long long)number);
}

/* ---- records ---- */

size_t rco__record_size(size_t cipher_size)
{
	return (RCO__SPOOL_REC_HEADER + cipher_size + RCO__SPOOL_ALIGN - 1) & ~((size_t)RCO__SPOOL_ALIGN - 1);
}

void rco__record_encode(const rco__record *r, uint8_t out[RCO__SPOOL_REC_HEADER])
{
	rco__cursor c;

	memset(out, 0, RCO__SPOOL_REC_HEADER);
	rco__cursor_writer(&c, out, RCO__SPOOL_REC_CRC_AT);
	rco__w32(&c, RCO__SPOOL_REC_MAGIC);
	rco__w8(&c, RCO__SPOOL_REC_VERSION);
	rco__w8(&c, r->coding);
	rco__w8(&c, r->leg);
	rco__w8(&c, 0);
	rco__wbytes(&c, r->id, 16);
	rco__w32(&c, r->format);
	rco__w32(&c, r->raw_size);
	rco__w32(&c, r->cipher_size);
	rco__w32(&c, r->serial);
	rco__w64(&c, r->position);
	rco__w64(&c, (uint64_t)r->time_us);
	rco__wbytes(&c, r->nonce, 24);
}

static uint32_t record_crc(const uint8_t *buf, uint32_t cipher_size)
{
	return rco__crc32c(rco__crc32c(0, buf, RCO__SPOOL_REC_CRC_AT), buf + RCO__SPOOL_REC_HEADER, cipher_size);
}

void rco__record_finish(uint8_t *out, uint32_t cipher_size)
{
	size_t end = RCO__SPOOL_REC_HEADER + (size_t)cipher_size;

	rco__put32(out + RCO__SPOOL_REC_CRC_AT, record_crc(out, cipher_size));
	memset(out + end, 0, rco__record_size(cipher_size) - end);
}

static int possible(const rco__record *r)
{
	const rco__format *format = rco__format_of(r->format);
	uint32_t longest = r->coding == RCO__CODING_GAP ? RCO__GAP_MAX : RCO__CHUNK_MAX;
	uint32_t coded = r->coding == RCO__CODING_GAP ? 0 : RCO__CHUNK_MAX;

	/* No record is longer than the longest that is written: so the index has room for its size. */
	return r->leg < RCO_MAX_LEGS && format != NULL && r->cipher_size <= coded + RCO__SPOOL_SEAL &&
	       r->raw_size > 0 && r->raw_size <= longest && r->raw_size % format->sample_bytes == 0 &&
	       r->position % format->sample_bytes == 0 && r->position <= UINT64_MAX - r->raw_size &&
	       r->cipher_size >= RCO__SPOOL_SEAL;
}

int rco__record_parse(const uint8_t *buf, size_t size, rco__record *r)
{
	rco__cursor c;
	uint8_t version;

	if (size < RCO__SPOOL_REC_HEADER || rco__get32(buf) != RCO__SPOOL_REC_MAGIC)
		return RCO_E_CORRUPT;
	rco__cursor_reader(&c, buf + 4, RCO__SPOOL_REC_CRC_AT - 4);
	version = rco__r8(&c);
	r->coding = rco__r8(&c);
	r->leg = rco__r8(&c);
	(void)rco__r8(&c);
	rco__rbytes(&c, r->id, 16);
	r->format = rco__r32(&c);
	r->raw_size = rco__r32(&c);
	r->cipher_size = rco__r32(&c);
	r->serial = rco__r32(&c);
	r->position = rco__r64(&c);
	r->time_us = (int64_t)rco__r64(&c);
	rco__rbytes(&c, r->nonce, 24);
	if (r->cipher_size > size - RCO__SPOOL_REC_HEADER ||
	    rco__get32(buf + RCO__SPOOL_REC_CRC_AT) != record_crc(buf, r->cipher_size))
		return RCO_E_CORRUPT;
	if (version != RCO__SPOOL_REC_VERSION)
		return RCO_E_VERSION;
	return possible(r) ? RCO_OK : RCO_E_CORRUPT;
}

/* ---- files ---- */

static int take_id(rco_spool *spool, uint32_t *id)
{
	uint32_t n = spool->n_segment_ids, i, more;
	rco__segment **ids;

	for (i = 0; i < n; i++) {
		*id = (spool->id_hint + i) % n;
		if (spool->segment_ids[*id] == NULL)
			return RCO_OK;
	}
	more = n == 0 ? 64 : n;
	ids = rco__resize(&spool->env, spool->segment_ids, ((size_t)n + more) * sizeof(rco__segment *));
	if (ids == NULL)
		return RCO_E_NO_MEMORY;
	memset(&ids[n], 0, more * sizeof(rco__segment *));
	spool->segment_ids = ids;
	spool->n_segment_ids = n + more;
	*id = n;
	return RCO_OK;
}

rco__segment *rco__segment_new(rco_spool *spool, uint64_t number)
{
	rco__segment *seg = rco__zalloc(&spool->env, 1, sizeof *seg);

	if (seg == NULL || take_id(spool, &seg->id) != RCO_OK) {
		rco__release(&spool->env, seg);
		(void)rco__fail(RCO_E_NO_MEMORY, "no memory for a segment");
		return NULL;
	}
	spool->segment_ids[seg->id] = seg;
	spool->id_hint = seg->id + 1;
	seg->number = number;
	seg->fd = -1;
	return seg;
}

void rco__segment_free(rco_spool *spool, rco__segment *seg)
{
	if (seg->fd >= 0)
		(void)spool->env.fs->close(spool->env.fs->ctx, seg->fd);
	spool->segment_ids[seg->id] = NULL;
	rco__release(&spool->env, seg);
}

rco__segment *rco__segment_of(rco_spool *spool, uint32_t id)
{
	return spool->segment_ids[id];
}

void rco__segment_path(const rco_spool *spool, uint64_t number, char path[RCO__SPOOL_PATH])
{
	char name[RCO__SPOOL_NAME];

	rco__segment_name(number, name);
	rco__spool_file(spool, name, path);
}

static int create_file(rco_spool *spool, rco__segment *seg, char path[RCO__SPOOL_PATH])
{
	const rco__fs *fs = spool->env.fs;
	uint8_t header[RCO__SPOOL_SEG_HEADER];
	int rc = RCO_E_STATE, tries, made;

	/* A number whose file is there all the same (it could not be removed, say) is passed over. */
	for (tries = 0; rc == RCO_E_STATE && tries < NAME_TRIES; tries++) {
		seg->number = spool->next_number++;
		rco__segment_path(spool, seg->number, path);
		rc = fs->open(fs->ctx, path, RCO__FS_CREATE_NEW, &seg->fd);
	}
	made = rc == RCO_OK;
	rco__segment_header(spool, seg->number, header);
	if (rc == RCO_OK)
		rc = fs->write(fs->ctx, seg->fd, header, sizeof header, 0);
	if (rc == RCO_OK)
		rc = fs->sync_dir(fs->ctx, spool->path);
	if (rc != RCO_OK && made)
		(void)fs->unlink(fs->ctx, path); /* else the next start removes it: it is empty */
	return rc;
}

void rco__segment_header(const rco_spool *spool, uint64_t number, uint8_t header[RCO__SPOOL_SEG_HEADER])
{
	memset(header, 0, RCO__SPOOL_SEG_HEADER);
	memcpy(header, RCO__SPOOL_SEG_MAGIC, 8);
	rco__put16(header + 8, RCO__SPOOL_SEG_VERSION);
	rco__put64(header + 16, number);
	rco__put64(header + 24, (uint64_t)rco__wall_us(&spool->env));
	memcpy(header + 32, spool->id, 16);
	rco__put32(header + RCO__SPOOL_SEG_CRC_AT, rco__crc32c(0, header, RCO__SPOOL_SEG_CRC_AT));
}

/* ---- appending ---- */

/* segment_lock held */
static int next_segment(rco_spool *spool)
{
	rco__segment *seg = rco__segment_new(spool, 0);
	char path[RCO__SPOOL_PATH];
	int rc;

	if (seg == NULL)
		return RCO_E_NO_MEMORY;
	rc = create_file(spool, seg, path);
	if (rc != RCO_OK) {
		rco__segment_free(spool, seg);
		return rc;
	}
	seg->dirty = 1;
	seg->size = RCO__SPOOL_SEG_HEADER;
	seg->next = spool->segments;
	spool->segments = seg;
	spool->current = seg;
	return RCO_OK;
}

int rco__segment_take(rco_spool *spool, size_t size, rco__segment **segment, uint64_t *offset)
{
	rco__segment *seg;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&spool->segment_lock);
	seg = spool->current;
	if (seg == NULL || seg->closed || seg->size + size > spool->segment_bytes)
		rc = next_segment(spool);
	if (rc == RCO_OK) {
		seg = *segment = spool->current;
		*offset = seg->size;
		seg->size += size;
		seg->users++;
		seg->live += size;
	} else if (rc == RCO_E_NO_SPACE) {
		spool->full_us = rco__mono_us(&spool->env);
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	return rc;
}

void rco__segment_done(rco_spool *spool, rco__segment *seg, int rc, uint64_t unused)
{
	(void)pthread_mutex_lock(&spool->segment_lock);
	seg->users--;
	seg->dirty = 1;
	seg->live -= unused;
	if (rc != RCO_OK) {
		seg->closed = 1; /* the hole is passed over when it is read; new records go elsewhere */
		if (rc == RCO_E_NO_SPACE)
			spool->full_us = rco__mono_us(&spool->env);
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	if (rc != RCO_OK)
		rco__segments_tidy(spool); /* on a full disk each attempt would leave an empty file */
}

int rco__segment_append(rco_spool *spool, const uint8_t *record, size_t size, rco__segment **segment,
                        uint64_t *offset)
{
	const rco__fs *fs = spool->env.fs;
	int rc = rco__segment_take(spool, size, segment, offset);

	if (rc != RCO_OK)
		return rc;
	rc = fs->write(fs->ctx, (*segment)->fd, record, size, *offset);
	rco__segment_done(spool, *segment, rc, rc == RCO_OK ? 0 : size);
	return rc;
}

/* ---- flushing ---- */

/* segment_lock held. One that wants a sync, kept from going away meanwhile. */
static rco__segment *take_dirty(rco_spool *spool)
{
	rco__segment *seg;

	for (seg = spool->segments; seg != NULL; seg = seg->next)
		/* Of one that is being compacted nothing may be needed any more, but its copy does not count yet.
		 */
		if (seg->dirty && (seg->live > 0 || seg->users > 0))
			break;
	if (seg != NULL) {
		seg->dirty = 0;
		seg->users++;
	}
	return seg;
}

static int sync_segments(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	rco__segment *seg;
	int first = RCO_OK;

	(void)pthread_mutex_lock(&spool->segment_lock);
	while ((seg = take_dirty(spool)) != NULL) {
		int rc = RCO_OK, lost = seg->lost;

		(void)pthread_mutex_unlock(&spool->segment_lock);
		if (!lost)
			rc = fs->sync(fs->ctx, seg->fd);
		else /* a record that was on its way when the sync failed */
			rc = rco__fail(RCO_E_IO, "segment %016llx could not be synced before",
			               (unsigned long long)seg->number);
		(void)pthread_mutex_lock(&spool->segment_lock);
		seg->users--;
		if (rc != RCO_OK) {
			/* The kernel now takes its pages for written: syncing again would lie. New audio goes
			 * elsewhere. */
			seg->closed = seg->lost = 1;
			first = first == RCO_OK ? rc : first;
		}
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	return first;
}

int rco__segments_flush(rco_spool *spool)
{
	return rco__group_run(&spool->segment_group, sync_segments, spool);
}

/* ---- removing ---- */

void rco__segments_drop(rco_spool *spool, const rco__packed *pieces, uint32_t count)
{
	uint32_t i;

	(void)pthread_mutex_lock(&spool->segment_lock);
	for (i = 0; i < count; i++)
		spool->segment_ids[pieces[i].segment]->live -= rco__packed_record(&pieces[i]);
	(void)pthread_mutex_unlock(&spool->segment_lock);
}

void rco__segments_drop_strays(rco_spool *spool, const rco__stray *strays, size_t count)
{
	size_t i;

	(void)pthread_mutex_lock(&spool->segment_lock);
	for (i = 0; i < count; i++)
		strays[i].segment->live -= strays[i].size;
	(void)pthread_mutex_unlock(&spool->segment_lock);
}

/* segment_lock held. Those without live recordings leave the list. */
static rco__segment *take_dead(rco_spool *spool)
{
	rco__segment **at = &spool->segments, *dead = NULL;

	while (*at != NULL) {
		rco__segment *seg = *at;

		if (seg->live > 0 || seg->users > 0 || (seg == spool->current && !seg->closed)) {
			at = &seg->next;
			continue;
		}
		if (seg == spool->current)
			spool->current = NULL;
		*at = seg->next;
		seg->next = dead;
		dead = seg;
	}
	return dead;
}

static int remove_file(rco_spool *spool, rco__segment *seg)
{
	const rco__fs *fs = spool->env.fs;
	char path[RCO__SPOOL_PATH];
	int rc;

	if (seg->nameless)
		return RCO_OK;
	rco__segment_path(spool, seg->number, path);
	rc = fs->unlink(fs->ctx, path);
	if (rc == RCO_OK || rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	if (!seg->told) /* nothing is readable in it, its keys are gone */
		rco__log(&spool->env, RCO_LOG_WARN, "a finished segment cannot be removed, trying again: %s",
		         rco_error_detail());
	seg->told = 1;
	return rc;
}

void rco__segments_tidy(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	rco__segment *dead, *next;
	int removed = 0;

	(void)pthread_mutex_lock(&spool->segment_lock);
	dead = take_dead(spool);
	(void)pthread_mutex_unlock(&spool->segment_lock);
	for (; dead != NULL; dead = next) {
		next = dead->next;
		if (remove_file(spool, dead) == RCO_OK) {
			(void)fs->close(fs->ctx, dead->fd); /* without the lock: here the space comes back */
			dead->fd = -1;
			(void)pthread_mutex_lock(&spool->segment_lock);
			rco__segment_free(spool, dead);
			(void)pthread_mutex_unlock(&spool->segment_lock);
			removed = 1;
			continue;
		}
		dead->closed = 1;
		(void)pthread_mutex_lock(&spool->segment_lock);
		dead->next = spool->segments;
		spool->segments = dead;
		(void)pthread_mutex_unlock(&spool->segment_lock);
	}
	if (removed && fs->sync_dir(fs->ctx, spool->path) != RCO_OK)
		rco__log(&spool->env, RCO_LOG_WARN, "removed segments may come back after a power cut: %s",
		         rco_error_detail());
}

void rco__segments_close(rco_spool *spool)
{
	while (spool->segments != NULL) {
		rco__segment *seg = spool->segments;

		spool->segments = seg->next;
		rco__segment_free(spool, seg);
	}
	spool->current = NULL;
	rco__release(&spool->env, spool->segment_ids);
	spool->segment_ids = NULL;
}
