/* SPDX-License-Identifier: MIT */
/*
 * The tool from inside. A message is read into the ids of the calls in it, the
 * bound call is opted out, and an answer is made for each id. JSON is jansson's,
 * and so is its memory: malloc's.
 */
#ifndef RCO_AGENT_TOOL_H
#define RCO_AGENT_TOOL_H

#include <recoptout/agent.h>

#include <jansson.h>

enum { RCO__MESSAGE_MAX = 1024 * 1024, RCO__NESTING_MAX = 64 };

typedef struct rco__message {
	uint32_t dialect; /* recognised, RCO_DIALECT_AUTO if none was */
	uint32_t calls;   /* of our tool, however often an id comes */
	uint32_t others;
	int list;      /* the calls came in a list, and so do the answers */
	int enveloped; /* MCP: in a JSON-RPC request, and so is the answer */
	json_t *root;  /* NULL: unreadable */
	json_t *ids;   /* array: id of each of our calls once; null for one without */
	json_t *seen;
	const char *call_id; /* of the platform's envelope, or NULL */
	int failed;          /* no memory */
} rco__message;

/* Read what came. Always succeeds: what cannot be read is one call without an id. Free it in any case. */
void rco__message_read(uint32_t dialect, const char *json, size_t size, rco__message *message);
void rco__message_free(rco__message *message);

/* What is to be said in the answers. */
typedef struct rco__said {
	const char *status;
	const char *sentence;
	const char *receipt_id; /* or NULL */
	int error;              /* the opt-out does not stand */
} rco__said;

/* The whole answer as one line of ASCII, to be freed with free(); NULL: no memory. */
char *rco__answer_text(const rco__message *message, const rco__said *said);

#endif
