/* SPDX-License-Identifier: MIT */
#include "nth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOCATION, DISK, STORE, BUFFER, KEYS, SYSTEM };

static const n_kind kinds[] = {
	{"allocation", ALLOCATION, 0},
	{"disk-error", DISK, W_FAULT_ERROR},
	{"disk-full", DISK, W_FAULT_FULL},
	{"disk-torn", DISK, W_FAULT_TORN},
	{"disk-done", DISK, W_FAULT_DONE},
	{"disk-sync-lost", DISK, W_FAULT_SYNC_LOST},
	{"store-error", STORE, W_STORE_ERROR},
	{"store-done-error", STORE, W_STORE_DONE_ERROR},
	{"store-unconfirmed", STORE, W_STORE_UNCONFIRMED},
	{"store-done-unconfirmed", STORE, W_STORE_DONE_UNCONFIRMED},
	{"store-silent", STORE, W_STORE_SILENT},
	{"store-done-silent", STORE, W_STORE_DONE_SILENT},
	{"store-late", STORE, W_STORE_LANDS_LATE},
	{"buffer-error", BUFFER, W_STORE_ERROR},
	{"buffer-done-error", BUFFER, W_STORE_DONE_ERROR},
	{"buffer-unconfirmed", BUFFER, W_STORE_UNCONFIRMED},
	{"buffer-done-unconfirmed", BUFFER, W_STORE_DONE_UNCONFIRMED},
	{"buffer-silent", BUFFER, W_STORE_SILENT},
	{"buffer-done-silent", BUFFER, W_STORE_DONE_SILENT},
	{"keys-error", KEYS, W_KEYS_ERROR},
	{"keys-done", KEYS, W_KEYS_DONE},
	{"system", SYSTEM, 0},
};

const n_kind *n_kind_at(size_t index)
{
	return index < sizeof kinds / sizeof kinds[0] ? &kinds[index] : NULL;
}

int n_kind_named(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return (int)i;
	return -1;
}

int n_kind_concerns(const n_kind *kind, const w_scenario *scenario, const n_calls *calls)
{
	switch (kind->target) {
	case STORE:
		return !(scenario->setup.flags & W_DIRECTORY);
	case BUFFER:
		return (scenario->setup.flags & W_BUFFER) != 0;
	case SYSTEM:
		return calls != NULL;
	default:
		return 1;
	}
}

/* ---- one try ---- */

static void arm(w_world *world, const n_calls *calls, int which, const n_strike *strike)
{
	const n_kind *kind = &kinds[strike->kind];

	switch (kind->target) {
	case ALLOCATION:
		w_alloc_fault(world, which, strike->nth);
		break;
	case DISK:
		w_disk_fault(w_world_disk(world), which, strike->nth, kind->mode);
		break;
	case STORE:
		w_store_fault(w_world_store(world), which, strike->nth, kind->mode);
		break;
	case BUFFER:
		w_buffer_fault(world, which, strike->nth, kind->mode);
		break;
	case KEYS:
		w_keys_fault(w_world_keys(world), which, strike->nth, kind->mode);
		break;
	default:
		calls->arm(which, strike->nth);
		break;
	}
}

static int struck(w_world *world, const n_calls *calls, int which, const n_strike *strike, uint64_t *count)
{
	switch (kinds[strike->kind].target) {
	case ALLOCATION:
		*count = w_alloc_calls(world);
		return w_alloc_struck(world, which);
	case DISK:
		*count = w_disk_calls(w_world_disk(world));
		return w_disk_struck(w_world_disk(world), which);
	case STORE:
		*count = w_store_calls(w_world_store(world));
		return w_store_struck(w_world_store(world), which);
	case BUFFER:
		*count = w_buffer_calls(world);
		return w_buffer_struck(world, which);
	case KEYS:
		*count = w_keys_calls(w_world_keys(world));
		return w_keys_struck(w_world_keys(world), which);
	default:
		*count = calls->count();
		return calls->struck(which);
	}
}

static void disarm(w_world *world, const n_calls *calls)
{
	int which;

	for (which = 0; which < W_FAULTS; which++) {
		w_alloc_fault(world, which, 0);
		w_disk_fault(w_world_disk(world), which, 0, W_FAULT_NONE);
		w_store_fault(w_world_store(world), which, 0, W_STORE_NONE);
		w_buffer_fault(world, which, 0, W_STORE_NONE);
		w_keys_fault(w_world_keys(world), which, 0, W_KEYS_NONE);
		if (calls != NULL)
			calls->arm(which, 0);
	}
	w_store_behave(w_world_store(world));
}

