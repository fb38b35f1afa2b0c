/* SPDX-License-Identifier: MIT */
/*
 * The library in libre's event loop: no thread of its own. Its descriptor is polled beside the sockets, and it
 * runs when that is readable or its time has come.
 */
#include "recorder.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct news {
	struct news *next;
	uint32_t type;
	char call_id[RCO_CALL_ID_MAX + 1];
	char message[256];
} news;

static void run(void *arg)
{
	engine_run(arg);
}

void engine_run(server *s)
{
	uint32_t next_ms = 0;
	int32_t fd;

	(void)rco_engine_run(s->engine, 0, 0);
	if (rco_engine_poll(s->engine, &fd, &next_ms) != RCO_OK)
		next_ms = 1000;
	s->due_us = now_us() + next_ms * UINT64_C(1000);
	tmr_start(&s->due, next_ms, run, s);
}

static void readable(int flags, void *arg)
{
	(void)flags;
	run(arg);
}

void engine_soon(server *s)
{
	s->due_us = 0;
	tmr_start(&s->due, 0, run, s);
}

/* ---- events ---- */

static int is_for_the_log(uint32_t type)
{
	switch (type) {
	case RCO_EVENT_STOP_FAILED:
	case RCO_EVENT_NOT_DURABLE:
	case RCO_EVENT_DURABLE:
	case RCO_EVENT_ERASE_RETRY:
	case RCO_EVENT_ERASED:
	case RCO_EVENT_VERIFIED:
	case RCO_EVENT_ESCALATED:
	case RCO_EVENT_STORED:
	case RCO_EVENT_UPLOAD_RETRY:
	case RCO_EVENT_BUFFER_RETRY:
	case RCO_EVENT_OVERFLOW:
	case RCO_EVENT_RECOVERED:
	case RCO_EVENT_QUARANTINED:
		return 1;
	default:
		return 0;
	}
}

/* Any thread: only hands it over. */
static void happened(const rco_event *event, void *arg)
{
	server *s = arg;
	news *n = calloc(1, sizeof *n);

	if (n == NULL)
		return; /* a line of the log is lost, and a peer is told later; the engine's own work is not
		           touched */
	n->type = event->type;
	(void)snprintf(n->call_id, sizeof n->call_id, "%s", event->call_id);
	(void)snprintf(n->message, sizeof n->message, "%s", event->message);
	(void)pthread_mutex_lock(&s->news_lock);
	*s->news_end = n;
	s->news_end = &n->next;
	(void)pthread_mutex_unlock(&s->news_lock);
	(void)mqueue_push(s->wake, 0, NULL);
}

static news *take_news(server *s)
{
	news *first;

	(void)pthread_mutex_lock(&s->news_lock);
	first = s->news;
	s->news = NULL;
	s->news_end = &s->news;
	(void)pthread_mutex_unlock(&s->news_lock);
	return first;
}

static void tell(server *s, const news *n)
{
	call *c = server_find(s, n->call_id);

	if (is_for_the_log(n->type))
		say(s, "%s: %s%s%s", n->call_id, rco_event_name(n->type), n->message[0] != '\0' ? ": " : "",
		    n->message);
	s->opted_out += n->type == RCO_EVENT_OPTED_OUT;
	s->stored += n->type == RCO_EVENT_STORED;
	if (c != NULL && n->type == RCO_EVENT_STOPPED)
		call_play(c, &s->confirmation);
	if (c != NULL)
		call_changed(c);
}

static void tell_all(server *s)
{
	news *n = take_news(s), *next;

	for (; n != NULL; n = next) {
		next = n->next;
		tell(s, n);
		free(n);
	}
}

static void woken(int id, void *data, void *arg)
{
	(void)id;
	(void)data;
	tell_all(arg);
}

static void logged(uint32_t level, const char *message, size_t length, void *arg)
{
	(void)length;
	(void)arg;
	if (level <= RCO_LOG_WARN)
		complain("%s", message);
}

/* ---- open and close ---- */

static int open_control(server *s)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o, .path = s->o.control};

	return s->o.control != NULL ? rco_control_open(s->engine, &o, &s->control) : RCO_OK;
}

int engine_open(server *s)
{
	rco_engine_config cfg = {.struct_size = (uint32_t)sizeof cfg,
	                         .flags = RCO_ENGINE_HOST_DRIVEN,
	                         .state_dir = s->o.state,
	                         .output_dir = s->o.output,
	                         .opt_out_enabled = (uint32_t)s->o.opt_out,
	                         .late_opt_out_ms = s->o.late_opt_out_ms,
	                         .export_layout = s->o.stereo ? RCO_LAYOUT_STEREO : RCO_LAYOUT_DEFAULT,
	                         .log = logged,
	                         .event = happened,
	                         .event_user_data = s};
	uint32_t ms;
	int32_t fd;
	int rc, err;

	tmr_init(&s->due);
	s->news_end = &s->news;
	err = pthread_mutex_init(&s->news_lock, NULL);
	if (err == 0)
		err = mqueue_alloc(&s->wake, woken, s);
	if (err != 0)
		return err;
	rc = rco_engine_create(&cfg, &s->engine);
	if (rc == RCO_OK)
		rc = open_control(s);
	if (rc == RCO_OK)
		rc = rco_engine_poll(s->engine, &fd, &ms);
	if (rc != RCO_OK) {
		complain("%s: %s", rco_strerror(rc), rco_error_detail());
		return EINVAL;
	}
	err = fd_listen(fd, FD_READ, readable, s);
	engine_soon(s);
	return err;
}

/* Recordings wait for their window; a server that does not, leaves them to the next start. */
static void linger(server *s)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	uint32_t waited;

	for (waited = 0;; waited += 1000) {
		if (rco_engine_get_stats(s->engine, &st) != RCO_OK ||
		    st.uploads_pending + st.erasures_pending == 0)
			return;
		say(s, "%llu to be stored, %llu to be erased%s", (unsigned long long)st.uploads_pending,
		    (unsigned long long)st.erasures_pending,
		    waited >= s->o.linger_ms ? ": the next start goes on with that" : "");
		if (waited >= s->o.linger_ms || rco_engine_wait_idle(s->engine, 1000) == RCO_OK)
			return;
	}
}

void engine_close(server *s)
{
	uint32_t ms;
	int32_t fd;

	rco_control_close(s->control);
	if (s->engine != NULL) {
		linger(s);
		if (rco_engine_poll(s->engine, &fd, &ms) == RCO_OK)
			fd_close(fd);
	}
	tmr_cancel(&s->due);
	rco_engine_free(s->engine);
	s->wake = mem_deref(s->wake);
	tell_all(s); /* what came while it closed */
}
