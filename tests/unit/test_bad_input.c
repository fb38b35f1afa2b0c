/* SPDX-License-Identifier: MIT */
/* Bad input: each has its own documented error and loses nothing. What happens to files is in test_bad_files.c. */
#include "../support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- handles ---- */

static void test_null_handles(void **state)
{
	rco_session_options so = {.struct_size = (uint32_t)sizeof so, .call_id = "x"};
	rco_session_stats ss = {.struct_size = (uint32_t)sizeof ss};
	rco_engine_stats es = {.struct_size = (uint32_t)sizeof es};
	rco_receipt *r = NULL;
	rco_session *s = NULL;
	uint8_t key[32];
	uint32_t n = 0;
	size_t len = 0;
	int32_t fd = 0;

	(void)state;
	assert_int_equal(rco_engine_create(NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_create(NULL, &so, &s), RCO_E_INVALID);
	assert_int_equal(rco_session_add_leg(NULL, "x", 1, &n), RCO_E_INVALID);
	assert_int_equal(rco_session_start(NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_push(NULL, 0, 1, "x", 1), RCO_E_INVALID);
	assert_int_equal(rco_session_pause(NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_resume(NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_end(NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_set_consent(NULL, 1), RCO_E_INVALID);
	assert_int_equal(rco_session_set_legal_hold(NULL, 1), RCO_E_INVALID);
	assert_int_equal(rco_session_register_artifact(NULL, RCO_KIND_AUDIO, "x", NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_get_stats(NULL, &ss), RCO_E_INVALID);
	assert_int_equal(rco_session_call_record(NULL, NULL, 0, &len), RCO_E_INVALID);
	assert_int_equal(rco_session_receipt(NULL, &r), RCO_E_INVALID);
	assert_int_equal(rco_opt_out(NULL, NULL, &r), RCO_E_INVALID);
	assert_int_equal(rco_engine_opt_out(NULL, "x", NULL, &r), RCO_E_INVALID);
	assert_int_equal(rco_engine_receipt(NULL, "x", &r), RCO_E_INVALID);
	assert_int_equal(rco_engine_register_artifact(NULL, "x", RCO_KIND_AUDIO, "x", NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_lift_legal_hold(NULL, "x"), RCO_E_INVALID);
	assert_int_equal(rco_engine_set_opt_out_enabled(NULL, 1), RCO_E_INVALID);
	assert_int_equal(rco_engine_opt_out_enabled(NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_run(NULL, 0, 0), RCO_E_INVALID);
	assert_int_equal(rco_engine_poll(NULL, &fd, &n), RCO_E_INVALID);
	assert_int_equal(rco_engine_wait_idle(NULL, 0), RCO_E_INVALID);
	assert_int_equal(rco_engine_get_stats(NULL, &es), RCO_E_INVALID);
	assert_int_equal(rco_engine_public_key(NULL, key), RCO_E_INVALID);
	assert_int_equal(rco_op_complete(NULL, 1, 0, NULL), RCO_E_INVALID);
	assert_int_equal(rco_receipt_status(NULL), RCO_STATUS_UNKNOWN);
	assert_int_equal(rco_receipt_facts(NULL), 0);
	assert_int_equal(rco_receipt_time_us(NULL, RCO_TIME_STOPPED), 0);
	assert_int_equal(rco_receipt_to_json(NULL, NULL, 0, &len), RCO_E_INVALID);
	rco_session_free(NULL);
	rco_engine_free(NULL);
	rco_receipt_free(NULL);
}

/* Memory that is no handle: zeros, and one handle given for another. */
static void test_wrong_magic(void **state)
{
	_Alignas(64) static uint8_t zeros[8192];
	void *bad = zeros;
	rco_session *s;
	t_world w;

	(void)state;
	assert_int_equal(rco_session_start(bad), RCO_E_HANDLE);
	assert_int_equal(rco_session_push(bad, 0, RCO_FORMAT_PCMU_8K, "x", 1), RCO_E_HANDLE);
	assert_int_equal(rco_opt_out(bad, NULL, NULL), RCO_E_HANDLE);
	assert_int_equal(rco_engine_run(bad, 0, 0), RCO_E_HANDLE);
	assert_int_equal(rco_engine_opt_out(bad, "x", NULL, NULL), RCO_E_HANDLE);
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_start((rco_session *)(void *)w.engine), RCO_E_HANDLE);
	assert_int_equal(rco_engine_run((rco_engine *)(void *)s, 0, 0), RCO_E_HANDLE);
	rco_session_free(s);
	assert_int_equal(rco_session_start(s), RCO_E_HANDLE); /* just freed */
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_HANDLE);
	t_world_destroy(&w);
}

/* ---- structs and tables ---- */

static void test_struct_sizes(void **state)
{
	struct {
		rco_engine_config cfg;
		uint8_t beyond[64];
	} newer;
	rco_engine *e = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.struct_size = 0;
	assert_int_equal(t_world_try_open(&w), RCO_E_STRUCT_SIZE);
	w.cfg.struct_size = 16;
	assert_int_equal(t_world_try_open(&w), RCO_E_STRUCT_SIZE);
	w.cfg.struct_size = 4097;
	assert_int_equal(t_world_try_open(&w), RCO_E_STRUCT_SIZE);
	w.cfg.struct_size = 0xffffffffu;
	assert_int_equal(t_world_try_open(&w), RCO_E_STRUCT_SIZE);
	w.cfg.struct_size = (uint32_t)sizeof w.cfg;
	memset(&newer, 0, sizeof newer);
	newer.cfg = w.cfg;
	newer.cfg.struct_size = (uint32_t)sizeof newer;
	newer.beyond[63] = 1;
	assert_int_equal(rco_engine_create(&newer.cfg, &e), RCO_E_NEWER);
	assert_null(e);
	newer.beyond[63] = 0; /* from the future, but not used */
	assert_int_equal(t_world_try_open(&w), RCO_OK);
	rco_engine_free(w.engine);
	w.engine = NULL;
	newer.cfg.buffer_user_data = newer.cfg.upload_user_data = newer.cfg.deletion_user_data = &w.fault;
	assert_int_equal(rco_engine_create(&newer.cfg, &w.engine), RCO_OK);
	t_world_destroy(&w);
}

static void test_config_out_of_range(void **state)
{
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.state_dir = NULL;
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.state_dir = "";
	assert_true(t_world_try_open(&w) < 0);
	w.cfg.state_dir = w.state;
	w.cfg.workers = 65;
	w.cfg.flags &= ~(uint32_t)RCO_ENGINE_HOST_DRIVEN;
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.workers = 0;
	w.cfg.flags |= RCO_ENGINE_HOST_DRIVEN;
	w.cfg.consent = 9;
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.consent = 0;
	w.cfg.export_format = 9;
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.export_format = 0;
	w.cfg.export_layout = 9;
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.export_layout = 0;
	w.cfg.erase_kinds = RCO_KIND_METADATA; /* call records are never erased */
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.erase_kinds = 0;
	w.cfg.flags |= 1u << 20;
	assert_int_equal(t_world_try_open(&w), RCO_E_NEWER);
	w.cfg.flags &= ~(1u << 20);
	t_world_open(&w); /* and nothing of that has spoilt the folder */
	t_world_destroy(&w);
}

/* Take each required slot out in turn. Slots are pointers at known offsets. */
static void test_missing_slots(void **state)
{
	static const size_t buffer_slots[] = {offsetof(rco_buffer_ops, open), offsetof(rco_buffer_ops, append),
	                                      offsetof(rco_buffer_ops, read), offsetof(rco_buffer_ops, erase)};
	static const size_t upload_slots[] = {offsetof(rco_upload_ops, begin),  offsetof(rco_upload_ops, put),
	                                      offsetof(rco_upload_ops, commit), offsetof(rco_upload_ops, abort),
	                                      offsetof(rco_upload_ops, list),   offsetof(rco_upload_ops, head)};
	static const size_t deletion_slots[] = {offsetof(rco_deletion_ops, remove),
	                                        offsetof(rco_deletion_ops, verify)};
	rco_buffer_ops b;
	rco_upload_ops u;
	rco_deletion_ops d;
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.buffer = &b;
	w.cfg.upload = &u;
	w.cfg.deletion = &d;
	b = t_fault_buffer_ops;
	u = t_fault_upload_ops;
	d = t_fault_deletion_ops;
	for (i = 0; i < sizeof buffer_slots / sizeof buffer_slots[0]; i++) {
		memset((char *)&b + buffer_slots[i], 0, sizeof(void *));
		assert_int_equal(t_world_try_open(&w), RCO_E_OPS);
		assert_string_not_equal(rco_error_detail(), "");
		b = t_fault_buffer_ops;
	}
	for (i = 0; i < sizeof upload_slots / sizeof upload_slots[0]; i++) {
		memset((char *)&u + upload_slots[i], 0, sizeof(void *));
		assert_int_equal(t_world_try_open(&w), RCO_E_OPS);
		u = t_fault_upload_ops;
	}
	for (i = 0; i < sizeof deletion_slots / sizeof deletion_slots[0]; i++) {
		memset((char *)&d + deletion_slots[i], 0, sizeof(void *));
		assert_int_equal(t_world_try_open(&w), RCO_E_OPS);
		d = t_fault_deletion_ops;
	}
	b.struct_size = 12;
	assert_int_equal(t_world_try_open(&w), RCO_E_STRUCT_SIZE);
	b.struct_size = 1u << 30;
	assert_int_equal(t_world_try_open(&w), RCO_E_STRUCT_SIZE);
	b = t_fault_buffer_ops;
	b.flush = NULL; /* optional ones may be missing */
	b.seal = NULL;
	b.revoke = NULL;
	t_world_open(&w);
	t_world_destroy(&w);
}

static void test_recorder_tables(void **state)
{
	rco_recorder_ops ops = t_recorder_ops;
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call", .recorder = &ops};
	rco_session *s = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	ops.pause = ops.resume = NULL;
	ops.stop = NULL;
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_E_OPS);
	ops.stop = t_recorder_ops.stop;
	ops.start = NULL;
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_E_OPS);
	ops.start = t_recorder_ops.start;
	ops.pause = t_recorder_ops.pause; /* without resume */
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_E_OPS);
	ops.pause = NULL;
	ops.struct_size = 4;
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_E_STRUCT_SIZE);
	assert_null(s);
	ops.struct_size = (uint32_t)sizeof ops;
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK); /* the id was not taken by the failures */
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- frames ---- */

static void test_frames(void **state)
{
	static uint8_t big[1 << 20];
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "frames"};
	rco_session *s;
	uint32_t leg;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "x", RCO_FORMAT_S16_8K, &leg), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_8K, big, 0), RCO_E_FRAME);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_8K, big, 1), RCO_E_FRAME);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_8K, big, 321), RCO_E_FRAME);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_8K, big, sizeof big), RCO_E_FRAME);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_8K, big, (size_t)-2), RCO_E_FRAME);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_8K, NULL, 320), RCO_E_INVALID);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_16K, big, 320), RCO_E_FORMAT);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_PCMU_8K, big, 320), RCO_E_FORMAT);
	assert_int_equal(rco_session_push(s, leg, 0, big, 320), RCO_E_FORMAT);
	assert_int_equal(rco_session_push(s, leg, 77, big, 320), RCO_E_FORMAT);
	assert_int_equal(rco_session_push(s, leg + 1, RCO_FORMAT_S16_8K, big, 320), RCO_E_INVALID);
	assert_int_equal(rco_session_push(s, 0xffffffffu, RCO_FORMAT_S16_8K, big, 320), RCO_E_INVALID);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.accepted_frames, 0);
	assert_int_equal(rco_session_push(s, leg, RCO_FORMAT_S16_8K, big, 2), RCO_OK); /* still fine */
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- states ---- */

