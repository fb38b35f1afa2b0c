/* SPDX-License-Identifier: MIT */
/* The other side of the socket: requests, and the events that come between. connection.c has the lines. */
#include "client.h"

#include "../base/env.h"
#include "../base/error.h"
#include "../base/json.h"
#include "../base/status.h"
#include "control.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS_KEPT = 1024, BACK_OFF_MIN_MS = 20, BACK_OFF_MAX_MS = 1000, LATE_MAX = 1024, ID_ROOM = 32 };

static const size_t options_v1_size = RCO__SIZE_THROUGH(rco_client_options, reserved);
static const char OUR_ID[] = "\"rco-"; /* of ids that we gave */

typedef struct kept {
	struct kept *next;
	char line[];
} kept;

struct rco_client {
	pid_t pid;                   /* whose it is: the answers in a child would be those to its parent */
	rco__connection *connection; /* NULL: lost */
	char path[108];
	uint32_t flags, server_uid;
	int64_t timeout_us;
	uint64_t requests;
	int64_t again_us; /* when it may be connected again */
	uint32_t back_off_ms;
	char *events_request; /* asked for before; NULL: none */
	char events_id[RCO__PEEK_ID_ROOM];
	kept *events, **events_last; /* came while an answer was waited for */
	size_t n_events;
	uint64_t dropped; /* before those */
	char dropped_line[64];
	kept *given;
	kept *late; /* ids of the host's that this connection has yet to answer, and nobody waits for */
	size_t n_late;
	json_t *answer;
};

/* ---- connecting ---- */

static void free_all(kept **first)
{
	while (*first != NULL) {
		kept *next = (*first)->next;

		free(*first);
		*first = next;
	}
}

static int lost(rco_client *client)
{
	free_all(&client->late);
	client->n_late = 0;
	rco__connection_free(client->connection);
	client->connection = NULL;
	return RCO_E_IO;
}

static int connect_once(rco_client *client, int64_t until_us)
{
	return rco__connection_open(client->path, client->server_uid, until_us, &client->connection);
}

static int check_options(const rco_client_options *in, rco_client_options *o)
{
	int rc = rco__struct_copy(o, sizeof *o, options_v1_size, in, "rco_client_options");

	if (rc == RCO_OK)
		rc = rco__struct_known(o->flags, RCO_CLIENT_SERVER_UID | RCO_CLIENT_RECONNECT, o->reserved != NULL,
		                       "rco_client_options");
	if (rc != RCO_OK)
		return rc;
	if (o->server_uid != 0 && !(o->flags & RCO_CLIENT_SERVER_UID))
		return rco__fail(RCO_E_INVALID, "a field of rco_client_options is out of range");
	if (o->path == NULL || o->path[0] == '\0' || strlen(o->path) >= sizeof((rco_client *)0)->path)
		return rco__fail(RCO_E_INVALID, "the path of a socket is 1 to 107 bytes long");
	return RCO_OK;
}

int rco_client_open(const rco_client_options *options, rco_client **out)
{
	rco_client_options o;
	rco_client *client;
	int rc;

	rco__error_clear();
	if (out == NULL)
		return rco__fail(RCO_E_INVALID, "client is NULL");
	*out = NULL;
	rc = check_options(options, &o);
	if (rc != RCO_OK)
		return rc;
	client = calloc(1, sizeof *client);
	if (client == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a client");
	(void)snprintf(client->path, sizeof client->path, "%s", o.path);
	client->pid = getpid();
	client->events_last = &client->events;
	client->flags = o.flags;
	client->server_uid = o.flags & RCO_CLIENT_SERVER_UID ? o.server_uid : (uint32_t)geteuid();
	client->timeout_us = (int64_t)(o.timeout_ms != 0 ? o.timeout_ms : (uint32_t)RCO__WAIT_DEFAULT_MS) * 1000;
	rc = connect_once(client, rco__control_now() + client->timeout_us);
	if (rc != RCO_OK) {
		rco_client_close(client);
		return rc;
	}
	*out = client;
	return RCO_OK;
}

int rco_client_connect(const char *path, uint32_t timeout_ms, rco_client **client)
{
	const rco_client_options o = {
		.struct_size = (uint32_t)sizeof o, .timeout_ms = timeout_ms, .path = path != NULL ? path : ""};

	return rco_client_open(&o, client);
}

void rco_client_close(rco_client *client)
{
	if (client == NULL)
		return;
	rco__connection_free(client->connection);
	free_all(&client->events);
	free_all(&client->late);
	free(client->given);
	free(client->events_request);
	json_decref(client->answer);
	free(client);
}

/* ---- events ---- */

static int is_event(const char *line)
{
	return strncmp(line, "{\"event\":", 9) == 0;
}

/* For rco_client_event(), later. The oldest go if nobody asks for them, and it is told. */
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
		client->dropped++;
		free(first);
	}
	return RCO_OK;
}

