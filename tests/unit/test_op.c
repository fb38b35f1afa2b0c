/* SPDX-License-Identifier: MIT */
/* Operations of backends: an answer counts once, for what was asked, and for nothing that was asked since. */
#include "../support.h"

#include "../../lib/session/work.h"

static uint64_t ask(t_world *w)
{
	uint64_t op = 0;

	assert_int_equal(rco__op_begin(w->engine, NULL, &w->engine->shards[0], &op), RCO_OK);
	return op;
}

static void test_a_second_answer(void **state)
{
	rco_result result = {.struct_size = (uint32_t)sizeof result, .confirmed = RCO_CONFIRM_GONE}, out;
	uint64_t first, second;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	first = ask(&w);
	assert_int_equal(rco__op_take(w.engine, first, &out), RCO_PENDING);
	assert_int_equal(rco_op_complete(w.engine, first, RCO_OK, &result), RCO_OK);
	assert_int_equal(rco_op_complete(w.engine, first, RCO_OK, &result), RCO_E_STALE);
	assert_int_equal(rco__op_take(w.engine, first, &out), RCO_OK);
	assert_int_equal(out.confirmed, RCO_CONFIRM_GONE);
	assert_int_equal(rco__op_take(w.engine, first, &out), RCO_E_STALE);

	/* its place is another's now */
	second = ask(&w);
	assert_int_equal((uint32_t)second, (uint32_t)first);
	assert_int_equal(rco_op_complete(w.engine, first, RCO_OK, &result), RCO_E_STALE);
	assert_int_equal(rco__op_take(w.engine, second, &out), RCO_PENDING);
	assert_int_equal(out.confirmed, RCO_CONFIRM_UNKNOWN);
	assert_int_equal(rco_op_complete(w.engine, second, RCO_E_IO, NULL), RCO_OK);
	assert_int_equal(rco__op_take(w.engine, second, &out), RCO_E_IO);
	t_world_destroy(&w);
}

static void test_an_answer_after_the_time_out(void **state)
{
	rco_result result = {.struct_size = (uint32_t)sizeof result, .confirmed = RCO_CONFIRM_GONE}, out;
	uint64_t first, second;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	first = ask(&w);
	rco__op_give_up(w.engine, first, NULL, 0, NULL, 0);
	second = ask(&w); /* elsewhere: who was given up may still answer */
	assert_int_not_equal((uint32_t)second, (uint32_t)first);
	assert_int_equal(rco_op_complete(w.engine, first, RCO_OK, &result), RCO_E_STALE);
	assert_int_equal(rco_op_complete(w.engine, first, RCO_OK, &result), RCO_E_STALE);
	assert_int_equal(rco__op_take(w.engine, second, &out), RCO_PENDING);
	rco__op_end(w.engine, second);
	assert_int_equal(rco_op_complete(w.engine, second, RCO_OK, &result), RCO_E_STALE);
	assert_int_equal(rco_op_complete(w.engine, 0, RCO_OK, &result), RCO_E_STALE);
	assert_int_equal(rco_op_complete(w.engine, UINT64_MAX, RCO_OK, &result), RCO_E_STALE);
	t_world_destroy(&w);
}

/* What answers one engine late is not an answer for another: their numbers are their own. */
static void test_an_answer_for_another_engine(void **state)
{
	rco_result result = {.struct_size = (uint32_t)sizeof result, .confirmed = RCO_CONFIRM_GONE}, out;
	uint64_t of_first, of_second;
	t_world first, second;

	(void)state;
	t_world_init(&first, 0);
	t_world_init(&second, 0);
	t_world_open(&first);
	t_world_open(&second);
	of_first = ask(&first);
	of_second = ask(&second);
	assert_int_equal(rco_op_complete(second.engine, of_first, RCO_OK, &result), RCO_E_STALE);
	assert_int_equal(rco__op_take(second.engine, of_second, &out), RCO_PENDING);
	rco__op_end(first.engine, of_first);
	rco__op_end(second.engine, of_second);
	t_world_destroy(&second);
	t_world_destroy(&first);
}

