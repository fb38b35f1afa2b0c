/* SPDX-License-Identifier: MIT */
/*
 * A webhook for the tool calls of Vapi, Retell and ElevenLabs, on libmicrohttpd.
 *
 *   webhook --state DIR --output DIR --secret-file FILE [--port N] [--limit SECONDS] [--language TAG]
 *           [--call CALL_ID]... [--help]
 *
 * POST /vapi, /retell, /elevenlabs. Each request has to bring the secret, as "Authorization: Bearer SECRET" (all
 * three platforms let you add a header), or it is not looked at: anyone who can post here can name a call. Which
 * call is meant is in the header X-Call-Id, which ElevenLabs fills in, or else in the platform's envelope (Vapi,
 * Retell); never in the arguments.
 *
 * Of a request that ends before its body does, what came counts, as below.
 *
 * A body that cannot be read is refused, and a line on stderr says so: 415 if it has a content coding, 400 if it
 * is no JSON object. What can be read of it counts all the same. An address that is this tool's alone (Retell,
 * ElevenLabs) takes also that for a call; of whom is in the header, or the answer is "error".
 *
 * On loopback, behind a reverse proxy, which speaks TLS, and which limits how many connections an address opens:
 * here all come from one. So those who have not shown the secret have half of the places, and those who have the
 * other half; when either is full, whose request has gone on for longest is sent away. A request has 30 seconds
 * (--limit) to be whole, however its bytes trickle in, and its answer as long to be read; 10 seconds without a
 * byte end it, too.
 *
 * In a real server the engine is the one that records; here --call begins calls, so that there is something to
 * object to. The port is printed when it is open. SIGTERM or the end of stdin ends the program.
 */
#include <recoptout/agent.h>

#include "../../lib/base/json_walk.h"
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <microhttpd.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CALLS_MAX = 64,
	SECRET_MAX = 256,
	CONNECTIONS_MAX = 1024,
	SILENCE_S = 10,
	LIMIT_S = 30,
	LIMIT_MAX_S = 3600
};

typedef struct hook {
	rco_engine *engine;
	const char *state, *output, *language;
	char secret[SECRET_MAX];
	unsigned port;
	const char *call_id[CALLS_MAX];
	rco_session *call[CALLS_MAX];
	size_t calls;
	crowd crowd;
} hook;

typedef struct body {
	uint32_t dialect;
	int asked; /* the library */
	char *data;
	size_t size, room;
} body;

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result queued;

	if (response == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (status == MHD_HTTP_UNSUPPORTED_MEDIA_TYPE)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_ENCODING, "identity");
	queued = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

/* Blanks around a field's value are no part of it (RFC 9110, section 5.5); libmicrohttpd leaves those behind it.
 * NULL: there is no such field. */
static size_t field(struct MHD_Connection *connection, const char *name, const char **value)
{
	const char *v = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
	size_t size;

	*value = v;
	if (v == NULL)
		return 0;
	v += strspn(v, " \t");
	size = strlen(v);
	while (size > 0 && (v[size - 1] == ' ' || v[size - 1] == '\t'))
		size--;
	*value = v;
	return size;
}

/* ---- who is there ---- */

static void meet(void *cls, struct MHD_Connection *connection, void **context,
                 enum MHD_ConnectionNotificationCode what)
{
	crowd *c = &((hook *)cls)->crowd;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED)
		crowd_leave(c, *context);
	else
		*context = crowd_come(
			c, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
}

static guest *guest_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* In constant time, so that the secret cannot be guessed letter by letter. */
static int is_allowed(const hook *h, struct MHD_Connection *connection)
{
	const char *given;
	size_t size = field(connection, MHD_HTTP_HEADER_AUTHORIZATION, &given);
	char padded[SECRET_MAX] = {0};

	if (size < 7 || strncasecmp(given, "Bearer ", 7) != 0)
		return 0;
	for (given += 7, size -= 7; size > 0 && given[0] == ' '; size--)
		given++; /* there may be several blanks (RFC 9110, section 11.4) */
	if (size >= sizeof padded)
		return 0;
	memcpy(padded, given, size);
	return sodium_memcmp(padded, h->secret, sizeof padded) == 0;
}

