/* SPDX-License-Identifier: MIT */
/*
 * Key slots: the wrapped key of each recording, and what the engine wants to
 * know of it after a crash, in one pre-written file. Erasing a recording is
 * overwriting its slot, however long the call was.
 */
#include "spool_internal.h"

#include <stdio.h>
#include <string.h>

#define SLOTS_MAGIC "RCOSLOT1"
#define SLOT_MAGIC  UINT32_C(0x544c5352) /* "RSLT" */

enum { SLOTS_HEADER = RCO__SPOOL_SLOT, SLOTS_VERSION = 1, SLOT_CRC_AT = RCO__SPOOL_SLOT - 4 };

static const char slots_name[] = "slots.rcok";

static uint64_t slot_offset(uint64_t index)
{
	return SLOTS_HEADER + index * RCO__SPOOL_SLOT;
}

static void encode(const rco__slot *slot, uint8_t out[RCO__SPOOL_SLOT])
{
	rco__cursor c;

	memset(out, 0, RCO__SPOOL_SLOT);
	rco__cursor_writer(&c, out, SLOT_CRC_AT);
	rco__w32(&c, SLOT_MAGIC);
	rco__w16(&c, SLOTS_VERSION);
	rco__w16(&c, (uint16_t)slot->wrapped_size);
	rco__w16(&c, (uint16_t)slot->meta_size);
	rco__w16(&c, 0);
	rco__w32(&c, 0);
	rco__w64(&c, slot->epoch);
	rco__wbytes(&c, slot->id, 16);
	rco__wbytes(&c, slot->wrapped, slot->wrapped_size);
	rco__wbytes(&c, slot->meta, slot->meta_size);
	rco__put32(out + SLOT_CRC_AT, rco__crc32c(0, out, SLOT_CRC_AT));
}

/* RCO_OK; RCO_E_NOT_FOUND for an empty one; RCO_E_CORRUPT; RCO_E_VERSION. */
static int parse(const uint8_t buf[RCO__SPOOL_SLOT], rco__slot *slot)
{
	rco__cursor c;
	uint16_t version;

	if (buf[0] == 0 && memcmp(buf, buf + 1, RCO__SPOOL_SLOT - 1) == 0)
		return RCO_E_NOT_FOUND;
	memset(slot, 0, sizeof *slot);
	rco__cursor_reader(&c, buf, SLOT_CRC_AT);
	if (rco__get32(buf + SLOT_CRC_AT) != rco__crc32c(0, buf, SLOT_CRC_AT) || rco__r32(&c) != SLOT_MAGIC)
		return RCO_E_CORRUPT;
	version = rco__r16(&c);
	if (version != SLOTS_VERSION)
		return RCO_E_VERSION;
	slot->wrapped_size = rco__r16(&c);
	slot->meta_size = rco__r16(&c);
	(void)rco__r16(&c);
	(void)rco__r32(&c);
	slot->epoch = rco__r64(&c);
	rco__rbytes(&c, slot->id, 16);
	if (slot->wrapped_size > sizeof slot->wrapped || slot->meta_size > sizeof slot->meta)
		return RCO_E_CORRUPT;
	rco__rbytes(&c, slot->wrapped, slot->wrapped_size);
	rco__rbytes(&c, slot->meta, slot->meta_size);
	return c.failed ? RCO_E_CORRUPT : RCO_OK;
}

static int write_header(rco_spool *spool)
{
	uint8_t header[SLOTS_HEADER] = {0};

	memcpy(header, SLOTS_MAGIC, 8);
	rco__put16(header + 8, SLOTS_VERSION);
	rco__put32(header + 12, RCO__SPOOL_SLOT);
	rco__put32(header + 16, rco__crc32c(0, header, 16));
	return spool->env.fs->write(spool->env.fs->ctx, spool->slots_fd, header, sizeof header, 0);
}

static int make_file(rco_spool *spool, const char *path)
{
	const rco__fs *fs = spool->env.fs;
	int rc = fs->open(fs->ctx, path, RCO__FS_CREATE_TRUNCATE, &spool->slots_fd);

	if (rc == RCO_OK)
		rc = write_header(spool);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, spool->slots_fd);
	return rc == RCO_OK ? fs->sync_dir(fs->ctx, spool->path) : rc;
}

