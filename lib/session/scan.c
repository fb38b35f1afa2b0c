/* SPDX-License-Identifier: MIT */
/* What rings and buffer tell of an earlier process's calls. */
#include "calls.h"
#include "core.h"
#include "found.h"

#include "../media/format.h"

#include <sodium.h>
#include <string.h>

static void read_meta(rco__found_call *call, const void *meta, size_t size)
{
	char call_id[RCO_CALL_ID_MAX + 1];
	uint8_t receipt_id[16], before[16] = {0}, said;
	int64_t created, began;
	rco__cursor c;

	if (meta == NULL)
		return;
	rco__cursor_reader(&c, meta, size);
	(void)rco__r8(&c);
	created = rco__time_known(rco__r64(&c));
	began = rco__time_known(rco__r64(&c));
	rco__rstr(&c, call_id, sizeof call_id);
	if (c.failed || rco__call_id_check(call_id) != RCO_OK)
		return;
	if (call->call_id[0] == '\0')
		memcpy(call->call_id, call_id, sizeof call_id);
	if (call->created_us == 0)
		call->created_us = created;
	if (call->started_us == 0)
		call->started_us = began;
	rco__rbytes(&c, receipt_id, sizeof receipt_id);
	if (c.failed)
		return; /* written before it was there */
	memcpy(call->receipt_id, receipt_id, sizeof receipt_id);
	call->receipt_known = 1;
	if (c.at == c.end)
		return;
	said = rco__r8(&c);
	if (!call->hold_said)
		call->hold |= said & 1;
	if (call->buffer == 0)
		call->buffer = (uint32_t)said >> 1;
	if (c.at != c.end)
		rco__rbytes(&c, before, sizeof before);
	if (!c.failed && !sodium_is_zero(before, sizeof before))
		memcpy(call->continues, before, sizeof before);
}

/* What was noted in the ring: see rco__gates_note(). Of the receipt only if there is one. */
static int read_note(const rco__ring_owner *owner, rco__receipt_data *note, int *ended)
{
	uint8_t buf[RCO__NOTE_BYTES];
	rco__receipt_data n = {0};
	rco__cursor c;

	if (!rco__pool_noted(owner, buf))
		return 0;
	rco__cursor_reader(&c, buf, sizeof buf);
	*ended |= (rco__r8(&c) & RCO__NOTE_ENDED) != 0;
	n.requested_us = rco__time_known(rco__r64(&c));
	n.stopped_us = rco__time_known(rco__r64(&c));
	n.facts = rco__r32(&c);
	rco__rstr(&c, n.source, sizeof n.source);
	if (c.failed || n.requested_us == 0 || !rco__label_ok(n.source, 1))
		return 0;
	*note = n;
	return 1;
}

static void found_ring(rco__pool *pool, rco__ring *ring, void *user_data)
{
	rco__recovery *r = user_data;
	rco__ring_owner copy, *owner = &copy; /* what was checked, whatever becomes of the ring */
	rco__found_call *call;
	rco__found_leg *leg;

	if (rco__pool_owner(pool, ring, owner) != RCO_OK)
		return;
	call = rco__recovery_call(r, owner->recording_id);
	if (call == NULL)
		return;
	if (call->rings[owner->leg] != NULL) { /* cannot be: keep the first, and nothing of the other */
		(void)rco__pool_put(pool, ring);
		return;
	}
	leg = &call->legs[owner->leg];
	call->in_ring = 1;
	call->rings[owner->leg] = ring;
	call->ring_read[owner->leg] = atomic_load(&ring->read) + rco__gaps_taken(rco__pool_gaps(pool, ring));
	leg->format = owner->format;
	memcpy(leg->label, owner->label, sizeof leg->label);
	leg->label[sizeof leg->label - 1] = '\0';
	leg->bytes = rco__ring_end(ring);
	if (rco__gate_load(&ring->gate) & RCO__GATE_STOP)
		call->stop_bit = 1;
	call->note_known |= read_note(owner, &call->note, &call->end_told);
	read_meta(call, owner->meta, owner->meta_size);
}

static void found_recording(const rco_scanned *found, void *user_data)
{
	rco__recovery *r = user_data;
	rco__found_call *call = rco__recovery_call(r, found->id);
	uint32_t i;

	if (call == NULL)
		return;
	call->in_buffer = 1;
	call->damaged_bytes = found->damaged_bytes;
	read_meta(call, found->meta, found->meta_bytes);
	for (i = 0; i < RCO_MAX_LEGS; i++) {
		if (found->leg_format[i] == 0 || rco__format_of(found->leg_format[i]) == NULL)
			continue;
		if (call->legs[i].format == 0)
			call->legs[i].format = found->leg_format[i];
		call->held[i] = found->leg_bytes[i];
		if (call->legs[i].bytes < found->leg_bytes[i])
			call->legs[i].bytes = found->leg_bytes[i];
	}
}

int rco__recovery_scan(rco__recovery *r)
{
	rco_engine *engine = r->engine;
	int rc = RCO_OK;

	rco__pool_orphans(engine->pool, found_ring, r);
	if (engine->buffer.scan != NULL)
		RCO__ASK_HOST(engine, rc, engine->buffer.scan(found_recording, r, engine->buffer_ud));
	return rco__at_once("scan", rc);
}