static uint32_t dialect_of(const char *url)
{
	if (strcmp(url, "/vapi") == 0)
		return RCO_DIALECT_VAPI;
	if (strcmp(url, "/retell") == 0)
		return RCO_DIALECT_RETELL;
	return strcmp(url, "/elevenlabs") == 0 ? RCO_DIALECT_ELEVENLABS_WEBHOOK : RCO_DIALECT_AUTO;
}

/* ---- what came ---- */

/* One that is too long stays so. */
static const char *call_id_of(struct MHD_Connection *connection, char *room, size_t cap)
{
	const char *value;
	size_t size = field(connection, "X-Call-Id", &value);

	if (value == NULL)
		return NULL;
	(void)snprintf(room, cap, "%.*s", (int)(size < cap ? size : cap - 1), value);
	return room;
}

static int is_coded(struct MHD_Connection *connection)
{
	const char *value;
	size_t size = field(connection, MHD_HTTP_HEADER_CONTENT_ENCODING, &value);

	return size > 0 && (size != 8 || strncasecmp(value, "identity", size) != 0);
}

static int is_container(void *user, const rco__json_event *e)
{
	int *message = user;

	if (e->depth == 0 && (e->type == RCO__JSON_OBJECT || e->type == RCO__JSON_ARRAY))
		*message = 1;
	return RCO__JSON_GO;
}

/* A whole object, or a list of them. */
static int is_message(const body *b)
{
	rco__json_walk walk;
	int message = 0;

	rco__json_begin(&walk, is_container, &message);
	rco__json_feed(&walk, b->data, b->size);
	return rco__json_end(&walk) == RCO__JSON_WHOLE && message;
}

/* Nothing was done: because nothing was to be done, or because it could not be read? 0 for the former. What looks
 * like a call in a body that is cut off is answered as one. */
static unsigned unreadable(struct MHD_Connection *connection, const body *b, uint32_t calls, const char **why)
{
	if (is_coded(connection)) {
		*why = "{\"error\":\"send the body without a content coding\"}";
		(void)fputs("webhook: a body with a Content-Encoding: it cannot be read, nothing was done\n",
		            stderr);
		return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
	}
	if (calls == 0 && !is_message(b)) {
		*why = "{\"error\":\"the body is no message\"}";
		(void)fprintf(stderr, "webhook: a body of %zu bytes that is no message: nothing was done\n",
		              b->size);
		return MHD_HTTP_BAD_REQUEST;
	}
	return 0;
}

/* The answer is NULL if no call is named, or without memory. */
static int ask(hook *h, struct MHD_Connection *connection, body *b, rco_tool_answer **answer)
{
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .flags = b->dialect == RCO_DIALECT_ELEVENLABS_WEBHOOK ? 0u : RCO_TOOL_ENVELOPE,
	                      .dialect = b->dialect,
	                      .language = h->language,
	                      .json = b->data,
	                      .json_bytes = b->size};
	char call_id[RCO_CALL_ID_MAX + 2];
	int rc;

	b->asked = 1;
	/* stronger than an envelope, which is in the body */
	r.call_id = call_id_of(connection, call_id, sizeof call_id);
	h->crowd.away_ms -= crowd_clock_ms();
	rc = rco_tool_call(h->engine, &r, answer);
	h->crowd.away_ms += crowd_clock_ms(); /* the disk may have taken its time; meanwhile nobody was read */
	if (rc != RCO_OK && rco_error_detail()[0] != '\0')
		(void)fprintf(stderr, "webhook: %s: %s\n", rco_error_name(rc), rco_error_detail());
	return rc;
}

