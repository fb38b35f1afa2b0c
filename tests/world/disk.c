/* SPDX-License-Identifier: MIT */
/* The table: paths, descriptors, locks, faults. Every change is an entry of the log before it is made. */
#include "disk_internal.h"

#include "../../lib/base/error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FD_FIRST = 3, NAME_CAP = 255 };
#define FILE_CAP ((uint64_t)1 << 40)

/* What a call is to faults. */
enum { CALL_PLAIN = 0, CALL_SPACE = 1u << 0, CALL_WRITE = 1u << 1, CALL_SYNC = 1u << 2 };

/* One for all disks: where a store is a disk of its own, each of the two looks at the other while it is changed,
 * and two locks would be taken in both orders. Recursive, for `before` may ask the disk. */
static pthread_mutex_t all_disks;
static pthread_once_t all_disks_made = PTHREAD_ONCE_INIT;

static void make_all_disks(void)
{
	pthread_mutexattr_t attr;

	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	(void)pthread_mutex_init(&all_disks, &attr);
	(void)pthread_mutexattr_destroy(&attr);
}

void w_disk_enter(const w_disk *disk)
{
	(void)disk;
	(void)pthread_once(&all_disks_made, make_all_disks);
	(void)pthread_mutex_lock(&all_disks);
}

void w_disk_leave(const w_disk *disk)
{
	(void)disk;
	(void)pthread_mutex_unlock(&all_disks);
}

/* ---- the log ---- */

w_entry *w_disk_log(w_disk *disk, int kind)
{
	w_entry *entry;

	if (disk->before != NULL)
		disk->before(disk->before_user_data);
	if (disk->first.nodes == NULL)
		w_tree_copy(&disk->first, &disk->now);
	disk->log = w_grow(disk->log, &disk->cap_log, disk->n_log + 1, sizeof *disk->log);
	entry = &disk->log[disk->n_log++];
	memset(entry, 0, sizeof *entry);
	entry->kind = kind;
	return entry;
}

static void entry_free(w_entry *entry)
{
	w_text_drop(entry->name);
	w_text_drop(entry->to_name);
	w_text_drop(entry->path);
	w_text_drop(entry->to);
	free(entry->data);
}

void w_disk_apply(w_tree *tree, const w_entry *entry)
{
	switch (entry->kind) {
	case W_WRITE:
		w_tree_write(tree, entry->node, entry->offset / W_SECTOR * W_SECTOR, entry->data,
		             entry->data_size);
		w_tree_set_size(tree, entry->node, entry->new_size);
		break;
	case W_TRUNCATE:
		w_tree_zero_from(tree, entry->node, entry->new_size);
		w_tree_set_size(tree, entry->node, entry->new_size);
		break;
	case W_RESERVE:
		w_tree_set_size(tree, entry->node, entry->new_size);
		break;
	case W_CREATE:
	case W_MKDIR:
		w_tree_node(tree, entry->node, entry->kind == W_MKDIR);
		w_tree_name(tree, entry->parent, entry->name, entry->node);
		break;
	case W_RENAME:
		w_tree_unname(tree, entry->parent, entry->name);
		w_tree_name(tree, entry->to_parent, entry->to_name, entry->node);
		break;
	case W_UNLINK:
		w_tree_unname(tree, entry->parent, entry->name);
		break;
	default:
		break;
	}
}

size_t w_disk_position(const w_disk *disk)
{
	size_t n;

	w_disk_enter(disk);
	n = disk->n_log;
	w_disk_leave(disk);
	return n;
}

int w_disk_kind_at(const w_disk *disk, size_t position)
{
	int kind;

	w_disk_enter(disk);
	kind = position < disk->n_log ? disk->log[position].kind : 0;
	w_disk_leave(disk);
	return kind;
}

size_t w_disk_foreign(w_disk *disk, int kind)
{
	size_t position;

	w_disk_enter(disk);
	position = disk->n_log;
	(void)w_disk_log(disk, kind);
	w_disk_leave(disk);
	return position;
}

void w_disk_before(w_disk *disk, void (*fn)(void *user_data), void *user_data)
{
	w_disk_enter(disk);
	disk->before = fn;
	disk->before_user_data = user_data;
	w_disk_leave(disk);
}

/* ---- faults ---- */

