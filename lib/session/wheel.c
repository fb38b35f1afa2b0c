/* SPDX-License-Identifier: MIT */
#include "wheel.h"

enum { TICK_SHIFT = 10, SLOTS = RCO__WHEEL_SLOTS };

#define ROUND      ((uint64_t)SLOTS)         /* ticks of a far slot */
#define FULL_ROUND ((uint64_t)SLOTS * SLOTS) /* ticks of them all */

static uint64_t tick_of(int64_t us)
{
	return us > 0 ? (uint64_t)us >> TICK_SHIFT : 0;
}

/* Of a tick with a timer, or of one that begins a round before a timer's. */
static int64_t time_of(uint64_t tick)
{
	return (int64_t)(tick << TICK_SHIFT);
}

void rco__wheel_init(rco__wheel *wheel, int64_t now_us)
{
	size_t i;

	wheel->tick = tick_of(now_us);
	for (i = 0; i < SLOTS; i++) {
		rco__list_init(&wheel->near[i].list);
		rco__list_init(&wheel->far[i].list);
		wheel->near[i].from_us = wheel->far[i].from_us = INT64_MAX;
	}
	rco__list_init(&wheel->beyond);
}

static void add(rco__wheel_slot *slot, rco__timer *timer)
{
	if (rco__list_empty(&slot->list) || timer->due_us < slot->from_us)
		slot->from_us = timer->due_us;
	rco__list_add(&slot->list, &timer->link);
}

void rco__wheel_set(rco__wheel *wheel, rco__timer *timer, int64_t due_us)
{
	uint64_t tick = tick_of(due_us);

	timer->due_us = due_us;
	if (tick < wheel->tick)
		tick = wheel->tick;
	if (tick - wheel->tick < ROUND)
		add(&wheel->near[tick % SLOTS], timer);
	else if (tick / ROUND - wheel->tick / ROUND < SLOTS)
		add(&wheel->far[tick / ROUND % SLOTS], timer);
	else
		rco__list_add(&wheel->beyond, &timer->link);
}

/* Set them again, now that the time is nearer. */
static void set_again(rco__wheel *wheel, rco__link *list)
{
	rco__link again;

	rco__list_init(&again);
	rco__list_move(&again, list);
	while (!rco__list_empty(&again)) {
		rco__timer *timer = (rco__timer *)(void *)rco__list_take(&again);

		rco__wheel_set(wheel, timer, timer->due_us);
	}
}

/* Of the present tick only what is due to the microsecond. */
static void take_due(rco__wheel *wheel, int64_t now_us, rco__link *out)
{
	rco__wheel_slot *slot = &wheel->near[wheel->tick % SLOTS];
	rco__link all;

	if (rco__list_empty(&slot->list) || slot->from_us > now_us)
		return;
	rco__list_init(&all);
	rco__list_move(&all, &slot->list);
	while (!rco__list_empty(&all)) {
		rco__timer *timer = (rco__timer *)(void *)rco__list_take(&all);

		if (timer->due_us <= now_us)
			rco__list_add(out, &timer->link);
		else
			add(slot, timer);
	}
}

void rco__wheel_clear(rco__wheel *wheel, rco__link *out)
{
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		rco__list_move(out, &wheel->near[i].list);
		rco__list_move(out, &wheel->far[i].list);
	}
	rco__list_move(out, &wheel->beyond);
}

/* A clock that jumped: going through every tick would take longer than sorting them all again. */
static void jump(rco__wheel *wheel, uint64_t tick)
{
	rco__link all;

	rco__list_init(&all);
	rco__wheel_clear(wheel, &all);
	wheel->tick = tick;
	set_again(wheel, &all);
}

void rco__wheel_advance(rco__wheel *wheel, int64_t now_us, rco__link *out)
{
	uint64_t now = tick_of(now_us);

	if (now > wheel->tick && now - wheel->tick > 4 * FULL_ROUND)
		jump(wheel, now);
	while (wheel->tick < now) {
		rco__list_move(out, &wheel->near[wheel->tick % SLOTS].list);
		wheel->tick++;
		if (wheel->tick % FULL_ROUND == 0)
			set_again(wheel, &wheel->beyond);
		if (wheel->tick % ROUND == 0)
			set_again(wheel, &wheel->far[wheel->tick / ROUND % SLOTS].list);
	}
	take_due(wheel, now_us, out);
}

/* The first slot from `from` on that is not empty, at most SLOTS of them; NULL without one. */
static const rco__wheel_slot *first_used(const rco__wheel_slot *slots, uint64_t *from, uint64_t end)
{
	for (; *from < end; (*from)++)
		if (!rco__list_empty(&slots[*from % SLOTS].list))
			return &slots[*from % SLOTS];
	return NULL;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What is far is sorted when its round begins, which may be before anything that is near now. */
int64_t rco__wheel_next(const rco__wheel *wheel)
{
	uint64_t tick = wheel->tick, round = wheel->tick / ROUND + 1;
	const rco__wheel_slot *slot = first_used(wheel->near, &tick, tick + SLOTS);
	int64_t next = slot != NULL ? slot->from_us : INT64_MAX;

	if (first_used(wheel->far, &round, round + SLOTS - 1) != NULL)
		next = earlier(next, time_of(round * ROUND));
	if (!rco__list_empty(&wheel->beyond))
		next = earlier(next, time_of((wheel->tick / FULL_ROUND + 1) * FULL_ROUND));
	return next;
}
