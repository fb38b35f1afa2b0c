/* SPDX-License-Identifier: MIT */
/*
 * What is written to the ledger and to the calls journal; replay.c reads it back. docs/ledger-format.md lists the
 * entries. Payloads begin with a version byte; later versions only append fields.
 */
#include "core.h"
#include "facts.h"
#include "journal.h"

enum { LEDGER_PAYLOAD = 1 };

static void begin(rco__cursor *c, uint8_t *buf, size_t size, uint8_t version)
{
	rco__cursor_writer(c, buf, size);
	rco__w8(c, version);
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
	static const uint8_t none[16];
	uint8_t buf[512];
	rco__cursor c;

	begin(&c, buf, sizeof buf, RCO__CALLS_PAYLOAD);
	rco__w64(&c, (uint64_t)s->control.created_us);
	rco__w64(&c, (uint64_t)s->control.started_us);
	rco__wstr(&c, s->call_id);
	rco__w8(&c, rco__hold_byte(s));
	rco__w8(&c, (uint8_t)atomic_load(&s->recorder.told));
	rco__wbytes(&c, s->earlier != NULL ? s->earlier->recording_id : none, sizeof none);
	return append_call(s, RCO__CALL_BEGIN, 0, &c, buf, lsn);
}

int rco__journal_leg(rco_session *s, uint32_t leg)
{
	uint8_t buf[64];
	rco__cursor c;

	begin(&c, buf, sizeof buf, RCO__CALLS_PAYLOAD);
	rco__w32(&c, leg);
	rco__w32(&c, s->legs[leg].format);
	rco__wstr(&c, s->legs[leg].label);
	return append_call(s, RCO__CALL_LEG, 0, &c, buf, NULL);
}

static int append_copy(rco_session *s, uint16_t type, const rco__copy *copy, uint64_t number, uint64_t *lsn)
{
	uint8_t buf[RCO__LEDGER_PAYLOAD_MAX];
	rco__cursor c;

	begin(&c, buf, sizeof buf, RCO__CALLS_PAYLOAD);
	rco__w32(&c, copy->kind);
	rco__w32(&c, copy->store);
	rco__w64(&c, copy->size_bytes);
	rco__wstr(&c, copy->key);
	rco__wstr(&c, copy->version);
	rco__wstr(&c, copy->upload_id);
	rco__wstr(&c, copy->place); /* "" if the key says it all */
	rco__w64(&c, number);
	return append_call(s, type, 0, &c, buf, lsn);
}

int rco__journal_copy(rco_session *s, uint16_t type, const rco__copy *copy, uint64_t *lsn)
{
	return append_copy(s, type, copy, copy->store == RCO_STORE_UPLOAD ? copy->upload_no : copy->claim, lsn);
}

int rco__journal_yielded(rco_session *s, const rco__copy *copy, uint64_t *lsn)
{
	return append_copy(s, RCO__CALL_YIELDED, copy, copy->yielded, lsn);
}

int rco__journal_end(rco_session *s)
{
	uint8_t buf[64];
	rco__cursor c;

	begin(&c, buf, sizeof buf, RCO__CALLS_PAYLOAD);
	rco__w64(&c, (uint64_t)s->control.started_us);
	rco__w64(&c, (uint64_t)s->control.ended_us);
	return append_call(s, RCO__CALL_END, 0, &c, buf, NULL);
}

/* What the ledger has to know before nothing else knows of this call any more. */
int rco__journal_reuse(rco_session *s)
{
	uint64_t lsn = atomic_load(&s->control.reuse_lsn);

	return lsn != 0 ? rco__ledger_sync(s->engine->ledger, lsn) : RCO_OK;
}

int rco__journal_closed(rco_session *s)
{
	uint8_t buf[8];
	rco__cursor c;

	begin(&c, buf, sizeof buf, RCO__CALLS_PAYLOAD);
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

enum { PARTS_MAX = 32 }; /* the latest of a call that went on over more restarts */

static void write_parts(rco__cursor *c, const rco_session *earlier)
{
	const rco_session *p;
	uint8_t n = 0;

	for (p = earlier; p != NULL && n < PARTS_MAX; p = p->earlier)
		n++;
	rco__w8(c, n);
	for (p = earlier; n > 0; n--, p = p->earlier)
		rco__wbytes(c, p->recording_id, sizeof p->recording_id);
}

int rco__journal_tombstone(rco_session *s, uint64_t *lsn)
{
	uint8_t buf[2048];
	rco__cursor c;
	uint32_t i, n = atomic_load(&s->n_legs);

	begin(&c, buf, sizeof buf, LEDGER_PAYLOAD);
	write_receipt(&c, &s->control.receipt);
	rco__w64(&c, (uint64_t)s->control.created_us);
	rco__w64(&c, (uint64_t)s->control.started_us);
	rco__w64(&c, (uint64_t)s->control.ended_us);
	rco__w32(&c, n);
	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		rco__w32(&c, s->legs[i].format);
		rco__w64(&c, ring != NULL ? rco__ring_end(ring) : atomic_load(&s->legs[i].total));
		rco__wstr(&c, s->legs[i].label);
	}
	rco__w8(&c, s->control.id_reused != 0);
	write_parts(&c, s->earlier);
	if (c.failed)
		return rco__fail(RCO_E_INTERNAL, "a tombstone does not fit");
	return append_twice(s->engine, RCO__OPT_TOMBSTONE, 0, s->control.receipt.id, buf,
	                    rco__cursor_used(&c, buf), lsn);
}

int rco__journal_mark(rco_engine *engine, const rco__receipt_data *receipt, uint16_t type, uint16_t flags,
                      int64_t when_us, uint64_t *lsn)
{
	uint8_t buf[32];
	rco__cursor c;

	begin(&c, buf, sizeof buf, LEDGER_PAYLOAD);
	rco__w64(&c, (uint64_t)when_us);
	return rco__ledger_append(engine->ledger, type, flags, receipt->id, buf, rco__cursor_used(&c, buf), lsn);
}

int rco__journal_done(rco_session *s, uint64_t *lsn)
{
	rco__receipt_data whole, *r = &whole;
	uint8_t buf[64];
	rco__cursor c;

	rco__receipt_whole(s, &whole);
	begin(&c, buf, sizeof buf, LEDGER_PAYLOAD);
	rco__w64(&c, (uint64_t)rco__wall_us(&s->engine->env));
	rco__w32(&c, r->facts);
	rco__w64(&c, (uint64_t)r->stopped_us);
	rco__w64(&c, (uint64_t)r->durable_us);
	rco__w64(&c, (uint64_t)r->erased_us);
	rco__w64(&c, (uint64_t)r->verified_us);
	return rco__ledger_append(s->engine->ledger, RCO__OPT_CLOSED, RCO__LEDGER_CLOSES, s->control.receipt.id,
	                          buf, rco__cursor_used(&c, buf), lsn);
}

int rco__journal_early(rco_engine *engine, const rco__early *early, uint64_t *lsn)
{
	uint8_t buf[1024];
	rco__cursor c;

	begin(&c, buf, sizeof buf, LEDGER_PAYLOAD);
	write_receipt(&c, &early->receipt);
	rco__w64(&c, (uint64_t)early->expires_us);
	if (c.failed)
		return rco__fail(RCO_E_INTERNAL, "an opt-out does not fit");
	return append_twice(engine, RCO__OPT_EARLY, 0, early->receipt.id, buf, rco__cursor_used(&c, buf), lsn);
}
