/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "../../lib/ledger/ledger_internal.h"
#include "../../lib/session/calls.h"

#include <jansson.h>
#include <string.h>

uint8_t engine_kept_id[16], engine_gone_id[16], engine_gone_receipt[16];

static void on_event(const rco_event *event, void *user_data)
{
	world *w = user_data;

	if (event->type == RCO_EVENT_QUARANTINED || event->code == RCO_E_CORRUPT || event->code == RCO_E_KEY)
		w->told++;
}

int engine_open(world *w)
{
	rco_engine_config c = {.struct_size = (uint32_t)sizeof c, .state_dir = "/state", .output_dir = "/out"};
	rco_clock clock = mem_clock(&w->now_us);

	c.flags = RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS;
	c.opt_out_enabled = 1;
	c.ring_pool_bytes = 1 << 17;
	c.segment_bytes = 1 << 16;
	c.clock = &clock;
	c.event = on_event;
	c.event_user_data = w;
	w->engine = NULL;
	return rco__engine_create(&c, &w->m->table, &w->engine);
}

void engine_close(world *w)
{
	rco_engine_free(w->engine);
	w->engine = NULL;
}

void engine_shorten_ledgers(mem *m)
{
	static const uint8_t zeros[4096];
	int i;

	for (i = 0; i < MEM_NODES; i++) {
		mem_node *node = &m->node[i];
		const char *end = node->kind == RCO__FS_FILE ? strstr(node->path, ".rcol") : NULL;
		rco__ledger_header header;

		if (end == NULL || rco__ledger_header_parse(node->data, node->size, &header) != RCO_OK ||
		    header.file_bytes != node->size)
			continue;
		while (node->size >= RCO__LEDGER_FILE_MIN + sizeof zeros &&
		       memcmp(node->data + node->size - sizeof zeros, zeros, sizeof zeros) == 0)
			node->size -= sizeof zeros;
		header.file_bytes = node->size;
		rco__ledger_header_encode(&header, node->data);
	}
}

void engine_settle(world *w)
{
	uint32_t timeout_ms = 0;
	int32_t fd;
	int i;

	for (i = 0; i < 300; i++) {
		FUZZ_CHECK(rco_engine_run(w->engine, 0, 0) == RCO_OK);
		FUZZ_CHECK(rco_engine_poll(w->engine, &fd, &timeout_ms) == RCO_OK);
		if (timeout_ms > 0 && i >= 3)
			return;
	}
}

void engine_advance(world *w, int64_t ms)
{
	w->now_us += ms * 1000;
	engine_settle(w);
}

static rco_session *begin(world *w, const char *call_id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *s = NULL;
	uint32_t leg;

	FUZZ_CHECK(rco_session_create(w->engine, &o, &s) == RCO_OK);
	FUZZ_CHECK(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg) == RCO_OK);
	FUZZ_CHECK(rco_session_start(s) == RCO_OK);
	return s;
}

static void push(rco_session *s, unsigned n)
{
	uint8_t frame[ENGINE_FRAME];
	uint64_t i;

	for (i = 0; i < ENGINE_FRAMES; i++) {
		fuzz_noise(n, i * ENGINE_FRAME, frame, sizeof frame);
		FUZZ_CHECK(rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame) == RCO_OK);
	}
}

static mem *leave(int uploading)
{
	world w = {.m = mem_new(), .now_us = INT64_C(1700000000000000)};
	rco_session *kept, *gone;
	mem *left;

	FUZZ_CHECK(engine_open(&w) == RCO_OK);
	kept = begin(&w, "kept");
	gone = begin(&w, "gone");
	push(kept, ENGINE_KEPT);
	push(gone, ENGINE_GONE);
	engine_advance(&w, 300);
	engine_advance(&w, 300);
	if (uploading) {
		FUZZ_CHECK(rco_session_end(kept) == RCO_OK);
		engine_advance(&w, 300);
		engine_advance(&w, 300);
		FUZZ_CHECK(mem_count(w.m, ".wav.tmp", NULL) == 1);
	}
	FUZZ_CHECK(rco_engine_opt_out(w.engine, "unborn", NULL, NULL) == RCO_OK);
	FUZZ_CHECK(rco_opt_out(gone, NULL, NULL) == RCO_OK);
	memcpy(engine_kept_id, kept->recording_id, 16);
	memcpy(engine_gone_id, gone->recording_id, 16);
	memcpy(engine_gone_receipt, gone->control.receipt.id, 16);
	left = mem_copy(w.m);
	engine_shorten_ledgers(left);
	rco_session_free(kept);
	rco_session_free(gone);
	engine_close(&w);
	mem_free(w.m);
	return left;
}

const mem *engine_left(int uploading)
{
	static mem *left[2];

	if (left[uploading] == NULL)
		left[uploading] = leave(uploading);
	fuzz_random_reset(1); /* as in every later run */
	return left[uploading];
}

void engine_world(world *w, int uploading)
{
	memset(w, 0, sizeof *w);
	w->m = mem_copy(engine_left(uploading));
	w->now_us = INT64_C(1700000060000000);
}

/* ---- looking ---- */

static int is_out(const mem_node *node, const char *end)
{
	size_t length = strlen(node->path), n = strlen(end);

	return node->kind == RCO__FS_FILE && strncmp(node->path, "/out/", 5) == 0 && length > n &&
	       strcmp(node->path + length - n, end) == 0;
}

size_t engine_stored(const world *w, unsigned call, size_t size)
{
	uint8_t audio[ENGINE_AUDIO];
	size_t found = 0;
	int i;

	fuzz_noise(call, 0, audio, sizeof audio);
	for (i = 0; i < MEM_NODES; i++) {
		const mem_node *node = &w->m->node[i];

		if (is_out(node, ".wav") && node->size >= size &&
		    memmem(node->data, node->size, audio, size) != NULL)
			found++;
	}
	return found;
}

int engine_gone_is_out(const world *w)
{
	uint8_t piece[32];
	uint64_t at;
	int i;

	for (i = 0; i < MEM_NODES; i++)
		for (at = 0; is_out(&w->m->node[i], "") && at < ENGINE_AUDIO; at += ENGINE_FRAME) {
			fuzz_noise(ENGINE_GONE, at, piece, sizeof piece);
			if (w->m->node[i].size > sizeof piece &&
			    memmem(w->m->node[i].data, w->m->node[i].size, piece, sizeof piece) != NULL)
				return 1;
		}
	return 0;
}

void engine_check_records(const world *w)
{
	int i;

	for (i = 0; i < MEM_NODES; i++) {
		const mem_node *node = &w->m->node[i];
		json_t *root;

		if (!is_out(node, ".json"))
			continue;
		root = json_loadb((const char *)node->data, node->size, JSON_REJECT_DUPLICATES, NULL);
		FUZZ_CHECK(json_is_object(root) && json_is_string(json_object_get(root, "call_id")));
		json_decref(root);
	}
}
