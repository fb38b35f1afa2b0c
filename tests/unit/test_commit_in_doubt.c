/* SPDX-License-Identifier: MIT */
/*
 * A commit of a kept call whose outcome is not known. The store is one in which an abort beside a commit that
 * still runs leaves a file that is listed with its full size, and whose bytes are collected later:
 * docs/backends.md.
 */
#include "../support.h"

#include <stdio.h>

static t_world w;

static struct trap {
	_Atomic int aborted_in_doubt; /* aborts of audio while a commit was not known to be over */
	_Atomic int in_doubt;
	int no_ids; /* begin answers with upload ids "" */
} trap;

static int trap_begin(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	int rc = t_fault_upload_ops.begin(object, op, result, ud);

	if (trap.no_ids)
		memset(result->upload_id, 0, sizeof result->upload_id);
	return rc;
}

static int trap_commit(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	int rc;

	if (object->kind == RCO_KIND_AUDIO)
		atomic_store(&trap.in_doubt, 1);
	rc = t_fault_upload_ops.commit(object, op, result, ud);
	if (object->kind == RCO_KIND_AUDIO &&
	    (rc == RCO_E_NOT_FOUND || (rc == RCO_OK && result->confirmed == RCO_CONFIRM_DONE)))
		atomic_store(&trap.in_doubt, 0);
	return rc;
}

static int trap_abort(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	if (object->kind == RCO_KIND_AUDIO && atomic_load(&trap.in_doubt))
		(void)atomic_fetch_add(&trap.aborted_in_doubt, 1);
	return t_fault_upload_ops.abort(object, op, result, ud);
}

static void open_world(uint32_t flags)
{
	static rco_upload_ops upload;

	memset(&trap, 0, sizeof trap);
	upload = t_fault_upload_ops;
	upload.begin = trap_begin;
	upload.commit = trap_commit;
	upload.abort = trap_abort;
	t_world_init(&w, flags);
	w.cfg.upload = &upload;
	w.fault.only_kind = RCO_KIND_AUDIO;
	t_world_open(&w);
}

/* Ended, its parts with the store, and the window open. */
static rco_session *uploading(const char *id)
{
	rco_session *s = t_call(&w, id);

	t_push(s, 0, 9, 0, 40);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 1);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	return s;
}

static void await_commits(uint64_t n)
{
	int i;

	for (i = 0; i < 400 && t_fault_audio_calls(&w.fault, T_COMMIT) < n; i++)
		t_advance(&w, 1000);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), n);
}

static void assert_kept_once(void)
{
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 9, 40));
	assert_int_equal(t_store_audio(&w), 1);
	assert_int_equal(atomic_load(&trap.aborted_in_doubt), 0);
}

/* An error, a time-out, a success that confirms nothing: asked again, and nothing else. */
static void test_asked_again(void **state)
{
	static const int modes[] = {T_FAIL, T_FAIL_DONE, T_UNCONFIRMED, T_HOLD, T_DONE_HOLD};
	rco_session *s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		open_world(0);
		s = uploading("call");
		t_fault_set(&w.fault, T_COMMIT, modes[i], 3, RCO_E_IO);
		await_commits(4);
		rco_session_free(s);
		assert_kept_once();
		assert_int_equal(t_fault_audio_calls(&w.fault, T_ABORT), 0);
		assert_int_equal(t_fault_audio_calls(&w.fault, T_HEAD), 0);
		assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 1);
		assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY), 3);
		t_world_destroy(&w);
	}
}

/* Before a commit was asked for nothing is in doubt: what fails is given up, looked for all the same, and begun
 * again. */
