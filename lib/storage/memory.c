/* SPDX-License-Identifier: MIT */
/* Everything in the process's memory: the store itself and its buffer. Finished files are in memory_files.c. */
#include "memory.h"

#include "../base/bytes.h"
#include "../base/error.h"
#include "../media/chunk.h"
#include "../media/format.h"

#include <string.h>

enum { MAGIC = 0x4d454d31, CAP_MIN = 4096 };

/* ---- bytes ---- */

int rco__mem_check(const struct rco_memory *memory)
{
	if (memory == NULL || memory->magic != MAGIC)
		return rco__fail(RCO_E_HANDLE, "user_data is not a live rco_memory");
	return RCO_OK;
}

int rco__mem_reserve(struct rco_memory *memory, rco__mem_bytes *bytes, size_t size)
{
	size_t cap = bytes->cap;
	uint8_t *data;

	if (memory->limit_bytes != 0 &&
	    (memory->total_bytes > memory->limit_bytes || size > memory->limit_bytes - memory->total_bytes))
		return rco__fail(RCO_E_NO_SPACE, "the memory store is full: limit_bytes is %llu",
		                 (unsigned long long)memory->limit_bytes);
	if (size > SIZE_MAX / 4 - bytes->size)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for %zu bytes", size);
	if (size <= cap - bytes->size)
		return RCO_OK;
	cap = cap < CAP_MIN ? CAP_MIN : cap * 2;
	if (cap < bytes->size + size)
		cap = bytes->size + size;
	/* Not resize: it may move the audio and leave the old copy behind, unwiped. */
	data = rco__alloc(&memory->env, cap);
	if (data == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for %zu bytes", cap);
	if (bytes->size > 0)
		memcpy(data, bytes->data, bytes->size);
	rco_memzero(bytes->data, bytes->cap);
	rco__release(&memory->env, bytes->data);
	bytes->data = data;
	bytes->cap = cap;
	return RCO_OK;
}

void rco__mem_append(struct rco_memory *memory, rco__mem_bytes *bytes, const void *data, size_t size, int audio)
{
	if (size > 0)
		memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	memory->total_bytes += size;
	if (audio)
		memory->audio_bytes += size;
}

void rco__mem_cut(struct rco_memory *memory, rco__mem_bytes *bytes, size_t size, int audio)
{
	size_t cut = bytes->size - size;

	if (cut == 0)
		return;
	rco_memzero(bytes->data + size, cut);
	bytes->size = size;
	memory->total_bytes -= cut;
	if (audio)
		memory->audio_bytes -= cut;
}

void rco__mem_drop(struct rco_memory *memory, rco__mem_bytes *bytes, int audio)
{
	rco__mem_cut(memory, bytes, 0, audio);
	rco_memzero(bytes->data, bytes->cap);
	rco__release(&memory->env, bytes->data);
	memset(bytes, 0, sizeof *bytes);
}

/* ---- recordings ---- */

static size_t bucket_of(const uint8_t id[16])
{
	return rco__get32(id) % RCO__MEM_BUCKETS; /* ids are random */
}

/* Where the pointer to the recording is, or would be: the caller holds the lock. */
static rco__mem_recording **find(struct rco_memory *memory, const uint8_t id[16])
{
	rco__mem_recording **at = &memory->recordings[bucket_of(id)];

	while (*at != NULL && memcmp((*at)->id, id, 16) != 0)
		at = &(*at)->next;
	return at;
}

/* A recording that may be used: not one whose erasure has begun. */
static rco__mem_recording *find_live(struct rco_memory *memory, const uint8_t id[16])
{
	rco__mem_recording *rec = *find(memory, id);

	return rec != NULL && !rec->revoked ? rec : NULL;
}

static int not_open(const uint8_t id[16])
{
	char text[37];

	rco__uuid_text(id, text);
	return rco__fail(RCO_E_NOT_FOUND, "recording %s is not open in the memory store, or was erased", text);
}

static void drop_recording(struct rco_memory *memory, rco__mem_recording **at)
{
	rco__mem_recording *rec = *at;
	size_t i;

	*at = rec->next;
	for (i = 0; i < RCO__MEM_LEGS; i++) {
		rco__mem_drop(memory, &rec->leg[i], 1);
		rco__release(&memory->env, rec->gaps[i].at);
	}
	rco_memzero(rec, sizeof *rec);
	rco__release(&memory->env, rec);
}

static int confirm(rco_result *result, uint32_t what)
{
	result->confirmed = what;
	return RCO_OK;
}

static int add_recording(struct rco_memory *memory, const rco_recording *recording)
{
	rco__mem_recording **at = find(memory, recording->id), *rec;

	if (*at != NULL)
		return (*at)->revoked ? not_open(recording->id) : RCO_OK;
	rec = rco__zalloc(&memory->env, 1, sizeof *rec);
	if (rec == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a recording");
	memcpy(rec->id, recording->id, 16);
	if (recording->meta_bytes > 0)
		memcpy(rec->meta, recording->meta, recording->meta_bytes);
	rec->meta_bytes = recording->meta_bytes;
	*at = rec;
	return RCO_OK;
}

static int memory_open(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	int rc = rco__mem_check(memory);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (recording == NULL || result == NULL || recording->meta_bytes > RCO_META_MAX ||
	    (recording->meta == NULL && recording->meta_bytes > 0))
		return rco__fail(RCO_E_INVALID, "open: no recording, no result, or meta_bytes above %d",
		                 RCO_META_MAX);
	(void)pthread_mutex_lock(&memory->lock);
	rc = add_recording(memory, recording);
	(void)pthread_mutex_unlock(&memory->lock);
	return rc == RCO_OK ? confirm(result, RCO_CONFIRM_DONE) : rc;
}

static int check_chunk(const rco_chunk *chunk)
{
	uint32_t sample = rco_format_sample_bytes(chunk->format);

	if (sample == 0)
		return rco__fail(RCO_E_FORMAT, "append: %u is not a format", chunk->format);
	if (chunk->leg >= RCO__MEM_LEGS)
		return rco__fail(RCO_E_INVALID, "append: leg %u, there are %d at most", chunk->leg, RCO__MEM_LEGS);
	if ((chunk->flags & ~RCO_CHUNK_GAP) != 0 || (chunk->data == NULL) != (chunk->flags == RCO_CHUNK_GAP))
		return rco__fail(RCO_E_INVALID, "append: a gap has no audio, and any other piece has");
	if (chunk->size_bytes == 0 || chunk->size_bytes > (chunk->data == NULL ? RCO__GAP_MAX : RCO__CHUNK_MAX) ||
	    chunk->size_bytes % sample != 0 || chunk->position_bytes % sample != 0)
		return rco__fail(RCO_E_INVALID,
		                 "append: a piece is 1 byte to 1 MiB, or a gap of 1 GiB, in whole samples");
	return RCO_OK;
}

/* ---- legs: audio, and the gaps in it ---- */

static uint64_t leg_bytes(const rco__mem_recording *rec, uint32_t leg)
{
	const rco__mem_gaps *g = &rec->gaps[leg];

	return rec->leg[leg].size + (g->count > 0 ? g->at[g->count - 1].sum : 0);
}

static int add_gap(struct rco_memory *memory, rco__mem_gaps *gaps, uint64_t index, uint64_t size)
{
	uint64_t before = gaps->count > 0 ? gaps->at[gaps->count - 1].sum : 0;

	if (gaps->count > 0 && gaps->at[gaps->count - 1].index == index) { /* the same one goes on */
		gaps->at[gaps->count - 1].sum += size;
		return RCO_OK;
	}
	if (gaps->count == gaps->cap) {
		size_t cap = gaps->cap == 0 ? 8 : gaps->cap * 2;
		rco__mem_gap *at = rco__resize(&memory->env, gaps->at, cap * sizeof *at);

		if (at == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for a gap");
		gaps->at = at;
		gaps->cap = cap;
	}
	gaps->at[gaps->count++] = (rco__mem_gap){index, before + size};
	return RCO_OK;
}

/* What stands at a position before the leg's end. */
static rco__stretch look(const rco__mem_recording *rec, uint32_t leg, uint64_t position)
{
	const rco__mem_gaps *g = &rec->gaps[leg];
	size_t low = 0, high = g->count;
	rco__stretch s = {0};
	uint64_t before;

	while (low < high) { /* the first gap that ends behind the position */
		size_t mid = low + (high - low) / 2;

		if (position < g->at[mid].index + g->at[mid].sum)
			high = mid;
		else
			low = mid + 1;
	}
	before = low > 0 ? g->at[low - 1].sum : 0;
	if (low < g->count)
		(void)rco__gap_step(position, before, g->at[low].index, g->at[low].sum, &s);
	else
		s = (rco__stretch){position - before, rec->leg[leg].size + before - position, 0};
	return s;
}

/* How much of it, at most `cap` bytes. */
static size_t copy_out(const rco__mem_recording *rec, uint32_t leg, uint64_t position, uint8_t *data, size_t cap)
{
	uint64_t end = leg_bytes(rec, leg);
	size_t used = 0;

	while (used < cap && position < end) {
		rco__stretch s = look(rec, leg, position);
		size_t n = s.size < cap - used ? (size_t)s.size : cap - used;

		if (s.gap)
			memset(data + used, rco__format_of(rec->format[leg])->silence, n);
		else
			memcpy(data + used, rec->leg[leg].data + s.index, n);
		used += n;
		position += n;
	}
	return used;
}

static int take_chunk(struct rco_memory *memory, const rco_chunk *chunk)
{
	rco__mem_recording *rec = find_live(memory, chunk->recording_id);
	rco__mem_bytes *leg;
	uint64_t held;
	int rc;

	if (rec == NULL)
		return not_open(chunk->recording_id);
	leg = &rec->leg[chunk->leg];
	held = leg_bytes(rec, chunk->leg);
	if (held > 0 && rec->format[chunk->leg] != chunk->format)
		return rco__fail(RCO_E_FORMAT, "append: leg %u began in format %u", chunk->leg,
		                 rec->format[chunk->leg]);
	if (chunk->position_bytes < held && chunk->size_bytes <= held - chunk->position_bytes)
		return RCO_OK; /* held already: the answer got lost, not the piece */
	if (chunk->position_bytes != held)
		return rco__fail(RCO_E_INVALID, "append: leg %u has %llu bytes, the piece begins at %llu",
		                 chunk->leg, (unsigned long long)held, (unsigned long long)chunk->position_bytes);
	if (rec->sealed)
		return rco__fail(RCO_E_STATE, "append: the recording was sealed");
	if (chunk->data == NULL)
		rc = add_gap(memory, &rec->gaps[chunk->leg], leg->size, chunk->size_bytes);
	else
		rc = rco__mem_reserve(memory, leg, chunk->size_bytes);
	if (rc != RCO_OK)
		return rc;
	rec->format[chunk->leg] = chunk->format;
	if (chunk->data != NULL)
		rco__mem_append(memory, leg, chunk->data, chunk->size_bytes, 1);
	return RCO_OK;
}

static int memory_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	int rc = rco__mem_check(memory);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (chunk == NULL || result == NULL)
		return rco__fail(RCO_E_INVALID, "append: no chunk or no result");
	rc = check_chunk(chunk);
	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&memory->lock);
	rc = take_chunk(memory, chunk);
	(void)pthread_mutex_unlock(&memory->lock);
	return rc == RCO_OK ? confirm(result, RCO_CONFIRM_DONE) : rc;
}

static int memory_seal(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	rco__mem_recording *rec;
	int rc = rco__mem_check(memory);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL || result == NULL)
		return rco__fail(RCO_E_INVALID, "seal: no recording id or no result");
	(void)pthread_mutex_lock(&memory->lock);
	rec = find_live(memory, recording_id);
	if (rec != NULL)
		rec->sealed = 1;
	(void)pthread_mutex_unlock(&memory->lock);
	return rec != NULL ? confirm(result, RCO_CONFIRM_DONE) : not_open(recording_id);
}

