/* SPDX-License-Identifier: MIT */
/* What is owed for each call, and whether it is kept. */
#include "verdict_internal.h"

#include "../../lib/base/bytes.h"
#include "../../lib/base/env.h"
#include "../../lib/storage/storage_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum w_owed {
	OWED_KEPT,  /* stored, or on hold */
	OWED_GONE,  /* nothing of it may be anywhere */
	OWED_WHOLLY /* the one or the other */
} w_owed;

void w_fault_found(w_verdict *v, const char *format, ...)
{
	va_list args;

	if (v->faults++ > 0)
		return;
	va_start(args, format);
	(void)vsnprintf(v->fault, sizeof v->fault, format, args);
	va_end(args);
}

static w_owed owed_for(const w_world *world, const w_call_note *n)
{
	int held = n->hold && n->lifted == 0, in_rings;

	if (n->opt == W_OPT_NOT || n->opt == W_OPT_REFUSED || held)
		return OWED_KEPT;
	if (n->hold && n->lifted == 1)
		return OWED_WHOLLY;
	if (n->opt == W_OPT_DURABLE)
		return OWED_GONE;
	/* The stop bit stands in the rings, which a kill leaves: it was not yet durable, and is honoured. */
	in_rings = n->leg[0].format != 0 && !n->after && !n->before && !world->notes.power;
	if (n->opt == W_OPT_STOPPED && (!n->forgettable || in_rings))
		return OWED_GONE;
	return OWED_WHOLLY;
}

/* ---- gone ---- */

static void check_artifacts_gone(w_world *world, w_verdict *v, uint32_t call)
{
	const w_call_note *n = &world->notes.call[call];
	w_store_seen seen;
	char key[40];
	uint32_t i;
	size_t size;

	for (i = 0; i < n->artifacts; i++) {
		(void)snprintf(key, sizeof key, "/host/call-%u-%u.wav", (unsigned)call, (unsigned)i);
		seen = w_store_look(world->store, key, "");
		if (seen.versions + seen.markers > 0 || w_disk_file(world->disk, key, &size) != NULL)
			w_fault_found(v, "P4: %s is there", key);
	}
}

/* Asked when a restart had forgotten the stored call, past its window: it waits for a later one of that id (P12).
 */
static int is_for_another(const w_world *world, uint32_t call, const rco_receipt *r)
{
	const w_call_note *n = &world->notes.call[call];

	return (rco_receipt_facts(r) & RCO_FACT_EARLY) && n->known && !n->before;
}

/* What may go the one way or the other: which way did it go? */
static w_owed asked(w_world *world, uint32_t call)
{
	rco_receipt *r = NULL;
	char id[16];
	w_owed owed;

	(void)snprintf(id, sizeof id, "call-%u", (unsigned)call);
	if (rco_engine_receipt(world->engine, id, &r) != RCO_OK)
		return OWED_KEPT;
	owed = rco_receipt_status(r) == RCO_STATUS_HELD || is_for_another(world, call, r) ? OWED_KEPT : OWED_GONE;
	rco_receipt_free(r);
	return owed;
}

static void check_receipt(w_world *world, w_verdict *v, uint32_t call)
{
	const w_call_note *n = &world->notes.call[call];
	rco_receipt *r = NULL;
	char id[16];
	uint32_t status;

	(void)snprintf(id, sizeof id, "call-%u", (unsigned)call);
	if (rco_engine_receipt(world->engine, id, &r) != RCO_OK) {
		if (n->opt == W_OPT_DURABLE)
			w_fault_found(v, "P6: nothing is known of the opt-out of call-%u any more", call);
		return;
	}
	status = rco_receipt_status(r);
	/* Asked before it was known, and a crash took what was known of it since: the wish waits again. */
	if (status != RCO_STATUS_VERIFIED && status != RCO_STATUS_NOT_RECORDING &&
	    !(status == RCO_STATUS_NOTED && n->before))
		w_fault_found(v, "P7: call-%u is at rest, and its status is %s", call, rco_status_name(status));
	if (n->receipt_id[0] != '\0' && strcmp(n->receipt_id, rco_receipt_id(r)) != 0)
		w_fault_found(v, "P6: call-%u had the receipt %s, and has %s now", call, n->receipt_id,
		              rco_receipt_id(r));
	rco_receipt_free(r);
}

