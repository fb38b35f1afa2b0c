/* SPDX-License-Identifier: MIT */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

enum { NO_NAME, ANOTHER, OURS };

/* Rows that are looked at in this message. */
static int applies(const rco__message *m, size_t row)
{
	const rco__place *p = &m->places->row[row];

	if ((p->flags & RCO__PLACE_NAMED) != 0 && p->dialect != m->wanted)
		return 0;
	return (p->flags & RCO__PLACE_ALONE) == 0 || m->base == 0 || m->elements == 1;
}

/* ---- ids ---- */

void rco__rows_keep_id(rco__message *m, const char *raw, size_t size)
{
	size_t need = m->id_text_size + size, room;
	char *more;

	if (size == 0 || need > RCO__ID_BYTES_MAX)
		return;
	if (need > m->id_text_room) {
		for (room = m->id_text_room == 0 ? 256 : m->id_text_room; room < need; room *= 2)
			;
		more = realloc(m->id_text, room);
		if (more == NULL) {
			m->failed = 1;
			return;
		}
		m->id_text = more;
		m->id_text_room = room;
	}
	memcpy(m->id_text + m->id_text_size, raw, size);
	m->id_text_size = need;
}

int rco__rows_same_id(const rco__message *m, const rco__id *a, const rco__id *b)
{
	return a->size == b->size &&
	       (a->size == 0 || memcmp(m->id_text + a->at, m->id_text + b->at, a->size) == 0);
}

/* A call of ours, to be confirmed at the message's end. */
void rco__rows_add_call(rco__message *m, size_t row, rco__id id)
{
	rco__id *more;
	size_t i;

	id.row = (uint16_t)row;
	id.times = 1;
	for (i = m->first_id; rco__has_id(m, &id) && m->n_ids < RCO__IDS_MAX && i < m->n_ids; i++)
		if (m->ids[i].row == row && rco__rows_same_id(m, &m->ids[i], &id)) {
			m->state[row].calls++;
			m->ids[i].times++;
			return;
		}
	m->state[row].calls++;
	if (m->n_ids == RCO__IDS_MAX)
		return;
	if (m->n_ids == m->ids_room) {
		more = realloc(m->ids, (m->ids_room + 16) * 2 * sizeof *more);
		if (more == NULL) {
			m->failed = 1;
			return;
		}
		m->ids = more;
		m->ids_room = (m->ids_room + 16) * 2;
	}
	m->ids[m->n_ids++] = id;
}

/* ---- conditions ---- */

/* Those among `bits`. */
static int holds(const rco__message *m, size_t row, uint32_t bits)
{
	const rco__row_state *s = &m->state[row];
	const uint32_t required = m->places->required[row] & bits;

	return (s->met & required) == required && (s->broken & ~s->met & bits) == 0;
}

static void set_name(rco__message *m, size_t row, int name)
{
	rco__row_state *s = &m->state[row];

	if (name > s->name)
		s->name = (uint8_t)name;
}

void rco__rows_named(rco__message *m, int16_t node)
{
	int16_t i;

	if ((rco__rows_node(m, node)->roles & RCO__ROLE_BIT(RCO__ROLE_NAMED)) == 0)
		return;
	m->touched = 1;
	for (i = rco__rows_node(m, node)->uses; i >= 0; i = m->places->use[i].next)
		if (m->places->use[i].role == RCO__ROLE_NAMED)
			m->state[m->places->use[i].row].met |= 1u << m->places->use[i].index;
}

/* What is known about a member's value when it has begun: that it is there. */
void rco__rows_present(rco__message *m, int16_t node)
{
	int16_t i;

	m->reasoned |= (rco__rows_node(m, node)->roles & RCO__ROLE_BIT(RCO__ROLE_REASON)) != 0;
	if ((rco__rows_node(m, node)->roles &
	     (RCO__ROLE_BIT(RCO__ROLE_PRESENT) | RCO__ROLE_BIT(RCO__ROLE_ABSENT))) == 0)
		return;
	m->touched = 1;
	for (i = rco__rows_node(m, node)->uses; i >= 0; i = m->places->use[i].next) {
		const rco__use *u = &m->places->use[i];

		if (u->role == RCO__ROLE_PRESENT)
			m->state[u->row].met |= 1u << u->index;
		else if (u->role == RCO__ROLE_ABSENT)
			m->state[u->row].broken |= 1u << u->index;
	}
}

