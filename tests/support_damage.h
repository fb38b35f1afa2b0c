/* SPDX-License-Identifier: MIT */
/* For the tests of damage to the spool: two calls in one segment, and one file of theirs to be damaged. */
#ifndef TESTS_SUPPORT_DAMAGE_H
#define TESTS_SUPPORT_DAMAGE_H

#include "support_spool.h"

enum { PIECE = 200, PIECES = 4, HELD = PIECE * PIECES, STEP = T_SANITIZED ? 7 : 1 };

static rco__fs fast;

/* Calls 1 and 2, their pieces mixed in one segment. */
static inline void leave(bench *b)
{
	uint64_t i;

	b_init_under(b, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL); /* thousands of small files */
	b->fs = b_fast_fs(&fast);
	b_open(b);
	assert_int_equal(b_try_begin(b, 1, "meta of one"), RCO_OK);
	assert_int_equal(b_try_begin(b, 2, "meta of two"), RCO_OK);
	for (i = 0; i < PIECES; i++) {
		b_noise(b, 1, 0, i * PIECE, PIECE);
		b_noise(b, 2, 1, i * PIECE, PIECE);
	}
	b_close(b);
}

typedef struct victim {
	bench b;
	char path[256];
	uint8_t *good;
	size_t size;
	uint8_t *others[3]; /* slots and keys, which opening may change too */
	size_t others_size[3];
	char others_path[3][256];
} victim;

static inline void pick(victim *v, const char *suffix)
{
	static const char *const all[] = {".rcos", ".rcok", ".key", ".rcoe"};
	size_t i, n = 0;

	leave(&v->b);
	assert_int_equal(b_files(v->b.root, suffix, v->path), 1);
	v->good = t_read_file(v->path, &v->size);
	assert_non_null(v->good);
	for (i = 0; i < 4; i++) {
		if (strcmp(all[i], suffix) == 0)
			continue;
		assert_int_equal(b_files(v->b.root, all[i], v->others_path[n]), 1);
		v->others[n] = t_read_file(v->others_path[n], &v->others_size[n]);
		assert_non_null(v->others[n]);
		n++;
	}
}

/* As before the damage, with nothing in quarantine. */
static inline void restore(victim *v)
{
	char path[256];
	size_t i;

	b_close(&v->b);
	t_join(path, sizeof path, v->b.spool_path, "quarantine");
	t_rmtree(path);
	t_join(path, sizeof path, v->b.keys_path, "quarantine");
	t_rmtree(path);
	while (b_files(v->b.root, ".key", path) > 0 || b_files(v->b.root, ".rcoe", path) > 0)
		assert_int_equal(unlink(path), 0); /* of epochs that were begun since */
	t_write_file(v->path, v->good, v->size);
	for (i = 0; i < 3; i++)
		t_write_file(v->others_path[i], v->others[i], v->others_size[i]);
	v->b.log_size = 0;
	v->b.log[0] = '\0';
}

static inline void let_go(victim *v)
{
	free(v->good);
	free(v->others[0]);
	free(v->others[1]);
	free(v->others[2]);
	b_destroy(&v->b);
}

static inline void flip(const victim *v, size_t at, uint8_t bit)
{
	uint8_t *bad = malloc(v->size);

	assert_non_null(bad);
	memcpy(bad, v->good, v->size);
	bad[at] ^= bit;
	t_write_file(v->path, bad, v->size);
	free(bad);
}

/* What is readable of both calls now; b_readable() checks that no byte is wrong. */
static inline void readable(victim *v, uint64_t got[2])
{
	int rc;

	got[0] = b_readable(&v->b, 1, 0, &rc);
	got[1] = b_readable(&v->b, 2, 1, &rc);
}

/* New calls work whatever there was, and a second opening finds the same, with nothing more to set aside. */
static inline void go_on(victim *v, uint64_t before[2], int quarantine_settles)
{
	uint64_t after[2];

	b_begin(&v->b, 50);
	b_noise(&v->b, 50, 0, 0, 500);
	b_reopen(&v->b);
	readable(v, after);
	assert_int_equal(after[0], before[0]);
	assert_int_equal(after[1], before[1]);
	b_holds(&v->b, 50, 0, 500);
	if (quarantine_settles)
		assert_int_equal(rco__spool_quarantined(v->b.spool), 0);
	b_erase(&v->b, 50);
}

#endif
