/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include "../../lib/base/bytes.h"

#include <stdio.h>
#include <string.h>

/* ---- epoch keys: wrapped by turning every bit, which nothing here depends on being secret ---- */

static int wrap(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *size, void *user_data)
{
	int i;

	(void)user_data;
	for (i = 0; i < 32; i++)
		wrapped[i] = key[i] ^ 0xff;
	rco__put64(wrapped + 32, epoch);
	*size = 40;
	return RCO_OK;
}

static int unwrap(uint64_t epoch, const uint8_t *wrapped, size_t size, uint8_t key[32], void *user_data)
{
	int i;

	(void)user_data;
	if (size != 40 || rco__get64(wrapped + 32) != epoch)
		return RCO_E_KEY;
	for (i = 0; i < 32; i++)
		key[i] = wrapped[i] ^ 0xff;
	return RCO_OK;
}

static const rco_key_ops key_ops = {.struct_size = (uint32_t)sizeof key_ops, .wrap = wrap, .unwrap = unwrap};

/* ---- the spool ---- */

void calls_id(uint8_t id[16], unsigned n)
{
	memset(id, 0xa0, 16);
	id[0] = (uint8_t)n;
}

void calls_segment_path(unsigned n, char path[MEM_PATH])
{
	(void)snprintf(path, MEM_PATH, "/spool/%016x.rcos", n + 1);
}

int calls_open(calls *c)
{
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o, .path = "/spool", .keys = &key_ops};
	rco__env env;

	c->spool = NULL;
	o.segment_bytes = 4096;
	mem_env(c->disk, &c->now_us, &env);
	return rco__spool_open(&env, &o, &c->spool);
}

void calls_close(calls *c)
{
	rco_spool_free(c->spool);
	c->spool = NULL;
}

static rco_result new_result(void)
{
	rco_result r;

	memset(&r, 0, sizeof r);
	r.struct_size = (uint32_t)sizeof r;
	return r;
}

static uint8_t keys[CALLS + 1][32];

const uint8_t *calls_key(unsigned n)
{
	return keys[n];
}

int calls_begin(calls *c, unsigned n)
{
	char meta[] = "meta of call 0";
	rco_recording r = {.struct_size = (uint32_t)sizeof r, .meta = meta, .meta_bytes = sizeof meta - 1};
	rco_result result = new_result();
	const rco__spooled *made;
	int rc;

	meta[sizeof meta - 2] = (char)('0' + n % 10);
	calls_id(r.id, n);
	rc = rco_spool_buffer_ops()->open(&r, 1, &result, c->spool);
	made = n <= CALLS_FILLER ? rco__spooled_find(c->spool, r.id) : NULL;
	if (made != NULL && made->key != NULL)
		memcpy(keys[n], made->key, 32);
	return rc;
}

int calls_append(calls *c, unsigned n, uint64_t at, size_t size)
{
	uint8_t data[CALLS_HELD];
	rco_chunk k = {.struct_size = (uint32_t)sizeof k,
	               .format = RCO_FORMAT_PCMU_8K,
	               .position_bytes = at,
	               .time_us = 1,
	               .data = data,
	               .size_bytes = size};
	rco_result result = new_result();

	FUZZ_CHECK(size <= sizeof data);
	calls_id(k.recording_id, n);
	fuzz_noise(n, at, data, size);
	return rco_spool_buffer_ops()->append(&k, 1, &result, c->spool);
}

const mem *calls_disk(void)
{
	static calls c;
	unsigned n, i;

	if (c.disk != NULL)
		return c.disk;
	c.disk = mem_new();
	c.now_us = INT64_C(1700000000000000);
	for (n = 0; n < CALLS; n++) { /* each process begins a segment */
		FUZZ_CHECK(calls_open(&c) == RCO_OK && calls_begin(&c, n) == RCO_OK);
		for (i = 0; i < CALLS_PIECES; i++)
			FUZZ_CHECK(calls_append(&c, n, (uint64_t)i * CALLS_PIECE, CALLS_PIECE) == RCO_OK);
		FUZZ_CHECK(calls_begin(&c, CALLS_FILLER) == RCO_OK);
		for (i = 0; i < CALLS_FILLERS; i++)
			FUZZ_CHECK(calls_append(&c, CALLS_FILLER, (uint64_t)(n * CALLS_FILLERS + i) * CALLS_HELD,
			                        CALLS_HELD) == RCO_OK);
		calls_close(&c);
	}
	FUZZ_CHECK(mem_count(c.disk, ".rcos", NULL) == CALLS);
	fuzz_random_reset(1); /* as in every later run */
	return c.disk;
}

