/* SPDX-License-Identifier: MIT */
/*
 * Twenty thousand calls that are opened and dropped without a frame: nothing of them stays in memory or on disk,
 * and those that were opted out meanwhile are.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	MANY = T_SANITIZED ? 5000 : 20000,
	FEW = 1000, /* more than what is kept of dead sessions, so that the next thousand change nothing */
	HOURS_2_MS = 7200000
};

static t_fs fs; /* large, so not on the stack */

static void add_size(const char *file, void *user_data)
{
	struct stat st;

	if (stat(file, &st) == 0)
		*(uint64_t *)user_data += (uint64_t)st.st_size;
}

static uint64_t folder_bytes(t_world *w, const char *name)
{
	uint64_t bytes = 0;
	char path[256];

	t_join(path, sizeof path, w->state, name);
	t_tree_each(path, add_size, &bytes);
	return bytes;
}

static uint64_t open_sessions(t_world *w)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w->engine, &st), RCO_OK);
	return st.sessions_open;
}

static uint64_t ring_bytes_used(t_world *w)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w->engine, &st), RCO_OK);
	return st.ring_bytes_total - st.ring_bytes_free;
}

static rco_session *make(t_world *w, const char *prefix, int i)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o};
	rco_session *s = NULL;
	char id[32];

	(void)snprintf(id, sizeof id, "%s-%d", prefix, i);
	o.call_id = id;
	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	return s;
}

/* One way to drop a call: never started, started, with a leg, ended first. */
static void drop(rco_session *s, int i)
{
	uint32_t leg;

	if (i % 4 >= 1)
		assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	if (i % 4 >= 2)
		assert_int_equal(rco_session_start(s), RCO_OK);
	if (i % 4 >= 3)
		assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
}

static void one_after_the_other(t_world *w, const char *prefix, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		drop(make(w, prefix, i), i);
		if (i % 32 == 31)
			t_advance(w, 20);
	}
}

static void all_at_once(t_world *w, const char *prefix, int n)
{
	rco_session **all = calloc((size_t)n, sizeof(rco_session *));
	int i;

	assert_non_null(all);
	for (i = 0; i < n; i++)
		all[i] = make(w, prefix, i);
	assert_int_equal(open_sessions(w), n);
	t_advance(w, 1000);
	for (i = 0; i < n; i++)
		rco_session_free(all[i]);
	assert_int_equal(open_sessions(w), 0);
	free(all);
}

static void let_them_be_forgotten(t_world *w)
{
	int i;

	t_advance(w, 20000); /* the window */
	t_advance(w, HOURS_2_MS);
	for (i = 0; i < 5; i++)
		t_advance(w, 2000); /* somebody tidies up */
}

/* By the name of the file: to look for it among all call records takes too long. */
static void assert_leg_stored(t_world *w, const uint8_t id[16], const char *label, uint64_t seed, size_t frames)
{
	const uint8_t *samples;
	size_t size = 0, n = 0;
	uint8_t *file;
	char key[80], text[40];

	(void)snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
	               id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11],
	               id[12], id[13], id[14], id[15]);
	(void)snprintf(key, sizeof key, "%s.%s.wav", text, label);
	file = t_store_get(w, key, &size);
	assert_non_null(file);
	samples = t_wav_samples(file, size, &n);
	assert_non_null(samples);
	assert_int_equal(n, frames * T_FRAME);
	assert_true(t_is_noise(seed, samples, n));
	free(file);
}

static void a_call_like_any_other(t_world *w, const char *id)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session *s = t_call(w, id);

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	t_push(s, 0, 1, 0, 50);
	t_push(s, 1, 2, 0, 50);
	t_advance(w, 400);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(w, id, RCO_EVENT_STORED, 1);
	assert_leg_stored(w, st.recording_id, "caller", 1, 50);
	assert_leg_stored(w, st.recording_id, "agent", 2, 50);
}

static void open_world(t_world *w)
{
	atomic_store(&t_memory.live, 0);
	t_world_init(w, T_SPOOL);
	t_fs_init(&fs, "");
	w->fs = &fs;
	atomic_store(&fs.quick, 1); /* nothing here is about power cuts */
	w->cfg.allocator = &t_allocator;
	t_world_open(w);
}

/* Freed to the last byte, and without a look at the disk for each. */
static void close_world(t_world *w)
{
	uint64_t syncs = atomic_load(&fs.syncs);

	t_world_close(w);
	assert_true(atomic_load(&fs.syncs) - syncs < 10);
	assert_int_equal(atomic_load(&t_memory.live), 0);
	t_world_destroy(w);
}

/* A journal's file that is being written, and the one written ahead. */
enum { TWO_FILES = 2 << 20 };

