/* SPDX-License-Identifier: MIT */
/* Rotation: files that retention lets go, and a file written ahead. */
#include "ledger_internal.h"

#include <inttypes.h>

/* Open subjects that have entries in the file, stopping beyond the number that may be carried. */
static int count_open(rco__ledger *ledger, const uint8_t *buf, size_t size, size_t *count)
{
	uint8_t any[RCO__LEDGER_HASH] = {0};
	rco__ledger_subjects seen = {0};
	rco__ledger_entry entry;
	rco__ledger_scan scan;
	int rc = RCO_OK;

	rco__ledger_scan_start(&scan, buf, size, any);
	while (seen.count <= RCO__LEDGER_CARRY_MAX && rco__ledger_scan_next(&scan, &entry)) {
		if (!rco__ledger_subjects_find(&ledger->subjects, entry.subject))
			continue;
		rc = rco__ledger_subjects_reserve(&ledger->env, &seen, 1);
		if (rc != RCO_OK)
			break;
		(void)rco__ledger_subjects_add(&seen, entry.subject, 1);
	}
	*count = seen.count;
	rco__release(&ledger->env, seen.slots);
	return rc;
}

/*
 * A file that was whole when it was opened or written and is not now: deleting
 * it would lose what cannot be read. What stands behind the place where the
 * next file goes on was abandoned, and is there again.
 */
static int still_whole(const uint8_t *buf, size_t size, const rco__ledger_file *file, const uint8_t *end_hash)
{
	rco__ledger_entry entry;
	rco__ledger_scan scan;

	if (!file->header_ok || size != file->header.file_bytes)
		return 0;
	rco__ledger_scan_start(&scan, buf, size, file->header.prev_hash);
	while (memcmp(scan.chain, end_hash, RCO__LEDGER_HASH) != 0 && rco__ledger_scan_next(&scan, &entry)) {
		if (scan.gap > 0 || !scan.chain_ok)
			return 0;
	}
	return 1;
}

/* Copy what open subjects have in the file to the end of the ledger, durably. *may_go: the file is not needed now.
 */
static int carry_file(rco__ledger *ledger, const rco__ledger_file *file, const uint8_t *end_hash, int *may_go)
{
	uint64_t last, copied = 0;
	size_t size, open = 0;
	int rc, unreadable;
	uint8_t *buf;

	*may_go = 0;
	rc = rco__ledger_file_load(ledger, file->number, &buf, &size, &unreadable);
	if (rc != RCO_OK)
		return rc;
	if (unreadable > 0 || !still_whole(buf, size, file, end_hash)) {
		rco__log(&ledger->env, RCO_LOG_WARN,
		         "ledger %s: file %016" PRIx64 " is damaged and kept; the next start sets it aside",
		         ledger->dir, file->number);
		rco__release(&ledger->env, buf);
		return RCO_OK;
	}
	pthread_mutex_lock(&ledger->mutex);
	rc = count_open(ledger, buf, size, &open);
	if (rc == RCO_OK && open <= RCO__LEDGER_CARRY_MAX)
		rc = rco__ledger_carry(ledger, buf, size, 0, &copied);
	last = ledger->next_seq - 1;
	pthread_mutex_unlock(&ledger->mutex);
	rco__release(&ledger->env, buf);
	if (rc != RCO_OK || open > RCO__LEDGER_CARRY_MAX)
		return rc;
	/* Up to the last entry of all: a subject that was just being closed was not copied. */
	rc = rco__ledger_sync(ledger, last);
	*may_go = rc == RCO_OK;
	return rc;
}

static int expired(const rco__ledger *ledger, const rco__ledger_file *file)
{
	int64_t age = rco__wall_us(&ledger->env) - file->newest_us;

	if (ledger->keep_for_ever || ledger->blind)
		return 0;
	if (ledger->retention_s == 0)
		return 1;
	return age > 0 && (uint64_t)age / 1000000 >= ledger->retention_s;
}

/* The oldest file if its time has come, as a copy, and the hash that the next one goes on from. */
static int oldest_file(rco__ledger *ledger, rco__ledger_file *file, uint8_t end_hash[RCO__LEDGER_HASH])
{
	int found = 0;

	pthread_mutex_lock(&ledger->mutex);
	if (ledger->file_count > 1 && ledger->files[0].number < ledger->settled && !ledger->files[0].damaged) {
		*file = ledger->files[0];
		memcpy(end_hash, ledger->files[1].header.prev_hash, RCO__LEDGER_HASH);
		found = expired(ledger, file);
	}
	pthread_mutex_unlock(&ledger->mutex);
	return found;
}

/* Oldest first, and none past one that must stay: a newer file may hold what closes a subject of an older one. */
static int delete_expired(rco__ledger *ledger)
{
	uint8_t end_hash[RCO__LEDGER_HASH];
	rco__ledger_file file;
	int rc, may_go;

	while (oldest_file(ledger, &file, end_hash)) {
		may_go = 1;
		if (file.open > 0) {
			rc = carry_file(ledger, &file, end_hash, &may_go);
			if (rc != RCO_OK || !may_go)
				return rc;
		}
		rc = rco__ledger_file_unlink(ledger, file.number);
		if (rc != RCO_OK)
			return rc;
		pthread_mutex_lock(&ledger->mutex);
		rco__ledger_file_forget(ledger, file.number);
		pthread_mutex_unlock(&ledger->mutex);
	}
	return RCO_OK;
}

int rco__ledger_maintain(rco__ledger *ledger)
{
	int rc = RCO_OK, deleted, nearly_full;

	pthread_mutex_lock(&ledger->mutex);
	if (ledger->maintaining) {
		pthread_mutex_unlock(&ledger->mutex);
		return RCO_OK;
	}
	ledger->maintaining = 1;
	nearly_full = ledger->used > ledger->file_bytes / 4 * 3;
	pthread_mutex_unlock(&ledger->mutex);

	if (nearly_full)
		rc = rco__ledger_file_spare(ledger);
	/* Also without a spare: deleting may be what makes room for it. */
	deleted = delete_expired(ledger);

	pthread_mutex_lock(&ledger->mutex);
	ledger->maintaining = 0;
	pthread_mutex_unlock(&ledger->mutex);
	return deleted != RCO_OK ? deleted : rc;
}
