/* SPDX-License-Identifier: MIT */
/*
 * A kept call's way into the store. Order on disk: intent (key), begin, upload
 * id, and only then the first byte; parts; the window of P14; permission by one
 * compare-and-swap of the latch; that a commit is asked for; commit; that it was
 * committed; the call record; and at the end the buffer's copy goes. What fails
 * before the commit leads back to BEGIN for that file, which is given up, and
 * then looked for after all. From the commit on it is never given up: the commit
 * is asked for until its outcome is known.
 */
#include "calls.h"
#include "core.h"
#include "journal.h"
#include "work.h"

#include <stdio.h>

enum { BEGIN_ABORT = 0, BEGIN_HEAD = 1, BEGIN_BEGIN = 2 };
enum { SETTLE_ABORT = 0, SETTLE_HEAD = 1 }; /* and RCO__COMMIT_ASK */
enum { ASKED_BEFORE_UPLOAD = 1, ASKED_BEFORE_COMMIT = 2 };

static int call_seal(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->buffer.seal(s->recording_id, op, result, s->engine->buffer_ud);
}

static int call_begin(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.begin(rco__copy_object(s, s->work.cursor), op, result, s->engine->upload_ud);
}

static int call_put(rco_session *s, uint64_t op, rco_result *result)
{
	const uint8_t *part = NULL;
	size_t size = 0;
	int last, rc = rco__export_fill(s, &part, &size, &last); /* full already: only looks it up */

	if (rc != RCO_OK)
		return rc;
	return s->engine->upload.put(rco__copy_object(s, s->work.cursor), s->work.upload.part, part, size, op,
	                             result, s->engine->upload_ud);
}

/* Begun by a process that is gone, and the buffer no longer has the audio: nothing can finish it. */
static int is_orphan(const rco__copy *c)
{
	return c->store == RCO_STORE_UPLOAD && c->kind == RCO_KIND_AUDIO && c->n_legs == 0 &&
	       (c->flags & (RCO__COPY_BEGUN | RCO__COPY_COMMITTING | RCO__COPY_COMMITTED | RCO__COPY_GONE)) ==
	               RCO__COPY_BEGUN;
}

/* ---- which files there will be ---- */

/* A file by its key; one that an earlier process began is found again. */
static int make_file(rco_session *s, const char *folder, const char *what, uint32_t n_legs, uint32_t a, uint32_t b)
{
	char key[RCO_ID_TEXT + RCO_LABEL_MAX + 16], id[RCO_ID_TEXT + 1];
	const char *zst = s->engine->cfg.export_format == RCO_EXPORT_WAV_ZST ? ".zst" : "";
	rco__copy *c;

	rco__uuid_text(s->recording_id, id);
	(void)snprintf(key, sizeof key, "%s.%s.wav%s", id, what, zst);
	(void)pthread_mutex_lock(&s->lock);
	c = rco__copy_find(s, RCO_STORE_UPLOAD, key);
	if (c == NULL) {
		c = rco__copy_new(&s->engine->env, RCO_KIND_AUDIO, RCO_STORE_UPLOAD, key, "");
		if (c != NULL)
			rco__copy_add(s, c);
	}
	if (c != NULL && c->place == NULL && !(c->flags & RCO__COPY_BEGUN) && folder[0] != '\0' &&
	    rco__copy_place(&s->engine->env, c, folder) != RCO_OK)
		c = NULL; /* it is in the list, and looked at again */
	if (c != NULL) {
		c->n_legs = n_legs;
		c->leg[0] = a;
		c->leg[1] = b;
		if (!(c->flags &
		      RCO__COPY_COMMITTING)) /* else what was sent counts, whatever the buffer has now */
			c->size_bytes = rco__export_size(s, c);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return c != NULL ? RCO_OK : rco__fail(RCO_E_NO_MEMORY, "no memory for a file of call %s", s->call_id);
}

static int make_files(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs), with_audio = 0, pair[2] = {0, 0};
	char folder[RCO__PLACE_CAP], id[RCO_ID_TEXT + 1];
	int rc = RCO_OK;

	for (i = 0; i < n; i++) {
		if (s->legs[i].held == 0)
			continue;
		if (with_audio < 2)
			pair[with_audio] = i;
		with_audio++;
	}
	(void)snprintf(folder, sizeof folder, "%s", rco__copy_in_directory(s) ? "" : RCO__STORE_OF_HOST);
	/* Nothing is stored in a folder that could not be told from another one after a restart. */
	if (with_audio > 0 && rco__copy_in_directory(s)) {
		rc = rco__directory_id(s->engine->directory, id);
		if (rc != RCO_OK)
			return rc;
		(void)snprintf(folder, sizeof folder, "%s:%s", id, rco__directory_path(s->engine->directory));
	}
	if (s->engine->cfg.export_layout == RCO_LAYOUT_STEREO && with_audio == 2 &&
	    s->legs[pair[0]].format == s->legs[pair[1]].format)
		return make_file(s, folder, "stereo", 2, pair[0], pair[1]);
	for (i = 0; i < n && rc == RCO_OK; i++)
		if (s->legs[i].held > 0)
			rc = make_file(s, folder, s->legs[i].label, 1, i, 0);
	return rc;
}