static void test_twice(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_start(s), RCO_E_STATE);
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_E_ENDED);
	assert_int_equal(rco_session_start(s), RCO_E_ENDED);
	assert_int_equal(rco_session_pause(s), RCO_E_ENDED);
	assert_int_equal(rco_session_resume(s), RCO_E_ENDED);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_ENDED);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 10));
	s = t_call(&w, "call-2");
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_pause(s), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_E_ENDED);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_options_of_the_request(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	o.source = "";
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_E_INVALID);
	o.source = "an address: +49 30 1234567";
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_E_INVALID);
	o.source = "a2345678901234567890123456789012";
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_E_INVALID);
	o.source = NULL;
	o.wait_status = RCO_STATUS_DURABLE;
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_E_INVALID);
	o.wait_status = 0;
	o.flags = 1u << 9;
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_E_NEWER);
	o.flags = 0;
	o.struct_size = 3;
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_E_STRUCT_SIZE);
	assert_null(r);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK); /* nothing was done */
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_artifacts(void **state)
{
	char location[4097], version[1026] = {0};
	rco_session *s;
	t_world w;

	(void)state;
	memset(location, 'a', sizeof location);
	memset(version, 'v', sizeof version - 1);
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_register_artifact(s, 0, "x", NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_register_artifact(s, 16, "x", NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO | RCO_KIND_TRANSCRIPT, "x", NULL),
	                 RCO_E_INVALID);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "", NULL), RCO_E_INVALID);
	location[4096] = '\0';
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, location, NULL), RCO_E_INVALID);
	location[4095] = '\0';
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "versions", version), RCO_E_INVALID);
	version[1024] = '\0';
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "versions", version), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, location, NULL), RCO_OK);
	assert_int_equal(rco_engine_register_artifact(w.engine, "nobody", RCO_KIND_AUDIO, "x", NULL),
	                 RCO_E_NOT_FOUND);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	t_settle(&w);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_AUDIO, "x", NULL), RCO_E_ENDED);
	t_world_destroy(&w);
}

