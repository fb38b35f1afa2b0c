/* SPDX-License-Identifier: MIT */
/* The call record: that a call took place, how long, and what became of its recording. Kept after an opt-out (P8).
 */
#include "internal.h"

#include "../base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static json_t *time_json(int64_t us)
{
	char text[40], whole[24];
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	if (us <= 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return json_null();
	(void)snprintf(text, sizeof text, "%s.%06dZ", whole, (int)(us % 1000000));
	return json_string(text);
}

/* Lock held. */
static json_t *leg_json(rco_session *s, uint32_t i)
{
	const rco__leg *l = &s->legs[i];
	const rco__format *f = rco__format_of(s->legs[i].format);
	rco__ring *ring = rco__leg_ring(s, i);
	uint64_t bytes = ring != NULL ? rco__gate_index(&ring->gate) : atomic_load(&s->legs[i].total);
	uint64_t lost = ring != NULL ? atomic_load(&ring->overflowed) : atomic_load(&s->legs[i].overflowed);
	uint64_t rate = (uint64_t)f->rate_hz * f->sample_bytes;

	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "label", l->label, "format", f->name, "bytes",
	                 (json_int_t)bytes, "recorded_ms", (json_int_t)(bytes * 1000 / rate), "overflowed_frames",
	                 (json_int_t)lost);
}

/* Lock held. */
static json_t *legs_json(rco_session *s)
{
	json_t *legs = json_array();
	uint32_t i, n = atomic_load(&s->n_legs);

	for (i = 0; legs != NULL && i < n; i++)
		if (json_array_append_new(legs, leg_json(s, i)) != 0) {
			json_decref(legs);
			return NULL;
		}
	return legs;
}

/* Lock held: the finished files that exist. */
static json_t *files_json(rco_session *s)
{
	json_t *files = json_array();
	const rco__copy *c;

	for (c = s->copies; files != NULL && c != NULL; c = c->next) {
		if (c->store != RCO_STORE_UPLOAD || !(c->flags & RCO__COPY_COMMITTED) ||
		    (c->flags & RCO__COPY_GONE))
			continue;
		if (json_array_append_new(files, json_string(c->key)) != 0) {
			json_decref(files);
			return NULL;
		}
	}
	return files;
}

/* Lock held. */
static json_t *opt_out_json(rco_session *s)
{
	const rco__receipt_data *r = &s->receipt;
	char id[RCO_ID_TEXT + 1];

	if (!(atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT))
		return json_null();
	rco__uuid_text(r->id, id);
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "receipt", id, "source", r->source,
	                 "status", rco_status_name(rco__status(s)), "held", (r->facts & RCO_FACT_HELD) != 0,
	                 "escalated", (r->facts & RCO_FACT_ESCALATED) != 0, "requested_at",
	                 time_json(r->requested_us), "stopped_at", time_json(r->stopped_us), "durable_at",
	                 time_json(r->durable_us), "erased_at", time_json(r->erased_us), "verified_at",
	                 time_json(r->verified_us));
}

/* Lock held. A held call's state is what became of its audio; the opt-out says that it is held. */
static json_t *record_json(rco_session *s)
{
	char id[RCO_ID_TEXT + 1];
	json_int_t duration = 0;

	if (s->started_us != 0 && s->ended_us > s->started_us)
		duration = (json_int_t)((s->ended_us - s->started_us) / 1000);
	rco__uuid_text(s->recording_id, id);
	return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:I, s:b, s:o, s:o, s:o}", "v", 1, "call_id", s->call_id,
	                 "recording", id, "created_at", time_json(s->created_us), "started_at",
	                 time_json(s->started_us), "ended_at", time_json(s->ended_us), "duration_ms", duration,
	                 "recovered", s->recovered != 0, "legs", legs_json(s), "files", files_json(s), "opt_out",
	                 opt_out_json(s));
}

int rco__call_record(rco_session *s, char **text, size_t *size)
{
	char *dumped;
	json_t *record;

	(void)pthread_mutex_lock(&s->lock);
	record = record_json(s);
	(void)pthread_mutex_unlock(&s->lock);
	dumped = rco__json_text(record);
	json_decref(record);
	*text = NULL;
	if (dumped != NULL) {
		*size = strlen(dumped);
		*text = rco__alloc(&s->engine->env, *size + 1);
		if (*text != NULL)
			memcpy(*text, dumped, *size + 1);
		free(dumped);
	}
	return *text != NULL ? RCO_OK
	                     : rco__fail(RCO_E_NO_MEMORY, "no memory for the call record of %s", s->call_id);
}
