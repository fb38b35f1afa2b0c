/* SPDX-License-Identifier: MIT */
/* Opening a folder of ledger files: replay, and setting damaged files aside without losing an entry. */
#include "ledger_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* Half of what can be read: as many entries again can follow. */
#define SEQ_OURS (UINT64_C(1) << 62)

struct replay {
	rco__ledger *ledger;
	rco__ledger_replay_fn fn;
	void *user_data;
	rco__ledger_report *report;
	uint64_t max_seq;
	size_t end; /* of the entries in the last file */
};

/* ---- the folder ---- */

/* The number in a name of ours, or 0. */
static uint64_t parse_name(const char *name)
{
	uint64_t number = 0;
	char same[22];
	int i;

	for (i = 0; i < 16; i++) {
		char c = name[i];

		if (c >= '0' && c <= '9')
			number = number << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number << 4 | (uint64_t)(c - 'a' + 10);
		else
			return 0;
	}
	rco__ledger_name(number, same);
	/* The topmost numbers are refused so that the next one never wraps. */
	return strcmp(name, same) == 0 && number < UINT64_MAX / 2 ? number : 0;
}

struct listing {
	rco__ledger *ledger;
	int rc;
};

/* Without memory for all names nothing is known of the folder: it ends the listing, which itself knows no errors
 * of ours, and the opening. */
static int on_name(const char *name, void *user_data)
{
	struct listing *listing = user_data;
	rco__ledger *ledger = listing->ledger;
	size_t length = strlen(name);
	uint64_t number = parse_name(name);
	char path[RCO__LEDGER_PATH];

	if (number > 0) {
		listing->rc = rco__ledger_file_add(ledger, number, NULL);
		return listing->rc != RCO_OK;
	}
	if (length > 4 && strcmp(name + length - 4, ".tmp") == 0 &&
	    rco__path_join(path, sizeof path, ledger->dir, name) == RCO_OK)
		(void)ledger->env.fs->unlink(ledger->env.fs->ctx, path);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const rco__ledger_file *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Only the header, to know of every file what the one before it ended with. */
static int read_header(rco__ledger *ledger, rco__ledger_file *file)
{
	const rco__fs *fs = ledger->env.fs;
	uint8_t bytes[RCO__LEDGER_HEADER_BYTES];
	char path[RCO__LEDGER_PATH];
	size_t got = 0;
	int rc, fd;

	rc = rco__ledger_path(ledger, file->number, path);
	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_READ, &fd);
	if (rc != RCO_OK)
		return rc;
	rc = fs->read(fs->ctx, fd, bytes, sizeof bytes, 0, &got);
	(void)fs->close(fs->ctx, fd);
	if (rc != RCO_OK)
		return RCO_OK;
	rc = rco__ledger_header_parse(bytes, got, &file->header);
	if (rc == RCO_E_VERSION)
		return rco__fail(RCO_E_VERSION, "%s was written by a newer version; update the library", path);
	file->header_ok = rc == RCO_OK && file->header.number == file->number;
	file->newest_us = file->header_ok ? rco__time_known((uint64_t)file->header.created_us) : 0;
	return RCO_OK;
}

static int list_files(rco__ledger *ledger)
{
	const rco__fs *fs = ledger->env.fs;
	struct listing listing = {ledger, RCO_OK};
	size_t i;
	int rc;

	rc = rco__fs_folder(fs, ledger->dir);
	if (rc == RCO_OK)
		rc = fs->list(fs->ctx, ledger->dir, on_name, &listing);
	if (rc == RCO_OK)
		rc = listing.rc;
	if (rc != RCO_OK)
		return rc;
	if (ledger->file_count == 0)
		return RCO_OK;
	qsort(ledger->files, ledger->file_count, sizeof *ledger->files, by_number);
	for (i = 0; i < ledger->file_count && rc == RCO_OK; i++)
		rc = read_header(ledger, &ledger->files[i]);
	ledger->next_number = ledger->files[ledger->file_count - 1].number + 1;
	return rc;
}

