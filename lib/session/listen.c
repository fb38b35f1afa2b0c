/* SPDX-License-Identifier: MIT */
/* Who else is told of events. */
#include "calls.h"
#include "core.h"

void rco__listeners_init(rco_engine *engine)
{
	(void)pthread_mutex_init(&engine->listen_lock, NULL);
	(void)pthread_cond_init(&engine->listen_quiet, NULL);
}

void rco__listeners_destroy(rco_engine *engine)
{
	(void)pthread_cond_destroy(&engine->listen_quiet);
	(void)pthread_mutex_destroy(&engine->listen_lock);
}

/* lock held: one who left goes when nobody is inside any more, for its slot may then be another's */
static void come_out(rco_engine *engine, rco__listener *l)
{
	if (--l->running == 0 && l->leaving)
		*l = (rco__listener){0};
	(void)pthread_cond_broadcast(&engine->listen_quiet);
}

typedef struct inside {
	rco_engine *engine;
	rco__listener *l;
	const rco_event *event;
} inside;

static void ended_inside(void *arg)
{
	inside *in = arg;

	(void)pthread_mutex_lock(&in->engine->listen_lock);
	come_out(in->engine, in->l);
	(void)pthread_mutex_unlock(&in->engine->listen_lock);
}

/* No lock held. The function may end the thread: who waits for it to come out must not wait for ever. */
static void call(inside *in)
{
	pthread_cleanup_push(ended_inside, in);
	RCO__IN_HOST(in->engine, in->l->fn(in->event, in->l->user_data));
	pthread_cleanup_pop(0);
}

void rco__listeners_notify(rco_engine *engine, const rco_event *event)
{
	uint32_t i;

	(void)pthread_mutex_lock(&engine->listen_lock);
	for (i = 0; i < engine->n_listeners; i++) {
		rco__listener *l = &engine->listeners[i];

		if (l->fn == NULL || l->leaving)
			continue;
		l->running++;
		(void)pthread_mutex_unlock(&engine->listen_lock);
		call(&(inside){.engine = engine, .l = l, .event = event});
		(void)pthread_mutex_lock(&engine->listen_lock);
		come_out(engine, l);
	}
	(void)pthread_mutex_unlock(&engine->listen_lock);
}

int rco_engine_add_listener(rco_engine *engine, rco_event_fn fn, void *user_data)
{
	int rc = rco__engine_check(engine);
	uint32_t i;

	if (rc != RCO_OK)
		return rc;
	if (fn == NULL)
		return rco__fail(RCO_E_INVALID, "fn is NULL");
	(void)pthread_mutex_lock(&engine->listen_lock);
	for (i = 0; i < RCO_LISTENERS_MAX && engine->listeners[i].fn != NULL; i++)
		;
	if (i < RCO_LISTENERS_MAX) {
		engine->listeners[i].fn = fn;
		engine->listeners[i].user_data = user_data;
		if (i >= engine->n_listeners)
			engine->n_listeners = i + 1;
	}
	(void)pthread_mutex_unlock(&engine->listen_lock);
	return i < RCO_LISTENERS_MAX ? RCO_OK
	                             : rco__fail(RCO_E_LIMIT, "%d functions listen already", RCO_LISTENERS_MAX);
}

int rco_engine_remove_listener(rco_engine *engine, rco_event_fn fn, void *user_data)
{
	int rc = rco__engine_check(engine);
	rco__listener *l = NULL;
	uint32_t i;

	if (rc != RCO_OK)
		return rc;
	if (fn == NULL)
		return rco__fail(RCO_E_INVALID, "fn is NULL");
	(void)pthread_mutex_lock(&engine->listen_lock);
	for (i = 0; i < engine->n_listeners && l == NULL; i++)
		if (engine->listeners[i].fn == fn && engine->listeners[i].user_data == user_data &&
		    !engine->listeners[i].leaving)
			l = &engine->listeners[i];
	if (l != NULL) {
		l->leaving = 1;
		l->running++; /* ours, so that the slot stays this one's while we wait */
		/* Inside a callback it may be ourselves that we would wait for. */
		while (l->running > 1 && !rco__in_callback())
			(void)pthread_cond_wait(&engine->listen_quiet, &engine->listen_lock);
		come_out(engine, l);
	}
	(void)pthread_mutex_unlock(&engine->listen_lock);
	return l != NULL ? RCO_OK : rco__fail(RCO_E_NOT_FOUND, "this function does not listen");
}
