/* SPDX-License-Identifier: MIT */
/* The directory backend's inside, shared by its upload (directory.c) and its deletion (directory_delete.c). */
#ifndef RCO_STORAGE_DIRECTORY_H
#define RCO_STORAGE_DIRECTORY_H

#include "parts.h"
#include "storage_internal.h"

#include "../base/fs_roots.h"

#include <limits.h>
#include <pthread.h>

/* Tells the folder from others: the ids of its store, in it. */
#define RCO__DIR_STORE_FILE ".recoptout-store"

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
	int unwritable; /* what the first try to write into it failed with */
	rco__roots roots;
	char path[RCO__DIR_PATH]; /* resolved */
	pthread_mutex_t lock;     /* over uploads; never held over a file operation */
	pthread_mutex_t id_lock;  /* one thread gives the folder its id */
	int id_in_doubt;          /* by it: a power cut could take it away */
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
/* Remove a regular file of one name if it is there. RCO_E_INVALID if it is something else, RCO_E_UNCONFIRMED if
 * it has other names, under which its audio would remain: both stay. */
int rco__dir_unlink(const struct rco_directory *dir, const char *path);
/* The same for an unfinished upload: it was created by us, so that what is nothing like that is not
 * it. That goes, too, if we may remove it. */
int rco__dir_unlink_tmp(const struct rco_directory *dir, const char *path);
int rco__dir_unfinished(const struct rco_directory *dir, const char *tmp, int *there);
/* RCO_E_PERMISSION, with what is at this path in place of a file that we wrote. */
int rco__dir_not_ours(int kind, const char *path);
/* Is our finished file there? RCO_E_PERMISSION if something is that is not to be believed. */
int rco__dir_finished(const struct rco_directory *dir, const char *path, int *there, uint64_t *size);
/* Does the engine keep its call record under this key? */
int rco__dir_is_record(const rco_object *object);
/* Is what is under the object's key the record of its recording? RCO_E_CORRUPT if not. *bytes: of the audio that
 * it says there is, 0 if that was erased. */
int rco__dir_record(const struct rco_directory *dir, const rco_object *object, uint64_t size, uint64_t *bytes);
/* RCO_OK if our folder is there: "not in it" says nothing while it is not mounted. */
int rco__dir_present(const struct rco_directory *dir);

#endif
