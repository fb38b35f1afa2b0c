/* SPDX-License-Identifier: MIT */
/* What a client has to know of a line: requests hold messages of any size, so it is walked once, and nothing is
 * built. */
#include "client.h"

#include "../base/json_walk.h"

#include <string.h>

typedef struct looking {
	rco__peek *peek;
	char name[4], text[8]; /* of the member; of its value */
	size_t name_size, text_size;
	int is_object;
} looking;

static void add(char *to, size_t cap, size_t *size, const char *from, size_t n)
{
	if (*size < cap)
		memcpy(to + *size, from, n < cap - *size ? n : cap - *size);
	*size += n;
}

static int is(const char *bytes, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(bytes, word, size) == 0;
}

static int on_name(looking *l, const rco__json_event *e)
{
	if (e->first)
		l->name_size = 0;
	add(l->name, sizeof l->name, &l->name_size, e->text, e->size);
	if (!e->last || is(l->name, l->name_size, "id") || is(l->name, l->name_size, "do") ||
	    is(l->name, l->name_size, "ok"))
		return RCO__JSON_GO;
	return RCO__JSON_SKIP;
}

static void on_id(rco__peek *peek, const rco__json_event *e)
{
	if (e->first)
		peek->ids++;
	add(peek->id, sizeof peek->id, &peek->id_size, e->raw, e->raw_size);
}

static int on_event(void *user, const rco__json_event *e)
{
	looking *l = user;

	if (e->depth == 0 && e->type == RCO__JSON_OBJECT)
		l->is_object = 1;
	if (e->depth != 1 || e->type == RCO__JSON_RAW || e->type == RCO__JSON_GARBAGE)
		return RCO__JSON_GO;
	if (e->type == RCO__JSON_KEY)
		return on_name(l, e);
	if (is(l->name, l->name_size, "id")) {
		on_id(l->peek, e);
		return e->type == RCO__JSON_OBJECT || e->type == RCO__JSON_ARRAY ? RCO__JSON_SKIP : RCO__JSON_GO;
	}
	if (e->first)
		l->text_size = 0;
	add(l->text, sizeof l->text, &l->text_size, e->text, e->size);
	if (e->last && is(l->name, l->name_size, "do"))
		l->peek->is_events = e->type == RCO__JSON_STRING && is(l->text, l->text_size, "events");
	else if (e->last && is(l->name, l->name_size, "ok"))
		l->peek->is_ok = e->type == RCO__JSON_WORD && is(l->text, l->text_size, "true");
	return RCO__JSON_GO;
}

void rco__peek_at(const char *line, rco__peek *peek)
{
	looking l = {.peek = peek};
	rco__json_walk walk;

	memset(peek, 0, sizeof *peek);
	rco__json_begin(&walk, on_event, &l);
	rco__json_feed(&walk, line, strlen(line));
	peek->is_object = rco__json_end(&walk) == RCO__JSON_WHOLE && walk.values == 1 && l.is_object;
	if (!peek->is_object || peek->ids != 1 || peek->id_size >= sizeof peek->id ||
	    strchr("\"-0123456789", peek->id[0]) == NULL)
		peek->id_size = 0;
	peek->id[peek->id_size] = '\0';
}
