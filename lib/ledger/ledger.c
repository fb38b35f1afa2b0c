/* SPDX-License-Identifier: MIT */
/* Appending and group commit. Opening a folder is in ledger_replay.c, rotation in ledger_maintain.c. */
#include "ledger_internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

/* ---- accounting ---- */

static void note_closed(rco__ledger *ledger, const uint8_t id[16])
{
	rco__ledger_subject *subject = rco__ledger_subjects_find(&ledger->subjects, id);
	rco__ledger_file *file;

	if (!subject)
		return;
	file = rco__ledger_file_find(ledger, subject->oldest);
	if (file && file->open > 0)
		file->open--;
	rco__ledger_subjects_remove(&ledger->subjects, subject);
}

void rco__ledger_note(rco__ledger *ledger, const rco__ledger_entry *entry, uint64_t number)
{
	rco__ledger_file *file = rco__ledger_file_find(ledger, number);

	if (file && rco__time_known((uint64_t)entry->time_us) > file->newest_us)
		file->newest_us = entry->time_us;
	if (entry->flags & RCO__LEDGER_CLOSES) {
		note_closed(ledger, entry->subject);
		return;
	}
	if (rco__ledger_subjects_find(&ledger->subjects, entry->subject))
		return;
	if (!file || !rco__ledger_subjects_add(&ledger->subjects, entry->subject, number)) {
		ledger->blind = 1;
		return;
	}
	file->open++;
}

/* ---- append ---- */

static rco__ledger_pending *pending_new(rco__ledger *ledger, size_t size)
{
	rco__ledger_pending *pending = rco__alloc(&ledger->env, sizeof *pending + size);

	if (pending) {
		memset(pending, 0, sizeof *pending);
	} else if (size <= RCO__LEDGER_RESERVE_BYTES && ledger->free_reserve) {
		pending = ledger->free_reserve;
		ledger->free_reserve = pending->next;
		memset(pending, 0, sizeof *pending);
		pending->reserve = 1;
	} else {
		return NULL;
	}
	pending->size = size;
	return pending;
}

static void pending_free(rco__ledger *ledger, rco__ledger_pending *pending)
{
	if (!pending->reserve) {
		rco__release(&ledger->env, pending);
		return;
	}
	pending->next = ledger->free_reserve;
	ledger->free_reserve = pending;
}

int rco__ledger_enqueue(rco__ledger *ledger, const rco__ledger_entry *entry)
{
	rco__ledger_subject *subject;
	rco__ledger_pending *pending;

	pending = pending_new(ledger, rco__ledger_entry_bytes(entry->payload_size));
	if (!pending)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a ledger entry; free some and call again");
	/* The entry matters more than the accounting for it: without room in the table nothing is deleted any
	 * more. */
	if (rco__ledger_subjects_reserve(&ledger->env, &ledger->subjects, ledger->pending_count + 1) != RCO_OK)
		ledger->blind = 1;
	subject = rco__ledger_subjects_find(&ledger->subjects, entry->subject);
	if (subject)
		subject->closing = (entry->flags & RCO__LEDGER_CLOSES) != 0;
	pending->entry = *entry;
	pending->entry.seq = ledger->next_seq++;
	rco__ledger_entry_encode(&pending->entry, ledger->chain, pending->bytes);
	pending->entry.payload = NULL;
	memcpy(pending->hash, ledger->chain, RCO__LEDGER_HASH);
	if (ledger->tail)
		ledger->tail->next = pending;
	else
		ledger->head = pending;
	ledger->tail = pending;
	ledger->pending_count++;
	return RCO_OK;
}

