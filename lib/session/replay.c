/* SPDX-License-Identifier: MIT */
/*
 * What an earlier process wrote to the ledger and to the calls journal, read back. What does not parse is logged
 * and skipped: its neighbours still count.
 */
#include "calls.h"
#include "found.h"
#include "journal.h"

#include "../media/format.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/*
 * Of several uploads of a file the last counts, and of that what was written when its commit was asked for:
 * entries may come out of order, and the commit that is asked for again must be that one.
 */
static int read_upload(rco__recovery *recovery, rco__found_copy *copy, uint16_t type, uint64_t number,
                       uint64_t size, const char *upload_id)
{
	copy->flags |= RCO__COPY_BEGUN;
	if (type == RCO__CALL_COMMITTED) {
		copy->flags |= RCO__COPY_COMMITTED;
		copy->size_bytes = size;
	}
	if (number > copy->upload_no) {
		copy->upload_no = number;
		copy->flags &= ~(uint32_t)(RCO__COPY_COMMITTING | RCO__COPY_SENT);
	}
	if (number < copy->upload_no || ((copy->flags & RCO__COPY_COMMITTING) && type != RCO__CALL_COMMITTING))
		return RCO_OK;
	if (type == RCO__CALL_COMMITTING)
		copy->flags |= RCO__COPY_COMMITTING | RCO__COPY_SENT;
	if (!(copy->flags & RCO__COPY_COMMITTED))
		copy->size_bytes = size;
	if (upload_id[0] != '\0' || type == RCO__CALL_COMMITTING)
		return rco__recovery_text(recovery, &copy->upload_id, upload_id);
	return RCO_OK;
}

static void read_copy(rco__cursor *c, rco__recovery *recovery, rco__found_call *call,
                      const rco__ledger_entry *entry)
{
	uint16_t type = entry->type;
	uint32_t kind = rco__r32(c), store = rco__r32(c);
	char key[RCO__KEY_MAX + 1], version[RCO__VERSION_MAX + 1], upload_id[RCO__VERSION_MAX + 1];
	char place[RCO__PLACE_CAP];
	uint64_t size = rco__r64(c), number;
	rco__found_copy *copy;

	rco__rstr(c, key, sizeof key);
	rco__rstr(c, version, sizeof version);
	rco__rstr(c, upload_id, sizeof upload_id);
	rco__rstr(c, place, sizeof place);
	number = rco__r64(c);
	if (c->failed)
		return;
	copy = rco__recovery_copy(recovery, call, store, key, version);
	if (copy == NULL) {
		c->failed = 1;
		return;
	}
	copy->kind = kind;
	if (place[0] != '\0' && copy->place == NULL &&
	    rco__recovery_text(recovery, &copy->place, place) != RCO_OK) {
		c->failed = 1;
		return;
	}
	/* Registered again after it had given way, it is this call's once more: whatever is higher counts. */
	if (type == RCO__CALL_ARTIFACT && number > copy->claim)
		copy->claim = number;
	else if (type == RCO__CALL_YIELDED && number > copy->yielded)
		copy->yielded = number;
	if (type != RCO__CALL_ARTIFACT && type != RCO__CALL_YIELDED &&
	    read_upload(recovery, copy, type, number, size, upload_id) != RCO_OK)
		c->failed = 1;
}

static void read_leg(rco__cursor *c, rco__found_call *call)
{
	uint32_t leg = rco__r32(c), format = rco__r32(c);
	char label[RCO_LABEL_MAX + 1];

	rco__rstr(c, label, sizeof label);
	if (c->failed || leg >= RCO_MAX_LEGS || rco__format_of(format) == NULL || !rco__label_ok(label, 0)) {
		c->failed = 1;
		return;
	}
	call->legs[leg].format = format;
	memcpy(call->legs[leg].label, label, sizeof label);
	call->booked_legs |= 1u << leg;
}

/*
 * A legal hold as the journal last said; entries of before it was written end here. A copy of an entry stands
 * behind newer ones, and keeps its time.
 */
