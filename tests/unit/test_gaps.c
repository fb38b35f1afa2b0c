/* SPDX-License-Identifier: MIT */
/* The gaps of a ring: what counts, what is next, and what the consumer has; and two threads that use them. */
#include "../support.h"
#include "../support_frames.h"

#include "../../lib/media/gaps.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static rco__gaps gaps;

static void look_is(uint64_t index, uint64_t position, int gap, uint64_t at, uint64_t size)
{
	rco__stretch s = rco__gaps_look(&gaps, index, position);

	assert_int_equal(s.size, size);
	if (size == 0)
		return;
	assert_int_equal(s.gap, gap);
	assert_int_equal(s.index, at);
}

static void test_one_after_the_other(void **state)
{
	(void)state;
	memset(&gaps, 0, sizeof gaps);
	look_is(0, 0, 0, 0, 0);
	look_is(100, 0, 0, 0, 100);
	assert_true(rco__gaps_add(&gaps, 100, 0, 50)); /* not committed: it does not count, nor move the end */
	look_is(100, 0, 0, 0, 100);
	look_is(100, 100, 0, 100, 0);
	look_is(160, 0, 0, 0, 100);
	look_is(160, 40, 0, 40, 60);
	look_is(160, 100, 1, 100, 50);
	look_is(160, 149, 1, 100, 1);
	look_is(160, 150, 0, 100, 60);
	look_is(160, 210, 0, 160, 0);
	assert_int_equal(rco__gaps_told(&gaps, 40), 40);
	assert_int_equal(rco__gaps_told(&gaps, 100), 100);
	assert_int_equal(rco__gaps_told(&gaps, 120), 100); /* in the midst of it */
	assert_int_equal(rco__gaps_taken(&gaps), 0);
	assert_int_equal(rco__gaps_told(&gaps, 150), 100);
	assert_int_equal(rco__gaps_taken(&gaps), 50);
	assert_int_equal(rco__gaps_any(&gaps), 0);
	assert_int_equal(rco__gaps_told(&gaps, 210), 160);
	look_is(200, 210, 0, 160, 40);
}

/* What was refused leaves nothing, whatever comes in its place. */
static void test_undone(void **state)
{
	(void)state;
	memset(&gaps, 0, sizeof gaps);
	assert_true(rco__gaps_add(&gaps, 0, 0, 10));
	assert_true(rco__gaps_add(&gaps, 80, 10, 1000));
	rco__gaps_undo(&gaps);
	look_is(160, 10, 0, 0, 160);
	assert_true(rco__gaps_add(&gaps, 160, 10, 7));
	look_is(240, 10, 0, 0, 160);
	look_is(240, 170, 1, 160, 7);
	/* Left by a process that died before the frame was accepted. */
	assert_int_equal(rco__gaps_settle(&gaps, 240), 17);
	assert_int_equal(rco__gaps_settle(&gaps, 160), 10);
	assert_int_equal(rco__gaps_settle(&gaps, 160), 10);
}

static void test_full_and_round(void **state)
{
	uint64_t index = 0, sum = 0, position = 0;
	int i, round;

	(void)state;
	memset(&gaps, 0, sizeof gaps);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < RCO__GAPS_MOST; i++, index += 10, sum += 3)
			assert_true(rco__gaps_add(&gaps, index, sum, 3));
		assert_false(rco__gaps_add(&gaps, index, sum, 3));
		assert_true(rco__gaps_sane(&gaps, index - 10 * RCO__GAPS_MOST, index, RCO_FORMAT_PCMU_8K));
		for (i = 0; i < RCO__GAPS_MOST; i++) {
			look_is(index, position, 1, position / 13 * 10, 3);
			(void)rco__gaps_told(&gaps, position + 3);
			look_is(index, position + 3, 0, position / 13 * 10, 10);
			position += 13;
		}
		assert_int_equal(rco__gaps_told(&gaps, position), index);
		assert_int_equal(rco__gaps_taken(&gaps), sum);
	}
}

