/* SPDX-License-Identifier: MIT */
/*
 * JSON as it comes: whatever the sizes of the pieces, the same is told; the bytes of every value are given back;
 * nothing is too deep or too long; and what RFC 8259 does not allow is read, and said to be odd.
 */
#include "../support.h"

#include "../../lib/base/json_walk.h"

#include <stdio.h>
#include <stdlib.h>

/* What was told as text: a value's pieces are put together again. */
typedef struct told {
	char text[65536], raw[65536], value[65536], value_raw[65536];
	size_t size, raw_size, value_size, value_raw_size;
	const char *skip; /* key whose value is skipped; "{" or "[": every object or array is */
} told;

static void add(char *to, size_t *size, size_t cap, const char *bytes, size_t n)
{
	assert_true(*size + n < cap);
	memcpy(to + *size, bytes, n);
	*size += n;
	to[*size] = '\0';
}

static int hear(void *user, const rco__json_event *e)
{
	static const char letters[] = "{}[]ksnwrg";
	told *t = user;
	char head[16];

	add(t->raw, &t->raw_size, sizeof t->raw, e->raw, e->raw_size);
	if (e->first)
		t->value_size = t->value_raw_size = 0;
	add(t->value, &t->value_size, sizeof t->value, e->text, e->size);
	add(t->value_raw, &t->value_raw_size, sizeof t->value_raw, e->raw, e->raw_size);
	if (!e->last && e->type != RCO__JSON_GARBAGE)
		return RCO__JSON_GO;
	if (e->type != RCO__JSON_GARBAGE) {
		(void)snprintf(head, sizeof head, "%c%u", letters[e->type], e->depth);
		add(t->text, &t->size, sizeof t->text, head, strlen(head));
		add(t->text, &t->size, sizeof t->text, t->value, t->value_size);
		add(t->text, &t->size, sizeof t->text, "\n", 1);
	}
	if (t->skip == NULL)
		return RCO__JSON_GO;
	return (e->type == RCO__JSON_KEY || e->type == RCO__JSON_OBJECT || e->type == RCO__JSON_ARRAY) &&
	                       strcmp(t->value, t->skip) == 0
	               ? RCO__JSON_SKIP
	               : RCO__JSON_GO;
}

static rco__json_ending walk(told *t, const char *json, size_t size, size_t piece, int *odd)
{
	rco__json_walk w;
	rco__json_ending ending;
	size_t i;
	const char *skip = t->skip;

	memset(t, 0, sizeof *t);
	t->skip = skip;
	rco__json_begin(&w, hear, t);
	for (i = 0; i < size; i += piece) {
		size_t n = size - i < piece ? size - i : piece;
		char *exact = malloc(n); /* so that ASan sees a byte too far */

		assert_non_null(exact);
		memcpy(exact, json + i, n);
		rco__json_feed(&w, exact, n);
		free(exact);
	}
	ending = rco__json_end(&w);
	if (odd != NULL)
		*odd = w.odd != 0;
	return ending;
}

static told a, b;

/* In one piece, and in pieces of every size up to 17. */
static void expect(const char *json, size_t size, rco__json_ending ending, int odd, const char *text)
{
	size_t piece;
	int was_odd;

	a.skip = b.skip = NULL;
	assert_int_equal(walk(&a, json, size, size + 1, &was_odd), ending);
	if (text != NULL && strcmp(a.text, text) != 0)
		fail_msg("%s told\n%s, not\n%s", json, a.text, text);
	if (was_odd != odd)
		fail_msg("%s is %sodd", json, odd ? "not " : "");
	for (piece = 1; piece < 18; piece++) {
		assert_int_equal(walk(&b, json, size, piece, &was_odd), ending);
		assert_int_equal(was_odd, odd);
		assert_int_equal(a.size, b.size);
		assert_memory_equal(a.text, b.text, a.size);
		assert_int_equal(a.raw_size, b.raw_size);
		assert_memory_equal(a.raw, b.raw, a.raw_size);
	}
}

#define ALL(json) json, sizeof(json) - 1

