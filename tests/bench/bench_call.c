/* SPDX-License-Identifier: MIT */
/*
 * What a two-leg call at 8 kHz costs in CPU, everything in it: pushing each
 * frame, encrypting, writing, syncing. The engine is host-driven and
 * its clock is ours, so that a beat of 200 ms takes as long as its work takes
 * and the CPU time of the process is the whole cost. Beside it what others
 * write a recording with: the same audio, in the same order, as many legs at once.
 */
#include "../../lib/session/calls.h"
#include "bench.h"
#include "bench_world.h"
#include "peer.h"

#include <recoptout.h>
#include <recoptout/storage.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	FRAME_MS = 20,
	BEAT_MS = 200,     /* the default of flush_interval_ms */
	STRETCH_MS = 2000, /* of beats that are one figure of the spread */
	STRETCHES = 10,
	MEASURED_S = STRETCHES * STRETCH_MS / 1000,
	WARM_MS = STRETCH_MS,
	FEW = 500, /* calls at once */
	MANY = 2000
};

typedef struct variant {
	const char *name; /* "PCMU" */
	uint32_t format;
	double goal; /* calls a core */
} variant;

typedef struct call {
	rco_session *session;
	uint32_t leg[2];
	size_t at[2]; /* the frame that comes next: every leg is somewhere else in the sound */
} call;

typedef struct bed {
	rco_engine *engine;
	call *calls;
	size_t n;
	const b_audio *sound;
	uint32_t format, beat_ms;
	int64_t now_us;
	double begin_ns; /* CPU time for all calls */
	char state[B_PATH_ROOM], output[B_PATH_ROOM];
} bed;

/* CPU time of one run, per part: nanoseconds while it is summed up, then seconds per hour of call. */
typedef struct cost {
	double push, engine, generator;
	b_spread hour; /* of the stretches: the same of all parts */
	double bytes;  /* handed to write() */
} cost;

/* ---- audio ---- */

/* ITU-T G.711: the code's magnitude is (16-bit magnitude + 132), of which five bits after the leading one stay. */
static uint8_t to_ulaw(int16_t sample)
{
	int magnitude = sample < 0 ? -(int)sample : sample, segment = 7;

	magnitude = (magnitude > 32635 ? 32635 : magnitude) + 132;
	while (segment > 0 && magnitude < 132 << segment)
		segment--;
	return (uint8_t) ~((sample < 0 ? 0x80 : 0) | segment << 4 | ((magnitude >> (segment + 3)) & 15));
}

static b_audio audio_make(const b_sound *sound, uint32_t format)
{
	size_t i, width = rco_format_sample_bytes(format);
	b_audio a = {.frame_bytes = B_FRAME_SAMPLES * width, .frames = sound->count / B_FRAME_SAMPLES};

	a.data = malloc(a.frames * a.frame_bytes);
	if (a.data == NULL || a.frames == 0)
		b_die("call: no memory, or no audio");
	if (width == 2)
		memcpy(a.data, sound->samples, a.frames * a.frame_bytes);
	else
		for (i = 0; i < a.frames * B_FRAME_SAMPLES; i++)
			a.data[i] = to_ulaw(sound->samples[i]);
	return a;
}

/* ---- the engine ---- */

static int64_t clock_us(void *user_data)
{
	return ((const bed *)user_data)->now_us;
}

static void run_engine(bed *b)
{
	uint32_t wait_ms = 0;
	int32_t fd;

	do {
		b_check(rco_engine_run(b->engine, 0, 0), "rco_engine_run");
		b_check(rco_engine_poll(b->engine, &fd, &wait_ms), "rco_engine_poll");
	} while (wait_ms == 0);
}

static void begin_call(bed *b, size_t i)
{
	rco_session_options options = {.struct_size = sizeof options};
	call *c = &b->calls[i];
	char id[32];

	(void)snprintf(id, sizeof id, "call-%zu", i);
	options.call_id = id;
	b_check(rco_session_create(b->engine, &options, &c->session), "rco_session_create");
	b_check(rco_session_add_leg(c->session, "caller", b->format, &c->leg[0]), "rco_session_add_leg");
	b_check(rco_session_add_leg(c->session, "agent", b->format, &c->leg[1]), "rco_session_add_leg");
	b_check(rco_session_start(c->session), "rco_session_start");
	c->at[0] = b_audio_offset(b->sound, 2 * i, 2 * b->n);
	c->at[1] = b_audio_offset(b->sound, 2 * i + 1, 2 * b->n);
}

