/* SPDX-License-Identifier: MIT */
/* Backends that misbehave on demand: tables that wrap other tables. */
#include "support.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

/* A call of a slot with all that went into it, so that it can be made later. */
typedef struct t_request {
	int slot;
	uint8_t id[16];
	rco_recording recording;
	rco_chunk chunk;
	rco_object object;
	uint32_t part, leg;
	uint64_t position;
	const void *in;
	size_t size;
	void *out;
	void *copies[6];
} t_request;

struct t_held {
	t_held *next;
	t_fault *fault;
	uint64_t op;
	t_request request;
	int made; /* made already; code and result are known */
	int twice;
	int code;
	rco_result result;
};

static int make(t_fault *f, const t_request *r, rco_result *result)
{
	switch (r->slot) {
	case T_OPEN:
		return f->buffer->open(&r->recording, 0, result, f->buffer_ud);
	case T_APPEND:
		return f->buffer->append(&r->chunk, 0, result, f->buffer_ud);
	case T_FLUSH:
		if (f->buffer->flush != NULL)
			return f->buffer->flush(0, result, f->buffer_ud);
		break;
	case T_SEAL:
		if (f->buffer->seal != NULL)
			return f->buffer->seal(r->id, 0, result, f->buffer_ud);
		break;
	case T_READ:
		return f->buffer->read(r->id, r->leg, r->position, r->out, r->size, 0, result, f->buffer_ud);
	case T_ERASE:
		return f->buffer->erase(r->id, 0, result, f->buffer_ud);
	case T_BEGIN:
		return f->upload->begin(&r->object, 0, result, f->upload_ud);
	case T_PUT:
		return f->upload->put(&r->object, r->part, r->in, r->size, 0, result, f->upload_ud);
	case T_COMMIT:
		return f->upload->commit(&r->object, 0, result, f->upload_ud);
	case T_ABORT:
		return f->upload->abort(&r->object, 0, result, f->upload_ud);
	case T_LIST:
		return f->upload->list(&r->object, 0, result, f->upload_ud);
	case T_HEAD:
		return f->upload->head(&r->object, 0, result, f->upload_ud);
	case T_REMOVE:
		return f->deletion->remove(&r->object, 0, result, f->deletion_ud);
	case T_VERIFY:
		return f->deletion->verify(&r->object, 0, result, f->deletion_ud);
	default:
		return RCO_E_INTERNAL;
	}
	/* an optional slot that the backend does not have */
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int make_counted(t_fault *f, const t_request *r, rco_result *result)
{
	int rc = make(f, r, result);

	(void)pthread_mutex_lock(&f->lock);
	if (rc == RCO_OK) {
		f->slot[r->slot].done++;
		if (r->slot == T_APPEND)
			f->appended_bytes += r->chunk.size_bytes;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

static void *copy_of(t_request *r, int n, const void *data, size_t size)
{
	r->copies[n] = malloc(size > 0 ? size : 1);
	if (r->copies[n] == NULL)
		abort();
	if (size > 0)
		memcpy(r->copies[n], data, size);
	return r->copies[n];
}

static t_held *hold(t_fault *f, const t_request *r, uint64_t op)
{
	t_held *h = calloc(1, sizeof *h);
	t_request *c;

	if (h == NULL)
		abort();
	h->fault = f;
	h->op = op;
	h->request = *r;
	h->result.struct_size = (uint32_t)sizeof h->result;
	c = &h->request;
	if (r->recording.meta != NULL)
		c->recording.meta = copy_of(c, 0, r->recording.meta, r->recording.meta_bytes);
	if (r->chunk.data != NULL)
		c->chunk.data = copy_of(c, 1, r->chunk.data, r->chunk.size_bytes);
	if (r->in != NULL)
		c->in = copy_of(c, 2, r->in, r->size);
	if (r->object.key != NULL) {
		c->object.key = copy_of(c, 3, r->object.key, strlen(r->object.key) + 1);
		c->object.upload_id = copy_of(c, 4, r->object.upload_id, strlen(r->object.upload_id) + 1);
		c->object.version = copy_of(c, 5, r->object.version, strlen(r->object.version) + 1);
		c->object.call_id = "held";
	}
	return h;
}

static void held_free(t_held *h)
{
	size_t i;

	for (i = 0; i < sizeof h->request.copies / sizeof h->request.copies[0]; i++) {
		if (h->request.copies[i] != NULL) /* it may be audio, which a test looks for in all memory */
			rco_memzero(h->request.copies[i], malloc_usable_size(h->request.copies[i]));
		free(h->request.copies[i]);
	}
	free(h);
}

static int held_answer(t_held *h)
{
	if (!h->made)
		h->code = make_counted(h->fault, &h->request, &h->result);
	return rco_op_complete(h->fault->engine, h->op, h->code, &h->result);
}

static void *answer_thread(void *arg)
{
	t_held *h = arg;

	(void)held_answer(h);
	if (h->twice) {
		int rc = rco_op_complete(h->fault->engine, h->op, RCO_OK, &h->result);

		(void)pthread_mutex_lock(&h->fault->lock);
		h->fault->twice_rc = rc;
		(void)pthread_mutex_unlock(&h->fault->lock);
	}
	held_free(h);
	return NULL;
}

static int answer_from_thread(t_fault *f, t_held *h)
{
	(void)pthread_mutex_lock(&f->lock);
	if (f->n_threads == sizeof f->threads / sizeof f->threads[0])
		abort();
	t_thread(&f->threads[f->n_threads++], answer_thread, h);
	(void)pthread_mutex_unlock(&f->lock);
	return RCO_PENDING;
}

static int keep(t_fault *f, t_held *h)
{
	(void)pthread_mutex_lock(&f->lock);
	*f->held_tail = h;
	f->held_tail = &h->next;
	(void)pthread_cond_broadcast(&f->cond);
	(void)pthread_mutex_unlock(&f->lock);
	return RCO_PENDING;
}

static void block(t_fault *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->blocked++;
	(void)pthread_cond_broadcast(&f->cond);
	while (!f->unblock)
		(void)pthread_cond_wait(&f->cond, &f->lock);
	f->blocked--;
	(void)pthread_mutex_unlock(&f->lock);
}

static int concerns(const t_fault *f, const t_request *r)
{
	const uint8_t *id = r->slot == T_OPEN     ? r->recording.id
	                    : r->slot == T_APPEND ? r->chunk.recording_id
	                                          : r->id;

	if (r->slot <= T_ERASE && r->slot != T_FLUSH && f->only_one)
		return memcmp(id, f->only_id, 16) == 0;
	return f->only_kind == 0 || r->object.kind == 0 || r->object.kind == f->only_kind;
}

static _Thread_local int empties_rings;

static int enter(t_fault *f, const t_request *r, int *code)
{
	int mode;

	(void)pthread_mutex_lock(&f->lock);
	f->slot[r->slot].calls++;
	if (r->slot == T_APPEND)
		empties_rings = 1;
	f->mixed += r->slot == T_ERASE && empties_rings;
	if (r->object.kind == RCO_KIND_AUDIO)
		f->slot[r->slot].audio++;
	mode = f->slot[r->slot].mode;
	*code = f->slot[r->slot].code;
	if (!concerns(f, r))
		mode = T_PASS;
	else if (mode != T_PASS && f->slot[r->slot].times > 0 && --f->slot[r->slot].times == 0)
		f->slot[r->slot].mode = T_PASS;
	(void)pthread_mutex_unlock(&f->lock);
	return mode;
}

static int dispatch(t_fault *f, const t_request *r, uint64_t op, rco_result *result)
{
	int code, mode = enter(f, r, &code);
	t_held *h;

	switch (mode) {
	case T_FAIL:
		return code;
	case T_FAIL_DONE:
		(void)make_counted(f, r, result);
		result->confirmed = RCO_CONFIRM_UNKNOWN;
		return code;
	case T_UNCONFIRMED:
		return RCO_OK;
	case T_HOLD:
		return keep(f, hold(f, r, op));
	case T_DONE_HOLD:
		h = hold(f, r, op);
		h->code = make_counted(f, r, &h->result);
		h->made = 1;
		return keep(f, h);
	case T_THREAD:
		return answer_from_thread(f, hold(f, r, op));
	case T_TWICE:
		h = hold(f, r, op);
		h->twice = 1;
		return answer_from_thread(f, h);
	case T_INLINE:
		h = hold(f, r, op);
		(void)held_answer(h);
		held_free(h);
		return RCO_PENDING;
	case T_END_THREAD:
		pthread_exit(NULL);
	case T_BLOCK:
		block(f);
		if (code != RCO_OK)
			return code;
		break;
	default:
		break;
	}
	return make_counted(f, r, result);
}

/* ---- the tables ---- */

static int attach(rco_engine *engine, void *ud)
{
	((t_fault *)ud)->engine = engine;
	return RCO_OK;
}

static int b_open(const rco_recording *recording, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_OPEN, .recording = *recording};

	return dispatch(ud, &r, op, result);
}

static int b_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_APPEND, .chunk = *chunk};

	return dispatch(ud, &r, op, result);
}

