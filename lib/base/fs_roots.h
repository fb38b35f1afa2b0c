/* SPDX-License-Identifier: MIT */
/*
 * The folders that a host names (state, keys, output), each opened once: what is done below them starts from their
 * descriptors. A host that changes its working directory, or somebody who moves or swaps a folder on the way,
 * changes nothing. A folder that was removed and created again is looked for again by its path, and checked again.
 */
#ifndef RCO_BASE_FS_ROOTS_H
#define RCO_BASE_FS_ROOTS_H

#include "env.h"

#include <limits.h>

enum { RCO__ROOTS = 8 };

typedef struct rco__root {
	char *path; /* absolute, without links */
	size_t length;
	int fd; /* O_PATH */
	int kind;
} rco__root;

typedef struct rco__roots {
	const void *tag; /* first: see rco__roots_of() */
	rco__fs table;   /* the real one, with these roots */
	rco__env env;    /* its memory */
	uint32_t count;
	rco__root root[RCO__ROOTS];
} rco__roots;

/* Let `env` use the real file system with roots of its own, if it uses that without any yet. */
void rco__roots_use(rco__roots *roots, rco__env *env);
/* Also for roots that were never used. */
void rco__roots_close(rco__roots *roots);

/* ---- for fs_posix.c: where a path is ---- */

/* A table's ctx as roots. NULL for the real table itself, and for one that has some of its functions and others of
 * its own, with a ctx of its own that begins with a pointer. */
rco__roots *rco__roots_of(void *ctx);

typedef struct rco__place {
	int at;                  /* a folder, without links on the way to it */
	int opened;              /* `at` is to be closed */
	const rco__root *root;   /* that it is in, or NULL */
	char name[NAME_MAX + 1]; /* in that folder; "." for itself */
} rco__place;

/* 0 or an errno; ELOOP: a link is on the way. `ctx` is the table's. */
int rco__place_find(void *ctx, const char *path, rco__place *place);
void rco__place_leave(rco__place *place);
int rco__is_link(int at, const char *name);
/* For texts: the error of a path, from the errno of a call on its place. */
int rco__place_fail(int err, const char *what, const char *path);

/* The slot of that name. */
int rco__roots_resolve(void *ctx, const char *path, int kind, char *out, size_t size);

#endif