int rco__ledger_append(rco__ledger *ledger, uint16_t type, uint16_t flags, const uint8_t subject[16],
                       const void *payload, size_t payload_size, uint64_t *lsn)
{
	rco__ledger_entry entry = {0};
	int rc;

	if (type == 0 || type > 0x7fff || (flags & ~RCO__LEDGER_CLOSES) || (payload_size > 0 && !payload))
		return rco__fail(RCO_E_INVALID, "ledger entry of type %u with flags %u", type, flags);
	if (payload_size > RCO__LEDGER_PAYLOAD_MAX ||
	    rco__ledger_entry_bytes(payload_size) > ledger->file_bytes - RCO__LEDGER_HEADER_BYTES)
		return rco__fail(RCO_E_LIMIT, "ledger entry of %zu bytes; %d are possible", payload_size,
		                 RCO__LEDGER_PAYLOAD_MAX);
	entry.type = type;
	entry.flags = flags;
	memcpy(entry.subject, subject, sizeof entry.subject);
	entry.time_us = rco__wall_us(&ledger->env);
	entry.payload = payload;
	entry.payload_size = payload_size;

	pthread_mutex_lock(&ledger->mutex);
	rc = rco__ledger_enqueue(ledger, &entry);
	if (rc == RCO_OK && lsn)
		*lsn = ledger->next_seq - 1;
	pthread_mutex_unlock(&ledger->mutex);
	return rc;
}

/* ---- the leader's work; no lock is held ---- */

static int flush_io(rco__ledger *ledger)
{
	const rco__fs *fs = ledger->env.fs;
	size_t size = ledger->io_used;

	ledger->io_used = 0;
	if (size == 0)
		return RCO_OK;
	return fs->write(fs->ctx, ledger->fd, ledger->io, size, ledger->offset - size);
}

static int sync_current(rco__ledger *ledger)
{
	const rco__fs *fs = ledger->env.fs;
	int rc;

	if (ledger->written == ledger->synced || ledger->fd < 0)
		return RCO_OK;
	rc = fs->sync(fs->ctx, ledger->fd);
	if (rc != RCO_OK)
		return rc;
	ledger->synced = ledger->written;
	memcpy(ledger->synced_hash, ledger->written_hash, RCO__LEDGER_HASH);
	ledger->holds_durable = 1;
	return RCO_OK;
}

static void close_current(rco__ledger *ledger)
{
	const rco__fs *fs = ledger->env.fs;

	if (ledger->fd >= 0)
		(void)fs->close(fs->ctx, ledger->fd);
	ledger->fd = -1;
	ledger->io_used = 0;
}

/* What leaves the current file is synced first: only one file ever holds entries that are not durable. */
static int next_file(rco__ledger *ledger)
{
	int rc;

	if (ledger->fd >= 0) {
		rc = flush_io(ledger);
		if (rc == RCO_OK)
			rc = sync_current(ledger);
		if (rc != RCO_OK)
			return rc;
		close_current(ledger);
	}
	return rco__ledger_file_fresh(ledger, ledger->written_hash);
}

static int put_entry(rco__ledger *ledger, rco__ledger_pending *pending)
{
	int rc = RCO_OK;

	if (ledger->fd < 0 || ledger->offset + pending->size > ledger->file_bytes)
		rc = next_file(ledger);
	if (rc == RCO_OK && ledger->io_used + pending->size > RCO__LEDGER_IO_BYTES)
		rc = flush_io(ledger);
	if (rc != RCO_OK)
		return rc;
	memcpy(ledger->io + ledger->io_used, pending->bytes, pending->size);
	ledger->io_used += pending->size;
	ledger->offset += pending->size;
	pending->file = ledger->number;
	ledger->written = pending->entry.seq;
	memcpy(ledger->written_hash, pending->hash, RCO__LEDGER_HASH);
	return RCO_OK;
}

static int put_all(rco__ledger *ledger, rco__ledger_pending *first, rco__ledger_pending *last, int durably)
{
	rco__ledger_pending *pending;
	int rc = RCO_OK;

	/* `last` ends it, not NULL: what is behind it is being appended to by others at this moment. */
	for (pending = first; pending && rc == RCO_OK; pending = pending == last ? NULL : pending->next)
		rc = put_entry(ledger, pending);
	if (rc == RCO_OK)
		rc = flush_io(ledger);
	if (rc == RCO_OK && durably)
		rc = sync_current(ledger);
	return rc;
}

/*
 * After a failed write or sync nothing is known about the file's pages, and a
 * second sync would claim success: it is never used again. Of files abandoned
 * without one durable entry only the latest is kept, so that a broken disk is
 * not filled with them.
 */