/* ---- one request on one connection ---- */

/* What is answered to an id of ours is known by it: none is given twice. */
static int is_ours(const char *id)
{
	return strncmp(id, OUR_ID, strlen(OUR_ID)) == 0;
}

/* The host's ids may come again: so many answers to them are not those to the next. */
static void give_up(rco_client *client, const char *id)
{
	kept *k = malloc(sizeof *k + strlen(id) + 1);

	if (k == NULL || client->n_late == LATE_MAX) {
		free(k);
		(void)lost(client);
		return;
	}
	memcpy(k->line, id, strlen(id) + 1);
	k->next = client->late;
	client->late = k;
	client->n_late++;
}

static int was_given_up(rco_client *client, const char *id)
{
	kept **at = &client->late, *k;

	while (*at != NULL && strcmp((*at)->line, id) != 0)
		at = &(*at)->next;
	k = *at;
	if (k == NULL)
		return 0;
	*at = k->next;
	client->n_late--;
	free(k);
	return 1;
}

/* An error about a line that was not understood has no id. `id` "": the request had none that comes back. */
static int is_answer(rco_client *client, const char *line, const char *id)
{
	rco__peek peek;

	rco__peek_at(line, &peek);
	if (peek.ids == 0)
		return 1;
	return !was_given_up(client, peek.id) && (id[0] == '\0' ? !is_ours(peek.id) : strcmp(peek.id, id) == 0);
}

/* Its answer, without the line break. RCO_E_IO: the connection is gone. */
static int exchange(rco_client *client, const char *request, size_t size, const char *id, int64_t until_us,
                    const char **answer)
{
	char *line = NULL;
	int rc = rco__connection_send(client->connection, request, size, until_us);

	while (rc == RCO_OK) {
		rc = rco__connection_line(client->connection, &line, until_us);
		if (rc == RCO_OK && is_event(line)) {
			rc = keep(client, line);
		} else if (rc == RCO_OK && is_answer(client, line, id)) {
			*answer = line;
			return RCO_OK;
		}
		if (rc == RCO_OK && rco__control_now() >= until_us)
			rc = RCO_E_TIMEOUT; /* however much else comes */
	}
	return rc;
}

/* ---- connecting again ---- */

static int is_ok(const char *answer)
{
	rco__peek peek;

	rco__peek_at(answer, &peek);
	return peek.is_ok;
}

static int subscribe_again(rco_client *client, int64_t until_us)
{
	const char *answer = NULL;
	int rc;

	if (client->events_request == NULL)
		return RCO_OK;
	rc = exchange(client, client->events_request, strlen(client->events_request), client->events_id, until_us,
	              &answer);
	if (rc == RCO_OK && !is_ok(answer))
		return rco__fail(RCO_E_IO, "the engine gives no events: %.200s", answer);
	return rc == RCO_OK ? keep(client, "{\"event\":\"lost\",\"count\":0}") : rc;
}

/* At once, later and later if what was connected does not last, and at once again if it did. 0: not by then. */
static int wait_for_turn(rco_client *client, int64_t until_us)
{
	int64_t now = rco__control_now();

	if (now - client->again_us >= BACK_OFF_MAX_MS * 1000)
		client->back_off_ms = 0;
	while (now < client->again_us) {
		int64_t end = client->again_us < until_us ? client->again_us : until_us;

		if (now >= until_us)
			return 0;
		(void)poll(NULL, 0, (int)((end - now) / 1000 + 1));
		now = rco__control_now();
	}
	client->back_off_ms = client->back_off_ms == 0 ? BACK_OFF_MIN_MS : client->back_off_ms * 2;
	if (client->back_off_ms > BACK_OFF_MAX_MS)
		client->back_off_ms = BACK_OFF_MAX_MS;
	client->again_us = now + (int64_t)client->back_off_ms * 1000;
	return 1;
}

