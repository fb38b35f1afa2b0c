/* SPDX-License-Identifier: MIT */
/*
 * Journals that no correct process writes, or only one whose clock was put back: what a start makes of them. In
 * doubt nothing kept is lost, and who objected is not recorded.
 */
#include "../support.h"

#include "../../lib/base/bytes.h"
#include "../../lib/session/journal.h"

#include <stdio.h>
#include <sys/stat.h>

enum { NOW_S = 1800000000 }; /* when all this happened */

static const int64_t now_us = (int64_t)NOW_S * 1000000;

static t_world w;
static t_clock clock_of_writer;

/* ---- writing ---- */

typedef struct journal {
	rco__ledger *ledger;
	rco_clock table;
	uint64_t last;
} journal;

static int ignore(const rco__ledger_entry *entry, void *user_data)
{
	(void)entry, (void)user_data;
	return RCO_OK;
}

static void open_journal(journal *j, const char *name)
{
	rco__ledger_options o = {.keep_for_ever = 1};
	rco__ledger_report report = {0};
	char dir[200], quarantine[200];

	t_join(dir, sizeof dir, w.state, name);
	t_join(quarantine, sizeof quarantine, w.state, "quarantine");
	t_clock_init(&clock_of_writer);
	atomic_store(&clock_of_writer.wall_us, now_us);
	j->table = t_clock_table(&clock_of_writer);
	assert_int_equal(rco__env_init(&o.env, NULL, &j->table, NULL, NULL), RCO_OK);
	o.dir = dir;
	o.quarantine_dir = quarantine;
	assert_int_equal(rco__ledger_open(&o, ignore, NULL, &report, &j->ledger), RCO_OK);
}

static void close_journal(journal *j)
{
	assert_int_equal(rco__ledger_sync(j->ledger, j->last), RCO_OK);
	rco__ledger_close(j->ledger);
}

typedef struct entry {
	uint8_t buf[2048];
	rco__cursor c;
} entry;

static uint8_t version = RCO__CALLS_PAYLOAD; /* that entries have */

static rco__cursor *begin(entry *e)
{
	rco__cursor_writer(&e->c, e->buf, sizeof e->buf);
	rco__w8(&e->c, version);
	return &e->c;
}

static void put(journal *j, uint16_t type, uint16_t flags, uint8_t subject, const entry *e)
{
	uint8_t id[16];

	memset(id, subject, sizeof id);
	assert_int_equal(
		rco__ledger_append(j->ledger, type, flags, id, e->buf, rco__cursor_used(&e->c, e->buf), &j->last),
		RCO_OK);
}

static void put_begin(journal *j, uint8_t subject, const char *call_id, int hold)
{
	rco__cursor *c;
	entry e;

	c = begin(&e);
	rco__w64(c, (uint64_t)now_us);
	rco__w64(c, (uint64_t)now_us);
	rco__wstr(c, call_id);
	rco__w8(c, hold != 0);
	put(j, RCO__CALL_BEGIN, 0, subject, &e);
}

static void put_leg(journal *j, uint8_t subject, uint32_t leg, const char *label)
{
	rco__cursor *c;
	entry e;

	c = begin(&e);
	rco__w32(c, leg);
	rco__w32(c, RCO_FORMAT_PCMU_8K);
	rco__wstr(c, label);
	put(j, RCO__CALL_LEG, 0, subject, &e);
}

static void put_upload(journal *j, uint8_t subject, uint16_t type, uint32_t kind, uint32_t store, const char *key,
                       uint64_t size, const char *upload_id, uint64_t number)
{
	rco__cursor *c;
	entry e;

	c = begin(&e);
	rco__w32(c, kind);
	rco__w32(c, store);
	rco__w64(c, size);
	rco__wstr(c, key);
	rco__wstr(c, "");
	rco__wstr(c, upload_id);
	rco__wstr(c, "");
	rco__w64(c, number);
	put(j, type, 0, subject, &e);
}

static void put_copy(journal *j, uint8_t subject, uint16_t type, uint32_t kind, uint32_t store, const char *key,
                     uint64_t size)
{
	put_upload(j, subject, type, kind, store, key, size, "", 0);
}

static void put_closed(journal *j, uint8_t subject)
{
	entry e;

	(void)begin(&e);
	put(j, RCO__CALL_CLOSED, RCO__LEDGER_CLOSES, subject, &e);
}

