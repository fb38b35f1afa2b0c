/* SPDX-License-Identifier: MIT */
/*
 * The lines of an event stream (HTML, 9.2.6: server-sent events), as they come: what is in the data of each event
 * is handed on, and where an event ends is told. Its other fields and its comments are nothing to us. A line that
 * is none of these is handed on as it is.
 */
#ifndef RCO_AGENT_EVENT_STREAM_H
#define RCO_AGENT_EVENT_STREAM_H

#include <stddef.h>

typedef struct rco__stream_handler {
	void (*data)(void *user, const char *bytes, size_t size);
	void (*end)(void *user); /* of an event that had data */
	void (*stray)(void *user, const char *bytes, size_t size);
	void *user;
} rco__stream_handler;

enum { RCO__STREAM_HEAD = 6 /* bytes that say whether it is one */ };

typedef struct rco__stream {
	rco__stream_handler to;
	int state, has_data;
	size_t field_size;
	char field[RCO__STREAM_HEAD + 1];
} rco__stream;

/* A text that begins so is an event stream: 1; 0: it is not; -1: more is needed. */
int rco__stream_is_one(const char *text, size_t size);
void rco__stream_begin(rco__stream *stream, const rco__stream_handler *to);
void rco__stream_feed(rco__stream *stream, const char *bytes, size_t size);
/* The text is over, and with it the event that no empty line has ended. */
void rco__stream_end(rco__stream *stream);

#endif
