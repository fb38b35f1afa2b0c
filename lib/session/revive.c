/* SPDX-License-Identifier: MIT */
/*
 * Sessions of what was found, so that what was begun is gone on with: of calls that are to be stored, or erased,
 * and of one that is done with when something of it turns up.
 */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "found.h"
#include "work.h"

#include "../media/format.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static int add_copies(rco_session *s, const rco__found_call *call)
{
	rco__found_copy *f;

	for (f = call->copies; f != NULL; f = f->next) {
		rco__copy *c = rco__copy_new(&s->engine->env, f->kind, f->store, f->key, f->version);

		if (c == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for recovery");
		if (f->place != NULL && rco__copy_place(&s->engine->env, c, f->place) != RCO_OK) {
			rco__copy_free(&s->engine->env, c);
			return rco__fail(RCO_E_NO_MEMORY, "no memory for recovery");
		}
		c->flags = f->flags;
		c->upload_no = f->upload_no;
		c->size_bytes = f->size_bytes;
		c->upload_id = f->upload_id; /* and no longer its own */
		f->upload_id = NULL;
		c->claim = f->claim;
		c->yielded = f->yielded > f->claim ? f->yielded : 0;
		if (c->store == RCO_STORE_HOST && rco__claim_found(s, c) != RCO_OK) {
			rco__copy_free(&s->engine->env, c);
			return rco__fail(RCO_E_NO_MEMORY, "no memory for recovery");
		}
		rco__copy_add(s, c);
	}
	return RCO_OK;
}

enum { GAP_S = 3600, GAP_MOST_S = 30 * 86400 };

/*
 * Whether the counters of a ring can be. What the buffer lost of what it had confirmed becomes a gap, so that
 * the leg keeps its time line: but not more than the call can have lasted, or an hour, and the gaps that it had,
 * for a damaged counter would fill a disk with it.
 */
static int ring_plausible(const rco_session *s, const rco__found_call *call, uint32_t leg)
{
	uint64_t end = call->legs[leg].bytes, read = call->ring_read[leg], held = call->held[leg];
	const rco__format *f = rco__format_of(call->legs[leg].format);
	int64_t lasted = call->created_us != 0 ? (rco__wall_us(&s->engine->env) - call->created_us) / 1000000 : 0;
	uint64_t rate = f != NULL ? (uint64_t)f->rate_hz * f->sample_bytes : 0;
	uint64_t gaps = rco__gaps_taken(rco__pool_gaps(s->engine->pool, call->rings[leg]));

	if (lasted < GAP_S)
		lasted = GAP_S;
	if (lasted > GAP_MOST_S)
		lasted = GAP_MOST_S;
	if (gaps > GAP_MOST_S * rate)
		gaps = GAP_MOST_S * rate;
	return held <= end && read <= end && (read <= held || read - held <= (uint64_t)lasted * rate + gaps);
}

static void add_ring(rco_session *s, const rco__found_call *call, uint32_t i)
{
	rco__ring *ring = call->rings[i];
	rco__leg *l = &s->legs[i];

	rco__gate_shut(&ring->gate);
	if (!ring_plausible(s, call, i)) {
		rco__log(&s->engine->env, RCO_LOG_ERROR,
		         "%s: the ring of leg \"%s\" is damaged and wiped; the buffer has %llu bytes of it",
		         s->call_id, l->label, (unsigned long long)l->held);
		atomic_fetch_add(&s->engine->quarantined, 1);
		atomic_store(&l->total, l->held);
		(void)rco__pool_put(s->engine->pool, ring);
		return;
	}
	l->lost_end = call->ring_read[i];
	l->overflow_told = atomic_load(&ring->overflowed); /* by the process that refused them */
	/* The buffer confirmed it, but the crash came before the ring was told. */
	if (l->lost_end < l->held)
		atomic_store(&ring->read, rco__gaps_told(rco__pool_gaps(s->engine->pool, ring), l->held));
	atomic_store(&s->rings[i], rco__pool_ref(s->engine->pool, ring));
}

static int add_legs(rco_session *s, const rco__found_call *call)
{
	uint32_t i, n = 0;

	for (i = 0; i < RCO_MAX_LEGS; i++)
		if (rco__format_of(call->legs[i].format) != NULL)
			n = i + 1;
	if (n == 0)
		return RCO_OK;
	s->legs = rco__zalloc(&s->engine->env, RCO_MAX_LEGS, sizeof *s->legs);
	if (s->legs == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for recovery");
	for (i = 0; i < n; i++) {
		rco__leg *l = &s->legs[i];
		const rco__found_leg *f = &call->legs[i];

		l->format = rco__format_of(f->format) != NULL ? f->format : (uint32_t)RCO_FORMAT_PCMU_8K;
		l->sample_bytes = rco_format_sample_bytes(l->format);
		if (rco__label_ok(f->label, 0))
			memcpy(l->label, f->label, sizeof l->label);
		else
			(void)snprintf(l->label, sizeof l->label, "leg%u", (unsigned)i);
		l->held = call->held[i];
		atomic_store(&l->total, f->bytes);
		if (call->rings[i] != NULL)
			add_ring(s, call, i);
	}
	atomic_store(&s->n_legs, n);
	return RCO_OK;
}

/* A call that the crash ended: as long as the audio that is known of it. */
static int64_t last_heard(const rco__found_call *call)
{
	int64_t from = call->started_us != 0 ? call->started_us : call->created_us, longest = 0;
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++) {
		const rco__format *f = rco__format_of(call->legs[i].format);
		uint64_t rate = f != NULL ? (uint64_t)f->rate_hz * f->sample_bytes : 0;
		uint64_t s = rate != 0 ? call->legs[i].bytes / rate : 0; /* seconds */
		int64_t us;

		if (rate == 0)
			continue;
		if (s > UINT32_MAX) /* a century of audio: no ring or journal of ours said so */
			s = UINT32_MAX;
		us = (int64_t)(s * 1000000 + call->legs[i].bytes % rate * 1000000 / rate);
		if (us > longest)
			longest = us;
	}
	return from + longest;
}

enum { RESUME_MS = 10000 }; /* the default of the window */

static void set_times(rco_session *s, const rco__found_call *call)
{
	const rco_engine_config *cfg = &s->engine->cfg;
	int64_t now = rco__mono_us(&s->engine->env);

	if (call->created_us != 0)
		s->control.created_us = call->created_us;
	s->control.started_us = call->started_us;
	s->control.start_asked = s->control.started_us != 0;
	s->control.ended_us = call->ended_us != 0 ? call->ended_us : last_heard(call);
	if (s->control.ended_us == 0 || s->control.ended_us > rco__wall_us(&s->engine->env))
		s->control.ended_us = rco__wall_us(&s->engine->env);
	s->control.ended = 1;
	atomic_store(&s->why_shut, RCO_E_ENDED);
	/* Nobody could object while no process was there: the window starts again. */
	s->control.window_mono_us = now + (int64_t)cfg->late_opt_out_ms * 1000;
	s->control.forget_mono_us = s->control.window_mono_us + (int64_t)cfg->remember_ended_s * 1000000;
	/* Who objected while the call went on is not to be recorded, however short the window after a call is. */
	s->control.resume_by_us =
		now + (int64_t)(cfg->late_opt_out_ms > RESUME_MS ? cfg->late_opt_out_ms : RESUME_MS) * 1000;
}

/* ---- opted out ---- */

/* What the receipt said that was given then. */
static void take_note(rco_session *s, const rco__receipt_data *note)
{
	s->control.receipt.requested_us = note->requested_us;
	s->control.receipt.facts |= note->facts & RCO_FACT_AFTER_END;
	if ((s->control.receipt.facts & RCO_FACT_STOPPED) && note->stopped_us != 0)
		s->control.receipt.stopped_us = note->stopped_us;
}

/* Lock not needed: nobody else knows the session yet. */
static void latch(rco_session *s, const char *source)
{
	int64_t window = s->control.window_mono_us;

	s->control.window_mono_us = RCO__NEVER; /* it came during the call, whatever is configured for after it */
	(void)rco__opt_out_latch(s, source);
	s->control.window_mono_us = window;
	s->control.receipt.facts |= RCO_FACT_RECOVERED;
	s->control.receipt.facts &= ~(uint32_t)RCO_FACT_AFTER_END; /* which the crash was, and not the caller */
}

/* Is there a ring of which nobody can say what was in it? */
static int rings_lost(const rco_session *s, const rco__found_call *call)
{
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++)
		if (call->rings[i] != NULL && s->rings[i] == 0)
			return 1;
	return 0;
}