/* What tombstones and opt-outs before birth begin with. */
static rco__cursor *receipt(entry *e, uint8_t recording, uint32_t facts, const char *call_id)
{
	rco__cursor *c = begin(e);
	uint8_t id[16];

	memset(id, recording, sizeof id);
	rco__wbytes(c, id, sizeof id);
	rco__w32(c, facts);
	rco__w64(c, (uint64_t)now_us);
	rco__w64(c, (uint64_t)now_us);
	rco__wstr(c, call_id);
	rco__wstr(c, "test");
	return c;
}

static void put_early(journal *j, uint8_t subject, const char *call_id, int64_t expires_us)
{
	rco__cursor *c;
	entry e;

	c = receipt(&e, 0, RCO_FACT_STOPPED | RCO_FACT_EARLY, call_id);
	rco__w64(c, (uint64_t)expires_us);
	put(j, RCO__OPT_EARLY, 0, subject, &e);
}

static void put_tombstone(journal *j, uint8_t subject, uint8_t recording, const char *call_id, uint32_t legs,
                          uint32_t written)
{
	rco__cursor *c;
	uint32_t i;
	entry e;

	c = receipt(&e, recording, RCO_FACT_STOPPED | RCO_FACT_RECORDED, call_id);
	rco__w64(c, (uint64_t)now_us);
	rco__w64(c, (uint64_t)now_us);
	rco__w64(c, 0);
	rco__w32(c, legs);
	for (i = 0; i < written; i++) {
		rco__w32(c, RCO_FORMAT_PCMU_8K);
		rco__w64(c, 1600);
		rco__wstr(c, "leg");
	}
	put(j, RCO__OPT_TOMBSTONE, 0, subject, &e);
}

/* A folder that an engine has used, with the clock at `now`. */
static void open_world(uint32_t flags)
{
	t_world_init(&w, flags);
	atomic_store(&w.clock.wall_us, now_us + 60000000);
	t_world_open(&w);
	t_world_close(&w);
}

/* Starts that are short of memory in some place fail until there is enough; each is without this folder. */
static void open_when_there_is_memory(const char *without)
{
	w.cfg.allocator = &t_allocator;
	for (t_memory.fail_at = 1;; t_memory.fail_at++) {
		int rc;

		if (without != NULL && t_exists(without))
			t_rmtree(without);
		atomic_store(&t_memory.count, 0);
		rc = t_world_try_open(&w);
		if (rc == RCO_OK && atomic_load(&t_memory.count) < t_memory.fail_at)
			break;
		if (rc == RCO_OK) /* it could do without */
			t_world_close(&w);
		else
			assert_int_equal(rc, RCO_E_NO_MEMORY);
	}
	assert_true(t_memory.fail_at > 10);
	t_memory.fail_at = 0;
}

/* ---- reading ---- */

/* An entry that was carried behind newer ones keeps its time: the newer hold counts. */
static void test_a_hold_by_its_time(void **state)
{
	journal j;

	(void)state;
	open_world(0);
	open_journal(&j, "calls");
	put_begin(&j, 1, "held", 1);
	atomic_fetch_sub(&clock_of_writer.wall_us, 1000000);
	put_begin(&j, 1, "held", 0); /* said before that */
	atomic_fetch_add(&clock_of_writer.wall_us, 2000000);
	put_begin(&j, 2, "lifted", 1);
	atomic_fetch_add(&clock_of_writer.wall_us, 2000000);
	put_begin(&j, 2, "lifted", 0);
	put_copy(&j, 1, RCO__CALL_ARTIFACT, RCO_KIND_AUDIO, RCO_STORE_HOST, "/nowhere/held.wav", 0);
	put_copy(&j, 2, RCO__CALL_ARTIFACT, RCO_KIND_AUDIO, RCO_STORE_HOST, "/nowhere/lifted.wav", 0);
	close_journal(&j);
	t_world_open(&w);
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "held"), RCO_OK);
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "lifted"), RCO_E_NOT_FOUND);
	t_world_destroy(&w);
}

/* Only an artifact opens a closed call again. */
static void test_after_the_end(void **state)
{
	journal j;

	(void)state;
	open_world(0);
	open_journal(&j, "calls");
	put_begin(&j, 1, "leg", 0);
	put_closed(&j, 1);
	put_leg(&j, 1, 0, "caller");
	put_begin(&j, 2, "artifact", 0);
	put_closed(&j, 2);
	put_copy(&j, 2, RCO__CALL_ARTIFACT, RCO_KIND_AUDIO, RCO_STORE_HOST, "/nowhere/a.wav", 0);
	put_leg(&j, 3, RCO_MAX_LEGS, "caller"); /* no such leg: it is a call of which nothing else is known */
	put_closed(&j, 3);
	close_journal(&j);
	t_world_open(&w);
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "leg"), RCO_E_NOT_FOUND);
	assert_non_null(strstr(rco_error_detail(), "no call"));
	assert_int_equal(rco_engine_lift_legal_hold(w.engine, "artifact"), RCO_E_NOT_FOUND);
	assert_non_null(strstr(rco_error_detail(), "not held"));
	t_world_destroy(&w);
}

