/* SPDX-License-Identifier: MIT */
/* What comes to the io thread from the job threads and from the engine, and goes on to clients. */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rco__client_of *client_of(rco_control *control, const rco__job *job)
{
	rco__client_of *c = &control->clients[job->client];

	return c->fd >= 0 && c->generation == job->generation ? c : NULL;
}

/* Takes the job. */
static void finish_job(rco_control *control, rco__job *job)
{
	rco__client_of *c = client_of(control, job);

	if (c == NULL) {
		rco__job_free(job);
		return;
	}
	job->answer = rco__request_finish(control, job->request, &job->outcome);
	if (!rco__client_answer(c, job))
		rco__client_forget(control, c);
}

static void start_waiting(rco_control *control, rco__job *job)
{
	job->deadline_us = 0;
	if (client_of(control, job)->jobs < RCO__JOBS_MAX)
		job->deadline_us = rco__control_now() + (int64_t)rco__request_wait_ms(job->request) * 1000;
	job->look = 1; /* it may have happened already */
	(void)pthread_mutex_lock(&control->lock);
	rco__jobs_add(&control->waiting, job);
	(void)pthread_mutex_unlock(&control->lock);
}

void rco__deliver_done(rco_control *control)
{
	rco__job *job, *next;

	(void)pthread_mutex_lock(&control->lock);
	job = control->done.first;
	rco__jobs_init(&control->done);
	(void)pthread_mutex_unlock(&control->lock);
	for (; job != NULL; job = next) {
		next = job->next;
		if (job->outcome.code >= 0 && job->outcome.reason == RCO_OK &&
		    rco__request_wait_ms(job->request) > 0 && client_of(control, job) != NULL)
			start_waiting(control, job);
		else
			finish_job(control, job);
	}
}

/*
 * Those whose call something happened to, whose time is up, or whose client went
 * away are told by `due`. Nobody else takes jobs out of the list, but events look
 * through it meanwhile. Returns the earliest deadline of the others; INT64_MAX
 * without any.
 */
static int64_t find_due(rco_control *control, rco__job **due)
{
	int64_t now = rco__control_now(), next = INT64_MAX;
	rco__job *job;

	*due = NULL;
	(void)pthread_mutex_lock(&control->lock);
	for (job = control->waiting.first; job != NULL; job = job->next) {
		job->over = now >= job->deadline_us || client_of(control, job) == NULL;
		if (job->over || job->look) {
			job->look = 0;
			job->due = *due;
			*due = job;
		}
		if (!job->over && job->deadline_us < next)
			next = job->deadline_us;
	}
	(void)pthread_mutex_unlock(&control->lock);
	return next;
}

static rco__jobs take_over(rco_control *control)
{
	rco__jobs still, over;
	rco__job *job;

	rco__jobs_init(&over);
	(void)pthread_mutex_lock(&control->lock);
	still = control->waiting;
	if (still.first == NULL)
		rco__jobs_init(&still);
	rco__jobs_init(&control->waiting);
	while ((job = rco__jobs_take(&still)) != NULL)
		rco__jobs_add(job->over ? &over : &control->waiting, job);
	(void)pthread_mutex_unlock(&control->lock);
	return over;
}

int64_t rco__look_at_waiting(rco_control *control)
{
	rco__job *due, *job;
	int64_t next = find_due(control, &due);
	rco__jobs over;
	int any = 0;

	for (job = due; job != NULL; job = job->due) {
		job->over = job->over || rco__request_reached(control, job->request);
		any |= job->over;
	}
	if (!any)
		return next;
	over = take_over(control);
	for (job = over.first; job != NULL; job = due) {
		due = job->next;
		finish_job(control, job);
	}
	return next;
}

/* To those who want it; to all who want any, if it is about no call and they have to know. */
static void deliver_news(rco_control *control, const rco__news *news, int all)
{
	uint32_t i;

	for (i = 0; i < control->max_clients; i++) {
		rco__client_of *c = &control->clients[i];

		if (c->fd < 0 || !c->wants_events || c->closing ||
		    (!all && c->call_id[0] != '\0' && strcmp(c->call_id, news->call_id) != 0))
			continue;
		if (!rco__client_say(c, strdup(news->line)))
			rco__client_forget(control, c);
	}
}

static void deliver_lost(rco_control *control, uint64_t count)
{
	char line[64];
	const rco__news lost = {.line = line};

	(void)snprintf(line, sizeof line, "{\"event\":\"lost\",\"count\":%llu}\n", (unsigned long long)count);
	deliver_news(control, &lost, 1);
}

void rco__deliver_events(rco_control *control)
{
	rco__news *news, *next;
	uint64_t missing;

	(void)pthread_mutex_lock(&control->lock);
	news = control->news;
	control->news = NULL;
	control->news_last = &control->news;
	control->news_count = 0;
	missing = control->news_lost;
	control->news_lost = 0;
	(void)pthread_mutex_unlock(&control->lock);
	for (; news != NULL; news = next) {
		next = news->next;
		deliver_news(control, news, 0);
		free(news->line);
		free(news);
	}
	if (missing > 0)
		deliver_lost(control, missing);
}
