/* SPDX-License-Identifier: MIT */
/* Human speech as test audio: reads a folder of WAV files and cuts a stretch of its own for each leg. */
#include "demo.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SPEECH_RATE_HZ = 8000, FRAME_SAMPLES = SPEECH_RATE_HZ * FRAME_MS / 1000 };

static uint32_t le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

/* Chunks may come in any order and have a pad byte behind an odd size. */
int wav_parse(const uint8_t *file, size_t size, struct wav *wav)
{
	int have_format = 0;

	memset(wav, 0, sizeof *wav);
	if (size < 12 || memcmp(file, "RIFF", 4) != 0 || memcmp(file + 8, "WAVE", 4) != 0)
		return -1;
	for (size_t at = 12; size - at >= 8;) {
		const uint8_t *body = file + at + 8;
		size_t length = le32(file + at + 4);

		if (length > size - at - 8)
			return -1;
		if (memcmp(file + at, "fmt ", 4) == 0 && length >= 16) {
			wav->tag = le16(body);
			wav->channels = le16(body + 2);
			wav->rate_hz = le32(body + 4);
			wav->bits = le16(body + 14);
			have_format = 1;
		} else if (memcmp(file + at, "data", 4) == 0) {
			wav->data = body;
			wav->data_bytes = length;
			return have_format ? 0 : -1;
		}
		length += length & 1;
		if (length > size - at - 8)
			return -1;
		at += 8 + length;
	}
	return -1;
}

static void put_le(uint8_t *p, uint32_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

/* For the files of the demo's own recorder: 16 bit, one channel. */
int wav_header(uint8_t out[44], uint32_t rate_hz, uint32_t data_bytes)
{
	memcpy(out, "RIFF....WAVEfmt ", 16);
	put_le(out + 4, 36 + data_bytes, 4);
	put_le(out + 16, 16, 4);
	put_le(out + 20, 1, 2);
	put_le(out + 22, 1, 2);
	put_le(out + 24, rate_hz, 4);
	put_le(out + 28, rate_hz * 2, 4);
	put_le(out + 32, 2, 2);
	put_le(out + 34, 16, 2);
	memcpy(out + 36, "data", 4);
	put_le(out + 40, data_bytes, 4);
	return 44;
}

uint8_t *file_read(const char *path, size_t *size)
{
	struct stat st;
	uint8_t *data = NULL;
	FILE *f = fopen(path, "rb");

	*size = 0;
	if (!f) {
		fprintf(stderr, "demo: cannot open %s: %s\n", path, strerror(errno));
		return NULL;
	}
	if (fstat(fileno(f), &st) == 0 && st.st_size >= 0)
		data = malloc((size_t)st.st_size + 1);
	if (!data) {
		fprintf(stderr, "demo: cannot load %s: %s\n", path, strerror(errno));
	} else if (fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
		fprintf(stderr, "demo: cannot read %s\n", path);
		free(data);
		data = NULL;
	} else {
		data[st.st_size] = 0;
		*size = (size_t)st.st_size;
	}
	fclose(f);
	return data;
}

static uint32_t segment_of(uint32_t magnitude, uint32_t first)
{
	uint32_t segment = 0;

	while (segment < 7 && magnitude >= first << segment)
		segment++;
	return segment;
}

/* ITU-T G.711, table 2: sign, segment, four bits within it; all bits inverted. */
uint8_t g711_ulaw(int16_t sample)
{
	uint32_t magnitude = (uint32_t)(sample < 0 ? -(int32_t)sample : sample);
	uint32_t sign = sample < 0 ? 0x80 : 0;
	uint32_t segment;

	if (magnitude > 32635)
		magnitude = 32635;
	magnitude += 132;
	segment = segment_of(magnitude, 256);
	return (uint8_t) ~(sign | segment << 4 | (magnitude >> (segment + 3) & 0x0f));
}

/* ITU-T G.711, table 1: even bits inverted. */
uint8_t g711_alaw(int16_t sample)
{
	uint32_t magnitude = (uint32_t)(sample < 0 ? -(int32_t)sample - 1 : sample);
	uint32_t sign = sample < 0 ? 0 : 0x80;
	uint32_t segment = segment_of(magnitude, 256);
	uint32_t shift = segment ? segment + 3 : 4;

	return (uint8_t)((sign | segment << 4 | (magnitude >> shift & 0x0f)) ^ 0x55);
}

/* Straight lines between the samples: no good filter, but every sample has to arrive as it is. */
static void upsample(int16_t *out, const int16_t *pcm, size_t samples, size_t factor)
{
	for (size_t i = 0; i < samples; i++) {
		int32_t a = pcm[i], b = i + 1 < samples ? pcm[i + 1] : a;

		for (size_t k = 0; k < factor; k++)
			out[i * factor + k] = (int16_t)(a + (b - a) * (int32_t)k / (int32_t)factor);
	}
}

static int encode(struct leg_audio *leg, uint32_t format)
{
	size_t factor = rco_format_rate_hz(format) / SPEECH_RATE_HZ;

	leg->bytes = leg->samples * factor * rco_format_sample_bytes(format);
	leg->frame_bytes = FRAME_SAMPLES * factor * rco_format_sample_bytes(format);
	leg->data = malloc(leg->bytes);
	if (!leg->data)
		return -1;
	if (format == RCO_FORMAT_PCMU_8K || format == RCO_FORMAT_PCMA_8K) {
		for (size_t i = 0; i < leg->samples; i++)
			leg->data[i] =
				format == RCO_FORMAT_PCMU_8K ? g711_ulaw(leg->pcm[i]) : g711_alaw(leg->pcm[i]);
		return 0;
	}
	upsample((int16_t *)(void *)leg->data, leg->pcm, leg->samples, factor);
	return 0;
}

static int is_wav(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 4 && strcmp(entry->d_name + length - 4, ".wav") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name); /* not alphasort: that depends on the locale */
}

