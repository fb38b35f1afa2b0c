/* SPDX-License-Identifier: MIT */
/*
 * Janus's AudioBridge: a room per call, its two legs as plain RTP participants,
 * recorded as the room's mix in one WAV file. Janus mixes either way: what
 * recording costs is the difference. Its API is JSON over HTTP.
 */
#include "bench.h"
#include "peer.h"
#include "peer_rtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { ROOM = 65536, PATH_ROOM = 512 };

typedef struct janus {
	uint16_t port;
	b_rtp *rtp;
	long long session, handle;
	char folder[PATH_ROOM];
	char reply[ROOM];
} janus;

/* ---- HTTP ---- */

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
	                connect(fd, (struct sockaddr *)&a, sizeof a) != 0)) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

/* Everything until Janus closes the connection. */
static int read_all(int fd, char *out, size_t cap)
{
	size_t used = 0;
	ssize_t got;

	while ((got = recv(fd, out + used, cap - 1 - used, 0)) > 0)
		used += (size_t)got;
	out[used] = 0;
	return got == 0 && used > 0 && used < cap - 1 ? 0 : -1;
}

/* A request to /janus/PATH; `body` NULL for a GET. The answer is the caller's to give back. NULL: it failed. */
static json_t *http(janus *j, const char *path, const json_t *body)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL, head[512];
	size_t length = text != NULL ? strlen(text) : 0;
	int fd = connect_to(j->port), size, ok;
	json_t *answer = NULL;
	const char *at;

	size = snprintf(head, sizeof head, "%s /janus%s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n",
	                text != NULL ? "POST" : "GET", path, length);
	ok = fd >= 0 && send(fd, head, (size_t)size, MSG_NOSIGNAL) == size &&
	     (length == 0 || send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length) &&
	     read_all(fd, j->reply, sizeof j->reply) == 0;
	if (fd >= 0)
		(void)close(fd);
	free(text);
	at = ok ? strstr(j->reply, "\r\n\r\n") : NULL;
	if (at != NULL)
		answer = json_loads(at + 4, 0, NULL);
	if (answer == NULL)
		(void)b_peer_fail("Janus does not answer");
	return answer;
}

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* `body` is taken. The number that was made ("data": {"id"}) goes to `id` where that is wanted. */
static int make(janus *j, const char *path, json_t *body, long long *id)
{
	json_t *answer = http(j, path, body);
	int rc = 0;

	json_decref(body);
	if (answer == NULL)
		return -1;
	*id = json_integer_value(json_object_get(json_object_get(answer, "data"), "id"));
	if (strcmp(word(answer, "janus"), "success") != 0 || *id == 0)
		rc = b_peer_fail("Janus: %.200s", strstr(j->reply, "\r\n\r\n"));
	json_decref(answer);
	return rc;
}

/* A message to the plugin; `body` is taken. What it must answer: "success" at once, or "ack" and an event later.
 */
static int message(janus *j, long long handle, json_t *body, const char *wanted)
{
	json_t *whole = json_pack("{s:s, s:s, s:o}", "janus", "message", "transaction", "t", "body", body),
	       *answer;
	char path[64];
	int rc = 0;

	(void)snprintf(path, sizeof path, "/%lld/%lld", j->session, handle);
	answer = http(j, path, whole);
	json_decref(whole);
	if (answer == NULL)
		return -1;
	if (strcmp(word(answer, "janus"), wanted) != 0 ||
	    json_object_get(json_object_get(json_object_get(answer, "plugindata"), "data"), "error") != NULL)
		rc = b_peer_fail("Janus: %.200s", strstr(j->reply, "\r\n\r\n"));
	json_decref(answer);
	return rc;
}

/* The event that this handle joined says where its RTP is to go. 1: another event. */
static int joined_port(const json_t *event, long long handle, uint16_t *port)
{
	const json_t *data = json_object_get(json_object_get(event, "plugindata"), "data");

	if (json_integer_value(json_object_get(event, "sender")) != handle)
		return 1;
	if (json_object_get(data, "error") != NULL)
		return b_peer_fail("Janus: %.200s", word(data, "error"));
	if (strcmp(word(data, "audiobridge"), "joined") != 0 || json_object_get(data, "rtp") == NULL)
		return 1;
	*port = (uint16_t)json_integer_value(json_object_get(json_object_get(data, "rtp"), "port"));
	return *port != 0 ? 0 : b_peer_fail("Janus gave no port");
}

static int wait_joined(janus *j, long long handle, uint16_t *port)
{
	char path[64];
	int i, rc = 1;

	(void)snprintf(path, sizeof path, "/%lld?maxev=1", j->session);
	for (i = 0; i < 20 && rc == 1; i++) {
		json_t *event = http(j, path, NULL);

		if (event == NULL)
			return -1;
		rc = joined_port(event, handle, port);
		json_decref(event);
	}
	return rc == 1 ? b_peer_fail("Janus: no word of a participant that joined") : rc;
}

/* ---- calls ---- */

static int attach(janus *j, long long *handle)
{
	char path[32];

	(void)snprintf(path, sizeof path, "/%lld", j->session);
	return make(j, path,
	            json_pack("{s:s, s:s, s:s}", "janus", "attach", "plugin", "janus.plugin.audiobridge",
	                      "transaction", "t"),
	            handle);
}

static int join(janus *j, size_t leg)
{
	long long handle;
	json_t *body;

	if (attach(j, &handle) != 0)
		return -1;
	body = json_pack("{s:s, s:I, s:s, s:b, s:{s:s, s:i, s:i}}", "request", "join", "room",
	                 (json_int_t)(leg / 2 + 1), "codec", "pcmu", "muted", 0, "rtp", "ip", "127.0.0.1", "port",
	                 (int)j->rtp->port, "payload_type", 0);
	if (message(j, handle, body, "ack") != 0)
		return -1;
	return wait_joined(j, handle, &j->rtp->legs[leg].port);
}

