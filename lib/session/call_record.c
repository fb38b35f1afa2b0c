/* SPDX-License-Identifier: MIT */
/* The call record: that a call took place, how long, and what became of its recording. Kept after an opt-out (P8).
 */
#include "facts.h"
#include "work.h"

#include "../base/json_write.h"
#include "../media/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* All from here on: lock held. */

static void put_flag(rco__text *t, const char *name, int yes)
{
	rco__text_name(t, name);
	rco__text_put(t, yes ? "true" : "false");
}

static void put_time(rco__text *t, const char *name, int64_t us)
{
	char text[40], whole[24];
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	if (us <= 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		rco__text_name(t, name);
		rco__text_put(t, "null");
		return;
	}
	(void)snprintf(text, sizeof text, "%s.%06dZ", whole, (int)(us % 1000000));
	rco__text_member(t, name, text);
}

static void put_leg(rco__text *t, rco_session *s, uint32_t i)
{
	const rco__leg *l = &s->legs[i];
	const rco__format *f = rco__format_of(s->legs[i].format);
	rco__ring *ring = rco__leg_ring(s, i);
	uint64_t bytes = ring != NULL ? rco__ring_end(ring) : atomic_load(&s->legs[i].total);
	uint64_t gaps = ring != NULL ? atomic_load(&ring->gaps) : atomic_load(&s->legs[i].gaps);
	uint64_t late = ring != NULL ? atomic_load(&rco__pool_gaps(s->engine->pool, ring)->late)
	                             : atomic_load(&s->legs[i].late);
	uint64_t lost = ring != NULL ? atomic_load(&ring->overflowed) : atomic_load(&s->legs[i].overflowed);
	uint64_t rate = (uint64_t)f->rate_hz * f->sample_bytes;

	rco__text_put(t, i > 0 ? ",{\"label\":" : "{\"label\":");
	rco__text_string(t, l->label);
	rco__text_member(t, "format", f->name);
	rco__text_member_number(t, "bytes", (int64_t)bytes);
	rco__text_member_number(t, "recorded_ms", (int64_t)(bytes / rate * 1000 + bytes % rate * 1000 / rate));
	rco__text_member_number(t, "gaps_ms", (int64_t)(gaps / rate * 1000 + gaps % rate * 1000 / rate));
	rco__text_member_number(t, "overflowed_frames", (int64_t)lost);
	rco__text_member_number(t, "late_frames", (int64_t)late);
	rco__text_put(t, "}");
}

static void put_legs(rco__text *t, rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);

	rco__text_name(t, "legs");
	rco__text_put(t, "[");
	for (i = 0; i < n; i++)
		put_leg(t, s, i);
	rco__text_put(t, "]");
}

/* The finished files that exist. */
static void put_files(rco__text *t, const rco_session *s)
{
	const char *before = "";
	const rco__copy *c;

	rco__text_name(t, "files");
	rco__text_put(t, "[");
	for (c = s->control.copies; c != NULL; c = c->next) {
		if (c->store != RCO_STORE_UPLOAD || !(c->flags & RCO__COPY_COMMITTED) ||
		    (c->flags & RCO__COPY_GONE))
			continue;
		rco__text_put(t, before);
		rco__text_string(t, c->key);
		before = ",";
	}
	rco__text_put(t, "]");
}

static void put_opt_out(rco__text *t, rco_session *s)
{
	const rco__receipt_data *r = &s->control.receipt;
	char id[RCO_ID_TEXT + 1];

	rco__text_name(t, "opt_out");
	if (!rco__opted_out(s)) {
		rco__text_put(t, "null");
		return;
	}
	rco__uuid_text(r->id, id);
	rco__text_put(t, "{\"receipt\":");
	rco__text_string(t, id);
	rco__text_member(t, "source", r->source);
	rco__text_member(t, "status", rco_status_name(rco__status(s)));
	put_flag(t, "held", (r->facts & RCO_FACT_HELD) != 0);
	put_flag(t, "escalated", (r->facts & RCO_FACT_ESCALATED) != 0);
	put_time(t, "requested_at", r->requested_us);
	put_time(t, "stopped_at", r->stopped_us);
	put_time(t, "durable_at", r->durable_us);
	put_time(t, "erased_at", r->erased_us);
	put_time(t, "verified_at", r->verified_us);
	rco__text_put(t, "}");
}

/* A held call's state is what became of its audio; the opt-out says that it is held. */
static void put_record(rco__text *t, rco_session *s)
{
	char id[RCO_ID_TEXT + 1];
	int64_t duration = 0;

	if (s->control.started_us != 0 && s->control.ended_us > s->control.started_us)
		duration = (s->control.ended_us - s->control.started_us) / 1000;
	rco__uuid_text(s->recording_id, id);
	rco__text_put(t, "{\"v\":1");
	rco__text_member(t, "call_id", s->call_id);
	rco__text_member(t, "recording", id);
	put_time(t, "created_at", s->control.created_us);
	put_time(t, "started_at", s->control.started_us);
	put_time(t, "ended_at", s->control.ended_us);
	rco__text_member_number(t, "duration_ms", duration);
	put_flag(t, "recovered", s->recovered != 0);
	put_legs(t, s);
	put_files(t, s);
	put_opt_out(t, s);
	rco__text_put(t, "}");
}

int rco__call_record(rco_session *s, char **text, size_t *size)
{
	rco__text t = {0};

	(void)pthread_mutex_lock(&s->lock);
	put_record(&t, s);
	(void)pthread_mutex_unlock(&s->lock);
	*text = NULL;
	if (!t.failed) {
		*size = t.size;
		*text = rco__alloc(&s->engine->env, t.size + 1);
		if (*text != NULL)
			memcpy(*text, t.bytes, t.size + 1);
	}
	free(t.bytes);
	return *text != NULL ? RCO_OK
	                     : rco__fail(RCO_E_NO_MEMORY, "no memory for the call record of %s", s->call_id);
}
