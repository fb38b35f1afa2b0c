/* SPDX-License-Identifier: MIT */
/* Which session comes next: those just woken, those whose time has come, each in its turn. */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "work.h"

#include "../base/thread.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HOUSE_US = 1000000, BUSY_HOUSE_US = 100000 };

/* ---- life ---- */

int rco__shard_init(rco__shard *shard, rco_engine *engine, uint32_t number, rco__role role)
{
	shard->engine = engine;
	shard->number = number;
	shard->role = role;
	rco__list_init(&shard->urgent);
	rco__list_init(&shard->ready);
	rco__list_init(&shard->turn);
	shard->wheel = rco__alloc(&engine->env, sizeof *shard->wheel);
	if (shard->wheel == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a worker");
	rco__wheel_init(shard->wheel, rco__mono_us(&engine->env));
	shard->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return shard->wake_fd >= 0 ? RCO_OK : rco__fail_errno(errno, "eventfd");
}

void rco__shard_destroy(rco__shard *shard)
{
	const rco__env *env = &shard->engine->env;

	if (shard->wake_fd >= 0)
		(void)close(shard->wake_fd);
	if (shard->wheel != NULL)
		rco__release(env, shard->wheel);
	if (shard->args != NULL)
		rco__release(env, shard->args);
	if (shard->ahead != NULL)
		rco__release(env, shard->ahead);
	if (shard->scratch != NULL) {
		rco_memzero(shard->scratch, RCO__SCRATCH);
		rco__release(env, shard->scratch);
	}
}

/* The inbox is a stack; take it whole and turn it round, so that who came first is served first. */
static rco_session *inbox_take(rco__shard *shard)
{
	rco_session *s = atomic_exchange(&shard->inbox, NULL), *first = NULL;

	while (s != NULL) {
		rco_session *next = atomic_load(&s->inbox_next);

		atomic_store(&s->inbox_next, first);
		first = s;
		s = next;
	}
	return first;
}

/* ---- queues ---- */

/* It may have to wait for a disk now. The last thing that this thread does with it. */
static void hand_over(rco__shard *shard, rco_session *s)
{
	s->work.linked = 0;
	if (rco__session_urgent(s) && !atomic_load(&s->control.hold))
		rco__rings_wipe(s);
	atomic_store(&s->shard, shard->engine->n_live + shard->number);
	rco__session_wake(s);
	rco__session_unref(s);
}

static void receive(rco__shard *shard, rco_session *s)
{
	/* From here on a wake queues it again: nothing that happens during the step is missed. */
	atomic_store(&s->queued, 0);
	if (atomic_load(&s->shard) != shard->number) { /* it went over to another while this was under way */
		rco__session_wake(s);
		rco__session_unref(s);
		return;
	}
	if (s->work.linked) {
		rco__list_remove(&s->work.timer.link);
		rco__session_unref(s);
	}
	if (shard->role == RCO__ROLE_LIVE && !rco__session_live(s)) {
		hand_over(shard, s);
		return;
	}
	s->work.linked = 1;
	rco__list_add(shard->role != RCO__ROLE_LIVE && rco__session_urgent(s) ? &shard->urgent : &shard->ready,
	              &s->work.timer.link);
}

static void receive_all(rco__shard *shard)
{
	rco_session *s, *next;

	if (atomic_load(&shard->inbox) == NULL)
		return;
	for (s = inbox_take(shard); s != NULL; s = next) {
		next = atomic_load(&s->inbox_next);
		receive(shard, s);
	}
}

static void notify_idle(rco_engine *engine)
{
	atomic_fetch_add(&engine->idle_epoch, 1);
	if (atomic_load(&engine->idle_waiters) == 0)
		return;
	(void)pthread_mutex_lock(&engine->idle_lock);
	(void)pthread_cond_broadcast(&engine->idle);
	(void)pthread_mutex_unlock(&engine->idle_lock);
}

/* It is in no list, and its reference is ours. */
static void step(rco__shard *shard, rco_session *s)
{
	int64_t due;

	if (shard->role == RCO__ROLE_LIVE && !rco__session_live(s)) {
		hand_over(shard, s);
		return;
	}
	shard->current = s;
	due = rco__session_step(s);
	rco__clear_registers(); /* of audio (P4), before anything is said of it */
	rco__events_dispatch(s);
	shard->current = NULL;
	if (due == RCO__NEVER) { /* it only waits to be woken */
		s->work.linked = 0;
		rco__session_unref(s);
	} else {
		rco__wheel_set(shard->wheel, &s->work.timer, due);
	}
	notify_idle(shard->engine);
}

static void step_urgent(rco__shard *shard, rco_session *s)
{
	shard->current = s;
	rco__session_make_durable(s);
	rco__events_dispatch(s);
	shard->current = NULL;
	rco__list_add(&shard->ready, &s->work.timer.link);
}

static void step_next(rco__shard *shard)
{
	/* One that is woken meanwhile leaves the list, so that the count may be one too high: the last of them
	 * then empty their rings themselves. */
	if (shard->engine->buffer_kind == RCO__BUFFER_SPOOL && shard->n_ahead == 0)
		shard->n_ahead = rco__drain_ahead(shard);
	if (shard->n_ahead > 0)
		shard->n_ahead--;
	step(shard, rco__shard_session(rco__list_take(&shard->turn)));
}

/* Those that are ready now. What is woken meanwhile has its turn after them, but for a new opt-out, which needs
 * its tombstone before any more of the work that earlier ones left is done. */
static void serve(rco__shard *shard)
{
	rco__list_move(&shard->turn, &shard->ready);
	shard->n_ahead = 0;
	for (;;) {
		receive_all(shard);
		if (!rco__list_empty(&shard->urgent))
			step_urgent(shard, rco__shard_session(rco__list_take(&shard->urgent)));
		else if (!rco__list_empty(&shard->turn) && !atomic_load(&shard->engine->closing) &&
		         !rco__shard_late(shard))
			step_next(shard);
		else
			break;
	}
	rco__list_move(&shard->turn, &shard->ready); /* those that there was no time for go first */
	rco__list_move(&shard->ready, &shard->turn);
}

int rco__shard_late(const rco__shard *shard)
{
	return shard->work_until_us != 0 && rco__mono_us(&shard->engine->env) >= shard->work_until_us;
}

static void house(rco__shard *shard, int64_t now)
{
	rco_engine *engine = shard->engine;

	if (shard != engine->maintenance)
		return;
	if (atomic_exchange(&engine->early_asked, 0) == 0 && now < shard->next_maintenance_us)
		return;
	shard->next_maintenance_us = now + HOUSE_US;
	rco__early_expire(engine);
	if (rco__ledger_maintain(engine->ledger) != RCO_OK || rco__ledger_maintain(engine->calls) != RCO_OK)
		rco__log(&engine->env, RCO_LOG_WARN, "tidying the ledger failed: %s", rco_error_detail());
}

/* Of a thread that nobody waits for: the key provider is asked in there, and may be a service that is down. */
static void house_spools(rco__shard *shard, int64_t now)
{
	rco_engine *engine = shard->engine;
	int rc = RCO_OK, rc2 = RCO_OK;

	if (shard != engine->spooler || now < shard->next_spool_us)
		return;
	if (engine->spool != NULL)
		RCO__ASK_HOST(engine, rc, rco_spool_maintain(engine->spool));
	if (engine->host_spool != NULL)
		RCO__ASK_HOST(engine, rc2, rco_spool_maintain(engine->host_spool));
	shard->next_spool_us = now + (rc == RCO_PENDING || rc2 == RCO_PENDING ? BUSY_HOUSE_US : HOUSE_US);
}

void rco__shard_pass(rco__shard *shard)
{
	int64_t now = rco__mono_us(&shard->engine->env);

	if (shard == shard->engine->committer)
		rco__requests_serve(shard->engine, 0);
	receive_all(shard);
	rco__wheel_advance(shard->wheel, now, &shard->ready);
	serve(shard);
	if (shard != shard->engine->flusher) {
		if (atomic_exchange(&shard->appended, 0) != 0)
			rco__flush_wanted(shard->engine);
	} else {
		rco__flush(shard, now);
	}
	house(shard, now);
	house_spools(shard, now);
	if (shard == shard->engine->maintenance)
		rco__engine_events_dispatch(shard->engine);
}

int rco__shard_wait_ms(rco__shard *shard)
{
	int64_t now = rco__mono_us(&shard->engine->env), due = rco__wheel_next(shard->wheel);

	if (atomic_load(&shard->inbox) != NULL || !rco__list_empty(&shard->ready))
		return 0;
	if (shard == shard->engine->maintenance && atomic_load(&shard->engine->early_asked) != 0)
		return 0;
	if (shard == shard->engine->maintenance && shard->next_maintenance_us < due)
		due = shard->next_maintenance_us;
	if (shard == shard->engine->spooler && shard->next_spool_us < due)
		due = shard->next_spool_us;
	if (shard == shard->engine->flusher && rco__flush_due(shard) < due)
		due = rco__flush_due(shard);
	if (due <= now)
		return 0;
	return due - now > HOUSE_US ? HOUSE_US / 1000 : (int)((due - now + 999) / 1000);
}

void rco__shard_gather(rco__shard *shard)
{
	rco_session *s, *next;

	for (s = inbox_take(shard); s != NULL; s = next) {
		next = atomic_load(&s->inbox_next);
		/* Stays marked as queued: nothing is queued any more. */
		if (s->work.linked) {
			rco__session_unref(s);
			continue;
		}
		s->work.linked = 1;
		rco__list_add(&shard->ready, &s->work.timer.link);
	}
	rco__list_move(&shard->ready, &shard->turn);
	rco__list_move(&shard->ready, &shard->urgent);
	rco__wheel_clear(shard->wheel, &shard->ready);
}

void rco__shard_orphaned(rco__shard *shard)
{
	rco_session *s = shard->current;

	shard->current = NULL;
	if (s == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (s->recorder.busy && pthread_equal(s->recorder.thread, pthread_self())) {
		s->recorder.busy = 0;
		(void)pthread_cond_broadcast(&s->changed);
	}
	if (s->control.telling && pthread_equal(s->control.teller, pthread_self()))
		s->control.telling = 0;
	(void)pthread_mutex_unlock(&s->lock);
	atomic_store(&s->work.late_news, 1);    /* it may have waited for the teller */
	if (shard->role == RCO__ROLE_OPT_OUT) { /* which has no sessions of its own */
		rco__request_again(s);
		rco__session_wake(s);
		rco__session_unref(s);
		return;
	}
	s->work.op_deadline_us = 0; /* who was asked will not answer: it counts as failed, and is asked again */
	rco__list_add(&shard->ready, &s->work.timer.link);
}
