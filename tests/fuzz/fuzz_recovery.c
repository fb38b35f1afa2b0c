/* SPDX-License-Identifier: MIT */
/*
 * A whole engine over what an earlier process left: entries of both journals with any contents (their checksums
 * and chain are right), and recordings in the spool with any meta data. Beside them a call to be kept, one that
 * was opted out and not yet erased, and an opt-out for a call not yet known. The engine opens; the kept call is
 * stored, once; the opted-out one never, the unborn one records nothing; call records are JSON; and so it is when
 * it is opened again.
 */
#include "engine.h"

#include "../../lib/ledger/ledger_internal.h"
#include "../../lib/session/journal.h"
#include "../../lib/session/work.h"

#include <string.h>

enum { RECORDING = 1, UNBORN = 2, UPLOADING = 4, NAMED = 0xee, ENTRIES = 24 };

/* ---- what the input adds ---- */

typedef struct touched {
	int kept, gone, unborn;
} touched;

/* A number that stands for an id; NAMED and another for one of those that there are. */
static void take_id(fuzz_input *in, uint8_t id[16])
{
	memset(id, 0, 16);
	id[0] = fuzz_8(in);
	if (id[0] == NAMED) {
		uint8_t which = fuzz_8(in) % 3;

		memcpy(id, which == 0 ? engine_kept_id : which == 1 ? engine_gone_id : engine_gone_receipt, 16);
		return;
	}
	id[1] = id[0];
}

static void note(touched *t, const uint8_t subject[16], const uint8_t *payload, size_t size)
{
	t->kept |= memcmp(subject, engine_kept_id, 16) == 0 || memmem(payload, size, engine_kept_id, 16) != NULL;
	t->gone |= memcmp(subject, engine_gone_receipt, 16) == 0 ||
	           memmem(payload, size, engine_gone_id, 16) != NULL || memcmp(subject, engine_gone_id, 16) == 0;
	/* A call of the same name, or an answer to the same request. */
	t->unborn |= memmem(payload, size, "unborn", 6) != NULL;
}

/* type 8, subject, size 8, payload: when the payload begins with NAMED, a version and one of our ids stand there.
 */
static void add_entry(rco__ledger *ledger, fuzz_input *in, uint16_t first_type, touched *t)
{
	uint16_t type = (uint16_t)(first_type + fuzz_8(in) % 11);
	uint8_t subject[16], payload[300];
	const uint8_t *bytes;
	size_t size, n = 0;
	uint64_t lsn;

	take_id(in, subject);
	size = fuzz_bytes(in, fuzz_8(in), &bytes);
	if (size > 1 && bytes[0] == NAMED) {
		fuzz_input ids = {bytes, bytes + size};

		payload[n++] = 1;
		take_id(&ids, payload + n);
		n += 16;
		size -= (size_t)(ids.at - bytes);
		bytes = ids.at;
	}
	memcpy(payload + n, bytes, size);
	n += size;
	if (n > 0 && payload[0] == 1 && first_type != RCO__OPT_TOMBSTONE)
		payload[0] = RCO__CALLS_PAYLOAD; /* of an older version, which is refused */
	note(t, subject, payload, n);
	FUZZ_CHECK(rco__ledger_append(ledger, type, fuzz_8(in) & 1, subject, payload, n, &lsn) == RCO_OK);
}

static void add_entries(world *w, fuzz_input *in, const char *dir, uint16_t first_type, touched *t)
{
	rco__ledger_options o = {.dir = dir,
	                         .quarantine_dir = "/state/quarantine",
	                         .keep_for_ever = 1,
	                         .file_bytes = RCO__LEDGER_FILE_MIN};
	uint8_t n = fuzz_8(in) % ENTRIES, i;
	rco__ledger_report report;
	rco__ledger *ledger;

	if (n == 0)
		return;
	mem_env(w->m, &w->now_us, &o.env);
	FUZZ_CHECK(rco__ledger_open(&o, NULL, NULL, &report, &ledger) == RCO_OK && report.damaged == 0);
	for (i = 0; i < n; i++)
		add_entry(ledger, in, first_type, t);
	rco__ledger_close(ledger);
}

