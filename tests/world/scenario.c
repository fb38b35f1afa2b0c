/* SPDX-License-Identifier: MIT */
/* Acts: what is done, what is expected of the answer, and what is promised from then on. */
#include "../support_frames.h"
#include "scenario.h"
#include "world_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MS = 20 };

static const uint32_t formats[] = {RCO_FORMAT_PCMU_8K, RCO_FORMAT_S16_8K};
static const char *const labels[] = {"caller", "agent"};

static void name_call(uint32_t call, char out[8])
{
	(void)snprintf(out, 8, "call-%u", (unsigned)call % W_CALLS);
}

static int asked(const w_call_note *n)
{
	return n->opt == W_OPT_STOPPED || n->opt == W_OPT_DURABLE;
}

/* ---- a call ---- */

static void do_create(w_world *w, uint32_t call, int hold)
{
	char id[8];
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .legal_hold = (uint32_t)hold};
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};
	w_call_note *n = &w->notes.call[call];

	name_call(call, id);
	if (n->known || w->session[call] != NULL || rco_session_create(w->engine, &o, &w->session[call]) != RCO_OK)
		return;
	n->known = 1;
	n->hold = (uint32_t)hold;
	if (rco_session_get_stats(w->session[call], &stats) == RCO_OK)
		memcpy(n->recording_id, stats.recording_id, 16);
	w_note(w);
}

static void do_leg(w_world *w, uint32_t call, uint32_t format)
{
	w_call_note *n = &w->notes.call[call];
	uint32_t leg = 0, next = n->leg[0].format == 0 ? 0 : 1;
	int rc;

	if (n->leg[next].format != 0)
		return;
	rc = rco_session_add_leg(w->session[call], labels[next], formats[format], &leg);
	if (rc != RCO_OK)
		return;
	if (leg != next)
		w_complain(w, "leg %u was asked for, and %u given", next, leg);
	n->leg[leg].format = formats[format];
	w_note(w);
}

static void do_start(w_world *w, uint32_t call)
{
	w_call_note *n = &w->notes.call[call];
	int rc = rco_session_start(w->session[call]);

	if (asked(n) && rc != RCO_E_OPTED_OUT && rc != RCO_E_ENDED)
		w_complain(w, "P12: call-%u was opted out, and its start is answered %s", call,
		           rco_error_name(rc));
	if (rc == RCO_OK)
		n->started = 1;
	w_note(w);
}

static void push_one(w_world *w, uint32_t call, uint32_t leg)
{
	w_call_note *n = &w->notes.call[call];
	w_leg_note *l = &n->leg[leg];
	uint8_t frame[W_FRAME_MAX];
	int rc;

	if (l->format == 0 || l->accepted == W_FRAMES)
		return;
	w_frame(call, leg, l->accepted, l->format, frame);
	rc = t_push_nth(w->session[call], leg, l->format, frame, w_frame_size(l->format), w_gaps(call, leg),
	                l->accepted);
	if (rc == RCO_OK) {
		if (asked(n))
			w_complain(w, "P1: a frame of call-%u was taken after its opt-out", call);
		w->pushed_us[call][leg][l->accepted] = w->mono_us;
		l->accepted++;
	}
	if (asked(n) && !n->ended && rc != RCO_OK && rc != RCO_E_OPTED_OUT)
		w_complain(w, "P1: a frame of call-%u after its opt-out is answered %s", call, rco_error_name(rc));
}

static void do_push(w_world *w, uint32_t call, uint32_t frames)
{
	uint32_t i, leg;

	for (i = 0; i < frames; i++) {
		for (leg = 0; leg < W_LEGS; leg++)
			push_one(w, call, leg);
		w_note(w);
		w_pass(w, FRAME_MS);
	}
}

static void do_hang_up(w_world *w, uint32_t call)
{
	w_call_note *n = &w->notes.call[call];

	if (rco_session_end(w->session[call]) == RCO_OK && !n->ended) {
		n->ended = 1;
		n->ended_us = w->mono_us;
	}
	w_note(w);
}

static void do_forget(w_world *w, uint32_t call)
{
	w_call_note *n = &w->notes.call[call];

	rco_session_free(w->session[call]);
	w->session[call] = NULL;
	if (!n->ended) {
		n->ended = 1;
		n->ended_us = w->mono_us;
	}
	w_note(w);
}

/* ---- a request ---- */

