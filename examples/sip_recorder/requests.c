/* SPDX-License-Identifier: MIT */
/*
 * SIP requests beside the beginning and end of a call, which are libre's: UPDATE (RFC 3311), OPTIONS, INFO (RFC
 * 6086), and everything that is answered with what this server can do.
 */
#include "recorder.h"

enum { BODY_MAX = 1024 };

static void answer(server *s, const struct sip_msg *msg, uint16_t code, const char *reason, const char *headers)
{
	(void)sip_treplyf(NULL, NULL, s->sip, msg, false, code, reason, "%s%sContent-Length: 0\r\n\r\n", ABILITIES,
	                  headers);
}

static bool is(const struct sip_msg *msg, const char *method)
{
	return pl_strcmp(&msg->met, method) == 0;
}

/* ---- what a request requires (RFC 3261, section 8.2.2.3) ---- */

typedef struct unknown {
	char tags[256];
	size_t size;
} unknown;

static bool is_token(const struct pl *t)
{
	size_t i;

	for (i = 0; i < t->l; i++)
		if (t->p[i] <= ' ' || t->p[i] >= 0x7f || t->p[i] == ',')
			return false;
	return t->l > 0;
}

static bool collect(const struct sip_hdr *hdr, const struct sip_msg *msg, void *arg)
{
	unknown *u = arg;

	(void)msg;
	if (rco_sip_record_aware(hdr->val.p, hdr->val.l) == 1 || !is_token(&hdr->val))
		return false;
	if (u->size + hdr->val.l + 2 < sizeof u->tags) {
		int n = re_snprintf(u->tags + u->size, sizeof u->tags - u->size, "%s%r", u->size > 0 ? "," : "",
		                    &hdr->val);

		u->size += n > 0 ? (size_t)n : 0;
	}
	return false;
}

int request_extension(server *s, const struct sip_msg *msg)
{
	unknown u = {.size = 0};

	(void)sip_msg_hdr_apply(msg, true, SIP_HDR_REQUIRE, collect, &u);
	if (u.size == 0)
		return 0;
	(void)sip_treplyf(NULL, NULL, s->sip, msg, false, 420, "Bad Extension",
	                  "%sUnsupported: %s\r\nContent-Length: 0\r\n\r\n", ABILITIES, u.tags);
	return 1;
}

/* ---- UPDATE ---- */

static void accept_update(party *p, const struct sip_msg *msg, struct mbuf *description)
{
	struct sip_contact contact;
	size_t size = description != NULL ? mbuf_get_left(description) : 0;

	(void)sip_dialog_update(sipsess_dialog(p->dialog), msg);
	sip_contact_set(&contact, "sip-recorder", &msg->dst, msg->tp);
	(void)sip_treplyf(NULL, NULL, p->call->server->sip, msg, false, 200, "OK",
	                  "%H" ABILITIES "%sContent-Length: %zu\r\n\r\n%b", sip_contact_print, &contact,
	                  size > 0 ? "Content-Type: application/sdp\r\n" : "", size,
	                  size > 0 ? mbuf_buf(description) : NULL, size);
}

/* What the peer prefers counts in any case; its offer only when no other one waits (RFC 3311, section 5.2). */
static void update(server *s, party *p, const struct sip_msg *msg)
{
	struct mbuf *description = NULL;
	bool offers = mbuf_get_left(msg->mb) > 0;

	if (offers && party_has_offered(p)) {
		answer(s, msg, 491, "Request Pending", "");
	} else if (offers && !p->call->answered) {
		char retry[32];

		(void)re_snprintf(retry, sizeof retry, "Retry-After: %u\r\n", rand_u16() % 10u);
		answer(s, msg, 500, "Server Internal Error", retry);
	} else if (offers && party_offered(p, msg, &description) != 0) {
		answer(s, msg, 488, "Not Acceptable Here", "");
	} else {
		accept_update(p, msg, description);
	}
	mem_deref(description);
}

/* ---- INFO ---- */

static bool has_type(const struct sip_msg *msg, const char *subtype)
{
	return pl_strcasecmp(&msg->ctyp.type, "application") == 0 &&
	       pl_strcasecmp(&msg->ctyp.subtype, subtype) == 0;
}

static char key_of(const struct sip_msg *msg)
{
	size_t size = mbuf_get_left(msg->mb);

	return keys_info((const char *)mbuf_buf(msg->mb), size < BODY_MAX ? size : BODY_MAX);
}

static bool is_keys(const struct sip_msg *msg)
{
	return has_type(msg, "dtmf-relay") || has_type(msg, "dtmf") || has_type(msg, "vnd.nortelnetworks.digits");
}

static void press_key(party *p, const struct sip_msg *msg)
{
	char key = is_keys(msg) ? key_of(msg) : 0;

	if (key != 0)
		audio_key_by_info(p, msg->cseq.num, key);
}