/* ---- the phases ---- */

static int seal(rco_session *s)
{
	rco_result result;
	int rc = RCO_OK;

	if (s->engine->buffer.seal != NULL && s->work.buffer.opened)
		rc = rco__job_confirm(s, call_seal, RCO_CONFIRM_DONE, &result);
	if (rc == RCO_OK)
		rc = make_files(s);
	return rc;
}

/* The intent of every file, durable with one commit, before any of them begins. */
static int write_intents(rco_session *s)
{
	uint64_t lsn = 0;
	rco__copy *c = NULL;
	int rc = RCO_OK;

	while (rc == RCO_OK && (c = rco__copy_next(s, c)) != NULL)
		if (rco__upload_file(c) && !(c->flags & RCO__COPY_BEGUN))
			rc = rco__journal_copy(s, RCO__CALL_INTENT, c, &lsn);
	if (rc == RCO_OK && lsn != 0)
		rc = rco__ledger_sync(s->engine->calls, lsn);
	if (rc != RCO_OK)
		return rc;
	s->work.upload.intents_durable = 1;
	return RCO_OK;
}

/*
 * An upload that was begun before, by us or by a process that is gone, and whose commit was not asked for. It is
 * looked for all the same: the engine of a copy of this state folder may have stored it.
 */
static int begin_again(rco_session *s, rco__copy *c)
{
	int rc = s->work.op == 0 ? rco__copy_here(s, c) : RCO_OK;

	if (rc == RCO_OK && s->work.step == BEGIN_ABORT) {
		rc = rco__job_abort(s);
		if (rc == RCO_OK)
			s->work.step = BEGIN_HEAD;
	}
	if (rc == RCO_OK)
		rc = rco__upload_look(s, c);
	if (rc == RCO_OK)
		s->work.step = BEGIN_BEGIN;
	return rc;
}

static int begin_file(rco_session *s, rco__copy *c)
{
	rco_result result;
	uint64_t lsn;
	int rc = RCO_OK;

	if ((c->flags & RCO__COPY_BEGUN) && s->work.step < BEGIN_BEGIN)
		rc = begin_again(s, c);
	if (rc != RCO_OK || (c->flags & RCO__COPY_COMMITTED))
		return rc;
	if (is_orphan(c)) { /* its parts are gone now */
		(void)pthread_mutex_lock(&s->lock);
		c->flags |= RCO__COPY_GONE;
		rco__event_queue(s, RCO_EVENT_UPLOAD_ABORTED, RCO_E_NOT_FOUND, 0, "%s: its audio was lost",
		                 c->key);
		(void)pthread_mutex_unlock(&s->lock);
		return RCO_OK;
	}
	/* From here on it may exist, whatever the answer is. */
	(void)pthread_mutex_lock(&s->lock);
	c->flags |= RCO__COPY_BEGUN;
	(void)pthread_mutex_unlock(&s->lock);
	s->work.step = BEGIN_BEGIN;
	rc = rco__job_confirm(s, call_begin, RCO_CONFIRM_DONE, &result);
	if (rc != RCO_OK)
		return rc;
	rc = rco__copy_upload(&s->engine->env, c, result.upload_id);
	return rc == RCO_OK ? rco__journal_copy(s, RCO__CALL_UPLOAD_ID, c, &lsn) : rc;
}

