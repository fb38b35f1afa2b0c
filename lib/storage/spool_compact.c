/* SPDX-License-Identifier: MIT */
/*
 * Compacting: a call of many hours must not keep the space of those that ended
 * meanwhile. Neighbouring segments of which little is needed any more become
 * one that takes their place.
 *
 * What is needed is copied as it is, in its order, to a file that counts for
 * nothing until it is done and durable. Then the index is pointed to it, then it
 * is renamed to the first of the segments it replaces, and when that is durable
 * the others are removed. A crash before the rename leaves all as it was; after
 * it, the others hold only what was read before, since segments are read in the
 * order of their numbers.
 */
#include "spool_internal.h"

#include <string.h>

enum {
	STEP_US = 20000,
	STEP_BYTES = 64 << 20, /* looked at in a step */
	STEP_COPIED = 8 << 20,
	LOOK_EVERY = 64, /* records between two looks at the clock */
	CHECKS = 3,
	RETRY_US = 10 * 1000000,
	FULL_US = 60 * 1000000
};

/* BACK is the way out once the index has been pointed to the copy. */
enum { COPY, POINT, CHECK, RENAME, SETTLE, BACK };

struct rco__compaction {
	int stage;
	rco__segment **from; /* ascending */
	size_t count;
	rco__segment *into;
	size_t at;       /* which of `from` is being read */
	uint64_t offset; /* in the file that is being read */
	int reading;     /* the window is at it */
	rco__window window;
	uint8_t *out;
	size_t out_size, out_cap;
	int checks;
};

/* What a step may still do. */
typedef struct budget {
	int64_t until_us;
	uint64_t bytes, copied;
	uint32_t records;
} budget;

static const char copy_name[] = "compact.tmp";

static int spent(const rco_spool *spool, budget *b)
{
	if (b->bytes >= STEP_BYTES || b->copied >= STEP_COPIED)
		return 1;
	return b->records++ % LOOK_EVERY == 0 && rco__mono_us(&spool->env) > b->until_us;
}

static void remove_copy(const rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	char path[RCO__SPOOL_PATH];

	/* If it cannot be removed the next compaction tries again, and the next start. */
	rco__spool_file(spool, copy_name, path);
	(void)fs->unlink(fs->ctx, path);
}

/* ---- beginning ---- */

static void release(rco_spool *spool, rco__compaction *c)
{
	rco__window_free(spool, &c->window);
	rco__release(&spool->env, c->out);
	rco__release(&spool->env, c->from);
	rco__release(&spool->env, c);
}

static int create_copy(rco_spool *spool, rco__compaction *c)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t header[RCO__SPOOL_SEG_HEADER];
	char path[RCO__SPOOL_PATH];
	int rc;

	remove_copy(spool);
	rco__spool_file(spool, copy_name, path);
	rc = fs->open(fs->ctx, path, RCO__FS_CREATE_NEW, &c->into->fd);
	rco__segment_header(spool, c->into->number, header);
	return rc == RCO_OK ? fs->write(fs->ctx, c->into->fd, header, sizeof header, 0) : rc;
}

static int prepare(rco_spool *spool, rco__compaction *c)
{
	int rc = rco__window_init(spool, &c->window);

	c->out_cap = rco__record_max();
	c->out = rco__alloc(&spool->env, c->out_cap);
	if (rc == RCO_OK && c->out == NULL)
		rc = rco__fail(RCO_E_NO_MEMORY, "no memory to compact segments");
	return rc == RCO_OK ? create_copy(spool, c) : rc;
}

static void notify(rco_spool *spool)
{
	spool->compact_retry_us = rco__mono_us(&spool->env) + RETRY_US;
	if (!spool->compact_told)
		rco__log(&spool->env, RCO_LOG_WARN,
		         "segments cannot be compacted, trying again, until then finished calls keep some space: "
		         "%s",
		         rco_error_detail());
	spool->compact_told = 1;
}

/* Segments may go again, the copy too. */
static void end(rco_spool *spool, rco__compaction *c)
{
	size_t i;

	(void)pthread_mutex_lock(&spool->segment_lock);
	for (i = 0; i < c->count; i++) {
		c->from[i]->users--;
		c->from[i]->leaving = 0;
	}
	c->into->users--;
	c->into->leaving = 0;
	(void)pthread_mutex_unlock(&spool->segment_lock);
	spool->compaction = NULL;
	release(spool, c);
	rco__segments_tidy(spool);
}

/* The index knows nothing of the copy. */
static void give_up(rco_spool *spool, rco__compaction *c)
{
	notify(spool);
	remove_copy(spool);
	end(spool, c);
}

