/* SPDX-License-Identifier: MIT */
/* Audio of a party: RTP in and out, what is recorded of it, and keys that are pressed. */
#include "recorder.h"

#include <string.h>
#include <sys/socket.h>

enum {
	NOISE_PT = 13,     /* RFC 3389: static */
	PAUSE_US = 500000, /* what is only late comes within that */
	PACKET_MAX = 8192,
	LEFT_MAX = 1000 /* more than a socket keeps */
};

/* Whom a party talks to: the human, once there is one, else the server itself. */
static party *other(const party *p)
{
	call *c = p->call;

	if (p != &c->caller)
		return &c->caller;
	return c->human != NULL && c->human->established ? c->human : NULL;
}

/* The server's own voice goes to the caller, and is a leg of its own. */
static void say_to_caller(call *c, int64_t gap, const uint8_t *data, size_t size, int law)
{
	leg_put(&c->legs[LEG_AGENT], gap, data, size, law);
	audio_send(&c->caller, data, size, law);
}

/* What the caller said, as far from what was said before as it was then. */
static void repeat(call *c, int64_t gap, const reorder_packet *packet)
{
	say_to_caller(c, c->repeating ? gap : GAP_UNKNOWN, packet->data, packet->size, packet->what);
	c->repeating = 1;
}

/* ---- keys ---- */

static void look_at_keys(party *p, digits *d)
{
	const options *o = &p->call->server->o;

	if (digits_hold(d, o->dtmf)) {
		digits_clear(d);
		call_opt_out(p->call, "dtmf");
	} else if (digits_hold(d, o->transfer_dtmf)) {
		digits_clear(d);
		transfer_begin(p->call);
	}
}

static void pressed(party *p, char key)
{
	digits_add(&p->keys.by_audio, key);
	look_at_keys(p, &p->keys.by_audio);
}

void audio_key_by_info(party *p, uint32_t number, char key)
{
	digits_place(&p->keys.by_info, number, key);
	look_at_keys(p, &p->keys.by_info);
}

static void key_packet(party *p, const reorder_packet *packet)
{
	char key = keys_event(&p->keys, packet);

	if (key != 0)
		pressed(p, key);
}

/* ---- packets ---- */

static void heard(int64_t gap, const reorder_packet *packet, void *arg)
{
	party *p = arg, *to = other(p);
	call *c = p->call;
	int law = packet->what, is_caller = p == &c->caller;

	if (to != NULL)
		c->repeating = 0;
	if (law == PACKET_KEY)
		key_packet(p, packet);
	if ((law != LAW_MU && law != LAW_A) || p->gone)
		return;
	if (p->leg != NULL)
		leg_put(p->leg, gap, packet->data, packet->size, law);
	if (is_caller)
		ear_hear(c, packet->data, packet->size, law);
	if (to != NULL && (is_caller || c->playing == NULL))
		audio_send(to, packet->data, packet->size, law);
	else if (is_caller && c->playing == NULL && c->server->agent.size == 0)
		repeat(c, gap, packet);
}

static void taken(const reorder_packet *packet, void *arg)
{
	party *p = arg;

	reorder_put(&p->in, packet);
}

static int what_is(const party *p, int pt)
{
	size_t i;

	for (i = 0; i < p->n_formats; i++)
		if (p->formats[i].pt == pt)
			return p->formats[i].what;
	return pt == NOISE_PT ? PACKET_NOISE : -1;
}

/* RFC 3550, section 5.1: the last byte of padding counts it. 0 if it cannot be. */
static int without_padding(const struct rtp_header *hdr, const uint8_t *data, size_t *size)
{
	if (!hdr->pad)
		return 1;
	if (*size == 0 || data[*size - 1] == 0 || data[*size - 1] > *size)
		return 0;
	*size -= data[*size - 1];
	return 1;
}

static int read_packet(const party *p, const struct rtp_header *hdr, const struct mbuf *mb, reorder_packet *packet)
{
	size_t size = mbuf_get_left(mb);
	int what = p->pt < 0 ? -1 : what_is(p, hdr->pt);

	if (what < 0 || !without_padding(hdr, mbuf_buf(mb), &size) || size > sizeof packet->data)
		return 0;
	packet->what = what;
	packet->marker = hdr->m;
	packet->seq = hdr->seq;
	packet->ts = hdr->ts;
	packet->ssrc = hdr->ssrc;
	packet->size = (uint16_t)size;
	memcpy(packet->data, mbuf_buf(mb), size);
	return 1;
}

