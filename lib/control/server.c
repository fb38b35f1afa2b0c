/* SPDX-License-Identifier: MIT */
/* Opening and closing the door. */
#include "control.h"

#include "../base/env.h"
#include "../base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const size_t options_v1_size = sizeof(rco_control_options);

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

/* ---- events ---- */

static rco__news *make_news(const rco_event *event)
{
	rco__news *news = calloc(1, sizeof *news);

	if (news == NULL)
		return NULL;
	news->line = rco__event_line(event);
	if (news->line == NULL) {
		free(news);
		return NULL;
	}
	(void)snprintf(news->call_id, sizeof news->call_id, "%s", event->call_id);
	return news;
}

/* On any thread of the engine; must not wait. */
static void hear(const rco_event *event, void *user_data)
{
	rco_control *control = user_data;
	rco__news *news = NULL;
	int wanted = atomic_load(&control->subscribers) > 0;

	if (wanted)
		news = make_news(event);
	(void)pthread_mutex_lock(&control->lock);
	control->changes++;
	(void)pthread_cond_signal(&control->work);
	if (news != NULL && control->news_count < RCO__NEWS_MAX) {
		*control->news_last = news;
		control->news_last = &news->next;
		control->news_count++;
		news = NULL;
	} else if (wanted) {
		control->news_lost++;
	}
	(void)pthread_mutex_unlock(&control->lock);
	if (news != NULL) {
		free(news->line);
		free(news);
	}
	if (wanted)
		rco__control_wake(control);
}

/* ---- the socket ---- */

/* Whoever may write to the folder could put another socket there. */
static int check_folder(const char *path)
{
	char folder[108];
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (slash == NULL)
		(void)snprintf(folder, sizeof folder, ".");
	else
		(void)snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(folder, &st) != 0)
		return rco__fail_errno(errno, "cannot look at the folder %s", folder);
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return rco__fail(RCO_E_PERMISSION,
		                 "others could replace a socket in %s: use a folder of mode 0700 of your own",
		                 folder);
	return RCO_OK;
}

/* The lock is held, so whatever is there was left by a dead process. */
static int clear_place(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? RCO_OK : rco__fail_errno(errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return rco__fail(RCO_E_STATE, "%s is there and is not a socket; move it away or name another",
		                 path);
	return unlink(path) == 0 ? RCO_OK : rco__fail_errno(errno, "cannot remove the old %s", path);
}

static int lock_place(rco_control *control)
{
	const rco__fs *fs = rco__fs_posix();
	char name[120];

	(void)snprintf(name, sizeof name, "%s.lock", control->path);
	return fs->lock(fs->ctx, name, &control->lock_fd);
}

/* Nobody can connect between bind() and listen(), so the mode is in force before anybody can. */
static int make_socket(rco_control *control)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->listen_fd < 0)
		return rco__fail_errno(errno, "cannot make a socket");
	memcpy(address.sun_path, control->path, sizeof address.sun_path);
	if (bind(control->listen_fd, (const struct sockaddr *)&address, sizeof address) != 0)
		return rco__fail_errno(errno, "cannot bind %s", control->path);
	if (chmod(control->path, 0600) != 0 || listen(control->listen_fd, 128) != 0)
		return rco__fail_errno(errno, "cannot listen on %s", control->path);
	return RCO_OK;
}

static void unlock_place(rco_control *control)
{
	char name[120];

	if (control->lock_fd < 0)
		return;
	(void)snprintf(name, sizeof name, "%s.lock", control->path);
	(void)unlink(name);
	(void)close(control->lock_fd);
}

/* ---- threads ---- */

static int start(rco_control *control)
{
	sigset_t all, before;
	int err;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&control->porter, NULL, rco__porter, control);
	if (err == 0) {
		err = pthread_create(&control->clerk, NULL, rco__clerk, control);
		if (err != 0) {
			(void)pthread_mutex_lock(&control->lock);
			control->stopping = 1;
			(void)pthread_mutex_unlock(&control->lock);
			rco__control_wake(control);
			(void)pthread_join(control->porter, NULL);
		}
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err == 0 ? RCO_OK : rco__fail_errno(err, "cannot start a thread for the control socket");
}

static void stop(rco_control *control)
{
	(void)pthread_mutex_lock(&control->lock);
	control->stopping = 1;
	(void)pthread_cond_broadcast(&control->work);
	(void)pthread_mutex_unlock(&control->lock);
	rco__control_wake(control);
	(void)pthread_join(control->porter, NULL);
	(void)pthread_join(control->clerk, NULL);
}

/* ---- life ---- */

