/* SPDX-License-Identifier: MIT */
/* What the engine needs of the storage room beyond <recoptout/storage.h>. */
#ifndef RCO_STORAGE_INTERNAL_H
#define RCO_STORAGE_INTERNAL_H

#include "../base/env.h"

#include <recoptout/storage.h>

/* The constructors with an environment (and so a file system) of the engine's or a test's choosing. The public
 * ones make a rco__env from their options and call these, which ignore allocator, clock and log of the options. */
int rco__key_folder_open(const rco__env *env, const rco_key_folder_options *options, rco_key_folder **folder);
int rco__spool_open(const rco__env *env, const rco_spool_options *options, rco_spool **spool);
int rco__directory_open(const rco__env *env, const rco_directory_options *options, rco_directory **directory);

/* Files that opening the spool put into quarantine. */
uint64_t rco__spool_quarantined(const rco_spool *spool);

/* Segment files whose recordings are all gone are deleted, key epochs no recording needs are destroyed. The spool
 * does this itself when a recording is erased; the engine calls it now and then for what could not be done at that
 * time, and for compacting: a step of it, some tens of milliseconds. RCO_PENDING: there is more to do, and it may
 * be called again soon. */
int rco__spool_maintain(rco_spool *spool);

/* Copy a table by the struct_size rules and check its required slots: RCO_E_OPS names the missing one in the
 * detail. */
int rco__buffer_ops_copy(rco_buffer_ops *dst, const rco_buffer_ops *src);
int rco__upload_ops_copy(rco_upload_ops *dst, const rco_upload_ops *src);
int rco__deletion_ops_copy(rco_deletion_ops *dst, const rco_deletion_ops *src);
int rco__key_ops_copy(rco_key_ops *dst, const rco_key_ops *src);
int rco__recorder_ops_copy(rco_recorder_ops *dst, const rco_recorder_ops *src);

#endif