/* It is one of the values, or "*x": it ends in x. */
static int is_value(const rco__message *m, const rco__use *u)
{
	if (u->values == NULL || u->values[0] != '*')
		return u->values != NULL && !m->text_long && rco__places_value_is(u, m->text, m->text_size);
	return m->text_size > 0 && m->text_last == u->values[1];
}

/* Returns 1 if somebody asks for this value. */
static int note_value(rco__message *m, const rco__use *u)
{
	const int equal = is_value(m, u);
	rco__row_state *s = &m->state[u->row];

	if (u->role == RCO__ROLE_EQUAL || u->role == RCO__ROLE_MAYBE) {
		if (equal)
			s->met |= 1u << u->index;
		else if (u->role == RCO__ROLE_MAYBE)
			s->broken |= 1u << u->index;
		else
			s->missed |= 1u << u->index;
		return equal && m->places->row[u->row].dialect < RCO__PLACE_HISTORY;
	}
	if (u->role == RCO__ROLE_NOT && equal)
		s->broken |= 1u << u->index;
	return 0;
}

static void note_call_id(rco__message *m, uint32_t dialect)
{
	m->call_id_of = dialect;
	memcpy(m->call_id, m->text, m->text_size);
	m->call_id[m->text_size] = '\0';
	if (m->text_long || strlen(m->call_id) != m->text_size)
		m->call_id[0] = '\0';
}

/* "response.done", "tools/list", "llm:event": what nobody but a platform writes. */
static int is_kind_of_event(const rco__message *m)
{
	return memchr(m->text, ' ', m->text_size) == NULL &&
	       (memchr(m->text, '.', m->text_size) != NULL || memchr(m->text, '/', m->text_size) != NULL ||
	        memchr(m->text, ':', m->text_size) != NULL);
}

/* At an address of this tool alone a model's arguments may have members of any name. */
static int note_kind(rco__message *m, uint32_t dialect)
{
	if (dialect == RCO_DIALECT_AUTO)
		m->has_kind = 1;
	else
		m->kind_of = dialect;
	if (!rco__is_of_one_tool(m->wanted))
		return 1;
	m->elsewhere |= is_kind_of_event(m);
	return dialect == RCO_DIALECT_VAPI || is_kind_of_event(m);
}

static void note_id(rco__message *m, const rco__use *u)
{
	rco__row_state *s = &m->state[u->row];

	if (s->id.size > 0 && u->index > s->id_rank)
		return;
	s->id.at = m->id_begin;
	s->id.size = m->id_text_size - m->id_begin;
	s->id_rank = u->index;
}

/* ---- calls in pieces ---- */

/* Which call of a list a piece is of, its index says. */
static int is_in_pieces(const rco__message *m, size_t row)
{
	return (m->places->row[row].flags & RCO__PLACE_BEGUN) != 0 && m->places->in_list[row];
}

static void keep_piece(const rco__message *m, char *out, size_t *size, size_t room)
{
	if (m->text_long || *size + m->text_size > room)
		return;
	memcpy(out + *size, m->text, m->text_size);
	*size += m->text_size;
}

/* As it came, with its quotes. */
static void keep_piece_id(rco__message *m)
{
	const rco__id id = {.at = m->id_begin, .size = m->id_text_size - m->id_begin};

	m->piece.id_size = 0;
	if (!rco__has_id(m, &id) || id.size > sizeof m->piece.id)
		return;
	memcpy(m->piece.id, m->id_text + id.at, id.size);
	m->piece.id_size = id.size;
}

static void note_piece(rco__message *m, const rco__use *u)
{
	if (!is_in_pieces(m, u->row))
		return;
	if (u->role == RCO__ROLE_INDEX)
		keep_piece(m, m->piece.index, &m->piece.index_size, sizeof m->piece.index);
	else if (u->role == RCO__ROLE_NAME)
		keep_piece(m, m->piece.name, &m->piece.name_size, sizeof m->piece.name);
	else if (u->role == RCO__ROLE_ID)
		keep_piece_id(m);
}

static int is_other_id(const rco__pieces *all, const rco__pieces *now)
{
	return now->id_size > 0 && all->id_size > 0 &&
	       (now->id_size != all->id_size || memcmp(now->id, all->id, now->id_size) != 0);
}

/* The names together are ours. */
static int names_join(const rco__pieces *all, const rco__pieces *now)
{
	char name[sizeof all->name];

	if (all->name_size + now->name_size > sizeof name)
		return 0;
	memcpy(name, all->name, all->name_size);
	memcpy(name + all->name_size, now->name, now->name_size);
	return rco__name_is_ours(name, all->name_size + now->name_size);
}

