/* SPDX-License-Identifier: MIT */
#include "recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_S = 600 };

uint8_t sound_silence(int law)
{
	return law == LAW_MU ? 0xff : 0xd5;
}

/* librem negates the sample, which -32768 does not survive. */
static uint8_t encode(int16_t sample, int law)
{
	if (sample == INT16_MIN)
		sample++;
	return law == LAW_MU ? g711_pcm2ulaw(sample) : g711_pcm2alaw(sample);
}

void sound_convert(uint8_t *data, size_t size, int from, int to)
{
	size_t i;

	if (from == to)
		return;
	for (i = 0; i < size; i++)
		data[i] = encode(from == LAW_MU ? g711_ulaw2pcm(data[i]) : g711_alaw2pcm(data[i]), to);
}

/* Samples of the file, in memory that the caller frees; *count is rounded up to whole frames. */
static int16_t *read_all(struct aufile *file, size_t *count)
{
	size_t room = (size_t)LONGEST_S * 8000, got = 0, piece;
	int16_t *all = calloc(room, sizeof *all);

	while (all != NULL && got < room) {
		piece = (room - got) * sizeof *all;
		if (piece > 8000 * sizeof *all)
			piece = 8000 * sizeof *all;
		if (aufile_read(file, (uint8_t *)(all + got), &piece) != 0 || piece < sizeof *all)
			break;
		got += piece / sizeof *all;
	}
	*count = (got + FRAME - 1) / FRAME * FRAME;
	return all;
}

static int fill(sound *s, const int16_t *samples, size_t count)
{
	int law;
	size_t i;

	s->size = count;
	for (law = 0; law < LAWS; law++) {
		s->law[law] = malloc(count > 0 ? count : 1);
		if (s->law[law] == NULL)
			return ENOMEM;
		for (i = 0; i < count; i++)
			s->law[law][i] = encode(samples[i], law);
	}
	return 0;
}

int sound_load(sound *s, const char *path)
{
	struct aufile_prm prm = {0};
	struct aufile *file = NULL;
	int16_t *samples = NULL;
	size_t count = 0;
	int err;

	memset(s, 0, sizeof *s);
	err = aufile_open(&file, &prm, path, AUFILE_READ);
	if (err == 0 && (prm.srate != 8000 || prm.channels != 1 || prm.fmt != AUFMT_S16LE))
		err = EMEDIUMTYPE;
	if (err == 0) {
		samples = read_all(file, &count);
		err = samples != NULL ? fill(s, samples, count) : ENOMEM;
	}
	free(samples);
	mem_deref(file);
	if (err != 0) {
		complain("%s: %s; a WAV file of 8 kHz, mono, 16 bit is needed", path, strerror(err));
		sound_free(s);
	}
	return err;
}

void sound_free(sound *s)
{
	int law;

	for (law = 0; law < LAWS; law++)
		free(s->law[law]);
	memset(s, 0, sizeof *s);
}
