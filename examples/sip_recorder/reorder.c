/* SPDX-License-Identifier: MIT */
#include "leg.h"
#include "reorder.h"
#include "sound.h"

#include <recoptout.h>

#include <string.h>

enum { IDLE = 10, OVERLAP = 8000 };

void reorder_init(reorder *r, reorder_fn *fn, void *arg)
{
	memset(r, 0, sizeof *r);
	r->fn = fn;
	r->arg = arg;
}

/* Timestamps that go back a little overlap; those that go back further started again. */
static int64_t gap_before(const reorder *r, const reorder_packet *p)
{
	int32_t gap = (int32_t)(p->ts - r->next_ts);

	if (!r->placed || gap < -OVERLAP)
		return GAP_UNKNOWN;
	return gap > 0 ? gap : 0;
}

static void give(reorder *r, const reorder_packet *p)
{
	int64_t gap = 0;

	if (p->what == LAW_MU || p->what == LAW_A) {
		if (p->size == 0)
			return;
		gap = gap_before(r, p);
		r->next_ts = p->ts + p->size; /* G.711: a byte is a sample */
		r->placed = 1;
	}
	r->fn(gap, p, r->arg);
}

/* The one that is due, or the gap it leaves. */
static void step(reorder *r)
{
	unsigned at = r->next % REORDER_WINDOW;
	reorder_packet *p = &r->window[at];

	r->next++;
	if (!r->here[at]) {
		r->lost++;
		return;
	}
	r->here[at] = 0;
	give(r, p);
	rco_memzero(p->data, p->size);
}

static int waiting(const reorder *r)
{
	int i, n = 0;

	for (i = 0; i < REORDER_WINDOW; i++)
		n += r->here[i];
	return n;
}

void reorder_flush(reorder *r)
{
	while (waiting(r) > 0)
		step(r);
}

void reorder_tick(reorder *r)
{
	if (r->idle++ >= IDLE)
		reorder_flush(r);
}

static void begin(reorder *r, uint32_t ssrc, uint16_t seq)
{
	reorder_flush(r);
	r->begun = 1;
	r->placed = r->placed && r->ssrc == ssrc;
	r->ssrc = ssrc;
	r->next = seq;
}

static void keep(reorder *r, const reorder_packet *p)
{
	unsigned at = p->seq % REORDER_WINDOW;

	if (r->here[at]) {
		r->twice++;
		return;
	}
	r->here[at] = 1;
	r->window[at] = *p;
}

void reorder_put(reorder *r, const reorder_packet *p)
{
	int ahead = (int16_t)(uint16_t)(p->seq - r->next);

	r->idle = 0;
	/* A stream that starts again, without saying so by another SSRC, leaps (RFC 3550, appendix A.1). */
	if (!r->begun || p->ssrc != r->ssrc || ahead > 3000 || ahead < -100) {
		begin(r, p->ssrc, p->seq);
		ahead = 0;
	}
	if (ahead < 0) { /* or a copy of one that was given */
		r->late++;
		if (p->what == PACKET_KEY) /* it may be the only one of its key */
			r->fn(0, p, r->arg);
		return;
	}
	for (; ahead >= REORDER_WINDOW; ahead--)
		step(r);
	keep(r, p);
	while (r->here[r->next % REORDER_WINDOW])
		step(r);
}
