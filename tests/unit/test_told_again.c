/* SPDX-License-Identifier: MIT */
/* A process that dies before the listener has heard of something: the next one tells it, whatever had been done.
 */
#include "../support.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIED = 7, CAME_THROUGH = 9 };

static uint32_t dies_at;

static void die(const rco_event *event, void *user_data)
{
	(void)user_data;
	if (event->type == dies_at && strcmp(event->call_id, "call") == 0) {
		T_LAST_WORDS();
		_exit(DIED);
	}
}

static void story(t_world *w, int objects, uint32_t hold)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call", .legal_hold = hold};
	rco_session *s = t_call_with(w, &o);
	char path[256];

	t_join(path, sizeof path, w->artifacts, "copy.wav");
	t_write_file(path, "copy", 4);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 20);
	t_advance(w, 400);
	if (objects)
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(w, 20000);
	t_advance(w, 120000);
}

static void first_process(t_world *w, int objects, uint32_t hold)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		w->events.hook = die;
		t_world_open(w);
		story(w, objects, hold);
		T_LAST_WORDS();
		_exit(CAME_THROUGH);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DIED);
}

static void told_again(uint32_t type, int objects, uint32_t hold)
{
	t_world w;

	dies_at = type;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	w.cfg.erase_deadline_ms = 1000;
	if (type == RCO_EVENT_ESCALATED)
		t_fault_set(&w.fault, T_REMOVE, T_FAIL, 0, RCO_E_IO);
	first_process(&w, objects, hold);
	t_world_open(&w);
	t_advance(&w, 20000);
	t_advance(&w, 120000);
	if (t_events_count(&w.events, "call", type) != 1)
		fail_msg("%s is told %zu times", rco_event_name(type), t_events_count(&w.events, "call", type));
	/* It was told, and is not told for ever. */
	t_advance(&w, 10000000);
	t_world_close(&w);
	t_world_open(&w);
	t_advance(&w, 140000);
	if (!hold) /* which stays an open question */
		assert_int_equal(t_events_count(&w.events, "call", type), 1);
	t_world_close(&w);
	t_world_destroy(&w);
}

static void test_an_opt_out(void **state)
{
	(void)state;
	told_again(RCO_EVENT_DURABLE, 1, 0);
	told_again(RCO_EVENT_ESCALATED, 1, 0);
	told_again(RCO_EVENT_ERASED, 1, 0);
	told_again(RCO_EVENT_VERIFIED, 1, 0);
	told_again(RCO_EVENT_SWEPT, 1, 0);
}

/* Short of memory an escalation is told all the same, with its code. */
static void test_escalated_without_memory(void **state)
{
	t_event e;
	t_world w;
	rco_session *s;

	(void)state;
	t_memory_is_there();
	t_world_init(&w, 0);
	w.cfg.allocator = &t_allocator;
	w.cfg.erase_deadline_ms = 60000;
	t_world_open(&w);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 5);
	t_advance(&w, 400);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, 30000);
	atomic_store(&t_memory.fail_all, 1);
	t_advance(&w, 60000);
	atomic_store(&t_memory.fail_all, 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	assert_true(t_events_last(&w.events, "call", RCO_EVENT_ESCALATED, &e));
	assert_int_equal(e.code, RCO_E_TIMEOUT);
	assert_int_equal(e.status, RCO_STATUS_OVERDUE);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_a_held_call(void **state)
{
	(void)state;
	told_again(RCO_EVENT_HELD, 1, 1);
}

static void test_a_kept_call(void **state)
{
	(void)state;
	told_again(RCO_EVENT_STORED, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_opt_out),
		cmocka_unit_test(test_escalated_without_memory),
		cmocka_unit_test(test_a_held_call),
		cmocka_unit_test(test_a_kept_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
