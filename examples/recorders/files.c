/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/stat.h> /* behind sys/stat.h, which is the C library's */
#include <unistd.h>

/* Two threads of ours that open one file would each keep the other from the lease. */
static pthread_mutex_t one_lease = PTHREAD_MUTEX_INITIALIZER;

int file_same(const file_id *a, const file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->birth_ns == b->birth_ns;
}

/* ---- the folder ---- */

const char *folder_check(const char *dir, char out[PATH_ROOM])
{
	static _Thread_local char text[PATH_ROOM + 64];
	struct stat st;
	char *real = realpath(dir, NULL);

	(void)snprintf(text, sizeof text, "--dir %.900s: %s", dir, strerror(errno));
	if (real == NULL)
		return text;
	if (strlen(real) >= PATH_ROOM - VALUE_MAX || stat(real, &st) != 0 || !S_ISDIR(st.st_mode)) {
		(void)snprintf(text, sizeof text, "--dir %.900s is no folder, or its path is too long", dir);
		free(real);
		return text;
	}
	(void)snprintf(out, PATH_ROOM, "%s", real);
	free(real);
	return NULL;
}

static int has_cap_lease(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	return syscall(SYS_capget, &header, data) == 0 && (data[0].effective >> CAP_LEASE & 1) != 0;
}

const char *folder_doubts(const char *dir)
{
	struct stat st;
	int fd, refused;

	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) != 0)
		return "this user may not remove files there: nothing can be erased. Run as the recorder's user.";
	if (stat(dir, &st) == 0 && st.st_uid != geteuid() && !has_cap_lease())
		return "the folder is another user's, and CAP_LEASE is missing: of another user's files it cannot "
		       "be "
		       "told whether they are still written. Run as the recorder's user.";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL; /* cannot be tried without a name that the recorder's own tools would see */
	refused = fcntl(fd, F_SETLEASE, F_WRLCK) != 0;
	(void)close(fd);
	return refused ? "this file system has no leases (NFS?): whether a file is still written cannot be told, "
	                 "and the "
	                 "recorder's word is all there is."
	               : NULL;
}

const char *folder_name(const char *dir, const char *given)
{
	size_t n = strlen(dir);
	const char *name = given, *p;

	if (given[0] == '/') {
		if (strncmp(given, dir, n) != 0 || given[n] != '/')
			return NULL;
		name = given + n + 1;
	}
	for (p = name; p != NULL;) {
		const char *slash = strchr(p, '/');
		size_t part = slash != NULL ? (size_t)(slash - p) : strlen(p);

		if (part == 0 || part > NAME_MAX || (part == 1 && p[0] == '.') ||
		    (part == 2 && p[0] == '.' && p[1] == '.'))
			return NULL;
		p = slash != NULL ? slash + 1 : NULL;
	}
	return name;
}

/* ---- one file ---- */

/* The folder that has it, opened step by step through no link; -1 and errno. `leaf` gets its name there. */
static int open_folder(const char *dir, const char *path, const char **leaf)
{
	const char *name = folder_name(dir, path), *slash;
	char part[PATH_ROOM];
	int fd, next;

	if (name == NULL) {
		errno = EINVAL;
		return -1;
	}
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (; fd >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1, fd = next) {
		(void)snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
		next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			int kept = errno;

			(void)close(fd);
			errno = kept;
		} else {
			(void)close(fd);
		}
	}
	*leaf = name;
	return fd;
}

