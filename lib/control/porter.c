/* SPDX-License-Identifier: MIT */
/* The porter: who gets in, what they say, and what goes back to them. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_AT_ONCE = 16384, LINES_AT_ONCE = 16 };

static void forget(rco_control *control, rco__client_of *c)
{
	(void)close(c->fd);
	if (c->wants_events)
		(void)atomic_fetch_sub(&control->subscribers, 1);
	free(c->in);
	free(c->out);
	*c = (rco__client_of){.fd = -1, .generation = c->generation + 1};
}

void rco__clients_close(rco_control *control)
{
	uint32_t i;

	for (i = 0; i < control->max_clients; i++)
		if (control->clients[i].fd >= 0)
			forget(control, &control->clients[i]);
}

/* ---- getting in ---- */

static int allowed(const rco_control *control, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	size_t i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer)
		return 0;
	if (peer.uid == geteuid() || peer.uid == 0)
		return 1;
	for (i = 0; i < control->n_uids; i++)
		if (peer.uid == control->uids[i])
			return 1;
	return 0;
}

static int is_idle(const rco__client_of *c)
{
	return !c->busy && !c->wants_events && c->in_size == 0 && c->out_size == c->out_done;
}

/* A free place; if there is none, that of whoever has been silent longest. */
static rco__client_of *find_place(rco_control *control)
{
	rco__client_of *silent = NULL;
	uint32_t i;

	for (i = 0; i < control->max_clients; i++) {
		rco__client_of *c = &control->clients[i];

		if (c->fd < 0)
			return c;
		if (is_idle(c) && (silent == NULL || c->moved_us < silent->moved_us))
			silent = c;
	}
	if (silent != NULL)
		forget(control, silent);
	return silent;
}

static void let_in(rco_control *control)
{
	for (;;) {
		int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		rco__client_of *c;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return; /* nobody more; or too many descriptors, and then later */
		c = allowed(control, fd) ? find_place(control) : NULL;
		if (c == NULL) {
			(void)close(fd);
			continue;
		}
		c->fd = fd;
		c->moved_us = rco__control_now();
	}
}

/* ---- writing ---- */

/* Takes the line. 0 if the client is to be closed. */
static int say(rco__client_of *c, char *line)
{
	size_t size = line != NULL ? strlen(line) : 0, need;
	char *more;

	if (c->out_done == c->out_size)
		c->out_done = c->out_size = 0;
	if (size == 0 || c->out_size - c->out_done + size > RCO__UNREAD_MAX) {
		free(line);
		return 0;
	}
	if (c->out_done > 0) {
		memmove(c->out, c->out + c->out_done, c->out_size - c->out_done);
		c->out_size -= c->out_done;
		c->out_done = 0;
	}
	need = c->out_size + size;
	if (need > c->out_room) {
		more = realloc(c->out, need * 2);
		if (more == NULL) {
			free(line);
			return 0;
		}
		c->out = more;
		c->out_room = need * 2;
	}
	if (c->out_size == 0)
		c->moved_us = rco__control_now(); /* the time to read it begins now */
	memcpy(c->out + c->out_size, line, size);
	c->out_size = need;
	free(line);
	return 1;
}

static int write_out(rco__client_of *c)
{
	while (c->out_done < c->out_size) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_size - c->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->out_done += (size_t)n;
		c->moved_us = rco__control_now();
	}
	return !c->closing;
}

/* ---- reading ---- */

static int give_to_clerk(rco_control *control, rco__client_of *c, json_t *request)
{
	rco__job *job = calloc(1, sizeof *job);

	if (job == NULL) {
		json_decref(request);
		return 0;
	}
	job->client = (uint32_t)(c - control->clients);
	job->generation = c->generation;
	job->request = request;
	c->busy = 1;
	(void)pthread_mutex_lock(&control->lock);
	rco__jobs_add(&control->todo, job);
	(void)pthread_cond_signal(&control->work);
	(void)pthread_mutex_unlock(&control->lock);
	return 1;
}

