/* SPDX-License-Identifier: MIT */
/* A call by its recording's id, which no other call ever has, where a call id may come again. */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "found.h"

#include <string.h>

/* Of a call that goes on over a restart, and has an id for each part, the last part, which stands for all. */
static rco_session *whole(rco_session *s)
{
	rco_session *last = rco__registry_find(s->engine, s->call_id);

	if (last != NULL && last != s && rco__continues_it(last, s)) {
		rco__session_unref(s);
		return last;
	}
	if (last != NULL)
		rco__session_unref(last);
	return s;
}

/* A reference; also of one that is done with, which is taken up again. */
static int find(rco_engine *engine, const uint8_t recording_id[16], rco_session **out)
{
	char call_id[RCO_CALL_ID_MAX + 1];
	int rc = rco__engine_check(engine);
	rco__receipt_data data;
	rco_session *s;

	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL)
		return rco__fail(RCO_E_INVALID, "recording_id is NULL");
	s = rco__registry_recording(engine, recording_id);
	if (s == NULL && rco__past_recording(engine, recording_id, call_id, &data)) {
		rc = rco__past_revive(engine, call_id, &s);
		if (rc != RCO_OK && rc != RCO_E_NOT_FOUND)
			return rc;
		if (rc == RCO_OK && memcmp(s->recording_id, data.recording_id, 16) != 0) {
			rco__session_unref(s); /* the id is a later call's by now */
			s = NULL;
		}
	}
	if (s == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "no call with this recording is known");
	*out = whole(s);
	return RCO_OK;
}

int rco_recording_opt_out(rco_engine *engine, const uint8_t recording_id[16], const rco_opt_out_options *options,
                          rco_receipt **receipt)
{
	rco_session *s;
	int rc = find(engine, recording_id, &s);

	if (receipt != NULL)
		*receipt = NULL;
	if (rc != RCO_OK)
		return rc;
	rc = rco__session_opt_out(s, options, receipt);
	rco__session_unref(s);
	return rc;
}

/* Of what is done with the receipt alone, which needs no session. */
static int past_receipt(rco_engine *engine, const uint8_t recording_id[16], rco_receipt **receipt)
{
	char call_id[RCO_CALL_ID_MAX + 1];
	rco__receipt_data data;

	if (rco__past_recording(engine, recording_id, call_id, &data))
		return rco__receipt_issue(engine, &data, receipt);
	return rco__fail(RCO_E_NOT_FOUND, "no opt-out of a call with this recording is known");
}

int rco_recording_receipt(rco_engine *engine, const uint8_t recording_id[16], rco_receipt **receipt)
{
	int rc = rco__engine_check(engine);
	rco_session *s;

	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL || receipt == NULL)
		return rco__fail(RCO_E_INVALID, "recording_id or receipt is NULL");
	*receipt = NULL;
	s = rco__registry_recording(engine, recording_id);
	if (s == NULL)
		return past_receipt(engine, recording_id, receipt);
	s = whole(s);
	rc = rco__session_receipt(s, receipt);
	rco__session_unref(s);
	return rc;
}

int rco_recording_register_artifact(rco_engine *engine, const uint8_t recording_id[16], uint32_t kind,
                                    const char *location, const char *version)
{
	rco_session *s;
	int rc = find(engine, recording_id, &s);

	if (rc != RCO_OK)
		return rc;
	rc = rco__session_artifact(s, kind, location, version, 0);
	rco__session_unref(s);
	return rc;
}

int rco_recording_set_legal_hold(rco_engine *engine, const uint8_t recording_id[16], int hold)
{
	rco_session *s;
	int rc = find(engine, recording_id, &s);

	if (rc != RCO_OK)
		return rc;
	rc = rco__session_hold(s, hold, 0);
	rco__session_unref(s);
	return rc;
}

int rco_recording_recorder_stopped(rco_engine *engine, const uint8_t recording_id[16])
{
	rco_session *s;
	int rc = find(engine, recording_id, &s);

	if (rc != RCO_OK)
		return rc;
	rc = rco__session_recorder_stopped(s);
	rco__session_unref(s);
	return rc;
}