/* All files one behind the other, in the order of their names. */
static int16_t *load_folder(const char *folder, size_t *samples, size_t *files)
{
	struct dirent **names = NULL;
	int16_t *all = NULL;
	int count = scandir(folder, &names, is_wav, by_name);

	*samples = *files = 0;
	for (int i = 0; i < count; i++) {
		char path[DEMO_PATH];
		size_t size;
		struct wav wav;
		uint8_t *file;
		int16_t *more;

		if (snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) >= (int)sizeof path)
			continue;
		file = file_read(path, &size);
		if (file && wav_parse(file, size, &wav) == 0 && wav.tag == 1 && wav.channels == 1 &&
		    wav.bits == 16 && wav.rate_hz == SPEECH_RATE_HZ) {
			size_t n = wav.data_bytes / 2;

			more = realloc(all, (*samples + n + 1) * sizeof *all);
			if (more) {
				all = more;
				for (size_t k = 0; k < n; k++)
					all[*samples + k] = (int16_t)le16(wav.data + 2 * k);
				*samples += n;
				(*files)++;
			}
		}
		free(file);
	}
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return all;
}

static int deal(struct speech *speech, const int16_t *all, size_t samples)
{
	size_t at = 0;

	for (size_t i = 0; i < CALLS; i++) {
		for (size_t k = 0; k < LEGS; k++) {
			struct leg_audio *leg = &speech->leg[i][k];

			leg->samples = (size_t)plans[i].seconds * SPEECH_RATE_HZ;
			if (leg->samples > samples - at)
				return -1;
			leg->pcm = malloc(leg->samples * sizeof *leg->pcm);
			if (!leg->pcm)
				return -1;
			memcpy(leg->pcm, all + at, leg->samples * sizeof *leg->pcm);
			at += leg->samples;
			if (encode(leg, plans[i].format[k]) != 0)
				return -1;
		}
	}
	speech->seconds = at / SPEECH_RATE_HZ;
	return 0;
}

int speech_load(struct speech *speech, const char *folder)
{
	size_t samples;
	int16_t *all;
	int rc;

	memset(speech, 0, sizeof *speech);
	all = load_folder(folder, &samples, &speech->files);
	rc = deal(speech, all, samples);
	free(all);
	if (rc == 0)
		return 0;
	fprintf(stderr,
	        "demo: too little speech in %s (%zu s in %zu files of 8 kHz, 16 bit, mono): "
	        "install the package asterisk-core-sounds-en-wav, or name another folder with --speech\n",
	        folder, samples / SPEECH_RATE_HZ, speech->files);
	speech_free(speech);
	return -1;
}

void speech_free(struct speech *speech)
{
	for (size_t i = 0; i < CALLS; i++) {
		for (size_t k = 0; k < LEGS; k++) {
			free(speech->leg[i][k].pcm);
			free(speech->leg[i][k].data);
		}
	}
	memset(speech, 0, sizeof *speech);
}
