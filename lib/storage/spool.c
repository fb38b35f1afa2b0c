/* SPDX-License-Identifier: MIT */
/*
 * The spool: encrypted audio of calls under way. A recording is a key slot and
 * records in segments that all recordings share; erasing it is wiping its key,
 * in memory and in its slot.
 */
#include "spool_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { SEAL = crypto_aead_xchacha20poly1305_ietf_ABYTES, AAD = RCO__SPOOL_REC_HEADER - 4 };

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32, "a key is a cell of locked memory");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == 24, "the record has room for the nonce");

/* ---- the table ---- */

static rco__spooled **bucket_of(rco_spool *spool, const uint8_t id[16])
{
	/* Ids are random UUIDs of our own making: any bytes of them will do. */
	return &spool->buckets[rco__get32(id) % RCO__SPOOL_BUCKETS];
}

/* table_lock held */
static rco__spooled *find(rco_spool *spool, const uint8_t id[16])
{
	rco__spooled *r = *bucket_of(spool, id);

	while (r != NULL && memcmp(r->id, id, 16) != 0)
		r = r->next;
	return r;
}

static rco__spooled *get(rco_spool *spool, const uint8_t id[16])
{
	rco__spooled *r;

	(void)pthread_mutex_lock(&spool->table_lock);
	r = find(spool, id);
	if (r != NULL)
		r->refs++;
	(void)pthread_mutex_unlock(&spool->table_lock);
	return r;
}

static void destroy(rco_spool *spool, rco__spooled *r)
{
	uint32_t i;

	rco__secmem_put(spool->secrets, r->key);
	for (i = 0; i < RCO_MAX_LEGS; i++)
		if (r->legs[i].pieces != NULL)
			rco__release(&spool->env, r->legs[i].pieces);
	(void)pthread_mutex_destroy(&r->lock);
	rco_memzero(r, sizeof *r);
	rco__release(&spool->env, r);
}

static void put(rco_spool *spool, rco__spooled *r)
{
	int last;

	(void)pthread_mutex_lock(&spool->table_lock);
	last = --r->refs == 0;
	(void)pthread_mutex_unlock(&spool->table_lock);
	if (last)
		destroy(spool, r);
}

static rco__spooled *new_recording(rco_spool *spool, const uint8_t id[16])
{
	rco__spooled *r = rco__zalloc(&spool->env, 1, sizeof *r);

	if (r == NULL)
		return NULL;
	memcpy(r->id, id, 16);
	r->refs = 1; /* the table's */
	(void)pthread_mutex_init(&r->lock, NULL);
	return r;
}

static void insert(rco_spool *spool, rco__spooled *r)
{
	rco__spooled **bucket = bucket_of(spool, r->id);

	r->next = *bucket;
	*bucket = r;
}

/* ---- scratch: a codec and room for one record, lent to whoever codes ---- */

static rco__codec_item *borrow(rco_spool *spool, size_t need)
{
	rco__codec_item *item;

	(void)pthread_mutex_lock(&spool->codec_lock);
	item = spool->codecs;
	if (item != NULL)
		spool->codecs = item->next;
	(void)pthread_mutex_unlock(&spool->codec_lock);
	if (item == NULL) {
		item = rco__zalloc(&spool->env, 1, sizeof *item);
		if (item == NULL)
			return NULL;
		if (rco__codec_create(&spool->env, &item->codec) != RCO_OK) {
			rco__release(&spool->env, item);
			return NULL;
		}
	}
	if (item->cap < need) {
		uint8_t *buf = rco__alloc(&spool->env, need);

		if (buf != NULL && item->buf != NULL) {
			rco_memzero(item->buf, item->cap);
			rco__release(&spool->env, item->buf);
		}
		if (buf != NULL) {
			item->buf = buf;
			item->cap = need;
		}
	}
	return item;
}

static void give_back(rco_spool *spool, rco__codec_item *item)
{
	(void)pthread_mutex_lock(&spool->codec_lock);
	item->next = spool->codecs;
	spool->codecs = item;
	(void)pthread_mutex_unlock(&spool->codec_lock);
}

static void free_codecs(rco_spool *spool)
{
	while (spool->codecs != NULL) {
		rco__codec_item *item = spool->codecs;

		spool->codecs = item->next;
		rco__codec_free(item->codec);
		if (item->buf != NULL) {
			rco_memzero(item->buf, item->cap);
			rco__release(&spool->env, item->buf);
		}
		rco__release(&spool->env, item);
	}
}

