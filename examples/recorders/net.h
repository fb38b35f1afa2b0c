/* SPDX-License-Identifier: MIT */
/* Sockets, lines and HTTP for the adapters, each with a limit of time and of size. */
#ifndef RECORDERS_NET_H
#define RECORDERS_NET_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A connected socket to "HOST:PORT" or "[ADDRESS]:PORT"; -1 if there is none. */
int net_open(const char *at, int type, uint32_t timeout_ms);

/* A text protocol over TCP: blocks of lines that end with an empty one. */
typedef struct net_text {
	int fd;
	int closed; /* the other side has ended it; else no line means that time is over */
	int64_t until_ms;
	size_t used, given;
	char data[16384];
} net_text;

int64_t net_now_ms(void); /* monotonic */
void net_pause_ms(uint32_t ms);

int net_text_open(net_text *t, const char *at, uint32_t timeout_ms);
int net_text_say(net_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The next line without its end, NULL at the end, when time is over, or if it is too long. Valid until the next
 * call. */
const char *net_text_line(net_text *t);
/* `size` more bytes, which are no lines. */
const char *net_text_bytes(net_text *t, size_t size);
/* The same, and nobody wants them. 0, or -1 at the end. */
int net_text_skip(net_text *t, size_t size);
void net_text_close(net_text *t);

/* An HTTP request; `body` NULL for none. Status, 0 if there was no answer; *answer gets JSON or NULL. */
long net_http(const char *method, const char *url, const char *user, const char *password, const json_t *body,
              uint32_t timeout_ms, json_t **answer);

#endif