/* ---- one file ---- */

static void damage(struct replay *r, rco__ledger_file *file, const char *what, size_t at)
{
	char name[22];

	rco__ledger_name(file->number, name);
	rco__log(&r->ledger->env, RCO_LOG_ERROR, "ledger %s/%s: %s at byte %zu", r->ledger->dir, name, what, at);
	file->damaged = 1;
	r->report->damaged++;
}

static int replay_entry(struct replay *r, const rco__ledger_file *file, const rco__ledger_entry *entry)
{
	rco__ledger *ledger = r->ledger;
	int rc;

	if (rco__ledger_subjects_reserve(&ledger->env, &ledger->subjects, 1) != RCO_OK)
		return rco__fail(RCO_E_NO_MEMORY, "no memory to replay the ledger in %s", ledger->dir);
	rco__ledger_note(ledger, entry, file->number);
	r->report->entries++;
	/* A number so high is none of ours, and numbers counted on from it would not be valid. */
	if (entry->seq > r->max_seq && entry->seq < SEQ_OURS)
		r->max_seq = entry->seq;
	rc = r->fn ? r->fn(entry, r->user_data) : 0;
	return rc > 0 ? rco__fail(RCO_E_CALLBACK, "replay of the ledger in %s was stopped", ledger->dir) : rc;
}

/* Does the next file say that this one ends here? What follows was abandoned or torn then, and is no damage. */
static int ends_here(const rco__ledger_scan *scan, const rco__ledger_file *next)
{
	return next && next->header_ok && memcmp(next->header.prev_hash, scan->chain, RCO__LEDGER_HASH) == 0;
}

static int replay_entries(struct replay *r, rco__ledger_file *file, rco__ledger_scan *scan,
                          const rco__ledger_file *next)
{
	int rc, sealed = ends_here(scan, next);
	rco__ledger_entry entry;

	while (rco__ledger_scan_next(scan, &entry)) {
		if (!sealed && scan->gap > 0)
			damage(r, file, "damaged bytes before an entry", scan->at);
		else if (!sealed && !scan->chain_ok)
			damage(r, file, "an entry does not continue the hash chain", scan->at);
		rc = replay_entry(r, file, &entry);
		if (rc != RCO_OK)
			return rc;
		sealed |= ends_here(scan, next);
	}
	if (scan->newer)
		return rco__fail(RCO_E_VERSION, "ledger %s holds entries of a newer version; update the library",
		                 r->ledger->dir);
	if (sealed)
		return RCO_OK;
	if (scan->tail > 0 && next) {
		damage(r, file, "damaged bytes behind the last entry", scan->at);
	} else if (scan->tail > 0) {
		rco__log(&r->ledger->env, RCO_LOG_WARN, "ledger %s: torn tail of %zu bytes in file %016" PRIx64,
		         r->ledger->dir, scan->tail, file->number);
		file->torn = 1;
		r->report->torn_bytes += scan->tail;
	} else if (next && next->header_ok && next->number == file->number + 1 && !file->damaged) {
		damage(r, file, "entries at the end are missing", scan->at);
	}
	return RCO_OK;
}

static int replay_file(struct replay *r, rco__ledger_file *file, const rco__ledger_file *next)
{
	rco__ledger *ledger = r->ledger;
	rco__ledger_scan scan;
	int rc, unreadable;
	uint8_t *buf;
	size_t size;

	rc = rco__ledger_file_load(ledger, file->number, &buf, &size, &unreadable);
	if (rc != RCO_OK)
		return rc;
	if (unreadable > 0)
		damage(r, file, "parts cannot be read", 0);
	if (!file->header_ok)
		damage(r, file, "damaged or foreign header", 0);
	else if (size != file->header.file_bytes)
		damage(r, file, "not of the size it was made with; it ends", size);
	file->replayed_crc = rco__crc32c(0, buf, size);
	rco__ledger_scan_start(&scan, buf, size, file->header_ok ? file->header.prev_hash : ledger->chain);
	rc = replay_entries(r, file, &scan, next);
	memcpy(ledger->chain, scan.chain, RCO__LEDGER_HASH);
	r->end = scan.at;
	rco__release(&ledger->env, buf);
	return rc;
}