static void bed_open(bed *b, const b_audio *sound, uint32_t format, size_t calls, uint32_t beat_ms,
                     const rco__fs *fs)
{
	rco_clock clock = {
		.struct_size = sizeof clock, .wall_us = clock_us, .monotonic_us = clock_us, .user_data = b};
	rco_engine_config config = {.struct_size = sizeof config, .flags = RCO_ENGINE_HOST_DRIVEN};
	size_t i;

	*b = (bed){.n = calls, .sound = sound, .format = format, .beat_ms = beat_ms, .now_us = 1000000000000000};
	b_path_of(b->state, b_disk(), "state");
	b_path_of(b->output, b_disk(), "recordings");
	config.ring_pool_bytes = (uint64_t)calls * 2 * B_FRAME_SAMPLES * 2 * 50 * 4;
	config.opt_out_enabled = 1;
	config.flush_interval_ms = beat_ms;
	config.late_opt_out_ms = RCO_NONE_MS;
	config.state_dir = b->state;
	config.output_dir = b->output;
	config.clock = &clock;
	/* Not by the public door only because of the writes, which are timed once. */
	b_check(rco__engine_create(&config, fs, &b->engine), "rco_engine_create");
	b->calls = calloc(calls, sizeof *b->calls);
	if (b->calls == NULL)
		b_die("call: no memory");
	b->begin_ns = b_cpu_ns();
	for (i = 0; i < calls; i++)
		begin_call(b, i);
	run_engine(b);
	b->begin_ns = b_cpu_ns() - b->begin_ns;
}

static void bed_close(bed *b)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		rco_session_free(b->calls[i].session);
	rco_engine_free(b->engine);
	free(b->calls);
	b_remove_tree(b->state);
	b_remove_tree(b->output);
}

/* A beat's frames for each leg, in the order in which a server sends them: every call's first, every call's
 * second. */
static void push_beat(bed *b)
{
	size_t tick, i, leg;

	for (tick = 0; tick < b->beat_ms / FRAME_MS; tick++)
		for (i = 0; i < b->n; i++)
			for (leg = 0; leg < 2; leg++) {
				call *c = &b->calls[i];
				const uint8_t *frame = b_audio_next(b->sound, &c->at[leg]);
				int rc = rco_session_push(c->session, c->leg[leg], b->format, frame,
				                          b->sound->frame_bytes);

				if (rc != RCO_OK)
					b_check(rc, "rco_session_push");
			}
}

/* The same without the push. */
static double generator_ns(bed *b, uint32_t beats)
{
	double from = b_cpu_ns();
	size_t tick, i, leg;

	for (; beats > 0; beats--)
		for (tick = 0; tick < b->beat_ms / FRAME_MS; tick++)
			for (i = 0; i < b->n; i++)
				for (leg = 0; leg < 2; leg++)
					b_use(b_audio_next(b->sound, &b->calls[i].at[leg]));
	return b_cpu_ns() - from;
}

/* CPU time of all threads: whatever works for the engine counts. */
static void beat(bed *b, cost *c)
{
	double from = b_cpu_ns(), pushed;

	push_beat(b);
	pushed = b_cpu_ns();
	b->now_us += b->beat_ms * 1000;
	run_engine(b);
	c->push += pushed - from;
	c->engine += b_cpu_ns() - pushed;
}

static cost measure(bed *b)
{
	uint32_t beats = STRETCH_MS / b->beat_ms, k;
	double all[STRETCHES], written, calls = (double)b->n;
	cost c = {0}, warm = {0};
	int i;

	for (k = 0; k < WARM_MS / b->beat_ms; k++) /* recordings are opened with their first audio, caches fill */
		beat(b, &warm);
	c.generator = generator_ns(b, beats);
	written = b_written_bytes();
	for (i = 0; i < STRETCHES; i++) {
		double before = c.push + c.engine;

		for (k = 0; k < beats; k++)
			beat(b, &c);
		all[i] = b_per_hour(c.push + c.engine - before - c.generator, calls, STRETCH_MS / 1000.0);
	}
	c.bytes = (b_written_bytes() - written) / calls / MEASURED_S * 3600;
	c.generator *= STRETCHES;
	c.push = b_per_hour(c.push - c.generator, calls, MEASURED_S);
	c.engine = b_per_hour(c.engine, calls, MEASURED_S);
	c.generator = b_per_hour(c.generator, calls, MEASURED_S);
	c.hour = b_spread_of(all, STRETCHES);
	return c;
}

/* ---- the parts ---- */

/* The file system, with the CPU time of its writes and syncs taken. */
typedef struct probe {
	rco__fs fs;
	double write, sync;
	size_t writes, syncs;
} probe;

static int probe_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	const rco__fs *real = rco__fs_posix();
	probe *p = ctx;
	double from = b_thread_ns();
	int rc = real->write(real->ctx, fd, buf, size, offset);

	p->write += b_thread_ns() - from;
	p->writes++;
	return rc;
}