static int memory_read(const uint8_t recording_id[16], uint32_t leg, uint64_t position_bytes, void *data,
                       size_t cap_bytes, uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	rco__mem_recording *rec;
	size_t size = 0;
	int rc = rco__mem_check(memory);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL || result == NULL || leg >= RCO__MEM_LEGS || (data == NULL && cap_bytes > 0))
		return rco__fail(RCO_E_INVALID, "read: no recording id, data or result, or leg %u out of range",
		                 leg);
	(void)pthread_mutex_lock(&memory->lock);
	rec = find_live(memory, recording_id);
	if (rec != NULL)
		size = copy_out(rec, leg, position_bytes, data, cap_bytes);
	(void)pthread_mutex_unlock(&memory->lock);
	if (rec == NULL)
		return not_open(recording_id);
	result->size_bytes = size;
	return confirm(result, RCO_CONFIRM_DONE);
}

/* Wiping a long call takes milliseconds, and this is a thread that must not wait: hide it now, wipe it in erase.
 */
static void memory_revoke(const uint8_t recording_id[16], void *user_data)
{
	struct rco_memory *memory = user_data;
	rco__mem_recording *rec;

	if (rco__mem_check(memory) != RCO_OK || recording_id == NULL)
		return;
	(void)pthread_mutex_lock(&memory->lock);
	rec = *find(memory, recording_id);
	if (rec != NULL)
		rec->revoked = 1;
	(void)pthread_mutex_unlock(&memory->lock);
}