/* "call_" and then "abc", without another name, are one id; "call_abc" and then "call_def" are two. */
static int id_goes_on(const rco__pieces *all, const rco__pieces *now)
{
	return all->id[0] == '"' && now->id[0] == '"' && all->id[1] != now->id[1] &&
	       all->id_size + now->id_size <= sizeof all->id && (now->name_size == 0 || names_join(all, now));
}

/* Some platforms number every call 0, and of several choices each begins with 0: another id is another call, and
 * so is our whole name. */
static int is_of_same_call(const rco__pieces *all, const rco__pieces *now)
{
	const int other_id = is_other_id(all, now) && !id_goes_on(all, now);

	return now->index_size > 0 && now->index_size == all->index_size &&
	       memcmp(now->index, all->index, now->index_size) == 0 && !other_id &&
	       now->name_size <= sizeof all->name - all->name_size &&
	       (all->name_size == 0 || !rco__name_is_ours(now->name, now->name_size));
}

/* A name that is told again with every piece is no longer by it. */
static void join_piece(rco__pieces *all, const rco__pieces *now)
{
	if (now->name_size != all->name_size || memcmp(now->name, all->name, now->name_size) != 0) {
		memcpy(all->name + all->name_size, now->name, now->name_size);
		all->name_size += now->name_size;
	}
	if (is_other_id(all, now)) { /* it goes on: the quotes between its pieces are none of it */
		memcpy(all->id + all->id_size - 1, now->id + 1, now->id_size - 1);
		all->id_size += now->id_size - 2;
	} else if (now->id_size > 0) {
		memcpy(all->id, now->id, now->id_size);
		all->id_size = now->id_size;
	}
}

/* The name that was told by then goes on: what it seemed to be is nothing. */
static void take_back(rco__message *m, size_t row)
{
	rco__row_state *s = &m->state[row];

	if (!rco__name_is_ours(m->pieces.name, m->pieces.name_size)) {
		s->all_others -= s->all_others > 0;
	} else if (m->n_ids > 0 && m->n_ids == m->first_id && m->ids[m->n_ids - 1].row == row) {
		s->all_calls -= m->ids[m->n_ids - 1].times;
		m->first_id = --m->n_ids;
	}
}

/* What this piece does not say of its call, the pieces before it may have said. */
static void end_piece(rco__message *m, size_t row)
{
	rco__row_state *s = &m->state[row];
	rco__pieces *all = &m->pieces;

	if (m->places->row[row].flags & RCO__PLACE_OLD) /* of the one call, which has no number */
		m->piece.index_size = 1;
	if (!is_of_same_call(all, &m->piece)) {
		*all = m->piece;
		return;
	}
	if (m->piece.name_size == 0 && m->piece.id_size == 0)
		return;
	if (all->name_size > 0)
		take_back(m, row);
	join_piece(all, &m->piece);
	s->name = rco__name_is_ours(all->name, all->name_size) ? OURS : ANOTHER;
	m->id_begin = m->id_text_size;
	rco__rows_keep_id(m, all->id, all->id_size);
	s->id = (rco__id){.at = m->id_begin, .size = m->id_text_size - m->id_begin};
}

/* A string, number or word is complete. */
void rco__rows_scalar(rco__message *m, int16_t node, rco__json_type type)
{
	const int text = type == RCO__JSON_STRING;
	int asked = 0, kind = 0;
	int16_t i;

	if (type == RCO__JSON_WORD && m->text_size == 4 && memcmp(m->text, "null", 4) == 0)
		return;
	rco__rows_present(m, node);
	for (i = rco__rows_node(m, node)->uses; i >= 0; i = m->places->use[i].next) {
		const rco__use *u = &m->places->use[i];

		m->touched = 1;
		note_piece(m, u);
		asked |= note_value(m, u);
		if (u->role == RCO__ROLE_NAME && text)
			set_name(m, u->row, rco__name_is_ours(m->text, m->text_size) ? OURS : ANOTHER);
		else if ((u->role == RCO__ROLE_SPOKEN || u->role == RCO__ROLE_WRITTEN) && m->spoken.found)
			set_name(m, u->row, OURS);
		else if (u->role == RCO__ROLE_ID &&
		         (text || (type == RCO__JSON_NUMBER && rco__json_is_number(&m->walk))))
			note_id(m, u);
		else if (u->role == RCO__ROLE_CALL_ID && text)
			note_call_id(m, u->row);
		else if (u->role == RCO__ROLE_KIND && text)
			kind |= note_kind(m, u->row);
		else if (u->role == RCO__ROLE_SILENT && type == RCO__JSON_WORD && m->text_size == 5 &&
		         memcmp(m->text, "false", 5) == 0)
			m->silent = 1;
	}
	m->something_else |= kind && !asked;
}