static int probe_sync(void *ctx, int fd)
{
	const rco__fs *real = rco__fs_posix();
	probe *p = ctx;
	double from = b_thread_ns();
	int rc = real->sync(real->ctx, fd);

	p->sync += b_thread_ns() - from;
	p->syncs++;
	return rc;
}

/* The table's other functions take its ctx; those of the real one need none. */
static void probe_begin(probe *p)
{
	memset(p, 0, sizeof *p);
	p->fs = *rco__fs_posix();
	p->fs.ctx = p;
	p->fs.write = probe_write;
	p->fs.sync = probe_sync;
}

/* What asking for the thread's CPU time costs by itself. */
static double clock_ns(void)
{
	enum { TIMES = 10000 };
	double from = b_thread_ns();
	int i;

	for (i = 0; i < TIMES; i++)
		(void)b_thread_ns();
	return (b_thread_ns() - from) / TIMES;
}

static void part(const char *what, double value, const char *note)
{
	b_report(&(b_row){.what = what, .unit = "CPU s per hour of call", .value = value, .note = note});
}

static void report_parts(const b_audio *sound, size_t calls)
{
	/* The warm-up is in the probe's sums too. */
	double asked = clock_ns(), seconds = MEASURED_S + WARM_MS / 1000.0, write, sync;
	double writes;
	probe p;
	cost c;
	bed b;

	probe_begin(&p);
	bed_open(&b, sound, RCO_FORMAT_PCMU_8K, calls, BEAT_MS, &p.fs);
	c = measure(&b);
	writes = (double)p.writes;
	write = b_per_hour(p.write - asked * writes, (double)calls, seconds);
	sync = b_per_hour(p.sync, (double)calls, seconds);
	bed_close(&b);
	part("of a PCMU call: push", c.push, "the generator's share is measured alone and taken off");
	part("of a PCMU call: write", write,
	     "the file system's part, timed around each write in a run of its own");
	part("of a PCMU call: sync", sync, "CPU time only; waiting for the disk is not CPU time");
	part("of a PCMU call: seal, index, steps",
	     c.engine - write - sync - b_per_hour(2 * asked * writes, (double)calls, seconds),
	     "encryption, and what there is of rings, timers and the journal of calls");
	b_report(&(b_row){.what = "writes of a second of a PCMU call, 500 at once",
	                  .unit = "writes",
	                  .value = writes / (double)calls / seconds,
	                  .note = "with those that open the calls; a beat of 200 ms has two chunks of it"});
}

/* ---- begin and end ---- */

/* Cheap is what does nothing: every frame of every leg has to be in its file. */
static void check_stored(const bed *b)
{
	off_t least = (off_t)((WARM_MS / FRAME_MS + STRETCHES * (STRETCH_MS / FRAME_MS)) * b->sound->frame_bytes);
	DIR *folder = opendir(b->output);
	struct dirent *e;
	size_t legs = 0;

	while (folder != NULL && (e = readdir(folder)) != NULL) {
		struct stat st;

		if (strstr(e->d_name, ".wav") == NULL)
			continue;
		if (fstatat(dirfd(folder), e->d_name, &st, 0) != 0 || st.st_size <= least)
			b_die("call: %s does not hold what was pushed", e->d_name);
		legs++;
	}
	if (folder != NULL)
		(void)closedir(folder);
	if (legs != 2 * b->n)
		b_die("call: %zu files of %zu legs", legs, 2 * b->n);
}

static void report_ends(bed *b)
{
	double from, calls = (double)b->n;
	rco_engine_stats stats = {.struct_size = sizeof stats};
	size_t i;

	b_report(&(b_row){.what = "begin a call: session, two legs, start",
	                  .unit = "CPU us",
	                  .value = b->begin_ns / calls / 1000});
	from = b_cpu_ns();
	for (i = 0; i < b->n; i++)
		b_check(rco_session_end(b->calls[i].session), "rco_session_end");
	for (i = 0; i < 100; i++) {
		b->now_us += b->beat_ms * 1000;
		run_engine(b);
		b_check(rco_engine_get_stats(b->engine, &stats), "rco_engine_get_stats");
		if (stats.uploads_pending == 0)
			break;
	}
	if (stats.uploads_pending != 0)
		b_die("call: %llu calls are not stored", (unsigned long long)stats.uploads_pending);
	check_stored(b);
	b_report(&(b_row){.what = "end a call of 22 s: seal, read back, WAV files, call record",
	                  .unit = "CPU us",
	                  .value = (b_cpu_ns() - from) / calls / 1000,
	                  .note = "into a folder on the same disk, with the file system's part of it; not in the "
	                          "figures above"});
}

/* ---- the engine's rows ---- */

