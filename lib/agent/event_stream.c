/* SPDX-License-Identifier: MIT */
#include "event_stream.h"

#include <string.h>

enum {
	FIELD,  /* its name, from the beginning of a line */
	BEHIND, /* the colon behind "data": one blank is no data */
	DATA,
	IGNORED, /* the rest of another field, or of a comment */
	STRAY,   /* the rest of a line that is no field */
	RETURN   /* behind a CR: a line feed is of the same end */
};

static const char *const fields[] = {"data", "event", "id", "retry", ""};

static int is_field(const char *name, size_t size)
{
	size_t i;

	for (i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (strlen(fields[i]) == size && memcmp(fields[i], name, size) == 0)
			return 1;
	return 0;
}

int rco__stream_is_one(const char *text, size_t size)
{
	const char *colon = memchr(text, ':', size);
	size_t i;

	if (colon != NULL)
		return is_field(text, (size_t)(colon - text));
	for (i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (strlen(fields[i]) >= size && memcmp(fields[i], text, size) == 0)
			return -1;
	return 0;
}

static void end_event(rco__stream *s)
{
	if (s->has_data)
		s->to.end(s->to.user);
	s->has_data = 0;
}

/* Of a line that is handed on. */
static void emit(rco__stream *s, const char *bytes, size_t size)
{
	if (s->state == DATA)
		s->to.data(s->to.user, bytes, size);
	else if (s->state == STRAY)
		s->to.stray(s->to.user, bytes, size);
}

static void begin_data(rco__stream *s)
{
	if (s->has_data) /* lines of one event's data */
		s->to.data(s->to.user, "\n", 1);
	s->has_data = 1;
}

/* Behind data it is more of it, from somebody who did not know that each line starts an event line of its own. */
static void begin_stray(rco__stream *s, size_t size)
{
	s->state = s->has_data ? DATA : STRAY;
	if (s->has_data)
		s->to.data(s->to.user, "\n", 1);
	emit(s, s->field, size);
}

/* The name of a field is complete, with or without a colon. */
static void end_field(rco__stream *s, int colon)
{
	const size_t size = s->field_size;

	s->field_size = 0;
	if (!colon && size == 0) {
		end_event(s);
	} else if (size == 4 && memcmp(s->field, "data", 4) == 0) {
		begin_data(s);
		s->state = BEHIND;
	} else if (is_field(s->field, size)) {
		s->state = IGNORED;
	} else {
		begin_stray(s, size);
	}
}

static void end_line(rco__stream *s, char c)
{
	if (s->state == FIELD)
		end_field(s, 0);
	if (s->state == STRAY)
		s->to.stray(s->to.user, "\n", 1);
	s->state = c == '\r' ? RETURN : FIELD;
}

/* Returns what is behind the bytes that were read: at least one. */
static const char *read_field(rco__stream *s, const char *at)
{
	if (*at == ':') {
		end_field(s, 1);
		if (s->state != BEHIND)
			emit(s, ":", 1);
		return at + 1;
	}
	s->field[s->field_size++] = *at;
	if (s->field_size == sizeof s->field)
		end_field(s, 0);
	return at + 1;
}

static const char *read_line(rco__stream *s, const char *at, const char *end)
{
	const char *from = at;

	while (at < end && *at != '\n' && *at != '\r')
		at++;
	emit(s, from, (size_t)(at - from));
	return at;
}

void rco__stream_begin(rco__stream *s, const rco__stream_handler *to)
{
	memset(s, 0, sizeof *s);
	s->to = *to;
}

void rco__stream_feed(rco__stream *s, const char *at, size_t size)
{
	const char *end = at + size;

	while (at < end) {
		if (s->state == RETURN) {
			s->state = FIELD;
			at += *at == '\n';
		} else if (*at == '\n' || *at == '\r') {
			end_line(s, *at++);
		} else if (s->state == FIELD) {
			at = read_field(s, at);
		} else if (s->state == BEHIND) {
			s->state = DATA;
			at += *at == ' ';
		} else {
			at = read_line(s, at, end);
		}
	}
}

void rco__stream_end(rco__stream *s)
{
	if (s->state != RETURN)
		end_line(s, '\n');
	end_event(s);
}