/* RCO_OK; RCO_E_CORRUPT; RCO_E_VERSION; a failure of the file. */
static int check_header(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t header[SLOTS_HEADER];
	size_t got = 0;
	int rc = fs->read(fs->ctx, spool->slots_fd, header, sizeof header, 0, &got);

	if (rc != RCO_OK)
		return rc;
	if (got < sizeof header || memcmp(header, SLOTS_MAGIC, 8) != 0 ||
	    rco__get32(header + 16) != rco__crc32c(0, header, 16))
		return RCO_E_CORRUPT;
	if (rco__get16(header + 8) != SLOTS_VERSION || rco__get32(header + 12) != RCO__SPOOL_SLOT)
		return rco__fail(RCO_E_VERSION, "%s/%s was written by a newer library", spool->path, slots_name);
	return RCO_OK;
}

static int grow(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	static const uint8_t zeros[RCO__SPOOL_SLOT * RCO__SPOOL_SLOT_BLOCK];
	uint64_t n = spool->n_slots + RCO__SPOOL_SLOT_BLOCK;
	uint8_t *used = rco__resize(&spool->env, spool->slot_used, (size_t)n);
	int rc;

	if (used == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for key slots");
	spool->slot_used = used;
	rc = fs->write(fs->ctx, spool->slots_fd, zeros, sizeof zeros, slot_offset(spool->n_slots));
	if (rc != RCO_OK)
		return rc;
	memset(used + spool->n_slots, 0, RCO__SPOOL_SLOT_BLOCK);
	spool->n_slots = n;
	spool->slots_dirty = 1;
	return RCO_OK;
}

/* A slot that does not parse: its bytes are set aside, and it is free again. What it held cannot be read any more. */
static int set_aside(rco_spool *spool, uint64_t index, const uint8_t buf[RCO__SPOOL_SLOT])
{
	static const uint8_t zeros[RCO__SPOOL_SLOT];
	const rco__fs *fs = spool->env.fs;
	char name[64];
	int rc;

	(void)snprintf(name, sizeof name, "slot-%llu-%lld.rcok", (unsigned long long)index,
	               (long long)rco__wall_us(&spool->env));
	rc = fs->mkdir(fs->ctx, spool->quarantine);
	if (rc == RCO_OK)
		rc = rco__fs_put(fs, spool->quarantine, name, buf, RCO__SPOOL_SLOT);
	rco__log(&spool->env, RCO_LOG_ERROR,
	         "%s/%s: key slot %llu is damaged and was set aside as %s/%s; the recording it belonged to cannot "
	         "be read any more",
	         spool->path, slots_name, (unsigned long long)index, spool->quarantine, name);
	if (rc != RCO_OK)
		rco__log(&spool->env, RCO_LOG_ERROR, "setting it aside failed: %s", rco_error_detail());
	atomic_fetch_add(&spool->quarantined, 1);
	spool->slots_dirty = 1;
	return fs->write(fs->ctx, spool->slots_fd, zeros, sizeof zeros, slot_offset(index));
}

static int read_slots(rco_spool *spool, rco__slot_fn found)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t buf[RCO__SPOOL_SLOT];
	uint64_t size = 0, i;
	rco__slot slot;
	int rc = fs->size(fs->ctx, spool->slots_fd, &size);

	if (rc != RCO_OK)
		return rc;
	/* A last slot that was cut off is part of a growth that a crash interrupted. */
	spool->n_slots = size > SLOTS_HEADER ? (size - SLOTS_HEADER) / RCO__SPOOL_SLOT : 0;
	spool->slot_used = rco__zalloc(&spool->env, (size_t)spool->n_slots + 1, 1);
	if (spool->slot_used == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for key slots");
	for (i = 0; i < spool->n_slots && rc == RCO_OK; i++) {
		size_t got = 0;
		int state;

		rc = fs->read(fs->ctx, spool->slots_fd, buf, sizeof buf, slot_offset(i), &got);
		if (rc != RCO_OK || got < sizeof buf)
			break;
		state = parse(buf, &slot);
		if (state == RCO_OK) {
			spool->slot_used[i] = 1;
			rc = found(spool, i, &slot);
		} else if (state == RCO_E_VERSION) {
			rc = rco__fail(RCO_E_VERSION, "%s/%s was written by a newer library", spool->path, slots_name);
		} else if (state == RCO_E_CORRUPT) {
			rc = set_aside(spool, i, buf);
		}
	}
	rco_memzero(&slot, sizeof slot);
	return rc;
}

int rco__slots_open(rco_spool *spool, rco__slot_fn found)
{
	const rco__fs *fs = spool->env.fs;
	char path[RCO__SPOOL_PATH];
	int rc = rco__path_join(path, sizeof path, spool->path, slots_name);

	if (rc != RCO_OK)
		return rc;
	rc = fs->open(fs->ctx, path, RCO__FS_WRITE, &spool->slots_fd);
	if (rc == RCO_E_NOT_FOUND)
		return make_file(spool, path);
	if (rc != RCO_OK)
		return rc;
	rc = check_header(spool);
	if (rc == RCO_OK)
		return read_slots(spool, found);
	if (rc != RCO_E_CORRUPT)
		return rc;
	(void)fs->close(fs->ctx, spool->slots_fd);
	spool->slots_fd = -1;
	rc = rco__quarantine(&spool->env, spool->path, slots_name, spool->quarantine,
	                     "its header is damaged; recordings that were waiting in the spool cannot be read any more");
	atomic_fetch_add(&spool->quarantined, 1);
	return rc == RCO_OK ? make_file(spool, path) : rc;
}

static int find_free(rco_spool *spool, uint64_t *index)
{
	uint64_t i;

	for (i = 0; i < spool->n_slots; i++) {
		uint64_t at = (spool->slot_hint + i) % spool->n_slots;

		if (!spool->slot_used[at]) {
			*index = at;
			return 1;
		}
	}
	return 0;
}

int rco__slot_put(rco_spool *spool, const rco__slot *slot, uint64_t *index)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t buf[RCO__SPOOL_SLOT];
	int rc = RCO_OK;

	encode(slot, buf);
	(void)pthread_mutex_lock(&spool->slot_lock);
	if (!find_free(spool, index)) {
		*index = spool->n_slots;
		rc = grow(spool);
	}
	if (rc == RCO_OK)
		rc = fs->write(fs->ctx, spool->slots_fd, buf, sizeof buf, slot_offset(*index));
	if (rc == RCO_OK) {
		spool->slot_used[*index] = 1;
		spool->slot_hint = *index + 1;
		spool->slots_dirty = 1;
	}
	(void)pthread_mutex_unlock(&spool->slot_lock);
	rco_memzero(buf, sizeof buf);
	return rc;
}

int rco__slot_wipe(rco_spool *spool, uint64_t index)
{
	static const uint8_t zeros[RCO__SPOOL_SLOT];
	const rco__fs *fs = spool->env.fs;
	int rc;

	(void)pthread_mutex_lock(&spool->slot_lock);
	rc = fs->write(fs->ctx, spool->slots_fd, zeros, sizeof zeros, slot_offset(index));
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, spool->slots_fd);
	if (rc == RCO_OK) {
		spool->slot_used[index] = 0;
		spool->slots_dirty = 0;
	}
	(void)pthread_mutex_unlock(&spool->slot_lock);
	return rc;
}

int rco__slots_flush(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&spool->slot_lock);
	if (spool->slots_dirty) {
		rc = fs->sync(fs->ctx, spool->slots_fd);
		if (rc == RCO_OK)
			spool->slots_dirty = 0;
	}
	(void)pthread_mutex_unlock(&spool->slot_lock);
	return rc;
}

void rco__slots_close(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;

	if (spool->slots_fd >= 0)
		(void)fs->close(fs->ctx, spool->slots_fd);
	if (spool->slot_used != NULL)
		rco__release(&spool->env, spool->slot_used);
}
