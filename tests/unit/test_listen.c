/* SPDX-License-Identifier: MIT */
/* Listeners besides the one of the config, and the list of opt-outs that are not done with. */
#include "../support.h"

#include <sched.h>
#include <stdio.h>

typedef struct ear {
	_Atomic uint32_t heard;
	_Atomic uint32_t inside;
	_Atomic uint32_t hold; /* stay inside */
	rco_engine *leave;     /* and listen no more, from inside */
	int left;
} ear;

static void hear(const rco_event *event, void *user_data)
{
	ear *e = user_data;

	(void)event;
	atomic_fetch_add(&e->inside, 1);
	atomic_fetch_add(&e->heard, 1);
	while (atomic_load(&e->hold))
		(void)sched_yield();
	if (e->leave != NULL) {
		e->left = rco_engine_remove_listener(e->leave, hear, e);
		e->leave = NULL;
	}
	atomic_fetch_sub(&e->inside, 1);
}

static void opt_out_one(t_world *w, const char *call_id)
{
	rco_session *s = t_call(w, call_id);

	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_await(w, call_id, RCO_EVENT_VERIFIED, 1);
}

/* Each event says whose it is, also of two calls with one id: by the host's pointer, and by the recording. */
typedef struct mine {
	uint8_t recording_id[16];
	uint32_t told;
} mine;

static uint32_t nobodys;

static void match(const rco_event *event, void *user_data)
{
	static const uint8_t none[16];
	mine *m = event->user_data;

	(void)user_data;
	if (m == NULL) {
		nobodys++;
		assert_true(event->call_id[0] != '\0' || memcmp(event->recording_id, none, 16) == 0);
		return;
	}
	m->told++;
	assert_string_equal(event->call_id, "same");
	if (event->type > RCO_EVENT_STARTED) /* else it may not be known yet */
		assert_memory_equal(event->recording_id, m->recording_id, 16);
}

static rco_session *begin(t_world *w, mine *m)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "same", .user_data = m};
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	memcpy(m->recording_id, st.recording_id, 16);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 5);
	return s;
}

static void test_whose_an_event_is(void **state)
{
	mine first = {0}, second = {0};
	rco_session *a, *b;
	uint32_t before;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_engine_add_listener(w.engine, match, NULL), RCO_OK);
	a = begin(&w, &first);
	assert_int_equal(rco_session_end(a), RCO_OK);
	b = begin(&w, &second);
	t_await(&w, "same", RCO_EVENT_STORED, 1); /* the first one's, while the second goes on */
	before = first.told;
	assert_int_equal(rco_opt_out(b, NULL, NULL), RCO_OK);
	t_await(&w, "same", RCO_EVENT_VERIFIED, 1);
	assert_true(first.told >= 4 && second.told >= 4);
	assert_int_equal(first.told, before);
	nobodys = 0;
	assert_int_equal(
		rco_engine_opt_out(w.engine, "later",
	                           &(rco_opt_out_options){.struct_size = (uint32_t)sizeof(rco_opt_out_options),
	                                                  .flags = RCO_OPT_OUT_NONBLOCK},
	                           NULL),
		RCO_PENDING);
	t_await(&w, "later", RCO_EVENT_DURABLE, 1);
	assert_true(nobodys >= 1);
	rco_session_free(a);
	rco_session_free(b);
	t_world_destroy(&w);
}

