/* SPDX-License-Identifier: MIT */
/* What a store answers when it is asked about a file, and what is made of it. */
#include "../support.h"

/* In front of the store: what it says of a file that is looked for. */
static struct lies {
	_Atomic int present; /* so often "present" is the answer to verify, whatever is there */
	uint64_t head_bytes; /* not 0: head says that a file of this size is there */
	int keeps;           /* remove says "gone", and the file stays */
	int buffer_keeps;    /* and so does the buffer */
	int says_nothing;    /* the buffer's read succeeds, and confirms nothing */
	int no_code;         /* not 0: what put returns */
	uint64_t puts;
} lies;

static int lying_head(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	int rc = t_fault_upload_ops.head(object, op, result, ud);

	if (lies.head_bytes != 0 && object->kind == RCO_KIND_AUDIO) {
		result->confirmed = RCO_CONFIRM_PRESENT;
		result->size_bytes = lies.head_bytes;
	}
	return rc;
}

static int lying_verify(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	int rc = t_fault_deletion_ops.verify(object, op, result, ud);

	if (atomic_load(&lies.present) > 0) {
		(void)atomic_fetch_sub(&lies.present, 1);
		result->confirmed = RCO_CONFIRM_PRESENT;
	}
	return rc;
}

static int lying_remove(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	if (!lies.keeps)
		return t_fault_deletion_ops.remove(object, op, result, ud);
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int lying_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *ud)
{
	if (!lies.buffer_keeps)
		return t_fault_buffer_ops.erase(id, op, result, ud);
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int lying_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                      rco_result *result, void *ud)
{
	if (lies.says_nothing)
		return RCO_OK;
	return t_fault_buffer_ops.read(id, leg, position, data, cap, op, result, ud);
}

static int lying_put(const rco_object *object, uint32_t part, const void *data, size_t size, uint64_t op,
                     rco_result *result, void *ud)
{
	lies.puts++;
	return lies.no_code != 0 ? lies.no_code : t_fault_upload_ops.put(object, part, data, size, op, result, ud);
}

static void open_world(t_world *w)
{
	static rco_buffer_ops buffer;
	static rco_upload_ops upload;
	static rco_deletion_ops deletion;

	memset(&lies, 0, sizeof lies);
	upload = t_fault_upload_ops;
	upload.head = lying_head;
	upload.put = lying_put;
	deletion = t_fault_deletion_ops;
	deletion.verify = lying_verify;
	deletion.remove = lying_remove;
	buffer = t_fault_buffer_ops;
	buffer.erase = lying_erase;
	buffer.read = lying_read;
	buffer.revoke = NULL; /* what was not erased can be read */
	t_world_init(w, 0);
	w->cfg.buffer = &buffer;
	w->cfg.upload = &upload;
	w->cfg.deletion = &deletion;
	t_world_open(w);
}

/* Its parts are with the store, and the window is open. */
static rco_session *uploading(t_world *w)
{
	rco_session *s = t_call(w, "call");

	t_push(s, 0, 1, 0, 30);
	t_push(s, 1, 2, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(w);
	assert_int_equal(t_fault_audio_calls(&w->fault, T_PUT), 2);
	return s;
}

static void assert_stored(t_world *w)
{
	t_await(w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(w, "call", "caller", 1, 30));
	assert_true(t_store_has_noise(w, "call", "agent", 2, 30));
}

/* The commit was made, and the store knows nothing of it any more: the file is looked for, and not sent again. */
static void test_a_commit_in_doubt(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	s = uploading(&w);
	t_fault_set(&w.fault, T_COMMIT, T_FAIL_DONE, 1, RCO_E_NOT_FOUND);
	assert_stored(&w);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 2);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 2);
	assert_true(t_fault_audio_calls(&w.fault, T_HEAD) > 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The upload is lost, and a file of that name but of another size is there: it is not ours. */
static void test_another_file_of_that_name(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	s = uploading(&w);
	lies.head_bytes = 1;
	t_fault_set(&w.fault, T_COMMIT, T_FAIL, 1, RCO_E_NOT_FOUND);
	assert_stored(&w);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 3);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 3);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* What cannot be done away with does not keep the others: all in one pass, without waiting. */