/* ---- places and messages ---- */

void rco__rows_enter(rco__message *m, int16_t node, unsigned depth)
{
	int16_t i;

	m->before[depth].id_text_size = m->id_text_size;
	m->before[depth].n_ids = m->n_ids;
	if ((rco__rows_node(m, node)->roles & RCO__ROLE_BIT(RCO__ROLE_PLACE)) == 0)
		return;
	for (i = rco__rows_node(m, node)->uses; i >= 0; i = m->places->use[i].next) {
		const rco__use *u = &m->places->use[i];
		rco__row_state *s = &m->state[u->row];

		if (u->role != RCO__ROLE_PLACE || !applies(m, u->row))
			continue;
		m->touched = 1;
		s->met &= ~m->places->inner[u->row];
		s->broken &= ~m->places->inner[u->row];
		s->missed &= ~m->places->inner[u->row];
		s->open = 1;
		s->name = NO_NAME;
		memset(&s->id, 0, sizeof s->id);
		if (is_in_pieces(m, u->row))
			memset(&m->piece, 0, sizeof m->piece);
	}
}

static void end_place(rco__message *m, size_t row)
{
	rco__row_state *s = &m->state[row];

	if (s->open && is_in_pieces(m, row))
		end_piece(m, row);
	if (s->open && s->name != NO_NAME && holds(m, row, m->places->inner[row])) {
		if (s->name == OURS)
			rco__rows_add_call(m, row, s->id);
		else
			s->others++;
	}
	s->open = 0;
}

void rco__rows_leave(rco__message *m, int16_t node, unsigned depth)
{
	int16_t i;

	if ((rco__rows_node(m, node)->roles & RCO__ROLE_BIT(RCO__ROLE_PLACE)) == 0)
		return;
	for (i = rco__rows_node(m, node)->uses; i >= 0; i = m->places->use[i].next)
		if (m->places->use[i].role == RCO__ROLE_PLACE)
			end_place(m, m->places->use[i].row);
	if (m->n_ids == m->before[depth].n_ids) /* ids of other tools' calls are nothing to keep */
		m->id_text_size = m->before[depth].id_text_size;
}

/* Rows with this flag found nothing. */
void rco__rows_forget(rco__message *m, uint32_t flag)
{
	size_t row, from, to;

	for (row = 0; row < m->places->rows; row++)
		if ((m->places->row[row].flags & flag) != 0)
			m->state[row].all_calls = m->state[row].all_others = 0;
	for (from = to = 0; from < m->n_ids; from++)
		if ((m->places->row[m->ids[from].row].flags & flag) == 0)
			m->ids[to++] = m->ids[from];
	m->n_ids = to;
}

void rco__rows_begin(rco__message *m)
{
	size_t row;

	m->elements += m->base;
	if (m->base > 0 &&
	    m->elements == 2) /* it was not the list's only one: what counts alone is nothing in it */
		rco__rows_forget(m, RCO__PLACE_ALONE);
	m->in_message = 1;
	m->messages++;
	m->something_else = m->reasoned = 0;
	m->before_elsewhere = m->elsewhere;
	m->first_id = m->n_ids;
	for (row = 0; m->touched && row < m->places->rows; row++) {
		const rco__row_state before = m->state[row];

		m->state[row] = (rco__row_state){.all_calls = before.all_calls, .all_others = before.all_others};
	}
	m->touched = 0;
	rco__rows_enter(m, 0, m->base);
}

/* A beginning may turn out to be nothing. */
static int begins(const rco__message *m, const rco__id *id)
{
	return (m->places->row[id->row].flags & RCO__PLACE_BEGUN) != 0;
}

static int is_known_id(const rco__message *m, size_t ids, const rco__id *id)
{
	size_t i;

	for (i = m->first_id; i < ids; i++)
		if (m->places->row[m->ids[i].row].dialect == m->places->row[id->row].dialect &&
		    rco__rows_same_id(m, &m->ids[i], id) && (rco__has_id(m, id) || m->ids[i].row != id->row) &&
		    !begins(m, &m->ids[i]))
			return 1;
	return 0;
}

