/* SPDX-License-Identifier: MIT */
/*
 * P8 scope: an opt-out touches this call and no other. Call record and statistics are kept; transcripts and
 * analytics follow the host's own policy unless the engine is told to include them.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

static void file_of_host(t_world *w, const char *name, char *path, size_t size)
{
	t_join(path, size, w->artifacts, name);
	t_write_file(path, name, strlen(name));
}

static void test_other_calls_are_untouched(void **state)
{
	rco_session *s[9];
	char id[32];
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	for (i = 0; i < 9; i++) {
		(void)snprintf(id, sizeof id, "call-%zu", i);
		s[i] = t_call(&w, id);
		t_push(s[i], 0, 100 + i, 0, 30);
		t_push(s[i], 1, 200 + i, 0, 30);
	}
	t_advance(&w, 300); /* all share a segment of the spool now */
	assert_int_equal(rco_opt_out(s[1], NULL, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s[4], NULL, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s[7], NULL, NULL), RCO_OK);
	t_settle(&w);
	for (i = 0; i < 9; i++) {
		int out = i % 3 == 1;

		assert_int_equal(t_push_one(s[i], 0, 1), out ? RCO_E_OPTED_OUT : RCO_OK);
		if (!out)
			t_push(s[i], 1, 200 + i, 30, 10);
		assert_int_equal(rco_session_end(s[i]), RCO_OK);
		rco_session_free(s[i]);
	}
	t_await(&w, NULL, RCO_EVENT_STORED, 6);
	t_await(&w, NULL, RCO_EVENT_VERIFIED, 3);
	t_await(&w, NULL, RCO_EVENT_CALL_RECORD, 9);
	for (i = 0; i < 9; i++) {
		(void)snprintf(id, sizeof id, "call-%zu", i);
		assert_int_equal(t_store_has_noise(&w, id, "agent", 200 + i, 40), i % 3 != 1);
	}
	assert_int_equal(t_store_count(&w, ".wav"), 12);
	t_world_destroy(&w);
}

static void test_call_records_are_kept(void **state)
{
	static const char *const ids[] = {"kept", "opted-out", "never-started"};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "never-started"};
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	char live[8192];
	rco_session *s[3];
	size_t len = 0;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, T_DISK);
	t_world_open(&w);
	s[0] = t_call(&w, ids[0]);
	s[1] = t_call(&w, ids[1]);
	s[2] = t_call_with(&w, &o);
	t_push(s[0], 0, 1, 0, 30);
	t_push(s[1], 0, 1, 0, 30);
	t_advance(&w, 7000);
	assert_int_equal(rco_opt_out(s[1], NULL, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s[2], NULL, NULL), RCO_OK);
	t_advance(&w, 5000);
	/* statistics of an opted-out call stay readable */
	assert_int_equal(rco_session_get_stats(s[1], &st), RCO_OK);
	assert_int_equal(st.accepted_frames, 30);
	assert_int_equal(st.accepted_bytes, 30 * T_FRAME);
	assert_true(st.stopped_us > st.started_us && st.started_us >= st.created_us);
	assert_int_equal(rco_session_call_record(s[1], live, sizeof live, &len), RCO_OK);
	assert_int_equal(len, strlen(live));
	assert_non_null(strstr(live, "\"opted-out\""));
	for (i = 0; i < 3; i++) {
		assert_int_equal(rco_session_end(s[i]), RCO_OK);
		rco_session_free(s[i]);
	}
	t_await(&w, NULL, RCO_EVENT_CALL_RECORD, 3);
	t_advance(&w, 120000);
	for (i = 0; i < 3; i++) {
		char *record = t_store_record(&w, ids[i]);

		assert_non_null(record);
		assert_non_null(strstr(record, "duration"));
		/* one line */
		assert_true(strcspn(record, "\n") + 1 >= strlen(record));
		if (i == 0)
			assert_null(strstr(record, "receipt"));
		else
			assert_non_null(strstr(record, "receipt"));
		free(record);
	}
	assert_int_equal(t_store_count(&w, ".wav"), 1);
	t_world_destroy(&w);
}

/* Which of the host's files of each kind are gone after an opt-out. */
static void opt_out_with_kinds(uint32_t erase_kinds, int transcript_gone, int analytics_gone)
{
	static const uint32_t kinds[] = {RCO_KIND_AUDIO, RCO_KIND_TRANSCRIPT, RCO_KIND_ANALYTICS,
	                                 RCO_KIND_METADATA};
	char path[4][256], late[4][256], name[32];
	rco_session *s;
	t_world w;
	int i;

	t_world_init(&w, T_DISK);
	w.cfg.erase_kinds = erase_kinds;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	for (i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "early-%d", i);
		file_of_host(&w, name, path[i], sizeof path[i]);
		assert_int_equal(rco_session_register_artifact(s, kinds[i], path[i], NULL), RCO_OK);
	}
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	for (i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "late-%d", i);
		file_of_host(&w, name, late[i], sizeof late[i]);
		assert_int_equal(rco_session_register_artifact(s, kinds[i], late[i], NULL), RCO_OK);
	}
	t_advance(&w, 1000);
	t_advance(&w, 70000);
	for (i = 0; i < 4; i++) {
		int gone = i == 0 || (i == 1 && transcript_gone) || (i == 2 && analytics_gone);

		assert_int_equal(t_exists(path[i]), !gone);
		assert_int_equal(t_exists(late[i]), !gone);
	}
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_kinds(void **state)
{
	(void)state;
	opt_out_with_kinds(0, 0, 0);
	opt_out_with_kinds(RCO_KIND_TRANSCRIPT, 1, 0);
	opt_out_with_kinds(RCO_KIND_TRANSCRIPT | RCO_KIND_ANALYTICS, 1, 1);
}

/* A call without an opt-out keeps its artifacts, whatever they are. */
static void test_artifacts_of_kept_calls_stay(void **state)
{
	char path[256];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK);
	w.cfg.erase_kinds = RCO_KIND_TRANSCRIPT | RCO_KIND_ANALYTICS;
	t_world_open(&w);
	s = t_call(&w, "call");
	file_of_host(&w, "mix.wav", path, sizeof path);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 15000);
	t_advance(&w, 120000);
	assert_true(t_exists(path));
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_calls_are_untouched),
		cmocka_unit_test(test_call_records_are_kept),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_artifacts_of_kept_calls_stay),
	};

	return cmocka_run_group_tests_name("P8 scope", tests, NULL, NULL);
}
