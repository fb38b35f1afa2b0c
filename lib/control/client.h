/* SPDX-License-Identifier: MIT */
#ifndef RCO_CONTROL_CLIENT_H
#define RCO_CONTROL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* A connection to an engine, and the lines that come through it. */
typedef struct rco__connection rco__connection;

/* Fails unless user `uid` or root serves there. Times are rco__control_now()'s. */
int rco__connection_open(const char *path, uint32_t uid, int64_t until_us, rco__connection **connection);
/* NULL is ignored. */
void rco__connection_free(rco__connection *connection);
/* RCO_E_TIMEOUT after a part of it: RCO_E_IO, for nothing else can be sent. */
int rco__connection_send(rco__connection *connection, const char *data, size_t size, int64_t until_us);
/* The next line, without its line break; valid until the one after it is asked for. RCO_E_TIMEOUT, RCO_E_IO,
 * RCO_E_LIMIT.
 */
int rco__connection_line(rco__connection *connection, char **line, int64_t until_us);

enum { RCO__PEEK_ID_ROOM = 1024 + 1 };

/* Of the object's own members. */
typedef struct rco__peek {
	int is_object;              /* the line is one, and complete */
	int ids;                    /* how many members are named so */
	size_t id_size;             /* 0: there is none, or it is none by which answers can be told apart */
	char id[RCO__PEEK_ID_ROOM]; /* as it stands there, a string with its quotes; then a NUL */
	int is_events;              /* "do" is "events" */
	int is_ok;                  /* "ok" is true */
} rco__peek;

void rco__peek_at(const char *line, rco__peek *peek);

#endif