/* Until the deadline, which does not begin anew with each process; but this one is given the time for a few tries.
 */
static int64_t time_left(const rco_session *s)
{
	const rco_engine_config *cfg = &s->engine->cfg;
	const int64_t most = (int64_t)cfg->erase_deadline_ms * 1000, least = (int64_t)cfg->retry_max_ms * 1000;
	const int64_t left = s->control.receipt.requested_us + most - rco__wall_us(&s->engine->env);

	if (left > most || least > most)
		return most;
	return left > least ? left : least;
}

/* Lock not needed. */
static void set_opt_out(rco_session *s, const rco__found_call *call)
{
	const uint32_t recorded = rco__was_recorded(s) || rings_lost(s, call) ? RCO_FACT_RECORDED : 0;
	const rco__found_opt *opt = call->opt;

	if (opt == NULL) {
		/* Stopped, but the crash came before it was durable. Nobody was told so; it is honoured all the
		 * same. */
		latch(s, call->note_known ? call->note.source : "recovered");
		s->control.receipt.facts |= recorded;
		if (call->note_known)
			take_note(s, &call->note);
		return;
	}
	atomic_store(&s->latch, RCO__LATCH_OPTED_OUT);
	s->control.receipt = opt->receipt;
	memcpy(s->control.receipt.recording_id, s->recording_id, 16);
	s->control.receipt.call_id = s->call_id;
	s->control.receipt.facts |= RCO_FACT_DURABLE | RCO_FACT_RECOVERED;
	s->control.receipt.facts &= ~(uint32_t)(RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_SWEPT);
	if (opt->hold_lifted)
		s->control.receipt.facts &= ~(uint32_t)RCO_FACT_HELD;
	s->control.receipt.erased_us = s->control.receipt.verified_us = 0;
	s->control.receipt.facts |= recorded;
	s->control.hold = (s->control.receipt.facts & RCO_FACT_HELD) != 0;
	rco__registered_look(s);
	if (!(s->control.receipt.facts & RCO_FACT_STOPPED) && !(s->control.receipt.facts & RCO_FACT_ESCALATED) &&
	    rco__recorder_lost(s))
		rco__recorder_lost_notify(s);
	s->control.tomb_lsn = 1; /* it is in the ledger */
	s->control.erase_by_mono_us = rco__mono_us(&s->engine->env) + time_left(s);
}

