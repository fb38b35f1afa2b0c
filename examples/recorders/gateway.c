/* SPDX-License-Identifier: MIT */
#include "gateway.h"

#include <recoptout/agent.h>
#include <recoptout/control.h>
#include <recoptout/storage.h>

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 500 };

typedef struct names {
	struct names *next;
	char path[];
} names;

typedef struct entry {
	struct entry *next;
	gateway *g;
	rec_call call;
	rco_session *session;
	names *known; /* files that the library was told of; under the lock */
	_Atomic int opted_out;
	_Atomic int stopped; /* until then the library may ask again, with this entry in hand */
	int to_stop;         /* it was opted out before it was known: nobody but us stops it */
	time_t ended;        /* under the lock, as `ending` */
	int ending;          /* somebody is inside rco_session_end() with it */
} entry;

struct gateway {
	gateway_options o;
	rco_engine *engine;
	rco_control *control;
	int wake;
	pthread_mutex_t lock; /* the list; entries are removed by the watcher only */
	entry *calls;
	pthread_t watcher; /* a recorder that does not answer keeps it waiting, and nobody else */
	int watches;
	_Atomic int closing;
};

static void found(const char *path, void *arg);

static void note(const char *call_id, const char *what, const char *why)
{
	(void)fprintf(stderr, "recorders: %s: %s%s%s\n", call_id, what, why[0] != '\0' ? ": " : "", why);
}

const char *rec_value(const rec_call *call, const char *key)
{
	size_t i;

	for (i = 0; i < call->n; i++)
		if (strcmp(call->given[i].key, key) == 0)
			return call->given[i].value;
	return NULL;
}

/* ---- the recorder callbacks ---- */

/* It records already: the server said so. */
static int recorder_start(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	(void)call_id;
	(void)op;
	(void)user_data;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int recorder_stop(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	entry *e = user_data;
	char why[WHY_MAX] = "";

	(void)op;
	if (e->g->o.adapter->stop(&e->g->o.settings, &e->call, why) != RECORDER_STOPPED) {
		note(call_id, "the recorder has not stopped, and is asked again", why);
		return RCO_E_UNCONFIRMED;
	}
	/* What has its last name only now is to be known before the stop is, for nothing is erased for good
	 * without it. */
	e->g->o.adapter->files(&e->g->o.settings, &e->call, found, e);
	result->confirmed = RCO_CONFIRM_DONE;
	atomic_store(&e->stopped, 1);
	return RCO_OK;
}

/* ---- erasing what is not on this machine ---- */

static int erase_there(gateway *g, const rco_object *object, rco_result *result,
                       rec_presence (*ask)(const rec_settings *, const char *, char *))
{
	char why[WHY_MAX] = "";

	if (ask == NULL || object->key[0] == '/')
		return RCO_E_DECLINED; /* a file: the library's own folder backend erases it */
	switch (ask(&g->o.settings, object->key, why)) {
	case RECORDING_GONE:
		result->confirmed = RCO_CONFIRM_GONE;
		return RCO_OK;
	case RECORDING_THERE:
		result->confirmed = RCO_CONFIRM_PRESENT;
		return RCO_OK;
	default:
		note(object->key, "it is not known whether it is gone", why);
		return RCO_E_UNCONFIRMED;
	}
}

static int remove_there(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	gateway *g = user_data;

	(void)op;
	return erase_there(g, object, result, g->o.adapter->remove);
}

static int verify_there(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	gateway *g = user_data;

	(void)op;
	return erase_there(g, object, result, g->o.adapter->verify);
}

static const rco_deletion_ops deletion = {
	.struct_size = (uint32_t)sizeof deletion, .remove = remove_there, .verify = verify_there};

/* ---- events ---- */

static void wake(gateway *g)
{
	uint64_t one = 1;

	if (write(g->wake, &one, sizeof one) != (ssize_t)sizeof one)
		return; /* it is looked each half second all the same */
}

static entry *find(gateway *g, const char *call_id)
{
	entry *e = g->calls;

	while (e != NULL && strcmp(e->call.id, call_id) != 0)
		e = e->next;
	return e;
}

static void happened(const rco_event *event, void *user_data)
{
	gateway *g = user_data;
	entry *e;

	if (event->type == RCO_EVENT_ESCALATED || event->type == RCO_EVENT_VERIFIED ||
	    event->type == RCO_EVENT_STOP_FAILED)
		note(event->call_id, rco_event_name(event->type), event->message);
	if (event->type != RCO_EVENT_OPTED_OUT && event->type != RCO_EVENT_STOPPED)
		return;
	(void)pthread_mutex_lock(&g->lock);
	e = find(g, event->call_id);
	if (e != NULL)
		atomic_store(&e->opted_out, 1);
	(void)pthread_mutex_unlock(&g->lock);
	wake(g);
}

static void logged(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)length;
	(void)user_data;
	if (level == RCO_LOG_ERROR)
		(void)fprintf(stderr, "recorders: %s\n", message);
}

/* ---- files ---- */

