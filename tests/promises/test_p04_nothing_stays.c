/* SPDX-License-Identifier: MIT */
/*
 * P4 nothing stays: whatever a call was doing when its caller objected, in the end no audio of it is in buffer,
 * store, upload or artifact, also if backends fail, answer late, twice or never, or finish something unseen.
 */
#include "../support.h"
#include "../support_registers.h"

#include <stdio.h>
#include <stdlib.h>

enum stage { IDLE, RECORDING, PAUSED, IN_BUFFER, DRAINING, BEGINNING, SENDING, SENT, STAGES };

static const char *const stage_names[STAGES] = {"idle",     "recording", "paused",  "in buffer",
                                                "draining", "beginning", "sending", "sent"};

static void artifact(t_world *w, const char *name, char *path, size_t size)
{
	t_join(path, size, w->artifacts, name);
	t_write_file(path, "audio of the host's recorder", 28);
}

/* A call that is in the given stage, with an operation of the backend under way where the stage says so. */
static rco_session *call_in_stage(t_world *w, const char *id, enum stage stage)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id};
	rco_session *s = t_call_with(w, &o);

	if (stage == DRAINING)
		t_fault_set(&w->fault, T_APPEND, T_HOLD, 1, 0);
	if (stage == BEGINNING)
		t_fault_set(&w->fault, T_BEGIN, T_HOLD, 1, 0);
	if (stage == SENDING)
		t_fault_set(&w->fault, T_PUT, T_HOLD, 1, 0);
	if (stage == IDLE)
		return s;
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 60);
	t_push(s, 1, 2, 0, 60);
	if (stage == PAUSED)
		assert_int_equal(rco_session_pause(s), RCO_OK);
	if (stage == IN_BUFFER)
		t_advance(w, 500);
	if (stage >= DRAINING) {
		assert_int_equal(rco_session_end(s), RCO_OK);
		t_settle(w);
	}
	if (stage == DRAINING)
		assert_int_equal(t_fault_held(&w->fault, T_APPEND), 1);
	if (stage == BEGINNING)
		assert_int_equal(t_fault_held(&w->fault, T_BEGIN), 1);
	if (stage == SENDING)
		assert_int_equal(t_fault_held(&w->fault, T_PUT), 1);
	if (stage == SENT)
		assert_true(t_fault_done(&w->fault, T_PUT) > 0);
	return s;
}

static void release_all(t_world *w)
{
	(void)t_fault_release(&w->fault, T_APPEND);
	(void)t_fault_release(&w->fault, T_BEGIN);
	(void)t_fault_release(&w->fault, T_PUT);
}

static void assert_gone(t_world *w)
{
	uint8_t marker[2][64];
	int i;

	assert_int_equal(rco_memory_audio_bytes(w->memory), 0);
	assert_int_equal(t_store_audio(w), 0);
	for (i = 0; i < 2; i++) {
		t_noise((uint64_t)i + 1, 0, marker[i], sizeof marker[i]);
		assert_int_equal(t_tree_holds(w->root, marker[i], sizeof marker[i]), 0);
	}
}

static const uint32_t world_flags[] = {0, T_DISK, T_SPOOL | T_DISK};

