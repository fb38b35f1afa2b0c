/* SPDX-License-Identifier: MIT */
/* A call: from its INVITE to its end. */
#include "recorder.h"

#include <errno.h>
#include <string.h>

enum { LATE_MS = 1000, AGAIN_MS = 20, PATIENCE_US = 10000000 };

static void hang_up(call *c)
{
	if (c->over)
		return;
	c->over = 1;
	c->server->live--;
	c->playing = NULL;
	party_hang_up(&c->caller);
	tmr_cancel(&c->ring);
}

static void end_recording(call *c)
{
	int i;

	if (c->ended)
		return;
	c->ended = 1;
	audio_end(&c->caller);
	call_human_left(c);
	ear_close(c);
	for (i = 0; i < LEGS; i++)
		leg_close(&c->legs[i]);
	if (c->session != NULL)
		(void)rco_session_end(c->session);
	engine_soon(c->server);
}

static void destroy(void *arg)
{
	call *c = arg;

	hang_up(c);
	end_recording(c);
	list_unlink(&c->le);
	tmr_cancel(&c->ring);
	tmr_cancel(&c->late);
	c->former = mem_deref(c->former);
	party_close(&c->caller);
	rco_session_free(c->session);
	mem_deref(c->id);
	mem_deref(c->wish);
}

static void forget(void *arg)
{
	mem_deref(arg);
}

/*
 * What the network held back just before the end may still wait for its place. And the last keys may be on their
 * way: BYE takes another one than they do.
 */
static void gone(void *arg)
{
	call *c = arg;

	if (c->hung_up_us == 0) {
		audio_end(&c->caller);
		c->hung_up_us = now_us();
	}
	if (audio_waits(c) && now_us() - c->hung_up_us < PATIENCE_US) {
		tmr_start(&c->ring, AGAIN_MS, gone, c);
		return;
	}
	end_recording(c);
	tmr_start(&c->ring, LATE_MS, forget, c);
}

static void forget_human(void *arg)
{
	call *c = arg;

	c->former = mem_deref(c->former);
}

/* A party that objects and hangs up is heard, the human no less than the caller. */
void call_human_left(call *c)
{
	if (c->human == NULL)
		return;
	mem_deref(c->former);
	c->former = c->human;
	c->human = NULL;
	audio_end(c->former);
	party_hang_up(c->former);
	tmr_start(&c->late, LATE_MS, forget_human, c);
}

/* ---- the recording ---- */

/*
 * The session exists before the call is answered, so that a caller who objects earlier is heard. A second call of
 * the same Call-ID is not recorded: an objection could not say which of both is meant.
 */
static void open_session(call *c)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = c->id};
	int rc = rco_session_create(c->server->engine, &o, &c->session);

	if (rc != RCO_OK)
		say(c->server, "a call is answered and not recorded: %s: %s", rco_error_name(rc),
		    rco_error_detail());
}

static void start_recording(call *c)
{
	int rc = c->session != NULL ? rco_session_start(c->session) : RCO_OK;

	if (rc != RCO_OK && rc != RCO_E_OPTED_OUT)
		say(c->server, "%s: not recorded: %s", c->id, rco_error_detail());
	engine_soon(c->server);
}

void call_opt_out(call *c, const char *source)
{
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK, .source = source};
	rco_receipt *receipt = NULL;
	int rc;

	if (c->session == NULL)
		return;
	rc = rco_opt_out(c->session, &o, &receipt);
	say(c->server, "%s: opt-out by %s: %s, receipt %s", c->id, source, rco_error_name(rc),
	    receipt != NULL ? rco_receipt_id(receipt) : "none");
	rco_receipt_free(receipt);
	engine_soon(c->server);
}

void call_changed(call *c)
{
	party_tell(&c->caller);
	party_tell(c->human);
}

void call_play(call *c, const sound *what)
{
	if (what->size == 0)
		return;
	c->playing = what;
	c->played = 0;
}

void call_play_on(call *c)
{
	c->playing = NULL;
	if (c->human == NULL || !c->human->established)
		call_play(c, &c->server->agent);
}

/* ---- the dialog ---- */

static int offered(struct mbuf **answer, const struct sip_msg *msg, void *arg)
{
	call *c = arg;

	return party_offered(&c->caller, msg, answer);
}

static int answered(const struct sip_msg *msg, void *arg)
{
	call *c = arg;

	return party_answered(&c->caller, msg);
}

static void established(const struct sip_msg *msg, void *arg)
{
	call *c = arg;

	(void)msg;
	c->caller.established = 1;
	call_changed(c); /* it may have changed since the answer was written */
}

