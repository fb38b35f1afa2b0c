/* SPDX-License-Identifier: MIT */
/*
 * Orders of steps that the model in docs/model.md found to matter, and no other test had met: each is brought
 * about here by stepping in where the library asks for the time, or by calling its steps one by one.
 */
#include "../support.h"

#include "../../lib/session/calls.h"
#include "../../lib/session/work.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static t_fs fs;

/* ---- a clock that lets somebody in ---- */

static struct meeting {
	t_world *w;
	rco_session *session;
	pthread_t thread;
	sem_t done;
	_Atomic int armed; /* the next look at this clock, by this test's own thread */
	char id[RCO_ID_TEXT + 1];
} meeting;

static _Thread_local int is_test;

/*
 * Give the other thread time to come as far as it can. It may have to wait for what this one holds, which cannot
 * be seen from outside, so there is an end to it; nothing that is asserted depends on how long that is.
 */
static void let(int (*arrived)(void))
{
	const struct timespec tick = {.tv_nsec = 1000000};
	int i;

	for (i = 0; i < 200 && !arrived(); i++)
		(void)nanosleep(&tick, NULL);
}

static void meeting_init(t_world *w)
{
	memset(&meeting, 0, sizeof meeting);
	meeting.w = w;
	(void)sem_init(&meeting.done, 0, 0);
	is_test = 1;
}

static int passed(void)
{
	int n = 0;

	(void)sem_getvalue(&meeting.done, &n);
	return n > 0;
}

/* ---- a frame between "ended" and the gate that shuts ---- */

static void *run_engine(void *arg)
{
	(void)arg;
	(void)rco_engine_run(meeting.w->engine, 0, 0);
	(void)sem_post(&meeting.done);
	return NULL;
}

static int at_the_journal(void)
{
	int stalled;

	(void)pthread_mutex_lock(&fs.gate_lock);
	stalled = fs.gate_waiting > 0;
	(void)pthread_mutex_unlock(&fs.gate_lock);
	return stalled;
}

static int64_t wall_in_end(void *ud)
{
	if (is_test && atomic_exchange(&meeting.armed, 0)) {
		t_thread(&meeting.thread, run_engine, NULL);
		let(at_the_journal); /* it has found the rings empty */
		t_push(meeting.session, 0, 5, 10, 1);
	}
	return atomic_load(&((t_clock *)ud)->wall_us);
}

static void test_frame_while_ending(void **state)
{
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK | T_SPOOL);
	t_fs_init(&fs, "/calls/");
	w.fs = &fs;
	w.clock_table.wall_us = wall_in_end;
	t_world_open(&w);
	meeting_init(&w);
	meeting.session = t_call(&w, "ending");
	t_push(meeting.session, 0, 5, 0, 10);
	t_fs_stall(&fs, T_FS_WRITES);
	atomic_store(&meeting.armed, 1);
	assert_int_equal(rco_session_end(meeting.session), RCO_OK);
	(void)t_fs_resume(&fs);
	(void)pthread_join(meeting.thread, NULL);
	rco_session_free(meeting.session);
	t_await(&w, "ending", RCO_EVENT_STORED, 1);
	t_await(&w, "ending", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "ending", "caller", 5, 11)); /* it was accepted, so it is kept */
	t_world_destroy(&w);
}

/* ---- an objection while the call is being made ---- */

static void ask(rco_engine *engine, const char *call_id, char id[RCO_ID_TEXT + 1])
{
	rco_receipt *r = NULL;

	if (rco_engine_opt_out(engine, call_id, NULL, &r) == RCO_OK && r != NULL)
		(void)snprintf(id, RCO_ID_TEXT + 1, "%s", rco_receipt_id(r));
	rco_receipt_free(r);
}

static void *ask_once_more(void *arg)
{
	(void)arg;
	ask(meeting.w->engine, "unborn", meeting.id);
	(void)sem_post(&meeting.done);
	return NULL;
}

static int64_t mono_in_create(void *ud)
{
	if (is_test && atomic_load(&meeting.armed) > 0 && atomic_fetch_sub(&meeting.armed, 1) == 1) {
		t_thread(&meeting.thread, ask_once_more, NULL);
		let(passed);
	}
	return atomic_load(&((t_clock *)ud)->mono_us);
}

