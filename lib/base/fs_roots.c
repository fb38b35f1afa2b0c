/* SPDX-License-Identifier: MIT */
#include "fs_roots.h"

#include "error.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_CAP = PATH_MAX };

/* ---- walking ---- */

int rco__is_link(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static int open_folder(int at, const char *name)
{
	int fd;

	do
		fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0 && errno == ENOTDIR && rco__is_link(at, name))
		errno = ELOOP;
	return fd;
}

/* The next name of *path, which moves behind it and the slashes that follow. 0 at the end, -1 if it is too long.
 */
static int next_name(const char **path, char name[NAME_MAX + 1])
{
	const char *from = *path;
	size_t n;

	for (;;) {
		from += strspn(from, "/");
		n = strcspn(from, "/");
		if (n != 1 || from[0] != '.')
			break;
		from++;
	}
	if (n > NAME_MAX)
		return -1;
	memcpy(name, from, n);
	name[n] = '\0';
	from += n;
	*path = from + strspn(from, "/");
	return n > 0;
}

/* One step down, from one that may be ours to close. 0 or an errno. */
static int step(rco__place *place)
{
	int fd = open_folder(place->at, place->name), err = errno;

	rco__place_leave(place);
	if (fd < 0)
		return err;
	place->at = fd;
	place->opened = 1;
	return 0;
}

/* To the folder that the last name of `path` is in. */
static int walk(rco__place *place, const char *path)
{
	int more, err;

	memcpy(place->name, ".", 2);
	more = next_name(&path, place->name);
	while (more > 0 && *path != '\0') {
		/* Below a root every path is ours, and none of ours goes up. */
		if (place->root != NULL && strcmp(place->name, "..") == 0)
			return EINVAL;
		err = step(place);
		if (err != 0)
			return err;
		more = next_name(&path, place->name);
	}
	if (more < 0)
		return ENAMETOOLONG;
	if (more == 0)
		memcpy(place->name, ".", 2);
	return place->root != NULL && strcmp(place->name, "..") == 0 ? EINVAL : 0;
}

static int walk_from_top(rco__place *place, const char *path)
{
	int err;

	*place = (rco__place){.at = AT_FDCWD};
	if (path[0] == '/') {
		place->at = open_folder(AT_FDCWD, "/");
		if (place->at < 0)
			return errno;
		place->opened = 1;
	}
	err = walk(place, path);
	if (err != 0)
		rco__place_leave(place);
	return err;
}

void rco__place_leave(rco__place *place)
{
	if (place->opened)
		(void)close(place->at); /* nothing can be written through it */
	place->opened = 0;
}

int rco__place_fail(int err, const char *what, const char *path)
{
	if (err == ELOOP)
		return rco__fail(
			RCO_E_PERMISSION,
			"cannot %s %s: it is a symbolic link, or a folder on the way to it is one, and none is "
			"followed there; put the folder itself in its place",
			what, path);
	return rco__fail_errno(err, "cannot %s %s", what, path);
}

/* ---- roots ---- */

/* Said now, and not by the first file that cannot be made. */
static int usable(int fd, const struct stat *st, const char *path)
{
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
		return RCO_OK;
	if (errno == EROFS)
		return rco__fail(
			RCO_E_PERMISSION,
			"the file system of %s is mounted read-only: mount it for writing, or name another folder",
			path);
	if (errno == EACCES)
		return rco__fail(RCO_E_PERMISSION,
		                 "user %lu may not write to %s, which belongs to user %lu (mode %04o): run as "
		                 "that user, or "
		                 "chown it",
		                 (unsigned long)geteuid(), path, (unsigned long)st->st_uid,
		                 (unsigned)(st->st_mode & 07777));
	return RCO_OK; /* what is wrong is told by what is done there */
}

/* A descriptor of a resolved folder that passes the check of its kind. */
static int open_root(const char *path, int kind, int *fd)
{
	rco__place place;
	struct stat st;
	int rc, err = walk_from_top(&place, path);

	if (err == 0) {
		*fd = open_folder(place.at, place.name);
		err = *fd < 0 ? errno : 0;
		rco__place_leave(&place);
	}
	if (err != 0)
		return rco__place_fail(err, "open the folder", path);
	rc = fstat(*fd, &st) == 0 ? rco__trust_folder(&st, kind, path)
	                          : rco__fail_errno(errno, "cannot stat %s", path);
	/* Recordings may wait for a folder that cannot be written at present; objections may not (P13). */
	if (rc == RCO_OK && kind != RCO__TRUST_OUTPUT)
		rc = usable(*fd, &st, path);
	if (rc != RCO_OK)
		(void)close(*fd);
	return rc;
}

/* Removed and created again, or a network file system that forgot it: dup3() puts the new one in the place of the
 * old at once, so that another thread uses the one or the other. */
