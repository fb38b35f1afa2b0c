/* SPDX-License-Identifier: MIT */
/* Two calls of one id, as the name of a channel comes again: by its recording each is asked for alone. */
#include "../support.h"

#include <stdio.h>

typedef struct one {
	rco_session *s;
	uint8_t id[16];
} one;

static one begin(t_world *w, uint64_t seed)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	one c;

	c.s = t_call(w, "channel-7");
	assert_int_equal(rco_session_get_stats(c.s, &st), RCO_OK);
	memcpy(c.id, st.recording_id, sizeof c.id);
	t_push(c.s, 0, seed, 0, 20);
	t_advance(w, 400);
	return c;
}

static void hang_up(t_world *w, one *c)
{
	assert_int_equal(rco_session_end(c->s), RCO_OK);
	rco_session_free(c->s);
	t_advance(w, 100);
}

static uint32_t status_of(t_world *w, const one *c)
{
	rco_receipt *r = NULL;
	uint32_t status;
	int rc = rco_recording_receipt(w->engine, c->id, &r);

	if (rc == RCO_E_NOT_FOUND) {
		assert_null(r);
		return 0;
	}
	assert_int_equal(rc, RCO_OK);
	assert_memory_equal(rco_receipt_recording_id(r), c->id, 16);
	status = rco_receipt_status(r);
	rco_receipt_free(r);
	return status;
}

static void test_the_earlier_one_objects_late(void **state)
{
	rco_receipt *r = NULL;
	t_world w;
	one first, second;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	first = begin(&w, 1);
	hang_up(&w, &first);
	second = begin(&w, 2); /* by call id the objection would stop this one */
	assert_int_equal(rco_recording_opt_out(w.engine, first.id, NULL, &r), RCO_OK);
	assert_memory_equal(rco_receipt_recording_id(r), first.id, 16);
	assert_string_equal(rco_receipt_call_id(r), "channel-7");
	rco_receipt_free(r);
	t_push(second.s, 0, 2, 20, 5);
	assert_int_equal(status_of(&w, &second), 0);
	hang_up(&w, &second);
	t_advance(&w, 80000);
	assert_int_equal(status_of(&w, &first), RCO_STATUS_VERIFIED);
	assert_int_equal(status_of(&w, &second), 0);
	assert_int_equal(t_store_audio(&w), 1);
	t_world_destroy(&w);
}

static void test_copies_and_holds(void **state)
{
	char path[256], other[256];
	t_world w;
	one first, second;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "first.wav");
	t_join(other, sizeof other, w.artifacts, "second.wav");
	t_write_file(path, "audio", 5);
	t_write_file(other, "audio", 5);
	first = begin(&w, 1);
	hang_up(&w, &first);
	second = begin(&w, 2);
	assert_int_equal(rco_recording_register_artifact(w.engine, first.id, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_recording_register_artifact(w.engine, second.id, RCO_KIND_AUDIO, other, NULL),
	                 RCO_OK);
	assert_int_equal(rco_recording_set_legal_hold(w.engine, second.id, 1), RCO_OK);
	assert_int_equal(rco_recording_opt_out(w.engine, first.id, NULL, NULL), RCO_OK);
	assert_int_equal(rco_recording_opt_out(w.engine, second.id, NULL, NULL), RCO_OK);
	hang_up(&w, &second);
	t_advance(&w, 80000);
	assert_int_equal(status_of(&w, &first), RCO_STATUS_VERIFIED);
	assert_int_equal(status_of(&w, &second), RCO_STATUS_HELD);
	assert_false(t_exists(path));
	assert_true(t_exists(other));
	assert_int_equal(rco_recording_set_legal_hold(w.engine, second.id, 0), RCO_OK);
	t_advance(&w, 80000);
	assert_int_equal(status_of(&w, &second), RCO_STATUS_VERIFIED);
	assert_false(t_exists(other));
	t_world_destroy(&w);
}

/* Long after, and in the next process: the receipt, and a copy that turns up. */
static void test_done_with(void **state)
{
	char path[256];
	t_world w;
	one c;
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "late.wav");
	c = begin(&w, 1);
	assert_int_equal(rco_opt_out(c.s, NULL, NULL), RCO_OK);
	hang_up(&w, &c);
	t_advance(&w, 80000);
	for (i = 0; i < 2; i++) {
		t_advance(&w, 10000000);
		assert_int_equal(status_of(&w, &c), RCO_STATUS_VERIFIED);
		t_world_close(&w);
		t_world_open(&w);
		assert_int_equal(status_of(&w, &c), RCO_STATUS_VERIFIED);
		t_write_file(path, "audio", 5);
		assert_int_equal(rco_recording_register_artifact(w.engine, c.id, RCO_KIND_AUDIO, path, NULL),
		                 RCO_OK);
		t_advance(&w, 80000);
		assert_false(t_exists(path));
	}
	t_world_close(&w);
	t_world_destroy(&w);
}

