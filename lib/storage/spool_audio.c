/* SPDX-License-Identifier: MIT */
/*
 * Audio to records and back: a chunk is sealed under the key of its
 * recording, and written; the index says where, so that reading is direct.
 */
#include "spool_internal.h"

#include <sodium.h>
#include <string.h>

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32, "a key is a cell of locked memory");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == 24, "a record has room for the nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == RCO__SPOOL_SEAL, "a record has room for the seal");

/* ---- scratch ---- */

static int grow_scratch(rco_spool *spool, rco__scratch *scratch, size_t need)
{
	uint8_t *buf;

	if (scratch->cap >= need)
		return RCO_OK;
	buf = rco__alloc(&spool->env, need);
	if (buf == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a chunk of %zu bytes", need);
	rco__release(&spool->env, scratch->buf); /* wiped after each use */
	scratch->buf = buf;
	scratch->cap = need;
	return RCO_OK;
}

static void give_back(rco_spool *spool, rco__scratch *scratch, size_t used)
{
	if (scratch->buf != NULL)
		rco_memzero(scratch->buf, used < scratch->cap ? used : scratch->cap);
	(void)pthread_mutex_lock(&spool->scratch_lock);
	scratch->next = spool->scratch;
	spool->scratch = scratch;
	(void)pthread_mutex_unlock(&spool->scratch_lock);
}

static int borrow(rco_spool *spool, size_t need, rco__scratch **out)
{
	rco__scratch *scratch;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&spool->scratch_lock);
	scratch = spool->scratch;
	if (scratch != NULL)
		spool->scratch = scratch->next;
	(void)pthread_mutex_unlock(&spool->scratch_lock);
	if (scratch == NULL) {
		scratch = rco__zalloc(&spool->env, 1, sizeof *scratch);
		if (scratch == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for a chunk of %zu bytes", need);
	}
	rc = grow_scratch(spool, scratch, need);
	if (rc != RCO_OK)
		give_back(spool, scratch, 0);
	*out = scratch;
	return rc;
}

void rco__spool_free_scratch(rco_spool *spool)
{
	rco__scratch *list;

	(void)pthread_mutex_lock(&spool->scratch_lock);
	list = spool->scratch;
	spool->scratch = NULL;
	(void)pthread_mutex_unlock(&spool->scratch_lock);
	while (list != NULL) {
		rco__scratch *scratch = list;

		list = scratch->next;
		rco__release(&spool->env, scratch->buf);
		rco__release(&spool->env, scratch);
	}
}

/* ---- keys ---- */

static int revoked(void)
{
	return rco__fail(RCO_E_NOT_FOUND, "the recording was opted out or erased");
}

int rco__spooled_key(rco_spool *spool, rco__spooled *r)
{
	uint8_t wrapped[RCO__SPOOL_WRAPPED], *key;
	int rc, known, dead;

	(void)pthread_mutex_lock(&r->key_lock);
	dead = r->revoked;
	known = r->key != NULL;
	if (!known)
		memcpy(wrapped, r->wrapped, sizeof wrapped);
	(void)pthread_mutex_unlock(&r->key_lock);
	if (dead)
		return revoked();
	if (known)
		return RCO_OK;
	key = rco__secmem_get(spool->secrets); /* without the lock: the host's log may be told of it */
	if (key == NULL)
		return RCO_E_NO_MEMORY;
	rc = rco__epoch_unwrap(spool, r->epoch, r->id, wrapped, key);
	(void)pthread_mutex_lock(&r->key_lock);
	if (rc == RCO_OK && r->revoked)
		rc = revoked();
	if (rc == RCO_OK) {
		r->key = key;
		key = NULL;
	}
	(void)pthread_mutex_unlock(&r->key_lock);
	rco__secmem_put(spool->secrets, key);
	return rc;
}

/* In place; the ciphertext is longer than what was coded by the seal. */
static int seal(rco__spooled *r, uint8_t *header, size_t coded, const uint8_t nonce[24])
{
	uint8_t *body = header + RCO__SPOOL_REC_HEADER;
	int ok = 0;

	(void)pthread_mutex_lock(&r->key_lock);
	if (r->key != NULL) {
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, body, coded, header,
		                                                 RCO__SPOOL_REC_CRC_AT, NULL, nonce, r->key);
		ok = 1;
	}
	(void)pthread_mutex_unlock(&r->key_lock);
	return ok ? RCO_OK : revoked();
}

