/* SPDX-License-Identifier: MIT */
/* One client of the io thread: what it says, and what goes back to it. */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* So much of one client before the others have their turn. */
enum { READ_AT_ONCE = 16384, LINES_AT_ONCE = 16, LEAVING_AT_ONCE = 8 };

enum {
	ANSWERS_MAX = 8 * RCO__UNREAD_MAX
}; /* no more is read long before, but much may have been asked for by then */

/* If the spare descriptor was given up, this one takes its place, before the host can get it. */
void rco__descriptor_close(rco_control *control, int *fd)
{
	rco__fork_hold();
	(void)shutdown(*fd, SHUT_RDWR); /* a child of the host may have it, too, and the client is to notice */
	if (control->spare_fd < 0 && dup3(control->wake_fd, *fd, O_CLOEXEC) == *fd)
		control->spare_fd = *fd;
	else
		(void)close(*fd);
	*fd = -1;
	rco__fork_go();
}

void rco__client_forget(rco_control *control, rco__client_of *c)
{
	rco__job *job;

	rco__descriptor_close(control, &c->fd);
	if (c->wants_events)
		(void)atomic_fetch_sub(&control->subscribers, 1);
	while ((job = rco__jobs_take(&c->held)) != NULL)
		rco__job_free(job);
	rco__reader_free(c->reader);
	free(c->in);
	free(c->out);
	*c = (rco__client_of){.fd = -1, .generation = c->generation + 1};
	rco__jobs_init(&c->held);
}

void rco__clients_close(rco_control *control)
{
	uint32_t i;

	for (i = 0; i < control->max_clients + RCO__LEAVING_MAX; i++)
		if (control->clients[i].fd >= 0)
			rco__client_forget(control, &control->clients[i]);
}

/* ---- writing ---- */

static int make_room(rco__client_of *c, size_t size)
{
	char *more;

	if (c->out_done > 0) {
		memmove(c->out, c->out + c->out_done, c->out_size - c->out_done);
		c->out_size -= c->out_done;
		c->out_done = 0;
	}
	if (c->out_size + size <= c->out_room)
		return 1;
	more = realloc(c->out, (c->out_size + size) * 2);
	if (more == NULL)
		return 0;
	c->out = more;
	c->out_room = (c->out_size + size) * 2;
	return 1;
}

/* Nobody reads the answers. What is asked for is done all the same. */
static void be_deaf(rco__client_of *c)
{
	c->deaf = 1;
	c->out_size = c->out_done = 0;
}

/* Its connection ends, as soon as what it said so far has been heard. */
static void leave(rco__client_of *c)
{
	be_deaf(c);
	(void)shutdown(c->fd, SHUT_RDWR);
}

/* Takes the line. 0 if the client is to be closed. */
static int say(rco__client_of *c, char *line, size_t most)
{
	const size_t size = line != NULL ? strlen(line) : 0;

	if (size > 0 && !c->deaf && c->out_size - c->out_done + size > most)
		leave(c);
	if (size == 0 || c->deaf || !make_room(c, size)) {
		free(line);
		return size > 0 && c->deaf;
	}
	memcpy(c->out + c->out_size, line, size);
	c->out_size += size;
	if (c->said == c->read) { /* the time to read it begins now */
		c->mark = c->said + size;
		c->mark_us = rco__control_now();
	}
	c->said += size;
	free(line);
	return 1;
}

int rco__client_say(rco__client_of *c, char *line)
{
	return say(c, line, RCO__UNREAD_MAX);
}

static int is_finished(const rco__client_of *c)
{
	return c->closing && c->jobs == 0 && c->out_done == c->out_size;
}

static int write_out(rco__client_of *c)
{
	while (c->out_done < c->out_size) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_size - c->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n < 0) { /* and it may have said something before */
			be_deaf(c);
			break;
		}
		c->out_done += (size_t)n;
		c->read += (uint64_t)n;
		if (c->read >= c->mark) { /* all of that; and now so long for the rest */
			c->mark = c->said;
			c->mark_us = rco__control_now();
		}
	}
	return !is_finished(c);
}

/* ---- answers ---- */

static size_t size_of(const rco__job *job)
{
	return job->answer != NULL ? strlen(job->answer) : 0;
}

/* The next in turn, if it has been answered. */
static rco__job *take_next(rco__client_of *c)
{
	rco__job **at = &c->held.first, *found;

	while (*at != NULL && (*at)->turn != c->turn + 1)
		at = &(*at)->next;
	found = *at;
	if (found == NULL)
		return NULL;
	*at = found->next;
	if (found->next == NULL)
		c->held.last = at;
	c->held_size -= size_of(found);
	return found;
}

/* Takes the job, which has its answer; those without an id are answered in turn. 0 if the client is to be closed.
 */
int rco__client_answer(rco__client_of *c, rco__job *job)
{
	int good = 1;

	if (job->turn > c->turn + 1 && !c->deaf) {
		c->held_size += size_of(job);
		rco__jobs_add(&c->held, job);
		return 1;
	}
	while (good && job != NULL) {
		c->turn += job->turn > 0;
		c->jobs--;
		good = say(c, job->answer, ANSWERS_MAX);
		job->answer = NULL;
		rco__job_free(job);
		job = take_next(c);
	}
	if (job != NULL)
		rco__job_free(job);
	return good;
}

