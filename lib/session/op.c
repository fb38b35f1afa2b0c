/* SPDX-License-Identifier: MIT */
/*
 * Operations given to backends. A backend gets a number, not a pointer: index
 * and generation of a slot. So an answer that comes twice, too late, or for
 * something never asked is recognised, whatever the backend does.
 */
#include "core.h"
#include "work.h"

#include "../base/thread.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { OP_FREE = 0, OP_WAITING = 1, OP_ANSWERED = 2, OP_GIVEN_UP = 3 };

#define NO_OP UINT32_MAX

static const size_t result_v1_size = RCO__SIZE_THROUGH(rco_result, version);

void rco__result_init(rco_result *result)
{
	memset(result, 0, sizeof *result);
	result->struct_size = (uint32_t)sizeof *result;
}

static uint64_t op_id(const rco__op_slot *slot, uint32_t index)
{
	return ((uint64_t)slot->generation << 32) | index;
}

/* ops_lock held */
static rco__op_slot *op_find(rco_engine *engine, uint64_t op)
{
	uint32_t index = (uint32_t)op;

	if (index >= engine->n_ops || engine->ops[index].state == OP_FREE ||
	    engine->ops[index].generation != (uint32_t)(op >> 32))
		return NULL;
	return &engine->ops[index];
}

/* ops_lock held */
static int ops_grow(rco_engine *engine)
{
	uint32_t n = engine->n_ops == 0 ? 64 : engine->n_ops * 2, i;
	rco__op_slot *ops = rco__resize(&engine->env, engine->ops, n * sizeof *ops);

	if (ops == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an operation of a backend");
	memset(ops + engine->n_ops, 0, (n - engine->n_ops) * sizeof *ops);
	for (i = engine->n_ops; i < n; i++) {
		/* At random: what answers one engine late must not be taken for an answer by the next. */
		ops[i].generation = randombytes_random() | 1u;
		ops[i].next_free = i + 1 < n ? i + 1 : NO_OP;
	}
	engine->free_op = engine->n_ops;
	engine->ops = ops;
	engine->n_ops = n;
	return RCO_OK;
}

int rco__op_begin(rco_engine *engine, rco_session *session, rco__shard *shard, uint64_t *op)
{
	rco__op_slot *slot;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&engine->ops_lock);
	if (engine->n_ops == 0 || engine->free_op == NO_OP)
		rc = ops_grow(engine);
	if (rc == RCO_OK) {
		uint32_t index = engine->free_op;

		slot = &engine->ops[index];
		engine->free_op = slot->next_free;
		slot->state = OP_WAITING;
		slot->session = session;
		slot->shard = shard;
		if (session != NULL)
			rco__session_ref(session);
		*op = op_id(slot, index);
	}
	(void)pthread_mutex_unlock(&engine->ops_lock);
	return rc;
}

/* ops_lock held; returns the session whose reference the caller has to give back */
static rco_session *op_free(rco_engine *engine, rco__op_slot *slot)
{
	rco_session *session = slot->session;
	int i;

	for (i = 0; i < 2; i++) {
		if (slot->orphaned[i] == NULL)
			continue;
		rco_memzero(slot->orphaned[i], slot->orphaned_size[i]);
		rco__release(&engine->env, slot->orphaned[i]);
		slot->orphaned[i] = NULL;
	}
	if (slot->result != NULL)
		rco__release(&engine->env, slot->result);
	slot->result = NULL;
	slot->session = NULL;
	slot->state = OP_FREE;
	slot->generation += 1u + (slot->generation == UINT32_MAX); /* no operation has the number 0 */
	slot->next_free = engine->free_op;
	engine->free_op = (uint32_t)(slot - engine->ops);
	return session;
}

void rco__op_end(rco_engine *engine, uint64_t op)
{
	rco_session *session = NULL;
	rco__op_slot *slot;

	(void)pthread_mutex_lock(&engine->ops_lock);
	slot = op_find(engine, op);
	if (slot != NULL)
		session = op_free(engine, slot);
	(void)pthread_mutex_unlock(&engine->ops_lock);
	if (session != NULL)
		rco__session_unref(session);
}

int rco__op_take(rco_engine *engine, uint64_t op, rco_result *result)
{
	rco_session *session = NULL;
	rco__op_slot *slot;
	int rc;

	rco__result_init(result);
	(void)pthread_mutex_lock(&engine->ops_lock);
	slot = op_find(engine, op);
	if (slot == NULL) {
		rc = RCO_E_STALE;
	} else if (slot->state == OP_WAITING) {
		rc = RCO_PENDING;
	} else {
		rc = slot->code;
		if (slot->result != NULL)
			*result = *slot->result;
		session = op_free(engine, slot);
	}
	(void)pthread_mutex_unlock(&engine->ops_lock);
	if (session != NULL)
		rco__session_unref(session);
	return rc;
}