static int open_seal(rco__spooled *r, uint8_t *header, size_t size, const uint8_t nonce[24])
{
	uint8_t *body = header + RCO__SPOOL_REC_HEADER;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&r->key_lock);
	if (r->key == NULL)
		rc = RCO_E_NOT_FOUND;
	else if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, body, size, header,
	                                                    RCO__SPOOL_REC_CRC_AT, nonce, r->key) != 0)
		rc = RCO_E_CORRUPT;
	(void)pthread_mutex_unlock(&r->key_lock);
	return rc == RCO_E_NOT_FOUND ? revoked() : rc;
}

/* ---- appending ---- */

/* Code and seal into `buf`, as a whole record; its nonce is drawn. */
static int make_record(rco__spooled *r, const rco_chunk *chunk, const uint8_t *data, size_t size, uint8_t *buf,
                       rco__record *record)
{
	uint8_t *body = buf + RCO__SPOOL_REC_HEADER;
	const rco__spool_leg *leg = &r->legs[chunk->leg];
	size_t coded;
	int rc;

	record->coding = RCO__CODING_GAP;
	coded = data != NULL ? rco__chunk_encode(chunk->format, data, size, body, &record->coding) : 0;
	record->leg = (uint8_t)chunk->leg;
	memcpy(record->id, r->id, 16);
	record->serial = r->serial;
	record->format = chunk->format;
	record->position = leg->held;
	record->time_us = chunk->time_us;
	record->raw_size = (uint32_t)size;
	record->cipher_size = (uint32_t)(coded + RCO__SPOOL_SEAL);
	rco__record_encode(record, buf);
	rc = seal(r, buf, coded, record->nonce);
	if (rc == RCO_OK)
		rco__record_finish(buf, record->cipher_size);
	return rc;
}

static int append_piece(rco_spool *spool, rco__spooled *r, const rco_chunk *chunk, const uint8_t *data,
                        size_t size)
{
	size_t need = rco__record_size((data != NULL ? size : 0) + RCO__SPOOL_SEAL);
	rco__spool_leg *leg = &r->legs[chunk->leg];
	rco__piece piece = {.position = leg->held, .size = (uint32_t)size, .gap = data == NULL};
	rco__scratch *scratch = NULL;
	rco__record record = {.coding = 0};
	int rc = rco__leg_reserve(spool, leg);

	if (rc == RCO_OK)
		rc = borrow(spool, need, &scratch);
	if (rc != RCO_OK)
		return rc;
	/*
	 * Asked of the kernel when all that it seals is fixed: of a machine that is copied while it runs both go
	 * on with what this process has in memory, and the kernel is told (vmgenid) that its random numbers must
	 * differ from there.
	 */
	randombytes_buf(record.nonce, sizeof record.nonce);
	rc = make_record(r, chunk, data, size, scratch->buf, &record);
	if (rc == RCO_OK) {
		piece.record_size = (uint32_t)rco__record_size(record.cipher_size);
		rc = rco__segment_append(spool, scratch->buf, piece.record_size, &piece.segment, &piece.offset);
	}
	give_back(spool, scratch, need);
	if (rc != RCO_OK)
		return rc;
	leg->format = chunk->format;
	rco__leg_add(leg, &piece);
	return RCO_OK;
}

