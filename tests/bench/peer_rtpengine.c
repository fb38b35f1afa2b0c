/* SPDX-License-Identifier: MIT */
/*
 * rtpengine in user space, recording each call as a pcap file of both legs. Its
 * control protocol is bencode over UDP. The daemon relays the calls either
 * way: what recording costs is the difference.
 */
#include "bench.h"
#include "peer.h"
#include "peer_rtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 4096, PATH_ROOM = 512 };

typedef struct control {
	int fd;
	unsigned cookie;
	b_rtp *rtp;
	char reply[ROOM];
} control;

/* One request and its answer. Bodies are bencoded; the answer has to say ok. */
static int ask(control *c, const char *body, int wait_ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	char request[ROOM];
	ssize_t got;
	int size;

	size = snprintf(request, sizeof request, "%u %s", ++c->cookie, body);
	if (size >= ROOM || send(c->fd, request, (size_t)size, 0) != size || poll(&p, 1, wait_ms) != 1)
		return b_peer_fail("rtpengine does not answer");
	got = recv(c->fd, c->reply, sizeof c->reply - 1, 0);
	if (got <= 0)
		return b_peer_fail("rtpengine does not answer: %s", strerror(errno));
	c->reply[got] = 0;
	if (strstr(c->reply, "6:result2:ok") == NULL && strstr(c->reply, "6:result4:pong") == NULL)
		return b_peer_fail("rtpengine: %.200s", c->reply);
	return 0;
}

static int connect_control(control *c, uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int i;

	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0)
		return b_peer_fail("no UDP socket: %s", strerror(errno));
	for (i = 0; i < 50; i++) {
		if (ask(c, "d7:command4:pinge", 100) == 0)
			return 0;
		(void)usleep(100000); /* refused at once while it is not listening yet */
	}
	return -1;
}

static int port_of(const char *reply, uint16_t *port)
{
	const char *at = strstr(reply, "m=audio ");

	*port = at == NULL ? 0 : (uint16_t)strtoul(at + 8, NULL, 10);
	return *port != 0 ? 0 : b_peer_fail("rtpengine gave no port");
}

/* What each side offers: all audio of all calls comes to our one socket. */
static int negotiate(control *c, size_t call)
{
	char id[16], sdp[512], body[ROOM];
	int id_size, sdp_size;

	id_size = snprintf(id, sizeof id, "call-%zu", call);
	sdp_size = snprintf(sdp, sizeof sdp,
	                    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	                    "m=audio %u RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n",
	                    c->rtp->port);
	(void)snprintf(body, sizeof body, "d3:ICE6:remove7:call-id%d:%s7:command5:offer8:from-tag1:a3:sdp%d:%se",
	               id_size, id, sdp_size, sdp);
	if (ask(c, body, 2000) != 0 || port_of(c->reply, &c->rtp->legs[2 * call + 1].port) != 0)
		return -1;
	(void)snprintf(body, sizeof body,
	               "d3:ICE6:remove7:call-id%d:%s7:command6:answer8:from-tag1:a6:to-tag1:b3:sdp%d:%se", id_size,
	               id, sdp_size, sdp);
	if (ask(c, body, 2000) != 0)
		return -1;
	return port_of(c->reply, &c->rtp->legs[2 * call].port);
}

static int record(int on, void *arg)
{
	control *c = arg;
	size_t i;

	for (i = 0; i < B_RTP_CALLS; i++) {
		char id[16], body[256];
		int size = snprintf(id, sizeof id, "call-%zu", i);

		(void)snprintf(body, sizeof body, "d7:call-id%d:%s7:command%se", size, id,
		               on ? "15:start recording" : "14:stop recording");
		if (ask(c, body, 2000) != 0)
			return -1;
	}
	return 0;
}

static int with_calls(control *c, pid_t pid, uint16_t port, b_rtp_cost *cost)
{
	size_t i;

	if (connect_control(c, port) != 0)
		return -1;
	for (i = 0; i < B_RTP_CALLS; i++)
		if (negotiate(c, i) != 0)
			return -1;
	return b_rtp_measure(c->rtp, pid, record, c, cost);
}

static int run(b_rtp *rtp, b_rtp_cost *cost)
{
	char folder[PATH_ROOM], recording[PATH_ROOM + 32], listen_ng[64], log_path[PATH_ROOM];
	uint16_t port = b_free_port(SOCK_DGRAM);
	char *argv[] = {(char[]){"rtpengine"},
	                (char[]){"--config-file=none"},
	                (char[]){"--table=-1"},
	                (char[]){"--interface=127.0.0.1"},
	                listen_ng,
	                (char[]){"--foreground"},
	                (char[]){"--log-stderr"},
	                (char[]){"--log-level=3"},
	                recording,
	                (char[]){"--recording-method=pcap"},
	                (char[]){"--recording-format=eth"},
	                (char[]){"--port-min=30000"},
	                (char[]){"--port-max=30999"},
	                NULL};
	control c = {.fd = -1, .rtp = rtp};
	pid_t pid;
	int rc;

	(void)snprintf(folder, sizeof folder, "%s/rtpengine", b_disk());
	(void)snprintf(log_path, sizeof log_path, "%s/rtpengine.log", b_disk());
	(void)snprintf(recording, sizeof recording, "--recording-dir=%s", folder);
	(void)snprintf(listen_ng, sizeof listen_ng, "--listen-ng=127.0.0.1:%u", port);
	if (mkdir(folder, 0700) != 0)
		return b_peer_fail("%s cannot be made: %s", folder, strerror(errno));
	if (b_daemon_start(argv, log_path, &pid) != 0)
		return -1;
	rc = with_calls(&c, pid, port, cost);
	if (c.fd >= 0)
		(void)close(c.fd);
	b_daemon_stop(pid);
	return rc;
}

void b_peer_rtpengine(const b_audio *ulaw, double ours)
{
	static b_rtp rtp;
	b_rtp_cost cost;
	int rc;

	if (!b_peer_installed("rtpengine")) {
		b_skipped("rtpengine's pcap recording", "rtpengine-daemon is not installed");
		return;
	}
	rc = b_rtp_open(&rtp, ulaw);
	if (rc == 0) {
		rc = run(&rtp, &cost);
		b_rtp_close(&rtp);
	}
	if (rc != 0)
		b_skipped("rtpengine's pcap recording", b_peer_why());
	else
		b_rtp_report("rtpengine: relay a PCMU call and record it as pcap",
		             "both legs in a pcap file, not compressed or encrypted", &cost, ours);
}