static void test_given_up_before(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	t_fault_set(&w.fault, T_PUT, T_FAIL_DONE, 1, RCO_E_IO);
	s = t_call(&w, "call");
	t_push(s, 0, 9, 0, 40);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_kept_once();
	assert_int_equal(t_fault_audio_calls(&w.fault, T_ABORT), 2); /* the upload that is known, and any */
	assert_int_equal(t_fault_audio_calls(&w.fault, T_HEAD), 1);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Until then the buffer keeps it. */
static void test_the_local_copy_stays(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = uploading("call");
	t_fault_set(&w.fault, T_COMMIT, T_FAIL_DONE, 0, RCO_E_IO);
	await_commits(5);
	assert_int_equal(t_fault_calls(&w.fault, T_ERASE), 0);
	t_fault_set(&w.fault, T_COMMIT, T_PASS, 0, 0);
	assert_kept_once();
	assert_true(t_fault_calls(&w.fault, T_ERASE) > 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The store says that there is no such upload, and has the file: that was it. */
static void test_forgotten_and_there(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = uploading("call");
	t_fault_set(&w.fault, T_COMMIT, T_FAIL_DONE, 1, RCO_E_NOT_FOUND);
	assert_kept_once();
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 1);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_HEAD), 1);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Nor the file: sent again. While head does not answer nothing of this is known. */
static void test_forgotten_and_gone(void **state)
{
	rco_session *s;

	(void)state;
	open_world(0);
	s = uploading("call");
	t_fault_set(&w.fault, T_COMMIT, T_FAIL, 2, RCO_E_NOT_FOUND);
	t_fault_set(&w.fault, T_HEAD, T_FAIL, 1, RCO_E_IO);
	await_commits(2);
	assert_kept_once();
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 3);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 2);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- over a restart ---- */

static void restart(void)
{
	t_world_close(&w);
	t_world_open(&w);
}

/* The process ended before the answer came: the next one asks again, when its own window has passed (P14). */
static void test_after_a_restart(void **state)
{
	static const int modes[] = {T_HOLD, T_DONE_HOLD};
	rco_session *s;
	uint64_t asked;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		open_world(T_SPOOL);
		s = uploading("call");
		t_fault_set(&w.fault, T_COMMIT, modes[i], 0, 0);
		await_commits(1);
		rco_session_free(s);
		restart();
		asked = t_fault_audio_calls(&w.fault, T_COMMIT);
		t_advance(&w, 5000);
		assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), asked);
		assert_kept_once();
		assert_int_equal(t_fault_audio_calls(&w.fault, T_ABORT), 0);
		assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 1);
		assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), asked + 1);
		t_world_destroy(&w);
	}
}

/* The buffer lost its audio meanwhile: the store may have all of it. */
static void test_after_the_buffer_was_lost(void **state)
{
	char spool[200];
	rco_session *s;

	(void)state;
	open_world(T_SPOOL);
	s = uploading("call");
	t_fault_set(&w.fault, T_COMMIT, T_HOLD, 0, 0);
	await_commits(1);
	rco_session_free(s);
	t_world_close(&w);
	t_join(spool, sizeof spool, w.state, "spool");
	t_rmtree(spool);
	t_world_open(&w);
	assert_kept_once();
	assert_int_equal(t_fault_audio_calls(&w.fault, T_ABORT), 0);
	t_world_destroy(&w);
}

/* And if it has not, that is told, and nothing stays open there. */
static void test_after_both_were_lost(void **state)
{
	char spool[200];
	rco_session *s;

	(void)state;
	open_world(T_SPOOL);
	s = uploading("call");
	t_fault_set(&w.fault, T_COMMIT, T_HOLD, 0, 0);
	await_commits(1);
	rco_session_free(s);
	t_world_close(&w);
	t_join(spool, sizeof spool, w.state, "spool");
	t_rmtree(spool);
	t_fault_set(&w.fault, T_COMMIT, T_FAIL, 1, RCO_E_NOT_FOUND);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_UPLOAD_ABORTED, 1);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_store_audio(&w), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	t_world_destroy(&w);
}

