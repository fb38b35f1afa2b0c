/* SPDX-License-Identifier: MIT */
/* The session's states, formats, legs, statistics and call record, seen from outside. */
#include "../support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void test_life_of_a_kept_call(void **state)
{
	static const uint32_t told[] = {RCO_EVENT_STARTED,    RCO_EVENT_PAUSED,         RCO_EVENT_RESUMED,
	                                RCO_EVENT_ENDED,      RCO_EVENT_UPLOAD_STARTED, RCO_EVENT_STORED,
	                                RCO_EVENT_CALL_RECORD};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call"};
	rco_session *s;
	t_event e;
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(t_state(s), RCO_STATE_IDLE);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_NOT_STARTED);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_PAUSED);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_PAUSED);
	assert_int_equal(rco_session_resume(s), RCO_OK);
	assert_int_equal(rco_session_resume(s), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	t_push(s, 0, 1, 10, 10); /* pauses are left out, not filled */
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_true(t_state(s) == RCO_STATE_ENDED || t_state(s) == RCO_STATE_UPLOADING);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_ENDED);
	t_settle(&w);
	assert_int_equal(t_state(s), RCO_STATE_UPLOADING);
	t_advance(&w, 10100);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 20));
	assert_int_equal(t_store_count(&w, ".wav"), 1); /* the other leg had no audio */
	for (i = 0; i < sizeof told / sizeof told[0]; i++)
		assert_int_equal(t_events_count(&w.events, "call", told[i]), 1);
	assert_true(t_events_last(&w.events, "call", RCO_EVENT_STORED, &e));
	assert_int_equal(e.count, 1);
	assert_int_equal(e.status, 0);
	assert_string_equal(e.receipt_id, "");
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_nothing_recorded(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "silent");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 10100);
	t_await(&w, "silent", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_state(s), RCO_STATE_CLOSED);
	assert_int_equal(t_store_audio(&w), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Each format comes back bit by bit; G.711 stays G.711. */
static void test_formats(void **state)
{
	static const struct {
		uint32_t format, rate, bytes;
		uint8_t tag;
	} formats[] = {{RCO_FORMAT_PCMU_8K, 8000, 1, 7},  {RCO_FORMAT_PCMA_8K, 8000, 1, 6},
	               {RCO_FORMAT_S16_8K, 8000, 2, 1},   {RCO_FORMAT_S16_16K, 16000, 2, 1},
	               {RCO_FORMAT_S16_24K, 24000, 2, 1}, {RCO_FORMAT_S16_48K, 48000, 2, 1}};
	uint8_t frame[1920];
	size_t i, k;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	for (i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		size_t size = formats[i].rate / 50 * formats[i].bytes, total = 0, file_size = 0, n = 0;
		rco_session_options o = {.struct_size = (uint32_t)sizeof o};
		char id[32], name[256], key[300];
		rco_session *s;
		uint8_t *file, *samples;
		uint32_t leg;

		assert_int_equal(rco_format_rate_hz(formats[i].format), formats[i].rate);
		assert_int_equal(rco_format_sample_bytes(formats[i].format), formats[i].bytes);
		(void)snprintf(id, sizeof id, "format-%zu", i);
		o.call_id = id;
		assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
		assert_int_equal(rco_session_add_leg(s, "x", formats[i].format, &leg), RCO_OK);
		assert_int_equal(rco_session_start(s), RCO_OK);
		for (k = 0; k < 25; k++, total += size) {
			t_noise(i, total, frame, size);
			assert_int_equal(rco_session_push(s, leg, formats[i].format, frame, size), RCO_OK);
		}
		assert_int_equal(rco_session_end(s), RCO_OK);
		rco_session_free(s);
		t_await(&w, id, RCO_EVENT_CALL_RECORD, 1);
		assert_true(t_store_name(&w, id, name, sizeof name));
		(void)snprintf(key, sizeof key, "%s.x.wav", name);
		file = t_store_get(&w, key, &file_size);
		assert_non_null(file);
		assert_int_equal(file[20], formats[i].tag);
		samples = (uint8_t *)(uintptr_t)t_wav_samples(file, file_size, &n);
		assert_non_null(samples);
		assert_int_equal(n, total);
		t_stored_order(samples, n, formats[i].bytes);
		assert_true(t_is_noise(i, samples, n));
		free(file);
	}
	assert_int_equal(rco_format_rate_hz(0), 0);
	assert_int_equal(rco_format_rate_hz(7), 0);
	assert_int_equal(rco_format_sample_bytes(99), 0);
	t_world_destroy(&w);
}

static void test_stereo(void **state)
{
	const uint8_t *samples;
	size_t size = 0, n = 0, i;
	char name[256], key[300];
	uint8_t *file, left[30 * T_FRAME], right[20 * T_FRAME];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.export_layout = RCO_LAYOUT_STEREO;
	t_world_open(&w);
	s = t_call(&w, "stereo");
	t_push(s, 0, 1, 0, 30);
	t_push(s, 1, 2, 0, 20);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "stereo", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_store_count(&w, ".wav"), 1);
	assert_true(t_store_name(&w, "stereo", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.stereo.wav", name);
	file = t_store_get(&w, key, &size);
	assert_non_null(file);
	samples = t_wav_samples(file, size, &n);
	assert_non_null(samples);
	assert_int_equal(n, 2 * sizeof left);
	t_noise(1, 0, left, sizeof left);
	t_noise(2, 0, right, sizeof right);
	for (i = 0; i < sizeof left; i++) {
		assert_int_equal(samples[2 * i], left[i]);
		assert_int_equal(samples[2 * i + 1], i < sizeof right ? right[i] : 0xff); /* mu-law silence */
	}
	free(file);
	t_world_destroy(&w);
}

static void test_legs(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "legs"};
	char label[40] = "a123456789012345678901234567890"; /* 31 */
	uint32_t leg = 0, i;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, label, RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(leg, 0);
	assert_int_equal(rco_session_add_leg(s, label, RCO_FORMAT_PCMU_8K, &leg), RCO_E_INVALID); /* twice */
	label[31] = 'x';
	assert_int_equal(rco_session_add_leg(s, label, RCO_FORMAT_PCMU_8K, &leg), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(s, "", RCO_FORMAT_PCMU_8K, &leg), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(s, "Upper", RCO_FORMAT_PCMU_8K, &leg), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(s, "a/b", RCO_FORMAT_PCMU_8K, &leg), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(s, "..", RCO_FORMAT_PCMU_8K, &leg), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(s, NULL, RCO_FORMAT_PCMU_8K, &leg), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(s, "x", 0, &leg), RCO_E_FORMAT);
	assert_int_equal(rco_session_add_leg(s, "x", 7, &leg), RCO_E_FORMAT);
	assert_int_equal(rco_session_start(s), RCO_OK);
	for (i = 1; i < RCO_MAX_LEGS; i++) { /* during recording, too */
		(void)snprintf(label, sizeof label, "leg-%u", i);
		assert_int_equal(rco_session_add_leg(s, label, RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
		assert_int_equal(leg, i);
		t_push(s, leg, i, 0, 5);
	}
	assert_int_equal(rco_session_add_leg(s, "ninth", RCO_FORMAT_PCMU_8K, &leg), RCO_E_LIMIT);
	assert_int_equal(rco_session_push(s, 8, RCO_FORMAT_PCMU_8K, "x", 1), RCO_E_INVALID);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "late", RCO_FORMAT_PCMU_8K, &leg), RCO_E_ENDED);
	rco_session_free(s);
	t_await(&w, "legs", RCO_EVENT_STORED, 1);
	assert_int_equal(t_store_count(&w, ".wav"), 7);
	t_world_destroy(&w);
}

static void test_statistics_and_record(void **state)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_engine_stats es = {.struct_size = (uint32_t)sizeof es};
	char text[8192], tiny[4];
	size_t len = 0, again = 0;
	rco_session *s;
	json_t *root;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "counted");
	t_push(s, 0, 1, 0, 50);
	t_push(s, 1, 2, 0, 25);
	assert_int_equal(rco_engine_get_stats(w.engine, &es), RCO_OK);
	assert_int_equal(es.sessions_open, 1);
	assert_int_equal(es.sessions_recording, 1);
	assert_true(es.ring_bytes_free < es.ring_bytes_total);
	t_advance(&w, 1500);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.struct_size, sizeof st);
	assert_int_equal(st.legs, 2);
	assert_int_equal(st.accepted_frames, 75);
	assert_int_equal(st.accepted_bytes, 75 * T_FRAME);
	assert_int_equal(st.buffered_bytes, 75 * T_FRAME);
	assert_int_equal(st.overflowed_frames, 0);
	assert_int_equal(st.ended_us, 0);
	assert_int_equal(st.stopped_us, 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.ended_us - st.started_us, 1500000);

	assert_int_equal(rco_session_call_record(s, NULL, 0, &len), RCO_E_LIMIT);
	assert_int_equal(rco_session_call_record(s, tiny, sizeof tiny, &again), RCO_E_LIMIT);
	assert_int_equal(len, again);
	assert_true(len > 0 && len < sizeof text);
	assert_int_equal(rco_session_call_record(s, text, len, &again), RCO_E_LIMIT); /* no room for the NUL */
	assert_int_equal(rco_session_call_record(s, text, len + 1, &again), RCO_OK);
	assert_int_equal(strlen(text), len);
	assert_null(strchr(text, '\n'));
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "call_id")), "counted");
	assert_int_equal(json_array_size(json_object_get(root, "legs")), 2);
	json_decref(root);
	rco_session_free(s);
	t_settle(&w);
	assert_int_equal(rco_engine_get_stats(w.engine, &es), RCO_OK);
	assert_int_equal(es.sessions_open, 0);
	assert_int_equal(es.uploads_pending, 1);
	t_await(&w, "counted", RCO_EVENT_CALL_RECORD, 1);
	t_settle(&w);
	assert_int_equal(rco_engine_get_stats(w.engine, &es), RCO_OK);
	assert_int_equal(es.uploads_pending, 0);
	assert_int_equal(es.ring_bytes_free, es.ring_bytes_total);
	t_world_destroy(&w);
}