/* ---- looking ---- */

struct looking {
	uint8_t id[16];
	calls_found *found;
	uint64_t hash;
};

static void take(const rco_scanned *s, void *user_data)
{
	struct looking *l = user_data;

	if (memcmp(s->id, l->id, 16) != 0)
		return;
	FUZZ_CHECK(!l->found->there && s->meta_bytes <= RCO_META_MAX);
	l->found->there = 1;
	l->found->has_meta = s->meta != NULL;
	l->found->meta_size = s->meta_bytes;
	if (s->meta_bytes > 0)
		memcpy(l->found->meta, s->meta, s->meta_bytes);
	l->found->bytes = s->leg_bytes[0];
	l->found->damaged = s->damaged_bytes;
	l->hash = fuzz_hash(l->hash, s->leg_bytes, sizeof s->leg_bytes);
	l->hash = fuzz_hash(l->hash, s->leg_format, sizeof s->leg_format);
	l->hash = fuzz_hash(l->hash, l->found->meta, l->found->meta_size);
}

void calls_find(calls *c, unsigned n, calls_found *found, uint64_t *hash)
{
	struct looking l = {.found = found, .hash = *hash};

	memset(found, 0, sizeof *found);
	calls_id(l.id, n);
	FUZZ_CHECK(rco_spool_buffer_ops()->scan(take, &l, c->spool) == RCO_OK);
	*hash = l.hash;
}

uint64_t calls_read(calls *c, unsigned n, int *rc, uint64_t *hash)
{
	uint8_t id[16], data[700], canary = (uint8_t)n;
	uint64_t at = 0;
	int i;

	calls_id(id, n);
	for (i = 0; i < 1000; i++) {
		rco_result result = new_result();

		*rc = rco_spool_buffer_ops()->read(id, 0, at, data, sizeof data, 1, &result, c->spool);
		FUZZ_CHECK((*rc == RCO_OK) == (result.confirmed == RCO_CONFIRM_DONE));
		if (*rc != RCO_OK || result.size_bytes == 0)
			break;
		FUZZ_CHECK(result.size_bytes <= sizeof data);
		*hash = fuzz_hash(*hash, data, (size_t)result.size_bytes);
		at += result.size_bytes;
	}
	*hash = fuzz_hash(*hash, &canary, 1);
	return at;
}

void calls_holds(calls *c, unsigned n)
{
	uint8_t id[16], data[CALLS_HELD], want[CALLS_HELD];
	size_t at = 0;

	calls_id(id, n);
	fuzz_noise(n, 0, want, sizeof want);
	while (at < sizeof data) {
		rco_result result = new_result();
		int rc =
			rco_spool_buffer_ops()->read(id, 0, at, data + at, sizeof data - at, 1, &result, c->spool);

		FUZZ_CHECK(rc == RCO_OK && result.size_bytes > 0);
		at += (size_t)result.size_bytes;
	}
	FUZZ_CHECK(memcmp(data, want, sizeof data) == 0);
}

void calls_maintain(calls *c)
{
	int i, rc = RCO_PENDING;

	for (i = 0; i < 100 && rc == RCO_PENDING; i++)
		rc = rco_spool_maintain(c->spool);
	FUZZ_CHECK(rc == RCO_OK);
}

int calls_erase(calls *c, unsigned n)
{
	rco_result result = new_result();
	uint8_t id[16];
	int rc;

	calls_id(id, n);
	rc = rco_spool_buffer_ops()->erase(id, 1, &result, c->spool);
	FUZZ_CHECK((rc == RCO_OK) == (result.confirmed == RCO_CONFIRM_GONE));
	return rc;
}

void calls_usable(calls *c)
{
	enum { NEW = 77 };
	uint64_t hash = 0;
	int rc;

	FUZZ_CHECK(calls_begin(c, NEW) == RCO_OK);
	FUZZ_CHECK(calls_append(c, NEW, 0, CALLS_HELD) == RCO_OK);
	calls_holds(c, NEW);
	FUZZ_CHECK(calls_erase(c, NEW) == RCO_OK);
	(void)calls_read(c, NEW, &rc, &hash);
	FUZZ_CHECK(rc == RCO_E_NOT_FOUND);
}
