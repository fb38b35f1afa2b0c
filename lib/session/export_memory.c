/* SPDX-License-Identifier: MIT */
/*
 * The memory of an export, apart from what fills it: everything that a backend may be reading is in one block, so
 * that it can be left behind as a whole if the backend does not answer.
 */
#include "export.h"
#include "work.h"

#include "../media/wav.h"

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
	size_t memory = sizeof(rco__export) + 2 * (size_t)RCO__SIDE_BYTES + RCO__BLOCK_BYTES + cap;
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
	x->sides[1] = x->sides[0] + RCO__SIDE_BYTES;
	x->block = x->sides[1] + RCO__SIDE_BYTES;
	x->part = x->block + RCO__BLOCK_BYTES;
	x->part_cap = cap;
	x->left = plain_size(s, copy);
	if (zst) {
		x->zstd = ZSTD_createCCtx_advanced(rco__zstd_memory(&s->engine->env));
		if (x->zstd == NULL) {
			rco__release(&s->engine->env, x);
			return rco__fail(RCO_E_NO_MEMORY, "no memory for compressing");
		}
	}
	s->work.upload.export = x;
	return RCO_OK;
}

void *rco__export_detach(rco_session *s, size_t *size)
{
	rco__export *x = s->work.upload.export;

	s->work.upload.export = NULL;
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
