/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct guest {
	guest *older, *newer;
	row *in; /* NULL: in none any more */
	int fd;
	int64_t since_ms;
};

int64_t crowd_clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t now_ms(const crowd *c)
{
	return crowd_clock_ms() - c->away_ms;
}

static void put(row *r, guest *who)
{
	who->in = r;
	who->newer = NULL;
	who->older = r->newest;
	if (who->older != NULL)
		who->older->newer = who;
	else
		r->oldest = who;
	r->newest = who;
	r->count++;
}

static void take(guest *who)
{
	row *r = who->in;

	if (r == NULL)
		return;
	if (who->older != NULL)
		who->older->newer = who->newer;
	else
		r->oldest = who->newer;
	if (who->newer != NULL)
		who->newer->older = who->older;
	else
		r->newest = who->older;
	r->count--;
	who->in = NULL;
}

static void send_away(guest *who)
{
	(void)shutdown(who->fd, SHUT_RDWR); /* it is libmicrohttpd that closes it */
	take(who);
}

static void join(row *r, guest *who)
{
	put(r, who);
	if (r->count > r->most)
		send_away(r->oldest);
}

guest *crowd_come(crowd *c, int fd)
{
	guest *who = calloc(1, sizeof *who);

	if (who == NULL) {
		(void)shutdown(fd, SHUT_RDWR);
		return NULL;
	}
	who->fd = fd;
	who->since_ms = now_ms(c);
	join(&c->strangers, who);
	return who;
}

void crowd_leave(crowd *c, guest *who)
{
	(void)c;
	if (who != NULL)
		take(who);
	free(who);
}

void crowd_let_in(crowd *c, guest *who)
{
	if (who == NULL || who->in != &c->strangers)
		return;
	take(who);
	join(&c->friends, who);
}

void crowd_again(crowd *c, guest *who)
{
	if (who == NULL || who->in != &c->friends)
		return;
	take(who);
	who->since_ms = now_ms(c);
	put(&c->friends, who);
}

/* Until when somebody of the row has time. */
static int64_t sweep_row(const crowd *c, row *r, int64_t now)
{
	int64_t next = INT64_MAX;
	guest *who = r->oldest;

	while (who != NULL) {
		const int64_t end = who->since_ms + c->limit_ms;
		guest *newer = who->newer;

		if (end > now) {
			next = end < next ? end : next;
		} else {
			if (r == &c->friends)
				(void)fprintf(
					stderr,
					"webhook: a request was not whole in %lld s, or its answer not read: its "
					"connection is closed\n",
					(long long)c->limit_ms / 1000);
			send_away(who);
		}
		who = newer;
	}
	return next;
}

int crowd_sweep(crowd *c)
{
	const int64_t now = now_ms(c);
	const int64_t a = sweep_row(c, &c->strangers, now), b = sweep_row(c, &c->friends, now);
	const int64_t next = a < b ? a : b;

	return next == INT64_MAX ? -1 : (int)(next - now);
}