/* ---- one session ---- */

/* Does the journal know all of it that only the rings tell otherwise? */
static int booked(const rco_session *s, const rco__found_call *call)
{
	uint32_t all = (1u << atomic_load(&s->n_legs)) - 1;

	return call->begun && (call->booked_legs & all) == all;
}

/* Bytes that cannot be read back: those behind damage, or those that the buffer had confirmed and does not have.
 */
static uint64_t lost_bytes(const rco__found_call *call)
{
	uint64_t lost = 0;
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++) {
		uint64_t read = call->ring_read[i];

		if (read > call->held[i])
			lost += read - call->held[i];
	}
	return lost > call->damaged_bytes ? lost : call->damaged_bytes;
}

/* Its files are there and the buffer's copy is gone: what is missing is the last line in the journal, and perhaps
 * that it was told. */
static int stored(const rco__found_call *call)
{
	const rco__found_copy *c;
	int committed = 0;

	for (c = call->copies; c != NULL; c = c->next) {
		committed |= (c->flags & RCO__COPY_COMMITTED) != 0;
		if ((c->flags & (RCO__COPY_COMMITTING | RCO__COPY_COMMITTED)) == RCO__COPY_COMMITTING)
			return 0; /* whether that one is there is not known yet */
	}
	return committed && !call->in_buffer && !call->in_ring;
}

/* Told again, for nobody knows whether it was. */
static void tell_again(rco_session *s)
{
	if (!(s->control.receipt.facts & RCO_FACT_DURABLE))
		return;
	rco__event_queue(s, RCO_EVENT_DURABLE, 0, 0, "%s", "before the restart");
	if (s->control.hold)
		rco__event_queue(s, RCO_EVENT_HELD, 0, 0, "a legal hold keeps what was recorded");
}

int rco__recovery_revive(rco__recovery *r, rco__found_call *call, int opted_out)
{
	char name[RCO_ID_TEXT + 16], id[RCO_ID_TEXT + 1];
	const char *call_id = call->call_id;
	uint64_t lost = opted_out ? call->damaged_bytes : lost_bytes(call);
	rco_session *s;
	int rc;

	if (call_id[0] == '\0') { /* only the audio is left to tell */
		rco__uuid_text(call->recording_id, id);
		(void)snprintf(name, sizeof name, "unknown-%s", id);
		call_id = name;
	}
	rc = rco__session_new(r->engine, call_id, call->recording_id, &s);
	if (rc != RCO_OK)
		return rc;
	s->recovered = 1;
	s->work.buffer.opened = (uint32_t)call->in_buffer;
	s->work.buffer.has = 1;
	if (call->receipt_known)
		memcpy(s->control.receipt.id, call->receipt_id, sizeof s->control.receipt.id);
	s->consent_policy = r->engine->cfg.consent;
	s->control.hold = (uint32_t)call->hold;
	atomic_store(&s->recorder.told, (uint32_t)call->recorder);
	set_times(s, call);
	s->control.end_unknown = !call->end_told && !call->closed && call->call_id[0] != '\0';
	rc = add_legs(s, call);
	s->work.journaled = (uint32_t)booked(s, call);
	s->buffer_kind = call->buffer;
	s->buffer_elsewhere = call->buffer == RCO__BUFFER_HOST && r->engine->buffer_kind != RCO__BUFFER_HOST &&
	                      atomic_load(&s->n_legs) > 0;
	if (s->buffer_elsewhere) { /* not lost, but out of sight */
		lost = 0;
		s->work.buffer.opened = 1;
	}
	if (rc == RCO_OK)
		rc = add_copies(s, call);
	if (rc == RCO_OK && opted_out)
		set_opt_out(s, call);
	if (rc == RCO_OK && !opted_out && stored(call)) {
		atomic_store(&s->latch, RCO__LATCH_CLOSED);
		atomic_store(&s->work.phase, RCO__PHASE_RELEASE);
	}
	if (rc == RCO_OK) {
		call->session = s;
		rco__session_ref(s);
		rco__event_queue(s, RCO_EVENT_RECOVERED, lost != 0 ? RCO_E_CORRUPT : RCO_OK, lost,
		                 lost != 0 ? "part of its audio is damaged and lost%s" : "%s", "");
		if (opted_out)
			tell_again(s);
		rco__session_wake(s);
	}
	rco__session_unref(s);
	return rc;
}

