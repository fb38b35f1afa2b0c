/* SPDX-License-Identifier: MIT */
/* Folders, files, noise, and a file system that fails on demand. */
#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void t_join(char *out, size_t size, const char *dir, const char *name)
{
	int n = snprintf(out, size, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= size)
		abort();
}

const char *t_shm(void)
{
	const char *instead = getenv("T_SHM");

	return instead != NULL && instead[0] != '\0' ? instead : "/dev/shm";
}

void t_tempdir(const char *under, char *out, size_t size)
{
	const char *base = under != NULL ? under : getenv("TMPDIR");

	t_join(out, size, base != NULL && base[0] != '\0' ? base : "/tmp", "rco-test-XXXXXX");
	assert_non_null(mkdtemp(out));
}

typedef void (*entry_fn)(const char *path, int is_folder, void *user_data);

static void walk(const char *path, entry_fn fn, void *user_data)
{
	char child[1024];
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(path);

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		t_join(child, sizeof child, path, e->d_name);
		if (lstat(child, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			walk(child, fn, user_data);
		fn(child, S_ISDIR(st.st_mode), user_data);
	}
	(void)closedir(d);
}

static void remove_entry(const char *path, int is_folder, void *user_data)
{
	(void)user_data;
	if (is_folder)
		(void)rmdir(path);
	else
		(void)unlink(path);
}

void t_rmtree(const char *path)
{
	walk(path, remove_entry, NULL);
	(void)rmdir(path);
}

void t_write_file(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

int t_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

uint8_t *t_read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long end;

	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
		*size = (size_t)end;
		data = malloc(*size + 1);
		if (data != NULL) {
			*size = fread(data, 1, *size, f);
			data[*size] = 0;
		}
	}
	(void)fclose(f);
	return data;
}

struct each {
	void (*fn)(const char *file, void *user_data);
	void *user_data;
};

static void each_entry(const char *path, int is_folder, void *user_data)
{
	struct each *e = user_data;

	if (!is_folder)
		e->fn(path, e->user_data);
}

void t_tree_each(const char *path, void (*fn)(const char *file, void *user_data), void *user_data)
{
	struct each e = {fn, user_data};

	walk(path, each_entry, &e);
}

struct holds {
	const void *marker;
	size_t size, n;
};

static void holds_file(const char *path, void *user_data)
{
	struct holds *h = user_data;
	size_t size = 0;
	uint8_t *data;

	if (h->size == 0) {
		h->n++;
		return;
	}
	data = t_read_file(path, &size);
	if (data != NULL && memmem(data, size, h->marker, h->size) != NULL)
		h->n++;
	free(data);
}

size_t t_tree_holds(const char *path, const void *marker, size_t size)
{
	struct holds h = {marker, size, 0};

	t_tree_each(path, holds_file, &h);
	return h.n;
}

/* ---- audio ---- */

/* splitmix64 of a position: any piece of the noise can be made without the pieces before it. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void t_noise(uint64_t seed, uint64_t pos, void *out, size_t size)
{
	uint8_t *p = out;
	uint64_t base = mix(seed * 2 + 1), word = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		uint64_t at = pos + i;

		if (i == 0 || at % 8 == 0)
			word = mix(base ^ (at / 8));
		p[i] = (uint8_t)(word >> (at % 8 * 8));
	}
}

int t_is_noise(uint64_t seed, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint8_t want[4096];
	size_t at, n;

	for (at = 0; at < size; at += n) {
		n = size - at < sizeof want ? size - at : sizeof want;
		t_noise(seed, at, want, n);
		if (memcmp(p + at, want, n) != 0)
			return 0;
	}
	return 1;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

const uint8_t *t_wav_samples(const uint8_t *file, size_t size, size_t *samples_bytes)
{
	size_t at = 12;

	if (size < 12 || memcmp(file, "RIFF", 4) != 0 || memcmp(file + 8, "WAVE", 4) != 0)
		return NULL;
	while (size - at >= 8) {
		size_t n = get32(file + at + 4);

		if (n > size - at - 8)
			return NULL;
		if (memcmp(file + at, "data", 4) == 0) {
			*samples_bytes = n;
			return file + at + 8;
		}
		at += 8 + n + n % 2;
		if (at > size)
			return NULL;
	}
	return NULL;
}

/* ---- a file system that fails ---- */

enum { STALL_S = 20 };

static int fs_matches(const t_fs *fs, const char *path)
{
	return strstr(path, fs->match) != NULL;
}

