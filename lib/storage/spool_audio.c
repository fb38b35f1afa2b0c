/* SPDX-License-Identifier: MIT */
/*
 * Audio to records and back: a chunk is coded, sealed under the key of its
 * recording, and written; the index says where, so that reading is direct.
 */
#include "spool_internal.h"

#include <sodium.h>
#include <string.h>

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32, "a key is a cell of locked memory");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == 24, "a record has room for the nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == RCO__SPOOL_SEAL, "a record has room for the seal");

/* ---- scratch ---- */

static int grow_scratch(rco_spool *spool, rco__codec_item *item, size_t need)
{
	uint8_t *buf;

	if (item->cap >= need)
		return RCO_OK;
	buf = rco__alloc(&spool->env, need);
	if (buf == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a chunk of %zu bytes", need);
	rco__release(&spool->env, item->buf); /* wiped after each use */
	item->buf = buf;
	item->cap = need;
	return RCO_OK;
}

static void give_back(rco_spool *spool, rco__codec_item *item, size_t used)
{
	if (item->buf != NULL)
		rco_memzero(item->buf, used < item->cap ? used : item->cap);
	(void)pthread_mutex_lock(&spool->codec_lock);
	item->next = spool->codecs;
	spool->codecs = item;
	(void)pthread_mutex_unlock(&spool->codec_lock);
}

static int borrow(rco_spool *spool, size_t need, rco__codec_item **out)
{
	rco__codec_item *item;
	int rc = RCO_OK;

	(void)pthread_mutex_lock(&spool->codec_lock);
	item = spool->codecs;
	if (item != NULL)
		spool->codecs = item->next;
	(void)pthread_mutex_unlock(&spool->codec_lock);
	if (item == NULL) {
		item = rco__zalloc(&spool->env, 1, sizeof *item);
		if (item == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for a codec");
		rc = rco__codec_create(&spool->env, &item->codec);
		if (rc != RCO_OK) {
			rco__release(&spool->env, item);
			return rc;
		}
	}
	rc = grow_scratch(spool, item, need);
	if (rc != RCO_OK)
		give_back(spool, item, 0);
	*out = item;
	return rc;
}

void rco__spool_free_codecs(rco_spool *spool)
{
	rco__codec_item *list;

	(void)pthread_mutex_lock(&spool->codec_lock);
	list = spool->codecs;
	spool->codecs = NULL;
	(void)pthread_mutex_unlock(&spool->codec_lock);
	while (list != NULL) {
		rco__codec_item *item = list;

		list = item->next;
		rco__codec_free(item->codec);
		rco__release(&spool->env, item->buf);
		rco__release(&spool->env, item);
	}
}

/* ---- keys ---- */

static int revoked(void)
{
	return rco__fail(RCO_E_NOT_FOUND, "the recording was opted out or erased");
}

int rco__spooled_key(rco_spool *spool, rco__spooled *r)
{
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX], *key;
	size_t size;
	int rc, known, dead;

	(void)pthread_mutex_lock(&r->key_lock);
	dead = r->revoked;
	known = r->key != NULL;
	size = r->wrapped_size;
	if (!known)
		memcpy(wrapped, r->wrapped, sizeof wrapped);
	(void)pthread_mutex_unlock(&r->key_lock);
	if (dead)
		return revoked();
	if (known)
		return RCO_OK;
	/* Without the lock: a key service may take its time, and a revocation must not wait for it. */
	key = rco__secmem_get(spool->secrets);
	if (key == NULL)
		return RCO_E_NO_MEMORY;
	rc = spool->keys.unwrap(r->epoch, wrapped, size, r->id, key, spool->keys_ud);
	if (rc == RCO_E_NOT_FOUND || rc > RCO_OK) /* which means something else to our callers */
		rc = rco__fail(RCO_E_KEY, "the key provider answered %d to unwrap", rc);
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

/*
 * Used by no other record: the random bytes are of this codec only, and for a while, and the number tells its
 * records apart. So one system call does for many. A forked child, which would have the same, gets no key.
 */
static void take_nonce(rco__codec_item *item, uint8_t nonce[24])
{
	if (item->nonces_left == 0) {
		randombytes_buf(item->nonce, sizeof item->nonce);
		item->nonces_left = RCO__NONCES;
	}
	item->nonces_left--;
	memcpy(nonce, item->nonce, 24);
	rco__put64(item->nonce + 16, rco__get64(item->nonce + 16) + 1);
}

/* Code and seal into the scratch, as a whole record. */
static int make_record(rco__spooled *r, const rco_chunk *chunk, const uint8_t *data, size_t size,
                       rco__codec_item *item, rco__record *record)
{
	uint8_t *body = item->buf + RCO__SPOOL_REC_HEADER;
	const rco__spool_leg *leg = &r->legs[chunk->leg];
	size_t coded = 0;
	int rc;

	memset(record, 0, sizeof *record);
	rc = rco__codec_encode(item->codec, chunk->format, data, size, body, rco__codec_bound(size), &coded,
	                       &record->coding);
	if (rc != RCO_OK)
		return rc;
	record->leg = (uint8_t)chunk->leg;
	memcpy(record->id, r->id, 16);
	record->serial = r->serial;
	record->format = chunk->format;
	record->position = leg->held;
	record->time_us = chunk->time_us;
	record->raw_size = (uint32_t)size;
	record->cipher_size = (uint32_t)(coded + RCO__SPOOL_SEAL);
	take_nonce(item, record->nonce);
	rco__record_encode(record, item->buf);
	rc = seal(r, item->buf, coded, record->nonce);
	if (rc == RCO_OK)
		rco__record_finish(item->buf, record->cipher_size);
	return rc;
}

static int append_piece(rco_spool *spool, rco__spooled *r, const rco_chunk *chunk, const uint8_t *data,
                        size_t size)
{
	size_t need = rco__record_size(rco__codec_bound(size) + RCO__SPOOL_SEAL);
	rco__spool_leg *leg = &r->legs[chunk->leg];
	rco__piece piece = {.position = leg->held, .size = (uint32_t)size};
	rco__codec_item *item = NULL;
	rco__record record;
	int rc = rco__leg_reserve(spool, leg);

	if (rc == RCO_OK)
		rc = borrow(spool, need, &item);
	if (rc != RCO_OK)
		return rc;
	rc = make_record(r, chunk, data, size, item, &record);
	if (rc == RCO_OK) {
		piece.record_size = (uint32_t)rco__record_size(record.cipher_size);
		rc = rco__segment_append(spool, item->buf, piece.record_size, &piece.segment, &piece.offset);
	}
	give_back(spool, item, need);
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
	return append_piece(spool, r, chunk, (const uint8_t *)chunk->data + skip,
	                    chunk->size_bytes - (size_t)skip);
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
	    record->position != piece->position - piece->skip || record->raw_size != piece->skip + piece->size)
		return damaged(spool, piece, "the record is damaged");
	rc = open_seal(r, buf, record->cipher_size, record->nonce);
	return rc == RCO_E_CORRUPT ? damaged(spool, piece, "the seal does not match: altered, or of another key")
	                           : rc;
}

/* A whole record, decoded into `out`, which has room for its raw size. */
static int decode_piece(rco_spool *spool, rco__spooled *r, uint32_t leg, const rco__piece *piece, uint8_t *out)
{
	rco__codec_item *item;
	rco__record record;
	int rc = borrow(spool, piece->record_size, &item);

	if (rc != RCO_OK)
		return rc;
	rc = read_record(spool, r, leg, piece, item->buf, &record);
	if (rc == RCO_OK)
		rc = rco__codec_decode(item->codec, record.format, record.coding,
		                       item->buf + RCO__SPOOL_REC_HEADER, record.cipher_size - RCO__SPOOL_SEAL,
		                       out, record.raw_size);
	give_back(spool, item, piece->record_size);
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
		if (p.skip == 0 && n == p.size)
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
