/* SPDX-License-Identifier: MIT */
/*
 * Media time: a frame is where its position says, to the sample. What is not there is silence, and costs nothing
 * until the file is made; what comes too late is refused, and counted.
 */
#include "../support.h"
#include "../support_frames.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct {
	uint32_t format, rate, sample;
	uint8_t silence;
} formats[] = {{RCO_FORMAT_PCMU_8K, 8000, 1, 0xff}, {RCO_FORMAT_PCMA_8K, 8000, 1, 0xd5},
               {RCO_FORMAT_S16_8K, 8000, 2, 0},     {RCO_FORMAT_S16_16K, 16000, 2, 0},
               {RCO_FORMAT_S16_24K, 24000, 2, 0},   {RCO_FORMAT_S16_48K, 48000, 2, 0}};

enum { FORMATS = sizeof formats / sizeof formats[0], SECONDS = 6, FRAMES = SECONDS * 50, LEGS = 2 };

static uint64_t draw(uint64_t *rng)
{
	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	return *rng >> 33;
}

/* ---- a call over a bad network ---- */

typedef struct side {
	uint8_t *sent;     /* all that was said */
	uint8_t *expected; /* what of it was accepted, in its place, and silence */
	size_t size, end;
	uint64_t late;
} side;

typedef struct talk {
	t_world w;
	rco_session *s;
	size_t f; /* of formats */
	int patient;
	uint64_t rng;
	side side[LEGS];
} talk;

static size_t frame_bytes(const talk *t)
{
	return (size_t)formats[t->f].rate / 50 * formats[t->f].sample;
}

static void open_talk(talk *t, size_t f, uint32_t flags, uint64_t seed)
{
	t->f = f;
	t->rng = seed;
	t->patient = 0;
	t_world_init(&t->w, flags);
	t->w.cfg.export_layout = RCO_LAYOUT_STEREO;
	t->w.cfg.ring_pool_bytes = 4u << 20;
}

static void begin_talk(talk *t)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "talk"};
	uint32_t leg, i;

	t_world_open(&t->w);
	assert_int_equal(rco_session_create(t->w.engine, &o, &t->s), RCO_OK);
	for (i = 0; i < LEGS; i++) {
		side *d = &t->side[i];

		d->size = frame_bytes(t) * FRAMES;
		d->end = 0;
		d->late = 0;
		d->sent = malloc(d->size);
		d->expected = malloc(d->size);
		assert_non_null(d->sent);
		assert_non_null(d->expected);
		t_noise(100 + i, 0, d->sent, d->size);
		memset(d->expected, formats[t->f].silence, d->size);
		assert_int_equal(
			rco_session_add_leg(t->s, i == 0 ? "caller" : "agent", formats[t->f].format, &leg),
			RCO_OK);
	}
	assert_int_equal(rco_session_start(t->s), RCO_OK);
}

/* The frame's place is `skew` samples beside the 20 ms grid, as that of another clock. */
static int send(talk *t, uint32_t leg, size_t n, size_t skew)
{
	size_t frame = frame_bytes(t), at = n * frame + skew * formats[t->f].sample;
	side *d = &t->side[leg];
	int rc, tries = 0;

	assert_true(at + frame <= d->size);
	do { /* a buffer that fails is waited for */
		if (tries > 0)
			t_advance(&t->w, 60);
		rc = t_push_at(t->s, leg, formats[t->f].format, d->sent + at, frame, at / formats[t->f].sample);
	} while (rc == RCO_E_OVERFLOW && t->patient && tries++ < 1000);
	assert_int_equal(rc, at < d->end ? RCO_E_POSITION : RCO_OK);
	if (rc == RCO_OK) {
		memcpy(d->expected + at, d->sent + at, frame);
		d->end = at + frame;
	} else {
		d->late++;
	}
	return rc;
}

