/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include "net.h"

#include <recoptout/agent.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_MS = 500,
	LEARN_MS = 10000,  /* what a call's recorder writes is asked so often */
	RELEARN_MS = 3000, /* and after an objection, for it may be started again */
	UNHEARD_MS = 5000, /* a pause for a recorder that did not answer that */
	RETRY_MAX_MS = 10000,
	WORKERS = 4,
	RING_BYTES = 1 << 20, /* no audio is pushed */
	WINDOW_DEFAULT_MS = 10000
};

void wake(gateway *g)
{
	uint64_t one = 1;

	if (write(g->wake, &one, sizeof one) != (ssize_t)sizeof one)
		return; /* it is looked each half second all the same */
}

/* ---- the recorder callbacks ---- */

/* It records already: the server said so. */
static int recorder_start(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	entry *e = user_data;

	(void)call_id;
	(void)op;
	e->asks = 1;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int recorder_stop(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	entry *e = user_data;
	gateway *g = e->g;
	int over, stopped;

	(void)call_id;
	(void)entry_opted_out(e);
	attempt_start(e);
	(void)pthread_mutex_lock(&g->lock);
	over = attempt_wait(e, attempt_patience_ms);
	stopped = over && e->stopped && !atomic_load(&g->closing);
	if (!over)
		e->op = op;
	if (stopped)
		e->asks = 0;
	(void)pthread_mutex_unlock(&g->lock);
	if (!over)
		return RCO_PENDING;
	if (!stopped)
		return RCO_E_UNCONFIRMED;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static const rco_recorder_ops recorder = {
	.struct_size = (uint32_t)sizeof recorder, .start = recorder_start, .stop = recorder_stop};

/* ---- erasing ---- */

static int not_known(const char *what, const char *why)
{
	note(what, "it is not known whether it is gone", why);
	return RCO_E_UNCONFIRMED;
}

/* Lock held. Nothing of the call's has this name any more. RECORDING_GONE if it is known to be erased: somebody
 * else may have moved it, or removed it after he made a copy. */
static rec_presence judge_gone(entry *e, const char *path, char why[WHY_MAX])
{
	known_file *k = known_find(e, path);

	if (k != NULL)
		k->gone = 1;
	if (k != NULL && is_accounted(e, k, 1))
		return RECORDING_GONE;
	(void)snprintf(why, WHY_MAX, "%s",
	               k == NULL ? "it was never seen; are its name and --dir right?"
	                         : "it has gone, and was not erased here: who has moved or copied it?");
	return RECORDING_UNKNOWN;
}

/* Lock held. Its erasure begins, or has not come to anything. */
static void set_erasing(entry *e, const char *path, const file_id *id, int erasing)
{
	known_file *k = known_find(e, path);

	if (k == NULL && erasing)
		k = known_add(e, path, id);
	if (k != NULL)
		k->erasing = erasing;
}

/* What has this name, if it is the call's. */
static rec_presence look_for(gateway *g, entry *e, const char *path, file_id *id, char why[WHY_MAX])
{
	file_state state = file_look(g->o.settings.dir, path, id, why);
	rec_presence presence = RECORDING_THERE;

	if (state != FILE_THERE && state != FILE_GONE)
		return RECORDING_UNKNOWN;
	if (e == NULL) /* nothing is known of the call any more */
		return state == FILE_THERE ? RECORDING_THERE : RECORDING_GONE;
	(void)pthread_mutex_lock(&g->lock);
	if (state == FILE_GONE || !is_ours(e, path, id))
		presence = judge_gone(e, path, why);
	(void)pthread_mutex_unlock(&g->lock);
	return presence;
}

/* A location of the recorder's own store. Another call that uses the name hides whether this one's is still there.
 */
static rec_presence verify_store(gateway *g, entry *e, const rco_object *object, char why[WHY_MAX])
{
	int gone, ours;
	rec_presence answer;
	known_file *k;

	(void)pthread_mutex_lock(&g->lock);
	k = e != NULL ? known_find(e, object->key) : NULL;
	gone = k != NULL && k->gone && k->erasing;
	ours = e == NULL || is_ours(e, object->key, &(file_id){0});
	(void)pthread_mutex_unlock(&g->lock);
	if (!ours && gone)
		return RECORDING_GONE;
	if (!ours) {
		(void)snprintf(why, WHY_MAX, "another call uses the name by now");
		return RECORDING_UNKNOWN;
	}
	answer = g->o.adapter->verify(&g->o.settings, object->key, why);
	if (answer == RECORDING_GONE && e != NULL) {
		(void)pthread_mutex_lock(&g->lock);
		answer = judge_gone(e, object->key, why);
		(void)pthread_mutex_unlock(&g->lock);
	}
	return answer;
}

/* Written down before: the next process, too, has to know who erased it. */
static void begin_erasing(gateway *g, entry *e, const char *key, const file_id *id)
{
	if (e == NULL)
		return;
	(void)pthread_mutex_lock(&g->lock);
	set_erasing(e, key, id, 1);
	(void)pthread_mutex_unlock(&g->lock);
	(void)entry_save(e);
}

static rec_presence remove_stored(gateway *g, entry *e, const rco_object *object, char why[WHY_MAX])
{
	rec_presence answer = verify_store(g, e, object, why);

	if (answer == RECORDING_GONE && e == NULL)
		return RECORDING_UNKNOWN;
	if (answer != RECORDING_THERE)
		return answer;
	begin_erasing(g, e, object->key, &(file_id){0});
	answer = g->o.adapter->remove(&g->o.settings, object->key, why);
	if (e == NULL || answer == RECORDING_UNKNOWN)
		return answer;
	(void)pthread_mutex_lock(&g->lock);
	if (answer == RECORDING_GONE)
		answer = judge_gone(e, object->key, why);
	else
		set_erasing(e, object->key, &(file_id){0}, 0);
	(void)pthread_mutex_unlock(&g->lock);
	return answer;
}

/* After an erasure that did not come to its end. */
static void not_erased(gateway *g, entry *e, const char *path, const file_id *id)
{
	file_id now;
	char ignored[WHY_MAX];

	if (e == NULL || (file_look(g->o.settings.dir, path, &now, ignored) == FILE_GONE))
		return;
	(void)pthread_mutex_lock(&g->lock);
	set_erasing(e, path, id, 0);
	(void)pthread_mutex_unlock(&g->lock);
}

static rec_presence remove_file(gateway *g, entry *e, const char *path, char why[WHY_MAX])
{
	file_id id;
	rec_presence presence = look_for(g, e, path, &id, why);
	file_erased done;

	if (presence == RECORDING_GONE && e == NULL) {
		(void)snprintf(why, WHY_MAX, "nothing is known of its call, and it is not there");
		return RECORDING_UNKNOWN;
	}
	if (presence != RECORDING_THERE)
		return presence;
	begin_erasing(g, e, path, &id);
	done = file_erase(g->o.settings.dir, path, &id, e == NULL || !e->trusted, why);
	if (done != FILE_ERASED)
		not_erased(g, e, path, &id);
	switch (done) {
	case FILE_ERASED:
		if (e != NULL) {
			(void)pthread_mutex_lock(&g->lock);
			presence = judge_gone(e, path, why);
			(void)pthread_mutex_unlock(&g->lock);
			(void)entry_save(e);
			return presence;
		}
		return RECORDING_GONE;
	case FILE_WRITTEN:
		(void)snprintf(why, WHY_MAX, "somebody has it open: it is stopped again first");
		if (e != NULL) {
			(void)pthread_mutex_lock(&g->lock);
			e->clear = 0;
			e->wanted++;
			(void)pthread_mutex_unlock(&g->lock);
			wake(g);
		}
		return RECORDING_UNKNOWN;
	case FILE_NOT_OURS:
		return RECORDING_THERE; /* it has changed this moment: judged again */
	default:
		return RECORDING_UNKNOWN;
	}
}

static rec_presence verify_file(gateway *g, entry *e, const char *path, char why[WHY_MAX])
{
	file_id id;

	return look_for(g, e, path, &id, why);
}

/* What has no file that could be looked at: see UNNAMED, and miss_unseen(). */
static rec_presence find_missing(entry *e, const char *location, char why[WHY_MAX])
{
	if (was_found(e, location))
		return RECORDING_GONE; /* it is erased by the name that it was found by */
	(void)snprintf(why, WHY_MAX, "%s",
	               strncmp(location, UNNAMED, sizeof UNNAMED - 1) == 0
	                       ? "it was recorded, and start did not name it"
	                       : "start named it, and it was never seen; are its name and --dir right?");
	return RECORDING_UNKNOWN;
}

static int answer_store(const rco_object *object, rec_presence presence, rco_result *result, const char *why)
{
	if (presence == RECORDING_UNKNOWN)
		return not_known(object->key, why);
	result->confirmed = presence == RECORDING_GONE ? RCO_CONFIRM_GONE : RCO_CONFIRM_PRESENT;
	return RCO_OK;
}

static int remove_there(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	gateway *g = user_data;
	const rec_adapter *a = g->o.adapter;
	char why[WHY_MAX] = "";
	rec_presence presence;
	entry *e;
	int clear;

	(void)op;
	if (object->store != RCO_STORE_HOST)
		return RCO_E_DECLINED;
	e = entry_of(g, object);
	(void)pthread_mutex_lock(&g->lock);
	clear = e != NULL ? e->clear : g->restored; /* until then it is not known whose it is */
	(void)pthread_mutex_unlock(&g->lock);
	if (!clear) {
		entry_unref(e);
		return RCO_E_UNCONFIRMED; /* the recorder may go on: an unlinked file would be written on unseen */
	}
	presence = is_missing(object->key)                              ? find_missing(e, object->key, why)
	           : object->key[0] == '/' && g->o.settings.dir != NULL ? remove_file(g, e, object->key, why)
	           : a->remove != NULL                                  ? remove_stored(g, e, object, why)
	                                                                : RECORDING_UNKNOWN;
	entry_unref(e);
	return answer_store(object, presence, result, why);
}

static int verify_there(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	gateway *g = user_data;
	const rec_adapter *a = g->o.adapter;
	char why[WHY_MAX] = "";
	rec_presence presence;
	entry *e;

	(void)op;
	if (object->store != RCO_STORE_HOST)
		return RCO_E_DECLINED;
	e = entry_of(g, object);
	presence = is_missing(object->key)                              ? find_missing(e, object->key, why)
	           : object->key[0] == '/' && g->o.settings.dir != NULL ? verify_file(g, e, object->key, why)
	           : a->verify != NULL                                  ? verify_store(g, e, object, why)
	                                                                : RECORDING_UNKNOWN;
	entry_unref(e);
	return answer_store(object, presence, result, why);
}

static const rco_deletion_ops deletion = {
	.struct_size = (uint32_t)sizeof deletion, .remove = remove_there, .verify = verify_there};

/* ---- events ---- */

static void happened(const rco_event *event, void *user_data)
{
	if (event->type == RCO_EVENT_ESCALATED || event->type == RCO_EVENT_VERIFIED)
		note(event->call_id, rco_event_name(event->type), event->message);
	if (event->type == RCO_EVENT_OPTED_OUT || event->type == RCO_EVENT_STOPPED)
		wake(user_data);
}

static void logged(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)length;
	(void)user_data;
	if (level == RCO_LOG_ERROR)
		(void)fprintf(stderr, "recorders: %s\n", message);
}

/* ---- sessions ---- */

int entry_begin(entry *e)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o,
	                         .call_id = e->parts[0].id,
	                         .recorder = &recorder,
	                         .recorder_user_data = e};
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};
	int rc = rco_session_create(e->g->engine, &o, &e->session);

	if (rc != RCO_OK)
		return rc;
	if (rco_session_get_stats(e->session, &stats) == RCO_OK)
		memcpy(e->recording, stats.recording_id, sizeof e->recording);
	rc = rco_session_start(e->session);
	if (rc != RCO_E_OPTED_OUT)
		return rc;
	e->opted_out = 1; /* before it was known: nobody but us stops it */
	e->wanted += !e->clear;
	return RCO_OK;
}