static cost run_engine_variant(const variant *v, const b_audio *sound, size_t calls, uint32_t beat_ms, int ends)
{
	rco_engine_stats stats = {.struct_size = sizeof stats};
	bed b;
	cost c;

	bed_open(&b, sound, v->format, calls, beat_ms, NULL);
	c = measure(&b);
	b_check(rco_engine_get_stats(b.engine, &stats), "rco_engine_get_stats");
	if (stats.frames_overflowed != 0 || stats.sessions_recording != calls)
		b_die("call: %llu frames were refused", (unsigned long long)stats.frames_overflowed);
	if (ends)
		report_ends(&b);
	bed_close(&b);
	return c;
}

static void report_capacity(const variant *v, size_t calls, const cost *c)
{
	char what[128], note[160];

	(void)snprintf(what, sizeof what, "calls of two %s legs that a core carries, %zu at once", v->name, calls);
	(void)snprintf(note, sizeof note,
	               "%.3f CPU s per hour of call in the mean; the generator's %.3f is taken off",
	               c->push + c->engine, c->generator);
	b_report(&(b_row){.what = what,
	                  .unit = "calls",
	                  .value = 3600 / c->hour.p50,
	                  .low = 3600 / c->hour.p90,
	                  .high = 3600 / c->hour.p10,
	                  .compared = 3600 / c->hour.p50,
	                  .how = "value",
	                  .kind = B_AT_LEAST,
	                  .goal = v->goal,
	                  .note = note});
	(void)snprintf(what, sizeof what, "written per hour of call, two %s legs", v->name);
	b_report(&(b_row){.what = what, .unit = "MB", .value = c->bytes / 1e6});
}

/* The price of losing at most 200 ms to a power cut: longer beats make larger chunks, and fewer. */
static void report_beats(const variant *v, const b_audio *sound, double hour_200)
{
	static const uint32_t beats_ms[] = {100, 400, 1000};
	size_t i;

	b_axes("call", "What a two-leg PCMU call costs, by how much a power cut may cost", "flush interval, ms",
	       "CPU s per hour of call");
	b_point("call", "librecoptout", BEAT_MS, hour_200);
	for (i = 0; i < sizeof beats_ms / sizeof *beats_ms; i++) {
		cost c = run_engine_variant(v, sound, FEW, beats_ms[i], 0);
		char what[128];

		(void)snprintf(what, sizeof what, "the same %s calls with a flush interval of %u ms", v->name,
		               beats_ms[i]);
		b_report(&(b_row){.what = what,
		                  .unit = "CPU s per hour of call",
		                  .value = c.hour.p50,
		                  .low = c.hour.p10,
		                  .high = c.hour.p90,
		                  .beside = "with the default, 200 ms",
		                  .beside_value = hour_200,
		                  .compared = c.hour.p50 / hour_200,
		                  .how = "value / beside"});
		b_point("call", "librecoptout", beats_ms[i], c.hour.p50);
	}
}

/* ---- the group ---- */

static double variant_rows(const variant *v, const b_audio *sound, int ends)
{
	cost c = run_engine_variant(v, sound, FEW, BEAT_MS, ends);

	report_capacity(v, FEW, &c);
	return c.hour.p50;
}

/* Four times as many calls: what the caches no longer hold. */
static void many_rows(const variant *v, const b_audio *sound)
{
	cost c = run_engine_variant(v, sound, MANY, BEAT_MS, 0);

	report_capacity(v, MANY, &c);
}

void b_call(void)
{
	static const variant pcmu = {"PCMU", RCO_FORMAT_PCMU_8K, 20000};
	static const variant from_line = {"L16/8k (from a telephone line)", RCO_FORMAT_S16_8K, 20000};
	static const variant true_pcm = {"L16/8k (true 16 bit)", RCO_FORMAT_S16_8K, 14000};
	b_sound leg = b_sound_get("leg", 600), pcm = b_sound_get("pcm8k", 600);
	b_audio ulaw = audio_make(&leg, pcmu.format), line = audio_make(&leg, from_line.format),
		wide = audio_make(&pcm, true_pcm.format);
	b_ours telephone[2] = {{"PCMU (peers: the same as 16 bit)", 0}, {from_line.name, 0}};
	b_ours studio = {true_pcm.name, 0};

	telephone[0].hour = variant_rows(&pcmu, &ulaw, 1);
	many_rows(&pcmu, &ulaw);
	report_parts(&ulaw, FEW);
	report_beats(&pcmu, &ulaw, telephone[0].hour);
	telephone[1].hour = variant_rows(&from_line, &line, 0);
	studio.hour = variant_rows(&true_pcm, &wide, 0);
	b_peer_files(&line, MEASURED_S, telephone, 2);
	b_peer_files(&wide, MEASURED_S, &studio, 1);
	b_peer_rtpengine(&ulaw, telephone[0].hour);
	b_peer_janus(&ulaw, telephone[0].hour);
	free(ulaw.data);
	free(line.data);
	free(wide.data);
	b_sound_free(&leg);
	b_sound_free(&pcm);
}
