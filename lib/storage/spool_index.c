/* SPDX-License-Identifier: MIT */
/*
 * Where the pieces of a leg are. Only the newest are in memory; those before
 * are in a file without a name that goes with the process, because segments say
 * all that it does. What is wrong in it can cost time, not audio: a record says
 * itself whose it is.
 */
#include "spool_internal.h"

#include <string.h>

enum {
	FIRST_CAP = 4,
	BLOCKS_STEP = 32,
	/* position, end, count, number, then 16 bytes for each piece, then the checksum */
	BLOCK_FIXED = 24,
	BLOCK_BYTES = BLOCK_FIXED + RCO__SPOOL_BLOCK * 16 + 8,
	BLOCK_CRC_AT = BLOCK_BYTES - 8,
	SKIP_SHIFT = 21,
	RECORD_SHIFT = 41,
	GAP_SKIP_SHIFT = 31
};

static const uint64_t is_gap = UINT64_C(1) << 63;

static const uint32_t in_memory = UINT32_C(1) << 31; /* the block could not be written: its place among `kept` */
static const char index_name[] = "index.tmp";

/* ---- pieces ---- */

void rco__packed_fill(rco__packed *packed, const rco__piece *piece)
{
	packed->segment = piece->segment->id;
	packed->offset = (uint32_t)(piece->offset / RCO__SPOOL_ALIGN);
	if (piece->gap)
		packed->sizes = (uint64_t)piece->size | (uint64_t)piece->skip << GAP_SKIP_SHIFT | is_gap;
	else
		packed->sizes = (uint64_t)piece->size | (uint64_t)piece->skip << SKIP_SHIFT |
		                (uint64_t)(piece->record_size / RCO__SPOOL_ALIGN) << RECORD_SHIFT;
}

uint32_t rco__packed_record(const rco__packed *p)
{
	return rco__packed_gap(p) ? (uint32_t)rco__record_size(RCO__SPOOL_SEAL)
	                          : (uint32_t)(p->sizes >> RECORD_SHIFT) * RCO__SPOOL_ALIGN;
}

static void unpack(rco_spool *spool, const rco__packed *packed, uint64_t position, rco__piece *piece)
{
	(void)pthread_mutex_lock(&spool->segment_lock);
	piece->segment = rco__segment_of(spool, packed->segment);
	(void)pthread_mutex_unlock(&spool->segment_lock);
	piece->offset = (uint64_t)packed->offset * RCO__SPOOL_ALIGN;
	piece->position = position;
	piece->size = rco__packed_size(packed);
	piece->gap = rco__packed_gap(packed);
	piece->skip = piece->gap ? (uint32_t)(packed->sizes >> GAP_SKIP_SHIFT) & 0x7fffffff
	                         : (uint32_t)(packed->sizes >> SKIP_SHIFT) & 0xfffff;
	piece->record_size = rco__packed_record(packed);
}

/* Which of these has the byte, and where it begins; the byte is in one of them. */
static uint32_t search(const rco__packed *at, uint32_t count, uint64_t begin, uint64_t position, uint64_t *where)
{
	uint32_t i;

	for (i = 0; i + 1 < count && position >= begin + rco__packed_size(&at[i]); i++)
		begin += rco__packed_size(&at[i]);
	*where = begin;
	return i;
}

/* ---- the file; index_lock held ---- */

static void notify(rco_spool *spool, const char *what)
{
	if (!spool->index_told)
		rco__log(&spool->env, RCO_LOG_WARN, "%s/%s: %s: %s", spool->path, index_name, what,
		         rco_error_detail());
	spool->index_told = 1;
}

static int need_file(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	char path[RCO__SPOOL_PATH];
	int rc;

	if (spool->index_fd >= 0)
		return RCO_OK;
	rco__spool_file(spool, index_name, path);
	rc = fs->open(fs->ctx, path, RCO__FS_CREATE_TRUNCATE, &spool->index_fd);
	if (rc == RCO_OK)
		(void)fs->unlink(fs->ctx, path); /* else the next start does it */
	return rc;
}

static void encode(const rco__block *block, uint32_t number, uint8_t out[BLOCK_BYTES])
{
	rco__cursor c;
	uint32_t i;

	memset(out, 0, BLOCK_BYTES);
	rco__cursor_writer(&c, out, BLOCK_BYTES);
	rco__w64(&c, block->position);
	rco__w64(&c, block->end);
	rco__w32(&c, block->count);
	rco__w32(&c, number);
	for (i = 0; i < block->count; i++) {
		rco__w32(&c, block->at[i].segment);
		rco__w32(&c, block->at[i].offset);
		rco__w64(&c, block->at[i].sizes);
	}
	rco__put32(out + BLOCK_CRC_AT, rco__crc32c(0, out, BLOCK_CRC_AT));
}

