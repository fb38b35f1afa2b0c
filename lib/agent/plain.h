/* SPDX-License-Identifier: MIT */
/*
 * A text that is no JSON: is it a call of our tool, as a model or a program writes one? It is where all of a line
 * is one ("recording_opt_out()", "Action: recording_opt_out"), where it is marked as one ("<tool_call>{...",
 * "<function=...", "[TOOL_CALLS]...") or where our name is the value of a call's name, as in a call that Python
 * prints. Everything else is none: a sentence or a log line with our name in it, what a user, the system or a tool
 * says, a definition, the arguments of another tool's call.
 */
#ifndef RCO_AGENT_PLAIN_H
#define RCO_AGENT_PLAIN_H

#include <stddef.h>
#include <stdint.h>

typedef struct rco__plain {
	int named; /* a call, or an object in a sentence that says the same */
	int found; /* a call */
	int loose; /* our name is one wherever it is no argument and no comment: the caller's, behind begin */
	int comment;
	unsigned found_depth; /* in so many brackets */
	int of_telephony;     /* a form that a telephony platform posts */
	int speaker;          /* who was named last as the one who says it */
	int begun, in_head;   /* its first letter was read; no blank behind it */
	int error, trace;     /* it begins with an error; with a trace of calls */
	int page;             /* of HTML */
	int first_line;
	int line_begun, dropped; /* of the line: a letter was read; of the text: its beginning is gone */
	int label;               /* what somebody else says, in this line or in those that follow */
	int tagged;              /* in a tag of somebody else, of arguments, of thinking */
	int led;                 /* the outermost bracket may be a call's */
	int aside;               /* it is "(", of a sentence that may not close it */
	int conversation; /* somebody else has spoken in what is printed: a model that speaks there has been heard
	                   */
	unsigned depth;   /* of brackets; by depth: they hold arguments, members, an object of no call */
	uint64_t arguments, members, foreign;
	int muted;  /* the string is a text, or arguments */
	char quote; /* of the string that is being read, and the backslashes before it */
	unsigned slashes;
	int tail; /* a call, if nothing else stands behind it */
	size_t tail_from;
	unsigned tail_depth;
	size_t judged, size;
	char part[1024];
} rco__plain;

void rco__plain_begin(rco__plain *plain);
/* Inside of so many brackets of JSON, of each a bit if it is an object. */
void rco__plain_begin_in(rco__plain *plain, unsigned depth, uint64_t objects);
void rco__plain_feed(rco__plain *plain, const char *bytes, size_t size);
void rco__plain_end(rco__plain *plain);

#endif
