/* SPDX-License-Identifier: MIT */
/*
 * What an opt-out sets in motion once it is durable: abort and remove, look
 * again, and after a delay look once more for what arrived late. One copy that
 * cannot be erased does not hold up the others; what failed is tried again with
 * the next pass, for as long as it takes.
 */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "journal.h"
#include "work.h"

enum { AUDIT_VERIFY = 0, AUDIT_LIST = 1 };
enum { REMOVE_ABORT = 0, REMOVE_REMOVE = 1 };

/* A byte of each leg is enough to know whether the recording can be read. `step`: the leg. */
static int call_buffer_read(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->buffer.read(s->recording_id, s->work.step, 0, s->work.args->meta, 2, op, result,
	                              s->engine->buffer_ud);
}

/* What the built-in directory stored is not another backend's to remove: that one would say that it has no such
 * file. */
static int is_directorys(rco_session *s, const rco_object *o)
{
	return o->store == RCO_STORE_UPLOAD && s->engine->directory != NULL &&
	       s->engine->upload_ud == (void *)s->engine->directory;
}

/* An object of the host's that the deletion backend does not handle is the built-in directory's, if there is one.
 */
static int declined(rco_session *s, const rco_object *o, int rc)
{
	return rc == RCO_E_DECLINED && o->store == RCO_STORE_HOST && s->engine->directory != NULL;
}

static const rco_object *for_directory(rco_session *s, const rco_object *o)
{
	if (s->work.cursor->place != NULL)
		s->work.args->object.key = s->work.cursor->place;
	return o;
}

static int call_remove(rco_session *s, uint64_t op, rco_result *result)
{
	const rco_object *o = rco__copy_object(s, s->work.cursor);
	int rc;

	if (is_directorys(s, o))
		return rco_directory_deletion_ops()->remove(o, op, result, s->engine->directory);
	rc = s->engine->deletion.remove(o, op, result, s->engine->deletion_ud);
	if (declined(s, o, rc))
		rc = rco_directory_deletion_ops()->remove(for_directory(s, o), op, result, s->engine->directory);
	return rc;
}

static int call_verify(rco_session *s, uint64_t op, rco_result *result)
{
	const rco_object *o = rco__copy_object(s, s->work.cursor);
	int rc;

	if (is_directorys(s, o))
		return rco_directory_deletion_ops()->verify(o, op, result, s->engine->directory);
	rc = s->engine->deletion.verify(o, op, result, s->engine->deletion_ud);
	if (declined(s, o, rc))
		rc = rco_directory_deletion_ops()->verify(for_directory(s, o), op, result, s->engine->directory);
	return rc;
}

static int call_list(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.list(rco__copy_object(s, s->work.cursor), op, result, s->engine->upload_ud);
}

/* It is there after all: no longer counted as gone. 0 if another call has registered it meanwhile. */
static int found_there(rco_session *s, rco__copy *c)
{
	int ours;

	(void)pthread_mutex_lock(&s->lock);
	ours = c->yielded == 0;
	if (ours)
		c->flags &= ~(uint32_t)(RCO__COPY_GONE | RCO__COPY_VERIFIED);
	(void)pthread_mutex_unlock(&s->lock);
	return ours;
}

static void set_flags(rco_session *s, rco__copy *c, uint32_t set, uint32_t clear)
{
	(void)pthread_mutex_lock(&s->lock);
	c->flags = (c->flags & ~clear) | set;
	(void)pthread_mutex_unlock(&s->lock);
}

static void event(rco_session *s, uint32_t type, int code, uint64_t count, const char *text)
{
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, type, code, count, "%s", text);
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- one copy ---- */

/* The recorder would go on writing into what is removed: stop first. Of a recorder that died with its process
 * nothing can be known; its files go, and the receipt goes on saying that the stop was not confirmed. */
