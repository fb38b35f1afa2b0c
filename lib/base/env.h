/* SPDX-License-Identifier: MIT */
/*
 * What every room needs from outside: memory, log, clock, file system. Passed
 * down at creation and copied by value; never global. Tests put their own in.
 */
#ifndef RCO_BASE_ENV_H
#define RCO_BASE_ENV_H

#include "fs.h"

#include <recoptout.h>

#include <stdatomic.h>

typedef struct rco__env {
	rco_allocator alloc;
	rco_clock clock;
	rco_log_fn log; /* may be NULL */
	void *log_user_data;
	uint32_t log_level; /* the last that is wanted; 0: all */
	const rco__fs *fs;
	_Atomic uint64_t *quarantined; /* counts files set aside; may be NULL */
} rco__env;

/* Fill `env`; NULL parts become malloc, the system's clocks, no log, the POSIX file system. Checks the tables. */
int rco__env_init(rco__env *env, const rco_allocator *alloc, const rco_clock *clock, rco_log_fn log,
                  void *log_user_data);

/* Copies a host's table, or that of malloc for NULL. RCO_E_OPS, RCO_E_STRUCT_SIZE, RCO_E_NEWER. */
int rco__allocator_take(rco_allocator *to, const rco_allocator *from);

void *rco__alloc(const rco__env *env, size_t size);
void *rco__zalloc(const rco__env *env, size_t count, size_t size);
void *rco__resize(const rco__env *env, void *ptr, size_t size);
void rco__release(const rco__env *env, void *ptr);

int64_t rco__wall_us(const rco__env *env);
int64_t rco__mono_us(const rco__env *env);

/* One line, no line break, at most 1023 bytes. level is RCO_LOG_... */
void rco__log(const rco__env *env, uint32_t level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define RCO__SIZE_THROUGH(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Copy a public input struct by the struct_size rules of recoptout.h into `dst` (zeroed first).
 * v1_size: through the last member of version 1, which never changes; now_size: sizeof today. RCO_E_INVALID for
 * NULL, RCO_E_STRUCT_SIZE, RCO_E_NEWER. `name` is for the detail text. */
int rco__struct_copy(void *dst, size_t now_size, size_t v1_size, const void *src, const char *name);

/* RCO_E_NEWER if `flags` has one that is not `known`, or a reserved field is `used`. */
int rco__struct_known(uint32_t flags, uint32_t known, int used, const char *name);

/* The reverse, for structs the library fills: writes min(out->struct_size, now_size) bytes of `src`, keeping the
 * caller's struct_size. RCO_E_INVALID, RCO_E_STRUCT_SIZE. */
int rco__struct_fill(void *out, const void *src, size_t now_size, size_t v1_size, const char *name);

#endif
