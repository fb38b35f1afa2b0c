/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILTER_BITS = 24, DISTINCT_BYTES = 10, NOBODY = CALLS };

#define FACTOR 0x9e3779b97f4a7c15ull

struct entry {
	uint64_t hash;
	const uint8_t *window; /* NULL: free */
	unsigned call;         /* NOBODY: excluded */
};

struct scan {
	size_t slots; /* a power of two */
	struct entry *entry;
	uint8_t *filter; /* most offsets are dismissed here, without a look at the large table */
	uint64_t out_factor;
};

static uint64_t mix(uint64_t hash)
{
	hash ^= hash >> 29;
	hash *= 0xbf58476d1ce4e5b9ull;
	return hash ^ hash >> 32;
}

struct scan *scan_new(size_t max_windows)
{
	struct scan *scan = calloc(1, sizeof *scan);

	if (!scan)
		return NULL;
	for (scan->slots = 1024; scan->slots < 2 * max_windows; scan->slots *= 2)
		;
	scan->entry = calloc(scan->slots, sizeof *scan->entry);
	scan->filter = calloc(1u << (FILTER_BITS - 3), 1);
	scan->out_factor = 1;
	for (int i = 0; i < SCAN_WINDOW; i++)
		scan->out_factor *= FACTOR;
	if (scan->entry && scan->filter)
		return scan;
	scan_free(scan);
	return NULL;
}

void scan_free(struct scan *scan)
{
	if (!scan)
		return;
	free(scan->entry);
	free(scan->filter);
	free(scan);
}

static uint64_t hash_window(const uint8_t *p)
{
	uint64_t hash = 0;

	for (int i = 0; i < SCAN_WINDOW; i++)
		hash = hash * FACTOR + p[i] + 1;
	return hash;
}

static struct entry *lookup(const struct scan *scan, uint64_t hash, const uint8_t *p)
{
	size_t at = mix(hash) & (scan->slots - 1);

	for (; scan->entry[at].window; at = (at + 1) & (scan->slots - 1)) {
		if (scan->entry[at].hash == hash && memcmp(scan->entry[at].window, p, SCAN_WINDOW) == 0)
			break;
	}
	return &scan->entry[at];
}

static int says_something(const uint8_t *p)
{
	uint64_t seen[4] = {0};
	int distinct = 0;

	for (int i = 0; i < SCAN_WINDOW; i++) {
		uint64_t bit = 1ull << (p[i] & 63);

		distinct += seen[p[i] >> 6] & bit ? 0 : 1;
		seen[p[i] >> 6] |= bit;
	}
	return distinct >= DISTINCT_BYTES;
}

size_t scan_add(struct scan *scan, const uint8_t *data, size_t bytes, unsigned call)
{
	size_t added = 0;

	for (size_t at = 0; at + SCAN_WINDOW <= bytes; at += SCAN_WINDOW) {
		uint64_t hash, bit;
		struct entry *e;

		if (!says_something(data + at))
			continue;
		hash = hash_window(data + at);
		e = lookup(scan, hash, data + at);
		if (e->window)
			continue;
		*e = (struct entry){hash, data + at, call};
		bit = mix(hash) >> (64 - FILTER_BITS);
		scan->filter[bit >> 3] |= (uint8_t)(1u << (bit & 7));
		added++;
	}
	return added;
}

/* Calls `hit` for each window of the set that occurs in data, at whatever offset. */
static void walk(const struct scan *scan, const uint8_t *data, size_t bytes, void (*hit)(struct entry *, void *),
                 void *arg)
{
	uint64_t hash;

	if (bytes < SCAN_WINDOW)
		return;
	hash = hash_window(data);
	for (size_t at = 0;; at++) {
		uint64_t bit = mix(hash) >> (64 - FILTER_BITS);

		if (scan->filter[bit >> 3] >> (bit & 7) & 1) {
			struct entry *e = lookup(scan, hash, data + at);

			if (e->window && e->call != NOBODY)
				hit(e, arg);
		}
		if (at + SCAN_WINDOW >= bytes)
			return;
		hash = hash * FACTOR + data[at + SCAN_WINDOW] + 1 - scan->out_factor * (data[at] + 1ull);
	}
}

static void drop(struct entry *e, void *arg)
{
	e->call = NOBODY;
	++*(size_t *)arg;
}

size_t scan_exclude(struct scan *scan, const uint8_t *data, size_t bytes)
{
	size_t dropped = 0;

	walk(scan, data, bytes, drop, &dropped);
	return dropped;
}

static void count(struct entry *e, void *arg)
{
	struct scan_found *found = arg;

	found->windows[e->call]++;
	found->total++;
}

void scan_memory(const struct scan *scan, const uint8_t *data, size_t bytes, struct scan_found *found)
{
	found->bytes += bytes;
	walk(scan, data, bytes, count, found);
}

static int scan_file(const struct scan *scan, const char *path, size_t bytes, struct scan_found *found)
{
	uint64_t before = found->total;
	void *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "demo: cannot open %s: %s\n", path, strerror(errno));
		return -1;
	}
	found->files++;
	map = bytes ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0) : NULL;
	close(fd);
	if (!bytes)
		return 0;
	if (map == MAP_FAILED) {
		fprintf(stderr, "demo: cannot read %s: %s\n", path, strerror(errno));
		return -1;
	}
	scan_memory(scan, map, bytes, found);
	munmap(map, bytes);
	if (found->total != before)
		snprintf(found->path, sizeof found->path, "%s", path);
	return 0;
}

int scan_tree(const struct scan *scan, const char *path, struct scan_found *found)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char child[DEMO_PATH];
	int bad = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -1;
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(child, sizeof child, "%s/%s", path, entry->d_name) >= (int)sizeof child ||
		    lstat(child, &st) != 0)
			bad = -1;
		else if (S_ISDIR(st.st_mode))
			bad |= scan_tree(scan, child, found);
		else if (S_ISREG(st.st_mode))
			bad |= scan_file(scan, child, (size_t)st.st_size, found);
	}
	closedir(dir);
	return bad;
}
