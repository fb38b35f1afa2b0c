/* SPDX-License-Identifier: MIT */
/* The caller asks for a human: a second dialog, whose audio is bridged to the caller's and is a leg of the same
 * call. */
#include "recorder.h"

#include <string.h>

static void destroy(void *arg)
{
	party_close(arg);
}

static int offered(struct mbuf **answer, const struct sip_msg *msg, void *arg)
{
	return party_offered(arg, msg, answer);
}

static int answered(const struct sip_msg *msg, void *arg)
{
	return party_answered(arg, msg);
}

static void established(const struct sip_msg *msg, void *arg)
{
	party *p = arg;

	(void)msg;
	p->established = 1;
	p->call->playing = NULL;
	say(p->call->server, "%s: talks to %s", p->call->id, p->call->server->o.transfer_to);
	call_changed(p->call);
}

/* The caller stays: with the server's own voice again. */
static void closed(int err, const struct sip_msg *msg, void *arg)
{
	party *p = arg;
	call *c = p->call;

	if (err != 0)
		say(c->server, "%s: the transfer failed: %s", c->id, strerror(err));
	else if (msg != NULL && msg->scode >= 300)
		say(c->server, "%s: the transfer was refused with %u", c->id, msg->scode);
	else
		say(c->server, "%s: the transfer is over", c->id);
	call_human_left(c);
	call_play_on(c);
}

static void informed(struct sip *sip, const struct sip_msg *msg, void *arg)
{
	request_info(sip, msg, arg);
}

static int dial(party *p)
{
	const server *s = p->call->server;
	struct mbuf *description = NULL;
	char from[128];
	int err;

	(void)re_snprintf(from, sizeof from, "sip:recorder@%J", &s->laddr);
	err = party_describe(p, &description, true);
	if (err == 0)
		err = sipsess_connect(&p->dialog, s->sessions, s->o.transfer_to, NULL, from, "sip-recorder", NULL,
		                      0, "application/sdp", description, NULL, NULL, false, offered, answered,
		                      NULL, established, informed, NULL, closed, p, "%s", ABILITIES);
	mem_deref(description);
	return err;
}

void transfer_begin(call *c)
{
	int err;

	if (c->server->o.transfer_to == NULL || c->human != NULL || c->over)
		return;
	c->human = mem_zalloc(sizeof *c->human, destroy);
	err = c->human == NULL ? ENOMEM : party_open(c->human, c);
	if (err == 0)
		err = dial(c->human);
	if (err != 0) {
		say(c->server, "%s: cannot be transferred: %s", c->id, strerror(err));
		c->human = mem_deref(c->human);
	}
}
