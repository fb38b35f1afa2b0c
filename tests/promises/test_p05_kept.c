/* SPDX-License-Identifier: MIT */
/*
 * P5 nothing is lost: a call that was not opted out keeps every accepted frame, bit by bit, through a crash of the
 * process at any moment, and is uploaded exactly once.
 */
#include "../support.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANDOM_KILLS = T_SANITIZED ? 6 : 25 };

static t_fs fs;

static void test_bit_exact(void **state)
{
	static const uint32_t worlds[] = {0, T_DISK, T_SPOOL | T_DISK | T_SHARED, T_SPOOL | T_DISK | T_WORKERS};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof worlds / sizeof worlds[0]; i++) {
		rco_session *s;
		t_world w;

		t_world_init(&w, worlds[i]);
		t_world_open(&w);
		s = t_call(&w, "kept");
		for (k = 0; k < 10; k++) { /* several times what the ring holds */
			t_push(s, 0, 11, k * 40, 40);
			t_push(s, 1, 12, k * 20, 20);
			if (!(worlds[i] & T_WORKERS)) {
				t_advance(&w, 400);
				continue;
			}
			t_wait_buffered(s);
		}
		assert_int_equal(rco_session_end(s), RCO_OK);
		rco_session_free(s);
		t_await(&w, "kept", RCO_EVENT_STORED, 1);
		t_await(&w, "kept", RCO_EVENT_CALL_RECORD, 1);
		assert_true(t_store_has_noise(&w, "kept", "caller", 11, 400));
		assert_true(t_store_has_noise(&w, "kept", "agent", 12, 200));
		assert_int_equal(t_store_count(&w, ".wav"), 2);
		assert_int_equal(t_store_count(&w, ".json"), 1);
		assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 2);
		t_world_destroy(&w);
	}
}

/* Backends fail in every way now and then: nothing is lost, nothing appears twice. */
static void test_failing_backends(void **state)
{
	static const int slots[] = {T_OPEN, T_APPEND, T_FLUSH, T_SEAL, T_READ, T_BEGIN, T_PUT, T_COMMIT, T_ERASE};
	static const int modes[] = {T_FAIL,      T_FAIL_DONE, T_UNCONFIRMED, T_HOLD,
	                            T_DONE_HOLD, T_THREAD,    T_TWICE,       T_INLINE};
	size_t i, m;

	(void)state;
	for (i = 0; i < sizeof slots / sizeof slots[0]; i++)
		for (m = 0; m < sizeof modes / sizeof modes[0]; m++) {
			rco_session *s;
			t_world w;

			if (slots[i] == T_APPEND && modes[m] == T_FAIL_DONE)
				continue; /* an append that fails has to leave the recording as it was */
			if (getenv("RCO_TEST_LOG") != NULL)
				print_message("    slot %d, mode %d\n", slots[i], modes[m]);
			t_world_init(&w, 0);
			t_world_open(&w);
			t_fault_set(&w.fault, slots[i], modes[m], 2, RCO_E_IO);
			s = t_call(&w, "kept");
			t_push(s, 0, 1, 0, 60);
			t_push(s, 1, 2, 0, 30);
			t_advance(&w, 300);
			t_push(s, 0, 1, 60, 20);
			assert_int_equal(rco_session_end(s), RCO_OK);
			rco_session_free(s);
			t_await(&w, "kept", RCO_EVENT_STORED, 1);
			t_await(&w, "kept", RCO_EVENT_CALL_RECORD, 1);
			assert_true(t_store_has_noise(&w, "kept", "caller", 1, 80));
			assert_true(t_store_has_noise(&w, "kept", "agent", 2, 30));
			assert_int_equal(t_store_audio(&w), 2);
			t_advance(&w, 120000);
			assert_int_equal(t_store_audio(&w), 2);
			assert_int_equal(t_events_count(&w.events, "kept", RCO_EVENT_STORED), 1);
			t_world_destroy(&w);
		}
}

