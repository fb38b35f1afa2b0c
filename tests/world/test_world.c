/* SPDX-License-Identifier: MIT */
/*
 * The world: that a seed plays the same each time, and that the promises hold where nothing but the store
 * misbehaves and at some places where the process is killed or the power is cut. The campaigns go further. One
 * scenario alone: SEEDS="7 7" (from, to), with its story if RCO_TEST_LOG is set.
 */
#include "../support.h"

#include "scenario.h"
#include "verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

W_CHANCE_UUID

static int tell(w_world *world, const w_scenario *scenario, const char *how, const w_verdict *v)
{
	char *text = w_scenario_text(scenario);

	print_error("%s\n%s: %s\n", text, how, v->fault);
	free(text);
	if (getenv("RCO_TEST_LOG") != NULL) {
		text = w_world_story(world, 0, w_position(world));
		print_error("%s", text);
		free(text);
	}
	return 1;
}

/* ---- the same again ---- */

static void test_a_seed_plays_the_same_each_time(void **state)
{
	uint64_t seed, hash[2];
	char *story[2];
	w_scenario s;
	int i;

	(void)state;
	for (seed = 1; seed <= 6; seed++) {
		w_scenario_make(&s, seed);
		for (i = 0; i < 2; i++) {
			w_world *world = w_scenario_play(&s);

			hash[i] = w_world_hash(world, 1);
			story[i] = w_world_story(world, 0, w_position(world));
			w_world_free(world);
		}
		assert_string_equal(story[0], story[1]);
		assert_true(hash[0] == hash[1]);
		free(story[0]);
		free(story[1]);
	}
}

/* ---- no crash ---- */

static int judge_played(const w_scenario *s, uint64_t *kept, uint64_t *erased)
{
	w_world *world = w_scenario_play(s);
	int failed = 0;
	w_verdict v;

	if (!w_judge_living(world, &v))
		failed = tell(world, s, "played", &v);
	*kept += v.kept;
	*erased += v.erased;
	w_world_free(world);
	return failed;
}

static void test_named_scenarios(void **state)
{
	uint64_t kept = 0, erased = 0;
	const w_scenario *s;
	int failed = 0;
	size_t i;

	(void)state;
	for (i = 0; (s = w_scenario_named(i)) != NULL; i++)
		failed += judge_played(s, &kept, &erased);
	assert_int_equal(failed, 0);
	assert_true(kept >= 4 && erased >= 8); /* they are about something */
}

static void test_seeds(void **state)
{
	uint64_t seed, from = 1, to = T_SANITIZED ? 30 : 120, kept = 0, erased = 0;
	const char *given = getenv("SEEDS");
	int failed = 0;
	w_scenario s;

	(void)state;
	if (given != NULL && sscanf(given, "%" SCNu64 " %" SCNu64, &from, &to) != 2)
		fail_msg("SEEDS is \"%s\", not two numbers", given);
	for (seed = from; seed <= to; seed++) {
		w_scenario_make(&s, seed);
		failed += judge_played(&s, &kept, &erased);
	}
	assert_int_equal(failed, 0);
	assert_true(given != NULL || (kept >= 20 && erased >= 20));
}

/* ---- crashes ---- */

static int judge_moment(w_world *world, const w_scenario *s, const w_moment *m)
{
	w_world *image = w_world_image(world, m);
	int failed = 0;
	char how[120];
	w_verdict v;

	if (!w_judge(image, &v)) {
		(void)snprintf(how, sizeof how, "position %zu, %s%s, late %llx, choice %llx of %zu bits",
		               m->position, m->crash == W_CRASH_KILL ? "killed" : "power cut",
		               m->rings_before ? " (rings before)" : "", (unsigned long long)m->late,
		               (unsigned long long)(m->choice != NULL ? *m->choice : 0), m->choice_bits);
		failed = tell(world, s, how, &v);
	}
	w_world_free(image);
	return failed;
}

