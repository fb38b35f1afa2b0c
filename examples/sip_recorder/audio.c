/* SPDX-License-Identifier: MIT */
/* Audio of a party: RTP in and out, what is recorded of it, and keys that are pressed (RFC 4733). */
#include "recorder.h"

#include <string.h>

static void record(party *p, uint32_t leg, const uint8_t *data, size_t size)
{
	const call *c = p->call;

	if (c->session != NULL && leg != NO_LEG)
		(void)rco_session_push(c->session, leg, p->law == LAW_MU ? RCO_FORMAT_PCMU_8K : RCO_FORMAT_PCMA_8K,
		                       data, size);
}

/* What never came is silence, so that both legs keep the call's time. */
static void record_gap(party *p, uint32_t samples)
{
	uint8_t silence[FRAME];

	memset(silence, sound_silence(p->law), sizeof silence);
	while (samples > 0) {
		uint32_t n = samples < FRAME ? samples : FRAME;

		record(p, p->leg, silence, n);
		samples -= n;
	}
}

/* Whom a party talks to: the human, once there is one, else the server itself. */
static party *other(const party *p)
{
	call *c = p->call;

	if (p != &c->caller)
		return &c->caller;
	return c->human != NULL && c->human->established ? c->human : NULL;
}

/* The server's own voice goes to the caller, and is a leg of its own. */
static void say_to_caller(call *c, const uint8_t *data, size_t size)
{
	record(&c->caller, c->agent_leg, data, size);
	audio_send(&c->caller, data, size);
}

static void heard(uint32_t gap, const uint8_t *data, size_t size, void *arg)
{
	party *p = arg, *to = other(p);
	uint8_t copy[REORDER_PAYLOAD];

	record_gap(p, gap);
	record(p, p->leg, data, size);
	if (p == &p->call->caller)
		ear_hear(p->call, data, size, p->law);
	memcpy(copy, data, size);
	if (to != NULL) {
		sound_convert(copy, size, p->law, to->law);
		audio_send(to, copy, size);
	} else if (p == &p->call->caller && p->call->playing == NULL && p->call->server->o.agent == NULL) {
		say_to_caller(p->call, copy, size);
	}
}

/* ---- keys ---- */

static int ends_with(const char *digits, const char *sequence)
{
	size_t n = strlen(digits), m = sequence != NULL ? strlen(sequence) : 0;

	return m > 0 && n >= m && strcmp(digits + n - m, sequence) == 0;
}

static void pressed(party *p, int digit)
{
	const options *o = &p->call->server->o;
	size_t n = strlen(p->digits);

	if (n == DIGITS_MAX) {
		memmove(p->digits, p->digits + 1, DIGITS_MAX);
		n--;
	}
	p->digits[n] = (char)digit;
	p->digits[n + 1] = '\0';
	if (ends_with(p->digits, o->dtmf)) {
		p->digits[0] = '\0';
		call_opt_out(p->call, "dtmf");
	} else if (ends_with(p->digits, o->transfer_dtmf)) {
		p->digits[0] = '\0';
		transfer_begin(p->call);
	}
}

/* All packets of one event have its timestamp, and any of them may be the only one that arrives (RFC 4733, 2.5.1).
 */
static void event(party *p, uint32_t ts, const uint8_t *data, size_t size)
{
	int digit;

	if (size < 4 || (p->any_event && ts == p->event_ts))
		return;
	p->any_event = 1;
	p->event_ts = ts;
	digit = telev_code2digit(data[0]);
	if (digit > 0)
		pressed(p, digit);
}

/* ---- packets ---- */

static int law_of(const struct sdp_format *f)
{
	if (str_casecmp(f->name, "PCMU") == 0)
		return LAW_MU;
	return str_casecmp(f->name, "PCMA") == 0 ? LAW_A : -1;
}

/* Only one address may speak for a party, until its description changes. */
static int is_stranger(party *p, const struct sa *src)
{
	if (!sa_isset(&p->source, SA_ALL))
		p->source = *src;
	if (sa_cmp(&p->source, src, SA_ALL))
		return 0;
	p->call->server->strangers++;
	return 1;
}