/* late: what was under way is answered before (0) or after (1) the backend's time-out, or never (2) */
static void opt_out_in_stage(uint32_t flags, enum stage stage, int late)
{
	char before[256], after[256];
	rco_session *s;
	t_world w;

	t_world_init(&w, flags);
	t_world_open(&w);
	s = call_in_stage(&w, "call", stage);
	artifact(&w, "before.wav", before, sizeof before);
	artifact(&w, "after.wav", after, sizeof after);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, before, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, after, NULL), RCO_OK);
	t_settle(&w);
	if (late == 1)
		t_advance(&w, 31000);
	if (late < 2)
		release_all(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	t_advance(&w, 1000); /* what the second look found, if anything, is being erased */
	t_advance(&w, 70000);
	assert_gone(&w);
	assert_false(t_exists(before));
	assert_false(t_exists(after));
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_every_stage(void **state)
{
	size_t f;
	int stage, late;

	(void)state;
	for (f = 0; f < sizeof world_flags / sizeof world_flags[0]; f++)
		for (stage = 0; stage < STAGES; stage++) {
			if (stage == DRAINING && (world_flags[f] & T_SPOOL))
				continue; /* the built-in spool does not go through the faulty table */
			for (late = 0; late < (stage >= DRAINING && stage < SENT ? 3 : 1); late++) {
				print_message("    %s, world %zu, late %d\n", stage_names[stage], f, late);
				opt_out_in_stage(world_flags[f], (enum stage)stage, late);
			}
		}
}

/* Every slot that erases fails in every way, for a while; it is tried again until it is confirmed. */
static void test_erasing_fails(void **state)
{
	static const int slots[] = {T_ERASE, T_ABORT, T_REMOVE, T_VERIFY, T_LIST};
	static const int modes[] = {T_FAIL,      T_FAIL_DONE, T_UNCONFIRMED, T_HOLD,
	                            T_DONE_HOLD, T_THREAD,    T_TWICE,       T_INLINE};
	size_t i, m;

	(void)state;
	for (i = 0; i < sizeof slots / sizeof slots[0]; i++)
		for (m = 0; m < sizeof modes / sizeof modes[0]; m++) {
			rco_session *s;
			t_world w;

			t_world_init(&w, 0);
			t_world_open(&w);
			s = call_in_stage(&w, "call", SENT);
			t_fault_set(&w.fault, slots[i], modes[m], 3, RCO_E_IO);
			assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
			rco_session_free(s);
			t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
			assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
			assert_gone(&w);
			t_await(&w, "call", RCO_EVENT_SWEPT, 1);
			assert_gone(&w);
			if (modes[m] == T_TWICE && t_fault_calls(&w.fault, slots[i]) > 0) {
				t_fault_quiet(&w.fault);
				assert_int_equal(w.fault.twice_rc, RCO_E_STALE);
			}
			t_world_destroy(&w);
		}
}

/* The answer of a put comes after everything was verified: the second look finds what it made. */
static void test_part_arrives_after_verification(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = call_in_stage(&w, "call", SENDING);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_fault_release(&w.fault, T_PUT), RCO_E_STALE);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	assert_gone(&w);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A file comes back after its removal, as from a late move or copy of the host's. */
static void test_file_comes_back(void **state)
{
	char path[256];
	t_event swept;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK);
	t_world_open(&w);
	s = call_in_stage(&w, "call", RECORDING);
	artifact(&w, "mix.wav", path, sizeof path);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_SWEPT), 0);
	artifact(&w, "mix.wav", path, sizeof path);
	t_advance(&w, 61000);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	assert_false(t_exists(path));
	assert_int_equal(t_events_last(&w.events, "call", RCO_EVENT_SWEPT, &swept), 1);
	assert_true(swept.count >= 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_registered_much_later(void **state)
{
	char path[3][256];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK);
	t_world_open(&w);
	s = call_in_stage(&w, "call", RECORDING);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);

	artifact(&w, "one.wav", path[0], sizeof path[0]);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path[0], NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ARTIFACT_ERASED, 1);
	assert_false(t_exists(path[0]));

	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_settle(&w);
	artifact(&w, "two.wav", path[1], sizeof path[1]);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_AUDIO, path[1], NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ARTIFACT_ERASED, 2);
	assert_false(t_exists(path[1]));

	t_advance(&w, 70000); /* after the second look, too */
	artifact(&w, "three.wav", path[2], sizeof path[2]);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_AUDIO, path[2], NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ARTIFACT_ERASED, 3);
	assert_false(t_exists(path[2]));

	/* a kind that follows the host's own retention stays */
	artifact(&w, "text", path[0], sizeof path[0]);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_TRANSCRIPT, path[0], NULL),
	                 RCO_OK);
	t_advance(&w, 1000);
	assert_true(t_exists(path[0]));
	t_world_destroy(&w);
}