/* A tombstone of which only a part is understood is one. */
static void test_half_a_tombstone(void **state)
{
	journal j;

	(void)state;
	open_world(0);
	open_journal(&j, "ledger");
	put_tombstone(&j, 1, 11, "too-many", 200, RCO_MAX_LEGS + 5);
	put_tombstone(&j, 2, 12, "cut-off", RCO_MAX_LEGS, 2);
	close_journal(&j);
	open_when_there_is_memory(NULL);
	t_await(&w, "too-many", RCO_EVENT_VERIFIED, 1);
	t_await(&w, "cut-off", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_status(&w, "too-many"), RCO_STATUS_VERIFIED);
	t_world_destroy(&w);
}

/* The calls journal is lost: the buffer tells of its recordings. */
static void test_without_the_journal(void **state)
{
	char path[256];
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	t_world_close(&w);
	rco_session_free(s);
	t_join(path, sizeof path, w.state, "calls");
	open_when_there_is_memory(path);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 10) || t_store_audio(&w) == 1);
	t_world_destroy(&w);
}

/* Of two for one call one counts, in whatever order they are found, and the other does not come after it. */
static void test_two_early(void **state)
{
	journal j;
	int i;

	(void)state;
	for (i = 0; i < 8; i++) {
		open_world(0);
		open_journal(&j, "ledger");
		put_early(&j, (uint8_t)(1 + i), "x", now_us + (i % 2 ? 3600 : 7200) * (int64_t)1000000);
		put_early(&j, (uint8_t)(100 - i), "x", now_us + (i % 2 ? 7200 : 3600) * (int64_t)1000000);
		close_journal(&j);
		t_world_open(&w);
		t_advance(&w, 5000 * 1000);
		assert_int_equal(t_status(&w, "x"), RCO_STATUS_NOTED);
		t_advance(&w, (int64_t)86400 * 1000);
		assert_int_equal(t_status(&w, "x"), 0);
		t_world_close(&w);
		t_world_open(&w);
		assert_int_equal(t_status(&w, "x"), 0);
		t_world_destroy(&w);
	}
}

/* One waits for a call that is there: with legs it is not the one that was meant, since nobody could have added
 * them; with a tombstone of its own it has its receipt. */
static void test_before_the_birth_of_a_call_that_is_there(void **state)
{
	journal j;

	(void)state;
	open_world(0);
	open_journal(&j, "calls");
	put_begin(&j, 1, "with-legs", 0);
	put_leg(&j, 1, 0, "caller");
	put_begin(&j, 2, "without", 0);
	put_begin(&j, 3, "objected", 0);
	close_journal(&j);
	open_journal(&j, "ledger");
	put_early(&j, 20, "with-legs", now_us + (int64_t)3600000000);
	put_early(&j, 21, "without", now_us + (int64_t)3600000000);
	put_early(&j, 22, "objected", now_us + (int64_t)3600000000);
	put_tombstone(&j, 30, 3, "objected", 0, 0);
	close_journal(&j);
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(t_status(&w, "objected"), RCO_STATUS_VERIFIED);
	assert_true(t_status(&w, "without") != 0);
	t_advance(&w, 20000);
	t_world_destroy(&w);
}

/* Files that an earlier process began, of which the buffer has nothing any more: what the store has finished is
 * taken for finished, whatever size was expected, and what is no audio is left alone. */
static void test_files_of_nobody(void **state)
{
	char path[256];
	journal j;

	(void)state;
	open_world(T_DISK);
	(void)mkdir(w.out, 0700);
	t_join(path, sizeof path, w.out, "finished.wav");
	t_write_file(path, "audio", 5);
	open_journal(&j, "calls");
	put_begin(&j, 1, "call", 0);
	put_copy(&j, 1, RCO__CALL_INTENT, RCO_KIND_AUDIO, RCO_STORE_UPLOAD, "finished.wav", 0);
	put_copy(&j, 1, RCO__CALL_INTENT, RCO_KIND_AUDIO, RCO_STORE_UPLOAD, "never.wav", 17);
	put_copy(&j, 1, RCO__CALL_INTENT, RCO_KIND_METADATA, RCO_STORE_UPLOAD, "words.json", 0);
	put_copy(&j, 1, RCO__CALL_ARTIFACT, RCO_KIND_AUDIO, RCO_STORE_HOST, "/nowhere/host.wav", 0);
	close_journal(&j);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_ABORTED), 1);
	assert_true(t_exists(path));
	t_world_destroy(&w);
}

