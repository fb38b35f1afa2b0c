/* SPDX-License-Identifier: MIT */
/*
 * A leg of the recording, on the call's clock: what is said at one moment stands at one place in every leg,
 * however the audio comes. Each frame is pushed with its position; the library makes silence of what nobody sends
 * (RFC 3389).
 *
 * A sender's timestamps say where its audio belongs. The clock says it where they cannot: at the first packet of
 * a stream, where they leap further than time has passed, and where they stand still although it passes. What
 * comes late after a break, by timestamps that know of none, is held for a moment: if the network has kept it, the
 * rest follows at once, and nothing is missing; else nobody spoke, and silence comes first.
 */
#ifndef SIP_RECORDER_LEG_H
#define SIP_RECORDER_LEG_H

#include <stddef.h>
#include <stdint.h>

struct call;
struct mbuf;

enum { NO_LEG = 0xffff };

#define GAP_UNKNOWN (-1)

typedef struct leg {
	struct call *call;
	uint32_t number;      /* of the session; NO_LEG: not recorded */
	int law;              /* as recorded; it stays what it was at first */
	int any;              /* audio has come */
	int resumed;          /* after a pause, no timestamp says where what follows belongs */
	uint64_t placed;      /* up to here samples have their place: recorded, or waiting */
	struct mbuf *waiting; /* the last of them, until the rings have room */
	struct mbuf *held;    /* what came late after a break, until it is known why */
	int64_t held_late;    /* how late it is, at least */
	int64_t held_mark;    /* and how late when it last caught up */
	uint64_t held_us, settle_us;
	int64_t least;     /* how far the leg has been behind the clock, at least, since ... */
	uint64_t since_us; /* ... then */
	uint64_t came_us;  /* when audio came last */
	uint32_t credit;   /* samples that the rings take now */
} leg;

/* Nothing happens if the leg is there already. */
void leg_open(leg *l, struct call *c, const char *label, int law);

/* Audio, `gap` samples after what came before by the sender's own account. */
void leg_put(leg *l, int64_t gap, const uint8_t *data, size_t size, int law);

/* 20 ms have passed. */
void leg_tick(leg *l);

/* Recording goes on after a pause. */
void leg_resume(leg *l);

/* What is held gets its place, by what is known now. */
void leg_settle(leg *l);

/* 1 while audio waits for its place. */
int leg_waits(const leg *l);

/* The call is over. */
void leg_close(leg *l);

#endif
