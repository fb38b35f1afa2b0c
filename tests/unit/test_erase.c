/* SPDX-License-Identifier: MIT */
/*
 * Backends that decline, lie, or answer half while a call is erased, and copies that come back: what is erased is
 * what can be shown to be gone, and nothing else is called so (P7).
 */
#include "../support.h"

#include <glob.h>
#include <stdio.h>

static t_world w;

static void destroy(rco_session *s)
{
	rco_session_free(s);
	t_world_destroy(&w);
}

static rco_session *talking(const char *call_id)
{
	rco_session *s = t_call(&w, call_id);

	t_push(s, 0, 1, 0, 10);
	t_advance(&w, 300);
	return s;
}

/* ---- a deletion backend that leaves objects to others ---- */

static int declines;

/* A bucket of the host's, in which nothing is. */
static int in_bucket(const rco_object *o, rco_result *result)
{
	if (strncmp(o->key, "bucket/", 7) != 0)
		return 0;
	result->confirmed = RCO_CONFIRM_GONE;
	return 1;
}

static int d_remove(const rco_object *o, uint64_t op, rco_result *result, void *ud)
{
	if (declines)
		return RCO_E_DECLINED;
	return in_bucket(o, result) ? RCO_OK : t_fault_deletion_ops.remove(o, op, result, ud);
}

static int d_verify(const rco_object *o, uint64_t op, rco_result *result, void *ud)
{
	if (declines)
		return RCO_E_DECLINED;
	return in_bucket(o, result) ? RCO_OK : t_fault_deletion_ops.verify(o, op, result, ud);
}

/* Without a folder of its own the engine has nobody to turn to; it is tried again, and told. */
static void test_declined_by_all(void **state)
{
	rco_deletion_ops ops = t_fault_deletion_ops;
	rco_session *s;

	(void)state;
	ops.remove = d_remove;
	ops.verify = d_verify;
	t_world_init(&w, 0);
	w.cfg.deletion = &ops;
	w.cfg.output_dir = NULL;
	t_world_open(&w);
	s = talking("call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "bucket/key", NULL), RCO_OK);
	declines = 1;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, 5000);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY) > 0);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_RETRYING);
	declines = 0;
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	destroy(s);
}

/* Files of the engine's own are never another's: only what the host registered goes on to the folder. */
static void test_declined_for_its_own_files(void **state)
{
	rco_deletion_ops ops = t_fault_deletion_ops;
	char path[256];
	rco_session *s;

	(void)state;
	ops.remove = d_remove;
	ops.verify = d_verify;
	t_world_init(&w, T_DISK);
	w.cfg.deletion = &ops;
	w.cfg.output_dir = w.out;
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "copy.wav");
	t_write_file(path, "audio", 5);
	s = talking("call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w); /* now the upload has begun */
	declines = 1;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, 5000);
	assert_false(t_exists(path));
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_RETRYING);
	declines = 0;
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	destroy(s);
}

static int d_remove_all(const rco_object *o, uint64_t op, rco_result *result, void *ud)
{
	return in_bucket(o, result) ? RCO_OK : t_fault_deletion_ops.remove(o, op, result, ud);
}

static int verify_declines(const rco_object *o, uint64_t op, rco_result *result, void *ud)
{
	return declines ? RCO_E_DECLINED : d_verify(o, op, result, ud);
}

static void test_only_verifying_is_declined(void **state)
{
	rco_deletion_ops ops = t_fault_deletion_ops;
	rco_session *s;

	(void)state;
	ops.remove = d_remove_all;
	ops.verify = verify_declines;
	t_world_init(&w, 0);
	w.cfg.deletion = &ops;
	w.cfg.output_dir = NULL;
	t_world_open(&w);
	s = talking("call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "bucket/key", NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	declines = 1;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, 5000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_ERASED);
	declines = 0;
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	destroy(s);
}

/* ---- buffers ---- */

/* The buffer fails while a copy's removal takes long: when that is done, the buffer's part is still open. */
static void test_the_buffer_fails_beside_a_slow_removal(void **state)
{
	char path[256];
	rco_session *s;

	(void)state;
	t_world_init(&w, T_DISK);
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "copy.wav");
	t_write_file(path, "audio", 5);
	s = talking("call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 1, RCO_E_IO);
	t_fault_set(&w.fault, T_REMOVE, T_HOLD, 1, 0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_fault_held(&w.fault, T_REMOVE), 1);
	assert_int_equal(t_fault_release(&w.fault, T_REMOVE), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY), 1);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	destroy(s);
}