/* ---- uploads whose commit was asked for ---- */

static char asked[100]; /* for the commits of these uploads */

static int note_commit(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	size_t n = strlen(asked);

	if (object->kind == RCO_KIND_AUDIO)
		(void)snprintf(asked + n, sizeof asked - n, "%s ", object->upload_id);
	return t_fault_upload_ops.commit(object, op, result, ud);
}

typedef struct said {
	uint16_t type;
	uint64_t number;
	const char *upload_id;
} said;

/* Entries come out of order, since copies of old ones stand behind newer ones. */
static void test_the_commit_that_was_asked_for(void **state)
{
	static const struct {
		said entries[5];
		const char *asked;
	} of[] = {
		/* begun twice, and the second one was to be committed */
		{{{RCO__CALL_UPLOAD_ID, 0, "a"}, {RCO__CALL_UPLOAD_ID, 0, "b"}, {RCO__CALL_COMMITTING, 0, "b"}},
	         "b "},
		{{{RCO__CALL_COMMITTING, 0, "b"}, {RCO__CALL_INTENT, 0, ""}, {RCO__CALL_UPLOAD_ID, 0, "a"}}, "b "},
		/* lost, and begun again */
		{{{RCO__CALL_COMMITTING, 0, "a"}, {RCO__CALL_INTENT, 1, "a"}, {RCO__CALL_UPLOAD_ID, 1, "b"}}, ""},
		{{{RCO__CALL_INTENT, 1, "a"}, {RCO__CALL_UPLOAD_ID, 1, "b"}, {RCO__CALL_COMMITTING, 0, "a"}}, ""},
		{{{RCO__CALL_INTENT, 1, "a"}, {RCO__CALL_COMMITTING, 1, "b"}, {RCO__CALL_COMMITTING, 0, "a"}},
	         "b "},
	};
	static rco_upload_ops upload;
	size_t i, k;
	journal j;

	(void)state;
	upload = t_fault_upload_ops;
	upload.commit = note_commit;
	for (i = 0; i < sizeof of / sizeof of[0]; i++) {
		open_world(0);
		w.cfg.upload = &upload;
		asked[0] = '\0';
		open_journal(&j, "calls");
		put_begin(&j, 1, "call", 0);
		for (k = 0; k < 5 && of[i].entries[k].type != 0; k++)
			put_upload(&j, 1, of[i].entries[k].type, RCO_KIND_AUDIO, RCO_STORE_UPLOAD, "x.wav", 17,
			           of[i].entries[k].upload_id, of[i].entries[k].number);
		close_journal(&j);
		t_world_open(&w);
		t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
		assert_string_equal(asked, of[i].asked);
		t_world_destroy(&w);
	}
}

/* Of which uploads an older version had asked for the commit it did not say. What it was done with is no matter.
 */
static void test_an_older_journal(void **state)
{
	journal j;

	(void)state;
	open_world(0);
	version = 1;
	open_journal(&j, "calls");
	put_begin(&j, 1, "done", 0);
	put_copy(&j, 1, RCO__CALL_INTENT, RCO_KIND_AUDIO, RCO_STORE_UPLOAD, "done.wav", 17);
	put_closed(&j, 1);
	close_journal(&j);
	t_world_open(&w);
	t_world_close(&w);
	open_journal(&j, "calls");
	put_begin(&j, 2, "open", 0);
	close_journal(&j);
	version = RCO__CALLS_PAYLOAD;
	assert_int_equal(t_world_try_open(&w), RCO_E_VERSION);
	assert_non_null(strstr(rco_error_detail(), "older version"));
	open_journal(&j, "calls");
	put_closed(&j, 2); /* which that one had done meanwhile */
	close_journal(&j);
	t_world_open(&w);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_commit_that_was_asked_for),
		cmocka_unit_test(test_an_older_journal),
		cmocka_unit_test(test_a_hold_by_its_time),
		cmocka_unit_test(test_after_the_end),
		cmocka_unit_test(test_half_a_tombstone),
		cmocka_unit_test(test_without_the_journal),
		cmocka_unit_test(test_two_early),
		cmocka_unit_test(test_before_the_birth_of_a_call_that_is_there),
		cmocka_unit_test(test_files_of_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
