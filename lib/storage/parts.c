/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include "../base/error.h"

static int grow(rco__parts *parts, const rco__env *env)
{
	uint32_t cap = parts->cap == 0 ? 8 : parts->cap * 2;
	uint64_t *ends;

	if (parts->cap > UINT32_MAX / 2)
		return rco__fail(RCO_E_LIMIT, "an upload has more than %u parts", parts->cap);
	ends = rco__resize(env, parts->ends, cap * sizeof *ends);
	if (ends == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the parts of an upload");
	parts->ends = ends;
	parts->cap = cap;
	return RCO_OK;
}

int rco__parts_place(rco__parts *parts, const rco__env *env, uint32_t part, uint64_t size, uint64_t *offset)
{
	if (part == 0 || part > parts->count + 1)
		return rco__fail(RCO_E_INVALID, "part %u does not follow part %u; parts count from 1, in order",
		                 part, parts->count);
	*offset = part == 1 ? 0 : parts->ends[part - 2];
	if (size > (uint64_t)INT64_MAX - *offset)
		return rco__fail(RCO_E_INVALID, "part %u is too large", part);
	if (part < parts->count && parts->ends[part - 1] - *offset != size)
		return rco__fail(RCO_E_INVALID,
		                 "part %u is sent again with another size while a later part is there", part);
	if (part <= parts->cap)
		return RCO_OK;
	return grow(parts, env);
}

void rco__parts_done(rco__parts *parts, uint32_t part, uint64_t offset, uint64_t size)
{
	parts->ends[part - 1] = offset + size;
	if (part > parts->count)
		parts->count = part;
}

uint64_t rco__parts_total(const rco__parts *parts)
{
	return parts->count == 0 ? 0 : parts->ends[parts->count - 1];
}

void rco__parts_clear(rco__parts *parts, const rco__env *env)
{
	rco__release(env, parts->ends);
	parts->ends = NULL;
	parts->count = 0;
	parts->cap = 0;
}
