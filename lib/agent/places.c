/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <pthread.h>
#include <string.h>

enum { KEY_ROOM = 64 /* of a member's name, and one byte more */ };

static rco__places places;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* "toolCallId", "toolCallID": as "tool_call_id". A name that begins with a capital stays. Returns its size; 0 if
 * it is longer than any in the table. */
static size_t spell(const char *key, size_t size, char out[KEY_ROOM])
{
	const int camel = size > 0 && !is_upper(key[0]);
	size_t i, n = 0;

	for (i = 0; i < size && n + 2 <= KEY_ROOM; i++) {
		if (!camel || !is_upper(key[i])) {
			out[n++] = key[i];
			continue;
		}
		if (!is_upper(key[i - 1]) && key[i - 1] != '_')
			out[n++] = '_';
		out[n++] = (char)(key[i] - 'A' + 'a');
	}
	return i == size ? n : 0;
}

int16_t rco__places_child(const rco__places *p, int16_t node, const char *key, size_t size)
{
	char name[KEY_ROOM];
	int16_t i;

	size = spell(key, size, name);
	for (i = p->node[node].child; i >= 0; i = p->node[i].sibling)
		if (p->node[i].key_size == size && memcmp(p->node[i].key, name, size) == 0)
			break;
	return i;
}

int rco__places_value_is(const rco__use *use, const char *text, size_t size)
{
	const char *value = use->values;
	size_t n;

	for (;;) {
		n = strcspn(value, "|;,");
		if (n == size && memcmp(value, text, size) == 0)
			return 1;
		if (value[n] != '|')
			return 0;
		value += n + 1;
	}
}

/* ---- making the tree; the table is ours, and has room: test_places sees to that ---- */

static int16_t child_of(int16_t node, const char *key, size_t size)
{
	int16_t found = rco__places_child(&places, node, key, size);
	rco__node *n;

	if (found >= 0)
		return found;
	n = &places.node[places.n_nodes];
	*n = (rco__node){key, size, -1, places.node[node].child, -1, 0};
	places.node[node].child = (int16_t)places.n_nodes;
	return (int16_t)places.n_nodes++;
}

typedef struct nodes {
	size_t count;
	int16_t node[16];
} nodes;

/* The nodes that a path leads to. It ends before one of `,;=` or at the end; returns what is there. */
static const char *follow(nodes *at, const char *path)
{
	while (*path != '\0' && strchr(",;=", *path) == NULL) {
		const size_t size = strcspn(path, " ,;=");
		nodes next = {0};
		size_t i, done, n;

		for (i = 0; i < at->count; i++)
			for (done = 0; done < size; done += n + 1) {
				n = strcspn(path + done, "| ,;=");
				next.node[next.count++] = child_of(at->node[i], path + done, n);
			}
		*at = next;
		path += size;
		path += *path == ' ';
	}
	return path;
}

static void add_use(const nodes *at, rco__role role, size_t row, size_t index, const char *values)
{
	size_t i;

	for (i = 0; i < at->count; i++) {
		rco__node *n = &places.node[at->node[i]];

		places.use[places.n_uses] =
			(rco__use){(uint16_t)row, (uint8_t)role, (uint8_t)index, n->uses, values};
		n->uses = (int16_t)places.n_uses++;
		n->roles |= 1u << role;
	}
}

static const nodes whole = {1, {0}};

/* Paths with ';' between, which begin at the place or at the whole message. Returns what is behind them. */
static const char *add_paths(const nodes *place, const char *paths, rco__role role, size_t row, size_t index,
                             int *inner)
{
	nodes at;

	for (;; paths++) {
		const int outer = *paths == '/';

		*inner &= !outer;
		at = outer ? whole : *place;
		paths = follow(&at, paths + outer);
		/* In what order does not matter, but the index of an id says how good it is. */
		add_use(&at, role, row, role == RCO__ROLE_ID ? index++ : index, *paths == '=' ? paths + 1 : NULL);
		if (*paths == '=')
			paths += strcspn(paths, ";,");
		if (*paths != ';')
			return paths;
	}
}

static void add_conditions(const nodes *place, const char *when, size_t row)
{
	size_t index;

	for (index = 0; *when != '\0'; index++) {
		const char sign = *when, *end = when + strcspn(when, ",");
		const int valued = memchr(when, '=', (size_t)(end - when)) != NULL;
		rco__role role = RCO__ROLE_EQUAL;
		int inner = 1;

		if (sign == '+')
			role = RCO__ROLE_PRESENT;
		else if (sign == '~')
			role = RCO__ROLE_NAMED;
		else if (sign == '!')
			role = valued ? RCO__ROLE_NOT : RCO__ROLE_ABSENT;
		else if (sign == '?')
			role = RCO__ROLE_MAYBE;
		(void)add_paths(place, when + (role != RCO__ROLE_EQUAL), role, row, index, &inner);
		if (role == RCO__ROLE_EQUAL || role == RCO__ROLE_PRESENT || role == RCO__ROLE_NAMED)
			places.required[row] |= 1u << index;
		if (inner)
			places.inner[row] |= 1u << index;
		when = end + (*end == ',');
	}
}

static void add_row(size_t row)
{
	const rco__place *r = &rco__platforms[row];
	nodes place = whole;
	int ignored;

	(void)follow(&place, r->where);
	places.in_list[row] = strstr(r->where, "[]") != NULL;
	add_use(&place, RCO__ROLE_PLACE, row, 0, NULL);
	if (r->name[0] == '@' || r->name[0] == '%')
		(void)add_paths(&place, r->name + 1, r->name[0] == '@' ? RCO__ROLE_SPOKEN : RCO__ROLE_WRITTEN, row,
		                0, &ignored);
	else if (r->name[0] != '\0')
		(void)add_paths(&place, r->name, RCO__ROLE_NAME, row, 0, &ignored);
	if (r->id[0] != '\0')
		(void)add_paths(&place, r->id, RCO__ROLE_ID, row, 0, &ignored);
	add_conditions(&place, r->when, row);
	if ((r->flags & RCO__PLACE_BEGUN) != 0 && places.in_list[row])
		(void)add_paths(&place, "index", RCO__ROLE_INDEX, row, 0, &ignored);
}

static void add_member(const rco__place_member *m)
{
	nodes at = whole;

	(void)follow(&at, m->path);
	add_use(&at, m->role, m->dialect, 0, NULL);
}

static void make(void)
{
	size_t i;

	places.node[0] = (rco__node){"", 0, -1, -1, -1, 0};
	places.n_nodes = 1;
	places.row = rco__platforms;
	places.rows = rco__platforms_rows;
	for (i = 0; i < places.rows; i++)
		add_row(i);
	for (i = 0; i < rco__platform_members_count; i++)
		add_member(&rco__platform_members[i]);
}

const rco__places *rco__places_get(void)
{
	(void)pthread_once(&once, make);
	return &places;
}
