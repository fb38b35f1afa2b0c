/* SPDX-License-Identifier: MIT */
/*
 * What is measured with: people speaking, and the extremes. Nothing here depends
 * on the clock or on an order of files that the disk decides: every run has the
 * same samples.
 */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELEPHONE  "/usr/share/asterisk/sounds/en_US_f_Allison"
#define MICROPHONE "/usr/share/pocketsphinx/test/data"

enum { PATH_ROOM = 1024, TELEPHONE_HZ = 8000, MICROPHONE_HZ = 16000, TAPS = 127 };

typedef struct tape {
	int16_t *samples;
	size_t count, room;
} tape;

static void tape_need(tape *t, size_t more)
{
	size_t room = (t->count + more) * 3 / 2;
	int16_t *samples;

	if (t->count + more <= t->room)
		return;
	samples = realloc(t->samples, room * sizeof *samples);
	if (samples == NULL)
		b_die("no memory for %zu samples", room);
	t->samples = samples;
	t->room = room;
}

static void tape_add(tape *t, const int16_t *samples, size_t count)
{
	tape_need(t, count);
	if (count > 0)
		memcpy(t->samples + t->count, samples, count * sizeof *samples);
	t->count += count;
}

/* ---- files ---- */

static int is_recording(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && (strcmp(dot, ".wav") == 0 || strcmp(dot, ".raw") == 0);
}

/* Not alphasort(): that depends on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static tape read_file(const char *path, uint32_t rate_hz)
{
	SF_INFO info = {0};
	SNDFILE *file;
	tape t = {NULL, 0, 0};

	if (strcmp(path + strlen(path) - 4, ".raw") == 0) {
		info.samplerate = (int)rate_hz;
		info.channels = 1;
		info.format = SF_FORMAT_RAW | SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE;
	}
	file = sf_open(path, SFM_READ, &info);
	if (file == NULL)
		b_die("%s: %s", path, sf_strerror(NULL));
	if (info.channels != 1 || info.samplerate != (int)rate_hz)
		b_die("%s has %d channels at %d Hz", path, info.channels, info.samplerate);
	tape_need(&t, (size_t)info.frames + 1);
	t.count = (size_t)sf_read_short(file, t.samples, info.frames);
	if (sf_close(file) != 0 || t.count != (size_t)info.frames)
		b_die("%s cannot be read to its end", path);
	return t;
}

typedef void (*file_fn)(const tape *recording, void *arg);

/* Each recording of a folder, in the order of their names, until `enough` says so. */
static void each_file(const char *folder, uint32_t rate_hz, const size_t *have, size_t enough, file_fn fn,
                      void *arg)
{
	struct dirent **names = NULL;
	int i, n = scandir(folder, &names, is_recording, by_name);
	char path[PATH_ROOM];
	tape t;

	if (n <= 0)
		b_die("no recordings in %s: %s (make bench installs them)", folder,
		      n < 0 ? strerror(errno) : "it is empty");
	for (i = 0; i < n; i++) {
		if (*have < enough && snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) < PATH_ROOM) {
			t = read_file(path, rate_hz);
			fn(&t, arg);
			free(t.samples);
		}
		free(names[i]);
	}
	free(names);
}

/* ---- telephone ---- */

/* ITU-T G.711 mu-law, there and back, on 16 bit: the nearest value of the code book. */
static int16_t through_mu_law(int32_t sample)
{
	int32_t magnitude = (sample < 0 ? -sample : sample), segment = 0, step;

	magnitude = (magnitude > 32635 ? 32635 : magnitude) + 132;
	while (segment < 7 && magnitude >= 256 << segment)
		segment++;
	step = 8 << segment;
	magnitude = magnitude / step * step + step / 2 - 132;
	return (int16_t)(sample < 0 ? -magnitude : magnitude);
}

/* xorshift64*: the same noise in every run. */
static uint32_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * UINT64_C(2685821657736338717)) >> 32);
}

static double random_unit(uint64_t *state)
{
	return random_next(state) / 4294967296.0;
}

/* About normal, of deviation 1. */
static double random_bell(uint64_t *state)
{
	double sum = 0;
	int i;

	for (i = 0; i < 12; i++)
		sum += random_unit(state);
	return sum - 6;
}

typedef struct line {
	tape t;
	uint64_t random;
	int gaps; /* between what is said, the other side talks */
} line;

/* -65 dBm0, the idle noise of a good line: 9 of 32768. */
static int16_t line_noise(line *l)
{
	return (int16_t)lround(9 * random_bell(&l->random));
}

static void line_gap(line *l, size_t count)
{
	tape_need(&l->t, count);
	for (; count > 0; count--)
		l->t.samples[l->t.count++] = through_mu_law(line_noise(l));
}

