/* SPDX-License-Identifier: MIT */
/* Opening and closing the socket. */
#include "control.h"

#include "../base/env.h"
#include "../base/error.h"
#include "../base/lock.h"
#include "../base/thread.h"
#include "../base/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKET_NAME_MAX = 64 };

static const size_t options_v1_size = RCO__SIZE_THROUGH(rco_control_options, early_per_user);

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

/* Lock held: those who wait for an erasure of that call have to look. */
static int notify_waiting(rco_control *control, const char *call_id)
{
	rco__job *job;
	int any = 0;

	for (job = control->waiting.first; job != NULL; job = job->next) {
		if (strcmp(job->request->text[RCO__M_CALL_ID], call_id) == 0)
			any = job->look = 1;
	}
	return any;
}

/* On any thread of the engine; must not wait. */
static void hear(const rco_event *event, void *user_data)
{
	rco_control *control = user_data;
	rco__news *news = NULL;
	int wanted = atomic_load(&control->subscribers) > 0, waited_for;

	if (wanted)
		news = make_news(event);
	(void)pthread_mutex_lock(&control->lock);
	waited_for = notify_waiting(control, event->call_id);
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
	if (wanted || waited_for)
		rco__control_wake(control);
}

/* ---- the socket ---- */

/* Anyone who may write to the folder could put another socket there. It is held open: the path may be relative,
 * and the host may go elsewhere. */
static int open_folder(rco_control *control)
{
	char folder[108];
	const char *slash = strrchr(control->path, '/');
	struct stat st;

	if (slash == NULL)
		(void)snprintf(folder, sizeof folder, ".");
	else
		(void)snprintf(folder, sizeof folder, "%.*s",
		               slash == control->path ? 1 : (int)(slash - control->path), control->path);
	control->name = slash == NULL ? control->path : control->path + (slash - control->path) + 1;
	control->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (control->folder_fd < 0 || fstat(control->folder_fd, &st) != 0)
		return rco__fail_errno(errno, "cannot look at the folder %s", folder);
	return rco__trust_folder(&st, RCO__TRUST_OWN, folder);
}

/*
 * The one who holds the lock is the owner. It writes there which socket it made, so that the next owner
 * knows that nobody serves that one any more, though a child of the dead owner may keep it open, and connections
 * with it. A number alone may have been given out again.
 */
