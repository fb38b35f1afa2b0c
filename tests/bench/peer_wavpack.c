/* SPDX-License-Identifier: MIT */
/* WavPack at -f, its fastest: a packer per leg, fed as the frames come. */
#include "bench.h"
#include "peer.h"

#if __has_include(<wavpack/wavpack.h>)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wavpack/wavpack.h>

enum { MOST = 2048 };

typedef struct packer {
	WavpackContext *context;
	FILE *file;
} packer;

static int put_block(void *id, void *data, int32_t size)
{
	const packer *p = id;

	return fwrite(data, 1, (size_t)size, p->file) == (size_t)size;
}

static void *open_leg(const char *path, uint32_t rate_hz)
{
	packer *p = calloc(1, sizeof *p);
	WavpackConfig config;

	if (p == NULL)
		b_die("WavPack: no memory");
	p->file = fopen(path, "wb");
	p->context = WavpackOpenFileOutput(put_block, p, NULL);
	if (p->file == NULL || p->context == NULL)
		b_die("WavPack: %s cannot be begun", path);
	memset(&config, 0, sizeof config);
	config.bytes_per_sample = 2;
	config.bits_per_sample = 16;
	config.num_channels = 1;
	config.channel_mask = 4;
	config.sample_rate = (int32_t)rate_hz;
	config.flags = CONFIG_FAST_FLAG;
	if (!WavpackSetConfiguration64(p->context, &config, -1, NULL) || !WavpackPackInit(p->context))
		b_die("WavPack: %s", WavpackGetErrorMessage(p->context));
	return p;
}

static void write_leg(void *leg, const int16_t *samples, size_t count)
{
	packer *p = leg;
	int32_t wide[MOST];
	size_t i;

	if (count > MOST)
		b_die("WavPack: a frame of %zu samples", count);
	for (i = 0; i < count; i++)
		wide[i] = samples[i];
	if (!WavpackPackSamples(p->context, wide, (uint32_t)count))
		b_die("WavPack: %s", WavpackGetErrorMessage(p->context));
}

static void close_leg(void *leg)
{
	packer *p = leg;

	if (!WavpackFlushSamples(p->context))
		b_die("WavPack: %s", WavpackGetErrorMessage(p->context));
	(void)WavpackCloseFile(p->context);
	if (fclose(p->file) != 0)
		b_die("WavPack: a file could not be closed");
	free(p);
}

const b_file_peer b_peer_wavpack = {"WavPack -f", NULL, 1, open_leg, write_leg, close_leg};

#else
const b_file_peer b_peer_wavpack = {"WavPack -f", "built without libwavpack-dev", 1, NULL, NULL, NULL};
#endif
