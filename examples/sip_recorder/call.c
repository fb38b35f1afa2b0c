/* SPDX-License-Identifier: MIT */
/* A call: from its INVITE to its end. */
#include "recorder.h"

#include <errno.h>
#include <string.h>

static void destroy(void *arg)
{
	call *c = arg;

	list_unlink(&c->le);
	tmr_cancel(&c->ring);
	reorder_flush(&c->caller.in);
	if (c->human != NULL)
		reorder_flush(&c->human->in);
	ear_close(c);
	party_close(&c->caller);
	c->human = mem_deref(c->human);
	if (c->session != NULL) {
		(void)rco_session_end(c->session);
		rco_session_free(c->session);
		engine_soon(c->server);
	}
	mem_deref(c->id);
}

/* ---- the recording ---- */

/*
 * The session exists before the call is answered, so that whoever objects earlier is heard. A second call of the
 * same Call-ID is not recorded: an objection could not say which of both is meant.
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
	mem_deref(c);
}

static int answer_now(call *c, struct mbuf *description)
{
	int err = sipsess_answer(c->caller.dialog, 200, "OK", description, NULL);

	if (err == 0) {
		c->server->answered++;
		say(c->server, "%s: answered, %s%s", c->id,
		    c->caller.pt < 0          ? "no codec yet"
		    : c->caller.law == LAW_MU ? "PCMU"
		                              : "PCMA",
		    c->caller.aware ? ", record-aware" : "");
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
	c->agent_leg = NO_LEG;
	c->ear = -1;
	tmr_init(&c->ring);
	list_append(&s->calls, &c->le, c);
	if (pl_strdup(&c->id, &msg->callid) != 0 || party_open(&c->caller, c) != 0)
		c = mem_deref(c);
	return c;
}

static void refuse(server *s, const struct sip_msg *msg, uint16_t code, const char *reason)
{
	(void)sip_treply(NULL, s->sip, msg, code, reason);
}

static int ring(call *c, const struct sip_msg *msg)
{
	return sipsess_accept(&c->caller.dialog, c->server->sessions, msg, 180, "Ringing", "sip-recorder",
	                      "application/sdp", NULL, NULL, NULL, false, offered, answered, established, NULL,
	                      NULL, closed, c, "Supported: record-aware\r\n");
}

void call_invited(server *s, const struct sip_msg *msg)
{
	struct mbuf *description = NULL;
	call *c;
	int err;

	if (s->closing || list_count(&s->calls) >= s->o.max_calls) {
		refuse(s, msg, 503, "Service Unavailable");
		return;
	}
	c = allocate(s, msg);
	if (c == NULL) {
		refuse(s, msg, 500, "Server Error");
		return;
	}
	open_session(c);
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