static int change(t_fs *fs, int matches, int is_sync)
{
	int code;

	if (!matches)
		return RCO_OK;
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

static int fs_change(t_fs *fs, int matches)
{
	return change(fs, matches, 0);
}

/* As long as the disk stalls; but not for ever, or a test that fails would never end. */
static void stall(t_fs *fs, int matches, uint32_t what)
{
	struct timespec until;

	if (!matches)
		return;
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

static int fd_matches(t_fs *fs, int fd)
{
	return fd >= 0 && (size_t)fd < sizeof fs->fds && atomic_load(&fs->fds[fd]);
}

static int f_open(void *ctx, const char *path, int how, int *fd)
{
	t_fs *fs = ctx;
	int m = fs_matches(fs, path), makes = m && how >= RCO__FS_CREATE && !t_exists(path);
	int rc = fs_change(fs, makes);

	if (rc == RCO_OK && makes && atomic_load(&fs->full)) {
		(void)atomic_fetch_add(&fs->failed, 1);
		return RCO_E_NO_SPACE;
	}
	if (rc == RCO_OK)
		rc = fs->real->open(fs->real->ctx, path, how, fd);
	if (rc == RCO_OK && (size_t)*fd < sizeof fs->fds)
		atomic_store(&fs->fds[*fd], (uint8_t)m);
	return rc;
}

static int f_close(void *ctx, int fd)
{
	t_fs *fs = ctx;

	if (fd >= 0 && (size_t)fd < sizeof fs->fds)
		atomic_store(&fs->fds[fd], 0);
	return fs->real->close(fs->real->ctx, fd);
}

static int f_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	t_fs *fs = ctx;

	return fs->real->read(fs->real->ctx, fd, buf, size, offset, got);
}

/* With `full`, a file may be as long as it is, and no longer. */
static int room(t_fs *fs, int fd, uint64_t end)
{
	uint64_t now = 0;

	if (!atomic_load(&fs->full) || !fd_matches(fs, fd))
		return RCO_OK;
	if (fs->real->size(fs->real->ctx, fd, &now) == RCO_OK && end <= now)
		return RCO_OK;
	(void)atomic_fetch_add(&fs->failed, 1);
	return RCO_E_NO_SPACE;
}

static int f_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	t_fs *fs = ctx;
	int matches = fd_matches(fs, fd), rc;

	stall(fs, matches, T_FS_WRITES);
	rc = fs_change(fs, matches);
	if (rc == RCO_OK)
		rc = room(fs, fd, offset + size);
	if (rc != RCO_OK && atomic_load(&fs->tear) && size > 1)
		(void)fs->real->write(fs->real->ctx, fd, buf, size / 2, offset);
	return rc != RCO_OK ? rc : fs->real->write(fs->real->ctx, fd, buf, size, offset);
}

static int f_sync(void *ctx, int fd)
{
	t_fs *fs = ctx;
	int matches = fd_matches(fs, fd), rc;

	stall(fs, matches, T_FS_SYNCS);
	rc = change(fs, matches, 1);
	if (rc == RCO_OK && !atomic_load(&fs->quick))
		rc = fs->real->sync(fs->real->ctx, fd);
	if (rc == RCO_OK && matches)
		(void)atomic_fetch_add(&fs->syncs, 1);
	return rc;
}

static int f_sync_dir(void *ctx, const char *path)
{
	t_fs *fs = ctx;
	int rc = fs_change(fs, fs_matches(fs, path));

	return rc != RCO_OK ? rc : fs->real->sync_dir(fs->real->ctx, path);
}

static int f_size(void *ctx, int fd, uint64_t *size)
{
	t_fs *fs = ctx;

	return fs->real->size(fs->real->ctx, fd, size);
}

static int f_truncate(void *ctx, int fd, uint64_t size)
{
	t_fs *fs = ctx;
	int rc = fs_change(fs, fd_matches(fs, fd));

	return rc != RCO_OK ? rc : fs->real->truncate(fs->real->ctx, fd, size);
}

static int f_reserve(void *ctx, int fd, uint64_t offset, uint64_t size)
{
	t_fs *fs = ctx;
	int rc = fs_change(fs, fd_matches(fs, fd));

	if (rc == RCO_OK)
		rc = room(fs, fd, offset + size);
	return rc != RCO_OK ? rc : fs->real->reserve(fs->real->ctx, fd, offset, size);
}

static int f_rename(void *ctx, const char *from, const char *to)
{
	t_fs *fs = ctx;
	int rc = fs_change(fs, fs_matches(fs, to));

	return rc != RCO_OK ? rc : fs->real->rename(fs->real->ctx, from, to);
}

static int f_unlink(void *ctx, const char *path)
{
	t_fs *fs = ctx;
	int rc = fs_change(fs, fs_matches(fs, path));

	return rc != RCO_OK ? rc : fs->real->unlink(fs->real->ctx, path);
}

static int f_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	t_fs *fs = ctx;

	return fs->real->exists(fs->real->ctx, path, yes, size);
}

static int f_mkdir(void *ctx, const char *path)
{
	t_fs *fs = ctx;

	return fs->real->mkdir(fs->real->ctx, path);
}

static int f_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	t_fs *fs = ctx;

	return fs->real->list(fs->real->ctx, path, fn, user_data);
}

static int f_lock(void *ctx, const char *path, int *fd)
{
	t_fs *fs = ctx;

	return fs->real->lock(fs->real->ctx, path, fd);
}

void t_fs_init(t_fs *fs, const char *match)
{
	memset(fs, 0, sizeof *fs);
	fs->real = rco__fs_posix();
	(void)pthread_mutex_init(&fs->gate_lock, NULL);
	(void)pthread_cond_init(&fs->gate_moved, NULL);
	(void)snprintf(fs->match, sizeof fs->match, "%s", match);
	fs->table = (rco__fs){.ctx = fs,
	                      .open = f_open,
	                      .close = f_close,
	                      .read = f_read,
	                      .write = f_write,
	                      .sync = f_sync,
	                      .sync_dir = f_sync_dir,
	                      .size = f_size,
	                      .truncate = f_truncate,
	                      .reserve = f_reserve,
	                      .rename = f_rename,
	                      .unlink = f_unlink,
	                      .exists = f_exists,
	                      .mkdir = f_mkdir,
	                      .list = f_list,
	                      .lock = f_lock};
}
