/* SPDX-License-Identifier: MIT */
/* The client in front of the store: how a request goes, and when it is answered. */
#include "store_items.h"

#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How one request goes. Those of the header, and: */
enum { GOES_WELL = W_STORE_NONE, GOES_SLOWLY = W_STORE_FAULTS, GOES_LATE, GOES_ASTRAY };

w_store *w_store_new(w_disk *disk, uint64_t seed, const w_manners *manners)
{
	w_store *store = calloc(1, sizeof *store);

	if (store == NULL)
		abort();
	store->disk = disk;
	store->random.state = seed;
	store->manners = *manners;
	store->client = 1;
	store->past = s_more(NULL, 0, &store->cap_past, sizeof *store->past);
	memset(store->past, 0, sizeof *store->past); /* the beginning */
	store->n_past = 1;
	return store;
}

void w_store_free(w_store *store)
{
	size_t i;

	if (store == NULL)
		return;
	s_state_free(&store->now);
	for (i = 0; i < store->n_past; i++)
		s_state_free(&store->past[i].state);
	free(store->past);
	free(store);
}

void w_store_loses(w_store *store)
{
	store->now.loses = 1;
	store->past[0].state.loses = 1;
}

void w_store_behave(w_store *store)
{
	memset(&store->manners, 0, sizeof store->manners);
}

/* ---- the log ---- */

/* After a change: an entry of the log, and the state that goes with it. */
__attribute__((format(printf, 2, 3))) static void note(w_store *store, const char *format, ...)
{
	va_list args;
	s_past *past;

	store->past = s_more(store->past, store->n_past, &store->cap_past, sizeof *store->past);
	past = &store->past[store->n_past];
	past->since = w_disk_foreign(store->disk, W_LOG_STORE) + 1;
	s_state_copy(&past->state, &store->now);
	va_start(args, format);
	(void)vsnprintf(past->text, sizeof past->text, format, args);
	va_end(args);
	store->n_past++;
}

static const char *how(int way)
{
	static const char *const words[] = {
		[GOES_WELL] = "",
		[W_STORE_ERROR] = ": an error, nothing done",
		[W_STORE_DONE_ERROR] = ": done, and an error",
		[W_STORE_UNCONFIRMED] = ": not confirmed, nothing done",
		[W_STORE_DONE_UNCONFIRMED] = ": done, not confirmed",
		[W_STORE_SILENT] = ": lost, no answer",
		[W_STORE_DONE_SILENT] = ": done, no answer",
		[W_STORE_LANDS_LATE] = ": on its way for long, no answer",
		[GOES_SLOWLY] = ": on its way",
		[GOES_LATE] = ": on its way for long, no answer",
		[GOES_ASTRAY] = ": on its way, will be lost",
	};

	return words[way];
}

static const char *tail(const s_blob *key)
{
	const char *text = (const char *)key->data, *dot = strchr(text, '.');

	return dot != NULL && dot - text == RCO_ID_TEXT ? dot - 4 : text;
}

/* ---- one request ---- */

static int next_way(w_store *store)
{
	const w_manners *m = &store->manners;
	uint32_t dice;
	size_t i;

	store->calls++;
	for (i = 0; i < W_FAULTS; i++)
		if (store->faults[i].at == store->calls) {
			store->faults[i].struck = 1;
			return store->faults[i].kind;
		}
	dice = w_below(&store->random, 100);
	if (dice < m->slow)
		return GOES_SLOWLY;
	dice -= m->slow;
	if (dice < m->lost_answer)
		return w_likely(&store->random, 70) ? W_STORE_DONE_ERROR : W_STORE_DONE_SILENT;
	dice -= m->lost_answer;
	if (dice < m->error)
		return W_STORE_ERROR;
	dice -= m->error;
	if (dice < m->unconfirmed)
		return w_likely(&store->random, 50) ? W_STORE_UNCONFIRMED : W_STORE_DONE_UNCONFIRMED;
	dice -= m->unconfirmed;
	if (dice < m->late)
		return w_likely(&store->random, 60) ? GOES_LATE : GOES_ASTRAY;
	return GOES_WELL;
}

static uint64_t id_in(const char *text, char letter)
{
	return text[0] == letter ? strtoull(text + 1, NULL, 10) : 0;
}

static s_request make_request(w_store *store, int slot, const rco_object *object)
{
	s_request r;

	memset(&r, 0, sizeof r);
	r.slot = slot;
	r.kind = object->kind;
	r.upload = slot == S_BEGIN ? 0 : id_in(object->upload_id, 'u');
	r.version = id_in(object->version, 'v');
	r.key = s_blob_new(object->key, strlen(object->key));
	r.client = store->client;
	r.lands = 1;
	return r;
}

