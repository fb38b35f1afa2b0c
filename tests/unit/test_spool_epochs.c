/* SPDX-License-Identifier: MIT */
/*
 * The spool and its key provider: an epoch is destroyed when no recording needs it, never sooner, and once; a
 * provider that is slow or fails costs no recording and delays none.
 */
#include "../support_spool.h"

#include "../../lib/storage/spool_internal.h"

#include <semaphore.h>

static size_t epoch_files(const bench *b)
{
	return b_files(b->spool_path, ".rcoe", NULL);
}

static size_t key_files(const bench *b)
{
	return b_files(b->keys_path, ".key", NULL);
}

static void maintain(bench *b)
{
	assert_int_equal(rco_spool_maintain(b->spool), RCO_OK);
}

/* Time passes, and maintenance has its turn. */
static void pass(bench *b, int64_t ms)
{
	t_clock_advance(&b->clock, ms);
	maintain(b);
}

/* A key epoch is destroyed when its last recording is gone and another epoch is in use, also after a restart. */
static void test_epochs_are_destroyed(void **state)
{
	bench b;

	(void)state;
	b_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	b_begin(&b, 2);
	b_noise(&b, 1, 0, 0, 100);
	b_noise(&b, 2, 0, 0, 100);
	pass(&b, 59000);
	assert_int_equal(epoch_files(&b), 1);
	pass(&b, 2000);
	b_begin(&b, 3);
	b_noise(&b, 3, 0, 0, 100);
	assert_int_equal(epoch_files(&b), 2);
	assert_int_equal(key_files(&b), 2);
	b_erase(&b, 1);
	maintain(&b);
	assert_int_equal(epoch_files(&b), 2); /* call 2 needs it */
	b_holds(&b, 2, 0, 100);
	b_erase(&b, 2);
	maintain(&b);
	assert_int_equal(epoch_files(&b), 1);
	assert_int_equal(key_files(&b), 1);
	b_erase(&b, 3); /* the current one stays, though no recording needs it now */
	maintain(&b);
	assert_int_equal(epoch_files(&b), 1);
	b_reopen(&b);
	assert_int_equal(epoch_files(&b), 1); /* and is used again */
	pass(&b, 61000);
	assert_int_equal(epoch_files(&b), 1);
	assert_int_equal(key_files(&b), 1);
	b_begin(&b, 4);
	b_noise(&b, 4, 0, 0, 100);
	b_reopen(&b);
	b_holds(&b, 4, 0, 100);
	b_destroy(&b);
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

static int p_wrap(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes, void *user_data)
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

static int p_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32], void *user_data)
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

static int p_destroy(uint64_t epoch, void *user_data)
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

static struct provider *p_init(bench *b)
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

static size_t times(const uint64_t *list, size_t n, uint64_t number)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++)
		found += list[i] == number;
	return found;
}

/* Each epoch but one was destroyed, once. */
static void all_but_one_destroyed(const struct provider *p)
{
	size_t i, left = 0;

	for (i = 0; i < p->n_wrapped; i++) {
		size_t n = times(p->destroyed, p->n_destroyed, p->wrapped[i]);

		assert_true(n <= 1);
		left += n == 0;
	}
	assert_int_equal(left, 1);
}

/* ---- slow ---- */

static void *rotate(void *arg)
{
	maintain(arg);
	return NULL;
}

/* While `wrap` is held calls begin, are recorded, read, revoked and erased, and others that maintain do not wait.
 */
