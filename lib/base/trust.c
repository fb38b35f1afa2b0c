/* SPDX-License-Identifier: MIT */
#include "trust.h"

#include "error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40, OTHERS = S_IRWXG | S_IRWXO }; /* as many as the kernel follows */

int rco__trust_owner(const struct stat *st)
{
	return st->st_uid == geteuid() || st->st_uid == 0;
}

int rco__trust_folder(const struct stat *st, int kind, const char *path)
{
	int sticky = (st->st_mode & S_ISVTX) != 0 && kind != RCO__TRUST_OWN;
	mode_t others = kind == RCO__TRUST_OUTPUT ? S_IWOTH : S_IWGRP | S_IWOTH;

	if (!S_ISDIR(st->st_mode))
		return rco__fail(RCO_E_PERMISSION, "%s is not a folder; move it away or name another", path);
	if (!rco__trust_owner(st))
		return rco__fail(
			RCO_E_PERMISSION,
			"%s belongs to user %lu, who could replace what is in it: use a folder of your own, "
			"or run as that user",
			path, (unsigned long)st->st_uid);
	if ((st->st_mode & others) != 0 && !sticky)
		return rco__fail(
			RCO_E_PERMISSION,
			"others may write to %s (mode %04o), and could replace what is in it: look through "
			"it, then take that away (chmod %s), or use a folder of mode 0700 of your own",
			path, (unsigned)(st->st_mode & 07777), kind == RCO__TRUST_OUTPUT ? "o-w" : "go-w");
	return RCO_OK;
}

int rco__trust_file(const struct stat *st, const char *path)
{
	if (!S_ISREG(st->st_mode))
		return rco__fail(RCO_E_PERMISSION, "%s is not a regular file, and nothing of ours: move it away",
		                 path);
	if (!rco__trust_owner(st))
		return rco__fail(RCO_E_PERMISSION, "%s belongs to user %lu and is not trusted: move it away", path,
		                 (unsigned long)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return rco__fail(RCO_E_PERMISSION,
		                 "others may write to %s (mode %04o): it is not trusted. Move it away, or, if you "
		                 "know that nobody changed it, chmod 600",
		                 path, (unsigned)(st->st_mode & 07777));
	if (st->st_nlink > 1)
		return rco__fail(
			RCO_E_PERMISSION,
			"%s has %lu names (hard links): it is not trusted. Make a copy of it in its place", path,
			(unsigned long)st->st_nlink);
	return RCO_OK;
}

int rco__trust_secret(int fd, const struct stat *st, const char *path, const rco__env *env)
{
	if ((st->st_mode & OTHERS) == 0)
		return RCO_OK;
	if (st->st_uid != geteuid() || fchmod(fd, st->st_mode & S_IRWXU) != 0)
		return rco__fail(
			RCO_E_PERMISSION,
			"others may read %s (mode %04o), which belongs to user %lu: chmod 600, and let it "
			"belong to the user that the engine runs as",
			path, (unsigned)(st->st_mode & 07777), (unsigned long)st->st_uid);
	if (env != NULL)
		rco__log(env, RCO_LOG_WARN,
		         "others could read %s (mode %04o), and may know what is in it; its mode is %04o now",
		         path, (unsigned)(st->st_mode & 07777), (unsigned)(st->st_mode & S_IRWXU));
	return RCO_OK;
}

/* ---- the way to a folder ---- */

typedef struct way {
	char done[PATH_MAX]; /* without links; "" for the root of the file system */
	char rest[PATH_MAX]; /* what is still to be walked */
	int links;
	struct stat st; /* of `done` */
} way;

static int too_long(const char *path)
{
	return rco__fail(RCO_E_LIMIT, "the path %.200s is longer than %d bytes, or has too many links", path,
	                 PATH_MAX - 1);
}

static int begin_way(way *w, const char *path)
{
	int n;

	memset(w, 0, sizeof *w);
	if (path[0] == '/')
		n = snprintf(w->rest, sizeof w->rest, "%s", path);
	else if (getcwd(w->done, sizeof w->done) != NULL)
		n = snprintf(w->rest, sizeof w->rest, "%s/%s", w->done, path);
	else
		return rco__fail_errno(errno, "cannot look at the working directory");
	w->done[0] = '\0';
	return n >= 0 && (size_t)n < sizeof w->rest ? RCO_OK : too_long(path);
}

/* The next name moves from `rest` to `done`. 0 at the end, -1 if it is too long. */
static int next_step(way *w)
{
	size_t skip = strspn(w->rest, "/"), n = strcspn(w->rest + skip, "/"), length = strlen(w->done);
	const char *name = w->rest + skip;
	char *up;

	if (n == 0)
		return 0;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		up = strrchr(w->done, '/');
		if (up != NULL)
			*up = '\0';
	} else if (n != 1 || name[0] != '.') {
		if (length + 1 + n >= sizeof w->done)
			return -1;
		w->done[length] = '/';
		memcpy(w->done + length + 1, name, n);
		w->done[length + 1 + n] = '\0';
	}
	memmove(w->rest, name + n, strlen(name + n) + 1);
	return 1;
}