static void check_gone(w_world *world, w_verdict *v, uint32_t call)
{
	const w_call_note *n = &world->notes.call[call];
	char id[RCO_ID_TEXT + 1];
	w_store_seen seen;

	if (!n->known)
		return;
	v->erased++;
	rco__uuid_text(n->recording_id, id);
	w_count(world, id, world->setup.flags & W_ZST ? ".wav.zst" : ".wav", &seen);
	if (seen.versions + seen.markers + seen.uploads + seen.parts > 0)
		w_fault_found(v, "P4: of call-%u there are %zu versions, %zu markers, %zu uploads and %zu parts",
		              call, seen.versions, seen.markers, seen.uploads, seen.parts);
	check_artifacts_gone(world, v, call);
	if (w_keys_left(world->keys, world->disk, n->recording_id))
		w_fault_found(v, "P4: the key of call-%u is still on the disk", call);
	w_count(world, id, ".json", &seen);
	if (n->opt == W_OPT_DURABLE && seen.versions == 0 && n->leg[0].accepted > 0 &&
	    (n->ended || world->is_image))
		w_fault_found(v, "P8: the opted-out call-%u has no call record", call);
}

/* ---- before birth ---- */

/* The judging itself is crashed too: from here on the call is known, and the next judge has to know that. */
static void note_born(w_world *world, w_call_note *n, rco_session *s)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	if (rco_session_get_stats(s, &st) != RCO_OK)
		abort();
	memcpy(n->recording_id, st.recording_id, sizeof n->recording_id);
	n->known = 1;
	w_note(world);
}

/* P12: an opt-out that waits for its call. */
static void check_unborn(w_world *world, w_verdict *v, uint32_t call)
{
	w_call_note *n = &world->notes.call[call];
	char id[16];
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id};
	rco_session *s = NULL;
	int rc;

	if (n->known || !n->before || !(n->opt == W_OPT_DURABLE || (n->opt == W_OPT_STOPPED && !n->forgettable)))
		return;
	(void)snprintf(id, sizeof id, "call-%u", (unsigned)call);
	rc = rco_session_create(world->engine, &o, &s);
	if (rc == RCO_OK) {
		note_born(world, n, s);
		rc = rco_session_start(s);
	}
	if (rc != RCO_E_OPTED_OUT)
		w_fault_found(v, "P12: call-%u was opted out before it was known, and its start is answered %s",
		              call, rco_error_name(rc));
	rco_session_free(s);
}

/* ---- everything that is left ---- */

typedef struct scanning {
	w_world *world;
	w_verdict *v;
	const w_owed *owed;
	const char *where;
	int any; /* no plaintext at all belongs here */
} scanning;

static void found_frame(uint32_t call, uint32_t leg, void *user_data)
{
	scanning *s = user_data;

	/* The host's copies are looked at by name: one that was not registered is the host's own affair. */
	if (call < W_CALLS && leg < W_LEGS && (s->any || s->owed[call] == OWED_GONE))
		w_fault_found(s->v, "%s: audio of call-%u leg %u in %s", s->any ? "P11" : "P4", call, leg,
		              s->where);
}

static void scan_file(const char *path, const uint8_t *data, size_t size, void *user_data)
{
	scanning *s = user_data;

	s->where = path;
	s->any = strncmp(path, "/out/", 5) != 0 && strncmp(path, "/host/", 6) != 0;
	w_frames_each(data, size, found_frame, s);
}

static void scan_object(const char *key, const uint8_t *data, size_t size, void *user_data)
{
	scanning *s = user_data;

	s->where = key;
	s->any = 0;
	w_frames_each(data, size, found_frame, s);
}

static void scan_rings(const uint8_t *data, size_t size, void *user_data)
{
	scanning *s = user_data;

	s->where = "the rings";
	s->any = 1;
	w_frames_each(data, size, found_frame, s);
}