static void closed(int err, const struct sip_msg *msg, void *arg)
{
	call *c = arg;

	err = err == ECONNRESET ? 0 : err; /* so libre calls a BYE */
	say(c->server, "%s: ended%s%s", c->id, err != 0 ? ": " : "", err != 0 ? strerror(err) : "");
	(void)msg;
	hang_up(c);
	tmr_start(&c->ring, 0, gone, c); /* after what has arrived already */
}

static int answer_now(call *c, struct mbuf *description)
{
	int err = sipsess_answer(c->caller.dialog, 200, "OK", description, "%s", ABILITIES);

	if (err == 0) {
		c->answered = 1;
		refused_forget(c->wish);
		c->server->answered++;
		say(c->server, "%s: answered, %s%s", c->id,
		    c->caller.pt < 0          ? "no codec yet"
		    : c->caller.law == LAW_MU ? "PCMU"
		                              : "PCMA",
		    c->caller.aware ? ", record-aware" : "");
		call_play_on(c);
		call_play(c, &c->server->announcement);
	}
	return err;
}

/*
 * Recording begins with the answer, so the answer says so. The description was decoded when the INVITE came; here
 * the state of the recording is written into it.
 */
static int pick_up(call *c, bool offer)
{
	struct mbuf *description = NULL;
	int err;

	start_recording(c);
	ear_open(c);
	err = party_describe(&c->caller, &description, offer);
	if (err == 0)
		err = answer_now(c, description);
	mem_deref(description);
	return err;
}

static void rung(void *arg)
{
	call *c = arg;
	int err = pick_up(c, c->caller.pt < 0);

	if (err != 0) {
		say(c->server, "%s: cannot be answered: %s", c->id, strerror(err));
		(void)sipsess_reject(c->caller.dialog, 500, "Server Error", NULL);
		mem_deref(c);
	}
}

static call *allocate(server *s, const struct sip_msg *msg)
{
	call *c = mem_zalloc(sizeof *c, destroy);

	if (c == NULL)
		return NULL;
	c->server = s;
	s->live++;
	c->ear = -1;
	tmr_init(&c->ring);
	tmr_init(&c->late);
	list_append(&s->calls, &c->le, c);
	if (pl_strdup(&c->id, &msg->callid) != 0 || party_open(&c->caller, c) != 0)
		c = mem_deref(c);
	return c;
}

static void informed(struct sip *sip, const struct sip_msg *msg, void *arg)
{
	call *c = arg;

	request_info(sip, msg, &c->caller);
}

static void refuse(server *s, const struct sip_msg *msg, uint16_t code, const char *reason)
{
	(void)sip_treply(NULL, s->sip, msg, code, reason);
}

static int ring(call *c, const struct sip_msg *msg)
{
	return sipsess_accept(&c->caller.dialog, c->server->sessions, msg, 180, "Ringing", "sip-recorder",
	                      "application/sdp", NULL, NULL, NULL, false, offered, answered, established, informed,
	                      NULL, closed, c, "%s", ABILITIES);
}

/* RFC 3261, section 25.1. libre 1.1.0 does not find the dialogs of other ones again: they would never end. */
static int is_ascii(const struct pl *text)
{
	size_t i;

	for (i = 0; i < text->l; i++)
		if ((unsigned char)text->p[i] >= 0x80)
			return 0;
	return 1;
}

void call_invited(server *s, const struct sip_msg *msg)
{
	struct mbuf *description = NULL;
	uint32_t before;
	refused *wish;
	call *c;
	int err;

	if (!is_ascii(&msg->callid)) {
		refuse(s, msg, 400, "Bad Call-ID");
		return;
	}
	wish = refused_note(s, msg, &before); /* whatever becomes of this INVITE */
	if (request_extension(s, msg))
		return;
	if (s->closing || s->live >= s->o.max_calls) {
		refuse(s, msg, 503, "Service Unavailable");
		return;
	}
	c = allocate(s, msg);
	if (c == NULL) {
		refuse(s, msg, 500, "Server Error");
		return;
	}
	c->wish = mem_ref(wish);
	open_session(c);
	party_prefer(&c->caller, before);
	err = party_offered(&c->caller, msg, &description);
	mem_deref(description);
	if (err != 0) {
		refuse(s, msg, 488, "Not Acceptable Here");
		mem_deref(c);
		return;
	}
	err = ring(c, msg);
	if (err != 0) {
		refuse(s, msg, 400, "Bad Request");
		mem_deref(c);
		return;
	}
	say(s, "%s: rings", c->id);
	tmr_start(&c->ring, s->o.ring_ms, rung, c);
}