void rco__op_give_up(rco_engine *engine, uint64_t op, void *args, size_t args_size, void *audio, size_t audio_size)
{
	rco_session *session = NULL;
	rco__op_slot *slot;

	(void)pthread_mutex_lock(&engine->ops_lock);
	slot = op_find(engine, op);
	if (slot != NULL) {
		int answered = slot->state == OP_ANSWERED;

		slot->orphaned[0] = args;
		slot->orphaned_size[0] = args_size;
		slot->orphaned[1] = audio;
		slot->orphaned_size[1] = audio_size;
		slot->state = OP_GIVEN_UP;
		if (answered)
			session = op_free(engine, slot);
	}
	(void)pthread_mutex_unlock(&engine->ops_lock);
	if (session != NULL)
		rco__session_unref(session);
}

void rco__ops_destroy(rco_engine *engine)
{
	uint32_t i;

	for (i = 0; i < engine->n_ops; i++) {
		rco_session *session = NULL;

		(void)pthread_mutex_lock(&engine->ops_lock);
		if (engine->ops[i].state != OP_FREE)
			session = op_free(engine, &engine->ops[i]);
		(void)pthread_mutex_unlock(&engine->ops_lock);
		if (session != NULL)
			rco__session_unref(session);
	}
	if (engine->ops != NULL)
		rco__release(&engine->env, engine->ops);
	engine->ops = NULL;
	engine->n_ops = 0;
}

/* ops_lock held. An answer whose result cannot be kept counts as unconfirmed, which is tried again. */
static void op_answer(rco_engine *engine, rco__op_slot *slot, int code, const rco_result *result)
{
	slot->code = code;
	slot->state = OP_ANSWERED;
	if (result == NULL)
		return;
	slot->result = rco__alloc(&engine->env, sizeof *slot->result);
	if (slot->result == NULL)
		slot->code = RCO_E_NO_MEMORY;
	else
		*slot->result = *result;
}

int rco_op_complete(rco_engine *engine, uint64_t op, int code, const rco_result *result)
{
	rco_session *wake = NULL, *drop = NULL;
	rco__shard *shard = NULL;
	rco__op_slot *slot;
	rco_result copy;
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (code > 0)
		return rco__fail(RCO_E_INVALID, "an operation is completed with RCO_OK or an error, not with %d",
		                 code);
	if (result != NULL) {
		rc = rco__struct_copy(&copy, sizeof copy, result_v1_size, result, "rco_result");
		if (rc != RCO_OK)
			return rc;
		copy.upload_id[sizeof copy.upload_id - 1] = '\0';
		copy.version[sizeof copy.version - 1] = '\0';
	}
	(void)pthread_mutex_lock(&engine->ops_lock);
	slot = op_find(engine, op);
	if (slot == NULL || slot->state == OP_ANSWERED) {
		rc = rco__fail(RCO_E_STALE, "operation %llu was answered before, or was never asked",
		               (unsigned long long)op);
	} else if (slot->state == OP_GIVEN_UP) {
		rc = rco__fail(RCO_E_STALE, "operation %llu had timed out", (unsigned long long)op);
		drop = op_free(engine, slot);
	} else {
		op_answer(engine, slot, code, result != NULL ? &copy : NULL);
		wake = slot->session;
		shard = slot->shard;
		if (wake != NULL)
			rco__session_ref(wake);
		else if (shard == NULL)
			(void)pthread_cond_broadcast(&engine->ops_answered);
	}
	(void)pthread_mutex_unlock(&engine->ops_lock);
	if (wake != NULL) {
		rco__session_wake(wake);
		rco__session_unref(wake);
	} else if (shard != NULL) {
		rco__shard_wake(shard);
	}
	if (drop != NULL)
		rco__session_unref(drop);
	return rc;
}

/* ---- for libraries on top ---- */

int rco_op_create(rco_engine *engine, uint64_t *op)
{
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (op == NULL)
		return rco__fail(RCO_E_INVALID, "rco_op_create: op is NULL");
	return rco__op_begin(engine, NULL, NULL, op);
}

/* ops_lock held. The engine's own, which somebody else waits for, are none of these. */
static int op_waits(rco_engine *engine, uint64_t op)
{
	const rco__op_slot *slot = op_find(engine, op);

	if (slot == NULL || slot->session != NULL || slot->shard != NULL)
		return RCO_E_STALE;
	return slot->state == OP_WAITING ? RCO_PENDING : RCO_OK;
}

static int op_wait(rco_engine *engine, uint64_t op, uint32_t timeout_ms)
{
	struct timespec until = rco__deadline_in(timeout_ms);
	int rc, err = 0;

	(void)pthread_mutex_lock(&engine->ops_lock);
	while ((rc = op_waits(engine, op)) == RCO_PENDING && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&engine->ops_answered, &engine->ops_lock, &until);
	(void)pthread_mutex_unlock(&engine->ops_lock);
	if (rc == RCO_PENDING)
		return rco__fail(RCO_E_TIMEOUT, "operation %llu is not answered yet", (unsigned long long)op);
	if (rc == RCO_E_STALE)
		return rco__fail(rc, "operation %llu is not one of rco_op_create() that waits",
		                 (unsigned long long)op);
	return rc;
}