/* A recording that only the spool knows, with any meta data. */
static void add_recording(world *w, fuzz_input *in, touched *t)
{
	rco_key_dir_options ko = {.struct_size = (uint32_t)sizeof ko, .path = "/state/keys"};
	rco_spool_options so = {
		.struct_size = (uint32_t)sizeof so, .path = "/state/spool", .keys = rco_key_dir_ops()};
	rco_recording r = {.struct_size = (uint32_t)sizeof r};
	rco_chunk k = {.struct_size = (uint32_t)sizeof k, .data = "some audio, 16 B", .size_bytes = 16};
	rco_result result;
	const uint8_t *meta;
	rco_spool *spool;
	rco__env env;

	mem_env(w->m, &w->now_us, &env);
	so.segment_bytes = 1 << 16;
	FUZZ_CHECK(rco__key_dir_open(&env, &ko, (rco_key_dir **)&so.keys_user_data) == RCO_OK);
	FUZZ_CHECK(rco__spool_open(&env, &so, &spool) == RCO_OK);
	take_id(in, r.id);
	k.format = RCO_FORMAT_PCMU_8K + fuzz_8(in) % 6;
	r.meta_bytes = fuzz_bytes(in, fuzz_8(in), &meta);
	r.meta = meta;
	note(t, r.id, meta, r.meta_bytes);
	rco__result_init(&result);
	(void)rco_spool_buffer_ops()->open(&r, 1, &result, spool);
	memcpy(k.recording_id, r.id, 16);
	rco__result_init(&result);
	(void)rco_spool_buffer_ops()->append(&k, 1, &result, spool);
	rco_spool_free(spool);
	rco_key_dir_free(so.keys_user_data);
}

/* ---- what has to be so ---- */

static void check(const world *w, const touched *t)
{
	FUZZ_CHECK(t->gone || !engine_gone_is_out(w));
	FUZZ_CHECK(t->kept || engine_stored(w, ENGINE_KEPT, ENGINE_AUDIO) == 1);
	engine_check_records(w);
}

static void check_unborn(world *w, const touched *t)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
	uint8_t frame[ENGINE_FRAME] = {0};
	rco_session *s = NULL;
	uint32_t leg;
	int rc;

	FUZZ_CHECK(rco_session_create(w->engine, &o, &s) == RCO_OK);
	rc = rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg);
	if (rc == RCO_OK)
		rc = rco_session_start(s);
	if (rc == RCO_OK)
		rc = rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
	FUZZ_CHECK(t->unborn || rc == RCO_E_OPTED_OUT);
	(void)rco_session_end(s);
	rco_session_free(s);
}

static void live_with(world *w, const touched *t, int unborn_too)
{
	int i;

	FUZZ_CHECK(engine_open(w) == RCO_OK);
	engine_settle(w);
	if (unborn_too)
		check_unborn(w, t);
	for (i = 0; i < 6; i++)
		engine_advance(w, 20000);
	check(w, t);
	engine_close(w);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	unsigned how = fuzz_8(&in);
	touched t = {0};
	world w;

	engine_world(&w, (how & UPLOADING) != 0);
	if (how & RECORDING)
		add_recording(&w, &in, &t);
	add_entries(&w, &in, "/state/ledger", RCO__OPT_TOMBSTONE, &t);
	add_entries(&w, &in, "/state/calls", 0x7fff - 10, &t);
	add_entries(&w, &in, "/state/calls", RCO__CALL_BEGIN, &t);
	live_with(&w, &t, how & UNBORN);
	engine_shorten_ledgers(w.m);
	live_with(&w, &t, 0);
	mem_free(w.m);
}

/* ---- seeds: entries as the journal writes them ---- */

static void entry(rco__cursor *c, uint8_t type, uint8_t subject, const rco__cursor *payload, const uint8_t *bytes)
{
	size_t n = rco__cursor_used(payload, bytes);

	rco__w8(c, type);
	rco__w8(c, subject);
	rco__w8(c, (uint8_t)n);
	rco__wbytes(c, bytes, n);
	rco__w8(c, 0);
}

