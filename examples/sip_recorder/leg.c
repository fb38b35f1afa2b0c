/* SPDX-License-Identifier: MIT */
#include "recorder.h"

#include <string.h>

enum {
	PER_S = 8000,
	NEAR = PER_S / 10,       /* the first audio of a leg may be so late without silence before it */
	RESUME = 3 * PER_S / 10, /* the same for a stream that starts again */
	LEAP = PER_S / 2,        /* timestamps may leap so much further than time has passed */
	DRIFT = PER_S / 5,       /* a leg that is always so far behind ... */
	DRIFT_US = 1000000,      /* ... for so long has lost its place */
	BREAK_US = 500000,       /* a break that starts that count again */
	STALL_US = 200000,       /* a break after which audio may be late for two reasons */
	SETTLE_US = 200000,      /* it is held so long, ... */
	CATCHES_UP = PER_S / 25, /* ... from when it was so much less late than before; ... */
	HELD_US = 2000000,       /* ... and so long at most */
	BURST = PER_S,           /* the rings hold two seconds of G.711, and are emptied five times a second */
	PACE = 4 * FRAME,        /* in 20 ms: four times as fast as time */
	PIECE = 1440,
	WAITING_MAX = 16 << 20
};

/* Samples of the recording since the first sound of the call, with which the clock begins; it stands in a pause.
 */
static uint64_t due(call *c)
{
	uint64_t now = now_us();

	if (c->began_us == 0)
		c->began_us = now;
	return (now - c->began_us - c->paused_us) * PER_S / 1000000;
}

static int64_t behind(const leg *l)
{
	return (int64_t)(due(l->call) - l->placed);
}

void leg_open(leg *l, call *c, const char *label, int law)
{
	uint32_t format = law == LAW_MU ? RCO_FORMAT_PCMU_8K : RCO_FORMAT_PCMA_8K;
	int rc;

	if (l->call != NULL)
		return;
	*l = (leg){.call = c, .number = NO_LEG, .law = law};
	if (c->session == NULL)
		return;
	rc = rco_session_add_leg(c->session, label, format, &l->number);
	if (rc != RCO_OK)
		l->number = NO_LEG;
	if (rc != RCO_OK && rc != RCO_E_OPTED_OUT)
		say(c->server, "%s: leg %s is not recorded: %s", c->id, label, rco_error_name(rc));
}

static struct mbuf *wipe(struct mbuf *audio)
{
	if (audio != NULL)
		rco_memzero(audio->buf, audio->size);
	return mem_deref(audio);
}

static void forget(leg *l)
{
	l->waiting = wipe(l->waiting);
}

/* 0 if the rings are full. What is refused for another reason is not wanted. */
static int push(leg *l, uint64_t position, const uint8_t *data, size_t size)
{
	rco_frame frame = {.session = l->call->session,
	                   .data = data,
	                   .position = position,
	                   .size_bytes = (uint32_t)size,
	                   .leg = l->number,
	                   .format = l->law == LAW_MU ? RCO_FORMAT_PCMU_8K : RCO_FORMAT_PCMA_8K};

	(void)rco_frames_push(&frame, 1);
	l->credit -= l->credit < size ? l->credit : (uint32_t)size;
	if (frame.result == RCO_E_OPTED_OUT) {
		l->number = NO_LEG;
		forget(l);
	}
	return frame.result != RCO_E_OVERFLOW;
}

static size_t left(const leg *l)
{
	return l->waiting != NULL ? mbuf_get_left(l->waiting) : 0;
}

static size_t smaller(size_t a, uint64_t b)
{
	return a < b ? a : (size_t)b;
}

static void pay(leg *l)
{
	while (left(l) > 0 && l->credit > 0) {
		size_t n = smaller(smaller(PIECE, left(l)), l->credit);

		if (!push(l, l->placed - left(l), mbuf_buf(l->waiting), n))
			return;
		if (l->waiting != NULL)
			mbuf_advance(l->waiting, (ssize_t)n);
	}
	if (l->waiting != NULL && left(l) == 0)
		forget(l);
}

static void queue(leg *l, const uint8_t *data, size_t size)
{
	int err = 0;

	if (l->waiting == NULL) {
		l->waiting = mbuf_alloc(PER_S);
	} else if (l->waiting->pos > left(l)) { /* what was taken from it makes room */
		size_t n = left(l);

		memmove(l->waiting->buf, mbuf_buf(l->waiting), n);
		rco_memzero(l->waiting->buf + n, l->waiting->end - n);
		l->waiting->pos = 0;
		l->waiting->end = n;
	}
	if (l->waiting != NULL && left(l) + size <= WAITING_MAX) {
		size_t pos = l->waiting->pos;

		l->waiting->pos = l->waiting->end;
		err = mbuf_write_mem(l->waiting, data, size);
		l->waiting->pos = pos;
	} else {
		err = ENOMEM;
	}
	if (err != 0) { /* what waits goes on to end where the leg does */
		l->placed -= size;
		l->call->server->unplaced++;
	}
}

/* What waits is one piece: silence behind it has to be a part of it. */
static void place_silence(leg *l, uint64_t samples)
{
	uint8_t none[PIECE];

	l->placed += samples;
	if (left(l) == 0)
		return;
	memset(none, sound_silence(l->law), sizeof none);
	while (samples > 0) {
		size_t n = smaller(sizeof none, samples);

		queue(l, none, n);
		samples -= n;
	}
}

