/* SPDX-License-Identifier: MIT */
/*
 * Looks for audio in files, at every offset: a set of 32-byte windows of the
 * audio (one after the other), found again by a rolling hash and compared byte
 * for byte. 63 bytes or more of the audio in one piece hold a whole window.
 */
#ifndef DEMO_SCAN_H
#define DEMO_SCAN_H

#include "demo.h"

enum { SCAN_WINDOW = 32 };

struct scan;

struct scan_found {
	uint64_t files, bytes;   /* looked through */
	uint64_t windows[CALLS]; /* found, of each call */
	uint64_t total;
	char path[DEMO_PATH]; /* where the last one was */
};

struct scan *scan_new(size_t max_windows); /* NULL: out of memory */
void scan_free(struct scan *scan);
/* `data` stays where it is. Windows that say little (silence, steady tones) are left out. Returns how many are
 * new. */
size_t scan_add(struct scan *scan, const uint8_t *data, size_t bytes, unsigned call);
/* Forget the windows that occur in `data`. Returns how many. */
size_t scan_exclude(struct scan *scan, const uint8_t *data, size_t bytes);
void scan_memory(const struct scan *scan, const uint8_t *data, size_t bytes, struct scan_found *found);
/* A folder and all below it. 0, or -1 if something could not be read. A folder that does not exist holds nothing.
 */
int scan_tree(const struct scan *scan, const char *path, struct scan_found *found);

#endif
