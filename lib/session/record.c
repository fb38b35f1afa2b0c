/* SPDX-License-Identifier: MIT */
/* Storing the call record: for a kept call beside its audio, for an opted-out call alone. */
#include "core.h"
#include "facts.h"
#include "work.h"

#include <stdio.h>

enum { RECORD_BEGIN = 0, RECORD_PUT = 1, RECORD_COMMIT = 2 };

static int call_begin(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.begin(rco__copy_object(s, s->work.record.copy), op, result, s->engine->upload_ud);
}

static int call_put(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.put(rco__copy_object(s, s->work.record.copy), 1, s->work.record.text,
	                             s->work.record.size, op, result, s->engine->upload_ud);
}

static int call_commit(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.commit(rco__copy_object(s, s->work.record.copy), op, result,
	                                s->engine->upload_ud);
}

static int call_head(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.head(rco__copy_object(s, s->work.record.copy), op, result, s->engine->upload_ud);
}

static int make(rco_session *s)
{
	char key[RCO_ID_TEXT + 8], id[RCO_ID_TEXT + 1];

	if (s->work.record.copy != NULL)
		return RCO_OK;
	rco__uuid_text(s->recording_id, id);
	(void)snprintf(key, sizeof key, "%s.json", id);
	s->work.record.copy = rco__copy_new(&s->engine->env, RCO_KIND_METADATA, RCO_STORE_UPLOAD, key, "");
	return s->work.record.copy != NULL
	               ? RCO_OK
	               : rco__fail(RCO_E_NO_MEMORY, "no memory for the call record of %s", s->call_id);
}

int rco__record_ask(rco_session *s, int *there)
{
	rco_result result;
	int rc = make(s);

	if (rc == RCO_OK)
		rc = rco__job_call(s, call_head, &result);
	if (rc == RCO_OK && result.confirmed != RCO_CONFIRM_PRESENT && result.confirmed != RCO_CONFIRM_GONE)
		rc = rco__fail(RCO_E_UNCONFIRMED, "the store does not say whether %s exists",
		               s->work.record.copy->key);
	if (rc != RCO_OK)
		return rc;
	*there = result.confirmed == RCO_CONFIRM_PRESENT;
	s->work.upload.record_bytes = *there ? result.count : 0;
	return RCO_OK;
}

/* There only while a backend may look at it: after a time-out it is the operation's. */
static void drop_text(rco_session *s)
{
	if (s->work.record.text != NULL)
		rco__release(&s->engine->env, s->work.record.text);
	s->work.record.text = NULL;
}

static int prepare(rco_session *s)
{
	int rc = make(s);

	if (rc != RCO_OK)
		return rc;
	drop_text(s);
	/* A record that is not finished when the process ends is begun again by the next one, if that knows of it.
	 */
	(void)rco__ledger_write(s->engine->calls);
	(void)pthread_mutex_lock(&s->lock);
	s->work.record.says = rco__record_state(s); /* it may say more, and then is stored once more */
	(void)pthread_mutex_unlock(&s->lock);
	rc = rco__call_record(s, &s->work.record.text, &s->work.record.size);
	s->work.record.copy->size_bytes = s->work.record.size;
	return rc;
}

int rco__record_put(rco_session *s)
{
	static const rco__call_fn calls[] = {call_begin, call_put, call_commit};
	rco_result result;
	int rc = RCO_OK;

	if (s->work.record.step == RECORD_BEGIN && s->work.op == 0) {
		rc = prepare(s);
		if (rc != RCO_OK)
			return rc;
		s->work.record.stored = 0;
	}
	while (s->work.record.step <= RECORD_COMMIT) {
		rc = rco__job_confirm(s, calls[s->work.record.step], RCO_CONFIRM_DONE, &result);
		if (rc == RCO_PENDING)
			return rc;
		if (rc != RCO_OK) {
			/* A begin could give up the upload beside a commit that still runs. */
			if (s->work.record.step != RECORD_COMMIT || rc == RCO_E_NOT_FOUND)
				s->work.record.step = RECORD_BEGIN;
			drop_text(s);
			return rc;
		}
		if (s->work.record.step == RECORD_BEGIN)
			rc = rco__copy_upload(&s->engine->env, s->work.record.copy, result.upload_id);
		if (rc != RCO_OK) {
			drop_text(s);
			return rc;
		}
		s->work.record.step++;
	}
	s->work.record.step = RECORD_BEGIN;
	drop_text(s);
	s->work.record.stored = s->work.record.says;
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, RCO_EVENT_CALL_RECORD, 0, 0, "%s", s->work.record.copy->key);
	(void)pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

void rco__record_leave(rco_session *s)
{
	if (s->work.record.step != RECORD_COMMIT)
		s->work.record.step = RECORD_BEGIN;
	s->work.record.active = 0;
}

uint32_t rco__record_state(rco_session *s)
{
	return 2 * (rco__status(s) + 1) + (s->control.ended != 0);
}

/* An opted-out call gets its record when the erasure is verified, or has been escalated, or there was nothing to
 * erase, and again if that changes. Not first at its end: a state folder that is restored, or copied, while it
 * goes on has its audio yet.
 */
int rco__record_wanted(rco_session *s)
{
	int wanted;

	(void)pthread_mutex_lock(&s->lock);
	wanted = ((s->control.receipt.facts & (RCO_FACT_VERIFIED | RCO_FACT_ESCALATED)) ||
	          (s->control.ended && (s->control.receipt.facts & RCO_FACT_UNREGISTERED))) &&
	         s->work.record.stored != rco__record_state(s);
	(void)pthread_mutex_unlock(&s->lock);
	return wanted;
}
