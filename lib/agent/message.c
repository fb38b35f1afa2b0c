/* SPDX-License-Identifier: MIT */
/*
 * Reading what a platform sent. A language model may have written any of it: nothing in here decides which call is
 * meant, only whether our tool was called, and what the answers are to be addressed to.
 *
 * A message is followed through the tree of places as it comes. A place's calls count when its conditions hold,
 * some of which are known only at the end of the message. What is cut off counts if it could have gone on so that
 * they hold; what is no JSON, or none any more, if it is a call (plain.h). In an event stream the data of each
 * event is a message.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define SPOKEN (RCO__ROLE_BIT(RCO__ROLE_SPOKEN) | RCO__ROLE_BIT(RCO__ROLE_WRITTEN))

/* ---- as it comes ---- */

static void keep_text(rco__message *m, const rco__json_event *e)
{
	size_t n = sizeof m->text - 1 - m->text_size;

	if (e->first) {
		m->text_size = 0;
		m->text_long = 0;
		n = sizeof m->text - 1;
	}
	if (e->size < n)
		n = e->size;
	if (e->size > 0)
		m->text_last = e->text[e->size - 1];
	m->text_long |= n < e->size;
	memcpy(m->text + m->text_size, e->text, n);
	m->text_size += n;
}

/* Behind a message, or before one: of a text. */
static void hear_word(rco__message *m, const rco__json_event *e)
{
	if (!m->is_json)
		return;
	if (e->first)
		rco__plain_feed(&m->plain, " ", 1);
	rco__plain_feed(&m->plain, e->raw, e->raw_size);
}

/* Around the call that it could not read, a platform writes what it likes; or it is what the model wrote. */
static void begin_spoken(rco__message *m, uint32_t roles)
{
	rco__plain_begin(&m->spoken);
	m->spoken.loose = (roles & RCO__ROLE_BIT(RCO__ROLE_SPOKEN)) != 0;
}

static int hear_value(rco__message *m, const rco__json_event *e)
{
	const int16_t node = m->node[e->depth];
	uint32_t roles;

	if (!m->in_message || e->depth == m->base) { /* a value instead of a message */
		if (e->type == RCO__JSON_WORD && e->depth == 0)
			hear_word(m, e);
		return RCO__JSON_GO;
	}
	roles = rco__rows_node(m, node)->roles;
	if (e->first) {
		m->id_begin = m->id_text_size;
		if ((roles & SPOKEN) != 0)
			begin_spoken(m, roles);
	}
	m->in_value = !e->last;
	m->depth = e->depth;
	keep_text(m, e);
	if ((roles & RCO__ROLE_BIT(RCO__ROLE_ID)) != 0)
		rco__rows_keep_id(m, e->raw, e->raw_size);
	if ((roles & SPOKEN) != 0)
		rco__plain_feed(&m->spoken, e->text, e->size);
	if (!e->last)
		return RCO__JSON_GO;
	if ((roles & SPOKEN) != 0)
		rco__plain_end(&m->spoken);
	rco__rows_scalar(m, node, e->type);
	return RCO__JSON_GO;
}

static int hear_key(rco__message *m, const rco__json_event *e)
{
	int16_t child;

	keep_text(m, e);
	m->behind_key = e->last;
	if (!e->last)
		return RCO__JSON_GO;
	child = m->text_long ? -1 : rco__places_child(m->places, m->node[e->depth - 1], m->text, m->text_size);
	m->node[e->depth] = child;
	if (child < 0)
		return RCO__JSON_SKIP;
	rco__rows_named(m, child);
	return RCO__JSON_GO;
}

/* Where only a list may be, an object is its one element: so some servers write their one call. */
static int16_t instead_of_list(const rco__message *m, int16_t node)
{
	const int16_t child = rco__rows_node(m, node)->child;
	const rco__node *only = rco__rows_node(m, child);

	return only->sibling < 0 && only->key_size == 2 && memcmp(only->key, "[]", 2) == 0 ? child : node;
}

