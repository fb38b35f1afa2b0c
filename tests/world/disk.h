/* SPDX-License-Identifier: MIT */
/*
 * A file system in memory, behind the table of lib/base/fs.h, that knows what a power cut would leave of it.
 *
 * Everything that happens is an entry of a log: what was done to files and folders, and, put in between by others,
 * what happened to the store, to the rings, and what the library has promised by then. From any position of the
 * log an image can be built: the disk that a process would find that was started after a crash at that moment.
 *
 * The model (POSIX, and what ext4, xfs and btrfs make of it):
 * - bytes written are in sectors of 512; of a write that was not synced any subset of sectors may have arrived,
 *   and a sector is either old or new; a file's length is changed with the data or without it;
 * - sync() of a file makes its bytes and its length durable, not its name; sync_dir() makes the names in a folder
 *   durable: files made, renamed, removed;
 * - a rename is atomic, between folders too; unsynced operations on names arrive in their order within one folder,
 *   as journals keep it; data and names are not ordered with each other (a renamed file may be empty: that is why
 *   it is synced first); a folder that did not arrive takes along what was synced in it;
 * - the sizes of a file arrive in their order; what was cut off does not come back with a later size, and what was
 *   written after a cut that did not arrive does not arrive behind it;
 * - a sync that fails leaves what was written in doubt, and a later sync that succeeds does not make it certain:
 *   its pages were marked clean. Only writing a sector again, and a sync after that, does. Names and sizes are in
 * a journal, which has no pages to mark: they are in doubt until a sync succeeds.
 */
#ifndef TESTS_WORLD_DISK_H
#define TESTS_WORLD_DISK_H

#include "../../lib/base/fs.h"

#include <stddef.h>
#include <stdint.h>

typedef struct w_disk w_disk;

/* Kinds of log entries. Those of 100 and above are others' (store, rings, promises): the disk only keeps their
 * place. */
enum {
	W_WRITE = 1,
	W_TRUNCATE,
	W_RESERVE,
	W_CREATE,
	W_RENAME,
	W_UNLINK,
	W_MKDIR,
	W_SYNC,
	W_SYNC_DIR,
	W_FOREIGN = 100
};

w_disk *w_disk_new(void);
void w_disk_free(w_disk *disk);
/* Its table. All paths are absolute; "/" is there. Any thread. */
const rco__fs *w_disk_table(w_disk *disk);
/* The process has ended: its descriptors and locks are gone, files stay as they are. */
void w_disk_forget_process(w_disk *disk);

/* ---- the log ---- */

/* Entries so far; a position is how many of them have happened. */
size_t w_disk_position(const w_disk *disk);
int w_disk_kind_at(const w_disk *disk, size_t position);
/* Whether that entry only makes a file longer by zeros, as files that are written ahead are filled. */
int w_disk_fills_at(const w_disk *disk, size_t position);
/* Put an entry of another's kind into the log. Its meaning is with the one who put it there, under the number
 * returned (the position it has). */
size_t w_disk_foreign(w_disk *disk, int kind);
/* Called before each entry is put into the log, others' too; for taking the state of what is beside the disk. */
void w_disk_before(w_disk *disk, void (*fn)(void *user_data), void *user_data);

/* ---- faults: the n-th call of the table from now on, from 1 ---- */

enum {
	W_FAULT_NONE = 0,
	W_FAULT_ERROR,    /* nothing is done, RCO_E_IO */
	W_FAULT_FULL,     /* nothing is done, RCO_E_NO_SPACE; concerns calls that need space, and no others */
	W_FAULT_TORN,     /* half of a write arrives, RCO_E_IO; concerns writes */
	W_FAULT_DONE,     /* it is done, and RCO_E_IO all the same; a file opened is closed again */
	W_FAULT_SYNC_LOST /* a sync fails with RCO_E_IO, and the pages are marked clean; concerns syncs */
};

/* Faults that wait at the same time, of each kind: `which` is below it, everywhere. */
enum { W_FAULTS = 4 };

/* nth 0: none. A fault that does not concern its call does not strike. A close that fails has closed. */
void w_disk_fault(w_disk *disk, int which, uint64_t nth, int fault);
/* Calls of the table so far, in the same count. */
uint64_t w_disk_calls(const w_disk *disk);
/* Whether the fault has struck. */
int w_disk_struck(const w_disk *disk, int which);
/* Every write and every new file fails with RCO_E_NO_SPACE from now on, or no more. */
void w_disk_full(w_disk *disk, int full);

/* ---- looking ---- */

/* Bytes of a file as a reader would see them now; NULL if it is not there. Valid until the next change. */
const uint8_t *w_disk_file(w_disk *disk, const char *path, size_t *size);
/* Call fn for every file. */
void w_disk_each(w_disk *disk, void (*fn)(const char *path, const uint8_t *data, size_t size, void *user_data),
                 void *user_data);
/* Number of files whose bytes contain the marker (which is not all zeros); with size 0 the number of all files. */
size_t w_disk_holds(w_disk *disk, const void *marker, size_t size);
/* A text of what happened from one position to another, for a failed test; free() it. */
char *w_disk_story(const w_disk *disk, size_t from, size_t to);

/* ---- images ---- */

/* How a crash treats what was not synced. */
enum {
	W_CRASH_KILL = 0, /* the process ends, the machine goes on: everything is there */
	W_CRASH_POWER = 1 /* of what was not synced, whatever `choice` says is there */
};

/* The number of operations (and of sectors of torn writes) that were in doubt at the position: 2^that would be all
 * subsets. */
size_t w_disk_doubts(const w_disk *disk, size_t position);
/* The position of the entry that doubt `doubt` is part of; doubts are in the order of the log, so that those of
 * one entry are side by side. SIZE_MAX if there is no such doubt. */
size_t w_disk_doubt_at(const w_disk *disk, size_t position, size_t doubt);
/*
 * The disk after a crash at `position`. For a power cut bit i of `choice` (from the oldest doubt on; bits beyond
 * `choice_bits` are derived from the last 64 by hashing; with 0 bits nothing arrived) says whether doubt i
 * arrived, as far as the order of names and sizes allows it. The new disk has a log of its own, which begins
 * there. It shares pages with the old one, which may be freed before it. In the order of the log images are
 * cheapest. Equal images have equal w_disk_hash().
 */
w_disk *w_disk_image(const w_disk *disk, size_t position, int crash, const uint64_t *choice, size_t choice_bits);
uint64_t w_disk_hash(const w_disk *disk);

#endif
