/* SPDX-License-Identifier: MIT */
/* Which opt-outs are not done with. */
#include "calls.h"
#include "core.h"
#include "facts.h"

#include "../base/status.h"

#include <stdio.h>

typedef struct seen {
	rco_pending out;
	char call_id[RCO_CALL_ID_MAX + 1];
	char receipt_id[RCO_ID_TEXT + 1];
} seen;

static int is_pending(const rco_session *s)
{
	uint32_t status = rco__status(s);

	return status != RCO_STATUS_UNKNOWN && rco__status_erasure(status) != RCO__ERASURE_OVER;
}

static int look(rco_session *s, seen *to)
{
	int64_t left;
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = is_pending(s);
	if (yes) {
		left = s->control.erase_by_mono_us - rco__mono_us(&s->engine->env);
		to->out = (rco_pending){.struct_size = (uint32_t)sizeof to->out,
		                        .status = rco__status(s),
		                        .attempts = s->control.erase_failures,
		                        .requested_us = s->control.receipt.requested_us,
		                        .deadline_us = rco__wall_us(&s->engine->env) + left,
		                        .call_id = to->call_id,
		                        .receipt_id = to->receipt_id};
		(void)snprintf(to->call_id, sizeof to->call_id, "%s", s->call_id);
		rco__uuid_text(s->control.receipt.id, to->receipt_id);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

int rco_engine_each_pending(rco_engine *engine, rco_pending_fn fn, void *user_data)
{
	int rc = rco__engine_check(engine), stop = 0;
	rco_session *s;
	seen one;

	if (rc != RCO_OK)
		return rc;
	if (fn == NULL)
		return rco__fail(RCO_E_INVALID, "fn is NULL");
	for (s = rco__registry_next(engine, NULL); s != NULL && !stop; s = rco__registry_next(engine, s))
		if (look(s, &one))
			stop = fn(&one.out, user_data);
	if (s != NULL)
		rco__session_unref(s);
	return RCO_OK;
}
