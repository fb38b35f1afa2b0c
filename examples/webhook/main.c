/* SPDX-License-Identifier: MIT */
/*
 * A webhook for the tool calls of Vapi, Retell and ElevenLabs, on libmicrohttpd.
 *
 *   webhook --state DIR --output DIR --secret-file FILE [--port N] [--language TAG] [--call CALL_ID]...
 *
 * POST /vapi, /retell, /elevenlabs. Each request has to bring the secret, as "Authorization: Bearer SECRET" (all
 * three platforms let you add a header), or it is not looked at: whoever can post here can name a call. Which call
 * is meant is in the platform's envelope (Vapi, Retell) or in the header X-Call-Id, which ElevenLabs fills in;
 * never in the arguments.
 *
 * In a real server the engine is the one that records; here --call begins calls, so that there is something to
 * object to. The port is printed when it is open. SIGTERM or the end of stdin ends the program.
 */
#include <recoptout/agent.h>

#include <arpa/inet.h>
#include <getopt.h>
#include <microhttpd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 256 * 1024, CALLS_MAX = 64, SECRET_MAX = 256 };

typedef struct hook {
	rco_engine *engine;
	const char *state, *output, *language;
	char secret[SECRET_MAX];
	unsigned port;
	const char *call_id[CALLS_MAX];
	rco_session *call[CALLS_MAX];
	size_t calls;
} hook;

typedef struct body {
	char *data;
	size_t size;
	int too_long;
} body;

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result queued;

	if (response == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	queued = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

/* In constant time, so that the secret cannot be guessed letter by letter. */
static int is_allowed(const hook *h, struct MHD_Connection *connection)
{
	const char *given =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	char padded[SECRET_MAX] = {0};

	if (given == NULL || strncmp(given, "Bearer ", 7) != 0 || strlen(given + 7) >= sizeof padded)
		return 0;
	memcpy(padded, given + 7, strlen(given + 7));
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

static enum MHD_Result tool_call(hook *h, struct MHD_Connection *connection, uint32_t dialect, const body *b)
{
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .flags = dialect == RCO_DIALECT_ELEVENLABS_WEBHOOK ? 0u : RCO_TOOL_ENVELOPE,
	                      .dialect = dialect,
	                      .language = h->language,
	                      .json = b->data,
	                      .json_bytes = b->size};
	rco_tool_answer *answer = NULL;
	enum MHD_Result sent;
	int rc;

	if (dialect == RCO_DIALECT_ELEVENLABS_WEBHOOK)
		r.call_id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Call-Id");
	rc = rco_tool_call(h->engine, &r, &answer);
	if (answer == NULL) {
		(void)fprintf(stderr, "webhook: %s: %s\n", rco_error_name(rc), rco_error_detail());
		return reply(connection, MHD_HTTP_BAD_REQUEST, "{\"error\":\"no call is named\"}");
	}
	/* Always 200: an error is for the agent to tell the caller, not for the platform to retry or to swallow.
	 */
	sent = reply(connection, MHD_HTTP_OK,
	             rco_tool_answer_calls(answer) > 0 || dialect == RCO_DIALECT_VAPI
	                     ? rco_tool_answer_json(answer, NULL)
	                     : "{}");
	rco_tool_answer_free(answer);
	return sent;
}

static int take(body *b, const char *data, size_t size)
{
	char *more;

	if (b->size + size > BODY_MAX) {
		b->too_long = 1;
		return 1;
	}
	more = realloc(b->data, b->size + size);
	if (more == NULL)
		return 0;
	memcpy(more + b->size, data, size);
	b->data = more;
	b->size += size;
	return 1;
}

/* Called for the headers, then for each piece of the body, then once more for its end. */
static enum MHD_Result serve(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *data, size_t *size, void **state)
{
	hook *h = cls;
	body *b = *state;

	(void)version;
	if (b == NULL) {
		*state = calloc(1, sizeof *b);
		return *state != NULL ? MHD_YES : MHD_NO;
	}
	if (*size > 0) {
		int taken = take(b, data, *size);

		*size = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	if (!is_allowed(h, connection))
		return reply(connection, MHD_HTTP_UNAUTHORIZED, "{\"error\":\"who are you?\"}");
	if (dialect_of(url) == RCO_DIALECT_AUTO)
		return reply(connection, MHD_HTTP_NOT_FOUND, "{\"error\":\"POST /vapi, /retell or /elevenlabs\"}");
	if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
		return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "{\"error\":\"POST\"}");
	if (b->too_long)
		return reply(connection, MHD_HTTP_CONTENT_TOO_LARGE, "{\"error\":\"too long\"}");
	return tool_call(h, connection, dialect_of(url), b);
}

static void done(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode how)
{
	body *b = *state;

	(void)cls;
	(void)connection;
	(void)how;
	if (b != NULL)
		free(b->data);
	free(b);
}

/* ---- setting up ---- */

static int read_secret(hook *h, const char *path)
{
	FILE *file = fopen(path, "r");
	int good = file != NULL && fgets(h->secret, sizeof h->secret, file) != NULL;

	if (file != NULL)
		(void)fclose(file);
	h->secret[strcspn(h->secret, "\r\n")] = '\0';
	memset(h->secret + strlen(h->secret), 0, sizeof h->secret - strlen(h->secret));
	if (!good || strlen(h->secret) < 16)
		(void)fprintf(stderr, "webhook: %s has to hold a secret of 16 to 254 characters\n", path);
	return good && strlen(h->secret) >= 16;
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
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			h->state = optarg;
		else if (o == 'o')
			h->output = optarg;
		else if (o == 'l')
			h->language = optarg;
		else if (o == 'p')
			h->port = (unsigned)strtoul(optarg, NULL, 10);
		else if (o == 'c' && h->calls < CALLS_MAX)
			h->call_id[h->calls++] = optarg;
		else if (o != 'f' || !read_secret(h, optarg))
			return 0;
	}
	return optind == argc && h->state != NULL && h->output != NULL && h->secret[0] != '\0' && h->port < 65536;
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

int main(int argc, char **argv)
{
	hook h = {.language = "en"};
	struct sockaddr_in loopback = {.sin_family = AF_INET};
	struct MHD_Daemon *daemon;
	size_t i;
	char c;

	if (!parse(argc, argv, &h)) {
		(void)fprintf(stderr, "usage: webhook --state DIR --output DIR --secret-file FILE [--port N] "
		                      "[--language TAG] [--call CALL_ID]...\n");
		return 2;
	}
	if (sodium_init() < 0 || set_up(&h) != RCO_OK)
		return 1;
	/* On loopback: what faces the network is a reverse proxy with TLS. */
	loopback.sin_port = htons((uint16_t)h.port);
	loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ERROR_LOG, (uint16_t)h.port, NULL, NULL,
	                          serve, &h, MHD_OPTION_SOCK_ADDR, &loopback, MHD_OPTION_NOTIFY_COMPLETED, done,
	                          NULL, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
	if (daemon == NULL) {
		(void)fprintf(stderr, "webhook: cannot listen on port %u\n", h.port);
		rco_engine_free(h.engine);
		return 1;
	}
	(void)printf("port %u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	MHD_stop_daemon(daemon);
	for (i = 0; i < h.calls; i++)
		rco_session_free(h.call[i]);
	rco_engine_free(h.engine);
	sodium_memzero(h.secret, sizeof h.secret);
	return 0;
}
