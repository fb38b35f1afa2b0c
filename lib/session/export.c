/* SPDX-License-Identifier: MIT */
/*
 * From the buffer to a file that any player opens, part by part: header,
 * samples of one leg or two interleaved, pad byte; as they are or inside a zstd
 * stream.
 */
#include "export.h"
#include "work.h"

#include "../media/format.h"
#include "../media/wav.h"

#include <string.h>

void rco__export_sent(rco_session *s)
{
	s->work.upload.export->part_used = 0;
}

static int call_read(rco_session *s, uint64_t op, rco_result *result)
{
	rco__export *x = s->work.upload.export;
	uint64_t left = x->leg_bytes[x->side] - x->at;
	size_t want = left < RCO__SIDE_BYTES ? (size_t)left : RCO__SIDE_BYTES;

	return s->engine->buffer.read(s->recording_id, x->copy->leg[x->side], x->at + x->side_used,
	                              x->sides[x->side] + x->side_used, want - x->side_used, op, result,
	                              s->engine->buffer_ud);
}

/* Read one side's piece whole; what a shorter leg lacks becomes silence. */
static int read_side(rco_session *s, size_t want)
{
	rco__export *x = s->work.upload.export;
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
	rco__export *x = s->work.upload.export;
	uint64_t left = x->channel_bytes - x->at;
	size_t want = left < RCO__SIDE_BYTES ? (size_t)left : RCO__SIDE_BYTES;

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
	rco__export *x = s->work.upload.export;
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
	rco__export *x = s->work.upload.export;
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
