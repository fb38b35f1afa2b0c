/* SPDX-License-Identifier: MIT */
#include "fs.h"

#include "error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
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

static int open_retry(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, FILE_MODE);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static int posix_open(void *ctx, const char *path, int how, int *fd)
{
	static const int flags[] = {
		[RCO__FS_READ] = O_RDONLY,
		[RCO__FS_WRITE] = O_RDWR,
		[RCO__FS_CREATE] = O_RDWR | O_CREAT,
		[RCO__FS_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
		[RCO__FS_CREATE_TRUNCATE] = O_RDWR | O_CREAT | O_TRUNC,
	};

	(void)ctx;
	*fd = -1;
	if (how < RCO__FS_READ || how > RCO__FS_CREATE_TRUNCATE)
		return rco__fail(RCO_E_INTERNAL, "open of %s in an unknown way, %d", path, how);
	*fd = open_retry(path, flags[how] | O_NOFOLLOW);
	return *fd >= 0 ? RCO_OK : rco__fail_errno(errno, "cannot open %s", path);
}

static int posix_close(void *ctx, int fd)
{
	char name[FD_NAME];
	const char *known = fd_name(fd, name);

	(void)ctx;
	/* On Linux the descriptor is gone after EINTR too; a second close could hit another thread's file. */
	if (close(fd) == 0 || errno == EINTR)
		return RCO_OK;
	return rco__fail_errno(errno, "cannot close %s", known);
}

static int posix_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
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

static int posix_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
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

static int posix_sync(void *ctx, int fd)
{
	int rc;

	(void)ctx;
	do
		rc = fdatasync(fd);
	while (rc != 0 && errno == EINTR);
	return rc == 0 ? RCO_OK : fail_fd(errno, "sync", fd);
}

static int posix_sync_dir(void *ctx, const char *path)
{
	int fd = open_retry(path, O_RDONLY | O_DIRECTORY);
	int rc, err;

	(void)ctx;
	if (fd < 0)
		return rco__fail_errno(errno, "cannot open the folder %s", path);
	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	err = errno;
	(void)close(fd); /* opened for reading: nothing can be lost by it */
	return rc == 0 ? RCO_OK : rco__fail_errno(err, "cannot sync the folder %s", path);
}

static int posix_size(void *ctx, int fd, uint64_t *size)
{
	struct stat st;

	(void)ctx;
	*size = 0;
	if (fstat(fd, &st) != 0)
		return fail_fd(errno, "stat", fd);
	*size = (uint64_t)st.st_size;
	return RCO_OK;
}

static int posix_truncate(void *ctx, int fd, uint64_t size)
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

static int posix_reserve(void *ctx, int fd, uint64_t offset, uint64_t size)
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

static int posix_rename(void *ctx, const char *from, const char *to)
{
	(void)ctx;
	if (rename(from, to) == 0)
		return RCO_OK;
	return rco__fail_errno(errno, "cannot rename %s to %s", from, to);
}

static int posix_unlink(void *ctx, const char *path)
{
	(void)ctx;
	return unlink(path) == 0 ? RCO_OK : rco__fail_errno(errno, "cannot remove %s", path);
}

static int kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return RCO__FS_FILE;
	if (S_ISDIR(mode))
		return RCO__FS_FOLDER;
	return S_ISLNK(mode) ? RCO__FS_LINK : RCO__FS_OTHER;
}

static int posix_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	struct stat st;

	(void)ctx;
	*yes = RCO__FS_NONE;
	if (size != NULL)
		*size = 0;
	if (lstat(path, &st) != 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return RCO_OK;
		return rco__fail_errno(errno, "cannot look for %s", path);
	}
	*yes = kind_of(st.st_mode);
	if (size != NULL)
		*size = (uint64_t)st.st_size;
	return RCO_OK;
}

static int posix_mkdir(void *ctx, const char *path)
{
	struct stat st;

	(void)ctx;
	if (mkdir(path, FOLDER_MODE) == 0)
		return RCO_OK;
	if (errno != EEXIST)
		return rco__fail_errno(errno, "cannot make the folder %s", path);
	/* stat, not lstat: a data folder that an administrator moved elsewhere and linked is a folder. */
	if (stat(path, &st) != 0)
		return rco__fail_errno(errno, "cannot look at the folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return rco__fail(RCO_E_STATE, "%s is there but not a folder; move it away or name another", path);
	return RCO_OK;
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

static int posix_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	const char *name;
	int rc = RCO_OK, fd, stop = 0;
	DIR *dir;

	(void)ctx;
	fd = open_retry(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return rco__fail_errno(errno, "cannot open the folder %s", path);
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

static int posix_lock(void *ctx, const char *path, int *fd)
{
	int rc, err;

	(void)ctx;
	*fd = open_retry(path, O_RDWR | O_CREAT | O_NOFOLLOW);
	if (*fd < 0)
		return rco__fail_errno(errno, "cannot open %s", path);
	do
		rc = flock(*fd, LOCK_EX | LOCK_NB);
	while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return RCO_OK;
	err = errno;
	(void)close(*fd); /* nothing was written */
	*fd = -1;
	return rco__fail_errno(err, err == EWOULDBLOCK ? "another engine or process holds %s" : "cannot lock %s",
	                       path);
}

const rco__fs *rco__fs_posix(void)
{
	static const rco__fs table = {
		.ctx = NULL,
		.open = posix_open,
		.close = posix_close,
		.read = posix_read,
		.write = posix_write,
		.sync = posix_sync,
		.sync_dir = posix_sync_dir,
		.size = posix_size,
		.truncate = posix_truncate,
		.reserve = posix_reserve,
		.rename = posix_rename,
		.unlink = posix_unlink,
		.exists = posix_exists,
		.mkdir = posix_mkdir,
		.list = posix_list,
		.lock = posix_lock,
	};

	return &table;
}
