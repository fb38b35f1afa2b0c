/* SPDX-License-Identifier: MIT */
/*
 * A file system in front of another one: every demand is shown to the test first, which may refuse it, have half
 * of it done, or only watch. All disks of the tests that fail, stall or tell are made of it.
 */
#ifndef TESTS_SUPPORT_DISK_H
#define TESTS_SUPPORT_DISK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/base/fs.h"

enum {
	T_DISK_OPEN,
	T_DISK_CLOSE, /* is done even if it is refused */
	T_DISK_READ,
	T_DISK_WRITE,
	T_DISK_SYNC,
	T_DISK_SYNC_DIR,
	T_DISK_SIZE,
	T_DISK_TRUNCATE,
	T_DISK_RESERVE,
	T_DISK_RENAME,
	T_DISK_UNLINK,
	T_DISK_EXISTS,
	T_DISK_MKDIR,
	T_DISK_LIST,
	T_DISK_LOCK,
	T_DISK_RESOLVE,
	T_DISK_STAMP,
	T_DISK_KINDS
};

/* How much is done of a demand that is refused. */
enum { T_DISK_NOTHING = 0, T_DISK_HALF /* of a write */, T_DISK_ALL };

typedef struct t_demand {
	int kind;
	int fd;           /* -1 if it names a path */
	const char *path; /* NULL if it is about a descriptor; of a rename the new name */
	const char *from; /* of a rename the old one */
	int how;          /* of an open */
	uint64_t offset, size;
	uint8_t mark; /* of the file, 0 when it is opened: what is put here is here at its next demand */
	int done;     /* T_DISK_HALF or T_DISK_ALL: done although it is refused */
	int skip;     /* answer RCO_OK and do nothing */
} t_demand;

/* RCO_OK, or the error that is answered. */
typedef int (*t_demand_fn)(t_demand *demand, void *user_data);

typedef struct t_disk {
	rco__fs table;
	const rco__fs *below;
	t_demand_fn ask;
	void *user_data;
	_Atomic uint8_t marks[65536]; /* by descriptor */
} t_disk;

/* `below`: NULL for the real one. */
void t_disk_init(t_disk *disk, const rco__fs *below, t_demand_fn ask, void *user_data);

static inline int t_is_sync(const t_demand *demand)
{
	return demand->kind == T_DISK_SYNC || demand->kind == T_DISK_SYNC_DIR;
}

#endif