static char location_seen[4200], version_seen[1100];

static int note_removal(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	if (object->store != RCO_STORE_HOST)
		return t_fault_deletion_ops.remove(object, op, result, ud);
	(void)snprintf(location_seen, sizeof location_seen, "%s", object->key);
	(void)snprintf(version_seen, sizeof version_seen, "%s", object->version);
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int it_is_gone(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	if (object->store != RCO_STORE_HOST)
		return t_fault_deletion_ops.verify(object, op, result, ud);
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

/* What belongs to others is as long as they like, within what is promised; over a restart, too. */
static void test_long_names(void **state)
{
	rco_deletion_ops deletion = t_fault_deletion_ops;
	char location[4096], version[1025];
	rco_session *s;
	t_world w;

	(void)state;
	memset(location, 'l', sizeof location);
	memset(version, 'v', sizeof version);
	location[sizeof location - 1] = version[sizeof version - 1] = '\0';
	deletion.remove = note_removal;
	deletion.verify = it_is_gone;
	t_world_init(&w, T_SPOOL);
	w.cfg.deletion = &deletion;
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, location, version), RCO_OK);
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_string_equal(location_seen, location);
	assert_string_equal(version_seen, version);
	t_world_destroy(&w);
}

/* ---- call ids ---- */

static void test_call_ids(void **state)
{
	static const char *const bad[] = {"",         "\xff",      "a\xc3",        "\xc0\x80",
	                                  "a\nb",     "tab\there", "\xed\xa0\x80", "\xf5\x80\x80\x80",
	                                  "\xc2\x85", "\x7f"};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o};
	rco_session *s = NULL, *t = NULL;
	char longest[257];
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, T_DISK);
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_E_INVALID); /* NULL */
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		o.call_id = bad[i];
		assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_E_CALL_ID);
		assert_int_equal(rco_engine_opt_out(w.engine, bad[i], NULL, NULL), RCO_E_CALL_ID);
		assert_null(s);
	}
	memset(longest, 'x', sizeof longest);
	longest[256] = '\0';
	o.call_id = longest;
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_E_CALL_ID);
	longest[255] = '\0';
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_create(w.engine, &o, &t), RCO_E_CALL_EXISTS);
	assert_null(t);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_create(w.engine, &o, &t), RCO_OK); /* ended, so free again */
	rco_session_free(s);
	rco_session_free(t);

	/* ids that are no file names are good ids, and do no harm as such */
	s = t_call(&w, "../../etc/passwd%s\xe2\x98\x8e\"\\");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "../../etc/passwd%s\xe2\x98\x8e\"\\", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_store_count(&w, ".wav"), 1);
	t_world_destroy(&w);
}