static void abandon(rco__ledger *ledger)
{
	close_current(ledger);
	if (!ledger->holds_durable) {
		if (ledger->orphan != 0) {
			(void)rco__ledger_file_unlink(ledger, ledger->orphan);
			pthread_mutex_lock(&ledger->mutex);
			rco__ledger_file_forget(ledger, ledger->orphan);
			pthread_mutex_unlock(&ledger->mutex);
		}
		ledger->orphan = ledger->number;
	}
	ledger->written = ledger->synced;
	memcpy(ledger->written_hash, ledger->synced_hash, RCO__LEDGER_HASH);
	ledger->last_written = NULL;
}

static rco__ledger_pending *first_unsynced(const rco__ledger *ledger, rco__ledger_pending *first,
                                           const rco__ledger_pending *last)
{
	while (first && first->entry.seq <= ledger->synced)
		first = first == last ? NULL : first->next;
	return first;
}

static int commit(rco__ledger *ledger, rco__ledger_pending *head, rco__ledger_pending *first,
                  rco__ledger_pending *last, int durably)
{
	int rc = put_all(ledger, first, last, durably);

	if (rc != RCO_OK && ledger->fd >= 0) {
		rco__log(&ledger->env, RCO_LOG_WARN, "ledger %s: file %016" PRIx64 " abandoned: %s", ledger->dir,
		         ledger->number, rco_error_detail());
		abandon(ledger);
		rc = put_all(ledger, first_unsynced(ledger, head, last), last, durably);
	}
	if (rc != RCO_OK) {
		if (ledger->fd >= 0)
			abandon(ledger);
		ledger->written = ledger->synced;
		memcpy(ledger->written_hash, ledger->synced_hash, RCO__LEDGER_HASH);
		ledger->last_written = NULL;
		return rc;
	}
	if (last)
		ledger->last_written = last;
	return RCO_OK;
}

/* Entries up to `synced` are durable: account for them and let them go. Under the mutex. */
static void publish(rco__ledger *ledger)
{
	rco__ledger_pending *pending;

	while ((pending = ledger->head) != NULL && pending->entry.seq <= ledger->synced) {
		rco__ledger_note(ledger, &pending->entry, pending->file);
		if (pending == ledger->last_written)
			ledger->last_written = NULL;
		ledger->head = pending->next;
		ledger->pending_count--;
		pending_free(ledger, pending);
	}
	if (!ledger->head)
		ledger->tail = NULL;
	ledger->head_seq = ledger->synced;
	memcpy(ledger->head_hash, ledger->synced_hash, RCO__LEDGER_HASH);
	atomic_store_explicit(&ledger->durable, ledger->synced, memory_order_release);
	if (ledger->fd >= 0) {
		ledger->settled = ledger->number;
		ledger->used = ledger->offset;
	}
}

/* Under the mutex: who waited for this commit learns how it went, and one of those who came too late for it leads
 * the next. Nobody else is disturbed, however many wait. */
static void notify(rco__ledger *ledger)
{
	rco__ledger_waiter **at = &ledger->waiters, *w;
	int chosen = 0;

	while ((w = *at) != NULL) {
		if (w->lsn <= ledger->synced)
			w->outcome = RCO__LEDGER_DURABLE;
		else if (ledger->group_durably && w->lsn <= ledger->group_target)
			w->outcome = RCO__LEDGER_FAILED;
		else if (!chosen)
			w->outcome = RCO__LEDGER_LEAD;
		else {
			at = &w->next;
			continue;
		}
		chosen |= w->outcome == RCO__LEDGER_LEAD;
		*at = w->next;
		(void)sem_post(&w->told); /* the last that we know of it: it is on its thread's stack */
	}
}

/* Under the mutex, which it lets go meanwhile; nobody else leads. */
static int lead(rco__ledger *ledger, int durably)
{
	rco__ledger_pending *head = ledger->head, *last = ledger->tail;
	rco__ledger_pending *first = ledger->last_written ? ledger->last_written->next : head;
	int rc;

	ledger->leading = 1;
	ledger->group_target = ledger->next_seq - 1;
	ledger->group_durably = durably;
	pthread_mutex_unlock(&ledger->mutex);
	rc = commit(ledger, head, first, last, durably);
	pthread_mutex_lock(&ledger->mutex);
	publish(ledger);
	if (rc != RCO_OK)
		(void)snprintf(ledger->failure, sizeof ledger->failure,
		               "ledger %s cannot be written; it is retried: %s", ledger->dir, rco_error_detail());
	ledger->leading = 0;
	pthread_cond_broadcast(&ledger->done);
	notify(ledger);
	return rc;
}

