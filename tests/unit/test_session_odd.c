/* SPDX-License-Identifier: MIT */
/* Sessions asked for what is not possible, twice, too late, or at a bad moment: what each is answered, and that
 * nothing is changed by it. */
#include "../support.h"

/* ---- arguments ---- */

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
	bad[0].flags = 1;
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
		w.cfg = good;
		switch (i) {
		case 0:
			w.cfg.upload = NULL;
			w.cfg.output_dir = NULL;
			break;
		case 1:
			w.cfg.deletion = NULL;
			w.cfg.output_dir = NULL;
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
			w.cfg.reserved0 = 1;
			break;
		case 8:
			w.cfg.retry_min_ms = 2;
			w.cfg.retry_max_ms = 1;
			break;
		default:
			w.cfg.erase_kinds = RCO_KIND_METADATA;
		}
		assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
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
	assert_int_equal(rco_engine_unlisten(NULL, t_events_receive, NULL), RCO_E_INVALID);
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
	char long_version[1025];
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

/* ---- consent ---- */

static rco_session *asking(t_world *w, const char *id)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = id, .consent = RCO_CONSENT_ASK_FIRST};

	return t_call_with(w, &o);
}

static void test_consent_twice_and_late(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	/* granted before the start, and again: told once */
	s = asking(&w, "twice");
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "twice", RCO_EVENT_CONSENT), 1);
	assert_int_equal(t_events_count(&w.events, "twice", RCO_EVENT_STARTED), 1);
	/* declined twice is declined; a grant then comes too late */
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	/* after the end a grant starts nothing; a refusal still counts, within the window, and not after it */
	s = asking(&w, "late");
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_ENDED);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	rco_session_free(s);
	s = t_call(&w, "over");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "over", RCO_EVENT_STORED, 1);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_E_ENDED);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_ENDED);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A clock of the host's that runs backwards opens no window again. */
static void test_window_and_a_clock_that_runs_backwards(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "over");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "over", RCO_EVENT_STORED, 1);
	atomic_fetch_sub(&w.clock.mono_us, (int64_t)3600 * 1000000);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_E_ENDED);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- states ---- */

static void test_states_of_calls_that_were_never_recorded(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "empty"};
	rco_session *s = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_E_NOT_STARTED);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_E_ENDED);
	t_advance(&w, 20000);
	assert_int_equal(t_state(s), RCO_STATE_CLOSED);
	rco_session_free(s);
	o.call_id = "silent";
	s = t_call(&w, "silent");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 20000);
	assert_int_equal(t_state(s), RCO_STATE_CLOSED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A buffer that cannot erase for now: the state says what is so at each moment. */
static void test_states_of_an_erasure(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "erased");
	t_push(s, 0, 1, 0, 5);
	t_advance(&w, 500);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 2, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_state(s), RCO_STATE_ERASE_PENDING);
	assert_int_equal(t_status(&w, "erased"), RCO_STATUS_PENDING);
	t_await(&w, "erased", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_state(s), RCO_STATE_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Waiting for an erasure that a hold puts off ends at once, with what is so. */
static void test_waiting_for_what_is_held(void **state)
{
	rco_session_options so = {.struct_size = (uint32_t)sizeof so, .call_id = "held", .legal_hold = 1};
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .wait_status = RCO_STATUS_ERASED, .timeout_ms = 999};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	s = t_call_with(&w, &so);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_E_TIMEOUT);
	assert_non_null(strstr(rco_error_detail(), "held"));
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	o.timeout_ms = 20000;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_OK);
	o.wait_status = RCO_STATUS_VERIFIED;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_OK);
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
	o.flags = 2;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_E_INVALID);
	o.flags = 0;
	o.reserved = &w;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_E_INVALID);
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

/* ---- freeing ---- */

/* A handle that is given back after its engine, or twice in between, does no harm. */
static void test_handles_outlive_their_engine(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL);
	t_world_open(&w);
	s = t_call(&w, "outlives");
	t_push(s, 0, 1, 0, 5);
	t_world_close(&w);
	assert_int_equal(rco_session_end(s), RCO_E_HANDLE);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_HANDLE);
	assert_int_equal(rco_session_pause(s), RCO_E_HANDLE);
	rco_session_free(s);
	t_world_open(&w);
	t_await(&w, "outlives", RCO_EVENT_STORED, 1);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_options),
		cmocka_unit_test(test_engine_options),
		cmocka_unit_test(test_null_and_numbers),
		cmocka_unit_test(test_longest_waits),
		cmocka_unit_test(test_artifact_arguments),
		cmocka_unit_test(test_consent_twice_and_late),
		cmocka_unit_test(test_window_and_a_clock_that_runs_backwards),
		cmocka_unit_test(test_states_of_calls_that_were_never_recorded),
		cmocka_unit_test(test_states_of_an_erasure),
		cmocka_unit_test(test_waiting_for_what_is_held),
		cmocka_unit_test(test_opt_out_options),
		cmocka_unit_test(test_handles_outlive_their_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