static int is_known(entry *e, const char *path)
{
	names *n;

	(void)pthread_mutex_lock(&e->g->lock);
	n = e->known;
	while (n != NULL && strcmp(n->path, path) != 0)
		n = n->next;
	(void)pthread_mutex_unlock(&e->g->lock);
	return n != NULL;
}

/* The library is told of each file once; after an objection each time, for then it should not be there. */
static void found(const char *path, void *arg)
{
	entry *e = arg;
	int known = is_known(e, path), rc;
	size_t size = strlen(path) + 1;
	names *n;

	if (known && !atomic_load(&e->opted_out))
		return;
	rc = rco_engine_register_artifact(e->g->engine, e->call.id, RCO_KIND_AUDIO, path, NULL);
	if (rc != RCO_OK && rc != RCO_E_ENDED && rc != RCO_E_NOT_FOUND)
		note(e->call.id, path, rco_error_detail());
	if (rc != RCO_OK || known)
		return;
	n = malloc(sizeof *n + size);
	if (n == NULL)
		return; /* told once more next time */
	memcpy(n->path, path, size);
	(void)pthread_mutex_lock(&e->g->lock);
	n->next = e->known;
	e->known = n;
	(void)pthread_mutex_unlock(&e->g->lock);
}

static void forget(entry *e)
{
	while (e->known != NULL) {
		names *n = e->known;

		e->known = n->next;
		free(n);
	}
	rco_session_free(e->session);
	free(e);
}

static void look_at(entry *e)
{
	const gateway_options *o = &e->g->o;
	char why[WHY_MAX] = "";

	if (e->to_stop && o->adapter->stop(&o->settings, &e->call, why) == RECORDER_STOPPED) {
		e->to_stop = 0;
		atomic_store(&e->stopped, 1);
	} else if (e->to_stop) {
		note(e->call.id, "the recorder has not stopped, and is asked again", why);
	}
	o->adapter->files(&o->settings, &e->call, found, e);
}

/* The one after `e`, which is taken out of the list if nothing can come of it any more. */
static entry *next_of(gateway *g, entry *e, time_t now)
{
	entry *next, **at = &g->calls;
	int over;

	(void)pthread_mutex_lock(&g->lock);
	next = e->next;
	over = e->ended != 0 && !e->ending && atomic_load(&e->stopped) && now - e->ended >= (time_t)g->o.watch_s;
	while (over && *at != e)
		at = &(*at)->next;
	if (over)
		*at = next;
	(void)pthread_mutex_unlock(&g->lock);
	if (over)
		forget(e);
	return next;
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
		(void)pthread_mutex_lock(&g->lock);
		e = g->calls;
		(void)pthread_mutex_unlock(&g->lock);
		while (e != NULL && !atomic_load(&g->closing)) {
			look_at(e);
			e = next_of(g, e, time(NULL));
		}
	}
	return NULL;
}

/* ---- the door ---- */

static void answer_json(char *answer, size_t room, json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	(void)snprintf(answer, room, "%s\n", text != NULL ? text : "{\"ok\":false,\"error\":\"RCO_E_NO_MEMORY\"}");
	free(text);
	json_decref(object);
}

static void answer_code(char *answer, size_t room, int rc, const char *detail)
{
	answer_json(
		answer, room,
		json_pack("{s:b, s:s, s:s}", "ok", rc == RCO_OK, "error", rco_error_name(rc), "detail", detail));
}

static int read_values(rec_call *call, char **rest)
{
	char *word;

	while ((word = strtok_r(NULL, " ", rest)) != NULL) {
		char *is = strchr(word, '=');

		if (is == NULL || call->n == VALUES_MAX || (size_t)(is - word) >= sizeof call->given[0].key ||
		    strlen(is + 1) >= VALUE_MAX)
			return -1;
		*is = '\0';
		(void)snprintf(call->given[call->n].key, sizeof call->given[0].key, "%s", word);
		(void)snprintf(call->given[call->n].value, VALUE_MAX, "%s", is + 1);
		call->n++;
	}
	return 0;
}

/* The session of a call that is being recorded already. */
static int begin(entry *e)
{
	static const rco_recorder_ops ops = {
		.struct_size = (uint32_t)sizeof ops, .start = recorder_start, .stop = recorder_stop};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o,
	                         .call_id = e->call.id,
	                         .recorder = &ops,
	                         .recorder_user_data = e};
	int rc = rco_session_create(e->g->engine, &o, &e->session);

	if (rc != RCO_OK)
		return rc;
	rc = rco_session_start(e->session);
	if (rc != RCO_E_OPTED_OUT)
		return rc;
	atomic_store(&e->opted_out, 1);
	e->to_stop = 1;
	return RCO_OK;
}

