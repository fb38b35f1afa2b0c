/* SPDX-License-Identifier: MIT */
/* Memory that fails when told to. */
#include "support.h"

#include <stdlib.h>

t_memory_state t_memory;

void t_memory_is_there(void)
{
	atomic_store(&t_memory.fail_at, 0);
	atomic_store(&t_memory.fail_from, 0);
	atomic_store(&t_memory.fail_all, 0);
	atomic_store(&t_memory.count, 0);
	atomic_store(&t_memory.failed, 0);
}

static int fails(void)
{
	uint64_t n = atomic_fetch_add(&t_memory.count, 1) + 1, from = atomic_load(&t_memory.fail_from);

	if (n != atomic_load(&t_memory.fail_at) && (from == 0 || n < from) && !atomic_load(&t_memory.fail_all))
		return 0;
	(void)atomic_fetch_add(&t_memory.failed, 1);
	return 1;
}

static void *counted(void *fresh)
{
	(void)atomic_fetch_add(&t_memory.live, fresh != NULL);
	return fresh;
}

static void *a_alloc(size_t size, void *user_data)
{
	(void)user_data;
	return fails() ? NULL : counted(malloc(size));
}

static void *a_zalloc(size_t count, size_t size, void *user_data)
{
	(void)user_data;
	return fails() ? NULL : counted(calloc(count, size));
}

static void *a_resize(void *ptr, size_t size, void *user_data)
{
	(void)user_data;
	if (fails())
		return NULL;
	return ptr == NULL ? counted(malloc(size)) : realloc(ptr, size);
}

static void a_release(void *ptr, void *user_data)
{
	(void)user_data;
	(void)atomic_fetch_sub(&t_memory.live, ptr != NULL);
	free(ptr);
}

const rco_allocator t_allocator = {.struct_size = (uint32_t)sizeof t_allocator,
                                   .alloc = a_alloc,
                                   .zalloc = a_zalloc,
                                   .resize = a_resize,
                                   .release = a_release};
