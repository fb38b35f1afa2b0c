/* SPDX-License-Identifier: MIT */
/*
 * A whole engine over what an earlier process left: entries of both journals with any contents (their checksums
 * and chain are right), and recordings in the spool with any meta data. Beside them a call to be kept, one that
 * was opted out and not yet erased, and an opt-out for a call not yet known. The engine opens; the kept call is
 * stored, once; the opted-out one never, the unborn one records nothing; call records are JSON; and so it is when
 * it is opened again.
 */
#include "fuzz.h"
#include "mem.h"

#include "../../lib/ledger/ledger_internal.h"
#include "../../lib/session/recover.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME = 160, FRAMES = 20, AUDIO = FRAME * FRAMES, KEPT = 1, GONE = 2, NAMED = 0xee, ENTRIES = 24 };

typedef struct world {
	mem *m;
	int64_t now_us;
	rco_engine *engine;
} world;

/* Of the base: recordings, and receipts. */
static uint8_t kept_id[16], gone_id[16], gone_receipt[16];

static int open_engine(world *w)
{
	rco_engine_config c = {.struct_size = (uint32_t)sizeof c, .state_dir = "/state", .output_dir = "/out"};
	rco_clock clock = mem_clock(&w->now_us);

	c.flags = RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS;
	c.opt_out_enabled = 1;
	c.ring_pool_bytes = 1 << 17;
	c.segment_bytes = 1 << 16;
	c.clock = &clock;
	w->engine = NULL;
	return rco__engine_create(&c, &w->m->table, &w->engine);
}

/* So that a run is short: the zeros at the end of ledger files are cut off, and their headers say so. */
static void shorten_ledgers(mem *m)
{
	static const uint8_t zeros[4096];
	int i;

	for (i = 0; i < MEM_NODES; i++) {
		mem_node *node = &m->node[i];
		const char *end = node->kind == RCO__FS_FILE ? strstr(node->path, ".rcol") : NULL;
		rco__ledger_header header;

		if (end == NULL || node->size < RCO__LEDGER_FILE_MIN ||
		    rco__ledger_header_parse(node->data, node->size, &header) != RCO_OK)
			continue;
		while (node->size >= RCO__LEDGER_FILE_MIN + sizeof zeros &&
		       memcmp(node->data + node->size - sizeof zeros, zeros, sizeof zeros) == 0)
			node->size -= sizeof zeros;
		header.file_bytes = node->size;
		rco__ledger_header_encode(&header, node->data);
	}
}

static void settle(world *w)
{
	uint32_t timeout_ms = 0;
	int32_t fd;
	int i;

	for (i = 0; i < 300; i++) {
		FUZZ_CHECK(rco_engine_run(w->engine, 0) == RCO_OK);
		FUZZ_CHECK(rco_engine_poll(w->engine, &fd, &timeout_ms) == RCO_OK);
		if (timeout_ms > 0 && i >= 3)
			return;
	}
}

static void advance(world *w, int64_t ms)
{
	w->now_us += ms * 1000;
	settle(w);
}

static rco_session *begin(world *w, const char *call_id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *s = NULL;
	uint32_t leg;

	FUZZ_CHECK(rco_session_create(w->engine, &o, &s) == RCO_OK);
	FUZZ_CHECK(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg) == RCO_OK);
	return s;
}

static void push(rco_session *s, unsigned n)
{
	uint8_t frame[FRAME];
	uint64_t i;

	for (i = 0; i < FRAMES; i++) {
		fuzz_noise(n, i * FRAME, frame, FRAME);
		FUZZ_CHECK(rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, FRAME) == RCO_OK);
	}
}

/* What a process leaves that is killed just after an opt-out was answered. */
static const mem *base_disk(void)
{
	static mem *left;
	rco_session *kept, *gone;
	world w = {.now_us = INT64_C(1700000000000000)};

	if (left != NULL)
		return left;
	w.m = mem_new();
	FUZZ_CHECK(open_engine(&w) == RCO_OK);
	kept = begin(&w, "kept");
	gone = begin(&w, "gone");
	FUZZ_CHECK(rco_session_start(kept) == RCO_OK && rco_session_start(gone) == RCO_OK);
	push(kept, KEPT);
	push(gone, GONE);
	advance(&w, 300);
	advance(&w, 300);
	FUZZ_CHECK(rco_opt_out(gone, NULL, NULL) == RCO_OK);
	FUZZ_CHECK(rco_opt_out_call(w.engine, "unborn", NULL, NULL) == RCO_OK);
	memcpy(kept_id, kept->recording_id, 16);
	memcpy(gone_id, gone->recording_id, 16);
	memcpy(gone_receipt, gone->receipt.id, 16);
	left = mem_copy(w.m);
	shorten_ledgers(left);
	rco_session_free(kept);
	rco_session_free(gone);
	rco_engine_free(w.engine);
	mem_free(w.m);
	return left;
}

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

		memcpy(id, which == 0 ? kept_id : which == 1 ? gone_id : gone_receipt, 16);
		return;
	}
	id[1] = id[0];
}

