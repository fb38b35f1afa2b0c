/* SPDX-License-Identifier: MIT */
/*
 * Erasing: from the request until the library says "verified", for calls of a
 * second to an hour, in one spool. Beside it what a server does that has
 * written the calls into WAV files.
 */
#include "bench.h"
#include "bench_world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTHS = 4, REPEATS = 10, BEAT_MS = 200, BEAT_FRAMES = 10, LEGS = 2, LONGEST_S = 3600 };

static const struct {
	uint32_t seconds;
	const char *name;
} lengths[LENGTHS] = {{1, "1 s"}, {60, "1 min"}, {600, "10 min"}, {LONGEST_S, "1 h"}};

typedef struct erased {
	double wall[LENGTHS][REPEATS], cpu[LENGTHS][REPEATS]; /* us */
	double durable[LENGTHS][REPEATS];                     /* us: what of `wall` is the tombstone */
	uint64_t syncs[LENGTHS];
} erased;

typedef struct recorded {
	rco_session *call[LENGTHS][REPEATS];
	rco_session *neighbour; /* a call that goes on: its audio is in the same segments */
} recorded;

static void open_calls(b_world *w, recorded *r)
{
	char id[64];
	int i, k;

	r->neighbour = b_world_call(w, "neighbour", LEGS);
	for (i = 0; i < LENGTHS; i++)
		for (k = 0; k < REPEATS; k++) {
			(void)snprintf(id, sizeof id, "call-%u-%d", lengths[i].seconds, k);
			r->call[i][k] = b_world_call(w, id, LEGS);
		}
}

/* All calls end at the same time, so that the audio of the short ones lies among that of the long ones. The engine
 * does after each 200 ms what it would do in real time; only the waiting is left out. */
static void record(b_world *w, recorded *r, const uint8_t *sound, size_t size)
{
	uint64_t beat, frame = 0;
	int i, k, f;

	for (beat = 0; beat < (uint64_t)LONGEST_S * 1000 / BEAT_MS; beat++) {
		for (f = 0; f < BEAT_FRAMES; f++, frame++) {
			b_world_push(r->neighbour, LEGS, sound, size, frame);
			for (i = 0; i < LENGTHS; i++)
				for (k = 0;
				     frame >= (uint64_t)(LONGEST_S - lengths[i].seconds) * 50 && k < REPEATS; k++)
					b_world_push(r->call[i][k], LEGS, sound, size, frame + (uint64_t)k * 333);
		}
		b_world_advance(w, BEAT_MS);
	}
	b_world_advance(w, BEAT_MS);
}

static int verified(rco_session *call)
{
	rco_receipt *receipt;
	int is;

	b_check(rco_session_receipt(call, &receipt), "rco_session_receipt");
	is = rco_receipt_status(receipt) == RCO_STATUS_VERIFIED;
	rco_receipt_free(receipt);
	return is;
}

static void erase_one(b_world *w, rco_session *call, double *wall, double *cpu, double *durable)
{
	double begin = b_now_ns(), begin_cpu = b_cpu_ns();
	int runs;

	b_check(rco_opt_out(call, NULL, NULL), "rco_opt_out");
	*durable = (b_now_ns() - begin) / 1000;
	for (runs = 0; !verified(call); runs++) {
		if (runs == 100)
			b_die("an erasure does not come to its end");
		b_check(rco_engine_run(w->engine, 0, 0), "rco_engine_run");
	}
	*wall = (b_now_ns() - begin) / 1000;
	*cpu = (b_cpu_ns() - begin_cpu) / 1000;
}

static void erase_calls(b_world *w, recorded *r, erased *e)
{
	uint64_t syncs;
	int i, k;

	for (k = 0; k < REPEATS; k++)
		for (i = 0; i < LENGTHS; i++) { /* in turns, so that what the disk does hits all */
			syncs = atomic_load(&w->syncs);
			erase_one(w, r->call[i][k], &e->wall[i][k], &e->cpu[i][k], &e->durable[i][k]);
			e->syncs[i] += atomic_load(&w->syncs) - syncs;
		}
}

static uint64_t disk_bytes;

static int add_blocks(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type == FTW_F)
		disk_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

/* MiB that a folder really takes. */
static double disk_mib(const char *path)
{
	disk_bytes = 0;
	if (nftw(path, add_blocks, 16, FTW_PHYS) != 0)
		b_die("cannot look through %s: %s", path, strerror(errno));
	return (double)disk_bytes / (1 << 20);
}

typedef struct tidying {
	double ms, before_mib, after_mib;
} tidying;

/* Calls of all lengths, recorded and erased. Space is given back later, when it suits: that is `t`. */
static void measure(erased *e, tidying *t, const uint8_t *sound, size_t size)
{
	recorded r;
	b_world w;
	int i, k;

	b_world_init(&w, b_disk(), B_WORLD_DRIVEN | B_WORLD_CLOCK, LENGTHS * REPEATS + 1);
	b_world_open(&w);
	open_calls(&w, &r);
	record(&w, &r, sound, size);
	t->before_mib = disk_mib(w.state);
	erase_calls(&w, &r, e);
	t->ms = b_now_ns();
	b_world_advance(&w, 2000); /* time for the engine to keep house */
	t->ms = (b_now_ns() - t->ms) / 1e6;
	t->after_mib = disk_mib(w.state);
	for (i = 0; i < LENGTHS; i++)
		for (k = 0; k < REPEATS; k++)
			b_world_hang_up(r.call[i][k]);
	b_world_hang_up(r.neighbour);
	b_world_end(&w);
}

