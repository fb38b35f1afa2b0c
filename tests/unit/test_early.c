/* SPDX-License-Identifier: MIT */
/*
 * Opt-outs for calls that are not known yet (P12), when something happens while they are being written: the call
 * appears, their time passes, others come, the disk fails, the process dies; and how many may wait
 * (early_opt_outs_max).
 */
#include "../support.h"

#include <recoptout/agent.h>

#include <stdio.h>
#include <unistd.h>

static t_fs fs; /* large, so not on the stack */
static t_world w;

static void open_world(void)
{
	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger/");
	w.fs = &fs;
	w.cfg.early_opt_out_ttl_s = 60;
	w.cfg.allocator = &t_allocator;
	t_memory_is_there();
	t_world_open(&w);
}

static int ask(const char *call_id, uint32_t flags, char id[RCO_ID_TEXT + 1], int64_t *durable_us)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags};
	rco_receipt *r = NULL;
	int rc = rco_engine_opt_out(w.engine, call_id, &o, &r);

	assert_int_equal(r != NULL, rc >= 0);
	(void)snprintf(id, RCO_ID_TEXT + 1, "%s", r != NULL ? rco_receipt_id(r) : "");
	if (r != NULL && durable_us != NULL)
		*durable_us = rco_receipt_time_us(r, RCO_TIME_DURABLE);
	rco_receipt_free(r);
	return rc;
}

typedef struct asking {
	pthread_t thread;
	int rc;
	char id[RCO_ID_TEXT + 1];
	int64_t durable_us;
} asking;

static void *ask_and_wait(void *arg)
{
	asking *a = arg;

	a->rc = ask("x", 0, a->id, &a->durable_us);
	return NULL;
}

/* A request that waits for the disk. */
static void begin(asking *a)
{
	memset(a, 0, sizeof *a);
	t_fs_stall(&fs, T_FS_SYNCS);
	t_thread(&a->thread, ask_and_wait, a);
	assert_true(t_fs_wait_stalled(&fs));
}

static void finish(asking *a)
{
	assert_true(t_fs_resume(&fs));
	assert_int_equal(pthread_join(a->thread, NULL), 0);
	assert_int_equal(a->rc, RCO_OK);
	assert_true(a->id[0] != '\0');
	assert_true(a->durable_us > 0);
}

/* ---- meetings ---- */

static void test_the_call_appears_meanwhile(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "x"};
	rco_session *s = NULL;
	rco_receipt *r = NULL;
	asking a;

	(void)state;
	open_world();
	begin(&a);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	finish(&a);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_string_equal(rco_receipt_id(r), a.id); /* the one receipt that there is */
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Its time passes while the disk is slow, and somebody asks again: two objections, two receipts, each with its own
 * times. */