int entry_revive(entry *e)
{
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK, .source = "gateway"};
	int rc = e->session == NULL ? entry_begin(e) : RCO_E_STATE;

	if (rc == RCO_OK)
		rc = rco_opt_out(e->session, &o, NULL);
	return rc == RCO_PENDING ? RCO_OK : rc;
}

/* The objection that waited takes effect, now that the recorder has stopped: nothing untrue was said meanwhile.
 * Asked once more, for its time may have passed. */
static void take_up(entry *e)
{
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK, .source = "gateway"};
	int rc = entry_begin(e);

	e->early = rc != RCO_OK;
	if (rc == RCO_OK)
		rc = rco_opt_out(e->session, &o, NULL);
	if (rc < 0)
		note(e->parts[0].id, "no session", rco_error_detail());
	if (e->ended_ns != 0)
		(void)rco_session_end(e->session);
	(void)entry_save(e);
}

/* ---- after a restart ---- */

/* An objection that the library knows of: is it of this call, and has the recorder confirmed its stop? */
static void ask_library(entry *e, int *stopped)
{
	rco_receipt *r = NULL;

	*stopped = e->opted_out && e->clear;
	if (rco_engine_receipt(e->g->engine, e->parts[0].id, &r) != RCO_OK)
		return;
	if (rco_receipt_time_us(r, RCO_TIME_REQUESTED) >= e->since_ns / 1000 - 1000000)
		e->opted_out = 1;
	*stopped = e->opted_out && (rco_receipt_facts(r) & RCO_FACT_STOPPED) && e->clear;
	rco_receipt_free(r);
}