static void note_receipt(w_world *w, uint32_t call, int rc, const rco_receipt *r)
{
	w_call_note *n = &w->notes.call[call];
	const char *id = rco_receipt_id(r);

	/* A call that is done with and forgotten: the request is kept for the next of that id. */
	if ((rco_receipt_facts(r) & RCO_FACT_EARLY) && n->known && !n->before) {
		n->opt = W_OPT_REFUSED;
		return;
	}
	if (n->receipt_id[0] != '\0' && strcmp(n->receipt_id, id) != 0)
		w_complain(w, "P6: call-%u had the receipt %s, and has %s now", call, n->receipt_id, id);
	(void)snprintf(n->receipt_id, sizeof n->receipt_id, "%s", id);
	if (rc == RCO_OK && !(rco_receipt_facts(r) & RCO_FACT_DURABLE))
		w_complain(w, "P7: the opt-out of call-%u is answered with success, its receipt is not durable",
		           call);
	if (rco_receipt_facts(r) & RCO_FACT_DURABLE)
		n->opt = W_OPT_DURABLE;
}

static uint32_t answered(int rc, uint32_t before)
{
	switch (rc) {
	case RCO_OK:
		return W_OPT_DURABLE;
	case RCO_PENDING:
		return before == W_OPT_DURABLE ? W_OPT_DURABLE : W_OPT_STOPPED;
	default:
		return before == W_OPT_ASKED || before == W_OPT_NOT ? W_OPT_REFUSED : before;
	}
}

static void do_object(w_world *w, uint32_t call, int by_id, uint32_t flags)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags, .source = "test"};
	w_call_note *n = &w->notes.call[call];
	rco_receipt *r = NULL;
	char id[8];
	int rc;

	if (!by_id && w->session[call] == NULL)
		return;
	name_call(call, id);
	if (!asked(n)) {
		n->opt = W_OPT_ASKED;
		n->before = !n->known;
		n->after = n->ended;
	}
	w_note(w);
	rc = by_id ? rco_engine_opt_out(w->engine, id, &o, &r) : rco_opt_out(w->session[call], &o, &r);
	/* An event may have told more meanwhile. */
	n->opt = answered(rc, n->opt);
	if (n->opt == W_OPT_REFUSED)
		n->before = 0;
	if (r == NULL && n->opt != W_OPT_REFUSED)
		(void)rco_engine_receipt(w->engine, id, &r); /* there was no memory for it */
	if (r != NULL)
		note_receipt(w, call, rc, r);
	rco_receipt_free(r);
	/* P13: whatever fails, a call that goes on is stopped. */
	if (n->opt == W_OPT_REFUSED && n->known && !n->ended)
		w_complain(w, "P13: an opt-out of call-%u during the call is answered %s", call,
		           rco_error_name(rc));
	w_note(w);
}

/* ---- artifacts ---- */

/* Through the disk's own table: what a process beside ours writes. */
static int host_writes(w_world *w, const char *path, const void *data, size_t size)
{
	const rco__fs *fs = w_disk_table(w->disk);
	int fd, rc = fs->mkdir(fs->ctx, "/host");

	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_CREATE, &fd);
	if (rc != RCO_OK)
		return rc;
	rc = fs->write(fs->ctx, fd, data, size, 0);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, fd);
	(void)fs->close(fs->ctx, fd);
	if (rc == RCO_OK)
		rc = fs->sync_dir(fs->ctx, "/host");
	if (rc == RCO_OK)
		rc = fs->sync_dir(fs->ctx, "/");
	return rc;
}

static void do_artifact(w_world *w, uint32_t call)
{
	w_call_note *n = &w->notes.call[call];
	uint8_t frame[W_FRAME_MAX];
	char key[40], id[8];
	int rc = RCO_OK;

	if (n->artifacts == W_ARTIFACTS)
		return;
	name_call(call, id);
	w_frame(call, W_LEGS + n->artifacts, 0, RCO_FORMAT_PCMU_8K, frame);
	(void)snprintf(key, sizeof key, "/host/%s-%u.wav", id, (unsigned)n->artifacts);
	if (w->setup.flags & W_DIRECTORY)
		rc = host_writes(w, key, frame, w_frame_size(RCO_FORMAT_PCMU_8K));
	else
		w_store_put(w->store, key, frame, w_frame_size(RCO_FORMAT_PCMU_8K));
	if (rc == RCO_OK)
		rc = w->session[call] != NULL
		             ? rco_session_register_artifact(w->session[call], RCO_KIND_AUDIO, key, NULL)
		             : rco_engine_register_artifact(w->engine, id, RCO_KIND_AUDIO, key, NULL);
	if (rc == RCO_OK)
		n->artifacts++;
	w_note(w);
}

static void do_lift(w_world *w, uint32_t call)
{
	w_call_note *n = &w->notes.call[call];
	char id[8];

	if (!n->hold)
		return;
	name_call(call, id);
	n->lifted = 1;
	w_note(w);
	if (rco_engine_lift_legal_hold(w->engine, id) != RCO_OK)
		return;
	n->lifted = 2;
	if (n->opt == W_OPT_NOT)
		n->hold = 0;
	w_note(w);
}

/* ---- playing ---- */