static void test_opened_and_dropped(void **state)
{
	uint64_t calls, ledger, spool;
	int64_t base;
	t_world w;

	(void)state;
	open_world(&w);
	one_after_the_other(&w, "first", FEW);
	all_at_once(&w, "first-again", FEW);
	let_them_be_forgotten(&w);
	base = atomic_load(&t_memory.live);
	calls = folder_bytes(&w, "calls");
	ledger = folder_bytes(&w, "ledger");
	spool = folder_bytes(&w, "spool");

	one_after_the_other(&w, "drop", MANY / 2);
	all_at_once(&w, "crowd", MANY / 2);
	let_them_be_forgotten(&w);
	assert_int_equal(open_sessions(&w), 0);
	assert_int_equal(ring_bytes_used(&w), 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_BEGIN), 0);
	assert_true(atomic_load(&t_memory.live) <= base);
	print_message("    %d calls: calls %llu -> %llu bytes, ledger %llu -> %llu, spool %llu -> %llu\n", MANY,
	              (unsigned long long)calls, (unsigned long long)folder_bytes(&w, "calls"),
	              (unsigned long long)ledger, (unsigned long long)folder_bytes(&w, "ledger"),
	              (unsigned long long)spool, (unsigned long long)folder_bytes(&w, "spool"));
	assert_true(folder_bytes(&w, "calls") <= TWO_FILES);
	assert_true(folder_bytes(&w, "ledger") <= TWO_FILES);
	assert_int_equal(folder_bytes(&w, "spool"), spool);
	a_call_like_any_other(&w, "still-works");
	close_world(&w);
}

/* The engine is closed with all of them dropped a moment ago, and opened again: they are nobody's any more. */
static void test_closing_with_a_crowd(void **state)
{
	t_world w;

	(void)state;
	open_world(&w);
	all_at_once(&w, "crowd", MANY / 2);
	{
		uint64_t syncs = atomic_load(&fs.syncs);

		t_world_close(&w);
		assert_true(atomic_load(&fs.syncs) - syncs < 10);
	}
	assert_int_equal(atomic_load(&t_memory.live), 0);
	t_world_open(&w);
	let_them_be_forgotten(&w);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_BEGIN), 0);
	a_call_like_any_other(&w, "still-works");
	close_world(&w);
}

/* Every tenth is opted out by its id, half of these before it is known. */
static void test_with_opt_outs_between(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	size_t asked = 0, before = 0;
	char id[32];
	t_world w;
	int i;

	(void)state;
	open_world(&w);
	for (i = 0; i < MANY / 2; i++) {
		int mine = i % 10 == 0, early = mine && i % 20 == 0;
		rco_session *s;

		(void)snprintf(id, sizeof id, "call-%d", i);
		if (early)
			assert_int_equal(rco_engine_opt_out(w.engine, id, &o, NULL), RCO_PENDING);
		s = make(&w, "call", i);
		if (mine && !early)
			assert_int_equal(rco_engine_opt_out(w.engine, id, i % 200 == 10 ? NULL : &o, NULL),
			                 i % 200 == 10 ? RCO_OK : RCO_PENDING);
		assert_int_equal(rco_session_start(s), mine ? RCO_E_OPTED_OUT : RCO_OK);
		rco_session_free(s);
		asked += (size_t)mine;
		before += (size_t)early;
		if (i % 256 == 255)
			t_advance(&w, 20);
	}
	t_settle(&w);
	for (i = 0; i < MANY / 2; i++) {
		rco_receipt *r = NULL;
		int rc;

		(void)snprintf(id, sizeof id, "call-%d", i);
		rc = rco_engine_receipt(w.engine, id, &r);
		assert_int_equal(rc, i % 10 == 0 ? RCO_OK : RCO_E_NOT_FOUND);
		if (rc != RCO_OK)
			continue;
		assert_int_equal(rco_receipt_status(r), RCO_STATUS_NOT_RECORDING);
		assert_int_equal((rco_receipt_facts(r) & RCO_FACT_EARLY) != 0, i % 20 == 0);
		before -= (rco_receipt_facts(r) & RCO_FACT_EARLY) != 0;
		asked--;
		rco_receipt_free(r);
	}
	assert_int_equal(asked, 0);
	assert_int_equal(before, 0);
	let_them_be_forgotten(&w);
	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	assert_int_equal(st.opt_outs_early, 0);
	assert_int_equal(st.tombstones_waiting, 0);
	assert_int_equal(st.erasures_pending, 0);
	print_message("    calls %llu bytes, ledger %llu\n", (unsigned long long)folder_bytes(&w, "calls"),
	              (unsigned long long)folder_bytes(&w, "ledger"));
	a_call_like_any_other(&w, "still-works");
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opened_and_dropped),
		cmocka_unit_test(test_closing_with_a_crowd),
		cmocka_unit_test(test_with_opt_outs_between),
	};

	return cmocka_run_group_tests_name("many calls", tests, NULL, NULL);
}
