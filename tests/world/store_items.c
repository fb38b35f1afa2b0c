/* SPDX-License-Identifier: MIT */
/* What is in the store, and what a request does when it arrives. */
#include "store_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const s_names[S_SLOTS] = {"begin", "put", "commit", "abort", "list", "head", "remove", "verify"};

void *s_more(void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	*cap = *cap == 0 ? 8 : 2 * *cap;
	list = realloc(list, *cap * size);
	if (list == NULL)
		abort();
	return list;
}

s_blob *s_blob_new(const void *data, size_t size)
{
	s_blob *blob = malloc(sizeof *blob + size + 1);

	if (blob == NULL)
		abort();
	blob->refs = 1;
	blob->size = size;
	if (size > 0)
		memcpy(blob->data, data, size);
	blob->data[size] = 0;
	return blob;
}

s_blob *s_blob_ref(s_blob *blob)
{
	if (blob != NULL)
		blob->refs++;
	return blob;
}

void s_blob_drop(s_blob *blob)
{
	if (blob != NULL && --blob->refs == 0)
		free(blob);
}

/* ---- states ---- */

static void *copy_list(const void *list, size_t n, size_t size)
{
	void *out = malloc(n * size + 1);

	if (out == NULL)
		abort();
	if (n > 0)
		memcpy(out, list, n * size);
	return out;
}

void s_state_copy(s_state *to, const s_state *from)
{
	size_t i;

	*to = *from;
	to->items = copy_list(from->items, from->n_items, sizeof *to->items);
	to->requests = copy_list(from->requests, from->n_requests, sizeof *to->requests);
	for (i = 0; i < to->n_items; i++) {
		(void)s_blob_ref(to->items[i].key);
		(void)s_blob_ref(to->items[i].data);
	}
	for (i = 0; i < to->n_requests; i++) {
		(void)s_blob_ref(to->requests[i].key);
		(void)s_blob_ref(to->requests[i].data);
	}
}

void s_state_free(s_state *state)
{
	size_t i;

	for (i = 0; i < state->n_items; i++) {
		s_blob_drop(state->items[i].key);
		s_blob_drop(state->items[i].data);
	}
	while (state->n_requests > 0)
		s_request_drop(state, state->n_requests - 1);
	free(state->items);
	free(state->requests);
	memset(state, 0, sizeof *state);
}

s_request *s_request_add(s_state *state, const s_request *request)
{
	state->requests = realloc(state->requests, (state->n_requests + 1) * sizeof *state->requests);
	if (state->requests == NULL)
		abort();
	state->requests[state->n_requests] = *request;
	return &state->requests[state->n_requests++];
}

void s_request_drop(s_state *state, size_t index)
{
	s_blob_drop(state->requests[index].key);
	s_blob_drop(state->requests[index].data);
	state->n_requests--;
	memmove(&state->requests[index], &state->requests[index + 1],
	        (state->n_requests - index) * sizeof *state->requests);
}

static s_item *add(s_state *state, int type, const s_request *r)
{
	s_item *item;

	state->items = realloc(state->items, (state->n_items + 1) * sizeof *state->items);
	if (state->items == NULL)
		abort();
	item = &state->items[state->n_items++];
	memset(item, 0, sizeof *item);
	item->type = type;
	item->kind = r->kind;
	item->key = s_blob_ref(r->key);
	item->upload = r->upload;
	return item;
}

static void take_away(s_state *state, size_t index)
{
	s_blob_drop(state->items[index].key);
	s_blob_drop(state->items[index].data);
	state->n_items--;
	memmove(&state->items[index], &state->items[index + 1], (state->n_items - index) * sizeof *state->items);
}

static int same_key(const s_item *item, const s_request *r)
{
	return strcmp((const char *)item->key->data, (const char *)r->key->data) == 0;
}

