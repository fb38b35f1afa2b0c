/* SPDX-License-Identifier: MIT */
/*
 * A backend as its author would write it who has read the README and the
 * headers and nothing else: buffer, upload and deletion, first answering at
 * once, then only later, by rco_op_complete(). It is put through the conformance
 * kit, and then an engine works with it: a kept call is stored bit by
 * bit, an opted-out one is gone. Only public headers.
 */
#include "../conforms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <unistd.h>

enum { FRAME = 160, FRAMES = 250, LEGS = 8, TICKS = 4000, TICK_US = 50000 };

/* ---- the backend ---- */

typedef struct bytes {
	uint8_t *data;
	size_t size;
} bytes;

typedef struct recording {
	struct recording *next;
	uint8_t id[16];
	uint8_t meta[RCO_META_MAX];
	size_t meta_bytes;
	uint32_t format[LEGS];
	bytes leg[LEGS];
} recording;

typedef struct part {
	struct part *next;
	uint32_t number;
	bytes bytes;
} part;

typedef struct file {
	struct file *next;
	char key[128];
	uint32_t kind;
	int finished;
	bytes bytes;
	char made_by[32]; /* the upload that was committed */
	char upload[32];  /* the one under way, "" for none */
	part *parts;
} file;

/* An answer that is given later. */
typedef struct answer {
	struct answer *next;
	uint64_t op;
	int code;
	rco_result result;
} answer;

typedef struct store {
	pthread_mutex_t lock;
	rco_engine *engine;
	int later; /* answer by rco_op_complete() */
	answer *answers;
	uint32_t uploads;
	recording *recordings;
	file *files;
	uint64_t late_answers;
} store;

static int grow(bytes *b, const void *data, size_t size)
{
	uint8_t *to = malloc(b->size + size + 1);

	if (to == NULL)
		return RCO_E_NO_MEMORY;
	if (b->size > 0)
		memcpy(to, b->data, b->size);
	if (size > 0)
		memcpy(to + b->size, data, size);
	if (b->data != NULL)
		rco_memzero(b->data, b->size);
	free(b->data);
	b->data = to;
	b->size += size;
	return RCO_OK;
}

static void wipe(bytes *b)
{
	if (b->data != NULL)
		rco_memzero(b->data, b->size);
	free(b->data);
	b->data = NULL;
	b->size = 0;
}

