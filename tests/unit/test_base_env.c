/* SPDX-License-Identifier: MIT */
/* What comes from outside (memory, clock, log), and the struct_size rules that old and new callers rely on. */
#include "../support_base.h"

#include "../../lib/base/error.h"

#include <errno.h>

struct thing_v1 {
	uint32_t struct_size, flags;
	uint64_t a;
};

struct thing {
	uint32_t struct_size, flags;
	uint64_t a, b;
};

struct thing_newer {
	uint32_t struct_size, flags;
	uint64_t a, b, c;
};

static int copy(struct thing *to, const void *from)
{
	return rco__struct_copy(to, sizeof *to, sizeof(struct thing_v1), from, "thing");
}

static void an_old_caller_goes_on_working(void **state)
{
	struct thing_v1 old = {.struct_size = sizeof old, .flags = 7, .a = 5};
	struct thing to;

	(void)state;
	memset(&to, 0xee, sizeof to);
	assert_int_equal(copy(&to, &old), RCO_OK);
	assert_int_equal(to.flags, 7);
	assert_int_equal(to.a, 5);
	assert_int_equal(to.b, 0);
	assert_int_equal(to.struct_size, sizeof to);
}

static void a_newer_caller_may_not_use_what_is_unknown(void **state)
{
	struct thing_newer newer = {.struct_size = sizeof newer, .a = 5, .b = 6};
	struct thing to;

	(void)state;
	assert_int_equal(copy(&to, &newer), RCO_OK);
	assert_int_equal(to.b, 6);
	newer.c = UINT64_C(1) << 63; /* the very last byte */
	assert_int_equal(copy(&to, &newer), RCO_E_NEWER);
	assert_non_null(strstr(rco_error_detail(), "thing"));
	assert_int_equal(to.a, 0);
}

static void impossible_sizes_are_refused(void **state)
{
	union {
		struct thing thing;
		uint8_t room[4100];
	} u;
	struct thing to;

	(void)state;
	memset(&u, 0, sizeof u);
	assert_int_equal(copy(&to, NULL), RCO_E_INVALID);
	assert_int_equal(copy(&to, &u), RCO_E_STRUCT_SIZE); /* struct_size forgotten */
	u.thing.struct_size = sizeof(struct thing_v1) - 1;
	assert_int_equal(copy(&to, &u), RCO_E_STRUCT_SIZE);
	u.thing.struct_size = 4096;
	assert_int_equal(copy(&to, &u), RCO_OK);
	u.thing.struct_size = 4097;
	assert_int_equal(copy(&to, &u), RCO_E_STRUCT_SIZE);
}

static void filling_stays_below_the_callers_size(void **state)
{
	struct thing ours = {.struct_size = sizeof ours, .flags = 1, .a = 2, .b = 3};
	struct thing_newer out;

	(void)state;
	memset(&out, 0xee, sizeof out);
	out.struct_size = sizeof(struct thing_v1);
	assert_int_equal(rco__struct_fill(&out, &ours, sizeof ours, sizeof(struct thing_v1), "thing"), RCO_OK);
	assert_int_equal(out.struct_size, sizeof(struct thing_v1));
	assert_int_equal(out.a, 2);
	assert_true(out.b == UINT64_C(0xeeeeeeeeeeeeeeee)); /* untouched */

	out.struct_size = sizeof out;
	assert_int_equal(rco__struct_fill(&out, &ours, sizeof ours, sizeof(struct thing_v1), "thing"), RCO_OK);
	assert_int_equal(out.struct_size, sizeof out);
	assert_int_equal(out.b, 3);
	assert_true(out.c == UINT64_C(0xeeeeeeeeeeeeeeee));

	out.struct_size = 3;
	assert_int_equal(rco__struct_fill(&out, &ours, sizeof ours, sizeof(struct thing_v1), "thing"),
	                 RCO_E_STRUCT_SIZE);
	assert_int_equal(rco__struct_fill(NULL, &ours, sizeof ours, sizeof(struct thing_v1), "thing"),
	                 RCO_E_INVALID);
}