static int memory_erase(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	struct rco_memory *memory = user_data;
	rco__mem_recording **at;
	int rc = rco__mem_check(memory);

	(void)op;
	if (rc != RCO_OK)
		return rc;
	if (recording_id == NULL || result == NULL)
		return rco__fail(RCO_E_INVALID, "erase: no recording id or no result");
	(void)pthread_mutex_lock(&memory->lock);
	at = find(memory, recording_id);
	if (*at != NULL)
		drop_recording(memory, at);
	(void)pthread_mutex_unlock(&memory->lock);
	return confirm(result, RCO_CONFIRM_GONE);
}

/* The index-th recording of a bucket as its reader sees it, with its meta; 0 beyond the last. */
static int describe(struct rco_memory *memory, size_t bucket, size_t index, rco_scanned *found,
                    uint8_t meta[RCO_META_MAX])
{
	const rco__mem_recording *rec;
	size_t i;

	memset(found, 0, sizeof *found);
	found->struct_size = sizeof *found;
	(void)pthread_mutex_lock(&memory->lock);
	rec = memory->recordings[bucket];
	while (rec != NULL && index-- > 0)
		rec = rec->next;
	if (rec != NULL) {
		memcpy(found->id, rec->id, 16);
		memcpy(meta, rec->meta, rec->meta_bytes);
		found->meta = meta;
		found->meta_bytes = rec->meta_bytes;
		for (i = 0; i < RCO__MEM_LEGS; i++) {
			found->leg_bytes[i] = leg_bytes(rec, (uint32_t)i);
			found->leg_format[i] = found->leg_bytes[i] > 0 ? rec->format[i] : 0;
		}
	}
	(void)pthread_mutex_unlock(&memory->lock);
	return rec != NULL;
}