static void received(const struct sa *src, const struct rtp_header *hdr, struct mbuf *mb, void *arg)
{
	party *p = arg;
	reorder_packet packet;
	uint64_t now = now_us();
	verdict what;

	if (!read_packet(p, hdr, mb, &packet)) {
		p->call->server->wrong_type++;
		return;
	}
	what = source_judge(&p->from, src, hdr->ssrc, hdr->seq, now);
	if (what == SOURCE_TAKE)
		taken(&packet, p);
	if (what == SOURCE_KEYS && packet.what == PACKET_KEY)
		key_packet(p, &packet);
	if (what == SOURCE_HOLD || what == SOURCE_KEYS)
		source_hold(&p->from, &packet);
	source_settle(&p->from, now, taken, p);
}

int audio_open(party *p)
{
	const server *s = p->call->server;

	p->pt = -1;
	p->ts = rand_u32();
	reorder_init(&p->in, heard, p);
	return rtp_listen(&p->rtp, IPPROTO_UDP, &s->laddr, s->o.rtp_min, s->o.rtp_max, false, received, NULL, p);
}

void audio_close(party *p)
{
	p->rtp = mem_deref(p->rtp);
	reorder_flush(&p->in);
	source_close(&p->from);
	p->call->server->strangers += p->from.strangers;
}

/* ---- what was agreed on ---- */

static int meaning(const struct sdp_format *f)
{
	if (str_casecmp(f->name, "PCMU") == 0)
		return LAW_MU;
	if (str_casecmp(f->name, "PCMA") == 0)
		return LAW_A;
	return str_casecmp(f->name, telev_rtpfmt) == 0 ? PACKET_KEY : PACKET_NOISE;
}

static void add_format(party *p, int pt, int what)
{
	if (p->n_formats < FORMATS && pt >= 0)
		p->formats[p->n_formats++] = (payload){pt, what};
}

static void add_formats(party *p)
{
	const struct le *le;

	p->n_formats = 0;
	LIST_FOREACH(sdp_media_format_lst(p->audio, true), le)
	{
		const struct sdp_format *f = le->data;

		if (f->sup)
			add_format(p, f->pt, meaning(f));
	}
	/* Some send keys by the number that they gave them, rather than by the one that they were given. */
	LIST_FOREACH(sdp_media_format_lst(p->audio, false), le)
	{
		const struct sdp_format *f = le->data;

		if (f->sup && f->name != NULL && str_casecmp(f->name, telev_rtpfmt) == 0 && what_is(p, f->pt) < 0)
			add_format(p, f->pt, PACKET_KEY);
	}
}

/* The first law that both know. */
static const struct sdp_format *first_law(const party *p)
{
	const struct le *le;

	LIST_FOREACH(sdp_media_format_lst(p->audio, true), le)
	{
		const struct sdp_format *f = le->data;

		if (f->sup && (meaning(f) == LAW_MU || meaning(f) == LAW_A))
			return f;
	}
	return NULL;
}

/* As the peer numbers it: it may have answered with a number of its own. */
static int sent_pt(const party *p, const struct sdp_format *f)
{
	const struct sdp_format *theirs = sdp_media_rformat(p->audio, f->name);

	return theirs != NULL ? theirs->pt : f->pt;
}

static void open_legs(party *p)
{
	call *c = p->call;

	if (p == &c->caller) {
		leg_open(&c->legs[LEG_CALLER], c, "caller", p->law);
		leg_open(&c->legs[LEG_AGENT], c, "agent", p->law);
		p->leg = &c->legs[LEG_CALLER];
	} else {
		leg_open(&c->legs[LEG_HUMAN], c, "human", p->law);
		p->leg = &c->legs[LEG_HUMAN];
	}
}

int audio_known(party *p, const struct sa *signalled)
{
	const struct sa *there = sdp_media_raddr(p->audio);
	const struct sdp_format *f;

	p->muted = !(sdp_media_dir(p->audio) & SDP_SENDONLY) || sa_port(there) == 0 || sa_is_any(there);
	if (sa_port(there) == 0) /* no audio for now; what was agreed on before is kept */
		return p->pt < 0 ? EPROTO : 0;
	f = first_law(p);
	if (f == NULL)
		return EPROTO;
	source_described(&p->from, there, signalled);
	p->pt = sent_pt(p, f);
	p->law = meaning(f);
	add_formats(p);
	open_legs(p);
	return 0;
}