/* The item of that type and upload, SIZE_MAX if there is none. */
static size_t find(const s_state *state, int type, const s_request *r)
{
	size_t i;

	for (i = 0; i < state->n_items; i++)
		if (state->items[i].type == type && state->items[i].upload == r->upload &&
		    same_key(&state->items[i], r))
			return i;
	return SIZE_MAX;
}

/* ---- what requests do ---- */

static void land_begin(s_state *state, s_request *r)
{
	r->upload = ++state->last_id;
	(void)add(state, S_UPLOAD, r);
	(void)snprintf(r->result.upload_id, sizeof r->result.upload_id, "u%llu", (unsigned long long)r->upload);
	r->result.confirmed = RCO_CONFIRM_DONE;
}

static void land_put(s_state *state, s_request *r)
{
	s_item *part = NULL;
	size_t i;

	if (find(state, S_UPLOAD, r) == SIZE_MAX) {
		/* Aborted while the part was on its way: it is listed all the same. */
		if (r->upload == 0 || r->land_us == 0 || find(state, S_COMPLETED, r) != SIZE_MAX) {
			r->code = RCO_E_NOT_FOUND;
			return;
		}
		(void)add(state, S_UPLOAD, r);
	}
	for (i = 0; i < state->n_items; i++)
		if (state->items[i].type == S_PART && state->items[i].upload == r->upload &&
		    state->items[i].number == r->number)
			part = &state->items[i];
	if (part == NULL)
		part = add(state, S_PART, r);
	part->number = r->number;
	s_blob_drop(part->data);
	part->data = s_blob_ref(r->data);
	r->result.confirmed = RCO_CONFIRM_DONE;
}

static s_blob *part_of(const s_state *state, uint64_t upload, uint32_t number)
{
	size_t i;

	for (i = 0; i < state->n_items; i++)
		if (state->items[i].type == S_PART && state->items[i].upload == upload &&
		    state->items[i].number == number)
			return state->items[i].data;
	return NULL;
}

static s_blob *join(const s_state *state, uint64_t upload)
{
	s_blob *whole = s_blob_new("", 0), *part;
	uint32_t number;

	for (number = 1; (part = part_of(state, upload, number)) != NULL; number++) {
		whole = realloc(whole, sizeof *whole + whole->size + part->size + 1);
		if (whole == NULL)
			abort();
		memcpy(whole->data + whole->size, part->data, part->size);
		whole->size += part->size;
		whole->data[whole->size] = 0;
	}
	return whole;
}

static void drop_uploads(s_state *state, const s_request *r)
{
	size_t i = 0;

	while (i < state->n_items) {
		const s_item *item = &state->items[i];

		if ((item->type == S_UPLOAD || item->type == S_PART) && same_key(item, r) &&
		    (r->upload == 0 || item->upload == r->upload))
			take_away(state, i);
		else
			i++;
	}
}

/* It was made, and is listed. */
static s_item *add_version(s_state *state, const s_request *r, s_blob *whole, int hollow)
{
	s_item *version;

	(void)add(state, S_COMPLETED, r);
	version = add(state, S_VERSION, r);
	version->data = whole;
	version->version = ++state->last_id;
	version->hollow = hollow;
	return version;
}

static void land_commit(s_state *state, s_request *r)
{
	size_t done = find(state, S_VERSION, r);
	s_item *version;
	s_blob *whole;

	if (done != SIZE_MAX) { /* again: its answer was lost */
		version = &state->items[done];
	} else if (r->hollow) {
		version = add_version(state, r, s_blob_ref(r->data), 1);
	} else if (r->upload == 0 || find(state, S_UPLOAD, r) == SIZE_MAX) {
		r->code = RCO_E_NOT_FOUND;
		return;
	} else {
		whole = join(state, r->upload);
		drop_uploads(state, r);
		version = add_version(state, r, whole, 0);
	}
	(void)snprintf(r->result.version, sizeof r->result.version, "v%llu", (unsigned long long)version->version);
	r->result.size_bytes = version->data->size;
	r->result.confirmed = RCO_CONFIRM_DONE;
}