static void open_engine(w_world *w)
{
	int tries = 0;

	/* A start that fails is a clear error, and the next one succeeds: each fault strikes once. */
	while (w->engine == NULL && w_open(w) != RCO_OK)
		if (++tries > W_FAULTS) {
			w_complain(w, "the engine cannot be created: %s", rco_error_detail());
			return;
		}
}

static int needs_session(int kind)
{
	switch (kind) {
	case W_DO_LEG:
	case W_DO_START:
	case W_DO_PUSH:
	case W_DO_PAUSE:
	case W_DO_RESUME:
	case W_DO_HANG_UP:
	case W_DO_FORGET:
	case W_DO_OBJECT:
	case W_DO_OBJECT_NB:
		return 1;
	default:
		return 0;
	}
}

static void play(w_world *w, const w_act *act)
{
	uint32_t call = act->call % W_CALLS;

	if ((act->kind != W_DO_OPEN && w->engine == NULL) ||
	    (needs_session(act->kind) && w->session[call] == NULL))
		return;
	switch (act->kind) {
	case W_DO_OPEN:
		open_engine(w);
		break;
	case W_DO_CLOSE:
		w_close(w);
		break;
	case W_DO_KILL:
		w_kill(w);
		break;
	case W_DO_CREATE:
		do_create(w, call, act->n == 1);
		break;
	case W_DO_LEG:
		do_leg(w, call, act->n % 2);
		break;
	case W_DO_START:
		do_start(w, call);
		break;
	case W_DO_PUSH:
		do_push(w, call, act->n);
		break;
	case W_DO_PASS:
		w_pass(w, act->n);
		break;
	case W_DO_PAUSE:
		(void)rco_session_pause(w->session[call]);
		break;
	case W_DO_RESUME:
		(void)rco_session_resume(w->session[call]);
		break;
	case W_DO_HANG_UP:
		do_hang_up(w, call);
		break;
	case W_DO_FORGET:
		do_forget(w, call);
		break;
	case W_DO_OBJECT:
	case W_DO_OBJECT_NB:
	case W_DO_OBJECT_ID:
	case W_DO_OBJECT_ID_NB:
		do_object(w, call, act->kind >= W_DO_OBJECT_ID,
		          act->kind == W_DO_OBJECT_NB || act->kind == W_DO_OBJECT_ID_NB ? RCO_OPT_OUT_NONBLOCK
		                                                                        : 0);
		break;
	case W_DO_ARTIFACT:
		do_artifact(w, call);
		break;
	case W_DO_LIFT:
		do_lift(w, call);
		break;
	default:
		if (!w_settle(w))
			w_complain(w, "it does not come to rest within %d s", W_PATIENCE_S);
		break;
	}
}

void w_scenario_play_in(w_world *world, const w_scenario *scenario)
{
	size_t i;

	for (i = 0; i < W_ACTS_MAX && scenario->acts[i].kind != W_DO_NOTHING_MORE; i++)
		play(world, &scenario->acts[i]);
}

w_world *w_scenario_play(const w_scenario *scenario)
{
	w_world *world = w_world_new(&scenario->setup);

	w_scenario_play_in(world, scenario);
	return world;
}

char *w_scenario_text(const w_scenario *s)
{
	static const char *const words[] = {"",
	                                    "open",
	                                    "close",
	                                    "create",
	                                    "leg",
	                                    "start",
	                                    "push",
	                                    "pass",
	                                    "pause",
	                                    "resume",
	                                    "hang up",
	                                    "forget",
	                                    "object",
	                                    "object, not waiting",
	                                    "object by id",
	                                    "object by id, not waiting",
	                                    "artifact",
	                                    "lift hold",
	                                    "kill",
	                                    "settle"};
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	(void)fprintf(out,
	              "%s (seed %llu, flags %x, slow %u, lost answers %u, errors %u, unconfirmed %u, late %u):",
	              s->name, (unsigned long long)s->setup.seed, s->setup.flags, s->setup.manners.slow,
	              s->setup.manners.lost_answer, s->setup.manners.error, s->setup.manners.unconfirmed,
	              s->setup.manners.late);
	for (i = 0; i < W_ACTS_MAX && s->acts[i].kind != W_DO_NOTHING_MORE; i++) {
		const w_act *a = &s->acts[i];

		(void)fprintf(out, " %s", words[a->kind]);
		if (a->kind == W_DO_PASS)
			(void)fprintf(out, " %u ms", a->n);
		else if (a->kind != W_DO_OPEN && a->kind != W_DO_CLOSE && a->kind != W_DO_SETTLE)
			(void)fprintf(out, " %u", a->call);
		if (a->kind == W_DO_PUSH || a->kind == W_DO_LEG || (a->kind == W_DO_CREATE && a->n > 0))
			(void)fprintf(out, ":%u", a->n);
		(void)fputc(';', out);
	}
	(void)fclose(out);
	return text;
}