static void test_nobody_waits_for_a_slow_provider(void **state)
{
	struct provider *p;
	pthread_t thread;
	uint8_t data[8];
	size_t got;
	bench b;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	p->held = 1;
	t_clock_advance(&b.clock, 61000);
	t_thread(&thread, rotate, &b);
	while (sem_wait(&p->inside) != 0)
		;
	b_begin(&b, 2);
	b_noise(&b, 2, 0, 0, 100);
	b_noise(&b, 1, 0, 100, 100);
	b_holds(&b, 1, 0, 200);
	assert_int_equal(b_try_flush(&b), RCO_OK);
	b_revoke(&b, 1);
	assert_int_equal(b_try_read(&b, 1, 0, 0, data, sizeof data, &got), RCO_E_NOT_FOUND);
	b_erase(&b, 1);
	maintain(&b);
	assert_int_equal(p->wraps, 2); /* by one at a time */
	assert_int_equal(p->n_wrapped, 1);
	(void)sem_post(&p->go);
	assert_int_equal(pthread_join(thread, NULL), 0);
	p->held = 0;
	assert_int_equal(epoch_files(&b), 2);
	b_begin(&b, 3);
	b_noise(&b, 3, 0, 0, 100);
	b_erase(&b, 2);
	maintain(&b);
	assert_int_equal(p->n_destroyed, 1);
	assert_true(p->destroyed[0] == p->wrapped[0]);
	b_reopen(&b);
	b_holds(&b, 3, 0, 100);
	b_destroy(&b);
}

/* A start asks once for each epoch, whatever it has of recordings; and nothing on the way of a call is asked. */
static void test_asked_once_for_an_epoch(void **state)
{
	struct provider *p;
	b_found f;
	bench b;
	uint8_t n;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 3600;
	b_open(&b);
	for (n = 1; n <= 10; n++) {
		b_begin(&b, n);
		b_noise(&b, n, 0, 0, 100);
		if (n == 5)
			pass(&b, 3601000);
	}
	assert_int_equal(p->wraps, 2);
	assert_int_equal(p->unwraps, 2); /* each was tried once before it was used */
	b_close(&b);
	p->unwraps = 0;
	b_open(&b);
	b_scan(&b, &f);
	assert_int_equal(f.n, 10);
	for (n = 1; n <= 10; n++) {
		b_holds(&b, n, 0, 100);
		b_noise(&b, n, 0, 100, 100);
	}
	b_begin(&b, 11);
	assert_int_equal(p->unwraps, 2);
	assert_int_equal(p->wraps, 2);
	b_destroy(&b);
}

/* ---- down ---- */

/* A new spool says at once that its provider does not work, and leaves nothing that would hide it. */
static void test_down_when_it_is_new(void **state)
{
	struct provider *p;
	bench b;
	int i;

	(void)state;
	p = p_init(&b);
	p->wrap_rc = RCO_E_TIMEOUT;
	for (i = 0; i < 3; i++) {
		assert_int_equal(b_try_spool(&b), RCO_E_TIMEOUT);
		assert_null(b.spool);
		assert_non_null(strstr(rco_error_detail(), "RCO_E_TIMEOUT to wrap"));
	}
	assert_int_equal(epoch_files(&b), 1); /* a number was planned, and is taken again */
	p->wrap_rc = RCO_OK;
	p->unwrap_rc = RCO_E_PERMISSION; /* it may encrypt, and not decrypt */
	assert_int_equal(b_try_spool(&b), RCO_E_PERMISSION);
	assert_non_null(strstr(rco_error_detail(), "RCO_E_PERMISSION to unwrap"));
	p->unwrap_rc = RCO_OK;
	p->other_key = 1;
	assert_int_equal(b_try_spool(&b), RCO_E_KEY);
	assert_non_null(strstr(rco_error_detail(), "another key"));
	p->other_key = 0;
	b_open(&b);
	assert_int_equal(epoch_files(&b), 1);
	assert_true(p->wrapped[0] == p->wrapped[p->n_wrapped - 1]);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	b_reopen(&b);
	b_holds(&b, 1, 0, 100);
	b_destroy(&b);
}

