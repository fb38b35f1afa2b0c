/* SPDX-License-Identifier: MIT */
/*
 * Fail the n-th, the quick part: of every kind each n-th for one scenario that is kept and one that is opted out,
 * one of several for the others; some pairs; and threads. campaign_nth does the rest.
 */
#include "../support.h"

#if !T_SANITIZED
#include "calls.h"
#endif
#include "nth.h"

#include <stdlib.h>

W_CHANCE_UUID

#if T_SANITIZED
static const n_calls *const calls; /* the sanitizer has these in its own hands */
#else
static const n_calls *const calls = &n_system_calls;
#endif

enum { EACH = T_SANITIZED ? 97 : 19, EACH_OF_MANY = T_SANITIZED ? 301 : 97 };

/* Of the kinds with few calls all, of the others one of `of`. */
static uint64_t fail_all(const w_scenario *s, uint64_t of, uint64_t *struck)
{
	uint64_t failed = 0;
	const n_kind *kind;
	size_t k;

	for (k = 0; (kind = n_kind_at(k)) != NULL; k++) {
		int many = strncmp(kind->name, "disk", 4) == 0 || strcmp(kind->name, "allocation") == 0 ||
		           strcmp(kind->name, "system") == 0;
		uint64_t step = many ? of : T_SANITIZED ? 5 : of == EACH ? 1 : 4;
		n_counts n;

		if (!n_kind_concerns(kind, s, calls))
			continue;
		n = n_all(s, (int)k, calls, step / 2, step, stderr);
		failed += n.failed;
		*struck += n.struck;
	}
	return failed;
}

static void test_every_scenario(void **state)
{
	uint64_t failed = 0, struck = 0;
	const w_scenario *s;
	size_t i;

	(void)state;
	for (i = 0; (s = w_scenario_named(i)) != NULL; i++)
		failed += fail_all(s, i < 2 ? EACH : EACH_OF_MANY, &struck);
	print_message("%lu faults struck\n", (unsigned long)struck);
	assert_int_equal(failed, 0);
	assert_true(struck > (T_SANITIZED ? 100 : 300));
}

static const w_scenario *named(const char *name)
{
	const w_scenario *s;
	size_t i = 0;

	while ((s = w_scenario_named(i++)) != NULL)
		if (strcmp(s->name, name) == 0)
			return s;
	fail_msg("no scenario \"%s\"", name);
	return NULL;
}

/* Two to four at a time, drawn. */
static void test_some_together(void **state)
{
	w_random random = {20260101};
	uint64_t failed = 0, both = 0;
	int i;

	(void)state;
	for (i = 0; i < (T_SANITIZED ? 20 : 150); i++) {
		const w_scenario *s = w_scenario_named(w_below(&random, 12));
		n_strikes strikes = {{N_NO_STRIKE, N_NO_STRIKE, N_NO_STRIKE, N_NO_STRIKE}};
		n_outcome outcome;
		int k;

		for (k = 0; k < 2 + i % 3; k++) {
			do
				strikes.at[k].kind = (int)w_below(&random, 20);
			while (!n_kind_concerns(n_kind_at((size_t)strikes.at[k].kind), s, calls));
			strikes.at[k].nth = 1 + w_below(&random, strikes.at[k].kind == 0  ? 60
			                                         : strikes.at[k].kind < 6 ? 220
			                                                                  : 8);
		}
		n_try(s, &strikes, calls, NULL, &outcome);
		both += (uint64_t)outcome.all_struck;
		if (outcome.failed > 0)
			n_tell(stderr, s, &strikes, &outcome);
		failed += outcome.failed > 0;
	}
	assert_int_equal(failed, 0);
	assert_true(both > (T_SANITIZED ? 2 : 20));
}

/*
 * What broke a promise once: a copy of an upload's older id stood behind the newer one in the journal, so that the
 * next process gave up the older upload alone, and said "erased" beside the parts of the newer one.
 */
static void test_found_once(void **state)
{
	static const struct {
		const char *scenario;
		uint64_t unconfirmed;
	} found[] = {
		{"object in the window", 2},
		{"object in the window, not waiting", 3},
	};
	/* Around the change of the disk that it was: which one that is moves with every change to the code. */
	enum { FROM = 195, TO = 245 };
	uint64_t full;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof found / sizeof found[0]; i++) {
		const w_scenario *s = named(found[i].scenario);
		int struck = 0;

		for (full = FROM; full < TO; full++) {
			n_strikes strikes = {{{n_kind_named("store-unconfirmed"), found[i].unconfirmed},
			                      {n_kind_named("disk-full"), full},
			                      N_NO_STRIKE,
			                      N_NO_STRIKE}};
			n_outcome outcome;

			n_try(s, &strikes, calls, NULL, &outcome);
			if (outcome.failed > 0)
				n_tell(stderr, s, &strikes, &outcome);
			assert_int_equal(outcome.failed, 0);
			struck += outcome.all_struck;
		}
		assert_true(struck > 0);
	}
}

#if !T_SANITIZED
/* An engine with threads: each system call of its start fails once; that is a clear error, and the next start
 * works.
 */
static void test_threads(void **state)
{
	uint64_t nth = 1;
	int struck = 1;
	t_world w;

	(void)state;
	for (; struck; nth++) {
		int rc;

		t_world_init(&w, T_SPOOL | T_WORKERS | T_SHARED);
		n_system_arm(0, nth);
		rc = t_world_try_open(&w);
		struck = n_system_struck(0);
		n_system_arm(0, 0);
		if (rc != RCO_OK) {
			assert_true(struck);
			if (getenv("RCO_TEST_LOG") != NULL)
				print_error("system call %lu: %s: %s\n", (unsigned long)nth, rco_error_name(rc),
				            rco_error_detail());
			assert_true(rc == RCO_E_SHARED_MEMORY || rc == RCO_E_NO_MEMORY || rc == RCO_E_IO ||
			            rc == RCO_E_NO_SPACE || rc == RCO_E_PERMISSION || rc == RCO_E_LIMIT);
			assert_true(rco_error_detail()[0] != '\0');
			t_world_open(&w);
		}
		rco_session_free(t_call(&w, "call"));
		t_world_destroy(&w);
	}
	assert_true(nth > 20);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_scenario),
		cmocka_unit_test(test_some_together),
		cmocka_unit_test(test_found_once),
#if !T_SANITIZED
		cmocka_unit_test(test_threads),
#endif
	};

	return cmocka_run_group_tests_name("fail the n-th", tests, NULL, NULL);
}
