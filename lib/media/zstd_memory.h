/* SPDX-License-Identifier: MIT */
/*
 * Memory for zstd's contexts, from the environment and wiped when it is freed:
 * zstd keeps literals, which are audio, in its workspace. The custom allocator
 * is part of zstd's "static" interface, though exported by the shared library
 * since 1.3.
 */
#ifndef RCO_MEDIA_ZSTD_MEMORY_H
#define RCO_MEDIA_ZSTD_MEMORY_H

#include "../base/env.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

/* For ZSTD_create..._advanced(); `env` outlives the context. */
ZSTD_customMem rco__zstd_memory(const rco__env *env);

#endif
