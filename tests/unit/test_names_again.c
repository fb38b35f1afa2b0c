/* SPDX-License-Identifier: MIT */
/*
 * Names of files that come again: a recorder writes one call's file where an earlier call's was. What is erased
 * for the one is never the other's, and what nobody registered stays a late copy of the earlier one.
 */
#include "../support.h"

#include <recoptout/storage.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static t_world w;
static char path[256];

/* The built-in folder, which removes files by their path. */
static void folder_of_its_own(uint32_t sweep_delay_ms)
{
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
	w.cfg.sweep_delay_ms = sweep_delay_ms;
	t_world_open(&w);
}

static void begin(void)
{
	folder_of_its_own(60000);
	t_join(path, sizeof path, w.artifacts, "ext-100.wav");
}

static rco_session *call(const char *call_id)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = call_id, .recorder = &t_recorder_ops};
	rco_session *s = t_call_with(&w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

static void records(const char *call_id)
{
	t_write_file(path, call_id, strlen(call_id));
}

static int registers(rco_session *s)
{
	return rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL);
}

static int is_recording_of(const char *call_id)
{
	size_t size = 0;
	uint8_t *file = t_exists(path) ? t_read_file(path, &size) : NULL;
	int is = file != NULL && size == strlen(call_id) && memcmp(file, call_id, size) == 0;

	free(file);
	return is;
}