/* segment_lock held. The chosen become a compaction, and are held. */
static rco__compaction *take_run(rco_spool *spool, rco__segment **chosen, size_t count)
{
	rco__compaction *c = rco__zalloc(&spool->env, 1, sizeof *c);
	size_t i;

	if (c == NULL)
		return NULL;
	c->into = rco__segment_new(spool, chosen[0]->number);
	if (c->into == NULL) {
		rco__release(&spool->env, c);
		return NULL;
	}
	c->into->users = 1;
	c->into->closed = c->into->nameless = 1;
	c->into->size = RCO__SPOOL_SEG_HEADER;
	c->into->next = spool->segments;
	spool->segments = c->into;
	c->from = chosen;
	c->count = count;
	for (i = 0; i < c->count; i++)
		c->from[i]->users++;
	return c;
}

static void begin(rco_spool *spool)
{
	int64_t now = rco__mono_us(&spool->env);
	rco__compaction *c = NULL;
	rco__segment **chosen;
	size_t n = 0;
	int rc;

	if (now < spool->compact_retry_us)
		return;
	(void)pthread_mutex_lock(&spool->segment_lock);
	chosen = rco__segments_choose(spool, spool->full_us != 0 && now - spool->full_us < FULL_US, &n);
	if (chosen != NULL)
		c = take_run(spool, chosen, n);
	(void)pthread_mutex_unlock(&spool->segment_lock);
	if (c == NULL) {
		rco__release(&spool->env, chosen);
		return;
	}
	spool->compaction = c;
	c->offset = RCO__SPOOL_SEG_HEADER;
	rc = prepare(spool, c);
	if (rc != RCO_OK)
		give_up(spool, c);
}

/* ---- reading a file record by record ---- */

/* The next record of the file; RCO_E_NOT_FOUND behind the last. */
static int next_record(rco_spool *spool, rco__compaction *c, rco__segment *seg, budget *b, const uint8_t **p,
                       rco__record *record)
{
	uint64_t from = c->offset;
	int rc = RCO_OK;

	if (!c->reading)
		rc = rco__window_open(spool, &c->window, seg->fd);
	c->reading = 1;
	if (rc == RCO_OK)
		rc = rco__window_next(spool, &c->window, &c->offset, p, record);
	b->bytes += c->offset - from + (rc == RCO_OK ? rco__record_size(record->cipher_size) : 0);
	return rc;
}

static void next_file(rco__compaction *c)
{
	c->at++;
	c->offset = RCO__SPOOL_SEG_HEADER;
	c->reading = 0;
}

/* Its recording, locked and open; NULL if that is gone. */
static rco__spooled *owner(rco_spool *spool, const rco__record *record)
{
	rco__spooled *r = rco__spooled_get(spool, record->id);

	if (r == NULL)
		return NULL;
	(void)pthread_mutex_lock(&r->lock);
	if (r->state == RCO__SPOOLED_OPEN && r->serial == record->serial)
		return r;
	(void)pthread_mutex_unlock(&r->lock);
	rco__spooled_put(spool, r);
	return NULL;
}

static void let_go(rco_spool *spool, rco__spooled *r)
{
	(void)pthread_mutex_unlock(&r->lock);
	rco__spooled_put(spool, r);
}

/* ---- copying ---- */

static int write_out(rco_spool *spool, rco__compaction *c)
{
	const rco__fs *fs = spool->env.fs;
	int rc = RCO_OK;

	if (c->out_size > 0)
		rc = fs->write(fs->ctx, c->into->fd, c->out, c->out_size, c->into->size);
	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&spool->segment_lock);
	c->into->size += c->out_size;
	(void)pthread_mutex_unlock(&spool->segment_lock);
	c->out_size = 0;
	return RCO_OK;
}

static int is_revoked(rco__spooled *r)
{
	int dead;

	(void)pthread_mutex_lock(&r->key_lock);
	dead = r->revoked;
	(void)pthread_mutex_unlock(&r->key_lock);
	return dead;
}

/* Does the index name this very record? */
static int is_needed(rco_spool *spool, const rco__compaction *c, const rco__segment *seg,
                     const rco__record *record, int *needed)
{
	uint64_t last = record->position + record->raw_size - 1;
	rco__spooled *r = owner(spool, record);
	rco__block block = {.position = 0};
	rco__piece piece;
	int rc = RCO_OK;

	*needed = 0;
	if (r == NULL)
		return RCO_OK;
	if (is_revoked(r)) {
		rco__spooled_forget(spool, r); /* what cannot be opened any more is not rewritten */
	} else if (last < r->legs[record->leg].held) {
		rc = rco__leg_at(spool, &r->legs[record->leg], last, &block, &piece);
		*needed = rc == RCO_OK && piece.segment == seg && piece.offset == c->offset;
	}
	let_go(spool, r);
	return rc;
}

