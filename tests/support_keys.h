/* SPDX-License-Identifier: MIT */
/* For the tests of key epochs: a provider that can be watched, made to fail, and held. */
#ifndef TESTS_SUPPORT_KEYS_H
#define TESTS_SUPPORT_KEYS_H

#include "support_spool.h"

#include <semaphore.h>

static inline size_t epoch_files(const bench *b)
{
	return b_files(b->spool_path, ".rcoe", NULL);
}

static inline size_t key_files(const bench *b)
{
	return b_files(b->keys_path, ".key", NULL);
}

static inline void maintain(bench *b)
{
	assert_int_equal(rco_spool_maintain(b->spool), RCO_OK);
}

/* Time passes, and maintenance has its turn. */
static inline void pass(bench *b, int64_t ms)
{
	t_clock_advance(&b->clock, ms);
	maintain(b);
}

/* ---- a provider of the test ---- */

enum { MANY = 4000 };

/* Epochs can be watched, each slot made to fail, and `wrap` held until the test lets it go. */
struct provider {
	int wrap_rc, unwrap_rc, destroy_rc;
	size_t size; /* of wrapped keys; 0: 48 */
	int lies;    /* answers with lie_size, whatever that is */
	size_t lie_size;
	int other_key; /* unwraps something else */
	size_t wraps, unwraps, destroys;
	uint64_t wrapped[MANY], destroyed[MANY]; /* those that succeeded */
	size_t n_wrapped, n_destroyed;
	void (*in_wrap)(struct provider *p); /* called inside */
	bench *b;
	bench *crashed;
	int held;
	sem_t inside, go;
};

static inline int p_wrap(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes,
                         void *user_data)
{
	struct provider *p = user_data;
	size_t size = p->size != 0 ? p->size : 48;

	p->wraps++;
	assert_int_equal(*wrapped_bytes, RCO_WRAPPED_KEY_MAX);
	if (p->held) {
		(void)sem_post(&p->inside);
		while (sem_wait(&p->go) != 0)
			;
	}
	if (p->wrap_rc != RCO_OK)
		return p->wrap_rc;
	assert_true(p->n_wrapped < MANY);
	p->wrapped[p->n_wrapped++] = epoch;
	memset(wrapped, 0x77, size);
	if (size >= 40) {
		memcpy(wrapped, key, 32);
		memcpy(wrapped + 32, &epoch, 8);
	} else {
		wrapped[0] = key[0];
	}
	*wrapped_bytes = p->lies ? p->lie_size : size;
	if (p->in_wrap != NULL)
		p->in_wrap(p);
	return RCO_OK;
}

static inline int p_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32],
                           void *user_data)
{
	struct provider *p = user_data;

	p->unwraps++;
	if (p->unwrap_rc != RCO_OK)
		return p->unwrap_rc;
	assert_int_equal(wrapped_bytes, p->size != 0 ? p->size : 48);
	assert_memory_equal(wrapped + 32, &epoch, 8);
	memcpy(key, wrapped, 32);
	key[0] ^= (uint8_t)p->other_key;
	return RCO_OK;
}

static inline int p_destroy(uint64_t epoch, void *user_data)
{
	struct provider *p = user_data;

	p->destroys++;
	if (p->destroy_rc != RCO_OK)
		return p->destroy_rc;
	assert_true(p->n_destroyed < MANY);
	p->destroyed[p->n_destroyed++] = epoch;
	return RCO_OK;
}

static const rco_key_ops p_ops = {
	.struct_size = sizeof p_ops, .wrap = p_wrap, .unwrap = p_unwrap, .destroy = p_destroy};

static struct provider provider; /* too large for a stack */
static rco__fs fast;

static inline struct provider *p_init(bench *b)
{
	struct provider *p = &provider;

	memset(p, 0, sizeof *p);
	b_init(b);
	b->fs = b_fast_fs(&fast);
	p->b = b;
	b->key_ops = &p_ops;
	b->key_ud = p;
	assert_int_equal(sem_init(&p->inside, 0, 0), 0);
	assert_int_equal(sem_init(&p->go, 0, 0), 0);
	return p;
}

static inline size_t times(const uint64_t *list, size_t n, uint64_t number)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++)
		found += list[i] == number;
	return found;
}

/* Each epoch but one was destroyed, once. */
static inline void all_but_one_destroyed(const struct provider *p)
{
	size_t i, left = 0;

	for (i = 0; i < p->n_wrapped; i++) {
		size_t n = times(p->destroyed, p->n_destroyed, p->wrapped[i]);

		assert_true(n <= 1);
		left += n == 0;
	}
	assert_int_equal(left, 1);
}

#endif