static enum MHD_Result tool_call(hook *h, struct MHD_Connection *connection, body *b)
{
	rco_tool_answer *answer = NULL;
	enum MHD_Result sent;
	unsigned status = 0;
	const char *why;
	int rc = ask(h, connection, b, &answer);

	crowd_again(&h->crowd, guest_of(connection));
	if (answer == NULL)
		return reply(connection, MHD_HTTP_BAD_REQUEST, "{\"error\":\"no call is named\"}");
	/* 200 also for an error: that is for the agent to tell the caller, not for the platform to retry or to
	 * swallow. Unless nobody knows what was asked for. */
	if (rc < 0 || rco_tool_answer_calls(answer) == 0)
		status = unreadable(connection, b, rco_tool_answer_calls(answer), &why);
	if (status != 0) {
		rco_tool_answer_free(answer);
		return reply(connection, status, why);
	}
	sent = reply(connection, MHD_HTTP_OK,
	             rco_tool_answer_calls(answer) > 0 || b->dialect == RCO_DIALECT_VAPI
	                     ? rco_tool_answer_json(answer, NULL)
	                     : "{}");
	rco_tool_answer_free(answer);
	return sent;
}

/* Platforms send the conversation along: a body is as long as it is. Its sender has shown the secret. */
static int take(body *b, const char *data, size_t size)
{
	size_t room = b->room;
	char *more;

	while (room - b->size < size)
		room = room == 0 ? 16384 : 2 * room;
	if (room > b->room) {
		more = realloc(b->data, room);
		if (more == NULL)
			return 0;
		b->data = more;
		b->room = room;
	}
	memcpy(b->data + b->size, data, size);
	b->size += size;
	return 1;
}

/* What is refused before its body is read: the status, and why; 0 otherwise. */
static unsigned refused(hook *h, struct MHD_Connection *connection, const char *url, const char *method,
                        const char **why)
{
	if (!is_allowed(h, connection)) {
		*why = "{\"error\":\"who are you?\"}";
		return MHD_HTTP_UNAUTHORIZED;
	}
	crowd_let_in(&h->crowd, guest_of(connection));
	if (dialect_of(url) == RCO_DIALECT_AUTO) {
		*why = "{\"error\":\"POST /vapi, /retell or /elevenlabs\"}";
		return MHD_HTTP_NOT_FOUND;
	}
	*why = "{\"error\":\"POST\"}";
	return strcmp(method, MHD_HTTP_METHOD_POST) == 0 ? 0 : MHD_HTTP_METHOD_NOT_ALLOWED;
}

/* Called for the headers, then for each piece of the body, then once more for its end. */
static enum MHD_Result serve(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *data, size_t *size, void **state)
{
	hook *h = cls;
	body *b = *state;
	const char *why;
	unsigned status;

