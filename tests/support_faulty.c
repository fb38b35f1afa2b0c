/* SPDX-License-Identifier: MIT */
/* See faulty.h. Only public headers. */
#include "faulty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <time.h>
#include <unistd.h>

enum { SLOW_MS = 30, DETACH_TURNS = 3, LARGE = 50000 };

/* ---- the built-in backends ---- */

static int memory_get(const char *key, void *buf, size_t cap, size_t *size, void *user_data)
{
	return rco_memory_get(((t_place *)user_data)->memory, key, buf, cap, size);
}

void t_make_memory(t_place *p)
{
	rco_memory_options options = {.struct_size = (uint32_t)sizeof options};

	assert_int_equal(rco_memory_create(&options, &p->memory), RCO_OK);
	p->kit.buffer = rco_memory_buffer_ops();
	p->kit.upload = rco_memory_upload_ops();
	p->kit.deletion = rco_memory_deletion_ops();
	p->kit.buffer_user_data = p->kit.upload_user_data = p->kit.deletion_user_data = p->memory;
	p->kit.get = memory_get;
}

static int directory_get(const char *key, void *buf, size_t cap, size_t *size, void *user_data)
{
	t_place *p = user_data;
	char path[512];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s", p->folder, key);
	file = fopen(path, "rb");
	if (file == NULL)
		return RCO_E_NOT_FOUND;
	*size = fread(buf, 1, cap, file);
	(void)fclose(file);
	return RCO_OK;
}

static int open_directory(t_place *p, rco_conformance *kit)
{
	rco_directory_options options = {.struct_size = (uint32_t)sizeof options, .path = p->folder};
	int rc = rco_directory_create(&options, &p->directory);

	kit->upload_user_data = kit->deletion_user_data = p->directory;
	return rc;
}

static int reopen_directory(rco_conformance *kit, void *user_data)
{
	t_place *p = user_data;

	rco_directory_free(p->directory);
	return open_directory(p, kit);
}

void t_make_directory(t_place *p)
{
	assert_int_equal(open_directory(p, &p->kit), RCO_OK);
	p->kit.upload = rco_directory_upload_ops();
	p->kit.deletion = rco_directory_deletion_ops();
	p->kit.get = directory_get;
	p->kit.reopen = reopen_directory;
}

static int open_spool(t_place *p, rco_conformance *kit)
{
	rco_key_dir_options keys = {.struct_size = (uint32_t)sizeof keys, .path = p->keys};
	rco_spool_options options = {.struct_size = (uint32_t)sizeof options, .path = p->folder};
	int rc = rco_key_dir_create(&keys, &p->key_dir);

	options.keys = rco_key_dir_ops();
	options.keys_user_data = p->key_dir;
	if (rc == RCO_OK)
		rc = rco_spool_create(&options, &p->spool);
	kit->buffer_user_data = p->spool;
	return rc;
}

static void close_spool(t_place *p)
{
	rco_spool_free(p->spool);
	rco_key_dir_free(p->key_dir);
	p->spool = NULL;
	p->key_dir = NULL;
}

static int reopen_spool(rco_conformance *kit, void *user_data)
{
	close_spool(user_data);
	return open_spool(user_data, kit);
}

void t_make_spool(t_place *p)
{
	assert_int_equal(open_spool(p, &p->kit), RCO_OK);
	p->kit.buffer = rco_spool_buffer_ops();
	p->kit.reopen = reopen_spool;
}