static int memory_scan(rco_scan_fn found, void *found_user_data, void *user_data)
{
	struct rco_memory *memory = user_data;
	uint8_t meta[RCO_META_MAX];
	rco_scanned one;
	size_t bucket, i;
	int rc = rco__mem_check(memory);

	if (rc != RCO_OK)
		return rc;
	if (found == NULL)
		return rco__fail(RCO_E_INVALID, "scan: no function to tell");
	for (bucket = 0; bucket < RCO__MEM_BUCKETS; bucket++)
		for (i = 0; describe(memory, bucket, i, &one, meta); i++)
			found(&one, found_user_data);
	return RCO_OK;
}

const rco_buffer_ops *rco_memory_buffer_ops(void)
{
	/* No flush: what survives a power cut in memory is nothing, at once. */
	static const rco_buffer_ops table = {
		.struct_size = sizeof table,
		.flags = RCO_BUFFER_GAPS,
		.open = memory_open,
		.append = memory_append,
		.seal = memory_seal,
		.read = memory_read,
		.revoke = memory_revoke,
		.erase = memory_erase,
		.scan = memory_scan,
	};

	return &table;
}

/* ---- life ---- */

int rco_memory_create(const rco_memory_options *options, rco_memory **memory)
{
	rco_memory_options o;
	rco_memory *m;
	rco__env env;
	int rc;

	rco__error_clear();
	if (memory == NULL)
		return rco__fail(RCO_E_INVALID, "rco_memory_create: memory is NULL");
	*memory = NULL;
	rc = rco__struct_copy(&o, sizeof o, RCO__SIZE_THROUGH(rco_memory_options, reserved), options,
	                      "rco_memory_options");
	if (rc != RCO_OK)
		return rc;
	if (o.flags != 0 || o.reserved != NULL)
		return rco__fail(RCO_E_NEWER, "rco_memory_options: flags and reserved have to be zero");
	rc = rco__env_init(&env, o.allocator, NULL, NULL, NULL);
	if (rc != RCO_OK)
		return rc;
	m = rco__zalloc(&env, 1, sizeof *m);
	if (m == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a memory store");
	m->env = env;
	m->limit_bytes = o.limit_bytes;
	if (pthread_mutex_init(&m->lock, NULL) != 0) {
		rco__release(&env, m);
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a mutex");
	}
	m->magic = MAGIC;
	*memory = m;
	return RCO_OK;
}

uint64_t rco_memory_audio_bytes(rco_memory *memory)
{
	uint64_t bytes;

	rco__error_clear();
	if (rco__mem_check(memory) != RCO_OK)
		return 0;
	(void)pthread_mutex_lock(&memory->lock);
	bytes = memory->audio_bytes;
	(void)pthread_mutex_unlock(&memory->lock);
	return bytes;
}

void rco_memory_free(rco_memory *memory)
{
	rco__env env;
	size_t i;

	if (memory == NULL || rco__mem_check(memory) != RCO_OK)
		return;
	for (i = 0; i < RCO__MEM_BUCKETS; i++)
		while (memory->recordings[i] != NULL)
			drop_recording(memory, &memory->recordings[i]);
	rco__mem_drop_files(memory);
	(void)pthread_mutex_destroy(&memory->lock);
	env = memory->env;
	rco_memzero(memory, sizeof *memory);
	rco__release(&env, memory);
}