static void name_socket(char *out, size_t cap, const struct stat *st)
{
	(void)snprintf(out, cap, "%llu %lld.%09ld\n", (unsigned long long)st->st_ino,
	               (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

/* A name that was not written is none: the next one has to ask who serves there. */
static void sign_lock(const rco_control *control, const struct stat *st)
{
	char name[SOCKET_NAME_MAX];

	name_socket(name, sizeof name, st);
	if (ftruncate(control->lock_fd, 0) == 0)
		(void)!pwrite(control->lock_fd, name, strlen(name), 0);
}

static int was_signed(const rco_control *control, const struct stat *st)
{
	char name[SOCKET_NAME_MAX], there[SOCKET_NAME_MAX];
	ssize_t n = pread(control->lock_fd, there, sizeof there, 0);

	name_socket(name, sizeof name, st);
	return n > 0 && (size_t)n == strlen(name) && memcmp(name, there, (size_t)n) == 0;
}

/* The one who serves there may have no lock of ours, or one that somebody removed. */
static int find_dead(rco_control *control)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return rco__fail_errno(errno, "cannot make a socket");
	memcpy(address.sun_path, control->path, sizeof address.sun_path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		err = errno;
	(void)close(fd);
	if (err == ECONNREFUSED)
		return RCO_OK;
	if (err == EPROTOTYPE)
		return rco__fail(RCO_E_STATE, "%s is another program's socket; name another", control->path);
	if (err == 0 || err == EAGAIN) /* its queue is full */
		return rco__fail(RCO_E_BUSY, "another process serves %s; end it, or name another", control->path);
	return rco__fail_errno(err, "cannot tell whether somebody serves %s", control->path);
}

/* What was left by a dead process goes. */
static int clear_place(rco_control *control)
{
	struct stat st;
	int rc;

	if (fstatat(control->folder_fd, control->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? RCO_OK : rco__fail_errno(errno, "cannot look at %s", control->path);
	if (!S_ISSOCK(st.st_mode))
		return rco__fail(RCO_E_STATE, "%s is there and is not a socket; move it away or name another",
		                 control->path);
	rc = was_signed(control, &st) ? RCO_OK : find_dead(control);
	if (rc != RCO_OK)
		return rc;
	return unlinkat(control->folder_fd, control->name, 0) == 0
	               ? RCO_OK
	               : rco__fail_errno(errno, "cannot remove the old %s", control->path);
}

/* Its holder removes the file before giving it up: a lock on a file that is not there any more is none. */
static int lock_place(rco_control *control)
{
	char path[120], name[120];
	struct stat locked, there;
	int rc;

	(void)snprintf(path, sizeof path, "%s.lock", control->path);
	(void)snprintf(name, sizeof name, "%s.lock", control->name);
	for (;;) {
		rc = rco__lock_at(control->folder_fd, name, O_CREAT, path, NULL, &control->lock_fd);
		if (rc != RCO_OK)
			return rc;
		if (fstat(control->lock_fd, &locked) == 0 &&
		    fstatat(control->folder_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    locked.st_dev == there.st_dev && locked.st_ino == there.st_ino)
			return RCO_OK;
		(void)close(control->lock_fd);
		control->lock_fd = -1;
	}
}

/* Nobody can connect between bind() and listen(), so owner and mode are in force before anybody can. */
static int let_others(rco_control *control)
{
	const int at = control->folder_fd;

	if (control->group && fchownat(at, control->name, (uid_t)-1, control->gid, AT_SYMLINK_NOFOLLOW) != 0)
		return rco__fail_errno(errno, "cannot give %s to group %u", control->path, (unsigned)control->gid);
	if (fchmodat(at, control->name, control->group ? 0660 : control->n_uids > 0 ? 0666 : 0600, 0) != 0)
		return rco__fail_errno(errno, "cannot set the mode of %s", control->path);
	return RCO_OK;
}

static int make_socket(rco_control *control)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int rc, err;

	rco__fork_hold();
	control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = errno;
	rco__fork_go();
	if (control->listen_fd < 0)
		return rco__fail_errno(err, "cannot make a socket");
	memcpy(address.sun_path, control->path, sizeof address.sun_path);
	if (bind(control->listen_fd, (const struct sockaddr *)&address, sizeof address) != 0)
		return rco__fail_errno(errno, "cannot bind %s", control->path);
	if (fstatat(control->folder_fd, control->name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(st.st_mode))
		return rco__fail(RCO_E_PERMISSION, "the folder of %s was replaced meanwhile", control->path);
	control->made = 1;
	control->dev = st.st_dev;
	control->ino = st.st_ino;
	sign_lock(control, &st);
	rc = let_others(control);
	if (rc == RCO_OK && listen(control->listen_fd, RCO__BACKLOG) != 0)
		rc = rco__fail_errno(errno, "cannot listen on %s", control->path);
	return rc;
}

/* Another one may have been put there by the folder's owner: that is not ours to remove. */
static void remove_socket(rco_control *control)
{
	struct stat st;

	if (control->made && fstatat(control->folder_fd, control->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == control->dev && st.st_ino == control->ino)
		(void)unlinkat(control->folder_fd, control->name, 0);
	control->made = 0;
}

static void unlock_place(rco_control *control)
{
	char name[120];

	if (control->lock_fd < 0)
		return;
	(void)snprintf(name, sizeof name, "%s.lock", control->name);
	(void)unlinkat(control->folder_fd, name, 0);
	(void)close(control->lock_fd);
}

/* ---- threads ---- */

static void stop(rco_control *control)
{
	(void)pthread_mutex_lock(&control->lock);
	control->stopping = 1;
	rco__job_threads_stop(control);
	(void)pthread_mutex_unlock(&control->lock);
	remove_socket(control); /* nobody comes any more; the io thread hears who has come */
	rco__control_wake(control);
	(void)pthread_join(control->io_thread, NULL);
	rco__job_threads_join(control); /* the io thread, who starts them, is gone */
}

static int start(rco_control *control)
{
	int err = rco__thread_start(&control->io_thread, rco__io_thread, control);

	return err == 0
	               ? RCO_OK
	               : rco__fail(RCO_E_LIMIT, "cannot start a thread for the control socket: %s", strerror(err));
}

/* ---- life ---- */

static int check_options(const rco_control_options *in, rco_control_options *o)
{
	int rc = rco__struct_copy(o, sizeof *o, options_v1_size, in, "rco_control_options");

	if (rc == RCO_OK)
		rc = rco__struct_known(o->flags, RCO_CONTROL_GROUP, o->reserved != NULL, "rco_control_options");
	if (rc != RCO_OK)
		return rc;
	if ((o->gid != 0 && !(o->flags & RCO_CONTROL_GROUP)) || o->path == NULL || o->path[0] == '\0' ||
	    o->max_clients > RCO__CLIENTS_MAX || (o->allowed_uids == NULL && o->n_allowed_uids > 0) ||
	    o->n_allowed_uids > 1024)
		return rco__fail(RCO_E_INVALID,
		                 "a field of rco_control_options is out of range, or path is missing");
	if (strlen(o->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return rco__fail(RCO_E_INVALID, "the path of a socket is at most 107 bytes long");
	return RCO_OK;
}

/* How many connections there may be: poll(2) takes no more descriptors than the limit, and the host needs some. */
static int count_clients(uint32_t *max_clients)
{
	struct rlimit limit;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return rco__fail_errno(errno, "getrlimit");
	most = limit.rlim_cur > RCO__FDS_SPARED ? limit.rlim_cur - RCO__FDS_SPARED : 0;
	if (*max_clients == 0) {
		*max_clients = limit.rlim_cur / 4 < RCO__CLIENTS_DEFAULT ? (uint32_t)limit.rlim_cur / 4
		                                                         : RCO__CLIENTS_DEFAULT;
		if (*max_clients == 0)
			*max_clients = 1;
	}
	if (*max_clients > most)
		return rco__fail(
			RCO_E_LIMIT,
			"max_clients %u: this process may open %llu descriptors; raise RLIMIT_NOFILE (ulimit "
			"-n), or ask for at most %llu",
			*max_clients, (unsigned long long)limit.rlim_cur, (unsigned long long)most);
	return RCO_OK;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void free_jobs(rco__jobs *jobs)
{
	rco__job *job;

	while ((job = rco__jobs_take(jobs)) != NULL)
		rco__job_free(job);
}

static void destroy(rco_control *control)
{
	if (control->listen_fd >= 0)
		(void)shutdown(control->listen_fd, SHUT_RDWR); /* whatever child of the host has it */
	rco__fork_hold();
	close_fd(control->listen_fd);
	control->listen_fd = -1;
	rco__fork_go();
	remove_socket(control);
	unlock_place(control);
	if (control->clients != NULL)
		rco__clients_close(control);
	rco__fork_remove(control);
	rco__early_free(control);
	close_fd(control->wake_fd);
	close_fd(control->spare_fd);
	close_fd(control->folder_fd);
	free_jobs(&control->stops.todo);
	free_jobs(&control->commits.todo);
	free_jobs(&control->done);
	free_jobs(&control->waiting);
	while (control->news != NULL) {
		rco__news *next = control->news->next;

		free(control->news->line);
		free(control->news);
		control->news = next;
	}
	(void)pthread_cond_destroy(&control->stops.work);
	(void)pthread_cond_destroy(&control->commits.work);
	(void)pthread_mutex_destroy(&control->lock);
	free(control->clients);
	free(control->polled);
	free(control->uids);
	free(control);
}

static void init_locks(rco_control *control)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&control->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&control->stops.work, &attr);
	(void)pthread_cond_init(&control->commits.work, &attr);
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
	control->pid = getpid();
	control->book = o->book;
	(void)snprintf(control->path, sizeof control->path, "%s", o->path);
	control->folder_fd = control->lock_fd = control->listen_fd = control->wake_fd = -1;
	control->coming_fd = control->spare_fd = -1;
	control->max_clients = o->max_clients;
	control->group = (o->flags & RCO_CONTROL_GROUP) != 0;
	control->gid = (gid_t)o->gid;
	control->early_per_user = o->early_per_user != 0 ? o->early_per_user : (uint32_t)RCO__EARLY_DEFAULT;
	control->thread = o->thread;
	control->thread_user_data = o->thread_user_data;
	control->idle_us = (int64_t)(o->idle_ms != 0 ? o->idle_ms : RCO__IDLE_DEFAULT_MS) * 1000;
	rco__jobs_init(&control->stops.todo);
	rco__jobs_init(&control->commits.todo);
	control->stops.most = RCO__STOPPERS_MAX;
	control->commits.most = RCO__COMMITTERS_MAX;
	rco__jobs_init(&control->done);
	rco__jobs_init(&control->waiting);
	control->news_last = &control->news;
	control->clients = calloc(control->max_clients + RCO__LEAVING_MAX, sizeof *control->clients);
	control->uids = calloc(o->n_allowed_uids + 1, sizeof *control->uids);
	control->polled = calloc(1, sizeof *control->polled);
	if (control->clients == NULL || control->uids == NULL || control->polled == NULL) {
		free(control->clients); /* destroy() would look into it */
		control->clients = NULL;
		destroy(control);
		return NULL;
	}
	for (i = 0; i < control->max_clients + RCO__LEAVING_MAX; i++) {
		control->clients[i].fd = -1;
		rco__jobs_init(&control->clients[i].held);
	}
	for (i = 0; i < o->n_allowed_uids; i++)
		control->uids[i] = (uid_t)o->allowed_uids[i];
	control->n_uids = (uint32_t)o->n_allowed_uids;
	rco__fork_add(control);
	return control;
}

static int open_door(rco_control *control)
{
	int rc = open_folder(control);

	if (rc == RCO_OK)
		rc = lock_place(control);
	if (rc == RCO_OK)
		rc = clear_place(control);
	if (rc == RCO_OK)
		rc = make_socket(control);
	if (rc != RCO_OK)
		return rc;
	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->wake_fd < 0)
		return rco__fail_errno(errno, "eventfd");
	rc = rco_engine_add_listener(control->engine, hear, control);
	if (rc != RCO_OK)
		return rc;
	rc = start(control);
	if (rc != RCO_OK)
		(void)rco_engine_remove_listener(control->engine, hear, control);
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
	if (rc == RCO_OK)
		rc = count_clients(&o.max_clients);
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

/* In a child: the threads are the parent's, and the sockets, which fork.c has closed. */
static void let_go(rco_control *control)
{
	close_fd(control->lock_fd);
	close_fd(control->wake_fd);
	close_fd(control->spare_fd);
	close_fd(control->folder_fd);
}

void rco_control_close(rco_control *control)
{
	if (control == NULL)
		return;
	if (control->pid != getpid()) {
		let_go(control);
		return;
	}
	(void)rco_engine_remove_listener(control->engine, hear, control);
	stop(control);
	destroy(control);
}
