/* SPDX-License-Identifier: MIT */
/*
 * A line becomes a request. It is read as it comes, without recursion and without
 * a tree; what is not known is passed over. Outside of a tool_call's message,
 * which a language model may have written, a line has to be JSON by the letter.
 */
#include "control.h"

#include "../base/bytes.h"
#include "../base/json_walk.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_ROOM = 16, WORD_ROOM = 16 };

typedef enum member { M_NONE = RCO__M_TEXTS, M_DO, M_ID, M_MESSAGE, M_TIMEOUT_MS, M_WAIT_MS, M_STRICT } member;

static const struct {
	const char *name;
	member member;
} members[] = {
	{"do", M_DO},
	{"id", M_ID},
	{"message", M_MESSAGE},
	{"timeout_ms", M_TIMEOUT_MS},
	{"wait_ms", M_WAIT_MS},
	{"strict", M_STRICT},
	{"call_id", (member)RCO__M_CALL_ID},
	{"source", (member)RCO__M_SOURCE},
	{"language", (member)RCO__M_LANGUAGE},
	{"company", (member)RCO__M_COMPANY},
	{"wait", (member)RCO__M_WAIT},
	{"dialect", (member)RCO__M_DIALECT},
	{"url", (member)RCO__M_URL},
	{"description", (member)RCO__M_DESCRIPTION},
};

struct rco__reader {
	rco__json_walk walk;
	rco__request *request;
	size_t size;           /* of the line so far, without its message */
	int some;              /* more than blanks and a byte order mark */
	size_t bom;            /* bytes of a byte order mark in front of it */
	int not_object;        /* the line is something else */
	int twice;             /* a member that says what is to be done came twice */
	int failed;            /* no memory */
	int in_message, in_id; /* their values are being read */
	int odd;               /* of the walk, before that */
	unsigned seen;         /* members, as bits */
	member member;         /* that is being read */
	char name[NAME_ROOM];
	size_t name_size;
	rco__text value; /* what was read of it */
};

