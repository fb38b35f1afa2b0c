/* SPDX-License-Identifier: MIT */
/* What a peer's preference does to a call, and what the peer is told. */
#include <recoptout/sip.h>

#include "../base/env.h"
#include "../base/error.h"
#include "../session/peer.h"

#include <stdio.h>

static const size_t policy_v1_size = RCO__SIZE_THROUGH(rco_recordpref_policy, reserved1);

static int opt_out(rco_session *session, const rco_recordpref_policy *policy, uint32_t *done,
                   rco_receipt **receipt)
{
	rco_opt_out_options options = {.struct_size = (uint32_t)sizeof options};
	int rc;

	options.source = policy->source != NULL ? policy->source : "sip-recordpref";
	if (policy->flags & RCO_RECORDPREF_NONBLOCK)
		options.flags = RCO_OPT_OUT_NONBLOCK;
	rc = rco_opt_out(session, &options, receipt);
	if (rc >= 0)
		*done = RCO_RECORDPREF_DID_OPT_OUT;
	return rc;
}

static int pause_for_peer(rco_session *session, uint32_t paused, uint32_t *done)
{
	int changed = 0, rc = rco__session_pause_for_peer(session, paused, &changed);

	if (changed)
		*done = paused ? RCO_RECORDPREF_DID_PAUSE : RCO_RECORDPREF_DID_RESUME;
	return rc == RCO_E_OPTED_OUT || rc == RCO_E_ENDED ? RCO_OK : rc;
}

static int apply(rco_session *session, uint32_t preference, const rco_recordpref_policy *policy, uint32_t *done,
                 rco_receipt **receipt)
{
	switch (preference) {
	case RCO_RECORDPREF_OFF:
		if (policy->off == RCO_OFF_IGNORED)
			return RCO_OK;
		if (policy->off == RCO_OFF_STOPS)
			return pause_for_peer(session, 1, done);
		return opt_out(session, policy, done, receipt);
	case RCO_RECORDPREF_PAUSE:
		return policy->flags & RCO_RECORDPREF_IGNORE_PAUSE ? RCO_OK : pause_for_peer(session, 1, done);
	case RCO_RECORDPREF_ON:
		return policy->flags & RCO_RECORDPREF_IGNORE_ON ? RCO_OK : pause_for_peer(session, 0, done);
	case RCO_RECORDPREF_NONE:
	case RCO_RECORDPREF_ABSENT:
		return RCO_OK;
	default:
		return rco__fail(RCO_E_INVALID, "%u is no preference", (unsigned)preference);
	}
}

static int check_policy(const rco_recordpref_policy *policy)
{
	uint32_t known = RCO_RECORDPREF_NONBLOCK | RCO_RECORDPREF_IGNORE_PAUSE | RCO_RECORDPREF_IGNORE_ON;
	int rc = rco__struct_known(policy->flags, known, policy->reserved0 != 0 || policy->reserved1 != NULL,
	                           "rco_recordpref_policy");

	if (rc != RCO_OK)
		return rc;
	if (policy->off > RCO_OFF_ERASES)
		return rco__fail(RCO_E_INVALID, "policy.off is %u", (unsigned)policy->off);
	return RCO_OK;
}

int rco_recordpref_apply(rco_session *session, uint32_t preference, const rco_recordpref_policy *policy,
                         uint32_t *done, rco_receipt **receipt)
{
	rco_recordpref_policy p = {.struct_size = (uint32_t)sizeof p};
	uint32_t unused;
	int rc;

	rco__error_clear();
	if (done == NULL)
		done = &unused;
	*done = RCO_RECORDPREF_DID_NOTHING;
	if (receipt != NULL)
		*receipt = NULL;
	rc = rco_session_record_state(session);
	if (rc < 0)
		return rc;
	rc = policy != NULL ? rco__struct_copy(&p, sizeof p, policy_v1_size, policy, "rco_recordpref_policy")
	                    : RCO_OK;
	if (rc == RCO_OK)
		rc = check_policy(&p);
	return rc != RCO_OK ? rc : apply(session, preference, &p, done, receipt);
}

/* ---- what the peer is told ---- */

const char *rco_record_state_name(uint32_t state)
{
	static const char *const names[] = {NULL, "off", "paused", "on"};

	return state <= RCO_RECORD_ON ? names[state] : NULL;
}

int rco_session_record_state(rco_session *session)
{
	rco__recording is;
	int rc = rco__session_recording(session, &is);

	if (rc != RCO_OK)
		return rc;
	if (is == RCO__RECORDING_PAUSED)
		return RCO_RECORD_PAUSED;
	return is == RCO__RECORDING_ON ? RCO_RECORD_ON : RCO_RECORD_OFF;
}

int rco_session_record_line(rco_session *session, char *buf, size_t cap, size_t *len)
{
	int state = rco_session_record_state(session), n;

	if (len != NULL)
		*len = 0;
	if (state < 0)
		return state;
	if (buf == NULL && cap > 0)
		return rco__fail(RCO_E_INVALID, "buf is NULL");
	n = snprintf(buf, cap, "a=record:%s\r\n", rco_record_state_name((uint32_t)state));
	if (len != NULL)
		*len = (size_t)n;
	if ((size_t)n >= cap)
		return rco__fail(RCO_E_LIMIT, "the line has %d bytes and a NUL, the buffer %zu", n, cap);
	return RCO_OK;
}
