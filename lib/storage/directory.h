/* SPDX-License-Identifier: MIT */
/* The directory backend's inside, shared by its upload (directory.c) and its deletion (directory_delete.c). */
#ifndef RCO_STORAGE_DIRECTORY_H
#define RCO_STORAGE_DIRECTORY_H

#include "parts.h"
#include "storage_internal.h"

#include <limits.h>
#include <pthread.h>

enum { RCO__DIR_BUCKETS = 256, RCO__DIR_PATH = PATH_MAX };

/* An upload begun by this process. */
typedef struct rco__dir_upload {
	struct rco__dir_upload *next;
	int busy; /* a slot is at work on it, without the lock */
	rco__parts parts;
	char key[]; /* flexible: as long as it is */
} rco__dir_upload;

struct rco_directory {
	uint32_t magic;
	rco__env env;
	char *path;
	pthread_mutex_t lock; /* over uploads; never held over a file operation */
	rco__dir_upload *uploads[RCO__DIR_BUCKETS];
};

/* RCO_E_HANDLE, RCO_E_INVALID: what every slot checks first. */
int rco__dir_check(const struct rco_directory *dir, const rco_object *object, const rco_result *result);
/* Paths of KEY and KEY.tmp; RCO_E_INVALID for a key that is no file name of ours. */
int rco__dir_paths(const struct rco_directory *dir, const char *key, char file[RCO__DIR_PATH],
                   char tmp[RCO__DIR_PATH]);
/* Take the upload of a key for this slot; *upload is NULL if there is none. RCO_E_BUSY if another slot has it. */
int rco__dir_take(struct rco_directory *dir, const char *key, rco__dir_upload **upload);
/* Give it back, or forget it. NULL is ignored. */
void rco__dir_give(struct rco_directory *dir, rco__dir_upload *upload, int keep);
/* Remove a regular file if it is there. RCO_E_INVALID if it is something else, which stays. */
int rco__dir_unlink(const struct rco_directory *dir, const char *path);
/* RCO_OK if our folder is there: "not in it" says nothing while it is not mounted. */
int rco__dir_present(const struct rco_directory *dir);

#endif
