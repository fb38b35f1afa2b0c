/* SPDX-License-Identifier: MIT */
/*
 * What is written to the ledger and to the calls journal, and how it is read
 * back. docs/ledger-format.md lists the entries. Payloads begin with a version
 * byte; later versions only append fields.
 */
#include "recover.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { PAYLOAD_VERSION = 1 };

/* ---- writing ---- */

static void begin(rco__cursor *c, uint8_t *buf, size_t size)
{
	rco__cursor_writer(c, buf, size);
	rco__w8(c, PAYLOAD_VERSION);
}

static int append_call(rco_session *s, uint16_t type, uint16_t flags, const rco__cursor *c, const uint8_t *buf,
                       uint64_t *lsn)
{
	uint64_t unused;

	if (c->failed)
		return rco__fail(RCO_E_INTERNAL, "an entry of the calls journal does not fit");
	return rco__ledger_append(s->engine->calls, type, flags, s->recording_id, buf, rco__cursor_used(c, buf),
	                          lsn != NULL ? lsn : &unused);
}

int rco__journal_begin(rco_session *s, uint64_t *lsn)
{
	uint8_t buf[512];
	rco__cursor c;

	begin(&c, buf, sizeof buf);
	rco__w64(&c, (uint64_t)s->created_us);
	rco__w64(&c, (uint64_t)s->started_us);
	rco__wstr(&c, s->call_id);
	rco__w8(&c, s->hold != 0);
	return append_call(s, RCO__CALL_BEGIN, 0, &c, buf, lsn);
}

int rco__journal_leg(rco_session *s, uint32_t leg)
{
	uint8_t buf[64];
	rco__cursor c;

	begin(&c, buf, sizeof buf);
	rco__w32(&c, leg);
	rco__w32(&c, s->legs[leg].format);
	rco__wstr(&c, s->legs[leg].label);
	return append_call(s, RCO__CALL_LEG, 0, &c, buf, NULL);
}

int rco__journal_copy(rco_session *s, uint16_t type, const rco__copy *copy, uint64_t *lsn)
{
	uint8_t buf[RCO__LEDGER_PAYLOAD_MAX];
	rco__cursor c;

	begin(&c, buf, sizeof buf);
	rco__w32(&c, copy->kind);
	rco__w32(&c, copy->store);
	rco__w64(&c, copy->size_bytes);
	rco__wstr(&c, copy->key);
	rco__wstr(&c, copy->version);
	rco__wstr(&c, copy->upload_id);
	return append_call(s, type, 0, &c, buf, lsn);
}

int rco__journal_end(rco_session *s)
{
	uint8_t buf[64];
	rco__cursor c;

	begin(&c, buf, sizeof buf);
	rco__w64(&c, (uint64_t)s->started_us);
	rco__w64(&c, (uint64_t)s->ended_us);
	return append_call(s, RCO__CALL_END, 0, &c, buf, NULL);
}

int rco__journal_closed(rco_session *s)
{
	uint8_t buf[8];
	rco__cursor c;

	begin(&c, buf, sizeof buf);
	return append_call(s, RCO__CALL_CLOSED, RCO__LEDGER_CLOSES, &c, buf, NULL);
}

static void write_receipt(rco__cursor *c, const rco__receipt_data *r)
{
	rco__wbytes(c, r->recording_id, 16);
	rco__w32(c, r->facts);
	rco__w64(c, (uint64_t)r->requested_us);
	rco__w64(c, (uint64_t)r->stopped_us);
	rco__wstr(c, r->call_id);
	rco__wstr(c, r->source);
}

/*
 * What nothing else says as long as no erasure has begun is written twice: a sector that goes bad takes one of the
 * two, and replay takes an entry that comes again for what it is. Both are of one commit.
 */
static int append_twice(rco_engine *engine, uint16_t type, uint16_t flags, const uint8_t id[16],
                        const void *payload, size_t size, uint64_t *lsn)
{
	int rc = rco__ledger_append(engine->ledger, type, flags, id, payload, size, lsn);

	/* Without memory for the second the first has to do. */
	if (rc == RCO_OK && rco__ledger_append(engine->ledger, type, flags, id, payload, size, lsn) != RCO_OK)
		rco__error_clear();
	return rc;
}

int rco__journal_tombstone(rco_session *s, uint16_t flags, uint64_t *lsn)
{
	uint8_t buf[2048];
	rco__cursor c;
	uint32_t i, n = atomic_load(&s->n_legs);

	begin(&c, buf, sizeof buf);
	write_receipt(&c, &s->receipt);
	rco__w64(&c, (uint64_t)s->created_us);
	rco__w64(&c, (uint64_t)s->started_us);
	rco__w64(&c, (uint64_t)s->ended_us);
	rco__w32(&c, n);
	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		rco__w32(&c, s->legs[i].format);
		rco__w64(&c, ring != NULL ? rco__gate_index(&ring->gate) : atomic_load(&s->legs[i].total));
		rco__wstr(&c, s->legs[i].label);
	}
	if (c.failed)
		return rco__fail(RCO_E_INTERNAL, "a tombstone does not fit");
	return append_twice(s->engine, RCO__OPT_TOMBSTONE, flags, s->receipt.id, buf, rco__cursor_used(&c, buf),
	                    lsn);
}