static void found_recording(const rco_scanned *found, void *user_data)
{
	scanning *s = user_data;
	char id[RCO_ID_TEXT + 1];

	rco__uuid_text(found->id, id);
	w_fault_found(s->v, "the spool still has recording %s, with %llu bytes of its first leg", id,
	              (unsigned long long)found->leg_bytes[0]);
}

/* As another process would find it. */
static void look_into_spool(scanning *s)
{
	w_world *w = s->world;
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o,
	                       .path = w->setup.flags & W_BUFFER ? "/spool" : "/state/spool",
	                       .keys = w_keys_ops(),
	                       .keys_user_data = w->keys};
	rco_spool *spool = NULL;
	rco__env env;

	if (rco__env_init(&env, NULL, &w->clock, NULL, NULL) != RCO_OK)
		abort();
	env.fs = w_disk_table(w->disk);
	if (rco__spool_open(&env, &o, &spool) != RCO_OK ||
	    rco_spool_buffer_ops()->scan(found_recording, s, spool) != RCO_OK)
		w_fault_found(s->v, "the spool cannot be opened any more: %s", rco_error_detail());
	rco_spool_free(spool);
	if (w_keys_forgotten(w->keys, w->disk) > 0)
		w_fault_found(s->v, "an epoch of the key provider is known to nobody, and never destroyed");
	/* the current one, and one that was planned when the provider answered an error to what it had done */
	if (w_keys_alive(w->keys) > 2)
		w_fault_found(s->v, "%zu epochs are left, and no recording needs one", w_keys_alive(w->keys));
}

static void look_everywhere(w_world *world, w_verdict *v, const w_owed owed[W_CALLS])
{
	scanning s = {.world = world, .v = v, .owed = owed};

	w_disk_each(world->disk, scan_file, &s);
	w_store_each(world->store, scan_object, &s);
	w_rings_read(&world->rings, scan_rings, &s);
	look_into_spool(&s);
}

/* ---- the verdict ---- */

static void judge(w_world *world, w_verdict *v)
{
	w_owed owed[W_CALLS];
	uint32_t c;

	if (!w_settle(world))
		w_fault_found(v, "it does not come to rest within %d s", W_PATIENCE_S);
	for (c = 0; c < W_CALLS; c++) {
		const w_call_note *n = &world->notes.call[c];

		owed[c] = owed_for(world, n);
		if (owed[c] == OWED_WHOLLY)
			owed[c] = asked(world, c);
		if (owed[c] == OWED_GONE && n->known)
			check_receipt(world, v, c);
		check_unborn(world, v, c);
	}
	if (!w_settle(world))
		w_fault_found(v, "it does not come to rest once more");
	w_close(world);
	for (c = 0; c < W_CALLS; c++)
		if (owed[c] == OWED_GONE)
			check_gone(world, v, c);
		else
			w_check_kept(world, v, c);
	look_everywhere(world, v, owed);
	if (world->complaint[0] != '\0')
		w_fault_found(v, "%s", world->complaint);
}

int w_judge(w_world *image, w_verdict *verdict)
{
	int rc;

	memset(verdict, 0, sizeof *verdict);
	rc = w_open(image);
	if (rc != RCO_OK)
		w_fault_found(verdict, "the engine cannot be created: %s: %s", rco_error_name(rc),
		              rco_error_detail());
	else
		judge(image, verdict);
	return verdict->faults == 0;
}

int w_judge_living(w_world *world, w_verdict *verdict)
{
	uint32_t c;
	int rc = RCO_OK;

	memset(verdict, 0, sizeof *verdict);
	if (world->engine == NULL)
		rc = w_open(world);
	if (rc != RCO_OK) {
		w_fault_found(verdict, "the engine cannot be created: %s: %s", rco_error_name(rc),
		              rco_error_detail());
		return 0;
	}
	for (c = 0; c < W_CALLS; c++) {
		w_call_note *n = &world->notes.call[c];

		if (world->session[c] == NULL || n->ended)
			continue;
		(void)rco_session_end(world->session[c]);
		n->ended = 1;
		n->ended_us = world->mono_us;
	}
	judge(world, verdict);
	return verdict->faults == 0;
}
