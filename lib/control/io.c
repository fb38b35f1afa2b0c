/* SPDX-License-Identifier: MIT */
/* The io thread: who gets in, and who has their turn. */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_AT_ONCE = 8 };

/* ---- getting in ---- */

static void spare(rco_control *control)
{
	rco__fork_hold();
	if (control->spare_fd < 0)
		control->spare_fd = fcntl(control->wake_fd, F_DUPFD_CLOEXEC, 0);
	rco__fork_go();
}

/* Into coming_fd; as accept(2). */
static int come(rco_control *control)
{
	int err;

	rco__fork_hold();
	control->coming_fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	err = errno;
	rco__fork_go();
	errno = err;
	return control->coming_fd;
}

static void sit_down(rco_control *control, uid_t uid)
{
	rco__client_of *c = rco__place_for(control, uid);

	if (c->fd >= 0)
		rco__client_leave(control, c);
	rco__fork_hold();
	c->fd = control->coming_fd;
	control->coming_fd = -1;
	rco__fork_go();
	c->uid = uid;
	c->asked_us = rco__control_now();
	/* What it has to say it may have said already, and is heard before anybody takes its place. */
	if (!rco__client_serve(control, c, POLLIN))
		rco__client_forget(control, c);
}

/* No more descriptors: the spare one is for somebody who has to be heard; then somebody has to go. 0: nothing can
 * be done for now. */
static int find_descriptor(rco_control *control)
{
	rco__client_of *c = NULL;

	if (control->spare_fd < 0)
		c = rco__leaving_any(control);
	if (control->spare_fd < 0 && c == NULL)
		c = rco__place_least(control);
	if (c != NULL)
		rco__client_dismiss(control, c); /* whose descriptor is the spare one now */
	if (control->spare_fd < 0)
		return 0;
	rco__fork_hold();
	(void)close(control->spare_fd);
	control->spare_fd = -1;
	rco__fork_go();
	return 1;
}

/*
 * A client that needs another's place, or descriptor, comes first after a look at everybody: it is served before
 * others come, so what was there before it came has been seen. Nobody has to go for one who has gone, nor after
 * asking for something that was not read yet.
 */
static void let_in(rco_control *control)
{
	int n = 0, found = 0;

	while (n == 0 || (n < ACCEPT_AT_ONCE && rco__place_is_free(control))) {
		int fd = come(control);
		uid_t uid;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && n > 0)
			return;
		if (fd < 0) {
			if (!found++ && find_descriptor(control))
				continue;
			control->accept_after_us = rco__control_now() + 50000;
			return;
		}
		n++;
		if (rco__place_allowed(control, fd, &uid))
			sit_down(control, uid);
		else
			rco__descriptor_close(control, &control->coming_fd);
	}
}

/* The socket is closed: who had connected is heard, and everybody goes. */
static void turn_out(rco_control *control)
{
	uint32_t i;

	for (i = 0; i < RCO__BACKLOG; i++) {
		int fd = come(control);
		uid_t uid;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && (errno == EAGAIN || !find_descriptor(control)))
			break;
		if (fd >= 0 && rco__place_allowed(control, fd, &uid))
			sit_down(control, uid);
		else if (fd >= 0)
			rco__descriptor_close(control, &control->coming_fd);
	}
	(void)shutdown(control->listen_fd, SHUT_RDWR); /* whatever child of the host has it */
	for (i = 0; i < control->max_clients + RCO__LEAVING_MAX; i++)
		if (control->clients[i].fd >= 0)
			rco__client_dismiss(control, &control->clients[i]);
}

/* ---- waiting ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When it is too late: for half a line, or an unread answer. A client with nothing open may stay silent. */
static int64_t deadline_of(const rco_control *control, const rco__client_of *c)
{
	int64_t until = INT64_MAX;

	if (c->reader != NULL && rco__client_may_read(c))
		until = c->line_us + control->idle_us;
	if (c->out_done < c->out_size)
		until = earlier(until, c->mark_us + control->idle_us);
	return until;
}

static void prepare_client(rco_control *control, uint32_t i, rco__polled *p)
{
	rco__client_of *c = &control->clients[i];
	int64_t until;

	if (c->fd < 0)
		return;
	until = deadline_of(control, c);
	if (until <= rco__control_now()) {
		if (rco__leaving_has_room(control)) /* else with the next turn: many may be late at once */
			rco__client_leave(control, c);
		p->until_us = 0;
		return;
	}
	p->until_us = earlier(p->until_us, rco__client_has_more(c) ? 0 : until);
	p->whose[p->n] = i;
	p->fds[p->n++] = (struct pollfd){
		.fd = c->fd,
		.events = (short)((rco__client_may_read(c) && !rco__client_has_more(c) ? POLLIN : 0) |
	                          (c->out_done < c->out_size ? POLLOUT : 0))};
}

static void prepare(rco_control *control, rco__polled *p)
{
	const int64_t now = rco__control_now();
	uint32_t i;

	p->n = 2;
	p->fds[0] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
	p->fds[1] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
	if (control->accept_after_us > now) {
		p->fds[1].fd = -1;
		p->until_us = earlier(p->until_us, control->accept_after_us);
	}
	for (i = 0; i < control->max_clients; i++)
		prepare_client(control, i, p);
}

static int timeout_of(int64_t until_us)
{
	const int64_t left = until_us == INT64_MAX ? -1 : until_us - rco__control_now();

	if (until_us == INT64_MAX)
		return -1;
	return left <= 0 ? 0 : left > 3600000000 ? 3600000 : (int)(left / 1000 + 1);
}

/* With more descriptors than the limit is now (setrlimit(2)) poll() serves nobody; with fewer it does. */
static void fewer(rco_control *control)
{
	rco__client_of *c = rco__place_least(control);

	if (errno == EINVAL && c != NULL)
		rco__client_dismiss(control, c);
	else
		(void)poll(NULL, 0, 10); /* no memory in the kernel */
}

static int stopping(rco_control *control)
{
	int stop;

	(void)pthread_mutex_lock(&control->lock);
	stop = control->stopping;
	(void)pthread_mutex_unlock(&control->lock);
	return stop;
}

static void serve_all(rco_control *control, const rco__polled *p)
{
	uint64_t woken;
	nfds_t i;

	if (p->fds[0].revents & POLLIN)
		while (read(control->wake_fd, &woken, sizeof woken) < 0 && errno == EINTR)
			;
	rco__job_threads_start(control); /* for what has gone from the ones to the others */
	rco__deliver_done(control);
	rco__deliver_events(control);
	for (i = 2; i < p->n; i++) {
		rco__client_of *c = &control->clients[p->whose[i]];

		if (c->fd == p->fds[i].fd && !rco__client_serve(control, c, p->fds[i].revents))
			rco__client_forget(control, c);
	}
	if (p->fds[1].revents & POLLIN)
		let_in(control);
	if (rco__leaving_serve(control))
		rco__control_wake(control); /* to go on with it at once */
	spare(control);
}

static void serve_until_stopped(rco_control *control)
{
	rco__polled *p = control->polled;

	spare(control);
	while (!stopping(control)) {
		p->until_us = rco__look_at_waiting(control);
		prepare(control, p);
		if (poll(p->fds, p->n, timeout_of(p->until_us)) >= 0)
			serve_all(control, p);
		else if (errno != EINTR)
			fewer(control);
	}
	turn_out(control);
}

void *rco__io_thread(void *control)
{
	rco__control_thread(control, "rco-ctl-io", serve_until_stopped);
	return NULL;
}