static void test_one_failure_among_two(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	s = uploading(&w);
	t_fault_set(&w.fault, T_ABORT, T_FAIL, 1, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	/* The first file once, and the other: the upload that is known, and then any. */
	assert_int_equal(t_fault_audio_calls(&w.fault, T_ABORT), 3);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* "Gone" is also asked of the list of uploads and versions. */
static void test_verified_by_the_list_too(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	s = uploading(&w);
	t_fault_set(&w.fault, T_LIST, T_FAIL, 0, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, 5000);
	t_advance(&w, 60000);
	assert_true(t_fault_audio_calls(&w.fault, T_LIST) > 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 0);
	t_fault_set(&w.fault, T_LIST, T_PASS, 0, 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* It is still there at the second look: nothing is called verified before it is gone. */
static void test_present_at_the_second_look(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	s = uploading(&w);
	atomic_store(&lies.present, 1);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	assert_int_equal(atomic_load(&lies.present), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 1);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_REMOVE), 3);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A copy turns up when all was verified: the status goes back, and forward again when it is gone (P7). */
static void test_a_copy_turns_up(void **state)
{
	uint32_t status;
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	s = uploading(&w);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	atomic_store(&lies.present, 1);
	t_fault_set(&w.fault, T_REMOVE, T_FAIL, 0, RCO_E_IO);
	t_advance(&w, 3600000);
	t_advance(&w, 3600000);
	assert_int_equal(atomic_load(&lies.present), 0);
	status = t_status(&w, "call");
	assert_true(status == RCO_STATUS_RETRYING || status == RCO_STATUS_OVERDUE);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_SWEPT), 0);
	t_fault_set(&w.fault, T_REMOVE, T_PASS, 0, 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 2);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A store that calls a file gone and keeps it, as one with versions does, or one whose copies agree later. The
 * first word is taken; after a second look not another one, until a second look has not found it. */
static void test_gone_is_not_believed_twice(void **state)
{
	uint32_t status;
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	lies.keeps = 1;
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "call"), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ERASE_RETRY, 4);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 1);
	status = t_status(&w, "call");
	assert_true(status == RCO_STATUS_RETRYING || status == RCO_STATUS_OVERDUE);
	t_advance(&w, 600000); /* and it is asked less and less often */
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY) < 40);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 1);
	lies.keeps = 0;
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 2);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The same of a buffer, whose every leg is looked at, and which has to confirm what it says. */
static void buffer_keeps(int leg, int says_nothing)
{
	uint32_t status;
	rco_session *s;
	t_world w;

	open_world(&w);
	s = t_call(&w, "call");
	t_push(s, (uint32_t)leg, 1, 0, 30);
	t_settle(&w);
	lies.buffer_keeps = 1;
	lies.says_nothing = says_nothing;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ERASE_RETRY, 3);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 0);
	status = t_status(&w, "call");
	assert_true(says_nothing || status == RCO_STATUS_RETRYING || status == RCO_STATUS_OVERDUE);
	lies.buffer_keeps = lies.says_nothing = 0;
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_a_buffer_that_keeps(void **state)
{
	(void)state;
	buffer_keeps(0, 0);
	buffer_keeps(1, 0); /* the first leg was silent */
	buffer_keeps(0, 1);
}

/* A number that is no code has failed as others have, with a pause before the next try. */
static void test_an_answer_that_is_no_code(void **state)
{
	rco_result nothing = {.struct_size = (uint32_t)sizeof nothing};
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w);
	lies.no_code = 77;
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "call", RCO_EVENT_UPLOAD_RETRY, 3);
	assert_true(lies.puts < 10);
	lies.no_code = 0;
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_int_equal(rco_op_complete(w.engine, 1, 77, &nothing), RCO_E_INVALID);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- a buffer that forgets ---- */

