/* SPDX-License-Identifier: MIT */
/*
 * What the chunk codec makes of speech, and what that costs. The codec gets
 * chunks as the spool cuts them, each by itself; FLAC, WavPack and zstd get the
 * whole of it in one file, which is to their advantage.
 */
#include "bench.h"

#include "../../lib/media/codec.h"
#include "../../lib/media/predicted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { SECONDS = 120, ROUNDS = 15, FRAME = 160, NAME_MAX_ROOM = 160, PATH_ROOM = 512 };

/* ---- memory of a codec ---- */

static size_t allocated;

static void *counted_alloc(size_t size, void *user_data)
{
	(void)user_data;
	allocated += size;
	return malloc(size);
}

static void *counted_zalloc(size_t count, size_t size, void *user_data)
{
	(void)user_data;
	allocated += count * size;
	return calloc(count, size);
}

static void *counted_resize(void *ptr, size_t size, void *user_data)
{
	(void)user_data;
	allocated += size;
	return realloc(ptr, size);
}

static void counted_release(void *ptr, void *user_data)
{
	(void)user_data;
	free(ptr);
}

static rco__codec *codec_of(rco__env *env)
{
	rco_allocator alloc = {.struct_size = sizeof alloc,
	                       .alloc = counted_alloc,
	                       .zalloc = counted_zalloc,
	                       .resize = counted_resize,
	                       .release = counted_release};
	rco__codec *codec;

	if (rco__env_init(env, &alloc, NULL, NULL, NULL) != RCO_OK || rco__codec_create(env, &codec) != RCO_OK)
		b_die("no codec");
	return codec;
}

/* ---- the codec ---- */

typedef struct job {
	rco__codec *codec;
	uint32_t format;
	const b_sound *sound;
	size_t chunk; /* samples */
	uint8_t *out, *back;
	size_t coded;
} job;

static size_t encode_chunk(job *j, size_t at, size_t *raw, uint8_t *coding)
{
	size_t n = j->sound->count - at < j->chunk ? j->sound->count - at : j->chunk, coded;

	*raw = n * sizeof *j->sound->samples;
	if (rco__codec_encode(j->codec, j->format, j->sound->samples + at, *raw, j->out, rco__codec_bound(*raw),
	                      &coded, coding) != RCO_OK)
		b_die("a chunk was not coded");
	return coded;
}

static void encode_all(void *arg)
{
	job *j = arg;
	uint8_t coding;
	size_t at, raw;

	j->coded = 0;
	for (at = 0; at < j->sound->count; at += j->chunk)
		j->coded += encode_chunk(j, at, &raw, &coding);
	b_use(j->out);
}

/* A figure for something that does not come back would be worth nothing. */
static void decode_all(void *arg)
{
	job *j = arg;
	size_t at, raw, coded;
	uint8_t coding;

	for (at = 0; at < j->sound->count; at += j->chunk) {
		coded = encode_chunk(j, at, &raw, &coding);
		if (rco__codec_decode(j->codec, j->format, coding, j->out, coded, j->back, raw) != RCO_OK ||
		    memcmp(j->back, j->sound->samples + at, raw) != 0)
			b_die("%s does not come back", j->sound->name);
	}
}

/* ---- both ways apart, with the kernels of choice ---- */

typedef struct way {
	rco__predicted *coder;
	uint32_t format;
	const b_sound *sound;
	size_t chunk, chunks; /* whole ones: a last one that is shorter is left out */
	uint8_t *coded;       /* each where its samples would be */
	size_t *size;
	uint8_t *back;
} way;

static const uint8_t *raw_of(const way *w, size_t i)
{
	return (const uint8_t *)(w->sound->samples + i * w->chunk);
}

static uint8_t *coded_of(const way *w, size_t i)
{
	return w->coded + i * w->chunk * sizeof(int16_t);
}

static void encode_way(void *arg)
{
	way *w = arg;
	size_t i, raw = w->chunk * sizeof(int16_t);

	for (i = 0; i < w->chunks; i++)
		w->size[i] = rco__predicted_encode(w->coder, w->format, raw_of(w, i), raw, coded_of(w, i));
	b_use(w->coded);
}

