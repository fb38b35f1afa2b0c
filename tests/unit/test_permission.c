/* SPDX-License-Identifier: MIT */
/*
 * An opt-out at every moment that makes a difference: the engine runs in this thread, and just before it takes a
 * lock for the n-th time the request is made, for every n that there is. Between two such places nothing is shared
 * with other threads but the latch and the hold, which are looked at before something is begun.
 */
#include "../support.h"

#include "../../lib/ledger/ledger_internal.h"
#include "../../lib/session/state.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW_MS = 10000, FRAMES = 30, EVERY = T_SANITIZED ? 7 : 1, HOUR_MS = 3600000 };

/* ---- standing in front of the locks ---- */

static _Thread_local struct {
	int depth; /* locks that this thread holds */
	int armed;
	unsigned seen, place; /* counted from 1 */
	void (*act)(void);
} at;

typedef int (*lock_fn)(pthread_mutex_t *mutex);

static lock_fn resolve(_Atomic(lock_fn) *slot, const char *name)
{
	lock_fn fn = atomic_load(slot);

	if (fn == NULL) {
		void *found = dlsym(RTLD_NEXT, name);

		memcpy(&fn, &found, sizeof fn);
		atomic_store(slot, fn);
	}
	return fn;
}

static void moment(void)
{
	if (!at.armed || at.depth > 0 || ++at.seen != at.place)
		return;
	at.armed = 0;
	at.act();
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static _Atomic(lock_fn) real;
	int rc;

	moment();
	rc = resolve(&real, "pthread_mutex_lock")(mutex);
	at.depth += rc == 0;
	return rc;
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	static _Atomic(lock_fn) real;
	int rc = resolve(&real, "pthread_mutex_trylock")(mutex);

	at.depth += rc == 0;
	return rc;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	static _Atomic(lock_fn) real;

	at.depth--;
	return resolve(&real, "pthread_mutex_unlock")(mutex);
}

/* ---- one world for each place ---- */

static t_world w;
static rco_session *call;
static int answer, pushed, reached;
static uint64_t appends;
static int64_t clock_before, clock_after; /* ms to go forward around the request */

static void ask(void)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};

	reached = 1;
	t_clock_advance(&w.clock, clock_before);
	answer = rco_opt_out(call, &o, NULL);
	pushed = t_push_one(call, 0, 1);
	appends = t_fault_calls(&w.fault, T_APPEND);
	t_clock_advance(&w.clock, clock_after);
}

/* Not while this very thread writes the ledger, which it would have to wait for. */
static void lift(void)
{
	if (w.engine->ledger->leading) {
		at.armed = 1;
		at.place++;
		return;
	}
	reached = 1;
	answer = rco_session_set_legal_hold(call, 0);
}

static void begin(int held)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = "call", .legal_hold = (uint32_t)held};

	t_world_init(&w, 0);
	w.cfg.late_opt_out_ms = WINDOW_MS;
	t_world_open(&w);
	call = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(call), RCO_OK);
	t_push(call, 0, 1, 0, FRAMES);
	t_push(call, 1, 2, 0, FRAMES);
	reached = 0;
}

static void arm(unsigned place, void (*act)(void))
{
	at.depth = 0;
	at.seen = 0;
	at.place = place;
	at.act = act;
	at.armed = 1;
}

static void end(void)
{
	at.armed = 0;
	rco_session_free(call);
	t_world_destroy(&w);
}

static void assert_never_there(void)
{
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
}

static void assert_kept(void)
{
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, FRAMES));
	assert_true(t_store_has_noise(&w, "call", "agent", 2, FRAMES));
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_OPTED_OUT), 0);
}

/* ---- the moments ---- */

/* The call goes on: at most the piece that is being handed over reaches the buffer after the request. */
static void test_while_recording(void **state)
{
	unsigned place;

	(void)state;
	clock_before = clock_after = 0;
	for (place = 1;; place += EVERY) {
		begin(0);
		arm(place, ask);
		t_advance(&w, 1000);
		if (!reached) {
			end();
			break;
		}
		assert_int_equal(answer, RCO_PENDING);
		assert_true(t_fault_calls(&w.fault, T_APPEND) <= appends + 1);
		assert_int_equal(pushed, RCO_E_OPTED_OUT);
		assert_never_there();
		end();
	}
	print_message("    %u places\n", place - 1);
	assert_true(place > 20);
}

/* Everything is uploaded in one go, and the window passes right after the request: permission has been asked for
 * or not, and if not it must not be given. */
