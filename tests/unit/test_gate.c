/* SPDX-License-Identifier: MIT */
/* The word of the gate: which of its three parts each function changes. */
#include "../support.h"

#include "../../lib/media/gate.h"

static void test_a_commit_adds(void **state)
{
	rco__gate gate = 1000;
	uint64_t seen = rco__gate_load(&gate);

	(void)state;
	assert_true(rco__gate_commit(&gate, &seen, 160));
	assert_int_equal(rco__gate_load(&gate), 1160);
	assert_int_equal(rco__gate_index(&gate), 1160);
}

static void test_a_bit_that_came_between_refuses_it(void **state)
{
	static void (*const set[])(rco__gate *) = {rco__gate_stop, rco__gate_shut};
	static const uint64_t bits[] = {RCO__GATE_STOP, RCO__GATE_SHUT};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		rco__gate gate = 1000;
		uint64_t seen = rco__gate_load(&gate);

		set[i](&gate);
		assert_false(rco__gate_commit(&gate, &seen, 160));
		assert_true(seen == (bits[i] | 1000));
		assert_true(rco__gate_load(&gate) == (bits[i] | 1000));
		assert_int_equal(rco__gate_index(&gate), 1000);
	}
}

static void test_stop_is_for_good(void **state)
{
	rco__gate gate = 1000;

	(void)state;
	rco__gate_shut(&gate);
	rco__gate_unshut(&gate);
	assert_int_equal(rco__gate_load(&gate), 1000);
	rco__gate_stop(&gate);
	rco__gate_shut(&gate);
	assert_true(rco__gate_load(&gate) == (RCO__GATE_STOP | RCO__GATE_SHUT | 1000));
	rco__gate_unshut(&gate);
	assert_true(rco__gate_load(&gate) == (RCO__GATE_STOP | 1000));
	rco__gate_stop(&gate);
	assert_true(rco__gate_load(&gate) == (RCO__GATE_STOP | 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_commit_adds),
		cmocka_unit_test(test_a_bit_that_came_between_refuses_it),
		cmocka_unit_test(test_stop_is_for_good),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