void t_place_init(t_place *p, void (*make)(t_place *p))
{
	const char *base = getenv("TMPDIR");

	memset(p, 0, sizeof *p);
	(void)snprintf(p->root, sizeof p->root, "%s/rco-conf-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(p->root));
	(void)snprintf(p->folder, sizeof p->folder, "%s/store", p->root);
	(void)snprintf(p->keys, sizeof p->keys, "%s/keys", p->root);
	p->kit.struct_size = (uint32_t)sizeof p->kit;
	p->kit.user_data = p;
	make(p);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void t_place_destroy(t_place *p)
{
	rco_memory_free(p->memory);
	rco_directory_free(p->directory);
	close_spool(p);
	(void)nftw(p->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- a backend around another one: it answers later, or has a fault ---- */

typedef enum call { OPEN, APPEND, SEAL, READ, ERASE, BEGIN, PUT, COMMIT, ABORT, LIST, HEAD, REMOVE, VERIFY } call;

typedef struct job {
	struct job *next;
	call call;
	uint64_t op;
	const rco_recording *recording;
	const rco_chunk *chunk;
	const rco_object *object;
	const uint8_t *id;
	const void *put;
	void *data;
	size_t size;
	uint32_t leg, part;
	uint64_t position;
	rco_result *result; /* the kit's: not to be used later */
} job;

static t_wrapper *the_wrapper(void *user_data)
{
	return user_data;
}

/* How many bytes of a leg are held. */
typedef struct looked {
	const rco_chunk *chunk;
	uint64_t held;
} looked;

static void look(const rco_scanned *found, void *user_data)
{
	looked *l = user_data;

	if (memcmp(found->id, l->chunk->recording_id, 16) == 0)
		l->held = found->leg_bytes[l->chunk->leg % RCO_MAX_LEGS];
}

static int append(t_wrapper *w, const rco_chunk *chunk, uint64_t op, rco_result *result)
{
	const rco_buffer_ops *b = w->place->kit.buffer;
	looked l = {.chunk = chunk};
	rco_chunk moved = *chunk;
	int rc;

	(void)b->scan(look, &l, w->place->kit.buffer_user_data);
	if (w->fault == T_APPEND_TWICE && chunk->position_bytes < l.held)
		moved.position_bytes = l.held;
	rc = b->append(&moved, op, result, w->place->kit.buffer_user_data);
	if ((w->fault == T_APPEND_OPENS || w->fault == T_APPEND_LANDS_LATE) && rc == RCO_E_NOT_FOUND) {
		rco_recording recording = {.struct_size = (uint32_t)sizeof recording};

		memcpy(recording.id, chunk->recording_id, sizeof recording.id);
		(void)b->open(&recording, op, result, w->place->kit.buffer_user_data);
		rc = b->append(&moved, op, result, w->place->kit.buffer_user_data);
	}
	if (w->fault == T_OVERLAP_LOSES_TAIL && rc != RCO_OK && chunk->position_bytes < l.held) {
		result->confirmed = RCO_CONFIRM_DONE;
		rc = RCO_OK;
	}
	if (w->fault == T_ERROR_CONFIRMS && rc != RCO_OK)
		result->confirmed = RCO_CONFIRM_DONE;
	return rc;
}

static int confirm(rco_result *result, uint32_t what)
{
	result->confirmed = what;
	return RCO_OK;
}

static int run_buffer(t_wrapper *w, const job *j, rco_result *result)
{
	const rco_buffer_ops *b = w->place->kit.buffer;
	void *ud = w->place->kit.buffer_user_data;
	int rc;

	switch (j->call) {
	case OPEN:
		return b->open(j->recording, j->op, result, ud);
	case APPEND:
		return append(w, j->chunk, j->op, result);
	case SEAL:
		rc = b->seal(j->id, j->op, result, ud);
		if (w->fault == T_OK_UNCONFIRMED)
			result->confirmed = RCO_CONFIRM_UNKNOWN;
		return rc;
	case READ:
		rc = b->read(j->id, j->leg, j->position, j->data, j->size, j->op, result, ud);
		return rc == RCO_E_NOT_FOUND && w->fault == T_ERASED_READ_OK ? confirm(result, RCO_CONFIRM_DONE)
		                                                             : rc;
	default:
		return w->fault == T_ERASE_LIES ? confirm(result, RCO_CONFIRM_GONE)
		                                : b->erase(j->id, j->op, result, ud);
	}
}

/* Only the newest version. */
static int remove_newest(t_wrapper *w, const job *j, rco_result *result)
{
	rco_result head = {.struct_size = (uint32_t)sizeof head};
	rco_object one = *j->object;

	(void)w->place->kit.upload->head(&one, j->op, &head, w->place->kit.upload_user_data);
	one.version = one.version[0] == '\0' ? head.version : one.version;
	return w->place->kit.deletion->remove(&one, j->op, result, w->place->kit.deletion_user_data);
}

static int head_or_list(t_wrapper *w, const job *j, rco_result *result)
{
	const rco_upload_ops *u = w->place->kit.upload;
	void *ud = w->place->kit.upload_user_data;
	rco_result other = {.struct_size = (uint32_t)sizeof other};
	int rc = j->call == LIST ? u->list(j->object, j->op, result, ud) : u->head(j->object, j->op, result, ud);

	if (j->call == HEAD && w->fault == T_VISIBLE_EARLY && result->confirmed == RCO_CONFIRM_GONE) {
		(void)u->list(j->object, j->op, &other, ud);
		result->confirmed = other.confirmed;
	}
	if (j->call == LIST && w->fault == T_LIST_BLIND) {
		(void)u->head(j->object, j->op, &other, ud);
		result->count = other.confirmed == RCO_CONFIRM_PRESENT;
		result->confirmed = other.confirmed;
	}
	return rc;
}

static int put(t_wrapper *w, const job *j, rco_result *result)
{
	const rco_upload_ops *u = w->place->kit.upload;
	void *ud = w->place->kit.upload_user_data;
	rco_result begun = {.struct_size = (uint32_t)sizeof begun};
	rco_object again = *j->object;
	int rc;

	if (w->fault == T_CUT_OFF && w->restarted && j->part > 1)
		return confirm(result, RCO_CONFIRM_DONE);
	if (w->fault == T_PUT_KEEPS_FIRST) { /* answers later: on one thread */
		if (j->part <= w->last_part && strcmp(w->last_key, j->object->key) == 0)
			return confirm(result, RCO_CONFIRM_DONE);
		w->last_part = j->part;
		(void)snprintf(w->last_key, sizeof w->last_key, "%s", j->object->key);
	}
	rc = u->put(j->object, j->part, j->put, j->size, j->op, result, ud);
	/* A store that takes a part for what it belongs to, whatever became of that meanwhile. */
	if (w->fault == T_PUT_LANDS_LATE && rc != RCO_OK) {
		again.upload_id = "";
		(void)u->begin(&again, j->op, &begun, ud);
	}
	return rc;
}

static int give_up(t_wrapper *w, const job *j, rco_result *result)
{
	const rco_upload_ops *u = w->place->kit.upload;
	int rc;

	if (w->fault == T_ABORT_LEAVES || w->fault == T_COMMIT_LANDS_LATE ||
	    (w->fault == T_ABORT_NEEDS_ID && j->object->upload_id[0] == '\0'))
		return confirm(result, RCO_CONFIRM_GONE);
	rc = u->abort(j->object, j->op, result, w->place->kit.upload_user_data);
	if (w->fault == T_ABORT_TAKES_FILE)
		rc = w->place->kit.deletion->remove(j->object, j->op, result, w->place->kit.deletion_user_data);
	return rc;
}

static int run_files(t_wrapper *w, const job *j, rco_result *result)
{
	const rco_upload_ops *u = w->place->kit.upload;
	void *ud = w->place->kit.upload_user_data;
	int rc;

	switch (j->call) {
	case BEGIN:
		if (w->fault == T_PUT_KEEPS_FIRST)
			w->last_part = 0;
		return u->begin(j->object, j->op, result, ud);
	case PUT:
		return put(w, j, result);
	case COMMIT:
		rc = u->commit(j->object, j->op, result, ud);
		if (w->fault == T_COMMIT_FORGETS && w->restarted)
			return RCO_E_BUSY;
		return w->fault == T_COMMIT_ANY_ERROR && rc != RCO_OK ? RCO_E_IO : rc;
	case ABORT:
		return give_up(w, j, result);
	case REMOVE:
		if (w->fault == T_REMOVE_ONE_VERSION)
			return remove_newest(w, j, result);
		return w->place->kit.deletion->remove(j->object, j->op, result, w->place->kit.deletion_user_data);
	case VERIFY:
		if (w->fault == T_VERIFY_BLIND)
			return confirm(result, RCO_CONFIRM_GONE);
		return w->place->kit.deletion->verify(j->object, j->op, result, w->place->kit.deletion_user_data);
	default:
		return head_or_list(w, j, result);
	}
}

static int run_job(t_wrapper *w, const job *j, rco_result *result)
{
	if (w->failing && w->fault == T_FAILING_LIES && (j->call == ERASE || j->call == REMOVE))
		return confirm(result, RCO_CONFIRM_GONE);
	if (w->failing)
		return RCO_E_IO;
	return j->call <= ERASE ? run_buffer(w, j, result) : run_files(w, j, result);
}

/* As long as a store takes on a bad day; with the lock held, which it gives up meanwhile. */
static void be_slow(t_wrapper *w)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += SLOW_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
		;
}

/* What a store with this fault takes long for, when something else has overtaken it. */
static int is_slow(const t_wrapper *w, const job *j)
{
	switch (w->fault) {
	case T_ABORT_TOO_QUICK:
		return j->call == BEGIN;
	case T_PUT_LANDS_LATE:
		return j->call == PUT && j->size > LARGE;
	case T_COMMIT_LANDS_LATE:
		return j->call == COMMIT;
	case T_APPEND_LANDS_LATE:
		return j->call == APPEND && j->chunk->size_bytes > LARGE;
	default:
		return 0;
	}
}

/* And what overtakes it: answered at once, by who does not look what is under way. */
static int overtakes(const t_wrapper *w, const job *j)
{
	if (w->fault == T_COMMIT_LANDS_LATE && j->call == HEAD)
		return 1;
	if (w->fault == T_APPEND_LANDS_LATE)
		return j->call == ERASE;
	return j->call == ABORT &&
	       (w->fault == T_ABORT_TOO_QUICK || w->fault == T_PUT_LANDS_LATE || w->fault == T_COMMIT_LANDS_LATE);
}

/* The lock is held, and given up while the job runs. */
static void answer(t_wrapper *w, job *j)
{
	rco_result result = {.struct_size = (uint32_t)sizeof result};
	int rc, i;

	w->running = 1;
	if (is_slow(w, j))
		be_slow(w);
	(void)pthread_mutex_unlock(&w->lock);
	rc = run_job(w, j, &result);
	if (w->fault == T_RESULT_LATE)
		j->result->size_bytes = 1;
	(void)pthread_mutex_lock(&w->lock);
	if (w->fault == T_ANSWERS_DETACHED && j->call == REMOVE) {
		w->running = 0; /* `detach` waits for the work, and not for its answer */
		(void)pthread_cond_broadcast(&w->changed);
		for (i = 0; i < DETACH_TURNS && w->attached > 0; i++) /* which may not come at all */
			be_slow(w);
		be_slow(w);
	}
	(void)pthread_mutex_unlock(&w->lock);
	(void)rco_op_complete(w->engine, j->op, rc, &result);
	(void)rco_op_complete(w->engine, j->op, rc, &result); /* twice does no harm */
	free(j);
	(void)pthread_mutex_lock(&w->lock);
	w->running = 0;
	(void)pthread_cond_broadcast(&w->changed);
}

static void *answers(void *arg)
{
	t_wrapper *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	while (!w->quit) {
		job *j = w->jobs;

		if (j == NULL) {
			(void)pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		w->jobs = j->next;
		answer(w, j);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int submit(t_wrapper *w, const job *asked, rco_result *result)
{
	job *j, **at;

	if (w->fault == T_NEVER_ANSWERS && asked->call == SEAL)
		return RCO_PENDING;
	if (w->fault == T_NEVER_RETURNS && asked->call == SEAL)
		for (;;)
			(void)pause();
	if (!w->later || overtakes(w, asked))
		return run_job(w, asked, result);
	j = malloc(sizeof *j);
	if (j == NULL)
		return RCO_E_NO_MEMORY;
	*j = *asked;
	j->next = NULL;
	j->result = result;
	(void)pthread_mutex_lock(&w->lock);
	for (at = &w->jobs; *at != NULL; at = &(*at)->next)
		;
	*at = j;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
	return RCO_PENDING;
}

static int w_attach(rco_engine *engine, void *user_data)
{
	t_wrapper *w = the_wrapper(user_data);

	(void)pthread_mutex_lock(&w->lock);
	w->engine = engine;
	w->attached++;
	(void)pthread_mutex_unlock(&w->lock);
	return RCO_OK;
}

static void w_detach(rco_engine *engine, void *user_data)
{
	t_wrapper *w = the_wrapper(user_data);

	(void)engine;
	(void)pthread_mutex_lock(&w->lock);
	w->attached--;
	(void)pthread_cond_broadcast(&w->changed);
	while (w->jobs != NULL) {
		job *j = w->jobs;

		w->jobs = j->next;
		free(j);
	}
	while (w->running)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
}

static int w_open(const rco_recording *r, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = OPEN, .op = op, .recording = r}, result);
}

static int w_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = APPEND, .op = op, .chunk = chunk}, result);
}

static int w_seal(const uint8_t id[16], uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = SEAL, .op = op, .id = id}, result);
}

