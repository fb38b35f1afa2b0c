/* SPDX-License-Identifier: MIT */
/*
 * What a child of the host would keep open after fork(): the socket, so that clients of a dead engine could still
 * connect and wait for answers that nobody gives, and connections, so that clients would not notice that it is
 * dead. exec() closes them; a child that does without it does so here, before it does anything else.
 *
 * A number that the io thread has closed may be another file's by then. So descriptors are opened and closed, and
 * written down, under a lock that fork() takes.
 */
#include "control.h"

#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static rco_control *all;

void rco__fork_hold(void)
{
	(void)pthread_mutex_lock(&lock);
}

void rco__fork_go(void)
{
	(void)pthread_mutex_unlock(&lock);
}

static void let_go(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void in_child(void)
{
	rco_control *control;
	uint32_t i;

	for (control = all; control != NULL; control = control->next) {
		let_go(&control->listen_fd);
		let_go(&control->coming_fd);
		for (i = 0; i < control->max_clients + RCO__LEAVING_MAX; i++)
			let_go(&control->clients[i].fd);
	}
	all = NULL; /* they are the parent's */
	(void)pthread_mutex_unlock(&lock);
}

/* Without memory for it a child keeps what it has, as it did without this. */
static void prepare(void)
{
	(void)pthread_atfork(rco__fork_hold, rco__fork_go, in_child);
}

void rco__fork_add(rco_control *control)
{
	(void)pthread_once(&once, prepare);
	rco__fork_hold();
	control->next = all;
	all = control;
	rco__fork_go();
}

void rco__fork_remove(rco_control *control)
{
	rco_control **at = &all;

	rco__fork_hold();
	while (*at != NULL && *at != control)
		at = &(*at)->next;
	if (*at != NULL)
		*at = control->next;
	rco__fork_go();
}
