/* SPDX-License-Identifier: MIT */
/* What a worker does about a session, each time it is woken or its time has come. */
#include "internal.h"

static int opted_out(const rco_session *s)
{
	return (atomic_load(&s->latch) & RCO__LATCH_OPTED_OUT) != 0;
}

static int held(const rco_session *s)
{
	return atomic_load(&s->hold) != 0;
}

static int ended(rco_session *s)
{
	return atomic_load(&s->ended) != 0;
}

/* Whoever ends the call holds the lock until its gates are shut: seen under the lock, no frame comes after it. */
static int ended_and_shut(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = s->ended != 0;
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

static int durable(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = (s->receipt.facts & RCO_FACT_DURABLE) != 0;
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

int rco__session_live(rco_session *s)
{
	return !opted_out(s) && atomic_load(&s->phase) == RCO__PHASE_LIVE;
}

int rco__session_urgent(rco_session *s)
{
	return opted_out(s) && !durable(s);
}

int rco__session_busy(rco_session *s)
{
	uint32_t phase = atomic_load(&s->phase);

	if (!opted_out(s))
		return s->ended && phase < RCO__PHASE_DONE;
	if (!(s->receipt.facts & RCO_FACT_DURABLE))
		return 1;
	if (s->hold)
		return s->ended && phase < RCO__PHASE_DONE;
	if (phase != RCO__PHASE_ERASED) /* which a recorder that may still be recording keeps a call from */
		return 1;
	return s->ended && atomic_load(&s->record_stored) != rco__status(s) + 1;
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
	uint32_t attempt = atomic_fetch_add(&s->attempt, 1) + 1;

	s->retry_us = rco__mono_us(&s->engine->env) + back_off(s, attempt);
	(void)pthread_mutex_lock(&s->lock);
	if (phase >= RCO__PHASE_ERASE)
		s->erase_failures++;
	rco__event_queue(s, retry_event(phase), rc, 0, "%.180s", rco_error_detail());
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
	s->cursor = NULL;
	s->record_step = 0;
	s->record_active = 0;
	s->retry_us = 0;
	atomic_store(&s->attempt, 0);
	atomic_store(&s->phase, RCO__PHASE_ERASE);
	return RCO_OK;
}

/* Lock held. */
static int verified_and_stopped(const rco_session *s)
{
	return (s->receipt.facts & RCO_FACT_VERIFIED) && (s->receipt.facts & RCO_FACT_STOPPED);
}

static void escalate(rco_session *s, int64_t now)
{
	rco__receipt_data receipt;
	uint64_t lsn;

	(void)pthread_mutex_lock(&s->lock);
	if (now < s->erase_by_mono_us || (s->receipt.facts & RCO_FACT_ESCALATED) || verified_and_stopped(s)) {
		(void)pthread_mutex_unlock(&s->lock);
		return;
	}
	s->receipt.facts |= RCO_FACT_ESCALATED;
	receipt = s->receipt;
	rco__event_queue(s, RCO_EVENT_ESCALATED, RCO_E_TIMEOUT, 0,
	                 "not erased within the deadline; it is still being tried");
	(void)pthread_mutex_unlock(&s->lock);
	(void)rco__journal_mark(s->engine, &receipt, RCO__OPT_ESCALATED, 0, rco__wall_us(&s->engine->env), &lsn);
}

/* Store the call record when the erasure leaves room for it. RCO_PENDING: a backend is at it. */
static int record_beside(rco_session *s, int64_t now)
{
	int rc;

	if (!s->record_active) {
		if (s->op != 0 || now < s->record_retry_us || !rco__record_wanted(s))
			return RCO_OK;
		s->record_active = 1;
	}
	rc = rco__record_put(s);
	if (rc == RCO_PENDING)
		return rc;
	s->record_active = 0;
	if (rc == RCO_OK) {
		s->record_attempt = 0;
		return RCO_OK;
	}
	s->record_retry_us = now + back_off(s, ++s->record_attempt);
	(void)pthread_mutex_lock(&s->lock);
	rco__event_queue(s, RCO_EVENT_UPLOAD_RETRY, rc, 0, "the call record: %.160s", rco_error_detail());
	(void)pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

/* Everything is done and the call is over: the journals need not bring it up again. */
static void close_books(rco_session *s)
{
	rco__receipt_data receipt;
	uint64_t lsn;

	if (s->closed || !ended(s))
		return;
	(void)pthread_mutex_lock(&s->lock);
	receipt = s->receipt;
	s->closed = !rco__session_busy(s);
	(void)pthread_mutex_unlock(&s->lock);
	if (!s->closed)
		return;
	(void)rco__journal_mark(s->engine, &receipt, RCO__OPT_CLOSED, RCO__LEDGER_CLOSES,
	                        rco__wall_us(&s->engine->env), &lsn);
	(void)rco__journal_closed(s);
	(void)rco__ledger_write(s->engine->ledger);
	(void)rco__ledger_write(s->engine->calls);
}

/* ---- one phase ---- */

static int live(rco_session *s, int64_t now)
{
	int64_t beat = (int64_t)s->engine->cfg.flush_interval_ms * 1000;
	int rc = rco__drain(s);

	if (rc != RCO_OK)
		return rc;
	atomic_store(&s->attempt, 0);
	if (!ended_and_shut(s)) {
		/* On the beat that all calls share, so that one flush serves them all. */
		s->retry_us = atomic_load(&s->n_legs) > 0 ? (now / beat + 1) * beat : RCO__NEVER;
		return RCO_PENDING;
	}
	/* The rings also say whose they are; from now on the journal alone does, were the process to be killed. */
	rc = s->journaled && rco__rings_done(s) ? rco__ledger_try_write(s->engine->calls) : RCO_PENDING;
	if (rc < 0)
		return rc;
	if (rc == RCO_OK && rco__rings_release(s) == RCO_OK) {
		atomic_store(&s->phase, RCO__PHASE_SEAL);
		return RCO_OK;
	}
	s->retry_us = now + 1000;
	return RCO_PENDING;
}

static int one_phase(rco_session *s, int64_t now)
{
	uint32_t phase = atomic_load(&s->phase);

	if (phase == RCO__PHASE_LIVE)
		return live(s, now);
	if (phase < RCO__PHASE_DONE)
		return rco__upload_step(s);
	return rco__erase_step(s);
}

static int at_rest(const rco_session *s)
{
	uint32_t phase = atomic_load(&s->phase);

	return phase == RCO__PHASE_DONE || phase == RCO__PHASE_ERASED;
}

/* An ended call is forgotten after its time, but never while something is to be done or held. */
static int64_t forget_at(rco_session *s, int64_t now)
{
	int64_t when;
	int busy;

	(void)pthread_mutex_lock(&s->lock);
	when = s->ended ? s->forget_mono_us : RCO__NEVER;
	busy = rco__session_busy(s) || (opted_out(s) && s->hold);
	(void)pthread_mutex_unlock(&s->lock);
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

	if (s->journaled)
		return;
	if (rco__journal_begin(s, NULL) != RCO_OK)
		return; /* with the next step */
	for (i = 0; i < n; i++)
		if (rco__journal_leg(s, i) != RCO_OK)
			return;
	s->journaled = 1;
	atomic_store(&s->engine->shards[s->shard].appended, 1);
}

/* A pause after a failure, or one that the phase itself asked for, unless there is news for it. */
static int must_wait(rco_session *s, uint32_t phase, int64_t now)
{
	if (now >= s->retry_us || s->op != 0 || atomic_exchange(&s->late_news, 0) != 0)
		return 0;
	if (atomic_load(&s->attempt) > 0)
		return 1;
	return phase != RCO__PHASE_LIVE;
}

void rco__session_make_durable(rco_session *s)
{
	int64_t now = rco__mono_us(&s->engine->env);

	if (!held(s))
		rco__rings_wipe(s);
	if (now < s->tomb_retry_us)
		return;
	if (rco__tombstone(s) != RCO_OK) /* told by an event of its own */
		s->tomb_retry_us = now + back_off(s, ++s->tomb_attempt);
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
			if (!durable(s))
				return s->tomb_retry_us;
		}
		if (!only_live && opted_out(s) && !held(s) && atomic_load(&s->phase) < RCO__PHASE_ERASE) {
			if (turn_to_erasing(s) == RCO_PENDING)
				return s->op_deadline_us;
		}
		if (atomic_load(&s->phase) >= RCO__PHASE_ERASE) {
			escalate(s, now);
			if (record_beside(s, now) == RCO_PENDING)
				return s->op_deadline_us;
		}
		if (at_rest(s) && rco__erase_step(s) == RCO_OK && at_rest(s))
			return RCO__NEVER;
		phase = atomic_load(&s->phase);
		if (must_wait(s, phase, now))
			return s->retry_us;
		rc = one_phase(s, now);
		/* The opt-out came while a backend was at work: that it then failed is no news. */
		if (rc < 0 && phase < RCO__PHASE_ERASE && opted_out(s) && !held(s)) {
			s->retry_us = 0;
			rc = RCO_OK;
			continue;
		}
		if (rc < 0) {
			failed(s, rc, phase);
			return s->retry_us;
		}
		if (rc == RCO_OK)
			s->retry_us = 0;
	}
	return s->op != 0 ? s->op_deadline_us : s->retry_us;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t rco__session_step(rco_session *s)
{
	int64_t now = rco__mono_us(&s->engine->env), due;

	rco__session_book(s);
	if (rco__recorder_due(s) <= now || s->rec_op != 0)
		if (rco__recorder_settle(s) == RCO_OK)
			s->retry_us = 0; /* it stopped: what waited for that need not wait any longer */
	due = advance(s, now);
	if (atomic_load(&s->phase) >= RCO__PHASE_ERASE) {
		if (atomic_load(&s->phase) == RCO__PHASE_ERASED) {
			close_books(s);
			if (s->op == 0 && rco__record_wanted(s)) /* else it is being stored */
				due = earlier(due, s->record_retry_us);
		} else {
			int64_t by;

			(void)pthread_mutex_lock(&s->lock);
			by = (s->receipt.facts & RCO_FACT_ESCALATED) || verified_and_stopped(s)
			             ? RCO__NEVER
			             : s->erase_by_mono_us;
			(void)pthread_mutex_unlock(&s->lock);
			due = earlier(due, by);
		}
	}
	if (at_rest(s))
		due = earlier(due, forget_at(s, now));
	if (!s->journaled) /* there was no memory for it */
		due = earlier(due, now + back_off(s, 1));
	return earlier(due, rco__recorder_due(s));
}