/* Leg 1 begins late, and both have losses, pauses between words, packets that overtake each other, and doubles. */
static void speak(talk *t)
{
	size_t n, quiet[LEGS] = {0, 60};

	for (n = 0; n + 2 < FRAMES; n++) {
		uint32_t leg;

		for (leg = 0; leg < LEGS; leg++) {
			uint64_t what = draw(&t->rng) % 20;

			if (n < quiet[leg] || what == 0) /* nobody speaks, or it was lost */
				continue;
			if (what == 1)
				quiet[leg] = n + 1 + (size_t)(draw(&t->rng) % 40);
			else if (what == 2) { /* the next one overtook it */
				(void)send(t, leg, n + 1, 0);
				(void)send(t, leg, n, 0);
			} else if (what == 3) { /* twice */
				(void)send(t, leg, n, 0);
				(void)send(t, leg, n, 0);
			} else {
				(void)send(t, leg, n, what == 4 ? 7 : 0);
			}
		}
		if (n % 3 == 0)
			t_advance(&t->w, 60);
	}
}

/* Correlation of two sides of the file at a shift, in G.711 codes or samples as they are: 1 where they are the
 * same. */
static double correlation(const int16_t *a, const int16_t *b, size_t n)
{
	double ab = 0, aa = 0, bb = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		ab += (double)a[i] * b[i];
		aa += (double)a[i] * a[i];
		bb += (double)b[i] * b[i];
	}
	return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static int16_t *as_numbers(const talk *t, const uint8_t *bytes, size_t samples)
{
	int16_t *out = malloc(samples * sizeof *out);
	size_t i;

	assert_non_null(out);
	for (i = 0; i < samples; i++) {
		if (formats[t->f].sample == 2)
			memcpy(&out[i], bytes + 2 * i, 2);
		else
			out[i] = (int16_t)(bytes[i] == formats[t->f].silence ? 0 : (int)bytes[i] - 128);
	}
	return out;
}

/* What was sent and what is in the file fit where they are, and nowhere else. */
static void check_aligned(const talk *t, uint32_t leg, const uint8_t *stored, size_t size)
{
	size_t samples = size / formats[t->f].sample, shift;
	int16_t *sent = as_numbers(t, t->side[leg].sent, samples), *file = as_numbers(t, stored, samples);
	double here = correlation(sent, file, samples - 400);

	assert_true(here > 0.3);
	for (shift = 1; shift <= 400; shift += shift < 8 ? 1 : 49) {
		assert_true(fabs(correlation(sent + shift, file, samples - 400)) < 0.1);
		assert_true(fabs(correlation(sent, file + shift, samples - 400)) < 0.1);
	}
	free(sent);
	free(file);
}

static void check_file(talk *t)
{
	size_t size = 0, bytes = 0, i, sample = formats[t->f].sample, longer = 0;
	char name[256], key[300];
	const uint8_t *samples;
	uint8_t *file, *one;
	uint32_t leg;

	assert_true(t_store_name(&t->w, "talk", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.stereo.wav", name);
	file = t_store_get(&t->w, key, &size);
	assert_non_null(file);
	samples = t_wav_samples(file, size, &bytes);
	for (leg = 0; leg < LEGS; leg++)
		longer = t->side[leg].end > longer ? t->side[leg].end : longer;
	assert_int_equal(bytes, 2 * longer);
	one = malloc(longer);
	assert_non_null(one);
	for (leg = 0; leg < LEGS; leg++) {
		for (i = 0; i < longer / sample; i++)
			memcpy(one + i * sample, samples + (2 * i + leg) * sample, sample);
		t_stored_order(one, longer, (uint32_t)sample);
		assert_memory_equal(one, t->side[leg].expected, longer);
		check_aligned(t, leg, one, longer);
	}
	free(one);
	free(file);
}

static void check_stats(const talk *t)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_session_get_stats(t->s, &st), RCO_OK);
	assert_int_equal(st.late_frames, t->side[0].late + t->side[1].late);
	assert_int_equal(st.accepted_bytes + st.gap_bytes, t->side[0].end + t->side[1].end);
	assert_int_equal(st.accepted_bytes, st.accepted_frames * frame_bytes(t));
	assert_true(t->side[0].late > 5 && st.gap_bytes > 20 * frame_bytes(t));
}

static void end_talk(talk *t)
{
	uint32_t i;

	for (i = 0; i < LEGS; i++) {
		free(t->side[i].sent);
		free(t->side[i].expected);
	}
	t_world_destroy(&t->w);
}

static void whole_talk(talk *t)
{
	begin_talk(t);
	speak(t);
	t_advance(&t->w, 400);
	check_stats(t);
	rco_session_free(t->s);
	t_await(&t->w, "talk", RCO_EVENT_STORED, 1);
	check_file(t);
	end_talk(t);
}

