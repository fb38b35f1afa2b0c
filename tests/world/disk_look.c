/* SPDX-License-Identifier: MIT */
/* Looking at the files, and telling what happened. */
#include "disk_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t node_at(const w_disk *disk, const char *path)
{
	uint32_t node = W_ROOT;
	size_t length;

	for (path += strspn(path, "/"); *path != '\0' && node != W_NOWHERE; path += strspn(path, "/")) {
		length = strcspn(path, "/");
		node = w_tree_find(&disk->now, node, path, length);
		path += length;
	}
	return node;
}

static const uint8_t *bytes_of(w_disk *disk, uint32_t node, size_t *size)
{
	*size = (size_t)w_tree_size(&disk->now, node);
	disk->scratch = w_grow(disk->scratch, &disk->cap_scratch, *size + 1, 1);
	w_tree_read(&disk->now, node, 0, disk->scratch, *size);
	return disk->scratch;
}

const uint8_t *w_disk_file(w_disk *disk, const char *path, size_t *size)
{
	const uint8_t *bytes = NULL;
	uint32_t node;

	*size = 0;
	w_disk_enter(disk);
	node = node_at(disk, path);
	if (node != W_NOWHERE && !disk->now.nodes[node].folder)
		bytes = bytes_of(disk, node, size);
	w_disk_leave(disk);
	return bytes;
}

void w_disk_each(w_disk *disk, void (*fn)(const char *path, const uint8_t *data, size_t size, void *user_data),
                 void *user_data)
{
	char path[PATH_MAX];
	size_t i, size;
	const uint8_t *bytes;

	w_disk_enter(disk);
	for (i = 0; i < disk->now.n_nodes; i++) {
		if (disk->now.nodes[i].folder || !w_tree_path(&disk->now, (uint32_t)i, path, sizeof path))
			continue;
		bytes = bytes_of(disk, (uint32_t)i, &size);
		fn(path, bytes, size, user_data);
	}
	w_disk_leave(disk);
}

/* Only where there is anything: runs of pages. Files are mostly space that was reserved. */
static int body_holds(w_disk *disk, uint32_t node, const void *marker, size_t size)
{
	const w_body *body = disk->now.nodes[node].body;
	size_t from, to, bytes;

	for (from = 0; from < body->n_pages; from = to + 1) {
		for (to = from; to < body->n_pages && body->pages[to] != NULL; to++)
			;
		if (to == from)
			continue;
		bytes = (to - from) * W_PAGE;
		disk->scratch = w_grow(disk->scratch, &disk->cap_scratch, bytes, 1);
		w_tree_read(&disk->now, node, (uint64_t)from * W_PAGE, disk->scratch, bytes);
		if (memmem(disk->scratch, bytes, marker, size) != NULL)
			return 1;
	}
	return 0;
}

/* A marker of zeros would be found in what was never written, or missed there: callers take another. */
size_t w_disk_holds(w_disk *disk, const void *marker, size_t size)
{
	size_t i, n = 0;

	w_disk_enter(disk);
	for (i = 0; i < disk->now.n_nodes; i++) {
		if (disk->now.nodes[i].body == NULL || !w_tree_named(&disk->now, (uint32_t)i))
			continue;
		n += (size_t)(size == 0 || body_holds(disk, (uint32_t)i, marker, size));
	}
	w_disk_leave(disk);
	return n;
}

static void tell(FILE *out, size_t position, const w_entry *e)
{
	static const char *const words[] = {
		[W_WRITE] = "write",   [W_TRUNCATE] = "truncate", [W_RESERVE] = "reserve",
		[W_CREATE] = "create", [W_RENAME] = "rename",     [W_UNLINK] = "unlink",
		[W_MKDIR] = "mkdir",   [W_SYNC] = "sync",         [W_SYNC_DIR] = "sync folder"};

	if (e->kind >= W_FOREIGN) {
		(void)fprintf(out, "%6zu  (another's, kind %d)\n", position, e->kind);
		return;
	}
	(void)fprintf(out, "%6zu  %s %s", position, words[e->kind], e->path->text);
	if (e->kind == W_WRITE)
		(void)fprintf(out, ": %llu bytes at %llu", (unsigned long long)e->size,
		              (unsigned long long)e->offset);
	if (e->kind == W_RENAME)
		(void)fprintf(out, " to %s", e->to->text);
	if (e->old_size != e->new_size)
		(void)fprintf(out, ", size %llu to %llu", (unsigned long long)e->old_size,
		              (unsigned long long)e->new_size);
	if ((e->flags & W_ENTRY_LOST) != 0)
		(void)fputs(", failed, pages marked clean", out);
	if ((e->flags & W_ENTRY_TORN) != 0)
		(void)fputs(", torn: the rest did not arrive", out);
	if ((e->flags & W_ENTRY_TOLD) != 0)
		(void)fputs(", done, and answered with an error", out);
	(void)fputc('\n', out);
}

char *w_disk_story(const w_disk *disk, size_t from, size_t to)
{
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	w_disk_enter(disk);
	for (i = from; i < to && i < disk->n_log; i++)
		tell(out, i, &disk->log[i]);
	w_disk_leave(disk);
	(void)fclose(out);
	return text;
}

int w_disk_fills_at(const w_disk *disk, size_t position)
{
	static const uint8_t zeros[4096];
	const w_entry *e;
	size_t at = 0;
	int fills = 0;

	w_disk_enter(disk);
	if (position < disk->n_log && disk->log[position].kind == W_WRITE) {
		e = &disk->log[position];
		while (at < e->data_size &&
		       memcmp(e->data + at, zeros,
		              e->data_size - at < sizeof zeros ? e->data_size - at : sizeof zeros) == 0)
			at += sizeof zeros;
		fills = at >= e->data_size && e->offset == e->old_size;
	}
	w_disk_leave(disk);
	return fills;
}