/* Killed at every `step`-th position, and the power cut there: nothing, everything, and something arrived. */
static int judge_crashes(const w_scenario *s, size_t step)
{
	w_world *world = w_scenario_play(s);
	uint64_t none = 0, all = UINT64_MAX, some;
	size_t position;
	int failed = 0;

	for (position = step / 2; position <= w_position(world) && failed < 3; position += step) {
		w_moment m = {.position = position, .crash = W_CRASH_KILL, .late = w_mix(position)};

		failed += judge_moment(world, s, &m);
		m.rings_before = 1;
		failed += judge_moment(world, s, &m);
		m = (w_moment){.position = position, .crash = W_CRASH_POWER, .choice = &none, .choice_bits = 0};
		failed += judge_moment(world, s, &m);
		m.choice_bits = w_disk_doubts(w_world_disk(world), position);
		m.choice = &all;
		if (m.choice_bits > 64)
			m.choice_bits = 64;
		failed += judge_moment(world, s, &m);
		some = w_mix(position + 1);
		m.choice = &some;
		m.late = some;
		failed += judge_moment(world, s, &m);
	}
	w_world_free(world);
	return failed;
}

static void test_crashes(void **state)
{
	const char *given = getenv("SEEDS");
	uint64_t seed, from = 1, to = T_SANITIZED ? 2 : 4;
	const w_scenario *s;
	w_scenario made;
	int failed = 0;
	size_t i;

	(void)state;
	for (i = 0; given == NULL && (s = w_scenario_named(i)) != NULL; i++)
		failed += judge_crashes(s, T_SANITIZED ? 211 : 53);
	if (given != NULL)
		(void)sscanf(given, "%" SCNu64 " %" SCNu64, &from, &to);
	for (seed = from; seed <= to; seed++) {
		w_scenario_make(&made, seed);
		failed += judge_crashes(&made, given != NULL ? 7 : T_SANITIZED ? 211 : 53);
	}
	assert_int_equal(failed, 0);
}

/* ---- regressions ---- */

/* A begin whose answer is lost leaves an upload of which nobody knows the id: it is aborted all the same. */
static void test_an_upload_nobody_knows_is_aborted(void **state)
{
	const w_scenario s = {
		"an upload nobody knows",
		{.seed = 1},
		{{W_DO_OPEN, 0, 0},
	         {W_DO_CREATE, 0, 0},
	         {W_DO_LEG, 0, 0},
	         {W_DO_START, 0, 0},
	         {W_DO_PUSH, 0, 14},
	         {W_DO_HANG_UP, 0, 0},
	         {W_DO_PASS, 0, 3000},
	         {W_DO_OBJECT, 0, 0}},
	};
	int failed = 0, struck = 0;
	uint64_t nth;
	w_verdict v;

	(void)state;
	for (nth = 3; nth < 10; nth++) {
		w_world *world = w_world_new(&s.setup);

		w_expect_faults(world);
		w_store_fault(w_world_store(world), 0, 2, W_STORE_ERROR); /* the first part */
		w_store_fault(w_world_store(world), 1, nth, W_STORE_DONE_ERROR);
		w_scenario_play_in(world, &s);
		struck += w_store_struck(w_world_store(world), 1);
		if (!w_judge_living(world, &v))
			failed += tell(world, &s, "played", &v);
		w_world_free(world);
	}
	assert_int_equal(failed, 0);
	assert_true(struck > 3);
}

/*
 * A commit is on its way for long, to a store in which an abort beside it loses the file: nobody sends one,
 * neither the process that waits for the answer nor the next.
 */