/* ---- open ---- */

static int make_key(rco_spool *spool, rco__spooled *r)
{
	rco__slot slot = {.epoch = 0};
	int rc;

	r->key = rco__secmem_get(spool->secrets);
	if (r->key == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no locked memory for a key");
	randombytes_buf(r->key, 32);
	slot.wrapped_size = sizeof slot.wrapped;
	rc = spool->keys.wrap(r->key, r->id, slot.wrapped, &slot.wrapped_size, &slot.epoch, spool->keys_ud);
	if (rc == RCO_OK && (slot.wrapped_size == 0 || slot.wrapped_size > sizeof slot.wrapped))
		rc = rco__fail(RCO_E_KEY, "the key provider returned a wrapped key of %zu bytes", slot.wrapped_size);
	if (rc != RCO_OK)
		return rc;
	memcpy(slot.id, r->id, 16);
	memcpy(slot.meta, r->meta, r->meta_size);
	slot.meta_size = r->meta_size;
	r->epoch = slot.epoch;
	(void)pthread_mutex_lock(&spool->slot_lock);
	spool->current_epoch = slot.epoch;
	(void)pthread_mutex_unlock(&spool->slot_lock);
	return rco__slot_put(spool, &slot, &r->slot);
}

static int spool_open(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r, *other;
	int rc;

	(void)op;
	if (recording->meta_bytes > RCO_META_MAX)
		return rco__fail(RCO_E_LIMIT, "a recording's meta data is at most %d bytes", (int)RCO_META_MAX);
	r = get(spool, recording->id);
	if (r != NULL) {
		put(spool, r);
		result->confirmed = RCO_CONFIRM_DONE;
		return RCO_OK;
	}
	r = new_recording(spool, recording->id);
	if (r == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a recording");
	if (recording->meta_bytes > 0)
		memcpy(r->meta, recording->meta, recording->meta_bytes);
	r->meta_size = recording->meta_bytes;
	rc = make_key(spool, r);
	if (rc != RCO_OK) {
		destroy(spool, r);
		return rc;
	}
	(void)pthread_mutex_lock(&spool->table_lock);
	other = find(spool, recording->id);
	if (other == NULL)
		insert(spool, r);
	(void)pthread_mutex_unlock(&spool->table_lock);
	if (other != NULL) { /* two at once: the first stays */
		rc = rco__slot_wipe(spool, r->slot);
		destroy(spool, r);
		if (rc != RCO_OK)
			return rc;
	}
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

/* Recording's lock held. Its key, unwrapped if this process has not needed it yet. */
static int need_key(rco_spool *spool, rco__spooled *r)
{
	uint8_t *key;
	int rc;

	if (r->revoked)
		return rco__fail(RCO_E_NOT_FOUND, "the recording was erased");
	if (r->key != NULL)
		return RCO_OK;
	key = rco__secmem_get(spool->secrets);
	if (key == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no locked memory for a key");
	rc = spool->keys.unwrap(r->epoch, r->wrapped, r->wrapped_size, r->id, key, spool->keys_ud);
	if (rc != RCO_OK) {
		rco__secmem_put(spool->secrets, key);
		return rc;
	}
	r->key = key;
	return RCO_OK;
}

/* ---- append ---- */

static int add_piece(rco_spool *spool, rco__spool_leg *leg, const rco__piece *piece)
{
	if (leg->count == leg->cap) {
		size_t cap = leg->cap == 0 ? 16 : leg->cap * 2;
		rco__piece *pieces = rco__resize(&spool->env, leg->pieces, cap * sizeof *pieces);

		if (pieces == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for the index of a recording");
		leg->pieces = pieces;
		leg->cap = cap;
	}
	leg->pieces[leg->count++] = *piece;
	return RCO_OK;
}

/* Code and seal one chunk into the scratch as a whole record. */
static int make_record(rco__spooled *r, const rco_chunk *chunk, const uint8_t *data, size_t size, uint64_t position,
                       rco__codec_item *item, rco__record *record)
{
	uint8_t *body = item->buf + RCO__SPOOL_REC_HEADER;
	unsigned long long sealed = 0;
	size_t coded = 0;
	int rc;

	memset(record, 0, sizeof *record);
	rc = rco__codec_encode(item->codec, chunk->format, data, size, body, rco__codec_bound(size), &coded,
	                       &record->coding);
	if (rc != RCO_OK)
		return rc;
	record->leg = (uint8_t)chunk->leg;
	memcpy(record->id, r->id, 16);
	record->format = chunk->format;
	record->seq = r->legs[chunk->leg].seq;
	record->position = position;
	record->time_us = chunk->time_us;
	record->raw_size = (uint32_t)size;
	record->cipher_size = (uint32_t)(coded + SEAL);
	randombytes_buf(record->nonce, sizeof record->nonce);
	rco__record_encode(record, item->buf);
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(body, &sealed, body, coded, item->buf, AAD, NULL, record->nonce,
	                                               r->key) != 0 ||
	    sealed != record->cipher_size)
		return rco__fail(RCO_E_INTERNAL, "sealing a chunk failed");
	rco__record_finish(item->buf, record->cipher_size);
	return RCO_OK;
}

/* Recording's lock held. */
static int append_piece(rco_spool *spool, rco__spooled *r, const rco_chunk *chunk, const uint8_t *data, size_t size)
{
	rco__spool_leg *leg = &r->legs[chunk->leg];
	size_t need = RCO__SPOOL_REC_HEADER + rco__codec_bound(size) + SEAL + RCO__SPOOL_ALIGN;
	rco__codec_item *item = borrow(spool, need);
	rco__piece piece = {.position = leg->held};
	rco__record record;
	int rc;

	if (item == NULL || item->cap < need) {
		if (item != NULL)
			give_back(spool, item);
		return rco__fail(RCO_E_NO_MEMORY, "no memory for coding");
	}
	rc = make_record(r, chunk, data, size, leg->held, item, &record);
	if (rc == RCO_OK)
		rc = add_piece(spool, leg, &piece); /* room first: what is written must be found again */
	if (rc == RCO_OK) {
		rco__piece *p = &leg->pieces[leg->count - 1];

		p->raw_size = record.raw_size;
		p->record_size = (uint32_t)rco__record_size(record.cipher_size);
		rc = rco__segment_append(spool, item->buf, p->record_size, &p->segment, &p->offset);
		if (rc != RCO_OK)
			leg->count--;
	}
	give_back(spool, item);
	if (rc != RCO_OK)
		return rc;
	leg->format = chunk->format;
	leg->held += size;
	leg->seq++;
	return RCO_OK;
}

static int append_locked(rco_spool *spool, rco__spooled *r, const rco_chunk *chunk)
{
	rco__spool_leg *leg = &r->legs[chunk->leg];
	uint64_t end = chunk->position_bytes + chunk->size_bytes, skip;
	int rc = need_key(spool, r);

	if (rc != RCO_OK)
		return rc;
	if (leg->held > 0 && leg->format != chunk->format)
		return rco__fail(RCO_E_FORMAT, "leg %u changed its format", chunk->leg);
	if (end <= leg->held)
		return RCO_OK; /* a repetition */
	if (chunk->position_bytes > leg->held)
		return rco__fail(RCO_E_INVALID, "leg %u: a piece at %llu, but only %llu bytes are held", chunk->leg,
		                 (unsigned long long)chunk->position_bytes, (unsigned long long)leg->held);
	skip = leg->held - chunk->position_bytes;
	return append_piece(spool, r, chunk, (const uint8_t *)chunk->data + skip, chunk->size_bytes - (size_t)skip);
}

static int spool_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	const rco__format *format = rco__format_of(chunk->format);
	rco__spooled *r;
	int rc;

	(void)op;
	if (format == NULL || chunk->leg >= RCO_MAX_LEGS || chunk->data == NULL || chunk->size_bytes == 0 ||
	    chunk->size_bytes > RCO__CHUNK_MAX || chunk->size_bytes % format->sample_bytes != 0 ||
	    chunk->position_bytes > UINT64_MAX - chunk->size_bytes)
		return rco__fail(RCO_E_INVALID, "a piece with an impossible leg, format or size");
	r = get(spool, chunk->recording_id);
	if (r == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "the recording is not open");
	(void)pthread_mutex_lock(&r->lock);
	rc = append_locked(spool, r, chunk);
	(void)pthread_mutex_unlock(&r->lock);
	put(spool, r);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_DONE;
	return rc;
}

static int spool_flush(uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	int rc = rco__slots_flush(spool);

	(void)op;
	if (rc == RCO_OK)
		rc = rco__segments_flush(spool);
	else
		(void)rco__segments_flush(spool);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_DONE;
	return rc;
}

static int spool_seal(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	(void)recording_id;
	return spool_flush(op, result, user_data);
}

/* ---- read ---- */

static const rco__piece *piece_at(const rco__spool_leg *leg, uint64_t position)
{
	size_t low = 0, high = leg->count;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (leg->pieces[mid].position <= position)
			low = mid;
		else
			high = mid;
	}
	return leg->count > 0 ? &leg->pieces[low] : NULL;
}

static int damaged(const rco__piece *piece, const char *what)
{
	return rco__fail(RCO_E_CORRUPT, "segment %016llx at %llu: %s", (unsigned long long)piece->segment->number,
	                 (unsigned long long)piece->offset, what);
}

/* Recording's lock held. One chunk, decoded, into `out`. */
static int decode_piece(rco_spool *spool, rco__spooled *r, uint32_t leg, const rco__piece *piece, uint8_t *out)
{
	const rco__fs *fs = spool->env.fs;
	rco__codec_item *item = borrow(spool, piece->record_size);
	unsigned long long opened = 0;
	rco__record record;
	size_t got = 0;
	uint8_t *body;
	int rc;

	if (item == NULL || item->cap < piece->record_size) {
		if (item != NULL)
			give_back(spool, item);
		return rco__fail(RCO_E_NO_MEMORY, "no memory for decoding");
	}
	body = item->buf + RCO__SPOOL_REC_HEADER;
	rc = fs->read(fs->ctx, piece->segment->fd, item->buf, piece->record_size, piece->offset, &got);
	if (rc == RCO_OK && (rco__record_parse(item->buf, got, &record) != RCO_OK || memcmp(record.id, r->id, 16) != 0 ||
	                     record.leg != leg || record.position != piece->position ||
	                     record.raw_size != piece->raw_size || record.cipher_size < SEAL))
		rc = damaged(piece, "the record is damaged");
	if (rc == RCO_OK &&
	    crypto_aead_xchacha20poly1305_ietf_decrypt(body, &opened, NULL, body, record.cipher_size, item->buf, AAD,
	                                               record.nonce, r->key) != 0)
		rc = damaged(piece, "its seal does not match: altered, or another key");
	if (rc == RCO_OK)
		rc = rco__codec_decode(item->codec, record.format, record.coding, body, (size_t)opened, out, record.raw_size);
	rco_memzero(item->buf, piece->record_size);
	give_back(spool, item);
	return rc;
}

static int read_locked(rco_spool *spool, rco__spooled *r, uint32_t leg, uint64_t position, uint8_t *data, size_t cap,
                       size_t *used)
{
	rco__spool_leg *l = &r->legs[leg];
	uint8_t *whole = NULL;
	int rc = need_key(spool, r);

	while (rc == RCO_OK && position < l->held && *used < cap) {
		const rco__piece *p = piece_at(l, position);
		size_t skip = (size_t)(position - p->position), n = p->raw_size - skip;

		if (n > cap - *used)
			n = cap - *used;
		if (skip == 0 && n == p->raw_size) {
			rc = decode_piece(spool, r, leg, p, data + *used);
		} else {
			whole = rco__alloc(&spool->env, p->raw_size);
			if (whole == NULL)
				return rco__fail(RCO_E_NO_MEMORY, "no memory for decoding");
			rc = decode_piece(spool, r, leg, p, whole);
			if (rc == RCO_OK)
				memcpy(data + *used, whole + skip, n);
			rco_memzero(whole, p->raw_size);
			rco__release(&spool->env, whole);
		}
		if (rc == RCO_OK) {
			*used += n;
			position += n;
		}
	}
	/* What was read before the damage is good; the next call meets it at its beginning. */
	return *used > 0 && rc == RCO_E_CORRUPT ? RCO_OK : rc;
}

static int spool_read(const uint8_t recording_id[16], uint32_t leg, uint64_t position_bytes, void *data,
                      size_t cap_bytes, uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r;
	size_t used = 0;
	int rc;

	(void)op;
	if (leg >= RCO_MAX_LEGS)
		return rco__fail(RCO_E_INVALID, "there is no leg %u", leg);
	r = get(spool, recording_id);
	if (r == NULL)
		return rco__fail(RCO_E_NOT_FOUND, "the recording is not in the spool");
	(void)pthread_mutex_lock(&r->lock);
	rc = read_locked(spool, r, leg, position_bytes, data, cap_bytes, &used);
	(void)pthread_mutex_unlock(&r->lock);
	put(spool, r);
	if (rc != RCO_OK)
		return rc;
	result->size_bytes = used;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

/* ---- erase ---- */

static void wipe_key(rco_spool *spool, rco__spooled *r)
{
	(void)pthread_mutex_lock(&r->lock);
	r->revoked = 1;
	rco__secmem_put(spool->secrets, r->key);
	r->key = NULL;
	rco_memzero(r->wrapped, sizeof r->wrapped);
	(void)pthread_mutex_unlock(&r->lock);
}

static void spool_revoke(const uint8_t recording_id[16], void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r = get(spool, recording_id);

	if (r == NULL)
		return;
	wipe_key(spool, r);
	put(spool, r);
}

static void drop_pieces(rco_spool *spool, rco__spooled *r)
{
	uint32_t leg;
	size_t i;

	(void)pthread_mutex_lock(&r->lock);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++) {
		rco__spool_leg *l = &r->legs[leg];

		for (i = 0; i < l->count;) { /* runs of one segment are dropped together */
			rco__segment *seg = l->pieces[i].segment;
			uint64_t n = 0;

			while (i < l->count && l->pieces[i].segment == seg) {
				i++;
				n++;
			}
			rco__segment_drop(spool, seg, n);
		}
		l->count = 0;
		l->held = 0;
	}
	(void)pthread_mutex_unlock(&r->lock);
}

static int epoch_in_use(rco_spool *spool, uint64_t epoch)
{
	const rco__spooled *r;
	int used = 0;
	size_t i;

	(void)pthread_mutex_lock(&spool->table_lock);
	for (i = 0; i < RCO__SPOOL_BUCKETS && !used; i++)
		for (r = spool->buckets[i]; r != NULL && !used; r = r->next)
			used = r->epoch == epoch;
	(void)pthread_mutex_unlock(&spool->table_lock);
	return used;
}

/* An epoch whose last recording went is destroyed, and with it what old blocks of a flash might still tell. */
static void end_epoch(rco_spool *spool, uint64_t epoch)
{
	uint64_t current;

	(void)pthread_mutex_lock(&spool->slot_lock);
	current = spool->current_epoch;
	(void)pthread_mutex_unlock(&spool->slot_lock);
	if (spool->keys.destroy == NULL || current == 0 || epoch >= current || epoch_in_use(spool, epoch))
		return;
	if (spool->keys.destroy(epoch, spool->keys_ud) != RCO_OK)
		rco__log(&spool->env, RCO_LOG_WARN, "key epoch %llu cannot be destroyed: %s", (unsigned long long)epoch,
		         rco_error_detail());
}

static int spool_erase(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r = get(spool, recording_id), **at;
	uint64_t epoch;
	int rc;

	(void)op;
	if (r == NULL) {
		result->confirmed = RCO_CONFIRM_GONE;
		return RCO_OK;
	}
	wipe_key(spool, r);
	rc = rco__slot_wipe(spool, r->slot);
	if (rc != RCO_OK) { /* it stays in the table, revoked, to be tried again */
		put(spool, r);
		return rc;
	}
	drop_pieces(spool, r);
	epoch = r->epoch;
	(void)pthread_mutex_lock(&spool->table_lock);
	for (at = bucket_of(spool, recording_id); *at != NULL && *at != r;)
		at = &(*at)->next;
	if (*at == r) {
		*at = r->next;
		r->refs--;
	}
	(void)pthread_mutex_unlock(&spool->table_lock);
	put(spool, r);
	end_epoch(spool, epoch);
	if (rco__segments_tidy(spool) != RCO_OK) /* only ciphertext without a key is left; it is tried again */
		rco__log(&spool->env, RCO_LOG_WARN, "a finished segment cannot be removed: %s", rco_error_detail());
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

/* ---- scan ---- */

static void report(const rco__spooled *r, rco_scan_fn found, void *found_user_data)
{
	rco_scanned out = {.struct_size = (uint32_t)sizeof out,
	                   .meta = r->meta_size > 0 ? r->meta : NULL,
	                   .meta_bytes = r->meta_size,
	                   .damaged_bytes = r->damaged_bytes};
	uint32_t i;

	memcpy(out.id, r->id, 16);
	for (i = 0; i < RCO_MAX_LEGS; i++) {
		out.leg_format[i] = r->legs[i].format;
		out.leg_bytes[i] = r->unreadable ? 0 : r->legs[i].held;
		if (r->unreadable)
			out.damaged_bytes += r->legs[i].held;
	}
	found(&out, found_user_data);
}

static int spool_scan(rco_scan_fn found, void *found_user_data, void *user_data)
{
	rco_spool *spool = user_data;
	rco__spooled *r;
	size_t i;

	for (i = 0; i < RCO__SPOOL_BUCKETS; i++) {
		for (r = spool->buckets[i]; r != NULL; r = r->next) {
			(void)pthread_mutex_lock(&r->lock);
			if (!r->revoked && need_key(spool, r) != RCO_OK) {
				r->unreadable = 1;
				rco__log(&spool->env, RCO_LOG_ERROR, "a recording's key cannot be unwrapped, its audio cannot "
				                                     "be read any more: %s",
				         rco_error_detail());
			}
			report(r, found, found_user_data);
			(void)pthread_mutex_unlock(&r->lock);
		}
	}
	return RCO_OK;
}

/* ---- life ---- */

static int found_slot(rco_spool *spool, uint64_t index, const rco__slot *slot)
{
	rco__spooled *r;

	if (find(spool, slot->id) != NULL) /* cannot be: the first stays, the other is free again */
		return rco__slot_wipe(spool, index);
	r = new_recording(spool, slot->id);
	if (r == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a recording");
	r->slot = index;
	r->epoch = slot->epoch;
	memcpy(r->wrapped, slot->wrapped, slot->wrapped_size);
	r->wrapped_size = slot->wrapped_size;
	memcpy(r->meta, slot->meta, slot->meta_size);
	r->meta_size = slot->meta_size;
	insert(spool, r);
	return RCO_OK;
}

static int found_record(rco_spool *spool, rco__segment *segment, uint64_t offset, const rco__record *record)
{
	rco__spooled *r = find(spool, record->id);
	rco__spool_leg *leg;
	rco__piece piece = {.segment = segment, .offset = offset, .position = record->position,
	                    .raw_size = record->raw_size};
	int rc;

	if (r == NULL)
		return RCO_OK; /* its recording was erased */
	leg = &r->legs[record->leg];
	if (leg->held > 0 && leg->format != record->format) {
		r->damaged_bytes += record->raw_size;
		return RCO_OK;
	}
	leg->format = record->format;
	if (record->position < leg->held) /* written twice, the first time without an answer */
		return RCO_OK;
	if (record->position > leg->held) { /* what is missing before it was damaged */
		r->damaged_bytes += record->raw_size;
		return RCO_OK;
	}
	piece.record_size = (uint32_t)rco__record_size(record->cipher_size);
	rc = add_piece(spool, leg, &piece);
	if (rc != RCO_OK)
		return rc;
	segment->live++;
	leg->held += record->raw_size;
	leg->seq = record->seq + 1;
	return RCO_OK;
}

static int check_paths(rco_spool *spool, const rco_spool_options *o)
{
	int rc;

	if (o->path == NULL || o->path[0] == '\0')
		return rco__fail(RCO_E_INVALID, "rco_spool_options: path is required");
	if ((size_t)snprintf(spool->path, sizeof spool->path, "%s", o->path) >= sizeof spool->path)
		return rco__fail(RCO_E_INVALID, "the path of the spool is too long");
	if (o->quarantine_path == NULL)
		return rco__path_join(spool->quarantine, sizeof spool->quarantine, o->path, "quarantine");
	rc = snprintf(spool->quarantine, sizeof spool->quarantine, "%s", o->quarantine_path);
	return rc >= 0 && (size_t)rc < sizeof spool->quarantine
	               ? RCO_OK
	               : rco__fail(RCO_E_INVALID, "the path of the quarantine folder is too long");
}

static int open_files(rco_spool *spool)
{
	const rco__fs *fs = spool->env.fs;
	char lock[RCO__SPOOL_PATH];
	int rc = fs->mkdir(fs->ctx, spool->path);

	if (rc == RCO_OK)
		rc = rco__path_join(lock, sizeof lock, spool->path, "lock");
	if (rc == RCO_OK)
		rc = fs->lock(fs->ctx, lock, &spool->lock_fd);
	if (rc == RCO_E_BUSY)
		return rco__fail(rc, "%s is in use by another spool", spool->path);
	if (rc == RCO_OK)
		rc = rco__secmem_create(&spool->env, &spool->secrets);
	if (rc == RCO_OK)
		rc = rco__slots_open(spool, found_slot);
	return rc == RCO_OK ? rco__segments_open(spool, found_record) : rc;
}

int rco__spool_open(const rco__env *env, const rco_spool_options *options, rco_spool **out)
{
	rco_spool *spool = rco__zalloc(env, 1, sizeof *spool);
	int rc;

	if (spool == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a spool");
	spool->env = *env;
	spool->lock_fd = spool->slots_fd = -1;
	spool->next_number = 1;
	spool->segment_bytes = options->segment_bytes != 0 ? options->segment_bytes : 64u << 20;
	spool->keys_ud = options->keys_user_data;
	(void)pthread_mutex_init(&spool->table_lock, NULL);
	(void)pthread_mutex_init(&spool->segment_lock, NULL);
	(void)pthread_mutex_init(&spool->slot_lock, NULL);
	(void)pthread_mutex_init(&spool->codec_lock, NULL);
	rc = check_paths(spool, options);
	if (rc == RCO_OK)
		rc = rco__key_ops_copy(&spool->keys, options->keys);
	if (rc == RCO_OK)
		rc = open_files(spool);
	if (rc != RCO_OK) {
		rco_spool_free(spool);
		return rc;
	}
	*out = spool;
	return RCO_OK;
}

int rco_spool_create(const rco_spool_options *options, rco_spool **spool)
{
	rco_spool_options o;
	rco__env env;
	int rc;

	rco__error_clear();
	if (spool == NULL)
		return rco__fail(RCO_E_INVALID, "spool is NULL");
	*spool = NULL;
	rc = rco__struct_copy(&o, sizeof o, sizeof o, options, "rco_spool_options");
	if (rc == RCO_OK && o.flags != 0)
		rc = rco__fail(RCO_E_INVALID, "rco_spool_options: flags is not 0");
	if (rc == RCO_OK)
		rc = rco__env_init(&env, o.allocator, o.clock, o.log, o.log_user_data);
	return rc == RCO_OK ? rco__spool_open(&env, &o, spool) : rc;
}

void rco_spool_free(rco_spool *spool)
{
	rco__env env;
	size_t i;

	if (spool == NULL)
		return;
	env = spool->env;
	for (i = 0; i < RCO__SPOOL_BUCKETS; i++) {
		while (spool->buckets[i] != NULL) {
			rco__spooled *r = spool->buckets[i];

			spool->buckets[i] = r->next;
			destroy(spool, r);
		}
	}
	rco__segments_close(spool);
	rco__slots_close(spool);
	free_codecs(spool);
	rco__secmem_free(spool->secrets);
	if (spool->lock_fd >= 0)
		(void)env.fs->close(env.fs->ctx, spool->lock_fd);
	(void)pthread_mutex_destroy(&spool->table_lock);
	(void)pthread_mutex_destroy(&spool->segment_lock);
	(void)pthread_mutex_destroy(&spool->slot_lock);
	(void)pthread_mutex_destroy(&spool->codec_lock);
	rco__release(&env, spool);
}

uint64_t rco__spool_quarantined(const rco_spool *spool)
{
	return atomic_load(&((rco_spool *)(uintptr_t)spool)->quarantined);
}

int rco__spool_maintain(rco_spool *spool)
{
	return rco__segments_tidy(spool);
}

const rco_buffer_ops *rco_spool_buffer_ops(void)
{
	static const rco_buffer_ops ops = {.struct_size = (uint32_t)sizeof ops,
	                                   .open = spool_open,
	                                   .append = spool_append,
	                                   .flush = spool_flush,
	                                   .seal = spool_seal,
	                                   .read = spool_read,
	                                   .revoke = spool_revoke,
	                                   .erase = spool_erase,
	                                   .scan = spool_scan};

	return &ops;
}