static int w_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                  rco_result *result, void *user_data)
{
	return submit(user_data,
	              &(job){.call = READ,
	                     .op = op,
	                     .id = id,
	                     .leg = leg,
	                     .position = position,
	                     .data = data,
	                     .size = cap},
	              result);
}

static void w_revoke(const uint8_t id[16], void *user_data)
{
	t_wrapper *w = the_wrapper(user_data);

	if (w->fault != T_REVOKE_NOTHING)
		w->place->kit.buffer->revoke(id, w->place->kit.buffer_user_data);
}

static int w_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = ERASE, .op = op, .id = id}, result);
}

/* Every second one that is held. */
typedef struct forgetful {
	rco_scan_fn found;
	void *user_data;
	int n;
} forgetful;

static void forget(const rco_scanned *found, void *user_data)
{
	forgetful *f = user_data;

	if (f->n++ % 2 == 1)
		f->found(found, f->user_data);
}

static int w_scan(rco_scan_fn found, void *found_user_data, void *user_data)
{
	t_wrapper *w = the_wrapper(user_data);
	const rco_conformance *inner = &w->place->kit;
	forgetful f = {.found = found, .user_data = found_user_data};

	if (w->fault == T_SCAN_FORGETS || (w->fault == T_SCAN_FORGETS_AFTER_RESTART && w->restarted))
		return inner->buffer->scan(forget, &f, inner->buffer_user_data);
	return inner->buffer->scan(found, found_user_data, inner->buffer_user_data);
}