static int is_old(const rco__message *m, size_t row)
{
	return (m->places->row[row].flags & RCO__PLACE_OLD) != 0;
}

/* Dialects in whose shape of now a call was found, a bit for each: what the message has in the shape that came
 * before is the same call, for who knows no other. */
static uint32_t found_now(const rco__message *m)
{
	uint32_t found = 0;
	size_t i;

	for (i = m->first_id; i < m->n_ids; i++)
		if (!is_old(m, m->ids[i].row) && holds(m, m->ids[i].row, UINT32_MAX))
			found |= 1u << m->places->row[m->ids[i].row].dialect;
	return found;
}

/* What was found counts if the row's conditions hold, and once where lists repeat each other. */
static void keep_ids(rco__message *m)
{
	const uint32_t now = found_now(m);
	size_t from, to;

	for (from = to = m->first_id; from < m->n_ids; from++) {
		rco__id *id = &m->ids[from];
		const int outdated = is_old(m, id->row) && (now & 1u << m->places->row[id->row].dialect) != 0;

		if (!holds(m, id->row, UINT32_MAX))
			continue;
		if (outdated || is_known_id(m, to, id))
			m->state[id->row].calls -= id->times;
		else
			m->ids[to++] = *id;
	}
	m->n_ids = to;
	if (m->n_ids == m->first_id)
		m->id_text_size = m->before[m->base].id_text_size;
}

/* It is something else, for who asks. */
static void note_else(rco__message *m, uint32_t flags)
{
	const int one_tool = rco__is_of_one_tool(m->wanted);

	if ((flags & (one_tool ? RCO__PLACE_WIDE : RCO__PLACE_NAMED)) != 0)
		return;
	m->elsewhere = 1;
	m->something_else = 1;
}

/* Now it is known which rows' conditions hold; what the others found is nothing. */
void rco__rows_end(rco__message *m)
{
	const int reasoned = m->reasoned && rco__is_of_one_tool(m->wanted);
	size_t row;

	m->in_message = 0;
	keep_ids(m);
	for (row = 0; m->touched && row < m->places->rows; row++) {
		rco__row_state *s = &m->state[row];

		if (!holds(m, row, UINT32_MAX))
			continue;
		s->all_calls += s->calls;
		s->all_others += reasoned ? 0 : s->others;
		m->history |= m->places->row[row].dialect == RCO__PLACE_HISTORY;
		if (m->places->row[row].dialect == RCO__PLACE_ELSE)
			note_else(m, m->places->row[row].flags);
	}
	m->elsewhere |= m->something_else;
	if (reasoned) { /* what else is in it, the model has invented */
		m->elsewhere = m->before_elsewhere;
		m->something_else = 0;
	}
}
/* ---- a message that breaks off ---- */

/* Events of a stream, lines, or elements of a list: what one begins, the others may go on with. */
int rco__rows_several(const rco__message *m)
{
	return (m->framing == RCO__FRAMING_EVENTS ? m->events : m->messages) > 1;
}

/* A call of ours was found here, or is being read, and nothing yet says that it is none. */
static int may_be_call(const rco__message *m, size_t row)
{
	const rco__row_state *s = &m->state[row];
	const uint32_t broken = (s->broken | s->missed) & ~s->met;

	if ((m->places->row[row].flags & RCO__PLACE_BEGUN) != 0 && !rco__rows_several(m))
		return 0;
	return (s->open && s->name == OURS && broken == 0) ||
	       (s->calls > 0 && (broken & ~m->places->inner[row]) == 0);
}

/* The text broke off: what is known of the message by then. A name that is ours may have lost an end.
 */
void rco__rows_cut(rco__message *m)
{
	size_t row;

	if (!m->in_message)
		return;
	if (m->in_value)
		rco__rows_present(m, m->node[m->depth]);
	if (m->in_value && (rco__rows_node(m, m->node[m->depth])->roles & RCO__ROLE_BIT(RCO__ROLE_NAME)) != 0 &&
	    rco__name_is_ours(m->text, m->text_size))
		rco__rows_scalar(m, m->node[m->depth], RCO__JSON_STRING);
	for (row = 0; row < m->places->rows; row++) {
		rco__row_state *s = &m->state[row];
		const uint32_t before = s->others;

		m->may_be_call |= m->is_json && may_be_call(m, row);
		end_place(m, row);
		if (s->others > before && !m->places->in_list[row] && holds(m, row, UINT32_MAX))
			m->something_else = 1; /* the one call of another tool */
	}
	rco__rows_end(m);
}
