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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_second_answer),
		cmocka_unit_test(test_an_answer_after_the_time_out),
		cmocka_unit_test(test_an_answer_for_another_engine),
	};

	return cmocka_run_group_tests_name("operations", tests, NULL, NULL);
}