/* A commit that answered too late may still take effect beside its repetition: the file is there once. */
static void test_commit_lands_late(void **state)
{
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	w.fault.only_kind = RCO_KIND_AUDIO;
	t_fault_set(&w.fault, T_COMMIT, T_HOLD, 2, 0);
	s = t_call(&w, "late");
	t_push(s, 0, 9, 0, 40);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	for (i = 0; i < 400 && t_fault_held(&w.fault, T_COMMIT) < 2; i++)
		t_advance(&w, 1000); /* the first is given up, and asked for again */
	assert_int_equal(t_fault_held(&w.fault, T_COMMIT), 2);
	assert_int_equal(t_fault_release(&w.fault, T_COMMIT), RCO_OK); /* of the second; both have landed */
	w.fault.only_kind = 0;
	t_await(&w, "late", RCO_EVENT_STORED, 1);
	t_await(&w, "late", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_fault_done(&w.fault, T_COMMIT), 3); /* the audio twice, and the call record */
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 1);
	assert_true(t_store_has_noise(&w, "late", "caller", 9, 40));
	assert_int_equal(t_store_audio(&w), 1);
	t_world_destroy(&w);
}

/* Overflow refuses frames and says so; those that were accepted are kept. */
static void test_overflow_is_told(void **state)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	uint8_t frame[T_FRAME];
	size_t accepted = 0, refused = 0;
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "full");
	for (i = 0; i < 1000; i++) {
		int rc;

		t_noise(3, accepted * T_FRAME, frame, sizeof frame);
		rc = rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
		if (rc == RCO_OK) {
			accepted++;
		} else {
			assert_int_equal(rc, RCO_E_OVERFLOW);
			refused++;
		}
	}
	assert_true(accepted >= 50 && refused > 0); /* a ring holds at least a second */
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.accepted_frames, accepted);
	assert_int_equal(st.overflowed_frames, refused);
	t_await(&w, "full", RCO_EVENT_OVERFLOW, 1);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "full", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "full", "caller", 3, accepted));
	t_world_destroy(&w);
}

/* ---- crashes ---- */

struct child {
	t_world *w;
	_Atomic uint64_t *accepted; /* shared with the parent: frames whose push had returned RCO_OK */
	uint64_t kill_at;
};

static void push_for_ever(void *arg)
{
	struct child *c = arg;
	uint8_t frame[T_FRAME];
	uint64_t n = 0;
	rco_session *s;

	t_world_open(c->w);
	s = t_call(c->w, "killed");
	for (;;) {
		t_noise(7, n * T_FRAME, frame, sizeof frame);
		if (rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame) == RCO_OK)
			atomic_store(c->accepted, ++n);
		else
			(void)sched_yield();
	}
}

