/* SPDX-License-Identifier: MIT */
/* What the last reference frees: of a session, and of the engine, which each session holds one of. */
#include "calls.h"
#include "core.h"
#include "work.h"

#include <sys/mman.h>

/* Freed sessions stay readable for a while, so that a late call on one is answered instead of crashing. */
enum { RETIRED_MAX = 256 };

static void free_events(rco_session *s)
{
	while (s->control.events != NULL) {
		rco__event *e = s->control.events;

		s->control.events = e->next;
		rco__release(&s->engine->env, e);
	}
}

static void free_copies(rco_session *s)
{
	const rco__env *env = &s->engine->env;

	while (s->control.copies != NULL) {
		rco__copy *c = s->control.copies;

		s->control.copies = c->next;
		rco__claim_drop(s->engine, c);
		rco__copy_free(env, c);
	}
	if (s->work.record.copy != NULL)
		rco__copy_free(env, s->work.record.copy);
	if (s->work.record.text != NULL)
		rco__release(env, s->work.record.text);
	if (s->work.args != NULL)
		rco__release(env, s->work.args);
	s->work.record.copy = NULL;
	s->work.record.text = NULL;
	s->work.args = NULL;
}

static void reclaim(const rco__env *env, rco_session *s)
{
	rco__parts_free(env, s->past_parts);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->changed);
	if (s->legs != NULL)
		rco__release(env, s->legs);
	rco__release(env, s->call_id);
	rco__release(env, s);
}

void rco__session_destroy(rco_session *s)
{
	rco_engine *engine = s->engine;
	rco_session *out = NULL, *earlier = s->earlier;

	rco__export_end(s);
	if (s->work.drain.buf != NULL) {
		rco_memzero(s->work.drain.buf, s->work.drain.size);
		rco__release(&engine->env, s->work.drain.buf);
		s->work.drain.buf = NULL;
	}
	free_events(s);
	free_copies(s);
	rco_memzero(&s->control.receipt, sizeof s->control.receipt);
	atomic_store(&s->magic, RCO__MAGIC_DEAD);
	(void)pthread_mutex_lock(&engine->reg_lock);
	if (s->all_prev != NULL)
		s->all_prev->all_next = s->all_next;
	else
		engine->all = s->all_next;
	if (s->all_next != NULL)
		s->all_next->all_prev = s->all_prev;
	s->all_prev = s->all_next = NULL;
	*engine->retired_tail = s;
	engine->retired_tail = &s->all_next;
	if (++engine->retired_count > RETIRED_MAX) {
		out = engine->retired;
		engine->retired = out->all_next;
		engine->retired_count--;
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
	if (out != NULL)
		reclaim(&engine->env, out);
	if (earlier != NULL)
		rco__session_unref(earlier);
	rco__engine_unref(engine);
}

void rco__engine_unref(rco_engine *engine)
{
	rco__env env = engine->env;

	if (atomic_fetch_sub(&engine->refs, 1) != 1)
		return;
	while (engine->retired != NULL) {
		rco_session *s = engine->retired;

		engine->retired = s->all_next;
		reclaim(&env, s);
	}
	rco__pool_free(engine->pool);
	(void)pthread_mutex_destroy(&engine->reg_lock);
	(void)pthread_mutex_destroy(&engine->revive_lock);
	rco__map_destroy(&engine->claims);
	(void)pthread_mutex_destroy(&engine->claims_lock);
	(void)pthread_mutex_destroy(&engine->ops_lock);
	(void)pthread_mutex_destroy(&engine->idle_lock);
	(void)pthread_cond_destroy(&engine->idle);
	(void)pthread_cond_destroy(&engine->ops_answered);
	rco__listeners_destroy(engine);
	rco__answers_destroy(engine);
	rco__roots_close(&engine->roots);
	if (engine->alive != NULL)
		(void)munmap((void *)(uintptr_t)engine->alive, 4096);
	rco__release(&env, engine);
}