/* Operations of a library on top: made, answered and waited for by public functions. */
static uint64_t create(t_world *w)
{
	uint64_t op = 0;

	assert_int_equal(rco_op_create(w->engine, &op), RCO_OK);
	assert_int_not_equal(op, 0);
	return op;
}

typedef struct answerer {
	rco_engine *engine;
	uint64_t op;
	int rc;
} answerer;

static void *answer_it(void *arg)
{
	rco_result result = {.struct_size = (uint32_t)sizeof result, .confirmed = RCO_CONFIRM_PRESENT, .count = 7};
	answerer *a = arg;

	a->rc = rco_op_complete(a->engine, a->op, RCO_OK, &result);
	return NULL;
}

static void test_waiting_for_an_answer(void **state)
{
	rco_result out = {.struct_size = (uint32_t)sizeof out};
	pthread_t thread;
	answerer a;
	t_world w;
	int code = 1;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	a.engine = w.engine;
	a.op = create(&w);
	assert_int_equal(rco_op_wait(w.engine, a.op, 0, &code, &out), RCO_E_TIMEOUT);
	assert_int_equal(rco_op_wait(w.engine, a.op, 20, &code, &out), RCO_E_TIMEOUT);
	assert_int_equal(code, 1);
	assert_int_equal(pthread_create(&thread, NULL, answer_it, &a), 0);
	assert_int_equal(rco_op_wait(w.engine, a.op, 60000, &code, &out), RCO_OK);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(a.rc, RCO_OK);
	assert_int_equal(code, RCO_OK);
	assert_int_equal(out.confirmed, RCO_CONFIRM_PRESENT);
	assert_int_equal(out.count, 7);
	/* taken: over for everybody */
	assert_int_equal(rco_op_wait(w.engine, a.op, 0, &code, &out), RCO_E_STALE);
	assert_int_equal(rco_op_complete(w.engine, a.op, RCO_OK, NULL), RCO_E_STALE);
	t_world_destroy(&w);
}

static void test_giving_an_answer_up(void **state)
{
	rco_result out = {.struct_size = 8};
	t_world w;
	uint64_t op;
	int code = 1;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	op = create(&w);
	assert_int_equal(rco_op_complete(w.engine, op, RCO_E_TIMEOUT, NULL), RCO_OK);
	assert_int_equal(rco_op_complete(w.engine, op, RCO_OK, NULL), RCO_E_STALE); /* the backend, late */
	/* an answer that there is no room for is not lost */
	assert_int_equal(rco_op_wait(w.engine, op, 0, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_op_wait(w.engine, op, 0, &code, &out), RCO_E_STRUCT_SIZE);
	assert_int_equal(rco_op_wait(w.engine, op, 0, &code, NULL), RCO_OK);
	assert_int_equal(code, RCO_E_TIMEOUT);
	assert_int_equal(rco_op_create(w.engine, NULL), RCO_E_INVALID);
	assert_int_equal(rco_op_create(NULL, &op), RCO_E_INVALID);
	assert_int_equal(rco_op_wait(NULL, op, 0, &code, NULL), RCO_E_INVALID);
	t_world_destroy(&w);
}

/* Answers to what the engine has asked are the engine's. */
static void test_the_engines_own(void **state)
{
	rco_result out;
	t_world w;
	uint64_t op;
	int code;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	op = ask(&w);
	assert_int_equal(rco_op_complete(w.engine, op, RCO_OK, NULL), RCO_OK);
	assert_int_equal(rco_op_wait(w.engine, op, 0, &code, NULL), RCO_E_STALE);
	assert_int_equal(rco__op_take(w.engine, op, &out), RCO_OK);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_second_answer),
		cmocka_unit_test(test_an_answer_after_the_time_out),
		cmocka_unit_test(test_an_answer_for_another_engine),
		cmocka_unit_test(test_waiting_for_an_answer),
		cmocka_unit_test(test_giving_an_answer_up),
		cmocka_unit_test(test_the_engines_own),
	};

	return cmocka_run_group_tests_name("operations", tests, NULL, NULL);
}
