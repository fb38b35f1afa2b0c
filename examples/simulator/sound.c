/* SPDX-License-Identifier: MIT */
/* Voices: samples from a WAV file, or something with the rhythm of speech. */
#include "simulator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t *slurp(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	long end;

	if (file == NULL)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
		data = malloc((size_t)end);
		*size = data != NULL ? fread(data, 1, (size_t)end, file) : 0;
	}
	(void)fclose(file);
	return data;
}

int16_t *wav_read(const char *path, size_t *samples, uint32_t *rate_hz)
{
	size_t size = 0, at = 12, n, i;
	uint8_t *data = slurp(path, &size);
	int16_t *out = NULL;
	int pcm = 0;

	*samples = 0;
	if (data == NULL || size < 44 || memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WAVE", 4) != 0) {
		free(data);
		return NULL;
	}
	while (at + 8 <= size && out == NULL) {
		n = le32(data + at + 4);
		if (n > size - at - 8)
			n = size - at - 8;
		if (memcmp(data + at, "fmt ", 4) == 0 && n >= 16) {
			pcm = data[at + 8] == 1 && data[at + 10] == 1 && data[at + 22] == 16;
			*rate_hz = le32(data + at + 12);
		} else if (memcmp(data + at, "data", 4) == 0 && pcm) {
			out = malloc(n + 2);
			for (i = 0; out != NULL && i < n / 2; i++)
				out[i] = (int16_t)(data[at + 8 + 2 * i] | data[at + 9 + 2 * i] << 8);
			*samples = n / 2;
		}
		at += 8 + n + (n & 1);
	}
	free(data);
	return out;
}

int voice_open(voice *v, const char *wav, uint32_t seed)
{
	memset(v, 0, sizeof *v);
	v->rate_hz = 8000;
	v->noise = seed * 2654435761u + 1;
	if (wav[0] == '\0')
		return 1;
	v->wav = wav_read(wav, &v->wav_samples, &v->rate_hz);
	if (v->wav != NULL &&
	    (v->rate_hz == 8000 || v->rate_hz == 16000 || v->rate_hz == 24000 || v->rate_hz == 48000))
		return 1;
	(void)fprintf(stderr, "simulator: %s is not a WAV file of one channel, 16 bit, at 8, 16, 24 or 48 kHz\n",
	              wav);
	return 0;
}

void voice_close(voice *v)
{
	free(v->wav);
	v->wav = NULL;
}

uint32_t voice_format(const voice *v)
{
	switch (v->rate_hz) {
	case 16000:
		return RCO_FORMAT_S16_16K;
	case 24000:
		return RCO_FORMAT_S16_24K;
	case 48000:
		return RCO_FORMAT_S16_48K;
	default:
		return RCO_FORMAT_S16_8K;
	}
}

void voice_say(voice *v, const char *text, double now)
{
	v->speaking_until_s = now + 0.3 + 0.06 * (double)strlen(text);
}

static int16_t noise(voice *v, int amplitude)
{
	v->noise = v->noise * 1664525u + 1013904223u;
	return (int16_t)((int)(v->noise >> 16) % (2 * amplitude + 1) - amplitude);
}

/* Syllables: a low tone with overtones that swells four times a second. */
static int16_t syllable(voice *v, double t)
{
	double pitch = 110.0 + 30.0 * sin(t * 1.7), swell = 0.5 - 0.5 * cos(t * 8.0 * 3.14159265);

	v->phase += pitch / (double)v->rate_hz;
	if (v->phase > 1.0)
		v->phase -= 1.0;
	return (int16_t)(6000.0 * swell * (sin(6.2831853 * v->phase) + 0.5 * sin(12.566371 * v->phase)) +
	                 noise(v, 200));
}

size_t voice_next(voice *v, double now, int16_t out[960])
{
	size_t n = (size_t)v->rate_hz * TICK_MS / 1000, i;

	for (i = 0; i < n; i++) {
		if (v->wav != NULL)
			out[i] = v->wav_at < v->wav_samples ? v->wav[v->wav_at++] : noise(v, 3);
		else if (now < v->speaking_until_s)
			out[i] = syllable(v, now + (double)i / (double)v->rate_hz);
		else
			out[i] = noise(v, 3);
	}
	return n;
}
