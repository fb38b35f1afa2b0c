/* SPDX-License-Identifier: MIT */
/*
 * A call that goes on over a restart. A call is over when the host says so. One whose end it never told was live
 * when the earlier process died, or freed its engine; a session of its id that is made while the recovered one can
 * still be opted out is the same call.
 *
 * If nobody has objected yet, the new session is a further part of the call, and the recovered one an earlier
 * part. That one is not committed before the new one is, and an opt-out of the new one is an opt-out of all parts.
 * If somebody has, the host gets the recovered session itself, so that there is one receipt, and nothing more is
 * recorded.
 */
#include "calls.h"
#include "core.h"
#include "journal.h"

/* ---- a session of the id is made; reg_lock held ---- */

/* Lock held. */
static int goes_on(const rco_session *before)
{
	uint32_t latch = atomic_load(&((rco_session *)(uintptr_t)before)->latch);
	int64_t until =
		latch & RCO__LATCH_OPTED_OUT ? before->control.resume_by_us : before->control.window_mono_us;

	return before->control.end_unknown && !(latch & RCO__LATCH_CLOSED) &&
	       rco__mono_us(&before->engine->env) < until;
}

/* Lock held: as a call that has not ended. */
static void reopen(rco_session *s)
{
	s->control.ended = 0;
	s->control.window_mono_us = RCO__NEVER;
	s->control.forget_mono_us = RCO__NEVER;
}

static void reopen_earlier(rco_session *s)
{
	rco_session *p;

	for (p = s->earlier; p != NULL; p = p->earlier) {
		(void)pthread_mutex_lock(&p->lock);
		reopen(p);
		(void)pthread_mutex_unlock(&p->lock);
	}
}

rco__continues rco__continued_how(rco_session *before)
{
	if (!goes_on(before))
		return RCO__CONTINUES_NOT;
	return rco__opted_out(before) ? RCO__CONTINUES_SAME : RCO__CONTINUES_PART;
}

void rco__continued_same(rco_session *before, const rco_session *s)
{
	before->control.end_unknown = 0; /* the host has it again, and says when it ends */
	if (s->recorder.ops.start != NULL && before->recorder.ops.start == NULL &&
	    !(before->control.receipt.facts & RCO_FACT_STOPPED)) { /* now there is somebody to ask for the stop */
		before->recorder.ops = s->recorder.ops;
		before->recorder.user_data = s->recorder.user_data;
		before->recorder.state = RCO__REC_MAYBE;
	}
	before->opt_out_switch = s->opt_out_switch;
	before->user_data = s->user_data;
	reopen(before);
	reopen_earlier(before);
	rco__gates_set(before);
	rco__session_ref(before);
}

void rco__continued_part(rco_session *before, rco_session *s)
{
	s->earlier = before;
	rco__session_ref(before);
	s->control.hold |= before->control.hold; /* one of the call, and not of what a process recorded of it */
	reopen(before);
	reopen_earlier(before);
}

/* ---- found by the start: nobody else knows the sessions yet ---- */

void rco__continued_found(rco_session *earlier, rco_session *s)
{
	s->earlier = earlier;
	rco__session_ref(earlier);
	earlier->control.id_reused = 1;
	if (!rco__opted_out(earlier) && !rco__opted_out(s)) /* the crash came when one of the two was on disk */
		s->control.hold = earlier->control.hold = s->control.hold || earlier->control.hold;
	if (!rco__opted_out(earlier))
		earlier->control.window_mono_us = RCO__NEVER; /* until rco__continued_closed() */
}

/* ---- what becomes of the earlier parts; the lock of `s` is held ---- */

void rco__continued_end(rco_session *s)
{
	rco_session *p;

	for (p = s->earlier; p != NULL; p = p->earlier) {
		(void)pthread_mutex_lock(&p->lock);
		if (p->control.end_unknown && rco__journal_end(p) != RCO_OK) /* before its record can be closed */
			rco__log(&p->engine->env, RCO_LOG_WARN, "%s: its end is not in the journal: %s",
			         p->call_id, rco_error_detail());
		p->control.end_unknown = 0;
		p->control.ended = 1;
		p->control.forget_mono_us = s->control.forget_mono_us;
		if (rco__opted_out(p))
			p->control.window_mono_us = s->control.window_mono_us;
		(void)pthread_mutex_unlock(&p->lock);
		rco__session_look_at_once(p);
	}
}

void rco__continued_closed(rco_session *s)
{
	rco_session *p = s->earlier;

	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->control.window_mono_us = s->control.window_mono_us;
	(void)pthread_mutex_unlock(&p->lock);
	rco__session_look_at_once(p);
}

int64_t rco__continued_closes_at(rco_session *s, int64_t now)
{
	rco_session *p = s->earlier;
	int64_t at;

	(void)pthread_mutex_lock(&s->lock);
	at = s->control.end_unknown && now < s->control.resume_by_us ? s->control.resume_by_us : 0;
	(void)pthread_mutex_unlock(&s->lock);
	if (p == NULL || at != 0)
		return at;
	(void)pthread_mutex_lock(&p->lock);
	at = rco__opted_out(p) && !p->work.closed ? now + (int64_t)s->engine->cfg.retry_min_ms * 1000 : 0;
	(void)pthread_mutex_unlock(&p->lock);
	return at;
}
