/* SPDX-License-Identifier: MIT */
#include "env.h"
#include "error.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { PATH_CAP = PATH_MAX, DETAIL_COPY = 512, QUARANTINE_TRIES = 1000 };

int rco__fs_look(const rco__fs *fs, const char *path, rco__fs_stamp *stamp)
{
	if (fs->stamp != NULL)
		return fs->stamp(fs->ctx, path, stamp);
	memset(stamp, 0, sizeof *stamp);
	return fs->exists(fs->ctx, path, &stamp->kind, &stamp->size);
}

int rco__fs_same(const rco__fs_stamp *a, const rco__fs_stamp *b)
{
	int kind = a->kind == b->kind || (rco__fs_regular(a->kind) && rco__fs_regular(b->kind));

	/* Another owner, or one more name, does not make it another file. */
	return a->kind != RCO__FS_NONE && kind && a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->born_ns == b->born_ns && a->written_ns == b->written_ns;
}

int rco__path_join(char *out, size_t size, const char *dir, const char *name)
{
	int n = snprintf(out, size, "%s/%s", dir, name);

	if (n >= 0 && (size_t)n < size)
		return RCO_OK;
	if (size > 0)
		out[0] = '\0';
	return rco__fail(RCO_E_LIMIT, "the path %s/%s is longer than %zu bytes; use a shorter folder", dir, name,
	                 size);
}

/* "a/b/" is in "a", "b" is in ".", and "/b" is in "/". */
static int parent_of(const char *path, char out[PATH_CAP])
{
	size_t n = strlen(path);

	if (n >= PATH_CAP)
		return rco__fail(RCO_E_LIMIT, "the path %s is longer than %d bytes; use a shorter folder", path,
		                 PATH_CAP - 1);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	memcpy(out, n > 0 ? path : ".", n > 0 ? n : 1);
	out[n > 0 ? n : 1] = '\0';
	return RCO_OK;
}

int rco__fs_root(const rco__fs *fs, const char *path, int kind, char *out, size_t size)
{
	int rc = strlen(path) < size
	                 ? RCO_OK
	                 : rco__fail(RCO_E_LIMIT, "the path %s is longer than %zu bytes; use a shorter folder",
	                             path, size - 1);

	if (rc == RCO_OK)
		rc = fs->mkdir(fs->ctx, path);
	if (rc == RCO_OK)
		rc = fs->resolve(fs->ctx, path, kind, out, size);
	return rc == RCO_OK ? rco__fs_folder(fs, out) : rc;
}

int rco__fs_folder(const rco__fs *fs, const char *path)
{
	char parent[PATH_CAP];
	int rc = parent_of(path, parent);

	if (rc == RCO_OK)
		rc = fs->mkdir(fs->ctx, path);
	if (rc != RCO_OK)
		return rc;
	rc = fs->sync_dir(fs->ctx, parent);
	if (rc == RCO_OK || rc == RCO_E_PERMISSION)
		rc = fs->sync_dir(fs->ctx, path);
	return rc == RCO_E_PERMISSION ? RCO_OK : rc;
}

/* The file under its temporary name, written and synced; closed in any case. */
static int write_synced(const rco__fs *fs, const char *path, const void *data, size_t size)
{
	int fd, rc, closed;

	rc = fs->open(fs->ctx, path, RCO__FS_CREATE_TRUNCATE, &fd);
	if (rc != RCO_OK)
		return rc;
	rc = fs->write(fs->ctx, fd, data, size, 0);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, fd);
	closed = fs->close(fs->ctx, fd);
	return rc != RCO_OK ? rc : closed;
}

int rco__fs_put(const rco__fs *fs, const char *dir, const char *name, const void *data, size_t size)
{
	char path[PATH_CAP], tmp[PATH_CAP], why[DETAIL_COPY];
	int rc, n;

	rc = rco__path_join(path, sizeof path, dir, name);
	if (rc != RCO_OK)
		return rc;
	n = snprintf(tmp, sizeof tmp, "%s.tmp", path);
	if (n < 0 || (size_t)n >= sizeof tmp)
		return rco__fail(RCO_E_LIMIT, "the path %s is too long; use a shorter folder", path);
	rc = write_synced(fs, tmp, data, size);
	if (rc == RCO_OK)
		rc = fs->rename(fs->ctx, tmp, path);
	if (rc == RCO_OK)
		return fs->sync_dir(fs->ctx, dir);
	/*
	 * What is left of the attempt may hold a key, and on a full disk it takes
	 * space. If it cannot be removed the next attempt replaces it; the text
	 * is about what failed first.
	 */
	(void)snprintf(why, sizeof why, "%s", rco_error_detail());
	(void)fs->unlink(fs->ctx, tmp);
	return rco__fail(rc, "%s", why);
}

