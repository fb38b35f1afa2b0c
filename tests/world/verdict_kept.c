/* SPDX-License-Identifier: MIT */
/* Finished files, and whether they hold every frame that was promised to be kept. */
#include "verdict_internal.h"

#include "../../lib/base/bytes.h"
#include "../support.h"
#include "../support_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

enum { PLAIN_MAX = 4 * 2 * W_FRAMES * W_FRAME_MAX + 4096 }; /* with their gaps */

static const char *const labels[] = {"caller", "agent"};

static uint8_t *unpack(w_verdict *v, const char *key, const uint8_t *data, size_t *size)
{
	uint8_t *out = malloc(PLAIN_MAX);
	size_t n, length = strlen(key);

	if (out == NULL)
		abort();
	if (length < 4 || strcmp(key + length - 4, ".zst") != 0) {
		if (*size > PLAIN_MAX)
			abort();
		memcpy(out, data, *size);
		return out;
	}
	n = ZSTD_decompress(out, PLAIN_MAX, data, *size);
	if (ZSTD_isError(n)) {
		w_fault_found(v, "P5: %s cannot be unpacked", key);
		free(out);
		return NULL;
	}
	*size = n;
	return out;
}

uint8_t *w_load(w_world *world, w_verdict *v, const char *key, size_t *size)
{
	char path[200];
	const uint8_t *data;

	(void)snprintf(path, sizeof path, "/out/%s", key);
	data = world->setup.flags & W_DIRECTORY ? w_disk_file(world->disk, path, size)
	                                        : w_store_get(world->store, key, size);
	return data != NULL ? unpack(v, key, data, size) : NULL;
}

struct counting {
	const char *prefix, *suffix;
	w_store_seen *seen;
};

static void count_file(const char *path, const uint8_t *data, size_t size, void *user_data)
{
	struct counting *c = user_data;
	const char *name = path + 5;
	size_t n;

	(void)data;
	(void)size;
	if (strncmp(path, "/out/", 5) != 0 || strncmp(name, c->prefix, strlen(c->prefix)) != 0)
		return;
	n = strlen(name);
	if (n >= strlen(c->suffix) && strcmp(name + n - strlen(c->suffix), c->suffix) == 0)
		c->seen->versions++;
	else if (strstr(name, c->suffix) != NULL) /* NAME.tmp */
		c->seen->uploads++;
}

void w_count(w_world *world, const char *prefix, const char *suffix, w_store_seen *seen)
{
	struct counting c = {prefix, suffix, seen};

	if (world->setup.flags & W_DIRECTORY) {
		memset(seen, 0, sizeof *seen);
		w_disk_each(world->disk, count_file, &c);
	} else {
		*seen = w_store_look(world->store, prefix, suffix);
	}
}

/* ---- frames ---- */

/* How many frames of the leg are there from the beginning on; *rest: the first byte that is of none. */
static uint32_t count_frames(uint32_t call, uint32_t leg, uint32_t format, const uint8_t *samples, size_t size,
                             size_t *rest)
{
	uint8_t want[W_FRAME_MAX];
	size_t frame = w_frame_size(format), at = 0, gap = 0;
	uint32_t n = 0;

	for (;;) {
		gap = t_gap_at(w_gaps(call, leg), n, frame, format, samples, size, at);
		w_frame(call, leg, n, format, want);
		if (size - at - gap < frame || memcmp(samples + at + gap, want, frame) != 0)
			break;
		at += gap + frame;
		n++;
	}
	*rest = at + gap == size ? size : at; /* a power cut may have taken what was behind a last gap */
	return n;
}

static uint32_t least(const w_world *world, const w_leg_note *l)
{
	return world->notes.power ? l->durable : l->accepted;
}

static uint32_t most(const w_world *world, const w_leg_note *l)
{
	return world->is_image && l->accepted_most > l->accepted ? l->accepted_most : l->accepted;
}

static void check_frames(w_world *world, w_verdict *v, uint32_t call, uint32_t leg, uint32_t found, size_t wrong)
{
	const w_leg_note *l = &world->notes.call[call].leg[leg];

	v->frames += found;
	if (found < least(world, l) || found > most(world, l) || wrong > 0)
		w_fault_found(
			v,
			"P5: call-%u leg %u: %u frames are stored, it should be %u to %u; %zu bytes after them "
			"are wrong",
			call, leg, found, least(world, l), most(world, l), wrong);
}

/* ---- files ---- */

static void name_file(const w_world *world, uint32_t call, const char *what, char out[80])
{
	char id[RCO_ID_TEXT + 1];

	rco__uuid_text(world->notes.call[call].recording_id, id);
	(void)snprintf(out, 80, "%s.%s.wav%s", id, what, world->setup.flags & W_ZST ? ".zst" : "");
}