/* The library takes calls of an earlier process for ended, and knows nothing of a recorder: a session stands for
 * it. */
static void restore(entry *e)
{
	int stopped, rc = RCO_OK;

	if (e->early) {
		e->wanted++;
		entry_add(e);
		return;
	}
	ask_library(e, &stopped);
	if (!stopped)
		e->clear = 0;
	if (e->opted_out && !stopped)
		rc = entry_revive(e);
	else if (!e->opted_out)
		rc = entry_begin(e);
	entry_add(e);
	if (rc != RCO_OK)
		note(e->parts[0].id, "it cannot be taken up", rco_error_detail());
	if (e->ended_ns != 0 && e->session != NULL)
		(void)rco_session_end(e->session);
	(void)entry_save(e);
}

static int by_number(const void *a, const void *b)
{
	const entry *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

static int restore_all(gateway *g)
{
	const json_t *records = journal_records(g->journal);
	size_t n = 0, i;
	entry **all = calloc(json_object_size(records) + 1, sizeof(entry *));
	const char *key;
	json_t *record;

	if (all == NULL)
		return RCO_E_NO_MEMORY;
	json_object_foreach((json_t *)records, key, record)
	{
		all[n] = entry_load(g, record);
		n += all[n] != NULL;
	}
	qsort(all, n, sizeof all[0], by_number);
	attempt_patience_ms = 0; /* a recorder that is away does not keep the door shut */
	for (i = 0; i < n; i++) {
		restore(all[i]);
		entry_unref(all[i]);
	}
	free(all);
	(void)pthread_mutex_lock(&g->lock);
	g->restored = 1;
	(void)pthread_mutex_unlock(&g->lock);
	return RCO_OK;
}

/* ---- watching ---- */

static void watch_one(entry *e)
{
	int due, ready;

	(void)entry_opted_out(e);
	look(e);
	if (e->dirty)
		(void)entry_save(e);
	(void)pthread_mutex_lock(&e->g->lock);
	due = e->wanted && !e->attempting && net_now_ms() >= e->again_ms;
	ready = e->early && e->clear;
	(void)pthread_mutex_unlock(&e->g->lock);
	if (due)
		attempt_start(e);
	if (ready)
		take_up(e);
	entry_retire(e);
}

static void *watch(void *arg)
{
	gateway *g = arg;
	struct pollfd p = {.fd = g->wake, .events = POLLIN};

	while (!atomic_load(&g->closing)) {
		uint64_t news;
		entry *e;

		if (poll(&p, 1, LOOK_MS) > 0 && read(g->wake, &news, sizeof news) < 0)
			news = 0; /* nothing new: it is the half second */
		for (e = entry_next(g, NULL); e != NULL; e = entry_next(g, e))
			if (!atomic_load(&g->closing))
				watch_one(e);
	}
	return NULL;
}

/* 0, or -1 if the recorder does not answer. */
static int learn_one(entry *e)
{
	const gateway_options *o = &e->g->o;
	int rc = 0;
	size_t i;

	if (net_now_ms() < e->learn_ms || e->early || (e->ended_ns != 0 && !e->opted_out))
		return 0;
	for (i = 0; i < e->n_parts && rc == 0; i++)
		rc = o->adapter->names(&o->settings, &e->parts[i], learned, e);
	if (rc == 0)
		e->learn_ms = net_now_ms() + (e->opted_out ? RELEARN_MS : LEARN_MS);
	return rc;
}

/* What the folder does not tell: in a thread of its own, for recorders may be slow. */
static void *learn(void *arg)
{
	gateway *g = arg;
	int64_t not_before_ms = 0;

	while (!atomic_load(&g->closing)) {
		entry *e;

		net_pause_ms(LOOK_MS / 2);
		for (e = entry_next(g, NULL); e != NULL; e = entry_next(g, e))
			if (!atomic_load(&g->closing) && net_now_ms() >= not_before_ms && learn_one(e) != 0)
				not_before_ms = net_now_ms() + UNHEARD_MS;
	}
	return NULL;
}

/* ---- open and close ---- */

static int open_engine(gateway *g)
{
	uint32_t timeout_ms = 4 * g->o.settings.timeout_ms + 10000;
	rco_engine_config cfg = {.struct_size = (uint32_t)sizeof cfg,
	                         .state_dir = g->o.state,
	                         .output_dir = g->o.output,
	                         .opt_out_enabled = 1,
	                         .late_opt_out_ms = g->o.late_opt_out_ms,
	                         .retry_max_ms = RETRY_MAX_MS,
	                         .backend_timeout_ms = timeout_ms > 30000 ? timeout_ms : 30000,
	                         .workers = WORKERS,
	                         .ring_pool_bytes = RING_BYTES,
	                         .deletion = &deletion,
	                         .deletion_user_data = g,
	                         .log = logged,
	                         .event = happened,
	                         .event_user_data = g};

	return rco_engine_create(&cfg, &g->engine);
}

static int open_journal(gateway *g)
{
	char folder[PATH_ROOM];

	if ((size_t)snprintf(folder, sizeof folder, "%s/recorders", g->o.state) >= sizeof folder)
		return RCO_E_INVALID;
	(void)mkdir(folder, 0700);
	g->journal = journal_open(folder);
	return g->journal != NULL ? RCO_OK : RCO_E_IO;
}

static int open_control(gateway *g)
{
	rco_control_options co = {.struct_size = (uint32_t)sizeof co, .path = g->o.control};

	return g->o.control != NULL ? rco_control_open(g->engine, &co, &g->control) : RCO_OK;
}

static int init_locks(gateway *g)
{
	pthread_condattr_t monotonic;

	if (pthread_mutex_init(&g->lock, NULL) != 0 || pthread_mutex_init(&g->saving, NULL) != 0 ||
	    pthread_mutex_init(&g->starting, NULL) != 0 || pthread_condattr_init(&monotonic) != 0)
		return RCO_E_NO_MEMORY;
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	return pthread_cond_init(&g->changed, &monotonic) == 0 ? RCO_OK : RCO_E_NO_MEMORY;
}

gateway *gateway_open(const gateway_options *options)
{
	gateway *g = calloc(1, sizeof *g);
	int rc;

	if (g == NULL)
		return NULL;
	g->o = *options;
	if (g->o.late_opt_out_ms == 0)
		g->o.late_opt_out_ms = WINDOW_DEFAULT_MS;
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = g->wake >= 0 ? init_locks(g) : RCO_E_LIMIT;
	if (rc == RCO_OK)
		rc = open_engine(g);
	if (rc == RCO_OK)
		rc = open_journal(g);
	if (rc == RCO_OK)
		rc = restore_all(g);
	/* Not before: until then the library would take a call that goes on for one that has ended. */
	if (rc == RCO_OK)
		rc = open_control(g);
	if (rc == RCO_OK) {
		g->watches = pthread_create(&g->watcher, NULL, watch, g) == 0;
		g->learns = g->o.adapter->names != NULL && pthread_create(&g->learner, NULL, learn, g) == 0;
		if (g->watches && (g->learns || g->o.adapter->names == NULL))
			return g;
		rc = RCO_E_NO_MEMORY;
	}
	(void)fprintf(stderr, "recorders: %s: %s\n", rco_strerror(rc), rco_error_detail());
	gateway_close(g);
	return NULL;
}

/* Calls that go on are neither ended nor stopped: the server records on, and the next gateway goes on with them.
 */
void gateway_close(gateway *g)
{
	atomic_store(&g->closing, 1);
	if (g->wake >= 0)
		wake(g);
	if (g->watches)
		(void)pthread_join(g->watcher, NULL);
	if (g->learns)
		(void)pthread_join(g->learner, NULL);
	rco_control_close(g->control);
	attempt_await_all(g);
	rco_engine_free(g->engine);
	while (g->calls != NULL) {
		entry *e = g->calls;

		g->calls = e->next;
		entry_unref(e);
	}
	journal_close(g->journal);
	if (g->wake >= 0)
		(void)close(g->wake);
	free(g);
}
