/* SPDX-License-Identifier: MIT */
/*
 * What is known of a call: from its fields, and those of the parts before it, alone. Everything here looks, and
 * changes nothing but the facts of a receipt.
 */
#include "facts.h"

/* ---- how far the call is ---- */

uint64_t rco__session_bytes(rco_session *s)
{
	uint32_t i, n = atomic_load(&s->n_legs);
	uint64_t sum = 0;

	for (i = 0; i < n; i++) {
		rco__ring *ring = rco__leg_ring(s, i);

		sum += ring != NULL ? rco__gate_index(&ring->gate)
		                    : atomic_load(&s->legs[i].total) - atomic_load(&s->legs[i].gaps);
	}
	return sum;
}

int rco__session_live(rco_session *s)
{
	return !rco__opted_out(s) && atomic_load(&s->work.phase) == RCO__PHASE_LIVE;
}

int rco__session_durable(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = (s->control.receipt.facts & RCO_FACT_DURABLE) != 0;
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

int rco__session_urgent(rco_session *s)
{
	return rco__opted_out(s) && !rco__session_durable(s);
}

int rco__long_done(rco_session *s)
{
	int yes;

	(void)pthread_mutex_lock(&s->lock);
	yes = rco__opted_out(s) && s->control.ended &&
	      (s->long_done || rco__mono_us(&s->engine->env) >= s->control.forget_mono_us);
	(void)pthread_mutex_unlock(&s->lock);
	return yes;
}

/* ---- the recorder, and what was recorded ---- */

int rco__recorder_stopped(const rco_session *s)
{
	return s->recorder.ops.start == NULL || s->recorder.state == RCO__REC_NONE ||
	       s->recorder.state == RCO__REC_OFF;
}

/* An earlier process told it to record: nobody knows what it does now. */
int rco__recorder_lost(const rco_session *s)
{
	return s->recovered && atomic_load(&((rco_session *)(uintptr_t)s)->recorder.told) == RCO__TOLD_START;
}

int rco__was_recorded(rco_session *s)
{
	const rco__copy *c;

	if (rco__session_bytes(s) > 0 || (s->recorder.ops.start != NULL && s->recorder.state != RCO__REC_NONE) ||
	    (s->recovered && (s->work.buffer.opened || atomic_load(&s->recorder.told) != RCO__TOLD_NOTHING)))
		return 1;
	for (c = s->control.copies; c != NULL; c = c->next)
		if (c->kind & s->engine->cfg.erase_kinds)
			return 1;
	return 0;
}

/* Did the host's recorder record, so that there are files of its own? */
static int recorder_recorded(const rco_session *s)
{
	uint32_t told = atomic_load(&((rco_session *)(uintptr_t)s)->recorder.told);

	if (s->recorder.ops.flags & RCO_RECORDER_PUSHES)
		return 0;
	return s->recorder.ops.start != NULL ? s->recorder.state != RCO__REC_NONE
	                                     : s->recovered && told != RCO__TOLD_NOTHING;
}

/*
 * That a recorder stopped does not delete its files, and a deletion of nothing is not one of the recording, nor is
 * one of what was pushed besides. As long as no file of its audio is registered no more than the stop is true.
 */
void rco__registered_look(rco_session *s)
{
	const rco__copy *c;
	int known = !recorder_recorded(s);

	for (c = s->control.copies; c != NULL && !known; c = c->next)
		known = (c->kind & RCO_KIND_AUDIO) != 0;
	s->control.receipt.facts &= ~(uint32_t)RCO_FACT_UNREGISTERED;
	s->control.receipt.facts |= known ? 0u : RCO_FACT_UNREGISTERED;
}

/* ---- one receipt for all parts ---- */

uint32_t rco__status_of(uint32_t facts, int failed)
{
	if (!(facts & RCO_FACT_STOPPED))
		return RCO_STATUS_REQUESTED;
	if (!(facts & RCO_FACT_DURABLE))
		return RCO_STATUS_STOPPED;
	if (!(facts & RCO_FACT_RECORDED)) /* a hold keeps nothing then */
		return RCO_STATUS_NOT_RECORDING;
	if (facts & RCO_FACT_HELD)
		return RCO_STATUS_HELD;
	if (facts & RCO_FACT_UNREGISTERED)
		return RCO_STATUS_STOPPED;
	if (facts & RCO_FACT_VERIFIED)
		return RCO_STATUS_VERIFIED;
	if (facts & RCO_FACT_ERASED)
		return RCO_STATUS_ERASED;
	if (facts & RCO_FACT_ESCALATED)
		return RCO_STATUS_OVERDUE;
	return failed ? RCO_STATUS_RETRYING : RCO_STATUS_DURABLE;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Were files of the host's recorder registered for it? */
static int has_host_audio(const rco_session *s)
{
	const rco__copy *c;

	for (c = s->control.copies; c != NULL; c = c->next)
		if (c->store == RCO_STORE_HOST && (c->kind & RCO_KIND_AUDIO))
			return 1;
	return 0;
}

/* `covered`: a later part has files of the host's recorder, which are then those of this part, too, if it has
 * none. Without them nobody knows where its recording is, and the whole is not called erased. */
static void add_part(rco__receipt_data *all, const rco__receipt_data *part, int covered)
{
	const uint32_t every = RCO_FACT_STOPPED | RCO_FACT_DURABLE;
	const uint32_t done = RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_SWEPT; /* of what was recorded */
	const uint32_t any = RCO_FACT_HELD | RCO_FACT_RECORDED | RCO_FACT_ESCALATED | RCO_FACT_RECOVERED;
	const uint32_t lone = RCO_FACT_UNREGISTERED; /* unless another part has files */
	uint32_t a = all->facts, b = part->facts, both = a & b & done;
	int nothing = !(b & RCO_FACT_RECORDED) || ((b & lone) && covered);

	if (!(a & RCO_FACT_RECORDED))
		both = b & done;
	else if (nothing)
		both = a & done;
	all->facts = (a & ~(every | done | any)) | (a & b & every) | ((a | b) & any) | both;
	if (!nothing)
		all->facts |= b & lone;
	all->stopped_us = later(all->stopped_us, part->stopped_us);
	all->durable_us = later(all->durable_us, part->durable_us);
	all->erased_us = later(all->erased_us, part->erased_us);
	all->verified_us = later(all->verified_us, part->verified_us);
}

void rco__receipt_whole(const rco_session *s, rco__receipt_data *data)
{
	int failed = s->control.erase_failures > 0, covered = has_host_audio(s);
	rco_session *p;

	*data = s->control.receipt;
	for (p = s->earlier; p != NULL; p = p->earlier) {
		(void)pthread_mutex_lock(&p->lock);
		add_part(data, &p->control.receipt, covered);
		covered |= has_host_audio(p);
		failed |= p->control.erase_failures > 0;
		(void)pthread_mutex_unlock(&p->lock);
	}
	if (s->earlier != NULL) { /* a moment of one part is none of the whole */
		data->stopped_us = data->facts & RCO_FACT_STOPPED ? data->stopped_us : 0;
		data->durable_us = data->facts & RCO_FACT_DURABLE ? data->durable_us : 0;
		data->erased_us = data->facts & RCO_FACT_ERASED ? data->erased_us : 0;
		data->verified_us = data->facts & RCO_FACT_VERIFIED ? data->verified_us : 0;
	}
	data->status = rco__opted_out(s) ? rco__status_of(data->facts, failed) : RCO_STATUS_UNKNOWN;
}

int rco__continues_it(const rco_session *s, const rco_session *part)
{
	while (s != NULL && s != part)
		s = s->earlier;
	return s != NULL;
}

uint32_t rco__status(const rco_session *s)
{
	rco__receipt_data whole;

	rco__receipt_whole(s, &whole);
	return whole.status;
}

/* A clock that was put back must not make evidence say that something was done before it was asked for. */
int64_t rco__receipt_now(const rco_session *s)
{
	const rco__receipt_data *r = &s->control.receipt;
	int64_t told = later(later(r->requested_us, r->stopped_us), later(r->durable_us, r->erased_us));

	return later(rco__wall_us(&s->engine->env), told);
}
