/* SPDX-License-Identifier: MIT */
/* A client's connection. */
#include "client.h"

#include "../base/error.h"
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct rco__connection {
	int fd;
	size_t size, taken; /* read; of it the line that was given out last */
	char in[RCO_CONTROL_LINE_MAX];
};

/* 1 ready, 0 time is up */
static int wait_for(int fd, short events, int64_t until_us)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = until_us - rco__control_now();
		int n = poll(&p, 1, left > 0 ? (int)(left / 1000 + 1) : 0);

		if (n > 0)
			return 1;
		if (n == 0 && left <= 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return 0;
	}
}

static int check_peer(int fd, const char *path, uint32_t uid)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return rco__fail_errno(errno, "cannot tell who serves %s", path);
	if (peer.uid != uid && peer.uid != 0)
		return rco__fail(RCO_E_PERMISSION, "%s is served by user %u, not by user %u or root", path,
		                 (unsigned)peer.uid, (unsigned)uid);
	/* The process that listens serves, and nobody else: a child that has the socket still gives no answer. 0
	 * is one that cannot be seen from here. */
	if (peer.pid > 0 && kill(peer.pid, 0) != 0 && errno == ESRCH)
		return rco__fail(
			RCO_E_NOT_FOUND,
			"nobody serves %s: process %ld has ended, and a child of it keeps the socket; is the "
			"engine running?",
			path, (long)peer.pid);
	return RCO_OK;
}

static int connect_to(int fd, const struct sockaddr_un *address, int64_t until_us)
{
	for (;;) {
		if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
			return RCO_OK;
		if (errno == EAGAIN) { /* its queue is full: there is nothing to poll for (unix(7)) */
			if (rco__control_now() >= until_us)
				return rco__fail(RCO_E_TIMEOUT, "%s does not answer", address->sun_path);
			(void)poll(NULL, 0, 5);
			continue;
		}
		if (errno == ENOENT || errno == ECONNREFUSED)
			return rco__fail(RCO_E_NOT_FOUND, "nobody serves %s; is the engine running?",
			                 address->sun_path);
		if (errno != EINTR)
			return rco__fail_errno(errno, "cannot connect to %s", address->sun_path);
	}
}

int rco__connection_open(const char *path, uint32_t uid, int64_t until_us, rco__connection **out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	rco__connection *c = malloc(sizeof *c);
	int rc;

	*out = NULL;
	if (c == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a connection");
	c->size = c->taken = 0;
	memcpy(address.sun_path, path, strlen(path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		rc = rco__fail_errno(errno, "cannot make a socket");
	else
		rc = connect_to(c->fd, &address, until_us);
	if (rc == RCO_OK)
		rc = check_peer(c->fd, path, uid);
	if (rc != RCO_OK) {
		rco__connection_free(c);
		return rc;
	}
	*out = c;
	return RCO_OK;
}

void rco__connection_free(rco__connection *c)
{
	if (c == NULL)
		return;
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c);
}

int rco__connection_send(rco__connection *c, const char *data, size_t size, int64_t until_us)
{
	while (size > 0) {
		ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL);

		if (n > 0) {
			data += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (!wait_for(c->fd, POLLOUT, until_us))
				return rco__fail(RCO_E_IO, "the engine does not read");
		} else if (errno != EINTR) {
			return rco__fail(RCO_E_IO, "the connection to the engine is lost");
		}
	}
	return RCO_OK;
}

int rco__connection_line(rco__connection *c, char **line, int64_t until_us)
{
	memmove(c->in, c->in + c->taken, c->size - c->taken);
	c->size -= c->taken;
	c->taken = 0;
	for (;;) {
		char *end = memchr(c->in, '\n', c->size);
		ssize_t n;

		if (end != NULL) {
			*end = '\0';
			*line = c->in;
			c->taken = (size_t)(end - c->in) + 1;
			return RCO_OK;
		}
		if (c->size == sizeof c->in)
			return rco__fail(RCO_E_LIMIT, "a line from the engine is too long");
		n = recv(c->fd, c->in + c->size, sizeof c->in - c->size, 0);
		if (n > 0)
			c->size += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return rco__fail(RCO_E_IO, "the connection to the engine is lost");
		else if (errno == EAGAIN && !wait_for(c->fd, POLLIN, until_us))
			return RCO_E_TIMEOUT;
	}
}
