/* SPDX-License-Identifier: MIT */
/*
 * Which segments are worth compacting.
 *
 * For every byte that is copied three or more become free, or one or more when
 * the disk was full a short time ago. A byte dies once: so compacting writes at
 * most a third, or as much again, of what was appended, besides attempts that
 * failed.
 */
#include "spool_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	SHARE = 4,      /* what is needed is at most this part of the segments */
	FULL_SHARE = 2, /* when the disk was full */
	GAIN = 16       /* at least this part of a segment becomes free */
};

typedef struct run {
	size_t first, count;
	uint64_t live, size;
} run;

static int by_number(const void *a, const void *b)
{
	const rco__segment *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

/* segment_lock held. All of them, in their order. */
static rco__segment **sorted(rco_spool *spool, size_t *count)
{
	rco__segment **all, *seg;

	*count = 0;
	for (seg = spool->segments; seg != NULL; seg = seg->next)
		++*count;
	all = rco__alloc(&spool->env, (*count + 1) * sizeof(rco__segment *));
	*count = 0;
	for (seg = spool->segments; all != NULL && seg != NULL; seg = seg->next)
		all[(*count)++] = seg;
	if (all != NULL)
		qsort(all, *count, sizeof *all, by_number);
	return all;
}

static int fits(const rco_spool *spool, const run *r, const rco__segment *seg, uint64_t share)
{
	/* One without a name is a copy that the index could not be turned away from: what took its place would
	 * take that of the file, too, in which the next start finds it all. */
	if (seg == spool->current || seg->users > 0 || seg->stuck || seg->nameless || seg->live == 0)
		return 0;
	return (r->live + seg->live) * share <= r->size + seg->size &&
	       r->live + seg->live + RCO__SPOOL_SEG_HEADER <= spool->segment_bytes;
}

static void take(run *r, const rco__segment *seg)
{
	r->live += seg->live;
	r->size += seg->size;
	r->count++;
}

/* The run of neighbours by which most is won; its count is 0 if there is none that is worth it. */
static run choose(const rco_spool *spool, rco__segment *const *all, size_t n, uint64_t share)
{
	run best = {.count = 0};
	size_t i, next;

	for (i = 0; i < n; i = next) {
		run r = {.first = i};

		for (next = i; next < n && fits(spool, &r, all[next], share); next++)
			take(&r, all[next]);
		if (r.count == 0) {
			next = i + 1;
			continue;
		}
		/* Those before it, on their own not worth it: so that few files are left, not many small ones. */
		while (r.first > 0 && fits(spool, &r, all[r.first - 1], share))
			take(&r, all[--r.first]);
		if (r.size - r.live >= spool->segment_bytes / GAIN && r.size - r.live > best.size - best.live)
			best = r;
	}
	return best;
}

rco__segment **rco__segments_choose(rco_spool *spool, int full, size_t *count)
{
	size_t n;
	rco__segment **all = sorted(spool, &n);
	run r = {.count = 0};

	if (all != NULL)
		r = choose(spool, all, n, full ? FULL_SHARE : SHARE);
	*count = r.count;
	if (r.count == 0) {
		rco__release(&spool->env, all);
		return NULL;
	}
	memmove(all, &all[r.first], r.count * sizeof(rco__segment *));
	return all;
}
