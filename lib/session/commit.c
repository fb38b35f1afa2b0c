/* SPDX-License-Identifier: MIT */
/* The commit of a kept call's file: that it is asked for is durable before it is, and it is in doubt until the
 * store says what became of it. */
#include "core.h"
#include "journal.h"
#include "work.h"

int rco__upload_call_head(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.head(rco__copy_object(s, s->work.cursor), op, result, s->engine->upload_ud);
}

static int call_commit(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.commit(rco__copy_object(s, s->work.cursor), op, result, s->engine->upload_ud);
}

/* Its commit needs no audio any more. */
int rco__upload_file(const rco__copy *c)
{
	return c->store == RCO_STORE_UPLOAD && c->kind == RCO_KIND_AUDIO &&
	       (c->n_legs > 0 || (c->flags & RCO__COPY_COMMITTING));
}

/* Of what the store has, and of what is here: is the store's only the beginning? An engine on a copy of this state
 * folder stored what it knew of. */
int rco__upload_short(const rco_session *s, const rco__copy *c, const rco_result *result)
{
	uint64_t held = 0;
	uint32_t i, n = atomic_load(&s->n_legs);

	if (c->size_bytes != 0 && result->size_bytes != 0)
		return result->size_bytes < c->size_bytes;
	for (i = 0; i < n; i++)
		held += s->legs[i].held;
	return s->work.upload.record_bytes != 0 && s->work.upload.record_bytes < held;
}

int rco__upload_committed(rco_session *s, rco__copy *c, const rco_result *result)
{
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	c->flags |= RCO__COPY_COMMITTED | RCO__COPY_SENT;
	if (result->size_bytes != 0)
		c->size_bytes = result->size_bytes;
	(void)pthread_mutex_unlock(&s->lock);
	return rco__journal_copy(s, RCO__CALL_COMMITTED, c, &lsn);
}

/* Is the file there after all? Then it is committed. */
int rco__upload_look(rco_session *s, rco__copy *c)
{
	rco_result result;
	int rc = rco__job_call(s, rco__upload_call_head, &result);

	if (rc == RCO_OK && result.confirmed == RCO_CONFIRM_PRESENT &&
	    (c->size_bytes == 0 || result.size_bytes == c->size_bytes) && !rco__upload_short(s, c, &result))
		return rco__upload_committed(s, c, &result);
	/* What somebody else put there is replaced, if he can be kept from that it is said by the commit. */
	if (rc == RCO_E_PERMISSION)
		return RCO_OK;
	if (rc == RCO_OK && result.confirmed == RCO_CONFIRM_UNKNOWN)
		rc = rco__fail(RCO_E_UNCONFIRMED, "the store does not say whether %s exists", c->key);
	return rc;
}

/*
 * The store has neither the upload nor the file. That a commit was asked for is over, and the next process has to
 * know it before another upload is begun: it could ask for the commit of half of that.
 */
static int upload_lost(rco_session *s, rco__copy *c)
{
	uint64_t lsn;
	int rc;

	c->upload_no++;
	rc = rco__journal_copy(s, RCO__CALL_INTENT, c, &lsn);
	if (rc == RCO_OK)
		rc = rco__ledger_sync(s->engine->calls, lsn);
	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&s->lock);
	c->flags &= ~(uint32_t)(RCO__COPY_SENT | RCO__COPY_COMMITTING);
	if (c->n_legs > 0)
		c->size_bytes = rco__export_size(s, c);
	(void)pthread_mutex_unlock(&s->lock);
	return rco__fail(RCO_E_NOT_FOUND, "%s: the store does not know its upload any more", c->key);
}

/*
 * Until its outcome is known: the upload is not given up meanwhile, because there are stores where an abort beside
 * a commit that still runs leaves a file that is listed and whose bytes are collected later.
 */
int rco__upload_commit(rco_session *s, rco__copy *c)
{
	rco_result result;
	int rc = s->work.op == 0 ? rco__copy_here(s, c) : RCO_OK;

	if (rc != RCO_OK)
		return rc;
	if (s->work.step != RCO__COMMIT_HEAD) {
		rc = rco__job_confirm(s, call_commit, RCO_CONFIRM_DONE, &result);
		if (rc == RCO_OK)
			return rco__upload_committed(s, c, &result);
		if (rc != RCO_E_NOT_FOUND)
			return rc;
		s->work.step = RCO__COMMIT_HEAD;
	}
	rc = rco__upload_look(s, c);
	return rc == RCO_OK && !(c->flags & RCO__COPY_COMMITTED) ? upload_lost(s, c) : rc;
}

/* That a commit is asked for is durable before it is, with one sync for all files, or for `only`. */
int rco__upload_note_commits(rco_session *s, const rco__copy *only)
{
	const uint32_t done = RCO__COPY_COMMITTING | RCO__COPY_COMMITTED | RCO__COPY_GONE;
	uint64_t lsn = 0;
	rco__copy *c = NULL;
	int rc = RCO_OK;

	while (rc == RCO_OK && (c = rco__copy_next(s, c)) != NULL)
		if (rco__upload_file(c) && !(c->flags & done) && (only == NULL || c == only))
			rc = rco__journal_copy(s, RCO__CALL_COMMITTING, c, &lsn);
	if (rc == RCO_OK && lsn != 0)
		rc = rco__ledger_sync(s->engine->calls, lsn);
	(void)pthread_mutex_lock(&s->lock);
	for (c = s->control.copies; rc == RCO_OK && c != NULL; c = c->next)
		if (rco__upload_file(c) && !(c->flags & done) && (only == NULL || c == only))
			c->flags |= RCO__COPY_COMMITTING;
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}