/* What an earlier process left can be erased, whatever the provider does; the rest waits for it. */
static void test_down_when_there_is_something(void **state)
{
	struct provider *p;
	uint8_t data[8];
	size_t got;
	b_found f;
	bench b;

	(void)state;
	p = p_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_begin(&b, 2);
	b_noise(&b, 1, 0, 0, 100);
	b_noise(&b, 2, 0, 0, 100);
	b_close(&b);
	p->wrap_rc = p->unwrap_rc = p->destroy_rc = RCO_E_IO;
	b_open(&b);
	b_scan(&b, &f); /* which says nothing about the audio */
	assert_int_equal(f.n, 2);
	assert_int_equal(f.at[0].bytes[0], 100);
	assert_int_equal(f.at[0].damaged, 0);
	assert_int_equal(b_try_read(&b, 1, 0, 0, data, sizeof data, &got), RCO_E_IO);
	assert_int_equal(b_try_noise(&b, 1, 0, 100, 100), RCO_E_IO);
	assert_int_equal(b_try_begin(&b, 3, "m"), RCO_E_IO);
	b_erase(&b, 1);
	assert_int_equal(b_try_read(&b, 1, 0, 0, data, sizeof data, &got), RCO_E_NOT_FOUND);
	pass(&b, 3600000);
	assert_int_equal(p->n_destroyed, 0);
	assert_int_equal(b_try_begin(&b, 3, "m"), RCO_E_IO);
	b_close(&b);
	b_open(&b); /* still */
	b_scan(&b, &f);
	assert_int_equal(f.n, 1);
	p->wrap_rc = p->unwrap_rc = p->destroy_rc = RCO_OK;
	pass(&b, 2000);
	b_holds(&b, 2, 0, 100);
	b_noise(&b, 2, 0, 100, 100);
	b_begin(&b, 3);
	b_noise(&b, 3, 0, 0, 100);
	b_reopen(&b);
	b_holds(&b, 2, 0, 200);
	b_holds(&b, 3, 0, 100);
	b_erase(&b, 2);
	b_erase(&b, 3);
	pass(&b, 86400000);
	all_but_one_destroyed(p);
	assert_int_equal(epoch_files(&b), 1);
	b_destroy(&b);
}

/* For hours: the old epoch stays in use, it is asked again less and less often, and told once. */
static void test_down_for_hours(void **state)
{
	struct provider *p;
	const char *told;
	bench b;
	int i;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	p->wrap_rc = RCO_E_IO;
	p->wraps = 0;
	pass(&b, 59000);
	for (i = 0; i < 3 * 3600; i++) {
		pass(&b, 1000);
		if (i % 600 == 0) {
			b_begin(&b, (uint8_t)(2 + i / 600));
			b_noise(&b, (uint8_t)(2 + i / 600), 0, 0, 100);
		}
	}
	assert_in_range(p->wraps, 180, 190); /* once a minute, after 1, 2, 4 ... s */
	told = strstr(b.log, "cannot be begun");
	assert_non_null(told);
	assert_null(strstr(told + 1, "cannot be begun"));
	assert_non_null(strstr(b.log, "the old one stays in use"));
	assert_int_equal(p->n_wrapped, 1);
	p->wrap_rc = RCO_OK;
	pass(&b, 60000);
	assert_int_equal(p->n_wrapped, 2);
	assert_non_null(strstr(b.log, "was begun"));
	assert_int_equal(epoch_files(&b), 2);
	for (i = 1; i <= 19; i++)
		b_erase(&b, (uint8_t)i);
	maintain(&b);
	all_but_one_destroyed(p);
	p->wrap_rc = RCO_E_IO; /* again: told again */
	pass(&b, 61000);
	told = strstr(told + 1, "cannot be begun");
	assert_non_null(told);
	b_destroy(&b);
}

/* A `destroy` that fails is tried again, and the key in memory is gone already. */
static void test_destroy_fails(void **state)
{
	struct provider *p;
	bench b;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	pass(&b, 61000);
	p->destroy_rc = RCO_E_IO;
	b_erase(&b, 1);
	assert_int_equal(p->destroys, 0); /* whoever erases does not wait for it */
	maintain(&b);
	maintain(&b);
	assert_int_equal(p->destroys, 1); /* not for ever each second */
	assert_non_null(strstr(b.log, "cannot be destroyed"));
	{
		const rco__epoch *e;

		for (e = b.spool->epochs; e != NULL; e = e->next)
			assert_int_equal(e->key != NULL, e == b.spool->epoch);
	}
	pass(&b, 1000);
	assert_int_equal(p->destroys, 2);
	pass(&b, 1000);
	assert_int_equal(p->destroys, 2);
	assert_int_equal(epoch_files(&b), 2);
	p->destroy_rc = 7; /* nonsense is no success */
	pass(&b, 1000);
	assert_int_equal(p->destroys, 3);
	assert_int_equal(epoch_files(&b), 2);
	b_close(&b);
	p->destroy_rc = RCO_OK;
	b_open(&b); /* known after a restart */
	assert_int_equal(p->n_destroyed, 1);
	all_but_one_destroyed(p);
	assert_int_equal(epoch_files(&b), 1);
	pass(&b, 1000);
	assert_int_equal(p->destroys, 4);
	b_destroy(&b);
}

