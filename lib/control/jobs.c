/* SPDX-License-Identifier: MIT */
/* Job threads: some wait for a recorder, and others for a disk, so that nobody else does, nor a stop for a disk;
 * and what all of the socket's threads need: the time, and to wake the io thread. */
#include "control.h"

#include "../base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int64_t rco__control_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void rco__control_wake(rco_control *control)
{
	static const uint64_t one = 1;

	/* It can only fail when it was woken 2^64 times without looking. */
	while (write(control->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

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
	rco__request_free(job->request);
	free(job->answer);
	free(job);
}

static void put_on(rco__job_threads *of, rco__job *job)
{
	rco__jobs_add(&of->todo, job);
	of->n_todo++;
	(void)pthread_cond_signal(&of->work);
}

static void work_at(rco_control *control, rco__job_threads *of)
{
	rco__job *job;

	(void)pthread_mutex_lock(&control->lock);
	while (!control->stopping) {
		job = rco__jobs_take(&of->todo);
		if (job == NULL) {
			of->resting++;
			(void)pthread_cond_wait(&of->work, &control->lock);
			of->resting--;
			continue;
		}
		of->n_todo--;
		(void)pthread_mutex_unlock(&control->lock);
		(of == &control->stops ? rco__request_stop : rco__request_do)(control, job->request,
		                                                              &job->outcome);
		(void)pthread_mutex_lock(&control->lock);
		if (of == &control->stops)
			put_on(&control->commits, job);
		else
			rco__jobs_add(&control->done, job);
		rco__control_wake(control);
	}
	(void)pthread_mutex_unlock(&control->lock);
}

void rco__control_thread(rco_control *control, const char *name, void (*work)(rco_control *control))
{
	rco__thread_hook hook = {.fn = control->thread, .user_data = control->thread_user_data};

	(void)snprintf(hook.name, sizeof hook.name, "%s", name);
	rco__thread_begins(&hook);
	pthread_cleanup_push(rco__thread_ends, &hook);
	work(control);
	pthread_cleanup_pop(1);
}

static void stop_recorders(rco_control *control)
{
	work_at(control, &control->stops);
}

static void commit(rco_control *control)
{
	work_at(control, &control->commits);
}

static void *stopper(void *control)
{
	rco__control_thread(control, "rco-ctl-stop", stop_recorders);
	return NULL;
}

static void *committer(void *control)
{
	rco__control_thread(control, "rco-ctl-commit", commit);
	return NULL;
}

/* Without a further thread the jobs wait for those that there are. */
static void start_at(rco_control *control, rco__job_threads *of, void *(*job_thread)(void *control))
{
	int busy;

	(void)pthread_mutex_lock(&control->lock);
	busy = of->n_todo > of->resting;
	(void)pthread_mutex_unlock(&control->lock);
	if (busy && of->n_threads < of->most &&
	    rco__thread_start(&of->threads[of->n_threads], job_thread, control) == 0)
		of->n_threads++;
}

void rco__job_threads_start(rco_control *control)
{
	start_at(control, &control->stops, stopper);
	start_at(control, &control->commits, committer);
}

void rco__job_threads_give(rco_control *control, rco__job *job)
{
	const int asks = rco__request_asks(control, job->request);

	(void)pthread_mutex_lock(&control->lock);
	put_on(asks ? &control->stops : &control->commits, job);
	(void)pthread_mutex_unlock(&control->lock);
	rco__job_threads_start(control);
}

void rco__job_threads_stop(rco_control *control)
{
	(void)pthread_cond_broadcast(&control->stops.work);
	(void)pthread_cond_broadcast(&control->commits.work);
}

void rco__job_threads_join(rco_control *control)
{
	uint32_t i;

	for (i = 0; i < control->stops.n_threads; i++)
		(void)pthread_join(control->stops.threads[i], NULL);
	for (i = 0; i < control->commits.n_threads; i++)
		(void)pthread_join(control->commits.threads[i], NULL);
}