static void test_stereo_is_aligned(void **state)
{
	static talk t;
	size_t f;

	(void)state;
	for (f = 0; f < FORMATS; f++) {
		open_talk(&t, f, 0, f);
		whole_talk(&t);
		open_talk(&t, f, T_SPOOL | T_DISK | T_SHARED, 50 + f);
		whole_talk(&t);
	}
}

/* A buffer that does not know gaps is given the silence. */
static void test_buffer_without_gaps(void **state)
{
	static talk t;
	rco_buffer_ops plain = t_fault_buffer_ops;
	size_t f;

	(void)state;
	plain.flags = 0;
	for (f = 0; f < FORMATS; f++) {
		open_talk(&t, f, 0, 90 + f);
		t.w.cfg.buffer = &plain;
		whole_talk(&t);
	}
}

/* A piece whose answer is lost comes again, a gap as well, and is there once. */
static void test_buffer_that_fails(void **state)
{
	static const int ways[] = {T_FAIL, T_FAIL_DONE, T_UNCONFIRMED, T_THREAD, T_INLINE};
	static talk t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		open_talk(&t, i, 0, 200 + i);
		t.patient = 1;
		begin_talk(&t);
		t_fault_set(&t.w.fault, T_APPEND, ways[i], 3, RCO_E_IO);
		speak(&t);
		t_fault_set(&t.w.fault, T_APPEND, T_PASS, 0, 0);
		t_advance(&t.w, 60000);
		rco_session_free(t.s);
		t_await(&t.w, "talk", RCO_EVENT_STORED, 1);
		check_file(&t);
		end_talk(&t);
	}
}

/* ---- what a gap costs ---- */

static void add_size(const char *file, void *user_data)
{
	struct stat st;

	if (stat(file, &st) == 0)
		*(uint64_t *)user_data += (uint64_t)st.st_size;
}

static uint64_t tree_bytes(const char *path)
{
	uint64_t bytes = 0;

	t_tree_each(path, add_size, &bytes);
	return bytes;
}

static uint64_t ring_free(t_world *w)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w->engine, &st), RCO_OK);
	return st.ring_bytes_free;
}

static void test_ten_minutes_of_silence(void **state)
{
	enum { MINUTES = 10, RATE = 8000 };
	uint64_t before, rings, gap = (uint64_t)MINUTES * 60 * RATE;
	uint8_t frame[T_FRAME], end[T_FRAME];
	char spool[256], name[256], key[300], *record;
	size_t size = 0, bytes = 0, i;
	const uint8_t *samples;
	uint8_t *file;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	t_join(spool, sizeof spool, w.state, "spool");
	s = t_call(&w, "quiet");
	t_noise(1, 0, frame, sizeof frame);
	t_noise(2, 0, end, sizeof end);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame, 0), RCO_OK);
	t_advance(&w, 1000);
	before = tree_bytes(spool);
	rings = ring_free(&w);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, end, sizeof end, T_FRAME + gap), RCO_OK);
	t_advance(&w, 1000);
	assert_true(tree_bytes(spool) > before && tree_bytes(spool) - before < 1024);
	assert_int_equal(ring_free(&w), rings);
	rco_session_free(s);
	t_await(&w, "quiet", RCO_EVENT_STORED, 1);
	t_await(&w, "quiet", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_name(&w, "quiet", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.caller.wav", name);
	file = t_store_get(&w, key, &size);
	samples = t_wav_samples(file, size, &bytes);
	assert_int_equal(bytes, gap + 2 * T_FRAME);
	assert_true(t_is_noise(1, samples, T_FRAME));
	assert_true(t_is_noise(2, samples + T_FRAME + gap, T_FRAME));
	for (i = 0; i < gap; i++)
		assert_int_equal(samples[T_FRAME + i], 0xff);
	free(file);
	record = t_store_record(&w, "quiet");
	assert_non_null(strstr(record, "\"bytes\":4800320,\"recorded_ms\":600040,\"gaps_ms\":600000"));
	free(record);
	t_world_destroy(&w);
}

/* Gaps that the buffer has make room for others: silence suppression for hours. */
static void test_a_gap_a_second_for_hours(void **state)
{
	enum { HOURS = 3, S = HOURS * 3600 };
	uint8_t frame[80];
	size_t size = 0, bytes = 0, i;
	char name[256], key[300];
	const uint8_t *samples;
	uint8_t *file;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.flush_interval_ms = 10;
	t_world_open(&w);
	s = t_call(&w, "vad");
	for (i = 0; i < S; i++) {
		t_noise(5, i * sizeof frame, frame, sizeof frame);
		assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame, (uint64_t)i * 8000),
		                 RCO_OK);
		t_advance(&w, 10);
	}
	rco_session_free(s);
	t_await(&w, "vad", RCO_EVENT_STORED, 1);
	assert_true(t_store_name(&w, "vad", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.caller.wav", name);
	file = t_store_get(&w, key, &size);
	samples = t_wav_samples(file, size, &bytes);
	assert_int_equal(bytes, (uint64_t)(S - 1) * 8000 + sizeof frame);
	for (i = 0; i < S; i++) {
		t_noise(5, i * sizeof frame, frame, sizeof frame);
		assert_memory_equal(samples + i * 8000, frame, sizeof frame);
		assert_true(i + 1 == S || (samples[i * 8000 + 80] == 0xff && samples[i * 8000 + 7999] == 0xff));
	}
	free(file);
	t_world_destroy(&w);
}

/* ---- what is refused ---- */

static uint64_t late_frames(rco_session *s)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	return st.late_frames;
}