static void received(const struct sa *src, const struct rtp_header *hdr, struct mbuf *mb, void *arg)
{
	party *p = arg;
	const struct sdp_format *f = p->pt < 0 ? NULL : sdp_media_lformat(p->audio, hdr->pt);
	size_t size = mbuf_get_left(mb);
	uint8_t data[REORDER_PAYLOAD];
	int law;

	if (f == NULL || size > sizeof data) {
		p->call->server->wrong_type++;
		return;
	}
	if (is_stranger(p, src))
		return;
	memcpy(data, mbuf_buf(mb), size);
	law = law_of(f);
	if (law >= 0) {
		sound_convert(data, size, law, p->law);
		reorder_put(&p->in, hdr->ssrc, hdr->seq, hdr->ts, data, size);
	} else {
		reorder_put(&p->in, hdr->ssrc, hdr->seq, hdr->ts, NULL, 0);
		event(p, hdr->ts, data, size);
	}
}

int audio_open(party *p)
{
	const server *s = p->call->server;

	p->leg = NO_LEG;
	p->pt = -1;
	p->ts = rand_u32();
	reorder_init(&p->in, heard, p);
	return rtp_listen(&p->rtp, IPPROTO_UDP, &s->laddr, s->o.rtp_min, s->o.rtp_max, false, received, NULL, p);
}

static uint32_t add_leg(const party *p, const char *label)
{
	uint32_t leg = NO_LEG, format = p->law == LAW_MU ? RCO_FORMAT_PCMU_8K : RCO_FORMAT_PCMA_8K;
	int rc;

	if (p->call->session == NULL)
		return NO_LEG;
	rc = rco_session_add_leg(p->call->session, label, format, &leg);
	if (rc != RCO_OK && rc != RCO_E_OPTED_OUT)
		say(p->call->server, "%s: leg %s is not recorded: %s", p->call->id, label, rco_error_name(rc));
	return rc == RCO_OK ? leg : NO_LEG;
}

/* The first format that both know; a leg keeps the law that it began with. */
void audio_known(party *p)
{
	const struct le *le;
	int first = p->pt < 0;

	sa_init(&p->source, AF_UNSPEC);
	LIST_FOREACH(sdp_media_format_lst(p->audio, true), le)
	{
		const struct sdp_format *f = le->data;
		int law = law_of(f);

		if (f->sup && law >= 0 && (first || law == p->law)) {
			p->pt = f->pt;
			p->law = law;
			break;
		}
	}
	p->muted = !(sdp_media_dir(p->audio) & SDP_SENDONLY);
	if (!first || p->pt < 0)
		return;
	if (p == &p->call->caller) {
		p->leg = add_leg(p, "caller");
		p->call->agent_leg = add_leg(p, "agent");
	} else {
		p->leg = add_leg(p, "human");
	}
}

void audio_send(party *p, const uint8_t *data, size_t size)
{
	struct mbuf *mb;

	if (p->pt < 0 || p->muted)
		return;
	mb = mbuf_alloc(RTP_HEADER_SIZE + size);
	if (mb == NULL)
		return;
	mb->pos = mb->end = RTP_HEADER_SIZE;
	if (mbuf_write_mem(mb, data, size) == 0) {
		mb->pos = RTP_HEADER_SIZE;
		(void)rtp_send(p->rtp, sdp_media_raddr(p->audio), false, false, (uint8_t)p->pt, p->ts, mb);
	}
	p->ts += (uint32_t)size;
	mem_deref(mb);
}

void audio_tick(call *c)
{
	const sound *s = c->playing;

	if (s == NULL || !c->caller.established)
		return;
	if (c->played + FRAME > s->size) {
		c->playing = c->server->o.agent != NULL && c->server->agent.size > 0 ? &c->server->agent : NULL;
		c->played = 0;
		return;
	}
	say_to_caller(c, s->law[c->caller.law] + c->played, FRAME);
	c->played += FRAME;
}