/* What an earlier process left may be anything: each thing that cannot be is seen. */
static void test_insane(void **state)
{
	const uint32_t format = RCO_FORMAT_S16_8K;
	uint64_t most = rco__gap_max(format);

	(void)state;
	assert_int_equal(rco__gap_max(12345), 0);
	memset(&gaps, 0, sizeof gaps);
	assert_true(rco__gaps_add(&gaps, 100, 0, 20));
	assert_true(rco__gaps_add(&gaps, 200, 20, 20));
	assert_true(rco__gaps_sane(&gaps, 0, 300, format));
	assert_false(rco__gaps_sane(&gaps, 0, 300, 12345));    /* no format */
	assert_false(rco__gaps_sane(&gaps, 150, 300, format)); /* behind what the buffer has */
	assert_false(rco__gaps_sane(&gaps, 0, 150, format));   /* behind the end */
	atomic_store(&gaps.at[0].index, 101);                  /* in a sample */
	assert_false(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.at[0].index, 200); /* two in one place */
	assert_false(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.at[0].index, 100);
	atomic_store(&gaps.at[1].sum, 20); /* of no length */
	assert_false(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.at[1].sum, 41); /* of half a sample */
	assert_false(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.at[1].sum, 22 + most); /* longer than may be */
	assert_false(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.at[1].sum, 40);
	assert_true(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.taken, 3); /* more than there were */
	assert_false(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.taken, 0);
	atomic_store(&gaps.put, RCO__GAPS + 1); /* more than there is room for */
	assert_false(rco__gaps_sane(&gaps, 0, 300, format));
	atomic_store(&gaps.put, 2);
	atomic_store(&gaps.taken, 1);
	atomic_store(&gaps.at[0].sum, UINT64_MAX); /* of what was taken */
	assert_false(rco__gaps_sane(&gaps, 100, 300, format));
	atomic_store(&gaps.at[0].sum, 21);
	assert_false(rco__gaps_sane(&gaps, 100, 300, format));
}

/* ---- a thread that pushes, and others that pause the call and empty its ring ---- */

enum { PAUSES = 1500, FRAME = 8 };

typedef struct pusher {
	rco_session *s;
	uint8_t *expected; /* what of it was accepted, where it has to be */
	size_t cap, end;
	uint64_t refused;
	_Atomic uint64_t accepted;
	_Atomic int stop, done;
} pusher;

static void *push_with_gaps(void *arg)
{
	pusher *p = arg;
	uint8_t frame[FRAME];
	uint64_t n;

	for (n = 0; !atomic_load(&p->stop) && p->end + 64 < p->cap; n++) {
		int with = n % 7 != 0, rc;
		size_t at = p->end + (with ? n % 5 * 3 : 0);

		memset(frame, (int)(n % 200) + 1, sizeof frame);
		rc = t_push_at(p->s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame, with ? at : RCO_POSITION_NEXT);
		if (rc == RCO_OK) {
			memcpy(p->expected + at, frame, sizeof frame);
			p->end = at + sizeof frame;
			atomic_fetch_add(&p->accepted, 1);
			continue;
		}
		assert_true(rc == RCO_E_PAUSED || rc == RCO_E_OVERFLOW);
		p->refused++;
		(void)sched_yield();
	}
	atomic_store(&p->done, 1);
	return NULL;
}

/* Whatever frame meets the pause, it leaves no gap to the next one. */
static void test_pause_beside_a_push(void **state)
{
	pusher p = {.cap = 1 << 19};
	char name[256], key[300];
	size_t size = 0, bytes = 0;
	const uint8_t *samples;
	pthread_t thread;
	uint8_t *file;
	t_world w;
	int i;

	(void)state;
	p.expected = malloc(p.cap);
	assert_non_null(p.expected);
	memset(p.expected, 0xff, p.cap);
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	p.s = t_call(&w, "paused");
	t_thread(&thread, push_with_gaps, &p);
	for (i = 0; i < PAUSES && !atomic_load(&p.done); i++) {
		uint64_t before = atomic_load(&p.accepted);

		while (atomic_load(&p.accepted) == before && !atomic_load(&p.done))
			(void)sched_yield();
		assert_int_equal(rco_session_pause(p.s), RCO_OK);
		assert_int_equal(rco_session_resume(p.s), RCO_OK);
	}
	atomic_store(&p.stop, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(p.refused > 0);
	rco_session_free(p.s);
	assert_true(t_events_wait(&w.events, "paused", RCO_EVENT_CALL_RECORD, 1, 20000));
	assert_true(t_store_name(&w, "paused", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.caller.wav", name);
	file = t_store_get(&w, key, &size);
	samples = t_wav_samples(file, size, &bytes);
	assert_int_equal(bytes, p.end);
	assert_memory_equal(samples, p.expected, bytes);
	free(file);
	free(p.expected);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_after_the_other), cmocka_unit_test(test_undone),
		cmocka_unit_test(test_full_and_round),      cmocka_unit_test(test_insane),
		cmocka_unit_test(test_pause_beside_a_push),
	};

	return cmocka_run_group_tests_name("gaps", tests, NULL, NULL);
}
