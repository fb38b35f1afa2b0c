/* SPDX-License-Identifier: MIT */
/* Looking for audio in files, in all memory of a process, and in its registers. */
#ifndef TESTS_CRASH_KILL_SCAN_H
#define TESTS_CRASH_KILL_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct k_needles k_needles;

typedef struct k_hits {
	uint64_t n;     /* places */
	uint64_t bytes; /* looked at */
	char first[240];
} k_hits;

k_needles *k_needles_new(void);
void k_needles_free(k_needles *needles);
/* Every `window` consecutive bytes of it, at least 8, are a needle. The bytes are copied; `form` is not. */
void k_needles_add(k_needles *needles, const void *bytes, size_t size, size_t window, const char *form);

void k_scan_bytes(const k_needles *needles, const char *where, const uint8_t *data, size_t size, k_hits *hits);
void k_scan_tree(const k_needles *needles, const char *dir, k_hits *hits);

/*
 * All threads of a child are stopped, and everything that can be read is looked through: more than a core dump
 * would hold. `only`, `except`: a part of the name of mappings, or NULL. Registers belong to no mapping: they are
 * looked at unless `only` is given; with `except` not those of the first thread, which has just pushed and had the
 * frame in its own hands. 0 if the process cannot be traced.
 */
int k_scan_process(const k_needles *needles, pid_t pid, const char *only, const char *except, k_hits *hits);

/* Are all mappings with this in their name left out of a core dump? 0 also if there is none. */
int k_not_dumped(pid_t pid, const char *name);

#endif