int rco__journal_mark(rco_engine *engine, const rco__receipt_data *receipt, uint16_t type, uint16_t flags,
                      int64_t when_us, uint64_t *lsn)
{
	uint8_t buf[32];
	rco__cursor c;

	begin(&c, buf, sizeof buf);
	rco__w64(&c, (uint64_t)when_us);
	return rco__ledger_append(engine->ledger, type, flags, receipt->id, buf, rco__cursor_used(&c, buf), lsn);
}

int rco__journal_prebirth(rco_engine *engine, const rco__prebirth *prebirth, uint64_t *lsn)
{
	uint8_t buf[1024];
	rco__cursor c;

	begin(&c, buf, sizeof buf);
	write_receipt(&c, &prebirth->receipt);
	rco__w64(&c, (uint64_t)prebirth->expires_us);
	if (c.failed)
		return rco__fail(RCO_E_INTERNAL, "an opt-out does not fit");
	return append_twice(engine, RCO__OPT_PREBIRTH, 0, prebirth->receipt.id, buf, rco__cursor_used(&c, buf),
	                    lsn);
}

/* ---- reading back. What does not parse is logged and skipped: its neighbours still count. ---- */

static void read_copy(rco__cursor *c, rco__recovery *recovery, rco__found_call *call, uint16_t type)
{
	uint32_t kind = rco__r32(c), store = rco__r32(c);
	char key[1024], version[256], upload_id[256];
	uint64_t size = rco__r64(c);
	rco__found_copy *copy;

	rco__rstr(c, key, sizeof key);
	rco__rstr(c, version, sizeof version);
	rco__rstr(c, upload_id, sizeof upload_id);
	if (c->failed)
		return;
	copy = rco__recovery_copy(recovery, call, store, key, version);
	if (copy == NULL) {
		c->failed = 1;
		return;
	}
	copy->kind = kind;
	copy->size_bytes = size;
	if (upload_id[0] != '\0')
		(void)snprintf(copy->upload_id, sizeof copy->upload_id, "%s", upload_id);
	if (type != RCO__CALL_ARTIFACT)
		copy->flags |= RCO__COPY_BEGUN;
	if (type == RCO__CALL_COMMITTED)
		copy->flags |= RCO__COPY_COMMITTED;
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
	if (c->failed || c->at == c->end || (call->hold_said && said_us < call->hold_said_us))
		return;
	call->hold = rco__r8(c) & 1;
	call->hold_said = 1;
	call->hold_said_us = said_us;
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
	(void)rco__r8(&c);
	switch (entry->type) {
	case RCO__CALL_BEGIN:
		call->begun = 1;
		call->created_us = rco__time_known(rco__r64(&c));
		read_started(&c, call);
		rco__rstr(&c, call->call_id, sizeof call->call_id);
		read_hold(&c, call, entry->time_us);
		break;
	case RCO__CALL_LEG:
		read_leg(&c, call);
		break;
	case RCO__CALL_END:
		read_started(&c, call);
		call->ended_us = rco__time_known(rco__r64(&c));
		break;
	case RCO__CALL_ARTIFACT:
	case RCO__CALL_INTENT:
	case RCO__CALL_UPLOAD_ID:
	case RCO__CALL_COMMITTED:
		read_copy(&c, recovery, call, entry->type);
		break;
	default:
		break; /* CLOSED has been seen to above; others are of a later version */
	}
	if (c.failed)
		rco__recovery_odd(recovery, "calls journal", entry);
	return RCO_OK;
}

static void read_receipt(rco__cursor *c, rco__found_opt *opt)
{
	rco__receipt_data *r = &opt->receipt;
	uint8_t recording_id[16];
	uint32_t facts;

	rco__rbytes(c, recording_id, 16);
	facts = rco__r32(c);
	r->requested_us = rco__time_known(rco__r64(c));
	r->stopped_us = rco__time_known(rco__r64(c));
	rco__rstr(c, opt->call_id, sizeof opt->call_id);
	rco__rstr(c, r->source, sizeof r->source);
	if (c->failed)
		return;
	if (!sodium_is_zero(recording_id, sizeof recording_id))
		memcpy(r->recording_id, recording_id, 16);
	r->facts |= facts;
}

static void read_tombstone(rco__cursor *c, rco__found_opt *opt)
{
	uint32_t i, n;

	read_receipt(c, opt);
	opt->created_us = rco__time_known(rco__r64(c));
	opt->started_us = rco__time_known(rco__r64(c));
	opt->ended_us = rco__time_known(rco__r64(c));
	n = rco__r32(c);
	for (i = 0; i < n && i < RCO_MAX_LEGS && !c->failed; i++) {
		opt->legs[i].format = rco__r32(c);
		opt->legs[i].bytes = rco__r64(c);
		rco__rstr(c, opt->legs[i].label, sizeof opt->legs[i].label);
	}
	/* A tombstone that is only half understood still is one. */
	opt->tombstone = 1;
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
	case RCO__OPT_EXPIRED:
		opt->closed = 1;
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
		read_tombstone(&c, opt);
	} else if (entry->type == RCO__OPT_PREBIRTH) {
		read_receipt(&c, opt);
		opt->expires_us = rco__time_known(rco__r64(&c));
		if (opt->expires_us == 0 && !c.failed) /* rather for ever than not at all */
			opt->expires_us = RCO__TIME_MAX;
		opt->prebirth = 1;
	} else {
		read_mark(&c, opt, entry->type);
	}
	if (c.failed)
		rco__recovery_odd(recovery, "ledger", entry);
	return RCO_OK;
}
