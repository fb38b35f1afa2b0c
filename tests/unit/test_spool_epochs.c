/* SPDX-License-Identifier: MIT */
/*
 * Key epochs of the spool: one is destroyed when no recording needs it, never sooner, and once, whatever crashes
 * or is damaged in between.
 */
#include "../support_keys.h"

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