static void decode_chunk(const way *w, size_t i)
{
	/* a chunk of size 0 did not get smaller and is stored: nothing to decode */
	if (w->size[i] > 0 && rco__predicted_decode(w->coder, w->format, coded_of(w, i), w->size[i], w->back,
	                                            w->chunk * sizeof(int16_t)) != NULL)
		b_die("%s does not come back", w->sound->name);
}

static void decode_way(void *arg)
{
	way *w = arg;
	size_t i;

	for (i = 0; i < w->chunks; i++)
		decode_chunk(w, i);
	b_use(w->back);
}

static void check_way(const way *w)
{
	size_t i;

	for (i = 0; i < w->chunks; i++) {
		decode_chunk(w, i);
		if (w->size[i] > 0 && memcmp(w->back, raw_of(w, i), w->chunk * sizeof(int16_t)) != 0)
			b_die("%s comes back as something else", w->sound->name);
	}
}

/* With NULL for kernels: those of this machine. */
static void measure_ways(const job *j, const rco__env *env, const rco__kernels *kernels, b_spread *encode,
                         b_spread *decode)
{
	way w = {.coder = rco__predicted_create(env),
	         .format = j->format,
	         .sound = j->sound,
	         .chunk = j->chunk,
	         .chunks = j->sound->count / j->chunk,
	         .back = j->back};
	double frames = (double)(w.chunks * w.chunk) / FRAME;

	w.coded = malloc(w.chunks * w.chunk * sizeof(int16_t));
	w.size = calloc(w.chunks, sizeof *w.size);
	if (w.coder == NULL || w.coded == NULL || w.size == NULL)
		b_die("no memory");
	if (kernels != NULL)
		rco__predicted_use(w.coder, kernels);
	*encode = b_rounds(ROUNDS, frames, encode_way, &w);
	*decode = b_rounds(ROUNDS, frames, decode_way, &w);
	check_way(&w);
	rco__predicted_free(env, w.coder);
	free(w.coded);
	free(w.size);
}

/* ---- peers ---- */

/* A file's size by a command that makes it of `in`; 0 if the program is missing. */
static double size_by(const char *program, const char *arguments, const char *in, const char *out)
{
	char command[2 * PATH_ROOM];
	struct stat st;

	if (snprintf(command, sizeof command, "command -v %s >/dev/null", program) >= (int)sizeof command ||
	    system(command) != 0)
		return 0;
	if (snprintf(command, sizeof command, "%s %s %s -o %s 2>/dev/null", program, arguments, in, out) >=
	            (int)sizeof command ||
	    system(command) != 0 || stat(out, &st) != 0)
		b_die("%s failed", program);
	(void)unlink(out);
	return (double)st.st_size;
}

static double size_by_zstd(const b_sound *s, int level)
{
	size_t bytes = s->count * sizeof *s->samples, cap = ZSTD_compressBound(bytes), n;
	void *out = malloc(cap);

	n = out != NULL ? ZSTD_compress(out, cap, s->samples, bytes, level) : 0;
	free(out);
	if (n == 0 || ZSTD_isError(n))
		b_die("zstd failed");
	return (double)n;
}

/* What this codec could have been instead: differences of neighbours (in G.711's codes, or of samples, low bytes
 * and high bytes apart), and zstd at level 1 for the rest. */
static size_t split_chunk(const b_sound *s, size_t at, size_t n, rco__line line, uint8_t *to)
{
	int32_t before = 0, now, e;
	size_t i;

	for (i = 0; i < n; i++, before = now) {
		now = s->samples[at + i];
		if (line != RCO__LINE_LINEAR)
			now = rco__g711_place(line, rco__g711_magnitude(line, now), now < 0);
		e = now - before;
		e = e < 0 ? -2 * e - 1 : 2 * e;
		to[i] = (uint8_t)e;
		to[n + i] = (uint8_t)(e >> 8);
	}
	return line == RCO__LINE_LINEAR ? 2 * n : n;
}

