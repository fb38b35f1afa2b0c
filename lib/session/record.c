/* SPDX-License-Identifier: MIT */
/* Storing the call record: for a kept call beside its audio, for an opted-out call alone. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

enum { RECORD_BEGIN = 0, RECORD_PUT = 1, RECORD_COMMIT = 2 };

static int call_begin(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.begin(rco__copy_object(s, s->record), op, result, s->engine->upload_ud);
}

static int call_put(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.put(rco__copy_object(s, s->record), 1, s->record_text, s->record_size, op, result,
	                             s->engine->upload_ud);
}

static int call_commit(rco_session *s, uint64_t op, rco_result *result)
{
	return s->engine->upload.commit(rco__copy_object(s, s->record), op, result, s->engine->upload_ud);
}

static int prepare(rco_session *s)
{
	char key[RCO_ID_TEXT + 8], id[RCO_ID_TEXT + 1];
	int rc;

	if (s->record == NULL) {
		rco__uuid_text(s->recording_id, id);
		(void)snprintf(key, sizeof key, "%s.json", id);
		s->record = rco__copy_new(&s->engine->env, RCO_KIND_METADATA, RCO_STORE_UPLOAD, key, "");
		if (s->record == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for the call record of %s", s->call_id);
	}
	if (s->record_text != NULL)
		rco__release(&s->engine->env, s->record_text);
	s->record_text = NULL;
	/* A record that is not finished when the process ends is begun again by the next one, if that knows of it.
	 */
	(void)rco__ledger_write(s->engine->calls);
	rc = rco__call_record(s, &s->record_text, &s->record_size);
	s->record->size_bytes = s->record_size;
	return rc;
}

int rco__record_put(rco_session *s)
{
	static const rco__call_fn calls[] = {call_begin, call_put, call_commit};
	uint32_t status;
	rco_result result;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&s->lock);
	status = rco__status(s);
	(void)pthread_mutex_unlock(&s->lock);
	if (s->record_step == RECORD_BEGIN && s->op == 0) {
		rc = prepare(s);
		if (rc != RCO_OK)
			return rc;
		s->record_stored = 0;
	}
	while (s->record_step <= RECORD_COMMIT) {
		rc = rco__job_confirm(s, calls[s->record_step], RCO_CONFIRM_DONE, &result);
		if (rc == RCO_PENDING)
			return rc;
		if (rc != RCO_OK) {
			s->record_step = RECORD_BEGIN;
			return rc;
		}
		if (s->record_step == RECORD_BEGIN)
			(void)snprintf(s->record->upload_id, sizeof s->record->upload_id, "%s", result.upload_id);
		s->record_step++;
	}
	s->record_step = RECORD_BEGIN;
	s->record_stored = status + 1;
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, RCO_EVENT_CALL_RECORD, 0, 0, "%s", s->record->key);
	(void)pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

/* An opted-out call gets its record when the erasure is verified, or has been escalated; and again if that
 * changes. */
int rco__record_wanted(rco_session *s)
{
	int wanted;

	(void)pthread_mutex_lock(&s->lock);
	wanted = s->ended && (s->receipt.facts & (RCO_FACT_VERIFIED | RCO_FACT_ESCALATED)) &&
	         s->record_stored != rco__status(s) + 1;
	(void)pthread_mutex_unlock(&s->lock);
	return wanted;
}