static int64_t ns_of(struct statx_timestamp t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Of `name` in `at`, or of `at` itself if that is "". */
static file_state look(int at, const char *name, file_id *id)
{
	struct statx st;

	if (syscall(SYS_statx, at, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME,
	            &st) != 0)
		return errno == ENOENT ? FILE_GONE : FILE_UNKNOWN;
	id->dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
	id->ino = st.stx_ino;
	id->birth_ns = st.stx_mask & STATX_BTIME ? ns_of(st.stx_btime) : 0;
	id->mtime_ns = ns_of(st.stx_mtime);
	id->size = st.stx_size;
	id->links = st.stx_nlink;
	return S_ISREG(st.stx_mode) ? FILE_THERE : FILE_ODD;
}

file_state file_look(const char *dir, const char *path, file_id *id, char why[WHY_MAX])
{
	const char *leaf;
	int at = open_folder(dir, path, &leaf);
	file_state state;

	if (at >= 0)
		state = look(at, leaf, id);
	else
		state = errno == ENOENT ? FILE_GONE : errno == ELOOP || errno == ENOTDIR ? FILE_ODD : FILE_UNKNOWN;
	if (state == FILE_ODD)
		(void)snprintf(why, WHY_MAX, "%.180s is no regular file, or behind a link: it is left alone",
		               path);
	else if (state == FILE_UNKNOWN)
		(void)snprintf(why, WHY_MAX, "%.180s: %s", path, strerror(errno));
	if (at >= 0)
		(void)close(at);
	return state;
}

int file_hold(const char *dir, const char *path, const file_id *id)
{
	const char *leaf;
	int at = open_folder(dir, path, &leaf), fd;
	file_id now;

	if (at < 0)
		return -1;
	fd = openat(at, leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	(void)close(at);
	if (fd < 0 || (look(fd, "", &now) == FILE_THERE && file_same(&now, id)))
		return fd;
	(void)close(fd);
	return -1;
}

int file_is_unlinked(int held)
{
	file_id now;

	return held >= 0 && look(held, "", &now) == FILE_THERE && now.links == 0;
}

/* The file itself, if it is still that one; -1. Never waits: for no pipe, and for no lease of somebody else's. */
static int open_file(int at, const char *leaf, const file_id *id)
{
	int fd = openat(at, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	file_id now;

	if (fd >= 0 && (look(fd, "", &now) != FILE_THERE || !file_same(&now, id))) {
		(void)close(fd);
		errno = ESTALE;
		return -1;
	}
	return fd;
}

/* F_WRLCK is refused if anybody else has it open, F_RDLCK if somebody has it open for writing. */
static file_use lease(int fd, int kind)
{
	if (fd >= 0 && fcntl(fd, F_SETLEASE, kind) == 0)
		return FILE_FREE;
	return fd >= 0 && errno == EAGAIN ? FILE_BUSY : FILE_USE_UNKNOWN;
}

file_use file_in_use(const char *dir, const char *path, const file_id *id, char why[WHY_MAX])
{
	const char *leaf;
	file_use use = FILE_USE_UNKNOWN;
	int at, fd = -1;

	(void)pthread_mutex_lock(&one_lease);
	at = open_folder(dir, path, &leaf);
	if (at >= 0)
		fd = open_file(at, leaf, id);
	use = lease(fd, F_WRLCK);
	if (use == FILE_USE_UNKNOWN)
		(void)snprintf(why, WHY_MAX, "whether %.120s is still written cannot be told: %s", path,
		               strerror(errno));
	else if (use == FILE_BUSY)
		(void)snprintf(why, WHY_MAX, "%.180s is open: it is still written, or read", path);
	if (fd >= 0)
		(void)close(fd); /* and with it the lease */
	if (at >= 0)
		(void)close(at);
	(void)pthread_mutex_unlock(&one_lease);
	return use;
}

file_use file_is_written(const char *dir, const char *path, const file_id *id)
{
	const char *leaf;
	file_use use = FILE_USE_UNKNOWN;
	int at, fd = -1;

	(void)pthread_mutex_lock(&one_lease);
	at = open_folder(dir, path, &leaf);
	if (at >= 0)
		fd = open_file(at, leaf, id);
	use = lease(fd, F_RDLCK);
	if (fd >= 0)
		(void)close(fd);
	if (at >= 0)
		(void)close(at);
	(void)pthread_mutex_unlock(&one_lease);
	return use;
}

/* O_PATH cannot be synced. */
static int sync_folder(int at)
{
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	(void)close(fd);
	return rc;
}

static file_erased unlink_it(int at, const char *leaf, int fd, file_use use, char why[WHY_MAX])
{
	if (unlinkat(at, leaf, 0) != 0 && errno != ENOENT) {
		(void)snprintf(why, WHY_MAX, "%.120s cannot be removed: %s", leaf, strerror(errno));
		return FILE_REFUSED;
	}
	/* One who opened it meanwhile waits for the lease, and writes on, unseen: the recorder was started again.
	 */
	if (use == FILE_FREE && fcntl(fd, F_GETLEASE) != F_WRLCK)
		return FILE_WRITTEN;
	if (sync_folder(at) == 0)
		return FILE_ERASED;
	(void)snprintf(why, WHY_MAX, "its folder cannot be synced: %s", strerror(errno));
	return FILE_REFUSED;
}

static file_erased erase_at(int at, const char *leaf, const file_id *id, int must_be_free, char why[WHY_MAX])
{
	file_id now = {0};
	int fd = open_file(at, leaf, id);
	file_use use = lease(fd, F_WRLCK);
	file_erased done = FILE_REFUSED;

	if (look(at, leaf, &now) == FILE_THERE && !file_same(&now, id))
		done = FILE_NOT_OURS;
	else if (use == FILE_BUSY)
		done = FILE_WRITTEN;
	else if (use == FILE_USE_UNKNOWN && must_be_free)
		(void)snprintf(why, WHY_MAX, "whether %.120s is still written cannot be told", leaf);
	else if (now.links > 1)
		(void)snprintf(why, WHY_MAX, "%.120s has other names (hard links), which are not known", leaf);
	else
		done = unlink_it(at, leaf, fd, use, why);
	if (fd >= 0)
		(void)close(fd);
	return done;
}

file_erased file_erase(const char *dir, const char *path, const file_id *id, int must_be_free, char why[WHY_MAX])
{
	const char *leaf;
	file_erased done = FILE_REFUSED;
	int at;

	(void)pthread_mutex_lock(&one_lease);
	at = open_folder(dir, path, &leaf);
	if (at >= 0)
		done = erase_at(at, leaf, id, must_be_free, why);
	else
		(void)snprintf(why, WHY_MAX, "%.180s: %s", path, strerror(errno));
	if (at >= 0)
		(void)close(at);
	(void)pthread_mutex_unlock(&one_lease);
	return done;
}
