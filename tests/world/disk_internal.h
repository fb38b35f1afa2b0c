/* SPDX-License-Identifier: MIT */
/* What the parts of the disk share: disk.c (the table), disk_image.c (crashes), disk_look.c (looking). */
#ifndef TESTS_WORLD_DISK_INTERNAL_H
#define TESTS_WORLD_DISK_INTERNAL_H

#include "disk.h"
#include "disk_tree.h"

#include <pthread.h>

enum {
	W_ENTRY_LOST = 1u << 0, /* a sync that failed, and marked its pages clean */
	W_ENTRY_TORN = 1u << 1, /* a write that arrived in part */
	W_ENTRY_TOLD = 1u << 2  /* done, and an error was the answer */
};

/*
 * What happened. `path` (and `to` of a rename) is for the story; nodes and names say what is done.
 * W_WRITE: `data` are whole sectors as they are afterwards, from the one of `offset` on. W_TRUNCATE: so is the
 * sector that was cut in two, whose rest is zeros now.
 */
typedef struct w_entry {
	int kind;
	uint32_t flags;
	uint32_t node;              /* the file or folder */
	uint32_t parent, to_parent; /* folders of the names */
	w_text *name, *to_name;
	w_text *path, *to;
	uint64_t offset, size;
	uint64_t old_size, new_size; /* of the file */
	uint8_t *data;
	size_t data_size;
} w_entry;

/* A thing that a power cut may leave out. */
enum { W_DOUBT_SECTOR, W_DOUBT_SIZE, W_DOUBT_NAME };

typedef struct w_doubt {
	uint32_t entry;
	uint8_t type;
	uint8_t lost; /* a failed sync marked it clean: no sync makes it certain any more */
	uint32_t node;
	uint64_t sector;
} w_doubt;

/* The log played back up to a position. */
typedef struct w_replay {
	size_t position;
	w_tree seen;    /* what everybody saw */
	w_tree certain; /* what no power cut takes away; bytes may stand beyond the size of a file */
	w_doubt *doubts;
	size_t n_doubts, cap_doubts;
} w_replay;

typedef struct w_open {
	int used, locks, may_write;
	uint32_t node;
	w_text *path;
} w_open;

typedef struct w_pending_fault {
	uint64_t at; /* the call's number; 0: none */
	int fault, struck;
} w_pending_fault;

struct w_disk {
	rco__fs table;
	w_tree now;
	w_tree first; /* as it was when the log began; empty until there is a log */
	w_entry *log;
	size_t n_log, cap_log;
	w_replay *replay; /* where the last image was made, NULL before the first */
	w_open *open;
	size_t n_open, cap_open;
	uint64_t calls;
	size_t began; /* entries when the call now running began */
	w_pending_fault fault[W_FAULTS];
	int full;
	void (*before)(void *user_data);
	void *before_user_data;
	uint8_t *scratch;
	size_t cap_scratch;
};

void w_disk_enter(const w_disk *disk);
void w_disk_leave(const w_disk *disk);
/* A new entry, put in order by the caller. */
w_entry *w_disk_log(w_disk *disk, int kind);
/* Do to a tree what an entry says. */
void w_disk_apply(w_tree *tree, const w_entry *entry);
void w_disk_replay_free(w_replay *replay);
/* An empty disk around a tree, which it takes. */
w_disk *w_disk_around(w_tree *tree);

#endif