/* ---- versions ---- */

static struct seen {
	size_t n;
	char key[16][64], version[16][32];
} removed;

static int note_remove(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	(void)op, (void)ud;
	if (object->store == RCO_STORE_HOST && removed.n < 16) {
		(void)snprintf(removed.key[removed.n], sizeof removed.key[0], "%s", object->key);
		(void)snprintf(removed.version[removed.n], sizeof removed.version[0], "%s", object->version);
		removed.n++;
	}
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int note_verify(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	(void)object, (void)op, (void)ud;
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int was_removed(const char *key, const char *version)
{
	size_t i;

	for (i = 0; i < removed.n; i++)
		if (strcmp(removed.key[i], key) == 0 && strcmp(removed.version[i], version) == 0)
			return 1;
	return 0;
}

static void test_each_version_is_removed(void **state)
{
	static const rco_deletion_ops ops = {
		.struct_size = (uint32_t)sizeof ops, .remove = note_remove, .verify = note_verify};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.deletion = &ops;
	t_world_open(&w);
	s = call_in_stage(&w, "call", RECORDING);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "bucket/a", "v1"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "bucket/a", "v2"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "bucket/b", NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_true(was_removed("bucket/a", "v1"));
	assert_true(was_removed("bucket/a", "v2"));
	assert_true(was_removed("bucket/b", ""));
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The engine is closed in the middle; the next one on the folder finishes. */
static void test_restart_in_the_middle(void **state)
{
	char path[256];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = call_in_stage(&w, "call", SENT);
	artifact(&w, "mix.wav", path, sizeof path);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	t_fault_set(&w.fault, T_ABORT, T_FAIL, 0, RCO_E_IO);
	t_fault_set(&w.fault, T_REMOVE, T_FAIL, 0, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ERASE_RETRY, 1);
	assert_true(t_exists(path));
	t_world_close(&w);
	rco_session_free(s);

	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	assert_gone(&w);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	t_world_destroy(&w);
}

/* Copies go through vector registers: the thread that asks, one that goes on pushing, one that hangs up. */
static void test_registers(void **state)
{
	rco_session *s, *kept;
	uint8_t frame[T_FRAME];
	t_world w;
	int rc;

	(void)state;
	if (!t_registers_fill())
		skip();
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "call");
	kept = t_call(&w, "kept");
	t_push(s, 0, 1, 0, 10);
	t_push(kept, 0, 2, 0, 10);
	t_noise(1, 10 * T_FRAME, frame, sizeof frame);

	(void)t_registers_fill();
	rc = rco_opt_out(s, NULL, NULL);
	assert_int_equal(t_registers_hold(), 0);
	assert_int_equal(rc, RCO_OK);
	(void)t_registers_fill();
	rc = rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
	assert_int_equal(t_registers_hold(), 0);
	assert_int_equal(rc, RCO_E_OPTED_OUT);
	(void)t_registers_fill();
	rc = rco_session_end(kept);
	assert_int_equal(t_registers_hold(), 0);
	assert_int_equal(rc, RCO_OK);

	rco_session_free(s);
	rco_session_free(kept);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	(void)t_registers_fill();
	rco_engine_free(w.engine);
	assert_int_equal(t_registers_hold(), 0);
	w.engine = NULL;
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_stage),
		cmocka_unit_test(test_erasing_fails),
		cmocka_unit_test(test_part_arrives_after_verification),
		cmocka_unit_test(test_file_comes_back),
		cmocka_unit_test(test_registered_much_later),
		cmocka_unit_test(test_each_version_is_removed),
		cmocka_unit_test(test_restart_in_the_middle),
		cmocka_unit_test(test_registers),
	};

	return cmocka_run_group_tests_name("P4 nothing stays", tests, NULL, NULL);
}