/* ---- two engines ---- */

static void test_two_engines_on_one_folder(void **state)
{
	rco_engine *second = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_engine_create(&w.cfg, &second), RCO_E_BUSY);
	assert_null(second);
	assert_int_equal(t_push_one(s, 1, 1), RCO_OK); /* the first is not disturbed */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_close(&w);
	t_world_open(&w);
	t_world_destroy(&w);
}

/* ---- free during push and during opt-out ---- */

static struct race {
	rco_session *session;
	pthread_barrier_t go;
	_Atomic int bad;
} race;

static void *push_into_free(void *arg)
{
	int i, rc;

	(void)arg;
	(void)pthread_barrier_wait(&race.go);
	for (i = 0; i < 300; i++) {
		rc = t_push_one(race.session, 0, 1);
		if (rc != RCO_OK && rc != RCO_E_OVERFLOW && rc != RCO_E_ENDED && rc != RCO_E_HANDLE &&
		    rc != RCO_E_OPTED_OUT)
			atomic_store(&race.bad, rc);
	}
	return NULL;
}

static void *opt_out_into_free(void *arg)
{
	rco_receipt *r = NULL;
	int rc;

	(void)arg;
	(void)pthread_barrier_wait(&race.go);
	rc = rco_opt_out(race.session, NULL, &r);
	if (rc != RCO_OK && rc != RCO_E_ENDED && rc != RCO_E_HANDLE)
		atomic_store(&race.bad, rc);
	rco_receipt_free(r);
	return NULL;
}