static int b_flush(uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_FLUSH};

	return dispatch(ud, &r, op, result);
}

static int b_seal(const uint8_t id[16], uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_SEAL};

	memcpy(r.id, id, 16);
	return dispatch(ud, &r, op, result);
}

static int b_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                  rco_result *result, void *ud)
{
	t_request r = {.slot = T_READ, .leg = leg, .position = position, .out = data, .size = cap};

	memcpy(r.id, id, 16);
	return dispatch(ud, &r, op, result);
}

static void b_revoke(const uint8_t id[16], void *ud)
{
	t_request r = {.slot = T_REVOKE};
	t_fault *f = ud;
	int code;

	memcpy(r.id, id, 16);
	if (enter(f, &r, &code) == T_END_THREAD)
		pthread_exit(NULL);
	if (f->buffer->revoke != NULL)
		f->buffer->revoke(id, f->buffer_ud);
}

static int b_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_ERASE};

	memcpy(r.id, id, 16);
	return dispatch(ud, &r, op, result);
}

static int u_begin(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_BEGIN, .object = *object};

	return dispatch(ud, &r, op, result);
}

static int u_put(const rco_object *object, uint32_t part, const void *data, size_t size, uint64_t op,
                 rco_result *result, void *ud)
{
	t_request r = {.slot = T_PUT, .object = *object, .part = part, .in = data, .size = size};

	return dispatch(ud, &r, op, result);
}

