/* SPDX-License-Identifier: MIT */
/*
 * Slots and their answers. Each slot runs on a thread of its own, so that one
 * that never returns holds up nothing but its obligation; what is passed in
 * lives on the heap until it is answered, so that a sanitizer sees who uses it
 * longer.
 */
#include "kit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MISSES = 2, LATER_MARK = 0xa5 };

static const struct {
	const char *name;
	uint32_t confirm[2]; /* what an RCO_OK confirms */
} slots[RCO__KIT_SLOTS] = {
	[RCO__KIT_ATTACH] = {"attach", {0, 0}},
	[RCO__KIT_DO_DETACH] = {"detach", {0, 0}},
	[RCO__KIT_DO_SCAN] = {"scan", {0, 0}},
	[RCO__KIT_DO_REVOKE] = {"revoke", {0, 0}},
	[RCO__KIT_OPEN] = {"open", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_APPEND] = {"append", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_FLUSH] = {"flush", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_SEAL] = {"seal", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_READ] = {"read", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_ERASE] = {"erase", {RCO_CONFIRM_GONE, RCO_CONFIRM_GONE}},
	[RCO__KIT_BEGIN] = {"begin", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_PUT] = {"put", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_COMMIT] = {"commit", {RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}},
	[RCO__KIT_ABORT] = {"abort", {RCO_CONFIRM_GONE, RCO_CONFIRM_GONE}},
	[RCO__KIT_LIST] = {"list", {RCO_CONFIRM_GONE, RCO_CONFIRM_PRESENT}},
	[RCO__KIT_HEAD] = {"head", {RCO_CONFIRM_GONE, RCO_CONFIRM_PRESENT}},
	[RCO__KIT_REMOVE] = {"remove", {RCO_CONFIRM_GONE, RCO_CONFIRM_GONE}},
	[RCO__KIT_VERIFY] = {"verify", {RCO_CONFIRM_GONE, RCO_CONFIRM_PRESENT}},
};

const char *rco__kit_slot_name(rco__kit_slot slot)
{
	return slots[slot].name;
}

/* ---- the context ---- */

int rco__kit_over(const rco__kit_ctx *c)
{
	return c->broken[0] != '\0' || c->not_tried[0] != '\0';
}

void rco__kit_broken(rco__kit_ctx *c, const char *format, ...)
{
	va_list args;

	if (rco__kit_over(c))
		return;
	va_start(args, format);
	(void)vsnprintf(c->broken, sizeof c->broken, format, args);
	va_end(args);
}

void rco__kit_expect(rco__kit_ctx *c, int holds, const char *otherwise)
{
	if (!holds)
		rco__kit_broken(c, "%s", otherwise);
}

/* The first time that a rule is broken is the one that is told. */
static void break_rule(rco__kit_run *run, int rule, const rco__kit_asked *a, const char *what)
{
	(void)pthread_mutex_lock(&run->lock);
	if (run->rule[rule][0] == '\0')
		(void)snprintf(run->rule[rule], RCO__KIT_SEEN, "%s %s", slots[a->slot].name, what);
	(void)pthread_mutex_unlock(&run->lock);
}

/* ---- time ---- */