int rco__spooled_append(rco_spool *spool, rco__spooled *r, const rco_chunk *chunk)
{
	const rco__spool_leg *leg = &r->legs[chunk->leg];
	uint64_t skip;
	int rc = rco__spooled_key(spool, r);

	if (rc != RCO_OK)
		return rc;
	if (leg->held > 0 && leg->format != chunk->format)
		return rco__fail(RCO_E_FORMAT, "append: leg %u began in format %u", chunk->leg, leg->format);
	if (chunk->position_bytes + chunk->size_bytes <= leg->held)
		return RCO_OK; /* a repetition: the answer got lost, not the piece */
	if (chunk->position_bytes > leg->held)
		return rco__fail(RCO_E_INVALID, "append: leg %u has %llu bytes, the piece begins at %llu",
		                 chunk->leg, (unsigned long long)leg->held,
		                 (unsigned long long)chunk->position_bytes);
	skip = leg->held - chunk->position_bytes;
	return append_piece(spool, r, chunk, chunk->data != NULL ? (const uint8_t *)chunk->data + skip : NULL,
	                    chunk->size_bytes - (size_t)skip);
}

/* ---- appending many ---- */

enum { GATHER = 256 << 10 };

/* Bytes of a write: a segment is no longer than it is to be. */
static size_t most(const rco_spool *spool)
{
	return spool->segment_bytes < GATHER ? (size_t)spool->segment_bytes : GATHER;
}

/* What it takes at most. */
static size_t room_for(const rco__append *a)
{
	return a->rc == RCO_OK ? rco__record_size(a->chunk.size_bytes + RCO__SPOOL_SEAL) : 0;
}

/* Its record, and room for it in the index. */
static int gather(rco_spool *spool, rco__append *a, const uint8_t nonce[24], uint8_t *buf)
{
	rco__spooled *r = a->recording;
	rco__spool_leg *leg = &r->legs[a->chunk.leg];
	rco__record record = {.coding = 0};
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&r->lock);
	if (r->state != RCO__SPOOLED_OPEN)
		rc = RCO_E_NOT_FOUND;
	else if (a->chunk.position_bytes != leg->held || (leg->held > 0 && leg->format != a->chunk.format))
		rc = RCO_E_INVALID;
	if (rc == RCO_OK)
		rc = rco__leg_reserve(spool, leg);
	if (rc == RCO_OK) {
		memcpy(record.nonce, nonce, sizeof record.nonce);
		rc = make_record(r, &a->chunk, a->chunk.data, a->chunk.size_bytes, buf, &record);
		if (rc != RCO_OK) /* it was not sealed */
			rco_memzero(buf, room_for(a));
		a->record_size = (uint32_t)rco__record_size(record.cipher_size);
	}
	(void)pthread_mutex_unlock(&r->lock);
	return rc;
}

/* Its record is written: it counts if the recording is still what it was. */
static int count(rco_spool *spool, rco__append *a, rco__segment *segment, uint64_t offset)
{
	rco__spooled *r = a->recording;
	rco__spool_leg *leg = &r->legs[a->chunk.leg];
	rco__piece piece = {.segment = segment,
	                    .offset = offset,
	                    .position = a->chunk.position_bytes,
	                    .size = (uint32_t)a->chunk.size_bytes,
	                    .record_size = a->record_size};
	int rc;

	(void)pthread_mutex_lock(&r->lock);
	rc = r->state == RCO__SPOOLED_OPEN && leg->held == piece.position ? rco__leg_reserve(spool, leg)
	                                                                  : RCO_E_NOT_FOUND;
	if (rc == RCO_OK) {
		leg->format = a->chunk.format;
		rco__leg_add(leg, &piece);
	}
	(void)pthread_mutex_unlock(&r->lock);
	return rc;
}