/* Whether something that this client sent may still arrive and undo what is being confirmed. */
static int on_its_way(const w_store *store, const s_request *about)
{
	size_t i;

	for (i = 0; i < store->now.n_requests; i++) {
		const s_request *r = &store->now.requests[i];

		if (r->client == store->client && !r->landed &&
		    (r->slot == S_BEGIN || r->slot == S_PUT || r->slot == S_COMMIT) &&
		    strcmp((const char *)r->key->data, (const char *)about->key->data) == 0)
			return 1;
	}
	return 0;
}

static int changes(int slot)
{
	return slot == S_BEGIN || slot == S_PUT || slot == S_COMMIT || slot == S_ABORT || slot == S_REMOVE;
}

/* A careful client says nothing that its own requests may still prove wrong. */
static void be_careful(const w_store *store, s_request *r)
{
	if (r->result.confirmed == RCO_CONFIRM_GONE && on_its_way(store, r))
		r->result.confirmed = RCO_CONFIRM_UNKNOWN;
}

static int done_at_once(w_store *store, s_request *r, int way, rco_result *result)
{
	int done = way == GOES_WELL || way == W_STORE_DONE_ERROR || way == W_STORE_DONE_UNCONFIRMED ||
	           way == W_STORE_DONE_SILENT;
	int code;

	if (way == W_STORE_DONE_ERROR && r->slot == S_REMOVE && w_likely(&store->random, 50))
		r->only_hides = 1;
	if (done) {
		s_land(&store->now, r);
		be_careful(store, r);
	}
	if (changes(r->slot) || way != GOES_WELL)
		note(store, "%s %s u%llu%s%s", s_names[r->slot], tail(r->key), (unsigned long long)r->upload,
		     how(way), done && r->code != RCO_OK ? ", refused" : "");
	code = r->code;
	if (way == GOES_WELL)
		*result = r->result;
	s_blob_drop(r->key);
	s_blob_drop(r->data);
	switch (way) {
	case GOES_WELL:
		return code;
	case W_STORE_UNCONFIRMED:
	case W_STORE_DONE_UNCONFIRMED:
		return RCO_OK;
	case W_STORE_SILENT:
	case W_STORE_DONE_SILENT:
		return RCO_PENDING;
	default:
		return RCO_E_IO;
	}
}

static int request(w_store *store, int slot, const rco_object *object, uint32_t number, const void *data,
                   size_t size, uint64_t op, rco_result *result)
{
	s_request r = make_request(store, slot, object);
	int way = next_way(store);

	if (store->watch != NULL)
		store->watch(s_names[slot], object, store->watch_user_data);
	r.number = number;
	if (slot == S_PUT)
		r.data = s_blob_new(data, size);
	if (way != GOES_SLOWLY && way != GOES_LATE && way != GOES_ASTRAY && way != W_STORE_LANDS_LATE)
		return done_at_once(store, &r, way, result);
	if (way == GOES_SLOWLY) {
		r.op = op;
		r.land_us = store->now_us + 1000 + (int64_t)w_below(&store->random, 1500000);
		r.answer_us = r.land_us + (int64_t)w_below(&store->random, 500000);
	} else {
		r.lands = way != GOES_ASTRAY;
		r.land_us = store->now_us +
		            (way == W_STORE_LANDS_LATE
		                     ? W_STORE_LATE_US
		                     : 1000 + (int64_t)w_below(&store->random, (uint32_t)W_STORE_LATE_US - 1000));
	}
	(void)s_request_add(&store->now, &r);
	note(store, "%s %s u%llu%s", s_names[slot], tail(r.key), (unsigned long long)r.upload, how(way));
	return RCO_PENDING;
}

/* ---- the tables ---- */

static int op_begin(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	return request(user_data, S_BEGIN, object, 0, NULL, 0, op, result);
}

static int op_put(const rco_object *object, uint32_t part, const void *data, size_t size_bytes, uint64_t op,
                  rco_result *result, void *user_data)
{
	return request(user_data, S_PUT, object, part, data, size_bytes, op, result);
}

static int op_commit(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	return request(user_data, S_COMMIT, object, 0, NULL, 0, op, result);
}

static int op_abort(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	return request(user_data, S_ABORT, object, 0, NULL, 0, op, result);
}

static int op_list(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	return request(user_data, S_LIST, object, 0, NULL, 0, op, result);
}