void w_disk_fault(w_disk *disk, int which, uint64_t nth, int fault)
{
	w_disk_enter(disk);
	disk->fault[which] = (w_pending_fault){.at = nth > 0 ? disk->calls + nth : 0, .fault = fault, .struck = 0};
	w_disk_leave(disk);
}

uint64_t w_disk_calls(const w_disk *disk)
{
	uint64_t calls;

	w_disk_enter(disk);
	calls = disk->calls;
	w_disk_leave(disk);
	return calls;
}

int w_disk_struck(const w_disk *disk, int which)
{
	int struck;

	w_disk_enter(disk);
	struck = disk->fault[which].struck;
	w_disk_leave(disk);
	return struck;
}

void w_disk_full(w_disk *disk, int full)
{
	w_disk_enter(disk);
	disk->full = full;
	w_disk_leave(disk);
}

/* Does this fault mean anything to a call of that sort? */
static int concerns(int fault, unsigned sort)
{
	switch (fault) {
	case W_FAULT_FULL:
		return (sort & CALL_SPACE) != 0;
	case W_FAULT_TORN:
		return (sort & CALL_WRITE) != 0;
	case W_FAULT_SYNC_LOST:
		return (sort & CALL_SYNC) != 0;
	default:
		return fault != W_FAULT_NONE;
	}
}

/* Every call of the table begins with counting it. */
static void begin(w_disk *disk)
{
	w_disk_enter(disk);
	disk->calls++;
	disk->began = disk->n_log;
}

/* The fault that strikes the call that has begun. */
static int strike(w_disk *disk, unsigned sort)
{
	int i, fault = W_FAULT_NONE;

	for (i = 0; i < W_FAULTS; i++) {
		if (disk->fault[i].at != disk->calls || !concerns(disk->fault[i].fault, sort))
			continue;
		disk->fault[i].struck = 1;
		if (fault == W_FAULT_NONE)
			fault = disk->fault[i].fault;
	}
	if (fault == W_FAULT_NONE && disk->full && (sort & CALL_SPACE) != 0)
		fault = W_FAULT_FULL;
	return fault;
}

/* Faults that let nothing happen: the error of the call, otherwise RCO_OK. */
static int refused(int fault, const char *what, const char *path)
{
	if (fault == W_FAULT_ERROR)
		return rco__fail_errno(EIO, "cannot %s %s", what, path);
	if (fault == W_FAULT_FULL)
		return rco__fail_errno(ENOSPC, "cannot %s %s", what, path);
	return RCO_OK;
}

static int end(w_disk *disk, int rc)
{
	w_disk_leave(disk);
	return rc;
}

/* What was done is told as an error if that is the fault. */
static int told(w_disk *disk, int fault, int rc, const char *what, const char *path)
{
	if (fault != W_FAULT_DONE || rc != RCO_OK)
		return rc;
	if (disk->n_log > disk->began)
		disk->log[disk->n_log - 1].flags |= W_ENTRY_TOLD;
	return rco__fail_errno(EIO, "cannot %s %s", what, path);
}

/* ---- paths ---- */

typedef struct place {
	uint32_t parent, node; /* node is W_NOWHERE if the name is free */
	const char *name;
	size_t length;
} place;

/* Where a path leads: 0 or an errno. "/" has no name and no parent. */
static int locate(const w_disk *disk, const char *path, place *at)
{
	size_t length;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return path[0] != '/' ? EINVAL : ENAMETOOLONG;
	*at = (place){.parent = W_NOWHERE, .node = W_ROOT};
	for (path += strspn(path, "/"); *path != '\0'; path += strspn(path, "/")) {
		length = strcspn(path, "/");
		if (length > NAME_CAP)
			return ENAMETOOLONG;
		if (at->node == W_NOWHERE)
			return ENOENT;
		if (!disk->now.nodes[at->node].folder)
			return ENOTDIR;
		if (path[0] == '.' && (length == 1 || (length == 2 && path[1] == '.')))
			return EINVAL; /* the library builds its paths without them */
		*at = (place){.parent = at->node, .name = path, .length = length};
		at->node = w_tree_find(&disk->now, at->parent, path, length);
		path += length;
	}
	return 0;
}

/* ---- descriptors ---- */

