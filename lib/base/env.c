/* SPDX-License-Identifier: MIT */
#include "env.h"

#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRUCT_SIZE_MAX = 4096, LOG_LINE = 1024 };

static void *default_alloc(size_t size, void *user_data)
{
	(void)user_data;
	return malloc(size);
}

static void *default_zalloc(size_t count, size_t size, void *user_data)
{
	(void)user_data;
	return calloc(count, size);
}

static void *default_resize(void *ptr, size_t size, void *user_data)
{
	(void)user_data;
	return realloc(ptr, size);
}

static void default_release(void *ptr, void *user_data)
{
	(void)user_data;
	free(ptr);
}

int rco__allocator_take(rco_allocator *to, const rco_allocator *from)
{
	int rc;

	if (from == NULL) {
		*to = (rco_allocator){.struct_size = sizeof *to,
		                      .alloc = default_alloc,
		                      .zalloc = default_zalloc,
		                      .resize = default_resize,
		                      .release = default_release};
		return RCO_OK;
	}
	rc = rco__struct_copy(to, sizeof *to, RCO__SIZE_THROUGH(rco_allocator, reserved), from, "rco_allocator");
	if (rc != RCO_OK)
		return rc;
	rc = rco__struct_known(to->flags, 0, to->reserved != NULL, "rco_allocator");
	if (rc != RCO_OK)
		return rc;
	if (to->alloc == NULL || to->zalloc == NULL || to->resize == NULL || to->release == NULL)
		return rco__fail(RCO_E_OPS, "rco_allocator: set all of alloc, zalloc, resize and release");
	return RCO_OK;
}

void *rco__alloc(const rco__env *env, size_t size)
{
	return env->alloc.alloc(size, env->alloc.user_data);
}

void *rco__zalloc(const rco__env *env, size_t count, size_t size)
{
	/* Checked here too: a host's allocator need not be as careful as calloc. */
	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	return env->alloc.zalloc(count, size, env->alloc.user_data);
}

void *rco__resize(const rco__env *env, void *ptr, size_t size)
{
	return env->alloc.resize(ptr, size, env->alloc.user_data);
}

void rco__release(const rco__env *env, void *ptr)
{
	if (ptr != NULL)
		env->alloc.release(ptr, env->alloc.user_data);
}

int64_t rco__wall_us(const rco__env *env)
{
	return env->clock.wall_us(env->clock.user_data);
}

int64_t rco__mono_us(const rco__env *env)
{
	return env->clock.monotonic_us(env->clock.user_data);
}

/* Length of `line` without a UTF-8 character that was cut at its end. */
static size_t whole_characters(const char *line, size_t length)
{
	size_t back = 1;
	unsigned char lead;

	while (back < 4 && back < length && ((unsigned char)line[length - back] & 0xc0u) == 0x80u)
		back++;
	lead = (unsigned char)line[length - back];
	if ((lead >= 0xf0u && back < 4) || (lead >= 0xe0u && back < 3) || (lead >= 0xc0u && back < 2))
		return length - back;
	return length;
}

void rco__log(const rco__env *env, uint32_t level, const char *fmt, ...)
{
	char line[LOG_LINE];
	int saved = errno;
	va_list args;
	size_t length, i;
	int n;

	if (env->log == NULL || (env->log_level != 0 && level > env->log_level))
		return;
	va_start(args, fmt);
	n = vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	if (n < 0)
		n = 0;
	length = (size_t)n;
	if (length >= sizeof line) {
		length = whole_characters(line, sizeof line - 1);
		line[length] = '\0';
	}
	/* A file name with a line break must not be able to forge a line of the host's log. */
	for (i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	env->log(level, line, length, env->log_user_data);
	errno = saved; /* callers log before they look at errno */
}

static int check_struct_size(uint32_t size, size_t v1_size, const char *name)
{
	if (size >= v1_size && size <= STRUCT_SIZE_MAX)
		return RCO_OK;
	return rco__fail(RCO_E_STRUCT_SIZE, "%s: struct_size is %u, should be sizeof(%s), %zu at least", name,
	                 size, name, v1_size);
}

int rco__struct_known(uint32_t flags, uint32_t known, int used, const char *name)
{
	if ((flags & ~known) == 0 && !used)
		return RCO_OK;
	return rco__fail(RCO_E_NEWER, "%s: a flag or a reserved field is set that this library does not know",
	                 name);
}

int rco__struct_copy(void *dst, size_t now_size, size_t v1_size, const void *src, const char *name)
{
	const uint8_t *from = src;
	uint32_t size, ours = (uint32_t)now_size;
	size_t i;
	int rc;

	memset(dst, 0, now_size);
	if (src == NULL)
		return rco__fail(RCO_E_INVALID, "%s: a pointer to it is NULL", name);
	memcpy(&size, from, sizeof size);
	rc = check_struct_size(size, v1_size, name);
	if (rc != RCO_OK)
		return rc;
	for (i = now_size; i < size; i++)
		if (from[i] != 0)
			return rco__fail(
				RCO_E_NEWER,
				"%s: the byte at offset %zu is set, this library knows the first %zu only", name,
				i, now_size);
	memcpy(dst, src, size < now_size ? size : now_size);
	memcpy(dst, &ours, sizeof ours); /* from here on it is one of our own structs */
	return RCO_OK;
}

int rco__struct_fill(void *out, const void *src, size_t now_size, size_t v1_size, const char *name)
{
	uint32_t size;
	int rc;

	if (out == NULL)
		return rco__fail(RCO_E_INVALID, "%s: a pointer to it is NULL", name);
	memcpy(&size, out, sizeof size);
	rc = check_struct_size(size, v1_size, name);
	if (rc != RCO_OK)
		return rc;
	memcpy(out, src, size < now_size ? size : now_size);
	memcpy(out, &size, sizeof size);
	return RCO_OK;
}