static void check_once(w_world *world, w_verdict *v, const char *key)
{
	w_store_seen seen;

	w_count(world, key, "", &seen);
	if (seen.versions != 1 || seen.markers > 0)
		w_fault_found(v, "P5: %zu versions (%zu of other bytes) and %zu markers of %s", seen.versions,
		              seen.different, seen.markers, key);
}

/* The samples of one side of a stereo file. */
static uint8_t *side_of(const uint8_t *samples, size_t size, size_t width, size_t side, size_t *out_size)
{
	size_t frames = size / (2 * width), i;
	uint8_t *out = malloc(frames * width + 1);

	if (out == NULL)
		abort();
	for (i = 0; i < frames; i++)
		memcpy(out + i * width, samples + (2 * i + side) * width, width);
	*out_size = frames * width;
	return out;
}

static size_t not_silent(const uint8_t *at, size_t size, uint32_t format)
{
	uint8_t silence = format == RCO_FORMAT_PCMU_8K ? 0xff : 0;
	size_t i, n = 0;

	for (i = 0; i < size; i++)
		n += at[i] != silence;
	return n;
}

static int check_stereo(w_world *world, w_verdict *v, uint32_t call)
{
	char key[80];
	size_t size, bytes = 0, rest, one;
	const uint8_t *samples;
	uint8_t *file;
	uint32_t leg;

	name_file(world, call, "stereo", key);
	file = w_load(world, v, key, &size);
	if (file == NULL)
		return 0;
	check_once(world, v, key);
	samples = t_wav_samples(file, size, &bytes);
	for (leg = 0; samples != NULL && leg < W_LEGS; leg++) {
		uint32_t format = world->notes.call[call].leg[leg].format, found;
		uint8_t *side = side_of(samples, bytes, rco_format_sample_bytes(format), leg, &one);

		found = count_frames(call, leg, format, side, one, &rest);
		check_frames(world, v, call, leg, found, not_silent(side + rest, one - rest, format));
		free(side);
	}
	if (samples == NULL)
		w_fault_found(v, "P5: %s is not a WAV file", key);
	free(file);
	return 1;
}

static int check_leg(w_world *world, w_verdict *v, uint32_t call, uint32_t leg)
{
	const w_leg_note *l = &world->notes.call[call].leg[leg];
	size_t size, bytes = 0, rest;
	const uint8_t *samples;
	uint8_t *file;
	char key[80];

	name_file(world, call, labels[leg], key);
	file = w_load(world, v, key, &size);
	if (file == NULL && world->notes.power) {
		/* The journal that has the labels is written, and not synced, before the upload. */
		name_file(world, call, leg == 0 ? "leg0" : "leg1", key);
		file = w_load(world, v, key, &size);
	}
	if (file == NULL) {
		check_frames(world, v, call, leg, 0, 0);
		return 0;
	}
	check_once(world, v, key);
	samples = t_wav_samples(file, size, &bytes);
	if (samples == NULL) {
		w_fault_found(v, "P5: %s is not a WAV file", key);
	} else {
		uint32_t found = count_frames(call, leg, l->format, samples, bytes, &rest);

		check_frames(world, v, call, leg, found, bytes - rest);
	}
	free(file);
	return 1;
}

void w_check_kept(w_world *world, w_verdict *v, uint32_t call)
{
	const w_call_note *n = &world->notes.call[call];
	char id[RCO_ID_TEXT + 1], key[40];
	uint32_t leg, i, files = 0;
	w_store_seen seen;
	size_t size;

	if (!n->known || (!n->ended && !world->is_image))
		return;
	v->kept++;
	rco__uuid_text(n->recording_id, id);
	seen = w_store_look(world->store, id, "");
	if (seen.hollow > 0)
		w_fault_found(v, "P5: call-%u was kept, and lost: its upload was aborted beside a commit", call);
	if (n->leg[1].format == n->leg[0].format && check_stereo(world, v, call))
		files = 1;
	else
		for (leg = 0; leg < W_LEGS && n->leg[leg].format != 0; leg++)
			files += (uint32_t)check_leg(world, v, call, leg);
	w_count(world, id, ".json", &seen);
	if (files > 0 && seen.versions == 0)
		w_fault_found(v, "P8: call-%u has no call record", call);
	if (w_keys_left(world->keys, world->disk, n->recording_id))
		w_fault_found(v, "call-%u is stored, and its key is still in the spool", call);
	for (i = 0; i < n->artifacts; i++) {
		(void)snprintf(key, sizeof key, "/host/call-%u-%u.wav", (unsigned)call, (unsigned)i);
		if ((world->setup.flags & W_DIRECTORY ? w_disk_file(world->disk, key, &size)
		                                      : w_store_get(world->store, key, &size)) == NULL)
			w_fault_found(v, "P8: %s is gone, and nobody objected", key);
	}
}