static void test_events(void **state)
{
	(void)state;
	expect(ALL("{\"a\":[1,-2.5e+3,true,null,\"x\"],\"b\":{}}"), RCO__JSON_WHOLE, 0,
	       "{0{\nk1a\n[1[\nn21\nn2-2.5e+3\nw2true\nw2null\ns2x\n]1]\nk1b\n{1{\n}1}\n}0}\n");
	expect(ALL(" 7 "), RCO__JSON_WHOLE, 0, "n07\n");
	expect(ALL("7"), RCO__JSON_WHOLE, 0, "n07\n");
	expect(ALL("\"\""), RCO__JSON_WHOLE, 0, "s0\n");
	expect(ALL("{}\n{}\r\n"), RCO__JSON_WHOLE, 0, "{0{\n}0}\n{0{\n}0}\n");
	expect(ALL(""), RCO__JSON_EMPTY, 0, "");
	expect(ALL(" \n\t"), RCO__JSON_EMPTY, 0, "");
}

static void test_strings(void **state)
{
	(void)state;
	expect(ALL("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), RCO__JSON_WHOLE, 0, "s0\"\\/\b\f\n\r\t\n");
	expect(ALL("\"\\u00fc\\u20ac\\ud83d\\ude00\\u0041\""), RCO__JSON_WHOLE, 0,
	       "s0\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"
	       "A\n");
	expect(ALL("{\"\\u0061b\":\"c\"}"), RCO__JSON_WHOLE, 0, "{0{\nk1ab\ns1c\n}0}\n");
}

static void test_odd(void **state)
{
#define NO "\xef\xbf\xbd"
	(void)state;
	expect(ALL("\"a\\ud83dz\\udc00\""), RCO__JSON_WHOLE, 1, "s0a" NO "z" NO "\n");
	expect(ALL("\"\\ud83d\\ud83d\\ude00\\ud83d\\n\\ud83d\\u0041\\ud83d\""), RCO__JSON_WHOLE, 1,
	       "s0" NO "\xf0\x9f\x98\x80" NO "\n" NO "A" NO "\n");
	expect(ALL("\"\\u12\""), RCO__JSON_WHOLE, 1, "s0" NO "\n");
	expect(ALL("\"\\ud83d\\u1\""), RCO__JSON_WHOLE, 1, "s0" NO NO "\n");
	expect(ALL("\"\\ud83d\\u\""), RCO__JSON_WHOLE, 1, "s0" NO NO "\n");
	expect(ALL("\"\\x\""), RCO__JSON_WHOLE, 1, "s0x\n");
	expect(ALL("\"a\nb\""), RCO__JSON_WHOLE, 1, "s0a\nb\n");
	expect(ALL("\"\xfc\""), RCO__JSON_WHOLE, 0, "s0\xfc\n");
	expect(ALL("\"a\\u0000b\""), RCO__JSON_WHOLE, 0, NULL);
	expect(ALL("[1e400,184467440737095516160,1E-2]"), RCO__JSON_WHOLE, 0,
	       "[0[\nn11e400\nn1184467440737095516160\nn11E-2\n]0]\n");
	expect(ALL("\xef\xbb\xbf{}"), RCO__JSON_WHOLE, 1, "{0{\n}0}\n");
	expect(ALL("{}\0"), RCO__JSON_WHOLE, 1, "{0{\n}0}\n");
	expect(ALL("[1,]"), RCO__JSON_WHOLE, 1, "[0[\nn11\n]0]\n");
	expect(ALL("[NaN,01,-,1.,.5,1e,None,tru,truex]"), RCO__JSON_WHOLE, 1, NULL);
	expect(ALL("[],0"), RCO__JSON_BROKEN, 1, "[0[\n]0]\n");
	expect(ALL("{'a':1}"), RCO__JSON_BROKEN, 1, "{0{\n");
	expect(ALL("{\"a\" 1}"), RCO__JSON_BROKEN, 1, "{0{\nk1a\n");
	expect(ALL("{\"a\":}"), RCO__JSON_BROKEN, 1, "{0{\nk1a\n");
	expect(ALL("[1}"), RCO__JSON_BROKEN, 1, "[0[\nn11\n");
	expect(ALL("[1 2]"), RCO__JSON_BROKEN, 1, "[0[\nn11\n");
	expect(ALL("<html>"), RCO__JSON_BROKEN, 1, "");
	expect(ALL("[1,2"), RCO__JSON_CUT, 0, "[0[\nn11\n");
	expect(ALL("\"\\u00"), RCO__JSON_CUT, 0, "");
}

static void test_every_cut(void **state)
{
	static const char json[] = "{\"a\":[1,{\"b\":\"\\u00fcx\"},[]],\"c\":\"\\ud83d\\ude00\",\"d\":null}";
	size_t size;

	(void)state;
	for (size = 1; size < sizeof json - 1; size++) {
		a.skip = NULL;
		assert_int_equal(walk(&a, json, size, size, NULL), RCO__JSON_CUT);
		assert_int_equal(walk(&b, json, size, 1, NULL), RCO__JSON_CUT);
		assert_string_equal(a.text, b.text);
	}
}

static void test_skip(void **state)
{
	static const char json[] = "{\"a\":{\"b\":[\"]}\\\"\",{}]},\"skip\":%s,\"c\":1}";
	static const char *const values[] = {
		"{\"x\":[\"}\\\\\",{}]}", "[[],\"\\\"]\"]", "\"}\\\"\"", "\"\"", "-12.5", "null", "{}", "[]"};
	char text[256], wanted[256];
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof values / sizeof values[0]; i++)
		for (piece = 1; piece < 80; piece++) {
			(void)snprintf(text, sizeof text, json, values[i]);
			a.skip = "skip";
			assert_int_equal(walk(&a, text, strlen(text), piece, NULL), RCO__JSON_WHOLE);
			(void)snprintf(wanted, sizeof wanted, "k1skip\nr1%s\nk1c\n", values[i]);
			if (strstr(a.text, wanted) == NULL)
				fail_msg("%s in pieces of %zu: %s", text, piece, a.text);
		}
	a.skip = "{";
	assert_int_equal(walk(&a, ALL("[{\"a\":[{}]},[],{}]"), 3, NULL), RCO__JSON_WHOLE);
	assert_string_equal(a.text, "[0[\n{1{\nr1\"a\":[{}]}\n[1[\n]1]\n{1{\nr1}\n]0]\n");
}

