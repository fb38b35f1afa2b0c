/* SPDX-License-Identifier: MIT */
/*
 * The spool and its key provider: an epoch is destroyed when no recording needs it, never sooner; a provider that
 * fails costs no recording.
 */
#include "../support_spool.h"

static size_t epoch_files(const bench *b)
{
	return b_files(b->keys_path, ".key", NULL);
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
	t_clock_advance(&b.clock, 61000);
	b_begin(&b, 3);
	b_noise(&b, 3, 0, 0, 100);
	assert_int_equal(epoch_files(&b), 2);
	b_erase(&b, 1);
	assert_int_equal(epoch_files(&b), 2); /* call 2 needs it */
	b_holds(&b, 2, 0, 100);
	b_erase(&b, 2);
	assert_int_equal(epoch_files(&b), 1);
	b_erase(&b, 3); /* the newest stays, though no recording needs it now */
	assert_int_equal(epoch_files(&b), 1);
	b_reopen(&b);
	t_clock_advance(&b.clock, 61000);
	b_begin(&b, 4);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	assert_int_equal(epoch_files(&b),
	                 1); /* and goes when it is not the newest any more, for which no slot stands */
	b_noise(&b, 4, 0, 0, 100);
	b_reopen(&b);
	b_holds(&b, 4, 0, 100);
	b_destroy(&b);
}

/* ---- a provider of the test ---- */

/* A key provider whose epochs can be watched, and which is slow on demand. */
struct provider {
	uint64_t epoch, destroyed[16];
	size_t n_destroyed;
	int wrap_rc, unwrap_rc, destroy_rc;
	int lies; /* of the size of a wrapped key */
	size_t size;
	_Atomic int inside, hold;
};

static int p_wrap(const uint8_t key[32], const uint8_t recording_id[16], uint8_t *wrapped, size_t *wrapped_bytes,
                  uint64_t *epoch, void *user_data)
{
	struct provider *p = user_data;

	if (p->wrap_rc != RCO_OK)
		return p->wrap_rc;
	*epoch = p->epoch;
	atomic_store(&p->inside, 1);
	while (recording_id[0] == 2 && atomic_load(&p->hold))
		;
	memcpy(wrapped, key, 32);
	memcpy(wrapped + 32, recording_id, 16);
	*wrapped_bytes = p->lies ? p->size : 48;
	return RCO_OK;
}

static int p_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, const uint8_t recording_id[16],
                    uint8_t key[32], void *user_data)
{
	struct provider *p = user_data;

	(void)epoch;
	if (p->unwrap_rc != RCO_OK)
		return p->unwrap_rc;
	assert_int_equal(wrapped_bytes, 48);
	assert_memory_equal(wrapped + 32, recording_id, 16);
	memcpy(key, wrapped, 32);
	return RCO_OK;
}

static int p_destroy(uint64_t epoch, void *user_data)
{
	struct provider *p = user_data;

	if (p->destroy_rc != RCO_OK)
		return p->destroy_rc;
	assert_true(p->n_destroyed < 16);
	p->destroyed[p->n_destroyed++] = epoch;
	return RCO_OK;
}

static const rco_key_ops p_ops = {
	.struct_size = sizeof p_ops, .wrap = p_wrap, .unwrap = p_unwrap, .destroy = p_destroy};

struct slow {
	bench *b;
	int rc;
};

static void *begin_it(void *arg)
{
	struct slow *s = arg;

	s->rc = b_try_begin(s->b, 2, "meta");
	return NULL;
}