/* A call that goes on over a restart has a recording for each part, and each of them stands for the call. */
static void test_parts(void **state)
{
	t_world w;
	one first, second;

	(void)state;
	t_world_init(&w, T_SPOOL | T_SHARED);
	t_world_open(&w);
	first = begin(&w, 1);
	t_world_close(&w);
	rco_session_free(first.s);
	t_world_open(&w);
	second = begin(&w, 2);
	assert_memory_not_equal(first.id, second.id, 16);
	assert_int_equal(rco_recording_opt_out(w.engine, first.id, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(second.s, 0, 2), RCO_E_OPTED_OUT);
	hang_up(&w, &second);
	t_advance(&w, 80000);
	assert_int_equal(t_status(&w, "channel-7"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_store_audio(&w), 0);
	t_world_close(&w);
	t_world_destroy(&w);
}

/* What is done with and forgotten is found until another call has the call id: then the recording is nobody's, and
 * never that call's. */
static void test_a_later_call_has_the_id(void **state)
{
	char path[256];
	t_world w;
	one first, second;
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "late.wav");
	t_write_file(path, "audio", 5);
	first = begin(&w, 1);
	assert_int_equal(rco_opt_out(first.s, NULL, NULL), RCO_OK);
	hang_up(&w, &first);
	for (i = 0; i < 3; i++)
		t_advance(&w, 5000000);
	assert_int_equal(status_of(&w, &first), RCO_STATUS_VERIFIED);
	second = begin(&w, 2);
	assert_int_equal(status_of(&w, &first), 0);
	assert_int_equal(rco_recording_opt_out(w.engine, first.id, NULL, NULL), RCO_E_NOT_FOUND);
	assert_int_equal(rco_recording_register_artifact(w.engine, first.id, RCO_KIND_AUDIO, path, NULL),
	                 RCO_E_NOT_FOUND);
	t_push(second.s, 0, 2, 20, 5); /* none of this was about it */
	hang_up(&w, &second);
	t_await(&w, "channel-7", RCO_EVENT_STORED, 1);
	assert_true(t_exists(path));
	t_world_close(&w);
	t_world_destroy(&w);
}

static void test_what_is_refused(void **state)
{
	static const uint8_t nobody[16] = {1};
	rco_receipt *r = NULL;
	t_world w;
	one c;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_recording_opt_out(w.engine, nobody, NULL, &r), RCO_E_NOT_FOUND);
	assert_null(r);
	assert_int_equal(rco_recording_receipt(w.engine, nobody, &r), RCO_E_NOT_FOUND);
	assert_int_equal(rco_recording_set_legal_hold(w.engine, nobody, 0), RCO_E_NOT_FOUND);
	assert_int_equal(rco_recording_recorder_stopped(w.engine, nobody), RCO_E_NOT_FOUND);
	assert_int_equal(rco_recording_register_artifact(w.engine, nobody, RCO_KIND_AUDIO, "/x", NULL),
	                 RCO_E_NOT_FOUND);
	c = begin(&w, 1);
	assert_int_equal(rco_recording_opt_out(w.engine, NULL, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_recording_opt_out(NULL, c.id, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_recording_receipt(w.engine, c.id, NULL), RCO_E_INVALID);
	assert_int_equal(rco_recording_receipt(w.engine, NULL, &r), RCO_E_INVALID);
	assert_int_equal(rco_recording_receipt(NULL, c.id, &r), RCO_E_INVALID);
	assert_int_equal(rco_recording_set_legal_hold(w.engine, c.id, 2), RCO_E_INVALID);
	assert_int_equal(rco_recording_recorder_stopped(w.engine, c.id), RCO_E_STATE);
	assert_int_equal(t_push_one(c.s, 0, 1), RCO_OK); /* none of this stopped it */
	rco_session_free(c.s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_earlier_one_objects_late),
		cmocka_unit_test(test_copies_and_holds),
		cmocka_unit_test(test_done_with),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_a_later_call_has_the_id),
		cmocka_unit_test(test_what_is_refused),
	};

	return cmocka_run_group_tests_name("by recording", tests, NULL, NULL);
}