static rco__job *new_job(rco_control *control, rco__client_of *c, rco__request *request)
{
	rco__job *job = calloc(1, sizeof *job);

	if (job == NULL)
		return NULL;
	job->client = (uint32_t)(c - control->clients);
	job->generation = c->generation;
	job->request = request;
	if (request->id == NULL)
		job->turn = ++c->turns;
	c->jobs++;
	return job;
}

/* ---- requests ---- */

/* 0: there are too many already. */
static int subscribe(rco_control *control, rco__client_of *c, const rco__request *request)
{
	const char *call_id = request->text[RCO__M_CALL_ID];
	rco__client_of *other;
	int full;

	if (c->deaf)
		return 0;
	other = rco__subscriber_for(control, c, &full);
	if (full && other == NULL)
		return 0;
	if (other != NULL)
		rco__client_leave(control, other);
	if (!c->wants_events)
		(void)atomic_fetch_add(&control->subscribers, 1);
	c->wants_events = 1;
	(void)snprintf(c->call_id, sizeof c->call_id, "%s", call_id != NULL ? call_id : "");
	return 1;
}

static char *answer_now(rco_control *control, rco__client_of *c, const rco__request *request, int code)
{
	if (request->what == RCO__DO_EVENTS && request->code == RCO_OK && !subscribe(control, c, request))
		return rco__answer_error(request, RCO_E_LIMIT, "too many connections wait for events already");
	return rco__request_answer(control, request, code);
}

/* A client that has as many requests as it may have is told how far the oldest has come: what it says next may be
 * an objection. */
static void hurry(rco_control *control, const rco__client_of *c)
{
	rco__job *job;

	(void)pthread_mutex_lock(&control->lock);
	for (job = control->waiting.first; job != NULL; job = job->next) {
		if (job->client == (uint32_t)(c - control->clients) && job->generation == c->generation &&
		    job->deadline_us != 0) {
			job->deadline_us = 0;
			break;
		}
	}
	(void)pthread_mutex_unlock(&control->lock);
}

/* Takes the request. 0: close. */
static int one_request(rco_control *control, rco__client_of *c, rco__request *request)
{
	int code, slow = rco__request_latch(control, request, c->uid, &code); /* before anything else */
	rco__job *job = new_job(control, c, request);

	c->asked_us = rco__control_now();
	if (job == NULL) {
		rco__request_free(request);
		return 0;
	}
	if (c->jobs >= RCO__JOBS_MAX)
		hurry(control, c);
	if (slow && c->jobs <= RCO__JOBS_MAX) {
		rco__job_threads_give(control, job);
		return 1;
	}
	/* It stops what is recorded, however many are waited for; who asks for more at once than is waited for is
	 * told how far it has come. */
	job->outcome.code = code;
	job->answer = slow ? rco__request_finish(control, request, &job->outcome)
	                   : answer_now(control, c, request, code);
	rco__request_free(job->request);
	job->request = NULL;
	return rco__client_answer(c, job);
}

static int one_line(rco_control *control, rco__client_of *c, rco__read what)
{
	rco__request *request;
	int code = RCO_E_INVALID;
	const char *why = "a request is one JSON object in a line";

	if (what == RCO__READ_WHOLE) {
		request = rco__reader_take(c->reader);
		rco__reader_free(c->reader);
		c->reader = NULL;
		return one_request(control, c, request);
	}
	if (what == RCO__READ_NO_MEMORY)
		return 0;
	if (what == RCO__READ_TOO_LONG) {
		code = RCO_E_LIMIT;
		why = "a request without its message is at most 64 KiB long";
	}
	c->closing = 1; /* what was asked before is still answered */
	return rco__client_say(c, rco__answer_error(NULL, code, why));
}

/* ---- reading ---- */

int rco__client_may_read(const rco__client_of *c)
{
	/* Somebody who has gone says no more than what the kernel holds. */
	return !c->closing && (c->gone || (c->jobs < RCO__ASKED_MAX &&
	                                   c->out_size - c->out_done + c->held_size < RCO__UNREAD_MAX));
}

int rco__client_has_more(const rco__client_of *c)
{
	return c->in_done < c->in_size && rco__client_may_read(c);
}

/* What was read, up to some lines. 0: close. */
static int take_lines(rco_control *control, rco__client_of *c)
{
	int good = 1, lines = 0;

	while (good && rco__client_has_more(c) && lines < LINES_AT_ONCE) {
		rco__read what;
		size_t used;

		if (c->reader == NULL) {
			c->reader = rco__reader_new();
			c->line_us = rco__control_now();
			if (c->reader == NULL)
				return 0;
		}
		what = rco__reader_feed(c->reader, c->in + c->in_done, c->in_size - c->in_done, &used);
		c->in_done += used;
		if (what != RCO__READ_MORE) {
			good = one_line(control, c, what);
			lines++;
		}
	}
	return good;
}

