/* SPDX-License-Identifier: MIT */
/* The clerk: requests that wait for a disk, or for an erasure. */
#include "control.h"

#include <stdlib.h>
#include <time.h>

void rco__jobs_init(rco__jobs *jobs)
{
	jobs->first = NULL;
	jobs->last = &jobs->first;
}

void rco__jobs_add(rco__jobs *jobs, rco__job *job)
{
	job->next = NULL;
	*jobs->last = job;
	jobs->last = &job->next;
}

rco__job *rco__jobs_take(rco__jobs *jobs)
{
	rco__job *job = jobs->first;

	if (job != NULL) {
		jobs->first = job->next;
		if (jobs->first == NULL)
			jobs->last = &jobs->first;
	}
	return job;
}

void rco__job_free(rco__job *job)
{
	json_decref(job->request);
	free(job->answer);
	free(job);
}

static void hand_back(rco_control *control, rco__job *job)
{
	(void)pthread_mutex_lock(&control->lock);
	rco__jobs_add(&control->done, job);
	(void)pthread_mutex_unlock(&control->lock);
	rco__control_wake(control);
}

static void begin(rco_control *control, rco__job *job, rco__jobs *waiting)
{
	job->code = rco__request_do(control, job->request, &job->answer);
	if (job->answer != NULL || rco__request_wait_ms(job->request) == 0) {
		hand_back(control, job);
		return;
	}
	job->deadline_us = rco__control_now() + (int64_t)rco__request_wait_ms(job->request) * 1000;
	rco__jobs_add(waiting, job);
}

/* Those whose status has come, or whose time is up. Returns the earliest deadline of the others, 0 without any. */
static int64_t look_at_waiting(rco_control *control, rco__jobs *waiting)
{
	int64_t now = rco__control_now(), next = 0;
	rco__jobs still;
	rco__job *job;

	rco__jobs_init(&still);
	while ((job = rco__jobs_take(waiting)) != NULL) {
		if (now >= job->deadline_us || rco__request_reached(control, job->request)) {
			job->answer = rco__request_finish(control, job->request, job->code);
			hand_back(control, job);
			continue;
		}
		if (next == 0 || job->deadline_us < next)
			next = job->deadline_us;
		rco__jobs_add(&still, job);
	}
	*waiting = still;
	if (still.first == NULL)
		rco__jobs_init(waiting);
	return next;
}

/* lock held */
static void wait_for_work(rco_control *control, int64_t until_us)
{
	struct timespec t = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};

	if (until_us == 0)
		(void)pthread_cond_wait(&control->work, &control->lock);
	else
		(void)pthread_cond_timedwait(&control->work, &control->lock, &t);
}

void *rco__clerk(void *arg)
{
	rco_control *control = arg;
	uint32_t seen = 0;
	rco__jobs waiting;
	int64_t until = 0;
	rco__job *job;

	rco__jobs_init(&waiting);
	(void)pthread_mutex_lock(&control->lock);
	while (!control->stopping) {
		job = rco__jobs_take(&control->todo);
		if (job == NULL && seen == control->changes && (until == 0 || rco__control_now() < until)) {
			wait_for_work(control, until);
			continue;
		}
		seen = control->changes;
		(void)pthread_mutex_unlock(&control->lock);
		if (job != NULL)
			begin(control, job, &waiting);
		until = look_at_waiting(control, &waiting);
		(void)pthread_mutex_lock(&control->lock);
	}
	(void)pthread_mutex_unlock(&control->lock);
	while ((job = rco__jobs_take(&waiting)) != NULL)
		rco__job_free(job);
	return NULL;
}
