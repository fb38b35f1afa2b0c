/* SPDX-License-Identifier: MIT */
/* The server's SIP side: where INVITEs come in, and the clock of everything that is played. */
#include "recorder.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_NS = 20000000, BEHIND = 10 }; /* ticks that are made up for at most */

uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

call *server_find(const server *s, const char *id)
{
	struct le *le;

	LIST_FOREACH(&s->calls, le)
	{
		call *c = le->data;

		if (c->session != NULL && !c->over && strcmp(c->id, id) == 0)
			return c;
	}
	return NULL;
}

static bool is_party(const party *p, const struct sip_msg *msg)
{
	return p != NULL && p->dialog != NULL && sip_dialog_cmp(sipsess_dialog(p->dialog), msg);
}

party *server_party(const server *s, const struct sip_msg *msg)
{
	struct le *le;

	LIST_FOREACH(&s->calls, le)
	{
		call *c = le->data;

		if (is_party(&c->caller, msg))
			return &c->caller;
		if (is_party(c->human, msg))
			return c->human;
	}
	return NULL;
}

static bool is_late(const party *p, const struct sip_msg *msg)
{
	return p != NULL && p->late != NULL && sip_dialog_cmp(p->late, msg) &&
	       sa_cmp(&p->peer, &msg->src, SA_ADDR);
}

party *server_late(const server *s, const struct sip_msg *msg)
{
	struct le *le;

	LIST_FOREACH(&s->calls, le)
	{
		call *c = le->data;

		if (is_late(&c->caller, msg))
			return &c->caller;
		if (is_late(c->former, msg))
			return c->former;
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

/* After a longer stall than can be made up for, what was not said is not said faster. */
static void tick(int flags, void *arg)
{
	server *s = arg;
	uint64_t ticks = 0;

	(void)flags;
	if (read(s->frames, &ticks, sizeof ticks) != (ssize_t)sizeof ticks)
		return;
	for (ticks = ticks <= BEHIND ? ticks : 1; ticks > 0; ticks--)
		tick_all(s);
	ear_reap();
	if (now_us() >= s->due_us)
		engine_run(s);
}

static int open_clock(server *s)
{
	struct itimerspec each = {{0, TICK_NS}, {0, TICK_NS}};

	s->frames = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->frames < 0 || timerfd_settime(s->frames, 0, &each, NULL) != 0)
		return errno;
	return fd_listen(s->frames, FD_READ, tick, s);
}

void server_stop_clock(server *s)
{
	if (s->frames < 0)
		return;
	fd_close(s->frames);
	(void)close(s->frames);
	s->frames = -1;
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
	/* In the order in which they are asked. */
	if (err == 0)
		err = sip_listen(NULL, s->sip, true, requests_before, s);
	if (err == 0)
		err = sipsess_listen(&s->sessions, s->sip, 512, invited, s);
	if (err == 0)
		err = sip_listen(NULL, s->sip, true, requests_after, s);
	if (err == 0)
		err = sip_listen(NULL, s->sip, false, responses_after, s);
	return err == 0 ? open_clock(s) : err;
}

void server_close(server *s)
{
	s->closing = 1;
	server_stop_clock(s);
	while (!list_isempty(&s->calls))
		mem_deref(list_head(&s->calls)->data);
	list_flush(&s->refused);
	sipsess_close_all(s->sessions);
	sip_close(s->sip, false);
}
