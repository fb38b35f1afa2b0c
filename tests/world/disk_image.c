/* SPDX-License-Identifier: MIT */
/*
 * What a crash leaves. The log is played back up to the position, with two trees: what everybody saw, and what no
 * power cut takes away; between them stands the list of doubts. The place reached is kept, so that one image after
 * another, in the order of the log, costs a copy of a tree and its doubts.
 */
#include "disk_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- playing back ---- */

static w_doubt *doubt_new(w_replay *r, size_t entry, uint8_t type, uint32_t node, uint64_t sector)
{
	w_doubt *d;

	r->doubts = w_grow(r->doubts, &r->cap_doubts, r->n_doubts + 1, sizeof *r->doubts);
	d = &r->doubts[r->n_doubts++];
	*d = (w_doubt){.entry = (uint32_t)entry, .type = type, .node = node, .sector = sector};
	return d;
}

/* Is there a doubt about what is in a sector: another write, or a cut before its end? */
static int sector_pending(const w_replay *r, const w_disk *disk, uint32_t node, uint64_t sector)
{
	const w_doubt *d;
	size_t i;

	for (i = 0; i < r->n_doubts; i++) {
		d = &r->doubts[i];
		if (d->node != node || d->type == W_DOUBT_NAME)
			continue;
		if (d->type == W_DOUBT_SECTOR ? d->sector == sector
		                              : disk->log[d->entry].new_size < (sector + 1) * W_SECTOR)
			return 1;
	}
	return 0;
}

static const uint8_t *sector_data(const w_entry *entry, uint64_t sector)
{
	return entry->data + (sector - entry->offset / W_SECTOR) * W_SECTOR;
}

/* A sector that says what is certain there already is no doubt, whether it arrives or not. */
static int same_as_certain(const w_replay *r, const w_disk *disk, const w_entry *entry, uint64_t sector)
{
	static const uint8_t zeros[W_SECTOR];
	const uint8_t *certain = w_tree_sector(&r->certain, entry->node, sector);

	return memcmp(sector_data(entry, sector), certain != NULL ? certain : zeros, W_SECTOR) == 0 &&
	       !sector_pending(r, disk, entry->node, sector);
}

static void doubt_write(w_replay *r, const w_disk *disk, size_t index)
{
	const w_entry *entry = &disk->log[index];
	uint64_t sector = entry->offset / W_SECTOR, last = sector + entry->data_size / W_SECTOR;

	for (; sector < last; sector++) {
		if (!same_as_certain(r, disk, entry, sector))
			(void)doubt_new(r, index, W_DOUBT_SECTOR, entry->node, sector);
	}
}

/* Is a sector that a failed sync left in doubt overtaken by what is settled now: written again, or cut off? */
static int overtaken(const w_replay *r, const w_disk *disk, size_t i)
{
	const w_doubt *d = &r->doubts[i], *later;
	const w_entry *entry;
	size_t j;

	for (j = i + 1; j < r->n_doubts; j++) {
		later = &r->doubts[j];
		if (later->lost || later->node != d->node || later->type == W_DOUBT_NAME)
			continue;
		entry = &disk->log[later->entry];
		if (later->type == W_DOUBT_SECTOR && later->sector == d->sector)
			return 1;
		if (later->type == W_DOUBT_SIZE && d->sector * W_SECTOR >= entry->new_size)
			return 1;
	}
	return 0;
}

/* Put one doubt about bytes into a tree. */
static void arrive(w_tree *tree, const w_doubt *d, const w_entry *entry)
{
	if (d->type == W_DOUBT_SECTOR) {
		w_tree_write(tree, d->node, d->sector * W_SECTOR, sector_data(entry, d->sector), W_SECTOR);
		return;
	}
	if (entry->new_size < entry->old_size)
		w_tree_zero_from(tree, d->node, entry->new_size);
	w_tree_set_size(tree, d->node, entry->new_size);
}

/* A sync of a file that succeeded. */
static void settle_file(w_replay *r, const w_disk *disk, uint32_t node)
{
	size_t i, n = 0;

	for (i = 0; i < r->n_doubts; i++) {
		const w_doubt *d = &r->doubts[i];

		if (d->node != node || d->type == W_DOUBT_NAME || (d->lost && !overtaken(r, disk, i)))
			r->doubts[n++] = *d;
		else if (!d->lost)
			arrive(&r->certain, d, &disk->log[d->entry]);
	}
	r->n_doubts = n;
}