static void subscribe(rco_control *control, rco__client_of *c, const char *call_id)
{
	if (!c->wants_events)
		(void)atomic_fetch_add(&control->subscribers, 1);
	c->wants_events = 1;
	memcpy(c->call_id, call_id, sizeof c->call_id);
}

static int one_line(rco_control *control, rco__client_of *c, const char *line, size_t size)
{
	json_t *request = rco__request_parse(line, size);
	char call_id[256] = "";
	int events = 0, good;

	if (request == NULL) {
		c->closing = 1;
		return say(c, rco__answer_error(NULL, RCO_E_INVALID, "a request is one JSON object in a line"));
	}
	if (rco__request_slow(control, request))
		return give_to_clerk(control, c, request);
	good = say(c, rco__request_answer(control, request, &events, call_id));
	json_decref(request);
	if (good && events)
		subscribe(control, c, call_id);
	return good;
}

/* Whole lines, until one has gone to the clerk. 0: close. */
static int take_lines(rco_control *control, rco__client_of *c)
{
	size_t from = 0;
	int good = 1, lines = 0;

	while (good && !c->busy && !c->closing && lines++ < LINES_AT_ONCE) {
		char *end = memchr(c->in + from, '\n', c->in_size - from);

		if (end == NULL)
			break;
		good = one_line(control, c, c->in + from, (size_t)(end - c->in) - from);
		from = (size_t)(end - c->in) + 1;
	}
	if (from > 0) {
		memmove(c->in, c->in + from, c->in_size - from);
		c->in_size -= from;
	}
	if (good && !c->busy && !c->closing && c->in_size >= RCO_CONTROL_LINE_MAX &&
	    memchr(c->in, '\n', c->in_size) == NULL) {
		c->closing = 1;
		good = say(c, rco__answer_error(NULL, RCO_E_LIMIT, "a request is at most 64 KiB long"));
	}
	return good;
}

static int has_line(const rco__client_of *c)
{
	return c->in_size > 0 && memchr(c->in, '\n', c->in_size) != NULL;
}

static int read_in(rco_control *control, rco__client_of *c)
{
	ssize_t n;

	if (c->in_room - c->in_size < READ_AT_ONCE) {
		char *more = realloc(c->in, c->in_size + READ_AT_ONCE);

		if (more == NULL)
			return 0;
		c->in = more;
		c->in_room = c->in_size + READ_AT_ONCE;
	}
	do
		n = recv(c->fd, c->in + c->in_size, c->in_room - c->in_size, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0) /* it may have said all it had to say, and still be reading */
		return c->busy || c->out_done < c->out_size ? (c->closing = 1) : 0;
	c->in_size += (size_t)n;
	c->moved_us = rco__control_now();
	return take_lines(control, c);
}

/* ---- what comes from the clerk and from the engine ---- */

static void deliver_job(rco_control *control, rco__job *job)
{
	rco__client_of *c = &control->clients[job->client];
	int good;

	if (c->fd >= 0 && c->generation == job->generation) {
		c->busy = 0;
		good = say(c, job->answer);
		job->answer = NULL;
		if (!good || (c->in_size > 0 && !take_lines(control, c)))
			forget(control, c);
	}
	rco__job_free(job);
}

static void deliver_news(rco_control *control, const rco__news *news)
{
	uint32_t i;

	for (i = 0; i < control->max_clients; i++) {
		rco__client_of *c = &control->clients[i];

		if (c->fd < 0 || !c->wants_events || c->closing ||
		    (c->call_id[0] != '\0' && strcmp(c->call_id, news->call_id) != 0))
			continue;
		if (!say(c, strdup(news->line)))
			forget(control, c);
	}
}

static rco__news lost_news(uint64_t count, char line[64])
{
	rco__news lost = {.line = line};

	(void)snprintf(line, 64, "{\"event\":\"lost\",\"count\":%llu}\n", (unsigned long long)count);
	return lost;
}

