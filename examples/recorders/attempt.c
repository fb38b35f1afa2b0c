/* SPDX-License-Identifier: MIT */
/*
 * Stopping a call's recorder. Each attempt has a thread of its own, so that a recorder that says nothing keeps
 * nobody waiting but those who asked about that call. It has succeeded when the recorder said so and none of the
 * call's files is open; or when the recorder has nothing of that name and the files tell that nobody writes them
 * any more.
 */
#include "calls.h"

#include "net.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 300,
	ATTEMPTS_MAX = 128,
	POLL_MS = 20,
	QUIET_MS = 2500,
	CLOSED_MS = 500,
	AGAIN_MIN_MS = 500,
	AGAIN_MAX_MS = 10000,
	HELD_MAX = 16,
	STACK_BYTES = 512 * 1024
};

_Thread_local uint32_t attempt_patience_ms = PATIENCE_MS;

/* What the files say. */
typedef struct uses {
	size_t free, busy, unknown, known;
	size_t lost; /* seen once, and gone: not erased, as far as is known */
	uint64_t bytes;
	int64_t changed_ns;
} uses;

static void use_of(entry *e, const char *path, uses *u, char why[WHY_MAX])
{
	const char *dir = e->g->o.settings.dir;
	file_id id;
	char ignored[WHY_MAX];
	file_state state;
	known_file *k;
	int ours;

	if (path[0] != '/')
		return;
	state = file_look(dir, path, &id, ignored);
	if (state != FILE_THERE && state != FILE_GONE)
		return;
	(void)pthread_mutex_lock(&e->g->lock);
	k = known_find(e, path);
	ours = state == FILE_THERE && is_ours(e, path, &id);
	if (k != NULL && state == FILE_GONE)
		k->gone = 1;
	if (k != NULL && !ours && !is_accounted(e, k, 0))
		u->lost++;
	(void)pthread_mutex_unlock(&e->g->lock);
	if (!ours)
		return;
	u->bytes += id.size;
	u->changed_ns += id.mtime_ns;
	switch (file_in_use(dir, path, &id, why)) {
	case FILE_FREE:
		u->free++;
		break;
	case FILE_BUSY:
		u->busy++;
		break;
	default:
		u->unknown++;
	}
}

static void use_of_all(entry *e, uses *u, char why[WHY_MAX])
{
	char path[PATH_ROOM];
	const known_file *k;
	size_t i;

	memset(u, 0, sizeof *u);
	for (i = 0;; i++) {
		size_t n = 0;

		/* By number: the list grows at its front, and what is missed so is seen with the next look. */
		(void)pthread_mutex_lock(&e->g->lock);
		for (k = e->known; k != NULL && n < i; k = k->next)
			n++;
		(void)snprintf(path, sizeof path, "%s", k != NULL ? k->path : "");
		(void)pthread_mutex_unlock(&e->g->lock);
		if (path[0] == '\0')
			break;
		u->known += !is_missing(path);
		use_of(e, path, u, why);
	}
}

/* Only a hint, for a recorder may write every two seconds, or when it likes. */
static int are_quiet(entry *e, const uses *before)
{
	char ignored[WHY_MAX];
	uses now;

	net_pause_ms(QUIET_MS);
	use_of_all(e, &now, ignored);
	return now.bytes == before->bytes && now.changed_ns == before->changed_ns;
}

static int files_agree(entry *e, rec_outcome outcome, int64_t until_ms, char why[WHY_MAX])
{
	char about[WHY_MAX] = "";
	uses u;

	for (;;) {
		look(e);
		use_of_all(e, &u, about);
		if (e->odd) {
			(void)snprintf(why, WHY_MAX, "%s", e->why);
			return 0;
		}
		if (u.busy == 0 || net_now_ms() >= until_ms || atomic_load(&e->g->closing))
			break;
		net_pause_ms(POLL_MS); /* it is closed soon after it was stopped */
	}
	if (u.busy > 0) {
		(void)snprintf(why, WHY_MAX, "%s", about);
		return 0;
	}
	if (u.lost > 0 && u.free + u.unknown == 0) {
		(void)snprintf(why, WHY_MAX,
		               "its file has gone, and was not erased here: who has moved or copied it?");
		return 0;
	}
	if (outcome == RECORDER_KNOWS_NOTHING && (u.free == 0 || u.unknown > 0)) {
		size_t n = strlen(why);

		(void)snprintf(why + n, WHY_MAX - n, "; %.200s",
		               u.unknown > 0 ? about : "no file of the call is there that could tell");
		return 0;
	}
	if (e->g->o.adapter->named && u.known == 0) {
		(void)snprintf(why, WHY_MAX, "no file of the call has been seen; are its name and --dir right?");
		return 0;
	}
	if (u.unknown > 0 && !are_quiet(e, &u)) {
		(void)snprintf(why, WHY_MAX, "%.230s, and it changes", about);
		return 0;
	}
	e->trusted = u.unknown > 0;
	return 1;
}