static w_open *opened(w_disk *disk, int fd)
{
	size_t i = (size_t)fd - FD_FIRST;

	return fd >= FD_FIRST && i < disk->n_open && disk->open[i].used ? &disk->open[i] : NULL;
}

static int new_fd(w_disk *disk, uint32_t node, int may_write, const char *path)
{
	size_t i;

	for (i = 0; i < disk->n_open && disk->open[i].used; i++)
		;
	if (i == disk->n_open) {
		disk->open = w_grow(disk->open, &disk->cap_open, i + 1, sizeof *disk->open);
		disk->n_open++;
	}
	disk->open[i] =
		(w_open){.used = 1, .node = node, .may_write = may_write, .path = w_text_new(path, strlen(path))};
	return (int)i + FD_FIRST;
}

/* A file without a name lives as long as somebody has it open. */
static void forget_unnamed(w_disk *disk, uint32_t node)
{
	size_t i;

	for (i = 0; i < disk->n_open; i++) {
		if (disk->open[i].used && disk->open[i].node == node)
			return;
	}
	if (!w_tree_named(&disk->now, node))
		w_tree_empty(&disk->now, node);
}

static void close_fd(w_disk *disk, w_open *file)
{
	uint32_t node = file->node;

	w_text_drop(file->path);
	memset(file, 0, sizeof *file);
	forget_unnamed(disk, node);
}

void w_disk_forget_process(w_disk *disk)
{
	size_t i;

	w_disk_enter(disk);
	for (i = 0; i < disk->n_open; i++) {
		if (disk->open[i].used)
			close_fd(disk, &disk->open[i]);
	}
	w_disk_leave(disk);
}

/* ---- names ---- */

static uint32_t make_node(w_disk *disk, int kind, const place *at, const char *path)
{
	w_entry *entry = w_disk_log(disk, kind);

	entry->node = (uint32_t)disk->now.n_nodes;
	entry->parent = at->parent;
	entry->name = w_text_new(at->name, at->length);
	entry->path = w_text_new(path, strlen(path));
	w_disk_apply(&disk->now, entry);
	return entry->node;
}

static void set_size(w_disk *disk, int kind, uint32_t node, w_text *path, uint64_t size)
{
	w_entry *entry = w_disk_log(disk, kind);

	entry->node = node;
	entry->path = w_text_share(path);
	entry->old_size = w_tree_size(&disk->now, node);
	entry->new_size = size;
	entry->offset = size;
	if (size < entry->old_size && size % W_SECTOR != 0) {
		entry->data_size = W_SECTOR;
		entry->data = w_zalloc(1, W_SECTOR);
		w_tree_read(&disk->now, node, size / W_SECTOR * W_SECTOR, entry->data, size % W_SECTOR);
	}
	w_disk_apply(&disk->now, entry);
}

/* 0 or an errno. */
static int open_at(w_disk *disk, const char *path, int how, const place *at, int *fd)
{
	uint32_t node = at->node;
	w_open *file;

	if (node == W_NOWHERE) {
		if (how < RCO__FS_CREATE)
			return ENOENT;
		node = make_node(disk, W_CREATE, at, path);
	} else if (how == RCO__FS_CREATE_NEW) {
		return EEXIST;
	} else if (disk->now.nodes[node].folder) {
		return EISDIR;
	}
	*fd = new_fd(disk, node, how != RCO__FS_READ, path);
	file = opened(disk, *fd);
	if (how == RCO__FS_CREATE_TRUNCATE && w_tree_size(&disk->now, node) > 0)
		set_size(disk, W_TRUNCATE, node, file->path, 0);
	return 0;
}

/* Used by open and lock: both make what is missing. */
static int open_path(w_disk *disk, const char *path, int how, int *fd)
{
	int err, rc, fault;
	place at;

	*fd = -1;
	err = locate(disk, path, &at);
	fault = strike(disk, err == 0 && at.node == W_NOWHERE && how >= RCO__FS_CREATE ? CALL_SPACE : CALL_PLAIN);
	rc = refused(fault, "open", path);
	if (rc != RCO_OK)
		return rc;
	if (how < RCO__FS_READ || how > RCO__FS_CREATE_TRUNCATE)
		return rco__fail(RCO_E_INTERNAL, "open of %s in an unknown way, %d", path, how);
	if (err == 0)
		err = open_at(disk, path, how, &at, fd);
	if (err != 0)
		return rco__fail_errno(err, "cannot open %s", path);
	rc = told(disk, fault, RCO_OK, "open", path);
	if (rc != RCO_OK) {
		close_fd(disk, opened(disk, *fd));
		*fd = -1;
	}
	return rc;
}