static int hear_object(rco__message *m, const rco__json_event *e)
{
	int16_t node = m->node[e->depth];

	if (e->depth == m->base) {
		m->node[e->depth] = 0;
		rco__rows_begin(m);
		return RCO__JSON_GO;
	}
	rco__rows_present(m, node);
	if (rco__rows_node(m, node)->child < 0)
		return RCO__JSON_SKIP;
	node = m->node[e->depth] = instead_of_list(m, node);
	rco__rows_enter(m, node, e->depth);
	return RCO__JSON_GO;
}

static void hear_object_end(rco__message *m, const rco__json_event *e)
{
	rco__rows_leave(m, m->node[e->depth], e->depth);
	if (e->depth > m->base)
		return;
	rco__rows_end(m);
}

static int hear_array(rco__message *m, const rco__json_event *e)
{
	int16_t element;

	if (e->depth == 0) {
		m->base = 1;
		m->was_list = 1;
		m->elements = m->messages > 0 ? 2 : 0; /* with what came before it, it is no message alone */
		m->list = 1;
		return RCO__JSON_GO;
	}
	if (e->depth == m->base)
		return RCO__JSON_SKIP;
	rco__rows_present(m, m->node[e->depth]);
	element = rco__places_child(m->places, m->node[e->depth], "[]", 2);
	m->node[e->depth + 1] = element;
	return element < 0 ? RCO__JSON_SKIP : RCO__JSON_GO;
}

/* From here on it is read as a text, in the brackets that are open, and as the value of the key before it. */
static void hear_garbage(rco__message *m, const rco__json_event *e)
{
	if (!m->is_json)
		return;
	if (e->first && m->walk.depth > 0) {
		rco__plain_begin_in(&m->plain, m->walk.depth, m->walk.is_object);
		if (m->behind_key) {
			rco__plain_feed(&m->plain, "\"", 1);
			rco__plain_feed(&m->plain, m->text, m->text_size);
			rco__plain_feed(&m->plain, "\":", 2);
		}
	}
	rco__plain_feed(&m->plain, e->raw, e->raw_size);
}

static int hear(void *user, const rco__json_event *e)
{
	rco__message *m = user;

	if (e->type == RCO__JSON_KEY)
		return hear_key(m, e);
	if (e->type == RCO__JSON_GARBAGE)
		hear_garbage(m, e);
	m->behind_key = 0;
	switch (e->type) {
	case RCO__JSON_OBJECT:
		return hear_object(m, e);
	case RCO__JSON_OBJECT_END:
		hear_object_end(m, e);
		break;
	case RCO__JSON_ARRAY:
		return hear_array(m, e);
	case RCO__JSON_ARRAY_END:
		if (e->depth == 0)
			m->base = 0;
		break;
	case RCO__JSON_STRING:
	case RCO__JSON_NUMBER:
	case RCO__JSON_WORD:
		return hear_value(m, e);
	default:
		break;
	}
	return RCO__JSON_GO;
}
/* ---- what came of it ---- */

static int is_dialect(const rco__message *m, size_t row, uint32_t dialect)
{
	return dialect == RCO_DIALECT_AUTO || m->places->row[row].dialect == dialect ||
	       (rco__is_mcp(dialect) && rco__is_mcp(m->places->row[row].dialect));
}

/* The row that says which dialect it is: one that found calls of ours, better in the dialect that was named. */
static int find_row(const rco__message *m, int ours, uint32_t dialect, size_t *found)
{
	size_t row;

	for (row = 0; row < m->places->rows; row++)
		if ((ours ? m->state[row].all_calls : m->state[row].all_others) > 0 &&
		    is_dialect(m, row, dialect)) {
			*found = row;
			return 1;
		}
	return 0;
}