static void found(n_outcome *out, const char *when, const char *what)
{
	if (out->failed++ == 0)
		(void)snprintf(out->text, sizeof out->text, "%s: %s", when, what);
}

static int any_durable(const w_notes *notes)
{
	uint32_t c;

	for (c = 0; c < W_CALLS; c++)
		if (notes->call[c].opt == W_OPT_DURABLE)
			return 1;
	return 0;
}

/* Where an opt-out has just been called durable; the end if none was. */
static size_t interesting(w_world *world)
{
	size_t low = 0, high = w_position(world);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (any_durable(w_notes_at(world, middle)))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void judge_image(w_world *world, size_t position, int crash, FILE *story, n_outcome *out)
{
	const w_moment m = {.position = position, .crash = crash};
	w_world *image = w_world_image(world, &m);
	char when[60], *text;
	w_verdict v;

	(void)snprintf(when, sizeof when, "%s at %zu", crash == W_CRASH_KILL ? "killed" : "power cut", position);
	if (!w_judge(image, &v)) {
		found(out, when, v.fault);
		text = w_world_story(image, 0, w_position(image));
		if (story != NULL)
			(void)fprintf(story, "%s; what the next process did:\n%s", when, text);
		free(text);
	}
	w_world_free(image);
}

int n_count(const n_strikes *strikes)
{
	int n = 0;

	while (n < W_FAULTS && strikes->at[n].kind >= 0)
		n++;
	return n;
}

void n_try(const w_scenario *scenario, const n_strikes *strikes, const n_calls *calls, FILE *story, n_outcome *out)
{
	w_world *world = w_world_new(&scenario->setup);
	int i, any = 0, n = n_count(strikes);
	uint64_t count = 0;
	size_t position;
	w_verdict v;
	char *text;

	memset(out, 0, sizeof *out);
	w_expect_faults(world);
	for (i = 0; i < n; i++)
		arm(world, calls, i, &strikes->at[i]);
	w_scenario_play_in(world, scenario);
	out->all_struck = 1;
	for (i = 0; i < n; i++) {
		out->struck[i] = struck(world, calls, i, &strikes->at[i], &count);
		any |= out->struck[i];
		out->all_struck &= out->struck[i];
		if (i == 0)
			out->reached = count >= strikes->at[0].nth;
	}
	disarm(world, calls);
	if (any) {
		position = w_position(world);
		if (!w_judge_living(world, &v))
			found(out, "lived", v.fault);
		if (out->failed == 0) {
			position = interesting(world);
			judge_image(world, position, W_CRASH_KILL, story, out);
			judge_image(world, position, W_CRASH_POWER, story, out);
		}
		if (out->failed > 0 && story != NULL) {
			text = w_world_story(world, 0, w_position(world));
			(void)fprintf(story, "the scenario, and how it went on from %zu:\n%s", position, text);
			free(text);
		}
	}
	w_world_free(world);
}

/* ---- all ---- */

void n_tell(FILE *out, const w_scenario *scenario, const n_strikes *strikes, const n_outcome *outcome)
{
	int i;

	(void)fprintf(out, "FAILED: --scenario '%s'", scenario->name);
	for (i = 0; i < n_count(strikes); i++)
		(void)fprintf(out, " --fault %s:%" PRIu64, kinds[strikes->at[i].kind].name, strikes->at[i].nth);
	(void)fprintf(out, ": %s\n", outcome->text);
	(void)fflush(out);
}

n_counts n_all(const w_scenario *scenario, int kind, const n_calls *calls, uint64_t part, uint64_t of, FILE *out)
{
	n_strikes strikes = {{{kind, part + 1}, N_NO_STRIKE}};
	n_counts counts = {part, 0, 0};
	n_outcome outcome;

	for (;; strikes.at[0].nth += of) {
		n_try(scenario, &strikes, calls, NULL, &outcome);
		if (!outcome.reached)
			return counts;
		counts.n = strikes.at[0].nth;
		counts.struck += (uint64_t)outcome.struck[0];
		if (outcome.failed == 0)
			continue;
		counts.failed++;
		n_tell(out, scenario, &strikes, &outcome);
	}
}