rco__reader *rco__reader_new(void)
{
	rco__reader *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->member = M_NONE;
	r->request = calloc(1, sizeof *r->request);
	if (r->request == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void rco__request_free(rco__request *request)
{
	size_t i;

	if (request == NULL)
		return;
	for (i = 0; i < RCO__M_TEXTS; i++)
		free(request->text[i]);
	free(request->id);
	rco__call_message_free(request->message);
	free(request);
}

void rco__reader_free(rco__reader *r)
{
	if (r == NULL)
		return;
	rco__request_free(r->request);
	free(r->value.bytes);
	free(r);
}

rco__request *rco__reader_take(rco__reader *r)
{
	rco__request *request = r->request;

	r->request = NULL;
	return request;
}

int rco__reader_is_blank(const rco__reader *r)
{
	return !r->some;
}

static void bad_id(rco__reader *r)
{
	r->request->code = RCO_E_INVALID; /* before any other: the one who asked has to know why there is none */
	r->request->detail = "the id has to be a string or a number of at most 1024 bytes; nothing was done";
}

/* ---- values ---- */

static rco__do what_is(const char *name)
{
	static const char *const names[] = {[RCO__DO_NOTHING] = "",
	                                    [RCO__DO_HELLO] = "hello",
	                                    [RCO__DO_OPT_OUT] = "opt_out",
	                                    [RCO__DO_STATUS] = "status",
	                                    [RCO__DO_PENDING] = "pending",
	                                    [RCO__DO_TOOL] = "tool",
	                                    [RCO__DO_TOOL_CALL] = "tool_call",
	                                    [RCO__DO_EVENTS] = "events"};
	size_t i;

	for (i = 1; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(name, names[i]) == 0)
			return (rco__do)i;
	return RCO__DO_NOTHING;
}

static const char *name_of(member m)
{
	size_t i = 0;

	while (members[i].member != m)
		i++;
	return members[i].name;
}

/* Digits; whatever else a number can be is as good as 0. */
static uint32_t milliseconds(const rco__text *value)
{
	uint64_t ms = 0;
	size_t i;

	for (i = 0; i < value->size; i++) {
		if (value->bytes[i] < '0' || value->bytes[i] > '9')
			return 0;
		if (ms < UINT32_MAX)
			ms = ms * 10 + (uint64_t)(value->bytes[i] - '0');
	}
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static char *taken(rco__text *value)
{
	char *bytes = value->bytes != NULL ? value->bytes : strdup("");

	*value = (rco__text){0};
	return bytes;
}

/* Only the call's id is needed for an objection: what else is no text is left out. */
static void text_done(rco__reader *r, member m)
{
	const int nul = r->value.size > 0 && memchr(r->value.bytes, '\0', r->value.size) != NULL;

	if (nul || (r->walk.odd & RCO__ODD_HALF)) {
		if (m != (member)RCO__M_CALL_ID) {
			r->request->ignored = r->request->ignored != NULL ? r->request->ignored : name_of(m);
		} else if (r->request->code == RCO_OK) {
			r->request->code = RCO_E_CALL_ID;
			r->request->detail =
				nul ? "a call id holds no NUL" : "a call id holds no half of a character";
		}
		return;
	}
	r->request->text[m] = taken(&r->value);
	r->failed |= r->request->text[m] == NULL;
}

/* May it stand in an answer? As it came, so its escapes have to be some; which characters they mean is nothing to
 * us. */
static int is_good_id(const rco__text *raw)
{
	size_t i, k;

	if (raw->size == 0 || raw->size > RCO__ID_MAX || !rco__utf8_printable(raw->bytes, raw->size))
		return 0;
	for (i = 0; i < raw->size; i++) {
		if (raw->bytes[i] != '\\')
			continue;
		i++;
		if (raw->bytes[i] == '\0' || strchr("\"\\/bfnrtu", raw->bytes[i]) == NULL)
			return 0;
		for (k = 0; raw->bytes[i] == 'u' && k < 4; k++)
			if (!isxdigit((unsigned char)raw->bytes[i + 1 + k]))
				return 0;
	}
	return 1;
}

/* The value of `member` is there, of a simple type. */
static void value_done(rco__reader *r, const rco__json_event *e)
{
	const member m = r->member;
	const int string = e->type == RCO__JSON_STRING, number = e->type == RCO__JSON_NUMBER;

	if (m == M_DO && string && r->value.bytes != NULL)
		r->request->what = what_is(r->value.bytes);
	else if (m == M_ID && (number || (string && is_good_id(&r->value))) && r->value.size <= RCO__ID_MAX)
		r->request->id = taken(&r->value);
	else if (m == M_ID)
		bad_id(r);
	else if (m == M_TIMEOUT_MS && number)
		r->request->timeout_ms = milliseconds(&r->value);
	else if (m == M_WAIT_MS && number)
		r->request->wait_ms = milliseconds(&r->value);
	else if (m == M_STRICT && r->value.bytes != NULL)
		r->request->strict = e->type == RCO__JSON_WORD && strcmp(r->value.bytes, "true") == 0;
	else if (m < M_NONE && string)
		text_done(r, m);
	if (m == M_ID && string && r->request->id != NULL)
		r->walk.odd = r->odd; /* surrogates without their other half are none of our business */
	r->in_id = 0;
	r->failed |= r->value.failed;
	r->value.size = 0;
}

static void simple(rco__reader *r, const rco__json_event *e)
{
	if (e->first)
		r->value.size = 0;
	if (r->member == M_ID) /* as it came; more than what tells that it is too long is of no use */
		rco__text_raw(&r->value, e->raw, r->value.size > RCO__ID_MAX ? 0 : e->raw_size);
	else
		rco__text_raw(&r->value, e->text, e->size);
	if (e->last)
		value_done(r, e);
}

/* ---- the message ---- */

static int message(rco__reader *r, const rco__json_event *e)
{
	const int opens = e->type == RCO__JSON_OBJECT || e->type == RCO__JSON_ARRAY;

	if (e->type == RCO__JSON_STRING)
		r->failed |= !rco__call_message_feed(r->request, e->text, e->size);
	else
		r->failed |= !rco__call_message_feed(r->request, e->raw, e->raw_size);
	r->size -= e->raw_size < r->size ? e->raw_size : r->size;
	if (e->last && !opens) {
		r->in_message = 0;
		r->walk.odd = r->odd; /* that was said by somebody else */
	}
	return opens ? RCO__JSON_SKIP : RCO__JSON_GO;
}

/* ---- what the walk tells ---- */

static member member_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof members / sizeof members[0]; i++)
		if (strcmp(name, members[i].name) == 0)
			return members[i].member;
	return M_NONE;
}

static int key(rco__reader *r, const rco__json_event *e)
{
	if (e->first)
		r->name_size = 0;
	if (r->name_size + e->size < NAME_ROOM && memchr(e->text, '\0', e->size) == NULL) {
		memcpy(r->name + r->name_size, e->text, e->size);
		r->name_size += e->size;
	} else {
		r->name_size = NAME_ROOM; /* no name of ours is so long, or has a NUL */
	}
	if (!e->last)
		return RCO__JSON_GO;
	r->name[r->name_size < NAME_ROOM ? r->name_size : 0] = '\0';
	r->member = member_of(r->name);
	if (r->member == M_NONE)
		return RCO__JSON_SKIP;
	if ((r->seen >> r->member & 1) !=
	    0) { /* which of them is meant? Of what an opt-out does not need, the first */
		r->twice |= r->member == M_DO || r->member == M_MESSAGE || r->member == (member)RCO__M_CALL_ID;
		r->member = M_NONE;
		return RCO__JSON_SKIP;
	}
	r->seen |= 1u << r->member;
	r->in_message = r->member == M_MESSAGE;
	r->in_id = r->member == M_ID;
	r->walk.odd &= RCO__ODD; /* halves are looked for in the value */
	r->odd = r->walk.odd;
	return RCO__JSON_GO;
}

static int on_event(void *user, const rco__json_event *e)
{
	rco__reader *r = user;

	if (e->depth == 0) {
		r->member = M_NONE; /* of the object before, if another value follows it */
		r->not_object |= e->type != RCO__JSON_OBJECT && e->type != RCO__JSON_OBJECT_END;
		return RCO__JSON_GO;
	}
	if (e->type == RCO__JSON_KEY)
		return key(r, e);
	if (e->type == RCO__JSON_GARBAGE || r->member == M_NONE)
		return RCO__JSON_GO;
	if (r->in_message)
		return message(r, e);
	if (e->type == RCO__JSON_OBJECT || e->type == RCO__JSON_ARRAY) {
		if (r->member == M_ID)
			bad_id(r);
		r->in_id = 0;
		r->member = M_NONE;
		return RCO__JSON_SKIP;
	}
	simple(r, e);
	return RCO__JSON_GO;
}

/* ---- lines ---- */

/* Some put a byte order mark in front of everything. */
static size_t skip_bom(rco__reader *r, const char *data, size_t size)
{
	static const char bom[3] = "\xef\xbb\xbf";
	size_t n = 0;

	while (n < size && r->bom < sizeof bom && r->size == r->bom && data[n] == bom[r->bom]) {
		r->bom++;
		r->size++;
		n++;
	}
	return n;
}

static int has_some(const char *data, size_t size)
{
	size_t i = 0;

	while (i < size && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r'))
		i++;
	return i < size;
}

static rco__read line_ends(rco__reader *r)
{
	/* Cut off: the message's reader knows what to do. Behind it there is nothing that an opt-out needs. */
	const int told = r->in_message || r->request->message != NULL;
	const rco__json_ending ending = rco__json_end(&r->walk);

	if (r->failed)
		return RCO__READ_NO_MEMORY;
	if (told && ending == RCO__JSON_CUT && !r->odd && !r->twice &&
	    (r->in_message || !(r->walk.odd & RCO__ODD)))
		return RCO__READ_WHOLE;
	if (ending != RCO__JSON_WHOLE || r->walk.values != 1 || (r->walk.odd & RCO__ODD) || r->not_object ||
	    r->twice)
		return RCO__READ_NOT_JSON;
	return RCO__READ_WHOLE;
}

rco__read rco__reader_feed(rco__reader *r, const char *data, size_t size, size_t *used)
{
	const char *end = memchr(data, '\n', size);
	size_t n = end != NULL ? (size_t)(end - data) : size, from;

	if (r->size == 0)
		rco__json_begin(&r->walk, on_event, r);
	*used = end != NULL ? n + 1 : n;
	from = skip_bom(r, data, n);
	r->size += n - from;
	r->some = r->some || has_some(data + from, n - from);
	rco__json_feed(&r->walk, data + from, n - from);
	if (r->size >= RCO_CONTROL_LINE_MAX)
		return RCO__READ_TOO_LONG;
	if (end != NULL)
		return line_ends(r);
	if (r->failed)
		return RCO__READ_NO_MEMORY;
	return (r->walk.odd & RCO__ODD) && !r->in_message && !r->in_id ? RCO__READ_NOT_JSON : RCO__READ_MORE;
}