static double size_by_split(const b_sound *s, size_t chunk, rco__line line)
{
	size_t cap = ZSTD_compressBound(2 * chunk), at, n, coded;
	uint8_t *split = malloc(2 * chunk), *out = malloc(cap);
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	double sum = 0;

	if (split == NULL || out == NULL || cctx == NULL)
		b_die("no memory");
	for (at = 0; at < s->count; at += chunk) {
		n = s->count - at < chunk ? s->count - at : chunk;
		coded = ZSTD_compressCCtx(cctx, out, cap, split, split_chunk(s, at, n, line, split), 1);
		if (ZSTD_isError(coded))
			b_die("zstd failed");
		sum += (double)(coded < 2 * n ? coded : 2 * n);
	}
	(void)ZSTD_freeCCtx(cctx);
	free(split);
	free(out);
	return sum;
}

typedef struct split_job {
	const b_sound *sound;
	size_t chunk;
	rco__line line;
	double size;
} split_job;

static void split_all(void *arg)
{
	split_job *j = arg;

	j->size = size_by_split(j->sound, j->chunk, j->line);
}

static void write_raw(const b_sound *s, const char *path)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(s->samples, sizeof *s->samples, s->count, f) != s->count || fclose(f) != 0)
		b_die("%s cannot be written", path);
}

typedef struct peer {
	const char *name;
	double ratio; /* 0: missing */
} peer;

enum { FLAC, WAVPACK, ZSTD_1, ZSTD_19, PEERS };

/* The samples are little-endian here, as is every machine that this runs on in earnest. */
static void measure_peers(const b_sound *s, peer peers[PEERS])
{
	static const char *const names[PEERS] = {"FLAC -8", "WavPack -hh", "zstd -1", "zstd -19"};
	char in[PATH_ROOM], out[PATH_ROOM], arguments[NAME_MAX_ROOM];
	double bytes = (double)(s->count * sizeof *s->samples), size[PEERS];
	int i;

	if (snprintf(in, sizeof in, "%s/speech.raw", b_disk()) >= (int)sizeof in ||
	    snprintf(out, sizeof out, "%s/speech.out", b_disk()) >= (int)sizeof out)
		b_die("a path is too long");
	write_raw(s, in);
	(void)snprintf(arguments, sizeof arguments,
	               "-8 -s -f --force-raw-format --endian=little --sign=signed --channels=1 --bps=16 "
	               "--sample-rate=%u",
	               (unsigned)s->rate_hz);
	size[FLAC] = size_by("flac", arguments, in, out);
	(void)snprintf(arguments, sizeof arguments, "-q -y -hh --raw-pcm=%u,16,1,le", (unsigned)s->rate_hz);
	size[WAVPACK] = size_by("wavpack", arguments, in, out);
	(void)unlink(in);
	size[ZSTD_1] = size_by_zstd(s, 1);
	size[ZSTD_19] = size_by_zstd(s, 19);
	for (i = 0; i < PEERS; i++)
		peers[i] = (peer){names[i], size[i] > 0 ? bytes / size[i] : 0};
}

/* ---- rows ---- */

static void report_ratio(const b_sound *s, const char *span, double ratio, const peer *beside, double least)
{
	char what[NAME_MAX_ROOM];

	(void)snprintf(what, sizeof what, "%s, chunks of %s", s->name, span);
	b_report(&(b_row){.what = what,
	                  .unit = "x",
	                  .value = ratio,
	                  .beside = beside != NULL ? beside->name : NULL,
	                  .beside_value = beside != NULL ? beside->ratio : 0,
	                  .compared = beside != NULL ? ratio / beside->ratio : ratio,
	                  .how = beside != NULL ? "value / beside" : "value",
	                  .kind = beside != NULL || least > 0 ? B_AT_LEAST : B_SHOWN,
	                  .goal = beside != NULL ? 1 : least});
}

static void report_time(const b_sound *s, const char *span, const char *doing, b_spread t, double goal,
                        double instead_us)
{
	char what[NAME_MAX_ROOM];

	(void)snprintf(what, sizeof what, "%s 160 samples of %s, chunks of %s", doing, s->name, span);
	b_report(&(b_row){.what = what,
	                  .unit = "us",
	                  .value = t.p50 / 1e3,
	                  .low = t.p10 / 1e3,
	                  .high = t.p90 / 1e3,
	                  .beside = instead_us > 0 ? "differences, split, zstd -1" : NULL,
	                  .beside_value = instead_us,
	                  .compared = t.p50 / 1e3,
	                  .how = "value",
	                  .kind = goal > 0 ? B_AT_MOST : B_SHOWN,
	                  .goal = goal});
}