static int u_commit(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_COMMIT, .object = *object};

	return dispatch(ud, &r, op, result);
}

static int u_abort(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_ABORT, .object = *object};

	return dispatch(ud, &r, op, result);
}

static int u_list(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_LIST, .object = *object};

	return dispatch(ud, &r, op, result);
}

static int u_head(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_HEAD, .object = *object};

	return dispatch(ud, &r, op, result);
}

static int d_remove(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_REMOVE, .object = *object};

	return dispatch(ud, &r, op, result);
}

static int d_verify(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	t_request r = {.slot = T_VERIFY, .object = *object};

	return dispatch(ud, &r, op, result);
}

const rco_buffer_ops t_fault_buffer_ops = {.struct_size = (uint32_t)sizeof(rco_buffer_ops),
                                           .flags = RCO_BUFFER_GAPS,
                                           .attach = attach,
                                           .open = b_open,
                                           .append = b_append,
                                           .flush = b_flush,
                                           .seal = b_seal,
                                           .read = b_read,
                                           .revoke = b_revoke,
                                           .erase = b_erase};

const rco_upload_ops t_fault_upload_ops = {.struct_size = (uint32_t)sizeof(rco_upload_ops),
                                           .attach = attach,
                                           .begin = u_begin,
                                           .put = u_put,
                                           .commit = u_commit,
                                           .abort = u_abort,
                                           .list = u_list,
                                           .head = u_head};

const rco_deletion_ops t_fault_deletion_ops = {.struct_size = (uint32_t)sizeof(rco_deletion_ops),
                                               .attach = attach,
                                               .remove = d_remove,
                                               .verify = d_verify};

