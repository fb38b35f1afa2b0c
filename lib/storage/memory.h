/* SPDX-License-Identifier: MIT */
/* The memory backend's store, shared by its buffer (memory.c) and its finished files (memory_files.c). */
#ifndef RCO_STORAGE_MEMORY_H
#define RCO_STORAGE_MEMORY_H

#include "../base/env.h"
#include "../media/gaps.h"
#include "parts.h"

#include <pthread.h>
#include <recoptout/storage.h>

enum { RCO__MEM_BUCKETS = 1024, RCO__MEM_LEGS = RCO_MAX_LEGS };

/* Bytes that grow; every copy that is given up is wiped. */
typedef struct rco__mem_bytes {
	uint8_t *data;
	size_t size, cap;
} rco__mem_bytes;

/* A gap of a leg, by rco__gap_step(). */
typedef struct rco__mem_gap {
	uint64_t index, sum;
} rco__mem_gap;

typedef struct rco__mem_gaps {
	rco__mem_gap *at;
	size_t count, cap;
} rco__mem_gaps;

typedef struct rco__mem_recording {
	struct rco__mem_recording *next;
	uint8_t id[16];
	uint8_t meta[RCO_META_MAX];
	size_t meta_bytes;
	int sealed;
	int revoked; /* unreadable; waits for erase */
	uint32_t format[RCO__MEM_LEGS];
	rco__mem_bytes leg[RCO__MEM_LEGS];
	rco__mem_gaps gaps[RCO__MEM_LEGS];
} rco__mem_recording;

/* A finished version of a file, newest first. */
typedef struct rco__mem_version {
	struct rco__mem_version *next;
	uint64_t number; /* its version id, as text */
	uint64_t upload; /* the upload that made it, so that a commit can be repeated */
	uint32_t kind;
	rco__mem_bytes bytes;
} rco__mem_version;

/* All that is known under one key. Gone when it has neither version nor upload. */
typedef struct rco__mem_file {
	struct rco__mem_file *next;
	rco__mem_version *versions;
	uint64_t upload; /* the unfinished upload's id, 0 for none */
	uint32_t upload_kind;
	rco__parts parts;
	rco__mem_bytes pending;
	char key[]; /* flexible: as long as it is */
} rco__mem_file;

struct rco_memory {
	uint32_t magic;
	rco__env env;
	uint64_t limit_bytes; /* 0: none */
	pthread_mutex_t lock; /* over all below; held for memory work only */
	uint64_t total_bytes; /* all that is held */
	uint64_t audio_bytes; /* of it, audio */
	uint64_t last_number; /* for upload and version ids */
	rco__mem_recording *recordings[RCO__MEM_BUCKETS];
	rco__mem_file *files[RCO__MEM_BUCKETS];
};

/* RCO_E_HANDLE unless it is a live store. */
int rco__mem_check(const struct rco_memory *memory);
/* Room for `size` more bytes: RCO_E_NO_SPACE over the limit, RCO_E_NO_MEMORY. Counts nothing. */
int rco__mem_reserve(struct rco_memory *memory, rco__mem_bytes *bytes, size_t size);
/* Put `size` bytes into the room that was reserved, and count them. */
void rco__mem_append(struct rco_memory *memory, rco__mem_bytes *bytes, const void *data, size_t size, int audio);
/* Cut to `size` bytes; the rest is wiped and no longer counted. */
void rco__mem_cut(struct rco_memory *memory, rco__mem_bytes *bytes, size_t size, int audio);
/* Wipe and release. */
void rco__mem_drop(struct rco_memory *memory, rco__mem_bytes *bytes, int audio);
void rco__mem_drop_files(struct rco_memory *memory);

#endif