static void the_defaults_work(void **state)
{
	rco__env env;
	int64_t first;
	uint8_t *p;

	(void)state;
	assert_int_equal(rco__env_init(&env, NULL, NULL, NULL, NULL), RCO_OK);
	p = rco__zalloc(&env, 4, 8);
	assert_non_null(p);
	assert_int_equal(p[31], 0);
	p = rco__resize(&env, p, 64);
	assert_non_null(p);
	rco__release(&env, p);
	p = rco__alloc(&env, 3);
	assert_non_null(p);
	rco__release(&env, p);
	rco__release(&env, NULL);
	assert_true(rco__wall_us(&env) > INT64_C(1600000000000000));
	first = rco__mono_us(&env);
	assert_true(first > 0);
	assert_true(rco__mono_us(&env) >= first);
	rco__log(&env, RCO_LOG_ERROR, "nobody listens");
	assert_ptr_equal(env.fs, rco__fs_posix());
}

static void a_product_that_overflows_is_no_memory(void **state)
{
	struct counting counting = {0};
	rco_allocator alloc = counting_allocator(&counting);
	rco__env env;

	(void)state;
	assert_int_equal(rco__env_init(&env, &alloc, NULL, NULL, NULL), RCO_OK);
	assert_null(rco__zalloc(&env, SIZE_MAX / 2 + 2, 2));
	assert_int_equal(counting.demands, 0);
}

static void tables_are_checked(void **state)
{
	struct counting counting = {0};
	rco_allocator good = counting_allocator(&counting), bad;
	rco_clock clock = {.struct_size = sizeof clock};
	rco__env env;

	(void)state;
	bad = good;
	bad.resize = NULL;
	assert_int_equal(rco__env_init(&env, &bad, NULL, NULL, NULL), RCO_E_OPS);
	bad = good;
	bad.struct_size = 8;
	assert_int_equal(rco__env_init(&env, &bad, NULL, NULL, NULL), RCO_E_STRUCT_SIZE);
	bad = good;
	bad.flags = 1;
	assert_int_equal(rco__env_init(&env, &bad, NULL, NULL, NULL), RCO_E_NEWER);
	assert_int_equal(rco__env_init(&env, &good, &clock, NULL, NULL), RCO_E_OPS);
}

struct heard {
	char text[2048];
	size_t length;
	uint32_t level;
	int lines;
};

static void hear(uint32_t level, const char *message, size_t length, void *user_data)
{
	struct heard *h = user_data;

	h->level = level;
	h->length = length;
	h->lines++;
	memcpy(h->text, message, length + 1);
	errno = 1;
}

/* A file name from outside must not be able to forge a line of the host's log. */
static void a_log_line_is_one_line(void **state)
{
	struct heard heard = {.lines = 0};
	rco__env env;

	(void)state;
	assert_int_equal(rco__env_init(&env, NULL, NULL, hear, &heard), RCO_OK);
	errno = ENOSPC;
	rco__log(&env, RCO_LOG_WARN, "file %s", "a\nERROR forged\r\x1b[1m\x7f");
	assert_string_equal(heard.text, "file a ERROR forged  [1m ");
	assert_int_equal(heard.level, RCO_LOG_WARN);
	assert_int_equal(heard.length, strlen(heard.text));
	assert_int_equal(heard.lines, 1);
	assert_int_equal(errno, ENOSPC);
}

static void a_long_log_line_is_cut_between_characters(void **state)
{
	struct heard heard = {.lines = 0};
	char big[1500];
	size_t i, lead;
	rco__env env;

	(void)state;
	assert_int_equal(rco__env_init(&env, NULL, NULL, hear, &heard), RCO_OK);
	memset(big, 'x', sizeof big);
	big[sizeof big - 1] = '\0';
	rco__log(&env, RCO_LOG_INFO, "%s", big);
	assert_int_equal(heard.length, 1023);
	/* a four-byte character at each place around the cut: there whole, or not at all */
	for (lead = 1018; lead < 1026; lead++) {
		memset(big, 'x', sizeof big - 1);
		memcpy(big + lead, "\xf0\x9f\x93\x9e", 4);
		rco__log(&env, RCO_LOG_INFO, "%s", big);
		assert_int_equal(strlen(heard.text), heard.length);
		assert_int_equal(heard.length, lead + 4 <= 1023 ? 1023 : lead < 1023 ? lead : 1023);
		for (i = 0; i < heard.length; i++)
			assert_true(heard.text[i] == big[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_old_caller_goes_on_working),
		cmocka_unit_test(a_newer_caller_may_not_use_what_is_unknown),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(filling_stays_below_the_callers_size),
		cmocka_unit_test(the_defaults_work),
		cmocka_unit_test(a_product_that_overflows_is_no_memory),
		cmocka_unit_test(tables_are_checked),
		cmocka_unit_test(a_log_line_is_one_line),
		cmocka_unit_test(a_long_log_line_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