	(void)version;
	if (b == NULL) {
		status = refused(h, connection, url, method, &why);
		if (status != 0)
			return reply(connection, status, why);
		*state = b = calloc(1, sizeof *b);
		if (b == NULL)
			return MHD_NO;
		b->dialect = dialect_of(url);
		return MHD_YES;
	}
	if (*size > 0) {
		int taken = take(b, data, *size);

		*size = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	return tool_call(h, connection, b);
}

static void done(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode how)
{
	rco_tool_answer *answer = NULL;
	body *b = *state;

	if (b == NULL)
		return;
	/* It went, or was sent away, before it had said all: what came counts, and nobody is there to be answered.
	 */
	if (!b->asked && how != MHD_REQUEST_TERMINATED_COMPLETED_OK) {
		(void)ask(cls, connection, b, &answer);
		rco_tool_answer_free(answer);
	}
	crowd_again(&((hook *)cls)->crowd, guest_of(connection));
	free(b->data);
	free(b);
}

/* ---- setting up ---- */

static void usage(FILE *to)
{
	(void)fputs(
		"usage: webhook --state DIR --output DIR --secret-file FILE [options]\n\n"
		"  --state DIR         of the engine: ledger, spool, keys\n"
		"  --output DIR        where finished recordings go\n"
		"  --secret-file FILE  its first line, 16 to 253 characters, is what each request has to bring:\n"
		"                      Authorization: Bearer SECRET\n"
		"  --port N            on 127.0.0.1; default: any that is free, printed when it is open\n"
		"  --limit SECONDS     for a whole request, from the connection or the answer before to its last "
		"byte, and\n"
		"                      for reading the answer; default 30\n"
		"  --language TAG      of the answers; default en\n"
		"  --call CALL_ID      begin a call, so that there is something to object to; at most 64 times\n"
		"  --help\n\n"
		"POST /vapi, /retell, /elevenlabs. SIGTERM or the end of stdin ends it. Exit code 1 if it could "
		"not\n"
		"begin, 2 for options that cannot be used.\n",
		to);
}

/* A bad option: why, and where more is told. */
static int bad(const char *why, const char *value)
{
	(void)fprintf(stderr, "webhook: %s%s%s\nwebhook --help tells more\n", why, value[0] != '\0' ? ": " : "",
	              value);
	return 0;
}

static void trim(char *text)
{
	size_t from = strspn(text, " \t"), size = strlen(text);

	while (size > from && (text[size - 1] == ' ' || text[size - 1] == '\t'))
		size--;
	memmove(text, text + from, size - from);
	text[size - from] = '\0';
}

static int read_secret(hook *h, const char *path)
{
	FILE *file = fopen(path, "r");
	int good;

	if (file == NULL)
		return bad(strerror(errno), path);
	good = fgets(h->secret, sizeof h->secret, file) != NULL && strlen(h->secret) < sizeof h->secret - 1;
	(void)fclose(file);
	h->secret[strcspn(h->secret, "\r\n")] = '\0';
	trim(h->secret); /* no header can bring blanks around it */
	memset(h->secret + strlen(h->secret), 0, sizeof h->secret - strlen(h->secret));
	if (good && strlen(h->secret) >= 16)
		return 1;
	return bad("the first line of --secret-file is a secret of 16 to 253 characters", path);
}

static int read_port(hook *h, const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || port > 65535)
		return bad("--port is a number from 0 to 65535", text);
	h->port = (unsigned)port;
	return 1;
}

static int read_limit(hook *h, const char *text)
{
	char *end;
	unsigned long limit = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || limit < 1 || limit > LIMIT_MAX_S)
		return bad("--limit is a number of seconds from 1 to 3600", text);
	h->crowd.limit_ms = (int64_t)limit * 1000;
	return 1;
}

static int add_call(hook *h, const char *call_id)
{
	if (h->calls == CALLS_MAX)
		return bad("--call may be given 64 times", call_id);
	h->call_id[h->calls++] = call_id;
	return 1;
}

static int set(hook *h, int option, const char *value)
{
	switch (option) {
	case 's':
		h->state = value;
		return 1;
	case 'o':
		h->output = value;
		return 1;
	case 'l':
		h->language = value;
		return 1;
	case 'p':
		return read_port(h, value);
	case 'm':
		return read_limit(h, value);
	case 'c':
		return add_call(h, value);
	case 'f':
		return read_secret(h, value);
	case 'h':
		usage(stdout);
		exit(0);
	default: /* getopt_long() has said why */
		return bad("that option cannot be used", "");
	}
}