static void place_audio(leg *l, const uint8_t *data, size_t size)
{
	l->placed += size;
	if (left(l) == 0)
		(void)push(l, l->placed - size, data, size);
	else
		queue(l, data, size);
}

/* ---- where audio belongs ---- */

static void watch_anew(leg *l, uint64_t now)
{
	l->since_us = now;
	l->least = INT64_MAX;
}

/* A leg that keeps behind the clock has lost its place: its timestamps stood still, or packets were lost unseen.
 */
static uint64_t drifted(leg *l, int64_t late)
{
	uint64_t now = now_us(), fill = 0;

	if (l->since_us == 0 || now - l->came_us > BREAK_US)
		watch_anew(l, now);
	l->came_us = now;
	if (late < l->least)
		l->least = late;
	if (now - l->since_us >= DRIFT_US) {
		fill = l->least > DRIFT ? (uint64_t)l->least : 0;
		watch_anew(l, now);
	}
	return fill;
}

static uint64_t by_clock(leg *l, int64_t late)
{
	int64_t enough = l->any ? RESUME : NEAR;

	l->since_us = 0;
	return late > enough ? (uint64_t)late : 0;
}

static int is_leap(int64_t gap, int64_t late)
{
	return gap > (late > 0 ? late : 0) + LEAP;
}

static int is_recording(const leg *l)
{
	return l->call != NULL && l->number != NO_LEG && l->call->pause_us == 0;
}

/* ---- late after a break ---- */

/* It waits: there may be more of it than the rings take at once. */
void leg_settle(leg *l)
{
	struct mbuf *held = l->held;

	if (held == NULL)
		return;
	l->held = NULL;
	if (l->held_late > RESUME)
		place_silence(l, (uint64_t)l->held_late);
	l->since_us = 0;
	l->placed += held->end;
	queue(l, held->buf, held->end);
	(void)wipe(held);
}

static void hold(leg *l, int64_t late, const uint8_t *data, size_t size)
{
	uint64_t now = now_us();

	if (l->held == NULL) {
		l->held = mbuf_alloc(PER_S);
		l->held_us = now;
		l->held_late = l->held_mark = INT64_MAX;
	}
	if (l->held == NULL || mbuf_write_mem(l->held, data, size) != 0) {
		l->call->server->unplaced++;
		return;
	}
	l->came_us = now;
	if (late < l->held_late)
		l->held_late = late;
	if (late < l->held_mark - CATCHES_UP) {
		l->held_mark = late;
		l->settle_us = now + SETTLE_US;
	}
	if (late <= RESUME || now - l->held_us >= HELD_US || l->held->end >= WAITING_MAX / 2)
		leg_settle(l);
}

static void hold_on(leg *l, uint64_t gap, const uint8_t *data, size_t size)
{
	uint8_t none[PIECE];

	memset(none, sound_silence(l->law), sizeof none);
	while (gap > 0 && l->held != NULL) {
		size_t n = smaller(sizeof none, gap);

		hold(l, behind(l) - (int64_t)l->held->end, none, n);
		gap -= n;
	}
	if (l->held != NULL)
		hold(l, behind(l) - (int64_t)l->held->end, data, size);
	else
		place_audio(l, data, size);
}

void leg_put(leg *l, int64_t gap, const uint8_t *data, size_t size, int law)
{
	uint8_t copy[REORDER_PAYLOAD];
	int64_t late;
	uint64_t fill;

	if (!is_recording(l) || size > sizeof copy)
		return;
	memcpy(copy, data, size);
	sound_convert(copy, size, law, l->law);
	late = behind(l);
	if (l->held != NULL && gap >= 0 && !is_leap(gap, late - (int64_t)l->held->end)) {
		hold_on(l, (uint64_t)gap, copy, size);
		return;
	}
	leg_settle(l);
	late = behind(l);
	if (!l->any || l->resumed || gap == GAP_UNKNOWN || is_leap(gap, late))
		fill = by_clock(l, late);
	else
		fill = (uint64_t)gap;
	place_silence(l, fill);
	late -= (int64_t)fill;
	if (l->any && !l->resumed && late > RESUME && now_us() - l->came_us > STALL_US) {
		hold(l, late, copy, size);
		return;
	}
	l->any = 1;
	l->resumed = 0;
	place_silence(l, drifted(l, late));
	pay(l);
	place_audio(l, copy, size);
}

/* ---- time ---- */

void leg_tick(leg *l)
{
	if (!is_recording(l) || l->call->began_us == 0)
		return;
	l->credit = l->credit + PACE < BURST ? l->credit + PACE : BURST;
	if (l->held != NULL && now_us() >= l->settle_us)
		leg_settle(l);
	pay(l);
}

void leg_resume(leg *l)
{
	l->resumed = 1;
}

int leg_waits(const leg *l)
{
	return is_recording(l) && (l->held != NULL || left(l) > 0);
}

void leg_close(leg *l)
{
	if (l->call != NULL && l->number != NO_LEG)
		leg_settle(l);
	if (l->call != NULL && l->number != NO_LEG && left(l) > 0) {
		l->credit = UINT32_MAX;
		pay(l);
	}
	l->number = NO_LEG;
	l->held = wipe(l->held);
	forget(l);
}
