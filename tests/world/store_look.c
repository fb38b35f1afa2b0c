/* SPDX-License-Identifier: MIT */
/* The store at a position of the log, and looking at it. */
#include "store_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const s_state *s_state_at(const w_store *store, size_t position)
{
	size_t low = 0, high = store->n_past;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (store->past[middle].since <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return &store->past[low - 1].state;
}

size_t w_store_in_flight(const w_store *store, size_t position)
{
	const s_state *state = s_state_at(store, position);
	size_t i, n = 0;

	for (i = 0; i < state->n_requests; i++)
		n += !state->requests[i].landed;
	return n;
}

w_store *w_store_image(const w_store *from, size_t position, uint64_t late, w_disk *disk)
{
	static const w_manners good;
	w_store *store = w_store_new(disk, 0, &good);
	const s_state *state = s_state_at(from, position);
	size_t i = 0, n = 0;

	s_state_copy(&store->now, state);
	while (i < store->now.n_requests) {
		s_request *r = &store->now.requests[i];
		int comes = !r->landed && (late >> (n < 63 ? n : 63) & 1) != 0;

		n += !r->landed;
		r->op = 0;
		r->client = 0;
		r->lands = 1;
		if (comes)
			i++;
		else
			s_request_drop(&store->now, i);
	}
	s_state_free(&store->past[0].state);
	s_state_copy(&store->past[0].state, &store->now);
	return store;
}

uint64_t w_store_hash(const w_store *store)
{
	const s_state *state = &store->now;
	uint64_t hash = state->n_items;
	size_t i;

	for (i = 0; i < state->n_items; i++) {
		const s_item *item = &state->items[i];

		hash = w_mix(hash ^ (uint64_t)item->type << 32 ^ item->number);
		hash = w_mix(hash ^ item->upload ^ (uint64_t)item->hollow << 63);
		hash = w_hash(hash, item->key->data, item->key->size);
		if (item->data != NULL)
			hash = w_hash(hash, item->data->data, item->data->size);
	}
	for (i = 0; i < state->n_requests; i++) {
		hash = w_mix(hash ^ (uint64_t)state->requests[i].slot << 8 ^ state->requests[i].upload ^
		             (uint64_t)state->requests[i].hollow << 63);
		hash = w_mix(hash ^ (uint64_t)state->requests[i].land_us);
	}
	return hash;
}

/* ---- looking ---- */

const uint8_t *w_store_get(const w_store *store, const char *key, size_t *size)
{
	const s_item *found = NULL;
	size_t i;

	for (i = 0; i < store->now.n_items; i++) {
		const s_item *item = &store->now.items[i];

		if ((item->type == S_VERSION || item->type == S_MARKER) &&
		    strcmp((const char *)item->key->data, key) == 0)
			found = item;
	}
	if (found == NULL || found->type == S_MARKER || found->hollow)
		return NULL;
	*size = found->data->size;
	return found->data->data;
}

static int matches(const s_blob *key, const char *prefix, const char *suffix)
{
	size_t before = strlen(prefix), after = strlen(suffix);

	return key->size >= before + after && memcmp(key->data, prefix, before) == 0 &&
	       memcmp(key->data + key->size - after, suffix, after) == 0;
}

static int same(const s_blob *a, const s_blob *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

w_store_seen w_store_look(const w_store *store, const char *prefix, const char *suffix)
{
	const s_state *state = &store->now;
	const s_blob *newest = NULL;
	w_store_seen seen;
	size_t i;

	memset(&seen, 0, sizeof seen);
	for (i = state->n_items; i-- > 0;) {
		const s_item *item = &state->items[i];

		if (!matches(item->key, prefix, suffix))
			continue;
		seen.uploads += item->type == S_UPLOAD;
		seen.parts += item->type == S_PART;
		seen.markers += item->type == S_MARKER;
		if (item->type != S_VERSION)
			continue;
		seen.versions++;
		seen.hollow += item->hollow != 0;
		if (newest == NULL)
			newest = item->data;
		seen.different += !same(newest, item->data);
	}
	for (i = 0; i < state->n_requests; i++)
		seen.in_flight += !state->requests[i].landed && state->requests[i].lands &&
		                  state->requests[i].slot == S_PUT &&
		                  matches(state->requests[i].key, prefix, suffix);
	return seen;
}

void w_store_each(const w_store *store,
                  void (*fn)(const char *key, const uint8_t *data, size_t size, void *user_data), void *user_data)
{
	size_t i;

	for (i = 0; i < store->now.n_items; i++) {
		const s_item *item = &store->now.items[i];

		if (item->data != NULL)
			fn((const char *)item->key->data, item->data->data, item->data->size, user_data);
	}
}

char *w_store_story(const w_store *store, size_t from, size_t to)
{
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	for (i = 1; i < store->n_past; i++)
		if (store->past[i].since > from && store->past[i].since <= to)
			(void)fprintf(out, "%6zu  store: %s\n", store->past[i].since - 1, store->past[i].text);
	(void)fclose(out);
	return text;
}
