/* SPDX-License-Identifier: MIT */
/* Memory that fails when told to. */
#include "support.h"

#include <stdlib.h>

t_memory_state t_memory;

static int fails(void)
{
	uint64_t n = atomic_fetch_add(&t_memory.count, 1) + 1;

	return n == t_memory.fail_at || (t_memory.fail_from != 0 && n >= t_memory.fail_from) || t_memory.fail_all;
}

static void *a_alloc(size_t size, void *user_data)
{
	(void)user_data;
	return fails() ? NULL : malloc(size);
}

static void *a_zalloc(size_t count, size_t size, void *user_data)
{
	(void)user_data;
	return fails() ? NULL : calloc(count, size);
}

static void *a_resize(void *ptr, size_t size, void *user_data)
{
	(void)user_data;
	return fails() ? NULL : realloc(ptr, size);
}

static void a_release(void *ptr, void *user_data)
{
	(void)user_data;
	free(ptr);
}

const rco_allocator t_allocator = {.struct_size = (uint32_t)sizeof t_allocator,
                                   .alloc = a_alloc,
                                   .zalloc = a_zalloc,
                                   .resize = a_resize,
                                   .release = a_release};
