/* SPDX-License-Identifier: MIT */
/*
 * Key slots: the wrapped key of each recording, and what the engine wants to
 * know of it after a crash, in one pre-written file. Erasing a recording is
 * overwriting its slot, however long the call was. So that it stays the only
 * place where a wrapped key is, damaged slots are set aside without theirs.
 */
#include "spool_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SLOTS_MAGIC "RCOSLOT1"
#define SLOT_MAGIC  UINT32_C(0x544c5352) /* "RSLT" */

enum {
	SLOTS_VERSION = 2,
	HEADER = RCO__SPOOL_SLOT, /* of the file */
	HEADER_CRC_AT = 32,
	WRAPPED_AT = 40,
	META_AT = WRAPPED_AT + RCO__SPOOL_WRAPPED,
	META_CRC_AT = RCO__SPOOL_SLOT - 8, /* of the meta data */
	SLOT_CRC_AT = RCO__SPOOL_SLOT - 4, /* of all before the meta data */
	COPY_SLOTS = 16,                   /* read or written at once */
	COPY_BYTES = COPY_SLOTS * RCO__SPOOL_SLOT
};

_Static_assert(META_AT + RCO_META_MAX <= META_CRC_AT, "a slot has room for it all");

static const char slots_name[] = "slots.rcok";

static uint64_t slot_offset(uint64_t index)
{
	return HEADER + index * RCO__SPOOL_SLOT;
}

static void encode(const rco__slot *slot, uint8_t out[RCO__SPOOL_SLOT])
{
	rco__cursor c;

	memset(out, 0, RCO__SPOOL_SLOT);
	rco__cursor_writer(&c, out, WRAPPED_AT);
	rco__w32(&c, SLOT_MAGIC);
	rco__w16(&c, SLOTS_VERSION);
	rco__w16(&c, (uint16_t)slot->meta_size);
	rco__w32(&c, 0);
	rco__w32(&c, slot->serial);
	rco__w64(&c, slot->epoch);
	rco__wbytes(&c, slot->id, 16);
	memcpy(out + WRAPPED_AT, slot->wrapped, sizeof slot->wrapped);
	if (slot->meta_size > 0)
		memcpy(out + META_AT, slot->meta, slot->meta_size);
	rco__put32(out + META_CRC_AT, rco__crc32c(0, out + META_AT, RCO_META_MAX));
	rco__put32(out + SLOT_CRC_AT, rco__crc32c(0, out, META_AT));
}

/* RCO_OK; RCO_E_NOT_FOUND for an empty one; RCO_E_CORRUPT; RCO_E_VERSION. *meta_ok is 0 if only the meta data is
 * damaged, which is then left out. */
static int parse(const uint8_t buf[RCO__SPOOL_SLOT], rco__slot *slot, int *meta_ok)
{
	rco__cursor c;
	uint16_t version;

	if (buf[0] == 0 && memcmp(buf, buf + 1, RCO__SPOOL_SLOT - 1) == 0)
		return RCO_E_NOT_FOUND;
	memset(slot, 0, sizeof *slot);
	rco__cursor_reader(&c, buf, WRAPPED_AT);
	if (rco__get32(buf + SLOT_CRC_AT) != rco__crc32c(0, buf, META_AT) || rco__r32(&c) != SLOT_MAGIC)
		return RCO_E_CORRUPT;
	version = rco__r16(&c);
	if (version != SLOTS_VERSION)
		return RCO_E_VERSION;
	slot->meta_size = rco__r16(&c);
	(void)rco__r32(&c);
	slot->serial = rco__r32(&c);
	slot->epoch = rco__r64(&c);
	rco__rbytes(&c, slot->id, 16);
	if (slot->meta_size > sizeof slot->meta)
		return RCO_E_CORRUPT;
	memcpy(slot->wrapped, buf + WRAPPED_AT, sizeof slot->wrapped);
	*meta_ok = rco__get32(buf + META_CRC_AT) == rco__crc32c(0, buf + META_AT, RCO_META_MAX);
	if (*meta_ok)
		memcpy(slot->meta, buf + META_AT, slot->meta_size);
	else
		slot->meta_size = 0;
	return RCO_OK;
}

/* ---- the file's header ---- */

static void encode_header(const rco_spool *spool, uint8_t header[HEADER])
{
	memset(header, 0, HEADER);
	memcpy(header, SLOTS_MAGIC, 8);
	rco__put16(header + 8, SLOTS_VERSION);
	rco__put32(header + 12, RCO__SPOOL_SLOT);
	memcpy(header + 16, spool->id, 16);
	rco__put32(header + HEADER_CRC_AT, rco__crc32c(0, header, HEADER_CRC_AT));
}

