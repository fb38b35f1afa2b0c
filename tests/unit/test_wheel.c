/* SPDX-License-Identifier: MIT */
/* The timing wheel against a plain list: nothing early, nothing late, nothing lost, whatever the clock does. */
#include "../support_base.h"

#include "../../lib/session/wheel.h"

enum { N = 3000 };

typedef struct plain {
	rco__timer timer;
	int set;
} plain;

static uint64_t seed = 1;

static uint64_t random_below(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

static int64_t some_delay(void)
{
	static const uint64_t spans[] = {1, 2000, 500000, 600000, 5000000, 300000000, 4000000000};

	return (int64_t)random_below(spans[random_below(sizeof spans / sizeof spans[0])]);
}

/* What comes out is due, and nothing that is due stays in. */
static void check(plain *all, rco__link *out, int64_t now)
{
	size_t i;

	while (!rco__list_empty(out)) {
		plain *p = (plain *)(void *)rco__list_take(out);

		assert_true(p->set);
		assert_true(p->timer.due_us <= now);
		p->set = 0;
	}
	for (i = 0; i < N; i++)
		assert_false(all[i].set && all[i].timer.due_us <= now);
}

static int64_t earliest(const plain *all)
{
	int64_t first = INT64_MAX;
	size_t i;

	for (i = 0; i < N; i++)
		if (all[i].set && all[i].timer.due_us < first)
			first = all[i].timer.due_us;
	return first;
}

static void against_a_list(int64_t start, uint64_t longest_step)
{
	static plain all[N];
	static rco__wheel wheel;
	int64_t now = start;
	rco__link out;
	int round;
	size_t i;

	memset(all, 0, sizeof all);
	rco__list_init(&out);
	rco__wheel_init(&wheel, now);
	for (round = 0; round < 1500; round++) {
		for (i = random_below(20); i > 0; i--) {
			plain *p = &all[random_below(N)];

			if (p->set)
				rco__list_remove(&p->timer.link);
			p->set = random_below(4) != 0;
			if (p->set)
				rco__wheel_set(&wheel, &p->timer, now - 100 + some_delay());
		}
		assert_true(rco__wheel_next(&wheel) <= earliest(all));
		/* Sometimes to the microsecond that the wheel names, sometimes past it. */
		if (random_below(2) == 0 && rco__wheel_next(&wheel) != INT64_MAX &&
		    rco__wheel_next(&wheel) > now && rco__wheel_next(&wheel) - now < 10000000)
			now = rco__wheel_next(&wheel);
		else
			now += (int64_t)random_below(longest_step);
		rco__wheel_advance(&wheel, now, &out);
		check(all, &out, now);
	}
	rco__wheel_clear(&wheel, &out);
	for (i = 0; !rco__list_empty(&out); i++)
		((plain *)(void *)rco__list_take(&out))->set = 0;
	assert_int_equal(earliest(all), INT64_MAX);
}

static void small_steps(void **state)
{
	(void)state;
	against_a_list(0, 3000);
	against_a_list(123456789, 200000);
}

static void long_steps(void **state)
{
	(void)state;
	against_a_list(77, 3000000);
	against_a_list(INT64_C(1) << 50, 900000000);
}

/* Who waits for what the wheel names comes to each timer in the end, and not by way of thousands of wakes. */
static void waking_when_told(void **state)
{
	static const int64_t delays[] = {0,      1,      1023,     1024,      200000,    523264,
	                                 524288, 600000, 10000000, 268435456, 3600000000};
	static rco__wheel wheel;
	rco__link out;
	size_t i;

	(void)state;
	rco__list_init(&out);
	for (i = 0; i < sizeof delays / sizeof delays[0]; i++) {
		rco__timer timer;
		int64_t now = 987654321;
		int wakes = 0;

		rco__wheel_init(&wheel, now);
		rco__wheel_set(&wheel, &timer, now + delays[i]);
		do {
			int64_t next = rco__wheel_next(&wheel);

			assert_true(next <= 987654321 + delays[i]);
			if (next > now)
				now = next;
			rco__wheel_advance(&wheel, now, &out);
			assert_true(++wakes < 40);
		} while (rco__list_empty(&out));
		assert_int_equal(now, 987654321 + delays[i]);
		assert_ptr_equal(rco__list_take(&out), &timer.link);
		assert_int_equal(rco__wheel_next(&wheel), INT64_MAX);
	}
}

/* A clock that goes back delays nothing by more than that, and breaks nothing. */
static void backwards(void **state)
{
	static rco__wheel wheel;
	rco__timer timer;
	rco__link out;

	(void)state;
	rco__list_init(&out);
	rco__wheel_init(&wheel, 5000000);
	rco__wheel_advance(&wheel, 4000000, &out);
	rco__wheel_set(&wheel, &timer, 4100000);
	rco__wheel_advance(&wheel, 4100000, &out);
	assert_ptr_equal(rco__list_take(&out), &timer.link);
}

/* Where the microseconds end no time wraps round to an early one. */
static void at_the_end_of_time(void **state)
{
	static const int64_t left[] = {1, 100000000, 300000000, 1000000000};
	static rco__wheel wheel;
	rco__link out;
	size_t i;

	(void)state;
	rco__list_init(&out);
	for (i = 0; i < sizeof left / sizeof left[0]; i++) {
		int64_t now = INT64_MAX - 2000000000, due = INT64_MAX - left[i];
		rco__timer timer;

		rco__wheel_init(&wheel, now);
		rco__wheel_set(&wheel, &timer, due);
		rco__wheel_advance(&wheel, now, &out);
		assert_true(rco__list_empty(&out));
		assert_true(rco__wheel_next(&wheel) > now);
		rco__wheel_advance(&wheel, due, &out);
		assert_ptr_equal(rco__list_take(&out), &timer.link);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_steps),      cmocka_unit_test(long_steps),
		cmocka_unit_test(waking_when_told), cmocka_unit_test(at_the_end_of_time),
		cmocka_unit_test(backwards),
	};

	return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