static int check_options(const rco_control_options *in, rco_control_options *o)
{
	int rc = rco__struct_copy(o, sizeof *o, options_v1_size, in, "rco_control_options");

	if (rc != RCO_OK)
		return rc;
	if (o->flags != 0 || o->reserved != NULL || o->path == NULL || o->path[0] == '\0' ||
	    o->max_clients > RCO__CLIENTS_MAX || (o->allowed_uids == NULL && o->n_allowed_uids > 0) ||
	    o->n_allowed_uids > 1024)
		return rco__fail(RCO_E_INVALID,
		                 "a field of rco_control_options is out of range, or path is missing");
	if (strlen(o->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return rco__fail(RCO_E_INVALID, "the path of a socket is at most 107 bytes long");
	return RCO_OK;
}

static void destroy(rco_control *control)
{
	rco__job *job;

	if (control->listen_fd >= 0) {
		(void)close(control->listen_fd);
		(void)unlink(control->path);
	}
	unlock_place(control);
	if (control->wake_fd >= 0)
		(void)close(control->wake_fd);
	if (control->clients != NULL)
		rco__clients_close(control);
	while ((job = rco__jobs_take(&control->todo)) != NULL || (job = rco__jobs_take(&control->done)) != NULL)
		rco__job_free(job);
	while (control->news != NULL) {
		rco__news *next = control->news->next;

		free(control->news->line);
		free(control->news);
		control->news = next;
	}
	(void)pthread_cond_destroy(&control->work);
	(void)pthread_mutex_destroy(&control->lock);
	free(control->clients);
	free(control->uids);
	free(control);
}

static void init_locks(rco_control *control)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&control->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&control->work, &attr);
	(void)pthread_condattr_destroy(&attr);
}

static rco_control *make(rco_engine *engine, const rco_control_options *o)
{
	rco_control *control = calloc(1, sizeof *control);
	uint32_t i;

	if (control == NULL)
		return NULL;
	init_locks(control);
	control->engine = engine;
	control->book = o->book;
	(void)snprintf(control->path, sizeof control->path, "%s", o->path);
	control->lock_fd = control->listen_fd = control->wake_fd = -1;
	control->max_clients = o->max_clients != 0 ? o->max_clients : RCO__CLIENTS_DEFAULT;
	control->idle_us = (int64_t)(o->idle_ms != 0 ? o->idle_ms : RCO__IDLE_DEFAULT_MS) * 1000;
	rco__jobs_init(&control->todo);
	rco__jobs_init(&control->done);
	control->news_last = &control->news;
	control->clients = calloc(control->max_clients, sizeof *control->clients);
	control->uids = calloc(o->n_allowed_uids + 1, sizeof *control->uids);
	if (control->clients == NULL || control->uids == NULL) {
		free(control->clients); /* destroy() would look into it */
		control->clients = NULL;
		destroy(control);
		return NULL;
	}
	for (i = 0; i < control->max_clients; i++)
		control->clients[i].fd = -1;
	for (i = 0; i < o->n_allowed_uids; i++)
		control->uids[i] = (uid_t)o->allowed_uids[i];
	control->n_uids = o->n_allowed_uids;
	return control;
}

static int open_door(rco_control *control)
{
	int rc = check_folder(control->path);

	if (rc == RCO_OK)
		rc = lock_place(control);
	if (rc == RCO_OK)
		rc = clear_place(control->path);
	if (rc == RCO_OK)
		rc = make_socket(control);
	if (rc != RCO_OK)
		return rc;
	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->wake_fd < 0)
		return rco__fail_errno(errno, "eventfd");
	rc = rco_engine_listen(control->engine, hear, control);
	if (rc != RCO_OK)
		return rc;
	rc = start(control);
	if (rc != RCO_OK)
		(void)rco_engine_unlisten(control->engine, hear, control);
	return rc;
}

int rco_control_open(rco_engine *engine, const rco_control_options *options, rco_control **out)
{
	rco_control_options o;
	rco_control *control;
	int rc;

	rco__error_clear();
	if (out == NULL)
		return rco__fail(RCO_E_INVALID, "control is NULL");
	*out = NULL;
	rc = rco_engine_opt_out_enabled(engine);
	if (rc < 0)
		return rc;
	rc = check_options(options, &o);
	if (rc != RCO_OK)
		return rc;
	control = make(engine, &o);
	if (control == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a control socket");
	rc = open_door(control);
	if (rc != RCO_OK) {
		destroy(control);
		return rc;
	}
	*out = control;
	return RCO_OK;
}

void rco_control_close(rco_control *control)
{
	if (control == NULL)
		return;
	(void)rco_engine_unlisten(control->engine, hear, control);
	stop(control);
	destroy(control);
}
