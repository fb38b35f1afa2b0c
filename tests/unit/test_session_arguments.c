/* SPDX-License-Identifier: MIT */
/* Sessions and engines asked for what is not possible: what each is answered, and that nothing is changed by it.
 */
#include "../support.h"

static void test_session_options(void **state)
{
	static const rco_session_options good = {.struct_size = (uint32_t)sizeof good, .call_id = "odd"};
	rco_session_options bad[7];
	rco_session *s = NULL;
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	for (i = 0; i < 7; i++)
		bad[i] = good;
	bad[0].flags = 1u << 31;
	bad[1].consent = RCO_CONSENT_OFF + 1;
	bad[2].opt_out = RCO_OPT_OUT_DISABLED + 1;
	bad[3].legal_hold = 2;
	bad[4].reserved0 = 1;
	bad[5].reserved1 = &w;
	bad[6].struct_size = 3;
	for (i = 0; i < 7; i++) {
		int rc = rco_session_create(w.engine, &bad[i], &s);

		assert_true(rc == RCO_E_INVALID || rc == RCO_E_NEWER || rc == RCO_E_STRUCT_SIZE);
		assert_null(s);
	}
	assert_int_equal(rco_session_create(w.engine, &good, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_create(w.engine, &good, &s), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_engine_options(void **state)
{
	rco_engine_config good;
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_world_close(&w);
	good = w.cfg;
	for (i = 0; i < 10; i++) {
		int expected = RCO_E_INVALID;

		w.cfg = good;
		switch (i) {
		case 0:
			w.cfg.upload = NULL;
			w.cfg.output_dir = NULL;
			break;
		case 1:
			w.cfg.deletion = NULL;
			w.cfg.output_dir = NULL;
			expected = RCO_E_OPS;
			break;
		case 2:
			w.cfg.opt_out_enabled = 2;
			break;
		case 3:
			w.cfg.consent = RCO_CONSENT_OFF + 1;
			break;
		case 4:
			w.cfg.export_format = RCO_EXPORT_WAV_ZST + 1;
			break;
		case 5:
			w.cfg.export_layout = RCO_LAYOUT_STEREO + 1;
			break;
		case 6:
			w.cfg.workers = 65;
			break;
		case 7:
			w.cfg.reserved1 = 1;
			expected = RCO_E_NEWER;
			break;
		case 8:
			w.cfg.retry_min_ms = 2;
			w.cfg.retry_max_ms = 1;
			break;
		default:
			w.cfg.erase_kinds = RCO_KIND_METADATA;
		}
		assert_int_equal(t_world_try_open(&w), expected);
		assert_true(rco_error_detail()[0] != '\0');
	}
	/* one of the two limits alone is put beside the other's default */
	w.cfg = good;
	w.cfg.retry_max_ms = 60000;
	t_world_open(&w);
	t_world_close(&w);
	w.cfg = good;
	w.cfg.retry_min_ms = 1000;
	t_world_open(&w);
	t_world_destroy(&w);
}

static void test_null_and_numbers(void **state)
{
	char buf[16];
	uint32_t ms;
	int32_t fd;
	size_t len;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "odd");
	assert_int_equal(rco_session_set_consent(s, 2), RCO_E_INVALID);
	assert_int_equal(rco_session_set_consent(s, -1), RCO_E_INVALID);
	assert_int_equal(rco_session_set_legal_hold(s, 2), RCO_E_INVALID);
	assert_int_equal(rco_session_set_legal_hold(s, -1), RCO_E_INVALID);
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 2), RCO_E_INVALID);
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, -1), RCO_E_INVALID);
	assert_int_equal(rco_engine_opt_out_enabled(w.engine), 1);
	assert_int_equal(rco_session_call_record(s, NULL, 1, &len), RCO_E_INVALID);
	assert_int_equal(rco_session_call_record(s, buf, sizeof buf, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_call_record(s, NULL, 0, &len), RCO_E_LIMIT);
	assert_int_equal(rco_engine_public_key(w.engine, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_receipt(s, NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_receipt(w.engine, "odd", NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_poll(w.engine, NULL, &ms), RCO_E_INVALID);
	assert_int_equal(rco_engine_poll(w.engine, &fd, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(s, "third", RCO_FORMAT_PCMU_8K, NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_remove_listener(NULL, t_events_receive, NULL), RCO_E_INVALID);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The longest waits that can be asked for end at once if there is nothing to wait for. */
static void test_longest_waits(void **state)
{
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(rco_engine_wait_idle(w.engine, 0xffffffffu), RCO_OK);
	assert_int_equal(rco_engine_wait_idle(w.engine, 999), RCO_OK);
	t_world_destroy(&w);
}

static void test_artifact_arguments(void **state)
{
	char long_version[1026]; /* one byte too many */
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
	t_world_open(&w);
	s = t_call(&w, "odd");
	memset(long_version, 'v', sizeof long_version - 1);
	long_version[sizeof long_version - 1] = '\0';
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "/x/y.wav", long_version),
	                 RCO_E_INVALID);
	/* the engine's own directory understands absolute paths only, and says so now instead of at the erasure */
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "y.wav", NULL), RCO_E_INVALID);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_opt_out_options(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "odd");
	o.flags = RCO_OPT_OUT_RECORDER_ASKED << 1;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_E_NEWER);
	o.flags = 0;
	o.reserved = &w;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_E_NEWER);
	o.reserved = NULL;
	o.source = "Not a source";
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_E_INVALID);
	o.source = NULL;
	o.wait_status = RCO_STATUS_DURABLE;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_E_INVALID);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_options),    cmocka_unit_test(test_engine_options),
		cmocka_unit_test(test_null_and_numbers),   cmocka_unit_test(test_longest_waits),
		cmocka_unit_test(test_artifact_arguments), cmocka_unit_test(test_opt_out_options),
	};

	return cmocka_run_group_tests_name("arguments of sessions and engines", tests, NULL, NULL);
}
