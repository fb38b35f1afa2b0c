/* SPDX-License-Identifier: MIT */
/* The disks of the tests: one that shows what is asked of it, and one that fails and stalls on demand. */
#include "support_disk.h"

#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- a disk that shows what is asked of it ---- */

static _Atomic uint8_t *mark_of(t_disk *disk, int fd)
{
	return fd >= 0 && (size_t)fd < sizeof disk->marks ? &disk->marks[fd] : NULL;
}

/* Non-zero: it is not done, and *rc is the answer. */
static int refused(t_disk *disk, t_demand *demand, int *rc)
{
	_Atomic uint8_t *mark = mark_of(disk, demand->fd);
	uint8_t before = mark != NULL ? atomic_load(mark) : 0;

	demand->mark = before;
	*rc = disk->ask(demand, disk->user_data);
	if (mark != NULL && demand->mark != before)
		atomic_store(mark, demand->mark);
	return demand->skip || (*rc != RCO_OK && demand->done == T_DISK_NOTHING);
}

/* Shows the demand, does it below unless told otherwise, and answers. */
#define SHOW_AND_DO(doing, ...)                                                                                   \
	t_disk *disk = ctx;                                                                                       \
	const rco__fs *below = disk->below;                                                                       \
	t_demand demand = {__VA_ARGS__};                                                                          \
	int rc, done;                                                                                             \
	if (refused(disk, &demand, &rc))                                                                          \
		return rc;                                                                                        \
	done = below->doing;                                                                                      \
	return rc != RCO_OK ? rc : done

static int d_open(void *ctx, const char *path, int how, int *fd)
{
	t_disk *disk = ctx;
	t_demand demand = {.kind = T_DISK_OPEN, .fd = -1, .path = path, .how = how};
	int rc;

	*fd = -1;
	if (refused(disk, &demand, &rc))
		return rc;
	rc = disk->below->open(disk->below->ctx, path, how, fd);
	if (rc == RCO_OK && mark_of(disk, *fd) != NULL)
		atomic_store(mark_of(disk, *fd), demand.mark);
	return rc;
}

static int d_close(void *ctx, int fd)
{
	t_disk *disk = ctx;
	t_demand demand = {.kind = T_DISK_CLOSE, .fd = fd};
	int rc, done;

	(void)refused(disk, &demand, &rc);
	done = disk->below->close(disk->below->ctx, fd);
	return rc != RCO_OK ? rc : done;
}

static int d_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	*got = 0;
	SHOW_AND_DO(read(below->ctx, fd, buf, size, offset, got), .kind = T_DISK_READ, .fd = fd, .offset = offset,
	            .size = size);
}

static int d_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	SHOW_AND_DO(
		write(below->ctx, fd, buf, rc != RCO_OK && demand.done == T_DISK_HALF ? size / 2 : size, offset),
		.kind = T_DISK_WRITE, .fd = fd, .offset = offset, .size = size);
}

static int d_sync(void *ctx, int fd)
{
	SHOW_AND_DO(sync(below->ctx, fd), .kind = T_DISK_SYNC, .fd = fd);
}

static int d_sync_dir(void *ctx, const char *path)
{
	SHOW_AND_DO(sync_dir(below->ctx, path), .kind = T_DISK_SYNC_DIR, .fd = -1, .path = path);
}

static int d_size(void *ctx, int fd, uint64_t *size)
{
	*size = 0;
	SHOW_AND_DO(size(below->ctx, fd, size), .kind = T_DISK_SIZE, .fd = fd);
}

static int d_truncate(void *ctx, int fd, uint64_t size)
{
	SHOW_AND_DO(truncate(below->ctx, fd, size), .kind = T_DISK_TRUNCATE, .fd = fd, .size = size);
}

static int d_reserve(void *ctx, int fd, uint64_t offset, uint64_t size)
{
	SHOW_AND_DO(reserve(below->ctx, fd, offset, size), .kind = T_DISK_RESERVE, .fd = fd, .offset = offset,
	            .size = size);
}

