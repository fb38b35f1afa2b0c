/* SPDX-License-Identifier: MIT */
/* A file system in memory, behind the table of lib/base/fs.h, that is made for being copied: one in which a world
 * was prepared is the beginning of every run. What is written is there; nothing fails but what does not fit. */
#ifndef TESTS_FUZZ_MEM_H
#define TESTS_FUZZ_MEM_H

#include "../../lib/base/env.h"

enum { MEM_PATH = 192, MEM_NODES = 192, MEM_FDS = 64, MEM_FILE_MAX = 8 << 20 };

typedef struct mem_node {
	char path[MEM_PATH]; /* "" once it has no name */
	int kind;            /* RCO__FS_FILE, RCO__FS_FOLDER; 0: free */
	int opened;
	uint8_t *data;
	size_t size, cap;
} mem_node;

typedef struct mem {
	rco__fs table;
	mem_node node[MEM_NODES];
	int fd[MEM_FDS];  /* node + 1 */
	const char *only; /* NULL, or the folder that everything that is changed has to be in */
} mem;

/* Empty, with the folder "/". Ends the process if there is no memory. */
mem *mem_new(void);
/* What is open in the other is not in the copy. */
mem *mem_copy(const mem *from);
void mem_free(mem *m);
/* NULL if it is not there. Valid until the next change. */
uint8_t *mem_file(const mem *m, const char *path, size_t *size);
void mem_put(mem *m, const char *path, const void *data, size_t size);
/* Files whose path ends so; the path of one of them if there is any. */
size_t mem_count(const mem *m, const char *end, const char **path);
/* Files in which these bytes stand. */
size_t mem_holds(const mem *m, const void *bytes, size_t size);
/* malloc, clocks that stand at *now_us, no log, and this file system. */
void mem_env(mem *m, int64_t *now_us, rco__env *env);
rco_clock mem_clock(int64_t *now_us);

#endif