/* Under the mutex, which it lets go meanwhile: wait until the present leader has news for `lsn`. */
static int follow(rco__ledger *ledger, uint64_t lsn)
{
	rco__ledger_waiter me = {.lsn = lsn, .next = ledger->waiters};

	(void)sem_init(&me.told, 0, 0);
	ledger->waiters = &me;
	pthread_mutex_unlock(&ledger->mutex);
	while (sem_wait(&me.told) != 0) /* a signal handler of the host's */
		;
	(void)sem_destroy(&me.told);
	return me.outcome;
}

int rco__ledger_sync(rco__ledger *ledger, uint64_t lsn)
{
	char failure[sizeof ledger->failure];
	int outcome = RCO__LEDGER_LEAD;

	pthread_mutex_lock(&ledger->mutex);
	if (lsn >= ledger->next_seq) {
		pthread_mutex_unlock(&ledger->mutex);
		return rco__fail(RCO_E_INVALID, "ledger sync to %" PRIu64 ", which was never appended", lsn);
	}
	while (outcome == RCO__LEDGER_LEAD && atomic_load_explicit(&ledger->durable, memory_order_relaxed) < lsn) {
		if (ledger->leading) {
			outcome = follow(ledger, lsn);
			if (outcome == RCO__LEDGER_DURABLE)
				return RCO_OK;
			pthread_mutex_lock(&ledger->mutex);
		} else {
			(void)lead(ledger, 1);
			outcome = atomic_load_explicit(&ledger->durable, memory_order_relaxed) >= lsn
			                  ? RCO__LEDGER_DURABLE
			                  : RCO__LEDGER_FAILED;
		}
	}
	memcpy(failure, ledger->failure, sizeof failure);
	pthread_mutex_unlock(&ledger->mutex);
	return outcome == RCO__LEDGER_FAILED ? rco__fail(RCO_E_NOT_DURABLE, "%s", failure) : RCO_OK;
}

static int write_out(rco__ledger *ledger, int wait)
{
	char failure[sizeof ledger->failure];
	int rc = RCO_OK;

	pthread_mutex_lock(&ledger->mutex);
	while (ledger->leading && wait)
		pthread_cond_wait(&ledger->done, &ledger->mutex);
	if (ledger->leading) /* what has been written is the leader's to know */
		rc = ledger->tail ? RCO_PENDING : RCO_OK;
	else if (ledger->tail && ledger->tail != ledger->last_written)
		rc = lead(ledger, 0);
	memcpy(failure, ledger->failure, sizeof failure);
	pthread_mutex_unlock(&ledger->mutex);
	return rc == RCO_OK || rc == RCO_PENDING ? rc : rco__fail(rc, "%s", failure);
}

int rco__ledger_write(rco__ledger *ledger)
{
	return write_out(ledger, 1);
}

int rco__ledger_try_write(rco__ledger *ledger)
{
	return write_out(ledger, 0);
}

uint64_t rco__ledger_last(rco__ledger *ledger)
{
	uint64_t last;

	pthread_mutex_lock(&ledger->mutex);
	last = ledger->next_seq - 1;
	pthread_mutex_unlock(&ledger->mutex);
	return last;
}

uint64_t rco__ledger_durable(rco__ledger *ledger)
{
	return atomic_load_explicit(&ledger->durable, memory_order_relaxed);
}

void rco__ledger_head(rco__ledger *ledger, uint64_t *seq, uint8_t hash[RCO__LEDGER_HASH])
{
	pthread_mutex_lock(&ledger->mutex);
	*seq = ledger->head_seq;
	memcpy(hash, ledger->head_hash, RCO__LEDGER_HASH);
	pthread_mutex_unlock(&ledger->mutex);
}

/* ---- life ---- */