static void look_again(const rco__root *root)
{
	struct stat st;
	int fd;

	if (fstat(root->fd, &st) == 0 ? st.st_nlink > 0 : errno != ESTALE)
		return;
	if (open_root(root->path, root->kind, &fd) != RCO_OK)
		return;
	(void)dup3(fd, root->fd, O_CLOEXEC);
	(void)close(fd);
}

static const char tag[] = "roots";

rco__roots *rco__roots_of(void *ctx)
{
	rco__roots *roots = ctx;

	return roots != NULL && roots->tag == tag ? roots : NULL;
}

static const rco__root *root_of(const rco__roots *roots, const char *path)
{
	const rco__root *best = NULL;
	uint32_t i;

	for (i = 0; roots != NULL && i < roots->count; i++) {
		const rco__root *r = &roots->root[i];

		if (strncmp(path, r->path, r->length) == 0 &&
		    (path[r->length] == '/' || path[r->length] == '\0') &&
		    (best == NULL || r->length > best->length))
			best = r;
	}
	return best;
}

int rco__place_find(void *ctx, const char *path, rco__place *place)
{
	const rco__root *root = root_of(rco__roots_of(ctx), path);
	int err;

	if (root == NULL)
		return walk_from_top(place, path);
	look_again(root);
	*place = (rco__place){.at = root->fd, .root = root};
	err = walk(place, path + root->length);
	if (err != 0)
		rco__place_leave(place);
	return err;
}

static int add_root(rco__roots *roots, const char *path, int kind)
{
	rco__root *r = &roots->root[roots->count];
	size_t length = strlen(path);
	int rc;

	if (roots->count == RCO__ROOTS)
		return rco__fail(RCO_E_INTERNAL, "too many folders");
	rc = open_root(path, kind, &r->fd);
	if (rc != RCO_OK)
		return rc;
	r->path = rco__alloc(&roots->env, length + 1);
	if (r->path == NULL) {
		(void)close(r->fd);
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the path of a folder");
	}
	memcpy(r->path, path, length + 1);
	r->length = length;
	r->kind = kind;
	roots->count++;
	return RCO_OK;
}

void rco__roots_use(rco__roots *roots, rco__env *env)
{
	if (env->fs != rco__fs_posix())
		return;
	roots->tag = tag;
	roots->env = *env;
	roots->table = *env->fs;
	roots->table.ctx = roots;
	env->fs = &roots->table;
}

void rco__roots_close(rco__roots *roots)
{
	while (roots->count > 0) {
		rco__root *r = &roots->root[--roots->count];

		(void)close(r->fd);
		rco__release(&roots->env, r->path);
	}
}

/* ---- resolving ---- */

/* dir "/" rest */
static int put_together(char *dir, const char *rest, const char *path, char *out, size_t size)
{
	int n = snprintf(out, size, "%s%s%s", strcmp(dir, "/") == 0 ? "" : dir, rest[0] != '\0' ? "/" : "", rest);

	if (n == 0)
		n = snprintf(out, size, "/");
	return n >= 0 && (size_t)n < size
	               ? RCO_OK
	               : rco__fail(RCO_E_LIMIT, "the path of %s is longer than %zu bytes; use a shorter folder",
	                           path, size - 1);
}

/* The nearest folder above the file that is there, without links, and behind it what is not there yet. */
static int resolve_place(const char *path, char *out, size_t size)
{
	char above[PATH_CAP], real[PATH_CAP];
	size_t n = strlen(path), end;

	if (n >= sizeof above)
		return rco__fail(RCO_E_LIMIT, "the path of %.200s is longer than %d bytes", path, PATH_CAP - 1);
	memcpy(above, path, n + 1);
	for (end = n; end > 0;) {
		while (end > 0 && above[end - 1] != '/')
			end--;
		while (end > 1 && above[end - 1] == '/')
			end--;
		above[end] = '\0';
		if (realpath(end > 0 ? above : ".", real) != NULL)
			break;
		if (errno != ENOENT || end <= 1)
			return rco__fail_errno(errno, "cannot look at the folder %s", above);
	}
	if (end == 0 && realpath(".", real) == NULL)
		return rco__fail_errno(errno, "cannot look at the working directory");
	path += end;
	path += strspn(path, "/");
	return put_together(real, path, path, out, size);
}

int rco__roots_resolve(void *ctx, const char *path, int kind, char *out, size_t size)
{
	rco__roots *roots = rco__roots_of(ctx);
	char real[PATH_CAP], none[] = "";
	int fd, rc;

	if (kind == RCO__FS_PLACE)
		return resolve_place(path, out, size);
	rc = rco__trust_way(path);
	if (rc != RCO_OK)
		return rc;
	/* Nobody else can change now where it leads. */
	if (realpath(path, real) == NULL)
		return rco__fail_errno(errno, "cannot look at the folder %s", path);
	rc = put_together(real, none, path, out, size);
	if (rc != RCO_OK)
		return rc;
	if (roots != NULL)
		return add_root(roots, out, kind);
	rc = open_root(out, kind, &fd);
	if (rc == RCO_OK)
		(void)close(fd);
	return rc;
}
