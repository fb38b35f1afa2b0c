/* SPDX-License-Identifier: MIT */
/* Finding the latest call of an id, and all others of it that are not done with. */
#include "calls.h"
#include "core.h"

#include <string.h>

static rco_session *next(rco_engine *engine, const char *call_id, rco_session *from)
{
	rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	s = from == NULL ? engine->all : from->all_next;
	while (s != NULL &&
	       ((call_id != NULL && (!s->kept || strcmp(s->call_id, call_id) != 0)) || !rco__session_try_ref(s)))
		s = s->all_next;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (from != NULL)
		rco__session_unref(from);
	return s;
}

rco_session *rco__registry_next(rco_engine *engine, rco_session *from)
{
	return next(engine, NULL, from);
}

rco_session *rco__registry_next_of(rco_engine *engine, const char *call_id, rco_session *from)
{
	return next(engine, call_id, from);
}

rco_session *rco__registry_recording(rco_engine *engine, const uint8_t recording_id[16])
{
	rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (s = engine->all; s != NULL; s = s->all_next)
		if (s->kept &&
		    (memcmp(s->recording_id, recording_id, sizeof s->recording_id) == 0 ||
		     rco__parts_have(s->past_parts, recording_id)) &&
		    rco__session_try_ref(s))
			break;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return s;
}

/* reg_lock held */
static void keep(rco_session *s)
{
	if (!s->kept)
		rco__session_ref(s);
	s->kept = 1;
}

void rco__registry_keep(rco_session *s)
{
	(void)pthread_mutex_lock(&s->engine->reg_lock);
	keep(s);
	(void)pthread_mutex_unlock(&s->engine->reg_lock);
}

/* reg_lock held. RCO_OK: the id is this call's, or the call before goes on and is `same`. */
static int take_id(rco_session *s, rco_session *before, rco_session **same)
{
	rco__map *by_call = &s->engine->by_call;
	rco__continues how;
	int rc;

	if (before == NULL)
		return rco__map_set(by_call, s->call_id, strlen(s->call_id), s);
	(void)pthread_mutex_lock(&before->lock);
	how = same != NULL ? rco__continued_how(before) : RCO__CONTINUES_NOT;
	if (!before->control.ended) {
		rc = rco__fail(RCO_E_CALL_EXISTS, "call %s is still going on", s->call_id);
	} else if (how == RCO__CONTINUES_SAME) {
		rco__continued_same(before, s);
		*same = before;
		rc = RCO_OK;
	} else {
		rc = rco__map_set(by_call, s->call_id, strlen(s->call_id), s);
		if (rc == RCO_OK && how == RCO__CONTINUES_PART)
			rco__continued_part(before, s);
	}
	(void)pthread_mutex_unlock(&before->lock);
	return rc;
}

int rco__registry_add(rco_session *s, rco_session **same)
{
	rco_engine *engine = s->engine;
	rco_session *before;
	int rc, older = 0;

	(void)pthread_mutex_lock(&engine->reg_lock);
	before = rco__map_get(&engine->by_call, s->call_id, strlen(s->call_id));
	/* What an earlier process left comes in any order; the id stands for the latest of them. */
	if (s->recovered)
		older = (before != NULL && before->control.created_us > s->control.created_us) ||
		        rco__past_is_newer(s);
	if (older) {
		s->control.id_reused = 1;
		keep(s);
		(void)pthread_mutex_unlock(&engine->reg_lock);
		return RCO_OK;
	}
	rc = take_id(s, before, same);
	if (rc == RCO_OK && (same == NULL || *same == NULL)) {
		keep(s);
		s->registered = 1;
		/* That one stays known until it is forgotten: its hold may have to be lifted, or a doubt settled.
		 */
		if (before != NULL)
			before->registered = 0;
		rco__past_ends(s, before);
		rco__early_apply(s);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return rc;
}

void rco__registry_forget(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco__past *past = atomic_load(&engine->closing) == 0 ? rco__past_of(s) : NULL;
	int was, kept;

	(void)pthread_mutex_lock(&engine->reg_lock);
	was = s->registered != 0;
	kept = s->kept != 0;
	if (was)
		(void)rco__map_remove(&engine->by_call, s->call_id, strlen(s->call_id));
	s->registered = s->kept = 0;
	if (was && past != NULL)
		rco__past_add(engine, past);
	else if (past != NULL) /* a later call has the id by now */
		rco__past_release(&engine->env, past);
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (kept)
		rco__session_unref(s);
}