/*
 * A state folder that was restored, or copied, brings a call up again that has come to its end since. The store's
 * call record knows, for it is written last: where it is, and a file is not, the file was erased or removed there,
 * and must not come back. Asked before the upload and, because the other folder's engine may be at work, before
 * the commit.
 */
static int ask_record(rco_session *s, uint32_t before)
{
	int there, rc;

	if (!s->recovered || s->work.upload.record_asked >= before)
		return RCO_OK;
	rc = rco__record_ask(s, &there);
	if (rc != RCO_OK)
		return rc;
	s->work.upload.record_asked = before;
	s->work.upload.settled = (uint32_t)there;
	return RCO_OK;
}

static int settle_file(rco_session *s, rco__copy *c)
{
	rco_result result;
	int rc = s->work.op == 0 ? rco__copy_here(s, c) : RCO_OK;

	if (rc == RCO_OK && (s->work.step >= RCO__COMMIT_ASK || (c->flags & RCO__COPY_COMMITTING)))
		return rco__upload_commit(s, c);
	/* What was sent to replace a short one is given up only when that is not there any more. */
	if (rc == RCO_OK && s->work.step == SETTLE_ABORT && (c->flags & RCO__COPY_BEGUN) &&
	    !(c->flags & RCO__COPY_SENT))
		rc = rco__job_abort(s);
	if (rc != RCO_OK)
		return rc;
	s->work.step = SETTLE_HEAD;
	rc = rco__job_call(s, rco__upload_call_head, &result);
	if (rc == RCO_OK && result.confirmed == RCO_CONFIRM_PRESENT && rco__upload_short(s, c, &result)) {
		s->work.upload.outgrown = 1;
		if (!(c->flags & RCO__COPY_SENT))
			return RCO_OK; /* all of it is sent now */
		rc = rco__upload_note_commits(s, c);
		if (rc != RCO_OK)
			return rc;
		s->work.step = RCO__COMMIT_ASK;
		return rco__upload_commit(s, c);
	}
	if (rc == RCO_OK && (c->flags & RCO__COPY_SENT)) {
		(void)pthread_mutex_lock(&s->lock);
		c->flags &= ~(uint32_t)RCO__COPY_SENT;
		(void)pthread_mutex_unlock(&s->lock);
		s->work.step = SETTLE_ABORT;
		return settle_file(s, c);
	}
	if (rc == RCO_OK && result.confirmed == RCO_CONFIRM_PRESENT)
		return rco__upload_committed(s, c, &result);
	if (rc == RCO_OK && result.confirmed != RCO_CONFIRM_GONE)
		rc = rco__fail(RCO_E_UNCONFIRMED, "the store does not say whether %s exists", c->key);
	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&s->lock);
	c->flags |= RCO__COPY_GONE;
	rco__event_queue(s, RCO_EVENT_UPLOAD_ABORTED, RCO_E_STALE, 0,
	                 "%s: the store has this call's record and not this file; it is not stored again", c->key);
	(void)pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

/* Go through the files with `one`, from where the cursor is. */
static int for_files(rco_session *s, uint32_t done_flag, int (*one)(rco_session *, rco__copy *))
{
	int rc;

	if (s->work.cursor == NULL)
		s->work.cursor = rco__copy_next(s, NULL);
	while (s->work.cursor != NULL) {
		if ((rco__upload_file(s->work.cursor) &&
		     !(s->work.cursor->flags & (done_flag | RCO__COPY_COMMITTED | RCO__COPY_GONE))) ||
		    (one == begin_file && is_orphan(s->work.cursor))) {
			rc = one(s, s->work.cursor);
			if (rc != RCO_OK)
				return rc;
		}
		s->work.step = 0;
		s->work.cursor = rco__copy_next(s, s->work.cursor);
	}
	return RCO_OK;
}

static int to_send(rco_session *s)
{
	const rco__copy *c = NULL;

	while ((c = rco__copy_next(s, c)) != NULL)
		if (rco__upload_file(c) && !(c->flags & (RCO__COPY_COMMITTED | RCO__COPY_GONE)))
			return 1;
	return 0;
}