static void take_row(rco__message *m, size_t of)
{
	const uint32_t dialect = m->places->row[of].dialect;
	const uint32_t flags = m->places->row[of].flags;
	uint32_t again = 0;
	size_t row, from, to;

	m->dialect = dialect;
	for (row = 0; row < m->places->rows; row++) {
		const rco__row_state *s = &m->state[row];

		if (m->places->row[row].dialect != dialect)
			continue;
		m->calls += s->all_calls;
		if ((m->places->row[row].flags & RCO__PLACE_AGAIN) == 0 && m->framing != RCO__FRAMING_EVENTS)
			m->others += s->all_others;
		else if (s->all_others > again)
			again = s->all_others;
	}
	m->others += again;
	for (from = to = 0; from < m->n_ids; from++)
		if (m->places->row[m->ids[from].row].dialect == dialect) {
			m->list |= m->places->in_list[m->ids[from].row];
			m->ids[to++] = m->ids[from];
		}
	m->n_ids = to;
	m->enveloped = rco__is_mcp(dialect) && (flags & RCO__PLACE_NAMED) == 0;
	m->old = (flags & RCO__PLACE_OLD) != 0;
	m->event = (flags & RCO__PLACE_EVENT) != 0;
	m->has_envelope = (flags & RCO__PLACE_ENVELOPE) != 0;
}

/* It was not said where, but it was said. */
static void take_bare_call(rco__message *m)
{
	m->n_ids = 0;
	m->first_id = 0;
	m->list = 0;
	rco__rows_add_call(m, 0, (rco__id){0});
	m->calls = 1;
	m->others = 0;
}

static void conclude(rco__message *m)
{
	size_t row;

	if (m->kind_of == RCO_DIALECT_VAPI && m->has_kind)
		m->kind_of = RCO_DIALECT_AUTO; /* Vapi says what it is in the message alone */
	m->dialect = m->wanted != RCO_DIALECT_AUTO ? m->wanted : m->kind_of;
	if (m->history && (m->was_list || rco__rows_several(m)) && m->framing != RCO__FRAMING_EVENTS)
		m->n_ids = 0;
	else if (find_row(m, 1, m->wanted, &row) || find_row(m, 1, RCO_DIALECT_AUTO, &row))
		take_row(m, row);
	else if (m->mentioned)
		take_bare_call(m);
	else if (find_row(m, 0, m->wanted, &row) || find_row(m, 0, RCO_DIALECT_AUTO, &row))
		take_row(m, row);
	else if (rco__is_of_one_tool(m->wanted) && !m->elsewhere)
		take_bare_call(m);
	/* These are one platform's, whose answers are told apart by who asks. */
	if ((m->dialect == RCO_DIALECT_OPENAI_REALTIME && m->wanted == RCO_DIALECT_OPENAI_RESPONSES) ||
	    (m->dialect == RCO_DIALECT_OPENAI_RESPONSES && m->wanted == RCO_DIALECT_OPENAI_REALTIME) ||
	    (m->dialect == RCO_DIALECT_MCP && m->wanted == RCO_DIALECT_MCP_2026))
		m->dialect = m->wanted;
	m->event |= m->dialect == RCO_DIALECT_OPENAI_REALTIME;
	m->silent &= !rco__is_of_one_tool(m->dialect); /* there the model may have written it */
	if (m->call_id_of != m->dialect || !m->has_envelope)
		m->call_id[0] = '\0';
}

/* ---- the text, or the data of one event ---- */

static void begin_part(rco__message *m)
{
	rco__json_begin(&m->walk, hear, m);
	rco__plain_begin(&m->plain);
	m->is_json = -1;
	m->object_begun = m->called_before = 0;
	m->head_size = 0;
	m->base = 0;
	m->in_message = m->in_value = m->behind_key = m->something_else = m->may_be_call = 0;
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\xef' || c == '\xbb' || c == '\xbf' ||
	       c == '\0';
}

static size_t blanks(const char *at, size_t size)
{
	size_t n = 0;

	while (n < size && is_blank(at[n]))
		n++;
	return n;
}