static void read_hold(rco__cursor *c, rco__found_call *call, int64_t said_us)
{
	int newest = !call->hold_said || said_us >= call->hold_said_us, recorder;
	uint8_t said;

	if (c->failed || c->at == c->end)
		return;
	said = rco__r8(c);
	call->buffer = (uint32_t)said >> 1;
	recorder = c->at != c->end ? rco__r8(c) : call->recorder;
	if (!newest || c->failed)
		return;
	call->hold = said & 1;
	call->hold_said = 1;
	call->hold_said_us = said_us;
	call->recorder = recorder;
}

/* The part before, of a call that goes on. Once that is over, an entry says nothing of it any more. */
static void read_continues(rco__cursor *c, rco__found_call *call)
{
	uint8_t id[16];

	if (c->failed || c->at == c->end)
		return;
	rco__rbytes(c, id, sizeof id);
	if (!c->failed && !sodium_is_zero(id, sizeof id))
		memcpy(call->continues, id, sizeof id);
}

/* A call is noted when it is made, when it starts, and when a legal hold is set or lifted. */
static void read_started(rco__cursor *c, rco__found_call *call)
{
	int64_t when = rco__time_known(rco__r64(c));

	if (when != 0)
		call->started_us = when;
}

int rco__journal_replay_calls(const rco__ledger_entry *entry, void *user_data)
{
	rco__recovery *recovery = user_data;
	rco__found_call *call = rco__recovery_call(recovery, entry->subject);
	rco__cursor c;

	if (call == NULL)
		return RCO_E_NO_MEMORY;
	call->journaled = 1;
	/* An artifact that came after the end opens the call again. */
	call->closed = entry->type == RCO__CALL_CLOSED || (call->closed && entry->type != RCO__CALL_ARTIFACT);
	rco__cursor_reader(&c, entry->payload, entry->payload_size);
	call->older |= rco__r8(&c) == 1;
	switch (entry->type) {
	case RCO__CALL_BEGIN:
		call->begun = 1;
		call->created_us = rco__time_known(rco__r64(&c));
		read_started(&c, call);
		rco__rstr(&c, call->call_id, sizeof call->call_id);
		read_hold(&c, call, entry->time_us);
		read_continues(&c, call);
		break;
	case RCO__CALL_LEG:
		read_leg(&c, call);
		break;
	case RCO__CALL_END:
		read_started(&c, call);
		call->ended_us = rco__time_known(rco__r64(&c));
		call->end_told = 1;
		break;
	case RCO__CALL_ARTIFACT:
	case RCO__CALL_INTENT:
	case RCO__CALL_UPLOAD_ID:
	case RCO__CALL_COMMITTED:
	case RCO__CALL_YIELDED:
	case RCO__CALL_COMMITTING:
		if (!call->older) /* refused, unless nothing is to be done about the call */
			read_copy(&c, recovery, call, entry);
		break;
	default:
		break; /* CLOSED has been seen to above; others are of a later version */
	}
	if (c.failed)
		rco__recovery_odd(recovery, "calls journal", entry);
	return RCO_OK;
}

static void read_receipt(rco__cursor *c, rco__recovery *recovery, rco__found_opt *opt)
{
	rco__receipt_data *r = &opt->receipt;
	char call_id[RCO_CALL_ID_MAX + 1];
	uint8_t recording_id[16];
	uint32_t facts;

	rco__rbytes(c, recording_id, 16);
	facts = rco__r32(c);
	r->requested_us = rco__time_known(rco__r64(c));
	r->stopped_us = rco__time_known(rco__r64(c));
	rco__rstr(c, call_id, sizeof call_id);
	if (!c->failed)
		rco__recovery_opt_id(recovery, opt, call_id);
	rco__rstr(c, r->source, sizeof r->source);
	if (c->failed)
		return;
	if (!sodium_is_zero(recording_id, sizeof recording_id))
		memcpy(r->recording_id, recording_id, 16);
	r->facts |= facts;
}

