/* SPDX-License-Identifier: MIT */
/* What the engine needs of the storage room beyond <recoptout/storage.h>. */
#ifndef RCO_STORAGE_INTERNAL_H
#define RCO_STORAGE_INTERNAL_H

#include "../base/env.h"

#include <recoptout/storage.h>

/* The constructors with an environment (and so a file system) of the engine's or a test's choosing. The public
 * ones make a rco__env from their options and call these, which ignore allocator, clock and log of the options. */
int rco__key_dir_open(const rco__env *env, const rco_key_dir_options *options, rco_key_dir **folder);
int rco__spool_open(const rco__env *env, const rco_spool_options *options, rco_spool **spool);
int rco__directory_open(const rco__env *env, const rco_directory_options *options, rco_directory **directory);
/* What it failed with when it was opened and could not be written; RCO_OK. The detail is of then. */
int rco__directory_unwritable(const rco_directory *directory);

/* As it was resolved. */
const char *rco__directory_path(const rco_directory *directory);
const char *rco__key_dir_path(const rco_key_dir *folder);

/* Which folder this is, whatever its path: a random id that is given to it, in a file in it, when it is first
 * asked for. "" on failure. */
int rco__directory_id(rco_directory *directory, char id[RCO_ID_TEXT + 1]);
/* RCO_OK if it is that one, "ID" or "ID:PATH", or has taken its place; else RCO_E_NOT_FOUND, with what to do. */
int rco__directory_is(const rco_directory *directory, const char *place);

/* Is what is under that key another user's file? Of one that was never committed that is not it. */
int rco__directory_foreign(const rco_directory *directory, const char *key);

/* One of many chunks that are appended together. */
typedef struct rco__append {
	rco_chunk chunk;
	int rc;                         /* RCO_OK: it is in the spool, as after append() */
	struct rco__spooled *recording; /* the spool's */
	uint32_t record_size;           /* the spool's */
} rco__append;

/* Chunks that share a write; more of them make more writes. */
enum { RCO__APPEND_MANY = 128 };

/*
 * Append chunks of many recordings, with one write for as many as fit into it. Calls no code of the host's key
 * provider. A chunk that is not taken leaves its recording as it was and says so in its `rc`, without a detail
 * that could be told: append() takes it, or tells why not. These are also repetitions, gaps, a second chunk of the
 * same leg, chunks that would fill a write, and recordings whose key is not in memory.
 */
void rco__spool_append_many(rco_spool *spool, rco__append *list, size_t count);

/* Is that its folder? */
int rco__spool_is_at(const rco_spool *spool, const char *path);

/* Files that opening the spool put into quarantine. */
uint64_t rco__spool_quarantined(const rco_spool *spool);

/* Copy a table by the struct_size rules and check its required slots: RCO_E_OPS names the missing one in the
 * detail. */
int rco__buffer_ops_copy(rco_buffer_ops *dst, const rco_buffer_ops *src);
int rco__upload_ops_copy(rco_upload_ops *dst, const rco_upload_ops *src);
int rco__deletion_ops_copy(rco_deletion_ops *dst, const rco_deletion_ops *src);
int rco__key_ops_copy(rco_key_ops *dst, const rco_key_ops *src);
int rco__recorder_ops_copy(rco_recorder_ops *dst, const rco_recorder_ops *src);

#endif
