/* SPDX-License-Identifier: MIT */
/* A party's dialog and session description (RFC 3261, RFC 3264), and what it is told of the recording (RFC 7866).
 */
#include "recorder.h"

#include <string.h>

/* So long an offer may wait for its answer: an INVITE of ours has failed by then (RFC 3261, timer B). */
enum { OFFER_US = 32000000 };

/* Keys at another rate than the audio are the same keys (RFC 4733, 2.1); they are taken, and not offered. */
static const struct {
	const char *pt, *name, *params;
	uint32_t rate;
	bool offered;
} formats[] = {{"0", "PCMU", NULL, 8000, true},
               {"8", "PCMA", NULL, 8000, true},
               {"13", "CN", NULL, 8000, true},
               {"101", telev_rtpfmt, "0-15", 8000, true},
               {"102", telev_rtpfmt, "0-15", 16000, false},
               {"103", telev_rtpfmt, "0-15", 48000, false}};

static int describe_audio(party *p)
{
	size_t i;
	int err = sdp_media_add(&p->audio, p->sdp, sdp_media_audio, sa_port(rtp_local(p->rtp)), sdp_proto_rtpavp);

	for (i = 0; i < ARRAY_SIZE(formats) && err == 0; i++) {
		struct sdp_format *f;

		err = sdp_format_add(&f, p->audio, false, formats[i].pt, formats[i].name, formats[i].rate, 1, NULL,
		                     NULL, NULL, false, formats[i].params != NULL ? "%s" : NULL,
		                     formats[i].params);
		if (err == 0)
			f->sup = formats[i].offered;
	}
	return err;
}

int party_open(party *p, call *c)
{
	int err;

	p->call = c;
	err = audio_open(p);
	if (err == 0)
		err = sdp_session_alloc(&p->sdp, &c->server->laddr);
	return err == 0 ? describe_audio(p) : err;
}

/* The dialog is over. What its peer wrote before that may come yet, so it is still known by its tags. */
void party_hang_up(party *p)
{
	p->muted = 1;
	if (p->dialog == NULL)
		return;
	mem_deref(p->late);
	p->late = mem_ref(sipsess_dialog(p->dialog));
	p->dialog = mem_deref(p->dialog);
}

/* Also after a party_open() that failed, or that nobody called. */
void party_close(party *p)
{
	if (p->call == NULL)
		return;
	p->dialog = mem_deref(p->dialog);
	p->late = mem_deref(p->late);
	audio_close(p);
	p->sdp = mem_deref(p->sdp);
}

/* What is true now, as an attribute of the session level: one, whatever stood there before. */
static int state_of(const party *p)
{
	return p->call->session != NULL ? rco_session_record_state(p->call->session) : RCO_RECORD_OFF;
}

/* An offer names what was agreed on, also if a later description had nothing of it and was refused. */
static void offer_what_is_known(party *p)
{
	const struct le *le;
	size_t i;

	LIST_FOREACH(sdp_media_format_lst(p->audio, true), le)
	{
		struct sdp_format *f = le->data;

		for (i = 0; i < p->n_formats; i++)
			if (p->formats[i].pt == f->pt)
				f->sup = true;
	}
}

int party_describe(party *p, struct mbuf **description, bool offer)
{
	int state = state_of(p), err;
	const char *name = rco_record_state_name(state > 0 ? (uint32_t)state : RCO_RECORD_OFF);

	if (offer)
		offer_what_is_known(p);
	err = sdp_session_set_lattr(p->sdp, true, "record", "%s", name);
	if (err == 0)
		err = sdp_encode(description, p->sdp, offer);
	if (err == 0)
		p->told = state;
	if (err == 0 && offer)
		p->offered_us = now_us();
	return err;
}

bool party_has_offered(const party *p)
{
	return p->offered_us != 0 && now_us() - p->offered_us < OFFER_US;
}

uint32_t party_preference(const struct sip_msg *msg)
{
	uint32_t preference = RCO_RECORDPREF_ABSENT;

	(void)rco_sdp_recordpref((const char *)mbuf_buf(msg->mb), mbuf_get_left(msg->mb), RCO_SDP_AUDIO,
	                         &preference);
	return preference;
}

void party_prefer(party *p, uint32_t preference)
{
	const options *o = &p->call->server->o;
	rco_recordpref_policy policy = {.struct_size = (uint32_t)sizeof policy,
	                                .flags = RCO_RECORDPREF_NONBLOCK,
	                                .off = o->recordpref_off};
	uint32_t done = 0;
	int rc;

	if (preference == RCO_RECORDPREF_ABSENT || p->call->session == NULL)
		return;
	rc = rco_recordpref_apply(p->call->session, preference, &policy, &done, NULL);
	if (rc < 0)
		say(p->call->server, "%s: recordpref: %s: %s", p->call->id, rco_error_name(rc),
		    rco_error_detail());
	else if (done != RCO_RECORDPREF_DID_NOTHING)
		say(p->call->server, "%s: recordpref: %s", p->call->id,
		    done == RCO_RECORDPREF_DID_OPT_OUT ? "opted out"
		    : done == RCO_RECORDPREF_DID_PAUSE ? "paused"
		                                       : "resumed");
	if (rc >= 0 && done == RCO_RECORDPREF_DID_PAUSE)
		audio_pause(p->call);
	if (rc >= 0 && done == RCO_RECORDPREF_DID_RESUME)
		audio_resume(p->call);
	engine_soon(p->call->server);
}

/*
 * The peer speaks first, then what it says of the media is looked at: a preference holds also if that is refused.
 * Each message once.
 */
void party_heed(party *p, const struct sip_msg *msg)
{
	if (p->heeded == msg->tag)
		return;
	p->heeded = msg->tag;
	party_prefer(p, party_preference(msg));
}

static bool is_aware(const struct sip_hdr *hdr, const struct sip_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return rco_sip_record_aware(hdr->val.p, hdr->val.l) == 1;
}

static void learn(party *p, const struct sip_msg *msg)
{
	p->peer = msg->src;
	if (sip_msg_hdr_apply(msg, true, SIP_HDR_SUPPORTED, is_aware, NULL) != NULL)
		p->aware = 1;
}

static int decode(party *p, const struct sip_msg *msg, bool offer)
{
	int err;

	learn(p, msg);
	party_heed(p, msg);
	err = sdp_decode(p->sdp, msg->mb, offer);
	if (err == 0)
		err = audio_known(p, &msg->src);
	if (err == 0)
		p->offered_us = 0;
	return err;
}

int party_offered(party *p, const struct sip_msg *msg, struct mbuf **answer)
{
	bool offered = mbuf_get_left(msg->mb) > 0;
	int err = offered ? decode(p, msg, true) : 0;

	if (!offered)
		learn(p, msg);
	return err == 0 ? party_describe(p, answer, !offered) : err;
}

int party_answered(party *p, const struct sip_msg *msg)
{
	return decode(p, msg, false);
}

/* A re-INVITE, to one who wants to know, if anything is different from what was said last (RFC 7866, 6.3). */
void party_tell(party *p)
{
	struct mbuf *description = NULL;

	if (p == NULL || !p->aware || !p->established || p->dialog == NULL || p->told == state_of(p))
		return;
	if (party_describe(p, &description, true) == 0)
		(void)sipsess_modify(p->dialog, description);
	mem_deref(description);
}
