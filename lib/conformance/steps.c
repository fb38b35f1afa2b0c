/* SPDX-License-Identifier: MIT */
/* Steps on a buffer, with what they have to answer. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_MAX = 1 << 16 };

/* Ids that differ between checks and runs: a backend is put through all of them in turn, and may keep things. */
void rco__kit_id(rco__kit_ctx *c, uint8_t id[16])
{
	uint32_t n = atomic_fetch_add(&c->run->last_id, 1) + 1;

	memset(id, 0x5a, 16);
	memcpy(id, &n, sizeof n);
	memcpy(id + 10, &c->run->first_id, sizeof c->run->first_id);
	id[6] = 0x40;
	id[8] = 0x80;
}

uint8_t rco__kit_sound(uint64_t seed, uint64_t position)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u + position * 0xbf58476d1ce4e5b9u;

	return (uint8_t)((x ^ (x >> 29)) * 0x94d049bb133111ebu >> 56);
}

void rco__kit_make_sound(uint64_t seed, uint64_t position, void *out, size_t size)
{
	uint8_t *to = out;
	size_t i;

	for (i = 0; i < size; i++)
		to[i] = rco__kit_sound(seed, position + i);
}

/* Asked, and RCO_OK was the answer. */
void rco__kit_ask_ok(rco__kit_ctx *c, rco__kit_asked *a)
{
	a = rco__kit_ask(c, a);
	if (a == NULL)
		return;
	if (a->code != RCO_OK)
		rco__kit_broken(c, "%s answered %s%s%s", rco__kit_slot_name(a->slot), rco_error_name(a->code),
		                a->detail[0] != '\0' ? ": " : "", a->detail);
	rco__kit_done(a);
}

int rco__kit_try(rco__kit_ctx *c, rco__kit_asked *a)
{
	int rc;

	a = rco__kit_ask(c, a);
	if (a == NULL)
		return RCO_E_TIMEOUT;
	rc = a->code;
	rco__kit_done(a);
	return rc;
}

static rco__kit_asked *new_recording(rco__kit_ctx *c, rco__kit_slot slot, const uint8_t id[16], size_t size)
{
	rco__kit_asked *a = rco__kit_new(c, slot, size);

	if (a != NULL)
		memcpy(a->id, id, 16);
	return a;
}

void rco__kit_open(rco__kit_ctx *c, const uint8_t id[16], const void *meta, size_t meta_bytes)
{
	rco__kit_asked *a = new_recording(c, RCO__KIT_OPEN, id, 0);

	if (a == NULL)
		return;
	if (meta_bytes > 0)
		memcpy(a->meta, meta, meta_bytes);
	a->recording.meta_bytes = meta_bytes;
	rco__kit_ask_ok(c, a);
}

rco__kit_asked *rco__kit_new_piece(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed,
                                   uint64_t position, size_t size)
{
	rco__kit_asked *a = new_recording(c, RCO__KIT_APPEND, id, size);

	if (a == NULL)
		return NULL;
	rco__kit_make_sound(seed, position, a->data, size);
	a->chunk.leg = leg;
	a->chunk.format = RCO_FORMAT_PCMU_8K;
	a->chunk.position_bytes = position;
	a->chunk.time_us = 1700000000000000 + (int64_t)position;
	a->chunk.size_bytes = size;
	return a;
}

rco__kit_asked *rco__kit_new_gap(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t position,
                                 size_t size)
{
	rco__kit_asked *a = rco__kit_new_piece(c, id, leg, 0, position, 0);

	if (a == NULL)
		return NULL;
	a->chunk.flags = RCO_CHUNK_GAP;
	a->chunk.size_bytes = size;
	return a;
}

int rco__kit_try_append(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t position,
                        size_t size)
{
	return rco__kit_try(c, rco__kit_new_piece(c, id, leg, seed, position, size));
}

void rco__kit_append(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t position,
                     size_t size)
{
	rco__kit_ask_ok(c, rco__kit_new_piece(c, id, leg, seed, position, size));
}

size_t rco__kit_read(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t position, uint8_t *data,
                     size_t cap, int *code)
{
	rco__kit_asked *a = new_recording(c, RCO__KIT_READ, id, cap < READ_MAX ? cap : READ_MAX);
	size_t got = 0;

	*code = RCO_E_TIMEOUT;
	if (a == NULL)
		return 0;
	a->leg = leg;
	a->position = position;
	a = rco__kit_ask(c, a);
	if (a == NULL)
		return 0;
	*code = a->code;
	if (*code == RCO_OK && a->answer.size_bytes > a->size)
		rco__kit_broken(c, "read gave more than there was room for");
	else if (*code == RCO_OK)
		got = (size_t)a->answer.size_bytes;
	if (data != NULL && got > 0)
		memcpy(data, a->data, got);
	rco__kit_done(a);
	return got;
}