static void note(touched *t, const uint8_t subject[16], const uint8_t *payload, size_t size)
{
	t->kept |= memcmp(subject, kept_id, 16) == 0 || memmem(payload, size, kept_id, 16) != NULL;
	t->gone |= memcmp(subject, gone_receipt, 16) == 0 || memmem(payload, size, gone_id, 16) != NULL ||
	           memcmp(subject, gone_id, 16) == 0;
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
	rco_key_folder_options ko = {.struct_size = (uint32_t)sizeof ko, .path = "/state/keys"};
	rco_spool_options so = {
		.struct_size = (uint32_t)sizeof so, .path = "/state/spool", .keys = rco_key_folder_ops()};
	rco_recording r = {.struct_size = (uint32_t)sizeof r};
	rco_chunk k = {.struct_size = (uint32_t)sizeof k, .data = "some audio, 16 B", .size_bytes = 16};
	rco_result result;
	const uint8_t *meta;
	rco_spool *spool;
	rco__env env;

	mem_env(w->m, &w->now_us, &env);
	so.segment_bytes = 1 << 16;
	FUZZ_CHECK(rco__key_folder_open(&env, &ko, (rco_key_folder **)&so.keys_user_data) == RCO_OK);
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
	rco_key_folder_free(so.keys_user_data);
}

/* ---- what has to be so ---- */

static int is_in_out(const char *path)
{
	return strncmp(path, "/out/", 5) == 0;
}

/* Files of the output folder in which a piece of the call's audio stands. */
static size_t stored(const world *w, unsigned n, size_t size)
{
	uint8_t audio[AUDIO];
	size_t found = 0;
	int i;

	fuzz_noise(n, 0, audio, sizeof audio);
	for (i = 0; i < MEM_NODES; i++) {
		const mem_node *node = &w->m->node[i];

		if (node->kind == RCO__FS_FILE && is_in_out(node->path) && node->size > size &&
		    memmem(node->data, node->size, audio, size) != NULL)
			found++;
	}
	return found;
}

static void check_records(const world *w)
{
	int i;

	for (i = 0; i < MEM_NODES; i++) {
		const mem_node *node = &w->m->node[i];
		size_t length = strlen(node->path);
		json_t *root;

		if (node->kind != RCO__FS_FILE || !is_in_out(node->path) ||
		    strcmp(node->path + length - 5, ".json") != 0)
			continue;
		root = json_loadb((const char *)node->data, node->size, JSON_REJECT_DUPLICATES, NULL);
		FUZZ_CHECK(json_is_object(root) && json_is_string(json_object_get(root, "call_id")));
		json_decref(root);
	}
}

static void check(const world *w, const touched *t)
{
	FUZZ_CHECK(t->gone || stored(w, GONE, 64) == 0);
	FUZZ_CHECK(t->kept || stored(w, KEPT, AUDIO) == 1);
	check_records(w);
}

static void check_unborn(world *w, const touched *t)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
	uint8_t frame[FRAME] = {0};
	rco_session *s = NULL;
	uint32_t leg;
	int rc;

	FUZZ_CHECK(rco_session_create(w->engine, &o, &s) == RCO_OK);
	rc = rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg);
	if (rc == RCO_OK)
		rc = rco_session_start(s);
	if (rc == RCO_OK)
		rc = rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, FRAME);
	FUZZ_CHECK(t->unborn || rc == RCO_E_OPTED_OUT);
	(void)rco_session_end(s);
	rco_session_free(s);
}

static void live_with(world *w, const touched *t, int unborn_too)
{
	int i;

	FUZZ_CHECK(open_engine(w) == RCO_OK);
	settle(w);
	if (unborn_too)
		check_unborn(w, t);
	for (i = 0; i < 6; i++)
		advance(w, 20000);
	check(w, t);
	rco_engine_free(w->engine);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	world w = {.m = mem_copy(base_disk()), .now_us = INT64_C(1700000060000000)};
	touched t = {0};
	unsigned how;

	fuzz_random_reset(1);
	how = fuzz_8(&in);
	if (how & 1)
		add_recording(&w, &in, &t);
	add_entries(&w, &in, "/state/ledger", RCO__OPT_TOMBSTONE, &t);
	add_entries(&w, &in, "/state/calls", 0x7fff - 10, &t);
	add_entries(&w, &in, "/state/calls", RCO__CALL_BEGIN, &t);
	live_with(&w, &t, how & 2);
	shorten_ledgers(w.m);
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

static void seed_ledger(rco__cursor *c)
{
	uint8_t bytes[256];
	rco__cursor p;

	rco__w8(c, 3);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	seed_receipt(&p, 7, "another", RCO_FACT_RECORDED);
	rco__w64(&p, UINT64_C(1700000000000000));
	rco__w64(&p, UINT64_C(1700000000000000));
	rco__w64(&p, 0);
	rco__w32(&p, 1);
	rco__w32(&p, RCO_FORMAT_PCMU_8K);
	rco__w64(&p, 1000);
	rco__wstr(&p, "caller");
	entry(c, RCO__OPT_TOMBSTONE - RCO__OPT_TOMBSTONE, 9, &p, bytes);
	rco__cursor_writer(&p, bytes, sizeof bytes);
	seed_receipt(&p, 0, "later", 0);
	rco__w64(&p, UINT64_C(1700086400000000));
	entry(c, RCO__OPT_PREBIRTH - RCO__OPT_TOMBSTONE, 10, &p, bytes);
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

	if (i > 4)
		return 0;
	rco__cursor_writer(&c, out, cap);
	rco__w8(&c, (uint8_t)(i == 4 ? 3 : i == 3 ? 1 : 2));
	if (i >= 3)
		seed_recording(&c);
	if (i == 1 || i == 4)
		seed_ledger(&c);
	else
		rco__w8(&c, 0);
	rco__w8(&c, 0);
	if (i >= 2)
		seed_calls(&c);
	else
		rco__w8(&c, 0);
	return rco__cursor_used(&c, out);
}

FUZZ_TARGET(recovery, one, seed, 1024,
            "lib/session/journal.c lib/session/recover.c lib/session/call_record.c lib/session/erase.c "
            "lib/session/upload.c lib/session/export.c")
