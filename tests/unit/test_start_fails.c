/* SPDX-License-Identifier: MIT */
/*
 * A start for which memory or the disk does not suffice: whichever allocation or change to a file fails, it is
 * said, nothing is lost by it, and the next start takes up all that a killed process had left.
 */
#include "../support.h"

#if !T_SANITIZED
#include "../fault/calls.h"
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static t_fs fs; /* large, so not on the stack */

/* ---- system calls ---- */

#if T_SANITIZED /* which have wrappers of their own */
static void arm(uint64_t nth)
{
	(void)nth;
}

static uint64_t system_calls(void)
{
	return 0;
}
#else
static void arm(uint64_t nth)
{
	n_system_calls.arm(0, nth);
}

static uint64_t system_calls(void)
{
	return n_system_calls.count();
}
#endif

/* ---- what is left behind ---- */

static void world_on_disk(t_world *w)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o};

	t_world_init(w, T_SPOOL | T_DISK | T_SHARED);
	w->cfg.upload = NULL;
	w->cfg.deletion = NULL;
	w->cfg.output_dir = o.path = w->out;
	w->cfg.allocator = &t_allocator;
	t_memory.fail_at = 0;
	t_fs_init(&fs, "");
	w->fs = &fs;
	assert_int_equal(rco_directory_create(&o, &w->directory), RCO_OK); /* not the start that is looked at */
}

static rco_session *talking(t_world *w, const char *call_id, uint64_t seed, int hold)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = call_id, .legal_hold = (uint32_t)hold};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, seed, 0, 50);
	t_push(s, 1, seed + 1, 0, 50);
	t_advance(w, 300);         /* these are in the spool, */
	t_push(s, 0, seed, 50, 5); /* these in the ring */
	t_push(s, 1, seed + 1, 50, 5);
	return s;
}

static void with_copy(t_world *w, rco_session *s, const char *name)
{
	char path[256];

	t_join(path, sizeof path, w->artifacts, name);
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, "v1"), RCO_OK);
}

static void live_and_die(void *arg)
{
	t_world *w = arg;
	rco_session *s;

	t_world_open(w);
	s = talking(w, "stored", 10, 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(w, "stored", RCO_EVENT_STORED, 1);
	s = talking(w, "on-its-way", 20, 0);
	with_copy(w, s, "on-its-way.wav");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(w, 1000); /* uploaded, not committed: the window is open */
	s = talking(w, "held", 30, 1);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_engine_opt_out(w->engine, "unborn", NULL, NULL), RCO_OK);
	(void)talking(w, "open", 40, 0);
	s = talking(w, "gone", 50, 0);
	with_copy(w, s, "gone.wav");
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	s = talking(w, "stopped", 60, 0);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
	T_LAST_WORDS();
	(void)kill(getpid(), SIGKILL);
}

/* ---- a start that may fail ---- */

enum what {
	ALLOCATION,
	DISK,  /* a change to a file, and all after it */
	SYSTEM /* a system call beside those */
};

struct attempt {
	t_world *world;
	uint64_t fail_at;
	enum what what;
	int report;
};

/* What the parent learns of it. */
struct outcome {
	int rc;
	uint64_t reached; /* so many of these there were */
};

static void start(void *arg)
{
	struct attempt *a = arg;
	struct outcome o;

	atomic_store(&t_memory.count, 0);
	t_memory.fail_at = a->what == ALLOCATION ? a->fail_at : 0;
	atomic_store(&fs.changes, 0);
	if (a->what == DISK) {
		atomic_store(&fs.fail_after, (uint32_t)a->fail_at - 1);
		atomic_store(&fs.fail, RCO_E_IO);
	}
	arm(a->what == SYSTEM ? a->fail_at : 0);
	o.rc = t_world_try_open(a->world);
	o.reached = a->what == DISK     ? atomic_load(&fs.changes) + atomic_load(&fs.failed)
	            : a->what == SYSTEM ? system_calls()
	                                : atomic_load(&t_memory.count);
	arm(0);
	if (write(a->report, &o, sizeof o) != (ssize_t)sizeof o)
		_exit(3);
	T_LAST_WORDS();
	(void)kill(getpid(), SIGKILL); /* also where it succeeded: nothing is done about any call */
}

static struct outcome try_start(t_world *w, uint64_t fail_at, enum what what)
{
	struct attempt a = {.world = w, .fail_at = fail_at, .what = what};
	struct outcome o = {.rc = 1};
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	a.report = ends[1];
	assert_int_equal(t_reap(t_spawn(start, &a)), -SIGKILL);
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &o, sizeof o), sizeof o);
	(void)close(ends[0]);
	return o;
}

/* ---- all of it is there, or gone, as it has to be ---- */

static int copy_is_there(t_world *w, const char *name)
{
	char path[256];

	t_join(path, sizeof path, w->artifacts, name);
	return t_exists(path);
}

static int is_known(t_world *w, const char *call_id)
{
	rco_receipt *r = NULL;
	int rc = rco_engine_receipt(w->engine, call_id, &r);

	rco_receipt_free(r);
	return rc == RCO_OK;
}

static void check_all(t_world *w)
{
	uint8_t marker[64];
	uint64_t seed;

	t_world_open(w);
	t_await(w, "gone", RCO_EVENT_VERIFIED, 1);
	t_await(w, "stopped", RCO_EVENT_VERIFIED, 1);
	t_await(w, "on-its-way", RCO_EVENT_STORED, 1);
	t_await(w, "open", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(w, "stored", "caller", 10, 55));
	assert_true(t_store_has_noise(w, "on-its-way", "caller", 20, 55));
	assert_true(t_store_has_noise(w, "on-its-way", "agent", 21, 55));
	assert_true(t_store_has_noise(w, "open", "caller", 40, 55));
	assert_true(t_store_has_noise(w, "open", "agent", 41, 55));
	assert_true(copy_is_there(w, "on-its-way.wav"));
	assert_false(copy_is_there(w, "gone.wav"));
	assert_int_equal(t_status(w, "held"), RCO_STATUS_HELD);
	assert_true(is_known(w, "unborn"));
	for (seed = 50; seed <= 61; seed++) {
		t_noise(seed, 0, marker, sizeof marker);
		assert_int_equal(t_tree_holds(w->root, marker, sizeof marker), 0);
		assert_int_equal(t_tree_holds(w->rings, marker, sizeof marker), 0);
	}
	t_world_close(w);
}

static void each_fails(enum what what)
{
	uint64_t n, failed = 0;
	struct outcome o;
	t_world w;

	world_on_disk(&w);
	assert_int_equal(t_reap(t_spawn(live_and_die, &w)), -SIGKILL);
	for (n = 1;; n++) {
		o = try_start(&w, n, what);
		if (o.reached < n)
			break;
		if (o.rc == RCO_OK)
			continue; /* it can do without, or tries again later */
		failed++;
		if (what != SYSTEM)
			assert_int_equal(o.rc, what == DISK ? RCO_E_IO : RCO_E_NO_MEMORY);
	}
	assert_int_equal(o.rc, RCO_OK);
	assert_true(failed > 5 || (T_SANITIZED && what == SYSTEM));
	check_all(&w);
	t_world_destroy(&w);
}

static void test_each_allocation_fails(void **state)
{
	(void)state;
	each_fails(ALLOCATION);
}

static void test_the_disk_fails_from_each_change_on(void **state)
{
	(void)state;
	each_fails(DISK);
}

static void test_each_system_call_fails(void **state)
{
	(void)state;
	each_fails(SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation_fails),
		cmocka_unit_test(test_the_disk_fails_from_each_change_on),
		cmocka_unit_test(test_each_system_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
