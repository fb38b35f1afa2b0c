/* SPDX-License-Identifier: MIT */
/* A call as it is written down, and read again after a restart. */
#include "calls.h"

#include <stdio.h>
#include <string.h>

static json_t *part_json(const rec_call *part)
{
	json_t *all = json_array();
	size_t i;

	for (i = 0; i < part->n; i++)
		(void)json_array_append_new(all, json_pack("[s, s]", part->given[i].key, part->given[i].value));
	return all;
}

static json_t *hex_json(const uint8_t id[16])
{
	char text[33];
	int i;

	for (i = 0; i < 16; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", id[i]);
	return json_string(text);
}

/* Lock held. */
static json_t *to_json(const entry *e)
{
	json_t *parts = json_array(), *files = json_array();
	const known_file *k;
	size_t i;

	for (i = 0; i < e->n_parts; i++)
		(void)json_array_append_new(parts, part_json(&e->parts[i]));
	for (k = e->known; k != NULL; k = k->next)
		(void)json_array_append_new(
			files, json_pack("{s:s, s:I, s:I, s:I, s:b, s:b}", "path", k->path, "dev",
		                         (json_int_t)k->id.dev, "ino", (json_int_t)k->id.ino, "born",
		                         (json_int_t)k->id.birth_ns, "gone", k->gone, "erasing", k->erasing));
	return json_pack("{s:I, s:s, s:I, s:I, s:b, s:b, s:b, s:o, s:o, s:o}", "n", e->number, "call",
	                 e->parts[0].id, "since", (json_int_t)e->since_ns, "ended", (json_int_t)e->ended_ns,
	                 "opted_out", e->opted_out, "clear", e->clear, "early", e->early, "recording",
	                 hex_json(e->recording), "parts", parts, "files", files);
}

int entry_save(entry *e)
{
	json_t *record;
	int rc;

	(void)pthread_mutex_lock(&e->g->saving);
	(void)pthread_mutex_lock(&e->g->lock);
	record = to_json(e);
	e->dirty = 0;
	(void)pthread_mutex_unlock(&e->g->lock);
	rc = journal_put(e->g->journal, record);
	(void)pthread_mutex_unlock(&e->g->saving);
	if (rc != 0)
		note(e->parts[0].id, "it cannot be written down; a restart would forget it", "");
	return rc;
}

static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text != NULL ? text : "";
}

static int load_part(entry *e, const json_t *all)
{
	rec_call *part = &e->parts[e->n_parts];
	size_t i;
	json_t *pair;

	memmove(part->id, e->parts[0].id, sizeof part->id);
	json_array_foreach(all, i, pair)
	{
		const char *key = text_of(json_array_get(pair, 0)), *value = text_of(json_array_get(pair, 1));

		if (i == VALUES_MAX || strlen(key) >= sizeof part->given[i].key || strlen(value) >= VALUE_MAX)
			return -1;
		(void)snprintf(part->given[i].key, sizeof part->given[i].key, "%s", key);
		(void)snprintf(part->given[i].value, VALUE_MAX, "%s", value);
		part->n++;
	}
	e->n_parts++;
	return e->g->o.adapter->check_call != NULL && e->g->o.adapter->check_call(&e->g->o.settings, part) != NULL
	               ? -1
	               : 0;
}

static int load_file(entry *e, const json_t *file)
{
	file_id id = {.dev = (uint64_t)json_integer_value(json_object_get(file, "dev")),
	              .ino = (uint64_t)json_integer_value(json_object_get(file, "ino")),
	              .birth_ns = json_integer_value(json_object_get(file, "born"))};
	known_file *k = known_add(e, text_of(json_object_get(file, "path")), &id);

	if (k == NULL)
		return -1;
	k->gone = json_is_true(json_object_get(file, "gone"));
	k->erasing = json_is_true(json_object_get(file, "erasing"));
	return 0;
}

static int load_id(uint8_t id[16], const char *text)
{
	int i;

	for (i = 0; i < 16 && strlen(text) == 32; i++) {
		unsigned byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return -1;
		id[i] = (uint8_t)byte;
	}
	return i == 16 ? 0 : -1;
}

entry *entry_load(gateway *g, const json_t *record)
{
	const char *call_id = text_of(json_object_get(record, "call"));
	entry *e = strlen(call_id) <= ID_MAX ? entry_new(g, call_id) : NULL;
	int rc = 0;
	size_t i;
	json_t *one;

	if (e == NULL)
		return NULL;
	e->number = json_integer_value(json_object_get(record, "n"));
	if (g->last_number < e->number)
		g->last_number = e->number;
	e->since_ns = json_integer_value(json_object_get(record, "since"));
	e->ended_ns = json_integer_value(json_object_get(record, "ended"));
	e->opted_out = json_is_true(json_object_get(record, "opted_out"));
	e->clear = json_is_true(json_object_get(record, "clear"));
	e->early = json_is_true(json_object_get(record, "early"));
	e->restored = 1;
	rc |= load_id(e->before, text_of(json_object_get(record, "recording")));
	json_array_foreach(json_object_get(record, "parts"), i, one) rc |= i < PARTS_MAX ? load_part(e, one) : -1;
	json_array_foreach(json_object_get(record, "files"), i, one) rc |= load_file(e, one);
	if (rc == 0 && e->n_parts > 0)
		return e;
	note(call_id, "what was written down of it cannot be used; say start again", "");
	entry_unref(e);
	return NULL;
}
