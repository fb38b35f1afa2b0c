/* SPDX-License-Identifier: MIT */
/*
 * A lock that ends with the process that took it, whatever children of it live on: a record lock (fcntl F_SETLK),
 * which fork() does not pass on as it does flock(). Such a lock does not keep one process from locking twice, and
 * goes when any descriptor of the file is closed in it; so this process's locks are listed here, and a file that
 * is in the list is not opened again.
 */
#ifndef RCO_BASE_LOCK_H
#define RCO_BASE_LOCK_H

#include "env.h"

/*
 * Open `name` in the folder behind the descriptor `at`, and lock it. `flags`: O_CREAT, O_EXCL, or 0. The lock is
 * held until *fd is closed. A file that rco__trust_file() refuses is not locked. RCO_E_BUSY if another process, or
 * another part of this one, has it; RCO_E_PERMISSION, RCO_E_NOT_FOUND, RCO_E_STATE (it exists, O_EXCL). `path` is
 * for texts. Others who could read it could hold it locked, for ever: its mode becomes 0600, which is told in the
 * log of `env`, which may be NULL. Any thread.
 */
int rco__lock_at(int at, const char *name, int flags, const char *path, const rco__env *env, int *fd);

/* Does nobody hold a lock on it, in this process or another? Takes none itself, which could get in the way of whom
 * it belongs to. 0 also if it cannot be told. */
int rco__lock_is_free(int at, const char *name);

#endif
