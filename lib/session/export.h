/* SPDX-License-Identifier: MIT */
/* What an export consists of: export_memory.c makes and frees it, export.c fills it. */
#ifndef RCO_SESSION_EXPORT_H
#define RCO_SESSION_EXPORT_H

#include "state.h"

#include "../media/zstd_memory.h"

enum { RCO__SIDE_BYTES = 64 * 1024, RCO__BLOCK_BYTES = 2 * RCO__SIDE_BYTES };

struct rco__export {
	size_t memory; /* of this block */
	rco__copy *copy;
	uint32_t format;
	uint32_t sample_bytes;
	uint64_t leg_bytes[2];  /* of each leg */
	uint64_t channel_bytes; /* of the longer one */
	uint64_t at;            /* in a channel */
	uint64_t left;          /* of the plain file, not yet in a part */
	int header_done, last;
	uint32_t side; /* being read */
	size_t side_used;
	size_t block_at, block_size;
	ZSTD_CCtx *zstd; /* NULL: plain */
	size_t part_used, part_cap;
	uint8_t *sides[2], *block, *part;
};

#endif
