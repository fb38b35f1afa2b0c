/* SPDX-License-Identifier: MIT */
/*
 * What a host brings along: a recorder of its own that writes WAV files from
 * its own thread, copies that it makes, and a deletion backend around the
 * built-in one, through which this demo finds the middle of an erasure.
 */
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the recorder ---- */

static FILE *recorder_open(const struct host_recorder *r, unsigned leg)
{
	uint8_t header[44];
	FILE *f = fopen(r->path[leg], "wb");

	if (!f) {
		timeline_fail(plans[r->call].id, "%s: %s", r->path[leg], strerror(errno));
		return NULL;
	}
	wav_header(header, rco_format_rate_hz(plans[r->call].format[leg]), 0);
	fwrite(header, 1, sizeof header, f);
	return f;
}

static void recorder_close(const struct host_recorder *r, unsigned leg, FILE *f)
{
	uint8_t header[44];

	if (!f)
		return;
	wav_header(header, rco_format_rate_hz(plans[r->call].format[leg]), (uint32_t)(r->bytes / LEGS));
	rewind(f);
	if (fwrite(header, 1, sizeof header, f) != sizeof header || fclose(f) != 0)
		timeline_fail(plans[r->call].id, "%s: %s", r->path[leg], strerror(errno));
}

static void *recorder_thread(void *arg)
{
	struct host_recorder *r = arg;
	const struct leg_audio *audio = r->stage->speech->leg[r->call];
	FILE *f[LEGS];

	for (unsigned leg = 0; leg < LEGS; leg++)
		f[leg] = recorder_open(r, leg);
	for (uint64_t tick = 0; !atomic_load(&r->stop); tick++) {
		media_wait_until(r->stage, (int64_t)tick * FRAME_MS);
		for (unsigned leg = 0; leg < LEGS; leg++) {
			size_t from = tick * audio[leg].frame_bytes;

			if (!f[leg] || from + audio[leg].frame_bytes > audio[leg].bytes)
				continue;
			r->bytes += fwrite(audio[leg].data + from, 1, audio[leg].frame_bytes, f[leg]);
			fflush(f[leg]);
		}
	}
	for (unsigned leg = 0; leg < LEGS; leg++)
		recorder_close(r, leg, f[leg]);
	return NULL;
}

static int recorder_start(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	struct host_recorder *r = user_data;

	(void)call_id;
	(void)op;
	if (pthread_create(&r->thread, NULL, recorder_thread, r) != 0)
		return RCO_E_CALLBACK;
	r->running = 1;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

/* Returns when the files are closed: only then nothing is written any more. May be called twice. */
static int recorder_stop(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	struct host_recorder *r = user_data;

	(void)op;
	if (r->running) {
		atomic_store(&r->stop, 1);
		pthread_join(r->thread, NULL);
		r->running = 0;
		r->stage->board->host_bytes = (uint32_t)r->bytes;
		timeline_note(call_id, "the host's own recorder has stopped, its files hold %u kB",
		              (unsigned)(r->bytes / 1000));
	}
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

const rco_recorder_ops host_recorder_ops = {
	.struct_size = sizeof(rco_recorder_ops), .start = recorder_start, .stop = recorder_stop};

int host_recorder_init(struct host_recorder *r, struct stage *stage, unsigned call)
{
	r->stage = stage;
	r->call = call;
	for (unsigned leg = 0; leg < LEGS; leg++) {
		if (snprintf(r->path[leg], sizeof r->path[leg], "%s/%s-%s.wav", stage->folders->host,
		             plans[call].id, leg_labels[leg]) >= (int)sizeof r->path[leg])
			return -1;
	}
	return 0;
}

/* A copy as a host makes them: here the first ten seconds of a leg as a mu-law file without a header. */
int host_write_copy(struct stage *stage, unsigned call, unsigned leg, const char *name, char path[DEMO_PATH])
{
	const struct leg_audio *audio = &stage->speech->leg[call][leg];
	FILE *f;
	int bad = 0;

	if (snprintf(path, DEMO_PATH, "%s/%s-%s.ul", stage->folders->host, plans[call].id, name) >= DEMO_PATH)
		return -1;
	f = fopen(path, "wb");
	if (!f) {
		timeline_fail(plans[call].id, "%s: %s", path, strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < audio->samples && i < 80000; i++)
		bad |= fputc(g711_ulaw(audio->pcm[i]), f) == EOF;
	bad |= fclose(f) != 0;
	if (bad)
		timeline_fail(plans[call].id, "%s: %s", path, strerror(errno));
	return bad ? -1 : 0;
}

/* ---- the deletion backend ---- */

/*
 * The first file of the host's is removed; before the second one the parent is
 * told, and this process waits to be killed: an erasure that is half done.
 */
static void get_stuck(struct crash_deletion *d, const rco_object *object)
{
	struct call_board *cb = &d->board->call[CALLS - 1];

	/* The answer to the opt-out is to be on the board before everything ends. */
	for (int i = 0; i < 3000 && !atomic_load(&cb->answered); i++)
		sleep_until_us(now_us() + 1000);
	timeline_note(object->call_id, "in the middle of the erasure: one file removed, one left, SIGKILL now");
	if (write(d->signal_fd, "K", 1) != 1)
		timeline_fail(object->call_id, "the parent cannot be told: %s", strerror(errno));
	for (;;)
		pause();
}

static int deletion_remove(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct crash_deletion *d = user_data;

	if (d->signal_fd >= 0 && object->store == RCO_STORE_HOST &&
	    strcmp(object->call_id, plans[CALLS - 1].id) == 0) {
		if (d->first[0] == 0)
			snprintf(d->first, sizeof d->first, "%s", object->key);
		else if (strcmp(d->first, object->key) != 0)
			get_stuck(d, object);
	}
	return d->inner.remove(object, op, result, d->inner_user_data);
}

static int deletion_verify(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct crash_deletion *d = user_data;

	return d->inner.verify(object, op, result, d->inner_user_data);
}

static int deletion_attach(rco_engine *engine, void *user_data)
{
	struct crash_deletion *d = user_data;

	return d->inner.attach ? d->inner.attach(engine, d->inner_user_data) : RCO_OK;
}

rco_deletion_ops crash_deletion_ops(struct crash_deletion *d, rco_directory *directory)
{
	rco_deletion_ops ops = {.struct_size = sizeof ops};

	d->inner = *rco_directory_deletion_ops();
	d->inner_user_data = directory;
	ops.attach = deletion_attach;
	ops.remove = deletion_remove;
	ops.verify = deletion_verify;
	return ops;
}
