/* SPDX-License-Identifier: MIT */
/* The server's SIP side: where INVITEs come in, and the clock of everything that is played. */
#include "recorder.h"

#include <string.h>

enum { TICK_MS = 20, BEHIND = 10 }; /* ticks that are made up for at most */

call *server_find(const server *s, const char *id)
{
	struct le *le;

	LIST_FOREACH(&s->calls, le)
	{
		call *c = le->data;

		if (c->session != NULL && strcmp(c->id, id) == 0)
			return c;
	}
	return NULL;
}

static void invited(const struct sip_msg *msg, void *arg)
{
	call_invited(arg, msg);
}

static void tick_all(const server *s)
{
	struct le *le;

	LIST_FOREACH(&s->calls, le)
	{
		audio_tick(le->data);
	}
}

static void tick(void *arg)
{
	server *s = arg;
	uint64_t now = tmr_jiffies();
	int n;

	for (n = 0; s->frames_ms <= now && n < BEHIND; n++) {
		tick_all(s);
		s->frames_ms += TICK_MS;
	}
	ear_reap();
	if (s->frames_ms <= now) /* too late: what was not said is not said faster now */
		s->frames_ms = now + TICK_MS;
	tmr_start(&s->frames, s->frames_ms - now, tick, s);
}

/* Everything is answered, or nobody answers any more. */
static void gone(void *arg)
{
	(void)arg;
	re_cancel();
}

int server_open(server *s)
{
	int err = sip_alloc(&s->sip, NULL, 512, 512, 512, "librecoptout sip_recorder", gone, s);

	if (err == 0)
		err = sip_transp_add(s->sip, SIP_TRANSP_UDP, &s->laddr);
	if (err == 0)
		err = sip_transp_add(s->sip, SIP_TRANSP_TCP, &s->laddr);
	if (err == 0)
		err = sipsess_listen(&s->sessions, s->sip, 512, invited, s);
	tmr_init(&s->frames);
	s->frames_ms = tmr_jiffies() + TICK_MS;
	if (err == 0)
		tmr_start(&s->frames, TICK_MS, tick, s);
	return err;
}

void server_close(server *s)
{
	s->closing = 1;
	tmr_cancel(&s->frames);
	while (!list_isempty(&s->calls))
		mem_deref(list_head(&s->calls)->data);
	sipsess_close_all(s->sessions);
	sip_close(s->sip, false);
}