/* ---- what is sent ---- */

/* Timestamps go with time, also when nothing was said for a while; what comes after that is marked (RFC
 * 3551, 4.1). */
static bool after_pause(party *p, size_t size)
{
	uint64_t now = now_us(), pause = now > p->sent_us ? now - p->sent_us : 0;
	bool paused = p->sent_us == 0 || pause > PAUSE_US;

	if (paused && p->sent_us != 0)
		p->ts += (uint32_t)(pause * 8 / 1000);
	if (paused)
		p->sent_us = now;
	p->sent_us += (uint64_t)size * 125;
	return paused;
}

void audio_send(party *p, const uint8_t *data, size_t size, int law)
{
	const struct sa *to = source_listens(&p->from);
	struct mbuf *mb;
	bool marker;

	if (p->pt < 0 || p->muted || !sa_isset(to, SA_ALL))
		return;
	mb = mbuf_alloc(RTP_HEADER_SIZE + size);
	if (mb == NULL)
		return;
	marker = after_pause(p, size);
	mb->pos = mb->end = RTP_HEADER_SIZE;
	if (mbuf_write_mem(mb, data, size) == 0) {
		sound_convert(mb->buf + RTP_HEADER_SIZE, size, law, p->law);
		mb->pos = RTP_HEADER_SIZE;
		(void)rtp_send(p->rtp, to, false, marker, (uint8_t)p->pt, p->ts, mb);
	}
	p->ts += (uint32_t)size;
	mem_deref(mb);
}

/* ---- time ---- */

static void play(call *c)
{
	const sound *s = c->playing;
	int law = c->caller.law;

	if (s == NULL || !c->caller.established)
		return;
	c->repeating = 0;
	say_to_caller(c, GAP_UNKNOWN, s->law[law] + c->played, FRAME, law);
	c->played += FRAME;
	if (c->played + FRAME > s->size)
		call_play_on(c);
}

static void tick(party *p)
{
	source_settle(&p->from, now_us(), taken, p);
	reorder_tick(&p->in);
}

void audio_tick(call *c)
{
	int i;

	play(c);
	tick(&c->caller);
	if (c->human != NULL)
		tick(c->human);
	if (c->former != NULL)
		tick(c->former);
	for (i = 0; i < LEGS; i++)
		leg_tick(&c->legs[i]);
}

/*
 * What has arrived before the end, and was not read yet: libre reads a packet of each socket in turn, and the end
 * came through another one.
 */
static void read_what_is_left(party *p)
{
	struct mbuf *mb = mbuf_alloc(PACKET_MAX);
	struct rtp_header hdr;
	struct sa from;
	int i;

	for (i = 0; i < LEFT_MAX && mb != NULL; i++) {
		ssize_t n;

		sa_init(&from, AF_INET);
		n = recvfrom(udp_sock_fd(rtp_sock(p->rtp), AF_INET), mb->buf, mb->size, MSG_DONTWAIT, &from.u.sa,
		             &from.len);
		if (n < 0)
			break;
		mb->pos = 0;
		mb->end = (size_t)n;
		if (rtp_decode(p->rtp, mb, &hdr) == 0)
			received(&from, &hdr, mb, p);
	}
	if (mb != NULL)
		rco_memzero(mb->buf, mb->size);
	mem_deref(mb);
}

void audio_end(party *p)
{
	if (p->rtp != NULL && !p->gone)
		read_what_is_left(p);
	reorder_flush(&p->in);
	p->gone = 1;
}

void audio_pause(call *c)
{
	int i;

	for (i = 0; i < LEGS; i++)
		leg_settle(&c->legs[i]);
	if (c->pause_us == 0)
		c->pause_us = now_us();
}

void audio_resume(call *c)
{
	int i;

	if (c->pause_us == 0)
		return;
	if (c->began_us != 0)
		c->paused_us += now_us() - c->pause_us;
	c->pause_us = 0;
	for (i = 0; i < LEGS; i++)
		leg_resume(&c->legs[i]);
}

bool audio_waits(const call *c)
{
	int i;

	for (i = 0; i < LEGS; i++)
		if (leg_waits(&c->legs[i]))
			return true;
	return false;
}