/* Of several one is tried in a round: each may be a time-out. */
static void test_many_that_cannot_be_destroyed(void **state)
{
	struct provider *p;
	bench b;
	int i;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	p->destroy_rc = RCO_E_IO;
	for (i = 1; i <= 4; i++) {
		b_begin(&b, (uint8_t)i);
		pass(&b, 61000);
	}
	for (i = 1; i <= 4; i++)
		b_erase(&b, (uint8_t)i);
	maintain(&b);
	assert_int_equal(p->destroys, 1);
	p->destroy_rc = RCO_OK;
	pass(&b, 1000);
	assert_int_equal(p->n_destroyed, 4);
	all_but_one_destroyed(p);
	b_destroy(&b);
}

/* The provider has destroyed it, and the disk fails: only the file is tried again. */
static void test_wiping_fails(void **state)
{
	struct provider *p;
	static t_fs fs;
	bench b;

	(void)state;
	p = p_init(&b);
	t_fs_init(&fs, ".rcoe");
	b.fs = &fs.disk.table;
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	pass(&b, 61000);
	b_erase(&b, 1);
	atomic_store(&fs.fail, RCO_E_IO);
	maintain(&b);
	assert_int_equal(p->n_destroyed, 1);
	assert_int_equal(epoch_files(&b), 2);
	atomic_store(&fs.fail, 0);
	pass(&b, 1000);
	assert_int_equal(p->destroys, 1);
	assert_int_equal(epoch_files(&b), 1);
	b_destroy(&b);
}

/* A provider that has no `destroy`: the spool's own copy of the wrapped key goes. */
static void test_without_destroy(void **state)
{
	static const rco_key_ops ops = {.struct_size = sizeof ops, .wrap = p_wrap, .unwrap = p_unwrap};
	uint8_t needle[32];
	char path[256];
	uint8_t *file;
	size_t size;
	bench b;

	(void)state;
	(void)p_init(&b);
	b.key_ops = &ops;
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	assert_int_equal(b_files(b.spool_path, ".rcoe", path), 1);
	file = t_read_file(path, &size);
	assert_true(file != NULL && size == 48 + 48 + 4);
	memcpy(needle, file + 48, sizeof needle);
	free(file);
	pass(&b, 61000);
	assert_int_equal(t_tree_holds(b.root, needle, sizeof needle), 1);
	b_erase(&b, 1);
	maintain(&b);
	assert_int_equal(t_tree_holds(b.root, needle, sizeof needle), 0);
	assert_int_equal(epoch_files(&b), 1);
	b_destroy(&b);
}

/* ---- lost ---- */

/* A key that the provider says is lost costs its recordings, is told, and is asked for again at the next start. */
static void test_lost_keys(void **state)
{
	struct provider *p;
	bench b;
	b_found f;
	int rc;

	(void)state;
	p = p_init(&b);
	b_open(&b);
	assert_int_equal(b_try_begin(&b, 1, "one"), RCO_OK);
	b_noise(&b, 1, 0, 0, 1000);
	b_close(&b);
	p->unwrap_rc = RCO_E_NOT_FOUND; /* as RCO_E_KEY */
	p->wrap_rc = RCO_E_IO;
	b_open(&b);
	b_scan(&b, &f);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.at[0].meta, "one");
	assert_int_equal(f.at[0].bytes[0], 0);
	assert_int_equal(f.at[0].damaged, 1000);
	assert_non_null(strstr(b.log, "cannot be unwrapped"));
	assert_int_equal(b_readable(&b, 1, 0, &rc), 0);
	assert_int_equal(rc, RCO_E_KEY);
	p->unwraps = 0;
	p->unwrap_rc = p->wrap_rc = RCO_OK;
	pass(&b, 86400000);
	assert_int_equal(b_readable(&b, 1, 0, &rc), 0);
	assert_int_equal(rc, RCO_E_KEY);
	b_reopen(&b);
	b_holds(&b, 1, 0, 1000);
	b_erase(&b, 1);
	maintain(&b);
	assert_int_equal(p->n_destroyed, 1);
	b_destroy(&b);
}