/* Commits that are under way, or not yet answered, go on; what they list is empty. */
static void lose(s_state *state, const s_request *abort)
{
	size_t i, done;

	for (i = 0; i < state->n_requests; i++) {
		s_request *commit = &state->requests[i];

		if (commit->slot != S_COMMIT || !commit->lands || commit->hollow ||
		    strcmp((const char *)commit->key->data, (const char *)abort->key->data) != 0 ||
		    (abort->upload != 0 && abort->upload != commit->upload))
			continue;
		if (!commit->landed && find(state, S_UPLOAD, commit) != SIZE_MAX) {
			commit->hollow = 1;
			commit->data = join(state, commit->upload);
		} else if (commit->op != 0 && (done = find(state, S_VERSION, commit)) != SIZE_MAX) {
			state->items[done].hollow = 1;
		}
	}
}

static const s_item *newest(const s_state *state, const s_request *r)
{
	const s_item *found = NULL;
	size_t i;

	for (i = 0; i < state->n_items; i++)
		if ((state->items[i].type == S_VERSION || state->items[i].type == S_MARKER) &&
		    same_key(&state->items[i], r))
			found = &state->items[i];
	return found;
}

static void land_head(s_state *state, s_request *r)
{
	const s_item *item = newest(state, r);

	if (item == NULL || item->type == S_MARKER) {
		r->result.confirmed = RCO_CONFIRM_GONE;
		return;
	}
	r->result.confirmed = RCO_CONFIRM_PRESENT;
	r->result.size_bytes = item->data->size;
	(void)snprintf(r->result.version, sizeof r->result.version, "v%llu", (unsigned long long)item->version);
}

/* Versions and markers; `uploads`: and those too. */
static uint64_t count(const s_state *state, const s_request *r, int uploads)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < state->n_items; i++) {
		const s_item *item = &state->items[i];

		if (!same_key(item, r))
			continue;
		if (item->type == S_VERSION || item->type == S_MARKER)
			n += r->version == 0 || item->version == r->version;
		else if (uploads && item->type == S_UPLOAD)
			n++;
	}
	return n;
}

static void land_list(s_state *state, s_request *r, int uploads)
{
	r->result.count = count(state, r, uploads);
	r->result.confirmed = r->result.count > 0 ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE;
}

static void land_remove(s_state *state, s_request *r)
{
	const s_item *top = newest(state, r);
	size_t i = 0;

	if (r->only_hides) {
		if (top != NULL && top->type == S_VERSION)
			add(state, S_MARKER, r)->version = ++state->last_id;
		r->code = RCO_E_IO;
		return;
	}
	while (i < state->n_items) {
		const s_item *item = &state->items[i];

		if ((item->type == S_VERSION || item->type == S_MARKER) && same_key(item, r) &&
		    (r->version == 0 || item->version == r->version))
			take_away(state, i);
		else
			i++;
	}
	r->result.confirmed = RCO_CONFIRM_GONE;
}

void s_land(s_state *state, s_request *r)
{
	r->landed = 1;
	r->code = RCO_OK;
	memset(&r->result, 0, sizeof r->result);
	r->result.struct_size = (uint32_t)sizeof r->result;
	switch (r->slot) {
	case S_BEGIN:
		land_begin(state, r);
		break;
	case S_PUT:
		land_put(state, r);
		break;
	case S_COMMIT:
		land_commit(state, r);
		break;
	case S_ABORT:
		if (state->loses)
			lose(state, r);
		drop_uploads(state, r);
		r->result.confirmed = RCO_CONFIRM_GONE;
		break;
	case S_LIST:
		land_list(state, r, 1);
		break;
	case S_HEAD:
		land_head(state, r);
		break;
	case S_REMOVE:
		land_remove(state, r);
		break;
	default:
		land_list(state, r, 0);
		break;
	}
}