static int begin_files(rco_session *s)
{
	uint64_t lsn = 0;
	rco__copy *c = NULL;
	int rc = ask_record(s, ASKED_BEFORE_UPLOAD);

	if (rc == RCO_OK && s->work.upload.settled)
		rc = for_files(s, RCO__COPY_SENT, settle_file);
	if (rc == RCO_OK && s->work.upload.settled && !to_send(s))
		return RCO_OK;
	if (rc == RCO_OK && !s->work.upload.intents_durable)
		rc = write_intents(s);
	if (rc == RCO_OK)
		rc = for_files(s, RCO__COPY_SENT, begin_file);
	if (rc != RCO_OK)
		return rc;
	while ((c = rco__copy_next(s, c)) != NULL)
		if (rco__upload_file(c) && !(c->flags & RCO__COPY_SENT))
			lsn = UINT64_MAX;
	/* The upload ids are durable before the first byte leaves. */
	if (lsn != 0)
		rc = rco__ledger_sync(s->engine->calls, rco__ledger_last(s->engine->calls));
	if (rc == RCO_OK && lsn != 0) {
		(void)pthread_mutex_lock(&s->lock);
		rco__event_queue(s, RCO_EVENT_UPLOAD_STARTED, 0, 0, "%s", "");
		(void)pthread_mutex_unlock(&s->lock);
	}
	return rc;
}

/* What is on its way is not followed by more: a store that answers at once would otherwise be sent all the rest
 * (P4).
 */
static int objected(rco_session *s)
{
	return rco__opted_out(s) && !atomic_load(&s->control.hold);
}

