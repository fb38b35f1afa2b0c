/* SPDX-License-Identifier: MIT */
/* The other side of the door. */
#include "control.h"

#include "../base/error.h"
#include "../base/json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TIMEOUT_DEFAULT_MS = 5000, EVENTS_KEPT = 1024 };

typedef struct kept {
	struct kept *next;
	char line[];
} kept;

struct rco_client {
	int fd;
	int broken; /* an answer may still come that nobody expects any more */
	int64_t timeout_us;
	char *in;
	size_t size, taken;          /* read; of it the line that was given out last */
	kept *events, **events_last; /* came while an answer was waited for */
	size_t n_events;
	kept *given;
	json_t *answer;
};

static int broken(rco_client *client, int code, const char *why)
{
	client->broken = 1;
	return rco__fail(code,
	                 "%s; connect again, and ask again: an opt-out is the same however often it is asked for",
	                 why);
}

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

/* ---- connecting ---- */

static int check_peer(int fd, const char *path)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return rco__fail_errno(errno, "cannot tell who serves %s", path);
	if (peer.uid != geteuid() && peer.uid != 0)
		return rco__fail(RCO_E_PERMISSION, "%s is served by user %u, not by you or root", path,
		                 (unsigned)peer.uid);
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

int rco_client_connect(const char *path, uint32_t timeout_ms, rco_client **out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	rco_client *client;
	int rc;

	rco__error_clear();
	if (out == NULL)
		return rco__fail(RCO_E_INVALID, "client is NULL");
	*out = NULL;
	if (path == NULL || strlen(path) >= sizeof address.sun_path)
		return rco__fail(RCO_E_INVALID, "the path of a socket is 1 to 107 bytes long");
	memcpy(address.sun_path, path, strlen(path));
	client = calloc(1, sizeof *client);
	if (client == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a client");
	client->events_last = &client->events;
	client->timeout_us = (int64_t)(timeout_ms != 0 ? timeout_ms : TIMEOUT_DEFAULT_MS) * 1000;
	client->in = malloc(RCO_CONTROL_LINE_MAX);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->in == NULL)
		rc = rco__fail(RCO_E_NO_MEMORY, "no memory for a client");
	else if (client->fd < 0)
		rc = rco__fail_errno(errno, "cannot make a socket");
	else
		rc = connect_to(client->fd, &address, rco__control_now() + client->timeout_us);
	if (rc == RCO_OK)
		rc = check_peer(client->fd, path);
	if (rc != RCO_OK) {
		rco_client_close(client);
		return rc;
	}
	*out = client;
	return RCO_OK;
}

void rco_client_close(rco_client *client)
{
	if (client == NULL)
		return;
	if (client->fd >= 0)
		(void)close(client->fd);
	while (client->events != NULL) {
		kept *next = client->events->next;

		free(client->events);
		client->events = next;
	}
	free(client->given);
	json_decref(client->answer);
	free(client->in);
	free(client);
}

/* ---- lines ---- */

static int send_all(rco_client *client, const char *data, size_t size, int64_t until_us)
{
	while (size > 0) {
		ssize_t n = send(client->fd, data, size, MSG_NOSIGNAL);

		if (n > 0) {
			data += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (!wait_for(client->fd, POLLOUT, until_us))
				return broken(client, RCO_E_TIMEOUT, "the engine does not read");
		} else if (errno != EINTR) {
			return broken(client, RCO_E_IO, "the connection to the engine is lost");
		}
	}
	return RCO_OK;
}

/* The next line, without its line break; it stays in `in` until the one after it is asked for. */
static int next_line(rco_client *client, char **line, int64_t until_us)
{
	memmove(client->in, client->in + client->taken, client->size - client->taken);
	client->size -= client->taken;
	client->taken = 0;
	for (;;) {
		char *end = memchr(client->in, '\n', client->size);
		ssize_t n;

		if (end != NULL) {
			*end = '\0';
			*line = client->in;
			client->taken = (size_t)(end - client->in) + 1;
			return RCO_OK;
		}
		if (client->size == RCO_CONTROL_LINE_MAX)
			return broken(client, RCO_E_LIMIT, "a line from the engine is too long");
		n = recv(client->fd, client->in + client->size, RCO_CONTROL_LINE_MAX - client->size, 0);
		if (n > 0)
			client->size += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return broken(client, RCO_E_IO, "the connection to the engine is lost");
		else if (errno == EAGAIN && !wait_for(client->fd, POLLIN, until_us))
			return RCO_E_TIMEOUT;
	}
}

static int is_event(const char *line)
{
	return strncmp(line, "{\"event\":", 9) == 0;
}