/* `done` is a link: what it says takes its place. 0, an errno, or -1 if that is too long. */
static int take_link(way *w)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t size = readlink(w->done, target, sizeof target - 1);
	int n;

	if (size < 0)
		return errno;
	target[size] = '\0';
	n = snprintf(rest, sizeof rest, "%s/%s", target, w->rest);
	if (++w->links > LINKS_MAX || n < 0 || (size_t)n >= sizeof rest)
		return -1;
	memcpy(w->rest, rest, (size_t)n + 1);
	if (target[0] == '/')
		w->done[0] = '\0';
	else
		*strrchr(w->done, '/') = '\0';
	return 0;
}

static const char *shown(const way *w)
{
	return w->done[0] != '\0' ? w->done : "/";
}

static int check_above(const way *w, const char *path)
{
	if (!S_ISDIR(w->st.st_mode))
		return RCO_OK; /* opening it will say so */
	if (!rco__trust_owner(&w->st))
		return rco__fail(RCO_E_PERMISSION,
		                 "%s is below %s, which belongs to user %lu, who could put another folder in its "
		                 "place: use "
		                 "one below folders of your own or root's",
		                 path, shown(w), (unsigned long)w->st.st_uid);
	if ((w->st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (w->st.st_mode & S_ISVTX) == 0)
		return rco__fail(RCO_E_PERMISSION,
		                 "%s is below %s (mode %04o), where others could put another folder in its place: "
		                 "chmod go-w or chmod +t there, or use another folder",
		                 path, shown(w), (unsigned)(w->st.st_mode & 07777));
	return RCO_OK;
}

/* Is there another name to come? A slash at the end, and ".", are none. */
static int at_end(const way *w)
{
	return w->rest[strspn(w->rest, "/.")] == '\0' && strstr(w->rest, "..") == NULL;
}

int rco__trust_way(const char *path)
{
	way w;
	int err, more, rc = begin_way(&w, path);

	if (rc != RCO_OK)
		return rc;
	if (lstat("/", &w.st) == 0)
		rc = check_above(&w, path);
	while (rc == RCO_OK && (more = next_step(&w)) != 0) {
		if (more < 0)
			return too_long(path);
		if (lstat(shown(&w), &w.st) != 0)
			return RCO_OK; /* not there, or not to be looked at: it is made, or opening it fails */
		if (!S_ISLNK(w.st.st_mode)) {
			if (!at_end(&w))
				rc = check_above(&w, path);
			continue;
		}
		if (!rco__trust_owner(&w.st))
			return rco__fail(
				RCO_E_PERMISSION,
				"on the way to %s, %s is a symbolic link of user %lu, who could let it lead "
				"elsewhere: name the folder itself, or use a link of your own",
				path, w.done, (unsigned long)w.st.st_uid);
		err = take_link(&w);
		if (err < 0)
			return too_long(path);
		if (err > 0)
			return RCO_OK;
	}
	return rc;
}

static int foreign_link(const char *path, const char *link, uid_t uid)
{
	return rco__fail(
		RCO_E_INVALID,
		"on the way to %s, %s is a symbolic link of user %lu, who has nothing to say about that file: "
		"register it by a path without it",
		path, link, (unsigned long)uid);
}

int rco__trust_links(const char *path)
{
	char link[PATH_MAX] = "";
	uid_t uid = 0, owner = 0;
	way w;
	int rc = begin_way(&w, path);

	while (rc == RCO_OK && next_step(&w) > 0 && lstat(shown(&w), &w.st) == 0) {
		if (!S_ISLNK(w.st.st_mode)) {
			owner = w.st.st_uid;
			continue;
		}
		if (!rco__trust_owner(&w.st) && link[0] != '\0' && w.st.st_uid != uid)
			return foreign_link(path, w.done, w.st.st_uid); /* it cannot belong to both */
		if (!rco__trust_owner(&w.st)) {
			(void)snprintf(link, sizeof link, "%s", w.done);
			uid = w.st.st_uid;
		}
		if (take_link(&w) != 0)
			break;
	}
	return link[0] != '\0' && uid != owner ? foreign_link(path, link, uid) : rc;
}
