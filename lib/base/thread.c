/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <signal.h>

static int set_stack(pthread_attr_t *attr)
{
	size_t size = 0;
	int err = pthread_attr_getstacksize(attr, &size);

	/* More, if the host's default is more: its backends may rely on that. */
	return err == 0 && size < RCO__STACK ? pthread_attr_setstacksize(attr, RCO__STACK) : err;
}

int rco__thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return err;
	err = set_stack(&attr);
	if (err == 0) {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		err = pthread_create(thread, &attr, fn, arg);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	(void)pthread_attr_destroy(&attr);
	return err;
}

void rco__thread_begins(const rco__thread_hook *hook)
{
	(void)pthread_setname_np(pthread_self(), hook->name);
	if (hook->fn != NULL)
		hook->fn(hook->name, 1, hook->user_data);
}

void rco__thread_ends(void *hook)
{
	const rco__thread_hook *h = hook;

	if (h->fn != NULL)
		h->fn(h->name, 0, h->user_data);
}

struct timespec rco__deadline_in(uint32_t ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

int rco__deadline_past(const struct timespec *t)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}