/* An epoch that a key was just wrapped under, though its recording does not count yet, is not destroyed. */
static void test_epoch_of_a_slow_wrap(void **state)
{
	struct provider p = {.epoch = 5};
	struct slow slow = {.rc = 1};
	pthread_t thread;
	bench b;

	(void)state;
	b_init(&b);
	b.key_ops = &p_ops;
	b.key_ud = &p;
	b_open(&b);
	b_begin(&b, 1);
	atomic_store(&p.inside, 0);
	atomic_store(&p.hold, 1);
	slow.b = &b;
	t_thread(&thread, begin_it, &slow);
	while (!atomic_load(&p.inside))
		;
	p.epoch = 6;
	b_begin(&b, 3);
	/* The thread is inside wrap with epoch 5 in its hand. Call 1 goes: no slot names 5, and 6 is in use. */
	b_erase(&b, 1);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	assert_int_equal(p.n_destroyed, 0);
	atomic_store(&p.hold, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(slow.rc, RCO_OK);
	assert_int_equal(rco_spool_maintain(b.spool), RCO_OK);
	assert_int_equal(p.n_destroyed, 0);
	b_erase(&b, 2);
	assert_int_equal(p.n_destroyed, 1);
	assert_int_equal(p.destroyed[0], 5);
	b_destroy(&b);
}

/* A provider that fails: a call is not opened; a key that is refused or cannot be had now is no lost recording. */
static void test_failing_provider(void **state)
{
	struct provider p = {.epoch = 1, .wrap_rc = RCO_E_IO};
	bench b, crashed;
	b_found f;
	int rc;

	(void)state;
	b_init(&b);
	b.key_ops = &p_ops;
	b.key_ud = &p;
	b_open(&b);
	assert_int_equal(b_try_begin(&b, 1, "one"), RCO_E_IO);
	assert_int_equal(b_try_noise(&b, 1, 0, 0, 100), RCO_E_NOT_FOUND);
	p.wrap_rc = RCO_OK;
	assert_int_equal(b_try_begin(&b, 1, "one"), RCO_OK);
	b_noise(&b, 1, 0, 0, 1000);
	b_crash(&b, &crashed);
	p.unwrap_rc = RCO_E_KEY; /* its key is lost: told, and not forgotten */
	b_open(&crashed);
	b_scan(&crashed, &f);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.at[0].meta, "one");
	assert_int_equal(f.at[0].bytes[0], 0);
	assert_int_equal(f.at[0].damaged, 1000);
	assert_non_null(strstr(crashed.log, "cannot be unwrapped"));
	assert_int_equal(b_readable(&crashed, 1, 0, &rc), 0);
	assert_int_equal(rc, RCO_E_KEY);
	p.unwrap_rc = RCO_E_IO; /* the service does not answer: the audio is there, and read when it does */
	b_scan(&crashed, &f);
	assert_int_equal(f.at[0].bytes[0], 1000);
	assert_int_equal(b_readable(&crashed, 1, 0, &rc), 0);
	assert_int_equal(rc, RCO_E_IO);
	p.unwrap_rc = RCO_OK;
	b_holds(&crashed, 1, 0, 1000);
	p.epoch = 2;
	p.destroy_rc = RCO_E_IO; /* tried again, but not for ever each second */
	b_begin(&crashed, 2);
	b_erase(&crashed, 1);
	assert_int_equal(p.n_destroyed, 0);
	assert_non_null(strstr(crashed.log, "cannot be destroyed"));
	p.destroy_rc = RCO_OK;
	assert_int_equal(rco_spool_maintain(crashed.spool), RCO_OK);
	assert_int_equal(p.n_destroyed, 0);
	t_clock_advance(&crashed.clock, 61000);
	assert_int_equal(rco_spool_maintain(crashed.spool), RCO_OK);
	assert_int_equal(p.n_destroyed, 1);
	b_destroy(&crashed);
	b_destroy(&b);
}

/* An answer that is no error of ours and no success is one of the provider's; the recording is not begun, and is
 * not there after a restart. */
static void a_provider_that_answers_nonsense(void **state)
{
	static const struct {
		int rc;
		size_t size;
	} cases[] = {
		{1, 32}, {RCO_PENDING, 32}, {RCO_OK, 0}, {RCO_OK, RCO_WRAPPED_KEY_MAX + 1}, {RCO_OK, SIZE_MAX}};
	struct provider p = {.epoch = 1, .lies = 1};
	uint8_t data[8];
	b_found found;
	size_t i, got;
	bench b;

	(void)state;
	b_init(&b);
	b.key_ops = &p_ops;
	b.key_ud = &p;
	b_open(&b);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		p.wrap_rc = cases[i].rc;
		p.size = cases[i].size;
		assert_int_equal(b_try_begin(&b, 1, "m"), RCO_E_KEY);
		assert_int_equal(b_try_noise(&b, 1, 0, 0, 100), RCO_E_NOT_FOUND);
	}
	b_scan(&b, &found);
	assert_int_equal(found.n, 0);
	p = (struct provider){.epoch = 1};
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	b_reopen(&b);
	p.unwrap_rc = 1;
	assert_int_equal(b_try_read(&b, 1, 0, 0, data, sizeof data, &got), RCO_E_KEY);
	p.unwrap_rc = RCO_E_NOT_FOUND; /* which would say of the recording that it is not there */
	assert_int_equal(b_try_read(&b, 1, 0, 0, data, sizeof data, &got), RCO_E_KEY);
	p.unwrap_rc = RCO_OK;
	b_holds(&b, 1, 0, 100);
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epochs_are_destroyed),
		cmocka_unit_test(test_epoch_of_a_slow_wrap),
		cmocka_unit_test(test_failing_provider),
		cmocka_unit_test(a_provider_that_answers_nonsense),
	};

	return cmocka_run_group_tests_name("spool epochs", tests, NULL, NULL);
}
