/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include "error.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { TRIES = 100, FILE_MODE = 0600 };

typedef struct held {
	struct held *next;
	dev_t dev;
	ino_t ino;
	pid_t pid;
	int fd;
} held;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the list, and over opening what is in it */
static held *list;

static int same(const struct stat *a, dev_t dev, ino_t ino)
{
	return a->st_dev == dev && a->st_ino == ino;
}

/* Closing a lock's descriptor need not say so here: an entry counts as long as its descriptor is open on
 * its file, in the process that locked it. */
static int is_held(const struct stat *file, int new_fd)
{
	held **at = &list;
	struct stat st;
	int found = 0;

	while (*at != NULL) {
		held *h = *at;

		/* A number that was just given out again was closed before. */
		if (h->fd != new_fd && h->pid == getpid() && fstat(h->fd, &st) == 0 && same(&st, h->dev, h->ino)) {
			found |= same(file, h->dev, h->ino);
			at = &h->next;
		} else {
			*at = h->next;
			free(h);
		}
	}
	return found;
}

static int busy(const char *path)
{
	return rco__fail(RCO_E_BUSY, "another engine or process holds %s", path);
}

static int open_retry(int at, const char *name, int flags)
{
	int fd;

	/* A FIFO that was put there must not make us wait. */
	do
		fd = openat(at, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | flags, FILE_MODE);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static int lock_descriptor(int fd, const char *path)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int rc;

	do
		rc = fcntl(fd, F_SETLK, &whole);
	while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return RCO_OK;
	if (errno != EAGAIN)
		return rco__fail_errno(errno, "cannot lock %s", path);
	/* None of ours takes a shared lock; who had the file open for reading can. */
	if (fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type == F_RDLCK)
		return rco__fail(RCO_E_BUSY, "process %ld, which is no engine, holds a lock on %s: end it",
		                 (long)whole.l_pid, path);
	return busy(path);
}

/* RCO_PENDING: the file that was locked is not the one of that name any more. */
static int lock_once(int at, const char *name, int flags, const char *path, const rco__env *env, held *entry)
{
	struct stat st, now;
	int rc;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (is_held(&st, -1))
			return busy(path);
		rc = (flags & O_EXCL) != 0 ? RCO_OK : rco__trust_file(&st, path);
		if (rc != RCO_OK)
			return rc;
	}
	entry->fd = open_retry(at, name, flags);
	if (entry->fd < 0)
		return errno == ELOOP ? rco__fail(RCO_E_PERMISSION, "%s is a symbolic link: move it away", path)
		                      : rco__fail_errno(errno, "cannot open %s", path);
	rc = fstat(entry->fd, &st) == 0 ? RCO_OK : rco__fail_errno(errno, "cannot stat %s", path);
	/* Put there under this name a moment ago. The descriptor stays open: closing it would end that lock. */
	if (rc == RCO_OK && is_held(&st, entry->fd))
		return busy(path);
	if (rc == RCO_OK)
		rc = rco__trust_file(&st, path);
	if (rc == RCO_OK)
		rc = rco__trust_secret(entry->fd, &st, path, env);
	if (rc == RCO_OK)
		rc = lock_descriptor(entry->fd, path);
	if (rc == RCO_OK &&
	    (fstatat(at, name, &now, AT_SYMLINK_NOFOLLOW) != 0 || !same(&now, st.st_dev, st.st_ino)))
		rc = RCO_PENDING;
	if (rc != RCO_OK) {
		(void)close(entry->fd); /* nothing was written */
		return rc;
	}
	entry->dev = st.st_dev;
	entry->ino = st.st_ino;
	return RCO_OK;
}

int rco__lock_at(int at, const char *name, int flags, const char *path, const rco__env *env, int *fd)
{
	held *entry = malloc(sizeof *entry);
	int i, rc = RCO_PENDING;

	*fd = -1;
	if (entry == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a lock");
	(void)pthread_mutex_lock(&lock);
	for (i = 0; i < TRIES && rc == RCO_PENDING; i++)
		rc = lock_once(at, name, flags, path, env, entry);
	if (rc == RCO_OK) {
		*fd = entry->fd;
		entry->pid = getpid();
		entry->next = list;
		list = entry;
		entry = NULL;
	}
	(void)pthread_mutex_unlock(&lock);
	free(entry);
	return rc == RCO_PENDING ? busy(path) : rc;
}

static int nobody_has(int at, const char *name)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;
	int fd, yes;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) || is_held(&st, -1))
		return 0;
	fd = open_retry(at, name, 0);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) != 0 || is_held(&st, fd))
		return 0; /* put there a moment ago: closing it would end that lock */
	yes = fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type == F_UNLCK;
	(void)close(fd); /* nothing was written */
	return yes;
}

int rco__lock_is_free(int at, const char *name)
{
	int yes;

	(void)pthread_mutex_lock(&lock);
	yes = nobody_has(at, name);
	(void)pthread_mutex_unlock(&lock);
	return yes;
}
