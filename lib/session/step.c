/* SPDX-License-Identifier: MIT */
/* What a worker does about a session, each time it is woken or its time has come. */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "journal.h"
#include "work.h"

static int held(const rco_session *s)
{
	return atomic_load(&s->control.hold) != 0;
}

static int ended(rco_session *s)
{
	return atomic_load(&s->control.ended) != 0;
}

/* The thread that ends the call holds the lock until its gates are shut: seen under the lock, no frame comes after
 * it. */
static int ended_and_shut(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = s->control.ended != 0;
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

int rco__session_busy(rco_session *s)
{
	uint32_t phase = atomic_load(&s->work.phase);

	if (!rco__opted_out(s))
		return s->control.ended && phase < RCO__PHASE_DONE;
	if (!(s->control.receipt.facts & RCO_FACT_DURABLE))
		return 1;
	if (s->control.hold)
		return s->control.ended && phase < RCO__PHASE_DONE;
	if (phase != RCO__PHASE_ERASED) /* which a recorder that may still be recording keeps a call from */
		return 1;
	return s->control.ended && atomic_load(&s->work.record.stored) != rco__record_state(s);
}

/* ---- trying again ---- */

static int64_t back_off(const rco_session *s, uint32_t attempt)
{
	const rco_engine_config *cfg = &s->engine->cfg;
	uint64_t ms = cfg->retry_min_ms;

	while (attempt-- > 1 && ms < cfg->retry_max_ms)
		ms *= 2;
	return (int64_t)(ms < cfg->retry_max_ms ? ms : cfg->retry_max_ms) * 1000;
}

static uint32_t retry_event(uint32_t phase)
{
	if (phase == RCO__PHASE_LIVE)
		return RCO_EVENT_BUFFER_RETRY;
	return phase < RCO__PHASE_ERASE ? RCO_EVENT_UPLOAD_RETRY : RCO_EVENT_ERASE_RETRY;
}

static void failed(rco_session *s, int rc, uint32_t phase)
{
	uint32_t attempt = atomic_fetch_add(&s->work.attempt, 1) + 1;

	s->work.retry_us = rco__mono_us(&s->engine->env) + back_off(s, attempt);
	if (phase >= RCO__PHASE_ERASE && s->work.erase.for_recorder)
		return; /* no backend failed, and that the recorder did was told */
	(void)pthread_mutex_lock(&s->lock);
	if (phase >= RCO__PHASE_ERASE)
		s->control.erase_failures++;
	rco__event_queue(s, retry_event(phase), rc, 0, "%s", rco_error_detail());
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- opted out ---- */

/* From whatever was being done to erasing. RCO_PENDING while a backend still works for the call. */
static int turn_to_erasing(rco_session *s)
{
	if (rco__job_busy(s))
		return RCO_PENDING;
	rco__export_end(s);
	rco__drain_abandon(s);
	s->work.cursor = NULL;
	rco__record_leave(s);
	s->work.retry_us = 0;
	atomic_store(&s->work.attempt, 0);
	atomic_store(&s->work.phase, RCO__PHASE_ERASE);
	return RCO_OK;
}

/* Lock held: nothing is left that somebody would have to be told of. */
static int settled(const rco_session *s)
{
	uint32_t facts = s->control.receipt.facts;

	return (facts & RCO_FACT_STOPPED) && (facts & RCO_FACT_DURABLE) &&
	       (s->control.hold || (facts & RCO_FACT_VERIFIED));
}

/* Lock held. */
static const char *why_not(const rco_session *s)
{
	uint32_t facts = s->control.receipt.facts;

	if (!(facts & RCO_FACT_DURABLE))
		return "not on disk within the deadline; it is still being tried";
	if (!(facts & RCO_FACT_STOPPED))
		return "the recorder has not confirmed its stop within the deadline";
	if (facts & RCO_FACT_UNREGISTERED)
		return "no file of the recorder was registered within the deadline: it stays where it is";
	return "not erased within the deadline; it is still being tried";
}

/* Lock held: the record cannot be closed, nor the call be forgotten, before somebody has heard of it. */
static int open_question(const rco_session *s)
{
	uint32_t facts = s->control.receipt.facts;

	if (!rco__opted_out(s))
		return 0;
	return !(facts & RCO_FACT_STOPPED) ||
	       ((facts & RCO_FACT_UNREGISTERED) && (facts & RCO_FACT_RECORDED) && !(facts & RCO_FACT_ESCALATED));
}

static void escalate(rco_session *s, int64_t now)
{
	rco__receipt_data receipt;
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	if (now < s->control.erase_by_mono_us || (s->control.receipt.facts & RCO_FACT_ESCALATED) || settled(s)) {
		(void)pthread_mutex_unlock(&s->lock);
		return;
	}
	s->control.receipt.facts |= RCO_FACT_ESCALATED;
	receipt = s->control.receipt;
	rco__event_queue(s, RCO_EVENT_ESCALATED, RCO_E_TIMEOUT, 0, "%s", why_not(s));
	(void)pthread_mutex_unlock(&s->lock);
	(void)rco__events_told(s); /* before it is noted: the next process does not tell it again */
	if (rco__journal_mark(s->engine, &receipt, RCO__OPT_ESCALATED, 0, rco__wall_us(&s->engine->env), &lsn) ==
	    RCO_OK)
		(void)rco__ledger_write(s->engine->ledger);
}

/* When that is to happen. */
static int64_t escalates_at(rco_session *s)
{
	int64_t by;

	(void)pthread_mutex_lock(&s->lock);
	by = (s->control.receipt.facts & RCO_FACT_ESCALATED) || settled(s) ? RCO__NEVER
	                                                                   : s->control.erase_by_mono_us;
	(void)pthread_mutex_unlock(&s->lock);
	return by;
}

/* Store the call record when the erasure leaves room for it. RCO_PENDING: a backend is at it. */
static int record_beside(rco_session *s, int64_t now)
{
	rco__event *told;
	int rc;

	if (!s->work.record.active) {
		if (s->work.op != 0 || now < s->work.record.retry_us || !rco__record_wanted(s))
			return RCO_OK;
		s->work.record.active = 1;
	}
	rc = rco__record_put(s);
	if (rc == RCO_PENDING)
		return rc;
	s->work.record.active = 0;
	if (rc == RCO_OK) {
		s->work.record.attempt = 0;
		return RCO_OK;
	}
	s->work.record.retry_us = now + back_off(s, ++s->work.record.attempt);
	(void)pthread_mutex_lock(&s->lock);
	told = rco__event_queue(s, RCO_EVENT_UPLOAD_RETRY, rc, 0, "the call record: %s", rco_error_detail());
	if (told != NULL)
		told->attempt = s->work.record.attempt;
	(void)pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

/*
 * A wish that came before its call is durable as such, and the tombstone that takes its place is not waited for.
 * It is before that is closed: of an end without its beginning the next process would make that nothing is left to
 * know.
 */
static int tombstone_durable(rco_session *s)
{
	uint64_t lsn;
	int rc;

	(void)pthread_mutex_lock(&s->lock);
	rc = rco__tombstone_enqueue(s, &lsn);
	(void)pthread_mutex_unlock(&s->lock);
	return rc == RCO_OK ? rco__ledger_sync(s->engine->ledger, lsn) : rc;
}

/* Everything is done and the call is over: the journals need not bring it up again. An error is for trying again.
 */
static int close_record(rco_session *s)
{
	uint64_t lsn;
	int rc;

	if (s->work.closed || !ended(s) || !rco__events_told(s))
		return RCO_OK;
	rc = rco__journal_reuse(s);
	if (rc == RCO_OK)
		rc = tombstone_durable(s);
	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&s->lock);
	s->work.closed = !rco__session_busy(s) && !open_question(s);
	if (s->work.closed) { /* in one with the entries: a late copy, or a later call of the id, is told behind
		                 them */
		(void)rco__journal_done(s, &lsn);
		(void)rco__journal_closed(s);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (s->work.closed) {
		(void)rco__ledger_write(s->engine->ledger);
		(void)rco__ledger_write(s->engine->calls);
	}
	return RCO_OK;
}

/* ---- one phase ---- */

static int live(rco_session *s, int64_t now)
{
	int64_t beat = (int64_t)s->engine->cfg.flush_interval_ms * 1000;
	int rc = rco__drain(s);

	if (rc != RCO_OK)
		return rc;
	atomic_store(&s->work.attempt, 0);
	if (!ended_and_shut(s)) {
		/* On the beat that all calls share, so that one flush serves them all. */
		s->work.retry_us = atomic_load(&s->n_legs) > 0 ? (now / beat + 1) * beat : RCO__NEVER;
		return RCO_PENDING;
	}
	/* The rings also say whose they are; from now on the journal alone does, were the process to be killed. */
	rc = s->work.journaled && rco__rings_done(s) ? rco__ledger_try_write(s->engine->calls) : RCO_PENDING;
	if (rc < 0)
		return rc;
	if (rc == RCO_OK && rco__rings_release(s) == RCO_OK) {
		atomic_store(&s->work.phase, RCO__PHASE_SEAL);
		return RCO_OK;
	}
	s->work.retry_us = now + 1000;
	return RCO_PENDING;
}

static int one_phase(rco_session *s, int64_t now)
{
	uint32_t phase = atomic_load(&s->work.phase);

	if (phase == RCO__PHASE_LIVE)
		return live(s, now);
	if (phase < RCO__PHASE_DONE)
		return rco__upload_step(s);
	return rco__erase_step(s);
}

static int at_rest(const rco_session *s)
{
	uint32_t phase = atomic_load(&s->work.phase);

	return phase == RCO__PHASE_DONE || phase == RCO__PHASE_ERASED;
}

/* An ended call is forgotten after its time, but never while something is to be done or held. */
static int64_t forget_at(rco_session *s, int64_t now)
{
	int64_t when;
	int busy;

	(void)pthread_mutex_lock(&s->lock);
	when = s->control.ended ? s->control.forget_mono_us : RCO__NEVER;
	busy = rco__session_busy(s) || (rco__opted_out(s) && s->control.hold) || open_question(s);
	(void)pthread_mutex_unlock(&s->lock);
	busy |= rco__opted_out(s) && (rco__continued_closes_at(s, now) > now || !s->work.closed);
	if (busy || when == RCO__NEVER)
		return RCO__NEVER;
	if (when > now)
		return when;
	rco__registry_forget(s);
	return RCO__NEVER;
}

void rco__session_book(rco_session *s)
{
	uint32_t i, n = s->recovered ? atomic_load(&s->n_legs) : 0; /* else each was booked as it was added */

	if (s->work.journaled)
		return;
	if (rco__journal_begin(s, NULL) != RCO_OK)
		return; /* with the next step */
	for (i = 0; i < n; i++)
		if (rco__journal_leg(s, i) != RCO_OK)
			return;
	s->work.journaled = 1;
	atomic_store(&s->engine->shards[s->shard].appended, 1);
}

/* A pause after a failure, or one that the phase itself asked for, unless there is news for it. */
static int must_wait(rco_session *s, uint32_t phase, int64_t now)
{
	if (now >= s->work.retry_us || s->work.op != 0 || atomic_exchange(&s->work.late_news, 0) != 0)
		return 0;
	if (atomic_load(&s->work.attempt) > 0)
		return 1;
	return phase != RCO__PHASE_LIVE;
}

void rco__session_make_durable(rco_session *s)
{
	int64_t now = rco__mono_us(&s->engine->env);

	if (!held(s))
		rco__rings_wipe(s);
	if (now < s->work.tomb_retry_us)
		return;
	if (rco__tombstone(s) != RCO_OK) /* told by an event of its own */
		s->work.tomb_retry_us = now + back_off(s, ++s->work.tomb_attempt);
}

/* Go on until there is something to wait for; returns when to come again. */
static int64_t advance(rco_session *s, int64_t now)
{
	int only_live = s->engine->shards[s->shard].role == RCO__ROLE_LIVE, rc = RCO_OK;

	while (rc == RCO_OK) {
		uint32_t phase;

		/* What follows waits for disks: another shard's. An opt-out may come between any two lines here.
		 */
		if (only_live && !rco__session_live(s))
			return now;
		if (!only_live && rco__session_urgent(s)) {
			rco__session_make_durable(s);
			if (!rco__session_durable(s))
				return s->work.tomb_retry_us;
		}
		if (!only_live && rco__opted_out(s) && !held(s) &&
		    atomic_load(&s->work.phase) < RCO__PHASE_ERASE) {
			if (turn_to_erasing(s) == RCO_PENDING)
				return s->work.op_deadline_us;
		}
		if (atomic_load(&s->work.phase) >= RCO__PHASE_ERASE && record_beside(s, now) == RCO_PENDING)
			return s->work.op_deadline_us;
		if (at_rest(s) && rco__erase_step(s) == RCO_OK && at_rest(s))
			return RCO__NEVER;
		phase = atomic_load(&s->work.phase);
		if (must_wait(s, phase, now))
			return s->work.retry_us;
		rc = one_phase(s, now);
		/* The opt-out came while a backend was at work: that it then failed is no news. */
		if (rc < 0 && phase < RCO__PHASE_ERASE && rco__opted_out(s) && !held(s)) {
			s->work.retry_us = 0;
			rc = RCO_OK;
			continue;
		}
		if (rc < 0) {
			failed(s, rc, phase);
			return s->work.retry_us;
		}
		if (rc == RCO_OK)
			s->work.retry_us = 0;
	}
	return s->work.op != 0 ? s->work.op_deadline_us : s->work.retry_us;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- what a session with RCO_SESSION_NONBLOCK left to be asked of its recorder ---- */

static void start_later(rco_session *s)
{
	int later, rc;

	(void)pthread_mutex_lock(&s->lock);
	later = s->control.start_later != 0;
	s->control.start_later = 0;
	(void)pthread_mutex_unlock(&s->lock);
	if (!later)
		return;
	rc = rco__session_start(s);
	(void)pthread_mutex_lock(&s->lock);
	rco__request_done(s, RCO_REQUEST_START, rc);
	(void)pthread_mutex_unlock(&s->lock);
}

static void settle(rco_session *s)
{
	int rc = rco__recorder_settle(s);

	if (rc == RCO_OK)
		s->work.retry_us = 0; /* it stopped: what waited for that need not wait any longer */
	(void)pthread_mutex_lock(&s->lock);
	if (s->control.pause_later && rc != RCO_PENDING) {
		s->control.pause_later = 0;
		rco__request_done(s, RCO_REQUEST_PAUSE,
		                  rco__opted_out(s)  ? RCO_E_OPTED_OUT
		                  : s->control.ended ? RCO_E_ENDED
		                                     : rc);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

int64_t rco__session_step(rco_session *s)
{
	int64_t now = rco__mono_us(&s->engine->env), due;

	rco__session_book(s);
	start_later(s);
	if (rco__recorder_due(s) <= now || s->recorder.op != 0)
		settle(s);
	due = advance(s, now);
	if (rco__opted_out(s) && s->engine->shards[s->shard].role != RCO__ROLE_LIVE) {
		escalate(s, now);
		due = earlier(due, escalates_at(s));
	}
	if (atomic_load(&s->work.phase) == RCO__PHASE_ERASED) {
		int64_t closing = rco__continued_closes_at(s, now);

		if (closing <= now && close_record(s) != RCO_OK)
			closing = now + back_off(s, 1);
		if (closing > now)
			due = earlier(due, closing);
		if (s->work.op == 0 && rco__record_wanted(s)) /* else it is being stored */
			due = earlier(due, s->work.record.retry_us);
	}
	if (at_rest(s))
		due = earlier(due, forget_at(s, now));
	if (!s->work.journaled) /* there was no memory for it */
		due = earlier(due, now + back_off(s, 1));
	return earlier(due, rco__recorder_due(s));
}
