/* SPDX-License-Identifier: MIT */
/* For the tests of compacting: a file system that fails or tells, two long calls, and many short ones. */
#ifndef TESTS_SUPPORT_COMPACT_H
#define TESTS_SUPPORT_COMPACT_H

#include "support_base.h"
#include "support_spool.h"

#include "../lib/storage/spool_internal.h"

enum { SEGMENT = 20000, LONG = 1, OTHER = 3, SHORT = 2, LONG_PIECE = 100, SHORT_PIECE = 900 };
enum { BEFORE, AFTER, HALF };

/* A file system that can fail or tell at each change, and says what was done in which order. */
typedef struct watch {
	t_disk disk;                  /* its marks: the copy, a file that is compacted into */
	_Atomic uint32_t changes, at; /* so far; at which something happens, counted from 1, 0: never */
	_Atomic int lasting, how, code;
	_Atomic int copy_full; /* no space for compacted segments */
	_Atomic int sync_fails, unlink_fails, sync_holds, sync_inside;
	_Atomic uint32_t writes, syncs;
	_Atomic uint32_t other_syncs; /* of other files than the copy */
	void (*then)(void *);         /* in place of failing */
	void (*at_rename)(void *);
	void (*at_copy_sync)(void *); /* before the sync of the copy */
	void *then_arg;
	char order[4096]; /* S sync of the copy, R rename, D sync of the folder, U a segment removed */
	size_t n_order;
	pthread_mutex_t order_lock;
} watch;

static inline void note(watch *w, char what)
{
	(void)pthread_mutex_lock(&w->order_lock);
	if (w->n_order + 1 < sizeof w->order)
		w->order[w->n_order++] = what;
	w->order[w->n_order] = '\0';
	(void)pthread_mutex_unlock(&w->order_lock);
}

static inline int ends(const char *path, const char *with)
{
	return strlen(path) >= strlen(with) && strcmp(path + strlen(path) - strlen(with), with) == 0;
}

static inline int hit(watch *w)
{
	uint32_t n = atomic_fetch_add(&w->changes, 1) + 1, at = atomic_load(&w->at);

	if (at == 0 || (n != at && !(n > at && atomic_load(&w->lasting))))
		return 0;
	if (w->then == NULL)
		return 1;
	w->then(w->then_arg);
	return 0;
}

static inline int watch_write(watch *w, t_demand *d)
{
	int bad = hit(w), how = atomic_load(&w->how);

	atomic_fetch_add(&w->writes, 1);
	if (d->mark && atomic_load(&w->copy_full))
		return RCO_E_NO_SPACE;
	d->done = how == HALF ? T_DISK_HALF : how == AFTER ? T_DISK_ALL : T_DISK_NOTHING;
	return bad ? atomic_load(&w->code) : RCO_OK;
}

static inline int watch_sync(watch *w, t_demand *d)
{
	atomic_fetch_add(&w->syncs, 1);
	if (d->mark) {
		note(w, 'S');
		if (w->at_copy_sync != NULL)
			w->at_copy_sync(w->then_arg);
	} else {
		atomic_fetch_add(&w->other_syncs, 1);
	}
	if (atomic_load(&w->sync_holds)) {
		atomic_store(&w->sync_inside, 1);
		while (atomic_load(&w->sync_holds))
			;
	}
	d->skip = 1;
	return hit(w) || atomic_load(&w->sync_fails) ? atomic_load(&w->code) : RCO_OK;
}

static inline int watch_asked(t_demand *d, void *user_data)
{
	watch *w = user_data;

	switch (d->kind) {
	case T_DISK_OPEN:
		d->mark = (uint8_t)ends(d->path, "compact.tmp");
		return d->how >= RCO__FS_CREATE && hit(w) && atomic_load(&w->how) != AFTER ? atomic_load(&w->code)
		                                                                           : RCO_OK;
	case T_DISK_WRITE:
		return watch_write(w, d);
	case T_DISK_SYNC:
		return watch_sync(w, d);
	case T_DISK_SYNC_DIR:
		note(w, 'D');
		d->skip = 1;
		return hit(w) ? atomic_load(&w->code) : RCO_OK;
	case T_DISK_RENAME:
		note(w, 'R');
		if (w->at_rename != NULL)
			w->at_rename(w->then_arg);
		return hit(w) ? atomic_load(&w->code) : RCO_OK;
	case T_DISK_UNLINK:
		if (ends(d->path, ".rcos"))
			note(w, 'U');
		return hit(w) || atomic_load(&w->unlink_fails) ? atomic_load(&w->code) : RCO_OK;
	default:
		return RCO_OK;
	}
}

static inline void watch_init(watch *w)
{
	memset(w, 0, sizeof *w);
	assert_int_equal(pthread_mutex_init(&w->order_lock, NULL), 0);
	t_disk_init(&w->disk, NULL, watch_asked, w);
	atomic_store(&w->code, RCO_E_NO_SPACE);
}

static inline void arm(watch *w, uint32_t in, int how)
{
	atomic_store(&w->how, how);
	atomic_store(&w->at, in == 0 ? 0 : atomic_load(&w->changes) + in);
}

static inline void start(bench *b, watch *w)
{
	watch_init(w);
	b_init_under(b, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
	b->fs = &w->disk.table;
	b->segment_bytes = SEGMENT;
	b_open(b);
}

static inline void add_size(const char *file, void *user_data)
{
	struct stat st;

	if (ends(file, ".rcos") && stat(file, &st) == 0)
		*(uint64_t *)user_data += (uint64_t)st.st_size;
}

static inline uint64_t segment_bytes(bench *b)
{
	uint64_t sum = 0;

	t_tree_each(b->spool_path, add_size, &sum);
	return sum;
}

/* As the engine's maintenance, some seconds long. */
static inline void maintain(bench *b, int times)
{
	int i;

	for (i = 0; i < times; i++) {
		t_clock_advance(&b->clock, 11000);
		assert_true(rco_spool_maintain(b->spool) >= RCO_OK);
	}
}

/* Two long calls and so many short ones between their pieces, which are then erased. */
static inline uint64_t fill(bench *b, uint64_t from, int rounds)
{
	int i;
	uint64_t k;

	for (i = 0; i < rounds; i++) {
		b_begin(b, SHORT);
		b_noise(b, LONG, 0, from, LONG_PIECE);
		for (k = 0; k < 8; k++)
			b_noise(b, SHORT, 0, k * SHORT_PIECE, SHORT_PIECE);
		b_noise(b, OTHER, 1, from, LONG_PIECE);
		from += LONG_PIECE;
		b_erase(b, SHORT);
	}
	return from;
}

static inline void check_kept(bench *b, uint64_t held)
{
	b_found f;

	b_scan(b, &f);
	assert_int_equal(f.n, 2);
	assert_int_equal(b_where(&f, SHORT), -1);
	assert_int_equal(f.at[b_where(&f, LONG)].damaged, 0);
	assert_int_equal(f.at[b_where(&f, OTHER)].damaged, 0);
	b_holds(b, LONG, 0, held);
	b_holds(b, OTHER, 1, held);
}

#endif