static _Atomic int forget;

static int forgetful_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *ud)
{
	rco_result gone = {.struct_size = (uint32_t)sizeof gone};

	if (atomic_exchange(&forget, 0) != 0) {
		assert_int_equal(rco_memory_buffer_ops()->erase(chunk->recording_id, op, &gone, ud), RCO_OK);
		return RCO_E_NOT_FOUND;
	}
	return rco_memory_buffer_ops()->append(chunk, op, result, ud);
}

/* What it had is lost; what comes after is not, in its place, and the call comes to its end. */
static void test_a_buffer_that_forgets(void **state)
{
	rco_memory_options o = {.struct_size = (uint32_t)sizeof o};
	rco_buffer_ops buffer = *rco_memory_buffer_ops();
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_memory *memory = NULL;
	rco_session *s;
	t_event e;
	t_world w;
	int i;

	(void)state;
	assert_int_equal(rco_memory_create(&o, &memory), RCO_OK);
	buffer.append = forgetful_append;
	t_world_init(&w, 0);
	w.cfg.buffer = &buffer;
	w.cfg.buffer_user_data = memory;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 25);
	t_advance(&w, 300);
	atomic_store(&forget, 1);
	t_push(s, 0, 1, 25, 25);
	for (i = 0; i < 4; i++)
		t_advance(&w, 700);
	assert_true(t_events_last(&w.events, "call", RCO_EVENT_BUFFER_RETRY, &e));
	assert_int_equal(e.code, RCO_E_NOT_FOUND);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.buffered_bytes, st.accepted_bytes);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_int_equal(t_store_audio(&w), 1);
	rco_session_free(s);
	t_world_destroy(&w);
	rco_memory_free(memory);
}

/* A piece that timed out reaches the buffer when the call is erased and verified: the second look finds it. */
static void test_a_piece_that_comes_late(void **state)
{
	static const uint8_t audio[1600] = {7};
	rco_memory_options o = {.struct_size = (uint32_t)sizeof o};
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_recording recording = {.struct_size = (uint32_t)sizeof recording};
	rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk,
	                   .format = RCO_FORMAT_PCMU_8K,
	                   .data = audio,
	                   .size_bytes = sizeof audio};
	rco_result result = {.struct_size = (uint32_t)sizeof result};
	const rco_buffer_ops *ops = rco_memory_buffer_ops();
	rco_memory *memory = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	assert_int_equal(rco_memory_create(&o, &memory), RCO_OK);
	t_world_init(&w, 0);
	w.cfg.buffer = ops;
	w.cfg.buffer_user_data = memory;
	w.cfg.sweep_delay_ms = 60000;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 25);
	t_advance(&w, 300);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	memcpy(recording.id, st.recording_id, 16);
	memcpy(chunk.recording_id, st.recording_id, 16);
	assert_int_equal(ops->open(&recording, 1, &result, memory), RCO_OK);
	assert_int_equal(ops->append(&chunk, 2, &result, memory), RCO_OK);
	assert_true(rco_memory_audio_bytes(memory) > 0);
	t_advance(&w, 61000);
	t_settle(&w);
	t_advance(&w, 61000);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	assert_int_equal(rco_memory_audio_bytes(memory), 0);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
	rco_memory_free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_buffer_that_forgets),
		cmocka_unit_test(test_a_piece_that_comes_late),
		cmocka_unit_test(test_a_commit_in_doubt),
		cmocka_unit_test(test_another_file_of_that_name),
		cmocka_unit_test(test_one_failure_among_two),
		cmocka_unit_test(test_verified_by_the_list_too),
		cmocka_unit_test(test_present_at_the_second_look),
		cmocka_unit_test(test_a_copy_turns_up),
		cmocka_unit_test(test_gone_is_not_believed_twice),
		cmocka_unit_test(test_a_buffer_that_keeps),
		cmocka_unit_test(test_an_answer_that_is_no_code),
	};

	return cmocka_run_group_tests_name("answers of the store", tests, NULL, NULL);
}
