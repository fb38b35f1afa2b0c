/* SPDX-License-Identifier: MIT */
#include "buddy.h"

#include "../base/error.h"

#include <string.h>

#define NONE UINT32_MAX

/* What is known of a unit: HELD, INNER of a larger free block, or the order of the free block that begins here. */
enum { HELD = 254, INNER = 255 };

static void list_add(rco__buddy *b, uint32_t unit, uint8_t order)
{
	b->state[unit] = order;
	b->prev[unit] = NONE;
	b->next[unit] = b->heads[order];
	if (b->heads[order] != NONE)
		b->prev[b->heads[order]] = unit;
	b->heads[order] = unit;
}

static void list_remove(rco__buddy *b, uint32_t unit)
{
	uint8_t order = b->state[unit];

	if (b->prev[unit] != NONE)
		b->next[b->prev[unit]] = b->next[unit];
	else
		b->heads[order] = b->next[unit];
	if (b->next[unit] != NONE)
		b->prev[b->next[unit]] = b->prev[unit];
	b->state[unit] = INNER;
}

uint8_t rco__buddy_order(uint32_t units)
{
	uint8_t order = 0;

	while ((UINT32_C(1) << order) < units)
		order++;
	return order;
}

int rco__buddy_take(rco__buddy *b, uint32_t units, uint32_t *unit)
{
	uint8_t order = rco__buddy_order(units), at = order;

	while (at < RCO__BUDDY_ORDERS && b->heads[at] == NONE)
		at++;
	if (at == RCO__BUDDY_ORDERS)
		return 0;
	*unit = b->heads[at];
	list_remove(b, *unit);
	while (at > order) {
		at--;
		list_add(b, *unit + (UINT32_C(1) << at), at);
	}
	memset(b->state + *unit, HELD, units);
	b->free_units -= units;
	return 1;
}

void rco__buddy_give(rco__buddy *b, uint32_t unit, uint32_t units)
{
	uint8_t order = rco__buddy_order(units);

	memset(b->state + unit, INNER, units);
	b->free_units += units;
	while (order < RCO__BUDDY_ORDERS - 1) {
		uint32_t buddy = unit ^ (UINT32_C(1) << order);

		if (buddy >= b->units || b->state[buddy] != order)
			break;
		list_remove(b, buddy);
		unit &= ~(UINT32_C(1) << order);
		order++;
	}
	list_add(b, unit, order);
}

int rco__buddy_make(rco__buddy *b, const rco__env *env, uint32_t units)
{
	uint32_t i;

	b->units = units;
	b->state = rco__zalloc(env, units, 1);
	b->next = rco__zalloc(env, units, sizeof *b->next);
	b->prev = rco__zalloc(env, units, sizeof *b->prev);
	if (b->state == NULL || b->next == NULL || b->prev == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the ring pool");
	memset(b->state, INNER, units);
	for (i = 0; i < RCO__BUDDY_ORDERS; i++)
		b->heads[i] = NONE;
	return RCO_OK;
}

void rco__buddy_free(rco__buddy *b, const rco__env *env)
{
	void *parts[] = {b->state, b->next, b->prev};
	size_t i;

	for (i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (parts[i] != NULL)
			rco__release(env, parts[i]);
}

int rco__buddy_held(const rco__buddy *b, uint32_t unit)
{
	return b->state[unit] == HELD;
}

int rco__buddy_hold(rco__buddy *b, uint32_t unit, uint32_t units)
{
	if (memchr(b->state + unit, HELD, units) != NULL)
		return 0;
	memset(b->state + unit, HELD, units);
	return 1;
}

void rco__buddy_fill(rco__buddy *b)
{
	uint32_t i;

	for (i = 0; i < b->units; i++)
		if (!rco__buddy_held(b, i))
			rco__buddy_give(b, i, 1);
}