static int lies;

static int lying_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *ud)
{
	if (lies == 0)
		return t_fault_buffer_ops.erase(id, op, result, ud);
	lies--;
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

/* It says gone, and is not: one read tells. */
static void test_a_buffer_that_lies(void **state)
{
	rco_buffer_ops ops = t_fault_buffer_ops;
	rco_session *s;

	(void)state;
	ops.erase = lying_erase;
	ops.revoke = NULL;
	t_world_init(&w, 0);
	w.cfg.buffer = &ops;
	t_world_open(&w);
	s = talking("call");
	lies = 2;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 0);
	assert_true(rco_memory_audio_bytes(w.memory) > 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	destroy(s);
}

/* ---- copies of the host's ---- */

/* Registered after the objection, erased, and there again when it is looked for the last time. */
static void test_a_late_copy_that_comes_back(void **state)
{
	char path[256];
	rco_session *s;

	(void)state;
	t_world_init(&w, T_DISK);
	w.cfg.sweep_delay_ms = 60000;
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "late.wav");
	s = talking("call");
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ARTIFACT_ERASED, 1);
	assert_false(t_exists(path));
	t_settle(&w);
	t_write_file(path, "audio", 5);
	t_advance(&w, 61000); /* it is found */
	t_advance(&w, 5000);
	assert_false(t_exists(path));
	t_advance(&w, 120000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ARTIFACT_ERASED), 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_SWEPT), 1);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	destroy(s);
}

static int count(const rco_pending *p, void *user_data)
{
	(void)p;
	++*(int *)user_data;
	return 0;
}

/* Transcripts are the host's own, and no recording: an objection before any audio has nothing to erase. */
static void test_only_a_transcript(void **state)
{
	int n = 0;
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_TRANSCRIPT, "bucket/words", NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(rco_engine_each_pending(w.engine, count, &n), RCO_OK);
	assert_int_equal(n, 0);
	destroy(s);
}

/* ---- a recorder that is gone with its process ---- */

/* Nobody can confirm its stop any more: its files go, and the receipt does not say more than is known. */
static void test_a_recorder_of_another_process(void **state)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	char path[256];
	rco_session *s;

	(void)state;
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_E_IO;
	t_recorder.confirms[RCO_RECORDER_STOP] = RCO_CONFIRM_UNKNOWN;
	t_world_init(&w, T_DISK | T_SPOOL);
	w.cfg.erase_deadline_ms = 1000;
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "host.wav");
	t_write_file(path, "audio", 5);
	s = t_hosted(&w, "call");
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_CALLBACK);
	t_advance(&w, 2000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	t_world_close(&w);
	rco_session_free(s);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_advance(&w, 120000);
	assert_false(t_exists(path));
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_REQUESTED);
	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	assert_int_equal(st.erasures_pending, 1);
	assert_int_equal(st.erasures_escalated, 1);
	t_world_destroy(&w);
}

/* ---- a deletion table of the host's beside the built-in directory ---- */

static int asked_for_ours;

/* "What does not exist is gone too." */
static int says_gone(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	(void)op, (void)ud;
	asked_for_ours += object->store == RCO_STORE_UPLOAD;
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static size_t waves(const char *dir)
{
	char pattern[300];
	glob_t found;
	size_t n;

	t_join(pattern, sizeof pattern, dir, "*.wav");
	n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return n;
}

/* It is for what the host registered: the directory removes what the directory stored. */
static void test_a_deletion_table_alone(void **state)
{
	const rco_deletion_ops deletion = {
		.struct_size = (uint32_t)sizeof deletion, .remove = says_gone, .verify = says_gone};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "held", .legal_hold = 1};
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.upload = NULL;
	w.cfg.output_dir = w.out;
	w.cfg.deletion = &deletion;
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 50);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "held", RCO_EVENT_STORED, 1);
	assert_int_equal(waves(w.out), 1);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(waves(w.out), 0);
	assert_int_equal(asked_for_ours, 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deletion_table_alone),
		cmocka_unit_test(test_declined_by_all),
		cmocka_unit_test(test_declined_for_its_own_files),
		cmocka_unit_test(test_only_verifying_is_declined),
		cmocka_unit_test(test_the_buffer_fails_beside_a_slow_removal),
		cmocka_unit_test(test_a_buffer_that_lies),
		cmocka_unit_test(test_a_late_copy_that_comes_back),
		cmocka_unit_test(test_only_a_transcript),
		cmocka_unit_test(test_a_recorder_of_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
