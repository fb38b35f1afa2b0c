/* SPDX-License-Identifier: MIT */
/*
 * When a session has to be looked at again: a hierarchical timing wheel
 * (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987). Setting a
 * time, forgetting it and letting it come cost the same for a hundred calls and
 * for fifty thousand. One thread at a time.
 */
#ifndef RCO_SESSION_WHEEL_H
#define RCO_SESSION_WHEEL_H

#include <stddef.h>
#include <stdint.h>

/* Two-way list with a head that is one of its links. */
typedef struct rco__link {
	struct rco__link *prev, *next;
} rco__link;

static inline void rco__list_init(rco__link *head)
{
	head->prev = head->next = head;
}

static inline int rco__list_empty(const rco__link *head)
{
	return head->next == head;
}

static inline void rco__list_add(rco__link *head, rco__link *link) /* at the end */
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

static inline void rco__list_remove(rco__link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->prev = link->next = NULL;
}

/* Take the first; the list is not empty. */
static inline rco__link *rco__list_take(rco__link *head)
{
	rco__link *link = head->next;

	rco__list_remove(link);
	return link;
}

/* All of `from` to the end of `head`. */
static inline void rco__list_move(rco__link *head, rco__link *from)
{
	if (rco__list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	rco__list_init(from);
}

typedef struct rco__timer {
	rco__link link; /* must be first: lists of timers are lists of links */
	int64_t due_us;
} rco__timer;

enum { RCO__WHEEL_SLOTS = 512 };

typedef struct rco__wheel_slot {
	rco__link list;
	int64_t from_us; /* nothing in it is due before */
} rco__wheel_slot;

typedef struct rco__wheel {
	uint64_t tick;                          /* of 1.024 ms: what came before is done */
	rco__wheel_slot near[RCO__WHEEL_SLOTS]; /* a tick each: half a second */
	rco__wheel_slot far[RCO__WHEEL_SLOTS];  /* as much as all of those: four and a half minutes */
	rco__link beyond;
} rco__wheel;

void rco__wheel_init(rco__wheel *wheel, int64_t now_us);
/* rco__list_remove() takes it out again. */
void rco__wheel_set(rco__wheel *wheel, rco__timer *timer, int64_t due_us);
/* Those whose time has come, to the end of `out`, roughly in order. */
void rco__wheel_advance(rco__wheel *wheel, int64_t now_us, rco__link *out);
/* No timer is due before; INT64_MAX without any. It may be earlier than the first, never later. */
int64_t rco__wheel_next(const rco__wheel *wheel);
/* All of them. */
void rco__wheel_clear(rco__wheel *wheel, rco__link *out);

#endif
