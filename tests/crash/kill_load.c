/* SPDX-License-Identifier: MIT */
/* What is going on when a process is killed. */
#include "kill.h"

#include "../support.h"
#include "../support_frames.h"

#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

/* ---- one call ---- */

static rco_session *begin(k_world *w, k_call c)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o};
	k_note *note = k_note_of(w, c);
	rco_session *s = NULL;
	uint32_t i, leg;
	char text[40];
	int rc;

	k_call_id(c, text, sizeof text);
	o.call_id = text;
	rc = rco_session_create(w->engine, &o, &s);
	if (rc != RCO_OK)
		k_die("rco_session_create of %s: %s", text, rco_error_name(rc));
	for (i = 0; i < K_LEGS; i++) { /* the label is in the file's name, and tells whose it is */
		(void)snprintf(text, sizeof text, "v%up%uc%ul%u", c.life, c.place, c.number, i);
		rc = rco_session_add_leg(s, text, k_format(c), &leg);
		if (rc != RCO_OK && rc != RCO_E_OPTED_OUT)
			k_die("rco_session_add_leg: %s", rco_error_name(rc));
	}
	rc = rco_session_start(s);
	if (rc != RCO_OK && rc != RCO_E_OPTED_OUT)
		k_die("rco_session_start: %s", rco_error_name(rc));
	atomic_store(&note->begun, 1);
	return s;
}

/* A frame of each leg. 0 when the call was opted out. */
static int push_pair(k_world *w, rco_session *s, k_call c)
{
	k_note *note = k_note_of(w, c);
	uint8_t frame[K_FRAME_MAX];
	uint32_t leg;
	int rc;

	for (leg = 0; leg < K_LEGS; leg++) {
		size_t size = k_frame(c, leg, atomic_load(&note->accepted[leg]), frame);

		while ((rc = t_push_nth(s, leg, k_format(c), frame, size, k_gaps(c, leg),
		                        atomic_load(&note->accepted[leg]))) == RCO_E_OVERFLOW)
			(void)sched_yield(); /* it was told, and is not counted */
		if (rc == RCO_E_OPTED_OUT)
			return 0;
		if (rc != RCO_OK)
			k_die("rco_session_push: %s", rco_error_name(rc));
		(void)atomic_fetch_add(&note->accepted[leg], 1);
	}
	return 1;
}

static void push_pairs(k_world *w, rco_session *s, k_call c, uint32_t pairs)
{
	while (pairs-- > 0 && push_pair(w, s, c))
		;
}

/* An event may have told more already. */
static void note_opt(k_note *note, k_opt opt)
{
	uint32_t asked = K_OPT_ASKED;

	if (opt == K_OPT_DURABLE)
		atomic_store(&note->opt, opt);
	else
		(void)atomic_compare_exchange_strong(&note->opt, &asked, opt);
}

static void object(k_world *w, rco_session *s, k_call c, uint32_t flags)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags};
	k_note *note = k_note_of(w, c);
	rco_receipt *receipt = NULL;
	char id[40];
	int rc;

	k_call_id(c, id, sizeof id);
	atomic_store(&note->opt, K_OPT_ASKED);
	rc = s != NULL ? rco_opt_out(s, &o, &receipt) : rco_engine_opt_out(w->engine, id, &o, &receipt);
	if ((rc < 0 && rc != RCO_E_ENDED) || rco_receipt_code(receipt) < 0)
		k_die("rco_opt_out of %s: %s: %s", id, rco_error_name(rc), rco_error_detail());
	if (receipt != NULL) {
		(void)snprintf(note->receipt_id, sizeof note->receipt_id, "%s", rco_receipt_id(receipt));
		atomic_store(&note->id_known, 1);
	}
	note_opt(note, rc == RCO_OK ? K_OPT_DURABLE : rc == RCO_PENDING ? K_OPT_STOPPED : K_OPT_REFUSED);
	rco_receipt_free(receipt);
}

static void hang_up(k_world *w, rco_session *s, k_call c)
{
	int rc = rco_session_end(s);

	if (rc != RCO_OK)
		k_die("rco_session_end: %s", rco_error_name(rc));
	atomic_store(&k_note_of(w, c)->ended, 1);
}

static k_kind begin_kind(k_world *w, k_call c, k_kind kind)
{
	atomic_store(&k_note_of(w, c)->kind, kind);
	if (kind == K_EARLY)
		object(w, NULL, c, 0);
	return kind;
}

/* What remains of a call when all is pushed. */
static void finish(k_world *w, rco_session *s, k_call c, k_kind kind)
{
	if (kind == K_OBJECTS || kind == K_NONBLOCK)
		object(w, s, c, kind == K_NONBLOCK ? RCO_OPT_OUT_NONBLOCK : 0);
	if (kind != K_LEFT_OPEN)
		hang_up(w, s, c);
	if (kind == K_LATE || kind == K_LATE_NONBLOCK)
		object(w, s, c, kind == K_LATE_NONBLOCK ? RCO_OPT_OUT_NONBLOCK : 0);
}