/*
 * It may have said all it had to say, and still be reading. What it said last counts without a line break, too: a
 * whole object can become no other one, and what is cut off is told. Blanks are no line.
 */
static int said_all(rco_control *control, rco__client_of *c)
{
	int good = 1;
	size_t used;

	if (c->reader != NULL && !rco__reader_is_blank(c->reader))
		good = one_line(control, c, rco__reader_feed(c->reader, "\n", 1, &used));
	c->closing = 1;
	return good && !is_finished(c);
}

static int read_in(rco_control *control, rco__client_of *c)
{
	ssize_t n;

	if (c->in == NULL)
		c->in = malloc(READ_AT_ONCE);
	if (c->in == NULL)
		return 0;
	do
		n = recv(c->fd, c->in, READ_AT_ONCE,
		         0); /* descriptors that come along are dropped by the kernel */
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 1;
	if (n <= 0) /* it may have gone without reading what it was told */
		return said_all(control, c);
	c->in_done = 0;
	c->in_size = (size_t)n;
	return take_lines(control, c);
}

int rco__client_serve(rco_control *control, rco__client_of *c, short events)
{
	int good = 1;

	if (events & POLLHUP) {
		c->gone = 1;
		be_deaf(c);
	}
	if (events & POLLOUT)
		good = write_out(c);
	if (good && rco__client_has_more(c))
		good = take_lines(control, c);
	else if (good && rco__client_may_read(c) && (events & (POLLIN | POLLHUP | POLLERR)))
		good = read_in(control, c);
	/* What somebody said before going is heard out. */
	while (good && c->gone && rco__client_may_read(c) && !rco__client_has_more(c))
		good = read_in(control, c);
	if (c->gone && c->closing)
		good = 0;
	if (good)
		good = write_out(c);
	return good;
}

void rco__client_dismiss(rco_control *control, rco__client_of *c)
{
	be_deaf(c);
	(void)shutdown(c->fd, SHUT_RD); /* it says no more, and sees the end when it has been heard */
	while (rco__client_serve(control, c, POLLHUP))
		;
	rco__client_forget(control, c);
}

/* ---- leaving ---- */

static rco__client_of *leaving(rco_control *control, uint32_t i)
{
	return &control->clients[control->max_clients + i];
}

static uint32_t count_leaving(rco_control *control, uid_t uid)
{
	uint32_t i, n = 0;

	for (i = 0; i < RCO__LEAVING_MAX; i++)
		n += leaving(control, i)->fd >= 0 && leaving(control, i)->uid == uid;
	return n;
}

/* Free, or of the user that has most, whose oldest is not heard any more: it makes connections faster than anybody
 * could hear them. */
static rco__client_of *room_to_leave(rco_control *control, uid_t uid)
{
	rco__client_of *found = NULL;
	uint32_t i, n, most = 0;

	for (i = 0; i < RCO__LEAVING_MAX; i++) {
		rco__client_of *c = leaving(control, i);

		if (c->fd < 0)
			return c;
		n = count_leaving(control, c->uid) + (c->uid == uid);
		if (n > most || (n == most && c->asked_us < found->asked_us))
			found = c;
		most = n > most ? n : most;
	}
	rco__client_forget(control, found);
	return found;
}

void rco__client_leave(rco_control *control, rco__client_of *c)
{
	rco__client_of *to = room_to_leave(control, c->uid);
	const uint32_t generation = to->generation;

	be_deaf(c);
	(void)shutdown(c->fd, SHUT_RD); /* it says no more, and sees the end when it has been heard */
	if (c->wants_events)
		(void)atomic_fetch_sub(&control->subscribers, 1);
	rco__fork_hold();
	*to = *c;
	c->fd = -1;
	rco__fork_go();
	to->generation = generation;
	to->wants_events = 0;
	to->jobs = 0; /* are of the place that it had, and go on without it */
	to->gone = 1;
	if (to->held.first == NULL)
		rco__jobs_init(&to->held);
	*c = (rco__client_of){.fd = -1, .generation = c->generation + 1};
	rco__jobs_init(&c->held);
}

int rco__leaving_has_room(const rco_control *control)
{
	uint32_t i;

	for (i = 0; i < RCO__LEAVING_MAX; i++)
		if (control->clients[control->max_clients + i].fd < 0)
			return 1;
	return 0;
}

rco__client_of *rco__leaving_any(rco_control *control)
{
	uint32_t i;

	for (i = 0; i < RCO__LEAVING_MAX; i++)
		if (leaving(control, i)->fd >= 0)
			return leaving(control, i);
	return NULL;
}

int rco__leaving_serve(rco_control *control)
{
	uint32_t i, served = 0;

	for (i = 0; i < RCO__LEAVING_MAX && served < LEAVING_AT_ONCE; i++) {
		rco__client_of *c = leaving(control, control->leaving_turn++ % RCO__LEAVING_MAX);

		if (c->fd < 0)
			continue;
		served++;
		if (!rco__client_serve(control, c, POLLHUP))
			rco__client_forget(control, c);
	}
	return served > 0;
}