/* ---- after the replay ---- */

int rco__ledger_carry(rco__ledger *ledger, const uint8_t *buf, size_t size, int closed_too, uint64_t *copied)
{
	uint8_t any[RCO__LEDGER_HASH] = {0};
	rco__ledger_entry entry;
	rco__ledger_scan scan;
	int rc = RCO_OK;

	*copied = 0;
	rco__ledger_scan_start(&scan, buf, size, any);
	while (rc == RCO_OK && rco__ledger_scan_next(&scan, &entry)) {
		rco__ledger_subject *subject = rco__ledger_subjects_find(&ledger->subjects, entry.subject);
		int open = subject && !subject->closing;

		if (!open && !closed_too)
			continue;
		/* A copy stands behind newer entries: it says of its subject what is true now. */
		entry.flags = open ? RCO__LEDGER_CARRIED : RCO__LEDGER_CARRIED | RCO__LEDGER_CLOSES;
		rc = rco__ledger_enqueue(ledger, &entry);
		if (rc == RCO_OK)
			++*copied;
	}
	return rc;
}

/* A disk may give now what it did not at the replay. Nobody was told of such entries, and their subjects would be
 * carried as closed: the file stays, and the next start replays them. */
static int carry_damaged(rco__ledger *ledger, const rco__ledger_file *file)
{
	int rc, unreadable;
	uint64_t copied;
	uint8_t *buf;
	size_t size;

	rc = rco__ledger_file_load(ledger, file->number, &buf, &size, &unreadable);
	if (rc != RCO_OK)
		return rc;
	if (rco__crc32c(0, buf, size) != file->replayed_crc) {
		rco__release(&ledger->env, buf);
		return rco__fail(RCO_E_IO, "file %016" PRIx64 " reads differently now", file->number);
	}
	pthread_mutex_lock(&ledger->mutex);
	rc = rco__ledger_carry(ledger, buf, size, 1, &copied);
	pthread_mutex_unlock(&ledger->mutex);
	rco__release(&ledger->env, buf);
	return rc;
}

/* Every entry of damaged files is durable elsewhere before they go. A failure leaves them for the next start. */
static void set_aside(struct replay *r)
{
	rco__ledger *ledger = r->ledger;
	size_t i, damaged = 0;
	int rc = RCO_OK;
	char name[22];

	for (i = 0; i < ledger->file_count && rc == RCO_OK; i++) {
		if (ledger->files[i].damaged) {
			rc = carry_damaged(ledger, &ledger->files[i]);
			damaged++;
		}
	}
	if (damaged > 0 && rc == RCO_OK)
		rc = rco__ledger_sync(ledger, ledger->next_seq - 1);
	for (i = 0; i < ledger->file_count && rc == RCO_OK && damaged > 0;) {
		uint64_t number = ledger->files[i].number;

		if (!ledger->files[i].damaged) {
			i++;
			continue;
		}
		rco__ledger_name(number, name);
		rc = rco__quarantine(&ledger->env, ledger->dir, name, ledger->quarantine_dir,
		                     "damaged ledger file");
		if (rc == RCO_OK) {
			pthread_mutex_lock(&ledger->mutex);
			rco__ledger_file_forget(ledger, number);
			pthread_mutex_unlock(&ledger->mutex);
			r->report->quarantined++;
		}
	}
	if (rc != RCO_OK)
		rco__log(&ledger->env, RCO_LOG_WARN,
		         "ledger %s: a damaged file stays in place until the next start: %s", ledger->dir,
		         rco_error_detail());
}

