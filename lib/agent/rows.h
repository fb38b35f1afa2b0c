/* SPDX-License-Identifier: MIT */
/*
 * How the rows of the table of places stand in the message that is being read: which conditions are met, which
 * calls they have found, with what ids.
 */
#ifndef RCO_AGENT_ROWS_H
#define RCO_AGENT_ROWS_H

#include "tool.h"

#include <recoptout.h>

static inline const rco__node *rco__rows_node(const rco__message *m, int16_t node)
{
	return &m->places->node[node];
}

static inline int rco__is_mcp(uint32_t dialect)
{
	return dialect == RCO_DIALECT_MCP || dialect == RCO_DIALECT_MCP_2026;
}

/* Anyone who posts to its address calls our tool. */
static inline int rco__is_of_one_tool(uint32_t dialect)
{
	return dialect == RCO_DIALECT_ELEVENLABS_WEBHOOK || dialect == RCO_DIALECT_RETELL;
}

/* A message begins at depth `message->base`, and ends. */
void rco__rows_begin(rco__message *message);
void rco__rows_end(rco__message *message);
/* The text broke off in it. */
void rco__rows_cut(rco__message *message);

/* An object at this node begins, and ends. */
void rco__rows_enter(rco__message *message, int16_t node, unsigned depth);
void rco__rows_leave(rco__message *message, int16_t node, unsigned depth);
/* A member's name was read, whatever its value is. */
void rco__rows_named(rco__message *message, int16_t node);
/* A member's value has begun: it is there. */
void rco__rows_present(rco__message *message, int16_t node);
/* A string, number or word is complete; it is in `text`. */
void rco__rows_scalar(rco__message *message, int16_t node, rco__json_type type);

void rco__rows_keep_id(rco__message *message, const char *raw, size_t size);
int rco__rows_same_id(const rco__message *message, const rco__id *a, const rco__id *b);
/* A call of ours, to be confirmed at the message's end. */
void rco__rows_add_call(rco__message *message, size_t row, rco__id id);
/* Rows with this flag found nothing. */
void rco__rows_forget(rco__message *message, uint32_t flag);
/* Events of a stream, lines, or elements of a list: what one begins, the others may go on with. */
int rco__rows_several(const rco__message *message);

#endif
