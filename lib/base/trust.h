/* SPDX-License-Identifier: MIT */
/*
 * Who else could have put it there: owner and mode of folders and files, before
 * anything in them is believed. Other users of the machine are outside.
 */
#ifndef RCO_BASE_TRUST_H
#define RCO_BASE_TRUST_H

#include "env.h"

#include <sys/stat.h>

enum {
	RCO__TRUST_OWN = 1,    /* state, keys, a socket's folder: ours or root's, and nobody else may write */
	RCO__TRUST_OUTPUT = 2, /* the same, but its group may write, and others if the sticky bit keeps them from
	                          what is not theirs */
	RCO__TRUST_RINGS = 3   /* /dev/shm: ours or root's; nobody else may write, or the sticky bit is set */
};

/* RCO_OK, or RCO_E_PERMISSION with what to do about it. `path` is for the text. */
int rco__trust_folder(const struct stat *st, int kind, const char *path);

/* Is it this process's user's, or root's? */
int rco__trust_owner(const struct stat *st);

/*
 * The way to a folder, as it is named, links and all: anyone who may rename in one of the folders above it could
 * put another one in its place. Each of them has to be ours or root's, and written by nobody else unless the
 * sticky bit keeps others from what is not theirs; each link, also in the place of the folder itself, ours or
 * root's. What is not there yet is no error. RCO_OK, RCO_E_PERMISSION, RCO_E_LIMIT.
 */
int rco__trust_way(const char *path);

/* Who chooses what the path of somebody's file leads to: RCO_E_INVALID if a link on the way belongs neither to us,
 * nor to root, nor to whom the file belongs, or, while it is not there, the last folder that is. */
int rco__trust_links(const char *path);

/* For a file that is there already: regular, ours or root's, written by nobody else, under one name. */
int rco__trust_file(const struct stat *st, const char *path);

/*
 * A file that only we are to read, opened as `fd`, and trusted: what others could read is shut (mode 0600), and
 * told in the log of `env`, which may be NULL. RCO_E_PERMISSION if it is not ours to shut.
 */
int rco__trust_secret(int fd, const struct stat *st, const char *path, const rco__env *env);

#endif
