/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <recoptout.h>

#include <string.h>

enum {
	HELD = 16,
	IN_ORDER = 5,          /* packets that make a stream (RFC 3550, appendix A.1, has 2) */
	LOST = 10,             /* of which so many may be missing in between */
	STREAM_US = 60000,     /* that they take at least */
	SILENT_US = 100000,    /* a stream that is silent for so long may go on elsewhere, or as another one */
	AWAY_US = 3000000,     /* so long nothing came from where it should: then a stream of the same host may */
	FORGOTTEN_US = 200000, /* a candidate that is silent for so long makes room */
	AHEAD = 3000,
	LATE = 100 /* sequence numbers of one stream (as reorder.c) */
};

/*
 * How well a candidate is vouched for, from the least on: by the host that the description names and another port;
 * by the host that follows a learnt address; by being where the description came from, of whose own address it
 * knows nothing; by going on with the numbers of the party's stream; by coming from the very address.
 */
enum { NONE, OTHER_PORT, ANOTHER, TRANSLATED, MOVED, SAME_ADDRESS };

static int is(const struct sa *a, const struct sa *b)
{
	return sa_isset(a, SA_ALL) && sa_cmp(a, b, SA_ALL);
}

static int same_host(const struct sa *a, const struct sa *b)
{
	return sa_isset(a, SA_ADDR) && sa_cmp(a, b, SA_ADDR);
}

static int is_address(const struct sa *a)
{
	return sa_isset(a, SA_ALL) && !sa_is_any(a);
}

static void drop_candidate(audio_source *s)
{
	candidate *c = &s->next;

	s->strangers += c->held;
	if (c->packets != NULL)
		rco_memzero(c->packets, HELD * sizeof *c->packets);
	c->packets = mem_deref(c->packets);
	*c = (candidate){0};
}

void source_close(audio_source *s)
{
	drop_candidate(s);
}

/* Without an address (hold as RFC 2543 had it) or a port nothing is said of where audio comes from. */
void source_described(audio_source *s, const struct sa *described, const struct sa *signalled)
{
	s->signalled = *signalled;
	if (!is_address(described) || is(&s->described, described))
		return;
	sa_init(&s->former, AF_UNSPEC);
	if (s->any && !s->moved && is(&s->described, &s->now))
		s->former = s->now;
	s->described = *described;
	s->any = s->moved = 0;
	drop_candidate(s);
}

static int continues(const audio_source *s, uint32_t ssrc, uint16_t seq)
{
	int ahead = (int16_t)(uint16_t)(seq - s->seq);

	return ssrc == s->ssrc && ahead <= AHEAD && ahead >= -LATE;
}

static int rank_of(const audio_source *s, const struct sa *from, uint32_t ssrc, uint16_t seq)
{
	int named = same_host(&s->described, from), known = named || same_host(&s->signalled, from);

	if (s->any && is(&s->now, from))
		return SAME_ADDRESS;
	if (is(&s->former, from) || !(known || (s->any && same_host(&s->now, from))))
		return NONE;
	if (!s->any)
		return named ? OTHER_PORT : TRANSLATED;
	if (continues(s, ssrc, seq))
		return MOVED;
	return is(&s->described, &s->now) ? NONE : ANOTHER;
}

static void now_from(audio_source *s, const struct sa *from, uint32_t ssrc, uint16_t seq, uint64_t now_us)
{
	s->any = 1;
	s->now = *from;
	s->ssrc = ssrc;
	s->seq = seq;
	s->last_us = now_us;
}

static verdict consider(audio_source *s, int rank, const struct sa *from, uint32_t ssrc, uint16_t seq,
                        uint64_t now_us)
{
	candidate *c = &s->next;
	int other = c->rank != NONE && (c->ssrc != ssrc || !sa_cmp(&c->from, from, SA_ALL));

	if (other && rank <= c->rank && now_us - c->last_us < FORGOTTEN_US)
		return SOURCE_STRANGER;
	if (other || c->rank == NONE || (rank < MOVED && (uint16_t)(seq - c->next) > LOST)) {
		drop_candidate(s);
		c->from = *from;
		c->ssrc = ssrc;
		c->since_us = now_us;
	}
	c->rank = rank;
	c->next = (uint16_t)(seq + 1);
	c->last_us = now_us;
	c->in_order++;
	return rank == SAME_ADDRESS ? SOURCE_KEYS : SOURCE_HOLD;
}

verdict source_judge(audio_source *s, const struct sa *from, uint32_t ssrc, uint16_t seq, uint64_t now_us)
{
	verdict what = SOURCE_STRANGER;
	int rank;

	if (s->any && is(&s->now, from) && ssrc == s->ssrc) {
		now_from(s, from, ssrc, seq, now_us);
		if (s->next.rank == MOVED || s->next.rank == SAME_ADDRESS)
			drop_candidate(s);
		return SOURCE_TAKE;
	}
	if (is(&s->described, from) && !(s->any && is(&s->now, from))) {
		drop_candidate(s);
		s->moved = 0;
		now_from(s, from, ssrc, seq, now_us);
		return SOURCE_TAKE;
	}
	rank = rank_of(s, from, ssrc, seq);
	if (rank != NONE)
		what = consider(s, rank, from, ssrc, seq, now_us);
	s->strangers += what == SOURCE_STRANGER;
	return what;
}

void source_hold(audio_source *s, const reorder_packet *p)
{
	candidate *c = &s->next;

	if (c->packets == NULL)
		c->packets = mem_zalloc(HELD * sizeof *c->packets, NULL);
	if (c->packets == NULL) {
		s->strangers++;
		return;
	}
	if (c->held == HELD) { /* the newest count */
		memmove(c->packets, c->packets + 1, (HELD - 1) * sizeof *c->packets);
		c->held--;
		s->strangers++;
	}
	c->packets[c->held++] = *p;
}

static int is_proven(const audio_source *s, uint64_t now_us)
{
	const candidate *c = &s->next;
	int stream = c->in_order >= IN_ORDER && c->last_us - c->since_us >= STREAM_US;
	uint64_t silent = now_us - s->last_us;

	switch (c->rank) {
	case OTHER_PORT:
		return stream && c->last_us - c->since_us >= AWAY_US;
	case TRANSLATED:
		return stream;
	case ANOTHER:
		return stream && silent >= AWAY_US;
	case MOVED:
	case SAME_ADDRESS:
		return silent >= SILENT_US;
	default:
		return 0;
	}
}

void source_settle(audio_source *s, uint64_t now_us, source_fn *fn, void *arg)
{
	candidate c = s->next;
	unsigned i;

	if (!is_proven(s, now_us))
		return;
	s->moved = c.rank == MOVED || (c.rank == SAME_ADDRESS && s->moved);
	now_from(s, &c.from, c.ssrc, (uint16_t)(c.next - 1), c.last_us);
	s->next = (candidate){0};
	if (c.packets == NULL)
		return;
	for (i = 0; i < c.held; i++)
		fn(&c.packets[i], arg);
	rco_memzero(c.packets, HELD * sizeof *c.packets);
	mem_deref(c.packets);
}

/*
 * As the description says; behind a translator, where its audio comes from. A sender that only uses another port
 * than it names (RFC 4961 asks for the same) listens where it says.
 */
const struct sa *source_listens(const audio_source *s)
{
	if (s->any && (s->moved || !same_host(&s->described, &s->now)))
		return &s->now;
	return &s->described;
}
