/* SPDX-License-Identifier: MIT */
/* Are the promises kept, after a crash and a recovery? What is judged is what others can see: store, disk, rings.
 */
#include "../support.h"
#include "../support_frames.h"
#include "images_calls.h"

#include "../../lib/base/bytes.h"

#include <stdlib.h>

/* What the store holds of each leg. */
typedef struct found {
	images_run *run;
	uint32_t files[IMAGES_CALLS][IMAGES_LEGS];
	uint32_t frames[IMAGES_CALLS][IMAGES_LEGS];
	uint32_t records[IMAGES_CALLS];
} found;

static int has_suffix(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && strcmp(text + n - m, suffix) == 0;
}

static void take_record(found *f, const uint8_t *data, size_t size)
{
	char quoted[64];
	int call;

	for (call = 0; call < IMAGES_CALLS; call++) {
		(void)snprintf(quoted, sizeof quoted, "\"%s\"", images_call_id(call));
		f->records[call] += memmem(data, size, quoted, strlen(quoted)) != NULL;
	}
}

/* How many frames of the leg it is, each in its place; -1: it is something else. A power cut may have taken what
 * was behind a last gap. */
static int frames_of(uint64_t seed, int call, int leg, const uint8_t *samples, size_t size)
{
	uint64_t noise = images_noise(seed, call, leg), gaps = images_gaps(seed, call, leg);
	uint8_t want[IMAGES_FRAME];
	size_t at = 0;
	int n = 0;

	for (; at < size; n++) {
		at += t_gap_at(gaps, (uint64_t)n, IMAGES_FRAME, RCO_FORMAT_PCMU_8K, samples, size, at);
		if (at == size)
			break;
		t_noise(noise, (uint64_t)n * IMAGES_FRAME, want, sizeof want);
		if (size - at < sizeof want || memcmp(samples + at, want, sizeof want) != 0)
			return -1;
		at += sizeof want;
	}
	return n;
}

static int is_of(const images_run *run, int call, const char *path)
{
	char id[RCO_ID_TEXT + 1];

	rco__uuid_text(run->duty[call].recording_id, id);
	return strstr(path, id) != NULL;
}

static void take_audio(found *f, const char *path, const uint8_t *samples, size_t size)
{
	int call, leg, n;

	for (call = 0; call < IMAGES_CALLS; call++) {
		for (leg = 0; leg < IMAGES_LEGS; leg++) {
			n = frames_of(f->run->seed, call, leg, samples, size);
			if (n < 0 || (n == 0 && !is_of(f->run, call, path))) /* all silence may be anybody's */
				continue;
			f->files[call][leg]++;
			f->frames[call][leg] = (uint32_t)n;
			return;
		}
	}
	images_broken(f->run, "P5: %s is not what was said in any call, where it was said", path);
}

static void take_file(const char *path, const uint8_t *data, size_t size, void *user_data)
{
	found *f = user_data;
	const uint8_t *samples;
	size_t n = 0;

	if (strncmp(path, "/out/", 5) != 0 || strncmp(path, "/out/.", 6) == 0) /* which folder it is */
		return;
	if (has_suffix(path, ".json")) {
		take_record(f, data, size);
		return;
	}
	/* Begun before a power cut that took the journal's line about it: litter, and no word of the call is in
	 * it. */
	if (has_suffix(path, ".json.tmp") || (has_suffix(path, ".wav.tmp") && size == 0))
		return;
	samples = has_suffix(path, ".wav") ? t_wav_samples(data, size, &n) : NULL;
	if (samples == NULL || n == 0)
		images_broken(f->run, "P4, P5: %s, %zu bytes, is left and no recording", path, size);
	else
		take_audio(f, path, samples, n);
}

