/* SPDX-License-Identifier: MIT */
#include "json_leaves.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 18, OTHER = 1 }; /* what stands for a character that a path has no room for */

typedef struct leaves {
	rco__json_leaf_fn fn;
	void *user;
	char path[RCO__LEAF_PATH], text[RCO__LEAF_TEXT];
	size_t path_size, size;
	size_t base[RCO__JSON_LEVELS + 2];     /* by depth: the path's size without what is at that depth */
	uint8_t in_list[RCO__JSON_LEVELS + 2]; /* by depth */
	int bad;
} leaves;

static void path_put(leaves *l, const char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size && l->path_size + 1 < sizeof l->path; i++)
		l->path[l->path_size++] = bytes[i];
	l->path[l->path_size] = '\0';
}

static void name(leaves *l, const rco__json_event *e)
{
	size_t i;

	if (e->first) {
		l->path_size = l->base[e->depth];
		path_put(l, "/", 1);
	}
	for (i = 0; i < e->size; i++)
		path_put(l, e->text[i] == '/' || e->text[i] == '\0' ? (const char[]){OTHER} : &e->text[i], 1);
}

static void tell(leaves *l, rco__json_type type)
{
	l->fn(l->user, &(rco__json_leaf){.path = l->path, .type = type, .text = l->text, .size = l->size});
}

static void value(leaves *l, const rco__json_event *e)
{
	size_t room = sizeof l->text - 1;

	if (e->first) {
		l->size = 0;
		l->text[0] = '\0';
	}
	if (l->size < room && e->size > 0) {
		const size_t n = e->size < room - l->size ? e->size : room - l->size;

		memcpy(l->text + l->size, e->text, n);
		l->text[l->size + n] = '\0';
	}
	l->size += e->size;
	l->bad |= e->size > 0 && memchr(e->text, '\0', e->size) != NULL;
	if (!e->last)
		return;
	l->bad |= e->type == RCO__JSON_NUMBER && (l->size > NUMBER_MAX || strpbrk(l->text, "eE") != NULL);
	tell(l, e->type);
}

static void container(leaves *l, const rco__json_event *e)
{
	l->size = 0;
	l->text[0] = '\0';
	tell(l, e->type);
	l->in_list[e->depth + 1] = e->type == RCO__JSON_ARRAY;
	if (e->type == RCO__JSON_ARRAY)
		path_put(l, "/#", 2);
	l->base[e->depth + 1] = l->path_size;
}

static int on_event(void *user, const rco__json_event *e)
{
	leaves *l = user;

	if (e->type == RCO__JSON_RAW || e->type == RCO__JSON_GARBAGE || e->depth > RCO__JSON_LEVELS) {
		l->bad = 1;
		return RCO__JSON_GO;
	}
	if (e->type == RCO__JSON_KEY) {
		name(l, e);
		return RCO__JSON_GO;
	}
	if (e->type == RCO__JSON_OBJECT_END || e->type == RCO__JSON_ARRAY_END)
		return RCO__JSON_GO;
	l->bad |= e->depth == 0 && e->type != RCO__JSON_OBJECT;
	if (l->in_list[e->depth]) {
		l->path_size = l->base[e->depth];
		l->path[l->path_size] = '\0';
	}
	if (e->type == RCO__JSON_OBJECT || e->type == RCO__JSON_ARRAY)
		container(l, e);
	else
		value(l, e);
	return RCO__JSON_GO;
}

int rco__json_leaves(const char *text, size_t size, rco__json_leaf_fn fn, void *user)
{
	leaves l = {.fn = fn, .user = user};
	rco__json_walk walk;

	rco__json_begin(&walk, on_event, &l);
	rco__json_feed(&walk, text, size);
	return rco__json_end(&walk) == RCO__JSON_WHOLE && walk.values == 1 && walk.odd == 0 && !l.bad;
}

uint64_t rco__json_leaf_count(const rco__json_leaf *leaf)
{
	if (leaf->type != RCO__JSON_NUMBER || leaf->size > NUMBER_MAX ||
	    strspn(leaf->text, "0123456789") != leaf->size)
		return 0;
	return strtoull(leaf->text, NULL, 10);
}

int rco__json_leaf_is(const rco__json_leaf *leaf, rco__json_type type, const char *text)
{
	return leaf->type == type && leaf->size == strlen(text) && strcmp(leaf->text, text) == 0;
}
