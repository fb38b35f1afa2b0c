/* SPDX-License-Identifier: MIT */
/*
 * Where a party's audio and keys may come from (docs/telephony.md has the rule in words). UDP has no sender that
 * could be relied on: anyone who guesses the port can send to it. So the session description says who may speak,
 * and what is taken besides is what a network address translator makes of that (RFC 7362), or a stream that goes
 * on from another port.
 */
#ifndef SIP_RECORDER_SOURCE_H
#define SIP_RECORDER_SOURCE_H

#include "re_api.h"

#include "reorder.h"

/* What to do with a packet. */
typedef enum verdict {
	SOURCE_STRANGER, /* nothing */
	SOURCE_TAKE,
	SOURCE_HOLD, /* it may turn out to be the party's: kept */
	SOURCE_KEYS  /* kept, and if it is a key, it counts now: the address is the right one */
} verdict;

/* A stream that may become the party's. */
typedef struct candidate {
	struct sa from;
	int rank; /* how well it is vouched for; 0: there is none */
	uint32_t ssrc;
	uint16_t next;
	uint64_t since_us, last_us;
	unsigned in_order;
	unsigned held;
	reorder_packet *packets; /* as they came */
} candidate;

typedef struct audio_source {
	struct sa described; /* by the session description; not set: nowhere */
	struct sa signalled; /* where that came from */
	struct sa former;    /* where a former description said: no more */
	struct sa now;       /* where audio comes from, once any has come */
	int any, moved;
	uint32_t ssrc;
	uint16_t seq;
	uint64_t last_us;
	uint64_t strangers; /* packets that were not taken */
	candidate next;
} audio_source;

/* A description came, from there. */
void source_described(audio_source *s, const struct sa *described, const struct sa *signalled);

/* Where a packet comes from, and its numbers. */
verdict source_judge(audio_source *s, const struct sa *from, uint32_t ssrc, uint16_t seq, uint64_t now_us);

/* After SOURCE_HOLD or SOURCE_KEYS. */
void source_hold(audio_source *s, const reorder_packet *p);

/* The candidate has become the source: what was held of it is given, in the order in which it came. */
typedef void source_fn(const reorder_packet *p, void *arg);
void source_settle(audio_source *s, uint64_t now_us, source_fn *fn, void *arg);

/* Where the party hears: not set if it does nowhere. */
const struct sa *source_listens(const audio_source *s);

void source_close(audio_source *s);

#endif