/* An object, or a list that begins with one: broken it may be, but not a text. */
static int begins_as_json(const char *head, size_t size)
{
	size_t at = 0;

	while (at < size && (head[at] == '[' || is_blank(head[at])))
		at++;
	if (at == size)
		return 1;
	if (head[at] != '{')
		return 0;
	at++;
	at += blanks(head + at, size - at);
	return at == size || head[at] == '"' || head[at] == '}';
}

static void begin_object(rco__message *m, const char *before, size_t size)
{
	rco__plain until;

	rco__plain_feed(&m->plain, before, size);
	until = m->plain;
	rco__plain_end(&until);
	m->called_before = until.found;
	m->object_begun = 1;
}

/* In a text a message may stand behind something else: the time of a log, a comment. */
static void read_text(rco__message *m, const char *bytes, size_t size)
{
	const char *object = m->object_begun ? bytes : memchr(bytes, '{', size);

	if (m->framing == RCO__FRAMING_EVENTS || object == NULL) {
		rco__plain_feed(&m->plain, bytes, size);
		return;
	}
	if (!m->object_begun)
		begin_object(m, bytes, (size_t)(object - bytes));
	size -= (size_t)(object - bytes);
	rco__plain_feed(&m->plain, object, size);
	rco__json_feed(&m->walk, object, size);
}

static void read_part(rco__message *m, const char *bytes, size_t size)
{
	if (m->is_json)
		rco__json_feed(&m->walk, bytes, size);
	else
		read_text(m, bytes, size);
}

static void part_head_done(rco__message *m)
{
	m->is_json = begins_as_json(m->head, m->head_size);
	m->elsewhere |= m->head_size > 0 && m->head[0] == '<'; /* a page of HTML */
	read_part(m, m->head, m->head_size);
}

static void feed_part(rco__message *m, const char *bytes, size_t size)
{
	size_t n;

	if (m->is_json < 0 && m->head_size == 0) {
		n = blanks(bytes, size);
		rco__json_feed(&m->walk, bytes, n);
		bytes += n;
		size -= n;
	}
	for (; m->is_json < 0 && size > 0; size--) {
		m->head[m->head_size++] = *bytes++;
		if (m->head_size == sizeof m->head)
			part_head_done(m);
	}
	if (size > 0)
		read_part(m, bytes, size);
}

/*
 * What a text says around a message decides whether its calls count: it may be a user who says it, or a tool. A
 * message that is whole decides itself where its calls are, as without the text; only of a bare call no row may
 * know.
 */
static void end_text(rco__message *m, int whole)
{
	size_t row;

	if (!m->plain.named && m->framing != RCO__FRAMING_EVENTS) {
		for (row = 0; row < m->places->rows; row++)
			m->state[row].all_calls = 0;
		m->n_ids = 0;
	}
	if (whole && m->walk.values == 1 && !m->called_before && m->plain.found_depth > 1)
		return;
	m->mentioned |= m->plain.found && !m->something_else;
}

static void end_part(rco__message *m)
{
	rco__json_ending ending;

	if (m->is_json < 0)
		part_head_done(m);
	ending = rco__json_end(&m->walk);
	rco__plain_end(&m->plain);
	m->list |= m->walk.values > 1;
	m->elsewhere |= !m->is_json && m->plain.of_telephony;
	m->something_else &= m->in_message;
	if (ending == RCO__JSON_CUT || ending == RCO__JSON_BROKEN)
		rco__rows_cut(m);
	if (m->is_json)
		m->mentioned |= (m->may_be_call || m->plain.found) && !m->something_else;
	else
		end_text(m, ending == RCO__JSON_WHOLE);
}

/* ---- event streams ---- */

static void hear_data(void *user, const char *bytes, size_t size)
{
	feed_part(user, bytes, size);
}

static void hear_stray(void *user, const char *bytes, size_t size)
{
	rco__message *m = user;

	rco__plain_feed(&m->stray, bytes, size);
}

static void hear_event_end(void *user)
{
	static const char done[] = "[DONE]";
	rco__message *m = user;

	m->events++;
	if (m->is_json >= 0 || m->head_size != sizeof done - 1 || memcmp(m->head, done, sizeof done - 1) != 0) {
		m->told++;
		end_part(m);
	}
	begin_part(m);
}