static char *copy_text(const rco__env *env, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = rco__alloc(env, size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

static int make_reserve(rco__ledger *ledger)
{
	rco__ledger_pending *pending;
	int i;

	for (i = 0; i < RCO__LEDGER_RESERVE_BLOCKS; i++) {
		pending = rco__alloc(&ledger->env, sizeof *pending + RCO__LEDGER_RESERVE_BYTES);
		if (!pending)
			return RCO_E_NO_MEMORY;
		pending->next = ledger->free_reserve;
		ledger->free_reserve = pending;
	}
	return RCO_OK;
}

static void free_list(rco__ledger *ledger, rco__ledger_pending *list)
{
	while (list) {
		rco__ledger_pending *next = list->next;

		rco__release(&ledger->env, list);
		list = next;
	}
}

static void destroy(rco__ledger *ledger)
{
	const rco__fs *fs = ledger->env.fs;
	rco__env env = ledger->env;

	close_current(ledger);
	if (ledger->spare_fd >= 0)
		(void)fs->close(fs->ctx, ledger->spare_fd);
	free_list(ledger, ledger->head);
	free_list(ledger, ledger->free_reserve);
	rco__release(&env, ledger->subjects.slots);
	rco__release(&env, ledger->files);
	rco__release(&env, ledger->io);
	rco__release(&env, ledger->dir);
	rco__release(&env, ledger->quarantine_dir);
	pthread_cond_destroy(&ledger->done);
	pthread_mutex_destroy(&ledger->mutex);
	rco__release(&env, ledger);
}

static int create(const rco__ledger_options *options, rco__ledger **out)
{
	rco__ledger *ledger = rco__zalloc(&options->env, 1, sizeof *ledger);

	if (!ledger)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the ledger in %s", options->dir);
	ledger->env = options->env;
	ledger->file_bytes = options->file_bytes != 0 ? options->file_bytes : RCO__LEDGER_FILE_DEFAULT;
	ledger->retention_s = options->retention_s;
	ledger->keep_for_ever = options->keep_for_ever;
	ledger->next_seq = 1;
	ledger->next_number = 1;
	ledger->fd = -1;
	ledger->spare_fd = -1;
	atomic_init(&ledger->durable, 0);
	(void)pthread_mutex_init(&ledger->mutex, NULL);
	(void)pthread_cond_init(&ledger->done, NULL);
	ledger->dir = copy_text(&ledger->env, options->dir);
	ledger->quarantine_dir = copy_text(&ledger->env, options->quarantine_dir);
	ledger->io = rco__alloc(&ledger->env, RCO__LEDGER_IO_BYTES);
	if (!ledger->dir || !ledger->quarantine_dir || !ledger->io || make_reserve(ledger) != RCO_OK ||
	    rco__ledger_subjects_reserve(&ledger->env, &ledger->subjects, 1) != RCO_OK) {
		destroy(ledger);
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the ledger in %s", options->dir);
	}
	*out = ledger;
	return RCO_OK;
}

int rco__ledger_open(const rco__ledger_options *options, rco__ledger_replay_fn replay, void *user_data,
                     rco__ledger_report *report, rco__ledger **out)
{
	rco__ledger_report ignored;
	rco__ledger *ledger = NULL;
	int rc;

	*out = NULL;
	if (!options->dir || !options->quarantine_dir)
		return rco__fail(RCO_E_INVALID, "a ledger needs a folder and a quarantine folder");
	if (options->file_bytes != 0 &&
	    (options->file_bytes < RCO__LEDGER_FILE_MIN || options->file_bytes > RCO__LEDGER_FILE_MAX))
		return rco__fail(RCO_E_INVALID, "ledger files of %" PRIu64 " bytes; possible are %d to %d",
		                 options->file_bytes, RCO__LEDGER_FILE_MIN, RCO__LEDGER_FILE_MAX);
	if (sodium_init() < 0)
		return rco__fail(RCO_E_INTERNAL, "libsodium cannot be initialised");
	rc = create(options, &ledger);
	if (rc != RCO_OK)
		return rc;
	if (!report)
		report = &ignored;
	memset(report, 0, sizeof *report);
	rc = rco__ledger_replay(ledger, replay, user_data, report);
	if (rc != RCO_OK) {
		destroy(ledger);
		return rc;
	}
	*out = ledger;
	return RCO_OK;
}

void rco__ledger_close(rco__ledger *ledger)
{
	if (!ledger)
		return;
	if (rco__ledger_sync(ledger, rco__ledger_last(ledger)) != RCO_OK)
		rco__log(&ledger->env, RCO_LOG_ERROR, "closing with entries that are not durable: %s",
		         rco_error_detail());
	destroy(ledger);
}