static int d_rename(void *ctx, const char *from, const char *to)
{
	SHOW_AND_DO(rename(below->ctx, from, to), .kind = T_DISK_RENAME, .fd = -1, .path = to, .from = from);
}

static int d_unlink(void *ctx, const char *path)
{
	SHOW_AND_DO(unlink(below->ctx, path), .kind = T_DISK_UNLINK, .fd = -1, .path = path);
}

static int d_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	*yes = RCO__FS_NONE;
	SHOW_AND_DO(exists(below->ctx, path, yes, size), .kind = T_DISK_EXISTS, .fd = -1, .path = path);
}

static int d_mkdir(void *ctx, const char *path)
{
	SHOW_AND_DO(mkdir(below->ctx, path), .kind = T_DISK_MKDIR, .fd = -1, .path = path);
}

static int d_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	SHOW_AND_DO(list(below->ctx, path, fn, user_data), .kind = T_DISK_LIST, .fd = -1, .path = path);
}

static int d_lock(void *ctx, const char *path, int *fd)
{
	SHOW_AND_DO(lock(below->ctx, path, fd), .kind = T_DISK_LOCK, .fd = -1, .path = path);
}

static int d_resolve(void *ctx, const char *path, int kind, char *out, size_t size)
{
	SHOW_AND_DO(resolve(below->ctx, path, kind, out, size), .kind = T_DISK_RESOLVE, .fd = -1, .path = path);
}

static int d_stamp(void *ctx, const char *path, rco__fs_stamp *stamp)
{
	SHOW_AND_DO(stamp(below->ctx, path, stamp), .kind = T_DISK_STAMP, .fd = -1, .path = path);
}

void t_disk_init(t_disk *disk, const rco__fs *below, t_demand_fn ask, void *user_data)
{
	memset(disk, 0, sizeof *disk);
	disk->below = below != NULL ? below : rco__fs_posix();
	disk->ask = ask;
	disk->user_data = user_data;
	disk->table = (rco__fs){.ctx = disk,
	                        .open = d_open,
	                        .close = d_close,
	                        .read = d_read,
	                        .write = d_write,
	                        .sync = d_sync,
	                        .sync_dir = d_sync_dir,
	                        .size = d_size,
	                        .truncate = d_truncate,
	                        .reserve = d_reserve,
	                        .rename = d_rename,
	                        .unlink = d_unlink,
	                        .exists = d_exists,
	                        .mkdir = d_mkdir,
	                        .list = d_list,
	                        .lock = d_lock,
	                        .resolve = d_resolve,
	                        .stamp = d_stamp};
}

/* ---- a file system that fails ---- */

enum { STALL_S = 20 };

static int change(t_fs *fs, int is_sync)
{
	int code;

	if (atomic_fetch_add(&fs->changes, 1) + 1 == atomic_load(&fs->kill_at)) {
		T_LAST_WORDS();
		(void)kill(getpid(), SIGKILL);
	}
	code = atomic_load(&fs->fail);
	if (code == 0 || (atomic_load(&fs->sync_only) && !is_sync))
		return RCO_OK;
	if (atomic_load(&fs->fail_after) > 0) {
		(void)atomic_fetch_sub(&fs->fail_after, 1);
		return RCO_OK;
	}
	(void)atomic_fetch_add(&fs->failed, 1);
	return code;
}

/* As long as the disk stalls; but not for ever, or a test that fails would never end. */
static void stall(t_fs *fs, uint32_t what)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STALL_S;
	(void)pthread_mutex_lock(&fs->gate_lock);
	fs->gate_waiting++;
	(void)pthread_cond_broadcast(&fs->gate_moved);
	while ((fs->gate_shut & what) && fs->gate_permits == 0)
		if (pthread_cond_timedwait(&fs->gate_moved, &fs->gate_lock, &until) != 0) {
			atomic_store(&fs->gate_tired, 1);
			fs->gate_shut = 0;
		}
	if ((fs->gate_shut & what) && fs->gate_permits > 0)
		fs->gate_permits--;
	fs->gate_waiting--;
	(void)pthread_mutex_unlock(&fs->gate_lock);
}

