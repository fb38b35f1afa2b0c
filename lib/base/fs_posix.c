/* SPDX-License-Identifier: MIT */
#include "fs_roots.h"

#include "error.h"
#include "lock.h"
#include "trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/stat.h> /* behind sys/stat.h, which is the C library's */
#include <unistd.h>

enum { FILE_MODE = 0600, FOLDER_MODE = 0700, FD_NAME = 300 };

/* The file behind a descriptor, for error texts. */
static const char *fd_name(int fd, char out[FD_NAME])
{
	char link[64];
	ssize_t n = -1;

	if (snprintf(link, sizeof link, "/proc/self/fd/%d", fd) > 0)
		n = readlink(link, out, FD_NAME - 1);
	if (n < 0)
		return "an open file";
	out[n] = '\0';
	return out;
}

static int fail_fd(int err, const char *what, int fd)
{
	char name[FD_NAME];

	return rco__fail_errno(err, "cannot %s %s", what, fd_name(fd, name));
}

static int range_ok(uint64_t offset, uint64_t size)
{
	return offset <= (uint64_t)INT64_MAX && size <= (uint64_t)INT64_MAX - offset;
}

static int open_retry(const rco__place *place, int flags)
{
	int fd;

	/* A FIFO that was put there must not make us wait, nor a terminal become ours. */
	do
		fd = openat(place->at, place->name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		            FILE_MODE);
	while (fd < 0 && errno == EINTR);
	return fd;
}

/* Whose log tells of a folder's files. */
static const rco__env *env_of(void *ctx)
{
	rco__roots *roots = rco__roots_of(ctx);

	return roots != NULL ? &roots->env : NULL;
}

/* A file that was opened: is it one to be trusted? What the umask took from a new one is given back. */
static int check_opened(void *ctx, int fd, int how, const char *path, int secret)
{
	struct stat st;
	int rc;

	if (fstat(fd, &st) != 0)
		return rco__fail_errno(errno, "cannot stat %s", path);
	if (how == RCO__FS_READ && S_ISDIR(st.st_mode))
		return RCO_OK; /* reading it fails: that is damage, and nothing of anybody's is believed */
	rc = rco__trust_file(&st, path);
	if (rc == RCO_OK && secret)
		rc = rco__trust_secret(fd, &st, path, env_of(ctx));
	if (rc != RCO_OK || how < RCO__FS_CREATE)
		return rc;
	if ((st.st_mode & FILE_MODE) != FILE_MODE && st.st_uid == geteuid() && fchmod(fd, FILE_MODE) != 0)
		return rco__fail_errno(errno, "cannot chmod %s", path);
	if (how == RCO__FS_CREATE_TRUNCATE && st.st_size != 0 && ftruncate(fd, 0) != 0)
		return rco__fail_errno(errno, "cannot empty %s", path);
	return RCO_OK;
}