static int begin_call(janus *j, size_t call)
{
	json_t *body = json_pack("{s:s, s:I, s:s, s:i, s:b, s:b}", "request", "create", "room",
	                         (json_int_t)(call + 1), "secret", "bench", "sampling_rate", 8000,
	                         "allow_rtp_participants", 1, "audiolevel_event", 0);

	if (message(j, j->handle, body, "success") != 0 || join(j, 2 * call) != 0)
		return -1;
	return join(j, 2 * call + 1);
}

static int record(int on, void *arg)
{
	janus *j = arg;
	size_t i;

	for (i = 0; i < B_RTP_CALLS; i++) {
		char file[32];

		(void)snprintf(file, sizeof file, "call-%zu.wav", i);
		if (message(j, j->handle,
		            json_pack("{s:s, s:I, s:s, s:b, s:s, s:s}", "request", "enable_recording", "room",
		                      (json_int_t)(i + 1), "secret", "bench", "record", on, "record_file", file,
		                      "record_dir", j->folder),
		            "success") != 0)
			return -1;
	}
	return 0;
}

static int with_calls(janus *j, pid_t pid, b_rtp_cost *cost)
{
	double until = b_now_ns() + 10e9;
	int fd, rc;
	size_t i;

	while ((fd = connect_to(j->port)) < 0) {
		if (b_now_ns() > until)
			return b_peer_fail("Janus does not listen");
		(void)usleep(100000);
	}
	(void)close(fd);
	rc = make(j, "", json_pack("{s:s, s:s}", "janus", "create", "transaction", "t"), &j->session);
	if (rc == 0)
		rc = attach(j, &j->handle);
	for (i = 0; i < B_RTP_CALLS && rc == 0; i++)
		rc = begin_call(j, i);
	return rc != 0 ? rc : b_rtp_measure(j->rtp, pid, record, j, cost);
}

/* ---- the daemon ---- */

static int write_config(const char *folder, const char *name, const char *text)
{
	char path[PATH_ROOM + 64];
	FILE *f;
	int ok;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	if (f == NULL)
		return b_peer_fail("%s: %s", path, strerror(errno));
	ok = fputs(text, f) >= 0;
	return fclose(f) == 0 && ok ? 0 : b_peer_fail("%s cannot be written", path);
}

/* Only what is needed: HTTP on the loopback and the AudioBridge; sessions that do not time out. */
static int write_configs(const janus *j)
{
	char text[1024];

	(void)snprintf(
		text, sizeof text,
		"general: {\n\tconfigs_folder = \"%s\"\n\tdebug_level = 2\n\tsession_timeout = 0\n}\n"
		"plugins: {\n\tdisable = \"libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,"
		"libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,"
		"libjanus_textroom.so,libjanus_videocall.so,libjanus_videoroom.so,libjanus_voicemail.so\"\n}\n"
		"transports: {\n\tdisable = \"libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,"
		"libjanus_rabbitmq.so,libjanus_websockets.so\"\n}\n",
		j->folder);
	if (write_config(j->folder, "janus.jcfg", text) != 0)
		return -1;
	(void)snprintf(text, sizeof text,
	               "general: {\n\tbase_path = \"/janus\"\n\thttp = true\n\tport = %u\n\tip = \"127.0.0.1\"\n"
	               "\thttps = false\n}\nadmin: {\n\tadmin_http = false\n}\n",
	               j->port);
	if (write_config(j->folder, "janus.transport.http.jcfg", text) != 0)
		return -1;
	return write_config(j->folder, "janus.plugin.audiobridge.jcfg",
	                    "general: {\n\tlocal_ip = \"127.0.0.1\"\n\trtp_port_range = \"31000-31999\"\n}\n");
}

static int run(b_rtp *rtp, b_rtp_cost *cost)
{
	static janus j;
	char log_path[PATH_ROOM], configs[PATH_ROOM + 32], config[PATH_ROOM + 32];
	char *argv[] = {(char[]){"janus"}, configs, config, (char[]){"--disable-colors"}, NULL};
	pid_t pid;
	int rc;

	memset(&j, 0, sizeof j);
	j.rtp = rtp;
	j.port = b_free_port(SOCK_STREAM);
	(void)snprintf(j.folder, sizeof j.folder, "%s/janus", b_disk());
	(void)snprintf(log_path, sizeof log_path, "%s/janus.log", b_disk());
	(void)snprintf(configs, sizeof configs, "--configs-folder=%s", j.folder);
	(void)snprintf(config, sizeof config, "--config=%s/janus.jcfg", j.folder);
	if (mkdir(j.folder, 0700) != 0)
		return b_peer_fail("%s cannot be made: %s", j.folder, strerror(errno));
	if (write_configs(&j) != 0 || b_daemon_start(argv, log_path, &pid) != 0)
		return -1;
	rc = with_calls(&j, pid, cost);
	b_daemon_stop(pid);
	return rc;
}

void b_peer_janus(const b_audio *ulaw, double ours)
{
	static b_rtp rtp;
	b_rtp_cost cost;
	int rc;

	if (!b_peer_installed("janus")) {
		b_skipped("Janus's AudioBridge recorder", "janus is not installed");
		return;
	}
	rc = b_rtp_open(&rtp, ulaw);
	if (rc == 0) {
		rc = run(&rtp, &cost);
		b_rtp_close(&rtp);
	}
	if (rc != 0)
		b_skipped("Janus's AudioBridge recorder", b_peer_why());
	else
		b_rtp_report("Janus AudioBridge: mix a PCMU call and record the mix",
		             "one WAV file of the mix, not compressed or encrypted", &cost, ours);
}