int rco__fs_get(const rco__fs *fs, const char *dir, const char *name, void *buf, size_t cap, size_t *size)
{
	char path[PATH_CAP];
	uint64_t bytes;
	int fd, rc, closed;

	*size = 0;
	rc = rco__path_join(path, sizeof path, dir, name);
	if (rc != RCO_OK)
		return rc;
	rc = fs->open(fs->ctx, path, RCO__FS_READ, &fd);
	if (rc != RCO_OK)
		return rc;
	rc = fs->size(fs->ctx, fd, &bytes);
	if (rc == RCO_OK && bytes > cap)
		rc = rco__fail(RCO_E_LIMIT, "%s has %llu bytes, at most %zu are expected", path,
		               (unsigned long long)bytes, cap);
	if (rc == RCO_OK)
		rc = fs->read(fs->ctx, fd, buf, (size_t)bytes, 0, size);
	closed = fs->close(fs->ctx, fd);
	return rc != RCO_OK ? rc : closed;
}

/* A name in the quarantine that is not taken: name.<time>, name.<time>-1, -2 ... */
static int quarantine_path(const rco__env *env, const char *quarantine_dir, const char *name, char out[PATH_CAP])
{
	long long now = rco__wall_us(env);
	int i, n, yes, rc;

	for (i = 0; i < QUARANTINE_TRIES; i++) {
		if (i == 0)
			n = snprintf(out, PATH_CAP, "%s/%s.%lld", quarantine_dir, name, now);
		else
			n = snprintf(out, PATH_CAP, "%s/%s.%lld-%d", quarantine_dir, name, now, i);
		if (n < 0 || n >= PATH_CAP)
			return rco__fail(RCO_E_LIMIT, "the path of %s in %s is too long; use a shorter folder",
			                 name, quarantine_dir);
		rc = env->fs->exists(env->fs->ctx, out, &yes, NULL);
		if (rc != RCO_OK)
			return rc;
		if (!yes)
			return RCO_OK;
	}
	return rco__fail(RCO_E_LIMIT, "%s holds too many files named %s.%lld; clear it out", quarantine_dir, name,
	                 now);
}

int rco__quarantine(const struct rco__env *env, const char *dir, const char *name, const char *quarantine_dir,
                    const char *why)
{
	const rco__fs *fs = env->fs;
	char from[PATH_CAP], to[PATH_CAP];
	int rc;

	rc = rco__path_join(from, sizeof from, dir, name);
	if (rc == RCO_OK)
		rc = rco__fs_folder(fs, quarantine_dir);
	if (rc == RCO_OK)
		rc = quarantine_path(env, quarantine_dir, name, to);
	if (rc == RCO_OK)
		rc = fs->rename(fs->ctx, from, to);
	if (rc != RCO_OK)
		return rc;
	if (env->quarantined != NULL)
		atomic_fetch_add(env->quarantined, 1);
	rco__log(env, RCO_LOG_ERROR, "%s was set aside as %s: %s", from, to, why);
	/* The new name first: after a power cut the file may have both names, never none. */
	rc = fs->sync_dir(fs->ctx, quarantine_dir);
	if (rc != RCO_OK)
		return rc;
	return fs->sync_dir(fs->ctx, dir);
}

int rco__fs_blank(const rco__fs *fs, int fd, uint64_t from, uint64_t size)
{
	static const uint8_t zeros[16384];
	int rc = RCO_OK;

	while (size > 0 && rc == RCO_OK) {
		const size_t n = size < sizeof zeros ? (size_t)size : sizeof zeros;

		rc = fs->write(fs->ctx, fd, zeros, n, from);
		from += n;
		size -= n;
	}
	return rc;
}

int rco__fs_wipe(const rco__fs *fs, const char *dir, const char *name)
{
	char path[PATH_CAP];
	uint64_t size = 0;
	int fd, rc = rco__path_join(path, sizeof path, dir, name);

	if (rc == RCO_OK)
		rc = fs->open(fs->ctx, path, RCO__FS_WRITE, &fd);
	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	if (rc != RCO_OK)
		return rc;
	rc = fs->size(fs->ctx, fd, &size);
	if (rc == RCO_OK)
		rc = rco__fs_blank(fs, fd, 0, size);
	if (rc == RCO_OK)
		rc = fs->sync(fs->ctx, fd);
	(void)fs->close(fs->ctx, fd); /* what was written is synced, or an error is told */
	if (rc == RCO_OK)
		rc = fs->unlink(fs->ctx, path);
	return rc == RCO_OK ? fs->sync_dir(fs->ctx, dir) : rc;
}
