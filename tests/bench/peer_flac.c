/* SPDX-License-Identifier: MIT */
/* libFLAC at its level 1: a stream encoder per leg, fed as the frames come. */
#include "bench.h"
#include "peer.h"

#if __has_include(<FLAC/stream_encoder.h>)
#include <FLAC/stream_encoder.h>
#include <stdlib.h>

enum { LEVEL = 1, MOST = 2048 };

static void *open_leg(const char *path, uint32_t rate_hz)
{
	FLAC__StreamEncoder *e = FLAC__stream_encoder_new();

	if (e == NULL || !FLAC__stream_encoder_set_channels(e, 1) ||
	    !FLAC__stream_encoder_set_bits_per_sample(e, 16) ||
	    !FLAC__stream_encoder_set_sample_rate(e, rate_hz) ||
	    !FLAC__stream_encoder_set_compression_level(e, LEVEL) ||
	    FLAC__stream_encoder_init_file(e, path, NULL, NULL) != FLAC__STREAM_ENCODER_INIT_STATUS_OK)
		b_die("libFLAC: %s cannot be begun", path);
	return e;
}

static void write_leg(void *leg, const int16_t *samples, size_t count)
{
	FLAC__int32 wide[MOST];
	size_t i;

	if (count > MOST)
		b_die("libFLAC: a frame of %zu samples", count);
	for (i = 0; i < count; i++)
		wide[i] = samples[i];
	if (!FLAC__stream_encoder_process_interleaved(leg, wide, (uint32_t)count))
		b_die("libFLAC: %s", FLAC__stream_encoder_get_resolved_state_string(leg));
}

static void close_leg(void *leg)
{
	if (!FLAC__stream_encoder_finish(leg))
		b_die("libFLAC: %s", FLAC__stream_encoder_get_resolved_state_string(leg));
	FLAC__stream_encoder_delete(leg);
}

const b_file_peer b_peer_flac = {"libFLAC -1", NULL, 1, open_leg, write_leg, close_leg};

#else
const b_file_peer b_peer_flac = {"libFLAC -1", "built without libflac-dev", 1, NULL, NULL, NULL};
#endif