/* ---- what the recorder removes as it stops ---- */

typedef struct held {
	size_t n;
	int fds[HELD_MAX];
	char paths[HELD_MAX][PATH_ROOM];
} held;

/* The files that are there now; they are let go before it is asked who has them open. */
static void hold(entry *e, held *h)
{
	const char *dir = e->g->o.settings.dir;
	char ignored[WHY_MAX];
	const known_file *k;
	file_id id;
	size_t i, n;

	(void)pthread_mutex_lock(&e->g->lock);
	for (k = e->known, n = 0; k != NULL && n < HELD_MAX; k = k->next)
		if (k->path[0] == '/' && !k->gone)
			(void)snprintf(h->paths[n++], PATH_ROOM, "%s", k->path);
	(void)pthread_mutex_unlock(&e->g->lock);
	for (i = 0, h->n = n; i < n; i++)
		h->fds[i] = file_look(dir, h->paths[i], &id, ignored) == FILE_THERE && is_mine(h->paths[i], e)
		                    ? file_hold(dir, h->paths[i], &id)
		                    : -1;
}

/* What is unlinked now, and was not before the recorder was told: that was the recorder. */
static void let_go(entry *e, held *h, int stopped)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		int removed = stopped && file_is_unlinked(h->fds[i]);
		known_file *k;

		(void)pthread_mutex_lock(&e->g->lock);
		k = removed ? known_find(e, h->paths[i]) : NULL;
		if (k != NULL)
			k->gone = k->erasing = e->dirty = 1;
		(void)pthread_mutex_unlock(&e->g->lock);
		if (h->fds[i] >= 0)
			(void)close(h->fds[i]);
	}
}

/* Nobody can object any more, so that it is nobody's concern whether it has stopped. */
static int is_past(entry *e)
{
	return !e->opted_out && e->ended_ns != 0 &&
	       file_clock_ns() - e->ended_ns > (int64_t)e->g->o.late_opt_out_ms * 1000000 + INT64_C(2000000000);
}

/* Of the attempt's time, what is left; but an answer that came late leaves a while for the file to be closed. */
static int64_t files_until(const gateway_options *o, int64_t began_ms)
{
	int64_t whole_ms = o->settings.timeout_ms, least_ms = whole_ms < CLOSED_MS ? whole_ms : CLOSED_MS;
	int64_t now_ms = net_now_ms();

	return began_ms + whole_ms > now_ms + least_ms ? began_ms + whole_ms : now_ms + least_ms;
}

static int try_stop(entry *e, char why[WHY_MAX])
{
	const gateway_options *o = &e->g->o;
	int64_t began_ms = net_now_ms();
	rec_stop how = {.keep = !entry_opted_out(e),
	                .own = has_own_only(e),
	                .found = learned,
	                .discards = discards,
	                .mine = is_mine,
	                .written = is_written,
	                .arg = e};
	rec_outcome worst = RECORDER_STOPPED;
	held before = {.n = 0};
	size_t i;

	if (is_past(e))
		return 1;
	(void)pthread_mutex_lock(&e->g->lock);
	e->odd = 0;
	e->why[0] = '\0';
	(void)pthread_mutex_unlock(&e->g->lock);
	look(e);
	if (o->adapter->removes)
		hold(e, &before);
	for (i = 0; i < e->n_parts; i++) {
		char about[WHY_MAX] = "";
		rec_outcome outcome;

		how.seen = was_seen(e, &e->parts[i]);
		outcome = o->adapter->stop(&o->settings, &e->parts[i], &how, about);
		if (outcome > worst) {
			worst = outcome;
			(void)snprintf(why, WHY_MAX, "%s", about);
		}
	}
	let_go(e, &before, worst == RECORDER_STOPPED);
	if (worst == RECORDER_UNSURE || !files_agree(e, worst, files_until(o, began_ms), why))
		return 0;
	miss_unseen(e);
	look(e); /* and the library knows of them before it is told that it may erase */
	return 1;
}