void request_info(struct sip *sip, const struct sip_msg *msg, party *p)
{
	server *s = p->call->server;

	(void)sip;
	if (mbuf_get_left(msg->mb) > 0 && !is_keys(msg)) {
		answer(s, msg, 415, "Unsupported Media Type",
		       "Accept: application/dtmf-relay, application/dtmf\r\n");
		return;
	}
	answer(s, msg, 200, "OK", "");
	press_key(p, msg);
}

/* ---- in a dialog ---- */

/* libre refuses what comes while its own request is under way, without a look at what it says. */
static void heed_early(party *p, const struct sip_msg *msg, bool in_order)
{
	/* what was overtaken takes nothing back, but objects */
	if (in_order || party_preference(msg) == RCO_RECORDPREF_OFF)
		party_heed(p, msg);
}

/*
 * A request may be overtaken by BYE or by another one of its dialog: it is refused then, as SIP asks for, and what
 * it objects to is heard all the same.
 */
static void heed_overtaken(party *p, const struct sip_msg *msg)
{
	if (is(msg, "INFO"))
		press_key(p, msg);
	else
		heed_early(p, msg, false);
}

static bool after_the_end(server *s, const struct sip_msg *msg)
{
	party *p = server_late(s, msg);

	if (p != NULL)
		heed_overtaken(p, msg);
	if (is(msg, "ACK"))
		return false;
	answer(s, msg, 481, "Call/Transaction Does Not Exist", "");
	return true;
}

static bool within(server *s, const struct sip_msg *msg)
{
	party *p;
	bool in_order;

	if (is(msg, "BYE") || is(msg, "CANCEL"))
		return false;
	p = server_party(s, msg);
	if (p == NULL)
		return after_the_end(s, msg);
	if (is(msg, "ACK"))
		return false;
	in_order = sip_dialog_rseq_valid(sipsess_dialog(p->dialog), msg);
	if (!in_order)
		heed_overtaken(p, msg);
	else if (is(msg, "INVITE") || is(msg, "UPDATE"))
		heed_early(p, msg, true);
	if (!in_order) {
		answer(s, msg, 500, "Server Internal Error", "");
		return true;
	}
	if (is(msg, "INFO"))
		return false;
	if (request_extension(s, msg))
		return true;
	if (is(msg, "UPDATE"))
		update(s, p, msg);
	else if (is(msg, "REFER"))
		answer(s, msg, 405, "Method Not Allowed", "");
	else
		return false;
	return true;
}

/* ---- what every request has (RFC 3261, section 8.1.1) ---- */

/* libre passes on what lacks some of it, and answers others than it names. An empty Call-ID is one. */
static bool is_whole(const struct sip_msg *msg)
{
	return msg->callid.p != NULL && pl_isset(&msg->via.sentby) && pl_isset(&msg->from.auri) &&
	       pl_isset(&msg->to.auri) && pl_cmp(&msg->cseq.met, &msg->met) == 0;
}

/* What is lacking there is nothing that an objection needs. */
static void heed_refused(server *s, const struct sip_msg *msg)
{
	party *p = pl_isset(&msg->to.tag) ? server_party(s, msg) : NULL;
	uint32_t before;

	if (p != NULL && (is(msg, "INVITE") || is(msg, "UPDATE")))
		heed_early(p, msg, false);
	else if (is(msg, "INVITE") && pl_isset(&msg->callid) && !pl_isset(&msg->to.tag))
		(void)refused_note(s, msg, &before);
}

bool requests_before(const struct sip_msg *msg, void *arg)
{
	if (!is_whole(msg)) {
		heed_refused(arg, msg);
		if (!is(msg, "ACK"))
			answer(arg, msg, 400, "Bad Request", "");
		return true;
	}
	return pl_isset(&msg->to.tag) ? within(arg, msg) : false;
}

/* ---- the others ---- */

static bool is_known(const struct sip_msg *msg)
{
	static const char *const methods[] = {"REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY",
	                                      "PUBLISH",  "REFER", "MESSAGE",   "UPDATE"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(methods); i++)
		if (is(msg, methods[i]))
			return true;
	return false;
}

static void tell_abilities(server *s, const struct sip_msg *msg)
{
	if (request_extension(s, msg))
		return;
	if (s->closing || s->live >= s->o.max_calls)
		answer(s, msg, 503, "Service Unavailable", "");
	else
		answer(s, msg, 200, "OK", "Accept: application/sdp\r\nAccept-Encoding: identity\r\n");
}

bool requests_after(const struct sip_msg *msg, void *arg)
{
	server *s = arg;

	if (is(msg, "ACK"))
		return true;
	if (is(msg, "OPTIONS"))
		tell_abilities(s, msg);
	else if (is(msg, "CANCEL") || (is(msg, "PRACK") && pl_isset(&msg->to.tag)))
		answer(s, msg, 481, "Call/Transaction Does Not Exist", "");
	else if (is_known(msg))
		answer(s, msg, 405, "Method Not Allowed", "");
	else
		answer(s, msg, 501, "Not Implemented", "");
	return true;
}

/* Late, or nobody's. */
bool responses_after(const struct sip_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return true;
}