/* How every slot ends: the lock goes, and the answer goes out now or is kept for later. */
static int answer_op(store *s, uint64_t op, int code, uint32_t confirmed, rco_result *result)
{
	answer *a;

	if (code == RCO_OK)
		result->confirmed = confirmed;
	if (s->later) {
		a = calloc(1, sizeof *a);
		if (a == NULL) {
			(void)pthread_mutex_unlock(&s->lock);
			return RCO_E_NO_MEMORY;
		}
		a->op = op;
		a->code = code;
		a->result = *result;
		a->next = s->answers;
		s->answers = a;
		code = RCO_PENDING;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return code;
}

/* Give the answers that are due; how many there were. */
static size_t give_answers(store *s)
{
	answer *list, *a;
	size_t n = 0;

	(void)pthread_mutex_lock(&s->lock);
	list = s->answers;
	s->answers = NULL;
	(void)pthread_mutex_unlock(&s->lock);
	for (; list != NULL; list = a, n++) {
		a = list->next;
		assert_int_equal(rco_op_complete(s->engine, list->op, list->code, &list->result), RCO_OK);
		/* once only */
		assert_int_equal(rco_op_complete(s->engine, list->op, list->code, &list->result), RCO_E_STALE);
		free(list);
	}
	s->late_answers += n;
	return n;
}

static int own_attach(rco_engine *engine, void *user_data)
{
	store *s = user_data;

	s->engine = engine;
	return RCO_OK;
}

static recording **find_recording(store *s, const uint8_t id[16])
{
	recording **at = &s->recordings;

	while (*at != NULL && memcmp((*at)->id, id, 16) != 0)
		at = &(*at)->next;
	return at;
}

static int own_open(const rco_recording *r, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;
	recording **at;
	int code = RCO_OK;

	(void)pthread_mutex_lock(&s->lock);
	at = find_recording(s, r->id);
	if (*at == NULL) {
		*at = calloc(1, sizeof **at);
		if (*at == NULL) {
			code = RCO_E_NO_MEMORY;
		} else {
			memcpy((*at)->id, r->id, 16);
			if (r->meta_bytes > 0)
				memcpy((*at)->meta, r->meta, r->meta_bytes);
			(*at)->meta_bytes = r->meta_bytes;
		}
	}
	return answer_op(s, op, code, RCO_CONFIRM_DONE, result);
}

static int take_piece(recording *r, const rco_chunk *c)
{
	if (r == NULL)
		return RCO_E_NOT_FOUND;
	if (c->leg >= LEGS)
		return RCO_E_INVALID;
	if (c->position_bytes + c->size_bytes <= r->leg[c->leg].size)
		return RCO_OK; /* a repetition */
	if (c->position_bytes != r->leg[c->leg].size)
		return RCO_E_INVALID;
	r->format[c->leg] = c->format;
	return grow(&r->leg[c->leg], c->data, c->size_bytes);
}

static int own_append(const rco_chunk *c, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;

	(void)pthread_mutex_lock(&s->lock);
	return answer_op(s, op, take_piece(*find_recording(s, c->recording_id), c), RCO_CONFIRM_DONE, result);
}

static int own_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                    rco_result *result, void *user_data)
{
	store *s = user_data;
	recording *r;
	size_t n = 0;

	(void)pthread_mutex_lock(&s->lock);
	r = *find_recording(s, id);
	if (r != NULL && leg < LEGS && position < r->leg[leg].size) {
		n = r->leg[leg].size - (size_t)position;
		n = n < cap ? n : cap;
		if (n > 0)
			memcpy(data, r->leg[leg].data + position, n);
	}
	result->size_bytes = n;
	return answer_op(s, op, r != NULL ? RCO_OK : RCO_E_NOT_FOUND, RCO_CONFIRM_DONE, result);
}

static int own_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;
	recording **at, *r;
	int i;

	(void)pthread_mutex_lock(&s->lock);
	at = find_recording(s, id);
	r = *at;
	if (r != NULL) {
		*at = r->next;
		for (i = 0; i < LEGS; i++)
			wipe(&r->leg[i]);
		free(r);
	}
	return answer_op(s, op, RCO_OK, RCO_CONFIRM_GONE, result);
}

