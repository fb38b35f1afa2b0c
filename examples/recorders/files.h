/* SPDX-License-Identifier: MIT */
/*
 * Recordings on this machine: are they there, does anybody have them open, and away with them. A path is followed
 * below the configured folder only, through no symbolic link, to a regular file.
 */
#ifndef RECORDERS_FILES_H
#define RECORDERS_FILES_H

#include "adapter.h"

/* Which file it is, whatever it is called. Times in nanoseconds since 1970; birth_ns 0 where the file system does
 * not tell. */
typedef struct file_id {
	uint64_t dev, ino;
	int64_t birth_ns, mtime_ns;
	uint64_t size, links;
} file_id;

int file_same(const file_id *a, const file_id *b);

typedef enum file_state {
	FILE_GONE,
	FILE_THERE,
	FILE_ODD,    /* something is there that is no recording: a folder, a link, a device */
	FILE_UNKNOWN /* it cannot be looked at */
} file_state;

/* Is it open? Told by a write lease (fcntl, F_SETLEASE), which nobody gets for a file that anybody has open. */
typedef enum file_use {
	FILE_FREE,
	FILE_BUSY,
	FILE_USE_UNKNOWN /* no lease: neither owner nor CAP_LEASE, or a file system that has none (NFS) */
} file_use;

typedef enum file_erased {
	FILE_ERASED,   /* durably */
	FILE_NOT_OURS, /* another file has the name by now: left alone */
	FILE_WRITTEN,  /* somebody has it open: left alone, or opened it as it went */
	FILE_REFUSED   /* `why` says what is in the way */
} file_erased;

/* What --dir has to be: its absolute path in `out`; or a sentence. */
const char *folder_check(const char *dir, char out[PATH_ROOM]);
/* What keeps this process from erasing there, as a sentence for the log; NULL if nothing does. */
const char *folder_doubts(const char *dir);
/* The name below `dir` of a relative or absolute name that `start` or the recorder gave; NULL if it is none,
 * or a part of it is too long for a file. */
const char *folder_name(const char *dir, const char *given);

/* Holds on to a file, by a descriptor that opens nothing (O_PATH); -1. To be closed before it is asked whether the
 * file is in use, and soon: what is unlinked stays on the disk until then. */
int file_hold(const char *dir, const char *path, const file_id *id);
/* Has it no name any more? What was only renamed has one. */
int file_is_unlinked(int held);

file_state file_look(const char *dir, const char *path, file_id *id, char why[WHY_MAX]);
file_use file_in_use(const char *dir, const char *path, const file_id *id, char why[WHY_MAX]);
/* Has anybody it open for writing? Who only reads it does not count. */
file_use file_is_written(const char *dir, const char *path, const file_id *id);
/* `must_be_free`: not without the lease. */
file_erased file_erase(const char *dir, const char *path, const file_id *id, int must_be_free, char why[WHY_MAX]);

#endif
