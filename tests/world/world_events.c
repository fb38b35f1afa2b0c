/* SPDX-License-Identifier: MIT */
/* What the engine tells and asks for, as it happens: noted, and held against the promises at once. */
#include "world_internal.h"

#include "../../lib/base/bytes.h"

#include <stdio.h>
#include <string.h>

/* P7: nothing is called erased that is there, unless it came afterwards. */
static void check_gone(w_world *world, uint32_t call, uint32_t status)
{
	const w_call_note *n = &world->notes.call[call];
	char id[RCO_ID_TEXT + 1];
	w_store_seen seen;

	if (w_store_strays(world->store) > 0 || !n->known)
		return;
	rco__uuid_text(n->recording_id, id);
	seen = w_store_look(world->store, id, world->setup.flags & W_ZST ? ".zst" : ".wav");
	if (seen.versions + seen.parts > 0)
		w_complain(world, "P7: call-%u is called %s, and %zu versions and %zu parts are in the store",
		           call, rco_status_name(status), seen.versions, seen.parts);
}

/* P5, P7: what is called stored is there. */
static void check_there(w_world *world, uint32_t call, uint64_t files)
{
	const w_call_note *n = &world->notes.call[call];
	char id[RCO_ID_TEXT + 1];
	w_store_seen seen;

	if (world->setup.flags & W_DIRECTORY || !n->known)
		return;
	rco__uuid_text(n->recording_id, id);
	seen = w_store_look(world->store, id, world->setup.flags & W_ZST ? ".zst" : ".wav");
	if (seen.versions < files)
		w_complain(world, "P7: %llu files of call-%u are called stored, and %zu are there",
		           (unsigned long long)files, call, seen.versions);
}

void w_event(const rco_event *event, void *user_data)
{
	w_world *world = user_data;
	uint32_t call = w_call_number(event->call_id);
	w_call_note *n = &world->notes.call[call < W_CALLS ? call : 0];

	if (world->dead)
		return;
	if (call == W_CALLS)
		return;
	switch (event->type) {
	case RCO_EVENT_DURABLE:
		if (event->status != RCO_STATUS_NOTED ||
		    n->before) /* else the wish is for another call of that id */
			n->opt = W_OPT_DURABLE;
		break;
	case RCO_EVENT_STORED:
		n->stored = 1;
		check_there(world, call, event->count);
		break;
	case RCO_EVENT_CALL_RECORD:
		n->recorded = 1;
		break;
	case RCO_EVENT_ERASED:
	case RCO_EVENT_VERIFIED:
		if (n->status < event->status)
			n->status = event->status;
		n->opt = W_OPT_DURABLE; /* which it includes, had the event been lost */
		check_gone(world, call, event->status);
		break;
	default:
		return;
	}
	w_note(world);
}

/* A request that was not durable when the process ended may be forgotten. */
static int gone_for_good(const w_call_note *n)
{
	return ((n->opt == W_OPT_STOPPED && !n->forgettable) || n->opt == W_OPT_DURABLE) &&
	       !(n->hold && n->lifted != 2);
}

/* P2: nothing of an opted-out call is sent. P14: nothing is committed before the window has passed. */
void w_watch(const char *slot, const rco_object *object, void *user_data)
{
	w_world *world = user_data;
	uint32_t call = w_call_number(object->call_id);
	const w_call_note *n = &world->notes.call[call < W_CALLS ? call : 0];
	int64_t from = n->ended ? n->ended_us : 0;
	uint32_t late_opt_out_ms = world->setup.late_opt_out_ms != 0 ? world->setup.late_opt_out_ms : 10000;
	int64_t window = late_opt_out_ms == RCO_NONE_MS ? 0 : (int64_t)late_opt_out_ms * 1000;

	if (call == W_CALLS || object->kind != RCO_KIND_AUDIO || object->store != RCO_STORE_UPLOAD)
		return;
	if (gone_for_good(n) &&
	    (strcmp(slot, "begin") == 0 || strcmp(slot, "put") == 0 || strcmp(slot, "commit") == 0))
		w_complain(world, "P2: %s of %s after the opt-out of call-%u", slot, object->key, call);
	if (from < world->notes.opened_us && world->reopened)
		from = world->notes.opened_us;
	if (strcmp(slot, "commit") == 0 && world->mono_us < from + window)
		w_complain(world, "P14: %s is committed %lld ms after the end of call-%u", object->key,
		           (long long)(world->mono_us - from) / 1000, call);
}