void t_fs_stall(t_fs *fs, uint32_t what)
{
	(void)pthread_mutex_lock(&fs->gate_lock);
	fs->gate_shut = what;
	fs->gate_permits = 0;
	(void)pthread_mutex_unlock(&fs->gate_lock);
}

void t_fs_permit(t_fs *fs, uint64_t n)
{
	(void)pthread_mutex_lock(&fs->gate_lock);
	fs->gate_permits += n;
	(void)pthread_cond_broadcast(&fs->gate_moved);
	(void)pthread_mutex_unlock(&fs->gate_lock);
}

int t_fs_wait_stalled(t_fs *fs)
{
	struct timespec until;
	int ok;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STALL_S;
	(void)pthread_mutex_lock(&fs->gate_lock);
	while (fs->gate_waiting == 0 && pthread_cond_timedwait(&fs->gate_moved, &fs->gate_lock, &until) == 0)
		;
	ok = fs->gate_waiting > 0;
	(void)pthread_mutex_unlock(&fs->gate_lock);
	return ok;
}

int t_fs_resume(t_fs *fs)
{
	(void)pthread_mutex_lock(&fs->gate_lock);
	fs->gate_shut = 0;
	(void)pthread_cond_broadcast(&fs->gate_moved);
	(void)pthread_mutex_unlock(&fs->gate_lock);
	return !atomic_load(&fs->gate_tired);
}

/* With `full`, a file may be as long as it is, and no longer. */
static int room(t_fs *fs, const t_demand *d)
{
	uint64_t now = 0;

	if (!atomic_load(&fs->full))
		return RCO_OK;
	if (d->kind != T_DISK_OPEN && fs->disk.below->size(fs->disk.below->ctx, d->fd, &now) == RCO_OK &&
	    d->offset + d->size <= now)
		return RCO_OK;
	(void)atomic_fetch_add(&fs->failed, 1);
	return RCO_E_NO_SPACE;
}

static int fs_asked(t_demand *d, void *user_data)
{
	t_fs *fs = user_data;
	int rc;

	if (d->kind == T_DISK_OPEN)
		d->mark = strstr(d->path, fs->match) != NULL;
	if (!(d->path == NULL ? d->mark : strstr(d->path, fs->match) != NULL)) {
		d->skip = d->kind == T_DISK_SYNC && atomic_load(&fs->quick);
		return RCO_OK;
	}
	switch (d->kind) {
	case T_DISK_OPEN:
		if (d->how < RCO__FS_CREATE || t_exists(d->path))
			return RCO_OK;
		rc = change(fs, 0);
		return rc != RCO_OK ? rc : room(fs, d);
	case T_DISK_WRITE:
		stall(fs, T_FS_WRITES);
		rc = change(fs, 0);
		if (rc == RCO_OK)
			rc = room(fs, d);
		if (rc != RCO_OK && atomic_load(&fs->tear) && d->size > 1)
			d->done = T_DISK_HALF;
		return rc;
	case T_DISK_RESERVE:
		rc = change(fs, 0);
		return rc != RCO_OK ? rc : room(fs, d);
	case T_DISK_SYNC:
		stall(fs, T_FS_SYNCS);
		rc = change(fs, 1);
		d->skip = rc == RCO_OK && atomic_load(&fs->quick);
		(void)atomic_fetch_add(&fs->syncs, rc == RCO_OK);
		return rc;
	case T_DISK_SYNC_DIR:
	case T_DISK_TRUNCATE:
	case T_DISK_RENAME:
	case T_DISK_UNLINK:
		return change(fs, 0);
	default:
		return RCO_OK;
	}
}

void t_fs_init(t_fs *fs, const char *match)
{
	memset(fs, 0, sizeof *fs);
	t_disk_init(&fs->disk, NULL, fs_asked, fs);
	(void)pthread_mutex_init(&fs->gate_lock, NULL);
	(void)pthread_cond_init(&fs->gate_moved, NULL);
	(void)snprintf(fs->match, sizeof fs->match, "%s", match);
}
