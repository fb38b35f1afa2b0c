/* SPDX-License-Identifier: MIT */
/* A small JSON object read value by value: each is told with its path, and what is not JSON by the letter is
 * refused. */
#include "../support.h"

#include "../../lib/base/json_leaves.h"

#include <stdio.h>

static void hear(void *user, const rco__json_leaf *leaf)
{
	char *all = user;
	const size_t used = strlen(all);

	(void)snprintf(all + used, 4096 - used, "%s%s%s%s ", leaf->path, leaf->type == RCO__JSON_STRING ? "=" : "",
	               leaf->type == RCO__JSON_NUMBER || leaf->type == RCO__JSON_WORD ? ":" : "", leaf->text);
}

static int leaves(const char *json, char all[4096])
{
	all[0] = '\0';
	return rco__json_leaves(json, strlen(json), hear, all);
}

static void test_paths(void **state)
{
	char all[4096];

	(void)state;
	assert_true(leaves("{\"a\":1,\"b\":{\"c\":\"x\",\"d\":[]},\"e\":[1,{\"f\":true},[2],3],\"g\":null}", all));
	assert_string_equal(all, " /a:1 /b /b/c=x /b/d /e /e/#:1 /e/# /e/#/f:true /e/# /e/#/#:2 /e/#:3 /g:null ");
	assert_true(leaves("{\"a/b\":1,\"\\u0061\":\"\\u00e9\"}", all)); /* a name cannot look like a path */
	assert_string_equal(all, " /a\001b:1 /a=\xc3\xa9 ");
	assert_true(leaves("{}\n", all));
}

/* What is longer than there is room for is told cut, and by its size. */
static void measure(void *user, const rco__json_leaf *leaf)
{
	if (leaf->type == RCO__JSON_STRING) {
		assert_int_equal(strlen(leaf->text), RCO__LEAF_TEXT - 1);
		assert_int_equal(strlen(leaf->path), RCO__LEAF_PATH - 1);
		*(size_t *)user = leaf->size;
	}
}

static void test_long_ones(void **state)
{
	char json[4096];
	size_t size = 0;
	int n = snprintf(json, sizeof json, "{\"%0*d\":\"%0*d\"}", 1000, 1, 2000, 2);

	(void)state;
	assert_true(rco__json_leaves(json, (size_t)n, measure, &size));
	assert_int_equal(size, 2000);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1",
		"[1]",
		"{",
		"{\"a\":1}{}",
		"{\"a\":1,}",
		"{\"a\":01}",
		"{\"a\":1e5}",
		"{\"a\":NaN}",
		"{} x",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\u0000\"}",
		"x{}",
		"{a:1}",
		"{\"a\":1} 2",
		"{\"a\" \"b\"}",
		"{\"a\":1234567890123456789}",
	};
	char all[4096], deep[512] = "{\"a\":";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (leaves(bad[i], all))
			fail_msg("taken: %s", bad[i]);
	memset(deep + 5, '[', 100);
	memset(deep + 105, ']', 100);
	deep[205] = '}';
	assert_false(leaves(deep, all));
}

static void count(void *user, const rco__json_leaf *leaf)
{
	*(uint64_t *)user += rco__json_leaf_count(leaf);
}

static void test_counts(void **state)
{
	static const char json[] = "{\"a\":-1,\"b\":1.5,\"c\":\"7\",\"d\":40,\"e\":123456789012345678}";
	uint64_t sum = 0;

	(void)state;
	assert_true(rco__json_leaves(json, sizeof json - 1, count, &sum));
	assert_int_equal(sum, UINT64_C(123456789012345678) + 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_long_ones),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests_name("leaves of JSON", tests, NULL, NULL);
}