static file **find_file(store *s, const char *key)
{
	file **at = &s->files;

	while (*at != NULL && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	return at;
}

static void drop_upload(file *f)
{
	part *p;

	while ((p = f->parts) != NULL) {
		f->parts = p->next;
		wipe(&p->bytes);
		free(p);
	}
	f->upload[0] = '\0';
}

static void drop_if_empty(file **at)
{
	file *f = *at;

	if (f == NULL || f->finished || f->upload[0] != '\0')
		return;
	*at = f->next;
	free(f);
}

static int start(store *s, const rco_object *o, rco_result *result)
{
	file **at = find_file(s, o->key), *f = *at;

	if (strlen(o->key) >= sizeof f->key)
		return RCO_E_LIMIT;
	if (f == NULL) {
		f = *at = calloc(1, sizeof *f);
		if (f == NULL)
			return RCO_E_NO_MEMORY;
		(void)snprintf(f->key, sizeof f->key, "%s", o->key);
	}
	drop_upload(f);
	if (!f->finished)
		f->kind = o->kind;
	(void)snprintf(f->upload, sizeof f->upload, "upload-%u", ++s->uploads);
	(void)snprintf(result->upload_id, sizeof result->upload_id, "%s", f->upload);
	return RCO_OK;
}

static int own_begin(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;

	(void)pthread_mutex_lock(&s->lock);
	return answer_op(s, op, start(s, o, result), RCO_CONFIRM_DONE, result);
}

/* The upload that the object means, or NULL. */
static file *find_upload(store *s, const rco_object *o)
{
	file *f = *find_file(s, o->key);

	if (f == NULL || f->upload[0] == '\0' || (o->upload_id[0] != '\0' && strcmp(o->upload_id, f->upload) != 0))
		return NULL;
	return f;
}

static int take_part(file *f, uint32_t number, const void *data, size_t size)
{
	part **at;

	if (f == NULL)
		return RCO_E_NOT_FOUND;
	for (at = &f->parts; *at != NULL && (*at)->number != number; at = &(*at)->next)
		;
	if (*at == NULL) {
		*at = calloc(1, sizeof **at);
		if (*at == NULL)
			return RCO_E_NO_MEMORY;
		(*at)->number = number;
	}
	wipe(&(*at)->bytes);
	return grow(&(*at)->bytes, data, size);
}

static int own_put(const rco_object *o, uint32_t number, const void *data, size_t size, uint64_t op,
                   rco_result *result, void *user_data)
{
	store *s = user_data;

	(void)pthread_mutex_lock(&s->lock);
	return answer_op(s, op, take_part(find_upload(s, o), number, data, size), RCO_CONFIRM_DONE, result);
}

static int finish(store *s, const rco_object *o)
{
	file *f = find_upload(s, o), *before = *find_file(s, o->key);
	bytes whole = {NULL, 0};
	part *p;

	if (f == NULL && before != NULL && before->finished && strcmp(before->made_by, o->upload_id) == 0)
		return RCO_OK; /* it happened before, the answer got lost */
	if (f == NULL)
		return RCO_E_NOT_FOUND;
	for (p = f->parts; p != NULL; p = p->next)
		if (grow(&whole, p->bytes.data, p->bytes.size) != RCO_OK) {
			wipe(&whole);
			return RCO_E_NO_MEMORY;
		}
	wipe(&f->bytes);
	f->bytes = whole;
	f->finished = 1;
	f->kind = o->kind;
	(void)snprintf(f->made_by, sizeof f->made_by, "%s", f->upload);
	drop_upload(f);
	return RCO_OK;
}

static int own_commit(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;

	(void)pthread_mutex_lock(&s->lock);
	return answer_op(s, op, finish(s, o), RCO_CONFIRM_DONE, result);
}

static int own_abort(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;
	file *f;

	(void)pthread_mutex_lock(&s->lock);
	f = find_upload(s, o);
	if (f != NULL) {
		drop_upload(f);
		drop_if_empty(find_file(s, o->key));
	}
	return answer_op(s, op, RCO_OK, RCO_CONFIRM_GONE, result);
}

static int own_list(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;
	const file *f;

	(void)pthread_mutex_lock(&s->lock);
	f = *find_file(s, o->key);
	result->count = f == NULL ? 0 : (f->finished ? 1u : 0u) + (f->upload[0] != '\0' ? 1u : 0u);
	return answer_op(s, op, RCO_OK, result->count > 0 ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE, result);
}

static int own_head(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;
	const file *f;
	int there;

	(void)pthread_mutex_lock(&s->lock);
	f = *find_file(s, o->key);
	there = f != NULL && f->finished;
	result->size_bytes = there ? f->bytes.size : 0;
	return answer_op(s, op, RCO_OK, there ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE, result);
}

static int own_remove(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;
	file **at;

	if (o->store != RCO_STORE_UPLOAD)
		return RCO_E_DECLINED;
	(void)pthread_mutex_lock(&s->lock);
	at = find_file(s, o->key);
	if (*at != NULL) {
		drop_upload(*at);
		wipe(&(*at)->bytes);
		(*at)->finished = 0;
		drop_if_empty(at);
	}
	return answer_op(s, op, RCO_OK, RCO_CONFIRM_GONE, result);
}

static int own_verify(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	store *s = user_data;

	if (o->store != RCO_STORE_UPLOAD)
		return RCO_E_DECLINED;
	(void)pthread_mutex_lock(&s->lock);
	return answer_op(s, op, RCO_OK, *find_file(s, o->key) != NULL ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE,
	                 result);
}

/* The required slots and attach: what is optional is left out. */
static const rco_buffer_ops own_buffer = {.struct_size = sizeof(rco_buffer_ops),
                                          .attach = own_attach,
                                          .open = own_open,
                                          .append = own_append,
                                          .read = own_read,
                                          .erase = own_erase};

static const rco_upload_ops own_upload = {.struct_size = sizeof(rco_upload_ops),
                                          .attach = own_attach,
                                          .begin = own_begin,
                                          .put = own_put,
                                          .commit = own_commit,
                                          .abort = own_abort,
                                          .list = own_list,
                                          .head = own_head};

static const rco_deletion_ops own_deletion = {
	.struct_size = sizeof(rco_deletion_ops), .attach = own_attach, .remove = own_remove, .verify = own_verify};

static void store_init(store *s)
{
	memset(s, 0, sizeof *s);
	assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
}

static void store_destroy(store *s)
{
	rco_result result = {.struct_size = (uint32_t)sizeof result};
	uint8_t id[16];
	answer *a;
	file *f;

	s->later = 0;
	while (s->recordings != NULL) {
		memcpy(id, s->recordings->id, 16);
		(void)own_erase(id, 0, &result, s);
	}
	while ((f = s->files) != NULL) {
		drop_upload(f);
		wipe(&f->bytes);
		s->files = f->next;
		free(f);
	}
	while ((a = s->answers) != NULL) {
		s->answers = a->next;
		free(a);
	}
	(void)pthread_mutex_destroy(&s->lock);
}

/* ---- an engine on it ---- */

typedef struct world {
	char root[128], state[160];
	int64_t now_us;
	store store;
	rco_engine *engine;
} world;

static int64_t own_clock(void *user_data)
{
	world *w = user_data;

	return w->now_us;
}

static void world_init(world *w, int later)
{
	const char *base = getenv("TMPDIR");
	rco_clock clock = {.struct_size = (uint32_t)sizeof clock,
	                   .wall_us = own_clock,
	                   .monotonic_us = own_clock,
	                   .user_data = w};
	rco_engine_config cfg = {.struct_size = (uint32_t)sizeof cfg,
	                         .flags = RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS,
	                         .ring_pool_bytes = 1 << 20,
	                         .opt_out_enabled = 1,
	                         .upload_part_bytes = 65536,
	                         .state_dir = w->state,
	                         .buffer = &own_buffer,
	                         .buffer_user_data = &w->store,
	                         .upload = &own_upload,
	                         .upload_user_data = &w->store,
	                         .deletion = &own_deletion,
	                         .deletion_user_data = &w->store,
	                         .clock = &clock};

	memset(w, 0, sizeof *w);
	w->now_us = 1800000000000000;
	(void)snprintf(w->root, sizeof w->root, "%s/rco-own-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(w->root));
	(void)snprintf(w->state, sizeof w->state, "%s/state", w->root);
	store_init(&w->store);
	w->store.later = later;
	assert_int_equal(rco_engine_create(&cfg, &w->engine), RCO_OK);
	assert_ptr_equal(w->store.engine, w->engine); /* attach was called */
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void world_destroy(world *w)
{
	rco_engine_free(w->engine);
	store_destroy(&w->store);
	(void)nftw(w->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Let the engine work and time pass. */
static void tick(world *w)
{
	int i;

	for (i = 0; i < 50; i++) {
		assert_int_equal(rco_engine_run(w->engine, 0, 0), RCO_OK);
		if (give_answers(&w->store) == 0)
			break;
	}
	w->now_us += TICK_US;
}

static void frame_of(uint32_t seed, int n, uint8_t out[FRAME])
{
	uint32_t x = seed * 2654435761u + (uint32_t)n * 40503u + 1;
	size_t i;

	for (i = 0; i < FRAME; i++) {
		x = x * 1664525u + 1013904223u;
		out[i] = (uint8_t)(x >> 24);
	}
}

/* A call with two legs on which `frames` frames were said. */
static rco_session *call(world *w, const char *id, uint32_t seed, int frames)
{
	rco_session_options options = {.struct_size = (uint32_t)sizeof options, .call_id = id};
	uint8_t frame[FRAME];
	rco_session *session;
	uint32_t caller, agent;
	int i;

	assert_int_equal(rco_session_create(w->engine, &options, &session), RCO_OK);
	assert_int_equal(rco_session_add_leg(session, "caller", RCO_FORMAT_PCMU_8K, &caller), RCO_OK);
	assert_int_equal(rco_session_add_leg(session, "agent", RCO_FORMAT_PCMU_8K, &agent), RCO_OK);
	assert_int_equal(rco_session_start(session), RCO_OK);
	for (i = 0; i < frames; i++) {
		frame_of(seed, i, frame);
		assert_int_equal(rco_session_push(session, caller, RCO_FORMAT_PCMU_8K, frame, FRAME), RCO_OK);
		frame_of(seed + 1, i, frame);
		assert_int_equal(rco_session_push(session, agent, RCO_FORMAT_PCMU_8K, frame, FRAME), RCO_OK);
		tick(w);
	}
	return session;
}

static uint32_t state_of(rco_session *session)
{
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};

	assert_int_equal(rco_session_get_stats(session, &stats), RCO_OK);
	return stats.state;
}

static void until(world *w, rco_session *session, uint32_t state)
{
	int i;

	for (i = 0; i < TICKS && state_of(session) != state; i++)
		tick(w);
	assert_int_equal(state_of(session), state);
}

static uint32_t status_of(rco_session *session)
{
	rco_receipt *receipt = NULL;
	uint32_t status;

	assert_int_equal(rco_session_receipt(session, &receipt), RCO_OK);
	status = rco_receipt_status(receipt);
	rco_receipt_free(receipt);
	return status;
}

static size_t count_files(const store *s, uint32_t kind)
{
	const file *f;
	size_t n = 0;

	for (f = s->files; f != NULL; f = f->next)
		n += f->kind == kind;
	return n;
}

/* The finished audio file with this in its name, as WAV (RFC 2361: mu-law is 7), holds just these frames. */
static void expect_leg(const store *s, const char *name, uint32_t seed, int frames)
{
	uint8_t frame[FRAME];
	const uint8_t *at;
	const file *f;
	int i;

	for (f = s->files; f != NULL; f = f->next)
		if (f->kind == RCO_KIND_AUDIO && strstr(f->key, name) != NULL)
			break;
	assert_non_null(f);
	assert_true(f->finished);
	assert_true(f->bytes.size > (size_t)frames * FRAME + 44);
	assert_memory_equal(f->bytes.data, "RIFF", 4);
	assert_memory_equal(f->bytes.data + 8, "WAVEfmt ", 8);
	assert_int_equal(f->bytes.data[20], 7);
	at = f->bytes.data + f->bytes.size - (size_t)frames * FRAME;
	for (i = 0; i < frames; i++, at += FRAME) {
		frame_of(seed, i, frame);
		assert_memory_equal(at, frame, FRAME);
	}
}

static void kept(int later)
{
	rco_session *session;
	world w;

	world_init(&w, later);
	session = call(&w, "kept", 10, FRAMES);
	assert_int_equal(rco_session_end(session), RCO_OK);
	until(&w, session, RCO_STATE_STORED);
	assert_int_equal(count_files(&w.store, RCO_KIND_AUDIO), 2);
	assert_int_equal(count_files(&w.store, RCO_KIND_METADATA), 1);
	expect_leg(&w.store, "caller", 10, FRAMES);
	expect_leg(&w.store, "agent", 11, FRAMES);
	assert_null(w.store.recordings); /* the buffer was told to forget it */
	assert_int_equal(w.store.late_answers > 0, later);
	rco_session_free(session);
	world_destroy(&w);
}

static void opted_out(int later, int after_end)
{
	rco_receipt *receipt = NULL;
	rco_session *session;
	world w;
	int i;

	world_init(&w, later);
	session = call(&w, "objects", 20, FRAMES);
	assert_non_null(w.store.recordings);
	if (after_end) {
		assert_int_equal(rco_session_end(session), RCO_OK);
		for (i = 0; i < 20; i++)
			tick(&w); /* one of the ten seconds in which it still counts; parts are on their way */
	}
	assert_int_equal(rco_opt_out(session, NULL, &receipt), RCO_OK);
	rco_receipt_free(receipt);
	for (i = 0; i < TICKS && status_of(session) != RCO_STATUS_VERIFIED; i++)
		tick(&w);
	assert_int_equal(state_of(session), RCO_STATE_OPTED_OUT);
	assert_null(w.store.recordings);
	assert_int_equal(count_files(&w.store, RCO_KIND_AUDIO), 0);
	assert_int_equal(status_of(session), RCO_STATUS_VERIFIED);
	if (!after_end)
		assert_int_equal(rco_session_end(session), RCO_OK);
	for (i = 0; i < TICKS / 2; i++)
		tick(&w);
	/* nothing came back, and the call record is there (P8) */
	assert_int_equal(count_files(&w.store, RCO_KIND_AUDIO), 0);
	assert_int_equal(count_files(&w.store, RCO_KIND_METADATA), 1);
	rco_session_free(session);
	world_destroy(&w);
}

/* ---- tests ---- */

static int own_get(const char *key, void *buf, size_t cap, size_t *size, void *user_data)
{
	const file *f = *find_file(user_data, key);

	if (f == NULL || !f->finished)
		return RCO_E_NOT_FOUND;
	*size = f->bytes.size;
	if (*size > 0 && cap > 0)
		memcpy(buf, f->bytes.data, *size < cap ? *size : cap);
	return RCO_OK;
}

static void test_conforms(void **state)
{
	store s;
	rco_conformance kit = {.struct_size = (uint32_t)sizeof kit,
	                       .buffer = &own_buffer,
	                       .buffer_user_data = &s,
	                       .upload = &own_upload,
	                       .upload_user_data = &s,
	                       .deletion = &own_deletion,
	                       .deletion_user_data = &s,
	                       .get = own_get,
	                       .user_data = &s};

	(void)state;
	store_init(&s);
	t_conforms(&kit);
	assert_null(s.recordings);
	assert_null(s.files);
	store_destroy(&s);
}

static void test_kept(void **state)
{
	(void)state;
	kept(0);
}

static void test_kept_answered_later(void **state)
{
	(void)state;
	kept(1);
}

static void test_opted_out(void **state)
{
	(void)state;
	opted_out(0, 0);
}

static void test_opted_out_answered_later(void **state)
{
	(void)state;
	opted_out(1, 0);
}

static void test_opted_out_after_end(void **state)
{
	(void)state;
	opted_out(0, 1);
}

static void test_opted_out_after_end_answered_later(void **state)
{
	(void)state;
	opted_out(1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conforms),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_kept_answered_later),
		cmocka_unit_test(test_opted_out),
		cmocka_unit_test(test_opted_out_answered_later),
		cmocka_unit_test(test_opted_out_after_end),
		cmocka_unit_test(test_opted_out_after_end_answered_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