static int make_file(rco_spool *spool)
{
	uint8_t header[HEADER];

	randombytes_buf(spool->id, sizeof spool->id);
	encode_header(spool, header);
	return rco__fs_put(spool->env.fs, spool->path, slots_name, header, sizeof header);
}

/* RCO_OK; RCO_E_CORRUPT; RCO_E_VERSION; a failure of the file. */
static int check_header(rco_spool *spool, uint8_t header[HEADER])
{
	const rco__fs *fs = spool->env.fs;
	size_t got = 0;
	int rc = fs->read(fs->ctx, spool->slots_fd, header, HEADER, 0, &got);

	if (rc != RCO_OK)
		return rc;
	memset(header + got, 0, HEADER - got);
	if (got < HEADER || memcmp(header, SLOTS_MAGIC, 8) != 0 ||
	    rco__get32(header + HEADER_CRC_AT) != rco__crc32c(0, header, HEADER_CRC_AT))
		return RCO_E_CORRUPT;
	if (rco__get16(header + 8) != SLOTS_VERSION || rco__get32(header + 12) != RCO__SPOOL_SLOT)
		return rco__fail(
			RCO_E_VERSION,
			"%s/%s was written by %s version of the library: let that one finish its calls, then "
			"start with an empty folder",
			spool->path, slots_name, rco__get16(header + 8) < SLOTS_VERSION ? "an older" : "a newer");
	memcpy(spool->id, header + 16, 16);
	return RCO_OK;
}

/* ---- damage ---- */

/* Put a copy into quarantine. RCO_OK, or why not, which is logged too. */
static int set_aside(rco_spool *spool, const char *what, const uint8_t *buf)
{
	const rco__fs *fs = spool->env.fs;
	char name[96];
	int rc;

	(void)snprintf(name, sizeof name, "%s.%lld.rcok", what, (long long)rco__wall_us(&spool->env));
	atomic_fetch_add(&spool->quarantined, 1);
	rc = rco__fs_folder(fs, spool->quarantine);
	if (rc == RCO_OK)
		rc = rco__fs_put(fs, spool->quarantine, name, buf, RCO__SPOOL_SLOT);
	if (rc == RCO_OK)
		rco__log(&spool->env, RCO_LOG_ERROR, "%s/%s: its damaged %s was set aside as %s/%s", spool->path,
		         slots_name, what, spool->quarantine, name);
	else
		rco__log(&spool->env, RCO_LOG_ERROR, "%s/%s: its damaged %s cannot be set aside: %s", spool->path,
		         slots_name, what, rco_error_detail());
	return rc;
}

static int write_slot(rco_spool *spool, uint64_t index, const uint8_t buf[RCO__SPOOL_SLOT])
{
	const rco__fs *fs = spool->env.fs;

	spool->slots_dirty = 1;
	return fs->write(fs->ctx, spool->slots_fd, buf, RCO__SPOOL_SLOT, slot_offset(index));
}

static int blank_slots(rco_spool *spool, uint64_t first, uint64_t n)
{
	spool->slots_dirty = 1;
	return rco__fs_blank(spool->env.fs, spool->slots_fd, slot_offset(first), n * RCO__SPOOL_SLOT);
}

/* A slot whose key cannot be read: it is free again, and its recording is lost. */
static int lose_slot(rco_spool *spool, uint64_t index, uint8_t buf[RCO__SPOOL_SLOT])
{
	char what[40], id[RCO_ID_TEXT + 1];
	int rc;

	(void)snprintf(what, sizeof what, "slot-%llu", (unsigned long long)index);
	rco__uuid_text(buf + WRAPPED_AT - 16, id);
	rco__log(&spool->env, RCO_LOG_ERROR,
	         "%s/%s: key slot %llu is damaged; its recording, probably %s, cannot be read any more",
	         spool->path, slots_name, (unsigned long long)index, id);
	memset(buf + WRAPPED_AT, 0, RCO__SPOOL_WRAPPED);
	rc = set_aside(spool, what, buf);
	if (rc != RCO_OK) {
		spool->slot_used[index] = 1; /* not lost without a copy: the next start tries again */
		return RCO_OK;
	}
	return blank_slots(spool, index, 1);
}

/* A slot of which only the meta data is lost: the audio is all there. */
static int lose_meta(rco_spool *spool, uint64_t index, const rco__slot *slot, uint8_t buf[RCO__SPOOL_SLOT])
{
	uint8_t again[RCO__SPOOL_SLOT];
	char what[40];
	int rc = RCO_OK;

	(void)snprintf(what, sizeof what, "slot-%llu-meta", (unsigned long long)index);
	memset(buf + WRAPPED_AT, 0, RCO__SPOOL_WRAPPED);
	encode(slot, again);
	if (set_aside(spool, what, buf) == RCO_OK)
		rc = write_slot(spool, index, again);
	rco_memzero(again, sizeof again);
	return rc;
}