static struct timespec deadline_in(uint32_t ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (int)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

/* ---- what is asked ---- */

static uint32_t table_of(rco__kit_slot slot)
{
	if (slot >= RCO__KIT_REMOVE)
		return RCO__KIT_DELETION;
	return slot >= RCO__KIT_BEGIN ? RCO__KIT_UPLOAD : RCO__KIT_BUFFER;
}

/* Has this slot let earlier checks wait for nothing? Then it would be so with every one that follows. */
static int refuse(rco__kit_ctx *c, rco__kit_slot slot, uint32_t table)
{
	rco__kit_run *run = c->run;

	(void)pthread_mutex_lock(&run->lock);
	if (run->stuck & table)
		(void)snprintf(c->not_tried, sizeof c->not_tried, "a slot of this table has not returned before");
	else if (!(run->attached & table))
		(void)snprintf(c->not_tried, sizeof c->not_tried, "the table could not be attached again");
	else if (run->missed[slot] >= MISSES)
		(void)snprintf(c->not_tried, sizeof c->not_tried, "%s did not answer twice before",
		               slots[slot].name);
	(void)pthread_mutex_unlock(&run->lock);
	return rco__kit_over(c);
}

rco__kit_asked *rco__kit_new(rco__kit_ctx *c, rco__kit_slot slot, size_t size)
{
	rco__kit_asked *a;

	if (rco__kit_over(c) || refuse(c, slot, table_of(slot)))
		return NULL;
	a = calloc(1, sizeof *a);
	if (a != NULL)
		a->data = calloc(1, size > 0 ? size : 1);
	if (a == NULL || a->data == NULL) {
		free(a);
		(void)snprintf(c->not_tried, sizeof c->not_tried, "there is no memory for the kit");
		return NULL;
	}
	a->run = c->run;
	a->slot = slot;
	a->table = table_of(slot);
	a->size = size;
	return a;
}

void rco__kit_done(rco__kit_asked *asked)
{
	if (asked != NULL)
		free(asked->data);
	free(asked);
}

static rco__kit_asked *copy_of(rco__kit_ctx *c, const rco__kit_asked *a)
{
	rco__kit_asked *copy = rco__kit_new(c, a->slot, a->size);
	uint8_t *data;

	if (copy == NULL)
		return NULL;
	data = copy->data;
	*copy = *a;
	copy->data = data;
	memcpy(data, a->data, a->size);
	return copy;
}

/* What points into it, once it is where it stays. */
static void point(rco__kit_asked *a)
{
	a->recording.struct_size = (uint32_t)sizeof a->recording;
	memcpy(a->recording.id, a->id, sizeof a->id);
	a->recording.meta = a->recording.meta_bytes > 0 ? a->meta : NULL;
	a->chunk.struct_size = (uint32_t)sizeof a->chunk;
	memcpy(a->chunk.recording_id, a->id, sizeof a->id);
	a->chunk.data = a->chunk.flags & RCO_CHUNK_GAP ? NULL : a->data;
	a->object.struct_size = (uint32_t)sizeof a->object;
	memcpy(a->object.recording_id, a->id, sizeof a->id);
	a->object.key = a->key;
	a->object.upload_id = a->upload_id;
	a->object.version = a->version;
	a->object.call_id = "conformance";
	a->object.content_type = a->object.kind == RCO_KIND_METADATA ? "application/json" : "audio/vnd.wave";
	memset(&a->in_slot, 0, sizeof a->in_slot);
	a->in_slot.struct_size = (uint32_t)sizeof a->in_slot;
}

/* ---- calling ---- */

static int attach_table(const rco__kit_asked *a)
{
	const rco__kit_run *run = a->run;

	if (a->table == RCO__KIT_BUFFER && run->buffer.attach != NULL)
		return run->buffer.attach(run->engine, run->own.buffer_user_data);
	if (a->table == RCO__KIT_UPLOAD && run->upload.attach != NULL)
		return run->upload.attach(run->engine, run->own.upload_user_data);
	if (a->table == RCO__KIT_DELETION && run->deletion.attach != NULL)
		return run->deletion.attach(run->engine, run->own.deletion_user_data);
	return RCO_OK;
}

static void detach_table(const rco__kit_asked *a)
{
	const rco__kit_run *run = a->run;

	if (a->table == RCO__KIT_BUFFER && run->buffer.detach != NULL)
		run->buffer.detach(run->engine, run->own.buffer_user_data);
	else if (a->table == RCO__KIT_UPLOAD && run->upload.detach != NULL)
		run->upload.detach(run->engine, run->own.upload_user_data);
	else if (a->table == RCO__KIT_DELETION && run->deletion.detach != NULL)
		run->deletion.detach(run->engine, run->own.deletion_user_data);
}

static int call_buffer(rco__kit_asked *a)
{
	const rco_buffer_ops *t = &a->run->buffer;
	void *ud = a->run->own.buffer_user_data;

	switch (a->slot) {
	case RCO__KIT_DO_SCAN:
		return t->scan(a->found, a->found_user_data, ud);
	case RCO__KIT_DO_REVOKE:
		t->revoke(a->id, ud);
		return RCO_OK;
	case RCO__KIT_OPEN:
		return t->open(&a->recording, a->op, &a->in_slot, ud);
	case RCO__KIT_APPEND:
		return t->append(&a->chunk, a->op, &a->in_slot, ud);
	case RCO__KIT_FLUSH:
		return t->flush(a->op, &a->in_slot, ud);
	case RCO__KIT_SEAL:
		return t->seal(a->id, a->op, &a->in_slot, ud);
	case RCO__KIT_READ:
		return t->read(a->id, a->leg, a->position, a->data, a->size, a->op, &a->in_slot, ud);
	default:
		return t->erase(a->id, a->op, &a->in_slot, ud);
	}
}

static int call_files(rco__kit_asked *a)
{
	const rco_upload_ops *u = &a->run->upload;
	const rco_deletion_ops *d = &a->run->deletion;
	void *u_ud = a->run->own.upload_user_data, *d_ud = a->run->own.deletion_user_data;

	switch (a->slot) {
	case RCO__KIT_BEGIN:
		return u->begin(&a->object, a->op, &a->in_slot, u_ud);
	case RCO__KIT_PUT:
		return u->put(&a->object, a->part, a->data, a->size, a->op, &a->in_slot, u_ud);
	case RCO__KIT_COMMIT:
		return u->commit(&a->object, a->op, &a->in_slot, u_ud);
	case RCO__KIT_ABORT:
		return u->abort(&a->object, a->op, &a->in_slot, u_ud);
	case RCO__KIT_LIST:
		return u->list(&a->object, a->op, &a->in_slot, u_ud);
	case RCO__KIT_HEAD:
		return u->head(&a->object, a->op, &a->in_slot, u_ud);
	case RCO__KIT_REMOVE:
		return d->remove(&a->object, a->op, &a->in_slot, d_ud);
	default:
		return d->verify(&a->object, a->op, &a->in_slot, d_ud);
	}
}

static void *run_slot(void *arg)
{
	rco__kit_asked *a = arg;
	int code = RCO_OK;

	if (a->slot == RCO__KIT_ATTACH)
		code = attach_table(a);
	else if (a->slot == RCO__KIT_DO_DETACH)
		detach_table(a);
	else
		code = a->table == RCO__KIT_BUFFER ? call_buffer(a) : call_files(a);
	(void)snprintf(a->detail, sizeof a->detail, "%s", code < 0 ? rco_error_detail() : "");
	(void)pthread_mutex_lock(&a->run->lock);
	a->code = code;
	a->returned = 1;
	(void)pthread_cond_broadcast(&a->run->changed);
	(void)pthread_mutex_unlock(&a->run->lock);
	return NULL;
}

static int wait_returned(rco__kit_asked *a)
{
	struct timespec until = deadline_in(a->run->own.timeout_ms);
	rco__kit_run *run = a->run;
	int rc = 0, returned;

	(void)pthread_mutex_lock(&run->lock);
	while (!a->returned && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&run->changed, &run->lock, &until);
	returned = a->returned;
	if (!returned)
		run->stuck |= a->table;
	(void)pthread_mutex_unlock(&run->lock);
	return returned;
}

/* After RCO_PENDING the result is no longer the backend's: whoever writes to it then is seen. */
static void mark_result(rco__kit_asked *a)
{
	a->answer = a->in_slot;
	memset(&a->in_slot, LATER_MARK, sizeof a->in_slot);
}

/* An operation that was answered at once is over as well. */
static void end_op(rco__kit_run *run, uint64_t op)
{
	rco_result ignored = {.struct_size = (uint32_t)sizeof ignored};
	int code;

	if (op == 0)
		return;
	(void)rco_op_complete(run->engine, op, RCO_E_TIMEOUT, NULL);
	(void)rco_op_wait(run->engine, op, 0, &code, &ignored);
}

static rco__kit_asked *not_started(rco__kit_ctx *c, rco__kit_asked *a, const char *why)
{
	end_op(c->run, a->op);
	rco__kit_done(a);
	if (!rco__kit_over(c))
		(void)snprintf(c->not_tried, sizeof c->not_tried, "%s", why);
	return NULL;
}

rco__kit_asked *rco__kit_start(rco__kit_ctx *c, rco__kit_asked *a)
{
	if (a == NULL)
		return NULL;
	point(a);
	if (rco__kit_over(c))
		return not_started(c, a, "");
	if (a->slot >= RCO__KIT_OPEN && rco_op_create(c->run->engine, &a->op) != RCO_OK)
		return not_started(c, a, "the kit's engine has no operation left");
	if (pthread_create(&a->thread, NULL, run_slot, a) != 0)
		return not_started(c, a, "the system starts no more threads");
	if (!wait_returned(a)) {
		(void)pthread_detach(a->thread);
		rco__kit_broken(c, "%s has not returned after %u ms", slots[a->slot].name,
		                (unsigned)c->run->own.timeout_ms);
		return NULL; /* it is left where it is: see rco_conformance_run() */
	}
	(void)pthread_join(a->thread, NULL);
	mark_result(a);
	return a;
}

/* ---- answers ---- */

static int is_text(const char *text, size_t cap)
{
	return memchr(text, '\0', cap) != NULL;
}

/* What the headers ask of every answer. The check goes on as if it had been kept. */
static void judge(rco__kit_asked *a)
{
	const rco_result *r = &a->answer;

	if (a->code > 0)
		break_rule(a->run, RCO__KIT_RULE_FORM, a, "answered with a number that is no code");
	if (!is_text(r->upload_id, sizeof r->upload_id) || !is_text(r->version, sizeof r->version))
		break_rule(a->run, RCO__KIT_RULE_FORM, a, "answered with a text that does not end in NUL");
	if (a->code == RCO_OK && r->confirmed != slots[a->slot].confirm[0] &&
	    r->confirmed != slots[a->slot].confirm[1])
		break_rule(a->run, RCO__KIT_RULE_CONFIRM, a,
		           r->confirmed == RCO_CONFIRM_UNKNOWN ? "answered RCO_OK and confirmed nothing"
		                                               : "answered RCO_OK and confirmed something else");
	if (a->code < 0 && r->confirmed != RCO_CONFIRM_UNKNOWN)
		break_rule(a->run, RCO__KIT_RULE_ERROR, a, "answered with an error, and confirmed all the same");
	a->answer.upload_id[sizeof r->upload_id - 1] = '\0';
	a->answer.version[sizeof r->version - 1] = '\0';
}

static void judge_result(rco__kit_asked *a)
{
	const uint8_t *bytes = (const uint8_t *)&a->in_slot;
	size_t i;

	for (i = 0; i < sizeof a->in_slot; i++)
		if (bytes[i] != LATER_MARK) {
			break_rule(a->run, RCO__KIT_RULE_RESULT, a, "wrote to `result` after it had returned");
			return;
		}
}

void rco__kit_give_up(rco__kit_run *run, rco__kit_asked *a)
{
	if (a == NULL)
		return;
	end_op(run, a->op);
	if (a->code != RCO_PENDING) {
		rco__kit_done(a);
		return;
	}
	(void)pthread_mutex_lock(&run->lock);
	a->next = run->given_up;
	run->given_up = a;
	(void)pthread_mutex_unlock(&run->lock);
}

rco__kit_asked *rco__kit_finish_if(rco__kit_ctx *c, rco__kit_asked *a, uint32_t timeout_ms)
{
	rco_result answer = {.struct_size = (uint32_t)sizeof answer};
	int code = RCO_OK;

	if (a == NULL || a->op == 0)
		return a;
	if (a->code != RCO_PENDING) {
		end_op(c->run, a->op);
	} else {
		if (rco_op_wait(c->run->engine, a->op, timeout_ms, &code, &answer) != RCO_OK) {
			rco__kit_give_up(c->run, a);
			return NULL;
		}
		judge_result(a);
		a->code = code;
		a->answer = answer;
	}
	a->op = 0;
	judge(a);
	return a;
}

rco__kit_asked *rco__kit_finish(rco__kit_ctx *c, rco__kit_asked *a)
{
	rco__kit_slot slot;

	if (a == NULL)
		return NULL;
	slot = a->slot;
	a = rco__kit_finish_if(c, a, c->run->own.timeout_ms);
	if (a != NULL)
		return a;
	rco__kit_broken(c, "%s did not answer in %u ms", slots[slot].name, (unsigned)c->run->own.timeout_ms);
	(void)pthread_mutex_lock(&c->run->lock);
	c->run->missed[slot]++;
	(void)pthread_mutex_unlock(&c->run->lock);
	return NULL;
}

rco__kit_asked *rco__kit_ask(rco__kit_ctx *c, rco__kit_asked *a)
{
	if (a != NULL && c->hasty && a->slot >= RCO__KIT_OPEN)
		rco__kit_give_up(c->run, rco__kit_start(c, copy_of(c, a)));
	return rco__kit_finish(c, rco__kit_start(c, a));
}

/* ---- attach, detach ---- */

static uint32_t tables(const rco__kit_run *run)
{
	return (run->own.buffer != NULL ? RCO__KIT_BUFFER : 0u) |
	       (run->own.upload != NULL ? RCO__KIT_UPLOAD : 0u) |
	       (run->own.deletion != NULL ? RCO__KIT_DELETION : 0u);
}

static int ask_table(rco__kit_ctx *c, rco__kit_slot slot, uint32_t table)
{
	rco__kit_asked *a = calloc(1, sizeof *a);
	int rc;

	if (a == NULL)
		return RCO_E_NO_MEMORY;
	a->run = c->run;
	a->slot = slot;
	a->table = table;
	a = rco__kit_start(c, a);
	if (a == NULL)
		return RCO_E_TIMEOUT;
	rc = a->code;
	rco__kit_done(a);
	return rc;
}

/* In a context of its own: also after an obligation was broken the next one needs its tables. */
int rco__kit_attach(rco__kit_ctx *c)
{
	rco__kit_ctx own = {.run = c->run};
	uint32_t table;
	int rc = RCO_OK;

	for (table = RCO__KIT_BUFFER; table <= RCO__KIT_DELETION && rc == RCO_OK; table <<= 1) {
		if (!(tables(c->run) & table) || (c->run->attached & table))
			continue;
		rc = ask_table(&own, RCO__KIT_ATTACH, table);
		if (rc == RCO_OK)
			c->run->attached |= table;
	}
	if (rc != RCO_OK)
		rco__kit_broken(c, "attach answered %s", rco_error_name(rc));
	return rc;
}

/* What was given up before is nobody's now. */
static void drop_given_up(rco__kit_run *run)
{
	rco__kit_asked *a, **at, *dropped = NULL;

	(void)pthread_mutex_lock(&run->lock);
	at = &run->given_up;
	while ((a = *at) != NULL) {
		if (run->attached & a->table) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		a->next = dropped;
		dropped = a;
	}
	(void)pthread_mutex_unlock(&run->lock);
	while ((a = dropped) != NULL) {
		dropped = a->next;
		judge_result(a);
		rco__kit_done(a);
	}
}

void rco__kit_detach(rco__kit_ctx *c)
{
	rco__kit_ctx own = {.run = c->run};
	uint32_t table;

	for (table = RCO__KIT_BUFFER; table <= RCO__KIT_DELETION; table <<= 1)
		if ((c->run->attached & table) && !(c->run->stuck & table)) {
			(void)ask_table(&own, RCO__KIT_DO_DETACH, table);
			if (!(c->run->stuck & table))
				c->run->attached &= ~table;
		}
	drop_given_up(c->run);
	rco__kit_expect(c, own.broken[0] == '\0', own.broken);
}

void rco__kit_restart(rco__kit_ctx *c)
{
	rco_conformance *own = &c->run->own;
	int rc;

	if (rco__kit_over(c))
		return;
	if (c->run->stuck != 0) {
		(void)snprintf(c->not_tried, sizeof c->not_tried, "a slot has not returned before");
		return;
	}
	rco__kit_detach(c);
	rc = c->run->stuck == 0 ? own->reopen(own, own->user_data) : RCO_OK;
	if (rc != RCO_OK)
		rco__kit_broken(c, "`reopen` answered %s", rco_error_name(rc));
	(void)rco__kit_attach(c);
}
