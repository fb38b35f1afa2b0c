/* SPDX-License-Identifier: MIT */
/*
 * What others record a call with. A file peer writes one file per leg inside
 * this process; a daemon peer is a program that is started, given RTP, and
 * whose CPU time is read.
 */
#ifndef RCO_TESTS_BENCH_PEER_H
#define RCO_TESTS_BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

enum { B_FRAME_SAMPLES = 160, B_CACHE_LINE = 64, B_PATH_ROOM = 512 };

/* A conversation in a leg's format: frames of 20 ms one after the other. */
typedef struct b_audio {
	uint8_t *data;
	size_t frame_bytes, frames;
} b_audio;

/* Where leg `i` of `n` begins in the sound: every leg is somewhere else. */
static inline size_t b_audio_offset(const b_audio *audio, size_t i, size_t n)
{
	return audio->frames * i / n;
}

/* One who hands over a frame has just received it: it is in the cache. That is not the recorder's cost. */
static inline const uint8_t *b_audio_next(const b_audio *audio, size_t *at)
{
	const uint8_t *frame = audio->data + *at * audio->frame_bytes;
	size_t i;

	for (i = 0; i < audio->frame_bytes; i += B_CACHE_LINE)
		__asm__ volatile("" : : "r"(*(const volatile uint8_t *)(frame + i)));
	*at = *at + 1 == audio->frames ? 0 : *at + 1;
	return frame;
}

/* CPU seconds for an hour of one call, of the CPU nanoseconds that `calls` took for `seconds`. */
static inline double b_per_hour(double cpu_ns, double calls, double seconds)
{
	return cpu_ns / 1e9 / calls / seconds * 3600;
}

/* Bytes this process has handed to write() so far. */
double b_written_bytes(void);
/* folder/name, at most B_PATH_ROOM with its NUL. */
void b_path_of(char *out, const char *folder, const char *name);

/* ---- file peers ---- */

typedef struct b_file_peer {
	const char *name;    /* "libsndfile WAV" */
	const char *missing; /* NULL, or why it cannot be measured here */
	int compresses;
	/* A file of 16 bit mono at `path`. Each ends the group if it fails. */
	void *(*open)(const char *path, uint32_t rate_hz);
	void (*write)(void *leg, const int16_t *samples, size_t count);
	void (*close)(void *leg);
} b_file_peer;

extern const b_file_peer b_peer_sndfile, b_peer_zstd;

/* What a call of ours costs, for the rows. */
typedef struct b_ours {
	const char *what; /* "PCMU" */
	double hour;      /* CPU seconds */
} b_ours;

/* Rows of all file peers for this audio (16 bit), measured over `seconds` of it, beside each of ours. */
void b_peer_files(const b_audio *audio, double seconds, const b_ours *ours, size_t n_ours);

/* ---- daemons ---- */

/* `ulaw` is G.711 mu-law; `ours` our cost of the same call. */
void b_peer_rtpengine(const b_audio *ulaw, double ours);
void b_peer_janus(const b_audio *ulaw, double ours);

#endif