/* While its key was waited for the file went, or was damaged. */
static void test_lost_while_waiting(void **state)
{
	struct provider *p;
	char path[256];
	bench b;
	int rc, i;

	(void)state;
	for (i = 0; i < 2; i++) {
		p = p_init(&b);
		b_open(&b);
		b_begin(&b, 1);
		b_noise(&b, 1, 0, 0, 100);
		b_close(&b);
		p->unwrap_rc = p->wrap_rc = RCO_E_IO;
		b_open(&b);
		assert_int_equal(b_readable(&b, 1, 0, &rc), 0);
		assert_int_equal(rc, RCO_E_IO);
		assert_true(b_files(b.spool_path, ".rcoe", path) > 0);
		while (b_files(b.spool_path, ".rcoe", path) > 0)
			assert_int_equal(unlink(path), 0);
		if (i == 1) {
			(void)snprintf(path, sizeof path, "%s/%016llx.rcoe", b.spool_path,
			               (unsigned long long)p->wrapped[0]);
			t_write_file(path, "damaged", 7);
		}
		p->unwrap_rc = p->wrap_rc = RCO_OK;
		pass(&b, 1001);
		assert_int_equal(b_readable(&b, 1, 0, &rc), 0);
		assert_int_equal(rc, RCO_E_KEY);
		assert_non_null(strstr(b.log, "gone or damaged"));
		b_begin(&b, 2);
		b_erase(&b, 1);
		maintain(&b);
		assert_int_equal(times(p->destroyed, p->n_destroyed, p->wrapped[0]), 1);
		b_destroy(&b);
	}
}

/* One of several fails, and is no obstacle to the others. */
static void test_one_that_fails(void **state)
{
	struct provider *p;
	uint8_t data[8];
	size_t got;
	bench b;
	int i;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	for (i = 1; i <= 4; i++) {
		b_begin(&b, (uint8_t)i);
		b_noise(&b, (uint8_t)i, 0, 0, 100);
		pass(&b, 61000);
	}
	b_close(&b);
	p->unwrap_rc = RCO_E_IO;
	b_open(&b); /* each fails once, then all are there */
	p->unwraps = 0;
	for (i = 1; i <= 4; i++)
		assert_int_equal(b_try_read(&b, (uint8_t)i, 0, 0, data, sizeof data, &got), RCO_E_IO);
	pass(&b, 1001);
	assert_int_equal(p->unwraps, 2); /* one for those that wait, and one of a new epoch */
	p->unwrap_rc = RCO_OK;
	for (i = 0; i < 10; i++)
		pass(&b, 1001);
	for (i = 1; i <= 4; i++)
		b_holds(&b, (uint8_t)i, 0, 100);
	b_destroy(&b);
}

/* ---- nonsense ---- */

/* An answer that is no error of ours and no success is one of the provider's: no epoch begins with it. */
static void a_provider_that_answers_nonsense(void **state)
{
	static const struct {
		int rc;
		size_t size;
	} cases[] = {
		{1, 48}, {RCO_PENDING, 48}, {RCO_OK, 0}, {RCO_OK, RCO_WRAPPED_KEY_MAX + 1}, {RCO_OK, SIZE_MAX}};
	struct provider *p;
	size_t i;
	bench b;

	(void)state;
	p = p_init(&b);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		p->wrap_rc = cases[i].rc;
		p->lies = 1;
		p->lie_size = cases[i].size;
		assert_int_equal(b_try_spool(&b), RCO_E_KEY);
		assert_non_null(strstr(rco_error_detail(), "key provider"));
	}
	p->lies = p->wrap_rc = 0;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	b_close(&b);
	p->unwrap_rc = 1;
	b_open(&b);
	{
		int rc;

		assert_int_equal(b_readable(&b, 1, 0, &rc), 0);
		assert_int_equal(rc, RCO_E_KEY);
	}
	b_close(&b);
	p->unwrap_rc = RCO_OK;
	b_open(&b);
	b_holds(&b, 1, 0, 100);
	b_destroy(&b);
}

