/* SPDX-License-Identifier: MIT */
#include "reorder.h"

#include <string.h>

void reorder_init(reorder *r, reorder_fn *fn, void *arg)
{
	memset(r, 0, sizeof *r);
	r->fn = fn;
	r->arg = arg;
}

static void give(reorder *r, const reorder_packet *p)
{
	uint32_t gap = 0;

	if (p->size == 0)
		return;
	if (r->placed && p->ts - r->next_ts <= REORDER_GAP)
		gap = p->ts - r->next_ts;
	r->fn(gap, p->data, p->size, r->arg);
	r->next_ts = p->ts + p->size; /* G.711: a byte is a sample */
	r->placed = 1;
}

/* The one that is due, or the gap it leaves. */
static void step(reorder *r)
{
	reorder_packet *p = &r->window[r->next % REORDER_WINDOW];

	if (p->here)
		give(r, p);
	else
		r->lost++;
	p->here = 0;
	r->next++;
}

static int waiting(const reorder *r)
{
	int i, n = 0;

	for (i = 0; i < REORDER_WINDOW; i++)
		n += r->window[i].here;
	return n;
}

void reorder_flush(reorder *r)
{
	while (waiting(r) > 0)
		step(r);
	r->begun = 0;
}

static void begin(reorder *r, uint32_t ssrc, uint16_t seq)
{
	reorder_flush(r);
	r->begun = 1;
	r->placed = r->placed && r->ssrc == ssrc;
	r->ssrc = ssrc;
	r->next = seq;
}

static void keep(reorder *r, uint16_t seq, uint32_t ts, const uint8_t *data, size_t size)
{
	reorder_packet *p = &r->window[seq % REORDER_WINDOW];

	if (p->here) {
		r->twice++;
		return;
	}
	p->here = 1;
	p->ts = ts;
	p->size = (uint16_t)size;
	if (size > 0)
		memcpy(p->data, data, size);
}

void reorder_put(reorder *r, uint32_t ssrc, uint16_t seq, uint32_t ts, const uint8_t *data, size_t size)
{
	int ahead;

	if (size > REORDER_PAYLOAD)
		return;
	ahead = (int16_t)(uint16_t)(seq - r->next);
	/* A stream that begins anew, without saying so by another SSRC, leaps (RFC 3550, appendix A.1). */
	if (!r->begun || ssrc != r->ssrc || ahead > 3000 || ahead < -100) {
		begin(r, ssrc, seq);
		ahead = 0;
	}
	if (ahead < 0) {
		r->late++; /* or a copy of one that was given */
		return;
	}
	for (; ahead >= REORDER_WINDOW; ahead--)
		step(r);
	keep(r, seq, ts, data, size);
	while (r->window[r->next % REORDER_WINDOW].here)
		step(r);
}