static void lose_file(w_replay *r, uint32_t node)
{
	size_t i;

	for (i = 0; i < r->n_doubts; i++) {
		if (r->doubts[i].node == node && r->doubts[i].type == W_DOUBT_SECTOR)
			r->doubts[i].lost = 1;
	}
}

static void arrive_name(w_tree *tree, const w_entry *entry)
{
	if (entry->kind == W_CREATE || entry->kind == W_MKDIR)
		w_tree_name(tree, entry->parent, entry->name, entry->node);
	else
		w_disk_apply(tree, entry);
}

/* Does a doubt about names touch one of the marked folders? A rename touches two. */
static int touches(const uint8_t *folders, const w_entry *entry)
{
	return folders[entry->parent] || (entry->kind == W_RENAME && folders[entry->to_parent]);
}

static void mark(uint8_t *folders, const w_entry *entry)
{
	folders[entry->parent] = 1;
	if (entry->kind == W_RENAME)
		folders[entry->to_parent] = 1;
}

/*
 * A sync of a folder: all that was done to its names is certain, and, as a rename between folders is one step,
 * what had been done before that in the other.
 */
static void settle_folder(w_replay *r, const w_disk *disk, uint32_t folder)
{
	uint8_t *folders = w_zalloc(r->certain.n_nodes, 1), *settled = w_zalloc(r->n_doubts, 1);
	size_t i, n = 0;

	folders[folder] = 1;
	for (i = r->n_doubts; i-- > 0;) {
		if (r->doubts[i].type != W_DOUBT_NAME || !touches(folders, &disk->log[r->doubts[i].entry]))
			continue;
		settled[i] = 1;
		mark(folders, &disk->log[r->doubts[i].entry]);
	}
	for (i = 0; i < r->n_doubts; i++) {
		if (settled[i])
			arrive_name(&r->certain, &disk->log[r->doubts[i].entry]);
		else
			r->doubts[n++] = r->doubts[i];
	}
	r->n_doubts = n;
	free(folders);
	free(settled);
}

static void step(w_replay *r, const w_disk *disk)
{
	size_t index = r->position++;
	const w_entry *entry = &disk->log[index];

	w_disk_apply(&r->seen, entry);
	switch (entry->kind) {
	case W_WRITE:
	case W_TRUNCATE:
		doubt_write(r, disk, index);
		break;
	case W_CREATE:
	case W_MKDIR:
		w_tree_node(&r->certain, entry->node, entry->kind == W_MKDIR);
		(void)doubt_new(r, index, W_DOUBT_NAME, entry->node, 0);
		break;
	case W_RENAME:
	case W_UNLINK:
		(void)doubt_new(r, index, W_DOUBT_NAME, entry->node, 0);
		break;
	case W_SYNC:
		if ((entry->flags & W_ENTRY_LOST) != 0)
			lose_file(r, entry->node);
		else
			settle_file(r, disk, entry->node);
		break;
	case W_SYNC_DIR:
		settle_folder(r, disk, entry->node);
		break;
	default:
		break;
	}
	if (entry->new_size != entry->old_size)
		(void)doubt_new(r, index, W_DOUBT_SIZE, entry->node, 0);
}

void w_disk_replay_free(w_replay *replay)
{
	if (replay == NULL)
		return;
	w_tree_free(&replay->seen);
	w_tree_free(&replay->certain);
	free(replay->doubts);
	free(replay);
}

/* Keeps the place reached although the disk is const for callers: nobody can see it. */
static w_replay *replay_to(const w_disk *disk, size_t position)
{
	w_disk *own = (w_disk *)(uintptr_t)disk;
	const w_tree *first = disk->first.nodes != NULL ? &disk->first : &disk->now;

	if (position > disk->n_log)
		position = disk->n_log;
	if (own->replay != NULL && own->replay->position > position) {
		w_disk_replay_free(own->replay);
		own->replay = NULL;
	}
	if (own->replay == NULL) {
		own->replay = w_zalloc(1, sizeof *own->replay);
		w_tree_copy(&own->replay->seen, first);
		w_tree_copy(&own->replay->certain, first);
	}
	while (own->replay->position < position)
		step(own->replay, disk);
	return own->replay;
}

size_t w_disk_doubts(const w_disk *disk, size_t position)
{
	size_t n;

	w_disk_enter(disk);
	n = replay_to(disk, position)->n_doubts;
	w_disk_leave(disk);
	return n;
}