static void test_asked_while_born(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
	char first[RCO_ID_TEXT + 1] = "";
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.clock_table.monotonic_us = mono_in_create;
	t_world_open(&w);
	meeting_init(&w);
	ask(w.engine, "unborn", first);
	atomic_store(&meeting.armed, 1); /* is the first objection still in time? */
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	(void)pthread_join(meeting.thread, NULL);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_string_equal(rco_receipt_id(r), first);
	assert_string_equal(meeting.id, first);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- a crash before the tombstone of a call that was born opted out ---- */

struct child {
	t_world *w;
	int report;
};

static void born_and_killed(void *arg)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "born"};
	struct child *c = arg;
	char id[RCO_ID_TEXT + 1] = "";
	rco_session *s;

	t_world_open(c->w);
	ask(c->w->engine, "born", id);
	assert_int_equal(rco_session_create(c->w->engine, &o, &s), RCO_OK);
	t_settle(c->w);
	assert_int_equal(rco__ledger_write(c->w->engine->calls), RCO_OK);
	if (write(c->report, id, sizeof id) != (ssize_t)sizeof id)
		_exit(2);
	(void)kill(getpid(), SIGKILL);
}

static void test_born_and_killed(void **state)
{
	char id[RCO_ID_TEXT + 1];
	rco_receipt *r = NULL;
	struct child c;
	int ends[2];
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	assert_int_equal(pipe(ends), 0);
	c = (struct child){&w, ends[1]};
	assert_int_equal(t_reap(t_spawn(born_and_killed, &c)), -SIGKILL);
	assert_int_equal(read(ends[0], id, sizeof id), sizeof id);
	(void)close(ends[0]);
	(void)close(ends[1]);
	t_world_open(&w);
	assert_int_equal(rco_engine_receipt(w.engine, "born", &r), RCO_OK);
	assert_string_equal(rco_receipt_id(r), id);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_NOT_RECORDING);
	rco_receipt_free(r);
	t_await(&w, "born", RCO_EVENT_CALL_RECORD, 1);
	t_advance(&w, 120000); /* and the last look */
	assert_int_equal(t_store_count(&w, ".json"), 1);
	t_world_close(&w);
	t_world_open(&w); /* all that is done with */
	t_advance(&w, 1000);
	assert_int_equal(t_events_count(&w.events, "born", RCO_EVENT_RECOVERED), 1);
	t_world_destroy(&w);
}

/* ---- a power cut after an artifact was registered ---- */

static void test_artifact_is_durable(void **state)
{
	char path[256];
	uint64_t before;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK | T_SPOOL);
	t_fs_init(&fs, "/calls/");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "mixed");
	t_join(path, sizeof path, w.artifacts, "mix.wav");
	t_write_file(path, "audio", 5);
	before = atomic_load(&fs.syncs);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_true(atomic_load(&fs.syncs) > before);
	atomic_store(&fs.sync_only, 1);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, "v2"), RCO_PENDING);
	atomic_store(&fs.fail, 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- a frame between the latch and the stop in the gate ---- */

static void test_wiped_before_stop(void **state)
{
	rco_session *s;
	rco__ring *ring;
	const uint8_t *audio;
	t_world w;
	size_t i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "wiped");
	ring = rco__leg_ring(s, 0);
	audio = rco__pool_data(w.engine->pool, ring);
	(void)pthread_mutex_lock(&s->lock); /* as in rco__opt_out_latch() */
	atomic_store(&s->latch, RCO__LATCH_OPTED_OUT);
	s->control.receipt.facts |= RCO_FACT_STOPPED;
	rco__rings_wipe(s);
	t_push(s, 0, 3, 0, 1);
	rco__gates_set(s);
	(void)pthread_mutex_unlock(&s->lock);
	rco__rings_wipe(s);
	for (i = 0; i < rco__pool_capacity(w.engine->pool, ring); i++)
		assert_int_equal(audio[i], 0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_while_ending), cmocka_unit_test(test_asked_while_born),
		cmocka_unit_test(test_born_and_killed),    cmocka_unit_test(test_artifact_is_durable),
		cmocka_unit_test(test_wiped_before_stop),
	};

	return cmocka_run_group_tests_name("orders", tests, NULL, NULL);
}