static int disk_open(void *ctx, const char *path, int how, int *fd)
{
	w_disk *disk = ctx;

	begin(disk);
	return end(disk, open_path(disk, path, how, fd));
}

static int disk_lock(void *ctx, const char *path, int *fd)
{
	w_disk *disk = ctx;
	w_open *file;
	size_t i;
	int rc;

	begin(disk);
	rc = open_path(disk, path, RCO__FS_CREATE, fd);
	if (rc != RCO_OK)
		return end(disk, rc);
	file = opened(disk, *fd);
	for (i = 0; i < disk->n_open; i++) {
		if (!disk->open[i].used || !disk->open[i].locks || disk->open[i].node != file->node)
			continue;
		close_fd(disk, file);
		*fd = -1;
		return end(disk, rco__fail_errno(EWOULDBLOCK, "another engine or process holds %s", path));
	}
	file->locks = 1;
	return end(disk, RCO_OK);
}

static int disk_mkdir(void *ctx, const char *path)
{
	w_disk *disk = ctx;
	int rc, fault, err;
	place at;

	begin(disk);
	err = locate(disk, path, &at);
	fault = strike(disk, err == 0 && at.node == W_NOWHERE ? CALL_SPACE : CALL_PLAIN);
	rc = refused(fault, "make the folder", path);
	if (rc == RCO_OK && err != 0)
		rc = rco__fail_errno(err, "cannot make the folder %s", path);
	if (rc != RCO_OK)
		return end(disk, rc);
	if (at.node == W_NOWHERE)
		(void)make_node(disk, W_MKDIR, &at, path);
	else if (!disk->now.nodes[at.node].folder)
		return end(disk, rco__fail(RCO_E_STATE, "%s is there but not a folder", path));
	return end(disk, told(disk, fault, RCO_OK, "make the folder", path));
}

static int has_names(const w_tree *tree, uint32_t folder)
{
	size_t i;

	for (i = 0; i < tree->n_names; i++) {
		if (tree->names[i].parent == folder)
			return 1;
	}
	return 0;
}

static int rename_error(const w_disk *disk, const char *from, const char *to, const place *a, const place *b)
{
	int folder;

	if (a->node == W_NOWHERE)
		return ENOENT;
	if (a->name == NULL || b->name == NULL)
		return EBUSY;
	folder = disk->now.nodes[a->node].folder;
	if (folder && strncmp(from, to, strlen(from)) == 0 && to[strlen(from)] == '/')
		return EINVAL;
	if (b->node == W_NOWHERE || b->node == a->node)
		return 0;
	if (disk->now.nodes[b->node].folder != folder)
		return folder ? ENOTDIR : EISDIR;
	return folder && has_names(&disk->now, b->node) ? ENOTEMPTY : 0;
}

static void rename_node(w_disk *disk, const char *from, const char *to, const place *a, const place *b)
{
	w_entry *entry = w_disk_log(disk, W_RENAME);

	entry->node = a->node;
	entry->parent = a->parent;
	entry->name = w_text_new(a->name, a->length);
	entry->path = w_text_new(from, strlen(from));
	entry->to_parent = b->parent;
	entry->to_name = w_text_new(b->name, b->length);
	entry->to = w_text_new(to, strlen(to));
	w_disk_apply(&disk->now, entry);
	if (b->node != W_NOWHERE)
		forget_unnamed(disk, b->node);
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
	w_disk *disk = ctx;
	int rc, fault, err;
	place a, b;

	begin(disk);
	fault = strike(disk, CALL_PLAIN);
	rc = refused(fault, "rename", from);
	if (rc != RCO_OK)
		return end(disk, rc);
	err = locate(disk, from, &a);
	if (err == 0)
		err = locate(disk, to, &b);
	if (err == 0)
		err = rename_error(disk, from, to, &a, &b);
	if (err != 0)
		return end(disk, rco__fail_errno(err, "cannot rename %s to %s", from, to));
	if (a.node != b.node)
		rename_node(disk, from, to, &a, &b);
	return end(disk, told(disk, fault, RCO_OK, "rename", from));
}

