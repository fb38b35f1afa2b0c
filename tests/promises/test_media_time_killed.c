/* SPDX-License-Identifier: MIT */
/* Media time of a process that is killed, or whose rings are damaged: what was accepted is where its position
 * says. */
#include "../support.h"
#include "../support_frames.h"

#include "../../lib/base/bytes.h"
#include "../../lib/media/pool.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a process that is killed ---- */

enum { KILLED_FRAMES = 90 };

/* Some of it is in the buffer, some in the rings, and the last thing in there is a gap and what follows. */
static void record_and_die(void *arg)
{
	t_world *w = arg;
	uint8_t frame[T_FRAME];
	rco_session *s;
	uint64_t n;

	t_world_open(w);
	s = t_call(w, "killed");
	for (n = 0; n < KILLED_FRAMES; n++) {
		t_noise(7, n * T_FRAME, frame, sizeof frame);
		assert_int_equal(
			t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame, t_frame_at(7, n) * T_FRAME),
			RCO_OK);
		if (n == KILLED_FRAMES / 3 || n == KILLED_FRAMES * 2 / 3)
			t_advance(w, 400);
	}
	(void)kill(getpid(), SIGKILL);
}

/* All that was recorded is there, in its place; frames before `lost` are silence. */
static void check_killed(t_world *w, uint64_t lost)
{
	uint8_t *file, frame[T_FRAME];
	size_t size = 0, bytes = 0, at = 0;
	char name[256], key[300];
	const uint8_t *samples;
	uint64_t n;

	t_world_open(w);
	t_await(w, "killed", RCO_EVENT_STORED, 1);
	assert_true(t_store_name(w, "killed", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.caller.wav", name);
	file = t_store_get(w, key, &size);
	samples = t_wav_samples(file, size, &bytes);
	assert_int_equal(bytes, (t_frame_at(7, KILLED_FRAMES - 1) + 1) * T_FRAME);
	for (n = 0; n < KILLED_FRAMES; n++) {
		for (; at < t_frame_at(7, n) * T_FRAME; at++)
			assert_int_equal(samples[at], 0xff);
		t_noise(7, n * T_FRAME, frame, sizeof frame);
		if (n < lost)
			memset(frame, 0xff, sizeof frame);
		assert_memory_equal(samples + at, frame, T_FRAME);
		at += T_FRAME;
	}
	free(file);
	t_world_destroy(w);
}

static void record_killed(t_world *w)
{
	t_world_init(w, T_SPOOL | T_SHARED | T_DISK);
	assert_int_equal(t_reap(t_spawn(record_and_die, w)), -SIGKILL);
}

static void test_killed(void **state)
{
	t_world w;

	(void)state;
	record_killed(&w);
	check_killed(&w, 0);
}

/* ---- what may be in the rings then ---- */

typedef void (*ring_fn)(rco__ring *ring, rco__gaps *gaps);

static void on_ring(rco__pool *pool, rco__ring *ring, void *user_data)
{
	rco__ring_owner owner;

	assert_int_equal(rco__pool_owner(pool, ring, &owner), RCO_OK);
	if (owner.leg == 0)
		(*(ring_fn *)user_data)(ring, rco__pool_gaps(pool, ring));
}

/* Change the rings that were left. */
static void change_rings(t_world *w, ring_fn change)
{
	DIR *dir = opendir(w->rings);
	uint64_t damaged = 0;
	struct dirent *e;
	rco__pool *pool;
	rco__env env;
	int files = 0;

	assert_non_null(dir);
	assert_int_equal(rco__env_init(&env, NULL, NULL, NULL, NULL), RCO_OK);
	while ((e = readdir(dir)) != NULL) {
		if (strstr(e->d_name, ".rings") == NULL)
			continue;
		assert_int_equal(rco__pool_take(&env, w->rings, e->d_name, &damaged, &pool), RCO_OK);
		assert_int_equal(damaged, 0);
		rco__pool_orphans(pool, on_ring, &change);
		rco__pool_close(pool);
		rco__pool_free(pool);
		files++;
	}
	(void)closedir(dir);
	assert_int_equal(files, 1);
}

/* The process died when the gap was there, and the frame behind it was not accepted. */
static void add_one_that_does_not_count(rco__ring *ring, rco__gaps *gaps)
{
	assert_true(rco__gaps_add(gaps, rco__gate_index(&ring->gate), atomic_load(&ring->gaps), 777));
}

static void test_killed_before_a_frame_was_accepted(void **state)
{
	t_world w;

	(void)state;
	record_killed(&w);
	change_rings(&w, add_one_that_does_not_count);
	check_killed(&w, 0);
}

/* The buffer has more than the ring was told, by two gaps and what is between them. */
static void forget_the_last(rco__ring *ring, rco__gaps *gaps)
{
	uint64_t taken = atomic_load(&gaps->taken);

	assert_true(taken > 2);
	atomic_store(&gaps->taken, taken - 2);
	atomic_store(&ring->read, atomic_load(&gaps->at[(taken - 2) % RCO__GAPS].index));
}

static void take_up_and_die(void *arg)
{
	t_world_open(arg);
	(void)kill(getpid(), SIGKILL);
}

static void test_killed_before_the_ring_was_told(void **state)
{
	int times;
	t_world w;

	(void)state;
	for (times = 0; times < 3; times++) { /* and so often before anything was done about it */
		int i;

		record_killed(&w);
		change_rings(&w, forget_the_last);
		for (i = 0; i < times; i++)
			assert_int_equal(t_reap(t_spawn(take_up_and_die, &w)), -SIGKILL);
		check_killed(&w, 0);
	}
}

/* The buffer lost what it had: that is silence, and what the rings have is in its place. */
static void remove_segment(const char *file, void *user_data)
{
	(void)user_data;
	if (strstr(file, ".rcos") != NULL)
		assert_int_equal(unlink(file), 0);
}

static void test_killed_and_the_buffer_lost(void **state)
{
	int times;
	t_world w;

	(void)state;
	for (times = 0; times < 2; times++) {
		record_killed(&w);
		t_tree_each(w.state, remove_segment, NULL);
		if (times > 0)
			assert_int_equal(t_reap(t_spawn(take_up_and_die, &w)), -SIGKILL);
		check_killed(&w, KILLED_FRAMES * 2 / 3 + 1);
	}
}

/* Gaps that cannot be cost the ring, and no more. */
static void set_back(rco__ring *ring, rco__gaps *gaps)
{
	uint64_t last = atomic_load(&gaps->put) - 1;

	(void)ring;
	atomic_store(&gaps->at[last % RCO__GAPS].sum, atomic_load(&gaps->at[(last - 1) % RCO__GAPS].sum));
}

static void out_of_order(rco__ring *ring, rco__gaps *gaps)
{
	(void)ring;
	atomic_store(&gaps->at[atomic_load(&gaps->taken) % RCO__GAPS].index, 5 * T_FRAME);
}

static void beyond(rco__ring *ring, rco__gaps *gaps)
{
	atomic_store(&gaps->at[(atomic_load(&gaps->put) - 1) % RCO__GAPS].index, rco__gate_index(&ring->gate) + 1);
}

static void too_long(rco__ring *ring, rco__gaps *gaps)
{
	(void)ring;
	atomic_fetch_add(&gaps->at[(atomic_load(&gaps->put) - 1) % RCO__GAPS].sum, UINT64_C(1) << 40);
}

static void too_many(rco__ring *ring, rco__gaps *gaps)
{
	(void)ring;
	atomic_fetch_add(&gaps->put, 40);
}

static void too_few(rco__ring *ring, rco__gaps *gaps)
{
	(void)ring;
	atomic_store(&gaps->taken, atomic_load(&gaps->put) + 1);
}

static void test_damaged_gaps(void **state)
{
	static const ring_fn ways[] = {set_back, out_of_order, beyond, too_long, too_many, too_few};
	t_event quarantined;
	size_t i;
	t_world w;

	(void)state;
	for (i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		record_killed(&w);
		change_rings(&w, ways[i]);
		t_world_open(&w);
		t_await(&w, "killed", RCO_EVENT_STORED, 1);
		assert_true(t_events_last(&w.events, NULL, RCO_EVENT_QUARANTINED, &quarantined));
		assert_int_equal(t_store_audio(&w), 1);
		t_world_destroy(&w);
	}
}

/* Rings of another version are not ours to wipe: somebody has to open them with that. */
static void test_rings_of_an_older_version(void **state)
{
	DIR *dir;
	struct dirent *e;
	char path[300];
	t_world w;

	(void)state;
	record_killed(&w);
	dir = opendir(w.rings);
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		size_t size = 0;
		uint8_t *file;
		uint32_t crc;

		if (strstr(e->d_name, ".rings") == NULL)
			continue;
		t_join(path, sizeof path, w.rings, e->d_name);
		file = t_read_file(path, &size);
		assert_non_null(file);
		file[8] = 1;
		crc = rco__crc32c(0, file, 24);
		memcpy(file + 24, &crc, sizeof crc);
		t_write_file(path, file, size);
		free(file);
	}
	(void)closedir(dir);
	assert_int_equal(t_world_try_open(&w), RCO_E_VERSION);
	assert_non_null(strstr(rco_error_detail(), "an older version"));
	assert_true(t_exists(path));
	w.cfg.ring_dir = w.root; /* so that there is something to close */
	t_world_open(&w);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_killed_before_a_frame_was_accepted),
		cmocka_unit_test(test_killed_before_the_ring_was_told),
		cmocka_unit_test(test_killed_and_the_buffer_lost),
		cmocka_unit_test(test_damaged_gaps),
		cmocka_unit_test(test_rings_of_an_older_version),
	};

	return cmocka_run_group_tests_name("media time, killed", tests, NULL, NULL);
}