static int send_file(rco_session *s, rco__copy *c)
{
	int last = 0, rc;

	if (s->work.upload.export == NULL) {
		rc = rco__export_begin(s, c);
		if (rc != RCO_OK)
			return rc;
		s->work.upload.part = 1;
		s->work.step = 0;
	}
	do {
		const uint8_t *part;
		rco_result result;
		size_t size;

		if (s->work.step == 0 && objected(s))
			return rco__fail(RCO_E_OPTED_OUT, "call %s was opted out while it was being sent",
			                 s->call_id);
		if (s->work.step == 0) {
			rc = rco__export_fill(s, &part, &size, &last);
			if (rc != RCO_OK)
				return rc;
			s->work.step = 1;
		}
		rc = rco__job_confirm(s, call_put, RCO_CONFIRM_DONE, &result);
		if (rc != RCO_OK)
			return rc;
		rc = rco__export_fill(s, &part, &size, &last); /* only to learn `last` again after a wait */
		if (rc != RCO_OK)
			return rc;
		rco__export_sent(s);
		s->work.step = 0;
		s->work.upload.part++;
	} while (!last);
	rco__export_end(s);
	(void)pthread_mutex_lock(&s->lock);
	c->flags |= RCO__COPY_SENT;
	(void)pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

/* P14: no commit before the window has passed; then permission, once and for good. */
static int window(rco_session *s)
{
	uint32_t none = 0;
	int64_t wait;

	(void)pthread_mutex_lock(&s->lock);
	wait = s->control.window_mono_us - rco__mono_us(&s->engine->env);
	if (wait <= 0)
		(void)atomic_compare_exchange_strong(&s->latch, &none, RCO__LATCH_CLOSED);
	if (atomic_load(&s->latch) & RCO__LATCH_CLOSED)
		rco__continued_closed(s);
	(void)pthread_mutex_unlock(&s->lock);
	if (wait > 0) {
		s->work.retry_us = s->control.window_mono_us;
		return RCO_PENDING;
	}
	/* Opted out just before: the step that comes next erases. A legal hold keeps it, opted out or not. */
	return none & RCO__LATCH_OPTED_OUT && !s->control.hold ? RCO_PENDING : RCO_OK;
}

static int commit_files(rco_session *s)
{
	int rc = ask_record(s, ASKED_BEFORE_COMMIT);

	if (rc == RCO_OK)
		rc = rco__journal_reuse(s);
	if (rc == RCO_OK && !s->work.upload.settled)
		rc = rco__upload_note_commits(s, NULL);
	if (rc == RCO_OK)
		rc = for_files(s, 0, s->work.upload.settled ? settle_file : rco__upload_commit);
	if (rc != RCO_OK)
		return rc;
	return rco__ledger_sync(s->engine->calls, rco__ledger_last(s->engine->calls));
}

enum { RELEASING, TELLING }; /* work.step */

static int release(rco_session *s)
{
	rco_result result;
	uint64_t files = 0;
	rco__copy *c = NULL;
	int rc = RCO_OK;

	if (s->work.buffer.has)
		rc = rco__job_confirm(s, rco__call_buffer_erase, RCO_CONFIRM_GONE, &result);
	if (rc != RCO_OK)
		return rc;
	s->work.buffer.gone = 1;
	rco__claims_kept(s);
	while ((c = rco__copy_next(s, c)) != NULL)
		files += (uint64_t)(c->store == RCO_STORE_UPLOAD && c->kind == RCO_KIND_AUDIO &&
		                    (c->flags & RCO__COPY_COMMITTED) != 0);
	(void)pthread_mutex_lock(&s->lock);
	if (files > 0)
		rco__event_queue(s, RCO_EVENT_STORED, 0, files, "%s", "");
	(void)pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

/* The journal need not bring it up again, when all of it was told. */
static int close_entries(rco_session *s)
{
	int rc = RCO_OK;

	if (s->work.step == RELEASING)
		rc = release(s);
	if (rc != RCO_OK)
		return rc;
	s->work.step = TELLING;
	if (!rco__events_told(s)) {
		s->work.retry_us = RCO__NEVER;
		return RCO_PENDING;
	}
	/* A held call's files are still to be erased one day; its entries stay. */
	if (!s->control.hold && rco__journal_reuse(s) == RCO_OK && rco__journal_closed(s) == RCO_OK)
		(void)rco__ledger_write(s->engine->calls);
	return RCO_OK;
}

/* Something is to be begun again. */
static int to_begin(rco_session *s)
{
	const rco__copy *c = NULL;

	while ((c = rco__copy_next(s, c)) != NULL)
		if (is_orphan(c) ||
		    (rco__upload_file(c) && !(c->flags & (RCO__COPY_SENT | RCO__COPY_COMMITTED | RCO__COPY_GONE))))
			return 1;
	return 0;
}

/* What failed is started over; of a commit, that: it is in doubt. */
static void start_over(rco_session *s)
{
	if (atomic_load(&s->work.phase) == RCO__PHASE_COMMIT && !to_begin(s)) {
		s->work.cursor = NULL;
		s->work.step = 0;
		s->work.upload.record_asked = ASKED_BEFORE_UPLOAD;
		return;
	}
	if (s->work.cursor != NULL) {
		(void)pthread_mutex_lock(&s->lock);
		s->work.cursor->flags &= ~(uint32_t)RCO__COPY_SENT;
		(void)pthread_mutex_unlock(&s->lock);
	}
	rco__export_end(s);
	s->work.cursor = NULL;
	s->work.step = 0;
	s->work.upload.record_asked = 0;
	atomic_store(&s->work.phase, RCO__PHASE_BEGIN);
}

int rco__upload_step(rco_session *s)
{
	uint32_t phase = atomic_load(&s->work.phase);
	int rc = RCO_OK;

	switch (phase) {
	case RCO__PHASE_SEAL:
		rc = seal(s);
		break;
	case RCO__PHASE_BEGIN:
		rc = begin_files(s);
		break;
	case RCO__PHASE_SEND:
		rc = for_files(s, RCO__COPY_SENT, send_file);
		break;
	case RCO__PHASE_WINDOW:
		rc = window(s);
		break;
	case RCO__PHASE_COMMIT:
		rc = commit_files(s);
		break;
	case RCO__PHASE_RECORD:
		/* Of two the one that is there says more, unless what is here did. */
		rc = s->work.upload.settled && !s->work.upload.outgrown ? RCO_OK : rco__record_put(s);
		break;
	default: /* RCO__PHASE_RELEASE */
		rc = close_entries(s);
		break;
	}
	if (rc == RCO_OK) {
		s->work.cursor = NULL;
		s->work.step = 0;
		atomic_store(&s->work.phase, phase + 1);
	} else if (rc < 0 &&
	           (phase == RCO__PHASE_SEND || phase == RCO__PHASE_COMMIT || phase == RCO__PHASE_BEGIN)) {
		start_over(s);
	}
	return rc;
}