static void test_as_the_window_closes(void **state)
{
	unsigned place;

	(void)state;
	clock_before = 0;
	clock_after = 2;
	for (place = 1;; place += EVERY) {
		begin(0);
		assert_int_equal(rco_session_end(call), RCO_OK);
		t_clock_advance(&w.clock, WINDOW_MS - 1);
		arm(place, ask);
		t_settle(&w);
		if (!reached) {
			end();
			break;
		}
		assert_int_equal(answer, RCO_PENDING);
		assert_never_there();
		end();
	}
	print_message("    %u places\n", place - 1);
	assert_true(place > 60);
}

/* The window has passed: too late, wherever the upload is. */
static void test_after_the_window(void **state)
{
	unsigned place;

	(void)state;
	clock_before = clock_after = 0;
	for (place = 1;; place += EVERY) {
		begin(0);
		assert_int_equal(rco_session_end(call), RCO_OK);
		t_clock_advance(&w.clock, WINDOW_MS);
		arm(place, ask);
		t_settle(&w);
		if (!reached) {
			end();
			break;
		}
		assert_int_equal(answer, RCO_E_ENDED);
		assert_kept();
		end();
	}
	print_message("    %u places\n", place - 1);
	assert_true(place > 80);
}

/* A clock that was put back, after which the window would be open again: the permission to commit was given once
 * and for good, and who has not been refused is never committed. */
static void test_the_window_does_not_open_again(void **state)
{
	unsigned place, opted = 0, refused = 0;

	(void)state;
	clock_before = -HOUR_MS;
	clock_after = HOUR_MS;
	for (place = 1;; place += EVERY) {
		begin(0);
		assert_int_equal(rco_session_end(call), RCO_OK);
		t_clock_advance(&w.clock, WINDOW_MS);
		arm(place, ask);
		t_settle(&w);
		if (!reached) {
			end();
			break;
		}
		if (answer == RCO_PENDING) {
			opted++;
			assert_int_equal(refused, 0);
			assert_never_there();
		} else {
			refused++;
			assert_int_equal(answer, RCO_E_ENDED);
			assert_kept();
		}
		end();
	}
	print_message("    %u places, %u before the permission, %u after it\n", place - 1, opted, refused);
	assert_true(opted > 5 && refused > 5);
}

/* Opted out and held: it is uploaded all the same, and goes as soon as the hold is lifted, wherever that is. */
static void test_a_hold_is_lifted(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o};
	unsigned place;

	(void)state;
	for (place = 1;; place += EVERY) {
		begin(1);
		t_advance(&w, 1000);
		assert_int_equal(rco_opt_out(call, &o, NULL), RCO_OK);
		assert_int_equal(rco_session_end(call), RCO_OK);
		t_clock_advance(&w.clock, WINDOW_MS);
		arm(place, lift);
		t_settle(&w);
		if (!reached) {
			assert_true(t_fault_audio_calls(&w.fault, T_COMMIT) > 0);
			end();
			break;
		}
		assert_int_equal(answer, RCO_OK);
		t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
		assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
		assert_int_equal(t_store_audio(&w), 0);
		assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
		end();
	}
	print_message("    %u places\n", place - 1);
	assert_true(place > 80);
}

static void appear(void)
{
	reached = 1;
	call = t_call(&w, "new");
}

static uint32_t references_at(unsigned place)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	uint32_t references = 0;

	t_world_init(&w, 0);
	t_world_open(&w);
	reached = 0;
	arm(place, appear);
	assert_int_equal(rco_engine_opt_out(w.engine, "new", &o, NULL), RCO_PENDING);
	at.armed = 0;
	if (reached) {
		t_settle(&w);
		references = atomic_load(&call->refs);
		assert_int_equal(t_push_one(call, 0, 1), RCO_E_OPTED_OUT);
		assert_int_equal(rco_session_end(call), RCO_OK);
		rco_session_free(call);
		t_await(&w, "new", RCO_EVENT_CALL_RECORD, 1);
	}
	t_world_destroy(&w);
	return references;
}

/* The call appears while it is objected to by its id: before the request looks for it, or before it looks once
 * more. */
static void test_as_the_call_appears(void **state)
{
	uint32_t first = references_at(1), references = first;
	unsigned place;

	(void)state;
	for (place = 2; references != 0; place++) {
		references = references_at(place);
		assert_true(references == 0 || references == first);
	}
	print_message("    %u places\n", place - 2);
	assert_true(place > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_while_recording),  cmocka_unit_test(test_as_the_window_closes),
		cmocka_unit_test(test_after_the_window), cmocka_unit_test(test_the_window_does_not_open_again),
		cmocka_unit_test(test_a_hold_is_lifted), cmocka_unit_test(test_as_the_call_appears),
	};

	/* Hundreds of worlds: nothing here is about the disk. */
	if (setenv("TMPDIR", t_shm(), 1) != 0)
		return 1;
	return cmocka_run_group_tests_name("permission", tests, NULL, NULL);
}