static void end_stream(rco__message *m)
{
	rco__stream_end(&m->stream);
	rco__plain_end(&m->stray);
	m->mentioned |= m->stray.found;
	m->list |= m->told > 1;
}

/* ---- what several events told of one call ---- */

/* In a stream every message is an event; of lines and lists a row says so. */
static int is_of_event(const rco__message *m, const rco__id *id)
{
	return (m->places->row[id->row].flags & (RCO__PLACE_EVENT | RCO__PLACE_BEGUN)) != 0;
}

static int was_told(const rco__message *m, size_t ids, const rco__id *id)
{
	size_t i;

	for (i = 0; i < ids; i++)
		if (rco__rows_same_id(m, &m->ids[i], id) &&
		    (id->size > 0 || (m->ids[i].row == id->row && is_of_event(m, id))))
			return 1;
	return 0;
}

static int has_id(const rco__message *m)
{
	size_t i;

	for (i = 0; i < m->n_ids && !rco__has_id(m, &m->ids[i]); i++)
		;
	return i < m->n_ids;
}

static void drop_told(rco__message *m)
{
	const int one_has_id = has_id(m);
	size_t from, to;

	for (from = to = 0; from < m->n_ids; from++) {
		const rco__id *id = &m->ids[from];
		const int event = is_of_event(m, id);

		if (((event || m->framing == RCO__FRAMING_EVENTS) && was_told(m, to, id)) ||
		    (event && one_has_id && !rco__has_id(m, id)))
			m->state[id->row].all_calls -= id->times;
		else
			m->ids[to++] = *id;
	}
	m->n_ids = to;
}

/* ---- the whole ---- */

static void head_done(rco__message *m, int is_stream)
{
	static const rco__stream_handler to = {hear_data, hear_event_end, hear_stray, NULL};
	char held[sizeof m->head];
	const size_t size = m->head_size;

	memcpy(held, m->head, size);
	m->head_size = 0;
	m->framing = is_stream ? RCO__FRAMING_EVENTS : RCO__FRAMING_TEXT;
	if (!is_stream) {
		feed_part(m, held, size);
		return;
	}
	rco__stream_begin(&m->stream, &to);
	m->stream.to.user = m;
	rco__stream_feed(&m->stream, held, size);
}

void rco__message_begin(rco__message *m, uint32_t dialect)
{
	memset(m, 0, sizeof *m);
	m->wanted = dialect;
	m->places = rco__places_get();
	rco__plain_begin(&m->stray);
	begin_part(m);
}

void rco__message_feed(rco__message *m, const void *bytes, size_t size)
{
	const char *at = bytes;
	size_t n;
	int is_stream;

	if (m->framing == RCO__FRAMING_NOT_KNOWN && m->head_size == 0) {
		n = blanks(at, size);
		feed_part(m, at, n);
		at += n;
		size -= n;
	}
	for (; m->framing == RCO__FRAMING_NOT_KNOWN && size > 0; size--) {
		m->head[m->head_size++] = *at++;
		is_stream = rco__stream_is_one(m->head, m->head_size);
		if (is_stream >= 0)
			head_done(m, is_stream);
	}
	if (size > 0 && m->framing == RCO__FRAMING_EVENTS)
		rco__stream_feed(&m->stream, at, size);
	else if (size > 0)
		feed_part(m, at, size);
}

void rco__message_end(rco__message *m)
{
	if (m->framing == RCO__FRAMING_NOT_KNOWN)
		head_done(m, 0);
	if (m->framing == RCO__FRAMING_EVENTS)
		end_stream(m);
	else
		end_part(m);
	if (rco__rows_several(m))
		drop_told(m);
	else /* the beginning of a call, and nothing behind it yet */
		rco__rows_forget(m, RCO__PLACE_BEGUN);
	conclude(m);
}

void rco__message_free(rco__message *m)
{
	free(m->ids);
	free(m->id_text);
}