static int w_begin(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = BEGIN, .op = op, .object = o}, result);
}

static int w_put(const rco_object *o, uint32_t part, const void *data, size_t size, uint64_t op,
                 rco_result *result, void *user_data)
{
	return submit(user_data,
	              &(job){.call = PUT, .op = op, .object = o, .part = part, .put = data, .size = size}, result);
}

static int w_commit(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = COMMIT, .op = op, .object = o}, result);
}

static int w_abort(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = ABORT, .op = op, .object = o}, result);
}

static int w_list(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = LIST, .op = op, .object = o}, result);
}

static int w_head(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = HEAD, .op = op, .object = o}, result);
}

static int w_remove(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = REMOVE, .op = op, .object = o}, result);
}

static int w_verify(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	return submit(user_data, &(job){.call = VERIFY, .op = op, .object = o}, result);
}

static const rco_buffer_ops w_buffer = {.struct_size = (uint32_t)sizeof w_buffer,
                                        .attach = w_attach,
                                        .detach = w_detach,
                                        .open = w_open,
                                        .append = w_append,
                                        .seal = w_seal,
                                        .read = w_read,
                                        .revoke = w_revoke,
                                        .erase = w_erase,
                                        .scan = w_scan};
static const rco_upload_ops w_upload = {.struct_size = (uint32_t)sizeof w_upload,
                                        .attach = w_attach,
                                        .detach = w_detach,
                                        .begin = w_begin,
                                        .put = w_put,
                                        .commit = w_commit,
                                        .abort = w_abort,
                                        .list = w_list,
                                        .head = w_head};
