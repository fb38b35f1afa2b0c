/* SPDX-License-Identifier: MIT */
/*
 * From the buffer to a file that any player opens, part by part: header,
 * samples of one leg or two interleaved, pad byte; as they are or inside a zstd
 * stream. Everything a backend may be reading is in one block of memory, so that
 * it can be left behind as a whole if the backend does not answer.
 */
#include "internal.h"

#include "../media/wav.h"
#include "../media/zstd_memory.h"

#include <string.h>

enum { SIDE_BYTES = 64 * 1024, BLOCK_BYTES = 2 * SIDE_BYTES };

struct rco__export {
	size_t memory; /* of this block */
	rco__copy *copy;
	uint32_t format;
	uint32_t sample_bytes;
	uint64_t leg_bytes[2];  /* of each leg */
	uint64_t channel_bytes; /* of the longer one */
	uint64_t at;            /* in a channel */
	uint64_t left;          /* of the plain file, not yet in a part */
	int header_done, last;
	uint32_t side; /* being read */
	size_t side_used;
	size_t block_at, block_size;
	ZSTD_CCtx *zstd; /* NULL: plain */
	size_t part_used, part_cap;
	uint8_t *sides[2], *block, *part;
};

static uint64_t leg_total(const rco_session *s, uint32_t leg)
{
	return s->legs[leg].held;
}

static uint64_t channel_bytes(const rco_session *s, const rco__copy *copy)
{
	uint64_t a = leg_total(s, copy->leg[0]), b = copy->n_legs == 2 ? leg_total(s, copy->leg[1]) : 0;

	return a > b ? a : b;
}

static uint64_t plain_size(const rco_session *s, const rco__copy *copy)
{
	uint8_t header[RCO__WAV_HEADER_MAX];
	uint64_t data = channel_bytes(s, copy) * copy->n_legs;

	return rco__wav_header(header, s->legs[copy->leg[0]].format, copy->n_legs, data) + data +
	       (rco__wav_pad(data) ? 1 : 0);
}

uint64_t rco__export_size(const rco_session *s, const rco__copy *copy)
{
	return s->engine->cfg.export_format == RCO_EXPORT_WAV_ZST ? 0 : plain_size(s, copy);
}

int rco__export_begin(rco_session *s, rco__copy *copy)
{
	int zst = s->engine->cfg.export_format == RCO_EXPORT_WAV_ZST;
	uint64_t whole = zst ? ZSTD_compressBound((size_t)plain_size(s, copy)) : plain_size(s, copy);
	size_t cap = whole < s->engine->cfg.upload_part_bytes ? (size_t)whole
	                                                      : (size_t)s->engine->cfg.upload_part_bytes;
	size_t memory = sizeof(rco__export) + 2 * (size_t)SIDE_BYTES + BLOCK_BYTES + cap;
	rco__export *x;

	rco__export_end(s);
	x = rco__zalloc(&s->engine->env, 1, memory);
	if (x == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a part of %zu bytes; lower upload_part_bytes",
		                 cap);
	x->memory = memory;
	x->copy = copy;
	x->format = s->legs[copy->leg[0]].format;
	x->sample_bytes = s->legs[copy->leg[0]].sample_bytes;
	x->leg_bytes[0] = leg_total(s, copy->leg[0]);
	x->leg_bytes[1] = copy->n_legs == 2 ? leg_total(s, copy->leg[1]) : 0;
	x->channel_bytes = channel_bytes(s, copy);
	x->sides[0] = (uint8_t *)(x + 1);
	x->sides[1] = x->sides[0] + SIDE_BYTES;
	x->block = x->sides[1] + SIDE_BYTES;
	x->part = x->block + BLOCK_BYTES;
	x->part_cap = cap;
	x->left = plain_size(s, copy);
	if (zst) {
		x->zstd = ZSTD_createCCtx_advanced(rco__zstd_memory(&s->engine->env));
		if (x->zstd == NULL) {
			rco__release(&s->engine->env, x);
			return rco__fail(RCO_E_NO_MEMORY, "no memory for compressing");
		}
	}
	s->export = x;
	return RCO_OK;
}

void *rco__export_detach(rco_session *s, size_t *size)
{
	rco__export *x = s->export;

	s->export = NULL;
	if (x == NULL)
		return NULL;
	if (x->zstd != NULL)
		(void)ZSTD_freeCCtx(x->zstd);
	*size = x->memory;
	return x;
}

void rco__export_end(rco_session *s)
{
	size_t size = 0;
	void *x = rco__export_detach(s, &size);

	if (x == NULL)
		return;
	rco_memzero(x, size);
	rco__release(&s->engine->env, x);
}