/* The smallest wrapped key, which says nothing of the key: a handle to what the service keeps. */
static uint8_t kept_key[32];

static int handle_wrap(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes,
                       void *user_data)
{
	(void)epoch, (void)user_data;
	memcpy(kept_key, key, 32);
	wrapped[0] = 9;
	*wrapped_bytes = 1;
	return RCO_OK;
}

static int handle_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32],
                         void *user_data)
{
	(void)epoch, (void)user_data;
	if (wrapped_bytes != 1 || wrapped[0] != 9)
		return RCO_E_KEY;
	memcpy(key, kept_key, 32);
	return RCO_OK;
}

static void wrapped_keys_of_any_size(void **state)
{
	static const rco_key_ops handles = {
		.struct_size = sizeof handles, .wrap = handle_wrap, .unwrap = handle_unwrap};
	static const size_t sizes[] = {1, 40, 512, RCO_WRAPPED_KEY_MAX};
	struct provider *p;
	size_t i;
	bench b;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		p = p_init(&b);
		p->size = sizes[i];
		if (sizes[i] == 1)
			b.key_ops = &handles;
		b_open(&b);
		b_begin(&b, 1);
		b_noise(&b, 1, 0, 0, 100);
		b_reopen(&b);
		b_holds(&b, 1, 0, 100);
		b_destroy(&b);
	}
}

/* ---- crashes ---- */

static void crash_in_wrap(struct provider *p)
{
	if (p->crashed->root[0] == '\0')
		b_crash(p->b, p->crashed);
}

/* Between the provider's answer and the first use of it: the number is known to the next process and used by it.
 */
static void test_crash_in_a_rotation(void **state)
{
	struct provider *p;
	static bench crashed;
	bench b;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	memset(&crashed, 0, sizeof crashed);
	p->crashed = &crashed;
	p->in_wrap = crash_in_wrap;
	pass(&b, 61000);
	assert_int_equal(p->n_wrapped, 2);
	p->in_wrap = NULL;
	p->n_wrapped = 0; /* of the first process, which did not see it */
	p->wrapped[p->n_wrapped++] = p->wrapped[0];
	b_open(&crashed);
	assert_int_equal(p->n_wrapped, 2);
	assert_true(p->wrapped[1] != p->wrapped[0]);
	assert_int_equal(epoch_files(&crashed), 2);
	b_holds(&crashed, 1, 0, 100);
	b_erase(&crashed, 1);
	maintain(&crashed);
	all_but_one_destroyed(p);
	b_destroy(&crashed);
	b_destroy(&b);
}

/* Between a rotation and the destruction of the old epoch: it is destroyed at the next start. */
static void test_crash_before_a_destruction(void **state)
{
	static bench crashed;
	struct provider *p;
	bench b;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 60;
	b_open(&b);
	b_begin(&b, 1);
	pass(&b, 61000);
	b_erase(&b, 1);
	b_crash(&b, &crashed);
	assert_int_equal(p->n_destroyed, 0);
	b_open(&crashed);
	assert_int_equal(p->n_destroyed, 1);
	assert_true(p->destroyed[0] == p->wrapped[0]);
	assert_int_equal(epoch_files(&crashed), 1);
	b_destroy(&crashed);
	b_destroy(&b);
}

/* What is half written is overwritten at the next start. */
static void test_unfinished_file(void **state)
{
	static const char secret[] = "half of a wrapped key";
	char path[256];
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_close(&b);
	t_join(path, sizeof path, b.spool_path, "00000000000000aa.rcoe.tmp");
	t_write_file(path, secret, sizeof secret);
	b_open(&b);
	assert_false(t_exists(path));
	b_destroy(&b);
}

/* ---- files that are not what they should be ---- */

/* Gone: its recordings are lost and told; it is destroyed all the same when they are gone. */
static void test_missing_file(void **state)
{
	struct provider *p;
	char path[256];
	b_found f;
	bench b;

	(void)state;
	p = p_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	b_close(&b);
	assert_int_equal(b_files(b.spool_path, ".rcoe", path), 1);
	assert_int_equal(unlink(path), 0);
	b_open(&b);
	b_scan(&b, &f);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.at[0].damaged, 100);
	assert_non_null(strstr(b.log, "lost"));
	b_begin(&b, 2);
	b_noise(&b, 2, 0, 0, 100);
	b_erase(&b, 1);
	maintain(&b);
	assert_int_equal(p->n_destroyed, 1);
	all_but_one_destroyed(p);
	b_holds(&b, 2, 0, 100);
	b_destroy(&b);
}