static int disk_unlink(void *ctx, const char *path)
{
	w_disk *disk = ctx;
	w_entry *entry;
	int rc, fault, err;
	place at;

	begin(disk);
	fault = strike(disk, CALL_PLAIN);
	rc = refused(fault, "remove", path);
	if (rc != RCO_OK)
		return end(disk, rc);
	err = locate(disk, path, &at);
	if (err == 0 && at.node == W_NOWHERE)
		err = ENOENT;
	if (err == 0 && disk->now.nodes[at.node].folder)
		err = EISDIR;
	if (err != 0)
		return end(disk, rco__fail_errno(err, "cannot remove %s", path));
	entry = w_disk_log(disk, W_UNLINK);
	entry->node = at.node;
	entry->parent = at.parent;
	entry->name = w_text_new(at.name, at.length);
	entry->path = w_text_new(path, strlen(path));
	w_disk_apply(&disk->now, entry);
	forget_unnamed(disk, at.node);
	return end(disk, told(disk, fault, RCO_OK, "remove", path));
}

static int disk_sync_dir(void *ctx, const char *path)
{
	w_disk *disk = ctx;
	w_entry *entry;
	int rc, fault, err;
	place at;

	begin(disk);
	fault = strike(disk, CALL_SYNC);
	rc = refused(fault == W_FAULT_SYNC_LOST ? W_FAULT_ERROR : fault, "sync the folder", path);
	if (rc != RCO_OK)
		return end(disk, rc);
	err = locate(disk, path, &at);
	if (err == 0 && at.node == W_NOWHERE)
		err = ENOENT;
	if (err == 0 && !disk->now.nodes[at.node].folder)
		err = ENOTDIR;
	if (err != 0)
		return end(disk, rco__fail_errno(err, "cannot open the folder %s", path));
	entry = w_disk_log(disk, W_SYNC_DIR);
	entry->node = at.node;
	entry->path = w_text_new(path, strlen(path));
	return end(disk, told(disk, fault, RCO_OK, "sync the folder", path));
}

static int disk_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	w_disk *disk = ctx;
	int rc, fault, err;
	place at;

	*yes = RCO__FS_NONE;
	if (size != NULL)
		*size = 0;
	begin(disk);
	fault = strike(disk, CALL_PLAIN);
	rc = refused(fault == W_FAULT_DONE ? W_FAULT_ERROR : fault, "look for", path);
	if (rc != RCO_OK)
		return end(disk, rc);
	err = locate(disk, path, &at);
	if (err == ENOENT || err == ENOTDIR)
		return end(disk, RCO_OK);
	if (err != 0)
		return end(disk, rco__fail_errno(err, "cannot look for %s", path));
	if (at.node != W_NOWHERE) {
		*yes = disk->now.nodes[at.node].folder ? RCO__FS_FOLDER : RCO__FS_FILE;
		if (size != NULL)
			*size = w_tree_size(&disk->now, at.node);
	}
	return end(disk, RCO_OK);
}

/* The names of a folder as they are now; `fn` may change it. */
static w_text **names_of(const w_disk *disk, uint32_t folder, size_t *n)
{
	w_text **names = w_zalloc(disk->now.n_names, sizeof(w_text *));
	size_t i;

	*n = 0;
	for (i = 0; i < disk->now.n_names; i++) {
		if (disk->now.names[i].parent == folder)
			names[(*n)++] = w_text_share(disk->now.names[i].text);
	}
	return names;
}

static int disk_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	w_disk *disk = ctx;
	int rc, fault, err, stop = 0;
	size_t i, n = 0;
	w_text **names;
	place at;

	begin(disk);
	fault = strike(disk, CALL_PLAIN);
	rc = refused(fault, "read the folder", path);
	if (rc != RCO_OK)
		return end(disk, rc);
	err = locate(disk, path, &at);
	if (err == 0 && at.node == W_NOWHERE)
		err = ENOENT;
	if (err == 0 && !disk->now.nodes[at.node].folder)
		err = ENOTDIR;
	if (err != 0)
		return end(disk, rco__fail_errno(err, "cannot open the folder %s", path));
	names = names_of(disk, at.node, &n);
	w_disk_leave(disk);
	for (i = 0; i < n; i++) {
		stop = stop || fn(names[i]->text, user_data);
		w_text_drop(names[i]);
	}
	free(names);
	return fault == W_FAULT_DONE ? rco__fail_errno(EIO, "cannot read the folder %s", path) : RCO_OK;
}