static int copy_record(rco_spool *spool, rco__compaction *c, const uint8_t *p, size_t size, budget *b)
{
	int rc = RCO_OK;

	if (c->out_size + size > c->out_cap)
		rc = write_out(spool, c);
	if (rc != RCO_OK)
		return rc;
	memcpy(c->out + c->out_size, p, size);
	c->out_size += size;
	b->copied += size;
	return RCO_OK;
}

/* RCO_PENDING: the step is over. */
static int copy_some(rco_spool *spool, rco__compaction *c, budget *b)
{
	while (c->at < c->count) {
		rco__record record;
		const uint8_t *p;
		int rc, needed;

		if (spent(spool, b))
			return RCO_PENDING;
		rc = next_record(spool, c, c->from[c->at], b, &p, &record);
		if (rc == RCO_E_NOT_FOUND) {
			next_file(c);
			continue;
		}
		if (rc == RCO_OK)
			rc = is_needed(spool, c, c->from[c->at], &record, &needed);
		if (rc == RCO_OK && needed)
			rc = copy_record(spool, c, p, rco__record_size(record.cipher_size), b);
		if (rc != RCO_OK)
			return rc;
		c->offset += rco__record_size(record.cipher_size);
	}
	return RCO_OK;
}

/* Each step leaves what it wrote durable, so that no step waits for the disk for more than its own part. */
static void copy(rco_spool *spool, rco__compaction *c, budget *b)
{
	const rco__fs *fs = spool->env.fs;
	int rc = copy_some(spool, c, b), rc2 = RCO_OK;
	size_t i;

	if (rc == RCO_OK || rc == RCO_PENDING)
		rc2 = write_out(spool, c);
	if (rc2 == RCO_OK && (rc == RCO_OK || b->copied > 0))
		rc2 = fs->sync(fs->ctx, c->into->fd);
	if (rc2 != RCO_OK)
		rc = rc2;
	if (rc == RCO_PENDING)
		return;
	if (rc != RCO_OK) {
		if (c->at < c->count && rc2 == RCO_OK && rc != RCO_E_NO_MEMORY && rc != RCO_E_NO_SPACE)
			c->from[c->at]->stuck =
				1; /* it, or the index of it, cannot be read: others go without it */
		give_up(spool, c);
		return;
	}
	(void)pthread_mutex_lock(&spool->segment_lock);
	for (i = 0; i < c->count; i++)
		c->from[i]->leaving = 1;
	(void)pthread_mutex_unlock(&spool->segment_lock);
	c->at = 0;
	c->offset = RCO__SPOOL_SEG_HEADER;
	c->reading = 0;
	c->stage = POINT;
}

/* ---- pointing the index to it ---- */

/* Point what stands in a leaving segment to this record of `to`. */
static int point(rco_spool *spool, rco__compaction *c, rco__segment *to, const rco__record *record)
{
	rco__spooled *r = owner(spool, record);
	rco__piece was;
	int rc;

	if (r == NULL)
		return RCO_OK;
	rc = rco__leg_point(spool, &r->legs[record->leg], record, to, c->offset, &was);
	if (rc == RCO_OK && was.segment != NULL) {
		(void)pthread_mutex_lock(&spool->segment_lock);
		was.segment->live -= was.record_size;
		to->live += rco__record_size(record->cipher_size);
		(void)pthread_mutex_unlock(&spool->segment_lock);
	}
	let_go(spool, r);
	return rc;
}

/* All records of the file; RCO_PENDING: the step is over. */
static int point_some(rco_spool *spool, rco__compaction *c, rco__segment *to, budget *b)
{
	for (;;) {
		rco__record record;
		const uint8_t *p;
		int rc;

		if (spent(spool, b))
			return RCO_PENDING;
		rc = next_record(spool, c, to, b, &p, &record);
		if (rc != RCO_OK)
			return rc == RCO_E_NOT_FOUND ? RCO_OK : rc;
		rc = point(spool, c, to, &record);
		if (rc != RCO_OK)
			return rc;
		c->offset += rco__record_size(record.cipher_size);
	}
}

/* The index has to be pointed back, before the copy may go. */
static void turn_back(rco_spool *spool, rco__compaction *c)
{
	size_t i;

	notify(spool);
	(void)pthread_mutex_lock(&spool->segment_lock);
	for (i = 0; i < c->count; i++)
		c->from[i]->leaving = 0;
	c->into->leaving = 1;
	(void)pthread_mutex_unlock(&spool->segment_lock);
	c->at = 0;
	c->offset = RCO__SPOOL_SEG_HEADER;
	c->reading = 0;
	c->stage = BACK;
}

static void point_all(rco_spool *spool, rco__compaction *c, budget *b)
{
	int rc = point_some(spool, c, c->into, b);

	if (rc == RCO_PENDING)
		return;
	if (rc != RCO_OK) {
		turn_back(spool, c);
		return;
	}
	c->checks = 0;
	c->stage = CHECK;
}