/* ---- opening ---- */

static int take_slot(rco_spool *spool, uint64_t index, uint8_t buf[RCO__SPOOL_SLOT])
{
	rco__slot slot;
	int meta_ok = 1, rc = parse(buf, &slot, &meta_ok);

	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	if (rc == RCO_E_VERSION)
		return rco__fail(RCO_E_VERSION, "%s/%s has slots of another version of the library", spool->path,
		                 slots_name);
	if (rc == RCO_E_CORRUPT)
		return lose_slot(spool, index, buf);
	spool->slot_used[index] = 1;
	if (!meta_ok)
		rc = lose_meta(spool, index, &slot, buf);
	if (rc == RCO_OK)
		rc = rco__spool_found_slot(spool, index, &slot);
	rco_memzero(&slot, sizeof slot);
	return rc;
}

/* Slots from `first` on, as many as fit; zeros stand for what is behind the end of the file. */
static int read_block(rco_spool *spool, uint64_t first, uint8_t buf[COPY_BYTES], size_t *got)
{
	const rco__fs *fs = spool->env.fs;
	int rc = fs->read(fs->ctx, spool->slots_fd, buf, COPY_BYTES, slot_offset(first), got);

	if (rc == RCO_OK)
		memset(buf + *got, 0, COPY_BYTES - *got);
	return rc;
}

