/* SPDX-License-Identifier: MIT */
/* The table of places fits into what is made of it, and every row of it can be found in a message. */
#include "../support.h"

#include "../../lib/agent/places.h"

#include <string.h>

static void test_room(void **state)
{
	const rco__places *p = rco__places_get();
	const size_t nodes = sizeof p->node / sizeof p->node[0], uses = sizeof p->use / sizeof p->use[0];
	size_t i;

	(void)state;
	assert_true(p->rows <= RCO__PLACES_MAX);
	assert_true(p->n_nodes <= nodes);
	assert_true(p->n_uses <= uses);
	for (i = 0; i < p->rows; i++)
		assert_true((p->required[i] | p->inner[i]) < 1u << RCO__CONDITIONS_MAX);
	assert_ptr_equal(p, rco__places_get());
}

/* Every row is used at one member at least, and its conditions are ones that a message can meet. */
static void test_rows(void **state)
{
	const rco__places *p = rco__places_get();
	uint32_t roles[RCO__PLACES_MAX] = {0}, can_be_met[RCO__PLACES_MAX] = {0};
	size_t node;
	int16_t i;

	(void)state;
	for (node = 0; node < p->n_nodes; node++)
		for (i = p->node[node].uses; i >= 0; i = p->use[i].next) {
			const rco__use *u = &p->use[i];

			assert_true(u->row < p->rows || u->role >= RCO__ROLE_CALL_ID);
			if (u->role >= RCO__ROLE_CALL_ID)
				continue;
			roles[u->row] |= 1u << u->role;
			if (u->role == RCO__ROLE_EQUAL || u->role == RCO__ROLE_PRESENT ||
			    u->role == RCO__ROLE_NAMED)
				can_be_met[u->row] |= 1u << u->index;
		}
	for (node = 0; node < p->rows; node++) {
		const int call = p->row[node].dialect < RCO__PLACE_HISTORY;

		assert_int_equal(roles[node] & 1u << RCO__ROLE_PLACE, 1u << RCO__ROLE_PLACE);
		assert_int_equal((roles[node] &
		                  (1u << RCO__ROLE_NAME | 1u << RCO__ROLE_SPOKEN | 1u << RCO__ROLE_WRITTEN)) != 0,
		                 call);
		assert_int_equal(can_be_met[node], p->required[node]);
		assert_true(!call || rco_dialect_name(p->row[node].dialect) != NULL);
	}
}

/* The table names members as they are looked up. */
static void test_spelling(void **state)
{
	const rco__places *p = rco__places_get();
	size_t node;
	int16_t i;

	(void)state;
	for (node = 0; node < p->n_nodes; node++)
		for (i = p->node[node].child; i >= 0; i = p->node[i].sibling)
			assert_int_equal(rco__places_child(p, (int16_t)node, p->node[i].key, p->node[i].key_size),
			                 i);
}

static void test_values(void **state)
{
	const rco__use use = {.values = "a|bc|d,e"};

	(void)state;
	assert_true(rco__places_value_is(&use, "a", 1) && rco__places_value_is(&use, "bc", 2));
	assert_true(rco__places_value_is(&use, "d", 1));
	assert_false(rco__places_value_is(&use, "b", 1) || rco__places_value_is(&use, "e", 1) ||
	             rco__places_value_is(&use, "", 0) || rco__places_value_is(&use, "a|bc", 4));
	assert_true(rco__places_child(rco__places_get(), 0, "type", 4) > 0);
	assert_int_equal(rco__places_child(rco__places_get(), 0, "typ", 3), -1);
	assert_int_equal(rco__places_child(rco__places_get(), 0, "Type", 4), -1);
	assert_int_equal(rco__places_child(rco__places_get(), 0, "toolCallId", 10),
	                 rco__places_child(rco__places_get(), 0, "tool_call_id", 12));
	assert_int_equal(rco__places_child(rco__places_get(), 0, "toolCallID", 10),
	                 rco__places_child(rco__places_get(), 0, "tool_call_id", 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_room), cmocka_unit_test(test_rows),
	                                   cmocka_unit_test(test_spelling), cmocka_unit_test(test_values)};

	return cmocka_run_group_tests_name("places of calls", tests, NULL, NULL);
}
