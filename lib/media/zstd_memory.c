/* SPDX-License-Identifier: MIT */
#include "zstd_memory.h"

#include <stddef.h>

/* Stands before each block that zstd gets, so that freeing it knows how much to wipe. */
union block_head {
	size_t size;
	max_align_t align;
};

static void *zstd_alloc(void *opaque, size_t size)
{
	union block_head *head;

	if (size > SIZE_MAX - sizeof *head)
		return NULL;
	head = rco__alloc(opaque, sizeof *head + size);
	if (head == NULL)
		return NULL;
	head->size = size;
	return head + 1;
}

static void zstd_free(void *opaque, void *block)
{
	union block_head *head = block;

	if (block == NULL)
		return;
	head--;
	rco_memzero(head, sizeof *head + head->size);
	rco__release(opaque, head);
}

ZSTD_customMem rco__zstd_memory(const rco__env *env)
{
	return (ZSTD_customMem){zstd_alloc, zstd_free, (void *)(uintptr_t)env};
}