static void deliver(rco_control *control)
{
	char line[64];
	rco__news *news, lost;
	rco__jobs done;
	rco__job *job;
	uint64_t missing;

	(void)pthread_mutex_lock(&control->lock);
	done = control->done;
	if (done.first == NULL)
		rco__jobs_init(&done);
	rco__jobs_init(&control->done);
	news = control->news;
	control->news = NULL;
	control->news_last = &control->news;
	control->news_count = 0;
	missing = control->news_lost;
	control->news_lost = 0;
	(void)pthread_mutex_unlock(&control->lock);
	while ((job = rco__jobs_take(&done)) != NULL)
		deliver_job(control, job);
	while (news != NULL) {
		rco__news *next = news->next;

		deliver_news(control, news);
		free(news->line);
		free(news);
		news = next;
	}
	if (missing > 0) {
		lost = lost_news(missing, line);
		deliver_news(control, &lost);
	}
}

/* ---- waiting ---- */

/* Half a line, or an unread answer, for too long. A client with nothing open may stay silent. */
static int too_slow(const rco_control *control, const rco__client_of *c, int64_t now)
{
	int waits_for_it = (c->in_size > 0 && !c->busy) || c->out_done < c->out_size;

	return waits_for_it && now - c->moved_us > control->idle_us;
}

static nfds_t prepare(rco_control *control, struct pollfd *fds, int *timeout)
{
	int64_t now = rco__control_now();
	nfds_t n = 2;
	uint32_t i;

	*timeout = -1;
	fds[0] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
	for (i = 0; i < control->max_clients; i++) {
		rco__client_of *c = &control->clients[i];

		if (c->fd >= 0 && too_slow(control, c, now))
			forget(control, c);
		fds[n].fd = c->fd; /* -1 is passed over by poll() */
		fds[n].events = (short)((c->busy || c->closing || has_line(c) ? 0 : POLLIN) |
		                        (c->out_done < c->out_size ? POLLOUT : 0));
		fds[n++].revents = 0;
		if (c->fd >= 0 && (c->in_size > 0 || c->out_done < c->out_size))
			*timeout = 100;
		if (c->fd >= 0 && !c->busy && !c->closing && has_line(c))
			*timeout = 0;
	}
	return n;
}

static void serve(rco_control *control, rco__client_of *c, short events)
{
	int good = 1;

	if (events & POLLOUT)
		good = write_out(c);
	if (good && !c->busy && !c->closing) {
		if (has_line(c))
			good = take_lines(control, c);
		else if (events & (POLLIN | POLLHUP | POLLERR))
			good = read_in(control, c);
	} else if (good && (events & (POLLHUP | POLLERR))) {
		good = 0; /* gone: nobody reads the answer. What was asked for is done all the same. */
	}
	if (good && c->out_done < c->out_size)
		good = write_out(c);
	if (!good)
		forget(control, c);
}

void *rco__porter(void *arg)
{
	rco_control *control = arg;
	struct pollfd *fds = calloc(control->max_clients + 2, sizeof *fds);
	uint64_t woken;
	int stop = fds == NULL, timeout;

	while (!stop) {
		nfds_t n = prepare(control, fds, &timeout);
		uint32_t i;

		if (poll(fds, n, timeout) < 0 && errno != EINTR)
			continue; /* no memory in the kernel */
		if (fds[0].revents & POLLIN)
			while (read(control->wake_fd, &woken, sizeof woken) < 0 && errno == EINTR)
				;
		deliver(control);
		for (i = 0; i < control->max_clients; i++)
			if (control->clients[i].fd >= 0 && fds[i + 2].fd == control->clients[i].fd)
				serve(control, &control->clients[i], fds[i + 2].revents);
		if (fds[1].revents & POLLIN)
			let_in(control);
		(void)pthread_mutex_lock(&control->lock);
		stop = control->stopping;
		(void)pthread_mutex_unlock(&control->lock);
	}
	free(fds);
	return NULL;
}