static void test_another_takes_its_place_meanwhile(void **state)
{
	char id[RCO_ID_TEXT + 1] = "";
	int64_t durable = 0;
	asking a;

	(void)state;
	open_world();
	begin(&a);
	t_clock_advance(&w.clock, 61000);
	assert_int_equal(ask("x", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	finish(&a);
	assert_string_not_equal(a.id, id);
	assert_int_equal(durable, 0);
	t_settle(&w);
	assert_int_equal(t_status(&w, "x"), RCO_STATUS_NOTED);
	t_world_destroy(&w);
}

static void *settle(void *arg)
{
	(void)arg;
	t_settle(&w);
	return NULL;
}

/* One that comes while others are being written has its turn after them. */
static void test_another_comes_meanwhile(void **state)
{
	char id[RCO_ID_TEXT + 1];
	int64_t durable = 0;
	pthread_t thread;

	(void)state;
	open_world();
	assert_int_equal(ask("first", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	t_fs_stall(&fs, T_FS_SYNCS);
	t_thread(&thread, settle, NULL);
	assert_true(t_fs_wait_stalled(&fs));
	assert_int_equal(ask("second", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	assert_true(t_fs_resume(&fs));
	assert_int_equal(pthread_join(thread, NULL), 0);
	t_advance(&w, 2000);
	assert_int_equal(t_status(&w, "first"), RCO_STATUS_NOTED);
	assert_int_equal(t_status(&w, "second"), RCO_STATUS_NOTED);
	assert_int_equal(t_events_count(&w.events, "first", RCO_EVENT_DURABLE), 1);
	assert_int_equal(t_events_count(&w.events, "second", RCO_EVENT_DURABLE), 1);
	t_world_destroy(&w);
}

/* Nobody waits for it, and it is not left lying for that: one look at what is due, no second, makes it durable. */
static void test_at_once(void **state)
{
	char id[RCO_ID_TEXT + 1];
	int64_t durable = 0;

	(void)state;
	open_world();
	t_settle(&w);
	assert_int_equal(ask("first", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	assert_int_equal(rco_engine_run(w.engine, 0, 0), RCO_OK);
	assert_int_equal(t_status(&w, "first"), RCO_STATUS_NOTED);
	t_world_destroy(&w);
}

/* ---- disks and memory ---- */

static void test_not_durable_yet(void **state)
{
	char id[RCO_ID_TEXT + 1], call[32];
	int64_t durable = 0;
	int i;

	(void)state;
	open_world();
	atomic_store(&fs.fail, RCO_E_IO);
	for (i = 0; i < 8; i++) {
		(void)snprintf(call, sizeof call, "call-%d", i);
		assert_int_equal(ask(call, RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	}
	t_advance(&w, 2000);
	assert_true(t_events_count(&w.events, NULL, RCO_EVENT_NOT_DURABLE) >= 1);
	assert_int_equal(t_status(&w, "call-3"), RCO_STATUS_REQUESTED);
	atomic_store(&fs.fail, 0);
	t_advance(&w, 2000);
	for (i = 0; i < 8; i++) {
		(void)snprintf(call, sizeof call, "call-%d", i);
		assert_int_equal(t_events_count(&w.events, call, RCO_EVENT_DURABLE), 1);
	}
	assert_int_equal(t_status(&w, "call-3"), RCO_STATUS_NOTED);
	t_world_destroy(&w);
}

/* Nothing is called durable any more that has expired by then. */
static void test_expired_before_it_was_durable(void **state)
{
	char id[RCO_ID_TEXT + 1];
	int64_t durable = 0;

	(void)state;
	open_world();
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(ask("x", RCO_OPT_OUT_NONBLOCK, id, &durable), RCO_PENDING);
	t_settle(&w);
	t_clock_advance(&w.clock, 61000);
	atomic_store(&fs.fail, 0);
	t_advance(&w, 2000);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_DURABLE), 0);
	assert_int_equal(t_status(&w, "x"), 0);
	t_world_destroy(&w);
}

/* Whatever there is no memory for, now and then the ledger's queue: the host is told, and asks again. For the
 * second entry of a pair there need not be any. */
static void test_no_memory_for_the_ledger(void **state)
{
	char id[RCO_ID_TEXT + 1], call[32];
	int64_t durable = 0;
	int i, rc, refused = 0;

	(void)state;
	open_world();
	for (i = 0; i < 500; i++) {
		(void)snprintf(call, sizeof call, "call-%d", i);
		atomic_store(&t_memory.count, 0);
		t_memory.fail_at = 2;
		rc = ask(call, RCO_OPT_OUT_NONBLOCK, id, &durable);
		t_memory.fail_at = 0;
		assert_true(rc == RCO_E_NO_MEMORY || rc == RCO_PENDING);
		assert_int_equal(t_status(&w, call), rc == RCO_PENDING ? RCO_STATUS_REQUESTED : 0);
		refused += rc == RCO_E_NO_MEMORY;
	}
	assert_true(refused > 400);
	assert_int_equal(ask("call-7", 0, id, &durable), RCO_OK);
	assert_int_equal(t_status(&w, "call-7"), RCO_STATUS_NOTED);
	t_world_destroy(&w);
}

/* ---- the next process ---- */

/* The call is made, and the process is gone before its tombstone is on disk. */
static void born_and_killed(void *arg)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "x"};
	rco_session *s = NULL;
	char id[RCO_ID_TEXT + 1];
	int64_t durable = 0, back_ms = *(const int64_t *)arg;

	t_world_open(&w);
	assert_int_equal(ask("x", 0, id, &durable), RCO_OK);
	atomic_fetch_sub(&w.clock.wall_us, back_ms * 1000); /* but not that of the ledger's order */
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	t_settle(&w);
	T_LAST_WORDS();
	_exit(0);
}

static void killed_after_birth(int64_t clock_put_back_ms)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "x"};
	rco_session *s = NULL;

	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	assert_int_equal(t_reap(t_spawn(born_and_killed, &clock_put_back_ms)), 0);
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	t_settle(&w); /* durable, of the part that the earlier process left, too */
	assert_true(t_status(&w, "x") == 0 || t_status(&w, "x") == RCO_STATUS_NOT_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_the_next_process_finds_both(void **state)
{
	(void)state;
	killed_after_birth(0);
	killed_after_birth(3600000);
}

/* ---- how many may wait: one more is refused and said so, and none that waits is forgotten for it ---- */

static uint64_t waiting(void)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	return st.opt_outs_early;
}

static void open_world_for(uint32_t limit)
{
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.early_opt_outs_max = limit;
	w.cfg.early_opt_out_ttl_s = 60;
	t_world_open(&w);
}

/* A handler that opts out one id after the other. */
static void fill(int n, char ids[][RCO_ID_TEXT + 1])
{
	char call[32];
	int i;

	for (i = 0; i < n; i++) {
		(void)snprintf(call, sizeof call, "early-%d", i);
		assert_int_equal(ask(call, 0, ids[i], NULL), RCO_OK);
	}
}

static void assert_full(int n, char ids[][RCO_ID_TEXT + 1])
{
	char call[32], id[RCO_ID_TEXT + 1];
	int i;

	assert_int_equal(ask("one more", 0, id, NULL), RCO_E_LIMIT);
	assert_non_null(strstr(rco_error_detail(), "early_opt_outs_max"));
	assert_int_equal(ask("one more", RCO_OPT_OUT_NONBLOCK, id, NULL), RCO_E_LIMIT);
	assert_int_equal(t_status(&w, "one more"), 0);
	assert_int_equal(rco_sentence_for(RCO_E_LIMIT, 0), RCO_SAY_ERROR); /* which claims nothing */
	assert_int_equal(waiting(), n);
	for (i = 0; i < n; i++) {
		(void)snprintf(call, sizeof call, "early-%d", i);
		assert_int_equal(ask(call, 0, id, NULL), RCO_OK);
		assert_string_equal(id, ids[i]);
	}
}

static void test_one_more_is_refused(void **state)
{
	char ids[4][RCO_ID_TEXT + 1], id[RCO_ID_TEXT + 1];
	rco_session *s;

	(void)state;
	open_world_for(4);
	fill(4, ids);
	assert_full(4, ids);
	/* a known call is not concerned */
	s = t_call(&w, "known");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(ask("known", 0, id, NULL), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	/* nor one that was waited for, which makes room */
	{
		rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "early-2"};

		assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
		assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
		rco_session_free(s);
	}
	assert_int_equal(waiting(), 3);
	assert_int_equal(ask("one more", 0, id, NULL), RCO_OK);
	assert_int_equal(ask("two more", 0, id, NULL), RCO_E_LIMIT);
	t_world_destroy(&w);
}

/* Those whose time is over make room at once, whether or not anybody has tidied up. */
static void test_room_when_their_time_is_over(void **state)
{
	char ids[4][RCO_ID_TEXT + 1], id[RCO_ID_TEXT + 1];

	(void)state;
	open_world_for(4);
	fill(3, ids);
	t_clock_advance(&w.clock, 30000);
	assert_int_equal(ask("early-3", 0, ids[3], NULL), RCO_OK);
	assert_full(4, ids);
	t_clock_advance(&w.clock, 31000);
	assert_int_equal(ask("one more", 0, id, NULL), RCO_OK);
	assert_int_equal(waiting(), 2);
	t_world_destroy(&w);
}

/* Over a restart, also on a lower limit: all that were told "noted" stay. */
static void test_over_a_restart(void **state)
{
	char ids[4][RCO_ID_TEXT + 1], id[RCO_ID_TEXT + 1];

	(void)state;
	open_world_for(4);
	fill(4, ids);
	t_world_close(&w);
	w.cfg.early_opt_outs_max = 2;
	t_world_open(&w);
	assert_full(4, ids);
	t_advance(&w, 61000);
	assert_int_equal(waiting(), 0);
	assert_int_equal(ask("a", 0, id, NULL), RCO_OK);
	assert_int_equal(ask("b", 0, id, NULL), RCO_OK);
	assert_int_equal(ask("c", 0, id, NULL), RCO_E_LIMIT);
	t_world_destroy(&w);
}

/* Told in the platform's shape: an error, and a sentence that claims nothing. */
static void test_an_agent_is_told(void **state)
{
	static const char message[] =
		"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"" RCO_TOOL_NAME "\",\"input\":{}}";
	rco_tool_request q = {.struct_size = (uint32_t)sizeof q,
	                      .json = message,
	                      .json_bytes = sizeof message - 1,
	                      .call_id = "one more"};
	char ids[2][RCO_ID_TEXT + 1];
	rco_tool_answer *a = NULL;

	(void)state;
	open_world_for(2);
	fill(2, ids);
	assert_int_equal(rco_tool_call(w.engine, &q, &a), RCO_E_LIMIT);
	assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\"is_error\":true"));
	assert_int_equal(rco_claims("en", rco_tool_answer_sentence(a), strlen(rco_tool_answer_sentence(a))), 0);
	rco_tool_answer_free(a);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_call_appears_meanwhile),
		cmocka_unit_test(test_another_takes_its_place_meanwhile),
		cmocka_unit_test(test_another_comes_meanwhile),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_not_durable_yet),
		cmocka_unit_test(test_expired_before_it_was_durable),
		cmocka_unit_test(test_no_memory_for_the_ledger),
		cmocka_unit_test(test_the_next_process_finds_both),
		cmocka_unit_test(test_one_more_is_refused),
		cmocka_unit_test(test_room_when_their_time_is_over),
		cmocka_unit_test(test_over_a_restart),
		cmocka_unit_test(test_an_agent_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