static void do_start(gateway *g, const char *call_id, char **rest, char *answer, size_t room)
{
	const char *missing = NULL;
	entry *e = calloc(1, sizeof *e);
	int rc;

	if (e == NULL || strlen(call_id) > ID_MAX || read_values(&e->call, rest) != 0) {
		free(e);
		answer_code(answer, room, RCO_E_INVALID, "start CALL-ID [KEY=VALUE]...");
		return;
	}
	e->g = g;
	(void)snprintf(e->call.id, sizeof e->call.id, "%s", call_id);
	if (g->o.adapter->check_call != NULL)
		missing = g->o.adapter->check_call(&g->o.settings, &e->call);
	rc = missing != NULL ? RCO_E_INVALID : begin(e);
	if (rc != RCO_OK) {
		answer_code(answer, room, rc, missing != NULL ? missing : rco_error_detail());
		rco_session_free(e->session);
		free(e);
		return;
	}
	(void)pthread_mutex_lock(&g->lock);
	e->next = g->calls;
	g->calls = e;
	(void)pthread_mutex_unlock(&g->lock);
	wake(g);
	answer_code(answer, room, RCO_OK, "");
}

static void do_opt_out(gateway *g, const char *call_id, char *answer, size_t room)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .source = "gateway"};
	char sentence[1024] = "";
	rco_receipt *r = NULL;
	int rc = rco_opt_out_call(g->engine, call_id, &o, &r);
	uint32_t status = rco_receipt_status(r);

	(void)rco_sentence_get(NULL, g->o.language, rco_sentence_for(rc, status), NULL, sentence, sizeof sentence,
	                       NULL);
	answer_json(answer, room,
	            json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", r != NULL, "error", rco_error_name(rc), "status",
	                      rco_status_name(status), "sentence", sentence, "receipt",
	                      r != NULL ? rco_receipt_id(r) : ""));
	rco_receipt_free(r);
}

static void do_end(gateway *g, const char *call_id, char *answer, size_t room)
{
	int rc = RCO_E_NOT_FOUND;
	entry *e;

	(void)pthread_mutex_lock(&g->lock);
	e = find(g, call_id); /* the newest of that id */
	if (e != NULL)
		e->ending = 1;
	(void)pthread_mutex_unlock(&g->lock);
	if (e != NULL) {
		rc = rco_session_end(e->session);
		(void)pthread_mutex_lock(&g->lock);
		e->ending = 0;
		if (e->ended == 0)
			e->ended = time(NULL);
		(void)pthread_mutex_unlock(&g->lock);
	}
	answer_code(answer, room, rc, rc == RCO_E_NOT_FOUND ? "no start of this call has come" : "");
}

void gateway_line(gateway *g, char *line, char *answer, size_t room)
{
	char *rest = NULL, *what, *call_id;

	line[strcspn(line, "\r\n")] = '\0';
	what = strtok_r(line, " ", &rest);
	call_id = what != NULL ? strtok_r(NULL, " ", &rest) : NULL;
	if (call_id == NULL)
		answer_code(answer, room, RCO_E_INVALID, "start, opt-out or end, and a CALL-ID");
	else if (strcmp(what, "start") == 0)
		do_start(g, call_id, &rest, answer, room);
	else if (strcmp(what, "opt-out") == 0)
		do_opt_out(g, call_id, answer, room);
	else if (strcmp(what, "end") == 0)
		do_end(g, call_id, answer, room);
	else
		answer_code(answer, room, RCO_E_INVALID, "start, opt-out or end");
}

/* ---- open and close ---- */

static int open_engine(gateway *g)
{
	rco_engine_config cfg = {.struct_size = (uint32_t)sizeof cfg,
	                         .state_dir = g->o.state,
	                         .output_dir = g->o.output,
	                         .opt_out_enabled = 1,
	                         .window_ms = g->o.window_ms,
	                         .deletion = &deletion,
	                         .deletion_user_data = g,
	                         .log = logged,
	                         .event = happened,
	                         .event_user_data = g};
	rco_control_options co = {.struct_size = (uint32_t)sizeof co, .path = g->o.control};
	int rc = rco_engine_create(&cfg, &g->engine);

	if (rc == RCO_OK && g->o.control != NULL)
		rc = rco_control_open(g->engine, &co, &g->control);
	return rc;
}

gateway *gateway_open(const gateway_options *options)
{
	gateway *g = calloc(1, sizeof *g);
	int rc = RCO_E_NO_MEMORY;

	if (g == NULL)
		return NULL;
	g->o = *options;
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake >= 0 && pthread_mutex_init(&g->lock, NULL) == 0)
		rc = open_engine(g);
	if (rc == RCO_OK && pthread_create(&g->watcher, NULL, watch, g) != 0)
		rc = RCO_E_NO_MEMORY;
	if (rc == RCO_OK) {
		g->watches = 1;
		return g;
	}
	(void)fprintf(stderr, "recorders: %s: %s\n", rco_strerror(rc), rco_error_detail());
	gateway_close(g);
	return NULL;
}

/* Calls that go on are neither ended nor stopped: the server records on, and says `start` again to the next
 * gateway. */
void gateway_close(gateway *g)
{
	atomic_store(&g->closing, 1);
	wake(g);
	if (g->watches)
		(void)pthread_join(g->watcher, NULL);
	rco_control_close(g->control);
	rco_engine_free(g->engine);
	while (g->calls != NULL) {
		entry *e = g->calls;

		g->calls = e->next;
		forget(e);
	}
	if (g->wake >= 0)
		(void)close(g->wake);
	free(g);
}