static void write_gathered(rco_spool *spool, rco__append *list, size_t n, const uint8_t *buf, size_t size)
{
	const rco__fs *fs = spool->env.fs;
	rco__segment *segment;
	uint64_t offset, unused = 0;
	size_t i;
	int rc = rco__segment_take(spool, size, &segment, &offset), taken = rc == RCO_OK;

	if (taken)
		rc = fs->write(fs->ctx, segment->fd, buf, size, offset);
	for (i = 0; i < n; i++) {
		rco__append *a = &list[i];

		if (a->rc != RCO_OK)
			continue;
		a->rc = rc == RCO_OK ? count(spool, a, segment, offset) : rc;
		if (a->rc != RCO_OK)
			unused += a->record_size;
		offset += a->record_size;
	}
	/* Only now: a segment that is being written to is not compacted, and what is in no index would be lost. */
	if (taken)
		rco__segment_done(spool, segment, rc, unused);
}

/* How many of these fit into a write. */
static size_t fitting(const rco_spool *spool, const rco__append *list, size_t count)
{
	size_t n, size = 0;

	for (n = 0; n < count && n < RCO__APPEND_MANY; n++) {
		size += room_for(&list[n]);
		if (size > most(spool))
			break;
	}
	return n;
}

void rco__spooled_append_many(rco_spool *spool, rco__append *list, size_t count)
{
	uint8_t nonces[RCO__APPEND_MANY][24], seed[randombytes_SEEDBYTES];
	rco__scratch *scratch;
	size_t i, n;
	int rc = borrow(spool, GATHER, &scratch);

	for (i = 0; i < count; i++)
		if (list[i].rc == RCO_OK && list[i].chunk.data == NULL)
			list[i].rc = RCO_E_INVALID; /* a gap is no bytes to share a write: append() takes it */
		else if (list[i].rc == RCO_OK)
			list[i].rc = room_for(&list[i]) > most(spool) ? RCO_E_LIMIT : rc;
	for (; rc == RCO_OK && count > 0; list += n, count -= n) {
		size_t used = 0;

		n = fitting(spool, list, count);
		/* Drawn when what they seal is fixed, as for one. They are no secret: a seed from the kernel will
		 * do. */
		randombytes_buf(seed, sizeof seed);
		randombytes_buf_deterministic(nonces, n * sizeof nonces[0], seed);
		for (i = 0; i < n; i++) {
			if (list[i].rc == RCO_OK)
				list[i].rc = gather(spool, &list[i], nonces[i], scratch->buf + used);
			if (list[i].rc == RCO_OK)
				used += list[i].record_size;
		}
		if (used > 0)
			write_gathered(spool, list, n, scratch->buf, used);
	}
	if (rc == RCO_OK)
		give_back(spool, scratch, 0); /* all in it is sealed */
}

/* ---- reading ---- */

static int damaged(const rco_spool *spool, const rco__piece *piece, const char *what)
{
	return rco__fail(RCO_E_CORRUPT, "%s/%016llx.rcos at %llu: %s", spool->path,
	                 (unsigned long long)piece->segment->number, (unsigned long long)piece->offset, what);
}

static int read_record(rco_spool *spool, rco__spooled *r, uint32_t leg, const rco__piece *piece, uint8_t *buf,
                       rco__record *record)
{
	const rco__fs *fs = spool->env.fs;
	size_t got = 0;
	int rc = fs->read(fs->ctx, piece->segment->fd, buf, piece->record_size, piece->offset, &got);

	if (rc != RCO_OK)
		return rc;
	if (rco__record_parse(buf, got, record) != RCO_OK || memcmp(record->id, r->id, 16) != 0 ||
	    record->serial != r->serial || record->leg != leg || record->format != r->legs[leg].format ||
	    record->position != piece->position - piece->skip || record->raw_size != piece->skip + piece->size ||
	    (record->coding == RCO__CODING_GAP) != piece->gap)
		return damaged(spool, piece, "the record is damaged");
	rc = open_seal(r, buf, record->cipher_size, record->nonce);
	return rc == RCO_E_CORRUPT ? damaged(spool, piece, "the seal does not match: altered, or of another key")
	                           : rc;
}