static int op_head(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	return request(user_data, S_HEAD, object, 0, NULL, 0, op, result);
}

static int op_remove(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	return request(user_data, S_REMOVE, object, 0, NULL, 0, op, result);
}

static int op_verify(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	return request(user_data, S_VERIFY, object, 0, NULL, 0, op, result);
}

const rco_upload_ops *w_store_upload_ops(void)
{
	static const rco_upload_ops table = {.struct_size = sizeof table,
	                                     .begin = op_begin,
	                                     .put = op_put,
	                                     .commit = op_commit,
	                                     .abort = op_abort,
	                                     .list = op_list,
	                                     .head = op_head};

	return &table;
}

const rco_deletion_ops *w_store_deletion_ops(void)
{
	static const rco_deletion_ops table = {
		.struct_size = sizeof table, .remove = op_remove, .verify = op_verify};

	return &table;
}

/* ---- time ---- */

static int64_t due_of(const s_request *r)
{
	return r->landed ? r->answer_us : r->land_us;
}

static size_t first_due(const w_store *store)
{
	size_t i, best = SIZE_MAX;

	for (i = 0; i < store->now.n_requests; i++)
		if (best == SIZE_MAX || due_of(&store->now.requests[i]) < due_of(&store->now.requests[best]))
			best = i;
	return best;
}

int64_t w_store_due(const w_store *store)
{
	size_t i = first_due(store);

	return i == SIZE_MAX ? INT64_MAX : due_of(&store->now.requests[i]);
}

static void arrive(w_store *store, size_t i)
{
	s_request r = store->now.requests[i]; /* landing moves the list's items, not the requests */

	if (r.lands) {
		s_land(&store->now, &r);
		be_careful(store, &r);
		store->strays += r.op == 0;
	}
	store->now.requests[i] = r;
	if (r.op == 0)
		s_request_drop(&store->now, i);
	note(store, "%s %s", s_names[r.slot], r.lands ? "has arrived" : "was lost on its way");
}

static void answer(w_store *store, rco_engine *engine, size_t i)
{
	s_request r = store->now.requests[i];

	(void)s_blob_ref(r.key);
	s_request_drop(&store->now, i);
	note(store, "%s %s is answered", s_names[r.slot], tail(r.key));
	if (engine != NULL)
		(void)rco_op_complete(engine, r.op, r.code, &r.result);
	s_blob_drop(r.key);
}

size_t w_store_run(w_store *store, rco_engine *engine, int64_t now_us)
{
	size_t n, i;

	store->now_us = now_us;
	for (n = 0; (i = first_due(store)) != SIZE_MAX && due_of(&store->now.requests[i]) <= now_us; n++) {
		if (!store->now.requests[i].landed)
			arrive(store, i);
		else
			answer(store, engine, i);
	}
	return n;
}

void w_store_forget_client(w_store *store)
{
	size_t i = 0;

	store->client++;
	while (i < store->now.n_requests) {
		store->now.requests[i].op = 0;
		if (store->now.requests[i].landed)
			s_request_drop(&store->now, i);
		else
			i++;
	}
}

uint64_t w_store_strays(const w_store *store)
{
	return store->strays;
}

/* ---- faults ---- */

void w_store_fault(w_store *store, int which, uint64_t nth, int fault)
{
	store->faults[which].at = nth == 0 ? 0 : store->calls + nth;
	store->faults[which].kind = fault;
	store->faults[which].struck = 0;
}

int w_store_struck(const w_store *store, int which)
{
	return store->faults[which].struck;
}

uint64_t w_store_calls(const w_store *store)
{
	return store->calls;
}

void w_store_watch(w_store *store, void (*fn)(const char *slot, const rco_object *object, void *user_data),
                   void *user_data)
{
	store->watch = fn;
	store->watch_user_data = user_data;
}

/* ---- putting something there ---- */

void w_store_put(w_store *store, const char *key, const void *data, size_t size)
{
	s_request r;

	memset(&r, 0, sizeof r);
	r.kind = RCO_KIND_AUDIO;
	r.key = s_blob_new(key, strlen(key));
	r.data = s_blob_new(data, size);
	r.slot = S_BEGIN;
	s_land(&store->now, &r);
	r.slot = S_PUT;
	r.number = 1;
	s_land(&store->now, &r);
	r.slot = S_COMMIT;
	s_land(&store->now, &r);
	note(store, "the host puts %s", key);
	s_blob_drop(r.key);
	s_blob_drop(r.data);
}