/* A million levels: what is deeper than is told apart comes as raw bytes. */
static void test_deep(void **state)
{
	enum { DEEP = 1000000 };
	static char json[2 * DEEP];
	size_t raw = 0;
	rco__json_walk w;

	(void)state;
	memset(json, '[', DEEP);
	memset(json + DEEP, ']', DEEP);
	memset(&a, 0, sizeof a);
	rco__json_begin(&w, hear, &a);
	rco__json_feed(&w, json, 60);
	assert_int_equal(w.depth, 60);
	for (raw = 60; raw < 2 * (size_t)DEEP; raw += 1000) {
		a.raw_size = a.size = a.value_size = a.value_raw_size = 0;
		rco__json_feed(&w, json + raw, 2 * (size_t)DEEP - raw < 1000 ? 2 * (size_t)DEEP - raw : 1000);
	}
	assert_int_equal(rco__json_end(&w), RCO__JSON_WHOLE);
	assert_int_equal(w.values, 1);
	assert_int_equal(w.odd, 0);
}

/* A long string of backslashes takes as long as it is, not its square. */
static void test_backslashes(void **state)
{
	enum { LONG = 8 << 20 };
	char *json = malloc(LONG);
	rco__json_walk w;
	size_t i;

	(void)state;
	assert_non_null(json);
	memset(json, '\\', LONG);
	memcpy(json, "{\"skip\":\"", 9);
	json[LONG - 2] = '"';
	json[LONG - 1] = '}';
	memset(&a, 0, sizeof a);
	a.skip = "{";
	rco__json_begin(&w, hear, &a);
	rco__json_feed(&w, json, 1);
	for (i = 1; i < LONG; i += 16384) {
		a.raw_size = a.size = a.value_size = a.value_raw_size = 0;
		rco__json_feed(&w, json + i, LONG - i < 16384 ? LONG - i : 16384);
	}
	assert_int_equal(rco__json_end(&w), RCO__JSON_CUT); /* the last quote is escaped */
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),      cmocka_unit_test(test_strings), cmocka_unit_test(test_odd),
		cmocka_unit_test(test_every_cut),   cmocka_unit_test(test_skip),    cmocka_unit_test(test_deep),
		cmocka_unit_test(test_backslashes),
	};

	return cmocka_run_group_tests_name("JSON as it comes", tests, NULL, NULL);
}