/* ---- of a call that is done with ---- */

static int revive_done(rco_engine *engine, const rco__found_call *call, const rco__receipt_data *receipt,
                       rco_session **session)
{
	rco_session *s;
	int rc = rco__session_new(engine, call->call_id, call->recording_id, &s);

	if (rc != RCO_OK)
		return rc;
	s->recovered = 1;
	s->long_done = call->long_done;
	s->consent_policy = engine->cfg.consent;
	set_times(s, call);
	rc = add_legs(s, call);
	if (rc == RCO_OK) {
		atomic_store(&s->latch, RCO__LATCH_OPTED_OUT);
		s->control.receipt = *receipt;
		s->control.receipt.call_id = s->call_id;
		s->control.tomb_lsn = 1; /* it is in the ledger */
		s->work.rings_wiped = s->work.buffer.gone = s->work.buffer.verified = 1;
		s->work.record.stored = rco__record_state(s);
		/* Nothing of it was registered until now; that something is makes no more of what is not. */
		if (receipt->facts & RCO_FACT_UNREGISTERED)
			atomic_store(&s->recorder.told, RCO__TOLD_STOP);
		s->work.phase = RCO__PHASE_ERASED;
		rc = rco__registry_add(s, NULL);
	}
	if (rc != RCO_OK) {
		rco__session_unref(s);
		return rc;
	}
	rco__session_wake(s);
	*session = s;
	return RCO_OK;
}

/* revive_lock held */
static int revive_past(rco_engine *engine, const char *call_id, rco_session **session)
{
	rco__receipt_data receipt = {0};
	rco__found_call call;

	if (!rco__past_get(engine, call_id, &call, &receipt))
		return rco__fail(RCO_E_NOT_FOUND, "no call %s is known", call_id);
	return revive_done(engine, &call, &receipt, session);
}

int rco__past_revive(rco_engine *engine, const char *call_id, rco_session **session)
{
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&engine->revive_lock);
	*session = rco__registry_find(engine, call_id);
	if (*session == NULL)
		rc = revive_past(engine, call_id, session);
	(void)pthread_mutex_unlock(&engine->revive_lock);
	return rc;
}

/* ---- all parts of a call are one again ---- */

/* Of a call that had gone on over an earlier restart all parts are one again. */
static void join(rco__recovery *r)
{
	rco__found_call *call, *before;

	for (call = r->call_list; call != NULL; call = call->next) {
		if (call->session == NULL || sodium_is_zero(call->continues, sizeof call->continues))
			continue;
		before = rco__map_get(&r->calls, call->continues, sizeof call->continues);
		if (before != NULL && before->session != NULL &&
		    !rco__continues_it(before->session, call->session))
			rco__continued_found(before->session, call->session);
	}
}

/* The crash came when an opt-out of one part was on disk, or in the rings, and that of another was not. */
static int spread(rco__recovery *r)
{
	rco__found_call *call;
	int n = 0;

	for (call = r->call_list; call != NULL; call = call->next) {
		rco_session *s = call->session, *earlier = s != NULL ? s->earlier : NULL;

		if (earlier == NULL || rco__opted_out(s) == rco__opted_out(earlier))
			continue;
		if (rco__opted_out(s))
			latch(earlier, s->control.receipt.source);
		else
			latch(s, earlier->control.receipt.source);
		n++;
	}
	return n;
}

void rco__recovery_join(rco__recovery *r)
{
	join(r);
	while (spread(r) > 0) {
	}
}