static void seed_calls(rco__cursor *c)
{
	uint8_t bytes[256];
	rco__cursor p;

	rco__w8(c, 5);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	rco__w8(&p, 1);
	rco__w64(&p, UINT64_C(1700000000000000));
	rco__w64(&p, UINT64_C(1700000000000000));
	rco__wstr(&p, "another");
	entry(c, RCO__CALL_BEGIN - RCO__CALL_BEGIN, 7, &p, bytes);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	rco__w8(&p, 1);
	rco__w32(&p, 1);
	rco__w32(&p, RCO_FORMAT_S16_16K);
	rco__wstr(&p, "agent");
	entry(c, RCO__CALL_LEG - RCO__CALL_BEGIN, 7, &p, bytes);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	rco__w8(&p, 1);
	rco__w32(&p, RCO_KIND_AUDIO);
	rco__w32(&p, RCO_STORE_UPLOAD);
	rco__w64(&p, 1000);
	rco__wstr(&p, "another.agent.wav");
	rco__wstr(&p, "");
	rco__wstr(&p, "another.agent.wav");
	entry(c, RCO__CALL_INTENT - RCO__CALL_BEGIN, 7, &p, bytes);
	entry(c, RCO__CALL_COMMITTED - RCO__CALL_BEGIN, 8, &p, bytes);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	rco__w8(&p, 1);
	rco__w64(&p, UINT64_C(1700000000000000));
	rco__w64(&p, UINT64_C(1700000001000000));
	entry(c, RCO__CALL_END - RCO__CALL_BEGIN, 7, &p, bytes);
}

static void seed_receipt(rco__cursor *p, uint8_t recording, const char *call_id, uint32_t facts)
{
	rco__w8(p, NAMED);
	rco__w8(p, recording);
	rco__w32(p, facts);
	rco__w64(p, UINT64_C(1700000000000000));
	rco__w64(p, UINT64_C(1700000000000000));
	rco__wstr(p, call_id);
	rco__wstr(p, "agent");
}

/* extreme: with the largest numbers, and two requests for one call. */
static void seed_ledger(rco__cursor *c, int extreme)
{
	uint64_t time_us = extreme ? (uint64_t)INT64_MAX : UINT64_C(1700000000000000);
	uint8_t bytes[256];
	rco__cursor p;

	rco__w8(c, extreme ? 4 : 3);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	seed_receipt(&p, 7, "another", RCO_FACT_RECORDED);
	rco__w64(&p, time_us);
	rco__w64(&p, time_us);
	rco__w64(&p, 0);
	rco__w32(&p, 1);
	rco__w32(&p, RCO_FORMAT_PCMU_8K);
	rco__w64(&p, extreme ? UINT64_MAX : 1000);
	rco__wstr(&p, "caller");
	entry(c, RCO__OPT_TOMBSTONE - RCO__OPT_TOMBSTONE, 9, &p, bytes);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	seed_receipt(&p, 0, "later", 0);
	rco__w64(&p, extreme ? time_us : UINT64_C(1700086400000000));
	entry(c, RCO__OPT_EARLY - RCO__OPT_TOMBSTONE, 10, &p, bytes);
	if (extreme)
		entry(c, RCO__OPT_EARLY - RCO__OPT_TOMBSTONE, 11, &p, bytes);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	rco__w8(&p, 1);
	rco__w64(&p, UINT64_C(1700000000000000));
	entry(c, RCO__OPT_ERASED - RCO__OPT_TOMBSTONE, 9, &p, bytes);
}

static void seed_recording(rco__cursor *c)
{
	static const uint8_t meta[] = {1, 0, 0, 0, 0, 0, 0, 0,   0,   0,   0,  0,
	                               0, 0, 0, 0, 0, 4, 0, 'c', 'a', 'l', 'l'};

	rco__w8(c, 7);
	rco__w8(c, 0);
	rco__w8(c, sizeof meta);
	rco__wbytes(c, meta, sizeof meta);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	rco__cursor c;

	if (i > 5)
		return 0;
	rco__cursor_writer(&c, out, cap);
	rco__w8(&c, (uint8_t)(i == 3   ? RECORDING
	                      : i > 3  ? RECORDING | UNBORN
	                      : i == 2 ? UNBORN | UPLOADING
	                               : UNBORN));
	if (i >= 3)
		seed_recording(&c);
	if (i == 1 || i >= 4)
		seed_ledger(&c, i == 5);
	else
		rco__w8(&c, 0);
	rco__w8(&c, 0);
	if (i >= 2)
		seed_calls(&c);
	else
		rco__w8(&c, 0);
	return rco__cursor_used(&c, out);
}

FUZZ_TARGET(
	recovery, one, seed, 1024,
	"lib/session/replay.c lib/session/found.c lib/session/scan.c lib/session/revive.c lib/session/recover.c "
	"lib/session/call_record.c lib/session/erase.c lib/session/upload.c lib/session/export.c "
	"lib/session/export_memory.c",
	NULL)
