/* SPDX-License-Identifier: MIT */
/* Reading segments from one end to the other, for opening, compacting, and searching without the index. */
#include "spool_internal.h"

#include <stdlib.h>
#include <string.h>

size_t rco__record_max(void)
{
	return rco__record_size(RCO__CHUNK_MAX + RCO__SPOOL_SEAL);
}

int rco__window_init(const rco_spool *spool, rco__window *w)
{
	memset(w, 0, sizeof *w);
	w->cap = 2 * rco__record_max();
	w->buf = rco__alloc(&spool->env, w->cap);
	return w->buf != NULL ? RCO_OK : rco__fail(RCO_E_NO_MEMORY, "no memory to read segments");
}

void rco__window_free(const rco_spool *spool, rco__window *w)
{
	rco__release(&spool->env, w->buf);
	w->buf = NULL;
}

int rco__window_open(const rco_spool *spool, rco__window *w, int fd)
{
	const rco__fs *fs = spool->env.fs;

	w->fd = fd;
	w->start = 0;
	w->have = 0;
	return fs->size(fs->ctx, fd, &w->size);
}

int rco__window_look(const rco_spool *spool, rco__window *w, uint64_t at, const uint8_t **p, size_t *size)
{
	const rco__fs *fs = spool->env.fs;
	size_t skip, got = 0;
	int rc;

	if (at > w->start + w->have) {
		w->start = at;
		w->have = 0;
	}
	skip = (size_t)(at - w->start);
	if (w->have - skip < rco__record_max() && w->start + w->have < w->size) {
		w->have -= skip;
		memmove(w->buf, w->buf + skip, w->have);
		w->start = at;
		skip = 0;
		rc = fs->read(fs->ctx, w->fd, w->buf + w->have, w->cap - w->have, w->start + w->have, &got);
		if (rc != RCO_OK)
			return rc;
		w->have += got;
		if (got == 0)
			w->size = w->start + w->have; /* it was cut off under our hands */
	}
	*p = w->buf + skip;
	*size = w->have - skip;
	return RCO_OK;
}

int rco__window_next(const rco_spool *spool, rco__window *w, uint64_t *at, const uint8_t **p, rco__record *record)
{
	size_t size;

	for (; *at < w->size; *at += RCO__SPOOL_ALIGN) {
		int rc = rco__window_look(spool, w, *at, p, &size);

		if (rc != RCO_OK)
			return rc;
		if (size == 0)
			break;
		if (rco__record_parse(*p, size, record) == RCO_OK)
			return RCO_OK;
	}
	return RCO_E_NOT_FOUND;
}

/* ---- searching without the index ---- */

typedef struct list {
	rco__segment **all;
	size_t count;
} list;

static int by_number(const void *a, const void *b)
{
	const rco__segment *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

/* All that have a name, in their order, kept from going away. */
static int pin_all(rco_spool *spool, list *l)
{
	rco__segment *seg;
	size_t n = 0;

	(void)pthread_mutex_lock(&spool->segment_lock);
	for (seg = spool->segments; seg != NULL; seg = seg->next)
		n++;
	l->all = rco__alloc(&spool->env, (n + 1) * sizeof *l->all);
	for (seg = spool->segments; l->all != NULL && seg != NULL; seg = seg->next) {
		if (seg->live == 0 || seg->nameless)
			continue;
		seg->users++;
		l->all[l->count++] = seg;
	}
	(void)pthread_mutex_unlock(&spool->segment_lock);
	if (l->all == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory to search segments");
	qsort(l->all, l->count, sizeof *l->all, by_number);
	return RCO_OK;
}

static void unpin_all(rco_spool *spool, list *l)
{
	size_t i;

	(void)pthread_mutex_lock(&spool->segment_lock);
	for (i = 0; i < l->count; i++)
		l->all[i]->users--;
	(void)pthread_mutex_unlock(&spool->segment_lock);
	rco__release(&spool->env, l->all);
}

static int is_of(const rco__spooled *r, uint32_t leg, const rco__record *record)
{
	return memcmp(record->id, r->id, 16) == 0 && record->serial == r->serial && record->leg == leg &&
	       record->format == r->legs[leg].format;
}

/* The pieces of one segment that go on where the block ends. */
static int search_one(rco_spool *spool, const rco__spooled *r, uint32_t leg, rco__segment *seg, rco__window *w,
                      rco__block *block)
{
	uint64_t at = RCO__SPOOL_SEG_HEADER;
	rco__record record;
	const uint8_t *p;
	int rc = rco__window_open(spool, w, seg->fd);

	while (rc == RCO_OK && block->count < RCO__SPOOL_BLOCK) {
		uint64_t end;

		rc = rco__window_next(spool, w, &at, &p, &record);
		if (rc != RCO_OK)
			break;
		end = record.position + record.raw_size;
		if (is_of(r, leg, &record) && record.position <= block->end && end > block->end &&
		    end <= r->legs[leg].held) {
			rco__piece piece = {.segment = seg,
			                    .offset = at,
			                    .position = block->end,
			                    .gap = record.coding == RCO__CODING_GAP};

			piece.size = (uint32_t)(end - block->end);
			piece.skip = (uint32_t)(block->end - record.position);
			piece.record_size = (uint32_t)rco__record_size(record.cipher_size);
			rco__packed_fill(&block->at[block->count++], &piece);
			block->end = end;
		}
		at += rco__record_size(record.cipher_size);
	}
	return rc == RCO_E_NOT_FOUND ? RCO_OK : rc;
}

int rco__segments_search(rco_spool *spool, const rco__spooled *r, uint32_t leg, uint64_t position,
                         rco__block *block)
{
	list l = {.count = 0};
	rco__window w;
	size_t i;
	int rc;

	block->position = block->end = position;
	block->count = 0;
	rc = rco__window_init(spool, &w);
	if (rc != RCO_OK)
		return rc;
	rc = pin_all(spool, &l);
	for (i = 0; i < l.count && rc == RCO_OK; i++)
		rc = search_one(spool, r, leg, l.all[i], &w, block);
	unpin_all(spool, &l);
	rco__window_free(spool, &w);
	if (rc == RCO_OK && block->count == 0)
		rc = rco__fail(RCO_E_CORRUPT, "%s: neither the index nor a segment has byte %llu of a leg",
		               spool->path, (unsigned long long)position);
	return rc;
}