static void test_free_during_push_and_opt_out(void **state)
{
	pthread_t pusher, asker;
	char id[32];
	t_world w;
	int i, k;

	(void)state;
	t_world_init(&w, T_WORKERS);
	w.cfg.late_opt_out_ms = 5;
	t_world_open(&w);
	assert_int_equal(pthread_barrier_init(&race.go, NULL, 3), 0);
	for (i = 0; i < (T_SANITIZED ? 20 : 100); i++) {
		(void)snprintf(id, sizeof id, "race-%d", i);
		race.session = t_call(&w, id);
		t_thread(&pusher, push_into_free, NULL);
		t_thread(&asker, opt_out_into_free, NULL);
		(void)pthread_barrier_wait(&race.go);
		for (k = 0; k < i % 10; k++)
			(void)sched_yield();
		rco_session_free(race.session);
		assert_int_equal(pthread_join(pusher, NULL), 0);
		assert_int_equal(pthread_join(asker, NULL), 0);
		assert_int_equal(atomic_load(&race.bad), 0);
	}
	assert_int_equal(rco_engine_wait_idle(w.engine, 60000), RCO_OK);
	(void)pthread_barrier_destroy(&race.go);
	t_world_destroy(&w);
}

/* ---- backends that answer late, twice, never; operations nobody asked for ---- */