static int decode(const uint8_t buf[BLOCK_BYTES], uint32_t number, rco__block *block)
{
	rco__cursor c;
	uint32_t i;

	if (rco__get32(buf + BLOCK_CRC_AT) != rco__crc32c(0, buf, BLOCK_CRC_AT))
		return RCO_E_CORRUPT;
	rco__cursor_reader(&c, buf, BLOCK_BYTES);
	block->position = rco__r64(&c);
	block->end = rco__r64(&c);
	block->count = rco__r32(&c);
	if (rco__r32(&c) != number || block->count > RCO__SPOOL_BLOCK)
		return RCO_E_CORRUPT;
	for (i = 0; i < block->count; i++) {
		block->at[i].segment = rco__r32(&c);
		block->at[i].offset = rco__r32(&c);
		block->at[i].sizes = rco__r64(&c);
	}
	return RCO_OK;
}

static int write_block(rco_spool *spool, uint32_t number, const rco__block *block)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t buf[BLOCK_BYTES];

	encode(block, number, buf);
	return fs->write(fs->ctx, spool->index_fd, buf, sizeof buf, (uint64_t)number * BLOCK_BYTES);
}

/* Keep it in memory, in place of `number` if it is in memory already. */
static int keep_block(rco_spool *spool, const rco__block *block, uint32_t *number)
{
	rco__block *copy;

	if (spool->n_kept == spool->cap_kept) {
		size_t cap = spool->cap_kept == 0 ? 8 : spool->cap_kept * 2;
		rco__block **kept = rco__resize(&spool->env, spool->kept, cap * sizeof(rco__block *));

		if (kept == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for the index of a recording");
		spool->kept = kept;
		spool->cap_kept = cap;
	}
	copy = rco__alloc(&spool->env, sizeof *copy);
	if (copy == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the index of a recording");
	*copy = *block;
	for (*number = 0; *number < spool->n_kept && spool->kept[*number] != NULL;)
		++*number;
	if (*number == spool->n_kept)
		spool->n_kept++;
	spool->kept[*number] = copy;
	*number |= in_memory;
	return RCO_OK;
}

/* A place in the file. */
static int take_number(rco_spool *spool, uint32_t *number)
{
	if (spool->n_index_free > 0)
		*number = spool->index_free[--spool->n_index_free];
	else if (spool->index_size < in_memory)
		*number = spool->index_size++;
	else
		return rco__fail(RCO_E_LIMIT, "the index is full");
	return RCO_OK;
}

static void give_number(rco_spool *spool, uint32_t number)
{
	const rco__fs *fs = spool->env.fs;

	if (number & in_memory) {
		rco__release(&spool->env, spool->kept[number & ~in_memory]);
		spool->kept[number & ~in_memory] = NULL;
	} else {
		if (spool->n_index_free == spool->cap_index_free) {
			size_t cap = spool->cap_index_free == 0 ? 64 : spool->cap_index_free * 2;
			uint32_t *list = rco__resize(&spool->env, spool->index_free, cap * sizeof *list);

			if (list != NULL) {
				spool->index_free = list;
				spool->cap_index_free = cap;
			}
		}
		if (spool->n_index_free < spool->cap_index_free) /* else its place is lost until all are free */
			spool->index_free[spool->n_index_free++] = number;
	}
	if (--spool->index_used > 0)
		return;
	/* Nothing is in it: give the space back. */
	spool->n_index_free = 0;
	spool->index_size = 0;
	spool->n_kept = 0;
	if (spool->index_fd >= 0 && rco__spool_here(spool))
		(void)fs->truncate(fs->ctx, spool->index_fd, 0);
}

static int add_block(rco_spool *spool, const rco__block *block, uint32_t *number)
{
	int rc = need_file(spool), taken;

	if (rc == RCO_OK)
		rc = take_number(spool, number);
	taken = rc == RCO_OK;
	if (rc == RCO_OK)
		rc = write_block(spool, *number, block);
	if (rc != RCO_OK) {
		uint32_t bad = *number;

		notify(spool, "the index cannot be written and stays in memory");
		rc = keep_block(spool, block, number);
		spool->index_used += (uint32_t)taken;
		if (rc == RCO_OK)
			spool->index_used++;
		if (taken)
			give_number(spool, bad);
		return rc;
	}
	spool->index_used++;
	return RCO_OK;
}

static int load_block(rco_spool *spool, uint32_t number, rco__block *block)
{
	const rco__fs *fs = spool->env.fs;
	uint8_t buf[BLOCK_BYTES];
	size_t got = 0;
	int rc;

	(void)pthread_mutex_lock(&spool->index_lock);
	if (number & in_memory)
		*block = *spool->kept[number & ~in_memory];
	(void)pthread_mutex_unlock(&spool->index_lock);
	if (number & in_memory)
		return RCO_OK;
	rc = fs->read(fs->ctx, spool->index_fd, buf, sizeof buf, (uint64_t)number * BLOCK_BYTES, &got);
	if (rc == RCO_OK && (got != sizeof buf || decode(buf, number, block) != RCO_OK))
		rc = rco__fail(RCO_E_CORRUPT, "block %u of the index is damaged", number);
	if (rc != RCO_OK)
		block->position = block->end = 0;
	return rc;
}

/* What the block says has changed. */
static int change_block(rco_spool *spool, const rco__block *block, uint32_t *number)
{
	uint32_t kept = 0;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&spool->index_lock);
	if (*number & in_memory) {
		*spool->kept[*number & ~in_memory] = *block;
	} else if (write_block(spool, *number, block) != RCO_OK) {
		notify(spool, "the index cannot be written and stays in memory");
		rc = keep_block(spool, block, &kept);
		if (rc == RCO_OK) {
			spool->index_used++;
			give_number(spool, *number);
			*number = kept;
		}
	}
	(void)pthread_mutex_unlock(&spool->index_lock);
	return rc;
}

/* ---- growing ---- */

static int grow_tail(rco_spool *spool, rco__spool_leg *leg)
{
	uint32_t cap = leg->cap == 0 ? FIRST_CAP : leg->cap * 2;
	rco__packed *tail = rco__resize(&spool->env, leg->tail, cap * sizeof *tail);

	if (tail == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the index of a recording");
	leg->tail = tail;
	leg->cap = cap;
	return RCO_OK;
}

/* The tail becomes a block. */
static int spill(rco_spool *spool, rco__spool_leg *leg)
{
	rco__block block = {.position = leg->tail_position, .end = leg->held, .count = leg->count};
	uint32_t number = 0;
	int rc;

	if (leg->n_blocks == leg->cap_blocks) {
		uint32_t cap = leg->cap_blocks + BLOCKS_STEP;
		uint32_t *blocks = rco__resize(&spool->env, leg->blocks, cap * sizeof *blocks);

		if (blocks == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for the index of a recording");
		leg->blocks = blocks;
		leg->cap_blocks = cap;
	}
	memcpy(block.at, leg->tail, leg->count * sizeof *leg->tail);
	(void)pthread_mutex_lock(&spool->index_lock);
	rc = add_block(spool, &block, &number);
	(void)pthread_mutex_unlock(&spool->index_lock);
	if (rc != RCO_OK)
		return rc;
	leg->blocks[leg->n_blocks++] = number;
	leg->tail_position = leg->held;
	leg->count = 0;
	return RCO_OK;
}

int rco__leg_reserve(rco_spool *spool, rco__spool_leg *leg)
{
	if (leg->count < leg->cap)
		return RCO_OK;
	return leg->count < RCO__SPOOL_BLOCK ? grow_tail(spool, leg) : spill(spool, leg);
}

void rco__leg_add(rco__spool_leg *leg, const rco__piece *piece)
{
	rco__packed_fill(&leg->tail[leg->count++], piece);
	leg->held = piece->position + piece->size;
}

/* ---- finding ---- */

/* The block with this byte. The first guess supposes pieces of one size, and is nearly always right. */
static int find_block(rco_spool *spool, const rco__spool_leg *leg, uint64_t position, rco__block *block,
                      uint32_t *which)
{
	uint32_t low = 0, high = leg->n_blocks;
	uint64_t each = leg->tail_position / leg->n_blocks; /* not 0: each of its pieces has a byte */
	uint64_t guess = position / each;

	while (low < high) {
		uint32_t at = guess < high ? (uint32_t)guess : low + (high - low) / 2;
		int rc = load_block(spool, leg->blocks[at], block);

		if (rc != RCO_OK)
			return rc;
		*which = at;
		if (position < block->position)
			high = at;
		else if (position >= block->end)
			low = at + 1;
		else
			return RCO_OK;
		guess = UINT64_MAX;
	}
	block->position = block->end = 0;
	return rco__fail(RCO_E_CORRUPT, "the index does not name byte %llu of a leg",
	                 (unsigned long long)position);
}

int rco__leg_at(rco_spool *spool, const rco__spool_leg *leg, uint64_t position, rco__block *block, rco__piece *out)
{
	uint64_t begin;
	uint32_t i, which;
	int rc = RCO_OK;

	if (position >= leg->tail_position) {
		i = search(leg->tail, leg->count, leg->tail_position, position, &begin);
		unpack(spool, &leg->tail[i], begin, out);
		return RCO_OK;
	}
	if (position < block->position || position >= block->end)
		rc = find_block(spool, leg, position, block, &which);
	if (rc != RCO_OK)
		return rc;
	i = search(block->at, block->count, block->position, position, &begin);
	unpack(spool, &block->at[i], begin, out);
	return RCO_OK;
}

/* Is it what this record says, and to be pointed elsewhere? */
static int to_move(const rco__piece *piece, const rco__record *record)
{
	return piece->segment->leaving && piece->position - piece->skip == record->position &&
	       piece->skip + piece->size == record->raw_size;
}

int rco__leg_point(rco_spool *spool, rco__spool_leg *leg, const rco__record *record, rco__segment *to,
                   uint64_t offset, rco__piece *from)
{
	uint64_t last = record->position + record->raw_size - 1, begin;
	uint32_t which = 0, i;
	rco__packed *packed;
	rco__block block;
	rco__piece piece;
	int spilled = last < leg->tail_position, rc;

	from->segment = NULL;
	if (last >= leg->held)
		return RCO_OK;
	if (spilled) {
		rc = find_block(spool, leg, last, &block, &which);
		if (rc != RCO_OK)
			return rc;
		i = search(block.at, block.count, block.position, last, &begin);
		packed = &block.at[i];
	} else {
		i = search(leg->tail, leg->count, leg->tail_position, last, &begin);
		packed = &leg->tail[i];
	}
	unpack(spool, packed, begin, &piece);
	if (!to_move(&piece, record))
		return RCO_OK;
	*from = piece;
	piece.segment = to;
	piece.offset = offset;
	piece.record_size = (uint32_t)rco__record_size(record->cipher_size);
	rco__packed_fill(packed, &piece);
	rc = spilled ? change_block(spool, &block, &leg->blocks[which]) : RCO_OK;
	if (rc != RCO_OK)
		from->segment = NULL;
	return rc;
}

/* ---- forgetting ---- */

void rco__leg_free(rco_spool *spool, rco__spool_leg *leg)
{
	uint32_t i;

	(void)pthread_mutex_lock(&spool->index_lock);
	for (i = 0; i < leg->n_blocks; i++)
		give_number(spool, leg->blocks[i]);
	(void)pthread_mutex_unlock(&spool->index_lock);
	rco__release(&spool->env, leg->blocks);
	rco__release(&spool->env, leg->tail);
	leg->blocks = NULL;
	leg->tail = NULL;
	leg->n_blocks = leg->cap_blocks = leg->count = leg->cap = 0;
	leg->held = leg->tail_position = 0;
}

int rco__leg_forget(rco_spool *spool, rco__spool_leg *leg)
{
	int first = RCO_OK;
	uint32_t i;

	for (i = 0; i < leg->n_blocks; i++) {
		rco__block block;
		int rc = load_block(spool, leg->blocks[i], &block);

		if (rc == RCO_OK)
			rco__segments_drop(spool, block.at, block.count);
		else if (first == RCO_OK)
			first = rc;
	}
	rco__segments_drop(spool, leg->tail, leg->count);
	rco__leg_free(spool, leg);
	return first;
}

/* ---- life ---- */

void rco__index_open(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	char path[RCO__SPOOL_PATH];

	/* If it cannot be removed it is made empty when it is needed. */
	rco__spool_file(spool, index_name, path);
	(void)fs->unlink(fs->ctx, path);
}

void rco__index_close(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;

	rco__release(&spool->env, spool->kept); /* the blocks in there went with their recordings */
	rco__release(&spool->env, spool->index_free);
	if (spool->index_fd >= 0)
		(void)fs->close(fs->ctx, spool->index_fd);
}