/* ---- control ---- */

uint64_t t_fault_mixed(t_fault *f)
{
	uint64_t n;

	(void)pthread_mutex_lock(&f->lock);
	n = f->mixed;
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

void t_fault_init(t_fault *f)
{
	memset(f, 0, sizeof *f);
	(void)pthread_mutex_init(&f->lock, NULL);
	(void)pthread_cond_init(&f->cond, NULL);
	f->held_tail = &f->held;
}

void t_fault_quiet(t_fault *f)
{
	size_t i;

	t_fault_unblock(f);
	(void)pthread_mutex_lock(&f->lock);
	for (i = 0; i < T_SLOTS; i++)
		f->slot[i].mode = T_PASS;
	(void)pthread_mutex_unlock(&f->lock);
	for (i = 0; i < f->n_threads; i++)
		(void)pthread_join(f->threads[i], NULL);
	f->n_threads = 0;
	while (f->held != NULL) {
		t_held *next = f->held->next;

		held_free(f->held);
		f->held = next;
	}
	f->held_tail = &f->held;
}

void t_fault_destroy(t_fault *f)
{
	t_fault_quiet(f);
	(void)pthread_cond_destroy(&f->cond);
	(void)pthread_mutex_destroy(&f->lock);
}

void t_fault_set(t_fault *f, int slot, int mode, uint32_t times, int code)
{
	(void)pthread_mutex_lock(&f->lock);
	f->slot[slot].mode = mode;
	f->slot[slot].times = times;
	f->slot[slot].code = code;
	if (mode == T_BLOCK)
		f->unblock = 0;
	(void)pthread_mutex_unlock(&f->lock);
}

void t_fault_only(t_fault *f, rco_session *session)
{
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};

	assert_int_equal(rco_session_get_stats(session, &stats), RCO_OK);
	(void)pthread_mutex_lock(&f->lock);
	memcpy(f->only_id, stats.recording_id, 16);
	f->only_one = 1;
	(void)pthread_mutex_unlock(&f->lock);
}

uint64_t t_fault_calls(t_fault *f, int slot)
{
	uint64_t n;

	(void)pthread_mutex_lock(&f->lock);
	n = f->slot[slot].calls;
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

uint64_t t_fault_audio_calls(t_fault *f, int slot)
{
	uint64_t n;

	(void)pthread_mutex_lock(&f->lock);
	n = f->slot[slot].audio;
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

uint64_t t_fault_done(t_fault *f, int slot)
{
	uint64_t n;

	(void)pthread_mutex_lock(&f->lock);
	n = f->slot[slot].done;
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

size_t t_fault_held(t_fault *f, int slot)
{
	size_t n = 0;
	t_held *h;

	(void)pthread_mutex_lock(&f->lock);
	for (h = f->held; h != NULL; h = h->next)
		n += h->request.slot == slot;
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

static t_held *take_held(t_fault *f, int slot)
{
	t_held **at, *h;

	(void)pthread_mutex_lock(&f->lock);
	for (at = &f->held; *at != NULL && (*at)->request.slot != slot; at = &(*at)->next)
		;
	h = *at;
	if (h != NULL) {
		*at = h->next;
		if (h->next == NULL)
			f->held_tail = at;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return h;
}

int t_fault_release(t_fault *f, int slot)
{
	int rc = RCO_E_NOT_FOUND;
	t_held *h;

	while ((h = take_held(f, slot)) != NULL) {
		rc = held_answer(h);
		held_free(h);
	}
	return rc;
}

int t_fault_wait_blocked(t_fault *f)
{
	struct timespec until;
	int ok;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	(void)pthread_mutex_lock(&f->lock);
	while (f->blocked == 0 && pthread_cond_timedwait(&f->cond, &f->lock, &until) == 0)
		;
	ok = f->blocked > 0;
	(void)pthread_mutex_unlock(&f->lock);
	return ok;
}

void t_fault_unblock(t_fault *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->unblock = 1;
	(void)pthread_cond_broadcast(&f->cond);
	(void)pthread_mutex_unlock(&f->lock);
}