int rco_op_wait(rco_engine *engine, uint64_t op, uint32_t timeout_ms, int *code, rco_result *result)
{
	rco_result answer;
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (code == NULL)
		return rco__fail(RCO_E_INVALID, "rco_op_wait: code is NULL");
	rco__result_init(&answer);
	/* Before anything is taken: what does not fit must not be lost. */
	rc = result != NULL ? rco__struct_fill(result, &answer, sizeof answer, result_v1_size, "rco_result")
	                    : RCO_OK;
	if (rc == RCO_OK)
		rc = op_wait(engine, op, timeout_ms);
	if (rc != RCO_OK)
		return rc;
	*code = rco__op_take(engine, op, &answer);
	return result != NULL ? rco__struct_fill(result, &answer, sizeof answer, result_v1_size, "rco_result")
	                      : RCO_OK;
}

/* The shard's, lent to the session until the backend has answered; one of its own only while that takes long. */
static int borrow_args(rco_session *session)
{
	rco__shard *shard = &session->engine->shards[session->shard];

	session->work.args = shard->args != NULL
	                             ? shard->args
	                             : rco__zalloc(&session->engine->env, 1, sizeof *session->work.args);
	shard->args = NULL;
	return session->work.args != NULL ? RCO_OK
	                                  : rco__fail(RCO_E_NO_MEMORY, "no memory for an operation of a backend");
}

static void return_args(rco_session *session)
{
	rco__shard *shard = &session->engine->shards[session->shard];

	if (session->work.args != NULL && shard->args == NULL)
		shard->args = session->work.args;
	else if (session->work.args != NULL)
		rco__release(&session->engine->env, session->work.args);
	session->work.args = NULL;
}

/* What the backend may still be reading stays with the operation. */
static void job_give_up(rco_session *session)
{
	void *orphaned = NULL;
	size_t size = 0;

	if (session->work.drain.buf != NULL) {
		orphaned = session->work.drain.buf;
		size = session->work.drain.size;
		session->work.drain.buf = NULL;
	} else if (session->work.record.text != NULL) {
		orphaned = session->work.record.text;
		size = session->work.record.size;
		session->work.record.text = NULL;
	} else {
		orphaned = rco__export_detach(session, &size);
	}
	rco__op_give_up(session->engine, session->work.op, session->work.args, sizeof *session->work.args,
	                orphaned, size);
	session->work.args = NULL;
	session->work.op = 0;
}

/* Every error has a sentence, for who reads the event that tells it. */
static int answered(const rco_session *s, int rc)
{
	if (rc > 0 && rc != RCO_PENDING)
		return rco__fail(RCO_E_UNCONFIRMED, "call %s: a backend answered with %d, which is no code",
		                 s->call_id, rc);
	if (rc < 0 && rco_error_detail()[0] == '\0')
		return rco__fail(rc, "call %s: a backend answered with %s", s->call_id, rco_error_name(rc));
	return rc;
}

int rco__job_call(rco_session *session, rco__call_fn call, rco_result *result)
{
	rco_engine *engine = session->engine;
	int64_t now = rco__mono_us(&engine->env);
	int rc;

	rco__result_init(result);
	if (session->work.op == 0) {
		uint64_t op;

		rc = borrow_args(session);
		if (rc == RCO_OK)
			rc = rco__op_begin(engine, session, NULL, &op);
		if (rc != RCO_OK) {
			return_args(session);
			return rc;
		}
		session->work.op = op; /* already now, in case that the thread ends in there */
		session->work.op_deadline_us = now + (int64_t)engine->cfg.backend_timeout_ms * 1000;
		RCO__ASK_HOST(engine, rc, call(session, op, result));
		result->upload_id[sizeof result->upload_id - 1] = '\0';
		result->version[sizeof result->version - 1] = '\0';
		if (rc != RCO_PENDING) {
			session->work.op = 0;
			rco__op_end(engine, op);
			return_args(session);
			return answered(session, rc);
		}
	}
	rco__error_clear();
	rc = rco__op_take(engine, session->work.op, result);
	if (rc == RCO_PENDING && now >= session->work.op_deadline_us) {
		job_give_up(session);
		return rco__fail(RCO_E_TIMEOUT, "call %s: a backend has not answered in time", session->call_id);
	}
	if (rc != RCO_PENDING) {
		session->work.op = 0;
		return_args(session);
	}
	return answered(session, rc);
}

int rco__job_confirm(rco_session *s, rco__call_fn call, uint32_t confirmed, rco_result *result)
{
	int rc = rco__job_call(s, call, result);

	if (rc == RCO_OK && result->confirmed != confirmed)
		return rco__fail(RCO_E_UNCONFIRMED,
		                 "call %s: a backend answered with success but did not confirm it", s->call_id);
	return rc;
}

int rco__job_busy(rco_session *session)
{
	rco_result ignored;

	if (session->work.op == 0)
		return 0;
	if (rco__mono_us(&session->engine->env) >= session->work.op_deadline_us) {
		job_give_up(session);
		return 0;
	}
	if (rco__op_take(session->engine, session->work.op, &ignored) == RCO_PENDING)
		return 1;
	session->work.op = 0;
	return_args(session);
	return 0;
}