/* Of a file that is not ours to open the owner is told, for that is what is wrong. */
static int open_failed(const rco__place *place, int err, const char *path)
{
	struct stat st;

	if (err == EACCES && fstatat(place->at, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && st.st_uid != geteuid())
		return rco__fail(
			RCO_E_PERMISSION,
			"cannot open %s: it belongs to user %lu (mode %04o), and this is user %lu; chown it, or "
			"run as that user",
			path, (unsigned long)st.st_uid, (unsigned)(st.st_mode & 07777), (unsigned long)geteuid());
	return rco__place_fail(err, "open", path);
}

static int real_open(void *ctx, const char *path, int how, int *fd)
{
	static const int flags[] = {
		[RCO__FS_READ] = O_RDONLY,
		[RCO__FS_WRITE] = O_RDWR,
		[RCO__FS_CREATE] = O_RDWR | O_CREAT,
		[RCO__FS_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
		[RCO__FS_CREATE_TRUNCATE] = O_RDWR | O_CREAT, /* emptied when it has been looked at */
	};
	rco__place place;
	int rc, err, secret;

	*fd = -1;
	if (how < RCO__FS_READ || how > RCO__FS_CREATE_TRUNCATE)
		return rco__fail(RCO_E_INTERNAL, "open of %s in an unknown way, %d", path, how);
	err = rco__place_find(ctx, path, &place);
	if (err != 0)
		return rco__place_fail(err, "open", path);
	*fd = open_retry(&place, flags[how]);
	rc = *fd < 0 ? open_failed(&place, errno, path) : RCO_OK;
	/* State and keys are nobody else's to read; a recording in the output its owner may have opened to a
	 * group. */
	secret = place.root != NULL && place.root->kind == RCO__TRUST_OWN;
	rco__place_leave(&place);
	if (rc != RCO_OK)
		return rc;
	rc = check_opened(ctx, *fd, how, path, secret);
	if (rc != RCO_OK) {
		(void)close(*fd); /* nothing was written */
		*fd = -1;
	}
	return rc;
}

static int real_close(void *ctx, int fd)
{
	char name[FD_NAME];
	const char *known = fd_name(fd, name);

	(void)ctx;
	/* On Linux the descriptor is gone after EINTR too; a second close could hit another thread's file. */
	if (close(fd) == 0 || errno == EINTR)
		return RCO_OK;
	return rco__fail_errno(errno, "cannot close %s", known);
}

static int real_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	uint8_t *to = buf;
	ssize_t n;

	(void)ctx;
	*got = 0;
	if (!range_ok(offset, size))
		return fail_fd(EOVERFLOW, "read", fd);
	while (*got < size) {
		n = pread(fd, to + *got, size - *got, (off_t)(offset + *got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_fd(errno, "read", fd);
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return RCO_OK;
}

static int real_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	const uint8_t *from = buf;
	size_t done = 0;
	ssize_t n;

	(void)ctx;
	if (!range_ok(offset, size))
		return fail_fd(EFBIG, "write", fd);
	while (done < size) {
		n = pwrite(fd, from + done, size - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_fd(n < 0 ? errno : EIO, "write", fd);
		done += (size_t)n;
	}
	return RCO_OK;
}

static int real_sync(void *ctx, int fd)
{
	int rc;

	(void)ctx;
	do
		rc = fdatasync(fd);
	while (rc != 0 && errno == EINTR);
	return rc == 0 ? RCO_OK : fail_fd(errno, "sync", fd);
}

/* To sync it or to list it. */
static int open_folder(void *ctx, const char *path, int *fd)
{
	rco__place place;
	int err = rco__place_find(ctx, path, &place);

	if (err == 0) {
		*fd = open_retry(&place, O_RDONLY | O_DIRECTORY);
		err = *fd < 0 ? errno : 0;
		if (err == ENOTDIR && rco__is_link(place.at, place.name))
			err = ELOOP;
		rco__place_leave(&place);
	}
	return err == 0 ? RCO_OK : rco__place_fail(err, "open the folder", path);
}

static int real_sync_dir(void *ctx, const char *path)
{
	int fd, err, rc = open_folder(ctx, path, &fd);

	if (rc != RCO_OK)
		return rc;
	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	err = errno;
	(void)close(fd); /* opened for reading: nothing can be lost by it */
	return rc == 0 ? RCO_OK : rco__fail_errno(err, "cannot sync the folder %s", path);
}

static int real_size(void *ctx, int fd, uint64_t *size)
{
	struct stat st;

	(void)ctx;
	*size = 0;
	if (fstat(fd, &st) != 0)
		return fail_fd(errno, "stat", fd);
	*size = (uint64_t)st.st_size;
	return RCO_OK;
}

static int real_truncate(void *ctx, int fd, uint64_t size)
{
	int rc;

	(void)ctx;
	if (!range_ok(0, size))
		return fail_fd(EFBIG, "truncate", fd);
	do
		rc = ftruncate(fd, (off_t)size);
	while (rc != 0 && errno == EINTR);
	return rc == 0 ? RCO_OK : fail_fd(errno, "truncate", fd);
}

static int real_reserve(void *ctx, int fd, uint64_t offset, uint64_t size)
{
	int err;

	(void)ctx;
	if (size == 0)
		return RCO_OK;
	if (!range_ok(offset, size))
		return fail_fd(EFBIG, "reserve space for", fd);
	do
		err = posix_fallocate(fd, (off_t)offset, (off_t)size);
	while (err == EINTR);
	return err == 0 ? RCO_OK : fail_fd(err, "reserve space for", fd);
}

static int real_rename(void *ctx, const char *from, const char *to)
{
	rco__place old, new;
	int err = rco__place_find(ctx, from, &old);

	if (err != 0)
		return rco__place_fail(err, "rename", from);
	err = rco__place_find(ctx, to, &new);
	if (err == 0) {
		if (renameat(old.at, old.name, new.at, new.name) != 0)
			err = errno;
		rco__place_leave(&new);
	}
	rco__place_leave(&old);
	if (err == ELOOP)
		return rco__place_fail(err, "rename a file to", to);
	return err == 0 ? RCO_OK : rco__fail_errno(err, "cannot rename %s to %s", from, to);
}

static int real_unlink(void *ctx, const char *path)
{
	rco__place place;
	int err = rco__place_find(ctx, path, &place);

	if (err == 0) {
		if (unlinkat(place.at, place.name, 0) != 0)
			err = errno;
		rco__place_leave(&place);
	}
	return err == 0 ? RCO_OK : rco__place_fail(err, "remove", path);
}

static int kind_of(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return RCO__FS_FOLDER;
	if (!S_ISREG(st->st_mode))
		return S_ISLNK(st->st_mode) ? RCO__FS_LINK : RCO__FS_OTHER;
	if (st->st_nlink > 1)
		return RCO__FS_LINKED;
	return rco__trust_owner(st) ? RCO__FS_FILE : RCO__FS_FOREIGN;
}

static int real_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	rco__place place;
	struct stat st;
	int err = rco__place_find(ctx, path, &place);

	*yes = RCO__FS_NONE;
	if (size != NULL)
		*size = 0;
	if (err == 0) {
		if (fstatat(place.at, place.name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			err = errno;
		rco__place_leave(&place);
	}
	if (err == ENOENT || err == ENOTDIR)
		return RCO_OK;
	if (err != 0)
		return rco__place_fail(err, "look for", path);
	if (S_ISDIR(st.st_mode) && st.st_nlink == 0) /* a root that was removed */
		return RCO_OK;
	*yes = kind_of(&st);
	if (size != NULL)
		*size = (uint64_t)st.st_size;
	return RCO_OK;
}

static int64_t ns_of(const struct statx_timestamp *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int real_stamp(void *ctx, const char *path, rco__fs_stamp *stamp)
{
	rco__place place;
	struct statx st;
	struct stat as_stat;
	int err = rco__place_find(ctx, path, &place);

	memset(stamp, 0, sizeof *stamp);
	if (err == 0) {
		if (syscall(SYS_statx, place.at, place.name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
		            &st) != 0)
			err = errno;
		rco__place_leave(&place);
	}
	if (err == ENOENT || err == ENOTDIR)
		return RCO_OK;
	if (err != 0)
		return rco__place_fail(err, "look at", path);
	as_stat = (struct stat){.st_mode = st.stx_mode, .st_nlink = st.stx_nlink, .st_uid = st.stx_uid};
	stamp->kind = kind_of(&as_stat);
	stamp->device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
	stamp->inode = st.stx_ino;
	stamp->size = st.stx_size;
	stamp->born_ns = st.stx_mask & STATX_BTIME ? ns_of(&st.stx_btime) : 0;
	stamp->written_ns = ns_of(&st.stx_mtime);
	return RCO_OK;
}

/* What the umask took from a folder that was just made is given back. */
static int own_bits(int at, const char *name, const char *path)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return rco__fail_errno(errno, "cannot look at the folder %s", path);
	if (S_ISDIR(st.st_mode) && (st.st_mode & FOLDER_MODE) != FOLDER_MODE &&
	    fchmodat(at, name, FOLDER_MODE, 0) != 0)
		return rco__fail_errno(errno, "cannot chmod %s", path);
	return RCO_OK;
}

/* Outside the roots links are followed: a data folder may be one, to where an administrator moved it. Where others
 * could exchange it nothing is made. */
static int make_first(const char *path)
{
	struct stat st;
	int rc = rco__trust_way(path);

	if (rc != RCO_OK)
		return rc;
	if (mkdir(path, FOLDER_MODE) == 0)
		return own_bits(AT_FDCWD, path, path);
	if (errno == EROFS && access(path, F_OK) == 0) /* told by what is done there */
		errno = EEXIST;
	if (errno == EROFS)
		return rco__fail(
			RCO_E_PERMISSION,
			"cannot make the folder %s: the file system is mounted read-only; mount it for writing, "
			"or name another folder",
			path);
	if (errno != EEXIST)
		return rco__fail_errno(errno, "cannot make the folder %s", path);
	if (stat(path, &st) != 0)
		return errno == ENOENT ? rco__fail(RCO_E_NOT_FOUND,
		                                   "%s is a symbolic link to a folder that is not there: mount or "
		                                   "make it, or let "
		                                   "the link lead to another",
		                                   path)
		                       : rco__fail_errno(errno, "cannot look at the folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return rco__fail(RCO_E_STATE, "%s is there but not a folder; move it away or name another", path);
	return RCO_OK;
}

static int make_in(const rco__place *place, const char *path)
{
	struct stat st;

	if (mkdirat(place->at, place->name, FOLDER_MODE) == 0)
		return own_bits(place->at, place->name, path);
	if (errno != EEXIST)
		return rco__fail_errno(errno, "cannot make the folder %s", path);
	if (fstatat(place->at, place->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return rco__fail_errno(errno, "cannot look at the folder %s", path);
	if (S_ISLNK(st.st_mode))
		return rco__place_fail(ELOOP, "use the folder", path);
	return rco__trust_folder(&st, place->root->kind, path);
}

static int real_mkdir(void *ctx, const char *path)
{
	rco__place place;
	int rc, err = rco__place_find(ctx, path, &place);

	if (err == ELOOP && place.root == NULL)
		return make_first(path);
	if (err != 0)
		return rco__place_fail(err, "make the folder", path);
	rc = place.root != NULL ? make_in(&place, path) : make_first(path);
	rco__place_leave(&place);
	return rc;
}

/* One name; 0 at the end of the folder. */
static int next_name(DIR *dir, const char **name)
{
	const struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(dir);
	} while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	if (entry == NULL)
		return 0;
	*name = entry->d_name;
	return 1;
}

static int real_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	const char *name;
	int rc, fd, stop = 0;
	DIR *dir;

	rc = open_folder(ctx, path, &fd);
	if (rc != RCO_OK)
		return rc;
	dir = fdopendir(fd);
	if (dir == NULL) {
		rc = rco__fail_errno(errno, "cannot read the folder %s", path);
		(void)close(fd);
		return rc;
	}
	while (!stop && next_name(dir, &name))
		stop = fn(name, user_data);
	if (!stop && errno != 0)
		rc = rco__fail_errno(errno, "cannot read the folder %s", path);
	(void)closedir(dir); /* opened for reading: nothing can be lost by it */
	return rc;
}

static int real_lock(void *ctx, const char *path, int *fd)
{
	rco__place place;
	int rc, err = rco__place_find(ctx, path, &place);

	*fd = -1;
	if (err == ELOOP && place.root == NULL) /* a socket's folder may have links on the way, as /var/run */
		return rco__lock_at(AT_FDCWD, path, O_CREAT, path, env_of(ctx), fd);
	if (err != 0)
		return rco__place_fail(err, "open", path);
	rc = rco__lock_at(place.at, place.name, O_CREAT, path, env_of(ctx), fd);
	rco__place_leave(&place);
	return rc;
}

static int real_resolve(void *ctx, const char *path, int kind, char *out, size_t size)
{
	return rco__roots_resolve(ctx, path, kind, out, size);
}

const rco__fs *rco__fs_posix(void)
{
	static const rco__fs table = {
		.ctx = NULL,
		.open = real_open,
		.close = real_close,
		.read = real_read,
		.write = real_write,
		.sync = real_sync,
		.sync_dir = real_sync_dir,
		.size = real_size,
		.truncate = real_truncate,
		.reserve = real_reserve,
		.rename = real_rename,
		.unlink = real_unlink,
		.exists = real_exists,
		.mkdir = real_mkdir,
		.list = real_list,
		.lock = real_lock,
		.resolve = real_resolve,
		.stamp = real_stamp,
	};

	return &table;
}