size_t w_disk_doubt_at(const w_disk *disk, size_t position, size_t doubt)
{
	const w_replay *r;
	size_t at;

	w_disk_enter(disk);
	r = replay_to(disk, position);
	at = doubt < r->n_doubts ? r->doubts[doubt].entry : SIZE_MAX;
	w_disk_leave(disk);
	return at;
}

/* ---- images ---- */

static int chosen(const uint64_t *choice, size_t bits, size_t i)
{
	uint64_t h;

	if (i < bits)
		return (int)(choice[i / 64] >> (i % 64) & 1);
	if (bits == 0)
		return 0;
	h = (choice[(bits - 1) / 64] ^ i) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 31)) * 0xbf58476d1ce4e5b9u;
	return (int)(h >> 63);
}

/* Within a folder nothing arrives after something that did not. */
static void names_arrive(w_tree *tree, const w_replay *r, const w_disk *disk, const uint8_t *there)
{
	uint8_t *blocked = w_zalloc(tree->n_nodes, 1);
	const w_entry *entry;
	size_t i;

	for (i = 0; i < r->n_doubts; i++) {
		if (r->doubts[i].type != W_DOUBT_NAME)
			continue;
		entry = &disk->log[r->doubts[i].entry];
		if (there[i] && !touches(blocked, entry))
			arrive_name(tree, entry);
		else
			mark(blocked, entry);
	}
	free(blocked);
}

/* What is known of a file while its doubts are gone through. */
typedef struct extent {
	size_t last_size; /* one more than the last change of size that arrived, 0: none did */
	uint64_t cut;     /* smallest size that did not arrive: nothing written later arrives beyond it */
	int doubtful;
} extent;

static void bytes_arrive(w_tree *tree, const w_replay *r, const w_disk *disk, const uint8_t *there)
{
	extent *files = w_zalloc(tree->n_nodes, sizeof *files);
	const w_entry *entry;
	const w_doubt *d;
	extent *file;
	size_t i;

	/* The journal keeps the sizes of a file in order: the last that arrived stands for those before it. */
	for (i = 0; i < r->n_doubts; i++) {
		if (there[i] && r->doubts[i].type == W_DOUBT_SIZE)
			files[r->doubts[i].node].last_size = i + 1;
	}
	for (i = 0; i < r->n_doubts; i++) {
		d = &r->doubts[i];
		if (d->type == W_DOUBT_NAME)
			continue;
		file = &files[d->node];
		entry = &disk->log[d->entry];
		if (!file->doubtful)
			file->cut = UINT64_MAX;
		file->doubtful = 1;
		if (d->type == W_DOUBT_SIZE && i < file->last_size)
			arrive(tree, d, entry);
		else if (d->type == W_DOUBT_SIZE && entry->new_size < file->cut &&
		         entry->new_size < entry->old_size)
			file->cut = entry->new_size;
		else if (d->type == W_DOUBT_SECTOR && there[i] && d->sector * W_SECTOR < file->cut)
			arrive(tree, d, entry);
	}
	for (i = 0; i < tree->n_nodes; i++) {
		if (files[i].doubtful)
			w_tree_zero_from(tree, (uint32_t)i, w_tree_size(tree, (uint32_t)i));
	}
	free(files);
}

w_disk *w_disk_image(const w_disk *disk, size_t position, int crash, const uint64_t *choice, size_t choice_bits)
{
	const w_replay *r;
	uint8_t *there;
	w_tree tree;
	size_t i;

	w_disk_enter(disk);
	r = replay_to(disk, position);
	w_tree_copy(&tree, crash == W_CRASH_KILL ? &r->seen : &r->certain);
	if (crash != W_CRASH_KILL) {
		there = w_zalloc(r->n_doubts, 1);
		for (i = 0; i < r->n_doubts; i++)
			there[i] = (uint8_t)chosen(choice, choice_bits, i);
		names_arrive(&tree, r, disk, there);
		bytes_arrive(&tree, r, disk, there);
		free(there);
	}
	w_disk_leave(disk);
	w_tree_prune(&tree);
	return w_disk_around(&tree);
}

uint64_t w_disk_hash(const w_disk *disk)
{
	uint64_t h;

	w_disk_enter(disk);
	h = w_tree_hash(&disk->now);
	w_disk_leave(disk);
	return h;
}