/* Nothing of it is taken, and what comes next is where it would have been. */
static void test_odd_positions(void **state)
{
	static const uint64_t odd[] = {0,
	                               1,
	                               T_FRAME - 1,
	                               T_FRAME + (uint64_t)RCO_GAP_MAX_S * 8000 + 1,
	                               UINT64_C(1) << 40,
	                               UINT64_C(1) << 61,
	                               (UINT64_C(1) << 61) - 1,
	                               UINT64_C(1) << 62,
	                               UINT64_C(1) << 63,
	                               (UINT64_C(1) << 63) + T_FRAME,
	                               UINT64_MAX - 1,
	                               UINT64_MAX - T_FRAME};
	uint8_t frame[2 * T_FRAME];
	size_t i, n = sizeof odd / sizeof odd[0], f;
	rco_frame bad;
	rco_session *s;
	t_world w;

	(void)state;
	for (f = 0; f < 3; f += 2) {
		uint32_t leg = 0;
		size_t size = (size_t)T_FRAME * formats[f].sample;
		rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "odd"};

		t_world_init(&w, 0);
		t_world_open(&w);
		assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
		assert_int_equal(rco_session_add_leg(s, "caller", formats[f].format, &leg), RCO_OK);
		assert_int_equal(t_push_at(s, 0, formats[f].format, frame, size, 0), RCO_E_NOT_STARTED);
		assert_int_equal(rco_session_start(s), RCO_OK);
		t_noise(1, 0, frame, sizeof frame);
		assert_int_equal(t_push_at(s, 0, formats[f].format, frame, size, 0), RCO_OK);
		for (i = 0; i < n; i++)
			assert_int_equal(t_push_at(s, 0, formats[f].format, frame, size, odd[i]), RCO_E_POSITION);
		assert_int_equal(late_frames(s), n);
		bad = (rco_frame){.session = s,
		                  .data = frame,
		                  .position = T_FRAME,
		                  .size_bytes = (uint32_t)size,
		                  .format = formats[f].format,
		                  .flags = 1};
		assert_int_equal(rco_frames_push(&bad, 1), 0);
		assert_int_equal(bad.result, RCO_E_NEWER);
		bad.flags = 0;
		bad.reserved = 1;
		assert_int_equal(rco_frames_push(&bad, 1), 0);
		assert_int_equal(bad.result, RCO_E_NEWER);
		assert_int_equal(rco_session_push(s, 0, formats[f].format, frame, size), RCO_OK);
		assert_int_equal(t_push_at(s, 0, formats[f].format, frame, size, 2 * T_FRAME), RCO_OK);
		assert_int_equal(late_frames(s), n);
		/* A day ahead is the most, and costs nothing while nobody makes the file of it. */
		assert_int_equal(t_push_at(s, 0, formats[f].format, frame, size,
		                           3 * T_FRAME + (uint64_t)RCO_GAP_MAX_S * 8000),
		                 RCO_OK);
		t_advance(&w, 1000);
		assert_true(rco_memory_audio_bytes(w.memory) == 4 * size);
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
		assert_int_equal(t_push_at(s, 0, formats[f].format, frame, size, UINT64_MAX - 1), RCO_E_OPTED_OUT);
		rco_session_free(s);
		t_await(&w, "odd", RCO_EVENT_VERIFIED, 1);
		t_world_destroy(&w);
	}
}