/* For rco_client_event(), later. The oldest go if nobody asks for them. */
static int keep(rco_client *client, const char *line)
{
	kept *k = malloc(sizeof *k + strlen(line) + 1);

	if (k == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an event");
	k->next = NULL;
	memcpy(k->line, line, strlen(line) + 1);
	*client->events_last = k;
	client->events_last = &k->next;
	if (++client->n_events > EVENTS_KEPT) {
		kept *first = client->events;

		client->events = first->next;
		client->n_events--;
		free(first);
	}
	return RCO_OK;
}

static int check_client(const rco_client *client)
{
	rco__error_clear();
	if (client == NULL)
		return rco__fail(RCO_E_INVALID, "client is NULL");
	return client->broken ? rco__fail(RCO_E_IO, "the connection was lost before: connect again") : RCO_OK;
}

/* ---- requests ---- */

int rco_client_request(rco_client *client, const char *request, const char **answer)
{
	size_t size = request != NULL ? strlen(request) : 0;
	int64_t until;
	char *line = NULL;
	int rc = check_client(client);

	if (rc != RCO_OK)
		return rc;
	if (answer == NULL || size == 0 || strchr(request, '\n') != NULL)
		return rco__fail(RCO_E_INVALID, "a request is one line of JSON");
	if (size + 1 > RCO_CONTROL_LINE_MAX)
		return rco__fail(RCO_E_LIMIT, "a request is at most %d bytes long", RCO_CONTROL_LINE_MAX - 1);
	*answer = NULL;
	until = rco__control_now() + client->timeout_us;
	rc = send_all(client, request, size, until);
	if (rc == RCO_OK)
		rc = send_all(client, "\n", 1, until);
	while (rc == RCO_OK) {
		rc = next_line(client, &line, until);
		if (rc == RCO_E_TIMEOUT)
			return broken(client, rc, "no answer in time");
		if (rc == RCO_OK && !is_event(line)) {
			*answer = line;
			return RCO_OK;
		}
		if (rc == RCO_OK)
			rc = keep(client, line);
	}
	return rc;
}

static uint32_t status_of(const char *name)
{
	uint32_t status;

	for (status = RCO_STATUS_REQUESTED; status <= RCO_STATUS_HELD; status++)
		if (name != NULL && strcmp(rco_status_name(status), name) == 0)
			return status;
	return RCO_STATUS_UNKNOWN;
}

static char *opt_out_request(const char *call_id, const char *source)
{
	json_t *request = json_pack("{s:s, s:s, s:s*}", "do", "opt_out", "call_id", call_id, "source", source);
	char *text = rco__json_text(request);

	json_decref(request);
	return text;
}

int rco_client_opt_out(rco_client *client, const char *call_id, const char *source, uint32_t *status,
                       const char **receipt)
{
	const char *answer = NULL;
	char *request;
	int rc = check_client(client);

	if (status != NULL)
		*status = RCO_STATUS_UNKNOWN;
	if (receipt != NULL)
		*receipt = NULL;
	if (rc != RCO_OK)
		return rc;
	if (call_id == NULL)
		return rco__fail(RCO_E_INVALID, "call_id is NULL");
	request = opt_out_request(call_id, source);
	if (request == NULL)
		return rco__fail(RCO_E_CALL_ID, "the call id or the source is not UTF-8, or there is no memory");
	rc = rco_client_request(client, request, &answer);
	free(request);
	if (rc != RCO_OK)
		return rc;
	json_decref(client->answer);
	client->answer = json_loads(answer, 0, NULL);
	if (!json_is_integer(json_object_get(client->answer, "code")))
		return broken(client, RCO_E_IO, "what answered is not an engine");
	if (status != NULL)
		*status = status_of(json_string_value(json_object_get(client->answer, "status")));
	if (receipt != NULL)
		*receipt = json_string_value(json_object_get(client->answer, "receipt"));
	rc = (int)json_integer_value(json_object_get(client->answer, "code"));
	if (rc < 0) {
		const char *detail = json_string_value(json_object_get(client->answer, "detail"));

		return rco__fail(rc, "%s", detail != NULL ? detail : rco_strerror(rc));
	}
	return rc;
}

int rco_client_event(rco_client *client, uint32_t timeout_ms, const char **event)
{
	int64_t until = rco__control_now() + (int64_t)timeout_ms * 1000;
	char *line = NULL;
	int rc = check_client(client);

	if (rc != RCO_OK)
		return rc;
	if (event == NULL)
		return rco__fail(RCO_E_INVALID, "event is NULL");
	*event = NULL;
	free(client->given);
	client->given = client->events;
	if (client->given != NULL) {
		client->events = client->given->next;
		if (client->events == NULL)
			client->events_last = &client->events;
		client->n_events--;
		*event = client->given->line;
		return RCO_OK;
	}
	do
		rc = next_line(client, &line, until);
	while (rc == RCO_OK && !is_event(line)); /* the answer to a request that was given up */
	if (rc == RCO_E_TIMEOUT)
		return rco__fail(rc, "nothing happened in %u ms", timeout_ms);
	if (rc == RCO_OK)
		*event = line;
	return rc;
}
