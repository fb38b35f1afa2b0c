/* SPDX-License-Identifier: MIT */
#include "net.h"

#include <curl/curl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 * 1024 };

int64_t net_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void net_pause_ms(uint32_t ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&pause, NULL);
}

static int connect_to(const struct addrinfo *a, uint32_t timeout_ms)
{
	struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

	if (fd < 0)
		return -1;
	/* Linux: also the limit of connect(). */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
	    connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

int net_open(const char *at, int type, uint32_t timeout_ms)
{
	struct addrinfo hints = {.ai_socktype = type}, *all = NULL, *a;
	const char *colon = strrchr(at, ':');
	char host[256];
	size_t n;
	int fd = -1;

	if (colon == NULL || (size_t)(colon - at) >= sizeof host)
		return -1;
	n = (size_t)(colon - at);
	if (n >= 2 && at[0] == '[' && at[n - 1] == ']') {
		at++;
		n -= 2;
	}
	memcpy(host, at, n);
	host[n] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &all) != 0)
		return -1;
	for (a = all; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_to(a, timeout_ms);
	freeaddrinfo(all);
	return fd;
}

/* ---- text ---- */

int net_text_open(net_text *t, const char *at, uint32_t timeout_ms)
{
	t->used = t->given = 0;
	t->closed = 0;
	t->until_ms = net_now_ms() + timeout_ms;
	t->fd = net_open(at, SOCK_STREAM, timeout_ms);
	return t->fd >= 0 ? 0 : -1;
}

int net_text_say(net_text *t, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof text)
		return -1;
	return send(t->fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

/* More bytes; 0 if there are none. */
static int more(net_text *t)
{
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	int64_t left = t->until_ms - net_now_ms();
	ssize_t n;

	memmove(t->data, t->data + t->given, t->used - t->given);
	t->used -= t->given;
	t->given = 0;
	if (left <= 0 || t->used == sizeof t->data - 1 || poll(&p, 1, (int)left) <= 0)
		return 0;
	n = recv(t->fd, t->data + t->used, sizeof t->data - 1 - t->used, 0);
	if (n <= 0) {
		t->closed = 1;
		return 0;
	}
	t->used += (size_t)n;
	return 1;
}

const char *net_text_line(net_text *t)
{
	char *end, *line;

	while ((end = memchr(t->data + t->given, '\n', t->used - t->given)) == NULL)
		if (!more(t))
			return NULL;
	line = t->data + t->given;
	t->given = (size_t)(end + 1 - t->data);
	if (end > line && end[-1] == '\r')
		end--;
	*end = '\0';
	return line;
}

const char *net_text_bytes(net_text *t, size_t size)
{
	char *bytes;

	while (t->used - t->given < size)
		if (!more(t))
			return NULL;
	bytes = t->data + t->given;
	t->given += size;
	return bytes;
}

int net_text_skip(net_text *t, size_t size)
{
	while (size > 0) {
		size_t part = size < sizeof t->data / 2 ? size : sizeof t->data / 2;

		if (net_text_bytes(t, part) == NULL)
			return -1;
		size -= part;
	}
	return 0;
}

void net_text_close(net_text *t)
{
	if (t->fd >= 0)
		(void)close(t->fd);
	t->fd = -1;
}

/* ---- HTTP ---- */

typedef struct received {
	char *data;
	size_t size;
} received;

static size_t receive(char *data, size_t one, size_t count, void *arg)
{
	received *r = arg;
	size_t size = one * count;
	char *grown;

	if (size > ANSWER_MAX - r->size)
		return 0;
	grown = realloc(r->data, r->size + size + 1);
	if (grown == NULL)
		return 0;
	memcpy(grown + r->size, data, size);
	r->data = grown;
	r->size += size;
	return size;
}

static long perform(CURL *curl, received *r, json_t **answer)
{
	long status = 0;

	if (curl_easy_perform(curl) == CURLE_OK)
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 0 && answer != NULL && r->size > 0)
		*answer = json_loadb(r->data, r->size, 0, NULL);
	return status;
}

long net_http(const char *method, const char *url, const char *user, const char *password, const json_t *body,
              uint32_t timeout_ms, json_t **answer)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURL *curl = curl_easy_init();
	received r = {NULL, 0};
	long status = 0;

	if (answer != NULL)
		*answer = NULL;
	if (curl != NULL && headers != NULL && (body == NULL || text != NULL)) {
		(void)curl_easy_setopt(curl, CURLOPT_URL, url);
		(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
		(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
		(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* what a proxy answers confirms nothing */
		(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
		(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
		(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &r);
		if (text != NULL)
			(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
		if (user != NULL && password != NULL) {
			(void)curl_easy_setopt(curl, CURLOPT_USERNAME, user);
			(void)curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
		}
		status = perform(curl, &r, answer);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	free(text);
	free(r.data);
	return status;
}