static void line_speech(const tape *recording, void *arg)
{
	line *l = arg;
	size_t i;

	tape_need(&l->t, recording->count);
	for (i = 0; i < recording->count; i++)
		l->t.samples[l->t.count++] =
			through_mu_law(l->gaps ? recording->samples[i] + line_noise(l) : recording->samples[i]);
	/* 55 % of the time in gaps, each from half to one and a half of its share. */
	if (l->gaps)
		line_gap(l, (size_t)((double)recording->count * 55 / 45 * (0.5 + random_unit(&l->random))));
}

static tape telephone(size_t enough, int gaps)
{
	static const char *const folders[] = {
		TELEPHONE,           TELEPHONE "/followme", TELEPHONE "/dictate", TELEPHONE "/phonetic",
		TELEPHONE "/digits", TELEPHONE "/letters"};
	line l = {.random = 20260101, .gaps = gaps};
	size_t i;

	for (i = 0; i < sizeof folders / sizeof folders[0]; i++)
		each_file(folders[i], TELEPHONE_HZ, &l.t.count, enough, line_speech, &l);
	return l.t;
}

/* ---- microphone ---- */

static void keep(const tape *recording, void *arg)
{
	tape_add(arg, recording->samples, recording->count);
}

static tape microphone(size_t enough)
{
	static const char *const folders[] = {MICROPHONE "/librivox", MICROPHONE "/cards", MICROPHONE};
	tape t = {NULL, 0, 0};
	size_t i;

	for (i = 0; i < sizeof folders / sizeof folders[0]; i++)
		each_file(folders[i], MICROPHONE_HZ, &t.count, enough, keep, &t);
	return t;
}

/* A low pass of 3.6 kHz at 16 kHz: a sinc in a Blackman window, of sum 1. */
static void low_pass(double taps[TAPS])
{
	const double pi = acos(-1), cut = 3600.0 / MICROPHONE_HZ;
	double sum = 0, x;
	int i;

	for (i = 0; i < TAPS; i++) {
		x = i - (TAPS - 1) / 2.0;
		taps[i] = x == 0 ? 2 * cut : sin(2 * pi * cut * x) / (pi * x);
		taps[i] *= 0.42 - 0.5 * cos(2 * pi * i / (TAPS - 1)) + 0.08 * cos(4 * pi * i / (TAPS - 1));
		sum += taps[i];
	}
	for (i = 0; i < TAPS; i++)
		taps[i] /= sum;
}

static void halve(tape *t)
{
	size_t i, out = t->count / 2;
	int16_t *half = malloc((out + 1) * sizeof *half);
	double taps[TAPS], sum;
	int k;

	if (half == NULL)
		b_die("no memory for %zu samples", out);
	low_pass(taps);
	for (i = 0; i < out; i++) {
		sum = 0;
		for (k = 0; k < TAPS; k++) {
			int64_t at = (int64_t)(2 * i) + k - (TAPS - 1) / 2;

			if (at >= 0 && at < (int64_t)t->count)
				sum += taps[k] * t->samples[at];
		}
		half[i] = (int16_t)lround(fmax(-32768, fmin(32767, sum)));
	}
	free(t->samples);
	*t = (tape){half, out, out + 1};
}

/* ---- generated ---- */

static int16_t generated(const char *kind, size_t i, uint64_t *random)
{
	const double pi = acos(-1);

	if (strcmp(kind, "noise") == 0)
		return (int16_t)(random_next(random) >> 16);
	if (strcmp(kind, "sine") == 0)
		return (int16_t)lround(16384 * sin(2 * pi * 440 * (double)i / TELEPHONE_HZ));
	if (strcmp(kind, "full") == 0)
		return i / 9 % 2 == 0 ? 32767 : -32768;
	if (strcmp(kind, "silence") == 0)
		return 0;
	b_die("there is no sound \"%s\"", kind);
}

static tape generate(const char *kind, size_t count)
{
	tape t = {NULL, 0, 0};
	uint64_t random = 20260101;

	tape_need(&t, count + 1);
	for (; t.count < count; t.count++)
		t.samples[t.count] = generated(kind, t.count, &random);
	return t;
}

/* ---- the way in ---- */

b_sound b_sound_get(const char *kind, double seconds)
{
	b_sound sound = {.rate_hz = strcmp(kind, "pcm16k") == 0 ? MICROPHONE_HZ : TELEPHONE_HZ};
	size_t wanted = (size_t)(seconds * sound.rate_hz);
	tape t;

	if (strcmp(kind, "g711") == 0 || strcmp(kind, "leg") == 0) {
		t = telephone(wanted, strcmp(kind, "leg") == 0);
	} else if (strcmp(kind, "pcm16k") == 0) {
		t = microphone(wanted);
	} else if (strcmp(kind, "pcm8k") == 0) {
		t = microphone(wanted * 2);
		halve(&t);
	} else {
		t = generate(kind, wanted);
	}
	(void)snprintf(sound.name, sizeof sound.name, "%s", kind);
	sound.samples = t.samples;
	sound.count = t.count < wanted ? t.count : wanted;
	return sound;
}

void b_sound_free(b_sound *sound)
{
	free(sound->samples);
	sound->samples = NULL;
	sound->count = 0;
}
