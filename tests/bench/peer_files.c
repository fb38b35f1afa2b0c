/* SPDX-License-Identifier: MIT */
/* The same audio, in the same order and as many legs at once, written by what others write files with. */
#include "bench.h"
#include "bench_world.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LEGS = 500, ROUNDS = 3, PEERS = 2, RATE_HZ = 8000, FRAMES_A_SECOND = RATE_HZ / B_FRAME_SAMPLES };

typedef struct peer_cost {
	double hour, bytes;
} peer_cost;

void b_path_of(char *out, const char *folder, const char *name)
{
	if (snprintf(out, B_PATH_ROOM, "%s/%s", folder, name) >= B_PATH_ROOM)
		b_die("call: the path %s is too long", folder);
}

double b_written_bytes(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long long n = 0;
	char line[128];

	if (f == NULL)
		b_die("call: /proc/self/io cannot be read");
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "wchar: %llu", &n) == 1)
			break;
	(void)fclose(f);
	return (double)n;
}

/* Feeding the frames to nobody, to be taken off. */
static double generator_ns(const b_audio *audio, int frames)
{
	double from = b_thread_ns();
	size_t at[LEGS], i;

	for (i = 0; i < LEGS; i++)
		at[i] = b_audio_offset(audio, i, LEGS);
	for (; frames > 0; frames--)
		for (i = 0; i < LEGS; i++)
			b_use(b_audio_next(audio, &at[i]));
	return b_thread_ns() - from;
}

/* Until the files are closed; opening them is not counted. */
static peer_cost run_files(const b_file_peer *peer, const b_audio *audio, const char *folder, double seconds)
{
	int frames = (int)(seconds * FRAMES_A_SECOND), f;
	double cpu, written, calls = LEGS / 2.0;
	void *files[LEGS];
	size_t at[LEGS], i;

	for (i = 0; i < LEGS; i++) {
		char path[B_PATH_ROOM], name[32];

		(void)snprintf(name, sizeof name, "leg-%zu", i);
		b_path_of(path, folder, name);
		files[i] = peer->open(path, RATE_HZ);
		at[i] = b_audio_offset(audio, i, LEGS);
	}
	written = b_written_bytes();
	cpu = b_cpu_ns();
	for (f = 0; f < frames; f++)
		for (i = 0; i < LEGS; i++)
			peer->write(files[i], (const int16_t *)(const void *)b_audio_next(audio, &at[i]),
			            B_FRAME_SAMPLES);
	for (i = 0; i < LEGS; i++)
		peer->close(files[i]);
	cpu = b_cpu_ns() - cpu - generator_ns(audio, frames);
	return (peer_cost){b_per_hour(cpu, calls, seconds),
	                   (b_written_bytes() - written) / calls / seconds * 3600};
}

static void report(const b_file_peer *peer, const peer_cost *c, const b_ours *ours)
{
	char what[160], beside[128], note[160];

	(void)snprintf(what, sizeof what, "cost of a call, %s", ours->what);
	(void)snprintf(beside, sizeof beside, "%s, a file per leg", peer->name);
	(void)snprintf(note, sizeof note,
	               "%s, writes %.1f MB an hour; it neither encrypts nor syncs; median of %d runs",
	               peer->compresses ? "compresses" : "does not compress", c->bytes / 1e6, ROUNDS);
	b_report(&(b_row){.what = what,
	                  .unit = "CPU s per hour of call",
	                  .value = ours->hour,
	                  .beside = beside,
	                  .beside_value = c->hour,
	                  .compared = ours->hour / c->hour,
	                  .how = "value / beside",
	                  .kind = peer->compresses ? B_LESS : B_SHOWN,
	                  .goal = 1,
	                  .note = note});
}

static peer_cost run_peer(const b_file_peer *peer, const b_audio *audio, double seconds)
{
	char folder[B_PATH_ROOM];
	peer_cost c;

	b_path_of(folder, b_disk(), "peer");
	if (mkdir(folder, 0700) != 0)
		b_die("call: %s cannot be made", folder);
	c = run_files(peer, audio, folder, seconds);
	b_remove_tree(folder);
	return c;
}

void b_peer_files(const b_audio *audio, double seconds, const b_ours *ours, size_t n_ours)
{
	static const b_file_peer *const peers[PEERS] = {&b_peer_sndfile, &b_peer_zstd};
	peer_cost cost[PEERS] = {{0, 0}};
	double hours[PEERS][ROUNDS];
	size_t i, k;

	/* In turns, so that a busy moment of the machine does not hit all rounds of one. */
	for (k = 0; k < ROUNDS; k++)
		for (i = 0; i < PEERS; i++)
			if (peers[i]->missing == NULL) {
				cost[i] = run_peer(peers[i], audio, seconds);
				hours[i][k] = cost[i].hour;
			}
	for (i = 0; i < PEERS; i++) {
		if (peers[i]->missing != NULL) {
			b_skipped(peers[i]->name, peers[i]->missing);
			continue;
		}
		cost[i].hour = b_spread_of(hours[i], ROUNDS).p50;
		for (k = 0; k < n_ours; k++)
			report(peers[i], &cost[i], &ours[k]);
	}
}
