/* SPDX-License-Identifier: MIT */
/* Which opt-outs are not done with. */
#include "internal.h"

#include <stdio.h>

typedef struct seen {
	rco_pending out;
	char call_id[RCO_CALL_ID_MAX + 1];
	char receipt_id[RCO_ID_TEXT + 1];
} seen;

static int is_pending(const rco_session *s)
{
	uint32_t status = rco__status(s);

	return status != RCO_STATUS_UNKNOWN && status != RCO_STATUS_VERIFIED && status != RCO_STATUS_NOT_RECORDING;
}

static int look(rco_session *s, seen *to)
{
	int64_t left;
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = is_pending(s);
	if (yes) {
		left = s->erase_by_mono_us - rco__mono_us(&s->engine->env);
		to->out = (rco_pending){.struct_size = (uint32_t)sizeof to->out,
		                        .status = rco__status(s),
		                        .attempts = s->erase_failures,
		                        .requested_us = s->receipt.requested_us,
		                        .deadline_us = rco__wall_us(&s->engine->env) + left,
		                        .call_id = to->call_id,
		                        .receipt_id = to->receipt_id};
		(void)snprintf(to->call_id, sizeof to->call_id, "%s", s->call_id);
		rco__uuid_text(s->receipt.id, to->receipt_id);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

/* The one after `from`, with a reference; gives back that of `from`. */
static rco_session *next(rco_engine *engine, rco_session *from)
{
	rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	s = from == NULL ? engine->all : from->all_next;
	while (s != NULL && !rco__session_try_ref(s))
		s = s->all_next;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (from != NULL)
		rco__session_unref(from);
	return s;
}

int rco_engine_pending(rco_engine *engine, rco_pending_fn fn, void *user_data)
{
	int rc = rco__engine_check(engine), stop = 0;
	rco_session *s;
	seen one;

	if (rc != RCO_OK)
		return rc;
	if (fn == NULL)
		return rco__fail(RCO_E_INVALID, "fn is NULL");
	for (s = next(engine, NULL); s != NULL && !stop; s = next(engine, s))
		if (look(s, &one))
			stop = fn(&one.out, user_data);
	if (s != NULL)
		rco__session_unref(s);
	return RCO_OK;
}