static int read_slots(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t buf[COPY_BYTES];
	uint64_t size = 0, i;
	size_t got;
	int rc = fs->size(fs->ctx, spool->slots_fd, &size);

	if (rc != RCO_OK)
		return rc;
	/* A last slot that was cut off is nearly always zeros, of a growth that a crash interrupted. */
	spool->n_slots = size > HEADER ? (size - HEADER + RCO__SPOOL_SLOT - 1) / RCO__SPOOL_SLOT : 0;
	spool->slot_used = rco__zalloc(&spool->env, (size_t)spool->n_slots + 1, 1);
	if (spool->slot_used == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for key slots");
	for (i = 0; i < spool->n_slots && rc == RCO_OK; i++) {
		uint8_t *at = buf + i % COPY_SLOTS * RCO__SPOOL_SLOT;

		if (i % COPY_SLOTS == 0)
			rc = read_block(spool, i, buf, &got);
		if (rc == RCO_OK)
			rc = take_slot(spool, i, at);
	}
	rco_memzero(buf, sizeof buf);
	return rc;
}

/* Is there a slot that can be read, behind a header that cannot? */
static int any_slot(rco_spool *spool, int *any)
{
	uint8_t buf[COPY_BYTES];
	size_t got = sizeof buf;
	rco__slot slot;
	uint64_t i;
	int meta_ok, rc = RCO_OK;

	*any = 0;
	for (i = 0; rc == RCO_OK && !*any && (i % COPY_SLOTS != 0 || got == sizeof buf); i++) {
		if (i % COPY_SLOTS == 0)
			rc = read_block(spool, i, buf, &got);
		*any = rc == RCO_OK && parse(buf + i % COPY_SLOTS * RCO__SPOOL_SLOT, &slot, &meta_ok) == RCO_OK;
	}
	rco_memzero(buf, sizeof buf);
	rco_memzero(&slot, sizeof slot);
	return rc;
}

static int open_file(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	char path[RCO__SPOOL_PATH];
	int rc;

	rco__spool_file(spool, slots_name, path);
	rc = fs->open(fs->ctx, path, RCO__FS_WRITE, &spool->slots_fd);
	if (rc != RCO_E_NOT_FOUND)
		return rc;
	rc = make_file(spool);
	return rc == RCO_OK ? fs->open(fs->ctx, path, RCO__FS_WRITE, &spool->slots_fd) : rc;
}

/* The header is damaged. Slots carry all they need: with any of them it is mended, else the file is set aside. */
static int mend(rco_spool *spool, uint8_t header[HEADER])
{
	const rco__fs *fs = spool->env.fs;
	int any, rc = any_slot(spool, &any);

	if (rc != RCO_OK)
		return rc;
	if (any) {
		(void)set_aside(spool, "header", header);
		randombytes_buf(spool->id, sizeof spool->id);
		encode_header(spool, header);
		spool->slots_dirty = 1;
		return fs->write(fs->ctx, spool->slots_fd, header, HEADER, 0);
	}
	(void)fs->close(fs->ctx, spool->slots_fd);
	spool->slots_fd = -1;
	atomic_fetch_add(&spool->quarantined, 1);
	rc = rco__quarantine(
		&spool->env, spool->path, slots_name, spool->quarantine,
		"it holds no key slots; recordings that were waiting in the spool cannot be read any more");
	return rc == RCO_OK ? open_file(spool) : rc;
}

int rco__slots_open(rco_spool *spool)
{
	uint8_t header[HEADER];
	int rc = open_file(spool);

	spool->slots_dirty = 1; /* the process before may have died between writing and syncing */
	if (rc == RCO_OK)
		rc = check_header(spool, header);
	if (rc == RCO_E_CORRUPT)
		rc = mend(spool, header);
	return rc == RCO_OK ? read_slots(spool) : rc;
}

/* ---- slots come and go ---- */

/* slot_lock held, here and in the next two. */
static int grow(rco_spool *spool)
{
	uint64_t n = spool->n_slots + RCO__SPOOL_SLOT_BLOCK;
	uint8_t *used = rco__resize(&spool->env, spool->slot_used, (size_t)n);
	int rc;

	if (used == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for key slots");
	spool->slot_used = used;
	rc = blank_slots(spool, spool->n_slots, RCO__SPOOL_SLOT_BLOCK);
	if (rc != RCO_OK)
		return rc;
	memset(used + spool->n_slots, 0, RCO__SPOOL_SLOT_BLOCK);
	spool->n_slots = n;
	return RCO_OK;
}

static int take_free(rco_spool *spool, uint64_t *index)
{
	uint64_t i;

	for (i = 0; i < spool->n_slots; i++) {
		*index = (spool->slot_hint + i) % spool->n_slots;
		if (!spool->slot_used[*index])
			return RCO_OK;
	}
	*index = spool->n_slots;
	return grow(spool);
}

int rco__slot_put(rco_spool *spool, const rco__slot *slot, uint64_t *index)
{
	uint8_t buf[RCO__SPOOL_SLOT];
	int rc;

	encode(slot, buf);
	(void)pthread_mutex_lock(&spool->slot_lock);
	rc = take_free(spool, index);
	if (rc == RCO_OK) {
		rc = write_slot(spool, *index, buf);
		if (rc == RCO_OK) {
			spool->slot_used[*index] = 1;
			spool->slot_hint = *index + 1;
		} else {
			/* It may be there in part; a start after a crash should not find that. It is free in any
			 * case. */
			(void)blank_slots(spool, *index, 1);
		}
	}
	(void)pthread_mutex_unlock(&spool->slot_lock);
	rco_memzero(buf, sizeof buf);
	return rc;
}

/* After a failed sync the kernel takes what it could not write for written: only writing it again helps. */
static int write_again(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	uint64_t at, end = slot_offset(spool->n_slots);
	uint8_t buf[COPY_BYTES];
	int rc = RCO_OK;

	for (at = 0; at < end && rc == RCO_OK; at += sizeof buf) {
		size_t got = 0;

		rc = fs->read(fs->ctx, spool->slots_fd, buf, sizeof buf, at, &got);
		if (rc == RCO_OK && got > 0)
			rc = fs->write(fs->ctx, spool->slots_fd, buf, got, at);
	}
	rco_memzero(buf, sizeof buf);
	return rc;
}

static int sync_slots(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	int rc = RCO_OK, dirty;

	(void)pthread_mutex_lock(&spool->slot_lock);
	dirty = spool->slots_dirty;
	spool->slots_dirty = 0;
	if (spool->slots_lost)
		rc = write_again(spool);
	(void)pthread_mutex_unlock(&spool->slot_lock);
	if (rc == RCO_OK && dirty)
		rc = fs->sync(fs->ctx, spool->slots_fd);
	(void)pthread_mutex_lock(&spool->slot_lock);
	spool->slots_lost = rc != RCO_OK;
	if (rc != RCO_OK)
		spool->slots_dirty = 1;
	(void)pthread_mutex_unlock(&spool->slot_lock);
	return rc;
}

int rco__slot_wipe(rco_spool *spool, uint64_t index)
{
	int rc;

	(void)pthread_mutex_lock(&spool->slot_lock);
	rc = blank_slots(spool, index, 1);
	(void)pthread_mutex_unlock(&spool->slot_lock);
	if (rc == RCO_OK)
		rc = rco__slots_flush(spool);
	if (rc != RCO_OK)
		return rc; /* it stays taken until it is durably empty */
	(void)pthread_mutex_lock(&spool->slot_lock);
	spool->slot_used[index] = 0;
	(void)pthread_mutex_unlock(&spool->slot_lock);
	return RCO_OK;
}

int rco__slots_flush(rco_spool *spool)
{
	return rco__group_run(&spool->slot_group, sync_slots, spool);
}

void rco__slots_close(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;

	if (spool->slots_fd >= 0)
		(void)fs->close(fs->ctx, spool->slots_fd);
	rco__release(&spool->env, spool->slot_used);
}
