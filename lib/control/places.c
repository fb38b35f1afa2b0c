/* SPDX-License-Identifier: MIT */
/* Places at the socket: each client gets one, at the expense of the user that has most. */
#include "control.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static const uid_t NOBODY = (uid_t)-1; /* of no process (setuid(2)) */

int rco__place_allowed(const rco_control *control, int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	uint32_t i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer)
		return 0;
	*uid = peer.uid;
	if (peer.uid == geteuid() || peer.uid == 0)
		return 1;
	for (i = 0; i < control->n_uids; i++)
		if (peer.uid == control->uids[i])
			return 1;
	/* The group's members and nobody else could connect at all. */
	return control->group && control->n_uids == 0;
}

static int is_home(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static int counts(const rco__client_of *c, int subscribers)
{
	return c->fd >= 0 && (!subscribers || c->wants_events);
}

static uint32_t count(const rco_control *control, uid_t uid, int subscribers)
{
	uint32_t i, n = 0;

	for (i = 0; i < control->max_clients; i++)
		n += counts(&control->clients[i], subscribers) && control->clients[i].uid == uid;
	return n;
}

static uint32_t count_home(const rco_control *control, int subscribers)
{
	uint32_t i, n = 0;

	for (i = 0; i < control->max_clients; i++)
		n += counts(&control->clients[i], subscribers) && is_home(control->clients[i].uid);
	return n;
}

static uint32_t most_subscribers(const rco_control *control)
{
	return control->max_clients > 1 ? control->max_clients / 2 : 1;
}

/* Who goes first: the silent; then those that wait for an answer, for what they asked for is done all the same;
 * and those that are there to listen if nobody else is left, for they are silent by nature, and no more than half.
 */
static int worth(const rco__client_of *c)
{
	if (c->wants_events)
		return 2;
	return c->jobs > 0 ? 1 : 0;
}

static int goes_before(const rco__client_of *a, const rco__client_of *b)
{
	return worth(a) != worth(b) ? worth(a) < worth(b) : a->asked_us < b->asked_us;
}

/* A client that may be closed for one of `uid`: of the user that has most, and of its own only if nobody has more.
 * Half of the places are for root and the engine's user, if they want them: up to there they lose none to others,
 * and get theirs from others. */
static rco__client_of *choose(rco_control *control, uid_t uid, int subscribers)
{
	const uint32_t half = subscribers ? (most_subscribers(control) + 1) / 2 : control->max_clients / 2;
	const uint32_t own = count(control, uid, subscribers), home = count_home(control, subscribers);
	const int wanting = is_home(uid) && home < half, sparing = !is_home(uid) && home <= half;
	rco__client_of *found = NULL;
	uint32_t i, n = own, most = 0;
	uid_t counted = uid;

	for (i = 0; i < control->max_clients; i++) {
		rco__client_of *c = &control->clients[i];

		if (!counts(c, subscribers) || ((wanting || sparing) && is_home(c->uid)))
			continue;
		if (c->uid != counted)
			n = count(control, c->uid, subscribers);
		counted = c->uid;
		if (n < most || (n <= own && c->uid != uid && !wanting))
			continue;
		if (found == NULL || n > most || goes_before(c, found))
			found = c;
		most = n;
	}
	return found;
}

rco__client_of *rco__place_least(rco_control *control)
{
	rco__client_of *found = choose(control, NOBODY, 0);
	const int alone = found == NULL; /* are root and the engine's user */
	uint32_t i;

	for (i = 0; alone && i < control->max_clients; i++) {
		rco__client_of *c = &control->clients[i];

		if (c->fd >= 0 && (found == NULL || goes_before(c, found)))
			found = c;
	}
	return found;
}

static rco__client_of *free_place(const rco_control *control)
{
	uint32_t i;

	for (i = 0; i < control->max_clients; i++)
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	return NULL;
}

int rco__place_is_free(const rco_control *control)
{
	return free_place(control) != NULL;
}

rco__client_of *rco__place_for(rco_control *control, uid_t uid)
{
	rco__client_of *c = free_place(control);

	return c != NULL ? c : choose(control, uid, 0);
}

/* Gone, and all that it said was read: it keeps nobody from listening, though its turn has not come. */
static int is_gone(const rco__client_of *c)
{
	struct pollfd p = {.fd = c->fd};
	char byte;

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0 && !rco__client_has_more(c) &&
	       recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

rco__client_of *rco__subscriber_for(rco_control *control, const rco__client_of *c, int *full)
{
	rco__client_of *found;
	uint32_t i;

	*full = !c->wants_events && atomic_load(&control->subscribers) >= most_subscribers(control);
	for (i = 0; *full && i < control->max_clients; i++)
		if (counts(&control->clients[i], 1) && is_gone(&control->clients[i]))
			return &control->clients[i];
	if (!*full)
		return NULL;
	found = choose(control, c->uid, 1);
	return found != NULL && found->uid != c->uid ? found : NULL;
}