/* Who objects in the window that a restart opens is erased, whatever becomes of the commit. */
static void test_objected_in_doubt(void **state)
{
	rco_session *s;

	(void)state;
	open_world(T_SPOOL);
	s = uploading("call");
	t_fault_set(&w.fault, T_COMMIT, T_DONE_HOLD, 0, 0);
	await_commits(1);
	rco_session_free(s);
	restart();
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	assert_true(t_fault_audio_calls(&w.fault, T_ABORT) > 0);
	assert_int_equal(t_store_audio(&w), 0);
	t_world_destroy(&w);
}

/*
 * The commit is asked for again for the upload that it was asked for, not for one that was begun after that was
 * found to be lost: of that the store has no part yet, and where upload ids are "" it could not tell them apart.
 */
static void test_the_next_upload_is_another(void **state)
{
	rco_session *s;
	uint64_t asked;
	int i;

	(void)state;
	open_world(T_SPOOL);
	trap.no_ids = 1;
	s = uploading("call");
	t_fault_set(&w.fault, T_COMMIT, T_FAIL, 1, RCO_E_NOT_FOUND);
	t_fault_set(&w.fault, T_PUT, T_HOLD, 0, 0);
	for (i = 0; i < 100 && t_fault_held(&w.fault, T_PUT) == 0; i++)
		t_advance(&w, 1000);
	assert_int_equal(t_fault_held(&w.fault, T_PUT), 1);
	asked = t_fault_audio_calls(&w.fault, T_COMMIT);
	rco_session_free(s);
	restart();
	t_settle(&w);
	assert_true(t_fault_audio_calls(&w.fault, T_ABORT) > 0);
	assert_kept_once();
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), asked + 1);
	t_world_destroy(&w);
}

/* ---- what has to be durable before ---- */

static void test_no_commit_before_it_is_noted(void **state)
{
	rco_session *s;
	t_fs fs;

	(void)state;
	t_fs_init(&fs, "/calls/");
	open_world(0);
	t_world_close(&w);
	w.fs = &fs;
	t_world_open(&w);
	s = uploading("call");
	atomic_store(&fs.sync_only, 1);
	atomic_store(&fs.fail, RCO_E_IO);
	t_advance(&w, 20000);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY) > 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	atomic_store(&fs.fail, 0);
	assert_kept_once();
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- the call record ---- */

/* It is begun again only when its commit is known to have come to nothing. */
static void test_the_record(void **state)
{
	static const struct {
		int mode, code;
		uint64_t begun;
	} of[] = {{T_FAIL, RCO_E_IO, 1}, {T_FAIL_DONE, RCO_E_IO, 1}, {T_HOLD, 0, 1}, {T_FAIL, RCO_E_NOT_FOUND, 3}};
	rco_session *s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof of / sizeof of[0]; i++) {
		open_world(0);
		w.fault.only_kind = RCO_KIND_METADATA;
		s = uploading("call");
		t_fault_set(&w.fault, T_COMMIT, of[i].mode, 2, of[i].code);
		assert_kept_once();
		assert_int_equal(t_fault_calls(&w.fault, T_BEGIN) - t_fault_audio_calls(&w.fault, T_BEGIN),
		                 of[i].begun);
		assert_int_equal(t_store_count(&w, ".json"), 1);
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked_again),
		cmocka_unit_test(test_given_up_before),
		cmocka_unit_test(test_the_local_copy_stays),
		cmocka_unit_test(test_forgotten_and_there),
		cmocka_unit_test(test_forgotten_and_gone),
		cmocka_unit_test(test_after_a_restart),
		cmocka_unit_test(test_after_the_buffer_was_lost),
		cmocka_unit_test(test_after_both_were_lost),
		cmocka_unit_test(test_objected_in_doubt),
		cmocka_unit_test(test_the_next_upload_is_another),
		cmocka_unit_test(test_no_commit_before_it_is_noted),
		cmocka_unit_test(test_the_record),
	};

	return cmocka_run_group_tests_name("a commit in doubt", tests, NULL, NULL);
}