/* ---- bytes ---- */

/* The open file of a call that has begun and was not refused; otherwise NULL and the error. */
static w_open *file_for(w_disk *disk, int fd, int fault, const char *what, int *rc)
{
	w_open *file = opened(disk, fd);

	*rc = file != NULL ? refused(fault, what, file->path->text) : rco__fail_errno(EBADF, "cannot %s", what);
	return *rc == RCO_OK ? file : NULL;
}

static int disk_close(void *ctx, int fd)
{
	w_disk *disk = ctx;
	w_open *file;
	int rc, fault;

	begin(disk);
	fault = strike(disk, CALL_PLAIN);
	file = opened(disk, fd);
	if (file == NULL)
		return end(disk, rco__fail_errno(EBADF, "cannot close descriptor %d", fd));
	/* As on Linux the descriptor is gone whatever the answer is. */
	rc = fault == W_FAULT_NONE ? RCO_OK : rco__fail_errno(EIO, "cannot close %s", file->path->text);
	close_fd(disk, file);
	return end(disk, rc);
}

static int disk_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	w_disk *disk = ctx;
	uint64_t there;
	w_open *file;
	int rc, fault;

	*got = 0;
	begin(disk);
	fault = strike(disk, CALL_PLAIN);
	file = file_for(disk, fd, fault == W_FAULT_DONE ? W_FAULT_ERROR : fault, "read", &rc);
	if (file == NULL)
		return end(disk, rc);
	there = w_tree_size(&disk->now, file->node);
	if (offset < there) {
		*got = size < there - offset ? size : (size_t)(there - offset);
		w_tree_read(&disk->now, file->node, offset, buf, *got);
	}
	return end(disk, RCO_OK);
}

/* The sectors that a write touches, as they are afterwards: that is what a page cache has to write back. */
static void take_sectors(const w_disk *disk, w_entry *entry, const void *buf)
{
	uint64_t first = entry->offset / W_SECTOR * W_SECTOR, last = entry->offset + entry->size;

	last = (last + W_SECTOR - 1) / W_SECTOR * W_SECTOR;
	entry->data_size = (size_t)(last - first);
	entry->data = w_zalloc(1, entry->data_size);
	w_tree_read(&disk->now, entry->node, first, entry->data, W_SECTOR);
	w_tree_read(&disk->now, entry->node, last - W_SECTOR, entry->data + entry->data_size - W_SECTOR, W_SECTOR);
	memcpy(entry->data + (entry->offset - first), buf, (size_t)entry->size);
}

static int disk_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	w_disk *disk = ctx;
	w_entry *entry;
	w_open *file;
	int rc, fault;

	begin(disk);
	fault = strike(disk, CALL_SPACE | CALL_WRITE);
	file = file_for(disk, fd, fault, "write", &rc);
	if (file == NULL)
		return end(disk, rc);
	if (!file->may_write || offset > FILE_CAP || size > FILE_CAP)
		return end(disk,
		           rco__fail_errno(file->may_write ? EFBIG : EBADF, "cannot write %s", file->path->text));
	if (fault == W_FAULT_TORN)
		size /= 2;
	if (size > 0) {
		entry = w_disk_log(disk, W_WRITE);
		entry->node = file->node;
		entry->path = w_text_share(file->path);
		entry->offset = offset;
		entry->size = size;
		entry->flags = fault == W_FAULT_TORN ? W_ENTRY_TORN : 0;
		entry->old_size = w_tree_size(&disk->now, file->node);
		entry->new_size = offset + size > entry->old_size ? offset + size : entry->old_size;
		take_sectors(disk, entry, buf);
		w_disk_apply(&disk->now, entry);
	}
	if (fault == W_FAULT_TORN)
		return end(disk, rco__fail_errno(EIO, "cannot write %s", file->path->text));
	return end(disk, told(disk, fault, RCO_OK, "write", file->path->text));
}