static void test_nothing_is_given_up_beside_its_commit(void **state)
{
	const w_scenario scenarios[] = {
		{"a commit comes late",
	         {.seed = 1, .flags = W_LOSES},
	         {{W_DO_OPEN, 0, 0},
	          {W_DO_CREATE, 0, 0},
	          {W_DO_LEG, 0, 0},
	          {W_DO_START, 0, 0},
	          {W_DO_PUSH, 0, 14},
	          {W_DO_HANG_UP, 0, 0},
	          {W_DO_SETTLE, 0, 0}}},
		{"a commit comes after a kill",
	         {.seed = 1, .flags = W_LOSES},
	         {{W_DO_OPEN, 0, 0},
	          {W_DO_CREATE, 0, 0},
	          {W_DO_LEG, 0, 0},
	          {W_DO_START, 0, 0},
	          {W_DO_PUSH, 0, 14},
	          {W_DO_HANG_UP, 0, 0},
	          {W_DO_PASS, 0, 11000},
	          {W_DO_KILL, 0, 0},
	          {W_DO_OPEN, 0, 0},
	          {W_DO_SETTLE, 0, 0}}},
	};
	int failed = 0, struck = 0;
	w_verdict v;
	uint64_t nth;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		for (nth = 1; nth < 8; nth++) {
			w_world *world = w_world_new(&scenarios[i].setup);

			w_expect_faults(world);
			w_store_fault(w_world_store(world), 0, nth, W_STORE_LANDS_LATE);
			w_scenario_play_in(world, &scenarios[i]);
			struck += w_store_struck(w_world_store(world), 0);
			if (!w_judge_living(world, &v))
				failed += tell(world, &scenarios[i], "played", &v);
			w_world_free(world);
		}
	assert_int_equal(failed, 0);
	assert_true(struck > 10);
}

/* A copy that was registered is erased with its call, though the power was cut before the opt-out or after it. */
static void test_a_registered_copy_survives_a_power_cut(void **state)
{
	const w_scenario s = {
		"a copy is registered",
		{.seed = 1},
		{{W_DO_OPEN, 0, 0},
	         {W_DO_CREATE, 0, 0},
	         {W_DO_LEG, 0, 0},
	         {W_DO_START, 0, 0},
	         {W_DO_PUSH, 0, 3},
	         {W_DO_ARTIFACT, 0, 0},
	         {W_DO_OBJECT, 0, 0}},
	};
	w_world *world = w_scenario_play(&s);
	const w_moment m = {.position = w_position(world), .crash = W_CRASH_POWER};

	(void)state;
	assert_int_equal(w_notes_at(world, m.position)->call[0].artifacts, 1);
	assert_int_equal(judge_moment(world, &s, &m), 0);
	w_world_free(world);
}

/*
 * A start fails half way, and what it made there stands under names that are not durable yet. The next start goes
 * on with it; then the power is cut.
 */
static void test_names_of_a_failed_start_become_durable(void **state)
{
	const w_scenario s = {
		"one kept, one not",
		{.seed = 1},
		{{W_DO_OPEN, 0, 0},
	         {W_DO_KILL, 0, 0},
	         {W_DO_OPEN, 0, 0},
	         {W_DO_CREATE, 0, 0},
	         {W_DO_LEG, 0, 0},
	         {W_DO_START, 0, 0},
	         {W_DO_PUSH, 0, 2},
	         {W_DO_CREATE, 1, 0},
	         {W_DO_LEG, 1, 0},
	         {W_DO_START, 1, 0},
	         {W_DO_PUSH, 1, 15},
	         {W_DO_OBJECT, 0, 0}},
	};
	int failed = 0, struck = 1;
	uint64_t nth;

	(void)state;
	for (nth = 1; struck && failed < 3; nth += T_SANITIZED ? 7 : 1) {
		w_world *world = w_world_new(&s.setup);
		w_moment m = {.crash = W_CRASH_POWER};

		w_disk_fault(w_world_disk(world), 0, nth, W_FAULT_DONE);
		w_scenario_play_in(world, &s);
		m.position = w_position(world);
		failed += judge_moment(world, &s, &m);
		struck = w_disk_struck(w_world_disk(world), 0) && nth < 250;
		w_world_free(world);
	}
	assert_true(nth > 180);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_seed_plays_the_same_each_time),
		cmocka_unit_test(test_named_scenarios),
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_an_upload_nobody_knows_is_aborted),
		cmocka_unit_test(test_nothing_is_given_up_beside_its_commit),
		cmocka_unit_test(test_a_registered_copy_survives_a_power_cut),
		cmocka_unit_test(test_names_of_a_failed_start_become_durable),
	};

	return cmocka_run_group_tests_name("world", tests, NULL, NULL);
}
