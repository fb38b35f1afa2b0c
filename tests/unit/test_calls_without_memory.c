/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails once in the life of some calls, at every allocation: who asked is told, or it is tried again;
 * then kept calls are stored whole, and of those who objected nothing is left.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

/* What fails for want of memory is asked for again, once: that has to do. */
#define ASK(call)                                                                                                 \
	do {                                                                                                      \
		int rc_ = (call);                                                                                 \
		if (rc_ == RCO_E_NO_MEMORY)                                                                       \
			rc_ = (call);                                                                             \
		assert_int_equal(rc_, RCO_OK);                                                                    \
	} while (0)

static rco_session *talk(t_world *w, const char *call_id, uint64_t seed, int hold)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = call_id, .legal_hold = (uint32_t)hold};
	rco_session *s = NULL;
	char copy[256];
	uint32_t leg;

	ASK(rco_session_create(w->engine, &o, &s));
	ASK(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg));
	ASK(rco_session_add_leg(s, "agent", RCO_FORMAT_PCMU_8K, &leg));
	ASK(rco_session_start(s));
	t_push(s, 0, seed, 0, 30);
	t_push(s, 1, seed + 1, 0, 30);
	t_advance(w, 300);
	(void)snprintf(copy, sizeof copy, "%s/%s.wav", w->artifacts, call_id);
	t_write_file(copy, "audio", 5);
	ASK(rco_session_register_artifact(s, RCO_KIND_AUDIO, copy, NULL));
	t_push(s, 0, seed, 30, 5);
	return s;
}

/* An opt-out stands, whatever memory there is; it may take another look until it is durable (P13). */
static void object(t_world *w, rco_session *s, uint32_t flags)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags};
	rco_receipt *r = NULL;
	int rc = rco_opt_out(s, &o, &r);

	assert_true(rc == RCO_OK || rc == RCO_PENDING);
	rco_receipt_free(r);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	t_settle(w);
}

static int at_rest(t_world *w)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w->engine, &st), RCO_OK);
	return st.sessions_open == 0 && st.uploads_pending == 0 && st.erasures_pending == 0 && st.holds == 0 &&
	       st.tombstones_waiting == 0;
}

static void told(t_world *w, const char *call_id, uint32_t type)
{
	if (t_events_count(&w->events, call_id, type) != 1)
		fail_msg("%s is told %s %zu times", call_id, rco_event_name(type),
		         t_events_count(&w->events, call_id, type));
}

/* What answers a request, or ends a story. */
static void told_whatever_memory(t_world *w)
{
	static const char *const objected[] = {"gone", "asked", "held"};
	size_t i;

	for (i = 0; i < 3; i++) {
		told(w, objected[i], RCO_EVENT_OPTED_OUT);
		told(w, objected[i], RCO_EVENT_DURABLE);
		told(w, objected[i], RCO_EVENT_ERASED);
		told(w, objected[i], RCO_EVENT_VERIFIED);
		told(w, objected[i], RCO_EVENT_SWEPT);
		told(w, objected[i], RCO_EVENT_ENDED);
	}
	told(w, "held", RCO_EVENT_HELD);
	told(w, "held", RCO_EVENT_HOLD_LIFTED);
	told(w, "kept", RCO_EVENT_ENDED);
	told(w, "kept", RCO_EVENT_STORED);
	told(w, "second", RCO_EVENT_STORED);
	told(w, "asked-for-nobody", RCO_EVENT_DURABLE);
}

static void life(t_world *w)
{
	rco_session *kept = talk(w, "kept", 10, 0), *held = talk(w, "held", 20, 1), *gone = talk(w, "gone", 30, 0),
		    *asked = talk(w, "asked", 40, 0);
	rco_opt_out_options later = {.struct_size = (uint32_t)sizeof later, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_receipt *r = NULL;
	char record[8192];
	size_t len;
	int i, rc;

	object(w, gone, 0);
	object(w, asked, RCO_OPT_OUT_NONBLOCK);
	object(w, held, 0);
	ASK(rco_engine_opt_out(w->engine, "unborn", NULL, NULL));
	while ((rc = rco_engine_opt_out(w->engine, "asked-for-nobody", &later, NULL)) == RCO_E_NO_MEMORY)
		;
	assert_int_equal(rc, RCO_PENDING);
	ASK(rco_session_call_record(kept, record, sizeof record, &len));
	ASK(rco_engine_receipt(w->engine, "gone", &r));
	rco_receipt_free(r);
	rco_session_free(talk(w, "second", 50, 0));
	ASK(rco_session_set_legal_hold(held, 0));
	assert_int_equal(rco_session_end(kept), RCO_OK);
	rco_session_free(kept);
	rco_session_free(held);
	rco_session_free(gone);
	rco_session_free(asked);
	for (i = 0; i < 200 && !at_rest(w); i++)
		t_advance(w, 1000);
	assert_true(at_rest(w));
	t_advance(w, 120000); /* the second look */
	told_whatever_memory(w);
}

static int copy_is_there(t_world *w, const char *call_id)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s.wav", w->artifacts, call_id);
	return t_exists(path);
}

static void check(t_world *w)
{
	static const char *const objected[] = {"gone", "asked", "held"};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
	rco_session *s = NULL;
	char *record;
	size_t i;

	assert_int_equal(t_store_audio(w), 4); /* two legs of two calls */
	assert_true(copy_is_there(w, "kept"));
	for (i = 0; i < 3; i++) {
		assert_false(copy_is_there(w, objected[i]));
		assert_int_equal(t_status(w, objected[i]), RCO_STATUS_VERIFIED);
		record = t_store_record(w, objected[i]);
		assert_non_null(record);
		free(record);
	}
	t_memory.fail_at = 0;
	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
}

static t_fs fs; /* large, so not on the stack */

static void each_fails(uint32_t flags, uint32_t format)
{
	uint64_t n, last = 1;

	for (n = 0; n <= last; n++) {
		t_world w;

		t_memory.fail_at = 0;
		t_world_init(&w, flags);
		w.cfg.allocator = &t_allocator;
		w.cfg.export_format = format;
		t_fs_init(&fs, "");
		atomic_store(&fs.quick, 1);
		w.fs = &fs;
		t_world_open(&w);
		atomic_store(&t_memory.count, 0);
		t_memory.fail_at = n;
		life(&w);
		if (n == 0) /* the first time nothing fails: so many there are */
			last = atomic_load(&t_memory.count);
		check(&w);
		if (format == RCO_EXPORT_WAV) {
			assert_true(t_store_has_noise(&w, "kept", "agent", 11, 30));
			assert_true(t_store_has_noise(&w, "kept", "caller", 10, 35));
		}
		t_world_destroy(&w);
	}
	assert_true(last > 50);
}

static void test_in_memory(void **state)
{
	(void)state;
	each_fails(0, RCO_EXPORT_WAV);
}

static void test_on_disk(void **state)
{
	(void)state;
	each_fails(T_SPOOL | T_DISK, RCO_EXPORT_WAV_ZST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test(test_on_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