static int disk_sync(void *ctx, int fd)
{
	w_disk *disk = ctx;
	w_entry *entry;
	w_open *file;
	int rc, fault;

	begin(disk);
	fault = strike(disk, CALL_SYNC);
	file = file_for(disk, fd, fault, "sync", &rc);
	if (file == NULL)
		return end(disk, rc);
	entry = w_disk_log(disk, W_SYNC);
	entry->node = file->node;
	entry->path = w_text_share(file->path);
	if (fault == W_FAULT_SYNC_LOST) {
		entry->flags = W_ENTRY_LOST;
		return end(disk, rco__fail_errno(EIO, "cannot sync %s", file->path->text));
	}
	return end(disk, told(disk, fault, RCO_OK, "sync", file->path->text));
}

static int disk_size(void *ctx, int fd, uint64_t *size)
{
	w_disk *disk = ctx;
	w_open *file;
	int rc, fault;

	*size = 0;
	begin(disk);
	fault = strike(disk, CALL_PLAIN);
	file = file_for(disk, fd, fault == W_FAULT_DONE ? W_FAULT_ERROR : fault, "stat", &rc);
	if (file != NULL)
		*size = w_tree_size(&disk->now, file->node);
	return end(disk, rc);
}

/* Truncate and reserve: a new size. */
static int resize(w_disk *disk, int fd, int kind, uint64_t size, unsigned sort, const char *what)
{
	w_open *file;
	int rc, fault;

	begin(disk);
	fault = strike(disk, sort);
	file = file_for(disk, fd, fault, what, &rc);
	if (file == NULL)
		return end(disk, rc);
	if (!file->may_write || size > FILE_CAP)
		return end(disk, rco__fail_errno(file->may_write ? EFBIG : EBADF, "cannot %s %s", what,
		                                 file->path->text));
	if (kind == W_RESERVE && size < w_tree_size(&disk->now, file->node))
		size = w_tree_size(&disk->now, file->node);
	set_size(disk, kind, file->node, file->path, size);
	return end(disk, told(disk, fault, RCO_OK, what, file->path->text));
}

static int disk_truncate(void *ctx, int fd, uint64_t size)
{
	return resize(ctx, fd, W_TRUNCATE, size, CALL_PLAIN, "truncate");
}

static int disk_reserve(void *ctx, int fd, uint64_t offset, uint64_t size)
{
	uint64_t to = offset > FILE_CAP || size > FILE_CAP ? FILE_CAP + 1 : offset + size;

	return resize(ctx, fd, W_RESERVE, size > 0 ? to : 0, CALL_SPACE, "reserve space for");
}

/* There are no links here, and no other users. */
static int disk_resolve(void *ctx, const char *path, int kind, char *out, size_t size)
{
	int n = snprintf(out, size, "%s", path);

	(void)ctx, (void)kind;
	return n >= 0 && (size_t)n < size ? RCO_OK : rco__fail(RCO_E_LIMIT, "the path %s is too long", path);
}

/* ---- the disk ---- */

w_disk *w_disk_around(w_tree *tree)
{
	w_disk *disk = w_zalloc(1, sizeof *disk);

	disk->now = *tree;
	disk->table = (rco__fs){
		.ctx = disk,
		.open = disk_open,
		.close = disk_close,
		.read = disk_read,
		.write = disk_write,
		.sync = disk_sync,
		.sync_dir = disk_sync_dir,
		.size = disk_size,
		.truncate = disk_truncate,
		.reserve = disk_reserve,
		.rename = disk_rename,
		.unlink = disk_unlink,
		.exists = disk_exists,
		.mkdir = disk_mkdir,
		.list = disk_list,
		.lock = disk_lock,
		.resolve = disk_resolve,
	};
	return disk;
}

w_disk *w_disk_new(void)
{
	w_tree tree;

	w_tree_init(&tree);
	return w_disk_around(&tree);
}

const rco__fs *w_disk_table(w_disk *disk)
{
	return &disk->table;
}

void w_disk_free(w_disk *disk)
{
	size_t i;

	if (disk == NULL)
		return;
	for (i = 0; i < disk->n_open; i++)
		w_text_drop(disk->open[i].path);
	for (i = 0; i < disk->n_log; i++)
		entry_free(&disk->log[i]);
	w_disk_replay_free(disk->replay);
	w_tree_free(&disk->now);
	w_tree_free(&disk->first);
	free(disk->open);
	free(disk->log);
	free(disk->scratch);
	free(disk);
}