/* ---- the naive way ---- */

static void write_wav(const char *path, uint64_t bytes, const uint8_t *sound, size_t size)
{
	static const uint8_t header[58];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t at;

	if (fd < 0 || write(fd, header, sizeof header) != (ssize_t)sizeof header)
		b_die("cannot write %s: %s", path, strerror(errno));
	for (at = 0; at < bytes; at += size) {
		size_t n = bytes - at < size ? (size_t)(bytes - at) : size;

		if (write(fd, sound, n) != (ssize_t)n)
			b_die("cannot write %s: %s", path, strerror(errno));
	}
	if (fsync(fd) != 0 || close(fd) != 0)
		b_die("cannot sync %s: %s", path, strerror(errno));
}

/* us to unlink a G.711 WAV file of both legs and to make that durable. */
static double unlink_wav(const char *dir, int dir_fd, uint32_t seconds, const uint8_t *sound, size_t size)
{
	char path[600];
	double begin;

	(void)snprintf(path, sizeof path, "%s/call.wav", dir);
	write_wav(path, (uint64_t)seconds * 8000 * LEGS, sound, size);
	begin = b_now_ns();
	if (unlink(path) != 0 || fsync(dir_fd) != 0)
		b_die("cannot remove %s: %s", path, strerror(errno));
	return (b_now_ns() - begin) / 1000;
}

static void naive(double us[LENGTHS][REPEATS], const uint8_t *sound, size_t size)
{
	const char *dir = b_disk();
	int i, k, fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		b_die("cannot open %s: %s", dir, strerror(errno));
	for (k = 0; k < REPEATS; k++)
		for (i = 0; i < LENGTHS; i++)
			us[i][k] = unlink_wav(dir, fd, lengths[i].seconds, sound, size);
	(void)close(fd);
}

/* ---- the rows ---- */

static void report_ratio(erased *e, const tidying *t)
{
	b_spread second = b_spread_of(e->wall[0], REPEATS), hour = b_spread_of(e->wall[LENGTHS - 1], REPEATS);
	b_spread second_cpu = b_spread_of(e->cpu[0], REPEATS),
		 hour_cpu = b_spread_of(e->cpu[LENGTHS - 1], REPEATS);
	char note[320];

	(void)snprintf(
		note, sizeof note,
		"%d of each, in turns; %.0f us of it are the durable tombstone; %.1f and %.1f syncs an erasure; "
		"the state folder took %.0f MiB on the disk before all erasures and %.0f MiB after the tidying "
		"that "
		"followed, which took %.1f ms; one call in it goes on",
		REPEATS, b_spread_of(e->durable[LENGTHS - 1], REPEATS).p50,
		(double)e->syncs[LENGTHS - 1] / REPEATS, (double)e->syncs[0] / REPEATS, t->before_mib,
		t->after_mib, t->ms);
	b_report(&(b_row){.what = "erase a call of 1 h: request to verified",
	                  .unit = "us",
	                  .value = hour.p50,
	                  .low = hour.p10,
	                  .high = hour.p90,
	                  .beside = "a call of 1 s",
	                  .beside_value = second.p50,
	                  .compared = hour.p50 / second.p50,
	                  .how = "value / beside",
	                  .kind = B_AT_MOST,
	                  .goal = 1.2,
	                  .note = note});
	b_report(&(b_row){.what = "erase a call of 1 h: CPU time of it",
	                  .unit = "us",
	                  .value = hour_cpu.p50,
	                  .low = hour_cpu.p10,
	                  .high = hour_cpu.p90,
	                  .beside = "a call of 1 s",
	                  .beside_value = second_cpu.p50,
	                  .compared = hour_cpu.p50 / second_cpu.p50,
	                  .how = "value / beside"});
}

static void report_curves(erased *e, double us[LENGTHS][REPEATS])
{
	char what[80];
	int i;

	b_axes("erase", "Erasing a call", "seconds of audio", "us");
	for (i = 0; i < LENGTHS; i++) {
		b_spread ours = b_spread_of(e->wall[i], REPEATS), theirs = b_spread_of(us[i], REPEATS);

		(void)snprintf(what, sizeof what, "WAV file of %s: unlink, fsync of the folder", lengths[i].name);
		b_report(&(b_row){.what = what,
		                  .unit = "us",
		                  .value = theirs.p50,
		                  .low = theirs.p10,
		                  .high = theirs.p90,
		                  .beside = "erased and verified here",
		                  .beside_value = ours.p50,
		                  .compared = theirs.p50 / ours.p50,
		                  .how = "value / beside",
		                  .note = i == 0 ? "unlinking leaves the audio readable on the disk" : NULL});
		b_point("erase", "request to verified", lengths[i].seconds, ours.p50);
		b_point("erase", "WAV file: unlink, fsync of the folder", lengths[i].seconds, theirs.p50);
	}
}

void b_erase(void)
{
	static double us[LENGTHS][REPEATS];
	static erased e;
	size_t size;
	uint8_t *sound = b_world_speech(300, &size);
	tidying t;

	measure(&e, &t, sound, size);
	naive(us, sound, size);
	report_ratio(&e, &t);
	report_curves(&e, us);
	free(sound);
}