static void assert_kept_after_crash(t_world *w, const char *label, uint64_t seed, uint64_t accepted)
{
	char name[256], key[300];
	const uint8_t *samples;
	size_t size = 0, n = 0;
	uint8_t *file;

	t_await(w, "killed", RCO_EVENT_CALL_RECORD, 1);
	t_await(w, "killed", RCO_EVENT_STORED, 1);
	assert_true(t_store_name(w, "killed", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.%s.wav", name, label);
	file = t_store_get(w, key, &size);
	assert_non_null(file);
	samples = t_wav_samples(file, size, &n);
	assert_non_null(samples);
	assert_true(n >= accepted * T_FRAME);
	/* the push under way when it was killed may have been accepted without the count knowing */
	assert_true(n <= (accepted + 1) * T_FRAME);
	assert_int_equal(n % T_FRAME, 0);
	assert_true(t_is_noise(seed, samples, n));
	free(file);
}

static void test_killed_while_pushing(void **state)
{
	_Atomic uint64_t *shared =
		mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t total = 0;
	int i;

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	for (i = 0; i < RANDOM_KILLS; i++) {
		uint64_t until = 1 + (uint64_t)i * (uint64_t)i * 7;
		struct child c = {.accepted = shared};
		t_world w;
		pid_t pid;

		atomic_store(shared, 0);
		t_world_init(&w, T_SPOOL | T_DISK | T_SHARED | T_WORKERS);
		w.cfg.segment_bytes = 1u << 20;
		c.w = &w;
		pid = t_spawn(push_for_ever, &c);
		while (atomic_load(shared) < until) {
			assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it could not even open the engine */
			(void)sched_yield();
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(t_reap(pid), -SIGKILL);
		total += atomic_load(shared);
		t_world_open(&w);
		assert_kept_after_crash(&w, "caller", 7, atomic_load(shared));
		assert_int_equal(t_store_count(&w, ".wav"), 1);
		assert_int_equal(t_events_count(&w.events, "killed", RCO_EVENT_STORED), 1);
		assert_true(t_events_count(&w.events, "killed", RCO_EVENT_RECOVERED) >= 1);
		/* and no other time after yet another restart */
		t_world_close(&w);
		t_world_open(&w);
		assert_int_equal(rco_engine_wait_idle(w.engine, 20000), RCO_OK);
		assert_int_equal(t_store_count(&w, ".wav"), 1);
		assert_int_equal(t_events_count(&w.events, "killed", RCO_EVENT_STORED), 1);
		t_world_destroy(&w);
	}
	print_message("    %llu frames accepted before %d kills\n", (unsigned long long)total, RANDOM_KILLS);
	(void)munmap((void *)(uintptr_t)shared, sizeof *shared);
}

/* A whole call, until it is stored; killed before the n-th change to the disk since the engine was opened. */
static void whole_call(void *arg)
{
	struct child *c = arg;
	rco_session *s;
	t_world *w = c->w;
	size_t k;

	t_world_open(w);
	atomic_store(&fs.changes, 0);
	atomic_store(&fs.kill_at, c->kill_at);
	s = t_call(w, "killed");
	for (k = 0; k < 3; k++) {
		t_push(s, 0, 7, k * 20, 20);
		atomic_store(c->accepted, (k + 1) * 20);
		t_advance(w, 300);
	}
	if (rco_session_end(s) != RCO_OK)
		_exit(2);
	rco_session_free(s);
	t_await(w, "killed", RCO_EVENT_CALL_RECORD, 1);
	t_advance(w, 1000);
	t_world_close(w);
}

static void test_killed_at_each_change(void **state)
{
	_Atomic uint64_t *shared =
		mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = -SIGKILL;
	uint64_t n;

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	for (n = 1; rc == -SIGKILL; n++) {
		struct child c = {.accepted = shared, .kill_at = n};
		t_world w;

		atomic_store(shared, 0);
		t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
		w.cfg.upload = NULL;
		w.cfg.deletion = NULL;
		w.cfg.output_dir = w.out;
		t_fs_init(&fs, "");
		w.fs = &fs;
		c.w = &w;
		rc = t_reap(t_spawn(whole_call, &c));
		atomic_store(&fs.kill_at, 0);
		t_world_open(&w);
		if (atomic_load(shared) > 0) {
			uint64_t accepted = atomic_load(shared);
			int i;

			for (i = 0; i < 400 && t_store_count(&w, ".json") == 0; i++)
				t_advance(&w, 250);
			t_advance(&w, 70000);
			assert_int_equal(t_store_count(&w, ".wav"), 1);
			assert_int_equal(t_store_audio(&w), 1); /* no unfinished file beside it */
			/* pushes come in batches of 20 that the count follows */
			assert_true(t_store_has_noise(&w, "killed", "caller", 7, accepted) ||
			            t_store_has_noise(&w, "killed", "caller", 7, accepted + 20));
			assert_int_equal(t_store_count(&w, ".json"), 1);
		}
		t_world_destroy(&w);
		assert_true(n < 500);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 10);
	print_message("    killed at %llu places\n", (unsigned long long)(n - 2));
	(void)munmap((void *)(uintptr_t)shared, sizeof *shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bit_exact),
		cmocka_unit_test(test_failing_backends),
		cmocka_unit_test(test_commit_lands_late),
		cmocka_unit_test(test_overflow_is_told),
		cmocka_unit_test(test_killed_while_pushing),
		cmocka_unit_test(test_killed_at_each_change),
	};

	return cmocka_run_group_tests_name("P5 nothing is lost", tests, NULL, NULL);
}