/* `size` bytes of a gap. Its record is read, too: the seal says that it is one. */
static int fill_gap(rco_spool *spool, rco__spooled *r, uint32_t leg, const rco__piece *piece, uint8_t *out,
                    size_t size)
{
	rco__scratch *scratch;
	rco__record record;
	int rc = borrow(spool, piece->record_size, &scratch);

	if (rc != RCO_OK)
		return rc;
	rc = read_record(spool, r, leg, piece, scratch->buf, &record);
	if (rc == RCO_OK)
		memset(out, rco__format_of(record.format)->silence, size);
	give_back(spool, scratch, 0);
	return rc;
}

/* A whole record, decoded into `out`, which has room for its raw size. */
static int decode_piece(rco_spool *spool, rco__spooled *r, uint32_t leg, const rco__piece *piece, uint8_t *out)
{
	rco__scratch *scratch;
	rco__record record;
	int rc = borrow(spool, piece->record_size, &scratch);

	if (rc != RCO_OK)
		return rc;
	rc = read_record(spool, r, leg, piece, scratch->buf, &record);
	if (rc == RCO_OK)
		rc = rco__chunk_decode(record.format, record.coding, scratch->buf + RCO__SPOOL_REC_HEADER,
		                       record.cipher_size - RCO__SPOOL_SEAL, out, record.raw_size);
	give_back(spool, scratch, piece->record_size);
	return rc;
}

/* Part of a piece, by way of the whole. */
static int decode_part(rco_spool *spool, rco__spooled *r, uint32_t leg, const rco__piece *piece, size_t from,
                       uint8_t *out, size_t size)
{
	size_t raw = (size_t)piece->skip + piece->size;
	uint8_t *whole = rco__alloc(&spool->env, raw);
	int rc;

	if (whole == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a chunk of %zu bytes", raw);
	rc = decode_piece(spool, r, leg, piece, whole);
	if (rc == RCO_OK)
		memcpy(out, whole + piece->skip + from, size);
	rco_memzero(whole, raw);
	rco__release(&spool->env, whole);
	return rc;
}

/* Where the byte is. The index says it; if that cannot be read, the segments do. */
static int find_piece(rco_spool *spool, rco__spooled *r, uint32_t leg, uint64_t position, rco__block *block,
                      rco__piece *piece)
{
	const rco__spool_leg *l = &r->legs[leg];
	int rc = rco__leg_at(spool, l, position, block, piece);

	if (rc == RCO_OK)
		return rc;
	rco__log(&spool->env, RCO_LOG_WARN, "the index cannot be read, searching all segments of %s: %s",
	         spool->path, rco_error_detail());
	rc = rco__segments_search(spool, r, leg, position, block);
	return rc == RCO_OK ? rco__leg_at(spool, l, position, block, piece) : rc;
}

int rco__spooled_read(rco_spool *spool, rco__spooled *r, uint32_t leg, uint64_t position, uint8_t *data,
                      size_t cap, size_t *used)
{
	const rco__spool_leg *l = &r->legs[leg];
	rco__block block = {.position = 0};
	int rc = rco__spooled_key(spool, r);

	*used = 0;
	while (rc == RCO_OK && position < l->held && *used < cap) {
		rco__piece p;
		size_t from, n;

		rc = find_piece(spool, r, leg, position, &block, &p);
		if (rc != RCO_OK)
			break;
		from = (size_t)(position - p.position);
		n = p.size - from;
		if (n > cap - *used)
			n = cap - *used;
		if (p.gap)
			rc = fill_gap(spool, r, leg, &p, data + *used, n);
		else if (p.skip == 0 && n == p.size)
			rc = decode_piece(spool, r, leg, &p, data + *used);
		else
			rc = decode_part(spool, r, leg, &p, from, data + *used, n);
		if (rc == RCO_OK) {
			*used += n;
			position += n;
		}
	}
	/* What was read before damage is good; the next call meets it at its beginning. */
	return rc == RCO_E_CORRUPT && *used > 0 ? RCO_OK : rc;
}
