/* SPDX-License-Identifier: MIT */
/* A party's dialog and session description (RFC 3261, RFC 3264), and what it is told of the recording (RFC 7866).
 */
#include "recorder.h"

#include <string.h>

static const char *const codecs[][2] = {{"0", "PCMU"}, {"8", "PCMA"}};

static int describe_audio(party *p)
{
	size_t i;
	int err = sdp_media_add(&p->audio, p->sdp, sdp_media_audio, sa_port(rtp_local(p->rtp)), sdp_proto_rtpavp);

	for (i = 0; i < ARRAY_SIZE(codecs) && err == 0; i++)
		err = sdp_format_add(NULL, p->audio, false, codecs[i][0], codecs[i][1], 8000, 1, NULL, NULL, NULL,
		                     false, NULL);
	if (err == 0)
		err = sdp_format_add(NULL, p->audio, false, "101", telev_rtpfmt, 8000, 1, NULL, NULL, NULL, false,
		                     "0-15");
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

void party_close(party *p)
{
	p->dialog = mem_deref(p->dialog);
	p->rtp = mem_deref(p->rtp);
	p->sdp = mem_deref(p->sdp);
}

/* What is true now, as an attribute of the session level: one, whatever stood there before. */
static int state_of(const party *p)
{
	return p->call->session != NULL ? rco_session_record_state(p->call->session) : RCO_RECORD_OFF;
}

int party_describe(party *p, struct mbuf **description, bool offer)
{
	int state = state_of(p), err;
	const char *name = rco_record_state_name(state > 0 ? (uint32_t)state : RCO_RECORD_OFF);

	err = sdp_session_set_lattr(p->sdp, true, "record", "%s", name);
	if (err == 0)
		err = sdp_encode(description, p->sdp, offer);
	if (err == 0)
		p->told = state;
	return err;
}

/* The peer speaks first, then what it says of the media is looked at: a preference holds also if that is refused.
 */
static void heed(party *p, const struct sip_msg *msg)
{
	const options *o = &p->call->server->o;
	rco_recordpref_policy policy = {.struct_size = (uint32_t)sizeof policy,
	                                .flags = RCO_RECORDPREF_NONBLOCK,
	                                .off = o->recordpref_off};
	uint32_t preference = RCO_RECORDPREF_ABSENT, done = 0;
	int rc;

	(void)rco_sdp_recordpref((const char *)mbuf_buf(msg->mb), mbuf_get_left(msg->mb), RCO_SDP_AUDIO,
	                         &preference);
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
	engine_soon(p->call->server);
}

static bool is_aware(const struct sip_hdr *hdr, const struct sip_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return rco_sip_record_aware(hdr->val.p, hdr->val.l) == 1;
}

static void learn(party *p, const struct sip_msg *msg)
{
	if (sip_msg_hdr_apply(msg, true, SIP_HDR_SUPPORTED, is_aware, NULL) != NULL)
		p->aware = 1;
}

static int decode(party *p, const struct sip_msg *msg, bool offer)
{
	int err;

	learn(p, msg);
	heed(p, msg);
	err = sdp_decode(p->sdp, msg->mb, offer);
	if (err == 0)
		audio_known(p);
	return err;
}

int party_offered(party *p, const struct sip_msg *msg, struct mbuf **answer)
{
	bool offered = mbuf_get_left(msg->mb) > 0;
	int err = offered ? decode(p, msg, true) : 0;

	if (!offered)
		learn(p, msg);
	if (err == 0 && offered && p->pt < 0)
		err = EPROTO; /* no codec in common */
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
