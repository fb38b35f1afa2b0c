/* SPDX-License-Identifier: MIT */
/* The protocol, without where it is spoken. */
#ifndef EXAMPLES_MCP_H
#define EXAMPLES_MCP_H

#include <recoptout/control.h>

typedef struct mcp_server {
	const char *path, *call_id, *language, *company;
	rco_client *client; /* connected when it is needed */
} mcp_server;

/* The answer to a message, "" if it wants none; free() it. NULL: no memory. */
char *mcp_answer(mcp_server *server, const char *line, size_t size);

#endif