/* Only what the caller has room for is written. */
static void test_statistics_of_an_older_caller(void **state)
{
	rco_session_stats st;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "old");
	memset(&st, 0xee, sizeof st);
	st.struct_size = 8;
	assert_int_equal(rco_session_get_stats(s, &st), RCO_E_STRUCT_SIZE);
	assert_int_equal(((uint8_t *)&st)[16], 0xee);
	st.struct_size = 5000;
	assert_int_equal(rco_session_get_stats(s, &st), RCO_E_STRUCT_SIZE);
	assert_int_equal(rco_session_get_stats(s, NULL), RCO_E_INVALID);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Freeing the handle ends the call; what was recorded is stored. */
static void test_free_ends_the_call(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "freed");
	t_push(s, 0, 1, 0, 10);
	rco_session_free(s);
	rco_session_free(NULL);
	t_await(&w, "freed", RCO_EVENT_ENDED, 1);
	t_await(&w, "freed", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "freed", "caller", 1, 10));
	t_world_destroy(&w);
}

/* Sessions may be freed after their engine; calls on them then answer. */
static void test_engine_goes_first(void **state)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	t_world_close(&w);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_HANDLE);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_E_HANDLE);
	assert_int_equal(rco_session_end(s), RCO_E_HANDLE);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_E_HANDLE);
	rco_session_free(s);
	/* a clean shut-down loses nothing: what was in the rings is taken up */
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 10));
	t_world_destroy(&w);
}