/* A link in its place is not followed, and said; a folder with such a name is left alone. */
static void test_link_mode_and_folder(void **state)
{
	char path[256], aside[256];
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	b_close(&b);
	assert_int_equal(b_files(b.spool_path, ".rcoe", path), 1);
	t_join(aside, sizeof aside, b.root, "aside");
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(symlink(aside, path), 0);
	assert_int_equal(b_try_keys(&b), RCO_OK);
	assert_int_equal(b_try_spool(&b), RCO_E_PERMISSION);
	assert_non_null(strstr(rco_error_detail(), ".rcoe"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(chmod(path, 0660), 0); /* others could have written to it */
	assert_int_equal(b_try_spool(&b), RCO_E_PERMISSION);
	assert_int_equal(chmod(path, 0600), 0);
	b_close(&b);
	t_join(aside, sizeof aside, b.spool_path, "00000000000000aa.rcoe");
	assert_int_equal(mkdir(aside, 0700), 0);
	t_join(aside, sizeof aside, b.spool_path, "00000000000000ab.rcoe");
	assert_int_equal(mkfifo(aside, 0600), 0);
	b_open(&b);
	assert_non_null(strstr(b.log, "is left alone"));
	b_holds(&b, 1, 0, 100);
	b_destroy(&b);
}

/* ---- two spools ---- */

/* One provider for two: neither touches what is the other's, even where its file was put into the folder. */
static void two_spools(bench *a, bench *b)
{
	char from[256], to[256];
	uint8_t *file;
	size_t size;

	a->epoch_s = b->epoch_s = 60;
	assert_int_equal(b_try_spool(a), RCO_OK);
	assert_int_equal(b_try_spool(b), RCO_OK);
	b_begin(a, 1);
	b_noise(a, 1, 0, 0, 100);
	b_begin(b, 1);
	b_noise(b, 1, 0, 0, 100);
	pass(a, 61000);
	b_erase(a, 1);
	maintain(a);
	b_holds(b, 1, 0, 100);
	rco_spool_free(b->spool);
	rco_spool_free(a->spool);
	assert_int_equal(b_files(b->spool_path, ".rcoe", from), 1);
	t_join(to, sizeof to, a->spool_path, strrchr(from, '/') + 1);
	file = t_read_file(from, &size);
	assert_non_null(file);
	t_write_file(to, file, size);
	free(file);
	assert_int_equal(b_try_spool(a), RCO_OK);
	assert_int_equal(rco__spool_quarantined(a->spool), 1);
	assert_non_null(strstr(a->log, "of another spool"));
	assert_false(t_exists(to));
	b_begin(a, 2);
	pass(a, 61000);
	b_erase(a, 2);
	pass(a, 61000);
	assert_int_equal(b_try_spool(b), RCO_OK);
	b_holds(b, 1, 0, 100);
}

static void test_two_spools_of_one_provider(void **state)
{
	bench a, b;

	(void)state;
	(void)p_init(&a);
	b_init(&b);
	b.key_ops = a.key_ops;
	b.key_ud = a.key_ud;
	two_spools(&a, &b);
	b_destroy(&b);
	b_destroy(&a);
	b_init(&a);
	b_init(&b);
	assert_int_equal(b_try_keys(&a), RCO_OK);
	b.keys = a.keys;
	two_spools(&a, &b);
	b.keys = NULL;
	b_destroy(&b);
	b_destroy(&a);
}

/* ---- time ---- */

/* A new epoch for each call, and for calls that last. */
static void test_rotation_at_every_call(void **state)
{
	struct provider *p;
	bench b;
	int i;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 1;
	b_open(&b);
	for (i = 1; i <= 200; i++) {
		b_begin(&b, (uint8_t)i);
		b_noise(&b, (uint8_t)i, 0, 0, 100);
		pass(&b, 1000);
		if (i > 10) {
			b_holds(&b, (uint8_t)(i - 10), 0, 100);
			b_erase(&b, (uint8_t)(i - 10));
		}
		if (i % 50 == 0)
			b_reopen(&b);
	}
	assert_in_range(p->n_wrapped, 200, 202);
	maintain(&b);
	assert_int_equal(epoch_files(&b), 11);
	for (i = 191; i <= 200; i++) {
		b_holds(&b, (uint8_t)i, 0, 100);
		b_erase(&b, (uint8_t)i);
	}
	maintain(&b);
	all_but_one_destroyed(p);
	b_destroy(&b);
}

/* The age of an epoch goes on over restarts; a wall clock that jumps makes it at most one epoch too long. */
static void test_clock_that_jumps(void **state)
{
	struct provider *p;
	bench b;

	(void)state;
	p = p_init(&b);
	b.epoch_s = 100;
	b_open(&b);
	pass(&b, 60000);
	b_reopen(&b);
	assert_int_equal(p->n_wrapped, 1);
	pass(&b, 41000); /* 101 s since it was made, though only 41 s since the restart */
	assert_int_equal(p->n_wrapped, 2);
	/* while it runs the wall clock is not asked */
	atomic_fetch_add(&b.clock.wall_us, INT64_C(1000000000000));
	maintain(&b);
	assert_int_equal(p->n_wrapped, 2);
	b_reopen(&b); /* forward: it seems old */
	assert_int_equal(p->n_wrapped, 3);
	atomic_fetch_sub(&b.clock.wall_us, INT64_C(3000000000000));
	b_reopen(&b); /* back: it seems new */
	assert_int_equal(p->n_wrapped, 3);
	pass(&b, 99000);
	assert_int_equal(p->n_wrapped, 3);
	pass(&b, 2000);
	assert_int_equal(p->n_wrapped, 4);
	maintain(&b);
	all_but_one_destroyed(p);
	b_destroy(&b);
}

/* ---- a child ---- */

static void in_child(void *arg)
{
	assert_int_equal(rco_spool_maintain(arg), RCO_E_FORKED);
}

static void test_handles(void **state)
{
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o, .keys = &p_ops};
	rco_spool *none = NULL;
	struct provider *p;
	bench b;

	(void)state;
	p = p_init(&b);
	o.path = b.spool_path;
	o.keys_user_data = p;
	o.reserved0 = 1;
	assert_int_equal(rco_spool_create(&o, &none), RCO_E_NEWER);
	assert_null(none);
	assert_int_equal(rco_spool_maintain(NULL), RCO_E_HANDLE);
	b_open(&b);
	t_clock_advance(&b.clock, 100000000);
	assert_int_equal(t_reap(t_spawn(in_child, b.spool)), 0);
	assert_int_equal(p->wraps, 1);
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epochs_are_destroyed),
		cmocka_unit_test(test_nobody_waits_for_a_slow_provider),
		cmocka_unit_test(test_asked_once_for_an_epoch),
		cmocka_unit_test(test_down_when_it_is_new),
		cmocka_unit_test(test_down_when_there_is_something),
		cmocka_unit_test(test_down_for_hours),
		cmocka_unit_test(test_destroy_fails),
		cmocka_unit_test(test_many_that_cannot_be_destroyed),
		cmocka_unit_test(test_wiping_fails),
		cmocka_unit_test(test_without_destroy),
		cmocka_unit_test(test_lost_keys),
		cmocka_unit_test(test_lost_while_waiting),
		cmocka_unit_test(test_one_that_fails),
		cmocka_unit_test(a_provider_that_answers_nonsense),
		cmocka_unit_test(wrapped_keys_of_any_size),
		cmocka_unit_test(test_crash_in_a_rotation),
		cmocka_unit_test(test_crash_before_a_destruction),
		cmocka_unit_test(test_unfinished_file),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_link_mode_and_folder),
		cmocka_unit_test(test_two_spools_of_one_provider),
		cmocka_unit_test(test_rotation_at_every_call),
		cmocka_unit_test(test_clock_that_jumps),
		cmocka_unit_test(test_handles),
	};

	return cmocka_run_group_tests_name("spool epochs", tests, NULL, NULL);
}