static void test_answers_nobody_waits_for(void **state)
{
	rco_result done = {.struct_size = (uint32_t)sizeof done, .confirmed = RCO_CONFIRM_DONE};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_op_complete(w.engine, 0, RCO_OK, &done), RCO_E_STALE);
	assert_int_equal(rco_op_complete(w.engine, UINT64_MAX, RCO_OK, &done), RCO_E_STALE);
	assert_int_equal(rco_op_complete(w.engine, 12345, RCO_OK, NULL), RCO_E_STALE);
	assert_int_equal(rco_op_complete(w.engine, 1, RCO_PENDING, &done), RCO_E_INVALID);
	done.struct_size = 1;
	assert_int_equal(rco_op_complete(w.engine, 1, RCO_OK, &done), RCO_E_STRUCT_SIZE);

	/* never: counted as failed after the time-out, tried again; the late answer changes nothing */
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 20);
	t_fault_set(&w.fault, T_APPEND, T_HOLD, 1, 0);
	t_advance(&w, 300);
	assert_int_equal(t_fault_held(&w.fault, T_APPEND), 1);
	assert_int_equal(t_fault_calls(&w.fault, T_APPEND), 1);
	t_advance(&w, 31000);
	t_advance(&w, 1000);
	assert_true(t_fault_calls(&w.fault, T_APPEND) > 1);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_BUFFER_RETRY) >= 1);
	assert_int_equal(t_fault_release(&w.fault, T_APPEND), RCO_E_STALE);
	/* twice */
	t_fault_set(&w.fault, T_APPEND, T_TWICE, 1, 0);
	t_push(s, 0, 1, 20, 20);
	t_advance(&w, 300);
	t_fault_quiet(&w.fault); /* joins the thread that answered */
	assert_int_equal(w.fault.twice_rc, RCO_E_STALE);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 40));
	t_world_destroy(&w);
}

/* ---- fork ---- */

struct forked {
	t_world *w;
	rco_session *session;
};

static void use_the_parents_engine(void *arg)
{
	rco_engine_stats es = {.struct_size = (uint32_t)sizeof es};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "child"};
	struct forked *f = arg;
	rco_session *s = NULL;

	if (t_push_one(f->session, 0, 1) != RCO_E_FORKED)
		_exit(10);
	if (rco_opt_out(f->session, NULL, NULL) != RCO_E_FORKED)
		_exit(11);
	if (rco_engine_opt_out(f->w->engine, "call", NULL, NULL) != RCO_E_FORKED)
		_exit(12);
	if (rco_session_create(f->w->engine, &o, &s) != RCO_E_FORKED)
		_exit(13);
	if (rco_engine_get_stats(f->w->engine, &es) != RCO_E_FORKED)
		_exit(14);
	if (rco_session_end(f->session) != RCO_E_FORKED)
		_exit(15);
	rco_session_free(f->session); /* and these do no harm to the parent */
	rco_engine_free(f->w->engine);
}

static void test_fork(void **state)
{
	struct forked f;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	t_world_open(&w);
	f.w = &w;
	f.session = t_call(&w, "call");
	t_push(f.session, 0, 1, 0, 10);
	assert_int_equal(t_reap(t_spawn(use_the_parents_engine, &f)), 0);
	t_push(f.session, 0, 1, 10, 10); /* the parent goes on */
	assert_int_equal(rco_session_end(f.session), RCO_OK);
	rco_session_free(f.session);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 20));
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_null_handles),
		cmocka_unit_test(test_wrong_magic),
		cmocka_unit_test(test_struct_sizes),
		cmocka_unit_test(test_config_out_of_range),
		cmocka_unit_test(test_missing_slots),
		cmocka_unit_test(test_recorder_tables),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_options_of_the_request),
		cmocka_unit_test(test_artifacts),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_call_ids),
		cmocka_unit_test(test_two_engines_on_one_folder),
		cmocka_unit_test(test_free_during_push_and_opt_out),
		cmocka_unit_test(test_answers_nobody_waits_for),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests_name("bad input", tests, NULL, NULL);
}