static void read_tombstone(rco__cursor *c, rco__recovery *recovery, rco__found_opt *opt)
{
	rco__found_leg legs[RCO_MAX_LEGS] = {0};
	uint8_t part[16];
	uint32_t i, n;

	read_receipt(c, recovery, opt);
	opt->created_us = rco__time_known(rco__r64(c));
	opt->started_us = rco__time_known(rco__r64(c));
	opt->ended_us = rco__time_known(rco__r64(c));
	n = rco__r32(c);
	for (i = 0; i < n && i < RCO_MAX_LEGS && !c->failed; i++) {
		legs[i].format = rco__r32(c);
		legs[i].bytes = rco__r64(c);
		rco__rstr(c, legs[i].label, sizeof legs[i].label);
	}
	rco__recovery_opt_legs(recovery, opt, legs, i);
	if (!c->failed && n <= RCO_MAX_LEGS && c->at != c->end)
		opt->reused |= rco__r8(c) & 1;
	n = !c->failed && c->at != c->end ? rco__r8(c) : 0;
	for (i = 0; i < n && !c->failed; i++) {
		rco__rbytes(c, part, sizeof part);
		if (!c->failed && rco__part_add(&recovery->engine->env, &opt->parts, part) != RCO_OK)
			recovery->rc = RCO_E_NO_MEMORY;
	}
	/* A tombstone that is only half understood still is one. */
	opt->tombstone = 1;
}

/* How the receipt stood in the end; entries of before it was written end behind the time. */
static void read_done(rco__cursor *c, rco__found_opt *opt, int64_t when_us)
{
	rco__done *d = &opt->done;

	opt->closed = 1;
	if (c->failed || when_us < d->when_us)
		return;
	d->when_us = when_us;
	if (c->at == c->end)
		return;
	d->facts = rco__r32(c);
	d->stopped_us = rco__time_known(rco__r64(c));
	d->durable_us = rco__time_known(rco__r64(c));
	d->erased_us = rco__time_known(rco__r64(c));
	d->verified_us = rco__time_known(rco__r64(c));
	if (c->failed)
		d->facts = 0;
}

/* The fact that a mark stands for, and the moment it belongs to. */
static void read_mark(rco__cursor *c, rco__found_opt *opt, uint16_t type)
{
	int64_t when = rco__time_known(rco__r64(c));
	rco__receipt_data *r = &opt->receipt;

	switch (type) {
	case RCO__OPT_STOPPED:
		r->facts |= RCO_FACT_STOPPED;
		r->stopped_us = when;
		break;
	case RCO__OPT_HOLD_LIFTED:
		opt->hold_lifted = 1;
		break;
	case RCO__OPT_ERASED:
		r->erased_us = when;
		break;
	case RCO__OPT_VERIFIED:
		r->verified_us = when;
		break;
	case RCO__OPT_ESCALATED:
		r->facts |= RCO_FACT_ESCALATED;
		break;
	case RCO__OPT_CLOSED:
		read_done(c, opt, when);
		break;
	case RCO__OPT_EXPIRED:
		opt->closed = 1;
		break;
	case RCO__OPT_REUSED:
		opt->reused = 1;
		break;
	default:
		break;
	}
}

int rco__journal_replay_ledger(const rco__ledger_entry *entry, void *user_data)
{
	rco__recovery *recovery = user_data;
	rco__found_opt *opt = rco__recovery_opt(recovery, entry->subject);
	rco__cursor c;

	if (opt == NULL)
		return RCO_E_NO_MEMORY;
	if (opt->receipt.durable_us == 0)
		opt->receipt.durable_us = rco__time_known((uint64_t)entry->time_us);
	rco__cursor_reader(&c, entry->payload, entry->payload_size);
	(void)rco__r8(&c);
	if (entry->type == RCO__OPT_TOMBSTONE) {
		read_tombstone(&c, recovery, opt);
	} else if (entry->type == RCO__OPT_EARLY) {
		read_receipt(&c, recovery, opt);
		opt->expires_us = rco__time_known(rco__r64(&c));
		if (opt->expires_us == 0 && !c.failed) /* rather for ever than not at all */
			opt->expires_us = RCO__TIME_MAX;
		opt->early = 1;
	} else {
		read_mark(&c, opt, entry->type);
	}
	if (c.failed)
		rco__recovery_odd(recovery, "ledger", entry);
	/* Half of what the ledger says is not what it says. */
	return rco__recovery_short(recovery) ? RCO_E_NO_MEMORY : RCO_OK;
}
