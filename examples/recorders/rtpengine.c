/* SPDX-License-Identifier: MIT */
/*
 * rtpengine: its ng protocol (bencode over UDP, docs/ng_control_protocol.md of rtpengine), tested with 10.5 of
 * Debian 12,
 * --recording-method=pcap.
 *
 *   start CALL-ID [ng=ID]      the id that rtpengine knows the call by, if it is not CALL-ID
 *
 * rtpengine writes DIR/pcaps/ID-HEX.pcap, ID percent-encoded, and a description in DIR/tmp, which it moves to
 * DIR/metadata when it stops. That move is the confirmation: "ok" alone also comes for a call that it does not
 * know. Unlinking the pcap does not stop it: the unlinked file grows on. So files are named to the library, which
 * erases them once the stop is confirmed. Not seen: what a recording daemon (--recording-method=proc) does with
 * its own copies.
 */
#include "adapter.h"

#include "bencode.h"
#include "net.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *const folders[] = {"tmp", "metadata", "pcaps"};

static const char *id_of(const rec_call *call)
{
	const char *ng = rec_value(call, "ng");

	return ng != NULL ? ng : call->id;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* [rtpengine-meta-]ID-HEX.SUFFIX, with 16 digits, and ID percent-encoded (RFC 3986). */
static int is_of(const char *name, const char *id)
{
	static const char prefix[] = "rtpengine-meta-";
	const char *p = strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : name;

	for (; *id != '\0'; id++) {
		if (*p == '%' && digit(p[1]) >= 0 && digit(p[2]) >= 0) {
			if ((char)(digit(p[1]) * 16 + digit(p[2])) != *id)
				return 0;
			p += 3;
		} else if (*p++ != *id) {
			return 0;
		}
	}
	return p[0] == '-' && strspn(p + 1, "0123456789abcdef") == 16 && p[17] == '.';
}

static size_t each(const char *dir, const char *folder, const char *id, rec_file_fn *found, void *arg)
{
	char path[PATH_ROOM];
	struct dirent *entry;
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof path, "%s/%s", dir, folder);
	d = opendir(path);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (!is_of(entry->d_name, id))
			continue;
		n++;
		if (found != NULL &&
		    (size_t)snprintf(path, sizeof path, "%s/%s/%s", dir, folder, entry->d_name) < sizeof path)
			found(path, arg);
	}
	if (d != NULL)
		(void)closedir(d);
	return n;
}

/* One request; repeated with the same cookie, which rtpengine answers from its memory. 0, or -1 without an answer.
 */
static int ask(const rec_settings *s, const char *body, size_t size, char *answer, size_t room, size_t *length)
{
	char packet[1024], cookie[40];
	int fd = net_open(s->at, SOCK_DGRAM, s->timeout_ms), tries, rc = -1;
	size_t n = (size_t)snprintf(cookie, sizeof cookie, "%08lx%08lx ", random(), random());

	if (fd < 0 || n + size > sizeof packet)
		return -1;
	memcpy(packet, cookie, n);
	memcpy(packet + n, body, size);
	for (tries = 0; tries < 4 && rc != 0; tries++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (send(fd, packet, n + size, 0) < 0 || poll(&p, 1, (int)(s->timeout_ms / 4)) <= 0)
			continue;
		got = recv(fd, answer, room, 0);
		if (got < (ssize_t)n || memcmp(answer, cookie, n) != 0)
			continue;
		*length = (size_t)got - n;
		memmove(answer, answer + n, *length);
		rc = 0;
	}
	(void)close(fd);
	return rc;
}

static rec_outcome stop(const rec_settings *s, const rec_call *call, char why[WHY_MAX])
{
	char body[600] = "d", answer[16384];
	size_t size = 1, length, n;
	const char *result;
	int tries;

	size = bencode_add(body, sizeof body - 1, size, "call-id", id_of(call));
	size = bencode_add(body, sizeof body - 1, size, "command", "stop recording");
	if (size == 0) {
		(void)snprintf(why, WHY_MAX, "the call id is too long for the ng protocol");
		return RECORDER_UNSURE;
	}
	body[size++] = 'e';
	if (ask(s, body, size, answer, sizeof answer, &length) != 0) {
		(void)snprintf(why, WHY_MAX,
		               "rtpengine at %s does not answer; does it listen there (--listen-ng)?", s->at);
		return RECORDER_UNSURE;
	}
	result = bencode_string(answer, length, "result", &n);
	if (result == NULL) {
		(void)snprintf(why, WHY_MAX, "the answer of %s is none of rtpengine's", s->at);
		return RECORDER_UNSURE;
	}
	/* The move of the description follows the answer closely. */
	for (tries = 0; tries < 50; tries++) {
		struct timespec pause = {.tv_nsec = 20000000};

		if (each(s->dir, "tmp", id_of(call), NULL, NULL) == 0)
			return RECORDER_STOPPED;
		(void)nanosleep(&pause, NULL);
	}
	(void)snprintf(why, WHY_MAX, "rtpengine said \"%.*s\", and %s/tmp says that it goes on",
	               (int)(n < 40 ? n : 40), result, s->dir);
	return RECORDER_UNSURE;
}

static void files(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	size_t i;

	for (i = 0; i < sizeof folders / sizeof folders[0]; i++)
		(void)each(s->dir, folders[i], id_of(call), found, arg);
}

static const char *check(const rec_settings *s)
{
	if (s->at == NULL || s->dir == NULL)
		return "--at HOST:PORT (rtpengine's --listen-ng) and --dir (its --recording-dir)";
	return NULL;
}

const rec_adapter rec_rtpengine = {.name = "rtpengine",
                                   .usage =
                                           "  rtpengine    --at HOST:PORT --dir DIR       start CALL-ID [ng=ID]\n",
                                   .check = check,
                                   .stop = stop,
                                   .files = files};