/*
 * Go on in the last file if it is whole. What was read from it may be in the
 * page cache only (its writer was killed, or its sync had failed and the pages
 * count as clean), so it is written once more and synced before anybody acts
 * on it.
 */
static int go_on(struct replay *r, rco__ledger_file *file)
{
	rco__ledger *ledger = r->ledger;
	const rco__fs *fs = ledger->env.fs;
	char path[RCO__LEDGER_PATH];
	int rc, fd, unreadable;
	uint8_t *buf;
	size_t size;

	rc = rco__ledger_file_load(ledger, file->number, &buf, &size, &unreadable);
	if (rc != RCO_OK)
		return rc;
	rc = rco__ledger_path(ledger, file->number, path);
	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_WRITE, &fd);
	if (rc == RCO_OK) {
		rc = unreadable > 0 || size < r->end ? RCO_E_IO : fs->write(fs->ctx, fd, buf, r->end, 0);
		if (rc == RCO_OK)
			rc = fs->sync(fs->ctx, fd);
		if (rc == RCO_OK && !file->torn && file->header.file_bytes == ledger->file_bytes) {
			ledger->fd = fd;
			ledger->number = file->number;
			ledger->offset = r->end;
			ledger->holds_durable = 1;
		} else {
			(void)fs->close(fs->ctx, fd);
		}
	}
	rco__release(&ledger->env, buf);
	if (rc == RCO_E_PERMISSION)
		return rc;
	if (rc != RCO_OK) /* its entries are carried into a fresh file */
		damage(r, file, "cannot be written again; its entries", 0);
	return RCO_OK;
}

static int make_current(struct replay *r)
{
	rco__ledger *ledger = r->ledger;
	rco__ledger_file *last = ledger->file_count > 0 ? &ledger->files[ledger->file_count - 1] : NULL;
	int rc = RCO_OK;

	if (last && !last->damaged)
		rc = go_on(r, last);
	if (rc == RCO_OK && ledger->fd < 0)
		rc = rco__ledger_file_fresh(ledger, ledger->chain);
	/* A full disk must not keep the engine from starting: erasing is what frees it. Commits try again. */
	if (rc == RCO_E_NO_SPACE) {
		rco__log(&ledger->env, RCO_LOG_ERROR, "ledger %s: no space for a new file yet: %s", ledger->dir,
		         rco_error_detail());
		rc = RCO_OK;
	}
	return rc;
}

int rco__ledger_replay(rco__ledger *ledger, rco__ledger_replay_fn replay, void *user_data,
                       rco__ledger_report *report)
{
	struct replay r = {ledger, replay, user_data, report, 0, RCO__LEDGER_HEADER_BYTES};
	size_t i;
	int rc;

	rc = list_files(ledger);
	for (i = 0; i < ledger->file_count && rc == RCO_OK; i++) {
		rco__ledger_file *next = i + 1 < ledger->file_count ? &ledger->files[i + 1] : NULL;

		rc = replay_file(&r, &ledger->files[i], next);
	}
	if (rc != RCO_OK)
		return rc;
	ledger->next_seq = r.max_seq + 1;
	ledger->written = ledger->synced = r.max_seq;
	atomic_store_explicit(&ledger->durable, r.max_seq, memory_order_relaxed);
	memcpy(ledger->written_hash, ledger->chain, RCO__LEDGER_HASH);
	memcpy(ledger->synced_hash, ledger->chain, RCO__LEDGER_HASH);
	ledger->head_seq = r.max_seq;
	memcpy(ledger->head_hash, ledger->chain, RCO__LEDGER_HASH);
	rc = make_current(&r);
	if (rc != RCO_OK)
		return rc;
	ledger->settled = ledger->fd >= 0 ? ledger->number : ledger->next_number;
	ledger->used = ledger->offset;
	set_aside(&r);
	return RCO_OK;
}
