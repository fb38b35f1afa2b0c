/* SPDX-License-Identifier: MIT */
/* Bencode of examples/recorders: what a server, or another one who sends in its place, may answer. */
#include "../support.h"

#include "../../examples/recorders/bencode.c"

#include <stdlib.h>

/* Looked up in memory that ends where the answer ends, so that a sanitizer sees a step beyond it. */
static char *lookup(const char *answer, size_t size, const char *key)
{
	char *exact = malloc(size > 0 ? size : 1), *found = NULL;
	const char *value;
	size_t n = 0;

	assert_non_null(exact);
	memcpy(exact, answer, size);
	value = bencode_string(exact, size, key, &n);
	if (value != NULL) {
		assert_true(value >= exact && n <= size && value + n <= exact + size);
		found = strndup(value, n);
		assert_non_null(found);
	}
	free(exact);
	return found;
}

static void expect(const char *answer, const char *key, const char *value)
{
	char *found = lookup(answer, strlen(answer), key);

	if (value == NULL)
		assert_null(found);
	else
		assert_string_equal(found, value);
	free(found);
}

static void a_string_is_found_among_other_values(void **state)
{
	(void)state;
	expect("d6:result2:oke", "result", "ok");
	expect("d12:error-reason15:Unknown call-id6:result5:errore", "result", "error");
	expect("d7:createdi1795417450e4:tagsd1:ad3:tag1:aee5:ports"
	       "li1ei2ee6:result2:oke",
	       "result", "ok");
	expect("d6:result0:e", "result", "");
}

/* A key inside of another value is that value's: somebody else may have written it there. */
static void only_the_outer_dictionary_is_asked(void **state)
{
	(void)state;
	expect("d4:tagsd6:result2:oke6:result5:errore", "result", "error");
	expect("d4:tagsd6:result2:okee", "result", NULL);
	expect("d4:text14:6:result2:ok\n\ne", "result", NULL);
	expect("l6:result2:oke", "result", NULL);
	expect("6:result2:ok", "result", NULL);
}

static void a_value_that_is_no_string_is_not_taken(void **state)
{
	(void)state;
	expect("d6:resulti2ee", "result", NULL);
	expect("d6:resultl2:okee", "result", NULL);
	expect("d6:resultd2:ok2:okee", "result", NULL);
	expect("d6:resulte", "result", NULL);
}

static void lengths_that_lie_are_refused(void **state)
{
	(void)state;
	expect("d6:result3:oke", "result", "oke"); /* within the bytes that came, so it is what was said */
	expect("d6:result4:oke", "result", NULL);
	expect("d6:result18446744073709551618:oke", "result", NULL);
	expect("d6:result-1:oke", "result", NULL);
	expect("d6:result:oke", "result", NULL);
	expect("d6:result2oke", "result", NULL);
	expect("d99999999999999999999:x", "x", NULL);
	expect("d1:ai1", "result", NULL);
	expect("d1:a", "result", NULL);
	expect("", "result", NULL);
	expect("d", "result", NULL);
}

static void depth_has_a_limit(void **state)
{
	char deep[4096];

	(void)state;
	memset(deep, 'l', sizeof deep);
	memcpy(deep, "d1:a", 4);
	assert_null(lookup(deep, sizeof deep, "result"));
	expect("d1:alllleeee6:result2:oke", "result", "ok");
}

static void an_answer_that_was_cut_says_the_same_or_nothing(void **state)
{
	static const char answer[] = "d4:tagsd1:ad3:tag1:aee4:timei17e6:result2:ok7:warning4:nonee";
	size_t size;

	(void)state;
	for (size = 0; size < sizeof answer; size++) {
		char *found = lookup(answer, size, "result");

		if (size < (size_t)(strstr(answer, "2:ok") + 4 - answer))
			assert_null(found);
		else
			assert_string_equal(found, "ok");
		free(found);
	}
}

static void what_is_written_is_read_back(void **state)
{
	char out[64] = "d";
	size_t n = bencode_add(out, sizeof out, 1, "call-id", "e:4\x01");

	(void)state;
	n = bencode_add(out, sizeof out, n, "command", "stop recording");
	assert_true(n > 0 && n < sizeof out);
	out[n] = 'e';
	expect(out, "call-id", "e:4\x01");
	expect(out, "command", "stop recording");
}

static void no_room_is_told_and_stays_so(void **state)
{
	char out[16] = "d";
	volatile size_t room = sizeof out; /* or the compiler sees that it is too long, and warns */
	size_t n = bencode_add(out, room, 1, "key", "a value that is too long");

	(void)state;
	assert_int_equal(n, 0);
	assert_int_equal(bencode_add(out, room, n, "k", "v"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_string_is_found_among_other_values),
		cmocka_unit_test(only_the_outer_dictionary_is_asked),
		cmocka_unit_test(a_value_that_is_no_string_is_not_taken),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(depth_has_a_limit),
		cmocka_unit_test(an_answer_that_was_cut_says_the_same_or_nothing),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(no_room_is_told_and_stays_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