static int parse(int argc, char **argv, hook *h)
{
	static const struct option options[] = {
		{"state", required_argument, NULL, 's'},
		{"output", required_argument, NULL, 'o'},
		{"port", required_argument, NULL, 'p'},
		{"secret-file", required_argument, NULL, 'f'},
		{"call", required_argument, NULL, 'c'},
		{"language", required_argument, NULL, 'l'},
		{"limit", required_argument, NULL, 'm'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!set(h, o, optarg))
			return 0;
	if (optind < argc)
		return bad("everything is said by options", argv[optind]);
	if (h->state == NULL || h->output == NULL || h->secret[0] == '\0')
		return bad("--state, --output and --secret-file are needed", "");
	return 1;
}

static int begin_call(hook *h, size_t i)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = h->call_id[i]};
	uint8_t frame[160];
	uint32_t leg;
	int rc = rco_session_create(h->engine, &o, &h->call[i]);

	memset(frame, 0xff, sizeof frame);
	if (rc == RCO_OK)
		rc = rco_session_add_leg(h->call[i], "caller", RCO_FORMAT_PCMU_8K, &leg);
	if (rc == RCO_OK)
		rc = rco_session_start(h->call[i]);
	if (rc == RCO_OK)
		rc = rco_session_push(h->call[i], leg, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
	return rc;
}

static int set_up(hook *h)
{
	rco_engine_config c = {.struct_size = (uint32_t)sizeof c,
	                       .opt_out_enabled = 1,
	                       .state_dir = h->state,
	                       .output_dir = h->output};
	int rc = rco_engine_create(&c, &h->engine);
	size_t i;

	for (i = 0; rc == RCO_OK && i < h->calls; i++)
		rc = begin_call(h, i);
	if (rc != RCO_OK)
		(void)fprintf(stderr, "webhook: %s: %s\n", rco_error_name(rc), rco_error_detail());
	return rc;
}

/* Half of the descriptors, the others are the engine's. */
static unsigned connections_max(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur / 2 > CONNECTIONS_MAX)
		return CONNECTIONS_MAX;
	return (unsigned)(files.rlim_cur / 2);
}

/* One thread for all, which looks at the time after it has read what there was. */
static void serve_until_end(hook *h, struct MHD_Daemon *daemon)
{
	struct pollfd p[2] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN}};
	char c;

	for (;;) {
		MHD_UNSIGNED_LONG_LONG left;
		int ms = crowd_sweep(&h->crowd);

		if (MHD_get_timeout(daemon, &left) == MHD_YES && (ms < 0 || left < (unsigned)ms))
			ms = (int)left;
		if (poll(p, 2, ms) < 0 && errno != EINTR)
			return;
		if (p[0].revents != 0 && read(STDIN_FILENO, &c, 1) <= 0)
			return;
		if (MHD_run(daemon) != MHD_YES)
			return;
	}
}

int main(int argc, char **argv)
{
	hook h = {.language = "en", .crowd = {.limit_ms = LIMIT_S * 1000}};
	struct sockaddr_in loopback = {.sin_family = AF_INET};
	struct MHD_Daemon *daemon;
	size_t i;

	if (!parse(argc, argv, &h))
		return 2;
	if (sodium_init() < 0 || set_up(&h) != RCO_OK)
		return 1;
	h.crowd.strangers.most = connections_max() / 2;
	h.crowd.friends.most = connections_max() / 2 - 1;
	/* On loopback: what faces the network is a reverse proxy with TLS. */
	loopback.sin_port = htons((uint16_t)h.port);
	loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, (uint16_t)h.port, NULL, NULL, serve, &h,
	                          MHD_OPTION_SOCK_ADDR, &loopback, MHD_OPTION_NOTIFY_COMPLETED, done, &h,
	                          MHD_OPTION_NOTIFY_CONNECTION, meet, &h, MHD_OPTION_CONNECTION_LIMIT,
	                          connections_max(), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S,
	                          MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)CONNECTIONS_MAX, MHD_OPTION_END);
	if (daemon == NULL) {
		(void)fprintf(stderr, "webhook: cannot listen on port %u\n", h.port);
		rco_engine_free(h.engine);
		return 1;
	}
	(void)printf("port %u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	(void)fflush(stdout);
	serve_until_end(&h, daemon);
	MHD_stop_daemon(daemon);
	for (i = 0; i < h.calls; i++)
		rco_session_free(h.call[i]);
	rco_engine_free(h.engine);
	sodium_memzero(h.secret, sizeof h.secret);
	return 0;
}
