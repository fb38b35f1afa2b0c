/* SPDX-License-Identifier: MIT */
/* For the tests of base and media: cmocka, a folder of one's own, an allocator that fails on demand. */
#ifndef TESTS_SUPPORT_BASE_H
#define TESTS_SUPPORT_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../lib/base/env.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The sanitizers make mlock() do nothing. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define MLOCK_WORKS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define MLOCK_WORKS 0
#endif
#endif
#ifndef MLOCK_WORKS
#define MLOCK_WORKS 1
#endif

/* A fresh folder; free_folder() removes it with the files in it, and folders of files one level deeper. */
static inline char *make_folder(void)
{
	const char *base = getenv("TMPDIR");
	char *path = malloc(PATH_MAX);

	assert_non_null(path);
	assert_in_range(snprintf(path, PATH_MAX, "%s/rco-test-XXXXXX", base != NULL ? base : "/tmp"), 1,
	                PATH_MAX - 1);
	assert_non_null(mkdtemp(path));
	return path;
}

static inline void empty_folder(const char *path, int depth)
{
	struct dirent *entry;
	char name[PATH_MAX];
	DIR *dir = opendir(path);

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= (int)sizeof name)
			continue;
		if (unlink(name) != 0 && depth > 0) {
			empty_folder(name, depth - 1);
			(void)rmdir(name);
		}
	}
	(void)closedir(dir);
}

static inline void free_folder(char *path)
{
	empty_folder(path, 1);
	assert_int_equal(rmdir(path), 0);
	free(path);
}

/* Counts what is allocated and not freed, fails the fail_at-th demand (from 1), and can look at what is freed. */
struct counting {
	int live;
	int demands;
	int fail_at;
	size_t bytes, peak;
	void (*on_release)(const void *ptr, size_t size);
};

union counting_head {
	size_t size;
	max_align_t align;
};

static inline void *counting_alloc(size_t size, void *user_data)
{
	struct counting *c = user_data;
	union counting_head *head;

	if (++c->demands == c->fail_at)
		return NULL;
	head = malloc(sizeof *head + size);
	if (head == NULL)
		return NULL;
	head->size = size;
	c->live++;
	c->bytes += size;
	if (c->bytes > c->peak)
		c->peak = c->bytes;
	return head + 1;
}

static inline void *counting_zalloc(size_t count, size_t size, void *user_data)
{
	void *p = counting_alloc(count * size, user_data);

	return p != NULL ? memset(p, 0, count * size) : NULL;
}

static inline void counting_release(void *ptr, void *user_data)
{
	struct counting *c = user_data;
	union counting_head *head = ptr;

	if (ptr == NULL)
		return;
	head--;
	if (c->on_release != NULL)
		c->on_release(ptr, head->size);
	c->live--;
	c->bytes -= head->size;
	free(head);
}

static inline void *counting_resize(void *ptr, size_t size, void *user_data)
{
	void *p = counting_alloc(size, user_data);
	size_t old;

	if (p == NULL || ptr == NULL)
		return p;
	old = ((union counting_head *)ptr)[-1].size;
	memcpy(p, ptr, old < size ? old : size);
	counting_release(ptr, user_data);
	return p;
}

static inline rco_allocator counting_allocator(struct counting *c)
{
	return (rco_allocator){.struct_size = sizeof(rco_allocator),
	                       .alloc = counting_alloc,
	                       .zalloc = counting_zalloc,
	                       .resize = counting_resize,
	                       .release = counting_release,
	                       .user_data = c};
}

#endif