/* Live bytes of what is to go; those are told as damage that no erasure will take away. */
static uint64_t left(rco_spool *spool, rco__compaction *c, int stick)
{
	uint64_t sum = 0;
	size_t i;

	(void)pthread_mutex_lock(&spool->segment_lock);
	for (i = 0; i < c->count; i++) {
		sum += c->from[i]->live;
		if (stick && c->from[i]->live > 0)
			c->from[i]->stuck = 1;
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	return sum;
}

/*
 * Nothing may be needed of what is to go. If something is: its recording is being erased, which takes a moment; or
 * the record was damaged meanwhile, and then its segment has to stay as it is. 1: wait.
 */
static int check(rco_spool *spool, rco__compaction *c)
{
	if (left(spool, c, 0) == 0) {
		c->stage = RENAME;
		return 0;
	}
	if (rco__spooled_dig(spool, INT64_MIN) || ++c->checks < CHECKS)
		return 1;
	(void)left(spool, c, 1);
	(void)rco__fail(RCO_E_CORRUPT, "%s/%016llx.rcos or one behind it is damaged and stays as it is",
	                spool->path, (unsigned long long)c->from[0]->number);
	turn_back(spool, c);
	return 0;
}

static void go_back(rco_spool *spool, rco__compaction *c, budget *b)
{
	int rc = RCO_OK;
	size_t i;

	while (c->at < c->count && rc == RCO_OK) {
		rc = point_some(spool, c, c->from[c->at], b);
		if (rc == RCO_OK)
			next_file(c);
	}
	if (rc == RCO_PENDING)
		return;
	(void)pthread_mutex_lock(&spool->segment_lock);
	if (c->into->live > 0)
		/* The index still has the copy, and could not be changed: nothing of it may go before the next
		 * start, which finds everything in the old ones. */
		for (i = 0; i < c->count; i++) {
			c->from[i]->users++;
			c->from[i]->stuck = 1;
		}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	remove_copy(spool);
	end(spool, c);
}

/* ---- taking their place ---- */

static void rename_copy(rco_spool *spool, rco__compaction *c)
{
	const rco__fs *fs = spool->env.fs;
	char from[RCO__SPOOL_PATH], to[RCO__SPOOL_PATH];

	rco__spool_file(spool, copy_name, from);
	rco__segment_path(spool, c->from[0]->number, to);
	if (fs->rename(fs->ctx, from, to) != RCO_OK) {
		turn_back(spool, c);
		return;
	}
	(void)pthread_mutex_lock(&spool->segment_lock);
	c->into->nameless = 0;
	c->from[0]->nameless = 1;
	(void)pthread_mutex_unlock(&spool->segment_lock);
	c->stage = SETTLE;
}

/* 1: wait. */
static int settle(rco_spool *spool, rco__compaction *c)
{
	const rco__fs *fs = spool->env.fs;
	int rc = fs->sync_dir(fs->ctx, spool->path);

	if (rc != RCO_OK) { /* both are there until it is known that one is enough */
		notify(spool);
		return 1;
	}
	spool->compact_told = 0;
	spool->compact_retry_us = 0;
	end(spool, c);
	return 0;
}

/* ---- a step ---- */

/* 1: no more in this step. */
static int advance(rco_spool *spool, budget *b)
{
	rco__compaction *c = spool->compaction;
	int stage = c->stage;

	switch (stage) {
	case COPY:
		copy(spool, c, b);
		break;
	case POINT:
		point_all(spool, c, b);
		break;
	case CHECK:
		return check(spool, c);
	case RENAME:
		rename_copy(spool, c);
		break;
	case SETTLE:
		return settle(spool, c);
	default:
		go_back(spool, c, b);
		break;
	}
	return spool->compaction == c && c->stage == stage;
}

int rco__compact_step(rco_spool *spool)
{
	budget b = {.until_us = rco__mono_us(&spool->env) + STEP_US};
	int over = 0, more;

	if (pthread_mutex_trylock(&spool->compact_lock) != 0)
		return RCO_OK;
	while (!over && !spent(spool, &b)) {
		if (spool->compaction == NULL)
			begin(spool);
		over = spool->compaction == NULL || advance(spool, &b);
	}
	more = spool->compaction != NULL;
	(void)pthread_mutex_unlock(&spool->compact_lock);
	return more ? RCO_PENDING : RCO_OK;
}

void rco__compact_open(rco_spool *spool)
{
	remove_copy(spool);
}

void rco__compact_close(rco_spool *spool)
{
	rco__compaction *c = spool->compaction;

	if (c == NULL)
		return;
	if (c->into->nameless && rco__spool_here(spool))
		remove_copy(spool);
	spool->compaction = NULL;
	release(spool, c);
}