/* A receipt may outlive everything. */
static void test_receipt_outlives_the_engine(void **state)
{
	char json[RCO_RECEIPT_JSON_MAX];
	rco_receipt *r = NULL;
	uint8_t key[32];
	size_t len = 0;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_engine_public_key(w.engine, key), RCO_OK);
	s = t_call(&w, "call");
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
	assert_string_equal(rco_receipt_call_id(r), "call");
	assert_string_equal(rco_receipt_source(r), "api");
	assert_int_equal(rco_receipt_to_json(r, json, sizeof json, &len), RCO_OK);
	assert_int_equal(rco_receipt_verify(json, len, key, NULL), RCO_OK);
	rco_receipt_free(r);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(rco_session_state_name(RCO_STATE_RECORDING), "recording");
	assert_string_equal(rco_session_state_name(0), "unknown");
	assert_string_equal(rco_session_state_name(99), "unknown");
	assert_string_equal(rco_status_name(RCO_STATUS_VERIFIED), "verified");
	assert_string_equal(rco_status_name(99), "unknown");
	assert_string_equal(rco_event_name(RCO_EVENT_VERIFIED), "verified");
	assert_string_equal(rco_event_name(99), "unknown");
}

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

/* A buffer that fails to erase, and then does: the state says what is so at each moment. */
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
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	assert_int_equal(t_status(&w, "erased"), RCO_STATUS_RETRYING);
	t_await(&w, "erased", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

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
		cmocka_unit_test(test_life_of_a_kept_call),
		cmocka_unit_test(test_nothing_recorded),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_stereo),
		cmocka_unit_test(test_legs),
		cmocka_unit_test(test_statistics_and_record),
		cmocka_unit_test(test_statistics_of_an_older_caller),
		cmocka_unit_test(test_free_ends_the_call),
		cmocka_unit_test(test_engine_goes_first),
		cmocka_unit_test(test_receipt_outlives_the_engine),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_states_of_calls_that_were_never_recorded),
		cmocka_unit_test(test_states_of_an_erasure),
		cmocka_unit_test(test_handles_outlive_their_engine),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