/* Until it is connected, or the time is up. */
static int connected(rco_client *client, int64_t until_us)
{
	int rc = RCO_E_IO;

	if (client->connection != NULL)
		return RCO_OK;
	(void)rco__fail(RCO_E_IO, "the connection was lost before: connect again");
	if (!(client->flags & RCO_CLIENT_RECONNECT))
		return RCO_E_IO;
	while (wait_for_turn(client, until_us)) {
		rc = connect_once(client, until_us);
		if (rc == RCO_OK)
			rc = subscribe_again(client, until_us);
		if (rc == RCO_OK || rc == RCO_E_PERMISSION || rc == RCO_E_NO_MEMORY)
			return rc;
		(void)lost(client);
		if (rco__control_now() >= until_us)
			break;
	}
	return rc == RCO_E_TIMEOUT ? rc : RCO_E_IO;
}

/* ---- requests ---- */

static int check_client(const rco_client *client)
{
	rco__error_clear();
	if (client == NULL)
		return rco__fail(RCO_E_INVALID, "client is NULL");
	return client->pid == getpid()
	               ? RCO_OK
	               : rco__fail(RCO_E_FORKED, "the connection belongs to the parent process: connect again");
}

/* The request as a line, with an id of ours if it has none and is an object. */
static char *line_with_id(rco_client *client, const char *request, rco__peek *peek, size_t *size)
{
	const char *brace = request + strspn(request, " \t\r");
	const char *inside = brace + (*brace == '{');
	const size_t room = strlen(request) + ID_ROOM + 16;
	char *line = malloc(room);

	if (line == NULL)
		return NULL;
	if (*brace != '{' || !peek->is_object || peek->ids != 0) {
		*size = (size_t)snprintf(line, room, "%s\n", request);
		return line;
	}
	inside += strspn(inside, " \t\r");
	(void)snprintf(peek->id, ID_ROOM, "%s%llu\"", OUR_ID, (unsigned long long)++client->requests);
	*size = (size_t)snprintf(line, room, "{\"id\":%s%s%s\n", peek->id, *inside == '}' ? "" : ",", inside);
	return line;
}

/* `id` as of exchange(); NULL: nothing was asked. */
static int failed(rco_client *client, int rc, const char *id)
{
	static const char again[] =
		"ask again, if need be by a new connection: an opt-out is the same however often it is asked for";

	if (rc == RCO_E_TIMEOUT) {
		/* an answer without an id, if these escapes are none, cannot be told from that to the next */
		if (id != NULL && (id[0] == '\0' || strchr(id, '\\') != NULL))
			(void)lost(client);
		else if (id != NULL && !is_ours(id))
			give_up(client, id);
		return rco__fail(rc, "no answer in time; %s", again);
	}
	if (rc == RCO_E_IO) {
		(void)lost(client);
		return rco__fail(rc, "the connection to the engine is lost; %s", again);
	}
	if (rc == RCO_E_LIMIT)
		(void)lost(client);
	return rc;
}

static int send_and_wait(rco_client *client, const char *line, size_t size, const char *id, const char **answer)
{
	const int64_t until = rco__control_now() + client->timeout_us;
	int rc = connected(client, until);

	while (rc == RCO_OK) {
		rc = exchange(client, line, size, id, until, answer);
		if (rc != RCO_E_IO || !(client->flags & RCO_CLIENT_RECONNECT) || rco__control_now() >= until)
			return rc == RCO_OK ? rc : failed(client, rc, id);
		(void)lost(client);
		rc = connected(client, until);
	}
	return rc;
}