static void report_ways(const job *j, const rco__env *env, const char *span)
{
	b_spread encode, decode;

	measure_ways(j, env, NULL, &encode, &decode);
	report_time(j->sound, span, "decode", decode, 0, 0);
	measure_ways(j, env, &rco__kernels_plain, &encode, &decode);
	report_time(j->sound, span, "code in plain C", encode, 0, 0);
	report_time(j->sound, span, "decode in plain C", decode, 0, 0);
}

static void measure_chunks(job *j, const rco__env *env, const char *span, const peer peers[PEERS], double least,
                           rco__line line)
{
	const b_sound *s = j->sound;
	double frames = (double)s->count / FRAME, bytes = (double)(s->count * sizeof *s->samples), ratio;
	b_spread t = b_rounds(ROUNDS, frames, encode_all, j), split_t;
	split_job split = {s, j->chunk, line, 0};
	peer instead = {.name = "differences, split, zstd -1"};
	int i;

	split_t = b_rounds(ROUNDS, frames, split_all, &split);
	instead.ratio = bytes / split.size;

	ratio = bytes / (double)j->coded;
	report_ratio(s, span, ratio, NULL, least);
	for (i = 0; i < PEERS; i++)
		if (peers[i].ratio > 0)
			report_ratio(s, span, ratio, &peers[i], 0);
		else
			b_skipped(peers[i].name, "not installed");
	report_ratio(s, span, ratio, &instead, 0);
	report_time(s, span, "code", t, 0.6, split_t.p50 / 1e3);
	report_time(s, span, "code and decode", b_rounds(3, frames, decode_all, j), 0, 0);
	report_ways(j, env, span);
}

static void measure_sound(const char *kind, uint32_t format, double least, rco__line line)
{
	b_sound sound = b_sound_get(kind, SECONDS);
	rco__env env;
	job j = {.codec = codec_of(&env), .format = format, .sound = &sound};
	peer peers[PEERS];

	j.out = malloc(RCO__CHUNK_MAX);
	j.back = malloc(RCO__CHUNK_MAX);
	if (j.out == NULL || j.back == NULL)
		b_die("no memory");
	measure_peers(&sound, peers);
	j.chunk = sound.rate_hz / 5;
	measure_chunks(&j, &env, "200 ms", peers, least, line);
	j.chunk = sound.rate_hz;
	measure_chunks(&j, &env, "1 s", peers, least, line);
	rco__codec_free(j.codec);
	free(j.out);
	free(j.back);
	b_sound_free(&sound);
}

/* A chunk of the largest size, so that nothing is left that could still grow. */
static void measure_memory(void)
{
	uint8_t *raw = calloc(1, RCO__CHUNK_MAX), *out = malloc(RCO__CHUNK_MAX), coding;
	rco__codec *codec;
	rco__env env;
	size_t n;

	if (raw == NULL || out == NULL)
		b_die("no memory");
	raw[9] = 9;
	allocated = 0;
	codec = codec_of(&env);
	if (rco__codec_encode(codec, RCO_FORMAT_S16_48K, raw, RCO__CHUNK_MAX, out, RCO__CHUNK_MAX, &n, &coding) !=
	    RCO_OK)
		b_die("a chunk was not coded");
	b_report(&(b_row){.what = "memory of a worker's codec",
	                  .unit = "KiB",
	                  .value = (double)allocated / 1024,
	                  .compared = (double)allocated / 1024,
	                  .how = "value",
	                  .kind = B_AT_MOST,
	                  .goal = 256});
	rco__codec_free(codec);
	free(raw);
	free(out);
}

void b_codec(void)
{
	measure_sound("g711", RCO_FORMAT_S16_8K, 2.6, RCO__LINE_MU_CLOSED);
	measure_sound("leg", RCO_FORMAT_S16_8K, 2.6, RCO__LINE_MU_CLOSED);
	measure_sound("pcm16k", RCO_FORMAT_S16_16K, 1.6, RCO__LINE_LINEAR);
	measure_sound("pcm8k", RCO_FORMAT_S16_8K, 0, RCO__LINE_LINEAR);
	measure_memory();
}