/* Recorded, registered, objected to, over and verified: only the second look is to come. */
static void erased_call(const char *call_id)
{
	rco_session *s = call(call_id);

	records(call_id);
	assert_int_equal(registers(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_status(&w, call_id), RCO_STATUS_VERIFIED);
	assert_false(t_exists(path));
	rco_session_free(s);
}

static void second_look(void)
{
	t_advance(&w, 70000);
	t_advance(&w, 70000);
	t_advance(&w, 70000);
}

/* ---- after an erasure ---- */

static void next_call_keeps_its_file(const char *first, const char *second, int restart)
{
	rco_session *s;

	begin();
	erased_call(first);
	s = call(second);
	records(second);
	assert_int_equal(registers(s), RCO_OK);
	if (restart) {
		rco_session_free(s);
		t_world_close(&w);
		t_world_open(&w);
		t_settle(&w);
	}
	second_look();
	assert_true(is_recording_of(second));
	if (strcmp(first, second) != 0)
		assert_int_equal(t_status(&w, first), RCO_STATUS_VERIFIED);
	if (!restart)
		rco_session_free(s);
	t_world_destroy(&w);
}

static void test_second_look_spares_the_next_call(void **state)
{
	(void)state;
	next_call_keeps_its_file("first", "second", 0);
}

static void test_of_the_same_call_id(void **state)
{
	(void)state;
	next_call_keeps_its_file("call", "call", 0);
}

static void test_after_a_restart(void **state)
{
	(void)state;
	next_call_keeps_its_file("first", "second", 1);
	next_call_keeps_its_file("call", "call", 1);
}

/* The next call was kept, and its entries are gone from the journal, when the process ends. */
static void test_after_a_restart_when_the_next_is_kept(void **state)
{
	rco_session *s;

	(void)state;
	folder_of_its_own(600000);
	t_join(path, sizeof path, w.artifacts, "ext-100.wav");
	erased_call("first");
	s = call("second");
	records("second");
	assert_int_equal(registers(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 20000);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	t_advance(&w, 700000);
	t_advance(&w, 700000);
	assert_true(is_recording_of("second"));
	t_world_destroy(&w);
}

/* The next one may object as well: then it is its own erasure that takes the file. */
static void test_the_next_call_objects_too(void **state)
{
	rco_session *s;

	(void)state;
	begin();
	erased_call("first");
	s = call("second");
	records("second");
	assert_int_equal(registers(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	second_look();
	assert_false(t_exists(path));
	assert_int_equal(t_status(&w, "second"), RCO_STATUS_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A recorder that was started once more, and nobody registered: a late copy, as ever. */
static void test_what_nobody_registered_is_a_late_copy(void **state)
{
	(void)state;
	begin();
	erased_call("first");
	records("again");
	second_look();
	assert_false(t_exists(path));
	assert_true(t_events_sum(&w.events, "first", RCO_EVENT_SWEPT) > 0);
	t_world_destroy(&w);
}

/* ---- at the same time ---- */

static void test_two_live_calls(void **state)
{
	rco_session *a, *b;

	(void)state;
	begin();
	a = call("first");
	b = call("second");
	records("first");
	assert_int_equal(registers(a), RCO_OK);
	assert_int_equal(registers(a), RCO_OK); /* the same call once more */
	assert_int_equal(registers(b), RCO_E_BUSY);
	assert_non_null(strstr(rco_error_detail(), "first"));
	assert_int_equal(rco_opt_out(b, NULL, NULL), RCO_OK);
	second_look();
	assert_true(is_recording_of("first"));
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

/* A folder has no versions: whichever is named, it is the file. */
static void test_versions_in_a_folder(void **state)
{
	rco_session *a, *b;

	(void)state;
	begin();
	a = call("first");
	b = call("second");
	records("first");
	assert_int_equal(rco_session_register_artifact(a, RCO_KIND_AUDIO, path, "2"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(a, RCO_KIND_AUDIO, path, "3"), RCO_OK); /* the same call */
	assert_int_equal(rco_session_register_artifact(b, RCO_KIND_AUDIO, path, "1"), RCO_E_BUSY);
	assert_int_equal(registers(b), RCO_E_BUSY);
	assert_int_equal(rco_opt_out(b, NULL, NULL), RCO_OK);
	second_look();
	assert_true(is_recording_of("first"));
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

/* Nor does the second look for what was another version take the next call's file, also after a restart. */
static void next_version_keeps_its_file(int restart)
{
	rco_session *a, *b;

	begin();
	a = call("first");
	records("first");
	assert_int_equal(rco_session_register_artifact(a, RCO_KIND_AUDIO, path, "1"), RCO_OK);
	assert_int_equal(rco_opt_out(a, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(a), RCO_OK);
	t_settle(&w);
	assert_false(t_exists(path));
	b = call("second");
	records("second");
	assert_int_equal(rco_session_register_artifact(b, RCO_KIND_AUDIO, path, "2"), RCO_OK);
	rco_session_free(a);
	if (restart) {
		rco_session_free(b);
		t_world_close(&w);
		t_world_open(&w);
		t_settle(&w);
	}
	second_look();
	assert_true(is_recording_of("second"));
	if (!restart)
		rco_session_free(b);
	t_world_destroy(&w);
}

static void test_second_look_at_another_version(void **state)
{
	(void)state;
	next_version_keeps_its_file(0);
	next_version_keeps_its_file(1);
}

/* A table of the host's that leaves paths to the directory. */
static void test_versions_where_the_hosts_table_declines(void **state)
{
	rco_session *a, *b;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.upload = NULL;
	w.cfg.output_dir = w.out;
	t_fault_set(&w.fault, T_REMOVE, T_FAIL, 0, RCO_E_DECLINED);
	t_fault_set(&w.fault, T_VERIFY, T_FAIL, 0, RCO_E_DECLINED);
	t_world_open(&w);
	t_join(path, sizeof path, w.artifacts, "ext-100.wav");
	a = call("first");
	b = call("second");
	records("first");
	assert_int_equal(rco_session_register_artifact(a, RCO_KIND_AUDIO, path, "2"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(b, RCO_KIND_AUDIO, path, "1"), RCO_E_BUSY);
	assert_int_equal(rco_session_register_artifact(a, RCO_KIND_AUDIO, "bucket/x", "2"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(b, RCO_KIND_AUDIO, "bucket/x", "1"), RCO_OK);
	assert_true(is_recording_of("first"));
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

/* By way of a link to the folder it is the same file. */
static void test_two_names_of_one_file(void **state)
{
	rco_session *a, *b;
	char link[256], other[300];

	(void)state;
	begin();
	t_join(link, sizeof link, w.root, "link");
	assert_int_equal(symlink(w.artifacts, link), 0);
	(void)snprintf(other, sizeof other, "%s/ext-100.wav", link);
	a = call("first");
	b = call("second");
	records("first");
	assert_int_equal(registers(a), RCO_OK);
	assert_int_equal(rco_session_register_artifact(b, RCO_KIND_AUDIO, other, NULL), RCO_E_BUSY);
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

/* After the window of a call that was opted out, but of which the file is still there, nobody takes over. */
static void test_before_it_is_erased(void **state)
{
	rco_session *a, *b;

	(void)state;
	begin();
	a = call("first");
	records("first");
	assert_int_equal(registers(a), RCO_OK);
	assert_int_equal(rco_session_end(a), RCO_OK);
	t_settle(&w);
	b = call("second");
	assert_int_equal(registers(b), RCO_E_BUSY); /* it can still be objected to */
	assert_int_equal(rco_opt_out(a, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(registers(b), RCO_OK);
	/* and now it is the second's: the first cannot have it back as long as that goes on */
	assert_int_equal(registers(a), RCO_E_BUSY);
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

/* The host goes on with a call after a crash of its own: the file is the same call's. */
static void test_a_call_that_goes_on_after_a_restart(void **state)
{
	rco_session *s;

	(void)state;
	begin();
	s = call("call");
	records("call");
	assert_int_equal(registers(s), RCO_OK);
	t_settle(&w);
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	s = call("call");
	assert_int_equal(registers(s), RCO_OK);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	second_look();
	assert_false(t_exists(path));
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- kept ---- */

static rco_session *kept_call(const char *call_id)
{
	rco_session *s = call(call_id);

	records(call_id);
	assert_int_equal(registers(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 20000);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	return s;
}

static void test_a_kept_file_stays(void **state)
{
	rco_session *a, *b;

	(void)state;
	begin();
	a = kept_call("first");
	b = call("second");
	assert_int_equal(registers(b), RCO_E_BUSY);
	assert_int_equal(rco_opt_out(b, NULL, NULL), RCO_OK);
	second_look();
	assert_true(is_recording_of("first"));
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

/* Moved away, or written over by the host: what is there is the next call's. */
static void a_kept_file_made_room(int overwritten)
{
	rco_session *a, *b;

	begin();
	a = kept_call("first");
	b = call("second");
	if (overwritten)
		records("second");
	else
		assert_int_equal(unlink(path), 0);
	assert_int_equal(registers(b), RCO_OK);
	records("second");
	assert_int_equal(rco_opt_out(b, NULL, NULL), RCO_OK);
	second_look();
	assert_false(t_exists(path));
	assert_int_equal(t_status(&w, "second"), RCO_STATUS_VERIFIED);
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

static void test_a_kept_file_made_room(void **state)
{
	(void)state;
	a_kept_file_made_room(0);
	a_kept_file_made_room(1);
}

/* ---- a store of the host's own: nothing can be looked at, and the name alone counts ---- */

static void test_a_store_of_the_hosts(void **state)
{
	rco_session *a, *b, *c;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	a = call("first");
	b = call("second");
	c = call("third");
	assert_int_equal(rco_session_register_artifact(a, RCO_KIND_AUDIO, "bucket/x", "v1"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(b, RCO_KIND_AUDIO, "bucket/x", "v2"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(c, RCO_KIND_AUDIO, "bucket/x", "v1"), RCO_E_BUSY);
	assert_int_equal(rco_session_register_artifact(c, RCO_KIND_AUDIO, "bucket/x", NULL), RCO_E_BUSY);
	assert_int_equal(rco_session_register_artifact(c, RCO_KIND_AUDIO, "bucket/y", NULL), RCO_OK);
	assert_int_equal(rco_session_end(a), RCO_OK);
	t_advance(&w, 20000);
	assert_int_equal(rco_session_register_artifact(c, RCO_KIND_AUDIO, "bucket/x", "v1"), RCO_E_BUSY);
	rco_session_free(a);
	rco_session_free(b);
	rco_session_free(c);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_look_spares_the_next_call),
		cmocka_unit_test(test_of_the_same_call_id),
		cmocka_unit_test(test_after_a_restart),
		cmocka_unit_test(test_after_a_restart_when_the_next_is_kept),
		cmocka_unit_test(test_the_next_call_objects_too),
		cmocka_unit_test(test_what_nobody_registered_is_a_late_copy),
		cmocka_unit_test(test_two_live_calls),
		cmocka_unit_test(test_versions_in_a_folder),
		cmocka_unit_test(test_second_look_at_another_version),
		cmocka_unit_test(test_versions_where_the_hosts_table_declines),
		cmocka_unit_test(test_two_names_of_one_file),
		cmocka_unit_test(test_before_it_is_erased),
		cmocka_unit_test(test_a_call_that_goes_on_after_a_restart),
		cmocka_unit_test(test_a_kept_file_stays),
		cmocka_unit_test(test_a_kept_file_made_room),
		cmocka_unit_test(test_a_store_of_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