static void test_all_are_told(void **state)
{
	ear many[RCO_LISTENERS_MAX + 1] = {0};
	uint32_t i;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	for (i = 0; i < RCO_LISTENERS_MAX; i++)
		assert_int_equal(rco_engine_add_listener(w.engine, hear, &many[i]), RCO_OK);
	assert_int_equal(rco_engine_add_listener(w.engine, hear, &many[i]), RCO_E_LIMIT);
	opt_out_one(&w, "one");
	for (i = 0; i < RCO_LISTENERS_MAX; i++)
		assert_int_equal(atomic_load(&many[i].heard), w.events.n);
	/* one leaves, from inside; another one outside; the others go on */
	many[3].leave = w.engine;
	assert_int_equal(rco_engine_remove_listener(w.engine, hear, &many[5]), RCO_OK);
	assert_int_equal(rco_engine_remove_listener(w.engine, hear, &many[5]), RCO_E_NOT_FOUND);
	i = atomic_load(&many[5].heard);
	opt_out_one(&w, "two");
	assert_int_equal(many[3].left, RCO_OK);
	assert_int_equal(atomic_load(&many[3].heard), i + 1);
	assert_int_equal(atomic_load(&many[5].heard), i);
	assert_int_equal(atomic_load(&many[0].heard), w.events.n);
	/* their places are free again */
	assert_int_equal(rco_engine_add_listener(w.engine, hear, &many[3]), RCO_OK);
	assert_int_equal(rco_engine_add_listener(w.engine, hear, &many[5]), RCO_OK);
	assert_int_equal(rco_engine_add_listener(w.engine, hear, &many[5]), RCO_E_LIMIT);
	assert_int_equal(rco_engine_add_listener(w.engine, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_remove_listener(w.engine, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_add_listener(NULL, hear, NULL), RCO_E_INVALID);
	t_world_destroy(&w);
}

static void *leave(void *arg)
{
	struct {
		rco_engine *engine;
		ear *e;
		_Atomic int done;
	} *of = arg;

	if (rco_engine_remove_listener(of->engine, hear, of->e) != RCO_OK)
		return NULL;
	atomic_store(&of->done, atomic_load(&of->e->inside) == 0 ? 1 : 2);
	return NULL;
}

/* One who has left is not running any more. */
static void test_leaving_waits(void **state)
{
	struct {
		rco_engine *engine;
		ear *e;
		_Atomic int done;
	} of = {0};
	pthread_t thread;
	rco_session *s;
	ear e = {0};
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	atomic_store(&e.hold, 1);
	assert_int_equal(rco_engine_add_listener(w.engine, hear, &e), RCO_OK);
	s = t_call(&w, "held");
	while (atomic_load(&e.inside) == 0)
		(void)sched_yield();
	of.engine = w.engine;
	of.e = &e;
	t_thread(&thread, leave, &of);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(atomic_load(&of.done), 0);
		(void)sched_yield();
	}
	atomic_store(&e.hold, 0);
	(void)pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&of.done), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

typedef struct list {
	uint32_t n, stop_at;
	uint32_t status[8];
	int64_t deadline_us[8];
	char call_id[8][64];
} list;

static int take(const rco_pending *p, void *user_data)
{
	list *l = user_data;

	assert_int_equal(p->struct_size, sizeof *p);
	assert_int_equal(strlen(p->receipt_id), RCO_ID_TEXT);
	assert_true(p->requested_us > 0);
	l->status[l->n] = p->status;
	l->deadline_us[l->n] = p->deadline_us;
	(void)snprintf(l->call_id[l->n], sizeof l->call_id[0], "%s", p->call_id);
	l->n++;
	return l->n == l->stop_at;
}

static void test_pending(void **state)
{
	rco_session_options held = {.struct_size = (uint32_t)sizeof held, .call_id = "held", .legal_hold = 1};
	rco_session *s, *h, *open;
	list l = {0};
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_engine_each_pending(w.engine, take, &l), RCO_OK);
	assert_int_equal(l.n, 0);
	open = t_call(&w, "going on");
	opt_out_one(&w, "done");
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&w, "stuck");
	t_push(s, 0, 1, 0, 5);
	t_advance(&w, 300);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	h = t_call_with(&w, &held);
	assert_int_equal(rco_session_start(h), RCO_OK);
	t_push(h, 0, 2, 0, 5);
	assert_int_equal(rco_opt_out(h, NULL, NULL), RCO_OK);
	assert_int_equal(rco_engine_each_pending(w.engine, take, &l), RCO_OK);
	assert_int_equal(l.n, 2);
	assert_int_equal(strcmp(l.call_id[0], "stuck") == 0 ? l.status[0] : l.status[1], RCO_STATUS_RETRYING);
	assert_int_equal(strcmp(l.call_id[0], "held") == 0 ? l.status[0] : l.status[1], RCO_STATUS_HELD);
	assert_true(l.deadline_us[0] > atomic_load(&w.clock.wall_us));
	l = (list){.stop_at = 1};
	assert_int_equal(rco_engine_each_pending(w.engine, take, &l), RCO_OK);
	assert_int_equal(l.n, 1);
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	t_await(&w, "stuck", RCO_EVENT_VERIFIED, 1);
	l = (list){0};
	assert_int_equal(rco_engine_each_pending(w.engine, take, &l), RCO_OK);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.call_id[0], "held");
	assert_int_equal(rco_engine_each_pending(w.engine, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_each_pending(NULL, take, &l), RCO_E_INVALID);
	rco_session_free(s);
	rco_session_free(h);
	rco_session_free(open);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_an_event_is),
		cmocka_unit_test(test_all_are_told),
		cmocka_unit_test(test_leaving_waits),
		cmocka_unit_test(test_pending),
	};

	return cmocka_run_group_tests_name("listeners", tests, NULL, NULL);
}