/* ---- host-driven ---- */

static void run(k_world *w)
{
	uint32_t timeout_ms = 0;
	int32_t fd;
	int i, idle = 0;

	for (i = 0; i < 2000 && idle < 2; i++) {
		if (rco_engine_run(w->engine, 0, 0) != RCO_OK ||
		    rco_engine_poll(w->engine, &fd, &timeout_ms) != RCO_OK)
			k_die("rco_engine_run");
		idle = timeout_ms > 0 ? idle + 1 : 0;
	}
}

static void pass(k_world *w, int64_t ms)
{
	(void)atomic_fetch_add(&w->wall_us, ms * 1000);
	(void)atomic_fetch_add(&w->mono_us, ms * 1000);
	run(w);
}

/* Calls of every kind beside each other, two frames at a time; each is finished at another moment. */
static void load_driven(k_world *w)
{
	rco_session *s[K_KINDS];
	uint32_t i, beat;

	for (i = 0; i < K_KINDS; i++) {
		k_call c = {0, 0, i};

		(void)begin_kind(w, c, (k_kind)i);
		s[i] = begin(w, c);
	}
	for (beat = 0; beat < K_KINDS; beat++) {
		for (i = beat; i < K_KINDS; i++)
			push_pairs(w, s[i], (k_call){0, 0, i}, 2);
		finish(w, s[beat], (k_call){0, 0, beat}, (k_kind)beat);
		pass(w, beat % 2 == 0 ? 200 : 30); /* some of it is drained, some is not */
	}
	for (i = 0; i < 6; i++)
		pass(w, 500); /* the window passes, and the uploads are committed */
	for (i = 0; i < K_KINDS; i++)
		rco_session_free(s[i]);
	run(w);
}

/* ---- with threads ---- */

typedef struct place {
	k_world *w;
	uint32_t life, number, calls, pairs_max;
	int linger; /* when all is done: calls are going on until the kill */
	pthread_t thread, objector;
	sem_t asked; /* for the objector */
	_Atomic uint32_t current;
	rco_session *session[K_CALLS];
} place;

static void *objector(void *arg)
{
	place *p = arg;

	for (;;) {
		k_call c = {p->life, p->number, 0};

		while (sem_wait(&p->asked) != 0)
			;
		c.number = atomic_load(&p->current);
		if (c.number == K_CALLS)
			return NULL;
		object(p->w, NULL, c, 0); /* by id, as the host's control thread does */
	}
}

static void *record(void *arg)
{
	place *p = arg;
	uint64_t seed = p->w->notes->seed + p->number * 1000 + p->life * 10000;
	uint32_t n;

	for (n = 0; n < p->calls; n++) {
		k_call c = {p->life, p->number, n};
		uint32_t pairs = 1 + (uint32_t)(k_mix(seed + n) % p->pairs_max);
		k_kind kind = begin_kind(p->w, c, (k_kind)((n + p->number * 2 + p->life) % K_KINDS));
		rco_session *s = p->session[n] = begin(p->w, c);

		push_pairs(p->w, s, c, pairs);
		if (kind == K_OTHER_THREAD) {
			atomic_store(&p->current, n);
			(void)sem_post(&p->asked);
			while (push_pair(p->w, s, c)) /* until it is heard */
				;
		}
		finish(p->w, s, c, kind);
		if (kind == K_KEPT || kind == K_OBJECTS) {
			rco_session_free(s);
			p->session[n] = NULL;
		}
	}
	atomic_store(&p->current, K_CALLS);
	(void)sem_post(&p->asked);
	while (p->linger)
		(void)pause();
	return NULL;
}

static void load_threads(k_world *w, uint32_t life, uint32_t places, uint32_t calls, uint32_t pairs_max,
                         int linger)
{
	static place p[K_PLACES];
	uint32_t i, n;

	memset(p, 0, sizeof p);
	for (i = 0; i < places; i++) {
		p[i].w = w;
		p[i].life = life;
		p[i].number = i;
		p[i].calls = calls;
		p[i].pairs_max = pairs_max;
		p[i].linger = linger;
		(void)sem_init(&p[i].asked, 0, 0);
		t_thread(&p[i].objector, objector, &p[i]);
		t_thread(&p[i].thread, record, &p[i]);
	}
	for (i = 0; i < places; i++) {
		(void)pthread_join(p[i].thread, NULL);
		(void)pthread_join(p[i].objector, NULL);
		(void)sem_destroy(&p[i].asked);
	}
	(void)rco_engine_wait_idle(w->engine, 60000);
	for (i = 0; i < places; i++)
		for (n = 0; n < calls; n++)
			rco_session_free(p[i].session[n]);
}

void k_load(k_world *w, uint32_t life)
{
	k_script script = (k_script)w->notes->script;

	k_world_open(w, script);
	if (script == K_DRIVEN)
		load_driven(w);
	else if (script == K_THREADS)
		load_threads(w, life, 2, K_KINDS, 8, 0);
	else
		load_threads(w, life, K_PLACES, K_CALLS, 200, 1);
	k_world_close(w);
}
