/* SPDX-License-Identifier: MIT */
/*
 * rtpengine: its ng protocol (bencode over UDP, docs/ng_control_protocol.md of rtpengine), tested with 10.5 of
 * Debian 12,
 * --recording-method=pcap.
 *
 *   start CALL-ID [ng=ID]      the id that rtpengine knows the call by, if it is not CALL-ID
 *
 * rtpengine writes DIR/pcaps/ID-HEX.pcap, ID percent-encoded, and a description in DIR/tmp, which it moves to
 * DIR/metadata when it stops. That move is the confirmation, not its "ok". An rtpengine that was killed leaves the
 * description in DIR/tmp for good: if the one that answers now does not know the call, and the pcap does not grow
 * for half a second, nobody writes it. DIR/tmp that cannot be read says nothing.
 * Unlinking the pcap does not stop it: the unlinked file grows on. So files are named to the library, which
 * erases them once the stop is confirmed. Not seen: what a recording daemon (--recording-method=proc) does with
 * its own copies, and a call that `start` named by a wrong id.
 */
#include "adapter.h"

#include "bencode.h"
#include "net.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/* How many files of the call a folder has; -1 if it cannot be read. */
static int each(const char *dir, const char *folder, const char *id, rec_file_fn *found, void *arg)
{
	char path[PATH_ROOM];
	struct dirent *entry;
	int n = 0;
	DIR *d;

	(void)snprintf(path, sizeof path, "%s/%s", dir, folder);
	d = opendir(path);
	if (d == NULL)
		return -1;
	while ((errno = 0, entry = readdir(d)) != NULL) {
		if (!is_of(entry->d_name, id))
			continue;
		n++;
		if (found != NULL &&
		    (size_t)snprintf(path, sizeof path, "%s/%s/%s", dir, folder, entry->d_name) < sizeof path)
			found(path, arg);
	}
	if (errno != 0)
		n = -1;
	(void)closedir(d);
	return n;
}

static void add_size(const char *path, void *arg)
{
	struct stat st;

	if (stat(path, &st) == 0)
		*(off_t *)arg += st.st_size;
}

static off_t pcap_bytes(const rec_settings *s, const char *id)
{
	off_t sum = 0;

	(void)each(s->dir, "pcaps", id, add_size, &sum);
	return sum;
}

/* One request; repeated with the same cookie, which rtpengine answers from its memory. So a cookie must not come
 * again, not from the next process either. 0, or -1 without an answer. */
static int ask(const rec_settings *s, const char *body, size_t size, char *answer, size_t room, size_t *length)
{
	char packet[1024], cookie[40];
	uint64_t unique;
	int fd, tries, rc = -1;
	size_t n;

	if (getrandom(&unique, sizeof unique, 0) != (ssize_t)sizeof unique)
		return -1;
	n = (size_t)snprintf(cookie, sizeof cookie, "%016llx ", (unsigned long long)unique);
	if (n + size > sizeof packet)
		return -1;
	fd = net_open(s->at, SOCK_DGRAM, s->timeout_ms);
	if (fd < 0)
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

/* Tells rtpengine to stop. 1: it knows the call; 0: it does not; -1: no answer of rtpengine's, and `why` says so.
 */
static int tell(const rec_settings *s, const char *id, char why[WHY_MAX])
{
	char body[600] = "d", answer[16384];
	size_t size = 1, length, n;
	const char *text;

	size = bencode_add(body, sizeof body - 1, size, "call-id", id);
	size = bencode_add(body, sizeof body - 1, size, "command", "stop recording");
	if (size == 0) {
		(void)snprintf(why, WHY_MAX, "the call id is too long for the ng protocol");
		return -1;
	}
	body[size++] = 'e';
	if (ask(s, body, size, answer, sizeof answer, &length) != 0) {
		(void)snprintf(why, WHY_MAX,
		               "rtpengine at %s does not answer; does it listen there (--listen-ng)?", s->at);
		return -1;
	}
	text = bencode_string(answer, length, "result", &n);
	if (text != NULL && n == 2 && memcmp(text, "ok", 2) == 0)
		return 1;
	text = bencode_string(answer, length, "error-reason", &n);
	if (text != NULL && n == strlen("Unknown call-id") && memcmp(text, "Unknown call-id", n) == 0)
		return 0;
	if (text != NULL)
		(void)snprintf(why, WHY_MAX, "rtpengine refuses to stop: %.*s", (int)(n < 100 ? n : 100), text);
	else
		(void)snprintf(why, WHY_MAX, "the answer of %s is none of rtpengine's", s->at);
	return -1;
}

static rec_outcome stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX])
{
	const char *id = id_of(call);
	int known, tries, left = 0;
	off_t before;

	if (how->own && how->written(how->arg) == 0) {
		(void)snprintf(why, WHY_MAX, "the call has ended, and no file of it is written");
		return RECORDER_KNOWS_NOTHING;
	}
	known = tell(s, id, why);
	before = pcap_bytes(s, id);
	if (known < 0)
		return RECORDER_UNSURE;
	/* The move of the description follows the answer closely. */
	for (tries = 0; tries < 25; tries++) {
		left = each(s->dir, "tmp", id, NULL, NULL);
		if (left == 0 && known)
			return RECORDER_STOPPED;
		if (left == 0) {
			(void)snprintf(why, WHY_MAX,
			               "rtpengine does not know the call; is ng= its call id, and %s its "
			               "--recording-dir?",
			               s->dir);
			return RECORDER_KNOWS_NOTHING;
		}
		net_pause_ms(20);
	}
	if (left < 0)
		(void)snprintf(why, WHY_MAX, "%s/tmp cannot be read; is --dir rtpengine's --recording-dir?",
		               s->dir);
	else if (known == 0 && pcap_bytes(s, id) == before)
		return RECORDER_STOPPED;
	else
		(void)snprintf(why, WHY_MAX, "rtpengine %s, and %s says that it goes on",
		               known ? "said ok" : "does not know the call", s->dir);
	return RECORDER_UNSURE;
}

static void files(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	size_t i;

	for (i = 0; i < sizeof folders / sizeof folders[0]; i++)
		(void)each(s->dir, folders[i], id_of(call), found, arg);
}

static int owns(const rec_settings *s, const rec_call *call, const char *path)
{
	const char *slash = strrchr(path, '/');

	(void)s;
	return slash != NULL && is_of(slash + 1, id_of(call));
}

static const char *check(const rec_settings *s)
{
	if (s->at == NULL || s->dir == NULL)
		return "--at HOST:PORT (rtpengine's --listen-ng) and --dir (its --recording-dir)";
	return NULL;
}

static const char *keys(const rec_settings *s)
{
	(void)s;
	return "ng";
}

static const char *handle(const rec_settings *s, const rec_call *call)
{
	(void)s;
	return id_of(call);
}

const rec_adapter rec_rtpengine = {.name = "rtpengine",
                                   .usage =
                                           "  rtpengine    --at HOST:PORT --dir DIR       start CALL-ID [ng=ID]\n",
                                   .check = check,
                                   .keys = keys,
                                   .handle = handle,
                                   .stop = stop,
                                   .files = files,
                                   .owns = owns};