static void expect_bytes(rco__kit_ctx *c, const uint8_t *data, uint64_t seed, uint64_t position, size_t size)
{
	size_t i;

	for (i = 0; i < size && !rco__kit_over(c); i++)
		if (data[i] != rco__kit_sound(seed, position + i))
			rco__kit_broken(c, "read gave other bytes than were appended, from byte %llu on",
			                (unsigned long long)(position + i));
}

void rco__kit_expect_sound(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t size,
                           size_t cap)
{
	uint8_t *data = malloc(cap);
	uint64_t position = 0;
	size_t got = 1;
	int rc = RCO_OK;

	while (data != NULL && got > 0 && rc == RCO_OK && position <= size && !rco__kit_over(c)) {
		got = rco__kit_read(c, id, leg, position, data, cap, &rc);
		expect_bytes(c, data, seed, position, got);
		position += got;
	}
	free(data);
	if (rc != RCO_OK)
		rco__kit_broken(c, "read answered %s at byte %llu of %llu", rco_error_name(rc),
		                (unsigned long long)position, (unsigned long long)size);
	if (position != size)
		rco__kit_broken(c, "read gave %llu bytes%s where there are %llu", (unsigned long long)position,
		                position > size ? " or more" : "", (unsigned long long)size);
}

void rco__kit_expect_none(rco__kit_ctx *c, const uint8_t id[16], int not_found)
{
	uint32_t leg;
	int rc;

	for (leg = 0; leg < RCO_MAX_LEGS && !rco__kit_over(c); leg++) {
		size_t got = rco__kit_read(c, id, leg, 0, NULL, 64, &rc);

		if (got > 0)
			rco__kit_broken(c, "read still gave audio of leg %u", (unsigned)leg);
		else if (not_found && rc != RCO_E_NOT_FOUND)
			rco__kit_broken(c, "read answered %s for it", rco_error_name(rc));
	}
}

void rco__kit_erase(rco__kit_ctx *c, const uint8_t id[16])
{
	rco__kit_ask_ok(c, new_recording(c, RCO__KIT_ERASE, id, 0));
}

void rco__kit_seal(rco__kit_ctx *c, const uint8_t id[16])
{
	if (c->run->buffer.seal != NULL)
		rco__kit_ask_ok(c, new_recording(c, RCO__KIT_SEAL, id, 0));
}

void rco__kit_flush(rco__kit_ctx *c)
{
	if (c->run->buffer.flush != NULL)
		rco__kit_ask_ok(c, rco__kit_new(c, RCO__KIT_FLUSH, 0));
}

void rco__kit_revoke(rco__kit_ctx *c, const uint8_t id[16])
{
	rco__kit_ask_ok(c, new_recording(c, RCO__KIT_DO_REVOKE, id, 0));
}

static void note(const rco_scanned *found, void *user_data)
{
	rco__kit_found *f = user_data;

	if (memcmp(found->id, f->id, 16) != 0)
		return;
	f->times++;
	f->found = *found;
	f->meta_bytes = found->meta != NULL ? found->meta_bytes : 0;
	if (f->meta_bytes > 0 && f->meta_bytes <= sizeof f->meta)
		memcpy(f->meta, found->meta, f->meta_bytes);
}

void rco__kit_scan(rco__kit_ctx *c, const uint8_t id[16], rco__kit_found *found)
{
	/* In its data: it has to stay with a scan that does not return. */
	rco__kit_asked *a = new_recording(c, RCO__KIT_DO_SCAN, id, sizeof *found);

	memset(found, 0, sizeof *found);
	if (a == NULL)
		return;
	memcpy(((rco__kit_found *)(void *)a->data)->id, id, 16);
	a->found = note;
	a->found_user_data = a->data;
	a = rco__kit_ask(c, a);
	if (a == NULL)
		return;
	if (a->code != RCO_OK)
		rco__kit_broken(c, "scan answered %s%s%s", rco_error_name(a->code),
		                a->detail[0] != '\0' ? ": " : "", a->detail);
	memcpy(found, a->data, sizeof *found);
	rco__kit_done(a);
}

void rco__kit_expect_scanned(rco__kit_ctx *c, const uint8_t id[16], uint32_t times)
{
	rco__kit_found found;

	if (c->run->buffer.scan == NULL)
		return;
	rco__kit_scan(c, id, &found);
	if (times > 0 && found.times == 0)
		rco__kit_broken(c, "scan did not report a recording that is held");
	else if (times == 0 && found.times > 0)
		rco__kit_broken(c, "scan still reported a recording that was erased");
	else if (found.times != times)
		rco__kit_broken(c, "scan reported a recording %u times", (unsigned)found.times);
}
