/* SPDX-License-Identifier: MIT */
/*
 * The spool and its key provider: one that is slow, down, or answers nonsense costs no recording and delays none.
 */
#include "../support_keys.h"

#include "../../lib/storage/spool_internal.h"

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
	int rc;

	(void)state;
	p = p_init(&b);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		p->wrap_rc = cases[i].rc;
		p->lies = 1;
		p->lie_size = cases[i].size;
		assert_int_equal(b_try_spool(&b), cases[i].rc > 0 ? RCO_E_OPS : RCO_E_KEY);
		assert_non_null(strstr(rco_error_detail(), "key provider"));
	}
	p->lies = p->wrap_rc = 0;
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	b_close(&b);
	p->unwrap_rc = 1; /* which does not say that it is lost */
	b_open(&b);
	assert_int_equal(b_readable(&b, 1, 0, &rc), 0);
	assert_int_equal(rc, RCO_E_OPS);
	p->unwrap_rc = RCO_OK;
	pass(&b, 1001);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("key provider", tests, NULL, NULL);
}