/* No byte of it: on the disk, in the store, in the rings. */
static void judge_marker(images_run *run, int call)
{
	uint8_t marker[32];
	int leg;

	for (leg = 0; leg < IMAGES_LEGS; leg++) {
		t_noise(images_noise(run->seed, call, leg), 0, marker, sizeof marker);
		if (w_disk_holds(run->disk, marker, sizeof marker) > 0 ||
		    (run->store != NULL && w_disk_holds(run->store, marker, sizeof marker) > 0))
			images_broken(run, "P4: audio of %s is left", images_call_id(call));
		if (w_disk_holds(run->rings, marker, sizeof marker) > 0)
			images_broken(run, "P4: audio of %s is left in the rings", images_call_id(call));
	}
}

static void judge_opted_out(images_run *run, const found *f, int call)
{
	rco_receipt *receipt = NULL;
	uint32_t status;
	int early;

	if (f->files[call][0] + f->files[call][1] > 0)
		images_broken(run, "P3: %s was opted out, durably, and is in the store", images_call_id(call));
	judge_marker(run, call);
	if (rco_engine_receipt(run->engine, images_call_id(call), &receipt) != RCO_OK) {
		images_broken(run, "P3: nothing is known of the opt-out of %s: %s", images_call_id(call),
		              rco_error_detail());
		return;
	}
	status = rco_receipt_status(receipt);
	early = (rco_receipt_facts(receipt) & RCO_FACT_EARLY) != 0;
	rco_receipt_free(receipt);
	if (status == RCO_STATUS_VERIFIED || status == RCO_STATUS_NOT_RECORDING)
		return;
	/* Asked before the call was known, and it never came, or the crash took what was known of it: it waits,
	 * durable.
	 */
	if (early && status == RCO_STATUS_NOTED)
		return;
	images_broken(run, "P4: the opt-out of %s ends as \"%s\"", images_call_id(call), rco_status_name(status));
}

static void judge_kept(images_run *run, const images_duty *d, const found *f, int call)
{
	uint32_t least, most, n;
	int leg;

	for (leg = 0; leg < IMAGES_LEGS; leg++) {
		least = d->leg[leg].kept;
		most = d->leg[leg].accepted;
		n = f->frames[call][leg];
		if (f->files[call][leg] > 1)
			images_broken(run, "P5: leg %d of %s is stored %u times", leg, images_call_id(call),
			              f->files[call][leg]);
		if (n < least || n > most)
			images_broken(run,
			              "P5: of leg %d of %s %u frames are stored; %u are owed, %u were accepted",
			              leg, images_call_id(call), n, least, most);
		if (least > 0 && f->records[call] == 0)
			images_broken(run, "P8: %s has no call record", images_call_id(call));
	}
	if (d->recorded && f->records[call] == 0)
		images_broken(run, "P7: the call record of %s was reported and is not there",
		              images_call_id(call));
}

static void judge_call(images_run *run, const images_duty *d, const found *f, int call)
{
	rco_receipt *receipt = NULL;
	int audio = f->files[call][0] + f->files[call][1] > 0;
	int known = rco_engine_receipt(run->engine, images_call_id(call), &receipt) == RCO_OK;

	rco_receipt_free(receipt);
	if (f->records[call] > 1)
		images_broken(run, "P5: %s has %u call records", images_call_id(call), f->records[call]);
	if (d->durable || d->latched) {
		judge_opted_out(run, f, call);
	} else if (d->asked) {
		/* Begun, never reported: it holds or it does not, but wholly. */
		if (known && !audio)
			judge_opted_out(run, f, call);
		else
			judge_kept(run, d, f, call);
		if (known && audio)
			images_broken(run, "P3: %s has a receipt and is stored", images_call_id(call));
	} else {
		if (known)
			images_broken(run, "P8: %s has a receipt and was never opted out", images_call_id(call));
		judge_kept(run, d, f, call);
	}
}

void images_judge(images_run *run, const images_duty duty[IMAGES_CALLS])
{
	found f = {.run = run};
	int call;

	w_disk_each(run->store != NULL ? run->store : run->disk, take_file, &f);
	for (call = 0; call < IMAGES_CALLS; call++)
		judge_call(run, &duty[call], &f, call);
}