/* ---- threads ---- */

static uint32_t pause_of(uint32_t failures)
{
	uint32_t ms = AGAIN_MIN_MS;

	while (failures-- > 1 && ms < AGAIN_MAX_MS)
		ms *= 2;
	return ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
}

/* `wanted`: as it was when the attempt began; what was wanted meanwhile is another one. The library's question, if
 * it waits; 0. */
static uint64_t conclude(entry *e, int stopped, unsigned wanted)
{
	gateway *g = e->g;
	uint64_t op;

	(void)pthread_mutex_lock(&g->lock);
	op = e->op;
	e->op = 0;
	e->attempting = 0;
	e->stopped = stopped;
	if (stopped && e->wanted == wanted) {
		e->clear = e->opted_out;
		e->wanted = 0;
	}
	e->failures = stopped ? 0 : e->failures + 1;
	e->again_ms = net_now_ms() + pause_of(e->failures);
	if (stopped && op != 0)
		e->asks = 0;
	(void)pthread_cond_broadcast(&g->changed);
	(void)pthread_mutex_unlock(&g->lock);
	return op;
}

static void *attempt(void *arg)
{
	entry *e = arg;
	gateway *g = e->g;
	rco_result result = {.struct_size = (uint32_t)sizeof result};
	char why[WHY_MAX] = "";
	unsigned wanted = e->wanted;
	int stopped = try_stop(e, why);
	uint64_t op;

	if (!stopped && e->opted_out) /* before anybody is answered */
		note(e->parts[0].id,
		     "it is not known that all of it is stopped and can be erased; the recorder is asked again",
		     why);
	op = conclude(e, stopped, wanted);
	if (stopped && e->opted_out)
		(void)entry_save(e);
	result.confirmed = stopped ? RCO_CONFIRM_DONE : RCO_CONFIRM_UNKNOWN;
	if (op != 0)
		(void)rco_op_complete(g->engine, op, stopped ? RCO_OK : RCO_E_UNCONFIRMED, &result);
	wake(g);
	entry_unref(e);
	(void)pthread_mutex_lock(&g->lock);
	g->attempts--;
	(void)pthread_cond_broadcast(&g->changed);
	(void)pthread_mutex_unlock(&g->lock);
	return NULL;
}

void attempt_start(entry *e)
{
	gateway *g = e->g;
	pthread_attr_t attributes;
	pthread_t thread;
	int go;

	(void)pthread_mutex_lock(&g->lock);
	go = !e->attempting && !atomic_load(&g->closing) && g->attempts < ATTEMPTS_MAX;
	if (!e->attempting)
		e->stopped = 0;
	if (go) {
		e->attempting = 1;
		e->refs++;
		g->attempts++;
	}
	(void)pthread_mutex_unlock(&g->lock);
	if (!go)
		return;
	go = pthread_attr_init(&attributes) == 0;
	if (go) {
		(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
		go = pthread_create(&thread, &attributes, attempt, e) == 0;
		(void)pthread_attr_destroy(&attributes);
	}
	if (go)
		return;
	(void)pthread_mutex_lock(&g->lock); /* the library asks again */
	e->attempting = 0;
	e->refs--;
	g->attempts--;
	(void)pthread_cond_broadcast(&g->changed);
	(void)pthread_mutex_unlock(&g->lock);
}

int attempt_wait(entry *e, uint32_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (e->attempting && pthread_cond_timedwait(&e->g->changed, &e->g->lock, &until) == 0)
		;
	return !e->attempting;
}

void attempt_await_all(gateway *g)
{
	(void)pthread_mutex_lock(&g->lock);
	while (g->attempts > 0)
		(void)pthread_cond_wait(&g->changed, &g->lock);
	(void)pthread_mutex_unlock(&g->lock);
}