static int recorder_stopped(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = rco__recorder_stopped(s);
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

/* A file of another user, under the name of one that was not stored yet, is not that one: he cannot hold up the
 * erasure with it. */
static int never_ours(const rco_session *s, const rco__copy *c)
{
	return c->store == RCO_STORE_UPLOAD && !(c->flags & RCO__COPY_COMMITTED) && rco__copy_in_directory(s) &&
	       rco__directory_foreign(s->engine->directory, c->key);
}

/* It was asked, and said that it answers later, within its time. */
static int recorder_answers_later(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = s->recorder.op != 0 && !rco__recorder_stopped(s) && s->recorder.failures == 0;
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

static int remove_copy(rco_session *s, rco__copy *c)
{
	rco_result result;
	int rc = s->work.op == 0 ? rco__copy_here(s, c) : RCO_OK;

	if (rc != RCO_OK)
		return rc;
	if (c->store == RCO_STORE_HOST && !recorder_stopped(s))
		return rco__fail(RCO_E_CALLBACK, "the recorder of call %s has not confirmed its stop", s->call_id);
	if (c->store == RCO_STORE_UPLOAD && s->work.step == REMOVE_ABORT) {
		rc = rco__job_abort(s);
		if (rc != RCO_OK)
			return rc;
		if ((c->flags & RCO__COPY_BEGUN) && !(c->flags & RCO__COPY_COMMITTED))
			event(s, RCO_EVENT_UPLOAD_ABORTED, 0, 0, c->key);
	}
	s->work.step = REMOVE_REMOVE;
	rc = rco__job_confirm(s, call_remove, RCO_CONFIRM_GONE, &result);
	if (rc == RCO_E_PERMISSION && never_ours(s, c))
		rc = RCO_OK;
	if (rc != RCO_OK)
		return rc;
	set_flags(s, c, RCO__COPY_GONE, RCO__COPY_VERIFIED);
	if ((c->flags & RCO__COPY_LATE) && !(c->flags & RCO__COPY_TOLD)) {
		set_flags(s, c, RCO__COPY_TOLD, 0);
		event(s, RCO_EVENT_ARTIFACT_ERASED, 0, 1, c->key);
	}
	return RCO_OK;
}

/* Is it really gone? RCO_E_UNCONFIRMED, and no longer counted as gone, if it is there. */
static int audit_copy(rco_session *s, rco__copy *c)
{
	rco_result result;
	int rc = s->work.op == 0 ? rco__copy_here(s, c) : RCO_OK;

	if (rc == RCO_OK && s->work.step == AUDIT_VERIFY) {
		rc = rco__job_call(s, call_verify, &result);
		if (rc == RCO_OK && result.confirmed == RCO_CONFIRM_GONE && c->store == RCO_STORE_UPLOAD)
			s->work.step = AUDIT_LIST;
	}
	if (rc == RCO_OK && s->work.step == AUDIT_LIST)
		rc = rco__job_call(s, call_list, &result);
	if (rc != RCO_OK)
		return rc;
	if (result.confirmed == RCO_CONFIRM_GONE ||
	    (result.confirmed == RCO_CONFIRM_PRESENT && never_ours(s, c))) {
		set_flags(s, c, RCO__COPY_VERIFIED, 0);
		return RCO_OK;
	}
	if (result.confirmed == RCO_CONFIRM_PRESENT && !found_there(s, c))
		return RCO_OK;
	if (result.confirmed == RCO_CONFIRM_PRESENT) {
		rco__copy_no_upload(&s->engine->env,
		                    c); /* it may be an upload of which the id is not known: abort all */
		s->work.erase.sweep_found++;
		s->work.erase.doubted = 1;
		return RCO_OK; /* the pass goes on; what follows sees that it is not gone */
	}
	return rco__fail(RCO_E_UNCONFIRMED, "a backend does not say whether %s of call %s is gone", c->key,
	                 s->call_id);
}

/* ---- a pass over all ---- */

/* Whose a file is may be found out meanwhile. */
static int is_due(rco_session *s, const rco__copy *c, uint32_t skip)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = rco__copy_erasable(s, c) && !(c->flags & skip);
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

/* RCO_PENDING, or the first error after all were tried. `skip`: flags of those that need nothing. */
static int pass(rco_session *s, uint32_t skip, int (*one)(rco_session *, rco__copy *))
{
	int rc;

	if (s->work.cursor == NULL) {
		s->work.erase.first_error = RCO_OK;
		s->work.erase.for_recorder = 0;
		s->work.cursor = rco__copy_next(s, NULL);
	}
	for (; s->work.cursor != NULL; s->work.cursor = rco__copy_next(s, s->work.cursor)) {
		if (!is_due(s, s->work.cursor, skip))
			continue;
		rc = one(s, s->work.cursor);
		if (rc == RCO_PENDING)
			return rc;
		if (rc != RCO_OK && (s->work.erase.first_error == RCO_OK || s->work.erase.for_recorder)) {
			s->work.erase.first_error = rc;
			s->work.erase.for_recorder =
				s->work.cursor->store == RCO_STORE_HOST && !recorder_stopped(s);
		}
		s->work.step = 0;
	}
	return s->work.erase.first_error;
}

static int all_have(rco_session *s, uint32_t flag)
{
	const rco__copy *c;
	int yes = 1;

	(void)pthread_mutex_lock(&s->lock);
	for (c = s->control.copies; c != NULL; c = c->next)
		if (rco__copy_erasable(s, c) && !(c->flags & flag))
			yes = 0;
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

static void clear_verified(rco_session *s)
{
	rco__copy *c;

	(void)pthread_mutex_lock(&s->lock);
	for (c = s->control.copies; c != NULL; c = c->next)
		c->flags &= ~(uint32_t)RCO__COPY_VERIFIED;
	(void)pthread_mutex_unlock(&s->lock);
}

/* A fact that backends have confirmed: in the receipt, as an event, as evidence. What could be found again after
 * it was called gone is called erased only when a second look has not found it. */
static void confirmed(rco_session *s, uint32_t fact, uint32_t type, uint16_t entry)
{
	rco__receipt_data receipt;
	uint64_t lsn;
	int64_t now;
	int news;

	(void)pthread_mutex_lock(&s->lock);
	if (s->control.receipt.facts & RCO_FACT_UNREGISTERED) { /* what was erased is not the recording */
		(void)pthread_mutex_unlock(&s->lock);
		atomic_store(&s->work.attempt, 0);
		return;
	}
	now = rco__receipt_now(s);
	news = (s->control.receipt.facts & RCO_FACT_RECORDED) && !(s->control.receipt.facts & fact);
	s->control.receipt.facts |= fact;
	if (fact == RCO_FACT_ERASED && s->control.receipt.erased_us == 0)
		s->control.receipt.erased_us = now;
	if (fact == RCO_FACT_VERIFIED && s->control.receipt.verified_us == 0)
		s->control.receipt.verified_us = now;
	s->control.erase_failures = 0;
	receipt = s->control.receipt;
	if (news)
		rco__event_queue(s, type, 0, 0, "%s", "");
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	atomic_store(&s->work.attempt, 0);
	/* If it is lost the next process erases once more, which does no harm. */
	if (news)
		(void)rco__journal_mark(s->engine, &receipt, entry, 0, now, &lsn);
}

/* ---- phases ---- */

static int erase_buffer(rco_session *s)
{
	rco_result result;
	int rc;

	if (s->work.buffer.gone || !s->work.buffer.has)
		return RCO_OK;
	rc = rco__job_confirm(s, rco__call_buffer_erase, RCO_CONFIRM_GONE, &result);
	if (rc == RCO_OK)
		s->work.buffer.gone = 1;
	return rc;
}

static int erase(rco_session *s)
{
	int rc = rco__rings_release(s), buffer = RCO_OK;

	if (rc != RCO_OK) {
		s->work.retry_us =
			rco__mono_us(&s->engine->env) + 1000; /* a media thread is inside for a moment */
		return rc;
	}
	if (s->work.cursor == NULL) {
		buffer = erase_buffer(s);
		if (buffer == RCO_PENDING)
			return buffer;
	}
	rc = pass(s, RCO__COPY_GONE, remove_copy);
	if (buffer != RCO_OK && (rc == RCO_OK || s->work.erase.for_recorder)) {
		rc = buffer;
		s->work.erase.for_recorder = 0;
	}
	if (recorder_answers_later(s) && (rc == RCO_OK || rc == RCO_E_CALLBACK)) {
		/* Nothing failed: it has its time. When it answers this goes on. */
		s->work.retry_us = rco__recorder_due(s);
		return RCO_PENDING;
	}
	if (rc != RCO_OK)
		return rc;
	/* While it may still be recording nothing can be called erased, whether or not its files are known yet. */
	if (!recorder_stopped(s)) {
		s->work.erase.for_recorder = 1;
		return rco__fail(RCO_E_CALLBACK, "the recorder of call %s has not confirmed its stop", s->call_id);
	}
	if (s->work.buffer.has && !s->work.buffer.gone)
		return rco__fail(RCO_E_UNCONFIRMED, "the buffer has not confirmed that call %s is gone",
		                 s->call_id);
	if (!s->work.erase.doubted)
		confirmed(s, RCO_FACT_ERASED, RCO_EVENT_ERASED, RCO__OPT_ERASED);
	return RCO_OK;
}

/* Every leg: of one that was silent the buffer rightly says that it has nothing. */
static int audit_buffer(rco_session *s)
{
	uint32_t n = atomic_load(&s->n_legs);
	rco_result result;
	int rc;

	if (!s->work.buffer.has || s->work.buffer.verified)
		return RCO_OK;
	do {
		rc = rco__job_confirm(s, call_buffer_read, RCO_CONFIRM_DONE, &result);
		if (rc == RCO_E_CORRUPT || (rc == RCO_OK && result.size_bytes > 0)) {
			s->work.buffer.gone = 0;
			s->work.erase.doubted = 1;
			return rco__fail(RCO_E_UNCONFIRMED, "the buffer still holds audio of call %s", s->call_id);
		}
	} while (rc == RCO_OK && ++s->work.step < n);
	if (rc != RCO_OK && rc != RCO_E_NOT_FOUND)
		return rc;
	s->work.step = 0;
	s->work.buffer.verified = 1;
	return RCO_OK;
}

static int verify(rco_session *s)
{
	int rc = RCO_OK;

	if (s->work.cursor == NULL)
		rc = audit_buffer(s);
	if (rc == RCO_OK)
		rc = pass(s, RCO__COPY_VERIFIED, audit_copy);
	if (rc != RCO_OK)
		return rc;
	if (!all_have(s, RCO__COPY_GONE))
		return rco__fail(RCO_E_UNCONFIRMED, "a copy of call %s is still there", s->call_id);
	if (s->work.erase.doubted)
		confirmed(s, RCO_FACT_ERASED, RCO_EVENT_ERASED, RCO__OPT_ERASED);
	s->work.erase.doubted = 0;
	confirmed(s, RCO_FACT_VERIFIED, RCO_EVENT_VERIFIED, RCO__OPT_VERIFIED);
	s->work.erase.sweep_found = 0;
	s->work.erase.sweep_us = rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.sweep_delay_ms * 1000;
	clear_verified(s);
	s->work.buffer.verified = 0;
	return RCO_OK;
}

/* The last look. What it finds is erased, and then it looks again after another delay. */
static int sweep(rco_session *s)
{
	int rc;

	if (s->engine->cfg.sweep_delay_ms == RCO_NONE_MS)
		return RCO_OK;
	if (rco__mono_us(&s->engine->env) < s->work.erase.sweep_us) {
		s->work.retry_us = s->work.erase.sweep_us;
		return RCO_PENDING;
	}
	/* A piece that timed out may have reached the buffer since. */
	rc = s->work.cursor == NULL ? audit_buffer(s) : RCO_OK;
	if (rc == RCO_OK)
		rc = pass(s, RCO__COPY_VERIFIED, audit_copy);
	if (rc != RCO_OK)
		return rc;
	if (s->work.erase.sweep_found > 0) {
		s->work.erase.late_found += s->work.erase.sweep_found;
		return rco__fail(RCO_E_UNCONFIRMED, "a late copy of call %s was found", s->call_id);
	}
	(void)pthread_mutex_lock(&s->lock);
	if (s->control.receipt.facts & RCO_FACT_VERIFIED)
		s->control.receipt.facts |= RCO_FACT_SWEPT;
	if ((s->control.receipt.facts & RCO_FACT_RECORDED) && (s->control.receipt.facts & RCO_FACT_SWEPT))
		rco__event_queue(s, RCO_EVENT_SWEPT, 0, s->work.erase.late_found, "%s",
		                 s->work.erase.late_found > 0 ? "copies had come late; they are gone" : "");
	(void)pthread_mutex_unlock(&s->lock);
	s->work.erase.late_found = 0;
	return RCO_OK;
}

/* Back to removing. What was said of the erasure is taken back if it turned out not to be so (P7). */
static void erase_again(rco_session *s)
{
	const int is_back = !all_have(s, RCO__COPY_GONE) || (s->work.buffer.has && !s->work.buffer.gone);

	(void)pthread_mutex_lock(&s->lock);
	if (is_back) {
		s->control.receipt.facts &= ~(uint32_t)(RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_SWEPT);
		s->control.receipt.erased_us = s->control.receipt.verified_us = 0;
	}
	s->work.closed = 0; /* claim.c and past.c ask from other threads */
	(void)pthread_mutex_unlock(&s->lock);
	s->work.cursor = NULL;
	s->work.step = 0;
	s->work.erase.sweep_found = 0;
	clear_verified(s);
	atomic_store(&s->work.phase, RCO__PHASE_ERASE);
}

int rco__erase_step(rco_session *s)
{
	uint32_t phase = atomic_load(&s->work.phase);
	int rc = RCO_OK;

	/* A copy was registered, or turned out to be there after all. */
	if (phase > RCO__PHASE_ERASE && s->work.cursor == NULL && s->work.op == 0 &&
	    !all_have(s, RCO__COPY_GONE)) {
		erase_again(s);
		phase = RCO__PHASE_ERASE;
	}
	switch (phase) {
	case RCO__PHASE_ERASE:
		rc = erase(s);
		break;
	case RCO__PHASE_VERIFY:
		rc = verify(s);
		break;
	case RCO__PHASE_SWEEP:
		rc = sweep(s);
		break;
	default:
		return RCO_OK;
	}
	if (rc == RCO_OK) {
		s->work.cursor = NULL;
		s->work.step = 0;
		atomic_store(&s->work.phase, phase + 1);
	} else if (rc < 0) {
		erase_again(s);
	}
	return rc;
}