static const rco_deletion_ops w_deletion = {.struct_size = (uint32_t)sizeof w_deletion,
                                            .attach = w_attach,
                                            .detach = w_detach,
                                            .remove = w_remove,
                                            .verify = w_verify};

static int w_get(const char *key, void *buf, size_t cap, size_t *size, void *user_data)
{
	const rco_conformance *inner = &the_wrapper(user_data)->place->kit;

	return inner->get(key, buf, cap, size, inner->user_data);
}

static int w_reopen(rco_conformance *kit, void *user_data)
{
	t_wrapper *w = the_wrapper(user_data);
	rco_conformance *inner = &w->place->kit;

	(void)kit;
	assert_int_equal(w->attached, 0);
	w->restarted = 1;
	return inner->reopen != NULL ? inner->reopen(inner, inner->user_data) : RCO_OK;
}

static int w_fail(int failing, void *user_data)
{
	t_wrapper *w = the_wrapper(user_data);

	(void)pthread_mutex_lock(&w->lock);
	while (w->running)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	w->failing = failing;
	(void)pthread_mutex_unlock(&w->lock);
	return RCO_OK;
}

rco_conformance t_wrap(t_wrapper *w, t_place *p, t_fault planted, int later)
{
	rco_conformance kit = {
		.struct_size = (uint32_t)sizeof kit,
	};

	memset(w, 0, sizeof *w);
	w->place = p;
	w->fault = planted;
	w->later = later;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	kit.buffer = p->kit.buffer != NULL ? &w_buffer : NULL;
	kit.upload = p->kit.upload != NULL ? &w_upload : NULL;
	kit.deletion = p->kit.deletion != NULL ? &w_deletion : NULL;
	kit.buffer_user_data = kit.upload_user_data = kit.deletion_user_data = kit.user_data = w;
	kit.get = p->kit.get != NULL ? w_get : NULL;
	kit.reopen = w_reopen;
	kit.fail = w_fail;
	if (later)
		assert_int_equal(pthread_create(&w->thread, NULL, answers, w), 0);
	return kit;
}

void t_unwrap(t_wrapper *w)
{
	if (w->later) {
		(void)pthread_mutex_lock(&w->lock);
		w->quit = 1;
		(void)pthread_cond_broadcast(&w->changed);
		(void)pthread_mutex_unlock(&w->lock);
		assert_int_equal(pthread_join(w->thread, NULL), 0);
	}
	while (w->jobs != NULL) {
		job *j = w->jobs;

		w->jobs = j->next;
		free(j);
	}
	(void)pthread_cond_destroy(&w->changed);
	(void)pthread_mutex_destroy(&w->lock);
}