void rco__export_sent(rco_session *s)
{
	s->export->part_used = 0;
}

static int call_read(rco_session *s, uint64_t op, rco_result *result)
{
	rco__export *x = s->export;
	uint64_t left = x->leg_bytes[x->side] - x->at;
	size_t want = left < SIDE_BYTES ? (size_t)left : SIDE_BYTES;

	return s->engine->buffer.read(s->recording_id, x->copy->leg[x->side], x->at + x->side_used,
	                              x->sides[x->side] + x->side_used, want - x->side_used, op, result,
	                              s->engine->buffer_ud);
}

/* Read one side's piece whole; what a shorter leg lacks becomes silence. */
static int read_side(rco_session *s, size_t want)
{
	rco__export *x = s->export;
	uint64_t have = x->at < x->leg_bytes[x->side] ? x->leg_bytes[x->side] - x->at : 0;
	size_t real = have < want ? (size_t)have : want;

	while (x->side_used < real) {
		rco_result result;
		int rc = rco__job_confirm(s, call_read, RCO_CONFIRM_DONE, &result);

		if (rc != RCO_OK)
			return rc;
		if (result.size_bytes == 0 || result.size_bytes > real - x->side_used)
			return rco__fail(RCO_E_CORRUPT,
			                 "call %s: the buffer holds less of leg %u than was given to it",
			                 s->call_id, x->copy->leg[x->side]);
		x->side_used += (size_t)result.size_bytes;
	}
	memset(x->sides[x->side] + real, rco__format_of(x->format)->silence, want - real);
	rco__wav_swap(x->format, x->sides[x->side], want);
	return RCO_OK;
}

/* The next piece of samples into the block. */
static int read_block(rco_session *s)
{
	rco__export *x = s->export;
	uint64_t left = x->channel_bytes - x->at;
	size_t want = left < SIDE_BYTES ? (size_t)left : SIDE_BYTES;

	for (; x->side < x->copy->n_legs; x->side++) {
		int rc = read_side(s, want);

		if (rc != RCO_OK)
			return rc;
		x->side_used = 0;
	}
	x->side = 0;
	if (x->copy->n_legs == 2)
		rco__wav_interleave(x->format, x->sides[0], x->sides[1], want / x->sample_bytes, x->block);
	else
		memcpy(x->block, x->sides[0], want);
	x->block_size = want * x->copy->n_legs;
	x->block_at = 0;
	x->at += want;
	return RCO_OK;
}

/* The next block of the plain file, which has not ended. */
static int next_block(rco_session *s)
{
	rco__export *x = s->export;
	uint64_t data = x->channel_bytes * x->copy->n_legs;

	x->block_at = x->block_size = 0;
	if (!x->header_done) {
		x->header_done = 1;
		x->block_size = rco__wav_header(x->block, x->format, x->copy->n_legs, data);
		return RCO_OK;
	}
	if (x->at < x->channel_bytes)
		return read_block(s);
	x->block[0] = 0; /* the pad byte: nothing else is left */
	x->block_size = 1;
	return RCO_OK;
}

static void put_plain(rco__export *x)
{
	size_t n = x->block_size - x->block_at, room = x->part_cap - x->part_used;

	if (n > room)
		n = room;
	memcpy(x->part + x->part_used, x->block + x->block_at, n);
	x->part_used += n;
	x->block_at += n;
	x->left -= n;
	x->last = x->left == 0;
}

static int put_zstd(rco__export *x)
{
	ZSTD_inBuffer in = {x->block, x->block_size, x->block_at};
	ZSTD_outBuffer out = {x->part, x->part_cap, x->part_used};
	size_t left = ZSTD_compressStream2(x->zstd, &out, &in, x->left == 0 ? ZSTD_e_end : ZSTD_e_continue);

	if (ZSTD_isError(left))
		return rco__fail(RCO_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
	x->last = x->left == 0 && left == 0;
	x->left -= in.pos - x->block_at;
	x->block_at = in.pos;
	x->part_used = out.pos;
	return RCO_OK;
}

int rco__export_fill(rco_session *s, const uint8_t **part, size_t *size, int *last)
{
	rco__export *x = s->export;
	int rc = RCO_OK;

	while (rc == RCO_OK && !x->last && x->part_used < x->part_cap) {
		if (x->block_at == x->block_size && x->left > 0) {
			rc = next_block(s);
			if (rc != RCO_OK)
				return rc;
		}
		if (x->zstd != NULL)
			rc = put_zstd(x);
		else
			put_plain(x);
	}
	*part = x->part;
	*size = x->part_used;
	*last = x->last;
	return rc;
}
