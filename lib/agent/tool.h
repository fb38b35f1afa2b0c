/* SPDX-License-Identifier: MIT */
/*
 * The tool from inside. A message is read, as it comes, into the ids of the calls in it; the bound call is opted
 * out, and an answer is made for each id.
 */
#ifndef RCO_AGENT_TOOL_H
#define RCO_AGENT_TOOL_H

#include "event_stream.h"
#include "names.h"
#include "places.h"
#include "plain.h"

#include "../base/json_walk.h"

#include <recoptout/agent.h>

enum {
	RCO__IDS_MAX = 1024,         /* calls in a message that are answered one by one */
	RCO__ID_BYTES_MAX = 1 << 20, /* of all ids together; a longer one is as good as none */
	RCO__MESSAGE_TEXT_MAX = 256  /* of a name, and of a value that is compared */
};

/* How the text is framed: not known yet, an event stream, not at all. */
enum { RCO__FRAMING_NOT_KNOWN, RCO__FRAMING_EVENTS, RCO__FRAMING_TEXT };

/* An id as it came: a JSON string with its quotes, or a number. size 0: the call has none. */
typedef struct rco__id {
	size_t at, size; /* in the message's id_text */
	uint32_t times;
	uint16_t row;
	uint8_t answered; /* before, in another event */
} rco__id;

/* How a row of the table stands in the message that is being read. */
typedef struct rco__row_state {
	uint32_t met, broken, missed;                  /* conditions; missed: it had another value */
	uint32_t calls, others, all_calls, all_others; /* of ours and of other tools, in this message and in all */
	uint8_t open, name, id_rank;                   /* of a call that is not complete */
	rco__id id;
} rco__row_state;

/* What pieces of a call brought by now, in the text of several events. Too long is as good as none. */
typedef struct rco__pieces {
	size_t index_size, name_size, id_size;
	char index[16], name[128], id[128];
} rco__pieces;

/*
 * A message, or several in a list, one behind the other, or as the data of an event stream. Needs the memory of
 * this struct and of the ids, whatever comes. begin, feed, end, free; what is before `walk` may be read after the
 * end.
 */
typedef struct rco__message {
	uint32_t dialect; /* recognised, RCO_DIALECT_AUTO if none was */
	uint32_t calls;   /* of our tool; those that another list repeats once */
	uint32_t others;
	int list;      /* the calls came in a list, and so do the answers */
	int enveloped; /* MCP: in a JSON-RPC request, and so is the answer */
	int old;       /* in the platform's older shape, and so is the answer */
	int event;     /* in one of several events that may bring the same call */
	int silent;    /* nobody waits for an answer */
	rco__id *ids;  /* of each of our calls once */
	size_t n_ids;
	char *id_text;
	char call_id[RCO__MESSAGE_TEXT_MAX]; /* of the platform's envelope, or "" */
	int failed;                          /* no memory */

	rco__json_walk walk; /* of the text, or of the data of an event */
	rco__stream stream;
	rco__plain plain, stray; /* what is no JSON, or none any more; lines of an event stream that are none */
	int framing;             /* of the text */
	int is_json;             /* -1: not known yet */
	int object_begun;        /* in a text that is no JSON */
	int called_before;       /* before that object the text has a call */
	size_t head_size;
	char head[16];         /* what is held until that is known */
	unsigned events, told; /* of the stream: all; those that are no "[DONE]" */
	int may_be_call;       /* it was cut off, and could have gone on as one of ours */
	int mentioned;         /* our tool was called, and no row says where */
	int has_envelope;      /* of the platform, around the call */
	const rco__places *places;
	uint32_t wanted;
	int has_kind;                                          /* it says at its top what kind of message it is */
	uint32_t kind_of, call_id_of;                          /* dialects */
	size_t id_text_size, id_text_room, ids_room, first_id; /* of the message of now */
	unsigned base;                                         /* 1: in a list */
	unsigned elements;                                     /* of the list that have begun */
	unsigned messages;                                     /* that have begun */
	int in_message, touched;
	int something_else, elsewhere;      /* the message of now is certainly no call; one of them was */
	int reasoned;                       /* it has the one parameter of our tool */
	int before_elsewhere;               /* `elsewhere` before the message of now */
	int history, was_list;              /* a message of a conversation so far; it came in a list */
	int behind_key;                     /* of a member, which is in `text` */
	int in_value;                       /* a string, number or word is not complete */
	unsigned depth;                     /* its */
	int16_t node[RCO__JSON_LEVELS + 2]; /* by depth */
	struct {
		size_t id_text_size, n_ids;
	} before[RCO__JSON_LEVELS + 2]; /* by depth: what was kept before the object */
	rco__row_state state[RCO__PLACES_MAX];
	rco__pieces pieces, piece; /* of the last call that has begun; the piece of now */
	size_t text_size, id_begin;
	int text_long;
	char text_last; /* its last byte */
	char text[RCO__MESSAGE_TEXT_MAX];
	rco__plain spoken; /* the value of now, if it is a call that a model wrote as text */
} rco__message;

/* It has more than "", which pieces of a call have behind its first, and some servers always. */
static inline int rco__has_id(const rco__message *m, const rco__id *id)
{
	return id->size > 2 || (id->size > 0 && m->id_text[id->at] != '"');
}

void rco__message_begin(rco__message *message, uint32_t dialect);
void rco__message_feed(rco__message *message, const void *bytes, size_t size);
void rco__message_end(rco__message *message);
void rco__message_free(rco__message *message);

/* What is to be said in the answers. */
typedef struct rco__said {
	const char *status;
	const char *sentence;
	const char *receipt_id; /* or NULL */
	int error;              /* the opt-out does not stand */
} rco__said;

/* The whole answer as one line, to be freed with free(); "" if there is nothing to be sent; NULL: no memory. */
char *rco__answer_text(const rco__message *message, const rco__said *said);

/* rco_tool_call() with a message that was read already; the request's `json` is not looked at. */
int rco__tool_answer(rco_engine *engine, const rco_tool_request *request, rco__message *message,
                     rco_tool_answer **answer);

#endif
