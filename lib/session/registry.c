/* SPDX-License-Identifier: MIT */
/* Finding the latest call of an id. */
#include "internal.h"

#include <string.h>

rco_session *rco__registry_find(rco_engine *engine, const char *call_id)
{
	rco_session *s;

	(void)pthread_mutex_lock(&engine->reg_lock);
	s = rco__map_get(&engine->by_call, call_id, strlen(call_id));
	if (s != NULL)
		rco__session_ref(s);
	(void)pthread_mutex_unlock(&engine->reg_lock);
	return s;
}

int rco__registry_add(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco_session *before;
	int rc = RCO_OK, live = 0;

	(void)pthread_mutex_lock(&engine->reg_lock);
	before = rco__map_get(&engine->by_call, s->call_id, strlen(s->call_id));
	if (before != NULL) {
		(void)pthread_mutex_lock(&before->lock);
		live = !before->ended;
		(void)pthread_mutex_unlock(&before->lock);
	}
	if (live)
		rc = rco__fail(RCO_E_CALL_EXISTS, "call %s is still going on", s->call_id);
	else
		rc = rco__map_set(&engine->by_call, s->call_id, strlen(s->call_id), s);
	if (rc == RCO_OK) {
		rco__session_ref(s);
		s->registered = 1;
		if (before != NULL)
			before->registered = 0;
		rco__prebirth_apply(s);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (rc == RCO_OK && before != NULL)
		rco__session_unref(before);
	return rc;
}

void rco__registry_forget(rco_session *s)
{
	rco_engine *engine = s->engine;
	int was;

	(void)pthread_mutex_lock(&engine->reg_lock);
	was = s->registered != 0;
	if (was)
		(void)rco__map_remove(&engine->by_call, s->call_id, strlen(s->call_id));
	s->registered = 0;
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (was)
		rco__session_unref(s);
}