/* So many gaps at a time, and no more; then as many again. */
static void test_full_of_gaps(void **state)
{
	enum { MOST = 31, ROUNDS = 5 };
	uint8_t frame[80], want[(MOST + 1) * ROUNDS * 160];
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	size_t size = 0, bytes = 0, round, i, at = 80;
	char name[256], key[300];
	const uint8_t *samples;
	uint8_t *file;
	rco_session *s;
	t_world w;

	(void)state;
	memset(want, 0xff, sizeof want);
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "full");
	t_noise(9, 0, frame, sizeof frame);
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < MOST; i++, at += 160) {
			assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame, at), RCO_OK);
			memcpy(want + at, frame, sizeof frame);
		}
		assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame, at), RCO_E_OVERFLOW);
		assert_int_equal(rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame), RCO_OK);
		memcpy(want + at - 80, frame, sizeof frame);
		at += 80;
		t_advance(&w, 400);
	}
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.overflowed_frames, ROUNDS);
	assert_int_equal(t_events_sum(&w.events, "full", RCO_EVENT_OVERFLOW), ROUNDS);
	rco_session_free(s);
	t_await(&w, "full", RCO_EVENT_STORED, 1);
	assert_true(t_store_name(&w, "full", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.caller.wav", name);
	file = t_store_get(&w, key, &size);
	samples = t_wav_samples(file, size, &bytes);
	assert_int_equal(bytes, at - 80);
	assert_memory_equal(samples, want, bytes);
	free(file);
	t_world_destroy(&w);
}

/* The clock goes on while recording is paused; a frame that was refused leaves no gap. */
static void test_pause(void **state)
{
	enum { F = T_FRAME };
	uint8_t frame[F], want[20 * F];
	size_t size = 0, bytes = 0;
	char name[256], key[300];
	const uint8_t *samples;
	uint8_t *file;
	rco_session *s;
	t_world w;

	(void)state;
	memset(want, 0xff, sizeof want);
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "paused");
	t_noise(3, 0, frame, F);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, F, 0), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, F, 5 * F), RCO_E_PAUSED);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, F, UINT64_MAX - 1), RCO_E_PAUSED);
	assert_int_equal(rco_session_resume(s), RCO_OK);
	assert_int_equal(rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, F), RCO_OK); /* at F */
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, F, 10 * F), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, F, 12 * F), RCO_E_PAUSED);
	t_advance(&w, 1000);
	assert_int_equal(rco_session_resume(s), RCO_OK);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, F, 19 * F), RCO_OK);
	assert_int_equal(t_push_at(s, 0, RCO_FORMAT_PCMU_8K, frame, F, 19 * F), RCO_E_POSITION);
	memcpy(want, frame, F);
	memcpy(want + F, frame, F);
	memcpy(want + 10 * F, frame, F);
	memcpy(want + 19 * F, frame, F);
	rco_session_free(s);
	t_await(&w, "paused", RCO_EVENT_STORED, 1);
	assert_true(t_store_name(&w, "paused", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.caller.wav", name);
	file = t_store_get(&w, key, &size);
	samples = t_wav_samples(file, size, &bytes);
	assert_int_equal(bytes, sizeof want);
	assert_memory_equal(samples, want, sizeof want);
	free(file);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stereo_is_aligned),
		cmocka_unit_test(test_buffer_without_gaps),
		cmocka_unit_test(test_buffer_that_fails),
		cmocka_unit_test(test_ten_minutes_of_silence),
		cmocka_unit_test(test_a_gap_a_second_for_hours),
		cmocka_unit_test(test_odd_positions),
		cmocka_unit_test(test_full_of_gaps),
		cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests_name("media_time", tests, NULL, NULL);
}
