/* SPDX-License-Identifier: MIT */
/* The protocol, without where it is spoken. */
#ifndef EXAMPLES_MCP_H
#define EXAMPLES_MCP_H

#include "../../lib/agent/tool.h"

#include <recoptout/control.h>

typedef struct mcp_server {
	const char *path, *call_id, *language, *company;
	rco_client *client; /* connected when it is needed */
} mcp_server;

/* What matters of a message. "" for what is not there. */
typedef struct mcp_request {
	char method[64], name[256];
	char asked_version[32], version[32]; /* of initialize; of "_meta" */
	char *id;                            /* as it came, a string with its quotes */
	size_t id_size, id_room;
	int bad_id; /* there is one, which is neither a string nor a number, or too long */
	int is_answer;
} mcp_request;

/* Where a member of a request belongs. */
enum {
	MCP_ELSEWHERE,
	MCP_REQUEST,
	MCP_METHOD,
	MCP_ID,
	MCP_PARAMS,
	MCP_RESULT,
	MCP_NAME,
	MCP_META,
	MCP_ASKED,
	MCP_VERSION
};

/* A line that is being read: of any length, it is not kept. */
typedef struct mcp_line {
	mcp_server *server;
	rco__json_walk walk;
	rco__message message; /* the line as the library reads it, for what is no JSON */
	unsigned base;        /* 1: in a batch */
	int batch, heard, open, failed;
	int no_json;   /* words that are none of JSON's */
	int member[5]; /* by depth: the one whose value is being read */
	char key[64];
	mcp_request request;
	char *answers;
	size_t size;
} mcp_line;

void mcp_begin(mcp_line *line, mcp_server *server);
void mcp_feed(mcp_line *line, const char *bytes, size_t size);
/* The answer, "" if it wants none; free() it. NULL: no memory. */
char *mcp_end(mcp_line *line);

#endif
