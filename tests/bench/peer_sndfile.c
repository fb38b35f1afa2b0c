/* SPDX-License-Identifier: MIT */
/* libsndfile: a WAV file per leg. */
#include "bench.h"
#include "peer.h"

#if __has_include(<sndfile.h>)
#include <sndfile.h>

static void *open_leg(const char *path, uint32_t rate_hz)
{
	SF_INFO info = {.samplerate = (int)rate_hz, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
	SNDFILE *file = sf_open(path, SFM_WRITE, &info);

	if (file == NULL)
		b_die("libsndfile: %s: %s", path, sf_strerror(NULL));
	return file;
}

static void write_leg(void *leg, const int16_t *samples, size_t count)
{
	if (sf_write_short(leg, samples, (sf_count_t)count) != (sf_count_t)count)
		b_die("libsndfile: %s", sf_strerror(leg));
}

static void close_leg(void *leg)
{
	int rc = sf_close(leg);

	if (rc != 0)
		b_die("libsndfile: %s", sf_error_number(rc));
}

const b_file_peer b_peer_sndfile = {"libsndfile WAV", NULL, 0, open_leg, write_leg, close_leg};

#else
const b_file_peer b_peer_sndfile = {"libsndfile WAV", "built without libsndfile1-dev", 0, NULL, NULL, NULL};
#endif
