/* SPDX-License-Identifier: MIT */
/* A ring that no call has any more holds nothing of the one it was of, however that one ended. */
#include "../support.h"

#include "../../lib/session/state.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { FRAMES = 20 };

static void done_with(rco__pool *pool)
{
	rco__pool_close(pool);
	rco__pool_free(pool);
}

static uint64_t seed; /* each call's noise is its own */

static int rings_hold(const t_world *w)
{
	uint8_t first[64], last[64];
	const uint8_t *audio = w->engine->map.audio;
	size_t size = (size_t)rco__pool_bytes(w->engine->pool);

	t_noise(seed, 0, first, sizeof first);
	t_noise(seed, FRAMES * T_FRAME - sizeof last, last, sizeof last);
	return memmem(audio, size, first, sizeof first) != NULL || memmem(audio, size, last, sizeof last) != NULL;
}

static rco_session *begin(t_world *w, const char *id, uint8_t held)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .legal_hold = held};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, ++seed, 0, FRAMES);
	assert_true(rings_hold(w)); /* or what follows would say nothing */
	return s;
}

static void test_a_kept_call(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = begin(&w, "kept", 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	assert_false(rings_hold(&w));
	t_world_destroy(&w);
}

/* The key goes before the request returns, the plaintext with the tombstone: neither waits for the backends to
 * have erased their part. */
static void test_an_opted_out_call(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	t_fault_set(&w.fault, T_APPEND, T_HOLD, 0, 0);
	s = begin(&w, "opted-out", 0);
	t_settle(&w);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_fault_calls(&w.fault, T_REVOKE), 1);
	t_advance(&w, 1000000);
	assert_false(rings_hold(&w));
	rco_session_free(s);
	t_fault_quiet(&w.fault);
	t_world_destroy(&w);
}

/* Durable or not: the ledger's disk is broken. */
static void test_before_it_is_durable(void **state)
{
	rco_session *s;
	t_world w;
	t_fs fs;

	(void)state;
	t_fs_init(&fs, "/ledger/");
	t_world_init(&w, 0);
	w.fs = &fs;
	t_world_open(&w);
	s = begin(&w, "not-durable", 0);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
	t_settle(&w);
	assert_false(rings_hold(&w));
	assert_int_equal(t_status(&w, "not-durable"), RCO_STATUS_STOPPED);
	assert_int_equal(t_fault_calls(&w.fault, T_REVOKE), 0);
	atomic_store(&fs.fail, 0);
	t_await(&w, "not-durable", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_a_held_call(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = begin(&w, "held", 1);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	assert_false(rings_hold(&w));
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- a ring that was damaged between two processes ---- */

static void record_and_die(void *arg)
{
	t_world *w = arg;

	t_world_open(w);
	t_push(t_call(w, "killed"), 0, seed, 0, FRAMES);
	(void)raise(SIGKILL);
}

static void damage_the_owner(const char *path, void *user_data)
{
	size_t size = 0;
	uint8_t *bytes = t_read_file(path, &size), *label = memmem(bytes, size, "caller", 6);

	if (label != NULL) {
		label[0] ^= 1;
		t_write_file(path, bytes, size);
		++*(int *)user_data;
	}
	free(bytes);
}

/* Nobody can say whose it is, so it goes. */
static void test_a_damaged_ring(void **state)
{
	uint8_t marker[64];
	int damaged = 0;
	t_world w;

	(void)state;
	t_world_init(&w, T_SHARED);
	t_noise(++seed, 0, marker, sizeof marker);
	assert_int_equal(t_reap(t_spawn(record_and_die, &w)), -SIGKILL);
	assert_int_equal(t_tree_holds(w.rings, marker, sizeof marker), 1);
	t_tree_each(w.rings, damage_the_owner, &damaged);
	assert_int_equal(damaged, 1);
	t_world_open(&w);
	assert_int_equal(t_tree_holds(w.rings, marker, sizeof marker), 0);
	t_world_destroy(&w);
}

/* A file of rings that is damaged as a whole cannot be wiped either: it is created again all the same. */
static void start_on_a_disk_of_no_use(void *arg)
{
	struct rlimit before, none;
	uint64_t damaged = 0;
	rco__pool *pool = NULL;
	rco__env env;

	assert_int_equal(rco__env_init(&env, NULL, NULL, NULL, NULL), RCO_OK);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	(void)rco__pool_open(&env, arg, "damaged.rings", 1 << 20, &damaged, &pool);
	if (pool != NULL)
		done_with(pool);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void test_a_file_that_cannot_be_wiped(void **state)
{
	uint8_t *noise = malloc(1 << 20);
	uint64_t damaged = 0;
	char dir[128], path[256];
	rco__pool *pool = NULL;
	rco__env env;

	(void)state;
	assert_non_null(noise);
	t_tempdir(t_shm(), dir, sizeof dir);
	t_join(path, sizeof path, dir, "damaged.rings");
	t_noise(++seed, 0, noise, 1 << 20);
	t_write_file(path, noise, 1 << 20);
	assert_int_equal(t_reap(t_spawn(start_on_a_disk_of_no_use, dir)), 0);
	t_write_file(path, noise, 1 << 20);
	assert_int_equal(rco__env_init(&env, NULL, NULL, NULL, NULL), RCO_OK);
	assert_int_equal(rco__pool_open(&env, dir, "damaged.rings", 1 << 20, &damaged, &pool), RCO_OK);
	assert_int_equal(damaged, 1);
	assert_int_equal(t_tree_holds(dir, noise, 64), 0);
	done_with(pool);
	free(noise);
	t_rmtree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_kept_call),          cmocka_unit_test(test_an_opted_out_call),
		cmocka_unit_test(test_before_it_is_durable), cmocka_unit_test(test_a_held_call),
		cmocka_unit_test(test_a_damaged_ring),       cmocka_unit_test(test_a_file_that_cannot_be_wiped),
	};

	return cmocka_run_group_tests_name("memory of the rings", tests, NULL, NULL);
}