int rco_client_request(rco_client *client, const char *request, const char **answer)
{
	rco__peek peek;
	char *line;
	size_t size;
	int rc = check_client(client);

	if (rc != RCO_OK)
		return rc;
	if (client->connection == NULL && !(client->flags & RCO_CLIENT_RECONNECT))
		return rco__fail(RCO_E_IO, "the connection was lost before: connect again");
	if (answer == NULL || request == NULL || request[0] == '\0' || strchr(request, '\n') != NULL)
		return rco__fail(RCO_E_INVALID, "a request is one line of JSON");
	*answer = NULL;
	rco__peek_at(request, &peek);
	if (is_ours(peek.id))
		return rco__fail(RCO_E_INVALID,
		                 "an id that begins with \"rco-\" is the client's: give another, or none");
	line = line_with_id(client, request, &peek, &size);
	if (line == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a request");
	rc = send_and_wait(client, line, size, peek.id, answer);
	if (rc == RCO_OK && peek.is_events && is_ok(*answer)) {
		free(client->events_request);
		client->events_request = line;
		memcpy(client->events_id, peek.id, sizeof client->events_id);
		line = NULL;
	}
	free(line);
	return rc;
}

static uint32_t status_of(const char *name)
{
	return name != NULL ? rco__status_named(name) : (uint32_t)RCO_STATUS_UNKNOWN;
}

static char *opt_out_request(const char *call_id, const char *source)
{
	json_t *request = json_pack("{s:s, s:s, s:s*}", "do", "opt_out", "call_id", call_id, "source", source);
	char *text = rco__json_text(request);

	json_decref(request);
	return text;
}

/* Both tell whether it was done. */
static int is_engines(const json_t *answer)
{
	const json_t *ok = json_object_get(answer, "ok"), *code = json_object_get(answer, "code");

	return json_is_boolean(ok) && json_is_integer(code) && json_integer_value(code) >= INT_MIN &&
	       json_integer_value(code) <= INT_MAX && json_is_true(ok) == (json_integer_value(code) >= 0);
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
	if (!is_engines(client->answer)) {
		(void)lost(client);
		return rco__fail(RCO_E_IO, "what answered is not an engine: its ok and its code do not fit");
	}
	if (status != NULL)
		*status = status_of(json_string_value(json_object_get(client->answer, "status")));
	if (receipt != NULL)
		*receipt = json_string_value(json_object_get(client->answer, "receipt"));
	rc = (int)json_integer_value(json_object_get(client->answer, "code"));
	if (rc != RCO_OK) {
		const char *detail = json_string_value(json_object_get(client->answer, "detail"));

		return rco__fail(rc, "%s", detail != NULL ? detail : rco_strerror(rc));
	}
	return rc;
}

/* The oldest that was kept; before it, that older ones were not. */
static int give(rco_client *client, const char **event)
{
	if (client->dropped > 0) {
		(void)snprintf(client->dropped_line, sizeof client->dropped_line,
		               "{\"event\":\"lost\",\"count\":%llu}", (unsigned long long)client->dropped);
		client->dropped = 0;
		*event = client->dropped_line;
		return 1;
	}
	client->given = client->events;
	if (client->given == NULL)
		return 0;
	client->events = client->given->next;
	if (client->events == NULL)
		client->events_last = &client->events;
	client->n_events--;
	*event = client->given->line;
	return 1;
}

int rco_client_event(rco_client *client, uint32_t timeout_ms, const char **event)
{
	const int64_t until = rco__control_now() + (int64_t)timeout_ms * 1000;
	char *line = NULL;
	size_t others = 0;
	int rc = check_client(client);

	if (rc != RCO_OK)
		return rc;
	if (event == NULL)
		return rco__fail(RCO_E_INVALID, "event is NULL");
	*event = NULL;
	free(client->given);
	client->given = NULL;
	while (!give(client, event)) {
		rc = connected(client, until);
		if (rc == RCO_OK && client->events != NULL)
			continue; /* it had to be connected again */
		if (rc == RCO_OK)
			rc = rco__connection_line(client->connection, &line, until);
		if (rc == RCO_OK && is_event(line)) {
			*event = line;
			return RCO_OK;
		}
		if (rc == RCO_OK)
			(void)is_answer(client, line, ""); /* a late one has come */
		if (rc == RCO_OK && ++others > EVENTS_KEPT && rco__control_now() >= until)
			rc = RCO_E_TIMEOUT; /* it may be behind some late answers, not behind any number of lines
			                     */
		if (rc == RCO_E_TIMEOUT)
			return rco__fail(rc, "nothing happened in %u ms", timeout_ms);
		if (rc != RCO_OK &&
		    (rc != RCO_E_IO || !(client->flags & RCO_CLIENT_RECONNECT) || rco__control_now() >= until))
			return failed(client, rc, NULL);
		if (rc != RCO_OK)
			(void)lost(client);
	}
	return RCO_OK;
}
